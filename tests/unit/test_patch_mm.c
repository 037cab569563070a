/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patched pages of anonymous text in an address space, and the switch for one address space: the
 * host is a few pages that memory operations change. The rest of the sentry is left out.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "abi/mman.h"
#include "base/compiler.h"
#include "base/feature.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/lockorder.h"
#include "sentry/kernel/own.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_block.h"
#include "sentry/kernel/timer.h"
#include "sentry/kernel/unsupported.h"
#include "sentry/mm/mm_internal.h"
#include "sentry/vfs/vfs.h"

#define TEXT  0x7f0000000000ull
#define RX    (ABI_PROT_READ | ABI_PROT_EXEC)
#define PAGES 64

/* ---- the host ---- */

struct page {
	uint64_t va; /* 0: free */
	uint32_t prot;
	uint8_t bytes[PAGE_SIZE];
};
static struct page host[PAGES];

static struct page *page_at(uint64_t va)
{
	for (int i = 0; i < PAGES; i++)
		if (host[i].va == va)
			return &host[i];
	return NULL;
}

static void unmap_at(uint64_t va)
{
	struct page *p = page_at(va);

	if (p)
		p->va = 0;
}

static void map_at(uint64_t va, uint32_t prot, int fd, uint64_t offset)
{
	struct page *p;

	unmap_at(va);
	p = page_at(0);
	assert_non_null(p);
	*p = (struct page){.va = va, .prot = prot};
	if (fd >= 0)
		assert_true(pread(fd, p->bytes, PAGE_SIZE, (off_t)offset) >= 0);
}

static void do_op(const struct memop *op)
{
	switch (op->type) {
	case MEMOP_MMAP_FD:
	case MEMOP_MUNMAP:
		for (uint64_t at = 0; at < op->size; at += PAGE_SIZE)
			if (op->type == MEMOP_MUNMAP)
				unmap_at(op->addr + at);
			else
				map_at(op->addr + at, op->prot, op->fd, op->offset + at);
		break;
	case MEMOP_MREMAP:
		assert_int_equal(op->size, PAGE_SIZE);
		assert_non_null(page_at(op->addr));
		unmap_at(op->new_addr);
		page_at(op->addr)->va = op->new_addr;
		break;
	case MEMOP_MPROTECT:
		page_at(op->addr)->prot = op->prot;
		break;
	default:
		fail_msg("operation %d", op->type);
	}
}

/* ---- what is needed of the rest ---- */

static struct platform_regs regs;
static uint32_t notified;
static bool killed;

int task_add_memop(struct task *t, const struct memop *op)
{
	if (!t->memops)
		t->memops = calloc(PLATFORM_MEMOPS_MAX, sizeof(*t->memops));
	if (t->reply.memop_count == PLATFORM_MEMOPS_MAX)
		return -ENOMEM;
	t->memops[t->reply.memop_count++] = *op;
	t->reply.memops = t->memops;
	return 0;
}

size_t platform_read(struct platform_thread *t, struct platform_mm *mm, uint64_t va, void *buf,
		     size_t size)
{
	const struct page *p = page_at(PAGE_ALIGN_DOWN(va));

	(void)t;
	(void)mm;
	if (!p || !(p->prot & ABI_PROT_READ))
		return 0;
	memcpy(buf, p->bytes + (va - p->va), size);
	return size;
}

struct platform_regs *platform_regs(struct platform_thread *t)
{
	(void)t;
	return &regs;
}

struct platform_mm *platform_thread_mm(struct platform_thread *t)
{
	(void)t;
	return NULL;
}

uint64_t platform_fast_entry(const struct platform *p)
{
	(void)p;
	return 1;
}

/* A file is analysed by one worker at a time here. */
void platform_computes(struct platform *p, bool computes)
{
	static bool computing;

	(void)p;
	assert_true(computes != computing);
	computing = computes;
}

void task_notify(struct task *t)
{
	(void)t;
	notified++;
}

void task_wait_add(struct task *t, struct waitqueue *wq, uint32_t mask, struct file *pin)
{
	(void)t;
	(void)wq;
	(void)mask;
	(void)pin;
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
	return f;
}

void file_put(struct file *f)
{
	(void)f;
}

void signal_exit_group(struct thread_group *tg, int signo)
{
	(void)tg;
	(void)signo;
	killed = true;
}

void object_count(enum object_kind kind, int delta)
{
	(void)kind;
	(void)delta;
}

uint32_t mount_flags(const struct mount *m)
{
	(void)m;
	return 0;
}

