/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When text is patched.
 *
 * Every so many calls of a task it is looked where the present one came from. Such samples make a
 * file hot; a hot file is analysed once, by the worker that saw it, after its guest has its reply
 * and without the lead. A process that runs gets the patched text when it goes on calling from
 * there, with the reply to a call. If patching is forced, all of that happens with the first call.
 */
#include <errno.h>
#include <stdlib.h>

#include "abi/mman.h"
#include "base/feature.h"
#include "base/mem.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/own.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/stats.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_block.h"
#include "sentry/mm/mm_internal.h"
#include "sentry/vfs/vfs.h"

#define TICK_CHURN   4u	   /* calls between two exchanges of PATCH_MODE_CHURN */
#define TICK_LONG    256u  /* where nothing can be done */
#define FILE_HOT     2048u /* calls from a file that make it worth while to analyse it */
#define TASK_TICKS   4u	   /* looks before the text of a running process is exchanged */
#define SYSCALL_SIZE 2u

/* A file that this worker is to analyse when its guest goes on. */
static __thread struct {
	struct platform *platform;
	struct patch_file *pf; /* reference */
	struct file *file;     /* reference, owner of fd */
	int fd;
} job;

static enum patch_mode mode_of(const struct patch_cache *c)
{
	return atomic_load_explicit(&c->mode, memory_order_relaxed);
}

/* Original text only, in the sandbox or in this address space. */
static bool is_off(const struct task *t)
{
	return mode_of(t->kernel->patches) == PATCH_MODE_OFF ||
	       atomic_load_explicit(&t->mm->patches.forbidden, memory_order_relaxed);
}

static void set_due(struct task *t)
{
	atomic_store_explicit(&t->patch.due, true, memory_order_relaxed);
}

/* ---- what the call came from ---- */

/* The file whose text holds va and could be patched, with a reference; or NULL. */
static struct file *text_file(struct task *t, uint64_t va, bool *ret_patched)
{
	struct mm *mm = t->mm;
	const struct vm_area *a;
	struct patch_map *m;
	struct file *f = NULL;

	mutex_lock(&mm->lock);
	a = vma_find(&mm->vmas, va);
	m = mm_patches_text_at(mm, va);
	*ret_patched = m && (m->state == PATCH_MAP_ON || !m->by_switch);
	if (a && a->v.file && a->v.prot == (ABI_PROT_READ | ABI_PROT_EXEC) && !a->was_writable &&
	    !(a->v.flags & ABI_MAP_SHARED) && a->v.file->ops->mmap_fd)
		f = file_get(a->v.file);
	mutex_unlock(&mm->lock);
	return f;
}

static int text_fd(struct file *f)
{
	return f->ops->mmap_fd(f, ABI_PROT_READ | ABI_PROT_EXEC, ABI_MAP_PRIVATE);
}

static bool claim(struct patch_file *pf)
{
	enum patch_state cold = PATCH_COLD;

	return !patch_file_is_young(pf) &&
	       atomic_compare_exchange_strong(&pf->state, &cold, PATCH_WORKING);
}

static void prepare(struct platform *p, struct patch_file *pf, int fd)
{
	worker_going_long();
	platform_computes(p, true);
	patch_file_prepare(pf, fd);
	platform_computes(p, false);
}

/* The file is worth it: now, if patching is forced, else when the guest has its reply. */
static void analyse(struct kernel *k, struct patch_file *pf, struct file *f, int fd)
{
	if (k->patches->forced) {
		prepare(k->platform, pf, fd);
	} else if (job.pf) {
		atomic_store(&pf->state, PATCH_COLD);
	} else {
		job.platform = k->platform;
		job.pf = pf;
		refcount_get(&pf->ref);
		job.file = file_get(f);
		job.fd = fd;
	}
}

static void consider(struct task *t, struct patch_cache *c, struct file *f)
{
	int fd = text_fd(f);
	struct patch_file *pf = patch_file_get(c, fd, true);

	if (!pf)
		return;
	atomic_fetch_add(&pf->heat, PATCH_TICK);
	if ((c->forced || atomic_load(&pf->heat) >= FILE_HOT) && claim(pf))
		analyse(t->kernel, pf, f, fd);
	switch (atomic_load(&pf->state)) {
	case PATCH_READY:
		if (c->forced || ++t->patch.ticks >= TASK_TICKS)
			set_due(t);
		break;
	case PATCH_NEVER:
		t->patch.countdown = TICK_LONG;
		break;
	default:
		break;
	}
	patch_file_put(pf);
}

bool patch_possible(const struct kernel *k)
{
	return k->patches && platform_fast_entry(k->platform);
}

int patch_switch(struct kernel *k, enum patch_mode mode)
{
	if (!patch_possible(k))
		return mode == PATCH_MODE_OFF ? 0 : -EOPNOTSUPP;
	atomic_store(&k->patches->mode, mode);
	return 0;
}

