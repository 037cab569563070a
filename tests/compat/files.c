/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, reading, writing, positions, sizes and attributes of files. */
#include "compat.h"

#include <sys/file.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>

TEST(open_creates_with_umask)
{
	struct stat st;
	int fd;

	umask(027);
	fd = OK(open("f", O_WRONLY | O_CREAT, 0666));
	OK(fstat(fd, &st));
	EQ(st.st_mode, S_IFREG | 0640);
	EQ(st.st_size, 0);
	EQ(st.st_nlink, 1);
}

TEST(open_errors)
{
	char name[300];

	FAILS(open("absent", O_RDONLY), ENOENT);
	FAILS(open("", O_RDONLY), ENOENT);
	FAILS(open("absent/f", O_WRONLY | O_CREAT, 0644), ENOENT);
	FAILS(open((const char *)8, O_RDONLY), EFAULT);
	WRITE_FILE("f", "x");
	FAILS(open("f", O_RDWR | O_CREAT | O_EXCL, 0644), EEXIST);
	FAILS(open("f/g", O_RDONLY), ENOTDIR);
	FAILS(open("f", O_RDONLY | O_DIRECTORY), ENOTDIR);
	OK(mkdir("d", 0755));
	FAILS(open("d", O_WRONLY), EISDIR);
	FAILS(open("d", O_RDONLY | O_CREAT, 0644), EISDIR);
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	FAILS(open(name, O_RDONLY), ENAMETOOLONG);
}

TEST(open_gives_lowest_descriptor)
{
	int first = OK(open("/", O_RDONLY)), second = OK(open("/", O_RDONLY));

	EQ(second, first + 1);
	OK(close(first));
	EQ(OK(open("/", O_RDONLY)), first);
}

TEST(open_truncates)
{
	struct stat st;

	WRITE_FILE("f", "content");
	OK(close(OK(open("f", O_WRONLY | O_TRUNC))));
	OK(stat("f", &st));
	EQ(st.st_size, 0);
}

TEST(open_nofollow_and_loop)
{
	WRITE_FILE("f", "x");
	OK(symlink("f", "link"));
	OK(symlink("b", "a"));
	OK(symlink("a", "b"));
	FAILS(open("link", O_RDONLY | O_NOFOLLOW), ELOOP);
	FAILS(open("a", O_RDONLY), ELOOP);
	OK(open("link", O_RDONLY));
}

TEST(open_through_dangling_link_creates)
{
	struct stat st;

	OK(symlink("target", "link"));
	OK(open("link", O_WRONLY | O_CREAT, 0600));
	OK(lstat("target", &st));
	EQ(st.st_mode, S_IFREG | 0600);
	FAILS(open("link", O_WRONLY | O_CREAT | O_EXCL, 0600), EEXIST);
}

TEST(open_through_link_to_root_creates_nothing)
{
	struct stat st;

	OK(symlink("/", "compat-root"));
	FAILS(open("compat-root", O_RDWR | O_CREAT, 0644), EISDIR);
	FAILS(lstat("/compat-root", &st), ENOENT);
}

TEST(open_path)
{
	char buf[4];
	struct stat st;
	int fd;

	WRITE_FILE("f", "x");
	fd = OK(open("f", O_PATH));
	FAILS(read(fd, buf, 1), EBADF);
	FAILS(write(fd, buf, 1), EBADF);
	OK(fstat(fd, &st));
	EQ(st.st_size, 1);
	EQ(OK(fcntl(fd, F_GETFL)) & O_PATH, O_PATH);
}

TEST(read_write_and_position)
{
	char buf[16];
	int fd = OK(open("f", O_RDWR | O_CREAT, 0644));

	EQ(write(fd, "0123456789", 10), 10);
	EQ(lseek(fd, 0, SEEK_CUR), 10);
	EQ(read(fd, buf, 4), 0);
	EQ(lseek(fd, 2, SEEK_SET), 2);
	EQ(read(fd, buf, 4), 4);
	MEM_EQ(buf, "2345", 4);
	EQ(lseek(fd, -3, SEEK_END), 7);
	EQ(read(fd, buf, 16), 3);
	MEM_EQ(buf, "789", 3);
	FAILS(lseek(fd, -1, SEEK_SET), EINVAL);
	FAILS(lseek(fd, 0, 99), EINVAL);
}

