/* SPDX-License-Identifier: Apache-2.0 */
/* poll, ppoll, select, pselect and epoll: what is ready, waiting, times and masks. */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>

#include "compat.h"

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* ---- poll ---- */

TEST(poll_says_what_is_ready)
{
	struct pollfd p[3] = {
	    {.events = POLLIN}, {.events = POLLOUT}, {.fd = -1, .events = POLLIN}};
	int fds[2];

	OK(pipe(fds));
	p[0].fd = fds[0];
	p[1].fd = fds[1];
	EQ(poll(p, 3, 0), 1);
	EQ(p[0].revents, 0);
	EQ(p[1].revents, POLLOUT);
	EQ(p[2].revents, 0);
	OK(write(fds[1], "x", 1));
	EQ(poll(p, 3, -1), 2);
	EQ(p[0].revents, POLLIN);
	OK(close(fds[1]));
	EQ(poll(p, 1, -1), 1);
	EQ(p[0].revents, POLLIN | POLLHUP);
	p[1].fd = fds[1];
	EQ(poll(p, 2, -1), 2);
	EQ(p[1].revents, POLLNVAL);
}

TEST(poll_of_files_is_always_ready)
{
	struct pollfd p = {.events = POLLIN | POLLOUT | POLLPRI};

	p.fd = OK(open("f", O_RDWR | O_CREAT, 0644));
	EQ(poll(&p, 1, -1), 1);
	EQ(p.revents, POLLIN | POLLOUT);
}

TEST(poll_waits_for_a_writer)
{
	struct pollfd p = {.events = POLLIN};
	int fds[2], go[2];
	pid_t pid;
	char c;

	OK(pipe(fds));
	OK(pipe(go));
	pid = OK(fork());
	if (pid == 0) {
		OK(read(go[0], &c, 1));
		usleep(20000);
		OK(write(fds[1], "x", 1));
		_exit(0);
	}
	p.fd = fds[0];
	OK(write(go[1], "x", 1));
	EQ(poll(&p, 1, 10000), 1);
	EQ(p.revents, POLLIN);
	WAIT_EXIT(pid, 0);
}

TEST(poll_times_out)
{
	struct pollfd p = {.events = POLLIN};
	long long start = now_ms();
	int fds[2];

	OK(pipe(fds));
	p.fd = fds[0];
	EQ(poll(&p, 1, 50), 0);
	CHECK(now_ms() - start >= 49);
	EQ(poll(NULL, 0, 10), 0);
}

TEST(poll_errors)
{
	struct rlimit limit;
	struct pollfd p = {.fd = 0};

	OK(getrlimit(RLIMIT_NOFILE, &limit));
	FAILS(poll(&p, limit.rlim_cur + 1, 0), EINVAL);
	FAILS(poll((void *)8, 1, 0), EFAULT);
}

static volatile int alarms;

static void on_alarm(int signo)
{
	(void)signo;
	alarms++;
}

TEST(poll_is_interrupted_and_not_restarted)
{
	struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
	struct pollfd p = {.events = POLLIN};
	int fds[2];

	OK(pipe(fds));
	p.fd = fds[0];
	OK(sigaction(SIGALRM, &sa, NULL));
	ualarm(20000, 0);
	FAILS(poll(&p, 1, -1), EINTR);
	EQ(alarms, 1);
}

TEST(ppoll_uses_its_mask)
{
	struct sigaction sa = {.sa_handler = on_alarm};
	struct timespec ts = {5, 0};
	sigset_t block, old;

	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	OK(sigprocmask(SIG_BLOCK, &block, &old));
	OK(sigaction(SIGUSR1, &sa, NULL));
	OK(raise(SIGUSR1));
	EQ(alarms, 0);
	FAILS(ppoll(NULL, 0, &ts, &old), EINTR);
	EQ(alarms, 1);
	OK(sigprocmask(SIG_BLOCK, NULL, &old));
	CHECK(sigismember(&old, SIGUSR1));
}

/* ---- select ---- */

