/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the notify platform share. Guards as in platform/internal.h. */
#ifndef PLATFORM_NOTIFY_NOTIFY_H
#define PLATFORM_NOTIFY_NOTIFY_H

#include "platform/internal.h"

/* platform.state */
struct notify {
	int listener;		     /* [I] */
	size_t notif_size;	     /* [I] of the host's struct seccomp_notif */
	struct seccomp_notif *notif; /* [L] */
	struct poller *poller;	     /* [I] */
	struct places *places;	     /* [I] */
	atomic_bool sync_wakes;	     /* [sync_lock] SYNC_WAKE_UP is on; read by any */
	struct mutex sync_lock;	     /* around what it is switched for */
	struct mutex copy_lock;	     /* one copy by a stub at a time */
	atomic_uint copy_bells;	     /* of threads that copy; a futex */
	/* A thread that stopped while to_lend was set: with a reference and `copying` set. */
	struct platform_thread *_Atomic lender;
};

static inline struct notify *notify_of(const struct platform *p)
{
	return p->state;
}

/* notify.c: handles one notification that is waiting; 1 with an event, 0 without, negative errno.
 */
int notify_receive(struct platform *p, struct platform_event *ret_event);
/* The request in t's channel, without a bell: 1 with an event, or 0. */
int notify_take_polled(struct platform_thread *t, struct platform_event *ret_event);

/* It is STOPPED, and its reply may take long or needs a bell: it is to ring. Caller holds t->lock.
 */
void notify_park_locked(struct platform_thread *t);

/* One notification that waits, by who isn't in platform_next. False: there was none. */
bool notify_receive_aside(struct platform *p);
/* Has the thread, which is STOPPED, do what its channel.copy says. */
void notify_order_copy(struct platform_thread *t);
/* The reply that had to wait, if there is one. Caller holds platform.lock and t->lock. */
void notify_reply_again_locked(struct platform_thread *t);

/* copy.c */
ssize_t notify_copy(struct platform_thread *t, struct platform_mm *mm, uint64_t va, void *buf,
		    size_t size, bool write);
/* Receives for a while if nobody else does; false: somebody does. */
bool notify_receive_meanwhile(struct platform *p);
/* A thread that is to copy hasn't seen that yet. */
bool notify_must_copy(const struct platform_thread *t);
/* A thread that copies has rung. */
void notify_has_copied(struct platform *p);
/* A thread that is to lend itself has stopped. Caller holds t->lock. */
void notify_lend_locked(struct platform_thread *t);

/* zygote.c */
/* Whether replies bring the woken thread to the replier's CPU. */
void notify_set_sync(struct platform *p, bool sync);
/* Sends a reply that doesn't. 0, or -1 with errno. */
int notify_send_away(struct platform *p, struct seccomp_notif_resp *resp);
int notify_boot(struct platform *p, const struct platform_config *config, struct platform_thread *z,
		const char **ret_why);

/* reaper.c */
int reaper_start(struct platform *p);
void reap_all(struct platform *p);

#endif
