/* SPDX-License-Identifier: Apache-2.0 */
/* The zygote is killed from outside: a spare takes its place, or the sandbox is told of its end. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "platform/internal.h"
#include "tests/unit/guest/minisentry.h"

#define LIMIT_NS 20000000000ull

static struct mini mini;

static int setup(void **state)
{
	(void)state;
	mini_platform = TEST_PLATFORM;
	mini_start(&mini, 2, 0);
	return 0;
}

static int setup_without_spares(void **state)
{
	(void)state;
	mini_platform = TEST_PLATFORM;
	mini_start(&mini, 0, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mini_stop(&mini);
	return 0;
}

/* 0: there is none. */
static pid_t zygote_pid(void)
{
	pid_t pid = 0;

	mutex_lock(&mini.p->lock);
	if (mini.p->zygote)
		pid = mini.p->zygote->process->pid;
	mutex_unlock(&mini.p->lock);
	return pid;
}

static bool has_spares(uint32_t wanted)
{
	struct platform_thread *t;
	uint32_t count = 0;

	mutex_lock(&mini.p->lock);
	list_for_each (t, &mini.p->spares, link)
		count++;
	mutex_unlock(&mini.p->lock);
	return count >= wanted;
}

/* Spares report while somebody is in platform_next: a guest that makes calls. */
static void run_until_spares(uint32_t wanted)
{
	uint64_t start = mini_now_ns();

	while (!has_spares(wanted)) {
		assert_true(mini_now_ns() - start < LIMIT_NS);
		mini_spawn(&mini, P_CALLS, 0, 0);
		mini_run(&mini);
	}
}

static void *until_noticed(void *arg)
{
	pid_t pid = *(pid_t *)arg;
	uint64_t start = mini_now_ns();

	while (zygote_pid() == pid && mini_now_ns() - start < LIMIT_NS)
		sched_yield();
	platform_interrupt(mini.p);
	return NULL;
}

/*
 * Returns when the zygote is another process: its death is dealt with by a reaper, or in
 * platform_next. An interruption says nothing of it: one may be left over, made for a guest that
 * ended before.
 */
static void wait_for_heir_of(pid_t pid)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, until_noticed, &pid), 0);
	if (strcmp(TEST_PLATFORM, "ptrace") == 0)
		while (!mini.broken && zygote_pid() == pid)
			mini_step(&mini);
	pthread_join(thread, NULL);
	assert_true(zygote_pid() != pid);
}

static void kill_zygote(void)
{
	pid_t pid = zygote_pid();

	assert_true(pid > 0);
	kill(pid, SIGKILL);
	wait_for_heir_of(pid);
}

static void run(long program, long arg)
{
	mini.result = 0;
	mini.host_kills = 0;
	mini_spawn(&mini, program, arg, 0);
	mini_run(&mini);
	assert_int_equal(mini.host_kills, 0);
	assert_int_equal(mini.result, 0);
}

static void a_spare_takes_its_place(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		run_until_spares(1);
		kill_zygote();
		assert_false(mini.broken);
		assert_true(zygote_pid() > 0);
		run(P_FORK, 0);
		run(P_THREADS, 50);
	}
}

/* The zygote dies over the making of a spare, which the heir must make in its place. */
static void what_was_ordered_is_made(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		run_until_spares(2);
		mini.result = 0;
		mini.host_kills = 0;
		mini_spawn(&mini, P_FORK, 0, 0); /* one spare is left, the next is asked for */
		kill_zygote();
		mini_run(&mini);
		assert_false(mini.broken);
		assert_int_equal(mini.host_kills, 0);
		assert_int_equal(mini.result, 0);
	}
}

static pid_t first_spare_pid(void)
{
	struct platform_thread *t;
	pid_t pid;

	mutex_lock(&mini.p->lock);
	t = list_first_or_null(&mini.p->spares, struct platform_thread, link);
	pid = t ? t->process->pid : 0;
	mutex_unlock(&mini.p->lock);
	return pid;
}

/* It is promoted before anybody has noticed that it is dead, and what it was told is lost. */
static void the_heir_is_dead_too(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		pid_t heir;

		run_until_spares(2);
		heir = first_spare_pid();
		assert_true(heir > 0);
		kill(heir, SIGKILL);
		kill_zygote();
		wait_for_heir_of(heir);
		assert_false(mini.broken);
		run(P_FORK, 0);
	}
}

static void without_spares_the_sentry_is_told(void **state)
{
	uint64_t start = mini_now_ns();

	(void)state;
	kill_zygote();
	while (!*(volatile bool *)&mini.broken)
		assert_true(mini_now_ns() - start < LIMIT_NS);
	assert_int_equal(zygote_pid(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_spare_takes_its_place),
	    cmocka_unit_test(what_was_ordered_is_made),
	    cmocka_unit_test(the_heir_is_dead_too),
	};
	const struct CMUnitTest none[] = {
	    cmocka_unit_test(without_spares_the_sentry_is_told),
	};

	return cmocka_run_group_tests(tests, setup, teardown) +
	       cmocka_run_group_tests_name("no spares", none, setup_without_spares, teardown);
}
