/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container's own cgroup, read-only, in the form of version 2 whatever version the host has:
 * its limits (kernel.limits) and what is used of them, so that Java, Go and others size themselves.
 */
#ifndef SENTRY_FS_CGROUPFS_CGROUPFS_H
#define SENTRY_FS_CGROUPFS_CGROUPFS_H

struct fs_type;

/* Both names mount the same: engines ask for "cgroup" on every host. */
extern const struct fs_type cgroup2_fs_type, cgroup_fs_type;

#endif
