/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where rewritten call sites get in and out (layout.h has the registers; fast.c has the theory).
 *
 * Until rflags are saved no instruction may change them, and until gs is known to point at this
 * slot's channel nothing may be written anywhere. So the test for "the upper half of gs is that of
 * the channels" is made of instructions that leave flags alone: reverse the bytes (the upper half
 * comes to lie in the low 32 bits, reversed), add what makes exactly that value zero, jrcxz. No
 * guest memory lies there, so a gs base that passes is one that the stub has set.
 *
 * Calls to which the sentry has left an answer are done without saving anything, by instructions of
 * that kind alone: popfq would take longer than all the rest. Up to stub_answer_known a thread that
 * is stopped here can begin again at the call's instruction; behind it only the return is left
 * (fast.c: stub_fast_leaving).
 */
#include "platform/stub/layout.h"

#define R15    CHANNEL_REG(0)
#define R14    CHANNEL_REG(1)
#define R13    CHANNEL_REG(2)
#define R12    CHANNEL_REG(3)
#define RBP    CHANNEL_REG(4)
#define RBX    CHANNEL_REG(5)
#define R11    CHANNEL_REG(6)
#define R10    CHANNEL_REG(7)
#define R9     CHANNEL_REG(8)
#define R8     CHANNEL_REG(9)
#define RAX    CHANNEL_REG(10)
#define RCX    CHANNEL_REG(11)
#define RDX    CHANNEL_REG(12)
#define RSI    CHANNEL_REG(13)
#define RDI    CHANNEL_REG(14)
#define RIP    CHANNEL_REG(16)
#define RFLAGS CHANNEL_REG(17)
#define RSP    CHANNEL_REG(18)

#define RFLAGS_AC     0x40000
/* What makes the reversed bytes of STUB_CHANNELS_HI (0x00007fff: 0xff7f0000) zero. */
#define HI_COMPLEMENT 0x810000

	.macro	FUNC name
	.globl	\name
	.hidden	\name
	.type	\name, @function
\name:
	.endm

	.section .text.fast, "ax", @progbits
FUNC stub_fast_entry
	mov	%rcx, %r11
.Lgs:	rdgsbase %rcx
.Lgs_end:
	bswap	%rcx
	lea	HI_COMPLEMENT(%rcx), %ecx
	jrcxz	.Lours
FUNC stub_fast_fallback
	lea	-2(%r11), %r11
FUNC stub_fast_fallback_jump
	jmp	*%r11
	/* Where the instruction is switched off it faults: SIGILL. */
	.pushsection .rodata.extable, "a"
	.quad	.Lgs, .Lgs_end, stub_fast_fallback
	.popsection

	.balign	16
.Lours:
	movzbl	%al, %ecx
	not	%rcx
	lea	1(%rax,%rcx), %rcx /* the number but for its low byte */
	jrcxz	.Lsmall
	jmp	stub_fast_save
.Lsmall:
	lea	stub_boot(%rip), %rcx
	movzbl	(%rcx,%rax), %ecx
	mov	%gs:CHANNEL_ANSWERS(,%rcx,8), %rcx
	jrcxz	stub_fast_save
	lea	-1(%rcx), %rax
FUNC stub_answer_known
	mov	%r11, %rcx
	jmp	*%rcx

	.balign	16
FUNC stub_fast_save
	mov	%rsp, %gs:RSP
	mov	%gs:CHANNEL_STACK_TOP, %rsp
	pushfq
	popq	%gs:RFLAGS
	mov	%r11, %gs:RIP
	mov	%r11, %gs:RCX
	mov	%rax, %gs:RAX
	mov	%rdi, %gs:RDI
	mov	%rsi, %gs:RSI
	mov	%rdx, %gs:RDX
	mov	%r10, %gs:R10
	mov	%r8, %gs:R8
	mov	%r9, %gs:R9
	mov	%rbx, %gs:RBX
	mov	%rbp, %gs:RBP
	mov	%r12, %gs:R12
	mov	%r13, %gs:R13
	mov	%r14, %gs:R14
	mov	%r15, %gs:R15
	mov	%gs:RFLAGS, %r11
	mov	%r11, %gs:R11
	rdgsbase %rdi
	cld
	test	$RFLAGS_AC, %r11d
	jnz	.Lclear_ac
.Lcall:	call	stub_fast_call
	test	%eax, %eax
	jnz	stub_fast_trap
	/* falls through */

/*
 * Back to what the channel's copy of the registers says. A kick between here and the end finds all
 * of it in the channel still, and so can be taken for one at the return address (fast.c).
 */
FUNC stub_fast_exit
	cmpl	$0, %gs:CHANNEL_KICKED
	jne	stub_fast_trap
	mov	%gs:R15, %r15
	mov	%gs:R14, %r14
	mov	%gs:R13, %r13
	mov	%gs:R12, %r12
	mov	%gs:RBP, %rbp
	mov	%gs:RBX, %rbx
	mov	%gs:R10, %r10
	mov	%gs:R9, %r9
	mov	%gs:R8, %r8
	mov	%gs:RAX, %rax
	mov	%gs:RCX, %rcx
	mov	%gs:RDX, %rdx
	mov	%gs:RSI, %rsi
	mov	%gs:RDI, %rdi
	mov	%gs:R11, %r11
	pushq	%gs:RFLAGS
	popfq
	mov	%gs:RSP, %rsp
	jmp	*%gs:RIP
FUNC stub_fast_exit_end

/* Into the handler, which finds in channel.fast.stage what is to be done. */
FUNC stub_fast_trap
	ud2

.Lclear_ac:
	pushfq
	andl	$~RFLAGS_AC, (%rsp)
	popfq
	jmp	.Lcall

/*
 * The fast path for a thread that came by a trap: rdi is its channel, rsp the slot's stack; the
 * handler has saved the registers.
 */
FUNC stub_fast_bounce
	mov	%rdi, %rbx
	call	stub_fast_call
	test	%eax, %eax
	jnz	stub_fast_trap
	cmpl	$0, CHANNEL_BY_GS(%rbx)
	jne	stub_fast_exit
	jmp	stub_fast_trap

/*
 * long stub_wait(_Atomic uint32_t *kicked, const uint64_t call[7]): a host call that may sleep, as
 * number and arguments. -EINTR, at once, if a kick has come; a kick between the look and the call
 * makes the handler go to stub_wait_abort.
 */
FUNC stub_wait
	mov	%rdi, %rcx
	mov	%rsi, %rax
	mov	8(%rax), %rdi
	mov	16(%rax), %rsi
	mov	24(%rax), %rdx
	mov	32(%rax), %r10
	mov	40(%rax), %r8
	mov	48(%rax), %r9
	mov	(%rax), %eax
FUNC stub_wait_begin
	cmpl	$0, (%rcx)
	jne	stub_wait_abort
	syscall
FUNC stub_wait_end
	ret
FUNC stub_wait_abort
	mov	$-4, %rax
	ret

	.section .note.GNU-stack, "", @progbits
