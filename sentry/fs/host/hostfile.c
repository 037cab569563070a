/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host descriptors as files.
 *
 * Their open file descriptions are shared with processes outside, so O_NONBLOCK is never set on
 * them and their position is theirs: a guest's read and write of a regular file move the host's
 * position, as they would without a sandbox (`(runsc run a; runsc run b) > log`).
 *
 * Not waiting in the host without O_NONBLOCK: sockets have MSG_DONTWAIT, pipes RWF_NOWAIT on newer
 * hosts. Otherwise we ask poll(2) first and then move at most PIPE_BUF bytes, which a pipe or
 * terminal that polls ready takes or gives at once. (Somebody outside who reads from the same pipe
 * could take the bytes in between; then a worker waits for the next ones.)
 *
 * Waiting: interest is armed in the event thread's set only while a guest waits, and once.
 */
#include "sentry/fs/host/hostfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "abi/errno.h"
#include "abi/fcntl.h"
#include "abi/poll.h"
#include "abi/signal.h"
#include "abi/tty.h"
#include "base/compiler.h"
#include "base/feature.h"
#include "base/mem.h"
#include "sentry/fs/devtmpfs/devices.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/hostpoll.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/task_block.h"
#include "sentry/mm/usermem.h"
#include "sentry/vfs/vfs.h"

#define CHUNK	   16384u
#define READ_SIDE  (ABI_POLLIN | ABI_POLLPRI | ABI_POLLRDHUP)
#define WRITE_SIDE ABI_POLLOUT

/* inode.private */
struct host {
	int fd;		       /* [I] owned */
	bool pollable;	       /* [I] otherwise always ready */
	bool is_tty;	       /* [I] */
	uint32_t access;       /* [I] ABI_O_ACCMODE and ABI_O_APPEND of the descriptor */
	struct kernel *kernel; /* [I] */
	struct hostpoll hp;
	struct waitqueue wq;
};

static struct host *host_of(const struct file *f)
{
	return f->inode->private;
}

/* ---- regular files ---- */

/* The file's own position is the host's. */
static void follow_host_position(struct file *f, int64_t *pos)
{
	off_t at = lseek(host_of(f)->fd, 0, SEEK_CUR);

	if (at >= 0)
		*pos = at;
}

static ssize_t regular_read(struct file *f, struct uio *to, int64_t *pos)
{
	bool own = pos == &f->pos;
	ssize_t n;

	worker_going_long();
	n = uio_pread_fd(to, host_of(f)->fd, own ? NULL : pos, to->left);
	if (own)
		follow_host_position(f, pos);
	return n;
}

static ssize_t regular_write(struct file *f, struct uio *from, int64_t *pos)
{
	bool own = pos == &f->pos || (host_of(f)->access & ABI_O_APPEND);
	ssize_t n;

	worker_going_long();
	n = uio_pwrite_fd(from, host_of(f)->fd, own ? NULL : pos, from->left);
	if (own)
		follow_host_position(f, pos);
	return n;
}

static int64_t regular_seek(struct file *f, int64_t offset, int whence)
{
	off_t at = lseek(host_of(f)->fd, offset, whence);

	if (at < 0)
		return -errno;
	f->pos = at;
	return at;
}

static int regular_fsync(struct file *f, bool data_only)
{
	worker_going_long();
	return (data_only ? fdatasync(host_of(f)->fd) : fsync(host_of(f)->fd)) < 0 ? -errno : 0;
}

/* A guest may use the descriptor as it likes, so it must have all the rights that go with it. */
static int regular_mmap_fd(struct file *f, uint32_t prot, uint32_t flags)
{
	bool can_write = (host_of(f)->access & ABI_O_ACCMODE) != ABI_O_RDONLY;

	(void)prot;
	(void)flags;
	if (can_write && !file_writable(f))
		return -ENODEV;
	return host_of(f)->fd;
}

static const struct file_ops regular_ops = {
    .read = regular_read,
    .write = regular_write,
    .seek = regular_seek,
    .fsync = regular_fsync,
    .mmap_fd = regular_mmap_fd,
};

/* ---- pipes, sockets, terminals ---- */

static bool may_retry_polled(int err)
{
	return err == EOPNOTSUPP || err == EINVAL || err == ENOSYS;
}

/* -EOPNOTSUPP and its like: before Linux 4.14, and where the file's kind can't. */
static ssize_t try_without_waiting(struct host *h, const struct iovec *iov, bool write)
{
	ssize_t n;

	if (feature_off(FEATURE_RWF_NOWAIT))
		return -EOPNOTSUPP;
	n = write ? pwritev2(h->fd, iov, 1, -1, RWF_NOWAIT)
		  : preadv2(h->fd, iov, 1, -1, RWF_NOWAIT);
	return n < 0 ? -errno : n;
}

