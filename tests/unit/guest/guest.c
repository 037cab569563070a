/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest programs for test_platform, one flat image. Each ends with G_DONE(0) if all went well, else
 * with the line that failed.
 */
#include "tests/unit/guest/guest.h"

#include <stdint.h>

#include "abi/signal.h"
#include "abi/stat.h"
#include "platform/stub/channel.h"
#include "platform/stub/layout.h"

static uint64_t calls_are_fast; /* made as from a rewritten call site */

/*
 * A call site: the instruction itself, or what it is rewritten to. rcx must come back as the
 * address behind it, r11 as rflags.
 */
static long call6(long nr, long a, long b, long c, long d, long e)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	long ret;

	__asm__ volatile("cmpq $0, %[fast]\n\t"
			 "je 0f\n\t"
			 "lea 1f(%%rip), %%rcx\n\t"
			 "movabs %[entry], %%r11\n\t"
			 "jmp *%%r11\n"
			 "0:\tsyscall\n"
			 "1:"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10),
			   "r"(r8), [fast] "m"(calls_are_fast), [entry] "i"(STUB_FAST_ENTRY)
			 : "rcx", "r11", "memory", "cc");
	return ret;
}
#define CALL(nr, ...) CALL_(nr, ##__VA_ARGS__, 0, 0, 0, 0, 0)
#define CALL_(nr, a, b, c, d, e, ...)                                                              \
	call6(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e))
#define EXPECT(cond)                                                                               \
	do {                                                                                       \
		if (!(cond))                                                                       \
			CALL(G_DONE, __LINE__);                                                    \
	} while (0)

#define SCRATCH GUEST_SCRATCH

static char stacks[64][4096] __attribute__((aligned(16)));
static volatile uint32_t counter;
static volatile uint64_t seen_sig, seen_addr, seen_ip, handler_runs;

static void *stack_top(int i)
{
	return stacks[i] + sizeof(stacks[i]) - 8;
}

static void p_calls(void)
{
	for (long i = 0; i < 1000; i++)
		EXPECT(CALL(G_NOP, i) == i + 1);
	EXPECT(CALL(G_RESTART) == 7);
	EXPECT(CALL(399) == -38);
}

static void p_windows(void)
{
	static char buf[9000];
	uint64_t sum = 0;

	for (int i = 0; i < 9000; i++)
		sum += (unsigned char)(buf[i] = (char)i);
	EXPECT(CALL(G_IN, buf, 9000) == (long)sum);
	EXPECT(CALL(G_SLOW_IN, buf, 9000) == (long)sum);
	EXPECT(CALL(G_IN, buf, 1) == 0);
	EXPECT(CALL(G_OUT, buf, 5000, 5000) == 5000);
	for (int i = 0; i < 5000; i++)
		EXPECT(buf[i] == 'a' + i % 26);
	EXPECT(buf[5000] == (char)5000);
	buf[10] = 'X';
	EXPECT(CALL(G_OUT, buf, 5000, 10) == 10 && buf[10] == 'X');
	EXPECT(CALL(G_STR, "hello, sentry") == 13);
	EXPECT(CALL(G_STR, 0x10) == -14);
	EXPECT(CALL(G_IN, 0x10, 5) == -14);
	EXPECT(CALL(G_OUT, 0x10, 50, 5) == -14);
	EXPECT(CALL(G_IN, stacks, sizeof(stacks)) >= 0); /* more than the windows hold */
}

static void p_memory(void)
{
	volatile char *m = (volatile char *)SCRATCH;
	char *end = (char *)SCRATCH + 4096;

	EXPECT(CALL(G_MMAP, SCRATCH, 4096, 3) == 0);
	m[0] = 'x';
	m[4095] = 'y';
	end[-3] = 'a';
	end[-2] = 'b';
	end[-1] = 0;
	EXPECT(CALL(G_STR, end - 3) == 2);
	end[-1] = 'c'; /* no NUL up to the end of memory */
	EXPECT(CALL(G_STR, end - 3) == -14);
	EXPECT(CALL(G_IN, end - 3, 10) == -14);
	EXPECT(CALL(G_MREMAP, SCRATCH, 4096, SCRATCH + 0x10000, 8192) == 0);
	EXPECT(*(volatile char *)(SCRATCH + 0x10000) == 'x');
	EXPECT(CALL(G_MMAP_FD, SCRATCH, 8192) == 0);
	EXPECT(m[0] == 'f' && m[8191] == 'f');
	EXPECT(CALL(G_MPROTECT, SCRATCH + 0x10000, 4096, 1) == 0);
	EXPECT(CALL(G_OUT, SCRATCH + 0x10000, 10, 10) == -14);
	EXPECT(CALL(G_MUNMAP, SCRATCH, 8192) == 0);
	EXPECT(CALL(G_IN, SCRATCH, 1) == -14);
	EXPECT(CALL(G_MREMAP, SCRATCH, 4096, SCRATCH + 0x100000, 4096) == -14);
}

/* --- signals --- */

__asm__(".text\n.globl restorer\nrestorer:\n mov $496, %eax\n syscall\n");
void restorer(void);
_Static_assert(G_SIGRETURN == 496, "restorer's number");

/* Skips the faulting instruction, which is 2 bytes long in all our programs. */
static void on_signal(int sig, struct abi_siginfo *info, struct abi_ucontext *uc)
{
	seen_sig = (uint64_t)sig;
	seen_addr = info->fault.addr;
	seen_ip = uc->mcontext.ip;
	handler_runs++;
	if (sig != 10)
		uc->mcontext.ip += 2;
}

static void p_fault(void)
{
	CALL(G_DONE, *(volatile int *)0x1238);
}

