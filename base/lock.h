/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mutexes with a rank. Locks are taken in ascending rank; debug builds check that, and who holds
 * what. Two locks of one rank may be held at once only through mutex_lock_nested, whose caller says
 * why that can't deadlock (ordered by address, parent before child). Ranks are assigned where a
 * subsystem writes down its lock order (sentry/kernel/lockorder.h).
 *
 * A mutex is one futex word and its rank, 8 bytes, since there is one or more in each inode, dentry
 * and file: 0 free, 1 held, 2 held and perhaps waited for. Taking and giving back one that nobody
 * else wants is one atomic instruction each, inline.
 *
 *	holder				waiter
 *	word is 1
 *					spins for a moment, then 1 -> 2, futex wait while 2
 *	unlock: 2 -> 0, wakes one
 *					0 -> 2: it has it, and others may still wait
 *
 * The wake-up comes after the word is free, so the mutex may be gone by then (whoever took it next
 * may free it): a wake-up at an address that means nothing any more finds nobody, or somebody who
 * looks again.
 *
 * Whoever must wait for a lock counts that, by rank (base/stats.h): `runsc debug --stats` shows
 * which locks are in the way.
 */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/compiler.h"

struct mutex {
	atomic_uint word;
	int rank;
#ifdef DEBUG
	pthread_t owner; /* the last; for who looks with a debugger */
#endif
};

void mutex_init(struct mutex *m, int rank);
void mutex_destroy(struct mutex *m);
/* Of mutex_lock: somebody else has it. Of mutex_unlock: somebody may wait. */
void mutex_lock_slow(struct mutex *m);
void mutex_unlock_slow(struct mutex *m);

static inline bool mutex_word_take(struct mutex *m)
{
	unsigned free = 0;

	return atomic_compare_exchange_strong_explicit(&m->word, &free, 1, memory_order_acquire,
						       memory_order_relaxed);
}

static inline void mutex_word_give(struct mutex *m)
{
	if (unlikely(atomic_exchange_explicit(&m->word, 0, memory_order_release) == 2))
		mutex_unlock_slow(m);
}

#ifdef DEBUG
void mutex_lock(struct mutex *m);
void mutex_lock_nested(struct mutex *m);
bool mutex_trylock(struct mutex *m);
void mutex_unlock(struct mutex *m);
bool mutex_held_by_me(const struct mutex *m);
#define assert_held(mutex) check(mutex_held_by_me(mutex))
#else
static inline void mutex_lock(struct mutex *m)
{
	if (unlikely(!mutex_word_take(m)))
		mutex_lock_slow(m);
}
static inline void mutex_lock_nested(struct mutex *m)
{
	mutex_lock(m);
}
static inline bool mutex_trylock(struct mutex *m)
{
	return mutex_word_take(m);
}
static inline void mutex_unlock(struct mutex *m)
{
	mutex_word_give(m);
}
#define assert_held(mutex) ((void)(mutex))
#endif

/* Waiting for a change of what a mutex guards. Zero is a fresh one. */
struct condition {
	atomic_uint changes;
	atomic_uint waiting;
};
/* Lets go of the mutex while it waits. May return for no reason: look again. */
void condition_wait(struct condition *c, struct mutex *m);
/* Caller holds the mutex. */
void condition_broadcast(struct condition *c);

#endif
