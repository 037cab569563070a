/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of unix sockets, and connecting by them.
 *
 * A bound socket is in the table, keyed by its abstract name and type, or by the inode that bind
 * made (its file system and number; the socket keeps the path, so both stay). Should a number be
 * used again after the name was removed, the socket bound last is found.
 *
 * A connection is made by the one that connects: it makes the other end, which waits in the
 * listener's queue until it is accepted, and may be sent to before that. Lock order: the table's
 * lock is taken with no other held; two sockets are never locked at once (unix.c).
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "abi/fcntl.h"
#include "abi/poll.h"
#include "base/mem.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"
#include "sentry/net/unix_internal.h"
#include "sentry/net/unix_table.h"
#include "sentry/vfs/files.h"
#include "sentry/vfs/namei.h"

#define HEAD	     offsetof(struct abi_sockaddr_un, path)
#define AUTOBIND_MAX (1u << 20) /* names of five hexadecimal digits, as Linux makes them */

static bool is_abstract(const struct unix_name *n)
{
	return n->addr.path[0] == '\0';
}

/* A checked copy, *ret with one reference. */
static int name_new(const struct abi_sockaddr_un *addr, uint32_t size, struct unix_name **ret)
{
	struct unix_name *n;

	if (size <= HEAD || size > sizeof(*addr) || addr->family != ABI_AF_UNIX)
		return -EINVAL;
	n = xnew(struct unix_name);
	refcount_init(&n->ref);
	memcpy(&n->addr, addr, size);
	n->size = size;
	if (!is_abstract(n))
		n->size = (uint32_t)(HEAD + strlen(n->addr.path) + 1);
	*ret = n;
	return 0;
}

/* ---- the table ---- */

static uint32_t hash_bytes(const char *p, size_t size)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < size; i++)
		h = (h ^ (uint8_t)p[i]) * 16777619u;
	return h;
}

static struct list *abstract_bucket(struct unix_table *table, const struct unix_name *n)
{
	return &table->bound[hash_bytes(n->addr.path, n->size - HEAD) % UNIX_BUCKETS];
}

static struct list *inode_bucket(struct unix_table *table, const struct inode *i)
{
	return &table->bound[(i->ino ^ i->sb->dev) % UNIX_BUCKETS];
}

static bool same_name(const struct unix_name *a, const struct unix_name *b)
{
	return a->size == b->size && !memcmp(a->addr.path, b->addr.path, a->size - HEAD);
}

static struct unix_sock *find_abstract_locked(struct unix_table *table, const struct unix_name *n,
					      int type)
{
	struct unix_sock *s;

	list_for_each (s, abstract_bucket(table, n), bound_link)
		if (!s->bound_path.dentry && s->type == type && same_name(s->bound_name, n))
			return s;
	return NULL;
}

static struct unix_sock *find_abstract(struct unix_table *table, const struct unix_name *n,
				       int type)
{
	struct unix_sock *s;

	mutex_lock(&table->lock);
	s = find_abstract_locked(table, n, type);
	if (s)
		unix_sock_get(s);
	mutex_unlock(&table->lock);
	return s;
}

static struct unix_sock *find_inode(struct unix_table *table, const struct inode *i)
{
	struct unix_sock *s, *found = NULL;

	mutex_lock(&table->lock);
	list_for_each (s, inode_bucket(table, i), bound_link) {
		const struct dentry *d = s->bound_path.dentry;

		if (d && s->bound_inode->sb == i->sb && s->bound_inode->ino == i->ino) {
			found = unix_sock_get(s);
			break;
		}
	}
	mutex_unlock(&table->lock);
	return found;
}

static int find_path(struct task *t, const char *name, struct unix_sock **ret)
{
	struct unix_sock *s = NULL;
	struct inode *i;
	struct path path;
	int err = vfs_lookup(t, ABI_AT_FDCWD, name, LOOKUP_FOLLOW, &path, NULL);

	if (err)
		return err;
	i = dentry_inode(path.dentry);
	err = vfs_permission(i, t->cred, MAY_WRITE);
	if (!err && ABI_S_ISSOCK(i->mode))
		s = find_inode(t->kernel->unix_sockets, i);
	path_put(&path);
	if (err)
		return err;
	*ret = s;
	return s ? 0 : -ECONNREFUSED;
}

int unix_find(struct task *t, const struct abi_sockaddr_un *addr, uint32_t size, int type,
	      struct unix_sock **ret)
{
	struct unix_sock *s = NULL;
	struct unix_name *n;
	int err = name_new(addr, size, &n);

	if (err)
		return err;
	if (is_abstract(n))
		s = find_abstract(t->kernel->unix_sockets, n, type);
	else
		err = find_path(t, n->addr.path, &s);
	unix_name_put(n);
	if (!err && !s)
		err = -ECONNREFUSED;
	if (!err && s->type != type)
		err = -EPROTOTYPE;
	if (err)
		unix_sock_put(s);
	else
		*ret = s;
	return err;
}

