/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stub's heart: a signal handler that turns what happened to the guest thread into a request,
 * calls the sentry, and does what the reply says until it says "go on".
 *
 * The thread's register state is the signal frame that the host kernel built on the slot's stack;
 * replies edit that frame, and rt_sigreturn makes it true. How the sentry is reached is one
 * function, stub_call_sentry.
 */
#include <sys/syscall.h>

#include "platform/stub/stub.h"

#define ENOSYS_	   38
#define RFLAGS_TF  0x100ul
#define RFLAGS_DF  0x400ul
#define RFLAGS_AC  0x40000ul
#define SPIN_LOOKS 16 /* at the state, between two looks at the clock */

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

/* The reply brings a descriptor, which can only be handed in to who waits in a bell. */
static bool wants_descriptor(const struct platform_regs *r)
{
	return r->rax == SYS_mmap && (int)r->r8 >= 0;
}

/*
 * The sentry said that it looks at this channel: waits for the reply, for a while. False: it isn't
 * there, ring. The sentry may cease to look at any moment, so `spin` is looked at again.
 */
static bool spin_for_reply(struct channel *ch)
{
	uint32_t patience = atomic_load_explicit(&ch->spin, memory_order_relaxed), state;
	uint64_t begin;

	if (!patience || wants_descriptor(&ch->req.regs))
		return false;
	begin = __builtin_ia32_rdtsc();
	do {
		for (int i = 0; i < SPIN_LOOKS; i++) {
			state = atomic_load_explicit(&ch->state, memory_order_acquire);
			if (state == CHANNEL_REPLY)
				return true;
			if (state != CHANNEL_REQUEST && state != CHANNEL_SERVING)
				return false;
			__builtin_ia32_pause();
		}
	} while (atomic_load_explicit(&ch->spin, memory_order_relaxed) &&
		 __builtin_ia32_rdtsc() - begin < patience);
	return false;
}

/* The head is written in one go: somebody may be looking at its cache line. */
static uint32_t post(struct channel *ch)
{
	const struct platform_regs *r = &ch->req.regs;
	uint32_t seq = ch->seq + 1;

	ch->seq = seq;
	ch->call.type = (uint8_t)ch->req.type;
	ch->call.flags = (uint8_t)ch->req.flags;
	ch->call.window_count = (uint16_t)ch->req.window_count;
	ch->call.nr = (uint32_t)r->rax; /* Linux looks at no more */
	ch->call.arg[0] = r->rdi;
	ch->call.arg[1] = r->rsi;
	ch->call.arg[2] = r->rdx;
	ch->call.arg[3] = r->r10;
	ch->call.arg[4] = r->r8;
	ch->call.arg[5] = r->r9;
	return seq;
}

static uint32_t slot_of(const struct channel *ch)
{
	return (uint32_t)(((uint64_t)ch - STUB_CHANNELS) / CHANNEL_STRIDE);
}

/* For the sentry, see notify/place.c. */
static uint32_t time_since(uint64_t then)
{
	uint64_t ticks = then ? __builtin_ia32_rdtsc() - then : 0;

	return ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks;
}

static void wait_for_reply(struct channel *ch)
{
	uint64_t value = post(ch) | (uint64_t)slot_of(ch) << 32;

	atomic_store_explicit(&ch->state, CHANNEL_REQUEST, memory_order_release);
	ch->fast.ran = time_since(ch->fast.woke);
	ch->fast.woke = 0;
	if (spin_for_reply(ch))
		return;
	for (;;) {
		stub_serve_copy(ch);
		if (atomic_load_explicit(&ch->state, memory_order_acquire) == CHANNEL_REPLY)
			break;
		if (stub_boot.ptrace)
			stub_stop();
		else
			ring(BELL_EVENT, value);
	}
	ch->fast.woke = __builtin_ia32_rdtsc();
}

static void note_kick(struct channel *ch)
{
	if (ch->result.flags & REPLY_KICK)
		atomic_store_explicit(&ch->fast.kicked, 1, memory_order_relaxed);
}

