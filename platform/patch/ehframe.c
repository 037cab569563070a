/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Function starts out of .eh_frame itself (LSB Core, "Exception Frames"), for static programs
 * without a search table. Only 4- and 8-byte pointers that are absolute or relative to themselves
 * are understood; that is what compilers write for text.
 */
#include <string.h>

#include "platform/patch/patch_internal.h"

#define ENC_ABSPTR 0x00
#define ENC_UDATA4 0x03
#define ENC_SDATA4 0x0b
#define ENC_PCREL  0x10
#define ENC_NONE   0xff

struct bytes {
	const uint8_t *at, *end;
};

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void skip(struct bytes *b, size_t size)
{
	b->at = size > (size_t)(b->end - b->at) ? b->end : b->at + size;
}

static uint8_t get8(struct bytes *b)
{
	return b->at < b->end ? *b->at++ : 0;
}

static void skip_leb(struct bytes *b)
{
	while (get8(b) & 0x80)
		;
}

static size_t pointer_size(uint8_t encoding)
{
	return (encoding & 0x0f) == ENC_ABSPTR ? 8 : 4;
}

/* The encoding of the addresses in the FDEs of a CIE (its body behind the id). */
static uint8_t cie_encoding(struct bytes b)
{
	uint8_t version = get8(&b), encoding = ENC_ABSPTR;
	const char *aug = (const char *)b.at;
	size_t length = strnlen(aug, (size_t)(b.end - b.at));

	skip(&b, length + 1);
	if ((version != 1 && version != 3) || (length && aug[0] != 'z'))
		return ENC_NONE;
	skip_leb(&b);
	skip_leb(&b);
	if (version == 1)
		get8(&b);
	else
		skip_leb(&b);
	skip_leb(&b);
	for (size_t i = 1; i < length && b.at < b.end; i++) {
		if (aug[i] == 'R')
			encoding = get8(&b);
		else if (aug[i] == 'P')
			skip(&b, pointer_size(get8(&b)));
		else if (aug[i] == 'L')
			get8(&b);
		else /* S too: begins before the function (glibc's __restore_rt) */
			return ENC_NONE;
	}
	return encoding;
}

/* va: of the pointer itself. False: an encoding that isn't understood. */
static bool read_pointer(const struct bytes *b, uint8_t encoding, uint64_t va, uint64_t *ret)
{
	uint64_t base = encoding & ENC_PCREL ? va : 0, v;

	if (encoding == ENC_NONE || (encoding & 0xe0) ||
	    (size_t)(b->end - b->at) < pointer_size(encoding))
		return false;
	switch (encoding & 0x0f) {
	case ENC_ABSPTR:
		memcpy(&v, b->at, sizeof(v));
		break;
	case ENC_UDATA4:
		v = get32(b->at);
		break;
	case ENC_SDATA4:
		v = (uint64_t)(int64_t)(int32_t)get32(b->at);
		break;
	default:
		return false;
	}
	*ret = base + v;
	return true;
}

void patch_eh_frame(const uint8_t *data, size_t size, uint64_t va,
		    void (*add)(void *arg, uint64_t start), void *arg)
{
	uint8_t encoding = ENC_NONE;
	size_t pos = 0, cie = SIZE_MAX;

	while (size - pos >= 8) {
		uint32_t length = get32(data + pos), id = get32(data + pos + 4);
		struct bytes b = {data + pos + 8, data + pos + 4 + length};
		uint64_t start;

		if (length < 4 || length > size - pos - 4)
			return;
		if (!id) {
			cie = pos;
			encoding = cie_encoding(b);
		} else if (id <= pos + 4) {
			size_t of = pos + 4 - id;

			if (of != cie && size - of >= 8 && !get32(data + of + 4) &&
			    get32(data + of) >= 4 && get32(data + of) <= size - of - 4) {
				cie = of;
				encoding = cie_encoding((struct bytes){
				    data + of + 8, data + of + 4 + get32(data + of)});
			}
			if (of == cie && read_pointer(&b, encoding, va + pos + 8, &start))
				add(arg, start);
		}
		pos += 4 + (size_t)length;
	}
}
