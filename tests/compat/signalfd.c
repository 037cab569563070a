/* SPDX-License-Identifier: Apache-2.0 */
/* signalfd: signals that are read, waited for, and changed. */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include "compat.h"

static int block_and_open(int signo, int flags)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signo);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	return OK(signalfd(-1, &set, flags));
}

TEST(a_signal_is_read_once)
{
	int fd = block_and_open(SIGUSR1, SFD_NONBLOCK | SFD_CLOEXEC);
	struct signalfd_siginfo info[2];
	sigset_t pending;

	FAILS(read(fd, info, sizeof(info)), EAGAIN);
	OK(kill(getpid(), SIGUSR1));
	EQ(read(fd, info, sizeof(info)), sizeof(info[0]));
	EQ(info[0].ssi_signo, SIGUSR1);
	EQ(info[0].ssi_pid, getpid());
	EQ(info[0].ssi_code, SI_USER);
	FAILS(read(fd, info, sizeof(info)), EAGAIN);
	OK(sigpending(&pending));
	CHECK(!sigismember(&pending, SIGUSR1));
	FAILS(read(fd, info, 10), EINVAL);
}

TEST(a_read_waits)
{
	int fd = block_and_open(SIGUSR2, 0);
	struct signalfd_siginfo info;
	union sigval value = {.sival_int = 77};
	pid_t parent = getpid(), pid = OK(fork());

	if (pid == 0) {
		usleep(20000);
		OK(sigqueue(parent, SIGUSR2, value));
		_exit(0);
	}
	EQ(read(fd, &info, sizeof(info)), sizeof(info));
	EQ(info.ssi_signo, SIGUSR2);
	EQ(info.ssi_int, 77);
	EQ(info.ssi_pid, pid);
	WAIT_EXIT(pid, 0);
}

TEST(a_child_that_ends_wakes_epoll)
{
	int fd = block_and_open(SIGCHLD, SFD_NONBLOCK), ep = OK(epoll_create1(0));
	struct epoll_event e = {.events = EPOLLIN};
	struct signalfd_siginfo info;
	pid_t pid;

	OK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e));
	EQ(epoll_wait(ep, &e, 1, 0), 0);
	pid = OK(fork());
	if (pid == 0)
		_exit(9);
	EQ(epoll_wait(ep, &e, 1, 10000), 1);
	EQ(read(fd, &info, sizeof(info)), sizeof(info));
	EQ(info.ssi_signo, SIGCHLD);
	EQ(info.ssi_code, CLD_EXITED);
	EQ(info.ssi_status, 9);
	EQ(info.ssi_pid, pid);
	EQ(epoll_wait(ep, &e, 1, 0), 0);
	WAIT_EXIT(pid, 9);
}

TEST(the_mask_changes)
{
	int fd = block_and_open(SIGUSR1, SFD_NONBLOCK);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	OK(kill(getpid(), SIGUSR2));
	EQ(poll(&p, 1, 0), 0);
	EQ(signalfd(fd, &set, 0), fd);
	EQ(poll(&p, 1, 0), 1);
	FAILS(signalfd(-1, &set, 1), EINVAL);
	FAILS(signalfd(0, &set, 0), EINVAL);
	FAILS(signalfd(99, &set, 0), EBADF);
}
