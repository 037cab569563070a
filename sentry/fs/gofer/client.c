/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/fs/gofer/client.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "abi/stat.h"
#include "base/fd.h"
#include "base/feature.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "sentry/kernel/lockorder.h"
#include "sentry/kernel/task_block.h"

/* Handles are dropped in batches of at least this many, unless it is urgent. */
#define CLUNK_BATCH   32
#define QUICK_US      1000
#define SLOW_REQUESTS 64

static uint8_t *map_buffers(void)
{
	void *p = mmap(NULL, 2 * GOFER_MESSAGE_MAX, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		panic("out of memory: buffers of a gofer connection");
	return p;
}

struct gofer_client *gofer_client_new(struct kernel *k, const int *socks, size_t count)
{
	struct gofer_client *c = xnew(struct gofer_client);

	check(count > 0 && count <= 16);
	c->kernel = k;
	c->same_cpu = !feature_off(FEATURE_SAME_CPU) && cpus_get(&c->cpus) >= 2;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->freed, NULL);
	mutex_init(&c->idle_lock, RANK_LEAF);
	list_init(&c->idle);
	mutex_init(&c->chunks_lock, RANK_LEAF);
	list_init(&c->chunks);
	c->conns = xcalloc(count, sizeof(*c->conns));
	c->conn_count = count;
	for (size_t i = 0; i < count; i++) {
		const struct timeval quick = {.tv_usec = QUICK_US};

		setsockopt(socks[i], SOL_SOCKET, SO_RCVTIMEO, &quick, sizeof(quick));
		c->conns[i] = (struct gofer_rpc){.client = c,
						 .sock = socks[i],
						 .fd = -1,
						 .buffer = map_buffers(),
						 .next_free = c->free};
		c->free = &c->conns[i];
	}
	return c;
}

void gofer_client_destroy(struct gofer_client *c)
{
	check(list_empty(&c->idle) && list_empty(&c->chunks));
	for (size_t i = 0; i < c->conn_count; i++) {
		close(c->conns[i].sock);
		munmap(c->conns[i].buffer, 2 * GOFER_MESSAGE_MAX);
	}
	free(c->clunks);
	free(c->conns);
	pthread_cond_destroy(&c->freed);
	pthread_mutex_destroy(&c->lock);
	mutex_destroy(&c->idle_lock);
	mutex_destroy(&c->chunks_lock);
	free(c);
}

static void break_client(struct gofer_client *c, const char *why)
{
	if (atomic_exchange(&c->broken, true))
		return;
	log_error("gofer: %s", why);
	for (size_t i = 0; i < c->conn_count; i++)
		shutdown(c->conns[i].sock, SHUT_RDWR);
}

/* ---- on one CPU ---- */

/*
 * The gofer works while we wait, so one CPU is enough for both, and to wake a sleeping one costs
 * more than most requests. But the host prefers an idle CPU for whom it wakes. So when AWAY_MAX
 * requests in a row, all from one CPU, were answered on another one, the next STAY_REQUESTS of the
 * connection are held there: the gofer's thread, and we while we wait. That costs two host calls a
 * request; so when they are used up it is looked anew. Where no CPU is idle nothing is held.
 */
#define AWAY_MAX      4
#define STAY_REQUESTS 1024

/* 1 + the number of the CPU we are on; 0: nobody wants to know. */
static uint16_t this_cpu(const struct gofer_client *c)
{
	int cpu = c->same_cpu ? sched_getcpu() : -1;

	return cpu >= 0 && cpu < CPUS_MAX ? (uint16_t)(cpu + 1) : 0;
}

/* Where the gofer's thread shall be for the next request, which comes from `here`. */
static void choose_cpu(struct gofer_rpc *rpc, uint16_t here)
{
	bool forced = here && feature_forced(FEATURE_SAME_CPU);

	if (forced) {
		rpc->cpu = here;
	} else if (rpc->cpu != here || rpc->stay_left == 0) {
		rpc->cpu = 0;
		if (rpc->asked_from != here)
			rpc->away_count = 0;
		rpc->asked_from = here;
	} else {
		rpc->stay_left--;
	}
}

/* After a request from `here` that wasn't held there. */
static void note_cpus(struct gofer_rpc *rpc, uint16_t here)
{
	const struct gofer_header *reply = (const void *)(rpc->buffer + GOFER_MESSAGE_MAX);

	if (rpc->cpu)
		atomic_fetch_add_explicit(&rpc->client->held_count, 1, memory_order_relaxed);
	if (!here || rpc->cpu)
		return;
	if (reply->cpu == here && this_cpu(rpc->client) == here) {
		rpc->away_count = 0;
		return;
	}
	atomic_fetch_add_explicit(&rpc->client->away_count, 1, memory_order_relaxed);
	if (++rpc->away_count >= AWAY_MAX) {
		rpc->away_count = 0;
		rpc->cpu = here;
		rpc->stay_left = STAY_REQUESTS;
	}
}

