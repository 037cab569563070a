/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking up names before they are asked for.
 *
 * Programs that walk trees (find, ls -l, du, tar, rm -r, git status) list a directory and then
 * stat its entries one by one, which would cost a message each. So the first lookup of a listed
 * name asks for those that come after it in the listing as well (LOOKUP); their nodes wait here,
 * and become inodes only if somebody asks.
 *
 *	readdir of a directory       names may be looked up ahead from now on
 *	lookup, not here             a message for this name and up to AHEAD_FIRST - 1 more,
 *	                             the next time twice as many, up to GOFER_LOOKUP_MAX
 *	AHEAD_LIST names looked up   the gofer is asked for the listing (git status has names from
 *	without a listing            its index, compilers try directories in turn)
 *	AHEAD_TRIAL names fetched,   no more until the next readdir
 *	fewer than a quarter used
 *
 * The order in which a program asks is often not the directory's. So a directory can have several
 * batches here, and what is here isn't fetched again; a directory of up to AHEAD_TRIAL entries
 * comes in a few messages, whatever the order.
 *
 * A directory whose whole listing is known, and true, answers for names that it doesn't have, too.
 *
 * Only for trees that aren't shared, where what was true stays true until this sentry changes it:
 * a change of a name drops its node. A file with several names can change behind its node's back,
 * by another name, so such nodes aren't used. Nor are those from before an inode went that had been
 * changed, as it may have been theirs:
 *
 *	the inode of "b" is in use	(size 0)
 *					"a" is looked up, a node of "b" comes along: size 0
 *	write of 5 bytes, close
 *	swept from the dentry cache
 *					"b" is looked up: its node is out of date
 *
 * All functions are called with the directory's inode.lock held, but for gofer_ahead_listed.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/feature.h"
#include "base/log.h"
#include "base/mem.h"
#include "sentry/fs/gofer/internal.h"
#include "sentry/kernel/lockorder.h"

#define AHEAD_FIRST 32u
#define AHEAD_TRIAL 256u
/* Names looked up one by one before a directory is listed: at first, if it pays, and at most. */
#define AHEAD_LIST     8u
#define AHEAD_LIST_MIN 2u
#define AHEAD_LIST_MAX 64u
#define AHEAD_OF_USE   8u /* names that were waiting here */

struct ahead_entry {
	struct gofer_node node; /* handle GOFER_HANDLE_NONE: not there (any more) */
	char *name;
};

/* The nodes of one reply. */
struct ahead {
	uint64_t dir_handle;
	unsigned gone;	/* gofer_super.changed_gone before they were asked for */
	uint32_t count; /* entries */
	struct ahead_entry entries[GOFER_LOOKUP_MAX];
};

static void ahead_free(struct gofer_super *s, struct ahead *a)
{
	for (uint32_t i = 0; i < a->count; i++) {
		if (a->entries[i].node.handle != GOFER_HANDLE_NONE)
			gofer_clunk(s->client, a->entries[i].node.handle, false);
		free(a->entries[i].name);
	}
	free(a);
}

/* The waiting entry of a name, or NULL. */
static struct ahead_entry *find_locked(struct gofer_super *s, const struct gofer_inode *dir,
				       const char *name, unsigned *ret_gone)
{
	for (unsigned n = 0; n < AHEAD_SLOTS; n++) {
		struct ahead *a = s->ahead[n];

		if (!a || a->dir_handle != dir->handle)
			continue;
		for (uint32_t i = 0; i < a->count; i++)
			if (a->entries[i].node.handle != GOFER_HANDLE_NONE &&
			    !strcmp(a->entries[i].name, name)) {
				*ret_gone = a->gone;
				return &a->entries[i];
			}
	}
	return NULL;
}

/* Takes the node of a name away; GOFER_HANDLE_NONE if there is none. */
static uint64_t take_entry(struct gofer_inode *dir, const char *name, struct gofer_node *ret,
			   unsigned *ret_gone)
{
	struct gofer_super *s = dir->super;
	struct ahead_entry *e;
	uint64_t handle = GOFER_HANDLE_NONE;

	mutex_lock(&s->ahead_lock);
	e = find_locked(s, dir, name, ret_gone);
	if (e) {
		handle = e->node.handle;
		*ret = e->node;
		e->node.handle = GOFER_HANDLE_NONE;
	}
	mutex_unlock(&s->ahead_lock);
	return handle;
}

void gofer_ahead_forget(struct gofer_inode *dir, const char *name)
{
	struct gofer_node node;
	unsigned gone;
	uint64_t handle = take_entry(dir, name, &node, &gone);

	if (handle != GOFER_HANDLE_NONE)
		gofer_clunk(dir->super->client, handle, false);
}

void gofer_ahead_drop(struct gofer_inode *dir)
{
	struct gofer_super *s = dir->super;

	for (unsigned n = 0; n < AHEAD_SLOTS; n++) {
		struct ahead *a;

		mutex_lock(&s->ahead_lock);
		a = s->ahead[n];
		if (a && a->dir_handle == dir->handle)
			s->ahead[n] = NULL;
		else
			a = NULL;
		mutex_unlock(&s->ahead_lock);
		if (a)
			ahead_free(s, a);
	}
}

