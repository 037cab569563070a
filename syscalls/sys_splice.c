/* SPDX-License-Identifier: Apache-2.0 */
/*
 * splice, tee, vmsplice. A block of bytes is taken out of the source, and what the destination
 * doesn't take is put back in front of it, so that nothing is lost or seen twice. A pipe gives and
 * takes blocks as they are (pipe_take, pipe_give), so nothing is copied between pipes. What a file
 * has in memory that the sentry maps goes into an empty pipe as a reference (file_ops.lend), as
 * pages of the page cache do in Linux, and is copied once, by the host into the next file or by who
 * reads the pipe. As in Linux, what is written to the file meanwhile is seen in the pipe, and what
 * is cut off stays there.
 */
#include <stdlib.h>

#include "abi/poll.h"
#include "abi/signal.h"
#include "base/mem.h"
#include "sentry/fs/pipe/pipe.h"
#include "syscalls/sysfile.h"

#define CHUNK	 65536u /* at once; PIPE_SIZE_DEFAULT */
#define WAIT_IN	 (ABI_POLLIN | ABI_POLLRDNORM | ABI_POLLHUP | ABI_POLLERR)
#define WAIT_OUT (ABI_POLLOUT | ABI_POLLWRNORM | ABI_POLLHUP | ABI_POLLERR)
#define ALL_FLAGS                                                                                  \
	(ABI_SPLICE_F_MOVE | ABI_SPLICE_F_NONBLOCK | ABI_SPLICE_F_MORE | ABI_SPLICE_F_GIFT)

struct splice {
	struct task *task;
	struct file *in, *out;
	struct pipe *in_pipe, *out_pipe; /* NULL: not a pipe */
	int64_t *in_pos, *out_pos;	 /* NULL: the file's own, or none */
	uint64_t size;
	uint32_t flags;
	bool tee;
	bool blocked_on_out; /* which side said -EAGAIN */
};

/* Into a fresh block: what the file holds, or (tee) what the pipe does and keeps. */
static ssize_t copy_to_block(struct splice *s, size_t size, struct pipe_block *ret)
{
	struct pipe_block b = {.data = xmalloc(size), .size = (uint32_t)size};
	struct uio u;
	ssize_t got;

	uio_init_kernel(&u, b.data, size);
	got = s->in_pipe ? pipe_peek(s->in_pipe, 0, b.data, size) : vfs_read(s->in, &u, s->in_pos);
	if (got <= 0) {
		free(b.data);
		return got;
	}
	b.used = (uint32_t)got;
	*ret = b;
	return got;
}

/* A reference to what the file holds; 0: there is none to be had. */
static ssize_t borrow(struct splice *s, size_t size, struct pipe_block *ret)
{
	struct file *f = s->in;
	ssize_t got;

	if (!f->ops->lend)
		return 0;
	if (s->in_pos) {
		got = f->ops->lend(f, *s->in_pos, size, ret);
		*s->in_pos += got;
		return got;
	}
	mutex_lock(&f->lock);
	got = f->ops->lend(f, f->pos, size, ret);
	__atomic_store_n(&f->pos, f->pos + got, __ATOMIC_RELAXED);
	mutex_unlock(&f->lock);
	return got;
}

static ssize_t take(struct splice *s, size_t size, struct pipe_block *ret)
{
	ssize_t got;

	if (s->in_pipe && !s->tee)
		return pipe_take(s->in_pipe, size, ret);
	got = s->tee ? 0 : borrow(s, size, ret);
	return got ? got : copy_to_block(s, size, ret);
}

static int64_t give(struct pipe *out, struct pipe_block *b)
{
	uint32_t size = b->used;
	int err = pipe_give(out, b);

	pipe_block_free(b);
	return err ? err : (int64_t)size;
}

/* Into a pipe: no more than fits is taken, so all that was taken goes in. */
static int64_t into_pipe(struct splice *s)
{
	size_t room = pipe_room(s->out_pipe);
	struct pipe_block b;
	ssize_t got;

	if (pipe_broken(s->out_pipe))
		return -EPIPE;
	s->blocked_on_out = !room;
	if (!room)
		return -EAGAIN;
	got = take(s, MIN(MIN(s->size, (uint64_t)CHUNK), room), &b);
	return got > 0 ? give(s->out_pipe, &b) : got;
}

int64_t file_to_pipe(struct file *in, int64_t *in_pos, struct pipe *out, uint64_t size)
{
	struct splice s = {.in = in, .in_pos = in_pos, .out_pipe = out, .size = size};

	return into_pipe(&s);
}

static int64_t out_of_pipe(struct splice *s)
{
	struct pipe_block b;
	ssize_t got = take(s, MIN(s->size, (uint64_t)CHUNK), &b), put;
	struct uio u;

	s->blocked_on_out = false;
	if (got <= 0)
		return got;
	/* Only the host may read what is lent: it bears that it is gone. */
	if (!s->out->ops->copy_from && !s->out->ops->ignores_data)
		pipe_block_own(&b);
	uio_init_kernel(&u, b.data + b.from, (uint64_t)got);
	u.writer = s->task;
	put = vfs_write(s->out, &u, s->out_pos);
	if (put < got) {
		pipe_block_own(&b);
		pipe_unread(s->in_pipe, b.data + b.from + MAX(put, 0), (size_t)(got - MAX(put, 0)));
	}
	pipe_block_free(&b);
	s->blocked_on_out = put == -EAGAIN;
	return put;
}

