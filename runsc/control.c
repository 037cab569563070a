/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"

#define CONTROL_BACKLOG 16

/* Strings of a hook, argv and envp together. */
#define CONTROL_HOOK_STRINGS_MAX 8192u

int control_check_request(const void *packet, size_t packet_size, struct control_request *ret)
{
	struct control_request q;

	if (packet_size < sizeof(q))
		return -EBADMSG;
	memcpy(&q, packet, sizeof(q));
	if (q.magic != CONTROL_MAGIC)
		return -EBADMSG;
	if (q.version != CONTROL_VERSION)
		return -EPROTONOSUPPORT;
	if (q.size > CONTROL_PAYLOAD_MAX || packet_size != sizeof(q) + q.size)
		return -EBADMSG;
	*ret = q;
	return 0;
}

/* Takes count strings from *at; the array ends with NULL. */
static int take_strings(const char **at, const char *end, uint32_t count, const char ***ret)
{
	const char **list = xcalloc((size_t)count + 1, sizeof(*list));

	for (uint32_t i = 0; i < count; i++) {
		const char *nul = memchr(*at, '\0', (size_t)(end - *at));

		if (!nul) {
			free(list);
			return -EBADMSG;
		}
		list[i] = *at;
		*at = nul + 1;
	}
	*ret = list;
	return 0;
}

int control_parse_hook(const void *payload, size_t size, struct control_hook *ret_hook,
		       const char **ret_path, const char ***ret_argv, const char ***ret_envp,
		       const void **ret_input)
{
	const char *at = payload, *end = at + size;
	const char **path = NULL, **argv = NULL, **envp = NULL;
	struct control_hook h;

	if (size < sizeof(h))
		return -EBADMSG;
	memcpy(&h, payload, sizeof(h));
	at += sizeof(h);
	if (h.argc > CONTROL_HOOK_STRINGS_MAX || h.envc > CONTROL_HOOK_STRINGS_MAX)
		return -EBADMSG;
	if (take_strings(&at, end, 1, &path) < 0 || take_strings(&at, end, h.argc, &argv) < 0 ||
	    take_strings(&at, end, h.envc, &envp) < 0 || h.input_size != (size_t)(end - at)) {
		free(path);
		free(argv);
		free(envp);
		return -EBADMSG;
	}
	*ret_hook = h;
	*ret_path = path[0];
	*ret_argv = argv;
	*ret_envp = envp;
	*ret_input = at;
	free(path);
	return 0;
}

/*
 * A socket's name has 108 bytes; a state directory's path may be longer. Its descriptor makes it
 * short.
 */
static struct error *make_address(int dirfd, const char *name, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", dirfd, name) >=
	    (int)sizeof(ret->sun_path))
		return error_errno(ENAMETOOLONG, "%s", name);
	return NULL;
}

struct error *control_listen(int dirfd, const char *name, int *ret_fd)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un addr;
	struct error *e;

	if (fd < 0)
		return error_errno(errno, "control socket");
	e = make_address(dirfd, name, &addr);
	if (!e && (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
		   fchmodat(dirfd, name, 0600, 0) < 0 || listen(fd, CONTROL_BACKLOG) < 0))
		e = error_errno(errno, "control socket %s", name);
	if (e) {
		close(fd);
		return e;
	}
	*ret_fd = fd;
	return NULL;
}

/* Waits for events on fd until the deadline (negative: for ever). */
static int wait_for(int fd, short events, int64_t deadline)
{
	for (;;) {
		struct pollfd p = {.fd = fd, .events = events};
		int64_t left = deadline < 0 ? -1 : deadline - clock_monotonic_ms();
		int r;

		if (deadline >= 0 && left <= 0)
			return -ETIMEDOUT;
		r = poll(&p, 1, (int)left);
		if (r > 0)
			return 0;
		if (r < 0 && errno != EINTR)
			return -errno;
	}
}

/*
 * The socket is non-blocking: with a full backlog connect says EAGAIN, and a unix socket can't be
 * waited for then. A connect with a send timeout can.
 */
static int connect_to(int dirfd, const char *name, int timeout_ms, int *ret_fd)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr;
	struct error *e;

	if (fd < 0)
		return -errno;
	e = make_address(dirfd, name, &addr);
	if (e) {
		error_free(e);
		close(fd);
		return -ENAMETOOLONG;
	}
	if (timeout_ms >= 0) {
		struct timeval tv = {timeout_ms / 1000, timeout_ms % 1000 * 1000 + 1};

		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	}
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		int r = errno == EAGAIN ? -ETIMEDOUT : -errno;

		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

static int send_request(int fd, const struct control_request *request, const void *payload)
{
	char *packet = xmalloc(sizeof(*request) + request->size);
	ssize_t n;

	memcpy(packet, request, sizeof(*request));
	if (request->size)
		memcpy(packet + sizeof(*request), payload, request->size);
	n = fd_send(fd, packet, sizeof(*request) + request->size, NULL, 0);
	free(packet);
	return n < 0 ? (int)n : 0;
}

/* The reply is whatever a sentry that a guest took over would send. */
static int receive_reply(int fd, uint16_t op, struct control_reply *ret, void **ret_payload)
{
	char *packet = xmalloc(CONTROL_REPLY_MAX + 1);
	ssize_t n = fd_recv(fd, packet, CONTROL_REPLY_MAX, NULL, 0, NULL);
	struct control_reply r;

	if (n >= (ssize_t)sizeof(r))
		memcpy(&r, packet, sizeof(r));
	if (n == 0)
		n = -ECONNRESET;
	else if (n > 0 && (n < (ssize_t)sizeof(r) || r.magic != CONTROL_MAGIC ||
			   r.version != CONTROL_VERSION || r.op != op || r.err > 0 ||
			   r.err < -4095 || r.size != (size_t)n - sizeof(r)))
		n = -EBADMSG;
	if (n < 0) {
		free(packet);
		return (int)n;
	}
	memmove(packet, packet + sizeof(r), r.size);
	packet[r.size] = '\0';
	*ret = r;
	*ret_payload = packet;
	return 0;
}

struct error *control_call(int dirfd, const char *name, const struct control_request *request,
			   const void *payload, int timeout_ms, struct control_reply *ret_reply,
			   void **ret_payload)
{
	int64_t deadline = timeout_ms < 0 ? -1 : clock_monotonic_ms() + timeout_ms;
	struct control_request q = *request;
	struct control_reply reply;
	cleanup_fd int fd = -1;
	void *data = NULL;
	int r;

	q.magic = CONTROL_MAGIC;
	q.version = CONTROL_VERSION;
	r = connect_to(dirfd, name, timeout_ms, &fd);
	if (!r)
		r = send_request(fd, &q, payload);
	if (!r)
		r = wait_for(fd, POLLIN, deadline);
	if (!r)
		r = receive_reply(fd, q.op, &reply, &data);
	if (!r && reply.err)
		r = reply.err;
	if (r) {
		free(data);
		return error_errno(-r, "asking the sentry");
	}
	if (ret_reply)
		*ret_reply = reply;
	if (ret_payload)
		*ret_payload = data;
	else
		free(data);
	return NULL;
}
