/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The serving half of the gofer: answers the requests of protocol.h below a set of root
 * descriptors. It doesn't confine itself (confine.h does), so tests run it in their own process.
 *
 * One thread serves one connection (gofer_serve); threads share the handle table only. A thread
 * allocates nothing once it serves.
 */
#ifndef FSGOFER_SERVER_H
#define FSGOFER_SERVER_H

#include "base/cpus.h"
#include "fsgofer/handles.h"

struct gofer_root {
	int fd; /* O_PATH */
	bool readonly;
};

struct gofer_server {
	struct handle_table handles;
	const struct gofer_root *roots; /* [I] borrowed */
	uint32_t root_count;		/* [I] */
	int proc_fd;			/* [I] borrowed: a directory that is /proc/self/fd */
	struct cpus cpus;		/* [I] where threads may run that nobody asks elsewhere */
};

int gofer_server_init(struct gofer_server *s, const struct gofer_root *roots, uint32_t root_count,
		      int proc_fd, uint32_t handle_max);
void gofer_server_destroy(struct gofer_server *s);

/* What one connection needs: set up before the thread is confined. */
struct gofer_conn {
	struct gofer_server *server;
	int sock;	  /* owned by the caller */
	uint8_t *req;	  /* GOFER_MESSAGE_MAX bytes */
	uint8_t *reply;	  /* GOFER_MESSAGE_MAX bytes */
	uint8_t *scratch; /* scratch_size bytes */
	size_t scratch_size;
	uint16_t cpu; /* where its thread is now, as header.cpu */
	size_t reply_size;
	int reply_fd;	       /* sent with the reply and then closed; -1: none */
	const char *complaint; /* why the request could not have been sent in good faith */
};

int gofer_conn_init(struct gofer_conn *c, struct gofer_server *s, int sock);
void gofer_conn_destroy(struct gofer_conn *c);

/*
 * Serves a connection until it hangs up (0), or fails, or breaks the protocol (-EBADMSG, logged).
 * Then the socket is shut down, so that the peer sees the end.
 */
int gofer_serve(struct gofer_conn *c);

#endif
