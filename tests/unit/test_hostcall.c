/* SPDX-License-Identifier: Apache-2.0 */
/* base/hostcall: each fallback beside the call that it stands in for. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/feature.h"
#include "base/hostcall.h"

static int without_all(void **state)
{
	uint64_t all = 0;
	char bad[16];

	(void)state;
	assert_int_equal(features_parse("all-host", &all, bad, sizeof(bad)), 0);
	features_switch(all, 0);
	return 0;
}

static int with_all(void **state)
{
	(void)state;
	features_switch(0, 0);
	return 0;
}

/* A child that ends when the returned descriptor is closed. */
static pid_t waiting_child(int *ret_hold)
{
	int ends[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		close(ends[1]);
		_exit(read(ends[0], &c, 1) == 0 ? 0 : 1);
	}
	close(ends[0]);
	*ret_hold = ends[1];
	return pid;
}

static void watch_sees_the_end(void **state)
{
	int hold, fd;
	pid_t pid = waiting_child(&hold);
	struct pollfd p = {.events = POLLIN};

	(void)state;
	p.fd = fd = host_watch(pid);
	assert_true(fd >= 0);
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_false(host_wait_gone(pid, 0));
	close(hold);
	assert_int_equal(poll(&p, 1, 10000), 1);
	/* Ended, though nobody has reaped it. */
	assert_true(host_wait_gone(pid, 10000));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(host_watch(pid), -ESRCH);
	assert_true(host_wait_gone(pid, 0));
	close(fd);
}

/* Who watches in the place of the kernel must not outlive its purpose. */
static void watcher_ends_with_its_reader(void **state)
{
	int hold, fd, status;
	pid_t pid = waiting_child(&hold), watcher;

	(void)state;
	fd = host_watch(pid);
	assert_true(fd >= 0);
	close(fd);
	watcher = waitpid(-1, &status, 0); /* not the child, which still waits */
	assert_true(watcher > 0 && watcher != pid);
	assert_int_equal(status, 0);
	close(hold);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void pidfds_are_absent(void **state)
{
	(void)state;
	assert_int_equal(host_pidfd_open(getpid()), -ENOSYS);
	assert_int_equal(host_pidfd_signal(0, SIGTERM), -ENOSYS);
}

/* In a child, whose descriptors don't matter. */
static bool closes_exactly(bool listed)
{
	int a = dup(0), b, c, status;
	pid_t pid;

	b = fcntl(0, F_DUPFD, a + 10); /* proc_fd comes between: a + 1 */
	c = fcntl(0, F_DUPFD, b + 300);
	pid = fork();
	if (pid == 0) {
		int proc_fd = listed ? open("/proc/self/fd", O_PATH) : -1;
		int err = host_close_range((unsigned)a + 2, (unsigned)c - 1, proc_fd);

		if (err || fcntl(a, F_GETFD) < 0 || fcntl(b, F_GETFD) >= 0 || fcntl(c, F_GETFD) < 0)
			_exit(1);
		if (host_close_range((unsigned)a, ~0u, proc_fd) || fcntl(c, F_GETFD) >= 0)
			_exit(2);
		_exit(fcntl(2, F_GETFD) < 0);
	}
	close(a);
	close(b);
	close(c);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status == 0;
}

static void close_range_closes_exactly(void **state)
{
	(void)state;
	assert_true(closes_exactly(false));
	assert_true(closes_exactly(true));
}

static void fd_end_is_above_all(void **state)
{
	int fd = fcntl(0, F_DUPFD, 500);

	(void)state;
	assert_true(host_fd_end(-1) > 500);
	close(fd);
}

static void statx_agrees_with_stat(void **state)
{
	struct statx x;
	struct stat st;
	int dir = open("/", O_PATH);

	(void)state;
	assert_int_equal(fstatat(dir, "etc/passwd", &st, 0), 0);
	assert_int_equal(host_statx(dir, "etc/passwd", AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &x),
			 0);
	assert_int_equal(x.stx_ino, st.st_ino);
	assert_int_equal(x.stx_mode, st.st_mode);
	assert_int_equal(x.stx_size, st.st_size);
	assert_int_equal(x.stx_blocks, st.st_blocks);
	assert_int_equal(x.stx_nlink, st.st_nlink);
	assert_int_equal(x.stx_mtime.tv_sec, st.st_mtim.tv_sec);
	assert_int_equal(x.stx_mtime.tv_nsec, st.st_mtim.tv_nsec);
	assert_int_equal(x.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
	assert_int_equal(host_statx(dir, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &x), 0);
	assert_true(S_ISDIR(x.stx_mode));
	assert_int_equal(host_statx(dir, "nothing", 0, STATX_BASIC_STATS, &x), -ENOENT);
	close(dir);
}

static void memory_files(void **state)
{
	int fd = host_memfd("test", HOST_MEMFD_DATA), seal;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "x", 1, 0), 1);
	seal = host_seal(fd, F_SEAL_WRITE);
	assert_int_equal(pwrite(fd, "x", 1, 0), seal ? 1 : -1);
	close(fd);
}

static const char program[] = "#!/bin/sh\nexit 42\n";

static int status_of_program(int fd)
{
	char path[32], *argv[] = {path, NULL}, *env[] = {NULL};
	int status;
	pid_t pid = fork();

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (pid == 0) {
		fcntl(fd, F_SETFD, 0); /* the interpreter opens it again */
		execve(path, argv, env);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

static void programs_in_memory(void **state)
{
	int fd = fd_sealed_memfd("test", program, sizeof(program) - 1);

	(void)state;
	assert_true(host_can_exec_memfd());
	assert_true(fd >= 0);
	assert_int_equal(status_of_program(fd), 42);
	close(fd);
}

static void programs_in_a_directory(void **state)
{
	char dir[] = "/tmp/test_hostcall.XXXXXX";
	int dir_fd, fd;

	(void)state;
	assert_int_equal(fd_sealed_memfd("test", program, sizeof(program) - 1), -EACCES);
	assert_false(host_can_exec_memfd());
	assert_non_null(mkdtemp(dir));
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY);
	fd = fd_program_file(dir_fd, "program", program, sizeof(program) - 1);
	assert_true(fd >= 0);
	assert_int_equal(unlinkat(dir_fd, "program", 0), -1); /* the name is gone */
	assert_int_equal(status_of_program(fd), 42);
	assert_int_equal(rmdir(dir), 0);
	close(fd);
	close(dir_fd);
}

#define BOTH(test)                                                                                 \
	{#test, test, with_all, with_all, NULL},                                                   \
	{                                                                                          \
		"without_" #test, test, without_all, with_all, NULL                                \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    BOTH(watch_sees_the_end),
	    cmocka_unit_test_setup_teardown(watcher_ends_with_its_reader, without_all, with_all),
	    cmocka_unit_test_setup_teardown(pidfds_are_absent, without_all, with_all),
	    BOTH(close_range_closes_exactly),
	    BOTH(fd_end_is_above_all),
	    BOTH(statx_agrees_with_stat),
	    BOTH(memory_files),
	    cmocka_unit_test(programs_in_memory),
	    cmocka_unit_test_setup_teardown(programs_in_a_directory, without_all, with_all),
	};

	return cmocka_run_group_tests_name("hostcall", tests, NULL, NULL);
}
