/* SPDX-License-Identifier: Apache-2.0 */
/* base/: lists, id maps, string buffers, reference counts, locks, descriptors, the log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/feature.h"
#include "base/idmap.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/refcount.h"
#include "base/stats.h"
#include "base/strbuf.h"

/* Whether fn ends its process by panic. */
static bool panics(void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);

		log_setup(null, false, LOG_ERROR, "test");
		signal(SIGABRT, SIG_DFL);
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

/* ---- lists ---- */

struct item {
	int value;
	struct list link;
};

static void assert_values(struct list *head, const int *values, size_t count)
{
	struct item *it;
	size_t i = 0;

	list_for_each (it, head, link) {
		assert_true(i < count);
		assert_int_equal(it->value, values[i++]);
	}
	assert_int_equal(i, count);
}

static void list_order(void **state)
{
	struct list head = LIST_INIT(head);
	struct item a = {.value = 1}, b = {.value = 2}, c = {.value = 3};

	(void)state;
	assert_true(list_empty(&head));
	assert_null(list_first_or_null(&head, struct item, link));
	list_add_tail(&head, &b.link);
	list_add_tail(&head, &c.link);
	list_add_head(&head, &a.link);
	assert_values(&head, (int[]){1, 2, 3}, 3);
	list_del(&b.link);
	list_del(&b.link); /* harmless */
	assert_false(list_linked(&b.link));
	assert_values(&head, (int[]){1, 3}, 2);
	assert_ptr_equal(list_first(&head, struct item, link), &a);
}

static void list_removal_while_walking(void **state)
{
	struct list head = LIST_INIT(head);
	struct item items[10], *it, *tmp;

	(void)state;
	for (int i = 0; i < 10; i++) {
		items[i].value = i;
		list_add_tail(&head, &items[i].link);
	}
	list_for_each_safe (it, tmp, &head, link)
		if (it->value % 2)
			list_del(&it->link);
	assert_values(&head, (int[]){0, 2, 4, 6, 8}, 5);
}

static void list_splices(void **state)
{
	struct list to = LIST_INIT(to), from = LIST_INIT(from);
	struct item a = {.value = 1}, b = {.value = 2};

	(void)state;
	list_splice_tail(&to, &from);
	assert_true(list_empty(&to));
	list_add_tail(&to, &a.link);
	list_add_tail(&from, &b.link);
	list_splice_tail(&to, &from);
	assert_true(list_empty(&from));
	assert_values(&to, (int[]){1, 2}, 2);
}

/* ---- id maps ---- */

static void idmap_stores_and_finds(void **state)
{
	struct idmap m = IDMAP_INIT;
	int a, b;

	(void)state;
	assert_null(idmap_get(&m, 0));
	assert_null(idmap_get(&m, 4000000));
	assert_null(idmap_set(&m, 5, &a));
	assert_null(idmap_set(&m, 70000, &b));
	assert_ptr_equal(idmap_get(&m, 5), &a);
	assert_ptr_equal(idmap_get(&m, 70000), &b);
	assert_null(idmap_get(&m, 6));
	assert_ptr_equal(idmap_set(&m, 5, &b), &a);
	assert_int_equal(m.used_count, 2);
	assert_ptr_equal(idmap_set(&m, 5, NULL), &b);
	assert_null(idmap_set(&m, 5, NULL));
	assert_int_equal(m.used_count, 1);
	idmap_destroy(&m);
}

static void idmap_gives_the_lowest_free(void **state)
{
	struct idmap m = IDMAP_INIT;
	int v;

	(void)state;
	for (uint32_t i = 0; i < 600; i++) {
		assert_int_equal(idmap_lowest_free(&m, 0, 10000), i);
		idmap_set(&m, i, &v);
	}
	idmap_set(&m, 300, NULL);
	idmap_set(&m, 17, NULL);
	assert_int_equal(idmap_lowest_free(&m, 0, 10000), 17);
	assert_int_equal(idmap_lowest_free(&m, 18, 10000), 300);
	assert_int_equal(idmap_lowest_free(&m, 301, 10000), 600);
	assert_int_equal(idmap_lowest_free(&m, 301, 600), -1);
	assert_int_equal(idmap_lowest_free(&m, 0, 17), -1);
	idmap_destroy(&m);
}

