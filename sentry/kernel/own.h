/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a running thread keeps by itself (struct platform_own): its signal mask, its robust list,
 * the word that is cleared at its end. While a task's thread is stopped, the task's fields are
 * true; from the reply to the next event what the thread has is.
 *
 *	handler		task.blocked and its like are read and written as ever
 *	own_publish	before a reply: the thread has what they say
 *	...		the guest changes it; others ask own_blocked_locked
 *	own_arrived	at the event: they say what the thread has
 *
 * A sender of a signal sets own_ask_locked first, then looks at masks. Until then the thread's
 * calls that change the mask don't come here; from then on they do, and look at all that is
 * pending. So a signal is found by its sender or by the thread (platform/stub/local.c draws it). An
 * event whose mask hasn't been taken over yet, while a sender looks at the task, is found by
 * own_arrived, which looks again if the mask differs.
 *
 * All of it is the guest's word, and means nothing to anybody else.
 */
#ifndef SENTRY_KERNEL_OWN_H
#define SENTRY_KERNEL_OWN_H

#include <stdbool.h>
#include <stdint.h>

struct kernel;
struct task;

/* By who handles the task's event: before anything else, and before each reply. */
void own_arrived(struct task *t);
void own_publish(struct task *t);

/* Of any task, under siglock. */
uint64_t own_blocked_locked(struct task *t);
uint64_t own_robust_list_locked(struct task *t);
void own_ask_locked(struct task *t, bool ask);

/* Memory is about to be locked, or a page of text to be replaced by a patched copy: from now on the
 * sentry hears of MADV_DONTNEED. Takes tasks_lock. */
void own_memory_locked(struct kernel *k);

#endif
