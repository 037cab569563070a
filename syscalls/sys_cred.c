/* SPDX-License-Identifier: Apache-2.0 */
/* User and group ids, supplementary groups, capabilities (credentials(7), capabilities(7)). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/caps.h"
#include "abi/errno.h"
#include "base/mem.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/usermem.h"
#include "syscalls/syscalls.h"

#define KEEP 0xffffffffu /* (uid_t)-1: leave this id as it is */

/* ---- reading ---- */

int64_t sys_getuid(struct task *t, const struct sysargs *a)
{
	(void)a;
	return t->cred->uid;
}

int64_t sys_geteuid(struct task *t, const struct sysargs *a)
{
	(void)a;
	return t->cred->euid;
}

int64_t sys_getgid(struct task *t, const struct sysargs *a)
{
	(void)a;
	return t->cred->gid;
}

int64_t sys_getegid(struct task *t, const struct sysargs *a)
{
	(void)a;
	return t->cred->egid;
}

static int64_t put_three(struct task *t, const struct sysargs *a, uint32_t x, uint32_t y,
			 uint32_t z)
{
	if (copy_to_user(t, uaddr(a->arg[0]), &x, sizeof(x)) ||
	    copy_to_user(t, uaddr(a->arg[1]), &y, sizeof(y)) ||
	    copy_to_user(t, uaddr(a->arg[2]), &z, sizeof(z)))
		return -EFAULT;
	return 0;
}

int64_t sys_getresuid(struct task *t, const struct sysargs *a)
{
	return put_three(t, a, t->cred->uid, t->cred->euid, t->cred->suid);
}

int64_t sys_getresgid(struct task *t, const struct sysargs *a)
{
	return put_three(t, a, t->cred->gid, t->cred->egid, t->cred->sgid);
}

/* ---- user ids ---- */

static int64_t install_uids(struct task *t, struct cred *c)
{
	cred_uids_changed(c, t->cred);
	cred_install(t, c);
	return 0;
}

static bool one_of(uint32_t id, uint32_t x, uint32_t y, uint32_t z)
{
	return id == x || id == y || id == z;
}

int64_t sys_setuid(struct task *t, const struct sysargs *a)
{
	const struct cred *old = t->cred;
	uint32_t uid = (uint32_t)a->arg[0];
	bool mighty = cred_capable(old, ABI_CAP_SETUID);
	struct cred *c;

	if (uid == KEEP)
		return -EINVAL;
	if (!mighty && uid != old->uid && uid != old->suid)
		return -EPERM;
	c = cred_dup(old);
	if (mighty)
		c->uid = c->suid = uid;
	c->euid = c->fsuid = uid;
	return install_uids(t, c);
}

int64_t sys_setreuid(struct task *t, const struct sysargs *a)
{
	const struct cred *old = t->cred;
	uint32_t ruid = (uint32_t)a->arg[0], euid = (uint32_t)a->arg[1];
	bool mighty = cred_capable(old, ABI_CAP_SETUID);
	struct cred *c;

	if (!mighty && ruid != KEEP && ruid != old->uid && ruid != old->euid)
		return -EPERM;
	if (!mighty && euid != KEEP && !one_of(euid, old->uid, old->euid, old->suid))
		return -EPERM;
	c = cred_dup(old);
	if (ruid != KEEP)
		c->uid = ruid;
	if (euid != KEEP)
		c->euid = euid;
	if (ruid != KEEP || (euid != KEEP && euid != old->uid))
		c->suid = c->euid;
	c->fsuid = c->euid;
	return install_uids(t, c);
}

int64_t sys_setresuid(struct task *t, const struct sysargs *a)
{
	const struct cred *old = t->cred;
	struct cred *c;

	for (int i = 0; i < 3; i++) {
		uint32_t id = (uint32_t)a->arg[i];

		if (id != KEEP && !one_of(id, old->uid, old->euid, old->suid) &&
		    !cred_capable(old, ABI_CAP_SETUID))
			return -EPERM;
	}
	c = cred_dup(old);
	if ((uint32_t)a->arg[0] != KEEP)
		c->uid = (uint32_t)a->arg[0];
	if ((uint32_t)a->arg[1] != KEEP)
		c->euid = (uint32_t)a->arg[1];
	if ((uint32_t)a->arg[2] != KEEP)
		c->suid = (uint32_t)a->arg[2];
	c->fsuid = c->euid;
	return install_uids(t, c);
}

