/* SPDX-License-Identifier: Apache-2.0 */
/* Directories and names: links, renames, walks, listings. */
#include "compat.h"

#include <sys/syscall.h>

TEST(mkdir_and_rmdir)
{
	struct stat st;

	umask(022);
	OK(mkdir("d", 0777));
	OK(stat("d", &st));
	EQ(st.st_mode, S_IFDIR | 0755);
	FAILS(mkdir("d", 0777), EEXIST);
	FAILS(mkdir("absent/d", 0777), ENOENT);
	WRITE_FILE("d/f", "x");
	FAILS(rmdir("d"), ENOTEMPTY);
	FAILS(unlink("d"), EISDIR);
	OK(unlink("d/f"));
	FAILS(rmdir("d/."), EINVAL);
	OK(rmdir("d"));
	FAILS(rmdir("d"), ENOENT);
	WRITE_FILE("f", "x");
	FAILS(rmdir("f"), ENOTDIR);
	FAILS(mkdir("f/d", 0777), ENOTDIR);
}

TEST(trailing_slashes)
{
	struct stat st;

	OK(mkdir("d/", 0755));
	OK(stat("d/", &st));
	OK(stat("d//.//../d", &st));
	WRITE_FILE("f", "x");
	FAILS(stat("f/", &st), ENOTDIR);
	FAILS(open("g/", O_WRONLY | O_CREAT, 0644), EISDIR);
	OK(symlink("d", "link"));
	OK(lstat("link/", &st));
	CHECK(S_ISDIR(st.st_mode));
	OK(rmdir("d/"));
}

TEST(chdir_and_getcwd)
{
	char start[256], buf[256], want[300];
	int fd;

	CHECK(getcwd(start, sizeof(start)));
	OK(mkdir("d", 0755));
	OK(chdir("d"));
	CHECK(getcwd(buf, sizeof(buf)));
	snprintf(want, sizeof(want), "%s/d", start);
	STR_EQ(buf, want);
	FAILS(syscall(SYS_getcwd, buf, 2), ERANGE);
	OK(chdir(".."));
	fd = OK(open("d", O_RDONLY | O_DIRECTORY));
	OK(fchdir(fd));
	CHECK(getcwd(buf, sizeof(buf)));
	STR_EQ(buf, want);
	FAILS(chdir("absent"), ENOENT);
	WRITE_FILE("f", "x");
	FAILS(chdir("f"), ENOTDIR);
	OK(chdir("/"));
	CHECK(getcwd(buf, sizeof(buf)));
	STR_EQ(buf, "/");
	OK(chdir(".."));
	CHECK(getcwd(buf, sizeof(buf)));
	STR_EQ(buf, "/");
}

TEST(removed_working_directory)
{
	char buf[256];

	OK(mkdir("d", 0755));
	OK(chdir("d"));
	OK(rmdir("../d"));
	FAILS(syscall(SYS_getcwd, buf, sizeof(buf)), ENOENT);
	FAILS(open("f", O_WRONLY | O_CREAT, 0644), ENOENT);
	FAILS(mkdir("e", 0755), ENOENT);
}

TEST(hard_links)
{
	struct stat a, b;

	WRITE_FILE("a", "x");
	OK(link("a", "b"));
	OK(stat("a", &a));
	OK(stat("b", &b));
	EQ(a.st_ino, b.st_ino);
	EQ(a.st_nlink, 2);
	FAILS(link("a", "b"), EEXIST);
	FAILS(link("absent", "c"), ENOENT);
	FAILS(link(".", "c"), EPERM);
	OK(unlink("a"));
	OK(stat("b", &b));
	EQ(b.st_nlink, 1);
}

TEST(link_through_symlink)
{
	struct stat st;

	WRITE_FILE("f", "x");
	OK(symlink("f", "s"));
	OK(link("s", "of_link"));
	OK(lstat("of_link", &st));
	CHECK(S_ISLNK(st.st_mode));
	OK(linkat(AT_FDCWD, "s", AT_FDCWD, "of_file", AT_SYMLINK_FOLLOW));
	OK(lstat("of_file", &st));
	CHECK(S_ISREG(st.st_mode));
}

