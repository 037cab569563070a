/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host console: the container's terminal on a host descriptor. That is the slave of a pair that
 * runsc opened for this sandbox alone, so O_NONBLOCK may be set on it: nobody shares its file. It
 * is put in raw mode; the guest's line discipline is ours.
 *
 *	host master <--> host slave (raw) <--> ldisc <--> guest programs
 *
 * Input is read by the event thread, as long as the line discipline has room: interest is armed
 * even when no guest reads, since ^C must work then too. Output is written at once by whoever
 * produced it, and the event thread carries on when the host was full.
 *
 * Both directions run under tty.lock, so bytes can't overtake each other; the host calls never
 * block.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "abi/errno.h"
#include "abi/fcntl.h"
#include "abi/poll.h"
#include "base/compiler.h"
#include "base/mem.h"
#include "sentry/fs/devtmpfs/devices.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/hostpoll.h"
#include "sentry/kernel/kernel.h"
#include "sentry/tty/pty.h"
#include "sentry/tty/tty_internal.h"

#define CHUNK 4096u

struct console {
	struct tty tty;
	int fd; /* [I] owned */
	struct hostpoll hp;
};

static struct console *console_of(struct tty *tty)
{
	return container_of(tty, struct console, tty);
}

/* ---- output ---- */

/* Writes what the host takes now. Returns whether some is left. Under tty.lock. */
static bool write_out(struct console *c)
{
	uint8_t buf[CHUNK];
	size_t size;
	ssize_t n;

	while ((size = ldisc_output_peek(&c->tty.ld, buf, sizeof(buf))) > 0) {
		n = write(c->fd, buf, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		/* A host terminal that is gone swallows everything; its HUP comes as input. */
		ldisc_output_done(&c->tty.ld, n < 0 ? size : (size_t)n);
	}
	return false;
}

static void console_changed(struct tty *tty, uint32_t what)
{
	struct console *c = console_of(tty);
	uint32_t events = 0;
	bool room;

	mutex_lock(&tty->lock);
	if ((what & TTY_OUTPUT) && write_out(c))
		events |= ABI_POLLOUT;
	if ((what & TTY_INPUT_TAKEN) && ldisc_room(&tty->ld) && !tty->dead)
		events |= ABI_POLLIN;
	room = ldisc_write_room(&tty->ld);
	mutex_unlock(&tty->lock);
	if (events)
		hostpoll_arm(tty->kernel, &c->hp, events);
	if ((what & TTY_OUTPUT) && room)
		waitqueue_wake(&tty->wq, ABI_POLLOUT | ABI_POLLWRNORM);
}

static bool console_drained(struct tty *tty)
{
	return tty->ld.out_head == tty->ld.out_tail;
}

/* ---- input ---- */

/* Reads what there is and fits. Bytes, -EAGAIN, or another errno when the terminal is gone. */
static ssize_t read_in(struct console *c)
{
	struct ldisc *ld = &c->tty.ld;
	uint8_t buf[CHUNK];
	ssize_t n;

	n = read(c->fd, buf, MIN(ldisc_room(ld), sizeof(buf)));
	if (n == 0)
		return -EIO;
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	ldisc_receive(ld, buf, (size_t)n);
	c->tty.last_input = time_monotonic_ns();
	return n;
}

static void console_event(struct hostpoll *hp, uint32_t events)
{
	struct console *c = container_of(hp, struct console, hp);
	ssize_t n = -EAGAIN;

	mutex_lock(&c->tty.lock);
	if (c->tty.dead) {
		mutex_unlock(&c->tty.lock);
		return;
	}
	if ((events & (ABI_POLLIN | ABI_POLLHUP | ABI_POLLERR)) && ldisc_room(&c->tty.ld))
		n = read_in(c);
	/* INPUT_TAKEN: looks whether there is room for more, and arms. */
	tty_finish(&c->tty, TTY_INPUT | TTY_INPUT_TAKEN | TTY_OUTPUT);
	if (n < 0 && n != -EAGAIN)
		tty_hangup(&c->tty, true);
}

/* ---- life ---- */

static void console_destroy(struct tty *tty)
{
	struct console *c = console_of(tty);

	hostpoll_remove(tty->kernel, &c->hp);
	close(c->fd);
	tty_fini(tty);
	free(c);
}

static void console_tell_size(struct tty *tty, const struct abi_winsize *size)
{
	struct winsize ws = {size->row, size->col, size->xpixel, size->ypixel};

	/* Whoever holds the master reads it there; that it fails only means that nobody does. */
	ioctl(console_of(tty)->fd, TIOCSWINSZ, &ws);
}

static const struct tty_driver console_driver = {
    .changed = console_changed,
    .resized = console_tell_size,
    .drained = console_drained,
    .destroy = console_destroy,
};

static int make_raw(int fd)
{
	struct termios ts;

	if (fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0 || tcgetattr(fd, &ts) < 0)
		return -errno;
	cfmakeraw(&ts);
	return tcsetattr(fd, TCSANOW, &ts) < 0 ? -errno : 0;
}

static int host_size(int fd, struct abi_winsize *ret)
{
	struct winsize ws;

	if (ioctl(fd, TIOCGWINSZ, &ws) < 0)
		return -errno;
	*ret = (struct abi_winsize){ws.ws_row, ws.ws_col, ws.ws_xpixel, ws.ws_ypixel};
	return 0;
}

static void set_first_size(struct console *c, uint16_t rows, uint16_t columns)
{
	struct winsize ws = {.ws_row = rows, .ws_col = columns};

	if (rows || columns)
		ioctl(c->fd, TIOCSWINSZ, &ws);
	host_size(c->fd, &c->tty.winsize);
}

int console_new(struct kernel *k, int host_fd, uint16_t rows, uint16_t columns,
		struct tty **ret_tty)
{
	struct console *c;
	int err = make_raw(host_fd);

	if (err)
		return err;
	c = xnew(struct console);
	/* To the guest it is the first pair of its devpts, as it is under runc. */
	tty_init(&c->tty, k, &console_driver, abi_makedev(PTY_SLAVE_MAJOR, 0));
	c->fd = host_fd;
	set_first_size(c, rows, columns);
	c->hp = (struct hostpoll){.fd = host_fd, .func = console_event};
	err = hostpoll_add(k, &c->hp);
	if (err) {
		tty_fini(&c->tty);
		free(c);
		return err;
	}
	hostpoll_arm(k, &c->hp, ABI_POLLIN);
	*ret_tty = &c->tty;
	return 0;
}

void console_resized(struct tty *tty)
{
	struct abi_winsize size;

	if (host_size(console_of(tty)->fd, &size) == 0)
		tty_resize(tty, &size);
}

void console_install(struct kernel *k, struct tty *tty)
{
	devices_set_console(k->devices, tty);
}

struct tty *console_of_kernel(struct kernel *k)
{
	return devices_console(k->devices);
}

/* ---- the first process's streams ---- */

static bool names_console(struct inode *i, const struct tty *tty)
{
	return ABI_S_ISCHR(i->mode) && (i->rdev == tty->rdev || i->rdev == abi_makedev(5, 1));
}

static int open_as(const struct path *p, struct tty *tty, const struct cred *cred,
		   struct file **ret)
{
	struct inode *i = dentry_inode(p->dentry);
	struct file *f;
	int err;

	if (!names_console(i, tty))
		return -ENODEV;
	mutex_lock(&i->lock);
	i->uid = cred->euid;
	mutex_unlock(&i->lock);
	f = file_new(p, ABI_O_RDWR, cred);
	err = tty_open(tty, NULL, f);
	if (err) {
		file_put(f);
		return err;
	}
	*ret = f;
	return 0;
}

int console_file_new(struct kernel *k, const struct path *root, const struct cred *cred,
		     struct file **ret_file)
{
	static const char *const names[] = {"/dev/pts/0", "/dev/console"};
	struct tty *tty = console_of_kernel(k);
	int err = -ENODEV;

	for (size_t i = 0; i < array_count(names) && err && tty; i++) {
		struct path p;

		err = vfs_lookup_at_root(k, root, names[i], false, &p);
		if (err)
			continue;
		err = open_as(&p, tty, cred, ret_file);
		path_put(&p);
	}
	return err;
}
