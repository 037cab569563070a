/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open regular files that the gofer serves.
 *
 * A file is read, written and mapped through a descriptor of the host, without the gofer. An inode
 * keeps up to two: one for reading alone, which is also what may be mapped by somebody who can
 * only read, and one for both. Open files share them (positions are the sentry's, so the host is
 * always told one), and of not shared trees they are kept for a while after the last close, so that
 * opening again costs no message. O_DIRECT is accepted and ignored.
 *
 * What the host has in memory is read with the lead in hand: passing it costs more than the read.
 * The host says whether it has (RWF_NOWAIT); what is missing is read without the lead. What is read
 * again comes from memory that we map (filemap.c).
 *
 * Whether a write, or a read where RWF_NOWAIT isn't known, will wait for a disk can't be known. So
 * the lead is kept as long as the file system is quick: a call that took longer than SLOW_NS makes
 * the next SLOW_CALLS calls pass the lead before. Large transfers and file systems on a network
 * always pass it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "abi/fcntl.h"
#include "abi/mman.h"
#include "base/log.h"
#include "base/mem.h"
#include "sentry/fs/gofer/internal.h"
#include "sentry/kernel/stats.h"
#include "sentry/kernel/task_block.h"
#include "sentry/kernel/timer.h"
#include "sentry/mm/usermem.h"

#define KEPT_MAX     512 /* inodes that keep descriptors */
#define SLOW_NS	     200000u
#define SLOW_CALLS   16
#define LARGE_SIZE   (256u * 1024)
#define LARGE_MAPPED (2u << 20) /* a copy of 100 us */

/* An open file's private data. */
struct gofer_file {
	struct host_file *hf;	   /* [I] for reading and writing */
	struct host_file *to_map;  /* [a] for mapping read-only, when hf can be written to */
	atomic_bool mapped_shared; /* [a] counted in gofer_inode.mapped */
};

/* ---- descriptors that are kept ---- */

static struct host_file *host_file_new(int fd)
{
	struct host_file *hf = xnew(struct host_file);

	refcount_init(&hf->ref);
	hf->fd = fd;
	return hf;
}

static struct host_file *host_file_get(struct host_file *hf)
{
	refcount_get(&hf->ref);
	return hf;
}

void host_file_put(struct host_file *hf)
{
	if (!hf || !refcount_put(&hf->ref))
		return;
	close(hf->fd);
	free(hf);
}

struct host_file *gofer_kept_file(struct gofer_inode *g)
{
	struct host_file *hf;

	mutex_lock(&g->lock);
	hf = g->readable ? g->readable : g->writable;
	if (hf)
		host_file_get(hf);
	mutex_unlock(&g->lock);
	return hf;
}

static void forget(struct gofer_inode *g)
{
	struct gofer_client *c = g->super->client;

	mutex_lock(&c->idle_lock);
	if (list_linked(&g->idle_link)) {
		list_del(&g->idle_link);
		c->idle_count--;
	}
	mutex_unlock(&c->idle_lock);
}

void gofer_drop_kept(struct gofer_inode *g)
{
	struct host_file *readable, *writable;

	forget(g);
	mutex_lock(&g->lock);
	readable = g->readable;
	writable = g->writable;
	g->readable = g->writable = NULL;
	mutex_unlock(&g->lock);
	filemap_drop(g);
	host_file_put(readable);
	host_file_put(writable);
}

/* A file of overlayfs has its first descriptor for writing: others may show another file. */
static void copied_up(struct gofer_inode *g)
{
	struct host_file *readable;

	mutex_lock(&g->lock);
	readable = g->readable;
	g->readable = NULL;
	mutex_unlock(&g->lock);
	filemap_drop(g);
	lease_revoke_slow(g->inode, LEASE_END);
	host_file_put(readable);
}

/* The inode that was used longest ago, with a reference, if there are more than max. */
static struct inode *oldest(struct gofer_client *c, unsigned max)
{
	struct gofer_inode *g;
	struct inode *i = NULL;

	mutex_lock(&c->idle_lock);
	while (!i && c->idle_count > max) {
		g = list_first(&c->idle, struct gofer_inode, idle_link);
		list_del(&g->idle_link);
		c->idle_count--;
		/* One that is being evicted takes care of itself. */
		if (refcount_get_unless_zero(&g->inode->ref))
			i = g->inode;
	}
	mutex_unlock(&c->idle_lock);
	return i;
}

