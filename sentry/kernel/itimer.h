/* SPDX-License-Identifier: Apache-2.0 */
/* The three interval timers of a process (setitimer(2), alarm(2)). Times in ns; 0: not armed. */
#ifndef SENTRY_KERNEL_ITIMER_H
#define SENTRY_KERNEL_ITIMER_H

#include <stdint.h>

struct thread_group;

struct itimer_value {
	uint64_t left, interval;
};

void itimers_init(struct thread_group *tg);
/* The last thread goes: none fires afterwards. Without locks. */
void itimers_cancel(struct thread_group *tg);
/* which: ABI_ITIMER_*, checked by the caller. */
void itimer_get(struct thread_group *tg, int which, struct itimer_value *ret);
/* *ret_old is what was there. Without locks. */
void itimer_set(struct thread_group *tg, int which, const struct itimer_value *value,
		struct itimer_value *ret_old);
/* RLIMIT_CPU has this soft limit now (ABI_RLIM_INFINITY: none). Without locks. */
void itimer_cpu_limit(struct thread_group *tg, uint64_t seconds);

#endif
