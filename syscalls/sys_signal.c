/* SPDX-License-Identifier: Apache-2.0 */
/* Signals: actions, masks, sending, waiting, and the return from handlers (signal(7)). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"
#include "abi/signal.h"
#include "abi/time.h"
#include "base/mem.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pgrp.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_block.h"
#include "sentry/mm/usermem.h"
#include "syscalls/syscalls.h"
#include "syscalls/timeargs.h"

static bool valid_signal(int signo)
{
	return signo >= 1 && signo <= ABI_NSIG;
}

/* ---- actions ---- */

static void set_action(struct task *t, int signo, const struct abi_sigaction *action)
{
	struct thread_group *tg = t->tg;

	mutex_lock(&t->kernel->tasks_lock);
	mutex_lock(&tg->siglock);
	tg->actions[signo - 1] = *action;
	tg->actions[signo - 1].mask &= ~ABI_SIG_UNBLOCKABLE;
	signal_flush_ignored_locked(tg, signo);
	mutex_unlock(&tg->siglock);
	mutex_unlock(&t->kernel->tasks_lock);
}

int64_t sys_rt_sigaction(struct task *t, const struct sysargs *a)
{
	int signo = abi_int(a->arg[0]);
	uaddr_t new_ptr = uaddr(a->arg[1]), old_ptr = uaddr(a->arg[2]);
	struct abi_sigaction action, old;

	if (a->arg[3] != ABI_SIGSET_SIZE || !valid_signal(signo))
		return -EINVAL;
	if (!uaddr_null(new_ptr)) {
		if (copy_from_user(t, &action, new_ptr, sizeof(action)))
			return -EFAULT;
		if (signo == ABI_SIGKILL || signo == ABI_SIGSTOP)
			return -EINVAL;
	}
	mutex_lock(&t->tg->siglock);
	old = t->tg->actions[signo - 1];
	mutex_unlock(&t->tg->siglock);
	if (!uaddr_null(new_ptr))
		set_action(t, signo, &action);
	if (!uaddr_null(old_ptr) && copy_to_user(t, old_ptr, &old, sizeof(old)))
		return -EFAULT;
	return 0;
}

int64_t sys_sigaltstack(struct task *t, const struct sysargs *a)
{
	uaddr_t new_ptr = uaddr(a->arg[0]), old_ptr = uaddr(a->arg[1]);
	uint64_t sp = platform_regs(t->pt)->rsp;
	struct abi_stack ss, old = t->altstack;
	uint32_t mode;

	old.flags &= (int32_t)ABI_SS_AUTODISARM;
	if (!t->altstack.size)
		old.flags |= ABI_SS_DISABLE;
	else if (signal_on_altstack(t, sp))
		old.flags |= ABI_SS_ONSTACK;
	old.pad = 0;
	if (!uaddr_null(new_ptr)) {
		if (copy_from_user(t, &ss, new_ptr, sizeof(ss)))
			return -EFAULT;
		if (signal_on_altstack(t, sp))
			return -EPERM;
		mode = (uint32_t)ss.flags & ~ABI_SS_AUTODISARM;
		if (mode != 0 && mode != ABI_SS_DISABLE && mode != ABI_SS_ONSTACK)
			return -EINVAL;
		if (mode == ABI_SS_DISABLE)
			ss.sp = ss.size = 0;
		else if (ss.size < ABI_MINSIGSTKSZ)
			return -ENOMEM;
		t->altstack = ss;
	}
	if (!uaddr_null(old_ptr) && copy_to_user(t, old_ptr, &old, sizeof(old)))
		return -EFAULT;
	return 0;
}

/* ---- masks ---- */

int64_t sys_rt_sigprocmask(struct task *t, const struct sysargs *a)
{
	uaddr_t set_ptr = uaddr(a->arg[1]), old_ptr = uaddr(a->arg[2]);
	uint64_t old = t->blocked, set;

	if (a->arg[3] != ABI_SIGSET_SIZE)
		return -EINVAL;
	if (!uaddr_null(set_ptr)) {
		if (copy_from_user(t, &set, set_ptr, sizeof(set)))
			return -EFAULT;
		switch (abi_int(a->arg[0])) {
		case ABI_SIG_BLOCK:
			set = old | set;
			break;
		case ABI_SIG_UNBLOCK:
			set = old & ~set;
			break;
		case ABI_SIG_SETMASK:
			break;
		default:
			return -EINVAL;
		}
		signal_set_blocked(t, set);
	}
	if (!uaddr_null(old_ptr) && copy_to_user(t, old_ptr, &old, sizeof(old)))
		return -EFAULT;
	return 0;
}

