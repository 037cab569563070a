/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes of tmpfs: a short list an inode, bounded in all. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "sentry/fs/tmpfs/tmpfs_internal.h"

#define XATTR_BYTES_MAX (128u << 10) /* names and values of one inode */

static struct tmpfs_xattr **find(struct inode *i, const char *name)
{
	struct tmpfs_xattr **p = &tmpfs_i(i)->xattrs;

	while (*p && strcmp((*p)->name, name))
		p = &(*p)->next;
	return p;
}

static void unlink_xattr(struct inode *i, struct tmpfs_xattr **p)
{
	struct tmpfs_xattr *x = *p;

	*p = x->next;
	tmpfs_i(i)->xattr_size -= strlen(x->name) + 1 + x->size;
	free(x->value);
	free(x);
}

ssize_t tmpfs_getxattr(struct inode *i, const char *name, void *buf, size_t size)
{
	struct tmpfs_xattr *x;
	ssize_t ret = -ENODATA;

	mutex_lock(&i->lock);
	x = *find(i, name);
	if (x)
		ret = (ssize_t)x->size;
	if (x && size) {
		if (x->size > size)
			ret = -ERANGE;
		else
			memcpy(buf, x->value, x->size);
	}
	mutex_unlock(&i->lock);
	return ret;
}

int tmpfs_setxattr(struct inode *i, const char *name, const void *value, size_t size, int flags)
{
	struct tmpfs_inode *ti = tmpfs_i(i);
	struct tmpfs_xattr **p = find(i, name), *x;
	size_t cost = strlen(name) + 1 + size;

	if (*p && (flags & ABI_XATTR_CREATE))
		return -EEXIST;
	if (!*p && (flags & ABI_XATTR_REPLACE))
		return -ENODATA;
	if (ti->xattr_size + cost > XATTR_BYTES_MAX)
		return -ENOSPC;
	if (*p)
		unlink_xattr(i, p);
	x = xmalloc(sizeof(*x) + strlen(name) + 1);
	strcpy(x->name, name);
	x->value = xmalloc(size ? size : 1);
	memcpy(x->value, value, size);
	x->size = size;
	x->next = ti->xattrs;
	ti->xattrs = x;
	ti->xattr_size += cost;
	i->ctime = tmpfs_now();
	return 0;
}

ssize_t tmpfs_listxattr(struct inode *i, char *buf, size_t size)
{
	size_t total = 0;
	ssize_t ret;

	mutex_lock(&i->lock);
	for (struct tmpfs_xattr *x = tmpfs_i(i)->xattrs; x; x = x->next) {
		size_t n = strlen(x->name) + 1;

		if (size && total + n <= size)
			memcpy(buf + total, x->name, n);
		total += n;
	}
	ret = size && total > size ? -ERANGE : (ssize_t)total;
	mutex_unlock(&i->lock);
	return ret;
}

int tmpfs_removexattr(struct inode *i, const char *name)
{
	struct tmpfs_xattr **p = find(i, name);

	if (!*p)
		return -ENODATA;
	unlink_xattr(i, p);
	i->ctime = tmpfs_now();
	return 0;
}

void tmpfs_xattrs_free(struct inode *i)
{
	while (tmpfs_i(i)->xattrs)
		unlink_xattr(i, &tmpfs_i(i)->xattrs);
}
