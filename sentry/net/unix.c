/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unix sockets in connected pairs.
 *
 * A pair is one object with two ends; each file holds an end, and the pair goes with the last. An
 * end has the messages that wait for it. One lock guards both ends: what is done under it is short,
 * and the guest's bytes are copied outside.
 *
 * A stream is a row of messages too, whose borders reads don't see; small writes are put together
 * in one message while there is room. A message, or a piece of a stream, goes in while less than
 * half of the buffer is used: so that "writable" (poll) and "a write would not wait" are the same
 * for any size. What waits is at most one and a half buffers, heads of messages counted.
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
#include "base/refcount.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/lockorder.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/usermem.h"
#include "sentry/vfs/vfs.h"

#define PIECE_MAX   65536 /* of a stream, copied at once */
#define SMALL_PIECE 2048  /* small writes to a stream share a message of this capacity */

struct message {
	struct list link;
	uint32_t start, end, capacity; /* of data: read up to start, written up to end */
	char data[];
};

/* Fields are guarded by pair.lock. */
struct end {
	struct list messages; /* that wait for this end */
	uint64_t used;	      /* bytes in them, heads included */
	bool closed;
	bool shut_read, shut_write;
	int error;	     /* positive, for SO_ERROR and the next call */
	struct waitqueue wq; /* this end became readable or writable */
};

struct pair {
	struct refcount ref; /* the two files */
	struct mutex lock;   /* RANK_OBJECT */
	struct end ends[2];
	int type;	       /* [I] ABI_SOCK_* */
	struct abi_ucred cred; /* [I] of who made it */
};

/* What a file holds: its end is side. */
struct socket {
	struct pair *pair; /* [I] */
	unsigned int side; /* [I] */
};

static const struct file_ops unix_ops;

static struct end *my_end(const struct socket *s)
{
	return &s->pair->ends[s->side];
}

static struct end *other_end(const struct socket *s)
{
	return &s->pair->ends[!s->side];
}

bool unix_is_socket(const struct file *f)
{
	return f->ops == &unix_ops;
}

int unix_type(const struct file *f)
{
	const struct socket *s = f->private;

	return s->pair->type;
}

/* ---- messages ---- */

static struct message *message_new(uint32_t capacity)
{
	struct message *m = xmalloc(sizeof(*m) + capacity);

	list_init(&m->link);
	m->start = m->end = 0;
	m->capacity = capacity;
	return m;
}

static uint64_t message_cost(const struct message *m)
{
	return sizeof(*m) + m->capacity;
}

static void drop_message(struct end *e, struct message *m)
{
	list_del(&m->link);
	e->used -= message_cost(m);
	free(m);
}

static void drop_all(struct end *e)
{
	struct message *m, *tmp;

	list_for_each_safe (m, tmp, &e->messages, link)
		drop_message(e, m);
}

static bool has_room(const struct end *to)
{
	return to->used < UNIX_BUFFER / 2;
}

/* Puts m behind what waits, or its bytes into the last message of a stream. Takes m over. */
static void append(struct pair *p, struct end *to, struct message *m)
{
	struct message *last;

	if (p->type == ABI_SOCK_STREAM && !list_empty(&to->messages)) {
		last = list_entry(to->messages.prev, struct message, link);
		if (last->capacity - last->end >= m->end) {
			memcpy(last->data + last->end, m->data, m->end);
			last->end += m->end;
			free(m);
			return;
		}
	}
	list_add_tail(&to->messages, &m->link);
	to->used += message_cost(m);
}

/* ---- sending ---- */

/* Whether a write can be tried: 0 or its error. Caller holds the lock. */
static int send_check(const struct socket *s)
{
	const struct end *me = my_end(s), *to = other_end(s);

	if (me->shut_write || to->shut_read)
		return -EPIPE;
	if (to->closed)
		return s->pair->type == ABI_SOCK_DGRAM ? -ECONNREFUSED : -EPIPE;
	return has_room(to) ? 0 : -EAGAIN;
}

static ssize_t copy_in(struct uio *from, uint64_t size, bool stream, struct message **ret)
{
	uint32_t capacity = (uint32_t)(stream ? MAX(size, (uint64_t)SMALL_PIECE) : size);
	struct message *m = message_new(capacity);
	ssize_t n = uio_read(from, m->data, size);

	if (n < 0 || (!stream && (uint64_t)n < size)) {
		free(m);
		return n < 0 ? n : -EFAULT;
	}
	m->end = (uint32_t)n;
	*ret = m;
	return n;
}

