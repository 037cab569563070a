/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names in directories that the gofer serves. All operations but revalidate are called with the
 * directory's inode.lock held.
 */
#include <errno.h>
#include <unistd.h>

#include "abi/fcntl.h"
#include "base/log.h"
#include "sentry/fs/gofer/internal.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/timer.h"

/* ---- looking up ---- */

#define DIR_NS 2000000u

/* Whether a directory's name was looked up so lately that it is believed. */
static bool recently_named(struct inode *i)
{
	return gofer_type(i) == ABI_S_IFDIR &&
	       time_monotonic_ns() - atomic_load(&gofer_inode(i)->named_at) <= DIR_NS;
}

static void note_named(struct inode *i)
{
	if (gofer_inode(i)->super->shared && gofer_type(i) == ABI_S_IFDIR)
		atomic_store(&gofer_inode(i)->named_at, time_monotonic_ns());
}

static int call_walk(struct gofer_inode *dir, const char *name, struct gofer_node *ret)
{
	const struct gofer_reply_walk *reply;
	struct gofer_req_walk *req;
	struct gofer_rpc *rpc = rpc_begin(dir->super->client, GOFER_WALK, sizeof(*req));
	int err;

	req = rpc->req;
	req->handle = dir->handle;
	req->name_count = 1;
	rpc_add_string(rpc, name);
	err = rpc_call(rpc, sizeof(*reply));
	reply = rpc->reply;
	if (!err &&
	    (reply->node_count > 1 || reply->stop > GOFER_STOP_ERROR ||
	     rpc->reply_size != sizeof(*reply) + reply->node_count * sizeof(reply->nodes[0])))
		err = rpc_bad_reply(rpc, "wrong walk");
	if (!err && reply->node_count == 1) {
		*ret = reply->nodes[0];
		if (!rpc_node_ok(ret))
			err = rpc_bad_reply(rpc, "wrong attributes");
	} else if (!err) {
		err = reply->stop_error;
		if (err >= 0 || err < -4095)
			err = rpc_bad_reply(rpc, "a walk that stops without reason");
	}
	rpc_end(rpc);
	return err;
}

static int dir_lookup(struct inode *dir, const char *name, struct inode **ret)
{
	struct gofer_inode *g = gofer_inode(dir);
	struct gofer_node node;
	int err;

	if (gofer_node_lookup(dir, name, ret) == 0)
		return 0;
	if (gofer_ahead_take(dir, name, ret))
		return 0;
	if (gofer_ahead_absent(g, name))
		return -ENOENT;
	err = gofer_ahead_lookup(g, name, &node);
	if (err == -EAGAIN)
		err = call_walk(g, name, &node);
	if (err == -EMFILE) {
		gofer_shrink(g->super);
		err = call_walk(g, name, &node);
	}
	if (!err)
		err = gofer_inode_of(g->super, &node, dir, ret);
	if (!err)
		note_named(*ret);
	return err;
}

/*
 * One message says whether the name still means this inode, and brings its attributes. Absent
 * names aren't cached in shared trees.
 */
bool gofer_revalidate(struct inode *dir, const char *name, struct inode *i)
{
	struct gofer_inode *gd = gofer_inode(dir);
	struct gofer_req_handle *req;
	struct gofer_attr attr;
	struct gofer_rpc *rpc;
	bool same = false;

	if (!i || gofer_is_node(i))
		return i;
	if (recently_named(i))
		return true;
	rpc = rpc_begin(gd->super->client, GOFER_GETATTR_AT, sizeof(*req));
	req = rpc->req;
	req->handle = gd->handle;
	rpc_add_string(rpc, name);
	if (!rpc_call(rpc, sizeof(struct gofer_reply_attr))) {
		attr = ((const struct gofer_reply_attr *)rpc->reply)->attr;
		if (!rpc_attr_ok(&attr))
			rpc_bad_reply(rpc, "wrong attributes");
		else
			same = attr.ino == gofer_inode(i)->host_ino &&
			       attr.dev == gofer_inode(i)->host_dev &&
			       (attr.mode & ABI_S_IFMT) == gofer_type(i);
	}
	rpc_end(rpc);
	if (same) {
		inode_lock(i);
		gofer_apply_attr(i, &attr);
		mutex_unlock(&i->lock);
		note_named(i);
	}
	return same;
}

