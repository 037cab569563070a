/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals: sending, and who must look.
 *
 * A signal is queued with the thread or with the process. A thread has something to look at when
 * its `sigpending` is set; it is set by the sender for one thread that can take the signal, and is
 * computed anew (recalc) by the thread itself whenever it looked or changed its mask. It may be set
 * without reason; it must never be clear with one: a deliverable signal of the thread's own, a
 * deliverable one of the process's that was given to this thread, or a group stop.
 *
 * Who takes a process's signal: the thread group leader if it doesn't block it, else any other
 * thread that doesn't; if all block it, it stays queued, and the thread that unblocks it finds it
 * (signal_set_blocked). A thread that blocks a signal which it was chosen for, or exits, hands it
 * on (retarget).
 *
 * A signal that kills by default does so when it is sent: the group is marked as exiting and every
 * thread exits at its next look. Signals that dump core in Linux wait for a thread to take them
 * there; nothing is dumped here, so they are treated alike.
 *
 * SIGKILL also ends the host process if a thread is in guest code, for that thread might never come
 * back by itself. A process that has robust futex lists gets KILL_GRACE_NS for it, because they can
 * only be walked while its memory is there.
 *
 * The first process gets no signal that it has no handler for, unless it is SIGKILL or SIGSTOP from
 * the kernel (info NULL) or from outside, or its own fault (signal_force). That is what a
 * container's first process gets on Linux from inside and outside: SIGTERM without a handler is
 * dropped.
 *
 * Locks: kernel.tasks_lock [T] keeps thread lists, parents and groups in place; siglock [s] guards
 * queues, masks and actions. All sending takes both, in this order; looking takes siglock alone.
 */
#include "sentry/kernel/signal.h"

#include <errno.h>
#include <string.h>

#include "abi/caps.h"
#include "abi/poll.h"
#include "abi/resource.h"
#include "abi/sched.h"
#include "base/log.h"
#include "sentry/kernel/cputime.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/kernel/own.h"
#include "sentry/kernel/pgrp.h"
#include "sentry/kernel/signal_internal.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_block.h"

#define KILL_GRACE_NS 100000000ull /* 100 ms */

static bool task_is_dead(struct task *t)
{
	return (atomic_load(&t->state) & TASK_STATE_MASK) == TASK_DEAD;
}

/* ---- what a thread has to look at ---- */

static uint64_t deliverable_locked(struct task *t)
{
	return (t->pending.set | t->tg->pending.set) & ~own_blocked_locked(t);
}

void signal_recalc_locked(struct task *t)
{
	own_ask_locked(t, (t->pending.set | t->tg->pending.set) != 0);
	atomic_store(&t->sigpending, deliverable_locked(t) != 0 || t->tg->stop_state == TG_STOPPED);
}

bool signal_pending(struct task *t)
{
	return atomic_load(&t->sigpending) || signal_fatal_pending(t);
}

bool signal_fatal_pending(struct task *t)
{
	return atomic_load(&t->exit_pending) || atomic_load(&t->host_dead);
}

static bool ignored_by_action(const struct thread_group *tg, int signo)
{
	uint64_t handler = tg->actions[signo - 1].handler;

	return handler == ABI_SIG_IGN ||
	       (handler == ABI_SIG_DFL && (SIGSET_IGNORE & SIGBIT(signo)));
}

static bool only_kernel_may_handle(int signo)
{
	return signo == ABI_SIGKILL || signo == ABI_SIGSTOP;
}

bool signal_protects_init_locked(const struct thread_group *tg)
{
	return tg == tg->kernel->init && !tg->killable;
}

/* Linux kernel/signal.c, sig_ignored: t is the thread it is sent to, or the leader. */
static bool is_ignored_locked(struct task *t, int signo, bool force)
{
	struct thread_group *tg = t->tg;

	if ((own_blocked_locked(t) & SIGBIT(signo)) && !only_kernel_may_handle(signo))
		return false;
	if (signal_protects_init_locked(tg) && tg->actions[signo - 1].handler == ABI_SIG_DFL &&
	    !(force && only_kernel_may_handle(signo)))
		return true;
	return ignored_by_action(tg, signo);
}

/* ---- ending a process ---- */

