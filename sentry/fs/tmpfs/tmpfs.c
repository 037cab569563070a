/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tmpfs: super block, options, inodes and their operations. Names are in dir.c, content in
 * content.c. Directory entries hold their inodes, so nothing depends on the dentry cache.
 */
#include "sentry/fs/tmpfs/tmpfs.h"

#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "sentry/fs/tmpfs/tmpfs_internal.h"
#include "sentry/kernel/cred.h"
#include "sentry/vfs/vfs_internal.h"

#define DIR_ENTRY_SIZE 20 /* what a name adds to a directory's st_size, as Linux says */

static const struct inode_ops dir_ops, file_ops, symlink_ops, special_ops;
static const struct super_ops tmpfs_super_ops;

struct abi_timespec tmpfs_now(void)
{
	return vfs_now();
}

/* ---- limits ---- */

int tmpfs_charge(struct super_block *sb, uint64_t pages)
{
	struct tmpfs_sb *s = tmpfs_s(sb);

	if (atomic_fetch_add(&s->page_count, pages) + pages <= s->page_max || !s->page_max)
		return 0;
	atomic_fetch_sub(&s->page_count, pages);
	return -ENOSPC;
}

void tmpfs_uncharge(struct super_block *sb, uint64_t pages)
{
	atomic_fetch_sub(&tmpfs_s(sb)->page_count, pages);
}

/* ---- inodes ---- */

static const struct inode_ops *ops_for(uint32_t mode)
{
	switch (mode & ABI_S_IFMT) {
	case ABI_S_IFREG:
		return &file_ops;
	case ABI_S_IFDIR:
		return &dir_ops;
	case ABI_S_IFLNK:
		return &symlink_ops;
	default:
		return &special_ops;
	}
}

static void set_owner(struct inode *i, const struct inode *dir, const struct cred *c)
{
	i->uid = c ? c->fsuid : 0;
	i->gid = c ? c->fsgid : 0;
	if (!dir || !(dir->mode & ABI_S_ISGID))
		return;
	i->gid = dir->gid;
	if (ABI_S_ISDIR(i->mode))
		i->mode |= ABI_S_ISGID;
}

int tmpfs_inode_new(struct super_block *sb, struct inode *dir, uint32_t mode, const struct cred *c,
		    struct inode **ret)
{
	struct tmpfs_sb *s = tmpfs_s(sb);
	struct tmpfs_inode *ti;
	struct inode *i;

	if (atomic_fetch_add(&s->inode_count, 1) >= s->inode_max && s->inode_max) {
		atomic_fetch_sub(&s->inode_count, 1);
		return -ENOSPC;
	}
	ti = xnew(struct tmpfs_inode);
	i = inode_new(sb, ops_for(mode), super_next_ino(sb), mode);
	i->private = ti;
	set_owner(i, dir, c);
	if (ABI_S_ISREG(mode)) {
		ti->content.fd = ti->content.read_fd = -1;
		ti->content.seals = ABI_F_SEAL_SEAL;
	}
	if (ABI_S_ISDIR(mode)) {
		i->nlink = 2;
		i->size = 2 * DIR_ENTRY_SIZE;
	}
	*ret = i;
	return 0;
}

static void tmpfs_evict(struct inode *i)
{
	struct tmpfs_inode *ti = tmpfs_i(i);

	if (ABI_S_ISDIR(i->mode))
		tmpfs_dir_free(i);
	else if (ABI_S_ISREG(i->mode))
		tmpfs_content_free(i);
	else if (ABI_S_ISLNK(i->mode))
		free(ti->target);
	tmpfs_xattrs_free(i);
	free(ti);
	atomic_fetch_sub(&tmpfs_s(i->sb)->inode_count, 1);
}

