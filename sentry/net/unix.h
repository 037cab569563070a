/* SPDX-License-Identifier: Apache-2.0 */
/* Unix sockets (unix(7)). */
#ifndef SENTRY_NET_UNIX_H
#define SENTRY_NET_UNIX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi/socket.h"

struct file;
struct kernel;
struct task;
struct uio;
struct unix_name;
struct unix_sock;

#define UNIX_BUFFER	  212992 /* net.core.wmem_default: what waits in one direction */
#define UNIX_INFLIGHT_MAX 16384	 /* descriptors in messages not yet received, in the sandbox */

/* Files on their way; owns its references. Not counted as in flight before it is sent. */
struct unix_rights {
	uint32_t count;
	struct file *files[ABI_SCM_MAX_FD];
};
void unix_rights_free(struct unix_rights *r); /* NULL is harmless */

/* What goes along with the bytes. */
struct unix_ctl {
	struct unix_rights *rights; /* sending: taken over on success, and then NULL */
	struct abi_ucred cred;
	/* Received only. */
	bool any;		/* a message has been seen: the fields around are set */
	uint64_t size;		/* of the last message, whole */
	struct unix_name *from; /* a reference, or NULL: the sender has no name */
};
/* Drops what it refers to. */
void unix_ctl_clear(struct unix_ctl *c);

struct unix_table *unix_table_new(void);
void unix_table_destroy(struct unix_table *table);

/* type: ABI_SOCK_STREAM, DGRAM or SEQPACKET. flags: ABI_O_NONBLOCK. */
struct file *unix_new(struct task *t, int type, uint32_t flags);
void unix_pair_new(struct task *t, int type, uint32_t flags, struct file *ret[2]);

/* Whether f is a unix socket; all below want one. */
bool unix_is_socket(const struct file *f);
int unix_type(const struct file *f);

/*
 * One message, or a piece of the stream, to `dest` (borrowed; NULL: the peer). Bytes taken;
 * -EAGAIN: no room now, whoever waits for the file's queue will hear of it; -EPIPE, -ECONNREFUSED:
 * nobody there; -ENOTCONN; -EMSGSIZE: never fits; -ETOOMANYREFS: too many descriptors in flight.
 */
ssize_t unix_send(struct file *f, struct uio *from, struct unix_ctl *ctl, struct unix_sock *dest);
void unix_sock_put(struct unix_sock *s); /* NULL is harmless */
/*
 * Bytes given; 0: the end; -EAGAIN: nothing there; -ECONNRESET, -EINVAL (not connected). peek
 * leaves what was read. Of a message that is longer than the buffer the rest is lost. ctl is zeroed
 * or holds what an earlier call for the same read left; the caller clears it.
 */
ssize_t unix_recv(struct file *f, struct uio *to, bool peek, struct unix_ctl *ctl);
/* size: bytes of addr that the guest gave. All may look names up, which may take long. */

/* A reference to the socket of this name; -ECONNREFUSED, -EPROTOTYPE, -EINVAL, errors of paths. */
int unix_find(struct task *t, const struct abi_sockaddr_un *addr, uint32_t size, int type,
	      struct unix_sock **ret);
/* -EADDRINUSE, -EINVAL (has a name), errors of paths. */
int unix_bind(struct task *t, struct file *f, const struct abi_sockaddr_un *addr, uint32_t size);
int unix_listen(struct task *t, struct file *f, int backlog);
/* -EAGAIN: the listener's queue is full; whoever waits for the file's queue will hear of room. */
int unix_connect(struct task *t, struct file *f, const struct abi_sockaddr_un *addr, uint32_t size);
/* -EAGAIN: nobody has connected. flags: ABI_O_NONBLOCK. */
int unix_accept(struct task *t, struct file *f, uint32_t flags, struct file **ret);
/* The address's size; -ENOTCONN. */
int unix_getname(struct file *f, bool peer, struct abi_sockaddr_un *ret);
uint32_t unix_name_copy(const struct unix_name *n, struct abi_sockaddr_un *ret); /* NULL: none */
bool unix_listening(struct file *f);

/* how: ABI_SHUT_*. 0, -EINVAL, -ENOTCONN. */
int unix_shutdown(struct file *f, int how);
/* The pending error, positive, which is cleared. */
int unix_take_error(struct file *f);
/* Who made, or connected, the other end; pid 0 and no ids if there is none. */
void unix_peer_cred(struct file *f, struct abi_ucred *ret);
/* SO_PASSCRED */
void unix_set_passcred(struct file *f, bool on);
bool unix_passcred(struct file *f);
/* SO_RCVTIMEO and SO_SNDTIMEO, ns; 0: none. */
void unix_set_timeout(struct file *f, bool sending, uint64_t ns);
uint64_t unix_timeout(struct file *f, bool sending);

#endif
