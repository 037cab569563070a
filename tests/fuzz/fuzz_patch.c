/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Call-site patching against hostile files and code. The first byte chooses: an ELF file, code
 * whose functions begin at every 64th byte, or pages of which nothing is known but which calls were made. Whatever it finds must be taken back exactly, and must
 * leave nothing behind a jump's first byte that could be executed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/patch/patch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t size;
};

static bool read_input(void *arg, void *buf, size_t size, uint64_t pos)
{
	const struct input *in = arg;

	if (pos > in->size || size > in->size - pos)
		return false;
	memcpy(buf, in->data + pos, size);
	return true;
}

static void must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "broken: %s\n", what);
		abort();
	}
}

static void check(const struct patch *p, const struct patch_text *t)
{
	uint8_t *copy = malloc(t->size + 1);
	uint64_t back;

	memcpy(copy, t->bytes, t->size);
	patch_apply(p, 0, copy, t->size);
	for (uint32_t i = 0; i < p->site_count; i++) {
		const struct patch_site *s = &p->sites[i];

		must(s->start + s->size + 2u <= t->size, "site outside of the text");
		must(s->tramp + s->tramp_size <= p->area_size, "trampoline outside of the area");
		must(s->off || copy[s->start] == 0xe9, "jump");
		for (uint32_t n = 1; n < s->size && !s->off; n++)
			must(patch_byte_faults(copy[s->start + n]), "a byte that doesn't fault");
		must(patch_to_text(p, s->tramp, &back) && back == s->start, "translation");
	}
	patch_unapply(p, 0, copy, t->size);
	must(!memcmp(copy, t->bytes, t->size), "not taken back");
	free(copy);
}

/* Bytes in front, then the page; each 0f 05 was executed with the number that is in front of it. */
#define BEFORE 14
#define CALLS  64
static uint32_t calls_of(const struct patch_text *t, struct patch_call *calls)
{
	uint32_t count = 0;

	for (uint32_t i = 5; i + 1 < t->size && count < CALLS; i++) {
		int32_t number;

		if (t->bytes[i] != 0x0f || t->bytes[i + 1] != 0x05)
			continue;
		memcpy(&number, t->bytes + i - 4, sizeof(number));
		calls[count++] = (struct patch_call){.offset = i, .rax = (uint64_t)(int64_t)number};
	}
	return count;
}

/* The page, and the same page with other bytes, made from what was made before. */
static void as_pages(const uint8_t *data, size_t size)
{
	uint8_t buf[BEFORE + 4096];
	struct patch_text t = {.bytes = buf + BEFORE, .va = 0x7f0000000000, .size = 4096};
	struct patch_call calls[CALLS];
	struct patch former, p;
	bool any = false;

	for (size_t round = 0; round < 2; round++) {
		size_t half = size / 2, n = half < sizeof(buf) ? half : sizeof(buf);

		memset(buf, 0xcc, sizeof(buf));
		memcpy(buf, data + round * half, n);
		if (patch_page(&t, BEFORE, calls, calls_of(&t, calls), any ? &former : NULL,
			       data[0], &p))
			continue;
		check(&p, &t);
		if (any)
			patch_free(&former);
		former = p;
		any = true;
	}
	if (any)
		patch_free(&former);
}

static void as_code(const uint8_t *data, size_t size)
{
	struct patch_text t = {.bytes = (uint8_t *)data, .va = 0x1000, .size = size};
	struct patch p;

	t.starts = calloc(size / 64 + 1, sizeof(*t.starts));
	for (uint64_t at = 0; at < size; at += 64)
		t.starts[t.start_count++] = t.va + at;
	must(patch_analyze(&t, data[0], NULL, NULL, &p) == 0, "analysis");
	check(&p, &t);
	patch_free(&p);
	free(t.starts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data + 1, size - 1};
	struct patch_source src = {read_input, &in, size - 1};
	struct patch_text t;
	struct patch p;

	if (size < 2)
		return 0;
	if (data[0] & 1) {
		if (data[0] & 2)
			as_pages(data + 1, size - 1);
		else
			as_code(data + 1, size - 1);
		return 0;
	}
	if (patch_text_read(&src, &t))
		return 0;
	must(patch_analyze(&t, data[0], NULL, NULL, &p) == 0, "analysis");
	check(&p, &t);
	patch_free(&p);
	patch_text_free(&t);
	return 0;
}
