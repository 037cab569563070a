/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The notify platform: how stub processes and the sentry meet.
 *
 * A stub that wants the sentry makes a host call with a reserved number, the doorbell. The filter
 * says USER_NOTIF for it; the one thread in platform_next receives the notification, whose pid is
 * the caller's trusted identity, and the stub sleeps in the kernel until the notification is
 * answered. With SYNC_WAKE_UP both wake-ups stay on the caller's CPU. Clones are
 * asked each time: they come the same way, are compared with what was ordered, and answered with
 * CONTINUE.
 *
 * States of a thread (platform_thread.state), and what moves it:
 *
 *	PREPARED --order--> ORDERED --HELLO--> STOPPED <--bell / reply--> RUNNING
 *	     any --process reaped, or PORD_EXIT replied--> DEAD
 *
 * A bell may ring twice for one request: a host signal, a debugger or the freezer can interrupt it,
 * before we received it and after. So requests carry a number.
 *
 *	stub				sentry
 *	request 7, bell
 *					receives bell 7, state STOPPED, works
 *	interrupted; bell 7 again
 *					receives bell 7 while STOPPED: takes the new notification
 *	-- or --
 *					reply written, state RUNNING; SEND: ENOENT
 *	sees REPLY: goes on			(the bell did its work without being answered)
 *	-- or, having looked too early --
 *	bell 7 again
 *					bell 7 while RUNNING: answers it at once
 *
 * WAIT_KILLABLE_RECV (Linux 5.19) would spare the second case, and is not used: a stub whose bell
 * was received could then be stopped by nobody until its call has ended. SIGSTOP, a debugger that
 * attaches, and the freezer of cgroups, that is `docker pause`, would wait for a guest's sleep.
 *
 * Before a reply is sent, its descriptors are handed in; if the notification is found gone at that
 * point, the reply is kept and made again with the next bell (struct lost_reply).
 *
 * A guest can lie in all of that, and only cheats itself: a wrong number is a request that is never
 * served or is served twice; two different requests without a reply between end the process.
 *
 * platform_interrupt must end a RECV that another thread is in, or is about to be in. A signal
 * would be lost between the check and the call. What is never lost is a notification: so the
 * zygote, which waits in a bell of its own, is told to ring again.
 *
 *	interrupter			leader			zygote
 *					in_recv = true
 *	interrupted = true
 *	in_recv? reply NOP		interrupted? no
 *							bell
 *					RECV: the zygote's bell
 *					interrupted: -EINTR
 *
 * If the leader reads `interrupted` as true it never enters RECV; if it read false then the
 * interrupter reads in_recv as true (both sequentially consistent). If the zygote is not waiting
 * just then it is on its way to ring anyway. The same nudge makes the leader look at its queues.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#include "base/mem.h"
#include "platform/backend.h"
#include "platform/filter.h"
#include "platform/notify/notify.h"
#include "platform/notify/place.h"
#include "platform/notify/poll.h"

/* away: the thread is not to come to our CPU. */
static int send_answer(struct platform *p, struct seccomp_notif_resp resp, bool away)
{
	int r;

	do {
		r = away ? notify_send_away(p, &resp)
			 : ioctl(notify_of(p)->listener, SECCOMP_IOCTL_NOTIF_SEND, &resp);
	} while (r < 0 && errno == EINTR); /* the filter's lock, and a debugger of ours */
	return r < 0 ? -errno : 0;
}

static int notify_send(struct platform *p, uint64_t id, int64_t val, uint32_t flags)
{
	return send_answer(p, (struct seccomp_notif_resp){.id = id, .val = val, .flags = flags},
			   false);
}

static bool wakes_here(struct platform *p)
{
	return atomic_load_explicit(&notify_of(p)->sync_wakes, memory_order_relaxed);
}

