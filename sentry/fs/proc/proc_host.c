/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sandbox can only know from the host: memory, processors, load. It comes from the proc of
 * the sandbox's own PID namespace (kernel.host_proc_fd), so processes of others are out of sight.
 * Machine-wide figures are as a container without a sandbox sees them, but that the memory limit of
 * the container counts as all the memory there is.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "sentry/fs/builtin.h"
#include "sentry/fs/proc/proc_internal.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"

#define HOST_FILE_MAX (4u << 20)
#define KIB	      1024u
#define PAGE_KIB      4u

bool proc_host_read(struct kernel *k, const char *path, char **ret_text)
{
	return k->host_proc_fd >= 0 &&
	       fd_read_file(k->host_proc_fd, path, HOST_FILE_MAX, ret_text, NULL) == 0;
}

/* Where the line that begins with name and ':' goes on, or NULL. */
static const char *find_field(const char *text, const char *name)
{
	size_t size = strlen(name);

	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, size) == 0 && line[size] == ':')
			return line + size + 1;
	}
	return NULL;
}

uint64_t proc_host_field(const char *text, const char *name)
{
	const char *value = find_field(text, name);

	return value ? strtoull(value, NULL, 10) : 0;
}

pid_t proc_host_pid(struct task *t)
{
	return atomic_load(&t->tg->host_pid);
}

char *proc_host_task_file(struct task *t, const char *name)
{
	pid_t pid = proc_host_pid(t);
	char path[64], *text;

	snprintf(path, sizeof(path), "%d/%s", pid, name);
	return pid > 0 && proc_host_read(t->kernel, path, &text) ? text : xstrdup("");
}

static void read_statm(struct kernel *k, const char *path, uint64_t *ret_resident,
		       uint64_t *ret_shared)
{
	unsigned long long size, resident, shared;
	char *text;

	*ret_resident = *ret_shared = 0;
	if (!proc_host_read(k, path, &text))
		return;
	if (sscanf(text, "%llu %llu %llu", &size, &resident, &shared) == 3) {
		*ret_resident = resident * PAGE_KIB * KIB;
		*ret_shared = shared * PAGE_KIB * KIB;
	}
	free(text);
}

void proc_host_resident(struct task *t, uint64_t *ret_resident, uint64_t *ret_shared)
{
	pid_t pid = proc_host_pid(t);
	char path[32];

	*ret_resident = *ret_shared = 0;
	if (pid <= 0)
		return;
	snprintf(path, sizeof(path), "%d/statm", pid);
	read_statm(t->kernel, path, ret_resident, ret_shared);
}

/* ---- processors ---- */

int proc_show_cpuinfo(const struct synth_node *n, struct strbuf *out)
{
	char *text;

	if (!proc_host_read(n->kernel, "cpuinfo", &text))
		return 0;
	strbuf_addstr(out, text);
	free(text);
	return 0;
}

static void add_cpu_lines(struct kernel *k, struct strbuf *out)
{
	char *text, *end;

	if (!proc_host_read(k, "stat", &text))
		return;
	end = text;
	while (strncmp(end, "cpu", 3) == 0 && strchr(end, '\n'))
		end = strchr(end, '\n') + 1;
	strbuf_add(out, text, (size_t)(end - text));
	free(text);
}

int proc_show_kernel_stat(const struct synth_node *n, struct strbuf *out)
{
	struct kernel *k = n->kernel;
	uint64_t boot = k->boot_realtime_ns / 1000000000u;
	uint32_t total, running;
	int32_t last;

	mutex_lock(&k->tasks_lock);
	running = proc_running_count(k, &total);
	last = k->last_tid;
	mutex_unlock(&k->tasks_lock);
	add_cpu_lines(k, out);
	strbuf_addf(out,
		    "intr 0\nctxt 0\nbtime %" PRIu64 "\nprocesses %d\nprocs_running %u\n"
		    "procs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
		    boot, last, MAX(running, 1u));
	return 0;
}

int proc_show_loadavg(const struct synth_node *n, struct strbuf *out)
{
	struct kernel *k = n->kernel;
	double load[3] = {0, 0, 0};
	uint32_t total, running;
	int32_t last;
	char *text;

	if (proc_host_read(k, "loadavg", &text)) {
		sscanf(text, "%lf %lf %lf", &load[0], &load[1], &load[2]);
		free(text);
	}
	mutex_lock(&k->tasks_lock);
	running = proc_running_count(k, &total);
	last = k->last_tid;
	mutex_unlock(&k->tasks_lock);
	strbuf_addf(out, "%.2f %.2f %.2f %u/%u %d\n", load[0], load[1], load[2], MAX(running, 1u),
		    total, last);
	return 0;
}

/* ---- memory ---- */

