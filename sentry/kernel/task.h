/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks (guest threads) and thread groups (guest processes).
 *
 * A task is plain data: there is no host thread and no stack behind it. While guest code runs, the
 * platform's thread is all there is. When the guest calls, a worker runs the call's handler from
 * the table:
 *
 *	int64_t sys_x(struct task *t, const struct sysargs *a)
 *
 * which returns a result, a negative errno, or one of the SYS_* verdicts below. A handler that must
 * wait adds the task to wait queues and returns SYS_BLOCKED (task_block.h); when it is woken the
 * same handler runs again from the start, with the progress that it left in t->call. Handlers never
 * block on a guest, and hold no lock across a host call that may block.
 *
 * Life of a task, `state` (one atomic word, with the flag TASK_WOKEN beside the value):
 *
 *	NEW ---> HANDLER ---> GUEST ---> HANDLER ...      event / reply
 *	           | ^
 *	  BLOCKED  v |  wake: QUEUED (on the run queue) -> HANDLER
 *	           DEAD
 *
 * Whoever moved a task to HANDLER owns it (fields marked [t]) until it moves it on. A wake-up of a
 * task in HANDLER sets TASK_WOKEN; the owner, who leaves HANDLER by compare-and-swap, sees it and
 * looks again. So a signal or wake-up is never lost:
 *
 *	owner (worker)				waker
 *	finds no signal pending
 *						queues the signal
 *						CAS HANDLER -> HANDLER|WOKEN
 *	CAS HANDLER -> GUEST fails: clears WOKEN,
 *	looks again
 *
 * A wake-up of a task in GUEST does nothing; a signal for it kicks the platform thread instead.
 *
 * Guards: [I] set before publication, [a] atomic, [t] the task's owner, [T] kernel.tasks_lock,
 * [s] thread_group.siglock.
 */
#ifndef SENTRY_KERNEL_TASK_H
#define SENTRY_KERNEL_TASK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "abi/resource.h"
#include "abi/signal.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/refcount.h"
#include "platform/platform.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/timer.h"
#include "sentry/kernel/waitqueue.h"
#include "sentry/mm/patch.h"

struct cpu_itimer;
struct cred;
struct exec_state;
struct file;
struct files;
struct fs_context;
struct kernel;
struct mm;
struct session;
struct task;
struct task_leases;
struct tty;

struct sysargs {
	uint64_t nr;
	uint64_t arg[6];
};

/* Restart codes: inside the sentry only (Linux include/linux/errno.h). */
#define ERESTARTSYS	      512 /* again if SA_RESTART or no handler, else EINTR */
#define ERESTARTNOINTR	      513 /* always again */
#define ERESTARTNOHAND	      514 /* again if no handler, else EINTR */
#define ERESTART_RESTARTBLOCK 516 /* again with saved deadline if no handler, else EINTR */

/* Verdicts of a handler other than a result or a negative errno. */
#define SYS_BLOCKED (-5000) /* on wait queues; run again when woken */
#define SYS_NORET   (-5001) /* registers are taken care of in t->reply (sigreturn, exec) */
#define SYS_REPORT                                                                                 \
	(-5002) /* send t->reply, run the handler again with t->report when it is done             \
		 */
#define SYS_EXITED	(-5003) /* the task is gone; touch nothing */
#define SYS_AWAIT_START (-5004) /* exec: t->pt is a new thread, go on at its PEV_STARTED */

enum task_state {
	TASK_NEW,
	TASK_HANDLER,
	TASK_GUEST,
	TASK_BLOCKED,
	TASK_QUEUED,
	TASK_DEAD,
};
#define TASK_STATE_MASK 0xffu
#define TASK_WOKEN	0x100u

#define TASK_COMM_SIZE	  16
#define TASK_WAITS_INLINE 4

/* A task's place on one wait queue. */
struct task_wait {
	struct wait_entry entry;
	struct task *task;
	struct file *pin; /* keeps the queue's object alive; may be NULL */
};

