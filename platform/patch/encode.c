/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes: jumps, trampolines, and the translation of places between text and trampolines.
 */
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "platform/patch/patch.h"
#include "platform/patch/patch_internal.h"

#define JMP_REL32 0xe9

/*
 * Bytes that begin no instruction in 64-bit mode: push and pop of segment registers, BCD
 * arithmetic, pusha, popa, far call and jump, into, SALC, the alias of 80 (Intel SDM volume 2,
 * table A-2, "i64"; AMD APM volume 3, table A-1). Left out: c4, c5, 62, d5, which are prefixes of
 * newer instructions.
 */
static const uint8_t faulting[] = {0x06, 0x07, 0x0e, 0x16, 0x17, 0x1e, 0x1f, 0x27, 0x2f,
				   0x37, 0x3f, 0x60, 0x61, 0x82, 0x9a, 0xce, 0xd4, 0xea};

bool patch_byte_faults(uint8_t b)
{
	return memchr(faulting, b, sizeof(faulting));
}

/* ---- moving an instruction ---- */

static uint32_t put32(uint8_t *at, uint64_t v)
{
	uint32_t w = (uint32_t)v;

	memcpy(at, &w, sizeof(w));
	return sizeof(w);
}

static bool fits32(uint64_t distance)
{
	return (int64_t)distance == (int32_t)distance;
}

static uint64_t jcc_target(const struct patch_insn *in, uint64_t from)
{
	int32_t distance = (int8_t)in->bytes[1];

	if (in->size == 6)
		memcpy(&distance, in->bytes + 2, sizeof(distance));
	return from + in->size + (uint64_t)(int64_t)distance;
}

static uint32_t move_jcc(const struct patch_insn *in, uint64_t from, uint64_t to, uint8_t *out)
{
	uint64_t distance = jcc_target(in, from) - (to + JCC_SIZE);

	out[0] = 0x0f;
	out[1] = (uint8_t)(0x80 | ((in->size == 2 ? in->bytes[0] : in->bytes[1]) & 0xf));
	put32(out + 2, distance);
	return fits32(distance) ? JCC_SIZE : 0;
}

uint32_t patch_moved_size(const struct patch_insn *in)
{
	return in->is_jcc ? JCC_SIZE : in->size;
}

uint32_t patch_move(const struct patch_insn *in, uint64_t from, uint64_t to, uint8_t *out)
{
	int32_t disp;
	uint64_t target;

	if (in->is_jcc)
		return move_jcc(in, from, to, out);
	memcpy(out, in->bytes, in->size);
	if (!in->disp_offset)
		return in->size;
	memcpy(&disp, in->bytes + in->disp_offset, sizeof(disp));
	target = from + (uint64_t)(int64_t)disp - to; /* both ends move by the same size */
	put32(out + in->disp_offset, target);
	return fits32(target) ? in->size : 0;
}

/* ---- trampolines ---- */

static bool make_trampoline(const struct patch *p, struct patch_site *s,
			    const struct patch_insn *insns, uint8_t *out)
{
	uint64_t at = p->text_va + (uint64_t)p->area_distance + s->tramp;
	uint64_t start = p->text_va + s->start, after = start + s->size + 2, distance;
	uint64_t entry = PATCH_ENTRY;
	uint32_t n = 0, moved;

	for (uint32_t i = 0; i < s->insn_count; i++) {
		s->to[i] = (uint8_t)n;
		moved = patch_move(&insns[i], start + s->from[i], at + n, out + n);
		if (!moved)
			return false;
		n += moved;
	}
	distance = after - (at + n + 7);
	memcpy(out + n, "\x48\x8d\x0d", 3); /* lea distance(%rip),%rcx */
	put32(out + n + 3, distance);
	memcpy(out + n + 7, "\x49\xbb", 2); /* movabs $entry,%r11 */
	memcpy(out + n + 9, &entry, sizeof(entry));
	memcpy(out + n + 17, "\x41\xff\xe3", 3); /* jmp *%r11 */
	return fits32(distance);
}

/* Places in the area that are taken, a bit a byte. */
static bool range_free(const uint8_t *used, uint64_t at, uint32_t size)
{
	for (uint64_t i = at; i < at + size; i++)
		if (used[i / 8] >> (i % 8) & 1)
			return false;
	return true;
}

void patch_take(struct patch_places *pl, uint64_t at, uint32_t size)
{
	for (uint64_t i = at; i < at + size; i++)
		pl->used[i / 8] |= (uint8_t)(1u << (i % 8));
	pl->pages[at / 4096] = pl->pages[(at + size - 1) / 4096] = 1;
}

/*
 * Finds a place for the trampoline whose distance has bytes that all fault: first on a page that
 * has others already.
 */
static bool find_place(const struct patch *p, struct patch_places *pl, struct patch_site *s)
{
	for (int fresh = 0; fresh < 2; fresh++) {
		for (uint32_t b1 = 0; b1 < PATCH_FAR_BYTES; b1++) {
			for (uint32_t b0 = 0; b0 < sizeof(faulting); b0++) {
				int64_t rel = pl->far + (faulting[b1] << 8 | faulting[b0]);
				uint64_t at =
				    (uint64_t)(s->start + JMP_SIZE + rel - p->area_distance);

				if (at + s->tramp_size > p->area_size ||
				    (!fresh && !pl->pages[at / 4096]) ||
				    !range_free(pl->used, at, s->tramp_size))
					continue;
				s->tramp = (uint32_t)at;
				patch_take(pl, at, s->tramp_size);
				return true;
			}
		}
	}
	return false;
}

