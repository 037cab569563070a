/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread stock: host threads of guest threads that have ended, for the next ones.
 *
 * A thread that ends alone, while its process goes on, is dead for the sentry when that says so. Its
 * host thread isn't told: it goes on waiting in the bell that brought its exit, which the sentry
 * keeps. The next thread that its process makes is given to it, by an answer to that bell. So there
 * is no host clone, no clone to be asked for, no HELLO and no host exit, and the slot, whose pages
 * are there, needs no stack mapped.
 *
 *	sentry				host thread	creator
 *	T ends: PORD_EXIT		in T's bell
 *	T dead, S in stock		 .
 *					 .		clone, bell
 *	S becomes the child of		 .
 *	platform_clone_prepare		 .
 *	reply ->			 .		goes on
 *	S STARTED, reply ->		begins as S
 *
 * S is a struct platform_thread from the beginning, STOPPED, with T's slot, host id and last
 * request; so a bell that is rung again (a debugger, the freezer) is known as a repeated one, and
 * anything else that the host thread might do is what a stopped thread must not do: its process is
 * killed. What S inherits from its creator, apart from registers, travels in the two channels
 * (stub/inherit.c). What T had is gone: answers and own state are S's from its preparation on, and
 * the sentry sets them; a kick that came for T, but late, is one for S, which stops once for nothing.
 *
 *	stock --prepared--> taken --ordered--> STOPPED, PEV_STARTED
 *	  ^                   |
 *	  +------- put -------+
 *
 * A memory operation of the reply that orders the child may fail, and then there must be no child,
 * as with a host clone. If that is possible the parent is made to stop behind the operations
 * (REPLY_KICK), and the child begins when the parent is heard of:
 *
 *	sentry				creator
 *	reply: operations, kick ->
 *					bell: PEV_KICKED, or the report
 *	S STARTED, or taken still
 *
 * Deaths. A host process takes those of its stock along; one that was prepared is from then on like
 * one of which nothing was ordered. Forks copy none. exec of a process with several threads takes
 * another host process and kills this one.
 *
 * They are host threads still: pids.max of the sandbox's cgroup counts them (what it has beyond the
 * container's limit is enough for STOCK_MAX, runsc/cgroup.h), and each keeps a kernel stack and some
 * pages of its slot. So a process keeps STOCK_OF_PROCESS at most, which is enough for who makes
 * threads in turn.
 */
#include <string.h>

#include "platform/backend.h"
#include "platform/internal.h"

#define STOCK_OF_PROCESS 4
#define STOCK_MAX	 16
#define STOCK_FORCED	 64 /* both of them */

bool stock_is_on(const struct platform *p)
{
	return p->backend->stocked_locked && !(p->without & FEATURE_BIT(THREAD_STOCK));
}

static bool has_room_locked(const struct host_process *process)
{
	const struct platform *p = process->mm->p;
	bool forced = p->force & FEATURE_BIT(THREAD_STOCK);

	return p->inherit_size && !process->dead && !process->killed &&
	       process->stock_count < (forced ? STOCK_FORCED : STOCK_OF_PROCESS) &&
	       p->stock_count < (forced ? STOCK_FORCED : STOCK_MAX);
}

/* Nothing is to be done for the thread but to end it. Caller holds t->lock. */
static bool is_idle_locked(const struct platform_thread *t)
{
	if (t->state != THREAD_STOPPED || t->copying || t->lost || t->lender || t->lent_to ||
	    t->returns_from || t->lend_channel || t->clone_child)
		return false;
	for (uint32_t i = 0; i < t->window_count; i++)
		if (t->windows[i].low != t->windows[i].high)
			return false;
	return true;
}

static void join_stock_locked(struct platform_thread *s)
{
	s->in_stock = true;
	s->taken = false;
	s->cookie = NULL;
	list_add_head(&s->process->stock, &s->link);
}

/* What stands for t's host thread from now on. */
static struct platform_thread *successor_locked(const struct platform_thread *t)
{
	struct platform_thread *s;

