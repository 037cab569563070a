/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Call sites of every form, with branches to wherever one can lead: what a sandbox that rewrites
 * hot sites must not change. HOT is enough calls to make one hot (with --force=patch, one is).
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

#define HOT 4000

/*
 * The sites. All but a few make call 72, fcntl(rdi, rsi = F_GETFD), so that arguments count.
 * "interior" labels are in the middle of what is in front of a call.
 */
#define FUNCTION(name) ".globl " #name "\n.type " #name ",@function\n" #name ":\n"
__asm__(
    ".text\n.balign 16\n"
    /* The number as an immediate. */
    FUNCTION(site_number) "mov $72,%eax\n syscall\n ret\n"
    /* Go: the last argument comes from the stack. */
    FUNCTION(site_stack) "mov $72,%eax\n mov 8(%rsp),%r9\n syscall\n ret\n"
    /* glibc's read: rip-relative flag, conditional jump, two bytes. */
    FUNCTION(site_flag) "cmpb $0,site_zero(%rip)\n jne 1f\n xor %eax,%eax\n syscall\n ret\n"
			"1: mov $-38,%rax\n ret\n"
    /* The conditional jump is taken. */
    FUNCTION(site_taken) "cmpb $0,site_zero(%rip)\n je 1f\n xor %eax,%eax\n syscall\n ret\n"
			 "1: mov $1234,%eax\n ret\n"
    /* Short ones in a row. */
    FUNCTION(
	site_short) "mov $72,%eax\n mov %edi,%edi\n mov %esi,%esi\n mov %edx,%edx\n syscall\n ret\n"
    /* Nothing in front that could be moved. */
    FUNCTION(site_bare) "syscall\n ret\n" FUNCTION(site_after_call) "push %rdi\n call "
								    "site_nothing\n pop %rdi\n "
								    "syscall\n ret\n" FUNCTION(
									site_nothing) "mov "
										      "$72,%eax\n "
										      "ret\n"
    /* A branch to the second instruction of what would be moved, and one to the call. */
    FUNCTION(site_loop) "mov $72,%eax\n mov $3,%r9d\n"
			"1: mov %esi,%esi\n2: mov %edi,%edi\n dec %r9d\n jz 3f\n mov %edx,%edx\n "
			"jmp 2b\n"
			"3: mov $72,%eax\n jmp 5f\n4: mov $72,%eax\n5: syscall\n ret\n"
    /* The same by addresses that no analysis sees. */
    FUNCTION(site_hidden) "mov $72,%eax\n mov %edi,%edi\n"
			  ".globl interior_insn\ninterior_insn: mov %esi,%esi\n mov %edx,%edx\n"
			  ".globl interior_call\ninterior_call: syscall\n ret\n"
    /* In the middle of one instruction there are others. */
    FUNCTION(site_middle) "mov $72,%eax\n"
			  ".byte 0x48,0xc7,0xc2\n.globl interior_bytes\ninterior_bytes: .byte "
			  "0x90,0x90,0x90,0x90\n"
			  "syscall\n ret\n"
			  /* Across the boundary of two pages. */
			  ".balign 4096\n.skip 4096-3,0x90\n" FUNCTION(
			      site_pages) "mov $72,%eax\n syscall\n ret\n"
    /* The instruction in front can fault. */
    FUNCTION(site_fault) "mov $72,%eax\n.globl fault_insn\nfault_insn: mov 0x1000(%rdx),%r9\n "
			 "syscall\n ret\n"
    /* Below the stack pointer there are 128 bytes that a leaf function may use. */
    FUNCTION(site_red_zone) "mov $16,%ecx\n1: mov %rcx,-136(%rsp,%rcx,8)\n dec %ecx\n jnz 1b\n"
			    "mov $72,%eax\n syscall\n mov $16,%ecx\n"
			    "2: cmp %rcx,-136(%rsp,%rcx,8)\n jne 3f\n dec %ecx\n jnz 2b\n ret\n3: "
			    "mov $-1000,%rax\n ret\n"
    /* What the registers are behind the call: rcx its address, r11 the flags. */
    FUNCTION(site_clobber) "pushfq\n orl $0x8d5,(%rsp)\n popfq\n mov $72,%eax\n syscall\n"
			   ".globl behind_clobber\nbehind_clobber: pushfq\n pop %rdx\n mov "
			   "%rcx,(%r8)\n mov %r11,8(%r8)\n"
			   "mov %rdx,16(%r8)\n ret\n"
    /* The site of a call that blocks. */
    FUNCTION(site_read) "mov $0,%eax\n syscall\n.globl behind_read\nbehind_read: ret\n"
			".data\nsite_zero: .byte 0\n.text\n"
    /* long run_site(site, struct regs *): loads all registers, calls it, stores them. */
    FUNCTION(
	run_site) "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
		  "push %rsi\n sub $8,%rsp\n mov %rdi,(%rsp)\n mov %rsi,%rax\n"
		  "mov 0(%rax),%rdi\n mov 8(%rax),%rsi\n mov 16(%rax),%rdx\n mov 24(%rax),%r10\n"
		  "mov 32(%rax),%r8\n mov 40(%rax),%r9\n mov 48(%rax),%rbx\n mov 56(%rax),%rbp\n"
		  "mov 64(%rax),%r12\n mov 72(%rax),%r13\n mov 80(%rax),%r14\n mov 88(%rax),%r15\n"
		  "movups 96(%rax),%xmm0\n movups 96(%rax),%xmm15\n"
		  "call *(%rsp)\n push %rax\n mov 16(%rsp),%rax\n"
		  "mov %rdi,0(%rax)\n mov %rsi,8(%rax)\n mov %rdx,16(%rax)\n mov %r10,24(%rax)\n"
		  "mov %r8,32(%rax)\n mov %r9,40(%rax)\n mov %rbx,48(%rax)\n mov %rbp,56(%rax)\n"
		  "mov %r12,64(%rax)\n mov %r13,72(%rax)\n mov %r14,80(%rax)\n mov %r15,88(%rax)\n"
		  "pxor %xmm0,%xmm15\n movups %xmm15,96(%rax)\n pop %rax\n add $16,%rsp\n"
		  "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n "
		  "ret\n" FUNCTION(sites_end) "ret\n");

