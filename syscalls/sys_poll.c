/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poll and select. Each run of the handler asks all files; if none is ready it adds the task to
 * their queues, asks again, and blocks. The deadline is set once.
 */
#include <stdlib.h>
#include <string.h>

#include "abi/poll.h"
#include "abi/resource.h"
#include "abi/time.h"
#include "base/mem.h"
#include "syscalls/sysfile.h"

#define FDS_ON_STACK	32
#define POLL_FDS_MAX	(1 << 20)
#define SELECT_ON_STACK 16 /* words a set: 1024 descriptors */
#define WORD_BITS	64
#define ALWAYS		(ABI_POLLERR | ABI_POLLHUP)
#define SELECT_IN	(ABI_POLLRDNORM | ABI_POLLRDBAND | ABI_POLLIN | ABI_POLLHUP | ABI_POLLERR)
#define SELECT_OUT	(ABI_POLLWRBAND | ABI_POLLWRNORM | ABI_POLLOUT | ABI_POLLERR)
#define SELECT_EX	ABI_POLLPRI

/* ---- masks and times ---- */

int task_use_sigmask(struct task *t, uint64_t mask_va, uint64_t size)
{
	uint64_t mask;

	if (!mask_va)
		return 0;
	if (size != sizeof(mask))
		return -EINVAL;
	if (copy_from_user(t, &mask, uaddr(mask_va), sizeof(mask)))
		return -EFAULT;
	signal_set_temporary_mask(t, mask);
	return 0;
}

static uint64_t after(uint64_t ns)
{
	uint64_t now = time_monotonic_ns();

	return ns > UINT64_MAX - 1 - now ? TIME_NEVER : now + ns;
}

int task_deadline_from_timespec(struct task *t, uint64_t va, bool *ret_zero)
{
	struct abi_timespec ts;

	*ret_zero = false;
	if (t->call.deadline_set)
		return 0;
	if (!va) {
		task_set_deadline(t, TIME_NEVER);
		return 0;
	}
	if (copy_from_user(t, &ts, uaddr(va), sizeof(ts)))
		return -EFAULT;
	if (ts.sec < 0 || ts.nsec < 0 || ts.nsec >= ABI_NSEC_PER_SEC)
		return -EINVAL;
	*ret_zero = !ts.sec && !ts.nsec;
	task_set_deadline(t, (uint64_t)ts.sec > UINT64_MAX / ABI_NSEC_PER_SEC - 1
				 ? TIME_NEVER
				 : after((uint64_t)ts.sec * ABI_NSEC_PER_SEC + (uint64_t)ts.nsec));
	return 0;
}

void task_deadline_from_ms(struct task *t, int ms)
{
	if (!t->call.deadline_set)
		task_set_deadline(t, ms < 0 ? TIME_NEVER : after((uint64_t)ms * 1000000));
}

/* Linux writes back what is left of the time; a fault there is no error. */
static void put_left(struct task *t, uint64_t va, bool timeval)
{
	uint64_t left = va ? task_deadline_left(t) : TIME_NEVER;
	struct abi_timespec ts;

	if (left == TIME_NEVER)
		return;
	ts.sec = (int64_t)(left / ABI_NSEC_PER_SEC);
	ts.nsec = (int64_t)(left % ABI_NSEC_PER_SEC);
	if (timeval)
		ts.nsec /= 1000;
	(void)copy_to_user(t, uaddr(va), &ts, sizeof(ts));
}

/* ---- poll ---- */

/* The count of descriptors with news. wait: the task is added to the queues until one has. */
static int64_t poll_all(struct task *t, struct abi_pollfd *fds, uint32_t count, bool wait)
{
	int64_t ready = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t wanted = (uint16_t)fds[i].events | ALWAYS, got;
		struct file *f;

		fds[i].revents = 0;
		if (fds[i].fd < 0)
			continue;
		f = fd_get_io(t, fds[i].fd);
		if (!f)
			got = ABI_POLLNVAL;
		else if (wait && !ready)
			got = file_wait(t, f, wanted) & wanted;
		else
			got = vfs_poll(f, NULL) & wanted;
		file_put(f);
		fds[i].revents = (int16_t)got;
		ready += got != 0;
	}
	return ready;
}

