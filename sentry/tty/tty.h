/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Terminals: the line discipline (ldisc.h) on top of a driver. Two drivers: pseudo-terminal pairs
 * (pty.c, files through fs/devpts) and the host console (console.c), the container's terminal.
 *
 * Job control (tty_job.c) belongs to the terminal's session: which session it controls and which
 * group is in the foreground are kept as ids, guarded by kernel.tasks_lock; the session holds a
 * reference to its terminal (struct session.tty).
 *
 * Lock order: tasks_lock before tty.lock (RANK_OBJECT). So what typing causes (signals) is noted
 * under tty.lock and sent after it is released.
 */
#ifndef SENTRY_TTY_TTY_H
#define SENTRY_TTY_TTY_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/tty.h"

struct cred;
struct file;
struct inode;
struct kernel;
struct path;
struct session;
struct super_block;
struct task;
struct tty;

struct tty *tty_get(struct tty *tty);
void tty_put(struct tty *tty);
/* dev_t as in stat: 136:N of a pty, 5:1 of the console. */
uint64_t tty_rdev(const struct tty *tty);
/* Under tasks_lock: the foreground group of the terminal, or -1. For /proc/pid/stat. */
int32_t tty_foreground_locked(const struct tty *tty);

/*
 * The task's controlling terminal: a reference or NULL. Takes tasks_lock.
 */
struct tty *tty_of_task(struct task *t);

/*
 * A session leader gives its terminal up (TIOCNOTTY, setsid has no need) or ends: its foreground
 * group gets SIGHUP (and SIGCONT), no task of the session has a terminal afterwards. Called once by
 * task exit for each session leader, without locks, while its session and group still exist.
 * Harmless without a terminal.
 */
void tty_leader_exit(struct task *leader);

/* ---- the host console ---- */
/*
 * The container's terminal on a host descriptor: the slave of a pair, which nobody else reads,
 * taken over (and closed at the end). Puts it in raw mode; the guest sees a line discipline of our
 * own. rows, columns: 0 for what the host says. 0 or negative errno.
 */
int console_new(struct kernel *k, int host_fd, uint16_t rows, uint16_t columns,
		struct tty **ret_tty);
/* The host terminal may have changed its size (the sentry got SIGWINCH). Any thread, no locks. */
void console_resized(struct tty *tty);
/* The kernel's console, /dev/console: set once at boot. The reference is taken over. */
void console_install(struct kernel *k, struct tty *tty);
/*
 * The first process's standard streams: an open file on the console by the name that the container
 * has for it (/dev/pts/0, else /dev/console), owned by the user that cred names. 0 or negative
 * errno.
 */
int console_file_new(struct kernel *k, const struct path *root, const struct cred *cred,
		     struct file **ret_file);
/* Borrowed or NULL. */
struct tty *console_of_kernel(struct kernel *k);

/*
 * An open file on a terminal, for the first process's stdio and chardev_open: sets f->ops and
 * f->private. Makes it the controlling terminal of t's session if that has none, t leads it and
 * O_NOCTTY isn't given. t may be NULL. 0, -EIO (hung up), -EBUSY (TIOCEXCL).
 */
int tty_open(struct tty *tty, struct task *t, struct file *f);
/* Makes it the controlling terminal of t's session without asking (boot, TIOCSCTTY). */
int tty_set_controlling(struct tty *tty, struct task *t, bool steal);

#endif
