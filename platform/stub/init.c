/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the zygote gets ready: it begins as a freshly exec'd program, so nothing of the sentry is
 * left in it. It moves to slot 0's stack, unmaps all that isn't the stub, parks the vDSO, installs
 * handlers and the strict filter, and says HELLO from inside a signal handler, so that from then on
 * it is a stopped thread like any other: its registers are a signal frame on the slot's stack.
 */
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include "platform/stub/stub.h"

#define AT_SYSINFO_EHDR_ 33
#define MAP_STACK_FLAGS	 0x4032 /* NORESERVE | ANONYMOUS | FIXED | PRIVATE */

static void must(long result)
{
	if (result < 0 && result > -4096)
		stub_exit_process();
}

void stub_init(const uint64_t *sp)
{
	const uint64_t *p = sp + 1 + sp[0] + 1;
	uint64_t vdso = 0, top = stub_stack_top(0);

	while (*p)
		p++;
	for (p++; p[0]; p += 2)
		if (p[0] == AT_SYSINFO_EHDR_)
			vdso = p[1];
	must(stub_syscall(SYS_mmap, top - STUB_STACK_SIZE, STUB_STACK_SIZE, 3, MAP_STACK_FLAGS, -1,
			  0));
	stub_init_on(vdso, top);
}

/* Moves each mapping of the vDSO by itself (the kernel splits none), keeping their distances. */
static void park_vdso(uint64_t vdso)
{
	for (uint32_t i = 0; i < stub_boot.vdso_part_count && vdso; i++) {
		const struct stub_vdso_part *part = &stub_boot.vdso_parts[i];

		must(stub_syscall(SYS_mremap, vdso + part->start, part->size, part->size, 3,
				  STUB_VDSO + (part->start - stub_boot.vdso_first)));
	}
}

/*
 * Keeps the stub's text, its boot block, the parked vDSO, this slot's stack, and the channels if
 * there are any. In as few calls as possible: most find nothing.
 */
long stub_unmap_all_else(uint32_t slot, bool channels)
{
	uint64_t stack = stub_stack_top(slot) - STUB_STACK_SIZE;
	uint64_t channels_end = STUB_CHANNELS + (uint64_t)STUB_SLOTS * CHANNEL_STRIDE;
	const uint64_t keep[][2] = {
	    {STUB_TEXT, ((uint64_t)stub_text_end + 4095) & ~4095ul},
	    {STUB_BOOT, (STUB_BOOT + sizeof(struct stub_boot) + 4095) & ~4095ul},
	    {STUB_VDSO, STUB_VDSO + 0x100000},
	    {stack, stack + STUB_STACK_SIZE},
	    {channels ? STUB_CHANNELS : STUB_REGION_END, channels ? channels_end : STUB_REGION_END},
	};
	uint64_t from = 0;
	long r = 0;

	for (uint32_t i = 0; i < sizeof(keep) / sizeof(keep[0]) && r >= 0; i++) {
		r = stub_syscall(SYS_munmap, from, keep[i][0] - from);
		from = keep[i][1];
	}
	if (r >= 0 && from < STUB_REGION_END)
		r = stub_syscall(SYS_munmap, from, STUB_REGION_END - from);
	return r;
}

#define NEVER_BLOCKED (SYNC_SIGNALS | ABI_SIGMASK(ABI_SIGINT))
#define SYNC_SIGNALS                                                                               \
	(ABI_SIGMASK(ABI_SIGSYS) | ABI_SIGMASK(ABI_SIGSEGV) | ABI_SIGMASK(ABI_SIGBUS) |            \
	 ABI_SIGMASK(ABI_SIGFPE) | ABI_SIGMASK(ABI_SIGILL) | ABI_SIGMASK(ABI_SIGTRAP))

/*
 * Guest code runs with everything blocked but faults and the kick; handlers block the kick too, so
 * that one which comes while the stub works is delivered as the guest's first instruction is due.
 * Faults stay unblocked and may nest once: the copy routines fault on guest memory.
 *
 * SIGINT is how gdb stops what it let go on. A signal that is ignored does nothing unless there is
 * a debugger, to whom it is shown; a blocked one is not even shown.
 */
