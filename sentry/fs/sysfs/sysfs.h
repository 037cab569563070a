/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /sys as far as programs look there: processors (glibc, Java, Go, htop), memory nodes, huge pages,
 * and the directories that others are mounted on. There are no devices to be seen.
 */
#ifndef SENTRY_FS_SYSFS_SYSFS_H
#define SENTRY_FS_SYSFS_SYSFS_H

struct fs_type;

extern const struct fs_type sysfs_fs_type;

#endif