	refcount_get(&t->mm->refs);
	s = thread_create(t->mm, t->slot, PCLONE_THREAD, NULL);
	refcount_get(&t->process->refs);
	s->process = t->process;
	s->tid = t->tid;
	s->seq = t->seq;
	s->bell = t->bell;
	s->notif_id = t->notif_id;
	s->own_stack_inherited = t->own_stack_inherited;
	s->state = THREAD_STOPPED;
	s->again = true;
	s->process->stock_count++;
	s->p->stock_count++;
	join_stock_locked(s);
	list_add_tail(&s->process->threads, &s->process_link);
	idmap_set(&s->p->tids, (uint32_t)s->tid, s);
	return s;
}

static bool keep_locked(struct platform_thread *t)
{
	struct platform_thread *s = NULL;

	mutex_lock(&t->lock);
	if (is_idle_locked(t)) {
		s = successor_locked(t);
		t->p->backend->stocked_locked(s);
	}
	mutex_unlock(&t->lock);
	if (!s)
		return false;
	t->slot_kept = true;
	thread_dies_locked(t, false);
	return true;
}

bool stock_keep(struct platform_thread *t)
{
	struct platform *p = t->p;
	bool kept;

	if (!p->inherit_size)
		return false;
	mutex_lock(&p->lock);
	kept =
	    t->process && t->state != THREAD_DEAD && has_room_locked(t->process) && keep_locked(t);
	mutex_unlock(&p->lock);
	if (kept)
		nudge(p);
	return kept;
}

/* It waits in its bell, and nobody uses it for anything else. */
static bool is_ready(struct platform_thread *s)
{
	bool ready;

	mutex_lock(&s->lock);
	ready = s->bell && !s->copying && !s->lost;
	mutex_unlock(&s->lock);
	return ready;
}

struct platform_thread *stock_take_locked(struct platform_thread *t, void *cookie)
{
	struct platform_thread *s;

	assert_held(&t->p->lock);
	if (!t->inherits || !t->process || t->process->dead)
		return NULL;
	list_for_each (s, &t->process->stock, link)
		if (is_ready(s)) {
			list_del(&s->link);
			s->taken = true;
			s->cookie = cookie;
			s->regs_known = true;
			return s;
		}
	return NULL;
}

void stock_put_back_locked(struct platform_thread *child)
{
	check(child->in_stock && child->taken);
	join_stock_locked(child);
}

/* It is nobody's any more but the sentry's, or nobody's at all. */
static void leave_stock_locked(struct platform_thread *s)
{
	s->in_stock = s->taken = s->awaits_parent = false;
	s->process->stock_count--;
	s->p->stock_count--;
}

static void start_locked(struct platform_thread *s)
{
	struct platform_event ev = {.type = PEV_STARTED, .thread = s, .cookie = s->cookie};

	leave_stock_locked(s);
	mutex_lock(&s->lock);
	s->begins = true;
	mutex_unlock(&s->lock);
	event_defer_locked(s->p, &ev);
}

void stock_start_locked(struct platform_thread *parent, struct platform_thread *child,
			const struct platform_reply *r)
{
	assert_held(&parent->p->lock);
	check(!parent->clone_child && child->taken);
	memcpy(&child->ch->inherit, &parent->ch->inherit, parent->p->inherit_size);
	parent->child_told = false;
	if (!memops_can_fail(r)) {
		parent->child_told = true;
		start_locked(child);
		return;
	}
	parent->clone_child = child;
	child->ordered_by = parent;
	child->awaits_parent = true;
	mutex_lock(&parent->lock);
	parent->kick_in_reply = true;
	mutex_unlock(&parent->lock);
}

void stock_settle_locked(struct platform_thread *child, bool failed)
{
	struct platform_thread *parent = child->ordered_by;

	clone_settled_locked(child);
	child->awaits_parent = false;
	if (failed)
		return;
	parent->child_told = true;
	start_locked(child);
}

/* Prepared, and never ordered: the sentry will put it, or order it and hear that it is dead. */
static void forsake_locked(struct platform_thread *s)
{
	list_del(&s->process_link);
	idmap_set(&s->p->tids, (uint32_t)s->tid, NULL);
	mutex_lock(&s->lock);
	s->state = THREAD_PREPARED;
	mutex_unlock(&s->lock);
}

void stock_died_locked(struct platform_thread *s, bool by_host)
{
	bool ordered = s->awaits_parent, taken = s->taken;

	assert_held(&s->p->lock);
	leave_stock_locked(s);
	if (taken && !ordered) {
		forsake_locked(s);
		return;
	}
	s->spare = !taken;
	thread_dies_locked(s, by_host);
}
