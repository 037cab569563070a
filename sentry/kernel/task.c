/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks as objects: making, finding, counting, and how they wait and are woken. */
#include "sentry/kernel/task.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/kernel/lockorder.h"
#include "sentry/kernel/task_block.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/vfs.h"

static void wait_timer_fired(struct ktimer *timer)
{
	task_wake(container_of(timer, struct task, wait_timer));
}

struct task *task_new(struct kernel *k, struct thread_group *tg)
{
	struct task *t = xnew(struct task);

	refcount_init(&t->ref);
	t->kernel = k;
	t->tg = tg_get(tg);
	list_init(&t->tg_link);
	list_init(&t->run_link);
	atomic_init(&t->state, TASK_NEW);
	ktimer_init(&t->wait_timer, wait_timer_fired);
	sigqueue_init(&t->pending);
	t->altstack.flags = ABI_SS_DISABLE;
	waitqueue_init(&t->vfork_done);
	t->start_time = time_monotonic_ns();
	object_count(OBJ_TASK, 1);
	return t;
}

struct task *task_get(struct task *t)
{
	refcount_get(&t->ref);
	return t;
}

void task_put(struct task *t)
{
	if (!refcount_put(&t->ref))
		return;
	debug_check(!t->mm && !t->files && !t->fs);
	task_wait_clear(t);
	while (t->more_waits) {
		struct task_wait_chunk *c = t->more_waits;

		t->more_waits = c->next;
		free(c);
	}
	sigqueue_flush(&t->pending);
	waitqueue_destroy(&t->vfork_done);
	if (t->cred)
		cred_put(t->cred);
	free(t->trace_line);
	free(t->memops);
	free(t->sigframe);
	patch_task_destroy(t);
	free(t->affinity);
	tg_put(t->tg);
	object_count(OBJ_TASK, -1);
	free(t);
}

struct task *task_find(struct kernel *k, int32_t tid)
{
	struct task *t;

	if (tid <= 0)
		return NULL;
	mutex_lock(&k->tasks_lock);
	t = idmap_get(&k->tids, (uint32_t)tid);
	if (t)
		task_get(t);
	mutex_unlock(&k->tasks_lock);
	return t;
}

struct thread_group *tg_find(struct kernel *k, int32_t tgid)
{
	struct thread_group *tg = NULL;
	struct task *t;

	if (tgid <= 0)
		return NULL;
	mutex_lock(&k->tasks_lock);
	t = idmap_get(&k->tids, (uint32_t)tgid);
	if (t && t->tg->tgid == tgid)
		tg = tg_get(t->tg);
	mutex_unlock(&k->tasks_lock);
	return tg;
}

const struct cred *task_cred_get(struct task *t)
{
	const struct cred *c;

	mutex_lock(&t->kernel->tasks_lock);
	c = cred_get(t->cred);
	mutex_unlock(&t->kernel->tasks_lock);
	return c;
}

/* ---- waiting ---- */

static bool wait_entry_woken(struct wait_entry *e, uint32_t events)
{
	(void)events;
	task_wake(container_of(e, struct task_wait, entry)->task);
	return true;
}

static struct task_wait *next_wait(struct task *t)
{
	struct task_wait_chunk *c = t->more_waits;

	if (t->wait_count < TASK_WAITS_INLINE)
		return &t->waits[t->wait_count];
	if (!c || c->count == array_count(c->waits)) {
		c = xnew(struct task_wait_chunk);
		c->next = t->more_waits;
		t->more_waits = c;
	}
	return &c->waits[c->count++];
}

void task_wait_add(struct task *t, struct waitqueue *wq, uint32_t mask, struct file *pin)
{
	struct task_wait *w = next_wait(t);

	t->wait_count++;
	w->task = t;
	w->pin = pin ? file_get(pin) : NULL;
	w->entry = (struct wait_entry){.mask = mask, .func = wait_entry_woken};
	waitqueue_add(wq, &w->entry);
}

