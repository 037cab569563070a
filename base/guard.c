/* SPDX-License-Identifier: Apache-2.0 */
#include "base/guard.h"

/*
 * A string move keeps its registers true at every step: where it faults, rcx says how much is left.
 * Behind it everything is as after a move that ended there.
 */
__asm__(".text\n"
	".p2align 4\n"
	".globl guarded_copy\n"
	".type guarded_copy, @function\n"
	"guarded_copy:\n"
	"	mov %rdx, %rcx\n"
	"	mov %rdx, %rax\n"
	"guarded_move:\n"
	"	rep movsb\n"
	"guarded_moved:\n"
	"	sub %rcx, %rax\n"
	"	ret\n"
	".size guarded_copy, . - guarded_copy\n");

extern const char guarded_move[], guarded_moved[];

bool guard_fixup(uint64_t *ip)
{
	if (*ip != (uint64_t)(uintptr_t)guarded_move)
		return false;
	*ip = (uint64_t)(uintptr_t)guarded_moved;
	return true;
}
