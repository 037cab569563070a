/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and writing of open files. What would wait returns -EAGAIN; waiting is the business of
 * the system calls (syscalls/sys_file.c).
 *
 * A seekable file's own position is used under file.lock, so two threads that read from one
 * description get different bytes (POSIX; Linux fdget_pos).
 */
#include "abi/caps.h"
#include "abi/resource.h"
#include "abi/signal.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/usermem.h"
#include "sentry/vfs/vfs_internal.h"

uint64_t task_rlimit(struct task *t, unsigned which)
{
	return __atomic_load_n(&t->tg->rlimits[which].cur, __ATOMIC_RELAXED);
}

static int check_range(int64_t pos, uint64_t size)
{
	int64_t end;

	if (pos < 0)
		return -EINVAL;
	return __builtin_add_overflow(pos, (int64_t)size, &end) ? -EOVERFLOW : 0;
}

/* Calls op at *pos, or at the file's own position. */
static ssize_t transfer(struct file *f, struct uio *u, int64_t *pos,
			ssize_t (*op)(struct file *, struct uio *, int64_t *))
{
	int64_t dummy = 0;
	ssize_t ret;

	if (f->ops->no_seek)
		return pos ? -ESPIPE : op(f, u, &dummy);
	if (pos) {
		ret = check_range(*pos, u->left);
		return ret ? ret : op(f, u, pos);
	}
	mutex_lock(&f->lock);
	ret = check_range(f->pos, u->left);
	if (!ret)
		ret = op(f, u, &f->pos);
	mutex_unlock(&f->lock);
	return ret;
}

ssize_t vfs_read(struct file *f, struct uio *to, int64_t *pos)
{
	if (!file_readable(f))
		return -EBADF;
	if (!f->ops->read)
		return ABI_S_ISDIR(f->inode->mode) ? -EISDIR : -EINVAL;
	return transfer(f, to, pos, f->ops->read);
}

/* RLIMIT_FSIZE: cuts the write, or kills with SIGXFSZ at the limit. */
static int limit_size(struct task *t, struct file *f, struct uio *from, int64_t pos)
{
	uint64_t limit = task_rlimit(t, ABI_RLIMIT_FSIZE);

	if (f->flags & ABI_O_APPEND)
		pos = (int64_t)__atomic_load_n(&f->inode->size, __ATOMIC_RELAXED);
	if ((uint64_t)pos >= limit && from->left) {
		signal_send_task(t, ABI_SIGXFSZ, NULL);
		return -EFBIG;
	}
	from->left = MIN(from->left, limit - (uint64_t)pos);
	return 0;
}

ssize_t vfs_write(struct file *f, struct uio *from, int64_t *pos)
{
	struct task *t = from->task ? from->task : from->writer;
	ssize_t ret;

	if (!file_writable(f))
		return -EBADF;
	if (!f->ops->write)
		return -EINVAL;
	if (!ABI_S_ISREG(f->inode->mode))
		return transfer(f, from, pos, f->ops->write);
	if (!from->left)
		return 0;
	if (t && task_rlimit(t, ABI_RLIMIT_FSIZE) != ABI_RLIM_INFINITY) {
		int err = limit_size(t, f, from, pos ? *pos : f->pos);

		if (err)
			return err;
	}
	ret = transfer(f, from, pos, f->ops->write);
	if (ret > 0 && (f->inode->mode & (ABI_S_ISUID | ABI_S_ISGID)) && t)
		inode_drop_suid(f->inode, t->cred);
	return ret;
}

ssize_t vfs_copy_in_host(struct task *t, struct file *in, int64_t *in_pos, struct file *out,
			 int64_t *out_pos, uint64_t size)
{
	ssize_t ret;

	if (!out->ops->copy_from || out->ops->copy_from != in->ops->copy_from ||
	    (out->flags & (ABI_O_APPEND | ABI_O_DSYNC)) ||
	    task_rlimit(t, ABI_RLIMIT_FSIZE) != ABI_RLIM_INFINITY)
		return -EXDEV;
	if (out_pos) {
		ret = check_range(*out_pos, size);
		if (!ret)
			ret = out->ops->copy_from(out, in, in_pos, out_pos, size);
	} else {
		mutex_lock(&out->lock);
		ret = check_range(out->pos, size);
		if (!ret)
			ret = out->ops->copy_from(out, in, in_pos, &out->pos, size);
		mutex_unlock(&out->lock);
	}
	if (ret > 0 && (out->inode->mode & (ABI_S_ISUID | ABI_S_ISGID)))
		inode_drop_suid(out->inode, t->cred);
	return ret;
}

ssize_t vfs_kernel_read(struct file *f, void *buf, size_t size, int64_t pos)
{
	size_t done = 0;

	while (done < size) {
		struct uio u;
		ssize_t n;

		uio_init_kernel(&u, (char *)buf + done, size - done);
		n = vfs_read(f, &u, &pos);
		if (n < 0)
			return done ? (ssize_t)done : n;
		if (!n)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}
