/* SPDX-License-Identifier: Apache-2.0 */
/* Rows: processes, threads, signals, time, and calls that ask nearly nothing. */
#include <sched.h>
#include <sys/time.h>
#include <time.h>

#include "tests/bench/micro.h"

static void row_getppid(long n)
{
	while (n--)
		syscall(SYS_getppid);
}

static void row_getpid(long n)
{
	while (n--)
		syscall(SYS_getpid);
}

static void row_sched_yield(long n)
{
	while (n--)
		sched_yield();
}

static void row_clock_gettime(long n)
{
	struct timespec ts;

	while (n--)
		clock_gettime(CLOCK_MONOTONIC, &ts);
}

/* ---- signals ---- */

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

static void row_sigprocmask(long n)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	for (long i = 0; i < n; i++)
		sigprocmask(i % 2 ? SIG_UNBLOCK : SIG_BLOCK, &set, NULL);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void row_setitimer(long n)
{
	struct itimerval far = {.it_value = {1000, 0}}, off = {.it_value = {0, 0}};

	while (n--)
		if (setitimer(ITIMER_REAL, &far, NULL) < 0 ||
		    setitimer(ITIMER_REAL, &off, NULL) < 0)
			fail("setitimer");
}

static void row_nanosleep(long n)
{
	struct timespec shortest = {0, 1};

	while (n--)
		nanosleep(&shortest, NULL);
}

/* ---- processes and threads ---- */

static void wait_for(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		fail("child");
}

static void row_fork_wait(long n)
{
	while (n--) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		wait_for(pid);
	}
}

/* As in row_fork_wait, of a process with 64 MiB that it has touched. */
static void row_fork_large(long n)
{
	static char *memory;
	const size_t size = 64u << 20;

	if (!memory) {
		memory = malloc(size);
		if (!memory)
			fail("malloc");
		memset(memory, 1, size);
	}
	row_fork_wait(n);
	free(memory);
	memory = NULL;
}

static void exec_self(void)
{
	execl(self_path, "micro", "--exit", (char *)NULL);
	_exit(127);
}

static void row_fork_exec_wait(long n)
{
	while (n--) {
		pid_t pid = fork();

		if (!pid)
			exec_self();
		wait_for(pid);
	}
}

static void row_vfork_exec_wait(long n)
{
	while (n--) {
		pid_t pid = vfork();

		if (!pid)
			exec_self();
		wait_for(pid);
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

const struct row process_rows[] = {
    {"getppid", row_getppid, 1000},
    {"getpid", row_getpid, 1000},
    {"sched_yield", row_sched_yield, 1000},
    {"clock_gettime", row_clock_gettime, 10000},
    {"signal sent+caught", row_signal, 500},
    {"sigprocmask", row_sigprocmask, 1000},
    {"setitimer set+clear", row_setitimer, 500},
    {"nanosleep 1 ns", row_nanosleep, 20},
    {"fork+wait", row_fork_wait, 20},
    {"fork+wait, 64 MiB", row_fork_large, 4},
    {"fork+exec+wait", row_fork_exec_wait, 20},
    {"vfork+exec+wait", row_vfork_exec_wait, 20},
    {"thread create+join", row_thread, 50},
    {NULL, NULL, 0},
};