/* More of them; entries must not move while they are on a queue. */
struct task_wait_chunk {
	struct task_wait_chunk *next;
	uint32_t count;
	struct task_wait waits[64];
};

/*
 * What a call in progress keeps between the runs of its handler. Zeroed when a new call starts.
 * `progress` is for the handler (bytes done, phase...); `data` is freed with `data_free` when the
 * call ends, whatever way.
 */
struct task_call {
	uint64_t nr;
	uint64_t arg[6]; /* as the guest gave them, for runs after a report */
	uint64_t progress[4];
	void *data;
	void (*data_free)(void *);
	uint64_t deadline; /* ns monotonic, TIME_NEVER if none; valid if deadline_set */
	bool deadline_set;
	bool restarted; /* this is not the handler's first run for the call */
	/* To be made again, it goes back to the stub: a wait in the host (platform_host_futex). */
	bool on_host;
};

/* What a clone child begins with. */
struct task_start {
	struct platform_regs regs;
	uint64_t fs_base;
	bool set_fs_base;
	uint64_t set_child_tid; /* guest address or 0 */
	int32_t tid;		/* what goes there */
};

struct task {
	struct refcount ref;
	struct kernel *kernel;	   /* [I] */
	struct thread_group *tg;   /* [I], changes only in exec of a non-leader [T] */
	struct list tg_link;	   /* [T] in tg->tasks */
	int32_t tid;		   /* [I] guest thread id; leader: == tgid ([T] in exec) */
	char comm[TASK_COMM_SIZE]; /* [s] */

	/* Running */
	atomic_uint state;    /* [a] enum task_state | TASK_WOKEN */
	struct list run_link; /* run queue's lock */
	bool event_queued;    /* [t] on the queue for its event, in state HANDLER */
	struct platform_thread
	    *pt; /* [t] to use, changed under [s] too; NULL before the first exec */
	/*
	 * [s] Which program it runs, for those who look into its memory (sentry/mm/usermem.h): odd
	 * from the moment pt is the new program's until that has its credentials.
	 */
	uint64_t program;
	struct platform_event event;   /* [t] the event not yet replied to */
	struct platform_reply reply;   /* [t] being put together */
	struct memop *memops;	       /* [t] PLATFORM_MEMOPS_MAX entries, allocated at first use */
	struct platform_report report; /* [t] of the last SYS_REPORT */
	bool call_active;	       /* [t] the event is a call whose handler has not returned */
	bool parked;		       /* [t] BLOCKED by a job control stop, not by the handler */
	int64_t parked_ret;	       /* [t] what the handler had returned */
	enum { AWAIT_REPLY, AWAIT_HANDLER } await; /* [t] whose is the next PEV_REPORT */
	struct task_call call;			   /* [t] */
	char *trace_line;			   /* [t] --strace: the call's line so far, owned */
	atomic_bool start_pending; /* [a] PEV_STARTED came while the task was in HANDLER */
	atomic_bool host_dead;	   /* [a] the platform said dead */
	atomic_bool exit_pending;  /* [a] must exit at the next look (group exit, exec, kill) */

	/* Waiting */
	struct task_wait waits[TASK_WAITS_INLINE]; /* [t] */
	struct task_wait_chunk *more_waits;	   /* [t] newest first */
	uint32_t wait_count;			   /* [t] */
	bool wait_armed;			   /* [t] wait_timer may be armed */
	struct ktimer wait_timer;		   /* deadline of the wait */

	/* Starting others, and other programs (fork.c, exec.c) */
	int32_t clone_tid; /* [t] child of a PORD_CLONE that may not have been carried out, or 0 */
	struct task_start start; /* [t] */
	struct exec_state *exec; /* [t] a program load under way */

	/* Resources */
	const struct cred *cred; /* changed by the task itself under [T], read by it freely */
	struct mm *mm;		 /* [t] for the task, [T] for others */
	bool mm_op_pending;	 /* [t] mm_ops_end has something to look at */
	struct mm
	    *forked_from; /* [t] until it has started: waits for it (mm_fork_over); reference */
	struct patch_task patch; /* [t] */
	struct files *files;	 /* as mm */
	struct fs_context *fs;	 /* as mm */

