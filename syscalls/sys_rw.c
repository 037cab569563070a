/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read, write and their relatives, and moving data between files.
 *
 * Files never wait (vfs.h): they say -EAGAIN. Then the task is put on the file's queues and the
 * handler returns SYS_BLOCKED; it is run again from the start, with what was done in
 * t->call.progress[0]. A write that was interrupted after some bytes returns those.
 */
#include <stdlib.h>

#include "abi/poll.h"
#include "abi/signal.h"
#include "abi/uio.h"
#include "base/mem.h"
#include "sentry/fs/pipe/pipe.h"
#include "sentry/kernel/unsupported.h"
#include "syscalls/sysfile.h"

#define COPY_CHUNK    65536 /* of sendfile and its like, on the way from file to file */
#define TASK_SIZE_MAX 0x7ffffffff000ull

/* ---- waiting ---- */

struct wait_table {
	struct poll_table pt;
	struct task *task;
	uint32_t events;
};

static void wait_table_add(struct poll_table *pt, struct file *f, struct waitqueue *wq)
{
	struct wait_table *w = container_of(pt, struct wait_table, pt);

	task_wait_add(w->task, wq, w->events, f);
}

uint32_t file_wait(struct task *t, struct file *f, uint32_t events)
{
	struct wait_table w = {.pt = {.add = wait_table_add}, .task = t, .events = events};

	return vfs_poll(f, &w.pt);
}

#define WAIT_READ  (ABI_POLLIN | ABI_POLLRDNORM | ABI_POLLHUP | ABI_POLLERR | ABI_POLLRDHUP)
#define WAIT_WRITE (ABI_POLLOUT | ABI_POLLWRNORM | ABI_POLLHUP | ABI_POLLERR)

int64_t file_read_wait(struct task *t, struct file *f, struct uio *u, int64_t *pos, bool nowait)
{
	int64_t ret = vfs_read(f, u, pos);

	if (ret != -EAGAIN || nowait || (f->flags & ABI_O_NONBLOCK))
		return ret;
	file_wait(t, f, WAIT_READ);
	ret = vfs_read(f, u, pos);
	return ret == -EAGAIN ? task_block(t, -ERESTARTSYS) : ret;
}

static void uio_skip(struct uio *u, uint64_t bytes)
{
	/* The cursor goes over full segments by itself. */
	u->offset += bytes;
	u->left -= MIN(bytes, u->left);
}

/* Writes until all is done or it says anything but a count. */
static int64_t write_on(struct file *f, struct uio *u, int64_t *pos, uint64_t *done)
{
	int64_t ret;

	do {
		ret = vfs_write(f, u, pos);
		if (ret > 0)
			*done += (uint64_t)ret;
		/* A file that takes less than all is full; a pipe or terminal takes more later. */
	} while (ret > 0 && u->left && f->ops->no_seek);
	return ret;
}

int64_t file_write_wait(struct task *t, struct file *f, struct uio *u, int64_t *pos, bool nowait)
{
	uint64_t *done = &t->call.progress[0];
	int64_t ret;

	uio_skip(u, *done);
	ret = write_on(f, u, pos, done);
	if (ret == -EAGAIN && !nowait && !(f->flags & ABI_O_NONBLOCK)) {
		file_wait(t, f, WAIT_WRITE);
		ret = write_on(f, u, pos, done);
		if (ret == -EAGAIN)
			return task_block(t, *done ? (int64_t)*done : -ERESTARTSYS);
	}
	if (ret == -EPIPE)
		signal_send_task(t, ABI_SIGPIPE, NULL);
	return *done ? (int64_t)*done : ret;
}

/* ---- read, write, pread64, pwrite64 ---- */

/* access_ok of Linux: looked at before the file is asked, so also by those that need no buffer. */
static bool is_user_range(uint64_t va, uint64_t size)
{
	return va <= TASK_SIZE_MAX && size <= TASK_SIZE_MAX - va;
}