/* ---- bind ---- */

/*
 * Puts s in the table under n (the reference is taken over on success), and under the path's inode
 * if there is one. Binds of one socket race here.
 */
static int enter(struct unix_sock *s, struct unix_name *n, const struct path *path)
{
	struct unix_table *table = s->table;
	int err = 0;

	mutex_lock(&table->lock);
	if (s->bound_name)
		err = -EINVAL;
	else if (!path && find_abstract_locked(table, n, s->type))
		err = -EADDRINUSE;
	if (!err) {
		s->bound_name = n;
		if (path) {
			s->bound_path = *path;
			s->bound_inode = dentry_inode(path->dentry);
		}
		list_add_head(path ? inode_bucket(table, s->bound_inode)
				   : abstract_bucket(table, n),
			      &s->bound_link);
	}
	mutex_unlock(&table->lock);
	if (err)
		return err;
	mutex_lock(&s->lock);
	s->name = n;
	mutex_unlock(&s->lock);
	return 0;
}

void unix_unbind(struct unix_sock *s)
{
	mutex_lock(&s->table->lock);
	list_del(&s->bound_link);
	mutex_unlock(&s->table->lock);
	if (s->bound_path.dentry)
		path_put(&s->bound_path);
	s->bound_path = (struct path){NULL, NULL};
}

/* A free abstract name. */
static int autobind(struct unix_sock *s)
{
	struct abi_sockaddr_un addr = {.family = ABI_AF_UNIX};
	struct unix_name *n;
	char digits[8];
	int err = -EADDRINUSE;

	for (uint32_t tries = 0; err == -EADDRINUSE && tries < AUTOBIND_MAX; tries++) {
		unsigned int number = atomic_fetch_add(&s->table->next_auto, 1) % AUTOBIND_MAX;

		snprintf(digits, sizeof(digits), "%05x", number);
		memcpy(addr.path + 1, digits, 5);
		err = name_new(&addr, HEAD + 6, &n);
		if (!err)
			err = enter(s, n, NULL);
		if (err)
			unix_name_put(n);
	}
	return err == -EADDRINUSE ? -ENOSPC : err;
}

static bool has_name(struct unix_sock *s)
{
	bool yes;

	mutex_lock(&s->lock);
	yes = s->name != NULL;
	mutex_unlock(&s->lock);
	return yes;
}

int unix_bind(struct task *t, struct file *f, const struct abi_sockaddr_un *addr, uint32_t size)
{
	struct unix_sock *s = unix_sock_of(f);
	struct unix_name *n;
	struct path path;
	int err;

	if (size == HEAD && addr->family == ABI_AF_UNIX)
		return has_name(s) ? 0 : autobind(s);
	err = name_new(addr, size, &n);
	if (err)
		return err;
	if (has_name(s)) {
		err = -EINVAL;
	} else if (is_abstract(n)) {
		err = enter(s, n, NULL);
	} else {
		err = vfs_bind_socket(t, n->addr.path, 0777, &path);
		if (!err) {
			err = enter(s, n, &path);
			if (err)
				path_put(&path);
		}
	}
	if (err)
		unix_name_put(n);
	return err;
}

/* ---- listen, connect, accept ---- */

int unix_listen(struct task *t, struct file *f, int backlog)
{
	struct unix_sock *s = unix_sock_of(f);
	struct list senders;
	int err = 0;

	if (!unix_connects(s))
		return -EOPNOTSUPP;
	list_init(&senders);
	mutex_lock(&s->lock);
	if (!s->name || s->peer) {
		err = -EINVAL;
	} else {
		s->listening = true;
		s->backlog = MIN((uint32_t)backlog, (uint32_t)ABI_SOMAXCONN);
		unix_task_cred(t, &s->peer_cred);
		list_splice_tail(&senders, &s->senders);
	}
	mutex_unlock(&s->lock);
	unix_wake_senders(&senders);
	return err;
}

/* Puts the new end in the listener's queue, which takes the reference over. */
static int queue_on(struct unix_sock *listener, struct unix_sock *me, struct unix_sock *end,
		    struct abi_ucred *ret_cred)
{
	int err = 0;

	mutex_lock(&listener->lock);
	if (!listener->listening || listener->closed || listener->shut_read) {
		err = -ECONNREFUSED;
	} else if (listener->accept_count > listener->backlog) {
		unix_note_sender(listener, me);
		err = -EAGAIN;
	} else {
		*ret_cred = listener->peer_cred;
		end->name = listener->name;
		unix_name_get(end->name);
		list_add_tail(&listener->accepts, &end->accept_link);
		listener->accept_count++;
	}
	mutex_unlock(&listener->lock);
	if (!err)
		waitqueue_wake(&listener->wq, ABI_POLLIN | ABI_POLLRDNORM);
	return err;
}

