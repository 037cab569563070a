/* SPDX-License-Identifier: Apache-2.0 */
/* Instances of the gofer file system, and its table of inodes. See internal.h. */
#include <errno.h>
#include <stdlib.h>

#include "base/feature.h"
#include "base/log.h"
#include "base/mem.h"
#include "sentry/fs/gofer/internal.h"
#include "sentry/kernel/lockorder.h"
#include "sentry/kernel/timer.h"
#include "sentry/vfs/vfs_internal.h"

#define TABLE_FIRST_SIZE 256u
/*
 * A deleted file's space is given back when the gofer drops its handle: at once, or for small ones
 * together with others (CLUNK_BATCH in client.c), since a message each costs as much as to delete.
 */
#define SMALL_SIZE (64u * 1024)

/* ---- numbers ---- */

/*
 * A recursive bind mount can hold several devices of the host below one device of ours: numbers of
 * the others are moved elsewhere.
 */
uint64_t gofer_guest_ino(const struct gofer_super *s, uint64_t host_dev, uint64_t host_ino)
{
	if (host_dev == s->root_dev)
		return host_ino;
	return (host_ino ^ host_dev * 0x9e3779b97f4a7c15ull) | 1ull << 63;
}

/* ---- the table ---- */

static struct gofer_inode **bucket(struct gofer_super *s, uint64_t dev, uint64_t ino)
{
	uint64_t h = (ino ^ dev << 32) * 0x9e3779b97f4a7c15ull;

	return &s->table[(h >> 32) & (s->table_size - 1)];
}

static void grow_table(struct gofer_super *s)
{
	struct gofer_inode **old = s->table;
	uint32_t old_size = s->table_size;

	s->table_size = old_size ? 2 * old_size : TABLE_FIRST_SIZE;
	s->table = xcalloc(s->table_size, sizeof(*s->table));
	for (uint32_t i = 0; i < old_size; i++)
		while (old[i]) {
			struct gofer_inode *g = old[i], **to;

			old[i] = g->next;
			to = bucket(s, g->host_dev, g->host_ino);
			g->next = *to;
			*to = g;
		}
	free(old);
}

/* The living inode of these numbers with a reference, or NULL; *ret_dying: one is on its way out.
 */
static struct inode *find_locked(struct gofer_super *s, uint64_t dev, uint64_t ino, bool *ret_dying)
{
	*ret_dying = false;
	for (struct gofer_inode *g = *bucket(s, dev, ino); g; g = g->next) {
		if (g->host_ino != ino || g->host_dev != dev)
			continue;
		if (refcount_get_unless_zero(&g->inode->ref))
			return g->inode;
		*ret_dying = true;
	}
	return NULL;
}

static void insert_locked(struct gofer_super *s, struct gofer_inode *g)
{
	struct gofer_inode **to;

	if (s->inode_count >= s->table_size)
		grow_table(s);
	to = bucket(s, g->host_dev, g->host_ino);
	g->next = *to;
	*to = g;
	s->inode_count++;
}

static void remove_from_table(struct gofer_super *s, struct gofer_inode *g)
{
	struct gofer_inode **at;

	mutex_lock(&s->table_lock);
	for (at = bucket(s, g->host_dev, g->host_ino); *at != g; at = &(*at)->next)
		check(*at);
	*at = g->next;
	s->inode_count--;
	/* One without a name is never looked up again. */
	if (atomic_load(&g->changed) && atomic_load(&g->inode->nlink))
		atomic_fetch_add(&s->changed_gone, 1);
	mutex_unlock(&s->table_lock);
}

/* ---- inodes ---- */

static const struct inode_ops *ops_of(uint32_t mode)
{
	switch (mode & ABI_S_IFMT) {
	case ABI_S_IFDIR:
		return &gofer_dir_ops;
	case ABI_S_IFREG:
		return &gofer_file_ops;
	case ABI_S_IFLNK:
		return &gofer_symlink_ops;
	default:
		return &gofer_special_ops;
	}
}

