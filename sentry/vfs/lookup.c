/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Path resolution (path_resolution(7), openat2(2)).
 *
 * A walk holds references to where it is (cur) and to the root that it can't leave. Each component
 * is found in the dentry cache, or asked of the file system with the directory locked; then mounts
 * on it are crossed, and a symbolic link is followed by walking its target from the link's
 * directory (one level of recursion a link, SYMLINKS_MAX in all). Nothing is held from one
 * component to the next but the references, so a walk never blocks a rename; as on Linux a walk
 * that races with one sees the tree before or after.
 *
 * ".." goes to the parent dentry, up through the roots of mounts, and never above the walk's root,
 * so a task whose root was changed stays inside (as long as it has no descriptor of a directory
 * outside; Linux has the same limit).
 *
 * References cost: each is an atomic operation on a line that all CPUs want when all walk from the
 * same root. So root and start are borrowed where they can't change meanwhile (the fs_context of a
 * task that shares it with nobody; the walk's root for the walk's own position), and a mount is
 * kept, not taken again, from component to component. What is left for a path in the root mount is
 * one reference for each component, on its own dentry.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "sentry/kernel/stats.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_block.h"
#include "sentry/vfs/files.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/vfs_internal.h"

void path_get(const struct path *p)
{
	mount_get(p->mount);
	dentry_get(p->dentry);
}

void path_put(const struct path *p)
{
	dentry_put(p->dentry);
	mount_put(p->mount);
}

/* ---- one component ---- */

static int lookup_locked(struct dentry *dir, const char *name, size_t size, struct dentry **ret)
{
	struct inode *inode = NULL;
	struct super_block *sb = dir->sb;
	int err;

	if (!dir->inode->ops->lookup)
		return -ENOTDIR;
	stat_count(dcache_misses);
	err = dir->inode->ops->lookup(dir->inode, name, &inode);
	if (err == -ENOENT && !sb->no_negative && !sb->no_cache && !dentry_is_deleted(dir))
		dentry_put(dcache_add(dir, name, size, NULL, true));
	if (err)
		return err;
	*ret = dcache_add(dir, name, size, inode, !sb->no_cache && !dentry_is_deleted(dir));
	return 0;
}

/* A cached answer that may be used: 1 and *ret (maybe negative), or 0. */
static int lookup_cached(struct dentry *dir, const char *name, size_t size, struct dentry **ret)
{
	const struct super_ops *ops = dir->sb->ops;
	struct dentry *d = dcache_find(dir, name, size);

	if (!d)
		return 0;
	if (ops->revalidate && !atomic_load_explicit(&d->mount_count, memory_order_relaxed) &&
	    !ops->revalidate(dir->inode, name, d->inode)) {
		dcache_unhash(d);
		dentry_put(d);
		return 0;
	}
	if (d->inode)
		stat_count(dcache_hits);
	else
		stat_count(dcache_negative_hits);
	*ret = d;
	return 1;
}

int lookup_child(struct dentry *dir, const char *name, bool locked, struct dentry **ret)
{
	struct mutex *lock = &dir->inode->lock;
	size_t size = strlen(name);
	struct dentry *d = NULL;
	int err = 0;

	if (lookup_cached(dir, name, size, &d))
		goto found;
	if (size > VFS_NAME_MAX)
		return -ENAMETOOLONG;
	if (!locked) {
		inode_lock(dir->inode);
		d = dcache_find(dir, name, size);
	}
	if (!d)
		err = lookup_locked(dir, name, size, &d);
	if (!locked)
		mutex_unlock(lock);
	if (err)
		return err;
found:
	if (!d->inode) {
		dentry_put(d);
		return -ENOENT;
	}
	*ret = d;
	return 0;
}

/* ---- moving ---- */

static void drop_cur(struct walk *w)
{
	if (w->owns_dentry)
		dentry_put(w->cur.dentry);
	if (w->owns_mount)
		mount_put(w->cur.mount);
	w->owns_dentry = w->owns_mount = false;
}

/* Takes the references of p over. */
static void walk_goto(struct walk *w, const struct path *p)
{
	drop_cur(w);
	w->cur = *p;
	w->owns_dentry = w->owns_mount = true;
}

/* To another dentry of the same mount, whose reference is taken over. */
static void walk_step(struct walk *w, struct dentry *to)
{
	struct dentry *old = w->owns_dentry ? w->cur.dentry : NULL;

	w->cur.dentry = to;
	w->owns_dentry = true;
	dentry_put(old);
}

