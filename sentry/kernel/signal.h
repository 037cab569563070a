/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals: queues, sending, delivery (signal(7), Linux kernel/signal.c). Masks have bit signo-1.
 * Standard signals queue once, real-time ones (32..64) each time, bounded by RLIMIT_SIGPENDING.
 */
#ifndef SENTRY_KERNEL_SIGNAL_H
#define SENTRY_KERNEL_SIGNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/signal.h"
#include "base/list.h"

struct kernel;
struct process_group;
struct task;
struct thread_group;

struct sigqueue {
	uint64_t set;	   /* signals in it */
	struct list infos; /* struct siginfo_entry; a signal without entry has an all-zero si */
};

#define SIGBIT(signo) (1ull << ((signo)-1))

void sigqueue_init(struct sigqueue *q);
void sigqueue_flush(struct sigqueue *q);

/*
 * Send, without permission checks. info may be NULL (SI_KERNEL). 0 or -EAGAIN (queue limit).
 * Takes siglock of the target; the group variant takes tasks_lock unless _locked.
 */
int signal_send_task(struct task *t, int signo, const struct abi_siginfo *info);
int signal_send_group(struct thread_group *tg, int signo, const struct abi_siginfo *info);
int signal_send_pgrp_locked(struct process_group *pg, int signo, const struct abi_siginfo *info);
/* A synchronous fault: delivered even if blocked or ignored (then it kills). */
void signal_force(struct task *t, int signo, const struct abi_siginfo *info);
/*
 * From outside of the container's PID namespace (runsc kill): the first process gets it whatever
 * its dispositions, SIGKILL and SIGSTOP included. _all: every process. 0 or -ESRCH.
 */
int signal_send_group_from_outside(struct thread_group *tg, int signo,
				   const struct abi_siginfo *info);
int signal_send_all(struct kernel *k, int signo, const struct abi_siginfo *info);
/* Kills the whole sandbox's guests at once (container stop). */
void signal_kill_all(struct kernel *k);

/* Whether kill(2) by `from` may signal `to` (kill(2), permissions). 0 or -EPERM. */
int signal_may_send(struct task *from, struct thread_group *to, int signo);

/* Whether a handler that is about to block must return -ERESTART* instead. */
bool signal_pending(struct task *t);
bool signal_fatal_pending(struct task *t);

/* Sets the blocked mask (never SIGKILL, SIGSTOP) and looks again at what is pending. */
void signal_set_blocked(struct task *t, uint64_t mask);

/*
 * On the way back to guest code: takes the next signal, stops, kills, or puts a frame into
 * t->reply. ret is the call's result or restart code (or 0 if the event was none). Called by the
 * worker in a loop.
 */
enum signal_verdict {
	SIGV_NONE,    /* nothing (more) to deliver */
	SIGV_FRAME,   /* t->reply has a frame; t->reply.ret/restart are final */
	SIGV_STOPPED, /* job control stop: park the task */
	SIGV_EXIT,    /* the task must exit (t->tg->exit_code is set) */
	SIGV_RERUN,   /* the interrupted call is to be run again inside the sentry */
};
enum signal_verdict signal_deliver(struct task *t, int64_t ret);

#endif
