/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is whose child. The host tells it twice, in either order: the parent's event of the clone
 * names the child, and the child stops before its first instruction. Both can be trusted.
 *
 *	parent				tracer				child
 *	clone				stop: is it what was ordered?
 *					goes on
 *	event: made tid 7					stops: 7
 *					7 is the thread that was ordered
 *
 * A parent that is killed in between never tells. Its child, which stopped and is nobody's, is
 * known as such when no clone is under way any more that began before it was seen; then it is
 * killed. A child may also be dead before its parent tells of it; so deaths of strangers are kept
 * as long.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include "base/mem.h"
#include "platform/ptrace/tracer.h"

/* Those that none of the clones under way can have made. */
static void sweep_strangers(struct tracer *x)
{
	struct tracee *first = list_first_or_null(&x->cloning, struct tracee, clone_link), *s, *tmp;

	list_for_each_safe (s, tmp, &x->strangers, link) {
		if (first && s->order >= first->order)
			break;
		list_del(&s->link);
		if (s->gone)
			free(s);
		else
			kill(s->tid, SIGKILL);
	}
}

void clone_let_through(struct tracer *x, struct tracee *e)
{
	list_del(&e->clone_link);
	e->order = ++x->clone_order;
	list_add_tail(&x->cloning, &e->clone_link);
}

void clone_over(struct tracer *x, struct tracee *e)
{
	if (!list_linked(&e->clone_link))
		return;
	list_del(&e->clone_link);
	sweep_strangers(x);
}

static struct tracee *stranger(struct tracer *x, struct tracee *s)
{
	s->order = x->clone_order;
	list_add_tail(&x->strangers, &s->link);
	return s;
}

void stranger_stopped(struct tracer *x, pid_t tid)
{
	stranger(x, tracee_new(x, tid, TRACEE_STRANGER))->stopped = true;
	sweep_strangers(x);
}

void stranger_died(struct tracer *x, pid_t tid)
{
	struct tracee *s;

	if (list_empty(&x->cloning))
		return;
	s = xnew(struct tracee);
	s->tid = tid;
	s->gone = true;
	list_init(&s->clone_link);
	list_init(&s->work_link);
	stranger(x, s);
}

/* The stranger of that tid, taken off the list, or a new tracee. */
static struct tracee *claim(struct tracer *x, pid_t tid)
{
	struct tracee *s = idmap_get(&x->tracees, (uint32_t)tid);

	if (!s) {
		list_for_each (s, &x->strangers, link)
			if (s->tid == tid)
				break;
		if (&s->link == &x->strangers)
			return tracee_new(x, tid, TRACEE_BORN);
	}
	list_del(&s->link);
	s->phase = TRACEE_BORN;
	return s;
}

void tracee_attach_locked(struct tracee *e, struct platform_thread *t)
{
	mutex_lock(&t->lock);
	t->tracee = e;
	mutex_unlock(&t->lock);
	e->t = t;
	e->pid = t->process->pid;
	if (t->kind == PCLONE_FORK) {
		e->fds = xnew(int);
		e->fds[0] = fcntl(t->mm->channel_fd, F_DUPFD_CLOEXEC, 0);
		e->fd_count = 1;
	}
	e->kick = t->kick_pending;
	if (t->kill_pending)
		process_kill_locked(t->process);
}

static void bind_locked(struct tracee *e, struct platform_thread *t)
{
	thread_bind_locked(t, e->tid);
	tracee_attach_locked(e, t);
}

/* It died before its parent's event came. */
static void bind_dead_locked(struct platform *p, struct tracee *e, struct platform_thread *t)
{
	bind_locked(e, t);
	if (t->kind == PCLONE_THREAD)
		thread_dies_locked(t, !t->process->killed);
	else
		process_died_locked(p, t->process);
	t->tracee = NULL;
	tracee_close_fds(e);
}

/* child: NULL if it was killed before it was born. */
static void born_locked(struct platform *p, struct tracee *e, struct platform_thread *child)
{
	if (e->gone) {
		if (child)
			bind_dead_locked(p, e, child);
		free(e);
	} else if (!child) {
		kill(e->tid, SIGKILL);
	} else {
		bind_locked(e, child);
		if (!e->stopped)
			return;
		e->phase = TRACEE_BIRTH;
		tracee_resume(e, PTRACE_CONT, 0);
	}
}

void clone_made(struct platform *p, struct tracee *e, pid_t tid)
{
	struct tracer *x = tracer_of(p);
	bool ordered = e->t && list_linked(&e->clone_link);

	mutex_lock(&p->lock);
	born_locked(p, claim(x, tid), ordered ? e->t->clone_child : NULL);
	mutex_unlock(&p->lock);
	clone_over(x, e);
}

void clone_settle_locked(struct platform_thread *t, const struct platform_event *ev)
{
	struct platform_thread *child = t->clone_child;

	if (!child)
		return;
	clone_settled_locked(child);
	if (ev && clone_has_failed(ev) && !t->internal) {
		clone_failed_locked(child);
	} else {
		thread_dies_locked(child, !child->kill_pending);
	}
}
