/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sentry and the gofer say to each other.
 *
 * Transport. GOFER_CONNECTIONS connected SOCK_SEQPACKET sockets, each served by a gofer thread of
 * its own, so that a slow disk holds up one. A request is one message, its reply is one message on
 * the same connection, and one request at a time is under way on a connection. Descriptors ride
 * along with replies (OPEN, CREATE); a request never carries any.
 *
 * Why sockets and not shared memory: the kernel copies each message, so what was checked is what
 * is used: there is no second fetch for the other side to change in between, and no ring indices
 * to validate. A request costs two host calls a side (send, receive). Measured with
 * `test_gofer_server bench` (2-core VM, Linux 6.18): GETATTR takes 18 us the round trip when the
 * two threads wake on different CPUs and 4.6 us when they share one, of which the work itself is
 * 0.7 us; OPEN with its descriptor 32 and 6.8 us. So nearly all of it is the hand-over between
 * threads, which shared memory with a futex would pay as well, and only a spinning gofer would
 * not. The calls that must be fast (read, write, mmap of an open file, stat of a cached path) send
 * no message at all.
 *
 * Messages. A fixed-size structure that starts with struct gofer_header, then (where the structure
 * says so) a tail: names as NUL-terminated strings, then bytes. All integers are native, both
 * sides are one binary. At most GOFER_MESSAGE_MAX bytes. Both sides check before use: the size
 * against the header, the structure and the tail; the tail must be used up exactly; reserved
 * fields must be zero. A side that sees a message that its peer could not have sent in good faith
 * closes the connection (the sentry, then, ends the sandbox).
 *
 * Replies repeat type and seq. error is 0 or a negative errno; an error reply is a header alone.
 * CLUNK has no reply: it can't fail in a way that the sentry could act on, and so dropping
 * handles costs the sentry one host call for up to GOFER_CLUNK_MAX of them. Nor has TRIM, whose
 * sender must not wait for the gofer.
 *
 * header.cpu. A request may name the CPU where its requester holds itself while it waits; then the
 * serving thread goes there, and stays until another request says something else. So neither of
 * the two wake-ups is one of another CPU. A reply names the CPU where it was made, if that is known,
 * so that the requester sees whether that is worth it. Both are hints: nothing depends on them.
 *
 * Handles are 64-bit numbers, good on every connection, each an O_PATH descriptor in the gofer. A
 * handle names the file, not the path: it follows renames and outlives unlink. A stale or invented
 * handle is -ESTALE. The gofer holds a bounded number (its RLIMIT_NOFILE): beyond, requests that
 * make handles fail with -EMFILE, and the sentry drops what its caches don't need.
 *
 * Permissions of guests are the sentry's business: the gofer works as the host's root below the
 * mount, and gives created files the owner that the request names.
 */
#ifndef FSGOFER_PROTOCOL_H
#define FSGOFER_PROTOCOL_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define GOFER_CONNECTIONS 4
#define GOFER_MESSAGE_MAX (64u * 1024)
#define GOFER_DATA_MAX	  (60u * 1024) /* symlink target, xattr value or list, directory entries */
#define GOFER_NAME_MAX	  255u	       /* without the NUL */
#define GOFER_TARGET_MAX  4095u	       /* symlink target, without a NUL */
#define GOFER_WALK_MAX	  16u	       /* names in one WALK */
#define GOFER_CLUNK_MAX	  256u
#define GOFER_HANDLE_NONE 0u /* never a valid handle */

enum gofer_type {
	GOFER_ATTACH = 1,
	GOFER_WALK,
	GOFER_LOOKUP,
	GOFER_OPEN,
	GOFER_CREATE,
	GOFER_TMPFILE,
	GOFER_MKDIR,
	GOFER_MKNOD,
	GOFER_SYMLINK,
	GOFER_LINK,
	GOFER_UNLINK,
	GOFER_RENAME,
	GOFER_READLINK,
	GOFER_GETATTR,
	GOFER_GETATTR_AT,
	GOFER_SETATTR,
	GOFER_READDIR,
	GOFER_STATFS,
	GOFER_FSYNC,
	GOFER_GETXATTR,
	GOFER_SETXATTR,
	GOFER_LISTXATTR,
	GOFER_REMOVEXATTR,
	GOFER_CLUNK,
	GOFER_TRIM,
	GOFER_TYPE_COUNT,
};

