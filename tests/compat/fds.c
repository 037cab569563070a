/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors: copies, flags, closing, pipes, inheritance. */
#include "compat.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

TEST(dup_shares_the_position)
{
	char buf[4];
	int a, b;

	WRITE_FILE("f", "abcdef");
	a = OK(open("f", O_RDONLY));
	b = OK(dup(a));
	EQ(read(a, buf, 2), 2);
	EQ(read(b, buf, 2), 2);
	MEM_EQ(buf, "cd", 2);
	OK(close(a));
	EQ(read(b, buf, 2), 2);
	MEM_EQ(buf, "ef", 2);
	FAILS(dup(a), EBADF);
}

TEST(dup2_and_dup3)
{
	int fd = OK(open("/", O_RDONLY));

	EQ(OK(dup2(fd, 50)), 50);
	EQ(OK(fcntl(50, F_GETFD)), 0);
	EQ(OK(dup2(fd, fd)), fd);
	EQ(OK(dup3(fd, 50, O_CLOEXEC)), 50);
	EQ(OK(fcntl(50, F_GETFD)), FD_CLOEXEC);
	FAILS(dup3(fd, fd, 0), EINVAL);
	FAILS(dup3(fd, 51, O_APPEND), EINVAL);
	FAILS(dup2(fd, -1), EBADF);
	FAILS(dup2(49, 51), EBADF);
}

TEST(dup_respects_nofile)
{
	struct rlimit limit = {16, 16};

	OK(setrlimit(RLIMIT_NOFILE, &limit));
	for (int i = 0; i < 16; i++)
		if (dup(1) < 0)
			break;
	FAILS(dup(1), EMFILE);
	FAILS(open("/", O_RDONLY), EMFILE);
	FAILS(fcntl(1, F_DUPFD, 16), EINVAL);
	FAILS(dup2(1, 16), EBADF);
}

TEST(fcntl_dupfd)
{
	int fd = OK(open("/", O_RDONLY));

	EQ(OK(fcntl(fd, F_DUPFD, 100)), 100);
	EQ(OK(fcntl(fd, F_DUPFD, 100)), 101);
	EQ(OK(fcntl(fd, F_DUPFD_CLOEXEC, 100)), 102);
	EQ(OK(fcntl(102, F_GETFD)), FD_CLOEXEC);
	EQ(OK(fcntl(101, F_GETFD)), 0);
	FAILS(fcntl(fd, F_DUPFD, -1), EINVAL);
}

TEST(fcntl_flags)
{
	int fd = OK(open("f", O_RDWR | O_CREAT | O_CLOEXEC, 0644));

	EQ(OK(fcntl(fd, F_GETFD)), FD_CLOEXEC);
	OK(fcntl(fd, F_SETFD, 0));
	EQ(OK(fcntl(fd, F_GETFD)), 0);
	EQ(OK(fcntl(fd, F_GETFL)) & (O_ACCMODE | O_APPEND | O_NONBLOCK), O_RDWR);
	OK(fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK | O_WRONLY | O_EXCL));
	EQ(OK(fcntl(fd, F_GETFL)) & (O_ACCMODE | O_APPEND | O_NONBLOCK | O_EXCL),
	   O_RDWR | O_APPEND | O_NONBLOCK);
	FAILS(fcntl(fd, 9999, 0), EINVAL);
	FAILS(fcntl(-1, F_GETFD), EBADF);
}

TEST(fcntl_owner)
{
	int fds[2];

	OK(pipe(fds));
	OK(fcntl(fds[0], F_SETOWN, getpid()));
	EQ(fcntl(fds[0], F_GETOWN), getpid());
	FAILS(fcntl(fds[0], F_SETOWN, INT32_MIN), EINVAL);
	EQ(fcntl(fds[0], F_GETOWN), getpid());
}

TEST(close_twice)
{
	int fd = OK(open("/", O_RDONLY));

	OK(close(fd));
	FAILS(close(fd), EBADF);
}

