/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Terminals as files: opening, reading, writing, polling, hanging up. Reads follow termios(3): in
 * canonical mode a line at a time; without it VMIN and VTIME decide:
 *
 *	VMIN VTIME
 *	 0    0    what there is, never waits
 *	 0    t    waits for a byte, at most t tenths of a second
 *	 n    0    waits for n bytes (or as many as asked for)
 *	 n    t    the same, but gives what it has t after the last byte
 *
 * A read that has to wait is run again when input comes or read_timer says that a VTIME is over;
 * all it keeps between two runs is when it began.
 */
#include <stdlib.h>
#include <string.h>

#include "abi/caps.h"
#include "abi/errno.h"
#include "abi/fcntl.h"
#include "abi/poll.h"
#include "abi/signal.h"
#include "base/compiler.h"
#include "base/mem.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/lockorder.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/usermem.h"
#include "sentry/tty/tty_internal.h"

#define CHUNK		2048u
#define TENTH_OF_SECOND 100000000ull

/* ---- life ---- */

static void read_timer_fired(struct ktimer *timer)
{
	struct tty *tty = container_of(timer, struct tty, read_timer);

	waitqueue_wake(&tty->wq, ABI_POLLIN);
}

void tty_init(struct tty *tty, struct kernel *k, const struct tty_driver *driver, uint64_t rdev)
{
	refcount_init(&tty->ref);
	tty->kernel = k;
	tty->driver = driver;
	tty->rdev = rdev;
	mutex_init(&tty->lock, RANK_OBJECT);
	ldisc_init(&tty->ld);
	waitqueue_init(&tty->wq);
	ktimer_init(&tty->read_timer, read_timer_fired);
}

void tty_fini(struct tty *tty)
{
	ktimer_cancel(tty->kernel, &tty->read_timer);
	waitqueue_destroy(&tty->wq);
	mutex_destroy(&tty->lock);
}

struct tty *tty_get(struct tty *tty)
{
	refcount_get(&tty->ref);
	return tty;
}

void tty_put(struct tty *tty)
{
	if (tty && refcount_put(&tty->ref))
		tty->driver->destroy(tty);
}

uint64_t tty_rdev(const struct tty *tty)
{
	return tty->rdev;
}

bool tty_file_hung_locked(const struct tty_file *tf)
{
	return tf->tty->dead || tf->generation != tf->tty->generation;
}

/* ---- acting on what happened ---- */

static void send_typed_signals(struct tty *tty, uint32_t signals)
{
	for (int signo = 1; signals >> signo; signo++)
		if (signals & (1u << signo))
			tty_signal_foreground(tty, signo);
}

void tty_finish(struct tty *tty, uint32_t what)
{
	uint32_t signals = tty->ld.signals;
	uint32_t events = 0;

	tty->ld.signals = 0;
	if (signals)
		what |= TTY_INPUT_TAKEN | TTY_OUTPUT_TAKEN;
	if ((what & TTY_INPUT) && ldisc_input_size(&tty->ld) + ldisc_has_input(&tty->ld))
		events |= ABI_POLLIN | ABI_POLLRDNORM;
	if ((what & (TTY_OUTPUT_TAKEN | TTY_INPUT)) && ldisc_write_room(&tty->ld))
		events |= ABI_POLLOUT | ABI_POLLWRNORM;
	if (tty->ld.packet)
		what |= TTY_STATUS;
	if (ldisc_output_size(&tty->ld))
		what |= TTY_OUTPUT;
	mutex_unlock(&tty->lock);

	if (events)
		waitqueue_wake(&tty->wq, events);
	tty->driver->changed(tty, what);
	send_typed_signals(tty, signals);
}

void tty_hangup(struct tty *tty, bool dead)
{
	mutex_lock(&tty->lock);
	tty->generation++;
	tty->dead |= dead;
	mutex_unlock(&tty->lock);
	waitqueue_wake(&tty->wq,
		       ABI_POLLIN | ABI_POLLOUT | ABI_POLLHUP | ABI_POLLERR | ABI_POLLRDNORM);
	tty_signal_hangup(tty);
}

void tty_resize(struct tty *tty, const struct abi_winsize *size)
{
	bool same;

	mutex_lock(&tty->lock);
	same = memcmp(&tty->winsize, size, sizeof(*size)) == 0;
	tty->winsize = *size;
	mutex_unlock(&tty->lock);
	if (!same)
		tty_signal_foreground(tty, ABI_SIGWINCH);
}

/* ---- files ---- */

int tty_open(struct tty *tty, struct task *t, struct file *f)
{
	struct tty_file *tf = xnew(struct tty_file);
	int err = 0;

	mutex_lock(&tty->lock);
	if (tty->dead)
		err = -EIO;
	else if (tty->exclusive && t && !cred_capable(t->cred, ABI_CAP_SYS_ADMIN))
		err = -EBUSY;
	else if (tty->driver->opening)
		err = tty->driver->opening(tty);
	if (!err) {
		tty->open_count++;
		tf->generation = tty->generation;
	}
	mutex_unlock(&tty->lock);
	if (err) {
		free(tf);
		return err;
	}
	tf->tty = tty_get(tty);
	f->private = tf;
	f->ops = &tty_file_ops;
	if (t)
		tty_opened_by(tty, t, f);
	return 0;
}

static void tty_release(struct file *f)
{
	struct tty_file *tf = f->private;
	struct tty *tty = tf->tty;

	mutex_lock(&tty->lock);
	if (--tty->open_count == 0)
		tty->exclusive = false;
	if (tty->driver->closed)
		tty->driver->closed(tty);
	mutex_unlock(&tty->lock);
	tty->driver->changed(tty, TTY_STATUS);
	tty_put(tty);
	free(tf);
}

