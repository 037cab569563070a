/* SPDX-License-Identifier: Apache-2.0 */
/* Who may do what to an inode: mode bits, ownership, capabilities (inode(7), capabilities(7)). */
#include "abi/caps.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/files.h"
#include "sentry/vfs/vfs_internal.h"

/* The three bits of the mode that count for c, as MAY_*. */
static uint32_t bits_for(const struct inode *i, const struct cred *c)
{
	if (c->fsuid == i->uid)
		return i->mode >> 6 & 7;
	if (cred_in_group(c, i->gid))
		return i->mode >> 3 & 7;
	return i->mode & 7;
}

static bool overrides(const struct inode *i, const struct cred *c, uint32_t mask)
{
	bool dir = ABI_S_ISDIR(i->mode);

	if (dir && !(mask & MAY_WRITE) && cred_capable(c, ABI_CAP_DAC_READ_SEARCH))
		return true;
	if (mask == MAY_READ && cred_capable(c, ABI_CAP_DAC_READ_SEARCH))
		return true;
	/* Executing a file needs one x bit at least, whoever asks. */
	if (dir || !(mask & MAY_EXEC) || (i->mode & 0111))
		return cred_capable(c, ABI_CAP_DAC_OVERRIDE);
	return false;
}

int vfs_permission(struct inode *i, const struct cred *c, uint32_t mask)
{
	mask &= MAY_READ | MAY_WRITE | MAY_EXEC;
	if (i->ops->permission)
		return i->ops->permission(i, c, mask);
	if ((bits_for(i, c) & mask) == mask)
		return 0;
	return overrides(i, c, mask) ? 0 : -EACCES;
}

bool inode_owner_or_capable(struct inode *i, const struct cred *c)
{
	return c->fsuid == i->uid || cred_capable(c, ABI_CAP_FOWNER);
}

uint32_t new_file_mode(struct task *t, const struct inode *dir, uint32_t mode)
{
	const uint32_t program = ABI_S_ISGID | ABI_S_IXGRP;

	if ((mode & program) == program && (dir->mode & ABI_S_ISGID) &&
	    !cred_in_group(t->cred, dir->gid) && !cred_capable(t->cred, ABI_CAP_FSETID))
		mode &= ~ABI_S_ISGID;
	return mode & ~fs_umask(t->fs);
}

int may_create(const struct path *dir, const struct cred *c)
{
	struct inode *i = dir->dentry->inode;
	int err;

	if (dentry_is_deleted(dir->dentry))
		return -ENOENT;
	err = c ? vfs_permission(i, c, MAY_WRITE | MAY_EXEC) : 0;
	return err ? err : mount_want_write(dir->mount);
}

/* In a sticky directory only the owners of file or directory may remove. */
static bool sticky_denies(const struct inode *dir, const struct inode *victim, const struct cred *c)
{
	return (dir->mode & ABI_S_ISVTX) && c->fsuid != victim->uid && c->fsuid != dir->uid &&
	       !cred_capable(c, ABI_CAP_FOWNER);
}

int may_delete(const struct path *dir, struct dentry *victim, bool is_dir, const struct cred *c)
{
	struct inode *di = dir->dentry->inode, *i = victim->inode;
	int err = vfs_permission(di, c, MAY_WRITE | MAY_EXEC);

	if (err)
		return err;
	if (sticky_denies(di, i, c))
		return -EPERM;
	if (is_dir && !ABI_S_ISDIR(i->mode))
		return -ENOTDIR;
	if (!is_dir && ABI_S_ISDIR(i->mode))
		return -EISDIR;
	if (atomic_load(&victim->mount_count))
		return -EBUSY;
	return dentry_is_deleted(dir->dentry) ? -ENOENT : 0;
}
