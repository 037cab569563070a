/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers: results of calls that the stub gives by itself (platform_answers_set). They are who a
 * task is, and each change of that is told here before anybody can have seen it: under tasks_lock,
 * where it is made.
 */
#ifndef SENTRY_KERNEL_ANSWERS_H
#define SENTRY_KERNEL_ANSWERS_H

#include <stdint.h>

#include "platform/platform.h"

struct task;
struct thread_group;

/* For platform_config. */
extern const struct platform_answer_call kernel_answer_calls[];
extern const uint32_t kernel_answer_count;

/* The task, or all of the group, are no longer who they were. Caller holds tasks_lock. */
void answers_changed_locked(struct task *t);
void answers_group_changed_locked(struct thread_group *tg);
/* A host thread of its own has just reported for the first time. Takes tasks_lock. */
void answers_started(struct task *t);

#endif