static void p_signal(void)
{
	uint64_t rbx = 0;

	EXPECT(CALL(G_HANDLER, on_signal, restorer) == 0);
	__asm__ volatile(
	    "mov $0x5678, %%rbx\n mov $0x1238, %%rax\n .byte 0x8b, 0x00\n mov %%rbx, %0"
	    : "=r"(rbx)
	    :
	    : "rax", "rbx", "memory");
	EXPECT(seen_sig == 11 && seen_addr == 0x1238 && rbx == 0x5678);
	__asm__ volatile("ud2");
	EXPECT(seen_sig == 4 && handler_runs == 2);
	__asm__ volatile("xor %%ecx, %%ecx\n mov $1, %%eax\n cdq\n .byte 0xf7, 0xf1" ::
			     : "eax", "ecx", "edx");
	EXPECT(seen_sig == 8);
	EXPECT(CALL(G_KICK_ME) == 3);
	EXPECT(seen_sig == 10 && handler_runs == 4);
}

static volatile uint32_t handler_mxcsr, handler_cw;

/* A handler begins with the initial FP state, and what it does to it is gone after it. */
static void on_signal_fp(int sig, struct abi_siginfo *info, struct abi_ucontext *uc)
{
	uint32_t mxcsr = 0;
	uint16_t cw = 0;

	__asm__ volatile("stmxcsr %0\n fnstcw %1\n" : "=m"(mxcsr), "=m"(cw));
	handler_mxcsr = mxcsr;
	handler_cw = cw;
	mxcsr = 0x1fc0;
	__asm__ volatile("ldmxcsr %0\n xorps %%xmm15, %%xmm15\n vzeroall\n" ::"m"(mxcsr));
	on_signal(sig, info, uc);
}

/* State of the FP and vector units survives calls, and signals. */
static void p_fp(void)
{
	uint64_t x = 0x1122334455667788, low = 0, high = 0;
	uint32_t mxcsr = 0x9f80, after = 0;

	EXPECT(CALL(G_HANDLER, on_signal_fp, restorer) == 0);
	__asm__ volatile("ldmxcsr %4\n"
			 "movq %3, %%xmm15\n"
			 "vbroadcastsd %%xmm15, %%ymm14\n"
			 "mov $481, %%eax\n syscall\n"
			 "ud2\n"
			 "movq %%xmm15, %0\n"
			 "vextractf128 $1, %%ymm14, %%xmm13\n"
			 "movq %%xmm13, %1\n"
			 "stmxcsr %2\n"
			 : "=r"(low), "=r"(high), "=m"(after)
			 : "r"(x), "m"(mxcsr)
			 : "rax", "rcx", "r11", "memory");
	EXPECT(low == x && high == x && handler_runs == 1);
	EXPECT(after == mxcsr);
	EXPECT(handler_mxcsr == 0x1f80 && handler_cw == 0x37f);
}

static void p_kick(void)
{
	EXPECT(CALL(G_HANDLER, on_signal, restorer) == 0);
	CALL(G_KICK, -1); /* another sentry thread kicks us soon */
	while (!handler_runs)
		__asm__ volatile("pause");
	EXPECT(seen_sig == 10);
}

static void p_bench_mmap(long count, long fd)
{
	for (long i = 0; i < count; i++)
		EXPECT((fd ? CALL(G_MMAP_FD, SCRATCH, 8192) : CALL(G_MMAP, SCRATCH, 8192, 3)) == 0);
}

static void p_spin(void)
{
	for (;;)
		__asm__ volatile("pause");
}

/* --- processes and threads --- */

static void p_fork(void)
{
	volatile long mine = 1;
	long r = CALL(G_FORK);

	if (r == 0) {
		mine = 2;
		EXPECT(CALL(G_NOP, 1) == 2 && mine == 2);
		r = CALL(G_FORK);
		if (r != 0)
			CALL(G_WAIT, 1);
		CALL(G_DONE, 0);
	}
	EXPECT(r > 0);
	EXPECT(CALL(G_WAIT, 1) == 0);
	EXPECT(mine == 1);
}

static void p_forks(long count)
{
	for (long i = 0; i < count; i++) {
		if (CALL(G_FORK) == 0)
			CALL(G_DONE, 0);
		EXPECT(CALL(G_WAIT, 1) == 0);
	}
}

static void thread_main(long arg)
{
	for (int i = 0; i < 3; i++)
		if (CALL(G_NOP, arg + i) != arg + i + 1)
			CALL(G_DONE, __LINE__);
	__atomic_fetch_add(&counter, 1, __ATOMIC_SEQ_CST);
	CALL(G_EXIT);
}

static void p_threads(long count)
{
	for (long done = 0; done < count; done += 50) {
		for (int i = 0; i < 50; i++)
			EXPECT(CALL(G_CLONE, GUEST_CLONE_THREAD, thread_main, i, stack_top(i)) > 0);
		EXPECT(CALL(G_WAIT, 50) == 0);
	}
	EXPECT(counter == count);
}

static void once(long arg)
{
	counter = (uint32_t)arg;
	CALL(G_EXIT);
}

static void p_again(long count, long how)
{
	if (how != GC_PLAIN)
		EXPECT(CALL(G_MMAP, SCRATCH, 4096, 3) == 0);
	for (long i = 1; i <= count; i++) {
		long r = CALL(G_CLONE, GUEST_CLONE_THREAD, once, i, stack_top(0),
			      i % 2 ? GC_PLAIN : how);

		if (how == GC_FAILS && i % 2 == 0) {
			EXPECT(r == -12 && counter == (uint32_t)i - 1);
			continue;
		}
		EXPECT(r > 0);
		EXPECT(CALL(G_WAIT, 1) == 0);
		EXPECT(counter == (uint32_t)i);
	}
}

