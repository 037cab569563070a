/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Character devices by number: what opening a device node does, in whatever file system the node
 * lies. And the kernel-wide state of devices (kernel.devices).
 */
#ifndef SENTRY_FS_DEVTMPFS_CHARDEV_H
#define SENTRY_FS_DEVTMPFS_CHARDEV_H

#include <stdint.h>

struct file;
struct kernel;

/*
 * Completes the open of a character device: sets f->ops and f->private. The task that opens is
 * f->opener. 0, -ENXIO for devices that don't exist, or what the device says (-EIO, -EBUSY).
 */
int chardev_open(struct kernel *k, uint64_t rdev, struct file *f);

#endif
