/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes, extended attributes and symlink targets of files that the gofer serves. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/feature.h"
#include "base/log.h"
#include "base/mem.h"
#include "sentry/fs/gofer/internal.h"
#include "sentry/kernel/timer.h"
#include "sentry/vfs/vfs_internal.h"

/* Attributes of a shared tree that arrived so lately came with the lookup of the same call. */
#define FRESH_NS 1000000u

/* ---- getattr ---- */

/* A call with a handle as its only field, answered by attributes. */
static int call_getattr(struct gofer_inode *g, struct gofer_attr *ret)
{
	struct gofer_req_handle *req;
	struct gofer_rpc *rpc = rpc_begin(g->super->client, GOFER_GETATTR, sizeof(*req));
	int err;

	req = rpc->req;
	req->handle = g->handle;
	err = rpc_call(rpc, sizeof(struct gofer_reply_attr));
	if (!err) {
		*ret = ((const struct gofer_reply_attr *)rpc->reply)->attr;
		if (!rpc_attr_ok(ret))
			err = rpc_bad_reply(rpc, "wrong attributes");
	}
	rpc_end(rpc);
	return err;
}

static struct abi_timespec time_from(const struct timespec *t)
{
	return (struct abi_timespec){t->tv_sec, t->tv_nsec};
}

/*
 * Sets the fields from what the host says of a descriptor. The caller holds inode.lock. Not the
 * owner: the sentry's user namespace doesn't know the ids of the host. It changes by setattr, and
 * in shared trees arrives with the next lookup.
 */
static int apply_fstat_locked(struct inode *i, int fd)
{
	uint64_t size = i->size;
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	gofer_set_mode(i, st.st_mode);
	i->nlink = (uint32_t)st.st_nlink;
	__atomic_store_n(&i->size, (uint64_t)st.st_size, __ATOMIC_RELAXED);
	i->blocks = (uint64_t)st.st_blocks;
	i->atime = time_from(&st.st_atim);
	i->mtime = time_from(&st.st_mtim);
	gofer_set_ctime(i, time_from(&st.st_ctim));
	lease_revoke(i, LEASE_STAT | (size == i->size ? 0 : LEASE_READ));
	return 0;
}

static bool needs_refresh(struct gofer_inode *g)
{
	if (atomic_load_explicit(&g->stale, memory_order_relaxed) ||
	    atomic_load_explicit(&g->mapped, memory_order_relaxed))
		return true;
	return g->super->shared && time_monotonic_ns() - atomic_load(&g->fresh_at) > FRESH_NS;
}

int gofer_getattr(struct inode *i)
{
	struct gofer_inode *g = gofer_inode(i);
	struct gofer_attr attr;
	struct host_file *hf;
	int err;

	if (!needs_refresh(g))
		return 0;
	/* Before reading: what changes meanwhile makes it stale again. */
	atomic_store(&g->stale, false);
	hf = gofer_kept_file(g);
	if (!hf) {
		err = call_getattr(g, &attr);
		if (err) {
			atomic_store(&g->stale, true);
			return err;
		}
	}
	inode_lock(i);
	err = hf ? apply_fstat_locked(i, hf->fd) : 0;
	if (!hf)
		gofer_apply_attr(i, &attr);
	mutex_unlock(&i->lock);
	if (hf)
		host_file_put(hf);
	return err;
}

/* ---- setattr ---- */

static struct gofer_time time_to(const struct abi_timespec *t)
{
	return (struct gofer_time){.sec = t->sec, .nsec = (uint32_t)t->nsec};
}

static uint32_t valid_for_gofer(const struct iattr *a)
{
	static const struct {
		uint32_t ours, gofer;
	} map[] = {{ATTR_MODE, GOFER_SET_MODE},
		   {ATTR_UID, GOFER_SET_UID},
		   {ATTR_GID, GOFER_SET_GID},
		   {ATTR_ATIME, GOFER_SET_ATIME},
		   {ATTR_MTIME, GOFER_SET_MTIME}};
	uint32_t valid = 0;

	for (size_t n = 0; n < array_count(map); n++)
		if (a->valid & map[n].ours)
			valid |= map[n].gofer;
	return valid;
}

