/* SPDX-License-Identifier: Apache-2.0 */
#include "fsgofer/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* glibc's <sys/mount.h> and <linux/mount.h> both come in parts, depending on their age. */
#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif
#ifndef OPEN_TREE_CLOEXEC
#define OPEN_TREE_CLOEXEC O_CLOEXEC
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

int confine_fail(struct confine_error *e, int err, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(e->text))
		snprintf(e->text + n, sizeof(e->text) - (size_t)n, ": %s", strerror(err));
	return -err;
}

int confine_namespaces(struct confine_error *e)
{
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP))
		return confine_fail(e, errno, "gofer: making own namespaces (needs root)");
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL))
		return confine_fail(e, errno, "gofer: cutting mounts off from the host's");
	return 0;
}

static int open_tree_clone(const char *path, bool recursive)
{
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0);
	long fd = syscall(SYS_open_tree, AT_FDCWD, path, flags);

	return fd < 0 ? -errno : (int)fd;
}

/*
 * Without mount_setattr (before Linux 5.12) a detached mount can't be made read-only. The server
 * then enforces it alone: it refuses every request that would write to a read-only mount.
 */
static int restrict_mount(int fd, const struct gofer_mount *m)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
				  .propagation = MS_PRIVATE};

	if (m->readonly)
		attr.attr_set |= MOUNT_ATTR_RDONLY;
	if (m->noexec)
		attr.attr_set |= MOUNT_ATTR_NOEXEC;
	if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) &&
	    errno != ENOSYS)
		return -errno;
	return 0;
}

static int open_mount(const struct gofer_mount *m, struct gofer_root *ret_root,
		      struct confine_error *e)
{
	int fd;

	if (m->source[0] != '/')
		return confine_fail(e, EINVAL, "gofer: mount source %s is not absolute", m->source);
	fd = open_tree_clone(m->source, m->recursive);
	if (fd < 0)
		return confine_fail(e, -fd, "gofer: opening mount source %s", m->source);
	*ret_root = (struct gofer_root){.fd = fd, .readonly = m->readonly};
	return 0;
}

int confine_open_mounts(const struct gofer_args *args, struct gofer_root *roots, int *ret_proc_fd,
			struct confine_error *e)
{
	int fd = open_tree_clone("/proc/self/fd", false);

	if (fd < 0)
		return confine_fail(e, -fd, "gofer: opening /proc/self/fd");
	*ret_proc_fd = fd;
	for (size_t i = 0; i < args->mount_count; i++) {
		int err = open_mount(&args->mounts[i], &roots[i], e);

		if (err)
			return err;
	}
	if (args->mounts[0].readonly)
		make_mountpoints(args, roots);
	for (size_t i = 0; i < args->mount_count; i++) {
		int err = restrict_mount(roots[i].fd, &args->mounts[i]);

		if (err)
			return confine_fail(e, -err, "gofer: restricting mount of %s",
					    args->mounts[i].source);
	}
	return 0;
}

int confine_root(const char *scratch_dir, struct confine_error *e)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY;

	if (mount("none", scratch_dir, "tmpfs", flags, "size=4k,nr_inodes=2,mode=555"))
		return confine_fail(e, errno, "gofer: mounting an empty root on %s", scratch_dir);
	if (chdir(scratch_dir))
		return confine_fail(e, errno, "gofer: entering the empty root");
	/* The old root ends up on top of the new one, from where it is taken away. */
	if (syscall(SYS_pivot_root, ".", "."))
		return confine_fail(e, errno, "gofer: changing to the empty root");
	if (umount2(".", MNT_DETACH))
		return confine_fail(e, errno, "gofer: detaching the host's root");
	if (chdir("/"))
		return confine_fail(e, errno, "gofer: entering the empty root");
	return 0;
}

static int compare_int(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

static bool is_in(const int *set, size_t count, int fd)
{
	for (size_t i = 0; i < count; i++)
		if (set[i] == fd)
			return true;
	return false;
}

int confine_descriptors(int *keep, size_t keep_count, int null_fd, struct confine_error *e)
{
	unsigned next = 3;

	for (int fd = 0; fd < 3; fd++)
		if (!is_in(keep, keep_count, fd) && fd != null_fd && dup2(null_fd, fd) < 0)
			return confine_fail(e, errno, "gofer: replacing descriptor %d", fd);
	qsort(keep, keep_count, sizeof(*keep), compare_int);
	for (size_t i = 0; i < keep_count; i++) {
		unsigned fd = (unsigned)keep[i];

		if (fd > next && syscall(SYS_close_range, next, fd - 1, 0))
			return confine_fail(e, errno, "gofer: closing descriptors");
		next = MAX(next, fd + 1);
	}
	if (syscall(SYS_close_range, next, ~0u, 0))
		return confine_fail(e, errno, "gofer: closing descriptors");
	return 0;
}

/* What the gofer may do as the host's root that any user may not, and why. */
static const int kept_capabilities[] = {
    CAP_CHOWN,		 /* created files get the guest's owner */
    CAP_DAC_OVERRIDE,	 /* the sentry checks permissions, for users the host doesn't know */
    CAP_DAC_READ_SEARCH, /* linkat of a descriptor; directories without x for root */
    CAP_FOWNER,		 /* chmod, utimes and unlink in sticky directories of others' files */
    CAP_FSETID,		 /* set-group-id files of groups that the gofer isn't in */
};
/* No CAP_MKNOD: Linux 5.8 and later let anybody make the 0:0 whiteout, and no more is made. */

static int set_capabilities(uint64_t keep)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return -errno;
	for (int i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(keep >> (32 * i));
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

int confine_privileges(struct confine_error *e)
{
	uint64_t keep = 0;
	int err;

	for (size_t i = 0; i < array_count(kept_capabilities); i++)
		keep |= (uint64_t)1 << kept_capabilities[i];
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (int cap = 0; cap < 64; cap++)
		if (!(keep >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0)) {
			if (errno == EINVAL) /* past the last that this kernel has */
				break;
			return confine_fail(e, errno, "gofer: dropping capability %d", cap);
		}
	err = set_capabilities(keep);
	if (err)
		return confine_fail(e, -err, "gofer: dropping capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return confine_fail(e, errno, "gofer: setting no_new_privs");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return confine_fail(e, errno, "gofer: becoming undumpable");
	return 0;
}
