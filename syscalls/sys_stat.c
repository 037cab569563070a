/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes of files: reading and changing them, and who may access. */
#include <string.h>

#include "abi/caps.h"
#include "abi/time.h"
#include "sentry/kernel/cred.h"
#include "sentry/vfs/mount.h"
#include "syscalls/sysfile.h"

/* The name of an *at call, and what AT_EMPTY_PATH adds to the flags of its lookup. */
static int at_name(struct task *t, uint64_t name, uint32_t at_flags, char path[VFS_PATH_MAX],
		   uint32_t *lookup_flags)
{
	if (at_flags & ABI_AT_EMPTY_PATH)
		*lookup_flags |= LOOKUP_EMPTY;
	if ((at_flags & ABI_AT_EMPTY_PATH) && !name) {
		path[0] = 0;
		return 0;
	}
	return path_from_user(t, name, path);
}

/*
 * The path of an *at call: name below dfd; with AT_EMPTY_PATH and "" (or a NULL name, as newer
 * kernels take it) dfd itself. References.
 */
static int at_path(struct task *t, int dfd, uint64_t name, uint32_t at_flags, bool follow,
		   struct path *ret)
{
	uint32_t flags = follow ? LOOKUP_FOLLOW : 0;
	char path[VFS_PATH_MAX];
	int err = at_name(t, name, at_flags, path, &flags);

	return err ? err : vfs_lookup(t, dfd, path, flags, ret, NULL);
}

/* The open file's path. io: O_PATH descriptors are refused. */
static int fd_path(struct task *t, int fd, bool io, struct path *ret)
{
	struct file *f = io ? fd_get_io(t, fd) : fd_get(t, fd);

	if (!f)
		return -EBADF;
	*ret = f->path;
	path_get(ret);
	file_put(f);
	return 0;
}

/* ---- stat ---- */

static int64_t put_stat(struct task *t, const struct path *p, uint64_t va)
{
	struct abi_stat st;
	int err = vfs_stat(p, &st);

	return err ? err : copy_to_user(t, uaddr(va), &st, sizeof(st));
}

/* fstat by another name. */
static void note_fstat(struct task *t, int fd)
{
	struct fd_io io = fd_borrow_io(t, fd);

	if (io.file)
		lease_note(t, fd, io.file);
	fd_return(&io);
}

static int64_t do_stat(struct task *t, int dfd, uint64_t name, uint64_t va, uint32_t flags)
{
	uint32_t lookup = flags & ABI_AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW;
	char path[VFS_PATH_MAX];
	struct abi_stat st;
	int err = at_name(t, name, flags, path, &lookup);

	if (!err)
		err = vfs_stat_name(t, dfd, path, lookup, &st);
	if (!err && flags == ABI_AT_EMPTY_PATH && !path[0])
		note_fstat(t, dfd);
	return err ? err : copy_to_user(t, uaddr(va), &st, sizeof(st));
}

int64_t sys_stat(struct task *t, const struct sysargs *a)
{
	return do_stat(t, ABI_AT_FDCWD, a->arg[0], a->arg[1], 0);
}

int64_t sys_lstat(struct task *t, const struct sysargs *a)
{
	return do_stat(t, ABI_AT_FDCWD, a->arg[0], a->arg[1], ABI_AT_SYMLINK_NOFOLLOW);
}

int64_t sys_newfstatat(struct task *t, const struct sysargs *a)
{
	uint32_t flags = (uint32_t)a->arg[3];

	if (flags & ~(uint32_t)(ABI_AT_SYMLINK_NOFOLLOW | ABI_AT_NO_AUTOMOUNT | ABI_AT_EMPTY_PATH))
		return -EINVAL;
	return do_stat(t, abi_int(a->arg[0]), a->arg[1], a->arg[2], flags);
}

int64_t sys_fstat(struct task *t, const struct sysargs *a)
{
	struct fd_io io = fd_borrow(t, abi_int(a->arg[0]));
	int64_t ret;

	if (!io.file)
		return -EBADF;
	ret = put_stat(t, &io.file->path, a->arg[1]);
	lease_note(t, abi_int(a->arg[0]), io.file);
	fd_return(&io);
	return ret;
}

