/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of platform.h, on top of a backend (backend.h). */
#include "platform/platform.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/mem.h"
#include "platform/backend.h"
#include "platform/internal.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

/* Counters belong to threads, and other platforms may have lived in this process. */
static void count_from_here(struct platform *p)
{
	struct platform_stats before;

	platform_get_stats(p, &before);
	p->stats_before = before;
}

static struct platform *platform_alloc(const struct platform_config *config)
{
	struct platform *p = xnew(struct platform);

	p->callbacks = config->callbacks;
	p->spare_target = config->spare_count;
	p->copyplans = config->copyplans;
	p->copyplan_count = config->without & FEATURE_BIT(WINDOWS) ? 0 : config->copyplan_count;
	p->without = config->without;
	p->proc_fd = config->proc_fd > 0 ? fcntl(config->proc_fd, F_DUPFD_CLOEXEC, 0)
					 : open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	p->force = config->force;
	p->answer_count = config->answer_count;
	count_from_here(p);
	mutex_init(&p->lock, RANK_PLATFORM);
	mutex_init(&p->arena_lock, RANK_PLATFORM_ARENA);
	channels_create(p);
	list_init(&p->outstanding);
	list_init(&p->spares);
	list_init(&p->spawn);
	list_init(&p->ready);
	list_init(&p->deaths);
	list_init(&p->doomed);
	list_init(&p->deferred);
	return p;
}

static void platform_release(struct platform *p)
{
	if (p->state)
		p->backend->release(p);
	idmap_destroy(&p->tids);
	idmap_destroy(&p->pids);
	channels_destroy(p);
	if (p->proc_fd >= 0)
		close(p->proc_fd);
	mutex_destroy(&p->arena_lock);
	mutex_destroy(&p->lock);
	free(p);
}

static struct platform_thread *zygote_thread(struct platform *p, int *ret_err)
{
	struct platform_mm *mm = mm_create(p, 0, ret_err);
	struct platform_thread *z;

	if (!mm)
		return NULL;
	z = thread_create(mm, 0, PCLONE_FORK, NULL);
	z->internal = true;
	z->asked = 1;
	z->state = THREAD_ORDERED;
	atomic_store(&z->ch->tid_word, 1);
	list_add_tail(&p->outstanding, &z->link);
	return z;
}

static int boot(struct platform *p, const struct platform_config *config, const char **ret_why)
{
	struct platform_thread *z;
	int err;

	*ret_why = "no memory for channels";
	z = zygote_thread(p, &err);
	if (!z)
		return err;
	err = p->backend->boot(p, config, z, ret_why);
	if (err == 0) {
		p->zygote = z;
		return 0;
	}
	mutex_lock(&p->lock);
	if (z->process)
		process_died_locked(p, z->process);
	else
		thread_dies_locked(z, true);
	mutex_unlock(&p->lock);
	run_deaths(p);
	return err;
}

static int try_backend(const struct platform_backend *backend, const struct platform_config *config,
		       struct platform **ret_platform, const char **ret_why)
{
	struct platform *p = platform_alloc(config);
	int err;

	p->backend = backend;
	err = boot(p, config, ret_why);
	if (err < 0) {
		platform_release(p);
		return err;
	}
	replenish_spares(p);
	*ret_platform = p;
	return 0;
}

/* The best first. */
static const struct platform_backend *const backends[] = {&notify_backend, &ptrace_backend,
							  &none_backend};

int platform_new(const struct platform_config *config, struct platform **ret_platform,
		 const char **ret_why)
{
	const char *why;
	int err = -EINVAL;

	if (config->answer_count > PLATFORM_ANSWERS_MAX) {
		*ret_why = "too many answers";
		return -E2BIG;
	}
	if (config->copyplan_count > STUB_PLANS_MAX) {
		*ret_why = "too many copy plans";
		return -E2BIG;
	}
	if (getauxval(AT_MINSIGSTKSZ) * 2 + 0x1000 > STUB_STACK_SIZE) {
		*ret_why = "the host's signal frames are too large";
		return -ENOSYS;
	}
	*ret_why = "no such platform";
	for (uint32_t i = 0; i < array_count(backends) && err < 0; i++) {
		if (config->name ? strcmp(config->name, backends[i]->name) != 0
				 : backends[i] == &none_backend)
			continue;
		err = try_backend(backends[i], config, ret_platform, &why);
		if (err < 0) {
			log_debug(LOGC_PLATFORM, "platform %s: %s", backends[i]->name, why);
			*ret_why = why;
		}
	}
	return err;
}

