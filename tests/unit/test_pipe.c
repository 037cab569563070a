/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes: the ring, atomicity, ends, wake-ups; and epoll on them. */
#include <pthread.h>

#include "abi/poll.h"
#include "sentry/fs/pipe/pipe.h"
#include "sentry/vfs/epoll.h"
#include "tests/unit/fake_task.h"

static struct fake *F;
static struct task *T;
static struct file *ends[2];

static int setup(void **state)
{
	(void)state;
	F = fake_new(NULL);
	T = &F->task;
	return pipe_new(T, 0, ends);
}

static int teardown(void **state)
{
	(void)state;
	file_put(ends[0]);
	file_put(ends[1]);
	fake_free(F);
	return 0;
}

static void bytes_come_in_order(void **state)
{
	unsigned char buf[5000];
	unsigned wrote = 0, got = 0;
	ssize_t done;

	(void)state;
	/* Odd sizes, so that the ring wraps everywhere. */
	for (int i = 0; i < 2000; i++) {
		size_t n = 1 + (size_t)(i * 37 % 4999);

		for (size_t j = 0; j < n; j++)
			buf[j] = (unsigned char)(wrote + j);
		done = fake_write(ends[1], buf, n);
		wrote += done > 0 ? (unsigned)done : 0;
		done = fake_read(ends[0], buf, 1 + (size_t)(i * 53 % 4999));
		for (ssize_t j = 0; j < done; j++)
			assert_int_equal(buf[j], (unsigned char)(got + j));
		got += done > 0 ? (unsigned)done : 0;
	}
	assert_true(wrote > 1000000);
}

static void small_writes_are_whole(void **state)
{
	char buf[65536] = {0};

	(void)state;
	assert_int_equal(fake_read(ends[0], buf, 1), -EAGAIN);
	assert_int_equal(fake_write(ends[1], buf, 65536 - 100), 65536 - 100);
	assert_int_equal(fake_write(ends[1], buf, 101), -EAGAIN);
	assert_int_equal(fake_write(ends[1], buf, 4096), -EAGAIN);
	/* A larger one isn't atomic and takes what room there is. */
	assert_int_equal(fake_write(ends[1], buf, 4097), 100);
	assert_int_equal(fake_write(ends[1], buf, 4097), -EAGAIN);
	assert_int_equal(vfs_poll(ends[1], NULL), 0);
	assert_int_equal(fake_read(ends[0], buf, 4095), 4095);
	assert_int_equal(vfs_poll(ends[1], NULL), 0);
	assert_int_equal(fake_read(ends[0], buf, 1), 1);
	assert_int_equal(vfs_poll(ends[1], NULL), ABI_POLLOUT | ABI_POLLWRNORM);
}

static void ends_that_go(void **state)
{
	char buf[8];

	(void)state;
	assert_int_equal(fake_write(ends[1], "ab", 2), 2);
	file_put(ends[1]);
	assert_int_equal(vfs_poll(ends[0], NULL), ABI_POLLIN | ABI_POLLRDNORM | ABI_POLLHUP);
	assert_int_equal(fake_read(ends[0], buf, 8), 2);
	assert_int_equal(fake_read(ends[0], buf, 8), 0);
	assert_int_equal(vfs_poll(ends[0], NULL), ABI_POLLHUP);
	file_put(ends[0]);
	assert_int_equal(pipe_new(T, 0, ends), 0);
	file_put(ends[0]);
	assert_int_equal(fake_write(ends[1], "x", 1), -EPIPE);
	assert_int_equal(vfs_poll(ends[1], NULL), ABI_POLLOUT | ABI_POLLWRNORM | ABI_POLLERR);
	ends[0] = NULL;
}

static void sizes(void **state)
{
	struct pipe *p = pipe_of(ends[0]);
	char buf[10000] = {0};

	(void)state;
	assert_int_equal(pipe_size(p), 65536);
	assert_int_equal(pipe_set_size(p, 5000), 8192);
	assert_int_equal(fake_write(ends[1], buf, 10000), 8192);
	assert_int_equal(pipe_set_size(p, 4096), -EBUSY);
	assert_int_equal(pipe_set_size(p, 0), -EINVAL);
	assert_int_equal(pipe_set_size(p, PIPE_SIZE_MAX + 1), -EPERM);
	assert_int_equal(pipe_set_size(p, 1 << 20), 1 << 20);
	assert_int_equal(fake_write(ends[1], buf, 10000), 10000);
	assert_int_equal(pipe_peek(p, 8192, buf, 100), 100);
	assert_int_equal(fake_read(ends[0], buf, 8192), 8192);
	assert_int_equal(fake_read(ends[0], buf, 10000), 10000);
}