static int64_t read_one(struct task *t, const struct sysargs *a, int64_t *pos)
{
	struct fd_io io = fd_borrow_io(t, abi_int(a->arg[0]));
	struct uio u;
	int64_t ret;

	if (!io.file)
		return -EBADF;
	uio_init_user(&u, t, uaddr(a->arg[1]), a->arg[2]);
	if (file_readable(io.file) && !is_user_range(a->arg[1], a->arg[2]))
		ret = -EFAULT;
	else
		ret = file_read_wait(t, io.file, &u, pos, false);
	lease_note(t, abi_int(a->arg[0]), io.file);
	fd_return(&io);
	return ret;
}

static int64_t write_one(struct task *t, const struct sysargs *a, int64_t *pos)
{
	struct fd_io io = fd_borrow_io(t, abi_int(a->arg[0]));
	struct uio u;
	int64_t ret;

	if (!io.file)
		return -EBADF;
	uio_init_user(&u, t, uaddr(a->arg[1]), a->arg[2]);
	if (file_writable(io.file) && !is_user_range(a->arg[1], a->arg[2]))
		ret = -EFAULT;
	else
		ret = file_write_wait(t, io.file, &u, pos, false);
	if (ABI_S_ISCHR(io.file->inode->mode))
		lease_note(t, abi_int(a->arg[0]), io.file);
	fd_return(&io);
	return ret;
}

int64_t sys_read(struct task *t, const struct sysargs *a)
{
	return read_one(t, a, NULL);
}

int64_t sys_write(struct task *t, const struct sysargs *a)
{
	return write_one(t, a, NULL);
}

int64_t sys_pread64(struct task *t, const struct sysargs *a)
{
	int64_t pos = (int64_t)a->arg[3];

	return pos < 0 ? -EINVAL : read_one(t, a, &pos);
}

int64_t sys_pwrite64(struct task *t, const struct sysargs *a)
{
	int64_t pos = (int64_t)a->arg[3];

	return pos < 0 ? -EINVAL : write_one(t, a, &pos);
}

/* ---- the vectored ones ---- */

#define RWF_KNOWN                                                                                  \
	(ABI_RWF_HIPRI | ABI_RWF_DSYNC | ABI_RWF_SYNC | ABI_RWF_NOWAIT | ABI_RWF_APPEND |          \
	 ABI_RWF_NOAPPEND)

static int64_t check_rwf(struct task *t, const struct file *f, uint32_t rwf, bool write)
{
	bool appends = f->flags & ABI_O_APPEND;

	if (rwf & ~(uint32_t)RWF_KNOWN)
		return unsupported(t, EOPNOTSUPP, "RWF flags 0x%x", rwf);
	if (write &&
	    (((rwf & ABI_RWF_APPEND) && !appends) || ((rwf & ABI_RWF_NOAPPEND) && appends)))
		return unsupported(t, EOPNOTSUPP, "RWF flags 0x%x", rwf);
	return 0;
}

static int64_t sync_written(struct file *f, uint32_t rwf, int64_t ret)
{
	int err = 0;

	if (ret > 0 && (rwf & (ABI_RWF_DSYNC | ABI_RWF_SYNC)) && f->ops->fsync) {
		worker_going_long();
		err = f->ops->fsync(f, !(rwf & ABI_RWF_SYNC));
	}
	return err ? err : ret;
}

static int64_t vectored(struct task *t, const struct sysargs *a, int64_t *pos, uint32_t rwf,
			bool write)
{
	struct fd_io io = fd_borrow_io(t, abi_int(a->arg[0]));
	struct file *f = io.file;
	struct uio u;
	int64_t ret;

	if (!f)
		return -EBADF;
	ret = rwf ? check_rwf(t, f, rwf, write) : 0;
	if (!ret)
		ret = uio_init_iovec(&u, t, uaddr(a->arg[1]), (uint32_t)a->arg[2]);
	if (!ret) {
		bool nowait = rwf & ABI_RWF_NOWAIT;

		ret = write ? file_write_wait(t, f, &u, pos, nowait)
			    : file_read_wait(t, f, &u, pos, nowait);
		if (write)
			ret = sync_written(f, rwf, ret);
		uio_free(&u);
	}
	fd_return(&io);
	return ret;
}

int64_t sys_readv(struct task *t, const struct sysargs *a)
{
	return vectored(t, a, NULL, 0, false);
}

int64_t sys_writev(struct task *t, const struct sysargs *a)
{
	return vectored(t, a, NULL, 0, true);
}

