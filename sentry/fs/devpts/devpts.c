/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/fs/devpts/devpts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"
#include "abi/fcntl.h"
#include "base/idmap.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "sentry/fs/devtmpfs/devices.h"
#include "sentry/fs/synth/options.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/lockorder.h"
#include "sentry/kernel/task.h"
#include "sentry/tty/pty.h"
#include "sentry/tty/tty.h"
#include "sentry/vfs/vfs.h"

#define ROOT_INO  1
#define PTMX_INO  2
#define FIRST_INO 3 /* of pair 0 */
#define PTMX_RDEV abi_makedev(5, 2)
#define PAIRS_MAX 4096u /* of one instance, whatever max= says */

/* One named pair: the inode holds the tty (inode.private). */
struct devpts {
	struct kernel *kernel;	 /* [I] */
	uint32_t mode, ptmxmode; /* [I] */
	bool has_uid, has_gid;	 /* [I] */
	uint32_t uid, gid;	 /* [I] */
	uint32_t max;		 /* [I] */
	struct mutex lock;	 /* RANK_OBJECT; guards the rest */
	struct idmap slaves;	 /* index -> struct inode, a reference */
};

static const struct inode_ops slave_ops, ptmx_ops;
static const struct pty_host pair_host;

static struct devpts *devpts_of(const struct super_block *sb)
{
	return sb->private;
}

/* ---- pairs ---- */

static struct inode *slave_inode(struct super_block *sb, struct tty *tty, const struct cred *c)
{
	struct devpts *fs = devpts_of(sb);
	struct inode *i =
	    inode_new(sb, &slave_ops, FIRST_INO + pty_index(tty), ABI_S_IFCHR | fs->mode);

	i->rdev = tty_rdev(tty);
	i->uid = fs->has_uid ? fs->uid : c ? c->fsuid : 0;
	i->gid = fs->has_gid ? fs->gid : c ? c->fsgid : 0;
	i->private = tty_get(tty);
	return i;
}

/* Names a new pair; the caller gets the slave's tty, a reference. */
static int make_pair(struct super_block *sb, const struct cred *c, struct tty **ret)
{
	struct devpts *fs = devpts_of(sb);
	struct tty *tty = NULL;
	int64_t index;

	mutex_lock(&fs->lock);
	index = idmap_lowest_free(&fs->slaves, 0, fs->max);
	if (index >= 0) {
		super_get(sb);
		tty = pty_new(fs->kernel, (uint32_t)index, &pair_host, sb);
		idmap_set(&fs->slaves, (uint32_t)index, slave_inode(sb, tty, c));
	}
	mutex_unlock(&fs->lock);
	if (!tty)
		return -ENOSPC;
	*ret = tty;
	return 0;
}

static struct inode *find_slave(struct devpts *fs, uint32_t index)
{
	struct inode *i;

	mutex_lock(&fs->lock);
	i = idmap_get(&fs->slaves, index);
	if (i)
		inode_get(i);
	mutex_unlock(&fs->lock);
	return i;
}

static void pair_closed(void *owner, uint32_t index)
{
	struct super_block *sb = owner;
	struct devpts *fs = devpts_of(sb);
	struct inode *i;
	char name[16];

	mutex_lock(&fs->lock);
	i = idmap_set(&fs->slaves, index, NULL);
	mutex_unlock(&fs->lock);
	snprintf(name, sizeof(name), "%u", index);
	dcache_invalidate(dentry_inode(sb->root), name);
	inode_put(i);
}

static int pair_open_peer(void *owner, struct file *master, uint32_t index, struct task *t,
			  uint32_t flags, struct file **ret)
{
	struct super_block *sb = owner;
	struct inode *i = find_slave(devpts_of(sb), index);
	struct path p;
	struct file *f;
	char name[32];
	int err;

	if (!i)
		return -EIO;
	(void)master;
	snprintf(name, sizeof(name), "/dev/pts/%u", index);
	err = vfs_path_of_inode(t->kernel, name, i, &p);
	if (err)
		return err;
	f = file_new(&p, flags & ~(uint32_t)ABI_O_CLOEXEC, t->cred);
	path_put(&p);
	f->opener = t;
	err = f->inode->ops->open(f->inode, f);
	f->opener = NULL;
	if (err) {
		file_put(f);
		return err;
	}
	*ret = f;
	return 0;
}

