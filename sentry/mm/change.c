/* SPDX-License-Identifier: Apache-2.0 */
/* mprotect, mremap, madvise, msync, mlock: changes of what is mapped (their man pages; the order of
 * checks is that of Linux, mm/mprotect.c, mm/mremap.c, mm/madvise.c). */
#include <errno.h>

#include "abi/fcntl.h"
#include "abi/mman.h"
#include "base/compiler.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_block.h"
#include "sentry/kernel/unsupported.h"
#include "sentry/mm/mm_internal.h"
#include "sentry/vfs/vfs.h"

#define PROT_ALL (ABI_PROT_READ | ABI_PROT_WRITE | ABI_PROT_EXEC)

/* Rounds size up and checks that the range is one of the guest's. False: it isn't. */
static bool round_range(uint64_t addr, uint64_t *size)
{
	uint64_t rounded = PAGE_ALIGN_UP(*size);

	if (rounded < *size || addr > PLATFORM_GUEST_MAX || rounded > PLATFORM_GUEST_MAX - addr)
		return false;
	*size = rounded;
	return true;
}

int64_t mm_check_mapped(struct mm *mm, uint64_t start, uint64_t end)
{
	bool whole;

	mutex_lock(&mm->lock);
	whole = mm_first_hole(mm, start, end) == end;
	mutex_unlock(&mm->lock);
	return whole ? 0 : -ENOMEM;
}

/* ---- mprotect ---- */

static void set_prot(struct vm_area *a, uint64_t prot)
{
	a->v.prot = (uint32_t)prot;
	a->was_writable |= prot & ABI_PROT_WRITE;
}

/* How far the change may go from start: up to a hole or to an area that doesn't allow it. */
static uint64_t protect_limit(struct mm *mm, uint64_t start, uint64_t end, uint32_t prot,
			      uint64_t *ret_data, int *ret_err)
{
	struct vma_pos p = vma_seek(&mm->vmas, start);
	const struct vm_area *a;

	*ret_err = 0;
	*ret_data = 0;
	for (; start < end; p = vma_next(&mm->vmas, p)) {
		a = vma_at(&mm->vmas, p);
		if (!a || a->v.start > start)
			*ret_err = -ENOMEM;
		else if (prot & ~a->max_prot)
			*ret_err = -EACCES;
		if (*ret_err)
			return start;
		if ((prot & ABI_PROT_WRITE) && !area_is_data(a) &&
		    !(a->v.flags & (ABI_MAP_SHARED | ABI_MAP_GROWSDOWN)))
			*ret_data += MIN(end, a->v.end) - start;
		start = MIN(end, a->v.end);
	}
	return end;
}

static int64_t protect(struct task *t, struct mm_op *op, uint64_t start, uint64_t end,
		       uint32_t prot)
{
	const struct memop m = {
	    .type = MEMOP_MPROTECT, .addr = start, .size = end - start, .prot = prot};
	int64_t err;

	if (t->mm->vmas.count + 2 > MM_VMAS_MAX)
		return -ENOMEM;
	err = mm_patches_changing(t, start, end);
	if (!err)
		err = task_add_memop(t, &m);
	if (err)
		return err;
	op_save(t->mm, op, start, end);
	mm_change(t->mm, start, end, set_prot, prot);
	return 0;
}

/* PROT_GROWSDOWN: from the beginning of the area, which must be one that grows. */
static int64_t grows_start(struct mm *mm, uint64_t start, uint64_t *ret_start)
{
	const struct vm_area *a = vma_find(&mm->vmas, start);

	if (!a)
		return -ENOMEM;
	if (!(a->v.flags & ABI_MAP_GROWSDOWN))
		return -EINVAL;
	*ret_start = a->v.start;
	return 0;
}