/* Lets a thread go on, here or elsewhere. Caller holds t->lock. */
static int send_on(struct platform_thread *t, uint64_t id, int64_t val, uint32_t flags)
{
	struct platform *p = t->p;
	struct notify *n = notify_of(p);
	bool sync = wakes_here(p), away;

	away = sync && place_is_taken(n->places, t, sched_getcpu(), __rdtsc());
	if (sync && !away)
		count_stat(replies_here);
	else
		count_stat(replies_away);
	if (away)
		count_stat(replies_apart);
	return send_answer(p, (struct seccomp_notif_resp){.id = id, .val = val, .flags = flags},
			   away);
}

/*
 * Installs a descriptor in the process that waits in this notification; its number there, which is
 * `number` with SECCOMP_ADDFD_FLAG_SETFD. With SECCOMP_ADDFD_FLAG_SEND that is the answer as well.
 * -ENOENT: the notification is gone, or was answered without the descriptor.
 *
 * The latter is what the kernel makes of ADDFD_FLAG_SEND when we are interrupted (by a debugger, or
 * the freezer) before the stub took the descriptor: it takes that away again, but not the answer,
 * and restarts our call, which fails with EINPROGRESS. The stub's bell returns 0, and it rings
 * again.
 */
static int add_fd(struct platform *p, uint64_t id, int fd, uint32_t number, uint32_t flags)
{
	struct seccomp_notif_addfd addfd = {
	    .id = id, .srcfd = (uint32_t)fd, .newfd = number, .flags = flags};
	int r;

	do {
		r = ioctl(notify_of(p)->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &addfd);
	} while (r < 0 && errno == EINTR);
	count_stat(addfds);
	if (r < 0) /* ESRCH: interrupted while it was to take the descriptor */
		return errno == ESRCH || errno == EINPROGRESS ? -ENOENT : -errno;
	return r;
}

/* --- replies --- */

/* The descriptor of an earlier mapping of this reply, which the stub keeps open for this one. */
static int same_fd(struct platform_thread *t, const struct platform_reply *r, uint32_t index,
		   const int *numbers)
{
	for (uint32_t i = index; i-- > 0;) {
		if (r->memops[i].type != MEMOP_MMAP_FD || r->memops[i].fd != r->memops[index].fd)
			continue;
		t->ch->memops[i].flags = r->memops[i].flags | CHANNEL_MEMOP_KEEP_FD;
		return numbers[i];
	}
	return -1;
}

/*
 * Hands in the descriptors of memory operations. What the stub does with one isn't asked again: it
 * carries no more rights than the guest has (docs/security.md).
 */
static int hand_in_fds(struct platform_thread *t, const struct platform_reply *r)
{
	int numbers[PLATFORM_MEMOPS_MAX], fd;

	for (uint32_t i = 0; i < r->memop_count; i++) {
		if (r->memops[i].type != MEMOP_MMAP_FD)
			continue;
		fd = same_fd(t, r, i, numbers);
		if (fd < 0)
			fd = add_fd(t->p, t->notif_id, r->memops[i].fd, 0, 0);
		if (fd == -ENOENT)
			return fd;
		/* If it can't be had the host's mmap will fail, and that be reported. */
		numbers[i] = fd < 0 || fd == STUB_CHANNEL_FD ? -1 : fd;
		t->ch->memops[i].fd_or_advice = numbers[i];
	}
	return 0;
}

/* Answers a new process's HELLO with its channel file, in one step where the host can. */
static int send_channel(struct platform_thread *t)
{
	struct platform *p = t->p;
	int fd = -EINVAL;
	bool sent;

	if (!(p->without & FEATURE_BIT(ADDFD_SEND)))
		fd = add_fd(p, t->notif_id, t->mm->channel_fd, STUB_CHANNEL_FD,
			    SECCOMP_ADDFD_FLAG_SETFD | SECCOMP_ADDFD_FLAG_SEND);
	sent = fd != -EINVAL; /* before Linux 5.14 */
	if (!sent)
		fd = add_fd(p, t->notif_id, t->mm->channel_fd, STUB_CHANNEL_FD,
			    SECCOMP_ADDFD_FLAG_SETFD);
	if (fd < 0)
		return fd;
	t->channel_sent = true;
	return sent ? 0 : notify_send(p, t->notif_id, fd, 0);
}

