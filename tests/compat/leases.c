/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that are read all the time, while they change: reads and fstats that a sandbox answers by
 * what it remembers must never be out of date. Who changes a file tells so through shared memory,
 * so that the reader makes no other call in between.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>

#include "compat.h"

#define HOT  200
#define PAGE 4096

static char buf[4 * PAGE], zeros[4 * PAGE];

static void write_file(const char *name, char c, size_t size)
{
	int fd = OK(open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644));

	memset(buf, c, sizeof(buf));
	for (size_t n; size; size -= n) {
		n = size < sizeof(buf) ? size : sizeof(buf);
		EQ(write(fd, buf, n), n);
	}
	OK(close(fd));
}

/* Each call so often that who answers calls by heart does so. The position is as before. */
static void heat(int fd)
{
	off_t pos = OK(lseek(fd, 0, SEEK_CUR));
	struct stat st;

	for (int i = 0; i < HOT; i++) {
		OK(pread(fd, buf, 16, 0));
		OK(fstat(fd, &st));
		OK(lseek(fd, 0, SEEK_SET));
		OK(read(fd, buf, 16));
		EQ(lseek(fd, pos, SEEK_SET), pos);
	}
}

static int hot_file(const char *name, int flags, char c, size_t size)
{
	int fd;

	write_file(name, c, size);
	fd = OK(open(name, flags));
	heat(fd);
	return fd;
}

/* ---- two processes that take turns ---- */

static atomic_int *turns(void)
{
	atomic_int *t = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(t != MAP_FAILED);
	return t;
}

static void await(atomic_int *t, int turn)
{
	while (atomic_load(t) != turn)
		sched_yield();
}

static void pass(atomic_int *t, int turn)
{
	atomic_store(t, turn);
	await(t, turn + 1);
}

static void reap(pid_t pid)
{
	int status;

	EQ(waitpid(pid, &status, 0), pid);
	EQ(status, 0);
}

/* A process that calls change(n) at its n-th turn, `count` times. */
static pid_t changer(atomic_int *t, void (*change)(int), int count)
{
	pid_t pid = OK(fork());

	if (pid)
		return pid;
	for (int n = 0; n < count; n++) {
		await(t, 2 * n + 1);
		change(n);
		atomic_store(t, 2 * n + 2);
	}
	_exit(0);
}

static void append_one(int n)
{
	int fd = OK(open("f", O_WRONLY | O_APPEND));

	buf[0] = (char)('a' + n % 26);
	EQ(write(fd, buf, 1), 1);
	OK(close(fd));
}

TEST(what_is_appended_is_there)
{
	atomic_int *t = turns();
	pid_t pid;
	int fd;

	write_file("f", 'x', 10);
	pid = changer(t, append_one, 50);
	fd = OK(open("f", O_RDONLY));
	heat(fd);
	EQ(lseek(fd, 0, SEEK_END), 10);
	for (int n = 0; n < 50; n++) {
		for (int i = 0; i < HOT; i++)
			EQ(read(fd, buf, 1), 0);
		pass(t, 2 * n + 1);
		EQ(read(fd, buf, 16), 1);
		EQ(buf[0], 'a' + n % 26);
		EQ(lseek(fd, 0, SEEK_END), 11 + n);
	}
	reap(pid);
}

static void rewrite(int n)
{
	static int fd = -1;

	if (fd < 0)
		fd = OK(open("f", O_RDWR));
	memset(buf, 'a' + n % 26, 3 * PAGE);
	EQ(pwrite(fd, buf, 3 * PAGE, 0), 3 * PAGE);
}

TEST(what_is_overwritten_is_new)
{
	atomic_int *t = turns();
	pid_t pid;
	int fd;

	write_file("f", 'x', 3 * PAGE);
	pid = changer(t, rewrite, 100);
	fd = OK(open("f", O_RDONLY));
	heat(fd);
	for (int n = 0; n < 100; n++) {
		pass(t, 2 * n + 1);
		EQ(pread(fd, buf, 3 * PAGE, 0), 3 * PAGE);
		for (int i = 0; i < 3 * PAGE; i += 64)
			EQ(buf[i], 'a' + n % 26);
	}
	reap(pid);
}

