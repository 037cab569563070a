/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/hostcall.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strbuf.h"

#define HOOK_OUTPUT_MAX 2048 /* of what a failing hook wrote, for the message */

struct running_hook {
	pid_t pid;
	int pidfd;
	int input;  /* write end of its standard input, or -1 when all was written */
	int output; /* read end of its standard output and error, or -1 at its end */
	const char *state;
	size_t state_size, written;
	struct strbuf text; /* what it wrote */
};

static const char *const stage_names[] = {
    [OCI_HOOK_PRESTART] = "prestart",
    [OCI_HOOK_CREATE_RUNTIME] = "createRuntime",
    [OCI_HOOK_CREATE_CONTAINER] = "createContainer",
    [OCI_HOOK_START_CONTAINER] = "startContainer",
    [OCI_HOOK_POSTSTART] = "poststart",
    [OCI_HOOK_POSTSTOP] = "poststop",
};

static int join(pid_t pid, const char *name, int type)
{
	char path[48];
	cleanup_fd int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -1 : setns(fd, type);
}

/* In the child. */
static void join_namespaces(const struct hook_namespaces *ns)
{
	int r = 0;

	if (ns->network_of) {
		r |= join(ns->network_of, "net", CLONE_NEWNET);
		r |= join(ns->network_of, "ipc", CLONE_NEWIPC);
		r |= join(ns->network_of, "uts", CLONE_NEWUTS);
	}
	if (ns->mount_of)
		r |= join(ns->mount_of, "mnt", CLONE_NEWNS);
	if (r < 0) {
		dprintf(2, "joining the container's namespaces: %s", errno_text(errno));
		_exit(125);
	}
}

static void __noreturn exec_hook(const struct oci_hook *h, const char *bundle,
				 const struct hook_namespaces *ns, int input, int output)
{
	char *only_path[] = {h->path, NULL};
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(input, 0);
	dup2(output, 1);
	dup2(output, 2);
	host_close_range(3, ~0u, -1);
	join_namespaces(ns);
	if (chdir(bundle) < 0 && chdir("/") < 0)
		_exit(125);
	execve(h->path, h->args.count ? h->args.items : only_path,
	       h->env.count ? h->env.items : environ);
	dprintf(2, "exec %s: %s", h->path, errno_text(errno));
	_exit(126);
}

static struct error *hook_start(const struct oci_hook *h, const char *bundle,
				const struct hook_namespaces *ns, struct running_hook *run)
{
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) < 0)
		return error_errno(errno, "pipe");
	if (pipe2(out, O_CLOEXEC) < 0) {
		int err = errno;

		close(in[0]);
		close(in[1]);
		return error_errno(err, "pipe");
	}
	run->pid = fork();
	if (run->pid == 0)
		exec_hook(h, bundle, ns, in[0], out[1]);
	close(in[0]);
	close(out[1]);
	run->input = in[1];
	run->output = out[0];
	if (run->pid < 0)
		return error_errno(errno, "fork");
	run->pidfd = host_watch(run->pid);
	fcntl(run->input, F_SETFL, O_NONBLOCK);
	fcntl(run->output, F_SETFL, O_NONBLOCK);
	return run->pidfd < 0 ? error_errno(-run->pidfd, "watching the hook") : NULL;
}

static void close_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void feed(struct running_hook *run)
{
	ssize_t n = write(run->input, run->state + run->written, run->state_size - run->written);

	if (n > 0)
		run->written += (size_t)n;
	if (run->written == run->state_size || (n < 0 && errno != EAGAIN && errno != EINTR))
		close_end(&run->input);
}

static void drain(struct running_hook *run)
{
	char buf[1024];
	ssize_t n;

	while (run->output >= 0) {
		n = read(run->output, buf, sizeof(buf));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			close_end(&run->output);
		else if (run->text.size < HOOK_OUTPUT_MAX)
			strbuf_add(&run->text, buf, (size_t)n);
	}
}

/* Feeds and reads the hook until it ends, its time is over, or the sandbox (a pidfd or -1) dies. */
static struct error *hook_wait(struct running_hook *run, uint32_t timeout_seconds, int sandbox)
{
	int64_t deadline = clock_monotonic_ms() + (int64_t)timeout_seconds * 1000;

