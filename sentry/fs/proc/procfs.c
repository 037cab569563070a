/* SPDX-License-Identifier: Apache-2.0 */
/* The root of /proc. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "abi/errno.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "sentry/fs/proc/proc_internal.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/version.h"
#include "sentry/vfs/vfs.h"

/* ---- processes ---- */

static int lookup_process(const struct synth_node *dir, const char *name, struct synth_child *ret)
{
	int64_t tid;

	/* As Linux: any thread's id will do, only those of processes are listed. */
	if (name[0] < '1' || name[0] > '9' || synth_parse_int(name, 1, PID_MAX, &tid))
		return -ENOENT;
	ret->task = task_find(dir->kernel, (int32_t)tid);
	ret->entry = &proc_pid_entry;
	return ret->task ? 0 : -ENOENT;
}

static int64_t next_process(const struct synth_node *dir, int64_t from, struct synth_child *ret)
{
	struct kernel *k = dir->kernel;
	struct task *t;
	int64_t tid = -1;

	if (from > PID_MAX)
		return -1;
	mutex_lock(&k->tasks_lock);
	do
		tid = idmap_next(&k->tids, (uint32_t)from, (void **)&t);
	while (tid >= 0 && t->tg->tgid != tid && (from = tid + 1));
	mutex_unlock(&k->tasks_lock);
	ret->entry = &proc_pid_entry;
	snprintf(ret->name, sizeof(ret->name), "%d", (int)tid);
	return tid;
}

static const struct synth_dynamic processes = {.lookup = lookup_process, .next = next_process};

static int link_self(const struct synth_node *n, struct task *reader, char **ret_target)
{
	(void)n;
	if (!reader)
		return -ENOENT;
	*ret_target = xasprintf("%d", reader->tg->tgid);
	return 0;
}

static int link_thread_self(const struct synth_node *n, struct task *reader, char **ret_target)
{
	(void)n;
	if (!reader)
		return -ENOENT;
	*ret_target = xasprintf("%d/task/%d", reader->tg->tgid, reader->tid);
	return 0;
}

/* ---- the kernel's own ---- */

static int show_uptime(const struct synth_node *n, struct strbuf *out)
{
	uint64_t up = (time_monotonic_ns() - n->kernel->boot_monotonic_ns) / 10000000u;

	strbuf_addf(out, "%" PRIu64 ".%02u 0.00\n", up / 100, (unsigned)(up % 100));
	return 0;
}

static int show_version(const struct synth_node *n, struct strbuf *out)
{
	(void)n;
	strbuf_addstr(out,
		      KERNEL_SYSNAME " version " KERNEL_RELEASE " (cvisor) " KERNEL_VERSION "\n");
	return 0;
}

static const char *const filesystems = "nodev\tsysfs\nnodev\ttmpfs\nnodev\tproc\nnodev\tcgroup\n"
				       "nodev\tcgroup2\nnodev\tdevtmpfs\nnodev\tsockfs\n"
				       "nodev\tpipefs\nnodev\tdevpts\nnodev\tmqueue\n"
				       "nodev\toverlay\n";

static const char *const devices_text = "Character devices:\n  1 mem\n  5 /dev/tty\n"
					"  5 /dev/console\n  5 /dev/ptmx\n128 ptm\n136 pts\n\n"
					"Block devices:\n";

/* Java asks here which controllers there are, and whether they are of version 2 (hierarchy 0). */
static const char *const cgroups_text = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"
					"cpuset\t0\t1\t1\ncpu\t0\t1\t1\ncpuacct\t0\t1\t1\n"
					"blkio\t0\t1\t1\nmemory\t0\t1\t1\npids\t0\t1\t1\n";

static int show_table(const struct synth_node *n, struct strbuf *out)
{
	strbuf_addstr(out, *(const char *const *)n->entry->arg);
	return 0;
}

#define TABLE(n, text)                                                                             \
	{                                                                                          \
		.name = n, .mode = ABI_S_IFREG | 0444, .show = show_table, .arg = &(text)          \
	}

static const struct synth_entry root_rows[] = {
    TABLE("cgroups", cgroups_text),
    SYNTH_TEXT("cmdline", 0444, "\n"),
    SYNTH_FILE("cpuinfo", 0444, proc_show_cpuinfo),
    TABLE("devices", devices_text),
    SYNTH_TEXT("diskstats", 0444, ""),
    TABLE("filesystems", filesystems),
    SYNTH_FILE("loadavg", 0444, proc_show_loadavg),
    SYNTH_FILE("meminfo", 0444, proc_show_meminfo),
    SYNTH_TEXT("modules", 0444, ""),
    SYNTH_ALIAS("mounts", "self/mounts"),
    SYNTH_ALIAS("net", "self/net"),
    SYNTH_TEXT("partitions", 0444, "major minor  #blocks  name\n\n"),
    SYNTH_LINK("self", link_self),
    SYNTH_FILE("stat", 0444, proc_show_kernel_stat),
    SYNTH_TEXT("swaps", 0444, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"),
    SYNTH_DIR("sys", 0555, proc_sys_entries),
    SYNTH_LINK("thread-self", link_thread_self),
    SYNTH_FILE("uptime", 0444, show_uptime),
    SYNTH_FILE("version", 0444, show_version),
    SYNTH_FILE("vmstat", 0444, proc_show_vmstat),
    SYNTH_END,
};

static const struct synth_entry root_entry = {
    .name = "/", .mode = ABI_S_IFDIR | 0555, .children = root_rows, .dynamic = &processes};

static const struct synth_fs proc_fs = {
    .type = "proc",
    .magic = ABI_PROC_MAGIC,
    .root = &root_entry,
    .may_access = proc_may_access,
    .task_exists = proc_task_exists,
    .task_owner = proc_task_owner,
};

static int proc_mount(struct kernel *k, const char *source, uint32_t flags, const char *data,
		      struct super_block **ret)
{
	(void)source;
	(void)flags;
	(void)data; /* hidepid= and gid= hide nothing here */
	return synth_mount(k, &proc_fs, ret);
}

const struct fs_type proc_fs_type = {.name = "proc", .mount = proc_mount};