static void resize(int n)
{
	static const off_t size[] = {100, 3 * PAGE, 0, 2 * PAGE, PAGE + 1, PAGE};

	OK(truncate("f", size[n % 6]));
}

TEST(the_size_is_the_new_one)
{
	static const off_t size[] = {100, 3 * PAGE, 0, 2 * PAGE, PAGE + 1, PAGE};
	atomic_int *t = turns();
	struct stat st;
	pid_t pid;
	int fd;

	write_file("f", 'x', 3 * PAGE);
	pid = changer(t, resize, 60);
	fd = OK(open("f", O_RDONLY));
	heat(fd);
	for (int n = 0; n < 60; n++) {
		heat(fd);
		pass(t, 2 * n + 1);
		switch (n % 3) {
		case 0:
			EQ(pread(fd, buf, sizeof(buf), 0), size[n % 6]);
			break;
		case 1:
			EQ(lseek(fd, 0, SEEK_END), size[n % 6]);
			break;
		default:
			EQ(pread(fd, buf, 10, size[n % 6]), 0);
		}
		OK(fstat(fd, &st));
		EQ(st.st_size, size[n % 6]);
		EQ(pread(fd, buf, sizeof(buf), 0), size[n % 6]);
		if (n == 1) {
			EQ(buf[99], 'x');
			CHECK(!memcmp(buf + 100, zeros, 3 * PAGE - 100));
		}
		OK(lseek(fd, 0, SEEK_SET));
	}
	reap(pid);
}

static void change_attributes(int n)
{
	const struct timespec times[2] = {{1000 + n, 0}, {2000 + n, 5}};

	switch (n % 5) {
	case 0:
		OK(chmod("f", 0600 + (n & 7)));
		break;
	case 1:
		OK(utimensat(AT_FDCWD, "f", times, 0));
		break;
	case 2:
		OK(link("f", "g"));
		break;
	case 3:
		OK(unlink("g"));
		break;
	case 4:
		append_one(n);
	}
}

TEST(attributes_are_the_new_ones)
{
	atomic_int *t = turns();
	struct stat st, by_name, before;
	pid_t pid;
	int fd;

	write_file("f", 'x', 10);
	pid = changer(t, change_attributes, 100);
	fd = OK(open("f", O_RDONLY));
	for (int n = 0; n < 100; n++) {
		heat(fd);
		OK(fstat(fd, &before));
		pass(t, 2 * n + 1);
		if (n & 1)
			OK(fstat(fd, &st));
		else
			EQ(syscall(SYS_newfstatat, fd, "", &st, AT_EMPTY_PATH), 0);
		OK(stat("f", &by_name));
		MEM_EQ(&st, &by_name, sizeof(st));
		CHECK(memcmp(&st, &before, sizeof(st)) != 0);
		if (n % 5 == 0)
			EQ(st.st_mode & 0777, 0600 + (n & 7));
		if (n % 5 == 1)
			EQ(st.st_mtim.tv_sec, 2000 + n);
		EQ(st.st_nlink, n % 5 == 2 ? 2 : 1);
	}
	reap(pid);
}

static void unlink_and_remake(int n)
{
	(void)n;
	OK(unlink("f"));
	write_file("f", 'n', 5);
}

static void rename_over(int n)
{
	(void)n;
	write_file("g", 'n', 5);
	OK(rename("g", "f"));
}

static void old_file_stays(void (*change)(int))
{
	atomic_int *t = turns();
	struct stat st;
	pid_t pid;
	int fd;

	write_file("f", 'x', 10);
	pid = changer(t, change, 1);
	fd = OK(open("f", O_RDONLY));
	heat(fd);
	OK(fstat(fd, &st));
	EQ(st.st_nlink, 1);
	pass(t, 1);
	OK(fstat(fd, &st));
	EQ(st.st_nlink, 0);
	EQ(pread(fd, buf, 16, 0), 10);
	EQ(buf[9], 'x');
	heat(fd);
	OK(fstat(fd, &st));
	EQ(st.st_nlink, 0);
	OK(close(fd));
	EQ(fd, OK(open("f", O_RDONLY)));
	heat(fd);
	EQ(pread(fd, buf, 16, 0), 5);
	EQ(buf[0], 'n');
	reap(pid);
}

