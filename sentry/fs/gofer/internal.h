/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the gofer file system. super.c: instances and inodes; dir.c: names; attr.c: attributes;
 * file.c: open files; readdir.c: listings.
 *
 * What is cached, and why it is true.
 *
 * Not shared (the root file system): only this sentry changes the tree, so what it has read or
 * done stays true: inode fields, names and absent names (in the dentry cache), listings of small
 * directories, symlink targets, a descriptor of each file that was open lately. Reads, writes and
 * mappings go to the host's file directly, so content is never cached here. What these change
 * behind the inode's fields (size, mtime, blocks) is either noted at once (size) or marked `stale`
 * and read again from the descriptor when somebody asks (an fstat, no message).
 *
 * Shared (bind mounts): the host may change anything at any time. A cached name is revalidated by
 * one message, which refreshes the attributes too (a directory's name is believed for DIR_NS,
 * since every path below it asks again); absent names and listings aren't cached;
 * getattr asks the descriptor if the file is open, else the gofer, unless the attributes arrived
 * within the last millisecond (that is: with the lookup of the same system call). Symlink targets
 * can't change for an inode and stay cached.
 *
 * An inode is found by the host's device and number, so hard links share one. The gofer's handle
 * keeps the host's inode alive, so a number can't come to mean another file while it is in the
 * table.
 *
 * Guards: [I] set before publication, [i] inode.lock, [g] gofer_inode.lock, [t] table_lock, [a]
 * atomic, [c] client.idle_lock.
 */
#ifndef SENTRY_FS_GOFER_INTERNAL_H
#define SENTRY_FS_GOFER_INTERNAL_H

#include <stdatomic.h>

#include "sentry/fs/gofer/client.h"
#include "sentry/kernel/lease.h"
#include "sentry/vfs/vfs.h"

struct cred;

#define AHEAD_SLOTS 32
#define NODES_MAX   256

struct ahead;
struct gofer_node_record;

struct gofer_super {
	struct gofer_client *client; /* [I] */
	struct super_block *sb;	     /* [I] borrowed */
	bool shared;		     /* [I] */
	bool remote;		     /* [I] on a network: any read may take long */
	bool mappable;		     /* [I] files of root_dev may be mapped (filemap.c) */
	bool copies_up;		     /* [I] overlayfs: opening for writing may make a new file */
	atomic_bool no_nowait;	     /* [a] its files don't know RWF_NOWAIT */
	uint64_t root_dev;	     /* [I] of the host */
	atomic_int slow_left;	     /* [a] file.c: so many reads pass the lead first */

	struct mutex table_lock;    /* RANK_LEAF */
	struct gofer_inode **table; /* [t] by host_dev and host_ino */
	uint32_t table_size;	    /* [t] a power of two */
	uint32_t inode_count;	    /* [t] */
	/* [a] inodes that were changed and are gone; written with [t]. What was known of a file
	 * before may not be so any more (ahead.c). */
	atomic_uint changed_gone;

	struct mutex ahead_lock;	  /* RANK_OBJECT */
	struct ahead *ahead[AHEAD_SLOTS]; /* ahead_lock: nodes nobody asked for yet (ahead.c) */
	unsigned ahead_next;		  /* ahead_lock: the slot to use next */
	atomic_uint list_after;		  /* [a] ahead.c */

	struct mutex nodes_lock; /* RANK_OBJECT */
	struct gofer_node_record
	    *nodes[NODES_MAX];	/* nodes_lock: devices made by guests (nodes.c) */
	atomic_uint node_count; /* [a] */
};

/* A descriptor of the host, shared by open files. */
struct host_file {
	struct refcount ref;
	int fd; /* [I] */
};

/* Entries of a directory as the gofer gave them. */
struct listing {
	struct refcount ref;
	uint64_t next_cookie; /* [I] to go on after the last */
	bool eof;	      /* [I] nothing follows */
	bool complete;	      /* [I] all of the directory */
	uint32_t entry_count; /* [I] */
	size_t size;	      /* [I] */
	size_t ahead_at;      /* [i] of the directory: where the last batch ended */
	uint64_t *asked;      /* [i] a bit for each 8 bytes of entries: looked up; or NULL */
	_Alignas(8) uint8_t entries[]; /* [I] struct gofer_dirent, checked */
};

struct gofer_inode {
	struct inode *inode;	     /* [I] */
	struct gofer_super *super;   /* [I] */
	uint64_t handle;	     /* [I] */
	uint64_t host_dev, host_ino; /* [I] */
	struct gofer_inode *next;    /* [t] in its bucket */
	struct list idle_link;	     /* [c] while it keeps a descriptor */

