/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sentry counts (base/stats.h says how). `runsc debug --stats` shows whatever is listed
 * here: a counter is added in one line and counted with stat_count(name).
 */
#ifndef SENTRY_KERNEL_STATS_H
#define SENTRY_KERNEL_STATS_H

#include "base/stats.h"

struct kernel;
struct strbuf;

#define SENTRY_COUNTERS(X)                                                                         \
	X(blocked, "handlers that parked their task on wait queues")                               \
	X(run_again, "handlers run again after a wake-up")                                         \
	X(woken_here, "tasks woken by a worker that then ran them itself")                         \
	X(woken_elsewhere, "tasks woken by a thread that needs an idle worker for them")           \
	X(worker_wakeups, "idle workers woken on the host")                                        \
	X(lead_passed, "handlers that passed the lead before a host call that may be long")        \
	X(dcache_hits, "names found in the dentry cache")                                          \
	X(dcache_negative_hits, "names that the dentry cache knows to be absent")                  \
	X(dcache_misses, "names that a file system was asked for")                                 \
	X(file_map_reads, "reads of host files from memory that is mapped")                        \
	X(file_map_loans, "pieces of files that went into pipes without a copy")                   \
	X(file_maps, "chunks of host files mapped")                                                \
	X(file_reads, "reads of host files by a host call")                                        \
	X(file_reads_waited, "reads that passed the lead since data was not in the page cache")    \
	X(file_copies, "copies from host file to host file in the host")                           \
	X(file_writes, "writes of host files")                                                     \
	X(leases, "files whose reads and fstats a thread began to answer by itself")               \
	X(lease_renewals, "of these: allowed again, after a change")                               \
	X(lease_revokes, "changes of files that took that back")                                   \
	X(patch_files, "files whose text was analysed for call sites")                             \
	X(patch_maps, "mappings of text that were patched from the beginning")                     \
	X(patch_exchanges, "mappings of text that were patched while they ran")                    \
	X(patch_reverts, "mappings whose original text was put back")                              \
	X(patch_redirects, "threads that arrived inside a rewritten call site")                    \
	X(patch_looks, "every so many calls it is looked where one that trapped came from")        \
	X(patch_looks_anonymous, "of these: from anonymous memory")

enum sentry_counter {
	STAT_CALLS = STATS_SENTRY,	 /* a counter for each call number */
	STAT_OBJECTS = STAT_CALLS + 512, /* one for each enum object_kind: how many live */
	STAT_NAMED = STAT_OBJECTS + 16,
	STAT_BEFORE_FIRST = STAT_NAMED - 1,
#define STAT_MEMBER(name, text) STAT_##name,
	SENTRY_COUNTERS(STAT_MEMBER)
#undef STAT_MEMBER
	    STAT_END
};
_Static_assert(STAT_END <= STATS_SIZE, "STATS_SIZE");

#define stat_count(name)    stats_add(STAT_##name, 1)
#define stat_add(name, n)   stats_add(STAT_##name, n)
#define stat_count_call(nr) stats_add(STAT_CALLS + ((nr)&511), 1)

/*
 * Appends a line "kind value name" for each: kind is "counter" (only grows) or "gauge"; calls are
 * named call.NAME, waits for locks lock.RANK. Counters that are zero are left out but for those of
 * SENTRY_COUNTERS.
 */
void stats_report(const struct kernel *k, struct strbuf *out);

#endif
