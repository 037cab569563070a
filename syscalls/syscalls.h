/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls: the handlers that table.h names, and what is made from the table. A handler
 * runs as sentry/kernel/task.h says; it decodes its arguments, copies what they point at, and calls
 * the sentry.
 */
#ifndef SYSCALLS_SYSCALLS_H
#define SYSCALLS_SYSCALLS_H

#include <stdint.h>
#include <stdio.h>

#include "sentry/kernel/syscall.h"
#include "sentry/kernel/task.h"

struct copyplan;

#define SYSCALL(nr, name, handler, level, note, ret, ...)                                          \
	int64_t handler(struct task *t, const struct sysargs *a);
#include "syscalls/table.h"
#undef SYSCALL

/* Calls that are not there (absent.c). All but the last two report their use (unsupported). */
int64_t sys_absent(struct task *t, const struct sysargs *a);		/* ENOSYS */
int64_t sys_absent_eperm(struct task *t, const struct sysargs *a);	/* EPERM */
int64_t sys_absent_eopnotsupp(struct task *t, const struct sysargs *a); /* EOPNOTSUPP */
int64_t sys_absent_probed(struct task *t, const struct sysargs *a);	/* ENOSYS */

/* Indexed by call number; gaps have no name. */
#define SYSCALL_TABLE_COUNT 467
extern const struct syscall_entry syscall_table[SYSCALL_TABLE_COUNT];

/*
 * The copy plans of all calls, SYSCALL_TABLE_COUNT of them, for platform_config. A plan that
 * doesn't fit its struct would be a mistake in the table and ends the process. The caller frees.
 */
struct copyplan *syscall_copyplans_new(void);

/* --strace: for kernel.trace. Lines go to the log at level info. */
extern const struct syscall_trace syscall_strace;

/* `runsc help syscalls`: a table for terminals, and a sum. */
void syscalls_print_table(FILE *out);
/* docs/compatibility.md */
void syscalls_print_markdown(FILE *out);

#endif
