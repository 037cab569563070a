/* SPDX-License-Identifier: Apache-2.0 */
/* Changing and listing the mount tree: mount(2), umount(2), /proc/pid/mounts and mountinfo. */
#ifndef SENTRY_VFS_MOUNT_H
#define SENTRY_VFS_MOUNT_H

#include "abi/fcntl.h"
#include "sentry/vfs/vfs.h"

/* The flags that belong to a mount, as against those that say what mount(2) shall do. */
#define MOUNT_STICKY_FLAGS                                                                         \
	(ABI_MS_RDONLY | ABI_MS_NOSUID | ABI_MS_NODEV | ABI_MS_NOEXEC | ABI_MS_NOSYMFOLLOW |       \
	 ABI_MS_NOATIME | ABI_MS_NODIRATIME | ABI_MS_RELATIME)

/* New flags for the mount whose root p is. -EINVAL if it is no such root. */
int vfs_remount(const struct path *p, uint32_t flags);
int vfs_move_mount(struct kernel *k, const struct path *from, const struct path *where);
/* The caller holds one reference. -EBUSY if it is in use and !detach; -EINVAL if not attached. */
int vfs_umount(struct kernel *k, struct mount *m, bool detach);

struct mount_info {
	int32_t id, parent_id; /* parent_id 0: the top */
	uint64_t dev;
	uint32_t flags; /* ABI_MS_* */
	const char *type, *source;
	char *root;    /* of the mount in its file system, "/" mostly */
	char *where;   /* as seen from the root given */
	char *options; /* of the file system, "" or NULL: none; without leading comma */
};
/* In the order of mounting, those visible from this root. fn returns false to stop. */
void vfs_list_mounts(struct kernel *k, const struct path *root,
		     bool (*fn)(const struct mount_info *, void *), void *arg);

/* Whether p is the root of its mount. */
bool mount_root_is(const struct path *p);
/* The mount's flags as statfs(2) says them, ABI_ST_*. */
int64_t mount_statfs_flags(const struct mount *m);
/* Whether the name was removed. */
bool dentry_is_deleted_path(const struct path *p);
int32_t mount_id(const struct mount *m);
/* Whether d is ancestor or below it, in one super_block. */
bool dentry_is_below(struct dentry *d, struct dentry *ancestor);
/* The path inside the super_block; fresh. */
char *dentry_path_string(struct dentry *d);
void mounts_destroy(struct vfs *v);

#endif
