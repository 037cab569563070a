/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Polling. A doorbell costs two switches between host threads. When calls come fast and a CPU is
 * idle, the thread in platform_next stays awake there, watches the channels of the threads that
 * call (the *watched* ones), and answers without any host call.
 *
 * Who takes a request
 *
 * channel.spin says to the stub that its channel is watched, and how long (in ticks of the time
 * stamp counter) it shall wait for a reply before it rings. Who moves thread.state from RUNNING to
 * STOPPED, under the thread's lock, has the request: we here, or the bell. We leave channel.state
 * as it is meanwhile: each write to that line while the stub looks at it brings it to the other CPU
 * and back.
 *
 *	stub				sentry
 *	request 7, state = REQUEST
 *	spin != 0: looks at state
 *					REQUEST, RUNNING: STOPPED, seq = 7, no bell waits
 *					reply, state = REPLY: no host call
 *	sees REPLY: goes on
 *	-- or, the handler blocks: platform_next is called and 7 is not answered --
 *					REQUEST -> PARKED
 *	sees PARKED: bell 7, sleeps
 *					bell 7 while STOPPED: keeps the notification
 *					reply, state = REPLY, SEND
 *	-- or, the handler just takes long --
 *	time is up: bell 7, sleeps
 *					reply, state = REPLY; knows of no bell, no SEND
 *					bell 7 while RUNNING: answers it at once
 *	-- or, we stop in between --
 *					spin = 0, waits for bells
 *	sees spin == 0: bell 7
 *					bell 7: REQUEST -> SERVING
 *
 * So a stub that waits is always found: it looks at `spin` while it waits, its patience ends, and
 * the bell for a request may ring at any moment and as often as it likes (notify.c). A reply with
 * descriptors needs a notification to hand them in; without one it is kept (struct lost_reply), and
 * PARKED makes the stub ring.
 *
 * Whose request it is
 *
 * A bell's pid is trusted; a watched channel's content may be written by each thread that has the
 * channel file mapped, which are those that share the address space. They can make each other do
 * anything anyhow (by writing code or stacks). What a reply lets a thread do in the host (clone,
 * mmap of a descriptor) is asked for by a notification of its own, with a trusted pid.
 *
 * A watched thread is a reference of ours. That a slot may be used again doesn't confuse us:
 *
 *	we				reaper				stub of a new thread
 *	state == REQUEST? (of whom?)
 *					lock t; t DEAD; unlock; slot free
 *									REQUEST
 *	lock t; t RUNNING? no: leave it
 *	-- or --
 *	lock t; t RUNNING: yes,
 *	STOPPED, delivering = t
 *	unlock				lock t; t DEAD; unlock
 *					delivering == t: its death is told later
 *
 * When
 *
 * It must pay. A watched thread that has to sleep in a bell wakes on another CPU, which costs ten
 * times what watching saves in a call. So a thread is watched after a row of calls that came fast
 * and were answered at once (a file that is made or opened, which takes a message to the gofer, only
 * makes the row longer), and no longer when the sentry blocks it. Watching begins if a CPU
 * seems idle (affinity, quota of the cgroup, runnable threads of the host) and stops
 *
 *	- when nothing was found for IDLE_US (a sandbox that does nothing makes no wake-ups);
 *	- when somebody else wants the CPU: a gap between two looks tells that we were preempted; or
 *	  more threads can run than there are CPUs;
 *	- when bells come too often in between: it isn't worth it;
 *	- when a thread of the sentry has something to compute and no CPU is left for it.
 *
 * What it was worth is reckoned at each stop: a request that was found saves the CPU the better
 * part of a bell, and pays for the time that we were awake. What was not paid for is a loss, and
 * the next start waits until the loss is 2 % of the time since (LOSS_SHARE). So polling costs no
 * more than that, whatever guests do; and a program that begins to make calls waits for
 * milliseconds, not longer.
 *
 * While we watch, replies to bells must not bring the woken thread to our CPU: SYNC_WAKE_UP is off.
 * That also parts us from the first watched thread, which shares our CPU when we start: the reply
 * to its last bell sends it to the idle one.
 *
 * There is one watcher, the leader, and it has all watched threads. For machines with many CPUs
 * there can be more: struct poller holds all that one needs, a thread would belong to one of them,
 * and taking a request needs no lock but the thread's.
 */
#include "platform/notify/poll.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "base/mem.h"
#include "platform/notify/notify.h"
#include "platform/notify/place.h"

