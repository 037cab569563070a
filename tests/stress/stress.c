/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads for tests/stress/run, one static program: `stress CASE [COUNT]`. Prints "ok" and exits 0
 * when everything happened as it must; a watchdog alarm ends what hangs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "calls.h"

static const char *self;

static void fail(const char *what)
{
	fprintf(stderr, "stress: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void expect(pid_t pid, int code)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		fail("waitpid");
	if (!WIFEXITED(status) || WEXITSTATUS(status) != code) {
		fprintf(stderr, "stress: want exit %d, got status %x\n", code, status);
		exit(1);
	}
}

static void fork_exec(long n)
{
	for (long i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid < 0)
			fail("fork");
		if (!pid) {
			execl(self, self, "exit", "3", (char *)NULL);
			_exit(127);
		}
		expect(pid, 3);
	}
}

/* n at once: each waits for a byte that comes only when all live. */
static void processes(long n)
{
	pid_t *pids = calloc((size_t)n, sizeof(*pids));
	int up[2], go[2];
	char c;

	if (!pids || pipe(up) < 0 || pipe(go) < 0)
		fail("pipe");
	for (long i = 0; i < n; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			fail("fork");
		if (!pids[i]) {
			close(go[1]);
			if (write(up[1], "x", 1) != 1 || read(go[0], &c, 1) != 0)
				_exit(1);
			_exit((int)(i % 100));
		}
	}
	for (long i = 0; i < n; i++)
		if (read(up[0], &c, 1) != 1)
			fail("read");
	close(go[1]);
	for (long i = 0; i < n; i++)
		expect(pids[i], (int)(i % 100));
	free(pids);
}

static pthread_barrier_t barrier;
static atomic_long sum;

static void *thread_main(void *arg)
{
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < 100; i++) {
		atomic_fetch_add(&sum, syscall(SYS_gettid) > 0);
		if (i % 10 == 0)
			sched_yield();
	}
	return arg;
}

static void threads(long n)
{
	pthread_t *t = calloc((size_t)n, sizeof(*t));
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	pthread_barrier_init(&barrier, NULL, (unsigned)n + 1);
	for (long i = 0; i < n; i++)
		if ((errno = pthread_create(&t[i], &attr, thread_main, (void *)i)))
			fail("pthread_create");
	pthread_barrier_wait(&barrier);
	for (long i = 0; i < n; i++) {
		void *ret;

		if (pthread_join(t[i], &ret) || ret != (void *)i)
			fail("pthread_join");
	}
	if (sum != n * 100)
		fail("sum");
	free(t);
}

/* Forks until the limit says no, in every child too. The first one sees EAGAIN and cleans up. */
static void fork_bomb(long limit)
{
	long born = 0;
	int again = 0;

	if (getpid() != 1) {
		fprintf(stderr, "stress: the fork bomb only runs as a container's first process\n");
		exit(1);
	}
	signal(SIGCHLD, SIG_IGN);
	for (int round = 0; round < 2000 && again < 50; round++) {
		pid_t pid = fork();

		if (!pid) {
			for (int i = 0; i < 100; i++)
				fork();
			pause();
			_exit(0);
		}
		if (pid > 0)
			born++;
		else if (errno == EAGAIN)
			again++;
		else
			fail("fork");
		usleep(1000);
	}
	if (!again || born > limit)
		fail("the limit did not hold");
	signal(SIGTERM, SIG_IGN);
	kill(-1, SIGKILL);
}

/* ---- loops whose counters the runner looks at ---- */

static void calls_read(long n)
{
	static char buf[512];
	int fd = open(self, O_RDONLY);

	while (n--)
		if (pread(fd, buf, sizeof(buf), 0) != (ssize_t)sizeof(buf))
			fail("pread");
}

static void calls_write(long n)
{
	int fd = open("/tmp/out", O_WRONLY | O_CREAT, 0600);

	while (n--)
		if (pwrite(fd, "some bytes", 10, 0) != 10)
			fail("pwrite");
}

static void calls_stat(long n)
{
	struct stat st;

	while (n--)
		if (stat(self, &st) < 0)
			fail("stat");
}

static void calls_getdents(long n)
{
	static char buf[4096];
	int fd = open("/", O_RDONLY | O_DIRECTORY);

	while (n--) {
		lseek(fd, 0, SEEK_SET);
		if (syscall(SYS_getdents64, fd, buf, sizeof(buf)) <= 0)
			fail("getdents64");
	}
}

/* ---- random signals, stops and kills over many threads ---- */

static atomic_ulong caught;

static void on_signal(int signo)
{
	(void)signo;
	atomic_fetch_add(&caught, 1);
}

enum { GROUPS = 10, THREADS = 20 };

/* The ids of all threads, [group][thread]; 0 until the thread runs. Shared by all. */
static atomic_int (*tids)[THREADS];

static bool sleepy; /* the threads leave some of the CPUs to others */

static void *spinner(void *arg)
{
	struct timespec pause = {0, 5000000};

	atomic_store((atomic_int *)arg, (int)syscall(SYS_gettid));
	for (unsigned n = 0;; n++) {
		syscall(SYS_getppid);
		for (volatile int i = 0; i < 1000; i++)
			;
		if (sleepy && n % 16 == 0)
			nanosleep(&pause, NULL);
	}
	return arg;
}

