/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID/mem, and the files that show parts of a process's memory. */
#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"
#include "base/compiler.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "sentry/fs/proc/proc_internal.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/usermem.h"
#include "sentry/vfs/vfs.h"

#define CHUNK	    4096u
#define STRINGS_MAX (2u << 20) /* of arguments or environment that are shown */

/* Copies of what the process itself says are its strings: hostile, so bounded. */
static void add_memory(struct task *t, uint64_t start, uint64_t end, struct strbuf *out)
{
	uint64_t program = task_program(t);
	char buf[CHUNK];

	if (end <= start)
		return;
	end = MIN(end, start + STRINGS_MAX);
	while (start < end) {
		ssize_t n =
		    read_task_memory(t, program, uaddr(start), buf, MIN(end - start, sizeof(buf)));

		if (n <= 0)
			return;
		strbuf_add(out, buf, (size_t)n);
		start += (uint64_t)n;
	}
}

static bool get_layout(struct task *t, struct mm_layout *ret)
{
	struct mm *mm = task_mm_get(t);

	if (!mm)
		return false;
	mm_lock(mm);
	*ret = *mm_layout(mm);
	mm_unlock(mm);
	mm_put(mm);
	return true;
}

/*
 * A program that wrote a title over its arguments (setproctitle) ends them without a NUL; then the
 * title goes on into the environment, up to its first NUL.
 */
int proc_show_cmdline(const struct synth_node *n, struct strbuf *out)
{
	struct mm_layout l;

	if (!get_layout(n->task, &l))
		return 0;
	add_memory(n->task, l.arg_start, l.arg_end, out);
	if (!out->size || out->data[out->size - 1] == 0)
		return 0;
	if (l.env_start == l.arg_end)
		add_memory(n->task, l.env_start, MIN(l.env_end, l.env_start + CHUNK), out);
	out->size = strnlen(out->data, out->size);
	return 0;
}

int proc_show_environ(const struct synth_node *n, struct strbuf *out)
{
	struct mm_layout l;

	if (get_layout(n->task, &l))
		add_memory(n->task, l.env_start, l.env_end, out);
	return 0;
}

int proc_show_auxv(const struct synth_node *n, struct strbuf *out)
{
	struct mm_layout l;

	if (get_layout(n->task, &l))
		strbuf_add(out, l.auxv, MIN(l.auxv_words, array_count(l.auxv)) * sizeof(l.auxv[0]));
	return 0;
}

/* ---- mem: the position is the address ---- */

static const struct synth_node *node_of(const struct file *f)
{
	return f->inode->private;
}

static ssize_t mem_read(struct file *f, struct uio *to, int64_t *pos)
{
	struct task *t = node_of(f)->task;
	uint64_t program = (uintptr_t)f->private;
	char buf[CHUNK];
	ssize_t total = 0, n = 0;

	if (task_program(t) != program)
		return 0;
	while (to->left) {
		n = read_task_memory(t, program, uaddr((uint64_t)*pos), buf,
				     MIN(to->left, sizeof(buf)));
		if (n <= 0)
			break;
		n = uio_write(to, buf, (size_t)n);
		if (n <= 0)
			break;
		*pos += n;
		total += n;
	}
	return total ? total : n < 0 ? -EIO : 0;
}

static ssize_t mem_write(struct file *f, struct uio *from, int64_t *pos)
{
	struct task *t = node_of(f)->task;
	uint64_t program = (uintptr_t)f->private;
	char buf[CHUNK];
	ssize_t total = 0, n = 0;

	if (task_program(t) != program)
		return 0;
	while (from->left) {
		n = uio_read(from, buf, MIN(from->left, sizeof(buf)));
		if (n > 0)
			n = write_task_memory(t, program, uaddr((uint64_t)*pos), buf, (size_t)n);
		if (n <= 0)
			break;
		*pos += n;
		total += n;
	}
	return total ? total : n < 0 ? -EIO : 0;
}

static const struct file_ops mem_ops = {.read = mem_read, .write = mem_write};

/* As on Linux it is about the memory that the process had when it was opened. */
int proc_open_mem(const struct synth_node *n, struct file *f, uint64_t program)
{
	(void)n;
	f->private = (void *)(uintptr_t)program;
	f->ops = &mem_ops;
	return 0;
}
