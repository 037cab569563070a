/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the kernel's core (kernel.c, worker.c, timer.c, task.c) share among themselves.
 */
#ifndef SENTRY_KERNEL_KERNEL_INTERNAL_H
#define SENTRY_KERNEL_KERNEL_INTERNAL_H

#include <stdint.h>

struct kernel;
struct task;
struct timers;
struct workers;

struct workers *workers_new(uint32_t count);
void workers_destroy(struct workers *w);
void workers_wake_all(struct kernel *k);
/* Puts a task in state QUEUED on the run queue; somebody will run it. */
void workers_queue(struct task *t);

/* task_wake; says in which state the task was found (TASK_* without flags). */
unsigned task_wake_state(struct task *t);

struct timers *timers_new(void);
void timers_destroy(struct timers *ts);

#endif