static void wait_remove(struct task_wait *w)
{
	waitqueue_remove(&w->entry);
	if (w->pin)
		file_put(w->pin);
	w->pin = NULL;
}

void task_wait_clear(struct task *t)
{
	if (t->wait_armed) {
		ktimer_cancel(t->kernel, &t->wait_timer);
		t->wait_armed = false;
	}
	if (!t->wait_count)
		return;
	for (uint32_t i = 0; i < MIN(t->wait_count, (uint32_t)TASK_WAITS_INLINE); i++)
		wait_remove(&t->waits[i]);
	t->wait_count = 0;
	while (t->more_waits) {
		struct task_wait_chunk *c = t->more_waits;

		for (uint32_t i = 0; i < c->count; i++)
			wait_remove(&c->waits[i]);
		t->more_waits = c->next;
		free(c);
	}
}

void task_set_deadline(struct task *t, uint64_t ns)
{
	if (t->call.deadline_set)
		return;
	t->call.deadline = ns;
	t->call.deadline_set = true;
}

uint64_t task_deadline_left(struct task *t)
{
	uint64_t now;

	if (!t->call.deadline_set || t->call.deadline == TIME_NEVER)
		return TIME_NEVER;
	now = time_monotonic_ns();
	return t->call.deadline > now ? t->call.deadline - now : 0;
}

bool task_deadline_passed(struct task *t)
{
	return task_deadline_left(t) == 0;
}

int64_t task_block(struct task *t, int64_t interrupted)
{
	if (atomic_load(&t->exit_pending) || atomic_load(&t->host_dead))
		return -EINTR;
	if (task_deadline_passed(t))
		return -ETIMEDOUT;
	if (signal_pending(t))
		return interrupted;
	if (t->call.deadline_set && t->call.deadline != TIME_NEVER) {
		t->wait_armed = true;
		ktimer_arm(t->kernel, &t->wait_timer, t->call.deadline);
	}
	return SYS_BLOCKED;
}

/* ---- waking ---- */

/*
 * BLOCKED becomes QUEUED and goes on the run queue; HANDLER gets the flag; everything else needs no
 * wake-up. Returns the state that was found.
 */
unsigned task_wake_state(struct task *t)
{
	unsigned old = atomic_load(&t->state);

	for (;;) {
		unsigned state = old & TASK_STATE_MASK, want;

		if (state == TASK_BLOCKED)
			want = TASK_QUEUED;
		else if (state == TASK_HANDLER && !(old & TASK_WOKEN))
			want = old | TASK_WOKEN;
		else
			return state;
		if (atomic_compare_exchange_weak(&t->state, &old, want)) {
			if (state == TASK_BLOCKED)
				workers_queue(t);
			return state;
		}
	}
}

void task_wake(struct task *t)
{
	task_wake_state(t);
}

void task_notify(struct task *t)
{
	if (task_wake_state(t) == TASK_GUEST && t->pt)
		platform_kick(t->pt);
}

int task_add_memop(struct task *t, const struct memop *op)
{
	if (!t->memops)
		t->memops = xcalloc(PLATFORM_MEMOPS_MAX, sizeof(*t->memops));
	if (t->reply.memop_count == PLATFORM_MEMOPS_MAX)
		return -ENOMEM;
	t->memops[t->reply.memop_count++] = *op;
	t->reply.memops = t->memops;
	return 0;
}

struct mm *task_mm_get(struct task *t)
{
	struct mm *mm;

	mutex_lock(&t->kernel->tasks_lock);
	mm = t->mm ? mm_get(t->mm) : NULL;
	mutex_unlock(&t->kernel->tasks_lock);
	return mm;
}

bool task_shares_fs(struct task *t)
{
	struct task *other;
	bool shared = false;
	int64_t tid;

	mutex_lock(&t->kernel->tasks_lock);
	idmap_for_each (&t->kernel->tids, tid, other)
		shared |= other->fs == t->fs && other->tg != t->tg;
	mutex_unlock(&t->kernel->tasks_lock);
	return shared;
}
