/* SPDX-License-Identifier: Apache-2.0 */
/* Ancillary data of messages: descriptors and credentials (unix(7)). */
#include "syscalls/socket_cmsg.h"

#include <stdlib.h>
#include <string.h>

#include "abi/caps.h"
#include "base/mem.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/unsupported.h"

/* ---- sending ---- */

static int get_rights(struct task *t, const int32_t *fds, size_t count, struct unix_ctl *ctl)
{
	struct file *f;

	if (!ctl->rights)
		ctl->rights = xnew(struct unix_rights);
	if (count > ABI_SCM_MAX_FD - ctl->rights->count)
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		f = fd_get(t, fds[i]);
		if (!f)
			return -EBADF;
		ctl->rights->files[ctl->rights->count++] = f;
	}
	return 0;
}

/* scm_check_creds of Linux. */
static int check_cred(struct task *t, const struct abi_ucred *u)
{
	const struct cred *c = t->cred;

	if (u->pid != t->tg->tgid && !cred_capable(c, ABI_CAP_SYS_ADMIN))
		return -EPERM;
	if (u->uid != c->uid && u->uid != c->euid && u->uid != c->suid &&
	    !cred_capable(c, ABI_CAP_SETUID))
		return -EPERM;
	if (u->gid != c->gid && u->gid != c->egid && u->gid != c->sgid &&
	    !cred_capable(c, ABI_CAP_SETGID))
		return -EPERM;
	return 0;
}

static int get_one(struct task *t, const struct abi_cmsghdr *h, const char *data,
		   struct unix_ctl *ctl)
{
	size_t size = h->len - sizeof(*h);
	int32_t fds[ABI_SCM_MAX_FD];

	if (h->level != ABI_SOL_SOCKET)
		return 0;
	switch (h->type) {
	case ABI_SCM_RIGHTS:
		if (size / sizeof(fds[0]) > ABI_SCM_MAX_FD)
			return -EINVAL;
		memcpy(fds, data, size / sizeof(fds[0]) * sizeof(fds[0]));
		return size < sizeof(fds[0]) ? 0 : get_rights(t, fds, size / sizeof(fds[0]), ctl);
	case ABI_SCM_CREDENTIALS:
		if (size != sizeof(ctl->cred))
			return -EINVAL;
		memcpy(&ctl->cred, data, size);
		return check_cred(t, &ctl->cred);
	default:
		return -EINVAL;
	}
}

static int get_all(struct task *t, const char *control, size_t size, struct unix_ctl *ctl)
{
	struct abi_cmsghdr h;
	size_t at = 0;
	int err = 0;

	while (!err && at <= size && size - at >= sizeof(h)) {
		memcpy(&h, control + at, sizeof(h));
		if (h.len < sizeof(h) || h.len > size - at)
			return -EINVAL;
		err = get_one(t, &h, control + at + sizeof(h), ctl);
		at += ABI_CMSG_ALIGN(h.len);
	}
	return err;
}

int cmsg_get(struct task *t, const struct abi_msghdr *msg, struct unix_ctl *ret)
{
	char *control;
	int err;

	*ret = (struct unix_ctl){.cred = {t->tg->tgid, t->cred->uid, t->cred->gid}};
	if (!msg->controllen)
		return 0;
	if (msg->controllen > CONTROL_MAX)
		return -ENOBUFS;
	control = xmalloc(msg->controllen);
	err = copy_from_user(t, control, uaddr(msg->control), msg->controllen);
	if (!err)
		err = get_all(t, control, msg->controllen, ret);
	free(control);
	return err;
}

/* ---- receiving ---- */

/* The guest's buffer for ancillary data. */
struct room {
	struct task *task;
	uint64_t va, left;
	uint64_t used;
};

/* Puts one piece, cut to the room (put_cmsg of Linux). */
static int put_one(struct room *r, int type, const void *data, size_t size, uint32_t *flags)
{
	struct abi_cmsghdr h = {sizeof(h) + size, ABI_SOL_SOCKET, type};
	uint64_t step;

	if (r->left < sizeof(h)) {
		*flags |= ABI_MSG_CTRUNC;
		return 0;
	}
	if (r->left < h.len) {
		*flags |= ABI_MSG_CTRUNC;
		h.len = r->left;
	}
	if (copy_to_user(r->task, uaddr(r->va + r->used), &h, sizeof(h)) ||
	    copy_to_user(r->task, uaddr(r->va + r->used + sizeof(h)), data, h.len - sizeof(h)))
		return -EFAULT;
	step = MIN(ABI_CMSG_ALIGN(h.len), r->left);
	r->used += step;
	r->left -= step;
	return 0;
}

/* Descriptors for as many of the files as fit. */
static uint32_t install(struct task *t, struct unix_rights *rights, size_t fit, bool cloexec,
			int32_t *fds)
{
	uint32_t done = 0;

	while (done < rights->count && done < fit) {
		int fd = fd_install(t, file_get(rights->files[done]), 0, cloexec);

		if (fd < 0) {
			file_put(rights->files[done]);
			break;
		}
		fds[done++] = fd;
	}
	return done;
}

static int put_rights(struct room *r, struct unix_rights *rights, bool cloexec, uint32_t *flags)
{
	const size_t head = sizeof(struct abi_cmsghdr);
	size_t fit = r->left > head ? (r->left - head) / sizeof(int32_t) : 0;
	int32_t fds[ABI_SCM_MAX_FD];
	uint32_t done = install(r->task, rights, fit, cloexec, fds);
	int err = 0;

	if (done < rights->count)
		*flags |= ABI_MSG_CTRUNC;
	if (done)
		err = put_one(r, ABI_SCM_RIGHTS, fds, done * sizeof(fds[0]), flags);
	for (uint32_t i = 0; err && i < done; i++)
		fd_close(r->task, fds[i]);
	return err;
}

int cmsg_put(struct task *t, struct abi_msghdr *msg, struct unix_ctl *ctl, bool passcred,
	     bool cloexec)
{
	struct room r = {t, msg->control, msg->control ? msg->controllen : 0, 0};
	int err = 0;

	if (passcred && ctl->any)
		err = put_one(&r, ABI_SCM_CREDENTIALS, &ctl->cred, sizeof(ctl->cred), &msg->flags);
	if (!err && ctl->rights)
		err = put_rights(&r, ctl->rights, cloexec, &msg->flags);
	unix_rights_free(ctl->rights);
	ctl->rights = NULL;
	msg->controllen = r.used;
	return err;
}
