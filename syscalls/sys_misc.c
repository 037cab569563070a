/* SPDX-License-Identifier: Apache-2.0 */
/* The system's name and state, random bytes, resource limits, personality, the kernel log. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sysinfo.h>

#include "abi/caps.h"
#include "abi/errno.h"
#include "abi/prctl.h"
#include "abi/resource.h"
#include "abi/sched.h"
#include "abi/sysinfo.h"
#include "abi/utsname.h"
#include "base/mem.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/klog.h"
#include "sentry/kernel/rlimit.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/unsupported.h"
#include "sentry/kernel/version.h"
#include "sentry/mm/usermem.h"
#include "syscalls/syscalls.h"

/* ---- names ---- */

int64_t sys_uname(struct task *t, const struct sysargs *a)
{
	struct kernel *k = t->kernel;
	struct abi_utsname u;

	memset(&u, 0, sizeof(u));
	strncpy(u.sysname, KERNEL_SYSNAME, sizeof(u.sysname) - 1);
	strncpy(u.release, KERNEL_RELEASE, sizeof(u.release) - 1);
	strncpy(u.version, KERNEL_VERSION, sizeof(u.version) - 1);
	strncpy(u.machine, KERNEL_MACHINE, sizeof(u.machine) - 1);
	mutex_lock(&k->uts_lock);
	memcpy(u.nodename, k->hostname, sizeof(u.nodename));
	memcpy(u.domainname, k->domainname, sizeof(u.domainname));
	mutex_unlock(&k->uts_lock);
	return copy_to_user(t, uaddr(a->arg[0]), &u, sizeof(u));
}

static int64_t set_uts_name(struct task *t, const struct sysargs *a, char *name)
{
	char fresh[ABI_UTS_LEN + 1] = {0};
	int size = abi_int(a->arg[1]);

	if (!cred_capable(t->cred, ABI_CAP_SYS_ADMIN))
		return -EPERM;
	if (size < 0 || size > ABI_UTS_LEN)
		return -EINVAL;
	if (copy_from_user(t, fresh, uaddr(a->arg[0]), (size_t)size))
		return -EFAULT;
	mutex_lock(&t->kernel->uts_lock);
	memcpy(name, fresh, sizeof(fresh));
	mutex_unlock(&t->kernel->uts_lock);
	return 0;
}

int64_t sys_sethostname(struct task *t, const struct sysargs *a)
{
	return set_uts_name(t, a, t->kernel->hostname);
}

int64_t sys_setdomainname(struct task *t, const struct sysargs *a)
{
	return set_uts_name(t, a, t->kernel->domainname);
}

/* ---- state ---- */

int64_t sys_sysinfo(struct task *t, const struct sysargs *a)
{
	struct abi_sysinfo si;
	struct sysinfo host;

	memset(&si, 0, sizeof(si));
	if (sysinfo(&host) == 0) {
		for (int i = 0; i < 3; i++)
			si.loads[i] = host.loads[i];
		si.totalram = host.totalram;
		si.freeram = host.freeram;
		si.sharedram = host.sharedram;
		si.bufferram = host.bufferram;
		si.totalswap = host.totalswap;
		si.freeswap = host.freeswap;
		si.mem_unit = host.mem_unit;
	}
	si.uptime = (int64_t)((time_monotonic_ns() - t->kernel->boot_monotonic_ns) / 1000000000ull);
	mutex_lock(&t->kernel->tasks_lock);
	si.procs = (uint16_t)MIN(t->kernel->task_count, 65535u);
	mutex_unlock(&t->kernel->tasks_lock);
	return copy_to_user(t, uaddr(a->arg[0]), &si, sizeof(si));
}

int64_t sys_getrandom(struct task *t, const struct sysargs *a)
{
	uint64_t size = MIN(a->arg[1], 0x7fffffffull);
	uint32_t flags = (uint32_t)a->arg[2];
	struct uio u;
	char buf[4096];
	int64_t done = 0;

	if (flags & ~(uint32_t)(ABI_GRND_NONBLOCK | ABI_GRND_RANDOM | ABI_GRND_INSECURE))
		return -EINVAL;
	if ((flags & ABI_GRND_RANDOM) && (flags & ABI_GRND_INSECURE))
		return -EINVAL;
	uio_init_user(&u, t, uaddr(a->arg[0]), size);
	while (u.left) {
		ssize_t n = getrandom(buf, MIN(u.left, (uint64_t)sizeof(buf)), 0);

		if (n > 0)
			n = uio_write(&u, buf, (size_t)n);
		if (n <= 0) {
			done = done ? done : -EFAULT;
			break;
		}
		done += n;
	}
	uio_free(&u);
	return done;
}

/* ---- limits ---- */

int64_t sys_getrlimit(struct task *t, const struct sysargs *a)
{
	struct abi_rlimit r;
	int err = rlimit_change(t, t->tg, (unsigned)a->arg[0], NULL, &r);

	return err ? err : copy_to_user(t, uaddr(a->arg[1]), &r, sizeof(r));
}

