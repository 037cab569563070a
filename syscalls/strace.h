/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of --strace: shared by strace.c (lines), strace_args.c (arguments by kind),
 * strace_structs.c (what is behind addresses) and strace_flags.c (names of values).
 */
#ifndef SYSCALLS_STRACE_H
#define SYSCALLS_STRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "sentry/kernel/syscall.h"
#include "sentry/kernel/task.h"

/* As strace(1): -s 32, and at most so many elements of an array. */
#define STRACE_STRING_MAX 32
#define STRACE_ARRAY_MAX  16
/* A line is cut here, whatever the guest's arguments are. */
#define STRACE_LINE_MAX 2500

/* One call being shown. */
struct strace_call {
	struct task *task;
	const struct syscall_entry *entry;
	const struct sysargs *args;
	bool exiting; /* the call is done: */
	int64_t ret;  /* its result */
	struct strbuf *out;
};

static inline uint64_t strace_arg(const struct strace_call *c, unsigned int i)
{
	return i < 6 ? c->args->arg[i] : 0;
}

/* How many arguments to show (the last ones may be unused), and whether one waits for the result.
 */
unsigned int strace_arg_count(const struct strace_call *c);
bool strace_arg_is_result(const struct strace_call *c, unsigned int i);
void strace_show_arg(struct strace_call *c, unsigned int i);
/* The value after " = ", with what strace adds to it. */
void strace_show_result(struct strace_call *c);

/*
 * What is behind the address `va`, by kind (enum arg_kind). `size` is the size in bytes or the
 * count, as the kind wants it. Shows the address itself if it can't be read.
 */
void strace_show_pointer(struct strace_call *c, uint8_t kind, uint64_t va, uint64_t size);
void strace_show_pollfds_ready(struct strace_call *c, uint64_t va, uint64_t count);
void strace_show_fdset(struct strace_call *c, uint64_t va, int bits);
void strace_show_ioctl_arg(struct strace_call *c, uint32_t cmd, uint64_t va);
bool strace_ioctl_is_getter(uint32_t cmd);
void strace_show_flock(struct strace_call *c, uint64_t va, bool with_pid);
void strace_show_siginfo(struct strbuf *out, const void *siginfo);
void strace_show_sigset(struct strbuf *out, uint64_t set);

/* Copies from the guest. */
bool strace_read(struct strace_call *c, void *dst, uint64_t va, size_t size);
void strace_show_address(struct strbuf *out, uint64_t va);
/* A quoted string of these bytes; more: they are not all. */
void strace_show_bytes(struct strbuf *out, const char *bytes, size_t size, bool more);

/* Names. */
const char *strace_signal_name(int signo, char *room, size_t size);
void strace_show_signal(struct strbuf *out, uint64_t signo);
void strace_show_mode(struct strbuf *out, uint32_t mode);
/* kind is one of AK_FLAGS_FIRST..AK_FLAGS_LAST */
void strace_show_flags(struct strbuf *out, uint8_t kind, uint64_t value);
/* Sets that belong to no argument. */
void strace_show_poll_events(struct strbuf *out, uint32_t events, bool epoll);
void strace_show_sa_flags(struct strbuf *out, uint64_t flags);
void strace_show_statx_attributes(struct strbuf *out, uint64_t attributes);
void strace_show_seals(struct strbuf *out, uint64_t seals);
const char *strace_si_code_name(int signo, int code);
void strace_show_lock_type(struct strbuf *out, int type);
void strace_show_termios(struct strbuf *out, const void *termios);

#endif