/* Only the revents go back, but writing all is one copy; the guest races with itself alone. */
static int64_t poll_result(struct task *t, uint64_t va, const struct abi_pollfd *fds,
			   uint32_t count, int64_t ready)
{
	if (count && copy_to_user(t, uaddr(va), fds, count * sizeof(*fds)))
		return -EFAULT;
	return ready;
}

static int64_t poll_wait_all(struct task *t, uint64_t va, struct abi_pollfd *fds, uint32_t count,
			     bool zero, int64_t interrupted)
{
	int64_t ret = poll_all(t, fds, count, false);

	if (!ret && !zero && !task_deadline_passed(t)) {
		ret = poll_all(t, fds, count, true);
		if (!ret)
			ret = task_block(t, interrupted);
		if (ret == -ETIMEDOUT)
			ret = 0;
	}
	return ret < 0 ? ret : poll_result(t, va, fds, count, ret);
}

static int64_t do_poll(struct task *t, uint64_t va, uint32_t count, bool zero, int64_t interrupted)
{
	struct abi_pollfd few[FDS_ON_STACK], *fds = few;
	int64_t ret;

	if (count > task_rlimit(t, ABI_RLIMIT_NOFILE) || count > POLL_FDS_MAX)
		return -EINVAL;
	if (count > FDS_ON_STACK)
		fds = xmalloc(count * sizeof(*fds));
	if (count && copy_from_user(t, fds, uaddr(va), count * sizeof(*fds)))
		ret = -EFAULT;
	else
		ret = poll_wait_all(t, va, fds, count, zero, interrupted);
	if (fds != few)
		free(fds);
	return ret;
}

int64_t sys_poll(struct task *t, const struct sysargs *a)
{
	int ms = abi_int(a->arg[2]);

	task_deadline_from_ms(t, ms);
	return do_poll(t, a->arg[0], (uint32_t)a->arg[1], ms == 0, -ERESTART_RESTARTBLOCK);
}

int64_t sys_ppoll(struct task *t, const struct sysargs *a)
{
	bool zero;
	int64_t ret = task_deadline_from_timespec(t, a->arg[2], &zero);

	if (!ret)
		ret = task_use_sigmask(t, a->arg[3], a->arg[4]);
	if (ret)
		return ret;
	ret = do_poll(t, a->arg[0], (uint32_t)a->arg[1], zero, -ERESTARTNOHAND);
	if (ret != SYS_BLOCKED)
		put_left(t, a->arg[2], false);
	return ret;
}

/* ---- select ---- */

struct select {
	uint32_t count;	    /* descriptors looked at */
	size_t words;	    /* of each set */
	uint64_t va[3];	    /* in, out, ex; 0: not given */
	uint64_t *want[3];  /* words each */
	uint64_t *found[3]; /* words each */
};

static const uint32_t select_events[3] = {SELECT_IN, SELECT_OUT, SELECT_EX};

static uint32_t select_wanted(const struct select *s, uint32_t fd)
{
	uint64_t bit = 1ull << (fd % WORD_BITS);
	uint32_t wanted = 0;

	for (int i = 0; i < 3; i++)
		if (s->want[i][fd / WORD_BITS] & bit)
			wanted |= select_events[i];
	return wanted;
}

static int64_t select_found(struct select *s, uint32_t fd, uint32_t got)
{
	uint64_t bit = 1ull << (fd % WORD_BITS);
	int64_t bits = 0;

	for (int i = 0; i < 3; i++)
		if ((s->want[i][fd / WORD_BITS] & bit) && (got & select_events[i])) {
			s->found[i][fd / WORD_BITS] |= bit;
			bits++;
		}
	return bits;
}

