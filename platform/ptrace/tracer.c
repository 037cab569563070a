/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ptrace platform: the fallback for hosts without seccomp user notification, and the second
 * reader of platform.h.
 *
 * The thread that calls platform_next is the tracer of all stub processes. It never waits for one
 * of them: it waits for any (wait.c), and every stop is dealt with in a few host calls.
 *
 * Guest code runs under PTRACE_SYSEMU: a call of the guest is a stop, and never a call of the host;
 * its registers are all that is needed to answer most. Whatever else a reply asks for (memory
 * operations, clones, signal frames) is done by the same stub as on the notify platform. The
 * thread is made to enter the stub's handler by a signal, so that the host builds the frame with
 * all its FP state, and runs there under PTRACE_CONT, now with the filter over it.
 *
 *	guest		GUEST	  call: stop
 *	  |		CALL	  PEV_CALL; the reply has memory operations
 *	  |		ENTER	  SIGURG is sent; its delivery: stop
 *	stub		STUB	  does the reply; has something to report: int3, stop (BELL)
 *	  |			  rt_sigreturn: RET_TRACE, stop
 *	guest		GUEST	  from there on under PTRACE_SYSEMU again: the call that it is
 *				  in has begun, so it runs, and the next one stops
 *
 * A fault of the guest takes the same way: the signal is let through, and the handler reports it
 * with all that the host's frame has (trap number, error code).
 *
 * A kick is a flag. For a thread in guest code PTRACE_INTERRUPT makes it stop; for any other it is
 * looked at when the thread would go back to guest code. So none is lost, and one for a stopped
 * thread costs nothing.
 *
 * What a guest can do: guest code under SYSEMU reaches no host call at all. If it makes its thread
 * return to guest code under PTRACE_CONT (another thread of it changes the frame that the stub
 * returns by), the filter traps its calls, and the tracer ends it for that. If it enters the stub's
 * text under SYSEMU its first call there ends it. In the stub under PTRACE_CONT it can do what the
 * filter lists. Stops are believed as far as the host makes them; what is in the channel is checked
 * like on the notify platform.
 *
 * A tracee may die at any moment, also while stopped: then requests fail (ESRCH), which is never
 * looked at, because its end is reported like everybody's.
 */
#include <errno.h>
#include <linux/audit.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "platform/backend.h"
#include "platform/filter.h"
#include "platform/ptrace/tracer.h"

/* How often stops are collected ahead, so that those late in the host's list get their turn. */
#define COLLECT_EVERY 32

bool on_tracer(const struct tracer *x)
{
	return atomic_load_explicit(&x->running, memory_order_acquire) &&
	       pthread_equal(x->thread, pthread_self());
}

struct tracee *tracee_new(struct tracer *x, pid_t tid, enum tracee_phase phase)
{
	struct tracee *e = xnew(struct tracee);

	e->tid = tid;
	e->phase = phase;
	list_init(&e->clone_link);
	list_init(&e->link);
	list_init(&e->work_link);
	idmap_set(&x->tracees, (uint32_t)tid, e);
	x->tracee_count++;
	return e;
}

void tracee_resume(const struct tracee *e, int how, int sig)
{
	ptrace(how, e->tid, NULL, (long)sig);
}

void tracee_to_guest(struct tracee *e)
{
	e->phase = TRACEE_GUEST;
	tracee_resume(e, PTRACE_SYSEMU, 0);
}

void tracee_kick(struct tracee *e)
{
	e->kick = true;
	if (e->phase == TRACEE_GUEST)
		ptrace(PTRACE_INTERRUPT, e->tid, NULL, NULL);
}

void tracee_punish(const struct tracee *e, const char *why)
{
	log_debug(LOGC_PLATFORM, "stub thread %d killed: %s", e->tid, why);
	kill(e->pid ? e->pid : e->tid, SIGKILL);
}

/* --- ends --- */