static bool has_fds(const struct platform_reply *r)
{
	for (uint32_t i = 0; i < r->memop_count; i++)
		if (r->memops[i].type == MEMOP_MMAP_FD)
			return true;
	return false;
}

void notify_park_locked(struct platform_thread *t)
{
	uint32_t serving = CHANNEL_SERVING, request = CHANNEL_REQUEST;

	if (!atomic_compare_exchange_strong(&t->ch->state, &serving, CHANNEL_PARKED))
		atomic_compare_exchange_strong(&t->ch->state, &request, CHANNEL_PARKED);
}

/*
 * The reply to a thread that doesn't wait in a bell needs a notification: the stub is told to make
 * one.
 */
static int ask_for_bell(struct platform_thread *t)
{
	notify_park_locked(t);
	return -ENOENT;
}

/* The answer to a bell that is over: a new process must hear of its channel. */
static int64_t bell_value(const struct platform_thread *t)
{
	return t->hello && t->kind == PCLONE_FORK ? STUB_CHANNEL_FD : 0;
}

/* The host thread looks at `ch` first. */
static void redirect(struct channel *ch, uint32_t order)
{
	ch->rep.order = order;
	ch->result = (struct channel_result){.flags = REPLY_ORDER};
	atomic_store_explicit(&ch->state, CHANNEL_REPLY, memory_order_release);
}

/* The thread that is replied to isn't the one whose bell it is: see lend.c. */
static void change_hands_locked(struct platform_thread *t)
{
	struct channel *ch = t->begins_from;

	if (ch) {
		ch->rep.clone_slot = t->slot;
		ch->rep.clone_flags = t->slot_fresh ? CLONE_ORDER_MAP_STACK : 0;
		redirect(ch, CHANNEL_ORDER_LEND);
		t->begins_from = NULL;
	} else if (t->returns_from) {
		redirect(t->returns_from, CHANNEL_ORDER_RETURN);
		t->returns_from = NULL;
	}
	t->begun = true;
}

/*
 * Caller holds t->lock; t is STOPPED, and stays so if the reply could not be handed over. What the
 * thread does next needs t->lock to be looked at, so it finds all of this done.
 */
static int reply_locked(struct platform_thread *t, const struct platform_reply *r)
{
	bool forked = t->hello && t->kind == PCLONE_FORK && !t->channel_sent;
	int err;

	if (!t->bell && has_fds(r))
		return ask_for_bell(t);
	reply_encode(t, r);
	if (r->memop_count)
		add_stat(memops, r->memop_count);
	err = hand_in_fds(t, r);
	if (err < 0)
		return err;
	t->ordered = (struct ordered){.order = r->child ? PORD_CLONE : r->order,
				      .memop_count = memops_can_fail(r) ? r->memop_count : 0,
				      .report = r->report,
				      .frame = r->frame != NULL};
	t->kick_in_reply = false;
	t->state = THREAD_RUNNING;
	atomic_store_explicit(&t->ch->state, CHANNEL_REPLY, memory_order_release);
	change_hands_locked(t);
	if (!t->bell)
		return 0;
	t->bell = false;
	if (!forked) {
		send_on(t, t->notif_id, bell_value(t), 0); /* ENOENT: it is dead, or rings again */
		return 0;
	}
	count_stat(replies_away);
	err = send_channel(t);
	if (err < 0)
		t->state = THREAD_STOPPED;
	return err;
}

/*
 * A reply whose notification had gone before the descriptors were handed over: the stub was killed,
 * or it was interrupted and will ring again. What the reply borrowed is kept until one of the two
 * is known.
 */
struct lost_reply {
	struct platform_reply r;
	struct platform_sigframe frame;
	struct memop memops[PLATFORM_MEMOPS_MAX];
};

static void lost_reply_free(struct lost_reply *lost)
{
	for (uint32_t i = 0; lost && i < lost->r.memop_count; i++) {
		if (lost->memops[i].type == MEMOP_MMAP_FD && lost->memops[i].fd >= 0)
			close(lost->memops[i].fd);
		if (lost->memops[i].type == MEMOP_WRITE)
			free((void *)(uintptr_t)lost->memops[i].data);
	}
	free(lost);
}

