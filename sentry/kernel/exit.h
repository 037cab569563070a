/* SPDX-License-Identifier: Apache-2.0 */
/* The end of processes, as wait(2) and boot see it (exit.c). */
#ifndef SENTRY_KERNEL_EXIT_H
#define SENTRY_KERNEL_EXIT_H

#include "base/list.h"

struct thread_group;

/*
 * Takes a zombie out of the tree, its group and the id map. Under tasks_lock; it is put on `dead`,
 * to be dropped by exit_drop_reaped without the lock.
 */
void exit_reap_locked(struct thread_group *tg, struct list *dead);
void exit_drop_reaped(struct list *dead);

#endif
