/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptor tables. A slot is the file's address with the close-on-exec flag in bit 0. Tasks made
 * with CLONE_FILES share one table.
 */
#include "sentry/vfs/files.h"

#include <errno.h>
#include <stdlib.h>

#include "abi/resource.h"
#include "base/idmap.h"
#include "base/mem.h"
#include "sentry/kernel/lease.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/locks.h"
#include "sentry/vfs/vfs_internal.h"

#define CLOEXEC_BIT ((uintptr_t)1)
#define FD_LIMIT    (1 << 20) /* fs.nr_open: whatever the limit says, no more than that */

struct files {
	struct refcount ref;
	struct mutex lock;  /* RANK_FILES */
	struct idmap slots; /* lock */
};

static struct file *slot_file(void *slot)
{
	return (struct file *)((uintptr_t)slot & ~CLOEXEC_BIT);
}

static void *make_slot(struct file *f, bool cloexec)
{
	return (void *)((uintptr_t)f | (cloexec ? CLOEXEC_BIT : 0));
}

struct files *files_new(void)
{
	struct files *fs = xnew(struct files);

	refcount_init(&fs->ref);
	mutex_init(&fs->lock, RANK_FILES);
	object_count(OBJ_FILES, 1);
	return fs;
}

struct files *files_dup(struct files *old)
{
	struct files *fs = files_new();
	int64_t fd;
	void *slot;

	mutex_lock(&old->lock);
	idmap_for_each (&old->slots, fd, slot) {
		file_get(slot_file(slot));
		idmap_set(&fs->slots, (uint32_t)fd, slot);
	}
	mutex_unlock(&old->lock);
	return fs;
}

struct files *files_get(struct files *fs)
{
	refcount_get(&fs->ref);
	return fs;
}

bool files_unshared(struct files *fs)
{
	return refcount_read(&fs->ref) == 1;
}

/*
 * What close(2) does beside freeing the descriptor; t is the task in whose handler this is, NULL if
 * it has no leases. Takes the reference.
 */
static int close_file(struct task *t, const struct files *fs, struct file *f)
{
	int err = 0;

	if (t && t->leases)
		lease_closed_slow(t, f);
	if (!(f->flags & ABI_O_PATH)) {
		if (f->ops->flush)
			err = f->ops->flush(f, t);
		locks_files_closed(f->inode, fs);
	}
	file_put(f);
	return err;
}

void files_put(struct files *fs)
{
	int64_t fd;
	void *slot;

	if (!fs || !refcount_put(&fs->ref))
		return;
	idmap_for_each (&fs->slots, fd, slot)
		close_file(NULL, fs, slot_file(slot));
	idmap_destroy(&fs->slots);
	mutex_destroy(&fs->lock);
	free(fs);
	object_count(OBJ_FILES, -1);
}

/* The lowest open descriptor >= from, taken out of the table if it is close-on-exec. */
static struct file *take_cloexec(struct files *fs, int64_t *fd)
{
	struct file *f = NULL;
	void *slot;

	mutex_lock(&fs->lock);
	while (!f && (*fd = idmap_next(&fs->slots, (uint32_t)*fd, &slot)) >= 0) {
		if ((uintptr_t)slot & CLOEXEC_BIT) {
			f = slot_file(slot);
			idmap_set(&fs->slots, (uint32_t)*fd, NULL);
		}
		++*fd;
	}
	mutex_unlock(&fs->lock);
	return f;
}

uint32_t files_size(struct files *fs)
{
	uint32_t size = 64;
	void *slot;

	mutex_lock(&fs->lock);
	while (idmap_next(&fs->slots, size, &slot) >= 0)
		size = size == 64 ? 256 : size * 2;
	mutex_unlock(&fs->lock);
	return size;
}

void files_close_on_exec(struct task *t)
{
	int64_t fd = 0;
	struct file *f;

	while ((f = take_cloexec(t->files, &fd)))
		close_file(t, t->files, f);
}

void files_unshare(struct task *t)
{
	struct files *old = t->files, *own;

	if (refcount_read(&old->ref) == 1)
		return;
	own = files_dup(old);
	mutex_lock(&t->kernel->tasks_lock);
	t->files = own;
	mutex_unlock(&t->kernel->tasks_lock);
	files_put(old);
}

/* ---- looking up ---- */

struct file *fd_get(struct task *t, int fd)
{
	struct files *fs = t->files;
	struct file *f;

	if (fd < 0)
		return NULL;
	mutex_lock(&fs->lock);
	f = slot_file(idmap_get(&fs->slots, (uint32_t)fd));
	if (f)
		file_get(f);
	mutex_unlock(&fs->lock);
	return f;
}

