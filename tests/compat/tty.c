/* SPDX-License-Identifier: Apache-2.0 */
/* Controlling terminals and job control: sessions, foreground groups, the signals of a terminal. */
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "compat.h"

static int master;
static char slave_name[64];
static volatile sig_atomic_t caught;

static void note_signal(int signo)
{
	caught = signo;
}

/* An unlocked pair of which only the master is open. */
static void open_master(void)
{
	int unlock = 0;

	master = OK(open("/dev/ptmx", O_RDWR | O_NOCTTY));
	OK(ioctl(master, TIOCSPTLCK, &unlock));
	OK(ptsname_r(master, slave_name, sizeof(slave_name)));
}

/* Runs fn in a new session whose controlling terminal is a fresh pair; its value is the exit code.
 */
static pid_t in_session(int (*fn)(int slave))
{
	pid_t pid;

	open_master();
	pid = OK(fork());
	if (pid == 0) {
		alarm(COMPAT_WATCHDOG);
		close(master);
		OK(setsid());
		_exit(fn(OK(open(slave_name, O_RDWR))));
	}
	return pid;
}

static void sleep_until_killed(void)
{
	for (;;)
		pause();
}

static pid_t stopped_child(pid_t pid, int *ret_signal)
{
	int status;
	pid_t got = OK(waitpid(pid, &status, WUNTRACED));

	EQ(WIFSTOPPED(status), 1);
	*ret_signal = WSTOPSIG(status);
	return got;
}

static int check_ids(int slave)
{
	EQ(tcgetsid(slave), getpid());
	EQ(tcgetpgrp(slave), getpgrp());
	close(OK(open("/dev/tty", O_RDWR)));
	return 0;
}

TEST(acquired_by_open)
{
	WAIT_EXIT(in_session(check_ids), 0);
}

static int check_noctty(int slave)
{
	(void)slave;
	return 0;
}

TEST(noctty)
{
	pid_t pid;

	open_master();
	pid = OK(fork());
	if (pid == 0) {
		int slave;

		OK(setsid());
		slave = OK(open(slave_name, O_RDWR | O_NOCTTY));
		FAILS(open("/dev/tty", O_RDWR), ENXIO);
		FAILS(tcgetpgrp(slave), ENOTTY);
		OK(ioctl(slave, TIOCSCTTY, 0));
		EQ(tcgetpgrp(slave), getpid());
		OK(ioctl(slave, TIOCSCTTY, 0));
		OK(open("/dev/tty", O_RDWR));
		_exit(check_noctty(slave));
	}
	WAIT_EXIT(pid, 0);
}

static int check_second(int slave)
{
	int unlock = 0;
	int other = OK(open("/dev/ptmx", O_RDWR | O_NOCTTY)), other_slave;
	char name[64];

	(void)slave;
	OK(ioctl(other, TIOCSPTLCK, &unlock));
	OK(ptsname_r(other, name, sizeof(name)));
	other_slave = OK(open(name, O_RDWR));
	FAILS(tcgetpgrp(other_slave), ENOTTY);
	FAILS(ioctl(other_slave, TIOCSCTTY, 0), EPERM);
	return 0;
}

TEST(only_one)
{
	WAIT_EXIT(in_session(check_second), 0);
}

static int wait_here(int slave)
{
	(void)slave;
	sleep_until_killed();
	return 0;
}

TEST(not_stolen)
{
	pid_t pid = in_session(wait_here), thief;
	int slave = -1;

	while (ioctl(master, TIOCGSID, &slave) < 0)
		usleep(1000);
	EQ(slave, pid);
	thief = OK(fork());
	if (thief == 0) {
		OK(setsid());
		slave = OK(open(slave_name, O_RDWR));
		FAILS(ioctl(slave, TIOCSCTTY, 0), EPERM);
		_exit(0);
	}
	WAIT_EXIT(thief, 0);
	kill(pid, SIGKILL);
}

static int check_give_up(int slave)
{
	signal(SIGHUP, note_signal);
	OK(ioctl(slave, TIOCNOTTY));
	EQ(caught, SIGHUP);
	FAILS(open("/dev/tty", O_RDWR), ENXIO);
	FAILS(ioctl(slave, TIOCNOTTY), ENOTTY);
	return 0;
}

