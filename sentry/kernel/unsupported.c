/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record of what guests asked for and did not get. It is a diagnostic of this process, like its
 * log, and no state of the guest's: so it is not in struct kernel and is not checkpointed. What
 * goes in is chosen by guests, so the table is bounded; what no longer fits is counted together.
 */
#include "sentry/kernel/unsupported.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/lock.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/syscall.h"
#include "sentry/kernel/task.h"

#define DISTINCT_MAX 256
#define WHAT_SIZE    64

struct record {
	uint64_t nr;
	uint64_t count;
	char call[24];
	char what[WHAT_SIZE];
};

static struct {
	pthread_mutex_t lock; /* takes no other; a plain one, as it needs no set-up */
	uint32_t used;	      /* lock */
	uint64_t total;	      /* lock */
	uint64_t overflow;    /* lock: uses that found no room */
	struct record records[DISTINCT_MAX]; /* lock */
} unsupported_log = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const char *call_name(struct task *t)
{
	const struct kernel *k = t->kernel;

	if (t->call.nr < k->table_count && k->table[t->call.nr].name)
		return k->table[t->call.nr].name;
	return "?";
}

/* Counts one use; true if it is the first of its kind. */
static bool count_use(uint64_t nr, const char *call, const char *what)
{
	struct record *r;

	unsupported_log.total++;
	for (uint32_t i = 0; i < unsupported_log.used; i++) {
		r = &unsupported_log.records[i];
		if (r->nr == nr && strcmp(r->what, what) == 0) {
			r->count++;
			return false;
		}
	}
	if (unsupported_log.used == DISTINCT_MAX)
		return unsupported_log.overflow++ == 0;
	r = &unsupported_log.records[unsupported_log.used++];
	r->nr = nr;
	r->count = 1;
	snprintf(r->call, sizeof(r->call), "%s", call);
	snprintf(r->what, sizeof(r->what), "%s", what);
	return true;
}

int64_t unsupported(struct task *t, int error, const char *what, ...)
{
	const char *call = call_name(t);
	char text[WHAT_SIZE];
	va_list ap;
	bool first;

	va_start(ap, what);
	vsnprintf(text, sizeof(text), what, ap);
	va_end(ap);

	pthread_mutex_lock(&unsupported_log.lock);
	first = count_use(t->call.nr, call, text);
	pthread_mutex_unlock(&unsupported_log.lock);

	if (t->kernel->strict)
		panic("strict: %s (%" PRIu64 ") of task %d: %s: not supported", call, t->call.nr,
		      t->tid, text);
	if (first)
		log_warn("unsupported: %s (%" PRIu64 "): %s", call, t->call.nr, text);
	return -error;
}

void unsupported_report(struct strbuf *out)
{
	pthread_mutex_lock(&unsupported_log.lock);
	for (uint32_t i = 0; i < unsupported_log.used; i++) {
		const struct record *r = &unsupported_log.records[i];

		strbuf_addf(out, "counter %" PRIu64 " unsupported.%s: %s\n", r->count, r->call,
			    r->what);
	}
	if (unsupported_log.overflow)
		strbuf_addf(out, "counter %" PRIu64 " unsupported.other: beyond %d distinct ones\n",
			    unsupported_log.overflow, DISTINCT_MAX);
	pthread_mutex_unlock(&unsupported_log.lock);
}

uint64_t unsupported_count(void)
{
	uint64_t total;

	pthread_mutex_lock(&unsupported_log.lock);
	total = unsupported_log.total;
	pthread_mutex_unlock(&unsupported_log.lock);
	return total;
}
