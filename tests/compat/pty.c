/* SPDX-License-Identifier: Apache-2.0 */
/* Pseudo-terminals: devpts, the pair, the line discipline as a program sees it. */
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "compat.h"

static int master, slave;

/* An unlocked pair in canonical mode; no controlling terminal comes of it. */
static void open_pair(void)
{
	char name[64];
	int number, unlock = 0;

	master = OK(open("/dev/ptmx", O_RDWR | O_NOCTTY));
	OK(ioctl(master, TIOCSPTLCK, &unlock));
	OK(ioctl(master, TIOCGPTN, &number));
	snprintf(name, sizeof(name), "/dev/pts/%d", number);
	slave = OK(open(name, O_RDWR | O_NOCTTY));
}

static void set_modes(tcflag_t iflag, tcflag_t oflag, tcflag_t lflag)
{
	struct termios ts;

	OK(tcgetattr(slave, &ts));
	ts.c_iflag = iflag;
	ts.c_oflag = oflag;
	ts.c_lflag = lflag;
	ts.c_cc[VMIN] = 1;
	ts.c_cc[VTIME] = 0;
	OK(tcsetattr(slave, TCSANOW, &ts));
}

static void put(int fd, const char *s)
{
	EQ(write(fd, s, strlen(s)), strlen(s));
}

/* Reads exactly what is wanted, in as many pieces as it comes. */
static void expect_at(int line, int fd, const char *want)
{
	char buf[4096];
	size_t done = 0, size = strlen(want);

	while (done < size) {
		ssize_t n = read(fd, buf + done, size - done);

		if (n <= 0)
			compat_fail(line, "read: want %zu more bytes, got %zd (%s)", size - done, n,
				    strerrorname_np(errno));
		done += (size_t)n;
	}
	buf[done] = 0;
	if (memcmp(buf, want, size) != 0)
		compat_fail(line, "want \"%s\", got \"%s\"", want, buf);
}
#define EXPECT(fd, want) expect_at(__LINE__, fd, want)

static short ready(int fd, short events)
{
	struct pollfd pfd = {.fd = fd, .events = events};

	OK(poll(&pfd, 1, 0));
	return pfd.revents;
}

static void wait_for(int fd, short events)
{
	struct pollfd pfd = {.fd = fd, .events = events};

	EQ(poll(&pfd, 1, 10000), 1);
}

TEST(names)
{
	struct stat by_fd, by_name;
	char name[64];

	open_pair();
	OK(ptsname_r(master, name, sizeof(name)));
	STR_EQ(ttyname(slave), name);
	OK(fstat(slave, &by_fd));
	OK(stat(name, &by_name));
	EQ(by_fd.st_ino, by_name.st_ino);
	EQ(S_ISCHR(by_fd.st_mode), 1);
	EQ(by_fd.st_rdev >> 8, 136);
	EQ(isatty(master), 1);
	EQ(isatty(slave), 1);
	close(slave);
	close(master);
	FAILS(stat(name, &by_name), ENOENT);
}

TEST(locked)
{
	char name[64];
	int number, lock = 1, is;

	master = OK(open("/dev/ptmx", O_RDWR | O_NOCTTY));
	OK(ioctl(master, TIOCGPTN, &number));
	snprintf(name, sizeof(name), "/dev/pts/%d", number);
	OK(ioctl(master, TIOCGPTLCK, &is));
	EQ(is, 1);
	FAILS(open(name, O_RDWR | O_NOCTTY), EIO);
	lock = 0;
	OK(ioctl(master, TIOCSPTLCK, &lock));
	OK(open(name, O_RDWR | O_NOCTTY));
}

TEST(peer)
{
	int unlock = 0, peer;

	master = OK(open("/dev/ptmx", O_RDWR | O_NOCTTY));
	OK(ioctl(master, TIOCSPTLCK, &unlock));
	peer = OK(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY));
	put(peer, "x");
	EXPECT(master, "x");
}

TEST(several)
{
	int m[20], number, previous = -1;

	for (int i = 0; i < 20; i++) {
		m[i] = OK(open("/dev/ptmx", O_RDWR | O_NOCTTY));
		OK(ioctl(m[i], TIOCGPTN, &number));
		CHECK(number != previous);
		previous = number;
	}
}

TEST(canonical_line)
{
	open_pair();
	put(master, "hel\177\177\177HEL\r");
	EXPECT(slave, "HEL\n");
	EXPECT(master, "hel\b \b\b \b\b \bHEL\r\n");
	put(slave, "a\tb\n");
	EXPECT(master, "a\tb\r\n");
}

TEST(canonical_partial)
{
	char buf[8];
	int n;

	open_pair();
	put(master, "hello\nworld\n");
	wait_for(slave, POLLIN);
	OK(ioctl(slave, FIONREAD, &n));
	EQ(n, 12);
	EQ(read(slave, buf, 2), 2);
	EQ(read(slave, buf, 8), 4);
	MEM_EQ(buf, "llo\n", 4);
	EQ(read(slave, buf, 8), 6);
}

