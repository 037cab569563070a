/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address spaces against a model: an array of pages that stands for the host, changed only by the
 * memory operations that the calls ask for. After each call, done or refused by the "host", the
 * tree and the pages must tell the same.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "abi/fcntl.h"
#include "abi/mman.h"
#include "abi/resource.h"
#include "base/compiler.h"
#include "base/mem.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/lockorder.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_block.h"
#include "sentry/kernel/timer.h"
#include "sentry/kernel/unsupported.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/vma.h"
#include "sentry/vfs/vfs.h"

/* ---- what mm needs of the rest ---- */

static struct memop last_op;
static uint32_t op_count;

int task_add_memop(struct task *t, const struct memop *op)
{
	(void)t;
	last_op = *op;
	op_count++;
	return 0;
}

struct task *task_get(struct task *t)
{
	refcount_get(&t->ref);
	return t;
}

void task_put(struct task *t)
{
	assert_false(refcount_put(&t->ref));
}

struct file *file_get(struct file *f)
{
	refcount_get(&f->ref);
	return f;
}

void file_put(struct file *f)
{
	assert_false(refcount_put(&f->ref));
}

uint32_t mount_flags(const struct mount *m)
{
	(void)m;
	return ABI_MS_NOEXEC;
}

void object_count(enum object_kind kind, int delta)
{
	(void)kind;
	(void)delta;
}

void task_wait_add(struct task *t, struct waitqueue *wq, uint32_t mask, struct file *pin)
{
	(void)t;
	(void)wq;
	(void)mask;
	(void)pin;
}

uint64_t time_realtime_ns(void)
{
	return 0;
}

void worker_going_long(void)
{
}

bool cred_capable(const struct cred *c, unsigned cap)
{
	(void)cap;
	return c->cap_effective;
}

int64_t unsupported(struct task *t, int error, const char *what, ...)
{
	(void)t;
	(void)what;
	return -error;
}

static int host_fd_of(struct file *f, uint32_t prot, uint32_t flags)
{
	(void)prot;
	(void)flags;
	return (int)f->pos;
}

static const struct file_ops mappable = {.mmap_fd = host_fd_of};

/* ---- the fixture ---- */

#define FILES 3
static struct file files[FILES];
static struct inode inodes[FILES];
static struct thread_group group;
static struct task task, other;
static struct cred cred;

static void task_init(struct task *t, struct mm *mm)
{
	memset(t, 0, sizeof(*t));
	refcount_init(&t->ref);
	t->tg = &group;
	t->cred = &cred;
	t->mm = mm;
	atomic_store(&t->state, TASK_HANDLER);
}

static int setup(void **state)
{
	struct mm *mm = mm_new(NULL);

	memset(&group, 0, sizeof(group));
	memset(&cred, 0, sizeof(cred));
	mutex_init(&group.siglock, RANK_SIGNAL);
	for (int i = 0; i < ABI_RLIMIT_COUNT; i++)
		group.rlimits[i].cur = ABI_RLIM_INFINITY;
	for (int i = 0; i < FILES; i++) {
		memset(&files[i], 0, sizeof(files[i]));
		refcount_init(&files[i].ref);
		files[i].ops = &mappable;
		files[i].inode = &inodes[i];
		files[i].flags = ABI_O_RDWR;
		files[i].pos = 100 + i;
	}
	task_init(&task, mm);
	task_init(&other, mm);
	mm_user_added(mm);
	mm_user_added(mm);
	mm_lay_out(mm, 8 << 20, true);
	*state = mm;
	return 0;
}

static int teardown(void **state)
{
	mm_put(*state);
	for (int i = 0; i < FILES; i++) {
		assert_int_equal(refcount_read(&files[i].ref), 1);
		assert_int_equal(inodes[i].shared_maps, 0);
	}
	assert_int_equal(refcount_read(&task.ref), 1);
	mutex_destroy(&group.siglock);
	return 0;
}

static void next_call(struct task *t)
{
	atomic_fetch_add(&t->call_count, 1);
	op_count = 0;
}

/* ---- the host: an array of pages ---- */

#define BASE	  0x10000000ull
#define PAGES	  128
#define MODEL_END (BASE + PAGES * PAGE_SIZE)

struct page {
	bool mapped, shared;
	uint32_t prot;
	int fd; /* -1: anonymous */
	uint64_t offset;
};
static struct page host[PAGES];

