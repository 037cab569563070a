/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stub's two filters, run by a small interpreter of the BPF that they use: every number from
 * inside and outside the stub's text, and the argument checks at their edges. What the kernel does
 * with them is seen in test_platform_hostile.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/mman.h>
#include <linux/seccomp.h>

#include <cmocka.h>

#include "platform/filter.h"
#include "platform/stub/channel.h"
#include "platform/stub/layout.h"

#define TEXT_SIZE 0x2345
#define INSIDE	  (STUB_TEXT + 0x100)
#define OUTSIDE	  0x401000ull
#define KILL	  SECCOMP_RET_KILL_PROCESS
#define TRAP	  SECCOMP_RET_TRAP
#define ALLOW	  SECCOMP_RET_ALLOW
#define NOTIFY	  SECCOMP_RET_USER_NOTIF

static struct sock_filter listener[64], strict[STUB_FILTER_MAX];
static int listener_count, strict_count;

static bool jump_taken(uint16_t code, uint32_t a, uint32_t k)
{
	switch (BPF_OP(code)) {
	case BPF_JEQ:
		return a == k;
	case BPF_JGT:
		return a > k;
	case BPF_JGE:
		return a >= k;
	default:
		assert_int_equal(BPF_OP(code), BPF_JSET);
		return (a & k) != 0;
	}
}

static uint32_t interpret(const struct sock_filter *prog, int count, const struct seccomp_data *d)
{
	uint32_t a = 0;

	for (int pc = 0; pc < count; pc++) {
		const struct sock_filter *f = &prog[pc];

		if (f->code == (BPF_LD | BPF_W | BPF_ABS)) {
			assert_true(f->k + 4 <= sizeof(*d) && f->k % 4 == 0);
			memcpy(&a, (const char *)d + f->k, 4);
		} else if (f->code == (BPF_RET | BPF_K)) {
			return f->k;
		} else {
			assert_int_equal(BPF_CLASS(f->code), BPF_JMP);
			pc += jump_taken(f->code, a, f->k) ? f->jt : f->jf;
		}
	}
	fail_msg("ran off the end");
	return 0;
}

/* The stricter of the two, as the kernel combines them. */
static uint32_t verdict(const struct seccomp_data *d)
{
	int32_t l = (int32_t)interpret(listener, listener_count, d);
	int32_t s = (int32_t)interpret(strict, strict_count, d);

	return (uint32_t)(l < s ? l : s);
}

static uint32_t call(uint64_t ip, int nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3)
{
	struct seccomp_data d = {.nr = nr,
				 .arch = AUDIT_ARCH_X86_64,
				 .instruction_pointer = ip,
				 .args = {a0, a1, a2, a3}};

	return verdict(&d);
}

static int setup(void **state)
{
	(void)state;
	listener_count = filter_build_listener(listener, 64);
	strict_count =
	    filter_build_strict(strict, STUB_FILTER_MAX, STUB_TEXT, STUB_TEXT + TEXT_SIZE);
	return listener_count > 0 && strict_count > 0 ? 0 : -1;
}

static void guest_code_always_traps(void **state)
{
	(void)state;
	for (int nr = -1; nr < 1000; nr++)
		assert_int_equal(call(OUTSIDE, nr, 0, 0, 0, 0), TRAP);
	assert_int_equal(call(OUTSIDE, STUB_DOORBELL, 0, 0, 0, 0), TRAP);
	assert_int_equal(call(OUTSIDE, SYS_clone, STUB_CLONE_FORK, 0, 0, 0), TRAP);
	assert_int_equal(call(OUTSIDE, 0x40000000 | SYS_mmap, 0, 0, 0, 0), TRAP);
	assert_int_equal(call(0xffffffffff600000, 96, 0, 0, 0, 0), TRAP);
}

static void text_has_edges(void **state)
{
	(void)state;
	assert_int_equal(call(STUB_TEXT + 2, SYS_sched_yield, 0, 0, 0, 0), ALLOW);
	assert_int_equal(call(STUB_TEXT - 1, SYS_sched_yield, 0, 0, 0, 0), TRAP);
	assert_int_equal(call(STUB_TEXT + TEXT_SIZE, SYS_sched_yield, 0, 0, 0, 0), ALLOW);
	assert_int_equal(call(STUB_TEXT + TEXT_SIZE + 1, SYS_sched_yield, 0, 0, 0, 0), TRAP);
	assert_int_equal(call(STUB_TEXT & 0xffffffff, SYS_sched_yield, 0, 0, 0, 0), TRAP);
	assert_int_equal(call(STUB_TEXT + (1ull << 32), SYS_sched_yield, 0, 0, 0, 0), TRAP);
}

static void only_listed_numbers_pass(void **state)
{
	uint32_t count, allowed = 0;
	const struct filter_rule *rules = filter_rules(&count);

	(void)state;
	for (int nr = 0; nr < 4096; nr++) {
		bool listed = false;

		for (uint32_t i = 0; i < count; i++)
			listed |= rules[i].nr == (uint32_t)nr;
		if (!listed)
			assert_int_equal(call(INSIDE, nr, 0, 0, 0, 0), KILL);
		allowed += call(INSIDE, nr, 0, 0, 0, 0) == ALLOW;
	}
	assert_true(allowed <= 13);
	assert_int_equal(call(INSIDE, -1, 0, 0, 0, 0), KILL);
	assert_int_equal(call(INSIDE, 0x40000000 | SYS_munmap, 0, 0, 0, 0), KILL);
}

