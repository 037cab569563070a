/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest thread and the sentry share: the channel (one a thread slot), the doorbell's
 * arguments and the boot block. The stub writes the request and reads the reply; the sentry does
 * the reverse. Everything in a channel may be changed by the guest at any moment: the sentry copies
 * the request once and keeps what it ordered in its own memory.
 */
#ifndef PLATFORM_STUB_CHANNEL_H
#define PLATFORM_STUB_CHANNEL_H

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/stat.h"
#include "platform/copyplan.h"
#include "platform/platform.h"
#include "platform/stub/layout.h"

struct stub_place;

/* The doorbell's first argument; the second is the slot and the sequence number, or the token. */
enum bell {
	BELL_EVENT, /* the channel of slot `value >> 32` holds request number `(uint32_t)value` */
	BELL_HELLO, /* a new thread presents the token of the clone that made it */
};

/*
 * channel.state. The stub moves IDLE/REPLY -> REQUEST; the sentry, REQUEST -> SERVING when a bell
 * told it of the request (not when it polls: notify/poll.c), and SERVING or REQUEST -> REPLY.
 * PARKED stands for SERVING: the reply may take long, or needs a bell. COPY and COPIED stand for
 * SERVING, too: the stub copies guest memory for the sentry (stub/copy.c).
 */
enum channel_state {
	CHANNEL_IDLE,
	CHANNEL_REQUEST,
	CHANNEL_SERVING,
	CHANNEL_REPLY,
	CHANNEL_PARKED,
	CHANNEL_COPY,	/* do what channel.copy says */
	CHANNEL_COPIED, /* it is done: a bell says so */
};

#define CHANNEL_WINDOWS	     16
#define CHANNEL_WINDOW_SIZE  0x10000
#define CHANNEL_INHERIT_SIZE 0x3000
#define CHANNEL_STRIDE	     (CHANNEL_WINDOW_SIZE + 0x2000 + CHANNEL_INHERIT_SIZE + PLATFORM_HEAD_SIZE)

/* A copy of guest memory [va, va + size) at `offset` of the window area. */
struct channel_window {
	uint64_t va;
	uint32_t offset;
	uint32_t size; /* room */
	uint32_t have; /* bytes read from the guest, <= size */
	uint32_t writable;
};

#define REQUEST_FAST 0x1u /* a call by the fast entry: a hint, for statistics and for rewriting */
#define REQUEST_PLANNED                                                                            \
	0x2u /* the windows are as plan.h says, those that are read are full: none is described */

#define REQUEST_INHERIT                                                                            \
	0x4u /* channel.inherit is what a thread inherits that this call makes: see inherit.c */

/*
 * The request's head. With state and number it fills a cache line: a call that needs no window, or
 * planned ones, tells the sentry all that it must know in one line, which is what counts when the
 * sentry polls on another CPU.
 */
struct channel_call {
	uint8_t type; /* enum platform_event_type */
	uint8_t flags;
	uint16_t window_count; /* in req.windows; REQUEST_PLANNED: the size of its string */
	uint32_t nr;
	uint64_t arg[6];
};

/* More of a request, and the stub's draft of the head. */
struct channel_request {
	uint16_t type; /* enum platform_event_type */
	uint16_t flags;
	uint32_t window_count;
	struct platform_regs regs;
	struct platform_fault fault;
	struct platform_report report;
	uint64_t clone_tid; /* host id that the last clone returned: a hint, for early deaths */
	struct channel_window windows[CHANNEL_WINDOWS];
};

/* Besides MEMOP_*: a later operation maps the same descriptor. */
#define CHANNEL_MEMOP_KEEP_FD 0x10000u

struct channel_memop {
	uint32_t type, flags, prot;
	int32_t fd_or_advice;
	uint64_t addr, size, offset_or_new_addr, new_size;
};

