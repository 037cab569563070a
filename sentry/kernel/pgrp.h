/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Process groups and sessions (setpgid(2), setsid(2), credentials(7)). A group is in kernel.pgrps
 * while it has members, a session in kernel.sessions while it has groups; references only keep the
 * memory. All _locked functions want tasks_lock held.
 */
#ifndef SENTRY_KERNEL_PGRP_H
#define SENTRY_KERNEL_PGRP_H

#include <stdbool.h>
#include <stdint.h>

struct kernel;
struct process_group;
struct session;
struct task;
struct thread_group;

struct process_group *pgrp_get(struct process_group *pg);
void pgrp_put(struct process_group *pg);
struct session *session_get(struct session *s);
void session_put(struct session *s);

/* Borrowed, or NULL. */
struct process_group *pgrp_find_locked(struct kernel *k, int32_t pgid);
/* Moves tg from its group (if it has one) to pg. */
void pgrp_join_locked(struct thread_group *tg, struct process_group *pg);
void pgrp_leave_locked(struct thread_group *tg);
/* A new session with one group, tg its leader; no terminal. */
void session_create_locked(struct thread_group *tg);

/*
 * Whether no member has a parent outside the group but in its session: nobody could continue its
 * jobs. Members that are zombies don't count.
 */
bool pgrp_orphaned_locked(const struct process_group *pg);
/* tg loses `parent` as a parent (it exits, or its parent did): if that orphans tg's group and jobs
 * in it are stopped, they get SIGHUP and SIGCONT (exit(3)). */
void pgrp_check_orphaned_locked(struct thread_group *tg, const struct thread_group *parent);

/* The calls. */
int pgrp_setpgid(struct task *t, int32_t pid, int32_t pgid);
int pgrp_setsid(struct task *t);
/* pid 0: the caller. The id or -ESRCH. */
int pgrp_getpgid(struct task *t, int32_t pid);
int pgrp_getsid(struct task *t, int32_t pid);

#endif