static void forking_thread(long arg)
{
	(void)arg;
	for (int i = 0; i < 20; i++) {
		long r = CALL(G_FORK);

		if (r == 0)
			r = CALL(G_NOP, 4) == 5 ? 0 : -__LINE__, CALL(G_DONE, r);
		if (r < 0)
			CALL(G_DONE, __LINE__);
		CALL(G_WAIT, 1);
	}
	__atomic_fetch_add(&counter, 1, __ATOMIC_SEQ_CST);
	CALL(G_EXIT);
}

static void p_fork_in_thread(void)
{
	for (int i = 0; i < 4; i++)
		EXPECT(CALL(G_CLONE, GUEST_CLONE_THREAD, forking_thread, i, stack_top(i)) > 0);
	EXPECT(CALL(G_WAIT, 4) == 0);
	EXPECT(counter == 4);
}

static void vfork_main(long arg)
{
	counter = (uint32_t)arg;
	CALL(G_DONE, 0);
}

static void p_vfork(void)
{
	for (int i = 1; i < 20; i++) {
		EXPECT(CALL(G_VFORK, vfork_main, i, stack_top(1)) > 0);
		EXPECT(counter == (uint32_t)i);
	}
}

static void calls_and_spins(long nr)
{
	CALL(nr, vfork_main, 0, stack_top(2));
	p_spin();
}

static void p_vfork_calls(long nr)
{
	EXPECT(CALL(G_VFORK, calls_and_spins, nr, stack_top(1)) > 0);
	EXPECT(CALL(G_NOP, 1) == 2);
}

/* The memory is read from outside all the time while processes that share it come and go. */
static void reader(long arg)
{
	(void)arg;
	while (!handler_runs)
		if (CALL(G_SLOW_IN, "abc", 3) != 'a' + 'b' + 'c')
			CALL(G_DONE, __LINE__);
	CALL(G_EXIT);
}

static void p_vfork_reads(void)
{
	EXPECT(CALL(G_CLONE, GUEST_CLONE_THREAD, reader, 0, stack_top(2)) > 0);
	for (int i = 1; i < 200; i++)
		EXPECT(CALL(G_VFORK, vfork_main, i, stack_top(1)) > 0);
	handler_runs = 1;
	EXPECT(CALL(G_WAIT, 1) == 0);
}

static void p_atomic(void)
{
	counter = 5;
	EXPECT(CALL(G_ATOMIC, &counter, PATOM_ADD, 3, 0) == 5 && counter == 8);
	EXPECT(CALL(G_ATOMIC, &counter, PATOM_CMPXCHG, 1, 7) == 8 && counter == 8);
	EXPECT(CALL(G_ATOMIC, &counter, PATOM_CMPXCHG, 1, 8) == 8 && counter == 1);
	EXPECT(CALL(G_ATOMIC, &counter, PATOM_SET, 0xf0, 0) == 1 && counter == 0xf0);
	EXPECT(CALL(G_ATOMIC, &counter, PATOM_OR, 0x0f, 0) == 0xf0 && counter == 0xff);
	EXPECT(CALL(G_ATOMIC, &counter, PATOM_ANDN, 0x11, 0) == 0xff && counter == 0xee);
	EXPECT(CALL(G_ATOMIC, &counter, PATOM_XOR, 0xff, 0) == 0xee && counter == 0x11);
	EXPECT(CALL(G_ATOMIC, 0x10, PATOM_ADD, 1, 0) == -14);
}

static void p_fs(void)
{
	static uint64_t tls[4] = {0, 11, 22, 33};
	uint64_t value = 0, base = 0;

	EXPECT(CALL(158, 0x1002, tls) == 0);
	__asm__ volatile("mov %%fs:8, %0" : "=r"(value));
	EXPECT(value == 11);
	EXPECT(CALL(158, 0x1003, &base) == 0 && base == (uint64_t)tls);
	EXPECT(CALL(158, 0x1003, 0x10) == -14);
	EXPECT(CALL(158, 0x1002, 0x800000000000) == -1);
}

static void p_vdso(void)
{
	EXPECT(CALL(G_VDSO, SCRATCH) == 0);
}

/* --- rewritten call sites --- */

struct all_regs {
	uint64_t rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11, rbx, rbp, r12, r13, r14, r15, rsp,
	    flags;
	uint64_t red[16]; /* the red zone */
	uint8_t ymm[4][32];
	uint64_t next; /* the address behind the site */
};

