/* SPDX-License-Identifier: Apache-2.0 */
/* Ancillary data of messages (cmsg(3)), between the guest and unix sockets. */
#ifndef SYSCALLS_SOCKET_CMSG_H
#define SYSCALLS_SOCKET_CMSG_H

#include "sentry/net/unix.h"
#include "syscalls/sysfile.h"

#define CONTROL_MAX 20480 /* net.core.optmem_max */

/* What msg says goes along; *ret is cleared by the caller, also on errors. 0 or -errno. */
int cmsg_get(struct task *t, const struct abi_msghdr *msg, struct unix_ctl *ret);
/*
 * Gives the guest what came along, as far as there is room: sets controllen and flags of msg. The
 * rights have been installed or dropped afterwards.
 */
int cmsg_put(struct task *t, struct abi_msghdr *msg, struct unix_ctl *ctl, bool passcred,
	     bool cloexec);

#endif
