/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/fs/devtmpfs/devices.h"

#include <stdlib.h>

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
};

void devices_init(struct kernel *k)
{
	struct devices *d = xnew(struct devices);

	mutex_init(&d->lock, RANK_LEAF);
	k->devices = d;
}

void devices_destroy(struct kernel *k)
{
	struct devices *d = k->devices;

	if (!d)
		return;
	k->devices = NULL;
	tty_put(d->console);
	mutex_destroy(&d->lock);
	free(d);
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