static struct lost_reply *lost_reply_keep(const struct platform_reply *r)
{
	struct lost_reply *lost = xnew(struct lost_reply);

	lost->r = *r;
	if (r->frame) {
		lost->frame = *r->frame;
		lost->r.frame = &lost->frame;
	}
	for (uint32_t i = 0; i < r->memop_count; i++) {
		lost->memops[i] = r->memops[i];
		if (r->memops[i].type == MEMOP_MMAP_FD)
			lost->memops[i].fd = fcntl(r->memops[i].fd, F_DUPFD_CLOEXEC, 0);
		if (r->memops[i].type == MEMOP_WRITE)
			lost->memops[i].data = xmemdup(r->memops[i].data, r->memops[i].size);
	}
	lost->r.memops = lost->memops;
	return lost;
}

static int notify_reply(struct platform_thread *t, const struct platform_reply *r)
{
	int err = 0;

	mutex_lock(&t->lock);
	if (t->state == THREAD_STOPPED && !t->lost && !t->over)
		err = t->copying || t->lent_to ? -ENOENT : reply_locked(t, r);
	if (err == -ENOENT) {
		t->lost = lost_reply_keep(r);
		err = 0;
	}
	mutex_unlock(&t->lock);
	return err;
}

/* --- what comes in --- */

/* Ends the process of a thread that broke the rules; for the sentry it is killed from outside. */
static void punish_thread_locked(struct platform_thread *t, const char *why)
{
	log_debug(LOGC_PLATFORM, "stub thread %d killed: %s", t->tid, why);
	if (!t->process->dead)
		kill(t->process->pid, SIGKILL);
}

/* The thread whose reply was lost rings again, or is free again. */
void notify_reply_again_locked(struct platform_thread *t)
{
	struct lost_reply *lost = t->lost;
	int err;

	if (!lost || t->state != THREAD_STOPPED || t->lent_to || t->over)
		return;
	t->lost = NULL;
	err = reply_locked(t, &lost->r);
	if (err == -ENOENT) {
		t->lost = lost;
		return;
	}
	lost_reply_free(lost);
	if (err < 0) /* nobody is there any more whom platform_reply could tell */
		punish_thread_locked(t, "its reply can't be handed over");
}

static void punish_locked(struct platform *p, const struct seccomp_notif *n, const char *why)
{
	struct platform_thread *t = idmap_get(&p->tids, n->pid);
	int r;

	if (t && t->process) {
		punish_thread_locked(t, why);
		return;
	}
	log_debug(LOGC_PLATFORM, "unknown thread %u killed: %s", n->pid, why);
	/* The notification is alive, so its sender is, and the id can't have been reused. */
	do
		r = ioctl(notify_of(p)->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &n->id);
	while (r < 0 && errno == EINTR);
	if (r == 0)
		kill((pid_t)n->pid, SIGKILL);
}

/* Whether that is a living child of ours. */
static bool is_living_child(pid_t pid)
{
	siginfo_t si = {0};

	return waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 &&
	       si.si_pid == 0;
}

/*
 * Whether the clone's child really is what was ordered: two clones of one process may have swapped
 * their tokens, and a thread that passes for a process would never be reaped.
 */
static bool is_what_was_ordered(const struct platform_thread *t, pid_t tid)
{
	if (t->kind == PCLONE_THREAD)
		return syscall(SYS_tgkill, t->creator->pid, tid, 0) == 0;
	return is_living_child(tid);
}

static struct platform_thread *find_token_locked(struct platform *p, uint64_t token)
{
	struct platform_thread *t;

	list_for_each (t, &p->outstanding, link)
		if (t->token == token && t->asked)
			return t;
	return NULL;
}

static void send_kick_locked(struct platform_thread *t)
{
	syscall(SYS_tgkill, t->process->pid, t->tid, STUB_KICK_SIGNAL);
}

