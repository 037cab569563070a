/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/kernel/stats.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/lock.h"
#include "base/strbuf.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/lockorder.h"
#include "sentry/kernel/syscall.h"

static void report_calls(const struct kernel *k, struct strbuf *out)
{
	for (uint32_t nr = 0; nr < k->table_count && nr < STAT_OBJECTS - STAT_CALLS; nr++) {
		uint64_t n = stats_sum(STAT_CALLS + nr);

		if (n && k->table[nr].name)
			strbuf_addf(out, "counter %" PRIu64 " call.%s\n", n, k->table[nr].name);
	}
}

static void report_waits(struct strbuf *out)
{
	static const struct {
		const char *name;
		unsigned rank;
	} ranks[] = {
#define LOCK_RANK(name, rank) {#name, rank},
	    LOCK_RANKS(LOCK_RANK)
#undef LOCK_RANK
	};

	for (size_t i = 0; i < array_count(ranks); i++) {
		uint64_t n = stats_sum(ranks[i].rank);

		if (n)
			strbuf_addf(out, "counter %" PRIu64 " lock.%s\n", n, ranks[i].name);
	}
}

/* jemalloc's, where it is linked (not in debug builds). */
int mallctl(const char *name, void *old, size_t *old_size, void *fresh, size_t fresh_size)
    __attribute__((weak));

static void report_heap(struct strbuf *out)
{
	static const char *const names[] = {"allocated", "resident", "mapped"};
	uint64_t epoch = 1;
	size_t value, size = sizeof(epoch);

	if (!mallctl || mallctl("epoch", &epoch, &size, &epoch, size))
		return;
	for (size_t i = 0; i < array_count(names); i++) {
		char name[32];

		snprintf(name, sizeof(name), "stats.%s", names[i]);
		size = sizeof(value);
		if (!mallctl(name, &value, &size, NULL, 0))
			strbuf_addf(out, "gauge %zu heap_%s\n", value, names[i]);
	}
}

void stats_report(const struct kernel *k, struct strbuf *out)
{
#define ROW(name, text) strbuf_addf(out, "counter %" PRIu64 " " #name "\n", stats_sum(STAT_##name));
	SENTRY_COUNTERS(ROW)
#undef ROW
	report_waits(out);
	for (int i = 0; i < OBJ_KINDS; i++)
		strbuf_addf(out, "gauge %" PRId64 " objects_%s\n", object_live(i),
			    object_kind_name(i));
	report_heap(out);
	report_calls(k, out);
}
