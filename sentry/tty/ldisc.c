/* SPDX-License-Identifier: Apache-2.0 */
/* The input half of the line discipline, and its settings. Output is in ldisc_out.c. */
#include "sentry/tty/ldisc.h"

#include <string.h>

#include "abi/signal.h"
#include "base/compiler.h"
#include "sentry/tty/ldisc_internal.h"

/* The settings that Linux calls tty_std_termios. */
static const struct abi_termios2 initial_termios = {
    .iflag = ABI_ICRNL | ABI_IXON,
    .oflag = ABI_OPOST | ABI_ONLCR,
    .cflag = ABI_B38400 | ABI_CS8 | ABI_CREAD,
    .lflag = ABI_ISIG | ABI_ICANON | ABI_ECHO | ABI_ECHOE | ABI_ECHOK | ABI_ECHOCTL | ABI_ECHOKE |
	     ABI_IEXTEN,
    .cc =
	{
	    [ABI_VINTR] = 3,
	    [ABI_VQUIT] = 28,
	    [ABI_VERASE] = 127,
	    [ABI_VKILL] = 21,
	    [ABI_VEOF] = 4,
	    [ABI_VMIN] = 1,
	    [ABI_VSTART] = 17,
	    [ABI_VSTOP] = 19,
	    [ABI_VSUSP] = 26,
	    [ABI_VREPRINT] = 18,
	    [ABI_VDISCARD] = 15,
	    [ABI_VWERASE] = 23,
	    [ABI_VLNEXT] = 22,
	},
    .ispeed = 38400,
    .ospeed = 38400,
};

void ldisc_init(struct ldisc *ld)
{
	memset(ld, 0, sizeof(*ld));
	ld->termios = initial_termios;
}

static uint16_t *in_at(struct ldisc *ld, uint32_t pos)
{
	return &ld->in[pos % LDISC_IN_SIZE];
}

static bool canonical(const struct ldisc *ld)
{
	return lflag(ld, ABI_ICANON) && !lflag(ld, ABI_EXTPROC);
}

/* Whether c is the special character `index`; 0 disables one. */
static bool is_special(const struct ldisc *ld, unsigned index, uint8_t c)
{
	return c && c == ld->termios.cc[index];
}

static bool is_extension(const struct ldisc *ld, unsigned index, uint8_t c)
{
	return lflag(ld, ABI_IEXTEN) && is_special(ld, index, c);
}

/* ---- settings ---- */

/* Flow control by ^S and ^Q, which packet mode tells the master of. */
static bool usual_flow(const struct abi_termios2 *t)
{
	return (t->iflag & ABI_IXON) && t->cc[ABI_VSTOP] == 19 && t->cc[ABI_VSTART] == 17;
}

/* Unread input after a change of ICANON: raw input becomes one pushed line, lines become raw. */
static void change_mode(struct ldisc *ld)
{
	for (uint32_t pos = ld->in_tail; pos != ld->in_head; pos++)
		*in_at(ld, pos) &= 0xff;
	if (canonical(ld) && ld->in_head != ld->in_tail) {
		*in_at(ld, ld->in_head - 1) |= LDISC_EOL;
		ld->in_canon = ld->in_head;
	} else {
		ld->in_canon = ld->in_tail;
	}
	ld->erasing = false;
	ld->literal = false;
}

static void note_packet_changes(struct ldisc *ld, const struct abi_termios2 *old)
{
	bool extproc = (old->lflag ^ ld->termios.lflag) & ABI_EXTPROC;

	if (!ld->packet_mode)
		return;
	if (usual_flow(old) != usual_flow(&ld->termios)) {
		ld->packet &= (uint8_t) ~(ABI_TIOCPKT_DOSTOP | ABI_TIOCPKT_NOSTOP);
		ld->packet |= usual_flow(&ld->termios) ? ABI_TIOCPKT_DOSTOP : ABI_TIOCPKT_NOSTOP;
	}
	if (extproc || (ld->termios.lflag & ABI_EXTPROC))
		ld->packet |= ABI_TIOCPKT_IOCTL;
}

void ldisc_set_termios(struct ldisc *ld, const struct abi_termios2 *termios)
{
	struct abi_termios2 old = ld->termios;

	ld->termios = *termios;
	if ((old.lflag ^ termios->lflag) & (ABI_ICANON | ABI_EXTPROC))
		change_mode(ld);
	if ((old.iflag & ABI_IXON) && !(termios->iflag & ABI_IXON) && !ld->held)
		ldisc_start(ld);
	note_packet_changes(ld, &old);
}

/* ---- the queue ---- */

static uint32_t in_used(const struct ldisc *ld)
{
	return ld->in_head - ld->in_tail;
}

static bool line_waits(const struct ldisc *ld)
{
	return ld->in_canon != ld->in_tail;
}