#define WATCHED_MAX	   16
#define STREAK		   32  /* fast calls in a row before a thread is watched */
#define STREAK_ON	   4   /* the same, when there is a watcher already */
#define FAST_US		   25  /* from one call to the next */
#define FAST_ON_US	   100 /* the same with wake-ups across CPUs */
#define GAP_COST	   8   /* what a longer one that watching would outlast takes from a row */
#define IDLE_US		   60  /* about the cost of a start */
#define FORCED_IDLE_US	   2000
#define SPIN_US		   30  /* the stub's patience: what a sleep and a wake-up cost */
#define LISTEN_US	   2   /* nothing found for so long: look at the listener */
#define LISTEN_BUSY_US	   10  /* the same while requests keep coming */
#define QUICK_COUNT	   32  /* requests without a look at the listener or the clock */
#define GAP_US		   150 /* we were preempted */
#define CROWD_LOOKS	   4
#define CROWD_US	   250 /* between two looks at the number of runnable threads */
#define BELLS_FREE	   8
#define BELL_COST	   16 /* polled requests that pay for a bell */
#define NOTICE_US	   (CROWD_LOOKS * CROWD_US)
#define START_US	   30	/* what a start costs: the move, and the first wake-up over there */
#define NO_START_US	   20	/* what it costs to see that there is no CPU */
#define SAVED_NS	   1500 /* by a request that needs no bell */
#define LOSS_MAX_US	   20000
#define LOSS_SHARE	   50 /* a loss is made up for in so many times its length */
#define CALIBRATION_MIN_NS 2000000

enum stop_reason { STOP_IDLE, STOP_RARE, STOP_BUSY, STOP_BELLS, STOP_COMPUTING };
static const char *const stop_names[] = {"idle", "calls are rare", "CPU wanted", "too many bells",
					 "the sentry computes"};

/* All [L]. */
struct poller {
	bool off, forced;
	atomic_bool on; /* read by any */
	uint32_t count, next;
	struct platform_thread *watched[WATCHED_MAX]; /* references */
	uint32_t cpus;				      /* that may be used at once; 0: all */
	uint32_t host_cpus;
	int loadavg; /* /proc/loadavg, or -1 */

	uint64_t ticks_per_us; /* 0: not known yet */
	uint64_t born_ticks, born_ns;
	uint64_t not_before; /* ticks: no start until then */

	/* Since the start. */
	uint64_t started, last_found, last_listen, last_crowd_look;
	uint64_t polled, bells;
	uint64_t gap_us;	/* for how long we were preempted */
	uint64_t polled_before; /* up to the last look at the rate */
	uint64_t polled_alone;	/* up to when somebody else wanted the CPU */
	uint32_t quick, crowded;
	bool found;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

struct poller *poller_new(const struct platform *p, const struct platform_config *config)
{
	struct poller *o = xnew(struct poller);
	int proc = config->proc_fd > 0 ? config->proc_fd : AT_FDCWD;

