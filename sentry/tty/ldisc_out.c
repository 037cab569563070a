/* SPDX-License-Identifier: Apache-2.0 */
/* The output half of the line discipline: output processing (OPOST), echo, flow control. */
#include <string.h>

#include "base/compiler.h"
#include "sentry/tty/ldisc_internal.h"

/* What the master of a pair holds on Linux beyond the reach of a flush. */
#define OUT_BEYOND_FLUSH 4095u
/* The longest that one character can become: a tab of eight blanks. */
#define EXPANSION_MAX 8u

static uint32_t out_used(const struct ldisc *ld)
{
	return ld->out_head - ld->out_tail;
}

static void out_put(struct ldisc *ld, uint8_t c)
{
	if (out_used(ld) == LDISC_OUT_SIZE)
		return;
	ld->out[ld->out_head++ % LDISC_OUT_SIZE] = c;
	if (!ld->stopped)
		ld->out_released = ld->out_head;
}

static void new_line(struct ldisc *ld)
{
	if (oflag(ld, ABI_ONLRET) || oflag(ld, ABI_ONLCR))
		ld->column = 0;
	if (oflag(ld, ABI_ONLCR))
		out_put(ld, '\r');
	ld->line_column = ld->column;
	out_put(ld, '\n');
}

static void carriage_return(struct ldisc *ld)
{
	if (oflag(ld, ABI_ONOCR) && ld->column == 0)
		return;
	if (!oflag(ld, ABI_OCRNL) || oflag(ld, ABI_ONLRET))
		ld->line_column = ld->column = 0;
	out_put(ld, oflag(ld, ABI_OCRNL) ? '\n' : '\r');
}

static void tab(struct ldisc *ld)
{
	uint32_t blanks = 8 - (ld->column & 7);

	ld->column += blanks;
	if ((ld->termios.oflag & ABI_TABDLY) != ABI_XTABS) {
		out_put(ld, '\t');
		return;
	}
	while (blanks--)
		out_put(ld, ' ');
}

static void printable(struct ldisc *ld, uint8_t c)
{
	bool control = c < 0x20 || c == 0x7f;
	bool continuation = iflag(ld, ABI_IUTF8) && (c & 0xc0) == 0x80;

	if (!control && oflag(ld, ABI_OLCUC) && ldisc_is_lower(c))
		c -= 0x20;
	if (!control && !continuation)
		ld->column++;
	out_put(ld, c);
}

/* One character through output processing. */
static void process(struct ldisc *ld, uint8_t c)
{
	switch (c) {
	case '\n':
		new_line(ld);
		break;
	case '\r':
		carriage_return(ld);
		break;
	case '\t':
		tab(ld);
		break;
	case '\b':
		if (ld->column)
			ld->column--;
		out_put(ld, c);
		break;
	default:
		printable(ld, c);
	}
}

void ldisc_echo_raw(struct ldisc *ld, uint8_t c)
{
	if (c == 0xff) {
		/* Linux's echo queue has a meaning of its own for it, so OLCUC passes it over. */
		ld->column++;
		out_put(ld, c);
	} else if (oflag(ld, ABI_OPOST)) {
		process(ld, c);
	} else {
		out_put(ld, c);
	}
}

void ldisc_echo(struct ldisc *ld, uint8_t c)
{
	bool control = c < 0x20 || c == 0x7f;

	if (!control || c == '\t' || !lflag(ld, ABI_ECHOCTL)) {
		ldisc_echo_raw(ld, c);
		return;
	}
	out_put(ld, '^');
	out_put(ld, c ^ 0x40);
	ld->column += 2;
}

void ldisc_echo_back(struct ldisc *ld)
{
	out_put(ld, '\b');
	ld->column -= ld->column > 0;
}

/* ---- writing ---- */

size_t ldisc_write_room(const struct ldisc *ld)
{
	uint32_t used = out_used(ld);

	return ld->stopped || used + EXPANSION_MAX > LDISC_OUT_SOFT ? 0 : LDISC_OUT_SOFT - used;
}

size_t ldisc_write(struct ldisc *ld, const uint8_t *bytes, size_t size)
{
	bool post = oflag(ld, ABI_OPOST);
	size_t done = 0;

	while (done < size && ldisc_write_room(ld)) {
		if (post)
			process(ld, bytes[done++]);
		else
			out_put(ld, bytes[done++]);
	}
	return done;
}

size_t ldisc_output_size(const struct ldisc *ld)
{
	return ld->out_released - ld->out_tail;
}

size_t ldisc_output_peek(const struct ldisc *ld, uint8_t *buf, size_t size)
{
	size_t n = MIN(size, ldisc_output_size(ld));
	size_t at = ld->out_tail % LDISC_OUT_SIZE;
	size_t first = MIN(n, LDISC_OUT_SIZE - at);

	memcpy(buf, &ld->out[at], first);
	memcpy(buf + first, ld->out, n - first);
	return n;
}

void ldisc_output_done(struct ldisc *ld, size_t size)
{
	ld->out_tail += (uint32_t)size;
}

size_t ldisc_output(struct ldisc *ld, uint8_t *buf, size_t size)
{
	size_t n = ldisc_output_peek(ld, buf, size);

	ldisc_output_done(ld, n);
	return n;
}

void ldisc_drop_echo(struct ldisc *ld)
{
	ld->out_head = ld->echo_start;
	if ((int32_t)(ld->out_released - ld->out_head) > 0)
		ld->out_released = ld->out_head;
	ld->column = ld->echo_column;
}

void ldisc_flush_output(struct ldisc *ld)
{
	uint32_t kept = MIN((uint32_t)ldisc_output_size(ld), OUT_BEYOND_FLUSH);

	ld->out_head = ld->out_released = ld->out_tail + kept;
	if (ld->packet_mode)
		ld->packet |= ABI_TIOCPKT_FLUSHWRITE;
}

/* ---- flow control ---- */

void ldisc_stop(struct ldisc *ld)
{
	if (ld->stopped)
		return;
	ld->stopped = true;
	if (!ld->packet_mode)
		return;
	ld->packet &= (uint8_t)~ABI_TIOCPKT_START;
	ld->packet |= ABI_TIOCPKT_STOP;
}

void ldisc_start(struct ldisc *ld)
{
	if (!ld->stopped)
		return;
	ld->stopped = false;
	ld->out_released = ld->out_head;
	if (!ld->packet_mode)
		return;
	ld->packet &= (uint8_t)~ABI_TIOCPKT_STOP;
	ld->packet |= ABI_TIOCPKT_START;
}

void ldisc_hold(struct ldisc *ld)
{
	ld->held = true;
	ldisc_stop(ld);
}

void ldisc_release(struct ldisc *ld)
{
	if (!ld->held)
		return;
	ld->held = false;
	ldisc_start(ld);
}

void ldisc_send_flow(struct ldisc *ld, bool stop)
{
	uint8_t c = ld->termios.cc[stop ? ABI_VSTOP : ABI_VSTART];

	if (!c || out_used(ld) == LDISC_OUT_SIZE)
		return;
	/* Even when output is stopped, so it goes before what is held back. */
	for (uint32_t pos = ld->out_head; pos != ld->out_released; pos--)
		ld->out[pos % LDISC_OUT_SIZE] = ld->out[(pos - 1) % LDISC_OUT_SIZE];
	ld->out[ld->out_released++ % LDISC_OUT_SIZE] = c;
	ld->out_head++;
}
