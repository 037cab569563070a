/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making, removing and renaming names.
 *
 * Each operation walks to the directory, locks its inode, looks the last component up under that
 * lock, checks, calls the file system, and brings the dentry cache up to date before it unlocks. So
 * for one directory what the cache says and what the file system did can't cross.
 *
 * rename locks two directories: under the super_block's rename_lock, an ancestor before what is
 * below it, else by address. Others hold one directory (and at most its child) at a time, so the
 * order parent before child is never broken; and as only a holder of rename_lock can change who is
 * whose ancestor, the answer stays true.
 */
#include "sentry/vfs/namei.h"

#include <stdlib.h>
#include <string.h>

#include "abi/caps.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_block.h"
#include "sentry/vfs/files.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/vfs_internal.h"

static bool is_dot(const char *name)
{
	return name[0] == '.' && !name[1];
}

static bool is_dotdot(const char *name)
{
	return name[0] == '.' && name[1] == '.' && !name[2];
}

static bool is_normal(const char *name)
{
	return *name && !is_dot(name) && !is_dotdot(name);
}

static void lock_dir(struct dentry *dir)
{
	inode_lock(dir->inode);
}

static void unlock_dir(struct dentry *dir)
{
	mutex_unlock(&dir->inode->lock);
}

/* ---- making ---- */

/*
 * Walks to the directory of `name` and locks it: the name is free and may be made. dir_ok: a
 * trailing slash is fine. On success walk_end and unlock are the caller's.
 */
static int begin_create(struct walk *w, struct task *t, int dfd, const char *name, bool dir_ok)
{
	struct dentry *exists;
	int err = walk_name(w, t, dfd, name, LOOKUP_PARENT);

	if (!err && !is_normal(w->last))
		err = -EEXIST;
	if (err) {
		walk_end(w);
		return err;
	}
	lock_dir(w->cur.dentry);
	err = lookup_child(w->cur.dentry, w->last, true, &exists);
	if (!err) {
		dentry_put(exists);
		err = -EEXIST;
	} else if (err == -ENOENT) {
		err = w->trailing_slash && !dir_ok ? -ENOENT : may_create(&w->cur, t->cred);
	}
	if (err) {
		unlock_dir(w->cur.dentry);
		walk_end(w);
	}
	return err;
}

/* Caches the new name; inode's reference is taken over (NULL on error). */
static int end_create(struct walk *w, int err, struct inode *inode)
{
	struct dentry *dir = w->cur.dentry, *old;

	old = err ? NULL : dcache_find(dir, w->last, strlen(w->last));
	if (old) {
		dcache_unhash(old);
		dentry_put(old);
	}
	if (!err)
		dentry_put(dcache_add(dir, w->last, strlen(w->last), inode, !dir->sb->no_cache));
	unlock_dir(dir);
	walk_end(w);
	return err;
}

int vfs_mkdir(struct task *t, int dfd, const char *name, uint32_t mode)
{
	struct inode *made = NULL, *dir;
	struct walk w;
	int err = begin_create(&w, t, dfd, name, true);

	if (err)
		return err;
	dir = w.cur.dentry->inode;
	mode &= 01777 & ~fs_umask(t->fs);
	err = dir->ops->mkdir ? dir->ops->mkdir(dir, w.last, mode, t->cred, &made) : -EPERM;
	return end_create(&w, err, made);
}

static int mknod_allowed(struct task *t, uint32_t mode, uint64_t rdev)
{
	switch (mode & ABI_S_IFMT) {
	case ABI_S_IFREG:
	case ABI_S_IFIFO:
	case ABI_S_IFSOCK:
		return 0;
	case ABI_S_IFCHR:
		/* A whiteout needs no privilege. */
		if (!rdev)
			return 0;
		return cred_capable(t->cred, ABI_CAP_MKNOD) ? 0 : -EPERM;
	case ABI_S_IFBLK:
		return cred_capable(t->cred, ABI_CAP_MKNOD) ? 0 : -EPERM;
	case ABI_S_IFDIR:
		return -EPERM;
	default:
		return -EINVAL;
	}
}

static int make_node(struct task *t, struct walk *w, uint32_t mode, uint64_t rdev,
		     struct inode **ret)
{
	struct inode *dir = w->cur.dentry->inode;

