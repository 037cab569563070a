/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox process: what `runsc create` starts and what the sentry is handed.
 *
 * create is single-threaded and makes, in this order: the state directory, the cgroup, the
 * terminal, the control socket, the gofer (parked), the sandbox (parked). Then hooks run, both are
 * let go, and create waits for the sandbox's word on the `sync` socket:
 *
 *	runsc create                 sandbox (pid 1 of its PID namespace)
 *	clone  ------------------->  waits for a byte on sync
 *	uid_map
 *	byte  -------------------->  becomes uid 65534, an empty root;
 *	cgroup.procs                 answers with a byte, waits again
 *	hooks (prestart, createRuntime, createContainer)
 *	byte  -------------------->  cgroup namespace; sandbox_main(): boots, finds and
 *				     loads the program
 *	      <--------------------  struct sandbox_message: READY or ERROR
 *	state, pid file, exit        waits for CONTROL_START on the control socket
 *
 * If create dies anywhere in between, sync reads end-of-file and writing it gives EPIPE: the
 * sandbox must exit then. After READY it closes sync and lives on by itself.
 *
 * The exit status of the sandbox process is the container's: the code, or 128 + signal.
 */
#ifndef RUNSC_SANDBOX_H
#define RUNSC_SANDBOX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "runsc/config.h"
#include "runsc/options.h"

#define SANDBOX_GOFER_CONNECTIONS 4
#define SANDBOX_UID		  65534u /* the only id of the sandbox's user namespace */

struct sandbox_args {
	const char *id;
	const char *bundle; /* absolute; for messages only, it can't be reached any more */
	const struct oci_spec *spec;
	const struct runsc_options *options;
	int control_fd; /* listening, see control.h; non-blocking */
	int sync_fd;	/* SOCK_SEQPACKET; for sandbox_report only */
	int stdio[3];	/* the container's; with a terminal all three are copies of the slave */
	int tty_fd;	/* the slave, the process's controlling terminal; -1: no terminal */
	int gofer_fds[SANDBOX_GOFER_CONNECTIONS]; /* SOCK_SEQPACKET, the sentry's ends */
	int proc_fd;	 /* root directory of a proc of the new PID namespace; -1 where forbidden */
	int exec_dir_fd; /* platform_config.exec_dir_fd; -1: not needed, or not to be had */
	int null_fd;	 /* /dev/null, read-write */
	uid_t owner_uid; /* as SO_PEERCRED shows who may use the control socket (besides uid 0) */
};

/*
 * The sandbox's life, implemented by boot.c. What it finds: one thread, session leader, uid and gid
 * 65534, no supplementary groups, dumpable, all capabilities (of the sandbox's own user namespace;
 * of the host's where user namespaces are forbidden: a warning was logged) which it must drop; own
 * user, PID (as pid 1), mount, network, IPC, UTS and cgroup namespaces; an empty read-only root;
 * 0, 1, 2 on /dev/null; only the descriptors in args and log_fd() open; signals unblocked and at
 * their defaults but SIGPIPE, which is ignored; an empty environment.
 */
void sandbox_main(const struct sandbox_args *args) __noreturn;

enum sandbox_status {
	SANDBOX_READY = 1, /* the program was found and loaded; START is awaited */
	SANDBOX_ERROR,
};

/* What failed, which decides how create words it (as runc does, since engines look for that). */
enum sandbox_error_kind {
	SANDBOX_ERROR_OTHER,	   /* text says it all; err, when not 0, is added */
	SANDBOX_ERROR_PATH_SEARCH, /* text: a name without '/', found nowhere on $PATH */
	SANDBOX_ERROR_EXEC,	   /* text: the program; err: ENOENT, EACCES, ENOEXEC, ... */
	SANDBOX_ERROR_CWD,	   /* text: process.cwd; err */
	SANDBOX_ERROR_MOUNT,	   /* text: the destination; err */
};

struct sandbox_message {
	uint32_t magic;
	uint32_t status; /* enum sandbox_status */
	uint32_t kind;	 /* enum sandbox_error_kind */
	int32_t err;	 /* negative errno or 0 */
	char text[1008]; /* NUL-terminated */
};
_Static_assert(sizeof(struct sandbox_message) == 1024, "wire layout");
#define SANDBOX_MESSAGE_MAGIC 0x636e7973u /* "sync" */

/* The sandbox's word to create, then closes sync. 0, or -EPIPE when create is gone (then exit). */
int sandbox_report_ready(int sync_fd);
int sandbox_report_error(int sync_fd, enum sandbox_error_kind kind, int err, const char *fmt, ...)
    __printf(4, 5);

#endif
