/* SPDX-License-Identifier: Apache-2.0 */
/* What the sandbox says to create; see sandbox.h. */
#include "runsc/sandbox.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

static int report(int sync_fd, const struct sandbox_message *m)
{
	ssize_t n = fd_send(sync_fd, m, sizeof(*m), NULL, 0);

	close(sync_fd);
	return n < 0 ? (int)n : 0;
}

int sandbox_report_ready(int sync_fd)
{
	struct sandbox_message m = {.magic = SANDBOX_MESSAGE_MAGIC, .status = SANDBOX_READY};

	return report(sync_fd, &m);
}

int sandbox_report_error(int sync_fd, enum sandbox_error_kind kind, int err, const char *fmt, ...)
{
	struct sandbox_message m = {
	    .magic = SANDBOX_MESSAGE_MAGIC,
	    .status = SANDBOX_ERROR,
	    .kind = kind,
	    .err = err,
	};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(m.text, sizeof(m.text), fmt, ap);
	va_end(ap);
	return report(sync_fd, &m);
}