/*
 * A thread that waits without a bell runs, on another CPU, and might be back in the guest before a
 * signal arrives: its reply says it instead.
 */
static void notify_kick_locked(struct platform_thread *t)
{
	mutex_lock(&t->lock);
	t->kick_in_reply = t->kick_in_reply || (t->state == THREAD_STOPPED && !t->bell);
	if (!t->kick_in_reply)
		send_kick_locked(t);
	mutex_unlock(&t->lock);
}

static void pending_requests_locked(struct platform_thread *t)
{
	if (t->kill_pending)
		process_kill_locked(t->process);
	if (t->kick_pending)
		send_kick_locked(t);
}

/* A thread that we don't know yet, or that repeats its HELLO. */
static int hello_locked(struct platform *p, const struct seccomp_notif *n,
			struct platform_event *ev)
{
	struct platform_thread *t = find_token_locked(p, n->data.args[1]);

	if (!t || !is_what_was_ordered(t, (pid_t)n->pid)) {
		punish_locked(p, n, "HELLO without a clone");
		return 0;
	}
	thread_bind_locked(t, (pid_t)n->pid);
	mutex_lock(&t->lock);
	t->notif_id = n->id;
	t->bell = true;
	t->hello = true;
	t->state = THREAD_STOPPED;
	mutex_unlock(&t->lock);
	pending_requests_locked(t);
	return thread_started_locked(t, ev);
}

/* Lets a thread go from its bell, whose reply is in its channel, or that is to serve copies. */
static void answer_early(struct platform_thread *t, uint64_t id)
{
	if (t->hello && t->kind == PCLONE_FORK && !t->channel_sent) {
		t->notif_id = id;
		send_channel(t); /* what fails is tried again at the next bell */
	} else {
		notify_send(t->p, id, bell_value(t), 0);
	}
}

/* A bell for a request that we have already: the stub was interrupted. Caller holds t->lock. */
static void bell_again_locked(struct platform_thread *t, const struct seccomp_notif *n)
{
	if (t->state != THREAD_STOPPED || (t->copying && notify_must_copy(t))) {
		answer_early(t, n->id);
		return;
	}
	t->notif_id = n->id;
	t->bell = true;
	if (t->copying)
		notify_has_copied(t->p);
	else
		notify_reply_again_locked(t);
}

void notify_order_copy(struct platform_thread *t)
{
	mutex_lock(&t->lock);
	atomic_store_explicit(&t->ch->state, CHANNEL_COPY, memory_order_release);
	if (t->bell) { /* else it looks at its channel, or will ring and be answered at once */
		t->bell = false;
		answer_early(t, t->notif_id);
	}
	mutex_unlock(&t->lock);
}

/*
 * Whether the child was reaped before it was known. Notes of those whose death was told in another
 * way stay, and the host uses ids again: who is there now is not who died then.
 */
static bool died_early(struct platform *p, pid_t pid)
{
	for (uint32_t i = 0; i < EARLY_DEAD_MAX; i++)
		if (pid > 0 && p->early_dead[i] == pid) {
			p->early_dead[i] = 0;
			return !is_living_child(pid);
		}
	return false;
}

/*
 * What became of the clone that t was ordered to make, now that t is heard of again: the child has
 * said HELLO, or will (its clone was let through), or there is none. If t itself is at its end
 * nobody hears that its clone failed, so the child is dead.
 */
static void settle_clone_locked(struct platform_thread *t, struct platform_thread *child,
				const struct platform_event *ev)
{
	bool failed = clone_has_failed(ev);

	if (child->in_stock) {
		stock_settle_locked(child, failed);
		return;
	}
	clone_settled_locked(child);
	child->tid_hint = (pid_t)t->ch->req.clone_tid;
	if (failed && !t->internal && !t->over) {
		clone_failed_locked(child);
	} else if (failed || !child->asked || child->kill_pending ||
		   died_early(t->p, child->tid_hint)) {
		thread_dies_locked(child, !child->kill_pending);
	}
}

