/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/stub_image.h"

__asm__(".pushsection .rodata.stub_image, \"a\"\n"
	".balign 64\n"
	".globl stub_image_begin, stub_image_end\n"
	"stub_image_begin: .incbin \"" STUB_ELF "\"\n"
	"stub_image_end: .byte 0\n"
	".popsection\n");
