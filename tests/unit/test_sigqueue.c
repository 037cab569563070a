/* SPDX-License-Identifier: Apache-2.0 */
/* Queues of pending signals: order, doubles, limits, timers' own entries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "sentry/kernel/signal.h"

static struct sigqueue q;
static struct abi_siginfo info;
static bool freed;

static int set_up(void **state)
{
	(void)state;
	sigqueue_init(&q);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	sigqueue_flush(&q);
	return q.set == 0 && list_empty(&q.infos) ? 0 : -1;
}

static void add(int signo, int32_t pid)
{
	struct abi_siginfo si = {.code = ABI_SI_USER};

	si.kill.pid = pid;
	sigqueue_add(&q, signo, &si, true);
}

static int take(uint64_t wanted)
{
	return sigqueue_take(&q, wanted, &info, &freed);
}

static void standard_signals_queue_once(void **state)
{
	(void)state;
	add(ABI_SIGUSR1, 1);
	add(ABI_SIGUSR1, 2);
	assert_int_equal(take(~0ull), ABI_SIGUSR1);
	assert_int_equal(info.kill.pid, 1);
	assert_true(freed);
	assert_int_equal(take(~0ull), 0);
}

static void realtime_signals_queue_each(void **state)
{
	(void)state;
	for (int i = 1; i <= 3; i++)
		add(40, i);
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(take(SIGBIT(40)), 40);
		assert_int_equal(info.kill.pid, i);
	}
	assert_int_equal(q.set, 0);
}

static void lowest_first_but_faults(void **state)
{
	(void)state;
	add(ABI_SIGTERM, 1);
	add(ABI_SIGHUP, 2);
	add(ABI_SIGSEGV, 3);
	assert_int_equal(take(~0ull), ABI_SIGSEGV);
	assert_int_equal(take(~0ull), ABI_SIGHUP);
	assert_int_equal(take(~0ull), ABI_SIGTERM);
}

static void only_wanted_ones(void **state)
{
	(void)state;
	add(ABI_SIGHUP, 1);
	add(ABI_SIGTERM, 2);
	assert_int_equal(take(SIGBIT(ABI_SIGTERM)), ABI_SIGTERM);
	assert_int_equal(take(SIGBIT(ABI_SIGTERM)), 0);
	assert_int_equal(q.set, SIGBIT(ABI_SIGHUP));
}

static void without_room_the_signal_stays(void **state)
{
	(void)state;
	sigqueue_add(&q, 50, NULL, false);
	assert_int_equal(take(~0ull), 50);
	assert_int_equal(info.signo, 50);
	assert_int_equal(info.code, 0);
	assert_false(freed);
}

static void from_the_kernel(void **state)
{
	(void)state;
	sigqueue_add(&q, ABI_SIGALRM, NULL, true);
	assert_int_equal(take(~0ull), ABI_SIGALRM);
	assert_int_equal(info.code, ABI_SI_KERNEL);
}

static void dropping(void **state)
{
	(void)state;
	add(ABI_SIGCONT, 1);
	add(40, 2);
	add(40, 3);
	assert_int_equal(sigqueue_drop(&q, SIGBIT(40) | SIGBIT(41)), 2);
	assert_int_equal(q.set, SIGBIT(ABI_SIGCONT));
}

static void a_timers_entry_is_not_freed(void **state)
{
	struct siginfo_entry e = {.preallocated = true, .info = {.signo = 40}};

	(void)state;
	list_init(&e.link);
	e.info.timer.overrun = 5;
	sigqueue_add_entry(&q, &e);
	add(40, 9);
	assert_int_equal(take(~0ull), 40);
	assert_int_equal(info.timer.overrun, 5);
	assert_false(freed);
	assert_false(list_linked(&e.link));
	sigqueue_add_entry(&q, &e);
	sigqueue_remove_entry(&q, &e);
	assert_int_equal(q.set, SIGBIT(40)); /* the other one is there still */
	assert_int_equal(take(~0ull), 40);
	sigqueue_add_entry(&q, &e);
	sigqueue_remove_entry(&q, &e);
	assert_int_equal(q.set, 0);
}

#define UNIT(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    UNIT(standard_signals_queue_once),
	    UNIT(realtime_signals_queue_each),
	    UNIT(lowest_first_but_faults),
	    UNIT(only_wanted_ones),
	    UNIT(without_room_the_signal_stays),
	    UNIT(from_the_kernel),
	    UNIT(dropping),
	    UNIT(a_timers_entry_is_not_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
