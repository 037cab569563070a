/* SPDX-License-Identifier: Apache-2.0 */
/* Time: clocks, timers, and what processes used of it (linux/time.h, linux/resource.h). */
#ifndef ABI_TIME_H
#define ABI_TIME_H

#include "abi/types.h"

struct abi_timespec {
	int64_t sec;
	int64_t nsec;
};
ABI_SIZE(struct abi_timespec, 16);

struct abi_timeval {
	int64_t sec;
	int64_t usec;
};
ABI_SIZE(struct abi_timeval, 16);

struct abi_timezone {
	int32_t minuteswest;
	int32_t dsttime;
};
ABI_SIZE(struct abi_timezone, 8);

struct abi_itimerspec {
	struct abi_timespec interval;
	struct abi_timespec value;
};
ABI_SIZE(struct abi_itimerspec, 32);

struct abi_itimerval {
	struct abi_timeval interval;
	struct abi_timeval value;
};
ABI_SIZE(struct abi_itimerval, 32);

struct abi_utimbuf {
	int64_t actime;
	int64_t modtime;
};
ABI_SIZE(struct abi_utimbuf, 16);

struct abi_tms {
	int64_t utime;
	int64_t stime;
	int64_t cutime;
	int64_t cstime;
};
ABI_SIZE(struct abi_tms, 32);

struct abi_rusage {
	struct abi_timeval utime;
	struct abi_timeval stime;
	int64_t maxrss; /* KiB */
	int64_t ixrss;
	int64_t idrss;
	int64_t isrss;
	int64_t minflt;
	int64_t majflt;
	int64_t nswap;
	int64_t inblock;
	int64_t oublock;
	int64_t msgsnd;
	int64_t msgrcv;
	int64_t nsignals;
	int64_t nvcsw;
	int64_t nivcsw;
};
ABI_SIZE(struct abi_rusage, 144);

#define ABI_RUSAGE_SELF	    0
#define ABI_RUSAGE_CHILDREN (-1)
#define ABI_RUSAGE_THREAD   1

struct abi_timex {
	uint32_t modes;
	uint32_t pad0;
	int64_t offset;
	int64_t freq;
	int64_t maxerror;
	int64_t esterror;
	int32_t status;
	uint32_t pad1;
	int64_t constant;
	int64_t precision;
	int64_t tolerance;
	struct abi_timeval time;
	int64_t tick;
	int64_t ppsfreq;
	int64_t jitter;
	int32_t shift;
	uint32_t pad2;
	int64_t stabil;
	int64_t jitcnt;
	int64_t calcnt;
	int64_t errcnt;
	int64_t stbcnt;
	int32_t tai;
	int32_t pad3[11];
};
ABI_SIZE(struct abi_timex, 208);

#define ABI_USER_HZ 100 /* what clock_t counts */

#define ABI_CLOCK_REALTIME	     0
#define ABI_CLOCK_MONOTONIC	     1
#define ABI_CLOCK_PROCESS_CPUTIME_ID 2
#define ABI_CLOCK_THREAD_CPUTIME_ID  3
#define ABI_CLOCK_MONOTONIC_RAW	     4
#define ABI_CLOCK_REALTIME_COARSE    5
#define ABI_CLOCK_MONOTONIC_COARSE   6
#define ABI_CLOCK_BOOTTIME	     7
#define ABI_CLOCK_REALTIME_ALARM     8
#define ABI_CLOCK_BOOTTIME_ALARM     9
#define ABI_CLOCK_TAI		     11

/*
 * Negative clock ids name the CPU clock of a process or thread: ~id >> 3 is the pid, bit 2 says
 * thread, bits 0-1 which (0 PROF, 1 VIRT, 2 SCHED; 3 is a descriptor's clock).
 */
#define ABI_CPUCLOCK_PERTHREAD 4
#define ABI_CPUCLOCK_MASK      3
#define ABI_CPUCLOCK_PROF      0
#define ABI_CPUCLOCK_VIRT      1
#define ABI_CPUCLOCK_SCHED     2
#define ABI_CLOCKFD	       3

#define ABI_TIMER_ABSTIME 1

#define ABI_ITIMER_REAL	   0
#define ABI_ITIMER_VIRTUAL 1
#define ABI_ITIMER_PROF	   2

/* utimensat */
#define ABI_UTIME_NOW  0x3fffffff
#define ABI_UTIME_OMIT 0x3ffffffe

#define ABI_NSEC_PER_SEC 1000000000ll
#define ABI_USEC_PER_SEC 1000000ll

#endif
