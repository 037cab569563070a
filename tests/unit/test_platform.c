/* SPDX-License-Identifier: Apache-2.0 */
/* The platform with a tiny sentry: every event, order and memory operation, and what they cost. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/feature.h"
#include "tests/unit/guest/minisentry.h"

#define KICKED_ROUNDS	 1000
#define PING_PONG_ROUNDS 5000

#define ON_PTRACE (strcmp(TEST_PLATFORM, "ptrace") == 0)

static struct mini mini;

static int setup(void **state)
{
	(void)state;
	mini_platform = TEST_PLATFORM;
	mini_start(&mini, 2, 0);
	return 0;
}

/* As on a host that offers the least. */
static int setup_old(void **state)
{
	uint64_t all = 0;
	char bad[8];

	(void)state;
	mini_platform = TEST_PLATFORM;
	assert_int_equal(features_parse("all-host", &all, bad, sizeof(bad)), 0);
	mini_start(&mini, 0, all);
	return 0;
}

#define NO_MEMORY (FEATURE_BIT(PROCESS_VM) | FEATURE_BIT(PROC_MEM) | FEATURE_BIT(WINDOWS))

/* Guests copy all of their memory themselves. */
static int setup_copied(void **state)
{
	(void)state;
	mini_platform = TEST_PLATFORM;
	mini_start(&mini, 2, NO_MEMORY);
	return 0;
}

/* The same for threads that don't wait in bells. */
static int setup_copied_polled(void **state)
{
	mini_force = FEATURE_BIT(POLL);
	return setup_copied(state);
}

/* While no thread of the address space waits: through /proc/PID/mem, or by one that is kicked. */
static void memory_of_who_runs(void **state)
{
	struct guest *g = mini_spawn(&mini, P_SPIN, 0, 0);
	bool kicked = !ON_PTRACE && feature_off(FEATURE_PROC_MEM);
	struct platform_mm *mm;
	uint64_t there = 0;

	(void)state;
	mini_event(&mini); /* PEV_STARTED */
	mini_event(&mini); /* loaded: runs */
	mm = platform_thread_mm(g->pt);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(platform_read(NULL, mm, GUEST_BASE, &there, sizeof(there)),
				 sizeof(there));
		if (kicked)
			mini_event(&mini); /* goes on */
	}
	assert_int_equal(platform_read(NULL, mm, 0x10000, &there, sizeof(there)), 0);
	platform_kill(g->pt);
	mini_run(&mini);
}

static int setup_proc_mem(void **state)
{
	(void)state;
	mini_platform = TEST_PLATFORM;
	mini_start(&mini, 2, FEATURE_BIT(PROCESS_VM));
	return 0;
}

/* Each reply is sent without the hint; and there are bells on an idle machine, too. */
static int setup_apart(void **state)
{
	(void)state;
	mini_platform = TEST_PLATFORM;
	mini_force = FEATURE_BIT(APART);
	mini_start(&mini, 2, FEATURE_BIT(POLL));
	return 0;
}

/* Channels are polled from the first call on. */
static int setup_polled(void **state)
{
	mini_force = FEATURE_BIT(POLL);
	return setup(state);
}

static int teardown(void **state)
{
	(void)state;
	mini_stop(&mini);
	mini_force = 0;
	return 0;
}

/* Runs a program to its end and returns its result (-signal if a fault ended it). */
static long run2(long program, long arg, long arg2)
{
	mini.result = 0;
	mini.host_kills = 0;
	mini_spawn(&mini, program, arg, arg2);
	mini_run(&mini);
	assert_int_equal(mini.host_kills, 0);
	return mini.result;
}

static long run(long program, long arg)
{
	return run2(program, arg, 0);
}

static void leases(void **state)
{
	(void)state;
	if (!platform_leases(mini.p))
		skip();
	assert_int_equal(run(P_LEASES, 0), 0);
	assert_int_equal(run(P_LEASES | P_FASTLY, 0), 0);
}

#define PROGRAM_TEST(name, program, arg)                                                           \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		assert_int_equal(run(program, arg), 0);                                            \
	}
