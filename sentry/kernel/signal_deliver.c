/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals: delivery, on a thread's way back to guest code, and job control stops.
 *
 * A reply carries at most one frame. If more signals are deliverable after one got its frame, the
 * thread is kicked: it comes back before the handler's first instruction and the next frame goes on
 * top, which is Linux's nesting. The same is done when the reply carries something that may fail
 * (memory operations, a clone) or that changes the registers itself (sigreturn): a signal taken for
 * such a reply could be lost.
 *
 * Stops. The thread that takes a stop signal makes the whole group stop: stop_state is set and
 * every thread is told. Each parks at its next look (SIGV_STOPPED) and counts itself; the last one
 * tells the parent. SIGCONT ends it at the moment of sending (signal.c). A thread waiting for its
 * vfork child looks only when that is over, and so the stop is complete only then, as in Linux.
 */
#include <errno.h>
#include <string.h>

#include "abi/errno.h"
#include "base/log.h"
#include "base/mem.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pgrp.h"
#include "sentry/kernel/process.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/signal_internal.h"
#include "sentry/kernel/syscall.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_block.h"

#define RED_ZONE 128

static bool is_restart(int64_t ret)
{
	return ret == -ERESTARTSYS || ret == -ERESTARTNOINTR || ret == -ERESTARTNOHAND ||
	       ret == -ERESTART_RESTARTBLOCK;
}

/* ---- stops ---- */

void signal_stop_complete_locked(struct thread_group *tg)
{
	bool still;

	mutex_lock(&tg->siglock);
	still = tg->stop_state == TG_STOPPED && tg->stop_count == 0;
	mutex_unlock(&tg->siglock);
	if (!still || tg->stop_reported)
		return;
	tg->stop_reported = true;
	tg->wait_stopped = true;
	tg->wait_continued = false;
	signal_notify_parent_locked(tg, ABI_CLD_STOPPED, tg->stop_signal);
}

/* Parks this thread; the last one reports. siglock held on entry, released. */
static void join_stop_unlock(struct task *t)
{
	struct thread_group *tg = t->tg;
	bool complete = false;

	if (!t->stopped) {
		t->stopped = true;
		complete = --tg->stop_count == 0;
	}
	signal_recalc_locked(t);
	mutex_unlock(&tg->siglock);
	if (complete) {
		mutex_lock(&t->kernel->tasks_lock);
		signal_stop_complete_locked(tg);
		mutex_unlock(&t->kernel->tasks_lock);
	}
}

/* Under both locks. */
static void begin_stop(struct thread_group *tg, int signo)
{
	struct task *t;

	if (tg->stop_state == TG_STOPPED || tg->exiting)
		return;
	tg->stop_state = TG_STOPPED;
	tg->stop_signal = signo;
	tg->stop_reported = false;
	tg->stop_count = 0;
	list_for_each (t, &tg->tasks, tg_link) {
		if ((atomic_load(&t->state) & TASK_STATE_MASK) == TASK_DEAD)
			continue;
		t->stopped = false;
		tg->stop_count++;
		atomic_store(&t->sigpending, true);
		task_notify(t);
	}
}

static void default_stop(struct task *t, int signo)
{
	struct thread_group *tg = t->tg;

	mutex_lock(&t->kernel->tasks_lock);
	/* Nobody could continue a job of an orphaned group (setpgid(2)). */
	if (signo == ABI_SIGSTOP || !pgrp_orphaned_locked(tg->pgrp)) {
		mutex_lock(&tg->siglock);
		/* A SIGCONT in between has the last word. */
		if (!((tg->pending.set | t->pending.set) & SIGBIT(ABI_SIGCONT)))
			begin_stop(tg, signo);
		mutex_unlock(&tg->siglock);
	}
	mutex_unlock(&t->kernel->tasks_lock);
}

/* ---- frames ---- */

static const struct platform_regs *guest_regs(const struct task *t)
{
	return t->reply.set_regs ? &t->reply.regs : platform_regs(t->pt);
}

bool signal_on_altstack(const struct task *t, uint64_t sp)
{
	return !((uint32_t)t->altstack.flags & ABI_SS_AUTODISARM) && t->altstack.size &&
	       sp > t->altstack.sp && sp - t->altstack.sp <= t->altstack.size;
}

