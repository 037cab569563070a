/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maps and smaps. Java, Go, glibc and debuggers parse maps, so its form is exactly that of Linux
 * (fs/proc/task_mmu.c): the name begins in column 73.
 *
 * What smaps says of pages being resident is the host's knowledge, read from the smaps of the host
 * process: the guest's mappings are that process's own, at the same addresses.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"
#include "abi/mman.h"
#include "base/compiler.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "sentry/fs/proc/proc_internal.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/vfs.h"

#define NAME_COLUMN 73

struct maps {
	const struct path *root; /* that paths are seen from; NULL: without paths */
	struct strbuf *out;
	const char *host; /* its smaps, or NULL; maps without it */
	bool details;
};

static void add_escaped(struct strbuf *out, const char *s)
{
	for (; *s; s++)
		if (*s == '\n')
			strbuf_addstr(out, "\\012");
		else
			strbuf_addch(out, *s);
}

static void add_name(struct maps *m, const struct vma *v, size_t line_start)
{
	char *path = v->file && m->root ? vfs_path_string_at(m->root, &v->file->path) : NULL;

	if (path || v->name) {
		size_t used = m->out->size - line_start;

		for (; used < NAME_COLUMN; used++)
			strbuf_addch(m->out, ' ');
		add_escaped(m->out, path ? path : v->name);
	}
	strbuf_addch(m->out, '\n');
	free(path);
}

static void add_line(struct maps *m, const struct vma *v)
{
	const struct inode *i = v->file ? v->file->inode : NULL;
	uint64_t dev = i ? i->sb->dev : 0;
	size_t start = m->out->size;

	strbuf_addf(m->out,
		    "%08" PRIx64 "-%08" PRIx64 " %c%c%c%c %08" PRIx64 " %02x:%02x %" PRIu64 " ",
		    v->start, v->end, v->prot & ABI_PROT_READ ? 'r' : '-',
		    v->prot & ABI_PROT_WRITE ? 'w' : '-', v->prot & ABI_PROT_EXEC ? 'x' : '-',
		    (v->flags & ABI_MAP_TYPE) == ABI_MAP_PRIVATE ? 'p' : 's', i ? v->offset : 0,
		    abi_major(dev), abi_minor(dev), i ? i->ino : 0);
	add_name(m, v, start);
}

/* ---- details ---- */

static const char *const summed[] = {
    "Rss",
    "Pss",
    "Pss_Dirty",
    "Shared_Clean",
    "Shared_Dirty",
    "Private_Clean",
    "Private_Dirty",
    "Referenced",
    "Anonymous",
    "KSM",
    "LazyFree",
    "AnonHugePages",
    "ShmemPmdMapped",
    "FilePmdMapped",
    "Shared_Hugetlb",
    "Private_Hugetlb",
    "Swap",
    "SwapPss",
    "Locked",
};

/* Adds up what the host says of its mappings that begin in [start, end). */
static void sum_host(const char *text, uint64_t start, uint64_t end, uint64_t *sums)
{
	bool inside = false;

	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		unsigned long long from, to;

		line += *line == '\n';
		if (sscanf(line, "%llx-%llx ", &from, &to) == 2 && strcspn(line, "-") < 17) {
			inside = from >= start && from < end;
			continue;
		}
		for (size_t i = 0; inside && i < array_count(summed); i++) {
			size_t size = strlen(summed[i]);

			if (strncmp(line, summed[i], size) == 0 && line[size] == ':')
				sums[i] += strtoull(line + size + 1, NULL, 10);
		}
	}
}

static void add_kib(struct strbuf *out, const char *name, uint64_t kib)
{
	char label[32];

	snprintf(label, sizeof(label), "%s:", name);
	strbuf_addf(out, "%-16s%8" PRIu64 " kB\n", label, kib);
}

static void add_sums(struct maps *m, uint64_t start, uint64_t end)
{
	uint64_t sums[array_count(summed)] = {0};

	if (m->host)
		sum_host(m->host, start, end, sums);
	for (size_t i = 0; i < array_count(summed); i++)
		add_kib(m->out, summed[i], sums[i]);
}

static void add_details(struct maps *m, const struct vma *v)
{
	add_kib(m->out, "Size", (v->end - v->start) / 1024);
	add_kib(m->out, "KernelPageSize", 4);
	add_kib(m->out, "MMUPageSize", 4);
	add_sums(m, v->start, v->end);
	strbuf_addf(m->out, "THPeligible:           0\nVmFlags: %s%s%s%smr mw me \n",
		    v->prot & ABI_PROT_READ ? "rd " : "", v->prot & ABI_PROT_WRITE ? "wr " : "",
		    v->prot & ABI_PROT_EXEC ? "ex " : "",
		    (v->flags & ABI_MAP_TYPE) == ABI_MAP_PRIVATE ? "" : "sh ");
}

static bool add_vma(const struct vma *v, void *arg)
{
	struct maps *m = arg;

	add_line(m, v);
	if (m->details)
		add_details(m, v);
	return true;
}

static bool note_range(const struct vma *v, void *arg)
{
	uint64_t *range = arg;

	if (!range[1])
		range[0] = v->start;
	range[1] = v->end;
	return true;
}

static char *host_smaps(struct task *t)
{
	pid_t pid = proc_host_pid(t);
	char path[32], *text;

	if (pid <= 0)
		return NULL;
	snprintf(path, sizeof(path), "%d/smaps", pid);
	return proc_host_read(t->kernel, path, &text) ? text : NULL;
}

static int show(const struct synth_node *n, struct strbuf *out, bool details)
{
	struct mm *mm = task_mm_get(n->task);
	struct maps m = {.root = n->root, .out = out, .details = details};
	char *host;

	if (!mm)
		return 0;
	m.host = host = details ? host_smaps(n->task) : NULL;
	mm_lock(mm);
	mm_for_each_vma(mm, add_vma, &m);
	mm_unlock(mm);
	mm_put(mm);
	free(host);
	return 0;
}

int proc_show_maps(const struct synth_node *n, struct strbuf *out)
{
	return show(n, out, false);
}

int proc_show_smaps(const struct synth_node *n, struct strbuf *out)
{
	return show(n, out, true);
}

int proc_show_smaps_rollup(const struct synth_node *n, struct strbuf *out)
{
	struct mm *mm = task_mm_get(n->task);
	struct maps m = {.root = n->root, .out = out};
	uint64_t range[2] = {0, 0};
	char *host;
	size_t start;

	if (!mm)
		return -ESRCH;
	mm_lock(mm);
	mm_for_each_vma(mm, note_range, range);
	mm_unlock(mm);
	mm_put(mm);
	m.host = host = host_smaps(n->task);
	start = out->size;
	strbuf_addf(out, "%08" PRIx64 "-%08" PRIx64 " ---p 00000000 00:00 0 ", range[0], range[1]);
	while (out->size - start < NAME_COLUMN)
		strbuf_addch(out, ' ');
	strbuf_addstr(out, "[rollup]\n");
	add_sums(&m, range[0], range[1]);
	free(host);
	return 0;
}
