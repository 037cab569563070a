/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patched text: which files' call sites are rewritten (platform/patch says how), when, and how the
 * new text gets into address spaces and out again, without any guest being able to tell.
 *
 * A *patched text* belongs to a file: one sealed memfd with copies of those parts of the file's
 * text in which sites are, rewritten, and the trampolines. All processes of the sandbox map it, so
 * a page is copied once a file. It is made when calls that trap in the file's text get many; from
 * then on every mapping of that text, by exec or by a dynamic loader's mmap, gets it at once, and
 * processes that run already get it on the way back from a call (patch_map.c says why that is
 * safe).
 *
 * What guests see. The areas of struct mm tell nothing of it: /proc/pid/maps shows the file. The
 * trampolines lie where nothing is mapped; that place isn't given to others, and is given up when
 * the guest insists on having it. Patched pages are mapped execute-only, by a protection key of the
 * host: a guest that reads its own text faults, the original text is put back for that address
 * space, and the read is made again. What the sentry itself reads it corrects (patch_read). On CPUs
 * without protection keys nothing is patched unless it is forced, since a program could see it.
 *
 * Changes of such a mapping by the guest (mprotect, munmap of a part, mremap, MAP_FIXED) put the
 * original back first; if that is more than one answer holds, by several.
 */
#ifndef SENTRY_MM_PATCH_H
#define SENTRY_MM_PATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

struct file;
struct kernel;
struct memop;
struct mm;
struct kernel;
struct patch_cache;
struct platform_reply;
struct strbuf;
struct task;

/* NULL if patching is off: everything below then does nothing. */
struct patch_cache *patch_cache_new(void);
void patch_cache_destroy(struct patch_cache *c);
/*
 * At run time, from any thread: OFF: no text is patched from now on, and what is comes back with
 * one of the next calls of each process; ON: the reverse. CHURN: text that runs is patched and put
 * back again and again, every few calls (for tests). -EOPNOTSUPP: nothing can be patched.
 */
enum patch_mode { PATCH_MODE_ON, PATCH_MODE_OFF, PATCH_MODE_CHURN };
int patch_switch(struct kernel *k, enum patch_mode mode);
/* Whether text can be patched at all: the switches, the processor and the platform allow it. */
bool patch_possible(const struct kernel *k);

/*
 * For debuggers: an address space that is to have original text only, until it is switched on again
 * (a child of fork and a new program begin with it on). Off is an order: its threads are stopped
 * for a moment, and the first of them that goes on brings the text back. patch_mm_is_original: that
 * is done. Any thread; k->tasks_lock and mm's lock are taken.
 */
void patch_mm_switch(struct kernel *k, struct mm *mm, bool on);
bool patch_mm_is_original(struct mm *mm);

/* ---- the worker's hooks; the task is the caller's ---- */

/* A call has come; its registers say from where. Every so many of them count, and may note that
 * text is to be patched. */
#define patch_count_call(t)                                                                        \
	do {                                                                                       \
		if (unlikely((t)->patch.countdown-- == 0))                                         \
			patch_tick(t);                                                             \
	} while (0)
void patch_tick(struct task *t);
/* The reply is complete: adds what is to be changed of the address space, if it can be now. */
#define patch_before_reply(t)                                                                      \
	do {                                                                                       \
		if (unlikely(atomic_load_explicit(&(t)->patch.due, memory_order_relaxed)))         \
			patch_now(t);                                                              \
	} while (0)
void patch_now(struct task *t);
/* A reply was sent: work that no guest waits for. */
void patch_after_reply(void);
/* The task's next event has come, or it is going: what it had ordered is over. */
void patch_settled(struct task *t);
/*
 * The handler will run again after an answer that it asked a report of, which has come: if that was
 * a part of what it has to undo of patched text, the last answer will be reported as well.
 */
void patch_in_parts(struct task *t);
/*
 * A report says that memory operation `index` failed. True: it was one of patching's; then the
 * reply is what it would have been without, or the process has been killed.
 */
bool patch_failed(struct task *t, uint32_t index);
/*
 * A fault. True: it was patching's, the reply is complete, the guest must not hear of it. Otherwise
 * t->event tells it as it would be without patching.
 */
bool patch_fault(struct task *t);
/* A thread was stopped: if it was in a trampoline, event and reply say where it would be without.
 */
void patch_stopped(struct task *t);
/*
 * A child that has its id and doesn't run yet: when it is looked at for the first time. At another
 * call for each, so that those whose life is shorter than the time between two looks are seen at
 * all of their calls taken together.
 */
void patch_task_new(struct task *child);
void patch_task_destroy(struct task *t);

/* In struct task. */
struct patch_task {
	uint32_t countdown;    /* [t] calls until patch_tick */
	uint32_t ticks;	       /* [t] since text was found that could be patched */
	atomic_bool due;       /* [a] patch_now has something to do */
	bool must_not_fail;    /* [t] among the operations ordered is the return of original text */
	uint32_t memop_count;  /* [t] so many of them at the beginning are patching's */
	uint64_t again;	       /* [t] address where it was sent on after a fault; 0: none ... */
	uint64_t again_change; /* [t] ... and mm_patches.changes then */
	struct platform_reply *saved; /* [t] the reply without patching's operations, owned */
};

/* ---- address spaces ---- */

/* The text at start (as it will be in the tree) was ordered to be mapped from f: its patched form,
 * if there is one. Memory operations to be done afterwards go to out (PATCH_MEMOPS_MAX of them);
 * their count. */
#define PATCH_MEMOPS_MAX 8
uint32_t patch_new_text(struct mm *mm, struct file *f, int fd, uint64_t start, uint64_t size,
			uint64_t offset, struct memop *out);

/* Whether patch_read is to be called after a read that got all it wanted (whole), or didn't. */
bool mm_has_patches(const struct mm *mm, bool whole);
/*
 * Guest memory at va that the platform could not read, or that it read from patched pages: the
 * first n of size bytes at buf are there. Returns how many are now, as the file has them; behind
 * these there may be more that the platform can read.
 */
size_t patch_read(struct mm *mm, uint64_t va, void *buf, size_t size, size_t n);

#endif
