/* SPDX-License-Identifier: Apache-2.0 */
/* What a file system in memory does: on /dev/shm, which is a tmpfs on Linux too. */
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "compat.h"

static char dir[64];

/* An empty directory on tmpfs, which is the working directory. */
static void enter(void)
{
	snprintf(dir, sizeof(dir), "/dev/shm/compat-%d", getpid());
	if (mkdir(dir, 0755) < 0)
		SKIP("no writable /dev/shm");
	OK(chdir(dir));
}

static void leave(void)
{
	OK(chdir("/"));
	compat_remove_tree(dir);
}

TEST(it_is_tmpfs)
{
	struct statfs s;

	enter();
	OK(statfs(".", &s));
	EQ(s.f_type, 0x01021994);
	CHECK(s.f_blocks > 0 && s.f_bfree <= s.f_blocks && s.f_files > 0);
	leave();
}

TEST(mapping_and_reading_agree)
{
	char *p, buf[8192];
	int fd;

	enter();
	fd = OK(open("f", O_RDWR | O_CREAT, 0644));
	OK(write(fd, "before", 6));
	OK(ftruncate(fd, 8192));
	p = OK(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	MEM_EQ(p, "before", 6);
	memcpy(p + 5000, "mapped", 6);
	EQ(pread(fd, buf, 6, 5000), 6);
	MEM_EQ(buf, "mapped", 6);
	EQ(pwrite(fd, "written", 7, 4096), 7);
	MEM_EQ(p + 4096, "written", 7);
	OK(munmap(p, 8192));
	p = OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
	memcpy(p, "privat", 6);
	EQ(pread(fd, buf, 6, 0), 6);
	MEM_EQ(buf, "before", 6);
	leave();
}

TEST(two_processes_share_a_file)
{
	volatile int *p;
	pid_t pid;
	int fd;

	enter();
	fd = OK(open("f", O_RDWR | O_CREAT, 0644));
	OK(ftruncate(fd, 4096));
	pid = OK(fork());
	if (pid == 0) {
		int other = OK(open("f", O_RDWR));

		p = OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, other, 0));
		p[3] = 42;
		_exit(0);
	}
	WAIT_EXIT(pid, 0);
	p = OK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0));
	EQ(p[3], 42);
	leave();
}

TEST(holes_and_punches)
{
	struct stat st;
	char buf[16];
	int fd;

	enter();
	fd = OK(open("f", O_RDWR | O_CREAT, 0644));
	OK(pwrite(fd, "x", 1, 1 << 20));
	OK(fstat(fd, &st));
	EQ(st.st_size, (1 << 20) + 1);
	EQ(st.st_blocks, 8);
	EQ(lseek(fd, 0, SEEK_DATA), 1 << 20);
	EQ(lseek(fd, 0, SEEK_HOLE), 0);
	OK(fallocate(fd, 0, 0, 16384));
	OK(fstat(fd, &st));
	EQ(st.st_blocks, 40);
	OK(pwrite(fd, "0123456789", 10, 4096));
	OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4098, 4));
	EQ(pread(fd, buf, 10, 4096), 10);
	MEM_EQ(buf,
	       "01\0\0\0\0"
	       "6789",
	       10);
	OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 16384));
	OK(fstat(fd, &st));
	EQ(st.st_blocks, 8);
	FAILS(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 1), EOPNOTSUPP);
	FAILS(fallocate(fd, 0, -1, 1), EINVAL);
	FAILS(fallocate(fd, 0, 0, 0), EINVAL);
	leave();
}

