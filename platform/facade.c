/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract of platform.h, checked: in debug builds every operation passes here before it
 * reaches the platform (plain.h), and who breaks a precondition, sentry or platform, ends the
 * process with a line that says what. Release builds have nothing of it.
 *
 * For each thread handle there is a shadow with the state that the contract gives it:
 *
 *	clone_prepare -> PREPARED --reply(PORD_CLONE) of its parent--> ORDERED
 *	                    ^                                            |  |
 *	                    +------- the parent reports that it failed --+  |
 *	mm_new ----------------------------------------------------> ORDERED
 *	ORDERED --PEV_STARTED--> STOPPED --reply--> RUNNING --event--> STOPPED
 *	STOPPED --reply(PORD_EXIT)--> EXITING
 *	any but PREPARED --dead--> DEAD
 *	put: from DEAD or PREPARED only; the handle is unknown from then on
 *
 * A thread that dies while the sentry owns it is DEAD, and may be used as if it were STOPPED.
 *
 * The handle of mm_new may be heard of before mm_new has returned (its event is delivered to
 * another thread), may even be put. So whoever meets an unknown handle looks for an mm_new under
 * way with the same cookie.
 *
 *	mm_new				leader
 *	pending: cookie
 *	plain mm_new
 *					PEV_STARTED, handle unknown: pending has its cookie
 *					makes the shadow, marks pending
 *	marked? then it's done
 *
 * Not checked: that the process has one thread when it makes a platform. One that was joined is in
 * /proc for a moment longer, so the host's word for it isn't true enough to end a process for.
 */
#undef PLATFORM_IMPLEMENTATION

#include "platform/internal.h"

#ifdef DEBUG

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/mem.h"
#include "platform/backend.h"

#define PLAIN(op) __typeof__(op) plain_##op
PLAIN(platform_new);
PLAIN(platform_start);
PLAIN(platform_destroy);
PLAIN(platform_next);
PLAIN(platform_regs);
PLAIN(platform_mm_new);
PLAIN(platform_can_clear);
PLAIN(platform_thread_mm);
PLAIN(platform_clone_prepare);
PLAIN(platform_child_is_early);
PLAIN(platform_can_lend);
PLAIN(platform_lend);
PLAIN(platform_reply);
PLAIN(platform_answers_set);
PLAIN(platform_own_set);
PLAIN(platform_own_get);
PLAIN(platform_own_ask);
PLAIN(platform_own_ask_memory);
PLAIN(platform_lease_set);
PLAIN(platform_lease_set_pos);
PLAIN(platform_lease_allow);
PLAIN(platform_lease_revoke);
PLAIN(platform_lease_allowed);
PLAIN(platform_lease_pos);
PLAIN(platform_lease_used);
PLAIN(platform_lease_head);
PLAIN(platform_kick);
PLAIN(platform_kill);
PLAIN(platform_kill_soon);
PLAIN(platform_thread_put);
PLAIN(platform_read);
PLAIN(platform_write);
PLAIN(platform_window);
PLAIN(platform_window_written);
PLAIN(platform_window_rest);

#define BUCKETS	  4096
#define PAGE_MASK 4095ull

enum shadow_state {
	SHADOW_PREPARED,
	SHADOW_ORDERED,
	SHADOW_RUNNING,
	SHADOW_STOPPED,
	SHADOW_EXITING,
	SHADOW_DEAD,
};

static const char *const state_names[] = {"prepared", "ordered", "running",
					  "stopped",  "exiting", "dead"};

/* All guarded by `lock`. */
struct shadow {
	struct shadow *next;
	struct platform_thread *t;
	struct guarded *g;
	struct platform_mm *mm;
	void *cookie;
	enum shadow_state state;
	struct platform_thread *parent; /* of one that was prepared */
	struct platform_thread *child;	/* the last one that was ordered */
	const char *in_use;		/* the operation that an owner is in, or NULL */
	uint32_t replies; /* under way: another owner's may begin before one has returned */
};

/* A platform. */
struct guarded {
	struct guarded *next;
	struct platform *p;
	const struct platform_callbacks *real;
	struct platform_callbacks ours;
	bool started, in_next;
	pthread_t leader; /* of a pinned platform */
	bool has_leader;
};

