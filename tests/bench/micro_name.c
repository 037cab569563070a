/* SPDX-License-Identifier: Apache-2.0 */
/* Rows: what goes by a name. */
#include <sys/stat.h>

#include "tests/bench/micro.h"

static void row_stat(long n)
{
	struct stat st;

	while (n--)
		if (stat("/etc/passwd", &st) < 0)
			fail("stat");
}

static void row_stat_absent(long n)
{
	struct stat st;

	while (n--)
		if (stat("/etc/no-such-file", &st) == 0)
			fail("stat of nothing");
}

static void row_access(long n)
{
	while (n--)
		if (access("/etc/passwd", R_OK) < 0)
			fail("access");
}

static void row_readlink(long n)
{
	symlink("/etc/passwd", "/tmp/bench.link");
	while (n--)
		if (readlink("/tmp/bench.link", buffer, PAGE) < 0)
			fail("readlink");
}

static void row_open_close(long n)
{
	while (n--) {
		int fd = open("/etc/passwd", O_RDONLY);

		if (fd < 0)
			fail("open");
		close(fd);
	}
}

static void row_getdents(long n)
{
	int fd = open("/etc", O_RDONLY | O_DIRECTORY);

	while (n--) {
		lseek(fd, 0, SEEK_SET);
		if (syscall(SYS_getdents64, fd, buffer, 32768) < 0)
			fail("getdents64");
	}
	close(fd);
}

static void row_create_unlink(long n)
{
	while (n--) {
		int fd = open("/bench.new", O_WRONLY | O_CREAT | O_EXCL, 0600);

		if (fd < 0)
			fail("/bench.new");
		close(fd);
		unlink("/bench.new");
	}
}

static void row_rename(long n)
{
	close(open("/bench.a", O_WRONLY | O_CREAT, 0600));
	for (long i = 0; i < n; i++)
		if (rename(i % 2 ? "/bench.b" : "/bench.a", i % 2 ? "/bench.a" : "/bench.b") < 0)
			fail("rename");
	unlink("/bench.a");
	unlink("/bench.b");
}

const struct row name_rows[] = {
    {"stat", row_stat, 1000},
    {"stat, absent", row_stat_absent, 1000},
    {"access", row_access, 1000},
    {"readlink", row_readlink, 1000},
    {"open+close", row_open_close, 500},
    {"getdents64 /etc", row_getdents, 200},
    {"create+unlink", row_create_unlink, 100},
    {"rename", row_rename, 100},
    {NULL, NULL, 0},
};
