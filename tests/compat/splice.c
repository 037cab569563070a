/* SPDX-License-Identifier: Apache-2.0 */
/* Moving data between descriptors: splice, tee, vmsplice, sendfile, copy_file_range. And timerfd.
 */
#include <poll.h>
#include <sys/sendfile.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

#include "compat.h"

TEST(splice_file_to_pipe_to_file)
{
	int in, out, fds[2];
	char buf[16] = "";
	loff_t at = 2;

	WRITE_FILE("in", "0123456789");
	in = OK(open("in", O_RDONLY));
	out = OK(open("out", O_RDWR | O_CREAT, 0644));
	OK(pipe(fds));
	EQ(splice(in, &at, fds[1], NULL, 5, 0), 5);
	EQ(at, 7);
	EQ(lseek(in, 0, SEEK_CUR), 0);
	EQ(splice(fds[0], NULL, out, NULL, 100, 0), 5);
	EQ(pread(out, buf, 16, 0), 5);
	STR_EQ(buf, "23456");
	FAILS(splice(in, NULL, out, NULL, 1, 0), EINVAL);
	FAILS(splice(in, NULL, fds[1], &at, 1, 0), ESPIPE);
	FAILS(splice(fds[0], NULL, out, NULL, 1, SPLICE_F_NONBLOCK), EAGAIN);
	EQ(splice(in, NULL, fds[1], NULL, 0, 0), 0);
	OK(close(fds[1]));
	EQ(splice(fds[0], NULL, out, NULL, 1, 0), 0);
}

TEST(tee_leaves_the_data)
{
	int a[2], b[2];
	char buf[8] = "";

	OK(pipe(a));
	OK(pipe(b));
	OK(write(a[1], "hello", 5));
	EQ(tee(a[0], b[1], 100, 0), 5);
	EQ(read(a[0], buf, 8), 5);
	EQ(read(b[0], buf, 8), 5);
	STR_EQ(buf, "hello");
	FAILS(tee(a[0], a[1], 1, 0), EINVAL);
}

TEST(vmsplice_writes_memory)
{
	struct iovec v[2] = {{(char *)"ab", 2}, {(char *)"cd", 2}};
	char buf[8] = "";
	int fds[2];

	OK(pipe(fds));
	EQ(vmsplice(fds[1], v, 2, 0), 4);
	EQ(read(fds[0], buf, 8), 4);
	STR_EQ(buf, "abcd");
}

TEST(sendfile_to_a_pipe_waits_for_room)
{
	static char block[100000];
	int in = OK(open("in", O_RDWR | O_CREAT, 0644)), fds[2];
	off_t at = 0;
	pid_t pid;

	memset(block, 'x', sizeof(block));
	EQ(write(in, block, sizeof(block)), sizeof(block));
	OK(pipe(fds));
	pid = OK(fork());
	if (pid == 0) {
		size_t got = 0;
		ssize_t n;

		close(fds[1]);
		while ((n = read(fds[0], block, 1000)) > 0)
			got += (size_t)n;
		_exit(got == sizeof(block) ? 0 : 1);
	}
	while ((size_t)at < sizeof(block))
		OK(sendfile(fds[1], in, &at, sizeof(block)));
	OK(close(fds[1]));
	WAIT_EXIT(pid, 0);
}

TEST(copy_file_range_copies)
{
	int in, out;
	char buf[16] = "";
	off_t from = 1, to = 3;

	WRITE_FILE("in", "0123456789");
	in = OK(open("in", O_RDONLY));
	out = OK(open("out", O_RDWR | O_CREAT, 0644));
	EQ(copy_file_range(in, &from, out, &to, 4, 0), 4);
	EQ(from, 5);
	EQ(to, 7);
	EQ(pread(out, buf, 16, 0), 7);
	MEM_EQ(buf,
	       "\0\0\0"
	       "1234",
	       7);
	FAILS(copy_file_range(in, NULL, in, NULL, 4, 0), EBADF);
	FAILS(copy_file_range(in, NULL, out, NULL, 4, 1), EINVAL);
}

static char page_of(int i)
{
	return (char)('a' + i % 26);
}

