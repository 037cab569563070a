/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An error of the command line: a message that each level puts its own context before, and the
 * errno behind it where there is one. Functions that can fail return NULL for success or an error
 * that the caller owns. It is printed once, at the top, by main.
 *
 *	struct error *e = state_load(root, id, &st);
 *	if (e)
 *		return error_wrap(e, "container %s", id);
 */
#ifndef RUNSC_ERROR_H
#define RUNSC_ERROR_H

#include "base/compiler.h"

struct error {
	char *message; /* one line */
	int errnum;    /* the errno that caused it, or 0 */
};

struct error *error_new(const char *fmt, ...) __printf(1, 2) __must_check;
/* "<message>: <strerror(errnum)>"; errnum is positive. */
struct error *error_errno(int errnum, const char *fmt, ...) __printf(2, 3) __must_check;
/* Puts "<context>: " before e's message and returns e. */
struct error *error_wrap(struct error *e, const char *fmt, ...) __printf(2, 3) __must_check;
void error_free(struct error *e); /* NULL is fine */
/* For errors that must not stop the caller: logs "<context>: <message>" as a warning, frees e. */
void error_warn(struct error *e, const char *fmt, ...) __printf(2, 3);

/*
 * What errno says, beginning in lower case: engines look for runc's wording ("no such file or
 * directory", "permission denied") to choose exit statuses 127 and 126. Until the next call.
 */
const char *errno_text(int errnum);

#endif
