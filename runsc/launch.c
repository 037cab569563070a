/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/hostcall.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timeline.h"
#include "fsgofer/gofer.h"

#define CHILD_FDS_MAX 32
#define GOFER_END_MS  1000

static const struct child no_child = {.pid = -1, .pidfd = -1, .hold = -1};

void launch_init(struct launch *l)
{
	l->control_fd = l->tty_fd = l->signal_fd = l->gofer_ready = -1;
	l->sandbox = l->gofer = no_child;
	for (size_t i = 0; i < SANDBOX_GOFER_CONNECTIONS; i++)
		l->gofer_fds[i] = -1;
	for (size_t i = 0; i < OCI_NS_COUNT; i++)
		l->namespaces.join[i] = l->namespaces.own[i] = -1;
}

static void close_fd(int *fd)
{
	fd_closep(fd);
	*fd = -1;
}

/* In a child: signals as after an exec, a name for ps, nothing of the caller's environment. */
static void reset_process(const char *name)
{
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_NAME, name);
	timeline_process(name);
	for (char **e = environ; e && *e; e++)
		explicit_bzero(*e, strlen(*e));
	clearenv();
}

static int compare_ints(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Closes every descriptor from 3 on but those listed (negative ones are skipped). */
static void close_others(int *keep, size_t count)
{
	unsigned from = 3;

	qsort(keep, count, sizeof(*keep), compare_ints);
	for (size_t i = 0; i < count; i++) {
		if (keep[i] < (int)from)
			continue;
		if (keep[i] > (int)from)
			host_close_range(from, (unsigned)keep[i] - 1, -1);
		from = (unsigned)keep[i] + 1;
	}
	host_close_range(from, ~0u, -1);
}

/* 0, 1 and 2 lead nowhere; returns a further descriptor of /dev/null. */
static int null_stdio(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	for (int i = 0; i < 3; i++)
		if (fd != i)
			dup2(fd, i);
	if (fd > 2)
		close(fd);
	return copy;
}

static struct error *watch_child(struct child *c, pid_t pid, int hold)
{
	c->pid = pid;
	c->pidfd = host_watch(pid);
	c->hold = hold;
	return c->pidfd < 0 ? error_errno(-c->pidfd, "watching process %d", (int)pid) : NULL;
}

/* ---- the gofer ---- */

static struct gofer_mount *make_gofer_mounts(const struct oci_spec *spec, size_t *ret_count)
{
	struct gofer_mount *list = xcalloc(spec->mount_count + 1, sizeof(*list));
	size_t count = 1;

	list[0] = (struct gofer_mount){
	    .source = spec->root_path,
	    .readonly = spec->root_readonly,
	    .recursive = true,
	};
	for (size_t i = 0; i < spec->mount_count; i++) {
		const struct oci_mount *m = &spec->mounts[i];

		if (!m->gofer_index)
			continue;
		list[count++] = (struct gofer_mount){
		    .source = m->source,
		    .readonly = m->flags & OCI_MOUNT_RDONLY,
		    .recursive = m->flags & OCI_MOUNT_BIND_RECURSIVE,
		    .noexec = m->flags & OCI_MOUNT_NOEXEC,
		};
	}
	*ret_count = count;
	return list;
}

/* Whether `path` lies in the directory `dir`, by name. */
static bool is_below(const char *path, const char *dir)
{
	size_t size = strlen(dir);

	while (size && dir[size - 1] == '/')
		size--;
	return !strncmp(path, dir, size) && path[size] == '/' && path[size + 1];
}

/* Mount points that lie in the root file system, not in what another mount puts there. */
static struct gofer_mountpoint *make_gofer_mountpoints(const struct oci_spec *spec,
						       size_t *ret_count)
{
	struct gofer_mountpoint *list = xcalloc(spec->mount_count + 1, sizeof(*list));
	size_t count = 0;

	for (size_t i = 0; i < spec->mount_count; i++) {
		const struct oci_mount *m = &spec->mounts[i];
		bool in_root = true;

		for (size_t j = 0; j < i && in_root; j++)
			in_root = !is_below(m->destination, spec->mounts[j].destination);
		if (in_root)
			list[count++] = (struct gofer_mountpoint){m->destination, m->gofer_index};
	}
	*ret_count = count;
	return list;
}

/* Says that it is there, then waits to be let go; the parent's death ends it. */
static void gofer_park(const struct launch *l, int go_fd, int ready_fd)
{
	char byte;

	if (l->own_gofer_mounts &&
	    (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)) {
		dprintf(ready_fd, "gofer: a mount namespace of its own: %s", errno_text(errno));
		_exit(1);
	}
	if (send(go_fd, "p", 1, MSG_NOSIGNAL) != 1 || read(go_fd, &byte, 1) != 1)
		_exit(1);
	close(go_fd);
}

static void __noreturn gofer_child(const struct launch *l, const int *sockets, int go_fd,
				   int ready_fd)
{
	int keep[SANDBOX_GOFER_CONNECTIONS + 3], log = l->options->log_fd;
	struct gofer_args args = {
	    .sockets = sockets,
	    .socket_count = SANDBOX_GOFER_CONNECTIONS,
	    .ready_fd = ready_fd,
	    .log_fd = log,
	};

	reset_process("runsc-gofer");
	memcpy(keep, sockets, sizeof(int) * SANDBOX_GOFER_CONNECTIONS);
	keep[SANDBOX_GOFER_CONNECTIONS] = go_fd;
	keep[SANDBOX_GOFER_CONNECTIONS + 1] = ready_fd;
	keep[SANDBOX_GOFER_CONNECTIONS + 2] = log;
	close_others(keep, array_count(keep));
	close(null_stdio());
	log_setup(log, l->options->log_json, l->options->log_level, "gofer");
	gofer_park(l, go_fd, ready_fd);
	args.mounts = make_gofer_mounts(l->spec, &args.mount_count);
	args.mountpoints = make_gofer_mountpoints(l->spec, &args.mountpoint_count);
	_exit(gofer_main(&args));
}

static int make_pairs(int sentry[SANDBOX_GOFER_CONNECTIONS], int gofer[SANDBOX_GOFER_CONNECTIONS])
{
	for (size_t i = 0; i < SANDBOX_GOFER_CONNECTIONS; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
			return -errno;
		sentry[i] = pair[0];
		gofer[i] = pair[1];
	}
	return 0;
}

struct error *launch_gofer(struct launch *l)
{
	int gofer[SANDBOX_GOFER_CONNECTIONS] = {-1, -1, -1, -1}, go[2] = {-1, -1}, ready[2];
	struct error *e = NULL;
	pid_t pid = -1;
	char byte;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return error_errno(errno, "gofer");
	l->gofer_ready = ready[0];
	if (make_pairs(l->gofer_fds, gofer) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, go) < 0 || (pid = fork()) < 0)
		e = error_errno(errno, "gofer");
	if (pid == 0)
		gofer_child(l, gofer, go[1], ready[1]);
	for (size_t i = 0; i < SANDBOX_GOFER_CONNECTIONS; i++)
		close_fd(&gofer[i]);
	close_fd(&ready[1]);
	close_fd(&go[1]);
	if (e) {
		close_fd(&go[0]);
		return e;
	}
	e = watch_child(&l->gofer, pid, go[0]);
	if (e)
		return e;
	if (read(l->gofer.hold, &byte, 1) != 1) {
		char text[512] = "";

		gofer_wait_ready(l->gofer_ready, text, sizeof(text));
		return error_new("%s", text);
	}
	return NULL;
}

