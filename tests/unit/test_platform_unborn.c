/* SPDX-License-Identifier: Apache-2.0 */
/* Moments between two steps of a thread: see each test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "platform/backend.h"
#include "platform/internal.h"
#include "tests/unit/guest/minisentry.h"

#define FORKS 200

static struct mini mini;

static int setup(void **state)
{
	(void)state;
	mini_platform = TEST_PLATFORM;
	mini_start(&mini, 1, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mini_stop(&mini);
	return 0;
}

/* The child that was ordered by the last step, or NULL. */
static struct guest *newest_since(uint32_t number)
{
	return mini.next_number > number ? mini.guests[mini.next_number % 4096] : NULL;
}

/* Killed when its clone is ordered: it never lives, and its parent is none the worse. */
static void killed_before_its_clone(void **state)
{
	uint32_t killed = 0;

	(void)state;
	mini_spawn(&mini, P_FORKS, FORKS, 0);
	while (mini.alive) {
		uint32_t before = mini.next_number;
		struct guest *child;

		mini_step(&mini);
		child = newest_since(before);
		if (!child)
			continue;
		platform_kill(child->pt);
		killed++;
	}
	assert_int_equal(killed, FORKS);
	assert_int_equal(mini.host_kills, 0);
	assert_int_equal(mini.result, 0);
}

static uint32_t newest_pid_locked(struct platform *p)
{
	struct host_process *process;
	uint32_t newest = 0;
	int64_t pid;

	idmap_for_each (&p->pids, pid, process)
		newest = MAX(newest, (uint32_t)pid);
	return newest;
}

/* Ids of processes that died before their first word, now to be used again. */
static void note_early_deaths(struct platform *p)
{
	uint32_t newest;

	mutex_lock(&p->lock);
	newest = newest_pid_locked(p);
	for (uint32_t i = 0; i < EARLY_DEAD_MAX; i++)
		p->early_dead[i] = (pid_t)(newest + 1 + i);
	mutex_unlock(&p->lock);
}

static void has_the_id_of_one_that_died_early(void **state)
{
	(void)state;
	mini_spawn(&mini, P_FORKS, FORKS, 0);
	while (mini.alive) {
		note_early_deaths(mini.p);
		mini_step(&mini);
	}
	assert_int_equal(mini.host_kills, 0);
	assert_int_equal(mini.result, 0);
}

/* Ids of threads of a process, which have ended without a word: the host uses them again. */
static void note_left(struct platform *p, struct platform_thread *t)
{
	uint32_t newest;

	mutex_lock(&p->lock);
	newest = newest_pid_locked(p);
	for (uint32_t id = newest + 1; id < newest + 64; id++)
		if (!idmap_get(&p->tids, id))
			idmap_set(&p->tids, id, t);
	mutex_unlock(&p->lock);
}

static void has_the_id_of_one_that_left(void **state)
{
	struct guest *g = mini_spawn(&mini, P_SPIN, 0, 0);
	struct guest *forks;
	uint32_t number;

	(void)state;
	if (!strcmp(mini_platform, "ptrace")) {
		mini_run_and_kill(&mini, 1);
		return;
	}
	while (g->program >= 0)
		mini_step(&mini);
	forks = mini_spawn(&mini, P_FORKS, FORKS / 10, 0);
	number = forks->number;
	while (mini.guests[number % 4096]) {
		note_left(mini.p, g->pt);
		mini_run_for(&mini, 20);
	}
	assert_int_equal(mini.host_kills, 0);
	assert_int_equal(mini.result, 0);
	assert_int_equal(mini.alive, 1);
	mini_run_and_kill(&mini, 1);
}

/*
 * The sentry comes for the next event, and just then the last one's thread is answered and calls
 * again: that request is nobody's yet and must stay one.
 */
static void answered_when_looked_at(void **state)
{
	struct guest *g = mini_spawn(&mini, P_SPIN, 0, 0);

	(void)state;
	if (!mini.p->backend->unanswered) {
		mini_run_and_kill(&mini, 1);
		return;
	}
	while (g->program >= 0)
		mini_step(&mini);
	assert_int_equal(g->pt->state, THREAD_RUNNING);
	atomic_store(&g->pt->ch->state, CHANNEL_REQUEST);
	mini.p->backend->unanswered(g->pt);
	assert_int_equal(atomic_load(&g->pt->ch->state), CHANNEL_REQUEST);
	mini_run_and_kill(&mini, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(killed_before_its_clone, setup, teardown),
	    cmocka_unit_test_setup_teardown(has_the_id_of_one_that_died_early, setup, teardown),
	    cmocka_unit_test_setup_teardown(has_the_id_of_one_that_left, setup, teardown),
	    cmocka_unit_test_setup_teardown(answered_when_looked_at, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