/* To what is mounted here. True: it moved. */
static bool walk_cross(struct walk *w)
{
	if (!atomic_load_explicit(&w->cur.dentry->mount_count, memory_order_acquire))
		return false;
	if (!w->owns_mount)
		mount_get(w->cur.mount);
	if (!w->owns_dentry)
		dentry_get(w->cur.dentry);
	w->owns_mount = w->owns_dentry = true;
	return mount_cross(&w->cur);
}

static void walk_to_root(struct walk *w)
{
	drop_cur(w);
	w->cur = w->root;
}

/* The position with references, which leave the walk. */
static void walk_take(struct walk *w, struct path *ret)
{
	if (!w->owns_mount)
		mount_get(w->cur.mount);
	if (!w->owns_dentry)
		dentry_get(w->cur.dentry);
	*ret = w->cur;
	w->owns_mount = w->owns_dentry = false;
}

static bool same_path(const struct path *a, const struct path *b)
{
	return a->dentry == b->dentry && a->mount == b->mount;
}

static int walk_up(struct walk *w)
{
	struct dentry *parent;
	struct path p;

	for (;;) {
		if (same_path(&w->cur, &w->root))
			return w->flags & LOOKUP_BENEATH ? -EXDEV : 0;
		if (w->cur.dentry != w->cur.mount->root)
			break;
		if (!mount_up(w->cur.mount, &p))
			return 0;
		walk_goto(w, &p);
		if (w->flags & LOOKUP_NO_XDEV)
			return -EXDEV;
	}
	parent = dentry_parent(w->cur.dentry);
	if (!parent)
		return 0;
	walk_step(w, parent);
	return walk_cross(w) && (w->flags & LOOKUP_NO_XDEV) ? -EXDEV : 0;
}

/* Takes the reference to child over. */
static int walk_down(struct walk *w, struct dentry *child)
{
	walk_step(w, child);
	return walk_cross(w) && (w->flags & LOOKUP_NO_XDEV) ? -EXDEV : 0;
}

void walk_enter(struct walk *w, struct dentry *child)
{
	walk_step(w, child);
	walk_cross(w);
}

static int may_search(struct walk *w)
{
	struct inode *i = w->cur.dentry->inode;

	if (!ABI_S_ISDIR(i->mode))
		return -ENOTDIR;
	/* Everybody may: no need to ask who it is. */
	if (!w->cred || (!i->ops->permission && (i->mode & 0111) == 0111))
		return 0;
	return vfs_permission(i, w->cred, MAY_EXEC);
}

static int walk_path(struct walk *w, const char *p, bool final);

static int follow_target(struct walk *w, const char *target, bool final)
{
	if (!*target)
		return -ENOENT;
	if (*target == '/') {
		if (w->flags & LOOKUP_BENEATH)
			return -EXDEV;
		if ((w->flags & LOOKUP_NO_XDEV) && w->cur.mount != w->root.mount)
			return -EXDEV;
		walk_to_root(w);
	}
	return walk_path(w, target, final);
}

static int follow_magic(struct walk *w, struct inode *i, bool final)
{
	struct path p;
	int err;

	if (w->flags & LOOKUP_NO_MAGICLINKS)
		return -ELOOP;
	if (w->flags & (LOOKUP_BENEATH | LOOKUP_IN_ROOT))
		return -EXDEV;
	err = i->ops->follow_magic(i, w->task, &p);
	if (err)
		return err;
	if ((w->flags & LOOKUP_NO_XDEV) && p.mount != w->cur.mount) {
		path_put(&p);
		return -EXDEV;
	}
	walk_goto(w, &p);
	if (final)
		w->magic = true;
	return 0;
}

/* cur is the link's directory. final: its last component is the last of the whole walk. */
static int follow(struct walk *w, struct dentry *link, bool final)
{
	struct inode *i = link->inode;
	char *target = NULL;
	int err;

	if (++w->links > SYMLINKS_MAX || (w->flags & LOOKUP_NO_SYMLINKS) ||
	    (mount_flags(w->cur.mount) & ABI_MS_NOSYMFOLLOW))
		return -ELOOP;
	if (i->ops->follow_magic) {
		err = follow_magic(w, i, final);
		/* A link of proc may be a plain one after all. */
		if (err != -EOPNOTSUPP)
			return err;
	}
	if (!i->ops->readlink)
		return -EINVAL;
	err = i->ops->readlink(i, w->task, &target);
	if (err)
		return err;
	err = follow_target(w, target, final);
	free(target);
	return err;
}

