/* SPDX-License-Identifier: Apache-2.0 */
/*
 * execve's plan: from a file and arguments to a new address space. Follows scripts, reads program
 * and interpreter, chooses the places, and lays out the stack.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/fcntl.h"
#include "abi/mman.h"
#include "abi/prctl.h"
#include "abi/resource.h"
#include "base/compiler.h"
#include "base/mem.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"
#include "sentry/loader/loader_internal.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/vfs.h"

#define RFLAGS_START 0x202 /* interrupts on, and the bit that is always set */

/* What is known of a load while it goes on. */
struct load {
	struct task *task;
	const struct exec_args *args;
	struct program program; /* behind the scripts */
	struct elf_file elf, interp;
	bool dynamic;
	uint64_t stack_limit;
	bool randomize;
	uint64_t vdso;
};

static void take_settings(struct load *l)
{
	struct thread_group *tg = l->task->tg;

	mutex_lock(&tg->siglock);
	l->stack_limit = tg->rlimits[ABI_RLIMIT_STACK].cur;
	l->randomize = !(tg->personality & ABI_ADDR_NO_RANDOMIZE);
	mutex_unlock(&tg->siglock);
}

/* Errors of an interpreter that isn't one are ELIBBAD. */
static int read_interpreter(struct load *l)
{
	struct file *f;
	int err = loader_open(l->task, ABI_AT_FDCWD, l->elf.interp, LOOKUP_FOLLOW, &f);

	if (err)
		return err;
	err = elf_read(f, &l->interp);
	file_put(f);
	if (err == -ENOEXEC || err == -EINVAL)
		return -ELIBBAD;
	l->dynamic = !err;
	return err;
}

static int read_files(struct load *l)
{
	int err = program_resolve(l->task, l->args, &l->program);

	if (!err)
		err = elf_read(l->program.file, &l->elf);
	if (!err && l->elf.interp)
		err = read_interpreter(l);
	return err;
}

/* A place as mmap would choose it. */
static int place_anywhere(const struct elf_file *e, struct mm *mm, uint64_t *ret_bias)
{
	uint64_t at = mm_find_free(mm, PAGE_ALIGN_UP(e->high - e->low), e->align);

	if (!at)
		return -ENOMEM;
	*ret_bias = at - e->low;
	return 0;
}

/*
 * Where the program goes: where it says; else at the place for position-independent programs; but
 * an interpreter that is called as a program stays out of the way of those it may load.
 */
static int map_program(struct load *l, struct exec_image *image)
{
	struct elf_file *e = &l->elf;
	uint64_t bias = 0, at;
	int err = 0;

	if (e->header.type == ABI_ET_DYN && l->dynamic) {
		at = mm_pie_base(image->mm) & ~(e->align - 1);
		bias = at - PAGE_ALIGN_DOWN(e->low);
	} else if (e->header.type == ABI_ET_DYN) {
		err = place_anywhere(e, image->mm, &bias);
	}
	return err ? err : elf_map(e, bias, image, 0);
}

static int map_interpreter(struct load *l, struct exec_image *image)
{
	uint64_t bias = 0;
	int err = 0;

	if (!l->dynamic)
		return 0;
	if (l->interp.header.type == ABI_ET_DYN)
		err = place_anywhere(&l->interp, image->mm, &bias);
	return err ? err : elf_map(&l->interp, bias, image, 1);
}

static int insert_vdso_part(struct mm *mm, uint64_t at, uint64_t size, uint32_t prot,
			    const char *name)
{
	const struct mm_map_args a = {.addr = at,
				      .size = size,
				      .prot = prot,
				      .flags = ABI_MAP_PRIVATE | ABI_MAP_ANONYMOUS,
				      .name = name};

	return size ? mm_insert(mm, &a) : 0;
}