static void idmap_walks_in_order(void **state)
{
	static const uint32_t ids[] = {0, 255, 256, 1000, 65536};
	struct idmap m = IDMAP_INIT;
	int v, *value;
	int64_t id;
	size_t i = 0;

	(void)state;
	idmap_for_each (&m, id, value)
		fail();
	for (size_t n = array_count(ids); n-- > 0;)
		idmap_set(&m, ids[n], &v);
	idmap_for_each (&m, id, value) {
		assert_true(i < array_count(ids));
		assert_int_equal(id, ids[i++]);
		assert_ptr_equal(value, &v);
	}
	assert_int_equal(i, array_count(ids));
	idmap_destroy(&m);
}

/* Against a plain array, with numbers from a fixed sequence. */
static void idmap_against_a_model(void **state)
{
	static void *model[2048];
	struct idmap m = IDMAP_INIT;
	uint32_t seed = 1;
	int v;

	(void)state;
	for (int step = 0; step < 20000; step++) {
		uint32_t id, lowest = 0;

		seed = seed * 1103515245 + 12345;
		id = seed >> 16 & 2047;
		assert_ptr_equal(idmap_get(&m, id), model[id]);
		assert_ptr_equal(idmap_set(&m, id, model[id] ? NULL : &v), model[id]);
		model[id] = model[id] ? NULL : &v;
		if (step % 50)
			continue;
		while (lowest < 2048 && model[lowest])
			lowest++;
		assert_int_equal(idmap_lowest_free(&m, 0, 4096), lowest);
	}
	idmap_destroy(&m);
}

/* ---- string buffers ---- */

static void strbuf_grows(void **state)
{
	struct strbuf sb = STRBUF_INIT;
	char *detached;

	(void)state;
	assert_string_equal(strbuf_str(&sb), "");
	for (int i = 0; i < 1000; i++)
		strbuf_addf(&sb, "%03d", i);
	assert_int_equal(sb.size, 3000);
	assert_memory_equal(sb.data + 2997, "999", 4);
	strbuf_reset(&sb);
	assert_string_equal(strbuf_str(&sb), "");
	strbuf_add(&sb, "a\0b", 3);
	strbuf_addch(&sb, 'c');
	assert_int_equal(sb.size, 4);
	assert_memory_equal(sb.data, "a\0bc", 5);
	detached = strbuf_detach(&sb);
	assert_int_equal(sb.size, 0);
	free(detached);
	detached = strbuf_detach(&sb); /* of an empty one */
	assert_string_equal(detached, "");
	free(detached);
	strbuf_free(&sb);
}

/* ---- reference counts ---- */

static void refcount_counts(void **state)
{
	struct refcount r;

	(void)state;
	refcount_init(&r);
	refcount_get(&r);
	assert_int_equal(refcount_read(&r), 2);
	assert_false(refcount_put(&r));
	assert_true(refcount_get_unless_zero(&r));
	assert_false(refcount_put(&r));
	assert_true(refcount_put(&r));
	assert_false(refcount_get_unless_zero(&r));
}

static void take_the_dead(void)
{
	struct refcount r;

	refcount_init(&r);
	refcount_put(&r);
	refcount_get(&r);
}

static void drop_once_too_often(void)
{
	struct refcount r;

	refcount_init(&r);
	refcount_put(&r);
	refcount_put(&r);
}

static void refcount_checks_itself(void **state)
{
	(void)state;
	assert_true(panics(take_the_dead));
	assert_true(panics(drop_once_too_often));
}

/* ---- locks ---- */

static void mutex_basics(void **state)
{
	struct mutex m;

	(void)state;
	mutex_init(&m, 1);
	mutex_lock(&m);
	assert_held(&m);
	mutex_unlock(&m);
	assert_true(mutex_trylock(&m));
	mutex_unlock(&m);
	mutex_destroy(&m);
}

#define RANK_COUNTED 7

static void *wait_for_lock(void *arg)
{
	mutex_lock(arg);
	mutex_unlock(arg);
	return NULL;
}