TEST(an_unlinked_file_is_the_old_one)
{
	old_file_stays(unlink_and_remake);
}

TEST(a_file_renamed_over_is_the_old_one)
{
	old_file_stays(rename_over);
}

static void map_and_store(int n)
{
	static char *p;

	if (!p) {
		int fd = OK(open("f", O_RDWR));

		p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		CHECK(p != MAP_FAILED);
		OK(close(fd));
	}
	p[7] = (char)n;
}

TEST(what_is_stored_into_a_mapping_is_read)
{
	atomic_int *t = turns();
	pid_t pid;
	int fd;

	write_file("f", 'x', PAGE);
	pid = changer(t, map_and_store, 100);
	fd = OK(open("f", O_RDONLY));
	heat(fd);
	for (int n = 0; n < 100; n++) {
		pass(t, 2 * n + 1);
		EQ(pread(fd, buf, 8, 0), 8);
		EQ(buf[7], (char)n);
	}
	reap(pid);
}

/* ---- descriptors ---- */

TEST(another_file_at_the_same_number)
{
	int fd = hot_file("f", O_RDONLY, 'f', 10), other;

	write_file("g", 'g', 20);
	other = OK(open("g", O_RDONLY));
	for (int i = 0; i < 20; i++) {
		EQ(pread(fd, buf, 32, 0), 10);
		EQ(buf[0], 'f');
		EQ(dup2(other, fd), fd);
		EQ(pread(fd, buf, 32, 0), 20);
		EQ(buf[0], 'g');
		heat(fd);
		OK(close(fd));
		FAILS(pread(fd, buf, 32, 0), EBADF);
		FAILS(read(fd, buf, 32), EBADF);
		FAILS(lseek(fd, 0, SEEK_CUR), EBADF);
		EQ(OK(open("f", O_RDONLY)), fd);
		heat(fd);
	}
	OK(close(other));
	OK(syscall(SYS_close_range, fd, fd, 0));
	FAILS(pread(fd, buf, 32, 0), EBADF);
}

TEST(a_descriptor_that_cannot_be_read)
{
	struct stat st;
	int fd;

	write_file("f", 'f', 10);
	fd = OK(open("f", O_WRONLY));
	for (int i = 0; i < HOT; i++)
		OK(fstat(fd, &st));
	FAILS(pread(fd, buf, 1, 0), EBADF);
	FAILS(read(fd, buf, 1), EBADF);
	OK(close(fd));
	fd = OK(open("f", O_PATH));
	for (int i = 0; i < HOT; i++)
		OK(fstat(fd, &st));
	FAILS(pread(fd, buf, 1, 0), EBADF);
}

TEST(a_duplicate_has_the_same_position)
{
	int fd = hot_file("f", O_RDONLY, 'f', 1000), copy = OK(dup(fd));

	for (int i = 0; i < HOT; i++) {
		EQ(read(fd, buf, 1), 1);
		EQ(lseek(copy, 0, SEEK_CUR), 2 * i + 1);
		EQ(read(copy, buf, 1), 1);
		EQ(lseek(fd, 0, SEEK_CUR), 2 * i + 2);
	}
	OK(close(copy));
	heat(fd);
	EQ(lseek(fd, 0, SEEK_CUR), 2 * HOT);
	EQ(read(fd, buf, 1), 1);
	copy = OK(dup(fd));
	EQ(lseek(copy, 0, SEEK_CUR), 2 * HOT + 1);
	OK(close(fd));
	heat(copy);
	EQ(lseek(copy, 0, SEEK_CUR), 2 * HOT + 1);
}

TEST(an_opening_by_proc_has_a_position_of_its_own)
{
	int fd = hot_file("f", O_RDONLY, 'f', 1000), other;
	char name[40];

	EQ(lseek(fd, 500, SEEK_SET), 500);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	other = OK(open(name, O_RDONLY));
	heat(other);
	EQ(lseek(other, 0, SEEK_CUR), 0);
	EQ(read(other, buf, 100), 100);
	EQ(lseek(fd, 0, SEEK_CUR), 500);
}

