/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory where the host forbids process_vm_readv and /proc/PID/mem (Yama, seccomp profiles,
 * LSMs): a thread that waits for a reply does the copying, piece by piece through its channel. It
 * is any thread of the address space that waits; the one whose call is being served, if it can. If
 * none waits, one that runs is kicked, and is ours as soon as it stops (to_lend): before anybody
 * who gets its event can have replied.
 *
 *	sentry					stub
 *						waits in a bell
 *	channel.copy, state = COPY, answers
 *						copies; a fault ends the piece early
 *						state = COPIED, rings again
 *	receives the bell, takes the bytes
 *	more? again
 *	-- later --
 *	reply, state = REPLY, answers		goes on
 *
 * A bell that comes while state is COPY was rung before the stub saw that (it was interrupted, or
 * it polled and lost patience); it is answered at once. All that a thread can do wrong is to answer
 * with other bytes than its memory holds (they are the guest's in any case), or not at all: then
 * the process is killed when time is up, so a worker waits for a guest here, but not for ever.
 *
 * Somebody must receive the bell, and we may be the leader. So whoever waits here receives when
 * nobody else does; what comes from other threads is put aside for platform_next
 * (event_defer_locked).
 *
 *	here				leader
 *	side_recv = true		in_recv = true
 *	in_recv? leave it to him	side_recv? waits for copy_lock, then looks again
 *
 * At least one of the two sees the other (both sequentially consistent), so never both receive.
 *
 * Not done this way: to have the call made again with more windows (a handler may have had its
 * effects by then); to wait for the thread in a futex of the channel (the filter lets guests use
 * private futexes only).
 */
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/guard.h"
#include "platform/backend.h"
#include "platform/notify/notify.h"

#define SLICE_MS    2
#define SLICES_MAX  5000 /* not by the clock: we may be frozen along with the guest */
#define LENDERS_MAX 64	 /* that are asked in turn: each may end meanwhile */

/* ---- until the thread rings ---- */

bool notify_must_copy(const struct platform_thread *t)
{
	return atomic_load(&t->ch->state) == CHANNEL_COPY;
}

void notify_has_copied(struct platform *p)
{
	struct notify *n = notify_of(p);

	atomic_fetch_add(&n->copy_bells, 1);
	syscall(SYS_futex, &n->copy_bells, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void await_leader(struct notify *n, uint32_t seen)
{
	struct timespec slice = {.tv_nsec = SLICE_MS * 1000000l};

	syscall(SYS_futex, &n->copy_bells, FUTEX_WAIT_PRIVATE, seen, &slice, NULL, 0);
}

static bool bell_waits(const struct notify *n)
{
	struct pollfd pfd = {.fd = n->listener, .events = POLLIN};

	return poll(&pfd, 1, SLICE_MS) > 0 && (pfd.revents & POLLIN);
}

/* Caller holds copy_lock. */
static bool receive_locked(struct platform *p)
{
	bool led;

	atomic_store(&p->side_recv, true);
	led = atomic_load(&p->in_recv);
	if (!led && bell_waits(notify_of(p)))
		notify_receive_aside(p);
	atomic_store(&p->side_recv, false);
	return !led;
}

/* Receives a bell, or waits for the leader to, for a while. seen: copy_bells before t was looked
 * at. */
static void receive_or_wait(struct platform *p, uint32_t seen)
{
	if (!receive_locked(p))
		await_leader(notify_of(p), seen);
}

bool notify_receive_meanwhile(struct platform *p)
{
	struct notify *n = notify_of(p);
	bool received;

	mutex_lock(&n->copy_lock);
	received = receive_locked(p);
	mutex_unlock(&n->copy_lock);
	return received;
}

enum copied { COPIED_YES, COPIED_NOT_YET, COPIED_NEVER };

static enum copied has_copied(struct platform_thread *t)
{
	enum copied r = COPIED_NOT_YET;

	mutex_lock(&t->lock);
	if (t->state != THREAD_STOPPED)
		r = COPIED_NEVER;
	else if (t->bell && !notify_must_copy(t))
		r = COPIED_YES;
	mutex_unlock(&t->lock);
	return r;
}

static bool await_copied(struct platform_thread *t)
{
	struct notify *n = notify_of(t->p);

	for (int i = 0; i < SLICES_MAX; i++) {
		uint32_t seen = atomic_load(&n->copy_bells);
		enum copied r = has_copied(t);

		if (r != COPIED_NOT_YET)
			return r == COPIED_YES;
		receive_or_wait(t->p, seen);
	}
	log_debug(LOGC_PLATFORM, "stub thread %d killed: it doesn't copy", t->tid);
	platform_kill(t);
	return false;
}

/* ---- who copies ---- */

/* Not lent, not about to be, and not about to come back (platform/lend.c). */
static bool has_host_thread(const struct platform_thread *t)
{
	return !t->lent_to && !t->returns_from && !t->begins_from;
}

static bool borrow(struct platform_thread *t)
{
	bool ok;

	mutex_lock(&t->lock);
	ok = t->state == THREAD_STOPPED && !t->lost && !t->copying && has_host_thread(t);
	if (ok)
		t->copying = true;
	mutex_unlock(&t->lock);
	return ok;
}

/* Another one of the address space that waits, with a reference; or NULL. */
static struct platform_thread *borrow_any(struct platform_mm *mm)
{
	struct platform_thread *t;
	struct host_process *process;

	mutex_lock(&mm->p->lock);
	list_for_each (process, &mm->processes, mm_link)
		list_for_each (t, &process->threads, process_link)
			if (!process->dead && borrow(t)) {
				refcount_get(&t->refs);
				mutex_unlock(&mm->p->lock);
				return t;
			}
	mutex_unlock(&mm->p->lock);
	return NULL;
}

void notify_lend_locked(struct platform_thread *t)
{
	t->to_lend = false;
	t->copying = true;
	refcount_get(&t->refs);
	atomic_store(&notify_of(t->p)->lender, t);
	notify_has_copied(t->p);
}

static bool ask_to_lend(struct platform_thread *t)
{
	bool lives;

	mutex_lock(&t->lock);
	lives = (t->state == THREAD_RUNNING || t->state == THREAD_STOPPED) && has_host_thread(t);
	t->to_lend = lives;
	mutex_unlock(&t->lock);
	return lives;
}

/* Kicks one that runs, which is returned with a reference; or NULL. */
static struct platform_thread *kick_lender(struct platform_mm *mm)
{
	struct platform_thread *t;
	struct host_process *process;

	mutex_lock(&mm->p->lock);
	list_for_each (process, &mm->processes, mm_link)
		list_for_each (t, &process->threads, process_link)
			if (!process->dead && ask_to_lend(t)) {
				refcount_get(&t->refs);
				mm->p->backend->kick_locked(t);
				mutex_unlock(&mm->p->lock);
				return t;
			}
	mutex_unlock(&mm->p->lock);
	return NULL;
}

/* Until it has stopped, or never will. */
static void await_lender(struct platform_thread *t)
{
	struct notify *n = notify_of(t->p);
	bool disobeys;

	for (int i = 0; i < SLICES_MAX && atomic_load(&t->state) != THREAD_DEAD; i++) {
		uint32_t seen = atomic_load(&n->copy_bells);

		if (atomic_load(&n->lender))
			break;
		receive_or_wait(t->p, seen);
	}
	mutex_lock(&t->lock);
	disobeys = t->to_lend && t->state != THREAD_DEAD;
	t->to_lend = false;
	mutex_unlock(&t->lock);
	if (disobeys) {
		log_debug(LOGC_PLATFORM, "stub thread %d killed: it doesn't stop", t->tid);
		platform_kill(t);
	}
}

/* One that runs, made to stop, with a reference; or NULL. */
static struct platform_thread *borrow_running(struct platform_mm *mm)
{
	struct notify *n = notify_of(mm->p);
	struct platform_thread *asked, *lender = NULL;

	for (int i = 0; i < LENDERS_MAX && !lender; i++) {
		asked = kick_lender(mm);
		if (!asked)
			break;
		await_lender(asked);
		lender = atomic_exchange(&n->lender, NULL);
		platform_thread_unref(asked);
	}
	return lender;
}

/* What was replied meanwhile, by who owns the thread, is done now; or its end. */
static void give_back(struct platform_thread *t)
{
	bool over;

	mutex_lock(&t->p->lock);
	mutex_lock(&t->lock);
	t->copying = false;
	notify_reply_again_locked(t);
	over = t->over && t->state != THREAD_DEAD;
	mutex_unlock(&t->lock);
	if (over && t->lender)
		t->p->backend->end_lent_locked(t);
	mutex_unlock(&t->p->lock);
}

/* ---- a piece ---- */

/*
 * Where in its channel: what the windows of its call leave free of their area, or the tail. The
 * windows don't change while the thread waits for a reply, whoever owns it.
 */
static uint32_t free_area(const struct platform_thread *t, uint32_t *ret_size)
{
	uint32_t used = 0;

	for (uint32_t i = 0; i < t->window_count; i++)
		used = MAX(used, t->windows[i].offset + t->windows[i].size);
	if (CHANNEL_WINDOW_SIZE - used < CHANNEL_TAIL_SIZE)
		used = CHANNEL_WINDOW_SIZE;
	*ret_size = CHANNEL_WINDOW_SIZE + CHANNEL_TAIL_SIZE - used;
	return used;
}

/* As much of it as goes at once: *ret_tried. Nothing of it stays in the channel. */
static size_t copy_piece(struct platform_thread *t, uint64_t va, char *buf, size_t size, bool write,
			 size_t *ret_tried)
{
	struct channel *ch = t->ch;
	uint32_t room, offset = free_area(t, &room), answer;
	uint8_t *area = (uint8_t *)ch + offsetof(struct channel, window) + offset;
	size_t done;

	size = MIN(size, (size_t)room);
	*ret_tried = size;
	ch->copy = (struct channel_copy){
	    .va = va, .offset = offset, .size = (uint32_t)size, .write = write};
	if (write)
		size = ch->copy.size = (uint32_t)guarded_copy(area, buf, size);
	notify_order_copy(t);
	if (!await_copied(t))
		return 0;
	answer = *(volatile uint32_t *)&ch->copy.done;
	done = MIN((size_t)answer, size);
	if (!write)
		memcpy(buf, area, done);
	memset(area, 0, size);
	return done;
}

ssize_t notify_copy(struct platform_thread *t, struct platform_mm *mm, uint64_t va, void *buf,
		    size_t size, bool write)
{
	struct notify *n = notify_of(mm->p);
	struct platform_thread *other = NULL;
	size_t done = 0, tried, got;

	mutex_lock(&n->copy_lock);
	if (!t || !borrow(t)) {
		other = borrow_any(mm);
		if (!other)
			other = borrow_running(mm);
		t = other;
	}
	while (t && done < size) {
		got = copy_piece(t, va + done, (char *)buf + done, size - done, write, &tried);
		done += got;
		if (got < tried)
			break;
	}
	if (t)
		give_back(t);
	mutex_unlock(&n->copy_lock);
	if (other)
		platform_thread_unref(other);
	if (t)
		count_stat(stub_copies);
	return t ? (ssize_t)done : -ESRCH;
}
