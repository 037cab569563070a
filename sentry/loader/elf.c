/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF64 files: reading the headers, and putting the segments into an address space (elf(5),
 * fs/binfmt_elf.c of Linux).
 *
 * Everything in the file is hostile. What is checked here before anything is mapped: that all
 * loaded segments ascend without sharing a page, lie in the guest's range whatever the bias, and
 * have offsets congruent to their addresses. Linux finds some of that out only when the old program
 * is gone, and kills; here execve fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi/mman.h"
#include "base/compiler.h"
#include "base/fd.h"
#include "base/hostcall.h"
#include "base/log.h"
#include "base/mem.h"
#include "platform/platform.h"
#include "sentry/loader/loader_internal.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/patch.h"
#include "sentry/vfs/vfs.h"

#define PHDRS_SIZE_MAX 65536u /* load_elf_phdrs */
#define INTERP_MIN     2
#define INTERP_MAX     4096
#define ALIGN_MAX      (1ull << 30)
#define STAND_IN_MAX   (512ull << 20)
#define COPY_PIECE     (256u << 10)

/* ---- headers ---- */

/* All size bytes at pos, or -ENOEXEC if the file ends before, or another error. */
static int read_exactly(struct file *f, void *buf, size_t size, uint64_t pos)
{
	ssize_t n;

	if (pos > INT64_MAX)
		return -ENOEXEC;
	n = vfs_kernel_read(f, buf, size, (int64_t)pos);
	if (n < 0)
		return (int)n;
	return (size_t)n == size ? 0 : -ENOEXEC;
}

static int check_header(const struct abi_elf64_ehdr *h)
{
	if (memcmp(h->ident, "\177ELF", 4) || h->ident[ABI_EI_CLASS] != ABI_ELFCLASS64 ||
	    h->ident[ABI_EI_DATA] != ABI_ELFDATA2LSB)
		return -ENOEXEC;
	if (h->machine != ABI_EM_X86_64 || (h->type != ABI_ET_EXEC && h->type != ABI_ET_DYN))
		return -ENOEXEC;
	if (h->phentsize != sizeof(struct abi_elf64_phdr) || !h->phnum ||
	    h->phnum > PHDRS_SIZE_MAX / sizeof(struct abi_elf64_phdr))
		return -ENOEXEC;
	return 0;
}

static uint64_t page_offset(uint64_t x)
{
	return x & (PAGE_SIZE - 1);
}

/* One PT_LOAD, against the end of those before it. */
static int check_segment(const struct abi_elf64_phdr *p, uint64_t end_so_far)
{
	if (p->filesz > p->memsz || p->memsz > PLATFORM_GUEST_MAX ||
	    p->vaddr > PLATFORM_GUEST_MAX - p->memsz)
		return -EINVAL;
	if (p->offset > (uint64_t)INT64_MAX - p->filesz - PAGE_SIZE)
		return -EINVAL;
	if (p->filesz && page_offset(p->vaddr) != page_offset(p->offset))
		return -EINVAL;
	return PAGE_ALIGN_DOWN(p->vaddr) < PAGE_ALIGN_UP(end_so_far) ? -EINVAL : 0;
}

static int add_segment(struct elf_file *e, const struct abi_elf64_phdr *p)
{
	int err = check_segment(p, e->high);

	if (err)
		return err;
	if (e->low == UINT64_MAX)
		e->low = PAGE_ALIGN_DOWN(p->vaddr);
	e->high = p->vaddr + p->memsz;
	if (p->align > e->align && p->align <= ALIGN_MAX && !(p->align & (p->align - 1)))
		e->align = p->align;
	return 0;
}

static int read_interp(struct elf_file *e, const struct abi_elf64_phdr *p)
{
	int err;

	if (e->interp)
		return 0; /* only the first counts */
	if (p->filesz < INTERP_MIN || p->filesz > INTERP_MAX)
		return -ENOEXEC;
	e->interp = xmalloc(p->filesz);
	err = read_exactly(e->file, e->interp, p->filesz, p->offset);
	return !err && e->interp[p->filesz - 1] ? -ENOEXEC : err;
}

static int check_phdrs(struct elf_file *e)
{
	int err = 0;

	e->low = UINT64_MAX;
	e->align = PAGE_SIZE;
	/* exec_stack: files that don't say have none on x86-64 (arch/x86/include/asm/elf.h) */
	for (unsigned i = 0; i < e->header.phnum && !err; i++) {
		const struct abi_elf64_phdr *p = &e->phdrs[i];

		if (p->type == ABI_PT_LOAD && p->memsz)
			err = add_segment(e, p);
		else if (p->type == ABI_PT_INTERP)
			err = read_interp(e, p);
		else if (p->type == ABI_PT_GNU_STACK)
			e->exec_stack = p->flags & ABI_PF_X;
	}
	if (!err && e->low == UINT64_MAX)
		err = -ENOEXEC; /* nothing to load */
	return err;
}

