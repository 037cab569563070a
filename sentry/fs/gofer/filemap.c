/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading cached files without a host call: from the host's page cache, which the sentry maps.
 *
 * A file is mapped in chunks of CHUNK_SIZE, shared and read-only, from the descriptor with which
 * the guest's file was opened. So a chunk always shows what a read would return, whoever writes.
 *
 *	first read of a page		a host call (file.c); the page is noted as `seen`: it is in
 *					the page cache now
 *	second read of all its pages	the chunk is mapped, the bytes are copied
 *	further ones			copied
 *
 * So what is read once is never mapped, and a mapped page is nearly always one that the host has in
 * memory: a fault takes no disk. (It may have dropped the page since; then that one read keeps the
 * lead for as long as the disk takes.)
 *
 * What can go wrong, and why it doesn't:
 * - The file is cut off below the page: SIGBUS, which ends the copy early (base/guard.h). The rest
 *   is read with a host call, which knows the truth.
 * - Behind the end of the file its last page has zeros: only what is below inode.size is copied,
 *   and the read at the end is a host call's. Only of trees that aren't shared is the size known
 *   without asking, so only they are mapped.
 * - A fault would wait for a network or another process: only file systems on a list are mapped.
 * - overlayfs: a descriptor from before the file was copied up goes on to read right, but what is
 *   mapped of it stays the old file. So the first descriptor for writing drops all chunks and the
 *   descriptor for reading; and chunks are made only of the descriptors that the inode keeps now.
 *
 * Chunks are also lent (filemap_lend): splice and sendfile put a reference to one into a pipe
 * instead of a copy. What was lent must stay as it is when the file is cut off, as pages of the host's own
 * pipes do. So a lent chunk that its file lets go of becomes a copy, at the same address and in one
 * step (become_copy); who takes content away from a file (filemap_cut_begin) makes it let go first,
 * and until he is done nothing is lent.
 *
 * Bounds: CHUNKS_MAX chunks in the sandbox, seen or mapped; who hasn't been used for a round of the
 * list goes. No file beyond FILE_SIZE_MAX. What is lent stays mapped, so LOANS_MAX at once, and none
 * of a few bytes, for which a chunk would be kept.
 *
 * Locks: gofer_inode.map_lock guards the chunks of a file; readers pin a chunk and copy without
 * it. client.chunks_lock guards the list of all chunks and is taken only when one is made or goes.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "base/feature.h"
#include "base/guard.h"
#include "base/mem.h"
#include "sentry/fs/gofer/internal.h"
#include "sentry/fs/pipe/pipe.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/stats.h"
#include "sentry/mm/usermem.h"

#define PAGE_SHIFT    12
#define CHUNK_SHIFT   18 /* 64 pages: one word of bits */
#define CHUNK_SIZE    (1u << CHUNK_SHIFT)
#define CHUNKS_MAX    512
#define FILE_SIZE_MAX (256ull << 20)
#define LOANS_MAX     256
#define LOAN_MIN      16384

/* Guards: [m] gofer_inode.map_lock, [c] client.chunks_lock. */
struct map_chunk {
	struct list link;      /* [c] in client.chunks */
	struct gofer_inode *g; /* [I] */
	uint32_t index;	       /* [I] in gofer_inode.chunks */
	struct refcount pins;  /* one of the file, one of each reader */
	atomic_bool used;      /* [a] since the list was last gone through */
	bool lent;	       /* [m] ever */
	uint64_t seen;	       /* [m] pages that were read: the page cache has them */
	const uint8_t *addr;   /* [m] set once; NULL: not mapped */
};

bool filemap_can_map(uint32_t fs_type)
{
	static const uint32_t types[] = {0xef53 /* ext */,	    0x58465342 /* XFS */,
					 0x9123683e /* btrfs */,    0x01021994 /* tmpfs */,
					 0xf2f52010 /* F2FS */,	    0xe0f5e1e2 /* EROFS */,
					 0x73717368 /* squashfs */, FS_OVERLAY};

	for (size_t i = 0; i < array_count(types); i++)
		if (fs_type == types[i])
			return true;
	return false;
}

