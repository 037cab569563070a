/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of tmpfs share. [i] inode.lock */
#ifndef SENTRY_FS_TMPFS_TMPFS_INTERNAL_H
#define SENTRY_FS_TMPFS_TMPFS_INTERNAL_H

#include <errno.h>

#include "abi/fcntl.h"
#include "sentry/fs/tmpfs/tmpfs.h"

#define TMPFS_PAGE 4096u

struct tmpfs_sb {
	uint64_t page_max;	   /* [I] 0: no limit */
	uint64_t inode_max;	   /* [I] 0: no limit */
	atomic_ullong page_count;  /* [a] */
	atomic_ullong inode_count; /* [a] */
	uint32_t root_mode, root_uid, root_gid;
	bool size_given, inodes_given, mode_given; /* [I] show_options */
};

struct tmpfs_entry {
	struct tmpfs_entry *hash_next;
	struct inode *inode; /* reference */
	int64_t cookie;	     /* its position in readdir, never reused */
	uint32_t hash;
	uint32_t name_size;
	char name[];
};

struct tmpfs_slot {
	int64_t cookie;
	struct tmpfs_entry *entry; /* NULL: removed since */
};

struct tmpfs_dir {
	struct tmpfs_entry **buckets;	    /* [i] bucket_count, a power of two */
	struct tmpfs_slot *slots;	    /* [i] by ascending cookie */
	uint32_t bucket_count;		    /* [i] */
	uint32_t slot_count, slot_capacity; /* [i] */
	uint32_t entry_count;		    /* [i] */
	int64_t next_cookie;		    /* [i] */
};

struct tmpfs_content {
	tmpfs_page *pages;   /* [i] page_slots of them, 0: a hole; unused with fd >= 0 */
	uint32_t page_slots; /* [i] */
	int fd;		     /* [i] host memfd, or -1; once there it stays */
	int read_fd;	     /* [i] the same, read-only; -1: none, -2: can't be had */
	uint64_t charged;    /* [i] pages */
	uint32_t seals;	     /* [i] ABI_F_SEAL_* */
};

struct tmpfs_xattr {
	struct tmpfs_xattr *next;
	size_t size;
	char *value;
	char name[];
};

struct tmpfs_inode {
	union {
		struct tmpfs_dir dir;
		struct tmpfs_content content;
		char *target;
	};
	struct tmpfs_xattr *xattrs; /* [i] */
	size_t xattr_size;	    /* [i] names and values */
};

static inline struct tmpfs_inode *tmpfs_i(struct inode *i)
{
	return i->private;
}

static inline struct tmpfs_sb *tmpfs_s(struct super_block *sb)
{
	return sb->private;
}

/* -ENOSPC if the limit doesn't allow it. */
int tmpfs_charge(struct super_block *sb, uint64_t pages);
void tmpfs_uncharge(struct super_block *sb, uint64_t pages);
struct abi_timespec tmpfs_now(void);
/* A new inode with one reference, charged; c may be NULL (root). -ENOSPC. */
int tmpfs_inode_new(struct super_block *sb, struct inode *dir, uint32_t mode, const struct cred *c,
		    struct inode **ret);

/* dir.c: the names in a directory; the inode is locked. */
struct tmpfs_entry *tmpfs_dir_find(struct inode *dir, const char *name);
void tmpfs_dir_add(struct inode *dir, const char *name, struct inode *inode);
/* Returns the reference that the entry had. */
struct inode *tmpfs_dir_remove(struct inode *dir, struct tmpfs_entry *e);
void tmpfs_dir_free(struct inode *dir);
extern const struct file_ops tmpfs_dir_file_ops;

/* pages.c: of TMPFS_PAGE bytes each. */
tmpfs_page tmpfs_page_new(struct tmpfs_store *s); /* zeroed; 0: no memory */
void tmpfs_page_free(struct tmpfs_store *s, tmpfs_page p);
/* As uio_write and uio_read. */
ssize_t tmpfs_page_read(struct tmpfs_store *s, tmpfs_page p, struct uio *to, size_t at,
			size_t size);
ssize_t tmpfs_page_write(struct tmpfs_store *s, tmpfs_page p, struct uio *from, size_t at,
			 size_t size);
void tmpfs_page_zero(struct tmpfs_store *s, tmpfs_page p, size_t at, size_t size);
/* Its first bytes to a host file: 0 or the host's error. */
int tmpfs_page_to_fd(struct tmpfs_store *s, tmpfs_page p, int fd, int64_t offset, size_t size);

/* content.c */
void tmpfs_content_free(struct inode *i);
int tmpfs_content_truncate(struct inode *i, uint64_t size);
extern const struct file_ops tmpfs_file_ops;

/* xattr.c */
ssize_t tmpfs_getxattr(struct inode *i, const char *name, void *buf, size_t size);
int tmpfs_setxattr(struct inode *i, const char *name, const void *value, size_t size, int flags);
ssize_t tmpfs_listxattr(struct inode *i, char *buf, size_t size);
int tmpfs_removexattr(struct inode *i, const char *name);
void tmpfs_xattrs_free(struct inode *i);

#endif