static void tracee_free(struct tracer *x, struct tracee *e)
{
	idmap_set(&x->tracees, (uint32_t)e->tid, NULL);
	x->tracee_count--;
	list_del(&e->link);
	clone_over(x, e);
	socket_done(x, e);
	mutex_lock(&x->work_lock);
	list_del(&e->work_link);
	mutex_unlock(&x->work_lock);
	free(e);
}

/* A thread that ends without having been told to, and alone: its process goes after it. */
static void ended_by_itself(struct tracee *e, const struct platform_thread *t)
{
	if (t && t->state != THREAD_DEAD && e->tid != e->pid)
		tracee_punish(e, "a thread ended by itself");
}

void tracee_gone(struct platform *p, struct tracee *e)
{
	mutex_lock(&p->lock);
	if (e->t) {
		ended_by_itself(e, e->t);
		mutex_lock(&e->t->lock);
		e->t->tracee = NULL;
		mutex_unlock(&e->t->lock);
	}
	mutex_unlock(&p->lock);
	tracee_free(tracer_of(p), e);
}

static void process_gone(struct platform *p, pid_t pid)
{
	struct host_process *process;
	bool works = true, heir;

	mutex_lock(&p->lock);
	process = idmap_get(&p->pids, (uint32_t)pid);
	heir = process && p->zygote && p->zygote->process == process;
	if (process)
		works = process_gone_locked(p, process);
	mutex_unlock(&p->lock);
	if (!works)
		p->callbacks->broken(p->callbacks->broken_cookie,
				     "the zygote was killed from outside, and no spare is left");
	if (heir && works && !atomic_load(&p->stopping))
		replenish_spares(p); /* one of them was promoted */
}

void tracer_ended(struct platform *p, pid_t tid)
{
	struct tracer *x = tracer_of(p);
	struct tracee *e = idmap_get(&x->tracees, (uint32_t)tid);

	count_stat(reaped);
	if (!e || e->phase == TRACEE_STRANGER)
		stranger_died(x, tid);
	if (e)
		tracee_gone(p, e);
	process_gone(p, tid);
}

/* --- events --- */

/* The thread stops in guest code. False: it had no right to, or is dead for the sentry. */
static bool stop_in_guest(struct tracee *e, struct platform_event *ev)
{
	struct platform_thread *t = e->t;
	struct user_regs_struct *u = &e->regs;
	bool ok = false;

	if (!t)
		return false;
	mutex_lock(&t->lock);
	if (t->state == THREAD_RUNNING && event_follows(t, ev)) {
		t->state = THREAD_STOPPED;
		t->window_count = 0;
		regs_from_host(u, &t->regs);
		if (ev->type == PEV_CALL)
			t->regs.rax = u->orig_rax;
		t->regs.orig_rax = t->regs.rax;
		t->regs_known = true;
		ok = true;
	}
	mutex_unlock(&t->lock);
	ev->thread = t;
	ev->cookie = t->cookie;
	return ok;
}

static int deliver_kick(struct tracee *e, struct platform_event *ev)
{
	ev->type = PEV_KICKED;
	if (!stop_in_guest(e, ev)) {
		tracee_punish(e, "a kick that doesn't follow");
		return 0;
	}
	e->kick = false;
	e->phase = TRACEE_KICKED;
	count_stat(kicks);
	return 1;
}

/*
 * A call by `int $0x80` stops as well. `syscall` leaves its return address in rcx and the flags in
 * r11 (but for CPUs with FRED), which nothing else does; who forges that only cheats itself.
 */
static bool is_64bit_call(const struct tracee *e)
{
	const struct user_regs_struct *u = &e->regs;
	struct __ptrace_syscall_info info;

	if (u->rcx == u->rip && u->r11 == u->eflags)
		return true;
	if (ptrace(PTRACE_GET_SYSCALL_INFO, e->tid, sizeof(info), &info) <= 0)
		return false;
	return info.arch == AUDIT_ARCH_X86_64;
}

static bool is_channel(uint64_t base)
{
	return base >= STUB_CHANNELS && base < STUB_REGION_END;
}

static uint64_t put_base(const struct tracee *e, uint64_t base)
{
	return platform_write(NULL, e->t->mm, e->regs.rsi, &base, sizeof(base)) == sizeof(base)
		   ? 0
		   : (uint64_t)-EFAULT;
}

