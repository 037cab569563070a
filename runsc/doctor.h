/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host can do for containers, and what is lost where it can't: `runsc doctor`, and the
 * annotations of `runsc features`.
 *
 * Nothing is concluded from version numbers. A kernel facility is tried in a child process
 * (doctor_calls.c), limits and modules are read where the kernel shows them (doctor_host.c), and
 * what decides in the end is a sandbox that is really started, up to the point where `create` would
 * return (doctor_boot.c). Children die with their parent and have a time limit, so nothing stays
 * behind, whatever happens.
 *
 * Items that are features of base/feature.h take their loss from there, and say so when --without
 * has switched them off.
 */
#ifndef RUNSC_DOCTOR_H
#define RUNSC_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "runsc/options.h"

enum doctor_state {
	DOCTOR_YES,
	DOCTOR_NO,
	DOCTOR_OFF,  /* the host may have it; --without takes it away */
	DOCTOR_NOTE, /* a fact that is neither good nor bad */
};

struct doctor_item {
	const char *group;
	char *name;
	enum doctor_state state;
	const char *loss; /* "speed: ...", "isolation: ...", "function: ..."; "": nothing is lost */
	char *detail;	  /* what was seen; never NULL */
};

struct doctor_platform {
	const char *name;
	bool works;
	char *why;	/* it doesn't */
	double call_us; /* what a call of a guest took, the best of a few */
};

#define DOCTOR_PLATFORMS 2

struct doctor_report {
	struct doctor_item *items;
	size_t count, capacity;
	struct doctor_platform platforms[DOCTOR_PLATFORMS];
	const char *chosen; /* a platform's name, or NULL */
	char *chosen_why;
	bool ready;	 /* a container could run */
	char *obstacle;	 /* what lets every `create` fail, or NULL */
	char *ready_why; /* what was done to find out, or what stands in the way */
};

/*
 * Tries everything, in well under a second. Call while there is one thread. whole: a sandbox is
 * made as well, without which `ready` only says that a platform works.
 */
void doctor_examine(const struct runsc_options *o, bool whole, struct doctor_report *ret);
void doctor_free(struct doctor_report *r);

/* Absent or switched off, and missed. */
bool doctor_is_loss(const struct doctor_item *i);
const char *doctor_state_name(enum doctor_state s); /* "yes", "no", "off", "note" */

/* ---- for the files that examine ---- */

/* state by `err`: 0 is there, else not (the errno is added to the detail). */
void doctor_add_result(struct doctor_report *r, const char *group, const char *name, int err,
		       const char *loss, const char *fmt, ...) __printf(6, 7);
void doctor_add(struct doctor_report *r, const char *group, const char *name,
		enum doctor_state state, const char *loss, const char *fmt, ...) __printf(6, 7);

/* No container can run because of this; the first one is kept. */
void doctor_obstacle(struct doctor_report *r, const char *fmt, ...) __printf(2, 3);

/*
 * Runs fn in a child of its own, which is killed when it takes longer than two seconds. What it
 * finds out it writes to `shared`, memory that both see (doctor_shared). 0, or -errno: the child
 * can't be made (-EAGAIN), took too long (-ETIMEDOUT) or died (-ECHILD).
 */
int doctor_in_child(void (*fn)(void *shared), void *shared);
void *doctor_shared(size_t size); /* zeroed; lives until the process ends */

/* In a child: as the sentry has it, no capability is left. */
void doctor_drop_capabilities(void);

void doctor_calls(struct doctor_report *r);
void doctor_namespaces(struct doctor_report *r);
void doctor_host(const struct runsc_options *o, struct doctor_report *r);
void doctor_boot_platforms(const struct runsc_options *o, struct doctor_report *r);
void doctor_boot_sandbox(const struct runsc_options *o, struct doctor_report *r);

#endif
