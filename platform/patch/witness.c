/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Call sites of text of which nobody tells where its functions begin: code that a program has made
 * itself. All that is known is what was seen to happen: a `syscall` at this place was executed,
 * with this number in rax. That is enough for one form of site, which is that of nearly all others,
 *
 *	mov $number,%eax	b8 imm32	or	mov $number,%rax	48 c7 c0 imm32
 *	syscall			0f 05			syscall			0f 05
 *
 * The claim to be shown is that the `mov` is an instruction of the program: then the argument of
 * patch.h holds. It rests on what was seen (rax was the number that these bytes load, all 64 bits
 * of it) and on one assumption: a program doesn't execute two instructions that share bytes and
 * begin at different places. So no instruction of the program reaches into the `syscall` from
 * before; and if the bytes of the `mov` were not one, then
 *
 *	- an instruction that begins up to 14 bytes before them reaches over their beginning, and
 *	  it, or what follows it, ends exactly where the `syscall` begins. Each of these places is
 *	  tried; where that is so, the site is refused, with one exception: if the last instruction
 *	  on that way reads or writes memory at rax plus a distance, then it had to do so with the very rax
 *	  that was seen at the call, and at such an address nothing can be. (Instructions made of
 *	  zeros, which a number ends with, are of that kind: 00 00 is add %al,(%rax).)
 *	- or the program jumped to the `syscall`, with that number in rax by chance, and behind
 *	  bytes that by chance load it. A program can be written so. It will find that its own
 *	  bytes were exchanged, as one that lies about its functions does.
 *
 * Examples: `41` in front makes the bytes `mov $number,%r8d`, and `c7 45` makes them
 * `movl $number,-72(%rbp)`: refused. `0f 05 c3` in front, the site before, could be read as
 * `05 c3 b8 27 00, 00 00`: accepted, because of the zeros.
 *
 * A site's trampoline is never taken away while the page is mapped, nor given to another site: a
 * thread may be in it when the program rewrites its text (sentry/mm/patch_page.c). So what is made
 * here for a page continues what was made for it before (`former`).
 */
#include <capstone/capstone.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/mem.h"
#include "platform/patch/patch.h"
#include "platform/patch/patch_internal.h"
#include "platform/platform.h"

#define INSN_MAX   15u
#define MOV_EAX	   5u
#define MOV_RAX	   7u
#define HINT_SIZE  3u
#define SITES_MAX  256u /* of one page, with former ones */
#define FAR_B3_MAX 18u

/* ---- the window ---- */

static uint64_t load32(const uint8_t *at)
{
	int32_t v;

	memcpy(&v, at, sizeof(v));
	return (uint64_t)(int64_t)v;
}

/* Size of the instruction in front of the call that loads this number; 0: there is none. */
static uint32_t loads(const uint8_t *text, uint32_t call, uint64_t rax)
{
	const uint8_t *at = text + call;

	if (call >= MOV_RAX && !memcmp(at - MOV_RAX, "\x48\xc7\xc0", 3) && load32(at - 4) == rax)
		return MOV_RAX;
	if (call >= MOV_EAX && at[-5] == 0xb8 && (uint32_t)load32(at - 4) == rax)
		return MOV_EAX;
	return 0;
}

/* ---- what is in front of it ---- */

struct front {
	csh capstone;
	cs_insn *insn;
	const uint8_t *bytes;
	size_t size;
};

/* The reserved nops of a register (0f 18 to 0f 1f), which capstone knows with memory only. */
static bool is_hint(const uint8_t *at, size_t left)
{
	return left >= HINT_SIZE && at[0] == 0x0f && (at[1] & 0xf8) == 0x18 && at[2] >= 0xc0;
}