/*
 * arch_prctl of the fs and gs base, which on other platforms the stub serves by itself
 * (stub/local.c). False: none of those.
 */
static bool local_call(struct tracee *e)
{
	struct user_regs_struct *u = &e->regs;
	bool valid = u->rsi < PLATFORM_GUEST_MAX;
	uint64_t ret = valid ? 0 : (uint64_t)-EPERM;

	if (u->orig_rax != SYS_arch_prctl)
		return false;
	switch (u->rdi) {
	case 0x1001: /* ARCH_SET_GS */
		if (valid)
			u->gs_base =
			    u->rsi ? u->rsi : STUB_CHANNELS + (uint64_t)e->t->slot * CHANNEL_STRIDE;
		break;
	case 0x1002: /* ARCH_SET_FS */
		if (valid)
			u->fs_base = u->rsi;
		break;
	case 0x1003: /* ARCH_GET_FS */
		ret = put_base(e, u->fs_base);
		break;
	case 0x1004: /* ARCH_GET_GS */
		ret = put_base(e, is_channel(u->gs_base) ? 0 : u->gs_base);
		break;
	default:
		return false;
	}
	u->rax = ret;
	u->orig_rax = ~0ul;
	e->reply = REPLY_REGISTERS;
	return true;
}

static bool wants_windows(const struct platform *p, uint64_t nr)
{
	return (p->force & FEATURE_BIT(WINDOWS)) && nr < p->copyplan_count &&
	       p->copyplans[nr].count > 0;
}

static int called(struct platform *p, struct tracee *e, struct platform_event *ev)
{
	struct user_regs_struct *u = &e->regs;

	if (ptrace(PTRACE_GETREGS, e->tid, NULL, u) < 0)
		return 0;
	if (u->rip >= STUB_TEXT || !is_64bit_call(e)) {
		tracee_punish(e, "a call that no guest makes");
		return 0;
	}
	if (!e->t)
		return 0;
	if (wants_windows(p, u->orig_rax)) {
		tracee_enter(e, SIGSYS);
		return 0;
	}
	e->phase = TRACEE_CALL;
	if (local_call(e)) {
		tracee_apply(tracer_of(p), e);
		return 0;
	}
	ev->type = PEV_CALL;
	ev->call.nr = u->orig_rax;
	ev->call.arg[0] = u->rdi;
	ev->call.arg[1] = u->rsi;
	ev->call.arg[2] = u->rdx;
	ev->call.arg[3] = u->r10;
	ev->call.arg[4] = u->r8;
	ev->call.arg[5] = u->r9;
	ev->call.fast = false;
	if (!stop_in_guest(e, ev)) {
		tracee_punish(e, "a call that doesn't follow");
		return 0;
	}
	e->t->call_nr = (uint32_t)MIN(ev->call.nr, (uint64_t)PLATFORM_CALLS_MAX);
	count_stat(calls);
	return 1;
}

static bool take_request(struct platform_thread *t, struct platform_event *ev)
{
	uint32_t expected = CHANNEL_REQUEST;
	bool ok;

	mutex_lock(&t->lock);
	ok = t->state == THREAD_RUNNING &&
	     atomic_compare_exchange_strong(&t->ch->state, &expected, CHANNEL_SERVING);
	if (ok) {
		t->state = THREAD_STOPPED;
		ok = request_decode(t, ev) && event_follows(t, ev);
	}
	mutex_unlock(&t->lock);
	return ok;
}

/* The stub has an event in the channel. */
static int bell(struct platform *p, struct tracee *e, struct platform_event *ev)
{
	struct platform_thread *t = e->t;

	clone_over(tracer_of(p), e);
	socket_done(tracer_of(p), e);
	e->phase = TRACEE_BELL;
	if (!t || !take_request(t, ev)) {
		tracee_punish(e, "bad request");
		return 0;
	}
	mutex_lock(&p->lock);
	clone_settle_locked(t, ev);
	if (t->internal)
		zygote_step_locked(p, false);
	mutex_unlock(&p->lock);
	ev->thread = t;
	ev->cookie = t->cookie;
	return !t->internal;
}

