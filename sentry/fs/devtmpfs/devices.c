/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/fs/devtmpfs/devices.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/lockorder.h"
#include "sentry/tty/tty.h"
#include "sentry/vfs/vfs.h"

struct devices {
	struct mutex lock;	    /* RANK_LEAF; guards the rest */
	struct tty *console;	    /* reference */
	struct super_block *devpts; /* borrowed */
	struct super_block *host;   /* reference */
	uint8_t boot_id[16];	    /* [I] */
};

void devices_init(struct kernel *k)
{
	struct devices *d = xnew(struct devices);

	mutex_init(&d->lock, RANK_LEAF);
	check(getrandom(d->boot_id, sizeof(d->boot_id), 0) == (ssize_t)sizeof(d->boot_id));
	k->devices = d;
}

void devices_destroy(struct kernel *k)
{
	struct devices *d = k->devices;

	if (!d)
		return;
	k->devices = NULL;
	tty_put(d->console);
	super_put(d->host);
	mutex_destroy(&d->lock);
	free(d);
}

void devices_boot_id(struct devices *d, uint8_t ret_bytes[16])
{
	memcpy(ret_bytes, d->boot_id, sizeof(d->boot_id));
}

void devices_set_console(struct devices *d, struct tty *tty)
{
	mutex_lock(&d->lock);
	check(!d->console);
	d->console = tty;
	mutex_unlock(&d->lock);
}

struct tty *devices_console(struct devices *d)
{
	struct tty *tty;

	mutex_lock(&d->lock);
	tty = d->console;
	mutex_unlock(&d->lock);
	return tty;
}

void devices_offer_devpts(struct devices *d, struct super_block *sb)
{
	mutex_lock(&d->lock);
	if (!d->devpts)
		d->devpts = sb;
	mutex_unlock(&d->lock);
}

void devices_withdraw_devpts(struct devices *d, struct super_block *sb)
{
	mutex_lock(&d->lock);
	if (d->devpts == sb)
		d->devpts = NULL;
	mutex_unlock(&d->lock);
}

struct super_block *devices_devpts_get(struct devices *d)
{
	struct super_block *sb;

	mutex_lock(&d->lock);
	sb = d->devpts;
	if (sb && !refcount_get_unless_zero(&sb->ref))
		sb = NULL;
	mutex_unlock(&d->lock);
	return sb;
}

/* ---- the file system of host descriptors: it has inodes, but no tree ---- */

static int host_statfs(struct super_block *sb, struct abi_statfs *ret)
{
	(void)sb;
	*ret = (struct abi_statfs){
	    .type = ABI_PIPEFS_MAGIC, .bsize = 4096, .frsize = 4096, .namelen = VFS_NAME_MAX};
	return 0;
}

static const struct super_ops host_super_ops = {.statfs = host_statfs};

struct super_block *devices_host_sb(struct kernel *k)
{
	struct super_block *fresh = super_new(k, "host", &host_super_ops), *sb;
	struct devices *d = k->devices;

	mutex_lock(&d->lock);
	sb = d->host;
	if (!sb)
		sb = d->host = fresh;
	mutex_unlock(&d->lock);
	if (sb != fresh)
		super_put(fresh);
	return sb;
}