/* ---- making ---- */

/* What the name means in the directory has changed; attr: the directory's attributes now. */
static void changed(struct inode *dir, const char *name, const struct gofer_attr *attr)
{
	gofer_changes(gofer_inode(dir));
	gofer_dir_changed(gofer_inode(dir));
	gofer_ahead_forget(gofer_inode(dir), name);
	gofer_apply_attr(dir, attr);
}

/* What is to be made. */
struct making {
	enum gofer_type type;
	const char *name;
	const char *target; /* of a symlink */
	uint32_t flags;	    /* GOFER_OPEN_*, for CREATE */
	uint32_t mode;
	const struct cred *cred;
};

/* Owner and mode as Linux gives them (inode_init_owner). */
static void set_owner(struct gofer_req_make *req, const struct inode *dir, const struct making *m)
{
	req->mode = m->mode;
	req->uid = m->cred->fsuid;
	req->gid = m->cred->fsgid;
	if (!(dir->mode & ABI_S_ISGID))
		return;
	req->gid = dir->gid;
	if (m->type == GOFER_MKDIR)
		req->mode |= ABI_S_ISGID;
}

/* Fills *ret and *ret_fd (-1: none came). */
static int call_make(struct inode *dir, const struct making *m, struct gofer_node *ret, int *ret_fd)
{
	const struct gofer_reply_node *reply;
	struct gofer_req_make *req;
	struct gofer_rpc *rpc = rpc_begin(gofer_super(dir->sb)->client, m->type, sizeof(*req));
	int err;

	req = rpc->req;
	req->dir = gofer_inode(dir)->handle;
	req->flags = m->flags;
	set_owner(req, dir, m);
	if (m->type != GOFER_TMPFILE)
		rpc_add_string(rpc, m->name);
	if (m->target)
		rpc_add_string(rpc, m->target);
	err = rpc_call(rpc, sizeof(*reply));
	reply = rpc->reply;
	if (!err &&
	    (!rpc_node_ok(&reply->node) || !rpc_attr_ok(&reply->dir) || (m->flags && rpc->fd < 0)))
		err = rpc_bad_reply(rpc, "wrong answer to the making of a file");
	if (!err) {
		*ret = reply->node;
		*ret_fd = rpc->fd;
		rpc->fd = -1;
		if (m->name)
			changed(dir, m->name, &reply->dir);
	}
	rpc_end(rpc);
	return err;
}

/* There is a name that we do not know of: somebody on the host made it, or an answer is lost. */
static void appeared(struct inode *dir, const char *name)
{
	gofer_dir_changed(gofer_inode(dir));
	gofer_ahead_forget(gofer_inode(dir), name);
	dcache_invalidate(dir, name);
}

static int make(struct inode *dir, const struct making *m, struct inode **ret)
{
	struct gofer_super *s = gofer_super(dir->sb);
	struct gofer_node node;
	int fd = -1;
	int err = call_make(dir, m, &node, &fd);

	if (err == -EMFILE) {
		gofer_shrink(s);
		err = call_make(dir, m, &node, &fd);
	}
	if ((err == -EEXIST || err == -ENFILE) && m->name)
		appeared(dir, m->name);
	if (!err)
		err = gofer_inode_of(s, &node, dir, ret);
	if (!err)
		atomic_store(&gofer_inode(*ret)->no_xattrs, true);
	if (fd >= 0 && !err && ABI_S_ISREG((*ret)->mode))
		gofer_keep_fd(gofer_inode(*ret), fd);
	else if (fd >= 0)
		close(fd);
	return err;
}

