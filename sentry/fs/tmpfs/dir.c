/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories of tmpfs: a hash by name for lookups, and an array by cookie for getdents.
 *
 * A cookie is a number that an entry gets when it is made and that is never given again, so a
 * program that reads a directory while names come and go sees every name that stays exactly once.
 * The array is sorted by cookie because cookies ascend; a removed entry leaves its slot empty until
 * more than half are, then the array is packed (the cookies stay). A position is found by
 * bisection.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "sentry/fs/tmpfs/tmpfs_internal.h"

#define BUCKETS_FIRST 8

static uint32_t hash_name(const char *name, size_t size)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < size; i++)
		h = (h ^ (uint8_t)name[i]) * 0x100000001b3ull;
	return (uint32_t)(h ^ h >> 32);
}

static struct tmpfs_entry **bucket_of(struct tmpfs_dir *d, uint32_t hash)
{
	return &d->buckets[hash & (d->bucket_count - 1)];
}

struct tmpfs_entry *tmpfs_dir_find(struct inode *dir, const char *name)
{
	struct tmpfs_dir *d = &tmpfs_i(dir)->dir;
	size_t size = strlen(name);
	uint32_t hash = hash_name(name, size);
	struct tmpfs_entry *e;

	assert_held(&dir->lock);
	if (!d->bucket_count)
		return NULL;
	for (e = *bucket_of(d, hash); e; e = e->hash_next)
		if (e->hash == hash && e->name_size == size && !memcmp(e->name, name, size))
			return e;
	return NULL;
}

static void grow_hash(struct tmpfs_dir *d)
{
	uint32_t old_count = d->bucket_count;
	struct tmpfs_entry **old = d->buckets;

	d->bucket_count = old_count ? old_count * 2 : BUCKETS_FIRST;
	d->buckets = xcalloc(d->bucket_count, sizeof(*d->buckets));
	for (uint32_t i = 0; i < old_count; i++)
		while (old[i]) {
			struct tmpfs_entry *e = old[i], **bucket = bucket_of(d, e->hash);

			old[i] = e->hash_next;
			e->hash_next = *bucket;
			*bucket = e;
		}
	free(old);
}

static void append_slot(struct tmpfs_dir *d, struct tmpfs_entry *e)
{
	if (d->slot_count == d->slot_capacity) {
		d->slot_capacity = MAX(d->slot_capacity * 2, 8u);
		d->slots = xrealloc(d->slots, d->slot_capacity * sizeof(*d->slots));
	}
	d->slots[d->slot_count++] = (struct tmpfs_slot){e->cookie, e};
}

void tmpfs_dir_add(struct inode *dir, const char *name, struct inode *inode)
{
	struct tmpfs_dir *d = &tmpfs_i(dir)->dir;
	size_t size = strlen(name);
	struct tmpfs_entry *e = xmalloc(sizeof(*e) + size + 1), **bucket;

	assert_held(&dir->lock);
	memcpy(e->name, name, size + 1);
	e->name_size = (uint32_t)size;
	e->hash = hash_name(name, size);
	e->inode = inode_get(inode);
	/* 0 and 1 are "." and "..". */
	e->cookie = 2 + d->next_cookie++;
	if (d->entry_count >= d->bucket_count)
		grow_hash(d);
	bucket = bucket_of(d, e->hash);
	e->hash_next = *bucket;
	*bucket = e;
	append_slot(d, e);
	d->entry_count++;
}

/* The index of the first slot whose cookie is at least `cookie`. */
static uint32_t find_slot(const struct tmpfs_dir *d, int64_t cookie)
{
	uint32_t low = 0, high = d->slot_count;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (d->slots[mid].cookie < cookie)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void pack(struct tmpfs_dir *d)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < d->slot_count; i++)
		if (d->slots[i].entry)
			d->slots[n++] = d->slots[i];
	d->slot_count = n;
}

struct inode *tmpfs_dir_remove(struct inode *dir, struct tmpfs_entry *e)
{
	struct tmpfs_dir *d = &tmpfs_i(dir)->dir;
	struct tmpfs_entry **p = bucket_of(d, e->hash);
	struct inode *inode = e->inode;

	assert_held(&dir->lock);
	while (*p != e)
		p = &(*p)->hash_next;
	*p = e->hash_next;
	d->slots[find_slot(d, e->cookie)].entry = NULL;
	free(e);
	d->entry_count--;
	if (d->slot_count > 16 && d->slot_count > 2 * d->entry_count)
		pack(d);
	return inode;
}

/* ---- taking a whole tree down ---- */

/* Takes all entries out; they are appended to *list, chained by hash_next. */
static void take_entries(struct tmpfs_dir *d, struct tmpfs_entry **list)
{
	for (uint32_t i = 0; i < d->slot_count; i++) {
		struct tmpfs_entry *e = d->slots[i].entry;

		if (!e)
			continue;
		e->hash_next = *list;
		*list = e;
	}
	free(d->slots);
	free(d->buckets);
	memset(d, 0, sizeof(*d));
}

/*
 * Frees the names of a directory whose inode is going. Subdirectories that only we hold are emptied
 * into the same list first, so that a deep tree needs no deep stack.
 */
void tmpfs_dir_free(struct inode *dir)
{
	struct tmpfs_entry *list = NULL, *e;

	take_entries(&tmpfs_i(dir)->dir, &list);
	while ((e = list)) {
		list = e->hash_next;
		if (ABI_S_ISDIR(e->inode->mode) && refcount_read(&e->inode->ref) == 1)
			take_entries(&tmpfs_i(e->inode)->dir, &list);
		inode_put(e->inode);
		free(e);
	}
}

/* ---- reading ---- */

static uint8_t dirent_type(uint32_t mode)
{
	return (uint8_t)(mode >> 12 & 15);
}

static int dir_readdir(struct file *f, struct dir_emit *e)
{
	struct inode *dir = f->inode;
	struct tmpfs_dir *d = &tmpfs_i(dir)->dir;

	if (!vfs_emit_dots(f, e))
		return 0;
	mutex_lock(&dir->lock);
	dir->atime = tmpfs_now();
	for (uint32_t i = find_slot(d, f->pos); i < d->slot_count; i++) {
		struct tmpfs_entry *entry = d->slots[i].entry;

		if (!entry)
			continue;
		if (!e->emit(e, entry->name, entry->inode->ino, dirent_type(entry->inode->mode),
			     entry->cookie + 1))
			break;
		f->pos = entry->cookie + 1;
	}
	mutex_unlock(&dir->lock);
	return 0;
}

static int64_t dir_seek(struct file *f, int64_t offset, int whence)
{
	if (whence != ABI_SEEK_CUR && whence != ABI_SEEK_SET)
		return -EINVAL;
	if (whence == ABI_SEEK_CUR && __builtin_add_overflow(offset, f->pos, &offset))
		return -EOVERFLOW;
	if (offset < 0)
		return -EINVAL;
	f->pos = offset;
	return offset;
}

const struct file_ops tmpfs_dir_file_ops = {
    .readdir = dir_readdir,
    .seek = dir_seek,
};
