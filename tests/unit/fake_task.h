/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel with nothing but a VFS on a tmpfs, and a task that never runs: enough for the floors of
 * the sentry that see kernel memory only.
 */
#ifndef TESTS_UNIT_FAKE_TASK_H
#define TESTS_UNIT_FAKE_TASK_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "abi/caps.h"
#include "abi/fcntl.h"
#include "base/mem.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/lockorder.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/usermem.h"
#include "sentry/vfs/files.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/namei.h"
#include "sentry/vfs/vfs.h"
#include "sentry/vfs/vfs_internal.h"

struct fake {
	struct kernel kernel;
	struct thread_group tg;
	struct task task;
	struct path root;
};

/* Another task of the same kernel: own descriptors and credentials. */
static inline void fake_task_init(struct fake *f, struct task *t, struct thread_group *tg)
{
	struct cred *c = cred_new();

	c->cap_effective = c->cap_permitted = c->cap_bounding = ABI_CAP_ALL;
	tg->kernel = &f->kernel;
	tg->tgid = t->tid = 1;
	mutex_init(&tg->siglock, RANK_SIGNAL);
	for (unsigned i = 0; i < 16; i++)
		tg->rlimits[i] = (struct abi_rlimit){~0ull, ~0ull};
	tg->rlimits[7] = (struct abi_rlimit){1024, 4096};
	t->kernel = &f->kernel;
	t->tg = tg;
	t->cred = c;
	t->files = files_new();
	t->fs = fs_context_new(&f->root, &f->root);
}

static inline void fake_task_destroy(struct task *t)
{
	files_put(t->files);
	fs_context_put(t->fs);
	cred_put(t->cred);
}

/* options: of the tmpfs at the root. */
static inline struct fake *fake_new(const char *options)
{
	struct fake *f = xnew(struct fake);
	struct super_block *sb;

	mutex_init(&f->kernel.tasks_lock, RANK_TASKS);
	f->kernel.host_proc_fd = -1;
	f->kernel.vfs = vfs_new(&f->kernel);
	assert_int_equal(tmpfs_type.mount(&f->kernel, "tmpfs", 0, options, &sb), 0);
	assert_int_equal(vfs_mount_root(&f->kernel, sb, 0, "root", &f->root), 0);
	super_put(sb);
	fake_task_init(f, &f->task, &f->tg);
	return f;
}

/* Everything that the test made must be gone by itself. */
static inline void fake_free(struct fake *f)
{
	fake_task_destroy(&f->task);
	path_put(&f->root);
	vfs_destroy(f->kernel.vfs);
	free(f);
	assert_int_equal(object_live(OBJ_FILE), 0);
	assert_int_equal(object_live(OBJ_DENTRY), 0);
	assert_int_equal(object_live(OBJ_INODE), 0);
	assert_int_equal(object_live(OBJ_FILES), 0);
	assert_int_equal(object_live(OBJ_FS), 0);
}

/* ---- short forms; the task's own directory is the root ---- */

static inline struct file *fake_open(struct task *t, const char *name, uint32_t flags)
{
	struct file *f = NULL;

	assert_int_equal(vfs_open(t, ABI_AT_FDCWD, name, flags, 0644, &f), 0);
	return f;
}

static inline int fake_open_error(struct task *t, const char *name, uint32_t flags)
{
	struct file *f = NULL;
	int err = vfs_open(t, ABI_AT_FDCWD, name, flags, 0644, &f);

	if (!err)
		file_put(f);
	return err;
}

static inline ssize_t fake_write(struct file *f, const void *data, size_t size)
{
	struct uio u;

	uio_init_kernel(&u, (void *)data, size);
	return vfs_write(f, &u, NULL);
}

static inline ssize_t fake_read(struct file *f, void *data, size_t size)
{
	struct uio u;

	uio_init_kernel(&u, data, size);
	return vfs_read(f, &u, NULL);
}

static inline void fake_make(struct task *t, const char *name, const char *text)
{
	struct file *f = fake_open(t, name, ABI_O_WRONLY | ABI_O_CREAT | ABI_O_TRUNC);

	assert_int_equal(fake_write(f, text, strlen(text)), strlen(text));
	file_put(f);
}

static inline int fake_lookup(struct task *t, const char *name, uint32_t flags)
{
	struct path p;
	int err = vfs_lookup(t, ABI_AT_FDCWD, name, flags, &p, NULL);

	if (!err)
		path_put(&p);
	return err;
}

static inline struct abi_stat fake_stat(struct task *t, const char *name)
{
	struct abi_stat st;
	struct path p;

	assert_int_equal(vfs_lookup(t, ABI_AT_FDCWD, name, 0, &p, NULL), 0);
	assert_int_equal(vfs_stat(&p, &st), 0);
	path_put(&p);
	return st;
}

#endif