/* A new thread is ready for its first reply. */
static int appeared(struct platform *p, struct tracee *e, struct platform_event *ev)
{
	struct platform_thread *t = e->t;
	int r = 0;

	socket_done(tracer_of(p), e);
	e->phase = TRACEE_BELL;
	mutex_lock(&p->lock);
	if (t && t->state == THREAD_ORDERED) {
		mutex_lock(&t->lock);
		t->state = THREAD_STOPPED;
		mutex_unlock(&t->lock);
		r = thread_started_locked(t, ev);
	}
	mutex_unlock(&p->lock);
	return r;
}

/* --- stops --- */

static bool is_fault(int sig)
{
	return sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE || sig == SIGILL || sig == SIGTRAP;
}

/* A signal is to be delivered. Those that are neither faults nor ours are dropped. */
static int signalled(struct platform *p, struct tracee *e, int sig, struct platform_event *ev)
{
	switch (e->phase) {
	case TRACEE_GUEST:
		if (!is_fault(sig) && sig != SIGSYS /* a call of the vsyscall page */) {
			tracee_resume(e, PTRACE_SYSEMU, 0);
			return 0;
		}
		e->phase = TRACEE_STUB;
		tracee_resume(e, PTRACE_CONT, sig);
		return 0;
	case TRACEE_ENTER:
		if (sig == e->enter_signal)
			e->phase = TRACEE_STUB;
		tracee_resume(e, PTRACE_CONT, sig == e->enter_signal ? sig : 0);
		return 0;
	case TRACEE_STUB:
		if (sig == SIGTRAP)
			return bell(p, e, ev);
		if (sig == SIGSYS) {
			tracee_punish(e, "a call from outside the stub's text");
			return 0;
		}
		break;
	case TRACEE_BIRTH:
		if (sig == SIGTRAP)
			return appeared(p, e, ev);
		if (sig == SIGSYS) {
			tracee_punish(e, "a call from outside the stub's text");
			return 0;
		}
		break;
	default:
		break;
	}
	tracee_resume(e, PTRACE_CONT, is_fault(sig) ? sig : 0);
	return 0;
}

/* A stop by PTRACE_INTERRUPT, or the first of a new tracee. */
static int trapped(struct tracee *e, struct platform_event *ev)
{
	switch (e->phase) {
	case TRACEE_STRANGER:
		e->stopped = true;
		return 0;
	case TRACEE_GUEST:
		if (e->kick && ptrace(PTRACE_GETREGS, e->tid, NULL, &e->regs) == 0) {
			e->regs.orig_rax = ~0ul;
			return deliver_kick(e, ev);
		}
		tracee_resume(e, PTRACE_SYSEMU, 0);
		return 0;
	case TRACEE_BORN:
		e->phase = TRACEE_BIRTH;
		break;
	default:
		break;
	}
	tracee_resume(e, PTRACE_CONT, 0);
	return 0;
}

/* The stub returns to the guest. */
static void returns(struct platform *p, struct tracee *e)
{
	struct platform_thread *t = e->t;

	socket_done(tracer_of(p), e);
	if (!t || t->state != THREAD_RUNNING) {
		tracee_punish(e, "a return without a reply");
		return;
	}
	mutex_lock(&p->lock);
	clone_settle_locked(t, NULL);
	mutex_unlock(&p->lock);
	/* First the trap, then the way on: not one instruction of the guest lies between. */
	if (e->kick)
		ptrace(PTRACE_INTERRUPT, e->tid, NULL, NULL);
	tracee_to_guest(e);
}

static bool clone_ordered(struct platform *p, struct tracee *e)
{
	struct user_regs_struct u;
	struct platform_thread *t = e->t;
	bool ok;

	if (!t || ptrace(PTRACE_GETREGS, e->tid, NULL, &u) < 0)
		return false;
	mutex_lock(&p->lock);
	mutex_lock(&t->lock);
	ok = t->state == THREAD_RUNNING &&
	     clone_is_ordered_locked(t, (const __u64[6]){u.rdi, u.rsi, u.rdx, u.r10, u.r8, u.r9});
	mutex_unlock(&t->lock);
	if (ok)
		t->clone_child->asked++;
	mutex_unlock(&p->lock);
	return ok;
}