TEST(read_write_errors)
{
	char buf[4] = "abc";
	int fd = OK(open("f", O_RDONLY | O_CREAT, 0644)), dir = OK(open(".", O_RDONLY));

	FAILS(read(-1, buf, 1), EBADF);
	FAILS(read(1000, buf, 1), EBADF);
	FAILS(write(fd, buf, 1), EBADF);
	FAILS(read(dir, buf, 1), EISDIR);
	fd = OK(open("f", O_RDWR));
	FAILS(write(fd, (void *)8, 4), EFAULT);
	EQ(write(fd, buf, 3), 3);
	EQ(lseek(fd, 0, SEEK_SET), 0);
	FAILS(read(fd, (void *)8, 4), EFAULT);
	EQ(read(fd, (void *)8, 0), 0);
}

TEST(sparse_files_read_zeros)
{
	char buf[8] = "xxxxxxx";
	struct stat st;
	int fd = OK(open("f", O_RDWR | O_CREAT, 0644));

	EQ(lseek(fd, 1 << 20, SEEK_SET), 1 << 20);
	EQ(write(fd, "end", 3), 3);
	OK(fstat(fd, &st));
	EQ(st.st_size, (1 << 20) + 3);
	EQ(pread(fd, buf, 4, 4096), 4);
	MEM_EQ(buf, "\0\0\0\0", 4);
}

TEST(pread_pwrite_keep_the_position)
{
	char buf[8];
	int fd = OK(open("f", O_RDWR | O_CREAT, 0644));

	EQ(pwrite(fd, "abcdef", 6, 2), 6);
	EQ(lseek(fd, 0, SEEK_CUR), 0);
	EQ(pread(fd, buf, 3, 3), 3);
	MEM_EQ(buf, "bcd", 3);
	EQ(pread(fd, buf, 3, 100), 0);
	FAILS(pread(fd, buf, 3, -1), EINVAL);
	EQ(lseek(fd, 0, SEEK_CUR), 0);
}

TEST(append_writes_at_the_end)
{
	char buf[8];
	int fd;

	WRITE_FILE("f", "one");
	fd = OK(open("f", O_RDWR | O_APPEND));
	EQ(lseek(fd, 0, SEEK_SET), 0);
	EQ(write(fd, "two", 3), 3);
	EQ(lseek(fd, 0, SEEK_CUR), 6);
	EQ(pread(fd, buf, 8, 0), 6);
	MEM_EQ(buf, "onetwo", 6);
}

TEST(large_transfer)
{
	size_t size = 3 << 20;
	char *out = malloc(size), *in = malloc(size);
	int fd = OK(open("f", O_RDWR | O_CREAT, 0644));

	for (size_t i = 0; i < size; i++)
		out[i] = (char)(i * 7 + i / 4096);
	EQ(write(fd, out, size), size);
	EQ(lseek(fd, 0, SEEK_SET), 0);
	EQ(read(fd, in, size), size);
	MEM_EQ(in, out, size);
}

TEST(vectors)
{
	char a[4] = "", b[8] = "";
	struct iovec out[3] = {{(char *)"ab", 2}, {NULL, 0}, {(char *)"cdef", 4}};
	struct iovec in[2] = {{a, 3}, {b, 8}};
	int fd = OK(open("f", O_RDWR | O_CREAT, 0644));

	EQ(writev(fd, out, 3), 6);
	EQ(lseek(fd, 0, SEEK_SET), 0);
	EQ(readv(fd, in, 2), 6);
	MEM_EQ(a, "abc", 3);
	MEM_EQ(b, "def", 3);
	EQ(preadv(fd, in, 1, 2), 3);
	MEM_EQ(a, "cde", 3);
	EQ(pwritev(fd, out, 1, 4), 2);
	EQ(pread(fd, b, 8, 0), 6);
	MEM_EQ(b, "abcdab", 6);
	FAILS(readv(fd, in, -1), EINVAL);
	FAILS(readv(fd, in, 5000), EINVAL);
	EQ(readv(fd, in, 0), 0);
}

