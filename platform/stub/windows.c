/* SPDX-License-Identifier: Apache-2.0 */
/* Windows: copies of the buffers that a call reads, room for those it writes. */
#include <sys/syscall.h>

#include "abi/futex.h"
#include "abi/socket.h"
#include "abi/uio.h"
#include "platform/stub/plan.h"
#include "platform/stub/stub.h"

#define IOV_MAX_LOOK 8 /* windows for at most so many buffers of an iovec array */

struct fill {
	struct channel *ch;
	uint32_t used; /* bytes of the window area */
	uint32_t count;
	bool planned; /* no window needs to be described */
	uint32_t strings, string_size;
};

static struct channel_window *reserve(struct fill *f, uint64_t va, uint64_t size, bool writable)
{
	int32_t at = plan_place(&f->used, f->count, va, size);
	struct channel_window *w;

	if (at < 0)
		return NULL;
	w = &f->ch->req.windows[f->count++];
	w->va = va;
	w->offset = (uint32_t)at;
	w->size = (uint32_t)size;
	w->have = 0;
	w->writable = writable;
	return w;
}

static void copy_in(struct fill *f, struct channel_window *w)
{
	w->have = w->size - (uint32_t)stub_copy(f->ch->window + w->offset, (void *)w->va, w->size);
	if (w->have != w->size)
		f->planned = false;
}

static void fill_string(struct fill *f, uint64_t va, uint32_t max)
{
	struct channel_window *w;
	uint32_t n;

	if (!va || max > CHANNEL_WINDOW_SIZE - f->used)
		return;
	n = (uint32_t)stub_copy_string((char *)f->ch->window + f->used, (const char *)va, max);
	f->string_size = n;
	if (++f->strings > 1)
		f->planned = false;
	w = reserve(f, va, n, false);
	if (w)
		w->have = n;
}

/* A buffer that the call reads, or (out) writes. */
static struct channel_window *fill_buffer(struct fill *f, uint64_t va, uint64_t size, bool out)
{
	struct channel_window *w = reserve(f, va, size, out);

	if (w && !out)
		copy_in(f, w);
	return w;
}

/* The buffers named by an array of struct iovec that is in a window. */
static void fill_iov(struct fill *f, const struct channel_window *array, bool out)
{
	const uint64_t *iov = (const uint64_t *)(f->ch->window + array->offset);
	uint32_t count = array->have / 16;

	for (uint32_t i = 0; i < count && i < IOV_MAX_LOOK; i++) {
		fill_buffer(f, iov[2 * i], iov[2 * i + 1], out);
	}
}

/* What a struct msghdr that is in a window names. */
static void fill_message(struct fill *f, const struct channel_window *at, bool out)
{
	const struct abi_msghdr *m = (const void *)(f->ch->window + at->offset);
	struct channel_window *array;
	uint64_t count;

	if (at->have < sizeof(*m))
		return;
	count = m->iovlen < IOV_MAX_LOOK ? m->iovlen : IOV_MAX_LOOK;
	array = fill_buffer(f, m->iov, count * sizeof(struct abi_iovec), false);
	if (array)
		fill_iov(f, array, out);
	fill_buffer(f, m->name, m->namelen, out);
	fill_buffer(f, m->control, m->controllen, out);
}

static void fill_one(struct fill *f, const struct copywin *cw, const uint64_t arg[6])
{
	uint64_t va = arg[cw->arg];
	struct channel_window *w;

	if (!plan_is_plain(cw))
		f->planned = false;
	if (cw->kind == COPYWIN_CSTR) {
		fill_string(f, va, cw->size);
		return;
	}
	w = reserve(f, va, plan_size(cw, arg), plan_writable(cw));
	if (!w || cw->kind == COPYWIN_OUT)
		return;
	copy_in(f, w);
	if (cw->kind == COPYWIN_IOV_IN || cw->kind == COPYWIN_IOV_OUT)
		fill_iov(f, w, cw->kind == COPYWIN_IOV_OUT);
	if (cw->kind == COPYWIN_MSG_IN || cw->kind == COPYWIN_MSG_OUT)
		fill_message(f, w, cw->kind == COPYWIN_MSG_OUT);
}

/* Who ends has, in all likelihood, an empty list; whoever looks at it needs to see its head. */
static void fill_robust_list(struct fill *f)
{
	uint64_t head = atomic_load_explicit(&f->ch->own.robust_list, memory_order_relaxed);

	f->planned = false;
	if (stub_boot.own_state && head < PLATFORM_GUEST_MAX)
		fill_buffer(f, head, sizeof(struct abi_robust_list_head), false);
}

void stub_fill_windows(struct channel *ch)
{
	const struct platform_regs *r = &ch->req.regs;
	const uint64_t arg[6] = {r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9};
	struct fill f = {ch, 0, 0, true};

	if (r->rax < stub_boot.plan_count) {
		const struct copyplan *plan = &stub_boot.plans[r->rax];

		for (uint32_t i = 0; i < plan->count; i++)
			fill_one(&f, &plan->win[i], arg);
		if (r->rax == SYS_exit)
			fill_robust_list(&f);
	}
	ch->req.window_count = f.planned ? f.string_size : f.count;
	if (f.planned)
		ch->req.flags |= REQUEST_PLANNED;
}
