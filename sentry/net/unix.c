/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unix sockets: the object, sending and receiving.
 *
 * A socket has the messages that wait for it, and, when connected, a reference to its peer. Two
 * that are connected refer to each other until one is closed; then its own reference goes. Each has
 * a lock, and never are two held at once: a sender looks at its own state, lets go, and then looks
 * at the other's and puts the message there. What the other did in between shows as it would have
 * a moment later. The guest's bytes are copied with no lock held.
 *
 * When one end of a connection shuts a direction down or closes, the other end is marked too
 * (shut_read there for shut_write here), so that reading, poll and most errors need no look at the
 * peer. Datagram sockets are not marked; they find out by sending.
 *
 * A stream is a row of messages whose borders reads don't see; small writes are put together in one
 * message while there is room and nothing goes along with them. A message, or a piece of a stream,
 * goes in while less than half of the buffer is used: so that "writable" (poll) and "a write would
 * not wait" are the same for any size. What waits is at most one and a half buffers, heads of
 * messages counted.
 *
 * Who finds a socket full is noted there (unix_note_sender) under the same lock, by sending and by
 * poll, and hears of it on the wait queue of its own file when half of the buffer is free again. So
 * a wait queue is only ever used by those that hold the file, and nobody is woken who didn't ask.
 *
 * A copy to the guest that faults half way takes what came so far off a stream; of a packet, all.
 */
#include "sentry/net/unix.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/fcntl.h"
#include "abi/poll.h"
#include "abi/tty.h"
#include "base/mem.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/lockorder.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/usermem.h"
#include "sentry/net/unix_internal.h"

#define PIECE_MAX   65536 /* of a stream, copied at once */
#define SMALL_PIECE 2048  /* small writes to a stream share a message of this capacity */

/* One that found a socket full. */
struct unix_sender {
	struct list link;
	struct unix_sock *sock; /* reference */
};

static const struct file_ops unix_ops;

bool unix_is_socket(const struct file *f)
{
	return f->ops == &unix_ops;
}

int unix_type(const struct file *f)
{
	return unix_sock_of(f)->type;
}

/* ---- the object ---- */

struct unix_sock *unix_sock_new(struct unix_table *table, int type)
{
	struct unix_sock *s = xnew(struct unix_sock);

	refcount_init(&s->ref);
	mutex_init(&s->lock, RANK_OBJECT);
	waitqueue_init(&s->wq);
	list_init(&s->messages);
	list_init(&s->senders);
	list_init(&s->accepts);
	list_init(&s->accept_link);
	list_init(&s->bound_link);
	s->table = table;
	s->type = type;
	s->peer_cred = (struct abi_ucred){0, ~0u, ~0u};
	return s;
}

struct unix_sock *unix_sock_get(struct unix_sock *s)
{
	refcount_get(&s->ref);
	return s;
}

void unix_sock_put(struct unix_sock *s)
{
	if (!s || !refcount_put(&s->ref))
		return;
	unix_name_put(s->name);
	waitqueue_destroy(&s->wq);
	mutex_destroy(&s->lock);
	free(s);
}

struct unix_sock *unix_sock_peer(struct unix_sock *s)
{
	struct unix_sock *peer;

	mutex_lock(&s->lock);
	peer = s->peer ? unix_sock_get(s->peer) : NULL;
	mutex_unlock(&s->lock);
	return peer;
}

void unix_task_cred(const struct task *t, struct abi_ucred *ret)
{
	*ret = (struct abi_ucred){t->tg->tgid, t->cred->euid, t->cred->egid};
}

struct file *unix_sock_file(struct task *t, struct unix_sock *s, uint32_t flags)
{
	return file_new_anon(t->kernel, "socket:[%lu]", &unix_ops, s, ABI_O_RDWR | flags, t->cred);
}

struct file *unix_new(struct task *t, int type, uint32_t flags)
{
	return unix_sock_file(t, unix_sock_new(t->kernel->unix_sockets, type), flags);
}

void unix_pair_new(struct task *t, int type, uint32_t flags, struct file *ret[2])
{
	struct unix_sock *ends[2];

	for (unsigned int i = 0; i < 2; i++) {
		ends[i] = unix_sock_new(t->kernel->unix_sockets, type);
		unix_task_cred(t, &ends[i]->peer_cred);
	}
	for (unsigned int i = 0; i < 2; i++) {
		ends[i]->peer = unix_sock_get(ends[!i]);
		ret[i] = unix_sock_file(t, ends[i], flags);
	}
}

