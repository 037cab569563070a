/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pipes and named fifos.
 *
 * A pipe is a ring of bytes that belongs to an inode: of the anonymous file system for pipe(2), of
 * any other for a fifo. It exists while files of it are open; inode.fifo points at it.
 *
 * Wake-ups are what a pipe costs, so there are as few as can be:
 *
 *	readers	are woken when the ring was empty and no longer is, or the last writer goes. Once
 *		anybody has polled the pipe, also at every write, because edge-triggered epoll
 *		reports each arrival (as Linux does).
 *	writers	wait until PIPE_ATOMIC bytes are free, and are woken when that becomes true: not for
 *		each byte that a reader takes. A write of at most PIPE_ATOMIC bytes goes in whole or
 *		waits, so that it is never mixed with others.
 *
 * A writer that waits for less room than PIPE_ATOMIC may sleep although it would fit by now; a
 * reader that drains the ring wakes it, and as the ring holds at least PIPE_ATOMIC bytes, an empty
 * ring always does.
 *
 * The ring's memory grows with what is in it, up to the pipe's size, and is used from its beginning
 * whenever it was empty: a pipe that carries small messages stays in one page.
 *
 * splice and sendfile may bring memory that isn't the pipe's (pipe_loan): the cache of a file. It is
 * only read, and only by ways that bear its being gone; before anything is added to it, it is
 * copied.
 *
 * Opening a fifo waits for the other side. The file is made first, and counts as a reader or
 * writer, as in Linux; then pipe_wait_open waits until the other side is there or has been there
 * since (the counts of opens tell).
 */
#include "sentry/fs/pipe/pipe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/fcntl.h"
#include "abi/poll.h"
#include "abi/tty.h"
#include "base/compiler.h"
#include "base/guard.h"
#include "base/mem.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_block.h"
#include "sentry/mm/usermem.h"
#include "sentry/vfs/vfs_internal.h"

#define RING_FIRST 4096 /* what a ring begins with */

struct pipe {
	struct mutex lock; /* RANK_OBJECT */
	bool anonymous;	   /* [I] of pipe(2): opening it again (/proc/self/fd/N) waits for nobody */
	uint32_t readers, writers, files;    /* lock; open ends */
	uint64_t reader_opens, writer_opens; /* lock; ever */
	char *ring;			     /* lock */
	uint32_t ring_size;		     /* lock; allocated, <= capacity */
	uint32_t head, used;		     /* lock; where reading begins, bytes in it */
	struct pipe_loan *loan;		     /* lock; whose memory the ring is; NULL: the pipe's */
	uint32_t capacity;		     /* lock */
	bool polled;			     /* lock */
	struct waitqueue read_wq, write_wq;
};

static const struct file_ops pipe_ops;

static void memory_free(char *data, struct pipe_loan *loan)
{
	if (loan)
		loan->end(loan);
	else
		free(data);
}

static void ring_drop(struct pipe *p)
{
	memory_free(p->ring, p->loan);
	p->ring = NULL;
	p->loan = NULL;
	p->ring_size = p->head = 0;
}

/* Out of memory that may be lent. */
static void copy_out(void *dst, const char *src, size_t size, const struct pipe_loan *loan)
{
	size_t n = size;

	if (loan)
		n = guarded_copy(dst, src, size);
	else
		memcpy(dst, src, size);
	memset((char *)dst + n, 0, size - n);
}

static struct pipe *pipe_alloc(void)
{
	struct pipe *p = xnew(struct pipe);

	mutex_init(&p->lock, RANK_OBJECT);
	waitqueue_init(&p->read_wq);
	waitqueue_init(&p->write_wq);
	p->capacity = PIPE_SIZE_DEFAULT;
	return p;
}

static void pipe_free(struct pipe *p)
{
	waitqueue_destroy(&p->read_wq);
	waitqueue_destroy(&p->write_wq);
	mutex_destroy(&p->lock);
	ring_drop(p);
	free(p);
}

struct pipe *pipe_of(struct file *f)
{
	return f->ops == &pipe_ops ? f->private : NULL;
}

/* ---- the ring ---- */

/* What may still be written. splice can bring more than the capacity in (pipe_give). */
static uint32_t room_in(const struct pipe *p)
{
	return p->used < p->capacity ? p->capacity - p->used : 0;
}

