/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kinds of arguments and results in syscalls/table.h. A kind says two things at once: how
 * --strace shows the argument, and whether it is a guest buffer that the stub should copy into a
 * window (platform/copyplan.h). In the table they stand as A_x, or A_x(n) where argument n gives
 * the size or the count; each expands to the initializer of a struct syscall_arg.
 *
 * A_IN_x is read by the call, A_OUT_x is written by it (and shown when the call returns),
 * A_INOUT_x is both (shown on entry).
 */
#ifndef SYSCALLS_ARGKINDS_H
#define SYSCALLS_ARGKINDS_H

#include "abi/fcntl.h"
#include "abi/futex.h"
#include "abi/ipc.h"
#include "abi/poll.h"
#include "abi/resource.h"
#include "abi/sched.h"
#include "abi/signal.h"
#include "abi/socket.h"
#include "abi/stat.h"
#include "abi/sysinfo.h"
#include "abi/time.h"
#include "abi/uio.h"
#include "abi/utsname.h"
#include "platform/copyplan.h"

enum arg_kind {
	AK_NONE,
	/* plain values */
	AK_INT,
	AK_UINT,
	AK_LONG,
	AK_ULONG,
	AK_HEX,
	AK_OCT,
	AK_PTR,
	AK_FD,
	AK_DFD,
	AK_ID, /* uid, gid: -1 is shown as such */
	AK_DEV,
	AK_SIG,
	/* values with names: flags and enumerations (syscalls/strace_flags.c) */
	AK_FLAGS_FIRST,
	AK_OPEN = AK_FLAGS_FIRST,
	AK_AT,
	AK_ACCESS,
	AK_WHENCE,
	AK_PROT,
	AK_MAP,
	AK_MREMAP,
	AK_MSYNC,
	AK_MADV,
	AK_MCL,
	AK_CLONE,
	AK_WAIT,
	AK_IDTYPE,
	AK_FUTEX,
	AK_FCNTL,
	AK_IOCTL,
	AK_SIGHOW,
	AK_CLOCK,
	AK_TIMER,
	AK_ITIMER,
	AK_RLIMIT,
	AK_RUSAGE,
	AK_PRIO,
	AK_PRCTL,
	AK_ARCH_PRCTL,
	AK_SOCK_FAMILY,
	AK_SOCK_TYPE,
	AK_SOCK_LEVEL,
	AK_SOCK_OPT,
	AK_MSG,
	AK_SHUT,
	AK_EPOLL_OP,
	AK_MOUNT,
	AK_UMOUNT,
	AK_GRND,
	AK_FLOCK,
	AK_FALLOC,
	AK_FADVISE,
	AK_RENAME,
	AK_FD_FLAGS,
	AK_IN_MASK,
	AK_SPLICE,
	AK_MFD,
	AK_CLOSE_RANGE,
	AK_STATX_MASK,
	AK_SCHED_POLICY,
	AK_RWF,
	AK_MEMBARRIER,
	AK_SECCOMP,
	AK_FLAGS_LAST = AK_SECCOMP,
	/* values whose meaning depends on the argument before */
	AK_FCNTL_ARG,
	AK_IOCTL_ARG,
	AK_PRCTL_ARG,
	AK_FUTEX_ARG,
	AK_MODE_IF_CREAT,
	/* behind an address */
	AK_PATH,
	AK_STR,
	AK_STRV,
	AK_BUF,
	AK_IOV,
	AK_INTS,
	AK_UINT_ARRAY,
	AK_LONG_P,
	AK_HEX_P,
	AK_WSTATUS,
	AK_STAT,
	AK_STATX,
	AK_STATFS,
	AK_DIRENTS,
	AK_DIRENTS64,
	AK_SIGSET,
	AK_SIGACTION,
	AK_SIGINFO,
	AK_STACK,
	AK_POLLFDS,
	AK_FDSET,
	AK_EPOLL_EVENTS,
	AK_TIMESPEC,
	AK_TIMESPECS2,
	AK_TIMEVAL,
	AK_TIMEVALS2,
	AK_ITIMERVAL,
	AK_ITIMERSPEC,
	AK_UTIMBUF,
	AK_TMS,
	AK_RUSAGE_P,
	AK_RLIMIT_P,
	AK_UTSNAME,
	AK_SYSINFO,
	AK_SOCKADDR,
	AK_SOCKADDR_OUT,
	AK_MSGHDR,
	AK_OPEN_HOW,
	AK_CLONE_ARGS,
	AK_OPTVAL,
	AK_OPAQUE, /* shown as an address only */
	AK_KINDS,
};

