/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that vfork, while they and their children are killed, stopped and continued at whatever
 * moment: a child runs in its parent's host thread (platform/lend.c), and either may end first.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "calls.h"

#define WORKERS 4

struct shared {
	atomic_int worker[WORKERS], child[WORKERS];
	atomic_long done;
};

/* What a child does; some of it only a signal ends, at last that of its own alarm. */
static void __attribute__((noreturn)) be_child(int kind)
{
	alarm(1);
	switch (kind) {
	case 0:
		execl("/stress", "/stress", "exit", "0", (char *)NULL);
		break;
	case 1:
		for (volatile int i = 0; i < 100000; i++)
			;
		break;
	case 2:
		for (;;)
			__asm__ volatile("" ::: "memory");
	case 3:
		for (;;)
			pause();
	}
	_exit(0);
}

static void vfork_once(struct shared *s, int n, int kind)
{
	pid_t pid = vfork();

	if (!pid) {
		atomic_store(&s->child[n], getpid());
		be_child(kind);
	}
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	atomic_fetch_add(&s->done, 1);
}

static void __attribute__((noreturn)) work(struct shared *s, int n)
{
	unsigned seed = (unsigned)getpid();

	for (;;)
		vfork_once(s, n, rand_r(&seed) % 5);
}

static void start_worker(struct shared *s, int n)
{
	pid_t pid = fork();

	if (!pid)
		work(s, n);
	atomic_store(&s->worker[n], pid);
}

static void send(pid_t pid, int signo)
{
	if (pid > 1)
		kill(pid, signo);
}

/* Who is stopped is who is continued: where `who` was read there may be another one by now. */
static void interrupt(pid_t who)
{
	send(who, SIGSTOP);
	send(who, SIGCONT);
}

static void disturb(struct shared *s, int n, unsigned what)
{
	if (what == 0)
		send(atomic_load(&s->worker[n]), SIGKILL);
	else if (what < 3)
		interrupt(atomic_load(&s->worker[n]));
	else if (what < 6)
		interrupt(atomic_load(&s->child[n]));
	else
		send(atomic_load(&s->child[n]), SIGKILL);
}

/* Children of workers that were killed come to us, too. */
static void reap(struct shared *s)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		for (int i = 0; i < WORKERS; i++)
			if (atomic_load(&s->worker[i]) == pid)
				start_worker(s, i);
}

static void end(struct shared *s)
{
	for (int i = 0; i < WORKERS; i++) {
		send(atomic_load(&s->worker[i]), SIGKILL);
		while (waitpid(atomic_load(&s->worker[i]), NULL, 0) < 0 && errno == EINTR)
			;
	}
	while (waitpid(-1, NULL, 0) > 0) /* children whose workers were killed */
		;
}

void vforks_disturbed(long n)
{
	struct shared *s =
	    mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned seed = 1;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (int i = 0; i < WORKERS; i++)
		start_worker(s, i);
	while (atomic_load(&s->done) < n) {
		struct timespec pause = {.tv_nsec = rand_r(&seed) % 200 * 1000};

		disturb(s, rand_r(&seed) % WORKERS, (unsigned)rand_r(&seed) % 16);
		reap(s);
		nanosleep(&pause, NULL);
	}
	end(s);
}
