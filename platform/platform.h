/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract between the sentry and what runs guest code (docs/architecture.md, "Platform").
 *
 * Objects. A `platform` serves one sandbox. A `platform_mm` is a guest address space (host memory
 * of one or, after vfork, several host processes). A `platform_thread` is one guest thread: a host
 * thread that is at every moment in one of three states:
 *
 *	RUNNING   executes guest code or stub code; the sentry owes it nothing.
 *	STOPPED   has reported an event and waits for platform_reply; its registers are known. Only
 *	          now may windows and platform_reply be used, by whoever the sentry lets own the
 *	          thread (one at a time).
 *	DEAD      its host thread is gone, or will go without doing anything more for the guest.
 *
 * Every event but `dead` stops the thread; exactly one platform_reply sets it going again. Replies
 * may come from any sentry thread, at any later time. `dead` is the last thing heard of a thread,
 * comes exactly once for each thread that was started, from a thread of the platform's own, and may
 * come while the sentry handles an event of that thread (a reply is then a harmless no-op).
 *
 * What comes from a stopped thread is hostile: numbers, arguments, registers and windows are values
 * the guest chose. The identity of the thread is the platform's word and can be trusted.
 *
 * What a reply asks for is done by the guest's own thread before it goes on, in this order:
 *	1. write-back of windows that the sentry wrote to,
 *	2. memory operations, one after the other,
 *	3. the single `order` (clone, signal return, atomic operation, exit),
 *	4. the registers / result, fs base,
 *	5. the signal frame.
 * If 2, 3 or 5 fails, or if `report` is asked for, the thread stops again with PEV_REPORT instead
 * of going on to guest code. A fault in 1 turns the result of the call into -EFAULT.
 */
/*
 * Who may do what. Each operation below says what must hold before it, which thread of the sentry
 * may call it, and what it does not do. Debug builds check that (facade.c) and end the process of
 * whoever breaks it. In general:
 *	- The owner of a STOPPED thread is the one thread of the sentry that handles its event, or
 *	  to which that one has handed it over. Operations for the owner are never called by two
 *	  at once. A thread that dies meanwhile is still its owner's until it is put.
 *	- No operation waits for guest code to run, with one exception: where the host forbids
 *	  access to guest memory, platform_read and platform_write have a stopped thread of the
 *	  guest copy, and end its process if it doesn't.
 *	- No operation but platform_next calls back. All may be called with locks of the sentry
 *	  held, except platform_next, platform_settle, platform_start and platform_destroy.
 *	- A handle is valid from the operation that returned it to platform_thread_put. Using it
 *	  afterwards is an error, whatever has become of the thread.
 */
#ifndef PLATFORM_PLATFORM_H
#define PLATFORM_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#if defined(DEBUG) && defined(PLATFORM_IMPLEMENTATION)
#include "platform/plain.h"
#endif

struct abi_stat;
struct copyplan;
struct platform;
struct platform_mm;
struct platform_thread;

/* Guest addresses lie in [PLATFORM_GUEST_MIN, PLATFORM_GUEST_MAX); the stub lives above. */
#define PLATFORM_GUEST_MIN 0x10000ull
#define PLATFORM_GUEST_MAX 0x7ffe00000000ull

/* x86-64 general registers. At a call rax and orig_rax hold the number. */
struct platform_regs {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8;
	uint64_t rax, rcx, rdx, rsi, rdi, orig_rax;
	uint64_t rip, rflags, rsp;
};

#define PLATFORM_SITE_EACH 8

enum platform_event_type {
	PEV_CALL,    /* system call: call.nr, call.arg[]; regs.rip is behind the call */
	PEV_FAULT,   /* host fault at a guest instruction: fault */
	PEV_KICKED,  /* stopped between two guest instructions because of platform_kick */
	PEV_REPORT,  /* what a reply asked for is done or failed: report */
	PEV_STARTED, /* a new thread exists and waits for its first reply */
	/* A call that trapped was served without the sentry; told each PLATFORM_SITE_EACH times, so
	 * that it learns which sites to rewrite. regs.rip is behind the call; else as PEV_KICKED.
	 */
	PEV_SITE,
};

