/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dentry cache.
 *
 * A dentry says what a name in a directory means: an inode, or nothing (negative). What it means
 * never changes: a file that appears under a negative name gets a new dentry in its place. What may
 * change is where it is (rename moves a dentry) and whether lookups find it (hashed).
 *
 * Life of a dentry:
 *
 *	dcache_add ---> hashed, used <---> hashed, unused ---> swept ---> free
 *	                    | unlink, rename over, revalidation failed
 *	                    v
 *	                unhashed, used ---> the last dentry_put ---> free
 *
 * The hash holds one reference to every dentry in it. Another one comes from a lookup, which takes
 * it with the bucket locked, or from somebody who has one already. So whoever has locked the bucket
 * and sees the count 1 knows that nobody uses the dentry and nobody can begin to: that is what the
 * sweep drops. A dentry holds its parent, so only leaves can go.
 *
 * There is no list of unused dentries and no lock around all: the sweep is a clock hand that goes
 * over the buckets, takes the mark REFERENCED away where it finds it and drops what has none (an
 * approximation of least recently used). It runs when an insertion goes over the cap, for as long
 * as it takes to come below; whoever inserts pays. Dentries in use can't be dropped: they are
 * bounded by the open files, tasks and mounts that hold them.
 *
 * Names come from guests, so the hash is keyed with a secret: a guest that can choose all names
 * still can't fill one bucket.
 *
 * Locks. A bucket's lock guards its chain and, together with the dentry's name lock, the dentry's
 * name and parent: a reader needs one of the two, a writer (rename, under the super_block's
 * rename_lock) holds both. mount_count and flags are atomic.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/mem.h"
#include "sentry/vfs/vfs_internal.h"

#define INLINE_NAME  32
#define SWEEP_BATCH  64 /* dentries dropped at once, outside the locks */
#define PRUNE_ROUNDS 4

void dcache_init(struct vfs *v)
{
	v->buckets = xcalloc(DCACHE_BUCKETS, sizeof(*v->buckets));
	for (unsigned i = 0; i < DCACHE_LOCKS; i++)
		mutex_init(&v->bucket_locks[i], RANK_DCACHE);
	for (unsigned i = 0; i < STRIPES; i++)
		mutex_init(&v->dentry_locks[i], RANK_DENTRY);
	v->dentry_cap = DCACHE_DEFAULT_CAP;
	check(getrandom(v->hash_seed, sizeof(v->hash_seed), 0) == sizeof(v->hash_seed));
}

void dcache_destroy(struct vfs *v)
{
	if (atomic_load(&v->dentry_count))
		log_warn("dcache: %d names left", atomic_load(&v->dentry_count));
	for (unsigned i = 0; i < DCACHE_LOCKS; i++)
		mutex_destroy(&v->bucket_locks[i]);
	for (unsigned i = 0; i < STRIPES; i++)
		mutex_destroy(&v->dentry_locks[i]);
	free(v->buckets);
}

/* ---- hashing ---- */