int walk_follow(struct walk *w, struct dentry *link)
{
	w->trailing_slash = false;
	w->last[0] = 0;
	return follow(w, link, true);
}

/* ---- the walk ---- */

/* Cuts the next component into name; what follows its slashes. NULL: too long. */
static const char *cut(const char *p, char *name, size_t *ret_size)
{
	const char *end = strchrnul(p, '/');
	size_t size = (size_t)(end - p);

	if (size > VFS_NAME_MAX)
		return NULL;
	memcpy(name, p, size);
	name[size] = 0;
	*ret_size = size;
	return end;
}

static bool wants_follow(const struct walk *w, bool last, bool slash)
{
	return !last || slash || (w->flags & LOOKUP_FOLLOW);
}

static int walk_component(struct walk *w, const char *name, bool last, bool slash)
{
	struct dentry *child;
	int err;

	if (name[0] == '.' && !name[1])
		return 0;
	if (name[0] == '.' && name[1] == '.' && !name[2])
		return walk_up(w);
	err = lookup_child(w->cur.dentry, name, false, &child);
	if (err)
		return err;
	if (ABI_S_ISLNK(child->inode->mode) && wants_follow(w, last, slash)) {
		err = follow(w, child, last);
		dentry_put(child);
		return err;
	}
	return walk_down(w, child);
}

static int walk_path(struct walk *w, const char *p, bool final)
{
	char name[VFS_NAME_MAX + 1];
	size_t size;
	int err;

	for (;;) {
		bool slash, last;

		while (*p == '/')
			p++;
		if (!*p)
			return 0;
		err = may_search(w);
		if (err)
			return err;
		p = cut(p, name, &size);
		if (!p)
			return -ENAMETOOLONG;
		slash = *p == '/';
		while (*p == '/')
			p++;
		last = !*p && final;
		if (last && (w->flags & LOOKUP_PARENT)) {
			memcpy(w->last, name, size + 1);
			w->trailing_slash |= slash;
			return 0;
		}
		if (last && slash)
			w->flags |= LOOKUP_DIRECTORY;
		err = walk_component(w, name, last, slash);
		if (err)
			return err;
	}
}

static int start_at(struct walk *w, struct task *t, int dfd, bool empty)
{
	struct file *f;

	if (dfd == ABI_AT_FDCWD) {
		w->owns_mount = w->owns_dentry = fs_borrow_cwd(t->fs, &w->cur);
		return 0;
	}
	f = fd_get(t, dfd);
	if (!f)
		return -EBADF;
	if (!empty && !ABI_S_ISDIR(f->inode->mode)) {
		file_put(f);
		return -ENOTDIR;
	}
	path_get(&f->path);
	walk_goto(w, &f->path);
	file_put(f);
	return 0;
}

static int walk_start(struct walk *w, struct task *t, int dfd, const char *name)
{
	bool absolute = *name == '/' && !(w->flags & LOOKUP_IN_ROOT);
	int err;

	if (!*name && !(w->flags & LOOKUP_EMPTY))
		return -ENOENT;
	if (absolute && (w->flags & LOOKUP_BENEATH))
		return -EXDEV;
	if (absolute) {
		w->owns_root = fs_borrow_root(t->fs, &w->root);
		walk_to_root(w);
		return 0;
	}
	err = start_at(w, t, dfd, !*name);
	if (err)
		return err;
	if (w->flags & (LOOKUP_BENEATH | LOOKUP_IN_ROOT)) {
		w->root = w->cur;
		path_get(&w->root);
		w->owns_root = true;
	} else {
		w->owns_root = fs_borrow_root(t->fs, &w->root);
	}
	return 0;
}

static int walk_finish(struct walk *w, const char *name)
{
	int err = walk_path(w, name, true);

	if (err)
		return err;
	if ((w->flags & LOOKUP_DIRECTORY) && !(w->flags & LOOKUP_PARENT) &&
	    !ABI_S_ISDIR(w->cur.dentry->inode->mode))
		return -ENOTDIR;
	return 0;
}

static int walk_as(struct walk *w, struct task *t, const struct cred *c, int dfd, const char *name,
		   uint32_t flags)
{
	int err;

	memset(w, 0, offsetof(struct walk, last));
	w->last[0] = 0;
	w->task = t;
	w->cred = c;
	w->flags = flags;
	err = walk_start(w, t, dfd, name);
	return err ? err : walk_finish(w, name);
}

