/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Futexes.
 *
 * A waiter is an entry in a hash bucket, under a key that says which word is meant: for shared
 * mappings whatever identifies the word to all who map it (mm_shared_key), for other memory the
 * address space and the address, and whether the caller said PRIVATE: as in Linux, those that did
 * and those that didn't do not meet. Where the platform has private ones made by the host
 * (kernel.host_futex) there are none here. A waiter of several words (futex_waitv)
 * has an entry for each.
 *
 * Linux reads the word under the bucket's lock. Here reading takes a host call, so no lock is held;
 * the order takes its place: enqueue first, read then.
 *
 *	waiter				waker
 *	enqueue
 *					writes the word
 *					wake: finds the waiter
 *	reads the word: changed?
 *	  dequeue: woken already -> 0
 *	  not woken -> EAGAIN
 *
 * Whatever the waker wrote before it called wake is seen by a waiter that was enqueued after the
 * wake: it reads after it enqueued. A waiter that was enqueued before is found. So no wake-up is
 * lost, and one that was consumed is reported as such.
 *
 * The word is read from memory, never from a window of the call: that copy was made before.
 *
 * A woken waiter is off its list with `woken` set; the handler, run again, finds that. Who waits is
 * kept in t->call.data, which is freed (and so dequeued) whatever way the call ends.
 *
 * Locks: one bucket's lock; two (requeue, wake_op) in the order of their addresses.
 */
#include "sentry/kernel/futex.h"

#include <errno.h>
#include <stdlib.h>

#include "abi/errno.h"
#include "abi/futex.h"
#include "base/log.h"
#include "base/mem.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/lockorder.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_block.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/usermem.h"

#define BUCKETS 1024

struct futex_key {
	uint64_t object, offset;
	bool shared;
};

struct futex_bucket {
	struct mutex lock;   /* RANK_FUTEX */
	struct list waiters; /* [lock] struct futex_waiter.link */
};

struct futex_table {
	struct futex_bucket buckets[BUCKETS];
};

struct futex_waiter {
	struct list link;		       /* lock of `bucket` */
	struct task *task;		       /* [I] */
	uint32_t bitset;		       /* [I] */
	atomic_bool woken;		       /* set under the lock */
	struct futex_key key;		       /* lock of `bucket` */
	_Atomic(struct futex_bucket *) bucket; /* changes under the locks of both (requeue) */
};

/* What a wait in progress keeps. */
struct futex_waiting {
	uint32_t count;
	struct futex_waiter waiters[];
};

struct futex_table *futex_table_new(void)
{
	struct futex_table *ft = xnew(struct futex_table);

	for (int i = 0; i < BUCKETS; i++) {
		mutex_init(&ft->buckets[i].lock, RANK_FUTEX);
		list_init(&ft->buckets[i].waiters);
	}
	return ft;
}

void futex_table_destroy(struct futex_table *ft)
{
	for (int i = 0; i < BUCKETS; i++) {
		check(list_empty(&ft->buckets[i].waiters));
		mutex_destroy(&ft->buckets[i].lock);
	}
	free(ft);
}

/* ---- keys and buckets ---- */

static struct futex_key make_key(struct task *t, uint64_t va, bool private)
{
	struct futex_key key = {.shared = false};

	if (!private)
		key.shared = mm_shared_key(t->mm, va, &key.object, &key.offset);
	if (!key.shared) {
		key.object = (uint64_t)(uintptr_t)t->mm;
		key.offset = va | !private; /* va is a multiple of 4 */
	}
	return key;
}

static bool key_equal(const struct futex_key *a, const struct futex_key *b)
{
	return a->object == b->object && a->offset == b->offset && a->shared == b->shared;
}

static struct futex_bucket *bucket_of(struct task *t, const struct futex_key *key)
{
	uint64_t h = (key->object ^ key->offset * 0x9e3779b97f4a7c15ull) * 0xff51afd7ed558ccdull;

