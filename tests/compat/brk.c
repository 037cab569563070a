/* SPDX-License-Identifier: Apache-2.0 */
/* brk(2), by the call itself: the library's wrapper keeps its own idea. */
#include "compat.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define PAGE 4096ul

static char *set_break(const void *to)
{
	return (char *)syscall(SYS_brk, to);
}

static char *page_up(char *p)
{
	return (char *)(((uintptr_t)p + PAGE - 1) & ~(PAGE - 1));
}

static bool readable(const void *p)
{
	int fds[2];
	bool ok;

	OK(pipe(fds));
	ok = write(fds[1], p, 1) == 1;
	close(fds[0]);
	close(fds[1]);
	return ok;
}

TEST(grows_with_zeros)
{
	char *start = page_up(set_break(NULL));

	CHECK(set_break(start + 10 * PAGE) == start + 10 * PAGE);
	for (size_t i = 0; i < 10 * PAGE; i += 256)
		EQ(start[i], 0);
	memset(start, 'x', 10 * PAGE);
	CHECK(set_break(start + 5 * PAGE) == start + 5 * PAGE);
	EQ(start[5 * PAGE - 1], 'x');
	CHECK(!readable(start + 5 * PAGE));
	CHECK(set_break(start + 10 * PAGE) == start + 10 * PAGE);
	EQ(start[5 * PAGE], 0);
}

TEST(unaligned)
{
	char *start = page_up(set_break(NULL));

	CHECK(set_break(start + 1) == start + 1);
	start[0] = 'x';
	start[PAGE - 1] = 'y';
	CHECK(set_break(start + 100) == start + 100);
	EQ(start[0], 'x');
	CHECK(set_break(start + PAGE + 1) == start + PAGE + 1);
	start[2 * PAGE - 1] = 'z';
	CHECK(set_break(start + PAGE) == start + PAGE);
	CHECK(!readable(start + PAGE));
}

TEST(refused)
{
	char *now = set_break(NULL);

	CHECK(set_break((void *)1) == now);
	CHECK(set_break((void *)-1) == now);
	CHECK(set_break((void *)(1ul << 47)) == now);
}

TEST(obstacle)
{
	char *start = page_up(set_break(NULL)), *wall = start + 8 * PAGE, *now;

	CHECK(set_break(start) == start);
	CHECK(mmap(wall, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == wall);
	CHECK(set_break(start + PAGE) == start + PAGE);
	now = set_break(start + 20 * PAGE);
	CHECK(now == start + PAGE);
	OK(munmap(wall, PAGE));
	CHECK(set_break(start + 20 * PAGE) == start + 20 * PAGE);
}

TEST(data_limit)
{
	char *start = page_up(set_break(NULL));
	struct rlimit l = {1 << 20, 1 << 20};

	CHECK(set_break(start) == start);
	OK(setrlimit(RLIMIT_DATA, &l));
	CHECK(set_break(start + (64 << 20)) == start);
}

TEST(child_has_its_own)
{
	char *start = page_up(set_break(NULL));
	pid_t pid;

	CHECK(set_break(start + PAGE) == start + PAGE);
	start[0] = 'p';
	pid = fork();
	if (!pid) {
		if (start[0] != 'p' || set_break(NULL) != start + PAGE)
			_exit(1);
		start[0] = 'c';
		_exit(set_break(start + 2 * PAGE) == start + 2 * PAGE ? 0 : 2);
	}
	WAIT_EXIT(pid, 0);
	EQ(start[0], 'p');
	CHECK(set_break(NULL) == start + PAGE);
	CHECK(!readable(start + PAGE));
}
