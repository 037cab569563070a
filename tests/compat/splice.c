/* SPDX-License-Identifier: Apache-2.0 */
/* Moving data between descriptors: splice, tee, vmsplice, sendfile, copy_file_range. And timerfd.
 */
#include <poll.h>
#include <sys/mman.h>
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

/* ---- what is in a pipe and in a file's cache at once ---- */

#define PIECE 65536

static char text[2 * PIECE], got[2 * PIECE];

/* A file that was read often. */
static int cached_file(const char *name, size_t size)
{
	int fd = OK(open(name, O_RDWR | O_CREAT | O_TRUNC, 0644));

	for (size_t i = 0; i < size; i++)
		text[i] = (char)(i * 31 / 7);
	EQ(write(fd, text, size), size);
	for (int i = 0; i < 3; i++)
		EQ(pread(fd, got, size, 0), size);
	return fd;
}

static void is_in_pipe(int fd, const char *want, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = OK(read(fd, got, size - done < 10000 ? size - done : 10000));

		CHECK(n > 0 && !memcmp(got, want + done, (size_t)n));
		done += (size_t)n;
	}
}

static void into_pipe(int fd, loff_t at, int pipe_fd, size_t size)
{
	loff_t to = at + (loff_t)size;

	while (at < to)
		CHECK(OK(splice(fd, &at, pipe_fd, NULL, (size_t)(to - at), 0)) > 0);
}

/* To nothing: of a page, or a larger unit of the cache, Linux makes the rest zeros. */
TEST(a_file_that_is_cut_off_stays_in_the_pipe)
{
	int fd = cached_file("f", PIECE), fds[2];

	OK(pipe(fds));
	into_pipe(fd, 0, fds[1], PIECE);
	OK(ftruncate(fd, 0));
	OK(ftruncate(fd, PIECE));
	is_in_pipe(fds[0], text, PIECE);
	EQ(pread(fd, got, PIECE, 0), PIECE);
	EQ(got[PIECE - 1], 0);
}

TEST(a_hole_does_not_reach_the_pipe)
{
	int fd = cached_file("f", PIECE), fds[2];

	OK(pipe(fds));
	into_pipe(fd, 0, fds[1], PIECE);
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PIECE) == 0) {
		EQ(pread(fd, got, 8, 4096), 8);
		EQ(got[7], 0);
	}
	is_in_pipe(fds[0], text, PIECE);
}

TEST(a_deleted_file_stays_in_the_pipe)
{
	int fd = cached_file("f", PIECE), fds[2];

	OK(pipe(fds));
	into_pipe(fd, 0, fds[1], PIECE);
	OK(unlink("f"));
	OK(close(fd));
	is_in_pipe(fds[0], text, PIECE);
}

TEST(more_behind_a_file)
{
	int fd = cached_file("f", PIECE), fds[2], more[2];

	OK(pipe(fds));
	OK(pipe(more));
	EQ(fcntl(fds[1], F_SETPIPE_SZ, 4 * PIECE), 4 * PIECE);
	into_pipe(fd, 5, fds[1], 1000);
	EQ(write(fds[1], "hello", 5), 5);
	into_pipe(fd, 0, fds[1], 30000);
	is_in_pipe(fds[0], text + 5, 1000);
	is_in_pipe(fds[0], "hello", 5);
	is_in_pipe(fds[0], text, 30000);
	into_pipe(fd, 0, fds[1], 30000);
	EQ(tee(fds[0], more[1], 30000, 0), 30000);
	is_in_pipe(fds[0], text, 100);
	EQ(splice(fds[0], NULL, more[1], NULL, 1000, 0), 1000);
	is_in_pipe(fds[0], text + 1100, 28900);
	is_in_pipe(more[0], text, 30000);
	is_in_pipe(more[0], text + 100, 1000);
	into_pipe(fd, 0, fds[1], 20000);
	EQ(fcntl(fds[1], F_SETPIPE_SZ, PIECE), PIECE);
	is_in_pipe(fds[0], text, 20000);
	FAILS(splice(fds[0], NULL, more[1], NULL, 1, SPLICE_F_NONBLOCK), EAGAIN);
}

