/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes (xattr(7)): name spaces and who may what; file systems keep the rest. */
#include <stdlib.h>
#include <string.h>

#include "abi/caps.h"
#include "base/mem.h"
#include "sentry/kernel/cred.h"
#include "syscalls/sysfile.h"

#define NAME_SIZE (ABI_XATTR_NAME_MAX + 1)

static bool has_prefix(const char *name, const char *prefix)
{
	return !strncmp(name, prefix, strlen(prefix)) && name[strlen(prefix)];
}

static int get_name(struct task *t, uint64_t va, char name[NAME_SIZE])
{
	ssize_t n = strncpy_from_user(t, name, uaddr(va), NAME_SIZE);

	if (n == -ENAMETOOLONG || n == 0)
		return -ERANGE;
	return n < 0 ? (int)n : 0;
}

static int may_user(struct task *t, struct inode *i, bool write)
{
	bool plain = ABI_S_ISREG(i->mode) || ABI_S_ISDIR(i->mode);

	if (!plain)
		return write ? -EPERM : -ENODATA;
	if (write && ABI_S_ISDIR(i->mode) && (i->mode & ABI_S_ISVTX) && t->cred->fsuid != i->uid &&
	    !cred_capable(t->cred, ABI_CAP_FOWNER))
		return -EPERM;
	return vfs_permission(i, t->cred, write ? MAY_WRITE : MAY_READ);
}

static int may_security(struct task *t, const char *name, bool write)
{
	unsigned cap = !strcmp(name, "security.capability") ? ABI_CAP_SETFCAP : ABI_CAP_SYS_ADMIN;

	return write && !cred_capable(t->cred, cap) ? -EPERM : 0;
}

static int may_xattr(struct task *t, const struct path *p, const char *name, bool write)
{
	if (write && (mount_flags(p->mount) & ABI_MS_RDONLY))
		return -EROFS;
	if (has_prefix(name, "user."))
		return may_user(t, dentry_inode(p->dentry), write);
	if (has_prefix(name, "security."))
		return may_security(t, name, write);
	if (has_prefix(name, "trusted.")) {
		if (cred_capable(t->cred, ABI_CAP_SYS_ADMIN))
			return 0;
		return write ? -EPERM : -ENODATA;
	}
	return -EOPNOTSUPP;
}

/* ---- the operations on a path ---- */

static int64_t set_value(struct inode *i, const char *name, const void *value, size_t size,
			 int flags)
{
	int64_t ret;

	if (!i->ops->setxattr)
		return -EOPNOTSUPP;
	inode_lock(i);
	ret = i->ops->setxattr(i, name, value, size, flags);
	mutex_unlock(&i->lock);
	return ret;
}

static int64_t set_path(struct task *t, const struct path *p, const struct sysargs *a)
{
	char name[NAME_SIZE], *value;
	int flags = abi_int(a->arg[4]);
	uint64_t size = a->arg[3];
	int64_t ret = get_name(t, a->arg[1], name);

	if (flags & ~(ABI_XATTR_CREATE | ABI_XATTR_REPLACE))
		return -EINVAL;
	if (!ret && size > ABI_XATTR_SIZE_MAX)
		ret = -E2BIG;
	if (!ret)
		ret = may_xattr(t, p, name, true);
	if (ret)
		return ret;
	value = xmalloc(size + 1);
	ret = size && copy_from_user(t, value, uaddr(a->arg[2]), size) ? -EFAULT : 0;
	if (!ret)
		ret = set_value(dentry_inode(p->dentry), name, value, size, flags);
	free(value);
	return ret;
}

static int64_t get_path(struct task *t, const struct path *p, const struct sysargs *a)
{
	struct inode *i = dentry_inode(p->dentry);
	uint64_t size = MIN(a->arg[3], (uint64_t)ABI_XATTR_SIZE_MAX);
	char name[NAME_SIZE], *value = NULL;
	int64_t ret = get_name(t, a->arg[1], name);

	if (!ret)
		ret = may_xattr(t, p, name, false);
	if (ret)
		return ret;
	if (!i->ops->getxattr)
		return -EOPNOTSUPP;
	if (size)
		value = xmalloc(size);
	ret = i->ops->getxattr(i, name, value, size);
	if (ret > 0 && size && copy_to_user(t, uaddr(a->arg[2]), value, (size_t)ret))
		ret = -EFAULT;
	free(value);
	return ret;
}

