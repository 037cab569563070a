/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one way to say that the sentry lacks something that Linux has: an absent call, a flag, an
 * ioctl, a socket option. Each use is counted and logged once per distinct (call, what); under
 * --strict it ends the sandbox, so that no test passes by luck. Not for what Linux refuses too.
 */
#ifndef SENTRY_KERNEL_UNSUPPORTED_H
#define SENTRY_KERNEL_UNSUPPORTED_H

#include <stdint.h>

#include "base/compiler.h"

struct strbuf;
struct task;

/*
 * error: the positive errno that the guest gets. what says the thing that is missing ("flags
 * 0x%x", "option %d"); it is cut at 63 bytes. Returns -error.
 */
int64_t unsupported(struct task *t, int error, const char *what, ...) __printf(3, 4);

/* One line for each distinct thing, as stats_report: "counter 3 unsupported.CALL: WHAT". */
void unsupported_report(struct strbuf *out);
uint64_t unsupported_count(void);

#endif
