/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listing directories that the gofer serves.
 *
 * An open directory holds one listing: what one message brought. A directory that fits one message
 * is listed from that; of a larger one the gofer keeps a stream, from which the next part comes
 * when it is wanted.  In a tree that isn't shared the inode keeps what was listed last, up to
 * a bound for all together. A whole listing serves the next reader until an entry changes; any says
 * which names to look up together (ahead.c).
 *
 * Positions: 0 and 1 are "." and "..", then come devices that guests made (nodes.c), then the
 * host's cookie + POS_HOST. Cookies are whatever the host's file system likes, up to INT64_MAX.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "sentry/fs/gofer/internal.h"
#include "sentry/kernel/task_block.h"

#define POS_HOST	 (2 + NODES_MAX)
#define CACHED_BYTES_MAX (4u << 20) /* listings kept with inodes, all together */

/* An open directory's private data. All under file.lock. */
struct gofer_dir {
	uint64_t stream;      /* in the gofer; GOFER_HANDLE_NONE: none */
	struct listing *list; /* reference, or NULL */
	size_t at;	      /* the entry in list to go on with */
	int64_t pos;	      /* the position of that entry */
};

static int64_t pos_of(uint64_t cookie)
{
	return cookie > INT64_MAX - POS_HOST ? INT64_MAX : (int64_t)cookie + POS_HOST;
}

static uint64_t cookie_of(int64_t pos)
{
	return pos == INT64_MAX ? INT64_MAX : (uint64_t)(pos - POS_HOST);
}

/* ---- listings ---- */

void listing_put(struct listing *l)
{
	if (!l || !refcount_put(&l->ref))
		return;
	free(l->asked);
	free(l);
}

/* Takes the inode's listing away from it. */
static void drop_cached_locked(struct gofer_inode *g)
{
	struct listing *l = g->listing;

	g->listing = NULL;
	if (!l)
		return;
	atomic_fetch_sub(&g->super->client->cached_bytes, l->size);
	listing_put(l);
}

void gofer_dir_changed(struct gofer_inode *g)
{
	atomic_fetch_add(&g->version, 1);
	mutex_lock(&g->lock);
	g->listing_true = false;
	mutex_unlock(&g->lock);
}

void gofer_drop_listing(struct gofer_inode *g)
{
	mutex_lock(&g->lock);
	drop_cached_locked(g);
	mutex_unlock(&g->lock);
}

struct listing *gofer_known_listing(struct gofer_inode *g, bool must_be_true)
{
	struct listing *l;

	mutex_lock(&g->lock);
	l = g->listing_true || !must_be_true ? g->listing : NULL;
	if (l)
		refcount_get(&l->ref);
	mutex_unlock(&g->lock);
	return l;
}

/*
 * Keeps a listing in the place of another, if no entry has changed since `version`. is_true: it
 * may answer for the directory from now on.
 */
static void cache_listing(struct gofer_inode *g, struct listing *l, unsigned version, bool is_true)
{
	struct gofer_client *c = g->super->client;

	if (g->super->shared || atomic_load(&c->cached_bytes) + l->size > CACHED_BYTES_MAX)
		return;
	mutex_lock(&g->lock);
	if (atomic_load(&g->version) == version) {
		drop_cached_locked(g);
		refcount_get(&l->ref);
		g->listing = l;
		g->listing_true = is_true;
		atomic_fetch_add(&c->cached_bytes, l->size);
	}
	mutex_unlock(&g->lock);
}

/* Whether the entries of a reply are what it says. */
static bool entries_ok(const uint8_t *bytes, size_t size, uint32_t count)
{
	struct gofer_cursor c = {.at = bytes, .left = size};
	struct gofer_dirent e;
	struct gofer_attr attr;
	const char *name;

	for (uint32_t i = 0; i < count; i++)
		if (!gofer_take_dirent(&c, &e, &attr, &name) || e.cookie > INT64_MAX)
			return false;
	return c.left == 0;
}

static struct listing *listing_from(const struct gofer_reply_readdir *reply, size_t size,
				    uint64_t cookie)
{
	struct listing *l = xmalloc(sizeof(*l) + size);

	refcount_init(&l->ref);
	l->eof = reply->eof;
	l->complete = reply->eof && cookie == 0;
	l->entry_count = reply->entry_count;
	l->size = size;
	l->ahead_at = 0;
	l->asked = NULL;
	l->next_cookie = cookie;
	memcpy(l->entries, reply + 1, size);
	for (size_t at = 0; at < size;) {
		const struct gofer_dirent *e = (const void *)(l->entries + at);

		l->next_cookie = e->cookie;
		at += e->size;
	}
	return l;
}

/* One message's worth after cookie, from the stream if there is one. */
static int call_readdir(struct gofer_inode *g, struct gofer_dir *d, uint64_t cookie,
			struct listing **ret)
{
	const struct gofer_reply_readdir *reply;
	struct gofer_req_readdir *req;
	struct gofer_rpc *rpc = rpc_begin(g->super->client, GOFER_READDIR, sizeof(*req));
	size_t size;
	int err;