struct platform_fault {
	int signo;		     /* SIGSEGV, SIGBUS, SIGFPE, SIGILL or SIGTRAP */
	int code;		     /* si_code */
	uint64_t addr;		     /* si_addr */
	uint64_t trapno, error_code; /* as in the signal frame of x86 */
};

enum platform_report_step {
	PREP_DONE,  /* everything was done */
	PREP_MEMOP, /* memops[memop_index] failed, those behind it were not tried */
	PREP_ORDER, /* the order failed */
	PREP_FRAME, /* the signal frame could not be written or read */
};

struct platform_report {
	enum platform_report_step step;
	uint32_t memop_index;
	int error;	/* negative errno of the failure, else 0 */
	uint64_t value; /* PORD_ATOMIC: the old value (step PREP_DONE) */
};

struct platform_event {
	enum platform_event_type type;
	void *cookie; /* the sentry's task, as given when the thread was made */
	struct platform_thread *thread;
	union {
		struct {
			uint64_t nr;
			uint64_t arg[6];
			bool fast; /* from a rewritten call site: the guest's word, a hint */
		} call;
		struct platform_fault fault;
		struct platform_report report;
	};
};

enum memop_type {
	MEMOP_MMAP_ANON, /* at addr exactly (what is there is replaced): size, prot, flags */
	MEMOP_MMAP_FD,	 /* the same, of fd at offset; fd is the sentry's, borrowed during the reply
			  */
	MEMOP_MUNMAP,
	MEMOP_MPROTECT,
	MEMOP_MREMAP,  /* addr, size -> new_addr (exactly; may equal addr), new_size */
	MEMOP_MADVISE, /* advice: the values of MADV_* that the filter lets through */
	MEMOP_VDSO,    /* puts the vDSO (platform_vdso_size bytes: vvar and code) at addr */
	MEMOP_WRITE,   /* data[0..size) to addr, where an earlier operation mapped what can be
			  written */
	MEMOP_ZERO,    /* zeroes [addr, addr+size), likewise */
	/*
	 * The first operation of a reply: unmaps all guest memory, whatever the sentry knows of it,
	 * and leaves nothing of the program that ran here: FP state, stub stack and channel are
	 * those of a new process. addr: where the vDSO is (as MEMOP_VDSO put it; 0 if there is
	 * none), which MEMOP_VDSO can then put somewhere else. Only if platform_can_clear(thread).
	 */
	MEMOP_CLEAR,
};

#define MEMOP_SHARED	0x1u /* MAP_SHARED instead of MAP_PRIVATE */
#define MEMOP_NORESERVE 0x2u
#define MEMOP_POPULATE	0x4u
#define MEMOP_DONTUNMAP 0x8u  /* mremap */
#define MEMOP_MAY_FAIL	0x10u /* MEMOP_WRITE, MEMOP_ZERO: a fault there is nobody's concern */
/* MEMOP_MMAP_FD, MEMOP_MUNMAP: of the content of lease number `addr`. Whether it worked is nobody's
 * concern either. */
#define MEMOP_LEASE 0x20u

struct memop {
	enum memop_type type;
	uint32_t flags;
	uint32_t prot;	/* PROT_* */
	int32_t advice; /* MADV_* */
	int fd;
	uint64_t addr, size, offset, new_addr, new_size;
	const void *data; /* borrowed during the reply */
};

#define PLATFORM_MEMOPS_MAX 24 /* in one reply; for more: several replies with `report` */
/* Bytes of MEMOP_WRITE in one reply, each rounded up to 8, with those of windows written to. */
#define PLATFORM_WRITES_MAX 0x10000

enum platform_order {
	PORD_NONE,
	PORD_CLONE,	/* bring `child` (platform_clone_prepare) to life; it reports PEV_STARTED */
	PORD_SIGRETURN, /* take down the rt_sigframe whose ucontext is at `va`, registers come from
			   it */
	PORD_ATOMIC,	/* one read-modify-write of a 32-bit word at `va`; implies `report` */
	PORD_EXIT,	/* this host thread ends (never the last thread of a host process) */
};