/* With PARMRK a character may need two places. */
static uint32_t in_free(const struct ldisc *ld)
{
	uint32_t left = LDISC_IN_SIZE - 1 - in_used(ld);

	return iflag(ld, ABI_PARMRK) ? left / 2 : left;
}

size_t ldisc_room(const struct ldisc *ld)
{
	uint32_t left = in_free(ld);

	if (left)
		return left;
	/* A line that is too long goes on to be edited, its characters lost, till its end comes. */
	return canonical(ld) && !line_waits(ld);
}

static void in_put(struct ldisc *ld, uint16_t c)
{
	if (in_used(ld) >= LDISC_IN_SIZE - 1)
		ld->in_head--;
	*in_at(ld, ld->in_head++) = c;
}

static void in_put_marked(struct ldisc *ld, uint8_t c)
{
	if (c == 0xff && iflag(ld, ABI_PARMRK))
		in_put(ld, c);
	in_put(ld, c);
}

static void end_line(struct ldisc *ld, uint16_t c)
{
	in_put(ld, c | LDISC_EOL);
	ld->in_canon = ld->in_head;
}

void ldisc_flush_input(struct ldisc *ld)
{
	ld->in_tail = ld->in_canon = ld->in_head;
	ld->erasing = false;
	ld->literal = false;
	if (ld->packet_mode)
		ld->packet |= ABI_TIOCPKT_FLUSHREAD;
}

/* ---- echo ---- */

/* Echo of a typed character that begins a line remembers where on the screen that was. */
static void note_line_start(struct ldisc *ld)
{
	if (ld->in_canon == ld->in_head)
		ld->line_column = ld->column;
}

static void finish_erasing(struct ldisc *ld)
{
	if (!ld->erasing)
		return;
	ldisc_echo_raw(ld, '/');
	ld->erasing = false;
}

/* ---- editing ---- */

static bool is_continuation(const struct ldisc *ld, uint16_t c)
{
	return iflag(ld, ABI_IUTF8) && (c & 0xc0) == 0x80;
}

static bool is_control(uint8_t c)
{
	return c < 0x20 || c == 0x7f;
}

/* Letters and digits, of Latin-1 too: so lead bytes of UTF-8 belong to words. */
static bool is_word(uint8_t c)
{
	return (c >= '0' && c <= '9') || c == '_' || ldisc_is_upper(c) || ldisc_is_lower(c);
}

/* The column at which the character at `end` of the edited line is shown. */
static uint32_t column_of(struct ldisc *ld, uint32_t end)
{
	uint32_t column = ld->line_column;

	for (uint32_t pos = ld->in_canon; pos != end; pos++) {
		uint8_t c = (uint8_t)*in_at(ld, pos);

		if (c == '\t')
			column = (column | 7) + 1;
		else if (is_control(c))
			column += lflag(ld, ABI_ECHOCTL) ? 2 : 0;
		else if (!is_continuation(ld, c))
			column++;
	}
	return column;
}

/* Back over a character, which goes. */
static void echo_blank(struct ldisc *ld)
{
	ldisc_echo_raw(ld, '\b');
	ldisc_echo_raw(ld, ' ');
	ldisc_echo_raw(ld, '\b');
}

/* As wide as it was when it was typed, whatever was written since. */
static void echo_erased_tab(struct ldisc *ld, uint32_t pos)
{
	for (uint32_t width = 8 - (column_of(ld, pos) & 7); width; width--)
		ldisc_echo_back(ld);
}

/* Shows that the character(s) in [pos, pos + count) are gone; the head is at pos already. */
static void echo_erased(struct ldisc *ld, uint32_t pos, uint32_t count, bool by_erase)
{
	uint8_t c = (uint8_t)*in_at(ld, pos);

	if (lflag(ld, ABI_ECHOPRT)) {
		if (!ld->erasing)
			ldisc_echo_raw(ld, '\\');
		ld->erasing = true;
		ldisc_echo(ld, c);
		for (uint32_t i = 1; i < count; i++) {
			ldisc_echo_raw(ld, (uint8_t)*in_at(ld, pos + i));
			ld->column -= ld->column > 0;
		}
	} else if (by_erase && !lflag(ld, ABI_ECHOE)) {
		ldisc_echo(ld, ld->termios.cc[ABI_VERASE]);
	} else if (c == '\t') {
		echo_erased_tab(ld, pos);
	} else {
		if (is_control(c) && lflag(ld, ABI_ECHOCTL))
			echo_blank(ld);
		if (!is_control(c) || lflag(ld, ABI_ECHOCTL))
			echo_blank(ld);
	}
}

