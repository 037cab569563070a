/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pair's driver and the master's file. What the master writes is received by the line
 * discipline at once, as far as there is room; what the slave's programs write waits in the
 * discipline's output queue until the master reads it. So there is no buffer of the pair's own.
 */
#include "sentry/tty/pty.h"

#include <stdlib.h>

#include "abi/errno.h"
#include "abi/fcntl.h"
#include "abi/poll.h"
#include "abi/signal.h"
#include "base/compiler.h"
#include "base/mem.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/usermem.h"
#include "sentry/tty/tty_internal.h"
#include "sentry/vfs/files.h"

#define CHUNK 4096u

/* Guards: [I], [l] tty.lock */
struct pty {
	struct tty tty;
	uint32_t index;		     /* [I] */
	const struct pty_host *host; /* [I] */
	void *owner;		     /* [I] */
	struct waitqueue master_wq;
	bool locked;	   /* [l] TIOCSPTLCK: the slave can't be opened */
	bool slave_closed; /* [l] it was open and no file is left */
};

static struct pty *pty_of(struct tty *tty)
{
	return container_of(tty, struct pty, tty);
}

/* ---- driver ---- */

static void pty_changed(struct tty *tty, uint32_t what)
{
	uint32_t events = 0;

	if (what & TTY_OUTPUT)
		events |= ABI_POLLIN | ABI_POLLRDNORM;
	if (what & TTY_INPUT_TAKEN)
		events |= ABI_POLLOUT | ABI_POLLWRNORM;
	if (what & TTY_STATUS)
		events |= ABI_POLLIN | ABI_POLLRDNORM | ABI_POLLPRI | ABI_POLLHUP;
	if (events)
		waitqueue_wake(&pty_of(tty)->master_wq, events);
}

static int pty_opening(struct tty *tty)
{
	struct pty *pty = pty_of(tty);

	if (pty->locked)
		return -EIO;
	pty->slave_closed = false;
	return 0;
}

static void pty_closed(struct tty *tty)
{
	if (tty->open_count == 0)
		pty_of(tty)->slave_closed = true;
}

static void pty_destroy(struct tty *tty)
{
	struct pty *pty = pty_of(tty);

	pty->host->put(pty->owner);
	waitqueue_destroy(&pty->master_wq);
	tty_fini(tty);
	free(pty);
}

static const struct tty_driver pty_driver = {
    .changed = pty_changed,
    .destroy = pty_destroy,
    .opening = pty_opening,
    .closed = pty_closed,
};

struct tty *pty_new(struct kernel *k, uint32_t index, const struct pty_host *host, void *owner)
{
	struct pty *pty = xnew(struct pty);

	tty_init(&pty->tty, k, &pty_driver, abi_makedev(PTY_SLAVE_MAJOR, index));
	waitqueue_init(&pty->master_wq);
	pty->index = index;
	pty->host = host;
	pty->owner = owner;
	pty->locked = true;
	return &pty->tty;
}

uint32_t pty_index(const struct tty *tty)
{
	return abi_minor(tty->rdev);
}

/* ---- the master's file ---- */

/* What there is to read, into buf: bytes, or negative errno. Under tty.lock. */
static ssize_t master_take(struct pty *pty, uint8_t *buf, size_t size)
{
	struct ldisc *ld = &pty->tty.ld;
	size_t header = ld->packet_mode ? 1 : 0;
	size_t n;

	if (ld->packet_mode && ld->packet) {
		buf[0] = ld->packet;
		ld->packet = 0;
		return 1;
	}
	n = ldisc_output(ld, buf + header, size - header);
	if (n == 0)
		return pty->slave_closed ? -EIO : -EAGAIN;
	if (header)
		buf[0] = ABI_TIOCPKT_DATA;
	return (ssize_t)(n + header);
}

static ssize_t master_read(struct file *f, struct uio *to, int64_t *pos)
{
	struct pty *pty = f->private;
	uint8_t buf[CHUNK];
	ssize_t n;

	(void)pos;
	if (to->left == 0)
		return 0;
	mutex_lock(&pty->tty.lock);
	n = master_take(pty, buf, MIN(to->left, sizeof(buf)));
	if (n < 0) {
		mutex_unlock(&pty->tty.lock);
		return n;
	}
	tty_finish(&pty->tty, TTY_OUTPUT_TAKEN);
	return uio_write(to, buf, (size_t)n);
}

/* One chunk; moves `from` by what was taken. Bytes, 0: full, or negative errno. */
static ssize_t master_write_chunk(struct pty *pty, struct uio *from)
{
	struct uio start = *from;
	uint8_t buf[CHUNK];
	ssize_t n = uio_read(from, buf, MIN(from->left, sizeof(buf)));
	size_t done;

	if (n <= 0)
		return n;
	mutex_lock(&pty->tty.lock);
	done = ldisc_receive(&pty->tty.ld, buf, (size_t)n);
	pty->tty.last_input = time_monotonic_ns();
	tty_finish(&pty->tty, TTY_INPUT);
	if (done == (size_t)n)
		return n;
	*from = start;
	return done ? uio_read(from, buf, done) : 0;
}