static long fdinfo_pos(pid_t pid, int fd)
{
	char name[60], text[200];
	int info;
	ssize_t n;
	long pos = -1;

	snprintf(name, sizeof(name), "/proc/%d/fdinfo/%d", pid, fd);
	info = OK(open(name, O_RDONLY));
	n = OK(read(info, text, sizeof(text) - 1));
	text[n] = '\0';
	OK(close(info));
	EQ(sscanf(text, "pos: %ld", &pos), 1);
	return pos;
}

TEST(others_see_the_position)
{
	int fd = hot_file("f", O_RDONLY, 'f', 1000);
	atomic_int *t = turns();
	pid_t pid, parent = getpid();

	pid = OK(fork());
	if (!pid) {
		OK(close(fd));
		for (int n = 0; n < 50; n++) {
			await(t, 2 * n + 1);
			EQ(fdinfo_pos(parent, fd), n + 1);
			atomic_store(t, 2 * n + 2);
		}
		_exit(0);
	}
	/* Until the child has closed its own. */
	EQ(read(fd, buf, 1), 1);
	pass(t, 1);
	for (int n = 1; n < 50; n++) {
		heat(fd);
		EQ(read(fd, buf, 1), 1);
		EQ(lseek(fd, 0, SEEK_CUR), n + 1);
		pass(t, 2 * n + 1);
		EQ(fdinfo_pos(getpid(), fd), n + 1);
	}
	reap(pid);
}

/* ---- positions ---- */

TEST(seeks)
{
	int fd = hot_file("f", O_RDWR, 'f', 1000);

	for (int i = 0; i < HOT; i++) {
		EQ(lseek(fd, 10, SEEK_SET), 10);
		EQ(lseek(fd, 5, SEEK_CUR), 15);
		EQ(lseek(fd, -15, SEEK_CUR), 0);
		FAILS(lseek(fd, -1, SEEK_CUR), EINVAL);
		EQ(lseek(fd, -1, SEEK_END), 999);
		EQ(read(fd, buf, 10), 1);
		EQ(read(fd, buf, 10), 0);
		EQ(lseek(fd, 10, SEEK_END), 1010);
		EQ(read(fd, buf, 10), 0);
		EQ(lseek(fd, 0, SEEK_CUR), 1010);
		FAILS(lseek(fd, -1, SEEK_SET), EINVAL);
		FAILS(lseek(fd, 0, 77), EINVAL);
		FAILS(lseek(fd, 1000, SEEK_DATA), ENXIO);
		EQ(lseek(fd, 10, SEEK_DATA), 10);
		EQ(lseek(fd, 10, SEEK_HOLE), 1000);
		EQ(lseek(fd, 0, SEEK_CUR), 1000);
		FAILS(pread(fd, buf, 10, -1), EINVAL);
		EQ(pread(fd, buf, 10, 1LL << 40), 0);
		EQ(pread(fd, buf, 0, 0), 0);
		EQ(pread(fd, buf, 10, 995), 5);
	}
}

TEST(reads_and_writes_share_the_position)
{
	int fd = hot_file("f", O_RDWR, 'f', 100);
	struct iovec v = {buf, 3};

	for (int i = 0; i < 100; i++) {
		EQ(lseek(fd, 10 * i, SEEK_SET), 10 * i);
		EQ(read(fd, buf, 4), 4);
		memset(buf, 'a' + i % 26, 106);
		EQ(write(fd, buf, 106), 106);
		EQ(lseek(fd, 0, SEEK_CUR), 10 * i + 110);
		EQ(read(fd, buf, 4), 0);
		EQ(lseek(fd, -106, SEEK_CUR), 10 * i + 4);
		EQ(read(fd, buf, 2), 2);
		EQ(buf[1], 'a' + i % 26);
		EQ(readv(fd, &v, 1), 3);
		EQ(lseek(fd, 0, SEEK_CUR), 10 * i + 9);
		heat(fd);
	}
	OK(close(fd));
	fd = OK(open("f", O_RDWR | O_APPEND));
	heat(fd);
	EQ(lseek(fd, 0, SEEK_CUR), 0);
	EQ(write(fd, "end", 3), 3);
	EQ(lseek(fd, 0, SEEK_CUR), 1103);
	EQ(read(fd, buf, 4), 0);
	EQ(pread(fd, buf, 4, 1100), 3);
	EQ(memcmp(buf, "end", 3), 0);
}

