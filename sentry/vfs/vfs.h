/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual file system: what file systems implement, and what system calls use.
 *
 * Objects: super_block (one mounted instance of a file system), inode, dentry (a name in the cache,
 * may be negative), mount (a super_block's tree put somewhere), path (mount + dentry), file (open
 * file description). All are counted. A dentry holds its inode and its parent; a file holds its
 * path.
 *
 * File systems see kernel memory only and never block on a guest: operations that would wait return
 * -EAGAIN, whatever O_NONBLOCK says; the generic layer asks `poll` and waits (task_block.h). They
 * may make slow host calls: they pass the lead themselves before they wait long (and the locks of
 * their inodes may be held that long: sb->slow, inode_lock).
 *
 * Directory operations are called with dir->lock held (for rename: both, in the order of
 * vfs_lock_two, under the super_block's rename_lock). Permission checks are generic
 * (vfs_permission) and done before. Names are single components, NUL-terminated, at most 255 bytes,
 * never ".", ".." or with '/'.
 *
 * Who holds what: the operations that take a directory and a name (but for revalidate), setattr,
 * setxattr and removexattr are called with inode.lock held; all others without. evict may run on
 * any thread and must not wait long.
 *
 * With ABI_O_APPEND in f->flags, `write` ignores *pos, appends as one step and leaves *pos at the
 * end of what it wrote. `read` and `write` of one seekable file run one at a time when they use the
 * file's own position, and concurrently otherwise (pread).
 *
 * Guards: [I] set before publication, [a] atomic, [i] inode.lock, [f] file.lock, [d] dcache lock,
 * [m] mount lock.
 */
#ifndef SENTRY_VFS_VFS_H
#define SENTRY_VFS_VFS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi/stat.h"
#include "abi/time.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/refcount.h"
#include "sentry/kernel/waitqueue.h"

struct cred;
struct dentry;
struct file;
struct file_ops;
struct inode;
struct kernel;
struct mount;
struct pipe_block;
struct poll_table;
struct strbuf;
struct super_block;
struct task;
struct uio;
struct vfs;

#define VFS_NAME_MAX 255
#define VFS_PATH_MAX 4096

struct path {
	struct mount *mount;
	struct dentry *dentry;
};

/* Attributes to change; only those named in `valid`. */
#define ATTR_MODE  0x01u
#define ATTR_UID   0x02u
#define ATTR_GID   0x04u
#define ATTR_SIZE  0x08u
#define ATTR_ATIME 0x10u
#define ATTR_MTIME 0x20u
#define ATTR_CTIME 0x40u /* now; set by the generic layer where a change implies it */
#define ATTR_TOUCH 0x80u /* with ATIME and MTIME: both are "now", write permission suffices */
struct iattr {
	uint32_t valid;
	uint32_t mode; /* permission bits */
	uint32_t uid, gid;
	uint64_t size;
	struct abi_timespec atime, mtime; /* real times; "now" has been filled in */
};

/* Emits one directory entry; false: no room, stop (this entry is given again next time). */
struct dir_emit {
	bool (*emit)(struct dir_emit *e, const char *name, uint64_t ino, uint8_t dtype,
		     int64_t next_pos);
};

struct inode_ops {
	/* A new reference to the child, or -ENOENT (cached as negative unless sb->no_negative). */
	int (*lookup)(struct inode *dir, const char *name, struct inode **ret);
	int (*create)(struct inode *dir, const char *name, uint32_t mode, const struct cred *c,
		      struct inode **ret); /* regular file */
	int (*mkdir)(struct inode *dir, const char *name, uint32_t mode, const struct cred *c,
		     struct inode **ret);
	int (*mknod)(struct inode *dir, const char *name, uint32_t mode, uint64_t rdev,
		     const struct cred *c, struct inode **ret); /* fifo, socket, device */
	int (*symlink)(struct inode *dir, const char *name, const char *target,
		       const struct cred *c, struct inode **ret);
	int (*link)(struct inode *dir, const char *name, struct inode *target);
	int (*unlink)(struct inode *dir, const char *name, struct inode *victim);
	int (*rmdir)(struct inode *dir, const char *name, struct inode *victim);
	/* O_TMPFILE: a regular file without a name, nlink 0. Absent: -EOPNOTSUPP. */
	int (*tmpfile)(struct inode *dir, uint32_t mode, const struct cred *c, struct inode **ret);
	/* flags: ABI_RENAME_NOREPLACE/EXCHANGE have been checked against what exists; target may be
	 * NULL */
	int (*rename)(struct inode *olddir, const char *oldname, struct inode *victim,
		      struct inode *newdir, const char *newname, struct inode *target,
		      uint32_t flags);
	/* Fresh string (caller frees), or a jump: *ret_path with references (magic links of proc).
	 */
	int (*readlink)(struct inode *, struct task *t, char **ret_target);
	int (*follow_magic)(struct inode *, struct task *t, struct path *ret_path);
	/* Refresh cached attributes if need be (remote, proc). Absent: inode fields are true. */
	int (*getattr)(struct inode *);
	int (*setattr)(struct inode *,
		       const struct iattr *); /* absent: fields are changed by vfs */
	int (*permission)(struct inode *, const struct cred *c,
			  uint32_t mask); /* absent: generic */
	/* Sets up a fresh file: ops, private data. flags are ABI_O_*. O_TRUNC has been done via
	 * setattr. */
	int (*open)(struct inode *, struct file *f);
	ssize_t (*getxattr)(struct inode *, const char *name, void *buf, size_t size);
	int (*setxattr)(struct inode *, const char *name, const void *value, size_t size,
			int flags);
	ssize_t (*listxattr)(struct inode *, char *buf, size_t size);
	int (*removexattr)(struct inode *, const char *name);
	/* The last reference is gone (nlink may be 0: free the content). */
	void (*evict)(struct inode *);
};

struct inode {
	struct refcount ref;
	struct super_block *sb;	     /* [I] reference */
	const struct inode_ops *ops; /* [I] */
	uint64_t ino;		     /* [I] */
	struct mutex lock;	     /* RANK_INODE */
	/* [i] to write; [a] to read: walks look at them without the lock. mode's type is [I]. */
	_Atomic uint32_t mode, uid, gid;
	_Atomic uint32_t nlink; /* as these; the gofer's adds without the lock */
	uint64_t rdev;		/* [I] devices */
	uint64_t size, blocks;	/* [i] bytes, 512-byte units */
	struct abi_timespec atime, mtime, ctime, btime; /* [i] */
	struct pipe *fifo;				/* [i] of a named fifo, while open */
	atomic_bool linkable;	   /* [a] it never had a name, and may get one (O_TMPFILE) */
	atomic_uint shared_maps;   /* [a] shared mappings of files that were opened for writing */
	void *private;		   /* [I] of the file system */
	struct list locks;	   /* [i] flock and POSIX locks (vfs/locks.c) */
	struct waitqueue locks_wq; /* woken when a lock is released */
	struct list aliases;	   /* [d] its dentries */
	struct list leases;	   /* lease lock (kernel/lease.c) */
	atomic_uint leased;	   /* [a] those that hold, or are about to */
};

struct file_ops {
	/* pos: in and out. Bytes, 0 at the end, -EAGAIN if not ready. */
	ssize_t (*read)(struct file *f, struct uio *to, int64_t *pos);
	ssize_t (*write)(struct file *f, struct uio *from, int64_t *pos);
	/*
	 * Copies from another file with the same copy_from, in the host, at these positions, which
	 * it moves. Bytes, 0 at the end of `in`, -EXDEV: not these two.
	 */
	ssize_t (*copy_from)(struct file *out, struct file *in, int64_t *in_pos, int64_t *pos,
			     uint64_t size);
	/* From f->pos; advances it as entries are taken. Called with file.lock held. */
	int (*readdir)(struct file *f, struct dir_emit *e);
	int64_t (*seek)(struct file *f, int64_t offset,
			int whence); /* absent: generic; no_seek: ESPIPE */
	/* Ready events now (ABI_POLL*). If pt isn't NULL, first poll_wait(pt, queue) for each
	 * queue. Absent: always in and out. Takes only locks behind RANK_EPOLL. */
	uint32_t (*poll)(struct file *f, struct poll_table *pt);
	int64_t (*ioctl)(struct file *f, struct task *t, uint32_t cmd,
			 uint64_t arg); /* -ENOTTY default */
	/* A host descriptor for MEMOP_MMAP_FD, borrowed for as long as f lives; prot and flags for
	 * rights. -ENODEV default. */
	int (*mmap_fd)(struct file *f, uint32_t prot, uint32_t flags);
	/*
	 * A regular file whose size and attributes change by the sentry's own calls only, each of
	 * which says lease_revoke: a host descriptor of its content, for reading alone, borrowed for
	 * as long as f lives, and what may be told (LEASE_*). Negative errno: not now. Absent: never.
	 * Devices: LEASE_DEVICE, and the descriptor is none.
	 */
	int (*lease)(struct file *f, uint32_t *ret_what);
	/*
	 * What the file holds at pos, up to max bytes, as a block for a pipe that is no copy
	 * (fs/pipe/pipe.h). Its length; 0: it must be read. Absent: always.
	 */
	ssize_t (*lend)(struct file *f, int64_t pos, size_t max, struct pipe_block *ret);
	int (*fsync)(struct file *f, bool data_only);
	int (*fallocate)(struct file *f, int mode, int64_t offset, int64_t size);
	/* ABI_POSIX_FADV_WILLNEED or DONTNEED on a range; size 0: to the end. A hint. */
	void (*advise)(struct file *f, int64_t offset, int64_t size, int advice);
	int (*flush)(struct file *f, struct task *t); /* each close(2) */
	void (*release)(struct file *f);	      /* the last reference is gone */
	void (*show_fdinfo)(struct file *f, struct strbuf *out);
	bool no_seek;	     /* pipes, ttys: ESPIPE, no position */
	bool ignores_data;   /* what is written isn't looked at (/dev/null) */
	bool mmap_anonymous; /* mmap of it means anonymous memory (/dev/zero) */
};

struct file {
	struct refcount ref;
	const struct file_ops *ops; /* [I] */
	struct path path;	    /* [I] references */
	struct inode *inode;	    /* [I] path.dentry's inode */
	atomic_uint flags; /* [a] ABI_O_*: access mode and creation flags [I], status flags change
			      by fcntl */
	struct mutex lock; /* RANK_FILEPOS */
	int64_t pos;	   /* [f] */
	const struct cred *cred; /* [I] opener's */
	void *private;		 /* [I] of ops */
	int32_t owner;		 /* [f] F_SETOWN */
	int32_t heat;		 /* [a] calls that a lease would have answered (kernel/lease.c) */
	struct list epitems;	 /* epoll registrations, under a lock of vfs/epoll.c */
	/* The task that opens, borrowed, only while inode_ops.open runs; NULL then: the kernel. */
	struct task *opener;
};

struct poll_table {
	void (*add)(struct poll_table *pt, struct file *f, struct waitqueue *wq);
	struct file *file; /* the one being asked */
};
static inline void poll_wait(struct poll_table *pt, struct waitqueue *wq)
{
	if (pt)
		pt->add(pt, pt->file, wq);
}

struct super_ops {
	int (*statfs)(struct super_block *, struct abi_statfs *ret);
	/* Whether a cached dentry may still be used without asking (remote file systems). Absent:
	 * yes. */
	bool (*revalidate)(struct inode *dir, const char *name, struct inode *inode_or_null);
	int (*sync)(struct super_block *);
	/* The options as /proc/mounts shows them ("size=4k,mode=755"), without leading comma. */
	void (*show_options)(struct super_block *, struct strbuf *out);
	void (*destroy)(struct super_block *);
};

struct super_block {
	struct refcount ref;
	const struct super_ops *ops; /* [I] */
	const char *type;	     /* [I] literal: "tmpfs" */
	uint64_t dev;		     /* [I] st_dev, anonymous */
	bool no_negative;	     /* [I] don't cache absence */
	bool no_cache;		     /* [I] always look up again (proc) */
	bool slow;		     /* [I] inode locks may be held for long: inode_lock */
	struct mutex rename_lock;    /* RANK_RENAME */
	struct dentry *root;	     /* [I] reference */
	void *private;		     /* [I] */
	struct kernel *kernel;	     /* [I] */
	struct refcount objects;     /* inodes, and one for all of `ref`: the memory */
	atomic_ullong last_ino;	     /* [a] super_next_ino */
};

/* A file system type. `mount` makes an instance; data is the mount(2) option string or NULL. */
struct fs_type {
	const char *name;
	int (*mount)(struct kernel *k, const char *source, uint32_t flags, const char *data,
		     struct super_block **ret);
};
void vfs_register_fs(struct kernel *k, const struct fs_type *type); /* type is static */
const struct fs_type *vfs_find_fs(struct kernel *k, const char *name);

/* ---- making objects (for file systems) ---- */
struct super_block *super_new(struct kernel *k, const char *type, const struct super_ops *ops);
void super_get(struct super_block *sb);
void super_put(struct super_block *sb);
/* One reference; times are now, nlink 1. */
struct inode *inode_new(struct super_block *sb, const struct inode_ops *ops, uint64_t ino,
			uint32_t mode);
struct inode *inode_get(struct inode *i);
/* Locks it; passes the lead before waiting for somebody who may be waiting for the host. */
void inode_lock(struct inode *i);
void inode_put(struct inode *i);
uint64_t super_next_ino(struct super_block *sb);
/* The root dentry of a super_block; takes the inode reference over. */
struct dentry *dentry_new_root(struct super_block *sb, struct inode *root);
struct dentry *dentry_get(struct dentry *d);
void dentry_put(struct dentry *d);
struct inode *dentry_inode(struct dentry *d); /* borrowed; NULL: negative */
/* Forgets a cached name (the file system knows that it changed). */
void dcache_invalidate(struct inode *dir, const char *name);

/*
 * Emits "." and ".." if f->pos is 0 or 1 and advances it; a file system's readdir calls this first
 * and begins its own positions at 2. False: no room.
 */
bool vfs_emit_dots(struct file *f, struct dir_emit *e);

/* ABI_MS_RDONLY, NOSUID, NODEV, NOEXEC, ... of the mount. */
uint32_t mount_flags(const struct mount *m);

void path_get(const struct path *p);
void path_put(const struct path *p);

/*
 * An open file. file_new takes references to path and cred. A file without a path of its own (pipe,
 * eventfd) gets one from vfs_anon_path(k, "pipe:[%lu]").
 */
struct file *file_new(const struct path *path, uint32_t flags, const struct cred *cred);
struct file *file_new_anon(struct kernel *k, const char *name, const struct file_ops *ops,
			   void *private, uint32_t flags, const struct cred *cred);
/*
 * A path to an inode that has no place in any tree (a host descriptor), whose string is `name`.
 * Takes the inode reference over; the reference to the path is the caller's. Opening the path again
 * (/proc/self/fd/N) calls the inode's open.
 */
int vfs_path_of_inode(struct kernel *k, const char *name, struct inode *inode, struct path *ret);
struct file *file_get(struct file *f);
void file_put(struct file *f);
static inline bool file_readable(const struct file *f)
{
	return (f->flags & 3) != 1;
}
static inline bool file_writable(const struct file *f)
{
	return (f->flags & 3) != 0;
}

/* ---- using them (for system calls and the loader) ---- */
#define LOOKUP_FOLLOW	     0x01u /* the last component too */
#define LOOKUP_DIRECTORY     0x02u
#define LOOKUP_PARENT	     0x04u /* stop before the last component, give its name */
#define LOOKUP_EMPTY	     0x08u /* "" means the start */
#define LOOKUP_NO_SYMLINKS   0x10u
#define LOOKUP_NO_MAGICLINKS 0x20u
#define LOOKUP_BENEATH	     0x40u
#define LOOKUP_IN_ROOT	     0x80u
#define LOOKUP_NO_XDEV	     0x100u

/*
 * Resolves `name` for the task, from the directory dfd (ABI_AT_FDCWD or a descriptor). 0 with
 * references in *ret; with LOOKUP_PARENT *ret is the parent and last (VFS_NAME_MAX + 1 bytes) gets
 * the final component. May take long.
 */
int vfs_lookup(struct task *t, int dfd, const char *name, uint32_t flags, struct path *ret,
	       char *ret_last);
/* The same with other credentials than the task's (access(2)). */
int vfs_lookup_as(struct task *t, const struct cred *c, int dfd, const char *name, uint32_t flags,
		  struct path *ret);
/* open(2) in full: creation, permission, O_* rules. mode has the umask applied by the callee. */
int vfs_open(struct task *t, int dfd, const char *name, uint32_t flags, uint32_t mode,
	     struct file **ret);
/* Opens what the path names already (O_PATH descriptors, /proc/self/fd). */
int vfs_open_path(struct task *t, const struct path *p, uint32_t flags, struct file **ret);

#define MAY_EXEC  1u
#define MAY_WRITE 2u
#define MAY_READ  4u
int vfs_permission(struct inode *i, const struct cred *c, uint32_t mask);

ssize_t vfs_read(struct file *f, struct uio *to, int64_t *pos); /* pos NULL: f->pos */
ssize_t vfs_write(struct file *f, struct uio *from,
		  int64_t *pos); /* RLIMIT_FSIZE, O_APPEND, suid bits */
/*
 * Copies between two files of the host without the bytes coming here; the files' modes have been
 * checked. out_pos NULL: the file's own. Moves the positions. Bytes, or -EXDEV: read and write
 * instead.
 */
ssize_t vfs_copy_in_host(struct task *t, struct file *in, int64_t *in_pos, struct file *out,
			 int64_t *out_pos, uint64_t size);
/* Changes the size of a regular file that may be written to (RLIMIT_FSIZE, set-id bits). */
int vfs_truncate(struct task *t, struct inode *i, uint64_t size);
/* sync(2) */
void vfs_sync_all(struct kernel *k);
/* The new position, or -ESPIPE, -EINVAL, -EOVERFLOW. */
int64_t vfs_seek(struct file *f, int64_t offset, int whence);
/* Reads from kernel code; all or to the end of the file. */
ssize_t vfs_kernel_read(struct file *f, void *buf, size_t size, int64_t pos);
uint32_t vfs_poll(struct file *f, struct poll_table *pt);
int vfs_stat(const struct path *p, struct abi_stat *ret);
/* vfs_lookup and vfs_stat in one. */
int vfs_stat_name(struct task *t, int dfd, const char *name, uint32_t flags, struct abi_stat *ret);
int vfs_setattr(const struct path *p, const struct cred *c, struct iattr *attr);
/* The path as seen from the task's root, fresh string; "(unreachable)" and " (deleted)" as Linux.
 */
char *vfs_path_string(struct task *t, const struct path *p);
/* The same as seen from this root. */
char *vfs_path_string_at(const struct path *root, const struct path *p);

/* Mounts (used at boot and by mount(2)). Takes references. */
int vfs_mount(struct kernel *k, const struct path *where, struct super_block *sb,
	      struct dentry *root, uint32_t flags, const char *source);
int vfs_mount_root(struct kernel *k, struct super_block *sb, uint32_t flags, const char *source,
		   struct path *ret_root);
/* For boot: resolves below `root` without a task, creating missing directories if make is set. */
int vfs_lookup_at_root(struct kernel *k, const struct path *root, const char *name, bool make,
		       struct path *ret);
/* The same for a mount point that is a file: made empty if missing, its directories too. */
int vfs_make_file_at_root(struct kernel *k, const struct path *root, const char *name,
			  struct path *ret);
/* A bind mount of what `from` names onto `where` with these flags of its own (boot, mount(2)). */
int vfs_bind(struct kernel *k, const struct path *from, const struct path *where, uint32_t flags,
	     bool recursive);
void mount_set_flags(struct mount *m, uint32_t flags);
struct vfs *vfs_new(struct kernel *k);
void vfs_destroy(struct vfs *v);
uint64_t vfs_next_dev(struct kernel *k); /* an anonymous device number */

#endif