	return &t->kernel->futexes->buckets[(h >> 32) % BUCKETS];
}

static void lock_two(struct futex_bucket *a, struct futex_bucket *b)
{
	struct futex_bucket *first = a < b ? a : b, *second = a < b ? b : a;

	mutex_lock(&first->lock);
	if (first != second)
		mutex_lock_nested(&second->lock);
}

static void unlock_two(struct futex_bucket *a, struct futex_bucket *b)
{
	mutex_unlock(&a->lock);
	if (a != b)
		mutex_unlock(&b->lock);
}

static int read_word(struct task *t, uint64_t va, uint32_t *ret)
{
	struct platform_mm *pm = platform_thread_mm(t->pt);

	if (va >= PLATFORM_GUEST_MAX)
		return -EFAULT;
	return platform_read(NULL, pm, va, ret, sizeof(*ret)) == sizeof(*ret) ? 0 : -EFAULT;
}

/* ---- waiting ---- */

static void enqueue(struct task *t, struct futex_waiter *w, const struct futex_word *word)
{
	struct futex_bucket *b;

	w->task = t;
	w->bitset = word->bitset;
	atomic_init(&w->woken, false);
	w->key = make_key(t, word->va, word->private);
	b = bucket_of(t, &w->key);
	atomic_store(&w->bucket, b);
	mutex_lock(&b->lock);
	list_add_tail(&b->waiters, &w->link);
	mutex_unlock(&b->lock);
}

/* Takes it off, wherever it was moved to. Returns whether it had been woken. */
static bool dequeue(struct futex_waiter *w)
{
	for (;;) {
		struct futex_bucket *b = atomic_load(&w->bucket);

		mutex_lock(&b->lock);
		if (b == atomic_load(&w->bucket)) {
			list_del(&w->link);
			mutex_unlock(&b->lock);
			return atomic_load(&w->woken);
		}
		mutex_unlock(&b->lock);
	}
}

static void waiting_free(void *p)
{
	struct futex_waiting *fw = p;

	for (uint32_t i = 0; i < fw->count; i++)
		dequeue(&fw->waiters[i]);
	free(fw);
}

/* Ends the wait: the index of a word that was woken, or err. */
static int64_t finish(struct task *t, int64_t err)
{
	struct futex_waiting *fw = t->call.data;
	int64_t ret = err;

	for (uint32_t i = fw->count; i-- > 0;)
		if (dequeue(&fw->waiters[i]))
			ret = i;
	t->call.data = NULL;
	free(fw);
	return ret;
}

static bool any_woken(const struct futex_waiting *fw)
{
	for (uint32_t i = 0; i < fw->count; i++)
		if (atomic_load(&fw->waiters[i].woken))
			return true;
	return false;
}

/* Enqueues all and looks at the words: 0 or an errno. */
static int begin_wait(struct task *t, const struct futex_word *words, uint32_t count)
{
	struct futex_waiting *fw = xcalloc(1, sizeof(*fw) + count * sizeof(struct futex_waiter));
	uint32_t value;

	fw->count = count;
	for (uint32_t i = 0; i < count; i++)
		enqueue(t, &fw->waiters[i], &words[i]);
	t->call.data = fw;
	t->call.data_free = waiting_free;
	for (uint32_t i = 0; i < count; i++) {
		int err = read_word(t, words[i].va, &value);

		if (err)
			return err;
		if (value != words[i].value)
			return -EAGAIN;
	}
	return 0;
}

int64_t futex_wait(struct task *t, const struct futex_word *words, uint32_t count,
		   uint64_t deadline, int64_t interrupted)
{
	int64_t ret;

	task_set_deadline(t, deadline);
	if (!t->call.data) {
		int err = begin_wait(t, words, count);

		if (err)
			return finish(t, err);
	}
	if (any_woken(t->call.data))
		return finish(t, 0);
	ret = task_block(t, interrupted);
	return ret == SYS_BLOCKED ? ret : finish(t, ret);
}

