/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patched text in an address space.
 *
 * Exchanging text under running threads. Nothing is ever written to a page that can be executed. A
 * thread of the guest, on its way back from a call, maps the trampolines, then the rewritten pages
 * over the original ones, or the original ones over those. Each is one mmap, during which the host
 * holds its mmap lock: it takes the old pages out of the tables, makes every CPU forget them, and
 * only then lets new ones be faulted in. So a CPU executes an instruction that it has fetched from
 * the old pages, or faults, waits, and fetches it from the new ones. That holds for
 * instructions and windows that cross a page boundary too: both pages are in the same run, hence
 * exchanged by the same mmap, and when the second can be faulted in, no CPU has the first one's old
 * translation any more. What remains are threads whose next instruction lies in a window:
 *
 *	next instruction	original -> patched		patched -> original
 *	first of a window	executes the jump		executes the original
 *	another one of it	a byte that faults: SIGILL;	executes the original
 *				goes on in the trampoline
 *	the syscall, or behind	the same bytes			the same bytes
 *	in a trampoline		(nobody is)			it is still mapped: goes on, and
 *								comes back behind the syscall
 *
 * and in each case the same is done as if nothing had been exchanged. The trampolines are mapped
 * before the text and stay until the text is unmapped or the guest wants their place; a thread that
 * is caught in one then faults, and is put back to where it is in the text (patch_fault.c).
 *
 * Order with other operations. While such a change is ordered and not yet reported, no other thread
 * of the address space may change mappings or fork:
 *
 *	thread A, first read of its text	thread B
 *	sentry: original text, ordered
 *						mprotect(text, RW), and writes to it
 *	host: mmap of the original		B's bytes are gone
 *
 * so the reply that orders it asks for a report, `changing` says who owes it, and the others wait.
 * Forks that are under way keep text from being patched: the child would not know of it. A mapping
 * that is new (patch_new_text) needs none of this: nobody can know its address yet.
 *
 * Text that was ever writable may differ from its file and is left alone (area.was_writable).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/mman.h"
#include "base/compiler.h"
#include "base/log.h"
#include "base/mem.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/lockorder.h"
#include "sentry/kernel/stats.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_block.h"
#include "sentry/mm/mm_internal.h"
#include "sentry/vfs/vfs.h"

#define READS_MAX                                                                                  \
	16u /* so many address spaces read their text: the file isn't patched any more             \
	     */

#define SYSCALL_SIZE 2u

static struct patch_cache *cache_of(const struct mm *mm)
{
	struct patch_cache *c = mm->kernel ? mm->kernel->patches : NULL;

	if (!c || atomic_load_explicit(&c->mode, memory_order_relaxed) == PATCH_MODE_OFF ||
	    atomic_load_explicit(&mm->patches.forbidden, memory_order_relaxed))
		return NULL;
	return c;
}

/* ---- life ---- */

void mm_patches_init(struct mm *mm)
{
	mutex_init(&mm->patches.view_lock, RANK_LEAF);
	waitqueue_init(&mm->patches.settled);
}

static void map_put(struct patch_map *m)
{
	patch_file_put(m->pf);
	if (m->file)
		file_put(m->file);
}

void mm_patches_destroy(struct mm *mm)
{
	for (uint32_t i = 0; i < mm->patches.count; i++)
		map_put(&mm->patches.maps[i]);
	free(mm->patches.maps);
	free(mm->patches.seen);
	waitqueue_destroy(&mm->patches.settled);
	mutex_destroy(&mm->patches.view_lock);
}

/* Caller holds view_lock, unless nobody else knows of mm. */
static struct patch_map *add_map(struct mm *mm)
{
	struct mm_patches *ps = &mm->patches;

	if (ps->count == ps->capacity) {
		ps->capacity = ps->capacity ? ps->capacity * 2 : 4;
		ps->maps = xrealloc(ps->maps, ps->capacity * sizeof(*ps->maps));
	}
	return &ps->maps[ps->count++];
}

void mm_patches_dup(struct mm *child, struct mm *parent)
{
	for (uint32_t i = 0; i < parent->patches.count; i++) {
		struct patch_map *m;

		if (parent->patches.maps[i].state == PATCH_MAP_GONE)
			continue;
		m = add_map(child);
		*m = parent->patches.maps[i];
		refcount_get(&m->pf->ref);
		if (m->file)
			file_get(m->file);
		m->maker = NULL;
	}
}

