/* SPDX-License-Identifier: Apache-2.0 */
/* clone, wait, scheduling (linux/sched.h, linux/wait.h, linux/sched/types.h). */
#ifndef ABI_SCHED_H
#define ABI_SCHED_H

#include "abi/types.h"

#define ABI_CSIGNAL		 0x000000ffu
#define ABI_CLONE_NEWTIME	 0x00000080u /* clone3 and unshare only */
#define ABI_CLONE_VM		 0x00000100u
#define ABI_CLONE_FS		 0x00000200u
#define ABI_CLONE_FILES		 0x00000400u
#define ABI_CLONE_SIGHAND	 0x00000800u
#define ABI_CLONE_PIDFD		 0x00001000u
#define ABI_CLONE_PTRACE	 0x00002000u
#define ABI_CLONE_VFORK		 0x00004000u
#define ABI_CLONE_PARENT	 0x00008000u
#define ABI_CLONE_THREAD	 0x00010000u
#define ABI_CLONE_NEWNS		 0x00020000u
#define ABI_CLONE_SYSVSEM	 0x00040000u
#define ABI_CLONE_SETTLS	 0x00080000u
#define ABI_CLONE_PARENT_SETTID	 0x00100000u
#define ABI_CLONE_CHILD_CLEARTID 0x00200000u
#define ABI_CLONE_DETACHED	 0x00400000u
#define ABI_CLONE_UNTRACED	 0x00800000u
#define ABI_CLONE_CHILD_SETTID	 0x01000000u
#define ABI_CLONE_NEWCGROUP	 0x02000000u
#define ABI_CLONE_NEWUTS	 0x04000000u
#define ABI_CLONE_NEWIPC	 0x08000000u
#define ABI_CLONE_NEWUSER	 0x10000000u
#define ABI_CLONE_NEWPID	 0x20000000u
#define ABI_CLONE_NEWNET	 0x40000000u
#define ABI_CLONE_IO		 0x80000000u
#define ABI_CLONE_CLEAR_SIGHAND	 0x100000000ull /* clone3 */
#define ABI_CLONE_INTO_CGROUP	 0x200000000ull /* clone3 */

struct abi_clone_args {
	uint64_t flags;
	uint64_t pidfd;
	uint64_t child_tid;
	uint64_t parent_tid;
	uint64_t exit_signal;
	uint64_t stack;
	uint64_t stack_size;
	uint64_t tls;
	uint64_t set_tid;
	uint64_t set_tid_size;
	uint64_t cgroup;
};
ABI_SIZE(struct abi_clone_args, 88);
#define ABI_CLONE_ARGS_SIZE_VER0 64

#define ABI_WNOHANG    0x00000001
#define ABI_WUNTRACED  0x00000002
#define ABI_WSTOPPED   0x00000002
#define ABI_WEXITED    0x00000004
#define ABI_WCONTINUED 0x00000008
#define ABI_WNOWAIT    0x01000000
#define ABI_WNOTHREAD  0x20000000
#define ABI_WALL       0x40000000
#define ABI_WCLONE     0x80000000u

#define ABI_P_ALL   0
#define ABI_P_PID   1
#define ABI_P_PGID  2
#define ABI_P_PIDFD 3

/* The status word of wait4. */
#define ABI_W_EXITED(code)	  (((code)&0xff) << 8)
#define ABI_W_SIGNALED(sig, core) ((sig) | ((core) ? 0x80 : 0))
#define ABI_W_STOPPED(sig)	  (((sig) << 8) | 0x7f)
#define ABI_W_CONTINUED		  0xffff

#define ABI_SCHED_OTHER		0
#define ABI_SCHED_FIFO		1
#define ABI_SCHED_RR		2
#define ABI_SCHED_BATCH		3
#define ABI_SCHED_IDLE		5
#define ABI_SCHED_DEADLINE	6
#define ABI_SCHED_EXT		7
#define ABI_SCHED_RESET_ON_FORK 0x40000000

struct abi_sched_param {
	int32_t priority;
};
ABI_SIZE(struct abi_sched_param, 4);

struct abi_sched_attr {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime;
	uint64_t deadline;
	uint64_t period;
	uint32_t util_min;
	uint32_t util_max;
};
ABI_SIZE(struct abi_sched_attr, 56);
#define ABI_SCHED_ATTR_SIZE_VER0 48

#define ABI_PRIO_PROCESS 0
#define ABI_PRIO_PGRP	 1
#define ABI_PRIO_USER	 2

/* pidfd_open, pidfd_send_signal */
#define ABI_PIDFD_NONBLOCK	       ABI_O_NONBLOCK
#define ABI_PIDFD_THREAD	       ABI_O_EXCL
#define ABI_PIDFD_SIGNAL_THREAD	       1
#define ABI_PIDFD_SIGNAL_THREAD_GROUP  2
#define ABI_PIDFD_SIGNAL_PROCESS_GROUP 4

/* rseq: the area that a thread registers. */
struct abi_rseq {
	uint32_t cpu_id_start;
	uint32_t cpu_id;
	uint64_t rseq_cs;
	uint32_t flags;
	uint32_t node_id;
	uint32_t mm_cid;
	uint32_t pad;
};
ABI_SIZE(struct abi_rseq, 32);

#define ABI_MEMBARRIER_CMD_QUERY				0
#define ABI_MEMBARRIER_CMD_GLOBAL				1
#define ABI_MEMBARRIER_CMD_GLOBAL_EXPEDITED			2
#define ABI_MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED		4
#define ABI_MEMBARRIER_CMD_PRIVATE_EXPEDITED			8
#define ABI_MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED		16
#define ABI_MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE		32
#define ABI_MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE 64
#define ABI_MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ		128
#define ABI_MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ	256
#define ABI_MEMBARRIER_CMD_GET_REGISTRATIONS			512

#endif