/* Where the last character of the edited line begins; in_head if only a part of one is there. */
static uint32_t last_character(struct ldisc *ld)
{
	uint32_t pos = ld->in_head;

	do
		pos--;
	while (pos != ld->in_canon && is_continuation(ld, *in_at(ld, pos)));
	return is_continuation(ld, *in_at(ld, pos)) ? ld->in_head : pos;
}

static void erase_last(struct ldisc *ld, uint32_t pos, bool by_erase)
{
	uint32_t count = ld->in_head - pos;

	ld->in_head = pos;
	if (lflag(ld, ABI_ECHO))
		echo_erased(ld, pos, count, by_erase);
}

static void erase_word(struct ldisc *ld)
{
	bool in_word = false;

	while (ld->in_head != ld->in_canon) {
		uint32_t pos = last_character(ld);

		if (pos == ld->in_head)
			break;
		if (is_word((uint8_t)*in_at(ld, pos)))
			in_word = true;
		else if (in_word)
			break;
		erase_last(ld, pos, false);
	}
}

static void kill_line(struct ldisc *ld)
{
	const uint32_t visual = ABI_ECHOK | ABI_ECHOKE | ABI_ECHOE;

	if (!lflag(ld, ABI_ECHO)) {
		ld->in_head = ld->in_canon;
	} else if ((ld->termios.lflag & visual) != visual) {
		ld->in_head = ld->in_canon;
		finish_erasing(ld);
		ldisc_echo(ld, ld->termios.cc[ABI_VKILL]);
		if (lflag(ld, ABI_ECHOK))
			ldisc_echo_raw(ld, '\n');
	} else {
		while (ld->in_head != ld->in_canon) {
			uint32_t pos = last_character(ld);

			if (pos == ld->in_head)
				break;
			erase_last(ld, pos, false);
		}
	}
}

static void erase(struct ldisc *ld, uint8_t c)
{
	uint32_t pos;

	if (ld->in_head == ld->in_canon)
		return;
	if (is_special(ld, ABI_VKILL, c)) {
		kill_line(ld);
	} else if (is_extension(ld, ABI_VWERASE, c) && !is_special(ld, ABI_VERASE, c)) {
		erase_word(ld);
	} else {
		pos = last_character(ld);
		if (pos != ld->in_head)
			erase_last(ld, pos, true);
	}
	if (ld->in_head == ld->in_canon && lflag(ld, ABI_ECHO))
		finish_erasing(ld);
}

static void reprint(struct ldisc *ld, uint8_t c)
{
	finish_erasing(ld);
	ldisc_echo(ld, c);
	ldisc_echo_raw(ld, '\n');
	for (uint32_t pos = ld->in_canon; pos != ld->in_head; pos++)
		ldisc_echo(ld, (uint8_t)*in_at(ld, pos));
}

static void begin_literal(struct ldisc *ld)
{
	ld->literal = true;
	if (!lflag(ld, ABI_ECHO))
		return;
	finish_erasing(ld);
	if (lflag(ld, ABI_ECHOCTL)) {
		ldisc_echo_raw(ld, '^');
		ldisc_echo_raw(ld, '\b');
	}
}

/* ---- receiving ---- */

static void raise_signal(struct ldisc *ld, int signo, uint8_t c)
{
	if (!lflag(ld, ABI_NOFLSH)) {
		ldisc_flush_input(ld);
		ldisc_drop_echo(ld);
		ldisc_flush_output(ld);
	}
	ld->signals |= 1u << signo;
	if (iflag(ld, ABI_IXON) && !ld->held)
		ldisc_start(ld);
	if (lflag(ld, ABI_ECHO))
		ldisc_echo(ld, c);
}

/* Flow control and signals; true if c was one of theirs. */
static bool receive_control(struct ldisc *ld, uint8_t c)
{
	if (iflag(ld, ABI_IXON) && is_special(ld, ABI_VSTART, c)) {
		if (!ld->held)
			ldisc_start(ld);
		return true;
	}
	if (iflag(ld, ABI_IXON) && is_special(ld, ABI_VSTOP, c)) {
		ldisc_stop(ld);
		return true;
	}
	if (!lflag(ld, ABI_ISIG))
		return false;
	if (is_special(ld, ABI_VINTR, c))
		raise_signal(ld, ABI_SIGINT, c);
	else if (is_special(ld, ABI_VQUIT, c))
		raise_signal(ld, ABI_SIGQUIT, c);
	else if (is_special(ld, ABI_VSUSP, c))
		raise_signal(ld, ABI_SIGTSTP, c);
	else
		return false;
	return true;
}

