/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interval timers. ITIMER_REAL is a timer of the kernel's. ITIMER_VIRTUAL and ITIMER_PROF count CPU
 * time, which the host keeps and does not announce: a timer looks at it when, at the earliest, the
 * value can have been reached (a process of n threads uses at most n seconds of CPU a second).
 * While the process sleeps the looks become rarer, up to LOOK_MAX_NS apart, which is how late such
 * a signal can come after a pause.
 */
#include "sentry/kernel/itimer.h"

#include "abi/resource.h"
#include "abi/signal.h"
#include "abi/time.h"
#include "base/mem.h"
#include "sentry/kernel/cputime.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/task.h"

#define NS_PER_SEC  1000000000ull
#define LOOK_MIN_NS 1000000ull	 /* 1 ms: a tick of the host's accounting */
#define LOOK_MAX_NS 100000000ull /* 100 ms */
#define VAIN_NS	    1000000ull	 /* to the next expiry while nobody takes the signal */

enum { CPU_VIRTUAL, CPU_PROF, CPU_LIMIT, CPU_TIMERS };

struct cpu_itimer {
	struct ktimer timer;
	struct thread_group *tg;
	bool user_only;	   /* [I] ITIMER_VIRTUAL */
	bool is_limit;	   /* [I] RLIMIT_CPU */
	int signo;	   /* [I] */
	uint64_t target;   /* [s] CPU time at which it fires; 0: not armed */
	uint64_t interval; /* [s] */
	uint64_t seen;	   /* [s] CPU time at the last look */
	uint64_t pause;	   /* [s] until the next look */
};

static uint64_t cpu_used(struct thread_group *tg, bool user_only)
{
	struct cputime used;

	cputime_of_process(tg, &used);
	return used.utime + (user_only ? 0 : used.stime);
}

/* The first multiple of interval behind `last` that is still to come. */
static uint64_t next_expiry(uint64_t last, uint64_t interval, uint64_t now)
{
	if (now > last)
		last += (now - last) / interval * interval;
	return time_later(last, interval);
}

/* ---- ITIMER_REAL ---- */

static void real_expired(struct ktimer *timer)
{
	struct thread_group *tg = container_of(timer, struct thread_group, itimer_real);
	uint64_t next = TIME_NEVER, now = time_monotonic_ns();

	mutex_lock(&tg->siglock);
	if (tg->itimer_real_interval && tg->itimer_real_deadline)
		next = next_expiry(tg->itimer_real_deadline, tg->itimer_real_interval, now);
	if (next != TIME_NEVER && signal_in_vain_locked(tg, ABI_SIGALRM))
		next = MAX(next, now + VAIN_NS);
	tg->itimer_real_deadline = next == TIME_NEVER ? 0 : next;
	if (next != TIME_NEVER)
		ktimer_arm(tg->kernel, timer, next);
	mutex_unlock(&tg->siglock);
	signal_send_group(tg, ABI_SIGALRM, NULL);
}

static void real_get_locked(struct thread_group *tg, struct itimer_value *ret)
{
	uint64_t now = time_monotonic_ns();

	ret->interval = tg->itimer_real_interval;
	ret->left = 0;
	if (tg->itimer_real_deadline)
		ret->left = tg->itimer_real_deadline > now ? tg->itimer_real_deadline - now : 1000;
}

static void real_set(struct thread_group *tg, const struct itimer_value *v,
		     struct itimer_value *ret_old)
{
	uint64_t deadline = 0;

	ktimer_cancel(tg->kernel, &tg->itimer_real);
	mutex_lock(&tg->siglock);
	real_get_locked(tg, ret_old);
	if (v->left)
		deadline = time_later(time_monotonic_ns(), v->left);
	tg->itimer_real_deadline = deadline;
	tg->itimer_real_interval = v->left ? v->interval : 0;
	if (deadline)
		ktimer_arm(tg->kernel, &tg->itimer_real, deadline);
	mutex_unlock(&tg->siglock);
}

/* ---- the CPU timers ---- */

static void arm_look_locked(struct cpu_itimer *ct, uint64_t used)
{
	uint64_t left = ct->target > used ? ct->target - used : 0;
	uint32_t threads = MAX(1u, ct->tg->live_count);

	/* Nothing used since the last look: it sleeps. */
	ct->pause = used == ct->seen ? MIN(ct->pause * 2, LOOK_MAX_NS) : 0;
	ct->seen = used;
	ct->pause = MAX(MAX(ct->pause, left / threads), LOOK_MIN_NS);
	if (!ct->tg->itimers_over)
		ktimer_arm(ct->tg->kernel, &ct->timer, time_later(time_monotonic_ns(), ct->pause));
}

