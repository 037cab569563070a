/* SPDX-License-Identifier: Apache-2.0 */
/* Unix sockets (unix(7)): connected pairs, as socketpair(2) makes them. */
#ifndef SENTRY_NET_UNIX_H
#define SENTRY_NET_UNIX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi/socket.h"

struct file;
struct task;
struct uio;

#define UNIX_BUFFER 212992 /* net.core.wmem_default: what waits in one direction */

/* type: ABI_SOCK_STREAM, DGRAM or SEQPACKET. flags: ABI_O_NONBLOCK. */
void unix_pair_new(struct task *t, int type, uint32_t flags, struct file *ret[2]);

/* Whether f is a unix socket; all below want one. */
bool unix_is_socket(const struct file *f);
int unix_type(const struct file *f);

/*
 * One message, or a piece of the stream. Bytes taken; -EAGAIN: no room now; -EPIPE, -ECONNREFUSED:
 * nobody there; -EMSGSIZE: never fits.
 */
ssize_t unix_send(struct file *f, struct uio *from);
/*
 * Bytes given; 0: the end; -EAGAIN: nothing there; -ECONNRESET. peek leaves what was read. Of a
 * message that is longer than the buffer the rest is lost; *ret_size is its whole size.
 */
ssize_t unix_recv(struct file *f, struct uio *to, bool peek, uint64_t *ret_size);
/* how: ABI_SHUT_*. 0 or -EINVAL. */
int unix_shutdown(struct file *f, int how);
/* The pending error, positive, which is cleared. */
int unix_take_error(struct file *f);
/* Who made the other end. */
void unix_peer_cred(struct file *f, struct abi_ucred *ret);

#endif