PROGRAM_TEST(calls, P_CALLS, 0)
PROGRAM_TEST(windows, P_WINDOWS, 0)
PROGRAM_TEST(memory, P_MEMORY, 0)
PROGRAM_TEST(signals, P_SIGNAL, 0)
PROGRAM_TEST(fp_state, P_FP, 0)
PROGRAM_TEST(kick, P_KICK, 0)
PROGRAM_TEST(fork_and_wait, P_FORK, 0)
PROGRAM_TEST(thousand_forks, P_FORKS, 1000)
PROGRAM_TEST(five_hundred_threads, P_THREADS, 500)
PROGRAM_TEST(forks_in_threads, P_FORK_IN_THREAD, 0)
PROGRAM_TEST(vforks, P_VFORK, 0)
PROGRAM_TEST(reads_beside_vforks, P_VFORK_READS, 0)
PROGRAM_TEST(atomics, P_ATOMIC, 0)
PROGRAM_TEST(fs_base, P_FS, 0)
PROGRAM_TEST(vdso, P_VDSO, 0)
PROGRAM_TEST(execs_in_place, P_EXECS, 1000)

/* Ends with the fault at what the program before had mapped. */
static void exec_in_place_leaves_nothing(void **state)
{
	(void)state;
	assert_int_equal(run(P_EXEC, P_INSPECT), -SIGSEGV);
}
PROGRAM_TEST(vsyscall, P_VSYSCALL, 0)

/* On ptrace there is no fast entry, and a call from there is fatal. */
#define FASTLY (ON_PTRACE ? 0 : P_FASTLY)

static void fast_registers(void **state)
{
	(void)state;
	if (ON_PTRACE)
		skip();
	assert_int_equal(run(P_FAST_REGS, 0), 0);
}
PROGRAM_TEST(gs_base, P_GS, 0)
static void answers(void **state)
{
	(void)state;
	if (ON_PTRACE) /* the sentry is asked: the tracer sees each call anyway */
		skip();
	assert_int_equal(run(P_ANSWERS, 0), 0);
}

/* Programs whose call sites are rewritten: everything works from there too. */
static void fast_programs(void **state)
{
	static const long programs[][2] = {
	    {P_CALLS, 0},   {P_WINDOWS, 0},	  {P_MEMORY, 0},    {P_SIGNAL, 0}, {P_FP, 0},
	    {P_KICK, 0},    {P_ATOMIC, 0},	  {P_FS, 0},	    {P_VDSO, 0},   {P_FORK, 0},
	    {P_VFORK, 0},   {P_VFORK_READS, 0},	  {P_THREADS, 200}, {P_GS, 0},	   {P_ANSWERS, 0},
	    {P_FORKS, 100}, {P_FORK_IN_THREAD, 0}};

	(void)state;
	if (ON_PTRACE)
		skip();
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		if (run(programs[i][0] | FASTLY, programs[i][1]) != 0)
			fail_msg("program %ld: line %ld", programs[i][0], mini.result);
}

/*
 * Kicks all threads of a program again and again, until enough were heard: a thread that is kicked
 * faster than it is served makes no way at all, and on a loaded machine that is soon so.
 */
struct pelter {
	atomic_bool end;
	uint64_t kicks, wanted;
};

static uint64_t kicks_heard(void)
{
	return atomic_load(&mini.kicks) + (uint64_t)atomic_load(&mini.interrupted_waits);
}

static void *pelt(void *arg)
{
	struct pelter *p = arg;

	while (!atomic_load(&p->end)) {
		if (kicks_heard() < p->wanted)
			p->kicks += mini_kick_all(&mini);
		usleep(20);
	}
	return NULL;
}

/* How many kicks are to be heard in each of the tests: PLATFORM_KICKS, or a few. */
static uint64_t kicks_wanted(void)
{
	const char *s = getenv("PLATFORM_KICKS");

	return s ? strtoull(s, NULL, 10) : 1000;
}