static int64_t splice_once(struct splice *s)
{
	return s->out_pipe ? into_pipe(s) : out_of_pipe(s);
}

static bool may_wait(const struct splice *s)
{
	const struct file *f = s->blocked_on_out ? s->out : s->in;

	return !(s->flags & ABI_SPLICE_F_NONBLOCK) && !(f->flags & ABI_O_NONBLOCK);
}

static int64_t splice_wait(struct task *t, struct splice *s)
{
	int64_t ret = splice_once(s);

	if (ret == -EAGAIN && may_wait(s)) {
		file_wait(t, s->blocked_on_out ? s->out : s->in,
			  s->blocked_on_out ? WAIT_OUT : WAIT_IN);
		ret = splice_once(s);
		if (ret == -EAGAIN)
			return task_block(t, -ERESTARTSYS);
	}
	if (ret == -EPIPE)
		signal_send_task(t, ABI_SIGPIPE, NULL);
	return ret;
}

static int64_t check_sides(const struct splice *s, const struct sysargs *a)
{
	if (!file_readable(s->in) || !file_writable(s->out))
		return -EBADF;
	if (!s->in_pipe && !s->out_pipe)
		return -EINVAL;
	if ((s->in_pipe && a->arg[1]) || (s->out_pipe && a->arg[3]))
		return -ESPIPE;
	if (s->in_pipe == s->out_pipe || (s->out->flags & ABI_O_APPEND))
		return -EINVAL;
	if ((a->arg[1] && s->in->ops->no_seek) || (a->arg[3] && s->out->ops->no_seek))
		return -EINVAL;
	return 0;
}

static int64_t get_offset(struct task *t, uint64_t va, int64_t *pos, int64_t **ret)
{
	*ret = NULL;
	if (!va)
		return 0;
	if (copy_from_user(t, pos, uaddr(va), sizeof(*pos)))
		return -EFAULT;
	*ret = pos;
	return *pos < 0 ? -EINVAL : 0;
}

static int64_t splice_files(struct task *t, const struct sysargs *a, struct splice *s)
{
	int64_t in_pos, out_pos, ret = check_sides(s, a);

	if (!ret)
		ret = get_offset(t, a->arg[1], &in_pos, &s->in_pos);
	if (!ret)
		ret = get_offset(t, a->arg[3], &out_pos, &s->out_pos);
	if (ret || !s->size)
		return ret;
	ret = splice_wait(t, s);
	if (ret > 0 && ((s->in_pos && copy_to_user(t, uaddr(a->arg[1]), &in_pos, 8)) ||
			(s->out_pos && copy_to_user(t, uaddr(a->arg[3]), &out_pos, 8))))
		return -EFAULT;
	return ret;
}

static int64_t tee_files(struct task *t, const struct sysargs *a, struct splice *s)
{
	(void)a;
	if (!file_readable(s->in) || !file_writable(s->out))
		return -EBADF;
	if (!s->in_pipe || !s->out_pipe || s->in_pipe == s->out_pipe)
		return -EINVAL;
	s->tee = true;
	return s->size ? splice_wait(t, s) : 0;
}

static int64_t with_sides(struct task *t, const struct sysargs *a, int in, int out, uint64_t size,
			  uint32_t flags,
			  int64_t (*fn)(struct task *, const struct sysargs *, struct splice *))
{
	struct splice s = {.task = t, .size = MIN(size, UIO_BYTES_MAX), .flags = flags};
	int64_t ret = -EBADF;

	if (flags & ~(uint32_t)ALL_FLAGS)
		return -EINVAL;
	s.in = fd_get_io(t, in);
	s.out = fd_get_io(t, out);
	if (s.in && s.out) {
		s.in_pipe = pipe_of(s.in);
		s.out_pipe = pipe_of(s.out);
		ret = fn(t, a, &s);
	}
	file_put(s.in);
	file_put(s.out);
	return ret;
}

int64_t sys_splice(struct task *t, const struct sysargs *a)
{
	return with_sides(t, a, abi_int(a->arg[0]), abi_int(a->arg[2]), a->arg[4],
			  (uint32_t)a->arg[5], splice_files);
}

int64_t sys_tee(struct task *t, const struct sysargs *a)
{
	return with_sides(t, a, abi_int(a->arg[0]), abi_int(a->arg[1]), a->arg[2],
			  (uint32_t)a->arg[3], tee_files);
}

int64_t sys_vmsplice(struct task *t, const struct sysargs *a)
{
	bool nowait = a->arg[3] & ABI_SPLICE_F_NONBLOCK;
	struct file *f;
	struct uio u;
	int64_t ret;

	if ((uint32_t)a->arg[3] & ~ALL_FLAGS)
		return -EINVAL;
	f = fd_get_io(t, abi_int(a->arg[0]));
	if (!f)
		return -EBADF;
	ret = pipe_of(f) ? uio_init_iovec(&u, t, uaddr(a->arg[1]), a->arg[2]) : -EBADF;
	if (!ret) {
		ret = file_writable(f) ? file_write_wait(t, f, &u, NULL, nowait)
				       : file_read_wait(t, f, &u, NULL, nowait);
		uio_free(&u);
	}
	file_put(f);
	return ret;
}
