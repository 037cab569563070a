/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hostcall.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/fd.h"
#include "base/feature.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#define MFD_EXEC	0x0010U
#endif

#define MADV_POPULATE_READ_ 22

#define LOOK_AGAIN_MS 10

static int result(long r)
{
	return r < 0 ? -errno : (int)r;
}

/* ---- processes ---- */

int host_pidfd_open(pid_t pid)
{
	return feature_off(FEATURE_PIDFD) ? -ENOSYS : result(syscall(SYS_pidfd_open, pid, 0));
}

int host_pidfd_signal(int pidfd, int signo)
{
	if (feature_off(FEATURE_PIDFD))
		return -ENOSYS;
	return result(syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0));
}

/* Ended, or never there; one that waits to be reaped has ended. */
static bool has_ended(pid_t pid)
{
	char path[32], text[512];
	const char *after;
	cleanup_fd int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return kill(pid, 0) < 0 && errno == ESRCH;
	n = read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return true;
	text[n] = '\0';
	after = strrchr(text, ')'); /* behind the name, which may hold anything */
	return after && (after[2] == 'Z' || after[2] == 'X');
}

/* The watching process: until the other one ends, or nobody reads the pipe any more. */
static void __noreturn watch_main(pid_t pid, int pipe_end)
{
	struct pollfd p = {.fd = pipe_end};
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL); /* what is meant for runsc is not meant for this */
	prctl(PR_SET_NAME, "runsc-watch");
	dup2(pipe_end, 0);
	p.fd = 0;
	host_close_range(1, ~0u, -1);
	while (!has_ended(pid) && poll(&p, 1, LOOK_AGAIN_MS) == 0)
		;
	_exit(0);
}

static int watch_by_looking(pid_t pid)
{
	int ends[2];
	pid_t watcher;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	watcher = fork();
	if (watcher == 0)
		watch_main(pid, ends[1]);
	close(ends[1]);
	if (watcher > 0)
		return ends[0];
	close(ends[0]);
	return -EAGAIN;
}

int host_watch(pid_t pid)
{
	int fd = host_pidfd_open(pid);

	if (fd != -ENOSYS)
		return fd;
	return has_ended(pid) && kill(pid, 0) < 0 ? -ESRCH : watch_by_looking(pid);
}

bool host_wait_gone(pid_t pid, int timeout_ms)
{
	int fd = host_watch(pid);
	cleanup_fd int owned = fd;
	struct pollfd p = {.fd = owned, .events = POLLIN};

	if (fd < 0)
		return fd == -ESRCH;
	return poll(&p, 1, timeout_ms) > 0;
}

/* ---- descriptors ---- */

/* The next descriptor's number that the directory lists, or -1; not that of the directory. */
static int next_listed(DIR *d)
{
	struct dirent *e;

	while ((e = readdir(d))) {
		char *end;
		long fd = strtol(e->d_name, &end, 10);

		if (end != e->d_name && !*end && fd != dirfd(d))
			return (int)fd;
	}
	return -1;
}

static DIR *open_listing(int proc_fd)
{
	int fd = proc_fd >= 0 ? openat(proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
			      : open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		close(fd);
	return d;
}

static unsigned descriptor_limit(void)
{
	struct rlimit l;

	/* A limit that was lowered later leaves what is above it open: the hard one, then. */
	if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_max > INT_MAX)
		return 1u << 20;
	return (unsigned)l.rlim_max;
}

unsigned host_fd_end(int proc_fd)
{
	DIR *d = open_listing(proc_fd);
	int fd, highest = -1;

	if (!d)
		return descriptor_limit();
	while ((fd = next_listed(d)) >= 0)
		highest = MAX(highest, fd);
	closedir(d);
	return (unsigned)(highest + 1);
}

bool host_has_close_range(void)
{
	/* Nothing has that number. */
	return !feature_off(FEATURE_CLOSE_RANGE) && syscall(SYS_close_range, ~0u, ~0u, 0) == 0;
}

int host_close_range(unsigned first, unsigned last, int proc_fd)
{
	unsigned end;

	if (!feature_off(FEATURE_CLOSE_RANGE)) {
		int r = result(syscall(SYS_close_range, first, last, 0));

		if (r != -ENOSYS)
			return r;
	}
	/* Counted first: closing while listing could skip some. */
	end = host_fd_end(proc_fd);
	for (unsigned fd = first; fd < end && fd <= last; fd++)
		close((int)fd);
	return 0;
}

/* ---- files ---- */