TEST(close_range_closes_or_marks)
{
	for (int fd = 60; fd < 70; fd++)
		OK(dup2(1, fd));
	OK(syscall(SYS_close_range, 62, 64, 0));
	FAILS(fcntl(63, F_GETFD), EBADF);
	EQ(OK(fcntl(61, F_GETFD)), 0);
	OK(syscall(SYS_close_range, 66, ~0u, 4)); /* CLOSE_RANGE_CLOEXEC */
	EQ(OK(fcntl(69, F_GETFD)), FD_CLOEXEC);
	EQ(OK(fcntl(65, F_GETFD)), 0);
	FAILS(syscall(SYS_close_range, 5, 4, 0), EINVAL);
}

TEST(pipe_moves_bytes)
{
	char buf[8];
	int fds[2];

	OK(pipe(fds));
	EQ(write(fds[1], "hello", 5), 5);
	EQ(read(fds[0], buf, 3), 3);
	EQ(read(fds[0], buf + 3, 5), 2);
	MEM_EQ(buf, "hello", 5);
	OK(close(fds[1]));
	EQ(read(fds[0], buf, 1), 0);
	FAILS(write(fds[0], "x", 1), EBADF);
	FAILS(lseek(fds[0], 0, SEEK_SET), ESPIPE);
}

TEST(pipe_without_readers)
{
	int fds[2];

	OK(pipe(fds));
	signal(SIGPIPE, SIG_IGN);
	OK(close(fds[0]));
	FAILS(write(fds[1], "x", 1), EPIPE);
}

TEST(sigpipe_kills)
{
	int fds[2], status;
	pid_t pid = OK(fork());

	if (pid == 0) {
		OK(pipe(fds));
		OK(close(fds[0]));
		(void)!write(fds[1], "x", 1);
		_exit(0);
	}
	EQ(OK(waitpid(pid, &status, 0)), pid);
	CHECK(WIFSIGNALED(status));
	EQ(WTERMSIG(status), SIGPIPE);
}

TEST(pipe_nonblocking)
{
	static char block[65536];
	char buf[1];
	ssize_t n;
	size_t total = 0;
	int fds[2];

	OK(pipe2(fds, O_NONBLOCK | O_CLOEXEC));
	FAILS(read(fds[0], buf, 1), EAGAIN);
	while ((n = write(fds[1], block, 4096)) > 0)
		total += (size_t)n;
	EQ(errno, EAGAIN);
	EQ(total, 65536);
	EQ(OK(fcntl(fds[1], F_GETPIPE_SZ)), 65536);
	FAILS(write(fds[1], block, 1), EAGAIN);
	EQ(read(fds[0], block, 4096), 4096);
	EQ(write(fds[1], block, 4096), 4096);
	FAILS(pipe2(fds, 0x40000000), EINVAL);
}

TEST(pipe_blocks_until_written)
{
	char buf[4];
	int fds[2];
	pid_t pid;

	OK(pipe(fds));
	pid = OK(fork());
	if (pid == 0) {
		EQ(write(fds[1], "abc", 3), 3);
		_exit(0);
	}
	OK(close(fds[1]));
	EQ(read(fds[0], buf, 4), 3);
	EQ(read(fds[0], buf, 4), 0);
	WAIT_EXIT(pid, 0);
}

TEST(pipe_large_write_blocks_and_completes)
{
	static char out[300000], in[300000];
	size_t done = 0;
	int fds[2];
	pid_t pid;

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i % 251);
	OK(pipe(fds));
	pid = OK(fork());
	if (pid == 0) {
		EQ(write(fds[1], out, sizeof(out)), sizeof(out));
		_exit(0);
	}
	OK(close(fds[1]));
	while (done < sizeof(in)) {
		ssize_t n = OK(read(fds[0], in + done, sizeof(in) - done));

		CHECK(n > 0);
		done += (size_t)n;
	}
	MEM_EQ(in, out, sizeof(in));
	WAIT_EXIT(pid, 0);
}

