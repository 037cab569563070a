/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory for a sentry that the host keeps out of it: a thread that waits for a reply copies
 * between its memory and its channel when it is asked to, and rings again (notify/copy.c).
 */
#include "platform/stub/stub.h"

void stub_serve_copy(struct channel *ch)
{
	struct channel_copy c;
	uint8_t *area;
	uint64_t left;

	if (atomic_load_explicit(&ch->state, memory_order_acquire) != CHANNEL_COPY)
		return;
	c = ch->copy;
	area = ch->window + c.offset;
	left = c.write ? stub_copy((void *)c.va, area, c.size)
		       : stub_copy(area, (const void *)c.va, c.size);
	ch->copy.done = (uint32_t)(c.size - left); /* a fault makes it shorter */
	atomic_store_explicit(&ch->state, CHANNEL_COPIED, memory_order_release);
}
