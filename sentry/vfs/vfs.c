/* SPDX-License-Identifier: Apache-2.0 */
/* Making and ending the VFS; file system types and devices. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/vfs_internal.h"

struct vfs_fs_entry {
	const struct fs_type *type;
	struct vfs_fs_entry *next;
};

/* Mapped tmpfs files cost a host descriptor each; half of what we may have is for them. */
static int content_fd_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == RLIM_INFINITY)
		return 1 << 16;
	return (int)MIN(limit.rlim_cur / 2, (rlim_t)1 << 19);
}

struct vfs *vfs_new(struct kernel *k)
{
	struct vfs *v = xnew(struct vfs);

	k->vfs = v;
	v->kernel = k;
	mutex_init(&v->mount_lock, RANK_MOUNT);
	mutex_init(&v->epoll_nest_lock, RANK_EPOLL_NEST);
	mutex_init(&v->types_lock, RANK_LEAF);
	mutex_init(&v->posix_lock, RANK_LEAF);
	list_init(&v->mounts);
	list_init(&v->lock_waiters);
	for (unsigned i = 0; i < STRIPES; i++)
		mutex_init(&v->epitem_locks[i], RANK_EPITEMS);
	v->pages = xnew(struct tmpfs_store);
	tmpfs_store_init(v->pages);
	v->content_fd_limit = content_fd_limit();
	dcache_init(v);
	anon_init(v);
	vfs_register_fs(k, &tmpfs_type);
	return v;
}

static void free_registry(struct vfs *v)
{
	while (v->types) {
		struct vfs_fs_entry *e = v->types;

		v->types = e->next;
		free(e);
	}
}

void vfs_destroy(struct vfs *v)
{
	mounts_destroy(v);
	super_put(v->shmem_sb);
	anon_destroy(v);
	dcache_destroy(v);
	free_registry(v);
	tmpfs_store_destroy(v->pages);
	free(v->pages);
	for (unsigned i = 0; i < STRIPES; i++)
		mutex_destroy(&v->epitem_locks[i]);
	mutex_destroy(&v->mount_lock);
	mutex_destroy(&v->epoll_nest_lock);
	mutex_destroy(&v->types_lock);
	mutex_destroy(&v->posix_lock);
	v->kernel->vfs = NULL;
	free(v);
}

uint64_t vfs_next_dev(struct kernel *k)
{
	/* Major 0 is for file systems without a device. */
	return abi_makedev(0, (uint32_t)atomic_fetch_add(&k->vfs->last_dev, 1) + 1);
}

void vfs_register_fs(struct kernel *k, const struct fs_type *type)
{
	struct vfs_fs_entry *e = xnew(struct vfs_fs_entry);

	e->type = type;
	mutex_lock(&k->vfs->types_lock);
	e->next = k->vfs->types;
	k->vfs->types = e;
	mutex_unlock(&k->vfs->types_lock);
}

const struct fs_type *vfs_find_fs(struct kernel *k, const char *name)
{
	const struct fs_type *found = NULL;

	mutex_lock(&k->vfs->types_lock);
	for (struct vfs_fs_entry *e = k->vfs->types; e && !found; e = e->next)
		if (!strcmp(e->type->name, name))
			found = e->type;
	mutex_unlock(&k->vfs->types_lock);
	return found;
}
