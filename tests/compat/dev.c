/* SPDX-License-Identifier: Apache-2.0 */
/* The devices of /dev. */
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "compat.h"

static void expect_device(int line, const char *path, unsigned major_number, unsigned minor_number)
{
	struct stat st;

	if (stat(path, &st) < 0)
		compat_fail(line, "stat %s: %s", path, strerrorname_np(errno));
	if (!S_ISCHR(st.st_mode) || major(st.st_rdev) != major_number ||
	    minor(st.st_rdev) != minor_number)
		compat_fail(line, "%s: mode %o rdev %u:%u", path, st.st_mode, major(st.st_rdev),
			    minor(st.st_rdev));
}
#define DEVICE(path, major_number, minor_number)                                                   \
	expect_device(__LINE__, path, major_number, minor_number)

TEST(nodes)
{
	DEVICE("/dev/null", 1, 3);
	DEVICE("/dev/zero", 1, 5);
	DEVICE("/dev/full", 1, 7);
	DEVICE("/dev/random", 1, 8);
	DEVICE("/dev/urandom", 1, 9);
	DEVICE("/dev/tty", 5, 0);
	DEVICE("/dev/ptmx", 5, 2);
}

TEST(null)
{
	char buf[16] = "unchanged";
	int fd = OK(open("/dev/null", O_RDWR));
	struct pollfd pfd = {.fd = fd, .events = POLLIN | POLLOUT};

	EQ(write(fd, buf, 16), 16);
	EQ(read(fd, buf, 16), 0);
	STR_EQ(buf, "unchanged");
	EQ(lseek(fd, 100, SEEK_SET), 0);
	EQ(poll(&pfd, 1, 0), 1);
	EQ(pfd.revents, POLLIN | POLLOUT);
	OK(open("/dev/null", O_WRONLY | O_TRUNC | O_CREAT, 0666));
	FAILS(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0), ENODEV);
}

TEST(zero)
{
	static char big[200000];
	int fd = OK(open("/dev/zero", O_RDWR));

	memset(big, 'x', sizeof(big));
	EQ(read(fd, big, sizeof(big)), sizeof(big));
	for (size_t i = 0; i < sizeof(big); i++)
		EQ(big[i], 0);
	EQ(write(fd, big, sizeof(big)), sizeof(big));
}

TEST(zero_mapped)
{
	int fd = OK(open("/dev/zero", O_RDWR));
	char *private = OK(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
	char *shared = OK(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	pid_t pid;

	EQ(private[5000], 0);
	private[5000] = shared[0] = 1;
	pid = OK(fork());
	if (pid == 0) {
		private[5000] = shared[0] = 2;
		_exit(0);
	}
	WAIT_EXIT(pid, 0);
	EQ(private[5000], 1);
	EQ(shared[0], 2);
}

TEST(full)
{
	char buf[8] = "xxxxxxx";
	int fd = OK(open("/dev/full", O_RDWR));

	FAILS(write(fd, buf, 8), ENOSPC);
	EQ(read(fd, buf, 8), 8);
	MEM_EQ(buf, "\0\0\0\0\0\0\0\0", 8);
}

static void expect_random(int line, const char *path)
{
	uint8_t one[64], two[64];
	int fd = open(path, O_RDONLY);

	if (fd < 0 || read(fd, one, 64) != 64 || read(fd, two, 64) != 64)
		compat_fail(line, "%s: %s", path, strerrorname_np(errno));
	if (memcmp(one, two, 64) == 0)
		compat_fail(line, "%s: the same bytes twice", path);
}

TEST(random_bytes)
{
	expect_random(__LINE__, "/dev/random");
	expect_random(__LINE__, "/dev/urandom");
}

TEST(links)
{
	char target[64];
	ssize_t n = OK(readlink("/dev/fd", target, sizeof(target) - 1));

	target[n] = 0;
	STR_EQ(target, "/proc/self/fd");
	n = OK(readlink("/dev/stdout", target, sizeof(target) - 1));
	target[n] = 0;
	STR_EQ(target, "/proc/self/fd/1");
}

TEST(fd_opens_again)
{
	char buf[8];
	int fds[2], again;

	OK(pipe(fds));
	snprintf(buf, sizeof(buf), "%d", fds[1]);
	OK(chdir("/dev/fd"));
	again = OK(open(buf, O_WRONLY));
	EQ(write(again, "abc", 3), 3);
	EQ(read(fds[0], buf, 8), 3);
	close(again);
	close(fds[1]);
	EQ(read(fds[0], buf, 8), 0);
}

TEST(no_terminal)
{
	pid_t pid = OK(fork());

	if (pid == 0) {
		OK(setsid());
		FAILS(open("/dev/tty", O_RDWR), ENXIO);
		_exit(0);
	}
	WAIT_EXIT(pid, 0);
}

TEST(standard_streams)
{
	struct stat st, again;
	int fd;

	OK(fstat(1, &st));
	fd = OK(open("/proc/self/fd/1", O_WRONLY));
	OK(fstat(fd, &again));
	EQ(st.st_ino, again.st_ino);
	EQ(st.st_dev, again.st_dev);
}
