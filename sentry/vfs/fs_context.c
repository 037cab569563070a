/* SPDX-License-Identifier: Apache-2.0 */
/* Working directory, root and umask of tasks (CLONE_FS shares them). */
#include <stdlib.h>

#include "base/mem.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/files.h"
#include "sentry/vfs/vfs_internal.h"

struct fs_context {
	struct refcount ref;
	struct mutex lock;     /* RANK_FS */
	struct path root, cwd; /* lock; references */
	atomic_uint umask;     /* [a] */
};

struct fs_context *fs_context_new(const struct path *root, const struct path *cwd)
{
	struct fs_context *f = xnew(struct fs_context);

	refcount_init(&f->ref);
	mutex_init(&f->lock, RANK_FS);
	path_get(root);
	path_get(cwd);
	f->root = *root;
	f->cwd = *cwd;
	f->umask = 022;
	object_count(OBJ_FS, 1);
	return f;
}

struct fs_context *fs_context_dup(struct fs_context *old)
{
	struct fs_context *f;
	struct path root, cwd;

	mutex_lock(&old->lock);
	root = old->root;
	cwd = old->cwd;
	path_get(&root);
	path_get(&cwd);
	mutex_unlock(&old->lock);
	f = fs_context_new(&root, &cwd);
	f->umask = atomic_load(&old->umask);
	path_put(&root);
	path_put(&cwd);
	return f;
}

struct fs_context *fs_context_get(struct fs_context *f)
{
	refcount_get(&f->ref);
	return f;
}

void fs_context_put(struct fs_context *f)
{
	if (!f || !refcount_put(&f->ref))
		return;
	path_put(&f->root);
	path_put(&f->cwd);
	mutex_destroy(&f->lock);
	free(f);
	object_count(OBJ_FS, -1);
}

void fs_context_unshare(struct task *t)
{
	struct fs_context *old = t->fs, *own;

	if (refcount_read(&old->ref) == 1)
		return;
	own = fs_context_dup(old);
	mutex_lock(&t->kernel->tasks_lock);
	t->fs = own;
	mutex_unlock(&t->kernel->tasks_lock);
	fs_context_put(old);
}

static void get(struct fs_context *f, const struct path *which, struct path *ret)
{
	mutex_lock(&f->lock);
	*ret = *which;
	path_get(ret);
	mutex_unlock(&f->lock);
}

static void set(struct fs_context *f, struct path *which, const struct path *p)
{
	struct path old;

	path_get(p);
	mutex_lock(&f->lock);
	old = *which;
	*which = *p;
	mutex_unlock(&f->lock);
	path_put(&old);
}

void fs_get_root(struct fs_context *f, struct path *ret)
{
	get(f, &f->root, ret);
}

void fs_get_cwd(struct fs_context *f, struct path *ret)
{
	get(f, &f->cwd, ret);
}

/*
 * Only tasks that share the context change it, and only their clones come to share it. Others
 * (/proc) hold a reference for a moment, to read: then the lock is taken for nothing.
 */
static bool borrow(struct fs_context *f, const struct path *which, struct path *ret)
{
	if (refcount_read(&f->ref) > 1) {
		get(f, which, ret);
		return true;
	}
	*ret = *which;
	return false;
}

bool fs_borrow_root(struct fs_context *f, struct path *ret)
{
	return borrow(f, &f->root, ret);
}

bool fs_borrow_cwd(struct fs_context *f, struct path *ret)
{
	return borrow(f, &f->cwd, ret);
}

void fs_set_root(struct fs_context *f, const struct path *p)
{
	set(f, &f->root, p);
}

void fs_set_cwd(struct fs_context *f, const struct path *p)
{
	set(f, &f->cwd, p);
}

uint32_t fs_umask(struct fs_context *f)
{
	return atomic_load_explicit(&f->umask, memory_order_relaxed);
}

uint32_t fs_set_umask(struct fs_context *f, uint32_t mask)
{
	return atomic_exchange(&f->umask, mask & 0777);
}
