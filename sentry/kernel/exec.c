/* SPDX-License-Identifier: Apache-2.0 */
/*
 * execve. Two ways to a host process for the new program:
 *
 * In place (may_stay): the host process stays and unmaps all its memory (MEMOP_CLEAR). For programs
 * that have always been alone in their memory, and whose privileges don't change: what a hostile
 * program may leave in its host process (a stub that was rewritten, descriptors, signal frames)
 * then meets only what that program could have started with other means too. All is one reply.
 *
 * Else a fresh host process takes the place of the old one: the task stays, its platform thread
 * changes.
 *
 * The steps, each of which may end a run of the handler:
 *
 *	LOADED		the loader has planned the new address space; nothing has changed yet, every
 *			error goes back to the caller.
 *	LONELY		the other threads of the process are told to exit and waited for. From here
 *			on there is no way back: a failure is SIGKILL.
 *	STARTED		a new platform thread was asked for; the old one is killed. The task is in
 *			state GUEST and belongs to nobody until PEV_STARTED comes. (Not in place.)
 *	MAPPING		the task has its new memory (in the sentry), credentials and so on; batches
 *			of memory operations are carried out, a report after each but the last.
 *	SENT		the last batch and the first registers are on their way. The task's next
 *			event says whether all went well.
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
#include "sentry/kernel/answers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/resource.h"
#include "base/feature.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timeline.h"
#include "sentry/kernel/cputime.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/exec_internal.h"
#include "sentry/kernel/fork.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/lease.h"
#include "sentry/kernel/posix_timer.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_block.h"
#include "sentry/loader/loader.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/files.h"
#include "sentry/vfs/vfs.h"

enum exec_phase { EXEC_LOADED, EXEC_LONELY, EXEC_STARTED, EXEC_MAPPING, EXEC_SENT };

struct exec_state {
	enum exec_phase phase;
	struct exec_image image;
	bool clear;	     /* in place: the first operation is still to be ordered */
	uint64_t old_vdso;   /* in place: where it is */
	uint32_t maps_done;  /* of image.memops */
	uint32_t zeros_done; /* of image.zero */
	size_t stack_done;   /* bytes of image.stack_data */
	char *exe_path;	     /* owned */
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

static int64_t memory_refused(struct task *t, const struct platform_report *r)
{
	log_debug(LOGC_TASK, "task %d: exec: memory operation %u failed: %d", t->tid,
		  r->memop_index, r->error);
	return fail(t, -ENOMEM, true);
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
	t->program |= 1;
	if (old) {
		cputime_keep(t);
		platform_kill_soon(old);
	}
	atomic_store(&tg->host_pid, 0); /* until it has started */
	atomic_store(&tg->lent, false);
	mutex_unlock(&tg->siglock);
	return SYS_EXITED; /* not ours any more */
}

/* ---- what changes with the program ---- */

