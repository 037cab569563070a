/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The set of areas of one address space: disjoint, in ascending order.
 *
 * Two levels: an array of leaves, each with up to VMA_LEAF areas by value. Looking up is two binary
 * searches, inserting moves at most one leaf's areas and the array of leaf pointers, and each leaf
 * remembers its largest hole, so that finding room steps over leaves and not over areas. Against a
 * balanced tree: no rebalancing, no pointer per area, and a copy for fork is a memcpy a leaf.
 *
 * Not locked; the owner's lock (mm.lock) guards it.
 */
#ifndef SENTRY_MM_VMA_H
#define SENTRY_MM_VMA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/refcount.h"
#include "sentry/mm/mm.h"

/* Identity of a shared anonymous mapping, for futexes that several address spaces share. */
struct shared_anon {
	struct refcount ref;
};

#define AREA_DONTFORK	0x1u
#define AREA_WIPEONFORK 0x2u
#define AREA_DONTDUMP	0x4u
#define AREA_HUGEPAGE	0x8u
#define AREA_NOHUGEPAGE 0x10u

struct vm_area {
	struct vma v;
	uint32_t max_prot;	    /* what mprotect may give */
	uint32_t advice;	    /* AREA_* */
	bool was_writable;	    /* may differ from its file (private mappings) */
	struct shared_anon *shared; /* of a shared anonymous mapping; v.offset counts in it */
};

#define VMA_LEAF	32
#define VMA_GAP_UNKNOWN UINT64_MAX
#define VMA_GUARD	(256 * PAGE_SIZE) /* kept free below an area that grows down */

struct vma_leaf {
	uint32_t count;
	uint64_t gap; /* the largest hole below one of its areas, or VMA_GAP_UNKNOWN */
	struct vm_area areas[VMA_LEAF];
};

struct vma_set {
	struct vma_leaf **leaves;
	uint32_t leaf_count, leaf_capacity;
	uint32_t count; /* areas */
};

/* A place in the set; at the end leaf == leaf_count. Any change to the set ends its validity. */
struct vma_pos {
	uint32_t leaf, index;
};

/* The first area that ends above va. */
struct vma_pos vma_seek(const struct vma_set *s, uint64_t va);
/* NULL at the end. */
struct vm_area *vma_at(const struct vma_set *s, struct vma_pos p);
struct vma_pos vma_next(const struct vma_set *s, struct vma_pos p);
/* False at the beginning. */
bool vma_prev(const struct vma_set *s, struct vma_pos *p);

/* The area that holds va, or NULL. */
struct vm_area *vma_find(const struct vma_set *s, uint64_t va);
/* Whether any area touches [start, end). */
bool vma_any(const struct vma_set *s, uint64_t start, uint64_t end);

/* Copies *a into the set, which must have room there. References go with it. */
void vma_insert(struct vma_set *s, const struct vm_area *a);
/* Takes the area out without dropping its references. */
void vma_remove(struct vma_set *s, struct vma_pos p);
/* To be called when the start or end of the area at p was changed in place. */
void vma_resized(struct vma_set *s, struct vma_pos p);

/* The highest (lowest) address of a hole of size bytes within [low, high), aligned; or 0. */
uint64_t vma_find_down(struct vma_set *s, uint64_t size, uint64_t align, uint64_t low,
		       uint64_t high);
uint64_t vma_find_up(struct vma_set *s, uint64_t size, uint64_t align, uint64_t low, uint64_t high);

/* A copy of all areas, without references. */
void vma_copy_set(struct vma_set *dst, const struct vma_set *src);
/* Frees the set's own memory. */
void vma_destroy_set(struct vma_set *s);

#endif
