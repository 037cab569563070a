/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gofer's table of handles. An id is a generation (upper half) and a slot (lower half, from 1):
 * a slot that is used again has another generation, so a stale id is refused. The table's size is
 * fixed when it is made and its memory appears with use, so that the serving threads never
 * allocate. A handle in use by a request survives being clunked until the request is done.
 */
#ifndef FSGOFER_HANDLES_H
#define FSGOFER_HANDLES_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum handle_kind {
	HANDLE_PATH = 1, /* an O_PATH descriptor of any file */
	HANDLE_STREAM,	 /* an open directory */
};

/* A slot. Legend: [m] the table's lock, [I] fixed while the slot is used. */
struct gofer_handle {
	int fd;		     /* [I] owned */
	uint32_t generation; /* [m] */
	uint32_t next_free;  /* [m] slot number, 0 ends */
	uint16_t users;	     /* [m] requests that hold it now */
	uint8_t kind;	     /* [I] 0: free */
	bool readonly;	     /* [I] from the mount */
	bool clunked;	     /* [m] freed when users drops to 0 */
};

struct handle_table {
	pthread_mutex_t lock;
	struct gofer_handle *slots; /* [I] slot n is slots[n - 1] */
	uint32_t slot_count;	    /* [I] */
	uint32_t touched_count;	    /* [m] slots ever used: the first ones */
	uint32_t first_free;	    /* [m] */
	uint32_t used_count;	    /* [m] */
};

int handles_init(struct handle_table *t, uint32_t slot_count);
/* Closes every descriptor; no request may be under way. */
void handles_destroy(struct handle_table *t);

/* Takes fd over, also on failure (-EMFILE: the table is full). */
int handles_add(struct handle_table *t, int fd, enum handle_kind kind, bool readonly,
		uint64_t *ret_id);
/* The handle, to be put back; NULL if the id is stale or of another kind (0: any). */
struct gofer_handle *handles_get(struct handle_table *t, uint64_t id, enum handle_kind kind);
void handles_put(struct handle_table *t, struct gofer_handle *h);
/* Forgets an id; unknown ones are ignored. */
void handles_clunk(struct handle_table *t, uint64_t id);
uint32_t handles_used_count(struct handle_table *t);

#endif