static void take_memory(struct task *t, struct exec_state *e)
{
	struct mm *old = t->mm;

	leases_forget(t);
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

/* The new memory can't be seen before those who may not look at it are kept away. */
static void take_privileges(struct task *t, struct exec_state *e)
{
	if (e->image.cred)
		cred_install(t, cred_get(e->image.cred));
	if (!e->image.secure)
		return;
	t->pdeath_signal = 0;
	mutex_lock(&t->kernel->tasks_lock);
	t->tg->dumpable = false;
	mutex_unlock(&t->kernel->tasks_lock);
}

static void program_changed(struct task *t)
{
	mutex_lock(&t->tg->siglock);
	t->program = (t->program | 1) + 1;
	mutex_unlock(&t->tg->siglock);
}

static void become_program(struct task *t, struct exec_state *e)
{
	take_privileges(t, e);
	take_memory(t, e);
	files_close_on_exec(t);
	posix_timers_delete_all(t->tg);
	signal_reset_for_exec(t);
	set_names(t, e);
	program_changed(t);
	answers_started(t); /* perhaps as the leader */
}

/* ---- filling the new memory ---- */

/* The next operation that is to be ordered; false if none is left. *ret_write: bytes of data. */
static bool next_op(struct exec_state *e, struct memop *ret, size_t room)
{
	const struct exec_image *image = &e->image;
	size_t left = image->stack_data_size - e->stack_done;

	if (e->clear) {
		*ret = (struct memop){.type = MEMOP_CLEAR, .addr = e->old_vdso};
		e->clear = false;
	} else if (e->maps_done < image->memop_count) {
		*ret = image->memops[e->maps_done++];
	} else if (e->zeros_done < image->zero_count) {
		*ret = (struct memop){.type = MEMOP_ZERO,
				      .addr = image->zero[e->zeros_done].va,
				      .size = image->zero[e->zeros_done].size};
		e->zeros_done++;
	} else if (left && room) {
		*ret = (struct memop){.type = MEMOP_WRITE,
				      .addr = image->stack_data_va + e->stack_done,
				      .size = MIN(left, room),
				      .data = (const char *)image->stack_data + e->stack_done};
		e->stack_done += ret->size;
	} else {
		return false;
	}
	return true;
}

/* Puts a batch into the reply. True: it is the last one. */
static bool order_batch(struct task *t, struct exec_state *e)
{
	size_t room = PLATFORM_WRITES_MAX;
	struct memop op;

	while (t->reply.memop_count < PLATFORM_MEMOPS_MAX && next_op(e, &op, room)) {
		if (op.type == MEMOP_WRITE)
			room -= op.size;
		task_add_memop(t, &op);
	}
	return !e->clear && e->maps_done == e->image.memop_count &&
	       e->zeros_done == e->image.zero_count && e->stack_done == e->image.stack_data_size;
}

static int64_t map_and_go(struct task *t)
{
	struct exec_state *e = t->exec;

	if (e->phase == EXEC_STARTED) {
		e->phase = EXEC_MAPPING;
		become_program(t, e);
	} else if (t->report.step != PREP_DONE) {
		return memory_refused(t, &t->report);
	}
	if (!order_batch(t, e))
		return SYS_REPORT;
	t->reply.set_regs = true;
	t->reply.regs = e->image.regs;
	t->reply.set_fs_base = true;
	t->reply.fs_base = 0;
	e->phase = EXEC_SENT;
	timeline_mark("a program's first registers");
	return SYS_NORET;
}

void exec_settle(struct task *t)
{
	const struct platform_event *ev = &t->event;

	if (t->exec->phase != EXEC_SENT)
		return;
	if (ev->type == PEV_REPORT && ev->report.step == PREP_MEMOP)
		memory_refused(t, &ev->report);
	else
		exec_abandon(t);
}

/* ---- which way ---- */

static bool same_privileges(const struct cred *c, const struct cred *old)
{
	return c->euid == old->euid && c->egid == old->egid && c->fsuid == old->fsuid &&
	       c->fsgid == old->fsgid && c->suid == old->suid && c->sgid == old->sgid &&
	       !(c->cap_permitted & ~old->cap_permitted) &&
	       !(c->cap_effective & ~old->cap_permitted);
}

/* A program that may be executed but not read must not meet a stub that its caller has changed. */
static bool is_readable(struct task *t, struct exec_state *e)
{
	struct file *f = mm_exe_file(e->image.mm);
	bool readable = f && vfs_permission(f->inode, t->cred, MAY_READ) == 0;

	if (f)
		file_put(f);
	return readable;
}

/* Whether the new program may run in the old one's host process (see the head). */
static bool may_stay(struct task *t, struct exec_state *e)
{
	const struct platform *p = t->kernel->platform;
	uint64_t vdso_size = platform_vdso_size(p);

	if (feature_off(FEATURE_EXEC_IN_PLACE) || !t->pt || !t->mm || t->vfork_parent)
		return false;
	if (mm_user_count(t->mm) != 1 || !platform_can_clear(t->pt))
		return false;
	if (e->image.secure || !e->image.cred || !same_privileges(e->image.cred, t->cred) ||
	    !is_readable(t, e))
		return false;
	if (vdso_size)
		e->old_vdso = mm_vdso_whole(t->mm, vdso_size, platform_vdso_code_offset(p));
	return !vdso_size || e->old_vdso;
}

static int64_t stay(struct task *t, struct exec_state *e)
{
	e->clear = true;
	e->phase = EXEC_STARTED;
	return map_and_go(t);
}

/* A thread that has gone since has shared the directory that a privileged program is to have. */
static bool shared_since(struct task *t, const struct exec_image *image)
{
	return image->secure && !image->fs_shared && task_shares_fs(t);
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
	if (shared_since(t, &e->image))
		return fail(t, -EAGAIN, !was_alone);
	leases_end(t);
	become_leader(t);
	task_wait_clear(t);
	if (was_alone && may_stay(t, e))
		return stay(t, e);
	return exec_start(t, !was_alone);
}

int64_t exec_continue(struct task *t)
{
	if (t->exec->phase == EXEC_LOADED || t->exec->phase == EXEC_LONELY)
		return leave_old_program(t);
	return map_and_go(t);
}
