/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding windows (patch.h says what must be true of one).
 *
 *	1. every pair of bytes 0f 05 of the text is a candidate;
 *	2. the function that a candidate lies in is decoded from its beginning: the candidate must
 *	   be met as an instruction, with nothing before it that capstone doesn't know;
 *	3. the last instructions before it, of at least five bytes together, must be movable, and no
 *	   branch of the function may lead between them;
 *	4. no call or jump with a four-byte distance anywhere in the text may lead there either.
 *	   Here every byte that could begin one is taken for one: too many is on the safe side;
 *	5. trampolines are placed.
 */
#include <capstone/capstone.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/mem.h"
#include "platform/patch/patch.h"
#include "platform/patch/patch_internal.h"

#define FUNCTION_MAX 65536u /* bytes of a function that are looked at */

struct found {
	struct patch_site site;
	struct patch_insn insns[PATCH_INSNS_MAX];
	enum patch_verdict verdict;
};

struct analysis {
	const struct patch_text *text;
	csh quick, detailed; /* capstone, without and with operands */
	cs_insn *insn;
	struct found *found; /* ascending */
	uint32_t count, capacity;
	/* The function at hand: offsets in the text, and bits for each of its bytes. */
	uint64_t begin, end, decoded_to;
	bool doubtful; /* an instruction from before reaches into it */
	uint8_t bounds[FUNCTION_MAX / 8 + 1], targets[FUNCTION_MAX / 8 + 1];
};

const char *patch_verdict_name(enum patch_verdict v)
{
	static const char *const names[PATCH_VERDICTS] = {
	    "patched",	 "in no function", "not decoded",   "not a call",
	    "too short", "not movable",	   "branch inside", "no place",
	};

	return v < PATCH_VERDICTS ? names[v] : "?";
}

static bool bit(const uint8_t *bits, uint64_t i)
{
	return bits[i / 8] >> (i % 8) & 1;
}

static void set_bit(uint8_t *bits, uint64_t i)
{
	bits[i / 8] |= (uint8_t)(1u << (i % 8));
}

/* ---- the function around a candidate ---- */

/*
 * Begin and end of the function that holds offset: the nearest starts; *ret_before: where the one
 * before it begins. False: none.
 */
static bool function_of(const struct patch_text *t, uint64_t offset, uint64_t *ret_begin,
			uint64_t *ret_end, uint64_t *ret_before)
{
	uint32_t low = 0, high = t->start_count;

	while (low < high) {
		uint32_t mid = (low + high) / 2;

		if (t->starts[mid] - t->va > offset)
			high = mid;
		else
			low = mid + 1;
	}
	if (!low)
		return false;
	*ret_begin = t->starts[low - 1] - t->va;
	*ret_before = low > 1 ? t->starts[low - 2] - t->va : *ret_begin;
	*ret_end = low < t->start_count ? t->starts[low] - t->va : t->size;
	*ret_end = MIN(*ret_end, *ret_begin + FUNCTION_MAX);
	return offset < *ret_end;
}

/* Where a relative branch leads, relative to its own first byte. False: it is none. */
static bool branch_distance(const uint8_t *b, uint32_t size, int64_t *ret)
{
	uint32_t at = 0;
	int32_t far;

	while (at + 1 < size && (b[at] == 0x66 || b[at] == 0x2e || b[at] == 0x3e || b[at] == 0xf2 ||
				 b[at] == 0xf3 || (b[at] & 0xf0) == 0x40))
		at++;
	if ((b[at] & 0xf0) == 0x70 || (b[at] & 0xfc) == 0xe0 || b[at] == 0xeb) {
		*ret = (int64_t)size + (int8_t)b[size - 1];
		return size >= 2;
	}
	if (size < 5 ||
	    !(b[at] == 0xe8 || b[at] == 0xe9 || (b[at] == 0x0f && (b[at + 1] & 0xf0) == 0x80) ||
	      (b[at] == 0xc7 && b[at + 1] == 0xf8)))
		return false;
	memcpy(&far, b + size - 4, sizeof(far));
	*ret = (int64_t)size + far;
	return true;
}

static void note_branch(struct analysis *a, uint64_t at, uint32_t size)
{
	int64_t distance;
	uint64_t target;

	if (!branch_distance(a->text->bytes + at, size, &distance))
		return;
	target = at + (uint64_t)distance - a->begin;
	if (target < a->end - a->begin)
		set_bit(a->targets, target);
}

