/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests about names in directories.
 *
 * Staying beneath the mount. A name is one component: gofer_name_ok refuses '/', "." and "..", and
 * every lookup has O_PATH | O_NOFOLLOW, so it reaches an entry of exactly that directory, never
 * what a symlink points to, whoever swaps entries meanwhile. For single components that is all that
 * openat2's RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS would give, and unlike the flags of openat2
 * (which lie in memory) the process's filter can demand it (filter.c).
 *
 * Owner of what is created. The node is made as the gofer's root and then gets the owner and mode
 * that the request names, through a descriptor of the node. A process of the host with write access
 * to a bind-mounted directory could swap the entry in between; settle() therefore refuses what is
 * of another type or has more than one link. (setfsuid before creating would close the gap
 * entirely, but needs CAP_SETUID and CAP_SETGID, with which a broken gofer could be anybody.)
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/log.h"
#include "fsgofer/request.h"

static int lookup(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int do_attach(struct gofer_conn *c)
{
	const struct gofer_req_attach *req = (const void *)c->req;
	struct gofer_reply_node *reply;
	const struct gofer_root *root;
	struct gofer_node node;
	int fd, err;

	if (req->zero || req->index >= c->server->root_count)
		return malformed(c, "attach to no mount");
	root = &c->server->roots[req->index];
	err = get_attr(root->fd, "", &node.attr);
	if (err)
		return err;
	fd = fcntl(root->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	err = handles_add(&c->server->handles, fd, HANDLE_PATH, root->readonly, &node.handle);
	if (err)
		return err;
	reply = reply_begin(c, sizeof(*reply));
	reply->node = node;
	return 0;
}

/* One step of a walk: a descriptor of the entry, and its attributes. */
static int step(int dir_fd, const char *name, struct gofer_attr *ret_attr)
{
	int fd = lookup(dir_fd, name);
	int err = fd < 0 ? fd : get_attr(fd, "", ret_attr);

	if (err && fd >= 0)
		close(fd);
	return err ? err : fd;
}

/* Why a walk can't go on below a node, or GOFER_STOP_END. */
static enum gofer_stop stop_at(const struct gofer_attr *attr)
{
	if (S_ISLNK(attr->mode))
		return GOFER_STOP_SYMLINK;
	return S_ISDIR(attr->mode) ? GOFER_STOP_END : GOFER_STOP_NOTDIR;
}

/* Follows the names as far as they go; fills nodes' attributes and fds. */
static void walk(int dir_fd, const char *const *names, uint32_t count,
		 struct gofer_reply_walk *reply, int *fds)
{
	for (uint32_t i = 0; i < count; i++) {
		int fd = step(dir_fd, names[i], &reply->nodes[i].attr);

		if (fd < 0) {
			reply->stop = GOFER_STOP_ERROR;
			reply->stop_error = fd;
			return;
		}
		fds[reply->node_count++] = dir_fd = fd;
		reply->stop = i + 1 < count ? stop_at(&reply->nodes[i].attr) : GOFER_STOP_END;
		if (reply->stop != GOFER_STOP_END)
			return;
	}
}

/*
 * Gives the nodes their handles; cuts the walk short when the table is full. Only after the walk:
 * until then no other connection can close a descriptor that the walk goes on from.
 */
static void publish(struct gofer_conn *c, struct gofer_reply_walk *reply, const int *fds,
		    bool readonly)
{
	uint32_t done = 0, count = reply->node_count;
	int err = 0;

	while (done < count && !err) {
		err = handles_add(&c->server->handles, fds[done], HANDLE_PATH, readonly,
				  &reply->nodes[done].handle);
		done++;
	}
	if (!err)
		return;
	reply->node_count = done - 1;
	reply->stop = GOFER_STOP_ERROR;
	reply->stop_error = err;
	for (; done < count; done++)
		close(fds[done]);
}

int do_walk(struct gofer_conn *c)
{
	const struct gofer_req_walk *req = (const void *)c->req;
	struct gofer_cursor tail = request_tail(c, sizeof(*req));
	const char *names[GOFER_WALK_MAX];
	struct gofer_reply_walk *reply;
	int fds[GOFER_WALK_MAX];

	if (req->zero || req->name_count == 0 || req->name_count > GOFER_WALK_MAX)
		return malformed(c, "walk of a wrong count");
	for (uint32_t i = 0; i < req->name_count; i++)
		names[i] = gofer_take_name(&tail);
	if (tail_end(c, &tail))
		return -EBADMSG;

	cleanup_held struct held dir = hold(c, req->handle, HANDLE_PATH);
	if (!dir.h)
		return -ESTALE;
	reply = reply_begin(c, sizeof(*reply) + req->name_count * sizeof(reply->nodes[0]));
	walk(dir.h->fd, names, req->name_count, reply, fds);
	publish(c, reply, fds, dir.h->readonly);
	c->reply_size = sizeof(*reply) + reply->node_count * sizeof(reply->nodes[0]);
	reply->h.size = (uint32_t)c->reply_size;
	return 0;
}

/* One name of a LOOKUP: fills the node if all goes well. */
static int lookup_node(struct gofer_conn *c, const struct gofer_handle *dir, const char *name,
		       struct gofer_node *ret)
{
	struct gofer_node node;
	int fd = step(dir->fd, name, &node.attr);
	int err = fd;

	if (fd >= 0)
		err =
		    handles_add(&c->server->handles, fd, HANDLE_PATH, dir->readonly, &node.handle);
	if (!err)
		*ret = node;
	return err;
}

int do_lookup(struct gofer_conn *c)
{
	const struct gofer_req_walk *req = (const void *)c->req;
	struct gofer_cursor tail = request_tail(c, sizeof(*req)), names = tail;
	struct gofer_reply_walk *reply;

	if (req->zero || req->name_count == 0 || req->name_count > GOFER_LOOKUP_MAX)
		return malformed(c, "lookup of a wrong count");
	for (uint32_t i = 0; i < req->name_count; i++)
		gofer_take_name(&tail);
	if (tail_end(c, &tail))
		return -EBADMSG;

	cleanup_held struct held dir = hold(c, req->handle, HANDLE_PATH);
	if (!dir.h)
		return -ESTALE;
	reply = reply_begin(c, sizeof(*reply) + req->name_count * sizeof(reply->nodes[0]));
	reply->node_count = req->name_count;
	for (uint32_t i = 0; i < req->name_count; i++) {
		int err = lookup_node(c, dir.h, gofer_take_name(&names), &reply->nodes[i]);

		if (i == 0)
			reply->stop_error = err;
	}
	return 0;
}

/* Gives a node the owner and mode of the request, if it is the node that was just made. */
static int settle(const struct gofer_conn *c, int path_fd, uint32_t type, struct gofer_attr *attr)
{
	const struct gofer_req_make *req = (const void *)c->req;
	uint32_t mode = req->mode & 07777;
	bool mode_differs = !S_ISLNK(type) && (attr->mode & 07777) != mode;
	bool owner_differs = attr->uid != req->uid || attr->gid != req->gid;

	if ((attr->mode & S_IFMT) != type || (!S_ISDIR(type) && attr->nlink > 1))
		return -EBUSY;
	if (owner_differs && fchownat(path_fd, "", req->uid, req->gid, AT_EMPTY_PATH))
		return -errno;
	/* A change of owner clears the set-id bits. */
	if (mode_differs || (owner_differs && (mode & 06000) && !S_ISLNK(type)))
		if (fchmodat(c->server->proc_fd, fd_name(path_fd).text, mode, 0))
			return -errno;
	return mode_differs || owner_differs ? get_attr(path_fd, "", attr) : 0;
}

/* Settles a node that was made, and replies with it; takes path_fd over. */
static int reply_made(struct gofer_conn *c, const struct gofer_handle *dir, int path_fd,
		      uint32_t type)
{
	struct gofer_reply_node *reply;
	struct gofer_node node;
	int err = get_attr(path_fd, "", &node.attr);

	if (!err)
		err = settle(c, path_fd, type, &node.attr);
	if (err) {
		close(path_fd);
		return err;
	}
	err = handles_add(&c->server->handles, path_fd, HANDLE_PATH, false, &node.handle);
	if (err)
		return err;
	reply = reply_begin(c, sizeof(*reply));
	reply->node = node;
	get_attr_after(dir->fd, &reply->dir);
	return 0;
}

/* The same for what only a name leads to; takes the name back if that fails. */
static int reply_made_by_name(struct gofer_conn *c, const struct gofer_handle *dir,
			      const char *name, uint32_t type)
{
	int fd = lookup(dir->fd, name);
	int err = fd < 0 ? fd : reply_made(c, dir, fd, type);

	if (err)
		unlinkat(dir->fd, name, S_ISDIR(type) ? AT_REMOVEDIR : 0);
	return err;
}

/* Whether the request's numbers are ones that the sentry could mean. */
static bool make_ok(const struct gofer_req_make *req, bool open_flags, bool node)
{
	uint32_t access = req->flags & (GOFER_OPEN_READ | GOFER_OPEN_WRITE);

	if (req->uid == UINT32_MAX || req->gid == UINT32_MAX)
		return false;
	if (req->mode & ~(node ? S_IFMT | 07777u : 07777u))
		return false;
	if (!node && (req->dev_major || req->dev_minor))
		return false;
	return open_flags ? access && !(req->flags & ~GOFER_OPEN_ALL) : !req->flags;
}

int do_create(struct gofer_conn *c)
{
	const struct gofer_req_make *req = (const void *)c->req;
	const char *name = only_name(c, sizeof(*req));
	int fd, path_fd, err;

	if (!name || !make_ok(req, true, false))
		return malformed(c, "create with wrong fields");
	cleanup_held struct held dir = hold(c, req->dir, HANDLE_PATH);
	if (!dir.h)
		return -ESTALE;
	if (dir.h->readonly)
		return -EROFS;
	fd = openat(dir.h->fd, name, O_CREAT | O_EXCL | open_flags(req->flags), req->mode & 0777);
	if (fd < 0)
		return -errno;
	path_fd = openat(c->server->proc_fd, fd_name(fd).text, O_PATH | O_CLOEXEC);
	err = path_fd < 0 ? -errno : reply_made(c, dir.h, path_fd, S_IFREG);
	if (err) {
		unlinkat(dir.h->fd, name, 0);
		close(fd);
		return err;
	}
	c->reply_fd = fd;
	return 0;
}

int do_tmpfile(struct gofer_conn *c)
{
	const struct gofer_req_make *req = (const void *)c->req;
	int fd, path_fd, err;

	if (!make_ok(req, true, false) || !(req->flags & GOFER_OPEN_WRITE))
		return malformed(c, "tmpfile with wrong fields");
	cleanup_held struct held dir = hold(c, req->dir, HANDLE_PATH);
	if (!dir.h)
		return -ESTALE;
	if (dir.h->readonly)
		return -EROFS;
	fd = openat(c->server->proc_fd, fd_name(dir.h->fd).text,
		    O_TMPFILE | (open_flags(req->flags) & ~O_NOFOLLOW), req->mode & 0777);
	if (fd < 0)
		return -errno;
	path_fd = openat(c->server->proc_fd, fd_name(fd).text, O_PATH | O_CLOEXEC);
	err = path_fd < 0 ? -errno : reply_made(c, dir.h, path_fd, S_IFREG);
	if (err) {
		close(fd);
		return err;
	}
	c->reply_fd = fd;
	return 0;
}

int do_mkdir(struct gofer_conn *c)
{
	const struct gofer_req_make *req = (const void *)c->req;
	const char *name = only_name(c, sizeof(*req));

	if (!name || !make_ok(req, false, false))
		return malformed(c, "mkdir with wrong fields");
	cleanup_held struct held dir = hold(c, req->dir, HANDLE_PATH);
	if (!dir.h)
		return -ESTALE;
	if (dir.h->readonly)
		return -EROFS;
	if (mkdirat(dir.h->fd, name, req->mode & 0777))
		return -errno;
	return reply_made_by_name(c, dir.h, name, S_IFDIR);
}

/* No device of the host may ever be made, but for overlay's whiteout, which is none. */
static bool node_type_allowed(const struct gofer_req_make *req)
{
	uint32_t type = req->mode & S_IFMT;

	if (type == S_IFCHR)
		return req->dev_major == 0 && req->dev_minor == 0;
	return type == S_IFREG || type == S_IFIFO || type == S_IFSOCK;
}

int do_mknod(struct gofer_conn *c)
{
	const struct gofer_req_make *req = (const void *)c->req;
	const char *name = only_name(c, sizeof(*req));
	uint32_t type = req->mode & S_IFMT;

	if (!name || !make_ok(req, false, true))
		return malformed(c, "mknod with wrong fields");
	if (!node_type_allowed(req))
		return -EPERM;
	cleanup_held struct held dir = hold(c, req->dir, HANDLE_PATH);
	if (!dir.h)
		return -ESTALE;
	if (dir.h->readonly)
		return -EROFS;
	if (mknodat(dir.h->fd, name, type | (req->mode & 0777), makedev(0, 0)))
		return -errno;
	return reply_made_by_name(c, dir.h, name, type);
}

int do_symlink(struct gofer_conn *c)
{
	const struct gofer_req_make *req = (const void *)c->req;
	struct gofer_cursor tail = request_tail(c, sizeof(*req));
	const char *name = gofer_take_name(&tail);
	const char *target = gofer_take_string(&tail, GOFER_TARGET_MAX);

	if (tail_end(c, &tail) || !make_ok(req, false, false) || !*target)
		return malformed(c, "symlink with wrong fields");
	cleanup_held struct held dir = hold(c, req->dir, HANDLE_PATH);
	if (!dir.h)
		return -ESTALE;
	if (dir.h->readonly)
		return -EROFS;
	if (symlinkat(target, dir.h->fd, name))
		return -errno;
	return reply_made_by_name(c, dir.h, name, S_IFLNK);
}

int do_link(struct gofer_conn *c)
{
	const struct gofer_req_link *req = (const void *)c->req;
	const char *name = only_name(c, sizeof(*req));
	struct gofer_reply_node *reply;

	if (!name)
		return -EBADMSG;
	cleanup_held struct held dir = hold(c, req->dir, HANDLE_PATH);
	cleanup_held struct held file = hold(c, req->handle, HANDLE_PATH);
	if (!dir.h || !file.h)
		return -ESTALE;
	if (dir.h->readonly || file.h->readonly)
		return -EROFS;
	if (linkat(file.h->fd, "", dir.h->fd, name, AT_EMPTY_PATH))
		return -errno;
	reply = reply_begin(c, sizeof(*reply));
	get_attr_after(file.h->fd, &reply->node.attr);
	get_attr_after(dir.h->fd, &reply->dir);
	return 0;
}

int do_unlink(struct gofer_conn *c)
{
	const struct gofer_req_unlink *req = (const void *)c->req;
	const char *name = only_name(c, sizeof(*req));
	struct gofer_reply_attr *reply;

	if (!name || req->zero || req->rmdir > 1)
		return malformed(c, "unlink with wrong fields");
	cleanup_held struct held dir = hold(c, req->dir, HANDLE_PATH);
	if (!dir.h)
		return -ESTALE;
	if (dir.h->readonly)
		return -EROFS;
	if (unlinkat(dir.h->fd, name, req->rmdir ? AT_REMOVEDIR : 0))
		return -errno;
	reply = reply_begin(c, sizeof(*reply));
	get_attr_after(dir.h->fd, &reply->attr);
	return 0;
}

int do_rename(struct gofer_conn *c)
{
	const struct gofer_req_rename *req = (const void *)c->req;
	struct gofer_cursor tail = request_tail(c, sizeof(*req));
	const char *old_name = gofer_take_name(&tail), *new_name = gofer_take_name(&tail);
	struct gofer_reply_rename *reply;

	if (tail_end(c, &tail) || req->zero ||
	    req->flags & ~(GOFER_RENAME_NOREPLACE | GOFER_RENAME_EXCHANGE))
		return malformed(c, "rename with wrong fields");
	cleanup_held struct held old_dir = hold(c, req->old_dir, HANDLE_PATH);
	cleanup_held struct held new_dir = hold(c, req->new_dir, HANDLE_PATH);
	if (!old_dir.h || !new_dir.h)
		return -ESTALE;
	if (old_dir.h->readonly || new_dir.h->readonly)
		return -EROFS;
	/* The flags are those of renameat2(2). */
	if (renameat2(old_dir.h->fd, old_name, new_dir.h->fd, new_name, req->flags))
		return -errno;
	reply = reply_begin(c, sizeof(*reply));
	get_attr_after(old_dir.h->fd, &reply->old_dir);
	get_attr_after(new_dir.h->fd, &reply->new_dir);
	return 0;
}
