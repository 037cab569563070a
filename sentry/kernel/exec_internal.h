/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of exec.c that the first process of a sandbox takes one by one (init.c). */
#ifndef SENTRY_KERNEL_EXEC_INTERNAL_H
#define SENTRY_KERNEL_EXEC_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

struct exec_args;
struct task;

/* Loads the program into t->exec. 0 or the errno of execve(2). */
int exec_load(struct task *t, const struct exec_args *args);
/*
 * Asks for the new host process. SYS_EXITED: the task is not the caller's any more; otherwise a
 * negative errno, after which the process ends if fatal.
 */
int64_t exec_start(struct task *t, bool fatal);

#endif
