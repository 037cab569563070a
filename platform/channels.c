/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Channel files and where the sentry maps them.
 *
 * Each address space has a file of its own: a guest that kept a mapping of its file (it can
 * duplicate mappings, and inherit them) must never meet another process there. So the file of an
 * address space that has ever cloned is not used again.
 *
 * Most processes never do: what is executed by a shell, by make, by a compiler's driver. When such a
 * process is reaped nobody in the world has its file but us: a stub can pass descriptors and
 * mappings to nobody but its clones. Then the file, with its pages and our mapping of them, goes to
 * the stock, for the next process: to make it, map it, fault its pages in and throw all of that away
 * again took 20 us of a fork. What the process has left there is zeroed, as far as it is where
 * processes leave something; a file with a page anywhere else is thrown away.
 *
 * Most address spaces have one thread for life, so the channel of the first one is mapped by itself
 * (`home`), and the file as a whole (`rest`) when a second slot is taken. Homes lie side by side in
 * an arena, for two reasons: they share page tables, of which a mapping of its own would need two
 * more pages for each fork; and unmapping costs, since the sentry has several threads, so that each
 * munmap interrupts other CPUs, which took a fifth of the time of a fork. So those of address
 * spaces that are gone are unmapped together, when the arena is used up. What lives longer than
 * that is unmapped by itself.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hostcall.h"
#include "base/mem.h"
#include "platform/internal.h"

#define ARENA_PLACES   16
#define STOCK_MAX      4
#define STOCK_PAGES    8 /* that a file in stock may have, of its channels' first; 3 are leases' */
#define PAGE	       4096u
#define CHANNEL_PAGES  (CHANNEL_STRIDE / PAGE)
#define BLOCKS_OF_PAGE (PAGE / 512)

/* Channel files that nobody uses: those of mms that are gone, only these fields of which count. */
struct channel_stock {
	struct platform_mm of[STOCK_MAX]; /* [arena_lock] */
	uint32_t count;			  /* [arena_lock] */
};

struct channel_arena {
	char *base;
	uint32_t used;	/* places handed out; all behind are free */
	uint32_t users; /* address spaces that have a place here */
	uint32_t gone;	/* bit i: place i is still mapped, its address space is gone */
};

