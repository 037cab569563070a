/* SPDX-License-Identifier: Apache-2.0 */
/* epoll(7) */
#include "sentry/vfs/epoll.h"

#include <stdlib.h>

#include "base/mem.h"
#include "syscalls/sysfile.h"

#define EVENTS_ON_STACK 64
#define EVENTS_MAX	1024 /* given at once; more stay for the next call */

static int64_t create(struct task *t, bool cloexec)
{
	struct file *f;
	int ret = epoll_new(t, 0, &f);

	if (ret)
		return ret;
	ret = fd_install(t, f, 0, cloexec);
	if (ret < 0)
		file_put(f);
	return ret;
}

int64_t sys_epoll_create(struct task *t, const struct sysargs *a)
{
	return abi_int(a->arg[0]) <= 0 ? -EINVAL : create(t, false);
}

int64_t sys_epoll_create1(struct task *t, const struct sysargs *a)
{
	if ((uint32_t)a->arg[0] & ~ABI_EPOLL_CLOEXEC)
		return -EINVAL;
	return create(t, a->arg[0] & ABI_EPOLL_CLOEXEC);
}

int64_t sys_epoll_ctl(struct task *t, const struct sysargs *a)
{
	int op = abi_int(a->arg[1]), fd = abi_int(a->arg[2]);
	struct abi_epoll_event event = {0, 0};
	struct file *ep, *target;
	int64_t ret = -EBADF;

	if (op != ABI_EPOLL_CTL_DEL && copy_from_user(t, &event, uaddr(a->arg[3]), sizeof(event)))
		return -EFAULT;
	if (op < ABI_EPOLL_CTL_ADD || op > ABI_EPOLL_CTL_MOD)
		return -EINVAL;
	ep = fd_get_io(t, abi_int(a->arg[0]));
	target = fd_get_io(t, fd);
	if (ep && target)
		ret = epoll_ctl_file(ep, op, fd, target, &event);
	file_put(ep);
	file_put(target);
	return ret;
}

static int64_t collect_out(struct task *t, struct file *ep, struct abi_epoll_event *events, int max,
			   uint64_t va)
{
	int count = epoll_collect(ep, events, max);

	if (count && copy_to_user(t, uaddr(va), events, (size_t)count * sizeof(*events)))
		return -EFAULT;
	return count;
}

static int64_t wait_events(struct task *t, struct file *ep, struct abi_epoll_event *events, int max,
			   uint64_t va, bool zero)
{
	int64_t ret = collect_out(t, ep, events, max, va);

	if (ret || zero || task_deadline_passed(t))
		return ret;
	task_wait_add(t, epoll_queue(ep), ~0u, ep);
	ret = collect_out(t, ep, events, max, va);
	if (!ret)
		ret = task_block(t, -EINTR);
	return ret == -ETIMEDOUT ? 0 : ret;
}

static int64_t do_wait(struct task *t, const struct sysargs *a, bool zero)
{
	int max = abi_int(a->arg[2]);
	struct abi_epoll_event few[EVENTS_ON_STACK], *events = few;
	struct file *ep;
	int64_t ret;

	if (max <= 0 || max > INT32_MAX / (int)sizeof(*events))
		return -EINVAL;
	ep = fd_get_io(t, abi_int(a->arg[0]));
	if (!ep)
		return -EBADF;
	max = MIN(max, EVENTS_MAX);
	if (max > EVENTS_ON_STACK)
		events = xmalloc((size_t)max * sizeof(*events));
	ret = is_epoll(ep) ? wait_events(t, ep, events, max, a->arg[1], zero) : -EINVAL;
	if (events != few)
		free(events);
	file_put(ep);
	return ret;
}

int64_t sys_epoll_wait(struct task *t, const struct sysargs *a)
{
	int ms = abi_int(a->arg[3]);

	task_deadline_from_ms(t, ms);
	return do_wait(t, a, ms == 0);
}

int64_t sys_epoll_pwait(struct task *t, const struct sysargs *a)
{
	int64_t ret = task_use_sigmask(t, a->arg[4], a->arg[5]);

	return ret ? ret : sys_epoll_wait(t, a);
}

int64_t sys_epoll_pwait2(struct task *t, const struct sysargs *a)
{
	bool zero;
	int64_t ret = task_deadline_from_timespec(t, a->arg[3], &zero);

	if (!ret)
		ret = task_use_sigmask(t, a->arg[4], a->arg[5]);
	return ret ? ret : do_wait(t, a, zero);
}