static int tmpfs_setattr(struct inode *i, const struct iattr *a)
{
	int err = 0;

	if (a->valid & ATTR_SIZE)
		err = ABI_S_ISREG(i->mode) ? tmpfs_content_truncate(i, a->size) : -EINVAL;
	if (err)
		return err;
	if (a->valid & ATTR_MODE)
		i->mode = (i->mode & ABI_S_IFMT) | (a->mode & ABI_S_IALLUGO);
	if (a->valid & ATTR_UID)
		i->uid = a->uid;
	if (a->valid & ATTR_GID)
		i->gid = a->gid;
	if (a->valid & ATTR_ATIME)
		i->atime = a->atime;
	if (a->valid & ATTR_MTIME)
		i->mtime = a->mtime;
	i->ctime = tmpfs_now();
	return 0;
}

/* ---- names ---- */

static void touch_dir(struct inode *dir, int entries)
{
	dir->mtime = dir->ctime = tmpfs_now();
	dir->size = (uint64_t)((int64_t)dir->size + entries * DIR_ENTRY_SIZE);
}

static int tmpfs_lookup(struct inode *dir, const char *name, struct inode **ret)
{
	struct tmpfs_entry *e = tmpfs_dir_find(dir, name);

	if (!e)
		return -ENOENT;
	*ret = inode_get(e->inode);
	return 0;
}

static int make(struct inode *dir, const char *name, uint32_t mode, const struct cred *c,
		struct inode **ret)
{
	struct inode *i;
	int err = tmpfs_inode_new(dir->sb, dir, mode, c, &i);

	if (err)
		return err;
	tmpfs_dir_add(dir, name, i);
	touch_dir(dir, 1);
	*ret = i;
	return 0;
}

static int tmpfs_create(struct inode *dir, const char *name, uint32_t mode, const struct cred *c,
			struct inode **ret)
{
	return make(dir, name, ABI_S_IFREG | mode, c, ret);
}

static int tmpfs_mkdir(struct inode *dir, const char *name, uint32_t mode, const struct cred *c,
		       struct inode **ret)
{
	int err = make(dir, name, ABI_S_IFDIR | mode, c, ret);

	if (!err)
		dir->nlink++;
	return err;
}

static int tmpfs_mknod(struct inode *dir, const char *name, uint32_t mode, uint64_t rdev,
		       const struct cred *c, struct inode **ret)
{
	int err = make(dir, name, mode, c, ret);

	if (!err && (ABI_S_ISCHR(mode) || ABI_S_ISBLK(mode)))
		(*ret)->rdev = rdev;
	return err;
}

static int tmpfs_symlink(struct inode *dir, const char *name, const char *target,
			 const struct cred *c, struct inode **ret)
{
	int err = make(dir, name, ABI_S_IFLNK | 0777, c, ret);

	if (!err) {
		tmpfs_i(*ret)->target = xstrdup(target);
		(*ret)->size = strlen(target);
	}
	return err;
}

static int tmpfs_tmpfile(struct inode *dir, uint32_t mode, const struct cred *c, struct inode **ret)
{
	int err = tmpfs_inode_new(dir->sb, dir, ABI_S_IFREG | mode, c, ret);

	if (!err)
		(*ret)->nlink = 0;
	return err;
}

/* Other inodes than the directory, whose lock is held, are locked one at a time (see lockorder.h:
 * a directory before its children). */
static void change_nlink(struct inode *i, int delta)
{
	mutex_lock_nested(&i->lock);
	i->nlink = (uint32_t)((int)i->nlink + delta);
	i->ctime = tmpfs_now();
	mutex_unlock(&i->lock);
}

static int tmpfs_link(struct inode *dir, const char *name, struct inode *target)
{
	change_nlink(target, 1);
	tmpfs_dir_add(dir, name, target);
	touch_dir(dir, 1);
	return 0;
}

static int tmpfs_unlink(struct inode *dir, const char *name, struct inode *victim)
{
	struct tmpfs_entry *e = tmpfs_dir_find(dir, name);

	if (!e || e->inode != victim)
		return -ENOENT;
	change_nlink(victim, -1);
	/* The caller holds the victim, so this isn't the last reference. */
	inode_put(tmpfs_dir_remove(dir, e));
	touch_dir(dir, -1);
	return 0;
}

