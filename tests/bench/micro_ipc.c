/* SPDX-License-Identifier: Apache-2.0 */
/* Rows: pipes, sockets, events, futexes, and waiting for several things. */
#include <linux/futex.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>

#include "tests/bench/micro.h"

static void write_and_read(long n, int in, int out, size_t size)
{
	while (n--)
		if (write(in, buffer, size) != (ssize_t)size ||
		    read(out, buffer, size) != (ssize_t)size)
			fail("write and read");
	close(in);
	close(out);
}

static void row_pipe(long n)
{
	int p[2];

	if (pipe(p) < 0)
		fail("pipe");
	write_and_read(n, p[1], p[0], 1);
}

static void row_pipe_64k(long n)
{
	int p[2];

	if (pipe(p) < 0)
		fail("pipe");
	write_and_read(n, p[1], p[0], 65536);
}

static void row_socketpair(long n)
{
	int s[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, s) < 0)
		fail("socketpair");
	write_and_read(n, s[0], s[1], 1);
}

static void row_socketpair_4k(long n)
{
	int s[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, s) < 0)
		fail("socketpair");
	write_and_read(n, s[0], s[1], 4096);
}

static void row_eventfd(long n)
{
	int fd = eventfd(1, EFD_NONBLOCK);
	uint64_t v = 1;

	while (n--)
		if (read(fd, &v, 8) != 8 || write(fd, &v, 8) != 8)
			fail("eventfd");
	close(fd);
}

/* ---- waiting for several ---- */

static void epoll_row(long n, int ready)
{
	struct epoll_event ev = {.events = EPOLLIN};
	int ep = epoll_create1(0), fd = eventfd((unsigned)ready, EFD_NONBLOCK);

	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) < 0)
		fail("epoll_ctl");
	while (n--)
		if (epoll_wait(ep, &ev, 1, 0) != ready)
			fail("epoll_wait");
	close(fd);
	close(ep);
}

static void row_epoll_empty(long n)
{
	epoll_row(n, 0);
}

static void row_epoll_ready(long n)
{
	epoll_row(n, 1);
}

static void row_epoll_ctl(long n)
{
	struct epoll_event ev = {.events = EPOLLIN};
	int ep = epoll_create1(0), fd = eventfd(0, EFD_NONBLOCK);

	while (n--)
		if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) < 0 ||
		    epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL) < 0)
			fail("epoll_ctl");
	close(fd);
	close(ep);
}

static void row_poll(long n)
{
	int fd = eventfd(1, EFD_NONBLOCK);
	struct pollfd p = {.fd = fd, .events = POLLIN};

	while (n--)
		if (poll(&p, 1, 0) != 1)
			fail("poll");
	close(fd);
}

#define MANY 100

static void row_select(long n)
{
	struct timeval now = {0, 0};
	int fds[MANY], max = 0;
	fd_set set;

	for (int i = 0; i < MANY; i++) {
		fds[i] = eventfd(0, EFD_NONBLOCK);
		if (fds[i] < 0)
			fail("eventfd");
		max = fds[i] > max ? fds[i] : max;
	}
	while (n--) {
		FD_ZERO(&set);
		for (int i = 0; i < MANY; i++)
			FD_SET(fds[i], &set);
		if (select(max + 1, &set, NULL, NULL, &now) != 0)
			fail("select");
	}
	for (int i = 0; i < MANY; i++)
		close(fds[i]);
}

/* ---- two that wait for each other ---- */

static uint32_t ping, pong;

static void wait_for(uint32_t *word, uint32_t value)
{
	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value)
		syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 1 - value, NULL, NULL, 0);
}

static void set_and_wake(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *ponger(void *arg)
{
	for (long i = 0; i < (long)(intptr_t)arg; i++) {
		wait_for(&ping, (uint32_t)(i + 1) & 1);
		set_and_wake(&pong, (uint32_t)(i + 1) & 1);
	}
	return NULL;
}

static void row_futex_pingpong(long n)
{
	pthread_t t;

	ping = pong = 0;
	if (pthread_create(&t, NULL, ponger, (void *)(intptr_t)n))
		fail("pthread_create");
	for (long i = 0; i < n; i++) {
		set_and_wake(&ping, (uint32_t)(i + 1) & 1);
		wait_for(&pong, (uint32_t)(i + 1) & 1);
	}
	pthread_join(t, NULL);
}

static void row_futex_wake_none(long n)
{
	uint32_t word = 0;

	while (n--)
		syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static pthread_mutex_t contended = PTHREAD_MUTEX_INITIALIZER;

static void *contend(void *arg)
{
	for (long n = (long)(intptr_t)arg; n > 0; n--) {
		pthread_mutex_lock(&contended);
		__asm__ volatile("" ::: "memory");
		pthread_mutex_unlock(&contended);
	}
	return NULL;
}

/* Four threads and one lock; an operation is one of them taking it once. */
static void row_mutex(long n)
{
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		if (pthread_create(&t[i], NULL, contend, (void *)(intptr_t)(n / 4)))
			fail("pthread_create");
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}

static void pingpong_fds(long n, int to_child[2], int to_parent[2])
{
	pid_t pid = fork();
	char c = 0;

	if (pid < 0)
		fail("fork");
	if (!pid) {
		close(to_child[1]);
		while (read(to_child[0], &c, 1) == 1)
			if (write(to_parent[1], &c, 1) != 1)
				break;
		_exit(0);
	}
	while (n--)
		if (write(to_child[1], &c, 1) != 1 || read(to_parent[0], &c, 1) != 1)
			fail("ping-pong");
	close(to_child[0]);
	close(to_child[1]);
	close(to_parent[0]);
	close(to_parent[1]);
	waitpid(pid, NULL, 0);
}

static void row_pipe_pingpong(long n)
{
	int a[2], b[2];

	if (pipe(a) < 0 || pipe(b) < 0)
		fail("pipe");
	pingpong_fds(n, a, b);
}

static void row_socket_pingpong(long n)
{
	int a[2], b[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, a) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, b) < 0)
		fail("socketpair");
	pingpong_fds(n, a, b);
}

const struct row ipc_rows[] = {
    {"pipe write+read", row_pipe, 1000},
    {"pipe write+read 64 KiB", row_pipe_64k, 100},
    {"unix socket write+read", row_socketpair, 1000},
    {"unix socket write+read 4 KiB", row_socketpair_4k, 1000},
    {"eventfd read+write", row_eventfd, 1000},
    {"epoll_wait empty", row_epoll_empty, 1000},
    {"epoll_wait ready", row_epoll_ready, 1000},
    {"epoll_ctl add+delete", row_epoll_ctl, 500},
    {"poll 1 ready", row_poll, 1000},
    {"select 100 descriptors", row_select, 200},
    {"futex wake of nobody", row_futex_wake_none, 1000},
    {"futex ping-pong", row_futex_pingpong, 1000},
    {"mutex, 4 threads", row_mutex, 40000},
    {"pipe ping-pong", row_pipe_pingpong, 500},
    {"unix socket ping-pong", row_socket_pingpong, 500},
    {NULL, NULL, 0},
};
