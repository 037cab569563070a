/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device nodes that guests make in a tree of the gofer.
 *
 * The gofer makes no devices on the host, so such a node is a record of the super_block: directory
 * (by the host's numbers, so it follows renames of directories), name, attributes. What opening it
 * does is the sentry's device table's business, as for any node. Records are few (NODES_MAX a
 * super_block) and go with the sandbox, like everything else a guest makes outside of its files.
 *
 * A record makes an inode when it is looked up, and remembers it while that lives. The name is in
 * the directory's listing before the host's entries: position 2 + slot.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/fcntl.h"
#include "base/log.h"
#include "base/mem.h"
#include "sentry/fs/gofer/internal.h"
#include "sentry/kernel/cred.h"
#include "sentry/vfs/vfs_internal.h"

/* Guards: [n] super.nodes_lock, [I]. */
struct gofer_node_record {
	struct refcount ref;			 /* its slot, and its inode */
	uint64_t dir_dev, dir_ino;		 /* [n] */
	char *name;				 /* [n] NULL: it has been removed */
	uint64_t ino, rdev;			 /* [I] */
	uint32_t mode, uid, gid;		 /* [n] */
	struct abi_timespec atime, mtime, ctime; /* [n] */
	struct inode *inode;			 /* [n] borrowed; NULL: none lives */
};

static const struct inode_ops node_ops;

static void record_put(struct gofer_node_record *r)
{
	if (!refcount_put(&r->ref))
		return;
	free(r->name);
	free(r);
}

static bool is_in(const struct gofer_node_record *r, const struct gofer_inode *dir)
{
	return r && r->dir_ino == dir->host_ino && r->dir_dev == dir->host_dev;
}

static struct gofer_node_record **find_locked(struct gofer_super *s, const struct gofer_inode *dir,
					      const char *name)
{
	for (unsigned i = 0; i < NODES_MAX; i++)
		if (is_in(s->nodes[i], dir) && !strcmp(s->nodes[i]->name, name))
			return &s->nodes[i];
	return NULL;
}

bool gofer_nodes_any(struct gofer_super *s)
{
	return atomic_load_explicit(&s->node_count, memory_order_relaxed) > 0;
}

bool gofer_is_node(const struct inode *i)
{
	return i && i->ops == &node_ops;
}

/* ---- inodes ---- */

static struct inode *inode_of_locked(struct gofer_super *s, struct gofer_node_record *r)
{
	struct inode *i = r->inode;

	if (i && refcount_get_unless_zero(&i->ref))
		return i;
	i = inode_new(s->sb, &node_ops, r->ino, r->mode);
	i->uid = r->uid;
	i->gid = r->gid;
	i->rdev = r->rdev;
	i->atime = r->atime;
	i->mtime = r->mtime;
	i->ctime = r->ctime;
	i->private = r;
	refcount_get(&r->ref);
	r->inode = i;
	return i;
}

int gofer_node_lookup(struct inode *dir, const char *name, struct inode **ret)
{
	struct gofer_super *s = gofer_super(dir->sb);
	struct gofer_node_record **slot;

	if (!gofer_nodes_any(s))
		return -ENOENT;
	mutex_lock(&s->nodes_lock);
	slot = find_locked(s, gofer_inode(dir), name);
	if (slot)
		*ret = inode_of_locked(s, *slot);
	mutex_unlock(&s->nodes_lock);
	return slot ? 0 : -ENOENT;
}

static int node_setattr(struct inode *i, const struct iattr *a)
{
	struct gofer_super *s = gofer_super(i->sb);
	struct gofer_node_record *r = i->private;

	if (a->valid & ATTR_SIZE)
		return -EINVAL;
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
	mutex_lock(&s->nodes_lock);
	r->mode = i->mode;
	r->uid = i->uid;
	r->gid = i->gid;
	r->atime = i->atime;
	r->mtime = i->mtime;
	r->ctime = i->ctime;
	mutex_unlock(&s->nodes_lock);
	return 0;
}

static void node_evict(struct inode *i)
{
	struct gofer_super *s = gofer_super(i->sb);
	struct gofer_node_record *r = i->private;

	mutex_lock(&s->nodes_lock);
	if (r->inode == i)
		r->inode = NULL;
	mutex_unlock(&s->nodes_lock);
	record_put(r);
}

static const struct inode_ops node_ops = {
    .setattr = node_setattr,
    .evict = node_evict,
};

/* ---- names ---- */

int gofer_node_make(struct inode *dir, const char *name, uint32_t mode, uint64_t rdev,
		    const struct cred *c, struct inode **ret)
{
	struct gofer_super *s = gofer_super(dir->sb);
	struct gofer_node_record *r = xnew(struct gofer_node_record);
	unsigned slot = 0;

	refcount_init(&r->ref);
	r->dir_dev = gofer_inode(dir)->host_dev;
	r->dir_ino = gofer_inode(dir)->host_ino;
	r->name = xstrdup(name);
	r->ino = super_next_ino(dir->sb) | 1ull << 62;
	r->rdev = rdev;
	r->mode = mode & (ABI_S_IFMT | ABI_S_IALLUGO);
	r->uid = c->fsuid;
	r->gid = dir->mode & ABI_S_ISGID ? dir->gid : c->fsgid;
	r->atime = r->mtime = r->ctime = vfs_now();
	mutex_lock(&s->nodes_lock);
	while (slot < NODES_MAX && s->nodes[slot])
		slot++;
	if (slot < NODES_MAX) {
		s->nodes[slot] = r;
		atomic_fetch_add(&s->node_count, 1);
		*ret = inode_of_locked(s, r);
	}
	mutex_unlock(&s->nodes_lock);
	if (slot < NODES_MAX)
		return 0;
	record_put(r);
	return -ENOSPC;
}

void gofer_node_remove(struct inode *dir, const char *name, struct inode *victim)
{
	struct gofer_super *s = gofer_super(dir->sb);
	struct gofer_node_record **slot, *r = NULL;

	mutex_lock(&s->nodes_lock);
	slot = find_locked(s, gofer_inode(dir), name);
	if (slot) {
		r = *slot;
		*slot = NULL;
		atomic_fetch_sub(&s->node_count, 1);
	}
	mutex_unlock(&s->nodes_lock);
	atomic_store_explicit(&victim->nlink, 0, memory_order_relaxed);
	if (r)
		record_put(r);
}

void gofer_node_move(struct inode *old_dir, const char *old_name, struct inode *new_dir,
		     const char *new_name)
{
	struct gofer_super *s = gofer_super(old_dir->sb);
	struct gofer_node_record **slot;
	char *name = xstrdup(new_name);

	mutex_lock(&s->nodes_lock);
	slot = find_locked(s, gofer_inode(old_dir), old_name);
	if (slot) {
		struct gofer_node_record *r = *slot;
		char *old = r->name;

		r->name = name;
		name = old;
		r->dir_dev = gofer_inode(new_dir)->host_dev;
		r->dir_ino = gofer_inode(new_dir)->host_ino;
	}
	mutex_unlock(&s->nodes_lock);
	free(name);
}

bool gofer_nodes_in(struct inode *dir)
{
	struct gofer_super *s = gofer_super(dir->sb);
	bool found = false;

	if (!gofer_nodes_any(s))
		return false;
	mutex_lock(&s->nodes_lock);
	for (unsigned i = 0; i < NODES_MAX && !found; i++)
		found = is_in(s->nodes[i], gofer_inode(dir));
	mutex_unlock(&s->nodes_lock);
	return found;
}

void gofer_nodes_destroy(struct gofer_super *s)
{
	for (unsigned i = 0; i < NODES_MAX; i++)
		if (s->nodes[i])
			record_put(s->nodes[i]);
}

/* ---- listing ---- */

static unsigned dtype(uint32_t mode)
{
	return (mode & ABI_S_IFMT) >> 12;
}

/* Copies what is in a slot if it belongs to the directory. */
static bool copy_slot(struct gofer_super *s, unsigned slot, const struct gofer_inode *dir,
		      char *name, uint64_t *ret_ino, uint32_t *ret_mode)
{
	struct gofer_node_record *r;
	bool found;

	mutex_lock(&s->nodes_lock);
	r = s->nodes[slot];
	found = is_in(r, dir);
	if (found) {
		strcpy(name, r->name);
		*ret_ino = r->ino;
		*ret_mode = r->mode;
	}
	mutex_unlock(&s->nodes_lock);
	return found;
}

bool gofer_nodes_emit(struct file *f, struct dir_emit *e)
{
	struct gofer_super *s = gofer_super(f->inode->sb);
	char name[VFS_NAME_MAX + 1];
	uint64_t ino;
	uint32_t mode;

	for (; f->pos < 2 + NODES_MAX && gofer_nodes_any(s); f->pos++)
		if (copy_slot(s, (unsigned)(f->pos - 2), gofer_inode(f->inode), name, &ino,
			      &mode) &&
		    !e->emit(e, name, ino, (uint8_t)dtype(mode), f->pos + 1))
			return false;
	if (f->pos < 2 + NODES_MAX)
		f->pos = 2 + NODES_MAX;
	return true;
}
