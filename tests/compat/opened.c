/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that were just opened, and the devices that hold nothing: what a sandbox sends along with
 * the open (attributes, length, the file's beginning) must not be read once it is out of date.
 */
#include <stdatomic.h>
#include <sys/mman.h>

#include "compat.h"

#define PAGE  4096
#define SMALL 3000
#define LARGE 40000
#define HOT   200

static char buf[LARGE];

static int make(const char *name, char c, size_t size)
{
	int fd = OK(open(name, O_RDWR | O_CREAT | O_TRUNC, 0644));

	memset(buf, c, size);
	EQ(write(fd, buf, size), size);
	return fd;
}

/* `change` in another process, while this one has the file open and has read nothing of it. */
static void in_child(void (*change)(int), int fd)
{
	pid_t pid = OK(fork());
	int status;

	if (!pid) {
		change(fd);
		_exit(0);
	}
	EQ(waitpid(pid, &status, 0), pid);
	EQ(status, 0);
}

/* All of it is c, by each way to read it. */
static void is_all(int fd, char c, size_t size)
{
	struct stat st;

	OK(fstat(fd, &st));
	EQ(st.st_size, size);
	EQ(pread(fd, buf, sizeof(buf), 0), size);
	for (size_t i = 0; i < size; i++)
		EQ(buf[i], c);
	EQ(lseek(fd, 0, SEEK_SET), 0);
	EQ(read(fd, buf, sizeof(buf)), size);
	for (size_t i = 0; i < size; i++)
		EQ(buf[i], c);
	EQ(read(fd, buf, sizeof(buf)), 0);
	EQ(lseek(fd, 0, SEEK_CUR), size);
}

TEST(is_read_from_its_beginning_to_its_end)
{
	static const size_t sizes[] = {0, 1, 832, 1024, 1025, 8191, 8192, 8193, LARGE};

	for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
		int fd;

		OK(close(make("f", 'x', sizes[s])));
		fd = OK(open("f", O_RDONLY));
		is_all(fd, 'x', sizes[s]);
		OK(close(fd));
	}
}

TEST(is_read_in_pieces)
{
	char piece[7];
	int fd = make("f", 0, SMALL);

	for (size_t i = 0; i < SMALL; i++)
		buf[i] = (char)(i * 31 / 7);
	EQ(pwrite(fd, buf, SMALL, 0), SMALL);
	OK(close(fd));
	fd = OK(open("f", O_RDONLY));
	for (size_t at = 0; at < SMALL; at += sizeof(piece)) {
		size_t n = SMALL - at < sizeof(piece) ? SMALL - at : sizeof(piece);

		EQ(read(fd, piece, sizeof(piece)), n);
		CHECK(!memcmp(piece, buf + at, n));
	}
	EQ(read(fd, piece, sizeof(piece)), 0);
	OK(close(fd));
}

static void open_and_write(int unused)
{
	int fd = OK(open("f", O_WRONLY));

	(void)unused;
	memset(buf, 'y', SMALL);
	EQ(pwrite(fd, buf, SMALL, 0), SMALL);
	OK(close(fd));
}

TEST(is_written_afterwards)
{
	int fd;

	OK(close(make("f", 'x', SMALL)));
	fd = OK(open("f", O_RDONLY));
	in_child(open_and_write, -1);
	is_all(fd, 'y', SMALL);
	OK(close(fd));
}

static void just_write(int fd)
{
	memset(buf, 'y', SMALL);
	EQ(pwrite(fd, buf, SMALL, 0), SMALL);
}

TEST(is_written_by_who_had_it_open)
{
	int writer = make("f", 'x', SMALL), fd = OK(open("f", O_RDONLY));

	in_child(just_write, writer);
	is_all(fd, 'y', SMALL);
	just_write(writer);
	memset(buf, 'z', 10);
	EQ(pwrite(writer, buf, 10, 100), 10);
	EQ(pread(fd, buf, 3, 109), 3);
	CHECK(!memcmp(buf, "zyy", 3));
	OK(close(fd));
	OK(close(writer));
}

static char *mapping;

static void store(int unused)
{
	(void)unused;
	memset(mapping, 'y', SMALL);
}