/* As a block with `from` bytes before the data. Whether the pipe took the block itself. */
static bool give(struct pipe *p, const char *data, uint32_t size, uint32_t from)
{
	struct pipe_block b = {.data = malloc(from + size), .size = from + size, .from = from};
	bool taken;

	b.used = size;
	memcpy(b.data + from, data, size);
	assert_int_equal(pipe_give(p, &b), 0);
	taken = !b.data;
	pipe_block_free(&b);
	return taken;
}

static void take(struct pipe *p, size_t max, const char *want, ssize_t size)
{
	struct pipe_block b;

	assert_int_equal(pipe_take(p, max, &b), size);
	assert_memory_equal(b.data + b.from, want, size);
	pipe_block_free(&b);
}

/* Blocks change hands when a pipe is empty, and are copied in order when not. */
static void blocks(void **state)
{
	static char text[8192], buf[8192];
	struct pipe *p = pipe_of(ends[0]);
	struct pipe_block none;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 23);
	assert_int_equal(pipe_take(p, 10, &none), -EAGAIN);
	assert_true(give(p, text, 5000, 100));
	assert_false(give(p, text + 5000, 1000, 0));
	assert_int_equal(fake_write(ends[1], text + 6000, 2000), 2000);
	take(p, 3000, text, 3000);
	assert_int_equal(fake_read(ends[0], buf, 1000), 1000);
	assert_memory_equal(buf, text + 3000, 1000);
	take(p, 65536, text + 4000, 4000);
	assert_int_equal(pipe_take(p, 10, &none), -EAGAIN);
	assert_int_equal(fake_write(ends[1], text, 10), 10);
	take(p, 65536, text, 10);
	assert_true(give(p, text, 8192, 0));
	assert_int_equal(pipe_set_size(p, 4096), -EBUSY);
	assert_int_equal(fake_read(ends[0], buf, 8192), 8192);
	assert_memory_equal(buf, text, 8192);
	assert_int_equal(pipe_set_size(p, 4096), 4096);
	assert_int_equal(fake_write(ends[1], text, 8192), 4096);
	take(p, 65536, text, 4096);
	file_put(ends[1]);
	ends[1] = NULL;
	assert_int_equal(pipe_take(p, 10, &none), 0);
	file_put(ends[0]);
	assert_int_equal(pipe_new(T, 0, ends), 0);
	p = pipe_of(ends[1]);
	file_put(ends[0]);
	ends[0] = NULL;
	none = (struct pipe_block){.data = text, .size = 10, .used = 10};
	assert_int_equal(pipe_give(p, &none), -EPIPE);
}

static int ended;

static void end_loan(struct pipe_loan *l)
{
	(void)l;
	ended++;
}

static void lend(struct pipe *p, char *data, uint32_t size, struct pipe_loan *loan)
{
	struct pipe_block b = {.data = data, .size = size, .used = size, .loan = loan};

	ended = 0;
	assert_int_equal(pipe_give(p, &b), 0);
	pipe_block_free(&b);
}