void patch_tick(struct task *t)
{
	struct patch_cache *c = t->kernel->patches;
	struct file *f;
	uint64_t va;
	bool patched;

	t->patch.countdown = PATCH_TICK;
	if (!patch_possible(t->kernel)) {
		t->patch.countdown = UINT32_MAX;
		return;
	}
	if (!t->mm)
		return;
	if (is_off(t)) {
		if (t->mm->patches.count > 0)
			set_due(t);
		return;
	}
	va = platform_regs(t->pt)->rip - SYSCALL_SIZE;
	if (t->event.type != PEV_CALL || !t->event.call.fast)
		stat_count(patch_looks);
	f = text_file(t, va, &patched);
	if (f && !patched)
		consider(t, c, f);
	else if (f ? mode_of(c) == PATCH_MODE_CHURN : patch_page_look(t, va))
		set_due(t);
	else if (f)
		t->patch.countdown = TICK_LONG;
	if (mode_of(c) == PATCH_MODE_CHURN)
		t->patch.countdown = TICK_CHURN;
	if (f)
		file_put(f);
}

void patch_after_reply(void)
{
	if (likely(!job.pf))
		return;
	prepare(job.platform, job.pf, job.fd);
	patch_file_put(job.pf);
	file_put(job.file);
	job.pf = NULL;
}

/* ---- doing it ---- */

/* All original text comes back, for as long as it is switched off. False: not yet all of it. */
static bool switch_off(struct task *t)
{
	struct mm *mm = t->mm;

	for (uint32_t i = 0; i < mm->patches.count; i++) {
		struct patch_map *m = &mm->patches.maps[i];

		if (m->state != PATCH_MAP_ON)
			continue;
		if ((mm->patches.changing && mm->patches.changing != t) || mm_patches_revert(t, m))
			return false;
		m->by_switch = true;
	}
	return true;
}

static void put_back(struct task *t)
{
	bool all;

	mutex_lock(&t->mm->lock);
	all = switch_off(t);
	mutex_unlock(&t->mm->lock);
	if (!all)
		set_due(t);
}

static void exchange(struct task *t)
{
	uint64_t va = platform_regs(t->pt)->rip - SYSCALL_SIZE;
	bool patched = false;
	struct file *f = text_file(t, va, &patched);
	int fd = f && !patched ? text_fd(f) : -1;

	if (patched && mode_of(t->kernel->patches) == PATCH_MODE_CHURN) {
		put_back(t);
	} else if (!f || fd >= 0) {
		if (!f)
			own_memory_locked(t->kernel);
		mutex_lock(&t->mm->lock);
		if (f)
			mm_patches_exchange(t, va, f, fd);
		else
			patch_page_exchange(t, va);
		mutex_unlock(&t->mm->lock);
	}
	if (f)
		file_put(f);
}

static bool is_plain(const struct task *t)
{
	const struct platform_reply *r = &t->reply;

	return t->event.type != PEV_STARTED && t->event.type != PEV_REPORT && !r->memop_count &&
	       r->order == PORD_NONE && !r->report && !r->frame && !r->restart;
}

void patch_now(struct task *t)
{
	struct platform_reply plain = t->reply;

	if (!t->mm || !is_plain(t))
		return;
	atomic_store_explicit(&t->patch.due, false, memory_order_relaxed);
	if (is_off(t))
		put_back(t);
	else if (t->event.type == PEV_CALL || t->event.type == PEV_SITE)
		exchange(t);
	if (!t->reply.report)
		return;
	if (!t->patch.saved)
		t->patch.saved = xnew(struct platform_reply);
	*t->patch.saved = plain;
}

bool patch_failed(struct task *t, uint32_t index)
{
	if (index >= t->patch.memop_count)
		return false;
	if (t->patch.must_not_fail)
		signal_exit_group(t->tg, ABI_SIGKILL);
	else if (t->patch.saved)
		t->reply = *t->patch.saved;
	return true;
}

/* ---- one address space ---- */

void patch_mm_switch(struct kernel *k, struct mm *mm, bool on)
{
	struct task *t;

	atomic_store(&mm->patches.forbidden, !on);
	if (on)
		return;
	mutex_lock(&k->tasks_lock);
	for (int64_t id = idmap_next(&k->tids, 0, (void **)&t); id >= 0;
	     id = idmap_next(&k->tids, (uint32_t)id + 1, (void **)&t)) {
		if (t->mm != mm)
			continue;
		set_due(t);
		task_notify(t);
	}
	mutex_unlock(&k->tasks_lock);
}

bool patch_mm_is_original(struct mm *mm)
{
	bool original;

	mutex_lock(&mm->lock);
	original = !mm->patches.changing;
	for (uint32_t i = 0; i < mm->patches.count; i++)
		original &= mm->patches.maps[i].state != PATCH_MAP_ON;
	mutex_unlock(&mm->lock);
	return original;
}

void patch_task_new(struct task *child)
{
	const struct patch_cache *c = child->kernel->patches;

	if (c && !c->forced)
		child->patch.countdown = (uint32_t)child->tid % PATCH_TICK;
}

void patch_task_destroy(struct task *t)
{
	free(t->patch.saved);
}
