/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Advisory locks (flock(2), fcntl(2) "Advisory record locking").
 *
 * All locks of a file are on its inode's list, under the inode's lock. Three kinds share it; flock
 * locks and record locks don't see each other, POSIX and OFD ones do:
 *
 *	kind	owner				range		ends with
 *	flock	the open file description	whole file	the description
 *	POSIX	the descriptor table		bytes		any close of the file by the owner
 *	OFD	the open file description	bytes		the description
 *
 * A handler that must wait puts its task on the inode's locks_wq, which is woken whenever a lock of
 * it is given up or weakened, and tries again.
 *
 * Deadlock. Before a POSIX lock waits, a record "owner waits for owner" is entered under
 * vfs.posix_lock, and the chain of such records is followed from the one waited for; if it comes
 * back to the waiter, EDEADLK. A record lives in the call's data, so it goes with the call,
 * whatever way that ends; one that is out of date for the moment between a wake-up and the next try
 * can only be seen by somebody who would wait for the same owner. As on Linux OFD locks aren't
 * checked.
 */
#include "sentry/vfs/locks.h"

#include <stdlib.h>

#include "base/mem.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_block.h"
#include "sentry/mm/usermem.h"
#include "sentry/vfs/vfs_internal.h"

#define LOCKS_PER_INODE 16384
#define CHAIN_MAX	1000 /* waiters followed when looking for a deadlock */

enum lock_kind { LOCK_FLOCK, LOCK_POSIX, LOCK_OFD };

struct file_lock {
	struct list link; /* inode.locks */
	enum lock_kind kind;
	bool write;
	const void *owner;
	int32_t pid;
	int64_t start, end; /* inclusive */
};

/* Somebody who waits for a POSIX lock; in task_call.data. */
struct lock_waiter {
	struct list link; /* vfs.lock_waiters, under posix_lock */
	struct vfs *vfs;
	const void *owner, *blocker;
};

/* ---- the list ---- */

static bool same_space(enum lock_kind a, enum lock_kind b)
{
	return (a == LOCK_FLOCK) == (b == LOCK_FLOCK);
}

static bool mine(const struct file_lock *l, const struct file_lock *want)
{
	return l->owner == want->owner && l->kind == want->kind;
}

static struct file_lock *find_conflict(struct inode *i, const struct file_lock *want)
{
	struct file_lock *l;

	list_for_each (l, &i->locks, link)
		if (same_space(l->kind, want->kind) && !mine(l, want) && l->start <= want->end &&
		    want->start <= l->end && (l->write || want->write))
			return l;
	return NULL;
}

static unsigned count_locks(struct inode *i)
{
	struct file_lock *l;
	unsigned n = 0;

	list_for_each (l, &i->locks, link)
		n++;
	return n;
}

static void add_lock(struct inode *i, const struct file_lock *from, int64_t start, int64_t end)
{
	struct file_lock *l = xnew(struct file_lock);

	*l = *from;
	l->start = start;
	l->end = end;
	list_add_tail(&i->locks, &l->link);
}

static void free_lock(struct file_lock *l)
{
	list_del(&l->link);
	free(l);
}

/* Takes [start, end] out of l, which overlaps it: what is left of l stays. */
static void carve(struct inode *i, struct file_lock *l, int64_t start, int64_t end)
{
	if (l->end > end) {
		add_lock(i, l, end + 1, l->end);
		/* The new piece is behind the iteration's end or harmless to meet again. */
	}
	if (l->start < start)
		l->end = start - 1;
	else
		free_lock(l);
}

static bool touches(const struct file_lock *l, const struct file_lock *want)
{
	return (l->start <= want->end || l->start - 1 == want->end) &&
	       (want->start <= l->end || want->start - 1 == l->end);
}

/* Makes `want` so (unlock: nothing is added). Whether somebody may go on who could not before. */
static bool apply(struct inode *i, struct file_lock *want, bool unlock)
{
	struct file_lock *l, *next;
	bool weaker = false;

	list_for_each_safe (l, next, &i->locks, link) {
		if (!mine(l, want))
			continue;
		if (!unlock && l->write == want->write && touches(l, want)) {
			want->start = MIN(want->start, l->start);
			want->end = MAX(want->end, l->end);
			free_lock(l);
		} else if (l->start <= want->end && want->start <= l->end) {
			weaker |= unlock || l->write;
			carve(i, l, want->start, want->end);
		}
	}
	if (!unlock)
		add_lock(i, want, want->start, want->end);
	return weaker;
}

