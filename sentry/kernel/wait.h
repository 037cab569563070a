/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for children: what wait4(2) and waitid(2) share (wait.c). */
#ifndef SENTRY_KERNEL_WAIT_H
#define SENTRY_KERNEL_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/time.h"

struct task;
struct thread_group;

struct wait_query {
	int idtype;	  /* ABI_P_ALL, ABI_P_PID, ABI_P_PGID */
	int32_t id;	  /* of a process or group */
	uint32_t options; /* ABI_W*; WEXITED, WSTOPPED, WCONTINUED say what counts */
};

struct wait_result {
	int32_t pid; /* 0: nothing yet (WNOHANG) */
	uint32_t uid;
	int32_t code;	     /* ABI_CLD_* */
	int32_t status;	     /* exit code or signal */
	int32_t wait_status; /* the word of wait4 */
	struct abi_rusage rusage;
};

/* A handler's step: 0 with *ret, a negative errno, or a verdict. */
int64_t wait_for_child(struct task *t, const struct wait_query *q, struct wait_result *ret);

/* Whether this child is one that q asks for (id and kind of child). Under tasks_lock. */
bool wait_eligible_locked(const struct thread_group *child, const struct wait_query *q);

#endif