int elf_read(struct file *f, struct elf_file *ret)
{
	struct elf_file e = {.file = NULL};
	int err = read_exactly(f, &e.header, sizeof(e.header), 0);
	size_t size;

	if (!err)
		err = check_header(&e.header);
	if (err)
		return err;
	size = e.header.phnum * sizeof(*e.phdrs);
	e.file = file_get(f);
	e.phdrs = xmalloc(size);
	err = read_exactly(f, e.phdrs, size, e.header.phoff);
	if (!err)
		err = check_phdrs(&e);
	if (err)
		elf_free(&e);
	else
		*ret = e;
	return err;
}

void elf_free(struct elf_file *e)
{
	if (e->file)
		file_put(e->file);
	free(e->phdrs);
	free(e->interp);
	*e = (struct elf_file){.file = NULL};
}

/* ---- stand-ins ---- */

static int copy_range(struct file *from, int to, uint64_t start, uint64_t end)
{
	char *buf = xmalloc(COPY_PIECE);
	int err = 0;

	while (!err && start < end) {
		ssize_t n = vfs_kernel_read(from, buf, MIN(end - start, (uint64_t)COPY_PIECE),
					    (int64_t)start);

		if (n <= 0) {
			err = (int)n;
			break;
		}
		if (pwrite(to, buf, (size_t)n, (off_t)start) != n)
			err = -ENOMEM;
		start += (uint64_t)n;
	}
	free(buf);
	return err;
}

/*
 * A host file with the loaded parts of a program whose file system has no descriptor to map (proc,
 * a remote one without cache): at the same offsets, so that all else stays as usual.
 */
