/* SPDX-License-Identifier: Apache-2.0 */
/* Call-site patching on bytes: windows, trampolines, translation; and Debian's own files. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "platform/patch/patch.h"
#include "platform/stub/layout.h"

#define TEXT_VA 0x401000ull

static uint64_t one_start[] = {TEXT_VA};

static struct patch_text text_of(const char *code, size_t size)
{
	return (struct patch_text){.bytes = (uint8_t *)code,
				   .va = TEXT_VA,
				   .size = size,
				   .offset = 0x1000,
				   .starts = one_start,
				   .start_count = 1};
}

/* Analyses one function; the text is a string literal without its NUL. */
#define ANALYZE(code, ret)                                                                         \
	do {                                                                                       \
		struct patch_text t_ = text_of(code, sizeof(code) - 1);                            \
		assert_int_equal(patch_analyze(&t_, 0, NULL, NULL, ret), 0);                       \
	} while (0)

static void check_refused(const struct patch *p, enum patch_verdict v)
{
	assert_int_equal(p->site_count, 0);
	for (int i = 0; i < PATCH_VERDICTS; i++)
		if (p->verdicts[i] != (i == (int)v))
			fail_msg("%u %s", p->verdicts[i], patch_verdict_name(i));
}

static uint64_t area_va(const struct patch *p, const struct patch_site *s)
{
	return p->text_va + (uint64_t)p->area_distance + s->tramp;
}

/* What must be true of every site. */
static void check_site(const struct patch *p, const struct patch_site *s, const uint8_t *text)
{
	uint8_t bytes[PATCH_WINDOW_MAX + 2];
	const uint8_t *tail = p->area + s->tramp + s->tramp_size - PATCH_TAIL;
	uint64_t at, entry;
	int32_t distance;

	assert_in_range(s->size, 5, PATCH_WINDOW_MAX);
	memcpy(bytes, text + s->start, s->size + 2u);
	patch_apply(p, s->start, bytes, s->size + 2u);
	assert_int_equal(bytes[0], 0xe9);
	memcpy(&distance, bytes + 1, 4);
	assert_true(p->text_va + s->start + 5 + (uint64_t)(int64_t)distance == area_va(p, s));
	for (uint32_t i = 1; i < s->size; i++)
		assert_true(patch_byte_faults(bytes[i]));
	assert_memory_equal(bytes + s->size, "\x0f\x05", 2);
	patch_unapply(p, s->start, bytes, s->size + 2u);
	assert_memory_equal(bytes, text + s->start, s->size + 2u);

	assert_memory_equal(tail, "\x48\x8d\x0d", 3);
	memcpy(&distance, tail + 3, 4);
	assert_true(area_va(p, s) + s->tramp_size - PATCH_TAIL + 7 + (uint64_t)(int64_t)distance ==
		    p->text_va + s->start + s->size + 2);
	memcpy(&entry, tail + 9, 8);
	assert_int_equal(entry, STUB_FAST_ENTRY);
	for (uint32_t i = 0; i < s->insn_count; i++) {
		assert_true(patch_to_text(p, s->tramp + s->to[i], &at));
		assert_int_equal(at, s->start + s->from[i]);
		assert_int_equal(patch_to_trampoline(p, s->start + s->from[i], &at), i > 0);
		if (i)
			assert_int_equal(at, s->tramp + s->to[i]);
	}
	assert_true(patch_to_text(p, s->tramp + s->tramp_size - 3u, &at));
	assert_int_equal(at, s->start + s->size);
	assert_false(patch_to_text(p, s->tramp + s->tramp_size - 2u, &at));
	assert_ptr_equal(patch_site_at(p, s->start + s->size - 1u), s);
	assert_true(patch_site_at(p, s->start + s->size) != s);
}

