/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a reply into the channel. Nothing is read back from there. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/mem.h"
#include "platform/internal.h"

static void encode_writebacks(struct platform_thread *t, struct channel_reply *rep)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < t->window_count; i++) {
		const struct window *w = &t->windows[i];

		if (w->low == w->high)
			continue;
		rep->writebacks[count++] = (struct channel_writeback){
		    w->va + w->low, w->offset + w->low, w->high - w->low};
	}
	rep->writeback_count = count;
	t->window_count = 0;
}

static void encode_memop(struct channel_memop *to, const struct memop *op)
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
}

static uint32_t reply_flags(const struct platform_reply *r)
{
	return (r->set_ret ? REPLY_SET_RET : 0) | (r->set_regs ? REPLY_SET_REGS : 0) |
	       (r->set_fs_base ? REPLY_SET_FS_BASE : 0) | (r->restart ? REPLY_RESTART : 0) |
	       (r->report ? REPLY_REPORT : 0) | (r->frame ? REPLY_FRAME : 0);
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

/* Caller holds t->lock. Descriptors of the memops are filled in by who hands them over. */
void reply_encode(struct platform_thread *t, const struct platform_reply *r)
{
	struct channel_reply *rep = &t->ch->rep;

	rep->flags = reply_flags(r);
	rep->order = r->order;
	rep->ret = r->ret;
	rep->fs_base = r->fs_base;
	rep->va = r->va;
	if (r->set_regs)
		rep->regs = r->regs;
	encode_writebacks(t, rep);
	rep->memop_count = r->memop_count;
	for (uint32_t i = 0; i < r->memop_count; i++)
		encode_memop(&t->ch->memops[i], &r->memops[i]);
	if (r->order == PORD_CLONE)
		encode_clone(t, rep, r->child);
	rep->atomic_op = r->atomic_op;
	rep->atomic_operand = r->atomic_operand;
	rep->atomic_expected = r->atomic_expected;
	if (r->frame)
		rep->frame = *r->frame;
}