/* ---- who has to wait ---- */

/* What the reply has so far is patching's, and others wait for its report. Lock held. */
static void begin_change(struct task *t)
{
	assert_held(&t->mm->lock);
	__atomic_store_n(&t->mm->patches.changing, t, __ATOMIC_RELAXED);
	t->mm->patches.changes++;
	t->patch.memop_count = t->reply.memop_count;
	t->reply.report = true;
}

int64_t mm_patches_wait(struct task *t)
{
	struct mm_patches *ps = &t->mm->patches;

	assert_held(&t->mm->lock);
	if (likely(!ps->changing) || ps->changing == t)
		return 0;
	task_wait_add(t, &ps->settled, ~0u, NULL);
	return SYS_BLOCKED;
}

int64_t mm_patches_fork(struct task *t)
{
	int64_t ret;

	mutex_lock(&t->mm->lock);
	ret = mm_patches_wait(t);
	if (!ret)
		t->mm->patches.forks++;
	mutex_unlock(&t->mm->lock);
	return ret;
}

void mm_patches_forked(struct mm *mm)
{
	mutex_lock(&mm->lock);
	check(mm->patches.forks-- > 0);
	mutex_unlock(&mm->lock);
}

void patch_in_parts(struct task *t)
{
	struct mm *mm = t->mm;

	if (!mm || __atomic_load_n(&mm->patches.changing, __ATOMIC_RELAXED) != t)
		return;
	mutex_lock(&mm->lock);
	begin_change(t);
	mutex_unlock(&mm->lock);
}

static void set_state(struct mm *mm, struct patch_map *m, enum patch_map_state state)
{
	mutex_lock(&mm->patches.view_lock);
	m->state = state;
	mutex_unlock(&mm->patches.view_lock);
}

/* Takes one whose text is unmapped out of the list. False: there is none. */
static bool take_gone(struct mm *mm, struct patch_map *ret)
{
	struct mm_patches *ps = &mm->patches;

	for (uint32_t i = 0; i < ps->count; i++) {
		if (ps->maps[i].state != PATCH_MAP_GONE)
			continue;
		mutex_lock(&ps->view_lock);
		*ret = ps->maps[i];
		ps->maps[i] = ps->maps[ps->count - 1];
		ps->count--;
		mutex_unlock(&ps->view_lock);
		return true;
	}
	return false;
}

void patch_settled(struct task *t)
{
	struct mm *mm = t->mm;
	struct patch_map gone;
	bool any;

	if (!mm || __atomic_load_n(&mm->patches.changing, __ATOMIC_RELAXED) != t)
		return;
	t->patch.must_not_fail = false;
	t->patch.memop_count = 0;
	mutex_lock(&mm->lock);
	__atomic_store_n(&mm->patches.changing, NULL, __ATOMIC_RELAXED);
	mm->patches.changes++;
	any = take_gone(mm, &gone);
	mutex_unlock(&mm->lock);
	waitqueue_wake(&mm->patches.settled, ~0u);
	while (any) { /* the file's last reference may be among them: not with the lock held */
		map_put(&gone);
		mutex_lock(&mm->lock);
		any = take_gone(mm, &gone);
		mutex_unlock(&mm->lock);
	}
}

/* ---- the trampolines' place ---- */

static bool holds_area(const struct patch_map *m)
{
	return m->state != PATCH_MAP_RETIRED;
}

bool mm_patches_keep(const struct mm *mm, uint64_t start, uint64_t end, uint64_t *ret_start,
		     uint64_t *ret_end)
{
	for (uint32_t i = 0; i < mm->patches.count; i++) {
		const struct patch_map *m = &mm->patches.maps[i];

		if (!holds_area(m) || m->area >= end || start >= m->area_end)
			continue;
		*ret_start = m->area;
		*ret_end = m->area_end;
		return true;
	}
	return false;
}

/* ---- the original text again ---- */

static struct memop original_of(const struct patch_map *m)
{
	if (m->park)
		return (struct memop){.type = MEMOP_MREMAP,
				      .addr = m->park,
				      .size = m->end - m->start,
				      .new_addr = m->start,
				      .new_size = m->end - m->start};
	return (struct memop){.type = MEMOP_MMAP_FD,
			      .addr = m->start,
			      .size = m->end - m->start,
			      .prot = ABI_PROT_READ | ABI_PROT_EXEC,
			      .fd = m->fd,
			      .offset = m->offset};
}

