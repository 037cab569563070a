/* SPDX-License-Identifier: Apache-2.0 */
/* What the file system calls share. */
#ifndef SYSCALLS_SYSFILE_H
#define SYSCALLS_SYSFILE_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "abi/fcntl.h"
#include "sentry/kernel/lease.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_block.h"
#include "sentry/mm/usermem.h"
#include "sentry/vfs/files.h"
#include "sentry/vfs/vfs.h"
#include "syscalls/syscalls.h"

/* A path argument: 0, -EFAULT or -ENAMETOOLONG. */
static inline int path_from_user(struct task *t, uint64_t va, char buf[VFS_PATH_MAX])
{
	ssize_t n = strncpy_from_user(t, buf, uaddr(va), VFS_PATH_MAX);

	return n < 0 ? (int)n : 0;
}

/*
 * Gives the guest two files (references taken over) as descriptors, whose numbers go to an array of
 * two at va: pipe, socketpair. 0 or negative errno, and then neither is open.
 */
int64_t sys_install_pair(struct task *t, struct file *ends[2], bool cloexec, uint64_t va);

/* The soft limit, ABI_RLIMIT_*. */
uint64_t task_rlimit(struct task *t, unsigned which);

/* Adds the task to the queues of f for these events. Returns what is ready. */
uint32_t file_wait(struct task *t, struct file *f, uint32_t events);

/*
 * Reads or writes with waiting. pos NULL: the file's own position. A handler that is run again goes
 * on where it was (t->call.progress[0]). Returns a result or a verdict.
 */
int64_t file_read_wait(struct task *t, struct file *f, struct uio *u, int64_t *pos, bool nowait);
int64_t file_write_wait(struct task *t, struct file *f, struct uio *u, int64_t *pos, bool nowait);

struct pipe;
/*
 * Moves what is left of a file at *in_pos, at most size bytes and what fits, into a pipe. Bytes, 0
 * at the end of the file, -EAGAIN: the pipe is full, -EPIPE, ...
 */
int64_t file_to_pipe(struct file *in, int64_t *in_pos, struct pipe *out, uint64_t size);

/*
 * The signal mask of ppoll, pselect6, epoll_pwait: sets it for this call, once. The worker restores
 * the old one. 0, -EINVAL, -EFAULT.
 */
int task_use_sigmask(struct task *t, uint64_t mask_va, uint64_t size);

/*
 * The deadline of a call from its timeout argument, on the first run. va 0: never. ret_zero: the
 * call must not wait at all. 0, -EINVAL, -EFAULT.
 */
int task_deadline_from_timespec(struct task *t, uint64_t va, bool *ret_zero);
/* ms negative: never. */
void task_deadline_from_ms(struct task *t, int ms);

#endif
