/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/fs/sysfs/sysfs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"
#include "base/compiler.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "sentry/fs/synth/synth.h"
#include "sentry/fs/sysfs/cpus.h"
#include "sentry/kernel/kernel.h"
#include "sentry/vfs/vfs.h"

#define CPUINFO_MAX (4u << 20)

/* ---- sets of processors ---- */

static int show_set(const cpu_set_t *set, bool mask, struct strbuf *out)
{
	if (mask)
		cpus_add_mask(out, set);
	else
		cpus_add_list(out, set);
	strbuf_addch(out, '\n');
	return 0;
}

static int show_online(const struct synth_node *n, struct strbuf *out)
{
	cpu_set_t set;

	cpus_online(n->kernel, &set);
	return show_set(&set, n->entry->arg, out);
}

/* ---- topology, from the host's /proc/cpuinfo ---- */

struct topology {
	int package, core;
};

/* Of the processor `cpu`; -1 and -1 if it isn't there. */
static struct topology topology_of(const char *cpuinfo, int cpu)
{
	struct topology t = {-1, -1};
	int at = -1, value;

	for (const char *line = cpuinfo; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (sscanf(line, "processor : %d", &value) == 1)
			at = value;
		if (at != cpu)
			continue;
		if (t.package < 0)
			t = (struct topology){0, cpu};
		if (sscanf(line, "physical id : %d", &value) == 1)
			t.package = value;
		else if (sscanf(line, "core id : %d", &value) == 1)
			t.core = value;
	}
	return t;
}

static char *read_cpuinfo(struct kernel *k)
{
	char *text;

	if (k->host_proc_fd < 0 ||
	    fd_read_file(k->host_proc_fd, "cpuinfo", CPUINFO_MAX, &text, NULL) < 0)
		return xstrdup("");
	return text;
}

static int show_core_id(const struct synth_node *n, struct strbuf *out)
{
	char *text = read_cpuinfo(n->kernel);
	struct topology t = topology_of(text, (int)n->number);

	free(text);
	strbuf_addf(out, "%d\n", t.core < 0 ? (int)n->number : t.core);
	return 0;
}

static int show_package_id(const struct synth_node *n, struct strbuf *out)
{
	char *text = read_cpuinfo(n->kernel);
	struct topology t = topology_of(text, (int)n->number);

	free(text);
	strbuf_addf(out, "%d\n", MAX(t.package, 0));
	return 0;
}

/* Which others share the core, or the package. */
enum { SHARE_CORE = 1, SHARE_PACKAGE = 2, AS_MASK = 4 };

static int show_siblings(const struct synth_node *n, struct strbuf *out)
{
	uintptr_t how = (uintptr_t)n->entry->arg;
	char *text = read_cpuinfo(n->kernel);
	struct topology mine = topology_of(text, (int)n->number);
	cpu_set_t online, set;

	CPU_ZERO(&set);
	cpus_online(n->kernel, &online);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		struct topology t;

		if (!CPU_ISSET(cpu, &online))
			continue;
		t = topology_of(text, cpu);
		if (t.package == mine.package && ((how & SHARE_PACKAGE) || t.core == mine.core))
			CPU_SET(cpu, &set);
	}
	free(text);
	return show_set(&set, how & AS_MASK, out);
}

#define SIBLINGS(n, how)                                                                           \
	{                                                                                          \
		.name = n, .mode = ABI_S_IFREG | 0444, .show = show_siblings,                      \
		.arg = (const void *)(uintptr_t)(how)                                              \
	}

static const struct synth_entry topology_rows[] = {
    SIBLINGS("core_cpus", SHARE_CORE | AS_MASK),
    SIBLINGS("core_cpus_list", SHARE_CORE),
    SYNTH_FILE("core_id", 0444, show_core_id),
    SIBLINGS("core_siblings", SHARE_PACKAGE | AS_MASK),
    SIBLINGS("core_siblings_list", SHARE_PACKAGE),
    SIBLINGS("package_cpus", SHARE_PACKAGE | AS_MASK),
    SIBLINGS("package_cpus_list", SHARE_PACKAGE),
    SYNTH_FILE("physical_package_id", 0444, show_package_id),
    SIBLINGS("thread_siblings", SHARE_CORE | AS_MASK),
    SIBLINGS("thread_siblings_list", SHARE_CORE),
    SYNTH_END,
};

static const struct synth_entry one_cpu_rows[] = {
    SYNTH_TEXT("online", 0444, "1\n"),
    SYNTH_DIR("topology", 0755, topology_rows),
    SYNTH_END,
};
static const struct synth_entry one_cpu = SYNTH_DIR("cpu", 0755, one_cpu_rows);

static int lookup_cpu(const struct synth_node *dir, const char *name, struct synth_child *ret)
{
	cpu_set_t online;
	int64_t cpu;

	if (strncmp(name, "cpu", 3) != 0 || name[3] < '0' || name[3] > '9' ||
	    synth_parse_int(name + 3, 0, CPU_SETSIZE - 1, &cpu))
		return -ENOENT;
	cpus_online(dir->kernel, &online);
	if (!CPU_ISSET((int)cpu, &online))
		return -ENOENT;
	ret->entry = &one_cpu;
	ret->number = cpu;
	return 0;
}