enum platform_atomic { PATOM_SET, PATOM_ADD, PATOM_OR, PATOM_ANDN, PATOM_XOR, PATOM_CMPXCHG };

/* What the stub needs to push a Linux rt_sigframe (arch/x86/kernel/signal_64.c). */
struct platform_sigframe {
	uint64_t handler, restorer; /* restorer: the frame's return address */
	uint64_t stack_top;	    /* the frame goes below; the sentry has left out the red zone */
	uint64_t stack_low;	    /* ... and above this, or fails; 0: anywhere */
	uint64_t sigmask;	    /* saved in uc_sigmask */
	uint64_t altstack_sp, altstack_size; /* saved in uc_stack */
	int32_t altstack_flags;
	int32_t signo;
	uint64_t trapno, error_code, cr2; /* of a fault; 0 otherwise */
	uint8_t siginfo[128];
};

struct platform_reply {
	/* Registers: kept (default), or set_ret (rax = ret), or set_regs (all). */
	bool set_ret;
	bool set_regs;
	bool set_fs_base;
	bool restart; /* the call is made again, after the frame's handler if there is a frame */
	bool report;  /* stop with PEV_REPORT when all is done */
	int64_t ret;
	struct platform_regs regs; /* orig_rax is ignored */
	uint64_t fs_base;

	const struct memop *memops;
	uint32_t memop_count;

	enum platform_order order;
	struct platform_thread *child; /* PORD_CLONE */
	uint64_t va;		       /* PORD_SIGRETURN, PORD_ATOMIC */
	enum platform_atomic atomic_op;
	uint32_t atomic_operand, atomic_expected;

	const struct platform_sigframe *frame; /* or NULL */
};

enum platform_clone {
	PCLONE_THREAD, /* shares the memory and the host process */
	PCLONE_FORK,   /* copy of the memory */
	PCLONE_VFORK,  /* shares the memory, has its own host process */
	/* Shares the memory, and runs in the host thread of its parent, who stays STOPPED until it
	 * is dead (platform_lend). It can make no threads. */
	PCLONE_LENT,
};

/* The sentry's side, called by the platform with no lock of the platform held. */
struct platform_callbacks {
	/* The thread is dead. killed_by_host: nobody in the sentry asked for it (an OOM kill, a
	 * kill from outside, a guest that broke the filter). */
	void (*dead)(void *cookie, struct platform_thread *t, bool killed_by_host);
	/* The platform can't go on (the zygote is dead, and no spare can take its place): the
	 * sentry must end the sandbox. Once, from a thread of the platform's own. */
	void (*broken)(void *broken_cookie, const char *why);
	void *broken_cookie;
};

/*
 * A call whose result is a number that the sentry knows beforehand: the stub answers it from what
 * platform_answers_set left there. own: only if its first argument (an int) is 0. The host's own
 * sched_yield is made on top of the answer, if that is the call.
 */
struct platform_answer_call {
	uint16_t nr;
	bool own;
};
#define PLATFORM_ANSWERS_MAX 15

/*
 * What a guest thread keeps by itself where platform_own_state says so. Its stub makes these calls
 * without the sentry: rt_sigprocmask, rt_sigreturn (if nothing but the mask changes),
 * set_robust_list, set_tid_address (if gettid is answered), and madvise with MADV_DONTNEED and
 * MADV_FREE, which is the host's. All values are ones that the guest may
 * choose freely; a guest that writes others fools itself.
 */
struct platform_own {
	uint64_t blocked; /* signals, bit signo-1 */
	uint64_t robust_list, clear_tid;
	/* Told to the stub, not asked back: a return from a handler that restores another one is
	 * the sentry's. */
	uint64_t altstack_sp, altstack_size;
	int32_t altstack_flags; /* without SS_ONSTACK */
};

/*
 * A lease: a file of which the thread may read content and attributes by itself, without a call of
 * the sentry, until that is taken back (stub/lease.c). What each of them allows:
 */