uint64_t time_realtime_ns(void)
{
	return 0;
}

void own_memory_locked(struct kernel *k)
{
	(void)k;
}

void worker_going_long(void)
{
}

bool cred_capable(const struct cred *c, unsigned cap)
{
	(void)c;
	(void)cap;
	return true;
}

int64_t unsupported(struct task *t, int error, const char *what, ...)
{
	(void)t;
	(void)what;
	return -error;
}

/* ---- the fixture ---- */

static struct kernel kernel;
static struct thread_group group;
static struct task task, other;
static struct mm *mm;

static void task_begin(struct task *t, uint32_t tid)
{
	memset(t, 0, sizeof(*t));
	refcount_init(&t->ref);
	t->kernel = &kernel;
	t->tg = &group;
	t->mm = mm;
	idmap_set(&kernel.tids, tid, t);
	mm_user_added(mm);
}

/* mov $number,%eax; syscall; ret at an offset of the page. */
static void write_stub(uint32_t offset, uint8_t number)
{
	const uint8_t code[] = {0xb8, number, 0, 0, 0, 0x0f, 0x05, 0xc3};

	memcpy(page_at(TEXT)->bytes + offset, code, sizeof(code));
}

static int setup(void **state)
{
	const struct mm_map_args a = {.addr = TEXT,
				      .size = PAGE_SIZE,
				      .prot = RX,
				      .flags = ABI_MAP_PRIVATE | ABI_MAP_ANONYMOUS};

	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	memset(&group, 0, sizeof(group));
	memset(host, 0, sizeof(host));
	killed = false;
	notified = 0;
	features_switch(0, FEATURE_BIT(PATCH));
	mutex_init(&kernel.tasks_lock, RANK_TASKS);
	mutex_init(&group.siglock, RANK_SIGNAL);
	for (int i = 0; i < ABI_RLIMIT_COUNT; i++)
		group.rlimits[i].cur = ABI_RLIM_INFINITY;
	kernel.patches = patch_cache_new();
	mm = mm_new(&kernel);
	task_begin(&task, 1);
	task_begin(&other, 2);
	assert_int_equal(mm_insert(mm, &a), 0);
	map_at(TEXT, RX, -1, 0);
	memset(page_at(TEXT)->bytes, 0xcc, PAGE_SIZE);
	write_stub(0, 72);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_false(killed);
	free(task.memops);
	free(other.memops);
	patch_task_destroy(&task);
	patch_task_destroy(&other);
	idmap_set(&kernel.tids, 1, NULL);
	idmap_set(&kernel.tids, 2, NULL);
	idmap_destroy(&kernel.tids);
	mm_put(mm);
	patch_cache_destroy(kernel.patches);
	mutex_destroy(&kernel.tasks_lock);
	mutex_destroy(&group.siglock);
	return 0;
}

/* ---- a task's call, as the worker sees it ---- */

static void begin_call(struct task *t, uint32_t offset, uint8_t number)
{
	memset(&t->reply, 0, sizeof(t->reply));
	t->event = (struct platform_event){.type = PEV_CALL, .call.nr = number};
	regs.rip = TEXT + offset + 7;
	regs.orig_rax = number;
	atomic_fetch_add(&t->call_count, 1);
	patch_tick(t);
}

static void end_call(struct task *t)
{
	patch_before_reply(t);
	for (uint32_t i = 0; i < t->reply.memop_count; i++)
		do_op(&t->reply.memops[i]);
}

static void call(struct task *t, uint32_t offset, uint8_t number)
{
	begin_call(t, offset, number);
	end_call(t);
	patch_settled(t);
}

static bool is_patched(uint32_t offset)
{
	const struct page *p = page_at(TEXT);

	assert_non_null(p);
	assert_int_equal(p->prot & ABI_PROT_EXEC, ABI_PROT_EXEC);
	return p->bytes[offset] == 0xe9;
}

static uint64_t park(void)
{
	return mm->patches.maps[0].park;
}