static bool stay(const struct gofer_rpc *rpc)
{
	return rpc->cpu && cpus_set_only(rpc->cpu - 1u) == 0;
}

static void stay_no_more(const struct gofer_rpc *rpc, bool *stays)
{
	if (*stays)
		cpus_set(&rpc->client->cpus);
	*stays = false;
}

/* ---- connections ---- */

/*
 * The free connection to take from CPU `cpu` (1 + its number): one whose thread is here, else one
 * whose thread is nowhere else.
 */
static struct gofer_rpc **best_free_locked(struct gofer_client *c, uint16_t cpu)
{
	struct gofer_rpc **best = &c->free;

	for (struct gofer_rpc **at = &c->free; *at; at = &(*at)->next_free) {
		if ((*at)->cpu == cpu)
			return at;
		if ((*at)->cpu == 0 && (*best)->cpu)
			best = at;
	}
	return best;
}

static struct gofer_rpc *take_connection(struct gofer_client *c, bool wait)
{
	struct gofer_rpc *rpc, **at;

	pthread_mutex_lock(&c->lock);
	if (!c->free && wait) {
		/* All are waiting for the host. */
		pthread_mutex_unlock(&c->lock);
		worker_going_long();
		pthread_mutex_lock(&c->lock);
	}
	while (!c->free && wait)
		pthread_cond_wait(&c->freed, &c->lock);
	at = best_free_locked(c, this_cpu(c));
	rpc = *at;
	if (rpc)
		*at = rpc->next_free;
	pthread_mutex_unlock(&c->lock);
	return rpc;
}

static void give_connection(struct gofer_rpc *rpc)
{
	struct gofer_client *c = rpc->client;

	pthread_mutex_lock(&c->lock);
	rpc->next_free = c->free;
	c->free = rpc;
	pthread_cond_signal(&c->freed);
	pthread_mutex_unlock(&c->lock);
}

static void set_request(struct gofer_rpc *rpc, enum gofer_type type, size_t req_size)
{
	struct gofer_header *h = (void *)rpc->buffer;

	memset(rpc->buffer, 0, req_size);
	h->type = (uint16_t)type;
	h->seq = ++rpc->seq;
	rpc->req = rpc->buffer;
	rpc->req_size = req_size;
	rpc->reply = NULL;
	rpc->reply_size = 0;
	rpc->fd = -1;
}

static int send_request(struct gofer_rpc *rpc)
{
	struct gofer_header *h = rpc->req;
	ssize_t n;

	h->size = (uint32_t)rpc->req_size;
	h->cpu = rpc->cpu;
	n = fd_send(rpc->sock, rpc->req, rpc->req_size, NULL, 0);
	return n < 0 ? (int)n : 0;
}

/* ---- dropping handles ---- */

/* The next batch of handles to drop, as a request; false if there is none to be sent now. */
static bool next_clunks(struct gofer_rpc *rpc)
{
	struct gofer_client *c = rpc->client;
	struct gofer_req_clunk *req;
	size_t count;

	pthread_mutex_lock(&c->lock);
	if (c->clunk_count == 0 || (c->clunk_count < CLUNK_BATCH && !c->clunk_soon)) {
		pthread_mutex_unlock(&c->lock);
		return false;
	}
	count = c->clunk_count < GOFER_CLUNK_MAX ? c->clunk_count : GOFER_CLUNK_MAX;
	c->clunk_count -= count;
	set_request(rpc, GOFER_CLUNK, sizeof(*req));
	req = rpc->req;
	req->count = (uint32_t)count;
	rpc_add_bytes(rpc, c->clunks + c->clunk_count, count * sizeof(*c->clunks));
	if (c->clunk_count == 0)
		c->clunk_soon = false;
	pthread_mutex_unlock(&c->lock);
	return true;
}

/* CLUNK has no reply, so a connection that it was sent on is free for the next request. */
static void send_clunks(struct gofer_rpc *rpc)
{
	while (!atomic_load(&rpc->client->broken) && next_clunks(rpc))
		if (send_request(rpc))
			break_client(rpc->client, "hung up");
}