/* ---- reading ---- */

static bool is_canonical(const struct ldisc *ld)
{
	return (ld->termios.lflag & (ABI_ICANON | ABI_EXTPROC)) == ABI_ICANON;
}

/* Without ICANON: whether the read is over, with what there is. */
static bool raw_read_complete(struct tty *tty, struct file *f, struct task *t, size_t size)
{
	size_t there = ldisc_input_size(&tty->ld);
	size_t min = tty->ld.termios.cc[ABI_VMIN];
	uint64_t wait = tty->ld.termios.cc[ABI_VTIME] * TENTH_OF_SECOND;
	uint64_t now, deadline;

	if (there >= MIN(MAX(min, (size_t)1), size))
		return true;
	if (min == 0 && wait == 0)
		return true;
	if ((f->flags & ABI_O_NONBLOCK) || !wait || (min && !there))
		return there && (f->flags & ABI_O_NONBLOCK);
	now = time_monotonic_ns();
	if (!t || !t->call.restarted)
		tty->read_start = now;
	deadline = (min ? MAX(tty->read_start, tty->last_input) : tty->read_start) + wait;
	if (now >= deadline)
		return true;
	ktimer_arm(tty->kernel, &tty->read_timer, deadline);
	return false;
}

static ssize_t take_input(struct tty *tty, struct file *f, struct task *t, uint8_t *buf,
			  size_t size)
{
	if (is_canonical(&tty->ld) ? !ldisc_has_input(&tty->ld)
				   : !raw_read_complete(tty, f, t, size))
		return -EAGAIN;
	return (ssize_t)ldisc_read(&tty->ld, buf, size);
}

static ssize_t tty_read(struct file *f, struct uio *to, int64_t *pos)
{
	struct tty_file *tf = f->private;
	struct tty *tty = tf->tty;
	uint8_t buf[LDISC_IN_SIZE];
	ssize_t n;
	int err;

	(void)pos;
	if (to->left == 0)
		return 0;
	if (to->task && (err = tty_check_job(tty, to->task, ABI_SIGTTIN)) < 0)
		return err;
	mutex_lock(&tty->lock);
	if (tty_file_hung_locked(tf)) {
		mutex_unlock(&tty->lock);
		return 0;
	}
	n = take_input(tty, f, to->task, buf, MIN(to->left, sizeof(buf)));
	if (n < 0) {
		mutex_unlock(&tty->lock);
		return n;
	}
	tty_finish(tty, TTY_INPUT_TAKEN);
	return n ? uio_write(to, buf, (size_t)n) : 0;
}

/* ---- writing ---- */

/* One chunk; moves `from` by what was taken. Bytes, 0: full, or negative errno. */
static ssize_t write_chunk(struct tty_file *tf, struct uio *from)
{
	struct tty *tty = tf->tty;
	struct uio start = *from;
	uint8_t buf[CHUNK];
	ssize_t n = uio_read(from, buf, MIN(from->left, sizeof(buf)));
	size_t done;

	if (n <= 0)
		return n;
	mutex_lock(&tty->lock);
	if (tty_file_hung_locked(tf)) {
		mutex_unlock(&tty->lock);
		*from = start;
		return -EIO;
	}
	done = ldisc_write(&tty->ld, buf, (size_t)n);
	tty_finish(tty, TTY_OUTPUT);
	if (done == (size_t)n)
		return n;
	*from = start;
	return done ? uio_read(from, buf, done) : 0;
}

static bool stops_background(struct tty *tty)
{
	bool tostop;

	mutex_lock(&tty->lock);
	tostop = tty->ld.termios.lflag & ABI_TOSTOP;
	mutex_unlock(&tty->lock);
	return tostop;
}

static ssize_t tty_write(struct file *f, struct uio *from, int64_t *pos)
{
	struct tty_file *tf = f->private;
	ssize_t total = 0, n = 0;
	int err;

	(void)pos;
	if (from->task && stops_background(tf->tty) &&
	    (err = tty_check_job(tf->tty, from->task, ABI_SIGTTOU)) < 0)
		return err;
	while (from->left && (n = write_chunk(tf, from)) > 0)
		total += n;
	if (total || !from->left)
		return total;
	return n ? n : -EAGAIN;
}

/* ---- polling ---- */

/* As many bytes as the next read would insist on. */
static bool poll_readable(const struct ldisc *ld)
{
	size_t min = ld->termios.cc[ABI_VTIME] ? 1 : MAX(ld->termios.cc[ABI_VMIN], 1);

	return is_canonical(ld) ? ldisc_has_input(ld) : ldisc_input_size(ld) >= min;
}

static uint32_t tty_poll(struct file *f, struct poll_table *pt)
{
	struct tty_file *tf = f->private;
	struct tty *tty = tf->tty;
	uint32_t events = 0;

	poll_wait(pt, &tty->wq);
	mutex_lock(&tty->lock);
	if (tty_file_hung_locked(tf)) {
		events = ABI_POLLIN | ABI_POLLOUT | ABI_POLLERR | ABI_POLLHUP | ABI_POLLRDNORM |
			 ABI_POLLWRNORM;
	} else {
		if (poll_readable(&tty->ld))
			events |= ABI_POLLIN | ABI_POLLRDNORM;
		if (ldisc_write_room(&tty->ld))
			events |= ABI_POLLOUT | ABI_POLLWRNORM;
	}
	mutex_unlock(&tty->lock);
	return events;
}

const struct file_ops tty_file_ops = {
    .read = tty_read,
    .write = tty_write,
    .poll = tty_poll,
    .ioctl = tty_ioctl,
    .release = tty_release,
    .no_seek = true,
};