static int dir_create(struct inode *dir, const char *name, uint32_t mode, const struct cred *c,
		      struct inode **ret)
{
	const struct making m = {.type = GOFER_CREATE,
				 .name = name,
				 .flags = GOFER_OPEN_READ | GOFER_OPEN_WRITE,
				 .mode = mode & ABI_S_IALLUGO,
				 .cred = c};

	return make(dir, &m, ret);
}

static int dir_tmpfile(struct inode *dir, uint32_t mode, const struct cred *c, struct inode **ret)
{
	const struct making m = {.type = GOFER_TMPFILE,
				 .flags = GOFER_OPEN_READ | GOFER_OPEN_WRITE,
				 .mode = mode & ABI_S_IALLUGO,
				 .cred = c};

	return make(dir, &m, ret);
}

static int dir_mkdir(struct inode *dir, const char *name, uint32_t mode, const struct cred *c,
		     struct inode **ret)
{
	const struct making m = {
	    .type = GOFER_MKDIR, .name = name, .mode = mode & ABI_S_IALLUGO, .cred = c};

	return make(dir, &m, ret);
}

static int dir_mknod(struct inode *dir, const char *name, uint32_t mode, uint64_t rdev,
		     const struct cred *c, struct inode **ret)
{
	const struct making m = {.type = GOFER_MKNOD,
				 .name = name,
				 .mode = mode & (ABI_S_IFMT | ABI_S_IALLUGO),
				 .cred = c};

	/* Devices aren't the host's; a whiteout is none. */
	if (rdev || ABI_S_ISBLK(mode))
		return gofer_node_make(dir, name, mode, rdev, c, ret);
	return make(dir, &m, ret);
}

static int dir_symlink(struct inode *dir, const char *name, const char *target,
		       const struct cred *c, struct inode **ret)
{
	const struct making m = {
	    .type = GOFER_SYMLINK, .name = name, .target = target, .mode = 0777, .cred = c};

	return make(dir, &m, ret);
}

/* ---- links ---- */

/* The number of the inode's names changed; the host knows it and the time. */
static void links_changed(struct inode *i, int delta)
{
	atomic_fetch_add_explicit(&i->nlink, (uint32_t)delta, memory_order_relaxed);
	gofer_outdated(gofer_inode(i));
}

static int dir_link(struct inode *dir, const char *name, struct inode *target)
{
	const struct gofer_reply_node *reply;
	struct gofer_req_link *req;
	struct gofer_rpc *rpc;
	int err;

	if (gofer_is_node(target))
		return -EPERM;
	rpc = rpc_begin(gofer_super(dir->sb)->client, GOFER_LINK, sizeof(*req));

	req = rpc->req;
	req->handle = gofer_inode(target)->handle;
	req->dir = gofer_inode(dir)->handle;
	rpc_add_string(rpc, name);
	err = rpc_call(rpc, sizeof(*reply));
	reply = rpc->reply;
	if (!err && !rpc_attr_ok(&reply->dir))
		err = rpc_bad_reply(rpc, "wrong attributes");
	if (!err) {
		changed(dir, name, &reply->dir);
		links_changed(target, 1);
	}
	rpc_end(rpc);
	return err;
}

static int remove_name(struct inode *dir, const char *name, struct inode *victim, bool is_dir)
{
	const struct gofer_reply_attr *reply;
	struct gofer_req_unlink *req;
	struct gofer_rpc *rpc;
	int err;

	rpc = rpc_begin(gofer_super(dir->sb)->client, GOFER_UNLINK, sizeof(*req));

	req = rpc->req;
	req->dir = gofer_inode(dir)->handle;
	req->rmdir = is_dir;
	rpc_add_string(rpc, name);
	err = rpc_call(rpc, sizeof(*reply));
	reply = rpc->reply;
	if (!err && !rpc_attr_ok(&reply->attr))
		err = rpc_bad_reply(rpc, "wrong attributes");
	if (!err) {
		changed(dir, name, &reply->attr);
		links_changed(victim, is_dir ? -(int)victim->nlink : -1);
	}
	rpc_end(rpc);
	return err;
}