TEST(a_child_shares_the_position)
{
	int fd = hot_file("f", O_RDONLY, 'f', 1000);
	atomic_int *t = turns();
	pid_t pid;

	EQ(read(fd, buf, 7), 7);
	pid = OK(fork());
	if (!pid) {
		for (int n = 0; n < 50; n++) {
			await(t, 2 * n + 1);
			EQ(lseek(fd, 0, SEEK_CUR), 7 + 3 * n + 1);
			EQ(read(fd, buf, 2), 2);
			atomic_store(t, 2 * n + 2);
		}
		_exit(0);
	}
	for (int n = 0; n < 50; n++) {
		EQ(lseek(fd, 0, SEEK_CUR), 7 + 3 * n);
		EQ(read(fd, buf, 1), 1);
		pass(t, 2 * n + 1);
	}
	reap(pid);
	EQ(lseek(fd, 0, SEEK_CUR), 157);
	heat(fd);
	EQ(read(fd, buf, 3), 3);
	EQ(lseek(fd, 0, SEEK_CUR), 160);
}

TEST(a_vfork_child_shares_the_position)
{
	int fd = hot_file("f", O_RDONLY, 'f', 1000);
	pid_t pid;

	for (int i = 0; i < 20; i++) {
		EQ(lseek(fd, 0, SEEK_CUR), 3 * i);
		EQ(read(fd, buf, 1), 1);
		pid = vfork();
		if (!pid) {
			for (int n = 0; n < HOT; n++)
				if (pread(fd, buf, 16, 0) != 16)
					_exit(1);
			if (lseek(fd, 0, SEEK_CUR) != 3 * i + 1 || read(fd, buf, 2) != 2)
				_exit(2);
			close(fd);
			_exit(pread(fd, buf, 1, 0) < 0 ? 0 : 3);
		}
		CHECK(pid > 0);
		reap(pid);
	}
	EQ(lseek(fd, 0, SEEK_CUR), 60);
	EQ(pread(fd, buf, 1, 0), 1);
}

static void send_fd(int sock, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = {0}, c = 'x';
	struct iovec v = {&c, 1};
	struct msghdr m = {.msg_iov = &v,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	struct cmsghdr *cm = CMSG_FIRSTHDR(&m);

	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cm), &fd, sizeof(fd));
	EQ(sendmsg(sock, &m, 0), 1);
}