TEST(give_up)
{
	WAIT_EXIT(in_session(check_give_up), 0);
}

static int check_interrupt(int slave)
{
	struct pollfd pfd = {.fd = slave, .events = POLLIN};

	signal(SIGINT, note_signal);
	EQ(write(slave, "ready\n", 6), 6);
	while (!caught)
		poll(&pfd, 1, 1000);
	return caught;
}

static void await_ready(void)
{
	char buf[64];

	CHECK(OK(read(master, buf, sizeof(buf))) > 0);
}

TEST(interrupt)
{
	pid_t pid = in_session(check_interrupt);

	await_ready();
	EQ(write(master, "\003", 1), 1);
	WAIT_EXIT(pid, SIGINT);
}

static int check_quit_read(int slave)
{
	struct sigaction sa = {.sa_handler = note_signal};
	char buf[8];

	sigaction(SIGQUIT, &sa, NULL);
	EQ(write(slave, "ready\n", 6), 6);
	FAILS(read(slave, buf, 8), EINTR);
	return caught;
}

TEST(quit_interrupts_read)
{
	pid_t pid = in_session(check_quit_read);

	await_ready();
	usleep(20000); /* most of the time the read waits by then; both orders are handled */
	EQ(write(master, "\034", 1), 1);
	WAIT_EXIT(pid, SIGQUIT);
}

/* A child in a group of its own, in the background. */
static pid_t background(void (*fn)(int), int slave)
{
	pid_t pid = OK(fork());

	if (pid == 0) {
		OK(setpgid(0, 0));
		fn(slave);
		_exit(0);
	}
	setpgid(pid, pid);
	return pid;
}

static void read_one(int slave)
{
	char c;

	EQ(read(slave, &c, 1), 1);
}

static int check_background_read(int slave)
{
	pid_t pid = background(read_one, slave);
	int signo;

	stopped_child(pid, &signo);
	EQ(signo, SIGTTIN);
	signal(SIGTTOU, SIG_IGN);
	OK(tcsetpgrp(slave, pid));
	EQ(tcgetpgrp(slave), pid);
	OK(kill(-pid, SIGCONT));
	EQ(write(slave, "go\n", 3), 3);
	WAIT_EXIT(pid, 0);
	return 0;
}

TEST(background_read)
{
	pid_t pid = in_session(check_background_read);

	await_ready();
	EQ(write(master, "x\n", 2), 2);
	WAIT_EXIT(pid, 0);
}

static void read_ignoring(int slave)
{
	char c;

	signal(SIGTTIN, SIG_IGN);
	FAILS(read(slave, &c, 1), EIO);
}

static int check_background_read_ignored(int slave)
{
	WAIT_EXIT(background(read_ignoring, slave), 0);
	return 0;
}

TEST(background_read_ignored)
{
	WAIT_EXIT(in_session(check_background_read_ignored), 0);
}

static void write_one(int slave)
{
	EQ(write(slave, "y", 1), 1);
}

static void set_tostop(int fd)
{
	struct termios ts;

	OK(tcgetattr(fd, &ts));
	ts.c_lflag |= TOSTOP;
	OK(tcsetattr(fd, TCSANOW, &ts));
}

static int check_background_write(int slave)
{
	int signo;
	pid_t pid = background(write_one, slave);

	WAIT_EXIT(pid, 0);
	set_tostop(slave);
	pid = background(write_one, slave);
	stopped_child(pid, &signo);
	EQ(signo, SIGTTOU);
	kill(pid, SIGKILL);
	return 0;
}

TEST(background_write)
{
	WAIT_EXIT(in_session(check_background_write), 0);
}

static int check_background_settings(int slave)
{
	int signo;
	pid_t pid = background(set_tostop, slave);

	stopped_child(pid, &signo);
	EQ(signo, SIGTTOU);
	kill(pid, SIGKILL);
	return 0;
}

TEST(background_settings)
{
	WAIT_EXIT(in_session(check_background_settings), 0);
}

static void take_terminal(int slave)
{
	signal(SIGTTOU, SIG_IGN);
	OK(tcsetpgrp(slave, getpid()));
}