struct file *fd_get_io(struct task *t, int fd)
{
	struct file *f = fd_get(t, fd);

	if (f && (f->flags & ABI_O_PATH)) {
		file_put(f);
		return NULL;
	}
	return f;
}

/*
 * Only tasks that share a table change it, and only their clones come to share it (others, like
 * /proc, hold a reference for a moment to read). So one that shares it with nobody reads it without
 * the lock, and its files stay open at least until its handler returns.
 */
struct fd_io fd_borrow(struct task *t, int fd)
{
	struct files *fs = t->files;

	if (refcount_read(&fs->ref) > 1)
		return (struct fd_io){fd_get(t, fd), true};
	if (fd < 0)
		return (struct fd_io){NULL, false};
	return (struct fd_io){slot_file(idmap_get(&fs->slots, (uint32_t)fd)), false};
}

struct fd_io fd_borrow_io(struct task *t, int fd)
{
	struct fd_io io = fd_borrow(t, fd);

	if (io.file && (atomic_load_explicit(&io.file->flags, memory_order_relaxed) & ABI_O_PATH)) {
		fd_return(&io);
		io = (struct fd_io){NULL, false};
	}
	return io;
}

int files_next(struct files *fs, int from, struct file **ret_file)
{
	void *slot;
	int64_t fd;

	mutex_lock(&fs->lock);
	fd = idmap_next(&fs->slots, (uint32_t)from, &slot);
	if (fd >= 0)
		*ret_file = file_get(slot_file(slot));
	mutex_unlock(&fs->lock);
	return (int)fd;
}

int fd_get_cloexec(struct task *t, int fd, bool *ret)
{
	struct files *fs = t->files;
	void *slot;

	mutex_lock(&fs->lock);
	slot = fd < 0 ? NULL : idmap_get(&fs->slots, (uint32_t)fd);
	mutex_unlock(&fs->lock);
	if (!slot)
		return -EBADF;
	*ret = (uintptr_t)slot & CLOEXEC_BIT;
	return 0;
}

int fd_set_cloexec(struct task *t, int fd, bool cloexec)
{
	struct files *fs = t->files;
	struct file *f;

	if (fd < 0)
		return -EBADF;
	mutex_lock(&fs->lock);
	f = slot_file(idmap_get(&fs->slots, (uint32_t)fd));
	if (f)
		idmap_set(&fs->slots, (uint32_t)fd, make_slot(f, cloexec));
	mutex_unlock(&fs->lock);
	return f ? 0 : -EBADF;
}

/* ---- changing ---- */

static uint32_t fd_limit(struct task *t)
{
	return (uint32_t)MIN(task_rlimit(t, ABI_RLIMIT_NOFILE), (uint64_t)FD_LIMIT);
}

int fd_install(struct task *t, struct file *f, int from, bool cloexec)
{
	struct files *fs = t->files;
	uint32_t limit = fd_limit(t);
	int64_t fd;

	if (from < 0 || (uint32_t)from >= limit)
		return from ? -EINVAL : -EMFILE;
	mutex_lock(&fs->lock);
	fd = idmap_lowest_free(&fs->slots, (uint32_t)from, limit);
	if (fd >= 0)
		idmap_set(&fs->slots, (uint32_t)fd, make_slot(f, cloexec));
	mutex_unlock(&fs->lock);
	return fd < 0 ? -EMFILE : (int)fd;
}

int fd_install_at(struct task *t, struct file *f, int fd, bool cloexec)
{
	struct files *fs = t->files;
	struct file *old;

	if (fd < 0 || (uint32_t)fd >= fd_limit(t))
		return -EBADF;
	mutex_lock(&fs->lock);
	old = slot_file(idmap_set(&fs->slots, (uint32_t)fd, make_slot(f, cloexec)));
	mutex_unlock(&fs->lock);
	if (old)
		close_file(t, fs, old);
	return fd;
}

int files_install_at(struct files *fs, struct file *f, int fd)
{
	struct file *old;

	if (fd < 0 || fd >= FD_LIMIT)
		return -EBADF;
	mutex_lock(&fs->lock);
	old = slot_file(idmap_set(&fs->slots, (uint32_t)fd, make_slot(f, false)));
	mutex_unlock(&fs->lock);
	if (old)
		close_file(NULL, fs, old);
	return 0;
}

int fd_close(struct task *t, int fd)
{
	struct files *fs = t->files;
	struct file *f;

	if (fd < 0)
		return -EBADF;
	mutex_lock(&fs->lock);
	f = slot_file(idmap_set(&fs->slots, (uint32_t)fd, NULL));
	mutex_unlock(&fs->lock);
	return f ? close_file(t, fs, f) : -EBADF;
}