	mode = new_file_mode(t, dir, mode);
	if (ABI_S_ISREG(mode))
		return dir->ops->create
			   ? dir->ops->create(dir, w->last, mode & ABI_S_IALLUGO, t->cred, ret)
			   : -EPERM;
	return dir->ops->mknod ? dir->ops->mknod(dir, w->last, mode, rdev, t->cred, ret) : -EPERM;
}

int vfs_mknod(struct task *t, int dfd, const char *name, uint32_t mode, uint64_t rdev)
{
	struct inode *made = NULL;
	struct walk w;
	int err;

	if (!(mode & ABI_S_IFMT))
		mode |= ABI_S_IFREG;
	err = mknod_allowed(t, mode, rdev);
	if (!err)
		err = begin_create(&w, t, dfd, name, false);
	if (err)
		return err;
	err = make_node(t, &w, mode, rdev, &made);
	return end_create(&w, err, made);
}

int vfs_bind_socket(struct task *t, const char *name, uint32_t mode, struct path *ret)
{
	struct inode *made = NULL;
	struct walk w;
	int err = begin_create(&w, t, ABI_AT_FDCWD, name, false);

	if (err)
		return err == -EEXIST ? -EADDRINUSE : err;
	err = make_node(t, &w, ABI_S_IFSOCK | (mode & 07777), 0, &made);
	if (!err) {
		struct dentry *dir = w.cur.dentry, *d;

		dcache_invalidate(dir->inode, w.last);
		d = dcache_add(dir, w.last, strlen(w.last), made, !dir->sb->no_cache);
		*ret = (struct path){mount_get(w.cur.mount), d};
	}
	unlock_dir(w.cur.dentry);
	walk_end(&w);
	return err;
}

int vfs_symlink(struct task *t, const char *target, int dfd, const char *name)
{
	struct inode *made = NULL, *dir;
	struct walk w;
	int err;

	if (!*target)
		return -ENOENT;
	err = begin_create(&w, t, dfd, name, false);
	if (err)
		return err;
	dir = w.cur.dentry->inode;
	err = dir->ops->symlink ? dir->ops->symlink(dir, w.last, target, t->cred, &made) : -EPERM;
	return end_create(&w, err, made);
}

static int link_allowed(struct task *t, const struct path *from)
{
	struct inode *i = from->dentry->inode;

	if (ABI_S_ISDIR(i->mode))
		return -EPERM;
	/* What Linux calls protected_hardlinks: own, or safe to read and write. */
	if (inode_owner_or_capable(i, t->cred))
		return 0;
	if (!ABI_S_ISREG(i->mode) || (i->mode & ABI_S_ISUID) ||
	    (i->mode & (ABI_S_ISGID | ABI_S_IXGRP)) == (ABI_S_ISGID | ABI_S_IXGRP))
		return -EPERM;
	return vfs_permission(i, t->cred, MAY_READ | MAY_WRITE) ? -EPERM : 0;
}

int vfs_link(struct task *t, int olddfd, const char *oldname, int newdfd, const char *newname,
	     uint32_t flags)
{
	uint32_t lookup = flags & ABI_AT_SYMLINK_FOLLOW ? LOOKUP_FOLLOW : 0;
	struct inode *dir, *target;
	struct path from;
	struct walk w;
	int err;

	if (flags & ABI_AT_EMPTY_PATH)
		lookup |= LOOKUP_EMPTY;
	err = vfs_lookup(t, olddfd, oldname, lookup, &from, NULL);
	if (err)
		return err;
	err = begin_create(&w, t, newdfd, newname, false);
	if (err)
		goto out;
	dir = w.cur.dentry->inode;
	target = from.dentry->inode;
	if (w.cur.mount != from.mount || dir->sb != target->sb)
		err = -EXDEV;
	if (!err)
		err = link_allowed(t, &from);
	/* One that lost its last name gets none again. Ask: a count that was read while a name
	 * went may have been counted down twice. */
	if (!err && !target->nlink && target->ops->getattr)
		err = target->ops->getattr(target);
	if (!err && !target->nlink && !atomic_load(&target->linkable))
		err = -ENOENT;
	if (!err)
		err = dir->ops->link ? dir->ops->link(dir, w.last, target) : -EPERM;
	err = end_create(&w, err, err ? NULL : inode_get(target));
out:
	path_put(&from);
	return err;
}

/* ---- removing ---- */

static int remove_error(const char *last, bool dir)
{
	if (!dir)
		return -EISDIR;
	if (is_dot(last))
		return -EINVAL;
	return is_dotdot(last) ? -ENOTEMPTY : -EBUSY;
}

