/* SPDX-License-Identifier: Apache-2.0 */
/* File locks: flock(2), and fcntl(2) POSIX and open-file-description locks. */
#ifndef SENTRY_VFS_LOCKS_H
#define SENTRY_VFS_LOCKS_H

#include "abi/types.h"
#include "sentry/vfs/vfs.h"

/* F_GETLK, F_SETLK, F_SETLKW and their OFD forms; a result or a verdict. */
int64_t locks_fcntl(struct task *t, struct file *f, int cmd, uaddr_t va);
/* A file of the inode was closed: the POSIX locks that its descriptor table `owner` holds end. */
void locks_files_closed(struct inode *i, const void *owner);
/* flock(2); operation is ABI_LOCK_*. */
int64_t locks_flock(struct task *t, struct file *f, int operation);

/* For /proc/locks: fn for each lock of an inode. */
struct lock_info {
	bool flock, ofd, write;
	int32_t pid;	    /* -1 for OFD locks */
	int64_t start, end; /* inclusive; INT64_MAX: to the end */
};
void locks_for_each(struct inode *i, void (*fn)(const struct lock_info *, void *), void *arg);

#endif
