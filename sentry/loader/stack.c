/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The initial stack: arguments, environment and auxiliary vector, laid out as Linux does it for
 * x86-64 (create_elf_tables of fs/binfmt_elf.c, the x86-64 psABI). From the top down:
 *
 *	8 zero bytes
 *	the file name (AT_EXECFN)
 *	strings of envp, below them those of argv
 *	the platform's name, 16 random bytes (AT_RANDOM)
 *	up to 8 KiB of random distance
 *	auxv, NULL, envp[], NULL, argv[], argc	<- rsp, 16-byte aligned
 */
#include <cpuid.h>
#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>

#include "abi/elf.h"
#include "abi/mman.h"
#include "base/compiler.h"
#include "base/log.h"
#include "base/mem.h"
#include "sentry/kernel/cred.h"
#include "sentry/loader/loader_internal.h"
#include "sentry/mm/mm.h"

#define PLATFORM_STRING	 "x86_64"
#define CLOCK_TICKS	 100
#define RANDOM_SIZE	 16
#define ALIGN_RANDOM_MAX 8192u
/* AT_HWCAP2 bit 1 says that wrgsbase may be used; the stub needs gs for itself. */
#define HWCAP2_FSGSBASE 2ul
#define HWCAP2_HIDDEN	HWCAP2_FSGSBASE
#define MINSIGSTKSZ_OLD 2048 /* on hosts that don't tell */
#define AUX_PAIRS_MAX	32

/* Content under construction: data[0] is at va `base`; filled from the top down. */
struct stack {
	char *data;
	uint64_t base, sp; /* guest addresses */
};

static void *stack_at(const struct stack *s, uint64_t va)
{
	return s->data + (va - s->base);
}

/* ---- limits ---- */

static int add_strings(char *const *items, size_t count, uint64_t limit, uint64_t *total)
{
	for (size_t i = 0; i < count; i++) {
		size_t size = strlen(items[i]) + 1;

		if (size > ARG_STRING_MAX)
			return -E2BIG;
		*total += size + sizeof(uint64_t);
		if (*total > limit)
			return -E2BIG;
	}
	return 0;
}

static int strings_size(const struct stack_plan *p, uint64_t *ret_total)
{
	uint64_t limit =
	    MAX(MIN(p->stack_limit / 4, (uint64_t)ARG_TOTAL_MAX), (uint64_t)ARG_TOTAL_MIN);
	uint64_t total = strlen(p->filename) + 1;
	int err = add_strings(p->argv->items, p->argv->count, limit, &total);

	if (!err)
		err = add_strings(p->envp, p->envc, limit, &total);
	if (!err)
		*ret_total = total;
	return err;
}

int stack_check(const struct stack_plan *p)
{
	uint64_t total;

	return strings_size(p, &total);
}

/* ---- content ---- */

static uint64_t push(struct stack *s, const void *bytes, size_t size)
{
	s->sp -= size;
	memcpy(stack_at(s, s->sp), bytes, size);
	return s->sp;
}

static uint64_t push_string(struct stack *s, const char *str)
{
	return push(s, str, strlen(str) + 1);
}

/* So that the first one is lowest in memory. */
static void push_strings(struct stack *s, char *const *items, size_t count)
{
	for (size_t i = count; i-- > 0;)
		push_string(s, items[i]);
}

static uint64_t random_word(void)
{
	uint64_t r = 0;

	check(getrandom(&r, sizeof(r), 0) == (ssize_t)sizeof(r));
	return r;
}

struct aux {
	struct abi_auxv items[AUX_PAIRS_MAX];
	uint32_t count;
};

static void aux_add(struct aux *a, uint64_t type, uint64_t value)
{
	check(a->count < AUX_PAIRS_MAX);
	a->items[a->count++] = (struct abi_auxv){type, value};
}

struct aux_strings {
	uint64_t execfn, platform, random;
};

/* CPUID leaf 1, edx. (getauxval would give what the C library makes of it.) */
static uint64_t cpu_features(void)
{
	unsigned a, b, c, d = 0;

	return __get_cpuid(1, &a, &b, &c, &d) ? d : 0;
}

/* In the order of Linux. */
static void make_aux(const struct stack_plan *p, const struct aux_strings *at, struct aux *a)
{
	const struct elf_file *e = p->program;

	if (p->vdso)
		aux_add(a, ABI_AT_SYSINFO_EHDR, p->vdso);
	aux_add(a, ABI_AT_MINSIGSTKSZ, getauxval(ABI_AT_MINSIGSTKSZ) ?: MINSIGSTKSZ_OLD);
	aux_add(a, ABI_AT_HWCAP, cpu_features());
	aux_add(a, ABI_AT_PAGESZ, PAGE_SIZE);
	aux_add(a, ABI_AT_CLKTCK, CLOCK_TICKS);
	aux_add(a, ABI_AT_PHDR, e->phdr_va);
	aux_add(a, ABI_AT_PHENT, sizeof(struct abi_elf64_phdr));
	aux_add(a, ABI_AT_PHNUM, e->header.phnum);
	aux_add(a, ABI_AT_BASE, p->interp_base);
	aux_add(a, ABI_AT_FLAGS, 0);
	aux_add(a, ABI_AT_ENTRY, p->entry);
	aux_add(a, ABI_AT_UID, p->cred->uid);
	aux_add(a, ABI_AT_EUID, p->cred->euid);
	aux_add(a, ABI_AT_GID, p->cred->gid);
	aux_add(a, ABI_AT_EGID, p->cred->egid);
	aux_add(a, ABI_AT_SECURE, p->secure);
	aux_add(a, ABI_AT_RANDOM, at->random);
	aux_add(a, ABI_AT_HWCAP2, getauxval(ABI_AT_HWCAP2) & ~HWCAP2_HIDDEN);
	aux_add(a, ABI_AT_EXECFN, at->execfn);
	aux_add(a, ABI_AT_PLATFORM, at->platform);
	aux_add(a, ABI_AT_NULL, 0);
}