/* Bytes or negative errno, without waiting. */
static ssize_t stream_get(struct host *h, mode_t type, void *buf, size_t size)
{
	struct iovec iov = {buf, size};
	ssize_t n;

	if (ABI_S_ISSOCK(type)) {
		n = recv(h->fd, buf, size, MSG_DONTWAIT);
		return n < 0 ? -errno : n;
	}
	n = try_without_waiting(h, &iov, false);
	if (n >= 0 || !may_retry_polled((int)-n))
		return n;
	if (!hostpoll_ready(h->fd, ABI_POLLIN))
		return -EAGAIN;
	n = read(h->fd, buf, size);
	return n < 0 ? -errno : n;
}

static ssize_t stream_put(struct host *h, mode_t type, void *buf, size_t size)
{
	struct iovec iov = {buf, size};
	ssize_t n;

	if (ABI_S_ISSOCK(type)) {
		n = send(h->fd, buf, size, MSG_DONTWAIT | MSG_NOSIGNAL);
		return n < 0 ? -errno : n;
	}
	n = try_without_waiting(h, &iov, true);
	if (n >= 0 || !may_retry_polled((int)-n))
		return n;
	if (!hostpoll_ready(h->fd, ABI_POLLOUT))
		return -EAGAIN;
	n = write(h->fd, buf, MIN(size, (size_t)PIPE_BUF));
	return n < 0 ? -errno : n;
}

static ssize_t stream_read(struct file *f, struct uio *to, int64_t *pos)
{
	char buf[CHUNK];
	ssize_t n;

	(void)pos;
	if (!to->left)
		return 0;
	do
		n = stream_get(host_of(f), f->inode->mode, buf, MIN(to->left, sizeof(buf)));
	while (n == -EINTR);
	return n > 0 ? uio_write(to, buf, (size_t)n) : n;
}

/* One chunk; moves `from` by what the host took. Bytes or negative errno. */
static ssize_t stream_write_chunk(struct file *f, struct uio *from)
{
	struct uio start = *from;
	char buf[CHUNK];
	ssize_t n = uio_read(from, buf, MIN(from->left, sizeof(buf)));
	ssize_t done;

	if (n <= 0)
		return n;
	do
		done = stream_put(host_of(f), f->inode->mode, buf, (size_t)n);
	while (done == -EINTR);
	if (done == n)
		return n;
	*from = start;
	return done > 0 ? uio_read(from, buf, (size_t)done) : done;
}

static ssize_t stream_write(struct file *f, struct uio *from, int64_t *pos)
{
	ssize_t total = 0, n = 0;

	(void)pos;
	while (from->left && (n = stream_write_chunk(f, from)) > 0)
		total += n;
	if (n == -EPIPE && from->task)
		signal_send_task(from->task, ABI_SIGPIPE, NULL);
	return total ? total : n;
}

static uint32_t stream_poll(struct file *f, struct poll_table *pt)
{
	struct host *h = host_of(f);
	uint32_t wanted = (file_readable(f) ? READ_SIDE : 0) | (file_writable(f) ? WRITE_SIDE : 0);
	uint32_t ready;
	bool waits;

	poll_wait(pt, &h->wq);
	ready = hostpoll_ready(h->fd, wanted);
	wanted &= ~ready;
	mutex_lock(&h->wq.lock);
	waits = !list_empty(&h->wq.entries);
	mutex_unlock(&h->wq.lock);
	if (h->pollable && waits && wanted && !(ready & (ABI_POLLHUP | ABI_POLLERR)))
		hostpoll_arm(h->kernel, &h->hp, wanted);
	if (ready & ABI_POLLIN)
		ready |= ABI_POLLRDNORM;
	if (ready & ABI_POLLOUT)
		ready |= ABI_POLLWRNORM;
	return ready;
}

static void became_ready(struct hostpoll *hp, uint32_t events)
{
	waitqueue_wake(&container_of(hp, struct host, hp)->wq, events);
}

static int64_t pending_bytes(struct host *h, struct task *t, uint64_t arg)
{
	int32_t size = 0;

	if (ioctl(h->fd, FIONREAD, &size) < 0)
		return -errno;
	return copy_to_user(t, uaddr(arg), &size, sizeof(size));
}

/* What a guest may ask of a host terminal that it was given as stdio: settings and size. */
static int64_t terminal_ioctl(struct host *h, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct abi_termios ts;
	struct abi_winsize ws;
	int err;

	switch (cmd) {
	case ABI_TCGETS:
		if (ioctl(h->fd, cmd, &ts) < 0)
			return -errno;
		return copy_to_user(t, uaddr(arg), &ts, sizeof(ts));
	case ABI_TCSETS:
	case ABI_TCSETSW:
	case ABI_TCSETSF:
		err = copy_from_user(t, &ts, uaddr(arg), sizeof(ts));
		if (err)
			return err;
		worker_going_long();
		return ioctl(h->fd, cmd, &ts) < 0 ? -errno : 0;
	case ABI_TIOCGWINSZ:
		if (ioctl(h->fd, cmd, &ws) < 0)
			return -errno;
		return copy_to_user(t, uaddr(arg), &ws, sizeof(ws));
	}
	return -ENOTTY;
}

static int64_t stream_ioctl(struct file *f, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct host *h = host_of(f);

	if (cmd == ABI_FIONREAD)
		return pending_bytes(h, t, arg);
	return h->is_tty ? terminal_ioctl(h, t, cmd, arg) : -ENOTTY;
}