TEST(pipe_poll_and_fionread)
{
	struct pollfd p;
	int fds[2], n = -1;

	OK(pipe(fds));
	p = (struct pollfd){.fd = fds[0], .events = POLLIN};
	EQ(poll(&p, 1, 0), 0);
	EQ(write(fds[1], "abc", 3), 3);
	EQ(poll(&p, 1, 0), 1);
	EQ(p.revents, POLLIN);
	OK(ioctl(fds[0], FIONREAD, &n));
	EQ(n, 3);
	OK(close(fds[1]));
	EQ(poll(&p, 1, 0), 1);
	EQ(p.revents, POLLIN | POLLHUP);
	p = (struct pollfd){.fd = 999, .events = POLLIN};
	EQ(poll(&p, 1, 0), 1);
	EQ(p.revents, POLLNVAL);
	p.fd = -1;
	EQ(poll(&p, 1, 0), 0);
}

TEST(fifo_meets)
{
	char buf[4];
	pid_t pid;
	int fd;

	OK(mkfifo("fifo", 0644));
	pid = OK(fork());
	if (pid == 0) {
		fd = OK(open("fifo", O_WRONLY));
		EQ(write(fd, "abc", 3), 3);
		_exit(0);
	}
	fd = OK(open("fifo", O_RDONLY));
	EQ(read(fd, buf, 3), 3);
	MEM_EQ(buf, "abc", 3);
	WAIT_EXIT(pid, 0);
	EQ(read(fd, buf, 3), 0);
}

TEST(eventfd_counts)
{
	uint64_t value = 5;
	int fd = OK(eventfd(2, EFD_NONBLOCK));

	EQ(write(fd, &value, 8), 8);
	EQ(read(fd, &value, 8), 8);
	EQ(value, 7);
	FAILS(read(fd, &value, 8), EAGAIN);
	FAILS(read(fd, &value, 4), EINVAL);
	value = ~0ull;
	FAILS(write(fd, &value, 8), EINVAL);
	fd = OK(eventfd(2, EFD_NONBLOCK | EFD_SEMAPHORE));
	EQ(read(fd, &value, 8), 8);
	EQ(value, 1);
}

TEST(fork_copies_the_table)
{
	char buf[4];
	pid_t pid;
	int fd;

	WRITE_FILE("f", "abcdef");
	fd = OK(open("f", O_RDONLY));
	pid = OK(fork());
	if (pid == 0) {
		EQ(read(fd, buf, 2), 2);
		OK(close(fd));
		_exit(0);
	}
	WAIT_EXIT(pid, 0);
	EQ(read(fd, buf, 2), 2); /* the table is a copy, the description is not */
	MEM_EQ(buf, "cd", 2);
}

TEST(proc_self_fd)
{
	char path[64], target[256];
	ssize_t n;
	int fd;

	WRITE_FILE("f", "abc");
	fd = OK(open("f", O_RDONLY));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = OK(readlink(path, target, sizeof(target) - 1));
	target[n] = '\0';
	CHECK(n > 2 && strcmp(target + n - 2, "/f") == 0);
	EQ(read(OK(open(path, O_RDONLY)), target, 3), 3);
	MEM_EQ(target, "abc", 3);
}

TEST(pipe_opened_again_through_proc)
{
	char path[64], buf[8] = "";
	int fds[2], again;

	OK(pipe(fds));
	OK(write(fds[1], "x", 1));
	OK(close(fds[1]));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
	/* Unlike a fifo it waits for no writer. */
	again = OK(open(path, O_RDONLY));
	EQ(read(again, buf, 8), 1);
	EQ(read(again, buf, 8), 0);
	OK(close(OK(open(path, O_WRONLY | O_NONBLOCK))));
}