int platform_start(struct platform *p)
{
	return p->backend->start(p);
}

static void kill_everything(struct platform *p)
{
	struct host_process *process;
	int64_t pid;

	atomic_store(&p->stopping, true);
	mutex_lock(&p->lock);
	p->broken = true;
	atomic_store(&p->attention, true);
	idmap_for_each (&p->pids, pid, process)
		process_kill_locked(process);
	mutex_unlock(&p->lock);
}

static void free_unstarted(struct list *list)
{
	struct platform_thread *t, *tmp;

	list_for_each_safe (t, tmp, list, link) {
		list_del(&t->link);
		platform_thread_unref(t);
	}
}

/* Processes that were made and had not said HELLO: they end by themselves at their first bell. */
static void drop_unborn_locked(struct platform *p)
{
	struct platform_thread *t, *tmp;

	list_for_each_safe (t, tmp, &p->outstanding, link)
		thread_dies_locked(t, true);
}

void platform_destroy(struct platform *p)
{
	platform_settle(p);
	kill_everything(p);
	p->backend->stop(p);
	mutex_lock(&p->lock);
	atomic_store(&p->delivering, NULL);
	drop_unborn_locked(p);
	mutex_unlock(&p->lock);
	run_deaths(p);
	free_unstarted(&p->spawn);
	platform_release(p);
}

const char *platform_name(const struct platform *p)
{
	return p->backend->name;
}

void platform_get_stats(struct platform *p, struct platform_stats *ret_stats)
{
#define LOAD(name, text) ret_stats->name = stats_sum(PLATFORM_COUNT_##name) - p->stats_before.name;
	PLATFORM_COUNTERS(LOAD)
#undef LOAD
	for (uint32_t nr = 0; nr < PLATFORM_CALLS_MAX; nr++)
		ret_stats->copied_by_call[nr] =
		    atomic_load_explicit(&p->copied_by_call[nr], memory_order_relaxed);
}

/* --- events --- */

static void deliver_ready_locked(struct platform *p, struct platform_event *ret_event)
{
	struct platform_thread *t = list_first(&p->ready, struct platform_thread, link);

	list_del(&t->link);
	ret_event->type = PEV_STARTED;
	ret_event->thread = t;
	ret_event->cookie = t->cookie;
	atomic_store(&p->delivering, t);
}

struct deferred_event {
	struct list link;
	struct platform_event ev;
};

void event_defer_locked(struct platform *p, const struct platform_event *ev)
{
	struct deferred_event *d = xnew(struct deferred_event);

	d->ev = *ev;
	list_add_tail(&p->deferred, &d->link);
	atomic_store(&p->attention, true);
}

void event_drop_locked(struct platform_thread *t)
{
	struct deferred_event *d, *tmp;

	list_for_each_safe (d, tmp, &t->p->deferred, link)
		if (d->ev.thread == t) {
			list_del(&d->link);
			free(d);
		}
}

static void deliver_deferred_locked(struct platform *p, struct platform_event *ret_event)
{
	struct deferred_event *d = list_first(&p->deferred, struct deferred_event, link);

	*ret_event = d->ev;
	list_del(&d->link);
	free(d);
	atomic_store(&p->delivering, ret_event->thread);
}

/* What `attention` announced: 1 an event, 0 nothing, negative errno. */
static int next_at_hand(struct platform *p, struct platform_event *ret_event)
{
	int r = 0;

	atomic_store(&p->attention, false);
	run_deaths(p);
	mutex_lock(&p->lock);
	if (p->broken) {
		r = -ENOTCONN;
	} else if (!list_empty(&p->deferred)) {
		deliver_deferred_locked(p, ret_event);
		r = 1;
	} else if (!list_empty(&p->ready)) {
		deliver_ready_locked(p, ret_event);
		r = 1;
	}
	/* For the next time: there may be more in ready, and a death waits for the delivery. */
	if (r != 0)
		atomic_store(&p->attention, true);
	mutex_unlock(&p->lock);
	if (r == 0 && atomic_exchange(&p->interrupted, false))
		r = -EINTR;
	return r;
}