/* A thread that had to wait is counted under the lock's rank, and stays counted after its end. */
static void waits_are_counted(void **state)
{
	uint64_t before = stats_sum(RANK_COUNTED);
	struct mutex m;
	pthread_t t;

	(void)state;
	mutex_init(&m, RANK_COUNTED);
	mutex_lock(&m);
	mutex_unlock(&m);
	assert_int_equal(stats_sum(RANK_COUNTED), before);
	mutex_lock(&m);
	assert_int_equal(pthread_create(&t, NULL, wait_for_lock, &m), 0);
	while (stats_sum(RANK_COUNTED) == before)
		sched_yield();
	mutex_unlock(&m);
	pthread_join(t, NULL);
	assert_int_equal(stats_sum(RANK_COUNTED), before + 1);
	mutex_destroy(&m);
}

#ifdef DEBUG
static void take_in_wrong_order(void)
{
	struct mutex low, high;

	mutex_init(&low, 1);
	mutex_init(&high, 2);
	mutex_lock(&high);
	mutex_lock(&low);
}

static void assert_what_is_not_held(void)
{
	struct mutex m;

	mutex_init(&m, 1);
	assert_held(&m);
}

static void lock_order_is_checked(void **state)
{
	(void)state;
	assert_true(panics(take_in_wrong_order));
	assert_true(panics(assert_what_is_not_held));
}
#endif

/* ---- descriptors ---- */

static void fd_reads_files(void **state)
{
	size_t size = 0;
	char *text;

	(void)state;
	assert_int_equal(fd_read_file(AT_FDCWD, "/proc/self/comm", 4096, &text, &size), 0);
	assert_int_equal(size, strlen(text));
	free(text);
	assert_int_equal(fd_read_file(AT_FDCWD, "/proc/self/absent", 4096, &text, NULL), -ENOENT);
	assert_int_equal(fd_read_file(AT_FDCWD, "/proc/self/exe", 4096, &text, NULL), -EFBIG);
}

static void fd_passes_descriptors(void **state)
{
	int pair[2], fds[2] = {0, 1}, got[4];
	size_t count;
	char buf[8];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(fd_send(pair[0], "hello", 5, fds, 2), 5);
	assert_int_equal(fd_recv(pair[1], buf, sizeof(buf), got, 4, &count), 5);
	assert_int_equal(count, 2);
	assert_memory_equal(buf, "hello", 5);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fcntl(got[i], F_GETFD), FD_CLOEXEC);
		close(got[i]);
	}
	assert_int_equal(got[2], -1);
	assert_int_equal(fd_send(pair[0], "x", 1, NULL, 0), 1);
	assert_int_equal(fd_recv(pair[1], buf, sizeof(buf), got, 4, &count), 1);
	assert_int_equal(count, 0);
	close(pair[0]);
	assert_int_equal(fd_recv(pair[1], buf, sizeof(buf), got, 4, &count), 0);
	close(pair[1]);
}

static int lowest_free_fd(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

static void fd_refuses_too_many(void **state)
{
	int pair[2], fds[3] = {0, 1, 2}, got[2], before;
	size_t count;
	char buf[8];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	before = lowest_free_fd();
	assert_int_equal(fd_send(pair[0], "x", 1, fds, 3), 1);
	assert_int_equal(fd_recv(pair[1], buf, sizeof(buf), got, 2, &count), -EBADMSG);
	assert_int_equal(got[0], -1);
	assert_int_equal(lowest_free_fd(), before); /* nothing stayed open */
	assert_int_equal(fd_send(pair[0], "0123456789", 10, NULL, 0), 10);
	assert_int_equal(fd_recv(pair[1], buf, sizeof(buf), got, 2, &count), -EBADMSG);
	close(pair[0]);
	close(pair[1]);
}

static void fd_seals(void **state)
{
	char buf[4];
	int fd = fd_sealed_memfd("test", "abc", 3);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, buf, 4, 0), 3);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_ptr_equal(mmap(NULL, 3, PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	close(fd);
}

/* ---- the log ---- */

static char *log_line(bool json, const char *text)
{
	static char line[8192];
	int fd = memfd_create("log", 0);
	ssize_t n;

	log_setup(fd, json, LOG_INFO, "test");
	log_write(LOG_WARN, "%s", text);
	log_write(LOG_DEBUG, "not shown");
	n = pread(fd, line, sizeof(line) - 1, 0);
	assert_true(n > 0);
	line[n] = '\0';
	close(fd);
	log_setup(2, false, LOG_WARN, "test");
	return line;
}

static void log_json_escapes(void **state)
{
	static const char want[] =
	    "{\"level\":\"warning\",\"msg\":\"a\\\"b\\\\c\\u000ad\\u0001\",\"time\":\"2";

	(void)state;
	assert_memory_equal(log_line(true, "a\"b\\c\nd\x01"), want, sizeof(want) - 1);
}

/* What guests call their files may be no UTF-8: the line is JSON all the same. */
static void log_json_is_utf8(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	    {"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"},
	    {"a\xe4z", "a\\ufffdz"},
	    {"\x80\xff", "\\ufffd\\ufffd"},
	    {"\xc0\xaf", "\\ufffd\\ufffd"},
	    {"\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd"},
	    {"\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"},
	    {"cut \xe2\x82", "cut \\ufffd\\ufffd"},
	    {"\x7f", "\\u007f"},
	};
	char want[128];

	(void)state;
	for (size_t i = 0; i < array_count(cases); i++) {
		int n = snprintf(want, sizeof(want), "{\"level\":\"warning\",\"msg\":\"%s\",",
				 cases[i].out);

		assert_memory_equal(log_line(true, cases[i].in), want, (size_t)n);
	}
}