TEST(through_pipes_from_file_to_file)
{
	int fd = cached_file("f", 2 * PIECE), out = OK(open("g", O_RDWR | O_CREAT | O_TRUNC, 0644));
	int fds[2], next[2];

	OK(pipe(fds));
	OK(pipe(next));
	EQ(lseek(fd, 0, SEEK_SET), 0);
	for (int left = 2 * PIECE; left;) {
		ssize_t n = OK(splice(fd, NULL, fds[1], NULL, PIECE, 0)), m;

		CHECK(n > 0);
		left -= n;
		for (; n; n -= m) {
			m = OK(splice(fds[0], NULL, next[1], NULL, (size_t)n, 0));
			for (ssize_t k = m; k;)
				k -= OK(splice(next[0], NULL, out, NULL, (size_t)k, 0));
		}
	}
	EQ(lseek(fd, 0, SEEK_CUR), 2 * PIECE);
	EQ(pread(out, got, sizeof(got), 0), sizeof(got));
	CHECK(!memcmp(got, text, sizeof(got)));
	EQ(sendfile(fds[1], fd, &(off_t){7}, 60000), 60000);
	EQ(splice(fds[0], NULL, fd, &(loff_t){0}, 60000, 0), 60000);
	EQ(pread(fd, got, 60000, 0), 60000);
	CHECK(!memcmp(got, text + 7, 60000));
}

TEST(nowhere)
{
	int fd = cached_file("f", PIECE), null = OK(open("/dev/null", O_WRONLY)), fds[2];

	OK(pipe(fds));
	for (int i = 0; i < 100; i++) {
		into_pipe(fd, 0, fds[1], PIECE);
		for (int left = PIECE; left;)
			left -= OK(splice(fds[0], NULL, null, NULL, (size_t)left, 0));
	}
}

#define MANY 400

TEST(many_pipes_with_files)
{
	static int fds[MANY][2];
	int fd = cached_file("f", PIECE);

	for (int i = 0; i < MANY; i++) {
		OK(pipe(fds[i]));
		into_pipe(fd, i * 10, fds[i][1], 20000);
	}
	OK(ftruncate(fd, 0));
	for (int i = 0; i < MANY; i++) {
		is_in_pipe(fds[i][0], text + (size_t)i * 10, 20000);
		OK(close(fds[i][0]));
		OK(close(fds[i][1]));
	}
}

/* Bytes are the file's, or zeros of when it was cut off. */
TEST(cut_off_while_it_is_spliced)
{
	int fd = cached_file("f", PIECE), fds[2];
	pid_t pid;

	OK(pipe(fds));
	pid = OK(fork());
	if (!pid) {
		for (int i = 0; i < 300; i++) {
			OK(ftruncate(fd, 0));
			EQ(pwrite(fd, text, PIECE, 0), PIECE);
		}
		_exit(0);
	}
	for (int i = 0; i < 300; i++) {
		ssize_t n = OK(splice(fd, &(loff_t){0}, fds[1], NULL, PIECE, 0));

		for (ssize_t done = 0, m; done < n; done += m) {
			m = OK(read(fds[0], got, 5000));
			for (ssize_t k = 0; k < m; k++)
				CHECK(!got[k] || got[k] == text[done + k]);
		}
		EQ(pread(fd, got, 100, 0) >= 0, 1);
	}
	WAIT_EXIT(pid, 0);
}

/* A reader whose buffer ends: what it couldn't take is still there. */
TEST(a_buffer_that_ends)
{
	int fd = cached_file("f", PIECE), fds[2];
	char *two = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(two != MAP_FAILED);
	OK(munmap(two + 4096, 4096));
	OK(pipe(fds));
	into_pipe(fd, 0, fds[1], PIECE);
	EQ(read(fds[0], two, 4096), 4096);
	CHECK(!memcmp(two, text, 4096));
	is_in_pipe(fds[0], text + 4096, PIECE - 4096);
	OK(munmap(two, 4096));
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