TEST(select_says_what_is_ready)
{
	fd_set in, out;
	int fds[2];
	struct timeval tv = {0, 0};

	OK(pipe(fds));
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(fds[0], &in);
	FD_SET(fds[1], &out);
	EQ(select(fds[1] + 1, &in, &out, NULL, &tv), 1);
	CHECK(!FD_ISSET(fds[0], &in) && FD_ISSET(fds[1], &out));
	OK(write(fds[1], "x", 1));
	FD_SET(fds[0], &in);
	EQ(select(fds[1] + 1, &in, &out, NULL, NULL), 2);
	OK(close(fds[1]));
	FD_ZERO(&in);
	FD_SET(fds[1], &in);
	FAILS(select(fds[1] + 1, &in, NULL, NULL, NULL), EBADF);
	FAILS(select(-1, NULL, NULL, NULL, &tv), EINVAL);
}

/* No more of the sets is looked at than there may be descriptors: here 64, the least. */
TEST(select_of_more_than_there_are)
{
	char *page =
	    OK(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	unsigned long *set = (unsigned long *)(page + 4096) - 1;
	struct timeval none = {0, 0};
	int fds[2];
	pid_t pid;

	OK(munmap(page + 4096, 4096));
	OK(close_range(3, ~0u, 0));
	OK(pipe(fds));
	pid = OK(fork());
	if (pid == 0) {
		*set = 1ul << fds[0] | 1ul << fds[1];
		EQ(syscall(SYS_select, 1 << 20, NULL, set, NULL, &none), 1);
		EQ(*set, 1ul << fds[1]);
		*set = 1ul << 63;
		FAILS(syscall(SYS_select, 1 << 20, set, NULL, NULL, &none), EBADF);
		_exit(0);
	}
	WAIT_EXIT(pid, 0);
}

TEST(select_gives_the_time_left)
{
	struct timeval tv = {10, 0};
	fd_set in;
	int fds[2];

	OK(pipe(fds));
	OK(write(fds[1], "x", 1));
	FD_ZERO(&in);
	FD_SET(fds[0], &in);
	EQ(select(fds[0] + 1, &in, NULL, NULL, &tv), 1);
	CHECK(tv.tv_sec == 9 || tv.tv_sec == 10);
	FD_ZERO(&in);
	tv = (struct timeval){0, 20000};
	EQ(select(0, &in, NULL, NULL, &tv), 0);
	EQ(tv.tv_sec, 0);
	EQ(tv.tv_usec, 0);
}

TEST(pselect_restores_the_mask)
{
	struct sigaction sa = {.sa_handler = on_alarm};
	sigset_t block, none, now;
	struct timespec ts = {5, 0};

	sigemptyset(&none);
	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	OK(sigprocmask(SIG_BLOCK, &block, NULL));
	OK(sigaction(SIGUSR1, &sa, NULL));
	OK(raise(SIGUSR1));
	FAILS(pselect(0, NULL, NULL, NULL, &ts, &none), EINTR);
	EQ(alarms, 1);
	OK(sigprocmask(SIG_BLOCK, NULL, &now));
	CHECK(sigismember(&now, SIGUSR1));
	ts = (struct timespec){0, 1000};
	EQ(pselect(0, NULL, NULL, NULL, &ts, &none), 0);
	OK(sigprocmask(SIG_BLOCK, NULL, &now));
	CHECK(sigismember(&now, SIGUSR1));
}

/* ---- epoll ---- */

static void watch(int ep, int op, int fd, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.u64 = (uint64_t)fd << 32 | 7};

	OK(epoll_ctl(ep, op, fd, &e));
}

TEST(epoll_level)
{
	int ep = OK(epoll_create1(EPOLL_CLOEXEC)), fds[2];
	struct epoll_event e[4];
	char buf[8];

	OK(pipe(fds));
	watch(ep, EPOLL_CTL_ADD, fds[0], EPOLLIN);
	EQ(epoll_wait(ep, e, 4, 0), 0);
	OK(write(fds[1], "xy", 2));
	EQ(epoll_wait(ep, e, 4, -1), 1);
	EQ(e[0].events, EPOLLIN);
	EQ(e[0].data.u64, (uint64_t)fds[0] << 32 | 7);
	EQ(epoll_wait(ep, e, 4, -1), 1);
	OK(read(fds[0], buf, 8));
	EQ(epoll_wait(ep, e, 4, 0), 0);
	OK(close(fds[1]));
	EQ(epoll_wait(ep, e, 4, -1), 1);
	EQ(e[0].events, EPOLLHUP);
	OK(close(fds[0]));
	EQ(epoll_wait(ep, e, 4, 0), 0);
}

