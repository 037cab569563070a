/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host calls that older or hardened hosts lack, each with what is done instead. A feature that is
 * switched off (feature.h) fails here as such a host makes it fail.
 *
 * All return a count or descriptor >= 0, or a negative errno.
 */
#ifndef BASE_HOSTCALL_H
#define BASE_HOSTCALL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct open_how;
struct statx;
struct mount_attr;

/* pidfd_open(2), pidfd_send_signal(2): -ENOSYS before Linux 5.3 (5.1). */
int host_pidfd_open(pid_t pid);
int host_pidfd_signal(int pidfd, int signo);

/*
 * A descriptor that polls readable (or hung up) once the process has ended, whether or not it was
 * reaped: a pidfd. Without those nobody but its parent is told of a process's end: then a small
 * process of ours looks at /proc every few milliseconds, for as long as the descriptor is open. For
 * callers with one thread. -ESRCH: there is no such process.
 */
int host_watch(pid_t pid);
/* Waits until the process has ended. True: it has; false: time is up. */
bool host_wait_gone(pid_t pid, int timeout_ms);

/*
 * Closes all descriptors in [first, last]. Where close_range(2) lacks (before Linux 5.9) those that
 * proc_fd, a descriptor of /proc/self/fd, lists (-1: the one at that path), or all that the limit
 * allows. A single-threaded caller's, else others may open some meanwhile. 0 or negative errno.
 */
int host_close_range(unsigned first, unsigned last, int proc_fd);
bool host_has_close_range(void);
/* One more than the highest descriptor that is open; an upper bound of it without /proc. */
unsigned host_fd_end(int proc_fd);

/* openat2(2): -ENOSYS before Linux 5.6. */
int host_openat2(int dirfd, const char *path, const struct open_how *how);

/* statx(2); where it lacks (before Linux 4.11, or refused by an old seccomp profile) the same of
 * fstatat(2), without a time of birth. */
int host_statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *ret);

enum host_memfd {
	HOST_MEMFD_DATA, /* can't be executed, where the host knows the difference (Linux 6.3) */
	HOST_MEMFD_PROGRAM,
};

/* memfd_create(2), close-on-exec, open to seals. */
int host_memfd(const char *name, enum host_memfd kind);
/*
 * Whether the host lets programs be executed from such files: sysctl vm.memfd_noexec says no on
 * hardened hosts.
 */
bool host_can_exec_memfd(void);
/* F_ADD_SEALS. -EINVAL on hosts without seals. */
int host_seal(int fd, unsigned seals);

/* Whether madvise(2) knows MADV_POPULATE_READ and MADV_POPULATE_WRITE (Linux 5.14). */
bool host_has_madv_populate(void);

/* Whether fsopen(2), fsmount(2), open_tree(2), move_mount(2) may be used (Linux 5.2). */
bool host_has_mount_api(void);
bool host_has_mount_setattr(void); /* Linux 5.12 */
/* mount_setattr(2) of what fd is open on. */
int host_mount_setattr(int fd, unsigned flags, const struct mount_attr *attr, size_t size);

#endif
