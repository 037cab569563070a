/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the gofer comes to hold the container's trees, and to have an empty root.
 *
 * Detached, where the host can (Linux 5.12: open_tree and mount_setattr): each tree is a copy of a
 * mount that hangs nowhere. The gofer's root is an empty tmpfs.
 *
 * Attached, on older hosts: the trees are bind mounts on directories of that tmpfs, which is made
 * first and becomes the root at the end. The sources are opened before anything is mounted, and
 * both ends of each bind are named by descriptors, so that nobody can swap a path meanwhile. What
 * is lost: ".." of a tree leads to the other trees of the same container (names never hold it, so
 * only a gofer that was taken over could go there), and only the top of a read-only tree is
 * read-only for the host kernel. Below it the server alone refuses to write, as it does anyway.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/hostcall.h"
#include "base/mem.h"
#include "fsgofer/confine.h"

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

/* Where the new root is put for a moment: there for sure, and never "/". */
#define SCRATCH "/proc"

static bool can_detach(void)
{
	return host_has_mount_api() && host_has_mount_setattr();
}

static int check_source(const struct gofer_mount *m, struct confine_error *e)
{
	if (m->source[0] != '/')
		return confine_fail(e, EINVAL, "gofer: mount source %s is not absolute", m->source);
	return 0;
}

static int fail_source(const struct gofer_mount *m, int err, struct confine_error *e)
{
	return confine_fail(e, -err, "gofer: opening mount source %s", m->source);
}

/* ---- detached ---- */

static int open_tree_clone(const char *path, bool recursive)
{
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0);
	long fd = syscall(SYS_open_tree, AT_FDCWD, path, flags);

	return fd < 0 ? -errno : (int)fd;
}

static int restrict_detached(int fd, const struct gofer_mount *m)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
				  .propagation = MS_PRIVATE};

	if (m->readonly)
		attr.attr_set |= MOUNT_ATTR_RDONLY;
	if (m->noexec)
		attr.attr_set |= MOUNT_ATTR_NOEXEC;
	return host_mount_setattr(fd, AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr));
}

static int open_detached(const struct gofer_args *args, struct gofer_root *roots, int *ret_proc_fd,
			 struct confine_error *e)
{
	int fd = open_tree_clone("/proc/self/fd", false);

	if (fd < 0)
		return confine_fail(e, -fd, "gofer: opening /proc/self/fd");
	*ret_proc_fd = fd;
	for (size_t i = 0; i < args->mount_count; i++) {
		const struct gofer_mount *m = &args->mounts[i];
		int err = check_source(m, e);

		if (err)
			return err;
		fd = open_tree_clone(m->source, m->recursive);
		if (fd < 0)
			return fail_source(m, fd, e);
		roots[i] = (struct gofer_root){.fd = fd, .readonly = m->readonly};
	}
	return 0;
}

/* ---- attached ---- */

/* The name of a descriptor, for a working directory of /proc/self/fd (/proc itself is covered). */
struct fd_path {
	char text[16];
};

static struct fd_path fd_path(int fd)
{
	struct fd_path p;

	snprintf(p.text, sizeof(p.text), "%d", fd);
	return p;
}

static int mount_root(size_t inodes)
{
	char options[64];

	snprintf(options, sizeof(options), "size=4k,nr_inodes=%zu,mode=555", inodes);
	return mount("none", SCRATCH, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) ? -errno
											  : 0;
}

/*
 * Binds what `source` is open on to a new entry of the directory, and opens the result. The name is
 * free there.
 */
