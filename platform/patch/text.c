/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an ELF file tells about its text: where it is, and where functions begin.
 *
 * Function starts come from the search table of the unwind information (.eh_frame_hdr), from
 * function symbols, and from Go's table of functions. All of it is hostile: a start that is wrong
 * makes decoding begin at a wrong place, which is harmless to all but the program that lies about
 * itself, for its sites are rewritten wrongly in its own memory only.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/elf.h"
#include "base/compiler.h"
#include "base/mem.h"
#include "platform/patch/patch.h"
#include "platform/patch/patch_internal.h"

#define PHDRS_MAX	128u
#define SECTIONS_MAX	1024u
#define STARTS_MAX	(4u << 20)
#define TABLE_MAX	(256u << 20) /* bytes of symbols, or of Go's table */
#define PIECE		(64u << 10)
#define PT_GNU_EH_FRAME 0x6474e550
#define SHT_SYMTAB	2
#define SHT_DYNSYM	11
#define SHT_PROGBITS	1
#define STT_FUNC	2
#define DT_FLAGS_1	0x6ffffffb
#define DF_1_PIE	0x08000000
#define EH_PCREL_4	0x1b /* DW_EH_PE_pcrel | DW_EH_PE_sdata4 */
#define EH_FRAME	".eh_frame"
#define EH_FRAME_MAX	(64u << 20)
#define GO_TABLE	".gopclntab"
#define GO_1_18		0xfffffff0u
#define GO_1_20		0xfffffff1u

struct reader {
	const struct patch_source *src;
	struct patch_text *text;
	struct abi_elf64_ehdr header;
	uint32_t capacity;
	bool unwind; /* .eh_frame has been read */
};

static bool read_at(const struct reader *r, void *buf, uint64_t size, uint64_t pos)
{
	return pos <= r->src->size && size <= r->src->size - pos &&
	       r->src->read(r->src->arg, buf, size, pos);
}

static void add_start(struct reader *r, uint64_t va)
{
	struct patch_text *t = r->text;

	if (va - t->va >= t->size || t->start_count >= STARTS_MAX)
		return;
	if (t->start_count == r->capacity) {
		r->capacity = r->capacity ? r->capacity * 2 : 1024;
		t->starts = xrealloc(t->starts, r->capacity * sizeof(*t->starts));
	}
	t->starts[t->start_count++] = va;
}

/* Calls fn for each record of a table, read in pieces. */
static void for_each_record(struct reader *r, uint64_t pos, uint64_t count, uint32_t size,
			    void (*fn)(struct reader *, const uint8_t *, uint64_t), uint64_t arg)
{
	uint32_t room = PIECE / size;
	uint8_t *buf = xmalloc(PIECE);

	while (count) {
		uint32_t n = (uint32_t)MIN(count, (uint64_t)room);

		if (!read_at(r, buf, (uint64_t)n * size, pos))
			break;
		for (uint32_t i = 0; i < n; i++)
			fn(r, buf + (size_t)i * size, arg);
		pos += (uint64_t)n * size;
		count -= n;
	}
	free(buf);
}

/* ---- unwind table ---- */

static void add_function(void *reader, uint64_t start)
{
	add_start(reader, start);
}

static void read_eh_frame(struct reader *r, uint64_t offset, uint64_t size, uint64_t va)
{
	uint8_t *data;

	r->unwind = true;
	size = MIN(size, (uint64_t)EH_FRAME_MAX);
	data = xmalloc(size);
	if (read_at(r, data, size, offset))
		patch_eh_frame(data, size, va, add_function, r);
	free(data);
}

/*
 * The header has a table of functions, but not of what kind they are; so it is only asked where
 * .eh_frame is.
 */
static void read_eh_frame_hdr(struct reader *r, const struct abi_elf64_phdr *p,
			      const struct abi_elf64_phdr *ph)
{
	struct {
		uint8_t version, ptr_enc, count_enc, table_enc;
		int32_t ptr;
	} h;
	uint64_t va;

	if (p->filesz < sizeof(h) || !read_at(r, &h, sizeof(h), p->offset))
		return;
	if (h.version != 1 || h.ptr_enc != EH_PCREL_4)
		return;
	va = p->vaddr + 4 + (uint64_t)(int64_t)h.ptr;
	for (uint32_t i = 0; i < r->header.phnum; i++)
		if (ph[i].type == ABI_PT_LOAD && va - ph[i].vaddr < ph[i].filesz)
			read_eh_frame(r, ph[i].offset + (va - ph[i].vaddr),
				      ph[i].filesz - (va - ph[i].vaddr), va);
}

/* ---- sections ---- */

static void add_symbol(struct reader *r, const uint8_t *rec, uint64_t arg)
{
	struct abi_elf64_sym s;

	(void)arg;
	memcpy(&s, rec, sizeof(s));
	if ((s.info & 0xf) == STT_FUNC && s.shndx)
		add_start(r, s.value);
}

static void add_go_function(struct reader *r, const uint8_t *rec, uint64_t base)
{
	uint32_t start;

	memcpy(&start, rec, sizeof(start));
	add_start(r, base + start);
}

/* The header of Go's pclntab since 1.18 (runtime/symtab.go): offsets to tables behind it. */
static void read_go_table(struct reader *r, const struct abi_elf64_shdr *s)
{
	struct {
		uint32_t magic;
		uint8_t pad[2], min_lc, ptr_size;
		uint64_t func_count, file_count, text_start, names, cus, files, pcs, functions;
	} h;

	if (s->size < sizeof(h) || !read_at(r, &h, sizeof(h), s->offset))
		return;
	if ((h.magic != GO_1_18 && h.magic != GO_1_20) || h.ptr_size != 8 || h.functions >= s->size)
		return;
	for_each_record(r, s->offset + h.functions, MIN(h.func_count, (s->size - h.functions) / 8),
			8, add_go_function, h.text_start);
}

