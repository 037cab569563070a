/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for children (wait(2)). Every thread of a process waits for the children of all its
 * threads, unless __WNOTHREAD, which we take for the same: which thread made a child is not kept.
 *
 * A child has news of three kinds: it is a zombie; it has stopped (wait_stopped); it was continued
 * (wait_continued). Taking news clears it, unless WNOWAIT.
 */
#include "sentry/kernel/wait.h"

#include <errno.h>
#include <string.h>

#include "abi/sched.h"
#include "abi/signal.h"
#include "sentry/kernel/cputime.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/exit.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_block.h"

bool wait_eligible_locked(const struct thread_group *child, const struct wait_query *q)
{
	bool clone_child = child->exit_signal != ABI_SIGCHLD;

	if (q->idtype == ABI_P_PID && child->tgid != q->id)
		return false;
	if (q->idtype == ABI_P_PGID && (!child->pgrp || child->pgrp->pgid != q->id))
		return false;
	return (q->options & ABI_WALL) || clone_child == ((q->options & ABI_WCLONE) != 0);
}

static void fill_common(struct thread_group *child, struct wait_result *r)
{
	memset(r, 0, sizeof(*r));
	r->pid = child->tgid;
	r->uid = child->leader->cred->uid;
	cputime_rusage(child, &r->rusage);
}

static void fill_exit(struct thread_group *child, struct wait_result *r)
{
	fill_common(child, r);
	r->wait_status = child->exit_code;
	if (child->exit_code & 0x7f) {
		r->code = child->exit_code & 0x80 ? ABI_CLD_DUMPED : ABI_CLD_KILLED;
		r->status = child->exit_code & 0x7f;
	} else {
		r->code = ABI_CLD_EXITED;
		r->status = (child->exit_code >> 8) & 0xff;
	}
}

/* A child that was waited for counts for its parent (times(2), getrusage(2)). */
static void add_times(struct thread_group *parent, struct thread_group *child)
{
	struct cputime used;

	cputime_of_process(child, &used);
	atomic_fetch_add(&parent->dead_children_utime, used.utime + child->dead_children_utime);
	atomic_fetch_add(&parent->dead_children_stime, used.stime + child->dead_children_stime);
}

/* Takes news of one child; false if it has none that q asks for. */
static bool take_news(struct thread_group *parent, struct thread_group *child,
		      const struct wait_query *q, struct wait_result *r, struct list *dead)
{
	bool keep = q->options & ABI_WNOWAIT;

	if (child->zombie) {
		if (!(q->options & ABI_WEXITED))
			return false;
		fill_exit(child, r);
		if (!keep) {
			add_times(parent, child);
			exit_reap_locked(child, dead);
		}
		return true;
	}
	if (child->wait_stopped && (q->options & ABI_WSTOPPED)) {
		fill_common(child, r);
		r->code = ABI_CLD_STOPPED;
		r->status = child->stop_signal;
		r->wait_status = ABI_W_STOPPED(child->stop_signal);
		child->wait_stopped = keep;
		return true;
	}
	if (child->wait_continued && (q->options & ABI_WCONTINUED)) {
		fill_common(child, r);
		r->code = ABI_CLD_CONTINUED;
		r->status = ABI_SIGCONT;
		r->wait_status = ABI_W_CONTINUED;
		child->wait_continued = keep;
		return true;
	}
	return false;
}

/* 0 with *r; -ECHILD: there is no such child; -EAGAIN: none has news. */
static int scan(struct task *t, const struct wait_query *q, struct wait_result *r)
{
	struct thread_group *tg = t->tg, *child, *next;
	int err = -ECHILD;
	struct list dead;

	list_init(&dead);
	mutex_lock(&t->kernel->tasks_lock);
	list_for_each_safe (child, next, &tg->children, sibling) {
		if (!wait_eligible_locked(child, q))
			continue;
		err = -EAGAIN;
		if (take_news(tg, child, q, r, &dead)) {
			err = 0;
			break;
		}
	}
	mutex_unlock(&t->kernel->tasks_lock);
	exit_drop_reaped(&dead);
	return err;
}

int64_t wait_for_child(struct task *t, const struct wait_query *q, struct wait_result *ret)
{
	int err = scan(t, q, ret);

	if (err != -EAGAIN)
		return err;
	if (q->options & ABI_WNOHANG) {
		memset(ret, 0, sizeof(*ret));
		return 0;
	}
	task_wait_add(t, &t->tg->child_wait, ~0u, NULL);
	err = scan(t, q, ret);
	if (err != -EAGAIN)
		return err;
	return task_block(t, -ERESTARTSYS);
}
