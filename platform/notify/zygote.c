/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the zygote of the notify platform comes to be (platform/spawn.c), with the listener.
 *
 * The child shares the sentry's descriptor table up to its exec, so the listener of the filter that
 * it installs appears in the sentry's own table and needn't be sent.
 *
 *	sentry (one thread)			child
 *	clone(VM|VFORK|FILES)
 *	  stands still				no_new_privs, no capabilities, limits, personality
 *						seccomp(NEW_LISTENER) -> a descriptor of the
 *						sentry's
 *						execveat(stub image)
 *	goes on					stub_init (platform/stub/init.c)
 *						strict filter, all descriptors closed
 *	receives HELLO, maps its channel	waits for orders in a doorbell
 */
#include <errno.h>
#include <linux/filter.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "platform/filter.h"
#include "platform/notify/notify.h"
#include "platform/notify/place.h"
#include "platform/notify/poll.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS	   SECCOMP_IOW(4, uint64_t)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

#define LISTENER_FILTER_MAX 64

struct child {
	struct stub_child stub;
	struct sock_filter filter[LISTENER_FILTER_MAX];
	int filter_count;
	volatile int listener; /* out: a descriptor, valid in the sentry too */
};

/* In the child, up to its exec. */
static int install_listener(struct stub_child *stub)
{
	struct child *c = container_of(stub, struct child, stub);
	struct sock_fprog prog = {.len = (unsigned short)c->filter_count, .filter = c->filter};
	/* Not WAIT_KILLABLE_RECV: see notify.c. */
	long fd =
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);

	c->listener = (int)fd;
	stub->failed = "the host refuses a seccomp listener";
	return (int)fd;
}

/* --- the sentry's side --- */

static int probe_host(struct notify *n, const char **ret_why)
{
	struct seccomp_notif_sizes sizes;

	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0) {
		*ret_why = "the host has no seccomp user notification";
		return -errno;
	}
	if (sizes.seccomp_notif_resp < sizeof(struct seccomp_notif_resp) ||
	    sizes.seccomp_data != sizeof(struct seccomp_data)) {
		*ret_why = "the host's seccomp notification has another form";
		return -ENOSYS;
	}
	n->notif_size = MAX(sizes.seccomp_notif, sizeof(struct seccomp_notif));
	n->notif = xcalloc(1, n->notif_size);
	return 0;
}

static bool exited(pid_t pid)
{
	siginfo_t si = {0};

	return waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 &&
	       si.si_pid == pid;
}

/* Handles what the zygote asks for until it waits for orders. */
static int until_ready(struct platform *p, struct platform_thread *z, pid_t pid)
{
	struct pollfd pfd = {.fd = notify_of(p)->listener, .events = POLLIN};
	struct platform_event ev;
	int r;

	while (z->seq == 0) {
		r = poll(&pfd, 1, 100); /* a dead child may go unnoticed by the listener */
		if (r <= 0 || !(pfd.revents & POLLIN)) {
			if (exited(pid))
				return -ECHILD;
			continue;
		}
		r = notify_receive(p, &ev);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool set_flags(const struct notify *n, uint64_t flags)
{
	return ioctl(n->listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, flags) == 0;
}

/* Since Linux 6.6; only speed. */
void notify_set_sync(struct platform *p, bool sync)
{
	uint64_t flags = sync ? SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP : 0;
	struct notify *n = notify_of(p);
	bool done;

	mutex_lock(&n->sync_lock);
	done = !(p->without & FEATURE_BIT(SYNC_WAKE_UP)) && set_flags(n, flags);
	atomic_store_explicit(&n->sync_wakes, done && sync, memory_order_relaxed);
	mutex_unlock(&n->sync_lock);
}

/* Who else replies meanwhile, or rings, does without the hint as well. */
int notify_send_away(struct platform *p, struct seccomp_notif_resp *resp)
{
	struct notify *n = notify_of(p);
	bool sync;
	int r;

	mutex_lock(&n->sync_lock);
	sync = atomic_load_explicit(&n->sync_wakes, memory_order_relaxed);
	if (sync)
		set_flags(n, 0);
	r = ioctl(n->listener, SECCOMP_IOCTL_NOTIF_SEND, resp);
	if (sync)
		set_flags(n, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
	mutex_unlock(&n->sync_lock);
	return r;
}

static int boot_child(struct platform *p, struct platform_thread *z, struct child *c,
		      const char **ret_why)
{
	struct notify *n = notify_of(p);
	pid_t pid = stub_spawn(&c->stub);
	int err;

	if (pid < 0) {
		*ret_why = "the zygote can't be forked";
		return pid;
	}
	n->listener = c->listener;
	if (c->stub.error < 0) {
		waitpid(pid, NULL, __WALL);
		*ret_why = c->stub.failed;
		return c->stub.error;
	}
	notify_set_sync(p, true);
	err = until_ready(p, z, pid);
	if (err < 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, __WALL);
		*ret_why = "the zygote did not come up";
	}
	return err;
}

int notify_boot(struct platform *p, const struct platform_config *config, struct platform_thread *z,
		const char **ret_why)
{
	struct notify *n = xnew(struct notify);
	struct child c = {.stub = {.share_fds = true, .confine = install_listener}, .listener = -1};
	int err;

	p->state = n;
	mutex_init(&n->copy_lock, RANK_PLATFORM_COPY);
	mutex_init(&n->sync_lock, RANK_PLATFORM_PLACE);
	n->places = places_new(p, config);
	n->listener = -1;
	n->poller = poller_new(p, config);
	err = probe_host(n, ret_why);
	if (err < 0)
		return err;
	*ret_why = "the stub's image can't be made";
	c.filter_count = filter_build_listener(c.filter, LISTENER_FILTER_MAX);
	if (c.filter_count < 0)
		return c.filter_count;
	c.stub.image = stub_image_make(p, config, z->token);
	if (c.stub.image < 0)
		return c.stub.image;
	err = boot_child(p, z, &c, ret_why);
	close(c.stub.image);
	return err;
}
