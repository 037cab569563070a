/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings are rows of the table in proc_sys.c. A value that was set is kept beside its row; rows
 * that have a state of their own (hostname) are theirs to change, not ours.
 */
#include "sentry/fs/proc/sysctl.h"

#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "sentry/fs/proc/proc_internal.h"
#include "sentry/kernel/kernel.h"

struct setting {
	const struct synth_entry *row;
	char *text; /* with newline */
	struct setting *next;
};

static const struct synth_entry *find(const struct synth_entry *rows, const char *name, size_t size)
{
	for (; rows && rows->name; rows++)
		if (strlen(rows->name) == size && memcmp(rows->name, name, size) == 0)
			return rows;
	return NULL;
}

static const struct synth_entry *resolve(const char *name)
{
	const struct synth_entry *rows = proc_sys_entries, *row;

	for (;;) {
		size_t size = strcspn(name, "./");

		row = find(rows, name, size);
		if (!row || !name[size])
			return row;
		rows = row->children;
		name += size + 1;
	}
}

int sysctl_set(struct kernel *k, const char *name, const char *value)
{
	const struct synth_entry *row = resolve(name);
	struct setting *s;

	if (!row || row->children)
		return -ENOENT;
	if (row->show != sysctl_show)
		return -EPERM;
	if (strchr(value, '\n'))
		return -EINVAL;
	s = xnew(struct setting);
	*s = (struct setting){row, xasprintf("%s\n", value), k->sysctls};
	k->sysctls = s;
	return 0;
}

void sysctls_destroy(struct kernel *k)
{
	while (k->sysctls) {
		struct setting *s = k->sysctls;

		k->sysctls = s->next;
		free(s->text);
		free(s);
	}
}

int sysctl_show(const struct synth_node *n, struct strbuf *out)
{
	for (const struct setting *s = n->kernel->sysctls; s; s = s->next)
		if (s->row == n->entry) {
			strbuf_addstr(out, s->text);
			return 0;
		}
	return synth_show_text(n, out);
}
