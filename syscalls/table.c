/* SPDX-License-Identifier: Apache-2.0 */
/* What is made from the rows of table.h: the dispatch table and the copy plans. */
#include "base/log.h"
#include "base/mem.h"
#include "platform/copyplan.h"
#include "syscalls/argkinds.h"
#include "syscalls/syscalls.h"

#define SYSCALL(number, call, sys_handler, support, text, result, ...)                             \
	[number] = {                                                                               \
	    .name = #call,                                                                         \
	    .handler = sys_handler,                                                                \
	    .note = text,                                                                          \
	    .level = SYSCALL_##support,                                                            \
	    .ret = result,                                                                         \
	    .args = {__VA_ARGS__},                                                                 \
	},

const struct syscall_entry syscall_table[SYSCALL_TABLE_COUNT] = {
#include "syscalls/table.h"
};
#undef SYSCALL

/* A row that is not full says why, and one that is full has nothing to say. */
#define SYSCALL(number, call, sys_handler, support, text, result, ...)                             \
	_Static_assert((SYSCALL_##support == SYSCALL_FULL) == (sizeof(text) == 1),                 \
		       #call ": a note if and only if not FULL");                                  \
	_Static_assert((number) < SYSCALL_TABLE_COUNT, #call ": beyond the table");
#include "syscalls/table.h"
#undef SYSCALL

static void plan_call(struct copyplan *plan, const struct syscall_entry *entry)
{
	for (unsigned int i = 0; i < array_count(entry->args); i++) {
		const struct syscall_arg *arg = &entry->args[i];

		if (arg->copy == COPYWIN_NONE)
			continue;
		check(plan->count < COPYPLAN_WINDOWS);
		plan->win[plan->count++] = (struct copywin){
		    .arg = i,
		    .kind = arg->copy,
		    .size_arg = arg->size_arg,
		    .size = arg->size,
		    .when = arg->when,
		};
	}
}

struct copyplan *syscall_copyplans_new(void)
{
	struct copyplan *plans = xcalloc(SYSCALL_TABLE_COUNT, sizeof(*plans));

	for (uint32_t nr = 0; nr < SYSCALL_TABLE_COUNT; nr++)
		plan_call(&plans[nr], &syscall_table[nr]);
	return plans;
}
