/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the micro benchmark share (micro.c tells how it works). */
#ifndef TESTS_BENCH_MICRO_H
#define TESTS_BENCH_MICRO_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE	    4096
#define BUFFER_SIZE (1u << 20)

/* One row of the table: `run` does n operations. A name of NULL ends a list. */
struct row {
	const char *name;
	void (*run)(long n);
	long batch; /* operations between two looks at the clock */
};

extern const struct row file_rows[], name_rows[], ipc_rows[], memory_rows[], process_rows[];

extern char buffer[BUFFER_SIZE];

/* Ends the program with a message that shows errno. */
void fail(const char *what) __attribute__((noreturn));

/* The path of this program, for rows that exec it. */
extern const char *self_path;

#endif
