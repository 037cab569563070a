/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory: copies, strings and cursors, over a fake process of eight pages with a hole. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "abi/uio.h"
#include "base/compiler.h"
#include "base/mem.h"
#include "sentry/kernel/lockorder.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_block.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/patch.h"
#include "sentry/mm/usermem.h"

#define BASE  0x400000ull
#define PAGE  4096u
#define PAGES 8
#define HOLE  5 /* this page isn't mapped */
#define SIZE  (PAGES * PAGE)

/* No text is patched here. */
struct mm *task_mm_get(struct task *t)
{
	(void)t;
	return NULL;
}

static uint32_t went_long;

void worker_going_long(void)
{
	went_long++;
}

void mm_put(struct mm *mm)
{
	(void)mm;
}

bool mm_has_patches(const struct mm *mm, bool whole)
{
	(void)mm;
	(void)whole;
	return false;
}

size_t patch_read(struct mm *mm, uint64_t va, void *buf, size_t size, size_t n)
{
	(void)mm;
	(void)va;
	(void)buf;
	(void)size;
	return n;
}

static char memory[SIZE];
static uint64_t window_va;
static size_t window_size;
static unsigned process_reads, process_writes, windows_written;

/* How many bytes from va on are mapped, at most size. */
static size_t mapped(uint64_t va, size_t size)
{
	uint64_t end = va < BASE + HOLE * PAGE ? BASE + HOLE * PAGE : BASE + SIZE;

	if (va < BASE || va >= BASE + SIZE || (va - BASE) / PAGE == HOLE)
		return 0;
	return MIN(size, end - va);
}

static bool in_window(uint64_t va, size_t size)
{
	return window_size && va >= window_va && va + size <= window_va + window_size;
}

struct platform_mm *platform_thread_mm(struct platform_thread *t)
{
	return (struct platform_mm *)t;
}

size_t platform_read(struct platform_thread *t, struct platform_mm *mm, uint64_t va, void *buf,
		     size_t size)
{
	size_t n = mapped(va, size);

	(void)mm;
	if (!t || !in_window(va, size))
		process_reads++;
	if (n)
		memcpy(buf, memory + (va - BASE), n);
	return n;
}

size_t platform_write(struct platform_thread *t, struct platform_mm *mm, uint64_t va,
		      const void *buf, size_t size)
{
	size_t n = mapped(va, size);

	(void)mm;
	if (!t || !in_window(va, size))
		process_writes++;
	if (n)
		memcpy(memory + (va - BASE), buf, n);
	return n;
}

void *platform_window(struct platform_thread *t, uint64_t va, size_t size, bool for_write)
{
	(void)t;
	(void)for_write;
	return in_window(va, size) ? memory + (va - BASE) : NULL;
}

void platform_window_written(struct platform_thread *t, uint64_t va, size_t size)
{
	(void)t;
	assert_true(in_window(va, size));
	windows_written++;
}

const void *platform_window_rest(struct platform_thread *t, uint64_t va, size_t *ret_size)
{
	(void)t;
	if (!in_window(va, 1))
		return NULL;
	*ret_size = window_va + window_size - va;
	return memory + (va - BASE);
}

static struct thread_group group;
static struct task task = {.tg = &group, .pt = (struct platform_thread *)&task};

static int setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < SIZE; i++)
		memory[i] = (char)(1 + i % 251);
	mutex_init(&group.siglock, RANK_SIGNAL);
	window_size = 0;
	process_reads = process_writes = windows_written = 0;
	return 0;
}

static uaddr_t at(uint64_t offset)
{
	return uaddr(BASE + offset);
}

#define HOLE_START (HOLE * PAGE)

