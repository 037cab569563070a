/* SPDX-License-Identifier: Apache-2.0 */
/* mmap, munmap and brk (mmap(2), brk(2); the order of checks is that of Linux, mm/mmap.c). */
#include <errno.h>

#include "abi/fcntl.h"
#include "abi/mman.h"
#include "abi/resource.h"
#include "base/compiler.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_block.h"
#include "sentry/kernel/unsupported.h"
#include "sentry/mm/mm_internal.h"
#include "sentry/vfs/vfs.h"

#define PROT_ALL (ABI_PROT_READ | ABI_PROT_WRITE | ABI_PROT_EXEC)
#define MAP_LEGACY                                                                                 \
	(ABI_MAP_SHARED | ABI_MAP_PRIVATE | ABI_MAP_FIXED | ABI_MAP_ANONYMOUS | ABI_MAP_32BIT |    \
	 ABI_MAP_ABOVE4G | ABI_MAP_GROWSDOWN | ABI_MAP_DENYWRITE | ABI_MAP_EXECUTABLE |            \
	 ABI_MAP_LOCKED | ABI_MAP_NORESERVE | ABI_MAP_POPULATE | ABI_MAP_NONBLOCK |                \
	 ABI_MAP_STACK | ABI_MAP_HUGETLB)
/* The flags that an area keeps: those that tell it from its neighbours. */
#define MAP_KEPT                                                                                   \
	(ABI_MAP_SHARED | ABI_MAP_PRIVATE | ABI_MAP_ANONYMOUS | ABI_MAP_GROWSDOWN |                \
	 ABI_MAP_LOCKED | ABI_MAP_NORESERVE)

#define HUGE_PAGE	 (2ull << 20)
#define LOW_START	 0x40000000ull /* MAP_32BIT, arch/x86/kernel/sys_x86_64.c */
#define LOW_END		 0x80000000ull
#define ANON_SHARED_NAME "/dev/zero (deleted)"

/* ---- where ---- */

/* Whether the range isn't to be had: other threads are still giving it up, or it is kept. */
static bool out_of_bounds(const struct mm *mm, const struct task *t, uint64_t start, uint64_t end,
			  uint64_t *ret_start, uint64_t *ret_end)
{
	const struct mm_op *op = op_conflict(mm, t, start, end);

	if (!op)
		return mm_patches_keep(mm, start, end, ret_start, ret_end);
	*ret_start = op->freed_start;
	*ret_end = op->freed_end;
	return true;
}

/* Like vma_find_down, but keeps away from what is out of bounds. */
static uint64_t find_down(struct mm *mm, struct task *t, uint64_t size, uint64_t align,
			  uint64_t low, uint64_t high)
{
	for (;;) {
		uint64_t at = vma_find_down(&mm->vmas, size, align, low, high);
		uint64_t start, end;

		if (!at || !out_of_bounds(mm, t, at, at + size, &start, &end))
			return at;
		high = start; /* below at + size, so this ends */
	}
}

static uint64_t find_up(struct mm *mm, struct task *t, uint64_t size, uint64_t low, uint64_t high)
{
	for (;;) {
		uint64_t at = vma_find_up(&mm->vmas, size, PAGE_SIZE, low, high);
		uint64_t start, end;

		if (!at || !out_of_bounds(mm, t, at, at + size, &start, &end))
			return at;
		low = end;
	}
}

static bool is_free(struct mm *mm, struct task *t, uint64_t start, uint64_t size)
{
	uint64_t kept_start, kept_end;

	return !vma_any(&mm->vmas, start, start + size) &&
	       !out_of_bounds(mm, t, start, start + size, &kept_start, &kept_end);
}

static bool in_range(uint64_t start, uint64_t size)
{
	return start >= PLATFORM_GUEST_MIN && start < PLATFORM_GUEST_MAX &&
	       size <= PLATFORM_GUEST_MAX - start;
}

