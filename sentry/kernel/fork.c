/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making tasks.
 *
 * The child is complete in the sentry before the host knows of it: it has its id, is in its group
 * and in the tree, and is in state NEW. The parent's reply orders the clone; the child's first
 * doorbell is PEV_STARTED, and task_started gives it its registers. So a child can be sent signals,
 * and be killed, before it exists.
 *
 *	parent				host			child
 *	task NEW, order in the reply
 *	platform_reply  ------------>	clone
 *	(goes on in guest code)			-------->	PEV_STARTED: NEW -> HANDLER
 *								reply: rax 0, stack, fs
 *
 * If the clone fails, the parent's thread reports it and clone_failed takes the child out again. If
 * the parent dies before it carried the order out, clone_abandon ends the child.
 *
 * vfork. The parent's reply asks for a report, so its handler runs again once the clone was carried
 * out, and waits until vfork_release. That wait is ended by nothing but the death of the parent.
 *
 * What may share what: threads share all. CLONE_VM without CLONE_THREAD (posix_spawn, vfork, and
 * the odd library) is a process of its own whose memory is the parent's. CLONE_SIGHAND goes only
 * with CLONE_THREAD.
 */
#include "sentry/kernel/fork.h"
#include "sentry/kernel/answers.h"

#include <errno.h>
#include <string.h>

#include "abi/caps.h"
#include "abi/resource.h"
#include "abi/sched.h"
#include "base/log.h"
#include "base/mem.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/exec.h"
#include "sentry/kernel/itimer.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/kernel/lease.h"
#include "sentry/kernel/pgrp.h"
#include "sentry/kernel/process.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_block.h"
#include "sentry/kernel/unsupported.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/usermem.h"
#include "sentry/vfs/files.h"

#define NAMESPACE_FLAGS                                                                            \
	(ABI_CLONE_NEWNS | ABI_CLONE_NEWCGROUP | ABI_CLONE_NEWUTS | ABI_CLONE_NEWIPC |             \
	 ABI_CLONE_NEWUSER | ABI_CLONE_NEWPID | ABI_CLONE_NEWNET | ABI_CLONE_NEWTIME)

/* After PID_MAX counting goes on here (RESERVED_PIDS of Linux). */
#define TID_WRAP 300

/* ---- ids ---- */

static bool tid_used_locked(const struct kernel *k, uint32_t id)
{
	return idmap_get(&k->tids, id) || idmap_get(&k->pgrps, id) || idmap_get(&k->sessions, id);
}

int32_t tid_alloc_locked(struct kernel *k)
{
	int32_t id = k->last_tid;

	assert_held(&k->tasks_lock);
	if (k->task_count >= k->task_max)
		return -EAGAIN;
	/* There are at most task_max tasks with one group and session each, so this ends soon. */
	for (int32_t tries = 0; tries < PID_MAX; tries++) {
		id = id + 1 >= PID_MAX ? TID_WRAP : id + 1;
		if (!tid_used_locked(k, (uint32_t)id)) {
			k->last_tid = id;
			return id;
		}
	}
	return -EAGAIN;
}

/* ---- flags ---- */

static int check_unsupported(struct task *t, uint64_t flags)
{
	if (flags & NAMESPACE_FLAGS) {
		if (!(flags & ABI_CLONE_NEWUSER) && !cred_capable(t->cred, ABI_CAP_SYS_ADMIN))
			return -EPERM;
		return (int)unsupported(t, EPERM, "new namespaces 0x%llx",
					(unsigned long long)(flags & NAMESPACE_FLAGS));
	}
	if (flags & ABI_CLONE_PIDFD)
		return (int)unsupported(t, EINVAL, "CLONE_PIDFD");
	if (flags & ABI_CLONE_INTO_CGROUP)
		return (int)unsupported(t, EINVAL, "CLONE_INTO_CGROUP");
	if ((flags & ABI_CLONE_SIGHAND) && !(flags & ABI_CLONE_THREAD))
		return (int)unsupported(t, EINVAL, "CLONE_SIGHAND without CLONE_THREAD");
	return 0;
}

