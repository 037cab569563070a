/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the platform share. Guards: [I] set before publication, [p] platform.lock,
 * [t] platform_thread.lock, [o] the sentry thread that owns the stopped thread, [L] the one in
 * platform_next, [a] atomic.
 *
 * Lock order:
 *	notify.copy_lock	memory that a stub copies; below every lock of the sentry
 *	platform.lock		who is who: ids, processes, slots, clones under way, deaths
 *	  platform_thread.lock	state of one thread, its present notification, what was ordered
 *	  platform.arena_lock	where channel files are mapped
 *	  places.lock		who was left on which CPU
 * No callback is made with either held. Both are below every lock of the sentry.
 */
#ifndef PLATFORM_INTERNAL_H
#define PLATFORM_INTERNAL_H

#include <linux/seccomp.h>
#include <linux/types.h>
#include <stdatomic.h>

#include "base/feature.h"
#include "base/idmap.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/refcount.h"
#include "base/stats.h"
#include "platform/platform.h"
#include "platform/stub/channel.h"
#include "platform/stub/layout.h"

#define RANK_PLATFORM_COPY   85
#define RANK_PLATFORM	     86
#define RANK_PLATFORM_THREAD 88
#define RANK_PLATFORM_ARENA  89
#define RANK_PLATFORM_PLACE  90

#define CHANNELS_SIZE ((uint64_t)STUB_SLOTS * CHANNEL_STRIDE)

enum thread_state {
	THREAD_PREPARED, /* never ordered */
	THREAD_ORDERED,	 /* a clone that will make it was ordered; waits for its HELLO */
	THREAD_RUNNING,
	THREAD_STOPPED,
	THREAD_DEAD,
};

/* A host process: one stub process with all its threads. */
struct host_process {
	struct refcount refs; /* one a thread, and one until it is reaped */
	pid_t pid;	      /* [I] */
	atomic_int
	    vm_tid; /* [a] written with [p]: a thread of it that is there, for process_vm_* */
	struct platform_mm *mm; /* [I] a reference */
	bool dead;		/* [p] reaped, or about to be: pid must not be used any more */
	bool killed;		/* [p] by platform_kill */
	struct list doom_link;	/* [p] in platform.doomed, with a reference */
	struct list threads;	/* [p] platform_thread.process_link */
	struct list mm_link;	/* [p] in platform_mm.processes */
	struct list kill_link;	/* [p] of the backend */
	struct list stock;	/* [p] platform_thread.link: host threads without a guest thread */
	uint32_t stock_count;	/* [p] of these, and of those that are prepared for a new one */
};

struct platform_mm {
	struct platform *p; /* [I] */
	struct refcount refs;
	int channel_fd;		     /* [I] all channels of this address space */
	struct channel *home;	     /* [I] that of the first slot */
	struct channel *rest;	     /* [p] STUB_SLOTS of them once a second slot was taken; touched
					ones exist */
	atomic_int vm_id;	     /* [a] process_vm_id of a living process of it; 0: none */
	atomic_bool born;	     /* [a] it has, or had, a process; or will never have one */
	struct list processes;	     /* [p] */
	uint32_t first_slot;	     /* [I] of its first thread */
	uint32_t slot_high;	     /* [p] others from here on were never used */
	struct list free_slots;	     /* [p] struct free_slot */
	struct channel_arena *arena; /* [I] where home lies */
	uint32_t place;		     /* [I] and which of its places it is */
	bool had_process;	     /* [p] it is more than prepared */
	bool cloned;		     /* [p] one of its threads was ordered to clone */
};

/* A slot that was used; free once the host kernel has cleared the channel's tid_word. */
struct free_slot {
	struct list link;
	uint32_t slot;
	bool gone;  /* the host process is reaped: no need to look at the word */
	bool fresh; /* its stack was never mapped */
};

/* The sentry's own copy of a window, and what it has written there. */
struct window {
	uint64_t va;
	uint32_t offset, size, have;
	bool writable;
	uint32_t low, high; /* [low, high) was written: goes back to the guest */
};

/*
 * What a handler writes for the guest, if it is no more, goes to the channel with the reply: its
 * lines are at the other CPU, and the next atomic instruction would wait for them.
 */
