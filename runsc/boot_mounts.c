/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container's mounts. The root is the gofer's tree 0; every bind mount is a tree of the gofer's
 * too; all other types are the sentry's own file systems. Destinations are resolved inside the
 * container by the sentry's own walk, so a symbolic link in the image leads nowhere else. Missing
 * mount points are made, as runc does.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/fcntl.h"
#include "abi/stat.h"
#include "base/log.h"
#include "runsc/boot.h"
#include "sentry/fs/devtmpfs/devtmpfs.h"
#include "sentry/fs/gofer/gofer_fs.h"
#include "sentry/kernel/kernel.h"
#include "sentry/tty/tty.h"
#include "sentry/vfs/vfs.h"

static uint32_t abi_flags(uint32_t oci)
{
	static const struct {
		uint32_t oci, abi;
	} map[] = {
	    {OCI_MOUNT_RDONLY, ABI_MS_RDONLY},
	    {OCI_MOUNT_RDONLY_RECURSIVE, ABI_MS_RDONLY},
	    {OCI_MOUNT_NOSUID, ABI_MS_NOSUID},
	    {OCI_MOUNT_NODEV, ABI_MS_NODEV},
	    {OCI_MOUNT_NOEXEC, ABI_MS_NOEXEC},
	    {OCI_MOUNT_SYNC, ABI_MS_SYNCHRONOUS},
	    {OCI_MOUNT_NOATIME, ABI_MS_NOATIME},
	    {OCI_MOUNT_NODIRATIME, ABI_MS_NODIRATIME},
	    {OCI_MOUNT_RELATIME, ABI_MS_RELATIME},
	    {OCI_MOUNT_STRICTATIME, ABI_MS_STRICTATIME},
	    {OCI_MOUNT_NOSYMFOLLOW, ABI_MS_NOSYMFOLLOW},
	};
	uint32_t flags = 0;

	for (size_t i = 0; i < array_count(map); i++)
		if (oci & map[i].oci)
			flags |= map[i].abi;
	return flags;
}

static void mount_root(struct boot *b)
{
	struct super_block *sb;
	int err = gofer_fs_mount(b->kernel, b->gofer, 0, b->args->options->root_shared, &sb);

	if (err)
		boot_fail(b, SANDBOX_ERROR_MOUNT, err, "/");
	err = vfs_mount_root(b->kernel, sb, 0, "none", &b->root);
	super_put(sb);
	if (err)
		boot_fail(b, SANDBOX_ERROR_MOUNT, err, "/");
}

/* The instance to be mounted: a gofer tree, or one of the sentry's file systems. */
static int make_super(struct boot *b, const struct oci_mount *m, struct super_block **ret)
{
	const struct fs_type *type;
	const char *name = m->type;

	if (!strcmp(name, "bind"))
		return gofer_fs_mount(b->kernel, b->gofer, m->gofer_index, true, ret);
	if (!strcmp(name, "devtmpfs"))
		name = "tmpfs";
	type = vfs_find_fs(b->kernel, name);
	if (!type)
		return -ENODEV;
	return type->mount(b->kernel, m->source, abi_flags(m->flags), m->data, ret);
}

static void add_mount(struct boot *b, const struct oci_mount *m)
{
	struct super_block *sb;
	struct path where;
	bool dir;
	int err = make_super(b, m, &sb);

	if (err)
		boot_fail(b, SANDBOX_ERROR_MOUNT, err, "%s (type %s)", m->destination, m->type);
	dir = (dentry_inode(sb->root)->mode & ABI_S_IFMT) == ABI_S_IFDIR;
	err = dir ? vfs_lookup_at_root(b->kernel, &b->root, m->destination, true, &where)
		  : vfs_make_file_at_root(b->kernel, &b->root, m->destination, &where);
	if (!err) {
		err = vfs_mount(b->kernel, &where, sb, sb->root, abi_flags(m->flags), m->source);
		path_put(&where);
	}
	super_put(sb);
	if (err)
		boot_fail(b, SANDBOX_ERROR_MOUNT, err, "%s", m->destination);
}

