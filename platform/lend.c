/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host thread that is lent: vfork without a host process.
 *
 * Who calls vfork stands still until its child executes a program or exits. So its host thread is
 * free meanwhile, and the child, whose memory is the parent's anyway, runs there: on a slot of its
 * own, with its own channel, so that the parent's registers (the signal frame on its slot's stack)
 * wait untouched. No clone, no HELLO, and nothing to kill and reap afterwards.
 *
 *	sentry				host thread, as parent		as child
 *					vfork, bell
 *	platform_lend: the child is
 *	STARTED, the bell is its
 *	replies to the child ->		order LEND: copies its frame
 *					to the child's slot, keeps
 *					its place on its own stack
 *									runs
 *									execve, bell
 *	the child goes to another
 *	host process; platform_kill:
 *	dead, the bell is the parent's
 *	replies to the parent ->					order RETURN
 *					goes on from its place: the
 *					reply is in its channel
 *
 * Both replies are one notification each, and are written before it: what the host thread is to
 * look at first (LEND in the parent's channel, RETURN in the child's) stands in for the reply that
 * that one's bell waits for. A bell names its slot, so that one that is rung again is known.
 *
 * The table of host ids names the one of the two who runs. The reply to the parent may come before
 * the child is dead (the sentry wakes the parent first); it is kept like one that was lost, and
 * made when the host thread comes back.
 *
 * Ends. A child that waits in its bell is dead at once. One that runs is kicked first; whatever it
 * comes with, it is dead then, and what it is replied meanwhile is dropped. A clone of its own that
 * was under way is settled with it: if nobody asked for it, or it has failed, the grandchild is
 * dead as well, else it will say its HELLO. The parent may die first, even before the child has
 * begun (the host thread still waits at the parent's channel then): the child has the host process
 * for itself from then on, and killing it kills that, as with any other. If the host process dies
 * both are dead.
 *
 * Only processes with one thread and memory of their own lend, and a child makes no threads: whose
 * they were could not be said when the child is gone. It may fork, and vfork in the ordinary way.
 * The slot is kept for the next child, with its stack: while the thread runs for the parent again
 * the host still thinks the child's stack its alternate one, until it returns to the guest.
 */
#include <errno.h>

#include "platform/backend.h"
#include "platform/internal.h"

static bool is_alone_locked(const struct platform_thread *t)
{
	const struct host_process *process = t->process;
	const struct platform_thread *other;

	if (!process || process->dead)
		return false;
	list_for_each (other, &process->threads, process_link)
		if (other != t && !other->in_stock)
			return false;
	return t->mm->processes.next == &process->mm_link &&
	       process->mm_link.next == &t->mm->processes;
}

bool platform_can_lend(struct platform_thread *t)
{
	struct platform *p = t->p;
	bool can = false;

	if (!p->backend->can_lend_locked || p->without & FEATURE_BIT(LENT_VFORK))
		return false;
	mutex_lock(&p->lock);
	if (is_alone_locked(t) && !t->lender && !t->lent_to && !t->clone_child) {
		mutex_lock(&t->lock);
		can = t->state == THREAD_STOPPED && p->backend->can_lend_locked(t);
		mutex_unlock(&t->lock);
	}
	mutex_unlock(&p->lock);
	return can;
}

int lend_slot_locked(struct platform_thread *t, uint32_t *ret_slot, bool *ret_fresh)
{
	if (!t->lend_channel)
		return slot_take_locked(t->mm, ret_slot, ret_fresh);
	*ret_slot = t->lend_slot;
	*ret_fresh = t->lend_fresh;
	t->lend_channel = NULL; /* until the child is over */
	return 0;
}

/* The bell that the host thread waits in is the child's. */
static void take_bell_locked(struct platform_thread *child, struct platform_thread *parent)
{
	uint64_t id;
	bool bell;

	mutex_lock(&parent->lock);
	parent->lent_to = child;
	id = parent->notif_id;
	bell = parent->bell;
	parent->bell = false;
	mutex_unlock(&parent->lock);
	mutex_lock(&child->lock);
	child->notif_id = id;
	child->bell = bell;
	child->tid = parent->tid;
	child->state = THREAD_STOPPED;
	child->kick_in_reply = child->kick_pending;
	child->begins_from = parent->ch;
	mutex_unlock(&child->lock);
}

static bool begin_locked(struct platform_thread *child, struct platform_thread *parent)
{
	struct platform_event ev = {.type = PEV_STARTED, .thread = child, .cookie = child->cookie};

	check(child->state == THREAD_PREPARED);
	if (parent->state != THREAD_STOPPED || parent->process->dead || child->kill_pending) {
		child->lender = NULL;
		thread_dies_locked(child, !child->kill_pending);
		return false;
	}
	refcount_get(&parent->process->refs);
	child->process = parent->process;
	list_add_tail(&parent->process->threads, &child->process_link);
	take_bell_locked(child, parent);
	idmap_set(&child->p->tids, (uint32_t)child->tid, child);
	event_defer_locked(child->p, &ev);
	return true;
}

void platform_lend(struct platform_thread *child)
{
	struct platform *p = child->p;

	mutex_lock(&p->lock);
	if (begin_locked(child, child->lender))
		count_stat(lent);
	mutex_unlock(&p->lock);
	nudge(p);
}

/* The host thread is the parent's again; it waits in that bell, if there is one. */
static void come_back_locked(struct platform_thread *parent, struct platform_thread *child)
{
	mutex_lock(&parent->lock);
	parent->lent_to = NULL;
	parent->notif_id = child->notif_id;
	parent->bell = child->bell;
	parent->returns_from = child->begun ? child->ch : NULL;
	mutex_unlock(&parent->lock);
	parent->lend_channel = child->ch;
	parent->lend_slot = child->slot;
	parent->lend_fresh = child->slot_fresh && !child->begun;
	child->slot_kept = true;
	idmap_set(&parent->p->tids, (uint32_t)parent->tid, parent);
}

void lend_over_locked(struct platform_thread *child)
{
	struct platform_thread *parent = child->lender, *unborn = child->clone_child;

	assert_held(&child->p->lock);
	mutex_lock(&child->lock);
	child->lender = NULL;
	mutex_unlock(&child->lock);
	come_back_locked(parent, child);
	thread_dies_locked(child, false);
	if (unborn && !unborn->asked)
		thread_dies_locked(unborn, !unborn->kill_pending);
	child->p->backend->came_back_locked(parent);
}

/* The parent goes, the child stays. */
static void orphan_locked(struct platform_thread *parent)
{
	struct platform_thread *child = parent->lent_to;

	thread_dies_locked(parent, false);
	if (child->over)
		process_kill_locked(child->process);
}

bool lend_kill_locked(struct platform_thread *t)
{
	if (!t->process || t->process->dead || t->state == THREAD_DEAD)
		return false;
	if (t->lent_to) {
		orphan_locked(t);
		return true;
	}
	if (!t->lender)
		return false;
	mutex_lock(&t->lock);
	t->over = true;
	mutex_unlock(&t->lock);
	t->p->backend->end_lent_locked(t);
	return true;
}

void lend_forget_locked(struct platform_thread *t)
{
	if (t->lent_to) {
		mutex_lock(&t->lent_to->lock);
		t->lent_to->lender = NULL;
		mutex_unlock(&t->lent_to->lock);
	}
	if (t->lender && t->lender->lent_to == t) {
		mutex_lock(&t->lender->lock);
		t->lender->lent_to = NULL;
		mutex_unlock(&t->lender->lock);
	}
	mutex_lock(&t->lock);
	t->lent_to = NULL;
	t->lender = NULL;
	mutex_unlock(&t->lock);
}
