/* SPDX-License-Identifier: Apache-2.0 */
/* What goes along with messages of unix sockets: descriptors and credentials; time-outs. */
#include "compat.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>

static int p[2];

union control {
	char bytes[CMSG_SPACE(8 * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
	struct cmsghdr align;
};

static void make(int type)
{
	OK(socketpair(AF_UNIX, type, 0, p));
}

static ssize_t send_fds(int to, const char *text, const int *fds, int count)
{
	union control c = {.bytes = {0}};
	struct iovec iov = {(void *)text, strlen(text)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &c,
			     .msg_controllen = CMSG_SPACE((size_t)count * sizeof(int))};
	struct cmsghdr *h = CMSG_FIRSTHDR(&msg);

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
	memcpy(CMSG_DATA(h), fds, (size_t)count * sizeof(int));
	return sendmsg(to, &msg, MSG_NOSIGNAL);
}

/* Bytes; the descriptors and flags that came. */
static ssize_t recv_fds(int from, char *buf, size_t size, int flags, int *fds, int *count,
			int *got_flags)
{
	union control c;
	struct iovec iov = {buf, size};
	struct msghdr msg = {
	    .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)};
	ssize_t n = recvmsg(from, &msg, flags);

	*count = 0;
	if (n < 0)
		return n;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&msg); h; h = CMSG_NXTHDR(&msg, h))
		if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS) {
			*count = (int)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
			memcpy(fds, CMSG_DATA(h), (size_t)*count * sizeof(int));
		}
	*got_flags = msg.msg_flags;
	return n;
}

TEST(a_descriptor_arrives)
{
	int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}, pipes[2], fds[8], count, flags;
	char buf[8];

	for (int i = 0; i < 3; i++) {
		make(types[i]);
		OK(pipe(pipes));
		EQ(send_fds(p[0], "x", &pipes[1], 1), 1);
		OK(close(pipes[1]));
		EQ(recv_fds(p[1], buf, 8, MSG_CMSG_CLOEXEC, fds, &count, &flags), 1);
		EQ(count, 1);
		EQ(OK(fcntl(fds[0], F_GETFD)), FD_CLOEXEC);
		EQ(write(fds[0], "hi", 2), 2);
		OK(close(fds[0]));
		EQ(read(pipes[0], buf, 8), 2);
		EQ(read(pipes[0], buf, 8), 0);
	}
}

TEST(a_stream_stops_behind_descriptors)
{
	int fds[8], count, flags, null = OK(open("/dev/null", O_RDWR));
	char buf[16];

	make(SOCK_STREAM);
	EQ(write(p[0], "ab", 2), 2);
	EQ(send_fds(p[0], "cd", (int[]){null, null}, 2), 2);
	EQ(write(p[0], "ef", 2), 2);
	EQ(recv_fds(p[1], buf, 16, 0, fds, &count, &flags), 4);
	EQ(count, 2);
	MEM_EQ(buf, "abcd", 4);
	EQ(recv_fds(p[1], buf, 16, 0, fds, &count, &flags), 2);
	EQ(count, 0);
}

TEST(unread_descriptors_are_closed)
{
	int pipes[2];
	char buf[4];

	make(SOCK_STREAM);
	OK(pipe(pipes));
	EQ(send_fds(p[0], "x", &pipes[1], 1), 1);
	OK(close(pipes[1]));
	OK(close(p[1]));
	EQ(read(pipes[0], buf, 4), 0);
	make(SOCK_STREAM);
	OK(pipe(pipes));
	EQ(send_fds(p[0], "x", &pipes[1], 1), 1);
	OK(close(pipes[1]));
	EQ(read(p[1], buf, 4), 1);
	EQ(read(pipes[0], buf, 4), 0);
}