/* Whether a directory is empty; if so it is dead: nlink 0. */
static bool kill_dir(struct inode *victim)
{
	bool empty;

	mutex_lock_nested(&victim->lock);
	empty = tmpfs_i(victim)->dir.entry_count == 0;
	if (empty) {
		victim->nlink = 0;
		victim->ctime = tmpfs_now();
	}
	mutex_unlock(&victim->lock);
	return empty;
}

static int tmpfs_rmdir(struct inode *dir, const char *name, struct inode *victim)
{
	struct tmpfs_entry *e = tmpfs_dir_find(dir, name);

	if (!e || e->inode != victim)
		return -ENOENT;
	if (!kill_dir(victim))
		return -ENOTEMPTY;
	inode_put(tmpfs_dir_remove(dir, e));
	touch_dir(dir, -1);
	dir->nlink--;
	return 0;
}

static void exchange(struct inode *olddir, struct tmpfs_entry *a, struct inode *newdir,
		     struct tmpfs_entry *b)
{
	struct inode *swap = a->inode;
	int a_dir = ABI_S_ISDIR(a->inode->mode), b_dir = ABI_S_ISDIR(b->inode->mode);

	a->inode = b->inode;
	b->inode = swap;
	olddir->nlink += (uint32_t)(b_dir - a_dir);
	newdir->nlink += (uint32_t)(a_dir - b_dir);
	touch_dir(olddir, 0);
	touch_dir(newdir, 0);
}

static int remove_target(struct inode *dir, const char *name, struct inode *target)
{
	return ABI_S_ISDIR(target->mode) ? tmpfs_rmdir(dir, name, target)
					 : tmpfs_unlink(dir, name, target);
}

static int tmpfs_rename(struct inode *olddir, const char *oldname, struct inode *victim,
			struct inode *newdir, const char *newname, struct inode *target,
			uint32_t flags)
{
	struct tmpfs_entry *e = tmpfs_dir_find(olddir, oldname);
	int err = 0;

	if (!e || e->inode != victim)
		return -ENOENT;
	if (flags & ABI_RENAME_WHITEOUT)
		return -EINVAL;
	if (flags & ABI_RENAME_EXCHANGE) {
		struct tmpfs_entry *b = tmpfs_dir_find(newdir, newname);

		if (!b)
			return -ENOENT;
		exchange(olddir, e, newdir, b);
		return 0;
	}
	if (target)
		err = remove_target(newdir, newname, target);
	if (err)
		return err;
	tmpfs_dir_add(newdir, newname, victim);
	inode_put(tmpfs_dir_remove(olddir, tmpfs_dir_find(olddir, oldname)));
	if (ABI_S_ISDIR(victim->mode)) {
		olddir->nlink--;
		newdir->nlink++;
	}
	touch_dir(newdir, 1);
	touch_dir(olddir, -1);
	change_nlink(victim, 0);
	return 0;
}

static int tmpfs_readlink(struct inode *i, struct task *t, char **ret_target)
{
	(void)t;
	*ret_target = xstrdup(tmpfs_i(i)->target);
	return 0;
}

/* ---- opening ---- */

static int open_file(struct inode *i, struct file *f)
{
	(void)i;
	f->ops = &tmpfs_file_ops;
	return 0;
}

static int open_dir(struct inode *i, struct file *f)
{
	(void)i;
	f->ops = &tmpfs_dir_file_ops;
	return 0;
}

#define XATTR_OPS                                                                                  \
	.getxattr = tmpfs_getxattr, .setxattr = tmpfs_setxattr, .listxattr = tmpfs_listxattr,      \
	.removexattr = tmpfs_removexattr

static const struct inode_ops dir_ops = {
    .lookup = tmpfs_lookup,
    .create = tmpfs_create,
    .mkdir = tmpfs_mkdir,
    .mknod = tmpfs_mknod,
    .symlink = tmpfs_symlink,
    .link = tmpfs_link,
    .unlink = tmpfs_unlink,
    .rmdir = tmpfs_rmdir,
    .rename = tmpfs_rename,
    .tmpfile = tmpfs_tmpfile,
    .setattr = tmpfs_setattr,
    .open = open_dir,
    .evict = tmpfs_evict,
    XATTR_OPS,
};