#define PLATFORM_LEASE_READ   0x0000001u /* read, pread64 and lseek below `size` */
#define PLATFORM_LEASE_STAT   0x0000100u /* fstat */
#define PLATFORM_LEASE_HEAD   0x0010000u /* with READ, of what is in the head: one at a time */
#define PLATFORM_LEASE_DEVICE 0x1000000u /* what `device` says */
#define PLATFORM_LEASE_ALL                                                                         \
	(PLATFORM_LEASE_READ | PLATFORM_LEASE_STAT | PLATFORM_LEASE_HEAD | PLATFORM_LEASE_DEVICE)
#define PLATFORM_LEASES	    8 /* a thread */
#define PLATFORM_LEASE_SIZE (64ull << 20)
#define PLATFORM_HEAD_SIZE  8192
enum platform_lease_device {
	PLATFORM_DEVICE_READ_END = 1,	/* reads find the end */
	PLATFORM_DEVICE_READ_ZEROS = 2, /* reads find zeros */
	PLATFORM_DEVICE_WRITE = 4,	/* what is written is gone */
};
struct platform_lease {
	int32_t fd;		     /* as the guest calls it */
	bool has_pos;		     /* the thread keeps the file's position */
	int64_t pos;		     /* if has_pos */
	uint64_t size;		     /* of the file */
	bool mapped;		     /* the first PLATFORM_LEASE_SIZE bytes of it */
	uint32_t head;		     /* so many bytes of its beginning are in platform_lease_head */
	uint32_t device;	     /* enum platform_lease_device */
	const struct abi_stat *stat; /* as fstat gives it; borrowed */
};

struct platform_config {
	const char *name; /* "notify", "ptrace", or NULL for the best that the host offers */
	const struct platform_callbacks *callbacks;
	const struct copyplan *copyplans; /* indexed by call number; they must stay */
	uint32_t copyplan_count;
	const struct platform_answer_call *answer_calls; /* PLATFORM_ANSWERS_MAX at most */
	uint32_t answer_count;
	uint16_t absent_call; /* one that the stub may answer with ENOSYS by itself; 0: none */
	uint32_t cpus;	      /* how many the sandbox may use at once; 0: all it may run on */
	uint32_t spare_count; /* stub processes kept ready for exec */
	uint64_t without;     /* FEATURE_BIT()s (base/feature.h) not to be used */
	uint64_t force;	      /* and to be used at every chance */
	int proc_fd; /* a /proc that shows this process (borrowed); <= 0: the one at /proc */
	/* Where the host executes no memory files: a directory, seen by nobody else, in which a
	 * program can be written and executed (borrowed during platform_new); <= 0: none. */
	int exec_dir_fd;
};

/* What the platform counts, name and meaning. `runsc debug --stats` shows whatever is listed here.
 */
#define PLATFORM_COUNTERS(X)                                                                       \
	X(calls, "system calls that reached the sentry")                                           \
	X(fast_calls, "of the calls: from rewritten call sites")                                   \
	X(faults, "faults of guest instructions")                                                  \
	X(kicks, "threads stopped on the sentry's wish")                                           \
	X(reports, "reports of what a reply asked for")                                            \
	X(doorbells, "host notifications received")                                                \
	X(window_reads, "guest memory read from a window")                                         \
	X(window_writes, "guest memory written through a window")                                  \
	X(vm_reads, "process_vm_readv, or what stands in for it")                                  \
	X(vm_writes, "process_vm_writev, or what stands in for it")                                \
	X(stub_copies, "of these: copied by the guest's own thread")                               \
	X(forks, "host processes cloned by guests")                                                \
	X(lent, "vforks whose child ran in its parent's host thread")                              \
	X(threads, "host threads cloned by guests")                                                \
	X(threads_again, "new threads in the host threads of others that had ended")               \
	X(execs, "fresh stub processes taken")                                                     \
	X(reaped, "host processes reaped")                                                         \
	X(memops, "memory operations ordered")                                                     \
	X(addfds, "descriptors handed in")                                                         \
	X(polled, "requests that were found in a channel, without a notification")                 \
	X(poll_starts, "times that channels began to be polled")                                   \
	X(poll_preempted, "times that they ceased to be because the CPU was wanted")               \
	X(spins_expired, "bells of threads that were polled: out of patience")                     \
	X(replies_here, "replies to notifications that wake on the replier's CPU")                 \
	X(replies_away, "replies to notifications that wake where the host likes")                 \
	X(replies_apart, "of these: so that two threads don't get in each other's way")

