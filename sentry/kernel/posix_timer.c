/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POSIX timers. Each owns the one queue entry of its signal: an expiry while that is still queued
 * counts as an overrun in the entry, so that the handler reads it in si_overrun, and
 * timer_getoverrun tells the count of the last signal.
 *
 * While nobody takes the signal a timer is looked at once in VAIN_NS, however short its interval;
 * one that sends none (SIGEV_NONE) is never armed: its state follows from the time.
 *
 * Absolute times on CLOCK_REALTIME are turned into monotonic ones when the timer is set; setting
 * the host's clock later does not move them.
 *
 * Life: the process's list holds one reference, each call in progress another. posix_timer_end
 * takes a timer off the list, after which it can't be found, and cancels it.
 */
#include "sentry/kernel/posix_timer.h"

#include <errno.h>
#include <stdlib.h>

#include "abi/resource.h"
#include "abi/time.h"
#include "base/mem.h"
#include "base/refcount.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/task.h"

#define VAIN_NS 1000000ull

struct posix_timer {
	struct refcount ref;
	struct list link; /* [s] tg->posix_timers */
	struct thread_group *tg;
	int id;			    /* [I] */
	int clock;		    /* [I] ABI_CLOCK_* */
	int notify;		    /* [I] ABI_SIGEV_* */
	struct task *target;	    /* [I] SIGEV_THREAD_ID: reference */
	uint64_t deadline;	    /* [s] ns monotonic; 0: not armed */
	uint64_t interval;	    /* [s] */
	struct siginfo_entry entry; /* [s] */
	struct ktimer timer;
};

static void timer_put(struct posix_timer *pt)
{
	if (!refcount_put(&pt->ref))
		return;
	if (pt->target)
		task_put(pt->target);
	free(pt);
}

/* With a reference, or NULL. */
static struct posix_timer *timer_find(struct thread_group *tg, int id)
{
	struct posix_timer *pt, *found = NULL;

	mutex_lock(&tg->siglock);
	list_for_each (pt, &tg->posix_timers, link) {
		if (pt->id == id) {
			refcount_get(&pt->ref);
			found = pt;
			break;
		}
	}
	mutex_unlock(&tg->siglock);
	return found;
}

/* The deadline has passed: on to the next one. Returns how many were passed by besides. */
static uint64_t pass_deadline_locked(struct posix_timer *pt, uint64_t now)
{
	uint64_t missed = 0;

	if (pt->deadline && pt->interval) {
		missed = (now - pt->deadline) / pt->interval;
		pt->deadline = time_later(pt->deadline + missed * pt->interval, pt->interval);
	} else {
		pt->deadline = 0;
	}
	return missed;
}

static void arm_locked(struct posix_timer *pt, uint64_t not_before)
{
	if (pt->deadline && pt->notify != ABI_SIGEV_NONE)
		ktimer_arm(pt->tg->kernel, &pt->timer, MAX(pt->deadline, not_before));
}

static bool in_vain_locked(const struct posix_timer *pt)
{
	return list_linked(&pt->entry.link) || signal_in_vain_locked(pt->tg, pt->entry.info.signo);
}

static void expired(struct ktimer *timer)
{
	struct posix_timer *pt = container_of(timer, struct posix_timer, timer);
	uint64_t now = time_monotonic_ns(), missed;

	mutex_lock(&pt->tg->siglock);
	missed = pass_deadline_locked(pt, now);
	arm_locked(pt, in_vain_locked(pt) ? now + VAIN_NS : 0);
	if (list_linked(&pt->entry.link))
		missed++;
	else
		pt->entry.info.timer.overrun = 0;
	missed += (uint32_t)pt->entry.info.timer.overrun;
	pt->entry.info.timer.overrun = (int32_t)MIN(missed, (uint64_t)INT32_MAX);
	mutex_unlock(&pt->tg->siglock);
	signal_send_entry(pt->tg, pt->target, &pt->entry);
}

/* ---- making ---- */

static struct task *find_thread(struct thread_group *tg, int32_t tid)
{
	struct task *t = task_find(tg->kernel, tid);

	if (t && t->tg != tg) {
		task_put(t);
		t = NULL;
	}
	return t;
}

static int check_event(struct task *t, const struct abi_sigevent *ev, struct task **ret_target)
{
	if (ev->notify == ABI_SIGEV_NONE)
		return 0;
	if (ev->signo < 1 || ev->signo > ABI_NSIG)
		return -EINVAL;
	if (ev->notify == ABI_SIGEV_SIGNAL)
		return 0;
	if (ev->notify != (ABI_SIGEV_SIGNAL | ABI_SIGEV_THREAD_ID))
		return -EINVAL;
	*ret_target = find_thread(t->tg, ev->tid);
	return *ret_target ? 0 : -EINVAL;
}

