/* SPDX-License-Identifier: Apache-2.0 */
/* Areas within an address space: references, accounts, splitting and joining, and undo. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/caps.h"
#include "abi/mman.h"
#include "abi/resource.h"
#include "base/compiler.h"
#include "base/mem.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm_internal.h"
#include "sentry/vfs/vfs.h"

/* ---- references ---- */

struct shared_anon *shared_anon_new(void)
{
	struct shared_anon *s = xnew(struct shared_anon);

	refcount_init(&s->ref);
	return s;
}

void shared_anon_put(struct shared_anon *s)
{
	if (s && refcount_put(&s->ref))
		free(s);
}

/* What i_mmap_writable of Linux counts. Saved areas (op_save) have references, but don't count. */
static void count_map(const struct vm_area *a, int sign)
{
	if (a->v.file && (a->v.flags & ABI_MAP_SHARED) && file_writable(a->v.file))
		atomic_fetch_add(&a->v.file->inode->shared_maps, (unsigned)sign);
}

void area_get(const struct vm_area *a)
{
	count_map(a, 1);
	if (a->v.file)
		file_get(a->v.file);
	if (a->shared)
		refcount_get(&a->shared->ref);
}

void area_put(const struct vm_area *a)
{
	count_map(a, -1);
	if (a->v.file)
		file_put(a->v.file);
	shared_anon_put(a->shared);
}

/* ---- accounts ---- */

/* Private and writable memory that isn't stack: what RLIMIT_DATA counts. */
bool area_is_data(const struct vm_area *a)
{
	return (a->v.prot & ABI_PROT_WRITE) && !(a->v.flags & ABI_MAP_SHARED) &&
	       !(a->v.flags & ABI_MAP_GROWSDOWN);
}

/* sign 1 or -1. */
static void account(struct mm *mm, const struct vm_area *a, int sign)
{
	uint64_t size = (a->v.end - a->v.start) * (uint64_t)(int64_t)sign;
	struct mm_usage *u = &mm->usage;

	u->total += size;
	u->peak = MAX(u->peak, u->total);
	if (area_is_data(a))
		u->data += size;
	if (a->v.flags & ABI_MAP_GROWSDOWN)
		u->stack += size;
	if (a->v.prot & ABI_PROT_EXEC)
		u->exec += size;
	if (a->v.flags & ABI_MAP_SHARED)
		u->shared += size;
	if (a->v.flags & ABI_MAP_LOCKED)
		u->locked += size;
}

uint64_t mm_rlimit(struct task *t, int which)
{
	uint64_t limit;

	mutex_lock(&t->tg->siglock);
	limit = t->tg->rlimits[which].cur;
	mutex_unlock(&t->tg->siglock);
	return limit;
}

int mm_may_grow(struct mm *mm, struct task *t, const struct mm_growth *g)
{
	uint64_t data_limit = mm_rlimit(t, ABI_RLIMIT_DATA);

	if (mm->vmas.count >= MM_VMAS_MAX)
		return -ENOMEM;
	if (mm->usage.total + g->total > mm_rlimit(t, ABI_RLIMIT_AS))
		return -ENOMEM;
	return g->data && mm->usage.data + g->data > data_limit ? -ENOMEM : 0;
}

int mm_may_lock(struct mm *mm, struct task *t, uint64_t more, int error)
{
	uint64_t limit = mm_rlimit(t, ABI_RLIMIT_MEMLOCK);

	if (cred_capable(t->cred, ABI_CAP_IPC_LOCK))
		return 0;
	if (!limit)
		return -EPERM;
	return mm->usage.locked + more > limit ? error : 0;
}

/* ---- splitting and joining ---- */

/* Whether b goes on where a ends, in every respect. */
static bool continues(const struct vm_area *a, const struct vm_area *b)
{
	if (a->v.end != b->v.start || a->v.prot != b->v.prot || a->v.flags != b->v.flags ||
	    a->v.file != b->v.file || a->v.name != b->v.name || a->max_prot != b->max_prot ||
	    a->advice != b->advice || a->shared != b->shared)
		return false;
	if (!a->v.file && !a->shared)
		return true;
	return a->v.offset + (a->v.end - a->v.start) == b->v.offset;
}

/* The offset counts only where there is something behind the mapping. */
static uint64_t offset_at(const struct vm_area *a, uint64_t va)
{
	return a->v.file || a->shared ? a->v.offset + (va - a->v.start) : 0;
}

static struct vm_area area_cut(const struct vm_area *a, uint64_t start, uint64_t end)
{
	struct vm_area cut = *a;