/*
 * The event of the last platform_next is in good hands now: a death that waited for that may be
 * told, by us if the reaper has passed it over.
 *
 *	we				reaper
 *					on the list of deaths; attention = true
 *	delivering = NULL		delivering == t? leaves it
 *	in_recv = true
 *	attention? tells it
 *
 * The barrier between our store and our look is that of in_recv, which is followed by a look as
 * well: each one costs as much as a short handler.
 */
static void end_delivery(struct platform *p)
{
	struct platform_thread *t = atomic_load_explicit(&p->delivering, memory_order_relaxed);

	if (!t)
		return;
	if (p->backend->unanswered &&
	    atomic_load_explicit(&t->state, memory_order_relaxed) == THREAD_STOPPED)
		p->backend->unanswered(t);
	atomic_store_explicit(&p->delivering, NULL, memory_order_release);
}

int platform_next(struct platform *p, struct platform_event *ret_event)
{
	int r = 0;

	end_delivery(p);
	while (r == 0) {
		if (unlikely(atomic_load(&p->attention))) {
			r = next_at_hand(p, ret_event);
			continue;
		}
		platform_settle(p);
		atomic_store(&p->in_recv, true);
		if (!atomic_load(&p->attention) && !atomic_load(&p->side_recv))
			r = p->backend->receive(p, ret_event);
		/* Whoever sees it late nudges us, or waits for us, for nothing. */
		atomic_store_explicit(&p->in_recv, false, memory_order_release);
		if (unlikely(atomic_load(&p->side_recv)))
			p->backend->await_aside(p);
	}
	return r < 0 ? r : 0;
}

void nudge(struct platform *p)
{
	if (atomic_load(&p->in_recv))
		p->backend->wake(p);
}

bool platform_pinned(const struct platform *p)
{
	return p->backend->pinned;
}

void platform_interrupt(struct platform *p)
{
	atomic_store(&p->interrupted, true);
	atomic_store(&p->attention, true);
	nudge(p);
}

void platform_computes(struct platform *p, bool computes)
{
	atomic_fetch_add(&p->computing, computes ? 1u : UINT32_MAX);
}

/* --- threads --- */

/* A reply that was lost will be made again, or its thread is dead: until then nothing is added. */
static bool waits_for_reply(struct platform_thread *t)
{
	bool waits;

	mutex_lock(&t->lock);
	waits = t->state == THREAD_STOPPED && !t->lost;
	mutex_unlock(&t->lock);
	return waits;
}

void zygote_step_locked(struct platform *p, bool wake)
{
	struct platform_thread *z = p->zygote;
	struct platform_reply r = {.report = true};

	if (!z || p->broken || !waits_for_reply(z))
		return;
	if (!list_empty(&p->spawn)) {
		r.child = list_first(&p->spawn, struct platform_thread, link);
		r.order = PORD_CLONE;
		clone_order_locked(z, r.child);
	} else if (!wake) {
		return;
	}
	p->backend->reply(z, &r);
}

int thread_started_locked(struct platform_thread *t, struct platform_event *ev)
{
	struct platform *p = t->p;

	if (t->internal) {
		struct platform_reply r = {.report = true};

		p->backend->reply(t, &r);
		return 0;
	}
	if (t->spare) {
		p->spares_coming--;
		list_add_tail(&p->spares, &t->link);
		return 0;
	}
	ev->type = PEV_STARTED;
	ev->thread = t;
	ev->cookie = t->cookie;
	return 1;
}

/* A prepared stub process on its way from the zygote, or NULL. */
static struct platform_thread *new_stub(struct platform *p, void *cookie, int *ret_err)
{
	struct platform_mm *mm = mm_create(p, 0, ret_err);
	struct platform_thread *t;

	if (!mm)
		return NULL;
	t = thread_create(mm, 0, PCLONE_FORK, cookie);
	atomic_store(&t->ch->tid_word, 1);
	return t;
}