static bool writable(const struct pipe *p)
{
	return room_in(p) >= PIPE_ATOMIC;
}

static void ring_resize(struct pipe *p, uint32_t size)
{
	char *ring = xmalloc(size);
	uint32_t first = MIN(p->used, p->ring_size - p->head);

	if (p->used) {
		copy_out(ring, p->ring + p->head, first, p->loan);
		copy_out(ring + first, p->ring, p->used - first, p->loan);
	}
	ring_drop(p);
	p->ring = ring;
	p->ring_size = size;
	p->head = 0;
}

static void ring_own(struct pipe *p)
{
	if (unlikely(p->loan))
		ring_resize(p, MAX(p->ring_size, (uint32_t)RING_FIRST));
}

static void ring_make_room(struct pipe *p, uint64_t more)
{
	uint64_t need = MIN(p->used + more, (uint64_t)p->capacity);
	uint32_t size;

	ring_own(p);
	size = p->ring_size ? p->ring_size : RING_FIRST;
	if (need <= p->ring_size)
		return;
	while (size < need)
		size *= 2;
	ring_resize(p, MIN(size, p->capacity));
}

static void ring_take(struct pipe *p, uint32_t size)
{
	p->used -= size;
	p->head += size;
	if (p->head >= p->ring_size)
		p->head -= p->ring_size;
	if (p->used)
		return;
	p->head = 0;
	if (unlikely(p->loan))
		ring_drop(p);
}

static ssize_t read_piece(const struct pipe *p, struct uio *to, size_t piece)
{
	size_t n;

	if (likely(!p->loan))
		return uio_write(to, p->ring + p->head, piece);
	n = uio_write_guarded(to, p->ring + p->head, piece);
	return n ? (ssize_t)n : -EFAULT;
}

/* Moves bytes between the ring and a cursor; what faulted stays where it is. */
static ssize_t ring_read(struct pipe *p, struct uio *to)
{
	ssize_t done = 0;

	while (p->used && to->left) {
		size_t piece =
		    MIN(MIN((uint64_t)p->used, to->left), (uint64_t)(p->ring_size - p->head));
		ssize_t n = read_piece(p, to, piece);

		if (n < 0)
			return done ? done : n;
		ring_take(p, (uint32_t)n);
		done += n;
		if ((size_t)n < piece)
			break;
	}
	return done;
}

static ssize_t ring_write(struct pipe *p, struct uio *from)
{
	ssize_t done = 0;

	ring_make_room(p, from->left);
	while (room_in(p) && from->left) {
		uint32_t tail = p->head + p->used;
		uint64_t piece = MIN((uint64_t)room_in(p), from->left);
		ssize_t n;

		if (tail >= p->ring_size)
			tail -= p->ring_size;
		piece = MIN(piece, (uint64_t)(p->ring_size - tail));
		piece = MIN(piece, (uint64_t)(p->ring_size - p->used));
		n = uio_read(from, p->ring + tail, piece);
		if (n < 0)
			return done ? done : n;
		p->used += (uint32_t)n;
		done += n;
		if ((size_t)n < piece)
			break;
	}
	return done;
}

/* ---- file operations ---- */

static ssize_t pipe_read(struct file *f, struct uio *to, int64_t *pos)
{
	struct pipe *p = f->private;
	bool was_writable, wake;
	ssize_t ret;

	(void)pos;
	if (!to->left)
		return 0;
	mutex_lock(&p->lock);
	was_writable = writable(p);
	if (p->used)
		ret = ring_read(p, to);
	else
		ret = p->writers ? -EAGAIN : 0;
	wake = !was_writable && writable(p);
	mutex_unlock(&p->lock);
	if (wake)
		waitqueue_wake(&p->write_wq, ABI_POLLOUT | ABI_POLLWRNORM);
	return ret;
}

