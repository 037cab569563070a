/* SPDX-License-Identifier: Apache-2.0 */
/* execve: from the program file to the first instruction (exec.c). */
#ifndef SENTRY_KERNEL_EXEC_H
#define SENTRY_KERNEL_EXEC_H

#include <stdint.h>

struct exec_args;
struct task;

/* Loads the program (t->exec is set then) and goes on with exec_continue. A handler's verdict. */
int64_t exec_begin(struct task *t, const struct exec_args *args);
/* The next step of the load under way: a handler's verdict. */
int64_t exec_continue(struct task *t);
/* The first event after the new program was sent on its way: t->exec ends, or the process does. */
void exec_settle(struct task *t);
/* The task goes before it was over. */
void exec_abandon(struct task *t);

/* How many bytes of arguments and environment an execve may bring (execve(2), "Limits"). */
uint64_t exec_args_max(struct task *t);
#define EXEC_STRING_MAX (32 * 4096) /* of one, with its NUL: MAX_ARG_STRLEN */

#endif
