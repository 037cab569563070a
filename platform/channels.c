/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Channel files and where the sentry maps them.
 *
 * Each address space has a file of its own: a guest that kept a mapping of its file (it can
 * duplicate mappings, and inherit them) must never meet another process there. So files are not
 * used again.
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
#include <sys/mman.h>
#include <unistd.h>

#include "base/hostcall.h"
#include "base/mem.h"
#include "platform/internal.h"

#define ARENA_PLACES 16

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

int channels_map(struct platform_mm *mm)
{
	void *home;

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

static void unmap_home(struct platform_mm *mm)
{
	struct platform *p = mm->p;
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
	unmap_home(mm);
	if (mm->rest)
		munmap(mm->rest, CHANNELS_SIZE);
	close(mm->channel_fd);
}

void channels_destroy(struct platform *p)
{
	struct channel_arena *a = p->arena;

	if (!a)
		return;
	check(a->users == 0);
	munmap(a->base, ARENA_PLACES * CHANNEL_STRIDE);
	free(a);
}