/* Makes a call with known values everywhere and notes what is there after it. */
void fast_site(struct all_regs *in, struct all_regs *out, struct all_regs *again);
__asm__(".text\n"
	"fast_site:\n"
	"push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
	"push %rsi\n"
	"mov %rsp, 120(%rdi)\n"
	"mov %rdi, %r15\n"
	/* the red zone, below what was pushed */
	".set i, 0\n"
	".rept 16\n mov 136 + 8 * i(%r15), %rax\n mov %rax, -128 + 8 * i(%rsp)\n"
	".set i, i + 1\n .endr\n"
	"vmovdqu 264(%r15), %ymm0\n vmovdqu 296(%r15), %ymm5\n"
	"vmovdqu 328(%r15), %ymm9\n vmovdqu 360(%r15), %ymm15\n"
	"lea 1f(%rip), %rax\n mov %rax, 392(%r15)\n"
	"mov 16(%r15), %rdx\n mov 24(%r15), %rsi\n mov 32(%r15), %rdi\n"
	"mov 40(%r15), %r8\n mov 48(%r15), %r9\n mov 56(%r15), %r10\n"
	"mov 72(%r15), %rbx\n mov 80(%r15), %rbp\n mov 88(%r15), %r12\n"
	"mov 96(%r15), %r13\n mov 104(%r15), %r14\n"
	"mov (%r15), %rax\n"
	"lea 1f(%rip), %rcx\n"
	"lea -128(%rsp), %rsp\n"
	"pushq 128(%r15)\n popfq\n"
	"lea 128(%rsp), %rsp\n"
	"movabs $0x7ffe00000000, %r11\n"
	"jmp *%r11\n"
	"syscall\n"
	"1:\n"
	/* flags and r11 first; the red zone is looked at before anything is pushed */
	"xchg %r15, -136(%rsp)\n" /* below the red zone: ours */
	"mov (%rsp), %r15\n"
	"mov %rax, (%r15)\n mov %rcx, 8(%r15)\n mov %rdx, 16(%r15)\n mov %rsi, 24(%r15)\n"
	"mov %rdi, 32(%r15)\n mov %r8, 40(%r15)\n mov %r9, 48(%r15)\n mov %r10, 56(%r15)\n"
	"mov %r11, 64(%r15)\n mov %rbx, 72(%r15)\n mov %rbp, 80(%r15)\n mov %r12, 88(%r15)\n"
	"mov %r13, 96(%r15)\n mov %r14, 104(%r15)\n mov %rsp, 120(%r15)\n"
	"mov -136(%rsp), %rax\n mov %rax, 112(%r15)\n"
	"lea -256(%rsp), %rsp\n pushfq\n popq 128(%r15)\n cld\n lea 256(%rsp), %rsp\n"
	".set i, 0\n"
	".rept 16\n mov -128 + 8 * i(%rsp), %rax\n mov %rax, 136 + 8 * i(%r15)\n"
	".set i, i + 1\n .endr\n"
	"vmovdqu %ymm0, 264(%r15)\n vmovdqu %ymm5, 296(%r15)\n"
	"vmovdqu %ymm9, 328(%r15)\n vmovdqu %ymm15, 360(%r15)\n"
	"pop %rsi\n"
	"pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
	"ret\n");
_Static_assert(STUB_FAST_ENTRY == 0x7ffe00000000, "the address in fast_site");
_Static_assert(__builtin_offsetof(struct all_regs, red) == 136, "fast_site");
_Static_assert(__builtin_offsetof(struct all_regs, ymm) == 264, "fast_site");
_Static_assert(__builtin_offsetof(struct all_regs, next) == 392, "fast_site");

#define FLAGS_ARITHMETIC 0xcd5ul /* OF DF SF ZF AF PF CF */

static void check_site(uint64_t nr, uint64_t flags, uint64_t want)
{
	static struct all_regs in, out;
	uint8_t *bytes = (uint8_t *)&in;

	for (unsigned i = 0; i < sizeof(in); i++)
		bytes[i] = (uint8_t)(i * 7 + nr);
	in.rax = nr;
	in.flags = flags | 0x202;
	fast_site(&in, &out, &out);
	EXPECT(out.rax == want);
	EXPECT(out.rcx == in.next);
	EXPECT((out.r11 & FLAGS_ARITHMETIC) == flags || out.r11 == in.next);
	EXPECT((out.flags & FLAGS_ARITHMETIC) == flags && out.rsp == in.rsp);
	EXPECT(out.rdx == in.rdx && out.rsi == in.rsi && out.rdi == in.rdi && out.r8 == in.r8);
	EXPECT(out.r9 == in.r9 && out.r10 == in.r10 && out.rbx == in.rbx && out.rbp == in.rbp);
	EXPECT(out.r12 == in.r12 && out.r13 == in.r13 && out.r14 == in.r14);
	EXPECT(out.r15 == (uint64_t)&in);
	for (unsigned i = 136; i < 392; i++)
		EXPECT(((uint8_t *)&out)[i] == bytes[i]);
}

/* Simple replies, complex ones (an atomic, a signal frame), calls that don't exist, restarts. */
static void p_fast_regs(void)
{
	static const uint64_t flags[] = {0, 1, 0x400, FLAGS_ARITHMETIC, 0x8c4};

	EXPECT(CALL(G_HANDLER, on_signal, restorer) == 0);
	for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		check_site(399, flags[i], (uint64_t)-38);
		check_site(G_KICK_ME, flags[i], 3);
		EXPECT(handler_runs == i + 1 && seen_sig == 10);
		check_site(G_RESTART, flags[i], 7);
		check_site(G_ATOMIC, flags[i], (uint64_t)-14);
	}
}

/* The guest uses gs: its sites trap, whatever way it has set it. */
static void p_gs(void)
{
	static uint64_t tls[4] = {0, 44, 55, 66};
	uint64_t value = 0, base = 1;

	EXPECT(CALL(158, 0x1004, &base) == 0 && base == 0);
	EXPECT(CALL(158, 0x1001, tls) == 0);
	__asm__ volatile("mov %%gs:8, %0" : "=r"(value));
	EXPECT(value == 44);
	EXPECT(CALL(G_NOP, 3) == 4 && CALL(G_RESTART) == 7);
	EXPECT(CALL(158, 0x1004, &base) == 0 && base == (uint64_t)tls);
	EXPECT(CALL(158, 0x1001, 0x800000000000) == -1);
	if (CALL(G_FORK) == 0) {
		__asm__ volatile("mov %%gs:16, %0" : "=r"(value));
		EXPECT(value == 55 && CALL(G_NOP, 8) == 9);
		CALL(G_DONE, 0);
	}
	EXPECT(CALL(G_WAIT, 1) == 0);
	EXPECT(CALL(158, 0x1001, 0) == 0 && CALL(G_NOP, 5) == 6);
	EXPECT(CALL(158, 0x1004, &base) == 0 && base == 0);
}