TEST(epoll_edge_and_oneshot)
{
	int ep = OK(epoll_create(1)), fds[2];
	struct epoll_event e[4];

	OK(pipe(fds));
	watch(ep, EPOLL_CTL_ADD, fds[0], EPOLLIN | EPOLLET);
	OK(write(fds[1], "x", 1));
	EQ(epoll_wait(ep, e, 4, 0), 1);
	EQ(epoll_wait(ep, e, 4, 0), 0);
	OK(write(fds[1], "x", 1));
	EQ(epoll_wait(ep, e, 4, 0), 1);
	watch(ep, EPOLL_CTL_MOD, fds[0], EPOLLIN | EPOLLONESHOT);
	EQ(epoll_wait(ep, e, 4, 0), 1);
	EQ(epoll_wait(ep, e, 4, 0), 0);
	watch(ep, EPOLL_CTL_MOD, fds[0], EPOLLIN | EPOLLONESHOT);
	EQ(epoll_wait(ep, e, 4, 0), 1);
}

TEST(epoll_errors)
{
	int ep = OK(epoll_create1(0)), other = OK(epoll_create1(0)), fds[2];
	int f = OK(open("f", O_RDWR | O_CREAT, 0644));
	struct epoll_event e = {.events = EPOLLIN};

	OK(pipe(fds));
	FAILS(epoll_create(0), EINVAL);
	FAILS(epoll_create1(1), EINVAL);
	FAILS(epoll_ctl(ep, EPOLL_CTL_ADD, f, &e), EPERM);
	FAILS(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &e), EINVAL);
	FAILS(epoll_ctl(ep, EPOLL_CTL_ADD, 999, &e), EBADF);
	FAILS(epoll_ctl(fds[0], EPOLL_CTL_ADD, fds[1], &e), EINVAL);
	FAILS(epoll_ctl(ep, EPOLL_CTL_MOD, fds[0], &e), ENOENT);
	FAILS(epoll_ctl(ep, EPOLL_CTL_DEL, fds[0], &e), ENOENT);
	OK(epoll_ctl(ep, EPOLL_CTL_ADD, fds[0], &e));
	FAILS(epoll_ctl(ep, EPOLL_CTL_ADD, fds[0], &e), EEXIST);
	OK(epoll_ctl(ep, EPOLL_CTL_ADD, other, &e));
	FAILS(epoll_ctl(other, EPOLL_CTL_ADD, ep, &e), ELOOP);
	FAILS(epoll_wait(ep, &e, 0, 0), EINVAL);
	FAILS(epoll_wait(f, &e, 1, 0), EINVAL);
	FAILS(epoll_wait(999, &e, 1, 0), EBADF);
}

TEST(epoll_wakes_a_waiter)
{
	int ep = OK(epoll_create1(0)), ev = OK(eventfd(0, 0));
	struct epoll_event e;
	uint64_t one = 1;
	pid_t pid;

	watch(ep, EPOLL_CTL_ADD, ev, EPOLLIN);
	pid = OK(fork());
	if (pid == 0) {
		usleep(20000);
		OK(write(ev, &one, 8));
		_exit(0);
	}
	EQ(epoll_wait(ep, &e, 1, 10000), 1);
	EQ(e.events, EPOLLIN);
	WAIT_EXIT(pid, 0);
}

