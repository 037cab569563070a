/* SPDX-License-Identifier: Apache-2.0 */
/* The insides of unix sockets; unix.c has the theory. */
#ifndef SENTRY_NET_UNIX_INTERNAL_H
#define SENTRY_NET_UNIX_INTERNAL_H

#include <stdatomic.h>

#include "base/list.h"
#include "base/lock.h"
#include "base/refcount.h"
#include "sentry/kernel/waitqueue.h"
#include "sentry/net/unix.h"
#include "sentry/vfs/vfs.h"

/* A message that waits. */
struct unix_message {
	struct list link;
	uint32_t start, end, capacity; /* of data: read up to start, written up to end */
	struct unix_rights *rights;    /* NULL: none */
	struct abi_ucred cred;
	struct unix_name *from; /* reference; NULL: a socket without a name */
	char data[];
};

/* Guards: [I] set before publication, [a] atomic, [s] sock.lock. */
struct unix_sock {
	struct refcount ref; /* its file, its peers, an accept queue, those who found it full */
	struct mutex lock;   /* RANK_OBJECT */
	struct unix_table *table;   /* [I] */
	int type;		    /* [I] ABI_SOCK_* */
	struct waitqueue wq;	    /* became readable or writable */
	struct list messages;	    /* [s] that wait for this socket */
	uint64_t used;		    /* [s] bytes in them, heads included */
	struct list senders;	    /* [s] struct unix_sender: found no room here */
	atomic_bool closed;	    /* [a], set under [s] */
	bool shut_read, shut_write; /* [s] */
	bool passcred;		    /* [s] */
	int error;		    /* [s] positive, for SO_ERROR and the next call */
	struct unix_sock *peer;	    /* [s] reference; of a connected one */
	struct abi_ucred peer_cred; /* [s] */
	struct unix_name *name;	    /* [s] reference; once set it stays */
	atomic_ullong timeouts[2];  /* [a] ns: receiving, sending */

	/* Listening */
	bool listening;		 /* [s] */
	uint32_t backlog;	 /* [s] */
	uint32_t accept_count;	 /* [s] */
	struct list accepts;	 /* [s] of accept_link, with references */
	struct list accept_link; /* the listener's lock */

	/* In the table, under table->lock. The path is put when the socket closes. */
	struct list bound_link;
	struct unix_name *bound_name; /* = name */
	struct path bound_path;	      /* references; none: an abstract name */
	struct inode *bound_inode;    /* of bound_path */
};

static inline struct unix_sock *unix_sock_of(const struct file *f)
{
	return f->private;
}
static inline bool unix_connects(const struct unix_sock *s)
{
	return s->type != ABI_SOCK_DGRAM;
}

struct unix_sock *unix_sock_new(struct unix_table *table, int type);
struct unix_sock *unix_sock_get(struct unix_sock *s);
struct file *unix_sock_file(struct task *t, struct unix_sock *s, uint32_t flags);
void unix_task_cred(const struct task *t, struct abi_ucred *ret);
/* The end of a socket whose file is gone, or (never_accepted) that never had one. */
void unix_sock_close(struct unix_sock *s, bool never_accepted);

/* Puts `who` on the list of those that hear when s has room again. Caller holds s->lock. */
void unix_note_sender(struct unix_sock *s, struct unix_sock *who);
/* Wakes and frees a list taken from sock.senders. No locks held. */
void unix_wake_senders(struct list *senders);

/* A reference to the peer, or NULL. */
struct unix_sock *unix_sock_peer(struct unix_sock *s);
/* Its name is found no more. */
void unix_unbind(struct unix_sock *s);

/* unix_message.c */
struct unix_message *unix_message_new(uint32_t capacity);
void unix_message_free(struct unix_table *table, struct unix_message *m);
/* Counts the files as in flight: 0 or -ETOOMANYREFS. */
int unix_rights_depart(struct unix_table *table, const struct unix_rights *r);
/* They have been received. */
void unix_rights_arrive(struct unix_table *table, const struct unix_rights *r);
struct unix_rights *unix_rights_dup(const struct unix_rights *r);
void unix_name_get(struct unix_name *n); /* NULL is harmless */
void unix_name_put(struct unix_name *n);

#endif