static void other_architectures_die(void **state)
{
	struct seccomp_data d = {.nr = 1, .arch = AUDIT_ARCH_I386, .instruction_pointer = OUTSIDE};

	(void)state;
	assert_int_equal(verdict(&d), KILL);
	d.instruction_pointer = INSIDE;
	d.nr = STUB_DOORBELL;
	assert_int_equal(verdict(&d), KILL);
}

static void bells_and_asked_calls_notify(void **state)
{
	(void)state;
	assert_int_equal(call(INSIDE, STUB_DOORBELL, 0, 7, 0, 0), NOTIFY);
	assert_int_equal(call(INSIDE, SYS_clone, STUB_CLONE_FORK, 0, 0, 0), NOTIFY);
	assert_int_equal(call(INSIDE, SYS_clone, STUB_CLONE_VFORK, 0, 0, 0), NOTIFY);
	assert_int_equal(call(INSIDE, SYS_clone, STUB_CLONE_THREAD, 0, 0, 0), NOTIFY);
	assert_int_equal(call(INSIDE, SYS_clone, STUB_CLONE_THREAD | (1ull << 32), 0, 0, 0), KILL);
	assert_int_equal(call(INSIDE, SYS_clone, STUB_CLONE_FORK & ~0x8000ull, 0, 0, 0), KILL);
	assert_int_equal(call(INSIDE, SYS_clone, 0x10000000 /* NEWUSER */ | 17, 0, 0, 0), KILL);
}

static void arguments_are_checked(void **state)
{
	static const int bad_advice[] = {9 /* REMOVE */,
					 12 /* MERGEABLE */,
					 13,
					 100 /* HWPOISON */,
					 101 /* SOFT_OFFLINE */,
					 25,
					 -1};
	uint64_t anon = MAP_ANONYMOUS | MAP_PRIVATE;

	(void)state;
	assert_int_equal(call(INSIDE, SYS_mmap, 0, 4096, 3, anon | MAP_FIXED), ALLOW);
	assert_int_equal(call(INSIDE, SYS_mmap, 0, 4096, 3, MAP_ANONYMOUS | MAP_SHARED), ALLOW);
	assert_int_equal(call(INSIDE, SYS_mmap, 0, 4096, 1, MAP_PRIVATE | MAP_FIXED), ALLOW);
	assert_int_equal(call(INSIDE, SYS_mmap, 0, 4096, 1, MAP_SHARED | MAP_LOCKED), KILL);
	assert_int_equal(call(INSIDE, SYS_mmap, 0, 4096, 3, anon | MAP_HUGETLB), KILL);
	assert_int_equal(call(INSIDE, SYS_mmap, 0, 4096, 3, anon | MAP_GROWSDOWN), KILL);
	assert_int_equal(call(INSIDE, SYS_mmap, 0, 4096, 3, anon | (1ull << 40)), KILL);
	assert_int_equal(call(INSIDE, SYS_mremap, 0, 1, 1, MREMAP_MAYMOVE | MREMAP_FIXED), ALLOW);
	assert_int_equal(call(INSIDE, SYS_mremap, 0, 1, 1, 8), KILL);
	assert_int_equal(call(INSIDE, SYS_madvise, 0, 1, MADV_DONTNEED, 0), ALLOW);
	assert_int_equal(call(INSIDE, SYS_madvise, 0, 1, 23, 0), ALLOW);
	for (size_t i = 0; i < sizeof(bad_advice) / sizeof(bad_advice[0]); i++)
		assert_int_equal(call(INSIDE, SYS_madvise, 0, 1, (uint32_t)bad_advice[i], 0), KILL);
	assert_int_equal(call(INSIDE, SYS_arch_prctl, 0x1002, 0, 0, 0), ALLOW);
	assert_int_equal(call(INSIDE, SYS_arch_prctl, 0x1012 /* CPUID */, 0, 0, 0), KILL);
	assert_int_equal(call(INSIDE, SYS_arch_prctl, 0x1023 /* XCOMP_PERM */, 0, 0, 0), KILL);
}

static void private_futexes_only(void **state)
{
	static const int good[] = {FUTEX_WAIT,	      FUTEX_WAKE,
				   FUTEX_WAIT_BITSET, FUTEX_WAKE_BITSET,
				   FUTEX_REQUEUE,     FUTEX_CMP_REQUEUE,
				   FUTEX_WAKE_OP,     FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME};

	(void)state;
	for (uint64_t op = 0; op < 1024; op++) {
		bool allowed = false;

		for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
			allowed |= op == ((uint64_t)good[i] | FUTEX_PRIVATE_FLAG);
		assert_int_equal(call(INSIDE, SYS_futex, 0, op, 0, 0), allowed ? ALLOW : KILL);
	}
	assert_int_equal(call(INSIDE, SYS_clock_gettime, 1, 0, 0, 0), ALLOW);
	assert_int_equal(call(INSIDE, SYS_clock_gettime, 0, 0, 0, 0), KILL);
}

/* A buffer that is too small is refused, never overrun. */
static void small_buffers_are_refused(void **state)
{
	struct sock_filter few[8];

	(void)state;
	assert_int_equal(filter_build_listener(few, 4), -E2BIG);
	assert_int_equal(filter_build_strict(few, 8, STUB_TEXT, STUB_TEXT + 1), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(guest_code_always_traps),
	    cmocka_unit_test(text_has_edges),
	    cmocka_unit_test(only_listed_numbers_pass),
	    cmocka_unit_test(other_architectures_die),
	    cmocka_unit_test(bells_and_asked_calls_notify),
	    cmocka_unit_test(arguments_are_checked),
	    cmocka_unit_test(private_futexes_only),
	    cmocka_unit_test(small_buffers_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
