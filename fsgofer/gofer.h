/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gofer process: the only part of a sandbox that can open files of the host, and only below
 * the container's mounts. This header is for runsc, which starts it; what it speaks is in
 * protocol.h, how it serves in server.h.
 *
 * How runsc starts one:
 *
 *	socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) GOFER_CONNECTIONS times
 *	pipe2(ready, O_CLOEXEC)
 *	fork; in the child (one thread, root, the host's namespaces):
 *		exit(gofer_main(&args)) with the pairs' one ends and ready[1]
 *	in the parent: close these, hand the other ends to the sentry, then
 *		gofer_wait_ready(ready[0], ...)
 *
 * The wait can come late: requests sent before the gofer is ready are answered once it is. The
 * gofer ends by itself when all its sockets have hung up; it needs no signal.
 */
#ifndef FSGOFER_GOFER_H
#define FSGOFER_GOFER_H

#include <stdbool.h>
#include <stddef.h>

/* One tree that the container may see. Index 0 is the root file system. */
struct gofer_mount {
	const char *source; /* absolute path on the host; a directory, or any other file */
	bool readonly;
	bool recursive; /* rbind: with what is mounted below the source */
	bool noexec;	/* mappings with PROT_EXEC are then refused by the host as well */
};

/* Where something will be mounted in the root file system (not in another mount). */
struct gofer_mountpoint {
	const char *path; /* in the container */
	size_t mount; /* the index of the tree that goes there, 0: something else, a directory */
};

struct gofer_args {
	const struct gofer_mount *mounts;
	size_t mount_count; /* 1 to GOFER_MOUNT_MAX */
	/* Made before a read-only root becomes read-only; unused if it isn't. */
	const struct gofer_mountpoint *mountpoints;
	size_t mountpoint_count;
	const int *sockets; /* SOCK_SEQPACKET ends, a serving thread each */
	size_t socket_count;
	int ready_fd; /* the pipe that gofer_wait_ready reads at its other end */
	/* Where base/log.h of the caller writes, kept; -1: the gofer logs nothing. */
	int log_fd;
};

#define GOFER_MOUNT_MAX 1024

/*
 * Confines the calling process for good, serves until all sockets hang up, and ends the process
 * with status 0. All descriptors that args doesn't name are closed. Returns (1) only when the
 * set-up failed, which has been reported through ready_fd, naming the path that was at fault.
 */
int gofer_main(const struct gofer_args *args);

/*
 * Blocks until the gofer serves (0), or failed or died (-1, with a line that says why, without
 * newline, in error). Leaves fd open.
 */
int gofer_wait_ready(int fd, char *error, size_t size);

#endif
