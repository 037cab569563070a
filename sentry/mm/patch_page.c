/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Anonymous text: code that a program has made or brought into memory itself. It is patched page by
 * page, and only where calls were seen to come from (platform/patch/witness.c says which sites, and
 * why that is enough to know).
 *
 * The page that is executed is a copy, as with files; the guest's own page isn't touched. It is
 * moved behind the trampolines, to the place `park`, and comes back with all that belongs to it
 * when the guest is about to do anything to it: nothing that is the host's affair (copy on write,
 * huge pages, accounting, fork) has to be imitated.
 *
 *	patched:	mmap trampolines; mremap page -> park; mmap copy -> page
 *	original:	mremap park -> page
 *
 * The second is one step for other threads, as an mmap is (patch_map.c). Within the first there is
 * a moment when nothing is mapped at the page: a thread that executes or reads it then faults and
 * is sent on at the same place (patch_fault.c), and what the sentry reads it reads from the copy. A
 * window lies within one page, so that the move of one page is all of it.
 *
 * What may be patched: private anonymous memory that is readable and executable now, and not
 * writable. So the copy is what the guest would execute until it asks for a change of the mapping,
 * which is refused to others, while one is under way, and puts the page back first:
 *
 *	mprotect, mremap, MAP_FIXED, madvise	the page comes back; what was seen there is
 *						forgotten
 *	munmap					it goes, with the page at park
 *	advice given to the host by the stub	not from then on (own_memory_locked)
 *	a read of it				the page comes back and stays, until it is changed
 *	fork					the child has both pages and the sentry's notes
 *
 * Memory that can be written and executed at once isn't patched: a store would have to be let
 * through one by one. Nor is shared memory, which may be written through another mapping (compilers
 * that keep the two apart do that), nor a file's, beyond what its cache of patched text does.
 *
 * A guest that changes its code, under running threads, finds them in the old trampolines. They
 * stay as and where they are (state STALE) until the memory is unmapped, and a thread that leaves
 * one goes on behind the call, just as if the change had been made while it was there. When the
 * page is hot again the entry is made anew from what was there before; each time it takes twice the
 * calls.
 */
#include <errno.h>
#include <string.h>

#include "abi/mman.h"
#include "base/compiler.h"
#include "base/log.h"
#include "base/mem.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/stats.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm_internal.h"

#define SITE_HOT     256u  /* calls from a site that make it worth while */
#define RENEWALS_MAX 10u   /* doublings of that */
#define PAGES_MAX    16u   /* one reply must hold what puts them all back, and the guest's change */
#define BEFORE	     14u   /* bytes from which an instruction can reach into the next */
#define AREAS_SPARE  4096u /* of the host's that the guest's may not use up */
#define WINDOW_MIN   5u
#define WINDOW_MAX   7u
#define INSN_MAX     15u

/* ---- what was seen ---- */

/* All of the window and of what has to be known behind it is on one page. */
static bool fits(uint64_t va)
{
	uint64_t at = va & (PAGE_SIZE - 1);

	return at >= WINDOW_MIN && at + INSN_MAX <= PAGE_SIZE;
}

/* The entry of va, or the coldest one in its place. */
static struct patch_seen *seen_at(struct mm_patches *ps, uint64_t va)
{
	struct patch_seen *s;

	if (!ps->seen)
		ps->seen = xcalloc(PATCH_SEEN_MAX, sizeof(*ps->seen));
	s = ps->seen;
	for (uint32_t i = 0; i < PATCH_SEEN_MAX; i++) {
		if (ps->seen[i].va == va)
			return &ps->seen[i];
		if (ps->seen[i].heat < s->heat)
			s = &ps->seen[i];
	}
	*s = (struct patch_seen){.va = va};
	return s;
}

static bool suits(const struct mm *mm, const struct vm_area *a)
{
	return a && !a->v.file && a->v.prot == (ABI_PROT_READ | ABI_PROT_EXEC) &&
	       !(a->v.flags & (ABI_MAP_SHARED | ABI_MAP_GROWSDOWN)) &&
	       !(a->advice & (AREA_DONTFORK | AREA_WIPEONFORK)) &&
	       !(a->v.name && a->v.name[0] == '[') && /* the vDSO */
	       mm->vmas.count < MM_VMAS_MAX - AREAS_SPARE;
}