static ssize_t master_write(struct file *f, struct uio *from, int64_t *pos)
{
	ssize_t total = 0, n = 0;

	(void)pos;
	while (from->left && (n = master_write_chunk(f->private, from)) > 0)
		total += n;
	if (total || !from->left)
		return total;
	return n ? n : -EAGAIN;
}

static uint32_t master_poll(struct file *f, struct poll_table *pt)
{
	struct pty *pty = f->private;
	struct ldisc *ld = &pty->tty.ld;
	uint32_t events = 0;

	poll_wait(pt, &pty->master_wq);
	mutex_lock(&pty->tty.lock);
	if (ld->packet_mode && ld->packet)
		events |= ABI_POLLPRI | ABI_POLLIN | ABI_POLLRDNORM;
	if (ldisc_output_size(ld))
		events |= ABI_POLLIN | ABI_POLLRDNORM;
	if (ldisc_room(ld))
		events |= ABI_POLLOUT | ABI_POLLWRNORM;
	if (pty->slave_closed)
		events |= ABI_POLLHUP;
	mutex_unlock(&pty->tty.lock);
	return events;
}

static void master_release(struct file *f)
{
	struct pty *pty = f->private;

	tty_hangup(&pty->tty, true);
	pty->host->closed(pty->owner, pty->index);
	tty_put(&pty->tty);
}

/* ---- the master's ioctls ---- */

static int64_t get_int(struct task *t, uint64_t arg, int32_t value)
{
	return copy_to_user(t, uaddr(arg), &value, sizeof(value));
}

static int64_t set_packet_mode(struct pty *pty, struct task *t, uint64_t arg)
{
	int32_t on;
	int err = copy_from_user(t, &on, uaddr(arg), sizeof(on));

	if (err)
		return err;
	mutex_lock(&pty->tty.lock);
	if (on && !pty->tty.ld.packet_mode)
		pty->tty.ld.packet = 0;
	pty->tty.ld.packet_mode = on;
	mutex_unlock(&pty->tty.lock);
	return 0;
}

static int64_t set_lock(struct pty *pty, struct task *t, uint64_t arg)
{
	int32_t on;
	int err = copy_from_user(t, &on, uaddr(arg), sizeof(on));

	if (err)
		return err;
	mutex_lock(&pty->tty.lock);
	pty->locked = on;
	mutex_unlock(&pty->tty.lock);
	return 0;
}

static int64_t get_state(struct pty *pty, struct task *t, uint32_t cmd, uint64_t arg)
{
	int32_t value;

	mutex_lock(&pty->tty.lock);
	if (cmd == ABI_TIOCGPKT)
		value = pty->tty.ld.packet_mode;
	else if (cmd == ABI_TIOCGPTLCK)
		value = pty->locked;
	else
		value = (int32_t)ldisc_output_size(&pty->tty.ld);
	mutex_unlock(&pty->tty.lock);
	return get_int(t, arg, value);
}

static int64_t send_signal(struct pty *pty, uint64_t signo)
{
	if (signo != ABI_SIGINT && signo != ABI_SIGQUIT && signo != ABI_SIGTSTP)
		return -EINVAL;
	tty_signal_foreground(&pty->tty, (int)signo);
	return 0;
}

static int64_t open_peer(struct pty *pty, struct file *master, struct task *t, uint64_t flags)
{
	struct file *peer;
	int64_t ret = pty->host->open_peer(pty->owner, master, pty->index, t,
					   (uint32_t)flags | ABI_O_NOCTTY, &peer);

	if (ret)
		return ret;
	ret = fd_install(t, peer, 0, flags & ABI_O_CLOEXEC);
	if (ret < 0)
		file_put(peer);
	return ret;
}

static int64_t master_ioctl(struct file *f, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct pty *pty = f->private;
	int64_t ret;

	switch (cmd) {
	case ABI_TIOCPKT:
		return set_packet_mode(pty, t, arg);
	case ABI_TIOCSPTLCK:
		return set_lock(pty, t, arg);
	case ABI_TIOCGPTN:
		return get_int(t, arg, (int32_t)pty->index);
	case ABI_TIOCGPTPEER:
		return open_peer(pty, f, t, arg);
	case ABI_TIOCSIG:
		return send_signal(pty, arg);
	case ABI_TIOCGPKT:
	case ABI_TIOCGPTLCK:
	case ABI_FIONREAD:
		return get_state(pty, t, cmd, arg);
	}
	ret = tty_ioctl_common(&pty->tty, f, t, cmd, arg, true);
	return ret == -ENOIOCTLCMD ? -ENOTTY : ret;
}

static const struct file_ops master_file_ops = {
    .read = master_read,
    .write = master_write,
    .poll = master_poll,
    .ioctl = master_ioctl,
    .release = master_release,
    .no_seek = true,
};

void pty_open_master(struct tty *tty, struct file *f)
{
	tty_get(tty);
	f->private = pty_of(tty);
	f->ops = &master_file_ops;
}