static ssize_t pipe_write(struct file *f, struct uio *from, int64_t *pos)
{
	struct pipe *p = f->private;
	bool wake = false;
	ssize_t ret;

	(void)pos;
	mutex_lock(&p->lock);
	if (!p->readers) {
		ret = -EPIPE;
	} else if (!from->left) {
		ret = 0;
	} else if (room_in(p) < MIN(from->left, (uint64_t)PIPE_ATOMIC) &&
		   (from->left <= PIPE_ATOMIC || !room_in(p))) {
		ret = -EAGAIN;
	} else {
		wake = p->used == 0 || p->polled;
		ret = ring_write(p, from);
	}
	mutex_unlock(&p->lock);
	if (wake && ret > 0)
		waitqueue_wake(&p->read_wq, ABI_POLLIN | ABI_POLLRDNORM);
	return ret;
}

static uint32_t pipe_poll(struct file *f, struct poll_table *pt)
{
	struct pipe *p = f->private;
	uint32_t ready = 0;

	if (file_readable(f))
		poll_wait(pt, &p->read_wq);
	if (file_writable(f))
		poll_wait(pt, &p->write_wq);
	mutex_lock(&p->lock);
	p->polled |= pt != NULL;
	if (file_readable(f)) {
		if (p->used)
			ready |= ABI_POLLIN | ABI_POLLRDNORM;
		/* A fifo that has had no writer yet isn't hung up. */
		if (!p->writers && p->writer_opens != (uint64_t)f->pos)
			ready |= ABI_POLLHUP;
	}
	if (file_writable(f)) {
		if (writable(p))
			ready |= ABI_POLLOUT | ABI_POLLWRNORM;
		if (!p->readers)
			ready |= ABI_POLLERR;
	}
	mutex_unlock(&p->lock);
	return ready;
}

static int64_t pipe_ioctl(struct file *f, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct pipe *p = f->private;
	int32_t count;

	if (cmd != ABI_FIONREAD)
		return -ENOTTY;
	mutex_lock(&p->lock);
	count = (int32_t)p->used;
	mutex_unlock(&p->lock);
	return copy_to_user(t, uaddr(arg), &count, sizeof(count));
}

static void pipe_release(struct file *f)
{
	struct pipe *p = f->private;
	bool last_reader, last_writer, last;

	mutex_lock(&f->inode->lock);
	mutex_lock(&p->lock);
	last_reader = file_readable(f) && --p->readers == 0;
	last_writer = file_writable(f) && --p->writers == 0;
	last = --p->files == 0;
	mutex_unlock(&p->lock);
	if (last)
		f->inode->fifo = NULL;
	else if (last_reader)
		waitqueue_wake(&p->write_wq, ABI_POLLERR | ABI_POLLOUT | ABI_POLLWRNORM);
	if (!last && last_writer)
		waitqueue_wake(&p->read_wq, ABI_POLLHUP | ABI_POLLIN | ABI_POLLRDNORM);
	mutex_unlock(&f->inode->lock);
	if (last)
		pipe_free(p);
}

static const struct file_ops pipe_ops = {
    .read = pipe_read,
    .write = pipe_write,
    .poll = pipe_poll,
    .ioctl = pipe_ioctl,
    .release = pipe_release,
    .no_seek = true,
};

/* ---- opening ---- */

/* f becomes an end of p. The inode is locked. f->pos keeps the other side's opens so far. */
static void join(struct pipe *p, struct file *f)
{
	mutex_lock(&p->lock);
	f->pos = (int64_t)p->writer_opens;
	if (!file_readable(f))
		f->pos = (int64_t)p->reader_opens;
	p->files++;
	if (file_readable(f)) {
		p->readers++;
		p->reader_opens++;
	}
	if (file_writable(f)) {
		p->writers++;
		p->writer_opens++;
	}
	f->private = p;
	f->ops = &pipe_ops;
	mutex_unlock(&p->lock);
	waitqueue_wake(&p->read_wq, ABI_POLLMSG);
	waitqueue_wake(&p->write_wq, ABI_POLLMSG);
}

int pipe_open_fifo(struct inode *i, struct file *f)
{
	bool only_write = file_writable(f) && !file_readable(f);
	int err = 0;

	mutex_lock(&i->lock);
	if (only_write && !(i->fifo && i->fifo->anonymous) && (f->flags & ABI_O_NONBLOCK) &&
	    (!i->fifo || !i->fifo->readers)) {
		err = -ENXIO;
	} else {
		if (!i->fifo)
			i->fifo = pipe_alloc();
		join(i->fifo, f);
		if (i->fifo->anonymous)
			f->pos = -1; /* it has had a partner */
	}
	mutex_unlock(&i->lock);
	return err;
}