void gofer_clunk(struct gofer_client *c, uint64_t handle, bool urgent)
{
	struct gofer_rpc *rpc;
	bool send;

	pthread_mutex_lock(&c->lock);
	if (c->clunk_count == c->clunk_capacity) {
		c->clunk_capacity = c->clunk_capacity ? 2 * c->clunk_capacity : 64;
		c->clunks = xrealloc(c->clunks, c->clunk_capacity * sizeof(*c->clunks));
	}
	c->clunks[c->clunk_count++] = handle;
	c->clunk_soon |= urgent;
	send = c->clunk_soon || c->clunk_count >= CLUNK_BATCH;
	pthread_mutex_unlock(&c->lock);
	if (!send)
		return;
	/* If all are busy, one of them sends it when its request is done. */
	rpc = take_connection(c, false);
	if (rpc) {
		send_clunks(rpc);
		give_connection(rpc);
	}
}

/*
 * The reply to another request on the same connection says that the gofer has done what came
 * before.
 */
void gofer_clunk_now(struct gofer_client *c)
{
	struct gofer_req_handle *req;
	struct gofer_rpc *rpc;

	pthread_mutex_lock(&c->lock);
	c->clunk_soon = c->clunk_count > 0;
	pthread_mutex_unlock(&c->lock);
	rpc = rpc_begin(c, GOFER_GETATTR, sizeof(*req));
	send_clunks(rpc);
	set_request(rpc, GOFER_GETATTR, sizeof(*req));
	rpc_call(rpc, sizeof(struct gofer_header)); /* -ESTALE */
	rpc_end(rpc);
}

bool gofer_trim(struct gofer_client *c)
{
	struct gofer_rpc *rpc = take_connection(c, false);

	if (!rpc)
		return false;
	set_request(rpc, GOFER_TRIM, sizeof(struct gofer_header));
	if (send_request(rpc))
		break_client(c, "hung up");
	give_connection(rpc);
	return true;
}

/* ---- a request ---- */

struct gofer_rpc *rpc_begin(struct gofer_client *c, enum gofer_type type, size_t req_size)
{
	struct gofer_rpc *rpc;

	rpc = take_connection(c, true);
	set_request(rpc, type, req_size);
	atomic_fetch_add_explicit(&c->requests[type], 1, memory_order_relaxed);
	return rpc;
}

void rpc_add_bytes(struct gofer_rpc *rpc, const void *bytes, size_t size)
{
	check(size <= GOFER_MESSAGE_MAX - rpc->req_size);
	memcpy(rpc->buffer + rpc->req_size, bytes, size);
	rpc->req_size += size;
}

void rpc_add_string(struct gofer_rpc *rpc, const char *s)
{
	rpc_add_bytes(rpc, s, strlen(s) + 1);
}

int rpc_bad_reply(struct gofer_rpc *rpc, const char *why)
{
	break_client(rpc->client, why);
	return -EIO;
}

/* What can be checked without knowing the request. */
static int check_reply(struct gofer_rpc *rpc, size_t n, size_t reply_size)
{
	const struct gofer_header *req = rpc->req, *h = (void *)(rpc->buffer + GOFER_MESSAGE_MAX);

	if (n < sizeof(*h) || h->size != n || h->type != req->type || h->seq != req->seq ||
	    h->error > 0 || h->error < -4095)
		return rpc_bad_reply(rpc, "wrong header in a reply");
	if (h->error)
		return n == sizeof(*h) && rpc->fd < 0
			   ? h->error
			   : rpc_bad_reply(rpc, "an error reply with content");
	if (n < reply_size)
		return rpc_bad_reply(rpc, "a reply is too short");
	rpc->reply = h;
	rpc->reply_size = n;
	return 0;
}

/* Whether this is one of those that pass the lead before they wait. */
static bool was_slow(struct gofer_client *c)
{
	if (atomic_load_explicit(&c->slow_left, memory_order_relaxed) <= 0)
		return false;
	atomic_fetch_sub_explicit(&c->slow_left, 1, memory_order_relaxed);
	return true;
}

/*
 * Receives the reply. Passing the lead wakes a thread, which costs as much as most replies take and
 * competes with the gofer for a CPU. So it is kept at first, and passed when the socket's receive
 * time-out strikes (a tick of the host, 1 to 4 ms); then the next SLOW_REQUESTS requests pass it
 * before they wait.
 */
static ssize_t receive(struct gofer_rpc *rpc, bool *stays)
{
	struct gofer_client *c = rpc->client;

	for (;;) {
		struct pollfd p = {.fd = rpc->sock, .events = POLLIN};
		ssize_t n = fd_recv(rpc->sock, rpc->buffer + GOFER_MESSAGE_MAX, GOFER_MESSAGE_MAX,
				    &rpc->fd, 1, NULL);

		if (n != -EAGAIN)
			return n;
		stay_no_more(rpc, stays);
		atomic_store_explicit(&c->slow_left, SLOW_REQUESTS, memory_order_relaxed);
		worker_going_long();
		poll(&p, 1, -1);
	}
}

