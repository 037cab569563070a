/* SPDX-License-Identifier: Apache-2.0 */
/* open(2): finding or making the file, what may be opened how, and the fresh file. */
#include <string.h>

#include "abi/caps.h"
#include "sentry/fs/devtmpfs/chardev.h"
#include "sentry/fs/pipe/pipe.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_block.h"
#include "sentry/vfs/files.h"
#include "sentry/vfs/open.h"
#include "sentry/vfs/vfs_internal.h"

/* What is said at open and not kept. */
#define ONCE_FLAGS (ABI_O_CREAT | ABI_O_EXCL | ABI_O_NOCTTY | ABI_O_TRUNC | ABI_O_CLOEXEC)
#define ROUNDS_MAX 1000 /* of open with O_CREAT: links followed, races lost */

static uint32_t wanted_access(uint32_t flags)
{
	static const uint8_t by_mode[4] = {MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE,
					   MAY_READ | MAY_WRITE};
	uint32_t mask = by_mode[flags & ABI_O_ACCMODE];

	return flags & ABI_O_TRUNC ? mask | MAY_WRITE : mask;
}

static int check_type(const struct path *p, uint32_t flags, uint32_t mask)
{
	uint32_t mode = p->dentry->inode->mode;

	switch (mode & ABI_S_IFMT) {
	case ABI_S_IFLNK:
		return -ELOOP;
	case ABI_S_IFDIR:
		if (mask & MAY_WRITE)
			return -EISDIR;
		break;
	case ABI_S_IFCHR:
	case ABI_S_IFBLK:
		if (mount_flags(p->mount) & ABI_MS_NODEV)
			return -EACCES;
		break;
	case ABI_S_IFSOCK:
		return -ENXIO;
	}
	if ((flags & ABI_O_DIRECTORY) && !ABI_S_ISDIR(mode))
		return -ENOTDIR;
	return 0;
}

static bool is_content(uint32_t mode)
{
	return ABI_S_ISREG(mode) || ABI_S_ISDIR(mode);
}

static int may_open(const struct path *p, const struct cred *c, uint32_t flags)
{
	struct inode *i = p->dentry->inode;
	uint32_t mask = wanted_access(flags);
	int err = check_type(p, flags, mask);

	if (!err)
		err = vfs_permission(i, c, mask);
	if (!err && (mask & MAY_WRITE) && is_content(i->mode))
		err = mount_want_write(p->mount);
	if (!err && (flags & ABI_O_NOATIME) && !inode_owner_or_capable(i, c))
		err = -EPERM;
	return err;
}

static int call_open(struct inode *i, struct file *f)
{
	if (i->ops->open)
		return i->ops->open(i, f);
	if (ABI_S_ISFIFO(i->mode))
		return pipe_open_fifo(i, f);
	if (ABI_S_ISCHR(i->mode))
		return chardev_open(i->sb->kernel, i->rdev, f);
	return -ENXIO;
}

static int new_file(struct task *t, const struct path *p, uint32_t flags, struct file **ret)
{
	struct file *f = file_new(p, flags, t->cred);
	int err = 0;

	if (!(flags & ABI_O_PATH)) {
		f->opener = t;
		err = call_open(f->inode, f);
		f->opener = NULL;
	}
	if (err) {
		file_put(f);
		return err;
	}
	atomic_fetch_and(&f->flags, ~(uint32_t)ONCE_FLAGS);
	*ret = f;
	return 0;
}

static int truncate_opened(struct inode *i, const struct cred *c)
{
	struct iattr a = {.valid = ATTR_SIZE | ATTR_MTIME | ATTR_TOUCH, .mtime = vfs_now()};
	int err = ABI_S_ISREG(i->mode) ? inode_setattr(i, &a) : 0;

	return err ? err : inode_drop_suid(i, c);
}

static int open_existing(struct task *t, const struct path *p, uint32_t flags, struct file **ret)
{
	int err;

	if (flags & ABI_O_PATH) {
		if ((flags & ABI_O_DIRECTORY) && !ABI_S_ISDIR(p->dentry->inode->mode))
			return -ENOTDIR;
		return new_file(t, p, flags, ret);
	}
	err = may_open(p, t->cred, flags);
	if (!err && (flags & ABI_O_TRUNC))
		err = truncate_opened(p->dentry->inode, t->cred);
	return err ? err : new_file(t, p, flags, ret);
}

int vfs_open_path(struct task *t, const struct path *p, uint32_t flags, struct file **ret)
{
	return open_existing(t, p, flags, ret);
}

/* ---- making ---- */

/*
 * Makes w->last in w->cur, unless it is there meanwhile. 0 with a reference, -EEXIST: look again.
 */
static int create_last(struct task *t, struct walk *w, uint32_t mode, struct dentry **ret)
{
	struct dentry *dir = w->cur.dentry, *d;
	struct inode *made;
	int err;

	inode_lock(dir->inode);
	err = lookup_child(dir, w->last, true, &d);
	if (!err) {
		dentry_put(d);
		err = -EEXIST;
	} else if (err == -ENOENT) {
		err = may_create(&w->cur, t->cred);
		if (!err && !dir->inode->ops->create)
			err = -EACCES;
	}
	if (!err)
		err = dir->inode->ops->create(dir->inode, w->last,
					      new_file_mode(t, dir->inode, mode), t->cred, &made);
	if (!err) {
		d = dcache_find(dir, w->last, strlen(w->last));
		if (d) {
			dcache_unhash(d);
			dentry_put(d);
		}
		*ret = dcache_add(dir, w->last, strlen(w->last), made, !dir->sb->no_cache);
	}
	mutex_unlock(&dir->inode->lock);
	return err;
}