struct mm_shadow {
	struct mm_shadow *next;
	struct platform_mm *mm;
	uint32_t threads;   /* handles */
	bool process_ended; /* a process with this memory did, and its threads with it */
};

struct pending {
	struct pending *next;
	struct guarded *g;
	void *cookie;
	bool met;
};

/* Not of the sentry's state, so allowed to be static: nothing is decided by it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct shadow *shadows[BUCKETS];
static struct mm_shadow *mms[BUCKETS];
static struct guarded *platforms;
static struct pending *pendings;

static void __printf(2, 3) __noreturn broken(const char *op, const char *fmt, ...)
{
	char text[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	panic("platform contract: %s: %s", op, text);
}

static uint32_t bucket_of(const void *p)
{
	return (uint32_t)(((uintptr_t)p >> 4) * 0x9e3779b1u >> 8) % BUCKETS;
}

static struct shadow *find(const struct platform_thread *t)
{
	struct shadow *s = shadows[bucket_of(t)];

	while (s && s->t != t)
		s = s->next;
	return s;
}

static struct shadow *must_find(const char *op, const struct platform_thread *t)
{
	struct shadow *s = find(t);

	if (!s)
		broken(op, "unknown thread %p: put already?", (const void *)t);
	return s;
}

static struct guarded *guarded_of(const char *op, const struct platform *p)
{
	struct guarded *g = platforms;

	while (g && g->p != p)
		g = g->next;
	if (!g)
		broken(op, "unknown platform");
	return g;
}

static struct mm_shadow *find_mm(const struct platform_mm *mm)
{
	struct mm_shadow *m = mms[bucket_of(mm)];

	while (m && m->mm != mm)
		m = m->next;
	return m;
}

static void mm_used(struct platform_mm *mm)
{
	struct mm_shadow *m = find_mm(mm);

	if (!m) {
		m = xnew(struct mm_shadow);
		m->mm = mm;
		m->next = mms[bucket_of(mm)];
		mms[bucket_of(mm)] = m;
	}
	m->threads++;
}

static void mm_unused(struct platform_mm *mm)
{
	struct mm_shadow **at = &mms[bucket_of(mm)], *m;

	while ((*at)->mm != mm)
		at = &(*at)->next;
	m = *at;
	if (--m->threads)
		return;
	*at = m->next;
	free(m);
}

static struct shadow *shadow_new(struct guarded *g, struct platform_thread *t, void *cookie,
				 enum shadow_state state)
{
	struct shadow *s = xnew(struct shadow);

	*s = (struct shadow){.t = t, .g = g, .cookie = cookie, .state = state};
	s->mm = plain_platform_thread_mm(t);
	mm_used(s->mm);
	s->next = shadows[bucket_of(t)];
	shadows[bucket_of(t)] = s;
	return s;
}

static void shadow_free(struct shadow *s)
{
	struct shadow **at = &shadows[bucket_of(s->t)];

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	mm_unused(s->mm);
	free(s);
}

/* The shadow of a thread that the platform speaks of. */
static struct shadow *meet(struct guarded *g, const char *op, struct platform_thread *t,
			   void *cookie)
{
	struct shadow *s = find(t);

	for (struct pending *n = pendings; !s && n; n = n->next)
		if (n->g == g && n->cookie == cookie && !n->met) {
			n->met = true;
			s = shadow_new(g, t, cookie, SHADOW_ORDERED);
		}
	if (!s)
		broken(op, "the platform speaks of a thread that nobody made");
	if (s->cookie != cookie)
		broken(op, "the platform gives a thread another cookie");
	return s;
}

/* ---- what an owner of a stopped thread does ---- */

static void must_be_owned(const char *op, const struct shadow *s)
{
	if (s->state != SHADOW_STOPPED && s->state != SHADOW_DEAD)
		broken(op, "the thread is %s, not stopped", state_names[s->state]);
	if (s->in_use)
		broken(op, "another thread is in %s with the same thread", s->in_use);
}

