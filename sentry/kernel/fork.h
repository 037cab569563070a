/* SPDX-License-Identifier: Apache-2.0 */
/* Making tasks: clone in all its forms, and what exec and exit need of ids. */
#ifndef SENTRY_KERNEL_FORK_H
#define SENTRY_KERNEL_FORK_H

#include <stdint.h>

struct kernel;
struct task;
struct thread_group;

struct clone_params {
	uint64_t flags; /* ABI_CLONE_*, without the exit signal */
	int32_t exit_signal;
	uint64_t stack;			/* the child's rsp; 0: the parent's */
	uint64_t parent_tid, child_tid; /* guest addresses */
	uint64_t tls;
};

/* What a handler of fork, vfork, clone, clone3 returns; it may be run again (task_call). */
int64_t task_clone(struct task *t, const struct clone_params *p);

/* The lowest unused id behind the last one given, or -EAGAIN. Under tasks_lock. */
int32_t tid_alloc_locked(struct kernel *k);

/* Lets go of files, fs and mm. The owner of t. */
void task_drop_resources(struct task *t);

#define AFFINITY_SIZE 128 /* bytes of task.affinity */

/* The child lets its vfork parent go on (exec, exit). */
void vfork_release(struct task *child);
/* An unborn child of t, whose clone nobody will carry out any more, is undone or killed. */
void clone_abandon(struct task *t);

#endif
