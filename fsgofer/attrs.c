/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests about one file: opening it, its attributes, its extended attributes.
 *
 * A handle's O_PATH descriptor can't be read, truncated or synced. What needs a real descriptor
 * opens the same inode again through /proc/self/fd/N, which no rename can lead astray. The type
 * comes from that inode as well and never changes, so a device or fifo is never opened.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/hostcall.h"
#include "fsgofer/request.h"

static struct gofer_time time_from(const struct statx_timestamp *t)
{
	return (struct gofer_time){.sec = t->tv_sec, .nsec = t->tv_nsec};
}

int get_attr(int fd, const char *name, struct gofer_attr *ret_attr)
{
	int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (*name ? 0 : AT_EMPTY_PATH);
	struct statx st;
	int err = host_statx(fd, name, flags, STATX_BASIC_STATS | STATX_BTIME, &st);

	if (err)
		return err;
	*ret_attr = (struct gofer_attr){
	    .dev = makedev(st.stx_dev_major, st.stx_dev_minor),
	    .ino = st.stx_ino,
	    .size = st.stx_size,
	    .blocks = st.stx_blocks,
	    .mode = st.stx_mode,
	    .nlink = st.stx_nlink,
	    .uid = st.stx_uid,
	    .gid = st.stx_gid,
	    .rdev_major = st.stx_rdev_major,
	    .rdev_minor = st.stx_rdev_minor,
	    .blksize = st.stx_blksize,
	    .atime = time_from(&st.stx_atime),
	    .mtime = time_from(&st.stx_mtime),
	    .ctime = time_from(&st.stx_ctime),
	};
	if (st.stx_mask & STATX_BTIME)
		ret_attr->btime = time_from(&st.stx_btime);
	return 0;
}

void get_attr_after(int fd, struct gofer_attr *ret_attr)
{
	struct gofer_attr attr;

	if (get_attr(fd, "", &attr) == 0)
		*ret_attr = attr;
}

int open_flags(uint32_t flags)
{
	static const struct {
		uint32_t ours;
		int host;
	} map[] = {{GOFER_OPEN_TRUNC, O_TRUNC},
		   {GOFER_OPEN_APPEND, O_APPEND},
		   {GOFER_OPEN_DIRECT, O_DIRECT},
		   {GOFER_OPEN_SYNC, O_SYNC},
		   {GOFER_OPEN_DSYNC, O_DSYNC}};
	int host = O_RDONLY;

	if (flags & GOFER_OPEN_WRITE)
		host = flags & GOFER_OPEN_READ ? O_RDWR : O_WRONLY;
	for (size_t i = 0; i < array_count(map); i++)
		if (flags & map[i].ours)
			host |= map[i].host;
	return host | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
}

