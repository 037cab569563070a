/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal line discipline (N_TTY), as pure data: no locks, no waiting, no signals sent. The
 * terminal (tty.c) holds its lock around each function and acts on what is left in `signals` and
 * `packet`.
 *
 * The model: two queues.
 *
 *	driver --ldisc_receive--> [ in: editing, echo ] --ldisc_read--> program
 *	driver <--ldisc_output--- [ out: OPOST ] <----------ldisc_write-- program
 *	                              ^ echo
 *
 * Positions in the queues count up freely (their difference is what is in between). The input queue
 * holds [tail, canon) complete lines and [canon, head) the line being edited; without ICANON only
 * tail and head mean something. A character that ends a line carries LDISC_EOL; the mark that
 * end-of-file typing leaves carries LDISC_EOF as well and is never read.
 *
 * The output queue holds [tail, released) what the driver may take and [released, head) what was
 * echoed after output was stopped (XOFF, TCOOFF). Programs may fill it to LDISC_OUT_SOFT; the rest
 * is kept for echoes, and echoes beyond that are lost, as on Linux.
 *
 * What Linux does not do on pseudo-terminals isn't done here either: there are no breaks and no
 * parity errors, so BRKINT and INPCK have nothing to act on (PARMRK doubles 0377, ISTRIP strips);
 * IXOFF sends nothing by itself, as input that doesn't fit stays with the writer (TCIOFF sends).
 * Behaviour after termios(3) and Linux drivers/tty/n_tty.c.
 */
#ifndef SENTRY_TTY_LDISC_H
#define SENTRY_TTY_LDISC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/tty.h"

#define LDISC_IN_SIZE  4096u
#define LDISC_OUT_SIZE 16384u
#define LDISC_OUT_SOFT 8192u

#define LDISC_EOL 0x100u
#define LDISC_EOF 0x200u

struct ldisc {
	struct abi_termios2 termios;

	uint16_t in[LDISC_IN_SIZE]; /* character and LDISC_* flags */
	uint32_t in_tail, in_canon, in_head;
	bool literal; /* the next character is taken as it is (LNEXT) */

	uint8_t out[LDISC_OUT_SIZE];
	uint32_t out_tail, out_released, out_head;
	uint32_t column, line_column;	  /* of the cursor; where the edited line began */
	uint32_t echo_start, echo_column; /* out_head and column before the input at hand */
	bool erasing;			  /* between the \ and / of ECHOPRT */
	bool stopped;			  /* output: by STOP or TCOOFF */
	bool held;			  /* by TCOOFF: only TCOON starts it */

	/* Harvested by the terminal */
	uint32_t signals; /* bit n: signal n for the foreground group */
	bool packet_mode;
	uint8_t packet; /* ABI_TIOCPKT_* that the master has not read yet */
};

/* As a terminal is when it is opened first. */
void ldisc_init(struct ldisc *ld);
/* Also decides what becomes of unread input when ICANON changes. Speeds are kept as given. */
void ldisc_set_termios(struct ldisc *ld, const struct abi_termios2 *termios);

/* Bytes of input that fit now. In canonical mode never 0 while no complete line waits. */
size_t ldisc_room(const struct ldisc *ld);
/* Takes input from the driver: returns how many bytes it took, less than size when full. */
size_t ldisc_receive(struct ldisc *ld, const uint8_t *bytes, size_t size);

/* Whether a read would get something (in canonical mode: a complete line or end-of-file). */
bool ldisc_has_input(const struct ldisc *ld);
/* Bytes that could be read: FIONREAD. */
size_t ldisc_input_size(const struct ldisc *ld);
/* Reads at most size bytes, at most one line in canonical mode. 0: nothing, or end-of-file typed
 * (only if ldisc_has_input was true). */
size_t ldisc_read(struct ldisc *ld, uint8_t *buf, size_t size);

/* Bytes that a program can write now without waiting, at least. */
size_t ldisc_write_room(const struct ldisc *ld);
/* Takes a program's output: returns how many bytes it took. */
size_t ldisc_write(struct ldisc *ld, const uint8_t *bytes, size_t size);
/* For the driver. */
size_t ldisc_output_size(const struct ldisc *ld);
size_t ldisc_output(struct ldisc *ld, uint8_t *buf, size_t size);
/* The same without taking; ldisc_output_done takes. */
size_t ldisc_output_peek(const struct ldisc *ld, uint8_t *buf, size_t size);
void ldisc_output_done(struct ldisc *ld, size_t size);

void ldisc_flush_input(struct ldisc *ld);
/* Keeps what a master would have been given already on Linux: its own 4095 bytes, but no echo of
 * the input at hand. */
void ldisc_flush_output(struct ldisc *ld);
/* TCXONC: TCOOFF and TCOON. */
void ldisc_hold(struct ldisc *ld);
void ldisc_release(struct ldisc *ld);
/* TCIOFF, TCION: sends the STOP or START character to the other side. */
void ldisc_send_flow(struct ldisc *ld, bool stop);

#endif
