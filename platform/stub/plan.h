/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which windows a call gets by its copy plan, as far as that follows from the arguments alone, and
 * the size of a string. The stub fills them so, and the sentry finds them so without being told
 * (REQUEST_PLANNED).
 */
#ifndef PLATFORM_STUB_PLAN_H
#define PLATFORM_STUB_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/copyplan.h"
#include "platform/stub/channel.h"

#define PLAN_ALIGN 64

static inline uint64_t plan_size(const struct copywin *w, const uint64_t arg[6])
{
	uint64_t count, size;

	if (!copywin_wanted(w, arg))
		return 0;
	if (w->size_arg == COPYWIN_FIXED)
		return w->size;
	count = arg[w->size_arg < 6 ? w->size_arg : 5];
	if (w->size == COPYWIN_BITS)
		return (int32_t)count <= 0 ? 0 : ((uint64_t)(uint32_t)count + 63) / 64 * 8;
	return __builtin_mul_overflow(count, w->size, &size) ? UINT64_MAX : size;
}

static inline bool plan_writable(const struct copywin *w)
{
	return w->kind == COPYWIN_OUT || w->kind == COPYWIN_INOUT || w->kind == COPYWIN_MSG_OUT;
}

/* The arguments say all about it; and the size, of one string a call. */
static inline bool plan_is_plain(const struct copywin *w)
{
	return w->kind == COPYWIN_IN || w->kind == COPYWIN_CSTR || w->kind == COPYWIN_OUT ||
	       w->kind == COPYWIN_INOUT;
}

/* Room for one more window: its offset, *used moves on. -1: none is made. */
static inline int32_t plan_place(uint32_t *used, uint32_t count, uint64_t va, uint64_t size)
{
	uint32_t at = *used;

	if (!va || !size || size > CHANNEL_WINDOW_SIZE - at || count == CHANNEL_WINDOWS)
		return -1;
	*used += ((uint32_t)size + PLAN_ALIGN - 1) & ~(PLAN_ALIGN - 1u);
	if (*used > CHANNEL_WINDOW_SIZE)
		*used = CHANNEL_WINDOW_SIZE;
	return (int32_t)at;
}

#endif
