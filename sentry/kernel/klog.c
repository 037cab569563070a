/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring of the kernel log. Like the sentry's own log it belongs to this process, not to the
 * guest's state. Offsets count bytes since the start; the ring holds the last KLOG_SIZE of them.
 */
#include "sentry/kernel/klog.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/compiler.h"

static struct {
	pthread_mutex_t lock; /* takes no other */
	uint64_t end;	      /* [lock] bytes written in all */
	uint64_t first;	      /* [lock] start of the oldest whole line */
	uint64_t start_ns;    /* [lock] of the first line */
	char ring[KLOG_SIZE]; /* [lock] */
} klog = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

/* Behind the next newline from `at` on. */
static uint64_t next_line(uint64_t at)
{
	while (at < klog.end && klog.ring[at % KLOG_SIZE] != '\n')
		at++;
	return MIN(at + 1, klog.end);
}

static void append(const char *bytes, size_t size)
{
	while (klog.end + size - klog.first > KLOG_SIZE)
		klog.first = next_line(klog.first);
	for (size_t i = 0; i < size; i++)
		klog.ring[(klog.end + i) % KLOG_SIZE] = bytes[i];
	klog.end += size;
}

void klog_printf(const char *fmt, ...)
{
	char line[512];
	uint64_t now = now_ns();
	int head, n;
	va_list ap;

	pthread_mutex_lock(&klog.lock);
	if (!klog.start_ns)
		klog.start_ns = now;
	now -= klog.start_ns;
	head = snprintf(line, sizeof(line), "<6>[%5u.%06u] ", (unsigned)(now / 1000000000ull),
			(unsigned)(now % 1000000000ull / 1000));
	va_start(ap, fmt);
	n = vsnprintf(line + head, sizeof(line) - (size_t)head - 1, fmt, ap);
	va_end(ap);
	n = head + MAX(0, MIN(n, (int)sizeof(line) - head - 2));
	line[n++] = '\n';
	append(line, (size_t)n);
	pthread_mutex_unlock(&klog.lock);
}

size_t klog_read(char *buf, size_t size)
{
	uint64_t from;
	size_t n;

	pthread_mutex_lock(&klog.lock);
	from = klog.first;
	while (klog.end - from > size)
		from = next_line(from);
	n = (size_t)(klog.end - from);
	for (size_t i = 0; i < n; i++)
		buf[i] = klog.ring[(from + i) % KLOG_SIZE];
	pthread_mutex_unlock(&klog.lock);
	return n;
}