static void patched_and_back(void **state)
{
	uint8_t original[PAGE_SIZE], read[PAGE_SIZE];

	(void)state;
	memcpy(original, page_at(TEXT)->bytes, PAGE_SIZE);
	call(&task, 0, 72);
	assert_true(is_patched(0));
	assert_false(patch_mm_is_original(mm));
	assert_memory_equal(page_at(park())->bytes, original, PAGE_SIZE);
	assert_int_equal(patch_read(mm, TEXT, read, PAGE_SIZE, 0), PAGE_SIZE);
	assert_memory_equal(read, original, PAGE_SIZE);

	for (int i = 0; i < 3; i++) {
		patch_mm_switch(&kernel, mm, false);
		assert_int_equal(notified, 2 * (i + 1));
		assert_true(atomic_load(&task.patch.due) && atomic_load(&other.patch.due));
		begin_call(&other, 0, 72); /* whoever comes first */
		end_call(&other);
		assert_false(patch_mm_is_original(mm)); /* not before its report */
		patch_settled(&other);
		assert_true(patch_mm_is_original(mm));
		assert_memory_equal(page_at(TEXT)->bytes, original, PAGE_SIZE);
		assert_int_equal(page_at(TEXT)->prot, RX);
		assert_null(page_at(park()));
		call(&task, 0, 72);
		call(&task, 0, 72);
		assert_false(is_patched(0));
		patch_mm_switch(&kernel, mm, true);
		call(&task, 0, 72);
		assert_true(is_patched(0));
	}
	assert_int_equal(mm->patches.count, 1);
}

/* A thread that was kicked and makes no call. */
static void kicked(void **state)
{
	(void)state;
	call(&task, 0, 72);
	patch_mm_switch(&kernel, mm, false);
	memset(&other.reply, 0, sizeof(other.reply));
	other.event = (struct platform_event){.type = PEV_KICKED};
	regs.rip = TEXT;
	end_call(&other);
	patch_settled(&other);
	assert_true(patch_mm_is_original(mm));
	assert_false(is_patched(0));
}

/* A child of fork begins with it on; what it has of patches is its own. */
static void forked(void **state)
{
	struct mm *child;

	(void)state;
	call(&task, 0, 72);
	patch_mm_switch(&kernel, mm, false);
	child = mm_dup(mm);
	assert_non_null(child);
	assert_false(atomic_load(&child->patches.forbidden));
	assert_int_equal(child->patches.count, 1);
	mm_put(child);
}

static void others_wait(void **state)
{
	int64_t ret;

	(void)state;
	begin_call(&task, 0, 72);
	patch_before_reply(&task);
	assert_int_equal(task.reply.memop_count, 3);
	memset(&other.reply, 0, sizeof(other.reply));
	ret = mm_mprotect(&other, TEXT, PAGE_SIZE, ABI_PROT_READ);
	assert_int_equal(ret, SYS_BLOCKED);
	assert_int_equal(mm_madvise(&other, TEXT, PAGE_SIZE, ABI_MADV_DONTNEED), SYS_BLOCKED);
	for (uint32_t i = 0; i < task.reply.memop_count; i++)
		do_op(&task.reply.memops[i]);
	patch_settled(&task);
	assert_int_equal(mm_mprotect(&other, TEXT, PAGE_SIZE, ABI_PROT_READ), 0);
}

static void protect(uint32_t prot)
{
	memset(&task.reply, 0, sizeof(task.reply));
	atomic_fetch_add(&task.call_count, 1);
	assert_int_equal(mm_mprotect(&task, TEXT, PAGE_SIZE, prot), 0);
	for (uint32_t i = 0; i < task.reply.memop_count; i++)
		do_op(&task.reply.memops[i]);
	patch_settled(&task);
}

/* The page comes back before the guest may write to it, and trampolines stay. */
static void rewritten(void **state)
{
	uint64_t area;

	(void)state;
	call(&task, 0, 72);
	area = mm->patches.maps[0].area;
	for (int i = 0; i < 100; i++) {
		uint8_t number = i % 2 ? 72 : 39;

		protect(ABI_PROT_READ | ABI_PROT_WRITE);
		assert_int_equal(page_at(TEXT)->bytes[0], 0xb8);
		assert_null(page_at(park()));
		assert_non_null(page_at(area));
		write_stub(0, number);
		write_stub(32, number);
		protect(RX);
		call(&task, 0, number);
		assert_true(is_patched(0));
		call(&task, 32, number);
		assert_true(is_patched(0));
		assert_true(is_patched(32));
		assert_int_equal(mm->patches.count, 1);
		assert_int_equal(mm->patches.maps[0].pf->p.site_count, 2);
	}
	assert_int_equal(atomic_load(&kernel.patches->pages), 1);
}

/* What can be written isn't patched, nor a number that wasn't there. */
static void left_alone(void **state)
{
	(void)state;
	call(&task, 0, 73);
	assert_false(is_patched(0));
	protect(RX | ABI_PROT_WRITE);
	call(&task, 0, 72);
	assert_false(is_patched(0));
	protect(RX);
	call(&task, 0, 72);
	assert_true(is_patched(0));
}

