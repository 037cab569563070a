/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks, sleeping, timers, and CPU time used (time(7), timer_create(2), getrusage(2)). */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "abi/caps.h"
#include "abi/errno.h"
#include "abi/time.h"
#include "sentry/kernel/cputime.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/itimer.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/posix_timer.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_block.h"
#include "sentry/kernel/unsupported.h"
#include "sentry/mm/usermem.h"
#include "syscalls/syscalls.h"
#include "syscalls/timeargs.h"

#define NS_PER_SEC 1000000000ull

/* ---- times as arguments ---- */

int timespec_to_ns(const struct abi_timespec *ts, uint64_t *ret_ns)
{
	if (ts->sec < 0 || ts->nsec < 0 || ts->nsec >= (int64_t)NS_PER_SEC)
		return -EINVAL;
	if ((uint64_t)ts->sec >= INT64_MAX / NS_PER_SEC)
		*ret_ns = TIME_NEVER - 1;
	else
		*ret_ns = (uint64_t)ts->sec * NS_PER_SEC + (uint64_t)ts->nsec;
	return 0;
}

int timespec_from_user(struct task *t, uaddr_t ptr, uint64_t *ret_ns)
{
	struct abi_timespec ts;

	if (copy_from_user(t, &ts, ptr, sizeof(ts)))
		return -EFAULT;
	return timespec_to_ns(&ts, ret_ns);
}

struct abi_timespec timespec_of_ns(uint64_t ns)
{
	return (struct abi_timespec){(int64_t)(ns / NS_PER_SEC), (int64_t)(ns % NS_PER_SEC)};
}

struct abi_timeval timeval_of_ns(uint64_t ns)
{
	return (struct abi_timeval){(int64_t)(ns / NS_PER_SEC), (int64_t)(ns % NS_PER_SEC / 1000)};
}

uint64_t deadline_in(uint64_t ns)
{
	return ns == TIME_NEVER ? ns : time_later(time_monotonic_ns(), ns);
}

uint64_t deadline_at_realtime(uint64_t ns)
{
	uint64_t now = time_realtime_ns();

	return deadline_in(ns > now ? ns - now : 0);
}

static int timeval_to_ns(const struct abi_timeval *tv, uint64_t *ret_ns)
{
	struct abi_timespec ts = {tv->sec, tv->usec * 1000};

	if (tv->usec < 0 || tv->usec >= 1000000)
		return -EINVAL;
	return timespec_to_ns(&ts, ret_ns);
}

/* ---- clocks ---- */

static bool plain_clock(int id)
{
	switch (id) {
	case ABI_CLOCK_REALTIME:
	case ABI_CLOCK_MONOTONIC:
	case ABI_CLOCK_MONOTONIC_RAW:
	case ABI_CLOCK_REALTIME_COARSE:
	case ABI_CLOCK_MONOTONIC_COARSE:
	case ABI_CLOCK_BOOTTIME:
	case ABI_CLOCK_REALTIME_ALARM:
	case ABI_CLOCK_BOOTTIME_ALARM:
	case ABI_CLOCK_TAI:
		return true;
	default:
		return false;
	}
}