typedef long site_fn(long, long, long);
struct regs {
	long gpr[12];
	uint64_t xmm[2];
};
site_fn site_number, site_stack, site_flag, site_taken, site_short, site_bare, site_after_call,
    site_loop, site_hidden, site_middle, site_pages, site_fault, site_red_zone, site_read;
long run_site(site_fn *site, struct regs *r);
long site_clobber(long, long, long, long, uint64_t *);
void sites_end(void);
extern char interior_insn[], interior_call[], interior_bytes[], fault_insn[], behind_clobber[],
    behind_read[];

/* Calls an address within a function as if it were the function, with rax = number. */
static long call_at(const void *at, long nr, long a, long b, long c)
{
	long ret;

	__asm__ volatile("call *%1"
			 : "=a"(ret)
			 : "r"(at), "0"(nr), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "r9", "memory");
	return ret;
}

static void heat(site_fn *site)
{
	for (int i = 0; i < HOT; i++)
		EQ(site(1, F_GETFD, 0), 0);
}

TEST(forms)
{
	static site_fn *const sites[] = {site_number,	  site_stack, site_short,
					 site_after_call, site_loop,  site_hidden,
					 site_middle,	  site_pages, site_red_zone};

	for (int round = 0; round < HOT; round++)
		for (size_t i = 0; i < sizeof(sites) / sizeof(sites[0]); i++) {
			EQ(sites[i](1, F_GETFD, 0), 0);
			if (round % 64 == 0)
				EQ(sites[i](-1, F_GETFD, 0), -EBADF);
		}
	for (int i = 0; i < HOT; i++)
		EQ(call_at(site_bare, 72, 1, F_GETFD, 0), 0);
}

TEST(flag_and_jump)
{
	int fds[2];
	char c;

	OK(pipe(fds));
	for (int i = 0; i < HOT; i++) {
		EQ(write(fds[1], "x", 1), 1);
		EQ(site_flag(fds[0], (long)&c, 1), 1);
		EQ(site_taken(fds[0], (long)&c, 1), 1234);
	}
	EQ(site_flag(-1, (long)&c, 1), -EBADF);
}

