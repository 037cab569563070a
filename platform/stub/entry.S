/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stub's assembly: start, host calls, the way back to the guest, copying that survives faults.
 *
 * Exception table: a fault whose instruction lies in [from, to) continues at `fixup`
 * (main.c: own_fault). Registers stay as they were.
 */
#include "platform/stub/layout.h"

	.macro	EXTABLE from, to, fixup
	.pushsection .rodata.extable, "a"
	.quad	\from, \to, \fixup
	.popsection
	.endm

	.text
	.macro	FUNC name
	.globl	\name
	.hidden	\name
	.type	\name, @function
	.balign	16
\name:
	.endm

/* Entry of the ELF image, on the stack that the host kernel built. */
FUNC stub_start
	xor	%ebp, %ebp
	mov	%rsp, %rdi
	and	$-16, %rsp
	call	stub_init
	ud2

/* void stub_init_on(uint64_t arg, uint64_t stack_top): goes on with stub_init_late(arg) there. */
FUNC stub_init_on
	mov	%rsi, %rsp
	xor	%ebp, %ebp
	call	stub_init_late
	ud2

/* Raises the signal whose frame becomes the zygote's register state (init.c). */
FUNC stub_init_trap
	ud2

/* long stub_syscall6(long nr, a0, a1, a2, a3, a4, a5 on the stack) */
FUNC stub_syscall6
	mov	%rdi, %rax
	mov	%rsi, %rdi
	mov	%rdx, %rsi
	mov	%rcx, %rdx
	mov	%r8, %r10
	mov	%r9, %r8
	mov	8(%rsp), %r9
	syscall
	ret

/* void stub_stop(void): stops for the tracer, which lets it go on when there is a reply. */
FUNC stub_stop
	int3
	ret

/* void stub_resume_own(struct abi_rt_sigframe *frame): back to the stub's own code. */
FUNC stub_resume_own
	lea	8(%rdi), %rsp
	mov	$STUB_RETURN_NESTED, %edi
	jmp	stub_restorer

/* void stub_resume(struct abi_rt_sigframe *frame): back to the guest that the frame holds. */
FUNC stub_resume
	lea	8(%rdi), %rsp
	mov	$STUB_RETURN_GUEST, %edi
	/* falls through */

/* The restorer of every handler. */
FUNC stub_restorer
	mov	$15, %eax
	syscall
	ud2

/*
 * long stub_clone(flags, child_stack, ctid, child_ucontext, token): in the parent the host's
 * result; the child goes to stub_child(child_ucontext, token, forked = !child_stack).
 */
FUNC stub_clone
	push	%rbx
	push	%r12
	push	%r13
	mov	%rcx, %rbx
	mov	%r8, %r12
	mov	%rsi, %r13
	mov	%rdx, %r10
	xor	%edx, %edx
	xor	%r8d, %r8d
	mov	$56, %eax
	syscall
	test	%rax, %rax
	jz	1f
	pop	%r13
	pop	%r12
	pop	%rbx
	ret
1:	xor	%ebp, %ebp
	and	$-16, %rsp
	mov	%rbx, %rdi
	mov	%r12, %rsi
	xor	%edx, %edx
	test	%r13, %r13
	setz	%dl
	call	stub_child
	ud2

/* uint64_t stub_copy(void *dst, const void *src, uint64_t size): how many bytes are left. */
FUNC stub_copy
	mov	%rdx, %rcx
.Lcopy:	rep movsb
.Lcopy_end:
	mov	%rcx, %rax
	ret
	EXTABLE	.Lcopy, .Lcopy_end, .Lcopy_end

/* uint64_t stub_zero(void *dst, uint64_t size): how many bytes are left. */
FUNC stub_zero
	mov	%rsi, %rcx
	xor	%eax, %eax
.Lzero:	rep stosb
.Lzero_end:
	mov	%rcx, %rax
	ret
	EXTABLE	.Lzero, .Lzero_end, .Lzero_end

/* The compiler's own calls, for copying structures. */
FUNC memcpy
	mov	%rdi, %rax
	mov	%rdx, %rcx
	rep movsb
	ret

FUNC memset
	mov	%rdi, %r8
	mov	%esi, %eax
	mov	%rdx, %rcx
	rep stosb
	mov	%r8, %rax
	ret

/*
 * uint64_t stub_copy_string(char *dst, const char *src, uint64_t max): bytes copied, with the NUL
 * if there was one; stops at a fault.
 */
FUNC stub_copy_string
	xor	%eax, %eax
1:	cmp	%rdx, %rax
	jae	2f
.Lstr:	movzbl	(%rsi,%rax), %ecx
.Lstr_end:
	mov	%cl, (%rdi,%rax)
	inc	%rax
	test	%cl, %cl
	jnz	1b
2:	ret
	EXTABLE	.Lstr, .Lstr_end, 2b

/* int stub_load32(const uint32_t *p, uint32_t *ret_value): 0 or -EFAULT. */
FUNC stub_load32
.Lload:	mov	(%rdi), %ecx
.Lload_end:
	mov	%ecx, (%rsi)
	xor	%eax, %eax
	ret
	EXTABLE	.Lload, .Lload_end, stub_efault

/*
 * int stub_cmpxchg32(uint32_t *p, uint32_t expected, uint32_t value, uint32_t *ret_old): 0 or
 * -EFAULT.
 */
FUNC stub_cmpxchg32
	mov	%rcx, %r8
	mov	%esi, %eax
.Lxchg:	lock cmpxchg %edx, (%rdi)
.Lxchg_end:
	mov	%eax, (%r8)
	xor	%eax, %eax
	ret
	EXTABLE	.Lxchg, .Lxchg_end, stub_efault

FUNC stub_efault
	mov	$-14, %eax
	ret

/* int stub_mark_place(struct stub_place *place); void stub_go_to(const struct stub_place *place) */
FUNC stub_mark_place
	mov	%rbx, (%rdi)
	mov	%rbp, 8(%rdi)
	mov	%r12, 16(%rdi)
	mov	%r13, 24(%rdi)
	mov	%r14, 32(%rdi)
	mov	%r15, 40(%rdi)
	lea	8(%rsp), %rax
	mov	%rax, 48(%rdi)
	mov	(%rsp), %rax
	mov	%rax, 56(%rdi)
	xor	%eax, %eax
	ret

FUNC stub_go_to
	mov	(%rdi), %rbx
	mov	8(%rdi), %rbp
	mov	16(%rdi), %r12
	mov	24(%rdi), %r13
	mov	32(%rdi), %r14
	mov	40(%rdi), %r15
	mov	48(%rdi), %rsp
	mov	$1, %eax
	jmp	*56(%rdi)

FUNC stub_wrfsbase
	wrfsbase %rdi
	ret

FUNC stub_rdfsbase
	rdfsbase %rax
	ret

FUNC stub_wrgsbase
	wrgsbase %rdi
	ret

FUNC stub_rdgsbase
	rdgsbase %rax
	ret

	/* The boot block: the sentry fills it in the ELF image (notify/zygote.c). */
	.section .boot, "a", @progbits
	.globl	stub_boot
	.hidden	stub_boot
	.balign	4096
stub_boot:
	.zero	0x6000

	.section .note.GNU-stack, "", @progbits