/* Lent memory isn't written, and given back when it is empty, added to, or the pipe goes. */
static void loans(void **state)
{
	static char text[8192], same[8192], buf[8192];
	struct pipe_loan loan = {.end = end_loan};
	struct pipe *p = pipe_of(ends[0]);
	struct pipe_block b;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = same[i] = (char)('a' + i % 23);
	lend(p, text, 8192, &loan);
	assert_int_equal(fake_read(ends[0], buf, 8000), 8000);
	assert_memory_equal(buf, text, 8000);
	assert_int_equal(ended, 0);
	assert_int_equal(fake_read(ends[0], buf, 8000), 192);
	assert_int_equal(ended, 1);
	lend(p, text, 5000, &loan);
	assert_int_equal(fake_write(ends[1], "xyz", 3), 3);
	assert_int_equal(ended, 1);
	assert_int_equal(fake_read(ends[0], buf, 8000), 5003);
	assert_memory_equal(buf, text, 5000);
	assert_memory_equal(buf + 5000, "xyz", 3);
	lend(p, text, 3, &loan);
	assert_int_equal(pipe_take(p, 100, &b), 3);
	assert_ptr_equal(b.loan, &loan);
	pipe_block_own(&b);
	assert_int_equal(ended, 1);
	assert_memory_equal(b.data + b.from, text, 3);
	pipe_block_free(&b);
	lend(p, text, 4000, &loan);
	take(p, 1000, text, 1000);
	assert_int_equal(pipe_peek(p, 10, buf, 100), 100);
	assert_memory_equal(buf, text + 1010, 100);
	pipe_unread(p, "12", 2);
	assert_int_equal(ended, 1);
	take(p, 2, "12", 2);
	take(p, 65536, text + 1000, 3000);
	assert_int_equal(fake_write(ends[1], "ab", 2), 2);
	lend(p, text, 4000, &loan); /* behind others: copied */
	assert_int_equal(ended, 1);
	assert_int_equal(fake_read(ends[0], buf, 8000), 4002);
	assert_memory_equal(buf + 2, text, 4000);
	lend(p, text, 4000, &loan);
	file_put(ends[0]);
	file_put(ends[1]);
	assert_int_equal(ended, 1);
	assert_memory_equal(text, same, sizeof(text));
	assert_int_equal(pipe_new(T, 0, ends), 0);
}

static void splicing(void **state)
{
	static char big[65536], buf[65536];
	struct pipe *p = pipe_of(ends[0]);

	(void)state;
	memset(big, 'b', sizeof(big));
	assert_int_equal(fake_write(ends[1], "12345678", 8), 8);
	assert_int_equal(fake_read(ends[0], buf, 6), 6);
	pipe_unread(p, "3456", 4);
	give(p, big, sizeof(big), 0);
	give(p, "end", 3, 0);
	assert_int_equal(pipe_room(p), 0);
	assert_int_equal(fake_write(ends[1], "x", 1), -EAGAIN);
	assert_int_equal(fake_read(ends[0], buf, 6), 6);
	assert_memory_equal(buf, "345678", 6);
	assert_int_equal(fake_read(ends[0], buf, 65536), 65536);
	assert_memory_equal(buf, big, 65536);
	assert_int_equal(fake_read(ends[0], buf, 10), 3);
	assert_memory_equal(buf, "end", 3);
}

/* ---- wake-ups ---- */

struct counter {
	struct wait_entry entry;
	unsigned woken;
};

static bool count_wake(struct wait_entry *e, uint32_t events)
{
	(void)events;
	container_of(e, struct counter, entry)->woken++;
	return true;
}

struct counter_table {
	struct poll_table pt;
	struct counter *counter;
};

static void add_counter(struct poll_table *pt, struct file *f, struct waitqueue *wq)
{
	(void)f;
	waitqueue_add(wq, &container_of(pt, struct counter_table, pt)->counter->entry);
}

static void watch(struct file *f, struct counter *c)
{
	struct counter_table t = {{.add = add_counter}, c};

	*c = (struct counter){.entry = {.mask = ~0u, .func = count_wake}};
	vfs_poll(f, &t.pt);
}

static void writers_are_woken_once(void **state)
{
	char buf[65536] = {0};
	struct counter c;

	(void)state;
	assert_int_equal(fake_write(ends[1], buf, sizeof(buf)), sizeof(buf));
	watch(ends[1], &c);
	for (int i = 0; i < 65536; i++)
		assert_int_equal(fake_read(ends[0], buf, 1), 1);
	assert_int_equal(c.woken, 1);
	waitqueue_remove(&c.entry);
}

static void readers_are_woken_when_it_was_empty(void **state)
{
	char buf[16];
	struct counter c;

	(void)state;
	watch(ends[0], &c);
	assert_int_equal(fake_write(ends[1], "x", 1), 1);
	assert_int_equal(c.woken, 1);
	assert_int_equal(fake_read(ends[0], buf, 16), 1);
	assert_int_equal(fake_write(ends[1], "x", 1), 1);
	assert_int_equal(c.woken, 2);
	waitqueue_remove(&c.entry);
}

