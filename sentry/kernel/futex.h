/* SPDX-License-Identifier: Apache-2.0 */
/* Futexes (futex(2), get_robust_list(2)). */
#ifndef SENTRY_KERNEL_FUTEX_H
#define SENTRY_KERNEL_FUTEX_H

#include <stdbool.h>
#include <stdint.h>

struct futex_table;
struct task;

struct futex_table *futex_table_new(void);
void futex_table_destroy(struct futex_table *ft);

/*
 * Where the platform has private futexes waited on in the host (kernel.host_futex), a private wait
 * is heard of only because a signal or a stop is to be looked at: a handler's last statement, like
 * task_block. interrupted: what a signal makes of the call.
 */
int64_t futex_wait_on_host(struct task *t, int64_t interrupted);

/* One word to wait on. */
struct futex_word {
	uint64_t va; /* 4-byte aligned, checked by the caller */
	bool private;
	uint32_t value; /* expected */
	uint32_t bitset;
};

/*
 * Waits until one of the words is woken: a handler's step. deadline: ns monotonic, or TIME_NEVER;
 * interrupted: what a signal makes of it. The index of the word that was woken, -EAGAIN (a value
 * differs), -ETIMEDOUT, -EFAULT, interrupted, or SYS_BLOCKED.
 */
int64_t futex_wait(struct task *t, const struct futex_word *words, uint32_t count,
		   uint64_t deadline, int64_t interrupted);

/* Wakes up to max waiters whose bitset meets; their count or -EFAULT. */
int64_t futex_wake(struct task *t, uint64_t va, bool private, uint32_t max, uint32_t bitset);
/*
 * Wakes up to max_wake waiters of `from` and moves up to max_move of the rest to `to`. With
 * compare, -EAGAIN unless *from is *compare. The count of both.
 */
int64_t futex_requeue(struct task *t, uint64_t from, bool private, uint64_t to, uint32_t max_wake,
		      uint32_t max_move, const uint32_t *compare);
/* FUTEX_WAKE_OP: a handler's step. */
int64_t futex_wake_op(struct task *t, uint64_t va1, bool private, uint64_t va2, uint32_t max1,
		      uint32_t max2, uint32_t op);

/* clear_child_tid: wakes waiters that did not say PRIVATE. */
void futex_wake_address(struct task *t, uint64_t va, uint32_t max);
/* The task exits: the futexes on its robust list are marked, one waiter each is woken. */
void futex_exit_robust(struct task *t);

#endif