static struct abi_statx_timestamp statx_time(uint64_t sec, uint64_t nsec)
{
	return (struct abi_statx_timestamp){.sec = (int64_t)sec, .nsec = (uint32_t)nsec};
}

static int fill_statx(const struct path *p, struct abi_statx *x)
{
	struct inode *i = dentry_inode(p->dentry);
	struct abi_stat st;
	int err = vfs_stat(p, &st);

	if (err)
		return err;
	*x = (struct abi_statx){
	    .mask = ABI_STATX_BASIC_STATS | ABI_STATX_BTIME | ABI_STATX_MNT_ID,
	    .blksize = (uint32_t)st.blksize,
	    .attributes_mask = ABI_STATX_ATTR_MOUNT_ROOT,
	    .nlink = (uint32_t)st.nlink,
	    .uid = st.uid,
	    .gid = st.gid,
	    .mode = (uint16_t)st.mode,
	    .ino = st.ino,
	    .size = (uint64_t)st.size,
	    .blocks = (uint64_t)st.blocks,
	    .atime = statx_time(st.atime, st.atime_nsec),
	    .btime = statx_time((uint64_t)i->btime.sec, (uint64_t)i->btime.nsec),
	    .ctime = statx_time(st.ctime, st.ctime_nsec),
	    .mtime = statx_time(st.mtime, st.mtime_nsec),
	    .rdev_major = abi_major(st.rdev),
	    .rdev_minor = abi_minor(st.rdev),
	    .dev_major = abi_major(st.dev),
	    .dev_minor = abi_minor(st.dev),
	    .mnt_id = (uint64_t)mount_id(p->mount),
	};
	if (mount_root_is(p))
		x->attributes |= ABI_STATX_ATTR_MOUNT_ROOT;
	return 0;
}

int64_t sys_statx(struct task *t, const struct sysargs *a)
{
	uint32_t flags = (uint32_t)a->arg[2];
	struct abi_statx x;
	struct path p;
	int64_t ret;

	if (flags & ~(uint32_t)(ABI_AT_SYMLINK_NOFOLLOW | ABI_AT_NO_AUTOMOUNT | ABI_AT_EMPTY_PATH |
				ABI_AT_STATX_SYNC_TYPE) ||
	    (flags & ABI_AT_STATX_SYNC_TYPE) == ABI_AT_STATX_SYNC_TYPE)
		return -EINVAL;
	if (a->arg[3] & ABI_STATX_RESERVED)
		return -EINVAL;
	ret = at_path(t, abi_int(a->arg[0]), a->arg[1], flags, !(flags & ABI_AT_SYMLINK_NOFOLLOW),
		      &p);
	if (ret)
		return ret;
	ret = fill_statx(&p, &x);
	path_put(&p);
	return ret ? ret : copy_to_user(t, uaddr(a->arg[4]), &x, sizeof(x));
}

/* ---- statfs ---- */

static int64_t put_statfs(struct task *t, const struct path *p, uint64_t va)
{
	struct super_block *sb = dentry_inode(p->dentry)->sb;
	struct abi_statfs s = {.bsize = 4096, .frsize = 4096, .namelen = VFS_NAME_MAX};
	int err = -ENOSYS;

	if (sb->ops->statfs)
		err = sb->ops->statfs(sb, &s);
	if (err)
		return err;
	s.fsid[0] = (int32_t)sb->dev;
	s.flags = ABI_ST_VALID | mount_statfs_flags(p->mount);
	return copy_to_user(t, uaddr(va), &s, sizeof(s));
}

int64_t sys_statfs(struct task *t, const struct sysargs *a)
{
	struct path p;
	int64_t ret = at_path(t, ABI_AT_FDCWD, a->arg[0], 0, true, &p);

	if (ret)
		return ret;
	ret = put_statfs(t, &p, a->arg[1]);
	path_put(&p);
	return ret;
}

