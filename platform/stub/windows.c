/* SPDX-License-Identifier: Apache-2.0 */
/* Windows: copies of the buffers that a call reads, room for those it writes. */
#include "platform/stub/stub.h"

#define WINDOW_ALIGN 64
#define IOV_MAX_LOOK 8 /* windows for at most so many buffers of an iovec array */

struct fill {
	struct channel *ch;
	uint32_t used; /* bytes of the window area */
	uint32_t count;
};

static uint64_t arg_of(const struct platform_regs *r, uint32_t n)
{
	switch (n) {
	case 0:
		return r->rdi;
	case 1:
		return r->rsi;
	case 2:
		return r->rdx;
	case 3:
		return r->r10;
	case 4:
		return r->r8;
	default:
		return r->r9;
	}
}

static uint64_t size_of(const struct copywin *w, const struct platform_regs *r)
{
	uint64_t count, size;

	if (w->size_arg == COPYWIN_FIXED)
		return w->size;
	count = arg_of(r, w->size_arg);
	if (w->size == COPYWIN_BITS)
		return (int32_t)count <= 0 ? 0 : ((uint64_t)(uint32_t)count + 63) / 64 * 8;
	return __builtin_mul_overflow(count, w->size, &size) ? UINT64_MAX : size;
}

static struct channel_window *reserve(struct fill *f, uint64_t va, uint64_t size, bool writable)
{
	struct channel_window *w;

	if (!va || !size || size > CHANNEL_WINDOW_SIZE - f->used || f->count == CHANNEL_WINDOWS)
		return NULL;
	w = &f->ch->req.windows[f->count++];
	w->va = va;
	w->offset = f->used;
	w->size = (uint32_t)size;
	w->have = 0;
	w->writable = writable;
	f->used += ((uint32_t)size + WINDOW_ALIGN - 1) & ~(WINDOW_ALIGN - 1u);
	if (f->used > CHANNEL_WINDOW_SIZE)
		f->used = CHANNEL_WINDOW_SIZE;
	return w;
}

static void copy_in(struct fill *f, struct channel_window *w)
{
	w->have = w->size - (uint32_t)stub_copy(f->ch->window + w->offset, (void *)w->va, w->size);
}

static void fill_string(struct fill *f, uint64_t va, uint32_t max)
{
	struct channel_window *w;
	uint32_t n;

	if (!va || max > CHANNEL_WINDOW_SIZE - f->used)
		return;
	n = (uint32_t)stub_copy_string((char *)f->ch->window + f->used, (const char *)va, max);
	w = reserve(f, va, n, false);
	if (w)
		w->have = n;
}

/* The buffers named by an array of struct iovec that is in a window. */
static void fill_iov(struct fill *f, const struct channel_window *array, bool out)
{
	const uint64_t *iov = (const uint64_t *)(f->ch->window + array->offset);
	uint32_t count = array->have / 16;

	for (uint32_t i = 0; i < count && i < IOV_MAX_LOOK; i++) {
		struct channel_window *w = reserve(f, iov[2 * i], iov[2 * i + 1], out);

		if (w && !out)
			copy_in(f, w);
	}
}

static void fill_one(struct fill *f, const struct copywin *cw, const struct platform_regs *regs)
{
	uint64_t va = arg_of(regs, cw->arg);
	struct channel_window *w;

	if (cw->kind == COPYWIN_CSTR) {
		fill_string(f, va, cw->size);
		return;
	}
	w = reserve(f, va, size_of(cw, regs), cw->kind == COPYWIN_OUT || cw->kind == COPYWIN_INOUT);
	if (!w || cw->kind == COPYWIN_OUT)
		return;
	copy_in(f, w);
	if (cw->kind == COPYWIN_IOV_IN || cw->kind == COPYWIN_IOV_OUT)
		fill_iov(f, w, cw->kind == COPYWIN_IOV_OUT);
}

void stub_fill_windows(struct channel *ch)
{
	struct platform_regs regs = ch->req.regs;
	struct fill f = {ch, 0, 0};

	if (regs.rax < stub_boot.plan_count) {
		const struct copyplan *plan = &stub_boot.plans[regs.rax];

		for (uint32_t i = 0; i < plan->count; i++)
			fill_one(&f, &plan->win[i], &regs);
	}
	ch->req.window_count = f.count;
}
