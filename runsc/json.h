/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Typed reading of a JSON document with errors that name the place.
 *
 * A `struct node` is a value together with how it was reached; nodes live on the stack of the
 * functions that walk the document. The first thing that is wrong is kept in the reader, and
 * everything read after it is empty, so that a walk needs one check, at its end. A value `null`
 * counts as absent, as with other runtimes.
 */
#ifndef RUNSC_JSON_H
#define RUNSC_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runsc/config.h"
#include "runsc/error.h"

struct json_reader {
	const char *file;    /* the name that errors begin with */
	struct error *error; /* the first one */
};

struct node {
	struct json_reader *reader;
	json_t *json; /* borrowed; NULL: absent, or an error was met */
	const struct node *up;
	const char *key; /* in an object, else NULL */
	size_t index;	 /* in an array */
};

/* Reads a text; integers beyond int64 are kept as reals. Depth is bounded by jansson. */
struct error *json_read(const char *file, const char *text, size_t size,
			json_t **ret_json) __must_check;

/* Records "FILE: PATH: message" unless there is an error already. */
void node_error(const struct node *n, const char *fmt, ...) __printf(2, 3);

struct node node_root(struct json_reader *r, json_t *json);
/* The member with that key; absent is fine. Its type is checked by what reads it. */
struct node node_get(const struct node *up, const char *key);
struct node node_object(const struct node *up, const char *key);
struct node node_array(const struct node *up, const char *key); /* at most CONFIG_LIST_MAX */
struct node node_item(const struct node *array, size_t index);
size_t node_count(const struct node *array);
/* Records an error when n is absent. */
void node_require(const struct node *n, const char *expected);

bool node_is_present(const struct node *n);
char *node_string(const struct node *n);     /* a new copy, NULL if absent */
const char *node_peek(const struct node *n); /* borrowed, NULL if absent */
bool node_bool(const struct node *n);
int64_t node_int(const struct node *n, int64_t min, int64_t max, int64_t absent);
uint64_t node_uint(const struct node *n, uint64_t max, uint64_t absent);
struct oci_number node_number(const struct node *n, int64_t min, int64_t max);
/* An array of at most max strings; empty if absent. */
struct oci_strings node_strings(const struct node *n, size_t max);

/* Members by key, the usual case. */
char *get_string(const struct node *up, const char *key);
char *need_string(const struct node *up, const char *key);
bool get_bool(const struct node *up, const char *key);
uint32_t get_u32(const struct node *up, const char *key, uint32_t absent);
struct oci_number get_number(const struct node *up, const char *key);

#endif