TEST(truncate_both_ways)
{
	char buf[8] = "";
	struct stat st;
	int fd;

	WRITE_FILE("f", "abcdef");
	OK(truncate("f", 3));
	fd = OK(open("f", O_RDWR));
	OK(ftruncate(fd, 5));
	EQ(read(fd, buf, 8), 5);
	MEM_EQ(buf, "abc\0\0", 5);
	OK(fstat(fd, &st));
	EQ(st.st_size, 5);
	FAILS(truncate("f", -1), EINVAL);
	FAILS(truncate(".", 0), EISDIR);
	FAILS(ftruncate(OK(open("f", O_RDONLY)), 0), EINVAL);
}

TEST(stat_follows_lstat_does_not)
{
	struct stat st, lst;

	WRITE_FILE("f", "12345");
	OK(symlink("f", "link"));
	OK(stat("link", &st));
	OK(lstat("link", &lst));
	CHECK(S_ISREG(st.st_mode));
	CHECK(S_ISLNK(lst.st_mode));
	EQ(st.st_size, 5);
	EQ(lst.st_size, 1);
	CHECK(st.st_ino != lst.st_ino);
	EQ(st.st_dev, lst.st_dev);
}

TEST(fstatat_empty_path)
{
	struct stat st, same;
	int fd;

	WRITE_FILE("f", "123");
	fd = OK(open("f", O_RDONLY));
	OK(fstatat(fd, "", &st, AT_EMPTY_PATH));
	OK(fstat(fd, &same));
	EQ(st.st_ino, same.st_ino);
	EQ(st.st_size, 3);
	FAILS(fstatat(fd, "", &st, 0), ENOENT);
	FAILS(fstatat(fd, "x", &st, 0), ENOTDIR);
	FAILS(fstatat(AT_FDCWD, "f", &st, 0x40000000), EINVAL);
}

TEST(statx_agrees_with_stat)
{
	struct statx stx;
	struct stat st;

	WRITE_FILE("f", "123456");
	OK(stat("f", &st));
	OK(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS, &stx));
	EQ(stx.stx_size, st.st_size);
	EQ(stx.stx_ino, st.st_ino);
	EQ(stx.stx_mode, st.st_mode);
	EQ(stx.stx_nlink, st.st_nlink);
	EQ(stx.stx_mtime.tv_sec, st.st_mtim.tv_sec);
	EQ(stx.stx_mtime.tv_nsec, st.st_mtim.tv_nsec);
	EQ(stx.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
	FAILS(statx(AT_FDCWD, "absent", 0, STATX_BASIC_STATS, &stx), ENOENT);
	FAILS(statx(AT_FDCWD, "f", 0, STATX__RESERVED, &stx), EINVAL);
}

TEST(statfs_says_something_sane)
{
	struct statfs sf, fsf;

	OK(statfs(".", &sf));
	CHECK(sf.f_bsize > 0);
	EQ(sf.f_namelen, 255);
	OK(fstatfs(OK(open(".", O_RDONLY)), &fsf));
	EQ(sf.f_type, fsf.f_type);
	OK(statfs("/proc", &sf));
	EQ(sf.f_type, 0x9fa0);
}

TEST(chmod_and_access)
{
	struct stat st;

	WRITE_FILE("f", "x");
	OK(chmod("f", 04751));
	OK(stat("f", &st));
	EQ(st.st_mode & 07777, 04751);
	OK(fchmod(OK(open("f", O_RDONLY)), 0600));
	OK(stat("f", &st));
	EQ(st.st_mode & 07777, 0600);
	OK(fchmodat(AT_FDCWD, "f", 0444, 0));
	OK(access("f", F_OK));
	OK(access("f", R_OK));
	FAILS(access("f", X_OK), EACCES); /* not even root: nobody may execute it */
	FAILS(access("absent", F_OK), ENOENT);
	FAILS(access("f", 99), EINVAL);
}

TEST(chown_changes_ids)
{
	struct stat st;

	WRITE_FILE("f", "x");
	OK(chown("f", 12, 34));
	OK(stat("f", &st));
	EQ(st.st_uid, 12);
	EQ(st.st_gid, 34);
	OK(chown("f", -1, 56));
	OK(stat("f", &st));
	EQ(st.st_uid, 12);
	EQ(st.st_gid, 56);
	OK(symlink("f", "link"));
	OK(lchown("link", 78, 90));
	OK(stat("f", &st));
	EQ(st.st_uid, 12);
	OK(lstat("link", &st));
	EQ(st.st_uid, 78);
}