int64_t mm_mprotect(struct task *t, uint64_t addr, uint64_t size, uint64_t prot)
{
	uint64_t grows = prot & (ABI_PROT_GROWSDOWN | ABI_PROT_GROWSUP), stop, data;
	struct mm_growth g = {0, 0};
	struct mm_op *op;
	int64_t ret = 0;
	int err;

	prot &= ~grows;
	if (grows == (ABI_PROT_GROWSDOWN | ABI_PROT_GROWSUP) || (addr & (PAGE_SIZE - 1)))
		return -EINVAL;
	if (!size)
		return 0;
	if (!round_range(addr, &size))
		return -ENOMEM;
	if (prot & ~(uint64_t)(PROT_ALL | ABI_PROT_SEM) || grows == ABI_PROT_GROWSUP)
		return -EINVAL;
	prot &= PROT_ALL;
	op = op_start(t);
	size += addr; /* the end */
	ret = mm_patches_wait(t);
	if (!ret && grows)
		ret = grows_start(t->mm, addr, &addr);
	if (ret)
		return op_finish(t, op, false, ret);
	stop = protect_limit(t->mm, addr, size, (uint32_t)prot, &data, &err);
	g.data = data;
	if (stop == addr)
		return op_finish(t, op, false, err);
	if (data && mm_may_grow(t->mm, t, &g))
		return op_finish(t, op, false, -ENOMEM);
	ret = protect(t, op, addr, stop, (uint32_t)prot);
	return op_finish(t, op, !ret, ret ? ret : err);
}

/* ---- mremap ---- */

struct remap {
	uint64_t addr, old_size, new_size, new_addr;
	uint32_t flags;
};

static int check_remap_args(struct remap *r)
{
	uint32_t known = ABI_MREMAP_MAYMOVE | ABI_MREMAP_FIXED | ABI_MREMAP_DONTUNMAP;
	bool places = r->flags & (ABI_MREMAP_FIXED | ABI_MREMAP_DONTUNMAP);

	if (r->flags & ~known || (r->addr & (PAGE_SIZE - 1)))
		return -EINVAL;
	if ((r->flags & (ABI_MREMAP_FIXED | ABI_MREMAP_DONTUNMAP)) &&
	    !(r->flags & ABI_MREMAP_MAYMOVE))
		return -EINVAL;
	if ((r->flags & ABI_MREMAP_DONTUNMAP) && r->old_size != r->new_size)
		return -EINVAL;
	if (r->addr >= PLATFORM_GUEST_MAX || r->old_size > PLATFORM_GUEST_MAX ||
	    r->new_size > PLATFORM_GUEST_MAX)
		return -EINVAL;
	r->old_size = PAGE_ALIGN_UP(r->old_size);
	r->new_size = PAGE_ALIGN_UP(r->new_size);
	if (!r->new_size)
		return -EINVAL;
	if (!places)
		return 0;
	if ((r->new_addr & (PAGE_SIZE - 1)) || r->new_addr >= PLATFORM_GUEST_MAX ||
	    r->new_size > PLATFORM_GUEST_MAX - r->new_addr)
		return -EINVAL;
	if (r->addr + r->old_size > r->new_addr && r->new_addr + r->new_size > r->addr)
		return -EINVAL;
	return (r->flags & ABI_MREMAP_FIXED) && r->new_addr < PLATFORM_GUEST_MIN ? -EPERM : 0;
}

/* The area that is to be moved or made larger. */
static int check_source(struct mm *mm, struct task *t, const struct remap *r,
			const struct vm_area **ret_area)
{
	const struct vm_area *a = vma_find(&mm->vmas, r->addr);
	uint64_t more = r->new_size > r->old_size ? r->new_size - r->old_size : 0;
	struct mm_growth g = {more, 0};
	int err;

	if (!a)
		return -EFAULT;
	if (!r->old_size && !(a->v.flags & ABI_MAP_SHARED))
		return -EINVAL;
	if (r->old_size > a->v.end - r->addr)
		return -EFAULT;
	if (r->flags & ABI_MREMAP_DONTUNMAP)
		g.total = r->new_size;
	if (a->v.file && a->v.offset + (r->addr - a->v.start) + r->new_size < r->new_size)
		return -EINVAL;
	if (area_is_data(a))
		g.data = g.total;
	err = (a->v.flags & ABI_MAP_LOCKED) ? mm_may_lock(mm, t, more, -EAGAIN) : 0;
	if (!err && mm->vmas.count + 3 > MM_VMAS_MAX)
		err = -ENOMEM;
	if (!err)
		err = mm_may_grow(mm, t, &g);
	*ret_area = a;
	return err;
}