uint64_t mm_choose(struct mm *mm, struct task *t, uint64_t hint, uint64_t size, uint32_t flags)
{
	uint64_t at = 0, high = mm->layout.mmap_base;

	if (size > PLATFORM_GUEST_MAX)
		return 0;
	if (hint) {
		hint = MAX(PAGE_ALIGN_DOWN(hint), PLATFORM_GUEST_MIN);
		if (in_range(hint, size) && is_free(mm, t, hint, size))
			return hint;
	}
	if (flags & ABI_MAP_32BIT)
		return find_up(mm, t, size, LOW_START, LOW_END);
	if ((flags & ABI_MAP_ANONYMOUS) && size % HUGE_PAGE == 0)
		at = find_down(mm, t, size, HUGE_PAGE, PLATFORM_GUEST_MIN, high);
	if (!at)
		at = find_down(mm, t, size, PAGE_SIZE, PLATFORM_GUEST_MIN, high);
	if (!at)
		at = find_up(mm, t, size, high, PLATFORM_GUEST_MAX);
	return at;
}

static int64_t fixed_place(struct mm *mm, struct task *t, const struct mm_map_args *a)
{
	if (a->addr >= PLATFORM_GUEST_MAX || a->size > PLATFORM_GUEST_MAX - a->addr)
		return -ENOMEM;
	if (a->addr & (PAGE_SIZE - 1))
		return -EINVAL;
	if (a->addr < PLATFORM_GUEST_MIN)
		return -EPERM; /* vm.mmap_min_addr */
	if ((a->flags & ABI_MAP_FIXED_NOREPLACE) && !is_free(mm, t, a->addr, a->size))
		return -EEXIST;
	return (int64_t)a->addr;
}

/* ---- what ---- */

/* The type bits, reduced to ABI_MAP_SHARED or ABI_MAP_PRIVATE; and the flags that go with them. */
static int check_type(uint32_t *flags, bool file)
{
	switch (*flags & ABI_MAP_TYPE) {
	case ABI_MAP_SHARED_VALIDATE:
		if (!file)
			return -EINVAL;
		if (*flags & ~(MAP_LEGACY | ABI_MAP_FIXED_NOREPLACE))
			return -EOPNOTSUPP;
		*flags &= ~(uint32_t)ABI_MAP_PRIVATE; /* SHARED_VALIDATE is both bits */
		return 0;
	case ABI_MAP_SHARED:
		return !file && (*flags & ABI_MAP_GROWSDOWN) ? -EINVAL : 0;
	case ABI_MAP_PRIVATE:
		return 0;
	default:
		return -EINVAL;
	}
}

/* What the descriptor's rights allow; *ret_max what mprotect may give later. */
static int check_file(const struct file *f, uint32_t prot, uint32_t flags, uint32_t *ret_max)
{
	uint32_t max = PROT_ALL;
	bool shared = flags & ABI_MAP_SHARED;

	if (shared && (prot & ABI_PROT_WRITE) && !file_writable(f))
		return -EACCES;
	if (!file_readable(f))
		return -EACCES;
	if (shared && !file_writable(f))
		max &= ~(uint32_t)ABI_PROT_WRITE;
	if (f->path.mount && (mount_flags(f->path.mount) & ABI_MS_NOEXEC)) {
		if (prot & ABI_PROT_EXEC)
			return -EPERM;
		max &= ~(uint32_t)ABI_PROT_EXEC;
	}
	if (!f->ops->mmap_fd && !f->ops->mmap_anonymous)
		return -ENODEV;
	if (flags & ABI_MAP_GROWSDOWN)
		return -EINVAL;
	*ret_max = max;
	return 0;
}

static uint32_t memop_flags(uint32_t flags)
{
	uint32_t f = 0;

	if (flags & ABI_MAP_SHARED)
		f |= MEMOP_SHARED;
	if (flags & ABI_MAP_NORESERVE)
		f |= MEMOP_NORESERVE;
	if ((flags & (ABI_MAP_POPULATE | ABI_MAP_LOCKED)) && !(flags & ABI_MAP_NONBLOCK))
		f |= MEMOP_POPULATE;
	return f;
}