static int remove_locked(struct task *t, struct walk *w, struct dentry *victim, bool dir)
{
	struct inode *di = w->cur.dentry->inode, *i = victim->inode;
	int err;

	if (!dir && w->trailing_slash)
		return ABI_S_ISDIR(i->mode) ? -EISDIR : -ENOTDIR;
	err = may_delete(&w->cur, victim, dir, t->cred);
	if (!err)
		err = mount_want_write(w->cur.mount);
	if (err)
		return err;
	if (dir)
		err = di->ops->rmdir ? di->ops->rmdir(di, w->last, i) : -EPERM;
	else
		err = di->ops->unlink ? di->ops->unlink(di, w->last, i) : -EPERM;
	if (!err)
		dcache_deleted(w->cur.dentry, victim);
	return err;
}

static int do_remove(struct task *t, int dfd, const char *name, bool dir)
{
	struct dentry *victim = NULL;
	struct walk w;
	int err = walk_name(&w, t, dfd, name, LOOKUP_PARENT);

	if (!err && !is_normal(w.last))
		err = remove_error(w.last, dir);
	if (err)
		goto out;
	lock_dir(w.cur.dentry);
	err = lookup_child(w.cur.dentry, w.last, true, &victim);
	if (!err)
		err = remove_locked(t, &w, victim, dir);
	unlock_dir(w.cur.dentry);
	/* The content goes with this reference, outside the lock. */
	if (victim)
		dentry_put(victim);
out:
	walk_end(&w);
	return err;
}

int vfs_unlink(struct task *t, int dfd, const char *name)
{
	return do_remove(t, dfd, name, false);
}

int vfs_rmdir(struct task *t, int dfd, const char *name)
{
	return do_remove(t, dfd, name, true);
}

/* ---- renaming ---- */

/* Whoever holds a lock of a slow file system may wait for a disk: not with the lead in hand. */
static void lock_of(const struct super_block *sb, struct mutex *m, bool nested)
{
	if (sb->slow) {
		if (mutex_trylock(m))
			return;
		worker_going_long();
	}
	if (nested)
		mutex_lock_nested(m);
	else
		mutex_lock(m);
}

static void lock_two(struct dentry *a, struct dentry *b)
{
	lock_of(a->sb, &a->sb->rename_lock, false);
	if (a->inode == b->inode) {
		lock_of(a->sb, &a->inode->lock, false);
		return;
	}
	/* See the head of this file. */
	if (!dentry_is_below(b, a) && (dentry_is_below(a, b) || b->inode < a->inode)) {
		struct dentry *swap = a;

		a = b;
		b = swap;
	}
	lock_of(a->sb, &a->inode->lock, false);
	lock_of(b->sb, &b->inode->lock, true);
}

static void unlock_two(struct dentry *a, struct dentry *b)
{
	mutex_unlock(&a->inode->lock);
	if (a->inode != b->inode)
		mutex_unlock(&b->inode->lock);
	mutex_unlock(&a->sb->rename_lock);
}

struct rename {
	struct task *task;
	struct walk from, to;
	struct dentry *source, *target; /* references; target may be NULL */
	uint32_t flags;
};

static int rename_check_types(const struct rename *r)
{
	bool dir = ABI_S_ISDIR(r->source->inode->mode);

	if (!dir &&
	    (r->from.trailing_slash || (r->to.trailing_slash && !(r->flags & ABI_RENAME_EXCHANGE))))
		return -ENOTDIR;
	if (r->target && r->to.trailing_slash && !ABI_S_ISDIR(r->target->inode->mode))
		return -ENOTDIR;
	if (dentry_is_below(r->to.cur.dentry, r->source))
		return -EINVAL;
	if (r->target && dentry_is_below(r->from.cur.dentry, r->target))
		return r->flags & ABI_RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
	return 0;
}

static int rename_check_permission(const struct rename *r)
{
	const struct cred *c = r->task->cred;
	bool dir = ABI_S_ISDIR(r->source->inode->mode);
	int err = may_delete(&r->from.cur, r->source, dir, c);

	if (err)
		return err;
	if (!r->target)
		return may_create(&r->to.cur, c);
	if (r->flags & ABI_RENAME_EXCHANGE)
		dir = ABI_S_ISDIR(r->target->inode->mode);
	return may_delete(&r->to.cur, r->target, dir, c);
}

