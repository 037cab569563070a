/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the ptrace platform can't get below on this host: a loop that answers getppid with no more
 * than the requests it takes (wait, look at the registers, set the result, go on). Prints a row as
 * the micro programs do: nanoseconds a call. BENCH_MS: for how long.
 */
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void child(void)
{
	for (;;)
		if (syscall(SYS_getppid) != 42)
			_exit(1);
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* From one call to the next. */
static void step(pid_t pid)
{
	struct user_regs_struct u;
	int status;

	if (ptrace(PTRACE_SYSEMU, pid, NULL, NULL) < 0 || wait4(-1, &status, __WALL, NULL) != pid)
		fail("PTRACE_SYSEMU");
	if (!WIFSTOPPED(status) || ptrace(PTRACE_GETREGS, pid, NULL, &u) < 0)
		fail("PTRACE_GETREGS");
	ptrace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, rax),
	       u.orig_rax == SYS_getppid ? 42 : 0);
}

int main(void)
{
	const char *ms = getenv("BENCH_MS");
	long long limit = (ms ? atoll(ms) : 60) * 1000000, start, took;
	long count = 0;
	pid_t pid = fork();

	if (pid == 0) {
		raise(SIGSTOP);
		child();
	}
	waitpid(pid, NULL, WUNTRACED);
	if (ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) < 0)
		fail("PTRACE_SEIZE");
	kill(pid, SIGCONT);
	waitpid(pid, NULL, __WALL);
	for (int i = 0; i < 1000; i++)
		step(pid);
	start = now_ns();
	do {
		for (int i = 0; i < 1000; i++)
			step(pid);
		count += 1000;
		took = now_ns() - start;
	} while (took < limit);
	printf("bare PTRACE_SYSEMU loop\t%.1f\n", (double)took / (double)count);
	kill(pid, SIGKILL);
	return 0;
}
