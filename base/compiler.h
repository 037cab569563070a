/* SPDX-License-Identifier: Apache-2.0 */
/* Compiler helpers used everywhere. No dependencies. */
#ifndef BASE_COMPILER_H
#define BASE_COMPILER_H

#include <stddef.h>

#define array_count(a)			(sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define likely(x)			__builtin_expect(!!(x), 1)
#define unlikely(x)			__builtin_expect(!!(x), 0)
#define MIN(a, b)                                                                                  \
	({                                                                                         \
		__auto_type _min_a = (a);                                                          \
		__auto_type _min_b = (b);                                                          \
		_min_a < _min_b ? _min_a : _min_b;                                                 \
	})
#define MAX(a, b)                                                                                  \
	({                                                                                         \
		__auto_type _max_a = (a);                                                          \
		__auto_type _max_b = (b);                                                          \
		_max_a > _max_b ? _max_a : _max_b;                                                 \
	})

#define __printf(fmt_arg, first_arg) __attribute__((format(printf, fmt_arg, first_arg)))
#define __must_check		     __attribute__((warn_unused_result))
#define __noreturn		     __attribute__((noreturn))
#define __cleanup(fn)		     __attribute__((cleanup(fn)))
#define __unused		     __attribute__((unused))

#endif
