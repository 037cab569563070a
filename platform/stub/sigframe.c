/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest signal frames, as arch/x86/kernel/signal_64.c and fpu/signal.c of Linux lay them out, so
 * that unwinders, Go and the JVM find what they expect. The source of the register and FP state is
 * the host's own frame on the slot's stack, which has the very same form.
 */
#include "platform/stub/stub.h"

/* Flags that rt_sigreturn takes from the frame: AC OF DF TF SF ZF AF PF CF RF (FIX_EFLAGS). */
#define RFLAGS_USER    0x50dd5ul
#define RFLAGS_HANDLER 0x10500ul /* cleared for a handler: RF DF TF */
#define GUEST_CS       0x33
#define GUEST_SS       0x2b

void stub_get_regs(const struct abi_sigcontext *sc, struct platform_regs *r)
{
	r->r15 = sc->r15;
	r->r14 = sc->r14;
	r->r13 = sc->r13;
	r->r12 = sc->r12;
	r->rbp = sc->bp;
	r->rbx = sc->bx;
	r->r11 = sc->r11;
	r->r10 = sc->r10;
	r->r9 = sc->r9;
	r->r8 = sc->r8;
	r->rax = sc->ax;
	r->rcx = sc->cx;
	r->rdx = sc->dx;
	r->rsi = sc->si;
	r->rdi = sc->di;
	r->orig_rax = sc->ax;
	r->rip = sc->ip;
	r->rflags = sc->flags;
	r->rsp = sc->sp;
}

void stub_set_regs(struct abi_sigcontext *sc, const struct platform_regs *r)
{
	sc->r15 = r->r15;
	sc->r14 = r->r14;
	sc->r13 = r->r13;
	sc->r12 = r->r12;
	sc->bp = r->rbp;
	sc->bx = r->rbx;
	sc->r11 = r->r11;
	sc->r10 = r->r10;
	sc->r9 = r->r9;
	sc->r8 = r->r8;
	sc->ax = r->rax;
	sc->cx = r->rcx;
	sc->dx = r->rdx;
	sc->si = r->rsi;
	sc->di = r->rdi;
	sc->ip = r->rip;
	sc->flags = (sc->flags & ~RFLAGS_USER) | (r->rflags & RFLAGS_USER);
	sc->sp = r->rsp;
}

static struct abi_fpx_sw_bytes *sw_bytes(void *fp)
{
	return (struct abi_fpx_sw_bytes *)((uint8_t *)fp + ABI_FPX_SW_OFFSET);
}

/* Size of the FP area of the host's frame, with magic2. */
static uint32_t fp_size(const struct abi_ucontext *uc)
{
	struct abi_fpx_sw_bytes *sw;

	if (!uc->mcontext.fpstate)
		return 0;
	sw = sw_bytes((void *)uc->mcontext.fpstate);
	return sw->magic1 == ABI_FP_XSTATE_MAGIC1 ? sw->extended_size : ABI_FXSAVE_SIZE;
}

static void fill_ucontext(struct abi_ucontext *to, const struct platform_sigframe *f,
			  const struct abi_ucontext *uc, uint64_t fp)
{
	to->flags =
	    uc->flags & (ABI_UC_FP_XSTATE | ABI_UC_SIGCONTEXT_SS | ABI_UC_STRICT_RESTORE_SS);
	to->link = 0;
	to->stack.sp = f->altstack_sp;
	to->stack.flags = f->altstack_flags;
	to->stack.pad = 0;
	to->stack.size = f->altstack_size;
	to->mcontext = uc->mcontext;
	to->mcontext.err = f->error_code;
	to->mcontext.trapno = f->trapno;
	to->mcontext.oldmask = f->sigmask;
	to->mcontext.cr2 = f->cr2;
	to->mcontext.fpstate = fp;
	to->sigmask = f->sigmask;
}

/* The FP state of a new program, and no bytes left of the old one's. Where the frame ends. */
uint64_t stub_scrub_fp(struct abi_ucontext *uc)
{
	uint8_t *fp = (uint8_t *)uc->mcontext.fpstate;
	uint32_t size = fp_size(uc), from = ABI_FXSAVE_SIZE + 64; /* behind the XSAVE header */

	if (size > from + 4)
		stub_zero(fp + from, size - 4 - from);
	stub_initial_fp(uc);
	return size ? (uint64_t)fp + size : (uint64_t)(uc + 1) + sizeof(struct abi_siginfo);
}