/* The first process before it was started: no event will ever wake it. */
static bool queue_unstarted_locked(struct task *t)
{
	unsigned expected = TASK_NEW;

	if (t->pt || !atomic_compare_exchange_strong(&t->state, &expected, TASK_QUEUED))
		return false;
	workers_queue(t);
	return true;
}

static void exit_group_both_locked(struct thread_group *tg, int32_t wait_status)
{
	struct task *t;

	if (tg->exiting || tg->zombie)
		return;
	tg->exiting = true;
	tg->exit_code = wait_status;
	list_for_each (t, &tg->tasks, tg_link) {
		atomic_store(&t->exit_pending, true);
		if (!task_is_dead(t) && !queue_unstarted_locked(t))
			task_notify(t);
	}
}

void signal_exit_group_locked(struct thread_group *tg, int32_t wait_status)
{
	assert_held(&tg->kernel->tasks_lock);
	mutex_lock(&tg->siglock);
	exit_group_both_locked(tg, wait_status);
	mutex_unlock(&tg->siglock);
}

void signal_exit_group(struct thread_group *tg, int32_t wait_status)
{
	mutex_lock(&tg->kernel->tasks_lock);
	signal_exit_group_locked(tg, wait_status);
	mutex_unlock(&tg->kernel->tasks_lock);
}

/* Ends the host process if a thread runs guest code: it might not listen. */
static void kill_host_both_locked(struct thread_group *tg, bool at_once)
{
	struct task *t, *in_guest = NULL;
	bool robust = false;

	list_for_each (t, &tg->tasks, tg_link) {
		if (t->pt && (atomic_load(&t->state) & TASK_STATE_MASK) == TASK_GUEST)
			in_guest = t;
		robust |= own_robust_list_locked(t) != 0;
	}
	if (!in_guest)
		return;
	if (robust && !at_once)
		ktimer_arm(tg->kernel, &tg->kill_timer, time_monotonic_ns() + KILL_GRACE_NS);
	else
		platform_kill(in_guest->pt);
}

static void kill_grace_over(struct ktimer *timer)
{
	struct thread_group *tg = container_of(timer, struct thread_group, kill_timer);

	mutex_lock(&tg->kernel->tasks_lock);
	mutex_lock(&tg->siglock);
	kill_host_both_locked(tg, true);
	mutex_unlock(&tg->siglock);
	mutex_unlock(&tg->kernel->tasks_lock);
}

void signal_group_init(struct thread_group *tg)
{
	sigqueue_init(&tg->pending);
	ktimer_init(&tg->kill_timer, kill_grace_over);
}

void signal_group_gone(struct thread_group *tg)
{
	ktimer_cancel(tg->kernel, &tg->kill_timer);
}

static bool kills_by_default_locked(const struct thread_group *tg, int signo)
{
	if (tg->actions[signo - 1].handler != ABI_SIG_DFL && signo != ABI_SIGKILL)
		return false;
	if ((SIGSET_IGNORE | SIGSET_STOP) & SIGBIT(signo))
		return false;
	return !signal_protects_init_locked(tg) || signo == ABI_SIGKILL;
}

/* ---- choosing who takes it ---- */

static bool wants_locked(struct task *t, int signo)
{
	if (task_is_dead(t) || atomic_load(&t->exit_pending))
		return false;
	if (signo == ABI_SIGKILL)
		return true;
	/* Stopped threads take nothing before SIGCONT (Linux kernel/signal.c, wants_signal). */
	return !t->stopped && !(own_blocked_locked(t) & ~t->sigwait & SIGBIT(signo));
}

static struct task *choose_locked(struct thread_group *tg, int signo)
{
	struct task *t, *busy = NULL;

	list_for_each (t, &tg->tasks, tg_link) {
		if (!wants_locked(t, signo))
			continue;
		if (!atomic_load(&t->sigpending))
			return t;
		if (!busy)
			busy = t;
	}
	return busy;
}

static void give_locked(struct task *t, int signo)
{
	if (t->sigwait & t->blocked & SIGBIT(signo)) {
		task_wake(t);
		return;
	}
	atomic_store(&t->sigpending, true);
	task_notify(t);
}

/* t: the thread it was sent to; NULL: any. */
static void complete_locked(struct thread_group *tg, struct task *t, int signo)
{
	if (!t)
		t = choose_locked(tg, signo);
	else if (!wants_locked(t, signo))
		t = NULL;
	if (!t)
		return;
	if (kills_by_default_locked(tg, signo) && !(t->sigwait & SIGBIT(signo))) {
		exit_group_both_locked(tg, signo);
		if (signo == ABI_SIGKILL)
			kill_host_both_locked(tg, false);
		return;
	}
	give_locked(t, signo);
}

