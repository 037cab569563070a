/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct kernel: the root from which all guest state can be reached.
 * Guards: [I] set before the first task, [T] tasks_lock.
 */
#ifndef SENTRY_KERNEL_KERNEL_H
#define SENTRY_KERNEL_KERNEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/idmap.h"
#include "base/list.h"
#include "base/lock.h"
#include "sentry/kernel/waitqueue.h"

struct devices;
struct futex_table;
struct hostpolls;
struct patch_cache;
struct platform;
struct platform_thread;
struct platform_callbacks;
struct sandbox_limits;
struct setting;
struct task;
struct thread_group;
struct timers;
struct unix_table;
struct vfs;
struct workers;

struct syscall_entry;
struct syscall_trace;

struct kernel_config {
	const char *hostname, *domainname; /* copied */
	const struct syscall_entry *table;
	uint32_t table_count;
	const struct syscall_trace *trace; /* used with strace */
	bool strace, strict;
	uint32_t task_max;     /* pids limit; 0: none but PID_MAX */
	int proc_fd;	       /* a proc of the sandbox's PID namespace, or -1 */
	uint32_t worker_count; /* 0: by the number of CPUs */
};

#define PID_MAX 4194304

struct kernel {
	struct platform *platform;	   /* [I] */
	const struct syscall_entry *table; /* [I] */
	uint32_t table_count;		   /* [I] */
	bool strace, strict;		   /* [I] */
	bool host_futex;		   /* [I] platform_host_futex */
	bool own_state;			   /* [I] platform_own_state */
	bool leases;			   /* [I] lease.h */
	struct mutex lease_locks[16];	   /* lease.c: RANK_LEAF, by inode */
	atomic_uint file_loans;		   /* [a] pieces of files that pipes hold (filemap.c) */
	atomic_bool memory_locked;	   /* somebody has used mlock or its like */
	const struct syscall_trace *trace; /* [I] NULL: off */

	struct mutex tasks_lock;   /* RANK_TASKS: everything marked [T] */
	struct idmap tids;	   /* [T] tid -> struct task (borrowed) */
	struct idmap pgrps;	   /* [T] pgid -> struct process_group (borrowed) */
	struct idmap sessions;	   /* [T] sid -> struct session (borrowed) */
	int32_t last_tid;	   /* [T] */
	uint32_t task_count;	   /* [T] living tasks */
	uint32_t task_peak;	   /* [T] the most of them since memory was given back */
	uint32_t task_max;	   /* [I] pids limit of the sandbox: fork gives EAGAIN beyond */
	struct thread_group *init; /* [T] the first process; NULL before it and after its end */
	int32_t init_status;	   /* [T] its wait status */

	struct timers *timers;		 /* [I] */
	struct workers *workers;	 /* [I] */
	struct vfs *vfs;		 /* [I] */
	struct futex_table *futexes;	 /* [I] */
	struct hostpolls *hostpolls;	 /* [I] hostpoll.h */
	struct unix_table *unix_sockets; /* [I] net/unix.h */
	struct patch_cache *patches;	 /* [I] mm/patch.h; NULL: off */
	struct devices *devices; /* [I] fs/devtmpfs: console, devpts; made by fs_register_builtin */
	struct setting *sysctls; /* [I] fs/proc/sysctl.c: what the configuration set */
	const struct sandbox_limits *limits; /* [I] fs/builtin.h; NULL: none known */

	struct mutex uts_lock;		   /* RANK_LEAF */
	char hostname[65], domainname[65]; /* uts_lock */

	uint64_t boot_realtime_ns;  /* [I] */
	uint64_t boot_monotonic_ns; /* [I] */

	int host_proc_fd; /* [I] a proc of the sandbox's PID namespace, or -1 */
	int event_fd;	  /* [I] eventfd: wakes the event thread */

	/* End of the sandbox: set once by kernel_exit. */
	atomic_bool ended;
	int32_t exit_status; /* wait status of the first process */
};

/* Also makes the VFS, timers and futex table. The platform is set afterwards, before workers start.
 */
struct kernel *kernel_new(const struct kernel_config *config);
/* Once all tasks are gone and no worker runs. */
void kernel_destroy(struct kernel *k);

/* Creates the worker threads, which serve the platform until kernel_exit. */
void workers_start(struct kernel *k);
/* Waits for them to end. */
void workers_join(struct kernel *k);
/* The platform's callbacks (struct platform_callbacks). */
extern const struct platform_callbacks kernel_platform_callbacks; /* but for `broken` */
/* For threads that are no workers (the event thread): runs the tasks that they woke. */
void workers_run_woken(struct kernel *k);
/* platform_thread_put of a thread that tasks have had, when no worker is replying to it any more.
 * No lock is held that a reply takes. */
void workers_put_thread(struct kernel *k, struct platform_thread *pt);
/* The first process has ended (or the sandbox must end): the event loop returns. Any thread. */
void kernel_exit(struct kernel *k, int32_t wait_status);

/* Counters of living objects, for the leak check at exit and --debug. */
enum object_kind {
	OBJ_TASK,
	OBJ_TG,
	OBJ_MM,
	OBJ_FILE,
	OBJ_INODE,
	OBJ_DENTRY,
	OBJ_FILES,
	OBJ_FS,
	OBJ_CRED,
	OBJ_KINDS /* at most 16: sentry/kernel/stats.h */
};
void object_count(enum object_kind kind, int delta);
int64_t object_live(enum object_kind kind);
const char *object_kind_name(enum object_kind kind);

/* Makes the event thread look at kernel.ended and at what was queued for it. */
void kernel_kick_event_thread(struct kernel *k);

#endif
