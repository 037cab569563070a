/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pseudo-terminal pairs (pty(7)). The slave is a struct tty; the master is a file that stands on
 * the other side of its line discipline. The file system that names the pair (fs/devpts) is the
 * pair's host.
 */
#ifndef SENTRY_TTY_PTY_H
#define SENTRY_TTY_PTY_H

#include <stdbool.h>
#include <stdint.h>

struct file;
struct kernel;
struct task;
struct tty;

#define PTY_SLAVE_MAJOR 136u

struct pty_host {
	/* The master is closed: forget the name. No locks held. */
	void (*closed)(void *owner, uint32_t index);
	/* TIOCGPTPEER: opens the slave for t. 0 or negative errno. */
	int (*open_peer)(void *owner, struct file *master, uint32_t index, struct task *t,
			 uint32_t flags, struct file **ret);
	/* The last reference to the pair is gone; drops the owner. */
	void (*put)(void *owner);
};

/* A pair; one reference to the slave's tty. owner is handed over (host->put). */
struct tty *pty_new(struct kernel *k, uint32_t index, const struct pty_host *host, void *owner);
/* Makes f its master: once. Takes a reference of its own. */
void pty_open_master(struct tty *tty, struct file *f);
uint32_t pty_index(const struct tty *tty);

#endif
