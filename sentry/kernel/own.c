/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/kernel/own.h"

#include "abi/signal.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/process.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/signal_internal.h"
#include "sentry/kernel/task.h"

static bool is_told(const struct task *t)
{
	return t->pt && t->own_pt == t->pt;
}

/* The thread runs, so what it has is newer than what we know. Under siglock. */
static bool is_running(struct task *t)
{
	return t->kernel->own_state && is_told(t) &&
	       (atomic_load(&t->state) & TASK_STATE_MASK) == TASK_GUEST;
}

void own_arrived(struct task *t)
{
	struct platform_own *told = &t->own_told, now;
	uint64_t hand_on;

	if (!t->kernel->own_state || !is_told(t))
		return;
	platform_own_get(t->pt, &now);
	if (now.robust_list != told->robust_list)
		t->robust_list = told->robust_list = now.robust_list;
	if (now.clear_tid != told->clear_tid)
		t->clear_child_tid = told->clear_tid = now.clear_tid;
	if (now.blocked == told->blocked)
		return;
	told->blocked = now.blocked;
	now.blocked &= ~ABI_SIG_UNBLOCKABLE;
	mutex_lock(&t->tg->siglock);
	hand_on = t->tg->pending.set & now.blocked;
	t->blocked = now.blocked;
	signal_recalc_locked(t);
	mutex_unlock(&t->tg->siglock);
	if (hand_on)
		signal_hand_on(t, hand_on);
}

void own_publish(struct task *t)
{
	const struct platform_own *told = &t->own_told;
	struct platform_own now = {
	    .blocked = t->blocked,
	    .robust_list = t->robust_list,
	    .clear_tid = t->clear_child_tid,
	    .altstack_sp = t->altstack.sp,
	    .altstack_size = t->altstack.size,
	    .altstack_flags = t->altstack.flags,
	};

	if (!t->kernel->own_state ||
	    (is_told(t) && now.blocked == told->blocked && now.robust_list == told->robust_list &&
	     now.clear_tid == told->clear_tid && now.altstack_sp == told->altstack_sp &&
	     now.altstack_size == told->altstack_size &&
	     now.altstack_flags == told->altstack_flags))
		return;
	mutex_lock(&t->tg->siglock);
	t->own_told = now;
	platform_own_set(t->pt, &now);
	if (!is_told(t)) {
		t->own_pt = t->pt;
		atomic_store(&t->own_asked, false);
		platform_own_ask(t->pt, false);
		platform_own_ask_memory(t->pt, atomic_load(&t->kernel->memory_locked));
		signal_recalc_locked(t);
	}
	mutex_unlock(&t->tg->siglock);
}

uint64_t own_blocked_locked(struct task *t)
{
	struct platform_own now;

	if (!is_running(t))
		return t->blocked;
	platform_own_get(t->pt, &now);
	return now.blocked & ~ABI_SIG_UNBLOCKABLE;
}

uint64_t own_robust_list_locked(struct task *t)
{
	struct platform_own now;

	if (!is_running(t))
		return t->robust_list;
	platform_own_get(t->pt, &now);
	return now.robust_list;
}

void own_ask_locked(struct task *t, bool ask)
{
	if (!t->kernel->own_state || !is_told(t) || atomic_load(&t->own_asked) == ask)
		return;
	atomic_store(&t->own_asked, ask);
	platform_own_ask(t->pt, ask);
}

void own_memory_locked(struct kernel *k)
{
	struct task *t;
	int64_t tid;

	if (!k->own_state || atomic_load(&k->memory_locked))
		return;
	mutex_lock(&k->tasks_lock);
	atomic_store(&k->memory_locked, true); /* who is told later finds this */
	idmap_for_each (&k->tids, tid, t) {
		mutex_lock(&t->tg->siglock);
		if (is_told(t))
			platform_own_ask_memory(t->pt, true);
		mutex_unlock(&t->tg->siglock);
	}
	mutex_unlock(&k->tasks_lock);
}