static void read_section(struct reader *r, const struct abi_elf64_shdr *s, const char *name)
{
	uint64_t size = MIN(s->size, (uint64_t)TABLE_MAX);

	if ((s->type == SHT_SYMTAB || s->type == SHT_DYNSYM) &&
	    s->entsize == sizeof(struct abi_elf64_sym))
		for_each_record(r, s->offset, size / s->entsize, (uint32_t)s->entsize, add_symbol,
				0);
	else if (s->type == SHT_PROGBITS && !memcmp(name, GO_TABLE, sizeof(GO_TABLE)))
		read_go_table(r, s);
	else if (!r->unwind && !memcmp(name, EH_FRAME, sizeof(EH_FRAME)))
		read_eh_frame(r, s->offset, s->size, s->addr);
}

static void read_sections(struct reader *r)
{
	const struct abi_elf64_ehdr *h = &r->header;
	struct abi_elf64_shdr *s, *names;
	char name[sizeof(GO_TABLE)];

	if (!h->shnum || h->shnum > SECTIONS_MAX || h->shentsize != sizeof(*s) ||
	    h->shstrndx >= h->shnum)
		return;
	s = xcalloc(h->shnum, sizeof(*s));
	names = s + h->shstrndx;
	if (read_at(r, s, h->shnum * sizeof(*s), h->shoff)) {
		for (uint32_t i = 0; i < h->shnum; i++) {
			if (!read_at(r, name, sizeof(name), names->offset + s[i].name))
				name[0] = 0;
			read_section(r, &s[i], name);
		}
	}
	free(s);
}

/* ---- segments ---- */

static bool is_pie(const struct reader *r, const struct abi_elf64_phdr *p)
{
	struct {
		uint64_t tag, value;
	} d;

	for (uint64_t at = 0; at + sizeof(d) <= MIN(p->filesz, (uint64_t)PIECE); at += sizeof(d)) {
		if (!read_at(r, &d, sizeof(d), p->offset + at) || !d.tag)
			return false;
		if (d.tag == DT_FLAGS_1)
			return d.value & DF_1_PIE;
	}
	return false;
}

static int read_text(struct reader *r, const struct abi_elf64_phdr *p)
{
	struct patch_text *t = r->text;

	if (p->filesz > PATCH_TEXT_MAX)
		return -E2BIG;
	if ((p->offset ^ p->vaddr) & 4095 || p->vaddr > INT64_MAX || (p->flags & ABI_PF_W))
		return -ENOEXEC;
	t->va = p->vaddr;
	t->size = p->filesz;
	t->offset = p->offset;
	t->bytes = xmalloc(t->size);
	return read_at(r, t->bytes, t->size, t->offset) ? 0 : -EIO;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void sort_starts(struct patch_text *t)
{
	uint32_t n = 0;

	if (!t->start_count)
		return;
	qsort(t->starts, t->start_count, sizeof(*t->starts), compare);
	for (uint32_t i = 1; i < t->start_count; i++)
		if (t->starts[i] != t->starts[n])
			t->starts[++n] = t->starts[i];
	t->start_count = n + 1;
}

static int read_segments(struct reader *r, const struct abi_elf64_phdr *ph)
{
	const struct abi_elf64_ehdr *h = &r->header;
	bool pie = false, loaded = false;
	int err = -ENOEXEC;

	for (uint32_t i = 0; i < h->phnum; i++) {
		if (ph[i].type != ABI_PT_LOAD || !(ph[i].flags & ABI_PF_X) || !ph[i].filesz)
			continue;
		err = read_text(r, &ph[i]);
		break;
	}
	if (err)
		return err;
	for (uint32_t i = 0; i < h->phnum; i++) {
		if (ph[i].type == PT_GNU_EH_FRAME)
			read_eh_frame_hdr(r, &ph[i], ph);
		else if (ph[i].type == ABI_PT_DYNAMIC)
			pie = is_pie(r, &ph[i]);
		else if (ph[i].type == ABI_PT_INTERP)
			loaded = true;
	}
	r->text->pie = pie && loaded;
	r->text->fixed = h->type == ABI_ET_EXEC;
	return 0;
}

int patch_text_read(const struct patch_source *src, struct patch_text *ret)
{
	struct abi_elf64_phdr ph[PHDRS_MAX];
	struct patch_text t = {.bytes = NULL};
	struct reader r = {.src = src, .text = &t};
	struct abi_elf64_ehdr *h = &r.header;
	int err;

	if (!read_at(&r, h, sizeof(*h), 0) || memcmp(h->ident, "\177ELF", 4) ||
	    h->ident[ABI_EI_CLASS] != ABI_ELFCLASS64 || h->machine != ABI_EM_X86_64 ||
	    (h->type != ABI_ET_EXEC && h->type != ABI_ET_DYN) || h->phentsize != sizeof(ph[0]) ||
	    !h->phnum || h->phnum > PHDRS_MAX)
		return -ENOEXEC;
	if (!read_at(&r, ph, h->phnum * sizeof(ph[0]), h->phoff))
		return -ENOEXEC;
	err = read_segments(&r, ph);
	if (err) {
		patch_text_free(&t);
		return err;
	}
	read_sections(&r);
	sort_starts(&t);
	*ret = t;
	return 0;
}

void patch_text_free(struct patch_text *t)
{
	free(t->bytes);
	free(t->starts);
	*t = (struct patch_text){.bytes = NULL};
}
