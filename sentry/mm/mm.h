/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest address space as the sentry knows it: the areas (VMAs) and where to put the next one. The
 * memory itself is the host's (DESIGN 3.1): every change here goes with a memory operation
 * (task_add_memop) that the guest's thread carries out on its way back. A wrong set of areas can
 * hurt only the guest that made it wrong.
 *
 * Order. The operations of several threads of one address space are under way at the same time, and
 * need not wait for each other: those on different ranges commute, those on one range are the
 * guest's own race, as on Linux. One thing must not happen: that a range which one thread is still
 * unmapping is given to another,
 *
 *	thread A, munmap(R)			thread B, mmap(NULL)
 *	sentry: R is free
 *						sentry: puts the mapping at R
 *						host: mmap R
 *	host: munmap R				B's memory is gone
 *
 * so ranges given up stay out of bounds until the thread that gives them up has made its next call,
 * which is after its memory operations. No report, hence no second doorbell, is needed for that.
 * For the same reason a fork waits for nobody: what others have under way either reached the host
 * before the fork or is unknown to the child's only thread, whose first operation there replaces
 * it. (While patched text is exchanged, others do wait: patch_map.c.)
 *
 * If an operation fails on the host (mm_ops_failed), what it changed here is put back.
 */
#ifndef SENTRY_MM_MM_H
#define SENTRY_MM_MM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"
#include "base/refcount.h"
#include "sentry/kernel/waitqueue.h"

struct file;
struct kernel;
struct mm;
struct platform_mm;
struct strbuf;
struct task;

#define PAGE_SIZE	   4096ull
#define PAGE_SHIFT	   12
#define PAGE_ALIGN_DOWN(x) ((x) & ~(PAGE_SIZE - 1))
#define PAGE_ALIGN_UP(x)   (((x) + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1))

/* One mapping, as callers see it; vma.h has the rest. */
struct vma {
	uint64_t start, end; /* bytes, page aligned */
	uint32_t prot;	     /* ABI_PROT_* */
	uint32_t flags;	     /* ABI_MAP_* as given */
	struct file *file;   /* reference or NULL */
	uint64_t offset;     /* in the file, bytes */
	const char *name;    /* "[heap]", "[stack]", "[vdso]" or NULL; literal */
};

/* Where things are, for auxv-like users and /proc/pid/stat. [m] mm.lock */
struct mm_layout {
	uint64_t start_code, end_code, start_data, end_data;
	uint64_t start_brk, brk;
	uint64_t start_stack, mmap_base;
	uint64_t arg_start, arg_end, env_start, env_end;
	uint64_t vdso;
	uint64_t entry;
	uint64_t auxv[2 * 32]; /* as put on the stack, for /proc/pid/auxv */
	uint32_t auxv_words;
};

struct mm *mm_new(struct kernel *k);
struct mm *mm_get(struct mm *mm);
void mm_put(struct mm *mm);
/* fork: a copy of the tree (files get references). */
struct mm *mm_dup(struct mm *mm);

struct mm_layout *mm_layout(struct mm *mm); /* under mm_lock for others than exec */
void mm_lock(struct mm *mm);
void mm_unlock(struct mm *mm);
/*
 * Where the vDSO begins (size bytes, its code at code_offset) if it is as exec mapped it; 0 if any
 * of it was moved, unmapped or changed.
 */
uint64_t mm_vdso_whole(struct mm *mm, uint64_t size, uint64_t code_offset);
struct file *mm_exe_file(struct mm *mm); /* new reference or NULL */

/* Bytes mapped, for RLIMIT_AS and /proc. */
uint64_t mm_total_size(struct mm *mm);
/* In ascending order; fn returns false to stop. Called with mm_lock held. */
void mm_for_each_vma(struct mm *mm, bool (*fn)(const struct vma *, void *), void *arg);
/* The vma that holds va, copied to *ret (no reference to the file). Called with mm_lock held. */
bool mm_find_vma(struct mm *mm, uint64_t va, struct vma *ret);
/* Counters for /proc/pid/status; bytes. Takes the lock. */
struct mm_usage {
	uint64_t total, data, stack, exec, shared, locked, peak;
	uint32_t vma_count;
};
void mm_get_usage(struct mm *mm, struct mm_usage *ret);