static struct page *page_at(uint64_t va)
{
	return &host[(va - BASE) / PAGE_SIZE];
}

static void host_map(const struct memop *op, bool file)
{
	for (uint64_t i = 0; i < op->size; i += PAGE_SIZE)
		*page_at(op->addr + i) =
		    (struct page){true, op->flags & MEMOP_SHARED, op->prot, file ? op->fd : -1,
				  file ? op->offset + i : 0};
}

static void host_remap(const struct memop *op)
{
	uint64_t count = op->new_size / PAGE_SIZE, old_count = op->size / PAGE_SIZE;
	struct page moved[PAGES];

	for (uint64_t i = 0; i < count; i++) {
		uint64_t from = MIN(i, old_count - 1);

		moved[i] = *page_at(op->addr + from * PAGE_SIZE);
		assert_true(moved[i].mapped);
		if (moved[i].fd >= 0)
			moved[i].offset += (i - from) * PAGE_SIZE;
	}
	if (!(op->flags & MEMOP_DONTUNMAP))
		memset(page_at(op->addr), 0, old_count * sizeof(struct page));
	memcpy(page_at(op->new_addr), moved, count * sizeof(struct page));
}

static void host_do(const struct memop *op)
{
	switch (op->type) {
	case MEMOP_MMAP_ANON:
		host_map(op, false);
		break;
	case MEMOP_MMAP_FD:
		host_map(op, true);
		break;
	case MEMOP_MUNMAP:
		memset(page_at(op->addr), 0, op->size / PAGE_SIZE * sizeof(struct page));
		break;
	case MEMOP_MPROTECT:
		for (uint64_t i = 0; i < op->size; i += PAGE_SIZE) {
			assert_true(page_at(op->addr + i)->mapped);
			page_at(op->addr + i)->prot = op->prot;
		}
		break;
	case MEMOP_MREMAP:
		host_remap(op);
		break;
	default:
		fail_msg("memory operation %d", op->type);
	}
}

struct compare {
	uint64_t at, total;
};

static bool compare_vma(const struct vma *v, void *arg)
{
	struct compare *c = arg;

	assert_true(v->start < v->end && v->start >= c->at);
	for (; c->at < v->start; c->at += PAGE_SIZE)
		assert_false(page_at(c->at)->mapped);
	c->total += v->end - v->start;
	for (; c->at < v->end; c->at += PAGE_SIZE) {
		const struct page *p = page_at(c->at);

		assert_true(p->mapped);
		assert_int_equal(p->prot, v->prot);
		assert_int_equal(p->shared, (v->flags & ABI_MAP_SHARED) != 0);
		assert_int_equal(p->fd, v->file ? v->file->pos : -1);
		if (v->file)
			assert_int_equal(p->offset, v->offset + (c->at - v->start));
	}
	return true;
}

static void compare(struct mm *mm)
{
	struct compare c = {BASE, 0};

	mm_lock(mm);
	mm_for_each_vma(mm, compare_vma, &c);
	mm_unlock(mm);
	for (; c.at < MODEL_END; c.at += PAGE_SIZE)
		assert_false(page_at(c.at)->mapped);
	assert_int_equal(mm_total_size(mm), c.total);
}

/* ---- random operations ---- */

static uint64_t random_range(uint64_t *ret_size)
{
	uint64_t first = (uint64_t)rand() % PAGES, count = 1 + (uint64_t)rand() % 12;

	*ret_size = MIN(count, PAGES - first) * PAGE_SIZE;
	return BASE + first * PAGE_SIZE;
}

static int64_t random_mmap(void)
{
	struct mm_map_args a = {.prot = (uint32_t)rand() % 4, .flags = ABI_MAP_FIXED};

	a.addr = random_range(&a.size);
	a.flags |= rand() % 3 ? ABI_MAP_PRIVATE : ABI_MAP_SHARED;
	if (rand() % 2) {
		a.file = &files[rand() % FILES];
		/* often such that neighbours continue each other */
		a.offset = a.addr - BASE + (rand() % 4 ? 0 : PAGE_SIZE);
	} else {
		a.flags |= ABI_MAP_ANONYMOUS;
	}
	return mm_mmap(&task, &a);
}