void replenish_spares(struct platform *p)
{
	struct platform_thread *t;
	uint32_t missing = 0;
	int err;

	mutex_lock(&p->lock);
	list_for_each (t, &p->spares, link)
		missing++;
	missing += p->spares_coming;
	missing = missing < p->spare_target ? p->spare_target - missing : 0;
	p->spares_coming += missing;
	mutex_unlock(&p->lock);
	for (; missing; missing--) {
		t = new_stub(p, NULL, &err);
		mutex_lock(&p->lock);
		if (t) {
			t->spare = true;
			list_add_tail(&p->spawn, &t->link);
		} else {
			p->spares_coming--;
		}
		zygote_step_locked(p, false);
		mutex_unlock(&p->lock);
	}
}

/* A spare that waits becomes the caller's. */
static struct platform_thread *claim_spare(struct platform *p, void *cookie)
{
	struct platform_thread *t;

	mutex_lock(&p->lock);
	t = list_first_or_null(&p->spares, struct platform_thread, link);
	if (t) {
		list_del(&t->link);
		t->spare = false;
		t->cookie = cookie;
		list_add_tail(&p->ready, &t->link);
		atomic_store(&p->attention, true);
	}
	mutex_unlock(&p->lock);
	return t;
}

int platform_mm_new(struct platform *p, void *cookie, struct platform_thread **ret_thread)
{
	struct platform_thread *t = claim_spare(p, cookie);
	int err = 0;

	count_stat(execs);
	if (!t) {
		t = new_stub(p, cookie, &err);
		if (!t)
			return err;
		mutex_lock(&p->lock);
		list_add_head(&p->spawn, &t->link);
		mutex_unlock(&p->lock);
	}
	*ret_thread = t;
	replenish_spares(p);
	mutex_lock(&p->lock);
	zygote_step_locked(p, false);
	mutex_unlock(&p->lock);
	nudge(p);
	return 0;
}

bool platform_can_clear(struct platform_thread *t)
{
	struct platform *p = t->p;
	bool alone;

	mutex_lock(&p->lock);
	alone = t->mm->slot_high == 0 && t->process && !t->process->dead;
	mutex_unlock(&p->lock);
	return alone;
}

struct platform_mm *platform_thread_mm(struct platform_thread *t)
{
	return t->mm;
}

uint64_t platform_vdso_size(const struct platform *p)
{
	return p->vdso_size;
}

uint64_t platform_vdso_code_offset(const struct platform *p)
{
	return p->vdso_code_offset;
}

uint64_t platform_fast_entry(const struct platform *p)
{
	return p->backend->stub_calls && p->fsgsbase ? STUB_FAST_ENTRY : 0;
}

bool platform_host_futex(const struct platform *p)
{
	return p->backend->stub_calls && !(p->without & FEATURE_BIT(HOST_FUTEX));
}

bool platform_own_state(const struct platform *p)
{
	return p->backend->stub_calls && !(p->without & FEATURE_BIT(OWN_STATE));
}

void platform_own_set(struct platform_thread *t, const struct platform_own *own)
{
	struct channel_own *to = &t->ch->own;

	if (!platform_own_state(t->p))
		return;
	atomic_store_explicit(&to->robust_list, own->robust_list, memory_order_relaxed);
	atomic_store_explicit(&to->clear_tid, own->clear_tid, memory_order_relaxed);
	to->altstack_sp = own->altstack_sp;
	to->altstack_size = own->altstack_size;
	to->altstack_flags = own->altstack_flags;
	atomic_store(&to->blocked, own->blocked);
}

void platform_own_get(struct platform_thread *t, struct platform_own *ret_own)
{
	struct channel_own *from = &t->ch->own;

	ret_own->blocked = atomic_load(&from->blocked);
	ret_own->robust_list = atomic_load_explicit(&from->robust_list, memory_order_relaxed);
	ret_own->clear_tid = atomic_load_explicit(&from->clear_tid, memory_order_relaxed);
}

void platform_own_ask(struct platform_thread *t, bool ask)
{
	if (platform_own_state(t->p))
		atomic_store(&t->ch->own.ask, ask);
}

void platform_own_ask_memory(struct platform_thread *t, bool ask)
{
	if (platform_own_state(t->p))
		atomic_store(&t->ch->own.ask_memory, ask);
}

void platform_answers_set(struct platform_thread *t, const uint64_t *values, uint32_t valid)
{
	if (!t->p->backend->stub_calls || (t->p->without & FEATURE_BIT(ANSWERS)))
		return;
	for (uint32_t i = 0; i < t->p->answer_count; i++)
		atomic_store_explicit(&t->ch->answers[i + 1], valid >> i & 1 ? values[i] + 1 : 0,
				      memory_order_release);
}

