/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a request. The channel is shared with the guest, which may change it while we look: it is
 * copied once, and only the copy is checked and used.
 */
#include <signal.h>
#include <string.h>

#include "platform/internal.h"

static void decode_windows(struct platform_thread *t, const struct channel_request *req)
{
	uint32_t count = MIN(req->window_count, (uint32_t)CHANNEL_WINDOWS);

	t->window_count = 0;
	for (uint32_t i = 0; i < count; i++) {
		const struct channel_window *from = &req->windows[i];
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
		t->window_high = MAX(t->window_high, from->offset + from->size);
		t->window_count++;
	}
}

static void decode_call(const struct platform_regs *r, struct platform_event *ev)
{
	ev->call.nr = r->rax;
	ev->call.arg[0] = r->rdi;
	ev->call.arg[1] = r->rsi;
	ev->call.arg[2] = r->rdx;
	ev->call.arg[3] = r->r10;
	ev->call.arg[4] = r->r8;
	ev->call.arg[5] = r->r9;
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

bool request_decode(struct platform_thread *t, struct platform_event *ret_event)
{
	struct channel_request req;
	uint32_t window_count;

	memcpy(&req, &t->ch->req, offsetof(struct channel_request, windows));
	window_count = MIN(req.window_count, (uint32_t)CHANNEL_WINDOWS);
	memcpy(req.windows, t->ch->req.windows, window_count * sizeof(req.windows[0]));
	ret_event->type = req.type;
	t->regs_known = false;
	t->window_count = 0;
	switch (req.type) {
	case PEV_CALL:
		decode_call(&req.regs, ret_event);
		ret_event->call.fast = req.flags & REQUEST_FAST;
		if (ret_event->call.fast)
			count_stat(t->p, fast_calls);
		decode_windows(t, &req);
		count_stat(t->p, calls);
		return true;
	case PEV_FAULT:
		ret_event->fault = req.fault;
		count_stat(t->p, faults);
		return fault_valid(&req.fault);
	case PEV_KICKED:
		count_stat(t->p, kicks);
		return true;
	case PEV_SITE:
		return true;
	case PEV_REPORT:
		ret_event->report = req.report;
		count_stat(t->p, reports);
		return report_valid(&req.report);
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
