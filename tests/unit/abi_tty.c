/* SPDX-License-Identifier: Apache-2.0 */
/* abi/tty.h against the kernel's headers, with which the C library's can't be included. */
#include <stddef.h>
#include <stdint.h>

#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/nsfs.h>
#include <linux/tty.h>

#include "abi/tty.h"

#define SAME(name) _Static_assert((long long)(ABI_##name) == (long long)(name), #name)
#include "abi_tty_names.h"

#define SIZE(ours, theirs) _Static_assert(sizeof(ours) == sizeof(theirs), "size of " #ours)
#define FIELD(ours, f, theirs, g)                                                                  \
	_Static_assert(offsetof(ours, f) == offsetof(theirs, g), "offset of " #f)

SIZE(struct abi_termios, struct termios);
SIZE(struct abi_termios2, struct termios2);
FIELD(struct abi_termios, line, struct termios, c_line);
FIELD(struct abi_termios, cc, struct termios, c_cc);
FIELD(struct abi_termios2, ispeed, struct termios2, c_ispeed);
FIELD(struct abi_termios2, ospeed, struct termios2, c_ospeed);
