/* SPDX-License-Identifier: Apache-2.0 */
/* The platform's objects: address spaces, host processes, threads, slots. */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "platform/backend.h"
#include "platform/internal.h"

/* Fetched by the page: a call of the host for each would be a tenth of what a thread costs. */
uint64_t random_token(void)
{
	static __thread uint64_t stock[32];
	static __thread uint32_t left;
	uint64_t token = 0;

	while (token == 0) {
		if (left == 0) {
			check(getrandom(stock, sizeof(stock), 0) == sizeof(stock));
			left = array_count(stock);
		}
		token = stock[--left];
		stock[left] = 0;
	}
	return token;
}

struct platform_mm *mm_create(struct platform *p, uint32_t first_slot, int *ret_err)
{
	struct platform_mm *mm = xnew(struct platform_mm);
	int err;

	refcount_init(&mm->refs);
	mm->p = p;
	mm->first_slot = first_slot;
	list_init(&mm->processes);
	list_init(&mm->free_slots);
	err = channels_map(mm);
	if (err < 0) {
		free(mm);
		*ret_err = err;
		return NULL;
	}
	return mm;
}

void platform_mm_put(struct platform_mm *mm)
{
	struct free_slot *f, *tmp;

	if (!refcount_put(&mm->refs))
		return;
	list_for_each_safe (f, tmp, &mm->free_slots, link)
		free(f);
	channels_unmap(mm);
	free(mm);
}

/* Takes over the caller's reference to mm. */
struct platform_thread *thread_create(struct platform_mm *mm, uint32_t slot,
				      enum platform_clone kind, void *cookie)
{
	struct platform_thread *t = xnew(struct platform_thread);

	refcount_init(&t->refs);
	t->p = mm->p;
	t->mm = mm;
	t->slot = slot;
	t->ch = slot == mm->first_slot ? mm->home : &mm->rest[slot];
	t->kind = kind;
	t->regs_known = true; /* as whoever prepares it says */
	t->cookie = cookie;
	t->token = random_token();
	t->own_stack_inherited = kind == PCLONE_FORK;
	mutex_init(&t->lock, RANK_PLATFORM_THREAD);
	list_init(&t->link);
	list_init(&t->process_link);
	list_init(&t->place);
	return t;
}

static void process_put(struct host_process *process)
{
	if (!process || !refcount_put(&process->refs))
		return;
	platform_mm_put(process->mm);
	free(process);
}

void platform_thread_unref(struct platform_thread *t)
{
	if (!refcount_put(&t->refs))
		return;
	check(!list_linked(&t->link) && !list_linked(&t->process_link) && !list_linked(&t->place));
	process_put(t->process);
	process_put(t->creator);
	platform_mm_put(t->mm);
	mutex_destroy(&t->lock);
	free(t);
}

int slot_take_locked(struct platform_mm *mm, uint32_t *ret_slot, bool *ret_fresh)
{
	struct free_slot *f;

	list_for_each (f, &mm->free_slots, link) {
		if (!f->gone && atomic_load(&channel_of_locked(mm, f->slot)->tid_word) != 0)
			continue;
		*ret_slot = f->slot;
		*ret_fresh = f->fresh;
		list_del(&f->link);
		free(f);
		return 0;
	}
	if (mm->slot_high == mm->first_slot)
		mm->slot_high++;
	if (mm->slot_high >= STUB_SLOTS)
		return -EAGAIN;
	if (!channel_of_locked(mm, mm->slot_high))
		return -ENOMEM;
	*ret_slot = mm->slot_high++;
	*ret_fresh = true;
	return 0;
}

void slot_release_locked(struct platform_mm *mm, uint32_t slot, bool gone, bool fresh)
{
	struct free_slot *f = xnew(struct free_slot);

	f->slot = slot;
	f->gone = gone;
	f->fresh = fresh;
	list_add_head(&mm->free_slots, &f->link);
}

#define BIRTH_SLICE_MS	 2
#define BIRTH_SLICES_MAX 5000 /* not by the clock: we may be frozen along with the guest */