static int bind_below(int dir_fd, const char *name, int source, bool recursive)
{
	struct stat st;
	cleanup_fd int target = -1;
	unsigned long flags = MS_BIND | (recursive ? MS_REC : 0u);
	int fd;

	if (fstat(source, &st) || (S_ISDIR(st.st_mode) ? mkdirat(dir_fd, name, 0555)
						       : mknodat(dir_fd, name, S_IFREG | 0444, 0)))
		return -errno;
	target = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (target < 0 || mount(fd_path(source).text, fd_path(target).text, NULL, flags, NULL) ||
	    (fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC)) < 0)
		return -errno;
	if (mount(NULL, fd_path(fd).text, NULL, MS_PRIVATE | (recursive ? MS_REC : 0u), NULL)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

/* A remount replaces the flags: those that are there stay. */
static int restrict_attached(int fd, const struct gofer_mount *m)
{
	unsigned long flags = MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV |
			      (m->readonly ? MS_RDONLY : 0u) | (m->noexec ? MS_NOEXEC : 0u);
	struct statvfs st;

	if (fstatvfs(fd, &st))
		return -errno;
	flags |=
	    (st.f_flag & ST_RDONLY ? MS_RDONLY : 0u) | (st.f_flag & ST_NOEXEC ? MS_NOEXEC : 0u);
	return mount(NULL, fd_path(fd).text, NULL, flags, NULL) ? -errno : 0;
}

static int open_sources(const struct gofer_args *args, int *sources, struct confine_error *e)
{
	for (size_t i = 0; i < args->mount_count; i++) {
		const struct gofer_mount *m = &args->mounts[i];
		int err = check_source(m, e);

		if (err)
			return err;
		sources[i] = open(m->source, O_PATH | O_CLOEXEC);
		if (sources[i] < 0)
			return fail_source(m, -errno, e);
	}
	return 0;
}

static int bind_all(const struct gofer_args *args, const int *sources, struct gofer_root *roots,
		    int *ret_proc_fd, struct confine_error *e)
{
	cleanup_fd int proc = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC), dir = -1;
	int err = proc < 0 || fchdir(proc) ? -errno : mount_root(args->mount_count + 3);

	/* Unbindable: it may lie in one of the trees, and must not come along. */
	if (!err && mount(NULL, SCRATCH, NULL, MS_UNBINDABLE, NULL))
		err = -errno;
	if (err)
		return confine_fail(e, -err, "gofer: mounting a root on " SCRATCH);
	dir = open(SCRATCH, O_PATH | O_DIRECTORY | O_CLOEXEC);
	*ret_proc_fd = dir < 0 ? -errno : bind_below(dir, "fd", proc, false);
	if (*ret_proc_fd < 0)
		return confine_fail(e, -*ret_proc_fd, "gofer: binding /proc/self/fd");
	for (size_t i = 0; i < args->mount_count; i++) {
		char name[24];
		int fd;

		snprintf(name, sizeof(name), "%zu", i);
		fd = bind_below(dir, name, sources[i], args->mounts[i].recursive);
		if (fd < 0)
			return fail_source(&args->mounts[i], fd, e);
		roots[i] = (struct gofer_root){.fd = fd, .readonly = args->mounts[i].readonly};
	}
	return 0;
}

static int open_attached(const struct gofer_args *args, struct gofer_root *roots, int *ret_proc_fd,
			 struct confine_error *e)
{
	int *sources = xcalloc(args->mount_count, sizeof(*sources));
	int err;

	for (size_t i = 0; i < args->mount_count; i++)
		sources[i] = -1;
	err = open_sources(args, sources, e);
	if (!err)
		err = bind_all(args, sources, roots, ret_proc_fd, e);
	for (size_t i = 0; i < args->mount_count; i++)
		fd_closep(&sources[i]);
	free(sources);
	return err;
}

/* ---- both ---- */

int confine_open_mounts(const struct gofer_args *args, struct gofer_root *roots, int *ret_proc_fd,
			struct confine_error *e)
{
	bool detached = can_detach();
	int err = detached ? open_detached(args, roots, ret_proc_fd, e)
			   : open_attached(args, roots, ret_proc_fd, e);

	if (err)
		return err;
	if (args->mounts[0].readonly)
		make_mountpoints(args, roots);
	for (size_t i = 0; i < args->mount_count; i++) {
		const struct gofer_mount *m = &args->mounts[i];

		err = detached ? restrict_detached(roots[i].fd, m)
			       : restrict_attached(roots[i].fd, m);
		if (err)
			return confine_fail(e, -err, "gofer: restricting mount of %s", m->source);
	}
	return 0;
}

int confine_root(struct confine_error *e)
{
	const unsigned long final =
	    MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
	int err = can_detach() ? mount_root(2) : 0;

	if (err)
		return confine_fail(e, -err, "gofer: mounting an empty root on " SCRATCH);
	if (chdir(SCRATCH))
		return confine_fail(e, errno, "gofer: entering the empty root");
	/* The old root ends up on top of the new one, from where it is taken away. */
	if (syscall(SYS_pivot_root, ".", "."))
		return confine_fail(e, errno, "gofer: changing to the empty root");
	if (umount2(".", MNT_DETACH))
		return confine_fail(e, errno, "gofer: detaching the host's root");
	if (chdir("/") || mount(NULL, "/", NULL, final, NULL))
		return confine_fail(e, errno, "gofer: entering the empty root");
	return 0;
}