static int add_remap_memop(struct task *t, const struct remap *r, uint64_t to)
{
	const struct memop m = {
	    .type = MEMOP_MREMAP,
	    .flags = r->flags & ABI_MREMAP_DONTUNMAP ? MEMOP_DONTUNMAP : 0,
	    .addr = r->addr,
	    .size = r->old_size,
	    .new_addr = to,
	    .new_size = r->new_size,
	};

	return task_add_memop(t, &m);
}

/* What the area is at its new place. */
static struct vm_area moved_area(const struct vm_area *a, const struct remap *r, uint64_t to)
{
	struct vm_area m = *a;

	m.v.start = to;
	m.v.end = to + r->new_size;
	if (a->v.file || a->shared)
		m.v.offset = a->v.offset + (r->addr - a->v.start);
	return m;
}

static int64_t grow_in_place(struct task *t, struct mm_op *op, const struct remap *r,
			     const struct vm_area *a)
{
	struct vm_area whole = moved_area(a, r, r->addr);
	int err = add_remap_memop(t, r, r->addr);

	if (err)
		return err;
	op_save(t->mm, op, r->addr, r->addr + r->new_size);
	area_get(&whole);
	mm_clear(t->mm, r->addr, r->addr + r->old_size);
	mm_add(t->mm, &whole);
	return (int64_t)r->addr;
}

static int64_t move_to(struct task *t, struct mm_op *op, const struct remap *r,
		       const struct vm_area *a, uint64_t to)
{
	struct vm_area moved = moved_area(a, r, to);
	int64_t err = mm_patches_yield(t, to, to + r->new_size);

	if (!err) /* nothing fails behind this */
		err = mm_patches_replacing(t, to, to + r->new_size);
	if (!err)
		err = add_remap_memop(t, r, to);
	if (err)
		return err;
	area_get(&moved);
	op_save(t->mm, op, to, to + r->new_size);
	mm_clear(t->mm, to, to + r->new_size);
	if (r->old_size && !(r->flags & ABI_MREMAP_DONTUNMAP)) {
		op_save(t->mm, op, r->addr, r->addr + r->old_size);
		mm_clear(t->mm, r->addr, r->addr + r->old_size);
		op->freed_start = r->addr;
		op->freed_end = r->addr + r->old_size;
	}
	mm_add(t->mm, &moved);
	return (int64_t)to;
}

static bool room_behind(struct mm *mm, struct task *t, const struct remap *r,
			const struct vm_area *a)
{
	uint64_t start = r->addr + r->old_size, end = r->addr + r->new_size;
	uint64_t kept_start, kept_end;

	return a->v.end == start && end <= PLATFORM_GUEST_MAX && !vma_any(&mm->vmas, start, end) &&
	       !op_conflict(mm, t, start, end) &&
	       !mm_patches_keep(mm, start, end, &kept_start, &kept_end);
}

static int64_t shrink(struct task *t, struct mm_op *op, const struct remap *r)
{
	uint64_t start = r->addr + r->new_size, end = r->addr + r->old_size;
	const struct memop m = {.type = MEMOP_MUNMAP, .addr = start, .size = end - start};
	int err;

	if (end > PLATFORM_GUEST_MAX)
		return -EINVAL;
	if (start == end || !vma_any(&t->mm->vmas, start, end))
		return (int64_t)r->addr;
	if (t->mm->vmas.count >= MM_VMAS_MAX)
		return -ENOMEM;
	err = task_add_memop(t, &m);
	if (err)
		return err;
	op_save(t->mm, op, start, end);
	mm_clear(t->mm, start, end);
	op->freed_start = start;
	op->freed_end = end;
	return (int64_t)r->addr;
}