#define REPLY_SET_RET	  0x01u
#define REPLY_SET_REGS	  0x02u
#define REPLY_SET_FS_BASE 0x04u
#define REPLY_RESTART	  0x08u
#define REPLY_REPORT	  0x10u
#define REPLY_FRAME	  0x20u
#define REPLY_MEMOPS	  0x40u
#define REPLY_ORDER	  0x80u
#define REPLY_INLINE	  0x100u
#define REPLY_KICK	  0x200u /* as if a kick had come just now */
#define REPLY_BEGIN	  0x400u /* of another guest thread, that begins with channel.inherit */

/* Besides PORD_*, in replies that stand in for another thread's (platform/lend.c). */
#define CHANNEL_ORDER_LEND   0x100u /* the host thread is that of clone_slot's thread now */
#define CHANNEL_ORDER_RETURN 0x101u /* it is its lender's again: the reply is in that channel */

#define CLONE_ORDER_MAP_STACK 0x1u /* the slot has not been used in this address space */
#define CLONE_ORDER_DOFORK    0x2u /* the parent's stack is not inherited: let it be, this time */

/* Copies [offset, offset + size) of the window area to guest address va. */
struct channel_writeback {
	uint64_t va;
	uint32_t offset;
	uint32_t size;
};

#define CHANNEL_INLINE 24

/* The reply's head, in the place of the request's: all that most replies say. */
struct channel_result {
	uint32_t flags;
	uint32_t back_count; /* windows to be written back: one is `back`, more are in rep.backs */
	int64_t ret;
	struct channel_writeback back;
	uint8_t data[CHANNEL_INLINE]; /* REPLY_INLINE: what `back` copies, instead of the window */
};

/* What else a reply says, as far as its flags say that there is something. */
struct channel_reply {
	uint32_t memop_count;
	uint32_t order; /* enum platform_order */
	struct platform_regs regs;
	uint64_t fs_base;
	uint64_t va;
	uint32_t atomic_op, atomic_operand, atomic_expected;
	uint32_t clone_kind; /* enum platform_clone */
	uint32_t clone_slot, clone_flags;
	uint64_t clone_token;
	uint32_t fd_count; /* ptrace: descriptors to receive; operations name them by index */
	struct platform_sigframe frame;
	struct channel_writeback backs[CHANNEL_WINDOWS];
};

/* What the trap is for that takes a thread from the fast path into the handler (stub/fast.c). */
enum fast_stage {
	FAST_RETURN,	/* the call is done: back to the guest */
	FAST_REPLY,	/* the sentry's reply is still to be carried out */
	FAST_REPORT,	/* the request is a report to be made */
	FAST_SIGRETURN, /* the call is rt_sigreturn */
};

/* The stub's own notes; to the sentry at most hints. */
struct channel_fast {
	uint64_t stack_top;	 /* of the slot */
	_Atomic uint32_t kicked; /* a kick came while the thread was in the stub's text */
	uint32_t stage;		 /* enum fast_stage */
	uint32_t by_gs;		 /* gs points here: fast.S may use it on the way out */
	uint32_t trapped;	 /* calls that came by a trap and were served here */
	uint64_t cpu_before;	 /* CPU time that the host thread used for others, ns */
	struct stub_place
	    *lender;		 /* of a thread that was lent its host thread: where that one is */
	_Atomic uint32_t asleep; /* it waits for a futex in the host */
	uint32_t ran;		 /* for how long it ran since `woke`, when it rang; in ticks */
	uint64_t woke;		 /* time stamp of the last return from a bell; 0: from none */
	uint32_t spare[2];
};

/*
 * Answers (platform_answers_set), written by the sentry: the value + 1, or 0 if there is none. The
 * first place is never used, so that "no such call" needs no test of its own (fast.S).
 */
#define CHANNEL_ANSWERS_COUNT (PLATFORM_ANSWERS_MAX + 1)

#define CHANNEL_TAIL_SIZE 1024

/* A piece of guest memory, to or from `offset` of the window area and the tail behind it. */
struct channel_copy {
	uint64_t va;
	uint32_t offset, size;
	uint32_t write;
	uint32_t done; /* the stub's answer: bytes copied from the start */
};

/*
 * struct platform_own, and whether the sentry is to be asked. The thread stores a new mask, then
 * looks at `ask`; the sentry sets `ask`, then looks at the mask (local.c).
 */