static int call_setattr(struct gofer_inode *g, const struct iattr *a, uint32_t valid,
			struct gofer_attr *ret)
{
	struct gofer_req_setattr *req;
	struct gofer_rpc *rpc = rpc_begin(g->super->client, GOFER_SETATTR, sizeof(*req));
	int err;

	req = rpc->req;
	req->handle = g->handle;
	req->valid = valid;
	req->mode = a->mode & ABI_S_IALLUGO;
	req->uid = a->uid;
	req->gid = a->gid;
	if (valid & GOFER_SET_ATIME)
		req->atime = time_to(&a->atime);
	if (valid & GOFER_SET_MTIME)
		req->mtime = time_to(&a->mtime);
	err = rpc_call(rpc, sizeof(struct gofer_reply_attr));
	if (!err) {
		*ret = ((const struct gofer_reply_attr *)rpc->reply)->attr;
		if (!rpc_attr_ok(ret))
			err = rpc_bad_reply(rpc, "wrong attributes");
	}
	rpc_end(rpc);
	return err;
}

/*
 * The size is set through a writable descriptor, which open(O_TRUNC), the usual reason, needs next
 * anyway.
 */
static int set_size(struct inode *i, uint64_t size)
{
	struct host_file *hf;
	int err = gofer_host_file(gofer_inode(i), true, &hf);

	if (err)
		return err;
	/* Before, too: a thread that finds zeros behind the new end shall not believe the old one. */
	lease_revoke(i, LEASE_READ);
	filemap_cut_begin(gofer_inode(i));
	if (ftruncate(hf->fd, (off_t)size))
		err = -errno;
	else
		err = apply_fstat_locked(i, hf->fd);
	filemap_cut_end(gofer_inode(i));
	host_file_put(hf);
	return err;
}

/* A change that the host wasn't told of may have been later. */
void gofer_set_ctime(struct inode *i, struct abi_timespec host)
{
	const struct abi_timespec *least = &gofer_inode(i)->ctime_least;
	bool later = host.sec > least->sec || (host.sec == least->sec && host.nsec >= least->nsec);

	i->ctime = later ? host : *least;
}

/* Whether a change of owner, also to the same one, may clear set-id bits or capabilities. */
static bool chown_takes_rights(const struct inode *i)
{
	const struct gofer_inode *g = gofer_inode(i);

	return i->mode & (ABI_S_ISUID | ABI_S_ISGID) ||
	       (ABI_S_ISREG(i->mode) && !atomic_load(&g->no_xattrs) &&
		!atomic_load(&g->no_file_caps));
}

/*
 * Owner and mode are already what they shall be, as when root unpacks an archive or a database
 * gives its journal the owner of the database. All that this changes is ctime. The inode keeps that
 * and the host isn't told: so who asks for it after the inode was forgotten sees the ctime before.
 */
static bool changes_nothing(struct inode *i, const struct iattr *a, uint32_t valid)
{
	if (gofer_inode(i)->super->shared || feature_off(FEATURE_CHANGELESS) ||
	    (valid & ~(GOFER_SET_MODE | GOFER_SET_UID | GOFER_SET_GID)))
		return false;
	if (valid & (GOFER_SET_UID | GOFER_SET_GID) && chown_takes_rights(i))
		return false;
	return (!(valid & GOFER_SET_MODE) || !((a->mode ^ i->mode) & ABI_S_IALLUGO)) &&
	       (!(valid & GOFER_SET_UID) || a->uid == i->uid) &&
	       (!(valid & GOFER_SET_GID) || a->gid == i->gid);
}

int gofer_setattr(struct inode *i, const struct iattr *a)
{
	uint32_t valid = valid_for_gofer(a);
	struct gofer_attr attr;
	int err = 0;

	gofer_changes(gofer_inode(i));
	if (a->valid & ATTR_SIZE) {
		err = ABI_S_ISREG(i->mode) ? set_size(i, a->size) : -EINVAL;
		/* The host has set the time of this change. */
		if (a->valid & ATTR_TOUCH)
			valid &= ~GOFER_SET_MTIME;
	}
	/* ctime alone is the host's business. */
	if (err || !valid)
		return err;
	if (changes_nothing(i, a, valid)) {
		gofer_inode(i)->ctime_least = vfs_now();
		gofer_set_ctime(i, i->ctime);
		lease_revoke(i, LEASE_STAT);
		return 0;
	}
	err = call_setattr(gofer_inode(i), a, valid, &attr);
	if (!err)
		gofer_apply_attr(i, &attr);
	return err;
}