/* Takes the names out that the task may not see; the new size. */
static size_t hide_trusted(struct task *t, char *list, size_t size)
{
	size_t kept = 0;

	if (cred_capable(t->cred, ABI_CAP_SYS_ADMIN))
		return size;
	for (size_t at = 0; at < size;) {
		size_t n = strnlen(list + at, size - at) + 1;

		if (n > size - at)
			break;
		if (!has_prefix(list + at, "trusted.")) {
			memmove(list + kept, list + at, n);
			kept += n;
		}
		at += n;
	}
	return kept;
}

static int64_t list_path(struct task *t, const struct path *p, const struct sysargs *a)
{
	struct inode *i = dentry_inode(p->dentry);
	uint64_t size = a->arg[2];
	char *list;
	int64_t ret;

	if (!i->ops->listxattr)
		return 0;
	list = xmalloc(ABI_XATTR_LIST_MAX);
	ret = i->ops->listxattr(i, list, ABI_XATTR_LIST_MAX);
	if (ret == -ERANGE)
		ret = -E2BIG;
	if (ret > 0)
		ret = (int64_t)hide_trusted(t, list, (size_t)ret);
	if (ret > 0 && size) {
		if ((uint64_t)ret > size)
			ret = -ERANGE;
		else if (copy_to_user(t, uaddr(a->arg[1]), list, (size_t)ret))
			ret = -EFAULT;
	}
	free(list);
	return ret;
}

static int64_t remove_path(struct task *t, const struct path *p, const struct sysargs *a)
{
	struct inode *i = dentry_inode(p->dentry);
	char name[NAME_SIZE];
	int64_t ret = get_name(t, a->arg[1], name);

	if (!ret)
		ret = may_xattr(t, p, name, true);
	if (ret)
		return ret;
	if (!i->ops->removexattr)
		return -EOPNOTSUPP;
	inode_lock(i);
	ret = i->ops->removexattr(i, name);
	mutex_unlock(&i->lock);
	return ret;
}

/* ---- the calls ---- */

typedef int64_t (*path_fn)(struct task *, const struct path *, const struct sysargs *);

static int64_t by_name(struct task *t, const struct sysargs *a, uint32_t lookup, path_fn fn)
{
	char name[VFS_PATH_MAX];
	struct path p;
	int64_t ret = path_from_user(t, a->arg[0], name);

	if (!ret)
		ret = vfs_lookup(t, ABI_AT_FDCWD, name, lookup, &p, NULL);
	if (ret)
		return ret;
	ret = fn(t, &p, a);
	path_put(&p);
	return ret;
}

static int64_t by_fd(struct task *t, const struct sysargs *a, path_fn fn)
{
	struct file *f = fd_get_io(t, abi_int(a->arg[0]));
	int64_t ret;

	if (!f)
		return -EBADF;
	ret = fn(t, &f->path, a);
	file_put(f);
	return ret;
}

int64_t sys_setxattr(struct task *t, const struct sysargs *a)
{
	return by_name(t, a, LOOKUP_FOLLOW, set_path);
}

int64_t sys_lsetxattr(struct task *t, const struct sysargs *a)
{
	return by_name(t, a, 0, set_path);
}

int64_t sys_fsetxattr(struct task *t, const struct sysargs *a)
{
	return by_fd(t, a, set_path);
}

int64_t sys_getxattr(struct task *t, const struct sysargs *a)
{
	return by_name(t, a, LOOKUP_FOLLOW, get_path);
}

int64_t sys_lgetxattr(struct task *t, const struct sysargs *a)
{
	return by_name(t, a, 0, get_path);
}

int64_t sys_fgetxattr(struct task *t, const struct sysargs *a)
{
	return by_fd(t, a, get_path);
}

int64_t sys_listxattr(struct task *t, const struct sysargs *a)
{
	return by_name(t, a, LOOKUP_FOLLOW, list_path);
}

int64_t sys_llistxattr(struct task *t, const struct sysargs *a)
{
	return by_name(t, a, 0, list_path);
}

int64_t sys_flistxattr(struct task *t, const struct sysargs *a)
{
	return by_fd(t, a, list_path);
}

int64_t sys_removexattr(struct task *t, const struct sysargs *a)
{
	return by_name(t, a, LOOKUP_FOLLOW, remove_path);
}

int64_t sys_lremovexattr(struct task *t, const struct sysargs *a)
{
	return by_name(t, a, 0, remove_path);
}

int64_t sys_fremovexattr(struct task *t, const struct sysargs *a)
{
	return by_fd(t, a, remove_path);
}