/* ---- who waits for room ---- */

static void free_sender(struct unix_sender *w)
{
	list_del(&w->link);
	unix_sock_put(w->sock);
	free(w);
}

void unix_note_sender(struct unix_sock *s, struct unix_sock *who)
{
	struct unix_sender *w, *tmp;

	assert_held(&s->lock);
	list_for_each_safe (w, tmp, &s->senders, link) {
		if (w->sock == who)
			return;
		if (w->sock->closed)
			free_sender(w);
	}
	w = xnew(struct unix_sender);
	w->sock = unix_sock_get(who);
	list_add_tail(&s->senders, &w->link);
}

void unix_wake_senders(struct list *senders)
{
	struct unix_sender *w, *tmp;

	list_for_each_safe (w, tmp, senders, link) {
		waitqueue_wake(&w->sock->wq, ABI_POLLOUT | ABI_POLLWRNORM | ABI_POLLWRBAND);
		free_sender(w);
	}
}

/* ---- the queue ---- */

static uint64_t message_cost(const struct unix_message *m)
{
	return sizeof(*m) + m->capacity;
}

static bool has_room(const struct unix_sock *to)
{
	return to->used < UNIX_BUFFER / 2;
}

static bool same_cred(const struct abi_ucred *a, const struct abi_ucred *b)
{
	return a->pid == b->pid && a->uid == b->uid && a->gid == b->gid;
}

/* Whether m's bytes went into the last message of a stream. */
static bool joins_last(struct unix_sock *to, const struct unix_message *m)
{
	struct unix_message *last;

	if (to->type != ABI_SOCK_STREAM || list_empty(&to->messages) || m->rights)
		return false;
	last = list_entry(to->messages.prev, struct unix_message, link);
	if (last->rights || last->from != m->from || !same_cred(&last->cred, &m->cred) ||
	    last->capacity - last->end < m->end)
		return false;
	memcpy(last->data + last->end, m->data, m->end);
	last->end += m->end;
	return true;
}

/* Takes it off the queue; it is the caller's. */
static void unlink_message(struct unix_sock *s, struct unix_message *m)
{
	list_del(&m->link);
	s->used -= message_cost(m);
}

/* ---- sending ---- */

/* Whether `me` may send at all: 0 and references, or an error. */
static int find_target(struct unix_sock *me, struct unix_sock *dest, struct unix_sock **ret_to,
		       struct unix_name **ret_name)
{
	int err = 0;

	mutex_lock(&me->lock);
	if (me->shut_write)
		err = -EPIPE;
	else if (!dest && !me->peer)
		err = -ENOTCONN;
	if (!err) {
		*ret_to = unix_sock_get(dest ? dest : me->peer);
		*ret_name = me->name;
		unix_name_get(me->name);
	}
	mutex_unlock(&me->lock);
	return err;
}

/* Whether `to` takes a message of `me` now. Caller holds to->lock. */
/* Also notes that a sender waits. */
static int target_check(struct unix_sock *me, struct unix_sock *to)
{
	if (to->closed)
		return unix_connects(to) ? -EPIPE : -ECONNREFUSED;
	if (!unix_connects(to) && to->peer && to->peer != me)
		return -EPERM;
	if (to->shut_read)
		return -EPIPE;
	if (has_room(to))
		return 0;
	unix_note_sender(to, me);
	return -EAGAIN;
}

static ssize_t copy_in(struct uio *from, uint64_t size, bool stream, struct unix_message **ret)
{
	uint32_t capacity = (uint32_t)(stream ? MAX(size, (uint64_t)SMALL_PIECE) : size);
	struct unix_message *m = unix_message_new(capacity);
	ssize_t n = uio_read(from, m->data, size);

	if (n < 0 || (!stream && (uint64_t)n < size)) {
		free(m);
		return n < 0 ? n : -EFAULT;
	}
	m->end = (uint32_t)n;
	*ret = m;
	return n;
}

/* Puts m behind what waits; takes it over on success. The room may be gone since the check: a
 * message more for each writer does no harm. */