int64_t sys_fstatfs(struct task *t, const struct sysargs *a)
{
	struct path p;
	int64_t ret = fd_path(t, abi_int(a->arg[0]), false, &p);

	if (ret)
		return ret;
	ret = put_statfs(t, &p, a->arg[1]);
	path_put(&p);
	return ret;
}

/* ---- access ---- */

/* access(2) asks for the real ids: credentials with them in the place of the effective ones. */
static struct cred *real_cred(const struct cred *c)
{
	struct cred *real = cred_dup(c);

	real->fsuid = c->uid;
	real->fsgid = c->gid;
	real->cap_effective = c->uid ? 0 : c->cap_permitted;
	return real;
}

static bool same_as_real(const struct cred *c)
{
	return c->fsuid == c->uid && c->fsgid == c->gid &&
	       c->cap_effective == (c->uid ? 0 : c->cap_permitted);
}

static int64_t check_access(const struct path *p, const struct cred *c, uint32_t mode)
{
	struct inode *i = dentry_inode(p->dentry);
	bool special = ABI_S_ISCHR(i->mode) || ABI_S_ISBLK(i->mode) || ABI_S_ISFIFO(i->mode) ||
		       ABI_S_ISSOCK(i->mode);
	int err;

	if (!mode)
		return 0;
	if ((mode & ABI_X_OK) && ABI_S_ISREG(i->mode) && (mount_flags(p->mount) & ABI_MS_NOEXEC))
		return -EACCES;
	err = vfs_permission(i, c, mode);
	if (!err && (mode & ABI_W_OK) && !special && (mount_flags(p->mount) & ABI_MS_RDONLY))
		err = -EROFS;
	return err;
}

static int64_t do_access(struct task *t, int dfd, uint64_t name, uint32_t mode, uint32_t flags)
{
	const struct cred *c = t->cred;
	struct cred *real = NULL;
	char path[VFS_PATH_MAX];
	uint32_t lookup = 0;
	struct path p;
	int64_t ret;

	if (mode & ~7u ||
	    flags & ~(uint32_t)(ABI_AT_EACCESS | ABI_AT_SYMLINK_NOFOLLOW | ABI_AT_EMPTY_PATH))
		return -EINVAL;
	ret = path_from_user(t, name, path);
	if (ret)
		return ret;
	if (!(flags & ABI_AT_SYMLINK_NOFOLLOW))
		lookup |= LOOKUP_FOLLOW;
	if (flags & ABI_AT_EMPTY_PATH)
		lookup |= LOOKUP_EMPTY;
	if (!(flags & ABI_AT_EACCESS) && !same_as_real(c))
		c = real = real_cred(c);
	ret = vfs_lookup_as(t, c, dfd, path, lookup, &p);
	if (!ret) {
		/* The numbers of R_OK, W_OK, X_OK are those of MAY_*. */
		ret = check_access(&p, c, mode);
		path_put(&p);
	}
	if (real)
		cred_put(real);
	return ret;
}

int64_t sys_access(struct task *t, const struct sysargs *a)
{
	return do_access(t, ABI_AT_FDCWD, a->arg[0], (uint32_t)a->arg[1], 0);
}

int64_t sys_faccessat(struct task *t, const struct sysargs *a)
{
	return do_access(t, abi_int(a->arg[0]), a->arg[1], (uint32_t)a->arg[2], 0);
}

int64_t sys_faccessat2(struct task *t, const struct sysargs *a)
{
	return do_access(t, abi_int(a->arg[0]), a->arg[1], (uint32_t)a->arg[2],
			 (uint32_t)a->arg[3]);
}

/* ---- chmod, chown ---- */

/* Applies and puts the path. */
static int64_t change(struct task *t, const struct path *p, struct iattr *attr)
{
	int64_t ret = vfs_setattr(p, t->cred, attr);

	path_put(p);
	return ret;
}

