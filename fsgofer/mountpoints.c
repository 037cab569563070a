/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mount points that a read-only root file system lacks.
 *
 * The sentry makes missing mount points itself, through the gofer, as for any mkdir. In a root that
 * is read-only it can't, and engines rely on it all the same (`docker run --read-only -v`). So the
 * gofer makes them before it turns the root read-only, while it still has all privileges; which
 * is why each step resolves beneath the root (RESOLVE_IN_ROOT): a symbolic link of the image
 * means what it will mean inside the container.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "fsgofer/confine.h"

static int open_in_root(int root_fd, const char *path)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC,
			       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	long fd = syscall(SYS_openat2, root_fd, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

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
