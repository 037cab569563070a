/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID/mounts and mountinfo (proc_pid_mountinfo(5)): what is mounted, as the reader
 * sees it. */
#include <inttypes.h>

#include "abi/fcntl.h"
#include "base/compiler.h"
#include "base/strbuf.h"
#include "sentry/fs/proc/proc_internal.h"
#include "sentry/vfs/mount.h"

static const struct {
	uint32_t flag;
	const char *name;
} mount_flag_names[] = {
    {ABI_MS_NOSUID, ",nosuid"},		  {ABI_MS_NODEV, ",nodev"},
    {ABI_MS_NOEXEC, ",noexec"},		  {ABI_MS_NOATIME, ",noatime"},
    {ABI_MS_NODIRATIME, ",nodiratime"},	  {ABI_MS_RELATIME, ",relatime"},
    {ABI_MS_NOSYMFOLLOW, ",nosymfollow"},
};

/* Blanks and backslashes would end a field. */
static void add_escaped(struct strbuf *out, const char *s)
{
	for (; s && *s; s++)
		if (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\\' || *s == '#')
			strbuf_addf(out, "\\%03o", (unsigned)*s);
		else
			strbuf_addch(out, *s);
}

static void add_flags(struct strbuf *out, uint32_t flags)
{
	strbuf_addstr(out, flags & ABI_MS_RDONLY ? "ro" : "rw");
	for (size_t i = 0; i < array_count(mount_flag_names); i++)
		if (flags & mount_flag_names[i].flag)
			strbuf_addstr(out, mount_flag_names[i].name);
}

static void add_options(struct strbuf *out, const struct mount_info *m)
{
	if (m->options && *m->options) {
		strbuf_addch(out, ',');
		strbuf_addstr(out, m->options);
	}
}

static const char *source_of(const struct mount_info *m)
{
	return m->source && *m->source ? m->source : "none";
}

static bool add_mount(const struct mount_info *m, void *arg)
{
	struct strbuf *out = arg;

	add_escaped(out, source_of(m));
	strbuf_addch(out, ' ');
	add_escaped(out, m->where);
	strbuf_addf(out, " %s ", m->type);
	add_flags(out, m->flags);
	add_options(out, m);
	strbuf_addstr(out, " 0 0\n");
	return true;
}

static bool add_mountinfo(const struct mount_info *m, void *arg)
{
	struct strbuf *out = arg;

	strbuf_addf(out, "%d %d %u:%u ", m->id, m->parent_id, abi_major(m->dev), abi_minor(m->dev));
	add_escaped(out, m->root);
	strbuf_addch(out, ' ');
	add_escaped(out, m->where);
	strbuf_addch(out, ' ');
	add_flags(out, m->flags);
	strbuf_addf(out, " - %s ", m->type);
	add_escaped(out, source_of(m));
	strbuf_addstr(out, m->flags & ABI_MS_RDONLY ? " ro" : " rw");
	add_options(out, m);
	strbuf_addch(out, '\n');
	return true;
}

int proc_show_mounts(const struct synth_node *n, struct strbuf *out)
{
	if (n->root)
		vfs_list_mounts(n->kernel, n->root, add_mount, out);
	return 0;
}

int proc_show_mountinfo(const struct synth_node *n, struct strbuf *out)
{
	if (n->root)
		vfs_list_mounts(n->kernel, n->root, add_mountinfo, out);
	return 0;
}