/* Calls of several kinds until the others have had their kicks. */
static void kicked_thread(long rounds)
{
	static volatile uint32_t word;
	char buf[64];

	if (CALL(G_ANSWERS, 77, 7) != 0)
		CALL(G_DONE, __LINE__);
	for (long i = 0; i < rounds; i++) {
		for (int j = 0; j < 300; j++)
			if (CALL(39) != 77)
				CALL(G_DONE, __LINE__);
		if (CALL(G_NOP, i) != i + 1)
			CALL(G_DONE, __LINE__);
		if (CALL(G_OUT, buf, 64, 64) != 64 || buf[63] != 'a' + 63 % 26)
			CALL(G_DONE, __LINE__);
		if (i % 16 == 0 && CALL(G_ATOMIC, &word, PATOM_ADD, 1, 0) < 0)
			CALL(G_DONE, __LINE__);
		if (i % 8 == 0 && CALL(G_RESTART) != 7)
			CALL(G_DONE, __LINE__);
	}
	__atomic_fetch_add(&counter, 1, __ATOMIC_SEQ_CST);
	CALL(G_EXIT);
}

/* Each kick runs a handler on top of whatever was under way, which makes calls as well. */
static void on_kick(int sig, struct abi_siginfo *info, struct abi_ucontext *uc)
{
	(void)info;
	(void)uc;
	if (sig != 10 || CALL(G_NOP, 70) != 71)
		CALL(G_DONE, __LINE__);
	__atomic_fetch_add(&handler_runs, 1, __ATOMIC_SEQ_CST);
}

static void p_kicked(long rounds)
{
	EXPECT(CALL(G_HANDLER, on_kick, restorer) == 0);
	for (int i = 0; i < 4; i++)
		EXPECT(CALL(G_CLONE, GUEST_CLONE_THREAD, kicked_thread, rounds,
			    stack_top(8 * i + 7)) > 0);
	EXPECT(CALL(G_WAIT, 4) == 0);
	EXPECT(counter == 4);
}

static void p_answers(void)
{
	EXPECT(CALL(39) == -38);
	EXPECT(CALL(G_ANSWERS, 77, 7) == 0);
	for (int i = 0; i < 100; i++) {
		EXPECT(CALL(39) == 77 && CALL(124, 0) == 78 && CALL(24) == 0);
		EXPECT(CALL(124, 1) == -38);
		EXPECT(CALL(G_NOP, i) == i + 1);
	}
	check_site(39, FLAGS_ARITHMETIC, 77);
	EXPECT(CALL(G_ANSWERS, 0x123456789a, 6) == 0);
	EXPECT(CALL(39) == -38 && CALL(124, 0) == 0x123456789b);
	if (CALL(G_FORK) == 0) {
		EXPECT(CALL(124, 0) == -38); /* a new thread has none */
		CALL(G_DONE, 0);
	}
	EXPECT(CALL(G_WAIT, 1) == 0);
}

static void p_bench_answer(long count)
{
	EXPECT(CALL(G_ANSWERS, 77, 7) == 0);
	for (long i = 0; i < count; i++)
		CALL(39);
}

#define FUTEX_WAIT_PRIVATE 128
#define FUTEX_WAKE_PRIVATE 129

static uint32_t turn_of[2];

/* Waits for its turn, gives it to the other. */
static void take_turns(long me, long rounds)
{
	uint32_t *mine = &turn_of[me], *other = &turn_of[!me];

	for (long i = 0; i < rounds; i++) {
		while (!__atomic_exchange_n(mine, 0, __ATOMIC_SEQ_CST)) {
			long r = CALL(202, mine, FUTEX_WAIT_PRIVATE, 0, 0, 0);

			if (r != 0 && r != -11)
				CALL(G_DONE, __LINE__);
		}
		__atomic_store_n(other, 1, __ATOMIC_SEQ_CST);
		if (CALL(202, other, FUTEX_WAKE_PRIVATE, 1) < 0)
			CALL(G_DONE, __LINE__);
	}
}

static void pong(long rounds)
{
	take_turns(1, rounds);
	CALL(G_EXIT);
}

static void p_ping_pong(long rounds)
{
	turn_of[0] = 1;
	EXPECT(CALL(G_CLONE, GUEST_CLONE_THREAD, pong, rounds, stack_top(7)) > 0);
	take_turns(0, rounds);
	EXPECT(CALL(G_WAIT, 1) == 0);
}

static void p_bench(long count)
{
	for (long i = 0; i < count; i++)
		CALL(G_NOP, i);
}

static struct channel *own_channel(void)
{
	return (struct channel *)STUB_CHANNELS;
}

/* --- exec in place --- */

/* Never in a register or constant of the program that looks for it. */
static uint64_t mark(void)
{
	static volatile uint64_t half = 0x2fb0e5cd1134a28full;

	return half * 2 + 1;
}

static uint64_t marks_in(uint64_t from, uint64_t size)
{
	uint64_t count = 0, m = mark();

	for (uint64_t at = from; at < from + size; at += 8)
		count += *(volatile uint64_t *)at == m;
	return count;
}

/* What a program leaves behind: in vector registers, windows, the stub's stack. */
static void leave_marks(void)
{
	static uint64_t buf[1000];
	uint64_t m = mark();

	for (int i = 0; i < 1000; i++)
		buf[i] = m;
	__asm__ volatile("movq %0, %%xmm0\n movq %0, %%xmm7\n movq %0, %%xmm15" ::"r"(m));
	CALL(G_IN, buf, sizeof(buf));
	call6(G_STR, 0x10, (long)m, (long)m, (long)m, (long)m);
}

static void p_exec(long next, long arg)
{
	EXPECT(CALL(G_VDSO, SCRATCH) == 0);
	leave_marks();
	CALL(G_EXEC, next, arg, 0, SCRATCH);
	EXPECT(0);
}

