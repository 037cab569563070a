/* SPDX-License-Identifier: Apache-2.0 */
/* Resource limits (getrlimit(2)): where they are enforced is their users' business. */
#ifndef SENTRY_KERNEL_RLIMIT_H
#define SENTRY_KERNEL_RLIMIT_H

#include <stdint.h>

struct abi_rlimit;
struct task;
struct thread_group;

/* The soft limit of ABI_RLIMIT_x. */
uint64_t rlimit_get(struct thread_group *tg, unsigned which);
/* Reads and, if new is not NULL, changes a limit of tg for `by`: 0, -EINVAL, -EPERM. */
int rlimit_change(struct task *by, struct thread_group *tg, unsigned which,
		  const struct abi_rlimit *new, struct abi_rlimit *ret_old);

#endif