struct channel_own {
	_Atomic uint64_t blocked, robust_list, clear_tid;
	uint64_t altstack_sp, altstack_size;
	int32_t altstack_flags;
	_Atomic uint32_t ask;
	_Atomic uint32_t ask_memory;
	/* Leases that hold: LEASE_BITS(). Cleared by the sentry at any time, set only while the
	 * thread is stopped (lease.c). */
	_Atomic uint32_t leased;
};

/* What a new thread has of its creator, besides the registers (stub/inherit.c). */
struct channel_inherit {
	uint64_t fs_base, gs_base;
	uint64_t spare[6];
	uint8_t fp[CHANNEL_INHERIT_SIZE - 64]; /* as XSAVE writes it; fp_size of it are used */
};

/* A file that the stub knows (platform_lease_set). */
struct channel_lease {
	_Atomic int64_t pos; /* the thread's own, if has_pos */
	uint64_t size;	     /* of the file */
	uint32_t has_pos;
	uint32_t mapped;
	uint32_t head;	 /* bytes */
	uint32_t device; /* enum platform_lease_device */
	_Atomic uint32_t used;
	struct abi_stat stat __attribute__((aligned(8)));
} __attribute__((aligned(64)));

/* what: PLATFORM_LEASE_* */
#define LEASE_BITS(what, index) ((what) << (index))
_Static_assert(PLATFORM_LEASE_READ << (PLATFORM_LEASES - 1) < PLATFORM_LEASE_STAT, "own bits each");
_Static_assert(PLATFORM_LEASE_STAT << (PLATFORM_LEASES - 1) < PLATFORM_LEASE_HEAD, "own bits each");
_Static_assert(PLATFORM_LEASE_HEAD << (PLATFORM_LEASES - 1) < PLATFORM_LEASE_DEVICE,
	       "own bits each");

struct channel {
	/* One cache line: written by turns. */
	_Atomic uint32_t state;
	uint32_t seq; /* of the request */
	union {
		struct channel_call call;     /* state REQUEST */
		struct channel_result result; /* state REPLY */
	};
	/* And one that is only read, by and large. */
	_Atomic uint32_t tid_word; /* cleared by the host kernel when the slot's thread is gone */
	/* Written by the sentry: it looks at `state`, wait for the reply so many ticks of the time
	 * stamp counter; 0: it doesn't, ring. */
	_Atomic uint32_t spin;
	struct channel_own own;
	struct channel_fast fast __attribute__((aligned(64)));
	_Atomic uint64_t answers[CHANNEL_ANSWERS_COUNT];
	struct channel_request req __attribute__((aligned(64)));
	struct channel_reply rep;
	struct channel_copy copy;
	struct channel_memop memops[PLATFORM_MEMOPS_MAX];
	/* Begins in the first page: many processes never touch another one. */
	uint8_t window[CHANNEL_WINDOW_SIZE] __attribute__((aligned(64)));
	uint8_t tail[CHANNEL_TAIL_SIZE];
	struct channel_inherit inherit __attribute__((aligned(4096)));
	/* A page that is there only once there was a lease. */
	int32_t lease_fd[PLATFORM_LEASES] __attribute__((aligned(4096)));
	struct channel_lease leases[PLATFORM_LEASES];
	uint8_t head[PLATFORM_HEAD_SIZE] __attribute__((aligned(4096)));
} __attribute__((aligned(4096)));
_Static_assert(offsetof(struct channel, tid_word) == 64, "one line");
_Static_assert(sizeof(struct channel) == CHANNEL_STRIDE, "a channel fills its stride");
_Static_assert(offsetof(struct channel, window) <= 3072, "room for windows in the first page");

_Static_assert(sizeof(struct channel_inherit) == CHANNEL_INHERIT_SIZE, "whole pages");
_Static_assert(offsetof(struct channel_inherit, fp) == 64, "XSAVE aligns");

