/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container's terminal: a pseudo-terminal of the host whose slave the sandbox gets. The master
 * goes over --console-socket to whoever runs runsc, or is relayed to runsc's own terminal.
 */
#ifndef RUNSC_CONSOLE_H
#define RUNSC_CONSOLE_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

#include "runsc/error.h"

struct console {
	int master, slave; /* -1: closed */
	char name[32];	   /* of the slave, "/dev/pts/3" */
};

struct error *console_open(struct console *ret) __must_check;
void console_close(struct console *c);
void console_set_size(const struct console *c, uint16_t rows, uint16_t columns);
/* Sends the master to the unix stream socket at path (SCM_RIGHTS, the slave's name as data). */
struct error *console_send(const struct console *c, const char *path) __must_check;

/*
 * The relay between the terminal of `runsc run` and the master. While it is open the terminal is
 * in raw mode. relay_poll_fds fills two entries for poll (unused ones get fd -1), relay_handle
 * does what they report.
 */
struct relay {
	int terminal_in, terminal_out; /* borrowed but for a terminal_in that was opened */
	bool owns_terminal;
	bool raw; /* saved is to be restored */
	int master;
	struct termios saved;
	bool input_ended, output_ended;
	char pending[4096]; /* input that the master hasn't taken yet */
	size_t pending_size;
};

/* Finds runsc's terminal (standard input, else /dev/tty) and makes it raw. Takes the master over:
 * it is made non-blocking and closed by relay_end. */
struct error *relay_begin(struct relay *r, struct console *c) __must_check;
void relay_resize(const struct relay *r); /* copies the window's size to the master */
void relay_poll_fds(const struct relay *r, struct pollfd fds[2]);
void relay_handle(struct relay *r, const struct pollfd fds[2]);
/* Writes what the container's last output left in the pty, restores the terminal. */
void relay_end(struct relay *r);

#endif