/* A call of the stub that the filter lets the tracer decide. */
static void asked(struct platform *p, struct tracee *e)
{
	struct tracer *x = tracer_of(p);
	bool stub = e->phase == TRACEE_STUB;
	unsigned long nr = 0;

	ptrace(PTRACE_GETEVENTMSG, e->tid, NULL, &nr);
	clone_over(x, e);
	if (nr == SYS_rt_sigreturn && stub) {
		returns(p, e);
	} else if (nr == SYS_recvmsg && e->fds && (stub || e->phase == TRACEE_BIRTH)) {
		socket_ask(x, e);
	} else if (nr == SYS_clone && stub && clone_ordered(p, e)) {
		clone_let_through(x, e);
		tracee_resume(e, PTRACE_CONT, 0);
	} else {
		tracee_punish(e, "a call that wasn't ordered");
	}
}

static int stop_at_call(struct platform *p, struct tracee *e, struct platform_event *ev)
{
	if (e->phase == TRACEE_GUEST)
		return called(p, e, ev);
	if (e->phase == TRACEE_RECEIVE)
		e->phase = e->in_birth ? TRACEE_BIRTH : TRACEE_STUB;
	socket_done(tracer_of(p), e);
	tracee_resume(e, PTRACE_CONT, 0);
	return 0;
}

static int stopped(struct platform *p, struct tracee *e, int status, struct platform_event *ev)
{
	unsigned long made = 0;

	switch (status >> 16) {
	case 0:
		break;
	case PTRACE_EVENT_STOP:
		return trapped(e, ev);
	case PTRACE_EVENT_SECCOMP:
		asked(p, e);
		return 0;
	default: /* FORK, VFORK, CLONE */
		if (ptrace(PTRACE_GETEVENTMSG, e->tid, NULL, &made) == 0)
			clone_made(p, e, (pid_t)made);
		tracee_resume(e, PTRACE_CONT, 0);
		return 0;
	}
	if (WSTOPSIG(status) == (SIGTRAP | 0x80))
		return stop_at_call(p, e, ev);
	return signalled(p, e, WSTOPSIG(status), ev);
}

static int happened(struct platform *p, pid_t tid, int status, struct platform_event *ev)
{
	struct tracer *x = tracer_of(p);
	struct tracee *e;

	if (!WIFSTOPPED(status)) {
		tracer_ended(p, tid);
		return 0;
	}
	count_stat(doorbells);
	e = idmap_get(&x->tracees, (uint32_t)tid);
	if (e)
		return stopped(p, e, status, ev);
	stranger_stopped(x, tid);
	return 0;
}

/* --- the tracer's loop --- */

static void do_work(struct platform *p)
{
	struct tracer *x = tracer_of(p);
	struct host_process *process, *tmp;
	struct tracee *e;
	bool replied, kicked;

	mutex_lock(&p->lock);
	list_for_each_safe (process, tmp, &x->kills, kill_link) {
		list_del(&process->kill_link);
		kill(process->pid, SIGKILL);
	}
	mutex_unlock(&p->lock);
	for (;;) {
		mutex_lock(&x->work_lock);
		e = list_first_or_null(&x->work, struct tracee, work_link);
		if (e) {
			list_del(&e->work_link);
			replied = e->replied;
			kicked = e->kicked;
			e->replied = e->kicked = false;
		}
		mutex_unlock(&x->work_lock);
		if (!e)
			return;
		if (kicked)
			tracee_kick(e);
		if (replied)
			tracee_apply(x, e);
	}
}

/*
 * The host looks for stops in an order of its own, the youngest tracee first. When many are stopped
 * at once the old ones would starve, so all that there are are collected, and then served in turn.
 */