int64_t sys_setrlimit(struct task *t, const struct sysargs *a)
{
	struct abi_rlimit fresh, old;

	if (copy_from_user(t, &fresh, uaddr(a->arg[1]), sizeof(fresh)))
		return -EFAULT;
	return rlimit_change(t, t->tg, (unsigned)a->arg[0], &fresh, &old);
}

/* prlimit(2): all ids must match, or CAP_SYS_RESOURCE. */
static bool may_prlimit(struct task *t, struct task *other)
{
	const struct cred *me = t->cred, *c;
	bool ok;

	if (t->tg == other->tg || cred_capable(me, ABI_CAP_SYS_RESOURCE))
		return true;
	c = task_cred_get(other);
	ok = me->uid == c->uid && me->uid == c->euid && me->uid == c->suid && me->gid == c->gid &&
	     me->gid == c->egid && me->gid == c->sgid;
	cred_put(c);
	return ok;
}

int64_t sys_prlimit64(struct task *t, const struct sysargs *a)
{
	int32_t pid = abi_int(a->arg[0]);
	struct abi_rlimit fresh, old;
	struct task *other;
	int64_t ret;

	if (a->arg[2] && copy_from_user(t, &fresh, uaddr(a->arg[2]), sizeof(fresh)))
		return -EFAULT;
	other = pid ? task_find(t->kernel, pid) : task_get(t);
	if (!other)
		return -ESRCH;
	ret = may_prlimit(t, other) ? 0 : -EPERM;
	if (!ret)
		ret = rlimit_change(t, other->tg, (unsigned)a->arg[1], a->arg[2] ? &fresh : NULL,
				    &old);
	task_put(other);
	if (!ret && a->arg[3])
		ret = copy_to_user(t, uaddr(a->arg[3]), &old, sizeof(old));
	return ret;
}

/* ---- odds and ends ---- */

#define PERSONALITY_MASK 0x00ff /* the execution domain; only Linux's own is here */

int64_t sys_personality(struct task *t, const struct sysargs *a)
{
	uint32_t fresh = (uint32_t)a->arg[0], old;

	mutex_lock(&t->tg->siglock);
	old = t->tg->personality;
	if (fresh != ABI_PERSONALITY_QUERY && (fresh & PERSONALITY_MASK) == ABI_PER_LINUX)
		t->tg->personality = fresh;
	mutex_unlock(&t->tg->siglock);
	if (fresh != ABI_PERSONALITY_QUERY && (fresh & PERSONALITY_MASK) != ABI_PER_LINUX)
		return unsupported(t, EINVAL, "personality 0x%x", fresh);
	return old;
}

static int64_t syslog_read_all(struct task *t, uint64_t va, int size)
{
	char *buf;
	size_t n;
	int64_t ret;

	if (size < 0 || !va)
		return -EINVAL;
	size = MIN(size, KLOG_SIZE);
	buf = xmalloc((size_t)size + 1);
	n = klog_read(buf, (size_t)size);
	ret = copy_to_user(t, uaddr(va), buf, n) ? -EFAULT : (int64_t)n;
	free(buf);
	return ret;
}

int64_t sys_syslog(struct task *t, const struct sysargs *a)
{
	int type = abi_int(a->arg[0]);
	bool reads = type == ABI_SYSLOG_ACTION_READ_ALL || type == ABI_SYSLOG_ACTION_SIZE_BUFFER;

	if (!reads && !cred_capable(t->cred, ABI_CAP_SYSLOG) &&
	    !cred_capable(t->cred, ABI_CAP_SYS_ADMIN))
		return -EPERM;
	switch (type) {
	case ABI_SYSLOG_ACTION_CLOSE:
	case ABI_SYSLOG_ACTION_OPEN:
	case ABI_SYSLOG_ACTION_CONSOLE_OFF:
	case ABI_SYSLOG_ACTION_CONSOLE_ON:
		return 0; /* nothing is printed on a console */
	case ABI_SYSLOG_ACTION_READ_ALL:
		return syslog_read_all(t, a->arg[1], abi_int(a->arg[2]));
	case ABI_SYSLOG_ACTION_SIZE_BUFFER:
		return KLOG_SIZE;
	case ABI_SYSLOG_ACTION_CONSOLE_LEVEL:
		return abi_int(a->arg[2]) < 1 || abi_int(a->arg[2]) > 8 ? -EINVAL : 0;
	case ABI_SYSLOG_ACTION_READ:
	case ABI_SYSLOG_ACTION_READ_CLEAR:
	case ABI_SYSLOG_ACTION_CLEAR:
	case ABI_SYSLOG_ACTION_SIZE_UNREAD:
		return unsupported(t, EINVAL, "action %d", type);
	default:
		return -EINVAL;
	}
}

/*
 * A call into the sentry is no barrier for the other threads of the guest, which may run on other
 * CPUs without ever leaving guest code. So nothing is offered; programs have ways without.
 */
int64_t sys_membarrier(struct task *t, const struct sysargs *a)
{
	if (abi_int(a->arg[0]) == ABI_MEMBARRIER_CMD_QUERY)
		return a->arg[1] ? -EINVAL : 0;
	return unsupported(t, EINVAL, "command 0x%x", abi_int(a->arg[0]));
}
