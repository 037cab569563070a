/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoll.
 *
 * An instance has one item for each (file, descriptor) it watches. An item sits on the wait queues
 * of its file (those that the file's poll operation names) and, when one of them is woken with an
 * event of interest, goes to the instance's ready list and wakes the instance's own queue, on which
 * epoll_wait's tasks are, and outer instances.
 *
 * Collecting takes each item of the ready list once: it asks the file what is ready now, reports
 * that, and puts a level-triggered item back at the tail. So a level-triggered item leaves the list
 * when somebody finds it not ready, an edge-triggered one when it is reported. An item is off the
 * list while its file is asked; if the file's queue is woken meanwhile it comes back, and nothing
 * is lost:
 *
 *	collector			waker
 *	takes the item off
 *	asks: nothing ready
 *					makes it ready, wakes the queue:
 *					the item goes to the list, wakes epoll's queue
 *	finds nothing, blocks? no: it was added to epoll's queue before it asked (task_block.h)
 *
 * Ends. An item doesn't hold its file (closing the last descriptor must end it) but the file's last
 * file_put removes its items before anything of the file goes; and an instance that ends removes
 * its own. Both go through the instance's lock: whoever comes first marks the item dead. Items are
 * counted, and hold the instance's memory.
 *
 *	RANK_EPOLL	epoll.lock: items, their events
 *	  RANK_EPOLL_NEST vfs.epoll_nest_lock: which instance watches which
 *	  RANK_EPITEMS	file.epitems, a lock by address of the file
 *	  RANK_WAITQ	the queues of files; under it, in a wake-up:
 *	    RANK_EPOLL_READY	ready list
 *	    RANK_WAITQ (nested)	epoll's own queue
 *
 * Instances may watch instances, without cycles and with chains of at most NEST_MAX links, since
 * wake-ups and polls go along a chain by recursion. A link is checked and made under
 * vfs.epoll_nest_lock at once, so that two additions can't make together what neither may alone.
 */
#include "sentry/vfs/epoll.h"

#include <stdlib.h>

#include "base/mem.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/vfs_internal.h"

#define BUCKETS_FIRST 16
#define NEST_MAX      4		/* links in a chain of instances */
#define ITEMS_MAX     (1 << 20) /* in the whole sandbox: fs.epoll.max_user_watches */

#define ALWAYS	(ABI_POLLERR | ABI_POLLHUP)
#define PRIVATE (ABI_EPOLLWAKEUP | ABI_EPOLLONESHOT | ABI_EPOLLET | ABI_EPOLLEXCLUSIVE)
#define EXCLUSIVE_OK                                                                               \
	(ABI_POLLIN | ABI_POLLOUT | ABI_POLLRDNORM | ABI_POLLWRNORM | ABI_POLLERR | ABI_POLLHUP |  \
	 ABI_EPOLLWAKEUP | ABI_EPOLLET | ABI_EPOLLEXCLUSIVE)

struct epoll {
	struct refcount ref;
	struct vfs *vfs;	 /* [I] */
	struct mutex lock;	 /* RANK_EPOLL */
	struct epitem **buckets; /* lock; bucket_count */
	uint32_t bucket_count;	 /* lock; a power of two */
	uint32_t item_count;	 /* lock */
	struct mutex ready_lock; /* RANK_EPOLL_READY */
	struct list ready;	 /* ready_lock: epitem.ready_link */
	uint32_t ready_count;	 /* ready_lock */
	struct waitqueue wq;
	struct list inners; /* nest lock: epitem.inner_link, of the instances it watches */
	struct list outers; /* nest lock: epitem.outer_link, in those that watch it */
	uint64_t walk;	    /* nest lock: the last walk that came by, */
	int walk_found;	    /* and what it found */
};

/* An item's place on one queue. */
struct epwait {
	struct wait_entry entry;
	struct epitem *item;
	struct epwait *next;
};

struct epitem {
	struct refcount ref;
	struct epoll *ep;	  /* [I] reference */
	struct file *file;	  /* [I] borrowed, valid while !dead */
	int fd;			  /* [I] */
	bool dead;		  /* ep->lock */
	atomic_uint events;	  /* [a] of interest; changed under ep->lock */
	uint64_t data;		  /* ep->lock */
	struct epitem *hash_next; /* ep->lock */
	struct epwait *waits;	  /* ep->lock */
	struct list file_link;	  /* the file's epitem lock */
	struct list ready_link;	  /* ready_lock */
	struct list inner_link;	  /* nest lock; linked if it watches an instance */
	struct list outer_link;	  /* nest lock; likewise */
};

struct item_table {
	struct poll_table pt;
	struct epitem *item;
};

static const struct file_ops epoll_ops;

bool is_epoll(const struct file *f)
{
	return f->ops == &epoll_ops;
}

static struct mutex *epitems_lock(struct vfs *v, const struct file *f)
{
	return &v->epitem_locks[((uintptr_t)f >> 6) * 0x9e3779b97f4a7c15ull >> 58];
}

static void epoll_put(struct epoll *ep)
{
	if (!refcount_put(&ep->ref))
		return;
	waitqueue_destroy(&ep->wq);
	mutex_destroy(&ep->ready_lock);
	mutex_destroy(&ep->lock);
	free(ep->buckets);
	free(ep);
}

static void item_put(struct epitem *item)
{
	if (!refcount_put(&item->ref))
		return;
	atomic_fetch_sub(&item->ep->vfs->epoll_items, 1);
	epoll_put(item->ep);
	free(item);
}

/* ---- the ready list ---- */

/* True if it wasn't there. */
static bool ready_add(struct epoll *ep, struct epitem *item)
{
	bool added;

	mutex_lock(&ep->ready_lock);
	added = !list_linked(&item->ready_link);
	if (added) {
		list_add_tail(&ep->ready, &item->ready_link);
		ep->ready_count++;
	}
	mutex_unlock(&ep->ready_lock);
	return added;
}

static void ready_remove(struct epoll *ep, struct epitem *item)
{
	mutex_lock(&ep->ready_lock);
	if (list_linked(&item->ready_link)) {
		list_del(&item->ready_link);
		ep->ready_count--;
	}
	mutex_unlock(&ep->ready_lock);
}

static struct epitem *ready_pop(struct epoll *ep)
{
	struct epitem *item;

	mutex_lock(&ep->ready_lock);
	item = list_first_or_null(&ep->ready, struct epitem, ready_link);
	if (item) {
		list_del(&item->ready_link);
		ep->ready_count--;
	}
	mutex_unlock(&ep->ready_lock);
	return item;
}

/* A queue of the file was woken; its lock is held. */
static bool item_woken(struct wait_entry *e, uint32_t events)
{
	struct epitem *item = container_of(e, struct epwait, entry)->item;
	uint32_t wanted = atomic_load_explicit(&item->events, memory_order_relaxed);

	/* Nothing wanted at all: it was reported and is one-shot. */
	if (!(wanted & ~PRIVATE) || !(events & wanted))
		return false;
	if (ready_add(item->ep, item))
		waitqueue_wake_nested(&item->ep->wq, ABI_POLLIN | ABI_POLLRDNORM);
	return true;
}

/* ---- nesting ---- */

/*
 * The links of the longest chain from `ep` inwards, or outwards; more than NEST_MAX if it comes by
 * `avoid`. The nest lock is held. Each instance is looked at once a walk.
 */
static int chain_length(struct epoll *ep, bool inwards, const struct epoll *avoid, uint64_t walk)
{
	const struct epitem *item;
	int longest = -1;

	if (ep == avoid)
		return NEST_MAX + 1;
	if (ep->walk == walk)
		return ep->walk_found;
	if (inwards)
		list_for_each (item, &ep->inners, inner_link)
			longest =
			    MAX(longest, chain_length(item->file->private, true, avoid, walk));
	else
		list_for_each (item, &ep->outers, outer_link)
			longest = MAX(longest, chain_length(item->ep, false, avoid, walk));
	ep->walk = walk;
	ep->walk_found = longest + 1;
	return ep->walk_found;
}

/* Notes that the item's instance watches another one: false if that makes too long a chain. */
static bool link_nested(struct epoll *ep, struct epitem *item)
{
	struct vfs *v = ep->vfs;
	struct epoll *inner = item->file->private;
	int length;

	mutex_lock(&v->epoll_nest_lock);
	length = 1 + chain_length(inner, true, ep, ++v->epoll_walks);
	length += chain_length(ep, false, NULL, ++v->epoll_walks);
	if (length <= NEST_MAX) {
		list_add_tail(&ep->inners, &item->inner_link);
		list_add_tail(&inner->outers, &item->outer_link);
	}
	mutex_unlock(&v->epoll_nest_lock);
	return length <= NEST_MAX;
}

static void unlink_nested(struct vfs *v, struct epitem *item)
{
	mutex_lock(&v->epoll_nest_lock);
	list_del(&item->inner_link);
	list_del(&item->outer_link);
	mutex_unlock(&v->epoll_nest_lock);
}

/* ---- items ---- */

static struct epitem **bucket_of(struct epoll *ep, int fd)
{
	return &ep->buckets[(uint32_t)fd & (ep->bucket_count - 1)];
}

static struct epitem *find_item(struct epoll *ep, int fd, const struct file *f)
{
	struct epitem *item;

	for (item = *bucket_of(ep, fd); item; item = item->hash_next)
		if (item->fd == fd && item->file == f)
			return item;
	return NULL;
}

static void grow(struct epoll *ep)
{
	struct epitem **old = ep->buckets;
	uint32_t old_count = ep->bucket_count;

	ep->bucket_count *= 2;
	ep->buckets = xcalloc(ep->bucket_count, sizeof(*ep->buckets));
	for (uint32_t i = 0; i < old_count; i++)
		while (old[i]) {
			struct epitem *item = old[i], **bucket = bucket_of(ep, item->fd);

			old[i] = item->hash_next;
			item->hash_next = *bucket;
			*bucket = item;
		}
	free(old);
}

static void add_wait(struct poll_table *pt, struct file *f, struct waitqueue *wq)
{
	struct epitem *item = container_of(pt, struct item_table, pt)->item;
	struct epwait *w = xnew(struct epwait);

	(void)f;
	w->item = item;
	w->entry.func = item_woken;
	w->entry.mask = ~0u;
	w->next = item->waits;
	item->waits = w;
	waitqueue_add(wq, &w->entry);
}

static void remove_waits(struct epitem *item)
{
	while (item->waits) {
		struct epwait *w = item->waits;

		item->waits = w->next;
		waitqueue_remove(&w->entry);
		free(w);
	}
}

/* Takes the item out of everything; the table's reference is dropped. ep->lock is held. */
static void kill_item(struct epoll *ep, struct epitem *item)
{
	struct epitem **p = bucket_of(ep, item->fd);
	struct mutex *lock = epitems_lock(ep->vfs, item->file);

	assert_held(&ep->lock);
	while (*p != item)
		p = &(*p)->hash_next;
	*p = item->hash_next;
	ep->item_count--;
	item->dead = true;
	mutex_lock(lock);
	list_del(&item->file_link);
	mutex_unlock(lock);
	if (is_epoll(item->file))
		unlink_nested(ep->vfs, item);
	remove_waits(item);
	ready_remove(ep, item);
	item_put(item);
}

/* Asks the file; if there is news the item becomes ready. */
static void look_at(struct epoll *ep, struct epitem *item, struct poll_table *pt)
{
	uint32_t ready = vfs_poll(item->file, pt) & item->events & ~PRIVATE;

	if (ready && ready_add(ep, item))
		waitqueue_wake(&ep->wq, ABI_POLLIN | ABI_POLLRDNORM);
}

static int add_item(struct epoll *ep, int fd, struct file *f, const struct abi_epoll_event *event)
{
	struct epitem *item, **bucket;
	struct item_table table;
	struct mutex *lock = epitems_lock(ep->vfs, f);

	if (atomic_fetch_add(&ep->vfs->epoll_items, 1) >= ITEMS_MAX) {
		atomic_fetch_sub(&ep->vfs->epoll_items, 1);
		return -ENOSPC;
	}
	if (ep->item_count >= ep->bucket_count * 2)
		grow(ep);
	item = xnew(struct epitem);
	refcount_init(&item->ref);
	item->ep = ep;
	item->file = f;
	item->fd = fd;
	item->data = event->data;
	atomic_init(&item->events, event->events | ALWAYS);
	list_init(&item->ready_link);
	if (is_epoll(f) && !link_nested(ep, item)) {
		atomic_fetch_sub(&ep->vfs->epoll_items, 1);
		free(item);
		return -ELOOP;
	}
	refcount_get(&ep->ref);
	bucket = bucket_of(ep, fd);
	item->hash_next = *bucket;
	*bucket = item;
	ep->item_count++;
	mutex_lock(lock);
	list_add_tail(&f->epitems, &item->file_link);
	mutex_unlock(lock);
	table = (struct item_table){.pt = {.add = add_wait}, .item = item};
	look_at(ep, item, &table.pt);
	return 0;
}

static int modify_item(struct epoll *ep, struct epitem *item, const struct abi_epoll_event *event)
{
	if ((event->events | item->events) & ABI_EPOLLEXCLUSIVE)
		return -EINVAL;
	item->data = event->data;
	atomic_store(&item->events, event->events | ALWAYS);
	look_at(ep, item, NULL);
	return 0;
}

static int check_exclusive(const struct abi_epoll_event *event, const struct file *target)
{
	if (!(event->events & ABI_EPOLLEXCLUSIVE))
		return 0;
	return is_epoll(target) || (event->events & ~EXCLUSIVE_OK) ? -EINVAL : 0;
}

static int ctl_locked(struct epoll *ep, int op, int fd, struct file *target,
		      const struct abi_epoll_event *event)
{
	struct epitem *item = find_item(ep, fd, target);

	switch (op) {
	case ABI_EPOLL_CTL_ADD:
		if (item)
			return -EEXIST;
		return add_item(ep, fd, target, event);
	case ABI_EPOLL_CTL_MOD:
		return item ? modify_item(ep, item, event) : -ENOENT;
	default:
		if (!item)
			return -ENOENT;
		kill_item(ep, item);
		return 0;
	}
}

int epoll_ctl_file(struct file *epf, int op, int fd, struct file *target,
		   const struct abi_epoll_event *event)
{
	struct epoll *ep = epf->private;
	int err = 0;

	if (!is_epoll(epf) || target == epf)
		return -EINVAL;
	/* What has no poll operation is always ready: there is nothing to watch. */
	if (!target->ops->poll)
		return -EPERM;
	if (op == ABI_EPOLL_CTL_ADD)
		err = check_exclusive(event, target);
	if (err)
		return err;
	mutex_lock(&ep->lock);
	err = ctl_locked(ep, op, fd, target, event);
	mutex_unlock(&ep->lock);
	return err;
}

/* ---- collecting ---- */

/* What the item's file has now, of what is wanted. */
static uint32_t ready_events(struct epitem *item)
{
	return vfs_poll(item->file, NULL) & item->events & ~PRIVATE;
}

int epoll_collect(struct file *epf, struct abi_epoll_event *out, int max)
{
	struct epoll *ep = epf->private;
	struct epitem *item;
	uint32_t turns;
	int count = 0;

	mutex_lock(&ep->lock);
	mutex_lock(&ep->ready_lock);
	turns = ep->ready_count;
	mutex_unlock(&ep->ready_lock);
	while (count < max && turns-- && (item = ready_pop(ep))) {
		uint32_t ready = ready_events(item);

		if (!ready)
			continue;
		out[count++] = (struct abi_epoll_event){.events = ready, .data = item->data};
		if (item->events & ABI_EPOLLONESHOT)
			atomic_fetch_and(&item->events, PRIVATE);
		else if (!(item->events & ABI_EPOLLET))
			ready_add(ep, item);
	}
	mutex_unlock(&ep->lock);
	return count;
}

struct waitqueue *epoll_queue(struct file *ep)
{
	return &((struct epoll *)ep->private)->wq;
}

/* ---- file operations ---- */

/* Whether anything is ready; what isn't any more leaves the list. */
static uint32_t epoll_poll(struct file *f, struct poll_table *pt)
{
	struct epoll *ep = f->private;
	struct epitem *item;
	bool ready = false;

	poll_wait(pt, &ep->wq);
	mutex_lock_nested(&ep->lock);
	while (!ready && (item = ready_pop(ep))) {
		ready = ready_events(item) != 0;
		if (ready)
			ready_add(ep, item);
	}
	mutex_unlock(&ep->lock);
	return ready ? ABI_POLLIN | ABI_POLLRDNORM : 0;
}

static void epoll_release(struct file *f)
{
	struct epoll *ep = f->private;

	mutex_lock(&ep->lock);
	for (uint32_t b = 0; b < ep->bucket_count; b++)
		while (ep->buckets[b])
			kill_item(ep, ep->buckets[b]);
	mutex_unlock(&ep->lock);
	epoll_put(ep);
}

static const struct file_ops epoll_ops = {
    .poll = epoll_poll,
    .release = epoll_release,
    .no_seek = true,
};

void epoll_file_released(struct file *f)
{
	struct vfs *v = f->path.mount->sb->kernel->vfs;
	struct mutex *lock = epitems_lock(v, f);

	for (;;) {
		struct epitem *item;

		mutex_lock(lock);
		item = list_first_or_null(&f->epitems, struct epitem, file_link);
		if (item)
			refcount_get(&item->ref);
		mutex_unlock(lock);
		if (!item)
			return;
		mutex_lock(&item->ep->lock);
		if (!item->dead)
			kill_item(item->ep, item);
		mutex_unlock(&item->ep->lock);
		item_put(item);
	}
}

int epoll_new(struct task *t, uint32_t flags, struct file **ret)
{
	struct epoll *ep = xnew(struct epoll);

	refcount_init(&ep->ref);
	ep->vfs = t->kernel->vfs;
	mutex_init(&ep->lock, RANK_EPOLL);
	mutex_init(&ep->ready_lock, RANK_EPOLL_READY);
	list_init(&ep->ready);
	list_init(&ep->inners);
	list_init(&ep->outers);
	waitqueue_init(&ep->wq);
	ep->bucket_count = BUCKETS_FIRST;
	ep->buckets = xcalloc(ep->bucket_count, sizeof(*ep->buckets));
	*ret = file_new_anon(t->kernel, "anon_inode:[eventpoll]", &epoll_ops, ep,
			     ABI_O_RDWR | flags, t->cred);
	return 0;
}
