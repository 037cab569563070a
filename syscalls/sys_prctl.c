/* SPDX-License-Identifier: Apache-2.0 */
/* prctl(2) and arch_prctl(2). */
#include <errno.h>
#include <string.h>

#include "abi/caps.h"
#include "abi/errno.h"
#include "abi/prctl.h"
#include "abi/signal.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/unsupported.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/usermem.h"
#include "syscalls/syscalls.h"

#define DEFAULT_TIMER_SLACK_NS 50000

static int64_t set_name(struct task *t, uint64_t va)
{
	char name[ABI_TASK_COMM_LEN] = {0};
	ssize_t n = strncpy_from_user(t, name, uaddr(va), sizeof(name));

	if (n == -EFAULT)
		return n;
	name[sizeof(name) - 1] = '\0';
	mutex_lock(&t->tg->siglock);
	memcpy(t->comm, name, sizeof(t->comm));
	mutex_unlock(&t->tg->siglock);
	return 0;
}

static int64_t get_name(struct task *t, uint64_t va)
{
	char name[ABI_TASK_COMM_LEN];

	mutex_lock(&t->tg->siglock);
	memcpy(name, t->comm, sizeof(name));
	mutex_unlock(&t->tg->siglock);
	return copy_to_user(t, uaddr(va), name, sizeof(name));
}

static int64_t put_int(struct task *t, uint64_t va, int32_t value)
{
	return copy_to_user(t, uaddr(va), &value, sizeof(value));
}

static bool rest_is_zero(const struct sysargs *a, int from)
{
	for (int i = from; i < 5; i++)
		if (a->arg[i])
			return false;
	return true;
}

/* ---- capabilities ---- */

static int64_t capbset(struct task *t, bool drop, uint64_t cap)
{
	struct cred *c;

	if (cap > ABI_CAP_LAST)
		return -EINVAL;
	if (!drop)
		return t->cred->cap_bounding >> cap & 1;
	if (!cred_capable(t->cred, ABI_CAP_SETPCAP))
		return -EPERM;
	c = cred_dup(t->cred);
	c->cap_bounding &= ~(1ull << cap);
	cred_install(t, c);
	return 0;
}

static int64_t cap_ambient(struct task *t, const struct sysargs *a)
{
	uint64_t what = a->arg[1], cap = a->arg[2];
	const struct cred *old = t->cred;
	struct cred *c;

	if (what == ABI_PR_CAP_AMBIENT_CLEAR_ALL) {
		if (!rest_is_zero(a, 2))
			return -EINVAL;
		c = cred_dup(old);
		c->cap_ambient = 0;
		cred_install(t, c);
		return 0;
	}
	if (cap > ABI_CAP_LAST || !rest_is_zero(a, 3))
		return -EINVAL;
	if (what == ABI_PR_CAP_AMBIENT_IS_SET)
		return old->cap_ambient >> cap & 1;
	if (what != ABI_PR_CAP_AMBIENT_RAISE && what != ABI_PR_CAP_AMBIENT_LOWER)
		return -EINVAL;
	if (what == ABI_PR_CAP_AMBIENT_RAISE &&
	    (!((old->cap_permitted & old->cap_inheritable) >> cap & 1) ||
	     (old->securebits & ABI_SECBIT_NO_CAP_AMBIENT_RAISE)))
		return -EPERM;
	c = cred_dup(old);
	if (what == ABI_PR_CAP_AMBIENT_RAISE)
		c->cap_ambient |= 1ull << cap;
	else
		c->cap_ambient &= ~(1ull << cap);
	cred_install(t, c);
	return 0;
}

#define SECUREBITS_ALL	 0xffu
#define SECUREBITS_LOCKS 0xaau

static int64_t set_securebits(struct task *t, uint64_t bits)
{
	uint32_t old = t->cred->securebits;
	/* A lock, once set, and what it locks stay as they are. */
	uint32_t locked = (old & SECUREBITS_LOCKS) | (old & SECUREBITS_LOCKS) >> 1;
	struct cred *c;

	if (bits & ~(uint64_t)SECUREBITS_ALL || ((old ^ bits) & locked) ||
	    !cred_capable(t->cred, ABI_CAP_SETPCAP))
		return -EPERM;
	c = cred_dup(t->cred);
	c->securebits = (uint32_t)bits;
	cred_install(t, c);
	return 0;
}