TEST(registers)
{
	static site_fn *const sites[] = {site_number, site_stack, site_hidden, site_pages};

	for (int round = 0; round < HOT; round++) {
		struct regs r = {{1, F_GETFD, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, {13, 14}};

		EQ(run_site(sites[round % 4], &r), 0);
		for (int i = 0; i < 12; i++)
			if (i != 5) /* r9 is loaded by site_stack */
				EQ(r.gpr[i], i == 1 ? F_GETFD : i + 1);
		EQ(r.xmm[0], 0);
		EQ(r.xmm[1], 0);
	}
}

TEST(clobbered)
{
	uint64_t seen[3];

	for (int i = 0; i < HOT; i++) {
		EQ(site_clobber(1, F_GETFD, 0, 0, seen), 0);
		EQ(seen[0], (uint64_t)behind_clobber);
		EQ(seen[1] & 0x8d5, 0x8d5);
		EQ(seen[2] & 0x8d5, 0x8d5);
	}
}

TEST(branch_into_the_middle)
{
	heat(site_hidden);
	heat(site_middle);
	for (int i = 0; i < 200; i++) {
		EQ(call_at(interior_insn, 72, 1, F_GETFD, 0), 0);
		EQ(call_at(interior_call, 72, 1, F_GETFD, 0), 0);
		EQ(site_hidden(1, F_GETFD, 0), 0);
	}
	for (int i = 0; i < 4; i++) {
		EQ(call_at(interior_bytes + i, 72, 1, F_GETFD, 0), 0);
		heat(site_middle);
	}
	EQ(call_at(interior_insn, 72, -1, F_GETFD, 0), -EBADF);
}

static uint32_t checksum(void)
{
	const uint8_t *at = (const uint8_t *)site_number, *end = (const uint8_t *)sites_end;
	uint32_t sum = 1;

	for (; at < end; at++)
		sum = sum * 31 + *at;
	return sum;
}

TEST(checksum_of_own_text)
{
	uint32_t before = checksum();

	heat(site_number);
	EQ(checksum(), before);
	heat(site_number);
	EQ(checksum(), before);
}

/* The kernel reads it for us. */
TEST(text_as_a_buffer)
{
	size_t size = 64;
	char before[64], after[64];
	int fds[2], fd;

	memcpy(before, (const void *)site_number, size);
	if (fork() == 0) {
		struct iovec to = {after, size}, from = {(void *)site_number, size};

		heat(site_number);
		OK(pipe(fds));
		EQ(write(fds[1], (const void *)site_number, size), (long)size);
		EQ(read(fds[0], after, size), (long)size);
		MEM_EQ(after, before, size);
		fd = OK(open("/proc/self/mem", O_RDONLY));
		memset(after, 0, size);
		EQ(pread(fd, after, size, (off_t)site_number), (long)size);
		MEM_EQ(after, before, size);
		memset(after, 0, size);
		EQ(process_vm_readv(getpid(), &to, 1, &from, 1, 0), (long)size);
		MEM_EQ(after, before, size);
		heat(site_number);
		_exit(0);
	}
	int status;
	OK(wait(&status));
	EQ(status, 0);
}

extern char __executable_start[], __etext[];

/* All of the program's text, and what is mapped in front of it and behind it. */
TEST(whole_text_as_a_buffer)
{
	const char *start = __executable_start;
	size_t size = ((uintptr_t)__etext - (uintptr_t)start + 8191) & ~(size_t)4095;
	char *before =
		 OK(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)),
	     *after = malloc(size);
	int fd = OK(open("f", O_RDWR | O_CREAT, 0600)), status;

	if (fork() == 0) {
		memcpy(before, start, size);
		_exit(0);
	}
	OK(wait(&status));
	EQ(status, 0);
	heat(site_number);
	EQ(write(fd, start, size), size);
	EQ(pread(fd, after, size, 0), size);
	MEM_EQ(after, before, size);
	heat(site_number);
}

