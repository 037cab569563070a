/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials: groups, and what user id changes do to capabilities; which children a wait means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "abi/caps.h"
#include "abi/sched.h"
#include "abi/signal.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/wait.h"

#define CAP(x) (1ull << ABI_CAP_##x)

static struct cred *root(void)
{
	struct cred *c = cred_new();

	c->cap_permitted = c->cap_effective = c->cap_bounding = CAP(CHOWN) | CAP(KILL);
	c->cap_ambient = CAP(KILL);
	return c;
}

/* What root has after its ids became these. */
static struct cred *changed(uint32_t uid, uint32_t euid, uint32_t suid, uint32_t securebits)
{
	struct cred *old = root(), *c;

	old->securebits = securebits;
	c = cred_dup(old);
	c->uid = uid;
	c->euid = c->fsuid = euid;
	c->suid = suid;
	cred_uids_changed(c, old);
	cred_put(old);
	return c;
}

static void all_ids_away_from_root(void **state)
{
	struct cred *c = changed(1, 1, 1, 0);

	(void)state;
	assert_int_equal(c->cap_permitted, 0);
	assert_int_equal(c->cap_effective, 0);
	assert_int_equal(c->cap_ambient, 0);
	cred_put(c);
}

static void effective_id_only(void **state)
{
	struct cred *c = changed(0, 1, 0, 0), *back;

	(void)state;
	assert_int_equal(c->cap_permitted, CAP(CHOWN) | CAP(KILL));
	assert_int_equal(c->cap_effective, 0);
	back = cred_dup(c);
	back->euid = back->fsuid = 0;
	cred_uids_changed(back, c);
	assert_int_equal(back->cap_effective, CAP(CHOWN) | CAP(KILL));
	cred_put(back);
	cred_put(c);
}

static void keep_caps(void **state)
{
	struct cred *c = changed(1, 1, 1, ABI_SECBIT_KEEP_CAPS);

	(void)state;
	assert_int_equal(c->cap_permitted, CAP(CHOWN) | CAP(KILL));
	assert_int_equal(c->cap_effective, 0);
	assert_int_equal(c->cap_ambient, 0);
	cred_put(c);
	c = changed(1, 1, 1, ABI_SECBIT_NO_SETUID_FIXUP);
	assert_int_equal(c->cap_effective, CAP(CHOWN) | CAP(KILL));
	cred_put(c);
}

static void file_system_id(void **state)
{
	struct cred *old = root(), *c = cred_dup(old);

	(void)state;
	c->fsuid = 5;
	cred_uids_changed(c, old);
	assert_int_equal(c->cap_effective, CAP(KILL)); /* CHOWN is about files */
	cred_put(c);
	cred_put(old);
}

static void groups(void **state)
{
	struct cred *c = cred_new(), *copy;
	uint32_t *list = malloc(3 * sizeof(*list));

	(void)state;
	c->fsgid = 7;
	assert_true(cred_in_group(c, 7));
	assert_false(cred_in_group(c, 30));
	list[0] = 30;
	list[1] = 10;
	list[2] = 4000000000u;
	cred_set_groups(c, list, 3);
	assert_true(cred_in_group(c, 30));
	assert_true(cred_in_group(c, 4000000000u));
	assert_false(cred_in_group(c, 20));
	copy = cred_dup(c);
	cred_put(c);
	assert_true(cred_in_group(copy, 10));
	cred_put(copy);
}

static bool means(int idtype, int32_t id, uint32_t options, int exit_signal)
{
	struct process_group pg = {.pgid = 20};
	struct thread_group child = {.tgid = 10, .pgrp = &pg, .exit_signal = exit_signal};
	struct wait_query q = {idtype, id, options};

	return wait_eligible_locked(&child, &q);
}

static void children_that_a_wait_means(void **state)
{
	(void)state;
	assert_true(means(ABI_P_ALL, 0, 0, ABI_SIGCHLD));
	assert_true(means(ABI_P_PID, 10, 0, ABI_SIGCHLD));
	assert_false(means(ABI_P_PID, 20, 0, ABI_SIGCHLD));
	assert_true(means(ABI_P_PGID, 20, 0, ABI_SIGCHLD));
	assert_false(means(ABI_P_PGID, 10, 0, ABI_SIGCHLD));
	assert_false(means(ABI_P_ALL, 0, 0, 0));
	assert_true(means(ABI_P_ALL, 0, ABI_WCLONE, ABI_SIGUSR1));
	assert_false(means(ABI_P_ALL, 0, ABI_WCLONE, ABI_SIGCHLD));
	assert_true(means(ABI_P_ALL, 0, ABI_WALL, 0));
	assert_true(means(ABI_P_ALL, 0, ABI_WALL, ABI_SIGCHLD));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_ids_away_from_root),
	    cmocka_unit_test(effective_id_only),
	    cmocka_unit_test(keep_caps),
	    cmocka_unit_test(file_system_id),
	    cmocka_unit_test(groups),
	    cmocka_unit_test(children_that_a_wait_means),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