static int check_flags(struct task *t, const struct clone_params *p)
{
	uint64_t f = p->flags;

	if ((f & ABI_CLONE_THREAD) && !(f & ABI_CLONE_SIGHAND))
		return -EINVAL;
	if ((f & ABI_CLONE_SIGHAND) && !(f & ABI_CLONE_VM))
		return -EINVAL;
	if ((f & ABI_CLONE_SIGHAND) && (f & ABI_CLONE_CLEAR_SIGHAND))
		return -EINVAL;
	if ((f & ABI_CLONE_FS) && (f & (ABI_CLONE_NEWNS | ABI_CLONE_NEWUSER)))
		return -EINVAL;
	if ((f & ABI_CLONE_THREAD) && (f & (ABI_CLONE_NEWUSER | ABI_CLONE_NEWPID)))
		return -EINVAL;
	if ((f & ABI_CLONE_PARENT) && t->tg == t->kernel->init)
		return -EINVAL;
	if ((f & ABI_CLONE_PIDFD) && (f & ABI_CLONE_DETACHED))
		return -EINVAL;
	return check_unsupported(t, f);
}

/* vfork of a process with one thread: that has nothing else to do meanwhile than to be its child.
 */
static bool can_lend(struct task *t, uint64_t flags)
{
	return (flags & ABI_CLONE_VFORK) && t->tg->live_count == 1 && platform_can_lend(t->pt);
}

static enum platform_clone clone_kind(uint64_t flags)
{
	if (flags & ABI_CLONE_THREAD)
		return PCLONE_THREAD;
	return flags & ABI_CLONE_VM ? PCLONE_VFORK : PCLONE_FORK;
}

/* ---- putting the child together ---- */

static void copy_group(struct thread_group *tg, struct thread_group *from, uint64_t flags)
{
	mutex_lock(&from->siglock);
	memcpy(tg->actions, from->actions, sizeof(tg->actions));
	memcpy(tg->rlimits, from->rlimits, sizeof(tg->rlimits));
	tg->personality = from->personality;
	mutex_unlock(&from->siglock);
	if (!(flags & ABI_CLONE_CLEAR_SIGHAND))
		return;
	for (int i = 0; i < ABI_NSIG; i++)
		if (tg->actions[i].handler != ABI_SIG_IGN)
			memset(&tg->actions[i], 0, sizeof(tg->actions[i]));
}

static void copy_task(struct task *child, struct task *t, const struct clone_params *p)
{
	memcpy(child->comm, t->comm, sizeof(child->comm));
	/* A process has its own: whoever shows the same object is the process itself. */
	child->cred = p->flags & ABI_CLONE_THREAD ? cred_get(t->cred) : cred_dup(t->cred);
	child->blocked = t->restore_blocked ? t->saved_blocked : t->blocked;
	child->timer_slack_ns = t->timer_slack_ns;
	if (!(p->flags & ABI_CLONE_VM) || (p->flags & ABI_CLONE_VFORK))
		child->altstack = t->altstack;
	if (p->flags & ABI_CLONE_CHILD_CLEARTID)
		child->clear_child_tid = p->child_tid;
	child->start = (struct task_start){
	    .regs = *platform_regs(t->pt),
	    .set_fs_base = p->flags & ABI_CLONE_SETTLS,
	    .fs_base = p->tls,
	    .set_child_tid = p->flags & ABI_CLONE_CHILD_SETTID ? p->child_tid : 0,
	};
	child->start.regs.rax = 0;
	if (p->stack)
		child->start.regs.rsp = p->stack;
	/* What the sentry stores and the host does not act on. */
	child->nice = t->nice;
	child->sched_policy = t->sched_policy;
	child->sched_priority = t->sched_priority;
	if (t->affinity) {
		child->affinity = xmalloc(AFFINITY_SIZE);
		memcpy(child->affinity, t->affinity, AFFINITY_SIZE);
	}
}

static void copy_resources(struct task *child, struct task *t, uint64_t flags)
{
	child->mm = flags & ABI_CLONE_VM ? mm_get(t->mm) : mm_dup(t->mm);
	if (!(flags & ABI_CLONE_VM))
		child->forked_from = mm_get(t->mm);
	mm_user_added(child->mm);
	if (flags & ABI_CLONE_FILES)
		leases_end(
		    t); /* who shares the table may run, and close, before we are replied to */
	child->files = flags & ABI_CLONE_FILES ? files_get(t->files) : files_dup(t->files);
	child->fs = flags & ABI_CLONE_FS ? fs_context_get(t->fs) : fs_context_dup(t->fs);
}