static int64_t random_mremap(void)
{
	uint64_t old_size, new_size, addr = random_range(&old_size), to = random_range(&new_size);

	if (rand() % 4 == 0)
		return mm_mremap(&task, addr, old_size, new_size, 0, 0);
	return mm_mremap(&task, addr, old_size, new_size, ABI_MREMAP_MAYMOVE | ABI_MREMAP_FIXED,
			 to);
}

static int64_t random_call(void)
{
	uint64_t size, addr = random_range(&size);

	switch (rand() % 6) {
	case 0:
		return mm_munmap(&task, addr, size);
	case 1:
	case 2:
		return mm_mprotect(&task, addr, size, (uint64_t)rand() % 8);
	case 3:
		return random_mremap();
	default:
		return random_mmap();
	}
}

static bool beyond_model(const struct memop *op)
{
	return op->type == MEMOP_MREMAP && op->new_addr + op->new_size > MODEL_END;
}

static void test_random(void **state)
{
	struct mm *mm = *state;

	srand(7);
	memset(host, 0, sizeof(host));
	for (int round = 0; round < 20000; round++) {
		next_call(&task);
		random_call();
		assert_true(op_count <= 1);
		if (op_count && (beyond_model(&last_op) || rand() % 5 == 0))
			assert_int_equal(mm_ops_failed(&task, 0, -ENOMEM), -ENOMEM);
		else if (op_count)
			host_do(&last_op);
		compare(mm);
		if (rand() % 2)
			mm_ops_end(&task);
	}
}

static void test_random_dup(void **state)
{
	struct mm *mm = *state;
	struct mm *child;

	srand(11);
	memset(host, 0, sizeof(host));
	for (int round = 0; round < 300; round++) {
		next_call(&task);
		random_call();
		if (op_count && beyond_model(&last_op))
			mm_ops_failed(&task, 0, -ENOMEM);
		else if (op_count)
			host_do(&last_op);
		child = mm_dup(mm);
		compare(child);
		mm_put(child);
	}
}

/* ---- finding room ---- */

static void map_page(struct mm *mm, uint64_t at, uint64_t pages, uint32_t prot)
{
	const struct mm_map_args a = {.addr = at,
				      .size = pages * PAGE_SIZE,
				      .prot = prot,
				      .flags = ABI_MAP_PRIVATE | ABI_MAP_ANONYMOUS};

	assert_int_equal(mm_insert(mm, &a), 0);
}

/* Naive: page by page from the top. */
static uint64_t naive_down(const bool *used, uint64_t count, uint64_t pages)
{
	for (uint64_t at = count - pages + 1; at-- > 0;) {
		uint64_t n = 0;

		while (n < pages && !used[at + n])
			n++;
		if (n == pages)
			return at;
	}
	return UINT64_MAX;
}

static uint64_t naive_up(const bool *used, uint64_t count, uint64_t pages)
{
	for (uint64_t at = 0; at + pages <= count; at++) {
		uint64_t n = 0;

		while (n < pages && !used[at + n])
			n++;
		if (n == pages)
			return at;
	}
	return UINT64_MAX;
}

static void check_find(struct vma_set *s, const bool *used, uint64_t count, uint64_t pages)
{
	uint64_t down = naive_down(used, count, pages), up = naive_up(used, count, pages);
	uint64_t end = BASE + count * PAGE_SIZE, size = pages * PAGE_SIZE;

	assert_int_equal(vma_find_down(s, size, PAGE_SIZE, BASE, end),
			 down == UINT64_MAX ? 0 : BASE + down * PAGE_SIZE);
	assert_int_equal(vma_find_up(s, size, PAGE_SIZE, BASE, end),
			 up == UINT64_MAX ? 0 : BASE + up * PAGE_SIZE);
}

static void test_find(void **state)
{
	enum { COUNT = 1500 };
	bool used[COUNT] = {false};
	struct vma_set s = {0};

	(void)state;
	srand(3);
	for (int round = 0; round < 6000; round++) {
		uint64_t i = (uint64_t)rand() % COUNT, va = BASE + i * PAGE_SIZE;
		const struct vm_area a = {.v = {.start = va, .end = va + PAGE_SIZE}};
		bool add = rand() % 100 < (round < 3000 ? 80 : 30);

		if (add && !used[i])
			vma_insert(&s, &a);
		else if (!add && used[i])
			vma_remove(&s, vma_seek(&s, va));
		else
			continue;
		used[i] = add;
		check_find(&s, used, COUNT, 1 + (uint64_t)rand() % 6);
	}
	vma_destroy_set(&s);
}