static void pair_put(void *owner)
{
	super_put(owner);
}

static const struct pty_host pair_host = {
    .closed = pair_closed,
    .open_peer = pair_open_peer,
    .put = pair_put,
};

/* ---- nodes ---- */

static int slave_open(struct inode *i, struct file *f)
{
	return tty_open(i->private, f->opener, f);
}

static void slave_evict(struct inode *i)
{
	tty_put(i->private);
}

static const struct inode_ops slave_ops = {.open = slave_open, .evict = slave_evict};

static int open_pair_of(struct super_block *sb, struct file *f)
{
	struct tty *tty;
	int err = make_pair(sb, f->cred, &tty);

	if (err)
		return err;
	pty_open_master(tty, f);
	tty_put(tty);
	return 0;
}

static int ptmx_open(struct inode *i, struct file *f)
{
	return open_pair_of(i->sb, f);
}

static const struct inode_ops ptmx_ops = {.open = ptmx_open};

int devpts_open_ptmx(struct kernel *k, struct file *f)
{
	struct super_block *sb = devices_devpts_get(k->devices);
	int err;

	if (!sb)
		return -ENODEV;
	err = open_pair_of(sb, f);
	super_put(sb);
	return err;
}

int devpts_open_slave(struct kernel *k, uint32_t index, struct file *f)
{
	struct super_block *sb = devices_devpts_get(k->devices);
	struct inode *i = sb ? find_slave(devpts_of(sb), index) : NULL;
	int err = i ? slave_open(i, f) : -ENXIO;

	inode_put(i);
	super_put(sb);
	return err;
}

/* ---- the directory ---- */

/* A decimal number as it would be printed, or -1. */
static int64_t parse_index(const char *name)
{
	int64_t n = 0;

	if (name[0] == '0' && name[1])
		return -1;
	for (; *name; name++) {
		if (*name < '0' || *name > '9' || n > PAIRS_MAX)
			return -1;
		n = n * 10 + (*name - '0');
	}
	return n;
}

static struct inode *ptmx_inode(struct super_block *sb)
{
	struct inode *i = inode_new(sb, &ptmx_ops, PTMX_INO, ABI_S_IFCHR | devpts_of(sb)->ptmxmode);

	i->rdev = PTMX_RDEV;
	return i;
}

static int root_lookup(struct inode *dir, const char *name, struct inode **ret)
{
	int64_t index;
	struct inode *i = NULL;

	if (strcmp(name, "ptmx") == 0) {
		*ret = ptmx_inode(dir->sb);
		return 0;
	}
	index = parse_index(name);
	if (index >= 0)
		i = find_slave(devpts_of(dir->sb), (uint32_t)index);
	if (!i)
		return -ENOENT;
	*ret = i;
	return 0;
}

/* Position 2 is ptmx, 3 + n is pair n. */
static int root_readdir(struct file *f, struct dir_emit *e)
{
	struct devpts *fs = devpts_of(f->inode->sb);
	struct inode *i;
	int64_t index;
	char name[16];

	if (!vfs_emit_dots(f, e))
		return 0;
	if (f->pos == 2) {
		if (!e->emit(e, "ptmx", PTMX_INO, ABI_DT_CHR, 3))
			return 0;
		f->pos = 3;
	}
	for (;;) {
		mutex_lock(&fs->lock);
		index = idmap_next(&fs->slaves, (uint32_t)(f->pos - 3), (void **)&i);
		mutex_unlock(&fs->lock);
		if (index < 0)
			return 0;
		snprintf(name, sizeof(name), "%u", (unsigned)index);
		if (!e->emit(e, name, FIRST_INO + (uint64_t)index, ABI_DT_CHR, index + 4))
			return 0;
		f->pos = index + 4;
	}
}

static const struct file_ops root_file_ops = {.readdir = root_readdir};

static int root_open(struct inode *i, struct file *f)
{
	(void)i;
	f->ops = &root_file_ops;
	return 0;
}

/* What is still named when the instance goes is the console. */
static void root_evict(struct inode *i)
{
	struct devpts *fs = devpts_of(i->sb);
	struct inode *console = idmap_set(&fs->slaves, 0, NULL);

	inode_put(console);
}

