/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that the stub serves by itself, whichever way they came.
 *
 * arch_prctl of the fs and gs base concerns nobody but the calling thread. gs points at the channel
 * as long as the guest has no use for it; from ARCH_SET_GS on it is the guest's, and its call sites
 * trap again (fast.S looks at gs). A guest that writes gs by an instruction has the same effect.
 *
 * The mask of signals is the thread's own while no signal is pending for it. Whoever sends one says
 * so first, in own.ask, and looks at the mask then:
 *
 *	thread				sender
 *	mask = new
 *	ask? no
 *					ask = true
 *					mask: new
 *
 *	mask = new			ask = true
 *	ask? yes: mask = old		mask: the new one or the old one
 *	the call is the sentry's	the sentry, at that call, looks again at all that is pending
 */
#include <sys/syscall.h>

#include "abi/futex.h"
#include "abi/mman.h"
#include "platform/stub/stub.h"

#define ARCH_SET_GS_ 0x1001
#define ARCH_SET_FS_ 0x1002
#define ARCH_GET_FS_ 0x1003
#define ARCH_GET_GS_ 0x1004
#define STUB_EPERM   (-1)
#define STUB_ENOSYS  (-38)
#define PAGE	     4096ul

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

uint64_t stub_gs_get(void)
{
	return get_gs_base();
}

void stub_gs_set(uint64_t base)
{
	set_gs_base(base);
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

static bool asked(const struct channel *ch)
{
	return atomic_load(&ch->own.ask) != 0;
}

/* False: the sentry wants to hear of it, nothing has changed. */
static bool set_mask(struct channel *ch, uint64_t mask)
{
	uint64_t old = atomic_exchange(&ch->own.blocked, mask & ~ABI_SIG_UNBLOCKABLE);

	if (!asked(ch))
		return true;
	atomic_store(&ch->own.blocked, old);
	return false;
}

static bool rt_sigprocmask(struct channel *ch, struct platform_regs *r)
{
	uint64_t old = atomic_load_explicit(&ch->own.blocked, memory_order_relaxed), set = 0;

	if (asked(ch) || r->r10 != sizeof(set) || r->rsi >= PLATFORM_GUEST_MAX ||
	    r->rdx >= PLATFORM_GUEST_MAX)
		return false;
	if (r->rsi) {
		if (stub_copy(&set, (void *)r->rsi, sizeof(set)))
			return false;
		if ((uint32_t)r->rdi == ABI_SIG_BLOCK)
			set = old | set;
		else if ((uint32_t)r->rdi == ABI_SIG_UNBLOCK)
			set = old & ~set;
		else if ((uint32_t)r->rdi != ABI_SIG_SETMASK)
			return false;
		if (!set_mask(ch, set))
			return false;
	}
	r->rax = r->rdx && stub_copy((void *)r->rdx, &old, sizeof(old)) ? (uint64_t)STUB_EFAULT : 0;
	return true;
}

static bool set_robust_list(struct channel *ch, struct platform_regs *r)
{
	if (r->rsi != sizeof(struct abi_robust_list_head))
		return false;
	atomic_store_explicit(&ch->own.robust_list, r->rdi, memory_order_relaxed);
	r->rax = 0;
	return true;
}

static bool set_tid_address(struct channel *ch, struct platform_regs *r)
{
	uint64_t value = atomic_load_explicit(&ch->answers[stub_boot.answer_at[SYS_gettid]],
					      memory_order_relaxed);

	if (!stub_boot.answer_at[SYS_gettid] || !value)
		return false;
	atomic_store_explicit(&ch->own.clear_tid, r->rdi, memory_order_relaxed);
	r->rax = value - 1;
	return true;
}

/*
 * What isn't needed any more the host takes from whoever has it: the tree of areas knows nothing of
 * pages. Only that locked memory is needed by definition (EINVAL) is the sentry's to know, and where
 * other pages are in the place of the guest's (sentry/mm/patch_page.c):
 *
 *	here					another thread's reply
 *	not asked
 *						asked from now on
 *						the page's content is copied,
 *						the copy takes its place
 *	madvise: of the copy
 *	asked: to the sentry, which brings the page back first
 */
static bool give_back_memory(const struct channel *ch, struct platform_regs *r)
{
	uint64_t start = r->rdi, size = (r->rsi + PAGE - 1) & ~(PAGE - 1);
	long result;

	if (((uint32_t)r->rdx != ABI_MADV_DONTNEED && (uint32_t)r->rdx != ABI_MADV_FREE) ||
	    atomic_load(&ch->own.ask_memory) || start & (PAGE - 1) || !size || size < r->rsi ||
	    start >= PLATFORM_GUEST_MAX || size > PLATFORM_GUEST_MAX - start)
		return false;
	result = stub_syscall(SYS_madvise, start, size, (uint32_t)r->rdx);
	if (atomic_load(&ch->own.ask_memory))
		return false; /* since when? The sentry does it again. */
	r->rax = (uint64_t)result;
	return true;
}

static bool own_call(struct channel *ch, struct platform_regs *r)
{
	switch (r->rax) {
	case SYS_rt_sigprocmask:
		return rt_sigprocmask(ch, r);
	case SYS_set_robust_list:
		return set_robust_list(ch, r);
	case SYS_set_tid_address:
		return set_tid_address(ch, r);
	case SYS_madvise:
		return give_back_memory(ch, r);
	default:
		if (r->rax != stub_boot.absent_call || !r->rax)
			return false;
		r->rax = (uint64_t)STUB_ENOSYS;
		return true;
	}
}

bool stub_is_sigreturn(const struct channel *ch, const struct platform_regs *r)
{
	return stub_boot.own_state && r->rax == SYS_rt_sigreturn && !asked(ch);
}

/* The handler's return has popped the restorer's address: rsp is at the ucontext. */
bool stub_local_sigreturn(struct channel *ch, const struct platform_regs *r,
			  struct abi_ucontext *uc)
{
	const struct abi_ucontext *frame = (const struct abi_ucontext *)r->rsp;
	const struct channel_own *own = &ch->own;
	struct abi_stack stack;
	uint64_t mask;

	if (!stub_is_sigreturn(ch, r) || r->rsp >= PLATFORM_GUEST_MAX ||
	    stub_copy(&stack, &frame->stack, sizeof(stack)) ||
	    stub_copy(&mask, &frame->sigmask, sizeof(mask)))
		return false;
	if (stack.sp != own->altstack_sp || stack.size != own->altstack_size ||
	    (stack.flags & ~ABI_SS_ONSTACK) != own->altstack_flags)
		return false;
	return set_mask(ch, mask) && !stub_pop_frame(r->rsp, uc);
}

bool stub_local_call(struct channel *ch, struct platform_regs *r)
{
	if (stub_boot.own_state && own_call(ch, r))
		return true;
	if (answer(ch, r) || stub_lease_call(ch, r))
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