	req = rpc->req;
	req->handle = d->stream ? d->stream : g->handle;
	req->cookie = cookie;
	req->max_size = GOFER_DATA_MAX;
	err = rpc_call(rpc, sizeof(*reply));
	reply = rpc->reply;
	if (!err) {
		size = rpc->reply_size - sizeof(*reply);
		if (reply->eof > 1 || (!reply->eof && !reply->entry_count) ||
		    (d->stream && reply->stream != d->stream) ||
		    !entries_ok((const uint8_t *)(reply + 1), size, reply->entry_count))
			err = rpc_bad_reply(rpc, "wrong directory entries");
	}
	if (!err) {
		d->stream = reply->stream;
		*ret = listing_from(reply, size, cookie);
	}
	rpc_end(rpc);
	return err;
}

void gofer_list_unasked(struct gofer_inode *g)
{
	unsigned version = atomic_load(&g->version);
	struct gofer_dir d = {.stream = GOFER_HANDLE_NONE};
	struct listing *l;

	if (call_readdir(g, &d, 0, &l))
		return;
	if (d.stream)
		gofer_clunk(g->super->client, d.stream, false);
	cache_listing(g, l, version, false);
	listing_put(l);
}

/* Fills d->list with what comes at pos. */
static int fetch(struct file *f, struct gofer_dir *d, int64_t pos)
{
	struct gofer_inode *g = gofer_inode(f->inode);
	unsigned version = atomic_load(&g->version);
	struct listing *l = NULL;
	int err = 0;

	if (pos == POS_HOST) {
		l = gofer_known_listing(g, true);
		gofer_ahead_listed(g);
	}
	if (l && !l->complete) {
		listing_put(l);
		l = NULL;
	}
	if (!l) {
		err = call_readdir(g, d, cookie_of(pos), &l);
		if (err == -EMFILE) {
			gofer_shrink(g->super);
			err = call_readdir(g, d, cookie_of(pos), &l);
		}
		if (err)
			return err;
		cache_listing(g, l, version, true);
	}
	listing_put(d->list);
	d->list = l;
	d->at = 0;
	d->pos = pos;
	return 0;
}

/* Goes to the entry at pos in the listing in hand; false: it isn't there. */
static bool find_in_list(struct gofer_dir *d, int64_t pos)
{
	size_t at = 0;

	if (!d->list || pos == POS_HOST)
		return false; /* from the start: look afresh */
	while (at < d->list->size) {
		const struct gofer_dirent *e = (const void *)(d->list->entries + at);

		at += e->size;
		if (pos_of(e->cookie) == pos) {
			d->at = at;
			d->pos = pos;
			return true;
		}
	}
	return false;
}

/* ---- file operations ---- */

/* Emits the entry at d->at; false: no room. */
static bool emit_entry(struct file *f, struct gofer_dir *d, struct dir_emit *out)
{
	struct gofer_inode *g = gofer_inode(f->inode);
	struct gofer_cursor c = {.at = d->list->entries + d->at, .left = d->list->size - d->at};
	char copy[GOFER_NAME_MAX + 1];
	struct gofer_dirent e;
	struct gofer_attr attr;
	const char *name;

	check(gofer_take_dirent(&c, &e, &attr, &name));
	memcpy(copy, name, e.name_size);
	copy[e.name_size] = '\0';
	if (!out->emit(out, copy, gofer_guest_ino(g->super, g->host_dev, e.ino), e.type,
		       pos_of(e.cookie)))
		return false;
	d->at += e.size;
	d->pos = f->pos = pos_of(e.cookie);
	return true;
}

static int dir_readdir(struct file *f, struct dir_emit *e)
{
	struct gofer_dir *d = f->private;
	int err;

	if (!vfs_emit_dots(f, e) || !gofer_nodes_emit(f, e))
		return 0;
	for (;;) {
		bool ready = d->list && d->pos == f->pos && f->pos != POS_HOST;

		if (!ready && !find_in_list(d, f->pos)) {
			err = fetch(f, d, f->pos);
			if (err)
				return err;
		}
		while (d->at < d->list->size)
			if (!emit_entry(f, d, e))
				return 0;
		if (d->list->eof)
			return 0;
		err = fetch(f, d, f->pos);
		if (err)
			return err;
	}
}

static int call_fsync(struct gofer_inode *g, bool data_only)
{
	struct gofer_req_fsync *req;
	struct gofer_rpc *rpc;
	int err;

	worker_going_long();
	rpc = rpc_begin(g->super->client, GOFER_FSYNC, sizeof(*req));
	req = rpc->req;
	req->handle = g->handle;
	req->data_only = data_only;
	err = rpc_call(rpc, sizeof(struct gofer_header));
	rpc_end(rpc);
	return err;
}

static int dir_fsync(struct file *f, bool data_only)
{
	return call_fsync(gofer_inode(f->inode), data_only);
}

static void dir_release(struct file *f)
{
	struct gofer_client *c = gofer_inode(f->inode)->super->client;
	struct gofer_dir *d = f->private;

	if (d->stream)
		gofer_clunk(c, d->stream, false);
	listing_put(d->list);
	free(d);
}

static const struct file_ops dir_ops = {
    .readdir = dir_readdir,
    .fsync = dir_fsync,
    .release = dir_release,
};

int gofer_dir_open(struct inode *i, struct file *f)
{
	(void)i;
	f->private = xnew(struct gofer_dir);
	f->ops = &dir_ops;
	return 0;
}
