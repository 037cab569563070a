/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Polling: the thread in platform_next watches channels instead of sleeping (theory in poll.c). All
 * functions are for that thread, but where one says otherwise.
 */
#ifndef PLATFORM_NOTIFY_POLL_H
#define PLATFORM_NOTIFY_POLL_H

#include <stdbool.h>

#include "platform/platform.h"

struct poller;

/* Never fails. */
struct poller *poller_new(const struct platform *p, const struct platform_config *config);
/* Lets go of all threads. The leader's part is over. */
void poller_let_go(struct platform *p);
void poller_free(struct poller *o);

/* Whether channels are watched now: then platform_next calls poller_wait. Any thread. */
bool poller_is_on(const struct poller *o);
/*
 * Watches until there is an event (1), or something else for platform_next to look at (0). Negative
 * errno as notify_receive.
 */
int poller_wait(struct platform *p, struct platform_event *ret_event);
/* A bell brought an event of t. */
void poller_heard(struct platform_thread *t);
/* The sentry comes for the next event and has not answered t: it waits for something. */
void poller_unanswered(struct platform_thread *t);
/* One notification was received. */
void poller_bell(struct poller *o);

#endif