/* Decodes it all; stops at what capstone doesn't know. */
static void decode_function(struct analysis *a, uint64_t begin, uint64_t end)
{
	const uint8_t *code = a->text->bytes + begin;
	uint64_t va = a->text->va + begin, at;
	size_t left = end - begin;

	a->begin = begin;
	a->end = end;
	memset(a->bounds, 0, sizeof(a->bounds));
	memset(a->targets, 0, sizeof(a->targets));
	for (at = begin; cs_disasm_iter(a->quick, &code, &left, &va, a->insn);
	     at += a->insn->size) {
		set_bit(a->bounds, at - begin);
		note_branch(a, at, a->insn->size);
	}
	a->decoded_to = at;
}

/* ---- one instruction ---- */

static bool in_group(const cs_insn *insn, uint8_t group)
{
	return memchr(insn->detail->groups, group, insn->detail->groups_count);
}

static bool leaves(const cs_insn *insn)
{
	return in_group(insn, X86_GRP_JUMP) || in_group(insn, X86_GRP_CALL) ||
	       in_group(insn, X86_GRP_RET) || in_group(insn, X86_GRP_INT) ||
	       in_group(insn, X86_GRP_IRET) || in_group(insn, X86_GRP_PRIVILEGE) ||
	       in_group(insn, X86_GRP_BRANCH_RELATIVE) || insn->id == X86_INS_SYSCALL ||
	       insn->id == X86_INS_SYSENTER || insn->id == X86_INS_SYSRET ||
	       insn->id == X86_INS_UD2 || insn->id == X86_INS_HLT || insn->id == X86_INS_XBEGIN ||
	       insn->id == X86_INS_XABORT || insn->id == X86_INS_INT3;
}

static bool names_rip(const cs_x86 *x)
{
	for (uint32_t i = 0; i < x->op_count; i++)
		if (x->operands[i].type == X86_OP_MEM && (x->operands[i].mem.base == X86_REG_RIP ||
							  x->operands[i].mem.base == X86_REG_EIP))
			return true;
	return false;
}

/* Newer encodings, which have no place in front of a call and whose parts we don't want to know. */
static bool is_vector(const cs_insn *insn)
{
	return insn->bytes[0] == 0xc4 || insn->bytes[0] == 0xc5 || insn->bytes[0] == 0x62;
}

static bool is_jcc(const cs_insn *insn)
{
	return (insn->size == 2 && (insn->bytes[0] & 0xf0) == 0x70) ||
	       (insn->size == 6 && insn->bytes[0] == 0x0f && (insn->bytes[1] & 0xf0) == 0x80);
}

/* Whether it does the same elsewhere once patch_move has seen to it. */
static bool movable(const cs_insn *insn, struct patch_insn *ret)
{
	const cs_x86 *x = &insn->detail->x86;
	uint32_t modrm = x->encoding.modrm_offset;
	bool relative;

	*ret = (struct patch_insn){.size = (uint8_t)insn->size, .is_jcc = is_jcc(insn)};
	if (insn->size > sizeof(ret->bytes) || is_vector(insn))
		return false;
	memcpy(ret->bytes, insn->bytes, insn->size);
	if (ret->is_jcc)
		return true;
	if (leaves(insn))
		return false;
	relative = modrm && (insn->bytes[modrm] & 0xc7) == 0x05;
	if (relative != names_rip(x))
		return false;
	if (!relative)
		return true;
	ret->disp_offset = (uint8_t)(modrm + 1);
	return x->encoding.disp_offset == modrm + 1 && x->encoding.disp_size == 4 &&
	       modrm + 5u <= insn->size && !memchr(insn->bytes, 0x67, modrm);
}

static bool decode_one(struct analysis *a, uint64_t at, uint32_t size, struct patch_insn *ret)
{
	const uint8_t *code = a->text->bytes + at;
	uint64_t va = a->text->va + at;
	size_t left = size;

	return cs_disasm_iter(a->detailed, &code, &left, &va, a->insn) && a->insn->size == size &&
	       movable(a->insn, ret);
}

/* ---- windows ---- */