static void cpu_look(struct ktimer *timer)
{
	struct cpu_itimer *ct = container_of(timer, struct cpu_itimer, timer);
	uint64_t used = cpu_used(ct->tg, ct->user_only);
	int signo = ct->signo;
	bool fire = false;

	mutex_lock(&ct->tg->siglock);
	if (ct->target && used >= ct->target) {
		fire = true;
		if (ct->is_limit && used / NS_PER_SEC >= ct->tg->rlimits[ABI_RLIMIT_CPU].max)
			signo = ABI_SIGKILL;
		ct->target = ct->interval ? next_expiry(ct->target, ct->interval, used) : 0;
	}
	if (ct->target)
		arm_look_locked(ct, used);
	mutex_unlock(&ct->tg->siglock);
	if (fire)
		signal_send_group(ct->tg, signo, NULL);
}

/* The process's three, made when one is first set. */
static struct cpu_itimer *cpu_timers(struct thread_group *tg)
{
	static const int signals[CPU_TIMERS] = {ABI_SIGVTALRM, ABI_SIGPROF, ABI_SIGXCPU};
	struct cpu_itimer *ct;

	mutex_lock(&tg->siglock);
	ct = tg->cpu_itimers;
	if (!ct) {
		ct = xcalloc(CPU_TIMERS, sizeof(*ct));
		for (int i = 0; i < CPU_TIMERS; i++) {
			ktimer_init(&ct[i].timer, cpu_look);
			ct[i].tg = tg;
			ct[i].user_only = i == CPU_VIRTUAL;
			ct[i].is_limit = i == CPU_LIMIT;
			ct[i].signo = signals[i];
		}
		tg->cpu_itimers = ct;
	}
	mutex_unlock(&tg->siglock);
	return ct;
}

static void cpu_get_locked(const struct cpu_itimer *ct, uint64_t used, struct itimer_value *ret)
{
	ret->interval = ct->interval;
	ret->left = 0;
	if (ct->target)
		ret->left = ct->target > used ? ct->target - used : 1000;
}

static void cpu_set(struct thread_group *tg, int which, const struct itimer_value *v,
		    struct itimer_value *ret_old)
{
	struct cpu_itimer *ct = &cpu_timers(tg)[which == ABI_ITIMER_PROF ? CPU_PROF : CPU_VIRTUAL];
	uint64_t used = cpu_used(tg, ct->user_only);

	ktimer_cancel(tg->kernel, &ct->timer);
	mutex_lock(&tg->siglock);
	cpu_get_locked(ct, used, ret_old);
	ct->target = v->left ? time_later(used, v->left) : 0;
	ct->interval = v->left ? v->interval : 0;
	ct->seen = 0;
	if (ct->target)
		arm_look_locked(ct, used);
	mutex_unlock(&tg->siglock);
}

static void cpu_limit_set(struct thread_group *tg, uint64_t seconds)
{
	struct cpu_itimer *ct = &cpu_timers(tg)[CPU_LIMIT];
	uint64_t used = cpu_used(tg, false);

	ktimer_cancel(tg->kernel, &ct->timer);
	mutex_lock(&tg->siglock);
	ct->target = 0;
	if (seconds < INT64_MAX / NS_PER_SEC)
		ct->target = MAX(seconds * NS_PER_SEC, 1ull);
	ct->interval = NS_PER_SEC;
	ct->seen = 0;
	if (ct->target)
		arm_look_locked(ct, used);
	mutex_unlock(&tg->siglock);
}

/* ---- all of them ---- */

void itimers_init(struct thread_group *tg)
{
	ktimer_init(&tg->itimer_real, real_expired);
}

void itimers_cancel(struct thread_group *tg)
{
	const struct itimer_value none = {0, 0};
	struct itimer_value old;

	/* Others may still set the limit of CPU time, even that of a zombie (prlimit(2)). */
	mutex_lock(&tg->siglock);
	tg->itimers_over = true;
	mutex_unlock(&tg->siglock);
	real_set(tg, &none, &old);
	if (!tg->cpu_itimers)
		return;
	cpu_set(tg, ABI_ITIMER_VIRTUAL, &none, &old);
	cpu_set(tg, ABI_ITIMER_PROF, &none, &old);
	cpu_limit_set(tg, ABI_RLIM_INFINITY);
}

void itimer_cpu_limit(struct thread_group *tg, uint64_t seconds)
{
	/* Most processes never have one. */
	if (seconds != ABI_RLIM_INFINITY || tg->cpu_itimers)
		cpu_limit_set(tg, seconds);
}

void itimer_get(struct thread_group *tg, int which, struct itimer_value *ret)
{
	uint64_t used = 0;
	struct cpu_itimer *ct = NULL;

	if (which != ABI_ITIMER_REAL) {
		ct = &cpu_timers(tg)[which == ABI_ITIMER_PROF ? CPU_PROF : CPU_VIRTUAL];
		used = cpu_used(tg, ct->user_only);
	}
	mutex_lock(&tg->siglock);
	if (ct)
		cpu_get_locked(ct, used, ret);
	else
		real_get_locked(tg, ret);
	mutex_unlock(&tg->siglock);
}

void itimer_set(struct thread_group *tg, int which, const struct itimer_value *value,
		struct itimer_value *ret_old)
{
	if (which == ABI_ITIMER_REAL)
		real_set(tg, value, ret_old);
	else
		cpu_set(tg, which, value, ret_old);
}
