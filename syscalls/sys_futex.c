/* SPDX-License-Identifier: Apache-2.0 */
/* futex(2) and its younger relatives, and robust lists. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"
#include "abi/futex.h"
#include "abi/time.h"
#include "base/mem.h"
#include "sentry/kernel/futex.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/own.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_block.h"
#include "sentry/kernel/unsupported.h"
#include "sentry/mm/usermem.h"
#include "syscalls/syscalls.h"
#include "syscalls/timeargs.h"

/* The deadline of a wait. FUTEX_WAIT's time is relative, all others' absolute. */
static int wait_deadline(struct task *t, uint64_t ptr, bool relative, bool realtime, uint64_t *ret)
{
	uint64_t ns;
	int err;

	if (t->call.deadline_set) { /* not the first run */
		*ret = t->call.deadline;
		return 0;
	}
	*ret = TIME_NEVER;
	if (!ptr)
		return 0;
	err = timespec_from_user(t, uaddr(ptr), &ns);
	if (err)
		return err;
	if (relative)
		*ret = deadline_in(ns);
	else
		*ret = realtime ? deadline_at_realtime(ns) : ns;
	return 0;
}

static int64_t do_wait(struct task *t, const struct sysargs *a, bool bitset_given)
{
	int op = abi_int(a->arg[1]);
	struct futex_word word = {
	    .va = a->arg[0],
	    .private = op & ABI_FUTEX_PRIVATE_FLAG,
	    .value = (uint32_t)a->arg[2],
	    .bitset = bitset_given ? (uint32_t)a->arg[5] : ABI_FUTEX_BITSET_MATCH_ANY,
	};
	bool realtime = op & ABI_FUTEX_CLOCK_REALTIME;
	uint64_t deadline;
	int err;
	int64_t interrupted = a->arg[3] ? -ERESTART_RESTARTBLOCK : -ERESTARTSYS;

	if (!word.bitset)
		return -EINVAL;
	if (word.private && t->kernel->host_futex)
		return futex_wait_on_host(t, interrupted);
	err = wait_deadline(t, a->arg[3], !bitset_given, realtime, &deadline);
	if (err)
		return err;
	return futex_wait(t, &word, 1, deadline, interrupted);
}

static int64_t do_requeue(struct task *t, const struct sysargs *a, bool compare)
{
	bool private = abi_int(a->arg[1]) & ABI_FUTEX_PRIVATE_FLAG;
	int32_t wake = abi_int(a->arg[2]), move = abi_int(a->arg[3]);
	uint32_t value = (uint32_t)a->arg[5];

	if (wake < 0 || move < 0)
		return -EINVAL;
	if (a->arg[4] & 3)
		return -EINVAL;
	return futex_requeue(t, a->arg[0], private, a->arg[4], (uint32_t)wake, (uint32_t)move,
			     compare ? &value : NULL);
}

/* A count of 0 or less wakes one, as in Linux. */
static uint32_t wake_count(uint64_t arg)
{
	return abi_int(arg) < 1 ? 1 : (uint32_t)arg;
}

int64_t sys_futex(struct task *t, const struct sysargs *a)
{
	int op = abi_int(a->arg[1]);
	bool private = op & ABI_FUTEX_PRIVATE_FLAG;
	int cmd = op & ABI_FUTEX_CMD_MASK;

	if (a->arg[0] & 3)
		return -EINVAL;
	if (a->arg[0] >= PLATFORM_GUEST_MAX)
		return -EFAULT;
	if ((op & ABI_FUTEX_CLOCK_REALTIME) && cmd != ABI_FUTEX_WAIT_BITSET &&
	    cmd != ABI_FUTEX_WAIT_REQUEUE_PI && cmd != ABI_FUTEX_LOCK_PI2)
		return -ENOSYS;
	switch (cmd) {
	case ABI_FUTEX_WAIT:
		return do_wait(t, a, false);
	case ABI_FUTEX_WAIT_BITSET:
		return do_wait(t, a, true);
	case ABI_FUTEX_WAKE:
		return futex_wake(t, a->arg[0], private, wake_count(a->arg[2]),
				  ABI_FUTEX_BITSET_MATCH_ANY);
	case ABI_FUTEX_WAKE_BITSET:
		if (!(uint32_t)a->arg[5])
			return -EINVAL;
		return futex_wake(t, a->arg[0], private, wake_count(a->arg[2]),
				  (uint32_t)a->arg[5]);
	case ABI_FUTEX_REQUEUE:
		return do_requeue(t, a, false);
	case ABI_FUTEX_CMP_REQUEUE:
		return do_requeue(t, a, true);
	case ABI_FUTEX_WAKE_OP:
		if (a->arg[4] & 3)
			return -EINVAL;
		return futex_wake_op(t, a->arg[0], private, a->arg[4], wake_count(a->arg[2]),
				     wake_count(a->arg[3]), (uint32_t)a->arg[5]);
	case ABI_FUTEX_LOCK_PI:
	case ABI_FUTEX_LOCK_PI2:
	case ABI_FUTEX_UNLOCK_PI:
	case ABI_FUTEX_TRYLOCK_PI:
	case ABI_FUTEX_WAIT_REQUEUE_PI:
	case ABI_FUTEX_CMP_REQUEUE_PI:
		return unsupported(t, ENOSYS, "priority inheritance (operation %d)", cmd);
	default:
		return -ENOSYS;
	}
}

/* ---- futex2 ---- */