	for (;;) {
		struct pollfd p[] = {
		    {.fd = run->pidfd, .events = POLLIN},
		    {.fd = run->input, .events = POLLOUT},
		    {.fd = run->output, .events = POLLIN},
		    {.fd = sandbox, .events = POLLIN},
		};
		int64_t left = deadline - clock_monotonic_ms();

		if (timeout_seconds && left <= 0)
			return error_new("hook ran past specified timeout of %us", timeout_seconds);
		poll(p, array_count(p), timeout_seconds ? (int)MIN(left, (int64_t)INT32_MAX) : -1);
		if (p[1].revents)
			feed(run);
		if (p[2].revents)
			drain(run);
		if (p[0].revents)
			return NULL;
		if (p[3].revents)
			return error_new("the sandbox died while the hook ran");
	}
}

static struct error *hook_result(struct running_hook *run, int status)
{
	char *text = strbuf_detach(&run->text);
	struct error *e = NULL;
	size_t size = strlen(text);

	while (size && text[size - 1] == '\n')
		text[--size] = '\0';
	for (char *p = text; *p; p++)
		if (*p == '\n')
			*p = ' ';
	if (WIFSIGNALED(status))
		e = error_new("signal %d, output: %s", WTERMSIG(status), text);
	else if (WEXITSTATUS(status))
		e = error_new("exit status %d, output: %s", WEXITSTATUS(status), text);
	free(text);
	return e;
}

static struct error *hook_run(const struct oci_hook *h, const char *bundle, const char *state,
			      const struct hook_namespaces *ns, int sandbox)
{
	struct running_hook run = {.pid = -1,
				   .pidfd = -1,
				   .input = -1,
				   .output = -1,
				   .state = state,
				   .state_size = strlen(state)};
	struct error *e = hook_start(h, bundle, ns, &run);
	int status = 0;

	if (!e)
		e = hook_wait(&run, h->timeout_seconds, sandbox);
	if (e && run.pid > 0)
		kill(run.pid, SIGKILL);
	while (run.pid > 0 && waitpid(run.pid, &status, 0) < 0 && errno == EINTR)
		;
	drain(&run);
	if (!e)
		e = hook_result(&run, status);
	close_end(&run.input);
	close_end(&run.output);
	close_end(&run.pidfd);
	strbuf_free(&run.text);
	return e;
}

/* The status that the specification says the container has when the hooks of a stage run. */
static enum container_status stage_status(enum oci_hook_stage stage)
{
	switch (stage) {
	case OCI_HOOK_POSTSTART:
		return CONTAINER_RUNNING;
	case OCI_HOOK_POSTSTOP:
		return CONTAINER_STOPPED;
	case OCI_HOOK_START_CONTAINER:
		return CONTAINER_CREATED;
	default:
		return CONTAINER_CREATING;
	}
}

struct error *hooks_run(const struct oci_spec *spec, enum oci_hook_stage stage,
			const struct container *c, const struct hook_namespaces *ns)
{
	static const struct hook_namespaces runtime;
	const struct oci_hook_list *list = &spec->hooks[stage];
	cleanup_fd int sandbox = -1;
	struct error *e = NULL;
	char *state;

	if (list->count == 0)
		return NULL;
	/* After a start the container may well have ended before the hooks do. */
	if (stage != OCI_HOOK_POSTSTOP && stage != OCI_HOOK_POSTSTART)
		sandbox = host_watch(c->sandbox.pid);
	state = container_hook_state(c, stage_status(stage));
	for (size_t i = 0; i < list->count && !e; i++) {
		log_debug(LOGC_RUNSC, "hook %s #%zu: %s", stage_names[stage], i,
			  list->items[i].path);
		e = hook_run(&list->items[i], c->bundle, state, ns ? ns : &runtime, sandbox);
		if (e)
			e = error_wrap(e, "error running %s hook #%zu (%s)", stage_names[stage], i,
				       list->items[i].path);
	}
	free(state);
	return e;
}
