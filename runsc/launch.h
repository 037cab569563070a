/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting a container's two processes, the sandbox and its gofer, and ending them when something
 * goes wrong. The order of things is drawn in sandbox.h; lifecycle.c calls these one by one.
 */
#ifndef RUNSC_LAUNCH_H
#define RUNSC_LAUNCH_H

#include <sys/types.h>

#include "runsc/config.h"
#include "runsc/namespace.h"
#include "runsc/options.h"
#include "runsc/sandbox.h"

/* A child of ours and the parent's end of what parks it. */
struct child {
	pid_t pid; /* -1: none, or reaped */
	int pidfd;
	int hold; /* sandbox: the sync socket; gofer: the pipe whose write lets it go; -1: closed */
};

struct launch {
	/* Given by the caller, borrowed. */
	const struct runsc_options *options;
	const struct oci_spec *spec;
	const char *id, *bundle;
	int control_fd;	       /* listening */
	int tty_fd;	       /* the slave, or -1 */
	int signal_fd;	       /* a signalfd whose signals end the wait for the sandbox, or -1 */
	bool own_gofer_mounts; /* the gofer gets its mount namespace at once, for hooks to join */

	/* Made here. */
	struct namespaces namespaces;
	struct child sandbox, gofer;
	int gofer_ready;			  /* read end of gofer_wait_ready's pipe */
	int gofer_fds[SANDBOX_GOFER_CONNECTIONS]; /* the sentry's ends, until the sandbox has them
						   */
};

void launch_init(struct launch *l);
/* Both processes exist afterwards and wait. */
struct error *launch_gofer(struct launch *l) __must_check;
struct error *launch_sandbox(struct launch *l) __must_check;
/* The sandbox may enter its namespaces. */
struct error *launch_confine(struct launch *l) __must_check;
/* Returns when it has. */
struct error *launch_confined(struct launch *l) __must_check;
/* The gofer may set itself up. */
struct error *launch_serve(struct launch *l) __must_check;
/* The sandbox, in its cgroups, may boot, after launch_serve; returns when the container's program
 * is loaded. */
struct error *launch_boot(struct launch *l) __must_check;
/* Kills and reaps both. */
void launch_kill(struct launch *l);
/* After the sandbox's end: the gofer's. It ends by itself; if not within a second, it is killed. */
void launch_reap_gofer(struct launch *l);
/* Closes what the parent holds; the processes live on. */
void launch_close(struct launch *l);

#endif
