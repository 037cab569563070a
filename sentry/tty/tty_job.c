/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Job control: which session a terminal controls, which of its groups is in the foreground, who
 * gets which signal (credit: POSIX.1 chapter 11, Linux drivers/tty/tty_jobctrl.c for behaviour).
 *
 * Differences from Linux: the controlling terminal belongs to the session, not to each process, so
 * TIOCNOTTY by a process that doesn't lead its session changes nothing (and succeeds).
 *
 * tasks_lock guards all of it and is taken without tty.lock.
 */
#include "abi/caps.h"
#include "abi/errno.h"
#include "abi/fcntl.h"
#include "abi/signal.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pgrp.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/usermem.h"
#include "sentry/tty/tty_internal.h"

/* ---- looking things up, under tasks_lock ---- */

static struct session *session_of(const struct task *t)
{
	return t->tg->pgrp ? t->tg->pgrp->session : NULL;
}

static bool leads_session(const struct task *t)
{
	const struct session *s = session_of(t);

	return s && s->sid == t->tg->tgid;
}

static bool controls(const struct tty *tty, const struct task *t)
{
	const struct session *s = session_of(t);

	return s && s->tty == tty;
}

/* The group with this id, if it is of the session; a reused id never is. */
static struct process_group *group_in(struct kernel *k, int32_t pgid, int32_t sid)
{
	struct process_group *pg = pgid > 0 ? idmap_get(&k->pgrps, (uint32_t)pgid) : NULL;

	return pg && pg->session->sid == sid ? pg : NULL;
}

static struct process_group *foreground(const struct tty *tty)
{
	return group_in(tty->kernel, tty->fg_pgid, tty->sid);
}

int32_t tty_foreground_locked(const struct tty *tty)
{
	return tty->fg_pgid > 0 ? tty->fg_pgid : -1;
}

struct tty *tty_of_task(struct task *t)
{
	const struct session *s;
	struct tty *tty = NULL;

	mutex_lock(&t->kernel->tasks_lock);
	s = session_of(t);
	if (s && s->tty)
		tty = tty_get(s->tty);
	mutex_unlock(&t->kernel->tasks_lock);
	return tty;
}

/* ---- signals ---- */

void tty_signal_foreground(struct tty *tty, int signo)
{
	struct process_group *pg;

	mutex_lock(&tty->kernel->tasks_lock);
	pg = foreground(tty);
	if (pg)
		signal_send_pgrp_locked(pg, signo, NULL);
	mutex_unlock(&tty->kernel->tasks_lock);
}

/* Whether the signal would do nothing to this task. */
static bool is_ignored(struct task *t, int signo)
{
	bool ignored;

	mutex_lock(&t->tg->siglock);
	ignored = (t->blocked & SIGBIT(signo)) || t->tg->actions[signo - 1].handler == ABI_SIG_IGN;
	mutex_unlock(&t->tg->siglock);
	return ignored;
}

static int check_background(struct task *t, int signo)
{
	struct process_group *pg = t->tg->pgrp;

	if (is_ignored(t, signo))
		return signo == ABI_SIGTTIN ? -EIO : 0;
	if (pgrp_orphaned_locked(pg))
		return -EIO;
	signal_send_pgrp_locked(pg, signo, NULL);
	return -ERESTARTSYS;
}

int tty_check_job(struct tty *tty, struct task *t, int signo)
{
	int ret = 0;

	mutex_lock(&t->kernel->tasks_lock);
	if (controls(tty, t) && tty->fg_pgid && t->tg->pgrp->pgid != tty->fg_pgid)
		ret = check_background(t, signo);
	mutex_unlock(&t->kernel->tasks_lock);
	return ret;
}

/* The leader of the session, a reference or NULL. */
static struct thread_group *leader_of(struct kernel *k, int32_t sid)
{
	struct task *leader = sid > 0 ? idmap_get(&k->tids, (uint32_t)sid) : NULL;

	return leader && leader->tg->tgid == sid ? tg_get(leader->tg) : NULL;
}

/* ---- gaining and losing the terminal ---- */

/* Takes the terminal from the session that has it: the session's reference, to be put unlocked. */
static struct tty *detach(struct tty *tty)
{
	struct session *s = tty->sid ? idmap_get(&tty->kernel->sessions, (uint32_t)tty->sid) : NULL;
	struct tty *held = NULL;

	if (s && s->tty == tty) {
		held = s->tty;
		s->tty = NULL;
	}
	tty->sid = 0;
	tty->fg_pgid = 0;
	return held;
}

static void attach(struct tty *tty, struct task *t)
{
	struct session *s = session_of(t);

	s->tty = tty_get(tty);
	s->hung_pgid = 0;
	tty->sid = s->sid;
	tty->fg_pgid = t->tg->pgrp->pgid;
}

void tty_opened_by(struct tty *tty, struct task *t, struct file *f)
{
	if ((f->flags & ABI_O_NOCTTY) || !file_readable(f))
		return;
	mutex_lock(&t->kernel->tasks_lock);
	if (leads_session(t) && !session_of(t)->tty && !tty->sid)
		attach(tty, t);
	mutex_unlock(&t->kernel->tasks_lock);
}

