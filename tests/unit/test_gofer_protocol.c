/* SPDX-License-Identifier: Apache-2.0 */
/* The checks of fsgofer/protocol.h and the handle table. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#include "fsgofer/handles.h"
#include "fsgofer/protocol.h"

static void names(void **state)
{
	char longest[GOFER_NAME_MAX + 2];

	(void)state;
	memset(longest, 'x', sizeof(longest));
	assert_true(gofer_name_ok("a", 1));
	assert_true(gofer_name_ok("...", 3));
	assert_true(gofer_name_ok(".a", 2));
	assert_true(gofer_name_ok(longest, GOFER_NAME_MAX));
	assert_false(gofer_name_ok(longest, GOFER_NAME_MAX + 1));
	assert_false(gofer_name_ok("", 0));
	assert_false(gofer_name_ok(".", 1));
	assert_false(gofer_name_ok("..", 2));
	assert_false(gofer_name_ok("a/b", 3));
	assert_false(gofer_name_ok("/", 1));
	assert_false(gofer_name_ok("a\0b", 3));
}

static struct gofer_cursor cursor(const void *bytes, size_t size)
{
	return (struct gofer_cursor){.at = bytes, .left = size};
}

static void cursors(void **state)
{
	struct gofer_cursor c = cursor("one\0two\0rest", 12);

	(void)state;
	assert_string_equal(gofer_take_name(&c), "one");
	assert_string_equal(gofer_take_name(&c), "two");
	assert_memory_equal(gofer_take(&c, 4), "rest", 4);
	assert_int_equal(c.left, 0);
	assert_false(c.bad);
	assert_null(gofer_take(&c, 1));
	assert_true(c.bad);
	assert_null(gofer_take(&c, 0));

	c = cursor("unterminated", 12);
	assert_null(gofer_take_string(&c, 100));
	assert_true(c.bad);
	c = cursor("toolong", 8);
	assert_null(gofer_take_string(&c, 6));
	c = cursor("..", 3);
	assert_null(gofer_take_name(&c));
	assert_true(c.bad);
	c = cursor("x", 0);
	assert_null(gofer_take_string(&c, 10));
}

/* An entry with a name; size and name_size as given, right or wrong. */
static size_t entry(uint8_t *out, uint16_t size, uint8_t name_size, bool attr, const char *name)
{
	struct gofer_dirent e = {.size = size, .name_size = name_size, .has_attr = attr};
	size_t at = sizeof(e) + (attr ? sizeof(struct gofer_attr) : 0);

	memset(out, 0, 1024);
	memcpy(out, &e, sizeof(e));
	memcpy(out + at, name, strlen(name));
	return size;
}

static void dirents(void **state)
{
	_Alignas(8) uint8_t buf[1024];
	static const struct {
		uint16_t size;
		uint8_t name_size;
		bool attr;
		const char *name;
		size_t given; /* bytes in the message */
		bool ok;
	} cases[] = {
	    {32, 3, false, "abc", 32, true},	   {160, 3, true, "abc", 160, true},
	    {32, 8, false, "abcdefgh", 32, true},  {32, 9, false, "abcdefghi", 32, false},
	    {32, 3, false, "abc", 31, false},	   {16, 0, false, "", 32, false},
	    {0, 3, false, "abc", 32, false},	   {33, 3, false, "abc", 64, false},
	    {24, 0, false, "", 24, false},	   {32, 3, true, "abc", 32, false},
	    {32, 2, false, "..", 32, false},	   {32, 3, false, "a/b", 32, false},
	    {65528, 3, false, "abc", 1024, false},
	};
	struct gofer_dirent e;
	struct gofer_attr attr;
	const char *name;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gofer_cursor c;
		bool ok;

		entry(buf, cases[i].size, cases[i].name_size, cases[i].attr, cases[i].name);
		c = cursor(buf, cases[i].given);
		ok = gofer_take_dirent(&c, &e, &attr, &name);
		if (ok != cases[i].ok)
			fail_msg("case %zu: want %d, got %d", i, cases[i].ok, ok);
		assert_int_equal(c.bad, !ok);
		if (ok)
			assert_memory_equal(name, cases[i].name, cases[i].name_size);
	}
}

static int some_fd(void)
{
	return open("/", O_PATH | O_CLOEXEC);
}

static void handle_life(void **state)
{
	struct handle_table t;
	struct gofer_handle *h;
	uint64_t a, b, c;

	(void)state;
	assert_int_equal(handles_init(&t, 2), 0);
	assert_null(handles_get(&t, 0, 0));
	assert_null(handles_get(&t, 1, 0));
	assert_int_equal(handles_add(&t, some_fd(), HANDLE_PATH, false, &a), 0);
	assert_int_equal(handles_add(&t, some_fd(), HANDLE_STREAM, true, &b), 0);
	assert_int_equal(handles_add(&t, some_fd(), HANDLE_PATH, false, &c), -EMFILE);
	assert_null(handles_get(&t, b, HANDLE_PATH));
	h = handles_get(&t, a, HANDLE_PATH);
	assert_non_null(h);

	/* Clunked while in use: gone for others, alive for the user. */
	handles_clunk(&t, a);
	assert_null(handles_get(&t, a, HANDLE_PATH));
	assert_true(fcntl(h->fd, F_GETFD) >= 0);
	assert_int_equal(handles_add(&t, some_fd(), HANDLE_PATH, false, &c), -EMFILE);
	handles_put(&t, h);
	assert_int_equal(handles_used_count(&t), 1);

	/* The slot comes back under another id; the old one stays refused. */
	assert_int_equal(handles_add(&t, some_fd(), HANDLE_PATH, false, &c), 0);
	assert_int_equal((uint32_t)c, (uint32_t)a);
	assert_true(c != a);
	assert_null(handles_get(&t, a, 0));
	handles_clunk(&t, a);
	handles_clunk(&t, 0);
	handles_clunk(&t, UINT64_MAX);
	assert_int_equal(handles_used_count(&t), 2);
	handles_destroy(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names),
	    cmocka_unit_test(cursors),
	    cmocka_unit_test(dirents),
	    cmocka_unit_test(handle_life),
	};

	return cmocka_run_group_tests_name("gofer_protocol", tests, NULL, NULL);
}
