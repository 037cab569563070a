/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether containers could run, found out by doing it.
 *
 * Each platform is started in a child that has made itself what a sentry is (namespaces, nobody,
 * empty root, no capabilities), and runs a guest of three instructions that makes calls. The child
 * is process 1 of its PID namespace, so all it made ends with it.
 *
 * Then a sandbox with its gofer is launched as `create` launches it, on the host's own root, read
 * only, with runsc itself as the program: found, loaded, never started, killed.
 */
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/feature.h"
#include "base/log.h"
#include "base/mem.h"
#include "platform/copyplan.h"
#include "platform/platform.h"
#include "runsc/boot.h"
#include "runsc/doctor.h"
#include "runsc/launch.h"
#include "sentry/kernel/timer.h"

#define GUEST_CODE   0x400000ull
#define GUEST_CALL   0x1ffu /* no call's number */
#define GUEST_CALLS  64
#define BOOT_SECONDS 2
#define EXIT_HANGS   124

/* ---- a platform ---- */

/* Shared with the child. */
struct trial {
	const char *name; /* NULL: the platform's own choice */
	bool works, proc;
	char used[16]; /* what was started */
	char why[400];
	double call_us;
};

static void __printf(2, 3) __noreturn give_up(struct trial *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->why, sizeof(t->why), fmt, ap);
	va_end(ap);
	_exit(1);
}

static void guest_died(void *cookie, struct platform_thread *t, bool killed_by_host)
{
	(void)t;
	(void)killed_by_host;
	give_up(cookie, "the guest died");
}

static void platform_broke(void *cookie, const char *why)
{
	give_up(cookie, "%s", why);
}

static void next_event(struct trial *t, struct platform *p, enum platform_event_type type,
		       struct platform_event *ret)
{
	int err;

	do
		err = platform_next(p, ret);
	while (err == -EINTR);
	if (err)
		give_up(t, "waiting for the guest: %s", errno_text(-err));
	if (ret->type != type)
		give_up(t, "the guest stopped with event %d, not %d", (int)ret->type, (int)type);
	if (type == PEV_REPORT && ret->report.step != PREP_DONE)
		give_up(t, "the guest's memory: %s", errno_text(-ret->report.error));
}

/* again: mov $GUEST_CALL,%eax; syscall; jmp again */
static void load_guest(struct trial *t, struct platform *p, struct platform_thread *pt)
{
	static const uint8_t code[] = {
	    0xb8, GUEST_CALL & 0xff, GUEST_CALL >> 8, 0, 0, 0x0f, 0x05, 0xeb, 0xf7};
	struct memop map = {.type = MEMOP_MMAP_ANON,
			    .prot = PROT_READ | PROT_WRITE,
			    .addr = GUEST_CODE,
			    .size = 4096},
		     protect = {.type = MEMOP_MPROTECT,
				.prot = PROT_READ | PROT_EXEC,
				.addr = GUEST_CODE,
				.size = 4096};
	struct platform_reply reply = {.memops = &map, .memop_count = 1, .report = true};
	struct platform_event ev;

	platform_reply(pt, &reply);
	next_event(t, p, PEV_REPORT, &ev);
	if (platform_write(pt, platform_thread_mm(pt), GUEST_CODE, code, sizeof(code)) !=
	    sizeof(code))
		give_up(t, "the guest's memory can't be written");
	reply = (struct platform_reply){.memops = &protect, .memop_count = 1, .set_regs = true};
	reply.regs.rip = GUEST_CODE;
	reply.regs.rflags = 0x202;
	platform_reply(pt, &reply);
}

static void run_guest(struct trial *t, struct platform *p)
{
	struct platform_reply reply = {.set_ret = true};
	struct platform_thread *pt;
	struct platform_event ev;
	uint64_t best = UINT64_MAX, began;
	int err = platform_mm_new(p, t, &pt);

	if (err)
		give_up(t, "no guest process: %s", errno_text(-err));
	next_event(t, p, PEV_STARTED, &ev);
	load_guest(t, p, pt);
	next_event(t, p, PEV_CALL, &ev);
	for (int i = 0; i < GUEST_CALLS; i++) {
		began = time_monotonic_ns();
		platform_reply(pt, &reply);
		next_event(t, p, PEV_CALL, &ev);
		best = MIN(best, time_monotonic_ns() - began);
		if (ev.call.nr != GUEST_CALL)
			give_up(t, "the guest's call came as number %llu",
				(unsigned long long)ev.call.nr);
	}
	t->call_us = (double)best / 1000;
}