static int map_vdso(struct load *l, struct exec_image *image)
{
	const struct platform *p = l->task->kernel->platform;
	uint64_t size = platform_vdso_size(p), data = platform_vdso_code_offset(p);
	struct memop op = {.type = MEMOP_VDSO, .fd = -1, .size = size};
	int err;

	if (!size)
		return 0;
	op.addr = mm_find_free(image->mm, size, PAGE_SIZE);
	if (!op.addr)
		return -ENOMEM;
	err = insert_vdso_part(image->mm, op.addr, data, ABI_PROT_READ, "[vvar]");
	if (!err)
		err = insert_vdso_part(image->mm, op.addr + data, size - data,
				       ABI_PROT_READ | ABI_PROT_EXEC, "[vdso]");
	if (!err)
		err = image_add_memop(image, &op);
	l->vdso = op.addr + data;
	return err;
}

static void place_brk(struct load *l, struct mm *mm)
{
	/* Behind an interpreter that runs as a program there is no room kept: away from it. */
	if (l->elf.header.type == ABI_ET_DYN && !l->dynamic)
		mm_set_brk(mm, mm_pie_base(mm));
	else
		mm_set_brk(mm, l->elf.bias + l->elf.high);
}

static void note_layout(const struct load *l, struct exec_image *image)
{
	struct mm_layout *y = mm_layout(image->mm);

	y->start_code = l->elf.start_code;
	y->end_code = l->elf.end_code;
	y->start_data = l->elf.start_data;
	y->end_data = l->elf.end_data;
	y->vdso = l->vdso;
	y->entry = image->regs.rip;
}

static void set_comm(struct exec_image *image, const char *filename)
{
	const char *slash = strrchr(filename, '/');

	strncpy(image->comm, slash ? slash + 1 : filename, sizeof(image->comm) - 1);
}

static int build(struct load *l, struct exec_image *image)
{
	struct stack_plan s = {.argv = &l->program.argv,
			       .envp = l->args->envp,
			       .envc = l->args->envc,
			       .filename = l->args->filename,
			       .program = &l->elf,
			       .cred = image->cred,
			       .secure = image->secure,
			       .stack_limit = l->stack_limit,
			       .randomize = l->randomize};
	const struct elf_file *first = l->dynamic ? &l->interp : &l->elf;
	int err = stack_check(&s);

	image->mm = mm_new(l->task->kernel);
	mm_lay_out(image->mm, l->stack_limit, l->randomize);
	mm_set_exe_file(image->mm, l->program.file);
	if (!err)
		err = map_program(l, image);
	if (!err)
		err = map_interpreter(l, image);
	if (!err)
		err = map_vdso(l, image);
	if (err)
		return err;
	s.interp_base = l->dynamic ? l->interp.bias : 0;
	s.entry = l->elf.bias + l->elf.header.entry;
	s.vdso = l->vdso;
	image->regs.rip = first->bias + first->header.entry;
	image->regs.rflags = RFLAGS_START;
	place_brk(l, image->mm);
	note_layout(l, image);
	set_comm(image, l->args->filename);
	/* A jump above the guest's range would not be a guest instruction's fault. */
	return image->regs.rip < PLATFORM_GUEST_MAX ? stack_build(&s, image) : -ENOEXEC;
}

int loader_load(struct task *t, const struct exec_args *args, struct exec_image *ret_image)
{
	struct exec_image image = {.stand_ins = {-1, -1}};
	struct load l = {.task = t, .args = args};
	int err;

	take_settings(&l);
	err = args->envc > ARG_COUNT_MAX ? -E2BIG : read_files(&l);
	if (!err)
		err = exec_creds(t, l.program.file, t->cred, &image.cred, &image.secure);
	image.fs_shared = !err && image.secure && task_shares_fs(t);
	if (!err)
		err = build(&l, &image);
	elf_free(&l.elf);
	elf_free(&l.interp);
	program_free(&l.program);
	if (err)
		exec_image_free(&image);
	else
		*ret_image = image;
	return err;
}

void exec_image_free(struct exec_image *image)
{
	for (unsigned i = 0; i < array_count(image->stand_ins); i++)
		if (image->stand_ins[i] >= 0)
			close(image->stand_ins[i]);
	free(image->memops);
	free(image->stack_data);
	mm_put(image->mm);
	if (image->cred)
		cred_put(image->cred);
	*image = (struct exec_image){.stand_ins = {-1, -1}};
}
