/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of sentry/loader. */
#ifndef SENTRY_LOADER_LOADER_INTERNAL_H
#define SENTRY_LOADER_LOADER_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/elf.h"
#include "sentry/loader/loader.h"

struct cred;

#define HEAD_SIZE	 256	      /* BINPRM_BUF_SIZE: what is looked at to tell the format */
#define SCRIPT_DEPTH_MAX 5	      /* interpreters that are scripts themselves; ELOOP beyond */
#define ARG_STRING_MAX	 (128u << 10) /* MAX_ARG_STRLEN, with NUL */
#define ARG_TOTAL_MIN	 (128u << 10)
#define ARG_TOTAL_MAX	 (6u << 20)
#define ARG_COUNT_MAX	 (1u << 20)
#define STACK_SIZE_MAX	 (64ull << 20)
#define LOAD_MEMOPS_MAX	 512

/* ---- script.c ---- */
struct arg_list {
	char **items; /* count strings, all owned */
	size_t count;
};
void arg_list_free(struct arg_list *l);
int arg_list_copy(struct arg_list *l, char *const *items, size_t count);

struct program {
	struct file *file; /* reference */
	struct arg_list argv;
};
/* Follows #! lines from args->file to a file that isn't a script. */
int program_resolve(struct task *t, const struct exec_args *args, struct program *ret);
void program_free(struct program *p);
/*
 * Takes a first line apart: "#! interpreter [argument]". head holds size bytes. False: no such line
 * or one that is cut. The parts point into head, which is changed; *ret_arg may be NULL.
 */
bool script_parse(char *head, size_t size, char **ret_interp, char **ret_arg);

/* ---- elf.c ---- */
struct elf_file {
	struct file *file; /* reference */
	struct abi_elf64_ehdr header;
	struct abi_elf64_phdr *phdrs; /* header.phnum, owned */
	char *interp;		      /* owned or NULL */
	bool exec_stack;
	/* Over all loaded segments: addresses as in the file */
	uint64_t low, high; /* page aligned start, exact end */
	uint64_t align;	    /* of the segments, a power of two >= PAGE_SIZE */
	/* Set by elf_map */
	uint64_t bias;
	uint64_t start_code, end_code, start_data, end_data, phdr_va;
};
/* Reads and checks the headers; takes a reference to f. 0, -ENOEXEC, -EINVAL, ... */
int elf_read(struct file *f, struct elf_file *ret);
void elf_free(struct elf_file *e);
/*
 * Puts the segments at bias: areas into image->mm, memory operations and ranges to be zeroed into
 * image. index: 0 program, 1 interpreter.
 */
int elf_map(struct elf_file *e, uint64_t bias, struct exec_image *image, unsigned index);
int image_add_memop(struct exec_image *image, const struct memop *op);

/* ---- stack.c ---- */
struct stack_plan {
	const struct arg_list *argv;
	char *const *envp;
	size_t envc;
	const char *filename;
	const struct elf_file *program;
	const struct cred *cred;
	bool secure;
	uint64_t interp_base; /* AT_BASE */
	uint64_t entry;	      /* AT_ENTRY */
	uint64_t vdso;	      /* AT_SYSINFO_EHDR, 0: none */
	uint64_t stack_limit; /* RLIMIT_STACK */
	bool randomize;
};
/* -E2BIG if the strings are too many or too long. */
int stack_check(const struct stack_plan *p);
/* Maps the stack and makes its content (image->stack_*, regs.rsp, the layout's part). */
int stack_build(const struct stack_plan *p, struct exec_image *image);

/* ---- creds.c ---- */
/* The credentials after exec of f by t, with cred old: a reference. 0, -EPERM, -EINVAL. */
int exec_creds(struct task *t, struct file *f, const struct cred *old, const struct cred **ret_cred,
	       bool *ret_secure);

#endif
