/* SPDX-License-Identifier: Apache-2.0 */
#include "fsgofer/server.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "fsgofer/request.h"

#define SCRATCH_SIZE (16u * 1024)
#define CONN_BYTES   (2 * GOFER_MESSAGE_MAX + SCRATCH_SIZE)

static int do_clunk(struct gofer_conn *c);
static int do_trim(struct gofer_conn *c);

/* One row a request: the size of its structure, whether a tail may follow, who answers. */
static const struct request_row {
	const char *name;
	size_t fixed_size;
	bool tail;
	bool one_way;
	int (*handler)(struct gofer_conn *c);
} rows[GOFER_TYPE_COUNT] = {
    [GOFER_ATTACH] = {"attach", sizeof(struct gofer_req_attach), false, false, do_attach},
    [GOFER_WALK] = {"walk", sizeof(struct gofer_req_walk), true, false, do_walk},
    [GOFER_LOOKUP] = {"lookup", sizeof(struct gofer_req_walk), true, false, do_lookup},
    [GOFER_OPEN] = {"open", sizeof(struct gofer_req_open), false, false, do_open},
    [GOFER_CREATE] = {"create", sizeof(struct gofer_req_make), true, false, do_create},
    [GOFER_TMPFILE] = {"tmpfile", sizeof(struct gofer_req_make), false, false, do_tmpfile},
    [GOFER_MKDIR] = {"mkdir", sizeof(struct gofer_req_make), true, false, do_mkdir},
    [GOFER_MKNOD] = {"mknod", sizeof(struct gofer_req_make), true, false, do_mknod},
    [GOFER_SYMLINK] = {"symlink", sizeof(struct gofer_req_make), true, false, do_symlink},
    [GOFER_LINK] = {"link", sizeof(struct gofer_req_link), true, false, do_link},
    [GOFER_UNLINK] = {"unlink", sizeof(struct gofer_req_unlink), true, false, do_unlink},
    [GOFER_RENAME] = {"rename", sizeof(struct gofer_req_rename), true, false, do_rename},
    [GOFER_READLINK] = {"readlink", sizeof(struct gofer_req_handle), false, false, do_readlink},
    [GOFER_GETATTR] = {"getattr", sizeof(struct gofer_req_handle), false, false, do_getattr},
    [GOFER_GETATTR_AT] = {"getattr_at", sizeof(struct gofer_req_handle), true, false,
			  do_getattr_at},
    [GOFER_SETATTR] = {"setattr", sizeof(struct gofer_req_setattr), false, false, do_setattr},
    [GOFER_READDIR] = {"readdir", sizeof(struct gofer_req_readdir), false, false, do_readdir},
    [GOFER_STATFS] = {"statfs", sizeof(struct gofer_req_handle), false, false, do_statfs},
    [GOFER_FSYNC] = {"fsync", sizeof(struct gofer_req_fsync), false, false, do_fsync},
    [GOFER_GETXATTR] = {"getxattr", sizeof(struct gofer_req_xattr), true, false, do_getxattr},
    [GOFER_SETXATTR] = {"setxattr", sizeof(struct gofer_req_xattr), true, false, do_setxattr},
    [GOFER_LISTXATTR] = {"listxattr", sizeof(struct gofer_req_handle), false, false, do_listxattr},
    [GOFER_REMOVEXATTR] = {"removexattr", sizeof(struct gofer_req_xattr), true, false,
			   do_removexattr},
    [GOFER_CLUNK] = {"clunk", sizeof(struct gofer_req_clunk), true, true, do_clunk},
    [GOFER_TRIM] = {"trim", sizeof(struct gofer_header), false, true, do_trim},
};

int gofer_server_init(struct gofer_server *s, const struct gofer_root *roots, uint32_t root_count,
		      int proc_fd, uint32_t handle_max)
{
	*s = (struct gofer_server){.roots = roots, .root_count = root_count, .proc_fd = proc_fd};
	cpus_get(&s->cpus);
	return handles_init(&s->handles, handle_max);
}

void gofer_server_destroy(struct gofer_server *s)
{
	handles_destroy(&s->handles);
}