/* The position is in two halves of which the upper one counts for nothing on x86-64. */
int64_t sys_preadv(struct task *t, const struct sysargs *a)
{
	int64_t pos = (int64_t)a->arg[3];

	return pos < 0 ? -EINVAL : vectored(t, a, &pos, 0, false);
}

int64_t sys_pwritev(struct task *t, const struct sysargs *a)
{
	int64_t pos = (int64_t)a->arg[3];

	return pos < 0 ? -EINVAL : vectored(t, a, &pos, 0, true);
}

static int64_t vectored2(struct task *t, const struct sysargs *a, bool write)
{
	int64_t pos = (int64_t)a->arg[3];

	if (pos < -1)
		return -EINVAL;
	return vectored(t, a, pos == -1 ? NULL : &pos, (uint32_t)a->arg[5], write);
}

int64_t sys_preadv2(struct task *t, const struct sysargs *a)
{
	return vectored2(t, a, false);
}

int64_t sys_pwritev2(struct task *t, const struct sysargs *a)
{
	return vectored2(t, a, true);
}

int64_t sys_lseek(struct task *t, const struct sysargs *a)
{
	struct fd_io io = fd_borrow_io(t, abi_int(a->arg[0]));
	struct file *f = io.file;
	int64_t ret;

	if (!f)
		return -EBADF;
	ret = (uint32_t)a->arg[2] > ABI_SEEK_HOLE
		  ? -EINVAL
		  : vfs_seek(f, (int64_t)a->arg[1], abi_int(a->arg[2]));
	lease_note(t, abi_int(a->arg[0]), f);
	fd_return(&io);
	return ret;
}

/* ---- from file to file ---- */

static int64_t copy_to_pipe(struct file *in, int64_t *in_pos, struct pipe *out, uint64_t size,
			    uint64_t *done)
{
	int64_t ret = 0;

	while (*done < size) {
		int64_t at = *in_pos;

		ret = file_to_pipe(in, &at, out, size - *done);
		if (ret <= 0)
			break;
		*in_pos = at;
		*done += (uint64_t)ret;
	}
	return ret;
}

/*
 * Copies up to size bytes from `in` at *in_pos to `out` (at *out_pos, or its own position). The
 * source's position moves only by what was written, so nothing is lost when `out` takes less.
 */
static int64_t copy_chunks(struct task *t, struct file *in, int64_t *in_pos, struct file *out,
			   int64_t *out_pos, uint64_t size, uint64_t *done)
{
	int64_t ret = 0;
	char *buf;

	if (pipe_of(out))
		return copy_to_pipe(in, in_pos, pipe_of(out), size, done);
	while (*done < size) {
		if (*done > UIO_LONG)
			worker_going_long();
		ret = vfs_copy_in_host(t, in, in_pos, out, out_pos, size - *done);
		if (ret <= 0)
			break;
		*done += (uint64_t)ret;
	}
	if (ret != -EXDEV)
		return ret;
	buf = xmalloc(MIN(size, (uint64_t)COPY_CHUNK));
	while (*done < size) {
		int64_t at = *in_pos;
		struct uio u;
		ssize_t got;

		uio_init_kernel(&u, buf, MIN(size - *done, (uint64_t)COPY_CHUNK));
		if (*done > UIO_LONG)
			worker_going_long();
		got = ret = vfs_read(in, &u, &at);
		if (ret <= 0)
			break;
		uio_init_kernel(&u, buf, (uint64_t)got);
		u.writer = t;
		ret = vfs_write(out, &u, out_pos);
		if (ret <= 0)
			break;
		*in_pos += ret;
		*done += (uint64_t)ret;
		if (ret < got && !out->ops->no_seek)
			break;
	}
	free(buf);
	return ret;
}

/* The offset argument of sendfile and its like: *pos from memory, or the file's own. */
static int get_pos(struct task *t, struct file *f, uint64_t va, int64_t *pos)
{
	if (va) {
		if (copy_from_user(t, pos, uaddr(va), sizeof(*pos)))
			return -EFAULT;
		return *pos < 0 ? -EINVAL : 0;
	}
	*pos = vfs_seek(f, 0, ABI_SEEK_CUR);
	return *pos < 0 ? (int)*pos : 0;
}

