/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the sandbox process: what boot.c puts together and its parts share. The order of boot is
 * in boot.c.
 */
#ifndef RUNSC_BOOT_H
#define RUNSC_BOOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "platform/platform.h"
#include "runsc/sandbox.h"
#include "sentry/kernel/hostpoll.h"
#include "sentry/vfs/vfs.h"

struct abi_rlimit;
struct cred;
struct gofer_client;
struct init_config;
struct kernel;
struct platform;
struct strbuf;
struct task;
struct tty;

#define CONTROL_CLIENTS_MAX 8

/* A connection to the control socket whose request hasn't come yet. Event thread only. */
struct control_client {
	struct hostpoll hp; /* hp.fd: owned; the slot is free while hp.id is 0 */
	struct boot *boot;
	uint64_t number; /* which one came first */
};

struct boot {
	const struct sandbox_args *args;
	const struct oci_spec *spec;
	struct kernel *kernel;
	struct platform *platform; /* NULL at the very end */
	struct platform_callbacks callbacks;
	struct platform_stats last_stats;
	/* The platform or the gofer is gone: tasks are left, and nothing can be taken down in
	 * order. */
	atomic_bool broken;
	struct gofer_client *gofer;
	struct path root;    /* of the container */
	struct task *init;   /* loaded, not yet started; NULL once it runs */
	struct tty *console; /* or NULL */
	uint64_t settles_ns; /* monotonic: when what a start needed may be let go of; 0: it was */
	struct hostpoll control, timer, event, winch;
	struct control_client control_clients[CONTROL_CLIENTS_MAX];
	uint64_t control_client_number; /* of the last */
	struct gofer_watch {
		struct hostpoll hp;
		struct boot *boot;
	} gofer_watch[SANDBOX_GOFER_CONNECTIONS];
};

/* Tells `create` what failed and ends the process. */
void boot_fail(struct boot *b, enum sandbox_error_kind kind, int err, const char *fmt, ...)
    __printf(4, 5) __noreturn;

/* The program begins now: what a start needs is kept until it has. On the event thread. */
void boot_settle_later(struct boot *b);

/* boot_mounts.c: the container's tree, from config.json. Ends the process on failure. */
void boot_mounts(struct boot *b);

/* boot_process.c: the first process, from config.json. Ends the process on failure. */
void boot_init_process(struct boot *b);
struct cred *boot_make_cred(const struct oci_process *p);		    /* one reference */
void boot_make_rlimits(const struct oci_process *p, struct abi_rlimit *rl); /* 16 of them */

/* Calls func on the event thread at these events (ABI_POLL*) of fd, each time; hang-ups always.
 * Ends the process on failure. */
void boot_watch(struct boot *b, struct hostpoll *hp, int fd, uint32_t events,
		void (*func)(struct hostpoll *, uint32_t));

/* boot_control.c: counters as lines of "name value". */
void boot_stats(struct boot *b, struct strbuf *out);
/* boot_control.c: serves the control socket on the event thread. */
void boot_control_start(struct boot *b);

/*
 * boot_hook.c: starts a program as a guest process for CONTROL_RUN_HOOK. 0: client (a copy of it)
 * gets the reply when the program has ended; else a negative errno to answer with now.
 */
int boot_hook_start(struct boot *b, const void *payload, size_t size, int client);

/*
 * boot_filter.c: drops every capability, sets no_new_privs and installs the sentry's filter. Before
 * any other thread exists; they inherit it. 0 or negative errno.
 */
int boot_confine(const struct platform *p);

#endif
