/* SPDX-License-Identifier: Apache-2.0 */
/* flock and fcntl locks: conflicts, ranges, waiting, deadlock, ends. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/mman.h>

#include "compat.h"

static int lock(int fd, int cmd, short type, off_t start, off_t len)
{
	struct flock fl = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};

	return fcntl(fd, cmd, &fl);
}

/* Who holds what stands in the way, as seen by another process: its type. */
static struct flock seen_by_another(int fd, short type, off_t start, off_t len)
{
	struct flock *fl =
	    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	*fl = (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
	pid = OK(fork());
	if (pid == 0) {
		OK(fcntl(fd, F_GETLK, fl));
		_exit(0);
	}
	WAIT_EXIT(pid, 0);
	return *fl;
}

TEST(flock_modes)
{
	int a = OK(open("f", O_RDWR | O_CREAT, 0644)), b = OK(open("f", O_RDONLY));

	OK(flock(a, LOCK_SH));
	OK(flock(b, LOCK_SH | LOCK_NB));
	FAILS(flock(a, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	OK(flock(b, LOCK_UN));
	OK(flock(a, LOCK_EX | LOCK_NB));
	FAILS(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	OK(close(a));
	OK(flock(b, LOCK_EX | LOCK_NB));
	FAILS(flock(b, 0), EINVAL);
	FAILS(flock(99, LOCK_SH), EBADF);
}

TEST(flock_waits)
{
	int a = OK(open("f", O_RDWR | O_CREAT, 0644)), fds[2];
	pid_t pid;
	char c;

	OK(pipe(fds));
	OK(flock(a, LOCK_EX));
	pid = OK(fork());
	if (pid == 0) {
		int b = OK(open("f", O_RDONLY));

		OK(write(fds[1], "x", 1));
		OK(flock(b, LOCK_SH));
		_exit(7);
	}
	OK(read(fds[0], &c, 1));
	usleep(20000);
	EQ(waitpid(pid, NULL, WNOHANG), 0);
	OK(flock(a, LOCK_UN));
	WAIT_EXIT(pid, 7);
}

TEST(flock_is_shared_by_fork)
{
	int a = OK(open("f", O_RDWR | O_CREAT, 0644)), b = OK(open("f", O_RDWR));
	pid_t pid;

	OK(flock(a, LOCK_EX));
	pid = OK(fork());
	if (pid == 0) {
		OK(flock(a, LOCK_UN));
		_exit(0);
	}
	WAIT_EXIT(pid, 0);
	OK(flock(b, LOCK_EX | LOCK_NB));
}

TEST(record_ranges)
{
	int fd = OK(open("f", O_RDWR | O_CREAT, 0644));
	struct flock fl;

	OK(lock(fd, F_SETLK, F_WRLCK, 0, 100));
	OK(lock(fd, F_SETLK, F_UNLCK, 40, 20));
	fl = seen_by_another(fd, F_WRLCK, 0, 0);
	EQ(fl.l_type, F_WRLCK);
	EQ(fl.l_start, 0);
	EQ(fl.l_len, 40);
	EQ(fl.l_pid, getpid());
	fl = seen_by_another(fd, F_WRLCK, 40, 20);
	EQ(fl.l_type, F_UNLCK);
	fl = seen_by_another(fd, F_RDLCK, 50, 50);
	EQ(fl.l_start, 60);
	EQ(fl.l_len, 40);
	/* Filled again: one lock. */
	OK(lock(fd, F_SETLK, F_WRLCK, 40, 20));
	fl = seen_by_another(fd, F_RDLCK, 0, 0);
	EQ(fl.l_start, 0);
	EQ(fl.l_len, 100);
	/* A part of it weaker. */
	OK(lock(fd, F_SETLK, F_RDLCK, 10, 10));
	fl = seen_by_another(fd, F_RDLCK, 10, 10);
	EQ(fl.l_type, F_UNLCK);
	fl = seen_by_another(fd, F_WRLCK, 10, 10);
	EQ(fl.l_type, F_RDLCK);
	/* To the end, however far that is. */
	OK(lock(fd, F_SETLK, F_WRLCK, 1000, 0));
	fl = seen_by_another(fd, F_WRLCK, 1ll << 40, 1);
	EQ(fl.l_start, 1000);
	EQ(fl.l_len, 0);
}

TEST(record_whence_and_negative_length)
{
	int fd = OK(open("f", O_RDWR | O_CREAT, 0644));
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_END, .l_start = 0, .l_len = -10};

	OK(ftruncate(fd, 100));
	OK(fcntl(fd, F_SETLK, &fl));
	fl = seen_by_another(fd, F_WRLCK, 0, 0);
	EQ(fl.l_start, 90);
	EQ(fl.l_len, 10);
	fl = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 5, .l_len = -10};
	FAILS(fcntl(fd, F_SETLK, &fl), EINVAL);
	fl = (struct flock){.l_type = 9, .l_whence = SEEK_SET};
	FAILS(fcntl(fd, F_SETLK, &fl), EINVAL);
}

TEST(record_needs_the_access_mode)
{
	int r, w = OK(open("f", O_WRONLY | O_CREAT, 0644));

	r = OK(open("f", O_RDONLY));
	FAILS(lock(r, F_SETLK, F_WRLCK, 0, 1), EBADF);
	FAILS(lock(w, F_SETLK, F_RDLCK, 0, 1), EBADF);
	OK(lock(w, F_SETLK, F_WRLCK, 0, 1));
}

TEST(record_goes_with_any_close)
{
	int a = OK(open("f", O_RDWR | O_CREAT, 0644)), b = OK(open("f", O_RDWR));
	struct flock fl;

	OK(lock(a, F_SETLK, F_WRLCK, 0, 10));
	OK(close(b));
	fl = seen_by_another(a, F_WRLCK, 0, 0);
	EQ(fl.l_type, F_UNLCK);
}

static atomic_bool locker_ends;

static void *lock_always(void *fd)
{
	while (!locker_ends)
		lock((int)(intptr_t)fd, F_SETLK, F_WRLCK, 0, 1);
	return NULL;
}

/* A lock that is made while another thread closes the descriptor doesn't outlive it. */
TEST(record_meets_a_close)
{
	int stays = OK(open("g", O_RDWR | O_CREAT, 0644)), fd = 50;
	pthread_t threads[6];

	for (int i = 0; i < 6; i++)
		EQ(pthread_create(&threads[i], NULL, lock_always, (void *)(intptr_t)fd), 0);
	for (int round = 0; round < 2000; round++) {
		int f = OK(open("f", O_RDWR | O_CREAT, 0644));

		EQ(dup2(f, fd), fd);
		OK(close(f));
		OK(unlink("f"));
		OK(close(fd));
		EQ(dup2(stays, fd), fd);
		OK(close(fd));
	}
	locker_ends = true;
	for (int i = 0; i < 6; i++)
		EQ(pthread_join(threads[i], NULL), 0);
	EQ(seen_by_another(stays, F_WRLCK, 0, 0).l_type, F_UNLCK);
}

TEST(record_waits_and_is_interrupted)
{
	int fd = OK(open("f", O_RDWR | O_CREAT, 0644)), fds[2];
	struct sigaction sa = {.sa_handler = SIG_DFL};
	pid_t pid;
	char c;

	OK(pipe(fds));
	OK(lock(fd, F_SETLK, F_WRLCK, 0, 10));
	pid = OK(fork());
	if (pid == 0) {
		FAILS(lock(fd, F_SETLK, F_WRLCK, 5, 1), EAGAIN);
		OK(write(fds[1], "x", 1));
		OK(lock(fd, F_SETLKW, F_WRLCK, 5, 1));
		_exit(3);
	}
	(void)sa;
	OK(read(fds[0], &c, 1));
	usleep(20000);
	EQ(waitpid(pid, NULL, WNOHANG), 0);
	OK(lock(fd, F_SETLK, F_UNLCK, 5, 1));
	WAIT_EXIT(pid, 3);
}

TEST(record_deadlock_is_found)
{
	int fd = OK(open("f", O_RDWR | O_CREAT, 0644)), fds[2];
	pid_t pid;
	char c;

	OK(pipe(fds));
	OK(lock(fd, F_SETLK, F_WRLCK, 0, 1));
	pid = OK(fork());
	if (pid == 0) {
		OK(lock(fd, F_SETLK, F_WRLCK, 1, 1));
		OK(write(fds[1], "x", 1));
		OK(lock(fd, F_SETLKW, F_WRLCK, 0, 1));
		_exit(0);
	}
	OK(read(fds[0], &c, 1));
	/* The child waits for us, or is about to; whoever closes the circle is told. */
	usleep(50000);
	FAILS(lock(fd, F_SETLKW, F_WRLCK, 1, 1), EDEADLK);
	OK(lock(fd, F_SETLK, F_UNLCK, 0, 1));
	WAIT_EXIT(pid, 0);
}

TEST(ofd_locks_belong_to_the_description)
{
	int a = OK(open("f", O_RDWR | O_CREAT, 0644)), b = OK(open("f", O_RDWR));
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	OK(lock(a, F_OFD_SETLK, F_WRLCK, 0, 10));
	FAILS(lock(b, F_OFD_SETLK, F_RDLCK, 5, 1), EAGAIN);
	OK(fcntl(b, F_OFD_GETLK, &fl));
	EQ(fl.l_type, F_WRLCK);
	EQ(fl.l_pid, -1);
	FAILS(lock(b, F_SETLK, F_RDLCK, 5, 1), EAGAIN);
	OK(close(OK(open("f", O_RDWR))));
	FAILS(lock(b, F_OFD_SETLK, F_RDLCK, 5, 1), EAGAIN);
	OK(close(a));
	OK(lock(b, F_OFD_SETLK, F_WRLCK, 0, 0));
	fl.l_pid = 1;
	FAILS(fcntl(b, F_OFD_SETLK, &fl), EINVAL);
}
