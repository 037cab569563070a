/* SPDX-License-Identifier: Apache-2.0 */
/* Making, removing and renaming names, for the system calls. All may take long. 0 or -errno. */
#ifndef SENTRY_VFS_NAMEI_H
#define SENTRY_VFS_NAMEI_H

#include "sentry/vfs/vfs.h"

int vfs_mkdir(struct task *t, int dfd, const char *name, uint32_t mode);
int vfs_mknod(struct task *t, int dfd, const char *name, uint32_t mode, uint64_t rdev);
int vfs_symlink(struct task *t, const char *target, int dfd, const char *name);
int vfs_unlink(struct task *t, int dfd, const char *name);
int vfs_rmdir(struct task *t, int dfd, const char *name);
/* flags: ABI_AT_SYMLINK_FOLLOW, ABI_AT_EMPTY_PATH */
int vfs_link(struct task *t, int olddfd, const char *oldname, int newdfd, const char *newname,
	     uint32_t flags);
/* flags: ABI_RENAME_* */
int vfs_rename(struct task *t, int olddfd, const char *oldname, int newdfd, const char *newname,
	       uint32_t flags);
/* The target of the link that p names, fresh. */
int vfs_readlink(struct task *t, const struct path *p, char **ret_target);
/*
 * A socket's name (bind(2)): makes it and returns a path to it. -EADDRINUSE if the name exists.
 */
int vfs_bind_socket(struct task *t, const char *name, uint32_t mode, struct path *ret);

#endif