	struct mutex lock;	    /* RANK_OBJECT */
	struct host_file *readable; /* [g] kept: opened for reading alone */
	struct host_file *writable; /* [g] kept: opened for both */
	struct listing *listing;    /* [g] of a directory: what was listed last, if not shared */
	bool listing_true;	    /* [g] no entry has changed since */
	char *target;		    /* [g] of a symlink; never changes once set */
	atomic_uint version;	    /* [a] of a directory: changes with its entries */
	/* Of a directory, see ahead.c. */
	atomic_uint ahead_size;		      /* [a] names to look up at once; 0: one */
	atomic_uint ahead_asked, ahead_taken; /* [a] since it was listed */
	uint32_t single_count;		      /* [i] names asked for one by one */
	uint32_t single_max;		      /* [i] at least so many, and it is listed */

	struct mutex map_lock;	   /* RANK_FILEMAP */
	struct map_chunk **chunks; /* [map_lock] of a file, by number (filemap.c) */
	uint32_t chunk_slots;	   /* [map_lock] */
	uint32_t chunk_count;	   /* [map_lock] those there are; written atomically */
	uint32_t being_cut;	   /* [map_lock] content is taken away: nothing is lent */
	bool has_lent;		   /* [map_lock] one of the chunks, perhaps */

	struct mutex append_lock; /* RANK_OBJECT: one O_APPEND write at a time */
	atomic_bool changed;	  /* [a] attributes differ from those that it was made with */
	atomic_bool stale;	  /* [a] own reads and writes changed the host's attributes */
	atomic_int writers;	  /* [a] open files that can be written */
	atomic_int mapped;	  /* [a] open files with a writable shared mapping, which changes
				     mtime at any time */
	struct abi_timespec ctime_least; /* [i] of a change that the host wasn't told (attr.c) */
	atomic_bool no_file_caps;	 /* [a] it has no security.capability */
	atomic_bool no_xattrs;		 /* [a] it has none at all; set under [g] */
	uint32_t xattr_version;		 /* [g] counts what may have added one */
	atomic_ullong fresh_at;		 /* [a] monotonic ns: when the attributes last arrived */
	atomic_ullong named_at; /* [a] of a shared tree: when the name was last looked up */
};

static inline struct gofer_inode *gofer_inode(const struct inode *i)
{
	return i->private;
}

static inline struct gofer_super *gofer_super(const struct super_block *sb)
{
	return sb->private;
}

/* The mode is read without the lock by path walks; its type never changes. */
static inline void gofer_set_mode(struct inode *i, uint32_t mode)
{
	__atomic_store_n(&i->mode, (i->mode & ABI_S_IFMT) | (mode & ABI_S_IALLUGO),
			 __ATOMIC_RELAXED);
}

/* Before or after we change what attributes tell, while the inode is in use. */
static inline void gofer_changes(struct gofer_inode *g)
{
	if (!atomic_load_explicit(&g->changed, memory_order_relaxed))
		atomic_store_explicit(&g->changed, true, memory_order_relaxed);
}

/* The host knows what the attributes are now. */
static inline void gofer_outdated(struct gofer_inode *g)
{
	gofer_changes(g);
	atomic_store(&g->stale, true);
	lease_revoke(g->inode, LEASE_STAT);
}

static inline uint32_t gofer_type(struct inode *i)
{
	return __atomic_load_n(&i->mode, __ATOMIC_RELAXED) & ABI_S_IFMT;
}

/* ---- super.c ---- */
/*
 * The inode of a node that a reply brought, with a reference; takes the handle over. parent (or
 * NULL) is the directory it was found in, whose lock the caller holds. -EIO for a reply that makes
 * no sense.
 */
int gofer_inode_of(struct gofer_super *s, const struct gofer_node *node, struct inode *parent,
		   struct inode **ret);
/* The same of a node that came when changed_gone was this. -ESTALE: it may be out of date. */
int gofer_inode_of_early(struct gofer_super *s, const struct gofer_node *node, unsigned gone,
			 struct inode *parent, struct inode **ret);
/* Sets the fields from attributes that are true now. The caller holds inode.lock. */
void gofer_apply_attr(struct inode *i, const struct gofer_attr *attr);
/* Gives handles back to a gofer that ran out of descriptors; then a request is worth a retry. */
void gofer_shrink(struct gofer_super *s);
/* The number that guests see for a file of the host. */
uint64_t gofer_guest_ino(const struct gofer_super *s, uint64_t host_dev, uint64_t host_ino);
void gofer_evict(struct inode *i);

/* ---- dir.c ---- */
extern const struct inode_ops gofer_dir_ops;
bool gofer_revalidate(struct inode *dir, const char *name, struct inode *i);

/* ---- attr.c ---- */
int gofer_getattr(struct inode *i);
/* What the host says it is. The caller holds inode.lock. */
void gofer_set_ctime(struct inode *i, struct abi_timespec host);
int gofer_setattr(struct inode *i, const struct iattr *a);
int gofer_readlink(struct inode *i, struct task *t, char **ret_target);
ssize_t gofer_getxattr(struct inode *i, const char *name, void *buf, size_t size);
int gofer_setxattr(struct inode *i, const char *name, const void *value, size_t size, int flags);
ssize_t gofer_listxattr(struct inode *i, char *buf, size_t size);
int gofer_removexattr(struct inode *i, const char *name);
int gofer_statfs(struct super_block *sb, struct abi_statfs *ret);
extern const struct inode_ops gofer_symlink_ops;
extern const struct inode_ops gofer_special_ops;

