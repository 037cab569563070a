/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The copy plan of a system call: which of its arguments are guest buffers, so that the stub can
 * copy them into windows of the channel before it asks the sentry, and copy back what the sentry
 * wrote. The table is made from syscalls/table.h (syscalls/copyplan.h) and given to the platform at
 * its start, indexed by call number; it is plain data that freestanding code can read.
 *
 * A plan is a hint, never a promise: a window may be missing or shorter than the buffer (no room, a
 * null pointer, a fault on the way); the sentry reaches what no window covers by other means. So
 * sizes are upper bounds:
 *
 *	IN, INOUT	covers the bytes up to the first one that can't be read.
 *	OUT		reserves room; nothing is read. Only what the sentry wrote is copied back.
 *	CSTR		a NUL-terminated string, covered with its NUL; at most `size` bytes.
 *	IOV_IN, IOV_OUT	an array of struct iovec, covered as with IN; a stub may then make windows
 *			for the buffers that it names, as IN or as OUT, while there is room.
 *
 * Size of a window in bytes: `size` if size_arg is COPYWIN_FIXED; else argument size_arg (as an
 * unsigned 64-bit number, computed without overflow) times `size`; or, if `size` is COPYWIN_BITS,
 * the argument counts bits (an int; none if negative), rounded up to whole 64-bit words.
 */
#ifndef PLATFORM_COPYPLAN_H
#define PLATFORM_COPYPLAN_H

#include <stdint.h>

enum copywin_kind {
	COPYWIN_NONE,
	COPYWIN_IN,
	COPYWIN_OUT,
	COPYWIN_INOUT,
	COPYWIN_CSTR,
	COPYWIN_IOV_IN,
	COPYWIN_IOV_OUT,
};

#define COPYWIN_FIXED	 0xff
#define COPYWIN_BITS	 0
#define COPYPLAN_WINDOWS 5

struct copywin {
	uint8_t arg;  /* 0..5: the argument that is the address */
	uint8_t kind; /* enum copywin_kind */
	uint8_t size_arg;
	uint8_t reserved;
	uint16_t size;
};

struct copyplan {
	uint8_t count;
	uint8_t reserved;
	struct copywin win[COPYPLAN_WINDOWS];
};

_Static_assert(sizeof(struct copyplan) == 32, "two plans a cache line");

#endif