/* ---- symlinks ---- */

static int call_readlink(struct gofer_inode *g, char **ret)
{
	const struct gofer_reply_data *reply;
	struct gofer_req_handle *req;
	struct gofer_rpc *rpc = rpc_begin(g->super->client, GOFER_READLINK, sizeof(*req));
	int err;

	req = rpc->req;
	req->handle = g->handle;
	err = rpc_call(rpc, sizeof(*reply));
	reply = rpc->reply;
	if (!err && (reply->size != rpc->reply_size - sizeof(*reply) || reply->size == 0 ||
		     reply->size > GOFER_TARGET_MAX || memchr(reply + 1, '\0', reply->size)))
		err = rpc_bad_reply(rpc, "wrong symlink target");
	if (!err)
		*ret = xstrndup((const char *)(reply + 1), reply->size);
	rpc_end(rpc);
	return err;
}

int gofer_readlink(struct inode *i, struct task *t, char **ret_target)
{
	struct gofer_inode *g = gofer_inode(i);
	char *target;
	int err;

	(void)t;
	mutex_lock(&g->lock);
	target = g->target ? xstrdup(g->target) : NULL;
	mutex_unlock(&g->lock);
	if (target) {
		*ret_target = target;
		return 0;
	}
	err = call_readlink(g, &target);
	if (err)
		return err;
	mutex_lock(&g->lock);
	if (!g->target)
		g->target = xstrdup(target);
	mutex_unlock(&g->lock);
	*ret_target = target;
	return 0;
}

/* ---- extended attributes ---- */

#define FILE_CAPS "security.capability"

/* What the gofer would refuse anyway costs no message. */
static bool is_user_xattr(const char *name)
{
	return !strncmp(name, "user.", 5) && name[5];
}

static struct gofer_rpc *begin_xattr(struct gofer_inode *g, enum gofer_type type, const char *name,
				     const void *value, size_t size, int flags)
{
	struct gofer_req_xattr *req;
	struct gofer_rpc *rpc = rpc_begin(g->super->client, type, sizeof(*req));

	req = rpc->req;
	req->handle = g->handle;
	req->value_size = (uint32_t)size;
	req->flags = (uint32_t)flags;
	rpc_add_string(rpc, name);
	rpc_add_bytes(rpc, value, size);
	return rpc;
}

/* Calls and copies the data of the reply; with size 0 only tells how much there is. */
static ssize_t call_for_data(struct gofer_rpc *rpc, void *buf, size_t size)
{
	const struct gofer_reply_data *reply;
	ssize_t ret = rpc_call(rpc, sizeof(*reply));

	reply = rpc->reply;
	if (!ret && (reply->size != rpc->reply_size - sizeof(*reply)))
		ret = rpc_bad_reply(rpc, "wrong size of data");
	if (!ret) {
		ret = reply->size;
		if (size && size < reply->size)
			ret = -ERANGE;
		else if (size)
			memcpy(buf, reply + 1, reply->size);
	}
	rpc_end(rpc);
	return ret;
}

/* cp and its like ask every file. */
static bool knows_no_xattrs(struct gofer_inode *g)
{
	return !g->super->shared && atomic_load(&g->no_xattrs);
}

static uint32_t xattr_version(struct gofer_inode *g)
{
	uint32_t version;

	mutex_lock(&g->lock);
	version = g->xattr_version;
	mutex_unlock(&g->lock);
	return version;
}

/* The gofer said that there are none, asked when the version was this. */
static void note_no_xattrs(struct gofer_inode *g, uint32_t version)
{
	mutex_lock(&g->lock);
	if (g->xattr_version == version)
		atomic_store(&g->no_xattrs, true);
	mutex_unlock(&g->lock);
}

/* Before one is added. */
static void forget_no_xattrs(struct gofer_inode *g)
{
	mutex_lock(&g->lock);
	g->xattr_version++;
	atomic_store(&g->no_xattrs, false);
	mutex_unlock(&g->lock);
}