static void number_in_front(void **state)
{
	static const char code[] = "\xb8\x27\0\0\0\x0f\x05\xc3"; /* mov $39,%eax; syscall; ret */
	struct patch p;

	(void)state;
	ANALYZE(code, &p);
	assert_int_equal(p.site_count, 1);
	assert_int_equal(p.sites[0].start, 0);
	assert_int_equal(p.sites[0].size, 5);
	check_site(&p, &p.sites[0], (const uint8_t *)code);
	assert_memory_equal(p.area + p.sites[0].tramp, code, 5);
	patch_free(&p);
}

/* Go: the last argument comes from the stack. */
static void load_in_front(void **state)
{
	static const char code[] = "\x48\x8b\x44\x24\x08\x4c\x8b\x4c\x24\x38\x0f\x05\xc3";
	struct patch p;

	(void)state;
	ANALYZE(code, &p);
	assert_int_equal(p.site_count, 1);
	assert_int_equal(p.sites[0].start, 5);
	check_site(&p, &p.sites[0], (const uint8_t *)code);
	patch_free(&p);
}

/* glibc's read: a flag relative to rip, a conditional jump and two bytes in front of the call. */
static void rip_and_jump_moved(void **state)
{
	static const char code[] = "\x80\x3d\x31\x33\x0e\x00\x00"  /* cmpb $0,0xe3331(%rip) */
				   "\x74\x17\x31\xc0\x0f\x05\xc3"; /* je; xor; syscall; ret */
	const uint8_t *tramp;
	struct patch p;
	int32_t distance;
	uint64_t va;

	(void)state;
	ANALYZE(code, &p);
	assert_int_equal(p.site_count, 1);
	assert_int_equal(p.sites[0].size, 11);
	assert_int_equal(p.sites[0].insn_count, 3);
	check_site(&p, &p.sites[0], (const uint8_t *)code);
	tramp = p.area + p.sites[0].tramp;
	va = area_va(&p, &p.sites[0]);
	memcpy(&distance, tramp + 2, 4);
	assert_true(va + 7 + (uint64_t)(int64_t)distance == TEXT_VA + 7 + 0xe3331);
	assert_memory_equal(tramp + 7, "\x0f\x84", 2);
	memcpy(&distance, tramp + 9, 4);
	assert_true(va + 13 + (uint64_t)(int64_t)distance == TEXT_VA + 9 + 0x17);
	assert_memory_equal(tramp + 13, "\x31\xc0", 2);
	patch_free(&p);
}

static void refused(void **state)
{
	struct patch p;

	(void)state;
	ANALYZE("\x31\xc0\x0f\x05\xc3", &p); /* xor %eax,%eax; syscall */
	check_refused(&p, PATCH_TOO_SHORT);
	patch_free(&p);
	ANALYZE("\xe8\0\0\0\0\x0f\x05\xc3", &p); /* call; syscall */
	check_refused(&p, PATCH_NOT_MOVABLE);
	patch_free(&p);
	ANALYZE("\xe3\x00\x31\xc0\x90\x0f\x05\xc3", &p); /* jrcxz; xor; nop; syscall */
	check_refused(&p, PATCH_NOT_MOVABLE);
	patch_free(&p);
	/* mov $1,%eax; syscall; mov $1,%al; syscall */
	ANALYZE("\xb8\x01\0\0\0\x0f\x05\xb0\x01\x0f\x05\xc3", &p);
	assert_int_equal(p.site_count, 1);
	assert_int_equal(p.verdicts[PATCH_NOT_MOVABLE], 1);
	patch_free(&p);
	ANALYZE("\x06\xb8\x27\0\0\0\x0f\x05\xc3", &p); /* something unknown first */
	check_refused(&p, PATCH_NOT_DECODED);
	patch_free(&p);
	ANALYZE("\xb8\x27\x0f\x05\0\xc3", &p); /* mov $0x50f27,%eax */
	check_refused(&p, PATCH_NOT_A_CALL);
	patch_free(&p);
}