static void chunk_put(struct map_chunk *c)
{
	if (!c || !refcount_put(&c->pins))
		return;
	if (c->addr)
		munmap((void *)(uintptr_t)c->addr, CHUNK_SIZE);
	free(c);
}

/*
 * From now on the chunk is memory of ours with what the file holds at present. Who reads it
 * meanwhile sees one or the other. Without memory for it the chunk stays what it was.
 */
static void become_copy(struct map_chunk *c)
{
	uint8_t *copy =
	    mmap(NULL, CHUNK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (copy == MAP_FAILED)
		return;
	guarded_copy(copy, c->addr, CHUNK_SIZE); /* ends at the file's end */
	if (mremap(copy, CHUNK_SIZE, CHUNK_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
		   (void *)(uintptr_t)c->addr) == MAP_FAILED)
		munmap(copy, CHUNK_SIZE);
}

/* The file's own pin, of a chunk that is taken away from it and can't be lent any more. */
static void chunk_let_go(struct map_chunk *c)
{
	if (c->lent && refcount_read(&c->pins) > 1)
		become_copy(c);
	chunk_put(c);
}

/* ---- the list of all ---- */

static void list_chunk(struct gofer_client *client, struct map_chunk *c)
{
	mutex_lock(&client->chunks_lock);
	list_add_tail(&client->chunks, &c->link);
	client->chunk_count++;
	mutex_unlock(&client->chunks_lock);
}

static void unlist_chunk(struct gofer_client *client, struct map_chunk *c)
{
	mutex_lock(&client->chunks_lock);
	if (list_linked(&c->link)) {
		list_del(&c->link);
		client->chunk_count--;
	}
	mutex_unlock(&client->chunks_lock);
}

/* A chunk too many, unlisted, with a pin and a reference to its inode; NULL: there is room. */
static struct map_chunk *take_victim(struct gofer_client *client)
{
	struct map_chunk *c = NULL;

	mutex_lock(&client->chunks_lock);
	for (unsigned n = client->chunk_count; n > 0 && client->chunk_count > CHUNKS_MAX; n--) {
		c = list_first(&client->chunks, struct map_chunk, link);
		list_del(&c->link);
		/* An inode on its way out drops its chunks itself. */
		if (!atomic_exchange(&c->used, false) &&
		    refcount_get_unless_zero(&c->g->inode->ref)) {
			refcount_get(&c->pins);
			client->chunk_count--;
			break;
		}
		list_add_tail(&client->chunks, &c->link);
		c = NULL;
	}
	mutex_unlock(&client->chunks_lock);
	return c;
}

/* ---- the chunks of a file ---- */

static struct map_chunk *chunk_at(const struct gofer_inode *g, uint32_t index)
{
	return index < g->chunk_slots ? g->chunks[index] : NULL;
}

/* Takes the chunk away from its file. The caller holds map_lock. */
static void remove_chunk_locked(struct gofer_inode *g, struct map_chunk *c)
{
	g->chunks[c->index] = NULL;
	if (--g->chunk_count == 0) {
		free(g->chunks);
		g->chunks = NULL;
		g->chunk_slots = 0;
	}
}

/* Keeps the bound. Holds no lock of another file. */
static void evict_chunks(struct gofer_client *client)
{
	struct map_chunk *c;

	while ((c = take_victim(client))) {
		struct inode *i = c->g->inode;
		bool still;

		mutex_lock(&c->g->map_lock);
		still = chunk_at(c->g, c->index) == c;
		if (still)
			remove_chunk_locked(c->g, c);
		mutex_unlock(&c->g->map_lock);
		chunk_put(c);
		if (still)
			chunk_let_go(c);
		inode_put(i);
	}
}

static struct map_chunk *add_chunk_locked(struct gofer_inode *g, uint32_t index)
{
	struct map_chunk *c = xnew(struct map_chunk);

	if (index >= g->chunk_slots) {
		g->chunks = xrealloc(g->chunks, (index + 1) * sizeof(*g->chunks));
		for (uint32_t n = g->chunk_slots; n <= index; n++)
			g->chunks[n] = NULL;
		g->chunk_slots = index + 1;
	}
	refcount_init(&c->pins);
	c->g = g;
	c->index = index;
	list_init(&c->link);
	g->chunks[index] = c;
	g->chunk_count++;
	list_chunk(g->super->client, c);
	return c;
}

void filemap_drop(struct gofer_inode *g)
{
	struct map_chunk **chunks;
	uint32_t slots;

	mutex_lock(&g->map_lock);
	chunks = g->chunks;
	slots = g->chunk_slots;
	g->chunks = NULL;
	g->chunk_slots = g->chunk_count = 0;
	g->has_lent = false;
	mutex_unlock(&g->map_lock);
	for (uint32_t n = 0; n < slots; n++)
		if (chunks[n]) {
			unlist_chunk(g->super->client, chunks[n]);
			chunk_let_go(chunks[n]);
		}
	free(chunks);
}

/* ---- reading ---- */

/* The bits of the pages that [at, at + size) of a chunk touches; size > 0. */
static uint64_t page_bits(uint32_t at, uint32_t size)
{
	uint32_t first = at >> PAGE_SHIFT, last = (at + size - 1) >> PAGE_SHIFT;

	return (~0ull >> (63 - (last - first))) << first;
}

void filemap_seen(struct gofer_inode *g, int64_t pos, uint64_t size)
{
	uint64_t end = (uint64_t)pos + size;
	bool added = false;

	if (end > FILE_SIZE_MAX)
		return;
	mutex_lock(&g->map_lock);
	while ((uint64_t)pos < end) {
		uint32_t index = (uint32_t)(pos >> CHUNK_SHIFT), at = pos & (CHUNK_SIZE - 1);
		uint32_t n = (uint32_t)MIN(end - (uint64_t)pos, (uint64_t)(CHUNK_SIZE - at));
		struct map_chunk *c = chunk_at(g, index);

		added |= !c;
		if (!c)
			c = add_chunk_locked(g, index);
		c->seen |= page_bits(at, n);
		pos += n;
	}
	mutex_unlock(&g->map_lock);
	if (added)
		evict_chunks(g->super->client);
}

/* Maps a chunk, if the descriptor is one of those that the inode keeps. Caller holds map_lock. */
static bool map_locked(struct gofer_inode *g, struct map_chunk *c, const struct host_file *hf)
{
	void *addr;
	bool kept;

	mutex_lock(&g->lock);
	kept = hf == g->readable || hf == g->writable;
	mutex_unlock(&g->lock);
	if (!kept)
		return false;
	addr =
	    mmap(NULL, CHUNK_SIZE, PROT_READ, MAP_SHARED, hf->fd, (off_t)c->index << CHUNK_SHIFT);
	if (addr == MAP_FAILED) {
		c->seen = 0;
		return false;
	}
	stat_count(file_maps);
	c->addr = addr;
	return true;
}

/* The chunk with all those pages in it, pinned, or NULL. */
static struct map_chunk *pin_chunk(struct gofer_inode *g, const struct host_file *hf,
				   uint32_t index, uint64_t bits)
{
	struct map_chunk *c;

	mutex_lock(&g->map_lock);
	c = chunk_at(g, index);
	if (c && ((c->seen & bits) != bits || (!c->addr && !map_locked(g, c, hf))))
		c = NULL;
	if (c)
		refcount_get(&c->pins);
	mutex_unlock(&g->map_lock);
	if (c && !atomic_load_explicit(&c->used, memory_order_relaxed))
		atomic_store_explicit(&c->used, true, memory_order_relaxed);
	return c;
}

size_t filemap_read(struct gofer_inode *g, const struct host_file *hf, struct uio *to, int64_t *pos)
{
	uint64_t size = __atomic_load_n(&g->inode->size, __ATOMIC_RELAXED);
	size_t done = 0;

	if (feature_forced(FEATURE_FILE_MAPS) && (uint64_t)*pos < size && to->left)
		filemap_seen(g, *pos, MIN(to->left, size - (uint64_t)*pos));
	/* Not locked: a wrong answer means a host call too many. */
	if (!__atomic_load_n(&g->chunk_count, __ATOMIC_RELAXED) || size > FILE_SIZE_MAX)
		return 0;
	while (to->left && (uint64_t)*pos < size) {
		uint32_t at = *pos & (CHUNK_SIZE - 1);
		uint64_t n = MIN(MIN(to->left, size - (uint64_t)*pos), (uint64_t)(CHUNK_SIZE - at));
		struct map_chunk *c =
		    pin_chunk(g, hf, (uint32_t)(*pos >> CHUNK_SHIFT), page_bits(at, (uint32_t)n));
		ssize_t got;

		if (!c)
			break;
		got = uio_write_guarded(to, c->addr + at, n);
		chunk_put(c);
		if (got <= 0)
			break;
		*pos += got;
		done += (size_t)got;
		if ((uint64_t)got < n)
			break;
	}
	if (done)
		stat_count(file_map_reads);
	return done;
}

/* ---- lending ---- */

struct map_loan {
	struct pipe_loan loan;
	struct kernel *kernel;
	struct map_chunk *chunk; /* with a pin */
};

static void end_loan(struct pipe_loan *l)
{
	struct map_loan *m = container_of(l, struct map_loan, loan);

	chunk_put(m->chunk);
	atomic_fetch_sub(&m->kernel->file_loans, 1);
	free(m);
}

static bool mark_lent(struct gofer_inode *g, struct map_chunk *c)
{
	bool ok;

	mutex_lock(&g->map_lock);
	ok = !g->being_cut && chunk_at(g, c->index) == c;
	if (ok)
		c->lent = g->has_lent = true;
	mutex_unlock(&g->map_lock);
	return ok;
}

ssize_t filemap_lend(struct gofer_inode *g, const struct host_file *hf, int64_t pos, size_t max,
		     struct pipe_block *ret)
{
	uint64_t size = __atomic_load_n(&g->inode->size, __ATOMIC_RELAXED), n;
	uint32_t at = (uint32_t)pos & (CHUNK_SIZE - 1);
	struct kernel *k = g->inode->sb->kernel;
	struct map_chunk *c;
	struct map_loan *m;

	if (!__atomic_load_n(&g->chunk_count, __ATOMIC_RELAXED) || size > FILE_SIZE_MAX ||
	    (uint64_t)pos >= size)
		return 0;
	n = MIN((uint64_t)max, size - (uint64_t)pos);
	if (n < LOAN_MIN || n > CHUNK_SIZE - at)
		return 0;
	c = pin_chunk(g, hf, (uint32_t)(pos >> CHUNK_SHIFT), page_bits(at, (uint32_t)n));
	if (!c)
		return 0;
	if (atomic_fetch_add(&k->file_loans, 1) >= LOANS_MAX || !mark_lent(g, c)) {
		atomic_fetch_sub(&k->file_loans, 1);
		chunk_put(c);
		return 0;
	}
	stat_count(file_map_loans);
	m = xnew(struct map_loan);
	m->loan.end = end_loan;
	m->kernel = k;
	m->chunk = c;
	*ret = (struct pipe_block){
	    .data = (char *)(uintptr_t)(c->addr + at), .size = (uint32_t)n, .used = (uint32_t)n};
	ret->loan = &m->loan;
	return (ssize_t)n;
}

void filemap_cut_begin(struct gofer_inode *g)
{
	bool lent;

	mutex_lock(&g->map_lock);
	g->being_cut++;
	lent = g->has_lent;
	mutex_unlock(&g->map_lock);
	if (lent)
		filemap_drop(g);
}

void filemap_cut_end(struct gofer_inode *g)
{
	mutex_lock(&g->map_lock);
	g->being_cut--;
	mutex_unlock(&g->map_lock);
}
