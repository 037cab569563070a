/* SPDX-License-Identifier: Apache-2.0 */
/* Host threads that are used again (platform/thread_stock.c): see each test. */
#include <dirent.h>
#include <elf.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "platform/internal.h"
#include "platform/stub_image.h"
#include "tests/unit/guest/minisentry.h"

#define LONG_MS 20000

static struct mini mini;

static int setup(void **state)
{
	(void)state;
	mini_start(&mini, 1, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mini_stop(&mini);
	mini_force = 0;
	return 0;
}

static int setup_off(void **state)
{
	(void)state;
	mini_start(&mini, 1, FEATURE_BIT(THREAD_STOCK));
	return 0;
}

static int setup_polled(void **state)
{
	mini_force = FEATURE_BIT(POLL);
	return setup(state);
}

static uint32_t in_stock(void)
{
	uint32_t count;

	mutex_lock(&mini.p->lock);
	count = mini.p->stock_count;
	mutex_unlock(&mini.p->lock);
	return count;
}

static struct platform_stats stats(void)
{
	struct platform_stats s;

	platform_get_stats(mini.p, &s);
	return s;
}

static void run(long program, long arg, long arg2)
{
	mini.result = 0;
	mini.host_kills = 0;
	mini_spawn(&mini, program, arg, arg2);
	assert_true(mini_run_for(&mini, LONG_MS));
	assert_int_equal(mini.result, 0);
	assert_int_equal(mini.host_kills, 0);
}

static void one_after_the_other(void **state)
{
	(void)state;
	run(P_AGAIN, 100, GC_PLAIN);
	assert_int_equal(stats().threads, 1);
	assert_int_equal(stats().threads_again, 99);
	assert_int_equal(in_stock(), 0);
}

static void one_after_the_other_fastly(void **state)
{
	(void)state;
	run(P_AGAIN | P_FASTLY, 100, GC_PLAIN);
	assert_int_equal(in_stock(), 0);
}

static void none_where_it_is_off(void **state)
{
	(void)state;
	run(P_AGAIN, 20, GC_PLAIN);
	assert_int_equal(stats().threads, 20);
	assert_int_equal(stats().threads_again, 0);
}

/* Every second one is ordered together with an operation that could fail. */
static void operations_come_first(void **state)
{
	(void)state;
	run(P_AGAIN, 100, GC_MAPS);
	assert_int_equal(stats().threads_again, 99);
	assert_int_equal(in_stock(), 0);
}

/* ... and does: there is no child, and its host thread is the next one's. */
static void operations_fail(void **state)
{
	(void)state;
	run(P_AGAIN, 100, GC_FAILS);
	assert_int_equal(stats().threads, 1);
	assert_int_equal(in_stock(), 0);
}

static uint32_t most;

static void note_most(struct guest *g, uint64_t nr)
{
	(void)g;
	(void)nr;
	most = MAX(most, in_stock());
}

/* Fifty end at once. */
static void few_are_kept(void **state)
{
	(void)state;
	mini.at_call = note_most;
	run(P_THREADS, 100, 0);
	assert_int_equal(most, 4);
	assert_int_equal(in_stock(), 0);
}

static void fork_in_threads(void **state)
{
	(void)state;
	run(P_FORK_IN_THREAD, 0, 0);
	assert_int_equal(in_stock(), 0);
}

static uint32_t prepared;

/* A child is prepared, and not wanted; the one that is made then gets the same host thread. */
static void prepare_and_put(struct guest *g, uint64_t nr)
{
	struct platform_thread *child;

	if (nr != G_CLONE || !in_stock())
		return;
	assert_int_equal(platform_clone_prepare(g->pt, PCLONE_THREAD, g, &child), 0);
	assert_true(platform_child_is_early(child));
	assert_int_equal(platform_host_tid(child), 0);
	assert_int_equal(in_stock(), 1);
	platform_thread_put(child);
	prepared++;
}

static void prepared_and_put(void **state)
{
	(void)state;
	prepared = 0;
	mini.at_call = prepare_and_put;
	run(P_AGAIN, 20, GC_PLAIN);
	assert_int_equal(prepared, 19);
	assert_int_equal(stats().threads_again, 19);
}

static bool is_reaped(struct platform_thread *t)
{
	bool dead;

	mutex_lock(&t->p->lock);
	dead = t->process->dead;
	mutex_unlock(&t->p->lock);
	return dead;
}

/* The process dies while a child is prepared: it was never ordered, so its death isn't told. */
static void prepare_and_kill(struct guest *g, uint64_t nr)
{
	struct platform_thread *child;

	if (nr != G_CLONE || !in_stock())
		return;
	assert_int_equal(platform_clone_prepare(g->pt, PCLONE_THREAD, NULL, &child), 0);
	platform_kill(g->pt);
	while (!is_reaped(g->pt))
		sched_yield();
	assert_int_equal(in_stock(), 0);
	platform_kick(child);
	platform_kill(child);
	platform_thread_put(child);
	prepared++;
}

static void dies_while_one_is_prepared(void **state)
{
	(void)state;
	prepared = 0;
	mini_spawn(&mini, P_AGAIN, 20, GC_PLAIN);
	mini.at_call = prepare_and_kill;
	assert_true(mini_run_for(&mini, LONG_MS));
	assert_int_equal(prepared, 1);
	assert_int_equal(mini.alive, 0);
}

/* It dies between the preparation and the order: the child that was ordered is told dead. */
static void kill_before_the_order(struct guest *g, uint64_t nr)
{
	if (nr != G_CLONE || !in_stock() || prepared)
		return;
	prepared++;
	platform_kill(g->pt);
	while (!is_reaped(g->pt))
		sched_yield();
}

static void dies_before_the_order(void **state)
{
	(void)state;
	prepared = 0;
	mini_spawn(&mini, P_AGAIN, 20, GC_PLAIN);
	mini.at_call = kill_before_the_order;
	assert_true(mini_run_for(&mini, LONG_MS));
	assert_int_equal(prepared, 1);
	assert_int_equal(mini.alive, 0);
	assert_int_equal(in_stock(), 0);
}

/* A child that waits for its parent's operations dies with it, once. */
static void kill_at_the_kick(struct guest *g, uint64_t nr)
{
	if (nr != G_CLONE || !in_stock() || g->ev.call.arg[4] != GC_MAPS)
		return;
	prepared++;
	platform_kill_soon(g->pt); /* carried out when the reply is on its way */
}

static void dies_while_one_waits(void **state)
{
	(void)state;
	prepared = 0;
	mini_spawn(&mini, P_AGAIN, 20, GC_MAPS);
	mini.at_call = kill_at_the_kick;
	assert_true(mini_run_for(&mini, LONG_MS));
	assert_int_equal(prepared, 1);
	assert_int_equal(mini.alive, 0);
	assert_int_equal(in_stock(), 0);
}

/* Kicks at every call: some of them arrive when the thread is in stock, or another one. */
static void kick_all(struct guest *g, uint64_t nr)
{
	if (nr == G_EXIT || nr == G_CLONE)
		platform_kick(g->pt);
}

static void kicks_that_come_late(void **state)
{
	(void)state;
	mini.at_call = kick_all;
	run(P_AGAIN, 200, GC_PLAIN);
	run(P_AGAIN | P_FASTLY, 200, GC_MAPS);
	run(P_THREADS, 200, 0);
}

/* The address of the first `syscall; ret` in the stub's text. */
static long call_site(void)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)stub_image_begin;
	const Elf64_Phdr *ph = (const Elf64_Phdr *)(stub_image_begin + eh->e_phoff);

	while (ph->p_type != PT_LOAD || ph->p_vaddr != STUB_TEXT)
		ph++;
	for (uint64_t at = 0; at + 2 < ph->p_filesz; at++)
		if (!memcmp(stub_image_begin + ph->p_offset + at, "\x0f\x05\xc3", 3))
			return (long)(STUB_TEXT + at);
	fail();
	return 0;
}

