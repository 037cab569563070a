/* SPDX-License-Identifier: Apache-2.0 */
/* Compiler helpers used everywhere. No dependencies. */
#ifndef BASE_COMPILER_H
#define BASE_COMPILER_H

#include <stddef.h>

#define array_count(a)			(sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define likely(x)			__builtin_expect(!!(x), 1)
#define unlikely(x)			__builtin_expect(!!(x), 0)
/* Each use gets names of its own, so that they nest. */
#define _PASTE2(a, b) a##b
#define _PASTE(a, b)  _PASTE2(a, b)
#define _CHOOSE(a, op, b, x, y)                                                                    \
	({                                                                                         \
		__auto_type x = (a);                                                               \
		__auto_type y = (b);                                                               \
		x op y ? x : y;                                                                    \
	})
#define MIN(a, b) _CHOOSE(a, <, b, _PASTE(_x, __COUNTER__), _PASTE(_y, __COUNTER__))
#define MAX(a, b) _CHOOSE(a, >, b, _PASTE(_x, __COUNTER__), _PASTE(_y, __COUNTER__))

#define __printf(fmt_arg, first_arg) __attribute__((format(printf, fmt_arg, first_arg)))
#define __must_check		     __attribute__((warn_unused_result))
#define __noreturn		     __attribute__((noreturn))
#define __cleanup(fn)		     __attribute__((cleanup(fn)))
#define __unused		     __attribute__((unused))

#endif