static struct platform_thread *new_sharing(struct platform_thread *parent, enum platform_clone kind,
					   void *cookie, uint32_t slot, bool fresh)
{
	struct platform_thread *t;

	refcount_get(&parent->mm->refs);
	t = thread_create(parent->mm, slot, kind, cookie);
	t->slot_fresh = fresh;
	t->ch->seq = 0;
	atomic_store(&t->ch->fast.asleep, 0);
	t->ch->fast.woke = 0;
	atomic_store(&t->ch->state, CHANNEL_IDLE);
	atomic_store(&t->ch->tid_word, 1);
	if (kind == PCLONE_LENT)
		t->lender = parent;
	return t;
}

/* The memory of a thread or vfork child is the parent's; it gets a slot of its own there. */
static int prepare_sharing(struct platform_thread *parent, enum platform_clone kind, void *cookie,
			   struct platform_thread **ret_child)
{
	struct platform *p = parent->p;
	struct platform_thread *t;
	uint32_t slot = 0;
	bool fresh = false;
	int err;

	mutex_lock(&p->lock);
	t = kind == PCLONE_THREAD ? stock_take_locked(parent, cookie) : NULL;
	if (t)
		err = 0;
	else if (kind == PCLONE_LENT)
		err = lend_slot_locked(parent, &slot, &fresh);
	else
		err = slot_take_locked(parent->mm, &slot, &fresh);
	mutex_unlock(&p->lock);
	if (err < 0)
		return err;
	if (!t)
		t = new_sharing(parent, kind, cookie, slot, fresh);
	for (uint32_t i = 0; i < CHANNEL_ANSWERS_COUNT; i++)
		atomic_store(&t->ch->answers[i], 0);
	atomic_store(&t->ch->own.leased, 0);
	*ret_child = t;
	return 0;
}

static int prepare_fork(struct platform_thread *parent, void *cookie,
			struct platform_thread **ret_child)
{
	int err = 0;
	struct platform_mm *mm = mm_create(parent->p, parent->slot, &err);

	if (!mm)
		return err;
	*ret_child = thread_create(mm, parent->slot, PCLONE_FORK, cookie);
	atomic_store(&(*ret_child)->ch->tid_word, 1);
	return 0;
}

int platform_clone_prepare(struct platform_thread *parent, enum platform_clone kind, void *cookie,
			   struct platform_thread **ret_child)
{
	int err;

	if (kind == PCLONE_THREAD && parent->lender)
		return -EAGAIN; /* it would outlive its process's host thread */
	err = kind == PCLONE_FORK ? prepare_fork(parent, cookie, ret_child)
				  : prepare_sharing(parent, kind, cookie, ret_child);
	if (err == 0)
		(*ret_child)->regs = *platform_regs(parent);
	return err;
}

bool platform_child_is_early(const struct platform_thread *child)
{
	return child->in_stock;
}

static void order_clone(struct platform_thread *parent, struct platform_thread *child)
{
	struct platform *p = parent->p;
	bool too_late;

	check(child->state == THREAD_PREPARED);
	if (child->kind == PCLONE_THREAD)
		count_stat(threads);
	else
		count_stat(forks);
	mutex_lock(&p->lock);
	too_late = parent->process->dead || parent->state == THREAD_DEAD;
	if (too_late)
		thread_dies_locked(child, true);
	else
		clone_order_locked(parent, child);
	mutex_unlock(&p->lock);
	if (too_late)
		nudge(p);
}

/*
 * The child's host thread is there already, if it still is. The parent's part in that is a reply
 * without the order; what remains of it (reply.child) is that the child waits for the next event.
 */
static bool start_child(struct platform_thread *parent, const struct platform_reply *r,
			struct platform_reply *ret_reply)
{
	struct platform *p = parent->p;
	bool starts;

	mutex_lock(&p->lock);
	starts = r->child->in_stock;
	if (starts)
		stock_start_locked(parent, r->child, r);
	mutex_unlock(&p->lock);
	if (!starts)
		return false;
	count_stat(threads_again);
	*ret_reply = *r;
	ret_reply->order = PORD_NONE;
	if (!memops_can_fail(r))
		ret_reply->child = NULL;
	return true;
}

