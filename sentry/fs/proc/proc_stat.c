/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID/{stat,statm,status}. What the sentry doesn't know (faults, context switches, resident
 * memory) is what the host says of the process that stands behind. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"
#include "abi/resource.h"
#include "abi/signal.h"
#include "abi/time.h"
#include "base/compiler.h"
#include "base/strbuf.h"
#include "sentry/fs/proc/proc_internal.h"
#include "sentry/fs/sysfs/cpus.h"
#include "sentry/kernel/cputime.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/own.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm.h"
#include "sentry/tty/tty.h"
#include "sentry/vfs/files.h"

#define NS_PER_TICK (UINT64_C(1000000000) / ABI_USER_HZ)
#define PAGE	    (uint64_t) PAGE_SIZE

/* All that stat and status say of a task, gathered under the locks that guard it. */
struct snapshot {
	char comm[TASK_COMM_SIZE];
	char state;
	int32_t tid, tgid, ppid, pgid, sid, tpgid;
	uint64_t tty;
	int32_t nice, policy, priority, exit_signal, exit_code;
	uint32_t threads;
	uint64_t start_ticks;
	struct cputime time;
	uint64_t children_utime, children_stime;
	uint64_t pending, shared_pending, blocked, ignored, caught;
	uint32_t queued;
	uint64_t queued_max, vsize, rss, shared;
	uint64_t minor_faults, children_minor_faults, major_faults, children_major_faults;
	int32_t processor;
	uint32_t fd_size;
	struct mm_usage usage;
	struct mm_layout layout;
	const struct cred *cred; /* reference */
	uint32_t umask;
	bool has_mm;
};

/* ---- gathering ---- */

static void gather_tree_locked(struct task *t, struct snapshot *s)
{
	struct thread_group *tg = t->tg;
	struct session *session = tg->pgrp ? tg->pgrp->session : NULL;

	s->tid = t->tid;
	s->tgid = tg->tgid;
	s->ppid = tg->parent ? tg->parent->tgid : 0;
	s->pgid = tg->pgrp ? tg->pgrp->pgid : 0;
	s->sid = session ? session->sid : 0;
	s->tpgid = -1;
	if (session && session->tty) {
		s->tty = tty_rdev(session->tty);
		s->tpgid = tty_foreground_locked(session->tty);
	}
	s->nice = t->nice;
	s->policy = t->sched_policy;
	s->priority = t->sched_priority;
	s->threads = tg->live_count;
	s->exit_signal = tg->exit_signal;
	s->exit_code = tg->zombie ? t->exit_code : 0;
	s->cred = t->cred ? cred_get(t->cred) : cred_new();
	s->umask = t->fs ? fs_umask(t->fs) : 0022;
}

static void gather_signals(struct task *t, struct snapshot *s)
{
	struct thread_group *tg = t->tg;

	mutex_lock(&tg->siglock);
	memcpy(s->comm, t->comm, sizeof(s->comm));
	s->pending = t->pending.set;
	s->shared_pending = tg->pending.set;
	s->blocked = own_blocked_locked(t);
	for (int i = 0; i < ABI_NSIG; i++) {
		if (tg->actions[i].handler == ABI_SIG_IGN)
			s->ignored |= 1ull << i;
		else if (tg->actions[i].handler != ABI_SIG_DFL)
			s->caught |= 1ull << i;
	}
	s->queued = tg->queued_count;
	s->queued_max = tg->rlimits[ABI_RLIMIT_SIGPENDING].cur;
	mutex_unlock(&tg->siglock);
	s->comm[sizeof(s->comm) - 1] = 0;
}

static void gather_memory(struct task *t, struct snapshot *s)
{
	struct mm *mm = task_mm_get(t);

	if (!mm)
		return;
	s->has_mm = true;
	mm_get_usage(mm, &s->usage);
	mm_lock(mm);
	s->layout = *mm_layout(mm);
	mm_unlock(mm);
	mm_put(mm);
	s->vsize = s->usage.total;
	proc_host_resident(t, &s->rss, &s->shared);
}

/* What only the host counts: faults, and where the process ran last. */
static void gather_host(struct task *t, struct snapshot *s)
{
	char *text = proc_host_task_file(t, "stat");
	const char *behind = strrchr(text, ')');

	if (behind)
		sscanf(behind + 1,
		       " %*c %*d %*d %*d %*d %*d %*u %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
		       " %*u %*u %*d %*d %*d %*d %*d %*d %*u %*u %*d %*u %*u %*u %*u %*u %*u %*u"
		       " %*u %*u %*u %*u %*u %*u %*d %d",
		       &s->minor_faults, &s->children_minor_faults, &s->major_faults,
		       &s->children_major_faults, &s->processor);
	free(text);
}