static int order_original(struct task *t, struct patch_map *m)
{
	struct memop op = original_of(m);
	int err;

	if (m->state != PATCH_MAP_ON)
		return 0;
	err = task_add_memop(t, &op);
	if (err)
		return err;
	stat_count(patch_reverts);
	log_debug(LOGC_MM, "task %d: original text at %llx", t->tid, (unsigned long long)m->start);
	set_state(t->mm, m, PATCH_MAP_OFF);
	t->patch.must_not_fail = true;
	begin_change(t);
	return 0;
}

static int order_area_unmap(struct task *t, const struct patch_map *m)
{
	const struct memop op = {
	    .type = MEMOP_MUNMAP, .addr = m->area, .size = m->area_end - m->area};

	int err = task_add_memop(t, &op);

	if (!err)
		begin_change(t);
	return err;
}

/* The trampolines' place is given up, and the text is the original until it is unmapped. */
static int retire(struct task *t, struct patch_map *m)
{
	int err = order_original(t, m);

	if (!err)
		err = order_area_unmap(t, m);
	if (m->state != PATCH_MAP_GONE)
		set_state(t->mm, m, PATCH_MAP_RETIRED);
	return err;
}

#define RETIRE_OPS 2 /* at most */

/*
 * What has to be undone before an operation of the guest may take more than one answer. Then as
 * much of it as goes into this one is undone, and the handler runs again (SYS_REPORT), until the
 * rest and the `more` operations of the guest fit into one: those must not come in parts. Each text
 * is patched or is not at any moment, so nobody can tell; and `changing` keeps the others waiting
 * all the while.
 *
 *	munmap of 40 texts	12 retired, reported; 12 retired, reported; 16 and the munmap
 *
 * ops_of: how many operations a map needs. 0: all fits.
 */
static int64_t in_parts(struct task *t, uint32_t more, uint64_t start, uint64_t end,
			uint32_t (*ops_of)(const struct patch_map *m, uint64_t start, uint64_t end),
			int (*undo)(struct task *t, struct patch_map *m))
{
	struct mm_patches *ps = &t->mm->patches;
	uint32_t count = t->reply.memop_count + more;
	int64_t ret = -ENOMEM;

	for (uint32_t i = 0; i < ps->count; i++)
		count += ops_of(&ps->maps[i], start, end);
	if (likely(count <= PLATFORM_MEMOPS_MAX))
		return 0;
	for (uint32_t i = 0; i < ps->count; i++) {
		if (t->reply.memop_count + RETIRE_OPS > PLATFORM_MEMOPS_MAX)
			break;
		if (!ops_of(&ps->maps[i], start, end))
			continue;
		ret = undo(t, &ps->maps[i]) ?: SYS_REPORT;
		if (ret != SYS_REPORT)
			break;
		t->patch.must_not_fail = true;
	}
	return ret;
}

static uint32_t ops_of_change(const struct patch_map *m, uint64_t start, uint64_t end)
{
	return m->start < end && start < m->end && m->state == PATCH_MAP_ON;
}

static uint32_t ops_of_unmap(const struct patch_map *m, uint64_t start, uint64_t end)
{
	return m->start < end && start < m->end && m->state != PATCH_MAP_GONE && holds_area(m);
}

static uint32_t ops_of_replacing(const struct patch_map *m, uint64_t start, uint64_t end)
{
	return m->park && m->start >= start && m->end <= end ? 0 : ops_of_unmap(m, start, end);
}

static uint32_t ops_of_area(const struct patch_map *m, uint64_t start, uint64_t end)
{
	return holds_area(m) && m->area < end && start < m->area_end ? 2 : 0;
}

/* What was seen of anonymous text there is no longer so. */
static void forget_seen(struct mm *mm, uint64_t start, uint64_t end)
{
	struct patch_seen *seen = mm->patches.seen;

	for (uint32_t i = 0; seen && i < PATCH_SEEN_MAX; i++)
		if (seen[i].va + SYSCALL_SIZE > start && seen[i].va < end)
			seen[i] = (struct patch_seen){0};
}

/* The original comes back, if m is in the range; anonymous text may be another afterwards. */
static int changing_map(struct task *t, struct patch_map *m, uint64_t start, uint64_t end)
{
	int err;

	if (m->start >= end || start >= m->end || m->state == PATCH_MAP_GONE)
		return 0;
	err = order_original(t, m);
	if (!err && m->park && m->state == PATCH_MAP_OFF)
		set_state(t->mm, m, PATCH_MAP_STALE);
	return err;
}

