/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID and /proc/PID/task/TID: the rows, and those files that are small. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/caps.h"
#include "abi/errno.h"
#include "abi/resource.h"
#include "base/compiler.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "sentry/fs/proc/proc_internal.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/files.h"
#include "sentry/vfs/vfs.h"

/* ---- names and limits ---- */

static int show_comm(const struct synth_node *n, struct strbuf *out)
{
	mutex_lock(&n->task->tg->siglock);
	strbuf_addf(out, "%.*s\n", TASK_COMM_SIZE - 1, n->task->comm);
	mutex_unlock(&n->task->tg->siglock);
	return 0;
}

/* Only threads of the same process may rename each other. */
static int store_comm(const struct synth_node *n, struct task *writer, const char *text,
		      size_t size)
{
	if (!writer || writer->tg != n->task->tg)
		return -EINVAL;
	size = MIN(strcspn(text, "\n"), MIN(size, (size_t)TASK_COMM_SIZE - 1));
	mutex_lock(&n->task->tg->siglock);
	memcpy(n->task->comm, text, size);
	n->task->comm[size] = 0;
	mutex_unlock(&n->task->tg->siglock);
	return 0;
}

static const struct {
	const char *name, *unit;
} limit_names[ABI_RLIMIT_COUNT] = {
    [ABI_RLIMIT_CPU] = {"Max cpu time", "seconds"},
    [ABI_RLIMIT_FSIZE] = {"Max file size", "bytes"},
    [ABI_RLIMIT_DATA] = {"Max data size", "bytes"},
    [ABI_RLIMIT_STACK] = {"Max stack size", "bytes"},
    [ABI_RLIMIT_CORE] = {"Max core file size", "bytes"},
    [ABI_RLIMIT_RSS] = {"Max resident set", "bytes"},
    [ABI_RLIMIT_NPROC] = {"Max processes", "processes"},
    [ABI_RLIMIT_NOFILE] = {"Max open files", "files"},
    [ABI_RLIMIT_MEMLOCK] = {"Max locked memory", "bytes"},
    [ABI_RLIMIT_AS] = {"Max address space", "bytes"},
    [ABI_RLIMIT_LOCKS] = {"Max file locks", "locks"},
    [ABI_RLIMIT_SIGPENDING] = {"Max pending signals", "signals"},
    [ABI_RLIMIT_MSGQUEUE] = {"Max msgqueue size", "bytes"},
    [ABI_RLIMIT_NICE] = {"Max nice priority", ""},
    [ABI_RLIMIT_RTPRIO] = {"Max realtime priority", ""},
    [ABI_RLIMIT_RTTIME] = {"Max realtime timeout", "us"},
};

static void add_limit(struct strbuf *out, uint64_t value)
{
	if (value == ABI_RLIM_INFINITY)
		strbuf_addf(out, "%-20s ", "unlimited");
	else
		strbuf_addf(out, "%-20" PRIu64 " ", value);
}