static int64_t chmod_path(struct task *t, const struct path *p, uint32_t mode)
{
	struct iattr attr = {.valid = ATTR_MODE, .mode = mode & ABI_S_IALLUGO};

	if (ABI_S_ISLNK(dentry_inode(p->dentry)->mode)) {
		path_put(p);
		return -EOPNOTSUPP;
	}
	return change(t, p, &attr);
}

static int64_t do_chmod(struct task *t, int dfd, uint64_t name, uint32_t mode, uint32_t flags)
{
	struct path p;
	int64_t ret = at_path(t, dfd, name, flags, !(flags & ABI_AT_SYMLINK_NOFOLLOW), &p);

	return ret ? ret : chmod_path(t, &p, mode);
}

int64_t sys_chmod(struct task *t, const struct sysargs *a)
{
	return do_chmod(t, ABI_AT_FDCWD, a->arg[0], (uint32_t)a->arg[1], 0);
}

int64_t sys_fchmodat(struct task *t, const struct sysargs *a)
{
	return do_chmod(t, abi_int(a->arg[0]), a->arg[1], (uint32_t)a->arg[2], 0);
}

int64_t sys_fchmodat2(struct task *t, const struct sysargs *a)
{
	uint32_t flags = (uint32_t)a->arg[3];

	if (flags & ~(uint32_t)(ABI_AT_SYMLINK_NOFOLLOW | ABI_AT_EMPTY_PATH))
		return -EINVAL;
	return do_chmod(t, abi_int(a->arg[0]), a->arg[1], (uint32_t)a->arg[2], flags);
}

int64_t sys_fchmod(struct task *t, const struct sysargs *a)
{
	struct path p;
	int64_t ret = fd_path(t, abi_int(a->arg[0]), true, &p);

	return ret ? ret : chmod_path(t, &p, (uint32_t)a->arg[1]);
}

static int64_t chown_path(struct task *t, const struct path *p, uint32_t uid, uint32_t gid)
{
	struct iattr attr = {.uid = uid, .gid = gid};

	if (uid != UINT32_MAX)
		attr.valid |= ATTR_UID;
	if (gid != UINT32_MAX)
		attr.valid |= ATTR_GID;
	return change(t, p, &attr);
}

static int64_t do_chown(struct task *t, int dfd, uint64_t name, uint32_t uid, uint32_t gid,
			uint32_t flags)
{
	struct path p;
	int64_t ret = at_path(t, dfd, name, flags, !(flags & ABI_AT_SYMLINK_NOFOLLOW), &p);

	return ret ? ret : chown_path(t, &p, uid, gid);
}

int64_t sys_chown(struct task *t, const struct sysargs *a)
{
	return do_chown(t, ABI_AT_FDCWD, a->arg[0], (uint32_t)a->arg[1], (uint32_t)a->arg[2], 0);
}

int64_t sys_lchown(struct task *t, const struct sysargs *a)
{
	return do_chown(t, ABI_AT_FDCWD, a->arg[0], (uint32_t)a->arg[1], (uint32_t)a->arg[2],
			ABI_AT_SYMLINK_NOFOLLOW);
}

int64_t sys_fchownat(struct task *t, const struct sysargs *a)
{
	uint32_t flags = (uint32_t)a->arg[4];

	if (flags & ~(uint32_t)(ABI_AT_SYMLINK_NOFOLLOW | ABI_AT_EMPTY_PATH))
		return -EINVAL;
	return do_chown(t, abi_int(a->arg[0]), a->arg[1], (uint32_t)a->arg[2], (uint32_t)a->arg[3],
			flags);
}

int64_t sys_fchown(struct task *t, const struct sysargs *a)
{
	struct path p;
	int64_t ret = fd_path(t, abi_int(a->arg[0]), true, &p);

	return ret ? ret : chown_path(t, &p, (uint32_t)a->arg[1], (uint32_t)a->arg[2]);
}

/* ---- times ---- */

static struct abi_timespec now(void)
{
	uint64_t ns = time_realtime_ns();

	return (struct abi_timespec){(int64_t)(ns / ABI_NSEC_PER_SEC),
				     (int64_t)(ns % ABI_NSEC_PER_SEC)};
}