static int64_t remap_locked(struct task *t, struct mm_op *op, const struct remap *r)
{
	struct mm *mm = t->mm;
	const struct vm_area *a;
	uint64_t to;
	int err;

	if (!(r->flags & (ABI_MREMAP_FIXED | ABI_MREMAP_DONTUNMAP)) && r->old_size >= r->new_size)
		return vma_find(&mm->vmas, r->addr) ? shrink(t, op, r) : -EFAULT;
	err = check_source(mm, t, r, &a);
	if (err)
		return err;
	if (r->flags & ABI_MREMAP_FIXED)
		return move_to(t, op, r, a, r->new_addr);
	if (!(r->flags & ABI_MREMAP_DONTUNMAP) && r->old_size && room_behind(mm, t, r, a))
		return grow_in_place(t, op, r, a);
	if (!(r->flags & ABI_MREMAP_MAYMOVE))
		return -ENOMEM;
	to = mm_choose(mm, t, r->flags & ABI_MREMAP_DONTUNMAP ? r->new_addr : 0, r->new_size,
		       a->v.flags);
	return to ? move_to(t, op, r, a, to) : -ENOMEM;
}

int64_t mm_mremap(struct task *t, uint64_t addr, uint64_t old_size, uint64_t new_size,
		  uint32_t flags, uint64_t new_addr)
{
	struct remap r = {addr, old_size, new_size, new_addr, flags};
	int64_t ret = check_remap_args(&r);
	struct mm_op *op;

	if (ret)
		return ret;
	op = op_start(t);
	ret = mm_patches_wait(t);
	if (!ret)
		ret = mm_patches_changing(t, r.addr, r.addr + MAX(r.old_size, PAGE_SIZE));
	if (!ret)
		ret = remap_locked(t, op, &r);
	return op_finish(t, op, ret >= 0 && op->saved_count, ret);
}

/* ---- madvise ---- */

enum advice_way {
	ADVICE_BAD,	/* Linux refuses it too */
	ADVICE_HOST,	/* the host does it */
	ADVICE_NOTE,	/* kept here only */
	ADVICE_BOTH,	/* kept here, for fork and /proc, and done by the host */
	ADVICE_PUNCH,	/* a hole in the file, made here */
	ADVICE_LACKING, /* Linux has it */
	ADVICE_ADMIN,	/* needs CAP_SYS_ADMIN on Linux; not offered */
};

struct advice {
	enum advice_way way;
	uint32_t set, clear; /* AREA_* */
};

static const struct advice advices[] = {
    [ABI_MADV_NORMAL] = {ADVICE_HOST, 0, 0},
    [ABI_MADV_RANDOM] = {ADVICE_HOST, 0, 0},
    [ABI_MADV_SEQUENTIAL] = {ADVICE_HOST, 0, 0},
    [ABI_MADV_WILLNEED] = {ADVICE_HOST, 0, 0},
    [ABI_MADV_DONTNEED] = {ADVICE_HOST, 0, 0},
    [ABI_MADV_FREE] = {ADVICE_HOST, 0, 0},
    [ABI_MADV_REMOVE] = {ADVICE_PUNCH, 0, 0},
    [ABI_MADV_DONTFORK] = {ADVICE_BOTH, AREA_DONTFORK, 0},
    [ABI_MADV_DOFORK] = {ADVICE_BOTH, 0, AREA_DONTFORK},
    [ABI_MADV_MERGEABLE] = {ADVICE_LACKING, 0, 0},
    [ABI_MADV_UNMERGEABLE] = {ADVICE_LACKING, 0, 0},
    [ABI_MADV_COLLAPSE] = {ADVICE_LACKING, 0, 0},
    [ABI_MADV_HUGEPAGE] = {ADVICE_BOTH, AREA_HUGEPAGE, AREA_NOHUGEPAGE},
    [ABI_MADV_NOHUGEPAGE] = {ADVICE_BOTH, AREA_NOHUGEPAGE, AREA_HUGEPAGE},
    [ABI_MADV_DONTDUMP] = {ADVICE_NOTE, AREA_DONTDUMP, 0},
    [ABI_MADV_DODUMP] = {ADVICE_NOTE, 0, AREA_DONTDUMP},
    [ABI_MADV_WIPEONFORK] = {ADVICE_BOTH, AREA_WIPEONFORK, 0},
    [ABI_MADV_KEEPONFORK] = {ADVICE_BOTH, 0, AREA_WIPEONFORK},
    [ABI_MADV_COLD] = {ADVICE_HOST, 0, 0},
    [ABI_MADV_PAGEOUT] = {ADVICE_HOST, 0, 0},
    [ABI_MADV_POPULATE_READ] = {ADVICE_HOST, 0, 0},
    [ABI_MADV_POPULATE_WRITE] = {ADVICE_HOST, 0, 0},
    [ABI_MADV_DONTNEED_LOCKED] = {ADVICE_HOST, 0, 0},
};