/* Size of the instruction at this place, 0: it is none that is known. */
static uint32_t size_at(struct front *f, size_t at)
{
	const uint8_t *code = f->bytes + at;
	size_t left = MIN(f->size - at, (size_t)INSN_MAX);
	uint64_t va = 0;

	if (is_hint(code, left))
		return HINT_SIZE;
	return cs_disasm_iter(f->capstone, &code, &left, &va, f->insn) ? f->insn->size : 0;
}

/*
 * An instruction that accesses memory at rax plus a distance, and doesn't change rax: add, or, ...
 * cmp and mov between a register and memory.
 */
static bool faults_with(const uint8_t *at, uint64_t rax)
{
	uint8_t op = at[0], modrm = at[1], reg = modrm >> 3 & 7;
	uint64_t va = rax;

	if (!((op < 0x40 && (op & 7) < 4) || (op & 0xfc) == 0x88) || (modrm & 7) || modrm >= 0xc0)
		return false;
	if ((op & 2) && !(op & 1 ? reg : reg & 3)) /* into rax; without REX, 4 is %ah */
		return false;
	if (modrm >> 6 == 1)
		va += (uint64_t)(int64_t)(int8_t)at[2];
	else if (modrm >> 6 == 2)
		va += load32(at + 2);
	return va < PLATFORM_GUEST_MIN || va >= PLATFORM_GUEST_MAX;
}

/* Whether an instruction at `at` can't be what led to the call over the window's beginning. */
static bool is_harmless(struct front *f, size_t at, size_t start, size_t call, uint64_t rax)
{
	uint32_t size = size_at(f, at);

	if (size && at + size <= start)
		return true; /* it doesn't reach there */
	while (size && at + size < call) {
		at += size;
		size = size_at(f, at);
	}
	if (!size)
		return patch_byte_faults(f->bytes[at]);
	return at + size > call || faults_with(f->bytes + at, rax);
}

/* text: with `before` bytes that can be looked at in front of it. */
static enum patch_verdict check_call(struct front *f, const struct patch_text *t, uint32_t before,
				     const struct patch_call *c, uint32_t *ret_size)
{
	uint32_t size;
	size_t call = before + c->offset, start, at;

	if (c->offset + INSN_MAX > t->size || memcmp(t->bytes + c->offset, "\x0f\x05", 2))
		return PATCH_NOT_A_CALL;
	size = loads(t->bytes, c->offset, c->rax);
	if (!size)
		return PATCH_NOT_MOVABLE;
	f->bytes = t->bytes - before;
	f->size = before + t->size;
	start = call - size;
	for (at = start > INSN_MAX - 1 ? start - (INSN_MAX - 1) : 0; at < start; at++)
		if (!is_harmless(f, at, start, call, c->rax))
			return PATCH_NOT_DECODED;
	*ret_size = size;
	return PATCH_OK;
}

/* ---- the patch of a page ---- */

static int64_t far_of(uint32_t spread)
{
	return patch_far_byte(spread % FAR_B3_MAX, spread / FAR_B3_MAX);
}

void patch_page_area(uint64_t va, uint32_t spread, uint64_t *ret_start, uint64_t *ret_end)
{
	uint64_t base = va + (uint64_t)far_of(spread) + JMP_SIZE;

	*ret_start = (base + PATCH_NEAR_MIN) & ~4095ull;
	*ret_end = (base + 4096 + PATCH_NEAR_MAX + PATCH_TRAMP_MAX + 4095) & ~4095ull;
}

static void begin_page(const struct patch_text *t, const struct patch *former, uint32_t spread,
		       struct patch *p)
{
	uint64_t start, end;

	patch_page_area(t->va, spread, &start, &end);
	*p = (struct patch){.text_va = t->va,
			    .text_size = t->size,
			    .area_distance = (int64_t)(start - t->va),
			    .area_size = end - start};
	p->area = xcalloc(1, p->area_size);
	p->sites = xcalloc(SITES_MAX, sizeof(*p->sites));
	p->by_tramp = xcalloc(SITES_MAX, sizeof(*p->by_tramp));
	if (!former)
		return;
	memcpy(p->sites, former->sites, former->site_count * sizeof(*p->sites));
	p->site_count = former->site_count;
	for (uint32_t i = 0; i < p->site_count; i++) {
		struct patch_site *s = &p->sites[i];

		s->off = true;
		memcpy(p->area + s->tramp, former->area + s->tramp, s->tramp_size);
	}
}