/* Between files: every way to say where, ends, holes, and what others see of it. */
TEST(files_to_files)
{
	static char buf[40 * 4096], want[40 * 4096];
	int in = OK(open("in", O_RDWR | O_CREAT, 0600)),
	    out = OK(open("out", O_RDWR | O_CREAT, 0600));
	int reader = OK(open("out", O_RDONLY)), append = OK(open("out", O_WRONLY | O_APPEND));
	loff_t from = 4096, to = 3;
	off_t at = 0;
	struct stat st;

	for (size_t i = 0; i < sizeof(want); i++)
		want[i] = page_of((int)(i / 4096));
	EQ(write(in, want, sizeof(want)), sizeof(want));
	EQ(sendfile(out, in, &at, 0), 0);
	EQ(sendfile(out, in, NULL, 100), 0); /* at its end */
	EQ(sendfile(out, in, &at, sizeof(want) + 1000), sizeof(want));
	EQ(at, sizeof(want));
	EQ(lseek(out, 0, SEEK_CUR), sizeof(want));
	EQ(read(reader, buf, sizeof(buf)), sizeof(buf));
	EQ(memcmp(buf, want, sizeof(want)), 0);
	EQ(copy_file_range(in, &from, out, &to, 5000, 0), 5000);
	EQ(from, 9096);
	EQ(to, 5003);
	EQ(pread(reader, buf, 5010, 0), 5010);
	EQ(memcmp(buf, "aaa", 3), 0);
	EQ(memcmp(buf + 3, want + 4096, 5000), 0);
	EQ(buf[5003], page_of(1));
	/* Beyond the end of the target: the file grows, with a hole. */
	from = sizeof(want) - 10;
	to = 50 * 4096;
	EQ(copy_file_range(in, &from, out, &to, 4096, 0), 10);
	EQ(copy_file_range(in, &from, out, &to, 4096, 0), 0);
	OK(fstat(reader, &st));
	EQ(st.st_size, 50 * 4096 + 10);
	EQ(pread(reader, buf, 100, 50 * 4096 - 5), 15);
	EQ(memcmp(buf, "\0\0\0\0\0nnnnnnnnnn", 15), 0);
	FAILS(copy_file_range(in, NULL, append, NULL, 10, 0), EBADF);
	FAILS(copy_file_range(reader, NULL, reader, NULL, 10, 0), EBADF);
	/* Within one file. */
	from = 0;
	to = 4096;
	EQ(copy_file_range(in, &from, in, &to, 4096, 0), 4096);
	EQ(pread(in, buf, 8192, 0), 8192);
	EQ(buf[8191], 'a');
	from = 0;
	to = 100;
	FAILS(copy_file_range(in, &from, in, &to, 4096, 0), EINVAL);
}

TEST(timerfd_expires)
{
	struct itimerspec its = {.it_value = {0, 10000000}};
	int fd = OK(timerfd_create(CLOCK_MONOTONIC, 0));
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t n;

	EQ(poll(&p, 1, 0), 0);
	OK(timerfd_settime(fd, 0, &its, NULL));
	EQ(poll(&p, 1, 5000), 1);
	EQ(read(fd, &n, 8), 8);
	EQ(n, 1);
	FAILS(read(fd, &n, 4), EINVAL);
	OK(timerfd_gettime(fd, &its));
	EQ(its.it_value.tv_sec, 0);
	EQ(its.it_value.tv_nsec, 0);
}

TEST(timerfd_repeats)
{
	struct itimerspec its = {.it_interval = {0, 5000000}, .it_value = {3600, 0}}, old;
	int fd = OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t n, total = 0;

	OK(timerfd_settime(fd, 0, &its, NULL));
	FAILS(read(fd, &n, 8), EAGAIN);
	its.it_value = its.it_interval;
	OK(timerfd_settime(fd, 0, &its, NULL));
	usleep(30000);
	while (total < 8) {
		EQ(poll(&p, 1, 5000), 1);
		EQ(read(fd, &n, 8), 8);
		total += n;
	}
	its = (struct itimerspec){{0, 0}, {0, 0}};
	OK(timerfd_settime(fd, 0, &its, &old));
	EQ(old.it_interval.tv_nsec, 5000000);
	EQ(poll(&p, 1, 20), 0);
	its.it_value.tv_nsec = 1000000000;
	FAILS(timerfd_settime(fd, 0, &its, NULL), EINVAL);
	FAILS(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0), EINVAL);
}

TEST(timerfd_absolute_times)
{
	struct itimerspec its = {.it_value = {1, 0}};
	int fd = OK(timerfd_create(CLOCK_REALTIME, 0));
	uint64_t n;

	/* Long past. */
	OK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &its, NULL));
	EQ(read(fd, &n, 8), 8);
	CHECK(n == 1);
}