static void test_copies(void **state)
{
	char buf[100];

	(void)state;
	assert_int_equal(copy_from_user(&task, buf, at(10), 100), 0);
	assert_memory_equal(buf, memory + 10, 100);
	assert_int_equal(copy_from_user(&task, buf, at(HOLE_START - 50), 100), -EFAULT);
	assert_int_equal(copy_from_user(&task, buf, uaddr(0), 1), -EFAULT);
	assert_int_equal(copy_from_user(&task, buf, uaddr(UINT64_MAX), 100), -EFAULT);
	assert_int_equal(copy_from_user(&task, buf, uaddr(PLATFORM_GUEST_MAX), 1), -EFAULT);
	assert_int_equal(copy_from_user(&task, buf, uaddr(0), 0), 0);
	memset(buf, 0x55, sizeof(buf));
	assert_int_equal(copy_to_user(&task, at(3), buf, 100), 0);
	assert_memory_equal(buf, memory + 3, 100);
	assert_int_equal(clear_user(&task, at(0), 3 * PAGE), 0);
	for (size_t i = 0; i < 3 * PAGE; i++)
		assert_int_equal(memory[i], 0);
	assert_int_equal(clear_user(&task, at(HOLE_START - 10), 11), -EFAULT);
}

static void test_strings(void **state)
{
	char buf[64], *s;

	(void)state;
	strcpy(memory + 100, "hello");
	assert_int_equal(strncpy_from_user(&task, buf, at(100), sizeof(buf)), 5);
	assert_string_equal(buf, "hello");
	assert_int_equal(strncpy_from_user(&task, buf, at(100), 6), 5);
	assert_int_equal(strncpy_from_user(&task, buf, at(100), 5), -ENAMETOOLONG);
	assert_int_equal(strncpy_from_user(&task, buf, at(HOLE_START), 5), -EFAULT);
	/* The last bytes before an unmapped page. */
	strcpy(memory + HOLE_START - 4, "end");
	assert_int_equal(strncpy_from_user(&task, buf, at(HOLE_START - 4), sizeof(buf)), 3);
	memory[HOLE_START - 1] = 'x';
	assert_int_equal(strncpy_from_user(&task, buf, at(HOLE_START - 4), sizeof(buf)), -EFAULT);
	/* Over a page's end. */
	memset(memory + PAGE - 300, 'p', 600);
	memory[PAGE + 300] = 0;
	assert_int_equal(strdup_from_user(&task, at(PAGE - 300), 4096, &s), 600);
	assert_int_equal(strlen(s), 600);
	free(s);
	assert_int_equal(strdup_from_user(&task, at(PAGE - 300), 600, &s), -ENAMETOOLONG);
	assert_int_equal(strdup_from_user(&task, at(PAGE - 300), 601, &s), 600);
	free(s);
}

/* A string that lies in a window costs no access to the process. */
static void test_string_in_window(void **state)
{
	char buf[4096];

	(void)state;
	strcpy(memory + 200, "/etc/passwd");
	window_va = BASE + 200;
	window_size = 12;
	assert_int_equal(strncpy_from_user(&task, buf, at(200), sizeof(buf)), 11);
	assert_int_equal(process_reads, 0);
	/* One that the window cuts goes on behind it. */
	window_size = 5;
	assert_int_equal(strncpy_from_user(&task, buf, at(200), sizeof(buf)), 11);
	assert_string_equal(buf, "/etc/passwd");
	assert_true(process_reads > 0);
}

static void put_iov(size_t offset, const struct abi_iovec *v, size_t count)
{
	memcpy(memory + offset, v, count * sizeof(*v));
}

static void test_iovec(void **state)
{
	const struct abi_iovec v[4] = {
	    {BASE + 1000, 10}, {0, 0}, {BASE + 2000, 5}, {BASE + 3000, 20}};
	char src[35], dst[35];
	struct uio u;

	(void)state;
	put_iov(0, v, 4);
	for (size_t i = 0; i < sizeof(src); i++)
		src[i] = (char)(i + 'A');
	assert_int_equal(uio_init_iovec(&u, &task, at(0), 4), 0);
	assert_int_equal(u.left, 35);
	assert_int_equal(uio_write(&u, src, 12), 12);
	assert_int_equal(uio_write(&u, src + 12, 100), 23);
	assert_int_equal(u.left, 0);
	uio_free(&u);
	assert_memory_equal(memory + 1000, src, 10);
	assert_memory_equal(memory + 2000, src + 10, 5);
	assert_memory_equal(memory + 3000, src + 15, 20);
	assert_int_equal(uio_init_iovec(&u, &task, at(0), 4), 0);
	assert_int_equal(uio_read(&u, dst, 1), 1);
	assert_int_equal(uio_read(&u, dst + 1, 34), 34);
	assert_memory_equal(dst, src, 35);
	uio_free(&u);
}

