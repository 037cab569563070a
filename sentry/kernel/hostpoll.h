/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readiness of host descriptors. The event thread sleeps in one epoll set; whoever wants to hear of
 * a descriptor adds a `hostpoll` and arms it. An armed hostpoll fires once and is then silent until
 * it is armed again, so descriptors that nobody waits for cost no wake-up.
 *
 * The event thread's loop:
 *
 *	while (!atomic_load(&k->ended)) {
 *		hostpoll_dispatch(k, -1);
 *		workers_run_woken(k);
 *	}
 *
 * The timer descriptor, kernel.event_fd and the control socket are hostpolls as well (with
 * HOSTPOLL_STAY, they stay armed).
 */
#ifndef SENTRY_KERNEL_HOSTPOLL_H
#define SENTRY_KERNEL_HOSTPOLL_H

#include <stdint.h>

struct hostpolls;
struct kernel;

#define HOSTPOLL_STAY (1u << 31) /* with the events of hostpoll_arm: fires each time */

struct hostpoll {
	int fd; /* [I] borrowed; must stay open until hostpoll_remove */
	/* On the event thread without locks; short, never blocks. events: ABI_POLL*; always
	 * includes HUP and ERR if there are. May arm and remove hostpolls, its own too. */
	void (*func)(struct hostpoll *hp, uint32_t events);
	uint32_t id;	/* 0: not added. The rest is hostpoll.c's */
	uint32_t armed; /* hostpolls lock */
};

/* Makes k->hostpolls; called by kernel_new. */
void hostpolls_init(struct kernel *k);
void hostpolls_destroy(struct kernel *k);

/*
 * Puts it into the set, unarmed. 0, or -EPERM for descriptors that know no readiness (files and
 * directories: always ready), or another negative errno.
 */
int hostpoll_add(struct kernel *k, struct hostpoll *hp);
/* Wants to hear once of these events (ABI_POLLIN, ABI_POLLOUT, ...), added to those it waits for
 * already. Ready ones fire at once. Any thread, under any lock below RANK_LEAF. */
void hostpoll_arm(struct kernel *k, struct hostpoll *hp, uint32_t events);
/* Harmless if not added. Afterwards func isn't running (unless the caller is func) and will not
 * run. Not under a lock that func takes. */
void hostpoll_remove(struct kernel *k, struct hostpoll *hp);

/* Sleeps until something fires or timeout_ms is over (-1: none), and runs what fired. */
void hostpoll_dispatch(struct kernel *k, int timeout_ms);

/* What is ready now, without waiting: ABI_POLL* of those asked for, and ERR, HUP. */
uint32_t hostpoll_ready(int fd, uint32_t events);

#endif
