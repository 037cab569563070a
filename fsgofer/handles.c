/* SPDX-License-Identifier: Apache-2.0 */
#include "fsgofer/handles.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"

int handles_init(struct handle_table *t, uint32_t slot_count)
{
	void *p = mmap(NULL, slot_count * sizeof(*t->slots), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	*t = (struct handle_table){.slots = p, .slot_count = slot_count};
	pthread_mutex_init(&t->lock, NULL);
	return 0;
}

void handles_destroy(struct handle_table *t)
{
	for (uint32_t i = 0; i < t->touched_count; i++)
		if (t->slots[i].kind)
			close(t->slots[i].fd);
	munmap(t->slots, t->slot_count * sizeof(*t->slots));
	pthread_mutex_destroy(&t->lock);
}

/* A free slot's number, or 0. */
static uint32_t take_slot_locked(struct handle_table *t)
{
	uint32_t slot = t->first_free;

	if (slot)
		t->first_free = t->slots[slot - 1].next_free;
	else if (t->touched_count < t->slot_count)
		slot = ++t->touched_count;
	return slot;
}

int handles_add(struct handle_table *t, int fd, enum handle_kind kind, bool readonly,
		uint64_t *ret_id)
{
	struct gofer_handle *h;
	uint32_t slot;

	pthread_mutex_lock(&t->lock);
	slot = take_slot_locked(t);
	if (!slot) {
		pthread_mutex_unlock(&t->lock);
		close(fd);
		return -EMFILE;
	}
	h = &t->slots[slot - 1];
	*h = (struct gofer_handle){
	    .fd = fd, .generation = h->generation + 1, .kind = (uint8_t)kind, .readonly = readonly};
	t->used_count++;
	*ret_id = (uint64_t)h->generation << 32 | slot;
	pthread_mutex_unlock(&t->lock);
	return 0;
}

/* The live handle of an id, or NULL. */
static struct gofer_handle *find_locked(struct handle_table *t, uint64_t id)
{
	uint32_t slot = (uint32_t)id;
	struct gofer_handle *h;

	if (slot == 0 || slot > t->touched_count)
		return NULL;
	h = &t->slots[slot - 1];
	return h->kind && !h->clunked && h->generation == id >> 32 ? h : NULL;
}

/* Frees the slot; the caller closes the descriptor that it returns, without the lock. */
static int free_locked(struct handle_table *t, struct gofer_handle *h)
{
	h->kind = 0;
	h->next_free = t->first_free;
	t->first_free = (uint32_t)(h - t->slots) + 1;
	t->used_count--;
	return h->fd;
}

struct gofer_handle *handles_get(struct handle_table *t, uint64_t id, enum handle_kind kind)
{
	struct gofer_handle *h;

	pthread_mutex_lock(&t->lock);
	h = find_locked(t, id);
	if (h && kind && h->kind != kind)
		h = NULL;
	if (h) {
		check(h->users < UINT16_MAX);
		h->users++;
	}
	pthread_mutex_unlock(&t->lock);
	return h;
}

void handles_put(struct handle_table *t, struct gofer_handle *h)
{
	int fd = -1;

	pthread_mutex_lock(&t->lock);
	check(h->users > 0);
	if (--h->users == 0 && h->clunked)
		fd = free_locked(t, h);
	pthread_mutex_unlock(&t->lock);
	if (fd >= 0)
		close(fd);
}

void handles_clunk(struct handle_table *t, uint64_t id)
{
	struct gofer_handle *h;
	int fd = -1;

	pthread_mutex_lock(&t->lock);
	h = find_locked(t, id);
	if (h && h->users)
		h->clunked = true;
	else if (h)
		fd = free_locked(t, h);
	pthread_mutex_unlock(&t->lock);
	if (fd >= 0)
		close(fd);
}

uint32_t handles_used_count(struct handle_table *t)
{
	uint32_t count;

	pthread_mutex_lock(&t->lock);
	count = t->used_count;
	pthread_mutex_unlock(&t->lock);
	return count;
}