static int make_stand_in(const struct elf_file *e)
{
	int fd = host_memfd("program", HOST_MEMFD_DATA), err = 0;
	uint64_t total = 0;

	if (fd < 0)
		return fd;
	for (unsigned i = 0; i < e->header.phnum && !err; i++) {
		const struct abi_elf64_phdr *p = &e->phdrs[i];

		if (p->type != ABI_PT_LOAD || !p->filesz)
			continue;
		total += p->filesz;
		err = total > STAND_IN_MAX ? -ENOMEM
					   : copy_range(e->file, fd, PAGE_ALIGN_DOWN(p->offset),
							p->offset + p->filesz);
	}
	/* Guests get the descriptor as it is; on a host without seals a copy of their own, at
	 * least. */
	if (!err)
		err = host_seal(fd, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK);
	if (err == -EINVAL)
		err = 0;
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

/* The descriptor to map segments with this protection from. */
static int segment_fd(struct elf_file *e, uint32_t prot, struct exec_image *image, unsigned index)
{
	int fd = -ENODEV;

	if (image->stand_ins[index] >= 0)
		return image->stand_ins[index];
	if (e->file->ops->mmap_fd)
		fd = e->file->ops->mmap_fd(e->file, prot, ABI_MAP_PRIVATE);
	if (fd != -ENODEV && fd != -EACCES)
		return fd;
	fd = make_stand_in(e);
	if (fd >= 0)
		image->stand_ins[index] = fd;
	return fd;
}

/* ---- mapping ---- */

int image_add_memop(struct exec_image *image, const struct memop *op)
{
	if (image->memop_count == LOAD_MEMOPS_MAX)
		return -ENOEXEC;
	if (!(image->memop_count & (image->memop_count - 1))) /* a power of two, or 0: full */
		image->memops = xrealloc(image->memops,
					 MAX(2 * image->memop_count, 1u) * sizeof(*image->memops));
	image->memops[image->memop_count++] = *op;
	return 0;
}

static uint32_t segment_prot(uint32_t flags)
{
	return (flags & ABI_PF_R ? ABI_PROT_READ : 0) | (flags & ABI_PF_W ? ABI_PROT_WRITE : 0) |
	       (flags & ABI_PF_X ? ABI_PROT_EXEC : 0);
}

/* The last file mapping ordered, if op goes on where it ends. */
static struct memop *mapping_before(struct exec_image *image, const struct memop *op)
{
	for (uint32_t i = image->memop_count; i-- > 0;) {
		struct memop *m = &image->memops[i];

		if (m->type != MEMOP_MMAP_FD)
			continue;
		return m->fd == op->fd && m->addr + m->size == op->addr &&
			       m->offset + m->size == op->offset
			   ? m
			   : NULL;
	}
	return NULL;
}

/*
 * Handing a descriptor in costs the guest a round trip, changing protection only a host call. So
 * segments that follow each other in file and memory (text and read-only data do) are mapped as one
 * and then told apart.
 */
static int order_file_map(struct exec_image *image, struct memop *op)
{
	struct memop *before = mapping_before(image, op);

	if (!before)
		return image_add_memop(image, op);
	before->size += op->size;
	if (before->prot == op->prot)
		return 0;
	op->type = MEMOP_MPROTECT;
	op->fd = -1;
	op->offset = 0;
	return image_add_memop(image, op);
}

static int map_file_part(struct elf_file *e, const struct abi_elf64_phdr *p, uint64_t start,
			 uint64_t end, struct exec_image *image, unsigned index)
{
	struct mm_map_args a = {.addr = start,
				.size = end - start,
				.prot = segment_prot(p->flags),
				.flags = ABI_MAP_PRIVATE,
				.file = e->file,
				.offset = PAGE_ALIGN_DOWN(p->offset)};
	struct memop op = {.type = MEMOP_MMAP_FD,
			   .addr = a.addr,
			   .size = a.size,
			   .prot = a.prot,
			   .offset = a.offset};
	int err;

	op.fd = segment_fd(e, a.prot, image, index);
	if (op.fd < 0)
		return op.fd;
	err = mm_insert(image->mm, &a);
	return err ? err : order_file_map(image, &op);
}

static int map_anon_part(const struct abi_elf64_phdr *p, uint64_t start, uint64_t end,
			 struct exec_image *image)
{
	struct mm_map_args a = {.addr = start,
				.size = end - start,
				.prot = segment_prot(p->flags),
				.flags = ABI_MAP_PRIVATE | ABI_MAP_ANONYMOUS};
	struct memop op = {
	    .type = MEMOP_MMAP_ANON, .addr = a.addr, .size = a.size, .prot = a.prot, .fd = -1};
	int err = mm_insert(image->mm, &a);

	return err ? err : image_add_memop(image, &op);
}

/* The file's bytes behind the segment in its last page must not show in bss. */
static int zero_tail(const struct abi_elf64_phdr *p, uint64_t file_end, uint64_t page_end,
		     struct exec_image *image)
{
	if (p->memsz == p->filesz || file_end == page_end || !(p->flags & ABI_PF_W))
		return 0;
	if (image->zero_count == array_count(image->zero))
		return -ENOEXEC;
	image->zero[image->zero_count].va = file_end;
	image->zero[image->zero_count++].size = page_end - file_end;
	return 0;
}

static int map_segment(struct elf_file *e, const struct abi_elf64_phdr *p, struct exec_image *image,
		       unsigned index)
{
	uint64_t va = e->bias + p->vaddr, start = PAGE_ALIGN_DOWN(va);
	uint64_t file_end = va + p->filesz, end = PAGE_ALIGN_UP(va + p->memsz);
	uint64_t split = p->filesz ? PAGE_ALIGN_UP(file_end) : start;
	int err = 0;

	if (split > start)
		err = map_file_part(e, p, start, split, image, index);
	if (!err && split > start)
		err = zero_tail(p, file_end, split, image);
	if (!err && end > split)
		err = map_anon_part(p, split, end, image);
	return err;
}

/* Text whose call sites are rewritten goes over the file's own. */
static int use_patched_text(struct elf_file *e, const struct abi_elf64_phdr *p,
			    struct exec_image *image, unsigned index)
{
	uint64_t start = PAGE_ALIGN_DOWN(e->bias + p->vaddr);
	uint64_t end = PAGE_ALIGN_UP(e->bias + p->vaddr + p->filesz);
	struct memop ops[PATCH_MEMOPS_MAX];
	uint32_t count;
	int fd, err = 0;

	if (segment_prot(p->flags) != (ABI_PROT_READ | ABI_PROT_EXEC) || !p->filesz)
		return 0;
	fd = segment_fd(e, ABI_PROT_READ | ABI_PROT_EXEC, image, index);
	if (fd < 0)
		return fd;
	count = patch_new_text(image->mm, e->file, fd, start, end - start,
			       PAGE_ALIGN_DOWN(p->offset), ops);
	for (uint32_t i = 0; i < count && !err; i++)
		err = image_add_memop(image, &ops[i]);
	return err;
}

/* For /proc: the extent of code and of data, as Linux counts them. */
static void note_extent(struct elf_file *e, const struct abi_elf64_phdr *p)
{
	uint64_t start = e->bias + p->vaddr, end = start + p->filesz;

	if ((p->flags & ABI_PF_X) && (!e->start_code || start < e->start_code))
		e->start_code = start;
	if (start > e->start_data)
		e->start_data = start;
	if ((p->flags & ABI_PF_X) && end > e->end_code)
		e->end_code = end;
	if (end > e->end_data)
		e->end_data = end;
	if (p->offset <= e->header.phoff && e->header.phoff < p->offset + p->filesz)
		e->phdr_va = e->header.phoff - p->offset + start;
}

int elf_map(struct elf_file *e, uint64_t bias, struct exec_image *image, unsigned index)
{
	int err = 0;

	if (e->low + bias < PLATFORM_GUEST_MIN)
		return -EPERM;
	if (e->high + bias > PLATFORM_GUEST_MAX)
		return -ENOMEM;
	e->bias = bias;
	for (unsigned i = 0; i < e->header.phnum && !err; i++) {
		const struct abi_elf64_phdr *p = &e->phdrs[i];

		if (p->type != ABI_PT_LOAD || !p->memsz)
			continue;
		err = map_segment(e, p, image, index);
		note_extent(e, p);
	}
	for (unsigned i = 0; i < e->header.phnum && !err; i++)
		if (e->phdrs[i].type == ABI_PT_LOAD)
			err = use_patched_text(e, &e->phdrs[i], image, index);
	return err;
}