TEST(no_room_for_descriptors)
{
	int null = OK(open("/dev/null", O_RDWR));
	struct iovec iov;
	char buf[4];
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	make(SOCK_SEQPACKET);
	EQ(send_fds(p[0], "x", &null, 1), 1);
	iov = (struct iovec){buf, 4};
	EQ(recvmsg(p[1], &msg, 0), 1);
	EQ(msg.msg_flags & MSG_CTRUNC, MSG_CTRUNC);
	EQ(dup(null), p[1] + 1);
}

TEST(peek_gives_copies)
{
	int fds[8], count, flags, null = OK(open("/dev/null", O_RDWR));
	char buf[4];

	make(SOCK_STREAM);
	EQ(send_fds(p[0], "x", &null, 1), 1);
	EQ(recv_fds(p[1], buf, 4, MSG_PEEK, fds, &count, &flags), 1);
	EQ(count, 1);
	EQ(recv_fds(p[1], buf, 4, 0, fds, &count, &flags), 1);
	EQ(count, 1);
	FAILS(recv_fds(p[1], buf, 4, MSG_DONTWAIT, fds, &count, &flags), EAGAIN);
}

TEST(bad_descriptors)
{
	make(SOCK_STREAM);
	FAILS(send_fds(p[0], "x", (int[]){99}, 1), EBADF);
	FAILS(recv(p[1], &(char){0}, 1, MSG_DONTWAIT), EAGAIN);
}

TEST(sockets_in_sockets)
{
	int chain[2], next[2];

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, chain));
	for (int i = 0; i < 200; i++) {
		OK(socketpair(AF_UNIX, SOCK_STREAM, 0, next));
		EQ(send_fds(next[0], "x", chain, 2), 1);
		OK(close(chain[0]));
		OK(close(chain[1]));
		memcpy(chain, next, sizeof(next));
	}
	OK(close(chain[1]));
	OK(close(chain[0]));
	make(SOCK_STREAM);
	EQ(p[0], chain[0] < chain[1] ? chain[0] : chain[1]);
}

TEST(credentials)
{
	union control c;
	char buf[8];
	struct iovec iov = {buf, 8};
	struct msghdr msg = {
	    .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)};
	struct cmsghdr *h;
	struct ucred cred;

	make(SOCK_DGRAM);
	OK(setsockopt(p[1], SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int)));
	EQ(send(p[0], "abc", 3, 0), 3);
	EQ(recvmsg(p[1], &msg, 0), 3);
	h = CMSG_FIRSTHDR(&msg);
	CHECK(h && h->cmsg_type == SCM_CREDENTIALS && h->cmsg_len == CMSG_LEN(sizeof(cred)));
	memcpy(&cred, CMSG_DATA(h), sizeof(cred));
	EQ(cred.pid, getpid());
	EQ(cred.uid, getuid());
	EQ(cred.gid, getgid());
	EQ(msg.msg_flags, 0);
}

TEST(receive_time_out)
{
	struct timeval t = {0, 30000};
	socklen_t size = sizeof(t);
	char buf[4];

	make(SOCK_STREAM);
	OK(setsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)));
	FAILS(recv(p[0], buf, 4, 0), EAGAIN);
	EQ(write(p[1], "ab", 2), 2);
	EQ(recv(p[0], buf, 4, MSG_WAITALL), 2);
	t = (struct timeval){0};
	OK(getsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &t, &size));
	EQ(size, sizeof(t));
	CHECK(t.tv_sec == 0 && t.tv_usec >= 30000 && t.tv_usec < 50000);
}

TEST(a_waiting_writer_is_woken)
{
	static char block[65536];
	size_t total = 0;
	pid_t pid;
	ssize_t n;

	make(SOCK_SEQPACKET);
	pid = OK(fork());
	if (pid == 0) {
		OK(close(p[1]));
		for (int i = 0; i < 100; i++)
			EQ(send(p[0], block, sizeof(block), 0), sizeof(block));
		_exit(0);
	}
	OK(close(p[0]));
	while ((n = recv(p[1], block, sizeof(block), 0)) > 0)
		total += (size_t)n;
	EQ(n, 0);
	EQ(total, 100 * sizeof(block));
	WAIT_EXIT(pid, 0);
}