TEST(chown_clears_setuid)
{
	struct stat st;

	WRITE_FILE("f", "x");
	OK(chmod("f", 06755));
	OK(chown("f", 1, 1));
	OK(stat("f", &st));
	EQ(st.st_mode & 07777, 0755);
}

static struct timespec ctime_of(int fd)
{
	struct stat by_fd, by_name;

	OK(fstat(fd, &by_fd));
	OK(stat("f", &by_name));
	EQ(by_fd.st_ctim.tv_sec, by_name.st_ctim.tv_sec);
	EQ(by_fd.st_ctim.tv_nsec, by_name.st_ctim.tv_nsec);
	return by_fd.st_ctim;
}

static int is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

/* Until a change can be told from one at `then` by its time. */
static void let_time_pass(const struct timespec *then)
{
	struct timespec now;

	do
		OK(clock_gettime(CLOCK_REALTIME_COARSE, &now));
	while (!is_before(then, &now));
}

TEST(changes_to_the_same_move_ctime)
{
	struct timespec before, after;
	int fd = open("f", O_RDWR | O_CREAT, 0640);

	OK(fd);
	before = ctime_of(fd);
	for (int what = 0; what < 4; what++) {
		let_time_pass(&before);
		if (what == 0)
			OK(fchown(fd, getuid(), getgid()));
		else if (what == 1)
			OK(fchmod(fd, 0640));
		else if (what == 2)
			EQ(write(fd, "x", 1), 1);
		else
			OK(chown("f", getuid(), (gid_t)-1));
		after = ctime_of(fd);
		CHECK(is_before(&before, &after));
		before = after;
	}
}

/* The limit of a file's size counts whatever way it grows. */
TEST(size_limit_of_copies)
{
	int in, out, fds[2];

	WRITE_FILE("in", "0123456789");
	in = OK(open("in", O_RDONLY));
	out = OK(open("out", O_RDWR | O_CREAT, 0644));
	OK(pipe(fds));
	OK(write(fds[1], "0123456789", 10));
	signal(SIGXFSZ, SIG_IGN);
	OK(setrlimit(RLIMIT_FSIZE, &(struct rlimit){4, 4}));
	EQ(sendfile(out, in, NULL, 10), 4);
	FAILS(sendfile(out, in, NULL, 6), EFBIG);
	FAILS(splice(fds[0], NULL, out, NULL, 10, 0), EFBIG);
	EQ(lseek(out, 0, SEEK_END), 4);
}

TEST(permissions_of_another_user)
{
	pid_t pid;

	WRITE_FILE("mine", "x");
	OK(chmod("mine", 0600));
	WRITE_FILE("theirs", "x");
	OK(chmod("theirs", 0604));
	OK(chmod(".", 0755));
	pid = OK(fork());
	if (pid == 0) {
		OK(setgid(1000));
		OK(setuid(1000));
		FAILS(open("mine", O_RDONLY), EACCES);
		OK(open("theirs", O_RDONLY));
		FAILS(open("theirs", O_WRONLY), EACCES);
		FAILS(open("new", O_WRONLY | O_CREAT, 0644), EACCES);
		FAILS(unlink("theirs"), EACCES);
		FAILS(chmod("theirs", 0666), EPERM);
		FAILS(chown("theirs", 1000, 1000), EPERM);
		_exit(0);
	}
	WAIT_EXIT(pid, 0);
}

TEST(times)
{
	struct timespec ts[2] = {{1000, 500}, {2000, 600}};
	struct timespec some[2] = {{0, UTIME_OMIT}, {3000, 0}};
	struct stat st;

	WRITE_FILE("f", "x");
	OK(utimensat(AT_FDCWD, "f", ts, 0));
	OK(stat("f", &st));
	EQ(st.st_atim.tv_sec, 1000);
	EQ(st.st_mtim.tv_sec, 2000);
	EQ(st.st_mtim.tv_nsec, 600);
	OK(utimensat(AT_FDCWD, "f", some, 0));
	OK(stat("f", &st));
	EQ(st.st_atim.tv_sec, 1000);
	EQ(st.st_mtim.tv_sec, 3000);
	OK(futimens(OK(open("f", O_RDONLY)), NULL));
	OK(stat("f", &st));
	CHECK(st.st_mtim.tv_sec > 1000000000);
}

