/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Super blocks, inodes, and the anonymous objects that have a file but no tree.
 *
 * A super_block has two counts. `ref` counts those that use it as a file system: its maker and its
 * mounts. When the last of them is gone, cached names are forgotten and the root let go. `objects`
 * counts what needs its memory: every inode, and one for all of `ref`. Open files hold their mount
 * by their path, so when `ref` ends only inodes that are just being dropped are left.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "sentry/kernel/task_block.h"
#include "sentry/vfs/vfs_internal.h"

struct abi_timespec vfs_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	return (struct abi_timespec){ts.tv_sec, ts.tv_nsec};
}

struct super_block *super_new(struct kernel *k, const char *type, const struct super_ops *ops)
{
	struct super_block *sb = xnew(struct super_block);

	refcount_init(&sb->ref);
	refcount_init(&sb->objects);
	mutex_init(&sb->rename_lock, RANK_RENAME);
	sb->ops = ops;
	sb->type = type;
	sb->kernel = k;
	sb->dev = vfs_next_dev(k);
	atomic_init(&sb->last_ino, 1);
	return sb;
}

void super_get(struct super_block *sb)
{
	refcount_get(&sb->ref);
}

static void super_put_object(struct super_block *sb)
{
	if (!refcount_put(&sb->objects))
		return;
	if (sb->ops->destroy)
		sb->ops->destroy(sb);
	mutex_destroy(&sb->rename_lock);
	free(sb);
}

void super_put(struct super_block *sb)
{
	struct dentry *root;

	if (!sb || !refcount_put(&sb->ref))
		return;
	dcache_prune(sb);
	root = sb->root;
	sb->root = NULL;
	if (root)
		dentry_put(root);
	super_put_object(sb);
}

uint64_t super_next_ino(struct super_block *sb)
{
	return atomic_fetch_add_explicit(&sb->last_ino, 1, memory_order_relaxed) + 1;
}

struct inode *inode_new(struct super_block *sb, const struct inode_ops *ops, uint64_t ino,
			uint32_t mode)
{
	struct inode *i = xnew(struct inode);

	refcount_init(&i->ref);
	refcount_get(&sb->objects);
	i->sb = sb;
	i->ops = ops;
	i->ino = ino;
	i->mode = mode;
	i->nlink = 1;
	mutex_init(&i->lock, RANK_INODE);
	list_init(&i->locks);
	list_init(&i->aliases);
	list_init(&i->leases);
	waitqueue_init(&i->locks_wq);
	i->atime = i->mtime = i->ctime = i->btime = vfs_now();
	object_count(OBJ_INODE, 1);
	return i;
}

struct inode *inode_get(struct inode *i)
{
	refcount_get(&i->ref);
	return i;
}

void inode_lock(struct inode *i)
{
	if (i->sb->slow) {
		if (mutex_trylock(&i->lock))
			return;
		worker_going_long();
	}
	mutex_lock(&i->lock);
}

void inode_put(struct inode *i)
{
	struct super_block *sb;

	if (!i || !refcount_put(&i->ref))
		return;
	sb = i->sb;
	if (i->ops->evict)
		i->ops->evict(i);
	check(list_empty(&i->locks) && list_empty(&i->aliases) && !i->fifo);
	check(list_empty(&i->leases));
	waitqueue_destroy(&i->locks_wq);
	mutex_destroy(&i->lock);
	free(i);
	object_count(OBJ_INODE, -1);
	super_put_object(sb);
}

/* ---- anonymous objects ---- */

static int anon_statfs(struct super_block *sb, struct abi_statfs *ret)
{
	(void)sb;
	*ret = (struct abi_statfs){
	    .type = ABI_ANON_INODE_MAGIC, .bsize = 4096, .frsize = 4096, .namelen = VFS_NAME_MAX};
	return 0;
}

static const struct super_ops anon_super_ops = {.statfs = anon_statfs};
static const struct inode_ops anon_inode_ops = {NULL};

void anon_init(struct vfs *v)
{
	struct dentry *root;

	v->anon_sb = super_new(v->kernel, "anon_inodefs", &anon_super_ops);
	v->anon_inode = inode_new(v->anon_sb, &anon_inode_ops, 1, 0600);
	root = dentry_new_anon(v->anon_sb, "anon_inode:", inode_get(v->anon_inode));
	v->anon_mount = mount_alloc(v, v->anon_sb, root, 0, "anon_inodefs");
	dentry_put(root);
}

void anon_destroy(struct vfs *v)
{
	mount_put(v->anon_mount);
	inode_put(v->anon_inode);
	super_put(v->anon_sb);
}

void anon_path(struct vfs *v, const char *name, struct inode *inode, struct path *ret)
{
	ret->mount = mount_get(v->anon_mount);
	ret->dentry = dentry_new_anon(v->anon_sb, name, inode);
}

int vfs_path_of_inode(struct kernel *k, const char *name, struct inode *inode, struct path *ret)
{
	anon_path(k->vfs, name, inode, ret);
	return 0;
}

static uint32_t anon_mode(const char *name)
{
	if (!strncmp(name, "pipe:", 5))
		return ABI_S_IFIFO | 0600;
	if (!strncmp(name, "socket:", 7))
		return ABI_S_IFSOCK | 0777;
	return 0600;
}

void anon_path_new(struct vfs *v, const char *name, struct path *ret)
{
	const char *number = strstr(name, "%lu");
	struct strbuf text = STRBUF_INIT;
	struct inode *inode;

	if (!number) {
		anon_path(v, name, inode_get(v->anon_inode), ret);
		return;
	}
	inode = inode_new(v->anon_sb, &anon_inode_ops, super_next_ino(v->anon_sb), anon_mode(name));
	strbuf_add(&text, name, (size_t)(number - name));
	strbuf_addf(&text, "%lu", (unsigned long)inode->ino);
	strbuf_addstr(&text, number + 3);
	anon_path(v, strbuf_str(&text), inode, ret);
	strbuf_free(&text);
}
