/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/hostcall.h"
#include "base/log.h"
#include "base/mem.h"

void fd_closep(const int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

ssize_t fd_read_all(int fd, void *buf, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = read(fd, (char *)buf + done, size - done);

		if (n == 0)
			break;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			done += (size_t)n;
	}
	return (ssize_t)done;
}

ssize_t fd_write_all(int fd, const void *buf, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = write(fd, (const char *)buf + done, size - done);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			done += (size_t)n;
	}
	return (ssize_t)done;
}

int fd_read_file(int dirfd, const char *path, size_t max, char **ret_text, size_t *ret_size)
{
	cleanup_fd int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	size_t size = 0, capacity = 4096;
	char *text;

	if (fd < 0)
		return -errno;
	text = xmalloc(capacity + 1);
	for (;;) {
		ssize_t n = fd_read_all(fd, text + size, capacity - size);

		if (n < 0) {
			free(text);
			return (int)n;
		}
		size += (size_t)n;
		if (size < capacity)
			break;
		if (size > max) {
			free(text);
			return -EFBIG;
		}
		capacity *= 2;
		text = xrealloc(text, capacity + 1);
	}
	if (size > max) {
		free(text);
		return -EFBIG;
	}
	text[size] = '\0';
	*ret_text = text;
	if (ret_size)
		*ret_size = size;
	return 0;
}

ssize_t fd_send(int sock, const void *buf, size_t size, const int *fds, size_t fd_count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(FD_PASS_MAX * sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = (void *)(uintptr_t)buf, .iov_len = size};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	check(fd_count <= FD_PASS_MAX);
	if (fd_count) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, fd_count * sizeof(int));
	}
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* Takes the descriptors out of a received message; closes those beyond fd_max. */
static size_t take_fds(struct msghdr *msg, int *fds, size_t fd_max, size_t *ret_count)
{
	size_t total = 0, kept = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			total++;
			if (kept < fd_max)
				fds[kept++] = fd;
			else
				close(fd);
		}
	}
	*ret_count = kept;
	return total;
}

ssize_t fd_recv(int sock, void *buf, size_t size, int *fds, size_t fd_max, size_t *ret_fd_count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(FD_PASS_MAX * sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = buf, .iov_len = size};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control.bytes)};
	size_t kept = 0, total;
	ssize_t n;

	for (size_t i = 0; i < fd_max; i++)
		fds[i] = -1;
	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	total = take_fds(&msg, fds, fd_max, &kept);
	if (total > fd_max || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		/* With room in the control buffer, what was cut is what found no free number. */
		bool no_room = total < fd_max && !(msg.msg_flags & MSG_TRUNC);

		for (size_t i = 0; i < kept; i++) {
			close(fds[i]);
			fds[i] = -1;
		}
		return no_room ? -EMFILE : -EBADMSG;
	}
	if (ret_fd_count)
		*ret_fd_count = kept;
	return n;
}

unsigned fd_raise_limit(unsigned prepared)
{
	struct rlimit lim = {.rlim_cur = 1024, .rlim_max = 1024};
	int fd;

	getrlimit(RLIMIT_NOFILE, &lim);
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
	fd = fcntl(0, F_DUPFD_CLOEXEC, (int)prepared - 1);
	if (fd >= 0)
		close(fd);
	return lim.rlim_cur > 1u << 20 ? 1u << 20 : (unsigned)lim.rlim_cur;
}

/* Written, then opened for reading alone: what is open for writing can't be executed. */
int fd_program_file(int dir_fd, const char *name, const void *bytes, size_t size)
{
	int fd = openat(dir_fd, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0500), program;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = fd_write_all(fd, bytes, size);
	program = n < 0 ? (int)n : openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	if (n >= 0 && program < 0)
		program = -errno;
	unlinkat(dir_fd, name, 0);
	close(fd);
	return program;
}

int fd_sealed_memfd(const char *name, const void *bytes, size_t size)
{
	int fd = host_memfd(name, HOST_MEMFD_PROGRAM), err;
	ssize_t n;

	if (fd < 0)
		return fd;
	n = fd_write_all(fd, bytes, size);
	if (n >= 0) {
		err = host_seal(fd, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
		n = err == -EINVAL ? 0 : err;
	}
	if (n < 0) {
		close(fd);
		return (int)n;
	}
	return fd;
}
