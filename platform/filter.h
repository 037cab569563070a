/* SPDX-License-Identifier: Apache-2.0 */
/* The seccomp filters of stub processes (DESIGN 3.4): one table, two programs made from it. */
#ifndef PLATFORM_FILTER_H
#define PLATFORM_FILTER_H

#include <linux/filter.h>
#include <stdint.h>

enum filter_verdict {
	FILTER_ALLOW, /* the host serves it without asking */
	FILTER_ASK,  /* the sentry compares the registers with what it ordered, then lets it pass */
	FILTER_BELL, /* a doorbell: no call of the host at all */
};

/* Where a rule counts. */
enum filter_use {
	FILTER_BOTH,
	FILTER_NOTIFY, /* the notify platform only */
	FILTER_PTRACE, /* the ptrace platform only */
};

enum filter_op { FILTER_END, FILTER_ONE_OF, FILTER_SUBSET, FILTER_HAS, FILTER_LACKS };

#define FILTER_CHECKS 2
#define FILTER_VALUES 24

struct filter_check {
	enum filter_op op;
	uint8_t arg;
	/* ONE_OF: value_count values; SUBSET, HAS, LACKS: a mask in values[0] */
	uint8_t value_count;
	uint32_t values[FILTER_VALUES];
};

struct filter_rule {
	uint32_t nr;
	enum filter_verdict verdict;
	enum filter_use use;
	const char *name;
	const char *reason;
	struct filter_check checks[FILTER_CHECKS];
};

/* The table; rules are tried in order, what no rule lets through ends the process. */
const struct filter_rule *filter_rules(uint32_t *ret_count);

/*
 * The listener's filter: says "notify" for bells and for calls that are asked each time, and allows
 * all else. It is in force before the stub's image runs.
 * The strict filter: traps what doesn't come from [text_begin, text_end), allows the table from
 * there (the listener's verdict is stricter where asking is needed), kills the rest.
 * Return the count of instructions, or -E2BIG.
 */
int filter_build_listener(struct sock_filter *prog, uint32_t max);
int filter_build_strict(struct sock_filter *prog, uint32_t max, uint64_t text_begin,
			uint64_t text_end);
/*
 * The one filter of the ptrace platform: traps and kills as the strict one; calls that are asked
 * stop for the tracer (RET_TRACE with the call's number). What guest code calls under PTRACE_SYSEMU
 * never comes here.
 */
int filter_build_ptrace(struct sock_filter *prog, uint32_t max, uint64_t text_begin,
			uint64_t text_end);

#endif