static struct abi_timespec time_of(const struct gofer_time *t)
{
	return (struct abi_timespec){t->sec, t->nsec};
}

void gofer_apply_attr(struct inode *i, const struct gofer_attr *a)
{
	uint64_t size = i->size;

	gofer_set_mode(i, a->mode);
	i->uid = a->uid;
	i->gid = a->gid;
	i->nlink = a->nlink;
	__atomic_store_n(&i->size, a->size, __ATOMIC_RELAXED);
	i->blocks = a->blocks;
	i->atime = time_of(&a->atime);
	i->mtime = time_of(&a->mtime);
	gofer_set_ctime(i, time_of(&a->ctime));
	i->btime = time_of(&a->btime);
	atomic_store(&gofer_inode(i)->fresh_at, time_monotonic_ns());
	lease_revoke(i, LEASE_STAT | (size == a->size ? 0 : LEASE_READ));
}

static struct inode *make_inode(struct gofer_super *s, const struct gofer_node *node)
{
	const struct gofer_attr *a = &node->attr;
	struct gofer_inode *g = xnew(struct gofer_inode);
	struct inode *i =
	    inode_new(s->sb, ops_of(a->mode), gofer_guest_ino(s, a->dev, a->ino), a->mode);

	g->inode = i;
	g->super = s;
	g->handle = node->handle;
	g->host_dev = a->dev;
	g->host_ino = a->ino;
	list_init(&g->idle_link);
	mutex_init(&g->lock, RANK_OBJECT);
	mutex_init(&g->append_lock, RANK_OBJECT);
	mutex_init(&g->map_lock, RANK_FILEMAP);
	i->private = g;
	i->rdev = abi_makedev(a->rdev_major, a->rdev_minor);
	gofer_apply_attr(i, a);
	return i;
}

/* What the reply says of an inode that is known already. */
static int update_known(struct gofer_super *s, const struct gofer_node *node, struct inode *parent,
			struct inode *i)
{
	gofer_clunk(s->client, node->handle, false);
	if (i == parent || (i->mode ^ node->attr.mode) & ABI_S_IFMT) {
		inode_put(i);
		return -EIO;
	}
	if (!s->shared)
		return 0;
	if (parent)
		mutex_lock_nested(&i->lock); /* below its directory */
	else
		mutex_lock(&i->lock);
	gofer_apply_attr(i, &node->attr);
	mutex_unlock(&i->lock);
	return 0;
}

/* gone: if the node came early, what changed_gone was then. */
static int inode_of(struct gofer_super *s, const struct gofer_node *node, const unsigned *gone,
		    struct inode *parent, struct inode **ret)
{
	struct inode *i;
	bool known, dying;
	int err;

	mutex_lock(&s->table_lock);
	i = find_locked(s, node->attr.dev, node->attr.ino, &dying);
	known = i;
	if (!known && (!gone || (!dying && *gone == atomic_load(&s->changed_gone)))) {
		i = make_inode(s, node);
		insert_locked(s, gofer_inode(i));
	}
	mutex_unlock(&s->table_lock);
	if (!i) {
		gofer_clunk(s->client, node->handle, false);
		return -ESTALE;
	}
	err = known ? update_known(s, node, parent, i) : 0;
	if (!err)
		*ret = i;
	return err;
}

int gofer_inode_of(struct gofer_super *s, const struct gofer_node *node, struct inode *parent,
		   struct inode **ret)
{
	return inode_of(s, node, NULL, parent, ret);
}

int gofer_inode_of_early(struct gofer_super *s, const struct gofer_node *node, unsigned gone,
			 struct inode *parent, struct inode **ret)
{
	return inode_of(s, node, &gone, parent, ret);
}

void gofer_evict(struct inode *i)
{
	struct gofer_inode *g = gofer_inode(i);

	remove_from_table(g->super, g);
	gofer_drop_kept(g);
	gofer_drop_listing(g);
	if (ABI_S_ISDIR(i->mode))
		gofer_ahead_drop(g);
	gofer_clunk(g->super->client, g->handle, i->nlink == 0 && i->size > SMALL_SIZE);
	free(g->target);
	mutex_destroy(&g->lock);
	mutex_destroy(&g->append_lock);
	mutex_destroy(&g->map_lock);
	free(g);
}

