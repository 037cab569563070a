/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies. Whoever replies writes down what is to be done (tracer_reply); the tracer does it
 * (tracee_apply), at once if it is the one.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "platform/ptrace/tracer.h"

/* What rt_sigreturn lets a program set: AC OF DF TF SF ZF AF PF CF RF. */
#define RFLAGS_USER 0x50dd5ul
/* The host takes these in rax, behind a call, for a wish to have the call made again. */
#define ERESTART_LOW  (-516)
#define ERESTART_HIGH (-512)

void regs_from_host(const struct user_regs_struct *u, struct platform_regs *r)
{
	*r = (struct platform_regs){
	    u->r15, u->r14, u->r13, u->r12, u->rbp, u->rbx,	 u->r11, u->r10,    u->r9,  u->r8,
	    u->rax, u->rcx, u->rdx, u->rsi, u->rdi, u->orig_rax, u->rip, u->eflags, u->rsp,
	};
}

static void regs_to_host(struct user_regs_struct *u, const struct platform_regs *r)
{
	u->r15 = r->r15;
	u->r14 = r->r14;
	u->r13 = r->r13;
	u->r12 = r->r12;
	u->rbp = r->rbp;
	u->rbx = r->rbx;
	u->r11 = r->r11;
	u->r10 = r->r10;
	u->r9 = r->r9;
	u->r8 = r->r8;
	u->rax = r->rax;
	u->rcx = r->rcx;
	u->rdx = r->rdx;
	u->rsi = r->rsi;
	u->rdi = r->rdi;
	u->rip = r->rip;
	u->eflags = (u->eflags & ~RFLAGS_USER) | (r->rflags & RFLAGS_USER);
	u->rsp = r->rsp;
}

void tracee_close_fds(struct tracee *e)
{
	for (uint32_t i = 0; i < e->fd_count; i++)
		if (e->fds[i] >= 0)
			close(e->fds[i]);
	free(e->fds);
	e->fds = NULL;
	e->fd_count = 0;
}

/* Nothing that needs the stub: results and registers only. */
static bool is_simple(const struct platform_reply *r)
{
	return r->memop_count == 0 && r->order == PORD_NONE && !r->frame && !r->report;
}

static bool only_result(const struct tracee *e, const struct platform_reply *r)
{
	return e->phase == TRACEE_CALL && r->set_ret && !r->set_regs && !r->restart &&
	       !r->set_fs_base && (r->ret < ERESTART_LOW || r->ret > ERESTART_HIGH);
}

/* As the stub does it (stub/main.c, set_state). */
static void edit_registers(struct tracee *e, const struct platform_reply *r)
{
	struct user_regs_struct *u = &e->regs;

	if (e->phase == TRACEE_CALL)
		u->rax = u->orig_rax;
	u->orig_rax = ~0ul;
	if (r->set_regs)
		regs_to_host(u, &r->regs);
	if (r->set_ret)
		u->rax = (uint64_t)r->ret;
	if (r->restart)
		u->rip -= 2;
	if (r->set_fs_base && r->fs_base < PLATFORM_GUEST_MAX)
		u->fs_base = r->fs_base;
}

/* The index of the same descriptor in what is handed in already; it stays open for that one. */
static bool same_fd(struct platform_thread *t, const struct platform_reply *r, uint32_t index)
{
	for (uint32_t i = index; i-- > 0;) {
		if (r->memops[i].type != MEMOP_MMAP_FD || r->memops[i].fd != r->memops[index].fd)
			continue;
		t->ch->memops[i].flags = r->memops[i].flags | CHANNEL_MEMOP_KEEP_FD;
		return true;
	}
	return false;
}

/* Where the descriptor of an operation before `index` was put. */
static uint32_t place_of(const int *sources, uint32_t count, int fd)
{
	uint32_t i = 0;

	while (i < count && sources[i] != fd)
		i++;
	return i;
}

/*
 * Descriptors are borrowed until the reply returns, and handed in later. One that can't be had
 * makes the host's mmap fail, and that is reported.
 */