static struct advice advice_of(int advice)
{
	if (advice == ABI_MADV_HWPOISON || advice == ABI_MADV_SOFT_OFFLINE)
		return (struct advice){ADVICE_ADMIN, 0, 0};
	if (advice < 0 || advice >= (int)array_count(advices))
		return (struct advice){ADVICE_BAD, 0, 0};
	return advices[advice];
}

static void set_advice(struct vm_area *a, uint64_t set)
{
	a->advice |= (uint32_t)set;
}

static void clear_advice(struct vm_area *a, uint64_t clear)
{
	a->advice &= ~(uint32_t)clear;
}

/* Advice that an area in the range doesn't take: 0 or the error. */
static int check_areas(struct mm *mm, uint64_t start, uint64_t end, int advice)
{
	for (struct vma_pos p = vma_seek(&mm->vmas, start);; p = vma_next(&mm->vmas, p)) {
		const struct vm_area *a = vma_at(&mm->vmas, p);
		bool anon_private;

		if (!a || a->v.start >= end)
			return 0;
		anon_private = !a->v.file && !(a->v.flags & ABI_MAP_SHARED);
		if ((advice == ABI_MADV_FREE || advice == ABI_MADV_WIPEONFORK) && !anon_private)
			return -EINVAL;
		if ((advice == ABI_MADV_DONTNEED || advice == ABI_MADV_FREE) &&
		    (a->v.flags & ABI_MAP_LOCKED))
			return -EINVAL;
		if (advice == ABI_MADV_REMOVE &&
		    (!(a->v.flags & ABI_MAP_SHARED) || (a->v.flags & ABI_MAP_LOCKED)))
			return -EINVAL;
		if (advice == ABI_MADV_REMOVE && !(a->max_prot & ABI_PROT_WRITE))
			return -EACCES;
	}
}

/* The flags that the tree keeps; a failure on the host leaves them, they only hint. */
static int64_t note_advice(struct mm *mm, uint64_t start, uint64_t end, int advice,
			   const struct advice *how)
{
	int64_t err;

	mutex_lock(&mm->lock);
	err = check_areas(mm, start, end, advice);
	if (!err && mm->vmas.count + 2 > MM_VMAS_MAX)
		err = -ENOMEM;
	if (!err && how->set)
		mm_change(mm, start, end, set_advice, how->set);
	if (!err && how->clear)
		mm_change(mm, start, end, clear_advice, how->clear);
	if (!err && how->way == ADVICE_NOTE && mm_first_hole(mm, start, end) != end)
		err = -ENOMEM;
	mutex_unlock(&mm->lock);
	return err;
}

/* A part of the range that lies in one file mapping. */
struct file_part {
	struct file *file; /* reference, or NULL: a shared anonymous mapping */
	uint64_t start, end, offset;
};