/* Another worker leads while more than UIO_LONG is copied. */
static void test_long_ones_pass_the_lead(void **state)
{
	const struct abi_iovec v[2] = {{BASE, UIO_LONG}, {BASE, 1}};
	uint32_t before = went_long;
	struct uio u;

	(void)state;
	uio_init_user(&u, &task, at(0), UIO_LONG);
	uio_free(&u);
	assert_int_equal(went_long, before);
	uio_init_user(&u, &task, at(0), UIO_LONG + 1);
	uio_free(&u);
	assert_int_equal(went_long, before + 1);
	put_iov(0, v, 2);
	assert_int_equal(uio_init_iovec(&u, &task, at(0), 1), 0);
	uio_free(&u);
	assert_int_equal(went_long, before + 1);
	assert_int_equal(uio_init_iovec(&u, &task, at(0), 2), 0);
	uio_free(&u);
	assert_int_equal(went_long, before + 2);
}

static void test_iovec_errors(void **state)
{
	struct abi_iovec v[2] = {{BASE, 10}, {BASE, 1ull << 63}};
	struct uio u;

	(void)state;
	assert_int_equal(uio_init_iovec(&u, &task, at(0), 1025), -EINVAL);
	assert_int_equal(uio_init_iovec(&u, &task, uaddr(8), 2), -EFAULT);
	put_iov(0, v, 2);
	assert_int_equal(uio_init_iovec(&u, &task, at(0), 2), -EINVAL);
	v[1] = (struct abi_iovec){PLATFORM_GUEST_MAX - 5, 6};
	put_iov(0, v, 2);
	assert_int_equal(uio_init_iovec(&u, &task, at(0), 2), -EFAULT);
	assert_int_equal(uio_init_iovec(&u, &task, at(0), 0), 0);
	assert_int_equal(u.left, 0);
	/* Lengths whose sum is too large are cut. */
	v[0].len = v[1].len = 0x7ffff000;
	v[1].base = BASE;
	put_iov(0, v, 2);
	assert_int_equal(uio_init_iovec(&u, &task, at(0), 2), 0);
	assert_int_equal(u.left, UIO_BYTES_MAX);
	uio_free(&u);
}

static void test_partial(void **state)
{
	char buf[100];
	struct uio u;

	(void)state;
	uio_init_user(&u, &task, at(HOLE_START - 30), 100);
	assert_int_equal(uio_read(&u, buf, 100), 30);
	assert_int_equal(u.left, 70);
	assert_int_equal(uio_read(&u, buf, 70), -EFAULT);
	uio_init_user(&u, &task, at(HOLE_START - 30), 100);
	assert_int_equal(uio_write_zeros(&u, 100), 30);
	assert_int_equal(memory[HOLE_START - 1], 0);
	uio_init_kernel(&u, buf, 10);
	assert_int_equal(uio_write(&u, "0123456789abc", 13), 10);
	assert_memory_equal(buf, "0123456789", 10);
}

static int temp_file(const void *bytes, size_t size)
{
	char path[] = "/tmp/cvisor-usermem-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(write(fd, bytes, size), size);
	return fd;
}

