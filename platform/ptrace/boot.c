/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the zygote of the ptrace platform comes to be (platform/spawn.c), and its tracer.
 *
 * The process is made by platform_new, but its tracer is a thread that doesn't exist yet. So the
 * zygote says through the socket that it is up, and waits there until it is attached.
 *
 *	sentry				zygote				tracer, much later
 *	vfork
 *	  stands still			the socket is descriptor 0; exec
 *	waits for a byte		all but the filter is done; a byte
 *	goes on				waits for a byte
 *									PTRACE_SEIZE, a byte
 *					strict filter, its first stop
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "platform/ptrace/tracer.h"

#define OPTIONS                                                                                    \
	(PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |    \
	 PTRACE_O_TRACEVFORK | PTRACE_O_TRACESECCOMP)

struct child {
	struct stub_child stub;
	int socket;
};

/* In the child, up to its exec. */
static int take_socket(struct stub_child *stub)
{
	stub->failed = "no descriptor for the stub's socket";
	return dup2(container_of(stub, struct child, stub)->socket, STUB_SOCKET);
}

static bool exited(pid_t pid)
{
	siginfo_t si = {0};

	return waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 &&
	       si.si_pid == pid;
}

/* The zygote's first byte. We hold its end of the socket as well, so there is no end of file. */
static int until_up(const struct tracer *x, pid_t pid)
{
	struct pollfd pfd = {.fd = x->socket, .events = POLLIN};
	char byte;

	while (poll(&pfd, 1, 100) <= 0)
		if (exited(pid))
			return -ECHILD;
	return recv(x->socket, &byte, 1, MSG_DONTWAIT) == 1 ? 0 : -ECHILD;
}

/* In a process of its own, which has given up what the sentry will have given up by then. */
static int try_to_trace(void)
{
	pid_t pid, gone;
	int err = 0;

	drop_capabilities();
	pid = fork();
	if (pid < 0)
		return errno;
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		for (;;)
			pause();
	}
	if (ptrace(PTRACE_SEIZE, pid, NULL, OPTIONS) < 0)
		err = errno;
	kill(pid, SIGKILL);
	/* A sanitizer may have started a thread in it: also traced, and to be reaped first. */
	do
		gone = waitpid(-1, NULL, __WALL);
	while (gone != pid && (gone > 0 || errno == EINTR));
	return err;
}

static int probe_host(const char **ret_why)
{
	int status = 0;
	pid_t pid = fork();

	*ret_why = "no process can be made";
	if (pid < 0)
		return -errno;
	if (pid == 0)
		_exit(try_to_trace());
	while (waitpid(pid, &status, __WALL) < 0 && errno == EINTR)
		;
	*ret_why = "the host does not let the sentry trace its children";
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EPERM;
}

static int boot_child(struct platform *p, const struct platform_config *config,
		      struct platform_thread *z, const char **ret_why)
{
	struct tracer *x = tracer_of(p);
	struct child c = {.stub = {.confine = take_socket}, .socket = x->stub_socket};
	pid_t pid;
	int err;

	*ret_why = "the stub's image can't be made";
	c.stub.image = stub_image_make(p, config, z->token);
	if (c.stub.image < 0)
		return c.stub.image;
	pid = stub_spawn(&c.stub);
	close(c.stub.image);
	*ret_why = "the zygote can't be forked";
	if (pid < 0)
		return pid;
	if (c.stub.error < 0) {
		waitpid(pid, NULL, __WALL);
		*ret_why = c.stub.failed;
		return c.stub.error;
	}
	err = until_up(x, pid);
	if (err < 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, __WALL);
		*ret_why = "the zygote did not come up";
		return err;
	}
	x->zygote_pid = pid;
	mutex_lock(&p->lock);
	thread_bind_locked(z, pid);
	mutex_unlock(&p->lock);
	return 0;
}

int tracer_boot(struct platform *p, const struct platform_config *config, struct platform_thread *z,
		const char **ret_why)
{
	struct tracer *x = xnew(struct tracer);
	int pair[2], err;

	p->state = x;
	x->socket = x->stub_socket = -1;
	mutex_init(&x->work_lock, RANK_PLATFORM_WORK);
	list_init(&x->work);
	list_init(&x->kills);
	list_init(&x->held);
	list_init(&x->cloning);
	list_init(&x->strangers);
	list_init(&x->at_socket);
	err = probe_host(ret_why);
	if (err < 0)
		return err;
	*ret_why = "no socket for the stubs";
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	x->socket = pair[0];
	x->stub_socket = pair[1];
	err = tracer_signal_setup();
	return err < 0 ? err : boot_child(p, config, z, ret_why);
}

int tracer_attach(struct platform *p)
{
	struct tracer *x = tracer_of(p);
	struct tracee *e;
	sigset_t set;
	char byte = 0;

	sigemptyset(&set);
	sigaddset(&set, SIGURG);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	x->attached = true;
	x->thread = pthread_self();
	x->tid = (pid_t)syscall(SYS_gettid);
	atomic_store(&x->running, true);
	if (ptrace(PTRACE_SEIZE, x->zygote_pid, NULL, OPTIONS) < 0) {
		if (exited(x->zygote_pid))
			return 0; /* it is dead: that will be noticed */
		p->callbacks->broken(p->callbacks->broken_cookie, "the zygote can't be traced");
		return -ENOTCONN;
	}
	e = tracee_new(x, x->zygote_pid, TRACEE_BIRTH);
	mutex_lock(&p->lock);
	tracee_attach_locked(e, p->zygote);
	mutex_unlock(&p->lock);
	return send(x->socket, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1 ? 0 : -ENOTCONN;
}

/* Whoever is left and nobody's. */
static void kill_all(struct tracer *x)
{
	struct tracee *e;
	int64_t tid;

	idmap_for_each (&x->tracees, tid, e)
		kill((pid_t)tid, SIGKILL);
}

static bool all_gone(struct platform *p)
{
	bool gone;

	mutex_lock(&p->lock);
	gone = p->processes == 0;
	mutex_unlock(&p->lock);
	return gone && tracer_of(p)->tracee_count == 0;
}

void tracer_stop(struct platform *p)
{
	struct tracer *x = tracer_of(p);
	int status;
	pid_t tid;

	kill_all(x);
	while (!all_gone(p)) {
		tid = wait4(-1, &status, __WALL, NULL);
		if (tid < 0 && errno != EINTR)
			break;
		if (tid > 0 && WIFSTOPPED(status))
			kill(tid, SIGKILL);
		else if (tid > 0)
			tracer_ended(p, tid);
	}
}

void tracer_release(struct platform *p)
{
	struct tracer *x = tracer_of(p);
	struct tracee *e, *tmp;

	list_for_each_safe (e, tmp, &x->strangers, link)
		free(e);
	if (x->socket >= 0)
		close(x->socket);
	if (x->stub_socket >= 0)
		close(x->stub_socket);
	free(x->fifo);
	idmap_destroy(&x->tracees);
	mutex_destroy(&x->work_lock);
	free(x);
}