#define SMALL_MAX 256

struct lost_reply;
struct tracee;

/* What the last reply asked for, as far as the next event can be checked against it. */
struct ordered {
	enum platform_order order;
	uint32_t memop_count;
	bool report, frame;
};

struct platform_thread {
	struct refcount refs;	  /* the sentry's handle, the poller */
	struct platform *p;	  /* [I] */
	struct platform_mm *mm;	  /* [I] */
	struct channel *ch;	  /* [I] shared with the guest */
	uint32_t slot;		  /* [I] */
	enum platform_clone kind; /* [I] */
	void *cookie;		  /* [I], but for a spare that is claimed: [p] */

	struct host_process *process; /* [p] NULL until HELLO; never changes then */
	struct host_process *creator; /* [p] process of the thread that clones it, until HELLO */
	struct list process_link;     /* [p] in host_process.threads */
	/* A clone that was ordered and of which nothing more is known: both ways. */
	struct platform_thread *clone_child, *ordered_by; /* [p] */
	bool child_told;  /* [p] the sentry has heard of the last clone's child: born, or dead */
	struct list link; /* [p] outstanding, spares, spawn, ready or deaths */
	uint64_t token;	  /* [p] of its HELLO */
	uint32_t asked;	  /* [p] how often its clone was let through */
	pid_t tid_hint;	  /* [p] what its creator says that the clone returned */
	bool spare;	  /* [p] a stub process, or thread in stock, that nobody uses yet */
	bool internal;	  /* [p] the zygote */
	bool kick_pending, kill_pending; /* [p] asked for before HELLO */
	bool death_by_host;		 /* [p] for the callback */

	/* lend.c. Both are written with [p] and that thread's [t], so each alone is good to read. */
	struct platform_thread *lent_to; /* runs in our host thread; we wait */
	struct platform_thread *lender;	 /* whose host thread we run in, while it lives */
	struct channel
	    *begins_from; /* [t] what our first reply is to bring our lender's host thread from */
	struct channel
	    *returns_from; /* [t] what the next reply is to bring our host thread back from */
	struct channel *lend_channel; /* [p] of the slot that is kept for the next child, or NULL */
	uint32_t lend_slot;	      /* [p] and its number */
	bool lend_fresh;	      /* [p] and whether it has no stack yet */

	/* thread_stock.c */
	bool in_stock;	    /* [p] its host thread waits for a guest thread to come */
	bool taken;	    /* [p] and is prepared for one: the sentry has a handle */
	bool awaits_parent; /* [p] which was ordered, and begins when its parent is heard of */
	bool again;	    /* [I] it is one of those, or was in its time */
	bool begins;   /* [t] the next reply is its first one in a host thread that was in stock */
	bool inherits; /* [o] the call makes a thread, and brings what that inherits */
	bool inherit_seen; /* [o] the same, since the program began */

	struct mutex lock;
	_Atomic(enum thread_state)
	    state;		  /* [t], until HELLO [p]; to DEAD with both held; read by any */
	pid_t tid;		  /* [t] 0 until HELLO */
	bool bell;		  /* [t] while STOPPED: it waits in a doorbell that we received */
	bool kick_in_reply;	  /* [t] a kick that the next reply brings */
	uint64_t notif_id;	  /* [t] of that doorbell */
	uint64_t seq;		  /* [t] of the last request taken */
	bool hello;		  /* [t] its first reply answers the HELLO */
	bool own_stack_inherited; /* [I] its slot's stack is inherited by forks */
	bool slot_fresh;	  /* [I] its slot has no stack yet */
	bool channel_sent;	  /* [t] of a new process: it has been answered */
	bool slot_kept;		  /* [p] its lender has the slot, when it is dead */
	bool begun;	 /* [t] of one that was lent a host thread: it had its first reply */
	bool over;	 /* [t], written with [p] too: it is to end when it is next heard of */
	bool copying;	 /* [t] while STOPPED: notify/copy.c uses it, replies must wait */
	bool had_leases; /* [o] since the program began */
	bool to_lend;	 /* [t] notify/copy.c takes it as soon as it stops */
	struct ordered ordered;	 /* [t] */
	struct lost_reply *lost; /* [t] a reply that could not be handed over */
	struct list place;	 /* notify/place.c: in struct places */
	uint64_t replied;	 /* [places.lock] time stamp of the reply that put it there */
	/* [t] how long it runs between calls, in ticks; 0: it has just begun. Read by any. */
	_Atomic uint64_t run_average;
	bool watched;		   /* [L] notify/poll.c: its channel is polled */
	uint32_t streak;	   /* [L] calls in a row that came fast */
	uint64_t heard;		   /* [L] time stamp of the last bell */
	bool regs_known;	   /* [o] regs has been read; else it is in the channel still */
	struct tracee *tracee;	   /* [t] and [p]: the ptrace platform's view of it */
	struct platform_regs regs; /* [o] of the last event */
	uint32_t window_count;	   /* [o] */
	uint32_t call_nr;	   /* [o] of the last event; PLATFORM_CALLS_MAX: it was no call */
	/* [o] the window whose only content are the bytes in small: they are not in the channel */
	struct window *small_of;
	uint8_t small[SMALL_MAX];
	uint32_t window_high; /* [o] windows were seen up to here, since the program began */
	struct window windows[CHANNEL_WINDOWS];
};

