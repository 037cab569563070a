/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /dev: a small read-write tree of device nodes and links, made at mount. Not the host's: every
 * node here is served by chardev.c.
 */
#ifndef SENTRY_FS_DEVTMPFS_DEVTMPFS_H
#define SENTRY_FS_DEVTMPFS_DEVTMPFS_H

#include <stdbool.h>
#include <stdint.h>

struct kernel;
struct path;

/* A node that config.json asks for (linux.devices). */
struct device_node {
	const char *path; /* absolute in the container */
	uint32_t mode;	  /* ABI_S_IFCHR or _IFBLK or _IFIFO, and permissions */
	uint64_t rdev;
	uint32_t uid, gid;
};

/*
 * Boot: fills the directory /dev of the container at `root` (whatever file system is mounted
 * there, a tmpfs mostly) with the nodes and links that the OCI specification promises, and the
 * container's own. has_console: /dev/console too. 0 or negative errno.
 */
int devices_populate(struct kernel *k, const struct path *root, const struct device_node *nodes,
		     uint32_t node_count, bool has_console);

#endif
