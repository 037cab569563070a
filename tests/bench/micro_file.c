/* SPDX-License-Identifier: Apache-2.0 */
/* Rows: data of files, and what is asked of a descriptor. */
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "tests/bench/micro.h"

/* On the root file system, where the gofer serves it; BENCH_DIR says another place. */
static int data_fd(void)
{
	static int fd = -1;
	const char *dir = getenv("BENCH_DIR");
	char path[256];

	if (fd >= 0)
		return fd;
	snprintf(path, sizeof(path), "%s/bench.data", dir ? dir : "");
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, buffer, BUFFER_SIZE) != BUFFER_SIZE)
		fail(path);
	return fd;
}

static void read_zero(long n, size_t size)
{
	int fd = open("/dev/zero", O_RDONLY);

	while (n--)
		if (read(fd, buffer, size) != (ssize_t)size)
			fail("read of /dev/zero");
	close(fd);
}

static void row_read_1(long n)
{
	read_zero(n, 1);
}

static void row_write_1(long n)
{
	int fd = open("/dev/null", O_WRONLY);

	while (n--)
		if (write(fd, buffer, 1) != 1)
			fail("write to /dev/null");
	close(fd);
}

static void pread_size(long n, size_t size)
{
	int fd = data_fd();

	while (n--)
		if (pread(fd, buffer, size, 0) != (ssize_t)size)
			fail("pread");
}

static void row_pread_1(long n)
{
	pread_size(n, 1);
}

static void row_pread_4k(long n)
{
	pread_size(n, 4096);
}

static void row_pread_64k(long n)
{
	pread_size(n, 65536);
}

static void row_pread_1m(long n)
{
	pread_size(n, BUFFER_SIZE);
}

static void pwrite_size(long n, size_t size)
{
	int fd = data_fd();

	while (n--)
		if (pwrite(fd, buffer, size, 0) != (ssize_t)size)
			fail("pwrite");
}

static void row_pwrite_1(long n)
{
	pwrite_size(n, 1);
}

static void row_pwrite_4k(long n)
{
	pwrite_size(n, 4096);
}

static void row_pwrite_64k(long n)
{
	pwrite_size(n, 65536);
}

static void row_read_4k(long n)
{
	int fd = data_fd();

	for (long i = 0; i < n; i++) {
		if (i % (BUFFER_SIZE / 4096) == 0)
			lseek(fd, 0, SEEK_SET);
		if (read(fd, buffer, 4096) != 4096)
			fail("read");
	}
}

static void row_readv(long n)
{
	struct iovec v[4] = {
	    {buffer, 1024}, {buffer + 8192, 1024}, {buffer + 4096, 1024}, {buffer + 16384, 1024}};
	int fd = data_fd();

	while (n--)
		if (preadv(fd, v, 4, 0) != 4096)
			fail("preadv");
}

static void row_writev(long n)
{
	struct iovec v[4] = {
	    {buffer, 1024}, {buffer + 8192, 1024}, {buffer + 4096, 1024}, {buffer + 16384, 1024}};
	int fd = data_fd();

	while (n--)
		if (pwritev(fd, v, 4, 0) != 4096)
			fail("pwritev");
}

static void row_lseek(long n)
{
	int fd = data_fd();

	while (n--)
		if (lseek(fd, 4096, SEEK_SET) != 4096)
			fail("lseek");
}

static void row_fstat(long n)
{
	int fd = data_fd();
	struct stat st;

	while (n--)
		if (fstat(fd, &st) < 0)
			fail("fstat");
}

static void row_dup_close(long n)
{
	int fd = data_fd();

	while (n--)
		close(dup(fd));
}

static void row_sendfile(long n)
{
	int to = open("/dev/null", O_WRONLY), fd = data_fd();

	while (n--) {
		off_t at = 0;

		if (sendfile(to, fd, &at, 65536) != 65536)
			fail("sendfile");
	}
	close(to);
}

static void row_splice(long n)
{
	int fd = data_fd(), to = open("/dev/null", O_WRONLY), p[2];

	if (pipe(p) < 0)
		fail("pipe");
	while (n--) {
		loff_t at = 0;

		if (splice(fd, &at, p[1], NULL, 32768, 0) != 32768 ||
		    splice(p[0], NULL, to, NULL, 32768, 0) != 32768)
			fail("splice");
	}
	close(p[0]);
	close(p[1]);
	close(to);
}

/* ---- data that passes by ---- */

#define PASSING (64u << 20)

/* A file that isn't read often enough to be in any cache but the host's. */
static int passing_fd(void)
{
	static int fd = -1;

	if (fd >= 0)
		return fd;
	fd = open("/bench.passing", O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0)
		fail("/bench.passing");
	unlink("/bench.passing");
	for (unsigned at = 0; at < PASSING; at += BUFFER_SIZE)
		if (write(fd, buffer, BUFFER_SIZE) != BUFFER_SIZE)
			fail("write");
	return fd;
}

static void read_on(long n, size_t size)
{
	int fd = passing_fd();

	while (n--) {
		ssize_t got = read(fd, buffer, size);

		if (got == 0)
			got = lseek(fd, 0, SEEK_SET) ? -1 : read(fd, buffer, size);
		if (got != (ssize_t)size)
			fail("read");
	}
}