/* A directory that gets another parent has its ".." rewritten. */
static int rename_check_moved_dirs(const struct rename *r)
{
	const struct cred *c = r->task->cred;

	if (r->from.cur.dentry->inode == r->to.cur.dentry->inode)
		return 0;
	if (ABI_S_ISDIR(r->source->inode->mode) && vfs_permission(r->source->inode, c, MAY_WRITE))
		return -EACCES;
	if ((r->flags & ABI_RENAME_EXCHANGE) && ABI_S_ISDIR(r->target->inode->mode) &&
	    vfs_permission(r->target->inode, c, MAY_WRITE))
		return -EACCES;
	return 0;
}

static void rename_update_cache(struct rename *r)
{
	struct dentry *from = r->from.cur.dentry, *to = r->to.cur.dentry;
	struct dentry *stale = NULL;

	if (r->flags & ABI_RENAME_EXCHANGE) {
		dcache_move(r->target, from, r->from.last, strlen(r->from.last));
		dcache_move(r->source, to, r->to.last, strlen(r->to.last));
		return;
	}
	if (r->target) {
		atomic_fetch_or(&r->target->flags, DENTRY_DELETED);
		dcache_unhash(r->target);
	} else {
		stale = dcache_find(to, r->to.last, strlen(r->to.last));
	}
	if (stale) {
		dcache_unhash(stale);
		dentry_put(stale);
	}
	dcache_move(r->source, to, r->to.last, strlen(r->to.last));
	if (!from->sb->no_negative && !from->sb->no_cache)
		dentry_put(dcache_add(from, r->from.last, strlen(r->from.last), NULL, true));
}

static int rename_lookup(struct rename *r)
{
	int err = lookup_child(r->from.cur.dentry, r->from.last, true, &r->source);

	if (err)
		return err;
	err = lookup_child(r->to.cur.dentry, r->to.last, true, &r->target);
	if (err && err != -ENOENT)
		return err;
	if (err && (r->flags & ABI_RENAME_EXCHANGE))
		return -ENOENT;
	if (!err && (r->flags & ABI_RENAME_NOREPLACE))
		return -EEXIST;
	return 0;
}

static int rename_locked(struct rename *r)
{
	struct inode *from = r->from.cur.dentry->inode, *to = r->to.cur.dentry->inode;
	int err = rename_lookup(r);

	if (!err)
		err = mount_want_write(r->from.cur.mount);
	if (!err)
		err = rename_check_types(r);
	if (err)
		return err;
	/* Two names of one file: rename(2) does nothing, and needs no permission for that. */
	if (r->target && r->target->inode == r->source->inode)
		return 0;
	err = rename_check_permission(r);
	if (!err)
		err = rename_check_moved_dirs(r);
	if (err)
		return err;
	if (!from->ops->rename)
		return -EPERM;
	err = from->ops->rename(from, r->from.last, r->source->inode, to, r->to.last,
				r->target ? r->target->inode : NULL, r->flags);
	if (!err)
		rename_update_cache(r);
	return err;
}

static int rename_check_ends(const struct rename *r)
{
	if (!is_normal(r->from.last) || !is_normal(r->to.last))
		return r->flags & ABI_RENAME_NOREPLACE && !is_normal(r->to.last) ? -EEXIST : -EBUSY;
	return r->from.cur.mount == r->to.cur.mount ? 0 : -EXDEV;
}

int vfs_rename(struct task *t, int olddfd, const char *oldname, int newdfd, const char *newname,
	       uint32_t flags)
{
	struct rename r = {.task = t, .flags = flags};
	int err = walk_name(&r.from, t, olddfd, oldname, LOOKUP_PARENT);

	if (!err)
		err = walk_name(&r.to, t, newdfd, newname, LOOKUP_PARENT);
	if (!err)
		err = rename_check_ends(&r);
	if (!err) {
		lock_two(r.from.cur.dentry, r.to.cur.dentry);
		err = rename_locked(&r);
		unlock_two(r.from.cur.dentry, r.to.cur.dentry);
	}
	if (r.source)
		dentry_put(r.source);
	if (r.target)
		dentry_put(r.target);
	walk_end(&r.from);
	walk_end(&r.to);
	return err;
}

/* ---- reading links ---- */

int vfs_readlink(struct task *t, const struct path *p, char **ret_target)
{
	struct inode *i = p->dentry->inode;

	if (!ABI_S_ISLNK(i->mode) || !i->ops->readlink)
		return -EINVAL;
	return i->ops->readlink(i, t, ret_target);
}