ssize_t gofer_getxattr(struct inode *i, const char *name, void *buf, size_t size)
{
	struct gofer_inode *g = gofer_inode(i);
	bool file_caps = !strcmp(name, FILE_CAPS);
	ssize_t n;

	if (!file_caps && !is_user_xattr(name))
		return -EOPNOTSUPP;
	/* exec asks each time; nothing in the sandbox can add it. */
	if (file_caps && !g->super->shared && atomic_load(&g->no_file_caps))
		return -ENODATA;
	if (knows_no_xattrs(g))
		return -ENODATA;
	n = call_for_data(begin_xattr(g, GOFER_GETXATTR, name, "", 0, 0), buf, size);
	if (file_caps && (n == -ENODATA || n == -EOPNOTSUPP))
		atomic_store(&g->no_file_caps, true);
	return n;
}

ssize_t gofer_listxattr(struct inode *i, char *buf, size_t size)
{
	struct gofer_inode *g = gofer_inode(i);
	struct gofer_req_handle *req;
	struct gofer_rpc *rpc;
	uint32_t version;
	ssize_t n;

	if (knows_no_xattrs(g))
		return 0;
	version = xattr_version(g);
	rpc = rpc_begin(g->super->client, GOFER_LISTXATTR, sizeof(*req));
	req = rpc->req;
	req->handle = g->handle;
	n = call_for_data(rpc, buf, size);
	if (n == 0)
		note_no_xattrs(g, version);
	return n;
}

/* Both answer with attributes; the caller holds inode.lock. */
static int call_change(struct inode *i, struct gofer_rpc *rpc)
{
	int err = rpc_call(rpc, sizeof(struct gofer_reply_attr));
	const struct gofer_reply_attr *reply = rpc->reply;

	if (!err && !rpc_attr_ok(&reply->attr))
		err = rpc_bad_reply(rpc, "wrong attributes");
	if (!err)
		gofer_apply_attr(i, &reply->attr);
	gofer_changes(gofer_inode(i));
	rpc_end(rpc);
	return err;
}

int gofer_setxattr(struct inode *i, const char *name, const void *value, size_t size, int flags)
{
	_Static_assert(ABI_XATTR_CREATE == GOFER_XATTR_CREATE, "flags are passed on");
	_Static_assert(ABI_XATTR_REPLACE == GOFER_XATTR_REPLACE, "flags are passed on");

	if (!is_user_xattr(name) || strlen(name) > ABI_XATTR_NAME_MAX)
		return -EOPNOTSUPP;
	if (size > GOFER_DATA_MAX)
		return -E2BIG;
	forget_no_xattrs(gofer_inode(i));
	return call_change(i, begin_xattr(gofer_inode(i), GOFER_SETXATTR, name, value, size,
					  flags & (ABI_XATTR_CREATE | ABI_XATTR_REPLACE)));
}

int gofer_removexattr(struct inode *i, const char *name)
{
	if (!is_user_xattr(name))
		return -EOPNOTSUPP;
	return call_change(i, begin_xattr(gofer_inode(i), GOFER_REMOVEXATTR, name, "", 0, 0));
}

/* ---- statfs ---- */

int gofer_statfs(struct super_block *sb, struct abi_statfs *ret)
{
	const struct gofer_super *s = gofer_super(sb);
	const struct gofer_reply_statfs *reply;
	struct gofer_req_handle *req;
	struct gofer_rpc *rpc = rpc_begin(s->client, GOFER_STATFS, sizeof(*req));
	int err;

	req = rpc->req;
	req->handle = gofer_inode(dentry_inode(sb->root))->handle;
	err = rpc_call(rpc, sizeof(*reply));
	reply = rpc->reply;
	if (!err)
		*ret = (struct abi_statfs){
		    .type = (int64_t)reply->type,
		    .bsize = (int64_t)reply->bsize,
		    .blocks = (int64_t)reply->blocks,
		    .bfree = (int64_t)reply->bfree,
		    .bavail = (int64_t)reply->bavail,
		    .files = (int64_t)reply->files,
		    .ffree = (int64_t)reply->ffree,
		    .namelen = (int64_t)reply->namelen,
		    .frsize = (int64_t)reply->frsize,
		};
	rpc_end(rpc);
	return err;
}

const struct inode_ops gofer_symlink_ops = {
    GOFER_COMMON_INODE_OPS,
    .readlink = gofer_readlink,
};

/* Fifos, sockets and devices: nodes on the host, what they do is the sentry's (no open here). */
const struct inode_ops gofer_special_ops = {
    GOFER_COMMON_INODE_OPS,
};
