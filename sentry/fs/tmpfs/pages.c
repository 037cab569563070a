/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the pages of small tmpfs files are: on the sentry's heap as long as there are few, beyond
 * that in one memfd for the whole sandbox, the store. So a guest that fills a tmpfs doesn't make
 * the sentry the process that the host's OOM killer takes for the largest, and many small files
 * take neither many descriptors nor much of our memory.
 *
 * A page is an address, or (odd) twice its place in the store plus one. What is freed of the store
 * is punched out of it: that gives the memory back, and zeros for the next.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hostcall.h"
#include "base/mem.h"
#include "sentry/fs/tmpfs/tmpfs_internal.h"
#include "sentry/mm/usermem.h"
#include "sentry/vfs/vfs_internal.h"

#define STORE_STEP 65536u /* pages that the store grows by: of a sparse file */

static bool in_store(tmpfs_page p)
{
	return p & 1;
}

static int64_t place(tmpfs_page p)
{
	return (int64_t)(p >> 1) * TMPFS_PAGE;
}

static char *address(tmpfs_page p)
{
	return (char *)p;
}

/* ---- the store ---- */

void tmpfs_store_init(struct tmpfs_store *s)
{
	mutex_init(&s->lock, RANK_LEAF);
	s->fd = -1;
	s->heap_limit = TMPFS_HEAP_PAGES;
}

void tmpfs_store_destroy(struct tmpfs_store *s)
{
	if (s->fd >= 0)
		close(s->fd);
	free(s->holes);
	mutex_destroy(&s->lock);
}

static bool grow(struct tmpfs_store *s)
{
	assert_held(&s->lock);
	if (s->fd < 0)
		s->fd = host_memfd("tmpfs pages", HOST_MEMFD_DATA);
	if (s->fd < 0 || ftruncate(s->fd, (off_t)(s->room + STORE_STEP) * TMPFS_PAGE))
		return false;
	s->room += STORE_STEP;
	return true;
}

static tmpfs_page store_new(struct tmpfs_store *s)
{
	tmpfs_page p = 0;

	mutex_lock(&s->lock);
	if (s->hole_count)
		p = s->holes[--s->hole_count];
	else if (s->used < s->room || grow(s))
		p = (tmpfs_page)s->used++ << 1 | 1;
	mutex_unlock(&s->lock);
	return p;
}

static void store_free(struct tmpfs_store *s, tmpfs_page p)
{
	bool empty =
	    !fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, place(p), TMPFS_PAGE);

	mutex_lock(&s->lock);
	if (empty) {
		if (s->hole_count == s->hole_room) {
			s->hole_room = MAX(s->hole_room * 2, 64u);
			s->holes = xrealloc(s->holes, s->hole_room * sizeof(*s->holes));
		}
		s->holes[s->hole_count++] = p;
	}
	mutex_unlock(&s->lock);
}

/* ---- pages ---- */

tmpfs_page tmpfs_page_new(struct tmpfs_store *s)
{
	if (atomic_fetch_add(&s->heap_count, 1) < s->heap_limit)
		return (tmpfs_page)xcalloc(1, TMPFS_PAGE);
	atomic_fetch_sub(&s->heap_count, 1);
	return store_new(s);
}

void tmpfs_page_free(struct tmpfs_store *s, tmpfs_page p)
{
	if (!p)
		return;
	if (in_store(p)) {
		store_free(s, p);
		return;
	}
	atomic_fetch_sub(&s->heap_count, 1);
	free(address(p));
}

ssize_t tmpfs_page_read(struct tmpfs_store *s, tmpfs_page p, struct uio *to, size_t at, size_t size)
{
	int64_t offset = place(p) + (int64_t)at;

	return in_store(p) ? uio_pread_fd(to, s->fd, &offset, size)
			   : uio_write(to, address(p) + at, size);
}

ssize_t tmpfs_page_write(struct tmpfs_store *s, tmpfs_page p, struct uio *from, size_t at,
			 size_t size)
{
	int64_t offset = place(p) + (int64_t)at;

	return in_store(p) ? uio_pwrite_fd(from, s->fd, &offset, size)
			   : uio_read(from, address(p) + at, size);
}

void tmpfs_page_zero(struct tmpfs_store *s, tmpfs_page p, size_t at, size_t size)
{
	static const char zeros[TMPFS_PAGE];
	int64_t offset = place(p) + (int64_t)at;

	check(size <= TMPFS_PAGE);
	if (!in_store(p))
		memset(address(p) + at, 0, size);
	else if (fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, (off_t)size))
		/* What was there must not come back: there is no way on without. */
		check(pwrite(s->fd, zeros, size, offset) == (ssize_t)size);
}

int tmpfs_page_to_fd(struct tmpfs_store *s, tmpfs_page p, int fd, int64_t offset, size_t size)
{
	char copy[TMPFS_PAGE];
	const char *from = copy;

	if (!in_store(p))
		from = address(p);
	else if (pread(s->fd, copy, size, place(p)) != (ssize_t)size)
		return -EIO;
	return pwrite(fd, from, size, offset) < 0 ? -errno : 0;
}
