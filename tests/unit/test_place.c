/* SPDX-License-Identifier: Apache-2.0 */
/* On which CPU guests go on: who is in whose way (platform/notify/place.c). */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "platform/internal.h"
#include "platform/notify/place.h"

#define PATIENCE 1000
#define LONG	 (10 * PATIENCE)
#define SHORT	 (PATIENCE / 10)
#define GUESTS	 16

static struct platform platform;
static struct places *places;
static struct platform_thread guests[GUESTS];
static uint64_t now;

static bool cpus_suffice(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) >= 2;
}

static void begin(uint64_t without, uint64_t force)
{
	static const struct platform_config config;

	platform.without = without;
	platform.force = force;
	places = places_new(&platform, &config);
	places_calibrate(places, PATIENCE);
	now = 1000000;
	for (int i = 0; i < GUESTS; i++) {
		guests[i] = (struct platform_thread){.ch = xcalloc(1, sizeof(struct channel))};
		list_init(&guests[i].place);
		guests[i].state = THREAD_STOPPED;
	}
}

static void end(void)
{
	for (int i = 0; i < GUESTS; i++) {
		place_leave(places, &guests[i]);
		free(guests[i].ch);
	}
	places_free(places);
}

static int set_up(void **state)
{
	(void)state;
	begin(0, 0);
	return 0;
}

static int set_up_off(void **state)
{
	(void)state;
	begin(FEATURE_BIT(APART), 0);
	return 0;
}

static int set_up_forced(void **state)
{
	(void)state;
	begin(0, FEATURE_BIT(APART));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	end();
	return 0;
}

/* True: elsewhere. */
static bool reply(int who, int cpu)
{
	bool away = place_is_taken(places, &guests[who], cpu, now);

	guests[who].state = THREAD_RUNNING;
	return away;
}

static void rings(int who, uint32_t ran)
{
	now += ran;
	guests[who].state = THREAD_STOPPED;
	place_heard(places, &guests[who], ran);
}

/* It calls without pause, or computes between its calls. */
static void is_known(int who, uint32_t ran)
{
	for (int i = 0; i < 100; i++)
		rings(who, ran);
}

static void alone_stays(void **state)
{
	(void)state;
	if (!cpus_suffice())
		skip();
	for (int i = 0; i < 10; i++) {
		assert_false(reply(0, i & 1));
		rings(0, i & 2 ? LONG : SHORT);
	}
}

static void who_computes_is_left_alone(void **state)
{
	(void)state;
	if (!cpus_suffice())
		skip();
	is_known(0, LONG);
	is_known(1, SHORT);
	assert_false(reply(0, 0));
	assert_true(reply(1, 0));
	rings(1, SHORT);
	assert_false(reply(1, 1)); /* it is at another CPU */
	rings(0, LONG);
	assert_true(reply(0, 1)); /* and in the way of who calls */
}

static void who_only_calls_shares(void **state)
{
	(void)state;
	if (!cpus_suffice())
		skip();
	for (int i = 0; i < 4; i++)
		is_known(i, SHORT);
	for (int i = 0; i < 40; i++) {
		assert_false(reply(i % 4, 0));
		rings((i + 1) % 4, SHORT);
	}
	/* One that went over to computing, unexpectedly. */
	assert_false(reply(0, 0));
	now += 2 * PATIENCE;
	assert_true(reply(1, 0));
}

static void who_waits_is_in_nobodys_way(void **state)
{
	(void)state;
	if (!cpus_suffice())
		skip();
	is_known(0, LONG);
	assert_false(reply(0, 0));
	guests[0].ch->fast.asleep = 1;
	assert_false(reply(1, 0));
	guests[0].ch->fast.asleep = 0;
	rings(1, LONG);
	assert_true(reply(1, 0));
	rings(0, LONG); /* it is blocked */
	rings(1, LONG);
	assert_false(reply(1, 0));
	place_leave(places, &guests[1]); /* dead */
	assert_false(reply(2, 0));
}

static void who_begins_may_compute(void **state)
{
	(void)state;
	if (!cpus_suffice())
		skip();
	assert_false(reply(0, 0));
	assert_true(reply(1, 0));
	is_known(1, SHORT);
	is_known(0, SHORT);
	assert_false(reply(0, 0));
	assert_false(reply(1, 0));
}

static void a_long_run_is_remembered(void **state)
{
	(void)state;
	if (!cpus_suffice())
		skip();
	is_known(0, SHORT);
	is_known(1, SHORT);
	rings(0, UINT32_MAX);
	for (int i = 0; i < 8; i++)
		rings(0, SHORT);
	assert_false(reply(0, 0));
	assert_true(reply(1, 0));
	rings(0, SHORT);
	for (int i = 0; i < 60; i++)
		rings(0, SHORT);
	assert_false(reply(0, 0));
	rings(1, SHORT);
	assert_false(reply(1, 0));
}

static void many_are_not_all_looked_at(void **state)
{
	(void)state;
	if (!cpus_suffice())
		skip();
	for (int i = 1; i < GUESTS; i++)
		is_known(i, SHORT);
	is_known(0, LONG);
	assert_false(reply(0, 0));
	guests[0].ch->fast.asleep = 1;
	for (int i = 1; i < GUESTS; i++) {
		assert_false(reply(i, 0));
		rings(i, SHORT);
	}
	guests[0].ch->fast.asleep = 0;
	assert_false(reply(GUESTS - 1, 0));
}

static void unknown_cpus(void **state)
{
	(void)state;
	assert_false(reply(0, -1));
	assert_false(reply(1, -1));
	assert_false(reply(2, 1 << 20));
	assert_false(reply(3, 1 << 20));
}

static void switched_off(void **state)
{
	(void)state;
	assert_false(reply(0, 0));
	assert_false(reply(1, 0));
}

static void forced(void **state)
{
	(void)state;
	assert_true(reply(0, 0));
	rings(0, SHORT);
	assert_true(reply(0, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(alone_stays, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(who_computes_is_left_alone, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(who_only_calls_shares, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(who_waits_is_in_nobodys_way, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(who_begins_may_compute, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_long_run_is_remembered, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(many_are_not_all_looked_at, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(unknown_cpus, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(switched_off, set_up_off, tear_down),
	    cmocka_unit_test_setup_teardown(forced, set_up_forced, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
