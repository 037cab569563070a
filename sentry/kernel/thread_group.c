/* SPDX-License-Identifier: Apache-2.0 */
/* Processes as objects. */
#include <stdlib.h>

#include "base/mem.h"
#include "sentry/kernel/itimer.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/lockorder.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/task.h"

struct thread_group *tg_new(struct kernel *k, int32_t tgid)
{
	struct thread_group *tg = xnew(struct thread_group);

	refcount_init(&tg->ref);
	tg->kernel = k;
	tg->tgid = tgid;
	list_init(&tg->tasks);
	list_init(&tg->children);
	list_init(&tg->sibling);
	list_init(&tg->pgrp_link);
	list_init(&tg->posix_timers);
	waitqueue_init(&tg->child_wait);
	waitqueue_init(&tg->exit_wait);
	waitqueue_init(&tg->signal_wait);
	mutex_init(&tg->siglock, RANK_SIGNAL);
	signal_group_init(tg);
	itimers_init(tg);
	tg->exit_signal = ABI_SIGCHLD;
	tg->dumpable = true;
	object_count(OBJ_TG, 1);
	return tg;
}

struct thread_group *tg_get(struct thread_group *tg)
{
	refcount_get(&tg->ref);
	return tg;
}

void tg_put(struct thread_group *tg)
{
	if (!refcount_put(&tg->ref))
		return;
	debug_check(list_empty(&tg->tasks) && list_empty(&tg->children) && !tg->pgrp);
	sigqueue_flush(&tg->pending);
	waitqueue_destroy(&tg->child_wait);
	waitqueue_destroy(&tg->exit_wait);
	waitqueue_destroy(&tg->signal_wait);
	mutex_destroy(&tg->siglock);
	free(tg->cpu_itimers);
	free(tg->exe_path);
	object_count(OBJ_TG, -1);
	free(tg);
}