static int receive_fd(int sock)
{
	char control[CMSG_SPACE(sizeof(int))], c;
	struct iovec v = {&c, 1};
	struct msghdr m = {.msg_iov = &v,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	int fd;

	EQ(recvmsg(sock, &m, 0), 1);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}

TEST(a_descriptor_that_was_sent_shares_the_position)
{
	atomic_int *t = turns();
	int sock[2], fd;
	pid_t pid;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	pid = OK(fork());
	if (!pid) {
		fd = receive_fd(sock[1]);
		for (int n = 0; n < 20; n++) {
			await(t, 2 * n + 1);
			heat(fd);
			EQ(lseek(fd, 0, SEEK_CUR), 9 + 3 * n + 1);
			EQ(read(fd, buf, 2), 2);
			atomic_store(t, 2 * n + 2);
		}
		_exit(0);
	}
	fd = hot_file("f", O_RDONLY, 'f', 1000);
	EQ(read(fd, buf, 9), 9);
	send_fd(sock[0], fd);
	for (int n = 0; n < 20; n++) {
		heat(fd);
		EQ(read(fd, buf, 1), 1);
		pass(t, 2 * n + 1);
	}
	EQ(lseek(fd, 0, SEEK_CUR), 69);
	reap(pid);
}

TEST(a_program_inherits_the_position)
{
	int fd = hot_file("f", O_RDONLY, 'f', 1000);
	char number[20];
	pid_t pid;

	EQ(read(fd, buf, 33), 33);
	snprintf(number, sizeof(number), "%d", fd);
	setenv("LEASES_FD", number, 1);
	for (int how = 0; how < 2; how++) {
		pid = how ? vfork() : OK(fork());
		if (!pid) {
			execl("/proc/self/exe", "leases", NULL);
			_exit(1);
		}
		reap(pid);
	}
	EQ(lseek(fd, 0, SEEK_CUR), 33 + 2 * 10);
	heat(fd);
	execl("/proc/self/exe", "leases", NULL);
	_exit(1);
}

/* What this program does if it is executed with a descriptor in its environment. */
__attribute__((constructor)) static void inherit(void)
{
	const char *number = getenv("LEASES_FD");
	off_t pos;
	int fd;

	if (!number)
		return;
	fd = atoi(number);
	pos = OK(lseek(fd, 0, SEEK_CUR));
	CHECK(pos == 33 || pos == 43 || pos == 53);
	heat(fd);
	EQ(read(fd, buf, 10), 10);
	EQ(lseek(fd, 0, SEEK_CUR), pos + 10);
	_exit(0);
}

/* ---- buffers ---- */

TEST(buffers_that_end)
{
	int fd = hot_file("f", O_RDONLY, 'f', 3 * PAGE);
	char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	OK(munmap(p + PAGE, PAGE));
	for (int i = 0; i < 20; i++) {
		heat(fd);
		FAILS(pread(fd, NULL, 10, 0), EFAULT);
		FAILS(pread(fd, (void *)0x7fff00000000, 10, 0), EFAULT);
		FAILS(pread(fd, (void *)-4096l, 10, 0), EFAULT);
		FAILS(read(fd, p + PAGE, 10), EFAULT);
		FAILS(fstat(fd, (void *)(p + PAGE)), EFAULT);
		FAILS(fstat(fd, (void *)(p + PAGE - 10)), EFAULT);
		EQ(syscall(SYS_newfstatat, fd, "f", p, 0), -1);
		memset(p, 0, PAGE);
		EQ(pread(fd, p + PAGE - 10, 10, 0), 10);
		EQ(p[PAGE - 1], 'f');
	}
}

TEST(a_buffer_that_is_read_only)
{
	int fd = hot_file("f", O_RDONLY, 'f', 3 * PAGE);
	char *p = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	for (int i = 0; i < HOT; i++)
		FAILS(pread(fd, p, 10, 0), EFAULT);
	heat(fd);
	EQ(pread(fd, buf, 10, 0), 10);
}

/* The file into which is read is the one that is read. */
TEST(a_buffer_in_the_file_itself)
{
	int fd = hot_file("f", O_RDWR, 'f', 2 * PAGE);
	char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	CHECK(p != MAP_FAILED);
	heat(fd);
	EQ(pwrite(fd, "abcd", 4, 0), 4);
	EQ(pread(fd, p + PAGE, 4, 0), 4);
	EQ(memcmp(p + PAGE, "abcd", 4), 0);
	EQ(pread(fd, buf, 4, PAGE), 4);
	EQ(memcmp(buf, "abcd", 4), 0);
}

TEST(large_files_and_reads)
{
	const off_t far = 64 << 20;
	int fd = hot_file("f", O_RDWR, 'f', PAGE);
	char *large = malloc(8 << 20);

	OK(ftruncate(fd, far + 10));
	EQ(pwrite(fd, "0123456789abcdef", 16, far - 8), 16);
	heat(fd);
	for (int i = 0; i < HOT; i++) {
		EQ(pread(fd, buf, 8, far - 8), 8);
		EQ(memcmp(buf, "01234567", 8), 0);
		EQ(pread(fd, buf, 16, far - 8), 16);
		EQ(memcmp(buf, "0123456789abcdef", 16), 0);
		EQ(pread(fd, buf, 16, far), 10);
		EQ(memcmp(buf, "89abcdef", 8), 0);
		EQ(pread(fd, buf, 16, far + 10), 0);
	}
	EQ(lseek(fd, 0, SEEK_SET), 0);
	EQ(read(fd, large, 3 << 20), 3 << 20);
	EQ(large[PAGE - 1], 'f');
	EQ(large[PAGE], 0);
	EQ(read(fd, large, 8 << 20), 8 << 20);
	EQ(lseek(fd, 0, SEEK_CUR), 11 << 20);
}

/* ---- many at once ---- */

TEST(many_files)
{
	char name[20];
	int fd[20];

	for (int n = 0; n < 20; n++) {
		snprintf(name, sizeof(name), "f%d", n);
		fd[n] = hot_file(name, O_RDONLY, (char)('a' + n), (size_t)(100 + n));
	}
	for (int i = 0; i < HOT; i++)
		for (int n = 0; n < 20; n++) {
			EQ(pread(fd[n], buf, 200, 0), 100 + n);
			EQ(buf[99], 'a' + n);
		}
	for (int n = 0; n < 20; n++)
		heat(fd[n]);
	for (int n = 0; n < 20; n += 2)
		OK(close(fd[n]));
	for (int n = 1; n < 20; n += 2) {
		FAILS(pread(fd[n - 1], buf, 1, 0), EBADF);
		EQ(pread(fd[n], buf, 200, 0), 100 + n);
	}
}

static int shared_fd, shared_other;
static atomic_int thread_turn;

static void *replace(void *arg)
{
	await(&thread_turn, 1);
	OK(dup2(shared_other, shared_fd));
	atomic_store(&thread_turn, 2);
	await(&thread_turn, 3);
	OK(close(shared_fd));
	atomic_store(&thread_turn, 4);
	return arg;
}

TEST(another_thread_changes_the_table)
{
	pthread_t thread;

	shared_fd = hot_file("f", O_RDONLY, 'f', 10);
	shared_other = hot_file("g", O_RDONLY, 'g', 20);
	for (int i = 0; i < 10; i++) {
		shared_fd = OK(open("f", O_RDONLY));
		heat(shared_fd);
		atomic_store(&thread_turn, 0);
		EQ(pthread_create(&thread, NULL, replace, NULL), 0);
		heat(shared_fd);
		pass(&thread_turn, 1);
		EQ(pread(shared_fd, buf, 32, 0), 20);
		EQ(buf[0], 'g');
		pass(&thread_turn, 3);
		FAILS(pread(shared_fd, buf, 32, 0), EBADF);
		EQ(pthread_join(thread, NULL), 0);
	}
}

static int clone_replace_only(void *arg)
{
	(void)arg;
	return dup2(shared_other, shared_fd) == shared_fd ? 0 : 1;
}

static int clone_main(void *arg)
{
	return (int)(long)replace(arg);
}

TEST(another_process_changes_the_table)
{
	static char stack[65536] __attribute__((aligned(16)));
	atomic_int *t = turns();
	pid_t pid;
	int fd;

	fd = hot_file("f", O_RDONLY, 'f', 10);
	shared_other = hot_file("g", O_RDONLY, 'g', 20);
	shared_fd = fd;
	atomic_store(&thread_turn, 0);
	pid = OK(clone(clone_main, stack + sizeof(stack), CLONE_FILES | CLONE_VM | SIGCHLD, NULL));
	heat(fd);
	pass(&thread_turn, 1);
	EQ(pread(fd, buf, 32, 0), 20);
	pass(&thread_turn, 3);
	FAILS(pread(fd, buf, 32, 0), EBADF);
	reap(pid);
	fd = hot_file("f", O_RDONLY, 'f', 10);
	pid = (pid_t)OK(syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0));
	if (!pid) {
		await(t, 1);
		OK(dup2(shared_other, fd));
		atomic_store(t, 2);
		_exit(0);
	}
	heat(fd);
	pass(t, 1);
	EQ(pread(fd, buf, 32, 0), 20);
	reap(pid);
	heat(fd);
	EQ(pread(fd, buf, 32, 0), 20);
}