ssize_t unix_send(struct file *f, struct uio *from)
{
	struct socket *s = f->private;
	struct pair *p = s->pair;
	bool stream = p->type == ABI_SOCK_STREAM;
	uint64_t size = stream ? MIN(from->left, (uint64_t)PIECE_MAX) : from->left;
	struct message *m;
	ssize_t n;
	int err;

	if (!stream && size > UNIX_BUFFER - sizeof(*m))
		return -EMSGSIZE;
	mutex_lock(&p->lock);
	err = send_check(s);
	mutex_unlock(&p->lock);
	if (err)
		return err;
	if (stream && !size)
		return 0;
	n = copy_in(from, size, stream, &m);
	if (n < 0)
		return n;

	/* The room may be gone by now; a message more for each writer does no harm. */
	mutex_lock(&p->lock);
	err = send_check(s);
	if (!err || err == -EAGAIN)
		append(p, other_end(s), m);
	mutex_unlock(&p->lock);
	if (err && err != -EAGAIN) {
		free(m);
		return err;
	}
	waitqueue_wake(&other_end(s)->wq, ABI_POLLIN | ABI_POLLRDNORM);
	return n;
}

/* ---- receiving ---- */

/* What a read of an empty queue says. Caller holds the lock. */
static ssize_t recv_empty(struct socket *s)
{
	struct end *me = my_end(s);
	const struct end *from = other_end(s);
	int err = me->error;

	if (err) {
		me->error = 0;
		return -err;
	}
	if (me->shut_read)
		return 0;
	if (s->pair->type != ABI_SOCK_DGRAM && (from->closed || from->shut_write))
		return 0;
	return -EAGAIN;
}

/* Takes `size` bytes off the front. Caller holds the lock. */
static void consume(struct end *me, uint64_t size, bool whole)
{
	struct message *m = list_first(&me->messages, struct message, link);

	m->start += (uint32_t)size;
	if (whole || m->start == m->end)
		drop_message(me, m);
}

/* The bytes of the first message from its start, in a copy. Caller holds the lock. */
static char *copy_first(struct end *me, uint64_t offset, uint64_t max, uint64_t *ret_size)
{
	struct message *m;
	uint64_t size;
	char *copy;

	list_for_each (m, &me->messages, link) {
		size = m->end - m->start;
		if (offset >= size && size) {
			offset -= size;
			continue;
		}
		size = MIN(size - offset, max);
		copy = xmalloc(size + 1);
		memcpy(copy, m->data + m->start + offset, size);
		*ret_size = size;
		return copy;
	}
	return NULL;
}

/* One message's worth; done: bytes of a stream that this call has got so far. */
static ssize_t recv_one(struct socket *s, struct uio *to, bool peek, uint64_t done,
			uint64_t *ret_size)
{
	struct pair *p = s->pair;
	struct end *me = my_end(s);
	bool stream = p->type == ABI_SOCK_STREAM, wake = false;
	uint64_t size = 0, whole = 0;
	struct message *m;
	char *copy = NULL;
	ssize_t n;

	mutex_lock(&p->lock);
	m = list_first_or_null(&me->messages, struct message, link);
	if (m) {
		whole = m->end - m->start;
		copy = copy_first(me, peek ? done : 0, to->left, &size);
	}
	if (!copy) {
		n = m || done ? 0 : recv_empty(s);
		mutex_unlock(&p->lock);
		return n;
	}
	if (!peek) {
		wake = !has_room(me);
		consume(me, size, !stream);
		wake = wake && has_room(me);
	}
	mutex_unlock(&p->lock);
	if (wake)
		waitqueue_wake(&other_end(s)->wq, ABI_POLLOUT | ABI_POLLWRNORM);
	n = size ? uio_write(to, copy, size) : 0;
	free(copy);
	*ret_size = whole;
	return n;
}

ssize_t unix_recv(struct file *f, struct uio *to, bool peek, uint64_t *ret_size)
{
	struct socket *s = f->private;
	bool stream = s->pair->type == ABI_SOCK_STREAM;
	uint64_t done = 0;
	ssize_t n;

	*ret_size = 0;
	if (stream && !to->left)
		return 0;
	do {
		n = recv_one(s, to, peek, done, ret_size);
		if (n > 0)
			done += (uint64_t)n;
	} while (stream && n > 0 && to->left);
	return done ? (ssize_t)done : n;
}

/* ---- file operations ---- */

static ssize_t unix_read(struct file *f, struct uio *to, int64_t *pos)
{
	uint64_t size;

	(void)pos;
	return unix_recv(f, to, false, &size);
}

static ssize_t unix_write(struct file *f, struct uio *from, int64_t *pos)
{
	(void)pos;
	return unix_send(f, from);
}