static void use(const char *op, const struct platform_thread *t)
{
	struct shadow *s;

	pthread_mutex_lock(&lock);
	s = must_find(op, t);
	must_be_owned(op, s);
	s->in_use = op;
	pthread_mutex_unlock(&lock);
}

static void unuse(const struct platform_thread *t)
{
	pthread_mutex_lock(&lock);
	must_find("the end of an operation", t)->in_use = NULL;
	pthread_mutex_unlock(&lock);
}

static void known(const char *op, const struct platform_thread *t)
{
	pthread_mutex_lock(&lock);
	must_find(op, t);
	pthread_mutex_unlock(&lock);
}

/* ---- replies ---- */

static bool in_guest(uint64_t va, uint64_t size)
{
	return va <= PLATFORM_GUEST_MAX && size <= PLATFORM_GUEST_MAX - va;
}

static bool is_paged(const struct memop *op)
{
	return !(op->addr & PAGE_MASK) && !(op->size & PAGE_MASK) && op->size &&
	       in_guest(op->addr, op->size);
}

static bool prot_ok(uint32_t prot)
{
	return !(prot & ~(uint32_t)(PROT_READ | PROT_WRITE | PROT_EXEC));
}

static bool flags_ok(const struct memop *op)
{
	uint32_t allowed = 0;

	if (op->flags & MEMOP_LEASE)
		allowed = MEMOP_LEASE | (op->type == MEMOP_MMAP_FD ? MEMOP_SHARED : 0);
	else if (op->type == MEMOP_MMAP_ANON || op->type == MEMOP_MMAP_FD)
		allowed = MEMOP_SHARED | MEMOP_NORESERVE | MEMOP_POPULATE;
	else if (op->type == MEMOP_MREMAP)
		allowed = MEMOP_DONTUNMAP;
	else if (op->type == MEMOP_WRITE || op->type == MEMOP_ZERO)
		allowed = MEMOP_MAY_FAIL;
	return !(op->flags & ~allowed);
}

static bool lease_op_ok(const struct memop *op)
{
	return (op->type == MEMOP_MMAP_FD ? op->fd >= 0 && op->prot == PROT_READ
					  : op->type == MEMOP_MUNMAP) &&
	       op->addr < PLATFORM_LEASES && op->size && op->size <= PLATFORM_LEASE_SIZE;
}

static bool memop_ok(const struct memop *op, uint32_t index)
{
	if (!flags_ok(op))
		return false;
	if (op->flags & MEMOP_LEASE)
		return lease_op_ok(op);
	switch (op->type) {
	case MEMOP_MMAP_FD:
		if (op->fd < 0 || (op->offset & PAGE_MASK))
			return false;
		/* fallthrough */
	case MEMOP_MMAP_ANON:
	case MEMOP_MPROTECT:
		return is_paged(op) && prot_ok(op->prot);
	case MEMOP_MREMAP: /* of nothing: a second mapping of what is shared */
		return !((op->addr | op->size) & PAGE_MASK) && in_guest(op->addr, op->size) &&
		       !(op->new_addr & PAGE_MASK) && op->new_size && !(op->new_size & PAGE_MASK) &&
		       in_guest(op->new_addr, op->new_size);
	case MEMOP_MUNMAP:
	case MEMOP_MADVISE:
		return is_paged(op);
	case MEMOP_WRITE:
		return op->data && op->size <= PLATFORM_WRITES_MAX && in_guest(op->addr, op->size);
	case MEMOP_ZERO:
		return in_guest(op->addr, op->size);
	case MEMOP_CLEAR:
		return index == 0;
	case MEMOP_VDSO:
		return !(op->addr & PAGE_MASK) && in_guest(op->addr, 0);
	}
	return false;
}

static void check_memops(const struct platform_reply *r)
{
	uint64_t written = 0;

	if (r->memop_count > PLATFORM_MEMOPS_MAX)
		broken("platform_reply", "%u memory operations", r->memop_count);
	for (uint32_t i = 0; i < r->memop_count; i++) {
		const struct memop *op = &r->memops[i];

		if (!memop_ok(op, i))
			broken("platform_reply",
			       "memory operation %u makes no sense: type %d, flags %x, prot %x, "
			       "%llx + %llx",
			       i, op->type, op->flags, op->prot, (unsigned long long)op->addr,
			       (unsigned long long)op->size);
		if (op->type == MEMOP_WRITE)
			written += (op->size + 7) & ~7ull;
	}
	if (written > PLATFORM_WRITES_MAX)
		broken("platform_reply", "more is written than fits");
}

