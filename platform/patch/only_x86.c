/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capstone knows eleven architectures besides ours. The linker finds their entry points here and
 * leaves the rest of them in the archive: with them runsc would be 5 MB larger, and its start would
 * write 1.4 MB of tables of pointers (84,000 relocations, 1.5 ms; a third of an idle sandbox's
 * memory).
 */
#include <capstone/capstone.h>

#include "base/compiler.h"

/* What capstone's cs.c declares in a header of each architecture. */
#define ABSENT(arch)                                                                               \
	cs_err arch##_global_init(void *ud);                                                       \
	cs_err arch##_option(void *handle, cs_opt_type type, size_t value);                        \
	cs_err arch##_global_init(void *ud)                                                        \
	{                                                                                          \
		(void)ud;                                                                          \
		return CS_ERR_ARCH;                                                                \
	}                                                                                          \
	cs_err arch##_option(void *handle, cs_opt_type type, size_t value)                         \
	{                                                                                          \
		(void)handle;                                                                      \
		(void)type;                                                                        \
		(void)value;                                                                       \
		return CS_ERR_ARCH;                                                                \
	}

ABSENT(ARM)
ABSENT(AArch64)
ABSENT(EVM)
ABSENT(M680X)
ABSENT(M68K)
ABSENT(Mips)
ABSENT(PPC)
ABSENT(Sparc)
ABSENT(SystemZ)
ABSENT(TMS320C64x)
ABSENT(XCore)