struct gofer_header {
	uint32_t size; /* of the whole message */
	uint16_t type; /* enum gofer_type */
	uint16_t cpu;  /* 1 + the number of a CPU, or 0; see above */
	uint32_t seq;  /* chosen by the requester, repeated in the reply */
	int32_t error; /* replies: 0 or negative errno */
};

struct gofer_time {
	int64_t sec;
	uint32_t nsec; /* < 1,000,000,000 */
	uint32_t zero;
};

struct gofer_attr {
	uint64_t dev; /* of the host: only good for comparing */
	uint64_t ino;
	uint64_t size;
	uint64_t blocks; /* of 512 bytes */
	uint32_t mode;	 /* type and permissions */
	uint32_t nlink;
	uint32_t uid;
	uint32_t gid;
	uint32_t rdev_major;
	uint32_t rdev_minor;
	uint32_t blksize;
	uint32_t zero;
	struct gofer_time atime, mtime, ctime, btime; /* btime all zero: unknown */
};

/* A file as replies give it: the handle is the sentry's to clunk. */
struct gofer_node {
	uint64_t handle;
	struct gofer_attr attr;
};

/* ATTACH: the root of mount `index`. Reply: gofer_reply_node, dir all zero. */
struct gofer_req_attach {
	struct gofer_header h;
	uint32_t index;
	uint32_t zero;
};

/*
 * READLINK, GETATTR, STATFS, LISTXATTR. GETATTR_AT: tail: a name in the directory `handle`; its
 * attributes without a handle, for revalidating what is cached.
 */
struct gofer_req_handle {
	struct gofer_header h;
	uint64_t handle;
};

/*
 * WALK: tail: name_count names (1 to GOFER_WALK_MAX), each below the one before. The reply has
 * a node for each name that was found, and says why it stopped. It never follows a symlink: one in
 * the middle is the last node.
 */
struct gofer_req_walk {
	struct gofer_header h;
	uint64_t handle;
	uint32_t name_count;
	uint32_t zero;
};

/*
 * LOOKUP: as WALK, but all names (1 to GOFER_LOOKUP_MAX) are entries of the one directory. The
 * reply has a node for every name; those that weren't found have no handle. stop_error is the
 * first name's error (0: found); the others are there because the sentry expects to need them.
 */
#define GOFER_LOOKUP_MAX 64u

enum gofer_stop {
	GOFER_STOP_END,	    /* all names were found */
	GOFER_STOP_SYMLINK, /* the last node is a symlink and names are left */
	GOFER_STOP_NOTDIR,  /* the last node is no directory and names are left */
	GOFER_STOP_ERROR,   /* the next name: stop_error, -ENOENT above all */
};

struct gofer_reply_walk {
	struct gofer_header h;
	uint32_t node_count;
	uint32_t stop; /* enum gofer_stop */
	int32_t stop_error;
	uint32_t zero;
	struct gofer_node nodes[];
};

/*
 * OPEN: a descriptor of a regular file with just these rights. Reply: gofer_reply_attr and one
 * descriptor. Directories are -EISDIR (READDIR and FSYNC take their handle), all other types
 * -ENXIO: fifos, sockets and devices of the host are never opened.
 */
#define GOFER_OPEN_READ	  1u
#define GOFER_OPEN_WRITE  2u
#define GOFER_OPEN_TRUNC  4u
#define GOFER_OPEN_APPEND 8u
#define GOFER_OPEN_DIRECT 16u
#define GOFER_OPEN_SYNC	  32u
#define GOFER_OPEN_DSYNC  64u
#define GOFER_OPEN_ALL	  127u

struct gofer_req_open {
	struct gofer_header h;
	uint64_t handle;
	uint32_t flags;
	uint32_t zero;
};

/*
 * CREATE (a regular file, opened with flags, of GOFER_OPEN_*), MKDIR, MKNOD (mode says the type:
 * regular, fifo, socket, or the 0:0 character device of overlay whiteouts; else -EPERM), SYMLINK.
 * All fail with -EEXIST where the name exists. uid, gid and mode (07777) become exactly these.
 * Tail: the name; for SYMLINK then the target. Reply: gofer_reply_node; CREATE: one descriptor.
 * TMPFILE: as CREATE, but the file has no name (O_TMPFILE; LINK can give it one) and no tail.
 */
