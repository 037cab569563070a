/* SPDX-License-Identifier: Apache-2.0 */
/* Host processes told apart by pid and start time; see state.h. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/hostcall.h"
#include "runsc/state.h"

/* From /proc/PID/stat: field 3 (state) and 22 (start time). The name may hold anything. */
static bool read_stat(pid_t pid, char *ret_state, uint64_t *ret_start_time)
{
	char path[32], *text, *after;
	unsigned long long start;
	bool ok;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (fd_read_file(-1, path, 4096, &text, NULL) < 0)
		return false;
	after = strrchr(text, ')');
	ok = after && sscanf(after + 1,
			     " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
			     "%*d %*d %llu",
			     ret_state, &start) == 2;
	if (ok)
		*ret_start_time = start;
	free(text);
	return ok;
}

void process_identify(pid_t pid, struct process_id *ret)
{
	struct process_id p = {.pid = pid};
	char state;

	if (pid > 0 && read_stat(pid, &state, &p.start_time))
		*ret = p;
	else
		*ret = (struct process_id){0};
}

bool process_alive(const struct process_id *p)
{
	uint64_t start;
	char state;

	return p->pid > 0 && read_stat(p->pid, &state, &start) && start == p->start_time &&
	       state != 'Z' && state != 'X';
}

/*
 * Without pidfds (before Linux 5.3) the process may end, be reaped and its number be given away
 * between our look at it and the signal: there is no way to exclude that on such a host.
 */
static int send_signal(int pidfd, pid_t pid, int signo)
{
	int r = host_pidfd_signal(pidfd, signo);

	return r == -ENOSYS && kill(pid, signo) < 0 ? -errno : r == -ENOSYS ? 0 : r;
}

struct error *process_kill(const struct process_id *p, int signo)
{
	int fd = p->pid > 0 ? host_pidfd_open(p->pid) : -ESRCH, r;
	cleanup_fd int owned = fd;

	/* Checked after the pidfd is held: from here on it can't become another process. */
	if (!process_alive(p))
		return NULL;
	if (fd < 0 && fd != -ENOSYS)
		return error_errno(-fd, "pidfd_open of process %d", (int)p->pid);
	r = send_signal(owned, p->pid, signo);
	if (r < 0 && r != -ESRCH)
		return error_errno(-r, "signal %d to process %d", signo, (int)p->pid);
	return NULL;
}

bool process_wait_dead(const struct process_id *p, int timeout_ms)
{
	cleanup_fd int fd = p->pid > 0 ? host_watch(p->pid) : -1;
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	if (!process_alive(p))
		return true;
	if (fd < 0)
		return false;
	poll(&pfd, 1, timeout_ms);
	return !process_alive(p);
}
