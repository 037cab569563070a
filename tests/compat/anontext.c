/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Code that a program makes in memory of its own, with calls in it, and rewrites while its threads
 * run through it: what a sandbox that rewrites hot call sites must not change. HOT is enough calls
 * to make one hot. tests/oci/test_patch.py runs the tests of threads while text is exchanged all
 * the time.
 */
#include "compat.h"
#include "maps.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <ucontext.h>

#define HOT   2000
#define PAGE  4096
#define FCNTL 72
#define PID   39
#define RX    (PROT_READ | PROT_EXEC)
#define RW    (PROT_READ | PROT_WRITE)

typedef long stub_fn(long, long, long);

/* mov $nr,%eax; syscall; ret */
static size_t put_stub(uint8_t *at, int nr)
{
	const uint8_t code[] = {0xb8, (uint8_t)nr, (uint8_t)(nr >> 8), 0, 0, 0x0f, 0x05, 0xc3};

	memcpy(at, code, sizeof(code));
	return sizeof(code);
}

static uint8_t *anon(size_t size, int prot)
{
	void *p = mmap(NULL, size, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

/* A page of text with these bytes at an offset. */
static uint8_t *text_with(const void *code, size_t size, size_t offset)
{
	uint8_t *p = anon(PAGE, RW);

	memset(p, 0xcc, PAGE);
	memcpy(p + offset, code, size);
	OK(mprotect(p, PAGE, RX));
	return p;
}

static uint8_t *stub_page(int nr)
{
	uint8_t code[8];

	return text_with(code, put_stub(code, nr), 0);
}

static void heat(const void *stub)
{
	for (int i = 0; i < HOT; i++)
		EQ(((stub_fn *)stub)(1, F_GETFD, 0), 0);
	EQ(((stub_fn *)stub)(-1, F_GETFD, 0), -EBADF);
}

/* A table of stubs one behind the other, as who makes them writes them. */
TEST(table)
{
	uint8_t *p = anon(2 * PAGE, RW);
	size_t at = 0, count;

	for (count = 0; at < 2 * PAGE - 8; count++)
		at += put_stub(p + at, count % 3 ? FCNTL : PID);
	OK(mprotect(p, 2 * PAGE, RX));
	for (int round = 0; round < 40; round++)
		for (size_t i = 0; i < count; i++)
			EQ(((stub_fn *)(p + 8 * i))(1, F_GETFD, 0), i % 3 ? 0 : getpid());
	for (int round = 0; round < HOT; round++)
		for (size_t i = 0; i < 16; i++)
			EQ(((stub_fn *)(p + 8 * i))(1, F_GETFD, 0), i % 3 ? 0 : getpid());
}

TEST(forms)
{
	static const struct {
		const char *code;
		size_t size;
	} forms[] = {
#define FORM(s) {s, sizeof(s) - 1}
	    FORM("\xb8\x48\0\0\0\x0f\x05\xc3"),
	    FORM("\x48\xc7\xc0\x48\0\0\0\x0f\x05\xc3"),
	    FORM("\x49\x89\xca\xb8\x48\0\0\0\x0f\x05\xc3"),	      /* mov %rcx,%r10 */
	    FORM("\xf3\x0f\x1e\xfa\xb8\x48\0\0\0\x0f\x05\xc3"),	      /* endbr64 */
	    FORM("\x0f\x1f\x84\0\0\0\0\0\xb8\x48\0\0\0\x0f\x05\xc3"), /* a long nop */
	    FORM("\x31\xc0\xb0\x48\x0f\x05\xc3"),		      /* mov $72,%al */
	    FORM("\xb8\x48\0\0\0\x90\x90\x0f\x05\xc3"),
	    /* The number is put into another register too, with the same bytes behind a prefix. */
	    FORM("\xb8\x48\0\0\0\x41\xb8\x48\0\0\0\x0f\x05\x49\x83\xe8\x48\x4c\x09\xc0\xc3"),
	    /* ... or into memory: the site's bytes are the end of movl $72,-72(%rsp). */
	    FORM("\xb8\x48\0\0\0\xc7\x44\x24\xb8\x48\0\0\0\x0f\x05\x8b\x54\x24\xb8\x83\xea\x48"
		 "\x48\x09\xd0\xc3"),
	    /* The call is jumped to, behind bytes that load nothing. */
	    FORM("\xb8\x48\0\0\0\xeb\x05\x05\xc3\xb8\0\0\x0f\x05\xc3"),
#undef FORM
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		for (size_t offset = 0; offset < 64; offset += 21) {
			uint8_t *p = text_with(forms[i].code, forms[i].size, offset);

			heat(p + offset);
			MEM_EQ(p + offset, forms[i].code, forms[i].size);
			heat(p + offset);
		}
}

/* At the beginning of a page, its end, and across. */
TEST(pages)
{
	uint8_t *p = anon(3 * PAGE, RW);

	for (int at = PAGE - 8; at <= PAGE; at++) {
		OK(mprotect(p, 3 * PAGE, RW));
		memset(p, 0xcc, 3 * PAGE);
		put_stub(p + at, FCNTL);
		OK(mprotect(p, 3 * PAGE, RX));
		heat(p + at);
	}
}

TEST(rewritten)
{
	uint8_t *p = anon(PAGE, RW);
	stub_fn *fn = (stub_fn *)p;

	for (int i = 0; i < 60; i++) {
		int nr = i % 2 ? FCNTL : PID;

		OK(mprotect(p, PAGE, RW));
		EQ(p[0], i ? 0xb8 : 0);
		put_stub(p, nr);
		OK(mprotect(p, PAGE, RX));
		for (int n = 0; n < HOT / 4; n++)
			EQ(fn(1, F_GETFD, 0), nr == FCNTL ? 0 : getpid());
	}
}

/* Other code in the place of a site. */
TEST(rewritten_otherwise)
{
	uint8_t *p = anon(PAGE, RW);

	for (int i = 0; i < 40; i++) {
		int at = i * 3 % 16;

		OK(mprotect(p, PAGE, RW));
		memset(p, 0x90, 32);
		put_stub(p + at, FCNTL);
		OK(mprotect(p, PAGE, RX));
		for (int n = 0; n < HOT / 4; n++)
			EQ(((stub_fn *)p)(1, F_GETFD, 0), 0);
	}
}

static uint32_t checksum(const uint8_t *p)
{
	uint32_t sum = 1;

	for (int i = 0; i < PAGE; i++)
		sum = sum * 31 + p[i];
	return sum;
}

TEST(checksum_of_own_text)
{
	uint8_t *p = stub_page(FCNTL);
	uint32_t before = checksum(p);

	for (int i = 0; i < 3; i++) {
		heat(p);
		EQ(checksum(p), before);
	}
}

TEST(text_as_a_buffer)
{
	uint8_t *p = stub_page(FCNTL), before[64], after[64];
	struct iovec to = {after, 64}, from = {p, 64};
	int fds[2], fd;

	memcpy(before, p, 64);
	OK(pipe(fds));
	for (int i = 0; i < 3; i++) {
		heat(p);
		EQ(write(fds[1], p, 64), 64);
		EQ(read(fds[0], after, 64), 64);
		MEM_EQ(after, before, 64);
		fd = OK(open("/proc/self/mem", O_RDONLY));
		memset(after, 0, 64);
		EQ(pread(fd, after, 64, (off_t)(uintptr_t)p), 64);
		MEM_EQ(after, before, 64);
		close(fd);
		memset(after, 0, 64);
		EQ(process_vm_readv(getpid(), &to, 1, &from, 1, 0), 64);
		MEM_EQ(after, before, 64);
		FAILS(read(open("/proc/self/exe", O_RDONLY), p, 64), EFAULT);
	}
	heat(p);
}

/* Into the middle of the mov: nop; nop; add %al,(%rax). The number is none. */
TEST(branch_into_the_middle)
{
	uint8_t *p = stub_page(0x9090);
	uint8_t cell[16] = {0};
	long ret;

	for (int i = 0; i < HOT; i++)
		EQ(((stub_fn *)p)(0, 0, 0), -ENOSYS);
	for (int i = 0; i < 20; i++) {
		__asm__ volatile("call *%1"
				 : "=a"(ret)
				 : "r"(p + 1), "0"(cell)
				 : "rcx", "r11", "rdi", "rsi", "rdx", "memory");
		EQ(ret, -ENOSYS);
		EQ(cell[0], (uint8_t)((uintptr_t)cell * (unsigned)(i + 1)));
		EQ(((stub_fn *)p)(0, 0, 0), -ENOSYS);
	}
	for (int i = 0; i < HOT; i++) { /* to the call itself */
		__asm__ volatile("call *%1"
				 : "=a"(ret)
				 : "r"(p + 5), "0"((long)PID)
				 : "rcx", "r11", "memory");
		EQ(ret, getpid());
	}
}

TEST(forks)
{
	uint8_t *p = stub_page(FCNTL);

	heat(p);
	for (int i = 0; i < 12; i++) {
		pid_t child = OK(fork());

		if (child == 0) {
			if (i % 3 == 0) {
				OK(mprotect(p, PAGE, RW));
				put_stub(p, PID);
				OK(mprotect(p, PAGE, RX));
				for (int n = 0; n < HOT; n++)
					EQ(((stub_fn *)p)(0, 0, 0), getpid());
			} else if (i % 3 == 1) {
				EQ(p[1], FCNTL);
			}
			if (i % 3)
				heat(p);
			_exit(0);
		}
		heat(p);
		WAIT_EXIT(child, 0);
	}
	EQ(p[1], FCNTL);
}

TEST(changed_mappings)
{
	uint8_t *p, *q;

	for (int i = 0; i < 8; i++) {
		p = stub_page(FCNTL);
		heat(p);
		switch (i) {
		case 0: /* its content is dropped */
			OK(madvise(p, PAGE, MADV_DONTNEED));
			EQ(p[0], 0);
			EQ(p[1], 0);
			break;
		case 1: /* moved */
			q = mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
				   (void *)0x300000000000);
			EQ((uint64_t)q, 0x300000000000);
			p = q;
			heat(p);
			break;
		case 2: /* replaced */
			OK((long)mmap(p, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
			EQ(p[0], 0);
			put_stub(p, FCNTL);
			heat(p);
			break;
		case 3: /* unmapped, and made again at the same place */
			OK(munmap(p, PAGE));
			EQ((long)mmap(p, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
			   (long)p);
			put_stub(p, FCNTL);
			OK(mprotect(p, PAGE, RX));
			heat(p);
			break;
		case 4: /* readable only for a while */
			OK(mprotect(p, PAGE, PROT_READ));
			EQ(p[0], 0xb8);
			OK(mprotect(p, PAGE, RX));
			heat(p);
			break;
		case 5: /* another page is moved over it */
			q = stub_page(PID);
			OK((long)mremap(q, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p));
			for (int n = 0; n < HOT; n++)
				EQ(((stub_fn *)p)(0, 0, 0), getpid());
			break;
		case 6: /* pages are collected, written out, locked */
			OK(madvise(p, PAGE, MADV_COLD));
			heat(p);
			OK(mlock(p, PAGE));
			heat(p);
			EQ(p[0], 0xb8);
			break;
		default:
			break;
		}
		OK(munmap(p, PAGE));
	}
}

/* The same memory twice, to be written here and executed there. */
TEST(mapped_twice)
{
	int fd = OK((int)syscall(SYS_memfd_create, "code", 0));
	uint8_t *w, *x, *private;

	OK(ftruncate(fd, PAGE));
	w = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
	x = mmap(NULL, PAGE, RX, MAP_SHARED, fd, 0);
	CHECK(w != MAP_FAILED && x != MAP_FAILED);
	put_stub(w, FCNTL);
	for (int i = 0; i < 10; i++) {
		w[1] = PID;
		for (int n = 0; n < HOT / 4; n++)
			EQ(((stub_fn *)x)(1, F_GETFD, 0), getpid());
		w[1] = FCNTL;
		heat(x);
	}
	private = mmap(NULL, PAGE, RX, MAP_PRIVATE, fd, 0);
	CHECK(private != MAP_FAILED);
	heat(private);
	w[1] = PID;
	EQ(((stub_fn *)private)(1, F_GETFD, 0), getpid());
}

/* Written and executed at once. */
TEST(writable_text)
{
	uint8_t *p = anon(PAGE, RW | PROT_EXEC);

	put_stub(p, FCNTL);
	for (int i = 0; i < 20; i++) {
		p[1] = PID;
		for (int n = 0; n < HOT / 4; n++)
			EQ(((stub_fn *)p)(1, F_GETFD, 0), getpid());
		p[1] = FCNTL;
		heat(p);
	}
}

TEST(maps_say_nothing)
{
	uint8_t *p = stub_page(FCNTL);
	char *before = maps();

	heat(p);
	STR_EQ(maps(), before);
	EQ(p[0], 0xb8);
	STR_EQ(maps(), before);
}

static volatile uint64_t low, high, strange;
static volatile sig_atomic_t ticks;
extern char __executable_start[], etext[];

static void on_tick(int signo, siginfo_t *info, void *uc)
{
	uint64_t rip = (uint64_t)((ucontext_t *)uc)->uc_mcontext.gregs[REG_RIP];

	(void)signo;
	(void)info;
	ticks++;
	if ((rip < (uint64_t)__executable_start || rip >= (uint64_t)etext) &&
	    (rip < low || rip >= high))
		strange = rip;
}

TEST(signals_see_the_program)
{
	struct sigaction sa = {.sa_sigaction = on_tick, .sa_flags = SA_SIGINFO | SA_RESTART};
	struct itimerval every = {{0, 200}, {0, 200}};
	uint8_t *p = stub_page(FCNTL);

	low = (uint64_t)p;
	high = low + PAGE;
	heat(p);
	OK(sigaction(SIGALRM, &sa, NULL));
	OK(setitimer(ITIMER_REAL, &every, NULL));
	while (ticks < 500)
		EQ(((stub_fn *)p)(1, F_GETFD, 0), 0);
	EQ(strange, 0);
}

static atomic_bool stop;
static atomic_int wrong, started;
static stub_fn *shared;

/* Either call may be the present one; both results are told apart. */
static void *hammer(void *arg)
{
	long me = getpid();

	(void)arg;
	started++;
	while (!stop) {
		long a = shared(1, F_GETFD, 0), b = shared(-1, F_GETFD, 0);

		if ((a != 0 && a != me) || (b != -EBADF && b != me))
			wrong++;
	}
	return NULL;
}

static void with_threads(void (*fn)(uint8_t *, int))
{
	pthread_t threads[3];
	uint8_t *p = stub_page(FCNTL);

	shared = (stub_fn *)p;
	for (int i = 0; i < 3; i++)
		EQ(pthread_create(&threads[i], NULL, hammer, NULL), 0);
	while (started < 3)
		sched_yield();
	for (int i = 0; i < 60; i++) {
		int nr = i % 2 ? FCNTL : PID;

		fn(p, nr);
		for (int n = 0; n < 150; n++)
			EQ(shared(1, F_GETFD, 0), nr == PID ? getpid() : 0);
	}
	stop = true;
	for (int i = 0; i < 3; i++)
		EQ(pthread_join(threads[i], NULL), 0);
	EQ(wrong, 0);
}

/* It stays executable while it is written to: a byte, which every CPU sees before or after. */
static void write_in_place(uint8_t *p, int nr)
{
	OK(mprotect(p, PAGE, RX | PROT_WRITE));
	((volatile uint8_t *)p)[1] = (uint8_t)nr;
	OK(mprotect(p, PAGE, RX));
}

TEST(threads_while_text_is_written)
{
	with_threads(write_in_place);
}

/* A new page takes the old one's place. */
static void move_over(uint8_t *p, int nr)
{
	uint8_t *q = stub_page(nr);

	OK((long)mremap(q, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p));
}

TEST(threads_while_text_is_replaced)
{
	with_threads(move_over);
}

/* It is read, and forked, all the time. */
static void read_and_fork(uint8_t *p, int nr)
{
	pid_t child;

	write_in_place(p, nr);
	EQ(p[1], nr);
	child = OK(fork());
	if (child == 0)
		_exit(p[1] == nr && shared(1, F_GETFD, 0) == (nr == PID ? getpid() : 0) ? 0 : 1);
	WAIT_EXIT(child, 0);
}

TEST(threads_while_text_is_read)
{
	with_threads(read_and_fork);
}