/* Pushes the frame, then makes uc the state in which the handler begins. */
int stub_push_frame(const struct platform_sigframe *f, struct abi_ucontext *uc)
{
	struct abi_sigcontext *sc = &uc->mcontext;
	uint32_t size = fp_size(uc);
	uint64_t fp = size ? (f->stack_top - size) & ~63ul : 0;
	uint64_t sp = (((size ? fp : f->stack_top) - sizeof(struct abi_rt_sigframe)) & ~15ul) - 8;
	struct abi_rt_sigframe frame;

	frame.pretcode = f->restorer;
	fill_ucontext(&frame.uc, f, uc, fp);
	stub_copy(&frame.info, f->siginfo, sizeof(frame.info));
	if (sp >= STUB_TEXT || sp <= f->stack_low ||
	    (size && stub_copy((void *)fp, (void *)sc->fpstate, size)) ||
	    stub_copy((void *)sp, &frame, sizeof(frame)))
		return STUB_EFAULT;
	stub_initial_fp(uc);
	sc->di = (uint64_t)f->signo;
	sc->si = sp + offsetof(struct abi_rt_sigframe, info);
	sc->dx = sp + offsetof(struct abi_rt_sigframe, uc);
	sc->ax = 0;
	sc->ip = f->handler;
	sc->sp = sp;
	sc->flags &= ~RFLAGS_HANDLER;
	return 0;
}

/* The guest's FP area into the host's frame, whose own form the host kernel checks. */
static int pop_fp(uint64_t guest_fp, struct abi_ucontext *uc)
{
	uint8_t *own = (uint8_t *)uc->mcontext.fpstate;
	uint32_t size = fp_size(uc), magic2 = 0;
	struct abi_fpx_sw_bytes sw;

	if (!own)
		return 0;
	if (!guest_fp) {
		stub_initial_fp(uc);
		return 0;
	}
	if (stub_copy(&sw, (void *)(guest_fp + ABI_FPX_SW_OFFSET), sizeof(sw)) ||
	    stub_copy(own, (void *)guest_fp, ABI_FPX_SW_OFFSET))
		return STUB_EFAULT;
	if (size == ABI_FXSAVE_SIZE)
		return 0;
	if (sw.magic1 == ABI_FP_XSTATE_MAGIC1 && sw.extended_size == size &&
	    !stub_copy(&magic2, (void *)(guest_fp + size - 4), 4) && magic2 == ABI_FP_XSTATE_MAGIC2)
		return stub_copy(own + ABI_FXSAVE_SIZE, (void *)(guest_fp + ABI_FXSAVE_SIZE),
				 size - ABI_FXSAVE_SIZE)
			   ? STUB_EFAULT
			   : 0;
	/* Only the legacy state: x87 and SSE. Rights to protection keys stay. */
	*(uint64_t *)(own + ABI_FXSAVE_SIZE) &= ABI_XFEATURE_PKRU;
	*(uint64_t *)(own + ABI_FXSAVE_SIZE) |= 3;
	return 0;
}

/* Takes the frame down whose ucontext is at guest_uc: uc becomes what it holds. */
int stub_pop_frame(uint64_t guest_uc, struct abi_ucontext *uc)
{
	struct abi_sigcontext *sc = &uc->mcontext, from;
	uint64_t fpstate = sc->fpstate, flags = sc->flags;

	if (guest_uc >= STUB_TEXT ||
	    stub_copy(&from, (void *)(guest_uc + offsetof(struct abi_ucontext, mcontext)),
		      sizeof(from)) ||
	    pop_fp(from.fpstate, uc))
		return STUB_EFAULT;
	*sc = from;
	sc->fpstate = fpstate;
	sc->flags = (flags & ~RFLAGS_USER) | (from.flags & RFLAGS_USER);
	sc->cs = GUEST_CS;
	sc->ss = GUEST_SS;
	sc->gs = sc->fs = 0;
	return 0;
}