enum ret_kind {
	R_INT,	/* also sizes, ids, descriptors: decimal */
	R_HEX,	/* an address */
	R_OCT,	/* umask */
	R_NONE, /* does not return */
	R_POLL, /* 0 is a timeout; what is ready is shown */
};

#define A_VALUE(kind)                                                                              \
	{                                                                                          \
		AK_##kind, COPYWIN_NONE, COPYWIN_FIXED, 0                                          \
	}
#define A_FIXED(kind, dir, size)                                                                   \
	{                                                                                          \
		AK_##kind, COPYWIN_##dir, COPYWIN_FIXED, size                                      \
	}
#define A_ARRAY(kind, dir, n, size)                                                                \
	{                                                                                          \
		AK_##kind, COPYWIN_##dir, n, size                                                  \
	}

/* A buffer for some commands, a number for others. */
#define A_WHEN(kind, dir, size, when)                                                              \
	{                                                                                          \
		AK_##kind, COPYWIN_##dir, COPYWIN_FIXED, size, COPYWIN_##when                      \
	}

#define A_NONE	       A_VALUE(NONE)
#define A_INT	       A_VALUE(INT)
#define A_UINT	       A_VALUE(UINT)
#define A_LONG	       A_VALUE(LONG)
#define A_ULONG	       A_VALUE(ULONG)
#define A_SIZE	       A_VALUE(ULONG)
#define A_OFF	       A_VALUE(LONG)
#define A_HEX	       A_VALUE(HEX)
#define A_MODE	       A_VALUE(OCT)
#define A_PTR	       A_VALUE(PTR)
#define A_FD	       A_VALUE(FD)
#define A_DFD	       A_VALUE(DFD)
#define A_PID	       A_VALUE(INT)
#define A_ID	       A_VALUE(ID)
#define A_DEV	       A_VALUE(DEV)
#define A_SIG	       A_VALUE(SIG)
#define A_OPEN	       A_VALUE(OPEN)
#define A_AT	       A_VALUE(AT)
#define A_ACCESS       A_VALUE(ACCESS)
#define A_WHENCE       A_VALUE(WHENCE)
#define A_PROT	       A_VALUE(PROT)
#define A_MAP	       A_VALUE(MAP)
#define A_MREMAP       A_VALUE(MREMAP)
#define A_MSYNC	       A_VALUE(MSYNC)
#define A_MADV	       A_VALUE(MADV)
#define A_MCL	       A_VALUE(MCL)
#define A_CLONE	       A_VALUE(CLONE)
#define A_WAIT	       A_VALUE(WAIT)
#define A_IDTYPE       A_VALUE(IDTYPE)
#define A_FUTEX	       A_VALUE(FUTEX)
#define A_FUTEX_ARG    A_VALUE(FUTEX_ARG)
#define A_FCNTL	       A_VALUE(FCNTL)
#define A_FCNTL_ARG    A_WHEN(FCNTL_ARG, INOUT, sizeof(struct abi_flock), FCNTL_LOCK)
#define A_IOCTL	       A_VALUE(IOCTL)
#define A_IOCTL_ARG    A_FIXED(IOCTL_ARG, INOUT, 64)
#define A_SIGHOW       A_VALUE(SIGHOW)
#define A_CLOCK	       A_VALUE(CLOCK)
#define A_TIMER	       A_VALUE(TIMER)
#define A_ITIMER       A_VALUE(ITIMER)
#define A_RLIMIT       A_VALUE(RLIMIT)
#define A_RUSAGE       A_VALUE(RUSAGE)
#define A_PRIO	       A_VALUE(PRIO)
#define A_PRCTL	       A_VALUE(PRCTL)
#define A_PRCTL_ARG    A_WHEN(PRCTL_ARG, INOUT, ABI_TASK_COMM_LEN, PRCTL_VALUE)
#define A_ARCH_PRCTL   A_VALUE(ARCH_PRCTL)
#define A_SOCK_FAMILY  A_VALUE(SOCK_FAMILY)
#define A_SOCK_TYPE    A_VALUE(SOCK_TYPE)
#define A_SOCK_LEVEL   A_VALUE(SOCK_LEVEL)
#define A_SOCK_OPT     A_VALUE(SOCK_OPT)
#define A_MSG	       A_VALUE(MSG)
#define A_SHUT	       A_VALUE(SHUT)
#define A_EPOLL_OP     A_VALUE(EPOLL_OP)
#define A_MOUNT	       A_VALUE(MOUNT)
#define A_UMOUNT       A_VALUE(UMOUNT)
#define A_GRND	       A_VALUE(GRND)
#define A_FLOCK	       A_VALUE(FLOCK)
#define A_FALLOC       A_VALUE(FALLOC)
#define A_FADVISE      A_VALUE(FADVISE)
#define A_RENAME       A_VALUE(RENAME)
#define A_FD_FLAGS     A_VALUE(FD_FLAGS)
#define A_IN_MASK      A_VALUE(IN_MASK)
#define A_SPLICE       A_VALUE(SPLICE)
#define A_MFD	       A_VALUE(MFD)
#define A_CLOSE_RANGE  A_VALUE(CLOSE_RANGE)
#define A_STATX_MASK   A_VALUE(STATX_MASK)
#define A_SCHED_POLICY A_VALUE(SCHED_POLICY)
#define A_RWF	       A_VALUE(RWF)
#define A_MEMBARRIER   A_VALUE(MEMBARRIER)
#define A_SECCOMP      A_VALUE(SECCOMP)
/* The mode of open: shown only if argument n, the flags, may create. */
#define A_MODE_IF_CREAT(n)                                                                         \
	{                                                                                          \
		AK_MODE_IF_CREAT, COPYWIN_NONE, n, 0                                               \
	}