static bool last_is_normal(const struct walk *w)
{
	return *w->last && strcmp(w->last, ".") && strcmp(w->last, "..");
}

/*
 * One round of open with O_CREAT, at the parent: 0 with w->cur at the file, 1: a link was followed,
 * go on.
 */
static int open_last(struct task *t, struct walk *w, uint32_t flags, uint32_t mode,
		     bool *ret_created)
{
	struct dentry *d;
	int err = lookup_child(w->cur.dentry, w->last, false, &d);

	if (err == -ENOENT) {
		err = create_last(t, w, mode, &d);
		if (err)
			return err == -EEXIST ? 1 : err;
		*ret_created = true;
		walk_enter(w, d);
		return 0;
	}
	if (err)
		return err;
	if (flags & ABI_O_EXCL) {
		dentry_put(d);
		return -EEXIST;
	}
	if (!ABI_S_ISLNK(d->inode->mode)) {
		walk_enter(w, d);
		return 0;
	}
	err = flags & ABI_O_NOFOLLOW ? -ELOOP : walk_follow(w, d);
	dentry_put(d);
	return err ? err : 1;
}

static int open_create(struct task *t, struct walk *w, uint32_t flags, uint32_t mode,
		       struct file **ret)
{
	unsigned rounds = 0;
	bool created = false;
	int err;

	do {
		/* A name that can be neither found nor made: what serves it is broken. */
		if (rounds++ > ROUNDS_MAX)
			return -ESTALE;
		if (w->magic)
			break;
		if (w->trailing_slash || !last_is_normal(w))
			return -EISDIR;
		err = open_last(t, w, flags, mode, &created);
		if (err < 0)
			return err;
	} while (err);
	if (created)
		return new_file(t, &w->cur, flags, ret);
	if (ABI_S_ISDIR(w->cur.dentry->inode->mode))
		return -EISDIR;
	return open_existing(t, &w->cur, flags, ret);
}

static int open_tmpfile(struct task *t, struct walk *w, uint32_t flags, uint32_t mode,
			struct file **ret)
{
	struct inode *dir = w->cur.dentry->inode, *made;
	struct path p;
	int err = may_create(&w->cur, t->cred);

	if (err)
		return err;
	if (!dir->ops->tmpfile)
		return -EOPNOTSUPP;
	mode = new_file_mode(t, dir, mode);
	inode_lock(dir);
	err = dir->ops->tmpfile(dir, mode, t->cred, &made);
	if (!err) {
		char name[VFS_NAME_MAX + 1];

		snprintf(name, sizeof(name), "#%llu", (unsigned long long)made->ino);
		p.dentry = dcache_add(w->cur.dentry, name, strlen(name), made, false);
		atomic_fetch_or(&p.dentry->flags, DENTRY_DELETED);
		atomic_store(&made->linkable, !(flags & ABI_O_EXCL));
		p.mount = mount_get(w->cur.mount);
	}
	mutex_unlock(&dir->lock);
	if (err)
		return err;
	err = new_file(t, &p, flags, ret);
	path_put(&p);
	return err;
}

/* ---- the whole ---- */

static uint32_t lookup_flags(uint32_t flags, uint32_t lookup)
{
	if (flags & ABI_O_DIRECTORY)
		lookup |= LOOKUP_DIRECTORY;
	if (!(flags & ABI_O_NOFOLLOW))
		lookup |= LOOKUP_FOLLOW;
	return lookup;
}

static bool is_tmpfile(uint32_t flags)
{
	return (flags & ABI_O_TMPFILE) == ABI_O_TMPFILE;
}

int vfs_open_with(struct task *t, int dfd, const char *name, uint32_t flags, uint32_t mode,
		  uint32_t lookup, struct file **ret)
{
	struct walk w;
	int err;

	mode &= ABI_S_IALLUGO;
	if (flags & ABI_O_PATH)
		flags &= ABI_O_PATH | ABI_O_DIRECTORY | ABI_O_NOFOLLOW | ABI_O_CLOEXEC;
	else
		flags |= ABI_O_LARGEFILE;
	if (flags & ABI_O_CREAT) {
		err = walk_name(&w, t, dfd, name, lookup | LOOKUP_PARENT);
		if (!err)
			err = open_create(t, &w, flags, mode, ret);
	} else {
		err = walk_name(&w, t, dfd, name, lookup_flags(flags, lookup));
		if (!err && is_tmpfile(flags))
			err = open_tmpfile(t, &w, flags & ~(uint32_t)ABI_O_DIRECTORY, mode, ret);
		else if (!err)
			err = open_existing(t, &w.cur, flags, ret);
	}
	walk_end(&w);
	return err;
}

int vfs_open(struct task *t, int dfd, const char *name, uint32_t flags, uint32_t mode,
	     struct file **ret)
{
	return vfs_open_with(t, dfd, name, flags, mode, 0, ret);
}