static int deliver(struct unix_sock *me, struct unix_sock *to, struct unix_message *m)
{
	bool joined = false;
	int err;

	mutex_lock(&to->lock);
	err = target_check(me, to);
	if (err == -EAGAIN)
		err = 0;
	if (!err) {
		joined = joins_last(to, m);
		if (!joined) {
			list_add_tail(&to->messages, &m->link);
			to->used += message_cost(m);
		}
	}
	mutex_unlock(&to->lock);
	if (err)
		return err;
	if (joined)
		unix_message_free(me->table, m);
	waitqueue_wake(&to->wq, ABI_POLLIN | ABI_POLLRDNORM);
	return 0;
}

static ssize_t send_to(struct unix_sock *me, struct unix_sock *to, struct uio *from,
		       struct unix_ctl *ctl, struct unix_name *name)
{
	bool stream = me->type == ABI_SOCK_STREAM;
	uint64_t size = stream ? MIN(from->left, (uint64_t)PIECE_MAX) : from->left;
	struct unix_message *m;
	ssize_t n;
	int err;

	if (!stream && size > UNIX_BUFFER - sizeof(*m))
		return -EMSGSIZE;
	mutex_lock(&to->lock);
	err = target_check(me, to);
	mutex_unlock(&to->lock);
	if (err || (stream && !size))
		return err;
	n = copy_in(from, size, stream, &m);
	if (n < 0)
		return n;
	err = unix_rights_depart(me->table, ctl->rights);
	if (!err) {
		m->rights = ctl->rights;
		m->cred = ctl->cred;
		m->from = name;
		unix_name_get(name);
		err = deliver(me, to, m);
		if (!err) {
			ctl->rights = NULL;
			return n;
		}
		unix_rights_arrive(me->table, m->rights);
		m->rights = NULL;
	}
	unix_message_free(me->table, m);
	return err;
}

ssize_t unix_send(struct file *f, struct uio *from, struct unix_ctl *ctl, struct unix_sock *dest)
{
	struct unix_sock *me = unix_sock_of(f), *to;
	struct unix_name *name;
	ssize_t ret = find_target(me, dest, &to, &name);

	if (ret)
		return ret;
	ret = send_to(me, to, from, ctl, name);
	unix_name_put(name);
	unix_sock_put(to);
	return ret;
}

/* ---- receiving ---- */

/* What a read of an empty queue says. Caller holds the lock. */
static ssize_t recv_empty(struct unix_sock *me)
{
	int err = me->error;

	if (err) {
		me->error = 0;
		return -err;
	}
	if (me->shut_read)
		return 0;
	if (me->type == ABI_SOCK_STREAM && !me->peer)
		return -EINVAL;
	return me->type == ABI_SOCK_SEQPACKET && !me->peer ? -ENOTCONN : -EAGAIN;
}

/* The message that a read at `offset` (of a peek that goes on) begins in, or NULL. */
static struct unix_message *message_at(struct unix_sock *me, uint64_t *offset)
{
	struct unix_message *m;

	list_for_each (m, &me->messages, link) {
		uint64_t size = m->end - m->start;

		if (*offset < size || (!size && !*offset))
			return m;
		*offset -= size;
	}
	return NULL;
}

/* Notes what comes along with m. Caller holds the lock. */
static void take_ctl(struct unix_sock *me, struct unix_message *m, bool peek, struct unix_ctl *ctl)
{
	if (!ctl->any) {
		ctl->cred = m->cred;
		ctl->from = m->from;
		unix_name_get(m->from);
		ctl->any = true;
	}
	ctl->size = m->end - m->start;
	if (peek && !ctl->rights) {
		ctl->rights = unix_rights_dup(m->rights);
	} else if (!peek && m->rights) {
		unix_rights_arrive(me->table, m->rights);
		ctl->rights = m->rights;
		m->rights = NULL;
	}
}

/* What one step of a read got: bytes in a message of its own. */
struct piece {
	struct unix_message *m;
	struct list senders; /* to wake */
	uint64_t size;
};

static struct unix_message *copy_of(const struct unix_message *m, uint64_t offset, uint64_t size)
{
	struct unix_message *copy = unix_message_new((uint32_t)size);

	memcpy(copy->data, m->data + m->start + offset, size);
	copy->end = (uint32_t)size;
	return copy;
}

/* Takes up to max bytes, of one message. False: nothing that this read may have. Caller holds the
 * lock. */
static bool take_piece(struct unix_sock *me, uint64_t max, bool peek, uint64_t done,
		       struct unix_ctl *ctl, struct piece *p)
{
	bool stream = me->type == ABI_SOCK_STREAM, was_full = !has_room(me);
	uint64_t offset = peek && stream ? done : 0;
	struct unix_message *m = message_at(me, &offset);
	uint64_t waiting;

