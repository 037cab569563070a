/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wait queues. An object that can become ready (pipe, terminal, child process, futex...) has a
 * waitqueue; whoever wants to hear of it adds a wait_entry. `waitqueue_wake` calls the function of
 * every entry whose mask meets the events, with the queue's lock held: it must not sleep, and takes
 * only locks above RANK_WAITQ.
 *
 * The rule that loses no wake-up: first add the entry, then look at the condition (again), then
 * block. See task_block.h for how handlers do it.
 */
#ifndef SENTRY_KERNEL_WAITQUEUE_H
#define SENTRY_KERNEL_WAITQUEUE_H

#include <stdint.h>

#include "base/list.h"
#include "base/lock.h"

struct waitqueue {
	struct mutex lock;   /* RANK_WAITQ */
	struct list entries; /* [lock] struct wait_entry.link */
};

struct wait_entry {
	struct list link;     /* [wq->lock] */
	struct waitqueue *wq; /* NULL: not added */
	uint32_t mask;	      /* ABI_POLL* bits of interest; ~0u: all */
	/* events: what happened. Returns true if this wake-up was consumed (exclusive wakers count
	 * those). */
	bool (*func)(struct wait_entry *e, uint32_t events);
};

void waitqueue_init(struct waitqueue *wq);
/* Nobody may be on it any more. */
void waitqueue_destroy(struct waitqueue *wq);
void waitqueue_add(struct waitqueue *wq, struct wait_entry *e);
/* Harmless if not added. Afterwards the function isn't running and will not be called. */
void waitqueue_remove(struct wait_entry *e);
void waitqueue_wake(struct waitqueue *wq, uint32_t events);
/* The same from inside a wake-up of another queue (epoll: the watched queue's lock is held). The
 * graph of such queues has no cycles, so the two locks of one rank can't deadlock. */
void waitqueue_wake_nested(struct waitqueue *wq, uint32_t events);
/* Stops after `max` entries whose function returned true; returns their count. */
unsigned waitqueue_wake_n(struct waitqueue *wq, uint32_t events, unsigned max);

#endif
