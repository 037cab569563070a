/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has a lease, until when.
 *
 * A *lease* lets the thread of one task answer read, pread64, lseek and fstat of one descriptor by
 * itself (platform/stub/lease.c): the file's content is mapped in its host process, and size,
 * attributes and position are in its channel. It costs a descriptor handed in and a mmap, 10 us,
 * and saves 0.5 to 2.5 us a call; so it is given at the HOT_CALLS-th call on an open file, with
 * that call's reply: who makes no more of them has lost about as much again as they cost.
 *
 *	calls on f get hot		lease_note: `wanted`
 *	the reply			a slot, an entry in the inode's list, mmap, what it allows
 *	the thread reads		nobody hears of it
 *	somebody changes the file	lease_revoke: the thread's next call comes here
 *	WARM_CALLS calls later		allowed again, with the new size and attributes: no mmap
 *	close, exec, a shared table	it ends; the munmap goes with the reply
 *
 * A file that is opened for reading has a lease at once, without a mapping: most programs ask for
 * its attributes and length, read it to the end, and see that it is the end. Small files, and the
 * beginning of others (ELF headers), come along as the *head*, a copy in the channel that is right
 * while nobody has the file open for writing. That costs half a microsecond; who opens files and
 * doesn't read them (`luck`) has it only now and then.
 *
 *	open				pos, size, attributes, head
 *	fstat, read, read		the thread's own
 *	HOT_CALLS more reads		mmap, as above
 *	close				nothing to unmap
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
 *    The head is content, and copied when nobody can write: who opens the file for writing counts
 *    himself first and looks for leases then, in the same way.
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

#include "abi/mman.h"
#include "base/feature.h"
#include "base/list.h"
#include "base/mem.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/lockorder.h"
#include "sentry/kernel/stats.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_block.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/usermem.h"
#include "sentry/vfs/files.h"

#define HOT_CALLS    16
#define DEVICE_CALLS 4 /* the same, where nothing has to be mapped */
#define WARM_CALLS   8
#define COLD_CALLS   4096 /* before one that could not be given is tried again */
#define GIVEN_UP_MAX 4
#define LUCK_FIRST   4
#define LUCK_MAX     16
#define LUCK_OUT     16 /* opens without a lease, then luck is tried again */
#define HEAD_BEGIN   1024
#define LEASE_ALL    PLATFORM_LEASE_ALL

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
	bool mapped;		    /* [t] its content, in the host process */
	uint32_t given_up;	    /* [t] times that a copy faulted */
};

struct task_leases {
	struct lease at[PLATFORM_LEASES]; /* [t] */
	uint32_t used;			  /* [t] bits: those with a file */
	uint32_t unmap;			  /* [t] bits: ended, their mapping is still there */
	uint32_t next;			  /* [t] whose place is taken when there is no other */
	uint32_t with_head;		  /* [t] bit: which has the head */
	int32_t luck;	/* [t] leases at open: those that were used, less the others */
	uint32_t opens; /* [t] files that were opened while luck was out */
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
			what |= LEASE_ALL;
		}
		if ((l->allowed | l->coming) & what)
			stat_count(lease_revokes);
		disallow_locked(l, what & LEASE_ALL);
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
	int32_t heat = __atomic_load_n(&l->file->heat, __ATOMIC_RELAXED);

	mutex_lock(lock);
	disallow_locked(l, LEASE_ALL);
	list_del(&l->link);
	l->told_pos = false;
	l->file = NULL;
	mutex_unlock(lock);
	ls->used &= ~(1u << l->index);
	ls->with_head &= ~(1u << l->index);
	if (l->mapped)
		ls->unmap |= 1u << l->index;
	else if (platform_lease_used(l->pt, l->index) || heat > 0)
		ls->luck = MIN(ls->luck + 1, LUCK_MAX);
	else
		ls->luck--;
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
	t->lease_at_open = false;
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
	const struct lease *l = t->leases ? lease_of(t->leases, f) : NULL;
	int32_t hot = l && l->mapped ? WARM_CALLS : HOT_CALLS;

	if (!t->kernel->leases)
		return;
	if (ABI_S_ISCHR(f->inode->mode))
		hot = DEVICE_CALLS;
	__atomic_store_n(&f->heat, heat, __ATOMIC_RELAXED);
	if (heat >= hot || feature_forced(FEATURE_LEASES)) {
		t->lease_wanted = fd + 1;
		t->lease_at_open = false;
	}
}

/* There is a place, and the files that were opened lately were read. */
static bool is_worth_it(struct task_leases *ls)
{
	return ls->used != (1u << PLATFORM_LEASES) - 1 &&
	       (ls->luck > 0 || ++ls->opens % LUCK_OUT == 0);
}

void lease_opened_slow(struct task *t, int fd)
{
	struct task_leases *ls = t->leases;

	if (!t->kernel->leases || (ls && !is_worth_it(ls)))
		return;
	t->lease_wanted = fd + 1;
	t->lease_at_open = true;
}