static ssize_t send_and_receive(struct gofer_rpc *rpc)
{
	bool stays, slow = was_slow(rpc->client);
	uint16_t here = slow ? 0 : this_cpu(rpc->client);
	ssize_t n;

	if (slow)
		worker_going_long();
	choose_cpu(rpc, here);
	stays = stay(rpc);
	n = send_request(rpc);
	if (n == 0)
		n = receive(rpc, &stays);
	stay_no_more(rpc, &stays);
	if (n >= (ssize_t)sizeof(struct gofer_header))
		note_cpus(rpc, here);
	return n;
}

int rpc_call(struct gofer_rpc *rpc, size_t reply_size)
{
	ssize_t n = -EIO;

	if (!atomic_load(&rpc->client->broken))
		n = send_and_receive(rpc);
	if (n > 0)
		return check_reply(rpc, (size_t)n, reply_size);
	if (n == -EMFILE) /* the gofer's answer is lost, the connection is fine */
		return -ENFILE;
	if (n == -EBADMSG)
		return rpc_bad_reply(rpc, "an oversize reply");
	return rpc_bad_reply(rpc, "hung up");
}

void rpc_end(struct gofer_rpc *rpc)
{
	if (rpc->fd >= 0)
		close(rpc->fd);
	rpc->fd = -1;
	send_clunks(rpc);
	give_connection(rpc);
}

/* ---- counters ---- */

uint64_t gofer_request_count(const struct gofer_client *c)
{
	uint64_t sum = 0;

	for (int type = 0; type < GOFER_TYPE_COUNT; type++)
		sum += atomic_load_explicit(&c->requests[type], memory_order_relaxed);
	return sum;
}

void gofer_client_report(const struct gofer_client *c, struct strbuf *out)
{
	static const char *const names[GOFER_TYPE_COUNT] = {[GOFER_ATTACH] = "attach",
							    [GOFER_WALK] = "walk",
							    [GOFER_LOOKUP] = "lookup",
							    [GOFER_OPEN] = "open",
							    [GOFER_CREATE] = "create",
							    [GOFER_TMPFILE] = "tmpfile",
							    [GOFER_MKDIR] = "mkdir",
							    [GOFER_MKNOD] = "mknod",
							    [GOFER_SYMLINK] = "symlink",
							    [GOFER_LINK] = "link",
							    [GOFER_UNLINK] = "unlink",
							    [GOFER_RENAME] = "rename",
							    [GOFER_READLINK] = "readlink",
							    [GOFER_GETATTR] = "getattr",
							    [GOFER_GETATTR_AT] = "getattr_at",
							    [GOFER_SETATTR] = "setattr",
							    [GOFER_READDIR] = "readdir",
							    [GOFER_STATFS] = "statfs",
							    [GOFER_FSYNC] = "fsync",
							    [GOFER_GETXATTR] = "getxattr",
							    [GOFER_SETXATTR] = "setxattr",
							    [GOFER_LISTXATTR] = "listxattr",
							    [GOFER_REMOVEXATTR] = "removexattr"};

	for (int type = 0; type < GOFER_TYPE_COUNT; type++) {
		unsigned long long n = atomic_load(&c->requests[type]);

		if (n && names[type])
			strbuf_addf(out, "counter %llu gofer.%s\n", n, names[type]);
	}
	strbuf_addf(out, "counter %llu gofer_held\n", atomic_load(&c->held_count));
	strbuf_addf(out, "counter %llu gofer_away\n", atomic_load(&c->away_count));
	strbuf_addf(out, "gauge %u gofer_files_kept\n", c->idle_count);
	strbuf_addf(out, "gauge %u file_chunks\n", c->chunk_count);
	strbuf_addf(out, "gauge %zu gofer_listing_bytes\n", atomic_load(&c->cached_bytes));
}

/* ---- checks of replies ---- */

static bool time_ok(const struct gofer_time *t)
{
	return t->nsec < 1000000000;
}

bool rpc_attr_ok(const struct gofer_attr *a)
{
	switch (a->mode & ABI_S_IFMT) {
	case ABI_S_IFREG:
	case ABI_S_IFDIR:
	case ABI_S_IFLNK:
	case ABI_S_IFCHR:
	case ABI_S_IFBLK:
	case ABI_S_IFIFO:
	case ABI_S_IFSOCK:
		break;
	default:
		return false;
	}
	return !(a->mode & ~0177777u) && a->size <= INT64_MAX && a->blocks <= INT64_MAX &&
	       time_ok(&a->atime) && time_ok(&a->mtime) && time_ok(&a->ctime) && time_ok(&a->btime);
}

bool rpc_node_ok(const struct gofer_node *node)
{
	return node->handle != GOFER_HANDLE_NONE && rpc_attr_ok(&node->attr);
}
