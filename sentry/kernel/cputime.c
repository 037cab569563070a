/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/kernel/cputime.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "abi/time.h"
#include "base/fd.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"

/* The host's CPU clocks of a process by pid (clock_getcpuclockid(3)): our own process is another
 * one, so the ids are made here. */
enum { HOST_CLOCK_BOTH, HOST_CLOCK_USER, HOST_CLOCK_PRECISE };

static uint64_t host_clock(pid_t pid, unsigned which)
{
	clockid_t id = (clockid_t)((~(unsigned)pid << 3) | which);
	struct timespec ts;

	if (clock_gettime(id, &ts))
		return 0;
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

/* User and both are counted in ticks, their sum is known exactly: it is divided in their ratio. */
static void host_times(pid_t pid, struct cputime *ret)
{
	uint64_t total = host_clock(pid, HOST_CLOCK_PRECISE);
	uint64_t both = host_clock(pid, HOST_CLOCK_BOTH);
	uint64_t user = host_clock(pid, HOST_CLOCK_USER);

	if (!both || user > both)
		user = both = 1;
	ret->utime = (uint64_t)((unsigned __int128)total * user / both);
	ret->stime = total - ret->utime;
}

/* What a vfork child in its parent's host thread uses counts as the parent's. */
void cputime_of_process(struct thread_group *tg, struct cputime *ret)
{
	pid_t pid = atomic_load(&tg->lent) ? 0 : atomic_load(&tg->host_pid);
	struct cputime now = {0, 0};

	if (pid > 0)
		host_times(pid, &now);
	ret->utime = atomic_load(&tg->past_utime) + now.utime;
	ret->stime = atomic_load(&tg->past_stime) + now.stime;
}

/* A thread's time on a CPU, from /proc/<pid>/task/<tid>/schedstat of the host; false: unknown. */
static bool host_thread_time(struct task *t, uint64_t *ret_ns)
{
	char path[64], *text;
	uint64_t ns;
	bool ok;

	if (t->kernel->host_proc_fd < 0 || !t->pt)
		return false;
	snprintf(path, sizeof(path), "%d/task/%d/schedstat", platform_host_pid(t->pt),
		 platform_host_tid(t->pt));
	if (fd_read_file(t->kernel->host_proc_fd, path, 256, &text, NULL))
		return false;
	ok = sscanf(text, "%" SCNu64, &ns) == 1;
	free(text);
	if (ok)
		*ret_ns = ns - MIN(ns, platform_host_time_before(t->pt));
	return ok;
}

void cputime_of_task(struct task *t, struct cputime *ret)
{
	struct cputime all;
	uint64_t mine, sum;

	cputime_of_process(t->tg, ret);
	if (t->tg->live_count < 2 || !host_thread_time(t, &mine))
		return;
	all = *ret;
	sum = all.utime + all.stime;
	ret->utime = sum ? (uint64_t)((unsigned __int128)mine * all.utime / sum) : mine;
	ret->stime = mine - ret->utime;
}

void cputime_keep(struct task *t)
{
	struct thread_group *tg = t->tg;
	pid_t pid = atomic_exchange(&tg->host_pid, 0);
	struct cputime used;

	if (pid <= 0 || atomic_load(&tg->lent))
		return;
	host_times(pid, &used);
	atomic_fetch_add(&tg->past_utime, used.utime);
	atomic_fetch_add(&tg->past_stime, used.stime);
}

int64_t cputime_max_rss_kib(struct thread_group *tg)
{
	pid_t pid = atomic_load(&tg->host_pid);
	char path[32], *text, *line;
	int64_t kib = 0;

	if (tg->kernel->host_proc_fd < 0 || pid <= 0)
		return 0;
	snprintf(path, sizeof(path), "%d/status", pid);
	if (fd_read_file(tg->kernel->host_proc_fd, path, 8192, &text, NULL))
		return 0;
	line = strstr(text, "\nVmHWM:");
	if (line)
		kib = strtoll(line + 7, NULL, 10);
	free(text);
	return kib;
}

struct abi_timeval cputime_timeval(uint64_t ns)
{
	return (struct abi_timeval){(int64_t)(ns / 1000000000ull),
				    (int64_t)(ns % 1000000000ull / 1000)};
}

void cputime_rusage(struct thread_group *tg, struct abi_rusage *ret)
{
	struct cputime used;

	cputime_of_process(tg, &used);
	memset(ret, 0, sizeof(*ret));
	ret->utime = cputime_timeval(used.utime + tg->dead_children_utime);
	ret->stime = cputime_timeval(used.stime + tg->dead_children_stime);
}