static void start_platform(struct trial *t, const struct sandbox_args *args)
{
	const struct platform_callbacks callbacks = {guest_died, platform_broke, t};
	static const struct copyplan no_plans[1];
	struct platform_config config = {
	    .name = t->name,
	    .callbacks = &callbacks,
	    .copyplans = no_plans,
	    .copyplan_count = 1,
	    .spare_count = 0,
	    .without = features_without(),
	    .force = features_forced(),
	    .proc_fd = args->proc_fd,
	    .exec_dir_fd = args->exec_dir_fd,
	};
	const char *why = NULL;
	struct platform *p;
	int err = platform_new(&config, &p, &why);

	if (err)
		give_up(t, "%s: %s", why ? why : "it does not start", errno_text(-err));
	snprintf(t->used, sizeof(t->used), "%s", platform_name(p));
	err = boot_confine(p); /* the platform must do with what the sentry's filter has */
	if (err)
		give_up(t, "confining the sentry: %s", errno_text(-err));
	err = platform_start(p);
	if (err)
		give_up(t, "its threads don't start: %s", errno_text(-err));
	run_guest(t, p);
	t->works = true;
	_exit(0); /* takes the guest along */
}

/* Process 1 of a PID namespace is never ended by what a signal does by default. */
static void out_of_time(int signo)
{
	(void)signo;
	_exit(EXIT_HANGS);
}

static void __noreturn trial_child(struct trial *t, const struct namespaces *n, int parked)
{
	struct sandbox_args args = {.proc_fd = -1, .exec_dir_fd = -1};
	sigset_t none;
	struct error *e;
	char byte;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGALRM, out_of_time);
	alarm(BOOT_SECONDS);
	if (read(parked, &byte, 1) != 1)
		_exit(1);
	e = namespaces_become_nobody(n);
	if (!e)
		e = namespaces_empty_root(&args);
	if (e)
		give_up(t, "%s", e->message);
	t->proc = args.proc_fd >= 0;
	start_platform(t, &args);
	_exit(0);
}

/* The parent's part of making a sandbox's process; the child is let go when it has its ids. */
static struct error *run_trial(struct trial *t, struct namespaces *n, pid_t *ret_pid)
{
	struct error *e;
	int park[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, park) < 0)
		return error_errno(errno, "socketpair");
	e = namespaces_fork(n, ret_pid);
	if (!e && *ret_pid == 0) {
		close(park[0]); /* so that our end's closing ends the wait */
		trial_child(t, n, park[1]);
	}
	if (!e)
		e = namespaces_map(n, *ret_pid);
	if (!e && write(park[0], "g", 1) != 1)
		e = error_errno(errno, "letting the process go");
	close(park[0]);
	close(park[1]);
	return e;
}

