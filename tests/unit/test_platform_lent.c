/* SPDX-License-Identifier: Apache-2.0 */
/* Ends of children that run in their parents' host threads (platform/lend.c): see each test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "platform/backend.h"
#include "platform/internal.h"
#include "platform/notify/notify.h"
#include "tests/unit/guest/minisentry.h"

#define LONG_MS 20000

static struct mini mini;
static uint32_t lent; /* the number of the guest that runs in another one's host thread */

static int setup(void **state)
{
	(void)state;
	lent = 0;
	mini_start(&mini, 1, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mini_stop(&mini);
	return 0;
}

static struct platform_thread *lent_thread(void)
{
	return mini.guests[lent % 4096]->pt;
}

static void set_flag(struct platform_thread *t, bool *flag, bool value)
{
	mutex_lock(&t->p->lock);
	mutex_lock(&t->lock);
	*flag = value;
	mutex_unlock(&t->lock);
	mutex_unlock(&t->p->lock);
}

/* The parent's host thread runs the child up to its call, and at_call is done with it. */
static void run_to_call(long nr, void (*at_call)(struct guest *, uint64_t))
{
	mini_spawn(&mini, P_VFORK_CALLS, nr, 0);
	mini.at_call = at_call;
	while (!lent)
		mini_event(&mini);
	mini.at_call = NULL;
}

static bool is_lent(const struct guest *g)
{
	return g->pt->lender;
}

/* Somebody kills it just now, and has looked whether it waits: it does. */
static void kill_begins(struct guest *g, uint64_t nr)
{
	if (!nr || !is_lent(g))
		return;
	lent = g->number;
	set_flag(g->pt, &g->pt->over, true);
}

static void kill_ends(struct platform_thread *t)
{
	mutex_lock(&t->p->lock);
	lend_over_locked(t);
	mutex_unlock(&t->p->lock);
	nudge(t->p);
}

/* What it is replied by another is too late: its host thread is the parent's. */
static void replied_while_it_is_killed(void **state)
{
	(void)state;
	run_to_call(G_NOP, kill_begins);
	kill_ends(lent_thread());
	assert_true(mini_run_for(&mini, LONG_MS));
	assert_int_equal(mini.host_kills, 0);
	assert_int_equal(mini.result, 0);
}

/* The reply can't be handed over just now: see notify/copy.c. */
static void hold_reply(struct guest *g, uint64_t nr)
{
	if (!nr || !is_lent(g))
		return;
	lent = g->number;
	set_flag(g->pt, &g->pt->copying, true);
}

/* The number of the child of the one that is lent. */
static uint32_t unborn(void)
{
	assert_true(mini.next_number > lent);
	return mini.next_number;
}

static void step_until_gone(uint32_t number)
{
	while (mini.guests[number % 4096])
		mini_step(&mini);
}

/* It waits, and its clone was ordered, but the reply isn't there yet. */
static void killed_before_its_clone_is_asked(void **state)
{
	struct platform_thread *t;
	uint32_t child;

	(void)state;
	run_to_call(G_FORK, hold_reply);
	t = lent_thread();
	child = unborn();
	platform_kill(t);
	set_flag(t, &t->copying, false);
	mutex_lock(&t->p->lock);
	t->p->backend->end_lent_locked(t);
	mutex_unlock(&t->p->lock);
	step_until_gone(lent);
	assert_null(mini.guests[child % 4096]);
	assert_int_equal(mini.alive, 1);
	assert_true(mini_run_for(&mini, LONG_MS));
	assert_int_equal(mini.result, 0);
}

/*
 * It is killed while it makes a clone, which fails (it is told of a stack that can't be), though
 * the clone was let through as far as we know.
 */
static void killed_while_its_clone_fails(void **state)
{
	struct platform_thread *t, *child;
	uint32_t number, slot;

	(void)state;
	run_to_call(G_VFORK, hold_reply);
	t = lent_thread();
	number = unborn();
	child = mini.guests[number % 4096]->pt;
	mutex_lock(&t->p->lock);
	mutex_lock(&t->lock);
	t->copying = false;
	slot = child->slot;
	child->slot = 1u << 30;
	child->asked = 1;
	notify_reply_again_locked(t);
	child->slot = slot;
	mutex_unlock(&t->lock);
	mutex_unlock(&t->p->lock);
	platform_kill(t);
	step_until_gone(lent);
	assert_null(mini.guests[number % 4096]);
	assert_int_equal(mini.alive, 1);
	assert_true(mini_run_for(&mini, LONG_MS));
	assert_int_equal(mini.result, 0);
}

static bool child_calls;

/* The parent is killed when the child has not begun. */
static void kill_lender(struct guest *g, uint64_t nr)
{
	if (!nr && is_lent(g))
		platform_kill(g->pt->lender);
	child_calls |= nr == G_NOP;
}

/* The host thread waits as the parent still: it must become the child's nevertheless. */
static void parent_is_killed_before_it_begins(void **state)
{
	(void)state;
	mini_spawn(&mini, P_VFORK_CALLS, G_NOP, 0);
	mini.at_call = kill_lender;
	for (int i = 0; i < 200 && !child_calls; i++)
		mini_run_for(&mini, LONG_MS / 200);
	mini.at_call = NULL;
	assert_true(child_calls);
	assert_int_equal(mini.alive, 1);
	mini_run_and_kill(&mini, 1);
	assert_int_equal(mini.host_kills, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(replied_while_it_is_killed, setup, teardown),
	    cmocka_unit_test_setup_teardown(killed_before_its_clone_is_asked, setup, teardown),
	    cmocka_unit_test_setup_teardown(killed_while_its_clone_fails, setup, teardown),
	    cmocka_unit_test_setup_teardown(parent_is_killed_before_it_begins, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
