/* SPDX-License-Identifier: Apache-2.0 */
/* From a path back to its name (getcwd(2), /proc/pid/fd, d_path of Linux). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/files.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/vfs_internal.h"

/* A string that grows at its front. */
struct backwards {
	char *buf;
	size_t capacity, start;
};

static void prepend(struct backwards *b, const char *s, size_t size)
{
	if (size > b->start) {
		size_t used = b->capacity - b->start, capacity = (b->capacity + size) * 2;
		char *grown = xmalloc(capacity);

		if (used)
			memcpy(grown + capacity - used, b->buf + b->start, used);
		free(b->buf);
		b->buf = grown;
		b->start = capacity - used;
		b->capacity = capacity;
	}
	b->start -= size;
	memcpy(b->buf + b->start, s, size);
}

static char *finish(struct backwards *b)
{
	size_t size = b->capacity - b->start;
	char *s = xmalloc(size + 1);

	memcpy(s, b->buf + b->start, size);
	s[size] = 0;
	free(b->buf);
	return s;
}

/* Prepends "/name"; a reference to the parent, or NULL (nothing prepended) at a root. */
static struct dentry *prepend_component(struct backwards *b, struct dentry *d)
{
	struct mutex *lock = dentry_lock(sb_vfs(d->sb), d);
	struct dentry *parent = NULL;

	mutex_lock(lock);
	if (d->parent) {
		parent = dentry_get(d->parent);
		prepend(b, d->name, d->name_size);
		prepend(b, "/", 1);
	}
	mutex_unlock(lock);
	return parent;
}

/* Goes up to root. False: ended at another top. */
static bool prepend_to_root(struct backwards *b, const struct path *p, const struct path *root)
{
	struct path cur = *p;
	bool reached = false;

	path_get(&cur);
	for (;;) {
		struct dentry *parent;
		struct path up;

		reached = cur.dentry == root->dentry && cur.mount == root->mount;
		if (reached)
			break;
		if (cur.dentry == cur.mount->root) {
			if (!mount_up(cur.mount, &up))
				break;
			path_put(&cur);
			cur = up;
			continue;
		}
		parent = prepend_component(b, cur.dentry);
		if (!parent)
			break;
		dentry_put(cur.dentry);
		cur.dentry = parent;
	}
	path_put(&cur);
	return reached;
}

char *vfs_path_string(struct task *t, const struct path *p)
{
	struct path root;
	char *s;

	fs_get_root(t->fs, &root);
	s = vfs_path_string_at(&root, p);
	path_put(&root);
	return s;
}

char *vfs_path_string_at(const struct path *root, const struct path *p)
{
	struct backwards b = {NULL, 0, 0};

	if (p->dentry->flags & DENTRY_ANON)
		return xstrdup(p->dentry->name);
	if (dentry_is_deleted(p->dentry))
		prepend(&b, " (deleted)", 10);
	if (prepend_to_root(&b, p, root)) {
		if (b.start == b.capacity || b.buf[b.start] != '/')
			prepend(&b, "/", 1);
	} else {
		if (b.start == b.capacity || b.buf[b.start] != '/')
			prepend(&b, "/", 1);
		prepend(&b, "(unreachable)", 13);
	}
	return finish(&b);
}

char *dentry_path_string(struct dentry *d)
{
	struct backwards b = {NULL, 0, 0};
	struct dentry *parent;

	dentry_get(d);
	while ((parent = prepend_component(&b, d))) {
		dentry_put(d);
		d = parent;
	}
	dentry_put(d);
	if (b.start == b.capacity)
		prepend(&b, "/", 1);
	return finish(&b);
}
