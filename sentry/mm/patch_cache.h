/* SPDX-License-Identifier: Apache-2.0 */
/* Patched texts of files, and what address spaces have of them: for patch_*.c and sentry/mm. */
#ifndef SENTRY_MM_PATCH_CACHE_H
#define SENTRY_MM_PATCH_CACHE_H

#include <stdatomic.h>
#include <time.h>

#include "base/list.h"
#include "base/lock.h"
#include "base/refcount.h"
#include "platform/patch/patch.h"
#include "sentry/kernel/waitqueue.h"
#include "sentry/mm/patch.h"

struct mm_map_args;
struct mm_op;

/* What a file is known by: the host's word, so that a changed file is another one. */
struct patch_id {
	uint64_t dev, ino, size;
	struct timespec mtime, ctime;
};

enum patch_state { PATCH_COLD, PATCH_WORKING, PATCH_READY, PATCH_NEVER };

/* Consecutive pages of the text that have sites. Bytes, whole pages. */
struct patch_run {
	uint64_t at, size; /* from the text's first page */
	uint64_t in_fd;
};

#define PATCH_RUNS_MAX (PATCH_MEMOPS_MAX - 2)

/* [I] once the state is READY. */
struct patch_file {
	struct refcount ref;
	struct list link;   /* [c] patch_cache.lock */
	struct patch_id id; /* [I] from the beginning */
	_Atomic(enum patch_state) state;
	atomic_ullong heat;		       /* [a] calls that trapped there */
	atomic_uint reads;		       /* [a] address spaces that read the text */
	struct patch p;			       /* [I] without its area */
	int fd;				       /* [I] runs, then the area */
	uint64_t low, high;		       /* [I] the text's pages, offsets in the file */
	uint64_t head;			       /* [I] of the text in its first page */
	uint64_t area_in_fd;		       /* [I] */
	struct patch_run runs[PATCH_RUNS_MAX]; /* [I] */
	uint32_t run_count;		       /* [I] */
	atomic_uint *counted; /* [I] of a page of anonymous text: where it is counted, else NULL */
};

struct patch_cache {
	struct mutex lock;
	struct list files; /* [c] the one used last first */
	uint32_t count;	   /* [c] */
	bool forced;	   /* [I] at the first call */
	bool execute_only; /* [I] the CPU has protection keys */
	_Atomic(enum patch_mode) mode;
	atomic_uint pages; /* [a] patched pages of anonymous text, each with a descriptor */
};

/* The file behind a host descriptor: a reference, or NULL (make: it is made if it isn't known). */
struct patch_file *patch_file_get(struct patch_cache *c, int fd, bool make);
void patch_file_put(struct patch_file *pf);
/* It may be written yet without that its times tell. */
bool patch_file_is_young(const struct patch_file *pf);
/* Reads and rewrites; state WORKING -> READY or NEVER. fd is the host's. */
void patch_file_prepare(struct patch_file *pf, int fd);

/* The same for a page of anonymous text, of which p (taken over) was made; or NULL. */
struct patch_file *patch_file_of_page(struct patch_cache *c, const uint8_t *page, struct patch *p);

/* ---- in an address space ---- */

enum patch_map_state {
	PATCH_MAP_ON,
	PATCH_MAP_OFF,	   /* the original is back; the trampolines are still there */
	PATCH_MAP_RETIRED, /* the trampolines' place is given up */
	PATCH_MAP_STALE,   /* anonymous text: as OFF, and the guest may have changed it since */
	PATCH_MAP_GONE,	   /* the text is unmapped */
};

/* A place of anonymous text from which calls came. */
struct patch_seen {
	uint64_t va, rax; /* of the syscall; what was in rax */
	uint32_t heat;
	bool refused; /* it can't be patched as the text is */
};
#define PATCH_SEEN_MAX 64u
#define PATCH_TICK     32u /* calls between two looks */

struct patch_map {
	uint64_t start, end;	 /* the text's pages */
	uint64_t area, area_end; /* trampolines, and the place at park */
	uint64_t park;		 /* anonymous text: where its own page is while it is ON; else 0 */
	uint32_t spread;	 /* ... of pf->p */
	uint32_t renewals;	 /* ... how often it was made anew */
	struct patch_file *pf;	 /* reference */
	struct file *file;	 /* reference: the original (NULL: anonymous) ... */
	int fd;			 /* ... and its descriptor, borrowed from file */
	uint64_t offset;	 /* of start in it */
	enum patch_map_state state;
	bool by_switch;	     /* OFF only because patching is switched off */
	struct task *maker;  /* borrowed, never followed: who ordered the mapping, or, of anonymous
				text that is ON, another in its place ... */
	uint64_t maker_call; /* ... by which call */
};

