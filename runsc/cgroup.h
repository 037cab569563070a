/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cgroup that the sandbox and its gofer live in.
 *
 * The host either has the unified hierarchy (v2: one directory) or controllers mounted one by one
 * (v1: a directory in each of their hierarchies; a v2 hierarchy beside them without controllers is
 * left alone). A `struct cgroup` is the list of these directories.
 *
 * Where it lies: cgroupsPath, absolute below the hierarchy's root or relative to runsc's own
 * cgroup; without it, ID below runsc's own. With --systemd-cgroup it has the form
 * slice:prefix:name and means what systemd would make of that, /SLICE/PREFIX-NAME.scope; runsc
 * makes that directory by itself and doesn't ask systemd.
 *
 * Limits hold for the whole sandbox: guest processes, the sentry and the gofer.
 */
#ifndef RUNSC_CGROUP_H
#define RUNSC_CGROUP_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "runsc/config.h"
#include "runsc/options.h"

struct cgroup_dir {
	char *controllers; /* v1: as mounted, "cpu,cpuacct"; v2: "" */
	char *root;	   /* host path of the hierarchy's root */
	char *path;	   /* host path of the container's cgroup */
};

struct cgroup {
	bool unified; /* v2 */
	struct cgroup_dir *dirs;
	size_t dir_count;
};

/* Guest threads are host threads, and so are those of the sentry and the gofer, and those in stock
 * (platform/thread_stock.c): what the host's pids.max gets above the container's limit, which the
 * sentry itself keeps exactly. */
#define CGROUP_PIDS_HEADROOM 80

/* Makes the directories and sets the limits. On failure nothing is left. */
struct error *cgroup_create(const struct oci_spec *spec, const char *id,
			    const struct runsc_options *o, struct cgroup *ret) __must_check;
struct error *cgroup_add(const struct cgroup *cg, pid_t pid) __must_check;
/* Those of its processes that were killed get timeout_ms to end; with others in it, it stays. */
struct error *cgroup_remove(const struct cgroup *cg, int timeout_ms) __must_check;
#define CGROUP_DYING_MS 10000
void cgroup_free(struct cgroup *cg);

json_t *cgroup_to_json(const struct cgroup *cg);
struct error *cgroup_from_json(json_t *json, struct cgroup *ret) __must_check;

/* For tests: the parts that only compute. */

/* The path below the hierarchy's root, clean and absolute. own: runsc's own cgroup, absolute. */
struct error *cgroup_container_path(const char *cgroups_path, const char *id, bool systemd,
				    const char *own, char **ret_path) __must_check;
/* Takes "." and ".." and double slashes out of a path, lexically; the result is absolute. */
char *cgroup_clean_path(const char *path);
/* Finds the hierarchies in the texts of /proc/self/mountinfo and /proc/self/cgroup. */
struct error *cgroup_find(const char *mountinfo, const char *self_cgroup, const char *cgroups_path,
			  const char *id, bool systemd, struct cgroup *ret) __must_check;
/* cpu.weight for cpu.shares, as runc converts (2..262144 -> 1..10000). */
uint64_t cgroup_weight_of_shares(uint64_t shares);

#endif