static void p_inspect(void)
{
	const char *stack = (const char *)GUEST_STACK;
	uint64_t x, y, z;

	__asm__ volatile("movq %%xmm0, %0\n movq %%xmm7, %1\n movq %%xmm15, %2"
			 : "=r"(x), "=r"(y), "=r"(z));
	EXPECT(!x && !y && !z);
	EXPECT(!marks_in(STUB_STACKS + STUB_STACK_STRIDE - STUB_STACK_SIZE, STUB_STACK_SIZE));
	EXPECT(!marks_in(STUB_CHANNELS, CHANNEL_STRIDE));
	EXPECT(stack[0] == 'w' && stack[1] == 0 && stack[2] == 'i' && stack[6] == 'n');
	EXPECT(CALL(G_VDSO, SCRATCH + 0x100000) == 0);
	EXPECT(*(volatile uint32_t *)SCRATCH == 0); /* gone: a fault */
}

static void p_execs(long count)
{
	if (count)
		CALL(G_EXEC, P_EXECS, count - 1);
}

/* --- hostile --- */

static void p_garbage(void)
{
	volatile uint8_t *bytes = (volatile uint8_t *)own_channel();
	uint64_t x = 88172645463325252ull;

	for (int round = 0; round < 2000; round++) {
		for (int i = 0; i < 64; i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			bytes[x % sizeof(struct channel)] = (uint8_t)(x >> 32);
		}
		CALL(G_NOP, round);
		CALL(G_IN, stacks, 100);
	}
}

/* A thread that scribbles over the whole channel of the first one, all the time. */
static void scribbler(long arg)
{
	volatile uint64_t *words = (volatile uint64_t *)own_channel();
	uint64_t x = 88172645463325252ull;

	(void)arg;
	for (;;) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		words[x % 1024] = x;
	}
}

static void p_stub_syscalls(long nr, long address)
{
	__asm__ volatile("mov %0, %%rax\n"
			 "mov %1, %%rcx\n"
			 "xor %%edi, %%edi\n xor %%esi, %%esi\n xor %%edx, %%edx\n"
			 "xor %%r10d, %%r10d\n xor %%r8d, %%r8d\n xor %%r9d, %%r9d\n"
			 "jmp *%%rcx\n"
			 :
			 : "r"(nr), "r"(address)
			 : "rax", "rcx", "rdi", "rsi", "rdx", "r10", "r8", "r9", "memory");
}

/* munmap through the stub's own syscall instruction: the next trap has nowhere to go. */
static void p_unmap_stub(long address)
{
	__asm__ volatile("mov $11, %%eax\n"
			 "mov %0, %%rdi\n"
			 "mov $0x10000, %%esi\n"
			 "jmp *%1\n"
			 :
			 : "r"(STUB_TEXT), "r"(address)
			 : "rax", "rdi", "rsi", "memory");
}

/* A host call by the stub's own instruction, which is followed by a return. */
static long stub_call(long address, long nr, long a, long b)
{
	long ret;

	__asm__ volatile("lea 1f(%%rip), %%rbx\n"
			 "sub $128, %%rsp\n"
			 "push %%rbx\n"
			 "jmp *%[site]\n"
			 "1: add $128, %%rsp\n"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), [site] "r"(address)
			 : "rbx", "rcx", "r11", "memory");
	return ret;
}

/* Requests that don't follow from anything that the sentry asked for. */
static void p_lie(long address, long kind)
{
	struct channel *ch = own_channel();

	ch->call.type = kind == 0 ? PEV_STARTED : kind == 1 ? 99 : PEV_REPORT;
	ch->call.window_count = 0;
	ch->req.report.step = kind == 2 ? PREP_DONE : kind == 3 ? PREP_MEMOP : PREP_ORDER;
	ch->req.report.memop_index = 0;
	ch->req.report.error = kind == 2 ? 0 : -12;
	ch->seq++;
	ch->state = CHANNEL_REQUEST;
	stub_call(address, STUB_DOORBELL, BELL_EVENT, (long)ch->seq);
	CALL(G_DONE, __LINE__);
}

/* Says that it exits; if it is heard of after that it wants something else. */
static void undead(long address)
{
	struct channel *ch = own_channel() + 1; /* slot 1 */

	for (int i = 0;; i++) {
		ch->call.type = PEV_CALL;
		ch->call.window_count = 0;
		ch->call.nr = i ? G_NOP : G_EXIT;
		ch->seq++;
		ch->state = CHANNEL_REQUEST;
		stub_call(address, STUB_DOORBELL, BELL_EVENT,
			  (long)((uint64_t)ch->seq | ((uint64_t)ch - STUB_CHANNELS) / CHANNEL_STRIDE
							 << 32));
	}
}

static void p_undead(long address)
{
	EXPECT(CALL(G_CLONE, GUEST_CLONE_THREAD, undead, address, stack_top(0)) > 0);
	EXPECT(CALL(G_WAIT, 1) == 0);
	for (;;)
		CALL(G_NOP, 1);
}

/* mmap through the stub's instruction, of which the sentry hears nothing. */
static long stub_mmap(long address, uint64_t at, uint64_t size)
{
	register long flags __asm__("r10") = 0x4032; /* NORESERVE | ANONYMOUS | FIXED | PRIVATE */
	register long fd __asm__("r8") = -1;
	register long offset __asm__("r9") = 0;
	long ret;

	__asm__ volatile("lea 1f(%%rip), %%rbx\n"
			 "sub $128, %%rsp\n"
			 "push %%rbx\n"
			 "jmp *%[site]\n"
			 "1: add $128, %%rsp\n"
			 : "=a"(ret)
			 : "a"(9), "D"(at), "S"(size), "d"(3), [site] "r"(address), "r"(flags),
			   "r"(fd), "r"(offset)
			 : "rbx", "rcx", "r11", "memory");
	return ret;
}

