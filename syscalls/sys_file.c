/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, closing, duplicating and controlling descriptors. */
#include "abi/caps.h"
#include "abi/errno.h"
#include "abi/resource.h"
#include "abi/tty.h"
#include "sentry/fs/pipe/pipe.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/lease.h"
#include "sentry/kernel/unsupported.h"
#include "sentry/vfs/locks.h"
#include "sentry/vfs/open.h"
#include "syscalls/sysfile.h"

/* ---- opening ---- */

/* What open and openat ignore quietly is cut; openat2 refuses it. */
#define OPEN_FLAGS                                                                                 \
	(ABI_O_ACCMODE | ABI_O_CREAT | ABI_O_EXCL | ABI_O_NOCTTY | ABI_O_TRUNC | ABI_O_APPEND |    \
	 ABI_O_NONBLOCK | ABI_O_DSYNC | ABI_O_ASYNC | ABI_O_DIRECT | ABI_O_LARGEFILE |             \
	 ABI_O_DIRECTORY | ABI_O_NOFOLLOW | ABI_O_NOATIME | ABI_O_CLOEXEC | ABI_O_SYNC |           \
	 ABI_O_PATH | ABI_O_TMPFILE)

static void put_file(void *f)
{
	file_put(f);
}

/* The file is there; a fifo may have to wait for its other side first. */
static int64_t finish_open(struct task *t, struct file *f, uint32_t flags)
{
	int64_t ret = ABI_S_ISFIFO(f->inode->mode) ? pipe_wait_open(t, f) : 0;

	if (ret == SYS_BLOCKED)
		return ret;
	t->call.data = NULL;
	if (!ret)
		ret = fd_install(t, f, 0, flags & ABI_O_CLOEXEC);
	if (ret < 0)
		file_put(f);
	else
		lease_opened(t, (int)ret, f);
	return ret;
}

static bool bad_combination(uint32_t flags)
{
	bool tmpfile = (flags & ABI_O_TMPFILE) == ABI_O_TMPFILE;

	if (tmpfile)
		return !(flags & (ABI_O_WRONLY | ABI_O_RDWR)) || (flags & ABI_O_CREAT);
	return (flags & ABI_O_CREAT) && (flags & ABI_O_DIRECTORY);
}

static int64_t do_open(struct task *t, int dfd, uint64_t name, uint32_t flags, uint32_t mode,
		       uint32_t lookup)
{
	char path[VFS_PATH_MAX];
	struct file *f = t->call.data;
	int64_t ret;

	if (f)
		return finish_open(t, f, flags);
	flags &= OPEN_FLAGS;
	if (bad_combination(flags))
		return -EINVAL;
	ret = path_from_user(t, name, path);
	if (!ret)
		ret = vfs_open_with(t, dfd, path, flags, mode, lookup, &f);
	if (ret)
		return ret;
	t->call.data = f;
	t->call.data_free = put_file;
	return finish_open(t, f, flags);
}

int64_t sys_open(struct task *t, const struct sysargs *a)
{
	return do_open(t, ABI_AT_FDCWD, a->arg[0], (uint32_t)a->arg[1], (uint32_t)a->arg[2], 0);
}

int64_t sys_openat(struct task *t, const struct sysargs *a)
{
	return do_open(t, abi_int(a->arg[0]), a->arg[1], (uint32_t)a->arg[2], (uint32_t)a->arg[3],
		       0);
}

int64_t sys_creat(struct task *t, const struct sysargs *a)
{
	return do_open(t, ABI_AT_FDCWD, a->arg[0], ABI_O_CREAT | ABI_O_WRONLY | ABI_O_TRUNC,
		       (uint32_t)a->arg[1], 0);
}

/* A struct that may be longer than we know if the rest is zero (copy_struct_from_user of Linux). */
static int64_t get_open_how(struct task *t, uint64_t va, uint64_t size, struct abi_open_how *how)
{
	char rest[64];
	uint64_t at = sizeof(*how);

	if (size < sizeof(*how))
		return -EINVAL;
	if (size > 4096)
		return -E2BIG;
	if (copy_from_user(t, how, uaddr(va), sizeof(*how)))
		return -EFAULT;
	while (at < size) {
		uint64_t n = MIN(size - at, (uint64_t)sizeof(rest));

		if (copy_from_user(t, rest, uaddr(va + at), n))
			return -EFAULT;
		for (uint64_t i = 0; i < n; i++)
			if (rest[i])
				return -E2BIG;
		at += n;
	}
	return 0;
}

