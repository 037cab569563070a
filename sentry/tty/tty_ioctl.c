/* SPDX-License-Identifier: Apache-2.0 */
/* ioctls of terminals (ioctl_tty(2)): settings, queues, sizes. Job control is in tty_job.c. */
#include <string.h>

#include "abi/caps.h"
#include "abi/errno.h"
#include "abi/fcntl.h"
#include "abi/poll.h"
#include "abi/signal.h"
#include "base/compiler.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_block.h"
#include "sentry/mm/usermem.h"
#include "sentry/tty/tty_internal.h"

/* ---- settings in their three forms ---- */

enum settings_form { FORM_TERMIOS, FORM_TERMIOS2, FORM_TERMIO };

struct settings_command {
	uint32_t cmd;
	enum settings_form form;
	bool wait;  /* until output is gone */
	bool flush; /* input that was not read */
};

static const struct settings_command set_commands[] = {
    {ABI_TCSETS, FORM_TERMIOS, false, false},	{ABI_TCSETSW, FORM_TERMIOS, true, false},
    {ABI_TCSETSF, FORM_TERMIOS, true, true},	{ABI_TCSETS2, FORM_TERMIOS2, false, false},
    {ABI_TCSETSW2, FORM_TERMIOS2, true, false}, {ABI_TCSETSF2, FORM_TERMIOS2, true, true},
    {ABI_TCSETA, FORM_TERMIO, false, false},	{ABI_TCSETAW, FORM_TERMIO, true, false},
    {ABI_TCSETAF, FORM_TERMIO, true, true},
};

/* Speeds of the codes B0..B38400 and, from CBAUDEX on, B57600..B4000000. */
static const uint32_t low_speeds[] = {0,   50,	 75,   110,  134,  150,	 200,	300,
				      600, 1200, 1800, 2400, 4800, 9600, 19200, 38400};
static const uint32_t high_speeds[] = {0,	57600,	 115200,  230400,  460800,  500000,
				       576000,	921600,	 1000000, 1152000, 1500000, 2000000,
				       2500000, 3000000, 3500000, 4000000};
#define BAUD_EXTENDED 0x1000u
#define BAUD_OTHER    0x1000u /* the speeds are given as numbers */

static uint32_t speed_of(uint32_t code)
{
	return code & BAUD_EXTENDED ? high_speeds[code & 0xf] : low_speeds[code & 0xf];
}

/* The speeds that cflag names; those of BOTHER stay as they are. */
static void set_speeds(struct abi_termios2 *ts)
{
	uint32_t out = ts->cflag & ABI_CBAUD, in = (ts->cflag >> 16) & ABI_CBAUD;

	if (out != BAUD_OTHER)
		ts->ospeed = speed_of(out);
	if (in == 0)
		ts->ispeed = ts->ospeed;
	else if (in != BAUD_OTHER)
		ts->ispeed = speed_of(in);
}

static void from_termio(const struct abi_termio *old, struct abi_termios2 *ts)
{
	ts->iflag = (ts->iflag & 0xffff0000u) | old->iflag;
	ts->oflag = (ts->oflag & 0xffff0000u) | old->oflag;
	ts->cflag = (ts->cflag & 0xffff0000u) | old->cflag;
	ts->lflag = (ts->lflag & 0xffff0000u) | old->lflag;
	ts->line = old->line;
	memcpy(ts->cc, old->cc, sizeof(old->cc));
}

static void to_termio(const struct abi_termios2 *ts, struct abi_termio *ret)
{
	ret->iflag = (uint16_t)ts->iflag;
	ret->oflag = (uint16_t)ts->oflag;
	ret->cflag = (uint16_t)ts->cflag;
	ret->lflag = (uint16_t)ts->lflag;
	ret->line = ts->line;
	memcpy(ret->cc, ts->cc, sizeof(ret->cc));
}

/* The new settings as the guest gives them; what its form lacks stays as it is. */
static int read_settings(struct task *t, uint64_t arg, enum settings_form form,
			 struct abi_termios2 *ts)
{
	struct abi_termio old;
	int err;

	if (form == FORM_TERMIO) {
		err = copy_from_user(t, &old, uaddr(arg), sizeof(old));
		if (!err)
			from_termio(&old, ts);
	} else {
		err = copy_from_user(t, ts, uaddr(arg),
				     form == FORM_TERMIOS2 ? sizeof(*ts)
							   : sizeof(struct abi_termios));
	}
	if (err)
		return err;
	set_speeds(ts);
	/* All there is on this kind of line: eight bits, no parity, a receiver that is on. */
	ts->cflag = (ts->cflag & ~(uint32_t)(ABI_CSIZE | ABI_PARENB)) | ABI_CS8 | ABI_CREAD;
	return 0;
}

static struct abi_termios2 settings_of(struct tty *tty)
{
	struct abi_termios2 ts;

	mutex_lock(&tty->lock);
	ts = tty->ld.termios;
	mutex_unlock(&tty->lock);
	return ts;
}