#define PLATFORM_CALLS_MAX 512

struct platform_stats {
#define PLATFORM_FIELD(name, text) uint64_t name;
	PLATFORM_COUNTERS(PLATFORM_FIELD)
#undef PLATFORM_FIELD
	/* Of vm_reads and vm_writes: those for a call of that number, which no window served. */
	uint32_t copied_by_call[PLATFORM_CALLS_MAX];
};

/*
 * Creates the platform. Call while this process has one thread, no guest data, and the privileges
 * of a namespace's process 1; before the sentry's own filter is installed. 0, or negative errno
 * with *ret_why (static text), and then nothing is left behind. The callbacks must outlive the
 * platform; none is called before platform_start.
 */
int platform_new(const struct platform_config *config, struct platform **ret_platform,
		 const char **ret_why);
/*
 * Starts the platform's own threads (reaper). Once, after the sentry's confinement. From here on
 * the platform reaps every child of this process, its own or not. Nothing but platform_name and
 * its like may be called before it, and no event comes before it.
 */
int platform_start(struct platform *p);
/*
 * Kills and reaps every stub process, frees everything. No other thread may use the platform any
 * more, and none may be in platform_next. The deaths of threads that were not put are told on the
 * way; their handles may be put in that callback, and are invalid afterwards.
 */
void platform_destroy(struct platform *p);
const char *platform_name(const struct platform *p);
void platform_get_stats(struct platform *p, struct platform_stats *ret_stats);

/*
 * Waits for the next event. One thread at a time (the sentry's leader), on a pinned platform always
 * the same one. The caller owns the event's
 * thread. 0; -EINTR after platform_interrupt; -ENOTCONN when the platform is broken. Calls back
 * (dead), and goes on waiting; a callback with something for the caller to do interrupts it. Hold
 * no lock that the callback takes.
 */
int platform_next(struct platform *p, struct platform_event *ret_event);
/* platform_next must always be called by the same thread: the first that called it. */
bool platform_pinned(const struct platform *p);
/*
 * The registers of a STOPPED thread, as they were at its event; orig_rax is the call's number. Read
 * from the guest when first asked for: most calls get along without. The copy may be changed; what
 * the guest gets is what the reply says. For the owner; borrowed until the reply.
 */
struct platform_regs *platform_regs(struct platform_thread *t);
/* Makes the present or the next platform_next return -EINTR. Any thread, at any time. */
void platform_interrupt(struct platform *p);
/*
 * A thread of the caller's is about to compute for milliseconds, or done with it: it wants a CPU,
 * which the platform then doesn't take for waiting awake. In pairs; any thread.
 */
void platform_computes(struct platform *p, bool computes);

/*
 * A fresh, empty address space with one thread, whose PEV_STARTED comes as an event (soon when a
 * spare stub process is ready). 0 or negative errno (-EAGAIN: host limits). Any thread. The event
 * may be delivered, and the thread may be killed and put, before this has returned: the cookie must
 * be good for that.
 */
int platform_mm_new(struct platform *p, void *cookie, struct platform_thread **ret_thread);
/*
 * Whether MEMOP_CLEAR makes this STOPPED thread's host process as good as new: its memory never had
 * another thread or process. For the owner.
 */
bool platform_can_clear(struct platform_thread *t);
/* Borrowed; lives as long as one of its threads is not put. */
struct platform_mm *platform_thread_mm(struct platform_thread *t);
uint64_t platform_vdso_size(const struct platform *p);	      /* vvar + code; 0: host has none */
uint64_t platform_vdso_code_offset(const struct platform *p); /* of its ELF header */
/*
 * Where a rewritten call site jumps to instead of trapping (registers: stub/layout.h), the same
 * address in each guest's memory; 0: this platform, or this host, has none.
 */
uint64_t platform_fast_entry(const struct platform *p);
/*
 * Whether guests' private futexes are waited on and woken in the host: the sentry hears of them
 * only when a kick ends a wait, by a PEV_CALL with the wait's arguments (and no PEV_KICKED). A
 * reply with `restart` and no frame makes the same wait again, for what is left of its time.
 */