TEST(writes_move_mtime)
{
	struct timespec past[2] = {{1000, 0}, {1000, 0}};
	struct stat st;
	int fd;

	WRITE_FILE("f", "x");
	fd = OK(open("f", O_WRONLY));
	OK(futimens(fd, past));
	EQ(write(fd, "y", 1), 1);
	OK(fstat(fd, &st));
	CHECK(st.st_mtim.tv_sec > 1000);
}

TEST(unlinked_file_lives_while_open)
{
	char buf[4];
	struct stat st;
	int fd;

	WRITE_FILE("f", "abc");
	fd = OK(open("f", O_RDWR));
	OK(unlink("f"));
	FAILS(stat("f", &st), ENOENT);
	OK(fstat(fd, &st));
	EQ(st.st_nlink, 0);
	EQ(read(fd, buf, 3), 3);
	MEM_EQ(buf, "abc", 3);
	EQ(write(fd, "d", 1), 1);
}

TEST(fallocate_grows)
{
	struct stat st;
	int fd = OK(open("f", O_RDWR | O_CREAT, 0644));

	OK(fallocate(fd, 0, 0, 10000));
	OK(fstat(fd, &st));
	EQ(st.st_size, 10000);
	OK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 20000));
	OK(fstat(fd, &st));
	EQ(st.st_size, 10000);
	FAILS(fallocate(fd, 0, 0, 0), EINVAL);
}

/* The end has moved: nobody reads beyond it, from memory neither. */
TEST(fallocate_moves_the_end)
{
	char buf[10000];
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600));

	memset(buf, 'x', sizeof(buf));
	EQ(write(fd, buf, sizeof(buf)), sizeof(buf));
	for (int i = 0; i < 4; i++)
		EQ(pread(fd, buf, sizeof(buf), 0), sizeof(buf));
	if (fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096) < 0)
		SKIP("the file system can't");
	EQ(pread(fd, buf, 4096, 4096), sizeof(buf) - 2 * 4096);
	EQ(pread(fd, buf, sizeof(buf), 0), sizeof(buf) - 4096);
	OK(fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, 4096));
	EQ(pread(fd, buf, sizeof(buf), 0), sizeof(buf));
	EQ(buf[0], 0);
	EQ(buf[sizeof(buf) - 1], 'x');
}

TEST(fallocate_moves_content)
{
	char block[4096], c;
	struct stat st;
	int fd = OK(open("f", O_RDWR | O_CREAT, 0644));

	for (int i = 0; i < 4; i++) {
		memset(block, 'a' + i, sizeof(block));
		EQ(write(fd, block, sizeof(block)), sizeof(block));
	}
	if (fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 4096, 4096) < 0)
		SKIP("the file system can't");
	OK(fstat(fd, &st));
	EQ(st.st_size, 3 * 4096);
	EQ(lseek(fd, 0, SEEK_END), 3 * 4096);
	EQ(pread(fd, &c, 1, 4096), 1);
	EQ(c, 'c');
	OK(fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, 8192));
	OK(fstat(fd, &st));
	EQ(st.st_size, 5 * 4096);
	EQ(pread(fd, &c, 1, 8192), 1);
	EQ(c, 'a');
}

TEST(sendfile_copies)
{
	char buf[8];
	off_t offset = 2;
	int in, out;

	WRITE_FILE("in", "abcdef");
	in = OK(open("in", O_RDONLY));
	out = OK(open("out", O_RDWR | O_CREAT, 0644));
	EQ(sendfile(out, in, &offset, 3), 3);
	EQ(offset, 5);
	EQ(lseek(in, 0, SEEK_CUR), 0);
	EQ(sendfile(out, in, NULL, 100), 6);
	EQ(pread(out, buf, 8, 0), 8);
	MEM_EQ(buf, "cdeabcde", 8);
}

