/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has a lease, until when.
 *
 * A *lease* lets the thread of one task answer read, pread64, lseek and fstat of one descriptor by
 * itself (platform/stub/lease.c): the file's content is mapped in its host process, and size,
 * attributes and position are in its channel. It costs a descriptor handed in and a mmap, 10 to
 * 20 us, and saves half a microsecond or more a call; so it is given at the HOT_CALLS-th call on an
 * open file, with that call's reply.
 *
 *	calls on f get hot		lease_note: `wanted`
 *	the reply			a slot, an entry in the inode's list, mmap, what it allows
 *	the thread reads		nobody hears of it
 *	somebody changes the file	lease_revoke: the thread's next call comes here
 *	WARM_CALLS calls later		allowed again, with the new size and attributes: no mmap
 *	close, exec, a shared table	it ends; the munmap goes with the reply
 *
 * What it leans on:
 *
 * 1. The descriptor. The task has memory and table for itself, so the table changes by its own
 *    calls only, and these come here: close_file tells of what is closed, and a clone that is to
 *    share the table ends all leases first. (So threads have none.)
 *
 * 2. The content. It is mapped shared, from a descriptor of the host that is open for reading only,
 *    and only of what filemap.c maps as well: trees that are the sandbox's own, on file systems that
 *    need no network. What is written by whatever way is there. Where the content itself
 *    moves (overlayfs copies a file up), LEASE_END.
 *
 * 3. Size and attributes. Whoever changes them looks for leases afterwards, and whoever gives one
 *    says so before he looks at them:
 *
 *	changes					gives
 *	size = new				leased++
 *	leased? 0: nobody			reads size: new
 *
 *	size = new				leased++
 *						reads size: old
 *	leased? 1: coming = 0
 *						coming? no: not allowed
 *
 * 4. The position. It is the thread's while nobody else can use the open file: its only reference
 *    is the table's, looked at at each reply. At the next event the position is taken over; what is
 *    hostile about it is what lseek could have set. Others that find the file in the table (fdinfo)
 *    ask lease_file_pos.
 *
 * 5. The thread. A lease is of one platform_thread. It is out of the inode's list before that is
 *    put: exec and exit end all.
 *
 * Not leased: shared trees, tmpfs (its small files have no descriptor), with `--strace`, and beyond
 * the first PLATFORM_LEASE_SIZE bytes. Writable shared mappings change attributes at any time, so
 * while there are some fstat isn't allowed.
 *
 * A thread whose copy faults gives the permission up by itself (the mmap failed, or the guest's
 * buffer was bad); after GIVEN_UP_MAX times the lease ends.
 *
 * Guards: [t] the task's owner, [l] the inode's lease lock (one of LEASE_LOCKS), [I] set before it
 * is in the list.
 */
#include "sentry/kernel/lease.h"

#include <stdlib.h>

#include "base/feature.h"
#include "base/list.h"
#include "base/mem.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/lockorder.h"
#include "sentry/kernel/stats.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_block.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/files.h"

#define HOT_CALLS    64
#define WARM_CALLS   16
#define COLD_CALLS   4096 /* before one that could not be given is tried again */
#define GIVEN_UP_MAX 4

struct lease {
	struct list link;  /* [l] in inode.leases */
	struct file *file; /* [t], written with [l] too; NULL: none. Borrowed of the table */
	struct platform_thread *pt; /* [I] */
	int fd;			    /* [I] */
	uint32_t index;		    /* [I] the platform's number of it */
	uint32_t allowed;	    /* [l] LEASE_* */
	uint32_t coming;	    /* [l] the same, about to be allowed */
	bool dead;		    /* [l] LEASE_END */
	bool told_pos;		    /* [l] the thread has the position */
	int64_t pos;		    /* [t] as it was last told or asked */
	uint32_t given_up;	    /* [t] times that a copy faulted */
};

struct task_leases {
	struct lease at[PLATFORM_LEASES]; /* [t] */
	uint32_t used;			  /* [t] bits: those with a file */
	uint32_t unmap;			  /* [t] bits: ended, their mapping is still there */
	uint32_t next;			  /* [t] whose place is taken when there is no other */
};