static void row_cat_128k(long n)
{
	read_on(n, 128 << 10);
}

static void row_cat_1m(long n)
{
	read_on(n, 1 << 20);
}

/* A file's data through a pipe into another file, as cp and web servers' caches do it. */
static void row_splice_copy(long n)
{
	int from = passing_fd(), to = open("/bench.copy", O_RDWR | O_CREAT | O_TRUNC, 0600), p[2];

	if (to < 0 || pipe(p) < 0)
		fail("/bench.copy");
	while (n--) {
		loff_t in = (n & 511) * 65536, out = 0;

		if (splice(from, &in, p[1], NULL, 65536, 0) != 65536 ||
		    splice(p[0], NULL, to, &out, 65536, 0) != 65536)
			fail("splice");
	}
	close(p[0]);
	close(p[1]);
	close(to);
	unlink("/bench.copy");
}

/* sendfile into a pipe that the same thread empties into /dev/null. */
static void row_sendfile_pipe(long n)
{
	int from = passing_fd(), to = open("/dev/null", O_WRONLY), p[2];

	if (to < 0 || pipe(p) < 0)
		fail("pipe");
	while (n--) {
		off_t in = (n & 511) * 65536;

		if (sendfile(p[1], from, &in, 65536) != 65536 ||
		    splice(p[0], NULL, to, NULL, 65536, 0) != 65536)
			fail("sendfile");
	}
	close(p[0]);
	close(p[1]);
	close(to);
}

/* sendfile into a pipe that is read: what `cat FILE | program` costs at best. */
static void row_sendfile_read(long n)
{
	int from = passing_fd(), p[2];

	if (pipe(p) < 0)
		fail("pipe");
	while (n--) {
		off_t in = (n & 511) * 65536;

		if (sendfile(p[1], from, &in, 65536) != 65536 || read(p[0], buffer, 65536) != 65536)
			fail("sendfile");
	}
	close(p[0]);
	close(p[1]);
}

static void row_copy_file_range(long n)
{
	int fd = data_fd(), to = open("/bench.copy", O_RDWR | O_CREAT | O_TRUNC, 0600);

	if (to < 0)
		fail("/bench.copy");
	while (n--) {
		loff_t from_at = 0, to_at = 0;

		if (copy_file_range(fd, &from_at, to, &to_at, 65536, 0) != 65536)
			fail("copy_file_range");
	}
	close(to);
	unlink("/bench.copy");
}

/* ---- eight at once ---- */

#define CROWD 8

static void *read_for_crowd(void *arg)
{
	char own[4096];
	int fd = data_fd();

	for (long n = (long)(intptr_t)arg; n > 0; n--)
		if (pread(fd, own, sizeof(own), 8192) != (ssize_t)sizeof(own))
			fail("pread");
	return NULL;
}

static void row_crowd_threads(long n)
{
	pthread_t threads[CROWD];

	data_fd();
	for (int i = 0; i < CROWD; i++)
		if (pthread_create(&threads[i], NULL, read_for_crowd,
				   (void *)(intptr_t)(n / CROWD)))
			fail("pthread_create");
	for (int i = 0; i < CROWD; i++)
		pthread_join(threads[i], NULL);
}

static void row_crowd_processes(long n)
{
	data_fd();
	for (int i = 0; i < CROWD; i++) {
		pid_t pid = fork();

		if (pid < 0)
			fail("fork");
		if (!pid) {
			read_for_crowd((void *)(intptr_t)(n / CROWD));
			_exit(0);
		}
	}
	for (int i = 0; i < CROWD; i++)
		wait(NULL);
}

const struct row file_rows[] = {
    {"read 1 byte", row_read_1, 1000},
    {"write 1 byte", row_write_1, 1000},
    {"read 4 KiB", row_read_4k, 1024},
    {"pread 1 byte", row_pread_1, 1000},
    {"pread 4 KiB", row_pread_4k, 1000},
    {"pread 64 KiB", row_pread_64k, 100},
    {"pread 1 MiB", row_pread_1m, 10},
    {"pwrite 1 byte", row_pwrite_1, 1000},
    {"pwrite 4 KiB", row_pwrite_4k, 1000},
    {"pwrite 64 KiB", row_pwrite_64k, 100},
    {"readv 4 x 1 KiB", row_readv, 1000},
    {"writev 4 x 1 KiB", row_writev, 1000},
    {"lseek", row_lseek, 1000},
    {"fstat", row_fstat, 1000},
    {"dup+close", row_dup_close, 500},
    {"sendfile 64 KiB", row_sendfile, 100},
    {"splice 32 KiB in+out", row_splice, 100},
    {"copy_file_range 64 KiB", row_copy_file_range, 50},
    {"cat 128 KiB", row_cat_128k, 64},
    {"cat 1 MiB", row_cat_1m, 16},
    {"splice 64 KiB file-pipe-file", row_splice_copy, 50},
    {"sendfile 64 KiB file-pipe, splice", row_sendfile_pipe, 50},
    {"sendfile 64 KiB file-pipe, read", row_sendfile_read, 50},
    {"pread 4 KiB, 8 threads", row_crowd_threads, 8000},
    {"pread 4 KiB, 8 processes", row_crowd_processes, 8000},
    {NULL, NULL, 0},
};