static uint64_t mix(uint64_t a, uint64_t b)
{
	__uint128_t product = (__uint128_t)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint32_t name_hash(const struct vfs *v, const struct dentry *dir, const char *name,
			  size_t size)
{
	uint64_t h = mix((uintptr_t)dir ^ v->hash_seed[0], v->hash_seed[1] | 1);
	uint64_t word;

	for (; size >= 8; name += 8, size -= 8) {
		memcpy(&word, name, 8);
		h = mix(h ^ word, v->hash_seed[1] | 1);
	}
	word = size;
	for (size_t i = 0; i < size; i++)
		word = word << 8 | (uint8_t)name[i];
	h = mix(h ^ word ^ v->hash_seed[0], v->hash_seed[1] | 1);
	return (uint32_t)(h ^ h >> 32);
}

static struct mutex *bucket_lock(struct vfs *v, uint32_t hash)
{
	return &v->bucket_locks[hash % DCACHE_LOCKS];
}

static struct dentry **bucket_of(struct vfs *v, uint32_t hash)
{
	return &v->buckets[hash % DCACHE_BUCKETS];
}

/* ---- counting ---- */

static struct dentry *dentry_alloc(struct super_block *sb, const char *name, size_t size)
{
	size_t room = MAX(size + 1, (size_t)INLINE_NAME);
	struct dentry *d = xmalloc(sizeof(*d) + room);

	memset(d, 0, sizeof(*d));
	refcount_init(&d->ref);
	list_init(&d->alias_link);
	list_init(&d->mounts);
	d->sb = sb;
	d->name = d->inline_name;
	d->name_size = (uint32_t)size;
	memcpy(d->name, name, size);
	d->name[size] = 0;
	object_count(OBJ_DENTRY, 1);
	return d;
}

static void dentry_set_inode(struct dentry *d, struct inode *inode)
{
	struct mutex *lock;

	d->inode = inode;
	if (!inode)
		return;
	lock = dentry_lock(sb_vfs(inode->sb), inode);
	mutex_lock(lock);
	list_add_tail(&inode->aliases, &d->alias_link);
	mutex_unlock(lock);
}

/* Frees a dentry whose last reference is gone; returns its parent's reference. */
static struct dentry *dentry_free(struct dentry *d)
{
	struct dentry *parent = d->parent;
	struct inode *inode = d->inode;

	check(!(d->flags & DENTRY_HASHED) && list_empty(&d->mounts));
	if (inode) {
		struct mutex *lock = dentry_lock(sb_vfs(inode->sb), inode);

		mutex_lock(lock);
		list_del(&d->alias_link);
		mutex_unlock(lock);
		inode_put(inode);
	}
	if (d->name != d->inline_name)
		free(d->name);
	free(d);
	object_count(OBJ_DENTRY, -1);
	return parent;
}

struct dentry *dentry_get(struct dentry *d)
{
	refcount_get(&d->ref);
	return d;
}

void dentry_put(struct dentry *d)
{
	while (d && refcount_put(&d->ref))
		d = dentry_free(d);
}

struct inode *dentry_inode(struct dentry *d)
{
	return d->inode;
}

struct dentry *dentry_new_root(struct super_block *sb, struct inode *root)
{
	struct dentry *d = dentry_alloc(sb, "/", 1);

	dentry_set_inode(d, root);
	return d;
}

struct dentry *dentry_new_anon(struct super_block *sb, const char *name, struct inode *inode)
{
	struct dentry *d = dentry_alloc(sb, name, strlen(name));

	d->flags = DENTRY_ANON;
	dentry_set_inode(d, inode);
	return d;
}

struct dentry *dentry_parent(struct dentry *d)
{
	struct mutex *lock = dentry_lock(sb_vfs(d->sb), d);
	struct dentry *parent;

	mutex_lock(lock);
	parent = d->parent ? dentry_get(d->parent) : NULL;
	mutex_unlock(lock);
	return parent;
}

/* ---- the hash ---- */

struct dentry *dcache_find(struct dentry *dir, const char *name, size_t size)
{
	struct vfs *v = sb_vfs(dir->sb);
	uint32_t hash = name_hash(v, dir, name, size);
	struct mutex *lock = bucket_lock(v, hash);
	struct dentry *d;

	mutex_lock(lock);
	for (d = *bucket_of(v, hash); d; d = d->hash_next)
		if (d->hash == hash && d->parent == dir && d->name_size == size &&
		    !memcmp(d->name, name, size))
			break;
	if (d) {
		dentry_get(d);
		if (!(d->flags & DENTRY_REFERENCED))
			atomic_fetch_or(&d->flags, DENTRY_REFERENCED);
	}
	mutex_unlock(lock);
	return d;
}

static void hash_insert_locked(struct vfs *v, struct dentry *d)
{
	struct dentry **bucket = bucket_of(v, d->hash);

	d->hash_next = *bucket;
	*bucket = d;
	atomic_fetch_or(&d->flags, DENTRY_HASHED);
}

static bool hash_remove_locked(struct vfs *v, struct dentry *d)
{
	struct dentry **p = bucket_of(v, d->hash);

	if (!(d->flags & DENTRY_HASHED))
		return false;
	while (*p != d)
		p = &(*p)->hash_next;
	*p = d->hash_next;
	d->hash_next = NULL;
	atomic_fetch_and(&d->flags, ~DENTRY_HASHED);
	return true;
}

/* Takes the lock of the bucket in which d is, though a rename may be moving it. */
static struct mutex *lock_bucket_of(struct vfs *v, struct dentry *d)
{
	for (;;) {
		uint32_t hash = __atomic_load_n(&d->hash, __ATOMIC_ACQUIRE);
		struct mutex *lock = bucket_lock(v, hash);

		mutex_lock(lock);
		if (__atomic_load_n(&d->hash, __ATOMIC_RELAXED) == hash)
			return lock;
		mutex_unlock(lock);
	}
}

void dcache_unhash(struct dentry *d)
{
	struct vfs *v = sb_vfs(d->sb);
	struct mutex *lock = lock_bucket_of(v, d);
	bool removed = hash_remove_locked(v, d);

	mutex_unlock(lock);
	if (!removed)
		return;
	atomic_fetch_sub(&v->dentry_count, 1);
	dentry_put(d);
}

/* ---- the sweep ---- */

/*
 * Takes what nobody uses out of one bucket, into victims. sb: only its dentries, and whatever their
 * mark; NULL: all, but those with the mark lose only that.
 */
static unsigned sweep_bucket(struct vfs *v, uint32_t bucket, const struct super_block *sb,
			     struct dentry **victims, unsigned max)
{
	struct mutex *lock = bucket_lock(v, bucket);
	struct dentry **p = &v->buckets[bucket];
	unsigned count = 0;

	if (!__atomic_load_n(p, __ATOMIC_RELAXED))
		return 0;
	mutex_lock(lock);
	while (*p && count < max) {
		struct dentry *d = *p;

		if (refcount_read(&d->ref) > 1 || (sb && d->sb != sb)) {
			p = &d->hash_next;
			continue;
		}
		if (!sb && (d->flags & DENTRY_REFERENCED)) {
			atomic_fetch_and(&d->flags, ~DENTRY_REFERENCED);
			p = &d->hash_next;
			continue;
		}
		*p = d->hash_next;
		atomic_fetch_and(&d->flags, ~DENTRY_HASHED);
		victims[count++] = d;
	}
	mutex_unlock(lock);
	return count;
}

static unsigned drop(struct vfs *v, struct dentry **victims, unsigned count)
{
	atomic_fetch_sub(&v->dentry_count, (int)count);
	for (unsigned i = 0; i < count; i++)
		dentry_put(victims[i]);
	return count;
}

/* Comes below the cap, or has been over everything twice without finding more to drop. */
static void dcache_shrink(struct vfs *v)
{
	struct dentry *victims[SWEEP_BATCH];
	int target = v->dentry_cap - v->dentry_cap / 32;

	for (unsigned i = 0; i < 2 * DCACHE_BUCKETS; i++) {
		uint32_t hand = atomic_fetch_add(&v->sweep_hand, 1) % DCACHE_BUCKETS;

		if (atomic_load(&v->dentry_count) <= target)
			return;
		drop(v, victims, sweep_bucket(v, hand, NULL, victims, SWEEP_BATCH));
	}
}

/* Takes d out if the hash and the caller alone use it; what the hash had of it is given back. */
static bool take_out_idle(struct vfs *v, struct dentry *d)
{
	struct mutex *lock = lock_bucket_of(v, d);
	bool taken = refcount_read(&d->ref) == 2 && hash_remove_locked(v, d);

	mutex_unlock(lock);
	if (taken)
		dentry_put(d);
	return taken;
}

/* Drops a victim, and who above it becomes a leaf by that: a deep tree takes one round. */
static void drop_branch(struct vfs *v, struct dentry *d)
{
	bool idle = true;

	while (d) {
		struct dentry *parent = idle ? dentry_parent(d) : NULL;

		if (idle)
			atomic_fetch_sub(&v->dentry_count, 1);
		dentry_put(d);
		idle = parent && take_out_idle(v, parent);
		d = parent;
	}
}

void dcache_prune(struct super_block *sb)
{
	struct vfs *v = sb_vfs(sb);
	struct dentry *victims[SWEEP_BATCH];
	unsigned dropped, n, rounds = 0;

	/*
	 * Until a round finds nothing: others may let go of a name meanwhile. In a file system that
	 * is used they bring new ones as well, so that must have an end.
	 */
	do {
		dropped = 0;
		for (uint32_t b = 0; b < DCACHE_BUCKETS; b++)
			do {
				n = sweep_bucket(v, b, sb, victims, SWEEP_BATCH);
				for (unsigned i = 0; i < n; i++)
					drop_branch(v, victims[i]);
				dropped += n;
			} while (n == SWEEP_BATCH);
	} while (dropped && (!refcount_read(&sb->ref) || ++rounds < PRUNE_ROUNDS));
}

/* ---- changes ---- */

static void dcache_hash(struct vfs *v, struct dentry *d)
{
	struct mutex *lock = lock_bucket_of(v, d);

	if (d->flags & DENTRY_HASHED) {
		mutex_unlock(lock);
		return;
	}
	dentry_get(d);
	hash_insert_locked(v, d);
	mutex_unlock(lock);
	if (atomic_fetch_add(&v->dentry_count, 1) >= v->dentry_cap)
		dcache_shrink(v);
}

struct dentry *dcache_add(struct dentry *dir, const char *name, size_t size, struct inode *inode,
			  bool hashed)
{
	struct vfs *v = sb_vfs(dir->sb);
	struct dentry *d = dentry_alloc(dir->sb, name, size);

	d->parent = dentry_get(dir);
	d->hash = name_hash(v, dir, name, size);
	dentry_set_inode(d, inode);
	if (hashed)
		dcache_hash(v, d);
	return d;
}

void dcache_pin_path(struct dentry *d)
{
	struct vfs *v = sb_vfs(d->sb);
	struct dentry *parent;

	dentry_get(d);
	while ((parent = dentry_parent(d))) {
		dcache_hash(v, d);
		dentry_put(d);
		d = parent;
	}
	dentry_put(d);
}

void dcache_deleted(struct dentry *dir, struct dentry *d)
{
	atomic_fetch_or(&d->flags, DENTRY_DELETED);
	dcache_unhash(d);
	if (!dir->sb->no_negative && !dir->sb->no_cache)
		dentry_put(dcache_add(dir, d->name, d->name_size, NULL, true));
}

static void lock_two_buckets(struct mutex *a, struct mutex *b)
{
	/* Two of one rank: by address, so two renames can't wait for each other. */
	mutex_lock(a < b ? a : b);
	if (a != b)
		mutex_lock_nested(a < b ? b : a);
}

static void set_name(struct dentry *d, const char *name, size_t size)
{
	char *copy = NULL;

	if (size < INLINE_NAME)
		copy = d->inline_name;
	else
		copy = xmalloc(size + 1);
	if (d->name != d->inline_name)
		free(d->name);
	memmove(copy, name, size);
	copy[size] = 0;
	d->name = copy;
	d->name_size = (uint32_t)size;
}

/*
 * Only renames (one at a time in a super_block) change a parent or a name, so the bucket locks of
 * the old and the new place and the name lock are enough.
 */
void dcache_move(struct dentry *d, struct dentry *newdir, const char *name, size_t size)
{
	struct vfs *v = sb_vfs(d->sb);
	uint32_t hash = name_hash(v, newdir, name, size);
	struct mutex *from = bucket_lock(v, d->hash), *to = bucket_lock(v, hash);
	struct mutex *mine = dentry_lock(v, d);
	struct dentry *oldparent;
	bool hashed;

	lock_two_buckets(from, to);
	mutex_lock(mine);
	hashed = hash_remove_locked(v, d);
	oldparent = d->parent;
	d->parent = dentry_get(newdir);
	set_name(d, name, size);
	__atomic_store_n(&d->hash, hash, __ATOMIC_RELEASE);
	if (hashed)
		hash_insert_locked(v, d);
	mutex_unlock(mine);
	mutex_unlock(from);
	if (to != from)
		mutex_unlock(to);
	dentry_put(oldparent);
}

/* The n-th alias of an inode with a reference, or NULL. */
static struct dentry *alias_at(struct inode *inode, unsigned n)
{
	struct mutex *lock = dentry_lock(sb_vfs(inode->sb), inode);
	struct dentry *d, *found = NULL;

	mutex_lock(lock);
	list_for_each (d, &inode->aliases, alias_link)
		if (n-- == 0) {
			if (refcount_get_unless_zero(&d->ref))
				found = d;
			break;
		}
	mutex_unlock(lock);
	return found;
}

void dcache_invalidate(struct inode *dir, const char *name)
{
	struct dentry *d, *child;

	for (unsigned n = 0; (d = alias_at(dir, n)); n++) {
		child = dcache_find(d, name, strlen(name));
		if (child && !atomic_load(&child->mount_count))
			dcache_unhash(child);
		if (child)
			dentry_put(child);
		dentry_put(d);
	}
}