int gofer_conn_init(struct gofer_conn *c, struct gofer_server *s, int sock)
{
	uint8_t *p =
	    mmap(NULL, CONN_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	*c = (struct gofer_conn){.server = s,
				 .sock = sock,
				 .req = p,
				 .reply = p + GOFER_MESSAGE_MAX,
				 .scratch = p + 2 * GOFER_MESSAGE_MAX,
				 .scratch_size = SCRATCH_SIZE,
				 .reply_fd = -1};
	return 0;
}

void gofer_conn_destroy(struct gofer_conn *c)
{
	munmap(c->req, CONN_BYTES);
}

struct fd_name fd_name(int fd)
{
	struct fd_name n;

	snprintf(n.text, sizeof(n.text), "%d", fd);
	return n;
}

int malformed(struct gofer_conn *c, const char *why)
{
	c->complaint = why;
	return -EBADMSG;
}

void *reply_begin(struct gofer_conn *c, size_t size)
{
	const struct gofer_header *req = (const void *)c->req;
	struct gofer_header *h = (void *)c->reply;

	check(size <= GOFER_MESSAGE_MAX);
	memset(c->reply, 0, size);
	*h = (struct gofer_header){.size = (uint32_t)size, .type = req->type, .seq = req->seq};
	c->reply_size = size;
	return c->reply;
}

struct gofer_cursor request_tail(const struct gofer_conn *c, size_t fixed_size)
{
	const struct gofer_header *h = (const void *)c->req;

	return (struct gofer_cursor){.at = c->req + fixed_size, .left = h->size - fixed_size};
}

int tail_end(struct gofer_conn *c, const struct gofer_cursor *tail)
{
	if (tail->bad)
		return malformed(c, "a name is wrong or the message too short");
	if (tail->left)
		return malformed(c, "bytes are left over");
	return 0;
}

const char *only_name(struct gofer_conn *c, size_t fixed_size)
{
	struct gofer_cursor tail = request_tail(c, fixed_size);
	const char *name = gofer_take_name(&tail);

	return tail_end(c, &tail) ? NULL : name;
}

struct held hold(struct gofer_conn *c, uint64_t id, enum handle_kind kind)
{
	struct handle_table *t = &c->server->handles;

	return (struct held){.table = t, .h = handles_get(t, id, kind)};
}

void held_release(struct held *held)
{
	if (held->h)
		handles_put(held->table, held->h);
}

static int do_clunk(struct gofer_conn *c)
{
	const struct gofer_req_clunk *req = (const void *)c->req;
	struct gofer_cursor tail = request_tail(c, sizeof(*req));

	if (req->zero || req->count == 0 || req->count > GOFER_CLUNK_MAX)
		return malformed(c, "clunk of a wrong count");
	gofer_take(&tail, req->count * sizeof(uint64_t));
	if (tail_end(c, &tail))
		return -EBADMSG;
	for (uint32_t i = 0; i < req->count; i++)
		handles_clunk(&c->server->handles, req->handles[i]);
	return 0;
}

static int do_trim(struct gofer_conn *c)
{
	(void)c;
	mem_drop_image();
	return 0;
}

/* The row of a received message of n bytes, or NULL after malformed(). */
static const struct request_row *check_request(struct gofer_conn *c, size_t n)
{
	const struct gofer_header *h = (const void *)c->req;
	const struct request_row *row;

	if (n < sizeof(*h) || h->size != n || h->error) {
		malformed(c, "wrong header");
		return NULL;
	}
	if (h->type >= GOFER_TYPE_COUNT || !rows[h->type].handler) {
		malformed(c, "unknown request");
		return NULL;
	}
	row = &rows[h->type];
	if (n < row->fixed_size || (!row->tail && n != row->fixed_size)) {
		malformed(c, "wrong size");
		return NULL;
	}
	return row;
}

/*
 * Goes to the CPU where the answer is waited for, or anywhere again. What the host refuses changes
 * nothing but the time that it takes.
 */
static void follow(struct gofer_conn *c, uint16_t cpu)
{
	if (likely(cpu == c->cpu))
		return;
	c->cpu = cpu;
	if (cpu)
		cpus_set_only(cpu - 1u);
	else
		cpus_set(&c->server->cpus);
}

static uint16_t this_cpu(void)
{
	int cpu = sched_getcpu();

	return cpu >= 0 && cpu < CPUS_MAX ? (uint16_t)(cpu + 1) : 0;
}

/* Sends the reply that is ready, with its descriptor, which is closed. */
static int send_reply(struct gofer_conn *c)
{
	ssize_t n;

	((struct gofer_header *)(void *)c->reply)->cpu = this_cpu();
	n = fd_send(c->sock, c->reply, c->reply_size, &c->reply_fd, c->reply_fd >= 0);
	if (c->reply_fd >= 0)
		close(c->reply_fd);
	c->reply_fd = -1;
	return n < 0 ? (int)n : 0;
}

static int answer(struct gofer_conn *c, size_t n)
{
	const struct gofer_header *h = (const void *)c->req;
	const struct request_row *row = check_request(c, n);
	int err;

	if (!row)
		return -EBADMSG;
	follow(c, h->cpu);
	err = row->handler(c);
	if (c->complaint)
		return -EBADMSG;
	log_debug(LOGC_GOFER, "%s seq %u: %d", row->name, h->seq, err);
	if (row->one_way)
		return 0;
	if (err) {
		check(err < 0 && c->reply_fd < 0);
		((struct gofer_header *)reply_begin(c, sizeof(*h)))->error = err;
	}
	return send_reply(c);
}

int gofer_serve(struct gofer_conn *c)
{
	int err = 0;

	c->complaint = NULL;
	while (!err) {
		ssize_t n = fd_recv(c->sock, c->req, GOFER_MESSAGE_MAX, NULL, 0, NULL);

		if (n == 0)
			break;
		if (n == -EBADMSG)
			err = malformed(c, "oversize, or with descriptors");
		else
			err = n < 0 ? (int)n : answer(c, (size_t)n);
	}
	if (c->complaint)
		log_warn("gofer: connection closed: %s (type %u, size %u)", c->complaint,
			 ((const struct gofer_header *)(const void *)c->req)->type,
			 ((const struct gofer_header *)(const void *)c->req)->size);
	shutdown(c->sock, SHUT_RDWR);
	return err == -EPIPE || err == -ECONNRESET ? 0 : err;
}
