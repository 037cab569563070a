/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A map from small non-negative integers to pointers: a two-level array, so that lookup is two
 * loads and memory follows use. Not locked. Values are never NULL.
 */
#ifndef BASE_IDMAP_H
#define BASE_IDMAP_H

#include <stdint.h>

#define IDMAP_LEAF 256

struct idmap {
	void ***leaves; /* leaf_count pointers to IDMAP_LEAF values each, or NULL */
	uint32_t leaf_count;
	uint32_t used_count; /* values stored */
	uint32_t free_hint;  /* no free id below this one */
};

#define IDMAP_INIT                                                                                 \
	{                                                                                          \
		NULL, 0, 0, 0                                                                      \
	}

void *idmap_get(const struct idmap *m, uint32_t id); /* NULL if absent */
/* Stores value, returns what was there (or NULL). value NULL removes. */
void *idmap_set(struct idmap *m, uint32_t id, void *value);
/* The lowest free id in [from, limit), or -1. */
int64_t idmap_lowest_free(const struct idmap *m, uint32_t from, uint32_t limit);
/* The lowest used id >= from with its value, or -1. */
int64_t idmap_next(const struct idmap *m, uint32_t from, void **ret_value);
void idmap_destroy(struct idmap *m); /* frees the map, not the values */

#define idmap_for_each(m, id, value)                                                               \
	for (id = idmap_next(m, 0, (void **)&value); id >= 0;                                      \
	     id = idmap_next(m, (uint32_t)id + 1, (void **)&value))

#endif
