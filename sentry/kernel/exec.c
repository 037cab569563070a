/* SPDX-License-Identifier: Apache-2.0 */
/*
 * execve. A fresh host process takes the place of the old one: the task stays, its platform thread
 * changes. The steps, each of which may end a run of the handler:
 *
 *	LOADED		the loader has planned the new address space; nothing has changed yet, every
 *			error goes back to the caller.
 *	LONELY		the other threads of the process are told to exit and waited for. From here
 *			on there is no way back: a failure is SIGKILL.
 *	STARTED		a new platform thread was asked for; the old one is killed. The task is in
 *			state GUEST and belongs to nobody until PEV_STARTED comes.
 *	MAPPING		the task has its new memory (in the sentry), credentials and so on; batches
 *			of memory operations are carried out, a report after each.
 *	(over)		stack and zeroed ends of segments are written, registers set.
 *
 * The hand-over from LONELY to STARTED. The event of the new thread may come before
 * platform_mm_new has returned, so the task must be claimable by then (state GUEST), and t->pt must
 * be right when it is claimed:
 *
 *	exec_start				dispatch / platform's dead()
 *	lock siglock
 *	state = GUEST
 *	platform_mm_new -> thread
 *						claims the task: HANDLER; task_started: lock siglock
 *	t->pt = thread, old one killed			... waits
 *	unlock siglock
 *						goes on, t->pt is the new one
 *
 * The old thread's end finds t->pt different and drops only the handle. Should the old thread die
 * just before, its dead() waits for siglock in the same way.
 *
 * The first program of a process made by boot has no old thread and no other threads; otherwise it
 * is the same.
 */
#include "sentry/kernel/exec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/resource.h"
#include "base/log.h"
#include "base/mem.h"
#include "sentry/kernel/cputime.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/exec_internal.h"
#include "sentry/kernel/fork.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/posix_timer.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_block.h"
#include "sentry/loader/loader.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/files.h"
#include "sentry/vfs/vfs.h"

enum exec_phase { EXEC_LOADED, EXEC_LONELY, EXEC_STARTED, EXEC_MAPPING };

struct exec_state {
	enum exec_phase phase;
	struct exec_image image;
	uint32_t memops_done;
	char *exe_path; /* owned */
};

/* ---- before ---- */

uint64_t exec_args_max(struct task *t)
{
	uint64_t stack = t->tg->rlimits[ABI_RLIMIT_STACK].cur;
	uint64_t max = MIN(stack / 4, 6ull << 20);

	return MAX(max, 128ull << 10);
}

void exec_abandon(struct task *t)
{
	struct exec_state *e = t->exec;

	if (!e)
		return;
	t->exec = NULL;
	exec_image_free(&e->image);
	free(e->exe_path);
	free(e);
}

int exec_load(struct task *t, const struct exec_args *args)
{
	struct exec_state *e = xnew(struct exec_state);
	int err = loader_load(t, args, &e->image);

	if (err) {
		free(e);
		return err;
	}
	e->exe_path = vfs_path_string(t, &args->file->path);
	t->exec = e;
	return 0;
}

int64_t exec_begin(struct task *t, const struct exec_args *args)
{
	int err = exec_load(t, args);

	return err ? err : exec_continue(t);
}

/* ---- the other threads ---- */

/* 0 when the task is alone; -EAGAIN: they are still on their way; -EINTR: it must exit itself. */
static int others_gone(struct task *t)
{
	struct thread_group *tg = t->tg;
	struct task *other;
	int err = 0;

	mutex_lock(&t->kernel->tasks_lock);
	mutex_lock(&tg->siglock);
	if (tg->exiting || (tg->exec_task && tg->exec_task != t)) {
		err = -EINTR;
	} else if (tg->live_count > 1) {
		err = -EAGAIN;
		if (!tg->exec_task) {
			tg->exec_task = t;
			list_for_each (other, &tg->tasks, tg_link) {
				if (other == t)
					continue;
				atomic_store(&other->exit_pending, true);
				task_notify(other);
			}
		}
	}
	mutex_unlock(&tg->siglock);
	mutex_unlock(&t->kernel->tasks_lock);
	return err;
}

/* The last thread of the process takes the dead leader's place and id (Linux de_thread). */
static void become_leader(struct task *t)
{
	struct kernel *k = t->kernel;
	struct thread_group *tg = t->tg;
	struct task *old;

	mutex_lock(&k->tasks_lock);
	old = tg->leader;
	if (old == t) {
		old = NULL;
	} else {
		idmap_set(&k->tids, (uint32_t)t->tid, NULL);
		t->tid = tg->tgid;
		idmap_set(&k->tids, (uint32_t)t->tid, t);
		tg->leader = t;
		list_del(&old->tg_link);
	}
	tg->exit_signal = tg->parent ? ABI_SIGCHLD : tg->exit_signal;
	tg->exec_task = NULL;
	mutex_unlock(&k->tasks_lock);
	if (old)
		task_put(old);
}

static int64_t fail(struct task *t, int err, bool fatal)
{
	exec_abandon(t);
	if (fatal)
		signal_exit_group(t->tg, ABI_SIGKILL);
	return err;
}

/* ---- the new host process ---- */

