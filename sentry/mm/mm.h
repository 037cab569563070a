/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest address space as the sentry knows it: the tree of VMAs and where to put the next one. The
 * memory itself is the host's (DESIGN 3.1): every change here goes with memory operations
 * (task_add_memop) that the guest's thread carries out on its way back. A wrong tree can hurt only
 * the guest that made it wrong.
 *
 * Order of operations: the host operations of one mm run one call at a time (mm_ops_begin .. the
 * reply, or its PEV_REPORT when the mm has several threads); a fork waits for those under way.
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

/* One mapping, as callers see it. */
struct vma {
	uint64_t start, end; /* bytes, page aligned */
	uint32_t prot;	     /* ABI_PROT_* */
	uint32_t flags;	     /* ABI_MAP_* as given */
	struct file *file;   /* reference or NULL */
	uint64_t offset;     /* in the file, bytes */
	const char *name;    /* "[heap]", "[stack]", "[vdso]" or NULL; literal */
			     /* more in mm_internal.h */
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
struct file *mm_exe_file(struct mm *mm); /* new reference or NULL */

/* Bytes mapped, for RLIMIT_AS and /proc. */
uint64_t mm_total_size(struct mm *mm);
/* In ascending order; fn returns false to stop. Called with mm_lock held. */
void mm_for_each_vma(struct mm *mm, bool (*fn)(const struct vma *, void *), void *arg);
/* The vma that holds va, copied (without reference to the file) to *ret. */
bool mm_find_vma(struct mm *mm, uint64_t va, struct vma *ret);

/* The tasks that share an mm; kept by clone, exec and exit, so that single-threaded ones need no
 * reports. */
void mm_user_added(struct mm *mm);
void mm_user_removed(struct mm *mm);
/*
 * Before a handler adds memory operations, or a fork order: takes the mm's turn for this task. 0,
 * or SYS_BLOCKED / restart code: return that. The turn ends by itself when the reply has been
 * carried out (the worker calls mm_ops_end), also if the task dies.
 */
int64_t mm_ops_begin(struct task *t);
void mm_ops_end(struct task *t);
/* The reply's memory operation `index` failed with error: the change is taken back. Returns the
 * call's result. */
int64_t mm_ops_failed(struct task *t, uint32_t index, int error);

#endif