static int channel_file(void)
{
	int fd = host_memfd("cvisor-channels", HOST_MEMFD_DATA);

	if (fd < 0)
		return fd;
	if (ftruncate(fd, (off_t)CHANNELS_SIZE) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

/* Unmaps the places whose address spaces are gone, neighbours at once. */
static void arena_sweep(struct channel_arena *a)
{
	uint32_t from = 0, to;

	while (from < ARENA_PLACES) {
		for (to = from; to < ARENA_PLACES && (a->gone & (1u << to)); to++)
			;
		if (to > from)
			munmap(a->base + from * CHANNEL_STRIDE, (to - from) * CHANNEL_STRIDE);
		from = to + 1;
	}
	a->gone = 0;
}

static struct channel_arena *arena_new(void)
{
	struct channel_arena *a;
	void *base = mmap(NULL, ARENA_PLACES * CHANNEL_STRIDE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		return NULL;
	a = xnew(struct channel_arena);
	a->base = base;
	return a;
}

/* The arena with a free place, or NULL. Caller holds arena_lock. */
static struct channel_arena *arena_current(struct platform *p)
{
	struct channel_arena *full = p->arena;

	assert_held(&p->arena_lock);
	if (full && full->used < ARENA_PLACES)
		return full;
	p->arena = arena_new();
	if (full) {
		arena_sweep(full);
		if (full->users == 0)
			free(full);
	}
	return p->arena;
}

static uint64_t offset_of(uint32_t slot)
{
	return (uint64_t)slot * CHANNEL_STRIDE;
}

/* A place in the arena with the first slot's channel. MAP_FAILED if the host has no room. */
static void *map_home(struct platform_mm *mm)
{
	struct platform *p = mm->p;
	struct channel_arena *a;
	void *at = MAP_FAILED;

	mutex_lock(&p->arena_lock);
	a = arena_current(p);
	if (a)
		at =
		    mmap(a->base + a->used * CHANNEL_STRIDE, CHANNEL_STRIDE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, mm->channel_fd, (off_t)offset_of(mm->first_slot));
	if (at != MAP_FAILED) {
		mm->arena = a;
		mm->place = a->used++;
		a->users++;
	}
	mutex_unlock(&p->arena_lock);
	return at;
}

/* ---- the stock ---- */

void channels_create(struct platform *p)
{
	p->stock = xnew(struct channel_stock);
}

static void hand_over(struct platform_mm *to, const struct platform_mm *from)
{
	to->channel_fd = from->channel_fd;
	to->home = from->home;
	to->arena = from->arena;
	to->place = from->place;
	to->first_slot = from->first_slot;
}

static bool take_from_stock(struct platform_mm *mm)
{
	struct channel_stock *s = mm->p->stock;
	bool found = false;

	mutex_lock(&mm->p->arena_lock);
	for (uint32_t i = 0; i < s->count && !found; i++) {
		if (s->of[i].first_slot != mm->first_slot)
			continue;
		hand_over(mm, &s->of[i]);
		s->of[i] = s->of[--s->count];
		found = true;
	}
	mutex_unlock(&mm->p->arena_lock);
	return found;
}

/* Nothing is left in the file but zeros. False: it has pages where none are expected. */
static bool make_blank(struct platform_mm *mm)
{
	unsigned char there[CHANNEL_PAGES];
	uint32_t pages = 0;
	struct stat st;

	if (mincore(mm->home, CHANNEL_STRIDE, there) < 0 || fstat(mm->channel_fd, &st) < 0)
		return false;
	for (uint32_t i = 0; i < CHANNEL_PAGES; i++)
		pages += there[i] & 1;
	if (st.st_blocks != (blkcnt_t)pages * BLOCKS_OF_PAGE || pages > STOCK_PAGES)
		return false;
	for (uint32_t i = 0; i < CHANNEL_PAGES; i++)
		if (there[i] & 1)
			memset((char *)mm->home + i * PAGE, 0, PAGE);
	return true;
}

static bool put_in_stock(struct platform_mm *mm)
{
	struct platform *p = mm->p;
	struct channel_stock *s = p->stock;
	bool put;

	if (!mm->had_process || mm->cloned || mm->rest || p->without & FEATURE_BIT(CHANNEL_STOCK) ||
	    atomic_load(&p->stopping) || !make_blank(mm))
		return false;
	mutex_lock(&p->arena_lock);
	put = s->count < STOCK_MAX;
	if (put)
		hand_over(&s->of[s->count++], mm);
	mutex_unlock(&p->arena_lock);
	return put;
}

int channels_map(struct platform_mm *mm)
{
	void *home;

	if (take_from_stock(mm))
		return 0;
	mm->channel_fd = channel_file();
	if (mm->channel_fd < 0)
		return mm->channel_fd;
	home = map_home(mm);
	if (home == MAP_FAILED) {
		close(mm->channel_fd);
		return -ENOMEM;
	}
	mm->home = home;
	return 0;
}

struct channel *channel_of_locked(struct platform_mm *mm, uint32_t slot)
{
	void *rest;

	if (slot == mm->first_slot)
		return mm->home;
	if (!mm->rest) {
		rest = mmap(NULL, CHANNELS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
			    mm->channel_fd, 0);
		if (rest == MAP_FAILED)
			return NULL;
		mm->rest = rest;
	}
	return &mm->rest[slot];
}

static void unmap_home(struct platform *p, struct platform_mm *mm)
{
	struct channel_arena *a = mm->arena;

	mutex_lock(&p->arena_lock);
	a->users--;
	if (a == p->arena)
		a->gone |= 1u << mm->place;
	else
		munmap(mm->home, CHANNEL_STRIDE);
	if (a != p->arena && a->users == 0)
		free(a);
	mutex_unlock(&p->arena_lock);
}

void channels_unmap(struct platform_mm *mm)
{
	if (put_in_stock(mm))
		return;
	unmap_home(mm->p, mm);
	if (mm->rest)
		munmap(mm->rest, CHANNELS_SIZE);
	close(mm->channel_fd);
}

static void empty_stock(struct platform *p)
{
	while (p->stock->count) {
		struct platform_mm *mm = &p->stock->of[--p->stock->count];

		unmap_home(p, mm);
		close(mm->channel_fd);
	}
	free(p->stock);
}

void channels_destroy(struct platform *p)
{
	struct channel_arena *a;

	empty_stock(p);
	a = p->arena;
	if (!a)
		return;
	check(a->users == 0);
	munmap(a->base, ARENA_PLACES * CHANNEL_STRIDE);
	free(a);
}