void leases_init(struct kernel *k)
{
	for (int i = 0; i < LEASE_LOCKS; i++)
		mutex_init(&k->lease_locks[i], RANK_LEAF);
}

static struct mutex *lock_of(const struct inode *i)
{
	return &i->sb->kernel->lease_locks[((uintptr_t)i >> 8) % LEASE_LOCKS];
}

/* ---- taking back ---- */

static void disallow_locked(struct lease *l, uint32_t what)
{
	uint32_t had = l->allowed | l->coming;

	if (l->allowed & what)
		platform_lease_revoke(l->pt, l->index, l->allowed & what);
	l->allowed &= ~what;
	l->coming &= ~what;
	if (had && !(l->allowed | l->coming))
		atomic_fetch_sub(&l->file->inode->leased, 1);
}

void lease_revoke_slow(struct inode *i, uint32_t what)
{
	struct mutex *lock = lock_of(i);
	struct lease *l;

	mutex_lock(lock);
	list_for_each (l, &i->leases, link) {
		if (what & LEASE_END) {
			l->dead = true;
			what |= LEASE_READ | LEASE_STAT;
		}
		if ((l->allowed | l->coming) & what)
			stat_count(lease_revokes);
		disallow_locked(l, what & (LEASE_READ | LEASE_STAT));
	}
	mutex_unlock(lock);
}

/* The position is the sentry's again. */
static void take_pos(struct lease *l)
{
	int64_t pos;

	if (!l->told_pos)
		return;
	pos = platform_lease_pos(l->pt, l->index);
	if (pos == l->pos || pos < 0)
		return;
	l->pos = pos;
	__atomic_store_n(&l->file->pos, pos, __ATOMIC_RELAXED);
}

static void end_one(struct task_leases *ls, struct lease *l)
{
	struct mutex *lock = lock_of(l->file->inode);

	mutex_lock(lock);
	disallow_locked(l, LEASE_READ | LEASE_STAT);
	list_del(&l->link);
	l->told_pos = false;
	l->file = NULL;
	mutex_unlock(lock);
	ls->used &= ~(1u << l->index);
	ls->unmap |= 1u << l->index;
}

static struct lease *lease_of(struct task_leases *ls, const struct file *f)
{
	for (uint32_t i = 0; ls && i < PLATFORM_LEASES; i++)
		if (ls->at[i].file == f)
			return &ls->at[i];
	return NULL;
}

void lease_closed_slow(struct task *t, const struct file *f)
{
	struct lease *l = lease_of(t->leases, f);

	if (l)
		end_one(t->leases, l);
}

void leases_end(struct task *t)
{
	struct task_leases *ls = t->leases;

	for (uint32_t i = 0; ls && i < PLATFORM_LEASES; i++)
		if (ls->at[i].file)
			end_one(ls, &ls->at[i]);
}

void leases_forget(struct task *t)
{
	leases_end(t);
	free(t->leases);
	t->leases = NULL;
	t->lease_wanted = 0;
}

/* ---- positions ---- */

int64_t lease_file_pos(struct file *f)
{
	struct mutex *lock = lock_of(f->inode);
	int64_t pos = __atomic_load_n(&f->pos, __ATOMIC_RELAXED), own;
	struct lease *l;

	mutex_lock(lock);
	list_for_each (l, &f->inode->leases, link) {
		if (l->file != f || !l->told_pos)
			continue;
		own = platform_lease_pos(l->pt, l->index);
		pos = own < 0 ? pos : own;
	}
	mutex_unlock(lock);
	return pos;
}

void leases_arrived_slow(struct task *t)
{
	struct task_leases *ls = t->leases;

	for (uint32_t bits = ls->used; bits; bits &= bits - 1)
		take_pos(&ls->at[__builtin_ctz(bits)]);
}

/* Nobody else can use the open file: only the table refers to it. */
static bool is_own(const struct file *f)
{
	return refcount_read(&f->ref) == 1;
}

