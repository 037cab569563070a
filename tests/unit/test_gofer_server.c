/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gofer's server on threads of this process, over a temporary directory:
 *
 *	tmp/root/   what is served, as mount 0 and, read-only, as mount 1
 *	tmp/secret  what must never be reached
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "fsgofer/server.h"
#include "tests/unit/gofer_client.h"

#define CONNECTIONS 2

static struct fixture {
	char tmp[64];
	int root_fd; /* for preparing files */
	int proc_fd;
	struct gofer_root roots[2];
	struct gofer_server server;
	struct gofer_conn conns[CONNECTIONS];
	pthread_t threads[CONNECTIONS];
	int socks[CONNECTIONS]; /* the tests' ends */
	uint64_t root;
	struct msg m;
} f;

static void *serve(void *arg)
{
	struct gofer_conn *c = arg;

	gofer_serve(c);
	return NULL;
}

static void make_file(const char *name, const char *text)
{
	int fd = openat(f.root_fd, name, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static int set_up(void **state)
{
	char path[128];

	(void)state;
	snprintf(f.tmp, sizeof(f.tmp), "/tmp/test_gofer.XXXXXX");
	assert_non_null(mkdtemp(f.tmp));
	snprintf(path, sizeof(path), "%s/root", f.tmp);
	assert_int_equal(mkdir(path, 0755), 0);
	f.root_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	make_file("../secret", "secret");
	f.proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	f.roots[0] = (struct gofer_root){.fd = f.root_fd};
	f.roots[1] = (struct gofer_root){.fd = f.root_fd, .readonly = true};
	assert_int_equal(gofer_server_init(&f.server, f.roots, 2, f.proc_fd, 200), 0);
	for (int i = 0; i < CONNECTIONS; i++) {
		int pair[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		f.socks[i] = pair[0];
		assert_int_equal(gofer_conn_init(&f.conns[i], &f.server, pair[1]), 0);
		pthread_create(&f.threads[i], NULL, serve, &f.conns[i]);
	}
	assert_int_equal(attach(&f.m, f.socks[0], 0, &f.root), 0);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int tear_down(void **state)
{
	(void)state;
	for (int i = 0; i < CONNECTIONS; i++) {
		close(f.socks[i]);
		pthread_join(f.threads[i], NULL);
		close(f.conns[i].sock);
		gofer_conn_destroy(&f.conns[i]);
	}
	gofer_server_destroy(&f.server);
	close(f.root_fd);
	close(f.proc_fd);
	return nftw(f.tmp, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct gofer_reply_node *reply_node(void)
{
	assert_int_equal(f.m.reply_size, sizeof(struct gofer_reply_node));
	return (void *)f.m.reply;
}

static struct gofer_attr *reply_attr(void)
{
	assert_int_equal(f.m.reply_size, sizeof(struct gofer_reply_attr));
	return &((struct gofer_reply_attr *)(void *)f.m.reply)->attr;
}

static void walks(void **state)
{
	struct gofer_reply_walk *r;
	int s = f.socks[0];

	(void)state;
	mkdirat(f.root_fd, "a", 0755);
	mkdirat(f.root_fd, "a/b", 0755);
	make_file("a/b/file", "hello");
	assert_int_equal(symlinkat("../secret", f.root_fd, "a/link"), 0);

	r = walk(&f.m, s, f.root, "a/b/file");
	assert_non_null(r);
	assert_int_equal(r->stop, GOFER_STOP_END);
	assert_int_equal(r->node_count, 3);
	assert_true(S_ISDIR(r->nodes[0].attr.mode));
	assert_true(S_ISREG(r->nodes[2].attr.mode));
	assert_int_equal(r->nodes[2].attr.size, 5);

	r = walk(&f.m, s, f.root, "a/none/file");
	assert_int_equal(r->stop, GOFER_STOP_ERROR);
	assert_int_equal(r->stop_error, -ENOENT);
	assert_int_equal(r->node_count, 1);

	r = walk(&f.m, s, f.root, "a/link/x");
	assert_int_equal(r->stop, GOFER_STOP_SYMLINK);
	assert_int_equal(r->node_count, 2);
	r = walk(&f.m, s, f.root, "a/link");
	assert_int_equal(r->stop, GOFER_STOP_END);
	assert_true(S_ISLNK(r->nodes[1].attr.mode));
	r = walk(&f.m, s, f.root, "a/b/file/x");
	assert_int_equal(r->stop, GOFER_STOP_NOTDIR);
	assert_int_equal(r->node_count, 3);
}

static struct gofer_reply_walk *lookup(uint64_t dir, const char *const *names, uint32_t count)
{
	struct gofer_req_walk *req = msg_begin(&f.m, GOFER_LOOKUP, sizeof(*req));

	req->handle = dir;
	req->name_count = count;
	for (uint32_t i = 0; i < count; i++)
		msg_string(&f.m, names[i]);
	return msg_call(&f.m, f.socks[0]) ? NULL : (void *)f.m.reply;
}

static void looks_up_many(void **state)
{
	static const char *const names[] = {"x", "none", "link"};
	static const char *const outside[] = {"x", ".."};
	struct gofer_reply_walk *r;

	(void)state;
	make_file("x", "12");
	assert_int_equal(symlinkat("../secret", f.root_fd, "link"), 0);
	r = lookup(f.root, names, 3);
	assert_non_null(r);
	assert_int_equal(r->node_count, 3);
	assert_int_equal(r->stop_error, 0);
	assert_int_equal(r->nodes[0].attr.size, 2);
	assert_int_equal(r->nodes[1].handle, GOFER_HANDLE_NONE);
	assert_true(S_ISLNK(r->nodes[2].attr.mode));
	assert_int_equal(handle_call(&f.m, f.socks[0], GOFER_GETATTR, r->nodes[2].handle), 0);
	r = lookup(f.root, names + 1, 2);
	assert_int_equal(r->stop_error, -ENOENT);
	assert_true(r->nodes[1].handle != GOFER_HANDLE_NONE);
	assert_null(lookup(f.root, outside, 2));
}

static void opens_with_just_those_rights(void **state)
{
	int s = f.socks[0];
	char buf[16];
	uint64_t h;

	(void)state;
	make_file("file", "hello");
	h = walk_to(&f.m, s, f.root, "file");
	assert_int_equal(open_handle(&f.m, s, h, GOFER_OPEN_READ), 0);
	assert_int_equal(reply_attr()->size, 5);
	assert_int_equal(fcntl(f.m.reply_fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(pread(f.m.reply_fd, buf, 16, 0), 5);
	assert_int_equal(pwrite(f.m.reply_fd, "x", 1, 0), -1);
	close(f.m.reply_fd);
	assert_int_equal(open_handle(&f.m, s, h, GOFER_OPEN_WRITE | GOFER_OPEN_TRUNC), 0);
	assert_int_equal(reply_attr()->size, 0);
	assert_int_equal(fcntl(f.m.reply_fd, F_GETFL) & O_ACCMODE, O_WRONLY);
	close(f.m.reply_fd);
	assert_int_equal(open_handle(&f.m, s, f.root, GOFER_OPEN_READ), -EISDIR);

	/* Never a fifo, socket, device or symlink of the host. */
	mkfifoat(f.root_fd, "fifo", 0600);
	assert_int_equal(symlinkat("file", f.root_fd, "link"), 0);
	h = walk_to(&f.m, s, f.root, "fifo");
	assert_int_equal(open_handle(&f.m, s, h, GOFER_OPEN_READ), -ENXIO);
	h = walk_to(&f.m, s, f.root, "link");
	assert_int_equal(open_handle(&f.m, s, h, GOFER_OPEN_READ), -ELOOP);
	if (mknodat(f.root_fd, "null", S_IFCHR | 0666, 0x103) == 0) {
		h = walk_to(&f.m, s, f.root, "null");
		assert_int_equal(open_handle(&f.m, s, h, GOFER_OPEN_READ), -ENXIO);
	}
}

static void makes_with_owner_and_mode(void **state)
{
	struct gofer_req_make *req;
	int s = f.socks[0];
	struct stat st;

	(void)state;
	if (geteuid() != 0)
		skip();
	req = msg_begin(&f.m, GOFER_CREATE, sizeof(*req));
	req->dir = f.root;
	req->flags = GOFER_OPEN_WRITE;
	req->mode = 06711;
	req->uid = 1234;
	req->gid = 5678;
	msg_string(&f.m, "new");
	assert_int_equal(msg_call(&f.m, s), 0);
	assert_int_equal(fcntl(f.m.reply_fd, F_GETFL) & O_ACCMODE, O_WRONLY);
	close(f.m.reply_fd);
	assert_int_equal(reply_node()->node.attr.mode, S_IFREG | 06711);
	assert_int_equal(reply_node()->node.attr.uid, 1234);
	assert_int_equal(fstatat(f.root_fd, "new", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFREG | 06711);
	assert_int_equal(st.st_gid, 5678);
	assert_int_equal(make(&f.m, s, GOFER_CREATE, f.root, "new", 0644), -EEXIST);

	/* Not even a set-group-id parent adds to what was asked. */
	assert_int_equal(mkdirat(f.root_fd, "sgid", 0755), 0);
	assert_int_equal(fchownat(f.root_fd, "sgid", 0, 42, 0), 0);
	assert_int_equal(fchmodat(f.root_fd, "sgid", 02777, 0), 0);
	uint64_t dir = walk_to(&f.m, s, f.root, "sgid");
	assert_int_equal(make(&f.m, s, GOFER_MKDIR, dir, "sub", 0777), 0);
	assert_int_equal(reply_node()->node.attr.mode, S_IFDIR | 0777);
	assert_int_equal(reply_node()->node.attr.gid, 0);
	assert_int_equal(reply_node()->dir.nlink, 3);
}

static int link_name(uint64_t h, uint64_t dir, const char *name)
{
	struct gofer_req_link *req = msg_begin(&f.m, GOFER_LINK, sizeof(*req));

	req->handle = h;
	req->dir = dir;
	msg_string(&f.m, name);
	return msg_call(&f.m, f.socks[0]);
}

/* A file without a name, which then gets one. */
static void makes_a_nameless_file(void **state)
{
	struct gofer_req_make *req = msg_begin(&f.m, GOFER_TMPFILE, sizeof(*req));
	struct stat st;
	int err;

	(void)state;
	req->dir = f.root;
	req->mode = 0640;
	req->flags = GOFER_OPEN_READ | GOFER_OPEN_WRITE;
	err = msg_call(&f.m, f.socks[0]);
	if (err == -EOPNOTSUPP)
		skip(); /* the file system of /tmp */
	assert_int_equal(err, 0);
	assert_int_equal(reply_node()->node.attr.nlink, 0);
	assert_int_equal(write(f.m.reply_fd, "text", 4), 4);
	close(f.m.reply_fd);
	assert_int_equal(link_name(reply_node()->node.handle, f.root, "named"), 0);
	assert_int_equal(fstatat(f.root_fd, "named", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	assert_int_equal(st.st_size, 4);
}

static void makes_nodes(void **state)
{
	int s = f.socks[0];
	uint64_t h;

	(void)state;
	assert_int_equal(make(&f.m, s, GOFER_MKNOD, f.root, "fifo", S_IFIFO | 0644), 0);
	assert_int_equal(reply_node()->node.attr.mode, S_IFIFO | 0644);
	assert_int_equal(make(&f.m, s, GOFER_MKNOD, f.root, "sock", S_IFSOCK | 0600), 0);
	assert_int_equal(make(&f.m, s, GOFER_MKNOD, f.root, "reg", S_IFREG | 0600), 0);
	assert_int_equal(make(&f.m, s, GOFER_MKNOD, f.root, "blk", S_IFBLK | 0600), -EPERM);
	assert_int_equal(make(&f.m, s, GOFER_MKNOD, f.root, "dir", S_IFDIR | 0600), -EPERM);
	assert_int_equal(make(&f.m, s, GOFER_MKNOD, f.root, "white", S_IFCHR), 0);
	struct gofer_req_make *req = msg_begin(&f.m, GOFER_MKNOD, sizeof(*req));
	req->dir = f.root;
	req->mode = S_IFCHR | 0666;
	req->dev_major = 1;
	req->dev_minor = 3;
	msg_string(&f.m, "null");
	assert_int_equal(msg_call(&f.m, s), -EPERM);

	assert_int_equal(make(&f.m, s, GOFER_SYMLINK, f.root, "link", 0777), 0);
	h = reply_node()->node.handle;
	assert_int_equal(handle_call(&f.m, s, GOFER_READLINK, h), 0);
	assert_int_equal(f.m.reply_size, sizeof(struct gofer_reply_data) + 6);
	assert_memory_equal(f.m.reply + sizeof(struct gofer_reply_data), "target", 6);
	assert_int_equal(handle_call(&f.m, s, GOFER_READLINK, f.root), -EINVAL);
}

static int unlink_name(uint64_t dir, const char *name, bool is_dir)
{
	struct gofer_req_unlink *req = msg_begin(&f.m, GOFER_UNLINK, sizeof(*req));

	req->dir = dir;
	req->rmdir = is_dir;
	msg_string(&f.m, name);
	return msg_call(&f.m, f.socks[0]);
}

static int rename_names(uint64_t old_dir, const char *old_name, uint64_t new_dir,
			const char *new_name, uint32_t flags)
{
	struct gofer_req_rename *req = msg_begin(&f.m, GOFER_RENAME, sizeof(*req));

	req->old_dir = old_dir;
	req->new_dir = new_dir;
	req->flags = flags;
	msg_string(&f.m, old_name);
	msg_string(&f.m, new_name);
	return msg_call(&f.m, f.socks[0]);
}

static void handles_follow_the_file(void **state)
{
	int s = f.socks[0];
	uint64_t h, dir;

	(void)state;
	make_file("x", "12");
	make_file("y", "");
	mkdirat(f.root_fd, "d", 0755);
	h = walk_to(&f.m, s, f.root, "x");
	dir = walk_to(&f.m, s, f.root, "d");
	assert_int_equal(link_name(h, dir, "second"), 0);
	assert_int_equal(reply_node()->node.attr.nlink, 2);
	assert_int_equal(reply_node()->node.handle, GOFER_HANDLE_NONE);
	assert_int_equal(rename_names(f.root, "x", dir, "z", GOFER_RENAME_NOREPLACE), 0);
	assert_int_equal(rename_names(f.root, "y", dir, "z", GOFER_RENAME_NOREPLACE), -EEXIST);
	assert_int_equal(rename_names(f.root, "y", dir, "z", GOFER_RENAME_EXCHANGE), 0);
	assert_int_equal(unlink_name(f.root, "y", false), 0);
	assert_int_equal(unlink_name(f.root, "d", false), -EISDIR);
	assert_int_equal(unlink_name(f.root, "d", true), -ENOTEMPTY);
	assert_int_equal(unlink_name(dir, "second", false), 0);
	assert_int_equal(handle_call(&f.m, s, GOFER_GETATTR, h), 0);
	assert_int_equal(reply_attr()->nlink, 0);
	assert_int_equal(reply_attr()->size, 2);
	assert_int_equal(open_handle(&f.m, s, h, GOFER_OPEN_READ), 0);
	close(f.m.reply_fd);
}

static int getattr_at(uint64_t dir, const char *name)
{
	struct gofer_req_handle *req = msg_begin(&f.m, GOFER_GETATTR_AT, sizeof(*req));

	req->handle = dir;
	msg_string(&f.m, name);
	return msg_call(&f.m, f.socks[0]);
}

static void gets_attributes_by_name(void **state)
{
	(void)state;
	make_file("file", "hello");
	assert_int_equal(symlinkat("../secret", f.root_fd, "link"), 0);
	assert_int_equal(getattr_at(f.root, "file"), 0);
	assert_int_equal(reply_attr()->size, 5);
	assert_int_equal(getattr_at(f.root, "link"), 0);
	assert_true(S_ISLNK(reply_attr()->mode));
	assert_int_equal(getattr_at(f.root, "none"), -ENOENT);
	assert_int_equal(getattr_at(walk_to(&f.m, f.socks[0], f.root, "file"), "x"), -ENOTDIR);
	assert_int_equal(getattr_at(f.root, ".."), -EPIPE);
}

static void sets_attributes(void **state)
{
	struct gofer_req_setattr *req;
	int s = f.socks[0];
	uint64_t h;

	(void)state;
	make_file("file", "hello");
	assert_int_equal(symlinkat("../secret", f.root_fd, "link"), 0);
	h = walk_to(&f.m, s, f.root, "file");
	req = msg_begin(&f.m, GOFER_SETATTR, sizeof(*req));
	req->handle = h;
	req->valid = GOFER_SET_MODE | GOFER_SET_SIZE | GOFER_SET_MTIME | GOFER_SET_ATIME_NOW;
	req->mode = 0600;
	req->size = 3;
	req->mtime = (struct gofer_time){.sec = 1000, .nsec = 5};
	assert_int_equal(msg_call(&f.m, s), 0);
	assert_int_equal(reply_attr()->mode, S_IFREG | 0600);
	assert_int_equal(reply_attr()->size, 3);
	assert_int_equal(reply_attr()->mtime.sec, 1000);
	assert_int_equal(reply_attr()->mtime.nsec, 5);
	assert_true(reply_attr()->atime.sec > 1000);

	h = walk_to(&f.m, s, f.root, "link");
	for (uint32_t bit = 1; bit & GOFER_SET_ALL; bit <<= 1) {
		int err;

		req = msg_begin(&f.m, GOFER_SETATTR, sizeof(*req));
		req->handle = h;
		req->valid = bit;
		err = msg_call(&f.m, s);
		if (bit == GOFER_SET_MODE)
			assert_int_equal(err, -EOPNOTSUPP);
		else if (bit == GOFER_SET_SIZE)
			assert_int_equal(err, -EINVAL);
		else
			assert_int_equal(err, 0);
	}
}

static int xattr_call(enum gofer_type type, uint64_t h, const char *name, const char *value)
{
	struct gofer_req_xattr *req = msg_begin(&f.m, type, sizeof(*req));

	req->handle = h;
	req->value_size = value ? (uint32_t)strlen(value) : 0;
	msg_string(&f.m, name);
	if (value)
		msg_add(&f.m, value, strlen(value));
	return msg_call(&f.m, f.socks[0]);
}

static void extended_attributes(void **state)
{
	const struct gofer_reply_data *data = (void *)f.m.reply;
	uint64_t h;
	int err;

	(void)state;
	make_file("file", "");
	mkfifoat(f.root_fd, "fifo", 0600);
	h = walk_to(&f.m, f.socks[0], f.root, "file");
	err = xattr_call(GOFER_SETXATTR, h, "user.a", "value");
	if (err == -EOPNOTSUPP)
		skip(); /* the file system of /tmp */
	assert_int_equal(err, 0);
	assert_int_equal(xattr_call(GOFER_SETXATTR, h, "trusted.a", "v"), -EOPNOTSUPP);
	assert_int_equal(xattr_call(GOFER_SETXATTR, h, "security.capability", "v"), -EOPNOTSUPP);
	assert_int_equal(xattr_call(GOFER_GETXATTR, h, "user.a", NULL), 0);
	assert_int_equal(data->size, 5);
	assert_memory_equal(data + 1, "value", 5);
	assert_int_equal(handle_call(&f.m, f.socks[0], GOFER_LISTXATTR, h), 0);
	assert_int_equal(data->size, 7);
	assert_memory_equal(data + 1, "user.a", 7);
	assert_int_equal(xattr_call(GOFER_REMOVEXATTR, h, "user.a", NULL), 0);
	assert_int_equal(xattr_call(GOFER_GETXATTR, h, "user.a", NULL), -ENODATA);
	h = walk_to(&f.m, f.socks[0], f.root, "fifo");
	assert_int_equal(xattr_call(GOFER_GETXATTR, h, "user.a", NULL), -ENODATA);
	assert_int_equal(xattr_call(GOFER_SETXATTR, h, "user.a", "v"), -EPERM);
}

/* One READDIR; marks the entries f<n> in seen[]; the cookie to go on from. */
static uint64_t list_some(uint64_t h, uint64_t cookie, uint32_t flags, uint8_t *seen, size_t count)
{
	struct gofer_req_readdir *req = msg_begin(&f.m, GOFER_READDIR, sizeof(*req));
	const struct gofer_reply_readdir *r = (void *)f.m.reply;
	struct gofer_cursor tail;

	req->handle = h;
	req->cookie = cookie;
	req->flags = flags;
	req->max_size = 4096;
	assert_int_equal(msg_call(&f.m, f.socks[0]), 0);
	tail = (struct gofer_cursor){.at = (const uint8_t *)(r + 1),
				     .left = (size_t)f.m.reply_size - sizeof(*r)};
	assert_true(tail.left <= 4096);
	for (uint32_t i = 0; i < r->entry_count; i++) {
		struct gofer_dirent e = {0};
		struct gofer_attr attr;
		const char *name = NULL;
		char copy[16] = "";
		size_t n;

		assert_true(gofer_take_dirent(&tail, &e, &attr, &name));
		assert_int_equal(e.has_attr, flags & GOFER_READDIR_ATTR);
		if (e.has_attr) {
			assert_true(S_ISREG(attr.mode));
			assert_int_equal(attr.ino, e.ino);
		}
		assert_in_range(e.name_size, 2, 15);
		memcpy(copy, name, e.name_size);
		n = strtoul(copy + 1, NULL, 10);
		assert_true(n < count);
		seen[n]++;
		cookie = e.cookie;
	}
	assert_int_equal(tail.left, 0);
	return cookie;
}

static void lists(uint32_t flags)
{
	const struct gofer_reply_readdir *r = (void *)f.m.reply;
	uint64_t dir, stream, cookie, middle;
	uint8_t seen[300] = {0};

	mkdirat(f.root_fd, "many", 0755);
	for (int i = 0; i < 300; i++) {
		char name[32];

		snprintf(name, sizeof(name), "many/f%d", i);
		make_file(name, "");
	}
	dir = walk_to(&f.m, f.socks[0], f.root, "many");
	cookie = middle = list_some(dir, 0, flags, seen, 300);
	assert_int_equal(r->eof, 0);
	stream = r->stream;
	assert_true(stream != GOFER_HANDLE_NONE);
	while (!r->eof)
		cookie = list_some(stream, cookie, flags, seen, 300);
	for (int i = 0; i < 300; i++)
		assert_int_equal(seen[i], 1);
	/* Back to where the first reply ended. */
	memset(seen, 0, sizeof(seen));
	list_some(stream, middle, flags, seen, 300);
	assert_true(r->entry_count > 0);
	list_some(stream, 0, flags, seen, 300);
	for (int i = 0; i < 300; i++)
		assert_true(seen[i] <= 1);
	/* A stream is not a path. */
	assert_int_equal(handle_call(&f.m, f.socks[0], GOFER_GETATTR, stream), -ESTALE);
}

static void lists_names(void **state)
{
	(void)state;
	lists(0);
}

static void lists_with_attributes(void **state)
{
	(void)state;
	lists(GOFER_READDIR_ATTR);
}

static void lists_small_in_one(void **state)
{
	const struct gofer_reply_readdir *r = (void *)f.m.reply;
	uint8_t seen[4] = {0};
	uint64_t dir;

	(void)state;
	mkdirat(f.root_fd, "few", 0755);
	make_file("few/f1", "");
	dir = walk_to(&f.m, f.socks[0], f.root, "few");
	list_some(dir, 0, GOFER_READDIR_ATTR, seen, 4);
	assert_int_equal(r->eof, 1);
	assert_int_equal(r->stream, GOFER_HANDLE_NONE);
	assert_int_equal(seen[1], 1);
}

static void readonly_mount_refuses(void **state)
{
	struct gofer_req_setattr *req;
	int s = f.socks[0];
	uint64_t ro = 0, h;

	(void)state;
	make_file("file", "hello");
	assert_int_equal(attach(&f.m, s, 1, &ro), 0);
	h = walk_to(&f.m, s, ro, "file");
	assert_int_equal(open_handle(&f.m, s, h, GOFER_OPEN_READ), 0);
	close(f.m.reply_fd);
	assert_int_equal(open_handle(&f.m, s, h, GOFER_OPEN_WRITE), -EROFS);
	assert_int_equal(make(&f.m, s, GOFER_CREATE, ro, "n", 0644), -EROFS);
	assert_int_equal(make(&f.m, s, GOFER_MKDIR, ro, "n", 0644), -EROFS);
	assert_int_equal(make(&f.m, s, GOFER_MKNOD, ro, "n", S_IFIFO), -EROFS);
	assert_int_equal(make(&f.m, s, GOFER_SYMLINK, ro, "n", 0777), -EROFS);
	assert_int_equal(unlink_name(ro, "file", false), -EROFS);
	assert_int_equal(rename_names(ro, "file", ro, "n", 0), -EROFS);
	assert_int_equal(rename_names(f.root, "file", ro, "n", 0), -EROFS);
	assert_int_equal(link_name(h, f.root, "n"), -EROFS);
	assert_int_equal(xattr_call(GOFER_SETXATTR, h, "user.a", "v"), -EROFS);
	assert_int_equal(xattr_call(GOFER_REMOVEXATTR, h, "user.a", NULL), -EROFS);
	req = msg_begin(&f.m, GOFER_SETATTR, sizeof(*req));
	req->handle = h;
	assert_int_equal(msg_call(&f.m, s), -EROFS);
}

static void clunks(void **state)
{
	struct gofer_req_clunk *req;
	int s = f.socks[0];
	uint64_t h, ids[3];

	(void)state;
	make_file("file", "");
	h = walk_to(&f.m, s, f.root, "file");
	req = msg_begin(&f.m, GOFER_CLUNK, sizeof(*req));
	req->count = 3;
	req->h.size = sizeof(*req) + sizeof(ids);
	memcpy(ids, (uint64_t[]){h, 0, h}, sizeof(ids));
	msg_add(&f.m, ids, sizeof(ids));
	assert_int_equal(fd_send(s, f.m.bytes, f.m.size, NULL, 0), f.m.size);
	assert_int_equal(handle_call(&f.m, s, GOFER_GETATTR, h), -ESTALE);
	assert_int_equal(handle_call(&f.m, s, GOFER_GETATTR, f.root), 0);
	assert_int_equal(handles_used_count(&f.server.handles), 1);
}

/* The connection ends; the other one goes on. */
static void assert_hung_up(int err)
{
	assert_int_equal(err, -EPIPE);
	assert_int_equal(handle_call(&f.m, f.socks[1], GOFER_GETATTR, f.root), 0);
}

/* What is given back comes again when it is needed. */
static void trims(void **state)
{
	int s = f.socks[0];

	(void)state;
	for (int i = 0; i < 10; i++) {
		struct gofer_header *h = msg_begin(&f.m, GOFER_TRIM, sizeof(*h));

		h->size = sizeof(*h);
		assert_int_equal(fd_send(s, f.m.bytes, f.m.size, NULL, 0), f.m.size);
		assert_int_equal(handle_call(&f.m, s, GOFER_GETATTR, f.root), 0);
	}
	msg_begin(&f.m, GOFER_TRIM, sizeof(struct gofer_req_handle));
	assert_hung_up(msg_call(&f.m, s));
}

static void full_table_refuses(void **state)
{
	int s = f.socks[0];
	struct gofer_reply_walk *r;
	int made = 0;

	(void)state;
	mkdirat(f.root_fd, "a", 0755);
	mkdirat(f.root_fd, "a/b", 0755);
	do {
		r = walk(&f.m, s, f.root, "a/b");
		assert_non_null(r);
		made += (int)r->node_count;
	} while (r->stop == GOFER_STOP_END);
	assert_int_equal(r->stop, GOFER_STOP_ERROR);
	assert_int_equal(r->stop_error, -EMFILE);
	assert_int_equal(made, 199);
	assert_int_equal(make(&f.m, s, GOFER_MKDIR, f.root, "new", 0755), -EMFILE);
	/* and takes back what it made */
	assert_int_equal(faccessat(f.root_fd, "new", F_OK, 0), -1);
	assert_int_equal(make(&f.m, s, GOFER_CREATE, f.root, "new", 0755), -EMFILE);
	assert_int_equal(faccessat(f.root_fd, "new", F_OK, 0), -1);
	assert_int_equal(handle_call(&f.m, s, GOFER_GETATTR, f.root), 0);
}

#define HOSTILE(name, ...)                                                                         \
	static void hostile_##name(void **state)                                                   \
	{                                                                                          \
		(void)state;                                                                       \
		__VA_ARGS__                                                                        \
	}

HOSTILE(truncated, {
	struct gofer_req_handle *req = msg_begin(&f.m, GOFER_GETATTR, sizeof(*req));

	req->h.size = sizeof(*req);
	f.m.size -= 1;
	assert_hung_up(msg_exchange(&f.m, f.socks[0]));
})
HOSTILE(only_a_byte, {
	f.m.size = 1;
	assert_hung_up(msg_exchange(&f.m, f.socks[0]));
})
HOSTILE(size_lies, {
	struct gofer_req_walk *req = msg_begin(&f.m, GOFER_WALK, sizeof(*req));

	req->handle = f.root;
	req->name_count = 1;
	msg_string(&f.m, "x");
	req->h.size = UINT32_MAX;
	assert_hung_up(msg_exchange(&f.m, f.socks[0]));
})
HOSTILE(oversize, {
	msg_begin(&f.m, GOFER_WALK, GOFER_MESSAGE_MAX + 8);
	assert_hung_up(msg_call(&f.m, f.socks[0]));
})
HOSTILE(unknown_type, {
	msg_begin(&f.m, GOFER_TYPE_COUNT, sizeof(struct gofer_header));
	assert_hung_up(msg_call(&f.m, f.socks[0]));
})
HOSTILE(type_zero, {
	msg_begin(&f.m, 0, sizeof(struct gofer_header));
	assert_hung_up(msg_call(&f.m, f.socks[0]));
})
HOSTILE(tail_where_none_belongs, {
	struct gofer_req_handle *req = msg_begin(&f.m, GOFER_GETATTR, sizeof(*req));

	req->handle = f.root;
	msg_string(&f.m, "x");
	assert_hung_up(msg_call(&f.m, f.socks[0]));
})
HOSTILE(dotdot, { assert_hung_up(walk(&f.m, f.socks[0], f.root, "../secret") ? 0 : -EPIPE); })
HOSTILE(dot, { assert_hung_up(walk(&f.m, f.socks[0], f.root, ".") ? 0 : -EPIPE); })
HOSTILE(slash, { assert_hung_up(make(&f.m, f.socks[0], GOFER_CREATE, f.root, "../x", 0644)); })
HOSTILE(absolute, { assert_hung_up(make(&f.m, f.socks[0], GOFER_MKDIR, f.root, "/tmp/x", 0755)); })
HOSTILE(empty_name, { assert_hung_up(make(&f.m, f.socks[0], GOFER_SYMLINK, f.root, "", 0777)); })
HOSTILE(rename_out, { assert_hung_up(rename_names(f.root, "x", f.root, "..", 0)); })
HOSTILE(unlink_dot, { assert_hung_up(unlink_name(f.root, ".", true)); })
HOSTILE(no_nul, {
	struct gofer_req_unlink *req = msg_begin(&f.m, GOFER_UNLINK, sizeof(*req));

	req->dir = f.root;
	msg_add(&f.m, "abc", 3);
	assert_hung_up(msg_call(&f.m, f.socks[0]));
})
HOSTILE(too_many_names, {
	struct gofer_req_walk *req = msg_begin(&f.m, GOFER_WALK, sizeof(*req));

	req->handle = f.root;
	req->name_count = UINT32_MAX;
	msg_string(&f.m, "x");
	assert_hung_up(msg_call(&f.m, f.socks[0]));
})
HOSTILE(clunk_count_lies, {
	struct gofer_req_clunk *req = msg_begin(&f.m, GOFER_CLUNK, sizeof(*req));

	req->count = GOFER_CLUNK_MAX;
	msg_add(&f.m, &f.root, sizeof(f.root));
	assert_hung_up(msg_call(&f.m, f.socks[0]));
})
HOSTILE(xattr_size_lies, {
	struct gofer_req_xattr *req = msg_begin(&f.m, GOFER_SETXATTR, sizeof(*req));

	req->handle = f.root;
	req->value_size = UINT32_MAX;
	msg_string(&f.m, "user.a");
	assert_hung_up(msg_call(&f.m, f.socks[0]));
})
HOSTILE(readdir_size, {
	struct gofer_req_readdir *req = msg_begin(&f.m, GOFER_READDIR, sizeof(*req));

	req->handle = f.root;
	req->max_size = UINT32_MAX;
	assert_hung_up(msg_call(&f.m, f.socks[0]));
})
HOSTILE(open_without_rights, { assert_hung_up(open_handle(&f.m, f.socks[0], f.root, 0)); })
HOSTILE(open_unknown_flags,
	{ assert_hung_up(open_handle(&f.m, f.socks[0], f.root, GOFER_OPEN_READ | 1u << 20)); })
HOSTILE(attach_nowhere, {
	uint64_t h;

	assert_hung_up(attach(&f.m, f.socks[0], 2, &h));
})
HOSTILE(descriptors, {
	struct gofer_req_handle *req = msg_begin(&f.m, GOFER_GETATTR, sizeof(*req));

	req->handle = f.root;
	req->h.size = sizeof(*req);
	assert_int_equal(fd_send(f.socks[0], f.m.bytes, f.m.size, &f.root_fd, 1), f.m.size);
	assert_int_equal(fd_recv(f.socks[0], f.m.reply, sizeof(f.m.reply), NULL, 0, NULL), 0);
	assert_hung_up(-EPIPE);
})

static void wrong_handles(void **state)
{
	static const uint64_t ids[] = {0, 2, UINT64_MAX, 1ull << 32, (1ull << 32) | 100};

	(void)state;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		int s = f.socks[0];

		assert_int_equal(handle_call(&f.m, s, GOFER_GETATTR, ids[i]), -ESTALE);
		assert_null(walk(&f.m, s, ids[i], "x"));
		assert_int_equal(open_handle(&f.m, s, ids[i], GOFER_OPEN_READ), -ESTALE);
		assert_int_equal(make(&f.m, s, GOFER_CREATE, ids[i], "x", 0644), -ESTALE);
		assert_int_equal(unlink_name(ids[i], "x", false), -ESTALE);
		assert_int_equal(rename_names(f.root, "x", ids[i], "y", 0), -ESTALE);
		assert_int_equal(link_name(ids[i], f.root, "y"), -ESTALE);
	}
}

/* Another process of the host swaps a directory for a symlink to the outside, all the time. */
static atomic_bool stop_swapping;

static void *swap(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop_swapping))
		renameat2(f.root_fd, "sub", f.root_fd, "evil", 2 /* RENAME_EXCHANGE */);
	return NULL;
}

static void symlink_race(void **state)
{
	int found = 0, symlinks = 0;
	pthread_t thread;

	(void)state;
	mkdirat(f.root_fd, "sub", 0755);
	make_file("sub/secret", "inside");
	assert_int_equal(symlinkat("..", f.root_fd, "evil"), 0);
	atomic_store(&stop_swapping, false);
	pthread_create(&thread, NULL, swap, NULL);
	for (int i = 0; i < 100000 && (i < 3000 || !found || !symlinks); i++) {
		struct gofer_reply_walk *r = walk(&f.m, f.socks[0], f.root, "sub/secret");
		struct gofer_req_clunk *req;
		uint64_t ids[2];
		uint32_t count;

		assert_non_null(r);
		count = r->node_count;
		assert_in_range(count, 1, 2);
		symlinks += r->stop == GOFER_STOP_SYMLINK;
		if (r->stop == GOFER_STOP_END)
			found++;
		ids[0] = r->nodes[0].handle;
		ids[1] = r->nodes[count - 1].handle;
		if (r->stop == GOFER_STOP_END) {
			char text[8] = "";

			assert_int_equal(open_handle(&f.m, f.socks[0], ids[1], GOFER_OPEN_READ), 0);
			assert_int_equal(read(f.m.reply_fd, text, 6), 6);
			assert_string_equal(text, "inside");
			close(f.m.reply_fd);
		}
		req = msg_begin(&f.m, GOFER_CLUNK, sizeof(*req));
		req->count = 2;
		req->h.size = sizeof(*req) + sizeof(ids);
		msg_add(&f.m, ids, sizeof(ids));
		fd_send(f.socks[0], f.m.bytes, f.m.size, NULL, 0);
	}
	atomic_store(&stop_swapping, true);
	pthread_join(thread, NULL);
	assert_true(found > 0 && symlinks > 0);
}

/* Every byte string of a request's size must be answered or refused, never crash. */
static void random_messages(void **state)
{
	uint32_t x = 12345;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct gofer_header *h = msg_begin(&f.m, 0, 160);
		ssize_t n;

		for (size_t i = 0; i < 160; i++) {
			x = x * 1103515245 + 12345;
			f.m.bytes[i] = (x >> 16) & 3 ? 0 : (uint8_t)(x >> 24);
		}
		h->size = sizeof(*h) + (x >> 8) % 140;
		h->type = (uint16_t)(1 + (x >> 3) % GOFER_SYMLINK);
		h->cpu = 0;
		h->error = 0;
		*(uint64_t *)(void *)(h + 1) = f.root;
		f.m.size = h->size;
		if (fd_send(f.socks[0], f.m.bytes, f.m.size, NULL, 0) < 0)
			n = 0;
		else
			n = fd_recv(f.socks[0], f.m.reply, sizeof(f.m.reply), &f.m.reply_fd, 1,
				    NULL);
		if (f.m.reply_fd >= 0)
			close(f.m.reply_fd);
		f.m.reply_fd = -1;
		if (n <= 0) { /* refused: connect anew */
			int pair[2];

			close(f.socks[0]);
			pthread_join(f.threads[0], NULL);
			close(f.conns[0].sock);
			socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
			f.socks[0] = pair[0];
			f.conns[0].sock = pair[1];
			pthread_create(&f.threads[0], NULL, serve, &f.conns[0]);
		}
	}
	assert_int_equal(handle_call(&f.m, f.socks[1], GOFER_GETATTR, f.root), 0);
}

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Prints what a request costs; run with "bench" as argument. */
static void bench(void **state)
{
	double start = now_us();
	const int rounds = 100000;
	uint64_t h;

	(void)state;
	make_file("file", "hello");
	h = walk_to(&f.m, f.socks[0], f.root, "file");
	for (int i = 0; i < rounds; i++)
		handle_call(&f.m, f.socks[0], GOFER_GETATTR, h);
	printf("getattr   %6.2f us\n", (now_us() - start) / rounds);
	start = now_us();
	for (int i = 0; i < rounds; i++) {
		open_handle(&f.m, f.socks[0], h, GOFER_OPEN_READ);
		close(f.m.reply_fd);
	}
	printf("open+close %6.2f us\n", (now_us() - start) / rounds);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    T(walks),
	    T(looks_up_many),
	    T(opens_with_just_those_rights),
	    T(makes_with_owner_and_mode),
	    T(makes_a_nameless_file),
	    T(makes_nodes),
	    T(handles_follow_the_file),
	    T(gets_attributes_by_name),
	    T(sets_attributes),
	    T(extended_attributes),
	    T(lists_names),
	    T(lists_with_attributes),
	    T(lists_small_in_one),
	    T(readonly_mount_refuses),
	    T(clunks),
	    T(trims),
	    T(full_table_refuses),
	    T(hostile_truncated),
	    T(hostile_only_a_byte),
	    T(hostile_size_lies),
	    T(hostile_oversize),
	    T(hostile_unknown_type),
	    T(hostile_type_zero),
	    T(hostile_tail_where_none_belongs),
	    T(hostile_dotdot),
	    T(hostile_dot),
	    T(hostile_slash),
	    T(hostile_absolute),
	    T(hostile_empty_name),
	    T(hostile_rename_out),
	    T(hostile_unlink_dot),
	    T(hostile_no_nul),
	    T(hostile_too_many_names),
	    T(hostile_clunk_count_lies),
	    T(hostile_xattr_size_lies),
	    T(hostile_readdir_size),
	    T(hostile_open_without_rights),
	    T(hostile_open_unknown_flags),
	    T(hostile_attach_nowhere),
	    T(hostile_descriptors),
	    T(wrong_handles),
	    T(symlink_race),
	    T(random_messages),
	};
	const struct CMUnitTest benches[] = {T(bench)};

	log_setup(2, false, LOG_ERROR, "test");
	if (argc > 1 && !strcmp(argv[1], "bench"))
		return cmocka_run_group_tests_name("gofer_bench", benches, NULL, NULL);
	return cmocka_run_group_tests_name("gofer_server", tests, NULL, NULL);
}
