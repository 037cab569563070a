/* SPDX-License-Identifier: Apache-2.0 */
/* The timers' heap: order, and that one timer can't keep the event thread for itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/kernel/timer.h"

#define TIMERS 50
#define ENOUGH 100000 /* a timer that is armed again and again gives up */

static struct kernel k;
static uint32_t fired;

struct numbered {
	struct ktimer timer;
	uint32_t number;
};

static int set_up(void **state)
{
	(void)state;
	k.timers = timers_new();
	fired = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	timers_destroy(k.timers);
	return 0;
}

static void in_order(struct ktimer *t)
{
	assert_int_equal(container_of(t, struct numbered, timer)->number, fired++);
}

static void deadlines_are_served_in_order(void **state)
{
	struct numbered timers[TIMERS];
	uint64_t now = time_monotonic_ns();

	(void)state;
	for (uint32_t i = 0; i < TIMERS; i++) {
		uint32_t number = i * 7 % TIMERS;

		ktimer_init(&timers[i].timer, in_order);
		timers[i].number = number;
		ktimer_arm(&k, &timers[i].timer, now - 1000 + number);
	}
	timers_expire(&k);
	assert_int_equal(fired, TIMERS);
}

static void arm_again(struct ktimer *t)
{
	if (++fired < ENOUGH)
		ktimer_arm(&k, t, time_monotonic_ns());
}

static void what_is_armed_meanwhile_waits(void **state)
{
	struct ktimer t;

	(void)state;
	ktimer_init(&t, arm_again);
	ktimer_arm(&k, &t, time_monotonic_ns());
	timers_expire(&k);
	assert_int_equal(fired, 1);
	ktimer_cancel(&k, &t);
}

static void cancelled_ones_are_not_run(void **state)
{
	struct ktimer t;

	(void)state;
	ktimer_init(&t, arm_again);
	ktimer_arm(&k, &t, time_monotonic_ns());
	ktimer_cancel(&k, &t);
	timers_expire(&k);
	assert_int_equal(fired, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(deadlines_are_served_in_order, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(what_is_armed_meanwhile_waits, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(cancelled_ones_are_not_run, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