static int check_foreground_rules(int slave)
{
	pid_t pid;

	FAILS(tcsetpgrp(slave, 1), getpid() == 1 ? 0 : EPERM);
	FAILS(tcsetpgrp(slave, -5), EINVAL);
	FAILS(tcsetpgrp(slave, 4000000), ESRCH);
	pid = background(take_terminal, slave);
	WAIT_EXIT(pid, 0);
	return 0;
}

TEST(foreground_rules)
{
	WAIT_EXIT(in_session(check_foreground_rules), 0);
}

static int check_suspend(int slave)
{
	pid_t pid = OK(fork());
	int signo;

	if (pid == 0) {
		OK(setpgid(0, 0));
		signal(SIGTTOU, SIG_IGN);
		OK(tcsetpgrp(slave, getpid()));
		EQ(write(slave, "ready\n", 6), 6);
		sleep_until_killed();
	}
	stopped_child(pid, &signo);
	EQ(signo, SIGTSTP);
	kill(pid, SIGKILL);
	return 0;
}

TEST(suspend)
{
	pid_t pid = in_session(check_suspend);

	await_ready();
	EQ(write(master, "\032", 1), 1);
	WAIT_EXIT(pid, 0);
}

static int check_resize(int slave)
{
	struct winsize ws;

	signal(SIGWINCH, note_signal);
	EQ(write(slave, "ready\n", 6), 6);
	while (!caught)
		usleep(1000);
	OK(ioctl(slave, TIOCGWINSZ, &ws));
	EQ(ws.ws_row, 12);
	return caught;
}

TEST(resize)
{
	struct winsize ws = {.ws_row = 12, .ws_col = 34};
	pid_t pid = in_session(check_resize);

	await_ready();
	OK(ioctl(master, TIOCSWINSZ, &ws));
	WAIT_EXIT(pid, SIGWINCH);
}

static int check_hangup(int slave)
{
	char c;

	signal(SIGHUP, note_signal);
	EQ(write(slave, "ready\n", 6), 6);
	while (!caught)
		usleep(1000);
	EQ(read(slave, &c, 1), 0);
	FAILS(write(slave, "x", 1), EIO);
	FAILS(open("/dev/tty", O_RDWR), ENXIO);
	return caught;
}

TEST(hangup)
{
	pid_t pid = in_session(check_hangup);

	await_ready();
	close(master);
	WAIT_EXIT(pid, SIGHUP);
}

static int check_leader_exit(int slave)
{
	int ready[2];
	pid_t pid;
	char c;

	OK(pipe(ready));
	pid = OK(fork());
	if (pid == 0) {
		/* Outlives its session's leader, as its foreground group. */
		alarm(COMPAT_WATCHDOG);
		signal(SIGHUP, note_signal);
		EQ(write(ready[1], "x", 1), 1);
		while (!caught)
			usleep(1000);
		(void)!write(slave, "gone\n", 5);
		_exit(0);
	}
	EQ(read(ready[0], &c, 1), 1);
	return 0;
}

TEST(leader_exit)
{
	pid_t pid = in_session(check_leader_exit);
	char buf[16];

	WAIT_EXIT(pid, 0);
	EQ(read(master, buf, sizeof(buf)), 6);
	MEM_EQ(buf, "gone\r\n", 6);
}

static int check_fork_keeps(int slave)
{
	pid_t pid = OK(fork());

	if (pid == 0) {
		EQ(tcgetsid(slave), getppid());
		OK(open("/dev/tty", O_RDWR));
		OK(setsid());
		FAILS(open("/dev/tty", O_RDWR), ENXIO);
		_exit(0);
	}
	WAIT_EXIT(pid, 0);
	return 0;
}

TEST(inherited)
{
	WAIT_EXIT(in_session(check_fork_keeps), 0);
}

static int check_proc_stat(int slave)
{
	char path[] = "/proc/self/stat", text[1024];
	int fd = OK(open(path, O_RDONLY)), tty_nr, tpgid;
	ssize_t n = OK(read(fd, text, sizeof(text) - 1));
	struct stat st;

	text[n] = 0;
	EQ(sscanf(strrchr(text, ')') + 2, "%*c %*d %*d %*d %d %d", &tty_nr, &tpgid), 2);
	OK(fstat(slave, &st));
	EQ(tty_nr, (int)st.st_rdev);
	EQ(tpgid, getpgrp());
	return 0;
}

TEST(proc_stat)
{
	WAIT_EXIT(in_session(check_proc_stat), 0);
}