void gofer_ahead_drop_all(struct gofer_super *s)
{
	for (unsigned i = 0; i < AHEAD_SLOTS; i++) {
		struct ahead *a;

		mutex_lock(&s->ahead_lock);
		a = s->ahead[i];
		s->ahead[i] = NULL;
		mutex_unlock(&s->ahead_lock);
		if (a)
			ahead_free(s, a);
	}
}

void gofer_ahead_init(struct gofer_super *s)
{
	mutex_init(&s->ahead_lock, RANK_OBJECT);
	atomic_init(&s->list_after, AHEAD_LIST);
}

void gofer_ahead_listed(struct gofer_inode *dir)
{
	if (dir->super->shared || feature_off(FEATURE_LOOK_AHEAD))
		return;
	atomic_store(&dir->ahead_asked, 0);
	atomic_store(&dir->ahead_taken, 0);
	atomic_store(&dir->ahead_size, AHEAD_FIRST);
}

static bool usable(const struct gofer_node *node)
{
	return ABI_S_ISDIR(node->attr.mode) || node->attr.nlink == 1;
}

bool gofer_ahead_take(struct inode *dir, const char *name, struct inode **ret)
{
	struct gofer_inode *g = gofer_inode(dir);
	struct gofer_node node;
	unsigned gone;

	if (take_entry(g, name, &node, &gone) == GOFER_HANDLE_NONE)
		return false;
	if (!usable(&node)) {
		gofer_clunk(g->super->client, node.handle, false);
		return false;
	}
	if (gofer_inode_of_early(g->super, &node, gone, dir, ret))
		return false;
	if (atomic_fetch_add(&g->ahead_taken, 1) + 1 == AHEAD_OF_USE)
		atomic_store(&g->super->list_after, AHEAD_LIST_MIN);
	return true;
}

/* ---- the listing ---- */

static const struct gofer_dirent *entry_at(const struct listing *l, size_t at)
{
	return at < l->size ? (const void *)(l->entries + at) : NULL;
}

static const char *entry_name(const struct gofer_dirent *e)
{
	return (const char *)(e + 1) + (e->has_attr ? sizeof(struct gofer_attr) : 0);
}

/* Where in the listing the name is, from `at` on and then from the start; NULL: nowhere. */
static const struct gofer_dirent *find_entry(const struct listing *l, size_t at, const char *name)
{
	size_t size = strlen(name), start = at < l->size ? at : 0, left = l->size;
	const struct gofer_dirent *e;

	for (at = start; left; left -= e->size, at += e->size) {
		if (at >= l->size)
			at = 0;
		e = entry_at(l, at);
		if (e->name_size == size && !memcmp(entry_name(e), name, size))
			return e;
	}
	return NULL;
}

bool gofer_ahead_absent(struct gofer_inode *dir, const char *name)
{
	struct listing *l = gofer_known_listing(dir, true);
	bool absent = l && l->complete && !find_entry(l, l->ahead_at, name);

	listing_put(l);
	return absent;
}

/* ---- the message ---- */

/* How many names to ask for now; 0: just the one. */
static uint32_t batch_size(struct gofer_inode *dir)
{
	uint32_t size = atomic_load(&dir->ahead_size);

	if (atomic_load(&dir->ahead_asked) >= AHEAD_TRIAL &&
	    4 * atomic_load(&dir->ahead_taken) < atomic_load(&dir->ahead_asked))
		size = 0;
	atomic_store(&dir->ahead_size, MIN(2 * size, GOFER_LOOKUP_MAX));
	return size;
}

static bool is_waiting(struct gofer_inode *dir, const char *name)
{
	unsigned gone;
	bool waiting;

	mutex_lock(&dir->super->ahead_lock);
	waiting = find_locked(dir->super, dir, name, &gone) &&
		  gone == atomic_load(&dir->super->changed_gone);
	mutex_unlock(&dir->super->ahead_lock);
	return waiting;
}

static void add_name(struct gofer_rpc *rpc, struct ahead *a, const char *name)
{
	struct gofer_req_walk *req = rpc->req;

	rpc_add_string(rpc, name);
	if (req->name_count++ > 0)
		a->entries[a->count++].name = xstrdup(name);
}

/* Whether the entry at `at` is asked for the first time; notes that it is. */
static bool first_time(struct listing *l, size_t at)
{
	uint64_t bit = 1ull << at / 8 % 64, *word;

	if (!l->asked)
		l->asked = xcalloc(l->size / 512 + 1, sizeof(*l->asked));
	word = &l->asked[at / 512];
	if (*word & bit)
		return false;
	*word |= bit;
	return true;
}

/* Adds the name of an entry, unless it was asked for before, or waits. */
static void add_entry(struct gofer_rpc *rpc, struct gofer_inode *dir, struct listing *l,
		      struct ahead *a, size_t at)
{
	const struct gofer_dirent *e = entry_at(l, at);
	char copy[GOFER_NAME_MAX + 1];

	if (!first_time(l, at))
		return;
	memcpy(copy, entry_name(e), e->name_size);
	copy[e->name_size] = '\0';
	if (!is_waiting(dir, copy))
		add_name(rpc, a, copy);
}

