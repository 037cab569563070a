/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#ifdef SANITIZER
#include <sanitizer/common_interface_defs.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/compiler.h"

static struct {
	int fd;
	bool json;
	enum log_level max;
	uint32_t channels;
	const char *who;
} sink = {.fd = 2, .max = LOG_WARN, .channels = LOGC_ALL, .who = "runsc"};

static const char *const level_names[] = {"error", "warning", "info", "debug"};

void log_setup(int fd, bool json, enum log_level max, const char *who)
{
	sink.fd = fd;
	sink.json = json;
	sink.max = max;
	sink.who = who;
#ifdef SANITIZER
	__sanitizer_set_report_fd((void *)(intptr_t)fd); /* 2 may be /dev/null */
#endif
}

void log_set_channels(uint32_t channels)
{
	sink.channels = channels;
}

bool log_enabled(enum log_level level, uint32_t channel)
{
	return level <= sink.max && (level < LOG_DEBUG || (sink.channels & channel));
}

int log_fd(void)
{
	return sink.fd;
}

/* Bytes of the character of UTF-8 at s (RFC 3629), 0: there is none. s ends with a NUL. */
static size_t utf8_size(const char *s)
{
	static const struct {
		uint8_t from, to, low, high; /* of the first byte, of the second one */
		uint8_t size;
	} forms[] = {
	    {0x00, 0x7f, 0, 0, 1},	 {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
	    {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
	    {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
	const uint8_t *b = (const uint8_t *)s;
	size_t i = 0, at = 1;

	while (i < array_count(forms) && (b[0] < forms[i].from || b[0] > forms[i].to))
		i++;
	if (i == array_count(forms))
		return 0;
	if (forms[i].size > 1 && (b[1] < forms[i].low || b[1] > forms[i].high))
		return 0;
	while (at < forms[i].size && (at == 1 || (b[at] & 0xc0) == 0x80))
		at++;
	return at == forms[i].size ? at : 0;
}

/*
 * Appends s with JSON string escapes; returns the new length, never past size. Names come from
 * guests: what is no UTF-8 becomes U+FFFD, a byte at a time.
 */
static size_t put_json_string(char *out, size_t at, size_t size, const char *s)
{
	size_t n;

	for (; *s && at + 7 < size; s += n ? n : 1) {
		unsigned char c = (unsigned char)*s;

		n = utf8_size(s);
		if (c == '"' || c == '\\') {
			out[at++] = '\\';
			out[at++] = (char)c;
		} else if (c < 0x20 || c == 0x7f || !n) {
			at += (size_t)snprintf(out + at, size - at, "\\u%04x", n ? c : 0xfffd);
		} else {
			memcpy(out + at, s, n);
			at += n;
		}
	}
	return at;
}

static size_t put_text_string(char *out, size_t at, size_t size, const char *s)
{
	for (; *s && at + 5 < size; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x20 || c == 0x7f)
			at += (size_t)snprintf(out + at, size - at, "\\x%02x", c);
		else
			out[at++] = (char)c;
	}
	return at;
}

void log_printable(char *out, size_t size, const char *s)
{
	out[put_text_string(out, 0, size, s)] = 0;
}

void log_writev(enum log_level level, const char *fmt, va_list ap)
{
	char msg[3072], line[4096], stamp[40];
	struct timespec now;
	struct tm tm;
	size_t at;
	int saved = errno;

	if (level > sink.max)
		return;
	vsnprintf(msg, sizeof(msg), fmt, ap);
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);

	if (sink.json) {
		at = (size_t)snprintf(line, sizeof(line), "{\"level\":\"%s\",\"msg\":\"",
				      level_names[level]);
		at = put_json_string(line, at, sizeof(line) - 80, msg);
		at += (size_t)snprintf(line + at, sizeof(line) - at, "\",\"time\":\"%s.%09ldZ\"}\n",
				       stamp, now.tv_nsec);
	} else {
		at = (size_t)snprintf(line, sizeof(line), "%s.%06ldZ %s[%d] %s: ", stamp,
				      now.tv_nsec / 1000, sink.who, (int)getpid(),
				      level_names[level]);
		at = put_text_string(line, at, sizeof(line) - 1, msg);
		line[at++] = '\n';
	}
	for (size_t done = 0; done < at;) {
		ssize_t n = write(sink.fd, line + done, at - done);

		if (n <= 0 && errno != EINTR)
			break;
		if (n > 0)
			done += (size_t)n;
	}
	errno = saved;
}

void log_write(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_writev(level, fmt, ap);
	va_end(ap);
}

void panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_writev(LOG_ERROR, fmt, ap);
	va_end(ap);
	abort();
}