static void log_text_is_one_line(void **state)
{
	char *line = log_line(false, "two\nlines\x1b[31m");

	(void)state;
	assert_non_null(strstr(line, " warning: two\\x0alines\\x1b[31m\n"));
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void log_cuts_long_lines(void **state)
{
	char *text = malloc(100000), *line;

	(void)state;
	memset(text, '\n', 99999); /* the worst case of escaping */
	text[99999] = '\0';
	line = log_line(true, text);
	assert_true(strlen(line) < 4200);
	assert_non_null(strstr(line, "\",\"time\":\""));
	assert_string_equal(line + strlen(line) - 2, "}\n");
	line = log_line(false, text);
	assert_true(strlen(line) < 4200);
	assert_int_equal(line[strlen(line) - 1], '\n');
	free(text);
}

static void features_are_parsed(void **state)
{
	uint64_t set = 7, host = 0, speed = 0;
	char bad[8];

	(void)state;
	assert_int_equal(features_parse("poll,addfd-send", &set, bad, sizeof(bad)), 0);
	assert_int_equal(set, FEATURE_BIT(POLL) | FEATURE_BIT(ADDFD_SEND));
	assert_int_equal(features_parse("", &set, bad, sizeof(bad)), 0);
	assert_int_equal(set, 0);
	assert_int_equal(features_parse("all-host", &host, bad, sizeof(bad)), 0);
	assert_int_equal(features_parse("all-speed", &speed, bad, sizeof(bad)), 0);
	assert_int_equal(host & speed, 0);
	assert_int_equal(host | speed, (1ull << FEATURE_COUNT) - 1);
	assert_int_equal(features_parse("poll,polling-it", &set, bad, sizeof(bad)), -EINVAL);
	assert_string_equal(bad, "polling");
	assert_int_equal(features_parse("poll,,patch", &set, bad, sizeof(bad)), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(list_order),
	    cmocka_unit_test(list_removal_while_walking),
	    cmocka_unit_test(list_splices),
	    cmocka_unit_test(idmap_stores_and_finds),
	    cmocka_unit_test(idmap_gives_the_lowest_free),
	    cmocka_unit_test(idmap_walks_in_order),
	    cmocka_unit_test(idmap_against_a_model),
	    cmocka_unit_test(strbuf_grows),
	    cmocka_unit_test(refcount_counts),
	    cmocka_unit_test(refcount_checks_itself),
	    cmocka_unit_test(mutex_basics),
	    cmocka_unit_test(waits_are_counted),
#ifdef DEBUG
	    cmocka_unit_test(lock_order_is_checked),
#endif
	    cmocka_unit_test(fd_reads_files),
	    cmocka_unit_test(fd_passes_descriptors),
	    cmocka_unit_test(fd_refuses_too_many),
	    cmocka_unit_test(fd_seals),
	    cmocka_unit_test(features_are_parsed),
	    cmocka_unit_test(log_json_escapes),
	    cmocka_unit_test(log_json_is_utf8),
	    cmocka_unit_test(log_text_is_one_line),
	    cmocka_unit_test(log_cuts_long_lines),
	};

	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
