/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reference count that checks itself: taking a reference on a dead object, or dropping one too
 * many, ends the process. `refcount_put` returns true for the last one, with everything that other
 * holders wrote visible.
 */
#ifndef BASE_REFCOUNT_H
#define BASE_REFCOUNT_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/log.h"

struct refcount {
	atomic_int count;
};

static inline void refcount_init(struct refcount *r)
{
	atomic_init(&r->count, 1);
}

static inline void refcount_get(struct refcount *r)
{
	int old = atomic_fetch_add_explicit(&r->count, 1, memory_order_relaxed);

	check(old > 0 && old < 0x7ffffff0);
}

/* For objects found in an index that doesn't hold a reference: fails if the object is dying. */
static inline bool refcount_get_unless_zero(struct refcount *r)
{
	int old = atomic_load_explicit(&r->count, memory_order_relaxed);

	while (old > 0)
		if (atomic_compare_exchange_weak_explicit(
			&r->count, &old, old + 1, memory_order_acquire, memory_order_relaxed))
			return true;
	return false;
}

static inline bool refcount_put(struct refcount *r)
{
	int old = atomic_fetch_sub_explicit(&r->count, 1, memory_order_acq_rel);

	check(old > 0);
	return old == 1;
}

static inline int refcount_read(const struct refcount *r)
{
	return atomic_load_explicit(&r->count, memory_order_relaxed);
}

#endif
