/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "runsc/cli.h"
#include "runsc/state.h"

/* The states of all containers; one that is deleted while we look is left out. */
static struct error *collect(const struct runsc_options *o, json_t **ret_list)
{
	struct oci_strings ids;
	struct error *e = container_list(o, &ids);
	json_t *list;

	if (e)
		return e;
	list = json_array();
	for (size_t i = 0; i < ids.count; i++) {
		struct container *c;

		e = container_open(o, ids.items[i], &c);
		if (e) {
			error_warn(e, "container %s", ids.items[i]);
		} else {
			json_array_append_new(list, container_state_json(c, true));
			container_close(c);
		}
		free(ids.items[i]);
	}
	free(ids.items);
	*ret_list = list;
	return NULL;
}

static char *cell(json_t *state, const char *key)
{
	json_t *value = json_object_get(state, key);

	if (json_is_integer(value))
		return xasprintf("%lld", (long long)json_integer_value(value));
	return xstrdup(json_is_string(value) ? json_string_value(value) : "");
}

static const struct {
	const char *title, *key;
} columns[] = {{"ID", "id"},	     {"PID", "pid"},	     {"STATUS", "status"},
	       {"BUNDLE", "bundle"}, {"CREATED", "created"}, {"OWNER", "owner"}};

/* Columns at least 12 wide, 3 spaces between them. */
static void print_table(json_t *list)
{
	size_t width[array_count(columns)], i;
	json_t *state;

	for (size_t k = 0; k < array_count(columns); k++) {
		width[k] = strlen(columns[k].title) + 3;
		json_array_foreach (list, i, state) {
			char *text = cell(state, columns[k].key);

			width[k] = MAX(width[k], strlen(text) + 3);
			free(text);
		}
		width[k] = MAX(width[k], (size_t)12);
	}
	for (size_t k = 0; k < array_count(columns); k++)
		printf("%-*s", k + 1 < array_count(columns) ? (int)width[k] : 0, columns[k].title);
	putchar('\n');
	json_array_foreach (list, i, state) {
		for (size_t k = 0; k < array_count(columns); k++) {
			char *text = cell(state, columns[k].key);

			printf("%-*s", k + 1 < array_count(columns) ? (int)width[k] : 0, text);
			free(text);
		}
		putchar('\n');
	}
}

static void print_ids(json_t *list)
{
	json_t *state;
	size_t i;

	json_array_foreach (list, i, state)
		puts(json_string_value(json_object_get(state, "id")));
}

static struct error *run(const struct runsc_options *o, const struct cli_args *a, int *ret_status)
{
	const char *format = cli_string(a, "format");
	struct error *e;
	json_t *list;

	(void)ret_status;
	if (format && strcmp(format, "table") && strcmp(format, "json"))
		return error_new("invalid format option: %s", format);
	e = collect(o, &list);
	if (e)
		return e;
	if (cli_flag(a, "quiet")) {
		print_ids(list);
	} else if (!format || strcmp(format, "table") == 0) {
		print_table(list);
	} else if (json_array_size(list) == 0) {
		puts("null"); /* as runc does */
	} else {
		json_dumpf(list, stdout, JSON_COMPACT);
		putchar('\n');
	}
	json_decref(list);
	return NULL;
}

static const struct cli_option options[] = {
    {"format", 'f', "value", "table (default) or json"},
    {"quiet", 'q', NULL, "only the ids"},
    {NULL, 0, NULL, NULL},
};

const struct command cmd_list = {
    .name = "list",
    .synopsis = "[command options]",
    .summary = "list the containers below --root",
    .options = options,
    .run = run,
};
