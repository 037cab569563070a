/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU time of guests: what the host counted for the host processes behind them. A process keeps
 * what it used before an exec (its host process changes there), and the host's clocks are read by
 * pid, which needs no files.
 */
#ifndef SENTRY_KERNEL_CPUTIME_H
#define SENTRY_KERNEL_CPUTIME_H

#include <stdint.h>

#include "abi/time.h"

struct task;
struct thread_group;

struct cputime {
	uint64_t utime, stime; /* ns */
};

/* Of the whole process since its start, living or not. Takes no lock. */
void cputime_of_process(struct thread_group *tg, struct cputime *ret);
/* Of one thread; of the process where the host doesn't say it by thread. */
void cputime_of_task(struct task *t, struct cputime *ret);
/* The host process is about to go (exec, exit of the last thread): keeps what it used. The owner of
 * t. */
void cputime_keep(struct task *t);

/* The most memory that the host process had resident, KiB; 0: unknown. */
int64_t cputime_max_rss_kib(struct thread_group *tg);
struct abi_timeval cputime_timeval(uint64_t ns);
/* What wait4 says of a child: the process and those that it waited for. */
void cputime_rusage(struct thread_group *tg, struct abi_rusage *ret);

#endif
