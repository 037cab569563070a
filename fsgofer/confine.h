/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the gofer's process gives up what it doesn't need. The steps, in the order in which
 * gofer_main takes them (each is for good):
 *
 *	confine_namespaces   own mount, network, IPC, UTS and cgroup namespaces
 *	confine_open_mounts  each source becomes a detached mount, held by a descriptor
 *	confine_root         an empty read-only root, the host's tree is gone
 *	confine_descriptors  all others closed, a limit as high as it goes
 *	confine_privileges   capabilities, no_new_privs, not dumpable
 *	(threads start)
 *	filter_load          only the calls of filter.c, for all threads
 *
 * The container's mounts stay detached: they are attached nowhere, not even below the gofer's own
 * root, and ".." at the top of one stays there. Of proc the gofer has the directory /proc/self/fd
 * alone, as a detached mount too, so neither other processes nor /proc/sys are in reach. That, and
 * a filter without any call that names a process, is why it has no PID namespace of its own: it
 * would cost a fork and keep nothing more away. (Hosts before Linux 5.12 have no such detached
 * mounts, or can't make them read-only: there they lie below the gofer's own root; see mounts.c.)
 */
#ifndef FSGOFER_CONFINE_H
#define FSGOFER_CONFINE_H

#include <stddef.h>

#include "base/compiler.h"
#include "fsgofer/gofer.h"
#include "fsgofer/server.h"

/* Why a step failed: one line, for runsc's error message. */
struct confine_error {
	char text[512];
};
/* Fills e with the message and strerror(err), returns -err. */
int confine_fail(struct confine_error *e, int err, const char *fmt, ...) __printf(3, 4);

int confine_namespaces(struct confine_error *e);
/* mounts.c. Fills roots[args->mount_count] and the descriptor of /proc/self/fd. */
int confine_open_mounts(const struct gofer_args *args, struct gofer_root *roots, int *ret_proc_fd,
			struct confine_error *e);
/* Makes args->mountpoints in roots[0] as far as possible (mountpoints.c). */
void make_mountpoints(const struct gofer_args *args, const struct gofer_root *roots);
int confine_root(struct confine_error *e); /* mounts.c */
/*
 * Closes all but keep[] (sorted by this function) and null_fd, which stands in for 0, 1 and 2.
 * proc_fd: of /proc/self/fd, one of those kept.
 */
int confine_descriptors(int *keep, size_t keep_count, int null_fd, int proc_fd,
			struct confine_error *e);
int confine_privileges(struct confine_error *e);

/* A rule of filter.c, for docs/security.md. */
struct filter_description {
	const char *call;
	const char *when; /* conditions on arguments, "" if any will do */
	const char *reason;
};
bool filter_describe(size_t i, struct filter_description *ret);
/* filter.c. The descriptors are those that arguments are compared with. */
int filter_load(int proc_fd, int log_fd, int ready_fd, struct confine_error *e);

#endif
