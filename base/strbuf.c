/* SPDX-License-Identifier: Apache-2.0 */
#include "base/strbuf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static void reserve(struct strbuf *sb, size_t more)
{
	size_t need = sb->size + more + 1;

	if (need <= sb->capacity)
		return;
	sb->capacity = MAX(need, sb->capacity * 2);
	sb->data = xrealloc(sb->data, sb->capacity);
}

void strbuf_add(struct strbuf *sb, const void *bytes, size_t size)
{
	reserve(sb, size);
	memcpy(sb->data + sb->size, bytes, size);
	sb->size += size;
	sb->data[sb->size] = '\0';
}

void strbuf_addstr(struct strbuf *sb, const char *s)
{
	strbuf_add(sb, s, strlen(s));
}

void strbuf_addch(struct strbuf *sb, char c)
{
	strbuf_add(sb, &c, 1);
}

void strbuf_addfv(struct strbuf *sb, const char *fmt, va_list ap)
{
	va_list again;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	if (n > 0) {
		reserve(sb, (size_t)n);
		vsnprintf(sb->data + sb->size, (size_t)n + 1, fmt, again);
		sb->size += (size_t)n;
	}
	va_end(again);
}

void strbuf_addf(struct strbuf *sb, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strbuf_addfv(sb, fmt, ap);
	va_end(ap);
}

void strbuf_reset(struct strbuf *sb)
{
	sb->size = 0;
	if (sb->data)
		sb->data[0] = '\0';
}

void strbuf_free(struct strbuf *sb)
{
	free(sb->data);
	*sb = (struct strbuf)STRBUF_INIT;
}

char *strbuf_detach(struct strbuf *sb)
{
	char *data;

	reserve(sb, 0);
	data = sb->data;
	data[sb->size] = '\0';
	*sb = (struct strbuf)STRBUF_INIT;
	return data;
}

const char *strbuf_str(const struct strbuf *sb)
{
	return sb->data ? sb->data : "";
}
