/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers: the host threads that run handlers, and the path of every event from the platform to its
 * reply.
 *
 * One worker at a time has the *lead*: it alone waits in platform_next. It handles what it gets
 * itself, with the lead in hand: guests that call in turn are answered without any thread being
 * woken. A handler that is about to make a host call that may take long says so
 * (worker_going_long), and only then another worker is woken to lead.
 *
 * Tasks that a handler woke sit on the run queue. The worker runs them after its own call, before
 * it waits again, for the same reason: a wake-up of another host thread costs more than the call.
 * Threads that don't serve the queue by themselves (the platform's reaper) wake an idle worker
 * instead.
 *
 *	idle -> leading -> handling -> (leading)
 *	  ^                  |  worker_going_long
 *	  +------ done <-- handling without the lead
 *
 * On a platform whose events come to one thread only (platform_pinned) the lead can't be handed on.
 * There the leader is always the same worker, and calls that were seen to take long are handled by
 * the others: whenever one says that it is about to, calls of its number go to them, until so many
 * in a row turned out to be short (LONG_MEMORY). What the leader meets by surprise it waits for
 * itself.
 *
 * An event of a task that died meanwhile is dropped. See task.h for the states.
 *
 * Who replies has given the task away before, since the guest's next event may come at once. If the
 * host thread dies in between (a SIGKILL of the guest's, or the host's), another worker ends the
 * task and puts the platform's thread. So each worker names the thread that it replies to, and who
 * puts one waits until nobody does:
 *
 *	replies				ends the task
 *	replying = pt
 *	state: HANDLER -> GUEST
 *					dead: GUEST -> QUEUED -> HANDLER
 *					task_exit
 *	platform_reply(pt)		somebody names pt: waits
 *	replying = NULL
 *					platform_thread_put(pt)
 *
 * The state's compare-and-swap orders the two. A reply waits for no guest and for no put.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "platform/platform.h"
#include "sentry/kernel/exec.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/kernel/lease.h"
#include "sentry/kernel/lockorder.h"
#include "sentry/kernel/own.h"
#include "sentry/kernel/process.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/stats.h"
#include "sentry/kernel/syscall.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_block.h"
#include "sentry/mm/mm.h"

#define WORKER_STACK_SIZE (512u * 1024u)
#define LONG_MEMORY	  64

/* No two in a cache line: they are written at every reply. */
struct replier {
	_Atomic(struct platform_thread *) replying; /* [a] written by its thread */
	char other_lines[56];
};

struct workers {
	pthread_mutex_t lock; /* RANK_RUNQ: taken by wake-ups, takes nothing */
	pthread_cond_t idle;
	struct list runq;      /* [lock] struct task.run_link */
	atomic_uint runq_size; /* written under lock; of both queues */
	struct list longq;     /* [lock] the same, not for a pinned leader */
	atomic_uchar *is_long; /* [I] pinned: by call number, how many are to be short; else NULL */
	uint32_t is_long_count; /* [I] */
	bool has_leader;	/* [lock] pinned: a worker has become it */
	bool led;		/* [lock] some worker has the lead */
	uint32_t idle_count;	/* [lock] */
	uint32_t count;		/* [I] */
	pthread_t *threads;	/* [I] */
	/* [I] workers, and the event thread. */
	struct replier *repliers;
	atomic_uint replier_count; /* that have a thread */
};

/* This thread's part. */
static __thread struct kernel *leading;	    /* set while it has the lead */
static __thread struct kernel *serves_runq; /* it will look at the run queue soon */
static __thread bool went_long;		    /* the handler that runs, or ran last, said so */
static __thread struct replier *replier;    /* this thread's; set at its first reply */

struct workers *workers_new(uint32_t count)
{
	struct workers *w = xnew(struct workers);

	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->idle, NULL);
	list_init(&w->runq);
	list_init(&w->longq);
	if (!count)
		count = (uint32_t)MAX(4l, sysconf(_SC_NPROCESSORS_ONLN) + 2);
	w->count = count;
	w->threads = xcalloc(count, sizeof(*w->threads));
	w->repliers = xcalloc(count + 1, sizeof(*w->repliers));
	return w;
}

void workers_destroy(struct workers *w)
{
	check(list_empty(&w->runq) && list_empty(&w->longq));
	free(w->is_long);
	pthread_cond_destroy(&w->idle);
	pthread_mutex_destroy(&w->lock);
	free(w->threads);
	free(w->repliers);
	free(w);
}