/* Counted by each thread for itself (base/stats.h). */
enum platform_counter {
	PLATFORM_COUNT_BEFORE_FIRST = STATS_PLATFORM - 1,
#define PLATFORM_FIELD(name, text) PLATFORM_COUNT_##name,
	PLATFORM_COUNTERS(PLATFORM_FIELD)
#undef PLATFORM_FIELD
	    PLATFORM_COUNT_END,
};
_Static_assert(PLATFORM_COUNT_END <= STATS_SENTRY, "base/stats.h");

#define count_stat(field)  stats_add(PLATFORM_COUNT_##field, 1)
#define add_stat(field, n) stats_add(PLATFORM_COUNT_##field, n)

#define EARLY_DEAD_MAX 64

struct platform {
	const struct platform_callbacks *callbacks; /* [I] */
	const struct platform_backend *backend;	    /* [I] */
	void *state;				    /* [I] the backend's own */
	int proc_fd;				    /* [I] of /proc's root, or -1 */
	uint64_t without, force;		    /* [I] FEATURE_BIT()s */
	const struct copyplan *copyplans;	    /* [I] */
	uint32_t copyplan_count;		    /* [I] */
	uint32_t spare_target;			    /* [I] */
	uint32_t answer_count;			    /* [I] */
	uint64_t vdso_size, vdso_code_offset;	    /* [I] */
	bool fsgsbase;				    /* [I] */
	uint32_t
	    inherit_size; /* [I] what is used of channel.inherit; 0: there is no thread stock */
	struct platform_stats stats_before; /* [I] what was counted before it was made */
	atomic_uint copied_by_call[PLATFORM_CALLS_MAX]; /* [a] */

	struct mutex arena_lock;
	struct channel_arena *arena; /* [arena_lock] the one with free places */
	struct channel_stock
	    *stock; /* [I] channel files for the next address spaces (channels.c) */

	struct mutex lock;
	struct idmap tids;	   /* [p] host tid -> platform_thread */
	struct idmap pids;	   /* [p] host pid -> host_process, living */
	struct list outstanding;   /* [p] ORDERED threads */
	struct list spares;	   /* [p] STOPPED, waiting for platform_mm_new */
	struct list spawn;	   /* [p] PREPARED, for the zygote to make */
	struct list ready;	   /* [p] PEV_STARTED to be delivered */
	struct list deaths;	   /* [p] `dead` to be called */
	struct list doomed;	   /* [p] host_process.doom_link: to be killed in a quiet moment */
	atomic_uint births;	   /* a futex: of address spaces that somebody waits for */
	atomic_uint birth_waiters; /* [a] */
	atomic_bool any_doomed;	   /* [a] written with [p] */
	struct list deferred;	   /* [p] struct deferred_event: received, to be delivered */
	/* [L] to write; of the event that platform_next returned last */
	struct platform_thread *_Atomic delivering;
	struct platform_thread *zygote;	  /* [I] after boot */
	uint32_t spares_coming;		  /* [p] spares in spawn or being made */
	pid_t early_dead[EARLY_DEAD_MAX]; /* [p] processes that died before their HELLO */
	uint32_t early_dead_next;	  /* [p] */
	uint32_t processes;		  /* [p] living host processes known */
	uint32_t stock_count;		  /* [p] host threads in stock or prepared */
	bool broken;			  /* [p] */