static int64_t check_how(const struct abi_open_how *how)
{
	bool creates = (how->flags & ABI_O_CREAT) || (how->flags & ABI_O_TMPFILE) == ABI_O_TMPFILE;

	if (how->flags & ~(uint64_t)OPEN_FLAGS || how->resolve & ~0x3full)
		return -EINVAL;
	if ((how->resolve & ABI_RESOLVE_BENEATH) && (how->resolve & ABI_RESOLVE_IN_ROOT))
		return -EINVAL;
	if (how->mode & ~(uint64_t)ABI_S_IALLUGO || (how->mode && !creates))
		return -EINVAL;
	if ((how->flags & ABI_O_PATH) && (how->flags & ~(uint64_t)(ABI_O_PATH | ABI_O_DIRECTORY |
								   ABI_O_NOFOLLOW | ABI_O_CLOEXEC)))
		return -EINVAL;
	/* Nothing here says without asking whether a file system would have to be asked. */
	return how->resolve & ABI_RESOLVE_CACHED ? -EAGAIN : 0;
}

static uint32_t resolve_to_lookup(uint64_t resolve)
{
	uint32_t lookup = 0;

	if (resolve & ABI_RESOLVE_NO_XDEV)
		lookup |= LOOKUP_NO_XDEV;
	if (resolve & ABI_RESOLVE_NO_MAGICLINKS)
		lookup |= LOOKUP_NO_MAGICLINKS;
	if (resolve & ABI_RESOLVE_NO_SYMLINKS)
		lookup |= LOOKUP_NO_SYMLINKS | LOOKUP_NO_MAGICLINKS;
	if (resolve & ABI_RESOLVE_BENEATH)
		lookup |= LOOKUP_BENEATH;
	if (resolve & ABI_RESOLVE_IN_ROOT)
		lookup |= LOOKUP_IN_ROOT;
	return lookup;
}

int64_t sys_openat2(struct task *t, const struct sysargs *a)
{
	struct abi_open_how how;
	int64_t ret = get_open_how(t, a->arg[2], a->arg[3], &how);

	if (!ret)
		ret = check_how(&how);
	if (ret)
		return ret;
	return do_open(t, abi_int(a->arg[0]), a->arg[1], (uint32_t)how.flags, (uint32_t)how.mode,
		       resolve_to_lookup(how.resolve));
}

/* ---- closing ---- */

int64_t sys_install_pair(struct task *t, struct file *ends[2], bool cloexec, uint64_t va)
{
	int32_t fds[2];

	fds[0] = fd_install(t, ends[0], 0, cloexec);
	if (fds[0] < 0) {
		file_put(ends[0]);
		file_put(ends[1]);
		return fds[0];
	}
	fds[1] = fd_install(t, ends[1], 0, cloexec);
	if (fds[1] < 0) {
		fd_close(t, fds[0]);
		file_put(ends[1]);
		return fds[1];
	}
	if (copy_to_user(t, uaddr(va), fds, sizeof(fds))) {
		fd_close(t, fds[0]);
		fd_close(t, fds[1]);
		return -EFAULT;
	}
	return 0;
}

int64_t sys_close(struct task *t, const struct sysargs *a)
{
	return fd_close(t, abi_int(a->arg[0]));
}

int64_t sys_close_range(struct task *t, const struct sysargs *a)
{
	uint32_t first = (uint32_t)a->arg[0], last = (uint32_t)a->arg[1];
	uint32_t flags = (uint32_t)a->arg[2];
	struct file *f;

	if (flags & ~(uint32_t)(ABI_CLOSE_RANGE_UNSHARE | ABI_CLOSE_RANGE_CLOEXEC) || first > last)
		return -EINVAL;
	if (flags & ABI_CLOSE_RANGE_UNSHARE)
		files_unshare(t);
	for (int64_t fd = first; fd <= last && fd <= INT32_MAX; fd++) {
		fd = files_next(t->files, (int)fd, &f);
		if (fd < 0)
			break;
		file_put(f);
		if (fd > last)
			break;
		if (flags & ABI_CLOSE_RANGE_CLOEXEC)
			fd_set_cloexec(t, (int)fd, true);
		else
			fd_close(t, (int)fd);
	}
	return 0;
}

