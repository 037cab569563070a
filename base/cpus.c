/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpus.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

int cpus_get(struct cpus *ret)
{
	struct cpus set = {{0}};
	int count = 0;

	if (sched_getaffinity(0, sizeof(set), (cpu_set_t *)(void *)&set) < 0)
		return -errno;
	for (unsigned i = 0; i < CPUS_MAX / 64; i++)
		count += __builtin_popcountll(set.bits[i]);
	*ret = set;
	return count;
}

int cpus_set(const struct cpus *set)
{
	return sched_setaffinity(0, sizeof(*set), (const cpu_set_t *)(const void *)set) ? -errno
											: 0;
}

int cpus_set_only(unsigned cpu)
{
	struct cpus set = {{0}};

	if (cpu >= CPUS_MAX)
		return -EINVAL;
	set.bits[cpu / 64] = 1ull << cpu % 64;
	return cpus_set(&set);
}
