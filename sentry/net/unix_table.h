/* SPDX-License-Identifier: Apache-2.0 */
/* What unix sockets of one sandbox share. */
#ifndef SENTRY_NET_UNIX_TABLE_H
#define SENTRY_NET_UNIX_TABLE_H

#include <stdatomic.h>

#include "abi/socket.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/refcount.h"

/* An address, immutable. */
struct unix_name {
	struct refcount ref;
	uint32_t size; /* of addr, as getsockname gives it */
	struct abi_sockaddr_un addr;
	char nul; /* behind a path of full length */
};

#define UNIX_BUCKETS 256

struct unix_table {
	struct mutex lock;		 /* RANK_LEAF */
	struct list bound[UNIX_BUCKETS]; /* [lock] struct unix_sock.bound_link */
	atomic_uint next_auto;		 /* the next name that bind makes up */

	atomic_uint inflight;	/* descriptors in messages */
	struct mutex dead_lock; /* RANK_LEAF */
	struct list dead;	/* [dead_lock] struct dead_rights */
	bool burying;		/* [dead_lock] somebody empties the list */
};

#endif