/* Runs a program under kicks until as many as wanted were taken. */
static void run_pelted(long program, long arg)
{
	struct platform_stats before, after;
	struct pelter p = {.wanted = kicks_wanted()};
	pthread_t thread;

	platform_get_stats(mini.p, &before);
	atomic_store(&mini.kicks, 0);
	atomic_store(&mini.interrupted_waits, 0);
	assert_int_equal(pthread_create(&thread, NULL, pelt, &p), 0);
	do {
		assert_int_equal(run(program, arg), 0);
	} while (kicks_heard() < p.wanted);
	atomic_store(&p.end, true);
	pthread_join(thread, NULL);
	platform_get_stats(mini.p, &after);
	printf("%llu kicks given, %llu taken, %u by waits; %llu calls, %llu from rewritten sites\n",
	       (unsigned long long)p.kicks, (unsigned long long)kicks_heard(),
	       atomic_load(&mini.interrupted_waits),
	       (unsigned long long)(after.calls - before.calls),
	       (unsigned long long)(after.fast_calls - before.fast_calls));
}

/* Waits in the host that kicks interrupt all the time go on. */
static void waits_under_kicks(void **state)
{
	(void)state;
	if (ON_PTRACE)
		skip();
	run_pelted(P_PING_PONG, PING_PONG_ROUNDS);
	assert_true(atomic_load(&mini.interrupted_waits) > 0);
	run_pelted(P_PING_PONG | FASTLY, PING_PONG_ROUNDS);
	assert_true(atomic_load(&mini.interrupted_waits) > 0);
}

static void fast_calls_under_kicks(void **state)
{
	(void)state;
	run_pelted(P_KICKED | FASTLY, KICKED_ROUNDS);
}

/* The sentry hears of sites whose calls it doesn't serve, or they would never be rewritten. */
static void sites_that_trap_are_told(void **state)
{
	(void)state;
	if (ON_PTRACE)
		skip();
	mini.sites_told = 0;
	assert_int_equal(run(P_BENCH_ANSWER, 1000), 0);
	assert_int_equal(mini.sites_told, 1000 / 8);
	assert_int_equal(run(P_BENCH_ANSWER | FASTLY, 1000), 0);
	assert_int_equal(mini.sites_told, 1000 / 8);
}

static void fault_without_handler(void **state)
{
	(void)state;
	assert_int_equal(run(P_FAULT, 0), -SIGSEGV);
}

static void killed_from_outside(void **state)
{
	struct guest *g = mini_spawn(&mini, P_SPIN, 0, 0);
	pid_t pid;

	(void)state;
	mini.host_kills = 0;
	mini_event(&mini); /* PEV_STARTED */
	mini_event(&mini); /* loaded: runs */
	pid = platform_host_pid(g->pt);
	assert_true(pid > 0);
	kill(pid, SIGKILL);
	mini_run(&mini);
	assert_int_equal(mini.host_kills, 1);
}

#define KICKS	   200
#define INTERRUPTS 500

/* Kicks a guest that makes calls all the time; each kick must be heard before the next is given. */
static void *kick_and_listen(void *arg)
{
	struct guest *g = arg;
	for (int i = 0; i < KICKS; i++) {
		uint32_t before = atomic_load(&mini.kicks);
		uint64_t start = mini_now_ns();

		platform_kick(g->pt);
		while (atomic_load(&mini.kicks) == before) {
			if (mini_now_ns() - start > 20000000000ull)
				goto out;
			sched_yield(); /* guest and sentry may be spinning already */
		}
	}
out:
	platform_kill(g->pt);
	return NULL;
}

static void no_kick_is_lost(void **state)
{
	struct guest *g = mini_spawn(&mini, P_BENCH, 1000000000, 0);
	pthread_t thread;

	(void)state;
	atomic_store(&mini.kicks, 0);
	assert_int_equal(pthread_create(&thread, NULL, kick_and_listen, g), 0);
	mini_run(&mini);
	pthread_join(thread, NULL);
	assert_true(atomic_load(&mini.kicks) >= KICKS);
}

/* Interrupts from another thread, each of which must be seen. */
static void *interrupt_and_listen(void *arg)
{
	atomic_uint *seen = arg;

	for (uint32_t i = 0; i < INTERRUPTS; i++) {
		platform_interrupt(mini.p);
		while (atomic_load(seen) <= i)
			;
	}
	return NULL;
}