static int64_t next_cpu(const struct synth_node *dir, int64_t from, struct synth_child *ret)
{
	cpu_set_t online;

	cpus_online(dir->kernel, &online);
	for (; from < CPU_SETSIZE; from++) {
		if (!CPU_ISSET((int)from, &online))
			continue;
		ret->entry = &one_cpu;
		snprintf(ret->name, sizeof(ret->name), "cpu%d", (int)from);
		return from;
	}
	return -1;
}

static const struct synth_dynamic cpus_dynamic = {.lookup = lookup_cpu, .next = next_cpu};

#define CPU_SET_FILE(n, mask)                                                                      \
	{                                                                                          \
		.name = n, .mode = ABI_S_IFREG | 0444, .show = show_online, .arg = mask            \
	}
#define AS_CPUMAP ""

static const struct synth_entry cpu_rows[] = {
    SYNTH_TEXT("isolated", 0444, "\n"),
    SYNTH_TEXT("kernel_max", 0444, "1023\n"),
    SYNTH_TEXT("offline", 0444, "\n"),
    CPU_SET_FILE("online", NULL),
    CPU_SET_FILE("possible", NULL),
    CPU_SET_FILE("present", NULL),
    SYNTH_END,
};

/* ---- memory nodes: one, with everything ---- */

static const struct synth_entry node0_rows[] = {
    CPU_SET_FILE("cpulist", NULL),
    CPU_SET_FILE("cpumap", AS_CPUMAP),
    SYNTH_TEXT("distance", 0444, "10\n"),
    SYNTH_END,
};

static const struct synth_entry node_rows[] = {
    SYNTH_TEXT("has_cpu", 0444, "0\n"),
    SYNTH_TEXT("has_memory", 0444, "0\n"),
    SYNTH_TEXT("has_normal_memory", 0444, "0\n"),
    SYNTH_DIR("node0", 0755, node0_rows),
    SYNTH_TEXT("online", 0444, "0\n"),
    SYNTH_TEXT("possible", 0444, "0\n"),
    SYNTH_END,
};

/* ---- the rest ---- */

static const struct synth_entry none[] = {SYNTH_END};

static const struct synth_entry system_rows[] = {
    {.name = "cpu", .mode = ABI_S_IFDIR | 0755, .children = cpu_rows, .dynamic = &cpus_dynamic},
    SYNTH_DIR("node", 0755, node_rows),
    SYNTH_END,
};

static const struct synth_entry virtual_rows[] = {SYNTH_DIR("net", 0755, none), SYNTH_END};

static const struct synth_entry devices_rows[] = {
    SYNTH_DIR("system", 0755, system_rows),
    SYNTH_DIR("virtual", 0755, virtual_rows),
    SYNTH_END,
};

/* What the sentry's mappings of guest memory get: huge pages where the guest asks for them. */
static const struct synth_entry thp_rows[] = {
    SYNTH_TEXT("defrag", 0444, "always defer defer+madvise [madvise] never\n"),
    SYNTH_TEXT("enabled", 0444, "always [madvise] never\n"),
    SYNTH_TEXT("hpage_pmd_size", 0444, "2097152\n"),
    SYNTH_TEXT("shmem_enabled", 0444, "always within_size advise [never] deny force\n"),
    SYNTH_TEXT("use_zero_page", 0444, "1\n"),
    SYNTH_END,
};

static const struct synth_entry mm_rows[] = {
    SYNTH_DIR("hugepages", 0755, none),
    SYNTH_DIR("transparent_hugepage", 0755, thp_rows),
    SYNTH_END,
};

static const struct synth_entry kernel_rows[] = {
    SYNTH_DIR("mm", 0755, mm_rows),
    SYNTH_DIR("security", 0755, none),
    SYNTH_END,
};

static const struct synth_entry class_rows[] = {
    SYNTH_DIR("block", 0755, none),	   SYNTH_DIR("net", 0755, none),
    SYNTH_DIR("power_supply", 0755, none), SYNTH_DIR("thermal", 0755, none),
    SYNTH_DIR("tty", 0755, none),	   SYNTH_END,
};

static const struct synth_entry dev_rows[] = {SYNTH_DIR("block", 0755, none),
					      SYNTH_DIR("char", 0755, none), SYNTH_END};

static const struct synth_entry fs_rows[] = {SYNTH_DIR("cgroup", 0755, none), SYNTH_END};

static const struct synth_entry root_rows[] = {
    SYNTH_DIR("block", 0755, none),
    SYNTH_DIR("bus", 0755, none),
    SYNTH_DIR("class", 0755, class_rows),
    SYNTH_DIR("dev", 0755, dev_rows),
    SYNTH_DIR("devices", 0755, devices_rows),
    SYNTH_DIR("firmware", 0755, none),
    SYNTH_DIR("fs", 0755, fs_rows),
    SYNTH_DIR("kernel", 0755, kernel_rows),
    SYNTH_DIR("module", 0755, none),
    SYNTH_DIR("power", 0755, none),
    SYNTH_END,
};

static const struct synth_entry root_entry = SYNTH_DIR("/", 0555, root_rows);

static const struct synth_fs sys_fs = {
    .type = "sysfs", .magic = ABI_SYSFS_MAGIC, .root = &root_entry, .file_size = 4096};

static int sysfs_mount(struct kernel *k, const char *source, uint32_t flags, const char *data,
		       struct super_block **ret)
{
	(void)source;
	(void)flags;
	(void)data;
	return synth_mount(k, &sys_fs, ret);
}

const struct fs_type sysfs_fs_type = {.name = "sysfs", .mount = sysfs_mount};
