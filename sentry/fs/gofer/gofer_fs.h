/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gofer file system: trees of the host that the gofer serves (fsgofer/protocol.h), as super
 * blocks. For boot, which starts the gofer and mounts what config.json names.
 */
#ifndef SENTRY_FS_GOFER_GOFER_FS_H
#define SENTRY_FS_GOFER_GOFER_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gofer_client;
struct kernel;
struct strbuf;
struct super_block;

/*
 * Takes the sockets over (1 to 16). A gofer that dies or breaks the protocol makes every request
 * fail with -EIO and all sockets hang up: boot, which watches them, then ends the sandbox.
 */
struct gofer_client *gofer_client_new(struct kernel *k, const int *socks, size_t count);
/* After the last super_block is gone. */
void gofer_client_destroy(struct gofer_client *c);

/* Adds lines as stats_report does: requests by kind ("counter 12 gofer.open"), what is kept. */
void gofer_client_report(const struct gofer_client *c, struct strbuf *out);

/*
 * A super_block over the gofer's mount `index` (0: the root file system), with one reference. If
 * nobody else changes the tree (shared false), attributes, names and absent names are cached
 * without asking again; a shared tree is revalidated. -EIO: the gofer is gone.
 */
int gofer_fs_mount(struct kernel *k, struct gofer_client *c, uint32_t index, bool shared,
		   struct super_block **ret);

#endif