	if (!m || (ctl->any && me->passcred && !same_cred(&ctl->cred, &m->cred)))
		return false;
	take_ctl(me, m, peek, ctl);
	waiting = m->end - m->start - offset;
	p->size = MIN(waiting, max);
	if (peek) {
		p->m = copy_of(m, offset, p->size);
	} else if (stream && p->size < waiting) {
		p->m = copy_of(m, 0, p->size);
		m->start += (uint32_t)p->size;
	} else {
		unlink_message(me, m);
		p->m = m;
	}
	if (was_full && has_room(me))
		list_splice_tail(&p->senders, &me->senders);
	return true;
}

/* One message's worth; done: bytes of a stream that this call has got so far. */
static ssize_t recv_one(struct unix_sock *me, struct uio *to, bool peek, uint64_t done,
			struct unix_ctl *ctl)
{
	struct piece p = {.size = 0};
	ssize_t n = 0;

	list_init(&p.senders);
	mutex_lock(&me->lock);
	if (!take_piece(me, to->left, peek, done, ctl, &p) && !done)
		n = recv_empty(me);
	mutex_unlock(&me->lock);
	unix_wake_senders(&p.senders);
	if (!p.m)
		return n;
	n = p.size ? uio_write(to, p.m->data + p.m->start, p.size) : 0;
	unix_message_free(me->table, p.m);
	return n;
}

ssize_t unix_recv(struct file *f, struct uio *to, bool peek, struct unix_ctl *ctl)
{
	struct unix_sock *me = unix_sock_of(f);
	bool stream = me->type == ABI_SOCK_STREAM;
	uint64_t done = 0;
	ssize_t n;

	if (stream && !to->left)
		return 0;
	do {
		n = recv_one(me, to, peek, done, ctl);
		if (n > 0)
			done += (uint64_t)n;
	} while (stream && n > 0 && to->left && !ctl->rights);
	return done ? (ssize_t)done : n;
}

/* ---- file operations ---- */

static ssize_t unix_read(struct file *f, struct uio *to, int64_t *pos)
{
	struct unix_ctl ctl = {0};
	ssize_t n = unix_recv(f, to, false, &ctl);

	(void)pos;
	unix_ctl_clear(&ctl);
	return n;
}

static ssize_t unix_write(struct file *f, struct uio *from, int64_t *pos)
{
	struct unix_ctl ctl = {0};

	(void)pos;
	if (from->task) {
		const struct task *t = from->task;

		ctl.cred = (struct abi_ucred){t->tg->tgid, t->cred->uid, t->cred->gid};
	}
	return unix_send(f, from, &ctl, NULL);
}

/* Whether a send of s would not wait; if it would, s hears when that changes. */
static bool can_send(struct unix_sock *s)
{
	struct unix_sock *to = unix_sock_peer(s);
	bool ready;

	if (!to)
		return true;
	mutex_lock(&to->lock);
	ready = to->closed || has_room(to);
	if (!ready)
		unix_note_sender(to, s);
	mutex_unlock(&to->lock);
	unix_sock_put(to);
	return ready;
}

static uint32_t unix_poll(struct file *f, struct poll_table *pt)
{
	struct unix_sock *s = unix_sock_of(f);
	uint32_t ready = 0;

	poll_wait(pt, &s->wq);
	if (!unix_listening(f) && can_send(s))
		ready |= ABI_POLLOUT | ABI_POLLWRNORM | ABI_POLLWRBAND;
	mutex_lock(&s->lock);
	if (!list_empty(&s->messages) || !list_empty(&s->accepts) || s->shut_read)
		ready |= ABI_POLLIN | ABI_POLLRDNORM;
	if (s->shut_read)
		ready |= ABI_POLLRDHUP;
	if ((s->shut_read && s->shut_write) || (unix_connects(s) && !s->peer && !s->listening))
		ready |= ABI_POLLHUP;
	if (s->error)
		ready |= ABI_POLLERR;
	mutex_unlock(&s->lock);
	return ready;
}

/* FIONREAD: bytes that wait; of packets, those of the first. */
static int64_t unix_ioctl(struct file *f, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct unix_sock *s = unix_sock_of(f);
	struct unix_message *m;
	int32_t count = 0;

	if (cmd != ABI_FIONREAD)
		return -ENOTTY;
	mutex_lock(&s->lock);
	list_for_each (m, &s->messages, link) {
		count += (int32_t)(m->end - m->start);
		if (s->type != ABI_SOCK_STREAM)
			break;
	}
	mutex_unlock(&s->lock);
	return copy_to_user(t, uaddr(arg), &count, sizeof(count));
}

