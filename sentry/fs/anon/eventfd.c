/* SPDX-License-Identifier: Apache-2.0 */
/* eventfd(2): a counter that can be waited for. */
#include <errno.h>
#include <stdlib.h>

#include "abi/fcntl.h"
#include "abi/poll.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "sentry/fs/anon/anon.h"
#include "sentry/kernel/lockorder.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/usermem.h"
#include "sentry/vfs/vfs.h"

#define COUNT_MAX (UINT64_MAX - 1)

struct eventfd {
	struct mutex lock; /* RANK_OBJECT */
	uint64_t count;	   /* lock */
	bool semaphore;	   /* [I] */
	struct waitqueue wq;
};

static ssize_t eventfd_read(struct file *f, struct uio *to, int64_t *pos)
{
	struct eventfd *e = f->private;
	uint64_t value;

	(void)pos;
	if (to->left < sizeof(value))
		return -EINVAL;
	mutex_lock(&e->lock);
	value = e->semaphore && e->count ? 1 : e->count;
	e->count -= value;
	mutex_unlock(&e->lock);
	if (!value)
		return -EAGAIN;
	waitqueue_wake(&e->wq, ABI_POLLOUT | ABI_POLLWRNORM);
	return uio_write(to, &value, sizeof(value));
}

static ssize_t eventfd_write(struct file *f, struct uio *from, int64_t *pos)
{
	struct eventfd *e = f->private;
	struct uio at = *from;
	uint64_t value;
	bool fits;

	(void)pos;
	if (from->left < sizeof(value))
		return -EINVAL;
	/* Read through a copy: the cursor moves only if the value is taken. */
	if (from->segments == &from->one)
		at.segments = &at.one;
	if (uio_read(&at, &value, sizeof(value)) != sizeof(value))
		return -EFAULT;
	if (value == UINT64_MAX)
		return -EINVAL;
	mutex_lock(&e->lock);
	fits = value <= COUNT_MAX - e->count;
	if (fits)
		e->count += value;
	mutex_unlock(&e->lock);
	if (!fits)
		return -EAGAIN;
	/* One value a write, however large the buffer. */
	from->left = 0;
	waitqueue_wake(&e->wq, ABI_POLLIN | ABI_POLLRDNORM);
	return sizeof(value);
}

static uint32_t eventfd_poll(struct file *f, struct poll_table *pt)
{
	struct eventfd *e = f->private;
	uint32_t ready = 0;

	poll_wait(pt, &e->wq);
	mutex_lock(&e->lock);
	if (e->count)
		ready |= ABI_POLLIN | ABI_POLLRDNORM;
	if (e->count < COUNT_MAX)
		ready |= ABI_POLLOUT | ABI_POLLWRNORM;
	mutex_unlock(&e->lock);
	return ready;
}

static void eventfd_release(struct file *f)
{
	struct eventfd *e = f->private;

	waitqueue_destroy(&e->wq);
	mutex_destroy(&e->lock);
	free(e);
}

static void eventfd_show(struct file *f, struct strbuf *out)
{
	struct eventfd *e = f->private;

	mutex_lock(&e->lock);
	strbuf_addf(out, "eventfd-count: %16llx\n", (unsigned long long)e->count);
	mutex_unlock(&e->lock);
}

static const struct file_ops eventfd_ops = {
    .read = eventfd_read,
    .write = eventfd_write,
    .poll = eventfd_poll,
    .release = eventfd_release,
    .show_fdinfo = eventfd_show,
    .no_seek = true,
};

int eventfd_new(struct task *t, uint32_t count, bool semaphore, uint32_t flags, struct file **ret)
{
	struct eventfd *e = xnew(struct eventfd);

	mutex_init(&e->lock, RANK_OBJECT);
	waitqueue_init(&e->wq);
	e->count = count;
	e->semaphore = semaphore;
	*ret = file_new_anon(t->kernel, "anon_inode:[eventfd]", &eventfd_ops, e, ABI_O_RDWR | flags,
			     t->cred);
	return 0;
}