TEST(end_of_file)
{
	char buf[8];

	open_pair();
	put(master, "\004");
	EQ(read(slave, buf, sizeof(buf)), 0);
	put(master, "ab\004");
	EQ(read(slave, buf, sizeof(buf)), 2);
}

TEST(nonblocking)
{
	char buf[8];

	open_pair();
	OK(fcntl(slave, F_SETFL, O_RDWR | O_NONBLOCK));
	FAILS(read(slave, buf, 1), EAGAIN);
	put(master, "ab");
	FAILS(read(slave, buf, 1), EAGAIN);
	EQ(ready(slave, POLLIN | POLLOUT), POLLOUT);
	put(master, "\n");
	wait_for(slave, POLLIN);
	EQ(read(slave, buf, 8), 3);
}

TEST(raw)
{
	open_pair();
	set_modes(0, 0, 0);
	put(master, "\003\r\n\004");
	EXPECT(slave, "\003\r\n\004");
	put(slave, "a\n");
	EXPECT(master, "a\n");
	EQ(ready(master, POLLIN), 0);
}

static void set_min_time(int min, int time)
{
	struct termios ts;

	set_modes(0, 0, 0);
	OK(tcgetattr(slave, &ts));
	ts.c_cc[VMIN] = (cc_t)min;
	ts.c_cc[VTIME] = (cc_t)time;
	OK(tcsetattr(slave, TCSANOW, &ts));
}

TEST(vmin_zero)
{
	char buf[8];

	open_pair();
	set_min_time(0, 0);
	EQ(read(slave, buf, 8), 0);
	set_min_time(0, 1);
	EQ(read(slave, buf, 8), 0);
	put(master, "a");
	set_min_time(0, 50);
	EQ(read(slave, buf, 8), 1);
}

TEST(vmin_many)
{
	char buf[8];
	pid_t pid;

	open_pair();
	set_min_time(4, 0);
	put(master, "ab");
	EQ(ready(slave, POLLIN), 0);
	pid = OK(fork());
	if (pid == 0) {
		put(master, "cdef");
		_exit(0);
	}
	EQ(read(slave, buf, 4), 4);
	MEM_EQ(buf, "abcd", 4);
	WAIT_EXIT(pid, 0);
	set_min_time(3, 0);
	put(master, "g");
	EQ(read(slave, buf, 2), 2);
}

TEST(vmin_vtime)
{
	char buf[8];

	open_pair();
	set_min_time(8, 1);
	put(master, "abc");
	EQ(read(slave, buf, 8), 3);
}

TEST(settings)
{
	struct termios ts, other;

	open_pair();
	OK(tcgetattr(slave, &ts));
	EQ(ts.c_iflag, ICRNL | IXON);
	EQ(ts.c_oflag, OPOST | ONLCR);
	EQ(ts.c_lflag, ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN);
	EQ(ts.c_cc[VINTR], 3);
	EQ(ts.c_cc[VMIN], 1);
	EQ(cfgetospeed(&ts), B38400);
	cfsetospeed(&ts, B9600);
	ts.c_cflag = (ts.c_cflag & ~(tcflag_t)CSIZE) | CS7 | PARENB;
	OK(tcsetattr(slave, TCSADRAIN, &ts));
	OK(tcgetattr(master, &other));
	EQ(cfgetospeed(&other), B9600);
	EQ(other.c_cflag & (CSIZE | PARENB), CS8);
}

TEST(flush)
{
	int n;

	open_pair();
	put(master, "one\ntwo\n");
	wait_for(slave, POLLIN);
	OK(tcflush(slave, TCIFLUSH));
	OK(ioctl(slave, FIONREAD, &n));
	EQ(n, 0);
	EQ(ready(slave, POLLIN), 0);
	FAILS(tcflush(slave, 77), EINVAL);
}

TEST(window_size)
{
	struct winsize ws = {.ws_row = 33, .ws_col = 77}, got;

	open_pair();
	OK(ioctl(slave, TIOCGWINSZ, &got));
	EQ(got.ws_row, 0);
	OK(ioctl(master, TIOCSWINSZ, &ws));
	OK(ioctl(slave, TIOCGWINSZ, &got));
	EQ(got.ws_row, 33);
	EQ(got.ws_col, 77);
}

