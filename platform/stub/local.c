/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that the stub serves by itself, whichever way they came.
 *
 * arch_prctl of the fs and gs base concerns nobody but the calling thread. gs points at the channel
 * as long as the guest has no use for it; from ARCH_SET_GS on it is the guest's, and its call sites
 * trap again (fast.S looks at gs). A guest that writes gs by an instruction has the same effect.
 */
#include <sys/syscall.h>

#include "platform/stub/stub.h"

#define ARCH_SET_GS_ 0x1001
#define ARCH_SET_FS_ 0x1002
#define ARCH_GET_FS_ 0x1003
#define ARCH_GET_GS_ 0x1004
#define STUB_EPERM   (-1)

static void set_gs_base(uint64_t base)
{
	if (stub_boot.fsgsbase)
		stub_wrgsbase(base);
	else
		stub_syscall(SYS_arch_prctl, ARCH_SET_GS_, base);
}

static uint64_t get_gs_base(void)
{
	uint64_t base = 0;

	if (stub_boot.fsgsbase)
		return stub_rdgsbase();
	stub_syscall(SYS_arch_prctl, ARCH_GET_GS_, &base);
	return base;
}

/* Of some channel: a new thread inherits its parent's. */
static bool is_channel(uint64_t base)
{
	return base >> 32 == STUB_CHANNELS_HI;
}

void stub_gs_init(struct channel *ch)
{
	uint64_t base = get_gs_base();

	if (!base || is_channel(base))
		set_gs_base((uint64_t)ch);
}

void stub_gs_reset(struct channel *ch)
{
	set_gs_base((uint64_t)ch);
}

bool stub_gs_ours(const struct channel *ch)
{
	return stub_boot.fsgsbase && stub_rdgsbase() == (uint64_t)ch;
}

static uint64_t put_base(uint64_t va, uint64_t base)
{
	return stub_copy((void *)va, &base, sizeof(base)) ? (uint64_t)STUB_EFAULT : 0;
}

bool stub_changes_gs(const struct platform_regs *r)
{
	return r->rax == SYS_arch_prctl && r->rdi == ARCH_SET_GS_;
}

/* True: one of the four. */
static bool arch_prctl(struct channel *ch, uint64_t code, uint64_t arg, uint64_t *ret)
{
	uint64_t base;

	switch (code) {
	case ARCH_SET_FS_:
		*ret = arg >= PLATFORM_GUEST_MAX ? (uint64_t)STUB_EPERM : 0;
		if (!*ret)
			stub_set_fs_base(arg);
		return true;
	case ARCH_GET_FS_:
		*ret = put_base(arg, stub_get_fs_base());
		return true;
	case ARCH_SET_GS_:
		*ret = arg >= PLATFORM_GUEST_MAX ? (uint64_t)STUB_EPERM : 0;
		if (!*ret)
			set_gs_base(arg ? arg : (uint64_t)ch); /* 0: has no use for it */
		return true;
	case ARCH_GET_GS_:
		base = get_gs_base();
		*ret = put_base(arg, is_channel(base) ? 0 : base);
		return true;
	default:
		return false;
	}
}

/* False: the sentry has left no answer. */
static bool answer(struct channel *ch, struct platform_regs *r)
{
	uint64_t nr = r->rax, value;
	uint32_t place = nr < STUB_ANSWERED_MAX ? stub_boot.answer_at[nr] : 0;

	if (!place && nr < STUB_ANSWERED_MAX && !(uint32_t)r->rdi)
		place = stub_boot.answer_if_own[nr];
	if (!place && nr == SYS_sched_yield)
		place = stub_boot.answer_yield;
	value = atomic_load_explicit(&ch->answers[place], memory_order_relaxed);
	if (!place || !value)
		return false;
	if (nr == SYS_sched_yield)
		stub_syscall(SYS_sched_yield);
	r->rax = value - 1;
	return true;
}

bool stub_local_call(struct channel *ch, struct platform_regs *r)
{
	if (answer(ch, r))
		return true;
	switch (r->rax) {
	case SYS_arch_prctl:
		return arch_prctl(ch, r->rdi, r->rsi, &r->rax);
	case SYS_futex:
	case 454: /* futex_wake */
		return stub_futex_wake(r);
	default:
		return false;
	}
}
