/* SPDX-License-Identifier: Apache-2.0 */
/* Rows: memory. */
#include <sys/mman.h>

#include "tests/bench/micro.h"

static char *map(size_t size, int prot)
{
	void *p = mmap(NULL, size, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		fail("mmap");
	return p;
}

static void row_page_fault(long n)
{
	while (n > 0) {
		long pages = n < 256 ? n : 256;
		char *p = map((size_t)pages * PAGE, PROT_READ | PROT_WRITE);

		for (long i = 0; i < pages; i++)
			p[i * PAGE] = 1;
		munmap(p, (size_t)pages * PAGE);
		n -= pages;
	}
}

static void row_mmap_munmap(long n)
{
	while (n--)
		munmap(map(PAGE, PROT_READ), PAGE);
}

static void row_mprotect(long n)
{
	char *p = map(4 * PAGE, PROT_READ | PROT_WRITE);

	for (long i = 0; i < n; i++)
		if (mprotect(p + PAGE, PAGE, i % 2 ? PROT_READ | PROT_WRITE : PROT_READ) < 0)
			fail("mprotect");
	munmap(p, 4 * PAGE);
}

static void row_mremap(long n)
{
	char *p = map(4 * PAGE, PROT_READ | PROT_WRITE);

	for (long i = 0; i < n; i++) {
		size_t from = i % 2 ? 64 * PAGE : 4 * PAGE, to = i % 2 ? 4 * PAGE : 64 * PAGE;

		p = mremap(p, from, to, MREMAP_MAYMOVE);
		if (p == MAP_FAILED)
			fail("mremap");
	}
	munmap(p, n % 2 ? 64 * PAGE : 4 * PAGE);
}

static void row_madvise(long n)
{
	char *p = map(4 * PAGE, PROT_READ | PROT_WRITE);

	while (n--)
		if (madvise(p, 4 * PAGE, MADV_DONTNEED) < 0)
			fail("madvise");
	munmap(p, 4 * PAGE);
}

static void row_brk(long n)
{
	char *start = sbrk(0);

	for (long i = 0; i < n; i++)
		if (brk(start + (i % 2 ? 0 : 16 * PAGE)) < 0)
			fail("brk");
	brk(start);
}

const struct row memory_rows[] = {
    {"page fault", row_page_fault, 2048},
    {"mmap+munmap", row_mmap_munmap, 500},
    {"mprotect", row_mprotect, 500},
    {"mremap", row_mremap, 500},
    {"madvise", row_madvise, 500},
    {"brk", row_brk, 500},
    {NULL, NULL, 0},
};
