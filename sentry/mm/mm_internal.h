/* SPDX-License-Identifier: Apache-2.0 */
/* struct mm, for the files of sentry/mm only. */
#ifndef SENTRY_MM_MM_INTERNAL_H
#define SENTRY_MM_MM_INTERNAL_H

#include "base/list.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/patch_cache.h"
#include "sentry/mm/vma.h"

#define MM_VMAS_MAX 65530 /* vm.max_map_count of Linux */

struct mm {
	struct refcount ref;
	struct kernel *kernel;	 /* [I] */
	struct mutex lock;	 /* RANK_MM: all below */
	struct vma_set vmas;	 /* [m] */
	struct mm_layout layout; /* [m] */
	struct mm_usage usage;	 /* [m] kept by area_account; peak by mm_add */
	uint64_t stack_top;	 /* [I] after mm_lay_out */
	uint64_t pie_base;	 /* [I] */
	bool randomize;		 /* [I] */
	bool lock_future;	 /* [m] mlockall(MCL_FUTURE) */
	struct file *exe_file;	 /* [m] reference or NULL */
	struct list ops;	 /* [m] struct mm_op.link */
	atomic_uint user_count;	 /* [a] tasks */
	struct mm_patches patches;
};

/* What one range looked like before an operation. */
struct saved_range {
	uint64_t start, end;
	struct vm_area *areas; /* cut to the range, with references */
	uint32_t count;
};

/*
 * A change whose memory operation may still be under way: how to take it back, and what it gave up.
 * It is over when its task has made another call or is dead (op_over).
 */
struct mm_op {
	struct list link; /* [m] in mm->ops, or private */
	struct task *task;
	uint64_t call_count; /* of the task, when it made the change */
	struct saved_range saved[2];
	uint32_t saved_count;
	uint64_t freed_start, freed_end; /* out of bounds for others */
	/* What the reply hands in descriptors of: others may unmap it before the reply is sent. */
	struct file *mapped;	    /* reference or NULL */
	struct patch_file *patched; /* reference or NULL */
	bool is_brk;
	uint64_t old_brk;
};

/*
 * The frame of every operation: op_start takes the lock; op_finish releases it and gives the call's
 * result. If `committed`, the change counts from now on and can be taken back by mm_ops_failed;
 * otherwise nothing was changed. (Objects whose last reference goes are let go of without the
 * lock.)
 */
struct mm_op *op_start(struct task *t);
int64_t op_finish(struct task *t, struct mm_op *op, bool committed, int64_t ret);
/* Remembers what is in [start, end) now. */
void op_save(struct mm *mm, struct mm_op *op, uint64_t start, uint64_t end);
/* Whether an operation of another task is still giving up part of the range. */
const struct mm_op *op_conflict(const struct mm *mm, const struct task *t, uint64_t start,
				uint64_t end);

/* It can't be under way any more. */
bool op_over(const struct mm_op *op);
void op_free_all(struct list *ops);

/* All below: lock held. */

/* Takes the references over; joins with neighbours that it continues. */
void mm_add(struct mm *mm, const struct vm_area *a);
/* Removes what is in [start, end), with its references. */
void mm_clear(struct mm *mm, uint64_t start, uint64_t end);
/* Makes va a boundary. */
void mm_split(struct mm *mm, uint64_t va);
/* Splits at both ends, lets fn change each area in between, and joins what can be joined. */
void mm_change(struct mm *mm, uint64_t start, uint64_t end,
	       void (*fn)(struct vm_area *a, uint64_t arg), uint64_t arg);
/* Where [start, end) is not mapped first; end if all of it is. */
uint64_t mm_first_hole(struct mm *mm, uint64_t start, uint64_t end);
/* Bytes mapped in the range. */
uint64_t mm_mapped_in(struct mm *mm, uint64_t start, uint64_t end);

void area_get(const struct vm_area *a);
void area_put(const struct vm_area *a);
bool area_is_data(const struct vm_area *a);
struct shared_anon *shared_anon_new(void);
void shared_anon_put(struct shared_anon *s); /* NULL is fine */

/* 0 or -ENOMEM: RLIMIT_AS, RLIMIT_DATA, count of areas. */
struct mm_growth {
	uint64_t total, data; /* bytes that are added */
};
int mm_may_grow(struct mm *mm, struct task *t, const struct mm_growth *g);
/* 0, -EPERM, or error if RLIMIT_MEMLOCK doesn't allow `more` bytes. */
int mm_may_lock(struct mm *mm, struct task *t, uint64_t more, int error);
uint64_t mm_rlimit(struct task *t, int which);

/* A place for a new mapping of the task: the hint if it can be had. 0: none. */
uint64_t mm_choose(struct mm *mm, struct task *t, uint64_t hint, uint64_t size, uint32_t flags);

#endif
