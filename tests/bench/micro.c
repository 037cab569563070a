/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Micro benchmarks, one static program that runs natively and in a sandbox. `micro [row...]` prints
 * a line a row: name, nanoseconds an operation. Each row repeats its operation until a time budget
 * is used (BENCH_MS, default 200) and reports the fastest of its batches, which on a noisy machine
 * is the one least disturbed.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
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

#define PAGE 4096

static const char *self_path;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static void fail(const char *what)
{
	fprintf(stderr, "micro: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- state that rows share, made once ---- */

static int data_fd, dir_fd, pipe_fds[2], event_fd, epoll_empty, epoll_ready;
static char buffer[65536];

static void set_up(void)
{
	struct epoll_event ev = {.events = EPOLLIN};

	data_fd = open("/tmp/bench.data", O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (data_fd < 0 || write(data_fd, buffer, sizeof(buffer)) != (ssize_t)sizeof(buffer))
		fail("/tmp/bench.data");
	dir_fd = open("/etc", O_RDONLY | O_DIRECTORY);
	event_fd = eventfd(1, EFD_NONBLOCK);
	epoll_empty = epoll_create1(0);
	epoll_ready = epoll_create1(0);
	if (dir_fd < 0 || pipe(pipe_fds) < 0 || event_fd < 0 || epoll_empty < 0 || epoll_ready < 0)
		fail("set up");
	if (epoll_ctl(epoll_ready, EPOLL_CTL_ADD, event_fd, &ev) < 0 ||
	    epoll_ctl(epoll_empty, EPOLL_CTL_ADD, pipe_fds[0], &ev) < 0)
		fail("epoll_ctl");
}

/* ---- rows: do `n` operations ---- */

static void row_getppid(long n)
{
	while (n--)
		syscall(SYS_getppid);
}

static void row_clock_gettime(long n)
{
	struct timespec ts;

	while (n--)
		clock_gettime(CLOCK_MONOTONIC, &ts);
}

static void row_read_1(long n)
{
	int fd = open("/dev/zero", O_RDONLY);

	while (n--)
		if (read(fd, buffer, 1) != 1)
			fail("read");
	close(fd);
}

static void row_pread_4k(long n)
{
	while (n--)
		if (pread(data_fd, buffer, 4096, 0) != 4096)
			fail("pread");
}

static void row_pread_64k(long n)
{
	while (n--)
		if (pread(data_fd, buffer, 65536, 0) != 65536)
			fail("pread");
}

static void row_pwrite_4k(long n)
{
	while (n--)
		if (pwrite(data_fd, buffer, 4096, 0) != 4096)
			fail("pwrite");
}

static void row_fstat(long n)
{
	struct stat st;

	while (n--)
		if (fstat(data_fd, &st) < 0)
			fail("fstat");
}

static void row_stat(long n)
{
	struct stat st;

	while (n--)
		if (stat("/etc/passwd", &st) < 0)
			fail("stat");
}

static void row_open_close(long n)
{
	while (n--) {
		int fd = open("/etc/passwd", O_RDONLY);

		if (fd < 0)
			fail("open");
		close(fd);
	}
}

static void row_getdents(long n)
{
	while (n--) {
		lseek(dir_fd, 0, SEEK_SET);
		if (syscall(SYS_getdents64, dir_fd, buffer, 32768) < 0)
			fail("getdents64");
	}
}

static void row_pipe(long n)
{
	while (n--)
		if (write(pipe_fds[1], buffer, 1) != 1 || read(pipe_fds[0], buffer, 1) != 1)
			fail("pipe");
}

static void row_eventfd(long n)
{
	uint64_t v = 1;

	while (n--)
		if (read(event_fd, &v, 8) != 8 || write(event_fd, &v, 8) != 8)
			fail("eventfd");
}

static void row_epoll_empty(long n)
{
	struct epoll_event ev;

	while (n--)
		if (epoll_wait(epoll_empty, &ev, 1, 0) != 0)
			fail("epoll_wait");
}

static void row_epoll_ready(long n)
{
	struct epoll_event ev;

	while (n--)
		if (epoll_wait(epoll_ready, &ev, 1, 0) != 1)
			fail("epoll_wait");
}

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

static void row_pipe_pingpong(long n)
{
	int a[2], b[2];
	pid_t pid;
	char c = 0;

	if (pipe(a) < 0 || pipe(b) < 0)
		fail("pipe");
	pid = fork();
	if (pid < 0)
		fail("fork");
	if (!pid) {
		close(a[1]);
		while (read(a[0], &c, 1) == 1)
			if (write(b[1], &c, 1) != 1)
				break;
		_exit(0);
	}
	while (n--)
		if (write(a[1], &c, 1) != 1 || read(b[0], &c, 1) != 1)
			fail("ping-pong");
	close(a[0]);
	close(a[1]);
	close(b[0]);
	close(b[1]);
	waitpid(pid, NULL, 0);
}

static void row_page_fault(long n)
{
	while (n > 0) {
		long pages = n < 256 ? n : 256;
		char *p = mmap(NULL, (size_t)pages * PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			fail("mmap");
		for (long i = 0; i < pages; i++)
			p[i * PAGE] = 1;
		munmap(p, (size_t)pages * PAGE);
		n -= pages;
	}
}

static void row_mmap_munmap(long n)
{
	while (n--) {
		void *p = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED || munmap(p, PAGE) < 0)
			fail("mmap");
	}
}

static void on_signal(int signo)
{
	(void)signo;
}

static void row_signal(long n)
{
	signal(SIGUSR1, on_signal);
	while (n--)
		kill(getpid(), SIGUSR1);
}

static void row_fork_wait(long n)
{
	while (n--) {
		pid_t pid = fork();

		if (pid < 0)
			fail("fork");
		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
}

static void row_fork_exec_wait(long n)
{
	while (n--) {
		pid_t pid = fork();

		if (pid < 0)
			fail("fork");
		if (!pid) {
			execl(self_path, "micro", "--exit", (char *)NULL);
			_exit(127);
		}
		waitpid(pid, NULL, 0);
	}
}

static void row_vfork_exec_wait(long n)
{
	while (n--) {
		pid_t pid = vfork();

		if (pid < 0)
			fail("vfork");
		if (!pid) {
			execl(self_path, "micro", "--exit", (char *)NULL);
			_exit(127);
		}
		waitpid(pid, NULL, 0);
	}
}

static void *nothing(void *arg)
{
	return arg;
}

static void row_thread(long n)
{
	while (n--) {
		pthread_t t;

		if (pthread_create(&t, NULL, nothing, NULL))
			fail("pthread_create");
		pthread_join(t, NULL);
	}
}

static const struct row {
	const char *name;
	void (*run)(long n);
	long batch;
} rows[] = {
    {"getppid", row_getppid, 1000},
    {"clock_gettime", row_clock_gettime, 10000},
    {"read 1 byte", row_read_1, 1000},
    {"pread 4 KiB", row_pread_4k, 1000},
    {"pread 64 KiB", row_pread_64k, 100},
    {"pwrite 4 KiB", row_pwrite_4k, 1000},
    {"fstat", row_fstat, 1000},
    {"stat", row_stat, 1000},
    {"open+close", row_open_close, 500},
    {"getdents64 /etc", row_getdents, 200},
    {"pipe write+read", row_pipe, 1000},
    {"eventfd read+write", row_eventfd, 1000},
    {"epoll_wait empty", row_epoll_empty, 1000},
    {"epoll_wait ready", row_epoll_ready, 1000},
    {"futex ping-pong", row_futex_pingpong, 1000},
    {"pipe ping-pong", row_pipe_pingpong, 500},
    {"page fault", row_page_fault, 2048},
    {"mmap+munmap", row_mmap_munmap, 500},
    {"signal sent+caught", row_signal, 500},
    {"fork+wait", row_fork_wait, 20},
    {"fork+exec+wait", row_fork_exec_wait, 20},
    {"vfork+exec+wait", row_vfork_exec_wait, 20},
    {"thread create+join", row_thread, 50},
};

static void run_row(const struct row *r, uint64_t budget_ns)
{
	uint64_t start = now_ns(), best = UINT64_MAX;

	do {
		uint64_t before = now_ns(), took;

		r->run(r->batch);
		took = now_ns() - before;
		if (took < best)
			best = took;
	} while (now_ns() - start < budget_ns);
	printf("%s\t%.1f\n", r->name, (double)best / (double)r->batch);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	const char *ms = getenv("BENCH_MS");
	uint64_t budget = (ms ? strtoull(ms, NULL, 10) : 200) * 1000000ull;

	if (argc == 2 && !strcmp(argv[1], "--exit"))
		return 0;
	self_path = "/proc/self/exe";
	if (argv[0][0] == '/')
		self_path = argv[0];
	set_up();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int wanted = argc == 1;

		for (int a = 1; a < argc; a++)
			wanted |= !strcmp(argv[a], rows[i].name);
		if (wanted)
			run_row(&rows[i], budget);
	}
	return 0;
}