/* The descriptor of the mapping is closed before the file is opened for reading. */
TEST(is_written_through_a_mapping)
{
	int fd = make("f", 'x', SMALL);

	mapping = mmap(NULL, SMALL, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(mapping != MAP_FAILED);
	OK(close(fd));
	fd = OK(open("f", O_RDONLY));
	in_child(store, -1);
	is_all(fd, 'y', SMALL);
	memset(mapping, 'z', SMALL);
	is_all(fd, 'z', SMALL);
	OK(munmap(mapping, SMALL));
	OK(close(fd));
}

static void cut_and_fill(int unused)
{
	(void)unused;
	OK(truncate("f", 10));
	OK(truncate("f", SMALL));
}

TEST(is_cut_off_and_filled)
{
	int fd;

	OK(close(make("f", 'x', SMALL)));
	fd = OK(open("f", O_RDONLY));
	in_child(cut_and_fill, -1);
	EQ(pread(fd, buf, sizeof(buf), 0), SMALL);
	EQ(buf[9], 'x');
	EQ(buf[10], 0);
	EQ(buf[SMALL - 1], 0);
	OK(close(fd));
}

static void make_again(int unused)
{
	(void)unused;
	OK(close(make("f", 'y', 100)));
}

TEST(is_made_again)
{
	int fd;

	OK(close(make("f", 'x', SMALL)));
	fd = OK(open("f", O_RDONLY));
	in_child(make_again, -1);
	is_all(fd, 'y', 100);
	OK(close(fd));
}

static void change_attributes(int unused)
{
	(void)unused;
	OK(chmod("f", 0600));
	OK(link("f", "g"));
}

TEST(has_other_attributes)
{
	struct stat st;
	int fd;

	OK(close(make("f", 'x', SMALL)));
	OK(chmod("f", 0644));
	fd = OK(open("f", O_RDONLY));
	in_child(change_attributes, -1);
	OK(fstat(fd, &st));
	EQ(st.st_mode & 0777, 0600);
	EQ(st.st_nlink, 2);
	OK(close(fd));
	OK(unlink("g"));
}

/* The beginning of one file is not another's. */
TEST(one_after_the_other)
{
	int fds[12];

	for (int i = 0; i < 12; i++) {
		char name[] = {'f', (char)('a' + i), 0};

		OK(close(make(name, (char)('a' + i), 500 + (size_t)i)));
	}
	for (int i = 0; i < 12; i++) {
		char name[] = {'f', (char)('a' + i), 0};

		fds[i] = OK(open(name, O_RDONLY));
	}
	for (int i = 0; i < 12; i++)
		is_all(fds[i], (char)('a' + i), 500 + (size_t)i);
	for (int i = 0; i < 12; i += 2)
		OK(close(fds[i]));
	for (int i = 0; i < 12; i += 2) {
		char name[] = {'f', (char)('b' + i), 0};

		fds[i] = OK(open(name, O_RDONLY));
	}
	for (int i = 0; i < 12; i++)
		is_all(fds[i], (char)('a' + (i | 1)), 500 + (size_t)(i | 1));
	for (int i = 0; i < 12; i++)
		OK(close(fds[i]));
}

TEST(who_opens_and_does_not_read)
{
	OK(close(make("f", 'x', SMALL)));
	for (int i = 0; i < HOT; i++) {
		int fd = OK(open("f", O_RDONLY));

		if (i % 20 == 0)
			is_all(fd, 'x', SMALL);
		OK(close(fd));
	}
}

/* ---- devices ---- */

TEST(null_takes_all_and_gives_nothing)
{
	int fd = OK(open("/dev/null", O_RDWR)), in = OK(open("/dev/null", O_RDONLY)),
	    out = OK(open("/dev/null", O_WRONLY));

	for (int i = 0; i < HOT; i++) {
		EQ(write(fd, buf, sizeof(buf)), sizeof(buf));
		EQ(read(fd, buf, sizeof(buf)), 0);
		EQ(write(out, buf, 1), 1);
		EQ(read(in, buf, 1), 0);
		FAILS(write(in, buf, 1), EBADF);
		FAILS(read(out, buf, 1), EBADF);
		EQ(write(fd, buf, 0), 0);
		FAILS(write(out, (void *)-4096l, 10), EFAULT);
	}
	OK(close(in));
	OK(close(out));
	for (int i = 0; i < HOT; i++)
		FAILS(write(out, buf, 1), EBADF);
	OK(close(fd));
}

TEST(zero_gives_zeros)
{
	int fd = OK(open("/dev/zero", O_RDWR));
	char *two =
	    mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(two != MAP_FAILED);
	OK(mprotect(two + PAGE, PAGE, PROT_NONE));
	for (int i = 0; i < HOT; i++) {
		memset(buf, 'x', 100);
		EQ(read(fd, buf + 1, 98), 98);
		EQ(buf[0], 'x');
		EQ(buf[1], 0);
		EQ(buf[98], 0);
		EQ(buf[99], 'x');
		EQ(write(fd, buf, 100), 100);
		EQ(read(fd, two + PAGE - 10, 10), 10);
		FAILS(read(fd, two + PAGE, 10), EFAULT);
	}
	OK(munmap(two, 2 * PAGE));
	OK(close(fd));
}

/* Another file takes the number of one that was read and written all the time. */
TEST(a_file_in_the_place_of_a_device)
{
	int fd = OK(open("/dev/zero", O_RDWR)), file = make("f", 'x', 10);

	for (int i = 0; i < HOT; i++)
		EQ(read(fd, buf, 10), 10);
	EQ(lseek(file, 0, SEEK_SET), 0);
	EQ(dup2(file, fd), fd);
	EQ(read(fd, buf, 100), 10);
	EQ(buf[0], 'x');
	EQ(write(fd, "y", 1), 1);
	EQ(lseek(file, 0, SEEK_END), 11);
	OK(close(fd));
	OK(close(file));
}
