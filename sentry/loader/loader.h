/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading programs: ELF64 static, static-pie and dynamic, interpreter scripts (execve(2), elf(5)).
 * The loader reads the file through the VFS, plans the new address space and gives the memory
 * operations, the initial stack and the entry registers. It never trusts the file.
 */
#ifndef SENTRY_LOADER_LOADER_H
#define SENTRY_LOADER_LOADER_H

#include <stddef.h>
#include <stdint.h>

#include "platform/platform.h"

struct file;
struct mm;
struct task;

struct exec_args {
	char **argv, **envp; /* NULL-terminated, owned by the caller */
	size_t argc, envc;
	const char *filename; /* as given, for AT_EXECFN and scripts */
	struct file *file;    /* the program, opened for execution; borrowed */
};

struct exec_image {
	struct mm *mm;	      /* the new address space, one reference */
	struct memop *memops; /* in order; fds in them are borrowed from files that mm references */
	uint32_t memop_count;
	uint64_t stack_data_va; /* the initial stack's content goes here ... */
	void *stack_data;	/* ... owned */
	size_t stack_data_size;
	/* Bytes to be zeroed behind the file part of a data segment (bss); at most one per mapped
	 * ELF segment */
	struct {
		uint64_t va, size;
	} zero[16];
	uint32_t zero_count;
	struct platform_regs regs;
	char comm[16];
	/* Host files that stand in for programs whose file system can't map (-1: none); they must
	 * stay open until the memops are done. */
	int stand_ins[2];
	bool secure;	/* AT_SECURE: ids or capabilities were raised */
	bool fs_shared; /* that was judged knowing of another process with the same directory */
	const struct cred
	    *cred; /* the new credentials (set-id bits, file capabilities), reference */
};

/*
 * Opens a program: a regular file that the task may execute, on a mount that allows it (else
 * -EACCES). lookup_flags: LOOKUP_*. May take long.
 */
int loader_open(struct task *t, int dfd, const char *name, uint32_t lookup_flags,
		struct file **ret);

/*
 * Plans the program's address space; nothing of the task is changed. 0 or negative errno (ENOENT,
 * EACCES, ENOEXEC, ELIBBAD, ENOMEM, E2BIG, ELOOP, EPERM...). May take long.
 */
int loader_load(struct task *t, const struct exec_args *args, struct exec_image *ret_image);
/* Frees what the image still holds; pointers that the caller took over must be set to NULL. */
void exec_image_free(struct exec_image *image);

#endif