static uint32_t kicked;

static void kick_who_exits(struct guest *g, uint64_t nr)
{
	if (nr == G_EXIT) {
		kicked++;
		platform_kick(g->pt);
	}
}

/* A host thread that waits for nobody: interrupted in its last bell it comes with another one. */
static void rings_when_it_has_ended(void **state)
{
	(void)state;
	kicked = 0;
	mini.at_call = kick_who_exits;
	mini_spawn(&mini, P_UNDEAD, call_site(), 0);
	assert_true(mini_run_for(&mini, LONG_MS));
	assert_int_equal(kicked, 1);
	assert_int_equal(mini.host_kills, 1); /* the other one; this one is dead already */
	assert_int_equal(mini.alive, 0);
	assert_int_equal(in_stock(), 0);
}

static int threads_of(pid_t pid)
{
	char path[64];
	int n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = opendir(path);
	for (struct dirent *e; d && (e = readdir(d));)
		n += e->d_name[0] != '.';
	if (d)
		closedir(d);
	return n;
}

static int host_threads;

static void count_host_threads(struct guest *g, uint64_t nr)
{
	if (nr == G_CLONE)
		host_threads = MAX(host_threads, threads_of(platform_host_pid(g->pt)));
}

static void no_host_threads_pile_up(void **state)
{
	(void)state;
	mini.at_call = count_host_threads;
	run(P_AGAIN, 200, GC_PLAIN);
	assert_int_equal(host_threads, 2);
}

#define WITH(test, set) cmocka_unit_test_setup_teardown(test, set, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH(one_after_the_other, setup),
	    WITH(one_after_the_other_fastly, setup),
	    WITH(one_after_the_other_fastly, setup_polled),
	    WITH(none_where_it_is_off, setup_off),
	    WITH(operations_come_first, setup),
	    WITH(operations_come_first, setup_polled),
	    WITH(operations_fail, setup),
	    WITH(few_are_kept, setup),
	    WITH(fork_in_threads, setup),
	    WITH(prepared_and_put, setup),
	    WITH(dies_while_one_is_prepared, setup),
	    WITH(dies_before_the_order, setup),
	    WITH(dies_while_one_waits, setup),
	    WITH(kicks_that_come_late, setup),
	    WITH(rings_when_it_has_ended, setup),
	    WITH(no_host_threads_pile_up, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