	/* Signals: sentry/kernel/signal.h */
	uint64_t blocked;	/* [s] mask, bit signo-1; of a running thread: own_blocked_locked */
	uint64_t saved_blocked; /* [t] to be restored after sigsuspend, ppoll, ... */
	bool restore_blocked;	/* [t] */
	struct sigqueue pending;	    /* [s] directed at this thread */
	atomic_bool sigpending;		    /* [a] worth a look: something deliverable, or a stop */
	struct abi_stack altstack;	    /* [t] */
	uint64_t sigwait;		    /* [s] signals that rt_sigtimedwait waits for */
	bool stopped;			    /* [s] takes part in the present group stop */
	struct platform_sigframe *sigframe; /* [t] of the reply; allocated at first use */

	/* What the thread keeps by itself: sentry/kernel/own.h */
	struct platform_own own_told;	/* [t] as it was last told, or asked */
	struct platform_thread *own_pt; /* [s] who was told; the task itself may read it */
	atomic_bool own_asked;		/* [s]; read by the task itself freely */

	/* Files that the thread reads by itself: sentry/kernel/lease.h */
	struct task_leases *leases; /* [t] owned; NULL: never had one */
	int32_t lease_wanted;	    /* [t] of this descriptor, plus 1; 0: none */
	bool lease_at_open;	    /* [t] it was just opened */

	/* Futexes and exit */
	uint64_t clear_child_tid;    /* [t] guest address or 0 */
	uint64_t robust_list;	     /* [t] guest address or 0 */
	int32_t exit_code;	     /* wait status; [T] once dead */
	int32_t pdeath_signal;	     /* [t] prctl */
	struct task *vfork_parent;   /* [T] blocked until this one execs or exits; a reference */
	struct waitqueue vfork_done; /* woken when a vfork child of this task lets go */
	struct task *vfork_child;    /* [T] as parent: the child that holds us */

	/* Accounting */
	uint64_t start_time;	  /* [I] ns monotonic */
	atomic_ullong call_count; /* [a] */
	int32_t nice;		  /* [T] */
	int32_t sched_policy;	  /* [T] ABI_SCHED_*; stored, the host schedules */
	int32_t sched_priority;	  /* [T] */
	uint64_t timer_slack_ns;  /* [t] prctl; stored */
	uint64_t *affinity;	  /* [T] 16 words as set by sched_setaffinity; NULL: all CPUs */
};

/* A guest process. */
struct thread_group {
	struct refcount ref;
	struct kernel *kernel; /* [I] */
	int32_t tgid;	       /* [I] */
	struct task *leader;   /* [T] borrowed; stays until reaped */
	struct list tasks;     /* [T] struct task.tg_link, living threads and the dead leader */
	uint32_t live_count;   /* [T] */
	uint32_t exit_begun;   /* [T] of these: threads on their way out */

	/* Process tree */
	struct thread_group *parent; /* [T] borrowed; NULL for the first process */
	struct list children;	     /* [T] .sibling of the children */
	struct list sibling;	     /* [T] */
	struct process_group *pgrp;  /* [T] reference */
	struct list pgrp_link;	     /* [T] */
	bool did_exec;		     /* [T] setpgid(2) EACCES */
	bool is_subreaper;	     /* [T] */
	int32_t exit_signal;	     /* [I] sent to the parent, usually SIGCHLD */
	struct waitqueue child_wait; /* woken when a child changes state */

	/* Exit */
	bool exiting;	   /* [s], set under [T] too; group exit under way; exit_code is decided */
	bool zombie;	   /* [T] all threads are gone, not yet waited for */
	int32_t exit_code; /* [s] wait status */
	struct waitqueue exit_wait; /* woken when it becomes a zombie (pidfd, exec) */

