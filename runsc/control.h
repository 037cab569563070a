/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket: how commands speak to the sentry of a sandbox that runs.
 *
 * A SOCK_SEQPACKET socket in the state directory, made and listening before the sandbox starts;
 * the sentry holds the listening end. One connection carries one request and one reply, one packet
 * each: the fixed header, then `size` bytes of payload. Both sides are on one machine and of one
 * build, so structs go as they are; version guards against a runsc that was upgraded under a
 * running sandbox.
 *
 * Neither side trusts the other. The sentry checks the peer's credentials (SO_PEERCRED: uid 0, or
 * the one that started the sandbox) and every field. The client takes a reply for what a guest may
 * have made up: sizes are checked, strings are cut at their field's end and printed escaped, and
 * every wait has an end (a deadline, or the death of the sandbox, which closes the socket).
 */
#ifndef RUNSC_CONTROL_H
#define RUNSC_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include "runsc/error.h"

#define CONTROL_MAGIC	    0x6c727463u /* "ctrl" */
#define CONTROL_VERSION	    1u
#define CONTROL_PAYLOAD_MAX (60u * 1024u)

enum control_op {
	CONTROL_START = 1, /* let the container's first process go. -EALREADY if it has gone */
	CONTROL_KILL,	   /* kill.*; -ESRCH: no such process */
	CONTROL_PS,	   /* ps.*; reply: struct control_ps_row's */
	CONTROL_RUN_HOOK, /* payload: struct control_hook and strings; reply: control_hook_result */
	CONTROL_STATS,	  /* reply: text, lines of "counter|gauge VALUE NAME" */
	CONTROL_PATCH,	  /* patch.*; -EOPNOTSUPP: nothing can be patched */
};

struct control_request {
	uint32_t magic;
	uint16_t version;
	uint16_t op;	   /* enum control_op */
	uint32_t size;	   /* of the payload behind this struct */
	uint32_t reserved; /* 0 */
	union {
		/* A signal from outside the container's PID namespace, as the sender sees it. */
		struct {
			int32_t signo; /* 1 to 64 */
			int32_t pid;   /* guest pid; 0: the container's first process */
			uint32_t all;  /* 1: every process; pid is ignored */
		} kill;
		struct {
			int32_t after_pid; /* rows of processes with greater pids, ascending */
		} ps;
		struct {
			uint32_t mode; /* enum patch_mode */
			int32_t pid;   /* guest pid: only its address space; 0: all */
		} patch;
		uint64_t pad[4];
	};
};
_Static_assert(sizeof(struct control_request) == 48, "wire layout");

struct control_reply {
	uint32_t magic;
	uint16_t version;
	uint16_t op;   /* of the request */
	int32_t err;   /* 0, or a negative errno */
	uint32_t size; /* of the payload behind this struct */
	uint32_t more; /* PS: 1 when processes are left; ask again with after_pid of the last row */
	uint32_t reserved;
};
_Static_assert(sizeof(struct control_reply) == 24, "wire layout");

struct control_ps_row {
	int32_t pid, ppid; /* as seen in the container */
	uint32_t uid;
	uint32_t tty;	       /* 0: no controlling terminal; n + 1: pts/n; ~0: the console */
	int64_t start_seconds; /* since the epoch */
	uint64_t cpu_ms;       /* user and system time */
	char comm[16];	       /* these two end with NUL */
	char args[208];	       /* space-joined, cut; empty: none, show [comm] */
};
_Static_assert(sizeof(struct control_ps_row) == 256, "wire layout");

/*
 * Runs a program as a guest process in the container, its standard input holding `input`, and
 * waits for it. Behind the struct: the path, argc strings, envc strings (each with its NUL), then
 * input_size bytes.
 */
struct control_hook {
	uint32_t argc, envc;
	uint32_t input_size;
	uint32_t timeout_seconds; /* 0: none; the process is killed when it is over */
};
_Static_assert(sizeof(struct control_hook) == 16, "wire layout");

struct control_hook_result {
	uint32_t status;    /* exit code, or 128 + signal */
	uint32_t timed_out; /* 1: it ran past its timeout and was killed */
};
_Static_assert(sizeof(struct control_hook_result) == 8, "wire layout");

#define CONTROL_REQUEST_MAX (sizeof(struct control_request) + CONTROL_PAYLOAD_MAX)
#define CONTROL_REPLY_MAX   (sizeof(struct control_reply) + CONTROL_PAYLOAD_MAX)

/*
 * Server: whether a received packet is a well-formed request. 0, -EBADMSG or -EPROTONOSUPPORT
 * (another version). The payload is packet + sizeof(struct control_request), ret->size bytes.
 */
int control_check_request(const void *packet, size_t packet_size, struct control_request *ret);
/* Server: takes a RUN_HOOK payload apart; pointers go into payload. ret_argv and ret_envp are
 * NULL-terminated arrays that the caller frees. 0 or -EBADMSG. */
int control_parse_hook(const void *payload, size_t size, struct control_hook *ret_hook,
		       const char **ret_path, const char ***ret_argv, const char ***ret_envp,
		       const void **ret_input);

/* A listening socket bound at dirfd/name; the server's end. */
struct error *control_listen(int dirfd, const char *name, int *ret_fd) __must_check;

/*
 * Client: one request to dirfd/name and its reply. timeout_ms < 0: no deadline, only the server's
 * death ends the wait. *ret_payload is NUL-terminated behind its size; the caller frees it.
 * errnum of the error is ECONNREFUSED or ECONNRESET when no sentry is there (any more), ETIMEDOUT
 * when the deadline passed, otherwise the reply's.
 */
struct error *control_call(int dirfd, const char *name, const struct control_request *request,
			   const void *payload, int timeout_ms, struct control_reply *ret_reply,
			   void **ret_payload) __must_check;

#endif