static void no_interrupt_is_lost(void **state)
{
	atomic_uint seen = 0;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, interrupt_and_listen, &seen), 0);
	while (atomic_load(&seen) < INTERRUPTS)
		if (!mini_step(&mini))
			atomic_fetch_add(&seen, 1);
	pthread_join(thread, NULL);
}

/*
 * Stops and continues the guest's host process all the time: its doorbells are interrupted before
 * and, on an old host, after they were received. Nothing may be lost or done twice.
 */
struct stopper {
	struct guest *g;
	int pidfd;
	atomic_bool end;
};

static void *stop_and_continue(void *arg)
{
	struct stopper *s = arg;

	while (!atomic_load(&s->end)) {
		syscall(SYS_pidfd_send_signal, s->pidfd, SIGSTOP, NULL, 0);
		sched_yield();
		syscall(SYS_pidfd_send_signal, s->pidfd, SIGCONT, NULL, 0);
		usleep(300);
	}
	return NULL;
}

static void run_interrupted(long program, long arg, long arg2)
{
	struct stopper s = {.g = mini_spawn(&mini, program, arg, arg2)};
	pthread_t thread;
	pid_t pid = 0;

	mini.result = 0;
	mini.host_kills = 0;
	while (s.g->program >= 0 || pid <= 0) {
		mini_step(&mini);
		pid = platform_host_pid(s.g->pt);
	}
	s.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	assert_true(s.pidfd >= 0);
	assert_int_equal(pthread_create(&thread, NULL, stop_and_continue, &s), 0);
	mini_run(&mini);
	atomic_store(&s.end, true);
	pthread_join(thread, NULL);
	close(s.pidfd);
	assert_int_equal(mini.result, 0);
	assert_int_equal(mini.host_kills, 0);
}

static void interrupted_bells(void **state)
{
	(void)state;
	run_interrupted(P_CALLS, 0, 0);
	run_interrupted(P_WINDOWS, 0, 0);
	run_interrupted(P_MEMORY, 0, 0);
	run_interrupted(P_BENCH_MMAP, 300, 1);
	run_interrupted(P_FORKS, 100, 0);
	run_interrupted(P_THREADS, 50, 0);
	run_interrupted(P_VFORK, 0, 0);
	run_interrupted(P_CALLS | FASTLY, 0, 0);
	run_interrupted(P_BENCH_MMAP | FASTLY, 300, 1);
	run_interrupted(P_FORKS | FASTLY, 100, 0);
	run_interrupted(P_THREADS | FASTLY, 50, 0);
}

/* A hundred processes at once. */
static void many_processes(void **state)
{
	(void)state;
	mini.result = 0;
	for (int i = 0; i < 100; i++)
		mini_spawn(&mini, P_CALLS, 0, 0);
	mini_run(&mini);
	assert_int_equal(mini.result, 0);
}

