/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases: files that a task reads all the time, whose content and attributes its thread has for
 * itself until they change. lease.c has the theory, platform/stub/lease.c the thread's side.
 */
#ifndef SENTRY_KERNEL_LEASE_H
#define SENTRY_KERNEL_LEASE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/lock.h"
#include "platform/platform.h"
#include "sentry/vfs/vfs.h"

struct kernel;
struct task;
struct task_leases;

#define LEASE_READ   PLATFORM_LEASE_READ
#define LEASE_STAT   PLATFORM_LEASE_STAT
#define LEASE_HEAD   PLATFORM_LEASE_HEAD
#define LEASE_DEVICE PLATFORM_LEASE_DEVICE
#define LEASE_ZEROS  0x20000000u /* with DEVICE: where there is no end, but zeros */
#define LEASE_END    0x10000000u /* the content is another file's: what is mapped must go */
#define LEASE_LOCKS  16

/* Before tasks and inodes are made; kernel.leases is set later. */
void leases_init(struct kernel *k);

/* ---- for system calls: the task is in its handler ---- */

/* The task has read from or asked for attributes of its descriptor fd, which is f. */
void lease_note_slow(struct task *t, int fd, struct file *f);
static inline void lease_note(struct task *t, int fd, struct file *f)
{
	if (f->ops->lease)
		lease_note_slow(t, fd, f);
}

/* The task has opened f, as fd. */
void lease_opened_slow(struct task *t, int fd);
static inline void lease_opened(struct task *t, int fd, struct file *f)
{
	if (f->ops->lease && !file_writable(f) && ABI_S_ISREG(f->inode->mode))
		lease_opened_slow(t, fd);
}

/* ---- for file systems ---- */

/*
 * What leases of the inode tell has changed: LEASE_READ the size, LEASE_STAT any attribute,
 * LEASE_HEAD the content (may change soon), LEASE_END where it is. Called behind each change of the
 * inode's fields and before the call that made it ends; any thread, with any lock but those of
 * RANK_LEAF.
 */
void lease_revoke_slow(struct inode *i, uint32_t what);
static inline void lease_revoke(struct inode *i, uint32_t what)
{
	/*
	 * A change of nothing, by which who gives a lease afterwards has seen the fields, or we see
	 * that he gives it: lease.c, 3.
	 */
	if (unlikely(atomic_fetch_add(&i->leased, 0)))
		lease_revoke_slow(i, what);
}

/* The position of an open file for somebody who has found it in another task's table. */
int64_t lease_file_pos(struct file *f);

/* ---- for the table of descriptors ---- */

/* The task closes a descriptor of f. */
void lease_closed_slow(struct task *t, const struct file *f);

/* ---- the worker's hooks and those of exec and exit; the task is the caller's ---- */

void leases_arrived_slow(struct task *t);
void leases_before_reply_slow(struct task *t);
void leases_publish_slow(struct task *t);
/* None holds any more, whoever runs next in the task's thread. */
void leases_end(struct task *t);
/* The thread or its memory is gone: nothing is left to be unmapped. */
void leases_forget(struct task *t);

#endif