int64_t futex_wait_on_host(struct task *t, int64_t interrupted)
{
	t->call.on_host = true;
	return interrupted;
}

/* ---- waking ---- */

static uint32_t wake_locked(struct futex_bucket *b, const struct futex_key *key, uint32_t max,
			    uint32_t bitset)
{
	struct futex_waiter *w, *next;
	uint32_t woken = 0;

	list_for_each_safe (w, next, &b->waiters, link) {
		if (woken >= max)
			break;
		if (!key_equal(&w->key, key) || !(w->bitset & bitset))
			continue;
		list_del(&w->link);
		atomic_store(&w->woken, true);
		task_wake(w->task);
		woken++;
	}
	return woken;
}

static int64_t wake_key(struct task *t, const struct futex_key *key, uint32_t max, uint32_t bitset)
{
	struct futex_bucket *b = bucket_of(t, key);
	uint32_t woken;

	mutex_lock(&b->lock);
	woken = wake_locked(b, key, max, bitset);
	mutex_unlock(&b->lock);
	return woken;
}

int64_t futex_wake(struct task *t, uint64_t va, bool private, uint32_t max, uint32_t bitset)
{
	struct futex_key key = make_key(t, va, private);

	return wake_key(t, &key, max, bitset);
}

void futex_wake_address(struct task *t, uint64_t va, uint32_t max)
{
	futex_wake(t, va, false, max, ~0u);
}

/* Both locks held. */
static uint32_t move_locked(struct futex_bucket *from, const struct futex_key *key,
			    struct futex_bucket *to, const struct futex_key *new_key, uint32_t max)
{
	struct futex_waiter *w, *next;
	uint32_t moved = 0;

	if (key_equal(key, new_key))
		max = 0; /* they are there already */
	list_for_each_safe (w, next, &from->waiters, link) {
		if (moved >= max)
			break;
		if (!key_equal(&w->key, key))
			continue;
		list_del(&w->link);
		w->key = *new_key;
		atomic_store(&w->bucket, to);
		list_add_tail(&to->waiters, &w->link);
		moved++;
	}
	return moved;
}

int64_t futex_requeue(struct task *t, uint64_t from, bool private, uint64_t to, uint32_t max_wake,
		      uint32_t max_move, const uint32_t *compare)
{
	struct futex_key key = make_key(t, from, private), new_key = make_key(t, to, private);
	struct futex_bucket *b = bucket_of(t, &key), *new_b = bucket_of(t, &new_key);
	uint32_t value, woken, moved;

	if (compare) {
		if (read_word(t, from, &value))
			return -EFAULT;
		if (value != *compare)
			return -EAGAIN;
	}
	lock_two(b, new_b);
	woken = wake_locked(b, &key, max_wake, ~0u);
	moved = move_locked(b, &key, new_b, &new_key, max_move);
	unlock_two(b, new_b);
	return (int64_t)woken + moved;
}

/* ---- FUTEX_WAKE_OP ---- */

struct wake_op {
	uint32_t op, cmp;
	int32_t oparg, cmparg;
};

static int32_t sign_extend12(uint32_t v)
{
	return (int32_t)(v << 20) >> 20;
}

static struct wake_op decode_op(uint32_t v)
{
	struct wake_op o = {
	    .op = (v >> 28) & 7,
	    .cmp = (v >> 24) & 15,
	    .oparg = sign_extend12((v >> 12) & 0xfff),
	    .cmparg = sign_extend12(v & 0xfff),
	};

	if (v >> 28 & ABI_FUTEX_OP_OPARG_SHIFT)
		o.oparg = (int32_t)(1u << (o.oparg & 31));
	return o;
}

static int order_atomic(struct task *t, uint64_t va, const struct wake_op *o)
{
	static const enum platform_atomic ops[] = {PATOM_SET, PATOM_ADD, PATOM_OR, PATOM_ANDN,
						   PATOM_XOR};

	if (o->op >= array_count(ops) || o->cmp > ABI_FUTEX_OP_CMP_GE)
		return -ENOSYS;
	t->reply.order = PORD_ATOMIC;
	t->reply.va = va;
	t->reply.atomic_op = ops[o->op];
	t->reply.atomic_operand = (uint32_t)o->oparg;
	return 0;
}

