/* SPDX-License-Identifier: Apache-2.0 */
/*
 * On which CPU a guest goes on.
 *
 * With SYNC_WAKE_UP a bell brings the sentry to the guest's CPU, and the reply brings the guest to
 * the sentry's. For one guest that is what makes a bell cheap. With two that run in parallel it
 * puts both on one CPU as soon as one rings while the sentry answers the other:
 *
 *	CPU 0				CPU 1
 *	A runs				B rings; the sentry comes, works for B
 *	A rings, sleeps			...
 *	(idle)				reply to B: here. Receives the bell of A
 *	(idle)				reply to A: here, behind B
 *	(idle)				B runs, A waits
 *
 * and there they stay: whoever rings is answered here, so neither is asleep long enough to be put
 * elsewhere, and the host's balancer looks every few milliseconds. In a `make -j2` one CPU was idle
 * for three quarters of the time while a guest could have run, and it took as long as `make -j1`.
 *
 * So the sentry remembers whom it left on which CPU, and answers a thread without the hint (the
 * host then takes an idle CPU, if there is one) when it would be in the way of another one here, or
 * that one in its way. From then on each has a CPU, and the sentry goes to whoever rings; until one
 * rings while it works for the other.
 *
 * That is not for threads that only call, each of which waits for the sentry again at once, nor for
 * the two ends of a pipe: what they would gain is less than the wake-up of a sleeping CPU, W. With
 * runs of r between calls that take h, two threads on one CPU need 2 (r + h) for a call of each, and
 * on two CPUs r + h, and W in h / (r + h) of all cases; so it pays from r + h = sqrt(W h) on. With
 * W of 20 to 40 us and h of 3 that is r = 5 to 8 us, the patience. What counts as r is the average
 * (of runs up to RUN_MAX times the patience: one long one isn't hidden by the short ones behind
 * it), or for how long the other one has been running this time. Who has just begun is taken for
 * one that computes.
 *
 * What isn't known doesn't matter much: the host may have moved the other one since, and then finds
 * no idle CPU and leaves the thread here, or finds one and nothing is lost but a wake-up. A thread
 * that waits for a futex in the host looks as if it ran; its stub says so (channel.fast.asleep).
 * What guests say here is believed: by a lie they harm the speed of their own sandbox.
 *
 * Only the LOOKS threads replied to last are looked at: others have hardly anything to run.
 */
#include "platform/notify/place.h"

#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "platform/internal.h"

#define LOOKS	   8
#define RUN_WEIGHT 8   /* of the average, in runs */
#define RUN_FIRST  4   /* times the patience: of who has just begun */
#define RUN_MAX	   160 /* times the patience: no run counts as longer */

struct places {
	bool off, forced;	   /* [I] */
	_Atomic uint64_t patience; /* in ticks; 0: not known yet */
	struct mutex lock;
	uint32_t count;	 /* [I] */
	struct list *on; /* [lock] by CPU: platform_thread.place, the one last replied to first */
};

#define CPUS_MAX 4096

/* Whether two threads of the sandbox can run at once. A CPU set may change; then it is only slow. */
static bool are_several(const struct platform_config *config)
{
	size_t size = CPU_ALLOC_SIZE(CPUS_MAX);
	cpu_set_t *set = CPU_ALLOC(CPUS_MAX);
	bool several;

	if (!set)
		return false;
	CPU_ZERO_S(size, set);
	several = sched_getaffinity(0, size, set) == 0 && CPU_COUNT_S(size, set) > 1;
	CPU_FREE(set);
	return several && config->cpus != 1;
}

struct places *places_new(const struct platform *platform, const struct platform_config *config)
{
	long count = sysconf(_SC_NPROCESSORS_CONF);
	struct places *p = xnew(struct places);

	mutex_init(&p->lock, RANK_PLATFORM_PLACE);
	p->forced = platform->force & FEATURE_BIT(APART);
	p->off = platform->without & FEATURE_BIT(APART) || (!p->forced && !are_several(config));
	p->count = count > 0 ? (uint32_t)count : 1;
	p->on = xcalloc(p->count, sizeof(*p->on));
	for (uint32_t i = 0; i < p->count; i++)
		list_init(&p->on[i]);
	return p;
}

void places_free(struct places *p)
{
	mutex_destroy(&p->lock);
	free(p->on);
	free(p);
}

void places_calibrate(struct places *p, uint64_t patience)
{
	atomic_store_explicit(&p->patience, patience, memory_order_relaxed);
}

static bool is_running(const struct platform_thread *t)
{
	return atomic_load_explicit(&t->state, memory_order_relaxed) == THREAD_RUNNING &&
	       !atomic_load_explicit(&t->ch->fast.asleep, memory_order_relaxed);
}

static bool runs_long(const struct platform_thread *t, uint64_t patience)
{
	uint64_t average = atomic_load_explicit(&t->run_average, memory_order_relaxed);

	return (average ? average : patience * RUN_FIRST) > patience;
}

/* Whether t and one that was left on the CPU would be in each other's way. */
static bool collides(const struct list *on, const struct platform_thread *t, uint64_t now,
		     uint64_t patience)
{
	bool is_long = runs_long(t, patience);
	struct platform_thread *other;
	uint32_t looks = LOOKS;

	list_for_each (other, on, place) {
		if (looks-- == 0)
			break;
		if (other != t && is_running(other) &&
		    (is_long || runs_long(other, patience) || now - other->replied > patience))
			return true;
	}
	return false;
}

bool place_is_taken(struct places *p, struct platform_thread *t, int cpu, uint64_t now)
{
	uint64_t patience = atomic_load_explicit(&p->patience, memory_order_relaxed);
	bool taken;

	if (p->forced)
		return true;
	if (p->off || !patience || cpu < 0 || (uint32_t)cpu >= p->count)
		return false;
	mutex_lock(&p->lock);
	taken = collides(&p->on[cpu], t, now, patience);
	list_del(&t->place);
	if (!taken) {
		t->replied = now;
		list_add_head(&p->on[cpu], &t->place);
	}
	mutex_unlock(&p->lock);
	return taken;
}

void place_heard(const struct places *p, struct platform_thread *t, uint32_t ran)
{
	uint64_t patience = atomic_load_explicit(&p->patience, memory_order_relaxed);
	uint64_t average = atomic_load_explicit(&t->run_average, memory_order_relaxed);
	uint64_t run = MIN((uint64_t)ran, patience * RUN_MAX);

	if (!patience)
		return;
	average = (average ? average : patience * RUN_FIRST) * (RUN_WEIGHT - 1);
	average = (average + run) / RUN_WEIGHT;
	atomic_store_explicit(&t->run_average, MAX(average, (uint64_t)1), memory_order_relaxed);
}

void place_leave(struct places *p, struct platform_thread *t)
{
	mutex_lock(&p->lock);
	list_del(&t->place);
	mutex_unlock(&p->lock);
}