TEST(flock_between_descriptions)
{
	int a = OK(open("f", O_RDWR | O_CREAT, 0644)), b = OK(open("f", O_RDWR));

	OK(flock(a, LOCK_SH));
	OK(flock(b, LOCK_SH | LOCK_NB));
	FAILS(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	OK(flock(a, LOCK_UN));
	OK(flock(b, LOCK_EX | LOCK_NB));
	FAILS(flock(a, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	OK(close(b));
	OK(flock(a, LOCK_EX | LOCK_NB));
}

TEST(record_locks_between_processes)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10};
	struct flock probe = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 15, .l_len = 1};
	int fd = OK(open("f", O_RDWR | O_CREAT, 0644));
	pid_t parent = getpid(), pid;

	OK(fcntl(fd, F_SETLK, &lock));
	pid = OK(fork());
	if (pid == 0) {
		FAILS(fcntl(fd, F_SETLK, &probe), EAGAIN);
		OK(fcntl(fd, F_GETLK, &probe));
		EQ(probe.l_type, F_WRLCK);
		EQ(probe.l_pid, parent);
		EQ(probe.l_start, 10);
		EQ(probe.l_len, 10);
		probe = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 20};
		OK(fcntl(fd, F_SETLK, &probe));
		_exit(0);
	}
	WAIT_EXIT(pid, 0);
}

TEST(dev_null_zero_full)
{
	char buf[4] = "xyz";
	int null = OK(open("/dev/null", O_RDWR)), zero = OK(open("/dev/zero", O_RDWR));
	struct stat st;

	EQ(read(null, buf, 4), 0);
	EQ(write(null, buf, 4), 4);
	EQ(read(zero, buf, 4), 4);
	MEM_EQ(buf, "\0\0\0\0", 4);
	FAILS(write(OK(open("/dev/full", O_WRONLY)), buf, 1), ENOSPC);
	OK(fstat(null, &st));
	CHECK(S_ISCHR(st.st_mode));
	EQ(st.st_rdev, 0x103);
	EQ(read(OK(open("/dev/urandom", O_RDONLY)), buf, 4), 4);
}

/* Large reads while somebody else cuts the file off and lets it grow again. */
TEST(large_reads_of_a_file_that_is_cut)
{
	enum { SIZE = 512 << 10, ROUNDS = 300 };
	static char buf[SIZE], xs[SIZE];
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600));
	pid_t pid;

	memset(xs, 'x', sizeof(xs));
	EQ(pwrite(fd, xs, SIZE, 0), SIZE);
	pid = OK(fork());
	if (!pid) {
		for (int i = 0; i < ROUNDS; i++)
			if (ftruncate(fd, 5000) || pwrite(fd, xs, SIZE, 0) != SIZE)
				_exit(1);
		_exit(0);
	}
	for (int i = 0; i < ROUNDS; i++) {
		ssize_t n = pread(fd, buf, SIZE, 0);

		CHECK(n >= 5000 && n <= SIZE);
		CHECK(buf[0] == 'x' && buf[4999] == 'x');
		for (ssize_t at = 5000; at < n; at += 4096)
			CHECK(buf[at] == 'x' || buf[at] == 0);
	}
	WAIT_EXIT(pid, 0);
	EQ(pread(fd, buf, SIZE, 0), SIZE);
	MEM_EQ(buf, xs, SIZE);
}

TEST(advice)
{
	static char buf[300000], got[300000];
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600)), p[2];

	memset(buf, 'a', sizeof(buf));
	EQ(write(fd, buf, sizeof(buf)), (ssize_t)sizeof(buf));
	for (int advice = POSIX_FADV_NORMAL; advice <= POSIX_FADV_NOREUSE; advice++)
		for (int i = 0; i < 2; i++) {
			EQ(posix_fadvise(fd, i * 4096, i * 100000, advice), 0);
			EQ(pread(fd, got, sizeof(got), 0), (ssize_t)sizeof(got));
			MEM_EQ(got, buf, sizeof(buf));
		}
	EQ(posix_fadvise(fd, 0, 0, 6), EINVAL);
	EQ(posix_fadvise(fd, 0, -1, POSIX_FADV_WILLNEED), EINVAL);
	EQ(posix_fadvise(-1, 0, 0, POSIX_FADV_WILLNEED), EBADF);
	OK(readahead(fd, 0, 100000));
	OK(readahead(fd, 1 << 30, 0));
	FAILS(readahead(fd, 0, -1), EINVAL);
	FAILS(readahead(OK(open("f", O_WRONLY)), 0, 1), EBADF);
	FAILS(readahead(OK(open(".", O_RDONLY)), 0, 1), EINVAL);
	OK(pipe(p));
	EQ(posix_fadvise(p[0], 0, 0, POSIX_FADV_WILLNEED), ESPIPE);
	FAILS(readahead(p[0], 0, 1), EINVAL);
}
