/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/kernel/waitqueue.h"

#include <limits.h>

#include "base/log.h"
#include "sentry/kernel/lockorder.h"

void waitqueue_init(struct waitqueue *wq)
{
	mutex_init(&wq->lock, RANK_WAITQ);
	list_init(&wq->entries);
}

void waitqueue_destroy(struct waitqueue *wq)
{
	check(list_empty(&wq->entries));
	mutex_destroy(&wq->lock);
}

void waitqueue_add(struct waitqueue *wq, struct wait_entry *e)
{
	debug_check(!e->wq);
	mutex_lock(&wq->lock);
	e->wq = wq;
	list_add_tail(&wq->entries, &e->link);
	mutex_unlock(&wq->lock);
}

void waitqueue_remove(struct wait_entry *e)
{
	struct waitqueue *wq = e->wq;

	if (!wq)
		return;
	mutex_lock(&wq->lock);
	list_del(&e->link);
	mutex_unlock(&wq->lock);
	e->wq = NULL;
}

static unsigned wake_locked(struct waitqueue *wq, uint32_t events, unsigned max)
{
	struct wait_entry *e, *next;
	unsigned woken = 0;

	list_for_each_safe (e, next, &wq->entries, link) {
		if (woken == max)
			break;
		if ((e->mask & events) && e->func(e, events))
			woken++;
	}
	return woken;
}

unsigned waitqueue_wake_n(struct waitqueue *wq, uint32_t events, unsigned max)
{
	unsigned woken;

	mutex_lock(&wq->lock);
	woken = wake_locked(wq, events, max);
	mutex_unlock(&wq->lock);
	return woken;
}

void waitqueue_wake_nested(struct waitqueue *wq, uint32_t events)
{
	mutex_lock_nested(&wq->lock);
	wake_locked(wq, events, UINT_MAX);
	mutex_unlock(&wq->lock);
}

void waitqueue_wake(struct waitqueue *wq, uint32_t events)
{
	waitqueue_wake_n(wq, events, UINT_MAX);
}
