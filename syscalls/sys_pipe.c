/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes. */
#include "sentry/fs/pipe/pipe.h"

#include "sentry/kernel/unsupported.h"
#include "syscalls/sysfile.h"

static int64_t make_pipe(struct task *t, uint64_t va, uint32_t flags)
{
	struct file *ends[2];
	int err;

	if (flags & ~(uint32_t)(ABI_O_CLOEXEC | ABI_O_NONBLOCK | ABI_O_DIRECT))
		return -EINVAL;
	if (flags & ABI_O_DIRECT)
		return unsupported(t, EINVAL, "pipe in packet mode");
	err = pipe_new(t, flags & ABI_O_NONBLOCK, ends);
	if (err)
		return err;
	return sys_install_pair(t, ends, flags & ABI_O_CLOEXEC, va);
}

int64_t sys_pipe(struct task *t, const struct sysargs *a)
{
	return make_pipe(t, a->arg[0], 0);
}

int64_t sys_pipe2(struct task *t, const struct sysargs *a)
{
	return make_pipe(t, a->arg[0], (uint32_t)a->arg[1]);
}