static void push_word(struct stack *s, uint64_t word)
{
	push(s, &word, sizeof(word));
}

/* A vector of pointers to strings that lie one behind the other from `at` on. */
static void push_vector(struct stack *s, char *const *items, size_t count, uint64_t at)
{
	uint64_t *v;

	push_word(s, 0);
	s->sp -= count * sizeof(*v);
	v = stack_at(s, s->sp);
	for (size_t i = 0; i < count; i++) {
		v[i] = at;
		at += strlen(items[i]) + 1;
	}
}

static void note_layout(struct exec_image *image, const struct aux *a)
{
	struct mm_layout *l = mm_layout(image->mm);

	l->start_stack = image->regs.rsp;
	memset(l->auxv, 0, sizeof(l->auxv));
	memcpy(l->auxv, a->items, a->count * sizeof(*a->items));
	l->auxv_words = a->count * 2;
}

static void push_tables(const struct stack_plan *p, struct stack *s, struct exec_image *image,
			const struct aux_strings *at)
{
	struct mm_layout *l = mm_layout(image->mm);
	struct aux a = {.count = 0};
	uint64_t words;

	make_aux(p, at, &a);
	words = a.count * 2 + p->envc + 1 + p->argv->count + 1 + 1;
	s->sp &= ~15ull;
	s->sp -= words % 2 * sizeof(uint64_t); /* so that it ends on 16 bytes */
	push(s, a.items, a.count * sizeof(*a.items));
	push_vector(s, p->envp, p->envc, l->env_start);
	push_vector(s, p->argv->items, p->argv->count, l->arg_start);
	push_word(s, p->argv->count);
	image->regs.rsp = s->sp;
	note_layout(image, &a);
}

static void fill(const struct stack_plan *p, struct stack *s, struct exec_image *image)
{
	struct mm_layout *l = mm_layout(image->mm);
	uint64_t random[RANDOM_SIZE / 8] = {random_word(), random_word()};
	struct aux_strings at;

	push_word(s, 0);
	at.execfn = push_string(s, p->filename);
	l->env_end = s->sp;
	push_strings(s, p->envp, p->envc);
	l->env_start = l->arg_end = s->sp;
	push_strings(s, p->argv->items, p->argv->count);
	l->arg_start = s->sp;
	if (p->randomize)
		s->sp -= random_word() % ALIGN_RANDOM_MAX;
	s->sp &= ~15ull;
	at.platform = push_string(s, PLATFORM_STRING);
	at.random = push(s, random, sizeof(random));
	push_tables(p, s, image, &at);
}

/* ---- the whole ---- */

static int map_stack(const struct stack_plan *p, struct exec_image *image, uint64_t need)
{
	uint64_t size = MIN(PAGE_ALIGN_UP(MIN(p->stack_limit, STACK_SIZE_MAX)), STACK_SIZE_MAX);
	struct mm_map_args a = {.prot = ABI_PROT_READ | ABI_PROT_WRITE,
				.flags = ABI_MAP_PRIVATE | ABI_MAP_ANONYMOUS | ABI_MAP_GROWSDOWN |
					 ABI_MAP_NORESERVE,
				.name = "[stack]"};
	struct memop op = {.type = MEMOP_MMAP_ANON, .flags = MEMOP_NORESERVE, .fd = -1};
	int err;

	a.size = MAX(size, PAGE_ALIGN_UP(need) + (128u << 10));
	a.addr = mm_stack_top(image->mm) - a.size;
	if (p->program->exec_stack)
		a.prot |= ABI_PROT_EXEC;
	op.addr = a.addr;
	op.size = a.size;
	op.prot = a.prot;
	err = mm_insert(image->mm, &a);
	return err ? err : image_add_memop(image, &op);
}

int stack_build(const struct stack_plan *p, struct exec_image *image)
{
	uint64_t need, top = mm_stack_top(image->mm);
	struct stack s;
	int err = strings_size(p, &need);

	if (err)
		return err;
	need += ALIGN_RANDOM_MAX + AUX_PAIRS_MAX * sizeof(struct abi_auxv) + 256;
	need = (need + 15) & ~15ull; /* alike aligned here and there */
	err = map_stack(p, image, need);
	if (err)
		return err;
	s = (struct stack){xcalloc(1, need), top - need, top};
	fill(p, &s, image);
	image->stack_data_va = s.sp;
	image->stack_data_size = top - s.sp;
	memmove(s.data, stack_at(&s, s.sp), image->stack_data_size);
	image->stack_data = s.data;
	return 0;
}