/* Returns the old one, whether or not it was changed. */
int64_t sys_setfsuid(struct task *t, const struct sysargs *a)
{
	const struct cred *old = t->cred;
	uint32_t uid = (uint32_t)a->arg[0], before = old->fsuid;
	struct cred *c;

	if (uid != KEEP && uid != before &&
	    (uid == old->uid || one_of(uid, old->euid, old->suid, old->fsuid) ||
	     cred_capable(old, ABI_CAP_SETUID))) {
		c = cred_dup(old);
		c->fsuid = uid;
		install_uids(t, c);
	}
	return before;
}

/* ---- group ids ---- */

int64_t sys_setgid(struct task *t, const struct sysargs *a)
{
	const struct cred *old = t->cred;
	uint32_t gid = (uint32_t)a->arg[0];
	bool mighty = cred_capable(old, ABI_CAP_SETGID);
	struct cred *c;

	if (gid == KEEP)
		return -EINVAL;
	if (!mighty && gid != old->gid && gid != old->sgid)
		return -EPERM;
	c = cred_dup(old);
	if (mighty)
		c->gid = c->sgid = gid;
	c->egid = c->fsgid = gid;
	cred_install(t, c);
	return 0;
}

int64_t sys_setregid(struct task *t, const struct sysargs *a)
{
	const struct cred *old = t->cred;
	uint32_t rgid = (uint32_t)a->arg[0], egid = (uint32_t)a->arg[1];
	bool mighty = cred_capable(old, ABI_CAP_SETGID);
	struct cred *c;

	if (!mighty && rgid != KEEP && rgid != old->gid && rgid != old->egid)
		return -EPERM;
	if (!mighty && egid != KEEP && !one_of(egid, old->gid, old->egid, old->sgid))
		return -EPERM;
	c = cred_dup(old);
	if (rgid != KEEP)
		c->gid = rgid;
	if (egid != KEEP)
		c->egid = egid;
	if (rgid != KEEP || (egid != KEEP && egid != old->gid))
		c->sgid = c->egid;
	c->fsgid = c->egid;
	cred_install(t, c);
	return 0;
}

int64_t sys_setresgid(struct task *t, const struct sysargs *a)
{
	const struct cred *old = t->cred;
	struct cred *c;

	for (int i = 0; i < 3; i++) {
		uint32_t id = (uint32_t)a->arg[i];

		if (id != KEEP && !one_of(id, old->gid, old->egid, old->sgid) &&
		    !cred_capable(old, ABI_CAP_SETGID))
			return -EPERM;
	}
	c = cred_dup(old);
	if ((uint32_t)a->arg[0] != KEEP)
		c->gid = (uint32_t)a->arg[0];
	if ((uint32_t)a->arg[1] != KEEP)
		c->egid = (uint32_t)a->arg[1];
	if ((uint32_t)a->arg[2] != KEEP)
		c->sgid = (uint32_t)a->arg[2];
	c->fsgid = c->egid;
	cred_install(t, c);
	return 0;
}

int64_t sys_setfsgid(struct task *t, const struct sysargs *a)
{
	const struct cred *old = t->cred;
	uint32_t gid = (uint32_t)a->arg[0], before = old->fsgid;
	struct cred *c;

	if (gid != KEEP && gid != before &&
	    (gid == old->gid || one_of(gid, old->egid, old->sgid, old->fsgid) ||
	     cred_capable(old, ABI_CAP_SETGID))) {
		c = cred_dup(old);
		c->fsgid = gid;
		cred_install(t, c);
	}
	return before;
}

int64_t sys_getgroups(struct task *t, const struct sysargs *a)
{
	int size = abi_int(a->arg[0]);
	uint32_t count = t->cred->group_count;

	if (size < 0)
		return -EINVAL;
	if (size == 0)
		return count;
	if ((uint32_t)size < count)
		return -EINVAL;
	if (copy_to_user(t, uaddr(a->arg[1]), t->cred->groups, count * sizeof(uint32_t)))
		return -EFAULT;
	return count;
}

