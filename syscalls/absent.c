/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that are not there, each with the answer that Linux gives where it lacks or forbids it. */
#include <errno.h>

#include "sentry/kernel/unsupported.h"
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