static int get_settings(struct tty *tty, struct task *t, uint64_t arg, enum settings_form form)
{
	struct abi_termios2 ts = settings_of(tty);
	struct abi_termio old;

	if (form != FORM_TERMIO)
		return copy_to_user(t, uaddr(arg), &ts,
				    form == FORM_TERMIOS2 ? sizeof(ts)
							  : sizeof(struct abi_termios));
	to_termio(&ts, &old);
	return copy_to_user(t, uaddr(arg), &old, sizeof(old));
}

static bool is_drained(struct tty *tty)
{
	bool drained;

	mutex_lock(&tty->lock);
	drained = !tty->driver->drained || tty->dead || tty->driver->drained(tty);
	mutex_unlock(&tty->lock);
	return drained;
}

/* 0, or what a handler that must wait returns. */
static int64_t wait_drained(struct tty *tty, struct file *f, struct task *t)
{
	if (is_drained(tty))
		return 0;
	task_wait_add(t, &tty->wq, ABI_POLLOUT | ABI_POLLHUP, f);
	if (is_drained(tty))
		return 0;
	return task_block(t, -ERESTARTSYS);
}

static int64_t set_settings(struct tty *tty, struct file *f, struct task *t, uint64_t arg,
			    const struct settings_command *command)
{
	struct abi_termios2 ts = settings_of(tty);
	int64_t ret = read_settings(t, arg, command->form, &ts);

	if (!ret && command->wait)
		ret = wait_drained(tty, f, t);
	if (ret)
		return ret;
	mutex_lock(&tty->lock);
	if (command->flush)
		ldisc_flush_input(&tty->ld);
	ldisc_set_termios(&tty->ld, &ts);
	tty_finish(tty, TTY_INPUT | TTY_INPUT_TAKEN | TTY_OUTPUT_TAKEN);
	return 0;
}

static int64_t ioctl_settings(struct tty *tty, struct file *f, struct task *t, uint32_t cmd,
			      uint64_t arg)
{
	int err;

	switch (cmd) {
	case ABI_TCGETS:
		return get_settings(tty, t, arg, FORM_TERMIOS);
	case ABI_TCGETS2:
		return get_settings(tty, t, arg, FORM_TERMIOS2);
	case ABI_TCGETA:
		return get_settings(tty, t, arg, FORM_TERMIO);
	}
	for (size_t i = 0; i < array_count(set_commands); i++) {
		if (set_commands[i].cmd != cmd)
			continue;
		err = tty_check_job(tty, t, ABI_SIGTTOU);
		return err ? err : set_settings(tty, f, t, arg, &set_commands[i]);
	}
	return -ENOIOCTLCMD;
}

/* ---- queues ---- */

static int64_t flush_queues(struct tty *tty, struct task *t, uint64_t which, bool from_master)
{
	bool in = which == ABI_TCIFLUSH || which == ABI_TCIOFLUSH;
	bool out = which == ABI_TCOFLUSH || which == ABI_TCIOFLUSH;
	int err = tty_check_job(tty, t, ABI_SIGTTOU);

	if (err)
		return err;
	if (!in && !out)
		return -EINVAL;
	mutex_lock(&tty->lock);
	/* What is output to one side is input to the other. */
	if (from_master ? out : in)
		ldisc_flush_input(&tty->ld);
	if (from_master ? in : out)
		ldisc_flush_output(&tty->ld);
	tty_finish(tty, TTY_INPUT_TAKEN | TTY_OUTPUT_TAKEN);
	return 0;
}

static int64_t control_flow(struct tty *tty, struct task *t, uint64_t action)
{
	int err = tty_check_job(tty, t, ABI_SIGTTOU);

	if (err)
		return err;
	if (action > ABI_TCION)
		return -EINVAL;
	mutex_lock(&tty->lock);
	if (action == ABI_TCOOFF)
		ldisc_hold(&tty->ld);
	else if (action == ABI_TCOON)
		ldisc_release(&tty->ld);
	else
		ldisc_send_flow(&tty->ld, action == ABI_TCIOFF);
	tty_finish(tty, TTY_OUTPUT_TAKEN);
	return 0;
}

/* There is no line to break: tcdrain (any argument but 0) and tcsendbreak only wait for output. */
static int64_t send_break(struct tty *tty, struct file *f, struct task *t)
{
	int err = tty_check_job(tty, t, ABI_SIGTTOU);

	return err ? err : wait_drained(tty, f, t);
}

static int put_int(struct task *t, uint64_t arg, int32_t value)
{
	return copy_to_user(t, uaddr(arg), &value, sizeof(value));
}

static int64_t get_input_size(struct tty *tty, struct task *t, uint64_t arg)
{
	size_t size;

	mutex_lock(&tty->lock);
	size = ldisc_input_size(&tty->ld);
	mutex_unlock(&tty->lock);
	return put_int(t, arg, (int32_t)size);
}

static int64_t get_output_size(struct tty *tty, struct task *t, uint64_t arg)
{
	size_t size = 0;

	mutex_lock(&tty->lock);
	if (tty->driver->drained)
		size = ldisc_output_size(&tty->ld);
	mutex_unlock(&tty->lock);
	return put_int(t, arg, (int32_t)size);
}

