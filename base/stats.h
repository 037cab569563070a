/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters that cost an add to memory of one's own. Each thread has a block, which only it writes;
 * whoever wants a sum reads all blocks. So counting never moves a cache line between CPUs, and a
 * sum is exact once the threads rest. Blocks of threads that have ended stay: what they counted
 * stays counted.
 *
 * Counters are numbers. The first ones count waits for locks by rank (base/lock.h); what the others
 * mean is defined where they are listed (platform/platform.h, sentry/kernel/stats.h).
 */
#ifndef BASE_STATS_H
#define BASE_STATS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/compiler.h"

#define STATS_LOCK_RANKS 128		  /* counters 0 to 127: waits for locks of that rank */
#define STATS_PLATFORM	 STATS_LOCK_RANKS /* those of the platform (platform/internal.h) */
#define STATS_SENTRY	 (STATS_PLATFORM + 32)
#define STATS_SIZE	 768

struct stats_block {
	struct stats_block *next; /* [I] */
	_Atomic uint64_t v[STATS_SIZE];
};

extern __thread struct stats_block *stats_mine;
/* Makes this thread's block. */
struct stats_block *stats_block_new(void);

static inline void stats_add(unsigned counter, uint64_t n)
{
	struct stats_block *b = stats_mine;
	_Atomic uint64_t *v;

	if (unlikely(!b))
		b = stats_block_new();
	v = &b->v[counter];
	atomic_store_explicit(v, atomic_load_explicit(v, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/* Of all threads. */
uint64_t stats_sum(unsigned counter);

#endif