static void publish_pos(struct lease *l)
{
	bool own = is_own(l->file);
	int64_t pos = l->file->pos;

	if (own == l->told_pos && (!own || pos == l->pos))
		return;
	platform_lease_set_pos(l->pt, l->index, own, pos);
	l->pos = pos;
	if (own == l->told_pos)
		return;
	mutex_lock(lock_of(l->file->inode));
	l->told_pos = own;
	mutex_unlock(lock_of(l->file->inode));
}

void leases_publish_slow(struct task *t)
{
	struct task_leases *ls = t->leases;

	if (ls->used && !files_unshared(t->files))
		leases_end(t);
	for (uint32_t bits = ls->used; bits; bits &= bits - 1)
		publish_pos(&ls->at[__builtin_ctz(bits)]);
}

/* ---- giving ---- */

void lease_note_slow(struct task *t, int fd, struct file *f)
{
	int32_t heat = __atomic_load_n(&f->heat, __ATOMIC_RELAXED) + 1;
	bool has = t->leases && lease_of(t->leases, f);

	if (!t->kernel->leases)
		return;
	__atomic_store_n(&f->heat, heat, __ATOMIC_RELAXED);
	if (heat >= (has ? WARM_CALLS : HOT_CALLS) || feature_forced(FEATURE_LEASES))
		t->lease_wanted = fd + 1;
}

/* Allows what can be allowed at the moment, with fresh attributes. The lease is in the list. */
static void allow(struct lease *l, uint32_t what)
{
	struct inode *i = l->file->inode;
	struct mutex *lock = lock_of(i);
	struct platform_lease pl = {.fd = l->fd};
	uint32_t still = 0;
	struct abi_stat st;
	bool ok;

	mutex_lock(lock);
	disallow_locked(l, LEASE_READ | LEASE_STAT);
	l->coming = l->dead ? 0 : what;
	if (l->coming)
		atomic_fetch_add(&i->leased, 1);
	mutex_unlock(lock);
	atomic_thread_fence(memory_order_seq_cst);
	/* Asked again: a writable mapping may have come before anybody could see `coming`. */
	ok = l->file->ops->lease(l->file, &still) >= 0 && !vfs_stat(&l->file->path, &st);
	if (ok) {
		pl.size = (uint64_t)st.size;
		pl.stat = &st;
		platform_lease_set(l->pt, l->index, &pl);
	}
	mutex_lock(lock);
	l->told_pos = false; /* publish_pos comes */
	what = ok ? l->coming & still : 0;
	disallow_locked(l, l->coming & ~what);
	l->allowed = what;
	l->coming = 0;
	if (what)
		platform_lease_allow(l->pt, l->index, what);
	mutex_unlock(lock);
}

/* A place: a free one, or the next in turn. */
static struct lease *make_room(struct task *t)
{
	struct task_leases *ls = t->leases;
	uint32_t free_bits = ~ls->used & ((1u << PLATFORM_LEASES) - 1);
	uint32_t index = free_bits ? (uint32_t)__builtin_ctz(free_bits) : ls->next;
	struct lease *l = &ls->at[index];

	if (!free_bits) {
		ls->next = (ls->next + 1) % PLATFORM_LEASES;
		__atomic_store_n(&l->file->heat, -COLD_CALLS, __ATOMIC_RELAXED);
		end_one(ls, l);
	}
	*l = (struct lease){.pt = t->pt, .index = index};
	list_init(&l->link);
	return l;
}

static void enlist(struct task_leases *ls, struct lease *l, struct file *f, int fd)
{
	mutex_lock(lock_of(f->inode));
	l->file = f;
	l->fd = fd;
	list_add_tail(&f->inode->leases, &l->link);
	mutex_unlock(lock_of(f->inode));
	ls->used |= 1u << l->index;
}

/* The mapping goes with the reply. False: there is none to be had. */
static bool order_mapping(struct task *t, struct lease *l, int fd)
{
	const struct memop op = {.type = MEMOP_MMAP_FD,
				 .flags = MEMOP_LEASE | MEMOP_SHARED,
				 .prot = 1 /* PROT_READ */,
				 .fd = fd,
				 .addr = l->index,
				 .size = PLATFORM_LEASE_SIZE};

	if (task_add_memop(t, &op))
		return false;
	t->leases->unmap &= ~(1u << l->index); /* what was there is replaced */
	return true;
}