TEST(symlinks)
{
	char buf[16] = "";

	OK(symlink("somewhere/else", "s"));
	EQ(readlink("s", buf, sizeof(buf)), 14);
	MEM_EQ(buf, "somewhere/else", 14);
	memset(buf, 0, sizeof(buf));
	EQ(readlink("s", buf, 4), 4);
	STR_EQ(buf, "some");
	FAILS(symlink("x", "s"), EEXIST);
	FAILS(symlink("", "e"), ENOENT);
	FAILS(readlink("s", buf, 0), EINVAL);
	WRITE_FILE("f", "x");
	FAILS(readlink("f", buf, sizeof(buf)), EINVAL);
	FAILS(readlink("absent", buf, sizeof(buf)), ENOENT);
}

TEST(symlink_to_directory_is_walked)
{
	struct stat st;

	OK(mkdir("d", 0755));
	WRITE_FILE("d/f", "x");
	OK(symlink("d", "s"));
	OK(stat("s/f", &st));
	OK(symlink("../d/f", "d/up"));
	OK(stat("s/up", &st));
	CHECK(S_ISREG(st.st_mode));
	OK(unlink("s"));
	OK(stat("d/f", &st));
}

TEST(forty_symlinks_are_enough_one_more_is_not)
{
	char from[16], to[16];
	struct stat st;

	WRITE_FILE("l0", "x");
	for (int i = 1; i <= 41; i++) {
		snprintf(to, sizeof(to), "l%d", i - 1);
		snprintf(from, sizeof(from), "l%d", i);
		OK(symlink(to, from));
	}
	OK(stat("l40", &st));
	FAILS(stat("l41", &st), ELOOP);
}

TEST(rename_replaces)
{
	struct stat st;

	WRITE_FILE("a", "aaa");
	WRITE_FILE("b", "b");
	OK(rename("a", "b"));
	FAILS(stat("a", &st), ENOENT);
	OK(stat("b", &st));
	EQ(st.st_size, 3);
	OK(rename("b", "b"));
	FAILS(rename("absent", "c"), ENOENT);
}

TEST(rename_directories)
{
	struct stat st;

	OK(mkdir("a", 0755));
	OK(mkdir("a/sub", 0755));
	OK(mkdir("b", 0755));
	WRITE_FILE("f", "x");
	FAILS(rename("a", "a/sub/x"), EINVAL);
	FAILS(rename("a", "f"), ENOTDIR);
	FAILS(rename("f", "a"), EISDIR);
	FAILS(rename("b", "a"), ENOTEMPTY);
	OK(rename("a", "b"));
	OK(stat("b/sub", &st));
	OK(rename("b/sub", "moved"));
	OK(stat("moved/../f", &st));
}

TEST(rename_flags)
{
	struct stat st;

	WRITE_FILE("a", "a");
	WRITE_FILE("b", "bb");
	FAILS(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE), EEXIST);
	OK(renameat2(AT_FDCWD, "a", AT_FDCWD, "c", RENAME_NOREPLACE));
	OK(renameat2(AT_FDCWD, "b", AT_FDCWD, "c", RENAME_EXCHANGE));
	OK(stat("b", &st));
	EQ(st.st_size, 1);
	OK(stat("c", &st));
	EQ(st.st_size, 2);
	FAILS(renameat2(AT_FDCWD, "b", AT_FDCWD, "absent", RENAME_EXCHANGE), ENOENT);
	FAILS(renameat2(AT_FDCWD, "b", AT_FDCWD, "c", 64), EINVAL);
}

/* Renaming a file to another of its names does nothing, whoever asks. */
TEST(rename_to_itself)
{
	pid_t pid;

	OK(mkdir("d", 0755));
	OK(mkdir("d/sub", 0755));
	WRITE_FILE("d/f", "x");
	OK(link("d/f", "d/g"));
	OK(rename("d/f", "d/f"));
	OK(rename("d/f", "d/g"));
	OK(rename("d/sub", "d/sub"));
	OK(syscall(SYS_renameat2, AT_FDCWD, "d/f", AT_FDCWD, "d/f", 2 /* RENAME_EXCHANGE */));
	OK(access("d/f", F_OK));
	OK(chmod("d", 01755));
	OK(chmod(".", 0755));
	pid = OK(fork());
	if (pid == 0) {
		OK(setgid(1000));
		OK(setuid(1000));
		OK(rename("d/f", "d/g"));
		OK(rename("d/sub", "d/sub"));
		_exit(0);
	}
	WAIT_EXIT(pid, 0);
	OK(access("d/f", F_OK));
}