/* Hands the request to the sentry and returns when ch->result and ch->rep hold the reply. */
void stub_call_sentry(struct channel *ch)
{
	wait_for_reply(ch);
	note_kick(ch);
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
bool stub_write_back(struct channel *ch)
{
	const struct channel_result *res = &ch->result;
	const struct channel_writeback *backs = res->back_count == 1 ? &res->back : ch->rep.backs;
	const uint8_t *from = res->flags & REPLY_INLINE ? res->data : ch->window;
	uint32_t count = res->back_count;
	bool ok = true;

	for (uint32_t i = 0; i < count && i < CHANNEL_WINDOWS; i++)
		if (stub_copy((void *)backs[i].va, from + backs[i].offset, backs[i].size))
			ok = false;
	return ok;
}

/* Step 2: false, with the report filled in, if one failed. */
bool stub_do_memops(struct channel *ch, struct abi_ucontext *uc)
{
	uint32_t count = ch->result.flags & REPLY_MEMOPS ? ch->rep.memop_count : 0;

	if (stub_boot.ptrace && ch->rep.fd_count)
		stub_receive_for_memops(ch);
	for (uint32_t i = 0; i < count && i < PLATFORM_MEMOPS_MAX; i++) {
		int err = stub_memop(ch, &ch->memops[i], uc);

		if (err < 0) {
			report(ch, PREP_MEMOP, i, err, 0);
			return false;
		}
	}
	return true;
}

/* Step 3: negative errno, or 0 with *ret_value. */
static int do_order(struct channel *ch, uint32_t order, struct abi_ucontext *uc,
		    uint64_t *ret_value)
{
	const struct channel_reply *rep = &ch->rep;
	uint32_t old = 0;
	int err = 0;

	switch (order) {
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
	case CHANNEL_ORDER_RETURN:
		stub_go_to(ch->fast.lender);
	default:
		break;
	}
	return err;
}

/* Step 4. */
static void set_state(const struct channel *ch, struct abi_sigcontext *sc, bool efault)
{
	const struct channel_reply *rep = &ch->rep;
	uint32_t flags = ch->result.flags;

	if (flags & REPLY_SET_REGS)
		stub_set_regs(sc, &rep->regs);
	if (flags & REPLY_SET_RET)
		sc->ax = efault ? (uint64_t)STUB_EFAULT : (uint64_t)ch->result.ret;
	if (flags & REPLY_RESTART)
		sc->ip -= 2; /* the size of the syscall instruction; rax still holds the number */
	if (flags & REPLY_SET_FS_BASE)
		stub_set_fs_base(rep->fs_base);
}

static bool do_reply(struct channel *ch, struct abi_ucontext *uc);
static void serve(struct channel *ch, struct abi_ucontext *uc) __attribute__((noreturn));
static void go_on(struct channel *ch, struct abi_ucontext *uc) __attribute__((noreturn));

/*
 * From here on this host thread is that of another guest thread, whose first reply is in its
 * channel: it begins with a copy of our frame. Returns when it is ours again; then our own reply is
 * in our channel. (platform/lend.c)
 *
 * The other's first reply is carried out here, deep in our stack, which is still the alternate one
 * for the host: a fault meanwhile builds its frame further down, and not over ours. When we come
 * back it is the other's, where nothing is needed any more.
 */
static void lend(struct channel *ch, struct abi_ucontext *uc)
{
	uint32_t slot = ch->rep.clone_slot;
	struct channel *other = stub_channel(slot);
	uint64_t fs = stub_get_fs_base(), gs = stub_gs_get();
	struct abi_ucontext *theirs = stub_lend_frame(&ch->rep, uc);
	struct stub_place here;

	if (!theirs)
		stub_exit_process();
	other->fast.lender = &here;
	other->fast.stack_top = stub_stack_top(slot);
	atomic_store_explicit(&other->fast.kicked, 0, memory_order_relaxed);
	other->req.window_count = 0;
	if (!stub_mark_place(&here)) {
		stub_gs_init(other);
		note_kick(other);
		if (do_reply(other, theirs))
			go_on(other, theirs);
		serve(other, theirs);
	}
	stub_set_fs_base(fs);
	stub_gs_set(gs);
	note_kick(ch);
}

/* True: go on to guest code. False: stopped again, ch->req holds the report. */
static bool do_reply(struct channel *ch, struct abi_ucontext *uc)
{
	const struct channel_reply *rep = &ch->rep;
	uint32_t flags = ch->result.flags;
	uint32_t order = flags & REPLY_ORDER ? rep->order : PORD_NONE;
	bool efault;
	uint64_t value = 0;
	int err;

	if (order == CHANNEL_ORDER_LEND) {
		lend(ch, uc);
		return do_reply(ch, uc);
	}
	if (flags & REPLY_BEGIN)
		stub_begin(ch, uc);
	efault = !stub_write_back(ch);
	if (!stub_do_memops(ch, uc))
		return false;
	err = do_order(ch, order, uc, &value);
	if (err < 0) {
		report(ch, order == PORD_SIGRETURN ? PREP_FRAME : PREP_ORDER, 0, err, 0);
		return false;
	}
	set_state(ch, &uc->mcontext, efault);
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

/* A kick that came while the thread was on the fast path: true, and the request says so. */
static bool take_kick(struct channel *ch)
{
	if (!atomic_load_explicit(&ch->fast.kicked, memory_order_relaxed))
		return false;
	atomic_store_explicit(&ch->fast.kicked, 0, memory_order_relaxed);
	ch->req.type = PEV_KICKED;
	return true;
}

/* Serves requests until one is answered by going on. */
static void serve(struct channel *ch, struct abi_ucontext *uc)
{
	for (;;) {
		stub_get_regs(&uc->mcontext, &ch->req.regs);
		stub_call_sentry(ch);
		if (do_reply(ch, uc) && !take_kick(ch))
			stub_resume((struct abi_rt_sigframe *)((char *)uc - 8));
		ch->req.window_count = 0;
	}
}

static void go_on(struct channel *ch, struct abi_ucontext *uc)
{
	if (!take_kick(ch))
		stub_resume((struct abi_rt_sigframe *)((char *)uc - 8));
	ch->req.window_count = 0;
	serve(ch, uc);
}

/* The thread left the fast path by stub_fast_trap: its registers are in the channel. */
static void __attribute__((noreturn)) from_fast(struct channel *ch, struct abi_ucontext *uc)
{
	struct platform_regs regs = ch->req.regs;
	uint32_t stage = ch->fast.stage;

	stub_set_regs(&uc->mcontext, &regs);
	if (stage == FAST_RETURN || (stage == FAST_REPLY && do_reply(ch, uc)))
		go_on(ch, uc);
	ch->req.window_count = 0;
	if (stage == FAST_SIGRETURN) {
		if (stub_local_sigreturn(ch, &regs, uc))
			go_on(ch, uc);
		ch->req.type = PEV_CALL;
		ch->req.flags = REQUEST_FAST;
		stub_fill_windows(ch);
	}
	serve(ch, uc);
}

static void __attribute__((noreturn)) from_init(struct abi_ucontext *uc)
{
	struct platform_regs zero = {0};

	stub_initial_fp(uc);
	stub_set_regs(&uc->mcontext, &zero);
	stub_child(uc, stub_boot.token, true);
}

static bool fix_copy(struct abi_sigcontext *sc)
{
	for (const struct extable_entry *e = stub_extable; e < stub_extable_end; e++)
		if (sc->ip >= e->from && sc->ip < e->to) {
			sc->ip = e->fixup;
			return true;
		}
	return false;
}

/* A fault or trap inside the stub's own text. */
static void __attribute__((noreturn))
own_fault(struct channel *ch, int sig, struct abi_ucontext *uc)
{
	struct abi_sigcontext *sc = &uc->mcontext;

	if (sig == ABI_SIGILL && sc->ip == (uint64_t)stub_init_trap)
		from_init(uc);
	if (sig == ABI_SIGILL && sc->ip == (uint64_t)stub_fast_trap)
		from_fast(ch, uc);
	if (fix_copy(sc))
		stub_resume_own((struct abi_rt_sigframe *)((char *)uc - 8));
	if (sig == ABI_SIGTRAP && stub_fast_leaving(ch, sc))
		stub_resume((struct abi_rt_sigframe *)((char *)uc - 8));
	if (sig == ABI_SIGBUS && (sc->flags & RFLAGS_AC)) { /* the guest's alignment checks */
		sc->flags &= ~RFLAGS_AC;
		stub_resume_own((struct abi_rt_sigframe *)((char *)uc - 8));
	}
	stub_exit_process();
}

/* A kick. Returns if the thread was in guest code, or as good as there. */
static void kicked(struct channel *ch, struct abi_ucontext *uc, bool own)
{
	if (own && !stub_fast_kicked(ch, &uc->mcontext))
		stub_resume_own((struct abi_rt_sigframe *)((char *)uc - 8));
	atomic_store_explicit(&ch->fast.kicked, 0, memory_order_relaxed);
	ch->req.type = PEV_KICKED;
	ch->req.window_count = 0;
}

/* Out of the handler, onto the fast path, where kicks can come; the registers are in the channel.
 */
static void __attribute__((noreturn)) bounce(struct channel *ch, struct abi_ucontext *uc)
{
	struct abi_sigcontext *sc = &uc->mcontext;

	ch->fast.by_gs = stub_gs_ours(ch);
	sc->ip = (uint64_t)stub_fast_bounce;
	sc->sp = ch->fast.stack_top;
	sc->di = (uint64_t)ch;
	sc->flags &= ~(RFLAGS_AC | RFLAGS_DF | RFLAGS_TF);
	stub_resume_own((struct abi_rt_sigframe *)((char *)uc - 8));
}

/* A call by the guest's own instruction. Returns if it is the sentry's to serve. */
static void trapped(struct channel *ch, struct abi_ucontext *uc)
{
	struct platform_regs *regs = &ch->req.regs;

	stub_get_regs(&uc->mcontext, regs);
	if (stub_local_call(ch, regs)) {
		uc->mcontext.ax = regs->rax;
		if (!stub_boot.tell_sites || ++ch->fast.trapped % PLATFORM_SITE_EACH)
			go_on(ch, uc);
		ch->req.type = PEV_SITE;
		ch->req.window_count = 0;
		return;
	}
	if (stub_local_sigreturn(ch, regs, uc))
		go_on(ch, uc);
	if (stub_futex_waits(regs))
		bounce(ch, uc);
	ch->req.type = PEV_CALL;
	stub_fill_windows(ch);
	stub_save_inherited(ch, uc);
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

/* The tracer's way to make a stopped guest thread carry out a reply: it is in the channel. */
static void __attribute__((noreturn)) ordered(struct channel *ch, struct abi_ucontext *uc)
{
	bool done = do_reply(ch, uc);

	ch->req.window_count = 0;
	if (done)
		stub_resume((struct abi_rt_sigframe *)((char *)uc - 8));
	serve(ch, uc);
}

void stub_handler(int sig, struct abi_siginfo *info, struct abi_ucontext *uc)
{
	struct channel *ch = stub_channel(stub_slot(uc));
	struct abi_sigcontext *sc = &uc->mcontext;
	bool own = sc->ip - (uint64_t)stub_text_begin < STUB_TEXT_MAX;

	if (own && sig != STUB_KICK_SIGNAL)
		own_fault(ch, sig, uc);
	ch->req.flags = 0;
	if (stub_boot.ptrace && sig == STUB_KICK_SIGNAL)
		ordered(ch, uc);
	if (sig == ABI_SIGSYS)
		trapped(ch, uc);
	else if (sig == STUB_KICK_SIGNAL)
		kicked(ch, uc, own);
	else
		fill_fault(ch, sig, info, sc);
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

/* The answer to HELLO is the descriptor, or the first reply. */
static void say_hello(struct channel *ch, uint64_t token, bool forked)
{
	long r;

	do {
		r = ring(BELL_HELLO, token);
	} while (r < 0 || (forked && r != STUB_CHANNEL_FD));
	if (forked)
		map_channels(r);
	for (;;) {
		stub_serve_copy(ch);
		if (atomic_load_explicit(&ch->state, memory_order_acquire) == CHANNEL_REPLY)
			break;
		ring(BELL_HELLO, token);
	}
}

/* The tracer knows who this is; it needs no token. */
static void appear_to_tracer(struct channel *ch, bool forked)
{
	int fd = -1;

	if (forked) {
		stub_receive_fds(&fd, 1);
		map_channels(fd);
	}
	do {
		stub_stop();
	} while (atomic_load_explicit(&ch->state, memory_order_acquire) != CHANNEL_REPLY);
}

/*
 * A new thread. It reports to the sentry before anything else; its first reply is in the channel
 * when the bell is answered.
 */
void stub_child(struct abi_ucontext *uc, uint64_t token, bool forked)
{
	struct channel *ch = stub_channel(stub_slot(uc));

	stub_gs_init(ch);
	if (stub_boot.ptrace)
		appear_to_tracer(ch, forked);
	else
		say_hello(ch, token, forked);
	ch->fast.stack_top = stub_stack_top(stub_slot(uc));
	atomic_store_explicit(&ch->fast.kicked, (ch->result.flags & REPLY_KICK) != 0,
			      memory_order_relaxed);
	ch->req.window_count = 0;
	if (do_reply(ch, uc))
		go_on(ch, uc);
	serve(ch, uc);
}
