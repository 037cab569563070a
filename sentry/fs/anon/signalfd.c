/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signalfd(2): signals as something to be read. A read takes from what is pending for the task that
 * reads and for its process, as on Linux. Readiness is that of the process that made the descriptor
 * (Linux: of whoever asks), and leaves out signals that were sent to a single thread: they are
 * there for a read of that thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/fcntl.h"
#include "abi/poll.h"
#include "abi/signal.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "sentry/fs/anon/anon.h"
#include "sentry/kernel/lockorder.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/usermem.h"
#include "sentry/vfs/vfs.h"

struct signalfd {
	struct thread_group *tg; /* [I] reference */
	atomic_ullong mask;	 /* [a] */
};

static const struct file_ops signalfd_ops;

static void fill_by_code(struct abi_signalfd_siginfo *out, const struct abi_siginfo *in)
{
	if (in->signo == ABI_SIGCHLD && in->code > 0) {
		out->pid = (uint32_t)in->chld.pid;
		out->uid = in->chld.uid;
		out->status = in->chld.status;
		out->utime = (uint64_t)in->chld.utime;
		out->stime = (uint64_t)in->chld.stime;
	} else if (in->code == ABI_SI_TIMER) {
		out->tid = (uint32_t)in->timer.tid;
		out->overrun = (uint32_t)in->timer.overrun;
		out->value_ptr = in->timer.value;
		out->value_int = (int32_t)in->timer.value;
	} else if (in->code < 0) {
		out->pid = (uint32_t)in->rt.pid;
		out->uid = in->rt.uid;
		out->value_ptr = in->rt.value;
		out->value_int = (int32_t)in->rt.value;
	} else {
		out->pid = (uint32_t)in->kill.pid;
		out->uid = in->kill.uid;
	}
}

static ssize_t signalfd_read(struct file *f, struct uio *to, int64_t *pos)
{
	const struct signalfd *s = f->private;
	struct abi_signalfd_siginfo out;
	struct abi_siginfo info;
	ssize_t done = 0, n;

	(void)pos;
	if (to->left < sizeof(out) || !to->task)
		return -EINVAL;
	while (to->left >= sizeof(out)) {
		memset(&info, 0, sizeof(info));
		if (!signal_take(to->task, s->mask, &info))
			return done ? done : -EAGAIN;
		memset(&out, 0, sizeof(out));
		out.signo = (uint32_t)info.signo;
		out.err = info.err;
		out.code = info.code;
		fill_by_code(&out, &info);
		n = uio_write(to, &out, sizeof(out));
		if (n < 0)
			return done ? done : n;
		done += n;
	}
	return done;
}

static uint32_t signalfd_poll(struct file *f, struct poll_table *pt)
{
	const struct signalfd *s = f->private;
	uint64_t pending;

	poll_wait(pt, &s->tg->signal_wait);
	mutex_lock(&s->tg->siglock);
	pending = s->tg->pending.set;
	mutex_unlock(&s->tg->siglock);
	return pending & s->mask ? ABI_POLLIN | ABI_POLLRDNORM : 0;
}

static void signalfd_release(struct file *f)
{
	struct signalfd *s = f->private;

	tg_put(s->tg);
	free(s);
}

static void signalfd_show(struct file *f, struct strbuf *out)
{
	const struct signalfd *s = f->private;

	strbuf_addf(out, "sigmask:\t%016llx\n", (unsigned long long)s->mask);
}

static const struct file_ops signalfd_ops = {
    .read = signalfd_read,
    .poll = signalfd_poll,
    .release = signalfd_release,
    .show_fdinfo = signalfd_show,
    .no_seek = true,
};

int signalfd_new(struct task *t, uint64_t mask, uint32_t flags, struct file **ret)
{
	struct signalfd *s = xnew(struct signalfd);

	s->tg = tg_get(t->tg);
	s->mask = mask & ~ABI_SIG_UNBLOCKABLE;
	*ret = file_new_anon(t->kernel, "anon_inode:[signalfd]", &signalfd_ops, s,
			     ABI_O_RDWR | flags, t->cred);
	return 0;
}

int signalfd_set_mask(struct file *f, uint64_t mask)
{
	struct signalfd *s = f->private;

	if (f->ops != &signalfd_ops)
		return -EINVAL;
	s->mask = mask & ~ABI_SIG_UNBLOCKABLE;
	/* What is pending may be of interest now. */
	waitqueue_wake(&s->tg->signal_wait, ABI_POLLIN);
	return 0;
}