static const struct inode_ops file_ops = {
    .setattr = tmpfs_setattr,
    .open = open_file,
    .evict = tmpfs_evict,
    XATTR_OPS,
};

static const struct inode_ops symlink_ops = {
    .readlink = tmpfs_readlink,
    .setattr = tmpfs_setattr,
    .evict = tmpfs_evict,
    XATTR_OPS,
};

static const struct inode_ops special_ops = {
    .setattr = tmpfs_setattr,
    .evict = tmpfs_evict,
    XATTR_OPS,
};

/* ---- the super block ---- */

static uint64_t host_pages(void)
{
	struct sysinfo si;

	return sysinfo(&si) ? 1u << 20 : (uint64_t)si.totalram * si.mem_unit / TMPFS_PAGE;
}

static int tmpfs_statfs(struct super_block *sb, struct abi_statfs *ret)
{
	struct tmpfs_sb *s = tmpfs_s(sb);
	uint64_t pages = s->page_max ? s->page_max : host_pages(), used = s->page_count;
	uint64_t inodes = s->inode_max ? s->inode_max : pages, inodes_used = s->inode_count;

	*ret = (struct abi_statfs){
	    .type = ABI_TMPFS_MAGIC,
	    .bsize = TMPFS_PAGE,
	    .frsize = TMPFS_PAGE,
	    .blocks = (int64_t)pages,
	    .bfree = (int64_t)(used < pages ? pages - used : 0),
	    .files = (int64_t)inodes,
	    .ffree = (int64_t)(inodes_used < inodes ? inodes - inodes_used : 0),
	    .namelen = VFS_NAME_MAX,
	};
	ret->bavail = ret->bfree;
	return 0;
}

static void tmpfs_destroy(struct super_block *sb)
{
	free(sb->private);
}

static void tmpfs_show_options(struct super_block *sb, struct strbuf *out)
{
	struct tmpfs_sb *s = tmpfs_s(sb);

	if (s->size_given)
		strbuf_addf(out, ",size=%lluk", (unsigned long long)s->page_max * 4);
	if (s->inodes_given)
		strbuf_addf(out, ",nr_inodes=%llu", (unsigned long long)s->inode_max);
	if (s->mode_given)
		strbuf_addf(out, ",mode=%o", s->root_mode);
	if (s->root_uid)
		strbuf_addf(out, ",uid=%u", s->root_uid);
	if (s->root_gid)
		strbuf_addf(out, ",gid=%u", s->root_gid);
	/* Without the leading comma. */
	if (out->size)
		memmove(out->data, out->data + 1, out->size--);
}

static const struct super_ops tmpfs_super_ops = {
    .statfs = tmpfs_statfs,
    .show_options = tmpfs_show_options,
    .destroy = tmpfs_destroy,
};

/* ---- options ---- */

/* A number with a unit k, m, g or (of the host's memory) %. */
static int parse_size(const char *s, bool percent_ok, uint64_t *ret)
{
	unsigned shift = 0;
	char *end;
	uint64_t n;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	errno = 0;
	n = strtoull(s, &end, 0);
	if (errno)
		return -EINVAL;
	if (*end == '%' && percent_ok && n <= 100000) {
		*ret = host_pages() * TMPFS_PAGE / 100 * n;
		return end[1] ? -EINVAL : 0;
	}
	if (*end == 'k' || *end == 'K')
		shift = 10;
	else if (*end == 'm' || *end == 'M')
		shift = 20;
	else if (*end == 'g' || *end == 'G')
		shift = 30;
	if (shift)
		end++;
	if (*end || n > UINT64_MAX >> shift)
		return -EINVAL;
	*ret = n << shift;
	return 0;
}

static int parse_u32(const char *s, int base, uint32_t *ret)
{
	char *end;
	unsigned long n;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	n = strtoul(s, &end, base);
	if (*end || n > UINT32_MAX)
		return -EINVAL;
	*ret = (uint32_t)n;
	return 0;
}