/* ---- duplicating ---- */

static int64_t dup_from(struct task *t, int fd, int from, bool cloexec)
{
	struct file *f = fd_get(t, fd);
	int ret;

	if (!f)
		return -EBADF;
	ret = fd_install(t, f, from, cloexec);
	if (ret < 0)
		file_put(f);
	return ret;
}

static int64_t dup_to(struct task *t, int fd, int to, bool cloexec)
{
	struct file *f = fd_get(t, fd);
	int ret;

	if (!f)
		return -EBADF;
	ret = fd_install_at(t, f, to, cloexec);
	if (ret < 0)
		file_put(f);
	return ret;
}

int64_t sys_dup(struct task *t, const struct sysargs *a)
{
	return dup_from(t, abi_int(a->arg[0]), 0, false);
}

int64_t sys_dup2(struct task *t, const struct sysargs *a)
{
	int fd = abi_int(a->arg[0]), to = abi_int(a->arg[1]);

	if (fd == to) {
		bool cloexec;

		return fd_get_cloexec(t, fd, &cloexec) ? -EBADF : fd;
	}
	return dup_to(t, fd, to, false);
}

int64_t sys_dup3(struct task *t, const struct sysargs *a)
{
	int fd = abi_int(a->arg[0]), to = abi_int(a->arg[1]);
	uint32_t flags = (uint32_t)a->arg[2];

	if (flags & ~(uint32_t)ABI_O_CLOEXEC || fd == to)
		return -EINVAL;
	return dup_to(t, fd, to, flags & ABI_O_CLOEXEC);
}

/* ---- fcntl ---- */

#define SETTABLE (ABI_O_APPEND | ABI_O_NONBLOCK | ABI_O_ASYNC | ABI_O_DIRECT | ABI_O_NOATIME)

static int64_t set_status_flags(struct task *t, struct file *f, uint32_t flags)
{
	uint32_t old = atomic_load(&f->flags);

	flags &= SETTABLE;
	if ((flags & ABI_O_NOATIME & ~old) && t->cred->fsuid != f->inode->uid &&
	    !cred_capable(t->cred, ABI_CAP_FOWNER))
		return -EPERM;
	if (flags & ~old & ABI_O_ASYNC)
		return unsupported(t, EINVAL, "O_ASYNC");
	while (!atomic_compare_exchange_weak(&f->flags, &old, (old & ~(uint32_t)SETTABLE) | flags))
		;
	return 0;
}

static int64_t get_owner_ex(struct task *t, struct file *f, uint64_t va)
{
	struct abi_f_owner_ex o = {.type = ABI_F_OWNER_PID, .pid = f->owner};

	if (o.pid < 0) {
		o.type = ABI_F_OWNER_PGRP;
		o.pid = -o.pid;
	}
	return copy_to_user(t, uaddr(va), &o, sizeof(o));
}

static int64_t set_owner_ex(struct task *t, struct file *f, uint64_t va)
{
	struct abi_f_owner_ex o;

	if (copy_from_user(t, &o, uaddr(va), sizeof(o)))
		return -EFAULT;
	if (o.type < ABI_F_OWNER_TID || o.type > ABI_F_OWNER_PGRP || o.pid < 0)
		return -EINVAL;
	f->owner = o.type == ABI_F_OWNER_PGRP ? -o.pid : o.pid;
	return 0;
}

static int64_t pipe_fcntl(struct file *f, int cmd, uint64_t arg)
{
	struct pipe *p = pipe_of(f);

	if (!p)
		return -EBADF;
	return cmd == ABI_F_GETPIPE_SZ ? pipe_size(p)
				       : pipe_set_size(p, (uint32_t)MIN(arg, (uint64_t)UINT32_MAX));
}

/*
 * A POSIX lock ends with any close of its file. One that another thread closed meanwhile has found
 * nothing to end, so the lock is given up here.
 */