/* How large a table for the highest descriptor is on Linux. */
static uint32_t fd_table_size(struct task *t)
{
	struct files *files;
	uint32_t size;

	mutex_lock(&t->kernel->tasks_lock);
	files = t->files ? files_get(t->files) : NULL;
	mutex_unlock(&t->kernel->tasks_lock);
	if (!files)
		return 0;
	size = files_size(files);
	files_put(files);
	return size;
}

static void gather(const struct synth_node *n, struct snapshot *s)
{
	struct task *t = n->task;

	memset(s, 0, sizeof(*s));
	mutex_lock(&t->kernel->tasks_lock);
	gather_tree_locked(t, s);
	mutex_unlock(&t->kernel->tasks_lock);
	gather_signals(t, s);
	gather_memory(t, s);
	gather_host(t, s);
	s->state = proc_task_state(t);
	if (n->number == NODE_THREAD)
		cputime_of_task(t, &s->time);
	else
		cputime_of_process(t->tg, &s->time);
	s->children_utime = atomic_load(&t->tg->dead_children_utime);
	s->children_stime = atomic_load(&t->tg->dead_children_stime);
	s->start_ticks = (t->start_time - t->kernel->boot_monotonic_ns) / NS_PER_TICK;
}

/* ---- stat ---- */

/* As the scheduler shows it: 20 + nice, or below 0 for real-time policies. */
static int shown_priority(const struct snapshot *s)
{
	return s->priority ? -1 - s->priority : 20 + s->nice;
}

static void add_times(struct strbuf *out, const struct snapshot *s)
{
	strbuf_addf(out, " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %d %d %u 0 %" PRIu64,
		    s->time.utime / NS_PER_TICK, s->time.stime / NS_PER_TICK,
		    s->children_utime / NS_PER_TICK, s->children_stime / NS_PER_TICK,
		    shown_priority(s), s->nice, s->threads, s->start_ticks);
}

static void add_addresses(struct strbuf *out, const struct mm_layout *l, bool allowed)
{
	if (!allowed)
		strbuf_addstr(out, " 1 1 0 0 0");
	else
		strbuf_addf(out, " %" PRIu64 " %" PRIu64 " %" PRIu64 " 0 0", l->start_code,
			    l->end_code, l->start_stack);
}

static void add_late_addresses(struct strbuf *out, const struct mm_layout *l, bool allowed)
{
	const uint64_t values[] = {l->start_data, l->end_data,	l->start_brk, l->arg_start,
				   l->arg_end,	  l->env_start, l->env_end};

	for (size_t i = 0; i < array_count(values); i++)
		strbuf_addf(out, " %" PRIu64, allowed ? values[i] : 0);
}

static uint64_t code_size(const struct mm_layout *l)
{
	return PAGE_ALIGN_UP(l->end_code) - PAGE_ALIGN_DOWN(l->start_code);
}

int proc_show_stat(const struct synth_node *n, struct strbuf *out)
{
	const uint64_t low = 0x7fffffff; /* the fields show 31 signals */
	struct snapshot s;
	bool allowed = proc_may_access(n->viewer, n->task) == 0;

	gather(n, &s);
	strbuf_addf(
	    out, "%d (%s) %c %d %d %d %d %d 4194304 %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64,
	    s.tid, s.comm, s.state, s.ppid, s.pgid, s.sid, (int32_t)s.tty, s.tpgid, s.minor_faults,
	    s.children_minor_faults, s.major_faults, s.children_major_faults);
	add_times(out, &s);
	strbuf_addf(out, " %" PRIu64 " %" PRIu64 " %llu", s.vsize, s.rss / PAGE,
		    (unsigned long long)ABI_RLIM_INFINITY);
	add_addresses(out, &s.layout, allowed);
	strbuf_addf(out, " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " 0 0 0 %d %d %d %d 0 0 0",
		    (s.pending | s.shared_pending) & low, s.blocked & low, s.ignored & low,
		    s.caught & low, s.exit_signal, s.processor, s.priority, s.policy);
	add_late_addresses(out, &s.layout, allowed);
	strbuf_addf(out, " %d\n", allowed ? s.exit_code : 0);
	cred_put(s.cred);
	return 0;
}

int proc_show_statm(const struct synth_node *n, struct strbuf *out)
{
	struct snapshot s = {.state = 0};

	gather_memory(n->task, &s);
	strbuf_addf(out, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " 0 %" PRIu64 " 0\n",
		    s.vsize / PAGE, s.rss / PAGE, s.shared / PAGE, code_size(&s.layout) / PAGE,
		    (s.usage.data + s.usage.stack) / PAGE);
	return 0;
}

/* ---- status ---- */

static void add_escaped_comm(struct strbuf *out, const char *s)
{
	for (; *s; s++) {
		if (*s == '\n')
			strbuf_addstr(out, "\\n");
		else if (*s == '\\')
			strbuf_addstr(out, "\\\\");
		else
			strbuf_addch(out, *s);
	}
}

static const char *state_name(char state)
{
	switch (state) {
	case 'R':
		return "R (running)";
	case 'S':
		return "S (sleeping)";
	case 'T':
		return "T (stopped)";
	default:
		return "Z (zombie)";
	}
}