static void p_exec_leaver(long address, long next)
{
	static const uint64_t places[] = {
	    0x10000,
	    SCRATCH,
	    0x7ffdfffff000,
	    STUB_TEXT + STUB_TEXT_MAX,
	    STUB_BOOT - 4096,
	    STUB_BOOT + 0x100000,
	    STUB_VDSO + 0x200000,
	    STUB_STACKS,		     /* the guard of slot 0 */
	    STUB_STACKS + STUB_STACK_STRIDE, /* that of slot 1 */
	    STUB_STACKS + 2 * STUB_STACK_STRIDE - STUB_STACK_SIZE,
	    STUB_CHANNELS - 4096,
	    STUB_REGION_END - 4096,
	};

	for (uint32_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		EXPECT(stub_mmap(address, places[i], 4096) == (long)places[i]);
		*(volatile uint64_t *)places[i] = mark();
	}
	leave_marks();
	CALL(G_EXEC, next);
	EXPECT(0);
}

static void bell_thread(long address)
{
	for (long i = 0;; i++)
		__asm__ volatile("lea 1f(%%rip), %%rbx\n"
				 "push %%rbx\n"
				 "jmp *%2\n"
				 "1:\n"
				 :
				 : "a"(STUB_DOORBELL), "D"(i % 3), "r"(address), "S"(i / 3)
				 : "rbx", "rcx", "r11", "memory");
}

static void p_bells(long address)
{
	for (int i = 0; i < 8; i++)
		EXPECT(CALL(G_CLONE, GUEST_CLONE_THREAD, bell_thread, address, stack_top(i)) > 0);
	for (;;)
		CALL(G_NOP, 1);
}

/* Into the middle of the stub, with a gs that passes for one of its own. */
static void p_jump(long address, long gs)
{
	uint64_t base = gs == 1 ? STUB_CHANNELS + 0xc0000000 : STUB_CHANNELS + CHANNEL_STRIDE;

	EXPECT(CALL(G_CLONE, GUEST_CLONE_THREAD, kicked_thread, 100, stack_top(7)) > 0);
	if (gs)
		__asm__ volatile("wrgsbase %0" ::"r"(base));
	__asm__ volatile("mov %0, %%rdx\n mov $39, %%eax\n mov $0x400000, %%ecx\n"
			 "mov $0x400000, %%edi\n mov $0x10000000, %%esi\n mov %%rdx, %%r11\n"
			 "jmp *%%rdx\n" ::"r"(address)
			 : "rax", "rcx", "rdx", "rdi", "rsi", "r11", "memory");
}

/* --- leases --- */

#define PREAD(buf, size, pos) CALL(17, 7, buf, size, pos)
#define READ(buf, size)	      CALL(0, 7, buf, size)
#define SEEK(pos, whence)     CALL(8, 7, pos, whence)
#define TO_SENTRY	      (-38) /* which knows no such call */

static char lease_buf[8192];

static void lease_is_answered(void)
{
	struct abi_stat st = {0};

	lease_buf[10] = 'x';
	EXPECT(PREAD(lease_buf, 10, 0) == 10 && lease_buf[9] == 'l' && lease_buf[10] == 'x');
	EXPECT(PREAD(lease_buf, 8192, 0) == 8192 && lease_buf[8191] == 'l');
	EXPECT(PREAD(lease_buf, 8192, 8190) == 2);
	EXPECT(PREAD(lease_buf, 8192, 8192) == 0 && PREAD(lease_buf, 1, 1L << 60) == 0);
	EXPECT(PREAD(lease_buf, 1, -1) == TO_SENTRY && PREAD(lease_buf, 0, 0) == TO_SENTRY);
	EXPECT(PREAD(STUB_BOOT, 1, 0) == TO_SENTRY && PREAD(-4096, 1, 0) == TO_SENTRY);
	EXPECT(PREAD(lease_buf, PLATFORM_GUEST_MAX, 0) == TO_SENTRY);
	EXPECT(CALL(17, 8, lease_buf, 1, 0) == TO_SENTRY);
	EXPECT(CALL(1, 7, lease_buf, 1) == TO_SENTRY);
	EXPECT(CALL(5, 7, &st) == 0 && st.nlink == 77 && st.size == 8192);
	st.nlink = 0;
	EXPECT(CALL(262, 7, "", &st, 0x1000) == 0 && st.nlink == 77);
	EXPECT(CALL(262, 7, "x", &st, 0x1000) == TO_SENTRY);
	EXPECT(CALL(262, 7, "", &st, 0) == TO_SENTRY && CALL(5, 7, 8) == TO_SENTRY);
}

static void lease_has_position(void)
{
	EXPECT(SEEK(8000, 0) == 8000 && READ(lease_buf, 100) == 100 && SEEK(-1, 1) == 8099);
	EXPECT(CALL(G_LEASE, GL_POS) == 8099);
	EXPECT(READ(lease_buf, 100) == 93 && READ(lease_buf, 100) == 0 && SEEK(0, 1) == 8192);
	EXPECT(SEEK(-2, 2) == 8190 && SEEK(3, 2) == TO_SENTRY && SEEK(-1, 0) == TO_SENTRY);
	EXPECT(SEEK(0, 3) == TO_SENTRY && SEEK(0, 1) == 8190);
}