static int64_t posix_lock(struct task *t, struct file *f, int fd, int cmd, uint64_t arg)
{
	int64_t ret = locks_fcntl(t, f, cmd, uaddr(arg));
	struct file *now;

	if (ret)
		return ret;
	now = fd_get(t, fd);
	if (now)
		file_put(now);
	if (now == f)
		return 0;
	locks_files_closed(f->inode, t->files);
	return -EBADF;
}

static int64_t fcntl_file(struct task *t, struct file *f, int fd, int cmd, uint64_t arg)
{
	switch (cmd) {
	case ABI_F_SETLK:
	case ABI_F_SETLKW:
		return posix_lock(t, f, fd, cmd, arg);
	case ABI_F_GETLK:
	case ABI_F_OFD_GETLK:
	case ABI_F_OFD_SETLK:
	case ABI_F_OFD_SETLKW:
		return locks_fcntl(t, f, cmd, uaddr(arg));
	case ABI_F_SETFL:
		return set_status_flags(t, f, (uint32_t)arg);
	case ABI_F_SETOWN:
		if (abi_int(arg) == INT32_MIN)
			return -EINVAL;
		f->owner = abi_int(arg);
		return 0;
	case ABI_F_GETOWN:
		return f->owner;
	case ABI_F_SETOWN_EX:
		return set_owner_ex(t, f, arg);
	case ABI_F_GETOWN_EX:
		return get_owner_ex(t, f, arg);
	case ABI_F_SETSIG:
		return arg > 64 ? -EINVAL : 0;
	case ABI_F_GETSIG:
		return 0;
	case ABI_F_SETPIPE_SZ:
	case ABI_F_GETPIPE_SZ:
		return pipe_fcntl(f, cmd, arg);
	case ABI_F_ADD_SEALS:
		return tmpfs_add_seals(f, (uint32_t)arg);
	case ABI_F_GET_SEALS:
		return tmpfs_get_seals(f);
	case ABI_F_GETLEASE:
		return ABI_F_UNLCK;
	case ABI_F_SETLEASE:
	case ABI_F_NOTIFY:
	case ABI_F_GET_RW_HINT:
	case ABI_F_SET_RW_HINT:
		return unsupported(t, EINVAL, "fcntl command %d", cmd);
	default:
		return -EINVAL;
	}
}

static int64_t fcntl_cloexec(struct task *t, int fd, int cmd, uint64_t arg)
{
	bool cloexec;
	int err;

	if (cmd == ABI_F_SETFD)
		return fd_set_cloexec(t, fd, arg & ABI_FD_CLOEXEC);
	err = fd_get_cloexec(t, fd, &cloexec);
	return err ? err : cloexec ? ABI_FD_CLOEXEC : 0;
}

static int64_t dupfd_query(struct task *t, struct file *f, int other)
{
	struct file *g = fd_get(t, other);
	bool same = f == g;

	if (!g)
		return -EBADF;
	file_put(g);
	return same;
}

/* The commands that work on O_PATH descriptors too. */
static int64_t fcntl_any(struct task *t, struct file *f, int fd, int cmd, uint64_t arg)
{
	switch (cmd) {
	case ABI_F_DUPFD:
		return dup_from(t, fd, abi_int(arg), false);
	case ABI_F_DUPFD_CLOEXEC:
		return dup_from(t, fd, abi_int(arg), true);
	case ABI_F_GETFD:
	case ABI_F_SETFD:
		return fcntl_cloexec(t, fd, cmd, arg);
	case ABI_F_GETFL:
		return (int64_t)atomic_load(&f->flags);
	case ABI_F_DUPFD_QUERY:
		return dupfd_query(t, f, abi_int(arg));
	default:
		return f->flags & ABI_O_PATH ? -EBADF : fcntl_file(t, f, fd, cmd, arg);
	}
}

int64_t sys_fcntl(struct task *t, const struct sysargs *a)
{
	int fd = abi_int(a->arg[0]), cmd = abi_int(a->arg[1]);
	struct file *f = fd_get(t, fd);
	int64_t ret;

	if (!f)
		return -EBADF;
	ret = fcntl_any(t, f, fd, cmd, a->arg[2]);
	file_put(f);
	return ret;
}

int64_t sys_flock(struct task *t, const struct sysargs *a)
{
	struct file *f = fd_get_io(t, abi_int(a->arg[0]));
	int64_t ret;

	if (!f)
		return -EBADF;
	ret = locks_flock(t, f, abi_int(a->arg[1]));
	file_put(f);
	return ret;
}

