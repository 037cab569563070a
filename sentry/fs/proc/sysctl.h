/* SPDX-License-Identifier: Apache-2.0 */
/* The values of /proc/sys that the container's configuration sets (linux.sysctl). */
#ifndef SENTRY_FS_PROC_SYSCTL_H
#define SENTRY_FS_PROC_SYSCTL_H

struct kernel;
struct strbuf;
struct synth_entry;
struct synth_node;

/*
 * Boot only: "net.core.somaxconn" (or with slashes) becomes value. -ENOENT: this kernel has no such
 * setting, -EPERM: it has, but it isn't the container's to change, -EINVAL: a value of several
 * lines.
 */
int sysctl_set(struct kernel *k, const char *name, const char *value);
void sysctls_destroy(struct kernel *k);

/* A row's text: what was set, else entry->arg. */
int sysctl_show(const struct synth_node *n, struct strbuf *out);

#endif
