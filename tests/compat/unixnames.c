/* SPDX-License-Identifier: Apache-2.0 */
/* Unix sockets with names: bind, listen, connect, accept, datagrams to a name. */
#include "compat.h"

#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#define HEAD offsetof(struct sockaddr_un, sun_path)

static struct sockaddr_un addr;

/* The size for bind and connect; a name that begins with '@' is abstract. */
static socklen_t name(const char *text)
{
	addr = (struct sockaddr_un){.sun_family = AF_UNIX};
	strcpy(addr.sun_path, text);
	if (*text == '@')
		addr.sun_path[0] = '\0';
	return (socklen_t)(HEAD + strlen(text) + (*text != '@'));
}

static int make(int type)
{
	return OK(socket(AF_UNIX, type, 0));
}

static int listener(int type, const char *text, int backlog)
{
	int s = make(type);
	socklen_t size = name(text);

	OK(bind(s, (struct sockaddr *)&addr, size));
	OK(listen(s, backlog));
	return s;
}

static int connect_to(int s, const char *text)
{
	socklen_t size = name(text);

	return connect(s, (struct sockaddr *)&addr, size);
}

TEST(connect_and_accept)
{
	static const char *const names[] = {"sock", "@compat-unixnames"};
	static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET};
	char buf[8];

	for (int i = 0; i < 4; i++) {
		int l = listener(types[i / 2], names[i % 2], 5), c = make(types[i / 2]), s;

		OK(connect_to(c, names[i % 2]));
		EQ(write(c, "early", 5), 5);
		s = OK(accept(l, NULL, NULL));
		EQ(read(s, buf, 8), 5);
		EQ(write(s, "hi", 2), 2);
		EQ(read(c, buf, 8), 2);
		OK(close(s));
		EQ(read(c, buf, 8), 0);
		OK(close(c));
		OK(close(l));
		unlink("sock");
	}
}

TEST(the_file_of_a_socket)
{
	struct stat st;
	int l = listener(SOCK_STREAM, "sock", 1);

	OK(stat("sock", &st));
	CHECK(S_ISSOCK(st.st_mode));
	EQ(st.st_mode & 07777, 0755);
	FAILS(open("sock", O_RDWR), ENXIO);
	OK(rename("sock", "other"));
	OK(connect_to(make(SOCK_STREAM), "other"));
	OK(close(l));
	FAILS(connect_to(make(SOCK_STREAM), "other"), ECONNREFUSED);
	FAILS(connect_to(make(SOCK_STREAM), "sock"), ENOENT);
	WRITE_FILE("plain", "x");
	FAILS(connect_to(make(SOCK_STREAM), "plain"), ECONNREFUSED);
	OK(mkdir("d", 0755));
	FAILS(connect_to(make(SOCK_STREAM), "d/none"), ENOENT);
}

TEST(errors_of_bind)
{
	int a = make(SOCK_STREAM), b = make(SOCK_STREAM);
	socklen_t size = name("sock");

	FAILS(listen(a, 1), EINVAL);
	OK(bind(a, (struct sockaddr *)&addr, size));
	FAILS(bind(b, (struct sockaddr *)&addr, size), EADDRINUSE);
	size = name("two");
	FAILS(bind(a, (struct sockaddr *)&addr, size), EINVAL);
	size = name("@compat-used");
	OK(bind(b, (struct sockaddr *)&addr, size));
	FAILS(bind(make(SOCK_STREAM), (struct sockaddr *)&addr, size), EADDRINUSE);
	FAILS(bind(make(SOCK_STREAM), (struct sockaddr *)&addr, 1), EINVAL);
	FAILS(bind(make(SOCK_STREAM), (struct sockaddr *)&addr, 300), EINVAL);
	addr.sun_family = AF_INET;
	FAILS(bind(make(SOCK_STREAM), (struct sockaddr *)&addr, size), EINVAL);
	FAILS(connect_to(a, "sock"), ECONNREFUSED);
	FAILS(accept(a, NULL, NULL), EINVAL);
	FAILS(accept(make(SOCK_DGRAM), NULL, NULL), EOPNOTSUPP);
	FAILS(listen(make(SOCK_DGRAM), 1), EOPNOTSUPP);
	FAILS(connect_to(make(SOCK_DGRAM), "sock"), EPROTOTYPE);
}