/* times: NULL for now. 1: nothing is to be changed. */
static int times_to_attr(const struct abi_timespec *times, struct iattr *attr)
{
	static const uint32_t bits[2] = {ATTR_ATIME, ATTR_MTIME};
	struct abi_timespec *out[2] = {&attr->atime, &attr->mtime};
	unsigned touched = 0;

	for (int i = 0; i < 2; i++) {
		int64_t nsec = times ? times[i].nsec : ABI_UTIME_NOW;

		if (nsec == ABI_UTIME_OMIT)
			continue;
		if (nsec != ABI_UTIME_NOW && (nsec < 0 || nsec >= ABI_NSEC_PER_SEC))
			return -EINVAL;
		touched += nsec == ABI_UTIME_NOW;
		*out[i] = nsec == ABI_UTIME_NOW ? now() : times[i];
		attr->valid |= bits[i];
	}
	if (touched == 2)
		attr->valid |= ATTR_TOUCH;
	return attr->valid ? 0 : 1;
}

static int64_t do_utimes(struct task *t, int dfd, uint64_t name, const struct abi_timespec *times,
			 uint32_t flags)
{
	struct iattr attr = {.valid = 0};
	struct path p;
	int64_t ret = times_to_attr(times, &attr);

	if (ret < 0)
		return ret;
	if (!name && !(flags & ABI_AT_EMPTY_PATH))
		ret = dfd == ABI_AT_FDCWD ? -EFAULT : fd_path(t, dfd, true, &p);
	else
		ret = at_path(t, dfd, name, flags, !(flags & ABI_AT_SYMLINK_NOFOLLOW), &p);
	if (ret)
		return ret;
	if (!attr.valid) {
		path_put(&p);
		return 0;
	}
	return change(t, &p, &attr);
}

int64_t sys_utimensat(struct task *t, const struct sysargs *a)
{
	uint32_t flags = (uint32_t)a->arg[3];
	struct abi_timespec times[2];

	if (flags & ~(uint32_t)(ABI_AT_SYMLINK_NOFOLLOW | ABI_AT_EMPTY_PATH))
		return -EINVAL;
	if (a->arg[2] && copy_from_user(t, times, uaddr(a->arg[2]), sizeof(times)))
		return -EFAULT;
	return do_utimes(t, abi_int(a->arg[0]), a->arg[1], a->arg[2] ? times : NULL, flags);
}

static int64_t utimes_at(struct task *t, int dfd, uint64_t name, uint64_t va)
{
	struct abi_timeval tv[2];
	struct abi_timespec times[2];

	if (va && copy_from_user(t, tv, uaddr(va), sizeof(tv)))
		return -EFAULT;
	for (int i = 0; va && i < 2; i++) {
		if (tv[i].usec < 0 || tv[i].usec >= ABI_USEC_PER_SEC)
			return -EINVAL;
		times[i] = (struct abi_timespec){tv[i].sec, tv[i].usec * 1000};
	}
	return do_utimes(t, dfd, name, va ? times : NULL, 0);
}

int64_t sys_utimes(struct task *t, const struct sysargs *a)
{
	return utimes_at(t, ABI_AT_FDCWD, a->arg[0], a->arg[1]);
}

int64_t sys_futimesat(struct task *t, const struct sysargs *a)
{
	return utimes_at(t, abi_int(a->arg[0]), a->arg[1], a->arg[2]);
}

int64_t sys_utime(struct task *t, const struct sysargs *a)
{
	struct abi_timespec times[2] = {{0, 0}, {0, 0}};
	struct abi_utimbuf b;

	if (a->arg[1] && copy_from_user(t, &b, uaddr(a->arg[1]), sizeof(b)))
		return -EFAULT;
	if (a->arg[1]) {
		times[0].sec = b.actime;
		times[1].sec = b.modtime;
	}
	return do_utimes(t, ABI_AT_FDCWD, a->arg[0], a->arg[1] ? times : NULL, 0);
}