void gofer_shrink(struct gofer_super *s)
{
	log_debug(LOGC_VFS, "gofer: out of handles, %u inodes", s->inode_count);
	gofer_ahead_drop_all(s);
	dcache_prune(s->sb);
	gofer_clunk_now(s->client);
}

/* ---- instances ---- */

static void destroy(struct super_block *sb)
{
	struct gofer_super *s = gofer_super(sb);

	gofer_ahead_drop_all(s);
	check(s->inode_count == 0);
	mutex_destroy(&s->table_lock);
	mutex_destroy(&s->ahead_lock);
	gofer_nodes_destroy(s);
	mutex_destroy(&s->nodes_lock);
	free(s->table);
	free(s);
}

static const struct super_ops exclusive_ops = {.statfs = gofer_statfs, .destroy = destroy};
static const struct super_ops shared_ops = {
    .statfs = gofer_statfs, .revalidate = gofer_revalidate, .destroy = destroy};

static int attach(struct gofer_client *c, uint32_t index, struct gofer_node *ret_root)
{
	struct gofer_req_attach *req;
	struct gofer_rpc *rpc = rpc_begin(c, GOFER_ATTACH, sizeof(*req));
	int err;

	req = rpc->req;
	req->index = index;
	err = rpc_call(rpc, sizeof(struct gofer_reply_node));
	if (!err) {
		*ret_root = ((const struct gofer_reply_node *)rpc->reply)->node;
		if (!rpc_node_ok(ret_root))
			err = rpc_bad_reply(rpc, "wrong attributes");
	}
	rpc_end(rpc);
	return err;
}

/* File systems whose reads wait for another machine or process. */
static bool is_remote(int64_t type)
{
	static const uint32_t types[] = {0x6969 /* NFS */,	0x65735546 /* FUSE */,
					 0xff534d42 /* CIFS */, 0xfe534d42 /* SMB2 */,
					 0x01021997 /* 9P */,	0x00c36400 /* Ceph */};

	for (size_t i = 0; i < array_count(types); i++)
		if ((uint32_t)type == types[i])
			return true;
	return false;
}

static struct super_block *make_super(struct kernel *k, struct gofer_client *c,
				      const struct gofer_node *root, bool shared)
{
	struct gofer_super *s = xnew(struct gofer_super);
	struct super_block *sb = super_new(k, "gofer", shared ? &shared_ops : &exclusive_ops);

	s->client = c;
	s->sb = sb;
	s->shared = shared;
	s->root_dev = root->attr.dev;
	mutex_init(&s->table_lock, RANK_LEAF);
	gofer_ahead_init(s);
	mutex_init(&s->nodes_lock, RANK_OBJECT);
	grow_table(s);
	sb->private = s;
	sb->slow = true;
	sb->no_negative = shared;
	return sb;
}

int gofer_fs_mount(struct kernel *k, struct gofer_client *c, uint32_t index, bool shared,
		   struct super_block **ret)
{
	struct abi_statfs st;
	struct gofer_node root;
	struct super_block *sb;
	struct inode *inode;
	int err = attach(c, index, &root);

	if (err)
		return err;
	sb = make_super(k, c, &root, shared);
	err = gofer_inode_of(gofer_super(sb), &root, NULL, &inode);
	check(err == 0);
	sb->root = dentry_new_root(sb, inode);
	err = gofer_statfs(sb, &st);
	if (err) {
		super_put(sb);
		return err;
	}
	gofer_super(sb)->remote = is_remote(st.type);
	gofer_super(sb)->mappable =
	    !shared && !feature_off(FEATURE_FILE_MAPS) && filemap_can_map((uint32_t)st.type);
	gofer_super(sb)->copies_up = (uint32_t)st.type == FS_OVERLAY;
	*ret = sb;
	return 0;
}
