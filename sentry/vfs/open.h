/* SPDX-License-Identifier: Apache-2.0 */
/* open with the restrictions of openat2(2). */
#ifndef SENTRY_VFS_OPEN_H
#define SENTRY_VFS_OPEN_H

#include "sentry/vfs/vfs.h"

/* vfs_open with LOOKUP_NO_SYMLINKS, NO_MAGICLINKS, BENEATH, IN_ROOT, NO_XDEV in `lookup`. */
int vfs_open_with(struct task *t, int dfd, const char *name, uint32_t flags, uint32_t mode,
		  uint32_t lookup, struct file **ret);

#endif
