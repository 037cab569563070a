/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scheduling (sched(7)). Guest threads are host threads and the host schedules them: policy, nice
 * value and affinity are kept and told, as Linux would, and change nothing.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/caps.h"
#include "abi/errno.h"
#include "abi/resource.h"
#include "abi/sched.h"
#include "abi/time.h"
#include "base/mem.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/fork.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/rlimit.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/unsupported.h"
#include "sentry/mm/usermem.h"
#include "syscalls/syscalls.h"

#define CPU_WORDS (AFFINITY_SIZE / 8)

int64_t sys_sched_yield(struct task *t, const struct sysargs *a)
{
	(void)t;
	(void)a;
	return 0;
}

static struct task *find(struct task *t, uint64_t pid)
{
	return abi_int(pid) ? task_find(t->kernel, abi_int(pid)) : task_get(t);
}

/* sched_setscheduler(2): the owner of a process, or CAP_SYS_NICE. */
static bool may_change(struct task *t, struct task *other)
{
	const struct cred *c;
	bool ok;

	if (t == other || cred_capable(t->cred, ABI_CAP_SYS_NICE))
		return true;
	c = task_cred_get(other);
	ok = t->cred->euid == c->uid || t->cred->euid == c->euid;
	cred_put(c);
	return ok;
}

/* ---- CPUs ---- */

static void all_cpus(uint64_t *words)
{
	cpu_set_t set;

	memset(words, 0, AFFINITY_SIZE);
	_Static_assert(sizeof(set) == AFFINITY_SIZE, "1024 CPUs");
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		memcpy(words, &set, sizeof(set));
	else
		words[0] = 1;
}

int64_t sys_sched_getaffinity(struct task *t, const struct sysargs *a)
{
	uint64_t words[CPU_WORDS];
	long configured = sysconf(_SC_NPROCESSORS_CONF);
	uint32_t size = (uint32_t)((MAX(configured, 1) + 63) / 64 * 8);
	struct task *other;

	if ((uint32_t)a->arg[1] < size || (a->arg[1] & 7))
		return -EINVAL;
	other = find(t, a->arg[0]);
	if (!other)
		return -ESRCH;
	all_cpus(words);
	mutex_lock(&t->kernel->tasks_lock);
	if (other->affinity)
		memcpy(words, other->affinity, AFFINITY_SIZE);
	mutex_unlock(&t->kernel->tasks_lock);
	task_put(other);
	size = MIN(size, (uint32_t)AFFINITY_SIZE);
	if (copy_to_user(t, uaddr(a->arg[2]), words, size))
		return -EFAULT;
	return size;
}

int64_t sys_sched_setaffinity(struct task *t, const struct sysargs *a)
{
	uint64_t words[CPU_WORDS] = {0}, have[CPU_WORDS], any = 0;
	uint64_t *fresh, *old;
	struct task *other;

	if (copy_from_user(t, words, uaddr(a->arg[2]),
			   MIN((uint64_t)(uint32_t)a->arg[1], (uint64_t)AFFINITY_SIZE)))
		return -EFAULT;
	all_cpus(have);
	for (int i = 0; i < CPU_WORDS; i++)
		any |= words[i] &= have[i];
	other = find(t, a->arg[0]);
	if (!other)
		return -ESRCH;
	if (!may_change(t, other) || !any) {
		task_put(other);
		return any ? -EPERM : -EINVAL;
	}
	fresh = xmalloc(AFFINITY_SIZE);
	memcpy(fresh, words, AFFINITY_SIZE);
	mutex_lock(&t->kernel->tasks_lock);
	old = other->affinity;
	other->affinity = fresh;
	mutex_unlock(&t->kernel->tasks_lock);
	free(old);
	task_put(other);
	return 0;
}

/* Where the guest runs next is the host's choice; the CPU that serves this call is as good. */
int64_t sys_getcpu(struct task *t, const struct sysargs *a)
{
	unsigned cpu = 0, node = 0;

	getcpu(&cpu, &node);
	if (a->arg[0] && copy_to_user(t, uaddr(a->arg[0]), &cpu, sizeof(cpu)))
		return -EFAULT;
	if (a->arg[1] && copy_to_user(t, uaddr(a->arg[1]), &node, sizeof(node)))
		return -EFAULT;
	return 0;
}

