/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The patched texts of the sandbox's files: known by what the host says of the file (so a file that
 * is written to is another file, and the next one that asks for it gets the original), made once.
 *
 * A file that was written to in the last moments may be written to again without its time being
 * seen to change; it has to wait.
 */
#include "sentry/mm/patch_cache.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/feature.h"
#include "base/log.h"
#include "base/mem.h"
#include "sentry/kernel/lockorder.h"
#include "sentry/kernel/stats.h"
#include "sentry/kernel/timer.h"
#include "sentry/mm/mm.h"

#define FILES_MAX  128u
#define YOUNG_NS   100000000ll
#define GAP_MIN	   (16 * PAGE_SIZE) /* pages without sites that end a run */
#define AREA_PIECE PAGE_SIZE
#define PAGES_MAX  512u

static bool has_protection_keys(void)
{
	unsigned a, b, c, d;

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (c & 1u << 4 /* OSPKE */);
}

struct patch_cache *patch_cache_new(void)
{
	struct patch_cache *c;
	bool keys;

	if (feature_off(FEATURE_PATCH))
		return NULL;
	keys = has_protection_keys();
	if (!keys && !feature_forced(FEATURE_PATCH))
		return NULL;
	c = xnew(struct patch_cache);
	mutex_init(&c->lock, RANK_LEAF);
	list_init(&c->files);
	c->forced = feature_forced(FEATURE_PATCH);
	c->execute_only = keys;
	return c;
}

void patch_cache_destroy(struct patch_cache *c)
{
	struct patch_file *pf, *next;

	if (!c)
		return;
	list_for_each_safe (pf, next, &c->files, link)
		patch_file_put(pf);
	mutex_destroy(&c->lock);
	free(c);
}

/* ---- files ---- */