static bool lives(const struct shadow *s)
{
	return s->state == SHADOW_ORDERED || s->state == SHADOW_RUNNING ||
	       s->state == SHADOW_STOPPED;
}

/*
 * PORD_EXIT is for who leaves others behind; the last one's process is killed. When a process has
 * ended the deaths of its threads are told in turn, so of its memory nothing is known any more.
 */
static void exits_alone(const struct shadow *s)
{
	if (find_mm(s->mm)->process_ended)
		return;
	for (uint32_t i = 0; i < BUCKETS; i++)
		for (const struct shadow *o = shadows[i]; o; o = o->next)
			if (o != s && o->mm == s->mm && lives(o))
				return;
	broken("platform_reply", "the last thread of its memory is to exit alone");
}

static void order_child(struct shadow *s, const struct platform_reply *r)
{
	struct shadow *child = must_find("platform_reply: child", r->child);

	if (child->state != SHADOW_PREPARED)
		broken("platform_reply", "the child is %s, not prepared",
		       state_names[child->state]);
	if (child->parent != s->t)
		broken("platform_reply", "the child was prepared for another parent");
	child->state = SHADOW_ORDERED;
	s->child = child->t;
}

void platform_reply(struct platform_thread *t, const struct platform_reply *r)
{
	struct shadow *s;

	check_memops(r);
	if (r->frame && r->order == PORD_EXIT)
		broken("platform_reply", "a frame for a thread that exits");
	pthread_mutex_lock(&lock);
	s = must_find("platform_reply", t);
	must_be_owned("platform_reply", s);
	if (s->state == SHADOW_STOPPED && r->order == PORD_EXIT)
		exits_alone(s);
	if (s->state == SHADOW_STOPPED)
		s->state = r->order == PORD_EXIT ? SHADOW_EXITING : SHADOW_RUNNING;
	if (r->order == PORD_CLONE)
		order_child(s, r);
	else if (r->child)
		broken("platform_reply", "a child without PORD_CLONE");
	s->replies++;
	/* From here on the thread may stop again, and have another owner. */
	pthread_mutex_unlock(&lock);
	plain_platform_reply(t, r);
	pthread_mutex_lock(&lock);
	must_find("the end of platform_reply", t)->replies--;
	pthread_mutex_unlock(&lock);
}

/* ---- events ---- */

/* The clone that was ordered has failed: the child is the sentry's to put. */
static void clone_not_made(const struct shadow *s)
{
	struct shadow *child = s->child ? find(s->child) : NULL;

	if (child && child->state == SHADOW_ORDERED && child->parent == s->t)
		child->state = SHADOW_PREPARED;
}

static void event_came(struct guarded *g, const struct platform_event *ev)
{
	struct shadow *s = meet(g, "platform_next", ev->thread, ev->cookie);
	enum shadow_state from = ev->type == PEV_STARTED ? SHADOW_ORDERED : SHADOW_RUNNING;

	if (s->state == SHADOW_DEAD)
		broken("platform_next", "an event of a thread that is dead");
	if (s->state != from)
		broken("platform_next", "event %d of a thread that is %s", ev->type,
		       state_names[s->state]);
	s->state = SHADOW_STOPPED;
	if (ev->type == PEV_REPORT && clone_has_failed(ev))
		clone_not_made(s);
	s->child = NULL;
}

static void next_begins(struct guarded *g)
{
	if (!g->started)
		broken("platform_next", "before platform_start");
	if (g->in_next)
		broken("platform_next", "two threads at once");
	if (g->p->backend->pinned && g->has_leader && !pthread_equal(g->leader, pthread_self()))
		broken("platform_next", "another thread than the first");
	g->leader = pthread_self();
	g->has_leader = g->in_next = true;
}

