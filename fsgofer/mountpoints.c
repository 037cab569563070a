/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mount points that a read-only root file system lacks.
 *
 * The sentry makes missing mount points itself, through the gofer, as for any mkdir. In a root that
 * is read-only it can't, and engines rely on it all the same (`docker run --read-only -v`). So the
 * gofer makes them before it turns the root read-only, while it still has all privileges; which
 * is why each step resolves beneath the root (RESOLVE_IN_ROOT): a symbolic link of the image
 * means what it will mean inside the container. Before Linux 5.6 the same is done by hand: each
 * component is opened by itself and never followed, links are read, and ".." goes back the way we
 * came instead of asking the host, so that no rename meanwhile can lead out of the root.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/hostcall.h"
#include "base/log.h"
#include "base/mem.h"
#include "fsgofer/confine.h"

/* ---- without openat2: one component at a time, links read by ourselves ---- */

#define LINKS_MAX 40 /* as Linux */

/* Where a walk stands: the directories from the root down, so that ".." is a step back. */
struct walk {
	int *dirs;
	size_t depth; /* dirs[depth - 1] is where it stands; dirs[0] the root */
	char *rest;   /* still to be resolved; allocated */
	unsigned links;
};

static int walk_enter(struct walk *w, int fd)
{
	w->dirs = xrealloc(w->dirs, (w->depth + 1) * sizeof(*w->dirs));
	w->dirs[w->depth++] = fd;
	return 0;
}

static void walk_leave(struct walk *w, size_t depth)
{
	while (w->depth > depth)
		close(w->dirs[--w->depth]);
}

/* Puts the link's target in front of what is left of the path. */
static int walk_link(struct walk *w, int link_fd)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(link_fd, "", target, sizeof(target));
	char *rest;

	if (n < 0)
		return -errno;
	if (n == 0 || n == (ssize_t)sizeof(target) || ++w->links > LINKS_MAX)
		return n == 0 ? -ENOENT : -ELOOP;
	if (target[0] == '/')
		walk_leave(w, 1);
	rest = xasprintf("%.*s/%s", (int)n, target, w->rest);
	free(w->rest);
	w->rest = rest;
	return 0;
}

/* One component of w->rest, which is cut off there. */
static int walk_step(struct walk *w, const char *name)
{
	struct stat st;
	int fd, err;

	if (strcmp(name, ".") == 0)
		return 0;
	if (strcmp(name, "..") == 0) {
		walk_leave(w, MAX(w->depth - 1, (size_t)1));
		return 0;
	}
	fd = openat(w->dirs[w->depth - 1], name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && !S_ISLNK(st.st_mode))
		return walk_enter(w, fd);
	err = walk_link(w, fd);
	close(fd);
	return err;
}

static int walk_in_root(int root_fd, const char *path)
{
	struct walk w = {.rest = xstrdup(path)};
	int fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 0), err = 0;

	if (fd < 0)
		err = -errno;
	else
		walk_enter(&w, fd);
	while (!err && w.rest[strspn(w.rest, "/")]) {
		char *at = w.rest + strspn(w.rest, "/"), *name;
		size_t size = strcspn(at, "/");

		name = xstrndup(at, size);
		memmove(w.rest, at + size, strlen(at + size) + 1);
		err = walk_step(&w, name);
		free(name);
	}
	fd = err ? err : w.dirs[--w.depth];
	walk_leave(&w, 0);
	free(w.dirs);
	free(w.rest);
	return fd;
}

static int open_in_root(int root_fd, const char *path)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC,
			       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	int fd = host_openat2(root_fd, path, &how);

	return fd == -ENOSYS ? walk_in_root(root_fd, path) : fd;
}

/* ---- making them ---- */

static int make_one(int dir_fd, const char *name, bool is_dir)
{
	int err = is_dir ? mkdirat(dir_fd, name, 0755) : mknodat(dir_fd, name, S_IFREG | 0755, 0);

	return err ? -errno : 0;
}

/*
 * Makes what is missing of the path. dir_fd: the directory of the component at `at` (owned here).
 */
static int make_path(int root_fd, char *path, bool is_dir)
{
	int dir_fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 0), fd, err = 0;

	for (char *at = path + strspn(path, "/"); *at && !err;) {
		char *end = strchrnul(at, '/'), saved = *end;

		*end = '\0';
		fd = open_in_root(root_fd, path);
		if (fd == -ENOENT) {
			err = make_one(dir_fd, at, saved || is_dir);
			fd = err ? err : open_in_root(root_fd, path);
		}
		*end = saved;
		if (fd < 0) {
			err = fd;
			break;
		}
		close(dir_fd);
		dir_fd = fd;
		at = end + strspn(end, "/");
	}
	if (dir_fd >= 0)
		close(dir_fd);
	return err;
}

static bool is_directory(int fd)
{
	struct stat st;

	return fstat(fd, &st) || S_ISDIR(st.st_mode);
}

void make_mountpoints(const struct gofer_args *args, const struct gofer_root *roots)
{
	umask(0);
	for (size_t i = 0; i < args->mountpoint_count; i++) {
		const struct gofer_mountpoint *m = &args->mountpoints[i];
		bool is_dir = !m->mount || is_directory(roots[m->mount].fd);
		char *path = xstrdup(m->path);
		int err = make_path(roots[0].fd, path, is_dir);

		/* The sentry's mount fails then, and says so. */
		if (err)
			log_warn("gofer: making mount point %s: %s", m->path, strerror(-err));
		free(path);
	}
}
