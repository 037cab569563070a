/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>

#include "compat.h"

static long long ns_of(struct timespec ts)
{
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static long long now_ns(clockid_t id)
{
	struct timespec ts;

	OK(clock_gettime(id, &ts));
	return ns_of(ts);
}

TEST(clocks_by_call)
{
	static const clockid_t ids[] = {
	    CLOCK_REALTIME,	     CLOCK_MONOTONIC,	  CLOCK_PROCESS_CPUTIME_ID,
	    CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE,
	    CLOCK_MONOTONIC_COARSE,  CLOCK_BOOTTIME,	  CLOCK_TAI};
	struct timespec a, b;

	for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		OK(syscall(SYS_clock_gettime, ids[i], &a));
		OK(syscall(SYS_clock_gettime, ids[i], &b));
		CHECK(ns_of(b) >= ns_of(a));
		OK(syscall(SYS_clock_getres, ids[i], &a));
		CHECK(ns_of(a) > 0);
	}
	FAILS(syscall(SYS_clock_gettime, 99, &a), EINVAL);
	FAILS(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, 8), EFAULT);
}

TEST(call_and_vdso_agree)
{
	struct timespec call, vdso;

	OK(clock_gettime(CLOCK_MONOTONIC, &vdso));
	OK(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &call));
	CHECK(ns_of(call) >= ns_of(vdso));
	CHECK(ns_of(call) - ns_of(vdso) < 1000000000ll);
}

TEST(cpu_clock_of_a_process)
{
	clockid_t id;

	EQ(clock_getcpuclockid(0, &id), 0);
	CHECK(now_ns(id) > 0);
	EQ(clock_getcpuclockid(getpid(), &id), 0);
	CHECK(now_ns(id) > 0);
	EQ(clock_getcpuclockid(0x3fffff, &id), ESRCH);
}

TEST(sleeps)
{
	struct timespec ts = {0, 30000000};
	long long before = now_ns(CLOCK_MONOTONIC);

	OK(nanosleep(&ts, NULL));
	CHECK(now_ns(CLOCK_MONOTONIC) - before >= 30000000);
	before = now_ns(CLOCK_MONOTONIC) + 20000000;
	ts = (struct timespec){before / 1000000000, before % 1000000000};
	EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL), 0);
	CHECK(now_ns(CLOCK_MONOTONIC) >= before);
	EQ(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &(struct timespec){1, 0}, NULL), 0);
	ts.tv_nsec = -1;
	FAILS(nanosleep(&ts, NULL), EINVAL);
	FAILS(syscall(SYS_nanosleep, 8, NULL), EFAULT);
	EQ(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &(struct timespec){0, 1}, NULL), EINVAL);
}

static volatile sig_atomic_t ticks, overrun, timer_code, timer_value;

static void tick(int signo, siginfo_t *info, void *uc)
{
	(void)signo;
	(void)uc;
	ticks++;
	overrun += info->si_overrun;
	timer_code = info->si_code;
	timer_value = info->si_value.sival_int;
}

static void on(int signo)
{
	struct sigaction sa = {.sa_sigaction = tick, .sa_flags = SA_SIGINFO};

	OK(sigaction(signo, &sa, NULL));
}

TEST(itimer_real_repeats)
{
	struct itimerval it = {{0, 5000}, {0, 5000}}, old;

	on(SIGALRM);
	OK(setitimer(ITIMER_REAL, &it, NULL));
	while (ticks < 5)
		pause();
	OK(getitimer(ITIMER_REAL, &old));
	EQ(old.it_interval.tv_usec, 5000);
	memset(&it, 0, sizeof(it));
	OK(setitimer(ITIMER_REAL, &it, &old));
	CHECK(old.it_value.tv_usec > 0 && old.it_value.tv_usec <= 5000);
	OK(getitimer(ITIMER_REAL, &old));
	EQ(old.it_value.tv_usec, 0);
	FAILS(getitimer(7, &old), EINVAL);
}

TEST(alarm_remaining)
{
	EQ(alarm(100) > 0, 1); /* the harness's watchdog */
	EQ(alarm(0), 100);
	EQ(alarm(0), 0);
}

static void burn(void)
{
	for (volatile int i = 0; i < 100000; i++)
		;
}

TEST(cpu_timers)
{
	struct itimerval it = {{0, 0}, {0, 20000}};

	on(SIGPROF);
	on(SIGVTALRM);
	OK(setitimer(ITIMER_PROF, &it, NULL));
	while (!ticks)
		burn();
	ticks = 0;
	OK(setitimer(ITIMER_VIRTUAL, &it, NULL));
	while (!ticks)
		burn();
}

TEST(posix_timer)
{
	struct itimerspec its = {{0, 3000000}, {0, 3000000}}, now;
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 2};
	timer_t id;

	on(SIGRTMIN + 2);
	ev.sigev_value.sival_int = 55;
	OK(timer_create(CLOCK_MONOTONIC, &ev, &id));
	OK(timer_settime(id, 0, &its, NULL));
	while (ticks < 3)
		pause();
	EQ(timer_code, SI_TIMER);
	EQ(timer_value, 55);
	OK(timer_gettime(id, &now));
	EQ(now.it_interval.tv_nsec, 3000000);
	OK(timer_delete(id));
	FAILS(syscall(SYS_timer_gettime, 77, &now), EINVAL);
	FAILS(syscall(SYS_timer_delete, 77), EINVAL);
}

