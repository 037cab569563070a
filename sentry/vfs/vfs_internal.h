/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of sentry/vfs share among themselves. Guards as in vfs.h, and: [b] the lock of the
 * dentry's bucket, [n] the dentry's name lock (dentry_lock), [M] vfs.mount_lock.
 */
#ifndef SENTRY_VFS_VFS_INTERNAL_H
#define SENTRY_VFS_VFS_INTERNAL_H

#include <errno.h>
#include <stdio.h>

#include "abi/fcntl.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/lockorder.h"
#include "sentry/vfs/vfs.h"

#define DCACHE_BUCKETS	   8192
#define DCACHE_LOCKS	   128 /* bucket b is under lock b % DCACHE_LOCKS */
#define DCACHE_DEFAULT_CAP 32768
#define STRIPES		   64
#define MOUNTS_MAX	   4096
#define SYMLINKS_MAX	   40

#define DENTRY_DELETED	  0x1u /* its name was removed: unlink, rmdir, renamed over */
#define DENTRY_HASHED	  0x2u /* changed under [b] */
#define DENTRY_REFERENCED 0x4u /* used since the sweep last came by */
#define DENTRY_ANON	  0x8u /* no tree: the name is the whole path */

struct dentry {
	struct refcount ref;
	atomic_uint flags;	 /* [a] DENTRY_* */
	atomic_uint mount_count; /* [a] mounts on it, in all trees */
	uint32_t hash;		 /* [b] */
	uint32_t name_size;	 /* [b][n] without NUL */
	struct super_block *sb;	 /* [I] kept by the inodes */
	struct inode *inode;	 /* [I] reference; NULL: negative */
	struct dentry *parent;	 /* [b][n] reference; NULL: a root */
	char *name;		 /* [b][n] inline_name or allocated */
	struct dentry *hash_next;
	struct list alias_link; /* the inode's dentry lock: in inode.aliases */
	struct list mounts;	/* [n] struct mount.on_dentry */
	char inline_name[];
};

struct mount {
	struct refcount ref;
	struct super_block *sb;	   /* [I] reference */
	struct dentry *root;	   /* [I] reference */
	struct mount *parent;	   /* [n of the mount] reference; NULL: not attached, or the top */
	struct dentry *mountpoint; /* as parent */
	struct list on_dentry;	   /* [n of mountpoint] */
	struct list link;	   /* [M] vfs.mounts */
	uint32_t child_count;	   /* [M] attached mounts whose parent this is */
	atomic_uint flags;	   /* [a] ABI_MS_* that stick to a mount */
	int32_t id;		   /* [I] */
	char *source;		   /* [I] */
	bool attached;		   /* [M] */
};

struct vfs_fs_entry;

struct vfs {
	struct kernel *kernel; /* [I] */

	struct dentry **buckets; /* [b] */
	struct mutex bucket_locks[DCACHE_LOCKS];
	struct mutex dentry_locks[STRIPES]; /* by address of a dentry, a mount or an inode */
	uint64_t hash_seed[2];		    /* [I] */
	atomic_int epoll_items;		    /* [a] of all instances */
	atomic_int dentry_count;	    /* [a] dentries in the hash */
	int dentry_cap;			    /* [I] after tests have set it */
	atomic_uint sweep_hand;		    /* [a] next bucket to sweep */
	struct mutex epitem_locks[STRIPES]; /* by address of a file: file.epitems */

	struct mutex mount_lock;  /* RANK_MOUNT */
	struct list mounts;	  /* [M] attached, in order of their making */
	uint32_t mount_count;	  /* [M] */
	int32_t last_mount_id;	  /* [M] */
	struct mount *root_mount; /* [M] the first; borrowed */

	struct mutex epoll_nest_lock; /* RANK_EPOLL_NEST */
	uint64_t epoll_walks;	      /* epoll_nest_lock: walks along chains of instances */
	struct mutex types_lock;      /* RANK_LEAF */
	struct vfs_fs_entry *types;   /* types_lock */
	atomic_ullong last_dev;	      /* [a] */
	struct super_block *anon_sb;  /* [I] */
	struct inode *anon_inode;     /* [I] of all "anon_inode:..." files */
	struct mount *anon_mount;     /* [I] */
	struct super_block *shmem_sb; /* [I] tmpfs of memfd_create and shared memory; or NULL */
	struct mutex posix_lock;      /* RANK_LEAF: the graph of who waits for whose lock */
	struct list lock_waiters;     /* posix_lock */
	struct tmpfs_store *pages;    /* [I] of small tmpfs files */
	atomic_int content_fds;	      /* [a] host descriptors that tmpfs holds */
	int content_fd_limit;	      /* [I] */
};

static inline struct vfs *sb_vfs(const struct super_block *sb)
{
	return sb->kernel->vfs;
}

/* The lock of a dentry's name, a mount's place or an inode's aliases. */
static inline struct mutex *dentry_lock(struct vfs *v, const void *object)
{
	return &v->dentry_locks[((uintptr_t)object >> 6) * 0x9e3779b97f4a7c15ull >> 58];
}

