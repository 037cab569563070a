/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mutexes with a rank. Locks are taken in ascending rank; debug builds check that, and who holds
 * what. Two locks of one rank may be held at once only through mutex_lock_nested, whose caller says
 * why that can't deadlock (ordered by address, parent before child). Ranks are assigned where a
 * subsystem writes down its lock order (sentry/kernel/lockorder.h).
 *
 * Whoever must wait for a lock counts that, by rank (base/stats.h): `runsc debug --stats` shows
 * which locks are in the way.
 */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include <pthread.h>
#include <stdbool.h>

#include "base/compiler.h"

struct mutex {
	pthread_mutex_t m;
	int rank;
#ifdef DEBUG
	pthread_t owner;
	bool held;
#endif
};

void mutex_init(struct mutex *m, int rank);
void mutex_destroy(struct mutex *m);
/* Of mutex_lock: somebody else has it. */
void mutex_lock_slow(struct mutex *m);

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
	if (unlikely(pthread_mutex_trylock(&m->m)))
		mutex_lock_slow(m);
}
static inline void mutex_lock_nested(struct mutex *m)
{
	mutex_lock(m);
}
static inline bool mutex_trylock(struct mutex *m)
{
	return pthread_mutex_trylock(&m->m) == 0;
}
static inline void mutex_unlock(struct mutex *m)
{
	pthread_mutex_unlock(&m->m);
}
#define assert_held(mutex) ((void)(mutex))
#endif

#endif
