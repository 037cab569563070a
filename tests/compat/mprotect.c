/* SPDX-License-Identifier: Apache-2.0 */
/* mprotect(2), and what a fault reports. */
#include "compat.h"

#include <setjmp.h>
#include <sys/mman.h>

#define PAGE 4096ul

static sigjmp_buf back;
static siginfo_t fault;

static void on_fault(int signo, siginfo_t *info, void *context)
{
	(void)signo;
	(void)context;
	fault = *info;
	siglongjmp(back, 1);
}

static void catch_faults(void)
{
	struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

	OK(sigaction(SIGSEGV, &sa, NULL));
	OK(sigaction(SIGBUS, &sa, NULL));
}

static bool can_read(volatile char *p)
{
	if (sigsetjmp(back, 1))
		return false;
	(void)*p;
	return true;
}

static bool can_write(volatile char *p)
{
	if (sigsetjmp(back, 1))
		return false;
	*p = 'w';
	return true;
}

static char *map(size_t pages, int prot)
{
	char *p = mmap(NULL, pages * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

TEST(takes_and_gives)
{
	char *p = map(3, PROT_READ | PROT_WRITE);

	catch_faults();
	p[PAGE] = 'x';
	OK(mprotect(p + PAGE, PAGE, PROT_READ));
	CHECK(can_write(p));
	CHECK(can_read(p + PAGE));
	CHECK(!can_write(p + PAGE));
	CHECK(can_write(p + 2 * PAGE));
	OK(mprotect(p + PAGE, PAGE, PROT_NONE));
	CHECK(!can_read(p + PAGE));
	OK(mprotect(p, 3 * PAGE, PROT_READ | PROT_WRITE));
	EQ(p[PAGE], 'x');
	CHECK(can_write(p + PAGE));
}

TEST(fault_says_where_and_why)
{
	char *p = map(2, PROT_READ);

	catch_faults();
	CHECK(!can_write(p + 123));
	EQ(fault.si_signo, SIGSEGV);
	EQ(fault.si_code, SEGV_ACCERR);
	CHECK(fault.si_addr == p + 123);
	OK(munmap(p + PAGE, PAGE));
	CHECK(!can_read(p + PAGE + 5));
	EQ(fault.si_code, SEGV_MAPERR);
	CHECK(fault.si_addr == p + PAGE + 5);
	CHECK(!can_read(NULL));
	CHECK(fault.si_addr == NULL);
}

TEST(executes)
{
	static const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3}; /* mov $42,%eax; ret */
	char *p = map(1, PROT_READ | PROT_WRITE);

	memcpy(p, code, sizeof(code));
	OK(mprotect(p, PAGE, PROT_READ | PROT_EXEC));
	EQ(((int (*)(void))p)(), 42);
	catch_faults();
	OK(mprotect(p, PAGE, PROT_READ));
	if (!sigsetjmp(back, 1)) {
		((int (*)(void))p)();
		CHECK(!"ran without permission");
	}
	CHECK(fault.si_addr == p);
}

TEST(shared_file_needs_rights)
{
	int fd;
	char *p;

	WRITE_FILE("f", "content");
	fd = OK(open("f", O_RDONLY));
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	FAILS(mprotect(p, PAGE, PROT_READ | PROT_WRITE), EACCES);
	p = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	CHECK(p != MAP_FAILED);
	OK(mprotect(p, PAGE, PROT_READ | PROT_WRITE));
	p[0] = 'X';
	fd = OK(open("f", O_RDWR));
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	OK(mprotect(p, PAGE, PROT_READ | PROT_WRITE));
	p[0] = 'Y';
	EQ(pread(fd, p + 100, 1, 0), 1);
	EQ(p[100], 'Y');
}

TEST(errors)
{
	char *p = map(4, PROT_READ | PROT_WRITE);

	FAILS(mprotect(p + 1, PAGE, PROT_READ), EINVAL);
	FAILS(mprotect(p, PAGE, 0x80), EINVAL);
	OK(mprotect(p, 0, PROT_READ));
	FAILS(mprotect(p, -1ul, PROT_READ), ENOMEM);
	FAILS(mprotect(p, PAGE, PROT_READ | PROT_GROWSDOWN), EINVAL);
	OK(munmap(p + 2 * PAGE, PAGE));
	FAILS(mprotect(p + 2 * PAGE, PAGE, PROT_READ), ENOMEM);
	catch_faults();
	/* What comes before the hole is done. */
	FAILS(mprotect(p, 4 * PAGE, PROT_READ), ENOMEM);
	CHECK(!can_write(p + PAGE));
	CHECK(can_write(p + 3 * PAGE));
}

TEST(system_calls_see_it)
{
	char *p = map(2, PROT_READ | PROT_WRITE);
	int fds[2];

	OK(pipe(fds));
	OK(mprotect(p + PAGE, PAGE, PROT_READ));
	EQ(write(fds[1], p + PAGE, 10), 10);
	FAILS(read(fds[0], p + PAGE, 10), EFAULT);
	OK(mprotect(p + PAGE, PAGE, PROT_NONE));
	FAILS(write(fds[1], p + PAGE, 10), EFAULT);
}