/* ---- policies ---- */

static bool realtime(int policy)
{
	return policy == ABI_SCHED_FIFO || policy == ABI_SCHED_RR;
}

static bool known_policy(int policy)
{
	return realtime(policy) || policy == ABI_SCHED_OTHER || policy == ABI_SCHED_BATCH ||
	       policy == ABI_SCHED_IDLE;
}

static int check_policy(struct task *t, int policy, int priority)
{
	if (policy == ABI_SCHED_DEADLINE || policy == ABI_SCHED_EXT)
		return (int)unsupported(t, EINVAL, "policy %d", policy);
	if (!known_policy(policy))
		return -EINVAL;
	if (realtime(policy) ? priority < 1 || priority > 99 : priority != 0)
		return -EINVAL;
	if (realtime(policy) && !cred_capable(t->cred, ABI_CAP_SYS_NICE) &&
	    (uint64_t)priority > rlimit_get(t->tg, ABI_RLIMIT_RTPRIO))
		return -EPERM;
	return 0;
}

/* policy -1: keep. */
static int64_t set_scheduler(struct task *t, uint64_t pid, int policy, int priority)
{
	struct task *other;
	int64_t ret;

	if (abi_int(pid) < 0)
		return -EINVAL;
	other = find(t, pid);
	if (!other)
		return -ESRCH;
	if (policy < 0)
		policy = other->sched_policy;
	ret = check_policy(t, policy & ~ABI_SCHED_RESET_ON_FORK, priority);
	if (!ret && !may_change(t, other))
		ret = -EPERM;
	if (!ret) {
		mutex_lock(&t->kernel->tasks_lock);
		other->sched_policy = policy;
		other->sched_priority = priority;
		mutex_unlock(&t->kernel->tasks_lock);
	}
	task_put(other);
	return ret;
}

int64_t sys_sched_setscheduler(struct task *t, const struct sysargs *a)
{
	struct abi_sched_param param;

	if (abi_int(a->arg[1]) < 0)
		return -EINVAL;
	if (copy_from_user(t, &param, uaddr(a->arg[2]), sizeof(param)))
		return -EFAULT;
	return set_scheduler(t, a->arg[0], abi_int(a->arg[1]), param.priority);
}

int64_t sys_sched_setparam(struct task *t, const struct sysargs *a)
{
	struct abi_sched_param param;

	if (copy_from_user(t, &param, uaddr(a->arg[1]), sizeof(param)))
		return -EFAULT;
	return set_scheduler(t, a->arg[0], -1, param.priority);
}

int64_t sys_sched_getscheduler(struct task *t, const struct sysargs *a)
{
	struct task *other;
	int64_t ret;

	if (abi_int(a->arg[0]) < 0)
		return -EINVAL;
	other = find(t, a->arg[0]);
	if (!other)
		return -ESRCH;
	ret = other->sched_policy;
	task_put(other);
	return ret;
}

int64_t sys_sched_getparam(struct task *t, const struct sysargs *a)
{
	struct abi_sched_param param;
	struct task *other;

	if (abi_int(a->arg[0]) < 0)
		return -EINVAL;
	other = find(t, a->arg[0]);
	if (!other)
		return -ESRCH;
	param.priority = other->sched_priority;
	task_put(other);
	return copy_to_user(t, uaddr(a->arg[1]), &param, sizeof(param));
}

int64_t sys_sched_get_priority_max(struct task *t, const struct sysargs *a)
{
	int policy = abi_int(a->arg[0]);

	(void)t;
	if (realtime(policy))
		return 99;
	return known_policy(policy) || policy == ABI_SCHED_DEADLINE ? 0 : -EINVAL;
}

int64_t sys_sched_get_priority_min(struct task *t, const struct sysargs *a)
{
	int policy = abi_int(a->arg[0]);

	(void)t;
	if (realtime(policy))
		return 1;
	return known_policy(policy) || policy == ABI_SCHED_DEADLINE ? 0 : -EINVAL;
}

