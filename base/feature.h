/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What cvisor uses where it is there and can do without: host facilities that older or hardened
 * hosts lack, and fast paths of its own. One list for all who ask: the switches `--without` and
 * `--force`, the code that takes the other way, and `runsc doctor`.
 *
 * A host feature that is switched off fails as it does on a host that lacks it, at the one place
 * where the host is asked; so the tests run the very path that such a host takes.
 *
 * The process-wide sets are written once, before the first thread and fork (features_switch).
 */
#ifndef BASE_FEATURE_H
#define BASE_FEATURE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

enum feature_kind {
	FEATURE_HOST,  /* of the host kernel or CPU */
	FEATURE_SPEED, /* a fast path of ours */
};

/* X(id, name, kind, first Linux or "", what is lost without it) */
#define FEATURES(X)                                                                                \
	X(ADDFD_SEND, "addfd-send", FEATURE_HOST, "5.14",                                          \
	  "speed: a new process takes one host call more")                                         \
	X(SYNC_WAKE_UP, "sync-wake-up", FEATURE_HOST, "6.6", "speed: each call wakes another CPU") \
	X(FSGSBASE, "fsgsbase", FEATURE_HOST, "5.9",                                               \
	  "speed: thread pointers take a host call, and patched call sites are not used")          \
	X(PROCESS_VM, "process-vm", FEATURE_HOST, "3.2",                                           \
	  "speed: guest memory that no window covers is read through /proc/PID/mem")               \
	X(PROC_MEM, "proc-mem", FEATURE_HOST, "2.6.39",                                            \
	  "speed: none where process-vm is there; else guests copy their memory for the sentry")   \
	X(PIDFD, "pidfd", FEATURE_HOST, "5.3",                                                     \
	  "isolation: a signal could meet a process that just got the number of one that ended")   \
	X(CLOSE_RANGE, "close-range", FEATURE_HOST, "5.9",                                         \
	  "speed: descriptors are closed one by one")                                              \
	X(OPENAT2, "openat2", FEATURE_HOST, "5.6",                                                 \
	  "speed: mount points of a read-only root are looked for one component at a time")        \
	X(STATX, "statx", FEATURE_HOST, "4.11", "function: files have no time of birth")           \
	X(MEMFD_SEAL, "memfd-seal", FEATURE_HOST, "3.17",                                          \
	  "isolation: memory files are not sealed on the host, only by the sentry's own checks")   \
	X(MEMFD_FLAGS, "memfd-flags", FEATURE_HOST, "6.3",                                         \
	  "isolation: memory files of the sentry are not marked as no programs")                   \
	X(MEMFD_EXEC, "memfd-exec", FEATURE_HOST, "3.19",                                          \
	  "speed: the stub's image is written to a private tmpfs first")                           \
	X(MOUNT_API, "mount-api", FEATURE_HOST, "5.2",                                             \
	  "isolation: the container's trees are mounted in the gofer's root, not detached, and "   \
	  "what lies below a read-only one is guarded by the gofer alone")                         \
	X(MOUNT_SETATTR, "mount-setattr", FEATURE_HOST, "5.12", "isolation: as without mount-api") \
	X(USER_NS, "user-namespaces", FEATURE_HOST, "3.8",                                         \
	  "isolation: the sandbox stays in the host's user namespace, as an id without rights")    \
	X(RWF_NOWAIT, "rwf-nowait", FEATURE_HOST, "4.14",                                          \
	  "speed: each read or write of a pipe or terminal of the host is a poll more")            \
	X(MADV_POPULATE, "madv-populate", FEATURE_HOST, "5.14",                                    \
	  "speed: pages that a guest asks for are touched one by one")                             \
	X(PATCH, "patch", FEATURE_SPEED, "", "speed: each call of a guest is a host trap")         \
	X(POLL, "poll", FEATURE_SPEED, "", "speed: each call wakes the sentry")                    \
	X(WINDOWS, "windows", FEATURE_SPEED, "", "speed: guest memory is copied by host calls")    \
	X(ANSWERS, "answers", FEATURE_SPEED, "", "speed: getpid and its like ask the sentry")      \
	X(OWN_STATE, "own-state", FEATURE_SPEED, "",                                               \
	  "speed: masks of signals and returns from their handlers ask the sentry")                \
	X(LEASES, "leases", FEATURE_SPEED, "",                                                     \
	  "speed: each read and fstat of a file that is read all the time asks the sentry")        \
	X(HOST_FUTEX, "host-futex", FEATURE_SPEED, "",                                             \
	  "speed: the sentry keeps the queues of private futexes")                                 \
	X(FILE_MAPS, "file-maps", FEATURE_SPEED, "", "speed: each read of a file is a host call")  \
	X(LOOK_AHEAD, "look-ahead", FEATURE_SPEED, "",                                             \
	  "speed: each new name in a directory is a message to the gofer")                         \
	X(CHANGELESS, "changeless", FEATURE_SPEED, "",                                             \
	  "speed: a chown or chmod that changes nothing is a message to the gofer")                \
	X(SAME_CPU, "same-cpu", FEATURE_SPEED, "",                                                 \
	  "speed: a request to the gofer wakes another CPU, and its answer this one")              \
	X(EXEC_IN_PLACE, "exec-in-place", FEATURE_SPEED, "",                                       \
	  "speed: each execve takes a new host process")                                           \
	X(CHANNEL_STOCK, "channel-stock", FEATURE_SPEED, "",                                       \
	  "speed: each new process has a new channel file")                                        \
	X(LENT_VFORK, "lent-vfork", FEATURE_SPEED, "", "speed: each vfork makes a host process")   \
	X(THREAD_STOCK, "thread-stock", FEATURE_SPEED, "",                                         \
	  "speed: each new thread of a guest is a new host thread")                                \
	X(APART, "apart", FEATURE_SPEED, "", "speed: guests that run in parallel share a CPU")

enum feature {
#define FEATURE_ENUM(id, ...) FEATURE_##id,
	FEATURES(FEATURE_ENUM)
#undef FEATURE_ENUM
	    FEATURE_COUNT,
};

/* A member of a set of features. */
#define FEATURE_BIT(id) (1ull << FEATURE_##id)
_Static_assert(FEATURE_COUNT <= 64, "a set of features is 64 bits");

struct feature_info {
	const char *name;
	enum feature_kind kind;
	const char *since; /* Linux, "" if it depends on no version */
	const char *loss;  /* "speed: ...", "isolation: ..." or "function: ..." */
};

const struct feature_info *feature_info(enum feature f);

/*
 * Reads "name,name..." into a set; "all-host" and "all-speed" stand for all of a kind. 0, or
 * -EINVAL with the unknown word in ret_bad (cut to its size).
 */
int features_parse(const char *list, uint64_t *ret_set, char *ret_bad, uint32_t bad_size);

/* Makes the sets those of this process and its future children. */
void features_switch(uint64_t without, uint64_t force);
uint64_t features_without(void);
uint64_t features_forced(void);

static inline bool feature_off(enum feature f)
{
	return unlikely(features_without() >> f & 1);
}

/* A speed feature that is to be used at every chance, also where it doesn't pay: for tests. */
static inline bool feature_forced(enum feature f)
{
	return unlikely(features_forced() >> f & 1);
}

#endif
