/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/fs/cgroupfs/cgroupfs.h"

#include <inttypes.h>

#include "abi/errno.h"
#include "base/compiler.h"
#include "base/strbuf.h"
#include "sentry/fs/builtin.h"
#include "sentry/fs/proc/procfs.h"
#include "sentry/fs/synth/synth.h"
#include "sentry/fs/sysfs/cpus.h"
#include "sentry/kernel/cputime.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/vfs.h"

static const struct sandbox_limits no_limits = {.cpu_period = 100000};

static const struct sandbox_limits *limits_of(const struct synth_node *n)
{
	return n->kernel->limits ? n->kernel->limits : &no_limits;
}

static int add_max(struct strbuf *out, uint64_t value, bool limited)
{
	if (limited)
		strbuf_addf(out, "%" PRIu64 "\n", value);
	else
		strbuf_addstr(out, "max\n");
	return 0;
}

/* ---- memory ---- */

static int show_memory_max(const struct synth_node *n, struct strbuf *out)
{
	uint64_t max = limits_of(n)->memory_max;

	return add_max(out, max, max != 0);
}

static int show_swap_max(const struct synth_node *n, struct strbuf *out)
{
	const struct sandbox_limits *l = limits_of(n);
	bool limited = l->memory_swap && l->memory_swap >= l->memory_max;

	return add_max(out, l->memory_swap - l->memory_max, limited);
}

static int show_memory_current(const struct synth_node *n, struct strbuf *out)
{
	strbuf_addf(out, "%" PRIu64 "\n", proc_sandbox_resident(n->kernel));
	return 0;
}

static int show_memory_stat(const struct synth_node *n, struct strbuf *out)
{
	strbuf_addf(out,
		    "anon %" PRIu64 "\nfile 0\nkernel 0\nshmem 0\nfile_mapped 0\n"
		    "inactive_anon 0\nactive_anon 0\ninactive_file 0\nactive_file 0\n",
		    proc_sandbox_resident(n->kernel));
	return 0;
}

/* ---- processors ---- */

static int show_cpu_max(const struct synth_node *n, struct strbuf *out)
{
	const struct sandbox_limits *l = limits_of(n);
	uint64_t period = l->cpu_period ? l->cpu_period : 100000;

	if (l->cpu_quota > 0)
		strbuf_addf(out, "%" PRId64 " %" PRIu64 "\n", l->cpu_quota, period);
	else
		strbuf_addf(out, "max %" PRIu64 "\n", period);
	return 0;
}

/* The conversion that the OCI runtimes do from version 1's shares. */
static int show_cpu_weight(const struct synth_node *n, struct strbuf *out)
{
	uint64_t shares = limits_of(n)->cpu_shares;

	shares = MIN(MAX(shares, (uint64_t)2), (uint64_t)262144);
	strbuf_addf(out, "%" PRIu64 "\n",
		    limits_of(n)->cpu_shares ? 1 + (shares - 2) * 9999 / 262142 : 100);
	return 0;
}

/* The next process's times; false: there is none from *tid on. */
static bool next_process_time(struct kernel *k, int32_t *tid, struct cputime *ret)
{
	struct thread_group *tg = NULL;
	struct task *t;
	int64_t found;

	mutex_lock(&k->tasks_lock);
	while ((found = idmap_next(&k->tids, (uint32_t)*tid, (void **)&t)) >= 0) {
		*tid = (int32_t)found + 1;
		if (t->tg->tgid == found) {
			tg = tg_get(t->tg);
			break;
		}
	}
	mutex_unlock(&k->tasks_lock);
	if (!tg)
		return false;
	cputime_of_process(tg, ret);
	tg_put(tg);
	return true;
}

static int show_cpu_stat(const struct synth_node *n, struct strbuf *out)
{
	uint64_t user = 0, system = 0;
	struct cputime time;
	int32_t tid = 1;

	while (next_process_time(n->kernel, &tid, &time)) {
		user += time.utime / 1000;
		system += time.stime / 1000;
	}
	strbuf_addf(out,
		    "usage_usec %" PRIu64 "\nuser_usec %" PRIu64 "\nsystem_usec %" PRIu64
		    "\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n",
		    user + system, user, system);
	return 0;
}

static int show_cpuset(const struct synth_node *n, struct strbuf *out)
{
	strbuf_addf(out, "%s\n", limits_of(n)->cpuset);
	return 0;
}