static int show_limits(const struct synth_node *n, struct strbuf *out)
{
	struct abi_rlimit limits[ABI_RLIMIT_COUNT];

	mutex_lock(&n->task->tg->siglock);
	memcpy(limits, n->task->tg->rlimits, sizeof(limits));
	mutex_unlock(&n->task->tg->siglock);
	strbuf_addf(out, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
	for (int i = 0; i < ABI_RLIMIT_COUNT; i++) {
		strbuf_addf(out, "%-25s ", limit_names[i].name);
		add_limit(out, limits[i].cur);
		add_limit(out, limits[i].max);
		strbuf_addf(out, limit_names[i].unit[0] ? "%-10s\n" : "%s\n", limit_names[i].unit);
	}
	return 0;
}

/* Transfers aren't counted by process; calls are. */
static int show_io(const struct synth_node *n, struct strbuf *out)
{
	(void)n;
	strbuf_addstr(out, "rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\n"
			   "cancelled_write_bytes: 0\n");
	return 0;
}

static int show_personality(const struct synth_node *n, struct strbuf *out)
{
	mutex_lock(&n->task->tg->siglock);
	strbuf_addf(out, "%08x\n", n->task->tg->personality);
	mutex_unlock(&n->task->tg->siglock);
	return 0;
}

/* ---- the OOM killer ---- */

static int32_t oom_score_adj(struct task *t)
{
	int32_t value;

	mutex_lock(&t->kernel->tasks_lock);
	value = t->tg->oom_score_adj;
	mutex_unlock(&t->kernel->tasks_lock);
	return value;
}

static int show_oom_score_adj(const struct synth_node *n, struct strbuf *out)
{
	strbuf_addf(out, "%d\n", oom_score_adj(n->task));
	return 0;
}

/* The host's choice is made by the host's figures; this is the part of it that we know. */
static int show_oom_score(const struct synth_node *n, struct strbuf *out)
{
	strbuf_addf(out, "%d\n", MAX(0, 666 + oom_score_adj(n->task) * 2 / 3));
	return 0;
}

/* Lowering it takes CAP_SYS_RESOURCE. */
static int store_oom_score_adj(const struct synth_node *n, struct task *writer, const char *text,
			       size_t size)
{
	struct thread_group *tg = n->task->tg;
	int64_t value;
	int err = synth_parse_int(text, -1000, 1000, &value);

	(void)size;
	if (err)
		return err;
	mutex_lock(&tg->kernel->tasks_lock);
	if (value < tg->oom_score_adj &&
	    !(writer && cred_capable(writer->cred, ABI_CAP_SYS_RESOURCE)))
		err = -EACCES;
	else
		tg->oom_score_adj = (int32_t)value;
	mutex_unlock(&tg->kernel->tasks_lock);
	return err;
}

/* ---- links ---- */

static struct fs_context *fs_of(struct task *t)
{
	struct fs_context *fs;

	mutex_lock(&t->kernel->tasks_lock);
	fs = t->fs ? fs_context_get(t->fs) : NULL;
	mutex_unlock(&t->kernel->tasks_lock);
	return fs;
}

static int follow_cwd(const struct synth_node *n, struct task *reader, struct path *ret)
{
	struct fs_context *fs = fs_of(n->task);

	(void)reader;
	if (!fs)
		return -ENOENT;
	fs_get_cwd(fs, ret);
	fs_context_put(fs);
	return 0;
}

static int follow_root(const struct synth_node *n, struct task *reader, struct path *ret)
{
	struct fs_context *fs = fs_of(n->task);

	(void)reader;
	if (!fs)
		return -ENOENT;
	fs_get_root(fs, ret);
	fs_context_put(fs);
	return 0;
}

static int follow_exe(const struct synth_node *n, struct task *reader, struct path *ret)
{
	struct mm *mm = task_mm_get(n->task);
	struct file *f = mm ? mm_exe_file(mm) : NULL;

	(void)reader;
	if (mm)
		mm_put(mm);
	if (!f)
		return -ENOENT;
	path_get(&f->path);
	*ret = f->path;
	file_put(f);
	return 0;
}

/* What readlink says of a magic link: where it leads, as the reader would name it. */
static int link_by_follow(const struct synth_node *n, struct task *reader, char **ret_target)
{
	struct path p;
	int err = reader ? n->entry->follow(n, reader, &p) : -ENOENT;

	if (err)
		return err;
	*ret_target = vfs_path_string(reader, &p);
	path_put(&p);
	return 0;
}

/* ---- task ---- */

static int lookup_thread(const struct synth_node *dir, const char *name, struct synth_child *ret)
{
	int64_t tid;
	struct task *t;

	if (name[0] < '1' || name[0] > '9' || synth_parse_int(name, 1, PID_MAX, &tid))
		return -ENOENT;
	t = task_find(dir->kernel, (int32_t)tid);
	if (!t)
		return -ENOENT;
	if (t->tg != dir->task->tg) {
		task_put(t);
		return -ENOENT;
	}
	ret->entry = &proc_tid_entry;
	ret->task = t;
	ret->number = NODE_THREAD;
	return 0;
}

static int64_t next_thread(const struct synth_node *dir, int64_t from, struct synth_child *ret)
{
	struct kernel *k = dir->kernel;
	int64_t found = -1;
	struct task *t;

	mutex_lock(&k->tasks_lock);
	list_for_each (t, &dir->task->tg->tasks, tg_link)
		if (t->tid >= from && (found < 0 || t->tid < found))
			found = t->tid;
	mutex_unlock(&k->tasks_lock);
	ret->entry = &proc_tid_entry;
	snprintf(ret->name, sizeof(ret->name), "%d", (int)found);
	return found;
}

static const struct synth_dynamic task_dynamic = {.lookup = lookup_thread, .next = next_thread};

/* ---- the rows ---- */

#define IDENTITY_MAP "         0          0 4294967295\n"

#define MAGIC(n, f)                                                                                \
	{                                                                                          \
		.name = n, .mode = ABI_S_IFLNK | 0777, .guard = SYNTH_PRIVATE,                     \
		.link = link_by_follow, .follow = f                                                \
	}
#define PRIVATE(n, m, s)                                                                           \
	{                                                                                          \
		.name = n, .mode = ABI_S_IFREG | (m), .guard = SYNTH_PRIVATE, .show = s            \
	}
#define MEMORY(n, m, s)                                                                            \
	{                                                                                          \
		.name = n, .mode = ABI_S_IFREG | (m), .guard = SYNTH_MEMORY, .show = s             \
	}
#define PRIVATE_DIR(n, m, part)                                                                    \
	{                                                                                          \
		.name = n, .mode = ABI_S_IFDIR | (m), .guard = SYNTH_PRIVATE, part                 \
	}

/* What a process and a thread have in common. */
#define COMMON_ROWS                                                                                \
	MEMORY("auxv", 0400, proc_show_auxv), SYNTH_TEXT("cgroup", 0444, "0::/\n"),                \
	    SYNTH_FILE("cmdline", 0444, proc_show_cmdline),                                        \
	    SYNTH_RW("comm", 0644, show_comm, store_comm), SYNTH_TEXT("cpuset", 0444, "/\n"),      \
	    MAGIC("cwd", follow_cwd), MEMORY("environ", 0400, proc_show_environ),                  \
	    MAGIC("exe", follow_exe), PRIVATE_DIR("fd", 0500, .dynamic = &proc_fd_dynamic),        \
	    PRIVATE_DIR("fdinfo", 0555, .dynamic = &proc_fdinfo_dynamic),                          \
	    SYNTH_TEXT("gid_map", 0444, IDENTITY_MAP), PRIVATE("io", 0400, show_io),               \
	    SYNTH_FILE("limits", 0444, show_limits), SYNTH_TEXT("loginuid", 0444, "4294967295"),   \
	    MEMORY("maps", 0444, proc_show_maps),                                                  \
	    {.name = "mem",                                                                        \
	     .mode = ABI_S_IFREG | 0600,                                                           \
	     .guard = SYNTH_MEMORY,                                                                \
	     .open = proc_open_mem},                                                               \
	    SYNTH_FILE("mountinfo", 0444, proc_show_mountinfo),                                    \
	    SYNTH_FILE("mounts", 0444, proc_show_mounts),                                          \
	    SYNTH_DIR("net", 0555, proc_net_entries),                                              \
	    PRIVATE_DIR("ns", 0511, .children = proc_ns_entries),                                  \
	    SYNTH_FILE("oom_score", 0444, show_oom_score),                                         \
	    SYNTH_RW("oom_score_adj", 0644, show_oom_score_adj, store_oom_score_adj),              \
	    PRIVATE("personality", 0400, show_personality), MAGIC("root", follow_root),            \
	    SYNTH_TEXT("sessionid", 0444, "4294967295"), SYNTH_TEXT("setgroups", 0444, "allow\n"), \
	    MEMORY("smaps", 0444, proc_show_smaps),                                                \
	    MEMORY("smaps_rollup", 0444, proc_show_smaps_rollup),                                  \
	    SYNTH_FILE("stat", 0444, proc_show_stat), SYNTH_FILE("statm", 0444, proc_show_statm),  \
	    SYNTH_FILE("status", 0444, proc_show_status),                                          \
	    SYNTH_TEXT("uid_map", 0444, IDENTITY_MAP)

static const struct synth_entry pid_rows[] = {
    COMMON_ROWS,
    {.name = "task", .mode = ABI_S_IFDIR | 0555, .dynamic = &task_dynamic},
    SYNTH_END,
};
static const struct synth_entry tid_rows[] = {COMMON_ROWS, SYNTH_END};

const struct synth_entry proc_pid_entry = SYNTH_DIR("PID", 0555, pid_rows);
const struct synth_entry proc_tid_entry = SYNTH_DIR("TID", 0555, tid_rows);