int platform_next(struct platform *p, struct platform_event *ret_event)
{
	struct guarded *g;
	int err;

	pthread_mutex_lock(&lock);
	g = guarded_of("platform_next", p);
	next_begins(g);
	pthread_mutex_unlock(&lock);
	err = plain_platform_next(p, ret_event);
	pthread_mutex_lock(&lock);
	g->in_next = false;
	if (err == 0)
		event_came(g, ret_event);
	pthread_mutex_unlock(&lock);
	return err;
}

static void no_lock_held(const struct platform *p, const struct platform_thread *t)
{
	if (mutex_held_by_me(&p->lock) || (t && mutex_held_by_me(&t->lock)))
		broken("callback", "a lock of the platform is held");
}

static void thread_dead(void *cookie, struct platform_thread *t, bool killed_by_host)
{
	const struct platform_callbacks *real;
	struct shadow *s;
	struct guarded *g = NULL;

	pthread_mutex_lock(&lock);
	for (struct guarded *i = platforms; i && !g; i = i->next)
		if (i->p == t->p)
			g = i;
	if (!g)
		broken("dead", "unknown platform");
	s = meet(g, "dead", t, cookie);
	if (s->state == SHADOW_DEAD || s->state == SHADOW_PREPARED)
		broken("dead", "the thread was %s", state_names[s->state]);
	if (s->state != SHADOW_EXITING)
		find_mm(s->mm)->process_ended = true;
	s->state = SHADOW_DEAD;
	real = s->g->real;
	pthread_mutex_unlock(&lock);
	no_lock_held(t->p, t);
	real->dead(cookie, t, killed_by_host);
}

static void platform_is_broken(void *cookie, const char *why)
{
	struct guarded *g = cookie;

	no_lock_held(g->p, NULL);
	g->real->broken(g->real->broken_cookie, why);
}

/* ---- the platform's life ---- */

int platform_new(const struct platform_config *config, struct platform **ret_platform,
		 const char **ret_why)
{
	struct platform_config checked = *config;
	struct guarded *g = xnew(struct guarded);
	int err;

	if (!config->callbacks || !config->callbacks->dead || !config->callbacks->broken)
		broken("platform_new", "callbacks are missing");
	if (config->without & config->force)
		broken("platform_new", "features that are to be used and not to be used");
	*g = (struct guarded){.real = config->callbacks,
			      .ours = {thread_dead, platform_is_broken, g}};
	checked.callbacks = &g->ours;
	err = plain_platform_new(&checked, &g->p, ret_why);
	if (err < 0) {
		free(g);
		return err;
	}
	pthread_mutex_lock(&lock);
	g->next = platforms;
	platforms = g;
	pthread_mutex_unlock(&lock);
	*ret_platform = g->p;
	return 0;
}

int platform_start(struct platform *p)
{
	struct guarded *g;

	pthread_mutex_lock(&lock);
	g = guarded_of("platform_start", p);
	if (g->started)
		broken("platform_start", "a second time");
	g->started = true;
	pthread_mutex_unlock(&lock);
	return plain_platform_start(p);
}

static void forget_threads(struct guarded *g)
{
	for (uint32_t i = 0; i < BUCKETS; i++)
		for (struct shadow *s = shadows[i], *next; s; s = next) {
			next = s->next;
			if (s->g == g)
				shadow_free(s);
		}
}

void platform_destroy(struct platform *p)
{
	struct guarded *g, **at;

	pthread_mutex_lock(&lock);
	g = guarded_of("platform_destroy", p);
	if (g->in_next)
		broken("platform_destroy", "a thread is in platform_next");
	pthread_mutex_unlock(&lock);
	plain_platform_destroy(p);
	pthread_mutex_lock(&lock);
	forget_threads(g);
	for (at = &platforms; *at != g; at = &(*at)->next)
		;
	*at = g->next;
	pthread_mutex_unlock(&lock);
	free(g);
}

/* ---- threads ---- */