uint64_t proc_sandbox_resident(struct kernel *k)
{
	uint64_t total, resident, shared;
	int32_t from = 1;

	read_statm(k, "self/statm", &total, &shared);
	for (;;) {
		struct task *t;
		int64_t tid;

		mutex_lock(&k->tasks_lock);
		tid = idmap_next(&k->tids, (uint32_t)from, (void **)&t);
		if (tid >= 0)
			task_get(t);
		mutex_unlock(&k->tasks_lock);
		if (tid < 0)
			return total;
		if (t->tid == t->tg->tgid) {
			proc_host_resident(t, &resident, &shared);
			total += resident - MIN(resident, shared);
		}
		task_put(t);
		from = (int32_t)tid + 1;
	}
}

struct meminfo {
	uint64_t total, free, available, swap_total, swap_free; /* KiB */
};

/* Cuts the machine's figures down to the container's limit. */
static void apply_limit(struct kernel *k, struct meminfo *m)
{
	const struct sandbox_limits *l = k->limits;
	uint64_t used;

	if (!l || !l->memory_max || l->memory_max / KIB >= m->total)
		return;
	used = proc_sandbox_resident(k) / KIB;
	m->total = l->memory_max / KIB;
	m->free = MIN(m->free, m->total - MIN(used, m->total));
	m->available = MIN(m->available, m->free);
	m->swap_total = l->memory_swap > l->memory_max
			    ? MIN(m->swap_total, (l->memory_swap - l->memory_max) / KIB)
			    : 0;
	m->swap_free = MIN(m->swap_free, m->swap_total);
}

static const char *const meminfo_rest[] = {
    "Buffers",	      "Cached",	      "SwapCached",	"Active",      "Inactive", "Active(anon)",
    "Inactive(anon)", "Active(file)", "Inactive(file)", "Unevictable", "Mlocked",
};
static const char *const meminfo_behind_swap[] = {
    "Dirty",	     "Writeback",      "AnonPages",	 "Mapped",	  "Shmem",
    "KReclaimable",  "Slab",	       "SReclaimable",	 "SUnreclaim",	  "KernelStack",
    "PageTables",    "NFS_Unstable",   "Bounce",	 "WritebackTmp",  "CommitLimit",
    "Committed_AS",  "VmallocTotal",   "VmallocUsed",	 "VmallocChunk",  "Percpu",
    "AnonHugePages", "ShmemHugePages", "ShmemPmdMapped", "FileHugePages", "FilePmdMapped",
};

static void add_kib(struct strbuf *out, const char *name, uint64_t kib)
{
	char label[32];

	snprintf(label, sizeof(label), "%s:", name);
	strbuf_addf(out, "%-15s %8" PRIu64 " kB\n", label, kib);
}

static void add_rows(struct strbuf *out, const char *text, const char *const *names, size_t count,
		     uint64_t max)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t kib = proc_host_field(text, names[i]);

		add_kib(out, names[i], strncmp(names[i], "Vmalloc", 7) == 0 ? kib : MIN(kib, max));
	}
}

int proc_show_meminfo(const struct synth_node *n, struct strbuf *out)
{
	struct meminfo m;
	char *text;

	if (!proc_host_read(n->kernel, "meminfo", &text))
		text = xstrdup("");
	m.total = proc_host_field(text, "MemTotal");
	m.free = proc_host_field(text, "MemFree");
	m.available = proc_host_field(text, "MemAvailable");
	m.swap_total = proc_host_field(text, "SwapTotal");
	m.swap_free = proc_host_field(text, "SwapFree");
	apply_limit(n->kernel, &m);
	add_kib(out, "MemTotal", m.total);
	add_kib(out, "MemFree", m.free);
	add_kib(out, "MemAvailable", m.available);
	add_rows(out, text, meminfo_rest, array_count(meminfo_rest), m.total);
	add_kib(out, "SwapTotal", m.swap_total);
	add_kib(out, "SwapFree", m.swap_free);
	add_rows(out, text, meminfo_behind_swap, array_count(meminfo_behind_swap), m.total);
	strbuf_addstr(out, "HugePages_Total:       0\nHugePages_Free:        0\n"
			   "HugePages_Rsvd:        0\nHugePages_Surp:        0\n");
	add_kib(out, "Hugepagesize", 2048);
	add_kib(out, "Hugetlb", 0);
	free(text);
	return 0;
}

int proc_show_vmstat(const struct synth_node *n, struct strbuf *out)
{
	static const char *const names[] = {
	    "nr_free_pages",  "nr_inactive_anon", "nr_active_anon", "nr_inactive_file",
	    "nr_active_file", "nr_mapped",	  "nr_file_pages",  "nr_dirty",
	    "nr_writeback",   "nr_shmem",	  "pgpgin",	    "pgpgout",
	    "pswpin",	      "pswpout",	  "pgfault",	    "pgmajfault",
	    "oom_kill",
	};
	char *text;

	if (!proc_host_read(n->kernel, "vmstat", &text))
		return 0;
	for (size_t i = 0; i < array_count(names); i++) {
		size_t size = strlen(names[i]);

		for (const char *line = text; line && *line; line = strchr(line, '\n')) {
			line += *line == '\n';
			if (strncmp(line, names[i], size) == 0 && line[size] == ' ')
				strbuf_add(out, line, strcspn(line, "\n") + 1);
		}
	}
	free(text);
	return 0;
}