static int64_t fake_input(struct tty *tty, struct task *t, uint64_t arg)
{
	uint8_t c;
	int err;

	if (!cred_capable(t->cred, ABI_CAP_SYS_ADMIN))
		return -EPERM;
	err = copy_from_user(t, &c, uaddr(arg), 1);
	if (err)
		return err;
	mutex_lock(&tty->lock);
	ldisc_receive(&tty->ld, &c, 1);
	tty_finish(tty, TTY_INPUT);
	return 0;
}

static int64_t ioctl_queues(struct tty *tty, struct file *f, struct task *t, uint32_t cmd,
			    uint64_t arg, bool from_master)
{
	switch (cmd) {
	case ABI_TCFLSH:
		return flush_queues(tty, t, arg, from_master);
	case ABI_TCXONC:
		return control_flow(tty, t, arg);
	case ABI_TCSBRK:
	case ABI_TCSBRKP:
		return send_break(tty, f, t);
	case ABI_FIONREAD:
		return get_input_size(tty, t, arg);
	case ABI_TIOCOUTQ:
		return get_output_size(tty, t, arg);
	case ABI_TIOCSTI:
		return fake_input(tty, t, arg);
	}
	return -ENOIOCTLCMD;
}

/* ---- the rest ---- */

static int64_t get_size(struct tty *tty, struct task *t, uint64_t arg)
{
	struct abi_winsize size;

	mutex_lock(&tty->lock);
	size = tty->winsize;
	mutex_unlock(&tty->lock);
	return copy_to_user(t, uaddr(arg), &size, sizeof(size));
}

static int64_t set_size(struct tty *tty, struct task *t, uint64_t arg)
{
	struct abi_winsize size;
	int err = copy_from_user(t, &size, uaddr(arg), sizeof(size));

	if (err)
		return err;
	tty_resize(tty, &size);
	if (tty->driver->resized)
		tty->driver->resized(tty, &size);
	return 0;
}

static int64_t set_exclusive(struct tty *tty, bool on)
{
	mutex_lock(&tty->lock);
	tty->exclusive = on;
	mutex_unlock(&tty->lock);
	return 0;
}

static int64_t get_exclusive(struct tty *tty, struct task *t, uint64_t arg)
{
	bool on;

	mutex_lock(&tty->lock);
	on = tty->exclusive;
	mutex_unlock(&tty->lock);
	return put_int(t, arg, on);
}

static int64_t set_discipline(struct task *t, uint64_t arg)
{
	int32_t number;
	int err = copy_from_user(t, &number, uaddr(arg), sizeof(number));

	return err ? err : number == ABI_N_TTY ? 0 : -EINVAL;
}

static int64_t hang_up(struct tty *tty, struct task *t)
{
	if (!cred_capable(t->cred, ABI_CAP_SYS_ADMIN))
		return -EPERM;
	tty_hangup(tty, false);
	return 0;
}

static int64_t ioctl_other(struct tty *tty, struct task *t, uint32_t cmd, uint64_t arg)
{
	switch (cmd) {
	case ABI_TIOCGWINSZ:
		return get_size(tty, t, arg);
	case ABI_TIOCSWINSZ:
		return set_size(tty, t, arg);
	case ABI_TIOCEXCL:
		return set_exclusive(tty, true);
	case ABI_TIOCNXCL:
		return set_exclusive(tty, false);
	case ABI_TIOCGEXCL:
		return get_exclusive(tty, t, arg);
	case ABI_TIOCGETD:
		return put_int(t, arg, ABI_N_TTY);
	case ABI_TIOCSETD:
		return set_discipline(t, arg);
	case ABI_TIOCGDEV:
		return put_int(t, arg, (int32_t)tty->rdev);
	case ABI_TIOCVHANGUP:
		return hang_up(tty, t);
	}
	return -ENOIOCTLCMD;
}

int64_t tty_ioctl_common(struct tty *tty, struct file *f, struct task *t, uint32_t cmd,
			 uint64_t arg, bool from_master)
{
	int64_t ret = ioctl_settings(tty, f, t, cmd, arg);

	if (ret == -ENOIOCTLCMD)
		ret = ioctl_queues(tty, f, t, cmd, arg, from_master);
	if (ret == -ENOIOCTLCMD)
		ret = ioctl_other(tty, t, cmd, arg);
	if (ret == -ENOIOCTLCMD)
		ret = tty_ioctl_job(tty, t, cmd, arg, from_master);
	return ret;
}

int64_t tty_ioctl(struct file *f, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct tty_file *tf = f->private;
	int64_t ret;
	bool hung;

	mutex_lock(&tf->tty->lock);
	hung = tty_file_hung_locked(tf);
	mutex_unlock(&tf->tty->lock);
	if (hung)
		return cmd == ABI_TIOCSPGRP ? -ENOTTY : -EIO;
	ret = tty_ioctl_common(tf->tty, f, t, cmd, arg, false);
	return ret == -ENOIOCTLCMD ? -ENOTTY : ret;
}