/* The child runs before its parent goes on, in the parent's memory, with the parent's table. */
TEST(a_vfork_child_changes_the_table)
{
	static char child_stack[65536] __attribute__((aligned(16)));
	pid_t pid;

	for (int i = 0; i < 10; i++) {
		shared_fd = hot_file("f", O_RDONLY, 'f', 10);
		shared_other = hot_file("g", O_RDONLY, 'g', 20);
		atomic_store(&thread_turn, 1);
		pid = OK(clone(clone_replace_only, child_stack + sizeof(child_stack),
			       CLONE_FILES | CLONE_VM | CLONE_VFORK | SIGCHLD, NULL));
		EQ(pread(shared_fd, buf, 32, 0), 20);
		reap(pid);
		write_file("f", 'h', 11);
		heat(shared_fd);
		EQ(pread(shared_fd, buf, 32, 0), 20);
	}
}

/* ---- signals ---- */

static int signal_fd;
static volatile int handled;
static volatile long by_handler;

static void read_in_handler(int signo)
{
	char c;
	int saved = errno;

	(void)signo;
	if (read(signal_fd, &c, 1) == 1)
		by_handler++;
	handled++;
	errno = saved;
}

TEST(handlers_read_too)
{
	struct itimerval every = {{0, 500}, {0, 500}};
	long here = 0;
	char c;

	write_file("f", 'f', 1 << 20);
	signal_fd = OK(open("f", O_RDONLY));
	heat(signal_fd);
	signal(SIGALRM, read_in_handler);
	OK(setitimer(ITIMER_REAL, &every, NULL));
	while (handled < 200 && here < 900000)
		here += OK(read(signal_fd, &c, 1));
	every = (struct itimerval){{0, 0}, {0, 0}};
	OK(setitimer(ITIMER_REAL, &every, NULL));
	EQ(lseek(signal_fd, 0, SEEK_CUR), here + by_handler);
}

