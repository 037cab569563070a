/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One-shot timers on the monotonic clock. The event thread sleeps on one host timerfd set to the
 * earliest deadline, so an idle kernel arms nothing and wakes never.
 */
#ifndef SENTRY_KERNEL_TIMER_H
#define SENTRY_KERNEL_TIMER_H

#include <stdbool.h>
#include <stdint.h>

struct kernel;

#define TIME_NEVER UINT64_MAX /* a deadline that doesn't come */

/* A time so much later; what is too far away is TIME_NEVER - 1. */
static inline uint64_t time_later(uint64_t ns, uint64_t by)
{
	return by < TIME_NEVER - 1 - ns ? ns + by : TIME_NEVER - 1;
}

struct ktimer {
	uint64_t deadline;  /* ns, CLOCK_MONOTONIC; [timer lock] */
	int32_t heap_index; /* -1: not armed; [timer lock] */
	/* Runs on the event thread without locks; must be short and must not block. May arm again.
	 */
	void (*func)(struct ktimer *);
};

void ktimer_init(struct ktimer *t, void (*func)(struct ktimer *));
/* (Re)arms. TIME_NEVER cancels. */
void ktimer_arm(struct kernel *k, struct ktimer *t, uint64_t deadline);
/* Afterwards the function isn't running (unless the caller is the function) and will not run. */
void ktimer_cancel(struct kernel *k, struct ktimer *t);

/* For the event thread: readable when a deadline has passed; then call timers_expire, which runs
 * what was due when it was called. */
int ktimer_host_fd(struct kernel *k);
void timers_expire(struct kernel *k);

uint64_t time_monotonic_ns(void);
uint64_t time_realtime_ns(void);
uint64_t time_boottime_ns(void);

#endif
