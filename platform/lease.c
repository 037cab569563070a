/* SPDX-License-Identifier: Apache-2.0 */
/* Leases: the sentry's side of what stub/lease.c does. */
#include "platform/backend.h"
#include "platform/internal.h"

bool platform_leases(const struct platform *p)
{
	return p->backend->stub_calls && !(p->without & FEATURE_BIT(LEASES));
}

void platform_lease_set(struct platform_thread *t, uint32_t index, const struct platform_lease *l)
{
	struct channel_lease *to = &t->ch->leases[index];

	t->had_leases = true;
	t->ch->lease_fd[index] = l->fd;
	to->size = l->size;
	to->mapped = l->mapped;
	to->head = l->head;
	to->device = l->device;
	to->stat = *l->stat;
	atomic_store_explicit(&to->used, 0, memory_order_relaxed);
	platform_lease_set_pos(t, index, l->has_pos, l->pos);
}

void platform_lease_set_pos(struct platform_thread *t, uint32_t index, bool has_pos, int64_t pos)
{
	struct channel_lease *to = &t->ch->leases[index];

	to->has_pos = has_pos;
	atomic_store_explicit(&to->pos, pos, memory_order_relaxed);
}

int64_t platform_lease_pos(struct platform_thread *t, uint32_t index)
{
	return atomic_load_explicit(&t->ch->leases[index].pos, memory_order_relaxed);
}

bool platform_lease_used(struct platform_thread *t, uint32_t index)
{
	return atomic_load_explicit(&t->ch->leases[index].used, memory_order_relaxed);
}

void *platform_lease_head(struct platform_thread *t)
{
	t->had_leases = true;
	return t->ch->head;
}

void platform_lease_allow(struct platform_thread *t, uint32_t index, uint32_t what)
{
	atomic_fetch_or(&t->ch->own.leased, LEASE_BITS(what, index));
}

void platform_lease_revoke(struct platform_thread *t, uint32_t index, uint32_t what)
{
	atomic_fetch_and(&t->ch->own.leased, ~LEASE_BITS(what, index));
}

uint32_t platform_lease_allowed(struct platform_thread *t, uint32_t index)
{
	return atomic_load(&t->ch->own.leased) >> index & PLATFORM_LEASE_ALL;
}
