/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of tasks and processes.
 *
 * A task exits in its own time (task_exit, by the worker that owns it): first what needs the
 * guest's memory (robust futexes, clear_child_tid), then it lets go of memory, files and so on, and
 * then it leaves the process under tasks_lock. The last one to leave makes the process a zombie:
 * its children go to the next reaper, orphaned stopped jobs are told, the parent hears of it. A
 * zombie keeps its leader (and so the id) until it is waited for, or until it turns out that nobody
 * will wait: then it is reaped on the spot.
 *
 *	live threads  --last one exits-->  zombie  --wait4, or the parent ignores SIGCHLD-->  gone
 *
 * The host thread ends by PORD_EXIT; that of the last thread with its host process, by
 * platform_kill. Both happen when the task's place in the sentry is given up already; the platform
 * says `dead` later, which drops the handle and the platform's reference to the task.
 *
 * When the first process ends everything else is killed; the sandbox ends when the last task is
 * gone.
 *
 * References: the id map holds one to each task (its "life"), the tree one to each process.
 */
#include "sentry/kernel/exit.h"
#include "sentry/kernel/answers.h"

#include <errno.h>
#include <string.h>

#include "abi/poll.h"
#include "abi/sched.h"
#include "base/log.h"
#include "base/timeline.h"
#include "sentry/kernel/cputime.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/exec.h"
#include "sentry/kernel/fork.h"
#include "sentry/kernel/futex.h"
#include "sentry/kernel/itimer.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/lease.h"
#include "sentry/kernel/pgrp.h"
#include "sentry/kernel/posix_timer.h"
#include "sentry/kernel/process.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/syscall.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/usermem.h"
#include "sentry/tty/tty.h"

/* ---- the task ---- */

/* Why it ends: the group's reason if there is one; its own otherwise; a host that killed it. */
static void settle_status(struct task *t)
{
	struct thread_group *tg = t->tg;
	bool killed = atomic_load(&t->host_dead);

	if (killed)
		signal_exit_group(tg, ABI_SIGKILL);
	mutex_lock(&tg->siglock);
	if (tg->exiting)
		t->exit_code = tg->exit_code;
	mutex_unlock(&tg->siglock);
}

/* The memory is still there, and others may look into it. */
static void leave_memory(struct task *t)
{
	struct thread_group *tg = t->tg;
	uint64_t clear = t->clear_child_tid;
	struct mm_usage usage;
	int32_t zero = 0;
	bool shared;

	if (!t->pt || !t->mm || atomic_load(&t->host_dead))
		return;
	/* Whether somebody is left to look: other threads that stay, or another process. */
	shared = mm_user_count(t->mm) > (tg->exiting ? tg->live_count : 1);
	mm_get_usage(t->mm, &usage);
	if (t->robust_list && (shared || usage.shared))
		futex_exit_robust(t);
	if (clear && shared && copy_to_user(t, uaddr(clear), &zero, sizeof(zero)) == 0)
		futex_wake_address(t, clear, 1);
}

/* Ends the host thread. The platform's `dead` may have come already. */
static void end_host_thread(struct task *t, bool last)
{
	struct platform_thread *pt;
	bool dead;

	mutex_lock(&t->tg->siglock);
	pt = t->pt;
	t->pt = NULL;
	dead = atomic_load(&t->host_dead);
	/* While siglock keeps `dead` from dropping the handle. */
	if (pt && !dead) {
		if (last) {
			platform_kill_soon(pt);
		} else {
			struct platform_reply r = {.order = PORD_EXIT};

			platform_reply(pt, &r);
		}
	}
	mutex_unlock(&t->tg->siglock);
	if (pt && dead)
		workers_put_thread(t->kernel, pt);
}

/* ---- the tree ---- */

void exit_reap_locked(struct thread_group *tg, struct list *dead)
{
	struct kernel *k = tg->kernel;
	struct task *leader = tg->leader;

	assert_held(&k->tasks_lock);
	check(tg->zombie);
	idmap_set(&k->tids, (uint32_t)leader->tid, NULL);
	list_del(&leader->tg_link);
	list_del(&tg->sibling);
	pgrp_leave_locked(tg);
	tg->parent = NULL;
	list_add_tail(dead, &tg->sibling);
}

void exit_drop_reaped(struct list *dead)
{
	struct thread_group *tg, *next;

	list_for_each_safe (tg, next, dead, sibling) {
		struct task *leader = tg->leader;

		list_del(&tg->sibling);
		mutex_lock(&tg->kernel->tasks_lock);
		tg->leader = NULL;
		mutex_unlock(&tg->kernel->tasks_lock);
		task_put(leader);
		tg_put(tg);
	}
}

/* Whether the parent has said that it will never wait (wait(2), "NOTES"). */
static bool parent_ignores_locked(struct thread_group *tg)
{
	struct thread_group *parent = tg->parent;
	const struct abi_sigaction *action;
	bool ignores;

	if (!parent)
		return true;
	if (tg->exit_signal != ABI_SIGCHLD)
		return false;
	mutex_lock(&parent->siglock);
	action = &parent->actions[ABI_SIGCHLD - 1];
	ignores = action->handler == ABI_SIG_IGN || (action->flags & ABI_SA_NOCLDWAIT);
	mutex_unlock(&parent->siglock);
	return ignores;
}

