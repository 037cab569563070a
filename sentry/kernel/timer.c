/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timers: a binary min-heap of deadlines under one lock, and a host timerfd armed for the top. The
 * timerfd is only ever moved to an earlier time by arming; a deadline that was cancelled costs at
 * most one wake-up of the event thread, which then arms for what is left, or disarms.
 */
#include "sentry/kernel/timer.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/kernel/lockorder.h"

struct timers {
	struct mutex lock;	  /* RANK_TIMER */
	struct condition idle;	  /* running became NULL */
	struct ktimer **heap;	  /* [lock] */
	uint32_t count, capacity; /* [lock] */
	uint64_t armed;		  /* [lock] what the timerfd is set to */
	struct ktimer *running;	  /* [lock] its function is being called ... */
	pthread_t runner;	  /* [lock] ... by this thread */
	int fd;			  /* [I] */
};

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

uint64_t time_monotonic_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t time_realtime_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

uint64_t time_boottime_ns(void)
{
	return clock_ns(CLOCK_BOOTTIME);
}

struct timers *timers_new(void)
{
	struct timers *ts = xnew(struct timers);

	mutex_init(&ts->lock, RANK_TIMER);
	ts->armed = TIME_NEVER;
	ts->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (ts->fd < 0)
		panic("timerfd_create: %s", strerror(errno));
	return ts;
}

void timers_destroy(struct timers *ts)
{
	check(ts->count == 0);
	close(ts->fd);
	free(ts->heap);
	mutex_destroy(&ts->lock);
	free(ts);
}

int ktimer_host_fd(struct kernel *k)
{
	return k->timers->fd;
}

/* ---- the heap; all under the lock ---- */

static void heap_put(struct timers *ts, uint32_t at, struct ktimer *t)
{
	ts->heap[at] = t;
	t->heap_index = (int32_t)at;
}

static void sift_up(struct timers *ts, uint32_t at)
{
	struct ktimer *t = ts->heap[at];

	while (at > 0 && ts->heap[(at - 1) / 2]->deadline > t->deadline) {
		heap_put(ts, at, ts->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	heap_put(ts, at, t);
}

static void sift_down(struct timers *ts, uint32_t at)
{
	struct ktimer *t = ts->heap[at];

	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child >= ts->count)
			break;
		if (child + 1 < ts->count &&
		    ts->heap[child + 1]->deadline < ts->heap[child]->deadline)
			child++;
		if (ts->heap[child]->deadline >= t->deadline)
			break;
		heap_put(ts, at, ts->heap[child]);
		at = child;
	}
	heap_put(ts, at, t);
}

static void heap_insert(struct timers *ts, struct ktimer *t)
{
	if (ts->count == ts->capacity) {
		ts->capacity = MAX(16u, ts->capacity * 2);
		ts->heap = xrealloc(ts->heap, ts->capacity * sizeof(*ts->heap));
	}
	heap_put(ts, ts->count++, t);
	sift_up(ts, ts->count - 1);
}

static void heap_remove(struct timers *ts, struct ktimer *t)
{
	uint32_t at = (uint32_t)t->heap_index;
	struct ktimer *last = ts->heap[--ts->count];

	t->heap_index = -1;
	if (last == t)
		return;
	heap_put(ts, at, last);
	sift_up(ts, at);
	sift_down(ts, (uint32_t)last->heap_index);
}

/* Sets the host timer for the earliest deadline; lazily: a later one waits for the next wake-up. */
static void program(struct timers *ts, bool may_postpone)
{
	uint64_t want = ts->count ? ts->heap[0]->deadline : TIME_NEVER;
	struct itimerspec its = {0};

	if (want == ts->armed || (want > ts->armed && !may_postpone))
		return;
	ts->armed = want;
	if (want != TIME_NEVER) {
		its.it_value.tv_sec = (time_t)(want / 1000000000ull);
		its.it_value.tv_nsec = (long)(want % 1000000000ull);
		if (want == 0)
			its.it_value.tv_nsec = 1; /* zero would disarm */
	}
	if (timerfd_settime(ts->fd, TFD_TIMER_ABSTIME, &its, NULL) < 0)
		panic("timerfd_settime: %s", strerror(errno));
}

void ktimer_init(struct ktimer *t, void (*func)(struct ktimer *))
{
	t->deadline = TIME_NEVER;
	t->heap_index = -1;
	t->func = func;
}

void ktimer_arm(struct kernel *k, struct ktimer *t, uint64_t deadline)
{
	struct timers *ts = k->timers;

	mutex_lock(&ts->lock);
	if (t->heap_index >= 0)
		heap_remove(ts, t);
	t->deadline = deadline;
	/* Beyond some 280 years the host's clock can't count either. */
	if (deadline < INT64_MAX)
		heap_insert(ts, t);
	program(ts, false);
	mutex_unlock(&ts->lock);
}

void ktimer_cancel(struct kernel *k, struct ktimer *t)
{
	struct timers *ts = k->timers;

	mutex_lock(&ts->lock);
	for (;;) {
		if (t->heap_index >= 0)
			heap_remove(ts, t);
		if (ts->running != t || pthread_equal(ts->runner, pthread_self()))
			break;
		condition_wait(&ts->idle, &ts->lock);
	}
	mutex_unlock(&ts->lock);
}

void timers_expire(struct kernel *k)
{
	struct timers *ts = k->timers;
	uint64_t expirations, now = time_monotonic_ns();
	ssize_t n = read(ts->fd, &expirations, sizeof(expirations));

	(void)n; /* EAGAIN: somebody re-armed it; what is due is run all the same */
	mutex_lock(&ts->lock);
	ts->armed = TIME_NEVER;
	ts->runner = pthread_self();
	/* What is armed for a moment from now on waits for the next round: others want this thread.
	 */
	while (ts->count && ts->heap[0]->deadline <= now) {
		struct ktimer *t = ts->heap[0];

		heap_remove(ts, t);
		ts->running = t;
		mutex_unlock(&ts->lock);
		t->func(t);
		mutex_lock(&ts->lock);
		ts->running = NULL;
		condition_broadcast(&ts->idle);
	}
	program(ts, true);
	mutex_unlock(&ts->lock);
}