TEST(stop_and_start)
{
	open_pair();
	OK(fcntl(slave, F_SETFL, O_RDWR | O_NONBLOCK));
	put(master, "\023");
	/* The stop takes effect when the discipline has seen it: poll says so. */
	while (ready(slave, POLLOUT))
		usleep(1000);
	FAILS(write(slave, "x", 1), EAGAIN);
	put(master, "\021");
	wait_for(slave, POLLOUT);
	EQ(write(slave, "x", 1), 1);
	OK(tcflow(slave, TCOOFF));
	FAILS(write(slave, "y", 1), EAGAIN);
	OK(tcflow(slave, TCOON));
	EQ(write(slave, "y", 1), 1);
	EXPECT(master, "xy");
}

TEST(packet_mode)
{
	char buf[8];
	int on = 1, is;

	open_pair();
	OK(ioctl(master, TIOCPKT, &on));
	OK(ioctl(master, TIOCGPKT, &is));
	EQ(is, 1);
	put(slave, "ab");
	EQ(read(master, buf, 8), 3);
	EQ(buf[0], TIOCPKT_DATA);
	MEM_EQ(buf + 1, "ab", 2);
	OK(tcflush(slave, TCIFLUSH));
	wait_for(master, POLLPRI);
	EQ(read(master, buf, 8), 1);
	EQ(buf[0], TIOCPKT_FLUSHREAD);
	OK(tcflow(slave, TCOOFF));
	EQ(read(master, buf, 8), 1);
	EQ(buf[0], TIOCPKT_STOP);
	OK(tcflow(slave, TCOON));
	EQ(read(master, buf, 8), 1);
	EQ(buf[0], TIOCPKT_START);
}

TEST(slave_closed)
{
	char buf[8];
	char name[64];

	open_pair();
	OK(ptsname_r(master, name, sizeof(name)));
	put(slave, "x");
	close(slave);
	EXPECT(master, "x");
	FAILS(read(master, buf, 1), EIO);
	CHECK(ready(master, POLLIN) & POLLHUP);
	slave = OK(open(name, O_RDWR | O_NOCTTY));
	EQ(ready(master, POLLIN) & POLLHUP, 0);
}

TEST(master_closed)
{
	struct termios ts;
	char buf[8];

	open_pair();
	close(master);
	EQ(read(slave, buf, 1), 0);
	FAILS(write(slave, "x", 1), EIO);
	FAILS(tcgetattr(slave, &ts), EIO);
	CHECK(ready(slave, POLLIN | POLLOUT) & POLLHUP);
}

TEST(master_closed_wakes_reader)
{
	char buf[8];
	pid_t pid;

	open_pair();
	pid = OK(fork());
	if (pid == 0) {
		close(master);
		/* EIO if it waits already, the end of the file if it comes later. */
		_exit(read(slave, buf, 1) <= 0 ? 0 : 1);
	}
	close(slave);
	usleep(20000); /* lets the child block first, most of the time; both orders must work */
	close(master);
	WAIT_EXIT(pid, 0);
}

/* More than any buffer on the way holds. */
TEST(much_output)
{
	enum { SIZE = 300000 };
	static char buf[65536];
	size_t total = 0;
	pid_t pid;

	open_pair();
	set_modes(0, 0, 0);
	pid = OK(fork());
	if (pid == 0) {
		static char out[SIZE];

		memset(out, 'z', sizeof(out));
		close(master);
		_exit(write(slave, out, sizeof(out)) == sizeof(out) ? 0 : 1);
	}
	close(slave);
	while (total < SIZE) {
		ssize_t n = OK(read(master, buf, sizeof(buf)));

		for (ssize_t i = 0; i < n; i++)
			EQ(buf[i], 'z');
		total += (size_t)n;
	}
	EQ(total, SIZE);
	WAIT_EXIT(pid, 0);
}

TEST(much_input)
{
	enum { SIZE = 100000 };
	static char buf[SIZE];
	size_t total = 0;
	pid_t pid;

	open_pair();
	set_modes(0, 0, 0);
	pid = OK(fork());
	if (pid == 0) {
		memset(buf, 'q', sizeof(buf));
		_exit(write(master, buf, sizeof(buf)) == sizeof(buf) ? 0 : 1);
	}
	while (total < SIZE)
		total += (size_t)OK(read(slave, buf, sizeof(buf)));
	EQ(total, SIZE);
	WAIT_EXIT(pid, 0);
}

TEST(not_terminals)
{
	struct termios ts;
	int fds[2], fd;

	OK(pipe(fds));
	FAILS(tcgetattr(fds[0], &ts), ENOTTY);
	fd = OK(open("/dev/null", O_RDWR));
	FAILS(tcgetattr(fd, &ts), ENOTTY);
	open_pair();
	FAILS(lseek(slave, 0, SEEK_SET), ESPIPE);
	FAILS(ioctl(slave, 0x12345678, 0), ENOTTY);
}

TEST(discipline)
{
	int number = 99;

	open_pair();
	OK(ioctl(slave, TIOCGETD, &number));
	EQ(number, 0);
	OK(ioctl(slave, TIOCOUTQ, &number));
	EQ(number, 0);
}
