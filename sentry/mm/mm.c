/* SPDX-License-Identifier: Apache-2.0 */
/* Address spaces: life, copies, queries. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "abi/mman.h"
#include "abi/resource.h"
#include "base/compiler.h"
#include "base/mem.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/lockorder.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm_internal.h"
#include "sentry/vfs/vfs.h"

/* Layout of the address space, after arch/x86/mm/mmap.c and fs/binfmt_elf.c of Linux. */
#define STACK_RANDOM_PAGES (1u << 22) /* 16 GiB */
#define MMAP_RANDOM_PAGES  (1u << 28) /* 1 TiB */
#define BRK_RANDOM_PAGES   (1u << 18) /* 1 GiB */
#define STACK_GAP_MIN	   (128ull << 20)
#define STACK_GAP_MAX	   (PAGE_ALIGN_DOWN(PLATFORM_GUEST_MAX / 6 * 5))

static uint64_t random_below(uint64_t limit)
{
	uint64_t r = 0;

	check(getrandom(&r, sizeof(r), 0) == (ssize_t)sizeof(r));
	return r % limit;
}

/* ---- life ---- */

struct mm *mm_new(struct kernel *k)
{
	struct mm *mm = xnew(struct mm);

	refcount_init(&mm->ref);
	mm->kernel = k;
	mutex_init(&mm->lock, RANK_MM);
	list_init(&mm->ops);
	mm_patches_init(mm);
	object_count(OBJ_MM, 1);
	return mm;
}

struct mm *mm_get(struct mm *mm)
{
	refcount_get(&mm->ref);
	return mm;
}

static void put_areas(struct vma_set *s)
{
	for (uint32_t l = 0; l < s->leaf_count; l++)
		for (uint32_t i = 0; i < s->leaves[l]->count; i++)
			area_put(&s->leaves[l]->areas[i]);
}

void mm_put(struct mm *mm)
{
	if (!mm || !refcount_put(&mm->ref))
		return;
	op_free_all(&mm->ops);
	mm_patches_destroy(mm);
	put_areas(&mm->vmas);
	vma_destroy_set(&mm->vmas);
	if (mm->exe_file)
		file_put(mm->exe_file);
	mutex_destroy(&mm->lock);
	free(mm);
	object_count(OBJ_MM, -1);
}

/* Takes references for a copied set. Locks of memory aren't inherited (mlock(2)). */
static void adopt_areas(struct vma_set *s)
{
	for (uint32_t l = 0; l < s->leaf_count; l++) {
		for (uint32_t i = 0; i < s->leaves[l]->count; i++) {
			struct vm_area *a = &s->leaves[l]->areas[i];

			area_get(a);
			a->v.flags &= ~ABI_MAP_LOCKED;
		}
	}
}

static bool find_dontfork(const struct vma_set *s, uint64_t from, uint64_t *ret_start,
			  uint64_t *ret_end)
{
	for (struct vma_pos p = vma_seek(s, from);; p = vma_next(s, p)) {
		const struct vm_area *a = vma_at(s, p);

		if (!a)
			return false;
		if (!(a->advice & AREA_DONTFORK))
			continue;
		*ret_start = a->v.start;
		*ret_end = a->v.end;
		return true;
	}
}

static void drop_dontfork(struct mm *mm)
{
	uint64_t start = 0, end = 0;

	while (find_dontfork(&mm->vmas, end, &start, &end))
		mm_clear(mm, start, end);
}

struct mm *mm_dup(struct mm *mm)
{
	struct mm *child = mm_new(mm->kernel);

	mutex_lock(&mm->lock);
	mutex_lock_nested(&child->lock); /* nobody else knows it */
	vma_copy_set(&child->vmas, &mm->vmas);
	adopt_areas(&child->vmas);
	child->layout = mm->layout;
	child->usage = mm->usage;
	child->usage.locked = 0;
	child->stack_top = mm->stack_top;
	child->pie_base = mm->pie_base;
	child->randomize = mm->randomize;
	if (mm->exe_file)
		child->exe_file = file_get(mm->exe_file);
	mm_patches_dup(child, mm);
	drop_dontfork(child);
	mutex_unlock(&child->lock);
	mutex_unlock(&mm->lock);
	return child;
}

void mm_user_added(struct mm *mm)
{
	atomic_fetch_add(&mm->user_count, 1);
}

void mm_user_removed(struct mm *mm)
{
	check(atomic_fetch_sub(&mm->user_count, 1) > 0);
}

uint32_t mm_user_count(struct mm *mm)
{
	return atomic_load(&mm->user_count);
}

/* ---- exec ---- */

static uint64_t random_pages(const struct mm *mm, uint64_t limit)
{
	return mm->randomize ? random_below(limit) * PAGE_SIZE : 0;
}

void mm_lay_out(struct mm *mm, uint64_t stack_limit, bool randomize)
{
	uint64_t gap = MIN(stack_limit, STACK_GAP_MAX);

	mm->randomize = randomize;
	gap = MAX(PAGE_ALIGN_UP(gap) + VMA_GUARD + STACK_RANDOM_PAGES * PAGE_SIZE, STACK_GAP_MIN);
	gap = MIN(gap, STACK_GAP_MAX);
	mm->stack_top = PLATFORM_GUEST_MAX - random_pages(mm, STACK_RANDOM_PAGES);
	mm->layout.mmap_base = PLATFORM_GUEST_MAX - gap - random_pages(mm, MMAP_RANDOM_PAGES);
	mm->pie_base =
	    PAGE_ALIGN_DOWN(PLATFORM_GUEST_MAX / 3 * 2) + random_pages(mm, MMAP_RANDOM_PAGES);
}