/*
 * The names to ask for: `name` first, then what follows it in the listing, round to its start. With
 * a directory only directories: who walks a tree without looking at each file needs no others.
 */
static void add_names(struct gofer_rpc *rpc, struct gofer_inode *dir, struct listing *l,
		      struct ahead *a, const char *name, uint32_t size)
{
	const struct gofer_dirent *e = find_entry(l, l->ahead_at, name);
	size_t at, left = l->size;
	bool only_dirs = e && e->type == DT_DIR;

	add_name(rpc, a, name);
	if (!e)
		return;
	at = (size_t)((const uint8_t *)e - l->entries);
	first_time(l, at);
	for (; left && a->count + 1 < size; left -= e->size, at += e->size) {
		if (at >= l->size)
			at = 0;
		e = entry_at(l, at);
		if (!only_dirs || e->type == DT_DIR)
			add_entry(rpc, dir, l, a, at);
	}
	l->ahead_at = at;
	atomic_fetch_add(&dir->ahead_asked, a->count);
}

/* Checks the reply and moves its nodes into the batch; the first one is the caller's. */
static int take_reply(struct gofer_rpc *rpc, struct ahead *a, struct gofer_node *ret)
{
	const struct gofer_reply_walk *reply = rpc->reply;
	const struct gofer_req_walk *req = rpc->req;

	if (reply->node_count != req->name_count || reply->stop_error > 0 ||
	    reply->stop_error < -4095 ||
	    rpc->reply_size != sizeof(*reply) + reply->node_count * sizeof(reply->nodes[0]))
		return rpc_bad_reply(rpc, "wrong lookup");
	for (uint32_t i = 0; i < reply->node_count; i++) {
		const struct gofer_node *node = &reply->nodes[i];

		if (i == 0 ? !reply->stop_error && !rpc_node_ok(node)
			   : node->handle != GOFER_HANDLE_NONE && !rpc_attr_ok(&node->attr))
			return rpc_bad_reply(rpc, "wrong attributes");
	}
	for (uint32_t i = 1; i < reply->node_count; i++)
		a->entries[i - 1].node = reply->nodes[i];
	*ret = reply->nodes[0];
	return reply->stop_error;
}

/* Keeps a batch in the place of the oldest. */
static void put_batch(struct gofer_super *s, struct ahead *a)
{
	struct ahead *old;

	mutex_lock(&s->ahead_lock);
	old = s->ahead[s->ahead_next];
	s->ahead[s->ahead_next] = a;
	s->ahead_next = (s->ahead_next + 1) % AHEAD_SLOTS;
	mutex_unlock(&s->ahead_lock);
	if (old)
		ahead_free(s, old);
}

static int call_lookup(struct gofer_inode *dir, struct listing *l, const char *name, uint32_t size,
		       struct gofer_node *ret)
{
	struct ahead *a = xnew(struct ahead);
	struct gofer_req_walk *req;
	struct gofer_rpc *rpc = rpc_begin(dir->super->client, GOFER_LOOKUP, sizeof(*req));
	int err;

	a->dir_handle = dir->handle;
	a->gone = atomic_load(&dir->super->changed_gone);
	req = rpc->req;
	req->handle = dir->handle;
	add_names(rpc, dir, l, a, name, size);
	err = rpc_call(rpc, sizeof(struct gofer_reply_walk));
	if (!err)
		err = take_reply(rpc, a, ret);
	rpc_end(rpc);
	if (a->count && !err)
		put_batch(dir->super, a);
	else
		ahead_free(dir->super, a);
	return err;
}

/*
 * A name is looked up by itself. Whether a listing is worth it is known from the last ones: that of
 * one directory being of use makes the next come at once, one that isn't makes it come later. The
 * same directory isn't listed again before many times as many names.
 */
static void count_single(struct gofer_inode *dir)
{
	struct gofer_super *s = dir->super;
	uint32_t after = atomic_load_explicit(&s->list_after, memory_order_relaxed);

	if (s->shared || feature_off(FEATURE_LOOK_AHEAD))
		return;
	if (feature_forced(FEATURE_LOOK_AHEAD))
		after = 1;
	if (++dir->single_count < MAX(dir->single_max, after))
		return;
	dir->single_count = 0;
	dir->single_max = 8 * MAX(MIN(dir->single_max, 1u << 20), AHEAD_LIST);
	atomic_store(&s->list_after, MIN(2 * after, AHEAD_LIST_MAX));
	gofer_list_unasked(dir);
	gofer_ahead_listed(dir);
	atomic_store(&dir->ahead_size, GOFER_LOOKUP_MAX);
}

int gofer_ahead_lookup(struct gofer_inode *dir, const char *name, struct gofer_node *ret)
{
	struct listing *l = NULL;
	uint32_t size = batch_size(dir);
	int err;

	if (size > 1)
		l = gofer_known_listing(dir, false);
	if (!l) {
		count_single(dir);
		return -EAGAIN;
	}
	err = call_lookup(dir, l, name, size, ret);
	listing_put(l);
	return err;
}