static int32_t altstack_state(const struct task *t, uint64_t sp)
{
	if (!t->altstack.size)
		return ABI_SS_DISABLE;
	return signal_on_altstack(t, sp) ? ABI_SS_ONSTACK : 0;
}

static uint64_t frame_stack_top(const struct task *t, const struct abi_sigaction *action,
				uint64_t sp)
{
	if ((action->flags & ABI_SA_ONSTACK) && altstack_state(t, sp) == 0)
		return t->altstack.sp + t->altstack.size;
	return sp - RED_ZONE;
}

/* A frame that is on the alternate stack, or is to be, may not reach beyond it (get_sigframe). */
static uint64_t frame_stack_low(const struct task *t, uint64_t sp, uint64_t top)
{
	return signal_on_altstack(t, sp) || top != sp - RED_ZONE ? t->altstack.sp : 0;
}

static void fill_frame(struct task *t, int signo, const struct abi_sigaction *action,
		       const struct abi_siginfo *info)
{
	struct platform_sigframe *f;
	uint64_t sp = guest_regs(t)->rsp;

	if (!t->sigframe)
		t->sigframe = xnew(struct platform_sigframe);
	f = t->sigframe;
	memset(f, 0, sizeof(*f));
	f->handler = action->handler;
	f->restorer = action->restorer;
	f->stack_top = frame_stack_top(t, action, sp);
	f->stack_low = frame_stack_low(t, sp, f->stack_top);
	f->sigmask = t->restore_blocked ? t->saved_blocked : t->blocked;
	f->altstack_sp = t->altstack.sp;
	f->altstack_size = t->altstack.size;
	f->altstack_flags =
	    altstack_state(t, sp) | (int32_t)((uint32_t)t->altstack.flags & ABI_SS_AUTODISARM);
	f->signo = signo;
	if (t->event.type == PEV_FAULT && t->event.fault.signo == signo) {
		f->trapno = t->event.fault.trapno;
		f->error_code = t->event.fault.error_code;
		f->cr2 = f->trapno == 14 ? t->event.fault.addr : 0;
	}
	_Static_assert(sizeof(f->siginfo) == sizeof(*info), "siginfo");
	memcpy(f->siginfo, info, sizeof(f->siginfo));
	t->reply.frame = f;
}

static void fill_result(struct task *t, int64_t ret, const struct abi_sigaction *action)
{
	if (!is_restart(ret))
		return;
	if (ret == -ERESTARTNOINTR || (ret == -ERESTARTSYS && (action->flags & ABI_SA_RESTART))) {
		t->reply.restart = true;
		return;
	}
	t->reply.set_ret = true;
	t->reply.ret = -EINTR;
}

/* siglock held on entry, released. */
static void push_frame_unlock(struct task *t, int signo, const struct abi_siginfo *info,
			      int64_t ret)
{
	struct thread_group *tg = t->tg;
	struct abi_sigaction action = tg->actions[signo - 1];
	uint64_t mask = t->blocked | action.mask;
	bool more;

	if (action.flags & ABI_SA_RESETHAND)
		tg->actions[signo - 1].handler = ABI_SIG_DFL;
	if (!(action.flags & ABI_SA_NODEFER))
		mask |= SIGBIT(signo);
	mutex_unlock(&tg->siglock);

	fill_frame(t, signo, &action, info);
	fill_result(t, ret, &action);
	t->restore_blocked = false;
	if ((uint32_t)t->altstack.flags & ABI_SS_AUTODISARM) {
		memset(&t->altstack, 0, sizeof(t->altstack));
		t->altstack.flags = ABI_SS_DISABLE;
	}
	signal_set_blocked(t, mask);
	mutex_lock(&tg->siglock);
	signal_recalc_locked(t);
	more = atomic_load(&t->sigpending);
	mutex_unlock(&tg->siglock);
	if (more)
		platform_kick(t->pt);
}