static int dir_unlink(struct inode *dir, const char *name, struct inode *victim)
{
	if (gofer_is_node(victim)) {
		gofer_node_remove(dir, name, victim);
		return 0;
	}
	return remove_name(dir, name, victim, false);
}

static int dir_rmdir(struct inode *dir, const char *name, struct inode *victim)
{
	if (gofer_nodes_in(victim))
		return -ENOTEMPTY;
	return remove_name(dir, name, victim, true);
}

/* After a rename that happened: what is known of the files that it moved. */
static void renamed(struct inode *victim, struct inode *target, uint32_t flags)
{
	links_changed(victim, 0);
	if (!target)
		return;
	if (flags & ABI_RENAME_EXCHANGE)
		links_changed(target, 0);
	else
		links_changed(target, ABI_S_ISDIR(target->mode) ? -(int)target->nlink : -1);
}

/* A rename in which a node of the sentry's takes part. */
static int rename_node(struct inode *old_dir, const char *old_name, struct inode *new_dir,
		       const char *new_name, struct inode *target, uint32_t flags)
{
	int err = 0;

	if (flags & ABI_RENAME_EXCHANGE)
		return -EINVAL;
	if (gofer_is_node(target))
		gofer_node_remove(new_dir, new_name, target);
	else if (target)
		err = remove_name(new_dir, new_name, target, false);
	if (!err)
		gofer_node_move(old_dir, old_name, new_dir, new_name);
	return err;
}

static int dir_rename(struct inode *old_dir, const char *old_name, struct inode *victim,
		      struct inode *new_dir, const char *new_name, struct inode *target,
		      uint32_t flags)
{
	const struct gofer_reply_rename *reply;
	struct gofer_req_rename *req;
	struct gofer_rpc *rpc;
	int err;

	_Static_assert(ABI_RENAME_NOREPLACE == GOFER_RENAME_NOREPLACE, "flags are passed on");
	_Static_assert(ABI_RENAME_EXCHANGE == GOFER_RENAME_EXCHANGE, "flags are passed on");
	if (flags & ~(uint32_t)(ABI_RENAME_NOREPLACE | ABI_RENAME_EXCHANGE))
		return -EINVAL;
	if (gofer_is_node(victim))
		return rename_node(old_dir, old_name, new_dir, new_name, target, flags);
	if (gofer_is_node(target) && (flags & ABI_RENAME_EXCHANGE))
		return -EINVAL;
	if (target && ABI_S_ISDIR(target->mode) && gofer_nodes_in(target))
		return -ENOTEMPTY;
	rpc = rpc_begin(gofer_super(old_dir->sb)->client, GOFER_RENAME, sizeof(*req));
	req = rpc->req;
	req->old_dir = gofer_inode(old_dir)->handle;
	req->new_dir = gofer_inode(new_dir)->handle;
	req->flags = flags;
	rpc_add_string(rpc, old_name);
	rpc_add_string(rpc, new_name);
	err = rpc_call(rpc, sizeof(*reply));
	reply = rpc->reply;
	if (!err && (!rpc_attr_ok(&reply->old_dir) || !rpc_attr_ok(&reply->new_dir)))
		err = rpc_bad_reply(rpc, "wrong attributes");
	if (!err) {
		changed(old_dir, old_name, &reply->old_dir);
		changed(new_dir, new_name, &reply->new_dir);
		if (gofer_is_node(target))
			gofer_node_remove(new_dir, new_name, target);
		renamed(victim, gofer_is_node(target) ? NULL : target, flags);
	}
	rpc_end(rpc);
	return err;
}

const struct inode_ops gofer_dir_ops = {
    GOFER_COMMON_INODE_OPS, .lookup = dir_lookup, .create = dir_create,	  .tmpfile = dir_tmpfile,
    .mkdir = dir_mkdir,	    .mknod = dir_mknod,	  .symlink = dir_symlink, .link = dir_link,
    .unlink = dir_unlink,   .rmdir = dir_rmdir,	  .rename = dir_rename,	  .open = gofer_dir_open,
};