/* ---- the sandbox ---- */

/* A message of the child's own, before sandbox_main. */
static void __noreturn child_fail(int sync_fd, struct error *e)
{
	sandbox_report_error(sync_fd, SANDBOX_ERROR_OTHER, 0, "%s", e->message);
	_exit(1);
}

/* The end of the file means that runsc died, or gave up. */
static void await_parent(int sync_fd)
{
	char byte;
	ssize_t n;

	do
		n = recv(sync_fd, &byte, 1, 0);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		_exit(1);
}

static void child_stdio(struct sandbox_args *args)
{
	for (int i = 0; i < 3; i++)
		args->stdio[i] = fcntl(args->tty_fd >= 0 ? args->tty_fd : i, F_DUPFD_CLOEXEC, 3);
	args->null_fd = null_stdio();
}

static void child_close_others(const struct sandbox_args *args, int log)
{
	int keep[CHILD_FDS_MAX] = {args->control_fd, args->sync_fd, args->stdio[0], args->stdio[1],
				   args->stdio[2],   args->tty_fd,  args->null_fd,  log};
	size_t count = 8;

	for (size_t i = 0; i < SANDBOX_GOFER_CONNECTIONS; i++)
		keep[count++] = args->gofer_fds[i];
	close_others(keep, count);
}