int64_t sys_rt_sigpending(struct task *t, const struct sysargs *a)
{
	uint64_t set = signal_pending_set(t) & t->blocked;

	if (a->arg[1] > ABI_SIGSET_SIZE)
		return -EINVAL;
	return copy_to_user(t, uaddr(a->arg[0]), &set, a->arg[1]);
}

int64_t sys_rt_sigsuspend(struct task *t, const struct sysargs *a)
{
	uint64_t mask;

	if (a->arg[1] != ABI_SIGSET_SIZE)
		return -EINVAL;
	if (copy_from_user(t, &mask, uaddr(a->arg[0]), sizeof(mask)))
		return -EFAULT;
	signal_set_temporary_mask(t, mask);
	return task_block(t, -ERESTARTNOHAND);
}

int64_t sys_pause(struct task *t, const struct sysargs *a)
{
	(void)a;
	return task_block(t, -ERESTARTNOHAND);
}

/* ---- taking signals without a handler ---- */

/* What rt_sigtimedwait waits for is delivered to nobody while it waits. */
static void set_sigwait(struct task *t, uint64_t set)
{
	mutex_lock(&t->tg->siglock);
	t->sigwait = set;
	mutex_unlock(&t->tg->siglock);
}

static int64_t sigwait_done(struct task *t, uaddr_t info_ptr, int signo,
			    const struct abi_siginfo *info)
{
	set_sigwait(t, 0);
	if (!uaddr_null(info_ptr) && copy_to_user(t, info_ptr, info, sizeof(*info)))
		return -EFAULT;
	return signo;
}

int64_t sys_rt_sigtimedwait(struct task *t, const struct sysargs *a)
{
	uaddr_t info_ptr = uaddr(a->arg[1]), timeout_ptr = uaddr(a->arg[2]);
	struct abi_siginfo info;
	uint64_t set, ns = TIME_NEVER;
	int64_t ret;
	int signo;

	if (a->arg[3] != ABI_SIGSET_SIZE)
		return -EINVAL;
	if (copy_from_user(t, &set, uaddr(a->arg[0]), sizeof(set)))
		return -EFAULT;
	if (!uaddr_null(timeout_ptr)) {
		int err = timespec_from_user(t, timeout_ptr, &ns);

		if (err)
			return err;
	}
	set &= ~ABI_SIG_UNBLOCKABLE;
	set_sigwait(t, set);
	signo = signal_take(t, set, &info);
	if (signo)
		return sigwait_done(t, info_ptr, signo, &info);
	task_set_deadline(t, deadline_in(ns));
	ret = task_block(t, -EINTR);
	if (ret == SYS_BLOCKED)
		return ret;
	set_sigwait(t, 0);
	return ret == -ETIMEDOUT ? -EAGAIN : ret;
}

/* ---- sending ---- */

static void fill_kill_info(struct task *t, int signo, int code, struct abi_siginfo *info)
{
	memset(info, 0, sizeof(*info));
	info->signo = signo;
	info->code = code;
	info->kill.pid = t->tg->tgid;
	info->kill.uid = t->cred->uid;
}

/* signo 0: only the checks. */
static int send_to_group(struct task *t, struct thread_group *tg, int signo,
			 const struct abi_siginfo *info)
{
	int err = signal_may_send(t, tg, signo);

	if (err || !signo)
		return err;
	return signal_send_group(tg, signo, info);
}

int64_t sys_kill(struct task *t, const struct sysargs *a)
{
	int32_t pid = abi_int(a->arg[0]);
	int signo = abi_int(a->arg[1]);
	struct thread_group *tg;
	struct abi_siginfo info;
	int err;

	if (signo != 0 && !valid_signal(signo))
		return -EINVAL;
	fill_kill_info(t, signo, ABI_SI_USER, &info);
	if (pid == -1)
		return signal_send_many(t, 0, signo, &info);
	if (pid == INT32_MIN)
		return -ESRCH;
	if (pid < 0)
		return signal_send_many(t, -pid, signo, &info);
	if (pid == 0)
		return signal_send_many(t, pgrp_getpgid(t, 0), signo, &info);
	tg = tg_find(t->kernel, pid);
	if (!tg)
		return -ESRCH;
	err = send_to_group(t, tg, signo, &info);
	tg_put(tg);
	return err;
}

/* tgid 0: any. */
static int64_t send_to_thread(struct task *t, int32_t tgid, int32_t tid, int signo,
			      const struct abi_siginfo *info)
{
	struct task *target = task_find(t->kernel, tid);
	int err = -ESRCH;

	if (!target)
		return err;
	if (!tgid || target->tg->tgid == tgid) {
		err = signal_may_send(t, target->tg, signo);
		if (!err && signo)
			err = signal_send_task(target, signo, info);
	}
	task_put(target);
	return err;
}

