/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wiring: the one place that knows platform, sentry, system calls and gofer at once.
 *
 * Order, and why:
 *	1. the platform, while there is one thread and nothing secret in memory (its zygote is a
 *	   child);
 *	2. the kernel with its file system types, the container's mounts (the gofer answers
 *	   already);
 *	3. confinement: no capabilities, the sentry's filter. Nothing of the guest's was looked at
 *	   so far but names in config.json;
 *	4. threads, which inherit the filter;
 *	5. the first process: its program is found and loaded, so that `create` can report what is
 *	   wrong;
 *	6. READY. This thread becomes the event thread: terminals, host files, timers, control
 *	   socket. The process ends when the first guest process has (or when something that it
 *	   can't do without is gone); as process 1 of its PID namespace it takes every stub process
 *	   along.
 */
#include "runsc/boot.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/poll.h"
#include "base/crash.h"
#include "base/fd.h"
#include "base/feature.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "base/timeline.h"
#include "platform/platform.h"
#include "sentry/fs/builtin.h"
#include "sentry/fs/gofer/client.h"
#include "sentry/fs/gofer/gofer_fs.h"
#include "sentry/fs/proc/sysctl.h"
#include "sentry/kernel/answers.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/klog.h"
#include "sentry/kernel/process.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/timer.h"
#include "sentry/kernel/unsupported.h"
#include "sentry/tty/tty.h"
#include "syscalls/syscalls.h"

#define SPARE_STUBS 2

void boot_fail(struct boot *b, enum sandbox_error_kind kind, int err, const char *fmt, ...)
{
	char text[900];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	sandbox_report_error(b->args->sync_fd, kind, err, "%s", text);
	_exit(1);
}

/* On a thread of the platform's own. The processes end with this one. */
static void platform_broken(void *cookie, const char *why)
{
	struct boot *b = cookie;

	log_error("platform %s: %s: ending the sandbox", platform_name(b->platform), why);
	atomic_store(&b->broken, true);
	kernel_exit(b->kernel, SIGKILL);
}

/* How many CPUs the container may use at once by its quota, rounded down; 0: no quota. */
static uint32_t quota_cpus(const struct oci_resources *r)
{
	int64_t quota = r->cpu_quota.present ? r->cpu_quota.value : 0;
	int64_t period = r->cpu_period.present ? (int64_t)r->cpu_period.value : 100000;

	if (quota <= 0 || period <= 0)
		return 0;
	return (uint32_t)MAX((int64_t)1, MIN(quota / period, (int64_t)65536));
}

static void make_platform(struct boot *b)
{
	const char *name = b->args->options->platform, *why = NULL;
	struct platform_config config = {
	    .name = strcmp(name, "auto") ? name : NULL,
	    .callbacks = &b->callbacks,
	    .copyplans = syscall_copyplans_new(), /* kept for good */
	    .copyplan_count = SYSCALL_TABLE_COUNT,
	    .answer_calls = kernel_answer_calls,
	    .answer_count = kernel_answer_count,
	    .absent_call = 334, /* rseq: each program and thread tries it */
	    .spare_count = SPARE_STUBS,
	    .cpus = quota_cpus(&b->spec->resources),
	    .without = features_without(),
	    .force = features_forced(),
	    .proc_fd = b->args->proc_fd,
	    .exec_dir_fd = b->args->exec_dir_fd,
	};
	int err;

	b->callbacks = kernel_platform_callbacks;
	b->callbacks.broken = platform_broken;
	b->callbacks.broken_cookie = b;
	if (b->args->options->strace) /* which shows calls that the sentry sees */
		config.without |= FEATURE_BIT(ANSWERS) | FEATURE_BIT(HOST_FUTEX) |
				  FEATURE_BIT(OWN_STATE) | FEATURE_BIT(LEASES);
	err = platform_new(&config, &b->platform, &why);
	if (err)
		boot_fail(b, SANDBOX_ERROR_OTHER, err, "starting platform %s: %s", name,
			  why ? why : "unknown reason");
	fd_closep(&b->args->exec_dir_fd);
}

static int64_t number_or(const struct oci_number *n, int64_t absent)
{
	return n->present ? n->value : absent;
}

static const struct sandbox_limits *limits_of(const struct oci_resources *r)
{
	struct sandbox_limits *l = xnew(struct sandbox_limits);

	l->memory_max = (uint64_t)MAX((int64_t)0, number_or(&r->memory_limit, 0));
	l->memory_swap = (uint64_t)MAX((int64_t)0, number_or(&r->memory_swap, 0));
	l->cpu_quota = number_or(&r->cpu_quota, 0);
	l->cpu_period = (uint64_t)number_or(&r->cpu_period, 100000);
	l->cpu_shares = (uint64_t)number_or(&r->cpu_shares, 0);
	l->pids_max = number_or(&r->pids_limit, 0);
	if (r->cpuset_cpus)
		snprintf(l->cpuset, sizeof(l->cpuset), "%s", r->cpuset_cpus);
	return l;
}

/* linux.sysctl. What this kernel doesn't have can't matter to its guests: a warning is enough. */
static void set_sysctls(struct boot *b)
{
	for (size_t i = 0; i < b->spec->sysctl_count; i++) {
		const struct oci_sysctl *s = &b->spec->sysctls[i];
		int err = sysctl_set(b->kernel, s->name, s->value);

		if (err)
			log_warn("linux.sysctl: %s: %s", s->name, strerror(-err));
	}
}

static void make_kernel(struct boot *b)
{
	const struct runsc_options *o = b->args->options;
	int64_t pids = number_or(&b->spec->resources.pids_limit, 0);
	struct kernel_config config = {
	    .hostname = b->spec->hostname,
	    .domainname = b->spec->domainname,
	    .table = syscall_table,
	    .table_count = SYSCALL_TABLE_COUNT,
	    .trace = &syscall_strace,
	    .strace = o->strace,
	    .strict = o->strict,
	    .task_max = pids > 0 && pids < PID_MAX ? (uint32_t)pids : 0,
	    .proc_fd = b->args->proc_fd,
	};

	b->kernel = kernel_new(&config);
	b->kernel->platform = b->platform;
	b->kernel->host_futex = platform_host_futex(b->platform);
	b->kernel->own_state = platform_own_state(b->platform);
	b->kernel->leases = platform_leases(b->platform);
	b->kernel->limits = limits_of(&b->spec->resources);
	fs_register_builtin(b->kernel);
	set_sysctls(b);
}

/* ---- the event thread ---- */

static void timer_ready(struct hostpoll *hp, uint32_t events)
{
	(void)events;
	timers_expire(container_of(hp, struct boot, timer)->kernel);
}

static void event_ready(struct hostpoll *hp, uint32_t events)
{
	uint64_t count;
	ssize_t n = read(hp->fd, &count, sizeof(count));

	(void)events;
	(void)n; /* only there to wake us */
}

static void winch_ready(struct hostpoll *hp, uint32_t events)
{
	struct boot *b = container_of(hp, struct boot, winch);
	struct signalfd_siginfo si;

	(void)events;
	while (read(hp->fd, &si, sizeof(si)) == (ssize_t)sizeof(si))
		if (b->console)
			console_resized(b->console);
}

void boot_watch(struct boot *b, struct hostpoll *hp, int fd, uint32_t events,
		void (*func)(struct hostpoll *, uint32_t))
{
	int err;

	hp->fd = fd;
	hp->func = func;
	err = hostpoll_add(b->kernel, hp);
	if (err)
		boot_fail(b, SANDBOX_ERROR_OTHER, err, "watching a descriptor");
	hostpoll_arm(b->kernel, hp, events | HOSTPOLL_STAY);
}

/* Without its gofer the container has no files: fail-stop. */
static void gofer_ready(struct hostpoll *hp, uint32_t events)
{
	struct gofer_watch *w = container_of(hp, struct gofer_watch, hp);

	if (!(events & (ABI_POLLHUP | ABI_POLLERR)))
		return;
	hostpoll_remove(w->boot->kernel, hp);
	if (!atomic_exchange(&w->boot->broken, true)) /* once for all its connections */
		log_error("the gofer is gone: ending the sandbox");
	kernel_exit(w->boot->kernel, SIGKILL);
}

static void watch_events(struct boot *b)
{
	sigset_t set;
	int fd;

	for (int i = 0; i < SANDBOX_GOFER_CONNECTIONS; i++) {
		b->gofer_watch[i].boot = b;
		boot_watch(b, &b->gofer_watch[i].hp, b->args->gofer_fds[i], 0, gofer_ready);
	}
	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		boot_fail(b, SANDBOX_ERROR_OTHER, -errno, "signalfd");
	boot_watch(b, &b->winch, fd, ABI_POLLIN, winch_ready);
	boot_watch(b, &b->timer, ktimer_host_fd(b->kernel), ABI_POLLIN, timer_ready);
	boot_watch(b, &b->event, b->kernel->event_fd, ABI_POLLIN, event_ready);
}

/*
 * The pages of runsc that only a start needed are let go of when what was created, or the program,
 * has had time to begin. From then on an idle sandbox sleeps for good.
 */
#define SETTLE_NS 300000000ull

void boot_settle_later(struct boot *b)
{
	b->settles_ns = time_monotonic_ns() + SETTLE_NS;
}

static void settle(struct boot *b)
{
	if (!gofer_trim(b->gofer)) {
		boot_settle_later(b);
		return;
	}
	b->settles_ns = 0;
	mem_drop_image();
}

static void event_loop(struct boot *b)
{
	struct kernel *k = b->kernel;

	boot_settle_later(b);
	while (!atomic_load(&k->ended)) {
		hostpoll_dispatch(k, b->settles_ns ? (int)(SETTLE_NS / 1000000) : -1);
		workers_run_woken(k);
		if (b->settles_ns && time_monotonic_ns() >= b->settles_ns)
			settle(b);
	}
}

/* ---- the end ---- */

static void print_stats(struct boot *b)
{
	struct strbuf sb = STRBUF_INIT;
	char *line, *save = NULL;

	boot_stats(b, &sb);
	if (sb.data)
		for (line = strtok_r(sb.data, "\n", &save); line;
		     line = strtok_r(NULL, "\n", &save))
			log_write(LOG_DEBUG, "stats: %s", line);
	strbuf_free(&sb);
}

static int exit_code(int32_t wait_status)
{
	if (WIFSIGNALED(wait_status))
		return 128 + WTERMSIG(wait_status);
	return WEXITSTATUS(wait_status);
}

/* Whether guest objects are left although every task is gone: a leak of ours. */
static bool leaked(void)
{
	static const enum object_kind of_tasks[] = {OBJ_TASK, OBJ_TG, OBJ_MM, OBJ_FILES, OBJ_FS};
	bool bad = false;

	for (size_t i = 0; i < array_count(of_tasks); i++) {
		int64_t n = object_live(of_tasks[i]);

		if (n) {
			log_error("leak: %lld objects of kind %s at exit", (long long)n,
				  object_kind_name(of_tasks[i]));
			bad = true;
		}
	}
	return bad;
}

/* Debug builds and --debug take everything down in order, so that what is left over shows. */
static bool orderly(const struct boot *b)
{
#ifdef DEBUG
	(void)b;
	return true;
#else
	return b->args->options->debug;
#endif
}

static void finish(struct boot *b) __noreturn;
static void finish(struct boot *b)
{
	int code = exit_code(b->kernel->exit_status);

	timeline_mark("event loop left");

	if (orderly(b) && !atomic_load(&b->broken)) {
		workers_join(b->kernel);
		platform_get_stats(b->platform, &b->last_stats);
		platform_destroy(b->platform);
		b->platform = NULL;
		if (b->args->options->debug)
			print_stats(b);
		if (leaked())
			code = 70; /* EX_SOFTWARE: a test that sees it fails */
	}
	_exit(code);
}

void sandbox_main(const struct sandbox_args *args)
{
	struct boot b = {.args = args, .spec = args->spec};
	int err;

	log_setup(log_fd(), args->options->log_json, args->options->log_level, "sentry");
	crash_handler_install();
	timeline_mark("boot begins");
	make_platform(&b);
	timeline_mark("platform, zygote");
	fd_raise_limit(4096);
	make_kernel(&b);
	b.gofer = gofer_client_new(b.kernel, args->gofer_fds, SANDBOX_GOFER_CONNECTIONS);
	timeline_mark("kernel");
	boot_mounts(&b);
	timeline_mark("mounts");
	watch_events(&b);
	err = boot_confine(b.platform);
	timeline_mark("confined");
	if (err)
		boot_fail(&b, SANDBOX_ERROR_OTHER, err, "confining the sentry");
	err = platform_start(b.platform);
	if (err)
		boot_fail(&b, SANDBOX_ERROR_OTHER, err, "starting the platform's threads");
	boot_init_process(&b);
	timeline_mark("program loaded");
	workers_start(b.kernel);
	boot_control_start(&b);
	klog_printf("cvisor: container %s is ready", args->id);
	if (sandbox_report_ready(args->sync_fd))
		_exit(1); /* whoever created us is gone */
	event_loop(&b);
	finish(&b);
}
