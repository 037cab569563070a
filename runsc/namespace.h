/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host namespaces of the sandbox process.
 *
 * All of them are new, whatever config.json lists, because they are the sandbox's second wall; the
 * namespaces that guests see are the sentry's own. Those with a path are joined: the network
 * namespace (an engine's or a pod's), IPC and UTS. The user namespace maps one id, 65534, so
 * that nothing in it owns anything of the host.
 *
 * Joining happens in runsc before the clone (the child, in its own user namespace, would lack the
 * right) and is undone after it.
 */
#ifndef RUNSC_NAMESPACE_H
#define RUNSC_NAMESPACE_H

#include <stdbool.h>
#include <sys/types.h>

#include "runsc/config.h"
#include "runsc/options.h"

struct sandbox_args;

struct namespaces {
	int clone_flags;	/* CLONE_NEW* of those that are made */
	bool user;		/* among them */
	int join[OCI_NS_COUNT]; /* descriptors of those that are joined, or -1 */
	int own[OCI_NS_COUNT];	/* runsc's own, to come back to, or -1 */
	char hostname[65];	/* of a joined UTS namespace, or empty */
};

/* What the config asks for; refuses what can't be had. Free with namespaces_close. */
struct error *namespaces_plan(const struct oci_spec *spec, const struct runsc_options *o,
			      struct namespaces *ret) __must_check;
void namespaces_close(struct namespaces *n);

/*
 * Like fork, but the child is pid 1 in new namespaces. Only for a process with one thread. The
 * child must wait for namespaces_map in the parent before it does anything that needs an id.
 */
struct error *namespaces_fork(struct namespaces *n, pid_t *ret_pid) __must_check;
/* In the parent: the child's id maps. */
struct error *namespaces_map(const struct namespaces *n, pid_t child) __must_check;

/* In the child, then: uid and gid 65534 with all capabilities kept. */
struct error *namespaces_become_nobody(const struct namespaces *n) __must_check;
/* In the child, when it is in its cgroups: a cgroup namespace that begins there. */
struct error *namespaces_own_cgroup(void) __must_check;
/*
 * In the child: an empty, read-only root. Sets proc_fd, of a proc of the PID namespace that is
 * mounted nowhere, and exec_dir_fd; they are -1 where the host forbids them.
 */
struct error *namespaces_empty_root(struct sandbox_args *args) __must_check;

#endif