/* ---- ioctl ---- */

static int64_t set_nonblock(struct task *t, struct file *f, uint64_t va)
{
	int32_t on;

	if (copy_from_user(t, &on, uaddr(va), sizeof(on)))
		return -EFAULT;
	if (on)
		atomic_fetch_or(&f->flags, ABI_O_NONBLOCK);
	else
		atomic_fetch_and(&f->flags, ~(uint32_t)ABI_O_NONBLOCK);
	return 0;
}

/* What is left to read in a regular file. */
static int64_t regular_readable(struct task *t, struct file *f, uint64_t va)
{
	int32_t left = (int32_t)((int64_t)f->inode->size - f->pos);

	return copy_to_user(t, uaddr(va), &left, sizeof(left));
}

static int64_t ioctl_file(struct task *t, struct file *f, int fd, uint32_t cmd, uint64_t arg)
{
	int64_t ret;

	switch (cmd) {
	case ABI_FIOCLEX:
		return fd_set_cloexec(t, fd, true);
	case ABI_FIONCLEX:
		return fd_set_cloexec(t, fd, false);
	case ABI_FIONBIO:
		return set_nonblock(t, f, arg);
	case ABI_FIONREAD:
		if (ABI_S_ISREG(f->inode->mode))
			return regular_readable(t, f, arg);
		break;
	}
	ret = f->ops->ioctl ? f->ops->ioctl(f, t, cmd, arg) : -ENOTTY;
	return ret == -ENOIOCTLCMD ? -ENOTTY : ret;
}

int64_t sys_ioctl(struct task *t, const struct sysargs *a)
{
	int fd = abi_int(a->arg[0]);
	struct file *f = fd_get_io(t, fd);
	int64_t ret;

	if (!f)
		return -EBADF;
	ret = ioctl_file(t, f, fd, (uint32_t)a->arg[1], a->arg[2]);
	file_put(f);
	return ret;
}

/* ---- syncing and advice ---- */

static int64_t do_fsync(struct task *t, int fd, bool data_only)
{
	struct file *f = fd_get_io(t, fd);
	int64_t ret = 0;

	if (!f)
		return -EBADF;
	if (f->ops->fsync) {
		worker_going_long();
		ret = f->ops->fsync(f, data_only);
	} else if (!ABI_S_ISREG(f->inode->mode) && !ABI_S_ISDIR(f->inode->mode)) {
		ret = -EINVAL;
	}
	file_put(f);
	return ret;
}

int64_t sys_fsync(struct task *t, const struct sysargs *a)
{
	return do_fsync(t, abi_int(a->arg[0]), false);
}

int64_t sys_fdatasync(struct task *t, const struct sysargs *a)
{
	return do_fsync(t, abi_int(a->arg[0]), true);
}

int64_t sys_sync_file_range(struct task *t, const struct sysargs *a)
{
	if ((uint32_t)a->arg[3] & ~7u || (int64_t)a->arg[1] < 0 || (int64_t)a->arg[2] < 0)
		return -EINVAL;
	return do_fsync(t, abi_int(a->arg[0]), true);
}

int64_t sys_syncfs(struct task *t, const struct sysargs *a)
{
	struct file *f = fd_get_io(t, abi_int(a->arg[0]));
	struct super_block *sb;
	int64_t ret = 0;

	if (!f)
		return -EBADF;
	sb = f->inode->sb;
	if (sb->ops->sync) {
		worker_going_long();
		ret = sb->ops->sync(sb);
	}
	file_put(f);
	return ret;
}

int64_t sys_sync(struct task *t, const struct sysargs *a)
{
	(void)a;
	worker_going_long();
	vfs_sync_all(t->kernel);
	return 0;
}

/*
 * Advice about a page cache that is the host's. What is said about a range is handed on; what is
 * said about a descriptor (SEQUENTIAL, RANDOM, NOREUSE) isn't: the host's is shared by all who have
 * the file open.
 */