static void test_choose(void **state)
{
	struct mm_map_args a = {
	    .size = 5000, .prot = ABI_PROT_READ, .flags = ABI_MAP_PRIVATE | ABI_MAP_ANONYMOUS};
	int64_t first, second;

	(void)state;
	next_call(&task);
	first = mm_mmap(&task, &a);
	assert_true(first > 0);
	assert_int_equal(last_op.size, 2 * PAGE_SIZE);
	next_call(&task);
	second = mm_mmap(&task, &a);
	assert_int_equal(second, first - (int64_t)(2 * PAGE_SIZE));
	next_call(&task);
	a.addr = 0x20000123; /* a hint is rounded down, and taken if free */
	assert_int_equal(mm_mmap(&task, &a), 0x20000000);
	next_call(&task);
	assert_int_not_equal(mm_mmap(&task, &a), 0x20000000);
	next_call(&task);
	a.flags |= ABI_MAP_32BIT;
	a.addr = 0;
	assert_int_equal(mm_mmap(&task, &a), 0x40000000);
	a.flags |= ABI_MAP_FIXED_NOREPLACE;
	a.addr = 0x20000000;
	next_call(&task);
	assert_int_equal(mm_mmap(&task, &a), -EEXIST);
}

/* What one thread is still giving up isn't given to another before its next call. */
static void test_in_flight(void **state)
{
	struct mm_map_args a = {
	    .size = PAGE_SIZE, .prot = ABI_PROT_READ, .flags = ABI_MAP_PRIVATE | ABI_MAP_ANONYMOUS};
	int64_t first, second;

	(void)state;
	next_call(&task);
	first = mm_mmap(&task, &a);
	next_call(&task);
	assert_int_equal(mm_munmap(&task, (uint64_t)first, PAGE_SIZE), 0);
	next_call(&other);
	second = mm_mmap(&other, &a);
	assert_int_not_equal(second, first);
	next_call(&other);
	a.addr = (uint64_t)first;
	assert_int_not_equal(mm_mmap(&other, &a), first);
	next_call(&task); /* so the unmapping is done */
	next_call(&other);
	assert_int_equal(mm_mmap(&other, &a), first);
}

/*
 * The descriptor that a reply hands in belongs to its file: another thread that unmaps the area
 * before the reply is sent must not make that number free for another file.
 */
static void test_reply_keeps_file(void **state)
{
	struct mm_map_args a = {.addr = BASE,
				.size = PAGE_SIZE,
				.prot = ABI_PROT_READ,
				.flags = ABI_MAP_SHARED | ABI_MAP_FIXED,
				.file = &files[0]};

	(void)state;
	assert_int_equal(mm_mmap(&task, &a), BASE);
	assert_int_equal(last_op.type, MEMOP_MMAP_FD);
	assert_int_equal(mm_munmap(&other, BASE, PAGE_SIZE), 0);
	next_call(&other);
	mm_ops_end(&other);
	assert_true(refcount_read(&files[0].ref) > 1);
	next_call(&task);
	mm_ops_end(&task);
	assert_int_equal(refcount_read(&files[0].ref), 1);
}

static void test_mmap_errors(void **state)
{
	struct mm_map_args a = {
	    .size = PAGE_SIZE, .prot = ABI_PROT_WRITE, .file = &files[0], .flags = ABI_MAP_SHARED};
	int fake_mount;

	(void)state;
	files[0].flags = ABI_O_RDONLY;
	assert_int_equal(mm_mmap(&task, &a), -EACCES);
	a.flags = ABI_MAP_PRIVATE;
	next_call(&task);
	assert_true(mm_mmap(&task, &a) > 0);
	files[0].flags = ABI_O_WRONLY;
	assert_int_equal(mm_mmap(&task, &a), -EACCES);
	files[0].flags = ABI_O_RDWR;
	files[0].path.mount = (struct mount *)&fake_mount;
	a.prot = ABI_PROT_EXEC;
	assert_int_equal(mm_mmap(&task, &a), -EPERM);
	files[0].path.mount = NULL;
	a.offset = 17;
	assert_int_equal(mm_mmap(&task, &a), -EINVAL);
	a.offset = 0;
	a.size = 0;
	assert_int_equal(mm_mmap(&task, &a), -EINVAL);
	a.size = UINT64_MAX;
	assert_int_equal(mm_mmap(&task, &a), -ENOMEM);
	a.size = PAGE_SIZE;
	a.flags = ABI_MAP_ANONYMOUS;
	assert_int_equal(mm_mmap(&task, &a), -EINVAL);
	a.flags = ABI_MAP_PRIVATE | ABI_MAP_FIXED;
	a.addr = PLATFORM_GUEST_MAX;
	assert_int_equal(mm_mmap(&task, &a), -ENOMEM);
	a.addr = PLATFORM_GUEST_MAX - PAGE_SIZE;
	a.size = 2 * PAGE_SIZE;
	assert_int_equal(mm_mmap(&task, &a), -ENOMEM);
	a.addr = 0;
	assert_int_equal(mm_mmap(&task, &a), -EPERM);
}

