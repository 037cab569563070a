/* SPDX-License-Identifier: Apache-2.0 */
/* Pairs of unix sockets. */
#include "compat.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

static int p[2];

static void make(int type)
{
	OK(socketpair(AF_UNIX, type, 0, p));
}

TEST(stream_both_ways)
{
	char buf[16];

	make(SOCK_STREAM);
	EQ(write(p[0], "abc", 3), 3);
	EQ(write(p[0], "def", 3), 3);
	EQ(read(p[1], buf, 4), 4);
	EQ(read(p[1], buf + 4, 12), 2);
	MEM_EQ(buf, "abcdef", 6);
	EQ(send(p[1], "back", 4, 0), 4);
	EQ(recv(p[0], buf, sizeof(buf), 0), 4);
	MEM_EQ(buf, "back", 4);
	FAILS(lseek(p[0], 0, SEEK_SET), ESPIPE);
}

TEST(packets_keep_their_borders)
{
	static const int types[] = {SOCK_DGRAM, SOCK_SEQPACKET};
	char buf[16];

	for (int i = 0; i < 2; i++) {
		make(types[i]);
		EQ(send(p[0], "abc", 3, 0), 3);
		EQ(send(p[0], "", 0, 0), 0);
		EQ(send(p[0], "longer", 6, 0), 6);
		EQ(recv(p[1], buf, sizeof(buf), 0), 3);
		EQ(recv(p[1], buf, sizeof(buf), 0), 0);
		EQ(recv(p[1], buf, 4, MSG_PEEK), 4);
		EQ(recv(p[1], buf, 4, MSG_TRUNC), 6);
		FAILS(recv(p[1], buf, 4, MSG_DONTWAIT), EAGAIN);
	}
}

TEST(bad_arguments)
{
	int fd = OK(open("/dev/null", O_RDWR));

	FAILS(socketpair(AF_UNIX, SOCK_RDM, 0, p), ESOCKTNOSUPPORT);
	FAILS(socketpair(AF_UNIX, 77, 0, p), EINVAL);
	FAILS(socketpair(AF_UNIX, SOCK_STREAM, 55, p), EPROTONOSUPPORT);
	FAILS(socketpair(AF_INET, SOCK_STREAM, 0, p), EOPNOTSUPP);
	FAILS(socketpair(AF_UNIX, SOCK_STREAM, 0, (int *)8), EFAULT);
	FAILS(recv(fd, p, 1, 0), ENOTSOCK);
	FAILS(shutdown(fd, SHUT_RD), ENOTSOCK);
	FAILS(getpeername(fd, NULL, NULL), ENOTSOCK);
	FAILS(send(-1, p, 1, 0), EBADF);
	make(SOCK_STREAM);
	FAILS(shutdown(p[0], 9), EINVAL);
	FAILS(listen(p[0], 1), EINVAL);
	FAILS(accept(p[0], NULL, NULL), EINVAL);
}

TEST(flags_of_creation)
{
	char buf[1];

	OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, p));
	EQ(OK(fcntl(p[0], F_GETFD)), FD_CLOEXEC);
	EQ(OK(fcntl(p[1], F_GETFL)) & (O_NONBLOCK | O_ACCMODE), O_NONBLOCK | O_RDWR);
	FAILS(read(p[0], buf, 1), EAGAIN);
}

TEST(closing_ends_the_stream)
{
	char buf[4];

	make(SOCK_STREAM);
	EQ(write(p[0], "ab", 2), 2);
	OK(close(p[0]));
	EQ(read(p[1], buf, 4), 2);
	EQ(read(p[1], buf, 4), 0);
	FAILS(send(p[1], "x", 1, MSG_NOSIGNAL), EPIPE);
}

TEST(unread_data_resets)
{
	char buf[4];
	int err = 0;
	socklen_t size = sizeof(err);

	make(SOCK_STREAM);
	EQ(write(p[0], "lost", 4), 4);
	OK(close(p[1]));
	FAILS(read(p[0], buf, 4), ECONNRESET);
	EQ(read(p[0], buf, 4), 0);
	make(SOCK_STREAM);
	EQ(write(p[0], "lost", 4), 4);
	OK(close(p[1]));
	OK(getsockopt(p[0], SOL_SOCKET, SO_ERROR, &err, &size));
	EQ(err, ECONNRESET);
	EQ(read(p[0], buf, 4), 0);
}

TEST(datagrams_to_nobody)
{
	make(SOCK_DGRAM);
	OK(close(p[1]));
	FAILS(send(p[0], "x", 1, MSG_NOSIGNAL), ECONNREFUSED);
}