/* Marks the other end of a connection: what is shut there. */
static void mark_peer(struct unix_sock *peer, bool read, bool write, int error)
{
	mutex_lock(&peer->lock);
	peer->shut_read |= read;
	peer->shut_write |= write;
	if (error)
		peer->error = error;
	mutex_unlock(&peer->lock);
	waitqueue_wake(&peer->wq, ~0u);
}

/* Ends connections that nobody accepts any more. */
static void refuse_all(struct list *accepts)
{
	struct unix_sock *s, *tmp;

	list_for_each_safe (s, tmp, accepts, accept_link) {
		list_del(&s->accept_link);
		unix_sock_close(s, true);
		unix_sock_put(s);
	}
}

void unix_sock_close(struct unix_sock *s, bool never_accepted)
{
	struct unix_message *m, *tmp;
	struct unix_sock *peer;
	struct list messages, senders, accepts;

	unix_unbind(s);
	list_init(&accepts);
	list_init(&messages);
	list_init(&senders);
	mutex_lock(&s->lock);
	s->closed = true;
	list_splice_tail(&messages, &s->messages);
	list_splice_tail(&senders, &s->senders);
	list_splice_tail(&accepts, &s->accepts);
	s->used = 0;
	peer = s->peer;
	s->peer = NULL;
	mutex_unlock(&s->lock);
	/* What was sent and will never be read is news for the sender (unix_release_sock). */
	if (peer && unix_connects(s))
		mark_peer(peer, true, true,
			  never_accepted || !list_empty(&messages) ? ECONNRESET : 0);
	unix_wake_senders(&senders);
	list_for_each_safe (m, tmp, &messages, link) {
		list_del(&m->link);
		unix_message_free(s->table, m);
	}
	refuse_all(&accepts);
	unix_sock_put(peer);
}

static void unix_release(struct file *f)
{
	unix_sock_close(unix_sock_of(f), false);
	unix_sock_put(unix_sock_of(f));
}

static const struct file_ops unix_ops = {
    .read = unix_read,
    .write = unix_write,
    .poll = unix_poll,
    .ioctl = unix_ioctl,
    .release = unix_release,
    .no_seek = true,
};

/* ---- the rest ---- */

int unix_shutdown(struct file *f, int how)
{
	struct unix_sock *s = unix_sock_of(f), *peer;
	bool read = how != ABI_SHUT_WR, write = how != ABI_SHUT_RD;

	if (how != ABI_SHUT_RD && how != ABI_SHUT_WR && how != ABI_SHUT_RDWR)
		return -EINVAL;
	mutex_lock(&s->lock);
	s->shut_read |= read;
	s->shut_write |= write;
	mutex_unlock(&s->lock);
	waitqueue_wake(&s->wq, ~0u);
	peer = unix_sock_peer(s);
	if (peer && unix_connects(s))
		mark_peer(peer, write, read, 0);
	unix_sock_put(peer);
	return 0;
}

int unix_take_error(struct file *f)
{
	struct unix_sock *s = unix_sock_of(f);
	int err;

	mutex_lock(&s->lock);
	err = s->error;
	s->error = 0;
	mutex_unlock(&s->lock);
	return err;
}

void unix_peer_cred(struct file *f, struct abi_ucred *ret)
{
	struct unix_sock *s = unix_sock_of(f);

	mutex_lock(&s->lock);
	*ret = s->peer_cred;
	mutex_unlock(&s->lock);
}

void unix_set_passcred(struct file *f, bool on)
{
	struct unix_sock *s = unix_sock_of(f);

	mutex_lock(&s->lock);
	s->passcred = on;
	mutex_unlock(&s->lock);
}

bool unix_passcred(struct file *f)
{
	struct unix_sock *s = unix_sock_of(f);
	bool on;

	mutex_lock(&s->lock);
	on = s->passcred;
	mutex_unlock(&s->lock);
	return on;
}

void unix_set_timeout(struct file *f, bool sending, uint64_t ns)
{
	atomic_store(&unix_sock_of(f)->timeouts[sending], ns);
}

uint64_t unix_timeout(struct file *f, bool sending)
{
	return atomic_load(&unix_sock_of(f)->timeouts[sending]);
}