static uint64_t native_fork_ns(int count)
{
	uint64_t start = mini_now_ns();

	for (int i = 0; i < count; i++) {
		pid_t pid = vfork();

		if (pid == 0)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
	return (mini_now_ns() - start) / (uint64_t)count;
}

/* What one round of a program that repeats something costs. */
static unsigned long long cost_ns(long program, long count, long arg2)
{
	uint64_t start = mini_now_ns();

	assert_int_equal(run2(program, count, arg2), 0);
	return (mini_now_ns() - start) / (uint64_t)count;
}

static void costs(void **state)
{
	struct platform_stats s;
	uint64_t t0, call, forks, execs;

	(void)state;
	t0 = mini_now_ns();
	assert_int_equal(run(P_BENCH, 20000), 0);
	call = (mini_now_ns() - t0) / 20000;
	t0 = mini_now_ns();
	assert_int_equal(run(P_FORKS, 500), 0);
	forks = (mini_now_ns() - t0) / 500;
	t0 = mini_now_ns();
	for (int i = 0; i < 100; i++)
		assert_int_equal(run(P_BENCH, 1), 0);
	execs = (mini_now_ns() - t0) / 100;
	platform_get_stats(mini.p, &s);
	printf("call %llu ns, fork+wait %llu ns (native vfork %llu ns), exec+exit %llu ns\n",
	       (unsigned long long)call, (unsigned long long)forks,
	       (unsigned long long)native_fork_ns(200), (unsigned long long)execs);
	if (ON_PTRACE)
		return;
	printf("call from a rewritten site %llu ns\n", cost_ns(P_BENCH | FASTLY, 20000, 0));
	printf("answer, rewritten %llu ns, trapped %llu ns\n",
	       cost_ns(P_BENCH_ANSWER | FASTLY, 1000000, 0), cost_ns(P_BENCH_ANSWER, 20000, 0));
	printf("futex turns, rewritten %llu ns, trapped %llu ns\n",
	       cost_ns(P_PING_PONG | FASTLY, 20000, 0), cost_ns(P_PING_PONG, 20000, 0));
	printf("mmap anonymous %llu ns, of a file %llu ns\n", cost_ns(P_BENCH_MMAP, 2000, 0),
	       cost_ns(P_BENCH_MMAP, 2000, 1));
	printf("doorbells %llu calls %llu vm_reads %llu addfds %llu\n",
	       (unsigned long long)s.doorbells, (unsigned long long)s.calls,
	       (unsigned long long)s.vm_reads, (unsigned long long)s.addfds);
}

static struct platform_stats stats_now(void)
{
	struct platform_stats s;

	platform_get_stats(mini.p, &s);
	return s;
}

/* Calls are found without bells, those that block ring one each. */
static void polled(void **state)
{
	struct platform_stats before = stats_now(), after;

	(void)state;
	assert_int_equal(run(P_BENCH, 20000), 0);
	after = stats_now();
	assert_true(after.poll_starts > before.poll_starts);
	assert_true(after.polled - before.polled > 15000);
	assert_true(after.doorbells - before.doorbells < 5000);
}

/* Whoever polls hears of what comes another way: interrupts, and the deaths of threads. */
static void interrupted_while_polling(void **state)
{
	struct guest *g = mini_spawn(&mini, P_BENCH, 1 << 30, 0);
	struct platform_stats before;

	(void)state;
	for (int i = 0; i < 100; i++) {
		before = stats_now();
		while (stats_now().polled < before.polled + 100)
			mini_event(&mini);
		platform_interrupt(mini.p);
		while (mini_step(&mini))
			;
	}
	platform_kill(g->pt);
	mini_run(&mini);
}

/* Every reply to a bell is sent without the hint "on this CPU". */
static void apart(void **state)
{
	struct platform_stats before = stats_now(), after;

	(void)state;
	assert_int_equal(run(P_BENCH, 2000), 0);
	after = stats_now();
	assert_int_equal(after.replies_here, before.replies_here);
	assert_true(after.replies_apart - before.replies_apart >= 2000);
}

static const struct CMUnitTest apart_tests[] = {
    cmocka_unit_test(apart),	      cmocka_unit_test(calls),
    cmocka_unit_test(signals),	      cmocka_unit_test(fork_and_wait),
    cmocka_unit_test(vforks),	      cmocka_unit_test(forks_in_threads),
    cmocka_unit_test(many_processes), cmocka_unit_test(waits_under_kicks),
};

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(calls),
    cmocka_unit_test(windows),
    cmocka_unit_test(memory),
    cmocka_unit_test(fault_without_handler),
    cmocka_unit_test(signals),
    cmocka_unit_test(fp_state),
    cmocka_unit_test(kick),
    cmocka_unit_test(atomics),
    cmocka_unit_test(fs_base),
    cmocka_unit_test(vdso),
    cmocka_unit_test(execs_in_place),
    cmocka_unit_test(exec_in_place_leaves_nothing),
    cmocka_unit_test(vsyscall),
    cmocka_unit_test(fork_and_wait),
    cmocka_unit_test(vforks),
    cmocka_unit_test(reads_beside_vforks),
    cmocka_unit_test(five_hundred_threads),
    cmocka_unit_test(forks_in_threads),
    cmocka_unit_test(thousand_forks),
    cmocka_unit_test(many_processes),
    cmocka_unit_test(fast_registers),
    cmocka_unit_test(gs_base),
    cmocka_unit_test(answers),
    cmocka_unit_test(leases),
    cmocka_unit_test(sites_that_trap_are_told),
    cmocka_unit_test(fast_programs),
    cmocka_unit_test(fast_calls_under_kicks),
    cmocka_unit_test(waits_under_kicks),
    cmocka_unit_test(no_kick_is_lost),
    cmocka_unit_test(no_interrupt_is_lost),
    cmocka_unit_test(killed_from_outside),
    cmocka_unit_test(costs),
};