static bool has_site(const struct patch_map *m, uint64_t va)
{
	return patch_site_at(&m->pf->p, va - 1 - m->start);
}

/* Calls after which a page is patched (again). */
static uint32_t hot(const struct patch_cache *c, const struct patch_map *m)
{
	if (c->forced || atomic_load(&c->mode) == PATCH_MODE_CHURN)
		return 0;
	return SITE_HOT << (m ? MIN(m->renewals, RENEWALS_MAX) : 0);
}

/* The call came from va, with this number. Lock held. */
static bool look(struct task *t, uint64_t va)
{
	const struct patch_cache *c = t->kernel->patches;
	struct mm *mm = t->mm;
	const struct patch_map *m = mm_patches_text_at(mm, va);
	const struct vm_area *a = vma_find(&mm->vmas, va);
	struct patch_seen *s;

	if (a && !a->v.file && !(t->event.type == PEV_CALL && t->event.call.fast))
		stat_count(patch_looks_anonymous);
	if (!suits(mm, a) || !fits(va))
		return false;
	if (m && m->state == PATCH_MAP_ON && has_site(m, va))
		return atomic_load(&c->mode) == PATCH_MODE_CHURN;
	if (m && m->state == PATCH_MAP_OFF && !m->by_switch)
		return false;
	if (t->event.type != PEV_CALL || t->event.call.fast)
		return false; /* not a syscall that was executed there, with a number that is known
			       */
	s = seen_at(&mm->patches, va);
	if (s->refused)
		return false;
	s->rax = platform_regs(t->pt)->orig_rax;
	s->heat += PATCH_TICK;
	return s->heat >= hot(c, m);
}

bool patch_page_look(struct task *t, uint64_t va)
{
	bool due;

	mutex_lock(&t->mm->lock);
	due = look(t, va);
	mutex_unlock(&t->mm->lock);
	return due;
}

/* ---- making it ---- */

/* Text as it is without patching. False: it can't be read. */
static bool read_text(struct task *t, uint64_t va, void *buf, size_t size)
{
	size_t n = platform_read(t->pt, platform_thread_mm(t->pt), va, buf, size);

	if (mm_has_patches(t->mm, n == size))
		n = patch_read(t->mm, va, buf, size, n);
	return n == size;
}

/* What was seen on the page from offset `from` on; the count. */
static uint32_t calls_of(const struct mm *mm, uint64_t page, uint32_t from, struct patch_call *out)
{
	const struct patch_seen *seen = mm->patches.seen;
	uint32_t count = 0;

	for (uint32_t i = 0; i < PATCH_SEEN_MAX; i++) {
		uint32_t offset = seen[i].va & (PAGE_SIZE - 1);

		if (seen[i].va - offset == page && offset >= from && !seen[i].refused)
			out[count++] = (struct patch_call){.offset = offset, .rax = seen[i].rax};
	}
	return count;
}

static void note_refused(struct mm *mm, uint64_t page, const struct patch_call *calls,
			 uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (calls[i].verdict != PATCH_OK)
			seen_at(&mm->patches, page + calls[i].offset)->refused = true;
}

/*
 * Whether an instruction of other text could reach into the page. If so only windows that lie far
 * enough behind its beginning can be known; there the page's own bytes are what is in front.
 */
static bool is_reached(struct mm *mm, const struct vm_area *a, uint64_t page)
{
	const struct vm_area *below = a->v.start == page ? vma_find(&mm->vmas, page - 1) : NULL;

	return below && (below->v.prot & ABI_PROT_EXEC);
}