static void branches_into(void **state)
{
	struct patch p;

	(void)state;
	/* mov %edx,%edi; mov %ecx,%esi; xor %eax,%eax; syscall; loop: jmp to the second */
	ANALYZE("\x89\xd7\x89\xce\x31\xc0\x0f\x05\xeb\xf8\xc3", &p);
	check_refused(&p, PATCH_BRANCH);
	patch_free(&p);
	/* ... to the first instruction is fine, */
	ANALYZE("\x89\xd7\x89\xce\x31\xc0\x0f\x05\xeb\xf6\xc3", &p);
	assert_int_equal(p.site_count, 1);
	patch_free(&p);
	/* ... and so is one to the call. */
	ANALYZE("\x89\xd7\x89\xce\x31\xc0\x0f\x05\xeb\xfc\xc3", &p);
	assert_int_equal(p.site_count, 1);
	patch_free(&p);
	/* A call into it from what need not even be an instruction. */
	ANALYZE("\x89\xd7\x89\xce\x31\xc0\x0f\x05\xc3\xcc\xe8\xf3\xff\xff\xff", &p);
	check_refused(&p, PATCH_BRANCH);
	patch_free(&p);
}

static void no_function(void **state)
{
	static const char code[] = "\xb8\x27\0\0\0\x0f\x05\xc3";
	struct patch_text t = text_of(code, sizeof(code) - 1);
	struct patch p;

	(void)state;
	t.start_count = 0;
	assert_int_equal(patch_analyze(&t, 0, NULL, NULL, &p), 0);
	check_refused(&p, PATCH_NO_FUNCTION);
	patch_free(&p);
}

/* ---- real files ---- */

static bool read_fd(void *arg, void *buf, size_t size, uint64_t pos)
{
	return pread(*(int *)arg, buf, size, (off_t)pos) == (ssize_t)size;
}

static void check_file(const char *name, uint32_t least_percent)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	struct patch_source src = {.read = read_fd, .arg = &fd};
	struct patch_text t;
	struct stat st;
	uint32_t calls;
	uint8_t *copy;
	struct patch p;

	if (fd < 0) {
		print_message("%s: not here\n", name);
		return;
	}
	assert_int_equal(fstat(fd, &st), 0);
	src.size = (uint64_t)st.st_size;
	assert_int_equal(patch_text_read(&src, &t), 0);
	close(fd);
	assert_int_equal(patch_analyze(&t, 7, NULL, NULL, &p), 0);
	for (uint32_t i = 0; i < p.site_count; i++)
		check_site(&p, &p.sites[i], t.bytes);
	calls = p.site_count + p.verdicts[PATCH_TOO_SHORT] + p.verdicts[PATCH_NOT_MOVABLE] +
		p.verdicts[PATCH_BRANCH] + p.verdicts[PATCH_NO_PLACE];
	print_message("%s: %u of %u calls\n", name, p.site_count, calls);
	assert_true(p.site_count * 100 >= calls * least_percent);
	copy = malloc(t.size);
	assert_non_null(copy);
	memcpy(copy, t.bytes, t.size);
	patch_apply(&p, 0, copy, t.size);
	assert_int_equal(memcmp(copy, t.bytes, t.size) != 0, p.site_count > 0);
	patch_unapply(&p, 0, copy, t.size);
	assert_memory_equal(copy, t.bytes, t.size);
	free(copy);
	patch_free(&p);
	patch_text_free(&t);
}

static void debian_files(void **state)
{
	(void)state;
	check_file("/lib/x86_64-linux-gnu/libc.so.6", 99);
	check_file("/lib64/ld-linux-x86-64.so.2", 90);
	check_file("/bin/busybox", 95);
	check_file("/usr/bin/node", 0);
	check_file("/usr/lib/go-1.19/bin/go", 95);
	check_file("/usr/bin/python3", 0);
}

