/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's kernel log (dmesg, syslog(2)): a ring of lines that the sentry writes. */
#ifndef SENTRY_KERNEL_KLOG_H
#define SENTRY_KERNEL_KLOG_H

#include <stddef.h>

#include "base/compiler.h"

#define KLOG_SIZE 16384 /* bytes in the ring; the oldest lines go first */

/* One line, without newline; gets "<6>[  seconds] " in front. Any thread. */
void klog_printf(const char *fmt, ...) __printf(1, 2);
/* Copies the last `size` bytes (whole lines) to buf; returns their count. */
size_t klog_read(char *buf, size_t size);

#endif