static void retarget_locked(struct thread_group *tg, const struct task *except, uint64_t set)
{
	struct task *t;

	set &= tg->pending.set;
	list_for_each (t, &tg->tasks, tg_link) {
		uint64_t take = set & ~own_blocked_locked(t);

		if (!set)
			return;
		if (t == except || !take || task_is_dead(t))
			continue;
		set &= ~take;
		atomic_store(&t->sigpending, true);
		task_notify(t);
	}
}

/* ---- stop and continue, at the moment of sending ---- */

static void drop_everywhere_locked(struct thread_group *tg, uint64_t mask)
{
	struct task *t;

	tg->queued_count -= sigqueue_drop(&tg->pending, mask);
	list_for_each (t, &tg->tasks, tg_link)
		tg->queued_count -= sigqueue_drop(&t->pending, mask);
}

/* Returns whether the parent is to hear of it. */
static bool continue_locked(struct thread_group *tg)
{
	struct task *t;
	bool was_stopped = tg->stop_state == TG_STOPPED && tg->stop_count == 0;

	drop_everywhere_locked(tg, SIGSET_STOP);
	if (tg->stop_state != TG_STOPPED)
		return false;
	tg->stop_state = TG_RUNNING;
	list_for_each (t, &tg->tasks, tg_link) {
		t->stopped = false;
		signal_recalc_locked(t);
		if (!task_is_dead(t))
			task_wake(t);
	}
	return was_stopped;
}

/* ---- sending ---- */

static struct task *first_living(struct thread_group *tg)
{
	struct task *t;

	list_for_each (t, &tg->tasks, tg_link)
		if (!task_is_dead(t))
			return t;
	return NULL;
}

/* What sending does before anything is queued; false: the signal is dropped. */
static bool prepare_locked(struct thread_group *tg, struct task *t, int signo, bool force,
			   bool *ret_continued)
{
	struct task *judge = t ? t : first_living(tg);

	if (tg->exiting || tg->zombie || !judge) {
		if (signo == ABI_SIGKILL && !tg->zombie)
			kill_host_both_locked(tg, false);
		return false;
	}
	if (SIGSET_STOP & SIGBIT(signo))
		drop_everywhere_locked(tg, SIGBIT(ABI_SIGCONT));
	else if (signo == ABI_SIGCONT)
		*ret_continued = continue_locked(tg);
	return !is_ignored_locked(judge, signo, force);
}

static int queue_locked(struct thread_group *tg, struct task *t, int signo,
			const struct abi_siginfo *info)
{
	struct sigqueue *q = t ? &t->pending : &tg->pending;
	uint64_t limit = tg->rlimits[ABI_RLIMIT_SIGPENDING].cur;
	bool room = tg->queued_count < limit;
	bool again = signo < ABI_SIGRTMIN && (q->set & SIGBIT(signo));

	/* Only who queued it on purpose hears that there was no room (sigqueue(3)). */
	if (!room && signo >= ABI_SIGRTMIN && info && info->code < 0)
		return -EAGAIN;
	sigqueue_add(q, signo, info, room);
	if (room && !again)
		tg->queued_count++;
	return 0;
}

/* Before anybody looks who blocks what. t: the thread it was sent to; NULL: any. */
static void ask_locked(struct thread_group *tg, struct task *t)
{
	if (t) {
		own_ask_locked(t, true);
		return;
	}
	list_for_each (t, &tg->tasks, tg_link)
		own_ask_locked(t, true);
}

static void continued_notify_locked(struct thread_group *tg)
{
	tg->wait_stopped = false;
	tg->wait_continued = true;
	tg->stop_reported = false;
	signal_notify_parent_locked(tg, ABI_CLD_CONTINUED, ABI_SIGCONT);
}

/*
 * tasks_lock held. entry or info: what is queued. force: it comes from the kernel or from outside.
 * That is never told by info, which guests can make themselves (rt_sigqueueinfo(2)).
 */