/* The child lives, or never will: its parent's memory needs not be as it was any more. */
static void fork_over(struct task *child)
{
	struct mm *from = child->forked_from;

	if (!from)
		return;
	child->forked_from = NULL;
	mm_fork_over(from);
	mm_put(from);
}

void task_drop_resources(struct task *t)
{
	struct files *files = t->files;
	struct fs_context *fs = t->fs;
	struct mm *mm = t->mm;

	mutex_lock(&t->kernel->tasks_lock);
	t->files = NULL;
	t->fs = NULL;
	t->mm = NULL;
	mutex_unlock(&t->kernel->tasks_lock);
	fork_over(t);
	if (files)
		files_put(files);
	if (fs)
		fs_context_put(fs);
	if (mm) {
		mm_user_removed(mm);
		mm_put(mm);
	}
}

/* The child that nobody has seen yet: its group (new or the parent's), its copies, its host side.
 */
static int make_child(struct task *t, const struct clone_params *p, struct task **ret_child)
{
	bool thread = p->flags & ABI_CLONE_THREAD;
	struct thread_group *tg = thread ? tg_get(t->tg) : tg_new(t->kernel, 0);
	struct task *child = task_new(t->kernel, tg);
	enum platform_clone kind = clone_kind(p->flags);
	int err;

	if (kind == PCLONE_VFORK && can_lend(t, p->flags)) {
		kind = PCLONE_LENT;
		atomic_store(&tg->lent, true);
	}
	task_get(child); /* the platform's, until it says dead */
	err = platform_clone_prepare(t->pt, kind, child, &child->pt);
	if (err) {
		task_put(child);
		task_put(child);
		tg_put(tg);
		return err == -ENOMEM ? err : -EAGAIN;
	}
	if (!thread) {
		copy_group(tg, t->tg, p->flags);
		tg->exit_signal = p->exit_signal;
	}
	copy_task(child, t, p);
	copy_resources(child, t, p->flags);
	tg_put(tg); /* the child has its own */
	*ret_child = child;
	return 0;
}

/* ---- into the tree, and out again ---- */

static bool nproc_exceeded_locked(struct task *t)
{
	uint64_t limit = t->tg->rlimits[ABI_RLIMIT_NPROC].cur;
	uint64_t count = 0;
	struct task *other;
	int64_t id;

	if (limit >= t->kernel->task_count || t->cred->uid == 0 ||
	    cred_capable(t->cred, ABI_CAP_SYS_RESOURCE) || cred_capable(t->cred, ABI_CAP_SYS_ADMIN))
		return false;
	idmap_for_each (&t->kernel->tids, id, other)
		count += other->cred->uid == t->cred->uid;
	return count >= limit;
}

static void link_process_locked(struct task *child, struct task *t, uint64_t flags)
{
	struct thread_group *tg = child->tg, *mine = t->tg;

	tg->tgid = child->tid;
	tg->leader = child;
	tg->parent = flags & ABI_CLONE_PARENT ? mine->parent : mine;
	if (flags & ABI_CLONE_PARENT)
		tg->exit_signal = mine->exit_signal;
	if (tg->parent)
		list_add_tail(&tg->parent->children, &tg->sibling);
	pgrp_join_locked(tg, mine->pgrp);
	tg->dumpable = mine->dumpable;
	tg->oom_score_adj = mine->oom_score_adj;
	tg->exe_path = mine->exe_path ? xstrdup(mine->exe_path) : NULL;
	tg_get(tg); /* the tree's, until it is reaped */
}

static int link_child(struct task *child, struct task *t, const struct clone_params *p)
{
	struct kernel *k = t->kernel;
	int32_t tid = -EAGAIN;

	mutex_lock(&k->tasks_lock);
	/* It has to exit; or a signal for its group came, which the child would not get. */
	if (t->tg->exiting || t->tg->exec_task || signal_pending(t))
		tid = -ERESTARTNOINTR;
	else if (!nproc_exceeded_locked(t))
		tid = tid_alloc_locked(k);
	if (tid > 0) {
		child->tid = tid;
		if (!(p->flags & ABI_CLONE_THREAD))
			link_process_locked(child, t, p->flags);
		list_add_tail(&child->tg->tasks, &child->tg_link);
		child->tg->live_count++;
		k->task_count++;
		k->task_peak = MAX(k->task_peak, k->task_count);
		idmap_set(&k->tids, (uint32_t)tid, child);
		if (p->flags & ABI_CLONE_THREAD)
			signal_thread_added_locked(child);
	}
	mutex_unlock(&k->tasks_lock);
	return tid > 0 ? 0 : tid;
}