static int put_pos(struct task *t, struct file *f, uint64_t va, int64_t pos)
{
	if (va)
		return copy_to_user(t, uaddr(va), &pos, sizeof(pos));
	vfs_seek(f, pos, ABI_SEEK_SET);
	return 0;
}

static int64_t sendfile_files(struct task *t, const struct sysargs *a, struct file *out,
			      struct file *in)
{
	uint64_t size = MIN(a->arg[3], UIO_BYTES_MAX), *done = &t->call.progress[0];
	int64_t *pos = (int64_t *)&t->call.progress[1], ret;

	if (!file_readable(in) || !file_writable(out))
		return -EBADF;
	if (in->ops->no_seek)
		return a->arg[2] ? -ESPIPE : -EINVAL;
	if (out->flags & ABI_O_APPEND)
		return -EINVAL;
	if (!t->call.progress[2]) {
		ret = get_pos(t, in, a->arg[2], pos);
		if (ret)
			return ret;
		t->call.progress[2] = 1;
	}
	ret = copy_chunks(t, in, pos, out, NULL, size, done);
	if (ret == -EAGAIN && !(out->flags & ABI_O_NONBLOCK)) {
		file_wait(t, out, WAIT_WRITE);
		ret = copy_chunks(t, in, pos, out, NULL, size, done);
		if (ret == -EAGAIN) {
			ret = task_block(t, *done ? (int64_t)*done : -ERESTARTSYS);
			if (ret == SYS_BLOCKED)
				return ret;
		}
	}
	if (ret == -EPIPE)
		signal_send_task(t, ABI_SIGPIPE, NULL);
	if (put_pos(t, in, a->arg[2], *pos))
		return -EFAULT;
	return *done ? (int64_t)*done : ret;
}

/* Gets both files and calls fn. */
static int64_t with_files(struct task *t, const struct sysargs *a, int fd1, int fd2,
			  int64_t (*fn)(struct task *, const struct sysargs *, struct file *,
					struct file *))
{
	struct file *f1 = fd_get_io(t, fd1), *f2 = fd_get_io(t, fd2);
	int64_t ret = f1 && f2 ? fn(t, a, f1, f2) : -EBADF;

	file_put(f1);
	file_put(f2);
	return ret;
}

int64_t sys_sendfile(struct task *t, const struct sysargs *a)
{
	return with_files(t, a, abi_int(a->arg[0]), abi_int(a->arg[1]), sendfile_files);
}

static bool ranges_overlap(int64_t a, int64_t b, uint64_t size)
{
	return a < b ? (uint64_t)(b - a) < size : (uint64_t)(a - b) < size;
}

static int64_t copy_range_files(struct task *t, const struct sysargs *a, struct file *in,
				struct file *out)
{
	uint64_t size = MIN(a->arg[4], UIO_BYTES_MAX), done = 0;
	int64_t in_pos, out_pos, ret;

	if (!file_readable(in) || !file_writable(out) || (out->flags & ABI_O_APPEND))
		return -EBADF;
	if (ABI_S_ISDIR(in->inode->mode) || ABI_S_ISDIR(out->inode->mode))
		return -EISDIR;
	if (!ABI_S_ISREG(in->inode->mode) || !ABI_S_ISREG(out->inode->mode))
		return -EINVAL;
	ret = get_pos(t, in, a->arg[1], &in_pos);
	if (!ret)
		ret = get_pos(t, out, a->arg[3], &out_pos);
	if (ret)
		return ret;
	if (in->inode == out->inode && ranges_overlap(in_pos, out_pos, size))
		return -EINVAL;
	if (!size)
		return 0;
	ret = copy_chunks(t, in, &in_pos, out, &out_pos, size, &done);
	if (put_pos(t, in, a->arg[1], in_pos) || put_pos(t, out, a->arg[3], out_pos))
		return -EFAULT;
	return done ? (int64_t)done : ret;
}

int64_t sys_copy_file_range(struct task *t, const struct sysargs *a)
{
	if (a->arg[5])
		return -EINVAL;
	return with_files(t, a, abi_int(a->arg[0]), abi_int(a->arg[2]), copy_range_files);
}
