/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process of ours says when it crashes: the signal, where, and the stack by libunwind, to
 * the log's descriptor. Uses no allocation and no host call but write, so it works under the
 * filters. A SIGBUS in a guarded copy (base/guard.h) is no crash.
 */
#ifndef BASE_CRASH_H
#define BASE_CRASH_H

/* For SIGSEGV, SIGBUS, SIGILL, SIGFPE and SIGABRT. The process ends with status 128 + signal
 * afterwards. */
void crash_handler_install(void);
/* The caller's stack to the log, "#0 runsc+0x1234 (name)". */
void crash_print_stack(void);

#endif
