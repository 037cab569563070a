/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc/error.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/strbuf.h"

const char *errno_text(int errnum)
{
	static char text[128];
	const char *s = strerrordesc_np(errnum);

	snprintf(text, sizeof(text), "%s", s ? s : "unknown error");
	text[0] = (char)tolower((unsigned char)text[0]);
	return text;
}

static struct error *make(int errnum, const char *fmt, va_list ap) __printf(2, 0);
static struct error *make(int errnum, const char *fmt, va_list ap)
{
	struct strbuf sb = STRBUF_INIT;
	struct error *e = xnew(struct error);

	strbuf_addfv(&sb, fmt, ap);
	if (errnum)
		strbuf_addf(&sb, ": %s", errno_text(errnum));
	e->message = strbuf_detach(&sb);
	e->errnum = errnum;
	return e;
}

struct error *error_new(const char *fmt, ...)
{
	struct error *e;
	va_list ap;

	va_start(ap, fmt);
	e = make(0, fmt, ap);
	va_end(ap);
	return e;
}

struct error *error_errno(int errnum, const char *fmt, ...)
{
	struct error *e;
	va_list ap;

	va_start(ap, fmt);
	e = make(errnum, fmt, ap);
	va_end(ap);
	return e;
}

static void wrap(struct error *e, const char *fmt, va_list ap) __printf(2, 0);
static void wrap(struct error *e, const char *fmt, va_list ap)
{
	struct strbuf sb = STRBUF_INIT;

	strbuf_addfv(&sb, fmt, ap);
	strbuf_addf(&sb, ": %s", e->message);
	free(e->message);
	e->message = strbuf_detach(&sb);
}

struct error *error_wrap(struct error *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	wrap(e, fmt, ap);
	va_end(ap);
	return e;
}

void error_free(struct error *e)
{
	if (!e)
		return;
	free(e->message);
	free(e);
}

void error_warn(struct error *e, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return;
	va_start(ap, fmt);
	wrap(e, fmt, ap);
	va_end(ap);
	log_warn("%s", e->message);
	error_free(e);
}
