/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Error numbers. The guest's are the host's (both are Linux x86-64), so the names E* come from
 * <errno.h>; here are those that the kernel uses inside and never shows to a program.
 */
#ifndef ABI_ERRNO_H
#define ABI_ERRNO_H

#include <errno.h>

/* What an interrupted call returns to the signal code, include/linux/errno.h of Linux. */
#define ERESTARTSYS	      512 /* restart if SA_RESTART, or if no handler runs */
#define ERESTARTNOINTR	      513 /* always restart */
#define ERESTARTNOHAND	      514 /* restart if no handler runs, else EINTR */
#define ENOIOCTLCMD	      515 /* this file has no such ioctl: becomes ENOTTY */
#define ERESTART_RESTARTBLOCK 516 /* restart by restart_syscall */

#define ABI_MAX_ERRNO 4095

#endif
