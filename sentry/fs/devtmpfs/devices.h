/* SPDX-License-Identifier: Apache-2.0 */
/* kernel.devices: what devices there are beside those that every kernel has. */
#ifndef SENTRY_FS_DEVTMPFS_DEVICES_H
#define SENTRY_FS_DEVTMPFS_DEVICES_H

#include <stdint.h>

struct devices;
struct kernel;
struct super_block;
struct tty;

void devices_init(struct kernel *k);
void devices_destroy(struct kernel *k);

/* The container's terminal. Set once; the reference is taken over. */
void devices_set_console(struct devices *d, struct tty *tty);
struct tty *devices_console(struct devices *d); /* borrowed or NULL */

/* The first devpts instance that was mounted serves /dev/ptmx nodes elsewhere. Borrowed: an
 * instance takes itself back when it is destroyed. */
void devices_offer_devpts(struct devices *d, struct super_block *sb);
void devices_withdraw_devpts(struct devices *d, struct super_block *sb);
struct super_block *devices_devpts_get(struct devices *d); /* reference or NULL */

/* The sandbox's /proc/sys/kernel/random/boot_id, drawn once. */
void devices_boot_id(struct devices *d, uint8_t ret_bytes[16]);

/* The instance that holds the inodes of host descriptors (fs/host). Borrowed, made at first use. */
struct super_block *devices_host_sb(struct kernel *k);

#endif