/* Before it is gone: others need the memory while it is going. */
static void prepare_exit(struct platform_thread *t)
{
	struct platform *p = t->p;

	mutex_lock(&p->lock);
	if (t->state != THREAD_DEAD && t->process)
		process_vm_moves_locked(t->process, t->tid);
	mutex_unlock(&p->lock);
}

static void exit_thread(struct platform_thread *t)
{
	struct platform *p = t->p;

	mutex_lock(&p->lock);
	if (t->state != THREAD_DEAD)
		thread_dies_locked(t, false);
	mutex_unlock(&p->lock);
	nudge(p);
}

void platform_reply(struct platform_thread *t, const struct platform_reply *r)
{
	/* *r belongs to the next event's handler as soon as the thread goes on. */
	enum platform_order order = r->order;

	struct platform *p = t->p;
	struct platform_reply other;

	check(r->memop_count <= PLATFORM_MEMOPS_MAX);
	if (order == PORD_EXIT && stock_keep(t))
		return;
	if (order == PORD_CLONE && start_child(t, r, &other))
		r = &other;
	else if (order == PORD_CLONE)
		order_clone(t, r->child);
	if (order == PORD_EXIT)
		prepare_exit(t);
	if (p->backend->reply(t, r) < 0)
		platform_kill(t);
	if (order == PORD_EXIT)
		exit_thread(t);
	if (r == &other)
		nudge(p);
}

void platform_kick(struct platform_thread *t)
{
	struct platform *p = t->p;

	mutex_lock(&p->lock);
	if (!t->process)
		t->kick_pending = true;
	else if (!t->process->dead && t->state != THREAD_DEAD)
		p->backend->kick_locked(t);
	mutex_unlock(&p->lock);
}

/*
 * One that has not said HELLO: a thread lives and dies with its creator's process. A process is
 * dead for the sentry from now on, and killed when it comes with its token; but as long as its
 * creator was not heard of after the order, its clone may still be asked for, and must be let
 * through: then it is killed at its HELLO, or dead when the creator is heard of.
 */
static bool kill_unborn_locked(struct platform_thread *t)
{
	if (t->state == THREAD_ORDERED && t->kind == PCLONE_THREAD) {
		process_kill_locked(t->creator);
		return false;
	}
	if (t->state != THREAD_ORDERED || t->ordered_by) {
		t->kill_pending = true;
		return false;
	}
	thread_dies_locked(t, false);
	return true;
}

void platform_kill(struct platform_thread *t)
{
	struct platform *p = t->p;
	bool died = false;

	mutex_lock(&p->lock);
	if (lend_kill_locked(t))
		died = true;
	else if (t->process)
		process_kill_locked(t->process);
	else if (t->state != THREAD_DEAD)
		died = kill_unborn_locked(t);
	mutex_unlock(&p->lock);
	if (died)
		nudge(p);
}

void platform_kill_soon(struct platform_thread *t)
{
	bool known, ended;

	mutex_lock(&t->p->lock);
	known = t->process;
	ended = known && lend_kill_locked(t);
	if (known && !ended)
		process_doom_locked(t->process);
	mutex_unlock(&t->p->lock);
	if (ended)
		nudge(t->p);
	if (!known)
		platform_kill(t);
}

void platform_thread_put(struct platform_thread *t)
{
	struct platform *p = t->p;

	mutex_lock(&p->lock);
	if (t->in_stock) {
		stock_put_back_locked(t);
		mutex_unlock(&p->lock);
		return;
	}
	check(t->state == THREAD_DEAD || t->state == THREAD_PREPARED);
	if (t->state == THREAD_PREPARED)
		slot_release_locked(t->mm, t->slot, true, t->slot_fresh);
	list_del(&t->link);
	mutex_unlock(&p->lock);
	platform_thread_unref(t);
}

pid_t platform_host_pid(const struct platform_thread *t)
{
	return t->process ? t->process->pid : 0;
}

pid_t platform_host_tid(const struct platform_thread *t)
{
	return t->in_stock ? 0 : t->tid;
}

uint64_t platform_host_time_before(const struct platform_thread *t)
{
	return t->again ? *(volatile uint64_t *)&t->ch->fast.cpu_before : 0;
}