static bool may_give(struct task *t)
{
	return files_unshared(t->files) && mm_user_count(t->mm) == 1 && !t->vfork_parent;
}

/*
 * The order: in the list, then asked which descriptor. Who moves the content does the reverse, so one
 * of the two sees the other.
 */
static void give(struct task *t, struct file *f, int fd)
{
	struct lease *l;
	uint32_t what = 0;
	int host_fd;

	if (!t->leases)
		t->leases = xnew(struct task_leases);
	l = make_room(t);
	enlist(t->leases, l, f, fd);
	host_fd = f->ops->lease(f, &what);
	if (host_fd < 0 || !order_mapping(t, l, host_fd)) {
		__atomic_store_n(&f->heat, -COLD_CALLS, __ATOMIC_RELAXED);
		end_one(t->leases, l);
		return;
	}
	stat_count(leases);
	allow(l, what);
}

/* What it is allowed, and whether the thread has given some of that up. */
static uint32_t allowed_now(struct lease *l, bool *ret_given_up)
{
	struct mutex *lock = lock_of(l->file->inode);
	uint32_t allowed;

	mutex_lock(lock);
	allowed = l->allowed;
	*ret_given_up = allowed & ~platform_lease_allowed(l->pt, l->index);
	mutex_unlock(lock);
	return allowed;
}

/* It has one, whose permission was taken back, or given up by the thread. */
static void renew(struct task *t, struct lease *l)
{
	bool given_up;
	uint32_t allowed = allowed_now(l, &given_up), what = 0;

	l->given_up += given_up;
	if (l->dead || l->given_up > GIVEN_UP_MAX || l->file->ops->lease(l->file, &what) < 0) {
		__atomic_store_n(&l->file->heat, l->dead ? 0 : -COLD_CALLS, __ATOMIC_RELAXED);
		end_one(t->leases, l);
		return;
	}
	if (allowed == what && !given_up)
		return;
	stat_count(lease_renewals);
	allow(l, what);
}

static void give_wanted(struct task *t)
{
	int fd = t->lease_wanted - 1;
	struct fd_io io;
	struct lease *l;

	/* Others number the operations of their reply; the next call will do. */
	if (t->reply.memop_count || t->reply.report || t->reply.order != PORD_NONE)
		return;
	t->lease_wanted = 0;
	if (!may_give(t))
		return;
	io = fd_borrow_io(t, fd);
	if (!io.file || !io.file->ops->lease || io.owned) {
		fd_return(&io);
		return;
	}
	__atomic_store_n(&io.file->heat, 0, __ATOMIC_RELAXED);
	l = t->leases ? lease_of(t->leases, io.file) : NULL;
	if (!l)
		give(t, io.file, fd);
	else if (l->fd == fd)
		renew(t, l);
}

static void unmap_ended(struct task *t)
{
	struct task_leases *ls = t->leases;

	while (ls->unmap) {
		struct memop op = {.type = MEMOP_MUNMAP,
				   .flags = MEMOP_LEASE,
				   .addr = (uint64_t)__builtin_ctz(ls->unmap),
				   .size = PLATFORM_LEASE_SIZE};

		if (task_add_memop(t, &op))
			return;
		ls->unmap &= ls->unmap - 1;
	}
}

/* Dead ones hold on to a file that nobody else has any more. */
static void end_dead(struct task_leases *ls)
{
	for (uint32_t bits = ls->used; bits; bits &= bits - 1) {
		struct lease *l = &ls->at[__builtin_ctz(bits)];

		if (__atomic_load_n(&l->dead, __ATOMIC_RELAXED))
			end_one(ls, l);
	}
}

void leases_before_reply_slow(struct task *t)
{
	if (t->leases)
		end_dead(t->leases);
	if (t->lease_wanted)
		give_wanted(t);
	if (t->leases && t->leases->used && !files_unshared(t->files))
		leases_end(t);
	if (t->leases && t->leases->unmap)
		unmap_ended(t);
}
