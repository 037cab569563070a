/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials: immutable once published, shared by reference; a change makes a copy and swaps the
 * task's pointer (credentials(7), capabilities(7)). Only the task itself changes its pointer;
 * others that look take tasks_lock (see task_cred_get).
 */
#ifndef SENTRY_KERNEL_CRED_H
#define SENTRY_KERNEL_CRED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/refcount.h"

struct task;

#define CRED_GROUPS_MAX 65536

struct cred {
	struct refcount ref;
	/* [I] all below */
	uint32_t uid, euid, suid, fsuid;
	uint32_t gid, egid, sgid, fsgid;
	uint64_t cap_permitted, cap_effective, cap_inheritable, cap_bounding, cap_ambient;
	uint32_t securebits;
	bool no_new_privs;
	uint32_t group_count;
	uint32_t *groups; /* sorted, owned */
};

struct cred *cred_new(void);		     /* all zero: root without capabilities */
struct cred *cred_dup(const struct cred *c); /* a private copy to change before publishing */
struct cred *cred_get(const struct cred *c); /* another reference */
void cred_put(const struct cred *c);
bool cred_capable(const struct cred *c, unsigned cap);	/* effective, ABI_CAP_* */
bool cred_in_group(const struct cred *c, uint32_t gid); /* fsgid or a supplementary group */
/* Takes over the array (malloc'd, count entries, sorted here); for a private copy. */
void cred_set_groups(struct cred *c, uint32_t *groups, uint32_t count);
/* Swaps the task's credentials; takes the reference over. The task's owner only. */
void cred_install(struct task *t, struct cred *c);

/* What a change of user ids does to the capabilities (capabilities(7), "Effect of user ID changes
 * on capabilities"). c is the changed private copy of old. */
void cred_uids_changed(struct cred *c, const struct cred *old);

#endif
