/* SPDX-License-Identifier: Apache-2.0 */
/* The stub's image: its ELF file with the boot block filled in, as a sealed memfd. */
#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/hostcall.h"
#include "base/mem.h"
#include "platform/backend.h"
#include "platform/filter.h"
#include "platform/internal.h"
#include "platform/stub_image.h"

#define HWCAP2_FSGSBASE_BIT 2
#define FDS_TO_COME	    16

/* One line of /proc/self/maps: is it part of the vDSO? */
static bool vdso_line(const char *line, uint64_t *ret_start, uint64_t *ret_end, bool *ret_code)
{
	unsigned long start, end;

	if (sscanf(line, "%lx-%lx", &start, &end) != 2)
		return false;
	*ret_code = strstr(line, "[vdso]") != NULL;
	*ret_start = start;
	*ret_end = end;
	return *ret_code || strstr(line, "[vvar") != NULL;
}

static FILE *open_maps(int proc_fd)
{
	int fd = proc_fd > 0 ? openat(proc_fd, "self/maps", O_RDONLY | O_CLOEXEC)
			     : open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? NULL : fdopen(fd, "r");
}

/*
 * The parts of the vDSO as the kernel maps them: their sizes and order are the same in every
 * process. None are found if there is no /proc; then guests have no vDSO.
 */
static void find_vdso(struct platform *p, struct stub_boot *boot, int proc_fd)
{
	uint64_t base = getauxval(AT_SYSINFO_EHDR), start, end, last = 0;
	FILE *f = base ? open_maps(proc_fd) : NULL;
	uint32_t n = 0;
	char line[512];
	bool code, seen_code = false;

	while (f && n < STUB_VDSO_PARTS_MAX && fgets(line, sizeof(line), f)) {
		if (!vdso_line(line, &start, &end, &code))
			continue;
		boot->vdso_parts[n].start = (int64_t)(start - base);
		boot->vdso_parts[n++].size = end - start;
		seen_code |= code && start == base;
		last = end;
	}
	if (f)
		fclose(f);
	if (!seen_code)
		return;
	boot->vdso_part_count = n;
	boot->vdso_first = boot->vdso_parts[0].start;
	p->vdso_size = last - base - (uint64_t)boot->vdso_first;
	p->vdso_code_offset = (uint64_t)-boot->vdso_first;
}

/* The program headers of the stub's ELF file: text and boot block. */
static const Elf64_Phdr *find_segment(const uint8_t *elf, uint64_t va)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)elf;
	const Elf64_Phdr *ph = (const Elf64_Phdr *)(elf + eh->e_phoff);

	for (uint32_t i = 0; i < eh->e_phnum; i++)
		if (ph[i].p_type == PT_LOAD && ph[i].p_vaddr == va)
			return &ph[i];
	return NULL;
}

/*
 * The rights to protection keys that the host gives to programs it starts (it reserves all but key
 * 0), and where they are in a signal frame. The register's own initial value would grant all.
 */
static void find_pkru(struct stub_boot *boot)
{
	uint32_t a, b, c, d;

	if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(c & 1u << 4 /* OSPKE */))
		return;
	__asm__ volatile(".byte 0x0f, 0x01, 0xee" /* rdpkru */
			 : "=a"(boot->pkru), "=d"(d)
			 : "c"(0));
	if (__get_cpuid_count(13, 9, &a, &b, &c, &d))
		boot->pkru_offset = b;
}

#define XCR0_AMX (3ull << 17) /* nobody has it who hasn't asked, and guests can't */

/* What XSAVE is to save of a thread's FP state, and how much room that takes. */
static void find_fp(struct stub_boot *boot)
{
	uint32_t a, b, c, d, size = 512 + 64;
	uint64_t mask;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
		return;
	__asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
	mask = (a | (uint64_t)d << 32) & ~XCR0_AMX;
	for (uint32_t i = 2; i < 63; i++)
		if (mask >> i & 1 && __get_cpuid_count(13, i, &a, &b, &c, &d))
			size = MAX(size, b + a);
	if (size > sizeof(((struct channel *)0)->inherit.fp))
		return;
	boot->fp_mask = mask;
	boot->fp_size = size;
}

static void fill_answers(const struct platform_config *config, struct stub_boot *boot)
{
	for (uint32_t i = 0; i < config->answer_count; i++) {
		const struct platform_answer_call *c = &config->answer_calls[i];

		check(c->nr < STUB_ANSWERED_MAX);
		if (c->nr == SYS_sched_yield)
			boot->answer_yield = (uint8_t)(i + 1);
		else if (c->own)
			boot->answer_if_own[c->nr] = (uint8_t)(i + 1);
		else
			boot->answer_at[c->nr] = (uint8_t)(i + 1);
	}
}

static int fill_boot(struct platform *p, const struct platform_config *config,
		     struct stub_boot *boot, uint64_t text_size, uint64_t token)
{
	int n = p->backend->build_filter(boot->filter, STUB_FILTER_MAX, STUB_TEXT,
					 STUB_TEXT + text_size);

	if (n < 0)
		return n;
	boot->filter_count = (uint32_t)n;
	boot->token = token;
	boot->ptrace = p->backend->build_filter == filter_build_ptrace;
	boot->fsgsbase = !(config->without & FEATURE_BIT(FSGSBASE)) &&
			 (getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_BIT) != 0;
	p->fsgsbase = boot->fsgsbase;
	boot->host_futex = platform_host_futex(p);
	boot->own_state = platform_own_state(p);
	boot->absent_call = boot->own_state ? config->absent_call : 0;
	find_pkru(boot);
	if (stock_is_on(p))
		find_fp(boot);
	p->inherit_size = boot->fp_size ? offsetof(struct channel_inherit, fp) + boot->fp_size : 0;
	boot->tell_sites = platform_fast_entry(p) && !(p->without & FEATURE_BIT(PATCH));
	fill_answers(config, boot);
	boot->plan_count = p->without & FEATURE_BIT(WINDOWS) ? 0 : config->copyplan_count;
	/* The image's own descriptor, and the listener's, are still to come. */
	boot->fd_end = host_has_close_range() ? 0 : host_fd_end(-1) + FDS_TO_COME;
	boot->touch_pages = !host_has_madv_populate();
	memcpy(boot->plans, config->copyplans, config->copyplan_count * sizeof(boot->plans[0]));
	find_vdso(p, boot, config->proc_fd);
	return 0;
}

int stub_image_make(struct platform *p, const struct platform_config *config, uint64_t token)
{
	size_t size = (size_t)(stub_image_end - stub_image_begin);
	const Elf64_Phdr *text = find_segment(stub_image_begin, STUB_TEXT);
	const Elf64_Phdr *boot = find_segment(stub_image_begin, STUB_BOOT);
	uint8_t *image;
	int fd;

	check(text && boot && boot->p_filesz >= sizeof(struct stub_boot));
	check(boot->p_offset + boot->p_filesz <= size);
	image = xmalloc(size);
	memcpy(image, stub_image_begin, size);
	fd = fill_boot(p, config, (struct stub_boot *)(image + boot->p_offset), text->p_memsz,
		       token);
	if (fd == 0)
		fd = fd_sealed_memfd("cvisor-stub", image, size);
	if (fd == -EACCES && config->exec_dir_fd > 0)
		fd = fd_program_file(config->exec_dir_fd, "cvisor-stub", image, size);
	free(image);
	return fd;
}
