/* SPDX-License-Identifier: Apache-2.0 */
/* Where rewritten call sites get in; the registers there are described in layout.h. */
	.section .text.fast, "ax", @progbits
	.globl	stub_fast_entry
	.hidden	stub_fast_entry
	.type	stub_fast_entry, @function
stub_fast_entry:
	lea	-2(%rcx), %r11
	jmp	*%r11

	.section .note.GNU-stack, "", @progbits