/* Makes `end` the peer if there is none yet. */
static int claim_peer(struct unix_sock *me, struct unix_sock *end)
{
	int err = 0;

	mutex_lock(&me->lock);
	if (me->listening)
		err = -EINVAL;
	else if (me->peer)
		err = -EISCONN;
	else
		me->peer = unix_sock_get(end);
	mutex_unlock(&me->lock);
	return err;
}

/* Ends a connection that didn't come about; who shares `me` may have sent something already. */
static void refuse(struct unix_sock *me, struct unix_sock *end)
{
	mutex_lock(&end->lock);
	end->peer = NULL;
	mutex_unlock(&end->lock);
	unix_sock_put(me); /* of end->peer */
	unix_sock_close(end, false);
	unix_sock_put(end); /* of me->peer */
	unix_sock_put(end);
}

static int connect_stream(struct task *t, struct unix_sock *me, struct unix_sock *listener)
{
	struct unix_sock *end = unix_sock_new(me->table, me->type);
	struct abi_ucred cred;
	int err = claim_peer(me, end);

	if (err) {
		unix_sock_put(end);
		return err;
	}
	end->peer = unix_sock_get(me);
	unix_task_cred(t, &end->peer_cred);
	err = queue_on(listener, me, end, &cred);
	mutex_lock(&me->lock);
	if (err)
		me->peer = NULL;
	else
		me->peer_cred = cred;
	mutex_unlock(&me->lock);
	if (err)
		refuse(me, end);
	return err;
}

/* to NULL: no peer from now on. */
static int connect_datagram(struct unix_sock *me, struct unix_sock *to)
{
	struct unix_sock *old;
	bool other = false;

	if (to) {
		mutex_lock(&to->lock);
		other = to->peer && to->peer != me;
		mutex_unlock(&to->lock);
	}
	if (other)
		return -EPERM;
	mutex_lock(&me->lock);
	old = me->peer;
	me->peer = to ? unix_sock_get(to) : NULL;
	mutex_unlock(&me->lock);
	waitqueue_wake(&me->wq, ABI_POLLOUT | ABI_POLLWRNORM);
	unix_sock_put(old);
	return 0;
}

int unix_connect(struct task *t, struct file *f, const struct abi_sockaddr_un *addr, uint32_t size)
{
	struct unix_sock *me = unix_sock_of(f), *to;
	int err;

	if (!unix_connects(me) && size >= sizeof(addr->family) && addr->family == ABI_AF_UNSPEC)
		return connect_datagram(me, NULL);
	err = unix_find(t, addr, size, me->type, &to);
	if (err)
		return err;
	err = unix_connects(me) ? connect_stream(t, me, to) : connect_datagram(me, to);
	unix_sock_put(to);
	return err;
}

int unix_accept(struct task *t, struct file *f, uint32_t flags, struct file **ret)
{
	struct unix_sock *s = unix_sock_of(f), *end = NULL;
	struct list senders;
	int err = 0;

	if (!unix_connects(s))
		return -EOPNOTSUPP;
	list_init(&senders);
	mutex_lock(&s->lock);
	if (!s->listening || (s->shut_read && list_empty(&s->accepts))) {
		err = -EINVAL;
	} else if (list_empty(&s->accepts)) {
		err = -EAGAIN;
	} else {
		end = list_first(&s->accepts, struct unix_sock, accept_link);
		list_del(&end->accept_link);
		s->accept_count--;
		list_splice_tail(&senders, &s->senders);
	}
	mutex_unlock(&s->lock);
	unix_wake_senders(&senders);
	if (!err)
		*ret = unix_sock_file(t, end, flags);
	return err;
}

/* ---- asking ---- */

uint32_t unix_name_copy(const struct unix_name *n, struct abi_sockaddr_un *ret)
{
	*ret = (struct abi_sockaddr_un){.family = ABI_AF_UNIX};
	if (!n)
		return sizeof(ret->family);
	*ret = n->addr;
	return n->size;
}

/* Caller holds a reference to s. */
static uint32_t name_of(struct unix_sock *s, struct abi_sockaddr_un *ret)
{
	uint32_t size;

	mutex_lock(&s->lock);
	size = unix_name_copy(s->name, ret);
	mutex_unlock(&s->lock);
	return size;
}

int unix_getname(struct file *f, bool peer, struct abi_sockaddr_un *ret)
{
	struct unix_sock *s = unix_sock_of(f);
	uint32_t size;

	if (!peer)
		return (int)name_of(s, ret);
	s = unix_sock_peer(s);
	if (!s)
		return -ENOTCONN;
	size = name_of(s, ret);
	unix_sock_put(s);
	return (int)size;
}

bool unix_listening(struct file *f)
{
	struct unix_sock *s = unix_sock_of(f);
	bool yes;

	mutex_lock(&s->lock);
	yes = s->listening;
	mutex_unlock(&s->lock);
	return yes;
}
