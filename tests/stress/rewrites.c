/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that rewrites its own code, in which calls are, while its threads run through it: in
 * place, by other memory in its place, with forks and reads in between. After each rewrite the new
 * code must be what runs, and no thread may ever see anything but the old call or the new one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"

#define PAGE	4096
#define FCNTL	72
#define PID	39
#define THREADS 2
#define RX	(PROT_READ | PROT_EXEC)

typedef long stub_fn(long, long, long);

static atomic_bool stop;
static atomic_int wrong, started;
static uint8_t *text;

static void die(const char *what)
{
	fprintf(stderr, "stress: rewrites: %s: %s\n", what, strerror(errno));
	exit(1);
}

static long call_text(long fd)
{
	return ((stub_fn *)text)(fd, 1 /* F_GETFD */, 0);
}

static void *hammer(void *arg)
{
	long me = getpid();

	(void)arg;
	started++;
	while (!stop) {
		long a = call_text(1), b = call_text(-1);

		if ((a != 0 && a != me) || (b != -EBADF && b != me))
			wrong++;
	}
	return NULL;
}

static uint8_t *new_page(int nr)
{
	const uint8_t code[] = {0xb8, (uint8_t)nr, 0, 0, 0, 0x0f, 0x05, 0xc3};
	uint8_t *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	memcpy(p, code, sizeof(code));
	if (mprotect(p, PAGE, RX))
		die("mprotect");
	return p;
}

static void write_in_place(int nr)
{
	if (mprotect(text, PAGE, RX | PROT_WRITE))
		die("mprotect");
	((volatile uint8_t *)text)[1] = (uint8_t)nr;
	if (mprotect(text, PAGE, RX))
		die("mprotect");
}

static void move_over(int nr)
{
	if (mremap(new_page(nr), PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, text) != text)
		die("mremap");
}

static void check_now(int nr)
{
	if (call_text(1) != (nr == PID ? getpid() : 0))
		die("the old code ran");
}

static void in_a_child(int nr)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		die("fork");
	if (pid == 0) {
		check_now(nr);
		_exit(text[1] == nr ? 0 : 1);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		die("a child");
}

void rewrites(long n)
{
	pthread_t threads[THREADS];

	text = new_page(FCNTL);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, hammer, NULL))
			die("pthread_create");
	while (started < THREADS)
		usleep(1000);
	for (long i = 0; i < n; i++) {
		int nr = i % 2 ? FCNTL : PID;

		if (i % 64 == 63)
			move_over(nr);
		else
			write_in_place(nr);
		for (int calls = i % 128 ? 1 : 100; calls > 0; calls--)
			check_now(nr);
		if (i % 512 == 511)
			in_a_child(nr);
		if (i % 100 == 99 && text[1] != nr)
			die("text reads as it was");
	}
	stop = true;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	if (wrong)
		die("a thread saw neither code");
}
