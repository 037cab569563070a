/* SPDX-License-Identifier: Apache-2.0 */
#include "base/lock.h"

#include "base/compiler.h"
#include "base/log.h"
#include "base/stats.h"

void mutex_init(struct mutex *m, int rank)
{
	pthread_mutex_init(&m->m, NULL);
	m->rank = rank;
#ifdef DEBUG
	m->held = false;
#endif
}

void mutex_lock_slow(struct mutex *m)
{
	stats_add((unsigned)m->rank % STATS_LOCK_RANKS, 1);
	pthread_mutex_lock(&m->m);
}

void mutex_destroy(struct mutex *m)
{
#ifdef DEBUG
	check(!m->held);
#endif
	pthread_mutex_destroy(&m->m);
}

#ifdef DEBUG

/* The locks this thread holds, in the order in which it took them. */
static __thread struct mutex *held[32];
static __thread unsigned held_count;

static void note_taken(struct mutex *m)
{
	check(held_count < array_count(held));
	held[held_count++] = m;
	m->owner = pthread_self();
	m->held = true;
}

static void check_order(const struct mutex *m, bool same_rank_ok)
{
	for (unsigned i = 0; i < held_count; i++) {
		const struct mutex *h = held[i];

		if (h == m)
			panic("lock of rank %d taken twice", m->rank);
		if (h->rank > m->rank || (h->rank == m->rank && !same_rank_ok))
			panic("lock order: rank %d taken while rank %d is held", m->rank, h->rank);
	}
}

void mutex_lock(struct mutex *m)
{
	check_order(m, false);
	if (pthread_mutex_trylock(&m->m))
		mutex_lock_slow(m);
	note_taken(m);
}

void mutex_lock_nested(struct mutex *m)
{
	check_order(m, true);
	if (pthread_mutex_trylock(&m->m))
		mutex_lock_slow(m);
	note_taken(m);
}

bool mutex_trylock(struct mutex *m)
{
	if (pthread_mutex_trylock(&m->m))
		return false;
	note_taken(m);
	return true;
}

void mutex_unlock(struct mutex *m)
{
	unsigned i = held_count;

	while (i > 0 && held[i - 1] != m)
		i--;
	check(i > 0);
	for (; i < held_count; i++)
		held[i - 1] = held[i];
	held_count--;
	m->held = false;
	pthread_mutex_unlock(&m->m);
}

bool mutex_held_by_me(const struct mutex *m)
{
	return m->held && pthread_equal(m->owner, pthread_self());
}

#endif
