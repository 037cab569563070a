/* SPDX-License-Identifier: Apache-2.0 */
/* What uname(2), /proc/version and /proc/sys/kernel say this kernel is. */
#ifndef SENTRY_KERNEL_VERSION_H
#define SENTRY_KERNEL_VERSION_H

#define KERNEL_SYSNAME "Linux"
#define KERNEL_RELEASE "6.12.0-cvisor"
#define KERNEL_VERSION "#1 SMP cvisor"
#define KERNEL_MACHINE "x86_64"

#endif
