/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a process, as the dispatch loop (worker.c) and boot see it. The task given to a
 * function here is in the state HANDLER and owned by the caller.
 */
#ifndef SENTRY_KERNEL_PROCESS_H
#define SENTRY_KERNEL_PROCESS_H

#include <stddef.h>
#include <stdint.h>

#include "platform/platform.h"

struct cred;
struct files;
struct fs_context;
struct kernel;
struct abi_rlimit;
struct task;

/*
 * Ends the task: exit_pending is set (t->tg->exit_code when the whole group goes, else
 * t->exit_code holds the status), or its host thread is dead. Lets go of everything; the state is
 * DEAD afterwards and the life reference is dropped, so the caller must not touch the task any
 * more. A host thread that still waits for a reply is ended (PORD_EXIT, or platform_kill if it is
 * the last of its process).
 */
void task_exit(struct task *t);

/*
 * PEV_STARTED: fills t->reply for the first reply of a clone child or of a fresh program. Returns a
 * verdict or result like a handler (SYS_NORET: reply is filled; SYS_REPORT: run task_started again
 * after the report, e.g. for loads in several batches).
 */
int64_t task_started(struct task *t);

/* PEV_FAULT: becomes a signal (signal_force). */
void signal_fault(struct task *t, const struct platform_fault *fault);
/* The frame of the last reply could not be written or taken down: SIGSEGV, fatally if that was it.
 */
void signal_frame_failed(struct task *t);
/* PORD_CLONE of the last reply failed: undoes the child, returns the call's result (-EAGAIN, ...).
 */
int64_t clone_failed(struct task *t, int error);

/* The first process of the sandbox (tid 1). All pointers are borrowed; references are taken. */
struct init_config {
	const char *path; /* as to be executed, resolved in the container */
	char *const *argv, *const *envp;
	const struct cred *cred;
	struct files *files;
	struct fs_context *fs;
	const struct abi_rlimit *rlimits; /* 16 */
	int32_t oom_score_adj;
};
/*
 * Creates it and loads its program: errors of execve(2) come back here, with nothing left behind.
 * The program runs when task_start_init is called (later, once), which takes the reference in
 * *ret_task over. -ESRCH from it: the process was killed before.
 */
int task_create_init(struct kernel *k, const struct init_config *config, struct task **ret_task);
int task_start_init(struct task *init);

#endif