static int check_futex2(struct task *t, uint64_t va, uint64_t flags)
{
	if (flags & ~(uint64_t)(ABI_FUTEX2_SIZE_MASK | ABI_FUTEX2_NUMA | ABI_FUTEX2_PRIVATE))
		return -EINVAL;
	if ((flags & ABI_FUTEX2_SIZE_MASK) != ABI_FUTEX2_SIZE_U32)
		return -EINVAL;
	if (flags & ABI_FUTEX2_NUMA)
		return (int)unsupported(t, EINVAL, "FUTEX2_NUMA");
	return va & 3 ? -EINVAL : 0;
}

static int futex2_deadline(struct task *t, uint64_t ptr, int clock, uint64_t *ret)
{
	if (ptr && clock != ABI_CLOCK_MONOTONIC && clock != ABI_CLOCK_REALTIME)
		return -EINVAL;
	return wait_deadline(t, ptr, false, clock == ABI_CLOCK_REALTIME, ret);
}

int64_t sys_futex_wake(struct task *t, const struct sysargs *a)
{
	int err = check_futex2(t, a->arg[0], a->arg[3]);

	if (err)
		return err;
	if (!(uint32_t)a->arg[1])
		return -EINVAL;
	return futex_wake(t, a->arg[0], a->arg[3] & ABI_FUTEX2_PRIVATE, wake_count(a->arg[2]),
			  (uint32_t)a->arg[1]);
}

int64_t sys_futex_wait(struct task *t, const struct sysargs *a)
{
	struct futex_word word = {
	    .va = a->arg[0],
	    .private = a->arg[3] & ABI_FUTEX2_PRIVATE,
	    .value = (uint32_t)a->arg[1],
	    .bitset = (uint32_t)a->arg[2],
	};
	uint64_t deadline;
	int err = check_futex2(t, a->arg[0], a->arg[3]);

	if (!err && (!word.bitset || a->arg[1] >> 32 || a->arg[2] >> 32))
		err = -EINVAL;
	if (!err && word.private && t->kernel->host_futex)
		return futex_wait_on_host(t, -ERESTARTSYS);
	if (!err)
		err = futex2_deadline(t, a->arg[4], abi_int(a->arg[5]), &deadline);
	if (err)
		return err;
	return futex_wait(t, &word, 1, deadline, -ERESTARTSYS);
}

/* All private: the host's. Some: nobody sees all of them. */
static int64_t wait_words(struct task *t, const struct futex_word *words, uint32_t count,
			  uint64_t deadline)
{
	uint32_t private = 0;

	for (uint32_t i = 0; i < count && t->kernel->host_futex; i++)
	private += words[i].private;
	if (!private)
		return futex_wait(t, words, count, deadline, -ERESTARTSYS);
	if (private < count)
		return unsupported(t, EINVAL, "private and shared words at once");
	return futex_wait_on_host(t, -ERESTARTSYS);
}

int64_t sys_futex_waitv(struct task *t, const struct sysargs *a)
{
	uint32_t count = (uint32_t)a->arg[1];
	struct abi_futex_waitv *wv;
	struct futex_word *words;
	uint64_t deadline;
	int64_t ret;

	if (!count || count > ABI_FUTEX_WAITV_MAX || a->arg[2])
		return -EINVAL;
	ret = futex2_deadline(t, a->arg[3], abi_int(a->arg[4]), &deadline);
	if (ret)
		return ret;
	wv = xcalloc(count, sizeof(*wv));
	words = xcalloc(count, sizeof(*words));
	if (copy_from_user(t, wv, uaddr(a->arg[0]), count * sizeof(*wv)))
		ret = -EFAULT;
	for (uint32_t i = 0; !ret && i < count; i++) {
		ret = wv[i].reserved || wv[i].val >> 32 ? -EINVAL : 0;
		if (!ret)
			ret = check_futex2(t, wv[i].uaddr, wv[i].flags);
		words[i] = (struct futex_word){
		    .va = wv[i].uaddr,
		    .private = wv[i].flags & ABI_FUTEX2_PRIVATE,
		    .value = (uint32_t)wv[i].val,
		    .bitset = ABI_FUTEX_BITSET_MATCH_ANY,
		};
	}
	if (!ret)
		ret = wait_words(t, words, count, deadline);
	free(words);
	free(wv);
	return ret;
}

/* ---- robust lists ---- */

int64_t sys_set_robust_list(struct task *t, const struct sysargs *a)
{
	if (a->arg[1] != sizeof(struct abi_robust_list_head))
		return -EINVAL;
	t->robust_list = a->arg[0];
	return 0;
}

int64_t sys_get_robust_list(struct task *t, const struct sysargs *a)
{
	int32_t tid = abi_int(a->arg[0]);
	uint64_t head, size = sizeof(struct abi_robust_list_head);
	struct task *other;

	if (tid < 0)
		return -ESRCH;
	other = tid ? task_find(t->kernel, tid) : task_get(t);
	if (!other)
		return -ESRCH;
	mutex_lock(&other->tg->siglock);
	head = own_robust_list_locked(other);
	mutex_unlock(&other->tg->siglock);
	/* Of other processes only a debugger may ask. */
	if (other->tg != t->tg) {
		task_put(other);
		return -EPERM;
	}
	task_put(other);
	if (copy_to_user(t, uaddr(a->arg[2]), &size, sizeof(size)))
		return -EFAULT;
	return copy_to_user(t, uaddr(a->arg[1]), &head, sizeof(head));
}
