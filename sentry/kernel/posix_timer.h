/* SPDX-License-Identifier: Apache-2.0 */
/* POSIX timers of a process (timer_create(2)): CLOCK_REALTIME, MONOTONIC, BOOTTIME and their like.
 */
#ifndef SENTRY_KERNEL_POSIX_TIMER_H
#define SENTRY_KERNEL_POSIX_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/signal.h"

struct task;
struct thread_group;

struct posix_timer_value {
	uint64_t value; /* ns: left, or (set, absolute) on the timer's clock; 0: not armed */
	uint64_t interval;
};

/* clock is one that the caller has checked. ev NULL: SIGALRM with the timer's id. The id, or
 * -EAGAIN, -EINVAL. */
int posix_timer_create(struct task *t, int clock, const struct abi_sigevent *ev);
int posix_timer_settime(struct thread_group *tg, int id, bool absolute,
			const struct posix_timer_value *v, struct posix_timer_value *ret_old);
int posix_timer_gettime(struct thread_group *tg, int id, struct posix_timer_value *ret);
int posix_timer_getoverrun(struct thread_group *tg, int id);
int posix_timer_delete(struct thread_group *tg, int id);
/* exec and exit. Without locks. */
void posix_timers_delete_all(struct thread_group *tg);

#endif