static void test_descriptors(void **state)
{
	char *content = xmalloc(3 * PAGE);
	int64_t offset = 7;
	struct uio u;
	int fd;

	(void)state;
	memset(content, 'c', 3 * PAGE);
	fd = temp_file(content, 3 * PAGE);
	uio_init_user(&u, &task, at(0), 2 * PAGE);
	assert_int_equal(uio_pread_fd(&u, fd, &offset, 2 * PAGE), 2 * PAGE);
	assert_int_equal(offset, 7 + 2 * PAGE);
	assert_memory_equal(memory, content, 2 * PAGE);
	uio_init_user(&u, &task, at(0), 2 * PAGE);
	assert_int_equal(uio_pread_fd(&u, fd, &offset, 2 * PAGE), PAGE - 7);
	assert_int_equal(uio_pread_fd(&u, fd, &offset, 2 * PAGE), 0);
	/* Into the hole: what came before it counts, and the position says so. */
	offset = 0;
	uio_init_user(&u, &task, at(HOLE_START - 100), PAGE);
	assert_int_equal(uio_pread_fd(&u, fd, &offset, PAGE), 100);
	assert_int_equal(offset, 100);
	uio_init_user(&u, &task, at(HOLE_START), PAGE);
	assert_int_equal(uio_pread_fd(&u, fd, &offset, PAGE), -EFAULT);
	uio_init_user(&u, &task, at(0), PAGE);
	assert_int_equal(uio_pread_fd(&u, -1, &offset, PAGE), -EBADF);
	close(fd);
	free(content);
}

static void test_descriptor_window(void **state)
{
	int64_t offset = 0;
	char check[600];
	struct uio u;
	int fd = temp_file("", 0);

	(void)state;
	window_va = BASE + 512;
	window_size = 600;
	uio_init_user(&u, &task, at(512), 600);
	assert_int_equal(uio_pwrite_fd(&u, fd, &offset, 600), 600);
	assert_int_equal(process_reads, 0);
	assert_int_equal(pread(fd, check, 600, 0), 600);
	assert_memory_equal(check, memory + 512, 600);
	memset(memory + 512, 0, 600);
	offset = 0;
	uio_init_user(&u, &task, at(512), 600);
	assert_int_equal(uio_pread_fd(&u, fd, &offset, 600), 600);
	assert_memory_equal(check, memory + 512, 600);
	assert_int_equal(process_writes, 0);
	assert_int_equal(windows_written, 1);
	close(fd);
}

static void test_pwrite_partial(void **state)
{
	int64_t offset = 0;
	struct uio u;
	int fd = temp_file("", 0);

	(void)state;
	uio_init_user(&u, &task, at(HOLE_START - 300), 1000);
	assert_int_equal(uio_pwrite_fd(&u, fd, &offset, 1000), 300);
	assert_int_equal(offset, 300);
	assert_int_equal(u.left, 700);
	assert_int_equal(uio_pwrite_fd(&u, fd, &offset, 700), -EFAULT);
	close(fd);
}

static void test_other_task(void **state)
{
	char buf[2 * PAGE];

	(void)state;
	assert_int_equal(read_task_memory(&task, 0, at(0), buf, sizeof(buf)), sizeof(buf));
	assert_memory_equal(buf, memory, sizeof(buf));
	assert_int_equal(read_task_memory(&task, 0, at(HOLE_START - 9), buf, 100), 9);
	assert_int_equal(read_task_memory(&task, 0, at(HOLE_START), buf, 100), -EFAULT);
	assert_int_equal(write_task_memory(&task, 0, at(0), "abc", 3), 3);
	assert_memory_equal(memory, "abc", 3);
	task.pt = NULL;
	assert_int_equal(read_task_memory(&task, 0, at(0), buf, 1), -EFAULT);
	assert_int_equal(copy_from_user(&task, buf, at(0), 1), -EFAULT);
	task.pt = (struct platform_thread *)&task;
}

#define USERMEM_TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    USERMEM_TEST(test_copies),
	    USERMEM_TEST(test_strings),
	    USERMEM_TEST(test_string_in_window),
	    USERMEM_TEST(test_iovec),
	    USERMEM_TEST(test_long_ones_pass_the_lead),
	    USERMEM_TEST(test_iovec_errors),
	    USERMEM_TEST(test_partial),
	    USERMEM_TEST(test_descriptors),
	    USERMEM_TEST(test_descriptor_window),
	    USERMEM_TEST(test_pwrite_partial),
	    USERMEM_TEST(test_other_task),
	};

	return cmocka_run_group_tests_name("usermem", tests, NULL, NULL);
}