int64_t sys_tgkill(struct task *t, const struct sysargs *a)
{
	int32_t tgid = abi_int(a->arg[0]), tid = abi_int(a->arg[1]);
	int signo = abi_int(a->arg[2]);
	struct abi_siginfo info;

	if (tgid <= 0 || tid <= 0 || (signo != 0 && !valid_signal(signo)))
		return -EINVAL;
	fill_kill_info(t, signo, ABI_SI_TKILL, &info);
	return send_to_thread(t, tgid, tid, signo, &info);
}

int64_t sys_tkill(struct task *t, const struct sysargs *a)
{
	int32_t tid = abi_int(a->arg[0]);
	int signo = abi_int(a->arg[1]);
	struct abi_siginfo info;

	if (tid <= 0 || (signo != 0 && !valid_signal(signo)))
		return -EINVAL;
	fill_kill_info(t, signo, ABI_SI_TKILL, &info);
	return send_to_thread(t, 0, tid, signo, &info);
}

/* A siginfo of the guest's making: others must not be made to believe the kernel or kill sent it.
 */
static int copy_queue_info(struct task *t, uaddr_t ptr, int signo, bool to_self,
			   struct abi_siginfo *ret)
{
	if (copy_from_user(t, ret, ptr, sizeof(*ret)))
		return -EFAULT;
	ret->signo = signo;
	if ((ret->code >= 0 || ret->code == ABI_SI_TKILL) && !to_self)
		return -EPERM;
	return 0;
}

int64_t sys_rt_sigqueueinfo(struct task *t, const struct sysargs *a)
{
	int32_t pid = abi_int(a->arg[0]);
	int signo = abi_int(a->arg[1]);
	struct abi_siginfo info;
	struct thread_group *tg;
	int err = copy_queue_info(t, uaddr(a->arg[2]), signo, pid == t->tg->tgid, &info);

	if (err)
		return err;
	if (signo != 0 && !valid_signal(signo))
		return -EINVAL;
	tg = tg_find(t->kernel, pid);
	if (!tg)
		return -ESRCH;
	err = send_to_group(t, tg, signo, &info);
	tg_put(tg);
	return err;
}

int64_t sys_rt_tgsigqueueinfo(struct task *t, const struct sysargs *a)
{
	int32_t tgid = abi_int(a->arg[0]), tid = abi_int(a->arg[1]);
	int signo = abi_int(a->arg[2]);
	struct abi_siginfo info;
	int err = copy_queue_info(t, uaddr(a->arg[3]), signo, tgid == t->tg->tgid, &info);

	if (err)
		return err;
	if (tgid <= 0 || tid <= 0 || (signo != 0 && !valid_signal(signo)))
		return -EINVAL;
	return send_to_thread(t, tgid, tid, signo, &info);
}

/* ---- returning from handlers ---- */

static void restore_altstack(struct task *t, const struct abi_stack *ss, uint64_t sp)
{
	uint32_t mode = (uint32_t)ss->flags & ~ABI_SS_AUTODISARM;

	if (signal_on_altstack(t, sp))
		return;
	if (mode == ABI_SS_DISABLE) {
		memset(&t->altstack, 0, sizeof(t->altstack));
		t->altstack.flags = ABI_SS_DISABLE;
	} else if (mode <= ABI_SS_ONSTACK && ss->size >= ABI_MINSIGSTKSZ) {
		t->altstack = *ss;
		t->altstack.flags &= ~ABI_SS_ONSTACK;
	}
}

int64_t sys_rt_sigreturn(struct task *t, const struct sysargs *a)
{
	/* The handler's return has popped the restorer's address: rsp is at the ucontext. */
	uint64_t va = platform_regs(t->pt)->rsp;
	struct abi_ucontext uc;

	(void)a;
	if (copy_from_user(t, &uc, uaddr(va), sizeof(uc))) {
		signal_force(t, ABI_SIGSEGV, NULL);
		return 0;
	}
	signal_set_blocked(t, uc.sigmask);
	restore_altstack(t, &uc.stack, uc.mcontext.sp);
	t->reply.order = PORD_SIGRETURN;
	t->reply.va = va;
	return SYS_NORET;
}

/* A call that a stop interrupted goes on inside the sentry; nothing is ever left to restart. */
int64_t sys_restart_syscall(struct task *t, const struct sysargs *a)
{
	(void)t;
	(void)a;
	return -EINTR;
}