/* The beginning of the file into the thread's channel: all of a small one. Its length. */
static uint32_t fill_head(struct task_leases *ls, struct lease *l, uint64_t size)
{
	uint32_t n = size <= PLATFORM_HEAD_SIZE ? (uint32_t)size : HEAD_BEGIN;
	struct uio u;
	int64_t pos = 0;
	ssize_t got;

	if (ls->with_head) {
		struct lease *other = &ls->at[__builtin_ctz(ls->with_head)];

		mutex_lock(lock_of(other->file->inode));
		disallow_locked(other, LEASE_HEAD);
		mutex_unlock(lock_of(other->file->inode));
	}
	ls->with_head = 1u << l->index;
	uio_init_kernel(&u, platform_lease_head(l->pt), n);
	got = vfs_read(l->file, &u, &pos);
	return got < 0 ? 0 : (uint32_t)got;
}

static uint32_t device_of(const struct file *f, uint32_t what)
{
	uint32_t can = file_writable(f) ? PLATFORM_DEVICE_WRITE : 0;

	if (!(what & LEASE_DEVICE))
		return 0;
	if (file_readable(f))
		can |= what & LEASE_ZEROS ? PLATFORM_DEVICE_READ_ZEROS : PLATFORM_DEVICE_READ_END;
	return can;
}

/* Allows what can be allowed at the moment, with fresh attributes. The lease is in the list. */
static void allow(struct task_leases *ls, struct lease *l, uint32_t what)
{
	struct inode *i = l->file->inode;
	struct mutex *lock = lock_of(i);
	struct platform_lease pl = {.fd = l->fd};
	uint32_t still = 0;
	struct abi_stat st;
	bool ok;

	mutex_lock(lock);
	disallow_locked(l, LEASE_ALL);
	l->coming = l->dead ? 0 : what & LEASE_ALL;
	if (l->coming)
		atomic_fetch_add(&i->leased, 1);
	mutex_unlock(lock);
	/* Asked again: a writable mapping may have come before anybody could see `coming`. */
	ok = l->file->ops->lease(l->file, &still) >= 0 && !vfs_stat(&l->file->path, &st);
	if (ok) {
		pl.size = (uint64_t)st.size;
		pl.mapped = l->mapped;
		pl.device = device_of(l->file, still);
		if (what & still & LEASE_HEAD)
			pl.head = fill_head(ls, l, pl.size);
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
				 .prot = ABI_PROT_READ,
				 .fd = fd,
				 .addr = l->index,
				 .size = PLATFORM_LEASE_SIZE};

	if (task_add_memop(t, &op))
		return false;
	t->leases->unmap &= ~(1u << l->index); /* what was there is replaced */
	l->mapped = true;
	return true;
}

static bool get_content(struct task *t, struct lease *l, int host_fd, uint32_t what)
{
	return what & LEASE_DEVICE || order_mapping(t, l, host_fd);
}

static bool may_give(struct task *t)
{
	return files_unshared(t->files) && mm_user_count(t->mm) == 1 && !t->vfork_parent;
}

/*
 * The order: in the list, then asked which descriptor. Who moves the content does the reverse, so
 * one of the two sees the other.
 */
static void give(struct task *t, struct file *f, int fd, bool at_open)
{
	struct lease *l;
	uint32_t what = 0;
	int host_fd;

	if (!t->leases) {
		t->leases = xnew(struct task_leases);
		t->leases->luck = LUCK_FIRST;
	}
	l = make_room(t);
	enlist(t->leases, l, f, fd);
	host_fd = f->ops->lease(f, &what);
	if (host_fd < 0 || (!at_open && !get_content(t, l, host_fd, what))) {
		__atomic_store_n(&f->heat, -COLD_CALLS, __ATOMIC_RELAXED);
		end_one(t->leases, l);
		return;
	}
	stat_count(leases);
	allow(t->leases, l, at_open ? what : what & ~LEASE_HEAD);
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

/* It has one, whose permission was taken back, or given up by the thread, or without a mapping. */
static void renew(struct task *t, struct lease *l)
{
	bool given_up, was_mapped = l->mapped;
	uint32_t allowed = allowed_now(l, &given_up), what = 0;
	int host_fd;

	l->given_up += given_up;
	host_fd = l->file->ops->lease(l->file, &what);
	what &= LEASE_ALL & ~LEASE_HEAD;
	if (l->dead || l->given_up > GIVEN_UP_MAX || host_fd < 0 ||
	    (!l->mapped && !get_content(t, l, host_fd, what))) {
		__atomic_store_n(&l->file->heat, l->dead ? 0 : -COLD_CALLS, __ATOMIC_RELAXED);
		end_one(t->leases, l);
		return;
	}
	if (allowed == what && !given_up && was_mapped)
		return;
	stat_count(lease_renewals);
	allow(t->leases, l, what);
}

static void give_wanted(struct task *t)
{
	bool at_open = t->lease_at_open;
	int fd = t->lease_wanted - 1;
	struct fd_io io;
	struct lease *l;

	/* Others number the operations of their reply; the next call will do. */
	if (t->reply.memop_count || t->reply.report || t->reply.order != PORD_NONE)
		return;
	t->lease_wanted = 0;
	t->lease_at_open = false;
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
		give(t, io.file, fd, at_open);
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
