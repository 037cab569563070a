/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a handler waits.
 *
 *	int64_t sys_example(struct task *t, const struct sysargs *a)
 *	{
 *		int64_t ret = try_it();
 *
 *		if (ret != -EAGAIN)
 *			return ret;
 *		task_wait_add(t, &obj->wq, ABI_POLLIN, file);
 *		ret = try_it();		// again: it may have become ready in between
 *		if (ret != -EAGAIN)
 *			return ret;	// the waits are cleared by the worker
 *		return task_block(t, -ERESTARTSYS);
 *	}
 *
 * The worker clears all waits (and the timer) whenever a handler returns anything but SYS_BLOCKED,
 * and before it runs a handler again.
 */
#ifndef SENTRY_KERNEL_TASK_BLOCK_H
#define SENTRY_KERNEL_TASK_BLOCK_H

#include <stdint.h>

#include "sentry/kernel/task.h"

/* Adds the task to a queue. pin (or NULL): a file that must live as long; a reference is taken. */
void task_wait_add(struct task *t, struct waitqueue *wq, uint32_t mask, struct file *pin);
void task_wait_clear(struct task *t);

/*
 * Sets the deadline of this call, once: on a second run of the handler the first one stands.
 * ns: monotonic, absolute; TIME_NEVER for none.
 */
void task_set_deadline(struct task *t, uint64_t ns);
bool task_deadline_passed(struct task *t);
/* Time left until the deadline, 0 if passed, TIME_NEVER if none. */
uint64_t task_deadline_left(struct task *t);

/*
 * The last statement of a handler that must wait: SYS_BLOCKED, or interrupted (a restart code or
 * -EINTR) if a signal is pending or the task must exit, or -ETIMEDOUT if the deadline has passed.
 */
int64_t task_block(struct task *t, int64_t interrupted);

/* Makes a blocked task's handler run again. Any thread, may be called under RANK_WAITQ. */
void task_wake(struct task *t);
/* The same, and a task in guest code is made to stop and look. The caller holds the target's
 * siglock (which keeps t->pt in place), or owns the task. */
void task_notify(struct task *t);

/* Adds a memory operation to the reply; -ENOMEM if there are PLATFORM_MEMOPS_MAX already. */
int task_add_memop(struct task *t, const struct memop *op);

/* Says that the handler is about to make a host call that may take long (gofer, disk): the lead is
 * passed to another worker. Harmless if called often. */
void worker_going_long(void);

#endif
