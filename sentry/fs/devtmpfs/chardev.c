/* SPDX-License-Identifier: Apache-2.0 */
/* The devices that every kernel has (Documentation/admin-guide/devices.txt): memory and terminals.
 */
#include "sentry/fs/devtmpfs/chardev.h"

#include <sys/random.h>

#include "abi/errno.h"
#include "abi/fcntl.h"
#include "base/compiler.h"
#include "base/log.h"
#include "sentry/fs/devpts/devpts.h"
#include "sentry/fs/devtmpfs/devices.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/lease.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/usermem.h"
#include "sentry/tty/pty.h"
#include "sentry/tty/tty.h"
#include "sentry/vfs/vfs.h"

#define RNDGETENTCNT 0x80045200u
#define POOL_BITS    256 /* of entropy, always full */
#define RANDOM_CHUNK 1024u
#define PTY_MINORS   1048576u

/* ---- null, zero, full ---- */

static ssize_t read_end(struct file *f, struct uio *to, int64_t *pos)
{
	(void)f;
	(void)to;
	(void)pos;
	return 0;
}

static ssize_t read_zeros(struct file *f, struct uio *to, int64_t *pos)
{
	(void)f;
	(void)pos;
	return to->left ? uio_write_zeros(to, to->left) : 0;
}

static ssize_t write_nowhere(struct file *f, struct uio *from, int64_t *pos)
{
	ssize_t n = (ssize_t)from->left;

	(void)f;
	(void)pos;
	from->left = 0;
	return n;
}

static ssize_t write_full(struct file *f, struct uio *from, int64_t *pos)
{
	(void)f;
	(void)pos;
	return from->left ? -ENOSPC : 0;
}

/* Seeking succeeds and means nothing. */
static int64_t seek_nowhere(struct file *f, int64_t offset, int whence)
{
	(void)offset;
	(void)whence;
	f->pos = 0;
	return 0;
}

/* Reads and writes of these need nobody (kernel/lease.h); there is no descriptor of the host. */
static int lease_null(struct file *f, uint32_t *ret_what)
{
	(void)f;
	*ret_what = LEASE_DEVICE;
	return 0;
}

static int lease_zero(struct file *f, uint32_t *ret_what)
{
	(void)f;
	*ret_what = LEASE_DEVICE | LEASE_ZEROS;
	return 0;
}

static const struct file_ops null_ops = {.read = read_end,
					 .write = write_nowhere,
					 .seek = seek_nowhere,
					 .lease = lease_null,
					 .ignores_data = true};
static const struct file_ops zero_ops = {.read = read_zeros,
					 .write = write_nowhere,
					 .seek = seek_nowhere,
					 .lease = lease_zero,
					 .ignores_data = true,
					 .mmap_anonymous = true};
static const struct file_ops full_ops = {
    .read = read_zeros, .write = write_full, .seek = seek_nowhere};

/* ---- random ---- */

static ssize_t read_random(struct file *f, struct uio *to, int64_t *pos)
{
	uint8_t buf[RANDOM_CHUNK];
	ssize_t total = 0, n;

	(void)f;
	(void)pos;
	while (to->left) {
		n = getrandom(buf, MIN(to->left, sizeof(buf)), 0);
		if (n < 0)
			n = -errno;
		else
			n = uio_write(to, buf, (size_t)n);
		if (n <= 0)
			return total ? total : n;
		total += n;
	}
	return total;
}

static int64_t random_ioctl(struct file *f, struct task *t, uint32_t cmd, uint64_t arg)
{
	int32_t bits = POOL_BITS;

	(void)f;
	if (cmd != RNDGETENTCNT)
		return -ENOTTY;
	return copy_to_user(t, uaddr(arg), &bits, sizeof(bits));
}

static const struct file_ops random_ops = {
    .read = read_random, .write = write_nowhere, .seek = seek_nowhere, .ioctl = random_ioctl};

/* ---- terminals ---- */

/* /dev/tty: the controlling terminal of whoever opens. */
static int open_own_tty(struct kernel *k, uint64_t rdev, struct file *f)
{
	struct tty *tty = f->opener ? tty_of_task(f->opener) : NULL;
	int err;

	(void)k;
	(void)rdev;
	if (!tty)
		return -ENXIO;
	err = tty_open(tty, f->opener, f);
	tty_put(tty);
	return err;
}

static int open_console(struct kernel *k, uint64_t rdev, struct file *f)
{
	struct tty *tty = devices_console(k->devices);

	(void)rdev;
	return tty ? tty_open(tty, f->opener, f) : -ENXIO;
}

static int open_ptmx(struct kernel *k, uint64_t rdev, struct file *f)
{
	(void)rdev;
	return devpts_open_ptmx(k, f);
}

static int open_slave(struct kernel *k, uint64_t rdev, struct file *f)
{
	return devpts_open_slave(k, abi_minor(rdev), f);
}

/* ---- by number ---- */

struct chardev {
	uint32_t major, minor, minor_count;
	const struct file_ops *ops; /* or */
	int (*open)(struct kernel *k, uint64_t rdev, struct file *f);
};

static const struct chardev chardevs[] = {
    {1, 3, 1, &null_ops, NULL},	   {1, 5, 1, &zero_ops, NULL},
    {1, 7, 1, &full_ops, NULL},	   {1, 8, 2, &random_ops, NULL}, /* random, urandom */
    {5, 0, 1, NULL, open_own_tty}, {5, 1, 1, NULL, open_console},
    {5, 2, 1, NULL, open_ptmx},	   {PTY_SLAVE_MAJOR, 0, PTY_MINORS, NULL, open_slave},
};

int chardev_open(struct kernel *k, uint64_t rdev, struct file *f)
{
	uint32_t major = abi_major(rdev), minor = abi_minor(rdev);

	for (size_t i = 0; i < array_count(chardevs); i++) {
		const struct chardev *d = &chardevs[i];

		if (d->major != major || minor < d->minor || minor - d->minor >= d->minor_count)
			continue;
		if (!d->ops)
			return d->open(k, rdev, f);
		f->ops = d->ops;
		return 0;
	}
	return -ENXIO;
}