/* The request in the channel is ours now; *ret_ok: it makes sense. Caller holds t->lock. */
static void take_locked(struct platform_thread *t, struct platform_event *ev, bool *ret_ok)
{
	t->state = THREAD_STOPPED;
	t->hello = false;
	t->begins = false;
	if (unlikely(t->to_lend))
		notify_lend_locked(t);
	ev->thread = t;
	ev->cookie = t->cookie;
	*ret_ok = request_decode(t, ev) && event_follows(t, ev);
}

/* The same, announced by a bell: if there is one. */
static bool take_rung_locked(struct platform_thread *t, struct platform_event *ev, bool *ret_ok)
{
	uint32_t expected = CHANNEL_REQUEST;

	if (t->state != THREAD_RUNNING ||
	    !atomic_compare_exchange_strong(&t->ch->state, &expected, CHANNEL_SERVING))
		return false;
	take_locked(t, ev, ret_ok);
	return true;
}

/* A bell's value: whose request, and which one. */
static uint32_t bell_slot(const struct seccomp_notif *n)
{
	return (uint32_t)(n->data.args[1] >> 32);
}

static uint32_t bell_seq(const struct seccomp_notif *n)
{
	return (uint32_t)n->data.args[1];
}

/* ---- host threads that are lent ---- */

static bool notify_can_lend_locked(struct platform_thread *t)
{
	return t->bell && !t->lost && !t->copying && !t->kick_in_reply && !t->returns_from;
}

static void notify_end_lent_locked(struct platform_thread *t)
{
	bool waits;

	mutex_lock(&t->lock);
	waits = t->state == THREAD_STOPPED && t->bell && !t->copying;
	if (t->state == THREAD_STOPPED && !t->bell)
		notify_park_locked(t);
	else if (t->state == THREAD_RUNNING)
		send_kick_locked(t);
	mutex_unlock(&t->lock);
	if (waits)
		lend_over_locked(t);
}

static void notify_came_back_locked(struct platform_thread *t)
{
	mutex_lock(&t->lock);
	notify_reply_again_locked(t);
	mutex_unlock(&t->lock);
}

/* It rings if it doesn't yet: who is answered without a bell need not look at its channel for long.
 */
static void notify_stocked_locked(struct platform_thread *t)
{
	if (!t->bell)
		notify_park_locked(t);
}

/*
 * A bell of a child that is to end. If it runs, and the request is the last one, it has its reply
 * and hasn't seen that: it goes on until the kick.
 */
static bool ends_here_locked(struct platform_thread *t, const struct seccomp_notif *n,
			     struct platform_event *ev)
{
	bool ends, told = false;

	if (!t->lender) /* it has outlived it, and is killed */
		return true;
	mutex_lock(&t->lock);
	ends = !t->copying && (t->state == THREAD_STOPPED || bell_seq(n) != t->seq);
	if (ends) {
		t->to_lend = false;
		take_rung_locked(t, ev, &told);
		t->state = THREAD_STOPPED;
		t->notif_id = n->id;
		t->bell = true;
	}
	mutex_unlock(&t->lock);
	if (told && t->clone_child)
		settle_clone_locked(t, t->clone_child, ev);
	if (ends)
		lend_over_locked(t);
	return ends;
}

static int event_locked(struct platform_thread *t, const struct seccomp_notif *n,
			struct platform_event *ev)
{
	struct platform *p = t->p;
	bool ok = false;

	if (unlikely(t->over) && ends_here_locked(t, n, ev))
		return 0;
	mutex_lock(&t->lock);
	if (bell_slot(n) != t->slot || bell_seq(n) == t->seq) {
		bell_again_locked(t, n);
		mutex_unlock(&t->lock);
		return 0;
	}
	if (take_rung_locked(t, ev, &ok)) {
		place_heard(notify_of(t->p)->places, t, t->ch->fast.ran);
		t->seq = bell_seq(n);
		t->notif_id = n->id;
		t->bell = true;
	}
	mutex_unlock(&t->lock);
	if (!ok) {
		punish_locked(p, n, "bad request");
		return 0;
	}
	if (t->clone_child)
		settle_clone_locked(t, t->clone_child, ev);
	if (t->internal) {
		zygote_step_locked(p, false);
		return 0;
	}
	return 1;
}

