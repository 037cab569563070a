/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run: create, start, and (in the foreground) stand for the container until it ends: signals are
 * passed on, the terminal is relayed, the exit status becomes runsc's.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/timeline.h"
#include "runsc/cli.h"
#include "runsc/lifecycle.h"

/* A sentry that doesn't take a signal in time must not stop us from seeing the end. */
#define FORWARD_TIMEOUT_MS 2000

struct foreground {
	struct created *created;
	int signal_fd;
	bool has_relay;
	struct relay relay;
};

/* Those that a user or an init system sends on purpose; not SIGTSTP, which stops runsc alone. */
static int open_signals(void)
{
	static const int forwarded[] = {SIGHUP,	 SIGINT,  SIGQUIT, SIGUSR1,  SIGUSR2, SIGTERM,
					SIGALRM, SIGCONT, SIGPWR,  SIGWINCH, SIGIO,   SIGVTALRM};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < array_count(forwarded); i++)
		sigaddset(&set, forwarded[i]);
	for (int s = SIGRTMIN; s <= SIGRTMAX; s++)
		sigaddset(&set, s);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* A container that ends at the same moment is no failure: its socket is closed then. */
static void forward(struct foreground *f, int signo)
{
	struct error *e = lifecycle_signal(f->created->container, signo, false, FORWARD_TIMEOUT_MS);

	if (e && lifecycle_sentry_gone(e))
		error_free(e);
	else
		error_warn(e, "passing signal %d on", signo);
}

static void forward_signals(struct foreground *f)
{
	struct signalfd_siginfo si;

	while (read(f->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo != SIGWINCH)
			forward(f, (int)si.ssi_signo);
		else if (f->has_relay)
			relay_resize(&f->relay);
	}
}

/* Until the sandbox process has ended. */
static void serve(struct foreground *f)
{
	for (;;) {
		struct pollfd p[4] = {{.fd = f->created->launch.sandbox.pidfd, .events = POLLIN},
				      {.fd = f->signal_fd, .events = POLLIN},
				      {.fd = -1},
				      {.fd = -1}};

		if (f->has_relay)
			relay_poll_fds(&f->relay, &p[2]);
		if (poll(p, 4, -1) < 0)
			continue;
		if (f->has_relay)
			relay_handle(&f->relay, &p[2]);
		if (p[0].revents)
			return;
		if (p[1].revents)
			forward_signals(f);
	}
}

static int reap(struct child *c)
{
	int status = 0;

	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		;
	c->pid = -1;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* A container that was deleted by another command meanwhile is what we wanted. */
static struct error *remove_container(struct container *c, bool kill)
{
	struct error *e = container_lock(c);

	if (!e)
		e = lifecycle_delete(c, kill);
	if (e && e->errnum == ENOENT) {
		error_free(e);
		e = NULL;
	}
	return e;
}

static struct error *begin(struct foreground *f, const struct create_request *r)
{
	struct created *c = f->created;
	struct error *e = NULL;

	if (c->spec->process.terminal && !r->console_socket) {
		e = relay_begin(&f->relay, &c->console);
		f->has_relay = !e;
	}
	if (!e)
		e = lifecycle_start(c->container, c->spec);
	return e;
}

static struct error *run_foreground(const struct runsc_options *o, struct create_request *r,
				    bool keep, int *ret_status)
{
	cleanup_fd int signals = open_signals(), ending = cli_ending_signals();
	struct created created;
	struct foreground f = {.created = &created, .signal_fd = signals};
	struct error *e, *end;

	r->signal_fd = ending; /* the others stay pending until the container runs */
	r->foreground = true;
	e = lifecycle_create(o, r, &created);
	if (e)
		return e;
	e = begin(&f, r);
	container_unlock(created.container);
	timeline_mark("start sent");
	if (!e) {
		serve(&f);
		*ret_status = reap(&created.launch.sandbox);
		timeline_mark("sandbox ended");
	}
	if (f.has_relay)
		relay_end(&f.relay);
	if (e || !keep) {
		end = remove_container(created.container, e != NULL);
		if (e)
			error_warn(end, "cleaning up");
		else
			e = end;
	}
	launch_reap_gofer(&created.launch);
	created_close(&created);
	return e;
}

static struct error *run_detached(const struct runsc_options *o, struct create_request *r)
{
	cleanup_fd int ending = cli_ending_signals();
	struct created created;
	struct error *e;

	r->signal_fd = ending;
	e = lifecycle_create(o, r, &created);
	if (e)
		return e;
	e = lifecycle_start(created.container, created.spec);
	if (e)
		error_warn(lifecycle_delete(created.container, true), "cleaning up");
	created_close(&created);
	return e;
}

static struct error *run(const struct runsc_options *o, const struct cli_args *a, int *ret_status)
{
	struct create_request r;
	struct error *e = cli_create_request(a, &r);

	if (e)
		return e;
	if (cli_flag(a, "detach"))
		return run_detached(o, &r);
	return run_foreground(o, &r, cli_flag(a, "keep"), ret_status);
}

static const struct cli_option options[] = {
    CLI_CREATE_OPTIONS,
    {"detach", 'd', NULL, "return once the container runs"},
    {"keep", 0, NULL, "do not delete the container when it has ended"},
    {"no-subreaper", 0, NULL, "accepted, without effect"},
    {NULL, 0, NULL, NULL},
};

const struct command cmd_run = {
    .name = "run",
    .synopsis = "[command options] <container-id>",
    .summary = "create and run a container",
    .description = "Does what create, start and (when the container has ended) delete do. The\n"
		   "container's exit status becomes runsc's: the program's code, or 128 and the\n"
		   "number of the signal that ended it.\n",
    .options = options,
    .words_min = 1,
    .words_max = 1,
    .run = run,
    .names_itself = true,
};
