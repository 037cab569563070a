/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The platform that runs no guest: for whoever writes another. It compiles, it can be asked for
 * (--platform=none), and it refuses; each function says what the real one has to do. The order in
 * which to write them is that of the file: with `boot` alone `runsc doctor` gets further, with
 * `receive` and `reply` tests/unit/test_platform.c runs its first programs, and compat tests say
 * the rest. platform.h is what the sentry relies on, backend.h what platform.c relies on, and
 * notify/ and ptrace/ are the examples.
 *
 * What comes for free: threads, address spaces and their deaths (thread.c), slots and channels
 * (channels.c), writing replies and reading requests (reply.c, request.c), checks of what a stub
 * may do after a reply (checks.c), guest memory (usermem.c), the stub and its image (stub/,
 * image.c), making the first process (spawn.c), the zygote's heir (zygote.c), and in debug builds
 * the checks of the contract (facade.c).
 *
 * What a new platform has to answer for itself:
 *	- how a call of guest code, and nothing else of it, is kept from the host and reported;
 *	- how a stopped thread waits, at no cost, for a reply that may come after days;
 *	- by what the host vouches for who reports (never by anything that lies in guest memory);
 *	- how a running thread is made to stop, and how no such wish is lost;
 *	- how the sentry hears of the end of a process before its number can mean another one.
 */
#include <errno.h>

#include "platform/backend.h"
#include "platform/filter.h"
#include "platform/internal.h"

/*
 * Probes the host first and says in *ret_why what is missing; then makes the image
 * (stub_image_make) and the first process (stub_spawn, whose `confine` runs in the child), and
 * serves it until it waits for orders. Leaves nothing behind when it fails.
 */
static int none_boot(struct platform *p, const struct platform_config *config,
		     struct platform_thread *zygote, const char **ret_why)
{
	(void)p;
	(void)config;
	(void)zygote;
	*ret_why = "the platform \"none\" runs no guest; it shows what another one has to bring "
		   "(platform/none/none.c)";
	return -ENOSYS;
}

/* Starts threads, if it has any: one that reaps, unless `receive` does that, too. */
static int none_start(struct platform *p)
{
	(void)p;
	return -ENOSYS;
}

/* All processes have been killed: waits until each is reaped, and ends the threads. */
static void none_stop(struct platform *p)
{
	(void)p;
}

/* Frees p->state, which `boot` has set, perhaps half done. */
static void none_release(struct platform *p)
{
	(void)p;
}

/*
 * The heart: waits for any thread to report, finds out who it is, takes its request
 * (request_decode), checks that it can follow (event_follows), sets it STOPPED, and returns 1 with
 * the event; new threads are bound (thread_bind_locked) and started (thread_started_locked), and a
 * process that is gone goes through process_gone_locked. Ends soon after `wake`.
 */
static int none_receive(struct platform *p, struct platform_event *ret_event)
{
	(void)p;
	(void)ret_event;
	return -ENOTCONN;
}

/* From any thread, while another is in `receive`: must not get lost between its check and its
 * wait. */
static void none_wake(struct platform *p)
{
	(void)p;
}

/*
 * Writes the reply into the channel (reply_encode), hands descriptors in, sets the thread RUNNING
 * before it can report again, and lets it go. From any thread; a dead thread is no error.
 */
static int none_reply(struct platform_thread *t, const struct platform_reply *r)
{
	(void)t;
	(void)r;
	return -ENOSYS;
}

/* Makes the thread report PEV_KICKED before its next guest instruction, whatever it does now. */
static void none_kick_locked(struct platform_thread *t)
{
	(void)t;
}

/* SIGKILL, or what ends a process here, whether or not it is stopped. */
static void none_kill_locked(struct host_process *process)
{
	(void)process;
}

/* Drops what it keeps about the thread. */
static void none_forget(struct platform_thread *t)
{
	(void)t;
}

const struct platform_backend none_backend = {
    .name = "none",
    .build_filter = filter_build_strict,
    .boot = none_boot,
    .start = none_start,
    .stop = none_stop,
    .release = none_release,
    .receive = none_receive,
    .wake = none_wake,
    .reply = none_reply,
    .kick_locked = none_kick_locked,
    .kill_locked = none_kill_locked,
    .forget = none_forget,
};