/* Undoes what link_child did; the host never heard of the child. */
static void unlink_child(struct task *child)
{
	struct kernel *k = child->kernel;
	struct thread_group *tg = child->tg;

	mutex_lock(&k->tasks_lock);
	idmap_set(&k->tids, (uint32_t)child->tid, NULL);
	k->task_count--;
	tg->live_count--;
	signal_thread_gone_locked(child);
	list_del(&child->tg_link);
	if (tg->leader == child) {
		list_del(&tg->sibling);
		pgrp_leave_locked(tg);
		/* A wait of another thread may have no child left to wait for. */
		if (tg->parent)
			waitqueue_wake(&tg->parent->child_wait, ~0u);
	}
	mutex_unlock(&k->tasks_lock);
	if (tg->leader == child)
		tg_put(tg);
}

/* A child whose clone was not carried out: all of it goes. Two references go with it. */
static void discard_child(struct task *child)
{
	struct platform_thread *pt = child->pt;

	atomic_store(&child->state, TASK_DEAD);
	mutex_lock(&child->tg->siglock);
	child->pt = NULL;
	mutex_unlock(&child->tg->siglock);
	if (!child->tg->live_count)
		itimers_cancel(child->tg);
	task_drop_resources(child);
	if (pt)
		platform_thread_put(pt);
	task_put(child); /* the platform's */
	task_put(child); /* its life */
}

/* ---- vfork ---- */

void vfork_release(struct task *child)
{
	struct task *parent;

	mutex_lock(&child->kernel->tasks_lock);
	parent = child->vfork_parent;
	child->vfork_parent = NULL;
	if (parent) {
		parent->vfork_child = NULL;
		waitqueue_wake(&parent->vfork_done, ~0u);
	}
	mutex_unlock(&child->kernel->tasks_lock);
	if (parent)
		task_put(parent);
}

static bool vfork_child_gone(struct task *t)
{
	bool gone;

	mutex_lock(&t->kernel->tasks_lock);
	gone = !t->vfork_child;
	mutex_unlock(&t->kernel->tasks_lock);
	return gone;
}

/* The handler's runs after the clone was ordered. progress[1]: the child's tid. */
static int64_t vfork_continue(struct task *t)
{
	if (t->call.progress[0] == 1) {
		t->call.progress[0] = 2;
		if (t->report.step != PREP_DONE)
			return clone_failed(t, t->report.error);
		t->clone_tid = 0;
	}
	task_wait_add(t, &t->vfork_done, ~0u, NULL);
	if (vfork_child_gone(t))
		return (int64_t)t->call.progress[1];
	/* Not task_block: nothing but the end of this task interrupts it. */
	return signal_fatal_pending(t) ? -EINTR : SYS_BLOCKED;
}

/* The child runs when this task waits for it. */
static int64_t lend(struct task *t, struct task *child)
{
	t->clone_tid = 0;
	t->call.progress[0] = 2;
	platform_lend(child->pt);
	return vfork_continue(t);
}

static int64_t vfork_begin(struct task *t, struct task *child)
{
	mutex_lock(&t->kernel->tasks_lock);
	child->vfork_parent = task_get(t);
	t->vfork_child = child;
	mutex_unlock(&t->kernel->tasks_lock);
	t->call.progress[0] = 1;
	t->call.progress[1] = (uint64_t)child->tid;
	if (atomic_load(&child->tg->lent))
		return lend(t, child);
	return SYS_REPORT;
}

/* ---- the call ---- */

/* With the reply. A fault is not reported: the child exists (Linux kernel_clone). */
static void write_tid(struct task *t, uint64_t va, int32_t tid)
{
	struct memop op = {.type = MEMOP_WRITE,
			   .flags = MEMOP_MAY_FAIL,
			   .addr = va,
			   .size = sizeof(tid),
			   .data = &t->start.tid};

	t->start.tid = tid;
	if (va < PLATFORM_GUEST_MAX)
		task_add_memop(t, &op);
}