/* The sentry itself is out of descriptors. */
static void drop_all_kept(struct gofer_client *c)
{
	struct inode *i;

	while ((i = oldest(c, 0))) {
		gofer_drop_kept(gofer_inode(i));
		inode_put(i);
	}
}

/* Notes that the inode keeps a descriptor and was used just now. */
static void remember(struct gofer_inode *g)
{
	struct gofer_client *c = g->super->client;
	struct inode *old;

	mutex_lock(&c->idle_lock);
	if (list_linked(&g->idle_link))
		list_del(&g->idle_link);
	else
		c->idle_count++;
	list_add_tail(&c->idle, &g->idle_link);
	mutex_unlock(&c->idle_lock);
	while ((old = oldest(c, KEPT_MAX))) {
		gofer_drop_kept(gofer_inode(old));
		inode_put(old);
	}
}

/* A reference to what is kept: hf, which is taken over, unless another one was quicker. */
static struct host_file *keep(struct gofer_inode *g, bool write, struct host_file *hf)
{
	struct host_file **slot = write ? &g->writable : &g->readable, *kept, *ours = hf;

	mutex_lock(&g->lock);
	if (!*slot) {
		*slot = hf;
		hf = NULL;
	}
	kept = host_file_get(*slot);
	mutex_unlock(&g->lock);
	host_file_put(hf);
	if (write && kept == ours && g->super->copies_up)
		copied_up(g);
	remember(g);
	return kept;
}

void gofer_keep_fd(struct gofer_inode *g, int fd)
{
	host_file_put(keep(g, true, host_file_new(fd)));
}

static int call_open(struct gofer_inode *g, bool write, int *ret_fd)
{
	struct gofer_req_open *req;
	struct gofer_rpc *rpc = rpc_begin(g->super->client, GOFER_OPEN, sizeof(*req));
	int err;

	req = rpc->req;
	req->handle = g->handle;
	req->flags = GOFER_OPEN_READ | (write ? GOFER_OPEN_WRITE : 0);
	err = rpc_call(rpc, sizeof(struct gofer_reply_attr));
	if (!err && rpc->fd < 0)
		err = rpc_bad_reply(rpc, "an open without descriptor");
	if (!err) {
		*ret_fd = rpc->fd;
		rpc->fd = -1;
	}
	rpc_end(rpc);
	return err;
}

int gofer_host_file(struct gofer_inode *g, bool write, struct host_file **ret)
{
	struct host_file *hf;
	int fd, err;

	mutex_lock(&g->lock);
	hf = write ? g->writable : g->readable;
	if (hf)
		host_file_get(hf);
	mutex_unlock(&g->lock);
	if (hf) {
		*ret = hf;
		return 0;
	}
	err = call_open(g, write, &fd);
	if (err == -EMFILE) {
		gofer_shrink(g->super);
		err = call_open(g, write, &fd);
	}
	if (err == -ENFILE) {
		drop_all_kept(g->super->client);
		err = call_open(g, write, &fd);
	}
	if (err)
		return err;
	*ret = keep(g, write, host_file_new(fd));
	return 0;
}

/* ---- waiting for disks ---- */

/* Before a call that transfers `size` bytes: the time, or 0 when the lead has been passed. */
static uint64_t io_begin(struct gofer_super *s, uint64_t size)
{
	if (!s->remote && size <= LARGE_SIZE &&
	    atomic_load_explicit(&s->slow_left, memory_order_relaxed) <= 0)
		return time_monotonic_ns();
	atomic_fetch_sub_explicit(&s->slow_left, 1, memory_order_relaxed);
	worker_going_long();
	return 0;
}

static void io_end(struct gofer_super *s, uint64_t start)
{
	if (start && time_monotonic_ns() - start > SLOW_NS)
		atomic_store_explicit(&s->slow_left, SLOW_CALLS, memory_order_relaxed);
}

/* ---- file operations ---- */

static struct gofer_file *gofer_file(const struct file *f)
{
	return f->private;
}

static bool may_map(const struct gofer_inode *g)
{
	return g->super->mappable && g->host_dev == g->super->root_dev;
}

/* Without knowing what is in the page cache: the lead is passed when the host was slow lately. */
static ssize_t read_blind(struct file *f, struct uio *to, int64_t *pos)
{
	struct gofer_super *s = gofer_inode(f->inode)->super;
	uint64_t start = io_begin(s, to->left);
	ssize_t n = uio_pread_fd(to, gofer_file(f)->hf->fd, pos, to->left);

	io_end(s, start);
	return n;
}

