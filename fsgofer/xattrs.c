/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes. Only "user." is the guest's: trusted.* and security.* mean something to the
 * host (and need capabilities that the gofer gave up), system.* holds ACLs, which the sentry
 * doesn't enforce and therefore must not pretend to store. security.capability can be read, since
 * exec of an image's file with file capabilities depends on it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "fsgofer/request.h"

static bool may_write(const char *name)
{
	return !strncmp(name, "user.", 5) && name[5];
}

static bool may_read(const char *name)
{
	return may_write(name) || !strcmp(name, "security.capability");
}

/*
 * A descriptor for the calls on extended attributes, or what Linux answers for types that have
 * none: `other`.
 */
static int open_for_xattr(const struct gofer_conn *c, int path_fd, int other)
{
	struct gofer_attr attr;
	int err = get_attr(path_fd, "", &attr);

	if (err)
		return err;
	if (!S_ISREG(attr.mode) && !S_ISDIR(attr.mode))
		return other;
	return reopen(c, path_fd, attr.mode, O_RDONLY);
}

/* The request's name and value; false after malformed(). */
static bool take_xattr(struct gofer_conn *c, bool with_value, const char **ret_name,
		       const void **ret_value)
{
	const struct gofer_req_xattr *req = (const void *)c->req;
	struct gofer_cursor tail = request_tail(c, sizeof(*req));

	*ret_name = gofer_take_string(&tail, GOFER_NAME_MAX);
	if (with_value)
		*ret_value = gofer_take(&tail, req->value_size);
	if (!with_value && (req->value_size || req->flags))
		malformed(c, "attribute value where none belongs");
	else if (with_value && (req->value_size > GOFER_DATA_MAX ||
				req->flags & ~(GOFER_XATTR_CREATE | GOFER_XATTR_REPLACE)))
		malformed(c, "attribute too large or wrong flags");
	else
		tail_end(c, &tail);
	return !c->complaint;
}

int do_getxattr(struct gofer_conn *c)
{
	const struct gofer_req_xattr *req = (const void *)c->req;
	struct gofer_reply_data *reply;
	cleanup_fd int fd = -1;
	const char *name;
	ssize_t n;

	if (!take_xattr(c, false, &name, NULL))
		return -EBADMSG;
	if (!may_read(name))
		return -EOPNOTSUPP;
	cleanup_held struct held file = hold(c, req->handle, HANDLE_PATH);
	if (!file.h)
		return -ESTALE;
	fd = open_for_xattr(c, file.h->fd, -ENODATA);
	if (fd < 0)
		return fd;
	reply = reply_begin(c, sizeof(*reply));
	n = fgetxattr(fd, name, reply + 1, GOFER_DATA_MAX);
	if (n < 0)
		return errno == ERANGE ? -E2BIG : -errno;
	reply_data_end(c, (size_t)n);
	return 0;
}

int do_setxattr(struct gofer_conn *c)
{
	const struct gofer_req_xattr *req = (const void *)c->req;
	struct gofer_reply_attr *reply;
	cleanup_fd int fd = -1;
	const void *value;
	const char *name;

	if (!take_xattr(c, true, &name, &value))
		return -EBADMSG;
	if (!may_write(name))
		return -EOPNOTSUPP;
	cleanup_held struct held file = hold(c, req->handle, HANDLE_PATH);
	if (!file.h)
		return -ESTALE;
	if (file.h->readonly)
		return -EROFS;
	fd = open_for_xattr(c, file.h->fd, -EPERM);
	if (fd < 0)
		return fd;
	/* The flags are those of setxattr(2). */
	if (fsetxattr(fd, name, value, req->value_size, (int)req->flags))
		return -errno;
	reply = reply_begin(c, sizeof(*reply));
	return get_attr(fd, "", &reply->attr);
}

/* Keeps the names that may be read, in place; returns their size. */
static size_t filter_names(char *names, size_t size)
{
	size_t kept = 0, next;

	for (size_t at = 0; at < size; at = next) {
		size_t length = strnlen(names + at, size - at);

		next = at + length + 1;
		if (next > size || !may_read(names + at))
			continue;
		memmove(names + kept, names + at, length + 1);
		kept += length + 1;
	}
	return kept;
}

int do_listxattr(struct gofer_conn *c)
{
	const struct gofer_req_handle *req = (const void *)c->req;
	struct gofer_reply_data *reply;
	cleanup_fd int fd = -1;
	ssize_t n = 0;

	cleanup_held struct held file = hold(c, req->handle, HANDLE_PATH);
	if (!file.h)
		return -ESTALE;
	fd = open_for_xattr(c, file.h->fd, -ENODATA);
	if (fd < 0 && fd != -ENODATA)
		return fd;
	reply = reply_begin(c, sizeof(*reply));
	if (fd >= 0)
		n = flistxattr(fd, (char *)(reply + 1), GOFER_DATA_MAX);
	if (n < 0)
		return errno == ERANGE ? -E2BIG : -errno;
	reply_data_end(c, filter_names((char *)(reply + 1), (size_t)n));
	return 0;
}

int do_removexattr(struct gofer_conn *c)
{
	const struct gofer_req_xattr *req = (const void *)c->req;
	struct gofer_reply_attr *reply;
	cleanup_fd int fd = -1;
	const char *name;

	if (!take_xattr(c, false, &name, NULL))
		return -EBADMSG;
	if (!may_write(name))
		return -EOPNOTSUPP;
	cleanup_held struct held file = hold(c, req->handle, HANDLE_PATH);
	if (!file.h)
		return -ESTALE;
	if (file.h->readonly)
		return -EROFS;
	fd = open_for_xattr(c, file.h->fd, -EPERM);
	if (fd < 0)
		return fd;
	if (fremovexattr(fd, name))
		return -errno;
	reply = reply_begin(c, sizeof(*reply));
	return get_attr(fd, "", &reply->attr);
}
