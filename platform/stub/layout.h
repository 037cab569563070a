/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where things lie in the stub region of every guest address space, above PLATFORM_GUEST_MAX:
 *
 *	STUB_TEXT	the stub's code and constants, read and execute, from the stub's ELF file
 *	STUB_BOOT	struct stub_boot: written by the sentry into the ELF image, read-only
 *	STUB_VDSO	the host's vDSO, until MEMOP_VDSO moves it to where the guest is to see it
 *	STUB_STACKS	one stride a slot: the lower half unmapped (guard), the upper half the stack
 *	STUB_LEASES	one stride (PLATFORM_LEASE_SIZE) a lease: files that are read all the time
 *	STUB_CHANNELS	one stride a slot: struct channel. A single mapping of the address space's
 *			channel file covers all slots, so a thread needs no mapping of its own and
 *			a fork's child just one; pages exist only once touched.
 *
 * A thread's slot is the index of the stack it runs its signal handlers on; nothing else tells it
 * (the guest may change gs, but not where the kernel builds signal frames, but for ending itself).
 */
/*
 * STUB_FAST_ENTRY, where a rewritten call site gets in (fast.S), is the first byte of the text. On
 * entry
 *
 *	rax	the call's number
 *	rcx	the address behind the guest's `syscall` instruction: the two bytes are still there
 *	r11	anything: it is the native call's to overwrite, as rcx is
 *	others	the guest's: arguments, rsp (nothing below it may be touched), rflags, FP state
 *
 * On return everything is as after a native call: the result in rax, rcx as it was, and rip = rcx;
 * r11 holds rflags, or, if the stub knew the answer by itself, rcx. When the stub can't, or may
 * not, serve the call it jumps to rcx - 2, and the instruction there traps: that is always right.
 */
#ifndef PLATFORM_STUB_LAYOUT_H
#define PLATFORM_STUB_LAYOUT_H

#define STUB_REGION_HI	  0x7ffe /* the upper half of every address of text: see filter.c */
#define STUB_TEXT	  0x7ffe00000000
#define STUB_TEXT_MAX	  0x10000
#define STUB_FAST_ENTRY	  STUB_TEXT
#define STUB_BOOT	  0x7ffe00100000
#define STUB_VDSO	  0x7ffe00800000
#define STUB_STACKS	  0x7ffe10000000
#define STUB_STACK_STRIDE 0x10000
#define STUB_STACK_SIZE	  0x8000
#define STUB_LEASES	  0x7ffe90000000
#define STUB_CHANNELS	  0x7fff00000000 /* all share the upper half: fast.S looks at that */
#define STUB_CHANNELS_HI  0x7fff
#define STUB_REGION_END	  0x7ffffffff000
#define STUB_SLOTS	  32000
#define STUB_KICK_SIGNAL  23 /* SIGURG: coalesces, and does no harm before it has a handler */
/* The ptrace platform: first argument of the stub's rt_sigreturn, the socket for descriptors. */
#define STUB_RETURN_GUEST  0
#define STUB_RETURN_NESTED 1
#define STUB_SOCKET	   0
/* What a new process's channel file is called there. Not 0: a bell whose answer was lost gives
 * that; and out of the way of those that the first reply hands in. */
#define STUB_CHANNEL_FD 63    /* a descriptor table of 64 comes with every process */
#define STUB_DOORBELL	0x7d0 /* not a call of any kernel; arguments: enum bell, value */

/* Offsets in struct channel, for assembly. */
#define CHANNEL_FAST	    128 /* struct channel_fast */
#define CHANNEL_STACK_TOP   (CHANNEL_FAST + 0)
#define CHANNEL_KICKED	    (CHANNEL_FAST + 8)
#define CHANNEL_BY_GS	    (CHANNEL_FAST + 16)
#define CHANNEL_REGS	    328 /* req.regs */
#define CHANNEL_REG(number) (CHANNEL_REGS + 8 * (number))
#define CHANNEL_ANSWERS	    192

#endif
