/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timerfd_create(2). A periodic timer is not armed again when it has fired but when it is read (as
 * on Linux): how often it would have fired meanwhile is a division. So a timer that nobody looks at
 * wakes the sentry once.
 *
 * All clocks are kept as deadlines of the monotonic one. An absolute time of the real-time clock is
 * converted when it is set; the host's clock being set later isn't followed.
 */
#include <errno.h>
#include <stdlib.h>

#include "abi/fcntl.h"
#include "abi/poll.h"
#include "base/mem.h"
#include "sentry/fs/anon/anon.h"
#include "sentry/kernel/lockorder.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/timer.h"
#include "sentry/mm/usermem.h"
#include "sentry/vfs/vfs.h"

struct timerfd {
	struct kernel *kernel; /* [I] */
	int clock;	       /* [I] ABI_CLOCK_* */
	struct mutex lock;     /* RANK_OBJECT */
	uint64_t deadline;     /* lock; of the next expiry not counted yet, or TIME_NEVER */
	uint64_t interval;     /* lock; 0: once */
	uint64_t ticks;	       /* lock; expiries not read */
	struct ktimer timer;
	struct waitqueue wq;
};

static const struct file_ops timerfd_ops;

/* Counts what has expired by now. */
static void count_ticks(struct timerfd *tf, uint64_t now)
{
	uint64_t n = 1;

	assert_held(&tf->lock);
	if (tf->deadline == TIME_NEVER || now < tf->deadline)
		return;
	if (tf->interval) {
		n += (now - tf->deadline) / tf->interval;
		tf->deadline += n * tf->interval;
	} else {
		tf->deadline = TIME_NEVER;
	}
	tf->ticks += n;
}

static void timerfd_fired(struct ktimer *k)
{
	struct timerfd *tf = container_of(k, struct timerfd, timer);

	mutex_lock(&tf->lock);
	count_ticks(tf, time_monotonic_ns());
	mutex_unlock(&tf->lock);
	waitqueue_wake(&tf->wq, ABI_POLLIN | ABI_POLLRDNORM);
}

static ssize_t timerfd_read(struct file *f, struct uio *to, int64_t *pos)
{
	struct timerfd *tf = f->private;
	uint64_t ticks, deadline;

	(void)pos;
	if (to->left < sizeof(ticks))
		return -EINVAL;
	mutex_lock(&tf->lock);
	count_ticks(tf, time_monotonic_ns());
	ticks = tf->ticks;
	tf->ticks = 0;
	deadline = tf->deadline;
	if (ticks && deadline != TIME_NEVER)
		ktimer_arm(tf->kernel, &tf->timer, deadline);
	mutex_unlock(&tf->lock);
	return ticks ? uio_write(to, &ticks, sizeof(ticks)) : -EAGAIN;
}

static uint32_t timerfd_poll(struct file *f, struct poll_table *pt)
{
	struct timerfd *tf = f->private;
	uint32_t ready = 0;

	poll_wait(pt, &tf->wq);
	mutex_lock(&tf->lock);
	count_ticks(tf, time_monotonic_ns());
	if (tf->ticks)
		ready = ABI_POLLIN | ABI_POLLRDNORM;
	mutex_unlock(&tf->lock);
	return ready;
}

static void timerfd_release(struct file *f)
{
	struct timerfd *tf = f->private;

	ktimer_cancel(tf->kernel, &tf->timer);
	waitqueue_destroy(&tf->wq);
	mutex_destroy(&tf->lock);
	free(tf);
}

static const struct file_ops timerfd_ops = {
    .read = timerfd_read,
    .poll = timerfd_poll,
    .release = timerfd_release,
    .no_seek = true,
};

static bool is_realtime(int clock)
{
	return clock == ABI_CLOCK_REALTIME || clock == ABI_CLOCK_REALTIME_ALARM;
}

static bool is_boottime(int clock)
{
	return clock == ABI_CLOCK_BOOTTIME || clock == ABI_CLOCK_BOOTTIME_ALARM;
}

int timerfd_new(struct task *t, int clock, uint32_t flags, struct file **ret)
{
	struct timerfd *tf;

	if (!is_realtime(clock) && !is_boottime(clock) && clock != ABI_CLOCK_MONOTONIC)
		return -EINVAL;
	tf = xnew(struct timerfd);
	tf->kernel = t->kernel;
	tf->clock = clock;
	tf->deadline = TIME_NEVER;
	mutex_init(&tf->lock, RANK_OBJECT);
	waitqueue_init(&tf->wq);
	ktimer_init(&tf->timer, timerfd_fired);
	*ret = file_new_anon(t->kernel, "anon_inode:[timerfd]", &timerfd_ops, tf,
			     ABI_O_RDWR | flags, t->cred);
	return 0;
}

/* ---- setting ---- */

static uint64_t to_ns(const struct abi_timespec *ts)
{
	if ((uint64_t)ts->sec >= UINT64_MAX / 2 / ABI_NSEC_PER_SEC)
		return UINT64_MAX / 2;
	return (uint64_t)ts->sec * ABI_NSEC_PER_SEC + (uint64_t)ts->nsec;
}

static struct abi_timespec from_ns(uint64_t ns)
{
	return (struct abi_timespec){(int64_t)(ns / ABI_NSEC_PER_SEC),
				     (int64_t)(ns % ABI_NSEC_PER_SEC)};
}

static bool valid(const struct abi_timespec *ts)
{
	return ts->sec >= 0 && ts->nsec >= 0 && ts->nsec < ABI_NSEC_PER_SEC;
}

static uint64_t clock_now(int clock)
{
	if (is_realtime(clock))
		return time_realtime_ns();
	return is_boottime(clock) ? time_boottime_ns() : time_monotonic_ns();
}

static uint64_t deadline_for(const struct timerfd *tf, uint64_t value, bool absolute)
{
	uint64_t now = time_monotonic_ns(), base;

	if (!value)
		return TIME_NEVER;
	if (absolute) {
		base = clock_now(tf->clock);
		value = value > base ? value - base : 0;
	}
	return now + value;
}

static void current_setting(struct timerfd *tf, struct abi_itimerspec *ret)
{
	uint64_t now = time_monotonic_ns();

	count_ticks(tf, now);
	ret->interval = from_ns(tf->interval);
	ret->value = from_ns(tf->deadline == TIME_NEVER ? 0 : tf->deadline - now);
}

int timerfd_set(struct file *f, int flags, const struct abi_itimerspec *value,
		struct abi_itimerspec *old)
{
	struct timerfd *tf = f->private;

	if (f->ops != &timerfd_ops || !valid(&value->interval) || !valid(&value->value))
		return -EINVAL;
	mutex_lock(&tf->lock);
	if (old)
		current_setting(tf, old);
	tf->ticks = 0;
	tf->interval = to_ns(&value->interval);
	tf->deadline = deadline_for(tf, to_ns(&value->value), flags & ABI_TFD_TIMER_ABSTIME);
	ktimer_arm(tf->kernel, &tf->timer, tf->deadline);
	mutex_unlock(&tf->lock);
	return 0;
}

int timerfd_get(struct file *f, struct abi_itimerspec *ret)
{
	struct timerfd *tf = f->private;

	if (f->ops != &timerfd_ops)
		return -EINVAL;
	mutex_lock(&tf->lock);
	current_setting(tf, ret);
	mutex_unlock(&tf->lock);
	return 0;
}