/* Removes every lock that fits. */
static void remove_owned(struct inode *i, const void *owner, bool posix)
{
	struct file_lock *l, *next;
	bool removed = false;

	/* Only the owner adds locks of its own, so none appears meanwhile. */
	if (list_empty(&i->locks))
		return;
	mutex_lock(&i->lock);
	list_for_each_safe (l, next, &i->locks, link)
		if (l->owner == owner && (l->kind == LOCK_POSIX) == posix) {
			free_lock(l);
			removed = true;
		}
	mutex_unlock(&i->lock);
	if (removed)
		waitqueue_wake(&i->locks_wq, ~0u);
}

void locks_file_released(struct file *f)
{
	remove_owned(f->inode, f, false);
}

void locks_files_closed(struct inode *i, const void *owner)
{
	remove_owned(i, owner, true);
}

/* ---- deadlock ---- */

static void waiter_free(void *data)
{
	struct lock_waiter *w = data;

	mutex_lock(&w->vfs->posix_lock);
	list_del(&w->link);
	mutex_unlock(&w->vfs->posix_lock);
	free(w);
}

static const void *waits_for(struct vfs *v, const void *owner)
{
	struct lock_waiter *w;

	list_for_each (w, &v->lock_waiters, link)
		if (w->owner == owner)
			return w->blocker;
	return NULL;
}

static int enter_waiter(struct task *t, const void *owner, const void *blocker)
{
	struct vfs *v = t->kernel->vfs;
	struct lock_waiter *w = t->call.data;
	const void *at = blocker;
	int err = 0;

	if (!w) {
		w = xnew(struct lock_waiter);
		list_init(&w->link);
		w->vfs = v;
		t->call.data = w;
		t->call.data_free = waiter_free;
	}
	mutex_lock(&v->posix_lock);
	for (unsigned n = 0; at && n < CHAIN_MAX && !err; n++) {
		if (at == owner)
			err = -EDEADLK;
		at = waits_for(v, at);
	}
	w->owner = owner;
	w->blocker = blocker;
	if (!err && !list_linked(&w->link))
		list_add_tail(&v->lock_waiters, &w->link);
	mutex_unlock(&v->posix_lock);
	return err;
}

/* ---- taking ---- */

/* 0, -EAGAIN with *ret_blocker, -ENOLCK. */
static int try_lock(struct inode *i, struct file_lock *want, bool unlock, const void **ret_blocker)
{
	struct file_lock *conflict;
	bool wake = false;
	int err = 0;

	mutex_lock(&i->lock);
	conflict = unlock ? NULL : find_conflict(i, want);
	if (conflict) {
		*ret_blocker = conflict->kind == LOCK_POSIX ? conflict->owner : NULL;
		err = -EAGAIN;
	} else if (count_locks(i) >= LOCKS_PER_INODE && !unlock) {
		err = -ENOLCK;
	} else {
		wake = apply(i, want, unlock);
	}
	mutex_unlock(&i->lock);
	if (wake)
		waitqueue_wake(&i->locks_wq, ~0u);
	return err;
}

static int64_t lock_wait(struct task *t, struct file *f, struct file_lock *want)
{
	const void *blocker = NULL;
	int err;

	task_wait_add(t, &f->inode->locks_wq, ~0u, f);
	err = try_lock(f->inode, want, false, &blocker);
	if (err != -EAGAIN)
		return err;
	if (want->kind == LOCK_POSIX && blocker) {
		err = enter_waiter(t, want->owner, blocker);
		if (err)
			return err;
	}
	return task_block(t, -ERESTARTSYS);
}

/* ---- flock ---- */

/* As on Linux, changing the kind of a lock gives the old one up first. */
static void drop_flock(struct file *f, bool write)
{
	struct file_lock *l, *next;
	bool dropped = false;

	mutex_lock(&f->inode->lock);
	list_for_each_safe (l, next, &f->inode->locks, link)
		if (l->kind == LOCK_FLOCK && l->owner == f && l->write != write) {
			free_lock(l);
			dropped = true;
		}
	mutex_unlock(&f->inode->lock);
	if (dropped)
		waitqueue_wake(&f->inode->locks_wq, ~0u);
}

int64_t locks_flock(struct task *t, struct file *f, int operation)
{
	int what = operation & ~ABI_LOCK_NB;
	struct file_lock want = {.kind = LOCK_FLOCK,
				 .write = what == ABI_LOCK_EX,
				 .owner = f,
				 .pid = t->tg->tgid,
				 .end = INT64_MAX};
	const void *blocker;
	int err;

	if (what != ABI_LOCK_SH && what != ABI_LOCK_EX && what != ABI_LOCK_UN)
		return -EINVAL;
	if (what != ABI_LOCK_UN)
		drop_flock(f, want.write);
	err = try_lock(f->inode, &want, what == ABI_LOCK_UN, &blocker);
	if (err != -EAGAIN || (operation & ABI_LOCK_NB))
		return err;
	return lock_wait(t, f, &want);
}