TEST(posix_timer_overruns)
{
	struct itimerspec its = {{0, 2000000}, {0, 2000000}};
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct timespec ts = {0, 40000000};
	sigset_t set;
	timer_t id;

	on(SIGUSR1);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	OK(timer_create(CLOCK_MONOTONIC, &ev, &id));
	OK(timer_settime(id, 0, &its, NULL));
	OK(nanosleep(&ts, NULL));
	OK(sigprocmask(SIG_UNBLOCK, &set, NULL));
	CHECK(overrun >= 10);
	OK(timer_delete(id));
}

/* A nanosecond's interval, and nobody who takes the signal: the timers of others go on. */
TEST(shortest_intervals)
{
	struct itimerspec its = {{0, 1}, {0, 1}}, now;
	struct itimerval itv = {{0, 1}, {0, 1}};
	struct sigevent none = {.sigev_notify = SIGEV_NONE};
	struct sigevent blocked = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct sigevent ignored = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
	struct timespec ts = {0, 20000000};
	timer_t id[3];
	sigset_t set;

	signal(SIGUSR2, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGALRM);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	OK(timer_create(CLOCK_MONOTONIC, &none, &id[0]));
	OK(timer_create(CLOCK_MONOTONIC, &blocked, &id[1]));
	OK(timer_create(CLOCK_MONOTONIC, &ignored, &id[2]));
	for (int i = 0; i < 3; i++)
		OK(timer_settime(id[i], 0, &its, NULL));
	OK(setitimer(ITIMER_REAL, &itv, NULL));
	OK(nanosleep(&ts, NULL));
	OK(timer_gettime(id[0], &now));
	EQ(now.it_interval.tv_nsec, 1);
	EQ(now.it_value.tv_sec, 0);
	CHECK(now.it_value.tv_nsec <= 1);
	for (int i = 0; i < 3; i++)
		OK(timer_delete(id[i]));
}

/* Nothing is armed for it, its value goes on all the same. */
TEST(posix_timer_none_runs)
{
	struct itimerspec its = {{10, 0}, {0, 1000000}}, now;
	struct sigevent ev = {.sigev_notify = SIGEV_NONE};
	struct timespec ts = {0, 5000000};
	timer_t id;

	OK(timer_create(CLOCK_MONOTONIC, &ev, &id));
	OK(timer_settime(id, 0, &its, NULL));
	OK(nanosleep(&ts, NULL));
	OK(timer_gettime(id, &now));
	CHECK(now.it_value.tv_sec == 9 && now.it_value.tv_nsec > 500000000);
	its.it_interval.tv_sec = 0;
	OK(timer_settime(id, 0, &its, NULL));
	OK(nanosleep(&ts, NULL));
	OK(timer_gettime(id, &now));
	EQ(now.it_value.tv_sec, 0);
	EQ(now.it_value.tv_nsec, 0);
	OK(timer_delete(id));
}

TEST(posix_timer_none_and_absolute)
{
	struct sigevent ev = {.sigev_notify = SIGEV_NONE};
	struct itimerspec its = {{0, 0}, {100, 0}}, now;
	timer_t id;

	OK(timer_create(CLOCK_REALTIME, &ev, &id));
	OK(timer_settime(id, 0, &its, NULL));
	OK(timer_gettime(id, &now));
	CHECK(now.it_value.tv_sec >= 99 && now.it_value.tv_sec <= 100);
	its.it_value.tv_sec = now_ns(CLOCK_REALTIME) / 1000000000 + 50;
	OK(timer_settime(id, TIMER_ABSTIME, &its, &now));
	CHECK(now.it_value.tv_sec >= 99);
	OK(timer_gettime(id, &now));
	CHECK(now.it_value.tv_sec >= 48 && now.it_value.tv_sec <= 50);
	FAILS(timer_create(99, &ev, &id), EINVAL);
}

TEST(times_and_rusage)
{
	struct rusage ru;
	struct tms tms;
	clock_t a = OK(times(&tms));

	while (now_ns(CLOCK_PROCESS_CPUTIME_ID) < 40000000)
		burn();
	CHECK(OK(times(&tms)) >= a);
	OK(getrusage(RUSAGE_SELF, &ru));
	CHECK(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec > 0 ||
	      ru.ru_utime.tv_usec + ru.ru_stime.tv_usec >= 35000);
	FAILS(getrusage(9, &ru), EINVAL);
}

TEST(clock_cant_be_set_without_right)
{
	struct timespec ts = {0, 0};

	if (getuid() == 0)
		OK(setuid(65534));
	FAILS(clock_settime(CLOCK_REALTIME, &ts), EPERM);
	FAILS(clock_settime(CLOCK_MONOTONIC, &ts), EINVAL);
}

/* Further away than any clock counts: that isn't the past. */
TEST(timers_far_away)
{
	struct itimerval itv = {{0, 0}, {INT64_MAX, 0}}, virt = {{INT64_MAX, 0}, {INT64_MAX, 0}};
	struct itimerspec its = {{INT64_MAX, 0}, {0, 1}}, now;
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct timespec ts = {0, 10000000};
	timer_t id;

	on(SIGALRM);
	on(SIGUSR1);
	on(SIGPROF);
	OK(setitimer(ITIMER_REAL, &itv, NULL));
	OK(setitimer(ITIMER_PROF, &virt, NULL));
	OK(getitimer(ITIMER_REAL, &itv));
	CHECK(itv.it_value.tv_sec > 1000000000);
	EQ(ticks, 0);
	OK(timer_create(CLOCK_MONOTONIC, &ev, &id));
	OK(timer_settime(id, 0, &its, NULL)); /* once, and then never again */
	while (nanosleep(&ts, &ts))
		;
	EQ(ticks, 1);
	OK(timer_gettime(id, &now));
	CHECK(now.it_value.tv_sec > 1000000000);
	ts.tv_nsec = 10000000;
	OK(nanosleep(&ts, NULL));
	EQ(ticks, 1);
}
