/* SPDX-License-Identifier: Apache-2.0 */
#include "base/lock.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/log.h"
#include "base/stats.h"

#define SPINS 20 /* about a microsecond: most locks are held for less */

/* The waits are within this process. Errors mean "look again". */
static void futex_wait(atomic_uint *word, unsigned value)
{
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(atomic_uint *word, int count)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

void mutex_init(struct mutex *m, int rank)
{
	atomic_init(&m->word, 0);
	m->rank = rank;
}

void mutex_destroy(struct mutex *m)
{
	debug_check(atomic_load(&m->word) == 0);
	(void)m;
}

void mutex_lock_slow(struct mutex *m)
{
	int saved = errno;

	stats_add((unsigned)m->rank % STATS_LOCK_RANKS, 1);
	for (int i = 0; i < SPINS; i++) {
		if (!atomic_load_explicit(&m->word, memory_order_relaxed) && mutex_word_take(m))
			return;
		__builtin_ia32_pause();
	}
	while (atomic_exchange_explicit(&m->word, 2, memory_order_acquire) != 0)
		futex_wait(&m->word, 2);
	errno = saved;
}

void mutex_unlock_slow(struct mutex *m)
{
	int saved = errno;

	futex_wake(&m->word, 1);
	errno = saved;
}

void condition_wait(struct condition *c, struct mutex *m)
{
	unsigned seen = atomic_load(&c->changes);

	atomic_fetch_add(&c->waiting, 1);
	mutex_unlock(m);
	futex_wait(&c->changes, seen);
	mutex_lock(m);
	atomic_fetch_sub(&c->waiting, 1);
}

void condition_broadcast(struct condition *c)
{
	atomic_fetch_add(&c->changes, 1);
	if (atomic_load(&c->waiting))
		futex_wake(&c->changes, INT_MAX);
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
	if (!mutex_word_take(m))
		mutex_lock_slow(m);
	note_taken(m);
}

void mutex_lock_nested(struct mutex *m)
{
	check_order(m, true);
	if (!mutex_word_take(m))
		mutex_lock_slow(m);
	note_taken(m);
}

bool mutex_trylock(struct mutex *m)
{
	if (!mutex_word_take(m))
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
	mutex_word_give(m);
}

bool mutex_held_by_me(const struct mutex *m)
{
	for (unsigned i = 0; i < held_count; i++)
		if (held[i] == m)
			return true;
	return false;
}

#endif
