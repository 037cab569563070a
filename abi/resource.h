/* SPDX-License-Identifier: Apache-2.0 */
/* Resource limits (linux/resource.h). */
#ifndef ABI_RESOURCE_H
#define ABI_RESOURCE_H

#include "abi/types.h"

#define ABI_RLIMIT_CPU	      0
#define ABI_RLIMIT_FSIZE      1
#define ABI_RLIMIT_DATA	      2
#define ABI_RLIMIT_STACK      3
#define ABI_RLIMIT_CORE	      4
#define ABI_RLIMIT_RSS	      5
#define ABI_RLIMIT_NPROC      6
#define ABI_RLIMIT_NOFILE     7
#define ABI_RLIMIT_MEMLOCK    8
#define ABI_RLIMIT_AS	      9
#define ABI_RLIMIT_LOCKS      10
#define ABI_RLIMIT_SIGPENDING 11
#define ABI_RLIMIT_MSGQUEUE   12
#define ABI_RLIMIT_NICE	      13
#define ABI_RLIMIT_RTPRIO     14
#define ABI_RLIMIT_RTTIME     15
#define ABI_RLIMIT_COUNT      16

#define ABI_RLIM_INFINITY (~0ull)

struct abi_rlimit {
	uint64_t cur;
	uint64_t max;
};
ABI_SIZE(struct abi_rlimit, 16);

#endif
