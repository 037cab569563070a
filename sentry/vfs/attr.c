/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and changing attributes of inodes (inode(7), chown(2), chmod(2), utimensat(2)). */
#include "abi/caps.h"
#include "abi/resource.h"
#include "abi/signal.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_block.h"
#include "sentry/vfs/vfs_internal.h"

int vfs_stat(const struct path *p, struct abi_stat *ret)
{
	struct inode *i = p->dentry->inode;
	int err = i->ops->getattr ? i->ops->getattr(i) : 0;

	if (err)
		return err;
	inode_lock(i);
	*ret = (struct abi_stat){
	    .dev = i->sb->dev,
	    .ino = i->ino,
	    .nlink = i->nlink,
	    .mode = i->mode,
	    .uid = i->uid,
	    .gid = i->gid,
	    .rdev = i->rdev,
	    .size = (int64_t)i->size,
	    .blksize = 4096,
	    .blocks = (int64_t)i->blocks,
	    .atime = (uint64_t)i->atime.sec,
	    .atime_nsec = (uint64_t)i->atime.nsec,
	    .mtime = (uint64_t)i->mtime.sec,
	    .mtime_nsec = (uint64_t)i->mtime.nsec,
	    .ctime = (uint64_t)i->ctime.sec,
	    .ctime_nsec = (uint64_t)i->ctime.nsec,
	};
	mutex_unlock(&i->lock);
	return 0;
}

static void set_fields(struct inode *i, const struct iattr *a)
{
	if (a->valid & ATTR_MODE)
		i->mode = (i->mode & ABI_S_IFMT) | (a->mode & ABI_S_IALLUGO);
	if (a->valid & ATTR_UID)
		i->uid = a->uid;
	if (a->valid & ATTR_GID)
		i->gid = a->gid;
	if (a->valid & ATTR_ATIME)
		i->atime = a->atime;
	if (a->valid & ATTR_MTIME)
		i->mtime = a->mtime;
	i->ctime = vfs_now();
}

int inode_setattr(struct inode *i, struct iattr *a)
{
	int err = 0;

	a->valid |= ATTR_CTIME;
	inode_lock(i);
	if (i->ops->setattr)
		err = i->ops->setattr(i, a);
	else if (a->valid & ATTR_SIZE)
		err = -EINVAL;
	else
		set_fields(i, a);
	mutex_unlock(&i->lock);
	return err;
}

/* The mode without what a change by somebody else must take away, or the same. */
static uint32_t without_suid(const struct inode *i)
{
	uint32_t mode = i->mode & ~ABI_S_ISUID;

	if (!ABI_S_ISREG(i->mode))
		return i->mode;
	return mode & ABI_S_IXGRP ? mode & ~ABI_S_ISGID : mode;
}

int inode_drop_suid(struct inode *i, const struct cred *c)
{
	struct iattr a = {.valid = ATTR_MODE, .mode = without_suid(i)};

	if (a.mode == i->mode || cred_capable(c, ABI_CAP_FSETID))
		return 0;
	return inode_setattr(i, &a);
}

int vfs_truncate(struct task *t, struct inode *i, uint64_t size)
{
	struct iattr a = {.valid = ATTR_SIZE | ATTR_MTIME | ATTR_TOUCH, .size = size};
	int err;

	if (size > i->size && size > task_rlimit(t, ABI_RLIMIT_FSIZE)) {
		signal_send_task(t, ABI_SIGXFSZ, NULL);
		return -EFBIG;
	}
	a.mtime = vfs_now();
	err = inode_setattr(i, &a);
	return err ? err : inode_drop_suid(i, t->cred);
}

static int may_chown(struct inode *i, const struct cred *c, const struct iattr *a)
{
	bool owner = c->fsuid == i->uid;

	if (cred_capable(c, ABI_CAP_CHOWN))
		return 0;
	if ((a->valid & ATTR_UID) && !(owner && a->uid == i->uid))
		return -EPERM;
	if ((a->valid & ATTR_GID) && !(owner && (a->gid == i->gid || cred_in_group(c, a->gid))))
		return -EPERM;
	return 0;
}

static int may_setattr(struct inode *i, const struct cred *c, struct iattr *a)
{
	uint32_t gid = a->valid & ATTR_GID ? a->gid : i->gid;
	int err = may_chown(i, c, a);

	if (err)
		return err;
	if (a->valid & ATTR_MODE) {
		if (!inode_owner_or_capable(i, c))
			return -EPERM;
		if ((a->mode & ABI_S_ISGID) && !cred_in_group(c, gid) &&
		    !cred_capable(c, ABI_CAP_FSETID))
			a->mode &= ~ABI_S_ISGID;
	}
	if ((a->valid & (ATTR_ATIME | ATTR_MTIME)) && !inode_owner_or_capable(i, c)) {
		if (!(a->valid & ATTR_TOUCH))
			return -EPERM;
		return vfs_permission(i, c, MAY_WRITE);
	}
	return 0;
}

int vfs_setattr(const struct path *p, const struct cred *c, struct iattr *a)
{
	struct inode *i = p->dentry->inode;
	int err = mount_want_write(p->mount);

	if (!err && i->ops->getattr)
		err = i->ops->getattr(i);
	if (!err)
		err = may_setattr(i, c, a);
	if (err)
		return err;
	if ((a->valid & (ATTR_UID | ATTR_GID)) && !(a->valid & ATTR_MODE) &&
	    without_suid(i) != i->mode) {
		a->valid |= ATTR_MODE;
		a->mode = without_suid(i);
	}
	return inode_setattr(i, a);
}
