/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that are not there, each with the answer that Linux gives where it lacks or forbids it. */
#include <errno.h>

#include "abi/types.h"
#include "sentry/kernel/unsupported.h"
#include "sentry/net/unix.h"
#include "sentry/vfs/files.h"
#include "syscalls/syscalls.h"

int64_t sys_absent(struct task *t, const struct sysargs *a)
{
	(void)a;
	return unsupported(t, ENOSYS, "absent");
}

int64_t sys_absent_eperm(struct task *t, const struct sysargs *a)
{
	(void)a;
	return unsupported(t, EPERM, "absent");
}

int64_t sys_absent_eopnotsupp(struct task *t, const struct sysargs *a)
{
	(void)a;
	return unsupported(t, EOPNOTSUPP, "absent");
}

/* ENOSYS without a report: every C library asks for it at start and does as well without. */
int64_t sys_absent_probed(struct task *t, const struct sysargs *a)
{
	(void)t;
	(void)a;
	return -ENOSYS;
}

/*
 * Calls on sockets that the sockets here don't have. Of any other file Linux says that it is no
 * socket, and programs ask as a matter of course; that is not worth a report.
 */
int64_t sys_absent_socket(struct task *t, const struct sysargs *a)
{
	struct file *f = fd_get_io(t, abi_int(a->arg[0]));
	bool is_socket = f && unix_is_socket(f);

	if (!f)
		return -EBADF;
	file_put(f);
	return is_socket ? unsupported(t, EOPNOTSUPP, "on a unix socket") : -ENOTSOCK;
}
