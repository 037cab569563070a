/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a platform has to bring: how stub processes and the sentry meet on a given host. All else
 * (threads, address spaces, slots, channels, deaths, spares) is common, in platform.c and its
 * neighbours, which reach the backend through this table only.
 *
 * Guards as in internal.h; _locked: the caller holds platform.lock.
 */
#ifndef PLATFORM_BACKEND_H
#define PLATFORM_BACKEND_H

#include "platform/platform.h"

struct host_process;
struct sock_filter;

struct platform_backend {
	const char *name;
	/* platform_next must always be called by the same thread, the first that called it. */
	bool pinned;
	/* Calls are the stub's to serve before they are the sentry's: fast entry, answers, waits.
	 */
	bool stub_calls;
	/* The filter of stub processes; filter_build_ptrace: stubs stop for a tracer. */
	int (*build_filter)(struct sock_filter *prog, uint32_t max, uint64_t text_begin,
			    uint64_t text_end);
	/*
	 * Brings the zygote to life, the thread that does what is in platform.spawn; it is ORDERED,
	 * and may be so for a while after. Called by platform_new. Negative errno with *ret_why,
	 * and then no process is left behind; platform.state is freed by `release` in any case.
	 */
	int (*boot)(struct platform *p, const struct platform_config *config,
		    struct platform_thread *zygote, const char **ret_why);
	/* platform_start. */
	int (*start)(struct platform *p);
	/* Every process was killed: returns when all are reaped. Nobody is in `receive`. */
	void (*stop)(struct platform *p);
	/* Frees platform.state. */
	void (*release)(struct platform *p);

	/*
	 * Waits until something happens and deals with it. 1 with an event, 0 without, negative
	 * errno (-ENOTCONN: broken). Returns soon after `wake`, which is called only while
	 * platform.in_recv is set. Sets platform.delivering with the event.
	 */
	int (*receive)(struct platform *p, struct platform_event *ret_event);
	void (*wake)(struct platform *p);
	/* May be NULL. platform_next is called and t, whose event it returned last, has no reply
	 * yet. */
	void (*unanswered)(struct platform_thread *t);
	/* platform_reply. Negative errno if the thread can't be replied to at all. */
	int (*reply)(struct platform_thread *t, const struct platform_reply *r);
	/*
	 * platform_lend (lend.c): the thread can be reached and waits for its reply just so that it
	 * could be another one's. Caller holds t->lock as well. NULL: threads can't be lent.
	 */
	bool (*can_lend_locked)(struct platform_thread *t);
	/* The child (platform_thread.over) is to end: lend_over_locked, as soon as it waits. */
	void (*end_lent_locked)(struct platform_thread *t);
	/* The lender has its host thread again: the reply that waits for that, if there is one. */
	void (*came_back_locked)(struct platform_thread *t);
	/*
	 * A host thread is kept for another guest thread (thread_stock.c); it is to wait in a bell.
	 * Caller holds the lock of the one before. NULL: none are kept.
	 */
	void (*stocked_locked)(struct platform_thread *t);
	/*
	 * Guest memory where the host keeps the sentry out of it; t may be NULL. Bytes copied from
	 * the start (the next one faults), or -ESRCH: there is no way now. NULL: there is none.
	 */
	ssize_t (*copy)(struct platform_thread *t, struct platform_mm *mm, uint64_t va, void *buf,
			size_t size, bool write);
	/*
	 * For who waits for a thread: receives for a while (side_recv), unless another does; false
	 * then. NULL: another does always.
	 */
	bool (*receive_aside)(struct platform *p);
	/* Waits until nobody receives aside (platform.side_recv). NULL: nobody ever does. */
	void (*await_aside)(struct platform *p);
	/* platform_kick of a thread that has a living host process. */
	void (*kick_locked)(struct platform_thread *t);
	/* Ends a host process, of which the caller knows that it is not reaped. */
	void (*kill_locked)(struct host_process *process);
	/* The thread is dead: its last mention, before the sentry is told. */
	void (*forget)(struct platform_thread *t);
};

extern const struct platform_backend notify_backend, ptrace_backend;
extern const struct platform_backend none_backend; /* refuses: a pattern for others */

#endif