	cut.v.start = MAX(start, a->v.start);
	cut.v.end = MIN(end, a->v.end);
	cut.v.offset = offset_at(a, cut.v.start);
	return cut;
}

void mm_split(struct mm *mm, uint64_t va)
{
	struct vma_pos p = vma_seek(&mm->vmas, va);
	struct vm_area *a = vma_at(&mm->vmas, p), upper;

	assert_held(&mm->lock);
	if (!a || a->v.start >= va)
		return;
	upper = area_cut(a, va, a->v.end);
	a->v.end = va;
	vma_resized(&mm->vmas, p);
	area_get(&upper);
	vma_insert(&mm->vmas, &upper);
}

/* Joins the areas that meet at va, if one continues the other. */
static void join_at(struct mm *mm, uint64_t va)
{
	struct vma_pos upper = vma_seek(&mm->vmas, va), lower = upper;
	struct vm_area *a, *b = vma_at(&mm->vmas, upper);

	if (!b || !vma_prev(&mm->vmas, &lower))
		return;
	a = vma_at(&mm->vmas, lower);
	if (!continues(a, b))
		return;
	a->v.end = b->v.end;
	a->was_writable |= b->was_writable;
	area_put(b); /* never the last reference: a has the same */
	vma_remove(&mm->vmas, upper);
	vma_resized(&mm->vmas, lower);
}

void mm_add(struct mm *mm, const struct vm_area *a)
{
	assert_held(&mm->lock);
	debug_check(!vma_any(&mm->vmas, a->v.start, a->v.end));
	account(mm, a, 1);
	vma_insert(&mm->vmas, a);
	join_at(mm, a->v.end);
	join_at(mm, a->v.start);
}

void mm_clear(struct mm *mm, uint64_t start, uint64_t end)
{
	assert_held(&mm->lock);
	mm_split(mm, start);
	mm_split(mm, end);
	for (;;) {
		struct vma_pos p = vma_seek(&mm->vmas, start);
		struct vm_area *a = vma_at(&mm->vmas, p), gone;

		if (!a || a->v.start >= end)
			return;
		gone = *a;
		account(mm, &gone, -1);
		vma_remove(&mm->vmas, p);
		area_put(&gone);
	}
}

void mm_change(struct mm *mm, uint64_t start, uint64_t end,
	       void (*fn)(struct vm_area *a, uint64_t arg), uint64_t arg)
{
	uint64_t at = start;

	assert_held(&mm->lock);
	mm_split(mm, start);
	mm_split(mm, end);
	for (;;) {
		struct vm_area *a = vma_at(&mm->vmas, vma_seek(&mm->vmas, at));

		if (!a || a->v.start >= end)
			break;
		account(mm, a, -1);
		fn(a, arg);
		account(mm, a, 1);
		at = a->v.end;
		join_at(mm, a->v.start);
	}
	join_at(mm, end);
}

uint64_t mm_first_hole(struct mm *mm, uint64_t start, uint64_t end)
{
	struct vma_pos p = vma_seek(&mm->vmas, start);
	const struct vm_area *a;

	while (start < end && (a = vma_at(&mm->vmas, p)) && a->v.start <= start) {
		start = a->v.end;
		p = vma_next(&mm->vmas, p);
	}
	return MIN(start, end);
}

uint64_t mm_mapped_in(struct mm *mm, uint64_t start, uint64_t end)
{
	struct vma_pos p = vma_seek(&mm->vmas, start);
	const struct vm_area *a;
	uint64_t sum = 0;

	for (; (a = vma_at(&mm->vmas, p)) && a->v.start < end; p = vma_next(&mm->vmas, p))
		sum += MIN(a->v.end, end) - MAX(a->v.start, start);
	return sum;
}

/* ---- operations under way, and undo ---- */

bool op_over(const struct mm_op *op)
{
	return atomic_load(&op->task->call_count) != op->call_count ||
	       (atomic_load(&op->task->state) & TASK_STATE_MASK) == TASK_DEAD;
}

static void op_free(struct mm_op *op)
{
	for (uint32_t i = 0; i < op->saved_count; i++) {
		for (uint32_t n = 0; n < op->saved[i].count; n++) {
			count_map(&op->saved[i].areas[n], 1);
			area_put(&op->saved[i].areas[n]);
		}
		free(op->saved[i].areas);
	}
	if (op->mapped)
		file_put(op->mapped);
	if (op->patched)
		patch_file_put(op->patched);
	if (op->task)
		task_put(op->task);
	free(op);
}

void op_free_all(struct list *ops)
{
	struct mm_op *op, *next;

	list_for_each_safe (op, next, ops, link)
		op_free(op);
	list_init(ops);
}

