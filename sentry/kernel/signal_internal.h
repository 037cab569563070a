/* SPDX-License-Identifier: Apache-2.0 */
/* What signal.c (sending) and signal_deliver.c (delivering) use of each other. [s] siglock. */
#ifndef SENTRY_KERNEL_SIGNAL_INTERNAL_H
#define SENTRY_KERNEL_SIGNAL_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

struct abi_siginfo;
struct task;
struct thread_group;

/* Computes t->sigpending. Under [s]. */
void signal_recalc_locked(struct task *t);
/* Takes a signal of the thread's or the process's. Under [s]. */
int signal_take_locked(struct task *t, uint64_t wanted, struct abi_siginfo *ret_info);
/* Whether signals without handler are kept from this process, the first one. Under [s]. */
bool signal_protects_init_locked(const struct thread_group *tg);
/* Signals of the process's that t doesn't take: others of its threads look. Takes tasks_lock. */
void signal_hand_on(struct task *t, uint64_t set);
/* The last thread has stopped: tells the parent, unless it was continued meanwhile. Under
 * tasks_lock. */
void signal_stop_complete_locked(struct thread_group *tg);

#endif