/* ---- races ---- */

static void cut_and_fill(int rounds)
{
	int fd = OK(open("f", O_RDWR));

	for (int i = 0; i < rounds; i++) {
		OK(ftruncate(fd, 0));
		memset(buf, 'b', 2 * PAGE);
		EQ(pwrite(fd, buf, 2 * PAGE, 0), 2 * PAGE);
		OK(ftruncate(fd, PAGE + 5));
	}
	OK(close(fd));
}

TEST(reads_while_the_file_is_cut_off)
{
	atomic_int *t = turns();
	pid_t pid;
	int fd;

	write_file("f", 'b', 2 * PAGE);
	pid = OK(fork());
	if (!pid) {
		cut_and_fill(1000);
		atomic_store(t, 1);
		_exit(0);
	}
	fd = OK(open("f", O_RDONLY));
	while (!atomic_load(t)) {
		ssize_t n = OK(pread(fd, buf, sizeof(buf), 0));

		CHECK(n <= 2 * PAGE);
		for (ssize_t i = 0; i < n; i++)
			CHECK(buf[i] == 'b' || buf[i] == 0);
	}
	EQ(pread(fd, buf, sizeof(buf), 0), PAGE + 5);
	reap(pid);
}

/* A file that only grows: nobody ever sees it shorter than it was, or bytes that aren't there. */
TEST(reads_while_the_file_grows)
{
	atomic_int *size = turns();
	pid_t pid;
	int fd;

	write_file("f", 'g', 1);
	atomic_store(size, 1);
	pid = OK(fork());
	if (!pid) {
		fd = OK(open("f", O_WRONLY | O_APPEND));
		memset(buf, 'g', sizeof(buf));
		for (int i = 0; i < 5000; i++) {
			EQ(write(fd, buf, 3), 3);
			atomic_store(size, 4 + 3 * i);
		}
		_exit(0);
	}
	fd = OK(open("f", O_RDONLY));
	for (int before = 0; before < 15001;) {
		struct stat st;
		ssize_t n;

		before = atomic_load(size);
		n = OK(pread(fd, buf, sizeof(buf), 0));
		CHECK(n >= before && n <= 15001);
		CHECK(buf[n - 1] == 'g');
		OK(fstat(fd, &st));
		CHECK(st.st_size >= n);
	}
	reap(pid);
}
