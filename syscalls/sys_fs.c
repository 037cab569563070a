/* SPDX-License-Identifier: Apache-2.0 */
/* Names and directories: making, removing, renaming, listing; where a task is. */
#include <stdlib.h>
#include <string.h>

#include "abi/caps.h"
#include "base/mem.h"
#include "sentry/kernel/cred.h"
#include "sentry/vfs/files.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/namei.h"
#include "syscalls/sysfile.h"

#define GETDENTS_MAX 65536u /* bytes given at once, whatever the guest's buffer holds */

/* ---- making ---- */

static int64_t do_mkdir(struct task *t, int dfd, uint64_t name, uint32_t mode)
{
	char path[VFS_PATH_MAX];
	int err = path_from_user(t, name, path);

	return err ? err : vfs_mkdir(t, dfd, path, mode);
}

int64_t sys_mkdir(struct task *t, const struct sysargs *a)
{
	return do_mkdir(t, ABI_AT_FDCWD, a->arg[0], (uint32_t)a->arg[1]);
}

int64_t sys_mkdirat(struct task *t, const struct sysargs *a)
{
	return do_mkdir(t, abi_int(a->arg[0]), a->arg[1], (uint32_t)a->arg[2]);
}

static int64_t do_mknod(struct task *t, int dfd, uint64_t name, uint32_t mode, uint32_t dev)
{
	char path[VFS_PATH_MAX];
	int err = path_from_user(t, name, path);

	return err ? err : vfs_mknod(t, dfd, path, mode, dev);
}

int64_t sys_mknod(struct task *t, const struct sysargs *a)
{
	return do_mknod(t, ABI_AT_FDCWD, a->arg[0], (uint16_t)a->arg[1], (uint32_t)a->arg[2]);
}

int64_t sys_mknodat(struct task *t, const struct sysargs *a)
{
	return do_mknod(t, abi_int(a->arg[0]), a->arg[1], (uint16_t)a->arg[2], (uint32_t)a->arg[3]);
}

/* Two paths from the guest, without two big buffers on the stack. */
struct two_paths {
	char first[VFS_PATH_MAX], second[VFS_PATH_MAX];
};

static int get_two(struct task *t, uint64_t first, uint64_t second, struct two_paths **ret)
{
	struct two_paths *p = xmalloc(sizeof(*p));
	int err = path_from_user(t, first, p->first);

	if (!err)
		err = path_from_user(t, second, p->second);
	if (err)
		free(p);
	else
		*ret = p;
	return err;
}

static int64_t do_symlink(struct task *t, uint64_t target, int dfd, uint64_t name)
{
	struct two_paths *p;
	int err = get_two(t, target, name, &p);

	if (err)
		return err;
	err = vfs_symlink(t, p->first, dfd, p->second);
	free(p);
	return err;
}

int64_t sys_symlink(struct task *t, const struct sysargs *a)
{
	return do_symlink(t, a->arg[0], ABI_AT_FDCWD, a->arg[1]);
}

int64_t sys_symlinkat(struct task *t, const struct sysargs *a)
{
	return do_symlink(t, a->arg[0], abi_int(a->arg[1]), a->arg[2]);
}

/* AT_EMPTY_PATH: not everybody who was passed a descriptor may name its file (Linux 6.10). */
static bool may_name(struct task *t, int dfd, const char *name)
{
	struct file *f;
	bool may;

	if (*name == '/' || dfd == ABI_AT_FDCWD || cred_capable(t->cred, ABI_CAP_DAC_READ_SEARCH))
		return true;
	f = fd_get(t, dfd);
	if (!f)
		return true; /* the look-up says so */
	may = f->cred == t->cred;
	file_put(f);
	return may;
}

static int64_t do_link(struct task *t, int olddfd, uint64_t oldname, int newdfd, uint64_t newname,
		       uint32_t flags)
{
	struct two_paths *p;
	int err;

	if (flags & ~(uint32_t)(ABI_AT_SYMLINK_FOLLOW | ABI_AT_EMPTY_PATH))
		return -EINVAL;
	err = get_two(t, oldname, newname, &p);
	if (err)
		return err;
	if ((flags & ABI_AT_EMPTY_PATH) && !may_name(t, olddfd, p->first))
		err = -ENOENT;
	else
		err = vfs_link(t, olddfd, p->first, newdfd, p->second, flags);
	free(p);
	return err;
}

int64_t sys_link(struct task *t, const struct sysargs *a)
{
	return do_link(t, ABI_AT_FDCWD, a->arg[0], ABI_AT_FDCWD, a->arg[1], 0);
}

int64_t sys_linkat(struct task *t, const struct sysargs *a)
{
	return do_link(t, abi_int(a->arg[0]), a->arg[1], abi_int(a->arg[2]), a->arg[3],
		       (uint32_t)a->arg[4]);
}

/* ---- removing and renaming ---- */

