/* SPDX-License-Identifier: Apache-2.0 */
/* What a program of musl's asks of a kernel that one of glibc's doesn't ask in the same way: its
 * own start, threads, locks, condition variables with FUTEX_REQUEUE, signals, posix_spawn, standard
 * output, memory. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS 8

extern char **environ;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn = PTHREAD_COND_INITIALIZER;
static int whose, counter;
static volatile sig_atomic_t alarms;

static void fail(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

/* Each thread waits for its turn, all on one condition variable: broadcasts requeue. */
static void *take_turns(void *arg)
{
	int me = (int)(long)arg;

	for (int round = 0; round < 50; round++) {
		pthread_mutex_lock(&lock);
		while (whose != me)
			pthread_cond_wait(&turn, &lock);
		counter++;
		whose = (me + 1) % THREADS;
		pthread_cond_broadcast(&turn);
		pthread_mutex_unlock(&lock);
	}
	return arg;
}

static void threads(void)
{
	pthread_t t[THREADS];
	void *result;

	for (long i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], NULL, take_turns, (void *)i))
			fail("pthread_create");
	for (long i = 0; i < THREADS; i++) {
		pthread_join(t[i], &result);
		if ((long)result != i)
			printf("thread %ld gave %ld\n", i, (long)result);
	}
	printf("turns %d\n", counter);
}

static void timed_wait(void)
{
	struct timespec until;
	int err;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 20000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&lock);
	do
		err = pthread_cond_timedwait(&turn, &lock, &until);
	while (!err);
	pthread_mutex_unlock(&lock);
	printf("timed wait: %s\n", strerror(err));
}

static void on_alarm(int sig)
{
	(void)sig;
	alarms++;
}

static void signals(void)
{
	struct itimerval every = {{0, 5000}, {0, 5000}};
	struct sigaction sa = {.sa_handler = on_alarm};
	sigset_t block, before;

	sigemptyset(&block);
	sigaddset(&block, SIGALRM);
	sigprocmask(SIG_BLOCK, &block, &before);
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	while (alarms < 5)
		sigsuspend(&before);
	memset(&every, 0, sizeof(every));
	setitimer(ITIMER_REAL, &every, NULL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	puts("alarms came");
}

static void children(void)
{
	char *argv[] = {"sh", "-c", "echo spawned; exit 7", NULL};
	char line[100];
	int status;
	pid_t pid;
	FILE *p;

	fflush(stdout);
	if (posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ))
		fail("posix_spawn");
	waitpid(pid, &status, 0);
	printf("spawn status %d\n", WEXITSTATUS(status));
	fflush(stdout);
	p = popen("echo from a pipe; exit 3", "r");
	if (!p || !fgets(line, sizeof(line), p))
		fail("popen");
	printf("popen: %s", line);
	printf("pclose %d\n", WEXITSTATUS(pclose(p)));
	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(counter == 400 ? 5 : 6);
	waitpid(pid, &status, 0);
	printf("fork status %d\n", WEXITSTATUS(status));
}

static void files(void)
{
	char name[] = "/tmp/muslXXXXXX", line[100];
	int fd = mkstemp(name), lines = 0;
	struct stat st;
	FILE *f;
	char *map;

	f = fdopen(fd, "w+");
	for (int i = 0; i < 1000; i++)
		fprintf(f, "line %d\n", i);
	fflush(f);
	rewind(f);
	while (fgets(line, sizeof(line), f))
		lines++;
	fstat(fd, &st);
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		fail("mmap");
	printf("lines %d, size %ld, mapped %.6s\n", lines, (long)st.st_size, map);
	fclose(f);
	unlink(name);
	printf("gone: %d\n", access(name, F_OK) && errno == ENOENT);
}

static void sockets(void)
{
	struct pollfd p;
	char buf[10] = "";
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv))
		fail("socketpair");
	p = (struct pollfd){.fd = sv[1], .events = POLLIN};
	printf("poll %d", poll(&p, 1, 0));
	if (send(sv[0], "word", 4, 0) != 4)
		fail("send");
	printf(" %d", poll(&p, 1, 1000));
	printf(" %ld %s\n", (long)recv(sv[1], buf, sizeof(buf), 0), buf);
}

static void memory(void)
{
	size_t sum = 0;

	for (int i = 0; i < 2000; i++) {
		char *p = malloc((size_t)(i * 37 % 200000) + 1);

		p[0] = (char)i;
		p = realloc(p, (size_t)(i * 91 % 300000) + 1);
		sum += (unsigned char)p[0];
		free(p);
	}
	printf("memory %zu\n", sum);
}

int main(int argc, char **argv)
{
	printf("%d %s\n", argc, argv[0]);
	threads();
	timed_wait();
	signals();
	children();
	files();
	sockets();
	memory();
	return 9;
}