int platform_mm_new(struct platform *p, void *cookie, struct platform_thread **ret_thread)
{
	struct pending n = {.cookie = cookie}, **at;
	struct platform_thread *t = NULL;
	int err;

	pthread_mutex_lock(&lock);
	n.g = guarded_of("platform_mm_new", p);
	n.next = pendings;
	pendings = &n;
	pthread_mutex_unlock(&lock);
	err = plain_platform_mm_new(p, cookie, &t);
	pthread_mutex_lock(&lock);
	for (at = &pendings; *at != &n; at = &(*at)->next)
		;
	*at = n.next;
	if (err == 0 && !n.met)
		shadow_new(n.g, t, cookie, SHADOW_ORDERED);
	pthread_mutex_unlock(&lock);
	if (err == 0)
		*ret_thread = t;
	return err;
}

int platform_clone_prepare(struct platform_thread *parent, enum platform_clone kind, void *cookie,
			   struct platform_thread **ret_child)
{
	int err;

	use("platform_clone_prepare", parent);
	err = plain_platform_clone_prepare(parent, kind, cookie, ret_child);
	pthread_mutex_lock(&lock);
	if (err == 0)
		shadow_new(must_find("platform_clone_prepare", parent)->g, *ret_child, cookie,
			   SHADOW_PREPARED)
		    ->parent = parent;
	pthread_mutex_unlock(&lock);
	unuse(parent);
	return err;
}

void platform_thread_put(struct platform_thread *t)
{
	struct shadow *s;

	pthread_mutex_lock(&lock);
	s = must_find("platform_thread_put", t);
	if (s->state != SHADOW_DEAD && s->state != SHADOW_PREPARED)
		broken("platform_thread_put", "the thread is %s", state_names[s->state]);
	if (s->in_use)
		broken("platform_thread_put", "another thread is in %s with it", s->in_use);
	if (s->replies)
		broken("platform_thread_put", "another thread is replying to it");
	shadow_free(s);
	pthread_mutex_unlock(&lock);
	plain_platform_thread_put(t);
}

struct platform_mm *platform_thread_mm(struct platform_thread *t)
{
	known("platform_thread_mm", t);
	return plain_platform_thread_mm(t);
}

static void known_lease(const char *op, const struct platform_thread *t, uint32_t index,
			uint32_t what)
{
	known(op, t);
	if (index >= PLATFORM_LEASES || (what & ~PLATFORM_LEASE_ALL))
		broken(op, "no such lease: %u, %x", index, what);
}

void platform_lease_set(struct platform_thread *t, uint32_t index, const struct platform_lease *l)
{
	known_lease("platform_lease_set", t, index, 0);
	plain_platform_lease_set(t, index, l);
}

void platform_lease_set_pos(struct platform_thread *t, uint32_t index, bool has_pos, int64_t pos)
{
	known_lease("platform_lease_set_pos", t, index, 0);
	plain_platform_lease_set_pos(t, index, has_pos, pos);
}

int64_t platform_lease_pos(struct platform_thread *t, uint32_t index)
{
	known_lease("platform_lease_pos", t, index, 0);
	return plain_platform_lease_pos(t, index);
}

void platform_lease_allow(struct platform_thread *t, uint32_t index, uint32_t what)
{
	known_lease("platform_lease_allow", t, index, what);
	plain_platform_lease_allow(t, index, what);
}

void platform_lease_revoke(struct platform_thread *t, uint32_t index, uint32_t what)
{
	known_lease("platform_lease_revoke", t, index, what);
	plain_platform_lease_revoke(t, index, what);
}

bool platform_lease_used(struct platform_thread *t, uint32_t index)
{
	known_lease("platform_lease_used", t, index, 0);
	return plain_platform_lease_used(t, index);
}

void *platform_lease_head(struct platform_thread *t)
{
	known_lease("platform_lease_head", t, 0, 0);
	return plain_platform_lease_head(t);
}

uint32_t platform_lease_allowed(struct platform_thread *t, uint32_t index)
{
	known_lease("platform_lease_allowed", t, index, 0);
	return plain_platform_lease_allowed(t, index);
}

void platform_answers_set(struct platform_thread *t, const uint64_t *values, uint32_t valid)
{
	known("platform_answers_set", t);
	plain_platform_answers_set(t, values, valid);
}

void platform_own_set(struct platform_thread *t, const struct platform_own *own)
{
	known("platform_own_set", t);
	plain_platform_own_set(t, own);
}