static int send_locked(struct thread_group *tg, struct task *t, int signo,
		       const struct abi_siginfo *info, struct siginfo_entry *entry, bool force)
{
	bool continued = false;
	int err = 0;

	assert_held(&tg->kernel->tasks_lock);
	mutex_lock(&tg->siglock);
	if (prepare_locked(tg, t, signo, force, &continued)) {
		if (entry)
			sigqueue_add_entry(t ? &t->pending : &tg->pending, entry);
		else
			err = queue_locked(tg, t, signo, info);
		if (!err) {
			ask_locked(tg, t);
			waitqueue_wake(&tg->signal_wait, ABI_POLLIN);
			complete_locked(tg, t, signo);
		}
	}
	mutex_unlock(&tg->siglock);
	if (continued)
		continued_notify_locked(tg);
	return err;
}

int signal_send_group_locked(struct thread_group *tg, int signo, const struct abi_siginfo *info)
{
	return send_locked(tg, NULL, signo, info, NULL, !info);
}

int signal_send_group(struct thread_group *tg, int signo, const struct abi_siginfo *info)
{
	int err;

	mutex_lock(&tg->kernel->tasks_lock);
	err = send_locked(tg, NULL, signo, info, NULL, !info);
	mutex_unlock(&tg->kernel->tasks_lock);
	return err;
}

int signal_send_outside(struct thread_group *tg, int signo, const struct abi_siginfo *info)
{
	int err;

	mutex_lock(&tg->kernel->tasks_lock);
	err = send_locked(tg, NULL, signo, info, NULL, true);
	mutex_unlock(&tg->kernel->tasks_lock);
	return err;
}

int signal_send_task(struct task *t, int signo, const struct abi_siginfo *info)
{
	int err = 0;

	mutex_lock(&t->kernel->tasks_lock);
	if (!task_is_dead(t))
		err = send_locked(t->tg, t, signo, info, NULL, !info);
	mutex_unlock(&t->kernel->tasks_lock);
	return err;
}

int signal_send_pgrp_locked(struct process_group *pg, int signo, const struct abi_siginfo *info)
{
	struct thread_group *tg;
	int err = 0;

	list_for_each (tg, &pg->members, pgrp_link) {
		int e = send_locked(tg, NULL, signo, info, NULL, !info);

		if (e && !err)
			err = e;
	}
	return err;
}

bool signal_in_vain_locked(const struct thread_group *tg, int signo)
{
	return (tg->pending.set & SIGBIT(signo)) || ignored_by_action(tg, signo);
}

bool signal_send_entry(struct thread_group *tg, struct task *t, struct siginfo_entry *entry)
{
	bool queued = false;

	mutex_lock(&tg->kernel->tasks_lock);
	mutex_lock(&tg->siglock);
	queued = list_linked(&entry->link);
	mutex_unlock(&tg->siglock);
	if (!queued && !(t && task_is_dead(t)))
		send_locked(tg, t, entry->info.signo, &entry->info, entry, false);
	mutex_unlock(&tg->kernel->tasks_lock);
	return !queued;
}

void signal_force(struct task *t, int signo, const struct abi_siginfo *info)
{
	struct thread_group *tg = t->tg;
	struct abi_sigaction *action = &tg->actions[signo - 1];

	mutex_lock(&tg->kernel->tasks_lock);
	mutex_lock(&tg->siglock);
	if ((t->blocked & SIGBIT(signo)) || action->handler == ABI_SIG_IGN) {
		action->handler = ABI_SIG_DFL;
		t->blocked &= ~SIGBIT(signo);
	}
	if (action->handler == ABI_SIG_DFL)
		tg->killable = true;
	mutex_unlock(&tg->siglock);
	send_locked(tg, t, signo, info, NULL, !info);
	mutex_unlock(&tg->kernel->tasks_lock);
}

int signal_send_all(struct kernel *k, int signo, const struct abi_siginfo *info)
{
	int err = -ESRCH;
	struct task *t;
	int64_t tid;

	mutex_lock(&k->tasks_lock);
	idmap_for_each (&k->tids, tid, t)
		if (t->tg->tgid == tid)
			err = send_locked(t->tg, NULL, signo, info, NULL, true);
	mutex_unlock(&k->tasks_lock);
	return err;
}