/* Whoever waits in mm_await_birth need do so no longer. */
static void mm_born(struct platform_mm *mm)
{
	struct platform *p = mm->p;

	if (atomic_exchange(&mm->born, true) || likely(!atomic_load(&p->birth_waiters)))
		return;
	atomic_fetch_add(&p->births, 1);
	syscall(SYS_futex, &p->births, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void mm_await_birth(struct platform_mm *mm)
{
	struct timespec slice = {.tv_nsec = BIRTH_SLICE_MS * 1000000l};
	struct platform *p = mm->p;
	uint32_t seen;

	atomic_fetch_add(&p->birth_waiters, 1);
	for (int i = 0; i < BIRTH_SLICES_MAX; i++) {
		seen = atomic_load(&p->births);
		if (atomic_load(&mm->born))
			break;
		if (!p->backend->receive_aside || !p->backend->receive_aside(p))
			syscall(SYS_futex, &p->births, FUTEX_WAIT_PRIVATE, seen, &slice, NULL, 0);
	}
	atomic_fetch_sub(&p->birth_waiters, 1);
}

static struct host_process *process_create_locked(struct platform *p, pid_t pid,
						  struct platform_mm *mm)
{
	struct host_process *process = xnew(struct host_process);

	refcount_init(&process->refs);
	refcount_get(
	    &process->refs); /* the creator of the thread's, and the living process's own */
	refcount_get(&mm->refs);
	process->mm = mm;
	mm->had_process = true;
	process->pid = pid;
	atomic_store(&process->vm_tid, pid);
	list_init(&process->threads);
	list_init(&process->stock);
	list_init(&process->kill_link);
	list_init(&process->doom_link);
	list_add_tail(&mm->processes, &process->mm_link);
	if (atomic_load(&mm->vm_id) == 0) /* a vfork child comes and goes */
		atomic_store(&mm->vm_id, pid);
	mm_born(mm);
	idmap_set(&p->pids, (uint32_t)pid, process);
	p->processes++;
	return process;
}

void clone_order_locked(struct platform_thread *parent, struct platform_thread *child)
{
	check(!parent->clone_child && !child->ordered_by);
	parent->mm->cloned = true;
	refcount_get(&parent->process->refs);
	child->creator = parent->process;
	child->state = THREAD_ORDERED;
	child->asked = 0;
	child->ordered_by = parent;
	parent->clone_child = child;
	parent->child_told = false;
	list_del(&child->link);
	list_add_tail(&child->p->outstanding, &child->link);
}

void clone_settled_locked(struct platform_thread *child)
{
	if (child->ordered_by)
		child->ordered_by->clone_child = NULL;
	child->ordered_by = NULL;
}

void clone_failed_locked(struct platform_thread *child)
{
	list_del(&child->link);
	child->state = THREAD_PREPARED;
	mm_born(child->mm);
}

void clone_taken_back_locked(struct platform_thread *child)
{
	clone_settled_locked(child);
	process_put(child->creator);
	child->creator = NULL;
	child->state = THREAD_PREPARED;
	child->asked = 0;
	child->tid_hint = 0;
}

/* The process of a clone's child; a reference for it. */
static struct host_process *process_of_child_locked(struct platform_thread *t, pid_t tid)
{
	if (t->kind != PCLONE_THREAD)
		return process_create_locked(t->p, tid, t->mm);
	refcount_get(&t->creator->refs);
	return t->creator;
}

void process_vm_moves_locked(struct host_process *process, pid_t gone)
{
	struct platform_mm *mm = process->mm;
	pid_t before = process_vm_id(process);
	const struct platform_thread *there;

	if (gone != atomic_load(&process->vm_tid))
		return;
	list_for_each (there, &process->threads, process_link)
		if (there->tid != gone) {
			atomic_store(&process->vm_tid, there->tid);
			break;
		}
	if (atomic_load(&mm->vm_id) == before)
		atomic_store(&mm->vm_id, process_vm_id(process));
}

void thread_bind_locked(struct platform_thread *t, pid_t tid)
{
	struct host_process *process = process_of_child_locked(t, tid);
	bool alone;

	if (t->ordered_by)
		t->ordered_by->child_told = true;
	clone_settled_locked(t);
	process_put(t->creator);
	t->creator = NULL;
	t->process = process;
	t->tid = tid;
	list_del(&t->link);
	alone = list_empty(&process->threads);
	list_add_tail(&process->threads, &t->process_link);
	idmap_set(&t->p->tids, (uint32_t)tid, t);
	if (alone) /* who made it has exited meanwhile, or it is the first one */
		process_vm_moves_locked(process, atomic_load(&process->vm_tid));
}

void process_kill_locked(struct host_process *process)
{
	if (process->dead)
		return;
	process->killed = true;
	process->mm->p->backend->kill_locked(process);
}

void process_doom_locked(struct host_process *process)
{
	struct platform *p = process->mm->p;

	if (process->dead || list_linked(&process->doom_link))
		return;
	process->killed = true;
	refcount_get(&process->refs);
	list_add_tail(&p->doomed, &process->doom_link);
	atomic_store(&p->any_doomed, true);
}

void platform_settle(struct platform *p)
{
	struct host_process *process, *tmp;
	struct list gone;

	if (!atomic_load(&p->any_doomed))
		return;
	list_init(&gone);
	mutex_lock(&p->lock);
	list_for_each_safe (process, tmp, &p->doomed, doom_link) {
		process_kill_locked(process);
		list_del(&process->doom_link);
		list_add_tail(&gone, &process->doom_link);
	}
	atomic_store(&p->any_doomed, false);
	mutex_unlock(&p->lock);
	list_for_each_safe (process, tmp, &gone, doom_link) {
		list_del(&process->doom_link);
		process_put(process);
	}
}

void thread_dies_locked(struct platform_thread *t, bool by_host)
{
	struct platform *p = t->p;
	bool gone = !t->process || t->process->dead;

	if (t->ordered_by)
		t->ordered_by->child_told = true;
	clone_settled_locked(t);
	if (t->clone_child)
		clone_settled_locked(t->clone_child);
	list_del(&t->link);
	list_del(&t->process_link);
	event_drop_locked(t);
	if (t->tid && idmap_get(&p->tids, (uint32_t)t->tid) == t)
		idmap_set(&p->tids, (uint32_t)t->tid, NULL);
	if (t->spare && t->state <= THREAD_ORDERED)
		p->spares_coming--;
	mutex_lock(&t->lock);
	t->state = THREAD_DEAD;
	mutex_unlock(&t->lock);
	mm_born(t->mm);
	lend_forget_locked(t);
	if (t->lend_channel)
		slot_release_locked(t->mm, t->lend_slot, gone, t->lend_fresh);
	/* Of one that was never heard of it isn't known whether it has a stack. */
	if (!t->slot_kept)
		slot_release_locked(t->mm, t->slot, gone, t->slot_fresh && !t->process);
	t->death_by_host = by_host;
	list_add_tail(&p->deaths, &t->link);
	atomic_store(&p->attention, true);
}

/* A process of its own that is known to have been made: it will say HELLO whoever has died. */
static bool born_elsewhere(const struct platform_thread *t)
{
	return t->kind != PCLONE_THREAD && t->asked && !t->ordered_by;
}

/* The clones that this process was ordered to make and whose children have not said HELLO. */
static void drop_outstanding_locked(struct platform *p, struct host_process *creator)
{
	struct platform_thread *t, *tmp;

	list_for_each_safe (t, tmp, &p->outstanding, link)
		if (t->creator == creator && !born_elsewhere(t))
			thread_dies_locked(t, !creator->killed && !t->kill_pending);
}

void process_died_locked(struct platform *p, struct host_process *process)
{
	struct platform_mm *mm = process->mm;
	struct platform_thread *t, *tmp;

	process->dead = true;
	idmap_set(&p->pids, (uint32_t)process->pid, NULL);
	p->processes--;
	drop_outstanding_locked(p, process);
	list_for_each_safe (t, tmp, &process->threads, process_link) {
		if (t->in_stock)
			stock_died_locked(t, !process->killed);
		else
			thread_dies_locked(t, !process->killed);
	}
	list_del(&process->mm_link);
	list_del(&process->kill_link);
	atomic_store(&mm->vm_id,
		     list_empty(&mm->processes)
			 ? 0
			 : process_vm_id(list_first(&mm->processes, struct host_process, mm_link)));
	process_put(process);
}

/* The next death that may be told: not that of the thread whose event is being handed over. */
static struct platform_thread *next_death_locked(struct platform *p)
{
	struct platform_thread *t;

	list_for_each (t, &p->deaths, link)
		if (t != atomic_load(&p->delivering)) {
			list_del(&t->link);
			return t;
		}
	return NULL;
}

static void tell_death(struct platform_thread *t)
{
	t->p->backend->forget(t);
	if (t->internal || t->spare) {
		platform_thread_unref(t);
		return;
	}
	t->p->callbacks->dead(t->cookie, t, t->death_by_host);
}

void run_deaths(struct platform *p)
{
	struct platform_thread *t;

	for (;;) {
		mutex_lock(&p->lock);
		t = next_death_locked(p);
		mutex_unlock(&p->lock);
		if (!t)
			return;
		tell_death(t);
	}
}