static int64_t do_unlink(struct task *t, int dfd, uint64_t name, bool dir)
{
	char path[VFS_PATH_MAX];
	int err = path_from_user(t, name, path);

	if (err)
		return err;
	return dir ? vfs_rmdir(t, dfd, path) : vfs_unlink(t, dfd, path);
}

int64_t sys_unlink(struct task *t, const struct sysargs *a)
{
	return do_unlink(t, ABI_AT_FDCWD, a->arg[0], false);
}

int64_t sys_rmdir(struct task *t, const struct sysargs *a)
{
	return do_unlink(t, ABI_AT_FDCWD, a->arg[0], true);
}

int64_t sys_unlinkat(struct task *t, const struct sysargs *a)
{
	if ((uint32_t)a->arg[2] & ~ABI_AT_REMOVEDIR)
		return -EINVAL;
	return do_unlink(t, abi_int(a->arg[0]), a->arg[1], a->arg[2] & ABI_AT_REMOVEDIR);
}

static int64_t do_rename(struct task *t, int olddfd, uint64_t oldname, int newdfd, uint64_t newname,
			 uint32_t flags)
{
	struct two_paths *p;
	int err;

	if (flags & ~(uint32_t)(ABI_RENAME_NOREPLACE | ABI_RENAME_EXCHANGE | ABI_RENAME_WHITEOUT))
		return -EINVAL;
	if ((flags & ABI_RENAME_EXCHANGE) && (flags & ~(uint32_t)ABI_RENAME_EXCHANGE))
		return -EINVAL;
	err = get_two(t, oldname, newname, &p);
	if (err)
		return err;
	err = vfs_rename(t, olddfd, p->first, newdfd, p->second, flags);
	free(p);
	return err;
}

int64_t sys_rename(struct task *t, const struct sysargs *a)
{
	return do_rename(t, ABI_AT_FDCWD, a->arg[0], ABI_AT_FDCWD, a->arg[1], 0);
}

int64_t sys_renameat(struct task *t, const struct sysargs *a)
{
	return do_rename(t, abi_int(a->arg[0]), a->arg[1], abi_int(a->arg[2]), a->arg[3], 0);
}

int64_t sys_renameat2(struct task *t, const struct sysargs *a)
{
	return do_rename(t, abi_int(a->arg[0]), a->arg[1], abi_int(a->arg[2]), a->arg[3],
			 (uint32_t)a->arg[4]);
}

/* ---- readlink ---- */

static int64_t do_readlink(struct task *t, int dfd, uint64_t name, uint64_t buf, int32_t size)
{
	char path[VFS_PATH_MAX], *target;
	struct path p;
	size_t n;
	int err;

	if (size <= 0)
		return -EINVAL;
	err = path_from_user(t, name, path);
	if (!err)
		err = vfs_lookup(t, dfd, path, LOOKUP_EMPTY, &p, NULL);
	if (err)
		return !*path && err == -ENOTDIR ? -ENOENT : err;
	err = vfs_readlink(t, &p, &target);
	path_put(&p);
	if (err)
		return err == -EINVAL && !*path ? -ENOENT : err;
	n = MIN(strlen(target), (size_t)size);
	err = copy_to_user(t, uaddr(buf), target, n);
	free(target);
	return err ? err : (int64_t)n;
}

int64_t sys_readlink(struct task *t, const struct sysargs *a)
{
	return do_readlink(t, ABI_AT_FDCWD, a->arg[0], a->arg[1], abi_int(a->arg[2]));
}

int64_t sys_readlinkat(struct task *t, const struct sysargs *a)
{
	return do_readlink(t, abi_int(a->arg[0]), a->arg[1], a->arg[2], abi_int(a->arg[3]));
}

/* ---- getdents ---- */

/* Fills a buffer of ours, which is copied out at once. */
struct dents {
	struct dir_emit emit;
	char *buf;
	size_t size, used;
	bool full;
};

static bool emit64(struct dir_emit *e, const char *name, uint64_t ino, uint8_t dtype,
		   int64_t next_pos)
{
	struct dents *d = container_of(e, struct dents, emit);
	size_t n = strlen(name) + 1, reclen = (ABI_DIRENT64_NAME + n + 7) & ~(size_t)7;
	char *at = d->buf + d->used;
	struct abi_dirent64 head = {.ino = ino, .off = next_pos, .reclen = (uint16_t)reclen};

	if (d->used + reclen > d->size) {
		d->full = true;
		return false;
	}
	head.type = dtype;
	memset(at + reclen - 8, 0, 8);
	memcpy(at, &head, ABI_DIRENT64_NAME);
	memcpy(at + ABI_DIRENT64_NAME, name, n);
	d->used += reclen;
	return true;
}