static int add_map_memop(struct task *t, const struct vm_area *a, uint32_t flags, int fd)
{
	const struct memop op = {
	    .type = a->v.file ? MEMOP_MMAP_FD : MEMOP_MMAP_ANON,
	    .flags = memop_flags(flags),
	    .prot = a->v.prot & PROT_ALL,
	    .fd = fd,
	    .addr = a->v.start,
	    .size = a->v.end - a->v.start,
	    .offset = a->v.file ? a->v.offset : 0,
	};

	return task_add_memop(t, &op);
}

/* Limits, for a mapping that takes the place of what is in its range now. */
static int check_limits(struct mm *mm, struct task *t, const struct vm_area *a)
{
	uint64_t size = a->v.end - a->v.start;
	uint64_t replaced = mm_mapped_in(mm, a->v.start, a->v.end);
	struct mm_growth g = {size - replaced, area_is_data(a) ? size : 0};
	int err = 0;

	if (a->v.flags & ABI_MAP_LOCKED)
		err = mm_may_lock(mm, t, size, -EAGAIN);
	return err ? err : mm_may_grow(mm, t, &g);
}

/* Program text that was just mapped. */
static int use_patched_text(struct task *t, struct mm_op *op, const struct vm_area *a, int fd)
{
	const struct mm_map_args args = {.addr = a->v.start,
					 .size = a->v.end - a->v.start,
					 .prot = a->v.prot,
					 .file = a->v.file,
					 .offset = a->v.offset};
	struct memop ops[PATCH_MEMOPS_MAX];
	uint32_t count = mm_patches_new_text(t->mm, t, &args, fd, ops);
	int err = 0;

	if (count) {
		op->patched = mm_patches_text_at(t->mm, a->v.start)->pf;
		refcount_get(&op->patched->ref);
	}
	for (uint32_t i = 0; i < count && !err; i++)
		err = task_add_memop(t, &ops[i]);
	return err;
}

/* The area is complete; puts it into the tree and into the reply. */
static int64_t map_area(struct task *t, struct mm_op *op, const struct vm_area *a,
			const struct mm_map_args *args, int fd)
{
	int64_t err = check_limits(t->mm, t, a);

	if (!err)
		err = mm_patches_replacing(t, a->v.start, a->v.end);
	if (!err)
		err = add_map_memop(t, a, args->flags, fd);
	if (err)
		return err;
	op_save(t->mm, op, a->v.start, a->v.end);
	mm_clear(t->mm, a->v.start, a->v.end);
	area_get(a);
	mm_add(t->mm, a);
	op->mapped = a->v.file ? file_get(a->v.file) : NULL;
	if (a->v.file && !(a->v.flags & ABI_MAP_SHARED))
		err = use_patched_text(t, op, a, fd);
	return err ? err : (int64_t)a->v.start;
}

static struct vm_area new_area(const struct mm_map_args *args, uint64_t at, uint32_t max_prot)
{
	struct vm_area a = {.v = {at, at + args->size, args->prot & PROT_ALL,
				  args->flags & MAP_KEPT, args->file, args->offset, args->name},
			    .max_prot = max_prot,
			    .was_writable = args->prot & ABI_PROT_WRITE};

	if (!args->file) {
		a.v.offset = 0;
		if (args->flags & ABI_MAP_SHARED) {
			a.shared = shared_anon_new();
			a.v.name = ANON_SHARED_NAME;
		}
	}
	return a;
}

