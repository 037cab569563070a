/* SPDX-License-Identifier: Apache-2.0 */
#include "base/feature.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct feature_info infos[] = {
#define FEATURE_INFO(id, name, kind, since, loss) [FEATURE_##id] = {name, kind, since, loss},
    FEATURES(FEATURE_INFO)
#undef FEATURE_INFO
};

static uint64_t without_set, forced_set;

const struct feature_info *feature_info(enum feature f)
{
	return &infos[f];
}

static bool is_word(const char *word, size_t size, const char *name)
{
	return strlen(name) == size && memcmp(word, name, size) == 0;
}

/* The features that one word stands for; 0: none. */
static uint64_t word_set(const char *word, size_t size)
{
	uint64_t set = 0;

	for (int f = 0; f < FEATURE_COUNT; f++) {
		const char *all = infos[f].kind == FEATURE_HOST ? "all-host" : "all-speed";

		if (is_word(word, size, infos[f].name) || is_word(word, size, all))
			set |= 1ull << f;
	}
	return set;
}

int features_parse(const char *list, uint64_t *ret_set, char *ret_bad, uint32_t bad_size)
{
	uint64_t set = 0;

	while (*list) {
		size_t size = strcspn(list, ",");
		uint64_t more = word_set(list, size);

		if (!more) {
			snprintf(ret_bad, bad_size, "%.*s", (int)size, list);
			return -EINVAL;
		}
		set |= more;
		list += size + (list[size] == ',');
	}
	*ret_set = set;
	return 0;
}

void features_switch(uint64_t without, uint64_t force)
{
	without_set = without;
	forced_set = force;
}

uint64_t features_without(void)
{
	return without_set;
}

uint64_t features_forced(void)
{
	return forced_set;
}