/* Descriptors are few: there are so many patched pages, and what is beyond has none to close. */
static void no_more_pages(void **state)
{
	struct patch_file *files[600];
	uint8_t page[PAGE_SIZE] = {0};
	int fd = dup(0), made = 0;

	(void)state;
	for (size_t i = 0; i < array_count(files); i++) {
		struct patch p = {.text_va = TEXT, .text_size = PAGE_SIZE};

		files[i] = patch_file_of_page(kernel.patches, page, &p);
		made += files[i] != NULL;
		assert_int_equal(fcntl(0, F_GETFD), 0);
	}
	assert_int_equal(made, 512);
	for (size_t i = 0; i < array_count(files); i++)
		if (files[i])
			patch_file_put(files[i]);
	close(fd);
}

#define MANY	 40
#define FAR	 0x600000000000ull
#define FAR_STEP 0x100000ull

static void install_many(void)
{
	uint8_t page[PAGE_SIZE] = {0};

	for (uint64_t i = 0; i < MANY; i++) {
		struct patch p = {.text_va = TEXT, .text_size = PAGE_SIZE};
		const uint64_t at = FAR + i * FAR_STEP;
		const struct mm_map_args a = {.addr = at,
					      .size = PAGE_SIZE,
					      .prot = RX,
					      .flags = ABI_MAP_PRIVATE | ABI_MAP_ANONYMOUS};
		struct patch_map m = {.start = at,
				      .end = at + PAGE_SIZE,
				      .area = at + 2 * PAGE_SIZE,
				      .area_end = at + 3 * PAGE_SIZE};

		m.pf = patch_file_of_page(kernel.patches, page, &p);
		assert_int_equal(mm_insert(mm, &a), 0);
		mm_patches_install(mm, &m);
	}
}

/* The reply so far is carried out; the handler runs once more. */
static void next_part(struct task *t)
{
	memset(&t->reply, 0, sizeof(t->reply));
	if (t->report.step == PREP_MEMOP)
		patch_failed(t, t->report.memop_index);
	patch_in_parts(t);
	assert_true(t->reply.report);
}

/* Patched texts of so many files that one reply can't unmap all of them. */
static void too_many_to_unmap(void **state)
{
	(void)state;
	install_many();
	for (uint32_t retired = 12; retired <= 24; retired += 12) {
		assert_int_equal(mm_munmap(&task, FAR, MANY * FAR_STEP), SYS_REPORT);
		assert_int_equal(task.reply.memop_count, PLATFORM_MEMOPS_MAX);
		for (uint32_t i = 0; i < MANY; i++)
			assert_int_equal(mm->patches.maps[i].state,
					 i < retired ? PATCH_MAP_RETIRED : PATCH_MAP_ON);
		assert_true(vma_any(&mm->vmas, FAR, FAR + PAGE_SIZE));
		assert_int_equal(mm_munmap(&other, FAR, PAGE_SIZE), SYS_BLOCKED);
		next_part(&task);
	}
	assert_int_equal(mm_munmap(&task, FAR, MANY * FAR_STEP), 0);
	assert_int_equal(task.reply.memop_count, MANY - 24 + 1);
	assert_false(vma_any(&mm->vmas, FAR, FAR + MANY * FAR_STEP));
	patch_settled(&task);
	assert_int_equal(mm->patches.count, 0);
}

/* A part that the host refuses: text without trampolines is no state to go on from. */
static void part_fails(void **state)
{
	(void)state;
	install_many();
	assert_int_equal(mm_munmap(&task, FAR, MANY * FAR_STEP), SYS_REPORT);
	task.report = (struct platform_report){.step = PREP_MEMOP, .memop_index = 3};
	next_part(&task);
	assert_true(killed);
	killed = false;
	patch_settled(&task);
}

/* What isn't too many goes at once. */
static void many_to_unmap(void **state)
{
	(void)state;
	install_many();
	assert_int_equal(mm_munmap(&task, FAR, 20 * FAR_STEP), 0);
	assert_int_equal(task.reply.memop_count, 21);
	patch_settled(&task);
	assert_int_equal(mm->patches.count, MANY - 20);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    CASE(patched_and_back), CASE(kicked),
	    CASE(forked),	    CASE(others_wait),
	    CASE(rewritten),	    CASE(left_alone),
	    CASE(no_more_pages),    CASE(too_many_to_unmap),
	    CASE(part_fails),	    CASE(many_to_unmap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