static const struct file_ops stream_ops = {
    .read = stream_read,
    .write = stream_write,
    .poll = stream_poll,
    .ioctl = stream_ioctl,
    .no_seek = true,
};

/* ---- inodes ---- */

/* Opened again through /proc/self/fd: never with more rights than the descriptor has. */
static int host_open(struct inode *i, struct file *f)
{
	struct host *h = i->private;
	uint32_t have = h->access & ABI_O_ACCMODE;

	if ((file_readable(f) && have == ABI_O_WRONLY) ||
	    (file_writable(f) && have == ABI_O_RDONLY))
		return -EACCES;
	f->ops = ABI_S_ISREG(i->mode) ? &regular_ops : &stream_ops;
	return 0;
}

static int host_getattr(struct inode *i)
{
	const struct host *h = i->private;
	struct stat st;

	if (fstat(h->fd, &st) < 0)
		return -errno;
	mutex_lock(&i->lock);
	i->size = (uint64_t)st.st_size;
	i->blocks = (uint64_t)st.st_blocks;
	i->atime = (struct abi_timespec){st.st_atim.tv_sec, st.st_atim.tv_nsec};
	i->mtime = (struct abi_timespec){st.st_mtim.tv_sec, st.st_mtim.tv_nsec};
	i->ctime = (struct abi_timespec){st.st_ctim.tv_sec, st.st_ctim.tv_nsec};
	mutex_unlock(&i->lock);
	return 0;
}

/* The size is the host file's; owner and mode change for the guests only. */
static int host_setattr(struct inode *i, const struct iattr *attr)
{
	const struct host *h = i->private;

	if ((attr->valid & ATTR_SIZE) && ABI_S_ISREG(i->mode) &&
	    ftruncate(h->fd, (off_t)attr->size) < 0)
		return -errno;
	if (attr->valid & ATTR_MODE)
		i->mode = (i->mode & ABI_S_IFMT) | (attr->mode & ABI_S_IALLUGO);
	if (attr->valid & ATTR_UID)
		i->uid = attr->uid;
	if (attr->valid & ATTR_GID)
		i->gid = attr->gid;
	return 0;
}

static void host_evict(struct inode *i)
{
	struct host *h = i->private;

	hostpoll_remove(h->kernel, &h->hp);
	close(h->fd);
	waitqueue_destroy(&h->wq);
	free(h);
}

static const struct inode_ops host_inode_ops = {
    .open = host_open,
    .getattr = host_getattr,
    .setattr = host_setattr,
    .evict = host_evict,
};

/* ---- making ---- */

static char *name_of(const struct stat *st)
{
	unsigned long ino = (unsigned long)st->st_ino;

	if (S_ISFIFO(st->st_mode))
		return xasprintf("pipe:[%lu]", ino);
	if (S_ISSOCK(st->st_mode))
		return xasprintf("socket:[%lu]", ino);
	if (S_ISCHR(st->st_mode) && st->st_rdev == abi_makedev(1, 3))
		return xstrdup("/dev/null");
	return xasprintf("host:[%lu]", ino);
}

static struct inode *host_inode(struct kernel *k, struct host *h, const struct stat *st,
				const struct cred *cred)
{
	struct inode *i = inode_new(devices_host_sb(k), &host_inode_ops, st->st_ino, st->st_mode);

	/* The host's owners mean nothing here; runc gives stdio to the container's user. */
	i->uid = cred->euid;
	i->gid = cred->egid;
	i->rdev = st->st_rdev;
	i->private = h;
	host_getattr(i);
	return i;
}

static struct host *host_new(struct kernel *k, int fd, uint32_t access, const struct stat *st)
{
	struct host *h = xnew(struct host);
	struct abi_winsize ws;

	h->fd = fd;
	h->kernel = k;
	h->access = access;
	h->is_tty = S_ISCHR(st->st_mode) && ioctl(fd, TIOCGWINSZ, &ws) == 0;
	waitqueue_init(&h->wq);
	h->hp = (struct hostpoll){.fd = fd, .func = became_ready};
	h->pollable = hostpoll_add(k, &h->hp) == 0;
	return h;
}

int hostfile_new(struct kernel *k, int host_fd, const struct cred *cred, struct file **ret_file)
{
	int flags = fcntl(host_fd, F_GETFL);
	struct inode *inode;
	struct path p;
	struct stat st;
	struct file *f;
	char *name;
	int err;

	if (flags < 0 || fstat(host_fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode))
		return -EINVAL;
	flags &= O_ACCMODE | O_APPEND;
	inode = host_inode(k, host_new(k, host_fd, (uint32_t)flags, &st), &st, cred);
	name = name_of(&st);
	err = vfs_path_of_inode(k, name, inode, &p);
	free(name);
	if (err)
		return err;
	f = file_new(&p, (uint32_t)flags, cred);
	path_put(&p);
	err = host_open(f->inode, f);
	check(!err);
	if (ABI_S_ISREG(f->inode->mode))
		follow_host_position(f, &f->pos);
	*ret_file = f;
	return 0;
}
