/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/fs/synth/synth.h"

#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"
#include "abi/fcntl.h"
#include "base/compiler.h"
#include "base/mem.h"
#include "base/refcount.h"
#include "base/strbuf.h"
#include "sentry/fs/synth/synth_file.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/usermem.h"
#include "sentry/vfs/vfs.h"

#define ROOT_INO 1

static const struct inode_ops dir_ops, private_dir_ops, file_ops, link_ops, magic_ops;

static const struct synth_fs *fs_of(const struct inode *i)
{
	return i->sb->private;
}

static const struct synth_node *node_of(const struct inode *i)
{
	return i->private;
}

/* ---- nodes ---- */

static const struct inode_ops *ops_for(const struct synth_entry *e)
{
	switch (e->mode & ABI_S_IFMT) {
	case ABI_S_IFDIR:
		return e->guard == SYNTH_PRIVATE ? &private_dir_ops : &dir_ops;
	case ABI_S_IFLNK:
		return e->follow ? &magic_ops : &link_ops;
	default:
		return &file_ops;
	}
}

static uint64_t child_ino(const struct inode *dir, const char *name)
{
	uint64_t h = dir->ino ^ 0xcbf29ce484222325ull;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 0x100000001b3ull;
	return h >> 24 | 1ull << 40; /* never the root's */
}

/* task is handed over. */
static struct inode *node_inode(struct super_block *sb, uint64_t ino, const struct synth_entry *e,
				struct task *task, int64_t number)
{
	const struct synth_fs *fs = sb->private;
	struct inode *i = inode_new(sb, ops_for(e), ino, e->mode);
	struct synth_node *n = xnew(struct synth_node);
	uint32_t uid, gid;

	*n = (struct synth_node){.entry = e, .kernel = sb->kernel, .task = task, .number = number};
	i->private = n;
	if (task) {
		fs->task_owner(task, &uid, &gid);
		i->uid = uid;
		i->gid = gid;
	}
	if (ABI_S_ISDIR(e->mode))
		i->nlink = 2;
	else if (ABI_S_ISREG(e->mode))
		i->size = fs->file_size;
	return i;
}

static void node_evict(struct inode *i)
{
	struct synth_node *n = i->private;

	if (n->task)
		task_put(n->task);
	free(n);
}

static bool node_exists(const struct inode *i)
{
	const struct synth_node *n = node_of(i);

	return !n->task || fs_of(i)->task_exists(n->task);
}

int synth_check_guard(struct inode *i, const struct cred *c)
{
	const struct synth_node *n = node_of(i);

	if (n->entry->guard == SYNTH_OPEN || !n->task)
		return 0;
	return fs_of(i)->may_access(c, n->task);
}

/* ---- directories ---- */

static const struct synth_entry *find_row(const struct synth_entry *rows, const char *name)
{
	for (; rows && rows->name; rows++)
		if (strcmp(rows->name, name) == 0)
			return rows;
	return NULL;
}

static int find_child(const struct synth_node *dir, const char *name, struct synth_child *ret)
{
	*ret = (struct synth_child){.entry = find_row(dir->entry->children, name),
				    .number = dir->number};
	if (ret->entry)
		return 0;
	return dir->entry->dynamic ? dir->entry->dynamic->lookup(dir, name, ret) : -ENOENT;
}

/*
 * The directory's lock is let go meanwhile: it protects nothing here (names come and go with tasks,
 * not by operations), and finding a child takes locks that come before it.
 */
static int dir_lookup(struct inode *dir, const char *name, struct inode **ret)
{
	const struct synth_node *n = node_of(dir);
	struct synth_child child;
	int err;

	mutex_unlock(&dir->lock);
	err = node_exists(dir) ? find_child(n, name, &child) : -ENOENT;
	if (!err) {
		if (!child.task && n->task)
			child.task = task_get(n->task);
		*ret = node_inode(dir->sb, child_ino(dir, name), child.entry, child.task,
				  child.number);
	}
	mutex_lock(&dir->lock);
	return err;
}

static uint8_t dtype_of(const struct synth_entry *e)
{
	return (uint8_t)((e->mode & ABI_S_IFMT) >> 12);
}

/* Positions: 2 + row number, then 2 + number of rows + key. */
static int dir_readdir(struct file *f, struct dir_emit *e)
{
	const struct synth_node *n = node_of(f->inode);
	const struct synth_entry *row = n->entry->children;
	int64_t base = 2, key;
	struct synth_child child;

	if (!node_exists(f->inode))
		return -ENOENT;
	if (!vfs_emit_dots(f, e))
		return 0;
	for (; row && row->name; row++, base++) {
		if (f->pos > base)
			continue;
		if (!e->emit(e, row->name, child_ino(f->inode, row->name), dtype_of(row), base + 1))
			return 0;
		f->pos = base + 1;
	}
	while (n->entry->dynamic &&
	       (key = n->entry->dynamic->next(n, f->pos - base, &child)) >= 0) {
		if (!e->emit(e, child.name, child_ino(f->inode, child.name), dtype_of(child.entry),
			     base + key + 1))
			return 0;
		f->pos = base + key + 1;
	}
	return 0;
}

