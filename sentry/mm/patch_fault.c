/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults and stops that patched text causes, and reading it.
 *
 *	SIGILL behind the beginning of a rewritten window: the thread wants to go on with an
 *		instruction that is in the trampoline now. It is sent there; or, if no instruction
 *		of the window begins at that place, the original text comes back.
 *	SIGSEGV by a read of text that may be read: patched text is execute-only. The original
 *		comes back.
 *	any fault at an instruction in a trampoline: the guest is told of it where the instruction
 *		was. If the trampoline is not there any more, the thread just goes on in the text.
 *
 * The original text may be back already, or be on its way, when a fault comes that happened before
 * (another thread was quicker). Such a thread is sent on at the same place: if it faults there
 * again, and no text was changed in between, the fault is its own.
 */
#include <string.h>
#include <unistd.h>

#include "abi/mman.h"
#include "abi/signal.h"
#include "base/compiler.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/stats.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm_internal.h"

#define ERROR_WRITE 0x2u /* of a page fault's error code */
#define ERROR_FETCH 0x10u
#define TRAP_PAGE   14

static void set_rip(struct task *t, uint64_t rip)
{
	platform_regs(t->pt)->rip = rip;
	t->reply.set_regs = true;
	t->reply.regs = *platform_regs(t->pt);
}

/* Once at the same place, and again after each change of text. */
static bool send_on(struct task *t, uint64_t rip)
{
	const struct mm_patches *ps = &t->mm->patches;

	if (ps->changing)
		return true; /* comes back when that is over */
	if (t->patch.again == rip && t->patch.again_change == ps->changes)
		return false;
	t->patch.again = rip;
	t->patch.again_change = ps->changes;
	return true;
}

/* True: the reply brings the original back, or it is there. */
static bool bring_back(struct task *t, struct patch_map *m)
{
	if (m->state != PATCH_MAP_ON)
		return send_on(t, platform_regs(t->pt)->rip);
	if (t->mm->patches.changing && t->mm->patches.changing != t)
		return true; /* comes back when that is over */
	return mm_patches_revert(t, m) == 0;
}

/* The thread is at an instruction in the area. True: it goes on in the text. */
static bool in_area(struct task *t, const struct patch_map *m, bool gone)
{
	uint64_t offset;

	if (!patch_to_text(&m->pf->p, platform_regs(t->pt)->rip - m->area, &offset))
		return false;
	if (gone && !send_on(t, platform_regs(t->pt)->rip))
		return false;
	set_rip(t, m->start + m->pf->head + offset);
	return gone;
}

/* The thread is at an instruction in the text that isn't one. */
static bool in_window(struct task *t, struct patch_map *m)
{
	uint64_t text = m->start + m->pf->head, offset = platform_regs(t->pt)->rip - text, area;
	const struct patch_site *s = patch_site_at(&m->pf->p, offset);

	if (!s || offset == s->start)
		return false;
	if (m->state == PATCH_MAP_ON && patch_to_trampoline(&m->pf->p, offset, &area)) {
		stat_count(patch_redirects);
		set_rip(t, m->area + area);
		return true;
	}
	return bring_back(t, m);
}

static bool is_page_fault(const struct platform_fault *f)
{
	return f->signo == ABI_SIGSEGV && f->trapno == TRAP_PAGE;
}

static bool is_read(const struct platform_fault *f)
{
	return !(f->error_code & (ERROR_WRITE | ERROR_FETCH));
}

static bool fault_locked(struct task *t)
{
	const struct platform_fault *f = &t->event.fault;
	struct patch_map *m = mm_patches_area_at(t->mm, platform_regs(t->pt)->rip);

	if (m)
		return in_area(t, m,
			       f->signo == ABI_SIGSEGV && (f->error_code & ERROR_FETCH) &&
				   f->trapno == TRAP_PAGE);
	if (f->signo == ABI_SIGILL) {
		m = mm_patches_text_at(t->mm, platform_regs(t->pt)->rip);
		return m && in_window(t, m);
	}
	m = is_page_fault(f) ? mm_patches_text_at(t->mm, f->addr) : NULL;
	if (m && m->park && f->code == ABI_SEGV_MAPERR)
		return send_on(t, platform_regs(t->pt)->rip); /* between its two pages */
	if (!m || !is_read(f))
		return false;
	if (m->state == PATCH_MAP_ON)
		atomic_fetch_add(&m->pf->reads, 1);
	return bring_back(t, m);
}

bool patch_fault(struct task *t)
{
	bool mine;

	if (likely(!t->mm || !t->mm->patches.count))
		return false;
	mutex_lock(&t->mm->lock);
	mine = fault_locked(t);
	mutex_unlock(&t->mm->lock);
	if (!mine)
		t->patch.again = 0;
	return mine;
}

void patch_stopped(struct task *t)
{
	struct patch_map *m;

	if (likely(!t->mm || !t->mm->patches.count))
		return;
	mutex_lock(&t->mm->lock);
	m = mm_patches_area_at(t->mm, platform_regs(t->pt)->rip);
	if (m)
		in_area(t, m, false);
	mutex_unlock(&t->mm->lock);
}

/* ---- what the sentry reads ---- */

/* n bytes at buf are those of the patched text from va on, or some before it: as they were. */
static void unapply(const struct patch_map *m, uint64_t va, void *buf, size_t n)
{
	uint64_t text = m->start + m->pf->head;

	if (va >= text)
		patch_unapply(&m->pf->p, va - text, buf, n);
	else if (va + n > text)
		patch_unapply(&m->pf->p, 0, (uint8_t *)buf + (text - va), n - (text - va));
}

/*
 * Bytes from va on that were rewritten, as they were; how many, 0: none are there. From the copy,
 * which is in memory: the file's own may have to come from the disk.
 */
static size_t read_original(const struct patch_map *m, uint64_t va, void *buf, size_t size)
{
	const struct patch_file *pf = m->pf;
	uint64_t at = va - m->start;

	for (uint32_t i = 0; i < pf->run_count; i++) {
		const struct patch_run *r = &pf->runs[i];

		if (at < r->at || at >= r->at + r->size)
			continue;
		size = MIN(size, r->at + r->size - at);
		if (pread(pf->fd, buf, size, (off_t)(r->in_fd + (at - r->at))) != (ssize_t)size)
			return 0;
		unapply(m, va, buf, size);
		return size;
	}
	return 0;
}

bool mm_has_patches(const struct mm *mm, bool whole)
{
	return mm->patches.count && (!whole || !mm->kernel->patches->execute_only);
}

size_t patch_read(struct mm *mm, uint64_t va, void *buf, size_t size, size_t n)
{
	/* The original may be on its way, in a thread's reply. */
	bool changing = __atomic_load_n(&mm->patches.changing, __ATOMIC_RELAXED);
	struct patch_map *m;
	size_t more = 0;

	mutex_lock(&mm->patches.view_lock);
	m = n < size ? mm_patches_text_at(mm, va + n) : NULL;
	if (m && (m->state == PATCH_MAP_ON || changing))
		more = read_original(m, va + n, (char *)buf + n, size - n);
	for (uint32_t i = 0; i < mm->patches.count; i++) {
		m = &mm->patches.maps[i];
		if (m->state == PATCH_MAP_ON && m->end > va)
			unapply(m, va, buf, n);
	}
	mutex_unlock(&mm->patches.view_lock);
	return n + more;
}