static void add_identity(struct strbuf *out, const struct snapshot *s)
{
	const struct cred *c = s->cred;

	strbuf_addstr(out, "Name:\t");
	add_escaped_comm(out, s->comm);
	strbuf_addf(out,
		    "\nUmask:\t%04o\nState:\t%s\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\n"
		    "TracerPid:\t0\n",
		    s->umask, state_name(s->state), s->tgid, s->tid, s->ppid);
	strbuf_addf(out, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\nFDSize:\t%u\nGroups:\t",
		    c->uid, c->euid, c->suid, c->fsuid, c->gid, c->egid, c->sgid, c->fsgid,
		    s->fd_size);
	for (uint32_t i = 0; i < c->group_count; i++)
		strbuf_addf(out, "%u ", c->groups[i]);
	strbuf_addf(out, "%s\nNStgid:\t%d\nNSpid:\t%d\nNSpgid:\t%d\nNSsid:\t%d\nKthread:\t0\n",
		    c->group_count ? "" : " ", s->tgid, s->tid, s->pgid, s->sid);
}

static void add_kib(struct strbuf *out, const char *name, uint64_t bytes)
{
	strbuf_addf(out, "%s:\t%8" PRIu64 " kB\n", name, bytes / 1024);
}

/* Resident memory by kind is the host's knowledge: host is its status file. */
static void add_memory(struct strbuf *out, const struct snapshot *s, const char *host)
{
	static const char *const of_host[] = {"VmHWM", "VmRSS", "RssAnon", "RssFile", "RssShmem"};
	uint64_t code = code_size(&s->layout);

	add_kib(out, "VmPeak", s->usage.peak);
	add_kib(out, "VmSize", s->usage.total);
	add_kib(out, "VmLck", s->usage.locked);
	add_kib(out, "VmPin", 0);
	for (size_t i = 0; i < array_count(of_host); i++)
		add_kib(out, of_host[i], proc_host_field(host, of_host[i]) * 1024);
	add_kib(out, "VmData", s->usage.data);
	add_kib(out, "VmStk", s->usage.stack);
	add_kib(out, "VmExe", code);
	add_kib(out, "VmLib", s->usage.exec - MIN(s->usage.exec, code));
	add_kib(out, "VmPTE", proc_host_field(host, "VmPTE") * 1024);
	add_kib(out, "VmSwap", proc_host_field(host, "VmSwap") * 1024);
	add_kib(out, "HugetlbPages", 0);
	strbuf_addstr(out, "CoreDumping:\t0\nTHP_enabled:\t1\n");
}

static void add_signals(struct strbuf *out, const struct snapshot *s)
{
	strbuf_addf(out, "Threads:\t%u\nSigQ:\t%u/%" PRIu64 "\n", MAX(s->threads, 1u), s->queued,
		    s->queued_max);
	strbuf_addf(out,
		    "SigPnd:\t%016" PRIx64 "\nShdPnd:\t%016" PRIx64 "\nSigBlk:\t%016" PRIx64
		    "\nSigIgn:\t%016" PRIx64 "\nSigCgt:\t%016" PRIx64 "\n",
		    s->pending, s->shared_pending, s->blocked, s->ignored, s->caught);
}

static void add_capabilities(struct strbuf *out, const struct cred *c)
{
	strbuf_addf(out,
		    "CapInh:\t%016" PRIx64 "\nCapPrm:\t%016" PRIx64 "\nCapEff:\t%016" PRIx64
		    "\nCapBnd:\t%016" PRIx64 "\nCapAmb:\t%016" PRIx64 "\n",
		    c->cap_inheritable, c->cap_permitted, c->cap_effective, c->cap_bounding,
		    c->cap_ambient);
	strbuf_addf(out, "NoNewPrivs:\t%d\nSeccomp:\t0\nSeccomp_filters:\t0\n", c->no_new_privs);
}

int proc_show_status(const struct synth_node *n, struct strbuf *out)
{
	char *host = proc_host_task_file(n->task, "status");
	struct snapshot s;

	gather(n, &s);
	s.fd_size = fd_table_size(n->task);
	add_identity(out, &s);
	if (s.has_mm)
		add_memory(out, &s, host);
	add_signals(out, &s);
	add_capabilities(out, s.cred);
	strbuf_addstr(out, "Speculation_Store_Bypass:\tvulnerable\n");
	cpus_show_allowed(n->kernel, out);
	strbuf_addf(out,
		    "Mems_allowed:\t00000001\nMems_allowed_list:\t0\n"
		    "voluntary_ctxt_switches:\t%" PRIu64 "\nnonvoluntary_ctxt_switches:\t%" PRIu64
		    "\n",
		    proc_host_field(host, "voluntary_ctxt_switches"),
		    proc_host_field(host, "nonvoluntary_ctxt_switches"));
	cred_put(s.cred);
	free(host);
	return 0;
}