static const struct file_ops dir_file_ops = {.readdir = dir_readdir};

static int dir_open(struct inode *i, struct file *f)
{
	f->ops = &dir_file_ops;
	return node_exists(i) ? 0 : -ENOENT;
}

/* Nothing is made here; as in Linux's proc, what doesn't exist stays so whatever is asked. */
static int no_create(struct inode *dir, const char *name, uint32_t mode, const struct cred *c,
		     struct inode **ret)
{
	(void)dir;
	(void)name;
	(void)mode;
	(void)c;
	(void)ret;
	return -ENOENT;
}

/* Instead of the mode: whoever may trace the task may look, nobody may write. */
static int private_permission(struct inode *i, const struct cred *c, uint32_t mask)
{
	return (mask & MAY_WRITE) ? -EACCES : synth_check_guard(i, c);
}

static const struct inode_ops dir_ops = {
    .lookup = dir_lookup,
    .create = no_create,
    .mkdir = no_create,
    .open = dir_open,
    .evict = node_evict,
};

static const struct inode_ops private_dir_ops = {
    .lookup = dir_lookup,
    .create = no_create,
    .mkdir = no_create,
    .open = dir_open,
    .permission = private_permission,
    .evict = node_evict,
};

/* ---- links ---- */

static int link_readlink(struct inode *i, struct task *t, char **ret)
{
	const struct synth_node *n = node_of(i);
	int err = node_exists(i) ? 0 : -ENOENT;

	if (!err && t)
		err = synth_check_guard(i, t->cred);
	return err ? err : n->entry->link(n, t, ret);
}

static int link_follow(struct inode *i, struct task *t, struct path *ret)
{
	const struct synth_node *n = node_of(i);
	int err = node_exists(i) ? 0 : -ENOENT;

	if (!err && t)
		err = synth_check_guard(i, t->cred);
	return err ? err : n->entry->follow(n, t, ret);
}

static const struct inode_ops link_ops = {.readlink = link_readlink, .evict = node_evict};
static const struct inode_ops magic_ops = {
    .readlink = link_readlink, .follow_magic = link_follow, .evict = node_evict};

/* ---- files ---- */

static int file_open(struct inode *i, struct file *f)
{
	const struct synth_node *n = node_of(i);
	uint64_t program = n->task ? task_program(n->task) : 0;
	int err = node_exists(i) ? synth_check_guard(i, f->cred) : -ENOENT;

	if (err)
		return err;
	if (n->entry->open)
		return n->entry->open(n, f, program);
	synth_file_open(f, program);
	return 0;
}

/* Size, times and owner are ours; echo > file may "truncate". */
static int file_setattr(struct inode *i, const struct iattr *attr)
{
	if (attr->valid & (ATTR_MODE | ATTR_UID | ATTR_GID))
		return -EPERM;
	(void)i;
	return 0;
}

static const struct inode_ops file_ops = {
    .open = file_open,
    .setattr = file_setattr,
    .evict = node_evict,
};

/* ---- the file system ---- */

static int synth_statfs(struct super_block *sb, struct abi_statfs *ret)
{
	const struct synth_fs *fs = sb->private;

	*ret = (struct abi_statfs){
	    .type = fs->magic, .bsize = 4096, .frsize = 4096, .namelen = VFS_NAME_MAX};
	return 0;
}

static const struct super_ops synth_super_ops = {.statfs = synth_statfs};

int synth_mount(struct kernel *k, const struct synth_fs *fs, struct super_block **ret)
{
	struct super_block *sb = super_new(k, fs->type, &synth_super_ops);

	sb->private = (void *)fs;
	sb->no_cache = true;
	sb->root = dentry_new_root(sb, node_inode(sb, ROOT_INO, fs->root, NULL, 0));
	*ret = sb;
	return 0;
}

/* ---- helpers for rows ---- */

int synth_show_text(const struct synth_node *n, struct strbuf *out)
{
	strbuf_addstr(out, n->entry->arg);
	return 0;
}

int synth_link_text(const struct synth_node *n, struct task *reader, char **ret_target)
{
	(void)reader;
	*ret_target = xstrdup(n->entry->arg);
	return 0;
}

int synth_parse_int(const char *text, int64_t min, int64_t max, int64_t *ret)
{
	char *end;
	long long n;

	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno || end == text || end[strspn(end, " \t\n")] || n < min || n > max)
		return -EINVAL;
	*ret = n;
	return 0;
}
