/* SPDX-License-Identifier: Apache-2.0 */
/* The proc file system (proc(5)): /proc as guests see it, of the sandbox's processes. */
#ifndef SENTRY_FS_PROC_PROCFS_H
#define SENTRY_FS_PROC_PROCFS_H

#include <stdint.h>

struct cred;
struct fs_type;
struct kernel;
struct task;

extern const struct fs_type proc_fs_type;

/*
 * ptrace(2), "Ptrace access mode checking", PTRACE_MODE_READ_FSCREDS: whether somebody with these
 * credentials may look into the task's private parts. 0 or -EACCES. Takes tasks_lock.
 */
int proc_may_access(const struct cred *c, struct task *target);

/* Bytes that the sandbox's processes and the sentry have in memory, as the host counts them. */
uint64_t proc_sandbox_resident(struct kernel *k);

#endif
