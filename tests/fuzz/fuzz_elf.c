/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loader against hostile files: whatever the bytes are, a plan that it makes stays in the
 * guest's range, and everything is freed. The first byte chooses limits; the rest is the file.
 */
#include <stdio.h>

#include "tests/unit/loader_fakes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "broken: %s\n", what);
		abort();
	}
}

static void check_image(const struct exec_image *image)
{
	for (uint32_t i = 0; i < image->memop_count; i++) {
		const struct memop *op = &image->memops[i];

		must(!((op->addr | op->size | op->offset) % PAGE_SIZE), "alignment");
		must(op->addr >= PLATFORM_GUEST_MIN && op->size && op->addr < PLATFORM_GUEST_MAX &&
			 op->size <= PLATFORM_GUEST_MAX - op->addr,
		     "range");
	}
	for (uint32_t i = 0; i < image->zero_count; i++)
		must(image->zero[i].size < PAGE_SIZE && image->zero[i].va < PLATFORM_GUEST_MAX,
		     "zeroed bytes");
	must(image->regs.rip < PLATFORM_GUEST_MAX, "entry");
	must(image->stack_data_va + image->stack_data_size <= PLATFORM_GUEST_MAX, "stack");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char arg[] = "argument", variable[] = "VARIABLE=1";
	char *argv[] = {arg, arg, NULL}, *envp[] = {variable, NULL};
	struct exec_args a = {.argv = argv, .envp = envp, .argc = 2, .envc = 1, .filename = "f"};
	struct exec_image image;

	if (!size)
		return 0;
	fake_setup();
	fake_group.rlimits[ABI_RLIMIT_STACK].cur = data[0] & 1 ? ABI_RLIM_INFINITY : 8 << 20;
	a.file = fake_new(-1, data + 1, size - 1);
	if (!loader_load(&fake_task, &a, &image)) {
		check_image(&image);
		exec_image_free(&image);
	}
	file_put(a.file);
	must(!fake_live, "files left");
	mutex_destroy(&fake_group.siglock);
	return 0;
}