int tty_set_controlling(struct tty *tty, struct task *t, bool steal)
{
	struct tty *lost = NULL;
	int err = 0;

	mutex_lock(&t->kernel->tasks_lock);
	if (leads_session(t) && controls(tty, t))
		goto out;
	err = -EPERM;
	if (!leads_session(t) || session_of(t)->tty)
		goto out;
	if (tty->sid && !(steal && cred_capable(t->cred, ABI_CAP_SYS_ADMIN)))
		goto out;
	lost = detach(tty);
	attach(tty, t);
	err = 0;
out:
	mutex_unlock(&t->kernel->tasks_lock);
	tty_put(lost);
	return err;
}

/* The terminal is gone: its session loses it and the leader hears of it. */
void tty_signal_hangup(struct tty *tty)
{
	struct kernel *k = tty->kernel;
	struct thread_group *leader;
	struct session *s;
	struct tty *lost;

	mutex_lock(&k->tasks_lock);
	leader = leader_of(k, tty->sid);
	s = tty->sid ? idmap_get(&k->sessions, (uint32_t)tty->sid) : NULL;
	if (s && s->tty == tty)
		s->hung_pgid = tty->fg_pgid;
	lost = detach(tty);
	mutex_unlock(&k->tasks_lock);
	if (leader) {
		signal_send_group(leader, ABI_SIGHUP, NULL);
		signal_send_group(leader, ABI_SIGCONT, NULL);
		tg_put(leader);
	}
	tty_put(lost);
}

/* SIGHUP, and SIGCONT so that stopped ones see it. */
static void hang_up_group(struct process_group *pg)
{
	if (!pg)
		return;
	signal_send_pgrp_locked(pg, ABI_SIGHUP, NULL);
	signal_send_pgrp_locked(pg, ABI_SIGCONT, NULL);
}

void tty_leader_exit(struct task *leader)
{
	struct kernel *k = leader->kernel;
	struct tty *lost = NULL;
	struct session *s;

	mutex_lock(&k->tasks_lock);
	s = session_of(leader);
	if (s && s->tty) {
		hang_up_group(foreground(s->tty));
		lost = detach(s->tty);
	} else if (s && s->hung_pgid) {
		hang_up_group(group_in(k, s->hung_pgid, s->sid));
		s->hung_pgid = 0;
	}
	mutex_unlock(&k->tasks_lock);
	tty_put(lost);
}

/* TIOCNOTTY */
static int64_t give_up(struct tty *tty, struct task *t)
{
	bool mine, leader;

	mutex_lock(&t->kernel->tasks_lock);
	mine = controls(tty, t);
	leader = leads_session(t);
	mutex_unlock(&t->kernel->tasks_lock);
	if (!mine)
		return -ENOTTY;
	if (leader)
		tty_leader_exit(t);
	return 0;
}

/* ---- ioctls ---- */

/* Foreground group or session; only one's own terminal tells, or the master of a pair. */
static int64_t get_id(struct tty *tty, struct task *t, uint32_t cmd, uint64_t arg, bool from_master)
{
	int32_t id;
	bool told;

	mutex_lock(&t->kernel->tasks_lock);
	told = from_master || controls(tty, t);
	id = cmd == ABI_TIOCGSID ? tty->sid : tty->fg_pgid;
	mutex_unlock(&t->kernel->tasks_lock);
	if (!told || (cmd == ABI_TIOCGSID && !id))
		return -ENOTTY;
	return copy_to_user(t, uaddr(arg), &id, sizeof(id));
}

static int64_t set_foreground(struct tty *tty, struct task *t, uint64_t arg)
{
	struct process_group *pg;
	int32_t pgid;
	int64_t err = tty_check_job(tty, t, ABI_SIGTTOU);

	if (err)
		return err == -EIO ? -ENOTTY : err;
	err = copy_from_user(t, &pgid, uaddr(arg), sizeof(pgid));
	if (err)
		return err;
	if (pgid < 0)
		return -EINVAL;
	mutex_lock(&t->kernel->tasks_lock);
	pg = idmap_get(&t->kernel->pgrps, (uint32_t)pgid);
	if (!controls(tty, t))
		err = -ENOTTY;
	else if (!pg)
		err = -ESRCH;
	else if (pg->session != session_of(t))
		err = -EPERM;
	else
		tty->fg_pgid = pgid;
	mutex_unlock(&t->kernel->tasks_lock);
	return err;
}

int64_t tty_ioctl_job(struct tty *tty, struct task *t, uint32_t cmd, uint64_t arg, bool from_master)
{
	switch (cmd) {
	case ABI_TIOCSCTTY:
		return tty_set_controlling(tty, t, arg == 1);
	case ABI_TIOCNOTTY:
		return from_master ? -ENOTTY : give_up(tty, t);
	case ABI_TIOCGPGRP:
	case ABI_TIOCGSID:
		return get_id(tty, t, cmd, arg, from_master);
	case ABI_TIOCSPGRP:
		return set_foreground(tty, t, arg);
	}
	return -ENOIOCTLCMD;
}