void signal_kill_all(struct kernel *k)
{
	struct task *t;
	int64_t tid;

	mutex_lock(&k->tasks_lock);
	idmap_for_each (&k->tids, tid, t) {
		struct thread_group *tg = t->tg;

		mutex_lock(&tg->siglock);
		exit_group_both_locked(tg, ABI_SIGKILL);
		kill_host_both_locked(tg, true);
		mutex_unlock(&tg->siglock);
	}
	mutex_unlock(&k->tasks_lock);
}

static int may_send_locked(struct task *from, struct thread_group *to, int signo)
{
	const struct cred *me = from->cred, *other;
	struct thread_group *mine = from->tg;

	if (mine == to || cred_capable(me, ABI_CAP_KILL))
		return 0;
	other = to->leader ? to->leader->cred : NULL; /* NULL: it has been reaped meanwhile */
	if (!other)
		return -ESRCH;
	if (me->euid == other->suid || me->euid == other->uid || me->uid == other->suid ||
	    me->uid == other->uid)
		return 0;
	return signo == ABI_SIGCONT && mine->pgrp && to->pgrp &&
		       mine->pgrp->session == to->pgrp->session
		   ? 0
		   : -EPERM;
}

int signal_may_send(struct task *from, struct thread_group *to, int signo)
{
	int err;

	mutex_lock(&from->kernel->tasks_lock);
	err = may_send_locked(from, to, signo);
	mutex_unlock(&from->kernel->tasks_lock);
	return err;
}

/* What kill(2) makes of the results of several: 0 if one could be signalled. */
static void send_checked_locked(struct task *from, struct thread_group *to, int signo,
				const struct abi_siginfo *info, int *ret)
{
	int err = may_send_locked(from, to, signo);

	if (!err && signo)
		err = send_locked(to, NULL, signo, info, NULL, false);
	if (!err || *ret == -ESRCH)
		*ret = err;
}

/*
 * All at once: whoever forks meanwhile has done so before, and the child is among them, or has the
 * signal pending by then (fork.c, link_child).
 */
int signal_send_many(struct task *from, int32_t pgid, int signo, const struct abi_siginfo *info)
{
	struct kernel *k = from->kernel;
	struct process_group *pg;
	struct thread_group *tg;
	struct task *t;
	int64_t id;
	int ret = -ESRCH;

	mutex_lock(&k->tasks_lock);
	pg = pgrp_find_locked(k, pgid);
	if (pg)
		list_for_each (tg, &pg->members, pgrp_link)
			send_checked_locked(from, tg, signo, info, &ret);
	if (!pgid)
		idmap_for_each (&k->tids, id, t)
			if (t->tg->leader == t && t->tg != k->init && t->tg != from->tg)
				send_checked_locked(from, t->tg, signo, info, &ret);
	mutex_unlock(&k->tasks_lock);
	return ret;
}

/* ---- masks, and taking signals without delivery ---- */

void signal_hand_on(struct task *t, uint64_t set)
{
	struct thread_group *tg = t->tg;

	mutex_lock(&tg->kernel->tasks_lock);
	mutex_lock(&tg->siglock);
	retarget_locked(tg, t, set);
	mutex_unlock(&tg->siglock);
	mutex_unlock(&tg->kernel->tasks_lock);
}

void signal_set_blocked(struct task *t, uint64_t mask)
{
	struct thread_group *tg = t->tg;
	uint64_t hand_on;

	mask &= ~ABI_SIG_UNBLOCKABLE;
	if (mask == t->blocked && !atomic_load(&t->own_asked))
		return;
	mutex_lock(&tg->siglock);
	/* A mask that the thread took back may have been seen by a sender (own.h). */
	hand_on = tg->pending.set & mask & (atomic_load(&t->own_asked) ? ~0ull : ~t->blocked);
	t->blocked = mask;
	signal_recalc_locked(t);
	mutex_unlock(&tg->siglock);
	if (hand_on)
		signal_hand_on(t, hand_on);
}

void signal_set_temporary_mask(struct task *t, uint64_t mask)
{
	if (!t->restore_blocked) {
		t->saved_blocked = t->blocked;
		t->restore_blocked = true;
	}
	signal_set_blocked(t, mask);
}

uint64_t signal_pending_set(struct task *t)
{
	uint64_t set;

	mutex_lock(&t->tg->siglock);
	set = t->pending.set | t->tg->pending.set;
	mutex_unlock(&t->tg->siglock);
	return set;
}

