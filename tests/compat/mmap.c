/* SPDX-License-Identifier: Apache-2.0 */
/* mmap, munmap, madvise, msync, mincore, mlock. */
#include "compat.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define PAGE 4096ul

static char *map(size_t pages)
{
	char *p =
	    mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

/* Whether the byte at p can be read. */
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

static int file_of_pages(int count)
{
	int fd = OK(open("f", O_RDWR | O_CREAT, 0644));
	char page[PAGE];

	for (int i = 0; i < count; i++) {
		memset(page, 'a' + i, sizeof(page));
		EQ(write(fd, page, sizeof(page)), sizeof(page));
	}
	return fd;
}

TEST(anonymous_is_zero)
{
	char *p = map(64);

	for (size_t i = 0; i < 64 * PAGE; i += 512)
		EQ(p[i], 0);
	p[5 * PAGE] = 1;
	OK(munmap(p, 64 * PAGE));
	CHECK(!readable(p));
}

TEST(munmap_middle)
{
	char *p = map(8);

	memset(p, 'x', 8 * PAGE);
	OK(munmap(p + 2 * PAGE, 3 * PAGE));
	EQ(p[2 * PAGE - 1], 'x');
	CHECK(!readable(p + 2 * PAGE));
	CHECK(!readable(p + 5 * PAGE - 1));
	EQ(p[5 * PAGE], 'x');
	OK(munmap(p, 8 * PAGE)); /* over a hole */
	OK(munmap(p, 8 * PAGE)); /* of nothing */
}

TEST(munmap_errors)
{
	char *p = map(2);

	FAILS(munmap(p + 1, PAGE), EINVAL);
	FAILS(munmap(p, 0), EINVAL);
	FAILS(munmap(p, -1ul), EINVAL);
	FAILS(munmap((void *)-PAGE, PAGE), EINVAL);
}

TEST(fixed_replaces)
{
	char *p = map(4), *q;

	memset(p, 'x', 4 * PAGE);
	q = mmap(p + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	CHECK(q == p + PAGE);
	EQ(p[PAGE], 0);
	EQ(p[0], 'x');
	EQ(p[2 * PAGE], 'x');
}

TEST(fixed_noreplace)
{
	char *p = map(4);

	FAILS(mmap(p + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
		   0),
	      EEXIST);
	OK(munmap(p + PAGE, PAGE));
	CHECK(mmap(p + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
		   0) == p + PAGE);
}

TEST(hint)
{
	char *p = map(4), *q;

	OK(munmap(p, 4 * PAGE));
	q = mmap(p + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(q == p + PAGE);
	q = mmap(p + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(q != MAP_FAILED && q != p + PAGE);
}

TEST(low_32_bits)
{
	char *p = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	CHECK(p != MAP_FAILED);
	CHECK((uintptr_t)p + PAGE <= 0x80000000ul);
}

TEST(mmap_errors)
{
	int fd = file_of_pages(1), ro = OK(open("f", O_RDONLY)), wo = OK(open("f", O_WRONLY));

	FAILS(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EINVAL);
	FAILS(mmap(NULL, -1ul, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
	FAILS(mmap(NULL, 1ul << 47, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
	FAILS(mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0), EINVAL);
	FAILS(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, -1, 0), EBADF);
	FAILS(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 1), EINVAL);
	FAILS(mmap((void *)1, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
	      EINVAL);
	FAILS(mmap((void *)(1ul << 47), PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		   -1, 0),
	      ENOMEM);
	FAILS(mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, ro, 0), EACCES);
	CHECK(mmap(NULL, PAGE, PROT_WRITE, MAP_PRIVATE, ro, 0) != MAP_FAILED);
	FAILS(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, wo, 0), EACCES);
	FAILS(mmap(NULL, PAGE, PROT_READ, MAP_SHARED_VALIDATE | (1 << 25), fd, 0), EOPNOTSUPP);
	FAILS(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, OK(open("/", O_RDONLY)), 0), ENODEV);
	FAILS(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, OK(open("f", O_PATH)), 0), EBADF);
}

TEST(private_file)
{
	int fd = file_of_pages(3);
	char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, PAGE), c;

	CHECK(p != MAP_FAILED);
	OK(close(fd));
	EQ(p[0], 'b');
	EQ(p[2 * PAGE - 1], 'c');
	p[0] = 'X';
	fd = OK(open("f", O_RDONLY));
	EQ(pread(fd, &c, 1, PAGE), 1);
	EQ(c, 'b');
}

TEST(shared_file)
{
	int fd = file_of_pages(2);
	char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), c;

	CHECK(p != MAP_FAILED);
	p[PAGE + 7] = 'X';
	EQ(pread(fd, &c, 1, PAGE + 7), 1);
	EQ(c, 'X');
	EQ(pwrite(fd, "Y", 1, 9), 1);
	EQ(p[9], 'Y');
	OK(msync(p, 2 * PAGE, MS_SYNC));
	OK(munmap(p, 2 * PAGE));
	EQ(pread(fd, &c, 1, PAGE + 7), 1);
	EQ(c, 'X');
}

