/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials, and what user id changes do to them (execve: sentry/loader/creds.c). */
#include "sentry/kernel/cred.h"
#include "sentry/kernel/answers.h"

#include <stdlib.h>
#include <string.h>

#include "abi/caps.h"
#include "base/log.h"
#include "base/mem.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"

struct cred *cred_new(void)
{
	struct cred *c = xnew(struct cred);

	refcount_init(&c->ref);
	object_count(OBJ_CRED, 1);
	return c;
}

struct cred *cred_dup(const struct cred *c)
{
	struct cred *copy = cred_new();

	/* All but the count, which others may be changing. */
	memcpy(&copy->uid, &c->uid, sizeof(*c) - offsetof(struct cred, uid));
	copy->groups = NULL;
	if (c->group_count) {
		copy->groups = xcalloc(c->group_count, sizeof(*c->groups));
		memcpy(copy->groups, c->groups, c->group_count * sizeof(*c->groups));
	}
	return copy;
}

struct cred *cred_get(const struct cred *c)
{
	struct cred *same = (struct cred *)c;

	refcount_get(&same->ref);
	return same;
}

void cred_put(const struct cred *c)
{
	struct cred *mine = (struct cred *)c;

	if (!refcount_put(&mine->ref))
		return;
	free(mine->groups);
	free(mine);
	object_count(OBJ_CRED, -1);
}

bool cred_capable(const struct cred *c, unsigned cap)
{
	return c->cap_effective >> cap & 1;
}

static int compare_gids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

bool cred_in_group(const struct cred *c, uint32_t gid)
{
	if (gid == c->fsgid)
		return true;
	return c->group_count &&
	       bsearch(&gid, c->groups, c->group_count, sizeof(gid), compare_gids) != NULL;
}

void cred_set_groups(struct cred *c, uint32_t *groups, uint32_t count)
{
	if (count)
		qsort(groups, count, sizeof(*groups), compare_gids);
	free(c->groups);
	c->groups = groups;
	c->group_count = count;
}

void cred_install(struct task *t, struct cred *c)
{
	const struct cred *old = t->cred;

	/* Identity changes end the right of others to look in (prctl(2), PR_SET_DUMPABLE). */
	bool changed =
	    old && (old->euid != c->euid || old->egid != c->egid || old->fsuid != c->fsuid ||
		    old->fsgid != c->fsgid || (c->cap_permitted & ~old->cap_permitted));

	mutex_lock(&t->kernel->tasks_lock);
	t->cred = c;
	answers_changed_locked(t);
	if (changed)
		t->tg->dumpable = false;
	mutex_unlock(&t->kernel->tasks_lock);
	if (changed)
		t->pdeath_signal = 0;
	if (old)
		cred_put(old);
}

static bool has_root_id(const struct cred *c)
{
	return c->uid == 0 || c->euid == 0 || c->suid == 0;
}

#define FS_CAPS                                                                                    \
	(1ull << ABI_CAP_CHOWN | 1ull << ABI_CAP_MKNOD | 1ull << ABI_CAP_DAC_OVERRIDE |            \
	 1ull << ABI_CAP_DAC_READ_SEARCH | 1ull << ABI_CAP_FOWNER | 1ull << ABI_CAP_FSETID |       \
	 1ull << ABI_CAP_LINUX_IMMUTABLE | 1ull << ABI_CAP_MAC_OVERRIDE)

void cred_uids_changed(struct cred *c, const struct cred *old)
{
	if (c->securebits & ABI_SECBIT_NO_SETUID_FIXUP)
		return;
	if (has_root_id(old) && !has_root_id(c)) {
		if (!(c->securebits & ABI_SECBIT_KEEP_CAPS)) {
			c->cap_permitted = 0;
			c->cap_effective = 0;
		}
		c->cap_ambient = 0;
	}
	if (old->euid == 0 && c->euid != 0)
		c->cap_effective = 0;
	if (old->euid != 0 && c->euid == 0)
		c->cap_effective = c->cap_permitted;
	if (old->fsuid == 0 && c->fsuid != 0)
		c->cap_effective &= ~FS_CAPS;
	if (old->fsuid != 0 && c->fsuid == 0)
		c->cap_effective |= c->cap_permitted & FS_CAPS;
}