int64_t mm_patches_changing(struct task *t, uint64_t start, uint64_t end)
{
	int64_t err = in_parts(t, 1, start, end, ops_of_change, order_original);

	for (uint32_t i = 0; i < t->mm->patches.count && !err; i++)
		err = changing_map(t, &t->mm->patches.maps[i], start, end);
	forget_seen(t->mm, start, end);
	return err;
}

int64_t mm_patches_advise(struct task *t, uint64_t start, uint64_t end)
{
	struct mm *mm = t->mm;
	int64_t ret = 0;
	bool any = false;

	if (likely(!mm->patches.count))
		return 0;
	mutex_lock(&mm->lock);
	for (uint32_t i = 0; i < mm->patches.count; i++)
		any |= mm->patches.maps[i].park && mm->patches.maps[i].start < end &&
		       start < mm->patches.maps[i].end;
	if (any)
		ret = mm_patches_wait(t);
	for (uint32_t i = 0; i < mm->patches.count && any && !ret; i++)
		if (mm->patches.maps[i].park)
			ret = changing_map(t, &mm->patches.maps[i], start, end);
	forget_seen(mm, start, end);
	mutex_unlock(&mm->lock);
	return ret;
}

static int unmapping_map(struct task *t, struct patch_map *m, uint64_t start, uint64_t end)
{
	int err = 0;

	if (m->start >= end || start >= m->end || m->state == PATCH_MAP_GONE)
		return 0;
	if (start > m->start || end < m->end)
		return order_original(t, m);
	if (holds_area(m))
		err = order_area_unmap(t, m);
	set_state(t->mm, m, PATCH_MAP_GONE);
	return err;
}

/*
 * Other memory takes the place of anonymous text, under threads that may run on in it: they may be
 * in the trampolines, which therefore stay. The guest's own page stays where it is, too, until the
 * place is used again: if the operation fails the text is patched as before (mm_patches_undo).
 */
static void replacing_page(struct task *t, struct patch_map *m)
{
	if (m->state == PATCH_MAP_ON) {
		begin_change(t);
		m->maker = t;
		m->maker_call = atomic_load(&t->call_count);
	}
	if (m->state != PATCH_MAP_RETIRED)
		set_state(t->mm, m, PATCH_MAP_STALE);
}

int64_t mm_patches_replacing(struct task *t, uint64_t start, uint64_t end)
{
	uint32_t more = 1 + PATCH_MEMOPS_MAX; /* it may be a file's text, patched */
	int64_t err = in_parts(t, more, start, end, ops_of_replacing, retire);

	for (uint32_t i = 0; i < t->mm->patches.count && !err; i++) {
		struct patch_map *m = &t->mm->patches.maps[i];

		if (m->park && m->start >= start && m->end <= end && m->state != PATCH_MAP_GONE)
			replacing_page(t, m);
		else
			err = unmapping_map(t, m, start, end);
	}
	forget_seen(t->mm, start, end);
	return err;
}

int64_t mm_patches_unmapping(struct task *t, uint64_t start, uint64_t end)
{
	int64_t err = in_parts(t, 1, start, end, ops_of_unmap, retire);

	for (uint32_t i = 0; i < t->mm->patches.count && !err; i++)
		err = unmapping_map(t, &t->mm->patches.maps[i], start, end);
	forget_seen(t->mm, start, end);
	return err;
}

int64_t mm_patches_yield(struct task *t, uint64_t start, uint64_t end)
{
	int64_t err = in_parts(t, 1, start, end, ops_of_area, retire);

	for (uint32_t i = 0; i < t->mm->patches.count && !err; i++)
		if (ops_of_area(&t->mm->patches.maps[i], start, end))
			err = retire(t, &t->mm->patches.maps[i]);
	return err;
}

void mm_patches_undo(struct task *t)
{
	struct mm *mm = t->mm;
	uint64_t call = atomic_load(&t->call_count);

	for (uint32_t i = 0; i < mm->patches.count; i++) {
		struct patch_map *m = &mm->patches.maps[i];

		if (m->maker == t && m->maker_call == call)
			set_state(mm, m, m->park ? PATCH_MAP_ON : PATCH_MAP_GONE);
	}
}

/* ---- patched text ---- */