/*
 * channel.state stays REQUEST: to write it would take the line away from the stub, which looks at
 * it, and bring it there and back once more. thread.state says that the request is taken. Caller
 * holds t->lock.
 */
static bool take_polled_locked(struct platform_thread *t, struct platform_event *ev, bool *ret_ok)
{
	if (t->state != THREAD_RUNNING ||
	    atomic_load_explicit(&t->ch->state, memory_order_acquire) != CHANNEL_REQUEST)
		return false;
	if (unlikely(t->over)) {
		notify_park_locked(t);
		return false;
	}
	take_locked(t, ev, ret_ok);
	t->seq = t->ch->seq;
	t->bell = false;
	atomic_store_explicit(&t->p->delivering, *ret_ok ? t : NULL, memory_order_relaxed);
	return true;
}

/* The request of a thread whose last order was a clone. */
static bool take_cloner(struct platform_thread *t, struct platform_event *ev, bool *ret_ok)
{
	struct platform *p = t->p;
	bool taken;

	mutex_lock(&p->lock);
	mutex_lock(&t->lock);
	taken = take_polled_locked(t, ev, ret_ok);
	mutex_unlock(&t->lock);
	if (taken && *ret_ok && t->clone_child)
		settle_clone_locked(t, t->clone_child, ev);
	mutex_unlock(&p->lock);
	return taken;
}

int notify_take_polled(struct platform_thread *t, struct platform_event *ev)
{
	bool taken = false, ok = false, cloner;

	mutex_lock(&t->lock);
	cloner = t->ordered.order == PORD_CLONE;
	if (likely(!cloner))
		taken = take_polled_locked(t, ev, &ok);
	mutex_unlock(&t->lock);
	if (unlikely(cloner))
		taken = take_cloner(t, ev, &ok);
	if (taken && !ok) {
		mutex_lock(&t->p->lock);
		punish_thread_locked(t, "bad request");
		mutex_unlock(&t->p->lock);
	}
	return ok;
}

/* A call that is asked each time: clone. */
static int asked_locked(struct platform_thread *t, const struct seccomp_notif *n)
{
	bool ok;

	mutex_lock(&t->lock);
	ok = n->data.nr == SYS_clone && t->state == THREAD_RUNNING &&
	     clone_is_ordered_locked(t, n->data.args);
	if (ok && send_on(t, n->id, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE) == 0)
		t->clone_child->asked++;
	mutex_unlock(&t->lock);
	if (!ok)
		punish_locked(t->p, n, "clone that wasn't ordered");
	return 0;
}

/*
 * Whether t, whose id somebody has, ended without our being told (as a hostile one can do, while
 * its process lives): the host has given its id to another since.
 */
static bool has_left(const struct platform_thread *t, pid_t tid)
{
	return t->process && syscall(SYS_tgkill, t->process->pid, tid, 0) < 0;
}

static int dispatch_locked(struct platform *p, const struct seccomp_notif *n,
			   struct platform_event *ev)
{
	struct platform_thread *t = idmap_get(&p->tids, n->pid);

	count_stat(doorbells);
	if (n->data.nr != STUB_DOORBELL) {
		if (t)
			return asked_locked(t, n);
	} else if (n->data.args[0] == BELL_EVENT) {
		if (t)
			return event_locked(t, n, ev);
		/* A thread that was told to exit, perhaps, and was interrupted. */
		notify_send(p, n->id, 0, 0);
		return 0;
	} else if (n->data.args[0] == BELL_HELLO) {
		if (!t || has_left(t, (pid_t)n->pid))
			return hello_locked(p, n, ev);
		if (n->data.args[1] == t->token && t->seq == 0) {
			mutex_lock(&t->lock);
			bell_again_locked(t, n);
			mutex_unlock(&t->lock);
			return 0;
		}
	}
	punish_locked(p, n, "bell of a stranger");
	return 0;
}

