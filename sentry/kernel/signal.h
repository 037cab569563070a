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

/* One queued signal with its story. */
struct siginfo_entry {
	struct list link;
	struct abi_siginfo info;
	/* A timer's own entry: queued at most once, not freed (posix_timer.c). */
	bool preallocated;
};

/* The queues themselves are pure data; whoever owns one locks it. */
void sigqueue_init(struct sigqueue *q);
void sigqueue_flush(struct sigqueue *q);
/*
 * Queues signo: a standard signal that is there already stays as it is. info NULL: all-zero
 * (SI_KERNEL). may_allocate false: only the bit is set (the queue limit is reached).
 */
void sigqueue_add(struct sigqueue *q, int signo, const struct abi_siginfo *info, bool may_allocate);
/* Queues a preallocated entry for entry->info.signo. */
void sigqueue_add_entry(struct sigqueue *q, struct siginfo_entry *entry);
/* Takes a queued entry out again. */
void sigqueue_remove_entry(struct sigqueue *q, struct siginfo_entry *entry);
/*
 * Takes the next signal that is in `wanted`: faults first, then by number. 0 if there is none.
 * *ret_freed_entry: whether an allocated entry was freed.
 */
int sigqueue_take(struct sigqueue *q, uint64_t wanted, struct abi_siginfo *ret_info,
		  bool *ret_freed_entry);
/* Drops the signals in mask; returns how many allocated entries were freed. */
uint32_t sigqueue_drop(struct sigqueue *q, uint64_t mask);

/* Classes of signals (signal(7), "Standard signals"). */
#define SIGSET_STOP                                                                                \
	(SIGBIT(ABI_SIGSTOP) | SIGBIT(ABI_SIGTSTP) | SIGBIT(ABI_SIGTTIN) | SIGBIT(ABI_SIGTTOU))
#define SIGSET_IGNORE                                                                              \
	(SIGBIT(ABI_SIGCONT) | SIGBIT(ABI_SIGCHLD) | SIGBIT(ABI_SIGWINCH) | SIGBIT(ABI_SIGURG))
#define SIGSET_CORE                                                                                \
	(SIGBIT(ABI_SIGQUIT) | SIGBIT(ABI_SIGILL) | SIGBIT(ABI_SIGTRAP) | SIGBIT(ABI_SIGABRT) |    \
	 SIGBIT(ABI_SIGFPE) | SIGBIT(ABI_SIGSEGV) | SIGBIT(ABI_SIGBUS) | SIGBIT(ABI_SIGSYS) |      \
	 SIGBIT(ABI_SIGXCPU) | SIGBIT(ABI_SIGXFSZ))
#define SIGSET_FAULTS                                                                              \
	(SIGBIT(ABI_SIGSEGV) | SIGBIT(ABI_SIGBUS) | SIGBIT(ABI_SIGILL) | SIGBIT(ABI_SIGTRAP) |     \
	 SIGBIT(ABI_SIGFPE) | SIGBIT(ABI_SIGSYS))

/*
 * Send, without permission checks. info may be NULL (SI_KERNEL). 0 or -EAGAIN (queue limit).
 * All take tasks_lock and the target's siglock; the _locked ones want tasks_lock held.
 */
int signal_send_task(struct task *t, int signo, const struct abi_siginfo *info);
int signal_send_group(struct thread_group *tg, int signo, const struct abi_siginfo *info);
int signal_send_pgrp_locked(struct process_group *pg, int signo, const struct abi_siginfo *info);
int signal_send_group_locked(struct thread_group *tg, int signo, const struct abi_siginfo *info);
/* Whether a timer that sends signo would send it in vain: it is pending still, or ignored. Under
 * siglock. */
bool signal_in_vain_locked(const struct thread_group *tg, int signo);
/* For timers: the entry (preallocated) unless it is queued still; false then. t NULL: the group. */
bool signal_send_entry(struct thread_group *tg, struct task *t, struct siginfo_entry *entry);
/* A synchronous fault: delivered even if blocked or ignored (then it kills). */
void signal_force(struct task *t, int signo, const struct abi_siginfo *info);
/* For who is not in the sandbox (runsc kill): reaches the first process as well. */
int signal_send_outside(struct thread_group *tg, int signo, const struct abi_siginfo *info);
/* The same to every process (runsc kill --all). 0, or -ESRCH if there is none. */
int signal_send_all(struct kernel *k, int signo, const struct abi_siginfo *info);
/* Kills the whole sandbox's guests at once (container stop). */
void signal_kill_all(struct kernel *k);

/*
 * Ends the process: every thread exits at its next look, with this wait status (the first caller's
 * stands). signal_exit_group_locked: with tasks_lock held.
 */
void signal_exit_group(struct thread_group *tg, int32_t wait_status);
void signal_exit_group_locked(struct thread_group *tg, int32_t wait_status);

/* Whether kill(2) by `from` may signal `to` (kill(2), permissions). 0, -EPERM, -ESRCH (just
 * reaped). */
int signal_may_send(struct task *from, struct thread_group *to, int signo);

/*
 * To all members of a group, or (pgid 0) to all processes but the first one and the sender's own,
 * as far as it may; signo 0: only the checks. 0 if there was one, else -ESRCH or the error.
 */
int signal_send_many(struct task *from, int32_t pgid, int signo, const struct abi_siginfo *info);
/* Whether a handler that is about to block must return -ERESTART* instead. */
bool signal_pending(struct task *t);
bool signal_fatal_pending(struct task *t);

/* Sets the blocked mask (never SIGKILL, SIGSTOP) and looks again at what is pending. */
void signal_set_blocked(struct task *t, uint64_t mask);
/*
 * The mask of sigsuspend, ppoll, pselect, epoll_pwait for the time of the call; may be called again
 * when the handler runs again. The old mask comes back by itself when the call is over, after the
 * frame of a signal that ended it was made.
 */
void signal_set_temporary_mask(struct task *t, uint64_t mask);
/* The signals that signalfd and rt_sigtimedwait could take, and taking one of them (0: none). */
uint64_t signal_pending_set(struct task *t);
int signal_take(struct task *t, uint64_t wanted, struct abi_siginfo *ret_info);
/* Drops what is pending of a signal whose action became "ignore". Under tasks_lock and siglock. */
void signal_flush_ignored_locked(struct thread_group *tg, int signo);

/* The process's news for its parent: CLD_*, with tasks_lock held. Sends SIGCHLD where Linux does
 * and wakes wait4. */
void signal_notify_parent_locked(struct thread_group *tg, int cld_code, int status);
/* A thread is about to go: it doesn't hold up a group stop, and signals that it was chosen for look
 * for another. Under tasks_lock. */
void signal_thread_gone_locked(struct task *t);
/* A fresh thread of tg, still unknown to others: joins a group stop that is under way. Under
 * tasks_lock. */
void signal_thread_added_locked(struct task *t);
/* Whether sp is on the thread's alternate stack (which then can't be changed). */
bool signal_on_altstack(const struct task *t, uint64_t sp);
/* A fresh process's part, and its end (without locks). */
void signal_group_init(struct thread_group *tg);
void signal_group_gone(struct thread_group *tg);
/* exec: handlers back to default, altstack and timers' signals dropped. */
void signal_reset_for_exec(struct task *t);

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