static int64_t select_all(struct task *t, struct select *s, bool wait)
{
	int64_t ready = 0;

	for (uint32_t fd = 0; fd < s->count; fd++) {
		uint64_t any = s->want[0][fd / WORD_BITS] | s->want[1][fd / WORD_BITS] |
			       s->want[2][fd / WORD_BITS];
		uint32_t wanted;
		struct file *f;

		if (!(any >> (fd % WORD_BITS))) {
			fd |= WORD_BITS - 1;
			continue;
		}
		wanted = select_wanted(s, fd);
		if (!wanted)
			continue;
		f = fd_get_io(t, (int)fd);
		if (!f)
			return -EBADF;
		ready += select_found(s, fd,
				      wait && !ready ? file_wait(t, f, wanted) : vfs_poll(f, NULL));
		file_put(f);
	}
	return ready;
}

static int64_t select_run(struct task *t, struct select *s, bool zero)
{
	int64_t ret = select_all(t, s, false);

	if (ret || zero || task_deadline_passed(t))
		return ret;
	ret = select_all(t, s, true);
	if (!ret)
		ret = task_block(t, -ERESTARTNOHAND);
	return ret == -ETIMEDOUT ? 0 : ret;
}

static int64_t select_copy(struct task *t, struct select *s, bool in)
{
	size_t size = s->words * sizeof(uint64_t);

	for (int i = 0; i < 3; i++) {
		if (!s->va[i] || !size)
			continue;
		if (in ? copy_from_user(t, s->want[i], uaddr(s->va[i]), size)
		       : copy_to_user(t, uaddr(s->va[i]), s->found[i], size))
			return -EFAULT;
	}
	return 0;
}

static int64_t do_select(struct task *t, const struct sysargs *a, bool zero)
{
	uint64_t few[6 * SELECT_ON_STACK], *all = few;
	int32_t n = abi_int(a->arg[0]);
	struct select s;
	int64_t ret;

	if (n < 0)
		return -EINVAL;
	/* Programs pass the most they may open with sets for fewer: no more is looked at. */
	s.count = MIN((uint32_t)n, files_size(t->files));
	s.words = (s.count + WORD_BITS - 1) / WORD_BITS;
	if (s.words > SELECT_ON_STACK)
		all = xmalloc(6 * s.words * sizeof(*all));
	memset(all, 0, 6 * s.words * sizeof(*all));
	for (int i = 0; i < 3; i++) {
		s.va[i] = a->arg[1 + i];
		s.want[i] = all + (size_t)i * s.words;
		s.found[i] = all + (size_t)(3 + i) * s.words;
	}
	ret = select_copy(t, &s, true);
	if (!ret)
		ret = select_run(t, &s, zero);
	if (ret >= 0 && select_copy(t, &s, false))
		ret = -EFAULT;
	if (all != few)
		free(all);
	return ret;
}

int64_t sys_select(struct task *t, const struct sysargs *a)
{
	struct abi_timeval tv = {0, 0};
	int64_t ret;

	if (a->arg[4] && !t->call.deadline_set) {
		if (copy_from_user(t, &tv, uaddr(a->arg[4]), sizeof(tv)))
			return -EFAULT;
		if (tv.sec < 0 || tv.usec < 0)
			return -EINVAL;
		/* As Linux: too many microseconds are seconds. */
		task_set_deadline(
		    t, tv.sec > INT64_MAX / 4 / ABI_NSEC_PER_SEC
			   ? TIME_NEVER
			   : after((uint64_t)tv.sec * ABI_NSEC_PER_SEC + (uint64_t)tv.usec * 1000));
	} else {
		task_set_deadline(t, TIME_NEVER);
	}
	ret = do_select(t, a, false);
	if (ret != SYS_BLOCKED)
		put_left(t, a->arg[4], true);
	return ret;
}

int64_t sys_pselect6(struct task *t, const struct sysargs *a)
{
	struct abi_sigset_argpack pack = {0, 0};
	bool zero;
	int64_t ret;

	if (a->arg[5] && copy_from_user(t, &pack, uaddr(a->arg[5]), sizeof(pack)))
		return -EFAULT;
	ret = task_deadline_from_timespec(t, a->arg[4], &zero);
	if (!ret)
		ret = task_use_sigmask(t, pack.sigset, pack.size);
	if (ret)
		return ret;
	ret = do_select(t, a, zero);
	if (ret != SYS_BLOCKED)
		put_left(t, a->arg[4], false);
	return ret;
}