int64_t sys_sched_rr_get_interval(struct task *t, const struct sysargs *a)
{
	struct abi_timespec ts = {0, 0};
	struct task *other = abi_int(a->arg[0]) < 0 ? NULL : find(t, a->arg[0]);

	if (!other)
		return abi_int(a->arg[0]) < 0 ? -EINVAL : -ESRCH;
	if (other->sched_policy == ABI_SCHED_RR)
		ts.nsec = 100000000; /* Linux's default time slice */
	else if (other->sched_policy != ABI_SCHED_FIFO)
		ts.nsec = 3000000;
	task_put(other);
	return copy_to_user(t, uaddr(a->arg[1]), &ts, sizeof(ts));
}

int64_t sys_sched_getattr(struct task *t, const struct sysargs *a)
{
	struct abi_sched_attr attr = {.size = sizeof(attr)};
	uint32_t size = (uint32_t)a->arg[2];
	struct task *other;

	if (abi_int(a->arg[0]) < 0 || a->arg[3] || size < ABI_SCHED_ATTR_SIZE_VER0 || size > 4096)
		return -EINVAL;
	other = find(t, a->arg[0]);
	if (!other)
		return -ESRCH;
	attr.policy = (uint32_t)other->sched_policy & ~(uint32_t)ABI_SCHED_RESET_ON_FORK;
	if (other->sched_policy & ABI_SCHED_RESET_ON_FORK)
		attr.flags = 1;
	attr.nice = other->nice;
	attr.priority = (uint32_t)other->sched_priority;
	task_put(other);
	attr.size = MIN(size, (uint32_t)sizeof(attr));
	return copy_to_user(t, uaddr(a->arg[1]), &attr, attr.size);
}

/* ---- nice ---- */

static bool may_raise(struct task *t, struct task *other, int nice)
{
	return nice >= other->nice || cred_capable(t->cred, ABI_CAP_SYS_NICE) ||
	       (uint64_t)(20 - nice) <= rlimit_get(other->tg, ABI_RLIMIT_NICE);
}

static bool in_set(struct task *t, struct task *other, int which, int32_t who)
{
	switch (which) {
	case ABI_PRIO_PROCESS:
		return other->tid == (who ? who : t->tid);
	case ABI_PRIO_PGRP:
		return other->tg->pgrp &&
		       (who ? other->tg->pgrp->pgid == who : other->tg->pgrp == t->tg->pgrp);
	default:
		return other->cred->uid == (who ? (uint32_t)who : t->cred->uid);
	}
}

int64_t sys_getpriority(struct task *t, const struct sysargs *a)
{
	int which = abi_int(a->arg[0]);
	struct task *other;
	int64_t id, ret = -ESRCH;

	if (which < ABI_PRIO_PROCESS || which > ABI_PRIO_USER)
		return -EINVAL;
	mutex_lock(&t->kernel->tasks_lock);
	idmap_for_each (&t->kernel->tids, id, other) {
		/* 40..1 for -20..19, so that no result looks like an error. */
		if (in_set(t, other, which, abi_int(a->arg[1])))
			ret = MAX(ret, (int64_t)20 - other->nice);
	}
	mutex_unlock(&t->kernel->tasks_lock);
	return ret;
}

static int set_one_nice_locked(struct task *t, struct task *other, int nice)
{
	if (other->cred->uid != t->cred->euid && other->cred->euid != t->cred->euid &&
	    !cred_capable(t->cred, ABI_CAP_SYS_NICE))
		return -EPERM;
	if (!may_raise(t, other, nice))
		return -EACCES;
	other->nice = nice;
	return 0;
}

int64_t sys_setpriority(struct task *t, const struct sysargs *a)
{
	int which = abi_int(a->arg[0]);
	int nice = MIN(MAX(abi_int(a->arg[2]), -20), 19);
	struct task *other;
	int64_t id, ret = -ESRCH;

	if (which < ABI_PRIO_PROCESS || which > ABI_PRIO_USER)
		return -EINVAL;
	mutex_lock(&t->kernel->tasks_lock);
	idmap_for_each (&t->kernel->tids, id, other) {
		int err;

		if (!in_set(t, other, which, abi_int(a->arg[1])))
			continue;
		err = set_one_nice_locked(t, other, nice);
		if (err || ret == -ESRCH)
			ret = err;
	}
	mutex_unlock(&t->kernel->tasks_lock);
	return ret;
}
