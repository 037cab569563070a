/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc/json.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/strbuf.h"

struct error *json_read(const char *file, const char *text, size_t size, json_t **ret_json)
{
	json_error_t e;
	json_t *json = json_loadb(text, size, 0, &e);

	/* A limit of "18446744073709551615" is how Go writes an unlimited one. */
	if (!json && json_error_code(&e) == json_error_numeric_overflow)
		json = json_loadb(text, size, JSON_DECODE_INT_AS_REAL, &e);
	if (!json)
		return error_new("%s: line %d, column %d: %s", file, e.line, e.column, e.text);
	*ret_json = json;
	return NULL;
}

/* "process.args[0]" */
static void add_path(struct strbuf *sb, const struct node *n)
{
	if (!n->up)
		return;
	add_path(sb, n->up);
	if (n->key)
		strbuf_addf(sb, "%s%s", sb->size ? "." : "", n->key);
	else
		strbuf_addf(sb, "[%zu]", n->index);
}

void node_error(const struct node *n, const char *fmt, ...)
{
	struct strbuf path = STRBUF_INIT, message = STRBUF_INIT;
	va_list ap;

	if (n->reader->error)
		return;
	add_path(&path, n);
	va_start(ap, fmt);
	strbuf_addfv(&message, fmt, ap);
	va_end(ap);
	n->reader->error = error_new("%s: %s%s%s", n->reader->file, strbuf_str(&path),
				     path.size ? ": " : "", strbuf_str(&message));
	strbuf_free(&path);
	strbuf_free(&message);
}

static const char *type_name(const json_t *json)
{
	switch (json_typeof(json)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
	case JSON_REAL:
		return "a number";
	case JSON_TRUE:
	case JSON_FALSE:
		return "a boolean";
	case JSON_NULL:
		break;
	}
	return "null";
}

static void type_error(const struct node *n, const char *expected)
{
	node_error(n, "expected %s, found %s", expected, type_name(n->json));
}

struct node node_root(struct json_reader *r, json_t *json)
{
	return (struct node){.reader = r, .json = json};
}

struct node node_get(const struct node *up, const char *key)
{
	struct node n = {.reader = up->reader, .up = up, .key = key};

	if (up->json && json_is_object(up->json))
		n.json = json_object_get(up->json, key);
	if (n.json && json_is_null(n.json))
		n.json = NULL;
	return n;
}

struct node node_object(const struct node *up, const char *key)
{
	struct node n = node_get(up, key);

	if (n.json && !json_is_object(n.json)) {
		type_error(&n, "an object");
		n.json = NULL;
	}
	return n;
}

/* Makes n absent unless it is an array of at most max. */
static void check_array(struct node *n, size_t max)
{
	if (!n->json)
		return;
	if (!json_is_array(n->json)) {
		type_error(n, "an array");
		n->json = NULL;
	} else if (json_array_size(n->json) > max) {
		node_error(n, "expected at most %zu elements, found %zu", max,
			   json_array_size(n->json));
		n->json = NULL;
	}
}

struct node node_array(const struct node *up, const char *key)
{
	struct node n = node_get(up, key);

	check_array(&n, CONFIG_LIST_MAX);
	return n;
}

struct node node_item(const struct node *array, size_t index)
{
	return (struct node){
	    .reader = array->reader,
	    .up = array,
	    .index = index,
	    .json = json_array_get(array->json, index),
	};
}

size_t node_count(const struct node *array)
{
	return json_array_size(array->json);
}

void node_require(const struct node *n, const char *expected)
{
	if (!n->json)
		node_error(n, "missing, expected %s", expected);
}

bool node_is_present(const struct node *n)
{
	return n->json != NULL;
}

const char *node_peek(const struct node *n)
{
	if (!n->json)
		return NULL;
	if (!json_is_string(n->json)) {
		type_error(n, "a string");
		return NULL;
	}
	return json_string_value(n->json);
}