static bool other_side_came(struct file *f)
{
	struct pipe *p = f->private;
	bool came;

	mutex_lock(&p->lock);
	if (file_readable(f))
		came = p->writers || p->writer_opens != (uint64_t)f->pos;
	else
		came = p->readers || p->reader_opens != (uint64_t)f->pos;
	mutex_unlock(&p->lock);
	return came;
}

int64_t pipe_wait_open(struct task *t, struct file *f)
{
	struct pipe *p = pipe_of(f);

	if (!p || p->anonymous || (f->flags & ABI_O_NONBLOCK) ||
	    (file_readable(f) && file_writable(f)) || other_side_came(f))
		return 0;
	/* ABI_POLLMSG: somebody opened. */
	task_wait_add(t, file_readable(f) ? &p->read_wq : &p->write_wq, ABI_POLLMSG, f);
	return other_side_came(f) ? 0 : task_block(t, -ERESTARTSYS);
}

int pipe_new(struct task *t, uint32_t flags, struct file *ret[2])
{
	struct path path;
	struct inode *i;

	anon_path_new(t->kernel->vfs, "pipe:[%lu]", &path);
	i = path.dentry->inode;
	i->uid = t->cred->fsuid;
	i->gid = t->cred->fsgid;
	ret[0] = file_new(&path, ABI_O_RDONLY | flags, t->cred);
	ret[1] = file_new(&path, ABI_O_WRONLY | flags, t->cred);
	path_put(&path);
	mutex_lock(&i->lock);
	i->fifo = pipe_alloc();
	i->fifo->anonymous = true;
	join(i->fifo, ret[0]);
	join(i->fifo, ret[1]);
	mutex_unlock(&i->lock);
	/* This pipe has had a writer: without one it is hung up. */
	ret[0]->pos = -1;
	return 0;
}

/* ---- size ---- */

uint32_t pipe_size(struct pipe *p)
{
	uint32_t size;

	mutex_lock(&p->lock);
	size = p->capacity;
	mutex_unlock(&p->lock);
	return size;
}

int64_t pipe_set_size(struct pipe *p, uint32_t size)
{
	uint32_t rounded = PIPE_ATOMIC;
	int64_t ret;
	bool wake;

	if (!size)
		return -EINVAL;
	if (size > PIPE_SIZE_MAX)
		return -EPERM;
	while (rounded < size)
		rounded *= 2;
	mutex_lock(&p->lock);
	wake = !writable(p);
	if (p->used > rounded) {
		ret = -EBUSY;
	} else {
		if (p->ring_size > rounded)
			ring_resize(p, rounded);
		p->capacity = rounded;
		ret = rounded;
	}
	wake = wake && writable(p);
	mutex_unlock(&p->lock);
	if (wake)
		waitqueue_wake(&p->write_wq, ABI_POLLOUT | ABI_POLLWRNORM);
	return ret;
}

/* ---- splice ---- */

ssize_t pipe_peek(struct pipe *p, size_t offset, void *buf, size_t size)
{
	size_t done = 0;

	mutex_lock(&p->lock);
	if (!p->used && p->writers) {
		mutex_unlock(&p->lock);
		return -EAGAIN;
	}
	while (done < size && offset + done < p->used) {
		uint32_t at = (uint32_t)((p->head + offset + done) % p->ring_size);
		size_t piece =
		    MIN(MIN(size - done, p->used - offset - done), (size_t)(p->ring_size - at));

		copy_out((char *)buf + done, p->ring + at, piece, p->loan);
		done += piece;
	}
	mutex_unlock(&p->lock);
	return (ssize_t)done;
}

/* Room for more bytes whatever the capacity says. */
static void ring_force_room(struct pipe *p, size_t more)
{
	uint32_t size;

	ring_own(p);
	size = p->ring_size ? p->ring_size : RING_FIRST;
	while (size < p->used + more)
		size *= 2;
	if (size != p->ring_size)
		ring_resize(p, size);
}