/* Where it goes, with the lock held; then all the rest. */
static int64_t place_and_map(struct task *t, struct mm_op *op, struct mm_map_args *args,
			     uint32_t max_prot, int fd)
{
	struct mm *mm = t->mm;
	struct vm_area a;
	int64_t at;

	if (mm->lock_future)
		args->flags |= ABI_MAP_LOCKED;
	at = mm_patches_wait(t);
	if (at)
		return at;
	if (args->flags & (ABI_MAP_FIXED | ABI_MAP_FIXED_NOREPLACE)) {
		at = mm_patches_yield(t, args->addr, args->addr + args->size);
		if (!at)
			at = fixed_place(mm, t, args);
	} else {
		at = (int64_t)mm_choose(mm, t, args->addr, args->size, args->flags) ?: -ENOMEM;
	}
	if (at < 0)
		return at;
	a = new_area(args, (uint64_t)at, max_prot);
	at = map_area(t, op, &a, args, fd);
	shared_anon_put(a.shared); /* the area in the tree has its own */
	return at;
}

/* A host descriptor with the rights that the mapping needs, and may come to need by mprotect. */
static int file_fd(struct file *f, const struct mm_map_args *a, uint32_t *max_prot)
{
	uint32_t prot = a->prot & PROT_ALL;
	int fd;

	if (a->flags & ABI_MAP_SHARED)
		prot |= *max_prot & ABI_PROT_WRITE;
	fd = f->ops->mmap_fd(f, prot, a->flags);
	/* A memfd sealed against writing can still be mapped by who doesn't want to write. */
	if (fd == -EPERM && !(a->prot & ABI_PROT_WRITE) && (prot & ABI_PROT_WRITE)) {
		*max_prot &= ~(uint32_t)ABI_PROT_WRITE;
		fd = f->ops->mmap_fd(f, a->prot & PROT_ALL, a->flags);
	}
	return fd;
}

static int64_t check_map_args(struct task *t, struct mm_map_args *a)
{
	uint64_t size = PAGE_ALIGN_UP(a->size);
	int err;

	if (a->offset & (PAGE_SIZE - 1))
		return -EINVAL;
	if (!a->size)
		return -EINVAL;
	if (!size || size > PLATFORM_GUEST_MAX)
		return -ENOMEM;
	a->size = size;
	if (a->offset + size < a->offset)
		return -EOVERFLOW;
	err = check_type(&a->flags, a->file);
	if (err)
		return err;
	if (a->flags & ABI_MAP_HUGETLB)
		return a->file ? -EINVAL : unsupported(t, ENOMEM, "MAP_HUGETLB");
	return 0;
}

int64_t mm_mmap(struct task *t, const struct mm_map_args *given)
{
	struct mm_map_args args = *given;
	uint32_t max_prot = PROT_ALL;
	int64_t ret = check_map_args(t, &args);
	struct mm_op *op;
	int fd = -1;

	if (!ret && args.file)
		ret = check_file(args.file, args.prot, args.flags, &max_prot);
	if (ret)
		return ret;
	if (args.file && args.file->ops->mmap_anonymous) {
		args.file = NULL;
		args.flags |= ABI_MAP_ANONYMOUS;
	}
	if (args.file) {
		fd = file_fd(args.file, &args, &max_prot);
		if (fd < 0)
			return fd;
	}
	op = op_start(t);
	ret = place_and_map(t, op, &args, max_prot, fd);
	return op_finish(t, op, ret >= 0, ret);
}

/* ---- munmap ---- */

/* Whether taking [start, end) out leaves more areas than there may be. */
static bool too_many_pieces(struct mm *mm, uint64_t start, uint64_t end)
{
	const struct vm_area *a = vma_find(&mm->vmas, start);

	return a && a->v.start < start && a->v.end > end && mm->vmas.count >= MM_VMAS_MAX;
}

