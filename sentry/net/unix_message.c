/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of unix sockets, and the descriptors in them.
 *
 * A descriptor in a message that nobody has received is in flight. The sandbox may have
 * UNIX_INFLIGHT_MAX of them. That bounds what sockets can hold that wait, unreachable, in each
 * other's queues (a socket sent through itself and then closed): Linux finds such cycles with a
 * collector; here they last until the sandbox ends, and a program that makes too many of them gets
 * ETOOMANYREFS, as from Linux under the limit of RLIMIT_NOFILE. Linux's bound is one per user, and
 * root's programs have none.
 *
 * A socket in flight may hold messages with sockets in flight, and so on: putting a file when a
 * queue is thrown away would recurse as deep as a guest likes. So files of messages that were never
 * received go through the table's list of the dead, which one thread at a time empties in a loop.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "sentry/kernel/lockorder.h"
#include "sentry/net/unix_internal.h"
#include "sentry/net/unix_table.h"

struct dead_rights {
	struct list link;
	struct unix_rights *rights;
};

void unix_rights_free(struct unix_rights *r)
{
	if (!r)
		return;
	for (uint32_t i = 0; i < r->count; i++)
		file_put(r->files[i]);
	free(r);
}

struct unix_rights *unix_rights_dup(const struct unix_rights *r)
{
	struct unix_rights *copy;

	if (!r)
		return NULL;
	copy = xnew(struct unix_rights);
	copy->count = r->count;
	for (uint32_t i = 0; i < r->count; i++)
		copy->files[i] = file_get(r->files[i]);
	return copy;
}

int unix_rights_depart(struct unix_table *table, const struct unix_rights *r)
{
	uint32_t count = r ? r->count : 0;

	if (atomic_fetch_add(&table->inflight, count) + count <= UNIX_INFLIGHT_MAX || !count)
		return 0;
	atomic_fetch_sub(&table->inflight, count);
	return -ETOOMANYREFS;
}

void unix_rights_arrive(struct unix_table *table, const struct unix_rights *r)
{
	if (r)
		atomic_fetch_sub(&table->inflight, r->count);
}

static struct dead_rights *next_dead(struct unix_table *table)
{
	struct dead_rights *d;

	mutex_lock(&table->dead_lock);
	d = list_first_or_null(&table->dead, struct dead_rights, link);
	if (d)
		list_del(&d->link);
	else
		table->burying = false;
	mutex_unlock(&table->dead_lock);
	return d;
}

static void bury(struct unix_table *table, struct unix_rights *r)
{
	struct dead_rights *d = xnew(struct dead_rights);
	bool busy;

	unix_rights_arrive(table, r);
	d->rights = r;
	mutex_lock(&table->dead_lock);
	list_add_tail(&table->dead, &d->link);
	busy = table->burying;
	table->burying = true;
	mutex_unlock(&table->dead_lock);
	while (!busy && (d = next_dead(table))) {
		unix_rights_free(d->rights);
		free(d);
	}
}

struct unix_message *unix_message_new(uint32_t capacity)
{
	struct unix_message *m = xmalloc(sizeof(*m) + capacity);

	list_init(&m->link);
	m->start = m->end = 0;
	m->capacity = capacity;
	m->rights = NULL;
	m->cred = (struct abi_ucred){0};
	m->from = NULL;
	return m;
}

void unix_message_free(struct unix_table *table, struct unix_message *m)
{
	if (m->rights)
		bury(table, m->rights);
	unix_name_put(m->from);
	free(m);
}

struct unix_table *unix_table_new(void)
{
	struct unix_table *table = xnew(struct unix_table);

	mutex_init(&table->lock, RANK_LEAF);
	for (unsigned int i = 0; i < UNIX_BUCKETS; i++)
		list_init(&table->bound[i]);
	mutex_init(&table->dead_lock, RANK_LEAF);
	list_init(&table->dead);
	return table;
}

void unix_table_destroy(struct unix_table *table)
{
	mutex_destroy(&table->lock);
	mutex_destroy(&table->dead_lock);
	free(table);
}

void unix_ctl_clear(struct unix_ctl *c)
{
	unix_rights_free(c->rights);
	unix_name_put(c->from);
	c->rights = NULL;
	c->from = NULL;
}

void unix_name_get(struct unix_name *n)
{
	if (n)
		refcount_get(&n->ref);
}

void unix_name_put(struct unix_name *n)
{
	if (n && refcount_put(&n->ref))
		free(n);
}
