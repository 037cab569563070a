/* SPDX-License-Identifier: Apache-2.0 */
/* mremap(2). */
#include "compat.h"

#include <sys/mman.h>

#define PAGE 4096ul

static char *map(size_t pages)
{
	char *p =
	    mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	for (size_t i = 0; i < pages; i++)
		p[i * PAGE] = (char)('a' + i);
	return p;
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

TEST(shrinks)
{
	char *p = map(4);

	CHECK(mremap(p, 4 * PAGE, 2 * PAGE, 0) == p);
	EQ(p[PAGE], 'b');
	CHECK(!readable(p + 2 * PAGE));
}

TEST(grows_in_place)
{
	char *p = map(8);

	OK(munmap(p + 4 * PAGE, 4 * PAGE));
	CHECK(mremap(p, 4 * PAGE, 6 * PAGE, 0) == p);
	EQ(p[3 * PAGE], 'd');
	EQ(p[5 * PAGE], 0);
}

TEST(no_room)
{
	char *p = map(8);

	FAILS(mremap(p, 4 * PAGE, 6 * PAGE, 0), ENOMEM);
}

TEST(moves)
{
	char *p = map(8), *q = mremap(p, 4 * PAGE, 1000 * PAGE, MREMAP_MAYMOVE);

	CHECK(q != MAP_FAILED);
	EQ(q[0], 'a');
	EQ(q[3 * PAGE], 'd');
	EQ(q[999 * PAGE], 0);
	EQ(p[4 * PAGE], 'e');
	if (q < p || q >= p + 8 * PAGE)
		CHECK(!readable(p));
}

TEST(part_of_a_mapping)
{
	char *p = map(6), *q = mremap(p + 2 * PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE);

	CHECK(q != MAP_FAILED && q != p + 2 * PAGE);
	EQ(q[0], 'c');
	EQ(q[PAGE], 0);
	CHECK(!readable(p + 2 * PAGE));
	EQ(p[3 * PAGE], 'd');
}

TEST(fixed)
{
	char *p = map(4), *q = map(6);

	CHECK(mremap(p, 4 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q + PAGE) == q + PAGE);
	EQ(q[0], 'a');
	EQ(q[PAGE], 'a');
	EQ(q[2 * PAGE], 'b');
	EQ(q[3 * PAGE], 'd');
	CHECK(!readable(p));
	CHECK(!readable(p + 3 * PAGE));
}

TEST(dontunmap)
{
	char *p = map(2), *q;

	q = mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	CHECK(q != MAP_FAILED && q != p);
	EQ(q[PAGE], 'b');
	EQ(p[PAGE], 0);
}

TEST(duplicates_shared)
{
	char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *q;

	CHECK(p != MAP_FAILED);
	q = mremap(p, 0, 2 * PAGE, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED && q != p);
	p[PAGE] = 'x';
	EQ(q[PAGE], 'x');
}

TEST(file_shows_more)
{
	int fd = OK(open("f", O_RDWR | O_CREAT, 0644));
	char page[PAGE], *p, *q;

	for (int i = 0; i < 4; i++) {
		memset(page, '0' + i, sizeof(page));
		EQ(write(fd, page, sizeof(page)), sizeof(page));
	}
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, PAGE);
	CHECK(p != MAP_FAILED);
	q = mremap(p, PAGE, 3 * PAGE, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED);
	EQ(q[0], '1');
	EQ(q[2 * PAGE], '3');
}

TEST(errors)
{
	char *p = map(4);

	FAILS(mremap(p + 1, PAGE, PAGE, 0), EINVAL);
	FAILS(mremap(p, PAGE, 0, 0), EINVAL);
	FAILS(mremap(p, PAGE, PAGE, 1 << 10), EINVAL);
	FAILS(mremap(p, PAGE, PAGE, MREMAP_FIXED, p + 2 * PAGE), EINVAL);
	FAILS(mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + PAGE), EINVAL);
	FAILS(mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, (void *)1), EINVAL);
	FAILS(mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, p), EINVAL);
	FAILS(mremap(p, PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL), EINVAL);
	FAILS(mremap(p, 0, PAGE, MREMAP_MAYMOVE), EINVAL);
	OK(munmap(p + PAGE, PAGE));
	FAILS(mremap(p + PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);
	FAILS(mremap(p, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE), EFAULT);
}
