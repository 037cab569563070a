/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of the line discipline use of each other. */
#ifndef SENTRY_TTY_LDISC_INTERNAL_H
#define SENTRY_TTY_LDISC_INTERNAL_H

#include "sentry/tty/ldisc.h"

static inline bool iflag(const struct ldisc *ld, uint32_t flag)
{
	return (ld->termios.iflag & flag) != 0;
}

static inline bool oflag(const struct ldisc *ld, uint32_t flag)
{
	return (ld->termios.oflag & flag) != 0;
}

static inline bool lflag(const struct ldisc *ld, uint32_t flag)
{
	return (ld->termios.lflag & flag) != 0;
}

/* Letters as Linux's ctype has them: ASCII and Latin-1. */
static inline bool ldisc_is_upper(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 0xc0 && c <= 0xde && c != 0xd7);
}

static inline bool ldisc_is_lower(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 0xdf && c != 0xf7);
}

/* Echoes a typed character: control characters as ^X with ECHOCTL. */
void ldisc_echo(struct ldisc *ld, uint8_t c);
/* Echoes c as it is (output processing applies). */
void ldisc_echo_raw(struct ldisc *ld, uint8_t c);
/* One column back. */
void ldisc_echo_back(struct ldisc *ld);
/* Takes back what the input at hand has echoed so far. */
void ldisc_drop_echo(struct ldisc *ld);
void ldisc_stop(struct ldisc *ld);
void ldisc_start(struct ldisc *ld);

#endif