uint64_t mm_stack_top(const struct mm *mm)
{
	return mm->stack_top;
}

uint64_t mm_pie_base(const struct mm *mm)
{
	return mm->pie_base;
}

void mm_set_exe_file(struct mm *mm, struct file *f)
{
	struct file *old;

	mutex_lock(&mm->lock);
	old = mm->exe_file;
	mm->exe_file = f ? file_get(f) : NULL;
	mutex_unlock(&mm->lock);
	if (old)
		file_put(old);
}

void mm_set_brk(struct mm *mm, uint64_t end)
{
	uint64_t at = PAGE_ALIGN_UP(end) + random_pages(mm, BRK_RANDOM_PAGES);

	mutex_lock(&mm->lock);
	if (at >= PLATFORM_GUEST_MAX || vma_any(&mm->vmas, PAGE_ALIGN_UP(end), at + PAGE_SIZE))
		at = PAGE_ALIGN_UP(end);
	mm->layout.start_brk = mm->layout.brk = at;
	mutex_unlock(&mm->lock);
}

uint64_t mm_find_free(struct mm *mm, uint64_t size, uint64_t align)
{
	uint64_t at;

	mutex_lock(&mm->lock);
	at = vma_find_down(&mm->vmas, size, align, PLATFORM_GUEST_MIN, mm->layout.mmap_base);
	mutex_unlock(&mm->lock);
	return at;
}

int mm_insert(struct mm *mm, const struct mm_map_args *args)
{
	struct vm_area a = {.v = {args->addr, args->addr + args->size, args->prot, args->flags,
				  args->file, args->offset, args->name},
			    .max_prot = ABI_PROT_READ | ABI_PROT_WRITE | ABI_PROT_EXEC,
			    .was_writable = args->prot & ABI_PROT_WRITE};
	int err = 0;

	if (args->addr < PLATFORM_GUEST_MIN || !args->size || args->addr >= PLATFORM_GUEST_MAX ||
	    args->size > PLATFORM_GUEST_MAX - args->addr ||
	    ((args->addr | args->size | args->offset) & (PAGE_SIZE - 1)))
		return -EINVAL;
	mutex_lock(&mm->lock);
	if (vma_any(&mm->vmas, a.v.start, a.v.end) || mm->vmas.count >= MM_VMAS_MAX) {
		err = -ENOMEM;
	} else {
		area_get(&a);
		mm_add(mm, &a);
	}
	mutex_unlock(&mm->lock);
	return err;
}

/* ---- queries ---- */

struct mm_layout *mm_layout(struct mm *mm)
{
	return &mm->layout;
}

void mm_lock(struct mm *mm)
{
	mutex_lock(&mm->lock);
}

void mm_unlock(struct mm *mm)
{
	mutex_unlock(&mm->lock);
}

static bool is_whole(struct mm *mm, uint64_t start, uint64_t end, uint32_t prot)
{
	const struct vm_area *a = vma_find(&mm->vmas, start);

	return a && a->v.start == start && a->v.end == end && a->v.prot == prot && a->v.name;
}

uint64_t mm_vdso_whole(struct mm *mm, uint64_t size, uint64_t code_offset)
{
	uint64_t at = 0, code;

	mutex_lock(&mm->lock);
	code = mm->layout.vdso;
	if (code > code_offset && size > code_offset &&
	    is_whole(mm, code, code - code_offset + size, ABI_PROT_READ | ABI_PROT_EXEC) &&
	    (!code_offset || is_whole(mm, code - code_offset, code, ABI_PROT_READ)))
		at = code - code_offset;
	mutex_unlock(&mm->lock);
	return at;
}

struct file *mm_exe_file(struct mm *mm)
{
	struct file *f;

	mutex_lock(&mm->lock);
	f = mm->exe_file ? file_get(mm->exe_file) : NULL;
	mutex_unlock(&mm->lock);
	return f;
}

void mm_get_usage(struct mm *mm, struct mm_usage *ret)
{
	mutex_lock(&mm->lock);
	*ret = mm->usage;
	ret->vma_count = mm->vmas.count;
	mutex_unlock(&mm->lock);
}

uint64_t mm_total_size(struct mm *mm)
{
	struct mm_usage u;

	mm_get_usage(mm, &u);
	return u.total;
}

void mm_for_each_vma(struct mm *mm, bool (*fn)(const struct vma *, void *), void *arg)
{
	assert_held(&mm->lock);
	for (uint32_t l = 0; l < mm->vmas.leaf_count; l++)
		for (uint32_t i = 0; i < mm->vmas.leaves[l]->count; i++)
			if (!fn(&mm->vmas.leaves[l]->areas[i].v, arg))
				return;
}

bool mm_find_vma(struct mm *mm, uint64_t va, struct vma *ret)
{
	const struct vm_area *a;

	assert_held(&mm->lock);
	a = vma_find(&mm->vmas, va);
	if (a)
		*ret = a->v;
	return a;
}

bool mm_shared_key(struct mm *mm, uint64_t va, uint64_t *ret_object, uint64_t *ret_offset)
{
	const struct vm_area *a;
	bool shared = false;

	mutex_lock(&mm->lock);
	a = vma_find(&mm->vmas, va);
	if (a && (a->v.flags & ABI_MAP_SHARED) && (a->shared || a->v.file)) {
		*ret_object = a->shared ? (uintptr_t)a->shared : (uintptr_t)a->v.file->inode;
		*ret_offset = a->v.offset + (va - a->v.start);
		shared = true;
	}
	mutex_unlock(&mm->lock);
	return shared;
}
