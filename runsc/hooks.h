/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hooks of config.json that run on the host. Each gets the container's OCI state on its standard
 * input, its args and env (runsc's own environment when it gives none), and the bundle as working
 * directory. startContainer hooks run inside the sandbox instead, see control.h.
 */
#ifndef RUNSC_HOOKS_H
#define RUNSC_HOOKS_H

#include <sys/types.h>

#include "runsc/config.h"
#include "runsc/error.h"
#include "runsc/state.h"

/* Namespaces of a process that a hook joins first, or all zero: the runtime's. */
struct hook_namespaces {
	pid_t mount_of;	  /* its mount namespace */
	pid_t network_of; /* its network, IPC and UTS namespaces */
};

/*
 * Runs the stage's hooks in order; the first that fails ends it with an error. When the sandbox
 * dies meanwhile the hook is killed and that is the error, unless the stage is poststop.
 */
struct error *hooks_run(const struct oci_spec *spec, enum oci_hook_stage stage,
			const struct container *c, const struct hook_namespaces *ns) __must_check;

#endif