TEST(open_file_follows_its_rename)
{
	char buf[4];
	int fd;

	WRITE_FILE("a", "abc");
	fd = OK(open("a", O_RDONLY));
	OK(rename("a", "b"));
	EQ(read(fd, buf, 3), 3);
	WRITE_FILE("a", "new");
	EQ(pread(fd, buf, 3, 0), 3);
	MEM_EQ(buf, "abc", 3);
}

TEST(at_calls_with_a_descriptor)
{
	char buf[8];
	struct stat st;
	int dir;

	OK(mkdir("d", 0755));
	dir = OK(open("d", O_RDONLY | O_DIRECTORY));
	OK(close(OK(openat(dir, "f", O_WRONLY | O_CREAT, 0644))));
	OK(stat("d/f", &st));
	OK(mkdirat(dir, "e", 0755));
	OK(symlinkat("f", dir, "s"));
	EQ(readlinkat(dir, "s", buf, sizeof(buf)), 1);
	OK(renameat(dir, "f", AT_FDCWD, "g"));
	OK(linkat(AT_FDCWD, "g", dir, "f", 0));
	OK(faccessat(dir, "f", R_OK, 0));
	OK(unlinkat(dir, "s", 0));
	FAILS(unlinkat(dir, "e", 0), EISDIR);
	OK(unlinkat(dir, "e", AT_REMOVEDIR));
	FAILS(openat(-1, "f", O_RDONLY), EBADF);
	OK(openat(-1, "/tmp", O_RDONLY));
}

struct entry {
	uint64_t ino;
	int64_t off;
	unsigned short reclen;
	unsigned char type;
	char name[];
};

/* Lists with a small buffer, so that it takes many calls. */
static int list_small(int fd, bool *seen, int count)
{
	char buf[128] __attribute__((aligned(8)));
	int total = 0;
	long n;

	while ((n = OK(syscall(SYS_getdents64, fd, buf, sizeof(buf)))) > 0) {
		for (long at = 0; at < n;) {
			struct entry *e = (struct entry *)(buf + at);
			int nr;

			CHECK(e->reclen >= 24 && e->reclen % 8 == 0);
			if (sscanf(e->name, "file%d", &nr) == 1) {
				CHECK(nr >= 0 && nr < count);
				CHECK(!seen[nr]);
				EQ(e->type, DT_REG);
				seen[nr] = true;
			} else {
				EQ(e->type, DT_DIR);
			}
			total++;
			at += e->reclen;
		}
	}
	return total;
}

/* Flags are an int: what is above it isn't seen. */
TEST(unlinkat_flags_are_an_int)
{
	WRITE_FILE("f", "x");
	OK(mkdir("d", 0755));
	FAILS(syscall(SYS_unlinkat, AT_FDCWD, "f", 1), EINVAL);
	OK(syscall(SYS_unlinkat, AT_FDCWD, "f", 1ul << 32));
	OK(syscall(SYS_unlinkat, AT_FDCWD, "d", 1ul << 32 | AT_REMOVEDIR));
}

TEST(getdents_gives_each_entry_once)
{
	bool seen[100] = {false};
	char name[16];
	int fd;

	OK(mkdir("d", 0755));
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "d/file%d", i);
		WRITE_FILE(name, "");
	}
	fd = OK(open("d", O_RDONLY | O_DIRECTORY));
	EQ(list_small(fd, seen, 100), 102);
	EQ(lseek(fd, 0, SEEK_SET), 0);
	memset(seen, 0, sizeof(seen));
	EQ(list_small(fd, seen, 100), 102);
}

TEST(getdents_errors)
{
	char buf[128];
	int fd;

	WRITE_FILE("f", "x");
	fd = OK(open("f", O_RDONLY));
	FAILS(syscall(SYS_getdents64, fd, buf, sizeof(buf)), ENOTDIR);
	fd = OK(open(".", O_RDONLY));
	FAILS(syscall(SYS_getdents64, fd, buf, 8), EINVAL);
	FAILS(syscall(SYS_getdents64, -1, buf, sizeof(buf)), EBADF);
}

TEST(listing_sees_changes_after_rewind)
{
	DIR *dir;
	int count = 0;

	dir = opendir(".");
	CHECK(dir);
	while (readdir(dir))
		count++;
	EQ(count, 2);
	WRITE_FILE("new", "x");
	rewinddir(dir);
	count = 0;
	while (readdir(dir))
		count++;
	EQ(count, 3);
	closedir(dir);
}

