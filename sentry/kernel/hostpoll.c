/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The epoll set of the event thread. Every descriptor is registered with EPOLLONESHOT: the host
 * disarms it when it fires. Registrations are named by id, not by pointer, so an event that was
 * fetched for a hostpoll that is removed meanwhile finds nobody:
 *
 *	event thread				another thread
 *	epoll_wait gives id 7
 *						hostpoll_remove(7): not running, forgets it
 *	looks 7 up: gone, drops the event
 *
 *	epoll_wait gives id 7
 *	looks 7 up: running = 7, unlocks
 *	func()					hostpoll_remove(7): waits until running != 7
 */
#include "sentry/kernel/hostpoll.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/idmap.h"
#include "base/log.h"
#include "base/mem.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/lockorder.h"

#define EVENTS_AT_ONCE 32
#define IDS_MAX	       1048576u
#define EVENT_BITS     0x7fffu

/* Guards: [I], [h] lock. The lock is a plain one of the highest rank: it takes no other. */
struct hostpolls {
	int epoll_fd; /* [I] */
	pthread_mutex_t lock;
	pthread_cond_t done;	  /* running changed */
	struct idmap ids;	  /* [h] */
	uint32_t next_id;	  /* [h] */
	uint32_t running;	  /* [h] the id whose func runs, 0: none */
	pthread_t running_thread; /* [h] */
};

void hostpolls_init(struct kernel *k)
{
	struct hostpolls *hps = xnew(struct hostpolls);

	hps->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (hps->epoll_fd < 0)
		panic("epoll_create1: %m");
	pthread_mutex_init(&hps->lock, NULL);
	pthread_cond_init(&hps->done, NULL);
	hps->ids = (struct idmap)IDMAP_INIT;
	hps->next_id = 1;
	k->hostpolls = hps;
}

void hostpolls_destroy(struct kernel *k)
{
	struct hostpolls *hps = k->hostpolls;

	if (!hps)
		return;
	close(hps->epoll_fd);
	idmap_destroy(&hps->ids);
	pthread_cond_destroy(&hps->done);
	pthread_mutex_destroy(&hps->lock);
	free(hps);
	k->hostpolls = NULL;
}

static int set_interest(struct hostpolls *hps, int op, struct hostpoll *hp)
{
	bool stay = hp->armed & HOSTPOLL_STAY;
	struct epoll_event ev = {
	    .events = (hp->armed & EVENT_BITS) | (stay ? 0 : (uint32_t)EPOLLONESHOT),
	    .data.u64 = hp->id,
	};

	return epoll_ctl(hps->epoll_fd, op, hp->fd, &ev) < 0 ? -errno : 0;
}

/* An id that was not given out lately, so that late events of old ones find nobody. */
static int64_t fresh_id(struct hostpolls *hps)
{
	int64_t id = idmap_lowest_free(&hps->ids, hps->next_id, IDS_MAX);

	if (id < 0)
		id = idmap_lowest_free(&hps->ids, 1, IDS_MAX);
	if (id > 0)
		hps->next_id = (uint32_t)id + 1 < IDS_MAX ? (uint32_t)id + 1 : 1;
	return id;
}

int hostpoll_add(struct kernel *k, struct hostpoll *hp)
{
	struct hostpolls *hps = k->hostpolls;
	int64_t id;
	int err;

	pthread_mutex_lock(&hps->lock);
	id = fresh_id(hps);
	hp->id = id > 0 ? (uint32_t)id : 0;
	hp->armed = 0;
	err = hp->id ? set_interest(hps, EPOLL_CTL_ADD, hp) : -ENFILE;
	if (err)
		hp->id = 0;
	else
		idmap_set(&hps->ids, hp->id, hp);
	pthread_mutex_unlock(&hps->lock);
	return err;
}

void hostpoll_arm(struct kernel *k, struct hostpoll *hp, uint32_t events)
{
	struct hostpolls *hps = k->hostpolls;

	pthread_mutex_lock(&hps->lock);
	if (hp->id && (hp->armed | events) != hp->armed) {
		hp->armed |= events;
		set_interest(hps, EPOLL_CTL_MOD, hp);
	}
	pthread_mutex_unlock(&hps->lock);
}

void hostpoll_remove(struct kernel *k, struct hostpoll *hp)
{
	struct hostpolls *hps = k->hostpolls;
	uint32_t id;

	pthread_mutex_lock(&hps->lock);
	id = hp->id;
	if (id) {
		epoll_ctl(hps->epoll_fd, EPOLL_CTL_DEL, hp->fd, NULL);
		idmap_set(&hps->ids, id, NULL);
		hp->id = 0;
		while (hps->running == id && !pthread_equal(hps->running_thread, pthread_self()))
			pthread_cond_wait(&hps->done, &hps->lock);
	}
	pthread_mutex_unlock(&hps->lock);
}

/* What fired is silent now; what else was waited for still is. */
static void disarm(struct hostpolls *hps, struct hostpoll *hp, uint32_t events)
{
	if (hp->armed & HOSTPOLL_STAY)
		return;
	hp->armed = events & (EPOLLHUP | EPOLLERR) ? 0 : hp->armed & ~events;
	if (hp->armed)
		set_interest(hps, EPOLL_CTL_MOD, hp);
}

static void run_one(struct hostpolls *hps, uint32_t id, uint32_t events)
{
	struct hostpoll *hp;

	pthread_mutex_lock(&hps->lock);
	hp = idmap_get(&hps->ids, id);
	if (hp && hp->armed) {
		disarm(hps, hp, events);
		hps->running = id;
		hps->running_thread = pthread_self();
		pthread_mutex_unlock(&hps->lock);
		hp->func(hp, events & EVENT_BITS);
		pthread_mutex_lock(&hps->lock);
		hps->running = 0;
		pthread_cond_broadcast(&hps->done);
	}
	pthread_mutex_unlock(&hps->lock);
}

void hostpoll_dispatch(struct kernel *k, int timeout_ms)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	int n = epoll_wait(k->hostpolls->epoll_fd, events, EVENTS_AT_ONCE, timeout_ms);

	for (int i = 0; i < n; i++)
		run_one(k->hostpolls, (uint32_t)events[i].data.u64, events[i].events);
}

uint32_t hostpoll_ready(int fd, uint32_t events)
{
	struct pollfd pfd = {.fd = fd, .events = (short)events};
	int n;

	do
		n = poll(&pfd, 1, 0);
	while (n < 0 && errno == EINTR);
	return n > 0 ? (uint32_t)(uint16_t)pfd.revents : 0;
}