/* ---- fcntl ---- */

static int range_from_flock(struct file *f, const struct abi_flock *fl, int64_t *start,
			    int64_t *end)
{
	int64_t base = 0;

	if (fl->whence == ABI_SEEK_CUR)
		base = f->pos;
	else if (fl->whence == ABI_SEEK_END)
		base = (int64_t)f->inode->size;
	else if (fl->whence != ABI_SEEK_SET)
		return -EINVAL;
	if (__builtin_add_overflow(base, fl->start, &base))
		return -EOVERFLOW;
	*start = base;
	*end = INT64_MAX;
	if (fl->len > 0 && __builtin_add_overflow(base, fl->len - 1, end))
		return -EOVERFLOW;
	if (fl->len < 0) {
		*end = base - 1;
		if (__builtin_add_overflow(base, fl->len, start))
			return -EINVAL;
	}
	return *start < 0 ? -EINVAL : 0;
}

static bool is_ofd(int cmd)
{
	return cmd == ABI_F_OFD_GETLK || cmd == ABI_F_OFD_SETLK || cmd == ABI_F_OFD_SETLKW;
}

static int64_t get_lock(struct task *t, struct file *f, struct file_lock *want,
			struct abi_flock *fl, uaddr_t va)
{
	struct file_lock *l;

	mutex_lock(&f->inode->lock);
	l = find_conflict(f->inode, want);
	fl->type = ABI_F_UNLCK;
	if (l) {
		fl->type = l->write ? ABI_F_WRLCK : ABI_F_RDLCK;
		fl->whence = ABI_SEEK_SET;
		fl->start = l->start;
		fl->len = l->end == INT64_MAX ? 0 : l->end - l->start + 1;
		fl->pid = l->kind == LOCK_OFD ? -1 : l->pid;
	}
	mutex_unlock(&f->inode->lock);
	return copy_to_user(t, va, fl, sizeof(*fl));
}

static int check_flock(const struct file *f, const struct abi_flock *fl, int cmd)
{
	bool get = cmd == ABI_F_GETLK || cmd == ABI_F_OFD_GETLK;

	if (is_ofd(cmd) && fl->pid)
		return -EINVAL;
	switch (fl->type) {
	case ABI_F_RDLCK:
		return get || file_readable(f) ? 0 : -EBADF;
	case ABI_F_WRLCK:
		return get || file_writable(f) ? 0 : -EBADF;
	case ABI_F_UNLCK:
		return get ? -EINVAL : 0;
	default:
		return -EINVAL;
	}
}

int64_t locks_fcntl(struct task *t, struct file *f, int cmd, uaddr_t va)
{
	struct file_lock want = {.kind = is_ofd(cmd) ? LOCK_OFD : LOCK_POSIX, .pid = t->tg->tgid};
	const void *blocker;
	struct abi_flock fl;
	int err;

	if (copy_from_user(t, &fl, va, sizeof(fl)))
		return -EFAULT;
	err = check_flock(f, &fl, cmd);
	if (!err)
		err = range_from_flock(f, &fl, &want.start, &want.end);
	if (err)
		return err;
	want.owner = is_ofd(cmd) ? (const void *)f : (const void *)t->files;
	want.write = fl.type == ABI_F_WRLCK;
	if (cmd == ABI_F_GETLK || cmd == ABI_F_OFD_GETLK)
		return get_lock(t, f, &want, &fl, va);
	err = try_lock(f->inode, &want, fl.type == ABI_F_UNLCK, &blocker);
	if (err != -EAGAIN || cmd == ABI_F_SETLK || cmd == ABI_F_OFD_SETLK)
		return err;
	return lock_wait(t, f, &want);
}

void locks_for_each(struct inode *i, void (*fn)(const struct lock_info *, void *), void *arg)
{
	struct file_lock *l;

	mutex_lock(&i->lock);
	list_for_each (l, &i->locks, link) {
		struct lock_info info = {.flock = l->kind == LOCK_FLOCK,
					 .ofd = l->kind == LOCK_OFD,
					 .write = l->write,
					 .pid = l->kind == LOCK_OFD ? -1 : l->pid,
					 .start = l->start,
					 .end = l->end};

		fn(&info, arg);
	}
	mutex_unlock(&i->lock);
}