/* Descriptors are the sentry's working material: as many as the host allows. */
static void raise_limits(bool debug)
{
	struct rlimit l, none = {0, 0};

	if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
		l.rlim_cur = l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
	}
	if (!debug)
		setrlimit(RLIMIT_CORE, &none);
}

static void __noreturn sandbox_child(const struct launch *l, int sync_fd)
{
	struct oci_spec spec = *l->spec;
	struct sandbox_args args = {
	    .id = l->id,
	    .bundle = l->bundle,
	    .spec = &spec,
	    .options = l->options,
	    .control_fd = l->control_fd,
	    .sync_fd = sync_fd,
	    .tty_fd = l->tty_fd,
	    .owner_uid = geteuid(),
	};
	char hostname[65];
	struct error *e;

	snprintf(hostname, sizeof(hostname), "%s", l->namespaces.hostname);
	if (hostname[0] && !(spec.hostname && spec.hostname[0]))
		spec.hostname = hostname;
	memcpy(args.gofer_fds, l->gofer_fds, sizeof(args.gofer_fds));
	reset_process("runsc-sandbox");
	child_stdio(&args);
	child_close_others(&args, l->options->log_fd);
	log_setup(l->options->log_fd, l->options->log_json, l->options->log_level, "sentry");
	await_parent(sync_fd);
	raise_limits(l->options->debug);
	setsid();
	if (args.tty_fd >= 0)
		ioctl(args.tty_fd, TIOCSCTTY, 0);
	timeline_mark("let go");
	e = namespaces_become_nobody(&l->namespaces);
	timeline_mark("nobody");
	if (!e)
		e = namespaces_empty_root(&args);
	if (e)
		child_fail(sync_fd, e);
	if (send(sync_fd, "n", 1, MSG_NOSIGNAL) != 1)
		_exit(1);
	await_parent(sync_fd);
	e = namespaces_own_cgroup(); /* it is in its cgroup now */
	if (e)
		child_fail(sync_fd, e);
	sandbox_main(&args);
}

/* What only runsc may do to the child: limits above its own, the score of the OOM killer. */
static void adjust_child(const struct launch *l, pid_t pid)
{
	struct rlimit files = {1u << 20, 1u << 20}, unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	const struct oci_process *p = &l->spec->process;
	cleanup_fd int fd = -1;
	char path[48];

	/* Where this isn't permitted, the inherited limits hold. */
	prlimit(pid, RLIMIT_NOFILE, &files, NULL);
	prlimit(pid, RLIMIT_NPROC, &unlimited, NULL);
	prlimit(pid, RLIMIT_FSIZE, &unlimited, NULL);
	if (!p->has_oom_score_adj)
		return;
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)pid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || dprintf(fd, "%d", (int)p->oom_score_adj) < 0)
		log_warn("process.oomScoreAdj %d is not set: %s", (int)p->oom_score_adj,
			 errno_text(errno));
}

struct error *launch_sandbox(struct launch *l)
{
	struct error *e = namespaces_plan(l->spec, l->options, &l->namespaces);
	int sync[2];
	pid_t pid;

	if (e)
		return e;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sync) < 0)
		return error_errno(errno, "sandbox");
	e = namespaces_fork(&l->namespaces, &pid);
	if (!e && pid == 0)
		sandbox_child(l, sync[1]);
	close(sync[1]);
	if (e) {
		close(sync[0]);
		return e;
	}
	e = watch_child(&l->sandbox, pid, sync[0]);
	for (size_t i = 0; i < SANDBOX_GOFER_CONNECTIONS; i++)
		close_fd(&l->gofer_fds[i]);
	if (e)
		return e;
	adjust_child(l, pid);
	return namespaces_map(&l->namespaces, pid);
}

/* Words it as runc does: engines look for these. */
static struct error *message_error(const struct sandbox_message *m)
{
	char text[sizeof(m->text)];
	int err = m->err < 0 && m->err > -4096 ? -m->err : 0;

