/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stub's heart: a signal handler that turns what happened to the guest thread into a request,
 * calls the sentry, and does what the reply says until it says "go on".
 *
 * The thread's register state is the signal frame that the host kernel built on the slot's stack;
 * replies edit that frame, and rt_sigreturn makes it true. How the sentry is reached is one
 * function, call_sentry.
 */
#include <sys/syscall.h>

#include "platform/stub/stub.h"

#define ENOSYS_	  38
#define RFLAGS_AC 0x40000ul

struct extable_entry {
	uint64_t from, to, fixup;
};
extern const struct extable_entry stub_extable[4] __attribute__((visibility("hidden")));

void stub_exit_process(void)
{
	for (;;)
		stub_syscall(SYS_exit_group, 1);
}

/*
 * Rings until the bell was answered. A bell is repeatable: the sentry knows a request by its
 * number, so one that was interrupted is rung again and nothing is done twice.
 */
static long ring(enum bell what, uint64_t value)
{
	long r = stub_syscall(STUB_DOORBELL, what, value);

	if (r == -ENOSYS_) /* no sentry any more */
		stub_exit_process();
	return r;
}

/* Hands request ch->req to the sentry and returns when ch->rep holds the reply. */
static void call_sentry(struct channel *ch)
{
	uint64_t seq = ++ch->seq;

	atomic_store_explicit(&ch->state, CHANNEL_REQUEST, memory_order_release);
	do {
		ring(BELL_EVENT, seq);
	} while (atomic_load_explicit(&ch->state, memory_order_acquire) != CHANNEL_REPLY);
}

static void report(struct channel *ch, enum platform_report_step step, uint32_t index, int error,
		   uint64_t value)
{
	ch->req.type = PEV_REPORT;
	ch->req.report.step = step;
	ch->req.report.memop_index = index;
	ch->req.report.error = error;
	ch->req.report.value = value;
}

/* Step 1: false if guest memory can't be written. */
static bool write_back(struct channel *ch)
{
	uint32_t count = ch->rep.writeback_count;
	bool ok = true;

	for (uint32_t i = 0; i < count && i < CHANNEL_WINDOWS; i++) {
		const struct channel_writeback *w = &ch->rep.writebacks[i];

		if (stub_copy((void *)w->va, ch->window + w->offset, w->size))
			ok = false;
	}
	return ok;
}

/* Step 2: false, with the report filled in, if one failed. */
static bool do_memops(struct channel *ch)
{
	uint32_t count = ch->rep.memop_count;

	for (uint32_t i = 0; i < count && i < PLATFORM_MEMOPS_MAX; i++) {
		int err = stub_memop(&ch->memops[i]);

		if (err < 0) {
			report(ch, PREP_MEMOP, i, err, 0);
			return false;
		}
	}
	return true;
}

/* Step 3: negative errno, or 0 with *ret_value. */
static int do_order(struct channel *ch, struct abi_ucontext *uc, uint64_t *ret_value)
{
	const struct channel_reply *rep = &ch->rep;
	uint32_t old = 0;
	int err = 0;

	switch (rep->order) {
	case PORD_CLONE:
		err = stub_order_clone(ch, rep, uc);
		break;
	case PORD_SIGRETURN:
		err = stub_pop_frame(rep->va, uc);
		break;
	case PORD_ATOMIC:
		err = stub_order_atomic(rep, &old);
		*ret_value = old;
		break;
	case PORD_EXIT:
		for (;;)
			stub_syscall(SYS_exit, 0);
	default:
		break;
	}
	return err;
}

/* Step 4. */
static void set_state(const struct channel_reply *rep, struct abi_sigcontext *sc, bool efault)
{
	uint32_t flags = rep->flags;

	if (flags & REPLY_SET_REGS)
		stub_set_regs(sc, &rep->regs);
	if (flags & REPLY_SET_RET)
		sc->ax = efault ? (uint64_t)STUB_EFAULT : (uint64_t)rep->ret;
	if (flags & REPLY_RESTART)
		sc->ip -= 2; /* the size of the syscall instruction; rax still holds the number */
	if (flags & REPLY_SET_FS_BASE)
		stub_set_fs_base(rep->fs_base);
}

/* True: go on to guest code. False: stopped again, ch->req holds the report. */
static bool do_reply(struct channel *ch, struct abi_ucontext *uc)
{
	const struct channel_reply *rep = &ch->rep;
	uint32_t flags = rep->flags;
	enum platform_order order = rep->order;
	bool efault = !write_back(ch);
	uint64_t value = 0;
	int err;

	if (!do_memops(ch))
		return false;
	err = do_order(ch, uc, &value);
	if (err < 0) {
		report(ch, order == PORD_SIGRETURN ? PREP_FRAME : PREP_ORDER, 0, err, 0);
		return false;
	}
	set_state(rep, &uc->mcontext, efault);
	if (flags & REPLY_FRAME) {
		err = stub_push_frame(&rep->frame, uc);
		if (err < 0) {
			report(ch, PREP_FRAME, 0, err, 0);
			return false;
		}
	}
	if ((flags & REPLY_REPORT) || order == PORD_ATOMIC) {
		report(ch, PREP_DONE, 0, 0, value);
		return false;
	}
	return true;
}