TEST(sigpipe)
{
	int status;
	pid_t pid = OK(fork());

	if (pid == 0) {
		make(SOCK_STREAM);
		close(p[1]);
		(void)!write(p[0], "x", 1);
		_exit(0);
	}
	EQ(OK(waitpid(pid, &status, 0)), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
}

TEST(shutdown_one_way)
{
	char buf[4];

	make(SOCK_STREAM);
	EQ(write(p[0], "ab", 2), 2);
	OK(shutdown(p[0], SHUT_WR));
	FAILS(send(p[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	EQ(read(p[1], buf, 4), 2);
	EQ(read(p[1], buf, 4), 0);
	EQ(write(p[1], "cd", 2), 2);
	EQ(read(p[0], buf, 4), 2);
	OK(shutdown(p[0], SHUT_RD));
	EQ(read(p[0], buf, 4), 0);
	FAILS(send(p[1], "x", 1, MSG_NOSIGNAL), EPIPE);
}

TEST(poll_tells)
{
	struct pollfd f;

	make(SOCK_STREAM);
	f = (struct pollfd){.fd = p[0], .events = POLLIN | POLLOUT | POLLRDHUP};
	EQ(poll(&f, 1, 0), 1);
	EQ(f.revents, POLLOUT);
	EQ(write(p[1], "x", 1), 1);
	EQ(poll(&f, 1, 0), 1);
	EQ(f.revents, POLLIN | POLLOUT);
	OK(shutdown(p[1], SHUT_WR));
	EQ(poll(&f, 1, 0), 1);
	EQ(f.revents, POLLIN | POLLOUT | POLLRDHUP);
	OK(close(p[1]));
	EQ(poll(&f, 1, 0), 1);
	EQ(f.revents, POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
}

TEST(full_buffer_waits_and_drains)
{
	static char block[4096];
	struct pollfd f;
	size_t total = 0, back = 0;
	ssize_t n;

	OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p));
	while ((n = write(p[0], block, sizeof(block))) > 0)
		total += (size_t)n;
	EQ(errno, EAGAIN);
	CHECK(total >= 65536);
	f = (struct pollfd){.fd = p[0], .events = POLLOUT};
	EQ(poll(&f, 1, 0), 0);
	while ((n = read(p[1], block, sizeof(block))) > 0)
		back += (size_t)n;
	EQ(back, total);
	EQ(poll(&f, 1, 0), 1);
}

TEST(large_transfer_between_processes)
{
	static char out[1 << 20], in[1 << 20];
	pid_t pid;

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i % 253);
	make(SOCK_STREAM);
	pid = OK(fork());
	if (pid == 0) {
		OK(close(p[1]));
		EQ(write(p[0], out, sizeof(out)), sizeof(out));
		_exit(0);
	}
	OK(close(p[0]));
	EQ(recv(p[1], in, sizeof(in), MSG_WAITALL), sizeof(in));
	MEM_EQ(in, out, sizeof(in));
	EQ(read(p[1], in, 1), 0);
	WAIT_EXIT(pid, 0);
}

TEST(peek_leaves_all)
{
	char buf[8];

	make(SOCK_STREAM);
	EQ(write(p[0], "abcdef", 6), 6);
	EQ(recv(p[1], buf, 4, MSG_PEEK), 4);
	EQ(recv(p[1], buf, 8, MSG_PEEK), 6);
	EQ(recv(p[1], buf, 8, 0), 6);
	MEM_EQ(buf, "abcdef", 6);
}

TEST(messages_with_vectors)
{
	char a[2], b[8];
	struct iovec out[2] = {{(char *)"ab", 2}, {(char *)"cdef", 4}}, in[2] = {{a, 2}, {b, 3}};
	struct msghdr msg = {.msg_iov = out, .msg_iovlen = 2};

	make(SOCK_SEQPACKET);
	EQ(sendmsg(p[0], &msg, 0), 6);
	msg = (struct msghdr){.msg_iov = in, .msg_iovlen = 2};
	EQ(recvmsg(p[1], &msg, 0), 5);
	EQ(msg.msg_flags & MSG_TRUNC, MSG_TRUNC);
	MEM_EQ(a, "ab", 2);
	MEM_EQ(b, "cde", 3);
	EQ(writev(p[1], out, 2), 6);
	EQ(readv(p[0], in, 2), 5);
}

TEST(names_and_options)
{
	struct sockaddr_un name;
	socklen_t size = sizeof(name), int_size = sizeof(int), cred_size;
	struct ucred cred;
	int value = 0;

	make(SOCK_SEQPACKET);
	OK(getsockname(p[0], (struct sockaddr *)&name, &size));
	EQ(size, sizeof(sa_family_t));
	EQ(name.sun_family, AF_UNIX);
	OK(getsockopt(p[0], SOL_SOCKET, SO_TYPE, &value, &int_size));
	EQ(value, SOCK_SEQPACKET);
	OK(getsockopt(p[0], SOL_SOCKET, SO_DOMAIN, &value, &int_size));
	EQ(value, AF_UNIX);
	cred_size = sizeof(cred);
	OK(getsockopt(p[0], SOL_SOCKET, SO_PEERCRED, &cred, &cred_size));
	EQ(cred.pid, getpid());
	EQ(cred.uid, getuid());
}

TEST(fionread_and_stat)
{
	struct stat st;
	int n = 0;

	make(SOCK_STREAM);
	EQ(write(p[0], "abc", 3), 3);
	OK(ioctl(p[1], FIONREAD, &n));
	EQ(n, 3);
	OK(fstat(p[0], &st));
	CHECK(S_ISSOCK(st.st_mode));
}

TEST(epoll_edge)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLET}, got;
	int ep = OK(epoll_create1(0));

	make(SOCK_STREAM);
	OK(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &e));
	EQ(epoll_wait(ep, &got, 1, 0), 0);
	EQ(write(p[1], "a", 1), 1);
	EQ(epoll_wait(ep, &got, 1, 1000), 1);
	EQ(epoll_wait(ep, &got, 1, 0), 0);
	EQ(write(p[1], "b", 1), 1);
	EQ(epoll_wait(ep, &got, 1, 1000), 1);
}