	/* Signals */
	struct mutex siglock;	 /* RANK_SIGNAL */
	struct sigqueue pending; /* [s] directed at the process */
	struct abi_sigaction
	    actions[64]; /* [s] index signo-1. CLONE_SIGHAND only together with CLONE_THREAD */
	enum { TG_RUNNING, TG_STOPPED } stop_state; /* [s] job control */
	int32_t stop_signal;			    /* [s] */
	uint32_t stop_count;			    /* [s] threads that have not stopped yet */
	bool stop_reported;			    /* [T] the parent has heard of it */
	bool killable; /* [s] the first process too may be killed by its own signals now */
	struct ktimer kill_timer;     /* SIGKILL: when threads in guest code must have come back */
	uint32_t queued_count;	      /* [s] siginfo entries queued: RLIMIT_SIGPENDING */
	struct waitqueue signal_wait; /* woken when a signal is queued (signalfd) */
	bool wait_stopped, wait_continued; /* [T] news for the parent's wait */

	/* Shared by all threads */
	struct abi_rlimit rlimits[16];				/* [s] */
	struct ktimer itimer_real;				/* setitimer(ITIMER_REAL), alarm */
	uint64_t itimer_real_interval;				/* [s] ns */
	uint64_t itimer_real_deadline;				/* [s] ns monotonic; 0: not armed */
	struct list posix_timers;				/* [s] */
	atomic_ullong dead_children_utime, dead_children_stime; /* [a] ns */
	atomic_int host_pid; /* [a] of the host process, for its CPU clocks; 0: none now */
	atomic_bool lent;    /* [a] that is its parent's: platform_lend */
	atomic_ullong past_utime, past_stime; /* [a] ns, of host processes that it has left */
	struct cpu_itimer *cpu_itimers;	      /* [s] ITIMER_VIRTUAL, ITIMER_PROF; NULL: never set */
	bool itimers_over;		      /* [s] it has ended: none is armed any more */
	uint32_t timer_count;		      /* [s] of posix_timers */
	int32_t next_timer_id;		      /* [s] timer_create */
	uint32_t personality;		      /* [s] */
	struct task *exec_task;		      /* [T] the thread that execs: the others must go */
	char *exe_path;	       /* [T] of the last exec, for /proc/pid/exe and logs; owned */
	int32_t oom_score_adj; /* [T] */
	bool dumpable;	       /* [T] */
};

struct process_group {
	struct refcount ref;
	int32_t pgid;		 /* [I] */
	struct session *session; /* [I] reference */
	struct list members;	 /* [T] thread_group.pgrp_link */
};

struct session {
	struct refcount ref;
	int32_t sid;	     /* [I] */
	struct tty *tty;     /* [T] controlling terminal, reference, or NULL */
	int32_t hung_pgid;   /* [T] foreground group when the terminal was hung up, or 0 */
	uint32_t pgrp_count; /* [T] */
};

/* State NEW, one reference, no ids or resources yet. Takes a reference to tg. */
struct task *task_new(struct kernel *k, struct thread_group *tg);
struct task *task_get(struct task *t);
void task_put(struct task *t);
struct thread_group *tg_get(struct thread_group *tg);
void tg_put(struct thread_group *tg);

/* One reference; empty, in no tree, group or map (sentry/kernel/thread_group.c). */
struct thread_group *tg_new(struct kernel *k, int32_t tgid);

/* Look-up by guest id; a new reference or NULL. Takes tasks_lock. */
struct task *task_find(struct kernel *k, int32_t tid);
struct thread_group *tg_find(struct kernel *k, int32_t tgid);

/* Frees what the present call keeps (t->call.data). For the dispatch loop and exec. */
void task_call_end(struct task *t);

/* Another task's address space: a reference, or NULL once it has none. Takes tasks_lock. */
struct mm *task_mm_get(struct task *t);

/* Whether another process has the same fs_context (CLONE_FS). For the task's owner. */
bool task_shares_fs(struct task *t);
/* The task's credentials for somebody else than the task. A reference. */
const struct cred *task_cred_get(struct task *t);

#endif