/* Serves requests until one is answered by going on. */
static void __attribute__((noreturn)) serve(struct channel *ch, struct abi_ucontext *uc)
{
	for (;;) {
		stub_get_regs(&uc->mcontext, &ch->req.regs);
		call_sentry(ch);
		if (do_reply(ch, uc))
			stub_resume((struct abi_rt_sigframe *)((char *)uc - 8));
		ch->req.window_count = 0;
	}
}

/* arch_prctl of the fs base concerns nobody but this thread. False: not one of those. */
static bool local_call(struct abi_sigcontext *sc)
{
	uint64_t base;

	if (sc->ax != SYS_arch_prctl)
		return false;
	if (sc->di == 0x1002 /* ARCH_SET_FS */) {
		if (sc->si >= STUB_REGION_END) {
			sc->ax = (uint64_t)-1; /* EPERM */
			return true;
		}
		stub_set_fs_base(sc->si);
		sc->ax = 0;
		return true;
	}
	if (sc->di == 0x1003 /* ARCH_GET_FS */) {
		base = stub_get_fs_base();
		sc->ax = stub_copy((void *)sc->si, &base, 8) ? (uint64_t)STUB_EFAULT : 0;
		return true;
	}
	return false;
}

/* A fault or trap inside the stub's own text. */
static void __attribute__((noreturn)) own_fault(int sig, struct abi_ucontext *uc)
{
	struct abi_rt_sigframe *frame = (struct abi_rt_sigframe *)((char *)uc - 8);
	struct abi_sigcontext *sc = &uc->mcontext;

	if (sig == ABI_SIGILL && sc->ip == (uint64_t)stub_init_trap) {
		struct platform_regs zero = {0};

		stub_initial_fp(uc);
		stub_set_regs(sc, &zero);
		stub_child(uc, stub_boot.token, true);
	}
	for (uint32_t i = 0; i < sizeof(stub_extable) / sizeof(stub_extable[0]); i++)
		if (sc->ip >= stub_extable[i].from && sc->ip < stub_extable[i].to) {
			sc->ip = stub_extable[i].fixup;
			stub_resume(frame);
		}
	if (sig == ABI_SIGBUS && (sc->flags & RFLAGS_AC)) { /* the guest's alignment checks */
		sc->flags &= ~RFLAGS_AC;
		stub_resume(frame);
	}
	stub_exit_process();
}

static void fill_fault(struct channel *ch, int sig, const struct abi_siginfo *info,
		       const struct abi_sigcontext *sc)
{
	ch->req.type = PEV_FAULT;
	ch->req.window_count = 0;
	ch->req.fault.signo = sig;
	ch->req.fault.code = info->code;
	ch->req.fault.addr = info->fault.addr;
	ch->req.fault.trapno = sc->trapno;
	ch->req.fault.error_code = sc->err;
}

void stub_handler(int sig, struct abi_siginfo *info, struct abi_ucontext *uc)
{
	struct channel *ch = stub_channel(stub_slot(uc));
	struct abi_sigcontext *sc = &uc->mcontext;

	if (sc->ip - (uint64_t)stub_text_begin < STUB_TEXT_MAX && sig != STUB_KICK_SIGNAL)
		own_fault(sig, uc);
	if (sig == ABI_SIGSYS) {
		if (local_call(sc))
			stub_resume((struct abi_rt_sigframe *)((char *)uc - 8));
		ch->req.type = PEV_CALL;
		stub_fill_windows(ch, sc, sc->ax);
	} else if (sig == STUB_KICK_SIGNAL) {
		ch->req.type = PEV_KICKED;
		ch->req.window_count = 0;
	} else {
		fill_fault(ch, sig, info, sc);
	}
	serve(ch, uc);
}

/* A fork's child has no channel yet: the answer to its HELLO is the descriptor of one. */
static void map_channels(long fd)
{
	uint64_t size = (uint64_t)STUB_SLOTS * CHANNEL_STRIDE;

	if (stub_syscall(SYS_mmap, STUB_CHANNELS, size, 3, 0x4011 /* NORESERVE|FIXED|SHARED */, fd,
			 0) < 0)
		stub_exit_process();
	stub_syscall(SYS_madvise, STUB_CHANNELS, size, 10 /* MADV_DONTFORK */);
	stub_syscall(SYS_close, fd);
}

/*
 * A new thread. It reports to the sentry before anything else; its first reply is in the channel
 * when the bell is answered.
 */
void stub_child(struct abi_ucontext *uc, uint64_t token, bool forked)
{
	struct channel *ch = stub_channel(stub_slot(uc));
	long r;

	if (stub_boot.fsgsbase)
		stub_wrgsbase((uint64_t)ch);
	else
		stub_syscall(SYS_arch_prctl, 0x1001 /* ARCH_SET_GS */, ch);
	do {
		r = ring(BELL_HELLO, token);
	} while (r < 0);
	if (forked)
		map_channels(r);
	while (atomic_load_explicit(&ch->state, memory_order_acquire) != CHANNEL_REPLY)
		ring(BELL_HELLO, token);
	ch->req.window_count = 0;
	if (do_reply(ch, uc))
		stub_resume((struct abi_rt_sigframe *)((char *)uc - 8));
	ch->req.window_count = 0;
	serve(ch, uc);
}