TEST(maps_say_nothing)
{
	char *before = maps();

	heat(site_number);
	heat(site_short);
	STR_EQ(maps(), before);
	for (uint64_t at = 0x60000000; at < 0x62000000; at += 1 << 16) {
		void *p = mmap((void *)at, 1 << 16, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

		EQ((uint64_t)p, at);
		*(char *)p = 1;
		EQ(site_number(1, F_GETFD, 0), 0);
		OK(munmap(p, 1 << 16));
	}
	heat(site_number);
	STR_EQ(maps(), before);
}

static volatile sig_atomic_t faults;
static volatile uint64_t fault_rip, fault_addr;
static char good[0x2000];

static void on_fault(int signo, siginfo_t *info, void *uc)
{
	greg_t *regs = ((ucontext_t *)uc)->uc_mcontext.gregs;

	(void)signo;
	faults++;
	fault_rip = (uint64_t)regs[REG_RIP];
	fault_addr = (uint64_t)info->si_addr;
	regs[REG_RDX] = (greg_t)good;
}

TEST(fault_in_front)
{
	struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

	OK(sigaction(SIGSEGV, &sa, NULL));
	for (int i = 0; i < HOT; i++)
		EQ(site_fault(1, F_GETFD, (long)good), 0);
	EQ(faults, 0);
	for (int i = 1; i <= 20; i++) {
		EQ(site_fault(1, F_GETFD, 0x3000), 0);
		EQ(faults, i);
		EQ(fault_rip, (uint64_t)fault_insn);
		EQ(fault_addr, 0x4000);
	}
}

static volatile uint64_t strange;
static volatile sig_atomic_t ticks;
extern char __executable_start[], etext[];

static void on_tick(int signo, siginfo_t *info, void *uc)
{
	uint64_t rip = (uint64_t)((ucontext_t *)uc)->uc_mcontext.gregs[REG_RIP];

	(void)signo;
	(void)info;
	ticks++;
	/* In the program, or in the vDSO far above. */
	if ((rip < (uint64_t)__executable_start || rip >= (uint64_t)etext) && rip < 1ull << 40)
		strange = rip;
}

TEST(signals_see_the_program)
{
	struct sigaction sa = {.sa_sigaction = on_tick, .sa_flags = SA_SIGINFO | SA_RESTART};
	struct itimerval every = {{0, 200}, {0, 200}};

	heat(site_short);
	OK(sigaction(SIGALRM, &sa, NULL));
	OK(setitimer(ITIMER_REAL, &every, NULL));
	while (ticks < 500) {
		EQ(site_short(1, F_GETFD, 0), 0);
		EQ(site_hidden(1, F_GETFD, 0), 0);
		EQ(site_fault(1, F_GETFD, (long)good), 0);
	}
	EQ(strange, 0);
}

static void nothing(int signo)
{
	(void)signo;
}

TEST(restarted_call)
{
	struct sigaction sa = {.sa_handler = nothing, .sa_flags = SA_RESTART};
	int fds[2];
	char c;

	OK(pipe(fds));
	for (int i = 0; i < HOT; i++) {
		EQ(write(fds[1], "x", 1), 1);
		EQ(site_read(fds[0], (long)&c, 1), 1);
	}
	OK(sigaction(SIGUSR1, &sa, NULL));
	for (int restart = 1; restart >= 0; restart--) {
		sa.sa_flags = restart ? SA_RESTART : 0;
		OK(sigaction(SIGUSR1, &sa, NULL));
		for (int i = 0; i < 20; i++) {
			pid_t me = getpid(), child = OK(fork());

			if (child == 0) {
				usleep(2000);
				kill(me, SIGUSR1);
				usleep(2000);
				_exit(write(fds[1], "x", 1) == 1 ? 0 : 1);
			}
			if (!restart) {
				long got = site_read(fds[0], (long)&c, 1);

				CHECK(got == -EINTR || got == 1);
				if (got == -EINTR)
					EQ(site_read(fds[0], (long)&c, 1), 1);
			} else {
				EQ(site_read(fds[0], (long)&c, 1), 1);
			}
			WAIT_EXIT(child, 0);
		}
	}
}

TEST(forks)
{
	heat(site_number);
	for (int i = 0; i < 30; i++) {
		pid_t child = OK(fork());

		if (child == 0) {
			uint32_t sum = i % 3 ? 0 : checksum();

			for (int n = 0; n < 200; n++)
				if (site_number(1, F_GETFD, 0) || site_pages(1, F_GETFD, 0))
					_exit(1);
			_exit(i % 3 || sum == checksum() ? 0 : 2);
		}
		EQ(site_number(1, F_GETFD, 0), 0);
		WAIT_EXIT(child, 0);
	}
}

/* The program's text, as /proc/self/maps says. */
static void find_text(unsigned long *ret_start, unsigned long *ret_end, unsigned long *ret_offset)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[256];

	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx r-xp %lx", ret_start, ret_end, ret_offset) == 3 &&
		    *ret_start <= (unsigned long)site_number &&
		    (unsigned long)site_number < *ret_end)
			break;
	fclose(f);
}