static uint32_t poll_in(const struct socket *s)
{
	const struct end *me = my_end(s), *from = other_end(s);
	bool packets = s->pair->type == ABI_SOCK_DGRAM;
	bool ended = me->shut_read || (!packets && (from->closed || from->shut_write));
	uint32_t ready = 0;

	if (!list_empty(&me->messages) || ended)
		ready |= ABI_POLLIN | ABI_POLLRDNORM;
	if (ended)
		ready |= ABI_POLLRDHUP;
	if (!packets && (from->closed || (me->shut_read && me->shut_write)))
		ready |= ABI_POLLHUP;
	return ready;
}

static uint32_t unix_poll(struct file *f, struct poll_table *pt)
{
	struct socket *s = f->private;
	struct end *me = my_end(s);
	uint32_t ready;

	poll_wait(pt, &me->wq);
	mutex_lock(&s->pair->lock);
	ready = poll_in(s);
	if (has_room(other_end(s)) || other_end(s)->closed)
		ready |= ABI_POLLOUT | ABI_POLLWRNORM | ABI_POLLWRBAND;
	if (me->error)
		ready |= ABI_POLLERR;
	mutex_unlock(&s->pair->lock);
	return ready;
}

/* FIONREAD: bytes that wait; of packets, those of the first. */
static int64_t unix_ioctl(struct file *f, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct socket *s = f->private;
	struct message *m;
	int32_t count = 0;

	if (cmd != ABI_FIONREAD)
		return -ENOTTY;
	mutex_lock(&s->pair->lock);
	list_for_each (m, &my_end(s)->messages, link) {
		count += (int32_t)(m->end - m->start);
		if (s->pair->type != ABI_SOCK_STREAM)
			break;
	}
	mutex_unlock(&s->pair->lock);
	return copy_to_user(t, uaddr(arg), &count, sizeof(count));
}

static void pair_put(struct pair *p)
{
	if (!refcount_put(&p->ref))
		return;
	for (int i = 0; i < 2; i++) {
		drop_all(&p->ends[i]);
		waitqueue_destroy(&p->ends[i].wq);
	}
	mutex_destroy(&p->lock);
	free(p);
}

static void unix_release(struct file *f)
{
	struct socket *s = f->private;
	struct pair *p = s->pair;
	struct end *me = my_end(s);

	mutex_lock(&p->lock);
	me->closed = true;
	/* What was sent and will never be read is news for the sender (unix_release_sock). */
	if (!list_empty(&me->messages) && p->type != ABI_SOCK_DGRAM)
		other_end(s)->error = ECONNRESET;
	drop_all(me);
	mutex_unlock(&p->lock);
	waitqueue_wake(&other_end(s)->wq, ~0u);
	free(s);
	pair_put(p);
}

static const struct file_ops unix_ops = {
    .read = unix_read,
    .write = unix_write,
    .poll = unix_poll,
    .ioctl = unix_ioctl,
    .release = unix_release,
    .no_seek = true,
};

/* ---- making and the rest ---- */

static struct file *socket_file(struct task *t, struct pair *p, unsigned int side, uint32_t flags)
{
	struct socket *s = xnew(struct socket);

	s->pair = p;
	s->side = side;
	return file_new_anon(t->kernel, "socket:[%lu]", &unix_ops, s, ABI_O_RDWR | flags, t->cred);
}

void unix_pair_new(struct task *t, int type, uint32_t flags, struct file *ret[2])
{
	struct pair *p = xnew(struct pair);

	refcount_init(&p->ref);
	refcount_get(&p->ref);
	mutex_init(&p->lock, RANK_OBJECT);
	p->type = type;
	p->cred = (struct abi_ucred){t->tg->tgid, t->cred->euid, t->cred->egid};
	for (unsigned int i = 0; i < 2; i++) {
		list_init(&p->ends[i].messages);
		waitqueue_init(&p->ends[i].wq);
		ret[i] = socket_file(t, p, i, flags);
	}
}

int unix_shutdown(struct file *f, int how)
{
	struct socket *s = f->private;
	struct end *me = my_end(s);

	if (how != ABI_SHUT_RD && how != ABI_SHUT_WR && how != ABI_SHUT_RDWR)
		return -EINVAL;
	mutex_lock(&s->pair->lock);
	me->shut_read |= how != ABI_SHUT_WR;
	me->shut_write |= how != ABI_SHUT_RD;
	mutex_unlock(&s->pair->lock);
	waitqueue_wake(&me->wq, ~0u);
	waitqueue_wake(&other_end(s)->wq, ~0u);
	return 0;
}

int unix_take_error(struct file *f)
{
	struct socket *s = f->private;
	int err;

	mutex_lock(&s->pair->lock);
	err = my_end(s)->error;
	my_end(s)->error = 0;
	mutex_unlock(&s->pair->lock);
	return err;
}

void unix_peer_cred(struct file *f, struct abi_ucred *ret)
{
	const struct socket *s = f->private;

	*ret = s->pair->cred;
}