/* With a host call: first what is in the page cache, then, without the lead, what isn't. */
static ssize_t read_cached_first(struct file *f, struct uio *to, int64_t *pos)
{
	struct gofer_inode *g = gofer_inode(f->inode);
	struct gofer_super *s = g->super;
	ssize_t n, more;

	if (s->remote || to->left > LARGE_SIZE ||
	    atomic_load_explicit(&s->no_nowait, memory_order_relaxed))
		return read_blind(f, to, pos);
	n = uio_pread_fd_nowait(to, gofer_file(f)->hf->fd, pos, to->left);
	if (n == -EOPNOTSUPP) {
		atomic_store(&s->no_nowait, true);
		return read_blind(f, to, pos);
	}
	if (n != -EAGAIN && (n <= 0 || !to->left ||
			     (uint64_t)*pos >= __atomic_load_n(&f->inode->size, __ATOMIC_RELAXED)))
		return n;
	stat_count(file_reads_waited);
	worker_going_long();
	more = uio_pread_fd(to, gofer_file(f)->hf->fd, pos, to->left);
	return n > 0 ? n + MAX(more, (ssize_t)0) : more;
}

static ssize_t read_host(struct file *f, struct uio *to, int64_t *pos)
{
	struct gofer_inode *g = gofer_inode(f->inode);
	int64_t start = *pos;
	ssize_t n = read_cached_first(f, to, pos);

	stat_count(file_reads);
	if (n > 0 && may_map(g))
		filemap_seen(g, start, (uint64_t)n);
	return n;
}

static ssize_t file_read(struct file *f, struct uio *to, int64_t *pos)
{
	struct gofer_inode *g = gofer_inode(f->inode);
	ssize_t more;
	size_t n;

	if (to->left > LARGE_MAPPED)
		worker_going_long();
	n = may_map(g) ? filemap_read(g, gofer_file(f)->hf, to, pos) : 0;

	if (n &&
	    (!to->left || (uint64_t)*pos >= __atomic_load_n(&f->inode->size, __ATOMIC_RELAXED)))
		return (ssize_t)n;
	more = read_host(f, to, pos);
	return n ? (ssize_t)n + MAX(more, (ssize_t)0) : more;
}

/*
 * The file is at least this large. Behind gofer_outdated: another thread may just have asked the
 * host, before the change, and write down the size that it heard; from then on nobody believes it.
 */
