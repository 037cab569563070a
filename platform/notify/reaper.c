/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reaper: the sentry is the parent of every stub process (CLONE_PARENT), so it hears of each
 * death here, once. A process is looked at before it is reaped (WNOWAIT), so that its id stays
 * taken until nobody will use it any more.
 *
 *	platform_kill			reaper
 *	lock; process->dead? no
 *	kill(pid)	 		waitid(WNOWAIT): pid is a zombie, its id is taken
 *	unlock				lock; process->dead = true; unlock
 *					waitid(pid): from here on the id may be reused
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "platform/notify/notify.h"

/*
 * A process that died before its HELLO: which clone made it? Its creator says so at its next event
 * (notify.c, settle_clone_locked), if it hasn't yet. An id that nobody claims wasn't ours.
 */
static void stranger_died_locked(struct platform *p, pid_t pid)
{
	struct platform_thread *t, *tmp;

	list_for_each_safe (t, tmp, &p->outstanding, link)
		if (t->asked && t->kind != PCLONE_THREAD && t->tid_hint == pid) {
			thread_dies_locked(t, true);
			return;
		}
	p->early_dead[p->early_dead_next++ % EARLY_DEAD_MAX] = pid;
}

static void one_died(struct platform *p, pid_t pid)
{
	struct host_process *process;
	bool works = true, heir;

	mutex_lock(&p->lock);
	process = idmap_get(&p->pids, (uint32_t)pid);
	heir = p->zygote && p->zygote->process == process;
	count_stat(reaped);
	if (!process)
		stranger_died_locked(p, pid);
	else
		works = process_gone_locked(p, process);
	mutex_unlock(&p->lock);
	if (!works)
		p->callbacks->broken(p->callbacks->broken_cookie,
				     "the zygote was killed from outside, and no spare is left");
	run_deaths(p);
	if (heir && works && !atomic_load(&p->stopping))
		replenish_spares(p); /* one of them was promoted */
}

/* Waits for one death and takes note of it. False: there is no child left. */
static bool reap_one(struct platform *p)
{
	siginfo_t si = {0};

	if (waitid(P_ALL, 0, &si, WEXITED | WNOWAIT | __WALL) < 0)
		return errno == EINTR;
	one_died(p, si.si_pid);
	waitid(P_PID, (id_t)si.si_pid, &si, WEXITED | __WALL);
	return true;
}

static bool all_gone(struct platform *p)
{
	bool gone;

	mutex_lock(&p->lock);
	gone = atomic_load(&p->stopping) && p->processes == 0;
	mutex_unlock(&p->lock);
	return gone;
}

void reap_all(struct platform *p)
{
	while (!all_gone(p) && reap_one(p))
		;
}

static void *reaper_main(void *arg)
{
	reap_all(arg);
	return NULL;
}

int reaper_start(struct platform *p)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&p->reaper, NULL, reaper_main, p);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	p->reaper_started = err == 0;
	return -err;
}