/* The clocks of the host are the guest's: their numbers are the same. */
static int host_clock_read(int id, uint64_t *ret_ns)
{
	struct timespec ts;

	if (clock_gettime(id, &ts))
		return -EINVAL;
	*ret_ns = (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
	return 0;
}

static uint64_t cputime_of_kind(const struct cputime *used, int kind)
{
	return used->utime + (kind == ABI_CPUCLOCK_VIRT ? 0 : used->stime);
}

/* A negative id: the CPU clock of a process or thread (clock_getcpuclockid(3)). */
static int cpu_clock_read(struct task *t, int id, uint64_t *ret_ns)
{
	int32_t pid = ~(id >> 3);
	int kind = id & ABI_CPUCLOCK_MASK;
	struct task *other;
	struct cputime used;
	int err = 0;

	if (kind == ABI_CLOCKFD)
		return (int)unsupported(t, EINVAL, "clock of a descriptor");
	other = pid ? task_find(t->kernel, pid) : task_get(t);
	if (!other)
		return -EINVAL;
	if (id & ABI_CPUCLOCK_PERTHREAD) {
		if (other->tg == t->tg)
			cputime_of_task(other, &used);
		else
			err = -EINVAL;
	} else if (pid && other->tg->tgid != pid) {
		err = -EINVAL;
	} else {
		cputime_of_process(other->tg, &used);
	}
	if (!err)
		*ret_ns = cputime_of_kind(&used, kind);
	task_put(other);
	return err;
}

static int clock_read(struct task *t, int id, uint64_t *ret_ns)
{
	struct cputime used;

	if (plain_clock(id))
		return host_clock_read(id, ret_ns);
	if (id < 0)
		return cpu_clock_read(t, id, ret_ns);
	if (id == ABI_CLOCK_PROCESS_CPUTIME_ID)
		cputime_of_process(t->tg, &used);
	else if (id == ABI_CLOCK_THREAD_CPUTIME_ID)
		cputime_of_task(t, &used);
	else
		return -EINVAL;
	*ret_ns = used.utime + used.stime;
	return 0;
}

int64_t sys_clock_gettime(struct task *t, const struct sysargs *a)
{
	struct abi_timespec ts;
	uint64_t ns;
	int err = clock_read(t, abi_int(a->arg[0]), &ns);

	if (err)
		return err;
	ts = timespec_of_ns(ns);
	return copy_to_user(t, uaddr(a->arg[1]), &ts, sizeof(ts));
}

int64_t sys_clock_getres(struct task *t, const struct sysargs *a)
{
	int id = abi_int(a->arg[0]);
	struct abi_timespec res = {0, 1};
	struct timespec host;
	uint64_t ns;
	int err;

	if (plain_clock(id)) {
		if (clock_getres(id, &host))
			return -EINVAL;
		res = (struct abi_timespec){host.tv_sec, host.tv_nsec};
	} else {
		err = clock_read(t, id, &ns);
		if (err)
			return err;
	}
	if (!a->arg[1])
		return 0;
	return copy_to_user(t, uaddr(a->arg[1]), &res, sizeof(res));
}

/* The clock is the host's. */
static int refuse_set(struct task *t)
{
	if (cred_capable(t->cred, ABI_CAP_SYS_TIME))
		return (int)unsupported(t, EPERM, "setting the clock");
	return -EPERM;
}

int64_t sys_clock_settime(struct task *t, const struct sysargs *a)
{
	uint64_t ns;
	int err = timespec_from_user(t, uaddr(a->arg[1]), &ns);

	if (abi_int(a->arg[0]) != ABI_CLOCK_REALTIME)
		return -EINVAL;
	return err ? err : refuse_set(t);
}

int64_t sys_settimeofday(struct task *t, const struct sysargs *a)
{
	(void)a;
	return refuse_set(t);
}

/* Reading (modes 0) is done from the clock alone; nothing is known of how it is disciplined. */
static int64_t adjtime_common(struct task *t, uaddr_t ptr)
{
	struct abi_timex tx;
	uint64_t now = time_realtime_ns();

	if (copy_from_user(t, &tx, ptr, sizeof(tx)))
		return -EFAULT;
	if (tx.modes)
		return refuse_set(t);
	memset(&tx, 0, sizeof(tx));
	tx.status = 0x40; /* STA_UNSYNC */
	tx.maxerror = tx.esterror = 16000000;
	tx.constant = 2;
	tx.precision = 1;
	tx.tolerance = 32768000;
	tx.tick = 10000;
	tx.time = timeval_of_ns(now);
	if (copy_to_user(t, ptr, &tx, sizeof(tx)))
		return -EFAULT;
	return 5; /* TIME_ERROR: not synchronized */
}

int64_t sys_adjtimex(struct task *t, const struct sysargs *a)
{
	return adjtime_common(t, uaddr(a->arg[0]));
}

int64_t sys_clock_adjtime(struct task *t, const struct sysargs *a)
{
	if (abi_int(a->arg[0]) != ABI_CLOCK_REALTIME)
		return plain_clock(abi_int(a->arg[0])) ? -EOPNOTSUPP : -EINVAL;
	return adjtime_common(t, uaddr(a->arg[1]));
}

int64_t sys_gettimeofday(struct task *t, const struct sysargs *a)
{
	struct abi_timeval tv = timeval_of_ns(time_realtime_ns());
	struct abi_timezone tz = {0, 0};

	if (a->arg[0] && copy_to_user(t, uaddr(a->arg[0]), &tv, sizeof(tv)))
		return -EFAULT;
	if (a->arg[1] && copy_to_user(t, uaddr(a->arg[1]), &tz, sizeof(tz)))
		return -EFAULT;
	return 0;
}

int64_t sys_time(struct task *t, const struct sysargs *a)
{
	int64_t now = (int64_t)(time_realtime_ns() / NS_PER_SEC);

	if (a->arg[0] && copy_to_user(t, uaddr(a->arg[0]), &now, sizeof(now)))
		return -EFAULT;
	return now;
}

/* ---- sleeping ---- */

/* interrupted: the restart code. remain: where the rest is told, or 0. */
static int64_t sleep_until(struct task *t, uint64_t deadline, int64_t interrupted, uaddr_t remain)
{
	struct abi_timespec left;
	int64_t ret;

	task_set_deadline(t, deadline);
	ret = task_block(t, interrupted);
	if (ret == -ETIMEDOUT)
		return 0;
	if (ret == interrupted && !uaddr_null(remain)) {
		left = timespec_of_ns(task_deadline_left(t));
		if (copy_to_user(t, remain, &left, sizeof(left)))
			return -EFAULT;
	}
	return ret;
}

static int64_t relative_sleep(struct task *t, uint64_t ns, uaddr_t remain)
{
	return sleep_until(t, deadline_in(ns), -ERESTART_RESTARTBLOCK, remain);
}

int64_t sys_nanosleep(struct task *t, const struct sysargs *a)
{
	uint64_t ns;
	int err = timespec_from_user(t, uaddr(a->arg[0]), &ns);

	return err ? err : relative_sleep(t, ns, uaddr(a->arg[1]));
}

/* The deadline of an absolute time on a clock, -EINVAL or -EOPNOTSUPP for clocks nobody sleeps on.
 */
static int absolute_deadline(int id, uint64_t ns, uint64_t *ret)
{
	uint64_t now;
	int err;

	if (!plain_clock(id) || id == ABI_CLOCK_MONOTONIC_RAW || id == ABI_CLOCK_REALTIME_COARSE ||
	    id == ABI_CLOCK_MONOTONIC_COARSE)
		return plain_clock(id) ? -EOPNOTSUPP : -EINVAL;
	err = host_clock_read(id, &now);
	if (err)
		return err;
	*ret = deadline_in(ns > now ? ns - now : 0);
	return 0;
}

/* Sleeping until a process has used so much CPU: what is left is slept in steps of real time. */
static int64_t cpu_clock_sleep(struct task *t, int id, bool absolute, uint64_t ns)
{
	uint64_t now, target;
	int err = clock_read(t, id, &now);

	if (err)
		return err;
	if (id == ABI_CLOCK_THREAD_CPUTIME_ID)
		return -EINVAL;
	if (!t->call.progress[0])
		t->call.progress[0] = MAX(1ull, absolute ? ns : now + ns);
	target = t->call.progress[0];
	if (now >= target)
		return 0;
	t->call.deadline_set = false;
	task_set_deadline(
	    t, deadline_in(MAX((target - now) / MAX(1u, t->tg->live_count), 10000000ull)));
	return task_block(t, -ERESTART_RESTARTBLOCK);
}

int64_t sys_clock_nanosleep(struct task *t, const struct sysargs *a)
{
	int id = abi_int(a->arg[0]);
	bool absolute = abi_int(a->arg[1]) & ABI_TIMER_ABSTIME;
	uint64_t ns, deadline;
	int err = timespec_from_user(t, uaddr(a->arg[2]), &ns);

	if (err)
		return err;
	if (id == ABI_CLOCK_PROCESS_CPUTIME_ID || id == ABI_CLOCK_THREAD_CPUTIME_ID || id < 0)
		return cpu_clock_sleep(t, id, absolute, ns);
	err = absolute_deadline(id, ns, &deadline);
	if (err)
		return err;
	if (absolute)
		return sleep_until(t, deadline, -ERESTARTNOHAND, uaddr(0));
	return relative_sleep(t, ns, uaddr(a->arg[3]));
}

/* ---- interval timers ---- */

static struct abi_itimerval itimerval_of(const struct itimer_value *v)
{
	return (struct abi_itimerval){timeval_of_ns(v->interval), timeval_of_ns(v->left)};
}

int64_t sys_getitimer(struct task *t, const struct sysargs *a)
{
	int which = abi_int(a->arg[0]);
	struct itimer_value v;
	struct abi_itimerval itv;

	if (which < ABI_ITIMER_REAL || which > ABI_ITIMER_PROF)
		return -EINVAL;
	itimer_get(t->tg, which, &v);
	itv = itimerval_of(&v);
	return copy_to_user(t, uaddr(a->arg[1]), &itv, sizeof(itv));
}

int64_t sys_setitimer(struct task *t, const struct sysargs *a)
{
	int which = abi_int(a->arg[0]);
	struct abi_itimerval itv = {0};
	struct itimer_value v, old;

	if (which < ABI_ITIMER_REAL || which > ABI_ITIMER_PROF)
		return -EINVAL;
	if (a->arg[1] && copy_from_user(t, &itv, uaddr(a->arg[1]), sizeof(itv)))
		return -EFAULT;
	if (timeval_to_ns(&itv.value, &v.left) || timeval_to_ns(&itv.interval, &v.interval))
		return -EINVAL;
	itimer_set(t->tg, which, &v, &old);
	itv = itimerval_of(&old);
	if (a->arg[2] && copy_to_user(t, uaddr(a->arg[2]), &itv, sizeof(itv)))
		return -EFAULT;
	return 0;
}

int64_t sys_alarm(struct task *t, const struct sysargs *a)
{
	struct itimer_value v = {(uint64_t)(uint32_t)a->arg[0] * NS_PER_SEC, 0}, old;
	uint64_t seconds;

	itimer_set(t->tg, ABI_ITIMER_REAL, &v, &old);
	/* Rounded, but an alarm that is set never reads as none (Linux alarm_setitimer). */
	seconds = (old.left + NS_PER_SEC / 2) / NS_PER_SEC;
	return (int64_t)(old.left && !seconds ? 1 : seconds);
}

/* ---- POSIX timers ---- */

static int check_timer_clock(struct task *t, int clock)
{
	switch (clock) {
	case ABI_CLOCK_REALTIME:
	case ABI_CLOCK_MONOTONIC:
	case ABI_CLOCK_BOOTTIME:
	case ABI_CLOCK_TAI:
		return 0;
	case ABI_CLOCK_REALTIME_ALARM:
	case ABI_CLOCK_BOOTTIME_ALARM:
		return cred_capable(t->cred, ABI_CAP_WAKE_ALARM) ? 0 : -EPERM;
	case ABI_CLOCK_PROCESS_CPUTIME_ID:
	case ABI_CLOCK_THREAD_CPUTIME_ID:
		return (int)unsupported(t, EINVAL, "timer on a CPU clock");
	default:
		return clock < 0 ? (int)unsupported(t, EINVAL, "timer on a CPU clock") : -EINVAL;
	}
}

int64_t sys_timer_create(struct task *t, const struct sysargs *a)
{
	int clock = abi_int(a->arg[0]);
	struct abi_sigevent ev;
	int err = check_timer_clock(t, clock);
	int32_t id;

	if (err)
		return err;
	if (a->arg[1] && copy_from_user(t, &ev, uaddr(a->arg[1]), sizeof(ev)))
		return -EFAULT;
	id = posix_timer_create(t, clock, a->arg[1] ? &ev : NULL);
	if (id < 0)
		return id;
	if (copy_to_user(t, uaddr(a->arg[2]), &id, sizeof(id))) {
		posix_timer_delete(t->tg, id);
		return -EFAULT;
	}
	return 0;
}

static struct abi_itimerspec itimerspec_of(const struct posix_timer_value *v)
{
	return (struct abi_itimerspec){timespec_of_ns(v->interval), timespec_of_ns(v->value)};
}

int64_t sys_timer_settime(struct task *t, const struct sysargs *a)
{
	struct posix_timer_value v, old;
	struct abi_itimerspec its;
	int err;

	if (!a->arg[2])
		return -EINVAL;
	if (copy_from_user(t, &its, uaddr(a->arg[2]), sizeof(its)))
		return -EFAULT;
	if (timespec_to_ns(&its.value, &v.value) || timespec_to_ns(&its.interval, &v.interval))
		return -EINVAL;
	err = posix_timer_settime(t->tg, abi_int(a->arg[0]), abi_int(a->arg[1]) & ABI_TIMER_ABSTIME,
				  &v, &old);
	if (err)
		return err;
	its = itimerspec_of(&old);
	if (a->arg[3] && copy_to_user(t, uaddr(a->arg[3]), &its, sizeof(its)))
		return -EFAULT;
	return 0;
}

int64_t sys_timer_gettime(struct task *t, const struct sysargs *a)
{
	struct posix_timer_value v;
	struct abi_itimerspec its;
	int err = posix_timer_gettime(t->tg, abi_int(a->arg[0]), &v);

	if (err)
		return err;
	its = itimerspec_of(&v);
	return copy_to_user(t, uaddr(a->arg[1]), &its, sizeof(its));
}

int64_t sys_timer_getoverrun(struct task *t, const struct sysargs *a)
{
	return posix_timer_getoverrun(t->tg, abi_int(a->arg[0]));
}

int64_t sys_timer_delete(struct task *t, const struct sysargs *a)
{
	return posix_timer_delete(t->tg, abi_int(a->arg[0]));
}

/* ---- what was used ---- */

static int64_t ticks(uint64_t ns)
{
	return (int64_t)(ns / (NS_PER_SEC / ABI_USER_HZ));
}

int64_t sys_times(struct task *t, const struct sysargs *a)
{
	struct cputime used;
	struct abi_tms tms;

	if (a->arg[0]) {
		cputime_of_process(t->tg, &used);
		tms.utime = ticks(used.utime);
		tms.stime = ticks(used.stime);
		tms.cutime = ticks(t->tg->dead_children_utime);
		tms.cstime = ticks(t->tg->dead_children_stime);
		if (copy_to_user(t, uaddr(a->arg[0]), &tms, sizeof(tms)))
			return -EFAULT;
	}
	return ticks(time_boottime_ns());
}

int64_t sys_getrusage(struct task *t, const struct sysargs *a)
{
	struct cputime used = {0, 0};
	struct abi_rusage ru;

	memset(&ru, 0, sizeof(ru));
	switch (abi_int(a->arg[0])) {
	case ABI_RUSAGE_SELF:
		cputime_of_process(t->tg, &used);
		break;
	case ABI_RUSAGE_THREAD:
		cputime_of_task(t, &used);
		break;
	case ABI_RUSAGE_CHILDREN:
		used.utime = t->tg->dead_children_utime;
		used.stime = t->tg->dead_children_stime;
		break;
	default:
		return -EINVAL;
	}
	if (abi_int(a->arg[0]) != ABI_RUSAGE_CHILDREN)
		ru.maxrss = cputime_max_rss_kib(t->tg);
	ru.utime = timeval_of_ns(used.utime);
	ru.stime = timeval_of_ns(used.stime);
	return copy_to_user(t, uaddr(a->arg[1]), &ru, sizeof(ru));
}