static void not_elf(void **state)
{
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	struct patch_source src = {.read = read_fd, .arg = &fd, .size = 1000};
	struct patch_text t;

	(void)state;
	assert_int_equal(patch_text_read(&src, &t), -ENOEXEC);
	close(fd);
}

/* ---- pages of anonymous text ---- */

#define PAGE 4096u

/* A page with the code at an offset, and one call seen there. */
static int page_with(uint8_t *page, const char *code, size_t size, uint32_t offset,
		     struct patch_call *call, const struct patch *former, struct patch *ret)
{
	const struct patch_text t = {.bytes = page, .va = TEXT_VA, .size = PAGE};
	const uint8_t *at;

	memset(page, 0xcc, PAGE);
	memcpy(page + offset, code, size);
	at = memmem(page + offset, size, "\x0f\x05", 2);
	call->offset = (uint32_t)(at - page);
	return patch_page(&t, 0, call, 1, former, 7, ret);
}

static void witnessed(void **state)
{
	static const struct {
		const char *code;
		size_t size;
		enum patch_verdict verdict;
	} cases[] = {
#define CASE(s, v) {s, sizeof(s) - 1, v}
	    CASE("\xb8\x48\0\0\0\x0f\x05", PATCH_OK),
	    CASE("\x48\xc7\xc0\x48\0\0\0\x0f\x05", PATCH_OK),
	    /* endbr64; the end of another site's function; long nops; a function's beginning */
	    CASE("\xf3\x0f\x1e\xfa\xb8\x48\0\0\0\x0f\x05", PATCH_OK),
	    CASE("\x90\x05\xc3\xb8\x48\0\0\0\x0f\x05", PATCH_OK),
	    CASE("\x0f\x1f\x84\0\0\0\0\0\xb8\x48\0\0\0\x0f\x05", PATCH_OK),
	    CASE("\x55\x48\x89\xe5\xb8\x48\0\0\0\x0f\x05", PATCH_OK),
	    CASE("\x49\x89\xca\xb8\x48\0\0\0\x0f\x05", PATCH_OK),
	    /* mov $72,%r8d; movl $72,-72(%rbp); cmpl; lea 72(%rax),%edi */
	    CASE("\x41\xb8\x48\0\0\0\x0f\x05", PATCH_NOT_DECODED),
	    CASE("\xc7\x45\xb8\x48\0\0\0\x0f\x05", PATCH_NOT_DECODED),
	    CASE("\x81\x7d\xb8\x48\0\0\0\x0f\x05", PATCH_NOT_DECODED),
	    CASE("\x8d\xb8\x48\0\0\0\x0f\x05", PATCH_NOT_DECODED),
	    /* the same of a mov that can't have been made: it reads at 72 + 72 */
	    CASE("\x8b\xb8\x48\0\0\0\x0f\x05", PATCH_OK),
	    CASE("\x8a\xb8\x48\0\0\0\x0f\x05", PATCH_OK),
	    /* other numbers, other forms */
	    CASE("\xb8\x49\0\0\0\x0f\x05", PATCH_NOT_MOVABLE),
	    CASE("\x31\xc0\xb0\x48\x90\x90\x90\x0f\x05", PATCH_NOT_MOVABLE),
	    CASE("\xb8\x48\0\0\0\x90\x0f\x05", PATCH_NOT_MOVABLE),
#undef CASE
	};
	struct patch_call call = {.rax = 0x48};
	uint8_t page[PAGE];
	struct patch p;

	(void)state;
	for (size_t i = 0; i < array_count(cases); i++) {
		int err = page_with(page, cases[i].code, cases[i].size, 100, &call, NULL, &p);

		if (call.verdict != cases[i].verdict)
			fail_msg("case %zu: %s", i, patch_verdict_name(call.verdict));
		assert_int_equal(err, call.verdict == PATCH_OK ? 0 : -ENOENT);
		if (err)
			continue;
		assert_int_equal(p.site_count, 1);
		check_site(&p, &p.sites[0], page);
		patch_free(&p);
	}
	call.rax = 0x100000048; /* the bytes don't load that */
	assert_int_equal(page_with(page, cases[0].code, cases[0].size, 0, &call, NULL, &p),
			 -ENOENT);
	/* mov $...,%ecx; mov -128(%rax),%ah: rax was another one then, and that byte may be there */
	call = (struct patch_call){.rax = 0xffffffff80608a48};
	assert_int_equal(
	    page_with(page, "\xb9\x48\xc7\xc0\x48\x8a\x60\x80\x0f\x05", 10, 0, &call, NULL, &p),
	    -ENOENT);
	assert_int_equal(call.verdict, PATCH_NOT_DECODED);
	call = (struct patch_call){.rax = 0x48}; /* at the end there is nothing to be known */
	assert_int_equal(page_with(page, cases[0].code, cases[0].size, PAGE - 7, &call, NULL, &p),
			 -ENOENT);
}

