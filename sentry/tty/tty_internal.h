/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A terminal's inside, for tty*.c and the drivers.
 *
 * Guards: [I] set before publication, [l] tty.lock, [T] kernel.tasks_lock.
 */
#ifndef SENTRY_TTY_TTY_INTERNAL_H
#define SENTRY_TTY_TTY_INTERNAL_H

#include "base/lock.h"
#include "base/refcount.h"
#include "sentry/kernel/timer.h"
#include "sentry/kernel/waitqueue.h"
#include "sentry/tty/ldisc.h"
#include "sentry/tty/tty.h"
#include "sentry/vfs/vfs.h"

/* What happened to a terminal while its lock was held (tty_finish). */
#define TTY_INPUT	 0x1u  /* input came */
#define TTY_INPUT_TAKEN	 0x2u  /* a program read or flushed: there is room */
#define TTY_OUTPUT	 0x4u  /* a program wrote */
#define TTY_OUTPUT_TAKEN 0x8u  /* the driver took output, or output was started */
#define TTY_STATUS	 0x10u /* packet mode has news */

struct tty_driver {
	/* Something changed for the other side (TTY_*). Called without locks. */
	void (*changed)(struct tty *tty, uint32_t what);
	/* A program set the size: the other side is told. Without locks. Absent: nobody to tell. */
	void (*resized)(struct tty *tty, const struct abi_winsize *size);
	/* Whether output has left the sentry: tcdrain. Under tty.lock. Absent: always. */
	bool (*drained)(struct tty *tty);
	void (*destroy)(struct tty *tty); /* the last reference is gone: frees tty */
	/* A file on the terminal is about to be opened (an error refuses), or was closed
	 * (open_count is the new one). Under tty.lock. */
	int (*opening)(struct tty *tty);
	void (*closed)(struct tty *tty);
};

struct tty {
	struct refcount ref;
	struct kernel *kernel;		 /* [I] */
	const struct tty_driver *driver; /* [I] */
	uint64_t rdev;			 /* [I] */

	struct mutex lock;	    /* RANK_OBJECT */
	struct ldisc ld;	    /* [l] */
	struct abi_winsize winsize; /* [l] */
	uint32_t open_count;	    /* [l] files */
	uint32_t generation;	    /* [l] files of older generations are hung up */
	bool dead;		    /* [l] the other side is gone for good */
	bool exclusive;		    /* [l] TIOCEXCL */

	struct waitqueue wq; /* programs: IN, OUT, HUP */

	/* VMIN and VTIME: when the present read began, when input came last. */
	struct ktimer read_timer;
	uint64_t read_start, last_input; /* [l] ns monotonic */

	/* Job control */
	int32_t sid;	 /* [T] the session that it controls, or 0 */
	int32_t fg_pgid; /* [T] the foreground group, or 0 */
};

/* An open file's private data. */
struct tty_file {
	struct tty *tty;     /* [I] reference */
	uint32_t generation; /* [I] */
};

/* Sets up the common part; one reference. */
void tty_init(struct tty *tty, struct kernel *k, const struct tty_driver *driver, uint64_t rdev);
/* The counterpart, for driver->destroy. */
void tty_fini(struct tty *tty);

/* Releases tty->lock, then wakes programs and the driver and sends what signals were typed. */
void tty_finish(struct tty *tty, uint32_t what);
/* The other side is gone, or vhangup (dead: for good): files see the end, the session is told. */
void tty_hangup(struct tty *tty, bool dead);
bool tty_file_hung_locked(const struct tty_file *tf);

/* New window size from either side; tells the foreground group if it is another one. */
void tty_resize(struct tty *tty, const struct abi_winsize *size);

int64_t tty_ioctl(struct file *f, struct task *t, uint32_t cmd, uint64_t arg);
/* Those that mean the same on the master of a pair: settings, sizes, groups. -ENOIOCTLCMD if cmd is
 * none of them. from_master: no job control rules. */
int64_t tty_ioctl_common(struct tty *tty, struct file *f, struct task *t, uint32_t cmd,
			 uint64_t arg, bool from_master);

/* ---- tty_job.c ---- */
/*
 * Before a task changes (ABI_SIGTTOU) or reads (ABI_SIGTTIN) its terminal: 0 for the foreground
 * group and for strangers; -EIO for orphaned groups; else the group gets the signal and the call is
 * -ERESTARTSYS.
 */
int tty_check_job(struct tty *tty, struct task *t, int signo);
/* signo to the foreground group. No locks. */
void tty_signal_foreground(struct tty *tty, int signo);
void tty_signal_hangup(struct tty *tty);
void tty_opened_by(struct tty *tty, struct task *t, struct file *f);
int64_t tty_ioctl_job(struct tty *tty, struct task *t, uint32_t cmd, uint64_t arg,
		      bool from_master);

extern const struct file_ops tty_file_ops;

#endif