	memcpy(text, m->text, sizeof(text));
	text[sizeof(text) - 1] = '\0';
	switch (m->kind) {
	case SANDBOX_ERROR_PATH_SEARCH:
		return error_new("exec: \"%s\": executable file not found in $PATH", text);
	case SANDBOX_ERROR_EXEC:
		return error_errno(err ? err : EINVAL, "exec: \"%s\"", text);
	case SANDBOX_ERROR_CWD:
		return error_errno(err ? err : EINVAL, "process.cwd: chdir to \"%s\"", text);
	case SANDBOX_ERROR_MOUNT:
		return error_errno(err ? err : EINVAL, "mounting \"%s\"", text);
	default:
		return err ? error_errno(err, "%s", text) : error_new("%s", text);
	}
}

static struct error *death_error(struct child *c)
{
	int status = 0;

	if (waitpid(c->pid, &status, 0) == c->pid)
		c->pid = -1;
	if (WIFSIGNALED(status))
		return error_new("the sandbox died while it started: signal %d", WTERMSIG(status));
	return error_new("the sandbox died while it started: exit status %d", WEXITSTATUS(status));
}

/* Until fd can be read (or is at its end). A signal of the caller's ends the wait. */
static struct error *await(const struct launch *l, int fd)
{
	struct pollfd p[] = {{.fd = fd, .events = POLLIN}, {.fd = l->signal_fd, .events = POLLIN}};
	struct signalfd_siginfo si;

	while (poll(p, 2, -1) < 0 && errno == EINTR)
		;
	if (!p[0].revents && read(l->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si))
		return error_new("ended by signal %u", si.ssi_signo);
	return NULL;
}

/* One message of the sandbox: a byte (ret_byte) or a struct; its death is an error. */
static struct error *receive(struct launch *l, char *ret_byte)
{
	struct error *e = await(l, l->sandbox.hold);
	struct sandbox_message m;
	ssize_t n;

	if (e)
		return e;
	n = fd_recv(l->sandbox.hold, &m, sizeof(m), NULL, 0, NULL);
	if (n == 1) {
		*ret_byte = *(char *)&m;
		return NULL;
	}
	if (n == 0 || n == -ECONNRESET)
		return death_error(&l->sandbox);
	if (n != (ssize_t)sizeof(m) || m.magic != SANDBOX_MESSAGE_MAGIC)
		return error_new("the sandbox sent a malformed message");
	*ret_byte = 'r';
	return m.status == SANDBOX_READY ? NULL : message_error(&m);
}

static struct error *expect(struct launch *l, char expected)
{
	char byte = 0;
	struct error *e = receive(l, &byte);

	if (!e && byte != expected)
		e = error_new("the sandbox sent a message out of turn");
	return e;
}

static struct error *let_go(struct child *c)
{
	if (send(c->hold, "g", 1, MSG_NOSIGNAL) != 1)
		return error_errno(errno, "letting the process go");
	return NULL;
}

struct error *launch_confine(struct launch *l)
{
	return let_go(&l->sandbox);
}

struct error *launch_confined(struct launch *l)
{
	return expect(l, 'n');
}

struct error *launch_serve(struct launch *l)
{
	return let_go(&l->gofer);
}

struct error *launch_boot(struct launch *l)
{
	struct error *e = let_go(&l->sandbox);
	char text[512] = "";

	if (!e)
		e = await(l, l->gofer_ready);
	if (e)
		return e;
	if (gofer_wait_ready(l->gofer_ready, text, sizeof(text)) < 0)
		return error_new("%s", text);
	e = expect(l, 'r');
	return e ? error_wrap(e, "unable to start container process") : NULL;
}

static void kill_child(struct child *c)
{
	if (c->pid > 0) {
		kill(c->pid, SIGKILL);
		while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	c->pid = -1;
}

void launch_kill(struct launch *l)
{
	kill_child(&l->sandbox);
	kill_child(&l->gofer);
}

void launch_reap_gofer(struct launch *l)
{
	struct pollfd p = {.fd = l->gofer.pidfd, .events = POLLIN};

	if (l->gofer.pidfd >= 0)
		poll(&p, 1, GOFER_END_MS);
	kill_child(&l->gofer);
}

static void close_child(struct child *c)
{
	close_fd(&c->pidfd);
	close_fd(&c->hold);
}

void launch_close(struct launch *l)
{
	close_child(&l->sandbox);
	close_child(&l->gofer);
	close_fd(&l->gofer_ready);
	for (size_t i = 0; i < SANDBOX_GOFER_CONNECTIONS; i++)
		close_fd(&l->gofer_fds[i]);
	namespaces_close(&l->namespaces);
}