static int64_t set_keepcaps(struct task *t, uint64_t on)
{
	struct cred *c;

	if (on > 1)
		return -EINVAL;
	if (t->cred->securebits & ABI_SECBIT_KEEP_CAPS_LOCKED)
		return -EPERM;
	c = cred_dup(t->cred);
	c->securebits &= ~(uint32_t)ABI_SECBIT_KEEP_CAPS;
	if (on)
		c->securebits |= ABI_SECBIT_KEEP_CAPS;
	cred_install(t, c);
	return 0;
}

static int64_t set_no_new_privs(struct task *t, const struct sysargs *a)
{
	struct cred *c;

	if (a->arg[1] != 1 || !rest_is_zero(a, 2))
		return -EINVAL;
	if (t->cred->no_new_privs)
		return 0;
	c = cred_dup(t->cred);
	c->no_new_privs = true;
	cred_install(t, c);
	return 0;
}

/* ---- of the process ---- */

static int64_t set_dumpable(struct task *t, uint64_t on)
{
	if (on > 1)
		return -EINVAL;
	mutex_lock(&t->kernel->tasks_lock);
	t->tg->dumpable = on;
	mutex_unlock(&t->kernel->tasks_lock);
	return 0;
}

static int64_t set_subreaper(struct task *t, uint64_t on)
{
	mutex_lock(&t->kernel->tasks_lock);
	t->tg->is_subreaper = on != 0;
	mutex_unlock(&t->kernel->tasks_lock);
	return 0;
}

static int64_t set_pdeathsig(struct task *t, uint64_t signo)
{
	if (signo > ABI_NSIG)
		return -EINVAL;
	t->pdeath_signal = (int32_t)signo;
	return 0;
}

static int64_t set_timer_slack(struct task *t, uint64_t ns)
{
	t->timer_slack_ns = (int64_t)ns > 0 ? ns : DEFAULT_TIMER_SLACK_NS;
	return 0;
}

/* Names of anonymous areas are for people who read /proc/pid/maps; none are kept. */
static int64_t set_vma(struct task *t, const struct sysargs *a)
{
	if (a->arg[1] != ABI_PR_SET_VMA_ANON_NAME)
		return -EINVAL;
	return unsupported(t, EINVAL, "PR_SET_VMA_ANON_NAME");
}

static int64_t prctl_more(struct task *t, const struct sysargs *a)
{
	switch (abi_int(a->arg[0])) {
	case ABI_PR_GET_TIMING:
		return 0; /* PR_TIMING_STATISTICAL */
	case ABI_PR_SET_TIMING:
		return a->arg[1] ? -EINVAL : 0;
	case ABI_PR_GET_TSC:
		return put_int(t, a->arg[1], 1); /* PR_TSC_ENABLE */
	case ABI_PR_SET_TSC:
		return a->arg[1] == 1 ? 0 : unsupported(t, EINVAL, "PR_TSC_SIGSEGV");
	case ABI_PR_GET_TID_ADDRESS:
		return copy_to_user(t, uaddr(a->arg[1]), &t->clear_child_tid, 8);
	case ABI_PR_GET_THP_DISABLE:
		return rest_is_zero(a, 1) ? 0 : -EINVAL;
	case ABI_PR_SET_THP_DISABLE:
		if (!rest_is_zero(a, 2))
			return -EINVAL;
		return a->arg[1] ? unsupported(t, EINVAL, "PR_SET_THP_DISABLE") : 0;
	case ABI_PR_GET_SECCOMP:
		return 0; /* no filter: none can be installed */
	case ABI_PR_SET_SECCOMP:
		return unsupported(t, EINVAL, "PR_SET_SECCOMP");
	case ABI_PR_SET_VMA:
		return set_vma(t, a);
	case ABI_PR_SET_PTRACER:
		return -EINVAL; /* as a Linux without Yama */
	case ABI_PR_GET_MDWE:
		return rest_is_zero(a, 1) ? 0 : -EINVAL;
	case ABI_PR_GET_IO_FLUSHER:
		return cred_capable(t->cred, ABI_CAP_SYS_RESOURCE) ? 0 : -EPERM;
	case ABI_PR_GET_MEMORY_MERGE:
		return 0;
	case ABI_PR_SET_MM:
	case ABI_PR_SET_MDWE:
	case ABI_PR_SET_IO_FLUSHER:
	case ABI_PR_SET_MEMORY_MERGE:
	case ABI_PR_SCHED_CORE:
	case ABI_PR_SET_SYSCALL_USER_DISPATCH:
	case ABI_PR_GET_SPECULATION_CTRL:
	case ABI_PR_SET_SPECULATION_CTRL:
		return unsupported(t, EINVAL, "option %d", abi_int(a->arg[0]));
	default:
		return -EINVAL;
	}
}

