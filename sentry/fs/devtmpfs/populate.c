/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filling /dev at boot. It works on whatever is mounted there, through the directory's own
 * operations; what exists already stays as it is (an image's own /dev on a read-only root, for
 * example), and a file system that can't hold device nodes is only warned about: then the container
 * has what its image brings.
 */
#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"
#include "abi/fcntl.h"
#include "base/compiler.h"
#include "base/log.h"
#include "base/mem.h"
#include "sentry/fs/devtmpfs/devtmpfs.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/vfs/vfs.h"

#define DEV(major, minor) ((uint64_t)(major) << 8 | (minor)) /* both below 256 */

/* The OCI runtime specification, "Default Devices". */
static const struct device_node standard_nodes[] = {
    {"/dev/null", ABI_S_IFCHR | 0666, DEV(1, 3), 0, 0},
    {"/dev/zero", ABI_S_IFCHR | 0666, DEV(1, 5), 0, 0},
    {"/dev/full", ABI_S_IFCHR | 0666, DEV(1, 7), 0, 0},
    {"/dev/random", ABI_S_IFCHR | 0666, DEV(1, 8), 0, 0},
    {"/dev/urandom", ABI_S_IFCHR | 0666, DEV(1, 9), 0, 0},
    {"/dev/tty", ABI_S_IFCHR | 0666, DEV(5, 0), 0, 5},
};
static const struct device_node console_node = {"/dev/console", ABI_S_IFCHR | 0620, DEV(5, 1), 0,
						5};

static const struct {
	const char *path, *target;
} standard_links[] = {
    {"/dev/ptmx", "pts/ptmx"},		{"/dev/fd", "/proc/self/fd"},
    {"/dev/stdin", "/proc/self/fd/0"},	{"/dev/stdout", "/proc/self/fd/1"},
    {"/dev/stderr", "/proc/self/fd/2"},
};

/* The directory of an absolute path (made if missing), and where its last component begins. */
static int parent_of(struct kernel *k, const struct path *root, const char *path,
		     struct path *ret_dir, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	char *dir;
	int err;

	if (!slash || !slash[1] || strlen(slash + 1) > VFS_NAME_MAX)
		return -EINVAL;
	dir = xstrndup(path, (size_t)(slash - path) + 1);
	err = vfs_lookup_at_root(k, root, dir, true, ret_dir);
	free(dir);
	*ret_name = slash + 1;
	return err;
}

static void set_owner(struct inode *i, const struct device_node *node)
{
	struct iattr a = {.valid = ATTR_MODE | ATTR_UID | ATTR_GID,
			  .mode = node->mode & ABI_S_IALLUGO,
			  .uid = node->uid,
			  .gid = node->gid};

	mutex_lock(&i->lock);
	if (i->ops->setattr) {
		i->ops->setattr(i, &a);
	} else {
		i->mode = (i->mode & ABI_S_IFMT) | a.mode;
		i->uid = a.uid;
		i->gid = a.gid;
	}
	mutex_unlock(&i->lock);
}

/* What is to be made: a node, or a link if target is set. Under the directory's lock. */
static int make_locked(struct inode *dir, const char *name, const struct device_node *node,
		       const char *target, const struct cred *c, struct inode **ret)
{
	int err = dir->ops->lookup ? dir->ops->lookup(dir, name, ret) : -ENOTDIR;

	if (!err) {
		inode_put(*ret);
		return -EEXIST;
	}
	if (err != -ENOENT)
		return err;
	if (target)
		return dir->ops->symlink ? dir->ops->symlink(dir, name, target, c, ret) : -EPERM;
	return dir->ops->mknod ? dir->ops->mknod(dir, name, node->mode, node->rdev, c, ret)
			       : -EPERM;
}

static int make_one(struct kernel *k, const struct path *root, const char *path,
		    const struct device_node *node, const char *target, const struct cred *c)
{
	struct inode *dir, *made;
	const char *name;
	struct path p;
	int err = parent_of(k, root, path, &p, &name);

	if (err)
		return err;
	dir = dentry_inode(p.dentry);
	mutex_lock(&dir->lock);
	err = make_locked(dir, name, node, target, c, &made);
	mutex_unlock(&dir->lock);
	dcache_invalidate(dir, name);
	path_put(&p);
	if (err)
		return err == -EEXIST ? 0 : err;
	if (node)
		set_owner(made, node);
	inode_put(made);
	return 0;
}

static void make(struct kernel *k, const struct path *root, const struct device_node *node,
		 const char *path, const char *target, const struct cred *c)
{
	int err = make_one(k, root, path, node, target, c);

	if (err)
		log_warn("%s: can't be made: %s", path, strerror(-err));
}

int devices_populate(struct kernel *k, const struct path *root, const struct device_node *nodes,
		     uint32_t node_count, bool has_console)
{
	const struct cred *c = cred_new();

	for (size_t i = 0; i < array_count(standard_nodes); i++)
		make(k, root, &standard_nodes[i], standard_nodes[i].path, NULL, c);
	if (has_console)
		make(k, root, &console_node, console_node.path, NULL, c);
	for (size_t i = 0; i < array_count(standard_links); i++)
		make(k, root, NULL, standard_links[i].path, standard_links[i].target, c);
	for (uint32_t i = 0; i < node_count; i++)
		make(k, root, &nodes[i], nodes[i].path, NULL, c);
	cred_put(c);
	return 0;
}
