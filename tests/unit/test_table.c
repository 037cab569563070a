/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of syscalls/table.h against the host's numbers, and the copy plans made from them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <asm/unistd.h>

#include "platform/copyplan.h"
#include "syscalls/argkinds.h"
#include "syscalls/syscalls.h"

/* Newer than the headers of Debian 12. */
#ifndef __NR_cachestat
#define __NR_cachestat	       451
#define __NR_fchmodat2	       452
#define __NR_map_shadow_stack  453
#define __NR_futex_wake	       454
#define __NR_futex_wait	       455
#define __NR_futex_requeue     456
#define __NR_statmount	       457
#define __NR_listmount	       458
#define __NR_lsm_get_self_attr 459
#define __NR_lsm_set_self_attr 460
#define __NR_lsm_list_modules  461
#define __NR_mseal	       462
#define __NR_setxattrat	       463
#define __NR_getxattrat	       464
#define __NR_listxattrat       465
#define __NR_removexattrat     466
#endif

#define SYSCALL(nr, name, handler, level, note, ret, ...)                                          \
	_Static_assert(__NR_##name == (nr), #name " has its number");
#include "syscalls/table.h"
#undef SYSCALL

static void rows_are_complete(void **state)
{
	(void)state;
	for (uint32_t nr = 0; nr < SYSCALL_TABLE_COUNT; nr++) {
		const struct syscall_entry *e = &syscall_table[nr];
		bool expected = nr <= 334 || nr >= 424;

		if (!expected) {
			assert_null(e->name);
			continue;
		}
		assert_non_null(e->name);
		assert_non_null(e->handler);
		assert_true((e->level == SYSCALL_FULL) == (*e->note == '\0'));
		for (int i = 0, ended = 0; i < 6; i++) {
			assert_true(e->args[i].kind < AK_KINDS);
			if (e->args[i].kind == AK_NONE)
				ended = 1;
			else
				assert_false(ended);
		}
	}
}

static const syscall_handler absent_handlers[] = {
    sys_absent,
    sys_absent_eperm,
    sys_absent_eopnotsupp,
    sys_absent_probed,
};

static void absent_rows_have_absent_handlers(void **state)
{
	(void)state;
	for (uint32_t nr = 0; nr < SYSCALL_TABLE_COUNT; nr++) {
		const struct syscall_entry *e = &syscall_table[nr];
		bool absent = false;

		for (size_t i = 0; i < array_count(absent_handlers); i++)
			absent |= e->handler == absent_handlers[i];
		if (e->name)
			assert_int_equal(absent, e->level == SYSCALL_ABSENT);
	}
}

static const struct copywin *find_win(const struct copyplan *plan, uint8_t arg)
{
	for (uint8_t i = 0; i < plan->count; i++)
		if (plan->win[i].arg == arg)
			return &plan->win[i];
	return NULL;
}

static void expect_win(const struct copyplan *plans, uint32_t nr, uint8_t arg, uint8_t kind,
		       uint8_t size_arg, uint16_t size)
{
	const struct copywin *w = find_win(&plans[nr], arg);

	assert_non_null(w);
	assert_int_equal(w->kind, kind);
	assert_int_equal(w->size_arg, size_arg);
	assert_int_equal(w->size, size);
}

static void plans_follow_the_rows(void **state)
{
	struct copyplan *plans = syscall_copyplans_new();

	(void)state;
	expect_win(plans, __NR_read, 1, COPYWIN_OUT, 2, 1);
	expect_win(plans, __NR_write, 1, COPYWIN_IN, 2, 1);
	expect_win(plans, __NR_openat, 1, COPYWIN_CSTR, COPYWIN_FIXED, 4096);
	expect_win(plans, __NR_newfstatat, 2, COPYWIN_OUT, COPYWIN_FIXED, 144);
	expect_win(plans, __NR_poll, 0, COPYWIN_INOUT, 1, 8);
	expect_win(plans, __NR_select, 3, COPYWIN_INOUT, 0, COPYWIN_BITS);
	expect_win(plans, __NR_epoll_wait, 1, COPYWIN_OUT, 2, 12);
	expect_win(plans, __NR_writev, 1, COPYWIN_IOV_IN, 2, 16);
	expect_win(plans, __NR_getdents64, 1, COPYWIN_OUT, 2, 1);
	expect_win(plans, __NR_fcntl, 2, COPYWIN_INOUT, COPYWIN_FIXED, 32);
	expect_win(plans, __NR_prctl, 1, COPYWIN_INOUT, COPYWIN_FIXED, 16);
	assert_int_equal(plans[__NR_pselect6].count, 5);
	assert_int_equal(plans[__NR_getpid].count, 0);
	assert_int_equal(plans[400].count, 0);
	for (uint32_t nr = 0; nr < SYSCALL_TABLE_COUNT; nr++)
		for (uint8_t i = 0; i < plans[nr].count; i++)
			assert_true(plans[nr].win[i].size_arg < 6 ||
				    plans[nr].win[i].size_arg == COPYWIN_FIXED);
	free(plans);
}

/* Only commands with a buffer have one. */
static void conditions(void **state)
{
	struct copyplan *plans = syscall_copyplans_new();
	const struct copywin *lock = find_win(&plans[__NR_fcntl], 2);
	const struct copywin *name = find_win(&plans[__NR_prctl], 1);

	(void)state;
	assert_true(copywin_wanted(lock, (uint64_t[6]){3, ABI_F_SETLK}));
	assert_true(copywin_wanted(lock, (uint64_t[6]){3, ABI_F_OFD_SETLKW}));
	assert_false(copywin_wanted(lock, (uint64_t[6]){3, ABI_F_SETFD}));
	assert_false(copywin_wanted(lock, (uint64_t[6]){3, ABI_F_SETLK + 64}));
	assert_true(copywin_wanted(name, (uint64_t[6]){ABI_PR_SET_NAME}));
	assert_false(copywin_wanted(name, (uint64_t[6]){ABI_PR_SET_DUMPABLE}));
	assert_false(copywin_wanted(name, (uint64_t[6]){UINT64_MAX}));
	assert_true(copywin_wanted(find_win(&plans[__NR_read], 1), (uint64_t[6]){0}));
	free(plans);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rows_are_complete),
	    cmocka_unit_test(absent_rows_have_absent_handlers),
	    cmocka_unit_test(plans_follow_the_rows),
	    cmocka_unit_test(conditions),
	};

	return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