static void keep_fds(struct tracee *e, struct platform_thread *t, const struct platform_reply *r)
{
	int sources[PLATFORM_MEMOPS_MAX];

	for (uint32_t i = 0; i < r->memop_count; i++) {
		uint32_t place;
		int fd;

		if (r->memops[i].type != MEMOP_MMAP_FD)
			continue;
		if (!e->fds)
			e->fds = xcalloc(PLATFORM_MEMOPS_MAX, sizeof(*e->fds));
		place = place_of(sources, e->fd_count, r->memops[i].fd);
		if (!same_fd(t, r, i)) {
			fd = fcntl(r->memops[i].fd, F_DUPFD_CLOEXEC, 0);
			if (fd < 0)
				continue; /* index -1 of the encoding: no such descriptor */
			sources[e->fd_count] = r->memops[i].fd;
			e->fds[e->fd_count++] = fd;
		}
		t->ch->memops[i].fd_or_advice = (int32_t)place;
	}
	t->ch->rep.fd_count = e->fd_count;
}

/* Caller holds t->lock; t is STOPPED. */
static void write_down_locked(struct tracee *e, struct platform_thread *t,
			      const struct platform_reply *r)
{
	bool in_guest = e->phase == TRACEE_CALL || e->phase == TRACEE_KICKED;

	t->ordered = (struct ordered){r->order, r->memop_count, r->report, r->frame != NULL};
	t->state = THREAD_RUNNING;
	if (in_guest && only_result(e, r) && is_simple(r)) {
		e->regs.rax = (uint64_t)r->ret;
		e->reply = REPLY_RESULT;
		return;
	}
	if (in_guest && is_simple(r)) {
		edit_registers(e, r);
		e->reply = REPLY_REGISTERS;
		return;
	}
	reply_encode(t, r);
	add_stat(memops, r->memop_count);
	keep_fds(e, t, r);
	e->reply = in_guest ? REPLY_ENTER : REPLY_STUB;
	atomic_store_explicit(&t->ch->state, CHANNEL_REPLY, memory_order_release);
}

void tracee_enter(struct tracee *e, int sig)
{
	struct user_regs_struct *u = &e->regs;

	if (e->phase == TRACEE_CALL || e->phase == TRACEE_GUEST)
		u->rax = u->orig_rax;
	u->orig_rax = ~0ul;
	ptrace(PTRACE_SETREGS, e->tid, NULL, u);
	e->enter_signal = sig;
	e->phase = TRACEE_ENTER;
	syscall(SYS_tgkill, e->pid, e->tid, sig);
	tracee_resume(e, PTRACE_CONT, 0);
}

/* In guest code, and a kick is due: no need to let it go on for that. */
static void hold(struct tracer *x, struct tracee *e)
{
	if (e->reply == REPLY_RESULT)
		e->regs.orig_rax = ~0ul;
	e->phase = TRACEE_HELD;
	list_add_tail(&x->held, &e->link);
}

void tracee_apply(struct tracer *x, struct tracee *e)
{
	switch (e->reply) {
	case REPLY_RESULT:
	case REPLY_REGISTERS:
		if (e->kick) {
			hold(x, e);
			return;
		}
		if (e->reply == REPLY_RESULT)
			ptrace(PTRACE_POKEUSER, e->tid, offsetof(struct user_regs_struct, rax),
			       e->regs.rax);
		else
			ptrace(PTRACE_SETREGS, e->tid, NULL, &e->regs);
		tracee_to_guest(e);
		return;
	case REPLY_ENTER:
		tracee_enter(e, STUB_KICK_SIGNAL);
		return;
	case REPLY_STUB:
		e->phase = TRACEE_STUB;
		tracee_resume(e, PTRACE_CONT, 0);
		return;
	}
}

int tracer_reply(struct platform_thread *t, const struct platform_reply *r)
{
	struct platform *p = t->p; /* what is replied to may be gone after the lock is free */
	struct tracer *x = tracer_of(p);
	bool mine = on_tracer(x), replied = false;
	struct tracee *e;

	mutex_lock(&t->lock);
	e = t->tracee;
	if (t->state == THREAD_STOPPED && e) {
		write_down_locked(e, t, r);
		replied = true;
	}
	if (replied && !mine) {
		mutex_lock(&x->work_lock);
		e->replied = true;
		list_del(&e->work_link);
		list_add_tail(&x->work, &e->work_link);
		mutex_unlock(&x->work_lock);
		atomic_store(&x->has_work, true);
	}
	mutex_unlock(&t->lock);
	if (replied && mine)
		tracee_apply(x, e);
	else if (replied && atomic_load(&p->in_recv))
		tracer_wake(p);
	return 0;
}
