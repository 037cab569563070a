/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID/{fd,fdinfo,ns}. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"
#include "abi/fcntl.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "sentry/fs/proc/proc_internal.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/lease.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/files.h"
#include "sentry/vfs/mount.h"

static struct files *files_of(struct task *t)
{
	struct files *files;

	mutex_lock(&t->kernel->tasks_lock);
	files = t->files ? files_get(t->files) : NULL;
	mutex_unlock(&t->kernel->tasks_lock);
	return files;
}

/* The first open descriptor >= from with its file (a reference), or -1. */
static int next_fd(struct task *t, int from, struct file **ret)
{
	struct files *files = files_of(t);
	int fd = -1;

	if (!files)
		return -1;
	fd = files_next(files, from, ret);
	files_put(files);
	return fd;
}

static struct file *file_at(struct task *t, int64_t fd)
{
	struct file *f;
	int found = next_fd(t, (int)fd, &f);

	if (found < 0)
		return NULL;
	if (found == fd)
		return f;
	file_put(f);
	return NULL;
}

static int64_t parse_fd(const char *name)
{
	int64_t fd;

	if (name[0] < '0' || name[0] > '9' || (name[0] == '0' && name[1]))
		return -1;
	return synth_parse_int(name, 0, INT32_MAX, &fd) ? -1 : fd;
}

/* ---- fd ---- */

static int link_fd(const struct synth_node *n, struct task *reader, char **ret_target)
{
	struct file *f = reader ? file_at(n->task, n->number) : NULL;

	if (!f)
		return -ENOENT;
	*ret_target = vfs_path_string(reader, &f->path);
	file_put(f);
	return 0;
}

static int follow_fd(const struct synth_node *n, struct task *reader, struct path *ret)
{
	struct file *f = file_at(n->task, n->number);

	(void)reader;
	if (!f)
		return -ENOENT;
	path_get(&f->path);
	*ret = f->path;
	file_put(f);
	return 0;
}

/* The link's mode says how the descriptor is open: rows by read and write. */
#define FD_ROW(bits)                                                                               \
	{                                                                                          \
		.name = "fd", .mode = ABI_S_IFLNK | 0100 | (bits), .guard = SYNTH_PRIVATE,         \
		.link = link_fd, .follow = follow_fd                                               \
	}
static const struct synth_entry fd_rows[4] = {FD_ROW(0), FD_ROW(0400), FD_ROW(0200), FD_ROW(0600)};

static const struct synth_entry *fd_row(const struct file *f)
{
	if (f->flags & ABI_O_PATH)
		return &fd_rows[0];
	return &fd_rows[(file_readable(f) ? 1 : 0) | (file_writable(f) ? 2 : 0)];
}

static int lookup_fd(const struct synth_node *dir, const char *name, struct synth_child *ret)
{
	int64_t fd = parse_fd(name);
	struct file *f = fd >= 0 ? file_at(dir->task, fd) : NULL;

	if (!f)
		return -ENOENT;
	ret->entry = fd_row(f);
	ret->number = fd;
	file_put(f);
	return 0;
}

static int64_t next_fd_entry(const struct synth_node *dir, int64_t from, struct synth_child *ret)
{
	struct file *f;
	int fd = from > INT32_MAX ? -1 : next_fd(dir->task, (int)from, &f);

	if (fd < 0)
		return -1;
	ret->entry = fd_row(f);
	snprintf(ret->name, sizeof(ret->name), "%d", fd);
	file_put(f);
	return fd;
}

const struct synth_dynamic proc_fd_dynamic = {.lookup = lookup_fd, .next = next_fd_entry};

/* ---- fdinfo ---- */

static int show_fdinfo(const struct synth_node *n, struct strbuf *out)
{
	struct file *f = file_at(n->task, n->number);
	int64_t pos;

	if (!f)
		return -ENOENT;
	pos = lease_file_pos(f);
	strbuf_addf(out, "pos:\t%" PRId64 "\nflags:\t0%o\nmnt_id:\t%d\nino:\t%" PRIu64 "\n",
		    f->ops->no_seek ? 0 : pos, f->flags, mount_id(f->path.mount), f->inode->ino);
	if (f->ops->show_fdinfo)
		f->ops->show_fdinfo(f, out);
	file_put(f);
	return 0;
}

static const struct synth_entry fdinfo_row = {
    .name = "fdinfo", .mode = ABI_S_IFREG | 0400, .guard = SYNTH_PRIVATE, .show = show_fdinfo};

static int lookup_fdinfo(const struct synth_node *dir, const char *name, struct synth_child *ret)
{
	int err = lookup_fd(dir, name, ret);

	ret->entry = &fdinfo_row;
	return err;
}

static int64_t next_fdinfo(const struct synth_node *dir, int64_t from, struct synth_child *ret)
{
	int64_t fd = next_fd_entry(dir, from, ret);

	ret->entry = &fdinfo_row;
	return fd;
}

const struct synth_dynamic proc_fdinfo_dynamic = {.lookup = lookup_fdinfo, .next = next_fdinfo};

/* ---- ns: one namespace of each kind, numbered as Linux numbers its first ones ---- */

#define NS_ROW(n, target)                                                                          \
	{                                                                                          \
		.name = n, .mode = ABI_S_IFLNK | 0777, .guard = SYNTH_PRIVATE,                     \
		.link = synth_link_text, .arg = target                                             \
	}
const struct synth_entry proc_ns_entries[] = {
    NS_ROW("cgroup", "cgroup:[4026531835]"),
    NS_ROW("ipc", "ipc:[4026531839]"),
    NS_ROW("mnt", "mnt:[4026531841]"),
    NS_ROW("net", "net:[4026531840]"),
    NS_ROW("pid", "pid:[4026531836]"),
    NS_ROW("pid_for_children", "pid:[4026531836]"),
    NS_ROW("time", "time:[4026531834]"),
    NS_ROW("time_for_children", "time:[4026531834]"),
    NS_ROW("user", "user:[4026531837]"),
    NS_ROW("uts", "uts:[4026531838]"),
    SYNTH_END,
};
