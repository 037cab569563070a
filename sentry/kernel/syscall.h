/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One entry of the system call table as the sentry sees it. The table itself is made from
 * syscalls/table.h, a floor above; kernel.table points at it. Index = call number; a number at or
 * beyond kernel.table_count, and an entry without a name, is no call: -ENOSYS.
 */
#ifndef SENTRY_KERNEL_SYSCALL_H
#define SENTRY_KERNEL_SYSCALL_H

#include <stdint.h>

struct sysargs;
struct task;

enum syscall_level {
	SYSCALL_FULL,
	SYSCALL_PARTIAL, /* the note says what is missing */
	SYSCALL_ABSENT,	 /* the note says why */
};

/* What an argument is: syscalls/argkinds.h. */
struct syscall_arg {
	uint8_t kind;	  /* enum arg_kind; 0 behind the last argument */
	uint8_t copy;	  /* enum copywin_kind of platform/copyplan.h */
	uint8_t size_arg; /* as in struct copywin */
	uint16_t size;
	uint8_t when; /* enum copywin_when */
};

typedef int64_t (*syscall_handler)(struct task *t, const struct sysargs *a);

struct syscall_entry {
	const char *name;
	syscall_handler handler; /* never NULL where there is a name */
	const char *note;	 /* "" only if the level is SYSCALL_FULL */
	uint8_t level;		 /* enum syscall_level */
	uint8_t ret;		 /* enum ret_kind */
	struct syscall_arg args[6];
};

/*
 * What --strace hooks into the path of a call (kernel.trace, NULL: off). Both are called by the
 * task's owner while its thread is stopped: enter once before the first run of the handler, exit
 * once when the result is known, before the reply is sent (what the handler wrote can be read
 * back). ret is a result, a negative errno or a restart code; for SYS_NORET it is 0.
 */
struct syscall_trace {
	void (*enter)(struct task *t, const struct sysargs *a);
	void (*exit)(struct task *t, const struct sysargs *a, int64_t ret);
	/* Signals too: "--- SIGCHLD {si_signo=SIGCHLD, ...} ---". info is a copy. */
	void (*signal)(struct task *t, int signo, const void *siginfo);
	/* "+++ exited with 0 +++" of a task that is about to go: its wait status. */
	void (*gone)(struct task *t, int wait_status);
};

#endif