static void test_limits(void **state)
{
	struct mm_map_args a = {.size = 16 * PAGE_SIZE,
				.prot = ABI_PROT_READ | ABI_PROT_WRITE,
				.flags = ABI_MAP_PRIVATE | ABI_MAP_ANONYMOUS};

	(void)state;
	group.rlimits[ABI_RLIMIT_AS].cur = 20 * PAGE_SIZE;
	next_call(&task);
	assert_true(mm_mmap(&task, &a) > 0);
	assert_int_equal(mm_mmap(&task, &a), -ENOMEM);
	group.rlimits[ABI_RLIMIT_AS].cur = ABI_RLIM_INFINITY;
	group.rlimits[ABI_RLIMIT_DATA].cur = 20 * PAGE_SIZE;
	assert_int_equal(mm_mmap(&task, &a), -ENOMEM);
	a.prot = ABI_PROT_READ;
	next_call(&task);
	assert_true(mm_mmap(&task, &a) > 0);
	group.rlimits[ABI_RLIMIT_MEMLOCK].cur = 0;
	a.flags |= ABI_MAP_LOCKED;
	assert_int_equal(mm_mmap(&task, &a), -EPERM);
	group.rlimits[ABI_RLIMIT_MEMLOCK].cur = PAGE_SIZE;
	assert_int_equal(mm_mmap(&task, &a), -EAGAIN);
	cred.cap_effective = 1;
	next_call(&task);
	assert_true(mm_mmap(&task, &a) > 0);
}

/* ---- brk, fork, shared keys ---- */

static void test_brk(void **state)
{
	struct mm *mm = *state;
	int64_t start;

	map_page(mm, BASE, 4, ABI_PROT_READ);
	mm_set_brk(mm, BASE + 4 * PAGE_SIZE);
	next_call(&task);
	start = mm_brk(&task, 0);
	assert_int_equal(op_count, 0);
	assert_true(start >= (int64_t)(BASE + 4 * PAGE_SIZE));
	assert_int_equal(mm_brk(&task, (uint64_t)start + 100), start + 100);
	assert_int_equal(op_count, 1);
	next_call(&task);
	assert_int_equal(mm_brk(&task, (uint64_t)start + 200), start + 200);
	assert_int_equal(op_count, 0);
	next_call(&task);
	assert_int_equal(mm_brk(&task, (uint64_t)start + 9000), start + 9000);
	assert_int_equal(last_op.size, 2 * PAGE_SIZE);
	assert_int_equal(mm_ops_failed(&task, 0, -ENOMEM), start + 200);
	next_call(&task);
	assert_int_equal(mm_brk(&task, 0), start + 200);
	next_call(&task);
	assert_int_equal(mm_brk(&task, (uint64_t)start), start);
	assert_int_equal(last_op.type, MEMOP_MUNMAP);
	assert_int_equal(mm_total_size(mm), 4 * PAGE_SIZE);
}

static void test_fork_advice(void **state)
{
	struct mm *mm = *state, *child;
	struct vma v;

	map_page(mm, BASE, 8, ABI_PROT_READ);
	next_call(&task);
	assert_int_equal(mm_madvise(&task, BASE + 2 * PAGE_SIZE, 2 * PAGE_SIZE, ABI_MADV_DONTFORK),
			 0);
	child = mm_dup(mm);
	assert_int_equal(mm_total_size(child), 6 * PAGE_SIZE);
	mm_lock(child);
	assert_true(mm_find_vma(child, BASE, &v));
	assert_false(mm_find_vma(child, BASE + 2 * PAGE_SIZE, &v));
	assert_true(mm_find_vma(child, BASE + 4 * PAGE_SIZE, &v));
	mm_unlock(child);
	mm_put(child);
	assert_int_equal(mm_madvise(&task, BASE, PAGE_SIZE, 12345), -EINVAL);
	assert_int_equal(mm_madvise(&task, BASE + 1, PAGE_SIZE, 0), -EINVAL);
}