static const struct CMUnitTest old[] = {
    cmocka_unit_test(calls),	      cmocka_unit_test(windows),
    cmocka_unit_test(memory),	      cmocka_unit_test(signals),
    cmocka_unit_test(fs_base),	      cmocka_unit_test(fork_and_wait),
    cmocka_unit_test(vforks),	      cmocka_unit_test(forks_in_threads),
    cmocka_unit_test(many_processes), cmocka_unit_test(interrupted_bells),
    cmocka_unit_test(gs_base),	      cmocka_unit_test(fast_programs),
};

static const struct CMUnitTest copied[] = {
    cmocka_unit_test(calls),
    cmocka_unit_test(windows),
    cmocka_unit_test(memory),
    cmocka_unit_test(signals),
    cmocka_unit_test(execs_in_place),
    cmocka_unit_test(fork_and_wait),
    cmocka_unit_test(vforks),
    cmocka_unit_test(reads_beside_vforks),
    cmocka_unit_test(forks_in_threads),
    cmocka_unit_test(many_processes),
    cmocka_unit_test(fast_programs),
    cmocka_unit_test(fast_calls_under_kicks),
    cmocka_unit_test(no_kick_is_lost),
    cmocka_unit_test(killed_from_outside),
    cmocka_unit_test(memory_of_who_runs),
};

static const struct CMUnitTest proc_mem[] = {
    cmocka_unit_test(memory),
    cmocka_unit_test(memory_of_who_runs),
};

/* Not no_kick_is_lost: its kicker would be the third to spin, and waits for time slices only. */
static const struct CMUnitTest polling[] = {
    cmocka_unit_test(polled),
    cmocka_unit_test(interrupted_while_polling),
    cmocka_unit_test(calls),
    cmocka_unit_test(windows),
    cmocka_unit_test(memory),
    cmocka_unit_test(fault_without_handler),
    cmocka_unit_test(signals),
    cmocka_unit_test(fp_state),
    cmocka_unit_test(kick),
    cmocka_unit_test(atomics),
    cmocka_unit_test(execs_in_place),
    cmocka_unit_test(exec_in_place_leaves_nothing),
    cmocka_unit_test(fork_and_wait),
    cmocka_unit_test(vforks),
    cmocka_unit_test(reads_beside_vforks),
    cmocka_unit_test(five_hundred_threads),
    cmocka_unit_test(forks_in_threads),
    cmocka_unit_test(thousand_forks),
    cmocka_unit_test(many_processes),
    cmocka_unit_test(fast_registers),
    cmocka_unit_test(gs_base),
    cmocka_unit_test(fast_programs),
    cmocka_unit_test(fast_calls_under_kicks),
    cmocka_unit_test(no_interrupt_is_lost),
    cmocka_unit_test(killed_from_outside),
    cmocka_unit_test(costs),
};

int main(void)
{
	return cmocka_run_group_tests(tests, setup, teardown) +
	       (ON_PTRACE
		    ? 0
		    : cmocka_run_group_tests_name("polling", polling, setup_polled, teardown) +
			  cmocka_run_group_tests_name("apart", apart_tests, setup_apart,
						      teardown)) +
	       cmocka_run_group_tests_name("old host", old, setup_old, teardown) +
	       cmocka_run_group_tests_name("copied", copied, setup_copied, teardown) +
	       (ON_PTRACE ? 0
			  : cmocka_run_group_tests_name("copied, polling", copied,
							setup_copied_polled, teardown)) +
	       cmocka_run_group_tests_name("proc mem", proc_mem, setup_proc_mem, teardown);
}
