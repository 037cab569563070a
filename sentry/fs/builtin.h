/* SPDX-License-Identifier: Apache-2.0 */
/* The file system types that this part of the tree brings; boot registers them (vfs_register_fs).
 */
#ifndef SENTRY_FS_BUILTIN_H
#define SENTRY_FS_BUILTIN_H

#include <stdint.h>

struct kernel;

/* proc, sysfs, devpts, cgroup2, cgroup, mqueue. (devtmpfs: a tmpfs that devices_populate fills.) */
void fs_register_builtin(struct kernel *k);
/* The counterpart, before kernel_destroy. */
void fs_destroy_builtin(struct kernel *k);

/* The sandbox's own limits, for /proc/meminfo, /proc/cpuinfo and the cgroup file systems. */
struct sandbox_limits {
	uint64_t memory_max;  /* bytes, 0: none */
	uint64_t memory_swap; /* bytes of memory and swap, 0: none */
	int64_t cpu_quota;    /* us in each cpu_period, <= 0: none */
	uint64_t cpu_period;  /* us */
	uint64_t cpu_shares;  /* v1 value, 0: default */
	int64_t pids_max;     /* <= 0: none */
	char cpuset[128];     /* "0-3", "": all */
};

#endif
