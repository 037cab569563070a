/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fast path: calls that come by a jump from a rewritten call site (fast.S), with no signal
 * frame. The registers are in ch->req.regs, where the sentry looks for them anyway; the stub runs
 * on the slot's stack, and what it doesn't touch (the FP state) stays in the registers.
 *
 * Replies that only have a result, buffers to write back and memory operations are carried out
 * here. All others need a signal frame as the thread's state: the thread executes ud2
 * (stub_fast_trap), and the handler, which sees that it came from there, puts the saved registers
 * into the frame and goes on with the reply that is in the channel (FAST_REPLY), or with the report
 * of a memory operation that failed (FAST_REPORT).
 *
 *	guest		jmp	fast entry: saves registers
 *			call	stub_fast_call -> reply
 *			simple?	exit: restores registers, jmp back
 *			else	ud2 -> handler -> do_reply -> rt_sigreturn
 *
 * Kicks. In a handler they are blocked; here they are not, as a wait in the host must be
 * interruptible. A kick that finds the thread in the stub's text is noted, in ch->fast.kicked; on
 * the way out the note is looked at, and makes the thread trap (FAST_RETURN) so that the handler
 * can report PEV_KICKED. No note is overlooked:
 *
 *	fast path				kick
 *	call served				kicked = 1
 *	exit: kicked? trap
 *
 *	exit: kicked? no
 *	registers are being restored		rip in [exit, exit_end): the handler takes all
 *						registers from the channel, where they
 *						still are: the thread is stopped at the
 *						return address
 *
 *	back in the guest			as any guest code
 *
 *	before anything was saved		rip in [entry, save): the thread is stopped at the
 *						call's instruction; behind it, if the answer is in
 *						rax already
 *
 *	about to sleep in the host: kicked?	kicked = 1
 *	no
 *						rip in [wait_begin, wait_end): goes to wait_abort
 *	the call sleeps				kicked = 1; the call returns -EINTR
 *
 * A doorbell that a kick interrupts is rung again (main.c). The trap's handler blocks kicks, so
 * whoever clears the note there loses none.
 *
 * The handler that runs for a kick builds its frame below what is on the slot's stack already; one
 * more frame may come on top (a fault on guest memory). STUB_STACK_SIZE is checked for two.
 *
 * A thread that came by a trap and must sleep in the host takes this path too (a bounce, main.c):
 * it returns from the handler into stub_fast_bounce. If gs is the guest's, it leaves by the trap.
 */
#include "platform/stub/stub.h"

static bool within(uint64_t ip, const char *from, const char *to)
{
	return ip >= (uint64_t)from && ip < (uint64_t)to;
}

/* Before anything was saved: true, and sc is at the call's instruction, or behind it. */
static bool before_save(struct abi_sigcontext *sc)
{
	const char *ip = (const char *)sc->ip;

	if (!within(sc->ip, stub_fast_entry, stub_fast_save))
		return false;
	if (ip == stub_fast_entry)
		sc->ip = sc->cx - 2;
	else if (ip == stub_fast_fallback_jump || ip >= stub_answer_known)
		sc->ip = sc->r11;
	else
		sc->ip = sc->r11 - 2;
	return true;
}

bool stub_fast_leaving(const struct channel *ch, struct abi_sigcontext *sc)
{
	struct platform_regs regs = ch->req.regs;

	if (before_save(sc))
		return true;
	if (!within(sc->ip, stub_fast_exit, stub_fast_exit_end))
		return false;
	stub_set_regs(sc, &regs);
	return true;
}

bool stub_fast_kicked(struct channel *ch, struct abi_sigcontext *sc)
{
	if (stub_fast_leaving(ch, sc))
		return true;
	atomic_store_explicit(&ch->fast.kicked, 1, memory_order_relaxed);
	if (within(sc->ip, stub_wait_begin, stub_wait_end))
		sc->ip = (uint64_t)stub_wait_abort;
	return false;
}

#define SIMPLE_FLAGS                                                                               \
	(REPLY_SET_RET | REPLY_SET_FS_BASE | REPLY_RESTART | REPLY_MEMOPS | REPLY_INLINE |         \
	 REPLY_KICK)

/* The first reply of a new thread, without anything that needs a frame. */
#define BEGIN_FLAGS (REPLY_BEGIN | REPLY_SET_REGS | REPLY_SET_FS_BASE | REPLY_MEMOPS | REPLY_KICK)

static uint32_t trap(struct channel *ch, enum fast_stage stage)
{
	ch->fast.stage = stage;
	return 1;
}

/*
 * Another guest thread begins here, where its predecessor has ended. If it has a gs of its own it
 * leaves by the trap, since the way out needs ours.
 */
static uint32_t begin(struct channel *ch)
{
	stub_begin(ch, NULL);
	ch->req.regs = ch->rep.regs;
	if (!stub_do_memops(ch, NULL))
		return trap(ch, FAST_REPORT);
	if (ch->result.flags & REPLY_SET_FS_BASE)
		stub_set_fs_base(ch->rep.fs_base);
	return stub_gs_ours(ch) ? 0 : trap(ch, FAST_RETURN);
}

/* 0: the call is done; 1: the rest is the handler's; 2: to be made again. */
static uint32_t finish(struct channel *ch)
{
	uint32_t flags = ch->result.flags;
	int64_t ret = ch->result.ret;

	if (flags & REPLY_BEGIN && !(flags & ~BEGIN_FLAGS))
		return begin(ch);
	if (flags & ~SIMPLE_FLAGS)
		return trap(ch, FAST_REPLY);
	if (!stub_write_back(ch))
		ret = STUB_EFAULT;
	if (!stub_do_memops(ch, NULL))
		return trap(ch, FAST_REPORT);
	if (flags & REPLY_SET_FS_BASE)
		stub_set_fs_base(ch->rep.fs_base);
	if (flags & REPLY_SET_RET)
		ch->req.regs.rax = (uint64_t)ret;
	return flags & REPLY_RESTART ? 2 : 0;
}

static bool is_kicked(struct channel *ch)
{
	return atomic_load_explicit(&ch->fast.kicked, memory_order_relaxed);
}

/* Back to the guest, to the call's instruction. */
static uint32_t again_by_trap(struct channel *ch)
{
	ch->req.regs.rip -= 2;
	return 0;
}

/* 0: the registers to go on with are in ch->req.regs. 1: trap, to the handler. */
uint32_t stub_fast_call(struct channel *ch)
{
	struct stub_wait wait = {0};
	uint32_t r;

	ch->fast.stage = FAST_RETURN;
	if (stub_changes_gs(&ch->req.regs))
		return again_by_trap(ch); /* the way out needs gs */
	do {
		if (stub_local_call(ch, &ch->req.regs))
			return 0;
		if (stub_is_sigreturn(ch, &ch->req.regs))
			return trap(ch, FAST_SIGRETURN);
		if (stub_futex_waits(&ch->req.regs) && stub_futex_wait(ch, &ch->req.regs, &wait))
			return 0;
		ch->req.type = PEV_CALL;
		ch->req.flags = REQUEST_FAST;
		stub_fill_windows(ch);
		stub_save_inherited(ch, NULL);
		stub_call_sentry(ch);
		r = finish(ch);
	} while (r == 2 && (wait.ready || !is_kicked(ch)));
	return r == 2 ? again_by_trap(ch) : r;
}