bool patch_put(struct patch *p, struct patch_site *s, const struct patch_insn *insns)
{
	uint8_t code[PATCH_TRAMP_MAX];

	if (!make_trampoline(p, s, insns, code))
		return false;
	memcpy(p->area + s->tramp, code, s->tramp_size);
	return true;
}

bool patch_place(struct patch *p, struct patch_places *pl, struct patch_site *s,
		 const struct patch_insn *insns)
{
	return find_place(p, pl, s) && patch_put(p, s, insns);
}

static int by_trampoline(const void *a, const void *b, void *arg)
{
	const struct patch_site *sites = arg;
	uint32_t x = sites[*(const uint32_t *)a].tramp, y = sites[*(const uint32_t *)b].tramp;

	return x < y ? -1 : x > y;
}

void patch_sort_trampolines(struct patch *p)
{
	for (uint32_t i = 0; i < p->site_count; i++)
		p->by_tramp[i] = i;
	qsort_r(p->by_tramp, p->site_count, sizeof(*p->by_tramp), by_trampoline, p->sites);
}

int64_t patch_far_byte(uint32_t i, uint32_t j)
{
	uint32_t b3 = faulting[i % sizeof(faulting)], b2 = faulting[j % sizeof(faulting)];

	return (int32_t)(b3 << 24 | b2 << 16);
}

int64_t patch_far(const struct patch_text *t, uint32_t spread)
{
	uint32_t b3 = t->fixed ? 0x60 : t->pie ? 0xea : 0x06;
	uint32_t b2 = faulting[spread % sizeof(faulting)];

	return (int32_t)(b3 << 24 | b2 << 16);
}

/* ---- the text ---- */

/* The new bytes of the window. */
static void window_bytes(const struct patch *p, const struct patch_site *s, uint8_t *out)
{
	memset(out, PATCH_FILL, s->size);
	out[0] = JMP_REL32;
	put32(out + 1, (uint64_t)p->area_distance + s->tramp - (s->start + JMP_SIZE));
}

/* The first site whose window ends behind offset. */
static uint32_t seek(const struct patch *p, uint64_t offset)
{
	uint32_t low = 0, high = p->site_count;

	while (low < high) {
		uint32_t mid = (low + high) / 2;

		if (p->sites[mid].start + p->sites[mid].size > offset)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

static void overlay(const struct patch *p, uint64_t offset, uint8_t *bytes, size_t size, bool orig)
{
	uint8_t fresh[PATCH_WINDOW_MAX];

	for (uint32_t i = seek(p, offset); i < p->site_count; i++) {
		const struct patch_site *s = &p->sites[i];
		uint64_t from = MAX((uint64_t)s->start, offset);
		uint64_t to = MIN((uint64_t)s->start + s->size, offset + size);

		if (s->start >= offset + size)
			return;
		if (s->off)
			continue;
		window_bytes(p, s, fresh);
		memcpy(bytes + (from - offset), (orig ? s->orig : fresh) + (from - s->start),
		       to - from);
	}
}

void patch_apply(const struct patch *p, uint64_t offset, uint8_t *bytes, size_t size)
{
	overlay(p, offset, bytes, size, false);
}

void patch_unapply(const struct patch *p, uint64_t offset, uint8_t *bytes, size_t size)
{
	overlay(p, offset, bytes, size, true);
}

/* ---- translation ---- */

const struct patch_site *patch_site_at(const struct patch *p, uint64_t offset)
{
	uint32_t i = seek(p, offset);

	return i < p->site_count && p->sites[i].start <= offset && !p->sites[i].off ? &p->sites[i]
										    : NULL;
}

bool patch_any(const struct patch *p, uint64_t offset, uint64_t size)
{
	uint32_t i = seek(p, offset);

	return i < p->site_count && p->sites[i].start < offset + size;
}

bool patch_to_trampoline(const struct patch *p, uint64_t offset, uint64_t *ret_area)
{
	const struct patch_site *s = patch_site_at(p, offset);

	for (uint32_t i = 1; s && i < s->insn_count; i++) {
		if (s->start + s->from[i] != offset)
			continue;
		*ret_area = s->tramp + s->to[i];
		return true;
	}
	return false;
}

static const struct patch_site *site_of_trampoline(const struct patch *p, uint64_t area)
{
	uint32_t low = 0, high = p->site_count;

	while (low < high) {
		uint32_t mid = (low + high) / 2;
		const struct patch_site *s = &p->sites[p->by_tramp[mid]];

		if (s->tramp + s->tramp_size > area)
			high = mid;
		else
			low = mid + 1;
	}
	if (low == p->site_count || p->sites[p->by_tramp[low]].tramp > area)
		return NULL;
	return &p->sites[p->by_tramp[low]];
}

bool patch_to_text(const struct patch *p, uint64_t area, uint64_t *ret_offset)
{
	const struct patch_site *s = site_of_trampoline(p, area);
	uint64_t at, tail;

	if (!s)
		return false;
	at = area - s->tramp;
	tail = s->tramp_size - PATCH_TAIL;
	for (uint32_t i = 0; i < s->insn_count; i++) {
		if (s->to[i] != at)
			continue;
		*ret_offset = s->start + s->from[i];
		return true;
	}
	if (at != tail && at != tail + 7 && at != tail + 17)
		return false;
	*ret_offset = s->start + s->size;
	return true;
}
