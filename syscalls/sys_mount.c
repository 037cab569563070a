/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount(2), umount2(2). All file systems that can be mounted are the sentry's own, so this asks for
 * nothing but CAP_SYS_ADMIN. There is one mount tree a sandbox and no propagation: private, slave
 * and unbindable are what every mount is.
 */
#include "sentry/vfs/mount.h"

#include <stdlib.h>
#include <string.h>

#include "abi/caps.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/unsupported.h"
#include "syscalls/sysfile.h"

#define OPTIONS_MAX 4096
#define PROPAGATION (ABI_MS_SHARED | ABI_MS_PRIVATE | ABI_MS_SLAVE | ABI_MS_UNBINDABLE)

struct mount_args {
	char *source, *target, *type, *data; /* owned; NULL if not given */
	uint32_t flags;
};

static void free_args(struct mount_args *m)
{
	free(m->source);
	free(m->target);
	free(m->type);
	free(m->data);
}

static int64_t get_string(struct task *t, uint64_t va, char **ret)
{
	ssize_t n = va ? strdup_from_user(t, uaddr(va), OPTIONS_MAX, ret) : 0;

	return n < 0 ? n : 0;
}

static int64_t get_args(struct task *t, const struct sysargs *a, struct mount_args *m)
{
	int64_t ret = get_string(t, a->arg[0], &m->source);

	if (!ret)
		ret = get_string(t, a->arg[1], &m->target);
	if (!ret)
		ret = get_string(t, a->arg[2], &m->type);
	m->flags = (uint32_t)a->arg[3];
	if ((m->flags & ABI_MS_MGC_MSK) == ABI_MS_MGC_VAL)
		m->flags &= ~ABI_MS_MGC_MSK;
	/* Only a new file system reads options; others may pass anything there. */
	if (!ret && !(m->flags & (ABI_MS_BIND | ABI_MS_MOVE | PROPAGATION)))
		ret = get_string(t, a->arg[4], &m->data);
	if (!ret && !m->target)
		ret = -EFAULT;
	return ret;
}

static int64_t mount_new(struct task *t, const struct mount_args *m, const struct path *where)
{
	const struct fs_type *type = m->type ? vfs_find_fs(t->kernel, m->type) : NULL;
	struct super_block *sb;
	int err;

	if (!m->type)
		return -EINVAL;
	if (!type)
		return -ENODEV;
	err = type->mount(t->kernel, m->source, m->flags, m->data, &sb);
	if (err)
		return err;
	err = vfs_mount(t->kernel, where, sb, sb->root, m->flags, m->source);
	super_put(sb);
	return err;
}

static int64_t with_source(struct task *t, const struct mount_args *m, const struct path *where)
{
	struct path from;
	int64_t ret;

	if (!m->source || !*m->source)
		return -EINVAL;
	ret = vfs_lookup(t, ABI_AT_FDCWD, m->source, LOOKUP_FOLLOW, &from, NULL);
	if (ret)
		return ret;
	if (m->flags & ABI_MS_BIND)
		ret = vfs_bind(t->kernel, &from, where, mount_flags(from.mount),
			       m->flags & ABI_MS_REC);
	else
		ret = vfs_move_mount(t->kernel, &from, where);
	path_put(&from);
	return ret;
}

static int64_t do_mount(struct task *t, const struct mount_args *m, const struct path *where)
{
	if (m->flags & ABI_MS_REMOUNT)
		return vfs_remount(where, m->flags);
	if (m->flags & (ABI_MS_BIND | ABI_MS_MOVE))
		return with_source(t, m, where);
	if (m->flags & ABI_MS_SHARED)
		return unsupported(t, EINVAL, "shared mount propagation");
	if (m->flags & PROPAGATION)
		return mount_root_is(where) ? 0 : -EINVAL;
	return mount_new(t, m, where);
}

int64_t sys_mount(struct task *t, const struct sysargs *a)
{
	struct mount_args m = {NULL};
	struct path where;
	int64_t ret;

	ret = get_args(t, a, &m);
	if (!ret && !cred_capable(t->cred, ABI_CAP_SYS_ADMIN))
		ret = -EPERM;
	if (!ret)
		ret = vfs_lookup(t, ABI_AT_FDCWD, m.target, LOOKUP_FOLLOW, &where, NULL);
	if (!ret) {
		ret = do_mount(t, &m, &where);
		path_put(&where);
	}
	free_args(&m);
	return ret;
}

int64_t sys_umount2(struct task *t, const struct sysargs *a)
{
	uint32_t flags = (uint32_t)a->arg[1];
	char name[VFS_PATH_MAX];
	struct path p;
	int64_t ret;

	if (flags &
	    ~(uint32_t)(ABI_MNT_FORCE | ABI_MNT_DETACH | ABI_MNT_EXPIRE | ABI_UMOUNT_NOFOLLOW))
		return -EINVAL;
	if (!cred_capable(t->cred, ABI_CAP_SYS_ADMIN))
		return -EPERM;
	if (flags & ABI_MNT_EXPIRE)
		return unsupported(t, EINVAL, "MNT_EXPIRE");
	ret = path_from_user(t, a->arg[0], name);
	if (!ret)
		ret = vfs_lookup(t, ABI_AT_FDCWD, name,
				 flags & ABI_UMOUNT_NOFOLLOW ? 0 : LOOKUP_FOLLOW, &p, NULL);
	if (ret)
		return ret;
	ret = mount_root_is(&p) ? vfs_umount(t->kernel, p.mount, flags & ABI_MNT_DETACH) : -EINVAL;
	path_put(&p);
	return ret;
}
