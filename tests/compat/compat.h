/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compat tests' tiny harness. A program is one file of tests:
 *
 *	#include "compat.h"
 *
 *	TEST(read_at_end)
 *	{
 *		int fd = OK(open("f", O_RDWR | O_CREAT, 0644));
 *
 *		EQ(read(fd, buf, 1), 0);
 *		FAILS(read(-1, buf, 1), EBADF);
 *	}
 *
 * Each test runs in a process of its own, in an empty directory of its own, with a watchdog. It
 * passes by returning. The checks print what they wanted, what they got and where, and end the
 * test.
 *
 * Output, for tests/compat/run: a line "pass NAME", "fail NAME" or "skip NAME: why" for each test.
 * The program is linked statically and needs nothing from its root file system but /tmp.
 */
#ifndef COMPAT_H
#define COMPAT_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define COMPAT_TESTS_MAX 256
#define COMPAT_WATCHDOG	 30 /* seconds */
#define COMPAT_SKIPPED	 77

struct compat_test {
	const char *name;
	void (*run)(void);
};

static struct compat_test compat_tests[COMPAT_TESTS_MAX];
static int compat_test_count;
static const char *compat_name = "?"; /* of the test that runs */

#define TEST(name)                                                                                 \
	static void test_##name(void);                                                             \
	__attribute__((constructor)) static void compat_add_##name(void)                           \
	{                                                                                          \
		compat_tests[compat_test_count++] = (struct compat_test){#name, test_##name};      \
	}                                                                                          \
	static void test_##name(void)

__attribute__((noreturn, format(printf, 2, 3))) static void compat_fail(int line, const char *fmt,
									...)
{
	va_list ap;

	printf("  %s: line %d: ", compat_name, line);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	_exit(1);
}

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			compat_fail(__LINE__, "want %s (errno %d %s)", #cond, errno,               \
				    strerrorname_np(errno));                                       \
	} while (0)

/* Two integers. */
#define EQ(got, want)                                                                              \
	do {                                                                                       \
		long long _got = (long long)(got), _want = (long long)(want);                      \
		if (_got != _want)                                                                 \
			compat_fail(__LINE__, "%s: want %lld (%s), got %lld", #got, _want, #want,  \
				    _got);                                                         \
	} while (0)

/* A call that must succeed; its value. */
#define OK(call)                                                                                   \
	({                                                                                         \
		__typeof__(call) _ret = (call);                                                    \
		if ((long)_ret == -1)                                                              \
			compat_fail(__LINE__, "%s: want success, got %s", #call,                   \
				    strerrorname_np(errno));                                       \
		_ret;                                                                              \
	})

/* A call that must fail with this errno. */
#define FAILS(call, want)                                                                          \
	do {                                                                                       \
		long _ret;                                                                         \
		errno = 0;                                                                         \
		_ret = (long)(call);                                                               \
		if (_ret != -1)                                                                    \
			compat_fail(__LINE__, "%s: want %s, got %ld", #call, #want, _ret);         \
		if (errno != (want))                                                               \
			compat_fail(__LINE__, "%s: want %s, got %s", #call, #want,                 \
				    strerrorname_np(errno));                                       \
	} while (0)

#define STR_EQ(got, want)                                                                          \
	do {                                                                                       \
		const char *_got = (got), *_want = (want);                                         \
		if (strcmp(_got, _want) != 0)                                                      \
			compat_fail(__LINE__, "%s: want \"%s\", got \"%s\"", #got, _want, _got);   \
	} while (0)

#define MEM_EQ(got, want, size)                                                                    \
	do {                                                                                       \
		if (memcmp((got), (want), (size)) != 0)                                            \
			compat_fail(__LINE__, "%s and %s differ", #got, #want);                    \
	} while (0)

#define SKIP(why)                                                                                  \
	do {                                                                                       \
		printf("skip %s: %s\n", compat_name, why);                                         \
		fflush(stdout);                                                                    \
		_exit(COMPAT_SKIPPED);                                                             \
	} while (0)

/* The wait status of a child that must have exited with this code. */
__attribute__((unused)) static void compat_wait_exit(int line, pid_t pid, int want)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		compat_fail(line, "waitpid: %s", strerrorname_np(errno));
	if (!WIFEXITED(status) || WEXITSTATUS(status) != want)
		compat_fail(line, "child: want exit %d, got wait status 0x%x", want, status);
}
#define WAIT_EXIT(pid, want) compat_wait_exit(__LINE__, pid, want)

/* A file with this content. */
__attribute__((unused)) static void compat_write_file(int line, const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		compat_fail(line, "writing %s: %s", path, strerrorname_np(errno));
	close(fd);
}
#define WRITE_FILE(path, text) compat_write_file(__LINE__, path, text)

static void compat_remove_tree(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char child[4096];
		struct stat st;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(child, sizeof(child), "%s/%s", path, entry->d_name);
		if (lstat(child, &st) == 0 && S_ISDIR(st.st_mode))
			compat_remove_tree(child);
		else
			unlink(child);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

static void compat_run_here(const struct compat_test *test, const char *dir)
{
	umask(022);
	if (chdir(dir) < 0)
		compat_fail(0, "chdir %s: %s", dir, strerrorname_np(errno));
	alarm(COMPAT_WATCHDOG);
	test->run();
	fflush(stdout);
	_exit(0);
}

/* True if it passed or was skipped. */
static bool compat_run(const struct compat_test *test)
{
	char dir[] = "/tmp/compat-XXXXXX";
	int status;
	pid_t pid;

	compat_name = test->name;
	if (!mkdtemp(dir)) {
		printf("  %s: mkdtemp: %s\nfail %s\n", test->name, strerrorname_np(errno),
		       test->name);
		return false;
	}
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		compat_run_here(test, dir);
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		printf("  %s: fork or wait: %s\nfail %s\n", test->name, strerrorname_np(errno),
		       test->name);
		return false;
	}
	compat_remove_tree(dir);
	if (WIFEXITED(status) && WEXITSTATUS(status) == COMPAT_SKIPPED)
		return true;
	if (WIFSIGNALED(status))
		printf("  %s: killed by %s%s\n", test->name, sigabbrev_np(WTERMSIG(status)),
		       WTERMSIG(status) == SIGALRM ? " (the watchdog)" : "");
	printf("%s %s\n", status == 0 ? "pass" : "fail", test->name);
	return status == 0;
}

/* Arguments: the tests to run; all if there are none. --list names them. */
int main(int argc, char **argv)
{
	int failed = 0;

	for (int i = 0; i < compat_test_count; i++) {
		bool wanted = argc < 2;

		for (int a = 1; a < argc; a++)
			wanted |= strcmp(argv[a], compat_tests[i].name) == 0;
		if (argc == 2 && strcmp(argv[1], "--list") == 0)
			printf("%s\n", compat_tests[i].name);
		else if (wanted)
			failed += !compat_run(&compat_tests[i]);
	}
	fflush(stdout);
	return failed ? 1 : 0;
}

#endif