static bool identify(int fd, struct patch_id *ret)
{
	struct stat st;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return false;
	*ret =
	    (struct patch_id){st.st_dev, st.st_ino, (uint64_t)st.st_size, st.st_mtim, st.st_ctim};
	return true;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool same_id(const struct patch_id *a, const struct patch_id *b)
{
	return a->ino == b->ino && a->dev == b->dev && a->size == b->size &&
	       same_time(&a->mtime, &b->mtime) && same_time(&a->ctime, &b->ctime);
}

void patch_file_put(struct patch_file *pf)
{
	if (!refcount_put(&pf->ref))
		return;
	patch_free(&pf->p);
	if (pf->fd >= 0)
		close(pf->fd);
	if (pf->counted)
		atomic_fetch_sub(pf->counted, 1);
	free(pf);
}

static struct patch_file *find_locked(struct patch_cache *c, const struct patch_id *id)
{
	struct patch_file *pf;

	list_for_each (pf, &c->files, link) {
		if (!same_id(&pf->id, id))
			continue;
		list_del(&pf->link);
		list_add_head(&c->files, &pf->link);
		return pf;
	}
	return NULL;
}

static struct patch_file *add_locked(struct patch_cache *c, const struct patch_id *id)
{
	struct patch_file *pf = xnew(struct patch_file);

	refcount_init(&pf->ref);
	pf->id = *id;
	pf->fd = -1;
	list_add_head(&c->files, &pf->link);
	c->count++;
	return pf;
}

struct patch_file *patch_file_get(struct patch_cache *c, int fd, bool make)
{
	struct patch_file *pf, *old = NULL;
	struct patch_id id;

	if (fd < 0 || !identify(fd, &id))
		return NULL;
	mutex_lock(&c->lock);
	pf = find_locked(c, &id);
	if (!pf && make)
		pf = add_locked(c, &id);
	if (pf)
		refcount_get(&pf->ref);
	if (c->count > FILES_MAX) {
		old = list_entry(c->files.prev, struct patch_file, link);
		list_del(&old->link);
		c->count--;
	}
	mutex_unlock(&c->lock);
	if (old)
		patch_file_put(old);
	return pf;
}

/* ---- making one ---- */

static bool read_host(void *arg, void *buf, size_t size, uint64_t pos)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n =
		    pread(*(int *)arg, (char *)buf + done, size - done, (off_t)(pos + done));

		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

static uint64_t first_page_of(const struct patch_file *pf, uint32_t site)
{
	return PAGE_ALIGN_DOWN(pf->head + pf->p.sites[site].start);
}

static uint64_t last_page_of(const struct patch_file *pf, uint32_t site)
{
	const struct patch_site *s = &pf->p.sites[site];

	return PAGE_ALIGN_DOWN(pf->head + s->start + s->size - 1);
}

/* Runs that end at gaps of at least `gap` bytes; their count may be more than there is room for. */
static uint32_t cut_runs(struct patch_file *pf, uint64_t gap)
{
	struct patch_run run = {first_page_of(pf, 0), 0, 0};
	uint32_t count = 0;

	for (uint32_t i = 0; i < pf->p.site_count; i++) {
		bool last = i + 1 == pf->p.site_count;

		run.size = last_page_of(pf, i) + PAGE_SIZE - run.at;
		if (!last && first_page_of(pf, i + 1) < run.at + run.size + gap)
			continue;
		if (count < PATCH_RUNS_MAX)
			pf->runs[count] = run;
		count++;
		if (!last)
			run = (struct patch_run){first_page_of(pf, i + 1), 0, 0};
	}
	return count;
}

static void choose_runs(struct patch_file *pf)
{
	uint64_t gap = GAP_MIN, in_fd = 0;

	while ((pf->run_count = cut_runs(pf, gap)) > PATCH_RUNS_MAX)
		gap *= 2;
	for (uint32_t i = 0; i < pf->run_count; i++) {
		pf->runs[i].in_fd = in_fd;
		in_fd += pf->runs[i].size;
	}
	pf->area_in_fd = in_fd;
}

static bool write_all(int fd, const uint8_t *buf, size_t size, uint64_t pos)
{
	return pwrite(fd, buf, size, (off_t)pos) == (ssize_t)size;
}

/* One run: the file's bytes, rewritten. What is behind the file's end stays zero. */
static bool write_run(struct patch_file *pf, int from, const struct patch_run *run)
{
	uint64_t pos = pf->low + run->at, size = MIN(run->size, pf->id.size - pos);
	uint8_t *buf = xmalloc(size);
	uint64_t skip = run->at < pf->head ? pf->head - run->at : 0; /* before the text */
	bool ok = read_host(&from, buf, size, pos);

	if (ok && skip < size)
		patch_apply(&pf->p, run->at + skip - pf->head, buf + skip, size - skip);
	ok = ok && write_all(pf->fd, buf, size, run->in_fd);
	free(buf);
	return ok;
}

static bool any_byte(const uint8_t *p, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (p[i])
			return true;
	return false;
}

static bool write_area(const struct patch_file *pf)
{
	for (uint64_t at = 0; at < pf->p.area_size; at += AREA_PIECE)
		if (any_byte(pf->p.area + at, AREA_PIECE) &&
		    !write_all(pf->fd, pf->p.area + at, AREA_PIECE, pf->area_in_fd + at))
			return false;
	return true;
}

static bool begin_memfd(struct patch_file *pf)
{
	pf->fd = memfd_create("text", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return pf->fd >= 0 && !ftruncate(pf->fd, (off_t)(pf->area_in_fd + pf->p.area_size));
}

/* The runs are written: the trampolines, and then nobody changes it any more. */
static bool end_memfd(const struct patch_file *pf)
{
	return write_area(pf) && !fcntl(pf->fd, F_ADD_SEALS,
					F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
}

static bool write_memfd(struct patch_file *pf, int from)
{
	bool ok = begin_memfd(pf);

	for (uint32_t i = 0; i < pf->run_count && ok; i++)
		ok = write_run(pf, from, &pf->runs[i]);
	return ok && end_memfd(pf);
}

/* True: there are sites, and all is ready. */
static bool make(struct patch_file *pf, int fd)
{
	struct patch_source src = {.read = read_host, .arg = &fd, .size = pf->id.size};
	struct patch_text text;
	struct patch_id id;
	bool ok;

	if (patch_text_read(&src, &text))
		return false;
	pf->head = text.va & (PAGE_SIZE - 1);
	pf->low = PAGE_ALIGN_DOWN(text.offset);
	pf->high = PAGE_ALIGN_UP(text.offset + text.size);
	ok = !patch_analyze(&text, (uint32_t)(pf->id.ino * 2654435761u >> 7), NULL, NULL, &pf->p);
	patch_text_free(&text);
	if (!ok || !pf->p.site_count)
		return false;
	choose_runs(pf);
	ok = write_memfd(pf, fd) && identify(fd, &id) && same_id(&id, &pf->id);
	free(pf->p.area);
	pf->p.area = NULL;
	return ok;
}

bool patch_file_is_young(const struct patch_file *pf)
{
	int64_t now = (int64_t)time_realtime_ns();
	int64_t then = pf->id.mtime.tv_sec * 1000000000ll + pf->id.mtime.tv_nsec;

	return then > now - YOUNG_NS && then < now + YOUNG_NS;
}

void patch_file_prepare(struct patch_file *pf, int fd)
{
	stat_count(patch_files);
	if (make(pf, fd)) {
		log_debug(LOGC_MM, "patched text: inode %llu, %u sites, %llu KiB",
			  (unsigned long long)pf->id.ino, pf->p.site_count,
			  (unsigned long long)(pf->area_in_fd >> 10));
		atomic_store(&pf->state, PATCH_READY);
		return;
	}
	patch_free(&pf->p);
	atomic_store(&pf->state, PATCH_NEVER);
}

/* ---- pages of anonymous text ---- */

static bool write_page(struct patch_file *pf, const uint8_t *page)
{
	uint8_t bytes[PAGE_SIZE];

	memcpy(bytes, page, sizeof(bytes));
	patch_apply(&pf->p, 0, bytes, sizeof(bytes));
	return begin_memfd(pf) && write_all(pf->fd, bytes, sizeof(bytes), 0) && end_memfd(pf);
}

struct patch_file *patch_file_of_page(struct patch_cache *c, const uint8_t *page, struct patch *p)
{
	struct patch_file *pf = xnew(struct patch_file);

	refcount_init(&pf->ref);
	pf->fd = -1;
	pf->p = *p;
	pf->high = pf->area_in_fd = PAGE_SIZE;
	pf->runs[0] = (struct patch_run){0, PAGE_SIZE, 0};
	pf->run_count = 1;
	pf->counted = &c->pages;
	atomic_store(&pf->state, PATCH_READY);
	if (atomic_fetch_add(&c->pages, 1) < PAGES_MAX && write_page(pf, page))
		return pf;
	patch_file_put(pf);
	return NULL;
}