/* If the frame of SIGSEGV itself can't be written there is no way on (Linux force_sigsegv). */
static void frame_failed(struct task *t, int signo)
{
	struct thread_group *tg = t->tg;

	if (signo == ABI_SIGSEGV) {
		mutex_lock(&tg->siglock);
		tg->actions[ABI_SIGSEGV - 1].handler = ABI_SIG_DFL;
		mutex_unlock(&tg->siglock);
	}
	signal_force(t, ABI_SIGSEGV, NULL);
}

void signal_frame_failed(struct task *t)
{
	frame_failed(t, t->sigframe ? t->sigframe->signo : ABI_SIGSEGV);
}

/* ---- delivery ---- */

static bool reply_must_go_alone(const struct task *t)
{
	return t->reply.order != PORD_NONE || t->reply.memop_count || t->reply.report;
}

enum step { STEP_NEXT, STEP_NONE, STEP_FRAME };

static void trace_signal(struct task *t, int signo, const struct abi_siginfo *info)
{
	const struct syscall_trace *trace = t->kernel->trace;

	if (unlikely(trace && trace->signal))
		trace->signal(t, signo, info);
}

/* Takes and handles one signal. siglock held on entry, released. */
static enum step take_one_unlock(struct task *t, int64_t ret)
{
	struct thread_group *tg = t->tg;
	struct abi_siginfo info;
	int signo = signal_take_locked(t, ~t->blocked, &info);
	uint64_t handler;
	bool protected;

	if (!signo) {
		signal_recalc_locked(t);
		mutex_unlock(&tg->siglock);
		return STEP_NONE;
	}
	handler = tg->actions[signo - 1].handler;
	protected = signal_protects_init_locked(tg) && signo != ABI_SIGKILL && signo != ABI_SIGSTOP;
	if (handler != ABI_SIG_DFL && handler != ABI_SIG_IGN) {
		bool has_restorer = tg->actions[signo - 1].flags & ABI_SA_RESTORER;

		if (has_restorer)
			push_frame_unlock(t, signo, &info, ret);
		else
			mutex_unlock(&tg->siglock);
		trace_signal(t, signo, &info);
		if (has_restorer)
			return STEP_FRAME;
		frame_failed(t, signo);
		return STEP_NEXT;
	}
	mutex_unlock(&tg->siglock);
	trace_signal(t, signo, &info);
	if (handler == ABI_SIG_IGN || (SIGSET_IGNORE & SIGBIT(signo)) || protected)
		return STEP_NEXT;
	if (SIGSET_STOP & SIGBIT(signo))
		default_stop(t, signo);
	else
		signal_exit_group(tg, signo);
	return STEP_NEXT;
}

static void restore_mask(struct task *t)
{
	t->restore_blocked = false;
	signal_set_blocked(t, t->saved_blocked);
}

enum signal_verdict signal_deliver(struct task *t, int64_t ret)
{
	struct thread_group *tg = t->tg;
	enum step step = STEP_NEXT;

	/* A temporary mask lasts through the delivery only if a signal ended the call. */
	if (t->restore_blocked && !is_restart(ret) && ret != -EINTR)
		restore_mask(t);
	while (step == STEP_NEXT) {
		if (signal_fatal_pending(t))
			return SIGV_EXIT;
		mutex_lock(&tg->siglock);
		if (tg->stop_state == TG_STOPPED) {
			join_stop_unlock(t);
			return SIGV_STOPPED;
		}
		if (reply_must_go_alone(t)) {
			mutex_unlock(&tg->siglock);
			platform_kick(t->pt);
			return SIGV_NONE;
		}
		step = take_one_unlock(t, ret);
	}
	if (step == STEP_FRAME)
		return SIGV_FRAME;
	return is_restart(ret) ? SIGV_RERUN : SIGV_NONE;
}

/* ---- what the guest's own code brought about ---- */

void signal_fault(struct task *t, const struct platform_fault *fault)
{
	struct abi_siginfo info = {0};

	info.signo = fault->signo;
	info.code = fault->code;
	info.fault.addr = fault->addr;
	switch (fault->signo) {
	case ABI_SIGSEGV:
	case ABI_SIGBUS:
	case ABI_SIGFPE:
	case ABI_SIGILL:
	case ABI_SIGTRAP:
		signal_force(t, fault->signo, &info);
		break;
	default:
		signal_force(t, ABI_SIGSEGV, NULL);
	}
}
