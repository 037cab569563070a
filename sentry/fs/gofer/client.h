/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to the gofer: the sentry's half of fsgofer/protocol.h.
 *
 *	struct gofer_rpc *rpc = rpc_begin(client, GOFER_WALK, sizeof(*req));
 *
 *	req = rpc->req;
 *	req->handle = ...;
 *	rpc_add_name(rpc, name);
 *	err = rpc_call(rpc, sizeof(struct gofer_reply_walk));
 *	if (!err)
 *		... rpc->reply ...
 *	rpc_end(rpc);
 *
 * rpc_begin waits for a free connection, rpc_end gives it back; a thread has one at a time. The
 * lead is passed when the reply takes long. No lock of the client is held in between.
 *
 * The gofer is not trusted more than a guest: every reply is checked before it is used, and one
 * that the protocol doesn't allow breaks the client for good: all connections hang up, every
 * request fails with -EIO, and boot, which watches the sockets, ends the sandbox.
 */
#ifndef SENTRY_FS_GOFER_CLIENT_H
#define SENTRY_FS_GOFER_CLIENT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/cpus.h"
#include "base/list.h"
#include "base/lock.h"
#include "fsgofer/protocol.h"
#include "sentry/fs/gofer/gofer_fs.h"

struct gofer_rpc {
	/* For the user. */
	void *req;	   /* the request's structure, zeroed but for the header */
	const void *reply; /* after rpc_call: at least the size asked for */
	size_t reply_size;
	int fd; /* that came with the reply, -1: none; the user's */

	/* The transport's. [c] while the connection is free, else its user's. */
	struct gofer_client *client;
	int sock;
	uint32_t seq;
	uint16_t cpu;	     /* where the gofer's thread is: 1 + a CPU, 0: anywhere */
	uint16_t asked_from; /* the CPU of the last request that wasn't held */
	unsigned away_count; /* so many of those in a row, from there, were answered elsewhere */
	unsigned stay_left;  /* so many will be held at `cpu` */
	size_t req_size;
	struct gofer_rpc *next_free; /* client.lock */
	uint8_t *buffer;	     /* request and reply, GOFER_MESSAGE_MAX each */
};

/* Guards: [c] lock, [a] atomic, [I]. */
struct gofer_client {
	struct kernel *kernel;	 /* [I] */
	pthread_mutex_t lock;	 /* a leaf: nothing is taken under it */
	pthread_cond_t freed;	 /* a connection became free */
	struct gofer_rpc *conns; /* [I] */
	size_t conn_count;	 /* [I] */
	bool same_cpu;		 /* [I] requests stay on their CPU */
	struct cpus cpus;	 /* [I] of a thread that makes no request */
	struct gofer_rpc *free;	 /* [c] */
	uint64_t *clunks;	 /* [c] handles to drop */
	size_t clunk_count;	 /* [c] */
	size_t clunk_capacity;	 /* [c] */
	bool clunk_soon;	 /* [c] a deleted file is among them: its space is to be freed */
	atomic_int slow_left;	 /* [a] requests that pass the lead before they wait */
	atomic_bool broken;	 /* [a] */
	atomic_ullong requests[GOFER_TYPE_COUNT]; /* [a] sent, for --debug */
	atomic_ullong held_count;		  /* [a] of them held on their CPU */
	atomic_ullong away_count;		  /* [a] answered on another one */

	/* Descriptors kept for files that may be opened again (file.c). */
	struct mutex idle_lock;	    /* RANK_LEAF */
	struct list idle;	    /* idle_lock: struct gofer_inode.idle_link, oldest first */
	unsigned idle_count;	    /* idle_lock */
	atomic_size_t cached_bytes; /* [a] of directory listings (readdir.c) */

	/* Chunks of files that may be mapped (filemap.c). */
	struct mutex chunks_lock; /* RANK_LEAF */
	struct list chunks;	  /* chunks_lock: struct map_chunk.link */
	unsigned chunk_count;	  /* chunks_lock */
};

struct gofer_rpc *rpc_begin(struct gofer_client *c, enum gofer_type type, size_t req_size);
/* Names that come from guests were checked by the VFS; other bytes fit as the protocol says. */
void rpc_add_string(struct gofer_rpc *rpc, const char *s);
void rpc_add_bytes(struct gofer_rpc *rpc, const void *bytes, size_t size);
/*
 * Sends and waits. 0 with a reply of at least reply_size bytes; the gofer's error; -EIO when the
 * client is broken. May be called once between begin and end.
 */
int rpc_call(struct gofer_rpc *rpc, size_t reply_size);
/* Gives the connection back; closes rpc->fd unless the user took it (and set -1). */
void rpc_end(struct gofer_rpc *rpc);
/* The reply can't be true: breaks the client; returns -EIO. */
int rpc_bad_reply(struct gofer_rpc *rpc, const char *why);

/* Whether a file's attributes can be true. */
bool rpc_attr_ok(const struct gofer_attr *attr);
bool rpc_node_ok(const struct gofer_node *node);

/*
 * Has the gofer give back memory that it doesn't need now. For the event thread: false, and nothing
 * is done, if all connections are in use.
 */
bool gofer_trim(struct gofer_client *c);

/* Requests sent, of all kinds but CLUNK and TRIM. */
uint64_t gofer_request_count(const struct gofer_client *c);

/* Drops a handle, soon: with other requests, or at once if urgent and a connection is free. */
void gofer_clunk(struct gofer_client *c, uint64_t handle, bool urgent);
/* Drops all that are waiting to be, before any later request. */
void gofer_clunk_now(struct gofer_client *c);

#endif