TEST(names_are_told)
{
	struct sockaddr_un got;
	socklen_t size = sizeof(got);
	int l = listener(SOCK_STREAM, "sock", 1), c = make(SOCK_STREAM), s;

	FAILS(getpeername(c, (struct sockaddr *)&got, &size), ENOTCONN);
	OK(connect_to(c, "sock"));
	OK(getpeername(c, (struct sockaddr *)&got, &size));
	EQ(size, HEAD + 5);
	CHECK(!strcmp(got.sun_path, "sock"));
	size = sizeof(got);
	s = OK(accept(l, (struct sockaddr *)&got, &size));
	EQ(size, HEAD);
	size = sizeof(got);
	OK(getsockname(s, (struct sockaddr *)&got, &size));
	EQ(size, HEAD + 5);
	FAILS(connect_to(c, "sock"), EISCONN);
	size = HEAD;
	addr = (struct sockaddr_un){.sun_family = AF_UNIX};
	c = make(SOCK_DGRAM);
	OK(bind(c, (struct sockaddr *)&addr, size));
	size = sizeof(got);
	OK(getsockname(c, (struct sockaddr *)&got, &size));
	EQ(size, HEAD + 6);
	EQ(got.sun_path[0], '\0');
}

TEST(a_full_backlog)
{
	int l = listener(SOCK_STREAM, "sock", 0), c, status;
	pid_t pid;

	OK(connect_to(make(SOCK_STREAM), "sock"));
	c = OK(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
	FAILS(connect_to(c, "sock"), EAGAIN);
	pid = OK(fork());
	if (pid == 0) {
		OK(connect_to(make(SOCK_STREAM), "sock"));
		_exit(0);
	}
	OK(accept(l, NULL, NULL));
	OK(accept(l, NULL, NULL));
	EQ(OK(waitpid(pid, &status, 0)), pid);
	EQ(status, 0);
}

TEST(nobody_accepts)
{
	int l = listener(SOCK_STREAM, "sock", 4), c = make(SOCK_STREAM);
	char buf[1];

	OK(connect_to(c, "sock"));
	OK(close(l));
	FAILS(read(c, buf, 1), ECONNRESET);
	EQ(read(c, buf, 1), 0);
	FAILS(send(c, "x", 1, MSG_NOSIGNAL), EPIPE);
}

TEST(poll_of_a_listener)
{
	struct pollfd f = {.events = POLLIN | POLLOUT};
	int c = make(SOCK_STREAM), value = 0;
	socklen_t size = sizeof(value);

	f.fd = c;
	EQ(poll(&f, 1, 0), 1);
	EQ(f.revents, POLLOUT | POLLHUP);
	f.fd = listener(SOCK_STREAM, "sock", 4);
	EQ(poll(&f, 1, 0), 0);
	OK(connect_to(c, "sock"));
	EQ(poll(&f, 1, 0), 1);
	EQ(f.revents, POLLIN);
	OK(getsockopt(f.fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &size));
	EQ(value, 1);
	OK(fcntl(f.fd, F_SETFL, O_NONBLOCK));
	OK(accept4(f.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
	FAILS(accept(f.fd, NULL, NULL), EAGAIN);
}

TEST(a_waiting_accept_is_woken)
{
	int l = listener(SOCK_STREAM, "sock", 4), s;
	char buf[4];
	pid_t pid = OK(fork());

	if (pid == 0) {
		int c = make(SOCK_STREAM);

		OK(connect_to(c, "sock"));
		EQ(write(c, "ok", 2), 2);
		_exit(0);
	}
	s = OK(accept(l, NULL, NULL));
	EQ(read(s, buf, 4), 2);
	WAIT_EXIT(pid, 0);
}

TEST(datagrams)
{
	struct sockaddr_un from;
	socklen_t size = name("a"), from_size = sizeof(from);
	int a = make(SOCK_DGRAM), b = make(SOCK_DGRAM);
	char buf[8];

	OK(bind(a, (struct sockaddr *)&addr, size));
	FAILS(send(b, "x", 1, 0), ENOTCONN);
	EQ(sendto(b, "one", 3, 0, (struct sockaddr *)&addr, size), 3);
	EQ(recvfrom(a, buf, 8, 0, (struct sockaddr *)&from, &from_size), 3);
	EQ(from_size, 0);
	size = name("b");
	OK(bind(b, (struct sockaddr *)&addr, size));
	OK(connect_to(b, "a"));
	EQ(send(b, "two", 3, 0), 3);
	from_size = sizeof(from);
	EQ(recvfrom(a, buf, 8, 0, (struct sockaddr *)&from, &from_size), 3);
	EQ(from_size, HEAD + 2);
	CHECK(!strcmp(from.sun_path, "b"));
	EQ(sendto(a, "back", 4, 0, (struct sockaddr *)&from, from_size), 4);
	EQ(recv(b, buf, 8, 0), 4);
	size = name("none");
	FAILS(sendto(a, "x", 1, 0, (struct sockaddr *)&addr, size), ENOENT);
	OK(close(a));
	FAILS(send(b, "x", 1, 0), ECONNREFUSED);
}

TEST(a_full_receiver_of_datagrams)
{
	static char block[4096];
	socklen_t size = name("a");
	int a = make(SOCK_DGRAM);
	pid_t pid;

	OK(bind(a, (struct sockaddr *)&addr, size));
	pid = OK(fork());
	if (pid == 0) {
		int b = make(SOCK_DGRAM);

		for (int i = 0; i < 200; i++)
			EQ(sendto(b, block, sizeof(block), 0, (struct sockaddr *)&addr, size),
			   sizeof(block));
		_exit(0);
	}
	for (int i = 0; i < 200; i++)
		EQ(recv(a, block, sizeof(block), 0), sizeof(block));
	WAIT_EXIT(pid, 0);
}

TEST(many_messages)
{
	struct iovec out[3] = {{(char *)"a", 1}, {(char *)"bb", 2}, {(char *)"ccc", 3}}, in[4];
	struct mmsghdr msgs[4] = {{{0}, 0}};
	char bufs[4][8];
	int p[2];

	OK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p));
	for (int i = 0; i < 3; i++)
		msgs[i].msg_hdr = (struct msghdr){.msg_iov = &out[i], .msg_iovlen = 1};
	EQ(sendmmsg(p[0], msgs, 3, 0), 3);
	EQ(msgs[2].msg_len, 3);
	for (int i = 0; i < 4; i++) {
		in[i] = (struct iovec){bufs[i], 8};
		msgs[i].msg_hdr = (struct msghdr){.msg_iov = &in[i], .msg_iovlen = 1};
	}
	EQ(recvmmsg(p[1], msgs, 4, MSG_WAITFORONE, NULL), 3);
	EQ(msgs[1].msg_len, 2);
	MEM_EQ(bufs[2], "ccc", 3);
	FAILS(recvmmsg(p[1], msgs, 4, MSG_DONTWAIT, NULL), EAGAIN);
}

TEST(other_families)
{
	FAILS(socket(AF_UNIX, SOCK_RDM, 0), ESOCKTNOSUPPORT);
	FAILS(socket(AF_UNIX, SOCK_STREAM, 55), EPROTONOSUPPORT);
	FAILS(socket(1000, SOCK_STREAM, 0), EAFNOSUPPORT);
}
