/* SPDX-License-Identifier: Apache-2.0 */
/* Times as guests pass them, in the sentry's ns. */
#ifndef SYSCALLS_TIMEARGS_H
#define SYSCALLS_TIMEARGS_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/time.h"
#include "abi/types.h"

struct task;

/* -EINVAL for what is no time; what is too far away becomes TIME_NEVER - 1. */
int timespec_to_ns(const struct abi_timespec *ts, uint64_t *ret_ns);
int timespec_from_user(struct task *t, uaddr_t ptr, uint64_t *ret_ns);
struct abi_timespec timespec_of_ns(uint64_t ns);
struct abi_timeval timeval_of_ns(uint64_t ns);

/* The monotonic time in ns from now; TIME_NEVER stays. */
uint64_t deadline_in(uint64_t ns);
/* The monotonic time at which the real clock shows ns. */
uint64_t deadline_at_realtime(uint64_t ns);

#endif