static int parse_option(struct tmpfs_sb *s, const char *key, const char *value)
{
	uint64_t n;
	int err;

	if (!strcmp(key, "size") || !strcmp(key, "nr_blocks")) {
		err = parse_size(value, true, &n);
		if (err)
			return err;
		s->page_max = *key == 's' ? (n + TMPFS_PAGE - 1) / TMPFS_PAGE : n;
		s->size_given = s->page_max != 0;
		return 0;
	}
	if (!strcmp(key, "nr_inodes")) {
		s->inodes_given = true;
		return parse_size(value, false, &s->inode_max);
	}
	if (!strcmp(key, "mode")) {
		s->mode_given = true;
		err = parse_u32(value, 8, &s->root_mode);
		s->root_mode &= 07777;
		return err;
	}
	if (!strcmp(key, "uid"))
		return parse_u32(value, 10, &s->root_uid);
	if (!strcmp(key, "gid"))
		return parse_u32(value, 10, &s->root_gid);
	/* Without a meaning here: huge pages, NUMA policy, 64-bit inode numbers, SELinux. */
	if (!strcmp(key, "huge") || !strcmp(key, "mpol") || !strcmp(key, "inode64") ||
	    !strcmp(key, "inode32") || !strcmp(key, "noswap") || !strcmp(key, "context"))
		return 0;
	return -EINVAL;
}

static int parse_options(struct tmpfs_sb *s, const char *data)
{
	char *copy = xstrdup(data), *save = NULL, *word;
	int err = 0;

	for (word = strtok_r(copy, ",", &save); word && !err; word = strtok_r(NULL, ",", &save)) {
		char *value = strchrnul(word, '=');

		if (*value)
			*value++ = 0;
		err = parse_option(s, word, value);
	}
	free(copy);
	return err;
}

static int tmpfs_mount(struct kernel *k, const char *source, uint32_t flags, const char *data,
		       struct super_block **ret)
{
	struct tmpfs_sb *s = xnew(struct tmpfs_sb);
	struct super_block *sb;
	struct inode *root;
	int err;

	(void)source, (void)flags;
	s->root_mode = 01777;
	s->page_max = host_pages() / 2;
	s->inode_max = host_pages() / 2;
	err = data ? parse_options(s, data) : 0;
	if (err) {
		free(s);
		return err;
	}
	sb = super_new(k, "tmpfs", &tmpfs_super_ops);
	sb->private = s;
	err = tmpfs_inode_new(sb, NULL, ABI_S_IFDIR | s->root_mode, NULL, &root);
	check(!err);
	root->uid = s->root_uid;
	root->gid = s->root_gid;
	sb->root = dentry_new_root(sb, root);
	*ret = sb;
	return 0;
}

const struct fs_type tmpfs_type = {.name = "tmpfs", .mount = tmpfs_mount};

/* ---- files without a name ---- */

static struct super_block *shmem_sb(struct kernel *k)
{
	struct super_block *sb = __atomic_load_n(&k->vfs->shmem_sb, __ATOMIC_ACQUIRE), *made;

	if (sb)
		return sb;
	if (tmpfs_mount(k, "shmem", 0, "size=0,nr_inodes=0", &made))
		return NULL;
	if (!__atomic_compare_exchange_n(&k->vfs->shmem_sb, &sb, made, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE)) {
		super_put(made);
		return sb;
	}
	return made;
}

int tmpfs_new_file(struct kernel *k, const char *name, uint32_t flags, uint32_t mode,
		   uint32_t seals, const struct cred *cred, struct file **ret)
{
	struct super_block *sb = shmem_sb(k);
	struct inode *i;
	struct path path;
	int err = sb ? tmpfs_inode_new(sb, NULL, ABI_S_IFREG | mode, cred, &i) : -ENFILE;

	if (err)
		return err;
	i->nlink = 0;
	tmpfs_i(i)->content.seals = seals;
	anon_path(k->vfs, name, i, &path);
	*ret = file_new(&path, flags, cred);
	(*ret)->ops = &tmpfs_file_ops;
	path_put(&path);
	return 0;
}