int host_openat2(int dirfd, const char *path, const struct open_how *how)
{
	if (feature_off(FEATURE_OPENAT2))
		return -ENOSYS;
	return result(syscall(SYS_openat2, dirfd, path, how, sizeof(*how)));
}

static struct statx_timestamp statx_time(const struct timespec *t)
{
	return (struct statx_timestamp){.tv_sec = t->tv_sec, .tv_nsec = (uint32_t)t->tv_nsec};
}

/* Fields that fstatat lacks stay 0, and out of the mask. */
static int statx_from_stat(int dirfd, const char *path, int flags, struct statx *ret)
{
	struct stat st;

	if (fstatat(dirfd, path, &st,
		    flags & (AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH)))
		return -errno;
	*ret = (struct statx){
	    .stx_mask = STATX_BASIC_STATS,
	    .stx_blksize = (uint32_t)st.st_blksize,
	    .stx_nlink = (uint32_t)st.st_nlink,
	    .stx_uid = st.st_uid,
	    .stx_gid = st.st_gid,
	    .stx_mode = (uint16_t)st.st_mode,
	    .stx_ino = st.st_ino,
	    .stx_size = (uint64_t)st.st_size,
	    .stx_blocks = (uint64_t)st.st_blocks,
	    .stx_atime = statx_time(&st.st_atim),
	    .stx_mtime = statx_time(&st.st_mtim),
	    .stx_ctime = statx_time(&st.st_ctim),
	    .stx_rdev_major = major(st.st_rdev),
	    .stx_rdev_minor = minor(st.st_rdev),
	    .stx_dev_major = major(st.st_dev),
	    .stx_dev_minor = minor(st.st_dev),
	};
	return 0;
}

int host_statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *ret)
{
	int r = feature_off(FEATURE_STATX)
		    ? -ENOSYS
		    : result(syscall(SYS_statx, dirfd, path, flags, mask, ret));

	if (r == -ENOSYS || r == -EPERM) /* no statx has a reason of its own to say EPERM */
		return statx_from_stat(dirfd, path, flags, ret);
	return r;
}

/* ---- memory files ---- */

/* EINVAL: a flag that the host doesn't know. */
static int memfd(const char *name, unsigned flags)
{
	if ((flags & (MFD_NOEXEC_SEAL | MFD_EXEC)) && feature_off(FEATURE_MEMFD_FLAGS))
		return -EINVAL;
	if ((flags & MFD_ALLOW_SEALING) && feature_off(FEATURE_MEMFD_SEAL))
		return -EINVAL;
	return result(syscall(SYS_memfd_create, name, flags));
}

int host_memfd(const char *name, enum host_memfd kind)
{
	unsigned exec = kind == HOST_MEMFD_PROGRAM ? MFD_EXEC : MFD_NOEXEC_SEAL;
	int fd;

	if (kind == HOST_MEMFD_PROGRAM && feature_off(FEATURE_MEMFD_EXEC))
		return -EACCES; /* as with sysctl vm.memfd_noexec=2 */
	fd = memfd(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | exec);
	if (fd == -EINVAL)
		fd = memfd(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd == -EINVAL)
		fd = memfd(name, MFD_CLOEXEC);
	return fd;
}

bool host_can_exec_memfd(void)
{
	cleanup_fd int fd = host_memfd("cvisor-probe", HOST_MEMFD_PROGRAM);
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & S_IXUSR);
}

int host_seal(int fd, unsigned seals)
{
	return feature_off(FEATURE_MEMFD_SEAL) ? -EINVAL : result(fcntl(fd, F_ADD_SEALS, seals));
}

bool host_has_madv_populate(void)
{
	/* Of no bytes at all: EINVAL only for advice that isn't known. */
	return !feature_off(FEATURE_MADV_POPULATE) && madvise(NULL, 0, MADV_POPULATE_READ_) == 0;
}

/* ---- mounts ---- */

bool host_has_mount_api(void)
{
	/* A descriptor that is none: EBADF where the call is known. */
	return !feature_off(FEATURE_MOUNT_API) &&
	       (syscall(SYS_fsmount, -1, 0, 0) >= 0 || errno != ENOSYS);
}

bool host_has_mount_setattr(void)
{
	return host_mount_setattr(-1, 0, NULL, 0) != -ENOSYS;
}

int host_mount_setattr(int fd, unsigned flags, const struct mount_attr *attr, size_t size)
{
	if (feature_off(FEATURE_MOUNT_SETATTR))
		return -ENOSYS;
	return result(syscall(SYS_mount_setattr, fd, "", flags, attr, size));
}