void platform_own_get(struct platform_thread *t, struct platform_own *ret_own)
{
	known("platform_own_get", t);
	plain_platform_own_get(t, ret_own);
}

void platform_own_ask(struct platform_thread *t, bool ask)
{
	known("platform_own_ask", t);
	plain_platform_own_ask(t, ask);
}

void platform_own_ask_memory(struct platform_thread *t, bool ask)
{
	known("platform_own_ask_memory", t);
	plain_platform_own_ask_memory(t, ask);
}

void platform_kick(struct platform_thread *t)
{
	known("platform_kick", t);
	plain_platform_kick(t);
}

void platform_kill(struct platform_thread *t)
{
	known("platform_kill", t);
	plain_platform_kill(t);
}

void platform_kill_soon(struct platform_thread *t)
{
	known("platform_kill_soon", t);
	plain_platform_kill_soon(t);
}

struct platform_regs *platform_regs(struct platform_thread *t)
{
	struct platform_regs *r;

	use("platform_regs", t);
	r = plain_platform_regs(t);
	unuse(t);
	return r;
}

bool platform_can_clear(struct platform_thread *t)
{
	bool r;

	use("platform_can_clear", t);
	r = plain_platform_can_clear(t);
	unuse(t);
	return r;
}

bool platform_child_is_early(const struct platform_thread *child)
{
	known("platform_child_is_early", child);
	return plain_platform_child_is_early(child);
}

bool platform_can_lend(struct platform_thread *t)
{
	bool r;

	use("platform_can_lend", t);
	r = plain_platform_can_lend(t);
	unuse(t);
	return r;
}

void platform_lend(struct platform_thread *child)
{
	struct shadow *s;

	pthread_mutex_lock(&lock);
	s = must_find("platform_lend", child);
	if (s->state != SHADOW_PREPARED)
		broken("platform_lend", "the child is %s, not prepared", state_names[s->state]);
	must_be_owned("platform_lend: parent", must_find("platform_lend: parent", s->parent));
	s->state = SHADOW_ORDERED;
	pthread_mutex_unlock(&lock);
	plain_platform_lend(child);
}

/* ---- guest memory ---- */

static void memory_begins(const char *op, const struct platform_thread *t,
			  const struct platform_mm *mm)
{
	if (t)
		use(op, t);
	pthread_mutex_lock(&lock);
	if (!find_mm(mm))
		broken(op, "unknown address space: its last thread was put");
	if (t && must_find(op, t)->mm != mm)
		broken(op, "the thread has another address space");
	pthread_mutex_unlock(&lock);
}

static void memory_ends(const char *op, struct platform_thread *t, size_t n, size_t size)
{
	if (t)
		unuse(t);
	if (n > size)
		broken(op, "more than was asked for");
}

size_t platform_read(struct platform_thread *t, struct platform_mm *mm, uint64_t va, void *buf,
		     size_t size)
{
	size_t n;

	memory_begins("platform_read", t, mm);
	n = plain_platform_read(t, mm, va, buf, size);
	memory_ends("platform_read", t, n, size);
	return n;
}

size_t platform_write(struct platform_thread *t, struct platform_mm *mm, uint64_t va,
		      const void *buf, size_t size)
{
	size_t n;

	memory_begins("platform_write", t, mm);
	n = plain_platform_write(t, mm, va, buf, size);
	memory_ends("platform_write", t, n, size);
	return n;
}

void *platform_window(struct platform_thread *t, uint64_t va, size_t size, bool for_write)
{
	void *w;

	use("platform_window", t);
	w = plain_platform_window(t, va, size, for_write);
	unuse(t);
	return w;
}

void platform_window_written(struct platform_thread *t, uint64_t va, size_t size)
{
	use("platform_window_written", t);
	plain_platform_window_written(t, va, size);
	unuse(t);
}

const void *platform_window_rest(struct platform_thread *t, uint64_t va, size_t *ret_size)
{
	const void *w;

	use("platform_window_rest", t);
	w = plain_platform_window_rest(t, va, ret_size);
	unuse(t);
	return w;
}

#endif /* DEBUG */
