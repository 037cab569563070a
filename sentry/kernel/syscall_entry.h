/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What dispatch needs of a system call. syscalls/ makes the array from its table and gives it to
 * the kernel at boot, so that sentry/ doesn't depend on syscalls/.
 */
#ifndef SENTRY_KERNEL_SYSCALL_ENTRY_H
#define SENTRY_KERNEL_SYSCALL_ENTRY_H

#include <stdint.h>

struct sysargs;
struct task;

struct syscall_entry {
	const char *name; /* NULL: no such number */
	int64_t (*handler)(struct task *t, const struct sysargs *a);
};

/* Hooks of dispatch; any may be NULL. */
struct syscall_hooks {
	/* A number that has no entry; returns the result. */
	int64_t (*unknown)(struct task *t, const struct sysargs *a);
	/* --strace: before the handler's first run, and when the call's result is known. */
	void (*trace_enter)(struct task *t, const struct sysargs *a);
	void (*trace_exit)(struct task *t, const struct sysargs *a, int64_t ret);
};

#endif
