/* SPDX-License-Identifier: Apache-2.0 */
/* Who may look into whose /proc/PID, who owns it, and what there is to tell of a task's state. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/caps.h"
#include "abi/errno.h"
#include "sentry/fs/proc/proc_internal.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"

static bool same_user(const struct cred *c, const struct cred *target)
{
	return c->fsuid == target->euid && c->fsuid == target->suid && c->fsuid == target->uid &&
	       c->fsgid == target->egid && c->fsgid == target->sgid && c->fsgid == target->gid;
}

int proc_may_access(const struct cred *c, struct task *target)
{
	bool capable = cred_capable(c, ABI_CAP_SYS_PTRACE), allowed;
	const struct cred *theirs;

	mutex_lock(&target->kernel->tasks_lock);
	theirs = target->cred;
	/* The same object: a thread of that process (fork.c), or a file that it has opened. */
	allowed = capable || c == theirs ||
		  (theirs && same_user(c, theirs) && target->tg->dumpable &&
		   !(theirs->cap_permitted & ~c->cap_effective));
	mutex_unlock(&target->kernel->tasks_lock);
	return allowed ? 0 : -EACCES;
}

bool proc_task_exists(struct task *t)
{
	bool exists;

	mutex_lock(&t->kernel->tasks_lock);
	exists = idmap_get(&t->kernel->tids, (uint32_t)t->tid) == t;
	mutex_unlock(&t->kernel->tasks_lock);
	return exists;
}

void proc_task_owner(struct task *t, uint32_t *ret_uid, uint32_t *ret_gid)
{
	*ret_uid = *ret_gid = 0;
	mutex_lock(&t->kernel->tasks_lock);
	if (t->cred && t->tg->dumpable) {
		*ret_uid = t->cred->euid;
		*ret_gid = t->cred->egid;
	}
	mutex_unlock(&t->kernel->tasks_lock);
}

/* A thread in guest code may sleep in a futex wait that the host serves. */
static char host_state(struct task *t)
{
	char path[48], *text, *behind, state = 'R';
	pid_t pid = proc_host_pid(t);

	if (pid <= 0 || t->tid != t->tg->tgid)
		return state;
	snprintf(path, sizeof(path), "%d/stat", pid);
	if (!proc_host_read(t->kernel, path, &text))
		return state;
	behind = strrchr(text, ')');
	if (behind && behind[1] == ' ' && behind[2] == 'S')
		state = 'S';
	free(text);
	return state;
}

char proc_task_state(struct task *t)
{
	bool stopped;

	if ((atomic_load(&t->state) & TASK_STATE_MASK) == TASK_DEAD)
		return 'Z';
	mutex_lock(&t->tg->siglock);
	stopped = t->tg->stop_state == TG_STOPPED;
	mutex_unlock(&t->tg->siglock);
	if (stopped)
		return 'T';
	switch (atomic_load(&t->state) & TASK_STATE_MASK) {
	case TASK_BLOCKED:
		return 'S';
	case TASK_GUEST:
		return host_state(t);
	default:
		return 'R';
	}
}

uint32_t proc_running_count(struct kernel *k, uint32_t *ret_total)
{
	uint32_t running = 0, total = 0;
	struct task *t;
	int64_t tid;

	assert_held(&k->tasks_lock);
	idmap_for_each (&k->tids, tid, t) {
		unsigned state = atomic_load(&t->state) & TASK_STATE_MASK;

		total++;
		running += state == TASK_GUEST || state == TASK_HANDLER || state == TASK_QUEUED;
	}
	*ret_total = total;
	return running;
}
