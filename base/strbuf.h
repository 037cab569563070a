/* SPDX-License-Identifier: Apache-2.0 */
/* A growing byte buffer with a terminating NUL that isn't counted. Aborts when memory runs out. */
#ifndef BASE_STRBUF_H
#define BASE_STRBUF_H

#include <stdarg.h>
#include <stddef.h>

#include "base/compiler.h"

struct strbuf {
	char *data; /* NULL until the first append */
	size_t size;
	size_t capacity;
};

#define STRBUF_INIT                                                                                \
	{                                                                                          \
		NULL, 0, 0                                                                         \
	}

void strbuf_add(struct strbuf *sb, const void *bytes, size_t size);
void strbuf_addstr(struct strbuf *sb, const char *s);
void strbuf_addch(struct strbuf *sb, char c);
void strbuf_addf(struct strbuf *sb, const char *fmt, ...) __printf(2, 3);
void strbuf_addfv(struct strbuf *sb, const char *fmt, va_list ap) __printf(2, 0);
void strbuf_reset(struct strbuf *sb);
void strbuf_free(struct strbuf *sb);
/* The bytes with their NUL, never NULL; the caller frees them, the buffer is empty afterwards. */
char *strbuf_detach(struct strbuf *sb);
/* Borrowed, never NULL. */
const char *strbuf_str(const struct strbuf *sb);

#endif