TEST(directory_link_counts)
{
	struct stat st;

	OK(mkdir("d", 0755));
	OK(mkdir("d/a", 0755));
	OK(mkdir("d/b", 0755));
	OK(stat("d", &st));
	if (st.st_nlink == 1)
		SKIP("this file system does not count directories");
	EQ(st.st_nlink, 4);
	OK(rmdir("d/a"));
	OK(stat("d", &st));
	EQ(st.st_nlink, 3);
}

TEST(sticky_directory)
{
	pid_t pid;

	OK(mkdir("d", 0755));
	OK(chmod("d", 01777));
	WRITE_FILE("d/f", "x");
	OK(chmod(".", 0755));
	pid = OK(fork());
	if (pid == 0) {
		OK(setgid(1000));
		OK(setuid(1000));
		OK(close(OK(open("d/own", O_WRONLY | O_CREAT, 0644))));
		FAILS(unlink("d/f"), EPERM);
		FAILS(rename("d/f", "d/g"), EPERM);
		OK(unlink("d/own"));
		_exit(0);
	}
	WAIT_EXIT(pid, 0);
}

TEST(setgid_directory_gives_its_group)
{
	struct stat st;

	OK(mkdir("d", 0755));
	OK(chown("d", 0, 77));
	OK(chmod("d", 02755));
	WRITE_FILE("d/f", "x");
	OK(stat("d/f", &st));
	EQ(st.st_gid, 77);
	OK(mkdir("d/e", 0755));
	OK(stat("d/e", &st));
	EQ(st.st_gid, 77);
	EQ(st.st_mode & 07777, 02755);
}

/* Nobody gets a set-group-id program of a group that is not theirs. */
TEST(setgid_directory_gives_no_setgid_program)
{
	struct stat st;
	pid_t pid;
	int fd;

	OK(mkdir("d", 0755));
	OK(chown("d", 0, 77));
	OK(chmod("d", 02777));
	OK(chmod(".", 0755));
	pid = OK(fork());
	if (pid == 0) {
		umask(0);
		OK(syscall(SYS_setgroups, 0, NULL));
		OK(setgid(1000));
		OK(setuid(1000));
		fd = OK(open("d/opened", O_RDWR | O_CREAT, 02755));
		OK(fstat(fd, &st));
		EQ(st.st_gid, 77);
		EQ(st.st_mode & 07777, 0755);
		OK(mknod("d/made", S_IFREG | 02755, 0));
		OK(stat("d/made", &st));
		EQ(st.st_mode & 07777, 0755);
		OK(mkfifo("d/fifo", 02755));
		OK(stat("d/fifo", &st));
		EQ(st.st_mode & 07777, 0755);
		fd = open("d", O_TMPFILE | O_RDWR, 02755);
		if (fd >= 0) {
			OK(fstat(fd, &st));
			EQ(st.st_mode & 07777, 0755);
		}
		/* Without a bit to run it, it means another thing. */
		fd = OK(open("d/locked", O_RDWR | O_CREAT, 02644));
		OK(fstat(fd, &st));
		EQ(st.st_mode & 07777, 02644);
		_exit(0);
	}
	WAIT_EXIT(pid, 0);
	umask(0);
	fd = OK(open("d/by-root", O_RDWR | O_CREAT, 02755));
	OK(fstat(fd, &st));
	EQ(st.st_mode & 07777, 02755);
}

TEST(fifos_and_sockets_as_names)
{
	struct stat st;

	OK(mkfifo("fifo", 0640));
	OK(stat("fifo", &st));
	EQ(st.st_mode, S_IFIFO | 0640);
	OK(mknod("sock", S_IFSOCK | 0600, 0));
	OK(stat("sock", &st));
	CHECK(S_ISSOCK(st.st_mode));
	FAILS(open("sock", O_RDONLY), ENXIO);
	FAILS(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
}

TEST(deep_paths)
{
	char buf[4096];
	int depth = 0;

	for (; depth < 60; depth++) {
		OK(mkdir("directory", 0755));
		OK(chdir("directory"));
	}
	CHECK(getcwd(buf, sizeof(buf)));
	CHECK(strlen(buf) > 600);
	for (; depth > 0; depth--) {
		OK(chdir(".."));
		OK(rmdir("directory"));
	}
}

TEST(path_too_long)
{
	static char path[5000];
	struct stat st;

	for (int i = 0; i < 4094; i++)
		path[i] = i % 2 ? '/' : '.';
	path[4094] = '\0';
	OK(stat(path, &st));
	memset(path + 4094, '/', 10);
	FAILS(stat(path, &st), ENAMETOOLONG);
}