static int show_cpuset_effective(const struct synth_node *n, struct strbuf *out)
{
	cpu_set_t set;

	cpus_allowed(n->kernel, &set);
	cpus_add_list(out, &set);
	strbuf_addch(out, '\n');
	return 0;
}

/* ---- tasks ---- */

static int show_pids_max(const struct synth_node *n, struct strbuf *out)
{
	int64_t max = limits_of(n)->pids_max;

	return add_max(out, (uint64_t)max, max > 0);
}

static int show_pids_current(const struct synth_node *n, struct strbuf *out)
{
	mutex_lock(&n->kernel->tasks_lock);
	strbuf_addf(out, "%u\n", n->kernel->task_count);
	mutex_unlock(&n->kernel->tasks_lock);
	return 0;
}

/* arg: threads as well. */
static int show_procs(const struct synth_node *n, struct strbuf *out)
{
	struct task *t;
	int64_t tid;

	mutex_lock(&n->kernel->tasks_lock);
	idmap_for_each (&n->kernel->tids, tid, t)
		if (n->entry->arg || t->tg->tgid == tid)
			strbuf_addf(out, "%d\n", (int)tid);
	mutex_unlock(&n->kernel->tasks_lock);
	return 0;
}

static const struct synth_entry rows[] = {
    SYNTH_TEXT("cgroup.controllers", 0444, "cpuset cpu io memory pids\n"),
    SYNTH_TEXT("cgroup.events", 0444, "populated 1\nfrozen 0\n"),
    SYNTH_TEXT("cgroup.freeze", 0444, "0\n"),
    SYNTH_TEXT("cgroup.max.depth", 0444, "max\n"),
    SYNTH_TEXT("cgroup.max.descendants", 0444, "max\n"),
    SYNTH_FILE("cgroup.procs", 0444, show_procs),
    SYNTH_TEXT("cgroup.stat", 0444, "nr_descendants 0\nnr_dying_descendants 0\n"),
    SYNTH_TEXT("cgroup.subtree_control", 0444, "\n"),
    {.name = "cgroup.threads", .mode = ABI_S_IFREG | 0444, .show = show_procs, .arg = "all"},
    SYNTH_TEXT("cgroup.type", 0444, "domain\n"),
    SYNTH_FILE("cpu.max", 0444, show_cpu_max),
    SYNTH_FILE("cpu.stat", 0444, show_cpu_stat),
    SYNTH_FILE("cpu.weight", 0444, show_cpu_weight),
    SYNTH_FILE("cpuset.cpus", 0444, show_cpuset),
    SYNTH_FILE("cpuset.cpus.effective", 0444, show_cpuset_effective),
    SYNTH_TEXT("cpuset.mems", 0444, "\n"),
    SYNTH_TEXT("cpuset.mems.effective", 0444, "0\n"),
    SYNTH_FILE("memory.current", 0444, show_memory_current),
    SYNTH_TEXT("memory.events", 0444, "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n"),
    SYNTH_TEXT("memory.high", 0444, "max\n"),
    SYNTH_TEXT("memory.low", 0444, "0\n"),
    SYNTH_FILE("memory.max", 0444, show_memory_max),
    SYNTH_TEXT("memory.min", 0444, "0\n"),
    SYNTH_FILE("memory.stat", 0444, show_memory_stat),
    SYNTH_TEXT("memory.swap.current", 0444, "0\n"),
    SYNTH_FILE("memory.swap.max", 0444, show_swap_max),
    SYNTH_FILE("pids.current", 0444, show_pids_current),
    SYNTH_FILE("pids.max", 0444, show_pids_max),
    SYNTH_END,
};

static const struct synth_entry root_entry = SYNTH_DIR("/", 0555, rows);

static const struct synth_fs cgroup_fs = {
    .type = "cgroup2", .magic = ABI_CGROUP2_MAGIC, .root = &root_entry};

static int cgroup_mount(struct kernel *k, const char *source, uint32_t flags, const char *data,
			struct super_block **ret)
{
	(void)source;
	(void)flags;
	(void)data;
	return synth_mount(k, &cgroup_fs, ret);
}

const struct fs_type cgroup2_fs_type = {.name = "cgroup2", .mount = cgroup_mount};
const struct fs_type cgroup_fs_type = {.name = "cgroup", .mount = cgroup_mount};
