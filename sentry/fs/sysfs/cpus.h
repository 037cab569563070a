/* SPDX-License-Identifier: Apache-2.0 */
/* Which processors there are, as /sys and /proc tell it. */
#ifndef SENTRY_FS_SYSFS_CPUS_H
#define SENTRY_FS_SYSFS_CPUS_H

#include <sched.h>

struct kernel;
struct strbuf;

/* Those of the machine. */
void cpus_online(struct kernel *k, cpu_set_t *ret);
/* Those that the sandbox may use. */
void cpus_allowed(struct kernel *k, cpu_set_t *ret);

/* "0-3,6" and "0000000f" as Linux prints them, without newline. */
void cpus_add_list(struct strbuf *out, const cpu_set_t *set);
void cpus_add_mask(struct strbuf *out, const cpu_set_t *set);
/* The lines of /proc/PID/status. */
void cpus_show_allowed(struct kernel *k, struct strbuf *out);

#endif
