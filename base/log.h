/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging. One process-wide sink (a descriptor), line-oriented, each line written by one write(2)
 * so that lines of several processes don't mix. Text or JSON ({"level","msg","time"}, as runc's).
 * Debug lines belong to a channel that can be switched at run time.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

enum log_channel {
	LOGC_GENERAL = 1u << 0,
	LOGC_PLATFORM = 1u << 1,
	LOGC_TASK = 1u << 2,
	LOGC_MM = 1u << 3,
	LOGC_VFS = 1u << 4,
	LOGC_SIGNAL = 1u << 5,
	LOGC_STRACE = 1u << 6,
	LOGC_GOFER = 1u << 7,
	LOGC_RUNSC = 1u << 8,
	LOGC_ALL = ~0u,
};

/* fd is borrowed and must stay open. who ("runsc", "sentry", "gofer") must be a literal. */
void log_setup(int fd, bool json, enum log_level max, const char *who);
void log_set_channels(uint32_t channels);
bool log_enabled(enum log_level level, uint32_t channel);
int log_fd(void);

void log_write(enum log_level level, const char *fmt, ...) __printf(2, 3);
void log_writev(enum log_level level, const char *fmt, va_list ap) __printf(2, 0);

/* What a line of the log shows of s: control characters as \xNN. Cut to size - 1 bytes. */
void log_printable(char *out, size_t size, const char *s);

#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...)                                                                              \
	do {                                                                                       \
		if (log_enabled(LOG_INFO, LOGC_GENERAL))                                           \
			log_write(LOG_INFO, __VA_ARGS__);                                          \
	} while (0)
#define log_debug(channel, ...)                                                                    \
	do {                                                                                       \
		if (unlikely(log_enabled(LOG_DEBUG, channel)))                                     \
			log_write(LOG_DEBUG, __VA_ARGS__);                                         \
	} while (0)

/* Writes the line and aborts the process (which ends the sandbox: fail-stop). */
void panic(const char *fmt, ...) __printf(1, 2) __noreturn;

/* An invariant that holds in every build. */
#define check(cond)                                                                                \
	do {                                                                                       \
		if (unlikely(!(cond)))                                                             \
			panic("%s:%d: %s: check failed: %s", __FILE__, __LINE__, __func__, #cond); \
	} while (0)

/* An invariant that is only checked in debug builds. */
#ifdef DEBUG
#define debug_check(cond) check(cond)
#else
#define debug_check(cond) ((void)sizeof(cond))
#endif

#endif
