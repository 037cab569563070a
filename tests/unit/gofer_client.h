/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bare client for tests of the gofer: builds messages by hand, so that they can be wrong too.
 */
#ifndef TESTS_UNIT_GOFER_CLIENT_H
#define TESTS_UNIT_GOFER_CLIENT_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fd.h"
#include "fsgofer/protocol.h"

/* A message in the making, and the reply to it. */
struct msg {
	_Alignas(8) uint8_t bytes[GOFER_MESSAGE_MAX + 64];
	size_t size;
	_Alignas(8) uint8_t reply[GOFER_MESSAGE_MAX];
	ssize_t reply_size;
	int reply_fd;
};

/* A request of this type whose fixed structure is zero. */
static inline void *msg_begin(struct msg *m, enum gofer_type type, size_t size)
{
	static uint32_t seq;

	memset(m->bytes, 0, size);
	m->size = size;
	((struct gofer_header *)(void *)m->bytes)->type = (uint16_t)type;
	((struct gofer_header *)(void *)m->bytes)->seq = ++seq;
	return m->bytes;
}

static inline void msg_add(struct msg *m, const void *bytes, size_t size)
{
	memcpy(m->bytes + m->size, bytes, size);
	m->size += size;
}

static inline void msg_string(struct msg *m, const char *s)
{
	msg_add(m, s, strlen(s) + 1);
}

/* Sends without touching the header's size; the reply's error, or -EPIPE when hung up on. */
static inline int msg_exchange(struct msg *m, int sock)
{
	const struct gofer_header *req = (void *)m->bytes, *rep = (void *)m->reply;
	ssize_t n = fd_send(sock, m->bytes, m->size, NULL, 0);

	m->reply_fd = -1;
	if (n >= 0)
		n = fd_recv(sock, m->reply, sizeof(m->reply), &m->reply_fd, 1, NULL);
	m->reply_size = n;
	if (n <= 0)
		return -EPIPE;
	if ((size_t)n < sizeof(*rep) || rep->size != n || rep->type != req->type ||
	    rep->seq != req->seq) {
		fprintf(stderr, "reply doesn't belong to request %u\n", req->type);
		abort();
	}
	return rep->error;
}

static inline int msg_call(struct msg *m, int sock)
{
	((struct gofer_header *)(void *)m->bytes)->size = (uint32_t)m->size;
	return msg_exchange(m, sock);
}

/* Requests that most tests need; each returns the reply's error. */
static inline int attach(struct msg *m, int sock, uint32_t index, uint64_t *ret_handle)
{
	struct gofer_req_attach *req = msg_begin(m, GOFER_ATTACH, sizeof(*req));
	int err;

	req->index = index;
	err = msg_call(m, sock);
	if (!err)
		*ret_handle = ((struct gofer_reply_node *)(void *)m->reply)->node.handle;
	return err;
}

/* path: names separated by '/'. */
static inline struct gofer_reply_walk *walk(struct msg *m, int sock, uint64_t from,
					    const char *path)
{
	struct gofer_req_walk *req = msg_begin(m, GOFER_WALK, sizeof(*req));
	char *copy = strdup(path), *save = NULL;

	req->handle = from;
	for (char *s = strtok_r(copy, "/", &save); s; s = strtok_r(NULL, "/", &save)) {
		msg_string(m, s);
		req->name_count++;
	}
	free(copy);
	return msg_call(m, sock) ? NULL : (void *)m->reply;
}

/* The handle that a complete walk ends at, or 0. */
static inline uint64_t walk_to(struct msg *m, int sock, uint64_t from, const char *path)
{
	struct gofer_reply_walk *reply = walk(m, sock, from, path);

	if (!reply || reply->stop != GOFER_STOP_END)
		return 0;
	return reply->nodes[reply->node_count - 1].handle;
}

static inline int open_handle(struct msg *m, int sock, uint64_t handle, uint32_t flags)
{
	struct gofer_req_open *req = msg_begin(m, GOFER_OPEN, sizeof(*req));

	req->handle = handle;
	req->flags = flags;
	return msg_call(m, sock);
}

static inline int make(struct msg *m, int sock, enum gofer_type type, uint64_t dir,
		       const char *name, uint32_t mode)
{
	struct gofer_req_make *req = msg_begin(m, type, sizeof(*req));

	req->dir = dir;
	req->mode = mode;
	req->flags = type == GOFER_CREATE ? GOFER_OPEN_READ | GOFER_OPEN_WRITE : 0;
	msg_string(m, name);
	if (type == GOFER_SYMLINK)
		msg_string(m, "target");
	return msg_call(m, sock);
}

static inline int handle_call(struct msg *m, int sock, enum gofer_type type, uint64_t handle)
{
	struct gofer_req_handle *req = msg_begin(m, type, sizeof(*req));

	req->handle = handle;
	return msg_call(m, sock);
}

#endif