/* Behind the end of the file: zeros in its last page, SIGBUS beyond. */
TEST(end_of_file)
{
	int fd = file_of_pages(1);
	char *p;
	pid_t pid;
	int status;

	OK(ftruncate(fd, 100));
	p = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	EQ(p[99], 'a');
	EQ(p[100], 0);
	pid = fork();
	if (!pid)
		_exit(p[PAGE]);
	EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
}

TEST(unlinked_file_stays)
{
	int fd = file_of_pages(1);
	char *p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);

	OK(unlink("f"));
	OK(close(fd));
	EQ(p[10], 'a');
}

TEST(shared_anonymous_over_fork)
{
	volatile char *p =
	    mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = fork();

	if (!pid) {
		p[0] = 42;
		_exit(0);
	}
	WAIT_EXIT(pid, 0);
	EQ(p[0], 42);
}

TEST(private_over_fork)
{
	char *p = map(1);
	pid_t pid;

	p[0] = 1;
	pid = fork();
	if (!pid) {
		p[0] = 2;
		_exit(p[0] == 2 ? 0 : 1);
	}
	WAIT_EXIT(pid, 0);
	EQ(p[0], 1);
}

TEST(limit_of_address_space)
{
	struct rlimit l = {256 << 20, 256 << 20};

	OK(setrlimit(RLIMIT_AS, &l));
	FAILS(mmap(NULL, 512 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
	CHECK(mmap(NULL, 16 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}

TEST(many_mappings)
{
	enum { COUNT = 2000 };
	char *p = map(COUNT);

	for (size_t i = 0; i < COUNT; i += 2)
		OK(munmap(p + i * PAGE, PAGE));
	for (size_t i = 1; i < COUNT; i += 2)
		p[i * PAGE] = (char)i;
	for (size_t i = 0; i < COUNT; i++)
		EQ(readable(p + i * PAGE), i % 2);
}

/* vm.max_map_count: what is refused leaves everything as it was. */
TEST(too_many_mappings)
{
	enum { PAIRS = 40000 };
	char *p = mmap(NULL, 2 * PAIRS * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t i = 0;

	CHECK(p != MAP_FAILED);
	while (i < PAIRS && !mprotect(p + 2 * i * PAGE, PAGE, PROT_NONE))
		i++;
	if (i == PAIRS)
		SKIP("this host allows more mappings than the test makes");
	EQ(errno, ENOMEM);
	CHECK(i > 30000);
	CHECK(!readable(p + 2 * (i - 1) * PAGE));
	p[2 * i * PAGE] = 'x';
	p[(2 * i - 1) * PAGE] = 'y';
	OK(munmap(p, 1000 * PAGE));
	OK(mprotect(p + 2 * i * PAGE, PAGE, PROT_READ));
	EQ(p[2 * i * PAGE], 'x');
	CHECK(!readable(p + 2 * (i - 1) * PAGE));
	OK(munmap(p, 2 * PAIRS * PAGE));
}

TEST(madvise_dontneed)
{
	char *p = map(4);

	memset(p, 'x', 4 * PAGE);
	OK(madvise(p + PAGE, 2 * PAGE, MADV_DONTNEED));
	EQ(p[0], 'x');
	EQ(p[PAGE], 0);
	EQ(p[3 * PAGE - 1], 0);
	EQ(p[3 * PAGE], 'x');
}

TEST(madvise_errors)
{
	char *p = map(4);

	FAILS(madvise(p + 1, PAGE, MADV_DONTNEED), EINVAL);
	FAILS(madvise(p, PAGE, 12345), EINVAL);
	OK(madvise(p, 0, MADV_DONTNEED));
	OK(madvise(p, 4 * PAGE, MADV_NORMAL));
	OK(madvise(p, 4 * PAGE, MADV_DONTDUMP));
	OK(munmap(p + PAGE, PAGE));
	FAILS(madvise(p, 4 * PAGE, MADV_DONTNEED), ENOMEM);
	FAILS(madvise(p + PAGE, PAGE, MADV_DONTDUMP), ENOMEM);
}

TEST(madvise_dontfork)
{
	char *p = map(3);
	pid_t pid;

	OK(madvise(p + PAGE, PAGE, MADV_DONTFORK));
	pid = fork();
	if (!pid)
		_exit(readable(p) && !readable(p + PAGE) && readable(p + 2 * PAGE) ? 0 : 1);
	WAIT_EXIT(pid, 0);
	CHECK(readable(p + PAGE));
	OK(madvise(p + PAGE, PAGE, MADV_DOFORK));
	pid = fork();
	if (!pid)
		_exit(readable(p + PAGE) ? 0 : 1);
	WAIT_EXIT(pid, 0);
}

TEST(madvise_wipeonfork)
{
	char *p = map(1);
	pid_t pid;

	p[0] = 'x';
	OK(madvise(p, PAGE, MADV_WIPEONFORK));
	pid = fork();
	if (!pid)
		_exit(p[0]);
	WAIT_EXIT(pid, 0);
	EQ(p[0], 'x');
}

TEST(msync_errors)
{
	char *p = map(3);

	FAILS(msync(p, PAGE, MS_SYNC | MS_ASYNC), EINVAL);
	FAILS(msync(p, PAGE, 1 << 20), EINVAL);
	FAILS(msync(p + 1, PAGE, MS_SYNC), EINVAL);
	OK(msync(p, 3 * PAGE, MS_ASYNC));
	OK(munmap(p + PAGE, PAGE));
	FAILS(msync(p, 3 * PAGE, MS_ASYNC), ENOMEM);
}

TEST(mincore_of_touched)
{
	char *p = map(4);
	unsigned char vec[4] = {0};

	memset(p, 'x', 4 * PAGE);
	OK(mincore(p, 4 * PAGE, vec));
	for (int i = 0; i < 4; i++)
		EQ(vec[i] & 1, 1);
	FAILS(mincore(p + 1, PAGE, vec), EINVAL);
	OK(munmap(p + PAGE, PAGE));
	FAILS(mincore(p, 4 * PAGE, vec), ENOMEM);
	FAILS(mincore(p, PAGE, (unsigned char *)8), EFAULT);
}

TEST(mlock_limit)
{
	struct rlimit l = {2 * PAGE, 2 * PAGE};
	char *p = map(8);

	OK(mlock(p, PAGE));
	OK(munlock(p, 8 * PAGE));
	if (geteuid() == 0) {
		OK(setgid(65534));
		OK(setuid(65534));
	}
	OK(setrlimit(RLIMIT_MEMLOCK, &l));
	OK(mlock(p, 2 * PAGE));
	FAILS(mlock(p, 8 * PAGE), ENOMEM);
	OK(munlock(p, 2 * PAGE));
	OK(munmap(p + PAGE, PAGE));
	FAILS(mlock(p, 2 * PAGE), ENOMEM);
	FAILS(mlockall(0), EINVAL);
	OK(munlockall());
}

TEST(policy)
{
	char *p = map(1);
	unsigned long mask = 0, masks[16] = {0};
	int mode = -1;

	/* Without CAP_SYS_NICE some container engines forbid these. */
	if (syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0) < 0 && errno == EPERM)
		SKIP("memory policies are forbidden here");
	EQ(mode, 0);
	OK(syscall(SYS_get_mempolicy, NULL, masks, 1025, NULL, 4 /* MEMS_ALLOWED */));
	EQ(masks[0] & 1, 1);
	mask = 1;
	OK(syscall(SYS_mbind, p, PAGE, 2 /* BIND */, &mask, 64, 0));
	FAILS(syscall(SYS_mbind, p, PAGE, 77, &mask, 64, 0), EINVAL);
	FAILS(syscall(SYS_mbind, p + 1, PAGE, 0, NULL, 0, 0), EINVAL);
	OK(syscall(SYS_set_mempolicy, 0, NULL, 0));
	FAILS(syscall(SYS_set_mempolicy, 0, &mask, 64), EINVAL);
}

/* ---- threads ---- */

#define THREADS 8

/* Maps, fills, checks and unmaps: what one thread gives up must not take from another. */
static void *map_and_check(void *seed)
{
	unsigned r = (unsigned)(uintptr_t)seed;

	for (int round = 0; round < 1500; round++) {
		size_t size = (1 + rand_r(&r) % 8) * PAGE;
		char *p =
		    mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			return "mmap";
		memset(p, (int)(uintptr_t)seed, size);
		if (round % 3 == 0) {
			if (mprotect(p, PAGE, PROT_READ))
				return "mprotect";
		} else if (round % 5 == 0) {
			p = mremap(p, size, size + PAGE, MREMAP_MAYMOVE);
			if (p == MAP_FAILED)
				return "mremap";
			size += PAGE;
			p[size - 1] = (char)(uintptr_t)seed;
		}
		for (size_t i = 0; i < size - PAGE; i += 64)
			if (p[i] != (char)(uintptr_t)seed)
				return "content";
		if (munmap(p, size))
			return "munmap";
	}
	return NULL;
}

TEST(threads)
{
	pthread_t threads[THREADS];
	void *failed;

	for (uintptr_t i = 0; i < THREADS; i++)
		EQ(pthread_create(&threads[i], NULL, map_and_check, (void *)(i + 1)), 0);
	for (int i = 0; i < THREADS; i++) {
		EQ(pthread_join(threads[i], &failed), 0);
		STR_EQ(failed ? (char *)failed : "", "");
	}
}

static volatile bool forking_done;

static void *map_until_done(void *unused)
{
	while (!forking_done) {
		char *p = map(4);

		p[0] = 'x';
		munmap(p, 4 * PAGE);
	}
	return unused;
}

/* Children of a process whose threads are busy mapping can map, too. */
TEST(fork_among_threads)
{
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		EQ(pthread_create(&threads[i], NULL, map_until_done, NULL), 0);
	for (int i = 0; i < 50; i++) {
		pid_t pid = fork();

		if (!pid) {
			char *p = map(16);

			memset(p, 'c', 16 * PAGE);
			_exit(p[15 * PAGE] == 'c' ? 0 : 1);
		}
		WAIT_EXIT(pid, 0);
	}
	forking_done = true;
	for (int i = 0; i < 2; i++)
		EQ(pthread_join(threads[i], NULL), 0);
}

static void *advise(void *p)
{
	FAILS(madvise(p, PAGE, MADV_DONTNEED), EINVAL);
	FAILS(madvise(p, PAGE, MADV_FREE), EINVAL);
	return p;
}

TEST(locked_memory_is_needed)
{
	char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_t thread;

	CHECK(p != MAP_FAILED);
	*p = 1;
	OK(madvise(p, PAGE, MADV_DONTNEED));
	EQ(*p, 0);
	*p = 1;
	OK(mlock(p, PAGE));
	advise(p);
	EQ(pthread_create(&thread, NULL, advise, p), 0);
	EQ(pthread_join(thread, NULL), 0);
	EQ(*p, 1);
	OK(munlock(p, PAGE));
	OK(madvise(p, PAGE, MADV_DONTNEED));
	EQ(*p, 0);
}