/*
 * Part of struct mm. [m] mm.lock, [v] view_lock as well: who only looks, as guest memory is read
 * under any lock (patch_read), takes that alone.
 */
struct mm_patches {
	struct mutex view_lock;	  /* RANK_LEAF */
	struct patch_map *maps;	  /* [m] and [v] to change it, either to read */
	uint32_t capacity;	  /* [m] */
	atomic_uint count;	  /* [a] written with [m] and [v] */
	struct task *changing;	  /* [m] borrowed: has ordered a change that isn't reported yet */
	uint64_t changes;	  /* [m] how often changing was set or cleared */
	struct waitqueue settled; /* woken when changing is NULL again */
	uint32_t forks;		  /* [m] clones ordered whose children aren't heard of */
	atomic_bool forbidden;	  /* [a] original text only (patch_mm_switch) */
	struct patch_seen *seen;  /* [m] PATCH_SEEN_MAX, or NULL */
};

void mm_patches_init(struct mm *mm);
void mm_patches_destroy(struct mm *mm);
/* Both locked; child is new. */
void mm_patches_dup(struct mm *child, struct mm *parent);

/*
 * Before an operation of t: 0, or SYS_BLOCKED (t is on a wait queue) while another thread changes
 * patched text. Lock held.
 */
int64_t mm_patches_wait(struct task *t);
/* The same before a fork; if 0, mm_patches_forked is to be called when the child is known to live,
 * or not to. Takes the lock. */
int64_t mm_patches_fork(struct task *t);
void mm_patches_forked(struct mm *mm);
/*
 * What t is about to do with [start, end): replace it, unmap it, or change it. Orders what must be
 * done first. Lock held. 0; SYS_REPORT: there is so much of it that the handler has to run again
 * when this much is done, and nothing else is to be ordered or changed before; or -ENOMEM.
 */
int64_t mm_patches_replacing(struct task *t, uint64_t start, uint64_t end);
int64_t mm_patches_unmapping(struct task *t, uint64_t start, uint64_t end);
int64_t mm_patches_changing(struct task *t, uint64_t start, uint64_t end);
/* The text was just put into the tree: memory operations that make it the patched one. Lock held.
 */
uint32_t mm_patches_new_text(struct mm *mm, struct task *t, const struct mm_map_args *a, int fd,
			     struct memop *out);
/* The operations that t's present call ordered failed. Lock held. */
void mm_patches_undo(struct task *t);
/* Whether the place is kept for trampolines; *ret_start, *ret_end of what is there. Lock held. */
bool mm_patches_keep(const struct mm *mm, uint64_t start, uint64_t end, uint64_t *ret_start,
		     uint64_t *ret_end);
/* The guest has this place and no other: trampolines there are given up. As above. */
int64_t mm_patches_yield(struct task *t, uint64_t start, uint64_t end);

/* What t is about to do changes the content of [start, end), but not what is mapped. */
int64_t mm_patches_advise(struct task *t, uint64_t start, uint64_t end);

/* For the files of patched text; lock held. */
struct patch_map *mm_patches_text_at(struct mm *mm, uint64_t va);
struct patch_map *mm_patches_area_at(struct mm *mm, uint64_t va);
/* Orders the original text, as the whole reply of a fault or a call. */
int mm_patches_revert(struct task *t, struct patch_map *m);
/* Orders patched text in the place of what runs now. False: it can't be, at present. */
bool mm_patches_exchange(struct task *t, uint64_t va, struct file *f, int fd);
/* Whether there is an operation of another thread in the range, or a change or fork is under way,
 * so that text there can't be exchanged now. */
bool mm_patches_busy(const struct mm *mm, const struct task *t, uint64_t start, uint64_t end);
/* The place [start, end) is free for trampolines. */
bool mm_patches_free_place(struct mm *mm, const struct task *t, uint64_t start, uint64_t end);
/* m, which is or will be in the list, becomes patched text: the operations for it. */
bool mm_patches_order(struct task *t, const struct patch_map *m);
bool mm_patches_order_again(struct task *t, struct patch_map *m);
/* Puts *m, with its references, into the list as patched text. */
void mm_patches_install(struct mm *mm, const struct patch_map *m);
#define PATCH_MAPS_MAX 64u

/* patch_page.c: anonymous text. A call came from va: whether patch_now shall try to do something
 * about it. Takes the lock. */
bool patch_page_look(struct task *t, uint64_t va);
/* Orders what can be done. Lock held. */
bool patch_page_exchange(struct task *t, uint64_t va);

#endif
