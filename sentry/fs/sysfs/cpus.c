/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/fs/sysfs/cpus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/fd.h"
#include "base/strbuf.h"
#include "sentry/kernel/kernel.h"

#define HOST_STAT_MAX (1u << 20)

void cpus_allowed(struct kernel *k, cpu_set_t *ret)
{
	(void)k;
	CPU_ZERO(ret);
	if (sched_getaffinity(0, sizeof(*ret), ret) < 0 || CPU_COUNT(ret) == 0)
		CPU_SET(0, ret);
}

/* The host's /proc/stat has a line for each. */
void cpus_online(struct kernel *k, cpu_set_t *ret)
{
	char *text;
	int cpu;

	CPU_ZERO(ret);
	if (k->host_proc_fd >= 0 &&
	    fd_read_file(k->host_proc_fd, "stat", HOST_STAT_MAX, &text, NULL) == 0) {
		for (const char *line = text; line && *line; line = strchr(line, '\n')) {
			line += *line == '\n';
			if (sscanf(line, "cpu%d ", &cpu) == 1 && cpu >= 0 && cpu < CPU_SETSIZE)
				CPU_SET(cpu, ret);
		}
		free(text);
	}
	if (CPU_COUNT(ret) == 0)
		cpus_allowed(k, ret);
}

void cpus_add_list(struct strbuf *out, const cpu_set_t *set)
{
	bool first = true;

	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		int last = cpu;

		if (!CPU_ISSET(cpu, set))
			continue;
		while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, set))
			last++;
		strbuf_addf(out, first ? "%d" : ",%d", cpu);
		if (last > cpu)
			strbuf_addf(out, "-%d", last);
		first = false;
		cpu = last;
	}
}

void cpus_add_mask(struct strbuf *out, const cpu_set_t *set)
{
	int words = 1;

	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, set))
			words = cpu / 32 + 1;
	for (int w = words - 1; w >= 0; w--) {
		uint32_t word = 0;

		for (int bit = 0; bit < 32; bit++)
			if (CPU_ISSET(w * 32 + bit, set))
				word |= 1u << bit;
		strbuf_addf(out, w == words - 1 ? (words == 1 ? "%x" : "%08x") : ",%08x", word);
	}
}

void cpus_show_allowed(struct kernel *k, struct strbuf *out)
{
	cpu_set_t set;

	cpus_allowed(k, &set);
	strbuf_addstr(out, "Cpus_allowed:\t");
	cpus_add_mask(out, &set);
	strbuf_addstr(out, "\nCpus_allowed_list:\t");
	cpus_add_list(out, &set);
	strbuf_addch(out, '\n');
}
