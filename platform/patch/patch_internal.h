/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of platform/patch. */
#ifndef PLATFORM_PATCH_PATCH_INTERNAL_H
#define PLATFORM_PATCH_PATCH_INTERNAL_H

#include "platform/patch/patch.h"
#include "platform/stub/layout.h"

#define JMP_SIZE	5
#define JCC_SIZE	6
#define PATCH_ENTRY	((uint64_t)STUB_FAST_ENTRY)
#define PATCH_FILL	0x06 /* faults; behind the jump where the window is larger */
#define PATCH_TRAMP_MAX (PATCH_WINDOW_MAX + PATCH_INSNS_MAX * 4 + PATCH_TAIL)

/* The third byte of a distance is one of the first so many faulting bytes, which are below 0x40. */
#define PATCH_FAR_BYTES 11
#define PATCH_NEAR_MIN	0x0606
#define PATCH_NEAR_MAX	0x3fea

/* Which bytes of the area are taken. */
struct patch_places {
	int64_t far; /* the two upper bytes of all distances */
	uint8_t *used, *pages;
};

/* A distance with the i-th and j-th faulting bytes on top. */
int64_t patch_far_byte(uint32_t i, uint32_t j);
int64_t patch_far(const struct patch_text *t, uint32_t spread);
uint32_t patch_moved_size(const struct patch_insn *in);
/* Chooses a place and writes the trampoline; size, tramp_size, insn_count and from are set. */
bool patch_place(struct patch *p, struct patch_places *pl, struct patch_site *s,
		 const struct patch_insn *insns);
/* The same at a place that is known already. */
bool patch_put(struct patch *p, struct patch_site *s, const struct patch_insn *insns);
void patch_take(struct patch_places *pl, uint64_t at, uint32_t size);
/* Fills in by_tramp. */
void patch_sort_trampolines(struct patch *p);

/* ehframe.c: calls add for each function that .eh_frame, which belongs at va, describes. */
void patch_eh_frame(const uint8_t *data, size_t size, uint64_t va,
		    void (*add)(void *arg, uint64_t start), void *arg);

#endif
