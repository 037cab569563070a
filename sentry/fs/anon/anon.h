/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are nothing but a kernel object: eventfd(2), timerfd_create(2), signalfd(2). */
#ifndef SENTRY_FS_ANON_ANON_H
#define SENTRY_FS_ANON_ANON_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/time.h"

struct file;
struct task;

int eventfd_new(struct task *t, uint32_t count, bool semaphore, uint32_t flags, struct file **ret);

/* clock: ABI_CLOCK_*; -EINVAL for those that timers don't have. */
int timerfd_new(struct task *t, int clock, uint32_t flags, struct file **ret);
/* -EINVAL: no timerfd. flags: ABI_TFD_TIMER_*; old may be NULL. */
int timerfd_set(struct file *f, int flags, const struct abi_itimerspec *value,
		struct abi_itimerspec *old);
int timerfd_get(struct file *f, struct abi_itimerspec *ret);

int signalfd_new(struct task *t, uint64_t mask, uint32_t flags, struct file **ret);
/* -EINVAL: no signalfd. */
int signalfd_set_mask(struct file *f, uint64_t mask);

#endif
