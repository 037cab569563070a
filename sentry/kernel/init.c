/* SPDX-License-Identifier: Apache-2.0 */
/* The first process of a sandbox: made by boot, without a parent. */
#include <errno.h>
#include <string.h>

#include "abi/fcntl.h"
#include "abi/resource.h"
#include "abi/sched.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/exec.h"
#include "sentry/kernel/exec_internal.h"
#include "sentry/kernel/fork.h"
#include "sentry/kernel/itimer.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pgrp.h"
#include "sentry/kernel/process.h"
#include "sentry/kernel/task.h"
#include "sentry/loader/loader.h"
#include "sentry/vfs/files.h"
#include "sentry/vfs/vfs.h"

#define TIMER_SLACK_NS 50000 /* Linux's default */

static struct task *make_task(struct kernel *k, const struct init_config *config)
{
	struct thread_group *tg = tg_new(k, 0);
	struct task *t = task_new(k, tg);

	t->cred = cred_get(config->cred);
	t->files = files_get(config->files);
	t->fs = fs_context_get(config->fs);
	t->timer_slack_ns = TIMER_SLACK_NS;
	memcpy(tg->rlimits, config->rlimits, sizeof(tg->rlimits));
	tg->oom_score_adj = config->oom_score_adj;
	tg->leader = t;
	return t; /* with the reference to tg that tg_new gave, which becomes the tree's */
}

static int link_task(struct task *t)
{
	struct kernel *k = t->kernel;
	struct thread_group *tg = t->tg;
	int32_t tid;

	mutex_lock(&k->tasks_lock);
	tid = tid_alloc_locked(k);
	if (tid > 0) {
		t->tid = tg->tgid = tid;
		idmap_set(&k->tids, (uint32_t)tid, t);
		list_add_tail(&tg->tasks, &t->tg_link);
		tg->live_count = 1;
		k->task_count++;
		session_create_locked(tg);
		if (!k->init)
			k->init = tg;
	}
	mutex_unlock(&k->tasks_lock);
	return tid > 0 ? 0 : tid;
}

static void unlink_task(struct task *t)
{
	struct kernel *k = t->kernel;
	struct thread_group *tg = t->tg;

	mutex_lock(&k->tasks_lock);
	if (k->init == tg)
		k->init = NULL;
	idmap_set(&k->tids, (uint32_t)t->tid, NULL);
	list_del(&t->tg_link);
	tg->live_count = 0;
	k->task_count--;
	k->last_tid = t->tid - 1;
	pgrp_leave_locked(tg);
	mutex_unlock(&k->tasks_lock);
}

static void discard_task(struct task *t)
{
	struct thread_group *tg = t->tg;

	atomic_store(&t->state, TASK_DEAD);
	exec_abandon(t);
	task_drop_resources(t);
	task_put(t);
	tg_put(tg);
}

static uint32_t count_strings(char *const *strings)
{
	uint32_t n = 0;

	while (strings[n])
		n++;
	return n;
}

static int load(struct task *t, const struct init_config *config)
{
	struct exec_args args = {
	    .argv = (char **)config->argv,
	    .envp = (char **)config->envp,
	    .argc = count_strings(config->argv),
	    .envc = count_strings(config->envp),
	    .filename = config->path,
	};
	int err = loader_open(t, ABI_AT_FDCWD, config->path, LOOKUP_FOLLOW, &args.file);

	if (err)
		return err;
	err = exec_load(t, &args);
	file_put(args.file);
	return err;
}

int task_create_init(struct kernel *k, const struct init_config *config, struct task **ret_task)
{
	struct task *t = make_task(k, config);
	int err = link_task(t);

	if (!err) {
		err = load(t, config);
		if (err)
			unlink_task(t);
	}
	if (err) {
		discard_task(t);
		return err;
	}
	*ret_task = task_get(t);
	return 0;
}

int task_start_init(struct task *init)
{
	int64_t ret;

	itimer_cpu_limit(init->tg, init->tg->rlimits[ABI_RLIMIT_CPU].cur);
	ret = exec_start(init, false);

	task_put(init);
	return ret == SYS_EXITED ? 0 : (int)ret;
}
