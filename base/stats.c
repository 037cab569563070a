/* SPDX-License-Identifier: Apache-2.0 */
#include "base/stats.h"

#include "base/mem.h"

__thread struct stats_block *stats_mine;
static _Atomic(struct stats_block *) blocks; /* pushed, never taken out */

struct stats_block *stats_block_new(void)
{
	struct stats_block *b = xnew(struct stats_block);

	b->next = atomic_load(&blocks);
	while (!atomic_compare_exchange_weak(&blocks, &b->next, b))
		;
	stats_mine = b;
	return b;
}

uint64_t stats_sum(unsigned counter)
{
	uint64_t sum = 0;

	for (const struct stats_block *b = atomic_load(&blocks); b; b = b->next)
		sum += atomic_load_explicit(&b->v[counter], memory_order_relaxed);
	return sum;
}