/* Trampolines outlive their sites, and a site that comes back has the same. */
static void page_made_anew(void **state)
{
	static const char first[] = "\xb8\x48\0\0\0\x0f\x05", second[] = "\xb8\x27\0\0\0\x0f\x05";
	struct patch_call call = {.rax = 0x48};
	uint8_t page[PAGE], bytes[PAGE];
	struct patch p, q, r;
	uint64_t offset;

	(void)state;
	assert_int_equal(page_with(page, first, sizeof(first) - 1, 0, &call, NULL, &p), 0);
	call.rax = 0x27;
	assert_int_equal(page_with(page, second, sizeof(second) - 1, 64, &call, &p, &q), 0);
	assert_int_equal(q.site_count, 2);
	assert_true(q.sites[0].off);
	assert_false(q.sites[1].off);
	assert_int_equal(q.sites[0].tramp, p.sites[0].tramp);
	assert_memory_equal(q.area + q.sites[0].tramp, p.area + p.sites[0].tramp,
			    p.sites[0].tramp_size);
	assert_true(patch_to_text(&q, q.sites[0].tramp, &offset));
	assert_int_equal(offset, 0);
	assert_null(patch_site_at(&q, 1));
	memcpy(bytes, page, PAGE);
	patch_apply(&q, 0, bytes, PAGE);
	assert_memory_equal(bytes, page, 64);
	check_site(&q, &q.sites[1], page);

	/* In the same place with another number. */
	assert_int_equal(page_with(page, second, sizeof(second) - 1, 0, &call, &q, &r), 0);
	assert_int_equal(r.site_count, 2);
	assert_int_equal(r.sites[0].tramp, p.sites[0].tramp);
	check_site(&r, &r.sites[0], page);
	assert_true(r.sites[1].off);
	patch_free(&r);

	/* One that overlaps an old one can't be had with it. */
	assert_int_equal(page_with(page, second, sizeof(second) - 1, 3, &call, &q, &r), -ENOENT);
	assert_int_equal(call.verdict, PATCH_BRANCH);
	patch_free(&p);
	patch_free(&q);
}

static void page_areas(void **state)
{
	uint64_t start, end;

	(void)state;
	for (uint32_t i = 0; i < PATCH_SPREADS; i++) {
		patch_page_area(0x7f0000000000, i, &start, &end);
		assert_int_equal((start | end) & (PAGE - 1), 0);
		assert_in_range(end - start, PAGE, 32 * PAGE);
		assert_true(end < 0x7f0000000000 || start > 0x7f0000001000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(number_in_front),
	    cmocka_unit_test(load_in_front),
	    cmocka_unit_test(rip_and_jump_moved),
	    cmocka_unit_test(refused),
	    cmocka_unit_test(branches_into),
	    cmocka_unit_test(no_function),
	    cmocka_unit_test(witnessed),
	    cmocka_unit_test(page_made_anew),
	    cmocka_unit_test(page_areas),
	    cmocka_unit_test(debian_files),
	    cmocka_unit_test(not_elf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