static void fifos(void **state)
{
	struct file *r, *w;

	(void)state;
	assert_int_equal(vfs_mknod(T, ABI_AT_FDCWD, "p", ABI_S_IFIFO | 0644, 0), 0);
	assert_int_equal(fake_open_error(T, "p", ABI_O_WRONLY | ABI_O_NONBLOCK), -ENXIO);
	r = fake_open(T, "p", ABI_O_RDONLY | ABI_O_NONBLOCK);
	/* No writer yet: nothing, but not hung up. */
	assert_int_equal(vfs_poll(r, NULL), 0);
	w = fake_open(T, "p", ABI_O_WRONLY | ABI_O_NONBLOCK);
	assert_int_equal(pipe_wait_open(T, w), 0);
	assert_int_equal(fake_write(w, "x", 1), 1);
	file_put(w);
	assert_int_equal(vfs_poll(r, NULL), ABI_POLLIN | ABI_POLLRDNORM | ABI_POLLHUP);
	file_put(r);
	r = fake_open(T, "p", ABI_O_RDWR);
	assert_int_equal(vfs_poll(r, NULL), ABI_POLLOUT | ABI_POLLWRNORM);
	file_put(r);
}

/* ---- epoll ---- */

static struct file *new_epoll(void)
{
	struct file *ep;

	assert_int_equal(epoll_new(T, 0, &ep), 0);
	return ep;
}

static int ctl(struct file *ep, int op, struct file *f, uint32_t events)
{
	struct abi_epoll_event e = {events, 42};

	return epoll_ctl_file(ep, op, 7, f, &e);
}

static int ready(struct file *ep)
{
	struct abi_epoll_event e[4];
	int n = epoll_collect(ep, e, 4);

	for (int i = 0; i < n; i++)
		assert_int_equal(e[i].data, 42);
	return n ? (int)e[0].events : 0;
}

static void level_triggered(void **state)
{
	struct file *ep = new_epoll();
	char buf[8];

	(void)state;
	assert_int_equal(ctl(ep, ABI_EPOLL_CTL_ADD, ends[0], ABI_POLLIN), 0);
	assert_int_equal(ctl(ep, ABI_EPOLL_CTL_ADD, ends[0], ABI_POLLIN), -EEXIST);
	assert_int_equal(ready(ep), 0);
	fake_write(ends[1], "xy", 2);
	assert_int_equal(ready(ep), ABI_POLLIN);
	assert_int_equal(ready(ep), ABI_POLLIN);
	fake_read(ends[0], buf, 8);
	assert_int_equal(ready(ep), 0);
	assert_int_equal(ctl(ep, ABI_EPOLL_CTL_MOD, ends[0], 0), 0);
	fake_write(ends[1], "x", 1);
	assert_int_equal(ready(ep), 0);
	assert_int_equal(ctl(ep, ABI_EPOLL_CTL_MOD, ends[0], ABI_POLLIN), 0);
	assert_int_equal(ready(ep), ABI_POLLIN);
	assert_int_equal(ctl(ep, ABI_EPOLL_CTL_DEL, ends[0], 0), 0);
	assert_int_equal(ctl(ep, ABI_EPOLL_CTL_DEL, ends[0], 0), -ENOENT);
	assert_int_equal(ready(ep), 0);
	file_put(ep);
}

static void edge_triggered_and_oneshot(void **state)
{
	struct file *ep = new_epoll();

	(void)state;
	assert_int_equal(ctl(ep, ABI_EPOLL_CTL_ADD, ends[0], ABI_POLLIN | ABI_EPOLLET), 0);
	fake_write(ends[1], "x", 1);
	assert_int_equal(ready(ep), ABI_POLLIN);
	assert_int_equal(ready(ep), 0);
	/* More arrives: news, although the pipe wasn't empty. */
	fake_write(ends[1], "x", 1);
	assert_int_equal(ready(ep), ABI_POLLIN);
	assert_int_equal(ctl(ep, ABI_EPOLL_CTL_MOD, ends[0], ABI_POLLIN | ABI_EPOLLONESHOT), 0);
	assert_int_equal(ready(ep), ABI_POLLIN);
	fake_write(ends[1], "x", 1);
	assert_int_equal(ready(ep), 0);
	assert_int_equal(ctl(ep, ABI_EPOLL_CTL_MOD, ends[0], ABI_POLLIN | ABI_EPOLLONESHOT), 0);
	assert_int_equal(ready(ep), ABI_POLLIN);
	file_put(ep);
}

