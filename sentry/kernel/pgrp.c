/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/kernel/pgrp.h"
#include "sentry/kernel/answers.h"

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/task.h"

struct process_group *pgrp_get(struct process_group *pg)
{
	refcount_get(&pg->ref);
	return pg;
}

void pgrp_put(struct process_group *pg)
{
	if (!refcount_put(&pg->ref))
		return;
	session_put(pg->session);
	free(pg);
}

struct session *session_get(struct session *s)
{
	refcount_get(&s->ref);
	return s;
}

void session_put(struct session *s)
{
	if (!refcount_put(&s->ref))
		return;
	debug_check(!s->tty);
	free(s);
}

struct process_group *pgrp_find_locked(struct kernel *k, int32_t pgid)
{
	assert_held(&k->tasks_lock);
	return pgid > 0 ? idmap_get(&k->pgrps, (uint32_t)pgid) : NULL;
}

/* An empty group in s; the reference is the caller's. */
static struct process_group *pgrp_new_locked(struct kernel *k, int32_t pgid, struct session *s)
{
	struct process_group *pg = xnew(struct process_group);

	refcount_init(&pg->ref);
	pg->pgid = pgid;
	pg->session = session_get(s);
	list_init(&pg->members);
	s->pgrp_count++;
	idmap_set(&k->pgrps, (uint32_t)pgid, pg);
	return pg;
}

static void pgrp_empty_locked(struct kernel *k, struct process_group *pg)
{
	struct session *s = pg->session;

	idmap_set(&k->pgrps, (uint32_t)pg->pgid, NULL);
	if (--s->pgrp_count == 0)
		idmap_set(&k->sessions, (uint32_t)s->sid, NULL);
}

void pgrp_leave_locked(struct thread_group *tg)
{
	struct process_group *pg = tg->pgrp;

	assert_held(&tg->kernel->tasks_lock);
	if (!pg)
		return;
	list_del(&tg->pgrp_link);
	tg->pgrp = NULL;
	if (list_empty(&pg->members))
		pgrp_empty_locked(tg->kernel, pg);
	pgrp_put(pg);
}

void pgrp_join_locked(struct thread_group *tg, struct process_group *pg)
{
	if (tg->pgrp == pg)
		return;
	pgrp_get(pg);
	/* First in, then out: pg must not be empty in between. */
	struct process_group *old = tg->pgrp;

	if (old)
		list_del(&tg->pgrp_link);
	list_add_tail(&pg->members, &tg->pgrp_link);
	tg->pgrp = pg;
	answers_group_changed_locked(tg);
	if (!old)
		return;
	if (list_empty(&old->members))
		pgrp_empty_locked(tg->kernel, old);
	pgrp_put(old);
}

void session_create_locked(struct thread_group *tg)
{
	struct session *s = xnew(struct session);
	struct process_group *pg;

	refcount_init(&s->ref);
	s->sid = tg->tgid;
	idmap_set(&tg->kernel->sessions, (uint32_t)s->sid, s);
	pg = pgrp_new_locked(tg->kernel, tg->tgid, s);
	session_put(s);
	pgrp_join_locked(tg, pg);
	pgrp_put(pg);
}

/* ---- orphans ---- */

bool pgrp_orphaned_locked(const struct process_group *pg)
{
	struct thread_group *tg;

	list_for_each (tg, &pg->members, pgrp_link) {
		const struct thread_group *parent = tg->parent;

		if (tg->zombie || !parent || !parent->pgrp)
			continue;
		if (parent->pgrp != pg && parent->pgrp->session == pg->session)
			return false;
	}
	return true;
}

static bool has_stopped_jobs(const struct process_group *pg)
{
	struct thread_group *tg;

	list_for_each (tg, &pg->members, pgrp_link)
		if (tg->stop_state == TG_STOPPED && !tg->zombie)
			return true;
	return false;
}

