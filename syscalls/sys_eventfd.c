/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors of kernel objects: eventfd, timerfd, signalfd, memfd. */
#include <stdio.h>

#include "sentry/fs/anon/anon.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/kernel/unsupported.h"
#include "syscalls/sysfile.h"

#define MEMFD_NAME_MAX 249 /* NAME_MAX less "memfd:" */

static int64_t install(struct task *t, struct file *f, bool cloexec)
{
	int fd = fd_install(t, f, 0, cloexec);

	if (fd < 0)
		file_put(f);
	return fd;
}

/* ---- eventfd ---- */

static int64_t make_eventfd(struct task *t, uint32_t count, uint32_t flags)
{
	struct file *f;
	int err;

	if (flags & ~(uint32_t)(ABI_EFD_SEMAPHORE | ABI_O_CLOEXEC | ABI_O_NONBLOCK))
		return -EINVAL;
	err = eventfd_new(t, count, flags & ABI_EFD_SEMAPHORE, flags & ABI_O_NONBLOCK, &f);
	return err ? err : install(t, f, flags & ABI_O_CLOEXEC);
}

int64_t sys_eventfd(struct task *t, const struct sysargs *a)
{
	return make_eventfd(t, (uint32_t)a->arg[0], 0);
}

int64_t sys_eventfd2(struct task *t, const struct sysargs *a)
{
	return make_eventfd(t, (uint32_t)a->arg[0], (uint32_t)a->arg[1]);
}

/* ---- timerfd ---- */

int64_t sys_timerfd_create(struct task *t, const struct sysargs *a)
{
	uint32_t flags = (uint32_t)a->arg[1];
	struct file *f;
	int err;

	if (flags & ~(uint32_t)(ABI_O_CLOEXEC | ABI_O_NONBLOCK))
		return -EINVAL;
	err = timerfd_new(t, abi_int(a->arg[0]), flags & ABI_O_NONBLOCK, &f);
	return err ? err : install(t, f, flags & ABI_O_CLOEXEC);
}

int64_t sys_timerfd_settime(struct task *t, const struct sysargs *a)
{
	int flags = abi_int(a->arg[1]);
	struct abi_itimerspec value, old;
	struct file *f;
	int64_t ret;

	if (flags & ~(ABI_TFD_TIMER_ABSTIME | ABI_TFD_TIMER_CANCEL_ON_SET))
		return -EINVAL;
	if (copy_from_user(t, &value, uaddr(a->arg[2]), sizeof(value)))
		return -EFAULT;
	f = fd_get_io(t, abi_int(a->arg[0]));
	if (!f)
		return -EBADF;
	ret = timerfd_set(f, flags, &value, &old);
	file_put(f);
	if (!ret && a->arg[3])
		ret = copy_to_user(t, uaddr(a->arg[3]), &old, sizeof(old));
	return ret;
}

int64_t sys_timerfd_gettime(struct task *t, const struct sysargs *a)
{
	struct file *f = fd_get_io(t, abi_int(a->arg[0]));
	struct abi_itimerspec value;
	int64_t ret;

	if (!f)
		return -EBADF;
	ret = timerfd_get(f, &value);
	file_put(f);
	return ret ? ret : copy_to_user(t, uaddr(a->arg[1]), &value, sizeof(value));
}

/* ---- signalfd ---- */

static int64_t change_signalfd(struct task *t, int fd, uint64_t mask)
{
	struct file *f = fd_get_io(t, fd);
	int err;

	if (!f)
		return -EBADF;
	err = signalfd_set_mask(f, mask);
	file_put(f);
	return err ? err : fd;
}

static int64_t do_signalfd(struct task *t, const struct sysargs *a, uint32_t flags)
{
	int fd = abi_int(a->arg[0]);
	uint64_t mask;
	struct file *f;
	int err;

	if (flags & ~(uint32_t)(ABI_O_CLOEXEC | ABI_O_NONBLOCK) || a->arg[2] != sizeof(mask))
		return -EINVAL;
	if (copy_from_user(t, &mask, uaddr(a->arg[1]), sizeof(mask)))
		return -EFAULT;
	if (fd != -1)
		return change_signalfd(t, fd, mask);
	err = signalfd_new(t, mask, flags & ABI_O_NONBLOCK, &f);
	return err ? err : install(t, f, flags & ABI_O_CLOEXEC);
}

int64_t sys_signalfd(struct task *t, const struct sysargs *a)
{
	return do_signalfd(t, a, 0);
}

int64_t sys_signalfd4(struct task *t, const struct sysargs *a)
{
	return do_signalfd(t, a, (uint32_t)a->arg[3]);
}

/* ---- memfd ---- */

int64_t sys_memfd_create(struct task *t, const struct sysargs *a)
{
	char name[MEMFD_NAME_MAX + 1], shown[MEMFD_NAME_MAX + 32];
	uint32_t flags = (uint32_t)a->arg[1], seals = ABI_F_SEAL_SEAL, mode = 0777;
	struct file *f;
	ssize_t n;
	int err;

	if (flags & ~(uint32_t)(ABI_MFD_CLOEXEC | ABI_MFD_ALLOW_SEALING | ABI_MFD_HUGETLB |
				ABI_MFD_NOEXEC_SEAL | ABI_MFD_EXEC))
		return -EINVAL;
	if ((flags & ABI_MFD_EXEC) && (flags & ABI_MFD_NOEXEC_SEAL))
		return -EINVAL;
	if (flags & ABI_MFD_HUGETLB)
		return unsupported(t, EINVAL, "memfd of huge pages");
	n = strncpy_from_user(t, name, uaddr(a->arg[0]), sizeof(name));
	if (n < 0)
		return n == -ENAMETOOLONG ? -EINVAL : n;
	if (flags & (ABI_MFD_ALLOW_SEALING | ABI_MFD_NOEXEC_SEAL))
		seals = 0;
	if (flags & ABI_MFD_NOEXEC_SEAL) {
		seals |= ABI_F_SEAL_EXEC;
		mode = 0666;
	}
	snprintf(shown, sizeof(shown), "/memfd:%s (deleted)", name);
	err = tmpfs_new_file(t->kernel, shown, ABI_O_RDWR | ABI_O_LARGEFILE, mode, seals, t->cred,
			     &f);
	return err ? err : install(t, f, flags & ABI_MFD_CLOEXEC);
}