static bool emit_old(struct dir_emit *e, const char *name, uint64_t ino, uint8_t dtype,
		     int64_t next_pos)
{
	struct dents *d = container_of(e, struct dents, emit);
	size_t n = strlen(name) + 1, reclen = (ABI_DIRENT_NAME + n + 1 + 7) & ~(size_t)7;
	char *at = d->buf + d->used;
	struct abi_dirent head = {
	    .ino = ino, .off = (uint64_t)next_pos, .reclen = (uint16_t)reclen};

	if (d->used + reclen > d->size) {
		d->full = true;
		return false;
	}
	memset(at + reclen - 8, 0, 8);
	memcpy(at, &head, ABI_DIRENT_NAME);
	memcpy(at + ABI_DIRENT_NAME, name, n);
	at[reclen - 1] = (char)dtype;
	d->used += reclen;
	return true;
}

static int64_t read_dir(struct task *t, struct file *f, struct dents *d, uint64_t buf)
{
	int64_t saved;
	int err;

	mutex_lock(&f->lock);
	saved = f->pos;
	err = f->ops->readdir(f, &d->emit);
	if (!err && !d->used && d->full)
		err = -EINVAL;
	if (!err && d->used && copy_to_user(t, uaddr(buf), d->buf, d->used)) {
		f->pos = saved;
		err = -EFAULT;
	}
	mutex_unlock(&f->lock);
	return err && !d->used ? err : err == -EFAULT ? err : (int64_t)d->used;
}

static int64_t do_getdents(struct task *t, const struct sysargs *a,
			   bool (*emit)(struct dir_emit *, const char *, uint64_t, uint8_t,
					int64_t))
{
	struct file *f = fd_get_io(t, abi_int(a->arg[0]));
	struct dents d = {.emit = {emit}, .size = MIN((uint32_t)a->arg[2], GETDENTS_MAX)};
	int64_t ret = -ENOTDIR;

	if (!f)
		return -EBADF;
	if (f->ops->readdir && dentry_is_deleted_path(&f->path)) {
		ret = -ENOENT;
	} else if (f->ops->readdir) {
		/* An entry of the longest name fits, or the guest's buffer is too small anyway. */
		d.buf = xmalloc(d.size + 8);
		ret = read_dir(t, f, &d, a->arg[1]);
		free(d.buf);
	}
	file_put(f);
	return ret;
}

int64_t sys_getdents64(struct task *t, const struct sysargs *a)
{
	return do_getdents(t, a, emit64);
}

int64_t sys_getdents(struct task *t, const struct sysargs *a)
{
	return do_getdents(t, a, emit_old);
}

/* ---- where a task is ---- */

int64_t sys_getcwd(struct task *t, const struct sysargs *a)
{
	struct path cwd;
	int64_t ret;
	size_t n;
	char *s;

	fs_get_cwd(t->fs, &cwd);
	if (dentry_is_deleted_path(&cwd)) {
		path_put(&cwd);
		return -ENOENT;
	}
	s = vfs_path_string(t, &cwd);
	path_put(&cwd);
	n = strlen(s) + 1;
	if (n > VFS_PATH_MAX)
		ret = -ENAMETOOLONG;
	else if (n > a->arg[1])
		ret = -ERANGE;
	else
		ret = copy_to_user(t, uaddr(a->arg[0]), s, n) ? -EFAULT : (int64_t)n;
	free(s);
	return ret;
}

static int64_t enter_dir(struct task *t, const struct path *p)
{
	struct inode *i = dentry_inode(p->dentry);
	int err;

	if (!ABI_S_ISDIR(i->mode))
		return -ENOTDIR;
	err = vfs_permission(i, t->cred, MAY_EXEC);
	if (!err)
		fs_set_cwd(t->fs, p);
	return err;
}

int64_t sys_chdir(struct task *t, const struct sysargs *a)
{
	char name[VFS_PATH_MAX];
	struct path p;
	int64_t ret = path_from_user(t, a->arg[0], name);

	if (!ret)
		ret = vfs_lookup(t, ABI_AT_FDCWD, name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &p, NULL);
	if (ret)
		return ret;
	ret = enter_dir(t, &p);
	path_put(&p);
	return ret;
}

int64_t sys_fchdir(struct task *t, const struct sysargs *a)
{
	struct file *f = fd_get(t, abi_int(a->arg[0]));
	int64_t ret;

	if (!f)
		return -EBADF;
	ret = enter_dir(t, &f->path);
	file_put(f);
	return ret;
}

int64_t sys_chroot(struct task *t, const struct sysargs *a)
{
	char name[VFS_PATH_MAX];
	struct path p;
	int64_t ret = path_from_user(t, a->arg[0], name);

	if (!ret)
		ret = vfs_lookup(t, ABI_AT_FDCWD, name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &p, NULL);
	if (ret)
		return ret;
	ret = vfs_permission(dentry_inode(p.dentry), t->cred, MAY_EXEC);
	if (!ret && !cred_capable(t->cred, ABI_CAP_SYS_CHROOT))
		ret = -EPERM;
	if (!ret)
		fs_set_root(t->fs, &p);
	path_put(&p);
	return ret;
}

int64_t sys_umask(struct task *t, const struct sysargs *a)
{
	return fs_set_umask(t->fs, (uint32_t)a->arg[0]);
}