int walk_name(struct walk *w, struct task *t, int dfd, const char *name, uint32_t flags)
{
	return walk_as(w, t, t->cred, dfd, name, flags);
}

int vfs_lookup_as(struct task *t, const struct cred *c, int dfd, const char *name, uint32_t flags,
		  struct path *ret)
{
	struct walk w;
	int err = walk_as(&w, t, c, dfd, name, flags);

	if (!err)
		walk_take(&w, ret);
	walk_end(&w);
	return err;
}

int walk_at_root(struct walk *w, const struct path *root, const char *name, uint32_t flags)
{
	memset(w, 0, offsetof(struct walk, last));
	w->last[0] = 0;
	w->flags = flags;
	w->root = *root;
	path_get(root);
	w->owns_root = true;
	walk_to_root(w);
	return walk_finish(w, name);
}

void walk_end(struct walk *w)
{
	drop_cur(w);
	if (w->owns_root)
		path_put(&w->root);
	w->owns_root = false;
	w->cur = w->root = (struct path){NULL, NULL};
}

int vfs_lookup(struct task *t, int dfd, const char *name, uint32_t flags, struct path *ret,
	       char *ret_last)
{
	struct walk w;
	int err = walk_name(&w, t, dfd, name, flags);

	if (!err)
		walk_take(&w, ret);
	if (!err && (flags & LOOKUP_PARENT))
		memcpy(ret_last, w.last, sizeof(w.last));
	walk_end(&w);
	return err;
}

/* ---- at boot ---- */

/* Makes w->last, a directory or an empty file. -EEXIST: somebody was faster, or a dangling link. */
static int make_last(struct walk *w, bool file)
{
	struct inode *dir = w->cur.dentry->inode, *made;
	struct cred *c;
	int err;

	if (!(file ? dir->ops->create : dir->ops->mkdir))
		return -EPERM;
	c = cred_new();
	inode_lock(dir);
	if (file)
		err = dir->ops->create(dir, w->last, 0755, c, &made);
	else
		err = dir->ops->mkdir(dir, w->last, 0755, c, &made);
	if (!err) {
		dcache_invalidate(dir, w->last);
		inode_put(made);
	}
	mutex_unlock(&dir->lock);
	cred_put(c);
	return err;
}

static int lookup_from(const struct path *root, const char *name, struct path *ret)
{
	struct walk w;
	int err = walk_at_root(&w, root, name, LOOKUP_FOLLOW);

	if (!err)
		walk_take(&w, ret);
	walk_end(&w);
	return err;
}

/* Walks `name`, making its last component if it isn't there. */
static int lookup_or_make(const struct path *root, const char *name, bool file, struct path *ret)
{
	struct walk w;
	int err = lookup_from(root, name, ret);

	if (err != -ENOENT)
		return err;
	err = walk_at_root(&w, root, name, LOOKUP_PARENT);
	if (!err)
		err = make_last(&w, file);
	walk_end(&w);
	return err && err != -EEXIST ? err : lookup_from(root, name, ret);
}

/* Every proper prefix in turn, then the whole, so that what is missing is made on the way. */
static int make_path(const struct path *root, const char *name, bool file, struct path *ret)
{
	char *prefix = xstrdup(name);
	size_t size = strlen(name);
	int err = 0;

	for (size_t end = 1; end < size && !err; end++) {
		struct path p;

		if (name[end] != '/')
			continue;
		prefix[end] = 0;
		err = lookup_or_make(root, prefix, false, &p);
		if (!err)
			path_put(&p);
		prefix[end] = '/';
	}
	free(prefix);
	return err ? err : lookup_or_make(root, name, file, ret);
}

int vfs_lookup_at_root(struct kernel *k, const struct path *root, const char *name, bool make,
		       struct path *ret)
{
	(void)k;
	return make ? make_path(root, name, false, ret) : lookup_from(root, name, ret);
}

int vfs_make_file_at_root(struct kernel *k, const struct path *root, const char *name,
			  struct path *ret)
{
	(void)k;
	return make_path(root, name, true, ret);
}

int vfs_stat_name(struct task *t, int dfd, const char *name, uint32_t flags, struct abi_stat *ret)
{
	struct walk w;
	int err = walk_name(&w, t, dfd, name, flags);

	if (!err)
		err = vfs_stat(&w.cur, ret);
	walk_end(&w);
	return err;
}