/* ---- inode.c ---- */
void anon_init(struct vfs *v);
void anon_destroy(struct vfs *v);
/* A path without a tree; takes the inode reference over. */
void anon_path(struct vfs *v, const char *name, struct inode *inode, struct path *ret);
/* A path for a new object: "%lu" in name becomes the inode number. */
void anon_path_new(struct vfs *v, const char *name, struct path *ret);
struct abi_timespec vfs_now(void);

/* ---- dentry.c ---- */
void dcache_init(struct vfs *v);
void dcache_destroy(struct vfs *v);
struct dentry *dentry_new_anon(struct super_block *sb, const char *name, struct inode *inode);
/* A reference to the cached child, or NULL. May be negative. */
struct dentry *dcache_find(struct dentry *dir, const char *name, size_t size);
/*
 * A new child dentry with one reference for the caller; takes the reference to inode (NULL:
 * negative) over. dir->inode->lock is held. Not in the hash if !hashed.
 */
struct dentry *dcache_add(struct dentry *dir, const char *name, size_t size, struct inode *inode,
			  bool hashed);
void dcache_unhash(struct dentry *d);
/* Puts the dentry and its ancestors into the hash: something is mounted on it. */
void dcache_pin_path(struct dentry *d);
/* The name is gone: unhash, mark, and remember the absence. dir's inode is locked. */
void dcache_deleted(struct dentry *dir, struct dentry *d);
/* rename: d becomes newdir/name. Both directories and rename_lock are held. */
void dcache_move(struct dentry *d, struct dentry *newdir, const char *name, size_t size);
/* Forgets all of a super_block that nobody uses. */
void dcache_prune(struct super_block *sb);
/* A reference to the parent, or NULL for a root. */
struct dentry *dentry_parent(struct dentry *d);
static inline bool dentry_is_deleted(const struct dentry *d)
{
	return atomic_load_explicit(&d->flags, memory_order_acquire) & DENTRY_DELETED;
}

/* ---- mount.c ---- */
struct mount *mount_get(struct mount *m);
void mount_put(struct mount *m);
/* Goes down through everything mounted on *p. Replaces the references. True if it moved. */
bool mount_cross(struct path *p);
/* From the root of a mount to where it is mounted: new references in *ret, or false at the top. */
bool mount_up(struct mount *m, struct path *ret);
struct mount *mount_alloc(struct vfs *v, struct super_block *sb, struct dentry *root,
			  uint32_t flags, const char *source);
/* -EROFS if the mount can't be written to. */
int mount_want_write(const struct mount *m);

/* ---- lookup.c ---- */
struct walk {
	struct task *task;	 /* may be NULL: at boot, everything allowed */
	const struct cred *cred; /* borrowed; NULL: everything allowed */
	struct path root;	 /* references, or borrowed from the task's fs_context */
	struct path cur;	 /* references, or borrowed from root or the fs_context */
	bool owns_root, owns_mount, owns_dentry; /* which of them are references */
	uint32_t flags;				 /* LOOKUP_* */
	uint32_t links;				 /* symbolic links followed */
	bool trailing_slash;			 /* LOOKUP_PARENT: after the last component */
	bool magic;				 /* cur came from a magic link */
	char last[VFS_NAME_MAX + 1];
};
/* Starts and walks; 0 or negative errno. walk_end afterwards in both cases. */
int walk_name(struct walk *w, struct task *t, int dfd, const char *name, uint32_t flags);
/* The same without a task, from `root`. */
int walk_at_root(struct walk *w, const struct path *root, const char *name, uint32_t flags);
void walk_end(struct walk *w);
/* Goes from a directory to its child, whose reference is taken over, and what is mounted there. */
void walk_enter(struct walk *w, struct dentry *child);
/* With w->cur at the directory of a symlink `link`: goes on from there with its target. */
int walk_follow(struct walk *w, struct dentry *link);
/*
 * A reference to the child of dir, -ENOENT, or an error of the file system. locked: dir's inode is
 * locked by the caller.
 */
int lookup_child(struct dentry *dir, const char *name, bool locked, struct dentry **ret);

/* ---- permission.c ---- */
int may_create(const struct path *dir, const struct cred *c);
int may_delete(const struct path *dir, struct dentry *victim, bool is_dir, const struct cred *c);
/*
 * The mode of a new file of that directory, which isn't a directory: without what the umask takes,
 * and nobody makes set-group-id programs of a group that isn't theirs.
 */
uint32_t new_file_mode(struct task *t, const struct inode *dir, uint32_t mode);
bool inode_owner_or_capable(struct inode *i, const struct cred *c);

/* ---- attr.c ---- */
/* Without permission checks; inode not locked. */
int inode_setattr(struct inode *i, struct iattr *attr);
/* Drops set-id bits after a write by somebody without CAP_FSETID. */
int inode_drop_suid(struct inode *i, const struct cred *c);

/* ---- files ---- */
void locks_file_released(struct file *f);
void epoll_file_released(struct file *f);
uint64_t task_rlimit(struct task *t, unsigned which);

#endif
