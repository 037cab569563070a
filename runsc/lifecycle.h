/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's life as the commands see it: create, start, delete. Each either does all of its
 * work or undoes it.
 */
#ifndef RUNSC_LIFECYCLE_H
#define RUNSC_LIFECYCLE_H

#include <stdbool.h>

#include "runsc/console.h"
#include "runsc/launch.h"
#include "runsc/options.h"
#include "runsc/state.h"

struct create_request {
	const char *id;
	const char *bundle;	    /* as given; "." by default */
	const char *pid_file;	    /* or NULL */
	const char *console_socket; /* or NULL */
	bool foreground;	    /* run without --detach: a terminal's master stays here */
	int signal_fd;		    /* as in struct launch */
};

/* What create leaves with its caller. Free with created_close. */
struct created {
	struct container *container; /* still locked */
	struct oci_spec *spec;
	struct console console; /* master only, with a terminal in the foreground */
	struct launch launch;	/* the processes; launch_close'd but for their pids and pidfds */
};

struct error *lifecycle_create(const struct runsc_options *o, const struct create_request *r,
			       struct created *ret) __must_check;
void created_close(struct created *c);

/*
 * Lets a created container's program go, with the hooks around it. The container is locked. When
 * it fails, a poststart hook's failure included, the container is killed.
 */
struct error *lifecycle_start(const struct container *c, const struct oci_spec *spec) __must_check;

/* The config.json that was kept at create. */
struct error *lifecycle_load_spec(const struct container *c, struct oci_spec **ret) __must_check;

/*
 * Removes everything of a container whose sandbox is dead, or, with kill, kills it first. The
 * container is locked. Poststop hooks run; what can't be removed is a warning, except the state.
 */
struct error *lifecycle_delete(const struct container *c, bool kill) __must_check;

/* A signal to the container's first process, or to all, through the sentry. */
struct error *lifecycle_signal(const struct container *c, int signo, bool all,
			       int timeout_ms) __must_check;
/* Whether the error of a call to the sentry says that no sentry is there any more. */
bool lifecycle_sentry_gone(const struct error *e);

#endif