static pid_t new_group(int g)
{
	pid_t pid;

	for (int i = 0; i < THREADS; i++)
		atomic_store(&tids[g][i], 0);
	pid = fork();
	if (pid < 0)
		fail("fork");
	if (pid)
		return pid;
	for (int i = 1; i < THREADS; i++) {
		pthread_t t;

		if (pthread_create(&t, NULL, spinner, &tids[g][i]))
			_exit(1);
	}
	spinner(&tids[g][0]);
	return 0;
}

static void end_group(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		fail("kill");
}

/* One random thing that is done to a random process, or to one of its threads. */
static void strike(pid_t *pids, int kills, unsigned *seed)
{
	int g = (int)(rand_r(seed) % GROUPS), tid;

	switch (rand_r(seed) % 8) {
	case 0:
		kill(pids[g], SIGSTOP);
		return;
	case 1:
		kill(pids[g], SIGCONT);
		return;
	case 2:
	case 3:
		tid = atomic_load(&tids[g][rand_r(seed) % THREADS]);
		if (tid)
			syscall(SYS_tgkill, pids[g], tid, SIGUSR1);
		return;
	case 4:
		if (kills && rand_r(seed) % 32 == 0) {
			end_group(pids[g]);
			pids[g] = new_group(g);
			return;
		}
		/* falls through */
	default:
		kill(pids[g], SIGUSR1);
	}
}

static void strikes(long n, int kills)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	pid_t pids[GROUPS];
	unsigned seed = 1;

	tids = mmap(NULL, sizeof(*tids) * GROUPS, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tids == MAP_FAILED)
		fail("mmap");
	sigaction(SIGUSR1, &sa, NULL);
	for (int g = 0; g < GROUPS; g++)
		pids[g] = new_group(g);
	for (long i = 0; i < n; i++)
		strike(pids, kills, &seed);
	for (int g = 0; g < GROUPS; g++)
		end_group(pids[g]);
}

static void signal_storm(long n)
{
	strikes(n, 0);
}

/* The same with processes killed and made again. */
static void storm(long n)
{
	sleepy = true;
	strikes(n, 1);
}

/* Sleeps until it is killed. */
static void idle(long n)
{
	(void)n;
	alarm(0);
	puts("idle");
	fflush(stdout);
	for (;;)
		pause();
}

/* ---- bursts, each in a process of its own, after which the sentry is to be as small as before ---- */

/* Names that weren't known, directories with many entries, path walks. */
static void burst_of_names(void)
{
	char path[64];
	struct stat st;

	for (int d = 0; d < 40; d++) {
		snprintf(path, sizeof(path), "/names%d", d);
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			fail(path);
		for (int i = 0; i < 200; i++) {
			snprintf(path, sizeof(path), "/names%d/file%d", d, i);
			close(open(path, O_WRONLY | O_CREAT, 0600));
			if (stat(path, &st) < 0)
				fail(path);
		}
	}
}

static void burst_of_threads(void)
{
	threads(500);
}

static void burst_of_data(void)
{
	static char block[1 << 20];
	int fd = open("/tmp/data", O_RDWR | O_CREAT, 0600);

	memset(block, 'x', sizeof(block));
	for (int i = 0; i < 64; i++)
		if (write(fd, block, sizeof(block)) != (ssize_t)sizeof(block))
			fail("/tmp/data");
	unlink("/tmp/data");
}

static void burst_of_processes(void)
{
	processes(200);
}

/* For each line of standard input a burst; says "idle" before the first and after each. */
static void bursts(long n)
{
	static void (*const burst[])(void) = {burst_of_names, burst_of_threads, burst_of_data,
					      burst_of_processes};
	char line[16];

	(void)n;
	for (unsigned i = 0;; i++) {
		pid_t pid;

		if (write(1, "idle\n", 5) != 5 || read(0, line, sizeof(line)) <= 0)
			return;
		pid = fork();
		if (pid < 0)
			fail("fork");
		if (!pid) {
			burst[i % (sizeof(burst) / sizeof(burst[0]))]();
			_exit(0);
		}
		expect(pid, 0);
	}
}

static const struct {
	const char *name;
	void (*run)(long);
	long count;
} cases[] = {
    {"forkexec", fork_exec, 10000},
    {"processes", processes, 200},
    {"threads", threads, 500},
    {"forkbomb", fork_bomb, 1000},
    {"read", calls_read, 100000},
    {"write", calls_write, 100000},
    {"stat", calls_stat, 100000},
    {"getdents", calls_getdents, 100000},
    {"signals", signal_storm, 10000},
    {"vforks", vforks_disturbed, 300},
    {"idle", idle, 0},
    {"storm", storm, 100000},
    {"windows", common_calls, 1000},
    {"memory", bursts, 0},
    {"rewrites", rewrites, 5000},
    {"million", rewrites, 1000000},
};

int main(int argc, char **argv)
{
	self = argv[0];
	if (argc == 3 && !strcmp(argv[1], "exit"))
		return atoi(argv[2]);
	alarm(argc > 1 && !strcmp(argv[1], "million") ? 1800 : 240);
	for (size_t i = 0; argc > 1 && i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (strcmp(argv[1], cases[i].name))
			continue;
		cases[i].run(argc > 2 ? atol(argv[2]) : cases[i].count);
		puts("ok");
		return 0;
	}
	fprintf(stderr, "usage: stress CASE [COUNT]\n");
	return 2;
}