int64_t exec_start(struct task *t, bool fatal)
{
	struct thread_group *tg = t->tg;
	struct platform_thread *fresh, *old;
	int err;

	mutex_lock(&tg->siglock);
	/* The first process may have been killed before it was started; then it is not ours. */
	if (!t->pt && atomic_load(&t->state) != TASK_NEW) {
		mutex_unlock(&tg->siglock);
		return -ESRCH;
	}
	t->exec->phase = EXEC_STARTED;
	task_get(t); /* the platform's, until it says dead */
	atomic_store(&t->state, TASK_GUEST);
	err = platform_mm_new(t->kernel->platform, t, &fresh);
	if (err) {
		/* Nobody can have claimed it: that takes an event, or siglock. */
		atomic_store(&t->state, TASK_HANDLER);
		mutex_unlock(&tg->siglock);
		task_put(t);
		return fail(t, err, fatal);
	}
	old = t->pt;
	t->pt = fresh;
	if (old) {
		cputime_keep(t);
		platform_kill(old);
	}
	atomic_store(&tg->host_pid, 0); /* until it has started */
	mutex_unlock(&tg->siglock);
	return SYS_EXITED; /* not ours any more */
}

/* ---- what changes with the program ---- */

static void take_memory(struct task *t, struct exec_state *e)
{
	struct mm *old = t->mm;

	mutex_lock(&t->kernel->tasks_lock);
	t->mm = mm_get(e->image.mm);
	mutex_unlock(&t->kernel->tasks_lock);
	mm_user_added(t->mm);
	vfork_release(t);
	if (old) {
		mm_user_removed(old);
		mm_put(old);
	}
	t->clear_child_tid = 0;
	t->robust_list = 0;
}

static void set_names(struct task *t, struct exec_state *e)
{
	struct thread_group *tg = t->tg;
	char *old;

	mutex_lock(&tg->siglock);
	memcpy(t->comm, e->image.comm, sizeof(t->comm));
	t->comm[sizeof(t->comm) - 1] = '\0';
	mutex_unlock(&tg->siglock);
	mutex_lock(&t->kernel->tasks_lock);
	old = tg->exe_path;
	tg->exe_path = e->exe_path;
	tg->did_exec = true;
	tg->dumpable = !e->image.secure;
	mutex_unlock(&t->kernel->tasks_lock);
	e->exe_path = NULL;
	free(old);
}

static void become_program(struct task *t, struct exec_state *e)
{
	take_memory(t, e);
	files_close_on_exec(t);
	posix_timers_delete_all(t->tg);
	signal_reset_for_exec(t);
	if (e->image.cred)
		cred_install(t, cred_get(e->image.cred));
	if (e->image.secure)
		t->pdeath_signal = 0;
	set_names(t, e);
}

/* ---- filling the new memory ---- */

static bool write_memory(struct task *t, uint64_t va, const void *data, size_t size)
{
	return platform_write(NULL, platform_thread_mm(t->pt), va, data, size) == size;
}

static bool zero_memory(struct task *t, uint64_t va, uint64_t size)
{
	static const char zeros[4096];

	while (size) {
		size_t n = MIN(size, (uint64_t)sizeof(zeros));

		if (!write_memory(t, va, zeros, n))
			return false;
		va += n;
		size -= n;
	}
	return true;
}

static bool fill_memory(struct task *t, const struct exec_image *image)
{
	for (uint32_t i = 0; i < image->zero_count; i++)
		if (!zero_memory(t, image->zero[i].va, image->zero[i].size))
			return false;
	return write_memory(t, image->stack_data_va, image->stack_data, image->stack_data_size);
}

static int64_t order_memops(struct task *t, struct exec_state *e)
{
	uint32_t left = e->image.memop_count - e->memops_done;

	t->reply.memops = e->image.memops + e->memops_done;
	t->reply.memop_count = MIN(left, (uint32_t)PLATFORM_MEMOPS_MAX);
	e->memops_done += t->reply.memop_count;
	return SYS_REPORT;
}

static int64_t map_and_go(struct task *t)
{
	struct exec_state *e = t->exec;

	if (e->phase == EXEC_STARTED) {
		e->phase = EXEC_MAPPING;
		become_program(t, e);
	} else if (t->report.step != PREP_DONE) {
		log_debug(LOGC_TASK, "task %d: exec: memory operation %u failed: %d", t->tid,
			  t->report.memop_index, t->report.error);
		return fail(t, -ENOMEM, true);
	}
	if (e->memops_done < e->image.memop_count)
		return order_memops(t, e);
	if (!fill_memory(t, &e->image))
		return fail(t, -EFAULT, true);
	t->reply.set_regs = true;
	t->reply.regs = e->image.regs;
	t->reply.set_fs_base = true;
	t->reply.fs_base = 0;
	exec_abandon(t);
	return SYS_NORET;
}

static int64_t leave_old_program(struct task *t)
{
	struct exec_state *e = t->exec;
	bool was_alone = e->phase == EXEC_LOADED && t->tg->live_count == 1;
	int err;

	if (!was_alone) {
		task_wait_add(t, &t->tg->exit_wait, ~0u, NULL);
		e->phase = EXEC_LONELY;
	}
	err = others_gone(t);
	if (err == -EINTR || signal_fatal_pending(t))
		return fail(t, -EINTR, false);
	if (err)
		return SYS_BLOCKED;
	become_leader(t);
	task_wait_clear(t);
	return exec_start(t, !was_alone);
}

int64_t exec_continue(struct task *t)
{
	if (t->exec->phase == EXEC_LOADED || t->exec->phase == EXEC_LONELY)
		return leave_old_program(t);
	return map_and_go(t);
}