	atomic_bool attention;	    /* [a] something is in ready or deaths, interrupted or broken */
	atomic_bool in_recv;	    /* [a] somebody is, or is about to be, in backend->receive */
	atomic_bool side_recv;	    /* [a] another thread looks at what there is to receive */
	atomic_bool interrupted;    /* [a] platform_interrupt was called */
	atomic_bool stopping;	    /* [a] */
	_Atomic uint32_t computing; /* [a] threads of the sentry that compute: platform_computes */
	bool reaper_started;	    /* [I] */
	pthread_t reaper;	    /* [I] */
};

/* thread.c: objects and their life. */
struct platform_mm *mm_create(struct platform *p, uint32_t first_slot, int *ret_err);
void platform_mm_put(struct platform_mm *mm);
struct platform_thread *thread_create(struct platform_mm *mm, uint32_t slot,
				      enum platform_clone kind, void *cookie);
/* Drops a reference; the last one frees it. */
/*
 * Until a new address space has its first process (a clone that was ordered takes its time), or
 * never will; bounded. Whoever else receives meanwhile must need no lock that the caller holds to
 * do so.
 */
void mm_await_birth(struct platform_mm *mm);
void platform_thread_unref(struct platform_thread *t);
/* Caller holds p->lock. -EAGAIN if there are none left. *ret_fresh: its stack is to be mapped. */
int slot_take_locked(struct platform_mm *mm, uint32_t *ret_slot, bool *ret_fresh);
void slot_release_locked(struct platform_mm *mm, uint32_t slot, bool gone, bool fresh);
/* The clone that makes child is ordered from parent. Caller holds p->lock. */
void clone_order_locked(struct platform_thread *parent, struct platform_thread *child);
/* The clone was settled, and failed: the sentry hears of it, and puts the child. Caller holds
 * p->lock. */
void clone_failed_locked(struct platform_thread *child);
/* The child is as it was before clone_order_locked. Caller holds p->lock. */
void clone_taken_back_locked(struct platform_thread *child);
/* The child's fate is known. Caller holds p->lock. */
void clone_settled_locked(struct platform_thread *child);
/* Gives the thread that a clone made its identity, and its process. Caller holds p->lock. */
void thread_bind_locked(struct platform_thread *t, pid_t tid);
/* The host process is gone: all its threads, and what it was to make, go on the list of deaths. */
void process_died_locked(struct platform *p, struct host_process *process);
/* Takes the thread out of everything and queues the `dead` callback. Caller holds p->lock. */
void thread_dies_locked(struct platform_thread *t, bool by_host);
/* Calls the sentry back for queued deaths. No lock held. */
void run_deaths(struct platform *p);
void process_kill_locked(struct host_process *process);
/*
 * That thread will be told to exit, while its process goes on: the memory is had through another one,
 * if there is one. (The first one's id is the process's, but once it is gone the host finds no
 * memory there.) Caller holds p->lock.
 */
void process_vm_moves_locked(struct host_process *process, pid_t gone);
/* The id of its first thread, if that is there; else that of another one, negative: the host may
 * have given that to another process since (usermem.c). */
static inline pid_t process_vm_id(const struct host_process *process)
{
	pid_t tid = atomic_load_explicit(&process->vm_tid, memory_order_relaxed);

	return tid == process->pid ? tid : -tid;
}
/* To be killed by the next platform_settle. Caller holds p->lock. */
void process_doom_locked(struct host_process *process);
uint64_t random_token(void);

/* lend.c; callers hold p->lock. */
/* The child is dead for the sentry; its host thread waits in the bell that is given. */
void lend_over_locked(struct platform_thread *child);
/* platform_kill of t: true, if that was all there is to do. */
bool lend_kill_locked(struct platform_thread *t);
/* t dies: whoever it shares a host thread with is alone now. */
void lend_forget_locked(struct platform_thread *t);
/* A slot for a child of t: as slot_take_locked. */
int lend_slot_locked(struct platform_thread *t, uint32_t *ret_slot, bool *ret_fresh);