void pipe_unread(struct pipe *p, const void *buf, size_t size)
{
	mutex_lock(&p->lock);
	ring_force_room(p, size);
	ring_resize(p, p->ring_size);
	memmove(p->ring + size, p->ring, p->used);
	memcpy(p->ring, buf, size);
	p->used += (uint32_t)size;
	mutex_unlock(&p->lock);
	waitqueue_wake(&p->read_wq, ABI_POLLIN | ABI_POLLRDNORM);
}

/* The block becomes the ring of an empty pipe. */
static void ring_adopt(struct pipe *p, struct pipe_block *b)
{
	ring_drop(p);
	p->ring = b->data;
	p->loan = b->loan;
	p->ring_size = b->size;
	p->head = b->from;
	p->used = b->used;
	b->data = NULL;
	b->loan = NULL;
}

void pipe_block_free(struct pipe_block *b)
{
	memory_free(b->data, b->loan);
	b->data = NULL;
	b->loan = NULL;
}

void pipe_block_own(struct pipe_block *b)
{
	char *data;

	if (!b->loan)
		return;
	data = xmalloc(b->used);
	copy_out(data, b->data + b->from, b->used, b->loan);
	b->loan->end(b->loan);
	*b = (struct pipe_block){.data = data, .size = b->used, .used = b->used};
}

static void ring_append(struct pipe *p, const char *buf, uint32_t size,
			const struct pipe_loan *loan)
{
	uint32_t tail, first;

	ring_force_room(p, size);
	tail = (p->head + p->used) % p->ring_size;
	first = MIN(size, p->ring_size - tail);
	copy_out(p->ring + tail, buf, first, loan);
	copy_out(p->ring, buf + first, size - first, loan);
	p->used += size;
}

int pipe_give(struct pipe *p, struct pipe_block *b)
{
	bool wake = false;
	int ret = 0;

	mutex_lock(&p->lock);
	if (!p->readers) {
		ret = -EPIPE;
	} else {
		wake = !p->used || p->polled;
		/* Not for a few bytes in much memory. */
		if (!p->used && b->used >= b->size / 4)
			ring_adopt(p, b);
		else
			ring_append(p, b->data + b->from, b->used, b->loan);
	}
	mutex_unlock(&p->lock);
	if (wake)
		waitqueue_wake(&p->read_wq, ABI_POLLIN | ABI_POLLRDNORM);
	return ret;
}

/* The ring of the pipe, whose bytes are in one piece, as a block. */
static void ring_hand_over(struct pipe *p, struct pipe_block *ret)
{
	*ret = (struct pipe_block){p->ring, p->ring_size, p->head, p->used, p->loan};
	p->ring = NULL;
	p->loan = NULL;
	p->ring_size = p->head = p->used = 0;
}

static void ring_copy_out(struct pipe *p, uint32_t size, struct pipe_block *ret)
{
	uint32_t first = MIN(size, p->ring_size - p->head);

	*ret = (struct pipe_block){xmalloc(size), size, 0, size, NULL};
	copy_out(ret->data, p->ring + p->head, first, p->loan);
	copy_out(ret->data + first, p->ring, size - first, p->loan);
	ring_take(p, size);
}

ssize_t pipe_take(struct pipe *p, size_t max, struct pipe_block *ret)
{
	bool was_writable, wake;
	ssize_t n;

	mutex_lock(&p->lock);
	was_writable = writable(p);
	n = (ssize_t)MIN(max, (size_t)p->used);
	if (!p->used)
		n = p->writers ? -EAGAIN : 0;
	else if (p->used <= max && p->head + p->used <= p->ring_size)
		ring_hand_over(p, ret);
	else
		ring_copy_out(p, (uint32_t)n, ret);
	wake = !was_writable && writable(p);
	mutex_unlock(&p->lock);
	if (wake)
		waitqueue_wake(&p->write_wq, ABI_POLLOUT | ABI_POLLWRNORM);
	return n;
}

bool pipe_broken(struct pipe *p)
{
	bool broken;

	mutex_lock(&p->lock);
	broken = !p->readers;
	mutex_unlock(&p->lock);
	return broken;
}

size_t pipe_room(struct pipe *p)
{
	size_t room;

	mutex_lock(&p->lock);
	room = room_in(p);
	mutex_unlock(&p->lock);
	return room;
}
