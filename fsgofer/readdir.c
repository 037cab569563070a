/* SPDX-License-Identifier: Apache-2.0 */
/* READDIR. See protocol.h for streams. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "fsgofer/request.h"

/* A reply in the making. */
struct listing {
	struct gofer_conn *c;
	int dir_fd;
	bool with_attr;
	uint8_t *out; /* the reply's tail */
	size_t size;
	size_t max_size;
	uint32_t entry_count;
	uint64_t cookie; /* after the last entry that is in */
	bool full;
};

/* Adds an entry, unless it doesn't fit. */
static void add_entry(struct listing *l, const struct dirent64 *d)
{
	size_t name_size = strlen(d->d_name);
	size_t attr_size = l->with_attr ? sizeof(struct gofer_attr) : 0;
	size_t size = (sizeof(struct gofer_dirent) + attr_size + name_size + 7) / 8 * 8;
	struct gofer_dirent *e = (void *)(l->out + l->size);

	if (size > l->max_size - l->size) {
		l->full = true;
		return;
	}
	l->cookie = (uint64_t)d->d_off;
	if (!gofer_name_ok(d->d_name, name_size))
		return; /* "." and "..": the sentry knows them */
	memset(e, 0, size);
	*e = (struct gofer_dirent){.cookie = l->cookie,
				   .ino = d->d_ino,
				   .type = d->d_type,
				   .name_size = (uint8_t)name_size};
	/* One that vanished meanwhile is listed without. */
	if (l->with_attr && get_attr(l->dir_fd, d->d_name, (void *)(e + 1)) == 0)
		e->has_attr = 1;
	else
		size = (sizeof(*e) + name_size + 7) / 8 * 8;
	memcpy((uint8_t *)(e + 1) + (e->has_attr ? attr_size : 0), d->d_name, name_size);
	e->size = (uint16_t)size;
	l->size += size;
	l->entry_count++;
}

/* Adds what the host gives in one call; 0 at the end of the directory. */
static ssize_t add_batch(struct listing *l)
{
	/* Of what is read and doesn't fit, the kernel has to be asked again. */
	size_t room = l->max_size - l->size, want = l->with_attr ? room / 6 : room;
	struct gofer_conn *c = l->c;
	ssize_t n;

	want = MIN(MAX(want, sizeof(struct dirent64)), c->scratch_size);
	n = getdents64(l->dir_fd, c->scratch, want);
	if (n < 0)
		return -errno;
	for (ssize_t at = 0; at < n && !l->full;) {
		const struct dirent64 *d = (const void *)(c->scratch + at);

		add_entry(l, d);
		at += d->d_reclen;
	}
	return n;
}

/* Fills the reply from cookie on. */
static int fill(struct listing *l, uint64_t cookie, bool *ret_eof)
{
	off_t at = lseek(l->dir_fd, 0, SEEK_CUR);
	ssize_t n;

	if (at < 0 || ((uint64_t)at != cookie && lseek(l->dir_fd, (off_t)cookie, SEEK_SET) < 0))
		return -errno;
	l->cookie = cookie;
	do
		n = add_batch(l);
	while (n > 0 && !l->full);
	if (n < 0 && !l->entry_count)
		return (int)n;
	*ret_eof = n == 0;
	/* Back to the first entry that didn't fit. */
	if (l->full && lseek(l->dir_fd, (off_t)l->cookie, SEEK_SET) < 0)
		return -errno;
	return 0;
}

static int list(struct gofer_conn *c, int dir_fd, bool *ret_eof)
{
	const struct gofer_req_readdir *req = (const void *)c->req;
	struct gofer_reply_readdir *reply = reply_begin(c, sizeof(*reply));
	struct listing l = {.c = c,
			    .dir_fd = dir_fd,
			    .with_attr = req->flags & GOFER_READDIR_ATTR,
			    .out = c->reply + sizeof(*reply),
			    .max_size = req->max_size};
	int err = fill(&l, req->cookie, ret_eof);

	if (err)
		return err;
	reply->entry_count = l.entry_count;
	reply->eof = *ret_eof;
	c->reply_size += l.size;
	reply->h.size = (uint32_t)c->reply_size;
	return 0;
}

/* Lists a path handle's directory; what is left becomes a stream. */
static int list_path(struct gofer_conn *c, const struct gofer_handle *h)
{
	struct gofer_reply_readdir *reply = (void *)c->reply;
	struct gofer_attr attr;
	bool eof;
	int fd, err = get_attr(h->fd, "", &attr);

	if (err)
		return err;
	if (!S_ISDIR(attr.mode))
		return -ENOTDIR;
	fd = reopen(c, h->fd, attr.mode, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fd;
	err = list(c, fd, &eof);
	if (err || eof) {
		close(fd);
		return err;
	}
	return handles_add(&c->server->handles, fd, HANDLE_STREAM, true, &reply->stream);
}

int do_readdir(struct gofer_conn *c)
{
	const struct gofer_req_readdir *req = (const void *)c->req;
	const size_t least = sizeof(struct gofer_dirent) + sizeof(struct gofer_attr) + 256;
	bool eof;
	int err;

	if (req->flags & ~GOFER_READDIR_ATTR || req->cookie > INT64_MAX || req->max_size < least ||
	    req->max_size > GOFER_DATA_MAX)
		return malformed(c, "readdir with wrong fields");
	cleanup_held struct held dir = hold(c, req->handle, 0);
	if (!dir.h)
		return -ESTALE;
	if (dir.h->kind == HANDLE_PATH)
		return list_path(c, dir.h);
	err = list(c, dir.h->fd, &eof);
	if (!err)
		((struct gofer_reply_readdir *)(void *)c->reply)->stream = req->handle;
	return err;
}