/* thread_stock.c */
bool stock_is_on(const struct platform *p);
/* t was told to exit: its host thread is kept, and t is dead. False: it must end. */
bool stock_keep(struct platform_thread *t);
/* A host thread for the child of t, which is the sentry's now; or NULL. Caller holds p->lock. */
struct platform_thread *stock_take_locked(struct platform_thread *t, void *cookie);
/* The child of that kind isn't wanted. Caller holds p->lock. */
void stock_put_back_locked(struct platform_thread *child);
/*
 * PORD_CLONE of such a child: it is started, or will be when the parent is next heard of, who need
 * do nothing for it. Caller holds p->lock.
 */
void stock_start_locked(struct platform_thread *parent, struct platform_thread *child,
			const struct platform_reply *r);
/* The parent is heard of. Caller holds p->lock. */
void stock_settle_locked(struct platform_thread *child, bool failed);
/* t's process is dead, and t one of the stock's. Caller holds p->lock. */
void stock_died_locked(struct platform_thread *t, bool by_host);

/* channels.c: the channel file of an address space. 0 or negative errno. */
int channels_map(struct platform_mm *mm);
/* NULL: no room to map it. Caller holds p->lock. Doesn't fail for one that was asked for before. */
struct channel *channel_of_locked(struct platform_mm *mm, uint32_t slot);
void channels_unmap(struct platform_mm *mm);
void channels_create(struct platform *p);
void channels_destroy(struct platform *p);

/* reply.c */
/* One of the reply's memory operations can fail. */
bool memops_can_fail(const struct platform_reply *r);
void reply_encode(struct platform_thread *t, const struct platform_reply *r);

/* usermem.c: a window's content that was kept out of the channel goes there. By the owner. */
void small_spill(struct platform_thread *t);

/* request.c: copies the channel's request; false if it makes no sense. Caller holds t->lock. */
bool request_decode(struct platform_thread *t, struct platform_event *ret_event);

/* platform.c */
/* Gives the zygote something to do, if it waits. Caller holds p->lock. */
void zygote_step_locked(struct platform *p, bool wake);
/* As many processes as are to be kept ready. No lock held. */
void replenish_spares(struct platform *p);
/* The event is left for platform_next. Caller holds p->lock. */
void event_defer_locked(struct platform *p, const struct platform_event *ev);
/* Those of a thread that is dead now are dropped. Caller holds p->lock. */
void event_drop_locked(struct platform_thread *t);
/* Makes platform_next look at its queues. No lock held. */
void nudge(struct platform *p);
/* A thread has just reported for the first time: 1 with the event, or 0. Caller holds p->lock. */
int thread_started_locked(struct platform_thread *t, struct platform_event *ret_event);

/* checks.c; callers hold t->lock. */
bool clone_is_ordered_locked(struct platform_thread *t, const __u64 args[6]);
bool event_follows(const struct platform_thread *t, const struct platform_event *ev);
/* The event tells that the clone that was ordered was not made. */
bool clone_has_failed(const struct platform_event *ev);

/*
 * zygote.c: process_died_locked, and if it was the zygote, another takes its place. False: there is
 * none; the caller, when it holds no lock any more, tells the sentry. Caller holds p->lock.
 */
bool process_gone_locked(struct platform *p, struct host_process *process);

/* image.c: a sealed memfd with the stub's ELF file, boot block filled in. Negative errno. */
int stub_image_make(struct platform *p, const struct platform_config *config, uint64_t token);

/* spawn.c */
struct stub_child {
	int image;	/* to be executed */
	bool share_fds; /* the child has the sentry's descriptor table up to its exec */
	/* Called in the child, which shares our memory, just before exec. < 0, with `failed`. */
	int (*confine)(struct stub_child *c);
	volatile int error;	     /* out */
	const char *volatile failed; /* out */
};
void drop_capabilities(void);
/* The child's host id, or negative errno; it is a zombie already if c->error is set. */
pid_t stub_spawn(struct stub_child *c);

#endif