void workers_wake_all(struct kernel *k)
{
	pthread_mutex_lock(&k->workers->lock);
	pthread_cond_broadcast(&k->workers->idle);
	pthread_mutex_unlock(&k->workers->lock);
}

/* ---- run queue ---- */

/* An idle worker, if there is one, finds what there is to do. Caller holds w->lock. */
static void wake_idle_locked(struct workers *w)
{
	if (!w->idle_count)
		return;
	stat_count(worker_wakeups);
	pthread_cond_signal(&w->idle);
}

static bool is_pinned_leader(const struct workers *w)
{
	return w->is_long && leading;
}

/* Whether the call that the task is in goes to other workers than a pinned leader. */
static bool call_is_long(const struct workers *w, const struct task *t)
{
	return w->is_long && t->call_active && t->call.nr < w->is_long_count &&
	       atomic_load_explicit(&w->is_long[t->call.nr], memory_order_relaxed) > 0;
}

/* A handler has run. */
static void remember_length(const struct workers *w, uint64_t nr)
{
	unsigned char before;

	if (!w->is_long || nr >= w->is_long_count)
		return;
	before = atomic_load_explicit(&w->is_long[nr], memory_order_relaxed);
	if (went_long)
		atomic_store_explicit(&w->is_long[nr], LONG_MEMORY, memory_order_relaxed);
	else if (before)
		atomic_store_explicit(&w->is_long[nr], before - 1, memory_order_relaxed);
}

static void queue(struct workers *w, struct task *t, struct list *q)
{
	pthread_mutex_lock(&w->lock);
	list_add_tail(q, &t->run_link);
	atomic_store_explicit(&w->runq_size, w->runq_size + 1, memory_order_relaxed);
	if (q == &w->longq || serves_runq != t->kernel)
		wake_idle_locked(w);
	pthread_mutex_unlock(&w->lock);
}

void workers_queue(struct task *t)
{
	struct workers *w = t->kernel->workers;

	if (serves_runq == t->kernel)
		stat_count(woken_here);
	else
		stat_count(woken_elsewhere);

	queue(w, t, call_is_long(w, t) ? &w->longq : &w->runq);
}

/* The next task for this worker, or NULL. Caller holds w->lock. */
static struct task *first_locked(struct workers *w)
{
	if (!list_empty(&w->longq) && !is_pinned_leader(w))
		return list_first(&w->longq, struct task, run_link);
	return list_first_or_null(&w->runq, struct task, run_link);
}

static struct task *runq_pop(struct workers *w)
{
	struct task *t;

	if (!atomic_load_explicit(&w->runq_size, memory_order_relaxed))
		return NULL;
	pthread_mutex_lock(&w->lock);
	t = first_locked(w);
	if (t) {
		list_del(&t->run_link);
		atomic_store_explicit(&w->runq_size, w->runq_size - 1, memory_order_relaxed);
	}
	pthread_mutex_unlock(&w->lock);
	return t;
}

/* ---- from an event to the reply ---- */

static bool is_restart(int64_t ret)
{
	return ret == -ERESTARTSYS || ret == -ERESTARTNOINTR || ret == -ERESTARTNOHAND ||
	       ret == -ERESTART_RESTARTBLOCK;
}

static void reply_reset(struct task *t)
{
	memset(&t->reply, 0, sizeof(t->reply));
	t->reply.memops = t->memops;
}

static struct sysargs call_args(const struct task *t)
{
	struct sysargs a = {.nr = t->event.call.nr};

	memcpy(a.arg, t->event.call.arg, sizeof(a.arg));
	return a;
}

static const struct syscall_entry *call_entry(const struct kernel *k, uint64_t nr)
{
	if (nr >= k->table_count || !k->table[nr].name)
		return NULL;
	return &k->table[nr];
}

static int64_t run_handler(struct task *t)
{
	const struct syscall_entry *entry = call_entry(t->kernel, t->event.call.nr);
	struct sysargs a = call_args(t);
	int64_t ret;

	if (!entry)
		return -ENOSYS;
	went_long = false;
	ret = entry->handler(t, &a);
	remember_length(t->kernel->workers, a.nr);
	if (ret != SYS_EXITED)
		t->call.restarted = true;
	return ret;
}