int64_t sys_setgroups(struct task *t, const struct sysargs *a)
{
	uint32_t count = (uint32_t)a->arg[0];
	uint32_t *groups = NULL;
	struct cred *c;

	if (!cred_capable(t->cred, ABI_CAP_SETGID))
		return -EPERM;
	if (count > CRED_GROUPS_MAX)
		return -EINVAL;
	if (count) {
		groups = xcalloc(count, sizeof(*groups));
		if (copy_from_user(t, groups, uaddr(a->arg[1]), count * sizeof(*groups))) {
			free(groups);
			return -EFAULT;
		}
	}
	c = cred_dup(t->cred);
	cred_set_groups(c, groups, count);
	cred_install(t, c);
	return 0;
}

/* ---- capabilities ---- */

/* How many data structs the version has; 0: unknown (the right one was written back). */
static int cap_version(struct task *t, uaddr_t ptr, struct abi_cap_header *ret)
{
	uint32_t ours = ABI_CAP_VERSION_3;

	if (copy_from_user(t, ret, ptr, sizeof(*ret)))
		return -EFAULT;
	switch (ret->version) {
	case ABI_CAP_VERSION_1:
		return 1;
	case ABI_CAP_VERSION_2:
	case ABI_CAP_VERSION_3:
		return 2;
	default:
		return copy_to_user(t, ptr, &ours, sizeof(ours)) ? -EFAULT : 0;
	}
}

int64_t sys_capget(struct task *t, const struct sysargs *a)
{
	struct abi_cap_data data[2] = {{0}};
	struct abi_cap_header header;
	const struct cred *c;
	struct task *other;
	int words = cap_version(t, uaddr(a->arg[0]), &header);

	if (words <= 0)
		return words < 0 || !a->arg[1] ? words : -EINVAL;
	if (header.pid < 0)
		return -EINVAL;
	other = header.pid ? task_find(t->kernel, header.pid) : task_get(t);
	if (!other)
		return -ESRCH;
	c = task_cred_get(other);
	for (int i = 0; i < 2; i++) {
		data[i].effective = (uint32_t)(c->cap_effective >> 32 * i);
		data[i].permitted = (uint32_t)(c->cap_permitted >> 32 * i);
		data[i].inheritable = (uint32_t)(c->cap_inheritable >> 32 * i);
	}
	cred_put(c);
	task_put(other);
	if (!a->arg[1])
		return 0;
	return copy_to_user(t, uaddr(a->arg[1]), data, (size_t)words * sizeof(data[0]));
}

static int check_capset(const struct cred *old, const struct cred *c)
{
	bool may_add = cred_capable(old, ABI_CAP_SETPCAP);

	if (!may_add && (c->cap_inheritable & ~(old->cap_inheritable | old->cap_permitted)))
		return -EPERM;
	if (c->cap_inheritable & ~(old->cap_inheritable | old->cap_bounding))
		return -EPERM;
	if (c->cap_permitted & ~old->cap_permitted)
		return -EPERM;
	return c->cap_effective & ~c->cap_permitted ? -EPERM : 0;
}

int64_t sys_capset(struct task *t, const struct sysargs *a)
{
	struct abi_cap_data data[2] = {{0}};
	struct abi_cap_header header;
	int words = cap_version(t, uaddr(a->arg[0]), &header);
	struct cred *c;
	int err;

	if (words <= 0)
		return words < 0 ? words : -EINVAL;
	if (header.pid && header.pid != t->tid)
		return -EPERM;
	if (copy_from_user(t, data, uaddr(a->arg[1]), (size_t)words * sizeof(data[0])))
		return -EFAULT;
	c = cred_dup(t->cred);
	c->cap_effective = ((uint64_t)data[1].effective << 32 | data[0].effective) & ABI_CAP_ALL;
	c->cap_permitted = ((uint64_t)data[1].permitted << 32 | data[0].permitted) & ABI_CAP_ALL;
	c->cap_inheritable =
	    ((uint64_t)data[1].inheritable << 32 | data[0].inheritable) & ABI_CAP_ALL;
	c->cap_ambient &= c->cap_permitted & c->cap_inheritable;
	err = check_capset(t->cred, c);
	if (err) {
		cred_put(c);
		return err;
	}
	cred_install(t, c);
	return 0;
}