static uint32_t node_type(char type)
{
	switch (type) {
	case 'b':
		return ABI_S_IFBLK;
	case 'p':
		return ABI_S_IFIFO;
	default:
		return ABI_S_IFCHR;
	}
}

static void make_devices(struct boot *b)
{
	const struct oci_spec *spec = b->spec;
	struct device_node *nodes = calloc(spec->device_count + 1, sizeof(*nodes));
	int err;

	for (size_t i = 0; nodes && i < spec->device_count; i++) {
		const struct oci_device *d = &spec->devices[i];

		nodes[i] = (struct device_node){
		    .path = d->path,
		    .mode = node_type(d->type) | (d->file_mode & 07777),
		    .rdev = abi_makedev(d->major, d->minor),
		    .uid = d->uid,
		    .gid = d->gid,
		};
	}
	err = nodes ? devices_populate(b->kernel, &b->root, nodes, (uint32_t)spec->device_count,
				       spec->process.terminal)
		    : -ENOMEM;
	free(nodes);
	if (err)
		boot_fail(b, SANDBOX_ERROR_MOUNT, err, "/dev");
}

/* Looks a path up that is to be masked. False: it isn't there, so there is nothing to be seen. */
static bool is_there(struct boot *b, const char *name, struct path *ret)
{
	int err = vfs_lookup_at_root(b->kernel, &b->root, name, false, ret);

	if (err && err != -ENOENT && err != -ENOTDIR)
		boot_fail(b, SANDBOX_ERROR_MOUNT, err, "%s", name);
	return !err;
}

/* maskedPaths: nothing to be seen there. Directories get an empty read-only tmpfs, files /dev/null.
 */
static void mask_path(struct boot *b, const char *name)
{
	const struct fs_type *tmpfs = vfs_find_fs(b->kernel, "tmpfs");
	struct super_block *sb = NULL;
	struct path where, null;
	int err;

	if (!is_there(b, name, &where))
		return;
	if ((dentry_inode(where.dentry)->mode & ABI_S_IFMT) == ABI_S_IFDIR) {
		err = tmpfs->mount(b->kernel, "tmpfs", ABI_MS_RDONLY, "size=0,mode=755", &sb);
		if (!err)
			err = vfs_mount(b->kernel, &where, sb, sb->root, ABI_MS_RDONLY, "tmpfs");
		if (sb)
			super_put(sb);
	} else {
		err = vfs_lookup_at_root(b->kernel, &b->root, "/dev/null", false, &null);
		if (!err) {
			err = vfs_bind(b->kernel, &null, &where, 0, false);
			path_put(&null);
		}
	}
	path_put(&where);
	if (err)
		boot_fail(b, SANDBOX_ERROR_MOUNT, err, "masking %s", name);
}

static void make_readonly(struct boot *b, const char *name)
{
	struct path where;
	int err;

	if (!is_there(b, name, &where))
		return;
	err = vfs_bind(b->kernel, &where, &where, ABI_MS_RDONLY, true);
	path_put(&where);
	if (err)
		boot_fail(b, SANDBOX_ERROR_MOUNT, err, "making %s read-only", name);
}

static void make_console(struct boot *b)
{
	int err;

	if (b->args->tty_fd < 0)
		return;
	err = console_new(b->kernel, b->args->tty_fd, b->spec->process.console_rows,
			  b->spec->process.console_columns, &b->console);
	if (err)
		boot_fail(b, SANDBOX_ERROR_OTHER, err, "the terminal");
	console_install(b->kernel, tty_get(b->console));
}

void boot_mounts(struct boot *b)
{
	const struct oci_spec *spec = b->spec;

	mount_root(b);
	make_console(b);
	for (size_t i = 0; i < spec->mount_count; i++)
		add_mount(b, &spec->mounts[i]);
	make_devices(b);
	for (size_t i = 0; i < spec->masked_paths.count; i++)
		mask_path(b, spec->masked_paths.items[i]);
	for (size_t i = 0; i < spec->readonly_paths.count; i++)
		make_readonly(b, spec->readonly_paths.items[i]);
	if (spec->root_readonly)
		mount_set_flags(b->root.mount, mount_flags(b->root.mount) | ABI_MS_RDONLY);
}
