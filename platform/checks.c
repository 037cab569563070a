/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a stub may do after a reply: the calls that are asked each time, and the event that comes
 * next, are compared with what was ordered. Nothing that the stub can write to is looked at.
 */
#include "platform/internal.h"

#define CLONE_TRIES_MAX 16

bool clone_has_failed(const struct platform_event *ev)
{
	/* A frame that can't be written comes after the clone, which was made then. */
	return ev->type == PEV_REPORT &&
	       (ev->report.step == PREP_MEMOP || ev->report.step == PREP_ORDER);
}

/*
 * Whether the event can follow from the last reply. The sentry may rely on that: it hears of
 * nothing that it didn't ask for, and of all that it did.
 */
bool event_follows(const struct platform_thread *t, const struct platform_event *ev)
{
	const struct ordered *o = &t->ordered;
	const struct platform_report *r = &ev->report;
	bool made = o->order == PORD_CLONE && t->child_told; /* too late to say it wasn't */

	if (ev->type != PEV_REPORT)
		return !o->report && o->order != PORD_ATOMIC;
	switch (r->step) {
	case PREP_DONE:
		return o->report || o->order == PORD_ATOMIC;
	case PREP_MEMOP:
		return r->error < 0 && r->memop_index < o->memop_count && !made;
	case PREP_ORDER:
		return r->error < 0 && !made && (o->order == PORD_ATOMIC || o->order == PORD_CLONE);
	default:
		return r->error < 0 && (o->frame || o->order == PORD_SIGRETURN);
	}
}

/*
 * A clone: exactly the one that this thread was ordered to make. It may come again if a signal was
 * pending in the host (copy_process: ERESTARTNOINTR), but not for ever: whoever makes several
 * children with one token has all but the first killed at their HELLO.
 */
bool clone_is_ordered_locked(struct platform_thread *t, const __u64 args[6])
{
	static const uint64_t flags[] = {[PCLONE_THREAD] = STUB_CLONE_THREAD,
					 [PCLONE_FORK] = STUB_CLONE_FORK,
					 [PCLONE_VFORK] = STUB_CLONE_VFORK};
	struct platform_thread *child = t->clone_child;
	uint64_t top;

	if (!child || child->in_stock || child->asked >= CLONE_TRIES_MAX ||
	    args[0] != flags[child->kind])
		return false;
	if (child->kind == PCLONE_FORK)
		return args[1] == 0;
	top = STUB_STACKS + (uint64_t)(child->slot + 1) * STUB_STACK_STRIDE;
	return args[1] < top && args[1] >= top - STUB_STACK_SIZE &&
	       args[3] == STUB_CHANNELS + (uint64_t)child->slot * CHANNEL_STRIDE +
			      offsetof(struct channel, tid_word);
}