int64_t sys_prctl(struct task *t, const struct sysargs *a)
{
	switch (abi_int(a->arg[0])) {
	case ABI_PR_SET_NAME:
		return set_name(t, a->arg[1]);
	case ABI_PR_GET_NAME:
		return get_name(t, a->arg[1]);
	case ABI_PR_SET_PDEATHSIG:
		return set_pdeathsig(t, a->arg[1]);
	case ABI_PR_GET_PDEATHSIG:
		return put_int(t, a->arg[1], t->pdeath_signal);
	case ABI_PR_GET_DUMPABLE:
		return t->tg->dumpable;
	case ABI_PR_SET_DUMPABLE:
		return set_dumpable(t, a->arg[1]);
	case ABI_PR_GET_KEEPCAPS:
		return (t->cred->securebits & ABI_SECBIT_KEEP_CAPS) != 0;
	case ABI_PR_SET_KEEPCAPS:
		return set_keepcaps(t, a->arg[1]);
	case ABI_PR_CAPBSET_READ:
		return capbset(t, false, a->arg[1]);
	case ABI_PR_CAPBSET_DROP:
		return capbset(t, true, a->arg[1]);
	case ABI_PR_CAP_AMBIENT:
		return cap_ambient(t, a);
	case ABI_PR_GET_SECUREBITS:
		return t->cred->securebits;
	case ABI_PR_SET_SECUREBITS:
		return set_securebits(t, a->arg[1]);
	case ABI_PR_SET_NO_NEW_PRIVS:
		return set_no_new_privs(t, a);
	case ABI_PR_GET_NO_NEW_PRIVS:
		return rest_is_zero(a, 1) ? t->cred->no_new_privs : -EINVAL;
	case ABI_PR_SET_CHILD_SUBREAPER:
		return set_subreaper(t, a->arg[1]);
	case ABI_PR_GET_CHILD_SUBREAPER:
		return put_int(t, a->arg[1], t->tg->is_subreaper);
	case ABI_PR_SET_TIMERSLACK:
		return set_timer_slack(t, a->arg[1]);
	case ABI_PR_GET_TIMERSLACK:
		return (int64_t)t->timer_slack_ns;
	default:
		return prctl_more(t, a);
	}
}

/* ---- arch_prctl ---- */

int64_t sys_arch_prctl(struct task *t, const struct sysargs *a)
{
	switch (abi_int(a->arg[0])) {
	case ABI_ARCH_SET_FS:
		if (a->arg[1] >= PLATFORM_GUEST_MAX)
			return -EPERM;
		t->reply.set_fs_base = true;
		t->reply.fs_base = a->arg[1];
		return 0;
	case ABI_ARCH_GET_CPUID:
		return 1; /* the instruction is not intercepted */
	case ABI_ARCH_SET_CPUID:
		return -ENODEV;
	case ABI_ARCH_GET_FS:
	case ABI_ARCH_SET_GS:
	case ABI_ARCH_GET_GS:
		/* fs can be read by rdfsbase; gs belongs to the stub. */
		return unsupported(t, EINVAL, "code 0x%x", abi_int(a->arg[0]));
	case ABI_ARCH_GET_XCOMP_SUPP:
	case ABI_ARCH_GET_XCOMP_PERM:
	case ABI_ARCH_REQ_XCOMP_PERM:
	case ABI_ARCH_SHSTK_ENABLE:
	case ABI_ARCH_SHSTK_STATUS:
	default:
		return -EINVAL; /* as a Linux on a CPU without these */
	}
}