/* The operations that every type has. */
#define GOFER_COMMON_INODE_OPS                                                                     \
	.getattr = gofer_getattr, .setattr = gofer_setattr, .getxattr = gofer_getxattr,            \
	.setxattr = gofer_setxattr, .listxattr = gofer_listxattr,                                  \
	.removexattr = gofer_removexattr, .evict = gofer_evict

/* ---- file.c ---- */
extern const struct inode_ops gofer_file_ops;
void host_file_put(struct host_file *hf);
/* A reference to the descriptor of a regular file; asks the gofer if none is kept. */
int gofer_host_file(struct gofer_inode *g, bool write, struct host_file **ret);
/* Keeps a descriptor that came with the file's making; takes it over. */
void gofer_keep_fd(struct gofer_inode *g, int fd);
/* A reference to any descriptor that is kept, or NULL. */
struct host_file *gofer_kept_file(struct gofer_inode *g);
/* Drops what is kept (open files have their own references). */
void gofer_drop_kept(struct gofer_inode *g);

/* ---- readdir.c ---- */
int gofer_dir_open(struct inode *i, struct file *f);
void listing_put(struct listing *l); /* NULL is fine */
/* A reference to what the directory's inode keeps, or NULL. must_be_true: not if it changed. */
struct listing *gofer_known_listing(struct gofer_inode *g, bool must_be_true);
/*
 * Lists a directory that nobody asked for, and keeps the listing if there is room. It only says
 * what to look up: what a guest has not listed it need not have seen at one moment, and somebody
 * on the host may copy files into a tree that he shouldn't touch.
 */
void gofer_list_unasked(struct gofer_inode *g);
/* The directory's entries changed. */
void gofer_dir_changed(struct gofer_inode *g);
/* Drops the kept listing. */
void gofer_drop_listing(struct gofer_inode *g);

/* ---- ahead.c ---- */
void gofer_ahead_init(struct gofer_super *s);
/* The inode of a node that has arrived already, if it is as good as one that arrives now. */
bool gofer_ahead_take(struct inode *dir, const char *name, struct inode **ret);
/* Whether the directory is known not to have the name. */
bool gofer_ahead_absent(struct gofer_inode *dir, const char *name);
/* Looks a name up, and some more. -EAGAIN: nothing suggests to do so, look up just the name. */
int gofer_ahead_lookup(struct gofer_inode *dir, const char *name, struct gofer_node *ret);
/* A guest begins to list the directory. */
void gofer_ahead_listed(struct gofer_inode *dir);
/* The name's meaning changes. */
void gofer_ahead_forget(struct gofer_inode *dir, const char *name);
void gofer_ahead_drop(struct gofer_inode *dir);
void gofer_ahead_drop_all(struct gofer_super *s);

/* ---- nodes.c. Directories are locked where names are taken or made. ---- */
bool gofer_nodes_any(struct gofer_super *s);
bool gofer_is_node(const struct inode *i); /* NULL: no */
int gofer_node_lookup(struct inode *dir, const char *name, struct inode **ret);
int gofer_node_make(struct inode *dir, const char *name, uint32_t mode, uint64_t rdev,
		    const struct cred *c, struct inode **ret);
void gofer_node_remove(struct inode *dir, const char *name, struct inode *victim);
void gofer_node_move(struct inode *old_dir, const char *old_name, struct inode *new_dir,
		     const char *new_name);
bool gofer_nodes_in(struct inode *dir); /* whether the directory has any */
/* Emits those of a directory from f->pos on; false: no room. */
bool gofer_nodes_emit(struct file *f, struct dir_emit *e);
void gofer_nodes_destroy(struct gofer_super *s);

/* filemap.c: reading what the sentry maps. */
#define FS_OVERLAY 0x794c7630u
/* Whether files of a host file system of that type (statfs) may be mapped. */
bool filemap_can_map(uint32_t fs_type);
/*
 * Copies what can be had from memory and moves *pos by it; bytes, 0: ask the host. hf: the
 * descriptor of the open file.
 */
size_t filemap_read(struct gofer_inode *g, const struct host_file *hf, struct uio *to,
		    int64_t *pos);
/* A host call that didn't wait has read this: it is in the page cache. */
void filemap_seen(struct gofer_inode *g, int64_t pos, uint64_t size);
/* The content may be another file's from now on, or the descriptors are given up. */
void filemap_drop(struct gofer_inode *g);
/*
 * A piece of the file at pos, max bytes of it or what there is, without a copy. Its length; 0: not
 * this piece, it must be read.
 */
ssize_t filemap_lend(struct gofer_inode *g, const struct host_file *hf, int64_t pos, size_t max,
		     struct pipe_block *ret);
/* Around what takes content away from the file: what was lent stays as it was. */
void filemap_cut_begin(struct gofer_inode *g);
void filemap_cut_end(struct gofer_inode *g);

#endif
