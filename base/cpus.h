/* SPDX-License-Identifier: Apache-2.0 */
/* On which CPUs the calling thread may run. */
#ifndef BASE_CPUS_H
#define BASE_CPUS_H

#include <stdint.h>

#define CPUS_MAX 4096

struct cpus {
	uint64_t bits[CPUS_MAX / 64];
};

/* The CPUs that this thread may run on; their number, or negative errno. */
int cpus_get(struct cpus *ret);
/* 0 or negative errno: none of them may be used (any more). */
int cpus_set(const struct cpus *set);
/* The same for one alone. */
int cpus_set_only(unsigned cpu);

#endif