/* Mapped a second time, at `at` if that isn't NULL; where its site_number is. */
static site_fn *map_again_at(char *at, char **ret_start, size_t *ret_size)
{
	unsigned long start, end, offset;
	int fd = OK(open("/proc/self/exe", O_RDONLY));
	char *p;

	find_text(&start, &end, &offset);
	p = mmap(at, end - start, PROT_READ | PROT_EXEC, MAP_PRIVATE | (at ? MAP_FIXED : 0), fd,
		 (off_t)offset);
	CHECK(p != MAP_FAILED);
	close(fd);
	*ret_start = p;
	*ret_size = end - start;
	return (site_fn *)(p + ((unsigned long)site_number - start));
}

static site_fn *map_again(char **ret_start, size_t *ret_size)
{
	return map_again_at(NULL, ret_start, ret_size);
}

TEST(changed_mappings)
{
	char *p, *page;
	size_t size;
	site_fn *fn;

	heat(site_number);
	for (int i = 0; i < 8; i++) {
		fn = map_again(&p, &size);
		page = (char *)((uintptr_t)fn & ~4095ul);
		heat(fn);
		switch (i) {
		case 0: /* written to */
			OK(mprotect(page, 4096, PROT_READ | PROT_WRITE));
			((unsigned char *)fn)[1] = 39; /* getpid */
			OK(mprotect(page, 4096, PROT_READ | PROT_EXEC));
			EQ(fn(1, F_GETFD, 0), getpid());
			break;
		case 1: /* of a part */
			OK(munmap(page + 4096, 4096));
			heat(fn);
			break;
		case 2: /* replaced */
			OK((long)mmap(page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
			memcpy((void *)fn, (const void *)site_number, 8);
			heat(fn);
			break;
		case 3: { /* moved */
			char *to = mremap(p, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
					  (char *)0x300000000000);

			EQ((uint64_t)to, 0x300000000000);
			heat((site_fn *)(to + ((char *)fn - p)));
			p = to;
			break;
		}
		case 4: /* readable and executable once more */
			OK(mprotect(p, size, PROT_READ | PROT_EXEC));
			heat(fn);
			EQ(memcmp((const void *)fn, (const void *)site_number, 8), 0);
			break;
		case 5: /* not executable for a while */
			OK(mprotect(p, size, PROT_READ));
			EQ(memcmp((const void *)fn, (const void *)site_number, 8), 0);
			OK(mprotect(p, size, PROT_READ | PROT_EXEC));
			heat(fn);
			break;
		case 6: /* dropped from memory */
			OK(madvise(p, size, MADV_DONTNEED));
			heat(fn);
			break;
		default:
			break;
		}
		OK(munmap(p, size));
		heat(site_number);
	}
}

static atomic_bool stop;
#define MANY 45 /* texts; two answers of the sentry bring back 24 each at most */

/* So many texts side by side; the site of the one in the middle. */
static site_fn *map_many(char **ret_start, size_t *ret_size)
{
	site_fn *fn, *middle = NULL;
	unsigned long start, end, offset;
	size_t size;
	char *p, *all;

	find_text(&start, &end, &offset);
	*ret_size = MANY * (end - start);
	all = *ret_start = OK(mmap(NULL, *ret_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	for (int i = 0; i < MANY; i++) {
		fn = map_again_at(all + (size_t)i * (end - start), &p, &size);
		for (int n = 0; n < 20; n++)
			EQ(fn(1, F_GETFD, 0), 0);
		if (i == MANY / 2)
			middle = fn;
	}
	return middle;
}

/* One call over all of them. */
TEST(many_texts_at_once)
{
	size_t size;
	char *p, *to;
	site_fn *fn;

	heat(site_number);
	for (int i = 0; i < 6; i++) {
		fn = map_many(&p, &size);
		switch (i) {
		case 0: /* readable only */
			OK(mprotect(p, size, PROT_READ));
			EQ(memcmp((const void *)fn, (const void *)site_number, 8), 0);
			OK(mprotect(p, size, PROT_READ | PROT_EXEC));
			heat(fn);
			break;
		case 1: /* written to */
			OK(mprotect(p, size, PROT_READ | PROT_WRITE));
			((unsigned char *)fn)[1] = 39; /* getpid */
			OK(mprotect(p, size, PROT_READ | PROT_EXEC));
			EQ(fn(1, F_GETFD, 0), getpid());
			break;
		case 2: /* replaced */
			CHECK(mmap(p, size, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p);
			for (size_t at = 0; at < size; at += 4096)
				EQ(p[at], 0);
			break;
		case 3: /* all but the ends */
			OK(munmap(p + 4096, size - 8192));
			CHECK(mmap(p + 4096, size - 8192, PROT_NONE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
				   0) == p + 4096);
			break;
		case 4: /* something moved there */
			to = OK(mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
			CHECK(mremap(to, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, p) == p);
			EQ(*(char *)fn, 0);
			break;
		default:
			break;
		}
		OK(munmap(p, size));
		CHECK(mmap(p, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
			   -1, 0) == p);
		OK(munmap(p, size));
		heat(site_number);
	}
}

/* A mapping that the host refuses, after text was exchanged: the error is that call's own. */
TEST(refused_mapping)
{
	size_t size = 1ul << 46, text_size;
	char *text;
	site_fn *fn = map_again(&text, &text_size);

	heat(fn);
	OK(mprotect(text, text_size, PROT_READ | PROT_WRITE));
	for (int i = 0; i < 3; i++) {
		void *p =
		    mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			EQ(errno, ENOMEM);
		else
			OK(munmap(p, size)); /* the host overcommits without limit */
	}
	OK(munmap(text, text_size));
}

static atomic_int wrong;

static void *hammer(void *arg)
{
	site_fn *const sites[] = {site_number, site_stack, site_short, site_hidden, site_pages};
	long n = (long)arg;

	while (!stop) {
		n++;
		if (sites[n % 5](1, F_GETFD, 0) != 0 || sites[n % 5](-1, F_GETFD, 0) != -EBADF)
			wrong++;
		if (n % 16 == 0 && call_at(interior_insn, 72, 1, F_GETFD, 0) != 0)
			wrong++;
	}
	return NULL;
}

static void *call_in(void *arg)
{
	while (!stop)
		if (((site_fn *)arg)(1, F_GETFD, 0) != 0)
			wrong++;
	return NULL;
}

/* They run while all of them change. */
TEST(threads_in_many_texts)
{
	pthread_t threads[2];
	size_t size;
	char *p, *other;
	site_fn *fn = map_many(&p, &size);

	for (int i = 0; i < 2; i++)
		EQ(pthread_create(&threads[i], NULL, call_in, (void *)fn), 0);
	for (int i = 0; i < 20; i++) {
		OK(mprotect(p, size, PROT_READ | PROT_EXEC));
		other = OK(mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		OK(munmap(other, 1 << 20));
	}
	stop = true;
	for (int i = 0; i < 2; i++)
		EQ(pthread_join(threads[i], NULL), 0);
	EQ(wrong, 0);
	OK(munmap(p, size));
}

/* Threads run through sites whose text is put back, mapped again and made hot again. */
TEST(threads_while_text_changes)
{
	pthread_t threads[3];
	uint32_t sum = checksum();
	char *p;
	size_t size;

	for (long i = 0; i < 3; i++)
		EQ(pthread_create(&threads[i], NULL, hammer, (void *)i), 0);
	for (int i = 0; i < 20; i++) {
		site_fn *fn = map_again(&p, &size);

		for (int n = 0; n < 300; n++)
			EQ(fn(1, F_GETFD, 0), 0);
		if (i == 10)
			EQ(checksum(), sum);
		OK(munmap(p, size));
	}
	stop = true;
	for (int i = 0; i < 3; i++)
		EQ(pthread_join(threads[i], NULL), 0);
	EQ(wrong, 0);
}
