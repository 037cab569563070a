/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the loader needs of the rest, for test_loader.c and the fuzz target: files are bytes in
 * memory, or host files.
 */
#ifndef TESTS_UNIT_LOADER_FAKES_H
#define TESTS_UNIT_LOADER_FAKES_H

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/resource.h"
#include "abi/stat.h"
#include "base/compiler.h"
#include "base/mem.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/lockorder.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_block.h"
#include "sentry/kernel/timer.h"
#include "sentry/kernel/unsupported.h"
#include "sentry/loader/loader_internal.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/vfs.h"

struct fake_file {
	struct file f;
	struct inode inode;
	int fd; /* -1: bytes */
	const void *bytes;
	size_t size;
};

static int fake_live; /* files not yet closed */
static uint32_t fake_mount_flags;
static struct cred fake_cred;
static struct thread_group fake_group;
static struct kernel fake_kernel;
static struct task fake_task;
static bool fake_shares_fs;
static const char *fake_caps; /* content of security.capability, or NULL */
static size_t fake_caps_size;

static struct fake_file *fake_of(struct file *f)
{
	return container_of(f, struct fake_file, f);
}

bool task_shares_fs(struct task *t)
{
	(void)t;
	return fake_shares_fs;
}

void task_wait_add(struct task *t, struct waitqueue *wq, uint32_t mask, struct file *pin)
{
	(void)t;
	(void)wq;
	(void)mask;
	(void)pin;
}

static int fake_mmap_fd(struct file *f, uint32_t prot, uint32_t flags)
{
	(void)prot;
	(void)flags;
	return fake_of(f)->fd >= 0 ? fake_of(f)->fd : -ENODEV;
}

static ssize_t fake_getxattr(struct inode *i, const char *name, void *buf, size_t size)
{
	(void)i;
	(void)name;
	if (!fake_caps)
		return -ENODATA;
	if (size < fake_caps_size)
		return -ERANGE;
	memcpy(buf, fake_caps, fake_caps_size);
	return (ssize_t)fake_caps_size;
}

static const struct file_ops fake_file_ops = {.mmap_fd = fake_mmap_fd};
static const struct inode_ops fake_inode_ops = {.getxattr = fake_getxattr};

static struct file *fake_new(int fd, const void *bytes, size_t size)
{
	struct fake_file *f = xnew(struct fake_file);

	refcount_init(&f->f.ref);
	f->f.ops = &fake_file_ops;
	f->f.inode = &f->inode;
	f->inode.ops = &fake_inode_ops;
	f->inode.mode = ABI_S_IFREG | 0755;
	mutex_init(&f->inode.lock, RANK_INODE);
	f->fd = fd;
	f->bytes = bytes;
	f->size = size;
	fake_live++;
	return &f->f;
}

struct file *file_get(struct file *f)
{
	refcount_get(&f->ref);
	return f;
}

void file_put(struct file *f)
{
	struct fake_file *fake = fake_of(f);

	if (!refcount_put(&f->ref))
		return;
	if (fake->fd >= 0)
		close(fake->fd);
	mutex_destroy(&fake->inode.lock);
	free(fake);
	fake_live--;
}

ssize_t vfs_kernel_read(struct file *f, void *buf, size_t size, int64_t pos)
{
	struct fake_file *fake = fake_of(f);

	if (fake->fd >= 0)
		return pread(fake->fd, buf, size, pos);
	if ((uint64_t)pos >= fake->size)
		return 0;
	size = MIN(size, fake->size - (size_t)pos);
	memcpy(buf, (const char *)fake->bytes + pos, size);
	return (ssize_t)size;
}

int loader_open(struct task *t, int dfd, const char *name, uint32_t flags, struct file **ret)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);

	(void)t;
	(void)dfd;
	(void)flags;
	if (fd < 0)
		return -errno;
	*ret = fake_new(fd, NULL, 0);
	return 0;
}

uint32_t mount_flags(const struct mount *m)
{
	(void)m;
	return fake_mount_flags;
}

void object_count(enum object_kind kind, int delta)
{
	(void)kind;
	(void)delta;
}

struct cred *cred_dup(const struct cred *c)
{
	struct cred *copy = xnew(struct cred);

	*copy = *c;
	refcount_init(&copy->ref);
	return copy;
}

void cred_put(const struct cred *c)
{
	free((void *)c);
}

bool cred_capable(const struct cred *c, unsigned cap)
{
	return c->cap_effective >> cap & 1;
}

struct task *task_get(struct task *t)
{
	return t;
}

void task_put(struct task *t)
{
	(void)t;
}

uint64_t platform_vdso_size(const struct platform *p)
{
	(void)p;
	return 4 * PAGE_SIZE;
}

uint64_t platform_vdso_code_offset(const struct platform *p)
{
	(void)p;
	return 2 * PAGE_SIZE;
}

/* Text isn't patched here. */
uint64_t time_realtime_ns(void)
{
	return 0;
}

int task_add_memop(struct task *t, const struct memop *op)
{
	(void)t;
	(void)op;
	return -EAGAIN;
}

static void fake_setup(void)
{
	memset(&fake_cred, 0, sizeof(fake_cred));
	memset(&fake_group, 0, sizeof(fake_group));
	memset(&fake_task, 0, sizeof(fake_task));
	mutex_init(&fake_group.siglock, RANK_SIGNAL);
	fake_group.rlimits[ABI_RLIMIT_STACK].cur = 8 << 20;
	fake_task.tg = &fake_group;
	fake_task.cred = &fake_cred;
	fake_task.kernel = &fake_kernel;
	fake_mount_flags = 0;
	fake_caps = NULL;
	fake_shares_fs = false;
}

#endif