/* Where the last instructions before `call` begin that make up a jump's size; count, or 0. */
static uint32_t window_bounds(const struct analysis *a, uint64_t call, uint64_t *bounds)
{
	uint32_t count = 0;
	uint64_t at = call;

	while (call - at < JMP_SIZE) {
		do {
			if (at == a->begin || count == PATCH_INSNS_MAX)
				return 0;
			at--;
		} while (!bit(a->bounds, at - a->begin));
		memmove(bounds + 1, bounds, count * sizeof(*bounds));
		bounds[0] = at;
		count++;
	}
	return call - at <= PATCH_WINDOW_MAX ? count : 0;
}

static enum patch_verdict find_window(struct analysis *a, uint64_t call, struct found *f)
{
	uint64_t bounds[PATCH_INSNS_MAX + 1];
	struct patch_site *s = &f->site;
	uint32_t count, size = PATCH_TAIL;

	if (!bit(a->bounds, call - a->begin))
		return call < a->decoded_to ? PATCH_NOT_A_CALL : PATCH_NOT_DECODED;
	count = window_bounds(a, call, bounds);
	if (!count)
		return PATCH_TOO_SHORT;
	bounds[count] = call;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t length = (uint32_t)(bounds[i + 1] - bounds[i]);

		if (!decode_one(a, bounds[i], length, &f->insns[i]))
			return PATCH_NOT_MOVABLE;
		s->from[i] = (uint8_t)(bounds[i] - bounds[0]);
		size += patch_moved_size(&f->insns[i]);
	}
	for (uint64_t at = bounds[0] + 1; at < call; at++)
		if (bit(a->targets, at - a->begin))
			return PATCH_BRANCH;
	s->start = (uint32_t)bounds[0];
	s->size = (uint8_t)(call - bounds[0]);
	s->insn_count = (uint8_t)count;
	s->tramp_size = (uint8_t)size;
	memcpy(s->orig, a->text->bytes + s->start, s->size);
	return PATCH_OK;
}

/*
 * Whether what tells of a function's begin can be believed: decoding what lies before it must lead
 * there, and not into an instruction that goes on behind it.
 */
static bool begins_at(struct analysis *a, uint64_t before, uint64_t begin)
{
	const uint8_t *code = a->text->bytes + before;
	uint64_t va = a->text->va + before, at = before;
	size_t left = MIN(begin - before + 15, a->text->size - before);

	if (begin - before > FUNCTION_MAX)
		return true;
	while (at < begin && cs_disasm_iter(a->quick, &code, &left, &va, a->insn))
		at += a->insn->size;
	return at <= begin;
}

static enum patch_verdict look_at(struct analysis *a, uint64_t call, struct found *f)
{
	uint64_t begin, end, before;

	if (!function_of(a->text, call, &begin, &end, &before))
		return PATCH_NO_FUNCTION;
	if (begin != a->begin || end != a->end) {
		decode_function(a, begin, end);
		a->doubtful = !begins_at(a, before, begin);
	}
	return a->doubtful ? PATCH_NOT_DECODED : find_window(a, call, f);
}

static struct found *add_found(struct analysis *a)
{
	if (a->count == a->capacity) {
		a->capacity = a->capacity ? a->capacity * 2 : 256;
		a->found = xrealloc(a->found, a->capacity * sizeof(*a->found));
	}
	a->found[a->count] = (struct found){.verdict = PATCH_OK};
	return &a->found[a->count++];
}

static void find_candidates(struct analysis *a, struct patch *p, patch_trace_fn trace, void *arg)
{
	const uint8_t *bytes = a->text->bytes, *at = bytes, *end = bytes + a->text->size;

	while (end - at >= 2 && (at = memmem(at, (size_t)(end - at), "\x0f\x05", 2))) {
		struct found *f = add_found(a);

		f->verdict = a->count > PATCH_SITES_MAX ? PATCH_NO_PLACE
							: look_at(a, (uint64_t)(at - bytes), f);
		if (f->verdict != PATCH_OK) {
			p->verdicts[f->verdict]++;
			if (trace)
				trace(arg, a->text->va + (uint64_t)(at - bytes), f->verdict);
			a->count--;
		}
		at += 2;
	}
}

/* ---- branches from elsewhere ---- */

/* The site with this offset behind its window's first byte, or NULL. */
static struct found *window_around(const struct analysis *a, uint64_t offset)
{
	uint32_t low = 0, high = a->count;
	struct found *f;