static int64_t advise(struct file *f, int64_t offset, int64_t size, int advice)
{
	if (f->ops->no_seek)
		return -ESPIPE;
	if (size < 0 || advice < 0 || advice > ABI_POSIX_FADV_NOREUSE)
		return -EINVAL;
	if (f->ops->advise && offset >= 0 &&
	    (advice == ABI_POSIX_FADV_WILLNEED || advice == ABI_POSIX_FADV_DONTNEED))
		f->ops->advise(f, offset, size, advice);
	return 0;
}

int64_t sys_fadvise64(struct task *t, const struct sysargs *a)
{
	struct file *f = fd_get_io(t, abi_int(a->arg[0]));
	int64_t ret;

	if (!f)
		return -EBADF;
	ret = advise(f, (int64_t)a->arg[1], (int64_t)a->arg[2], abi_int(a->arg[3]));
	file_put(f);
	return ret;
}

int64_t sys_readahead(struct task *t, const struct sysargs *a)
{
	struct file *f = fd_get_io(t, abi_int(a->arg[0]));
	int64_t ret = -EBADF, size = (int64_t)a->arg[2];

	if (f && file_readable(f))
		ret = ABI_S_ISREG(f->inode->mode) ? 0 : -EINVAL;
	/* To fadvise a size of 0 is all of the file. */
	if (!ret && size)
		ret = advise(f, (int64_t)a->arg[1], size, ABI_POSIX_FADV_WILLNEED);
	file_put(f);
	return ret;
}

/* ---- size ---- */

int64_t sys_ftruncate(struct task *t, const struct sysargs *a)
{
	struct file *f = fd_get_io(t, abi_int(a->arg[0]));
	int64_t ret = -EINVAL;

	if (!f)
		return -EBADF;
	if ((int64_t)a->arg[1] >= 0 && file_writable(f) && ABI_S_ISREG(f->inode->mode))
		ret = vfs_truncate(t, f->inode, a->arg[1]);
	file_put(f);
	return ret;
}

static int64_t truncate_path(struct task *t, const struct path *p, uint64_t size)
{
	struct inode *i = dentry_inode(p->dentry);
	int64_t ret;

	if (ABI_S_ISDIR(i->mode))
		return -EISDIR;
	if (!ABI_S_ISREG(i->mode))
		return -EINVAL;
	ret = vfs_permission(i, t->cred, MAY_WRITE);
	if (!ret && (mount_flags(p->mount) & ABI_MS_RDONLY))
		ret = -EROFS;
	return ret ? ret : vfs_truncate(t, i, size);
}

int64_t sys_truncate(struct task *t, const struct sysargs *a)
{
	char name[VFS_PATH_MAX];
	struct path p;
	int64_t ret;

	if ((int64_t)a->arg[1] < 0)
		return -EINVAL;
	ret = path_from_user(t, a->arg[0], name);
	if (!ret)
		ret = vfs_lookup(t, ABI_AT_FDCWD, name, LOOKUP_FOLLOW, &p, NULL);
	if (ret)
		return ret;
	ret = truncate_path(t, &p, a->arg[1]);
	path_put(&p);
	return ret;
}

static int64_t fallocate_file(struct task *t, struct file *f, int mode, int64_t offset,
			      int64_t size)
{
	int64_t end;

	if (offset < 0 || size <= 0)
		return -EINVAL;
	if ((mode & ABI_FALLOC_FL_PUNCH_HOLE) && !(mode & ABI_FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	if (!file_writable(f))
		return -EBADF;
	if (ABI_S_ISFIFO(f->inode->mode))
		return -ESPIPE;
	if (!ABI_S_ISREG(f->inode->mode))
		return -ENODEV;
	if (__builtin_add_overflow(offset, size, &end))
		return -EFBIG;
	if (!(mode & ABI_FALLOC_FL_KEEP_SIZE) && (uint64_t)end > task_rlimit(t, ABI_RLIMIT_FSIZE))
		return -EFBIG;
	if (!f->ops->fallocate)
		return -EOPNOTSUPP;
	worker_going_long();
	return f->ops->fallocate(f, mode, offset, size);
}

int64_t sys_fallocate(struct task *t, const struct sysargs *a)
{
	struct file *f = fd_get_io(t, abi_int(a->arg[0]));
	int64_t ret;

	if (!f)
		return -EBADF;
	ret = fallocate_file(t, f, abi_int(a->arg[1]), (int64_t)a->arg[2], (int64_t)a->arg[3]);
	file_put(f);
	return ret;
}