void pgrp_check_orphaned_locked(struct thread_group *tg, const struct thread_group *parent)
{
	struct process_group *pg = tg->pgrp;

	if (!pg || !parent || !parent->pgrp || parent->pgrp == pg ||
	    parent->pgrp->session != pg->session)
		return;
	if (!pgrp_orphaned_locked(pg) || !has_stopped_jobs(pg))
		return;
	signal_send_pgrp_locked(pg, ABI_SIGHUP, NULL);
	signal_send_pgrp_locked(pg, ABI_SIGCONT, NULL);
}

/* ---- the calls ---- */

/* What setpgid(2) refuses; *ret_target is who moves. */
static int setpgid_check_locked(struct thread_group *me, int32_t pid, int32_t pgid,
				struct thread_group **ret_target)
{
	const struct task *t = pid > 0 ? idmap_get(&me->kernel->tids, (uint32_t)pid) : NULL;
	struct thread_group *tg = t ? t->tg : NULL;

	if (t && tg->tgid != pid)
		return -EINVAL;			   /* a thread */
	if (!tg || (tg != me && tg->parent != me)) /* a child may be a zombie */
		return -ESRCH;
	if (tg != me) {
		if (tg->pgrp->session != me->pgrp->session)
			return -EPERM;
		if (tg->did_exec)
			return -EACCES;
	}
	if (tg->pgrp->session->sid == tg->tgid)
		return -EPERM;
	if (pgid != pid) {
		struct process_group *pg = pgrp_find_locked(me->kernel, pgid);

		if (!pg || pg->session != me->pgrp->session)
			return -EPERM;
	}
	*ret_target = tg;
	return 0;
}

int pgrp_setpgid(struct task *t, int32_t pid, int32_t pgid)
{
	struct kernel *k = t->kernel;
	struct thread_group *tg;
	struct process_group *pg;
	int err;

	if (!pid)
		pid = t->tg->tgid;
	if (!pgid)
		pgid = pid;
	if (pgid < 0)
		return -EINVAL;
	mutex_lock(&k->tasks_lock);
	err = setpgid_check_locked(t->tg, pid, pgid, &tg);
	if (!err) {
		pg = pgrp_find_locked(k, pgid);
		pg = pg ? pgrp_get(pg) : pgrp_new_locked(k, pgid, tg->pgrp->session);
		pgrp_join_locked(tg, pg);
		pgrp_put(pg);
	}
	mutex_unlock(&k->tasks_lock);
	return err;
}

int pgrp_setsid(struct task *t)
{
	struct thread_group *tg = t->tg;
	int ret = tg->tgid;

	mutex_lock(&t->kernel->tasks_lock);
	if (tg->pgrp->session->sid == tg->tgid || pgrp_find_locked(t->kernel, tg->tgid))
		ret = -EPERM;
	else
		session_create_locked(tg);
	mutex_unlock(&t->kernel->tasks_lock);
	return ret;
}

/* The group of a process or thread (0: the caller's), or NULL. */
static const struct process_group *group_of_locked(struct task *t, int32_t pid)
{
	const struct task *other = t;

	if (pid)
		other = pid > 0 ? idmap_get(&t->kernel->tids, (uint32_t)pid) : NULL;
	return other ? other->tg->pgrp : NULL;
}

int pgrp_getpgid(struct task *t, int32_t pid)
{
	const struct process_group *pg;
	int ret;

	mutex_lock(&t->kernel->tasks_lock);
	pg = group_of_locked(t, pid);
	ret = pg ? pg->pgid : -ESRCH;
	mutex_unlock(&t->kernel->tasks_lock);
	return ret;
}

int pgrp_getsid(struct task *t, int32_t pid)
{
	const struct process_group *pg;
	int ret;

	mutex_lock(&t->kernel->tasks_lock);
	pg = group_of_locked(t, pid);
	ret = pg ? pg->session->sid : -ESRCH;
	mutex_unlock(&t->kernel->tasks_lock);
	return ret;
}