static struct patch_file *make(struct task *t, const struct vm_area *a, const struct patch_map *m,
			       uint64_t page, uint32_t spread)
{
	uint32_t before = (uint32_t)MIN(page - a->v.start, (uint64_t)BEFORE), count;
	uint32_t from = is_reached(t->mm, a, page) ? BEFORE + WINDOW_MAX : 0;
	struct patch_call calls[PATCH_SEEN_MAX];
	uint8_t bytes[BEFORE + PAGE_SIZE];
	const struct patch_text text = {.bytes = bytes + before, .va = page, .size = PAGE_SIZE};
	struct patch patch;
	int err;

	count = calls_of(t->mm, page, from, calls);
	if (!count || !read_text(t, page, text.bytes, PAGE_SIZE) ||
	    (before && !read_text(t, page - before, bytes, before)))
		return NULL;
	err = patch_page(&text, before, calls, count, m ? &m->pf->p : NULL, spread, &patch);
	note_refused(t->mm, page, calls, count);
	return err ? NULL : patch_file_of_page(t->kernel->patches, text.bytes, &patch);
}

/* ---- in the address space ---- */

static bool find_place(struct task *t, struct patch_map *m)
{
	uint32_t first = (uint32_t)(m->start >> 12);

	for (uint32_t i = 0; i < PATCH_SPREADS; i++) {
		m->spread = (first + i) % PATCH_SPREADS;
		patch_page_area(m->start, m->spread, &m->area, &m->park);
		m->area_end = m->park + PAGE_SIZE;
		if (mm_patches_free_place(t->mm, t, m->area, m->area_end))
			return true;
	}
	return false;
}

static bool is_full(const struct mm_patches *ps)
{
	uint32_t pages = 0;

	for (uint32_t i = 0; i < ps->count; i++)
		pages += ps->maps[i].park != 0;
	return pages >= PAGES_MAX || ps->count >= PATCH_MAPS_MAX;
}

static bool install_new(struct task *t, const struct vm_area *a, uint64_t page)
{
	struct patch_map m = {.start = page, .end = page + PAGE_SIZE, .fd = -1};

	if (is_full(&t->mm->patches) || !find_place(t, &m))
		return false;
	m.pf = make(t, a, NULL, page, m.spread);
	if (!m.pf)
		return false;
	if (!mm_patches_order(t, &m)) {
		patch_file_put(m.pf);
		return false;
	}
	mm_patches_install(t->mm, &m);
	stat_count(patch_exchanges);
	return true;
}

/* The page was patched before: more sites of it, or what the guest has made of it since. */
static bool renew(struct task *t, const struct vm_area *a, struct patch_map *m)
{
	struct patch_file *pf = make(t, a, m, m->start, m->spread), *old = m->pf;

	if (!pf)
		return false;
	if (m->state == PATCH_MAP_ON && mm_patches_revert(t, m)) {
		patch_file_put(pf);
		return false;
	}
	mutex_lock(&t->mm->patches.view_lock);
	m->pf = pf;
	m->state = PATCH_MAP_ON;
	m->by_switch = false;
	m->renewals++;
	mutex_unlock(&t->mm->patches.view_lock);
	patch_file_put(old);
	check(mm_patches_order(t, m)); /* a plain reply has room */
	stat_count(patch_exchanges);
	return true;
}

static bool exchange(struct task *t, const struct vm_area *a, uint64_t va)
{
	uint64_t page = PAGE_ALIGN_DOWN(va);
	struct patch_map *m = mm_patches_text_at(t->mm, page);

	if (m && !m->park)
		return false;
	if (m && m->state == PATCH_MAP_OFF)
		return mm_patches_order_again(t, m);
	if (m && m->state == PATCH_MAP_RETIRED)
		return false;
	if (m && (m->state == PATCH_MAP_STALE || !has_site(m, va)))
		return renew(t, a, m);
	return !m && install_new(t, a, page);
}

bool patch_page_exchange(struct task *t, uint64_t va)
{
	const struct vm_area *a = vma_find(&t->mm->vmas, va);

	assert_held(&t->mm->lock);
	if (!t->mm->patches.seen || !suits(t->mm, a) || !fits(va) ||
	    mm_patches_busy(t->mm, t, a->v.start, a->v.end) || !exchange(t, a, va))
		return false;
	/* A page that was moved and not replaced is no state to go on from. */
	t->patch.must_not_fail = true;
	log_debug(LOGC_MM, "task %d: patched page of anonymous text at %llx", t->tid,
		  (unsigned long long)PAGE_ALIGN_DOWN(va));
	return true;
}