/* The first part at or above `at`; false: none. */
static bool next_part(struct mm *mm, uint64_t at, uint64_t end, struct file_part *ret)
{
	const struct vm_area *a;

	mutex_lock(&mm->lock);
	a = vma_at(&mm->vmas, vma_seek(&mm->vmas, at));
	if (a && a->v.start < end) {
		*ret = (struct file_part){a->v.file ? file_get(a->v.file) : NULL,
					  MAX(at, a->v.start), MIN(end, a->v.end), 0};
		ret->offset = a->v.offset + (ret->start - a->v.start);
	} else {
		a = NULL;
	}
	mutex_unlock(&mm->lock);
	return a;
}

static int64_t punch_hole(struct task *t, const struct file_part *p)
{
	if (!p->file)
		return unsupported(t, EINVAL, "MADV_REMOVE of anonymous memory");
	if (!p->file->ops->fallocate)
		return -EOPNOTSUPP;
	worker_going_long();
	return p->file->ops->fallocate(p->file, ABI_FALLOC_FL_PUNCH_HOLE | ABI_FALLOC_FL_KEEP_SIZE,
				       (int64_t)p->offset, (int64_t)(p->end - p->start));
}

static int64_t punch_holes(struct task *t, uint64_t start, uint64_t end)
{
	struct file_part p;
	int64_t err = 0;
	bool hole = false;

	for (; !err && start < end && next_part(t->mm, start, end, &p); start = p.end) {
		hole |= p.start != start;
		err = punch_hole(t, &p);
		if (p.file)
			file_put(p.file);
	}
	return err ? err : hole || start < end ? -ENOMEM : 0;
}

int64_t mm_madvise(struct task *t, uint64_t addr, uint64_t size, int advice)
{
	const struct advice how = advice_of(advice);
	struct memop m = {
	    .type = MEMOP_MADVISE, .addr = addr, .size = PAGE_ALIGN_UP(size), .advice = advice};
	int64_t err;

	if (how.way == ADVICE_ADMIN)
		return unsupported(t, EPERM, "advice %d", advice);
	if (how.way == ADVICE_BAD)
		return -EINVAL;
	if (how.way == ADVICE_LACKING)
		return unsupported(t, EINVAL, "advice %d", advice);
	if ((addr & (PAGE_SIZE - 1)) || (size && !m.size))
		return -EINVAL;
	if (addr + m.size < addr)
		return -EINVAL;
	if (!size)
		return 0;
	if (!round_range(addr, &size))
		return -ENOMEM;
	err = note_advice(t->mm, addr, addr + size, advice, &how);
	if (err || how.way == ADVICE_NOTE)
		return err;
	if (how.way == ADVICE_PUNCH)
		return punch_holes(t, addr, addr + size);
	err = mm_patches_advise(t, addr, addr + size);
	if (err)
		return err;
	if (advice == ABI_MADV_DONTNEED_LOCKED)
		m.advice = ABI_MADV_DONTNEED; /* nothing is locked on the host */
	return task_add_memop(t, &m);
}

/* ---- msync ---- */

/* The next shared file mapping at or above *at, with a reference; NULL: none. */
static struct file *next_shared_file(struct mm *mm, uint64_t *at, uint64_t end)
{
	struct file *f = NULL;

	mutex_lock(&mm->lock);
	for (struct vma_pos p = vma_seek(&mm->vmas, *at);; p = vma_next(&mm->vmas, p)) {
		const struct vm_area *a = vma_at(&mm->vmas, p);

		if (!a || a->v.start >= end)
			break;
		*at = a->v.end;
		if (a->v.file && (a->v.flags & ABI_MAP_SHARED)) {
			f = file_get(a->v.file);
			break;
		}
	}
	mutex_unlock(&mm->lock);
	return f;
}

static bool any_locked(struct mm *mm, uint64_t start, uint64_t end)
{
	bool locked = false;

	mutex_lock(&mm->lock);
	for (struct vma_pos p = vma_seek(&mm->vmas, start);; p = vma_next(&mm->vmas, p)) {
		const struct vm_area *a = vma_at(&mm->vmas, p);

		if (!a || a->v.start >= end || locked)
			break;
		locked = a->v.flags & ABI_MAP_LOCKED;
	}
	mutex_unlock(&mm->lock);
	return locked;
}

