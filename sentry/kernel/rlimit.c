/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/kernel/rlimit.h"

#include <errno.h>

#include "abi/caps.h"
#include "abi/resource.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/itimer.h"
#include "sentry/kernel/task.h"

/* What fs.nr_open is on Linux: no more descriptors even for the mighty. */
#define NOFILE_MAX (1u << 20)

uint64_t rlimit_get(struct thread_group *tg, unsigned which)
{
	uint64_t cur;

	mutex_lock(&tg->siglock);
	cur = tg->rlimits[which].cur;
	mutex_unlock(&tg->siglock);
	return cur;
}

static int check_change(struct task *by, unsigned which, const struct abi_rlimit *old,
			const struct abi_rlimit *new)
{
	if (new->cur > new->max)
		return -EINVAL;
	if (which == ABI_RLIMIT_NOFILE && new->max > NOFILE_MAX)
		return -EPERM;
	if (new->max > old->max && !cred_capable(by->cred, ABI_CAP_SYS_RESOURCE))
		return -EPERM;
	return 0;
}

int rlimit_change(struct task *by, struct thread_group *tg, unsigned which,
		  const struct abi_rlimit *new, struct abi_rlimit *ret_old)
{
	int err = 0;

	if (which >= ABI_RLIMIT_COUNT)
		return -EINVAL;
	mutex_lock(&tg->siglock);
	*ret_old = tg->rlimits[which];
	if (new)
		err = check_change(by, which, ret_old, new);
	if (new && !err)
		tg->rlimits[which] = *new;
	mutex_unlock(&tg->siglock);
	if (new && !err && which == ABI_RLIMIT_CPU)
		itimer_cpu_limit(tg, new->cur);
	return err;
}