/*
 * What identifies the word at va to all address spaces that share it: for futexes. False: it is
 * private to this mm (or not mapped).
 */
bool mm_shared_key(struct mm *mm, uint64_t va, uint64_t *ret_object, uint64_t *ret_offset);

/* The tasks that share an mm; kept by clone, exec and exit, so that single-threaded ones need no
 * bookkeeping. */
void mm_user_added(struct mm *mm);
void mm_user_removed(struct mm *mm);
uint32_t mm_user_count(struct mm *mm);
/*
 * Before a fork order: 0, or return what it returned (patched text is just being exchanged). If 0,
 * mm_fork_over follows when the child has been heard of, or is known not to live.
 */
int64_t mm_ops_begin(struct task *t);
void mm_fork_over(struct mm *mm);
/* The reply was sent or carried out, or the task is about to exit. */
void mm_ops_end(struct task *t);
/* The reply's memory operation `index` failed with error: the change is taken back. Returns the
 * call's result. */
int64_t mm_ops_failed(struct task *t, uint32_t index, int error);

/* ---- exec (sentry/loader): the tree only, before anybody else knows the mm ---- */

/* Draws the places of stack, mappings, heap and programs, or takes the same ones each time
 * (ADDR_NO_RANDOMIZE); stack_limit is RLIMIT_STACK. */
void mm_lay_out(struct mm *mm, uint64_t stack_limit, bool randomize);
/* Top of the stack to be, page aligned; where a position-independent program goes. */
uint64_t mm_stack_top(const struct mm *mm);
uint64_t mm_pie_base(const struct mm *mm);
void mm_set_exe_file(struct mm *mm, struct file *f);

struct mm_map_args {
	uint64_t addr, size; /* addr: with ABI_MAP_FIXED, or a hint */
	uint32_t prot, flags;
	struct file *file; /* borrowed; NULL: anonymous */
	uint64_t offset;
	const char *name; /* literal or NULL */
};
/* A place for size bytes as mmap(NULL) would choose it, align a power of two; 0 if there is none.
 */
uint64_t mm_find_free(struct mm *mm, uint64_t size, uint64_t align);
/* Adds the area at args->addr (which must be free, page aligned, and inside the guest's range).
 * 0, -ENOMEM, -EINVAL. */
int mm_insert(struct mm *mm, const struct mm_map_args *args);
/* Puts start and end of the heap at a random distance behind end. */
void mm_set_brk(struct mm *mm, uint64_t end);

/*
 * ---- calls ----
 * For the task in hand: they check as Linux does, change the tree and add the memory operation to
 * t->reply. The result is the call's.
 */
int64_t mm_mmap(struct task *t, const struct mm_map_args *given);
int64_t mm_munmap(struct task *t, uint64_t addr, uint64_t size);
int64_t mm_mprotect(struct task *t, uint64_t addr, uint64_t size, uint64_t prot);
int64_t mm_mremap(struct task *t, uint64_t addr, uint64_t old_size, uint64_t new_size,
		  uint32_t flags, uint64_t new_addr);
int64_t mm_brk(struct task *t, uint64_t addr);
int64_t mm_madvise(struct task *t, uint64_t addr, uint64_t size, int advice);
int64_t mm_msync(struct task *t, uint64_t addr, uint64_t size, int flags);
/* 0 if all of the range is mapped, else -ENOMEM. */
int64_t mm_check_mapped(struct mm *mm, uint64_t start, uint64_t end);
int64_t mm_mlock(struct task *t, uint64_t addr, uint64_t size, bool lock);
int64_t mm_mlockall(struct task *t, uint32_t flags); /* 0: munlockall */

#endif
