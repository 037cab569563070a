/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests/bench/scaling: `crowd CALL threads|processes COUNT MS` has COUNT of them make the call
 * without pause for MS milliseconds, and prints how often it was made in a second, by all.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/futex.h>

#define COUNT_MAX 64

/* Shared by all workers, each with a cache line of its own. */
static struct {
	_Atomic int go, stop;
	_Atomic uint32_t word;
	struct {
		_Atomic uint64_t done;
		char pad[56];
	} worker[COUNT_MAX];
} * shared;

static void fail(const char *what)
{
	fprintf(stderr, "crowd: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void call_read(int fd)
{
	char buf[512];

	if (pread(fd, buf, sizeof(buf), 0) != (ssize_t)sizeof(buf))
		fail("pread");
}

static void call_write(int fd)
{
	if (pwrite(fd, "data", 4, 0) != 4)
		fail("pwrite");
}

/* Shared, so that it is the sentry's. */
static void call_futex(int fd)
{
	(void)fd;
	if (syscall(SYS_futex, &shared->word, FUTEX_WAKE, 1, NULL, NULL, 0) < 0)
		fail("futex");
}

static void call_epoll(int fd)
{
	struct epoll_event ev;

	if (epoll_wait(fd, &ev, 1, 0) < 0)
		fail("epoll_wait");
}

static void call_open(int fd)
{
	(void)fd;
	fd = open("/crowd", O_RDONLY);
	if (fd < 0)
		fail("open");
	close(fd);
}

static void call_stat(int fd)
{
	struct stat st;

	(void)fd;
	if (stat("/crowd", &st) < 0)
		fail("stat");
}

static int own_file(int i)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/crowd.%d", i);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	if (fd < 0 || pwrite(fd, shared, 512, 0) != 512)
		fail(path);
	unlink(path);
	return fd;
}

static int own_epoll(int i)
{
	struct epoll_event ev = {.events = EPOLLIN};
	int fd = epoll_create1(0);

	(void)i;
	if (fd < 0 || epoll_ctl(fd, EPOLL_CTL_ADD, eventfd(1, 0), &ev) < 0)
		fail("epoll");
	return fd;
}

static const struct {
	const char *name;
	void (*call)(int fd);
	int (*prepare)(int i);
} calls[] = {
    {"read", call_read, own_file},    {"write", call_write, own_file}, {"futex", call_futex, NULL},
    {"epoll", call_epoll, own_epoll}, {"open", call_open, NULL},       {"stat", call_stat, NULL},
};

static size_t what;

static void *work(void *arg)
{
	int i = (int)(intptr_t)arg, fd = calls[what].prepare ? calls[what].prepare(i) : -1;
	uint64_t n = 0;

	atomic_fetch_add(&shared->go, 1);
	while (!atomic_load_explicit(&shared->stop, memory_order_relaxed)) {
		calls[what].call(fd);
		atomic_store_explicit(&shared->worker[i].done, ++n, memory_order_relaxed);
	}
	return NULL;
}

static uint64_t done_by_all(void)
{
	uint64_t sum = 0;

	for (int i = 0; i < COUNT_MAX; i++)
		sum += atomic_load(&shared->worker[i].done);
	return sum;
}

static void start(int count, int as_processes, pthread_t *threads)
{
	for (int i = 0; i < count; i++) {
		pid_t pid = as_processes ? fork() : 1;

		if (pid < 0)
			fail("fork");
		if (!pid) {
			work((void *)(intptr_t)i);
			_exit(0);
		}
		if (!as_processes && pthread_create(&threads[i], NULL, work, (void *)(intptr_t)i))
			fail("pthread_create");
	}
	while (atomic_load(&shared->go) < count)
		sched_yield();
}

static void finish(int count, int as_processes, pthread_t *threads)
{
	atomic_store(&shared->stop, 1);
	for (int i = 0; i < count; i++) {
		int status = 0;

		if (as_processes && (wait(&status) < 0 || status))
			fail("wait");
		if (!as_processes)
			pthread_join(threads[i], NULL);
	}
}

int main(int argc, char **argv)
{
	pthread_t threads[COUNT_MAX];
	struct timespec length, from, to;
	uint64_t before, after;
	int count, as_processes;
	long ms;

	if (argc != 5 || (count = atoi(argv[3])) < 1 || count > COUNT_MAX)
		return 2;
	while (what < sizeof(calls) / sizeof(calls[0]) && strcmp(calls[what].name, argv[1]))
		what++;
	if (what == sizeof(calls) / sizeof(calls[0]))
		return 2;
	as_processes = !strcmp(argv[2], "processes");
	ms = atol(argv[4]);
	length = (struct timespec){ms / 1000, ms % 1000 * 1000000};
	shared =
	    mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		fail("mmap");
	start(count, as_processes, threads);
	clock_gettime(CLOCK_MONOTONIC, &from);
	before = done_by_all();
	nanosleep(&length, NULL);
	after = done_by_all();
	clock_gettime(CLOCK_MONOTONIC, &to);
	finish(count, as_processes, threads);
	printf("%.0f\n", (double)(after - before) / ((double)(to.tv_sec - from.tv_sec) +
						     (double)(to.tv_nsec - from.tv_nsec) / 1e9));
	return 0;
}
