/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Channel files and where the sentry maps them.
 *
 * Each address space has a file of its own: a guest that kept a mapping of its file (it can
 * duplicate mappings, and inherit them) must never meet another process there. So files are not
 * used again.
 *
 * Unmapping costs: the sentry has several threads, so each munmap interrupts other CPUs, which took
 * a fifth of the time of a fork. So files are mapped side by side in an arena, and those of address
 * spaces that are gone are unmapped together, when the arena is used up. What lives longer than
 * that is unmapped by itself.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hostcall.h"
#include "base/mem.h"
#include "platform/internal.h"

#define ARENA_PLACES 16
/* A file with more than this isn't kept after its address space: 512-byte blocks. */
#define KEEP_BLOCKS_MAX 128

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
			munmap(a->base + from * CHANNELS_SIZE, (to - from) * CHANNELS_SIZE);
		from = to + 1;
	}
	a->gone = 0;
}

static struct channel_arena *arena_new(void)
{
	struct channel_arena *a;
	void *base = mmap(NULL, ARENA_PLACES * CHANNELS_SIZE, PROT_NONE,
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

int channels_map(struct platform_mm *mm)
{
	struct platform *p = mm->p;
	struct channel_arena *a;
	void *at = MAP_FAILED;

	mm->channel_fd = channel_file();
	if (mm->channel_fd < 0)
		return mm->channel_fd;
	mutex_lock(&p->arena_lock);
	a = arena_current(p);
	if (a)
		at = mmap(a->base + a->used * CHANNELS_SIZE, CHANNELS_SIZE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_NORESERVE | MAP_FIXED, mm->channel_fd, 0);
	if (at != MAP_FAILED) {
		a->used++;
		a->users++;
	}
	mutex_unlock(&p->arena_lock);
	if (at == MAP_FAILED) {
		close(mm->channel_fd);
		return -ENOMEM;
	}
	mm->arena = a;
	mm->channels = at;
	return 0;
}

static bool is_small(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_blocks <= KEEP_BLOCKS_MAX;
}

void channels_unmap(struct platform_mm *mm)
{
	struct platform *p = mm->p;
	struct channel_arena *a = mm->arena;
	bool keep = is_small(mm->channel_fd);

	mutex_lock(&p->arena_lock);
	a->users--;
	if (keep && a == p->arena)
		a->gone |= 1u << (uint32_t)(((char *)mm->channels - a->base) / (long)CHANNELS_SIZE);
	else
		munmap(mm->channels, CHANNELS_SIZE);
	if (a != p->arena && a->users == 0)
		free(a);
	mutex_unlock(&p->arena_lock);
	close(mm->channel_fd);
}

void channels_destroy(struct platform *p)
{
	struct channel_arena *a = p->arena;

	if (!a)
		return;
	check(a->users == 0);
	munmap(a->base, ARENA_PLACES * CHANNELS_SIZE);
	free(a);
}