static int sync_range(struct mm *mm, uint64_t start, uint64_t end)
{
	struct file *f;
	int err = 0;

	while (!err && start < end && (f = next_shared_file(mm, &start, end))) {
		worker_going_long();
		if (f->ops->fsync)
			err = f->ops->fsync(f, true);
		file_put(f);
	}
	return err;
}

int64_t mm_msync(struct task *t, uint64_t addr, uint64_t size, int flags)
{
	int64_t err;

	if (flags & ~(ABI_MS_ASYNC | ABI_MS_INVALIDATE | ABI_MS_SYNC) || (addr & (PAGE_SIZE - 1)) ||
	    ((flags & ABI_MS_ASYNC) && (flags & ABI_MS_SYNC)))
		return -EINVAL;
	if (!round_range(addr, &size))
		return -ENOMEM;
	if (!size)
		return 0;
	if ((flags & ABI_MS_INVALIDATE) && any_locked(t->mm, addr, addr + size))
		return -EBUSY;
	err = flags & ABI_MS_SYNC ? sync_range(t->mm, addr, addr + size) : 0;
	return err ? err : mm_check_mapped(t->mm, addr, addr + size);
}

/* ---- mlock ---- */

static void set_locked(struct vm_area *a, uint64_t on)
{
	if (on)
		a->v.flags |= ABI_MAP_LOCKED;
	else
		a->v.flags &= ~(uint32_t)ABI_MAP_LOCKED;
}

/* Bytes in the range that aren't locked yet. */
static uint64_t unlocked_in(struct mm *mm, uint64_t start, uint64_t end)
{
	uint64_t sum = 0;

	for (struct vma_pos p = vma_seek(&mm->vmas, start);; p = vma_next(&mm->vmas, p)) {
		const struct vm_area *a = vma_at(&mm->vmas, p);

		if (!a || a->v.start >= end)
			return sum;
		if (!(a->v.flags & ABI_MAP_LOCKED))
			sum += MIN(a->v.end, end) - MAX(a->v.start, start);
	}
}

static int64_t lock_range(struct mm *mm, struct task *t, uint64_t start, uint64_t end, bool lock)
{
	uint64_t stop = mm_first_hole(mm, start, end);
	int64_t err = lock ? mm_may_lock(mm, t, unlocked_in(mm, start, end), -ENOMEM) : 0;

	if (!err && mm->vmas.count + 2 > MM_VMAS_MAX)
		err = -ENOMEM;
	if (err)
		return err;
	if (stop > start)
		mm_change(mm, start, stop, set_locked, lock);
	return stop == end ? 0 : -ENOMEM;
}

int64_t mm_mlock(struct task *t, uint64_t addr, uint64_t size, bool lock)
{
	int64_t ret;

	size += addr & (PAGE_SIZE - 1);
	addr = PAGE_ALIGN_DOWN(addr);
	if (!round_range(addr, &size))
		return PAGE_ALIGN_UP(size) + addr < addr ? -EINVAL : -ENOMEM;
	if (!size)
		return 0;
	mutex_lock(&t->mm->lock);
	ret = lock_range(t->mm, t, addr, addr + size, lock);
	mutex_unlock(&t->mm->lock);
	return ret;
}

int64_t mm_mlockall(struct task *t, uint32_t flags)
{
	struct mm *mm = t->mm;
	int64_t err = 0;

	mutex_lock(&mm->lock);
	if (flags)
		err = mm_may_lock(mm, t, mm->usage.total - mm->usage.locked, -ENOMEM);
	if (err && err != -EPERM && !(flags & ABI_MCL_CURRENT))
		err = 0; /* the limit counts for what is there now */
	if (!err)
		mm->lock_future = flags & ABI_MCL_FUTURE;
	if (!err && (!flags || (flags & ABI_MCL_CURRENT)))
		mm_change(mm, 0, PLATFORM_GUEST_MAX, set_locked, flags != 0);
	mutex_unlock(&mm->lock);
	return err;
}