static void nested_instances(void **state)
{
	struct file *ep[6];
	struct counter c;

	(void)state;
	for (int i = 0; i < 6; i++)
		ep[i] = new_epoll();
	assert_int_equal(ctl(ep[0], ABI_EPOLL_CTL_ADD, ends[0], ABI_POLLIN), 0);
	assert_int_equal(ctl(ep[0], ABI_EPOLL_CTL_ADD, ep[0], ABI_POLLIN), -EINVAL);
	assert_int_equal(ctl(ep[1], ABI_EPOLL_CTL_ADD, ep[0], ABI_POLLIN), 0);
	assert_int_equal(ctl(ep[0], ABI_EPOLL_CTL_ADD, ep[1], ABI_POLLIN), -ELOOP);
	assert_int_equal(ctl(ep[2], ABI_EPOLL_CTL_ADD, ep[1], ABI_POLLIN), 0);
	assert_int_equal(ctl(ep[0], ABI_EPOLL_CTL_ADD, ep[2], ABI_POLLIN), -ELOOP);
	watch(ep[2], &c);
	fake_write(ends[1], "x", 1);
	assert_int_equal(c.woken, 1);
	assert_int_equal(ready(ep[2]), ABI_POLLIN);
	assert_int_equal(ready(ep[0]), ABI_POLLIN);
	waitqueue_remove(&c.entry);
	for (int i = 3; i < 5; i++)
		assert_int_equal(ctl(ep[i], ABI_EPOLL_CTL_ADD, ep[i - 1], ABI_POLLIN), 0);
	assert_int_equal(ctl(ep[5], ABI_EPOLL_CTL_ADD, ep[4], ABI_POLLIN), -ELOOP);
	for (int i = 0; i < 6; i++)
		file_put(ep[i]);
}

static void watched_files_that_end(void **state)
{
	struct file *ep = new_epoll();

	(void)state;
	assert_int_equal(ctl(ep, ABI_EPOLL_CTL_ADD, ends[0], ABI_POLLIN), 0);
	fake_write(ends[1], "x", 1);
	file_put(ends[0]);
	ends[0] = NULL;
	assert_int_equal(ready(ep), 0);
	file_put(ep);
}

/* ---- threads: files and instances that end at the same time ---- */

static void *end_files(void *arg)
{
	struct file **f = arg;

	for (int i = 0; i < 200; i++) {
		fake_write(f[2 * i + 1], "x", 1);
		file_put(f[2 * i]);
		file_put(f[2 * i + 1]);
	}
	return NULL;
}

static void *collect_then_end(void *arg)
{
	for (int i = 0; i < 50; i++)
		ready(arg);
	file_put(arg);
	return NULL;
}

static void ends_race(void **state)
{
	static struct file *files[400];
	struct file *ep = new_epoll();
	pthread_t a, b;

	(void)state;
	for (int i = 0; i < 200; i++) {
		assert_int_equal(pipe_new(T, 0, &files[2 * i]), 0);
		assert_int_equal(ctl(ep, ABI_EPOLL_CTL_ADD, files[2 * i], ABI_POLLIN), 0);
	}
	pthread_create(&a, NULL, end_files, files);
	pthread_create(&b, NULL, collect_then_end, ep);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(bytes_come_in_order, setup, teardown),
	    cmocka_unit_test_setup_teardown(small_writes_are_whole, setup, teardown),
	    cmocka_unit_test_setup_teardown(ends_that_go, setup, teardown),
	    cmocka_unit_test_setup_teardown(sizes, setup, teardown),
	    cmocka_unit_test_setup_teardown(splicing, setup, teardown),
	    cmocka_unit_test_setup_teardown(blocks, setup, teardown),
	    cmocka_unit_test_setup_teardown(loans, setup, teardown),
	    cmocka_unit_test_setup_teardown(writers_are_woken_once, setup, teardown),
	    cmocka_unit_test_setup_teardown(readers_are_woken_when_it_was_empty, setup, teardown),
	    cmocka_unit_test_setup_teardown(fifos, setup, teardown),
	    cmocka_unit_test_setup_teardown(level_triggered, setup, teardown),
	    cmocka_unit_test_setup_teardown(edge_triggered_and_oneshot, setup, teardown),
	    cmocka_unit_test_setup_teardown(nested_instances, setup, teardown),
	    cmocka_unit_test_setup_teardown(watched_files_that_end, setup, teardown),
	    cmocka_unit_test_setup_teardown(ends_race, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