static void collect_over(struct mm *mm, struct list *over)
{
	struct mm_op *op, *next;

	list_for_each_safe (op, next, &mm->ops, link) {
		if (!op_over(op))
			continue;
		list_del(&op->link);
		list_add_tail(over, &op->link);
	}
}

struct mm_op *op_start(struct task *t)
{
	struct mm_op *op = xnew(struct mm_op);

	list_init(&op->link);
	op->call_count = atomic_load(&t->call_count);
	mutex_lock(&t->mm->lock);
	return op;
}

int64_t op_finish(struct task *t, struct mm_op *op, bool committed, int64_t ret)
{
	struct list over = LIST_INIT(over);

	collect_over(t->mm, &over);
	if (committed) {
		op->task = task_get(t);
		t->mm_op_pending = true;
		list_add_tail(&t->mm->ops, &op->link);
	}
	mutex_unlock(&t->mm->lock);
	op_free_all(&over);
	if (!committed)
		op_free(op);
	return ret;
}

static uint32_t count_areas(const struct mm *mm, uint64_t start, uint64_t end)
{
	struct vma_pos p = vma_seek(&mm->vmas, start);
	const struct vm_area *a;
	uint32_t count = 0;

	for (; (a = vma_at(&mm->vmas, p)) && a->v.start < end; p = vma_next(&mm->vmas, p))
		count++;
	return count;
}

void op_save(struct mm *mm, struct mm_op *op, uint64_t start, uint64_t end)
{
	struct vma_pos p = vma_seek(&mm->vmas, start);
	struct saved_range *r = &op->saved[op->saved_count++];

	check(op->saved_count <= array_count(op->saved));
	*r = (struct saved_range){start, end, NULL, count_areas(mm, start, end)};
	if (!r->count)
		return;
	r->areas = xcalloc(r->count, sizeof(*r->areas));
	for (uint32_t i = 0; i < r->count; i++, p = vma_next(&mm->vmas, p)) {
		r->areas[i] = area_cut(vma_at(&mm->vmas, p), start, end);
		area_get(&r->areas[i]);
		count_map(&r->areas[i], -1);
	}
}

static void op_undo(struct mm *mm, struct mm_op *op)
{
	while (op->saved_count > 0) {
		struct saved_range *r = &op->saved[--op->saved_count];

		mm_clear(mm, r->start, r->end);
		for (uint32_t i = 0; i < r->count; i++) {
			count_map(&r->areas[i], 1);
			mm_add(mm, &r->areas[i]);
		}
		free(r->areas);
	}
	if (op->is_brk)
		mm->layout.brk = op->old_brk;
}

const struct mm_op *op_conflict(const struct mm *mm, const struct task *t, uint64_t start,
				uint64_t end)
{
	const struct mm_op *op;

	if (atomic_load(&mm->user_count) <= 1)
		return NULL;
	list_for_each (op, &mm->ops, link)
		if (op->task != t && op->freed_start < end && start < op->freed_end && !op_over(op))
			return op;
	return NULL;
}

static struct mm_op *op_of(struct mm *mm, const struct task *t)
{
	struct mm_op *op;

	list_for_each (op, &mm->ops, link)
		if (op->task == t)
			return op;
	return NULL;
}

int64_t mm_ops_begin(struct task *t)
{
	return mm_patches_fork(t);
}

void mm_fork_over(struct mm *mm)
{
	mm_patches_forked(mm);
}

/* Called with each reply: lets go of what the task's earlier operation kept. */
void mm_ops_end(struct task *t)
{
	struct list over = LIST_INIT(over);

	if (!t->mm_op_pending || !t->mm)
		return;
	mutex_lock(&t->mm->lock);
	collect_over(t->mm, &over);
	t->mm_op_pending = op_of(t->mm, t);
	mutex_unlock(&t->mm->lock);
	op_free_all(&over);
}

int64_t mm_ops_failed(struct task *t, uint32_t index, int error)
{
	struct mm *mm = t->mm;
	int64_t ret = error;
	struct mm_op *op;

	(void)index; /* a call has one operation that changes areas */
	if (!mm)
		return error;
	mutex_lock(&mm->lock);
	mm_patches_undo(t);
	op = op_of(mm, t);
	if (op && !op_over(op)) {
		if (op->is_brk)
			ret = (int64_t)op->old_brk;
		op_undo(mm, op);
		list_del(&op->link);
	} else {
		op = NULL;
	}
	mutex_unlock(&mm->lock);
	if (op)
		op_free(op);
	return ret;
}