bool platform_host_futex(const struct platform *p);

/*
 * Prepares a child for PORD_CLONE of `parent`, which is STOPPED; for its owner. 0 or negative
 * errno. The child is ordered in a later reply to this parent, or put. If the parent reports that
 * the clone failed (PREP_MEMOP, PREP_ORDER) the child is as before the order: to be put.
 */
int platform_clone_prepare(struct platform_thread *parent, enum platform_clone kind, void *cookie,
			   struct platform_thread **ret_child);

/*
 * Whether a child that was prepared begins as soon as the reply that orders it is given, unless a
 * memory operation of that reply can fail: what it is to find in memory must be there before.
 */
bool platform_child_is_early(const struct platform_thread *child);

/* Whether this STOPPED thread's host thread can be lent to a child now. For the owner. */
bool platform_can_lend(struct platform_thread *t);
/*
 * Brings a child to life that was prepared as PCLONE_LENT while platform_can_lend said yes: its
 * PEV_STARTED comes. No order is needed, and the parent isn't replied to for it: it is STOPPED, and
 * what it is replied is done when the child is dead. Either may be killed without the other. For
 * the owner of the parent.
 */
void platform_lend(struct platform_thread *child);

/*
 * Lets a STOPPED thread go on; by its owner, exactly once for each event. All that *r points to is
 * borrowed until the function returns. The thread may have another owner, or be dead, by then:
 * nothing of it may be touched after the call. Who puts it sees to it that no call for it is still
 * under way (platform_thread_put). Never blocks on the guest; a thread that died
 * meanwhile makes it a no-op. Memory operations are aligned to pages, not empty, and lie below
 * PLATFORM_GUEST_MAX as a whole.
 */
void platform_reply(struct platform_thread *t, const struct platform_reply *r);

/*
 * The thread's own answers to config.answer_calls, in that order: from now on, whether it runs or
 * not; each value by itself is the old or the new one. valid: bit i says that values[i] is one; the
 * others are the sentry's to answer. A thread begins with none. Any thread of the sentry; the
 * caller sees to the order of several of them. Nothing happens where the platform has no answers.
 */
void platform_answers_set(struct platform_thread *t, const uint64_t *values, uint32_t valid);

/* Whether threads keep struct platform_own by themselves; else the three below do nothing. */
bool platform_own_state(const struct platform *p);
/* For the owner of a STOPPED thread: what it goes on with. A thread begins with zeros. */
void platform_own_set(struct platform_thread *t, const struct platform_own *own);
/* Any thread of the sentry: the guest's word at this moment. The altstack_ fields stay as they are.
 */
void platform_own_get(struct platform_thread *t, struct platform_own *ret_own);
/*
 * Whether the sentry wants to hear of changes of the mask, because a signal is pending: then they
 * come as calls. Any thread of the sentry. A platform_own_get that follows `true` sees the mask of
 * a thread that didn't see that yet, or (the thread takes a change back, and calls) one that it is
 * about to call with.
 */
void platform_own_ask(struct platform_thread *t, bool ask);
/*
 * Whether the sentry wants to hear of advice that memory isn't needed (MADV_DONTNEED, MADV_FREE),
 * which the host otherwise takes from the thread itself. Any thread of the sentry.
 */
void platform_own_ask_memory(struct platform_thread *t, bool ask);

/*
 * Whether threads can have leases; else the five below do nothing. They are for threads that have
 * their memory to themselves: the mappings are the address space's, the rest is the thread's.
 */
bool platform_leases(const struct platform *p);
/* For the owner of a STOPPED thread: what lease `index` is of. It allows nothing by this alone. */
void platform_lease_set(struct platform_thread *t, uint32_t index, const struct platform_lease *l);
/* For the owner of a STOPPED thread: from its reply on it allows `what` (PLATFORM_LEASE_*). */
void platform_lease_allow(struct platform_thread *t, uint32_t index, uint32_t what);
/*
 * Takes that back. Any thread of the sentry. Whoever of the guest's calls begins after this has
 * returned, or has not ended before it, comes to the sentry.
 */