struct gofer_req_make {
	struct gofer_header h;
	uint64_t dir;
	uint32_t flags; /* CREATE only */
	uint32_t mode;	/* type bits for MKNOD only */
	uint32_t uid;
	uint32_t gid;
	uint32_t dev_major; /* MKNOD only */
	uint32_t dev_minor;
};

struct gofer_reply_node {
	struct gofer_header h;
	struct gofer_node node;
	struct gofer_attr dir; /* of the directory that changed */
};

/* LINK: tail: the new name in dir. Reply: gofer_reply_node with node.handle 0. */
struct gofer_req_link {
	struct gofer_header h;
	uint64_t handle;
	uint64_t dir;
};

/* UNLINK: tail: the name. Reply: gofer_reply_attr of the directory. */
struct gofer_req_unlink {
	struct gofer_header h;
	uint64_t dir;
	uint32_t rmdir; /* 0: unlink, 1: rmdir */
	uint32_t zero;
};

#define GOFER_RENAME_NOREPLACE 1u
#define GOFER_RENAME_EXCHANGE  2u

/* RENAME: tail: the old name, the new name. */
struct gofer_req_rename {
	struct gofer_header h;
	uint64_t old_dir;
	uint64_t new_dir;
	uint32_t flags;
	uint32_t zero;
};

struct gofer_reply_rename {
	struct gofer_header h;
	struct gofer_attr old_dir, new_dir;
};

/* Reply to OPEN, UNLINK, GETATTR, GETATTR_AT, SETATTR. */
struct gofer_reply_attr {
	struct gofer_header h;
	struct gofer_attr attr;
};

#define GOFER_SET_MODE	    1u
#define GOFER_SET_UID	    2u
#define GOFER_SET_GID	    4u
#define GOFER_SET_SIZE	    8u
#define GOFER_SET_ATIME	    16u
#define GOFER_SET_MTIME	    32u
#define GOFER_SET_ATIME_NOW 64u
#define GOFER_SET_MTIME_NOW 128u
#define GOFER_SET_ALL	    255u

/* SETATTR: in the order owner, mode, size, times; stops at the first that fails. */
struct gofer_req_setattr {
	struct gofer_header h;
	uint64_t handle;
	uint32_t valid; /* GOFER_SET_* */
	uint32_t mode;	/* 07777 */
	uint32_t uid;
	uint32_t gid;
	uint64_t size;
	struct gofer_time atime, mtime;
};

/*
 * READDIR: entries after cookie (0: from the start), as many as fit max_size bytes of reply
 * (at most GOFER_DATA_MAX). handle is a directory's, or the stream that an earlier reply gave.
 * A directory that doesn't fit one reply gets a stream: an open directory in the gofer, so that
 * entries removed in between don't shift those to come (reopening would, on overlayfs). A stream
 * is clunked like a handle. "." and ".." are left out.
 */
#define GOFER_READDIR_ATTR 1u /* attributes of each entry as well */

struct gofer_req_readdir {
	struct gofer_header h;
	uint64_t handle;
	uint64_t cookie;
	uint32_t max_size;
	uint32_t flags;
};

struct gofer_dirent {
	uint64_t cookie; /* to go on after this entry */
	uint64_t ino;
	uint16_t size; /* of this entry with attributes, name and padding: a multiple of 8 */
	uint8_t type;  /* DT_* */
	uint8_t name_size;
	uint8_t has_attr; /* a struct gofer_attr comes before the name */
	uint8_t zero[3];
};

struct gofer_reply_readdir {
	struct gofer_header h;
	uint64_t stream;      /* new, or the one asked; GOFER_HANDLE_NONE when eof came at once */
	uint32_t entry_count; /* struct gofer_dirent in the tail */
	uint32_t eof;	      /* 1: nothing follows */
};

/* Reply to READLINK, GETXATTR, LISTXATTR: tail: size bytes. */
struct gofer_reply_data {
	struct gofer_header h;
	uint32_t size;
	uint32_t zero;
};

struct gofer_reply_statfs {
	struct gofer_header h;
	uint64_t type, bsize, blocks, bfree, bavail, files, ffree, namelen, frsize;
};

struct gofer_req_fsync {
	struct gofer_header h;
	uint64_t handle;
	uint32_t data_only;
	uint32_t zero;
};

#define GOFER_XATTR_CREATE  1u
#define GOFER_XATTR_REPLACE 2u

/*
 * GETXATTR, SETXATTR, REMOVEXATTR: tail: the name; for SETXATTR then value_size bytes. Names
 * outside of "user." are -EOPNOTSUPP, but security.capability can be read (exec needs it).
 * SETXATTR and REMOVEXATTR answer with gofer_reply_attr.
 */