static void test_shared_key(void **state)
{
	struct mm_map_args a = {.size = 4 * PAGE_SIZE,
				.prot = ABI_PROT_READ | ABI_PROT_WRITE,
				.flags = ABI_MAP_SHARED | ABI_MAP_ANONYMOUS};
	struct mm *mm = *state, *child;
	uint64_t object, offset, object2, offset2;
	int64_t at;

	next_call(&task);
	at = mm_mmap(&task, &a);
	assert_true(mm_shared_key(mm, (uint64_t)at + 4100, &object, &offset));
	assert_int_equal(offset, 4100);
	child = mm_dup(mm);
	assert_true(mm_shared_key(child, (uint64_t)at + 4100, &object2, &offset2));
	assert_int_equal(object, object2);
	assert_int_equal(offset, offset2);
	mm_put(child);
	/* mremap takes the identity along */
	next_call(&task);
	at = mm_mremap(&task, (uint64_t)at + PAGE_SIZE, PAGE_SIZE, PAGE_SIZE,
		       ABI_MREMAP_MAYMOVE | ABI_MREMAP_FIXED, BASE);
	assert_int_equal(at, BASE);
	assert_true(mm_shared_key(mm, BASE + 4, &object2, &offset2));
	assert_int_equal(object, object2);
	assert_int_equal(offset2, offset);
	assert_false(mm_shared_key(mm, BASE + PAGE_SIZE, &object2, &offset2));
}

static void test_count_limit(void **state)
{
	struct mm *mm = *state;
	uint64_t i;

	for (i = 0; i < 65530; i++)
		map_page(mm, BASE + i * PAGE_SIZE, 1, i % 2 ? ABI_PROT_READ : 0);
	next_call(&task);
	assert_int_equal(mm_mprotect(&task, BASE, PAGE_SIZE, ABI_PROT_WRITE), -ENOMEM);
	assert_int_equal(mm_munmap(&task, BASE + PAGE_SIZE, 65527 * PAGE_SIZE), 0);
	assert_int_equal(mm_total_size(mm), 3 * PAGE_SIZE);
}

static void test_mlock(void **state)
{
	struct mm *mm = *state;
	struct mm_usage u;

	map_page(mm, BASE, 8, ABI_PROT_READ);
	group.rlimits[ABI_RLIMIT_MEMLOCK].cur = 2 * PAGE_SIZE;
	assert_int_equal(mm_mlock(&task, BASE + 100, PAGE_SIZE, true), 0);
	mm_get_usage(mm, &u);
	assert_int_equal(u.locked, 2 * PAGE_SIZE);
	assert_int_equal(mm_mlock(&task, BASE, PAGE_SIZE, true), 0);
	assert_int_equal(mm_mlock(&task, BASE, 3 * PAGE_SIZE, true), -ENOMEM);
	assert_int_equal(mm_mlockall(&task, ABI_MCL_CURRENT), -ENOMEM);
	assert_int_equal(mm_mlock(&task, BASE, 8 * PAGE_SIZE, false), 0);
	mm_get_usage(mm, &u);
	assert_int_equal(u.locked, 0);
	assert_int_equal(u.vma_count, 1);
	assert_int_equal(mm_mlock(&task, BASE + 7 * PAGE_SIZE, 2 * PAGE_SIZE, true), -ENOMEM);
}

#define MM_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    MM_TEST(test_random),      MM_TEST(test_random_dup), MM_TEST(test_find),
	    MM_TEST(test_choose),      MM_TEST(test_in_flight),	 MM_TEST(test_reply_keeps_file),
	    MM_TEST(test_mmap_errors), MM_TEST(test_limits),	 MM_TEST(test_brk),
	    MM_TEST(test_fork_advice), MM_TEST(test_shared_key), MM_TEST(test_count_limit),
	    MM_TEST(test_mlock),
	};

	return cmocka_run_group_tests_name("mm", tests, NULL, NULL);
}