void platform_lease_revoke(struct platform_thread *t, uint32_t index, uint32_t what);
/* Any thread of the sentry, the guest's word: what the lease still allows, and its position. */
uint32_t platform_lease_allowed(struct platform_thread *t, uint32_t index);
int64_t platform_lease_pos(struct platform_thread *t, uint32_t index);
/* The same: whether the thread has made use of it since it was set. */
bool platform_lease_used(struct platform_thread *t, uint32_t index);
/* For the owner of a STOPPED thread, while no lease allows HEAD: PLATFORM_HEAD_SIZE bytes, shared
 * with the guest, for the beginning of a file. */
void *platform_lease_head(struct platform_thread *t);
/* For the owner of a STOPPED thread. */
void platform_lease_set_pos(struct platform_thread *t, uint32_t index, bool has_pos, int64_t pos);

/*
 * Asks a thread to stop with PEV_KICKED soon. A kick is never lost: given to a STOPPED thread, or
 * to one that is just stopping with another event, it comes as PEV_KICKED after the next reply that
 * lets the thread into guest code (several kicks may come as one). Any thread.
 */
void platform_kick(struct platform_thread *t);

/*
 * Ends the whole host process of the thread, whatever it does. Any thread; idempotent. It does not
 * wait: the end is told by `dead`, for each thread of the process. Of two threads one of which has
 * lent itself to the other only the one that is named ends.
 */
void platform_kill(struct platform_thread *t);

/*
 * The same, when there is nothing better to do: by the next platform_next that has to wait, or the
 * next platform_settle, one of which this thread must call. So that who waits for the death of a
 * process runs before the host has torn that down.
 */
void platform_kill_soon(struct platform_thread *t);
void platform_settle(struct platform *p);

/*
 * Drops the sentry's handle: the thread is dead (`dead` was told), or was prepared and never
 * started (the clone failed or was not ordered). Once, by any thread, also in the callback itself.
 * No other thread may be in an operation with it: the last platform_reply, above all, may have had
 * its effect, and the thread have come to its end, before that has returned.
 * The cookie is not used afterwards.
 */
void platform_thread_put(struct platform_thread *t);

/*
 * Guest memory. t is the STOPPED thread whose windows may serve, and the caller its owner; or t is
 * NULL, and the caller any thread. mm is t's, and is kept alive by the caller through one of its
 * threads, which must not be put meanwhile. They return the count of bytes copied from the start;
 * less than size means that the next byte faults. Every byte is read once. They may take long: for
 * a new address space they wait until its first process is there, and where only guests can copy
 * they stop one. What platform_write is
 * given may be a mapped file's memory that is gone (base/guard.h) where no window is there for it.
 */
size_t platform_read(struct platform_thread *t, struct platform_mm *mm, uint64_t va, void *buf,
		     size_t size);
size_t platform_write(struct platform_thread *t, struct platform_mm *mm, uint64_t va,
		      const void *buf, size_t size);
/*
 * The window of the present call that covers [va, va+size) wholly, or NULL. For host calls that
 * transfer directly (preadv into it, pwritev from it): it is shared with the guest, so never parse
 * it in place. After writing n bytes to one got with for_write, call platform_window_written. For
 * the owner; good until the reply.
 */
void *platform_window(struct platform_thread *t, uint64_t va, size_t size, bool for_write);
void platform_window_written(struct platform_thread *t, uint64_t va, size_t size);
/*
 * What the windows of the present call hold from va on, for strings whose size isn't known before
 * they are read: NULL, or where va's byte is and in *ret_size how many bytes (> 0) are there.
 * Shared with the guest: copy first, then look.
 */
const void *platform_window_rest(struct platform_thread *t, uint64_t va, size_t *ret_size);

/* Host ids in the sentry's PID namespace, for statistics: 0 before PEV_STARTED. Nothing may hang on
 * them, and another process may have them once the thread is dead. */
pid_t platform_host_pid(const struct platform_thread *t);
pid_t platform_host_tid(const struct platform_thread *t);
/*
 * What its host thread had used of the CPU, in ns, before it was this thread's. The guest's word, by
 * which it can only say that it used less itself.
 */
uint64_t platform_host_time_before(const struct platform_thread *t);

#endif