/* Before the child begins, which may look for it, or be over and have cleared it. */
static void write_parent_tid(struct task *t, const struct clone_params *p, struct task *child)
{
	if (!(p->flags & ABI_CLONE_PARENT_SETTID))
		return;
	if (!platform_child_is_early(child->pt))
		write_tid(t, p->parent_tid, child->tid);
	else if (p->parent_tid < PLATFORM_GUEST_MAX)
		platform_write(NULL, platform_thread_mm(t->pt), p->parent_tid, &child->tid,
			       sizeof(child->tid));
}

int64_t task_clone(struct task *t, const struct clone_params *p)
{
	struct task *child;
	int64_t ret;
	int32_t tid;
	int err;

	if (t->call.progress[0])
		return vfork_continue(t);
	err = check_flags(t, p);
	if (err)
		return err;
	/* So that a storm of signals can't be outrun by forking (Linux copy_process). */
	if (signal_pending(t))
		return -ERESTARTNOINTR;
	if (clone_kind(p->flags) == PCLONE_FORK) {
		ret = mm_ops_begin(t);
		if (ret)
			return ret;
	}
	err = make_child(t, p, &child);
	if (err) {
		if (clone_kind(p->flags) == PCLONE_FORK)
			mm_fork_over(t->mm);
		return err;
	}
	err = link_child(child, t, p);
	if (err) {
		discard_child(child);
		return err;
	}
	tid = child->tid;
	patch_task_new(child);
	if (!(p->flags & ABI_CLONE_THREAD))
		itimer_cpu_limit(child->tg, child->tg->rlimits[ABI_RLIMIT_CPU].cur);
	write_parent_tid(t, p, child);
	t->clone_tid = tid;
	if (!atomic_load(&child->tg->lent)) {
		t->reply.order = PORD_CLONE;
		t->reply.child = child->pt;
	}
	if (p->flags & ABI_CLONE_VFORK)
		return vfork_begin(t, child);
	return tid;
}

/* ---- afterwards ---- */

/* The child ordered last, if it is still unborn: a reference, and it can't be born any more. */
static struct task *take_unborn(struct task *t)
{
	struct task *child = t->clone_tid ? task_find(t->kernel, t->clone_tid) : NULL;
	unsigned expected = TASK_NEW;

	t->clone_tid = 0;
	if (child && !atomic_compare_exchange_strong(&child->state, &expected, TASK_QUEUED)) {
		task_put(child);
		child = NULL;
	}
	return child;
}

static void undo_child(struct task *child)
{
	unlink_child(child);
	vfork_release(child);
	discard_child(child);
	task_put(child);
}

int64_t clone_failed(struct task *t, int error)
{
	struct task *child;

	if (!t->clone_tid) { /* the order was a sigreturn: a bad frame */
		signal_force(t, ABI_SIGSEGV, NULL);
		return 0;
	}
	child = take_unborn(t);
	if (child)
		undo_child(child);
	return error == -ENOMEM ? error : -EAGAIN;
}

void clone_abandon(struct task *t)
{
	struct task *child = take_unborn(t);

	if (!child)
		return;
	/* With the host thread alive the order was never sent. */
	if (!atomic_load(&t->host_dead)) {
		undo_child(child);
		return;
	}
	/* The host may have made it; then it dies here. */
	if (child->tg != t->tg)
		signal_exit_group(child->tg, ABI_SIGKILL);
	atomic_store(&child->exit_pending, true);
	child->clear_child_tid = 0;
	mutex_lock(&child->tg->siglock);
	if (child->pt)
		platform_kill(child->pt);
	mutex_unlock(&child->tg->siglock);
	workers_queue(child);
	task_put(child);
}

/* A clone child's first reply. */
static int64_t child_started(struct task *t)
{
	struct task_start *s = &t->start;

	fork_over(t);
	t->reply.set_regs = true;
	t->reply.regs = s->regs;
	if (s->set_fs_base) {
		t->reply.set_fs_base = true;
		t->reply.fs_base = s->fs_base;
	}
	if (s->set_child_tid)
		write_tid(t, s->set_child_tid, t->tid);
	return SYS_NORET;
}

int64_t task_started(struct task *t)
{
	/* The one who made it holds the lock until it has set t->pt (exec.c). */
	mutex_lock(&t->tg->siglock);
	mutex_unlock(&t->tg->siglock);
	if (t->exec || !atomic_load(&t->tg->host_pid))
		atomic_store(&t->tg->host_pid, platform_host_pid(t->pt));
	answers_started(t);
	if (t->exec)
		return exec_continue(t);
	return child_started(t);
}
