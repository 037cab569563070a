/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts: the tree of super_blocks that makes up the guests' file name space.
 *
 * A mount covers the dentry `mountpoint` as seen through the mount `parent`. Going down asks the
 * dentry for what is mounted on it (its list `mounts`, under its name lock, and only if its
 * mount_count isn't zero), going up asks the mount. So a walk takes no lock that others share
 * unless it really crosses. mount_lock guards the list of all mounts and serialises changes.
 *
 * A mount that was taken away (umount, also with MNT_DETACH) loses its parent; open files in it go
 * on working, ".." ends at its root.
 *
 * The last mount that covers a place wins: the newest is at the head of the dentry's list.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/vfs_internal.h"

struct mount *mount_get(struct mount *m)
{
	refcount_get(&m->ref);
	return m;
}

void mount_put(struct mount *m)
{
	if (!m || !refcount_put(&m->ref))
		return;
	check(!m->attached && !m->parent);
	dentry_put(m->root);
	super_put(m->sb);
	free(m->source);
	free(m);
}

uint32_t mount_flags(const struct mount *m)
{
	return atomic_load_explicit(&m->flags, memory_order_relaxed);
}

void mount_set_flags(struct mount *m, uint32_t flags)
{
	atomic_store(&m->flags, flags & MOUNT_STICKY_FLAGS);
}

int mount_want_write(const struct mount *m)
{
	return mount_flags(m) & ABI_MS_RDONLY ? -EROFS : 0;
}

struct mount *mount_alloc(struct vfs *v, struct super_block *sb, struct dentry *root,
			  uint32_t flags, const char *source)
{
	struct mount *m = xnew(struct mount);

	refcount_init(&m->ref);
	super_get(sb);
	m->sb = sb;
	m->root = dentry_get(root);
	list_init(&m->on_dentry);
	list_init(&m->link);
	atomic_init(&m->flags, flags & MOUNT_STICKY_FLAGS);
	m->source = xstrdup(source && *source ? source : "none");
	m->id = __atomic_add_fetch(&v->last_mount_id, 1, __ATOMIC_RELAXED);
	return m;
}

/* ---- crossing ---- */

static struct mount *mounted_here(const struct path *p)
{
	struct mutex *lock = dentry_lock(sb_vfs(p->dentry->sb), p->dentry);
	struct mount *m, *found = NULL;

	mutex_lock(lock);
	list_for_each (m, &p->dentry->mounts, on_dentry)
		if (m->parent == p->mount) {
			found = mount_get(m);
			break;
		}
	mutex_unlock(lock);
	return found;
}

bool mount_cross(struct path *p)
{
	bool moved = false;
	struct mount *m;

	while (atomic_load_explicit(&p->dentry->mount_count, memory_order_acquire) &&
	       (m = mounted_here(p))) {
		struct path old = *p;

		p->mount = m;
		p->dentry = dentry_get(m->root);
		path_put(&old);
		moved = true;
	}
	return moved;
}

bool mount_up(struct mount *m, struct path *ret)
{
	struct mutex *lock = dentry_lock(sb_vfs(m->sb), m);
	bool up;

	mutex_lock(lock);
	up = m->parent != NULL;
	if (up) {
		ret->mount = mount_get(m->parent);
		ret->dentry = dentry_get(m->mountpoint);
	}
	mutex_unlock(lock);
	return up;
}

/* ---- attaching ---- */

static void set_place(struct vfs *v, struct mount *m, struct mount *parent, struct dentry *where)
{
	struct mutex *lock = dentry_lock(v, m);

	mutex_lock(lock);
	m->parent = parent;
	m->mountpoint = where;
	mutex_unlock(lock);
}

/* Takes over one reference to m. */
static void attach_locked(struct vfs *v, struct mount *m, const struct path *where)
{
	struct mutex *lock = dentry_lock(v, where->dentry);

	assert_held(&v->mount_lock);
	path_get(where);
	set_place(v, m, where->mount, where->dentry);
	where->mount->child_count++;
	mutex_lock(lock);
	list_add_head(&where->dentry->mounts, &m->on_dentry);
	atomic_fetch_add(&where->dentry->mount_count, 1);
	mutex_unlock(lock);
	list_add_tail(&v->mounts, &m->link);
	v->mount_count++;
	m->attached = true;
}

/* The caller puts the references that come back in *ret_where, and the one that attaching took. */
static void detach_locked(struct vfs *v, struct mount *m, struct path *ret_where)
{
	struct mutex *lock = m->mountpoint ? dentry_lock(v, m->mountpoint) : NULL;

	assert_held(&v->mount_lock);
	*ret_where = (struct path){m->parent, m->mountpoint};
	if (lock) {
		mutex_lock(lock);
		list_del(&m->on_dentry);
		atomic_fetch_sub(&m->mountpoint->mount_count, 1);
		mutex_unlock(lock);
		m->parent->child_count--;
	}
	set_place(v, m, NULL, NULL);
	list_del(&m->link);
	v->mount_count--;
	m->attached = false;
}

static bool is_dir(const struct dentry *d)
{
	return d->inode && ABI_S_ISDIR(d->inode->mode);
}

static int attach(struct vfs *v, struct mount *m, const struct path *where)
{
	int ret = -ENOTDIR;

	if (is_dir(m->root) != is_dir(where->dentry))
		goto out;
	dcache_pin_path(where->dentry);
	mutex_lock(&v->mount_lock);
	ret = v->mount_count >= MOUNTS_MAX ? -ENOSPC : 0;
	if (!ret && !where->mount->attached)
		ret = -EINVAL;
	if (!ret && dentry_is_deleted(where->dentry))
		ret = -ENOENT;
	if (!ret)
		attach_locked(v, m, where);
	mutex_unlock(&v->mount_lock);
out:
	if (ret)
		mount_put(m);
	return ret;
}

int vfs_mount(struct kernel *k, const struct path *where, struct super_block *sb,
	      struct dentry *root, uint32_t flags, const char *source)
{
	return attach(k->vfs, mount_alloc(k->vfs, sb, root, flags, source), where);
}

int vfs_mount_root(struct kernel *k, struct super_block *sb, uint32_t flags, const char *source,
		   struct path *ret_root)
{
	struct vfs *v = k->vfs;
	struct mount *m = mount_alloc(v, sb, sb->root, flags, source);

	mutex_lock(&v->mount_lock);
	list_add_tail(&v->mounts, &m->link);
	v->mount_count++;
	m->attached = true;
	if (!v->root_mount)
		v->root_mount = m;
	mutex_unlock(&v->mount_lock);
	*ret_root = (struct path){m, m->root};
	path_get(ret_root);
	return 0;
}

/* ---- binding ---- */

bool dentry_is_below(struct dentry *d, struct dentry *ancestor)
{
	struct dentry *parent;

	dentry_get(d);
	while (d && d != ancestor) {
		parent = dentry_parent(d);
		dentry_put(d);
		d = parent;
	}
	if (d)
		dentry_put(d);
	return d != NULL;
}

/* References to the mounts attached now, in their order; the caller frees. */
static struct mount **snapshot(struct vfs *v, uint32_t *ret_count)
{
	struct mount **all, *m;
	uint32_t n = 0;

	mutex_lock(&v->mount_lock);
	all = xcalloc(v->mount_count + 1, sizeof(*all));
	list_for_each (m, &v->mounts, link)
		all[n++] = mount_get(m);
	mutex_unlock(&v->mount_lock);
	*ret_count = n;
	return all;
}

static void snapshot_free(struct mount **all, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		mount_put(all[i]);
	free(all);
}

/* Copies what is mounted below from->dentry to the same places of the mount `copy`. */
static int bind_children(struct vfs *v, const struct path *from, struct mount *copy)
{
	uint32_t count;
	struct mount **all = snapshot(v, &count);
	struct mount **copies = xcalloc(count + 1, sizeof(*copies));
	struct path up;
	int ret = 0;

	/* Parents come before their children in the list, so one pass does it. */
	for (uint32_t i = 0; i < count && !ret; i++) {
		struct mount *target = NULL;

		if (!mount_up(all[i], &up))
			continue;
		if (up.mount == from->mount && all[i] != copy &&
		    dentry_is_below(up.dentry, from->dentry))
			target = copy;
		for (uint32_t j = 0; j < i && !target; j++)
			if (copies[j] && all[j] == up.mount)
				target = copies[j];
		if (target) {
			struct path place = {target, up.dentry};

			copies[i] = mount_get(mount_alloc(v, all[i]->sb, all[i]->root,
							  mount_flags(all[i]), all[i]->source));
			ret = attach(v, copies[i], &place);
		}
		path_put(&up);
	}
	for (uint32_t i = 0; i < count; i++)
		mount_put(copies[i]);
	free(copies);
	snapshot_free(all, count);
	return ret;
}

int vfs_bind(struct kernel *k, const struct path *from, const struct path *where, uint32_t flags,
	     bool recursive)
{
	struct vfs *v = k->vfs;
	struct mount *m = mount_alloc(v, from->mount->sb, from->dentry, flags, from->mount->source);
	int ret;

	mount_get(m);
	ret = attach(v, m, where);
	if (!ret && recursive)
		ret = bind_children(v, from, m);
	mount_put(m);
	return ret;
}

int vfs_remount(const struct path *p, uint32_t flags)
{
	if (p->dentry != p->mount->root)
		return -EINVAL;
	mount_set_flags(p->mount, flags);
	return 0;
}

/* ---- below a mount ---- */

static bool mount_is_below(const struct mount *m, const struct mount *ancestor)
{
	while (m && m != ancestor)
		m = m->parent;
	return m != NULL;
}

/* Collects m and all attached below it, innermost first. */
static struct mount **collect_locked(struct vfs *v, struct mount *m, uint32_t *ret_count)
{
	struct mount **all = xcalloc(v->mount_count + 1, sizeof(*all)), *each;
	uint32_t n = 0, at = v->mount_count;

	list_for_each (each, &v->mounts, link)
		if (mount_is_below(each, m))
			all[--at] = each;
	n = v->mount_count - at;
	memmove(all, all + at, n * sizeof(*all));
	*ret_count = n;
	return all;
}

/* ---- moving ---- */

/*
 * Whether m may go to `where`. Under mount_lock, since two mounts that are moved into each other at
 * once must not become each other's parents.
 */
static int check_move(const struct vfs *v, const struct mount *m, const struct path *where)
{
	assert_held(&v->mount_lock);
	if (!m->attached || !m->parent || !where->mount->attached)
		return -EINVAL;
	if (dentry_is_deleted(where->dentry))
		return -ENOENT;
	return mount_is_below(where->mount, m) ? -ELOOP : 0;
}

/* m is the last of v->mounts: what is mounted below it goes behind it again. */
static void children_behind_locked(struct vfs *v, struct mount *m)
{
	uint32_t count;
	struct mount **all = collect_locked(v, m, &count);

	while (count--)
		if (all[count] != m) {
			list_del(&all[count]->link);
			list_add_tail(&v->mounts, &all[count]->link);
		}
	free(all);
}

int vfs_move_mount(struct kernel *k, const struct path *from, const struct path *where)
{
	struct vfs *v = k->vfs;
	struct mount *m = from->mount;
	struct path old;
	int ret;

	if (from->dentry != m->root || is_dir(m->root) != is_dir(where->dentry))
		return -EINVAL;
	dcache_pin_path(where->dentry);
	mutex_lock(&v->mount_lock);
	ret = check_move(v, m, where);
	if (!ret) {
		detach_locked(v, m, &old);
		attach_locked(v, m, where);
		children_behind_locked(v, m);
	}
	mutex_unlock(&v->mount_lock);
	if (!ret)
		path_put(&old);
	return ret;
}

/* ---- taking away ---- */

int vfs_umount(struct kernel *k, struct mount *m, bool detach)
{
	struct vfs *v = k->vfs;
	struct mount **gone;
	struct path *places;
	uint32_t count;
	int ret = 0;

	mutex_lock(&v->mount_lock);
	if (!m->attached || m == v->root_mount)
		ret = -EINVAL;
	/* One reference is the tree's, one the caller's. */
	else if (!detach && (m->child_count || refcount_read(&m->ref) > 2))
		ret = -EBUSY;
	if (ret) {
		mutex_unlock(&v->mount_lock);
		return ret;
	}
	gone = collect_locked(v, m, &count);
	places = xcalloc(count, sizeof(*places));
	for (uint32_t i = 0; i < count; i++)
		detach_locked(v, gone[i], &places[i]);
	mutex_unlock(&v->mount_lock);
	for (uint32_t i = 0; i < count; i++) {
		path_put(&places[i]);
		mount_put(gone[i]);
	}
	free(places);
	free(gone);
	return 0;
}

void mounts_destroy(struct vfs *v)
{
	while (!list_empty(&v->mounts)) {
		struct mount *m = list_entry(v->mounts.prev, struct mount, link);
		struct path where;

		mutex_lock(&v->mount_lock);
		detach_locked(v, m, &where);
		mutex_unlock(&v->mount_lock);
		if (where.mount)
			path_put(&where);
		mount_put(m);
	}
	v->root_mount = NULL;
}

/* ---- listing ---- */

static bool describe(const struct path *seen_from, struct mount *m, struct mount_info *info)
{
	struct path root = {m, m->root}, up;

	*info = (struct mount_info){.id = m->id,
				    .dev = m->sb->dev,
				    .type = m->sb->type,
				    .source = m->source,
				    .flags = mount_flags(m)};
	info->where = vfs_path_string_at(seen_from, &root);
	if (!info->where || info->where[0] != '/') {
		free(info->where);
		return false;
	}
	if (mount_up(m, &up)) {
		info->parent_id = up.mount->id;
		path_put(&up);
	}
	info->root = dentry_path_string(m->root);
	if (m->sb->ops->show_options) {
		struct strbuf options = STRBUF_INIT;

		m->sb->ops->show_options(m->sb, &options);
		info->options = strbuf_detach(&options);
	}
	return true;
}

void vfs_list_mounts(struct kernel *k, const struct path *root,
		     bool (*fn)(const struct mount_info *, void *), void *arg)
{
	uint32_t count;
	struct mount **all = snapshot(k->vfs, &count);
	struct mount_info info;
	bool more = true;

	for (uint32_t i = 0; i < count && more; i++) {
		if (!describe(root, all[i], &info))
			continue;
		more = fn(&info, arg);
		free(info.where);
		free(info.root);
		free(info.options);
	}
	snapshot_free(all, count);
}

void vfs_sync_all(struct kernel *k)
{
	uint32_t count;
	struct mount **all = snapshot(k->vfs, &count);

	for (uint32_t i = 0; i < count; i++)
		if (all[i]->sb->ops->sync)
			all[i]->sb->ops->sync(all[i]->sb);
	snapshot_free(all, count);
}

bool mount_root_is(const struct path *p)
{
	return p->dentry == p->mount->root;
}

bool dentry_is_deleted_path(const struct path *p)
{
	return dentry_is_deleted(p->dentry);
}

int64_t mount_statfs_flags(const struct mount *m)
{
	static const struct {
		uint32_t ms, st;
	} map[] = {{ABI_MS_RDONLY, ABI_ST_RDONLY},     {ABI_MS_NOSUID, ABI_ST_NOSUID},
		   {ABI_MS_NODEV, ABI_ST_NODEV},       {ABI_MS_NOEXEC, ABI_ST_NOEXEC},
		   {ABI_MS_NOATIME, ABI_ST_NOATIME},   {ABI_MS_NODIRATIME, ABI_ST_NODIRATIME},
		   {ABI_MS_RELATIME, ABI_ST_RELATIME}, {ABI_MS_NOSYMFOLLOW, ABI_ST_NOSYMFOLLOW}};
	uint32_t flags = mount_flags(m);
	int64_t ret = 0;

	for (size_t i = 0; i < array_count(map); i++)
		if (flags & map[i].ms)
			ret |= map[i].st;
	return ret;
}

int32_t mount_id(const struct mount *m)
{
	return m->id;
}