static bool compare_holds(const struct wake_op *o, int32_t old)
{
	switch (o->cmp) {
	case ABI_FUTEX_OP_CMP_EQ:
		return old == o->cmparg;
	case ABI_FUTEX_OP_CMP_NE:
		return old != o->cmparg;
	case ABI_FUTEX_OP_CMP_LT:
		return old < o->cmparg;
	case ABI_FUTEX_OP_CMP_LE:
		return old <= o->cmparg;
	case ABI_FUTEX_OP_CMP_GT:
		return old > o->cmparg;
	default:
		return old >= o->cmparg;
	}
}

int64_t futex_wake_op(struct task *t, uint64_t va1, bool private, uint64_t va2, uint32_t max1,
		      uint32_t max2, uint32_t op)
{
	struct wake_op o = decode_op(op);
	int64_t woken;
	int err;

	if (!t->call.progress[0]) {
		err = order_atomic(t, va2, &o);
		if (err)
			return err;
		t->call.progress[0] = 1;
		return SYS_REPORT;
	}
	if (t->report.step != PREP_DONE)
		return -EFAULT;
	woken = futex_wake(t, va1, private, max1, ~0u);
	if (compare_holds(&o, (int32_t)(uint32_t)t->report.value))
		woken += futex_wake(t, va2, private, max2, ~0u);
	return woken;
}

/* ---- robust lists ---- */

static bool read_guest(struct task *t, uint64_t va, void *buf, size_t size)
{
	return va < PLATFORM_GUEST_MAX &&
	       platform_read(NULL, platform_thread_mm(t->pt), va, buf, size) == size;
}

/*
 * Marks one futex of the dying owner and wakes a waiter. Read and write are two steps: the only
 * change that others make to a word with an owner is to set FUTEX_WAITERS before they wait, and if
 * that is overwritten their wait finds another value than they expect and they look again.
 */
static void owner_died(struct task *t, uint64_t va, bool pi, bool pending)
{
	uint32_t word, marked;

	if ((va & 3) || !read_guest(t, va, &word, sizeof(word)))
		return;
	/* An unlock under way had freed it and perhaps not yet woken anybody. */
	if (pending && !pi && !word) {
		futex_wake_address(t, va, 1);
		return;
	}
	if ((word & ABI_FUTEX_TID_MASK) != (uint32_t)t->tid)
		return;
	marked = (word & ABI_FUTEX_WAITERS) | ABI_FUTEX_OWNER_DIED;
	if (platform_write(NULL, platform_thread_mm(t->pt), va, &marked, sizeof(marked)) !=
	    sizeof(marked))
		return;
	futex_wake_address(t, va, 1);
}

void futex_exit_robust(struct task *t)
{
	struct abi_robust_list_head head;
	uint64_t entry, next;
	uint64_t pending;

	/* Comes with the call that ends the thread. */
	if (copy_from_user(t, &head, uaddr(t->robust_list), sizeof(head)))
		return;
	entry = head.list.next;
	pending = head.list_op_pending;
	for (int limit = 0; limit < ABI_ROBUST_LIST_LIMIT; limit++) {
		if ((entry & ~1ull) == t->robust_list)
			break;
		/* Read before the futex is released: the next owner may free it. */
		if (!read_guest(t, entry & ~1ull, &next, sizeof(next)))
			next = t->robust_list, limit = ABI_ROBUST_LIST_LIMIT;
		if (entry != pending)
			owner_died(t, (entry & ~1ull) + (uint64_t)head.futex_offset, entry & 1,
				   false);
		entry = next;
	}
	if (pending)
		owner_died(t, (pending & ~1ull) + (uint64_t)head.futex_offset, pending & 1, true);
}