	o->off = p->without & FEATURE_BIT(POLL);
	o->forced = config->force & FEATURE_BIT(POLL);
	o->cpus = config->cpus;
	o->host_cpus = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
	o->born_ticks = __rdtsc();
	o->born_ns = now_ns();
	o->loadavg =
	    openat(proc, proc == AT_FDCWD ? "/proc/loadavg" : "loadavg", O_RDONLY | O_CLOEXEC);
	return o;
}

/* How fast the time stamp counter counts, from what has passed since the start of the sandbox. */
static bool calibrated(const struct platform *p)
{
	struct poller *o = notify_of(p)->poller;
	uint64_t ns;

	if (o->ticks_per_us)
		return true;
	ns = now_ns() - o->born_ns;
	if (ns < CALIBRATION_MIN_NS)
		return false;
	o->ticks_per_us = MAX((uint64_t)1, (__rdtsc() - o->born_ticks) / (ns / 1000));
	places_calibrate(notify_of(p)->places, o->ticks_per_us * PLACE_PATIENCE_US);
	return true;
}

static uint64_t ticks(const struct poller *o, uint64_t us)
{
	return us * o->ticks_per_us;
}

/* ---- is there a CPU to spare? ---- */

#define CPUS_MAX 4096

/* The CPUs that this thread may run on; they are counted in *ret_count. NULL: can't be known. */
static cpu_set_t *usable_cpus(const struct poller *o, uint32_t *ret_count)
{
	cpu_set_t *set = CPU_ALLOC(CPUS_MAX);
	size_t size = CPU_ALLOC_SIZE(CPUS_MAX);

	if (!set)
		return NULL;
	CPU_ZERO_S(size, set);
	if (sched_getaffinity(0, size, set) < 0) {
		CPU_FREE(set);
		return NULL;
	}
	*ret_count = (uint32_t)CPU_COUNT_S(size, set);
	if (o->cpus)
		*ret_count = MIN(*ret_count, o->cpus);
	return set;
}

/*
 * A guest that was answered by a bell shares our CPU, and the host would leave us both there for
 * milliseconds. Where to is the host's choice.
 */
static void leave_cpu(cpu_set_t *usable)
{
	size_t size = CPU_ALLOC_SIZE(CPUS_MAX);
	int here = sched_getcpu();

	if (here < 0 || !CPU_ISSET_S((size_t)here, size, usable))
		return;
	CPU_CLR_S((size_t)here, size, usable);
	sched_setaffinity(0, size, usable);
	CPU_SET_S((size_t)here, size, usable);
	sched_setaffinity(0, size, usable);
}

/* How many threads of the host could run now, we included; 0 if that can't be known. */
static uint32_t runnable_threads(const struct poller *o)
{
	char text[128];
	ssize_t n = o->loadavg < 0 ? -1 : pread(o->loadavg, text, sizeof(text) - 1, 0);
	const char *at;

	if (n <= 0)
		return 0;
	text[n] = 0;
	at = strchr(text, '/');
	while (at && at > text && at[-1] >= '0' && at[-1] <= '9')
		at--;
	return at ? (uint32_t)strtoul(at, NULL, 10) : 0;
}

/*
 * Runs at the moment: we. The guest thread that will be watched sleeps in its bell, but may count
 * (the host takes a thread that goes to sleep off the queue when it comes to it).
 */
static bool cpu_is_idle(const struct poller *o)
{
	return runnable_threads(o) <= o->host_cpus;
}

/* More threads than CPUs, again and again: what runs for a moment doesn't count. */
static bool is_crowded(struct poller *o)
{
	bool now = runnable_threads(o) > o->host_cpus;

	if (now && !o->crowded) /* since the look before, perhaps */
		o->polled_alone = o->polled_before;
	o->crowded = now ? o->crowded + 1 : 0;
	return o->crowded >= CROWD_LOOKS;
}

/* They come no faster than those that made nobody start. */
static bool is_rare(struct poller *o)
{
	uint64_t found = o->polled - o->polled_before;

	o->polled_before = o->polled;
	return found < CROWD_US / FAST_US;
}

/* ---- who is watched ---- */

static void forget(struct poller *o, uint32_t i)
{
	struct platform_thread *t = o->watched[i];

	atomic_store_explicit(&t->ch->spin, 0, memory_order_relaxed);
	t->watched = false;
	o->watched[i] = o->watched[--o->count];
	platform_thread_unref(t);
}

static void forget_thread(struct poller *o, const struct platform_thread *t)
{
	for (uint32_t i = 0; i < o->count; i++)
		if (o->watched[i] == t) {
			forget(o, i);
			return;
		}
}

static void forget_dead(struct poller *o)
{
	for (uint32_t i = o->count; i > 0; i--)
		if (atomic_load_explicit(&o->watched[i - 1]->state, memory_order_relaxed) ==
		    THREAD_DEAD)
			forget(o, i - 1);
}

static uint32_t longest_silent(const struct poller *o)
{
	uint32_t which = 0;

	for (uint32_t i = 1; i < o->count; i++)
		if (o->watched[i]->heard < o->watched[which]->heard)
			which = i;
	return which;
}

static void watch(struct poller *o, struct platform_thread *t)
{
	if (!t->watched) {
		if (o->count == WATCHED_MAX)
			forget(o, longest_silent(o));
		refcount_get(&t->refs);
		t->watched = true;
		o->watched[o->count++] = t;
	}
	/* Again, if it was: the slot's last thread may have been forgotten since. */
	atomic_store_explicit(&t->ch->spin, (uint32_t)ticks(o, SPIN_US), memory_order_relaxed);
}

/* ---- start and stop ---- */

static void make_up_for(struct poller *o, uint64_t loss_us)
{
	loss_us = MIN(loss_us, (uint64_t)LOSS_MAX_US);
	o->not_before = __rdtsc() + ticks(o, loss_us * LOSS_SHARE);
}

/*
 * Threads of the sentry that compute now. They have no loss to make up for: what they do is soon
 * done, and the calls that made them begin (patch_heat.c) are those that are worth watching.
 */
static uint32_t computing(const struct platform *p)
{
	return atomic_load_explicit(&p->computing, memory_order_relaxed);
}

/* To another CPU than the guest's. False: there is none to spare. */
static bool move(const struct platform *p)
{
	const struct poller *o = notify_of(p)->poller;
	uint32_t count = 0;
	cpu_set_t *usable = usable_cpus(o, &count);
	bool ok = usable && count >= 2 + computing(p) && cpu_is_idle(o);

	if (usable && (ok || o->forced))
		leave_cpu(usable);
	CPU_FREE(usable);
	return ok || o->forced;
}

static bool start(struct platform *p, uint64_t now)
{
	struct poller *o = notify_of(p)->poller;
	uint64_t moved_us;

	if (!o->forced && (int64_t)(now - o->not_before) < 0)
		return false;
	if (!move(p)) {
		log_debug(LOGC_PLATFORM, "no CPU to poll on");
		make_up_for(o, NO_START_US);
		return false;
	}
	moved_us = (__rdtsc() - now) / o->ticks_per_us;
	if (moved_us > GAP_US && !o->forced) { /* somebody else was at work there */
		log_debug(LOGC_PLATFORM, "no CPU to poll on for %lu us", moved_us);
		make_up_for(o, moved_us);
		return false;
	}
	o->on = true;
	o->started = o->last_found = o->last_listen = o->last_crowd_look = __rdtsc();
	o->polled = o->bells = o->polled_before = o->gap_us = 0;
	o->quick = o->crowded = 0;
	o->found = false;
	notify_set_sync(p, false);
	count_stat(poll_starts);
	return true;
}

/*
 * Time on a CPU that nobody else wants costs nobody anything, so what counts is the time that it
 * takes to notice: that there is nothing to find, or that somebody wants the CPU, who did without
 * it, while what we found in that time saved bells that would have taken it as well. Who took it
 * from us has it; what we lost is the time until it came back.
 */
static uint64_t loss_us(const struct poller *o, enum stop_reason why)
{
	uint64_t lasted = (__rdtsc() - o->started) / o->ticks_per_us;
	uint64_t taken = MIN(lasted, (uint64_t)NOTICE_US) + START_US;
	uint64_t paying = o->polled - (why == STOP_BUSY ? o->polled_alone : 0);
	uint64_t saved = paying * SAVED_NS / 1000;

	if (why == STOP_COMPUTING)
		return 0;
	if (o->gap_us)
		return o->gap_us + START_US;
	return taken > saved ? taken - saved : 0;
}

void poller_let_go(struct platform *p)
{
	struct poller *o = notify_of(p)->poller;

	while (o->count)
		forget(o, o->count - 1);
	o->on = false;
}

static void stop(struct platform *p, enum stop_reason why)
{
	struct poller *o = notify_of(p)->poller;

	poller_let_go(p);
	notify_set_sync(p, true);
	if (why == STOP_BUSY)
		count_stat(poll_preempted);
	make_up_for(o, loss_us(o, why));
	log_debug(LOGC_PLATFORM,
		  "polling stopped (%s): %lu requests and %lu bells in %lu us, preempted %lu us",
		  stop_names[why], o->polled, o->bells,
		  (uint64_t)(__rdtsc() - o->started) / o->ticks_per_us, o->gap_us);
}

void poller_free(struct poller *o)
{
	if (o->loadavg >= 0)
		close(o->loadavg);
	free(o);
}

bool poller_is_on(const struct poller *o)
{
	return o->on;
}

void poller_bell(struct poller *o)
{
	o->bells += o->on;
}

void poller_heard(struct platform_thread *t)
{
	struct platform *p = t->p;
	struct poller *o = notify_of(p)->poller;
	uint64_t now = __rdtsc(), since = now - t->heard;

	if (!calibrated(p) || o->off)
		return;
	t->heard = now;
	if (t->watched)
		count_stat(spins_expired);
	if (!o->forced) {
		if (since > ticks(o, o->on ? FAST_ON_US : FAST_US)) {
			bool outlasted = since < ticks(o, IDLE_US);

			t->streak -= outlasted ? MIN(t->streak, (uint32_t)GAP_COST) : t->streak;
			return;
		}
		if (++t->streak < (o->on ? STREAK_ON : STREAK))
			return;
	}
	if (o->on || start(p, now))
		watch(o, t);
	t->streak = 0;
}

void poller_unanswered(struct platform_thread *t)
{
	struct platform *p = t->p;

	t->streak = 0;
	/* Another worker may just be replying: what the channel holds then is the next request. */
	mutex_lock(&t->lock);
	if (t->state == THREAD_STOPPED)
		notify_park_locked(t);
	mutex_unlock(&t->lock);
	if (t->watched)
		forget_thread(notify_of(p)->poller, t);
}

/* ---- watching ---- */

/* 1 with an event, 0 if it was nothing. */
static int take(struct platform *p, struct platform_thread *t, struct platform_event *ev)
{
	int r = notify_take_polled(t, ev);

	if (r > 0) {
		count_stat(polled);
		notify_of(p)->poller->polled++;
		notify_of(p)->poller->found = true;
	}
	return r;
}

/* A request that is not taken yet: a taken one may look the same in the channel. */
static bool has_request(const struct platform_thread *t)
{
	return atomic_load_explicit(&t->ch->state, memory_order_relaxed) == CHANNEL_REQUEST &&
	       atomic_load_explicit(&t->state, memory_order_relaxed) == THREAD_RUNNING;
}

static int look_at_channels(struct platform *p, struct platform_event *ev)
{
	struct poller *o = notify_of(p)->poller;

	for (uint32_t i = 0; i < o->count; i++) {
		struct platform_thread *t;

		if (o->next >= o->count)
			o->next = 0;
		t = o->watched[o->next++];
		if (has_request(t) && take(p, t, ev))
			return 1;
	}
	return 0;
}

static bool bell_waits(struct platform *p)
{
	struct pollfd pfd = {.fd = notify_of(p)->listener, .events = POLLIN};

	return poll(&pfd, 1, 0) > 0;
}

/* Looks at the channels only until it is time to look elsewhere. 1: an event, 0: none. */
static int look_for_a_while(struct platform *p, struct platform_event *ev, uint64_t *now)
{
	struct poller *o = notify_of(p)->poller;
	uint64_t begin = *now, last;

	do {
		if (look_at_channels(p, ev))
			return 1;
		if (atomic_load_explicit(&p->attention, memory_order_relaxed))
			return 0;
		_mm_pause();
		last = *now;
		*now = __rdtsc();
		if (*now - last > ticks(o, GAP_US) && !o->forced) {
			o->gap_us = (*now - last) / o->ticks_per_us;
			stop(p, STOP_BUSY);
			return 0;
		}
	} while (*now - begin < ticks(o, LISTEN_US) &&
		 *now - o->last_listen < ticks(o, LISTEN_BUSY_US));
	return 0;
}

/* What isn't looked at each time. */
static void look_around(struct platform *p, uint64_t now)
{
	struct poller *o = notify_of(p)->poller;

	if (now - o->last_crowd_look < ticks(o, CROWD_US))
		return;
	o->last_crowd_look = now;
	if (is_crowded(o))
		stop(p, STOP_BUSY);
	else if (is_rare(o))
		stop(p, STOP_RARE);
}

/* By quota and host, that is: affinity is looked at by the next start. */
static bool room_for(const struct poller *o, uint32_t others)
{
	return 2 + others <= (o->cpus ? MIN(o->cpus, o->host_cpus) : o->host_cpus);
}

/* Stops if there is a reason. */
static bool must_stop(struct platform *p, uint64_t now)
{
	struct poller *o = notify_of(p)->poller;

	forget_dead(o);
	if (computing(p) && !o->forced && !room_for(o, computing(p)))
		stop(p, STOP_COMPUTING);
	else if (!o->count || now - o->last_found > ticks(o, o->forced ? FORCED_IDLE_US : IDLE_US))
		stop(p, STOP_IDLE);
	else if (o->forced)
		return false;
	else if (o->bells > BELLS_FREE + o->polled / BELL_COST)
		stop(p, STOP_BELLS);
	else
		look_around(p, now);
	return !o->on;
}

int poller_wait(struct platform *p, struct platform_event *ret_event)
{
	struct poller *o = notify_of(p)->poller;
	uint64_t now;

	if (o->quick++ < QUICK_COUNT && look_at_channels(p, ret_event))
		return 1;
	o->quick = 0;
	now = __rdtsc();
	if (o->found)
		o->last_found = now;
	o->found = false;
	while (!atomic_load_explicit(&p->attention, memory_order_relaxed)) {
		/* Also where requests never end: whoever rings isn't to wait for that. */
		if (now - o->last_listen < ticks(o, LISTEN_BUSY_US) &&
		    look_for_a_while(p, ret_event, &now))
			return 1;
		if (!o->on || must_stop(p, now))
			break;
		o->last_listen = now;
		if (bell_waits(p))
			return notify_receive(p, ret_event);
	}
	return 0;
}