static const struct inode_ops root_ops = {
    .lookup = root_lookup, .open = root_open, .evict = root_evict};

/* ---- the file system ---- */

static int devpts_statfs(struct super_block *sb, struct abi_statfs *ret)
{
	(void)sb;
	*ret = (struct abi_statfs){
	    .type = ABI_DEVPTS_MAGIC, .bsize = 4096, .frsize = 4096, .namelen = VFS_NAME_MAX};
	return 0;
}

static void devpts_destroy(struct super_block *sb)
{
	struct devpts *fs = devpts_of(sb);

	if (fs->kernel->devices)
		devices_withdraw_devpts(fs->kernel->devices, sb);
	idmap_destroy(&fs->slaves);
	mutex_destroy(&fs->lock);
	free(fs);
}

static void devpts_show_options(struct super_block *sb, struct strbuf *out)
{
	struct devpts *fs = devpts_of(sb);

	if (fs->has_uid)
		strbuf_addf(out, "uid=%u,", fs->uid);
	if (fs->has_gid)
		strbuf_addf(out, "gid=%u,", fs->gid);
	strbuf_addf(out, "mode=%03o,ptmxmode=%03o", fs->mode, fs->ptmxmode);
	if (fs->max < PAIRS_MAX)
		strbuf_addf(out, ",max=%u", fs->max);
}

static const struct super_ops devpts_super_ops = {
    .statfs = devpts_statfs,
    .show_options = devpts_show_options,
    .destroy = devpts_destroy,
};

static int parse_options(struct devpts *fs, const char *data)
{
	struct mount_option o;
	uint64_t n;

	while (mount_option_next(&data, &o)) {
		if (mount_option_is(&o, "newinstance"))
			continue;
		if (mount_option_number(&o, "uid", 10, UINT32_MAX, &n)) {
			fs->has_uid = true;
			fs->uid = (uint32_t)n;
		} else if (mount_option_number(&o, "gid", 10, UINT32_MAX, &n)) {
			fs->has_gid = true;
			fs->gid = (uint32_t)n;
		} else if (mount_option_number(&o, "mode", 8, 0777, &n)) {
			fs->mode = (uint32_t)n;
		} else if (mount_option_number(&o, "ptmxmode", 8, 0777, &n)) {
			fs->ptmxmode = (uint32_t)n;
		} else if (mount_option_number(&o, "max", 10, INT32_MAX, &n)) {
			fs->max = (uint32_t)MIN(n, (uint64_t)PAIRS_MAX);
		} else {
			return -EINVAL;
		}
	}
	return 0;
}

static struct devpts *devpts_new(struct kernel *k)
{
	struct devpts *fs = xnew(struct devpts);

	fs->kernel = k;
	fs->mode = 0600;
	fs->max = PAIRS_MAX;
	mutex_init(&fs->lock, RANK_OBJECT);
	return fs;
}

/* The console becomes pair 0 of the first instance. */
static void name_console(struct super_block *sb)
{
	struct kernel *k = devpts_of(sb)->kernel;
	struct super_block *first;
	struct tty *console;

	devices_offer_devpts(k->devices, sb);
	first = devices_devpts_get(k->devices);
	console = devices_console(k->devices);
	if (first == sb && console)
		idmap_set(&devpts_of(sb)->slaves, 0, slave_inode(sb, console, NULL));
	super_put(first);
}

static int devpts_mount(struct kernel *k, const char *source, uint32_t flags, const char *data,
			struct super_block **ret)
{
	struct devpts *fs = devpts_new(k);
	struct super_block *sb;
	struct inode *root;
	int err = parse_options(fs, data);

	(void)source;
	(void)flags;
	if (err) {
		mutex_destroy(&fs->lock);
		free(fs);
		return err;
	}
	sb = super_new(k, "devpts", &devpts_super_ops);
	sb->private = fs;
	sb->no_cache = true;
	root = inode_new(sb, &root_ops, ROOT_INO, ABI_S_IFDIR | 0755);
	root->nlink = 2;
	sb->root = dentry_new_root(sb, root);
	name_console(sb);
	*ret = sb;
	return 0;
}

const struct fs_type devpts_fs_type = {.name = "devpts", .mount = devpts_mount};
