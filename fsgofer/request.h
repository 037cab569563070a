/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the server: what the request handlers (names.c, attrs.c, readdir.c) share.
 *
 * A handler finds a request whose size fits its fixed structure, builds its reply with
 * reply_begin, and returns 0 or the negative errno that becomes an error reply. If the message
 * itself is wrong it returns malformed(), which ends the connection.
 */
#ifndef FSGOFER_REQUEST_H
#define FSGOFER_REQUEST_H

#include <sys/stat.h>

#include "base/fd.h"
#include "fsgofer/protocol.h"
#include "fsgofer/server.h"

/* A path to a descriptor below proc_fd. */
struct fd_name {
	char text[12];
};
struct fd_name fd_name(int fd);

/* Notes why the peer can't be trusted any more; the handler returns what this returns. */
int malformed(struct gofer_conn *c, const char *why);

/* A reply of this size, zeroed, with its header filled in. */
void *reply_begin(struct gofer_conn *c, size_t size);

/* The tail of a request after its structure of this size. */
struct gofer_cursor request_tail(const struct gofer_conn *c, size_t fixed_size);
/* 0 if the tail was well formed and is used up, else malformed(). */
int tail_end(struct gofer_conn *c, const struct gofer_cursor *tail);
/* The only string of a tail that holds one name; NULL after malformed(). */
const char *only_name(struct gofer_conn *c, size_t fixed_size);

/* A handle held for the length of a request. */
struct held {
	struct handle_table *table;
	struct gofer_handle *h; /* NULL: stale */
};
struct held hold(struct gofer_conn *c, uint64_t id, enum handle_kind kind);
void held_release(struct held *held);
#define cleanup_held __cleanup(held_release)

/* attr of fd itself (an empty name) or of an entry, symlinks not followed. */
int get_attr(int fd, const char *name, struct gofer_attr *ret_attr);
/* The same of fd after a change that has happened: left as it was if that fails. */
void get_attr_after(int fd, struct gofer_attr *ret_attr);

/*
 * A descriptor with rights for the file of an O_PATH descriptor. Only regular files and
 * directories are ever opened: -ELOOP for symlinks, -ENXIO for the rest.
 */
int reopen(const struct gofer_conn *c, int path_fd, uint32_t mode, int flags);
/* The host's O_* for GOFER_OPEN_*, with what every open has. */
int open_flags(uint32_t flags);

/* Ends a reply of struct gofer_reply_data, whose tail has been filled, at this size. */
void reply_data_end(struct gofer_conn *c, size_t size);

/* Handlers, by file. */
int do_attach(struct gofer_conn *c);
int do_walk(struct gofer_conn *c);
int do_lookup(struct gofer_conn *c);
int do_create(struct gofer_conn *c);
int do_tmpfile(struct gofer_conn *c);
int do_mkdir(struct gofer_conn *c);
int do_mknod(struct gofer_conn *c);
int do_symlink(struct gofer_conn *c);
int do_link(struct gofer_conn *c);
int do_unlink(struct gofer_conn *c);
int do_rename(struct gofer_conn *c);

int do_open(struct gofer_conn *c);
int do_readlink(struct gofer_conn *c);
int do_getattr(struct gofer_conn *c);
int do_getattr_at(struct gofer_conn *c);
int do_setattr(struct gofer_conn *c);
int do_statfs(struct gofer_conn *c);
int do_fsync(struct gofer_conn *c);
int do_getxattr(struct gofer_conn *c);
int do_setxattr(struct gofer_conn *c);
int do_listxattr(struct gofer_conn *c);
int do_removexattr(struct gofer_conn *c);

int do_readdir(struct gofer_conn *c);

#endif