static bool listener_dead(struct platform *p)
{
	struct pollfd pfd = {.fd = notify_of(p)->listener, .events = POLLIN};

	return poll(&pfd, 1, 0) > 0 && (pfd.revents & POLLHUP);
}

int notify_receive(struct platform *p, struct platform_event *ret_event)
{
	struct notify *n = notify_of(p);
	int r;

	memset(n->notif, 0, n->notif_size);
	if (ioctl(n->listener, SECCOMP_IOCTL_NOTIF_RECV, n->notif) < 0) {
		if (errno == ENOENT) /* it was killed meanwhile, or everybody is */
			return listener_dead(p) ? -ENOTCONN : 0;
		return errno == EINTR ? 0 : -ENOTCONN;
	}
	mutex_lock(&p->lock);
	poller_bell(n->poller);
	r = dispatch_locked(p, n->notif, ret_event);
	atomic_store(&p->delivering, r == 1 ? ret_event->thread : NULL);
	mutex_unlock(&p->lock);
	if (r == 1 && ret_event->type != PEV_STARTED)
		poller_heard(ret_event->thread);
	return r;
}

static int notify_next(struct platform *p, struct platform_event *ret_event)
{
	if (poller_is_on(notify_of(p)->poller))
		return poller_wait(p, ret_event);
	return notify_receive(p, ret_event);
}

/*
 * Whoever polls looks at `attention`, which the caller has set, and looks again when it has ceased
 * to and before it sleeps.
 */
bool notify_receive_aside(struct platform *p)
{
	struct notify *n = notify_of(p);
	struct platform_event ev;

	memset(n->notif, 0, n->notif_size);
	if (ioctl(n->listener, SECCOMP_IOCTL_NOTIF_RECV, n->notif) < 0)
		return false;
	mutex_lock(&p->lock);
	if (dispatch_locked(p, n->notif, &ev) == 1)
		event_defer_locked(p, &ev);
	mutex_unlock(&p->lock);
	return true;
}

static void notify_await_aside(struct platform *p)
{
	mutex_lock(&notify_of(p)->copy_lock);
	mutex_unlock(&notify_of(p)->copy_lock);
}

static void notify_wake(struct platform *p)
{
	if (poller_is_on(notify_of(p)->poller))
		return;
	mutex_lock(&p->lock);
	zygote_step_locked(p, true);
	mutex_unlock(&p->lock);
}

static void notify_kill_locked(struct host_process *process)
{
	kill(process->pid, SIGKILL);
}

static void notify_forget(struct platform_thread *t)
{
	lost_reply_free(t->lost);
	t->lost = NULL;
	place_leave(notify_of(t->p)->places, t);
}

static void notify_stop(struct platform *p)
{
	struct notify *n = notify_of(p);

	poller_let_go(p);
	close(n->listener); /* a stub that rings now ends itself */
	n->listener = -1;
	if (p->reaper_started)
		pthread_join(p->reaper, NULL);
	else
		reap_all(p);
}

static void notify_release(struct platform *p)
{
	struct notify *n = notify_of(p);

	if (n->listener >= 0)
		close(n->listener);
	poller_free(n->poller);
	mutex_destroy(&n->copy_lock);
	mutex_destroy(&n->sync_lock);
	places_free(n->places);
	free(n->notif);
	free(n);
}

const struct platform_backend notify_backend = {
    .name = "notify",
    .build_filter = filter_build_strict,
    .stub_calls = true,
    .boot = notify_boot,
    .start = reaper_start,
    .stop = notify_stop,
    .release = notify_release,
    .receive = notify_next,
    .unanswered = poller_unanswered,
    .wake = notify_wake,
    .reply = notify_reply,
    .can_lend_locked = notify_can_lend_locked,
    .end_lent_locked = notify_end_lent_locked,
    .came_back_locked = notify_came_back_locked,
    .stocked_locked = notify_stocked_locked,
    .copy = notify_copy,
    .receive_aside = notify_receive_meanwhile,
    .await_aside = notify_await_aside,
    .kick_locked = notify_kick_locked,
    .kill_locked = notify_kill_locked,
    .forget = notify_forget,
};