/* Takes the range out of tree and host, remembering it in op. */
static int64_t unmap(struct task *t, struct mm_op *op, uint64_t start, uint64_t end)
{
	const struct memop m = {.type = MEMOP_MUNMAP, .addr = start, .size = end - start};
	int64_t err;

	if (too_many_pieces(t->mm, start, end))
		return -ENOMEM;
	err = mm_patches_unmapping(t, start, end);
	if (!err)
		err = task_add_memop(t, &m);
	if (err)
		return err;
	op_save(t->mm, op, start, end);
	mm_clear(t->mm, start, end);
	op->freed_start = start;
	op->freed_end = end;
	return 0;
}

int64_t mm_munmap(struct task *t, uint64_t addr, uint64_t size)
{
	struct mm_op *op;
	int64_t ret = 0;
	bool any;

	if ((addr & (PAGE_SIZE - 1)) || addr > PLATFORM_GUEST_MAX ||
	    size > PLATFORM_GUEST_MAX - addr || !size)
		return -EINVAL;
	size = PAGE_ALIGN_UP(size);
	op = op_start(t);
	any = vma_any(&t->mm->vmas, addr, addr + size);
	if (any)
		ret = mm_patches_wait(t);
	if (any && !ret)
		ret = unmap(t, op, addr, addr + size);
	return op_finish(t, op, any && !ret, ret);
}

/* ---- brk ---- */

static int64_t brk_shrink(struct task *t, struct mm_op *op, uint64_t from, uint64_t to)
{
	return vma_any(&t->mm->vmas, to, from) ? unmap(t, op, to, from) : 0;
}

static int64_t brk_grow(struct task *t, struct mm_op *op, uint64_t from, uint64_t to)
{
	struct mm *mm = t->mm;
	const struct mm_map_args args = {
	    .addr = from,
	    .size = to - from,
	    .prot = ABI_PROT_READ | ABI_PROT_WRITE,
	    .flags = ABI_MAP_PRIVATE | ABI_MAP_ANONYMOUS | (mm->lock_future ? ABI_MAP_LOCKED : 0),
	    .name = "[heap]",
	};
	struct vm_area a = new_area(&args, from, PROT_ALL);
	int64_t ret;

	if (!in_range(from, to - from))
		return -ENOMEM;
	ret = mm_patches_yield(t, from, to + PAGE_SIZE);
	if (ret)
		return ret;
	/* A page of distance to what is above, as Linux keeps. */
	if (!is_free(mm, t, from, to - from + PAGE_SIZE))
		return -ENOMEM;
	ret = map_area(t, op, &a, &args, -1);
	return ret < 0 ? ret : 0;
}

/* Whether the heap may end at addr (RLIMIT_DATA counts it with the program's data). */
static bool brk_allowed(struct mm *mm, uint64_t addr, uint64_t data_limit)
{
	const struct mm_layout *l = &mm->layout;

	if (addr < l->start_brk || addr >= PLATFORM_GUEST_MAX)
		return false;
	return data_limit == ABI_RLIM_INFINITY ||
	       (addr - l->start_brk) + (l->end_data - l->start_data) <= data_limit;
}

int64_t mm_brk(struct task *t, uint64_t addr)
{
	uint64_t data_limit = mm_rlimit(t, ABI_RLIMIT_DATA), from, to;
	struct mm_op *op = op_start(t);
	struct mm *mm = t->mm;
	int64_t err = 0;

	op->is_brk = true;
	op->old_brk = mm->layout.brk;
	if (!brk_allowed(mm, addr, data_limit))
		return op_finish(t, op, false, (int64_t)op->old_brk);
	err = mm_patches_wait(t);
	if (err)
		return op_finish(t, op, false, err);
	from = PAGE_ALIGN_UP(mm->layout.brk);
	to = PAGE_ALIGN_UP(addr);
	if (to < from)
		err = brk_shrink(t, op, from, to);
	else if (to > from)
		err = brk_grow(t, op, from, to);
	if (err == SYS_REPORT)
		return op_finish(t, op, false, err);
	if (!err)
		mm->layout.brk = addr;
	return op_finish(t, op, !err && op->saved_count, (int64_t)mm->layout.brk);
}
