/* SPDX-License-Identifier: Apache-2.0 */
/* Opening programs. */
#include <errno.h>

#include "abi/fcntl.h"
#include "abi/stat.h"
#include "sentry/kernel/task.h"
#include "sentry/loader/loader_internal.h"
#include "sentry/vfs/vfs.h"

static int may_execute(const struct path *p, struct inode *i, const struct cred *c)
{
	if (!i)
		return -ENOENT;
	if (ABI_S_ISLNK(i->mode)) /* not to be followed */
		return -ELOOP;
	if (!ABI_S_ISREG(i->mode) || (mount_flags(p->mount) & ABI_MS_NOEXEC))
		return -EACCES;
	return vfs_permission(i, c, MAY_EXEC);
}

/* Without the read permission that open(2) asks for: a program may be executable only. */
static int open_checked(struct task *t, const struct path *p, struct inode *i, struct file **ret)
{
	struct file *f = file_new(p, ABI_O_RDONLY | ABI_O_LARGEFILE, t->cred);
	int err = -EACCES;

	if (i->ops->open) {
		f->opener = t;
		err = i->ops->open(i, f);
		f->opener = NULL;
	}
	if (err) {
		file_put(f);
		return err;
	}
	*ret = f;
	return 0;
}

int loader_open(struct task *t, int dfd, const char *name, uint32_t lookup_flags, struct file **ret)
{
	struct inode *i;
	struct path p;
	int err = vfs_lookup(t, dfd, name, lookup_flags, &p, NULL);

	if (err)
		return err;
	i = dentry_inode(p.dentry);
	err = may_execute(&p, i, t->cred);
	if (!err)
		err = open_checked(t, &p, i, ret);
	path_put(&p);
	return err;
}