int reopen(const struct gofer_conn *c, int path_fd, uint32_t mode, int flags)
{
	int fd;

	if (!S_ISREG(mode) && !S_ISDIR(mode))
		return S_ISLNK(mode) ? -ELOOP : -ENXIO;
	/* The entry of /proc/self/fd is itself the link to follow. */
	fd = openat(c->server->proc_fd, fd_name(path_fd).text,
		    (flags & ~O_NOFOLLOW) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

/* For calls that change or read metadata: any rights do. */
static int reopen_any(const struct gofer_conn *c, int path_fd)
{
	struct gofer_attr attr;
	int err = get_attr(path_fd, "", &attr);

	return err ? err : reopen(c, path_fd, attr.mode, O_RDONLY);
}

static int reply_attr(struct gofer_conn *c, int fd)
{
	struct gofer_reply_attr *reply = reply_begin(c, sizeof(*reply));

	return get_attr(fd, "", &reply->attr);
}

int do_open(struct gofer_conn *c)
{
	const struct gofer_req_open *req = (const void *)c->req;
	bool write = req->flags & GOFER_OPEN_WRITE;
	struct gofer_attr attr;
	int fd, err;

	if (req->zero || req->flags & ~GOFER_OPEN_ALL ||
	    !(req->flags & (GOFER_OPEN_READ | GOFER_OPEN_WRITE)) ||
	    (!write && req->flags & GOFER_OPEN_TRUNC))
		return malformed(c, "open with wrong flags");
	cleanup_held struct held file = hold(c, req->handle, HANDLE_PATH);
	if (!file.h)
		return -ESTALE;
	if (write && file.h->readonly)
		return -EROFS;
	err = get_attr(file.h->fd, "", &attr);
	if (err)
		return err;
	if (S_ISDIR(attr.mode))
		return -EISDIR;
	fd = reopen(c, file.h->fd, attr.mode, open_flags(req->flags));
	if (fd < 0)
		return fd;
	if (req->flags & GOFER_OPEN_TRUNC)
		get_attr_after(fd, &attr);
	((struct gofer_reply_attr *)reply_begin(c, sizeof(struct gofer_reply_attr)))->attr = attr;
	c->reply_fd = fd;
	return 0;
}

int do_readlink(struct gofer_conn *c)
{
	const struct gofer_req_handle *req = (const void *)c->req;
	struct gofer_reply_data *reply;
	ssize_t n;

	cleanup_held struct held link = hold(c, req->handle, HANDLE_PATH);
	if (!link.h)
		return -ESTALE;
	reply = reply_begin(c, sizeof(*reply) + GOFER_TARGET_MAX + 1);
	n = readlinkat(link.h->fd, "", (char *)(reply + 1), GOFER_TARGET_MAX + 1);
	if (n < 0)
		return errno == ENOENT ? -EINVAL : -errno; /* so for other types than symlinks */
	if (n > (ssize_t)GOFER_TARGET_MAX)
		return -ENAMETOOLONG;
	reply_data_end(c, (size_t)n);
	return 0;
}

int do_getattr(struct gofer_conn *c)
{
	const struct gofer_req_handle *req = (const void *)c->req;

	cleanup_held struct held file = hold(c, req->handle, HANDLE_PATH);
	return file.h ? reply_attr(c, file.h->fd) : -ESTALE;
}

int do_getattr_at(struct gofer_conn *c)
{
	const struct gofer_req_handle *req = (const void *)c->req;
	const char *name = only_name(c, sizeof(*req));
	struct gofer_reply_attr *reply;

	if (!name)
		return -EBADMSG;
	cleanup_held struct held dir = hold(c, req->handle, HANDLE_PATH);
	if (!dir.h)
		return -ESTALE;
	reply = reply_begin(c, sizeof(*reply));
	return get_attr(dir.h->fd, name, &reply->attr);
}

static bool setattr_ok(const struct gofer_req_setattr *req)
{
	uint32_t valid = req->valid;

	if (valid & ~GOFER_SET_ALL || req->mode & ~07777u || req->size > INT64_MAX)
		return false;
	if ((valid & GOFER_SET_UID && req->uid == UINT32_MAX) ||
	    (valid & GOFER_SET_GID && req->gid == UINT32_MAX))
		return false;
	if ((valid & GOFER_SET_ATIME && valid & GOFER_SET_ATIME_NOW) ||
	    (valid & GOFER_SET_MTIME && valid & GOFER_SET_MTIME_NOW))
		return false;
	return req->atime.nsec < 1000000000 && req->mtime.nsec < 1000000000;
}

static int set_owner(int fd, const struct gofer_req_setattr *req)
{
	uid_t uid = req->valid & GOFER_SET_UID ? req->uid : (uid_t)-1;
	gid_t gid = req->valid & GOFER_SET_GID ? req->gid : (gid_t)-1;

	return fchownat(fd, "", uid, gid, AT_EMPTY_PATH) ? -errno : 0;
}

static int set_mode(const struct gofer_conn *c, int path_fd, uint32_t type, uint32_t mode)
{
	if (S_ISLNK(type))
		return -EOPNOTSUPP;
	return fchmodat(c->server->proc_fd, fd_name(path_fd).text, mode, 0) ? -errno : 0;
}

static int set_size(const struct gofer_conn *c, int path_fd, uint32_t type, uint64_t size)
{
	cleanup_fd int fd = -1;

	if (!S_ISREG(type))
		return S_ISDIR(type) ? -EISDIR : -EINVAL;
	fd = reopen(c, path_fd, type, O_WRONLY);
	if (fd < 0)
		return fd;
	return ftruncate(fd, (off_t)size) ? -errno : 0;
}

static struct timespec time_to_set(const struct gofer_time *t, bool given, bool now)
{
	if (given)
		return (struct timespec){.tv_sec = t->sec, .tv_nsec = t->nsec};
	return (struct timespec){.tv_nsec = now ? UTIME_NOW : UTIME_OMIT};
}

/* Through /proc: utimensat knows AT_EMPTY_PATH only since Linux 5.8. */
static int set_times(const struct gofer_conn *c, int fd, const struct gofer_req_setattr *req)
{
	struct timespec times[2] = {
	    time_to_set(&req->atime, req->valid & GOFER_SET_ATIME,
			req->valid & GOFER_SET_ATIME_NOW),
	    time_to_set(&req->mtime, req->valid & GOFER_SET_MTIME,
			req->valid & GOFER_SET_MTIME_NOW),
	};

	return utimensat(c->server->proc_fd, fd_name(fd).text, times, 0) ? -errno : 0;
}

static int set_attrs(const struct gofer_conn *c, int fd, const struct gofer_req_setattr *req)
{
	const uint32_t times =
	    GOFER_SET_ATIME | GOFER_SET_MTIME | GOFER_SET_ATIME_NOW | GOFER_SET_MTIME_NOW;
	struct gofer_attr attr;
	int err = get_attr(fd, "", &attr);

	if (!err && req->valid & (GOFER_SET_UID | GOFER_SET_GID))
		err = set_owner(fd, req);
	if (!err && req->valid & GOFER_SET_MODE)
		err = set_mode(c, fd, attr.mode, req->mode);
	if (!err && req->valid & GOFER_SET_SIZE)
		err = set_size(c, fd, attr.mode, req->size);
	if (!err && req->valid & times)
		err = set_times(c, fd, req);
	return err;
}

int do_setattr(struct gofer_conn *c)
{
	const struct gofer_req_setattr *req = (const void *)c->req;
	int err;

	if (!setattr_ok(req))
		return malformed(c, "setattr with wrong fields");
	cleanup_held struct held file = hold(c, req->handle, HANDLE_PATH);
	if (!file.h)
		return -ESTALE;
	if (file.h->readonly)
		return -EROFS;
	err = set_attrs(c, file.h->fd, req);
	return err ? err : reply_attr(c, file.h->fd);
}

int do_statfs(struct gofer_conn *c)
{
	const struct gofer_req_handle *req = (const void *)c->req;
	struct gofer_reply_statfs *reply;
	struct statfs st;

	cleanup_held struct held file = hold(c, req->handle, HANDLE_PATH);
	if (!file.h)
		return -ESTALE;
	if (fstatfs(file.h->fd, &st))
		return -errno;
	reply = reply_begin(c, sizeof(*reply));
	reply->type = (uint64_t)st.f_type;
	reply->bsize = (uint64_t)st.f_bsize;
	reply->blocks = st.f_blocks;
	reply->bfree = st.f_bfree;
	reply->bavail = st.f_bavail;
	reply->files = st.f_files;
	reply->ffree = st.f_ffree;
	reply->namelen = (uint64_t)st.f_namelen;
	reply->frsize = (uint64_t)st.f_frsize;
	return 0;
}

int do_fsync(struct gofer_conn *c)
{
	const struct gofer_req_fsync *req = (const void *)c->req;
	cleanup_fd int fd = -1;

	if (req->zero || req->data_only > 1)
		return malformed(c, "fsync with wrong fields");
	cleanup_held struct held file = hold(c, req->handle, HANDLE_PATH);
	if (!file.h)
		return -ESTALE;
	fd = reopen_any(c, file.h->fd);
	if (fd < 0)
		return fd;
	if (req->data_only ? fdatasync(fd) : fsync(fd))
		return -errno;
	reply_begin(c, sizeof(struct gofer_header));
	return 0;
}

void reply_data_end(struct gofer_conn *c, size_t size)
{
	struct gofer_reply_data *reply = (void *)c->reply;

	reply->size = (uint32_t)size;
	c->reply_size = sizeof(*reply) + size;
	reply->h.size = (uint32_t)c->reply_size;
}