struct gofer_req_xattr {
	struct gofer_header h;
	uint64_t handle;
	uint32_t value_size; /* SETXATTR only */
	uint32_t flags;	     /* SETXATTR only */
};

/* TRIM: a header alone. The gofer gives back memory that it doesn't need now. No reply. */

/* CLUNK: tail: count handles (1 to GOFER_CLUNK_MAX). Unknown ones are skipped. No reply. */
struct gofer_req_clunk {
	struct gofer_header h;
	uint32_t count;
	uint32_t zero;
	uint64_t handles[];
};

static_assert(sizeof(struct gofer_header) == 16, "wire");
static_assert(sizeof(struct gofer_attr) == 128, "wire");
static_assert(sizeof(struct gofer_node) == 136, "wire");
static_assert(sizeof(struct gofer_req_make) == 48, "wire");
static_assert(sizeof(struct gofer_req_setattr) == 80, "wire");
static_assert(sizeof(struct gofer_dirent) == 24, "wire");
static_assert(sizeof(struct gofer_reply_walk) + GOFER_LOOKUP_MAX * sizeof(struct gofer_node) <=
		  GOFER_MESSAGE_MAX,
	      "wire");
static_assert(sizeof(struct gofer_dirent) + sizeof(struct gofer_attr) + GOFER_NAME_MAX + 8 <
		  GOFER_DATA_MAX,
	      "wire");

/* Whether these bytes (without NUL) may name an entry of a directory. */
static inline bool gofer_name_ok(const char *name, size_t size)
{
	if (size == 0 || size > GOFER_NAME_MAX || memchr(name, '/', size) ||
	    memchr(name, '\0', size))
		return false;
	return !(name[0] == '.' && (size == 1 || (size == 2 && name[1] == '.')));
}

/* Reads a message's tail. Once `bad`, everything that it gives is empty. */
struct gofer_cursor {
	const uint8_t *at;
	size_t left;
	bool bad;
};

/* The next `size` bytes, or NULL. */
static inline const void *gofer_take(struct gofer_cursor *c, size_t size)
{
	const uint8_t *at = c->at;

	if (c->bad || size > c->left) {
		c->bad = true;
		return NULL;
	}
	c->at += size;
	c->left -= size;
	return at;
}

/* The next NUL-terminated string of at most max bytes (without the NUL), or NULL. */
static inline const char *gofer_take_string(struct gofer_cursor *c, size_t max)
{
	const uint8_t *nul = NULL;

	if (!c->bad && c->left)
		nul = memchr(c->at, '\0', c->left);
	if (!nul || (size_t)(nul - c->at) > max) {
		c->bad = true;
		return NULL;
	}
	return gofer_take(c, (size_t)(nul - c->at) + 1);
}

/* The next name of a directory entry, or NULL. */
static inline const char *gofer_take_name(struct gofer_cursor *c)
{
	const char *name = gofer_take_string(c, GOFER_NAME_MAX);

	if (name && !gofer_name_ok(name, strlen(name))) {
		c->bad = true;
		return NULL;
	}
	return name;
}

/* The next entry of a READDIR reply with its parts, checked; false when the message is wrong. */
static inline bool gofer_take_dirent(struct gofer_cursor *c, struct gofer_dirent *ret_entry,
				     struct gofer_attr *ret_attr, const char **ret_name)
{
	const struct gofer_dirent *head = gofer_take(c, sizeof(*head));
	size_t rest, need;
	const uint8_t *body;

	if (!head)
		return false;
	memcpy(ret_entry, head, sizeof(*ret_entry));
	need = (ret_entry->has_attr ? sizeof(*ret_attr) : 0) + ret_entry->name_size;
	rest = (size_t)ret_entry->size - sizeof(*head);
	if (ret_entry->size < sizeof(*head) || ret_entry->size % 8 || need > rest ||
	    !(body = gofer_take(c, rest))) {
		c->bad = true;
		return false;
	}
	if (ret_entry->has_attr)
		memcpy(ret_attr, body, sizeof(*ret_attr));
	*ret_name = (const char *)body + (ret_entry->has_attr ? sizeof(*ret_attr) : 0);
	c->bad = !gofer_name_ok(*ret_name, ret_entry->name_size);
	return !c->bad;
}

#endif