int signal_take_locked(struct task *t, uint64_t wanted, struct abi_siginfo *ret_info)
{
	bool freed;
	int signo = sigqueue_take(&t->pending, wanted, ret_info, &freed);

	if (!signo)
		signo = sigqueue_take(&t->tg->pending, wanted, ret_info, &freed);
	if (freed)
		t->tg->queued_count--;
	return signo;
}

int signal_take(struct task *t, uint64_t wanted, struct abi_siginfo *ret_info)
{
	int signo;

	mutex_lock(&t->tg->siglock);
	signo = signal_take_locked(t, wanted & ~ABI_SIG_UNBLOCKABLE, ret_info);
	signal_recalc_locked(t);
	mutex_unlock(&t->tg->siglock);
	return signo;
}

void signal_flush_ignored_locked(struct thread_group *tg, int signo)
{
	if (ignored_by_action(tg, signo))
		drop_everywhere_locked(tg, SIGBIT(signo));
}

/* ---- the parent ---- */

static int32_t ticks(uint64_t ns)
{
	return (int32_t)(ns / (1000000000ull / ABI_USER_HZ));
}

static void fill_child_info(struct thread_group *tg, int signo, int code, int status,
			    struct abi_siginfo *info)
{
	struct cputime used;

	cputime_of_process(tg, &used);
	memset(info, 0, sizeof(*info));
	info->signo = signo;
	info->code = code;
	info->chld.pid = tg->tgid;
	info->chld.uid = tg->leader->cred->uid;
	info->chld.status = status;
	info->chld.utime = ticks(used.utime);
	info->chld.stime = ticks(used.stime);
}

void signal_notify_parent_locked(struct thread_group *tg, int cld_code, int status)
{
	struct thread_group *parent = tg->parent;
	struct abi_siginfo info;
	bool stop_news = cld_code == ABI_CLD_STOPPED || cld_code == ABI_CLD_CONTINUED;
	int signo = stop_news ? ABI_SIGCHLD : tg->exit_signal;
	const struct abi_sigaction *action;
	bool silent;

	assert_held(&tg->kernel->tasks_lock);
	if (!parent)
		return;
	mutex_lock(&parent->siglock);
	action = &parent->actions[ABI_SIGCHLD - 1];
	silent =
	    stop_news && (action->handler == ABI_SIG_IGN || (action->flags & ABI_SA_NOCLDSTOP));
	mutex_unlock(&parent->siglock);
	if (signo > 0 && signo <= ABI_NSIG && !silent) {
		fill_child_info(tg, signo, cld_code, status, &info);
		send_locked(parent, NULL, signo, &info, NULL, false);
	}
	waitqueue_wake(&parent->child_wait, ABI_POLLIN);
}

/* ---- threads that come and go ---- */

void signal_thread_gone_locked(struct task *t)
{
	struct thread_group *tg = t->tg;
	bool stop_complete = false;

	mutex_lock(&tg->siglock);
	if (tg->stop_state == TG_STOPPED && !t->stopped) {
		t->stopped = true;
		stop_complete = --tg->stop_count == 0 && !tg->exiting;
	}
	tg->queued_count -= sigqueue_drop(&t->pending, ~0ull);
	if (!tg->exiting)
		retarget_locked(tg, t, tg->pending.set);
	mutex_unlock(&tg->siglock);
	if (stop_complete)
		signal_stop_complete_locked(tg);
}

void signal_thread_added_locked(struct task *t)
{
	struct thread_group *tg = t->tg;

	mutex_lock(&tg->siglock);
	if (tg->stop_state == TG_STOPPED) {
		tg->stop_count++;
		atomic_store(&t->sigpending, true);
	}
	mutex_unlock(&tg->siglock);
}

void signal_reset_for_exec(struct task *t)
{
	struct thread_group *tg = t->tg;

	mutex_lock(&tg->siglock);
	for (int i = 0; i < ABI_NSIG; i++) {
		struct abi_sigaction *action = &tg->actions[i];

		if (action->handler != ABI_SIG_IGN)
			action->handler = ABI_SIG_DFL;
		action->flags = 0;
		action->mask = 0;
		action->restorer = 0;
	}
	signal_recalc_locked(t);
	mutex_unlock(&tg->siglock);
	memset(&t->altstack, 0, sizeof(t->altstack));
	t->altstack.flags = ABI_SS_DISABLE;
}