static void collect(struct tracer *x)
{
	x->fifo_next = x->fifo_count = x->waits = 0;
	for (;;) {
		struct stop s;

		s.tid = wait4(-1, &s.status, __WALL | WNOHANG, NULL);
		if (s.tid <= 0)
			break;
		if (x->fifo_count == x->fifo_size) {
			x->fifo_size = x->fifo_size * 2 + 16;
			x->fifo = xrealloc(x->fifo, x->fifo_size * sizeof(*x->fifo));
		}
		x->fifo[x->fifo_count++] = s;
	}
	x->crowded = x->fifo_count > 1;
}

/* The next stop or end: its tid, 0 if there is other work, negative errno. */
static pid_t next_stop(struct tracer *x, int *ret_status)
{
	pid_t tid;

	if (x->fifo_next == x->fifo_count && (x->crowded || ++x->waits > COLLECT_EVERY))
		collect(x);
	if (x->fifo_next < x->fifo_count) {
		*ret_status = x->fifo[x->fifo_next].status;
		return x->fifo[x->fifo_next++].tid;
	}
	tid = tracer_wait(x, ret_status);
	return tid == -EINTR ? 0 : tid;
}

int tracer_receive(struct platform *p, struct platform_event *ev)
{
	struct tracer *x = tracer_of(p);
	struct tracee *held;
	int status = 0;
	pid_t tid;

	if (unlikely(!x->attached) && tracer_attach(p) < 0)
		return -ENOTCONN;
	debug_check(on_tracer(x));
	if (atomic_exchange(&x->has_work, false)) {
		do_work(p);
		return 0;
	}
	held = list_first_or_null(&x->held, struct tracee, link);
	if (held) {
		list_del(&held->link);
		return deliver_kick(held, ev);
	}
	tid = next_stop(x, &status);
	if (tid <= 0)
		return tid < 0 ? -ENOTCONN : 0;
	return happened(p, tid, status, ev);
}

/* --- what other threads may want --- */

static void has_work(struct platform *p)
{
	atomic_store(&tracer_of(p)->has_work, true);
	if (atomic_load(&p->in_recv))
		tracer_wake(p);
}

static void tracer_kick_locked(struct platform_thread *t)
{
	struct tracer *x = tracer_of(t->p);
	struct tracee *e = t->tracee;

	if (!e)
		return;
	if (on_tracer(x)) {
		tracee_kick(e);
		return;
	}
	mutex_lock(&x->work_lock);
	e->kicked = true;
	list_del(&e->work_link);
	list_add_tail(&x->work, &e->work_link);
	mutex_unlock(&x->work_lock);
	has_work(t->p);
}

/* Only the tracer reaps, so only it knows that an id is not somebody else's by now. */
static void tracer_kill_locked(struct host_process *process)
{
	struct platform *p = process->mm->p;
	struct tracer *x = tracer_of(p);

	if (!atomic_load(&x->running) || atomic_load(&p->stopping) || on_tracer(x)) {
		kill(process->pid, SIGKILL);
		return;
	}
	list_del(&process->kill_link);
	list_add_tail(&x->kills, &process->kill_link);
	has_work(p);
}

static void tracer_forget(struct platform_thread *t)
{
	mutex_lock(&t->p->lock);
	mutex_lock(&t->lock);
	if (t->tracee)
		t->tracee->t = NULL;
	t->tracee = NULL;
	mutex_unlock(&t->lock);
	mutex_unlock(&t->p->lock);
}

static int tracer_start(struct platform *p)
{
	(void)p; /* the one in platform_next reaps */
	return 0;
}

const struct platform_backend ptrace_backend = {
    .name = "ptrace",
    .pinned = true,
    .build_filter = filter_build_ptrace,
    .boot = tracer_boot,
    .start = tracer_start,
    .stop = tracer_stop,
    .release = tracer_release,
    .receive = tracer_receive,
    .wake = tracer_wake,
    .reply = tracer_reply,
    .kick_locked = tracer_kick_locked,
    .kill_locked = tracer_kill_locked,
    .forget = tracer_forget,
};