/* Nobody allows it, or its pages are not there. */
static void lease_is_not_answered(void)
{
	struct abi_stat st;

	EXPECT(CALL(G_LEASE, GL_TAKE) == 0);
	EXPECT(PREAD(lease_buf, 1, 0) == TO_SENTRY && READ(lease_buf, 1) == TO_SENTRY);
	EXPECT(SEEK(0, 1) == TO_SENTRY && CALL(5, 7, &st) == TO_SENTRY);
	EXPECT(CALL(G_LEASE, GL_ALLOW) == 0 && PREAD(lease_buf, 1, 0) == 1);
	EXPECT(PREAD(0x10, 1, 0) == TO_SENTRY);
	EXPECT(CALL(G_LEASE, GL_ALLOWED) == PLATFORM_LEASE_STAT);
	EXPECT(PREAD(lease_buf, 1, 0) == TO_SENTRY && CALL(5, 7, &st) == 0);
	EXPECT(CALL(G_LEASE, GL_ALLOW) == 0 && CALL(G_LEASE, GL_CUT) == 0);
	EXPECT(PREAD(lease_buf, 1, 4095) == 1 && PREAD(lease_buf, 2, 4095) == TO_SENTRY);
	EXPECT(CALL(G_LEASE, GL_ALLOWED) == PLATFORM_LEASE_STAT);
}

/* A child has none of it. */
static void lease_is_not_inherited(void)
{
	volatile uint64_t *const seen = &seen_sig;

	EXPECT(CALL(G_HANDLER, on_signal, restorer) == 0);
	if (CALL(G_FORK) == 0) {
		EXPECT(PREAD(lease_buf, 1, 0) == TO_SENTRY);
		__asm__ volatile("movb (%%rdi), %%al"
				 :
				 : "D"(STUB_LEASES + PLATFORM_LEASE_SIZE)
				 : "rax");
		EXPECT(*seen == 11);
		CALL(G_DONE, 0);
	}
	EXPECT(CALL(G_WAIT, 1) == 0 && *seen == 0);
}

static void p_leases(void)
{
	EXPECT(PREAD(lease_buf, 1, 0) == TO_SENTRY);
	for (int i = 0; i < 3; i++) {
		EXPECT(CALL(G_LEASE, GL_GIVE) == 0);
		lease_is_answered();
		lease_has_position();
		lease_is_not_inherited();
		EXPECT(PREAD(lease_buf, 1, 0) == 1);
		lease_is_not_answered();
	}
	EXPECT(CALL(G_LEASE, GL_ALLOW) == 0 && CALL(G_LEASE, GL_UNMAP) == 0);
	EXPECT(PREAD(lease_buf, 1, 0) == TO_SENTRY);
}

static void p_int80(void)
{
	__asm__ volatile("mov $20, %%eax\n int $0x80" ::: "rax", "memory");
}

static void p_vsyscall(void)
{
	long r;

	__asm__ volatile("mov $0xffffffffff600000, %%rax\n xor %%edi, %%edi\n call *%%rax"
			 : "=a"(r)
			 :
			 : "rdi", "rcx", "r11", "memory");
	EXPECT(r == 12345);
}

static void run(long program, long arg, long arg2)
{
	switch (program) {
	case P_CALLS:
		return p_calls();
	case P_WINDOWS:
		return p_windows();
	case P_MEMORY:
		return p_memory();
	case P_FAULT:
		return p_fault();
	case P_SIGNAL:
		return p_signal();
	case P_FP:
		return p_fp();
	case P_KICK:
		return p_kick();
	case P_FORK:
		return p_fork();
	case P_FORKS:
		return p_forks(arg);
	case P_THREADS:
		return p_threads(arg);
	case P_FORK_IN_THREAD:
		return p_fork_in_thread();
	case P_VFORK:
		return p_vfork();
	case P_VFORK_READS:
		return p_vfork_reads();
	case P_VFORK_CALLS:
		return p_vfork_calls(arg);
	case P_LEASES:
		return p_leases();
	case P_ATOMIC:
		return p_atomic();
	case P_FS:
		return p_fs();
	case P_VDSO:
		return p_vdso();
	case P_BENCH:
		return p_bench(arg);
	case P_BENCH_MMAP:
		return p_bench_mmap(arg, arg2);
	case P_SPIN:
		return p_spin();
	case P_FAST_REGS:
		return p_fast_regs();
	case P_GS:
		return p_gs();
	case P_KICKED:
		return p_kicked(arg);
	case P_EXEC:
		return p_exec(arg, arg2);
	case P_INSPECT:
		return p_inspect();
	case P_EXECS:
		return p_execs(arg);
	case P_EXEC_LEAVER:
		return p_exec_leaver(arg, arg2);
	case P_ANSWERS:
		return p_answers();
	case P_BENCH_ANSWER:
		return p_bench_answer(arg);
	case P_PING_PONG:
		return p_ping_pong(arg);
	case P_GARBAGE:
		EXPECT(CALL(G_CLONE, GUEST_CLONE_THREAD, arg ? scribbler : thread_main, 0,
			    stack_top(0)) > 0);
		return p_garbage();
	case P_STUB_SYSCALLS:
		return p_stub_syscalls(arg, arg2);
	case P_UNMAP_STUB:
		return p_unmap_stub(arg);
	case P_BELLS:
		return p_bells(arg);
	case P_UNDEAD:
		return p_undead(arg);
	case P_AGAIN:
		return p_again(arg, arg2);
	case P_LIE:
		return p_lie(arg, arg2);
	case P_JUMP:
		return p_jump(arg, arg2);
	case P_INT80:
		return p_int80();
	case P_VSYSCALL:
		return p_vsyscall();
	default:
		CALL(G_DONE, -1);
	}
}

void guest_start(long program, long arg, long arg2);
void __attribute__((section(".text.start"))) guest_start(long program, long arg, long arg2)
{
	calls_are_fast = program & P_FASTLY;
	run(program & ~P_FASTLY, arg, arg2);
	CALL(G_DONE, 0);
}
