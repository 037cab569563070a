/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc/console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"

struct error *console_open(struct console *ret)
{
	struct console c = {.slave = -1};
	int number, unlock = 0;
	struct error *e;

	c.master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (c.master < 0)
		return error_errno(errno, "opening /dev/ptmx for the container's terminal");
	if (ioctl(c.master, TIOCSPTLCK, &unlock) == 0 && ioctl(c.master, TIOCGPTN, &number) == 0) {
		snprintf(c.name, sizeof(c.name), "/dev/pts/%d", number);
		/* By the master, not by name: which devpts the name leads to isn't sure. */
		c.slave = ioctl(c.master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	}
	if (c.slave < 0) {
		e = error_errno(errno, "opening the slave of the container's terminal");
		close(c.master);
		return e;
	}
	*ret = c;
	return NULL;
}

void console_close(struct console *c)
{
	if (c->master >= 0)
		close(c->master);
	if (c->slave >= 0)
		close(c->slave);
	c->master = c->slave = -1;
}

void console_set_size(const struct console *c, uint16_t rows, uint16_t columns)
{
	struct winsize ws = {.ws_row = rows, .ws_col = columns};

	ioctl(c->master, TIOCSWINSZ, &ws);
}

struct error *console_send(const struct console *c, const char *path)
{
	cleanup_fd int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	ssize_t n;

	if (sock < 0)
		return error_errno(errno, "socket");
	if (strlen(path) >= sizeof(addr.sun_path))
		return error_errno(ENAMETOOLONG, "--console-socket %s", path);
	strcpy(addr.sun_path, path);
	if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return error_errno(errno, "--console-socket %s", path);
	n = fd_send(sock, c->name, strlen(c->name), &c->master, 1);
	return n < 0 ? error_errno((int)-n, "--console-socket %s: sending", path) : NULL;
}

struct error *relay_begin(struct relay *r, struct console *c)
{
	struct termios raw;

	*r = (struct relay){.terminal_in = 0, .terminal_out = 1, .master = -1};
	if (!isatty(0)) {
		r->terminal_in = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
		r->owns_terminal = true;
		r->terminal_out = r->terminal_in;
	}
	if (r->terminal_in < 0)
		return error_errno(errno,
				   "process.terminal is true, but standard input is no terminal "
				   "and --console-socket is not given: open /dev/tty");
	if (tcgetattr(r->terminal_in, &r->saved) < 0)
		return error_errno(errno, "reading the terminal's settings");
	raw = r->saved;
	cfmakeraw(&raw);
	if (tcsetattr(r->terminal_in, TCSANOW, &raw) < 0)
		return error_errno(errno, "making the terminal raw");
	r->raw = true;
	r->master = c->master;
	c->master = -1;
	fcntl(r->master, F_SETFL, O_NONBLOCK);
	relay_resize(r);
	return NULL;
}

void relay_resize(const struct relay *r)
{
	struct winsize ws;

	if (ioctl(r->terminal_in, TIOCGWINSZ, &ws) == 0)
		ioctl(r->master, TIOCSWINSZ, &ws);
}

void relay_poll_fds(const struct relay *r, struct pollfd fds[2])
{
	bool read_more = !r->input_ended && r->pending_size == 0;
	short master = (short)((r->output_ended ? 0 : POLLIN) | (r->pending_size ? POLLOUT : 0));

	fds[0] = (struct pollfd){.fd = read_more ? r->terminal_in : -1, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = master ? r->master : -1, .events = master};
}

static void read_input(struct relay *r)
{
	ssize_t n = read(r->terminal_in, r->pending, sizeof(r->pending));

	if (n > 0)
		r->pending_size = (size_t)n;
	else if (n == 0 || (errno != EINTR && errno != EAGAIN))
		r->input_ended = true;
}

static void write_input(struct relay *r)
{
	ssize_t n = write(r->master, r->pending, r->pending_size);

	if (n > 0) {
		memmove(r->pending, r->pending + n, r->pending_size - (size_t)n);
		r->pending_size -= (size_t)n;
	} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
		r->pending_size = 0; /* the slave is closed: the end is near */
	}
}

/* One piece of output; false when there is none now. EIO: no slave is open any more. */
static bool read_output(struct relay *r)
{
	char buf[4096];
	ssize_t n = read(r->master, buf, sizeof(buf));

	if (n > 0)
		return fd_write_all(r->terminal_out, buf, (size_t)n) >= 0;
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		r->output_ended = true;
	return false;
}

/* Nobody is at our terminal any more (in raw mode it has no other end): nobody is at the
 * container's, which sees its side hang up. */
static void hang_up(struct relay *r)
{
	close(r->master);
	r->master = -1;
	r->output_ended = true;
	r->pending_size = 0;
}

void relay_handle(struct relay *r, const struct pollfd fds[2])
{
	if (fds[0].revents)
		read_input(r);
	if (r->input_ended && r->master >= 0) {
		hang_up(r);
		return;
	}
	if (r->pending_size)
		write_input(r);
	if (fds[1].revents & (POLLIN | POLLHUP | POLLERR))
		read_output(r);
}

void relay_end(struct relay *r)
{
	while (r->master >= 0 && !r->output_ended && read_output(r))
		;
	if (r->master >= 0)
		close(r->master);
	if (r->raw)
		tcsetattr(r->terminal_in, TCSANOW, &r->saved);
	if (r->owns_terminal && r->terminal_in >= 0)
		close(r->terminal_in);
	r->master = r->terminal_in = -1;
}