/* The characters that edit or end a line; true if c was one. */
static bool receive_editing(struct ldisc *ld, uint8_t c)
{
	if (is_special(ld, ABI_VERASE, c) || is_special(ld, ABI_VKILL, c) ||
	    is_extension(ld, ABI_VWERASE, c)) {
		erase(ld, c);
	} else if (is_extension(ld, ABI_VLNEXT, c)) {
		begin_literal(ld);
	} else if (lflag(ld, ABI_ECHO) && is_extension(ld, ABI_VREPRINT, c)) {
		reprint(ld, c);
	} else if (c == '\n') {
		if (lflag(ld, ABI_ECHO) || lflag(ld, ABI_ECHONL))
			ldisc_echo_raw(ld, '\n');
		end_line(ld, c);
	} else if (is_special(ld, ABI_VEOF, c)) {
		end_line(ld, LDISC_EOF);
	} else if (is_special(ld, ABI_VEOL, c) || is_extension(ld, ABI_VEOL2, c)) {
		if (lflag(ld, ABI_ECHO)) {
			note_line_start(ld);
			ldisc_echo(ld, c);
		}
		if (c == 0xff && iflag(ld, ABI_PARMRK))
			in_put(ld, c);
		end_line(ld, c);
	} else {
		return false;
	}
	return true;
}

/* newline: c is one that a return was turned into, and is shown as one. */
static void receive_plain(struct ldisc *ld, uint8_t c, bool newline)
{
	if (lflag(ld, ABI_ECHO)) {
		finish_erasing(ld);
		note_line_start(ld);
		if (newline)
			ldisc_echo_raw(ld, c);
		else
			ldisc_echo(ld, c);
	}
	in_put_marked(ld, c);
}

static void receive_one(struct ldisc *ld, uint8_t c)
{
	bool newline = false;

	if (iflag(ld, ABI_ISTRIP))
		c &= 0x7f;
	if (iflag(ld, ABI_IUCLC) && lflag(ld, ABI_IEXTEN) && ldisc_is_upper(c))
		c += 0x20;
	if (lflag(ld, ABI_EXTPROC)) {
		in_put(ld, c);
		return;
	}
	if (ld->literal) {
		ld->literal = false;
		receive_plain(ld, c, false);
		return;
	}
	if (receive_control(ld, c))
		return;
	if (ld->stopped && !ld->held && iflag(ld, ABI_IXON) && iflag(ld, ABI_IXANY))
		ldisc_start(ld);
	if (c == '\r') {
		if (iflag(ld, ABI_IGNCR))
			return;
		newline = iflag(ld, ABI_ICRNL);
		if (newline)
			c = '\n';
	} else if (c == '\n' && iflag(ld, ABI_INLCR)) {
		c = '\r';
	}
	if (lflag(ld, ABI_ICANON) && receive_editing(ld, c))
		return;
	receive_plain(ld, c, newline);
}

/* The whole line is taken already: only the bell says so. */
static void bell_if_full(struct ldisc *ld)
{
	if (iflag(ld, ABI_IMAXBEL) && lflag(ld, ABI_ICANON) && in_free(ld) == 0)
		ldisc_echo_raw(ld, '\a');
}

size_t ldisc_receive(struct ldisc *ld, const uint8_t *bytes, size_t size)
{
	size_t done = 0;

	ld->echo_start = ld->out_head;
	ld->echo_column = ld->column;
	while (done < size && ldisc_room(ld)) {
		bell_if_full(ld);
		receive_one(ld, bytes[done++]);
	}
	return done;
}

/* ---- reading ---- */

bool ldisc_has_input(const struct ldisc *ld)
{
	return canonical(ld) ? line_waits(ld) : in_used(ld) != 0;
}

size_t ldisc_input_size(const struct ldisc *ld)
{
	size_t size = 0;

	if (!canonical(ld))
		return in_used(ld);
	for (uint32_t pos = ld->in_tail; pos != ld->in_canon; pos++)
		size += !(ld->in[pos % LDISC_IN_SIZE] & LDISC_EOF);
	return size;
}

static size_t read_line(struct ldisc *ld, uint8_t *buf, size_t size)
{
	size_t done = 0;

	while (done < size && line_waits(ld)) {
		uint16_t c = *in_at(ld, ld->in_tail++);

		if (!(c & LDISC_EOF))
			buf[done++] = (uint8_t)c;
		if (c & LDISC_EOL)
			return done;
	}
	/* A buffer filled just up to an end-of-file mark has seen it. */
	if (done && line_waits(ld) && (*in_at(ld, ld->in_tail) & LDISC_EOF))
		ld->in_tail++;
	return done;
}

size_t ldisc_read(struct ldisc *ld, uint8_t *buf, size_t size)
{
	size_t done = 0;

	if (canonical(ld))
		return read_line(ld, buf, size);
	while (done < size && in_used(ld))
		buf[done++] = (uint8_t)*in_at(ld, ld->in_tail++);
	ld->in_canon = ld->in_tail;
	return done;
}
