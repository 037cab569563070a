/* SPDX-License-Identifier: Apache-2.0 */
/* Open file descriptions: making, ending, position, polling. */
#include <stdlib.h>

#include "abi/poll.h"
#include "base/mem.h"
#include "sentry/kernel/task_block.h"
#include "sentry/vfs/files.h"
#include "sentry/vfs/vfs_internal.h"

static const struct file_ops no_ops = {.no_seek = true};

struct file *file_new(const struct path *path, uint32_t flags, const struct cred *cred)
{
	struct file *f = xnew(struct file);

	refcount_init(&f->ref);
	f->ops = &no_ops;
	path_get(path);
	f->path = *path;
	f->inode = path->dentry->inode;
	atomic_init(&f->flags, flags);
	mutex_init(&f->lock, RANK_FILEPOS);
	f->cred = cred_get(cred);
	list_init(&f->epitems);
	object_count(OBJ_FILE, 1);
	return f;
}

struct file *file_new_anon(struct kernel *k, const char *name, const struct file_ops *ops,
			   void *private, uint32_t flags, const struct cred *cred)
{
	struct path path;
	struct file *f;

	anon_path_new(k->vfs, name, &path);
	f = file_new(&path, flags, cred);
	path_put(&path);
	f->ops = ops;
	f->private = private;
	return f;
}

struct file *file_get(struct file *f)
{
	refcount_get(&f->ref);
	return f;
}

void file_put(struct file *f)
{
	if (!f || !refcount_put(&f->ref))
		return;
	if (!list_empty(&f->epitems))
		epoll_file_released(f);
	locks_file_released(f);
	if (f->ops->release)
		f->ops->release(f);
	path_put(&f->path);
	cred_put(f->cred);
	mutex_destroy(&f->lock);
	free(f);
	object_count(OBJ_FILE, -1);
}

uint32_t vfs_poll(struct file *f, struct poll_table *pt)
{
	if (!f->ops->poll)
		return ABI_POLLIN | ABI_POLLOUT | ABI_POLLRDNORM | ABI_POLLWRNORM;
	if (pt)
		pt->file = f;
	return f->ops->poll(f, pt);
}

/* ---- position ---- */

static int64_t current_size(struct inode *i)
{
	if (i->ops->getattr)
		i->ops->getattr(i);
	return (int64_t)__atomic_load_n(&i->size, __ATOMIC_RELAXED);
}

static int64_t seek_target(struct file *f, int64_t offset, int whence)
{
	int64_t base, size;

	switch (whence) {
	case ABI_SEEK_SET:
		return offset;
	case ABI_SEEK_CUR:
		base = f->pos;
		break;
	case ABI_SEEK_END:
		base = current_size(f->inode);
		break;
	case ABI_SEEK_DATA:
	case ABI_SEEK_HOLE:
		size = current_size(f->inode);
		if (offset < 0 || offset >= size)
			return -ENXIO;
		return whence == ABI_SEEK_DATA ? offset : size;
	default:
		return -EINVAL;
	}
	if (__builtin_add_overflow(base, offset, &base))
		return -EOVERFLOW;
	return base;
}

int64_t vfs_seek(struct file *f, int64_t offset, int whence)
{
	int64_t pos;

	if (f->ops->no_seek)
		return -ESPIPE;
	mutex_lock(&f->lock);
	if (f->ops->seek) {
		pos = f->ops->seek(f, offset, whence);
	} else {
		pos = seek_target(f, offset, whence);
		if (pos < 0 && pos != -ENXIO && pos != -EOVERFLOW)
			pos = -EINVAL;
		if (pos >= 0)
			f->pos = pos;
	}
	mutex_unlock(&f->lock);
	return pos;
}

/* ---- "." and ".." ---- */

static uint64_t parent_ino(struct file *f)
{
	struct dentry *parent = dentry_parent(f->path.dentry);
	uint64_t ino = f->inode->ino;
	struct path up;

	if (parent) {
		ino = parent->inode->ino;
		dentry_put(parent);
	} else if (mount_up(f->path.mount, &up)) {
		parent = dentry_parent(up.dentry);
		ino = parent ? parent->inode->ino : up.dentry->inode->ino;
		dentry_put(parent);
		path_put(&up);
	}
	return ino;
}

bool vfs_emit_dots(struct file *f, struct dir_emit *e)
{
	if (f->pos == 0) {
		if (!e->emit(e, ".", f->inode->ino, ABI_DT_DIR, 1))
			return false;
		f->pos = 1;
	}
	if (f->pos == 1) {
		if (!e->emit(e, "..", parent_ino(f), ABI_DT_DIR, 2))
			return false;
		f->pos = 2;
	}
	return true;
}