	while (low < high) {
		uint32_t mid = (low + high) / 2;

		if (a->found[mid].site.start >= offset)
			high = mid;
		else
			low = mid + 1;
	}
	if (!low)
		return NULL;
	f = &a->found[low - 1];
	return offset < (uint64_t)f->site.start + f->site.size ? f : NULL;
}

/* Size of what may be a branch with a distance of four bytes, 0: can't be one. */
static uint32_t far_branch(const uint8_t *b, uint64_t left)
{
	if (left >= 5 && (b[0] & 0xfe) == 0xe8)
		return 5;
	return left >= 6 && b[0] == 0x0f && (b[1] & 0xf0) == 0x80 ? 6 : 0;
}

static void check_far_branches(struct analysis *a)
{
	const uint8_t *b = a->text->bytes;

	for (uint64_t i = 0; i < a->text->size; i++) {
		uint32_t size = far_branch(b + i, a->text->size - i);
		int32_t distance;
		struct found *f;

		if (!size)
			continue;
		memcpy(&distance, b + i + size - 4, sizeof(distance));
		f = window_around(a, i + size + (uint64_t)(int64_t)distance);
		if (f)
			f->verdict = PATCH_BRANCH;
	}
}

/* ---- the result ---- */

static uint64_t page_down(uint64_t x)
{
	return x & ~4095ull;
}

static void lay_out_area(struct patch *p, const struct analysis *a, int64_t far)
{
	uint64_t first = a->found[0].site.start, last = a->found[a->count - 1].site.start;
	uint64_t base = p->text_va + (uint64_t)far + JMP_SIZE;
	uint64_t low = page_down(base + first + PATCH_NEAR_MIN);
	uint64_t high = base + last + PATCH_NEAR_MAX + PATCH_TRAMP_MAX;

	p->area_distance = (int64_t)(low - p->text_va);
	p->area_size = page_down(high - low + 4095);
	p->area = xcalloc(1, p->area_size);
}

static void place_all(struct analysis *a, struct patch *p, uint32_t spread, patch_trace_fn trace,
		      void *arg)
{
	struct patch_places pl = {.far = patch_far(a->text, spread)};

	lay_out_area(p, a, pl.far);
	pl.used = xcalloc(1, p->area_size / 8);
	pl.pages = xcalloc(1, p->area_size / 4096);
	p->sites = xcalloc(a->count, sizeof(*p->sites));
	p->by_tramp = xcalloc(a->count, sizeof(*p->by_tramp));
	for (uint32_t i = 0; i < a->count; i++) {
		struct found *f = &a->found[i];

		if (f->verdict == PATCH_OK && !patch_place(p, &pl, &f->site, f->insns))
			f->verdict = PATCH_NO_PLACE;
		p->verdicts[f->verdict]++;
		if (trace)
			trace(arg, p->text_va + f->site.start + f->site.size, f->verdict);
		if (f->verdict != PATCH_OK)
			continue;
		p->sites[p->site_count++] = f->site;
	}
	patch_sort_trampolines(p);
	free(pl.used);
	free(pl.pages);
}

static bool open_capstone(struct analysis *a)
{
	if (cs_open(CS_ARCH_X86, CS_MODE_64, &a->quick) != CS_ERR_OK)
		return false;
	if (cs_open(CS_ARCH_X86, CS_MODE_64, &a->detailed) != CS_ERR_OK) {
		cs_close(&a->quick);
		return false;
	}
	cs_option(a->detailed, CS_OPT_DETAIL, CS_OPT_ON);
	a->insn = cs_malloc(a->detailed);
	return a->insn;
}

int patch_analyze(const struct patch_text *t, uint32_t spread, patch_trace_fn trace, void *arg,
		  struct patch *ret)
{
	struct analysis *a = xnew(struct analysis);
	struct patch p = {.text_va = t->va, .text_size = t->size};

	a->text = t;
	if (!open_capstone(a)) {
		free(a);
		return -ENOMEM;
	}
	find_candidates(a, &p, trace, arg);
	check_far_branches(a);
	if (a->count)
		place_all(a, &p, spread, trace, arg);
	cs_free(a->insn, 1);
	cs_close(&a->quick);
	cs_close(&a->detailed);
	free(a->found);
	free(a);
	*ret = p;
	return 0;
}

void patch_free(struct patch *p)
{
	free(p->area);
	free(p->sites);
	free(p->by_tramp);
	*p = (struct patch){.area = NULL};
}