static uint32_t patched_prot(const struct mm *mm)
{
	return ABI_PROT_EXEC | (mm->kernel->patches->execute_only ? 0 : (uint32_t)ABI_PROT_READ);
}

/* The trampolines, then the text; the guest's own page of anonymous text goes out of the way. */
static uint32_t memops_of(const struct mm *mm, const struct patch_map *m, struct memop *out)
{
	const struct patch_file *pf = m->pf;
	uint32_t count = 0;

	out[count++] = (struct memop){.type = MEMOP_MMAP_FD,
				      .addr = m->area,
				      .size = pf->p.area_size,
				      .prot = patched_prot(mm),
				      .fd = pf->fd,
				      .offset = pf->area_in_fd};
	if (m->park)
		out[count++] = (struct memop){.type = MEMOP_MREMAP,
					      .addr = m->start,
					      .size = m->end - m->start,
					      .new_addr = m->park,
					      .new_size = m->end - m->start};
	for (uint32_t i = 0; i < pf->run_count; i++)
		out[count++] = (struct memop){.type = MEMOP_MMAP_FD,
					      .addr = m->start + pf->runs[i].at,
					      .size = pf->runs[i].size,
					      .prot = patched_prot(mm),
					      .fd = pf->fd,
					      .offset = pf->runs[i].in_fd};
	return count;
}

bool mm_patches_free_place(struct mm *mm, const struct task *t, uint64_t start, uint64_t end)
{
	uint64_t kept_start, kept_end;

	return start >= PLATFORM_GUEST_MIN && start < end && end <= PLATFORM_GUEST_MAX &&
	       !vma_any(&mm->vmas, start, end) &&
	       !mm_patches_keep(mm, start, end, &kept_start, &kept_end) &&
	       !(t && op_conflict(mm, t, start, end));
}

/* Fills in where all of it goes; false if it can't. */
static bool place(struct mm *mm, struct patch_map *m, const struct task *t)
{
	const struct patch_file *pf = m->pf;
	uint64_t text = m->start + pf->head;

	if (m->end - m->start != pf->high - pf->low || m->offset != pf->low)
		return false;
	m->area = text + (uint64_t)pf->p.area_distance;
	m->area_end = m->area + pf->p.area_size;
	return mm_patches_free_place(mm, t, m->area, m->area_end);
}

struct patch_map *mm_patches_text_at(struct mm *mm, uint64_t va)
{
	struct patch_map *stale = NULL;

	for (uint32_t i = 0; i < mm->patches.count; i++) {
		struct patch_map *m = &mm->patches.maps[i];

		if (va < m->start || va >= m->end || m->state == PATCH_MAP_GONE)
			continue;
		if (m->state != PATCH_MAP_STALE)
			return m;
		stale = m;
	}
	return stale;
}

struct patch_map *mm_patches_area_at(struct mm *mm, uint64_t va)
{
	for (uint32_t i = 0; i < mm->patches.count; i++)
		if (mm->patches.maps[i].area <= va && va < mm->patches.maps[i].area_end)
			return &mm->patches.maps[i];
	return NULL;
}

/* Notes that m is patched text now; takes the reference to m->pf over. */
void mm_patches_install(struct mm *mm, const struct patch_map *m)
{
	struct patch_map *to;

	mutex_lock(&mm->patches.view_lock);
	to = add_map(mm);
	*to = *m;
	if (to->file)
		file_get(to->file);
	to->state = PATCH_MAP_ON;
	mutex_unlock(&mm->patches.view_lock);
}

/* Where patching doesn't pay, because the text is put back in many processes. */
static bool too_often_read(const struct patch_cache *c, struct patch_file *pf)
{
	return !c->forced && atomic_load(&c->mode) != PATCH_MODE_CHURN &&
	       atomic_load(&pf->reads) > READS_MAX;
}

static struct patch_file *ready_file(const struct mm *mm, int fd)
{
	struct patch_cache *c = cache_of(mm);
	struct patch_file *pf;

	if (!c || !c->count)
		return NULL;
	pf = patch_file_get(c, fd, false);
	if (pf && (atomic_load(&pf->state) != PATCH_READY || too_often_read(c, pf))) {
		patch_file_put(pf);
		pf = NULL;
	}
	return pf;
}

uint32_t mm_patches_new_text(struct mm *mm, struct task *t, const struct mm_map_args *a, int fd,
			     struct memop *out)
{
	struct patch_map m = {.start = a->addr,
			      .end = a->addr + a->size,
			      .file = a->file,
			      .fd = fd,
			      .offset = a->offset,
			      .maker = t,
			      .maker_call = t ? atomic_load(&t->call_count) : 0};