int posix_timer_create(struct task *t, int clock, const struct abi_sigevent *ev)
{
	struct thread_group *tg = t->tg;
	struct task *target = NULL;
	struct posix_timer *pt;
	const struct abi_sigevent by_default = {.signo = ABI_SIGALRM, .notify = ABI_SIGEV_SIGNAL};
	bool value_is_id = !ev;
	int id;

	if (!ev)
		ev = &by_default;
	id = check_event(t, ev, &target);

	if (id)
		return id;
	pt = xnew(struct posix_timer);
	refcount_init(&pt->ref);
	pt->tg = tg;
	pt->clock = clock;
	pt->notify = ev->notify;
	pt->target = target;
	list_init(&pt->entry.link);
	pt->entry.preallocated = true;
	pt->entry.info.signo = ev->signo;
	pt->entry.info.code = ABI_SI_TIMER;
	ktimer_init(&pt->timer, expired);
	mutex_lock(&tg->siglock);
	if (tg->timer_count >= tg->rlimits[ABI_RLIMIT_SIGPENDING].cur ||
	    tg->next_timer_id == INT32_MAX) {
		id = -EAGAIN;
	} else {
		id = pt->id = tg->next_timer_id++;
		tg->timer_count++;
		pt->entry.info.timer.tid = id;
		pt->entry.info.timer.value = value_is_id ? (uint64_t)id : ev->value;
		list_add_tail(&tg->posix_timers, &pt->link);
	}
	mutex_unlock(&tg->siglock);
	if (id < 0)
		timer_put(pt);
	return id;
}

/* ---- using ---- */

static void get_locked(struct posix_timer *pt, struct posix_timer_value *ret)
{
	uint64_t now = time_monotonic_ns();

	if (pt->notify == ABI_SIGEV_NONE && pt->deadline && pt->deadline <= now)
		pass_deadline_locked(pt, now);
	ret->interval = pt->interval;
	ret->value = 0;
	if (pt->deadline)
		ret->value = pt->deadline > now ? pt->deadline - now : 1;
}

/* The monotonic time of a value on the timer's clock. */
static uint64_t to_monotonic(const struct posix_timer *pt, bool absolute, uint64_t value)
{
	uint64_t now = time_monotonic_ns(), clock_now = now;

	if (!absolute)
		return time_later(now, value);
	switch (pt->clock) {
	case ABI_CLOCK_REALTIME:
	case ABI_CLOCK_REALTIME_ALARM:
	case ABI_CLOCK_TAI:
		clock_now = time_realtime_ns();
		break;
	case ABI_CLOCK_BOOTTIME:
	case ABI_CLOCK_BOOTTIME_ALARM:
		clock_now = time_boottime_ns();
		break;
	}
	return value > clock_now ? time_later(now, value - clock_now) : now;
}

int posix_timer_settime(struct thread_group *tg, int id, bool absolute,
			const struct posix_timer_value *v, struct posix_timer_value *ret_old)
{
	struct posix_timer *pt = timer_find(tg, id);

	if (!pt)
		return -EINVAL;
	ktimer_cancel(tg->kernel, &pt->timer);
	mutex_lock(&tg->siglock);
	get_locked(pt, ret_old);
	pt->deadline = v->value ? to_monotonic(pt, absolute, v->value) : 0;
	pt->interval = v->interval;
	pt->entry.info.timer.overrun = 0;
	if (list_linked(&pt->link))
		arm_locked(pt, 0);
	mutex_unlock(&tg->siglock);
	timer_put(pt);
	return 0;
}

int posix_timer_gettime(struct thread_group *tg, int id, struct posix_timer_value *ret)
{
	struct posix_timer *pt = timer_find(tg, id);

	if (!pt)
		return -EINVAL;
	mutex_lock(&tg->siglock);
	get_locked(pt, ret);
	mutex_unlock(&tg->siglock);
	timer_put(pt);
	return 0;
}

int posix_timer_getoverrun(struct thread_group *tg, int id)
{
	struct posix_timer *pt = timer_find(tg, id);
	int overrun;

	if (!pt)
		return -EINVAL;
	mutex_lock(&tg->siglock);
	overrun = pt->entry.info.timer.overrun;
	mutex_unlock(&tg->siglock);
	timer_put(pt);
	return overrun;
}

/* ---- the end ---- */

/* Off the list already: nobody arms it again. Takes the list's reference over. */
static void timer_end(struct posix_timer *pt)
{
	struct thread_group *tg = pt->tg;

	ktimer_cancel(tg->kernel, &pt->timer);
	mutex_lock(&tg->siglock);
	if (list_linked(&pt->entry.link))
		sigqueue_remove_entry(pt->target ? &pt->target->pending : &tg->pending, &pt->entry);
	mutex_unlock(&tg->siglock);
	timer_put(pt);
}

static void unlink_locked(struct posix_timer *pt)
{
	list_del(&pt->link);
	pt->tg->timer_count--;
}

int posix_timer_delete(struct thread_group *tg, int id)
{
	struct posix_timer *pt = timer_find(tg, id);
	bool mine;

	if (!pt)
		return -EINVAL;
	mutex_lock(&tg->siglock);
	mine = list_linked(&pt->link);
	if (mine)
		unlink_locked(pt);
	mutex_unlock(&tg->siglock);
	if (mine)
		timer_end(pt);
	timer_put(pt);
	return mine ? 0 : -EINVAL;
}

void posix_timers_delete_all(struct thread_group *tg)
{
	struct posix_timer *pt;

	for (;;) {
		mutex_lock(&tg->siglock);
		pt = list_first_or_null(&tg->posix_timers, struct posix_timer, link);
		if (pt)
			unlink_locked(pt);
		mutex_unlock(&tg->siglock);
		if (!pt)
			return;
		timer_end(pt);
	}
}
