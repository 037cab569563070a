/* SPDX-License-Identifier: Apache-2.0 */
/* Interpreter scripts (execve(2), fs/binfmt_script.c of Linux). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/fcntl.h"
#include "base/compiler.h"
#include "base/mem.h"
#include "sentry/kernel/task.h"
#include "sentry/loader/loader_internal.h"
#include "sentry/vfs/vfs.h"

void arg_list_free(struct arg_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->items[i]);
	free(l->items);
	*l = (struct arg_list){NULL, 0};
}

int arg_list_copy(struct arg_list *l, char *const *items, size_t count)
{
	if (count > ARG_COUNT_MAX)
		return -E2BIG;
	/* A program always gets an argv[0], as since Linux 5.18. */
	l->count = MAX(count, (size_t)1);
	l->items = xcalloc(l->count, sizeof(*l->items));
	for (size_t i = 0; i < count; i++)
		l->items[i] = xstrdup(items[i]);
	if (!count)
		l->items[0] = xstrdup("");
	return 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static char *skip_blanks(char *s, const char *end)
{
	while (s < end && is_blank(*s))
		s++;
	return s;
}

static char *word_end(char *s, const char *end)
{
	while (s < end && !is_blank(*s) && *s)
		s++;
	return s;
}

bool script_parse(char *head, size_t size, char **ret_interp, char **ret_arg)
{
	char *end, *interp, *after, *arg;
	bool cut;

	if (size < 3 || head[0] != '#' || head[1] != '!')
		return false;
	end = memchr(head + 2, '\n', size - 2);
	cut = !end && size >= HEAD_SIZE;
	if (!end)
		end = cut ? head + size - 1 : head + size;
	while (end > head + 2 && is_blank(end[-1]))
		end--;
	interp = skip_blanks(head + 2, end);
	after = word_end(interp, end);
	/* A name that reaches the end of what was read may go on behind it. */
	if (interp == after || (cut && after == end))
		return false;
	arg = skip_blanks(after, end);
	*end = 0;
	*after = 0;
	*ret_interp = interp;
	*ret_arg = arg < end && *arg ? arg : NULL;
	return true;
}

/* argv of the interpreter: interp, [arg], script, and the script's own from the second on. */
static void replace_argv(struct arg_list *l, const char *interp, const char *arg,
			 const char *script)
{
	size_t extra = arg ? 2 : 1, n = 0;
	char **items = xcalloc(l->count + extra, sizeof(*items));

	items[n++] = xstrdup(interp);
	if (arg)
		items[n++] = xstrdup(arg);
	items[n++] = xstrdup(script);
	free(l->items[0]);
	memcpy(items + n, l->items + 1, (l->count - 1) * sizeof(*items));
	free(l->items);
	l->items = items;
	l->count += extra;
}

/* One step: 1 if the file is a script (p is changed to its interpreter), 0 if not. */
static int follow_script(struct task *t, struct program *p, char **script)
{
	char head[HEAD_SIZE + 1], *interp, *arg;
	ssize_t n = vfs_kernel_read(p->file, head, HEAD_SIZE, 0);
	struct file *f;
	int err;

	if (n < 0)
		return (int)n;
	if (n < 2 || memcmp(head, "#!", 2))
		return 0;
	if (!script_parse(head, (size_t)n, &interp, &arg))
		return -ENOEXEC;
	err = loader_open(t, ABI_AT_FDCWD, interp, LOOKUP_FOLLOW, &f);
	if (err)
		return err;
	replace_argv(&p->argv, interp, arg, *script);
	free(*script);
	*script = xstrdup(interp);
	file_put(p->file);
	p->file = f;
	return 1;
}

int program_resolve(struct task *t, const struct exec_args *args, struct program *ret)
{
	struct program p = {.file = NULL};
	char *script;
	int err = arg_list_copy(&p.argv, args->argv, args->argc);

	if (err)
		return err;
	p.file = file_get(args->file);
	script = xstrdup(args->filename);
	err = 1;
	for (unsigned depth = 0; err > 0; depth++) {
		err = follow_script(t, &p, &script);
		if (err > 0 && depth == SCRIPT_DEPTH_MAX)
			err = -ELOOP;
	}
	free(script);
	if (err)
		program_free(&p);
	else
		*ret = p;
	return err;
}

void program_free(struct program *p)
{
	arg_list_free(&p->argv);
	if (p->file)
		file_put(p->file);
	p->file = NULL;
}
