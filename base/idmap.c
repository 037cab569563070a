/* SPDX-License-Identifier: Apache-2.0 */
#include "base/idmap.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/mem.h"

void *idmap_get(const struct idmap *m, uint32_t id)
{
	uint32_t leaf = id / IDMAP_LEAF;

	if (leaf >= m->leaf_count || !m->leaves[leaf])
		return NULL;
	return m->leaves[leaf][id % IDMAP_LEAF];
}

static void **leaf_for(struct idmap *m, uint32_t leaf)
{
	if (leaf >= m->leaf_count) {
		uint32_t count = MAX(leaf + 1, m->leaf_count * 2);

		m->leaves = xrealloc(m->leaves, count * sizeof(*m->leaves));
		memset(m->leaves + m->leaf_count, 0, (count - m->leaf_count) * sizeof(*m->leaves));
		m->leaf_count = count;
	}
	if (!m->leaves[leaf])
		m->leaves[leaf] = xcalloc(IDMAP_LEAF, sizeof(void *));
	return m->leaves[leaf];
}

void *idmap_set(struct idmap *m, uint32_t id, void *value)
{
	void **leaf, *old;

	if (!value && !idmap_get(m, id))
		return NULL;
	leaf = leaf_for(m, id / IDMAP_LEAF);
	old = leaf[id % IDMAP_LEAF];
	leaf[id % IDMAP_LEAF] = value;
	if (value && !old)
		m->used_count++;
	if (!value && old)
		m->used_count--;
	if (!value && id < m->free_hint)
		m->free_hint = id;
	if (value && id == m->free_hint)
		m->free_hint = id + 1;
	return old;
}

int64_t idmap_lowest_free(const struct idmap *m, uint32_t from, uint32_t limit)
{
	for (uint32_t id = MAX(from, m->free_hint); id < limit; id++)
		if (!idmap_get(m, id))
			return id;
	return -1;
}

int64_t idmap_next(const struct idmap *m, uint32_t from, void **ret_value)
{
	for (uint32_t leaf = from / IDMAP_LEAF; leaf < m->leaf_count; leaf++) {
		uint32_t i = leaf == from / IDMAP_LEAF ? from % IDMAP_LEAF : 0;

		if (!m->leaves[leaf])
			continue;
		for (; i < IDMAP_LEAF; i++) {
			if (!m->leaves[leaf][i])
				continue;
			*ret_value = m->leaves[leaf][i];
			return (int64_t)leaf * IDMAP_LEAF + i;
		}
	}
	return -1;
}

void idmap_destroy(struct idmap *m)
{
	for (uint32_t i = 0; i < m->leaf_count; i++)
		free(m->leaves[i]);
	free(m->leaves);
	*m = (struct idmap)IDMAP_INIT;
}