static void install_handlers(void)
{
	static const uint8_t signals[] = {ABI_SIGSYS, ABI_SIGSEGV, ABI_SIGBUS,	    ABI_SIGFPE,
					  ABI_SIGILL, ABI_SIGTRAP, STUB_KICK_SIGNAL};
	uint64_t mask = ~(NEVER_BLOCKED | ABI_SIGMASK(STUB_KICK_SIGNAL));
	struct abi_sigaction sa = {
	    .handler = (uint64_t)stub_handler,
	    .flags = ABI_SA_SIGINFO | ABI_SA_ONSTACK | ABI_SA_RESTORER | ABI_SA_NODEFER,
	    .restorer = (uint64_t)stub_restorer,
	    .mask = ~NEVER_BLOCKED,
	};
	struct abi_stack st = {.sp = stub_stack_top(0) - STUB_STACK_SIZE, .size = STUB_STACK_SIZE};

	must(stub_syscall(SYS_rt_sigprocmask, ABI_SIG_SETMASK, &mask, NULL, 8));
	for (uint32_t i = 0; i < sizeof(signals); i++)
		must(stub_syscall(SYS_rt_sigaction, signals[i], &sa, NULL, 8));
	sa.handler = ABI_SIG_IGN;
	must(stub_syscall(SYS_rt_sigaction, ABI_SIGINT, &sa, NULL, 8));
	must(stub_syscall(SYS_sigaltstack, &st, NULL));
}

static void close_all(void)
{
	uint32_t from = stub_boot.ptrace ? STUB_SOCKET + 1 : 0;

	if (!stub_boot.fd_end)
		must(stub_syscall(SYS_close_range, from, ~0u, 0));
	for (uint32_t fd = from; fd < stub_boot.fd_end; fd++)
		stub_syscall(SYS_close, fd);
}

/* Says that it is up, and goes on when the tracer is there: the filter asks it. */
static void await_tracer(void)
{
	char byte = 0;

	must(stub_syscall(SYS_sendto, STUB_SOCKET, &byte, 1, 0, 0, 0) - 1);
	must(stub_syscall(SYS_recvfrom, STUB_SOCKET, &byte, 1, 0, 0, 0) - 1);
}

static void confine(void)
{
	struct {
		uint16_t len;
		const struct sock_filter *filter;
	} prog = {(uint16_t)stub_boot.filter_count, stub_boot.filter};

	close_all();
	must(stub_syscall(SYS_prctl, 15 /* PR_SET_NAME */, "cvisor-stub"));
	must(stub_syscall(SYS_prctl, 4 /* PR_SET_DUMPABLE */, 1, 0, 0, 0));
	if (stub_boot.ptrace)
		await_tracer();
	must(stub_syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog));
}

void stub_init_late(uint64_t vdso)
{
	park_vdso(vdso);
	must(stub_unmap_all_else(0, false));
	install_handlers();
	confine();
	stub_init_trap();
}

/* xstate_bv: all in its initial configuration but the rights to protection keys (find_pkru). */
static void initial_xstate(uint8_t *fp)
{
	struct abi_fpx_sw_bytes *sw = (struct abi_fpx_sw_bytes *)(fp + ABI_FPX_SW_OFFSET);
	uint64_t *present = (uint64_t *)(fp + ABI_FXSAVE_SIZE);

	*present = 0;
	if (!stub_boot.pkru_offset || !(sw->xfeatures & ABI_XFEATURE_PKRU) ||
	    stub_boot.pkru_offset + 4 > sw->xstate_size)
		return;
	*present = ABI_XFEATURE_PKRU;
	*(uint32_t *)(fp + stub_boot.pkru_offset) = stub_boot.pkru;
}

/* The FP state of a program that has just been exec'd: everything in its initial configuration. */
void stub_initial_fp(struct abi_ucontext *uc)
{
	uint8_t *fp = (uint8_t *)uc->mcontext.fpstate;

	if (!fp)
		return;
	*(uint16_t *)fp = 0x37f;
	for (uint32_t i = 2; i < 24; i++)
		fp[i] = 0;
	*(uint32_t *)(fp + 24) = 0x1f80;
	for (uint32_t i = 32; i < ABI_FPX_SW_OFFSET; i += 8)
		*(volatile uint64_t *)(fp + i) = 0;
	if (((struct abi_fpx_sw_bytes *)(fp + ABI_FPX_SW_OFFSET))->magic1 == ABI_FP_XSTATE_MAGIC1)
		initial_xstate(fp);
}