TEST(epoll_nested)
{
	int outer = OK(epoll_create1(0)), inner = OK(epoll_create1(0)), fds[2];
	struct epoll_event e;
	pid_t pid;
	char c;

	OK(pipe(fds));
	watch(inner, EPOLL_CTL_ADD, fds[0], EPOLLIN);
	watch(outer, EPOLL_CTL_ADD, inner, EPOLLIN);
	EQ(epoll_wait(outer, &e, 1, 0), 0);
	pid = OK(fork());
	if (pid == 0) {
		usleep(20000);
		OK(write(fds[1], "x", 1));
		_exit(0);
	}
	EQ(epoll_wait(outer, &e, 1, 10000), 1);
	EQ(e.data.u64 >> 32, inner);
	EQ(epoll_wait(inner, &e, 1, 0), 1);
	OK(read(fds[0], &c, 1));
	EQ(epoll_wait(outer, &e, 1, 0), 0);
	WAIT_EXIT(pid, 0);
}

/* However a chain of instances is put together, it has four links at most. */
TEST(epoll_nested_chain)
{
	struct epoll_event e = {.events = EPOLLIN};
	uint64_t one = 1;
	int eps[12], ev = OK(eventfd(0, 0));

	for (int i = 0; i < 12; i++)
		eps[i] = OK(epoll_create1(0));
	for (int i = 0; i < 4; i++)
		OK(epoll_ctl(eps[i], EPOLL_CTL_ADD, eps[i + 1], &e));
	FAILS(epoll_ctl(eps[4], EPOLL_CTL_ADD, eps[5], &e), ELOOP);
	FAILS(epoll_ctl(eps[4], EPOLL_CTL_ADD, eps[0], &e), ELOOP);
	for (int i = 11; i > 7; i--)
		OK(epoll_ctl(eps[i - 1], EPOLL_CTL_ADD, eps[i], &e));
	FAILS(epoll_ctl(eps[6], EPOLL_CTL_ADD, eps[7], &e), ELOOP);
	/* What left a chain doesn't count. */
	OK(epoll_ctl(eps[0], EPOLL_CTL_DEL, eps[1], &e));
	OK(epoll_ctl(eps[4], EPOLL_CTL_ADD, eps[5], &e));
	OK(close(eps[5]));
	OK(epoll_ctl(eps[0], EPOLL_CTL_ADD, eps[1], &e));
	OK(epoll_ctl(eps[4], EPOLL_CTL_ADD, ev, &e));
	OK(write(ev, &one, 8));
	EQ(epoll_wait(eps[0], &e, 1, 1000), 1);
}

TEST(epoll_many)
{
	int ep = OK(epoll_create1(0));
	struct epoll_event e[100];
	uint64_t one = 1;
	int fds[100];

	for (int i = 0; i < 100; i++) {
		fds[i] = OK(eventfd(0, 0));
		watch(ep, EPOLL_CTL_ADD, fds[i], EPOLLIN);
	}
	for (int i = 0; i < 100; i++)
		OK(write(fds[i], &one, 8));
	EQ(epoll_wait(ep, e, 100, 0), 100);
	/* Level-triggered ones take turns. */
	EQ(epoll_wait(ep, e, 60, 0), 60);
	EQ(epoll_wait(ep, e + 60, 40, 0), 40);
	for (int i = 0; i < 100; i++)
		for (int j = i + 1; j < 100; j++)
			CHECK(e[i].data.u64 != e[j].data.u64);
}

TEST(epoll_pwait_interrupted)
{
	struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
	int ep = OK(epoll_create1(0));
	struct epoll_event e;

	OK(sigaction(SIGALRM, &sa, NULL));
	ualarm(20000, 0);
	FAILS(epoll_pwait(ep, &e, 1, -1, NULL), EINTR);
	EQ(alarms, 1);
	EQ(epoll_wait(ep, &e, 1, 20), 0);
}

TEST(epoll_dup_outlives_close)
{
	int ep = OK(epoll_create1(0)), fds[2], copy;
	struct epoll_event e;

	OK(pipe(fds));
	watch(ep, EPOLL_CTL_ADD, fds[0], EPOLLIN);
	copy = OK(dup(fds[0]));
	OK(close(fds[0]));
	OK(write(fds[1], "x", 1));
	/* The description lives on in the copy. */
	EQ(epoll_wait(ep, &e, 1, 0), 1);
	OK(close(copy));
	EQ(epoll_wait(ep, &e, 1, 0), 0);
}