static void grow_to(struct inode *i, uint64_t size)
{
	uint64_t old = __atomic_load_n(&i->size, __ATOMIC_RELAXED);

	while (old < size && !__atomic_compare_exchange_n(&i->size, &old, size, true,
							  __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
	if (old < size)
		lease_revoke(i, LEASE_READ);
}

static ssize_t write_at(struct file *f, struct uio *from, int64_t *pos)
{
	struct gofer_inode *g = gofer_inode(f->inode);
	uint64_t start = io_begin(g->super, from->left);
	ssize_t n = uio_pwrite_fd(from, gofer_file(f)->hf->fd, pos, from->left);

	stat_count(file_writes);
	io_end(g->super, start);
	if (n > 0) {
		gofer_outdated(g);
		grow_to(f->inode, (uint64_t)*pos);
	}
	return n;
}

/* What the host says when it can't copy between these two. */
static bool cannot_copy(int err)
{
	return err == EXDEV || err == EINVAL || err == EOPNOTSUPP || err == ENOSYS || err == EPERM;
}

static ssize_t file_copy_from(struct file *out, struct file *in, int64_t *in_pos, int64_t *pos,
			      uint64_t size)
{
	struct gofer_inode *g = gofer_inode(out->inode);
	uint64_t start = io_begin(g->super, size);
	off_t from = *in_pos, to = *pos;
	ssize_t n;

	do
		n = copy_file_range(gofer_file(in)->hf->fd, &from, gofer_file(out)->hf->fd, &to,
				    size, 0);
	while (n < 0 && errno == EINTR);
	/* Nothing, or not so: a read knows whether that is the end. */
	if (n == 0 || (n < 0 && cannot_copy(errno)))
		return -EXDEV;
	if (n < 0)
		return -errno;
	io_end(g->super, start);
	stat_count(file_copies);
	*in_pos += n;
	*pos += n;
	gofer_outdated(g);
	grow_to(out->inode, (uint64_t)*pos);
	return n;
}

static ssize_t append(struct file *f, struct uio *from, int64_t *pos)
{
	struct gofer_inode *g = gofer_inode(f->inode);
	ssize_t n = -EIO;
	int64_t end;

	mutex_lock(&g->append_lock);
	end = lseek(gofer_file(f)->hf->fd, 0, SEEK_END);
	if (end >= 0) {
		n = write_at(f, from, &end);
		*pos = end;
	}
	mutex_unlock(&g->append_lock);
	return n;
}

static int sync_fd(int fd, bool data_only)
{
	worker_going_long();
	return (data_only ? fdatasync(fd) : fsync(fd)) ? -errno : 0;
}

static ssize_t file_write(struct file *f, struct uio *from, int64_t *pos)
{
	uint32_t flags = atomic_load_explicit(&f->flags, memory_order_relaxed);
	ssize_t n = flags & ABI_O_APPEND ? append(f, from, pos) : write_at(f, from, pos);

	if (n > 0 && (flags & ABI_O_DSYNC)) {
		int err = sync_fd(gofer_file(f)->hf->fd, (flags & ABI_O_SYNC) != ABI_O_SYNC);

		if (err)
			return err;
	}
	return n;
}

static int64_t host_seek(struct file *f, int64_t offset, int whence)
{
	off_t pos = lseek(gofer_file(f)->hf->fd, offset, whence);

	return pos < 0 ? -errno : pos;
}

/* The host knows the size and the holes. */
static int64_t file_seek(struct file *f, int64_t offset, int whence)
{
	int64_t pos;

	switch (whence) {
	case ABI_SEEK_SET:
		pos = offset;
		break;
	case ABI_SEEK_CUR:
		if (__builtin_add_overflow(f->pos, offset, &pos))
			return -EOVERFLOW;
		break;
	case ABI_SEEK_END:
		pos = host_seek(f, 0, SEEK_END);
		if (pos >= 0 && __builtin_add_overflow(pos, offset, &pos))
			return -EOVERFLOW;
		break;
	case ABI_SEEK_DATA:
	case ABI_SEEK_HOLE:
		pos = host_seek(f, offset, whence == ABI_SEEK_DATA ? SEEK_DATA : SEEK_HOLE);
		if (pos < 0)
			return pos;
		break;
	default:
		return -EINVAL;
	}
	if (pos < 0)
		return -EINVAL;
	f->pos = pos;
	return pos;
}

/* The descriptor for mapping by somebody whose rights end at reading. */
static int map_readonly(struct file *f)
{
	struct gofer_file *gf = gofer_file(f);
	struct host_file *hf;
	int err;

	if (!file_writable(f))
		return gf->hf->fd;
	hf = __atomic_load_n(&gf->to_map, __ATOMIC_ACQUIRE);
	if (!hf) {
		struct host_file *none = NULL;

		err = gofer_host_file(gofer_inode(f->inode), false, &hf);
		if (err)
			return err;
		if (!__atomic_compare_exchange_n(&gf->to_map, &none, hf, false, __ATOMIC_ACQ_REL,
						 __ATOMIC_ACQUIRE)) {
			host_file_put(hf);
			hf = none;
		}
	}
	return hf->fd;
}

/*
 * A shared mapping of a file that was opened for writing may be made writable later, so it gets
 * the descriptor that allows it. Linux wants the file readable for any mapping.
 */
static int file_mmap_fd(struct file *f, uint32_t prot, uint32_t flags)
{
	struct gofer_inode *g = gofer_inode(f->inode);
	bool shared = (flags & ABI_MAP_TYPE) != ABI_MAP_PRIVATE;

	if (!file_readable(f))
		return -EACCES;
	if (!shared || !file_writable(f))
		return shared && (prot & ABI_PROT_WRITE) ? -EACCES : map_readonly(f);
	if (!atomic_exchange(&gofer_file(f)->mapped_shared, true))
		atomic_fetch_add(&g->mapped, 1);
	lease_revoke(g->inode, LEASE_STAT);
	return gofer_file(f)->hf->fd;
}

/*
 * Of the descriptors that the inode keeps now: an older one may show a file of overlayfs as it was
 * before it was copied up.
 */
static int file_lease(struct file *f, uint32_t *ret_what)
{
	struct gofer_inode *g = gofer_inode(f->inode);
	int fd = file_readable(f) && may_map(g) ? map_readonly(f) : -EOPNOTSUPP;
	bool kept;

	if (fd < 0)
		return fd;
	mutex_lock(&g->lock);
	kept = g->readable && g->readable->fd == fd;
	mutex_unlock(&g->lock);
	if (!kept)
		return -EAGAIN;
	*ret_what = LEASE_READ | (atomic_load(&g->mapped) ? 0 : LEASE_STAT) |
		    (atomic_load(&g->writers) ? 0 : LEASE_HEAD);
	return fd;
}

static ssize_t file_lend(struct file *f, int64_t pos, size_t max, struct pipe_block *ret)
{
	return filemap_lend(gofer_inode(f->inode), gofer_file(f)->hf, pos, max, ret);
}

static int file_fsync(struct file *f, bool data_only)
{
	return sync_fd(gofer_file(f)->hf->fd, data_only);
}

static int allocate(struct file *f, int mode, int64_t offset, int64_t size)
{
	struct gofer_inode *g = gofer_inode(f->inode);
	bool cuts = mode & ~FALLOC_FL_KEEP_SIZE;
	int err;

	if (cuts)
		filemap_cut_begin(g);
	err = fallocate(gofer_file(f)->hf->fd, mode, offset, size) ? -errno : 0;
	if (cuts)
		filemap_cut_end(g);
	return err;
}

static int file_fallocate(struct file *f, int mode, int64_t offset, int64_t size)
{
	int err;

	worker_going_long();
	err = allocate(f, mode, offset, size);
	if (err)
		return err;
	gofer_outdated(gofer_inode(f->inode));
	if (!(mode & ~FALLOC_FL_ZERO_RANGE))
		grow_to(f->inode, (uint64_t)(offset + size));
	/* Content has moved, and the end with it: what is read from memory ends at inode.size. */
	if (mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE))
		gofer_getattr(f->inode);
	return 0;
}

/* What we map stays in memory whatever the host is told. */
static void file_advise(struct file *f, int64_t offset, int64_t size, int advice)
{
	bool needed = advice == ABI_POSIX_FADV_WILLNEED;

	if (!needed)
		filemap_drop(gofer_inode(f->inode));
	worker_going_long();
	posix_fadvise(gofer_file(f)->hf->fd, offset, size,
		      needed ? POSIX_FADV_WILLNEED : POSIX_FADV_DONTNEED);
}

/* A shared tree's descriptors aren't kept: its files may be deleted by others. */
static void drop_unused(struct gofer_inode *g)
{
	bool used;

	mutex_lock(&g->lock);
	used = (g->readable && refcount_read(&g->readable->ref) > 1) ||
	       (g->writable && refcount_read(&g->writable->ref) > 1);
	mutex_unlock(&g->lock);
	if (!used)
		gofer_drop_kept(g);
}

static void file_release(struct file *f)
{
	struct gofer_inode *g = gofer_inode(f->inode);
	struct gofer_file *gf = gofer_file(f);

	if (atomic_load(&gf->mapped_shared)) {
		gofer_outdated(g);
		atomic_fetch_sub(&g->mapped, 1);
	}
	if (file_writable(f))
		atomic_fetch_sub(&g->writers, 1);
	host_file_put(gf->hf);
	host_file_put(gf->to_map);
	free(gf);
	if (g->super->shared || atomic_load_explicit(&f->inode->nlink, memory_order_relaxed) == 0)
		drop_unused(g);
}

static const struct file_ops file_ops = {
    .read = file_read,
    .write = file_write,
    .copy_from = file_copy_from,
    .seek = file_seek,
    .mmap_fd = file_mmap_fd,
    .lease = file_lease,
    .lend = file_lend,
    .fsync = file_fsync,
    .fallocate = file_fallocate,
    .advise = file_advise,
    .release = file_release,
};

static int file_open(struct inode *i, struct file *f)
{
	struct gofer_file *gf;
	struct host_file *hf;
	int err = gofer_host_file(gofer_inode(i), file_writable(f), &hf);

	if (err)
		return err;
	gf = xnew(struct gofer_file);
	gf->hf = hf;
	f->private = gf;
	f->ops = &file_ops;
	if (file_writable(f)) {
		atomic_fetch_add(&gofer_inode(i)->writers, 1);
		lease_revoke(i, LEASE_HEAD);
	}
	return 0;
}

const struct inode_ops gofer_file_ops = {
    GOFER_COMMON_INODE_OPS,
    .open = file_open,
};