char *node_string(const struct node *n)
{
	const char *s = node_peek(n);

	return s ? xstrdup(s) : NULL;
}

bool node_bool(const struct node *n)
{
	if (!n->json)
		return false;
	if (!json_is_boolean(n->json))
		type_error(n, "a boolean");
	return json_is_true(n->json);
}

/* Whether n is an integer; what lies beyond 64 bits becomes the nearest value. */
static bool take_integer(const struct node *n, bool *ret_negative, uint64_t *ret_magnitude)
{
	if (json_is_integer(n->json)) {
		int64_t v = json_integer_value(n->json);

		*ret_negative = v < 0;
		*ret_magnitude = v < 0 ? -(uint64_t)v : (uint64_t)v;
		return true;
	}
	if (json_is_real(n->json)) {
		double v = json_real_value(n->json), magnitude = fabs(v);

		if (v != trunc(v))
			return false;
		*ret_negative = v < 0;
		*ret_magnitude = magnitude >= 0x1p64 ? UINT64_MAX : (uint64_t)magnitude;
		return true;
	}
	return false;
}

int64_t node_int(const struct node *n, int64_t min, int64_t max, int64_t absent)
{
	bool negative;
	uint64_t magnitude;
	int64_t v;

	if (!n->json)
		return absent;
	if (!take_integer(n, &negative, &magnitude)) {
		type_error(n, "an integer");
		return absent;
	}
	if (negative)
		v = magnitude > INT64_MAX ? INT64_MIN : -(int64_t)magnitude;
	else
		v = magnitude > INT64_MAX ? INT64_MAX : (int64_t)magnitude;
	if (v < min || v > max) {
		node_error(n, "expected an integer from %lld to %lld, found %s%llu", (long long)min,
			   (long long)max, negative ? "-" : "", (unsigned long long)magnitude);
		return absent;
	}
	return v;
}

uint64_t node_uint(const struct node *n, uint64_t max, uint64_t absent)
{
	bool negative;
	uint64_t v;

	if (!n->json)
		return absent;
	if (!take_integer(n, &negative, &v)) {
		type_error(n, "an integer");
		return absent;
	}
	if ((negative && v) || v > max) {
		node_error(n, "expected an integer from 0 to %llu, found %s%llu",
			   (unsigned long long)max, negative ? "-" : "", (unsigned long long)v);
		return absent;
	}
	return v;
}

struct oci_number node_number(const struct node *n, int64_t min, int64_t max)
{
	struct oci_number r = {.present = n->json != NULL};

	r.value = node_int(n, min, max, 0);
	return r;
}

struct oci_strings node_strings(const struct node *n, size_t max)
{
	struct node array = *n;
	struct oci_strings r;

	check_array(&array, max);
	r.count = node_count(&array);
	r.items = xcalloc(r.count + 1, sizeof(char *));
	for (size_t i = 0; i < r.count; i++) {
		struct node item = node_item(&array, i);

		if (!json_is_string(item.json))
			type_error(&item, "a string");
		else
			r.items[i] = xstrdup(json_string_value(item.json));
		if (!r.items[i])
			r.items[i] = xstrdup("");
	}
	return r;
}

char *get_string(const struct node *up, const char *key)
{
	struct node n = node_get(up, key);

	return node_string(&n);
}

char *need_string(const struct node *up, const char *key)
{
	struct node n = node_get(up, key);

	node_require(&n, "a string");
	return node_string(&n);
}

bool get_bool(const struct node *up, const char *key)
{
	struct node n = node_get(up, key);

	return node_bool(&n);
}

uint32_t get_u32(const struct node *up, const char *key, uint32_t absent)
{
	struct node n = node_get(up, key);

	return (uint32_t)node_uint(&n, UINT32_MAX, absent);
}

struct oci_number get_number(const struct node *up, const char *key)
{
	struct node n = node_get(up, key);

	return node_number(&n, INT64_MIN, INT64_MAX);
}
