/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/kernel/answers.h"

#include "base/compiler.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pgrp.h"
#include "sentry/kernel/task.h"

/* X(number, only without an argument, value). In scope: t, tg, pg (may be NULL). */
#define ANSWERS(X)                                                                                 \
	X(39 /* getpid */, false, tg->tgid)                                                        \
	X(186 /* gettid */, false, t->tid)                                                         \
	X(110 /* getppid */, false, tg->parent ? tg->parent->tgid : 0)                             \
	X(102 /* getuid */, false, t->cred->uid)                                                   \
	X(107 /* geteuid */, false, t->cred->euid)                                                 \
	X(104 /* getgid */, false, t->cred->gid)                                                   \
	X(108 /* getegid */, false, t->cred->egid)                                                 \
	X(111 /* getpgrp */, false, pg ? pg->pgid : 0)                                             \
	X(121 /* getpgid */, true, pg ? pg->pgid : 0)                                              \
	X(124 /* getsid */, true, pg ? pg->session->sid : 0)                                       \
	X(24 /* sched_yield */, false, 0)

const struct platform_answer_call kernel_answer_calls[] = {
#define CALL(nr, own, value) {nr, own},
    ANSWERS(CALL)
#undef CALL
};
const uint32_t kernel_answer_count = array_count(kernel_answer_calls);
_Static_assert(array_count(kernel_answer_calls) <= PLATFORM_ANSWERS_MAX, "too many");

void answers_changed_locked(struct task *t)
{
	struct thread_group *tg = t->tg;
	const struct process_group *pg = tg->pgrp;
	uint32_t valid = pg && t->cred ? (1u << array_count(kernel_answer_calls)) - 1 : 0;

	assert_held(&t->kernel->tasks_lock);
	mutex_lock(&tg->siglock); /* keeps t->pt in place */
	if (t->pt && valid) {
		uint64_t values[] = {
#define VALUE(nr, own, value) (uint64_t)(value),
		    ANSWERS(VALUE)
#undef VALUE
		};

		platform_answers_set(t->pt, values, valid);
	}
	mutex_unlock(&tg->siglock);
}

void answers_group_changed_locked(struct thread_group *tg)
{
	struct task *t;

	list_for_each (t, &tg->tasks, tg_link)
		answers_changed_locked(t);
}

void answers_started(struct task *t)
{
	mutex_lock(&t->kernel->tasks_lock);
	answers_changed_locked(t);
	mutex_unlock(&t->kernel->tasks_lock);
}