TEST(nameless_file_gets_a_name)
{
	struct stat st;
	char path[64];
	int fd;

	enter();
	fd = OK(open(".", O_TMPFILE | O_RDWR, 0600));
	OK(write(fd, "x", 1));
	OK(fstat(fd, &st));
	EQ(st.st_nlink, 0);
	FAILS(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	OK(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
	OK(stat("named", &st));
	EQ(st.st_nlink, 1);
	EQ(st.st_size, 1);
	leave();
}

/* A file that lost its names gets no new one. */
TEST(removed_file_gets_no_name)
{
	char path[64];
	int fd;

	enter();
	fd = OK(open("f", O_CREAT | O_RDWR, 0600));
	OK(unlink("f"));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	FAILS(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW), ENOENT);
	fd = OK(open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	FAILS(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW), ENOENT);
	leave();
}

TEST(named_files_have_no_seals)
{
	int fd;

	enter();
	fd = OK(open("f", O_CREAT | O_RDWR, 0600));
	EQ(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL);
	FAILS(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
	OK(write(fd, "x", 1));
	leave();
}

TEST(exchange_and_noreplace)
{
	struct stat st;

	enter();
	WRITE_FILE("a", "aa");
	OK(mkdir("d", 0755));
	WRITE_FILE("d/x", "x");
	FAILS(renameat2(AT_FDCWD, "a", AT_FDCWD, "d", RENAME_NOREPLACE), EEXIST);
	OK(renameat2(AT_FDCWD, "a", AT_FDCWD, "d", RENAME_EXCHANGE));
	OK(stat("a/x", &st));
	OK(stat("d", &st));
	EQ(st.st_size, 2);
	leave();
}

TEST(large_file_keeps_its_content)
{
	static char block[1 << 16], back[1 << 16];
	int fd;

	enter();
	fd = OK(open("f", O_RDWR | O_CREAT, 0644));
	for (int i = 0; i < 64; i++) {
		memset(block, i + 1, sizeof(block));
		EQ(write(fd, block, sizeof(block)), sizeof(block));
	}
	for (int i = 0; i < 64; i++) {
		memset(block, i + 1, sizeof(block));
		EQ(pread(fd, back, sizeof(back), (off_t)i << 16), sizeof(back));
		MEM_EQ(back, block, sizeof(block));
	}
	leave();
}

TEST(devices_and_fifos_have_names)
{
	struct stat st;
	char c;
	int fd;

	enter();
	OK(mkfifo("p", 0600));
	OK(stat("p", &st));
	CHECK(S_ISFIFO(st.st_mode));
	if (mknod("null", S_IFCHR | 0666, makedev(1, 3)) == 0) {
		OK(stat("null", &st));
		EQ(st.st_rdev, makedev(1, 3));
		/* /dev/shm is mounted nodev mostly. */
		fd = open("null", O_RDWR);
		CHECK(fd >= 0 ? read(fd, &c, 1) == 0 : errno == EACCES);
	}
	leave();
}

TEST(attributes_of_users)
{
	char buf[64];

	enter();
	WRITE_FILE("f", "x");
	if (setxattr("f", "user.one", "1", 1, 0) < 0 && errno == EOPNOTSUPP) {
		leave();
		SKIP("this Linux has no user attributes on tmpfs");
	}
	FAILS(setxattr("f", "user.one", "2", 1, XATTR_CREATE), EEXIST);
	FAILS(setxattr("f", "user.two", "2", 1, XATTR_REPLACE), ENODATA);
	EQ(getxattr("f", "user.one", NULL, 0), 1);
	EQ(getxattr("f", "user.one", buf, sizeof(buf)), 1);
	FAILS(getxattr("f", "user.two", buf, sizeof(buf)), ENODATA);
	EQ(listxattr("f", buf, sizeof(buf)), 9);
	STR_EQ(buf, "user.one");
	FAILS(listxattr("f", buf, 3), ERANGE);
	OK(removexattr("f", "user.one"));
	FAILS(removexattr("f", "user.one"), ENODATA);
	OK(symlink("f", "l"));
	FAILS(lsetxattr("l", "user.one", "1", 1, 0), EPERM);
	FAILS(setxattr("f", "nonsense.x", "1", 1, 0), EOPNOTSUPP);
	leave();
}

/* ---- memfd_create ---- */

static void set_suid(const char *name)
{
	OK(chown(name, 0, 0));
	OK(chmod(name, 06777));
}

static unsigned mode_of(const char *name)
{
	struct stat st;

	OK(stat(name, &st));
	return st.st_mode & 07777;
}

/* Whatever changes the content takes the set-id bits away. */
TEST(changes_clear_setuid)
{
	int in, out, fds[2];
	pid_t pid;

	enter();
	OK(chmod(".", 0777));
	WRITE_FILE("in", "content");
	WRITE_FILE("f", "x");
	set_suid("f");
	OK(pipe(fds));
	OK(write(fds[1], "piped", 5));
	pid = OK(fork());
	if (pid == 0) {
		OK(setgid(1000));
		OK(setuid(1000));
		in = OK(open("in", O_RDONLY));
		out = OK(open("f", O_WRONLY | O_TRUNC));
		EQ(mode_of("f"), 0777);
		_exit(0);
	}
	WAIT_EXIT(pid, 0);
	for (int way = 0; way < 4; way++) {
		set_suid("f");
		pid = OK(fork());
		if (pid == 0) {
			OK(setgid(1000));
			OK(setuid(1000));
			in = OK(open("in", O_RDONLY));
			out = OK(open("f", O_WRONLY));
			EQ(mode_of("f"), 06777);
			if (way == 0)
				EQ(write(out, "y", 1), 1);
			else if (way == 1)
				EQ(sendfile(out, in, NULL, 7), 7);
			else if (way == 2)
				EQ(copy_file_range(in, NULL, out, NULL, 7, 0), 7);
			else
				EQ(splice(fds[0], NULL, out, NULL, 5, 0), 5);
			EQ(mode_of("f"), 0777);
			_exit(0);
		}
		WAIT_EXIT(pid, 0);
	}
	leave();
}

TEST(memfd_and_seals)
{
	int fd = OK(memfd_create("name", MFD_CLOEXEC | MFD_ALLOW_SEALING));
	char link[64], *p;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	{
		char target[64] = "";

		OK(readlink(link, target, sizeof(target) - 1));
		STR_EQ(target, "/memfd:name (deleted)");
	}
	EQ(fcntl(fd, F_GET_SEALS), 0);
	OK(ftruncate(fd, 4096));
	p = OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	FAILS(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
	OK(munmap(p, 4096));
	OK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK));
	FAILS(write(fd, "x", 1), EPERM);
	FAILS(ftruncate(fd, 10), EPERM);
	OK(ftruncate(fd, 8192));
	OK(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
	FAILS(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), EPERM);
	FAILS(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EPERM);
	p = OK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0));
	EQ(p[0], 0);
	fd = OK(memfd_create("plain", 0));
	FAILS(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), EPERM);
	EQ(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL);
	FAILS(memfd_create("x", 0x4000), EINVAL);
}