/* The site of an earlier patch with this window. False: another's window is in the way. */
static bool former_site(struct patch *p, uint32_t start, uint32_t size, struct patch_site **ret)
{
	*ret = NULL;
	for (uint32_t i = 0; i < p->site_count; i++) {
		struct patch_site *s = &p->sites[i];

		if (s->start == start && s->size == size)
			*ret = s;
		else if (s->start < start + size && start < s->start + s->size)
			return false;
	}
	return true;
}

static enum patch_verdict add_site(struct patch *p, struct patch_places *pl,
				   const struct patch_text *t, uint32_t start, uint32_t size)
{
	struct patch_insn insn = {.size = (uint8_t)size};
	struct patch_site *s;

	if (!former_site(p, start, size, &s) || (!s && p->site_count == SITES_MAX))
		return PATCH_BRANCH;
	memcpy(insn.bytes, t->bytes + start, size);
	if (s) {
		memcpy(s->orig, insn.bytes, size);
		s->off = false;
		return patch_put(p, s, &insn) ? PATCH_OK : PATCH_NO_PLACE;
	}
	s = &p->sites[p->site_count];
	*s = (struct patch_site){.start = start,
				 .size = (uint8_t)size,
				 .tramp_size = (uint8_t)(size + PATCH_TAIL),
				 .insn_count = 1};
	memcpy(s->orig, insn.bytes, size);
	if (!patch_place(p, pl, s, &insn))
		return PATCH_NO_PLACE;
	p->site_count++;
	return PATCH_OK;
}

static int by_start(const void *a, const void *b)
{
	const struct patch_site *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static uint32_t add_sites(struct front *f, const struct patch_text *t, uint32_t before,
			  struct patch_call *calls, uint32_t count, uint32_t spread,
			  struct patch *p)
{
	struct patch_places pl = {.far = far_of(spread),
				  .used = xcalloc(1, p->area_size / 8),
				  .pages = xcalloc(1, p->area_size / 4096)};
	uint32_t size = 0, added = 0;

	for (uint32_t i = 0; i < p->site_count; i++)
		patch_take(&pl, p->sites[i].tramp, p->sites[i].tramp_size);
	for (uint32_t i = 0; i < count; i++) {
		calls[i].verdict = check_call(f, t, before, &calls[i], &size);
		if (calls[i].verdict == PATCH_OK)
			calls[i].verdict = add_site(p, &pl, t, calls[i].offset - size, size);
		p->verdicts[calls[i].verdict]++;
		added += calls[i].verdict == PATCH_OK;
	}
	free(pl.used);
	free(pl.pages);
	return added;
}

int patch_page(const struct patch_text *t, uint32_t before, struct patch_call *calls,
	       uint32_t count, const struct patch *former, uint32_t spread, struct patch *ret)
{
	struct front f = {.bytes = NULL};
	struct patch p;
	uint32_t added;

	if (cs_open(CS_ARCH_X86, CS_MODE_64, &f.capstone) != CS_ERR_OK)
		return -ENOMEM;
	f.insn = cs_malloc(f.capstone);
	begin_page(t, former, spread, &p);
	added = f.insn ? add_sites(&f, t, before, calls, count, spread, &p) : 0;
	if (f.insn)
		cs_free(f.insn, 1);
	cs_close(&f.capstone);
	if (!added) {
		patch_free(&p);
		return -ENOENT;
	}
	qsort(p.sites, p.site_count, sizeof(*p.sites), by_start);
	patch_sort_trampolines(&p);
	*ret = p;
	return 0;
}