	assert_held(&mm->lock);
	if (a->prot != (ABI_PROT_READ | ABI_PROT_EXEC) || mm->patches.count >= PATCH_MAPS_MAX ||
	    mm_patches_text_at(mm, a->addr))
		return 0;
	m.pf = ready_file(mm, fd);
	if (!m.pf)
		return 0;
	if (!place(mm, &m, t)) {
		patch_file_put(m.pf);
		return 0;
	}
	stat_count(patch_maps);
	log_debug(LOGC_MM, "patched text at %llx", (unsigned long long)m.start);
	mm_patches_install(mm, &m);
	return memops_of(mm, &m, out);
}

uint32_t patch_new_text(struct mm *mm, struct file *f, int fd, uint64_t start, uint64_t size,
			uint64_t offset, struct memop *out)
{
	const struct mm_map_args a = {.addr = start,
				      .size = size,
				      .prot = ABI_PROT_READ | ABI_PROT_EXEC,
				      .file = f,
				      .offset = offset};
	uint32_t count;

	if (!cache_of(mm))
		return 0;
	mutex_lock(&mm->lock);
	count = mm_patches_new_text(mm, NULL, &a, fd, out);
	mutex_unlock(&mm->lock);
	return count;
}

/* ---- text that runs ---- */

int mm_patches_revert(struct task *t, struct patch_map *m)
{
	return order_original(t, m);
}

/* Whether operations of other threads that touch the range may still be under way. */
static bool ops_under_way(const struct mm *mm, const struct task *t, uint64_t start, uint64_t end)
{
	const struct mm_op *op;

	list_for_each (op, &mm->ops, link) {
		if (op->task == t || op_over(op))
			continue;
		for (uint32_t i = 0; i < op->saved_count; i++)
			if (op->saved[i].start < end && start < op->saved[i].end)
				return true;
	}
	return false;
}

bool mm_patches_busy(const struct mm *mm, const struct task *t, uint64_t start, uint64_t end)
{
	return mm->patches.changing || mm->patches.forks || ops_under_way(mm, t, start, end);
}

static bool may_exchange(const struct mm *mm, const struct task *t, const struct vm_area *a)
{
	return a && a->v.prot == (ABI_PROT_READ | ABI_PROT_EXEC) && !a->was_writable &&
	       !(a->v.flags & ABI_MAP_SHARED) && !mm_patches_busy(mm, t, a->v.start, a->v.end);
}

bool mm_patches_order(struct task *t, const struct patch_map *m)
{
	struct memop ops[PATCH_MEMOPS_MAX];
	uint32_t count = memops_of(t->mm, m, ops);

	for (uint32_t i = 0; i < count; i++)
		if (task_add_memop(t, &ops[i]))
			return false;
	begin_change(t);
	return true;
}

/* The text was patched before, until patching was switched off. */
bool mm_patches_order_again(struct task *t, struct patch_map *m)
{
	if (m->state != PATCH_MAP_OFF || !m->by_switch || !mm_patches_order(t, m))
		return false;
	stat_count(patch_exchanges);
	set_state(t->mm, m, PATCH_MAP_ON);
	m->by_switch = false;
	return true;
}

bool mm_patches_exchange(struct task *t, uint64_t va, struct file *f, int fd)
{
	struct mm *mm = t->mm;
	const struct vm_area *a = vma_find(&mm->vmas, va);
	struct patch_map *there = mm_patches_text_at(mm, va), m;

	assert_held(&mm->lock);
	if (!may_exchange(mm, t, a) || a->v.file != f || mm->patches.count >= PATCH_MAPS_MAX)
		return false;
	if (there)
		return mm_patches_order_again(t, there);
	m = (struct patch_map){
	    .start = a->v.start, .end = a->v.end, .file = f, .fd = fd, .offset = a->v.offset};
	m.pf = ready_file(mm, fd);
	if (!m.pf)
		return false;
	if (!place(mm, &m, t) || !mm_patches_order(t, &m)) {
		patch_file_put(m.pf);
		return false;
	}
	stat_count(patch_exchanges);
	log_debug(LOGC_MM, "task %d: patched text at %llx", t->tid, (unsigned long long)m.start);
	mm_patches_install(mm, &m);
	return true;
}
