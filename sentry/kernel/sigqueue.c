/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues of pending signals, as data. `set` says which signals are pending; an entry holds a
 * signal's siginfo. A bit without entry is a signal whose siginfo is all zero but the number, which
 * is what Linux delivers when the queue limit left no room.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "sentry/kernel/signal.h"

void sigqueue_init(struct sigqueue *q)
{
	q->set = 0;
	list_init(&q->infos);
}

/* Returns whether it was an allocated one. */
static bool entry_remove(struct siginfo_entry *e)
{
	list_del(&e->link);
	if (e->preallocated)
		return false;
	free(e);
	return true;
}

uint32_t sigqueue_drop(struct sigqueue *q, uint64_t mask)
{
	struct siginfo_entry *e, *next;
	uint32_t freed = 0;

	if (!(q->set & mask))
		return 0;
	list_for_each_safe (e, next, &q->infos, link)
		if (mask & SIGBIT(e->info.signo))
			freed += entry_remove(e);
	q->set &= ~mask;
	return freed;
}

void sigqueue_flush(struct sigqueue *q)
{
	sigqueue_drop(q, ~0ull);
}

void sigqueue_add(struct sigqueue *q, int signo, const struct abi_siginfo *info, bool may_allocate)
{
	bool is_new = !(q->set & SIGBIT(signo));
	struct siginfo_entry *e;

	q->set |= SIGBIT(signo);
	if (!may_allocate || (signo < ABI_SIGRTMIN && !is_new))
		return;
	e = xnew(struct siginfo_entry);
	if (info)
		e->info = *info;
	else
		e->info.code = ABI_SI_KERNEL;
	e->info.signo = signo;
	list_add_tail(&q->infos, &e->link);
}

void sigqueue_add_entry(struct sigqueue *q, struct siginfo_entry *entry)
{
	q->set |= SIGBIT(entry->info.signo);
	list_add_tail(&q->infos, &entry->link);
}

void sigqueue_remove_entry(struct sigqueue *q, struct siginfo_entry *entry)
{
	struct siginfo_entry *e;

	list_del(&entry->link);
	list_for_each (e, &q->infos, link)
		if (e->info.signo == entry->info.signo)
			return;
	q->set &= ~SIGBIT(entry->info.signo);
}

static int next_signal(uint64_t set)
{
	if (set & SIGSET_FAULTS)
		set &= SIGSET_FAULTS;
	return set ? __builtin_ctzll(set) + 1 : 0;
}

int sigqueue_take(struct sigqueue *q, uint64_t wanted, struct abi_siginfo *ret_info,
		  bool *ret_freed_entry)
{
	int signo = next_signal(q->set & wanted);
	struct siginfo_entry *e, *found = NULL;
	bool more = false;

	*ret_freed_entry = false;
	if (!signo)
		return 0;
	list_for_each (e, &q->infos, link) {
		if (e->info.signo != signo)
			continue;
		if (found) {
			more = true;
			break;
		}
		found = e;
	}
	if (!more)
		q->set &= ~SIGBIT(signo);
	if (found) {
		*ret_info = found->info;
		*ret_freed_entry = entry_remove(found);
	} else {
		memset(ret_info, 0, sizeof(*ret_info));
		ret_info->signo = signo;
	}
	return signo;
}
