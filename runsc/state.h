/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is kept of a container between commands: the directory ROOT/ID with
 *
 *	state.json	the OCI state and what delete needs (written to a new file, then renamed)
 *	config.json	as it was at create; its poststop hooks run at delete
 *	lock		flock'ed by create, start and delete while they work
 *	control.sock	the sentry listens here
 *	started		exists once the container's program is let go
 *
 * The directory's creation claims the id. Nobody is asked for the status: it follows from whether
 * the sandbox process lives (its pid and start time, so that a reused pid is noticed) and from
 * `started`. Reading and killing take no lock, so they never wait for a command that hangs.
 */
#ifndef RUNSC_STATE_H
#define RUNSC_STATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "runsc/config.h"
#include "runsc/options.h"

enum container_status {
	CONTAINER_CREATING,
	CONTAINER_CREATED,
	CONTAINER_RUNNING,
	CONTAINER_STOPPED,
};

/* A host process, told from a later one with the same pid. pid 0: none. */
struct process_id {
	pid_t pid;
	uint64_t start_time; /* clock ticks since boot */
};

struct container {
	char *id;
	char *dir;   /* the state directory; absolute */
	int dir_fd;  /* of it */
	int lock_fd; /* -1: not locked */

	/* What state.json holds. */
	bool creating; /* create hasn't come to its end (or died) */
	char *bundle, *rootfs;
	char *created; /* RFC 3339 */
	uid_t owner;
	struct process_id sandbox, gofer;
	json_t *cgroup;	     /* cgroup.c's; NULL: none */
	json_t *annotations; /* or NULL */
};

#define STATE_CONTROL_NAME "control.sock"
#define STATE_CONFIG_NAME  "config.json"

/* Makes the directory and locks it. errnum EEXIST: the id is in use. */
struct error *container_new(const struct runsc_options *o, const char *id,
			    struct container **ret_c) __must_check;
/* Opens an existing one without a lock. errnum ENOENT: there is none. */
struct error *container_open(const struct runsc_options *o, const char *id,
			     struct container **ret_c) __must_check;
/* Waits for the lock, then reads the state again; errnum ENOENT when it was deleted meanwhile. */
struct error *container_lock(struct container *c) __must_check;
void container_unlock(struct container *c);
void container_close(struct container *c); /* drops the lock, frees; NULL is fine */

struct error *container_save(const struct container *c) __must_check;
struct error *container_mark_started(const struct container *c, bool started) __must_check;
/* Removes the directory. */
struct error *container_remove(const struct container *c) __must_check;

enum container_status container_status(const struct container *c);
const char *container_status_name(enum container_status s);

/* The OCI state as hooks get it (status as given, since hooks run between two). */
char *container_hook_state(const struct container *c, enum container_status s);
/* The state as `runsc state` and `list` print it. */
json_t *container_state_json(const struct container *c, bool with_owner_name);

/* All ids below the root, sorted. A root that doesn't exist holds none. */
struct error *container_list(const struct runsc_options *o,
			     struct oci_strings *ret_ids) __must_check;

/* Whether id may name a container: letters, digits and "_+,-.", but not "." or "..". */
struct error *container_check_id(const char *id) __must_check;

/* What identifies the process with that pid now; pid 0 in *ret when there is none. */
void process_identify(pid_t pid, struct process_id *ret);
bool process_alive(const struct process_id *p);
/* SIGKILL (or another signal) to exactly that process; one that is gone already is fine. */
struct error *process_kill(const struct process_id *p, int signo) __must_check;
/* Waits until it is dead (a zombie counts as dead). false: it lives on after timeout_ms. */
bool process_wait_dead(const struct process_id *p, int timeout_ms);

#endif