_Static_assert(offsetof(struct channel, fast) == CHANNEL_FAST, "layout.h");
_Static_assert(offsetof(struct channel, fast.stack_top) == CHANNEL_STACK_TOP, "layout.h");
_Static_assert(offsetof(struct channel, fast.kicked) == CHANNEL_KICKED, "layout.h");
_Static_assert(offsetof(struct channel, fast.by_gs) == CHANNEL_BY_GS, "layout.h");
_Static_assert(offsetof(struct channel, answers) == CHANNEL_ANSWERS, "layout.h");
_Static_assert(offsetof(struct channel, req.regs) == CHANNEL_REGS, "layout.h");
_Static_assert(STUB_STACKS + (uint64_t)STUB_SLOTS * STUB_STACK_STRIDE <= STUB_LEASES, "fits");
_Static_assert(STUB_LEASES + PLATFORM_LEASES * PLATFORM_LEASE_SIZE <= STUB_CHANNELS, "fits");
_Static_assert(STUB_CHANNELS >> 32 == STUB_CHANNELS_HI, "fast.S");
_Static_assert((STUB_CHANNELS + (uint64_t)STUB_SLOTS * CHANNEL_STRIDE - 1) >> 32 ==
		   STUB_CHANNELS_HI,
	       "fast.S");
_Static_assert(STUB_CHANNELS + (uint64_t)STUB_SLOTS * CHANNEL_STRIDE <= STUB_REGION_END, "fits");

/* A mapping of the host's vDSO: [start, start + size) relative to the vDSO's ELF header. */
struct stub_vdso_part {
	int64_t start;
	uint64_t size;
};

#define STUB_FILTER_MAX	    384
#define STUB_VDSO_PARTS_MAX 8
#define STUB_PLANS_MAX	    512

#define STUB_ANSWERED_MAX 256 /* calls with a number below can be answered */

/* What the sentry tells the stub once, by writing it into the image. */
struct stub_boot {
	/* Call number -> its place in channel.answers, 0: none. First of all: see fast.S. */
	uint8_t answer_at[STUB_ANSWERED_MAX];
	uint8_t answer_if_own[STUB_ANSWERED_MAX]; /* if the first argument is 0 */
	uint8_t answer_yield;			  /* the place of sched_yield */
	uint64_t token;				  /* the zygote's HELLO */
	uint32_t fsgsbase;
	uint32_t fd_end;      /* without close_range: all descriptors are below; else 0 */
	uint32_t touch_pages; /* madvise has no MADV_POPULATE_* */
	uint32_t host_futex;  /* private futexes are the host's */
	uint32_t own_state;   /* threads keep struct platform_own */
	uint32_t absent_call; /* answered with ENOSYS; 0: none */
	uint32_t pkru,
	    pkru_offset;     /* rights of a fresh thread, in its xsave area; 0: no such CPU */
	uint32_t tell_sites; /* PEV_SITE is wanted */
	uint32_t fp_size;    /* of what threads inherit; 0: they are always new host threads */
	uint64_t fp_mask;    /* the components of it */
	uint32_t ptrace;     /* the sentry is reached by stopping for the tracer */
	uint32_t filter_count;
	uint32_t plan_count;
	uint32_t vdso_part_count;
	int64_t vdso_first; /* start of the lowest part, which goes to STUB_VDSO */
	struct stub_vdso_part vdso_parts[STUB_VDSO_PARTS_MAX]; /* ascending */
	struct sock_filter filter[STUB_FILTER_MAX];
	struct copyplan plans[STUB_PLANS_MAX];
};

/* The flags of the three clones: the filter lets nothing else through, the sentry checks them. */
#define STUB_CLONE_THREAD                                                                          \
	(0x100ul /* VM */ | 0x200ul /* FS */ | 0x400ul /* FILES */ | 0x800ul /* SIGHAND */ |       \
	 0x10000ul /* THREAD */ | 0x40000ul /* SYSVSEM */ | 0x200000ul /* CHILD_CLEARTID */)
#define STUB_CLONE_FORK	 (0x8000ul /* PARENT */ | 17 /* SIGCHLD */)
#define STUB_CLONE_VFORK (STUB_CLONE_FORK | 0x100ul /* VM */ | 0x200000ul /* CHILD_CLEARTID */)

#endif