static void report_zombie_locked(struct thread_group *tg, struct list *dead)
{
	int status = tg->leader->exit_code;
	bool killed = status & 0x7f;
	/* Asked before the signal is sent, which may be what makes the parent change its mind. */
	bool ignored = parent_ignores_locked(tg);

	signal_notify_parent_locked(tg, killed ? ABI_CLD_KILLED : ABI_CLD_EXITED,
				    killed ? status & 0x7f : (status >> 8) & 0xff);
	waitqueue_wake(&tg->exit_wait, ABI_POLLIN);
	if (ignored)
		exit_reap_locked(tg, dead);
}

static struct thread_group *find_reaper_locked(struct thread_group *tg)
{
	struct kernel *k = tg->kernel;

	for (struct thread_group *p = tg->parent; p; p = p->parent)
		if (p->is_subreaper && !p->exiting)
			return p;
	return k->init != tg ? k->init : NULL;
}

static void send_pdeath_locked(struct thread_group *child)
{
	struct task *t;
	int signo = 0;

	list_for_each (t, &child->tasks, tg_link)
		if (t->pdeath_signal)
			signo = t->pdeath_signal;
	if (signo)
		signal_send_group_locked(child, signo, NULL);
}

static void reparent_children_locked(struct thread_group *tg, struct list *dead)
{
	struct thread_group *reaper = find_reaper_locked(tg), *child, *next;

	list_for_each_safe (child, next, &tg->children, sibling) {
		list_del(&child->sibling);
		child->parent = reaper;
		answers_group_changed_locked(child);
		if (reaper)
			list_add_tail(&reaper->children, &child->sibling);
		child->exit_signal = ABI_SIGCHLD;
		if (child->zombie) {
			report_zombie_locked(child, dead);
			continue;
		}
		send_pdeath_locked(child);
		pgrp_check_orphaned_locked(child, tg);
	}
}

static void kill_others_locked(struct kernel *k)
{
	struct task *t;
	int64_t tid;

	idmap_for_each (&k->tids, tid, t)
		if (!t->tg->zombie)
			signal_send_group_locked(t->tg, ABI_SIGKILL, NULL);
}

static void process_ended_locked(struct thread_group *tg, struct list *dead)
{
	struct kernel *k = tg->kernel;
	struct thread_group *parent = tg->parent;

	tg->zombie = true;
	if (tg->exiting)
		tg->leader->exit_code = tg->exit_code;
	tg->exit_code = tg->leader->exit_code;
	if (tg == k->init) {
		k->init = NULL;
		k->init_status = tg->leader->exit_code;
		kill_others_locked(k);
	}
	reparent_children_locked(tg, dead);
	pgrp_check_orphaned_locked(tg, parent);
	report_zombie_locked(tg, dead);
}

/* Takes the task out of its process. Returns whether its life reference is to be dropped. */
static bool leave_process(struct task *t, struct list *dead, bool *ret_sandbox_over)
{
	struct kernel *k = t->kernel;
	struct thread_group *tg = t->tg;
	bool is_leader;

	mutex_lock(&k->tasks_lock);
	is_leader = tg->leader == t;
	signal_thread_gone_locked(t);
	atomic_store(&t->state, TASK_DEAD);
	k->task_count--;
	tg->live_count--;
	tg->exit_begun--;
	if (!is_leader) {
		idmap_set(&k->tids, (uint32_t)t->tid, NULL);
		list_del(&t->tg_link);
	}
	if (tg->live_count == 0)
		process_ended_locked(tg, dead);
	else if (tg->exec_task)
		waitqueue_wake(&tg->exit_wait, ~0u);
	*ret_sandbox_over = k->task_count == 0;
	mutex_unlock(&k->tasks_lock);
	return !is_leader;
}

/* ---- all of it ---- */

/* What only the last thread does, while the process is still in its session. */
static void last_thread_leaves(struct task *t)
{
	struct thread_group *tg = t->tg;

	cputime_keep(t);
	signal_group_gone(tg);
	itimers_cancel(tg);
	posix_timers_delete_all(tg);
	if (tg->pgrp && tg->pgrp->session->sid == tg->tgid)
		tty_leader_exit(t);
}

/* Whether t is the last one: decided once, so that exactly one thread of the process is. */
static bool begin_exit(struct task *t)
{
	bool last;

	mutex_lock(&t->kernel->tasks_lock);
	last = ++t->tg->exit_begun == t->tg->live_count;
	mutex_unlock(&t->kernel->tasks_lock);
	return last;
}

void task_exit(struct task *t)
{
	struct kernel *k = t->kernel;
	bool last, drop_life, sandbox_over;
	struct list dead;

	list_init(&dead);
	leases_forget(t);
	clone_abandon(t);
	settle_status(t);
	if (k->trace && k->trace->gone)
		k->trace->gone(t, t->exit_code);
	leave_memory(t);
	exec_abandon(t);
	last = begin_exit(t);
	if (last)
		last_thread_leaves(t);
	vfork_release(t);
	task_drop_resources(t);
	end_host_thread(t, last);
	drop_life = leave_process(t, &dead, &sandbox_over);
	exit_drop_reaped(&dead);
	if (drop_life)
		task_put(t);
	if (sandbox_over)
		timeline_mark("the last process has ended");
	if (sandbox_over)
		kernel_exit(k, k->init_status);
}
