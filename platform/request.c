/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a request. The channel is shared with the guest, which may change it while we look: it is
 * copied once, and only the copy is checked and used.
 */
#include <signal.h>
#include <string.h>

#include "platform/internal.h"
#include "platform/stub/plan.h"

#define LINE	  64
#define LINES_MAX 4

/*
 * The lines of a window that will be read or written soon may be at another CPU, from where each
 * takes longer than a short handler; they come while we do something else.
 */
static void fetch_lines(const struct platform_thread *t, const struct window *w)
{
	const uint8_t *at = t->ch->window + w->offset;
	const uint32_t size = MIN(w->size, (uint32_t)(LINES_MAX * LINE));

	for (uint32_t i = 0; i < size; i += LINE)
		if (w->have)
			__builtin_prefetch(at + i);
		else
			__asm__ volatile("prefetchw %0" : : "m"(at[i]));
}

/* Windows that the stub describes. */
static void decode_windows(struct platform_thread *t, uint32_t count)
{
	struct channel_window windows[CHANNEL_WINDOWS];

	count = MIN(count, (uint32_t)CHANNEL_WINDOWS);
	memcpy(windows, t->ch->req.windows, count * sizeof(windows[0]));
	for (uint32_t i = 0; i < count; i++) {
		const struct channel_window *from = &windows[i];
		struct window *w = &t->windows[t->window_count];

		if (from->size > CHANNEL_WINDOW_SIZE || from->have > from->size ||
		    from->offset > CHANNEL_WINDOW_SIZE - from->size ||
		    from->va >= PLATFORM_GUEST_MAX)
			continue;
		*w = (struct window){.va = from->va,
				     .offset = from->offset,
				     .size = from->size,
				     .have = from->have,
				     .writable = from->writable != 0};
		fetch_lines(t, w);
		t->window_high = MAX(t->window_high, from->offset + from->size);
		t->window_count++;
	}
}

/* Windows that follow from the arguments, and the size of a string. */
static void plan_windows(struct platform_thread *t, const struct channel_call *call)
{
	const struct copyplan *plan = &t->p->copyplans[call->nr];
	uint32_t used = 0;

	for (uint32_t i = 0; i < plan->count; i++) {
		const struct copywin *cw = &plan->win[i];
		uint64_t va = call->arg[cw->arg];
		uint64_t size = cw->kind == COPYWIN_CSTR ? MIN(call->window_count, cw->size)
							 : plan_size(cw, call->arg);
		int32_t at = plan_is_plain(cw) ? plan_place(&used, t->window_count, va, size) : -1;

		if (at < 0 || va >= PLATFORM_GUEST_MAX)
			continue;
		t->windows[t->window_count++] =
		    (struct window){.va = va,
				    .offset = (uint32_t)at,
				    .size = (uint32_t)size,
				    .have = cw->kind == COPYWIN_OUT ? 0 : (uint32_t)size,
				    .writable = plan_writable(cw)};
		fetch_lines(t, &t->windows[t->window_count - 1]);
		t->window_high = MAX(t->window_high, (uint32_t)at + (uint32_t)size);
	}
}

static void decode_call(struct platform_thread *t, const struct channel_call *call,
			struct platform_event *ev)
{
	ev->call.nr = call->nr;
	memcpy(ev->call.arg, call->arg, sizeof(ev->call.arg));
	ev->call.fast = call->flags & REQUEST_FAST;
	t->inherits = t->p->inherit_size && call->flags & REQUEST_INHERIT;
	t->inherit_seen = t->inherit_seen || t->inherits;
	if (ev->call.fast)
		count_stat(fast_calls);
	if (!(call->flags & REQUEST_PLANNED))
		decode_windows(t, call->window_count);
	else if (call->nr < t->p->copyplan_count)
		plan_windows(t, call);
	count_stat(calls);
}

static bool fault_valid(const struct platform_fault *f)
{
	return f->signo == SIGSEGV || f->signo == SIGBUS || f->signo == SIGFPE ||
	       f->signo == SIGILL || f->signo == SIGTRAP;
}

/* What the report may claim is bounded by what exists; whether it was ordered is the caller's. */
static bool report_valid(const struct platform_report *r)
{
	return r->step <= PREP_FRAME && r->memop_index < PLATFORM_MEMOPS_MAX && r->error <= 0 &&
	       r->error > -4096;
}

static uint32_t call_number(const struct channel_call *call)
{
	return (uint32_t)(call->type == PEV_CALL ? MIN(call->nr, (uint64_t)PLATFORM_CALLS_MAX)
						 : PLATFORM_CALLS_MAX);
}

bool request_decode(struct platform_thread *t, struct platform_event *ret_event)
{
	const struct channel *ch = t->ch;
	struct channel_call call;

	memcpy(&call, &ch->call, sizeof(call));
	ret_event->type = call.type;
	t->regs_known = false;
	t->inherits = false;
	t->window_count = 0;
	t->small_of = NULL;
	t->call_nr = call_number(&call);
	switch (call.type) {
	case PEV_CALL:
		decode_call(t, &call, ret_event);
		return true;
	case PEV_FAULT:
		memcpy(&ret_event->fault, &ch->req.fault, sizeof(ret_event->fault));
		count_stat(faults);
		return fault_valid(&ret_event->fault);
	case PEV_KICKED:
		count_stat(kicks);
		return true;
	case PEV_SITE:
		return true;
	case PEV_REPORT:
		memcpy(&ret_event->report, &ch->req.report, sizeof(ret_event->report));
		count_stat(reports);
		return report_valid(&ret_event->report);
	default:
		return false;
	}
}

struct platform_regs *platform_regs(struct platform_thread *t)
{
	if (!t->regs_known) {
		t->regs = t->ch->req.regs;
		t->regs.orig_rax = t->regs.rax;
		t->regs_known = true;
	}
	return &t->regs;
}
