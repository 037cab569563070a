/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a reply into the channel. Nothing is read back from there. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/mem.h"
#include "platform/internal.h"

/*
 * One window that goes back fits into the reply's head, with what it holds if that is little. The
 * windows stay until the next request: a reply may have to be written again.
 */
static void encode_backs(struct platform_thread *t, struct channel_result *res)
{
	struct channel_writeback *backs = t->ch->rep.backs;
	uint32_t count = 0;

	for (uint32_t i = 0; i < t->window_count; i++) {
		const struct window *w = &t->windows[i];

		if (w->low == w->high)
			continue;
		if (count == 1)
			backs[0] = res->back;
		if (count > 0)
			small_spill(t);
		res->back = (struct channel_writeback){w->va + w->low, w->offset + w->low,
						       w->high - w->low};
		if (count > 0)
			backs[count] = res->back;
		count++;
	}
	if (t->small_of && res->back.size <= CHANNEL_INLINE) {
		memcpy(res->data, t->small, res->back.size);
		res->back.offset = 0;
		res->flags |= REPLY_INLINE;
	}
	small_spill(t);
	res->back_count = count;
}

/* Where data of MEMOP_WRITE can go: behind the windows that are written back. */
static uint32_t room_behind_windows(const struct platform_thread *t)
{
	uint32_t end = 0;

	for (uint32_t i = 0; i < t->window_count; i++)
		if (t->windows[i].low != t->windows[i].high)
			end = MAX(end, t->windows[i].offset + t->windows[i].high);
	return end;
}

static uint32_t encode_data(struct platform_thread *t, const struct memop *op, uint32_t end,
			    struct channel_memop *to)
{
	uint32_t at = (end + 7) & ~7u;

	check(at <= CHANNEL_WINDOW_SIZE && op->size <= CHANNEL_WINDOW_SIZE - at);
	memcpy(t->ch->window + at, op->data, op->size);
	to->offset_or_new_addr = at;
	t->window_high = MAX(t->window_high, at + (uint32_t)op->size);
	return at + (uint32_t)op->size;
}

/* What the program that ran here has left in its channel: its buffers and registers. */
static void scrub_channel(struct platform_thread *t)
{
	struct channel *ch = t->ch;

	memset(ch->window, 0, t->window_high);
	memset(&ch->req, 0, sizeof(ch->req));
	memset(&ch->rep, 0, sizeof(ch->rep));
	memset(ch->memops, 0, sizeof(ch->memops));
	if (t->inherit_seen)
		memset(&ch->inherit, 0, t->p->inherit_size);
	t->inherit_seen = false;
	if (t->had_leases) {
		atomic_store(&ch->own.leased, 0);
		memset(ch->lease_fd, 0, sizeof(ch->lease_fd));
		memset(ch->leases, 0, sizeof(ch->leases));
		memset(ch->head, 0, sizeof(ch->head));
	}
	t->window_high = 0;
	t->window_count = 0;
	t->small_of = NULL;
}

/* Returns the end of the window area's used part, which was `end` before. */
static uint32_t encode_memop(struct platform_thread *t, const struct memop *op, uint32_t end,
			     struct channel_memop *to)
{
	*to = (struct channel_memop){
	    .type = op->type,
	    .flags = op->flags,
	    .prot = op->prot,
	    .fd_or_advice = op->type == MEMOP_MADVISE ? op->advice : -1,
	    .addr = op->addr,
	    .size = op->size,
	    .offset_or_new_addr = op->type == MEMOP_MREMAP ? op->new_addr : op->offset,
	    .new_size = op->new_size,
	};
	if (op->flags & MEMOP_LEASE)
		to->addr = STUB_LEASES + op->addr * PLATFORM_LEASE_SIZE;
	return op->type == MEMOP_WRITE ? encode_data(t, op, end, to) : end;
}

bool memops_can_fail(const struct platform_reply *r)
{
	for (uint32_t i = 0; i < r->memop_count; i++)
		if (!(r->memops[i].flags & (MEMOP_MAY_FAIL | MEMOP_LEASE)))
			return true;
	return false;
}

static uint32_t reply_flags(const struct platform_reply *r)
{
	return (r->set_ret ? REPLY_SET_RET : 0) | (r->set_regs ? REPLY_SET_REGS : 0) |
	       (r->set_fs_base ? REPLY_SET_FS_BASE : 0) | (r->restart ? REPLY_RESTART : 0) |
	       (r->report ? REPLY_REPORT : 0) | (r->frame ? REPLY_FRAME : 0) |
	       (r->memop_count ? REPLY_MEMOPS : 0) | (r->order != PORD_NONE ? REPLY_ORDER : 0);
}

static void encode_clone(struct platform_thread *t, struct channel_reply *rep,
			 const struct platform_thread *child)
{
	rep->clone_kind = child->kind;
	rep->clone_slot = child->slot;
	rep->clone_token = child->token;
	rep->clone_flags = (child->slot_fresh ? CLONE_ORDER_MAP_STACK : 0) |
			   (t->own_stack_inherited ? 0 : CLONE_ORDER_DOFORK);
}

static void encode_memops(struct platform_thread *t, const struct platform_reply *r)
{
	uint32_t end = room_behind_windows(t);

	t->ch->rep.memop_count = r->memop_count;
	for (uint32_t i = 0; i < r->memop_count; i++)
		end = encode_memop(t, &r->memops[i], end, &t->ch->memops[i]);
}

static void encode_order(struct platform_thread *t, const struct platform_reply *r)
{
	struct channel_reply *rep = &t->ch->rep;

	rep->order = r->order;
	rep->va = r->va;
	if (r->order == PORD_CLONE)
		encode_clone(t, rep, r->child);
	rep->atomic_op = r->atomic_op;
	rep->atomic_operand = r->atomic_operand;
	rep->atomic_expected = r->atomic_expected;
}

/* Caller holds t->lock. Descriptors of the memops are filled in by who hands them over. */
void reply_encode(struct platform_thread *t, const struct platform_reply *r)
{
	struct channel_result res = {.flags = reply_flags(r), .ret = r->ret};
	struct channel_reply *rep = &t->ch->rep;

	if (t->kick_in_reply)
		res.flags |= REPLY_KICK;
	if (t->begins)
		res.flags |= REPLY_BEGIN;
	if (r->memop_count && r->memops[0].type == MEMOP_CLEAR)
		scrub_channel(t);
	if (r->memop_count)
		encode_memops(t, r);
	encode_backs(t, &res);
	if (r->order != PORD_NONE)
		encode_order(t, r);
	if (r->set_fs_base)
		rep->fs_base = r->fs_base;
	if (r->set_regs)
		rep->regs = r->regs;
	if (r->frame)
		rep->frame = *r->frame;
	t->ch->result = res;
}