static void call_begin(struct task *t)
{
	memset(&t->call, 0, sizeof(t->call));
	t->call.nr = t->event.call.nr;
	t->call_active = true;
	stat_count_call(t->call.nr);
	/* Nobody else writes it. */
	atomic_store_explicit(&t->call_count,
			      atomic_load_explicit(&t->call_count, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	patch_count_call(t);
	if (unlikely(t->kernel->trace)) {
		struct sysargs a = call_args(t);

		t->kernel->trace->enter(t, &a);
	}
}

void task_call_end(struct task *t)
{
	if (t->call.data) {
		t->call.data_free(t->call.data);
		t->call.data = NULL;
	}
	t->call_active = false;
}

static void call_finished(struct task *t, int64_t ret)
{
	if (unlikely(t->kernel->trace) && t->call_active) {
		struct sysargs a = call_args(t);

		t->kernel->trace->exit(t, &a, ret == SYS_NORET ? 0 : ret);
	}
	task_call_end(t);
}

/* HANDLER -> BLOCKED; false if a wake-up came in between (the flag is cleared then). */
static bool leave_handler(struct task *t, enum task_state to)
{
	unsigned expected = TASK_HANDLER;

	if (atomic_compare_exchange_strong(&t->state, &expected, to))
		return true;
	debug_check(expected == (TASK_HANDLER | TASK_WOKEN));
	atomic_store(&t->state, TASK_HANDLER);
	return false;
}

static bool must_exit(struct task *t)
{
	return atomic_load(&t->exit_pending) || atomic_load(&t->host_dead);
}

static void exit_now(struct task *t)
{
	task_wait_clear(t);
	task_call_end(t);
	mm_ops_end(t);
	patch_settled(t);
	task_exit(t);
}

static void take_replier(struct workers *w)
{
	uint32_t i = atomic_fetch_add(&w->replier_count, 1);

	check(i <= w->count);
	replier = &w->repliers[i];
}

void workers_put_thread(struct kernel *k, struct platform_thread *pt)
{
	struct workers *w = k->workers;

	for (uint32_t i = 0; i <= w->count; i++)
		while (&w->repliers[i] != replier && atomic_load(&w->repliers[i].replying) == pt)
			sched_yield();
	platform_thread_put(pt);
}

/*
 * Sends the reply; the task belongs to the guest afterwards. False: it was woken, look again first.
 * The frame that is already in the reply stays; for signals behind it the thread is made to stop
 * again.
 */
static bool send_reply(struct task *t)
{
	struct platform_thread *pt = t->pt;
	bool more = t->reply.frame && atomic_load(&t->sigpending);

	own_publish(t);
	if (unlikely(t->leases))
		leases_publish_slow(t);
	if (unlikely(!replier))
		take_replier(t->kernel->workers);
	atomic_store_explicit(&replier->replying, pt, memory_order_relaxed);
	if (!leave_handler(t, TASK_GUEST)) {
		atomic_store_explicit(&replier->replying, NULL, memory_order_relaxed);
		return false;
	}
	if (more)
		platform_kick(pt);
	platform_reply(pt, &t->reply);
	atomic_store_explicit(&replier->replying, NULL, memory_order_release);
	return true;
}

/* A job control stop: the event stays without reply until SIGCONT or a kill. False: woken already.
 */
static bool park(struct task *t, int64_t ret)
{
	t->parked = true;
	t->parked_ret = ret;
	if (leave_handler(t, TASK_BLOCKED))
		return true;
	t->parked = false;
	return false;
}

/* Undoes what sigsuspend and its like did to the mask. True: signals may be deliverable now. */
static bool restore_mask(struct task *t)
{
	if (!t->restore_blocked)
		return false;
	t->restore_blocked = false;
	signal_set_blocked(t, t->saved_blocked);
	return true;
}

static enum signal_verdict next_signal(struct task *t, int64_t ret)
{
	if (t->reply.frame || (!is_restart(ret) && !atomic_load(&t->sigpending)))
		return SIGV_NONE;
	return signal_deliver(t, ret);
}

/*
 * What is between the end of a handler and the reply: exit, signals, stops. Returns true when the
 * handler is to be run again.
 */
static bool return_to_guest(struct task *t, int64_t ret)
{
	for (;;) {
		enum signal_verdict v;

		if (t->call.on_host && !t->reply.frame)
			t->reply.restart = false;
		v = must_exit(t) ? SIGV_EXIT : next_signal(t, ret);
		if (v == SIGV_EXIT) {
			exit_now(t);
			return false;
		}
		if (v == SIGV_RERUN) {
			if (!t->call.on_host)
				return true;
			t->reply.restart = true;
		}
		if (v == SIGV_STOPPED) {
			if (park(t, ret))
				return false;
			continue;
		}
		if (v == SIGV_NONE && restore_mask(t))
			continue;
		if (v == SIGV_FRAME && is_restart(ret))
			ret = t->reply.restart ? 0 : t->reply.ret;
		if (t->call_active)
			call_finished(t, ret);
		t->await = AWAIT_REPLY;
		patch_before_reply(t);
		if (unlikely(t->leases || t->lease_wanted))
			leases_before_reply_slow(t);
		if (!t->reply.report)
			mm_ops_end(t);
		if (send_reply(t))
			return false;
	}
}

/* A handler that must wait: parks the task. True: it was woken meanwhile, run the handler again. */
static bool blocked_must_rerun(struct task *t)
{
	if (!must_exit(t) && leave_handler(t, TASK_BLOCKED))
		return false;
	if (must_exit(t)) {
		exit_now(t);
		return false;
	}
	return true;
}

/* Sends a reply whose report the handler waits for; wake-ups that come in between keep till then.
 */
static void send_for_report(struct task *t)
{
	t->reply.report = true;
	t->await = AWAIT_HANDLER;
	for (;;) {
		if (must_exit(t)) {
			exit_now(t);
			return;
		}
		if (send_reply(t))
			return;
	}
}

/* Exec: waits for the new thread. True: it is there already, go on with task_started. */
static bool already_started(struct task *t)
{
	for (;;) {
		if (must_exit(t)) {
			exit_now(t);
			return false;
		}
		if (atomic_exchange(&t->start_pending, false))
			return true;
		if (leave_handler(t, TASK_GUEST))
			return false;
	}
}

static int64_t run_again(struct task *t)
{
	stat_count(run_again);
	task_wait_clear(t);
	reply_reset(t);
	return run_handler(t);
}

/* The result of a handler (or of what stands for one). */
static void handler_done(struct task *t, int64_t ret)
{
	for (;;) {
		if (ret == SYS_EXITED)
			return;
		if (ret == SYS_BLOCKED) {
			stat_count(blocked);
			if (!blocked_must_rerun(t))
				return;
			ret = run_again(t);
			continue;
		}
		task_wait_clear(t);
		if (ret == SYS_REPORT) {
			send_for_report(t);
			return;
		}
		if (ret == SYS_AWAIT_START) {
			task_call_end(t);
			if (!already_started(t))
				return;
			reply_reset(t);
			ret = task_started(t);
			continue;
		}
		if (t->call_active && ret != SYS_NORET && !is_restart(ret)) {
			t->reply.set_ret = true;
			t->reply.ret = ret;
		}
		if (!return_to_guest(t, ret))
			return;
		ret = run_again(t);
	}
}

static void handle_report(struct task *t)
{
	const struct platform_report *r = &t->event.report;

	t->report = *r;
	if (t->await == AWAIT_HANDLER) {
		struct platform_event call = t->event;

		if (r->step == PREP_MEMOP)
			patch_failed(t, r->memop_index);
		patch_in_parts(t);

		/* The call's own arguments come back into the event for the handler's next run. */
		call.type = PEV_CALL;
		call.call.nr = t->call.nr;
		memcpy(call.call.arg, t->call.arg, sizeof(call.call.arg));
		t->event = call;
		handler_done(t, t->call_active ? run_handler(t) : task_started(t));
		return;
	}
	switch (r->step) {
	case PREP_DONE:
		break;
	case PREP_MEMOP:
		if (patch_failed(t, r->memop_index))
			break;
		t->reply.set_ret = true;
		t->reply.ret = mm_ops_failed(t, r->memop_index, r->error);
		break;
	case PREP_ORDER:
		t->reply.set_ret = true;
		t->reply.ret = clone_failed(t, r->error);
		break;
	case PREP_FRAME:
		signal_frame_failed(t);
		break;
	}
	patch_settled(t);
	mm_ops_end(t);
	handler_done(t, 0);
}

/* The task is in HANDLER with t->event set. */
static void handle_event(struct task *t)
{
	int64_t ret = 0;

	reply_reset(t);
	/* Who starts has done nothing yet; and exec may be about to write down who that is. */
	if (t->event.type != PEV_STARTED) {
		own_arrived(t);
		if (unlikely(t->leases))
			leases_arrived_slow(t);
	}
	if (unlikely(t->exec))
		exec_settle(t);
	if (t->event.type != PEV_REPORT)
		t->clone_tid = 0; /* the thread went on: a clone was carried out */
	switch (t->event.type) {
	case PEV_CALL:
		call_begin(t);
		memcpy(t->call.arg, t->event.call.arg, sizeof(t->call.arg));
		ret = run_handler(t);
		break;
	case PEV_FAULT:
		if (patch_fault(t))
			break;
		signal_fault(t, &t->event.fault);
		break;
	case PEV_STARTED:
		ret = task_started(t);
		break;
	case PEV_REPORT:
		handle_report(t);
		return;
	case PEV_KICKED:
		patch_stopped(t);
		break;
	case PEV_SITE:
		for (int i = 0; i < PLATFORM_SITE_EACH; i++)
			patch_count_call(t);
		break;
	}
	handler_done(t, ret);
}

/* Takes the task over for an event; false if it is on its way out. */
static bool claim(struct task *t, unsigned from)
{
	unsigned expected = from;

	return atomic_compare_exchange_strong(&t->state, &expected, TASK_HANDLER);
}

/*
 * A thread may report its start while the handler that made it (exec) still owns the task; then the
 * event is left with the task, and already_started finds it.
 */
static bool claim_started(struct task *t)
{
	for (;;) {
		unsigned state;

		if (claim(t, TASK_NEW) || claim(t, TASK_GUEST))
			return true;
		atomic_store(&t->start_pending, true);
		state = task_wake_state(t);
		if (state == TASK_HANDLER || state == TASK_QUEUED || state == TASK_DEAD)
			return false;
		atomic_store(&t->start_pending, false);
	}
}

/* Whether the event in t->event is for others than a pinned leader. */
static bool event_is_long(const struct workers *w, const struct task *t)
{
	if (t->event.type == PEV_REPORT)
		return call_is_long(w, t);
	return t->event.type == PEV_CALL && t->event.call.nr < w->is_long_count &&
	       atomic_load_explicit(&w->is_long[t->event.call.nr], memory_order_relaxed) > 0;
}

static void dispatch(const struct platform_event *ev)
{
	struct task *t = ev->cookie;
	struct workers *w = t->kernel->workers;

	task_get(t);
	if (ev->type == PEV_STARTED ? claim_started(t) : claim(t, TASK_GUEST)) {
		t->event = *ev;
		if (unlikely(w->is_long) && event_is_long(w, t)) {
			t->event_queued = true;
			queue(w, t, &w->longq); /* with the reference */
			return;
		}
		handle_event(t);
	}
	task_put(t);
	patch_after_reply();
}

/* Runs one task that was woken, or whose event was left to another worker. */
static void run_woken(struct task *t)
{
	if (t->event_queued) {
		t->event_queued = false;
		handle_event(t);
		task_put(t);
		patch_after_reply();
		return;
	}
	task_get(t);
	if (!claim(t, TASK_QUEUED))
		panic("task %d on the run queue in state %x", t->tid, atomic_load(&t->state));
	if (must_exit(t)) {
		exit_now(t);
	} else if (t->parked) {
		int64_t ret = t->parked_ret;

		t->parked = false;
		if (return_to_guest(t, ret))
			handler_done(t, run_again(t));
	} else {
		handler_done(t, run_again(t));
	}
	task_put(t);
}

void workers_run_woken(struct kernel *k)
{
	struct kernel *before = serves_runq;
	struct task *t;

	serves_runq = k;
	while ((t = runq_pop(k->workers)))
		run_woken(t);
	serves_runq = before;
	if (!before)
		platform_settle(k->platform);
}

/* ---- what the platform calls ---- */

#define BURST_MIN 64 /* tasks */

/*
 * The allocator keeps what is freed, and has no thread that would give it back in an idle sandbox:
 * so when most of a burst of tasks are gone.
 */
static void give_back_after_burst(struct kernel *k)
{
	bool over;

	mutex_lock(&k->tasks_lock);
	over = k->task_peak >= BURST_MIN && k->task_count <= k->task_peak / 4;
	if (over)
		k->task_peak = k->task_count;
	mutex_unlock(&k->tasks_lock);
	if (over)
		mem_give_back();
}

/*
 * A dead thread's task has been queued or woken. The leader is told of deaths inside of
 * platform_next, which would go on to wait for the next event:
 *
 *	leader				others
 *	platform_next: dead
 *	  queues the task, for itself	all idle: nobody wakes them
 *	  waits for an event		the task's parent waits for its end
 */
static void come_back_to_queue(struct kernel *k)
{
	if (leading == k)
		platform_interrupt(k->platform);
}

static void platform_thread_dead(void *cookie, struct platform_thread *pt, bool killed_by_host)
{
	struct task *t = cookie;
	struct kernel *k = t->kernel;
	unsigned expected;

	mutex_lock(&t->tg->siglock);
	if (t->pt != pt) {
		/* The thread that ran the program before an exec, or of a task that has gone. */
		mutex_unlock(&t->tg->siglock);
		workers_put_thread(k, pt);
		task_put(t);
		give_back_after_burst(k);
		return;
	}
	atomic_store(&t->host_dead, true);
	mutex_unlock(&t->tg->siglock);
	if (killed_by_host)
		log_info("task %d: its host thread was killed from outside", t->tid);
	expected = TASK_GUEST;
	if (atomic_compare_exchange_strong(&t->state, &expected, TASK_QUEUED)) {
		workers_queue(t);
	} else {
		expected = TASK_NEW;
		if (atomic_compare_exchange_strong(&t->state, &expected, TASK_QUEUED))
			workers_queue(t);
		else
			task_wake(t);
	}
	come_back_to_queue(k);
	task_put(t);
}

const struct platform_callbacks kernel_platform_callbacks = {
    .dead = platform_thread_dead,
};

/* ---- the threads ---- */

static void give_up_lead(void)
{
	struct workers *w;

	if (!leading)
		return;
	w = leading->workers;
	leading = NULL;
	pthread_mutex_lock(&w->lock);
	w->led = false;
	pthread_cond_signal(&w->idle);
	pthread_mutex_unlock(&w->lock);
}

void worker_going_long(void)
{
	went_long = true;
	if (leading && !leading->workers->is_long)
		give_up_lead();
}

/* A pinned leader is so for good: the first worker that asks. Caller holds w->lock. */
static bool take_lead_locked(struct workers *w)
{
	if (w->led || (w->is_long && w->has_leader))
		return false;
	w->led = w->has_leader = true;
	return true;
}

/* Sleeps until there is a lead to take or a task to run. True: has the lead now. */
static bool wait_for_work(struct kernel *k)
{
	struct workers *w = k->workers;
	bool lead = false;

	platform_settle(k->platform);
	pthread_mutex_lock(&w->lock);
	while (!atomic_load(&k->ended) && list_empty(&w->runq) && list_empty(&w->longq)) {
		lead = take_lead_locked(w);
		if (lead)
			break;
		w->idle_count++;
		pthread_cond_wait(&w->idle, &w->lock);
		w->idle_count--;
	}
	pthread_mutex_unlock(&w->lock);
	return lead;
}

static void *worker_main(void *arg)
{
	struct kernel *k = arg;
	struct platform_event ev;

	serves_runq = k;
	while (!atomic_load(&k->ended)) {
		int err;

		workers_run_woken(k);
		if (!leading) {
			if (!wait_for_work(k))
				continue;
			leading = k;
			continue; /* the run queue first */
		}
		err = platform_next(k->platform, &ev);
		if (err == 0)
			dispatch(&ev);
		else if (err == -ENOTCONN)
			break;
	}
	give_up_lead();
	workers_run_woken(k);
	platform_settle(k->platform);
	return NULL;
}

void workers_start(struct kernel *k)
{
	struct workers *w = k->workers;
	pthread_attr_t attr;

	if (platform_pinned(k->platform)) {
		w->is_long_count = k->table_count;
		w->is_long = xcalloc(k->table_count, sizeof(*w->is_long));
	}
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WORKER_STACK_SIZE);
	for (uint32_t i = 0; i < w->count; i++) {
		int err = pthread_create(&w->threads[i], &attr, worker_main, k);

		if (err)
			panic("creating a worker: %s", strerror(err));
	}
	pthread_attr_destroy(&attr);
}

void workers_join(struct kernel *k)
{
	for (uint32_t i = 0; i < k->workers->count; i++)
		pthread_join(k->workers->threads[i], NULL);
}
