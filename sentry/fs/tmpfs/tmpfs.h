/* SPDX-License-Identifier: Apache-2.0 */
/* tmpfs(5): a file system in memory; also what memfd_create(2) and shared memory are made of. */
#ifndef SENTRY_FS_TMPFS_TMPFS_H
#define SENTRY_FS_TMPFS_TMPFS_H

#include <stdint.h>

#include "sentry/vfs/vfs.h"

extern const struct fs_type tmpfs_type;

/*
 * A file without a name. name: as /proc shows it ("/memfd:x (deleted)", "/dev/zero (deleted)").
 * seals: ABI_F_SEAL_* from the start; ABI_F_SEAL_SEAL for a file that can't be sealed.
 */
int tmpfs_new_file(struct kernel *k, const char *name, uint32_t flags, uint32_t mode,
		   uint32_t seals, const struct cred *cred, struct file **ret);

/* fcntl F_ADD_SEALS, F_GET_SEALS: seals, 0, or -EINVAL (no such file), -EPERM, -EBUSY. */
int tmpfs_add_seals(struct file *f, uint32_t seals);
int tmpfs_get_seals(struct file *f);

/* A page of a small file's content, somewhere (pages.c). 0: none. */
typedef uintptr_t tmpfs_page;

/* The pages of all small files of a sandbox. */
#define TMPFS_HEAP_PAGES 8192 /* 32 MiB on the heap */
struct tmpfs_store {
	struct mutex lock;   /* RANK_LEAF */
	int fd;		     /* lock to make it; -1: there was no need yet */
	uint32_t room, used; /* lock: pages */
	tmpfs_page *holes;   /* lock: freed ones; hole_count of hole_room */
	uint32_t hole_count, hole_room;
	atomic_int heap_count; /* [a] pages on the heap */
	int heap_limit;	       /* [I] after tests have set it */
};
void tmpfs_store_init(struct tmpfs_store *s);
void tmpfs_store_destroy(struct tmpfs_store *s);

#endif
