/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filters are raw BPF because libseccomp can't test the instruction pointer. They are made from
 * one table by an assembler that knows labels only as "the next rule", so that every jump is short,
 * forward, and checked.
 *
 * Two filters, since one must be in force (and its listener in the sentry's hands) before the image
 * is exec'd, and must then let the stub get ready, while the strict one may only begin when it is.
 * The kernel runs both and takes the stricter verdict: KILL < TRAP < USER_NOTIF < ALLOW.
 */
#include "platform/filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/mman.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/compiler.h"
#include "platform/stub/channel.h"
#include "platform/stub/layout.h"

/* What a mapping may be; never: hugetlb, locked, growing down, 32-bit, sync. */
#define MAP_COMMON (MAP_SHARED | MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE | MAP_POPULATE)

static const struct filter_rule rules[] = {
    {STUB_DOORBELL, FILTER_BELL, FILTER_NOTIFY, "doorbell", "how a stub reaches the sentry", {{0}}},
    {SYS_rt_sigreturn,
     FILTER_ALLOW,
     FILTER_NOTIFY,
     "rt_sigreturn",
     "back to guest code; changes only the caller's own registers and mask",
     {{0}}},
    {SYS_rt_sigreturn,
     FILTER_ALLOW,
     FILTER_PTRACE,
     "rt_sigreturn",
     "back to stub code after a fault of its own",
     {{FILTER_ONE_OF, 0, 1, {STUB_RETURN_NESTED}}}},
    {SYS_rt_sigreturn,
     FILTER_ASK,
     FILTER_PTRACE,
     "rt_sigreturn",
     "back to guest code: from here on the tracer answers each call",
     {{FILTER_ONE_OF, 0, 1, {STUB_RETURN_GUEST}}}},
    {SYS_recvmsg,
     FILTER_ASK,
     FILTER_PTRACE,
     "recvmsg",
     "descriptors that the sentry hands in, from the one socket that all stubs share: one at a "
     "time",
     {{FILTER_ONE_OF, 0, 1, {STUB_SOCKET}}, {FILTER_ONE_OF, 2, 1, {0}}}},
    {SYS_futex,
     FILTER_ALLOW,
     FILTER_NOTIFY,
     "futex",
     "wait and wake among threads that share memory (PRIVATE); no shared keys, no kernel state "
     "(PI)",
     {{FILTER_ONE_OF,
       1,
       8,
       {FUTEX_WAIT | FUTEX_PRIVATE_FLAG, FUTEX_WAKE | FUTEX_PRIVATE_FLAG,
	FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG,
	FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME,
	FUTEX_WAKE_BITSET | FUTEX_PRIVATE_FLAG, FUTEX_REQUEUE | FUTEX_PRIVATE_FLAG,
	FUTEX_CMP_REQUEUE | FUTEX_PRIVATE_FLAG, FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG}}}},
    {449,
     FILTER_ALLOW,
     FILTER_NOTIFY,
     "futex_waitv",
     "wait for one of several words; it wakes nobody",
     {{0}}},
    {SYS_restart_syscall,
     FILTER_ALLOW,
     FILTER_NOTIFY,
     "restart_syscall",
     "how the host goes on with a timed wait that it has stopped or frozen",
     {{0}}},
    {SYS_clock_gettime,
     FILTER_ALLOW,
     FILTER_NOTIFY,
     "clock_gettime",
     "the time that a futex wait ends at, which the vDSO tells any guest, and what the caller has "
     "used of the CPU",
     {{FILTER_ONE_OF, 0, 2, {CLOCK_MONOTONIC, CLOCK_THREAD_CPUTIME_ID}}}},
    {SYS_sched_yield, FILTER_ALLOW, FILTER_BOTH, "sched_yield", "no argument, no state", {{0}}},
    {SYS_mmap,
     FILTER_ALLOW,
     FILTER_BOTH,
     "mmap",
     "anonymous memory of its own, counted by the sandbox's cgroup; files by a descriptor that was "
     "handed in, which carries the rights that the guest has anyway",
     {{FILTER_SUBSET, 3, 1, {MAP_COMMON | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE}}}},
    {SYS_munmap, FILTER_ALLOW, FILTER_BOTH, "munmap", "its own memory", {{0}}},
    {SYS_mprotect, FILTER_ALLOW, FILTER_BOTH, "mprotect", "its own memory", {{0}}},
    {SYS_mremap,
     FILTER_ALLOW,
     FILTER_BOTH,
     "mremap",
     "its own memory; a grown file mapping shows more of a file that it was given anyway",
     {{FILTER_SUBSET, 3, 1, {MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP}}}},
    {SYS_madvise,
     FILTER_ALLOW,
     FILTER_BOTH,
     "madvise",
     "hints on its own memory; never HWPOISON, REMOVE (writes to files), MERGEABLE (tells "
     "what others have)",
     {{FILTER_ONE_OF,
       2,
       18,
       {MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTNEED, MADV_FREE,
	MADV_DONTFORK, MADV_DOFORK, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_DONTDUMP, MADV_DODUMP,
	MADV_WIPEONFORK, MADV_KEEPONFORK, MADV_COLD, MADV_PAGEOUT, 22 /* POPULATE_READ */,
	23 /* POPULATE_WRITE */}}}},
    {SYS_arch_prctl,
     FILTER_ALLOW,
     FILTER_BOTH,
     "arch_prctl",
     "fs and gs base where the CPU's own instructions are off",
     {{FILTER_ONE_OF, 0, 4, {0x1001, 0x1002, 0x1003, 0x1004}}}},
    {SYS_close,
     FILTER_ALLOW,
     FILTER_BOTH,
     "close",
     "descriptors that were handed in, once mapped",
     {{0}}},
    {SYS_exit, FILTER_ALLOW, FILTER_BOTH, "exit", "ends the caller", {{0}}},
    {SYS_exit_group, FILTER_ALLOW, FILTER_BOTH, "exit_group", "ends the caller's process", {{0}}},
    {SYS_clone,
     FILTER_ASK,
     FILTER_BOTH,
     "clone",
     "threads, forks and vforks that the sentry ordered, with exactly these flags",
     {{FILTER_ONE_OF, 0, 3, {STUB_CLONE_THREAD, STUB_CLONE_FORK, STUB_CLONE_VFORK}}}},
};

const struct filter_rule *filter_rules(uint32_t *ret_count)
{
	*ret_count = array_count(rules);
	return rules;
}

struct assembler {
	struct sock_filter *prog;
	uint32_t max, count;
	bool overflow;
	/* Instructions since `rule` whose false (or true) branch goes to the next rule. */
	uint32_t fixups[2 * FILTER_CHECKS + 8];
	bool fixup_true[2 * FILTER_CHECKS + 8];
	uint32_t fixup_count;
};

static void emit(struct assembler *a, uint16_t code, uint8_t jt, uint8_t jf, uint32_t k)
{
	if (a->count >= a->max) {
		a->overflow = true;
		return;
	}
	a->prog[a->count++] = (struct sock_filter){code, jt, jf, k};
}

static void load(struct assembler *a, size_t offset)
{
	emit(a, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset);
}

static void ret(struct assembler *a, uint32_t value)
{
	emit(a, BPF_RET | BPF_K, 0, 0, value);
}

/* A test that goes on with the next instruction if it holds, else (or if, for on_true) leaves. */
static void leave_rule(struct assembler *a, uint16_t test, uint32_t k, bool on_true)
{
	if (a->fixup_count >= array_count(a->fixups)) {
		a->overflow = true;
		return;
	}
	a->fixup_true[a->fixup_count] = on_true;
	a->fixups[a->fixup_count++] = a->count;
	emit(a, (uint16_t)(BPF_JMP | test | BPF_K), 0, 0, k);
}

static void end_rule(struct assembler *a)
{
	for (uint32_t i = 0; i < a->fixup_count && !a->overflow; i++) {
		uint32_t distance = a->count - a->fixups[i] - 1;
		struct sock_filter *insn = &a->prog[a->fixups[i]];

		if (distance > 255)
			a->overflow = true;
		if (a->fixup_true[i])
			insn->jt = (uint8_t)distance;
		else
			insn->jf = (uint8_t)distance;
	}
	a->fixup_count = 0;
}

static size_t arg_low(uint8_t arg)
{
	return offsetof(struct seccomp_data, args) + 8u * arg;
}

static void emit_check(struct assembler *a, const struct filter_check *c)
{
	load(a, arg_low(c->arg) + 4);
	leave_rule(a, BPF_JEQ, 0, false);
	load(a, arg_low(c->arg));
	switch (c->op) {
	case FILTER_SUBSET:
		leave_rule(a, BPF_JSET, ~c->values[0], true);
		break;
	case FILTER_HAS:
		leave_rule(a, BPF_JSET, c->values[0], false);
		break;
	case FILTER_LACKS:
		leave_rule(a, BPF_JSET, c->values[0], true);
		break;
	default:
		for (uint8_t i = 0; i + 1 < c->value_count; i++)
			emit(a, BPF_JMP | BPF_JEQ | BPF_K, (uint8_t)(c->value_count - 1 - i), 0,
			     c->values[i]);
		leave_rule(a, BPF_JEQ, c->values[c->value_count - 1], false);
	}
}

static void emit_rule(struct assembler *a, const struct filter_rule *r, uint32_t verdict)
{
	load(a, offsetof(struct seccomp_data, nr));
	leave_rule(a, BPF_JEQ, r->nr, false);
	for (uint32_t i = 0; i < FILTER_CHECKS && r->checks[i].op != FILTER_END; i++)
		emit_check(a, &r->checks[i]);
	ret(a, verdict);
	end_rule(a);
}

static int finish(struct assembler *a, uint32_t last)
{
	ret(a, last);
	return a->overflow ? -E2BIG : (int)a->count;
}

int filter_build_listener(struct sock_filter *prog, uint32_t max)
{
	struct assembler a = {.prog = prog, .max = max};

	for (uint32_t i = 0; i < array_count(rules); i++)
		if (rules[i].verdict != FILTER_ALLOW && rules[i].use != FILTER_PTRACE)
			emit_rule(&a, &rules[i], SECCOMP_RET_USER_NOTIF);
	return finish(&a, SECCOMP_RET_ALLOW);
}

/* Another architecture's calls end the process: a guest gets no 32-bit kernel interface. */
static void emit_arch(struct assembler *a)
{
	load(a, offsetof(struct seccomp_data, arch));
	emit(a, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, AUDIT_ARCH_X86_64);
	ret(a, SECCOMP_RET_KILL_PROCESS);
}

/*
 * A call from outside the stub's text is the guest's, whatever its number (x32's too): it traps.
 * The text's addresses share their upper half (STUB_REGION_HI).
 */
static void emit_text_test(struct assembler *a, uint64_t begin, uint64_t end)
{
	load(a, offsetof(struct seccomp_data, instruction_pointer) + 4);
	emit(a, BPF_JMP | BPF_JEQ | BPF_K, 0, 3, (uint32_t)(begin >> 32));
	load(a, offsetof(struct seccomp_data, instruction_pointer));
	emit(a, BPF_JMP | BPF_JGE | BPF_K, 0, 1, (uint32_t)begin);
	emit(a, BPF_JMP | BPF_JGT | BPF_K, 0, 1, (uint32_t)end);
	ret(a, SECCOMP_RET_TRAP);
}

int filter_build_strict(struct sock_filter *prog, uint32_t max, uint64_t text_begin,
			uint64_t text_end)
{
	struct assembler a = {.prog = prog, .max = max};

	emit_arch(&a);
	emit_text_test(&a, text_begin, text_end);
	for (uint32_t i = 0; i < array_count(rules); i++)
		if (rules[i].use != FILTER_PTRACE)
			emit_rule(&a, &rules[i], SECCOMP_RET_ALLOW);
	return finish(&a, SECCOMP_RET_KILL_PROCESS);
}

int filter_build_ptrace(struct sock_filter *prog, uint32_t max, uint64_t text_begin,
			uint64_t text_end)
{
	struct assembler a = {.prog = prog, .max = max};

	emit_arch(&a);
	emit_text_test(&a, text_begin, text_end);
	for (uint32_t i = 0; i < array_count(rules); i++)
		if (rules[i].use != FILTER_NOTIFY)
			emit_rule(&a, &rules[i],
				  rules[i].verdict == FILTER_ASK ? SECCOMP_RET_TRACE | rules[i].nr
								 : SECCOMP_RET_ALLOW);
	return finish(&a, SECCOMP_RET_KILL_PROCESS);
}
