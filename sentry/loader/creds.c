/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What execve does to credentials: set-id bits, file capabilities, ambient capabilities
 * (capabilities(7), security/commoncap.c of Linux). The steps are in Linux's order; P is the
 * thread's set, F the file's:
 *
 *	P'(permitted) = (P(inheritable) & F(inheritable)) | (F(permitted) & P(bounding))
 *			| P'(ambient)
 *
 *	P'(effective) = F(effective) ? P'(permitted) : P'(ambient)
 *
 *	P'(ambient) = privileged file ? 0 : P(ambient)
 */
#include <errno.h>
#include <string.h>

#include "abi/caps.h"
#include "abi/fcntl.h"
#include "abi/stat.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/task.h"
#include "sentry/loader/loader_internal.h"
#include "sentry/vfs/vfs.h"

#define XATTR_CAPS	   "security.capability"
#define VFS_CAP_REVISION   0xff000000u
#define VFS_CAP_REVISION_1 0x01000000u
#define VFS_CAP_REVISION_2 0x02000000u
#define VFS_CAP_REVISION_3 0x03000000u
#define VFS_CAP_EFFECTIVE  0x1u

struct file_caps {
	bool any, effective;
	uint64_t permitted, inheritable;
};

/* The attribute as on disk, little endian (linux/capability.h). */
struct caps_xattr {
	uint32_t magic;
	struct {
		uint32_t permitted, inheritable;
	} set[2];
	uint32_t rootid; /* revision 3 */
};

static int decode_caps(const struct caps_xattr *x, size_t size, struct file_caps *ret)
{
	uint64_t permitted = x->set[0].permitted, inheritable = x->set[0].inheritable;
	uint32_t revision = x->magic & VFS_CAP_REVISION;

	if (revision == VFS_CAP_REVISION_1   ? size != 12
	    : revision == VFS_CAP_REVISION_2 ? size != 20
					     : revision != VFS_CAP_REVISION_3 || size != sizeof(*x))
		return -EINVAL;
	if (revision == VFS_CAP_REVISION_3 && x->rootid)
		return 0; /* of another user namespace */
	if (revision != VFS_CAP_REVISION_1) {
		permitted |= (uint64_t)x->set[1].permitted << 32;
		inheritable |= (uint64_t)x->set[1].inheritable << 32;
	}
	*ret = (struct file_caps){true, x->magic & VFS_CAP_EFFECTIVE, permitted & ABI_CAP_ALL,
				  inheritable & ABI_CAP_ALL};
	return 0;
}

static int read_caps(struct inode *i, struct file_caps *ret)
{
	struct caps_xattr x = {0};
	ssize_t n;

	if (!i->ops->getxattr)
		return 0;
	n = i->ops->getxattr(i, XATTR_CAPS, &x, sizeof(x));
	if (n == -ENODATA || n == -EOPNOTSUPP)
		return 0;
	if (n < 0)
		return n == -ERANGE ? -EINVAL : (int)n;
	return n < 12 ? -EINVAL : decode_caps(&x, (size_t)n, ret);
}

static bool ids_count(const struct file *f, const struct cred *c)
{
	return !c->no_new_privs && !(mount_flags(f->path.mount) & ABI_MS_NOSUID);
}

static void apply_set_id(struct inode *i, struct cred *c)
{
	uint32_t mode, uid, gid;

	if (i->ops->getattr)
		i->ops->getattr(i);
	mutex_lock(&i->lock);
	mode = i->mode;
	uid = i->uid;
	gid = i->gid;
	mutex_unlock(&i->lock);
	if (mode & ABI_S_ISUID)
		c->euid = uid;
	if ((mode & (ABI_S_ISGID | ABI_S_IXGRP)) == (ABI_S_ISGID | ABI_S_IXGRP))
		c->egid = gid;
}

/* From the file's own capabilities. -EPERM: they can't all be had, and the program relies on it. */
static int apply_file_caps(const struct file_caps *f, struct cred *c)
{
	c->cap_permitted = (f->permitted & c->cap_bounding) | (f->inheritable & c->cap_inheritable);
	return f->effective && (f->permitted & ~c->cap_permitted) ? -EPERM : 0;
}

/* Root's programs have all capabilities, unless SECBIT_NOROOT. */
static void apply_root(const struct file_caps *f, struct cred *c, bool *effective)
{
	if (c->securebits & ABI_SECBIT_NOROOT)
		return;
	if (f->any && c->uid && !c->euid)
		return; /* a set-user-id-root program with capabilities of its own: only those */
	if (!c->uid || !c->euid)
		c->cap_permitted = c->cap_bounding | c->cap_inheritable;
	if (!c->euid)
		*effective = true;
}

/*
 * What no_new_privs forbids is taken back; so is most of it if another process shares the working
 * directory, root and umask (CLONE_FS), and could change them under the program.
 */
static void restrain(struct task *t, struct cred *c, const struct cred *old)
{
	bool shared = task_shares_fs(t);

	if (!c->no_new_privs && !shared)
		return;
	if (c->no_new_privs || !cred_capable(old, ABI_CAP_SETUID)) {
		c->euid = c->uid;
		c->egid = c->gid;
	}
	c->cap_permitted &= old->cap_permitted;
}

static int compute(struct task *t, struct file *f, struct cred *c, const struct cred *old,
		   bool *ret_secure)
{
	struct file_caps caps = {.any = false};
	bool effective, set_id;
	int err = 0;

	if (ids_count(f, c))
		apply_set_id(f->inode, c);
	if (!(mount_flags(f->path.mount) & ABI_MS_NOSUID))
		err = read_caps(f->inode, &caps);
	if (!err)
		err = apply_file_caps(&caps, c);
	if (err)
		return err;
	effective = caps.effective;
	apply_root(&caps, c, &effective);
	set_id = c->euid != old->uid || c->egid != old->gid;
	if (set_id || (c->cap_permitted & ~old->cap_permitted))
		restrain(t, c, old);
	c->suid = c->fsuid = c->euid;
	c->sgid = c->fsgid = c->egid;
	if (caps.any || set_id)
		c->cap_ambient = 0;
	c->cap_permitted |= c->cap_ambient;
	c->cap_effective = effective ? c->cap_permitted : c->cap_ambient;
	c->securebits &= ~(uint32_t)ABI_SECBIT_KEEP_CAPS;
	*ret_secure = set_id || (c->uid && (effective || (c->cap_permitted & ~c->cap_ambient)));
	return 0;
}

int exec_creds(struct task *t, struct file *f, const struct cred *old, const struct cred **ret_cred,
	       bool *ret_secure)
{
	struct cred *c = cred_dup(old);
	int err = compute(t, f, c, old, ret_secure);

	if (err)
		cred_put(c);
	else
		*ret_cred = c;
	return err;
}