#define A_PATH	     A_FIXED(PATH, CSTR, ABI_PATH_MAX)
#define A_STR	     A_FIXED(STR, CSTR, ABI_PATH_MAX)
#define A_STRV	     A_VALUE(STRV)
#define A_OUT_STR(n) A_ARRAY(STR, OUT, n, 1)
#define A_IN_BUF(n)  A_ARRAY(BUF, IN, n, 1)
#define A_OUT_BUF(n) A_ARRAY(BUF, OUT, n, 1)
#define A_IN_IOV(n)  A_ARRAY(IOV, IOV_IN, n, sizeof(struct abi_iovec))
#define A_OUT_IOV(n) A_ARRAY(IOV, IOV_OUT, n, sizeof(struct abi_iovec))

#define A_OUT_INT	      A_FIXED(INTS, OUT, sizeof(int))
#define A_OUT_FD_PAIR	      A_FIXED(INTS, OUT, 2 * sizeof(int))
#define A_OUT_TID	      A_FIXED(INTS, OUT, sizeof(int))
#define A_INOUT_SOCKLEN	      A_FIXED(INTS, INOUT, sizeof(int))
#define A_IN_IDS(n)	      A_ARRAY(UINT_ARRAY, IN, n, sizeof(int))
#define A_OUT_IDS(n)	      A_ARRAY(UINT_ARRAY, OUT, n, sizeof(int))
#define A_INOUT_OFF	      A_FIXED(LONG_P, INOUT, 8)
#define A_OUT_LONG	      A_FIXED(LONG_P, OUT, 8)
#define A_OUT_ADDR	      A_FIXED(HEX_P, OUT, 8)
#define A_OUT_WSTATUS	      A_FIXED(WSTATUS, OUT, sizeof(int))
#define A_OUT_STAT	      A_FIXED(STAT, OUT, sizeof(struct abi_stat))
#define A_OUT_STATX	      A_FIXED(STATX, OUT, sizeof(struct abi_statx))
#define A_OUT_STATFS	      A_FIXED(STATFS, OUT, sizeof(struct abi_statfs))
#define A_OUT_DIRENTS(n)      A_ARRAY(DIRENTS, OUT, n, 1)
#define A_OUT_DIRENTS64(n)    A_ARRAY(DIRENTS64, OUT, n, 1)
#define A_IN_SIGSET	      A_FIXED(SIGSET, IN, sizeof(abi_sigset_t))
#define A_OUT_SIGSET	      A_FIXED(SIGSET, OUT, sizeof(abi_sigset_t))
#define A_IN_SIGACTION	      A_FIXED(SIGACTION, IN, sizeof(struct abi_sigaction))
#define A_OUT_SIGACTION	      A_FIXED(SIGACTION, OUT, sizeof(struct abi_sigaction))
#define A_IN_SIGINFO	      A_FIXED(SIGINFO, IN, sizeof(struct abi_siginfo))
#define A_OUT_SIGINFO	      A_FIXED(SIGINFO, OUT, sizeof(struct abi_siginfo))
#define A_IN_STACK	      A_FIXED(STACK, IN, sizeof(struct abi_stack))
#define A_OUT_STACK	      A_FIXED(STACK, OUT, sizeof(struct abi_stack))
#define A_INOUT_POLLFDS(n)    A_ARRAY(POLLFDS, INOUT, n, sizeof(struct abi_pollfd))
#define A_INOUT_FDSET(n)      A_ARRAY(FDSET, INOUT, n, COPYWIN_BITS)
#define A_IN_EPOLL_EVENT      A_FIXED(EPOLL_EVENTS, IN, sizeof(struct abi_epoll_event))
#define A_OUT_EPOLL_EVENTS(n) A_ARRAY(EPOLL_EVENTS, OUT, n, sizeof(struct abi_epoll_event))
#define A_IN_TIMESPEC	      A_FIXED(TIMESPEC, IN, sizeof(struct abi_timespec))
#define A_OUT_TIMESPEC	      A_FIXED(TIMESPEC, OUT, sizeof(struct abi_timespec))
#define A_INOUT_TIMESPEC      A_FIXED(TIMESPEC, INOUT, sizeof(struct abi_timespec))
#define A_IN_TIMESPECS2	      A_FIXED(TIMESPECS2, IN, 2 * sizeof(struct abi_timespec))
#define A_IN_TIMEVAL	      A_FIXED(TIMEVAL, IN, sizeof(struct abi_timeval))
#define A_OUT_TIMEVAL	      A_FIXED(TIMEVAL, OUT, sizeof(struct abi_timeval))
#define A_INOUT_TIMEVAL	      A_FIXED(TIMEVAL, INOUT, sizeof(struct abi_timeval))
#define A_IN_TIMEVALS2	      A_FIXED(TIMEVALS2, IN, 2 * sizeof(struct abi_timeval))
#define A_OUT_TIMEZONE	      A_FIXED(OPAQUE, OUT, sizeof(struct abi_timezone))
#define A_IN_TIMEZONE	      A_FIXED(OPAQUE, IN, sizeof(struct abi_timezone))
#define A_IN_ITIMERVAL	      A_FIXED(ITIMERVAL, IN, sizeof(struct abi_itimerval))
#define A_OUT_ITIMERVAL	      A_FIXED(ITIMERVAL, OUT, sizeof(struct abi_itimerval))
#define A_IN_ITIMERSPEC	      A_FIXED(ITIMERSPEC, IN, sizeof(struct abi_itimerspec))
#define A_OUT_ITIMERSPEC      A_FIXED(ITIMERSPEC, OUT, sizeof(struct abi_itimerspec))
#define A_IN_UTIMBUF	      A_FIXED(UTIMBUF, IN, sizeof(struct abi_utimbuf))
#define A_OUT_TMS	      A_FIXED(TMS, OUT, sizeof(struct abi_tms))
#define A_OUT_RUSAGE	      A_FIXED(RUSAGE_P, OUT, sizeof(struct abi_rusage))
#define A_IN_RLIMIT	      A_FIXED(RLIMIT_P, IN, sizeof(struct abi_rlimit))
#define A_OUT_RLIMIT	      A_FIXED(RLIMIT_P, OUT, sizeof(struct abi_rlimit))
#define A_OUT_UTSNAME	      A_FIXED(UTSNAME, OUT, sizeof(struct abi_utsname))
#define A_OUT_SYSINFO	      A_FIXED(SYSINFO, OUT, sizeof(struct abi_sysinfo))
/* n: the argument that is the size in bytes. */
#define A_IN_SOCKADDR(n) A_ARRAY(SOCKADDR, IN, n, 1)
/* n: the argument that points at the size; the window has room for the largest. */
#define A_OUT_SOCKADDR(n)   A_FIXED(SOCKADDR_OUT, OUT, sizeof(struct abi_sockaddr_storage))
#define A_IN_MSGHDR	    A_FIXED(MSGHDR, MSG_IN, sizeof(struct abi_msghdr))
#define A_INOUT_MSGHDR	    A_FIXED(MSGHDR, MSG_OUT, sizeof(struct abi_msghdr))
#define A_INOUT_MMSGHDRS(n) A_ARRAY(OPAQUE, INOUT, n, sizeof(struct abi_mmsghdr))
#define A_IN_OPTVAL(n)	    A_ARRAY(OPTVAL, IN, n, 1)
#define A_OUT_OPTVAL	    A_FIXED(OPTVAL, OUT, 64)
#define A_IN_OPEN_HOW(n)    A_ARRAY(OPEN_HOW, IN, n, 1)
#define A_IN_CLONE_ARGS(n)  A_ARRAY(CLONE_ARGS, IN, n, 1)
/* Structs that --strace shows as an address; size in bytes. */
#define A_IN_STRUCT(size)     A_FIXED(OPAQUE, IN, size)
#define A_OUT_STRUCT(size)    A_FIXED(OPAQUE, OUT, size)
#define A_INOUT_STRUCT(size)  A_FIXED(OPAQUE, INOUT, size)
#define A_IN_BYTES(n)	      A_ARRAY(OPAQUE, IN, n, 1)
#define A_OUT_BYTES(n)	      A_ARRAY(OPAQUE, OUT, n, 1)
#define A_IN_STRUCTS(n, size) A_ARRAY(OPAQUE, IN, n, size)

#endif
