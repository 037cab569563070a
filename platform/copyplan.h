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
 *	MSG_IN, MSG_OUT	a struct msghdr, as IN or INOUT; then its array of buffers as with IOV_x,
 *			and its name and control data as IN or OUT.
 *
 * Size of a window in bytes: `size` if size_arg is COPYWIN_FIXED; else argument size_arg (as an
 * unsigned 64-bit number, computed without overflow) times `size`; or, if `size` is COPYWIN_BITS,
 * the argument counts bits (an int; none if negative), rounded up to whole 64-bit words.
 *
 * Some calls have a buffer only for some commands, and a plain number in its place for others: such
 * a window names a condition (enum copywin_when), so that nobody copies from a number.
 */
#ifndef PLATFORM_COPYPLAN_H
#define PLATFORM_COPYPLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/fcntl.h"
#include "abi/prctl.h"

enum copywin_kind {
	COPYWIN_NONE,
	COPYWIN_IN,
	COPYWIN_OUT,
	COPYWIN_INOUT,
	COPYWIN_CSTR,
	COPYWIN_IOV_IN,
	COPYWIN_IOV_OUT,
	COPYWIN_MSG_IN,
	COPYWIN_MSG_OUT,
};

enum copywin_when {
	COPYWIN_ALWAYS,
	COPYWIN_FCNTL_LOCK,  /* fcntl: a struct flock */
	COPYWIN_PRCTL_VALUE, /* prctl: a name, or where a value goes */
};

#define COPYWIN_FIXED	 0xff
#define COPYWIN_BITS	 0
#define COPYPLAN_WINDOWS 5

struct copywin {
	uint8_t arg;  /* 0..5: the argument that is the address */
	uint8_t kind; /* enum copywin_kind */
	uint8_t size_arg;
	uint8_t when; /* enum copywin_when */
	uint16_t size;
};

struct copyplan {
	uint8_t count;
	uint8_t reserved;
	struct copywin win[COPYPLAN_WINDOWS];
};

#define COPYWIN_BIT(value) (1ull << (value))

/* Whether what is asked for has this buffer: by the call's command, an argument below 64. */
static inline bool copywin_wanted(const struct copywin *w, const uint64_t arg[6])
{
	uint64_t command, with;

	switch (w->when) {
	case COPYWIN_FCNTL_LOCK:
		command = arg[1];
		with = COPYWIN_BIT(ABI_F_GETLK) | COPYWIN_BIT(ABI_F_SETLK) |
		       COPYWIN_BIT(ABI_F_SETLKW) | COPYWIN_BIT(ABI_F_OFD_GETLK) |
		       COPYWIN_BIT(ABI_F_OFD_SETLK) | COPYWIN_BIT(ABI_F_OFD_SETLKW);
		break;
	case COPYWIN_PRCTL_VALUE:
		command = arg[0];
		with = COPYWIN_BIT(ABI_PR_SET_NAME) | COPYWIN_BIT(ABI_PR_GET_NAME) |
		       COPYWIN_BIT(ABI_PR_GET_PDEATHSIG) | COPYWIN_BIT(ABI_PR_GET_TSC) |
		       COPYWIN_BIT(ABI_PR_GET_CHILD_SUBREAPER) |
		       COPYWIN_BIT(ABI_PR_GET_TID_ADDRESS);
		break;
	default:
		return true;
	}
	return command < 64 && (with & COPYWIN_BIT(command));
}

_Static_assert(sizeof(struct copyplan) == 32, "two plans a cache line");

#endif