static void try_platform(const struct runsc_options *o, const char *name, struct trial *t)
{
	struct oci_spec spec = {0};
	struct namespaces n;
	struct error *e;
	pid_t pid = -1;
	int status = 0;

	*t = (struct trial){.name = name};
	e = namespaces_plan(&spec, o, &n);
	if (!e) {
		e = run_trial(t, &n, &pid);
		namespaces_close(&n);
	}
	if (pid > 0) {
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	if (e)
		snprintf(t->why, sizeof(t->why), "%s", e->message);
	else if (!t->works && WIFSIGNALED(status))
		snprintf(t->why, sizeof(t->why), "ended by signal %d", WTERMSIG(status));
	else if (!t->works && WEXITSTATUS(status) == EXIT_HANGS)
		snprintf(t->why, sizeof(t->why), "the guest hangs");
	error_free(e);
}

/* Which one a container would get, asked of whoever chooses. */
static void choose(const struct runsc_options *o, struct doctor_report *r, struct trial *t)
{
	bool given = strcmp(o->platform, "auto") != 0;

	try_platform(o, given ? o->platform : NULL, t);
	for (size_t i = 0; i < DOCTOR_PLATFORMS; i++) {
		struct doctor_platform *p = &r->platforms[i];

		if (t->works && strcmp(p->name, t->used) == 0)
			r->chosen = p->name;
	}
	if (!r->chosen && given)
		r->chosen_why = xasprintf("%s: %s", o->platform, t->why);
	else if (!r->chosen)
		r->chosen_why =
		    xasprintf("%s: %s; %s: %s", r->platforms[0].name, r->platforms[0].why,
			      r->platforms[1].name, r->platforms[1].why);
	else if (given)
		r->chosen_why = xasprintf("--platform=%s", o->platform);
	else if (r->chosen == r->platforms[0].name)
		r->chosen_why = xstrdup("the first choice, and it works");
	else
		r->chosen_why =
		    xasprintf("%s does not work: %s", r->platforms[0].name, r->platforms[0].why);
}

void doctor_boot_platforms(const struct runsc_options *o, struct doctor_report *r)
{
	static const char *const names[DOCTOR_PLATFORMS] = {"notify", "ptrace"};
	struct trial *t = doctor_shared(sizeof(*t));

	for (size_t i = 0; i < DOCTOR_PLATFORMS; i++) {
		try_platform(o, names[i], t);
		r->platforms[i] = (struct doctor_platform){.name = names[i],
							   .works = t->works,
							   .why = xstrdup(t->why),
							   .call_us = t->call_us};
	}
	choose(o, r, t);
	if (t->works)
		doctor_add(r, "files", "new-proc", t->proc ? DOCTOR_YES : DOCTOR_NO,
			   "speed: clocks ask the sentry, which has no vDSO to give", "%s", "");
}

/* ---- a sandbox ---- */

/* Where create would find a file that surely can be executed. */
static char *own_program(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n < 0)
		return xstrdup("/bin/true");
	path[n] = '\0';
	return access(path, X_OK) == 0 ? xstrdup(path) : xstrdup("/bin/true");
}

static json_t *config_of(const char *program)
{
	return json_pack("{s:s, s:{s:s, s:[s], s:{s:i, s:i}}, s:{s:s, s:b}}", "ociVersion",
			 RUNSC_OCI_VERSION, "process", "cwd", "/", "args", program, "user", "uid",
			 0, "gid", 0, "root", "path", "/", "readonly", 1);
}

/* A listening socket without a name in the file system. */
static int listening_socket(void)
{
	struct sockaddr_un any = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 &&
	    (bind(fd, (struct sockaddr *)&any, sizeof(any.sun_family)) < 0 || listen(fd, 1) < 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

static struct error *launch_all(struct launch *l)
{
	struct error *e = launch_gofer(l);

	if (!e)
		e = launch_sandbox(l);
	if (!e)
		e = launch_confine(l);
	if (!e)
		e = launch_confined(l);
	if (!e)
		e = launch_serve(l);
	return e ? e : launch_boot(l);
}

static struct error *launch_spec(const struct runsc_options *o, const struct oci_spec *spec)
{
	struct launch l = {.options = o, .spec = spec, .id = "doctor", .bundle = "/"};
	struct error *e;

	launch_init(&l);
	l.control_fd = listening_socket();
	if (l.control_fd < 0)
		return error_errno(errno, "a control socket");
	e = launch_all(&l);
	launch_kill(&l);
	launch_close(&l);
	close(l.control_fd);
	return e;
}

static struct error *launch_program(const struct runsc_options *o, const char *program)
{
	json_t *json = config_of(program);
	char *text = json_dumps(json, 0);
	struct oci_spec *spec = NULL;
	struct error *e = config_parse(text, strlen(text), "/", &spec);

	if (!e)
		e = launch_spec(o, spec);
	config_free(spec);
	free(text);
	json_decref(json);
	return e;
}

void doctor_boot_sandbox(const struct runsc_options *o, struct doctor_report *r)
{
	uint64_t began = time_monotonic_ns();
	char *program = own_program();
	struct error *e = launch_program(o, program);

	if (e)
		doctor_obstacle(r, "%s", e->message);
	else
		r->ready_why = xasprintf("a sandbox was made and loaded %s, in %.1f ms", program,
					 (double)(time_monotonic_ns() - began) / 1e6);
	error_free(e);
	free(program);
}
