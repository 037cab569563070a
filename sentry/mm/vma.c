/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/mm/vma.h"

#include <stdlib.h>
#include <string.h>

#include "abi/mman.h"
#include "base/compiler.h"
#include "base/log.h"
#include "base/mem.h"

/* ---- moving about ---- */

/* The first leaf whose last area ends above va. */
static uint32_t seek_leaf(const struct vma_set *s, uint64_t va)
{
	uint32_t low = 0, high = s->leaf_count;

	while (low < high) {
		uint32_t mid = (low + high) / 2;
		const struct vma_leaf *l = s->leaves[mid];

		if (l->areas[l->count - 1].v.end > va)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

struct vma_pos vma_seek(const struct vma_set *s, uint64_t va)
{
	struct vma_pos p = {seek_leaf(s, va), 0};
	uint32_t high;

	if (p.leaf == s->leaf_count)
		return p;
	high = s->leaves[p.leaf]->count;
	while (p.index < high) {
		uint32_t mid = (p.index + high) / 2;

		if (s->leaves[p.leaf]->areas[mid].v.end > va)
			high = mid;
		else
			p.index = mid + 1;
	}
	return p;
}

struct vm_area *vma_at(const struct vma_set *s, struct vma_pos p)
{
	return p.leaf < s->leaf_count ? &s->leaves[p.leaf]->areas[p.index] : NULL;
}

struct vma_pos vma_next(const struct vma_set *s, struct vma_pos p)
{
	if (++p.index >= s->leaves[p.leaf]->count) {
		p.leaf++;
		p.index = 0;
	}
	return p;
}

bool vma_prev(const struct vma_set *s, struct vma_pos *p)
{
	if (p->index > 0) {
		p->index--;
		return true;
	}
	if (!p->leaf)
		return false;
	p->leaf--;
	p->index = s->leaves[p->leaf]->count - 1;
	return true;
}

struct vm_area *vma_find(const struct vma_set *s, uint64_t va)
{
	struct vm_area *a = vma_at(s, vma_seek(s, va));

	return a && a->v.start <= va ? a : NULL;
}

bool vma_any(const struct vma_set *s, uint64_t start, uint64_t end)
{
	const struct vm_area *a = vma_at(s, vma_seek(s, start));

	return a && a->v.start < end;
}

/* ---- changing ---- */

/* The holes below this leaf's areas and below the next leaf's first area may have changed. */
static void forget_gaps(struct vma_set *s, uint32_t leaf)
{
	for (uint32_t i = leaf; i < s->leaf_count && i <= leaf + 1; i++)
		s->leaves[i]->gap = VMA_GAP_UNKNOWN;
}

void vma_resized(struct vma_set *s, struct vma_pos p)
{
	forget_gaps(s, p.leaf);
}

static struct vma_leaf *add_leaf(struct vma_set *s, uint32_t at)
{
	struct vma_leaf *l = xmalloc(sizeof(*l));

	if (s->leaf_count == s->leaf_capacity) {
		s->leaf_capacity = s->leaf_capacity ? s->leaf_capacity * 2 : 2;
		s->leaves = xrealloc(s->leaves, s->leaf_capacity * sizeof(*s->leaves));
	}
	memmove(s->leaves + at + 1, s->leaves + at, (s->leaf_count - at) * sizeof(*s->leaves));
	s->leaves[at] = l;
	s->leaf_count++;
	l->count = 0;
	l->gap = VMA_GAP_UNKNOWN;
	return l;
}

static void drop_leaf(struct vma_set *s, uint32_t at)
{
	free(s->leaves[at]);
	s->leaf_count--;
	memmove(s->leaves + at, s->leaves + at + 1, (s->leaf_count - at) * sizeof(*s->leaves));
}

static void move_areas(struct vma_leaf *to, struct vma_leaf *from, uint32_t first)
{
	uint32_t count = from->count - first;

	memcpy(to->areas + to->count, from->areas + first, count * sizeof(*to->areas));
	to->count += count;
	from->count = first;
}

/* Makes room in a full leaf: an append starts a new one, anything else halves it. */
static struct vma_pos split_leaf(struct vma_set *s, struct vma_pos p)
{
	struct vma_leaf *fresh = add_leaf(s, p.leaf + 1);
	uint32_t half = p.index == VMA_LEAF ? VMA_LEAF : VMA_LEAF / 2;

	move_areas(fresh, s->leaves[p.leaf], half);
	if (p.index > half || half == VMA_LEAF)
		return (struct vma_pos){p.leaf + 1, p.index - half};
	return p;
}

void vma_insert(struct vma_set *s, const struct vm_area *a)
{
	struct vma_pos p = vma_seek(s, a->v.start);
	struct vma_leaf *l;

	if (!s->leaf_count)
		add_leaf(s, 0);
	if (p.leaf == s->leaf_count)
		p = (struct vma_pos){s->leaf_count - 1, s->leaves[s->leaf_count - 1]->count};
	if (s->leaves[p.leaf]->count == VMA_LEAF)
		p = split_leaf(s, p);
	l = s->leaves[p.leaf];
	debug_check(p.index == l->count || l->areas[p.index].v.start >= a->v.end);
	memmove(l->areas + p.index + 1, l->areas + p.index,
		(l->count - p.index) * sizeof(*l->areas));
	l->areas[p.index] = *a;
	l->count++;
	s->count++;
	forget_gaps(s, p.leaf);
	if (p.leaf)
		forget_gaps(s, p.leaf - 1);
}

void vma_remove(struct vma_set *s, struct vma_pos p)
{
	struct vma_leaf *l = s->leaves[p.leaf];

	l->count--;
	memmove(l->areas + p.index, l->areas + p.index + 1,
		(l->count - p.index) * sizeof(*l->areas));
	s->count--;
	if (!l->count) {
		drop_leaf(s, p.leaf);
	} else if (p.leaf + 1 < s->leaf_count &&
		   l->count + s->leaves[p.leaf + 1]->count <= VMA_LEAF / 2) {
		move_areas(l, s->leaves[p.leaf + 1], 0);
		drop_leaf(s, p.leaf + 1);
	}
	forget_gaps(s, p.leaf);
}

/* ---- holes ---- */

/* Where the room below an area ends. */
static uint64_t low_edge(const struct vm_area *a)
{
	if ((a->v.flags & ABI_MAP_GROWSDOWN) && a->v.start > VMA_GUARD)
		return a->v.start - VMA_GUARD;
	return a->v.start;
}

static uint64_t end_before(const struct vma_set *s, struct vma_pos p)
{
	return vma_prev(s, &p) ? vma_at(s, p)->v.end : 0;
}

static uint64_t leaf_gap(struct vma_set *s, uint32_t leaf)
{
	struct vma_leaf *l = s->leaves[leaf];
	uint64_t end = end_before(s, (struct vma_pos){leaf, 0}), gap = 0;

	if (l->gap != VMA_GAP_UNKNOWN)
		return l->gap;
	for (uint32_t i = 0; i < l->count; i++) {
		uint64_t low = low_edge(&l->areas[i]);

		if (low > end)
			gap = MAX(gap, low - end);
		end = l->areas[i].v.end;
	}
	l->gap = gap;
	return gap;
}

/* The hole below the area at p (or above all), cut to [low, high). */
static bool hole_at(const struct vma_set *s, struct vma_pos p, uint64_t low, uint64_t high,
		    uint64_t *ret_start, uint64_t *ret_end)
{
	const struct vm_area *a = vma_at(s, p);

	*ret_start = MAX(low, end_before(s, p));
	*ret_end = a ? MIN(high, low_edge(a)) : high;
	return *ret_start < *ret_end;
}

uint64_t vma_find_down(struct vma_set *s, uint64_t size, uint64_t align, uint64_t low,
		       uint64_t high)
{
	struct vma_pos p = vma_seek(s, high);
	uint64_t start, end, at;

	if (high <= low)
		return 0;
	for (;;) {
		if (p.leaf < s->leaf_count && leaf_gap(s, p.leaf) < size) {
			p.index = 0;
		} else if (hole_at(s, p, low, high, &start, &end) && end - start >= size) {
			at = (end - size) & ~(align - 1);
			if (at >= start)
				return at;
		}
		if (!vma_prev(s, &p) || vma_at(s, p)->v.end <= low)
			return 0;
	}
}

uint64_t vma_find_up(struct vma_set *s, uint64_t size, uint64_t align, uint64_t low, uint64_t high)
{
	struct vma_pos p = vma_seek(s, low);
	uint64_t start, end;

	while (low < high) {
		const struct vm_area *a = vma_at(s, p);

		if (a && leaf_gap(s, p.leaf) < size) {
			p = (struct vma_pos){p.leaf + 1, 0};
			continue;
		}
		if (hole_at(s, p, low, high, &start, &end)) {
			start = (start + align - 1) & ~(align - 1);
			if (start < end && end - start >= size)
				return start;
		}
		if (!a || a->v.start >= high)
			break;
		p = vma_next(s, p);
	}
	return 0;
}

/* ---- whole sets ---- */

void vma_copy_set(struct vma_set *dst, const struct vma_set *src)
{
	*dst = (struct vma_set){
	    .leaf_count = src->leaf_count, .leaf_capacity = src->leaf_count, .count = src->count};
	if (!src->leaf_count)
		return;
	dst->leaves = xcalloc(src->leaf_count, sizeof(*dst->leaves));
	for (uint32_t i = 0; i < src->leaf_count; i++) {
		dst->leaves[i] = xmalloc(sizeof(**dst->leaves));
		memcpy(dst->leaves[i], src->leaves[i], sizeof(**dst->leaves));
	}
}

void vma_destroy_set(struct vma_set *s)
{
	for (uint32_t i = 0; i < s->leaf_count; i++)
		free(s->leaves[i]);
	free(s->leaves);
	*s = (struct vma_set){0};
}
