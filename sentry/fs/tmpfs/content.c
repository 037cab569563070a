/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The content of tmpfs files.
 *
 * A small file is an array of pages (pages.c): reading and writing it costs no host call as long as
 * these are on our heap, and there may be millions. When it is mapped into a guest, or grows beyond
 * SMALL_PAGES, its content moves to a host memfd of its own (once; it never moves back), because a
 * mapping needs a host descriptor, and one file is better for much data. Host descriptors are
 * finite, so vfs.content_fds is bounded: beyond the bound files can't be mapped (-ENFILE) and stay
 * pages up to SMALL_PAGES_MAX.
 *
 * Rights. A guest that gets a writable descriptor mapped shared could make the mapping writable
 * behind our back (mprotect goes to the host, DESIGN 3.4). So what it gets depends on what it asks:
 *
 *	MAP_PRIVATE			any descriptor: writes never reach the file
 *	MAP_SHARED, opened for writing	the writable one
 *	MAP_SHARED, opened read-only	one that was opened O_RDONLY, by way of the sandbox's proc
 *					(kernel.host_proc_fd). Without that: the writable one if the
 *					opener may write to the file anyway, else -EACCES
 *
 * Limits. A page of ours is charged when it is made. A memfd is charged for what write(2) and
 * fallocate(2) put into it; pages that a guest makes by touching a mapping of a hole are seen when
 * the file is next written. They are bounded by the container's memory cgroup as well.
 *
 * Seals are kept here, and given to the memfd too: the host then refuses F_SEAL_WRITE while there
 * are writable mappings, of which we know nothing for certain.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/mman.h"
#include "base/hostcall.h"
#include "base/mem.h"
#include "sentry/fs/tmpfs/tmpfs_internal.h"
#include "sentry/mm/usermem.h"
#include "sentry/vfs/vfs_internal.h"

#define SMALL_PAGES	256u	/* 1 MiB: beyond that a memfd is better */
#define SMALL_PAGES_MAX 262144u /* 1 GiB, if there is no descriptor to be had */
#define READ_FD_NONE	(-1)
#define READ_FD_NEVER	(-2)

static struct tmpfs_content *content_of(struct inode *i)
{
	return &tmpfs_i(i)->content;
}

static uint64_t pages_for(uint64_t size)
{
	return (size + TMPFS_PAGE - 1) / TMPFS_PAGE;
}

static void set_charged(struct inode *i, uint64_t pages)
{
	content_of(i)->charged = pages;
	i->blocks = pages * (TMPFS_PAGE / 512);
}

/* ---- pages ---- */

static struct tmpfs_store *store_of(const struct inode *i)
{
	return sb_vfs(i->sb)->pages;
}

static tmpfs_page page_at(const struct tmpfs_content *c, uint64_t index)
{
	return index < c->page_slots ? c->pages[index] : 0;
}

static void grow_slots(struct tmpfs_content *c, uint64_t count)
{
	uint32_t slots = c->page_slots ? c->page_slots : 4;

	if (count <= c->page_slots)
		return;
	while (slots < count)
		slots *= 2;
	c->pages = xrealloc(c->pages, slots * sizeof(*c->pages));
	memset(c->pages + c->page_slots, 0, (slots - c->page_slots) * sizeof(*c->pages));
	c->page_slots = slots;
}

/* The page, made (zeroed) if it is a hole. 0: no space. */
static tmpfs_page page_make(struct inode *i, uint64_t index)
{
	struct tmpfs_content *c = content_of(i);

	grow_slots(c, index + 1);
	if (!c->pages[index]) {
		if (tmpfs_charge(i->sb, 1))
			return 0;
		c->pages[index] = tmpfs_page_new(store_of(i));
		if (!c->pages[index]) {
			tmpfs_uncharge(i->sb, 1);
			return 0;
		}
		set_charged(i, c->charged + 1);
	}
	return c->pages[index];
}

static void pages_drop(struct inode *i, uint64_t from, uint64_t to)
{
	struct tmpfs_content *c = content_of(i);
	uint64_t dropped = 0;

	for (uint64_t n = from; n < MIN(to, (uint64_t)c->page_slots); n++) {
		if (!c->pages[n])
			continue;
		tmpfs_page_free(store_of(i), c->pages[n]);
		c->pages[n] = 0;
		dropped++;
	}
	tmpfs_uncharge(i->sb, dropped);
	set_charged(i, c->charged - dropped);
}

/* Zeroes [from, to) inside one page, if there is that page. */
static void page_zero(struct inode *i, uint64_t from, uint64_t to)
{
	tmpfs_page page = page_at(content_of(i), from / TMPFS_PAGE);

	if (page && to > from)
		tmpfs_page_zero(store_of(i), page, from % TMPFS_PAGE, to - from);
}

static void pages_punch(struct inode *i, uint64_t from, uint64_t to)
{
	uint64_t first = pages_for(from), last = to / TMPFS_PAGE;

	if (first > last) {
		page_zero(i, from, to);
		return;
	}
	page_zero(i, from, first * TMPFS_PAGE);
	pages_drop(i, first, last);
	page_zero(i, last * TMPFS_PAGE, to);
}

/* ---- the memfd ---- */

static bool take_fd(struct vfs *v)
{
	if (atomic_fetch_add(&v->content_fds, 1) < v->content_fd_limit)
		return true;
	atomic_fetch_sub(&v->content_fds, 1);
	return false;
}

/* Charges what the host says the memfd holds, if that is news. Over the limit: -ENOSPC. */
static int charge_real(struct inode *i)
{
	struct tmpfs_content *c = content_of(i);
	struct stat st;
	uint64_t pages;
	int err = 0;

	if (fstat(c->fd, &st))
		return 0;
	pages = (uint64_t)st.st_blocks / (TMPFS_PAGE / 512);
	if (pages > c->charged)
		err = tmpfs_charge(i->sb, pages - c->charged);
	else
		tmpfs_uncharge(i->sb, c->charged - pages);
	if (!err)
		set_charged(i, pages);
	return err;
}

static int pages_to_fd(const struct inode *i, const struct tmpfs_content *c, int fd, uint64_t size)
{
	if (ftruncate(fd, (off_t)size))
		return -errno;
	for (uint32_t n = 0; n < c->page_slots; n++) {
		uint64_t at = (uint64_t)n * TMPFS_PAGE;
		int err;

		if (!c->pages[n] || at >= size)
			continue;
		err = tmpfs_page_to_fd(store_of(i), c->pages[n], fd, (int64_t)at,
				       MIN(size - at, (uint64_t)TMPFS_PAGE));
		if (err)
			return err;
	}
	return 0;
}

/* Moves the content to a memfd. -ENFILE, or the host's error. */
static int ensure_fd(struct inode *i)
{
	struct tmpfs_content *c = content_of(i);
	struct vfs *v = sb_vfs(i->sb);
	int fd, err;

	assert_held(&i->lock);
	if (c->fd >= 0)
		return 0;
	if (!take_fd(v))
		return -ENFILE;
	fd = host_memfd("tmpfs", HOST_MEMFD_DATA);
	err = fd < 0 ? fd : pages_to_fd(i, c, fd, i->size);
	if (err) {
		if (fd >= 0)
			close(fd);
		atomic_fetch_sub(&v->content_fds, 1);
		return err == -EMFILE ? -ENFILE : err;
	}
	for (uint32_t n = 0; n < c->page_slots; n++)
		tmpfs_page_free(store_of(i), c->pages[n]);
	free(c->pages);
	c->pages = NULL;
	c->page_slots = 0;
	c->fd = fd;
	return 0;
}

/* A descriptor of the memfd without the right to write, or -1. */
static int read_only_fd(struct inode *i)
{
	struct tmpfs_content *c = content_of(i);
	int proc = i->sb->kernel->host_proc_fd;
	char path[48];

	if (c->read_fd != READ_FD_NONE)
		return MAX(c->read_fd, -1);
	c->read_fd = READ_FD_NEVER;
	if (proc >= 0 && take_fd(sb_vfs(i->sb))) {
		snprintf(path, sizeof(path), "self/fd/%d", c->fd);
		c->read_fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
		if (c->read_fd < 0) {
			c->read_fd = READ_FD_NEVER;
			atomic_fetch_sub(&sb_vfs(i->sb)->content_fds, 1);
		}
	}
	return MAX(c->read_fd, -1);
}

void tmpfs_content_free(struct inode *i)
{
	struct tmpfs_content *c = content_of(i);
	struct vfs *v = sb_vfs(i->sb);

	if (c->fd >= 0) {
		close(c->fd);
		atomic_fetch_sub(&v->content_fds, 1);
	}
	if (c->read_fd >= 0) {
		close(c->read_fd);
		atomic_fetch_sub(&v->content_fds, 1);
	}
	for (uint32_t n = 0; n < c->page_slots; n++)
		tmpfs_page_free(store_of(i), c->pages[n]);
	free(c->pages);
	tmpfs_uncharge(i->sb, c->charged);
}

/* ---- reading and writing ---- */

static ssize_t pages_read(struct inode *i, struct uio *to, uint64_t pos, uint64_t size)
{
	ssize_t done = 0, n;

	while (size) {
		uint64_t piece = MIN(size, (uint64_t)(TMPFS_PAGE - pos % TMPFS_PAGE));
		tmpfs_page page = page_at(content_of(i), pos / TMPFS_PAGE);

		n = page ? tmpfs_page_read(store_of(i), page, to, pos % TMPFS_PAGE, piece)
			 : uio_write_zeros(to, piece);
		if (n < 0)
			return done ? done : n;
		done += n;
		if ((uint64_t)n < piece)
			break;
		pos += piece;
		size -= piece;
	}
	return done;
}

static ssize_t pages_write(struct inode *i, struct uio *from, uint64_t pos)
{
	ssize_t done = 0, n;

	while (from->left) {
		uint64_t piece = MIN(from->left, (uint64_t)(TMPFS_PAGE - pos % TMPFS_PAGE));
		tmpfs_page page = page_make(i, pos / TMPFS_PAGE);

		if (!page)
			return done ? done : -ENOSPC;
		n = tmpfs_page_write(store_of(i), page, from, pos % TMPFS_PAGE, piece);
		if (n < 0)
			return done ? done : n;
		done += n;
		if ((uint64_t)n < piece)
			break;
		pos += piece;
	}
	return done;
}

static ssize_t file_read(struct file *f, struct uio *to, int64_t *pos)
{
	struct inode *i = f->inode;
	struct tmpfs_content *c = content_of(i);
	ssize_t ret = 0;

	mutex_lock(&i->lock);
	if ((uint64_t)*pos < i->size && to->left) {
		uint64_t size = MIN(to->left, i->size - (uint64_t)*pos);

		if (c->fd >= 0) {
			int64_t offset = *pos;

			ret = uio_pread_fd(to, c->fd, &offset, size);
		} else {
			ret = pages_read(i, to, (uint64_t)*pos, size);
		}
	}
	if (ret > 0)
		*pos += ret;
	if (!(f->flags & ABI_O_NOATIME))
		i->atime = tmpfs_now();
	mutex_unlock(&i->lock);
	return ret;
}

static ssize_t fd_write(struct inode *i, struct uio *from, int64_t pos)
{
	struct tmpfs_content *c = content_of(i);
	uint64_t old_pages = pages_for(i->size), new_pages;
	bool all_charged = c->charged >= old_pages;
	struct tmpfs_sb *s = tmpfs_s(i->sb);
	ssize_t n;

	new_pages = MAX(pages_for((uint64_t)pos + from->left), old_pages);
	/* With a limit, see first that there is room for what is new. */
	if (s->page_max && (!all_charged || new_pages > old_pages) &&
	    atomic_load(&s->page_count) + MIN(new_pages - old_pages, pages_for(from->left)) >
		s->page_max)
		return -ENOSPC;
	n = uio_pwrite_fd(from, c->fd, &pos, from->left);
	if (n > 0 && (!all_charged || pages_for((uint64_t)pos) > old_pages))
		charge_real(i);
	return n;
}

static int check_seals_write(const struct tmpfs_content *c, uint64_t size, uint64_t end)
{
	if (c->seals & (ABI_F_SEAL_WRITE | ABI_F_SEAL_FUTURE_WRITE))
		return -EPERM;
	return (c->seals & ABI_F_SEAL_GROW) && end > size ? -EPERM : 0;
}

static ssize_t write_locked(struct inode *i, struct uio *from, int64_t pos)
{
	struct tmpfs_content *c = content_of(i);
	uint64_t end;
	int err;

	if (__builtin_add_overflow((uint64_t)pos, from->left, &end) || end > INT64_MAX)
		return -EFBIG;
	err = check_seals_write(c, i->size, end);
	if (err)
		return err;
	if (c->fd < 0 && pages_for(end) > SMALL_PAGES && ensure_fd(i) &&
	    pages_for(end) > SMALL_PAGES_MAX)
		return -ENOSPC;
	return c->fd >= 0 ? fd_write(i, from, pos) : pages_write(i, from, (uint64_t)pos);
}

static ssize_t file_write(struct file *f, struct uio *from, int64_t *pos)
{
	struct inode *i = f->inode;
	ssize_t ret;

	mutex_lock(&i->lock);
	if (f->flags & ABI_O_APPEND)
		*pos = (int64_t)i->size;
	ret = write_locked(i, from, *pos);
	if (ret > 0) {
		*pos += ret;
		if ((uint64_t)*pos > i->size)
			i->size = (uint64_t)*pos;
		i->mtime = i->ctime = tmpfs_now();
	}
	mutex_unlock(&i->lock);
	return ret;
}

/* ---- size ---- */

int tmpfs_content_truncate(struct inode *i, uint64_t size)
{
	struct tmpfs_content *c = content_of(i);

	if (((c->seals & ABI_F_SEAL_SHRINK) && size < i->size) ||
	    ((c->seals & ABI_F_SEAL_GROW) && size > i->size))
		return -EPERM;
	if (size > INT64_MAX)
		return -EFBIG;
	if (c->fd >= 0) {
		if (ftruncate(c->fd, (off_t)size))
			return -errno;
		charge_real(i);
	} else if (size < i->size) {
		pages_drop(i, pages_for(size), UINT64_MAX);
		if (size % TMPFS_PAGE)
			page_zero(i, size, pages_for(size) * TMPFS_PAGE);
	}
	i->size = size;
	return 0;
}

static int64_t heap_seek(struct inode *i, uint64_t pos, bool data)
{
	struct tmpfs_content *c = content_of(i);

	for (uint64_t n = pos / TMPFS_PAGE; n * TMPFS_PAGE < i->size; n++) {
		if (n >= c->page_slots)
			return data ? -ENXIO : (int64_t)MAX(n * TMPFS_PAGE, pos);
		if ((c->pages[n] != 0) == data)
			return (int64_t)MAX(n * TMPFS_PAGE, pos);
	}
	return data ? -ENXIO : (int64_t)i->size;
}

static int64_t seek_data(struct inode *i, int64_t offset, int whence)
{
	struct tmpfs_content *c = content_of(i);
	bool data = whence == ABI_SEEK_DATA;
	int64_t ret = -ENXIO;

	mutex_lock(&i->lock);
	if (offset >= 0 && (uint64_t)offset < i->size) {
		if (c->fd < 0)
			ret = heap_seek(i, (uint64_t)offset, data);
		else
			ret = lseek(c->fd, offset, data ? SEEK_DATA : SEEK_HOLE);
		if (ret == -1)
			ret = -errno;
	}
	mutex_unlock(&i->lock);
	return ret;
}

/* Called with file.lock held. */
static int64_t file_seek(struct file *f, int64_t offset, int whence)
{
	int64_t base = 0;

	switch (whence) {
	case ABI_SEEK_SET:
		break;
	case ABI_SEEK_CUR:
		base = f->pos;
		break;
	case ABI_SEEK_END:
		base = (int64_t)__atomic_load_n(&f->inode->size, __ATOMIC_RELAXED);
		break;
	case ABI_SEEK_DATA:
	case ABI_SEEK_HOLE:
		offset = seek_data(f->inode, offset, whence);
		if (offset < 0)
			return offset;
		break;
	default:
		return -EINVAL;
	}
	if (__builtin_add_overflow(base, offset, &base))
		return -EOVERFLOW;
	if (base < 0)
		return -EINVAL;
	f->pos = base;
	return base;
}

/* ---- fallocate ---- */

static int heap_allocate(struct inode *i, uint64_t from, uint64_t to)
{
	for (uint64_t n = from / TMPFS_PAGE; n < pages_for(to); n++)
		if (!page_make(i, n))
			return -ENOSPC;
	return 0;
}

/*
 * The pages between `from` and `to` that the memfd doesn't hold. Those that fallocate made and
 * nobody wrote look like holes to the host too.
 */
static uint64_t hole_pages(int fd, uint64_t from, uint64_t to)
{
	uint64_t holes = 0;

	from -= from % TMPFS_PAGE;
	while (from < to) {
		int64_t hole = lseek(fd, (off_t)from, SEEK_HOLE);
		uint64_t start = hole < 0 ? from : (uint64_t)hole, end;
		int64_t data;

		if (start >= to)
			break;
		data = lseek(fd, (off_t)start, SEEK_DATA);
		end = data < 0 ? to : MIN((uint64_t)data, to);
		holes += pages_for(end - start);
		from = MAX(end, start + 1);
	}
	return holes;
}

/* At most so many pages come to be when these bytes are allocated. */
static uint64_t pages_missing(struct inode *i, uint64_t from, uint64_t size)
{
	const struct tmpfs_content *c = content_of(i);
	uint64_t all = pages_for(MAX(i->size, from + size));

	return MIN(all - MIN(all, c->charged), hole_pages(c->fd, from, from + size));
}

static int host_fallocate(struct inode *i, int mode, int64_t offset, int64_t size)
{
	struct tmpfs_sb *s = tmpfs_s(i->sb);
	/* What the host gave it wouldn't take back, so room for it comes first. */
	if (!(mode & ABI_FALLOC_FL_PUNCH_HOLE) && s->page_max &&
	    atomic_load(&s->page_count) + pages_missing(i, (uint64_t)offset, (uint64_t)size) >
		s->page_max)
		return -ENOSPC;
	/* The numbers of the modes are the host's. */
	if (fallocate(content_of(i)->fd, mode, offset, size))
		return -errno;
	return charge_real(i);
}

static int allocate_locked(struct inode *i, int mode, int64_t offset, int64_t size)
{
	struct tmpfs_content *c = content_of(i);
	uint64_t from = (uint64_t)offset, to = from + (uint64_t)size;
	int err;

	if (mode & ABI_FALLOC_FL_PUNCH_HOLE) {
		if (c->seals & (ABI_F_SEAL_WRITE | ABI_F_SEAL_FUTURE_WRITE))
			return -EPERM;
		if (c->fd >= 0)
			return host_fallocate(i, mode, offset, size);
		pages_punch(i, from, to);
		return 0;
	}
	if ((c->seals & ABI_F_SEAL_GROW) && to > i->size)
		return -EPERM;
	if (c->fd < 0 && pages_for(to) > SMALL_PAGES && ensure_fd(i))
		return -ENOSPC;
	if (c->fd >= 0)
		err = host_fallocate(i, mode, offset, size);
	else
		err = heap_allocate(i, from, to);
	if (!err && !(mode & ABI_FALLOC_FL_KEEP_SIZE))
		i->size = MAX(i->size, to);
	return err;
}

static int file_fallocate(struct file *f, int mode, int64_t offset, int64_t size)
{
	struct inode *i = f->inode;
	int err;

	if (mode & ~(ABI_FALLOC_FL_KEEP_SIZE | ABI_FALLOC_FL_PUNCH_HOLE))
		return -EOPNOTSUPP;
	mutex_lock(&i->lock);
	err = allocate_locked(i, mode, offset, size);
	if (!err)
		i->mtime = i->ctime = tmpfs_now();
	mutex_unlock(&i->lock);
	return err;
}

/* ---- mapping ---- */

/* A guest may use a descriptor as it likes: one without the right to write, or the guest's. */
static int fd_to_read(struct file *f)
{
	int fd = read_only_fd(f->inode);

	if (fd >= 0)
		return fd;
	if (vfs_permission(f->inode, f->cred, MAY_WRITE))
		return -EACCES;
	return content_of(f->inode)->fd;
}

static int file_mmap_fd(struct file *f, uint32_t prot, uint32_t flags)
{
	bool shared = (flags & ABI_MAP_TYPE) != ABI_MAP_PRIVATE;
	struct inode *i = f->inode;
	struct tmpfs_content *c = content_of(i);
	bool sealed;
	int ret;

	mutex_lock(&i->lock);
	sealed = c->seals & (ABI_F_SEAL_WRITE | ABI_F_SEAL_FUTURE_WRITE);
	ret = ensure_fd(i);
	if (!ret && shared && (prot & ABI_PROT_WRITE) && (sealed || !file_writable(f)))
		ret = sealed ? -EPERM : -EACCES;
	if (!ret)
		ret = !file_writable(f) || sealed ? fd_to_read(f) : c->fd;
	mutex_unlock(&i->lock);
	return ret;
}

/* ---- seals ---- */

static bool is_tmpfs_file(const struct file *f)
{
	return f->ops == &tmpfs_file_ops;
}

/*
 * Seals the host's file too: 0, or -EBUSY while somebody has it mapped for writing. A host without
 * seals can't tell; then the mappings that we know of and our own checks of c->seals must do.
 */
static int seal_host_file(struct inode *i, uint32_t seals)
{
	/* The numbers are the host's. Writing through our own descriptor ends with F_SEAL_WRITE. */
	int err =
	    host_seal(content_of(i)->fd, seals & (ABI_F_SEAL_SHRINK | ABI_F_SEAL_GROW |
						  ABI_F_SEAL_WRITE | ABI_F_SEAL_FUTURE_WRITE));

	if (err != -EINVAL)
		return err;
	return (seals & ABI_F_SEAL_WRITE) && atomic_load(&i->shared_maps) ? -EBUSY : 0;
}

int tmpfs_add_seals(struct file *f, uint32_t seals)
{
	struct inode *i = f->inode;
	struct tmpfs_content *c = content_of(i);
	int err = 0;

	if (!is_tmpfs_file(f) || (seals & ~0x3fu))
		return -EINVAL;
	if (!file_writable(f))
		return -EPERM;
	mutex_lock(&i->lock);
	if (c->seals & ABI_F_SEAL_SEAL)
		err = -EPERM;
	else if (c->fd >= 0)
		err = seal_host_file(i, seals);
	if (!err)
		c->seals |= seals;
	mutex_unlock(&i->lock);
	return err;
}

int tmpfs_get_seals(struct file *f)
{
	return is_tmpfs_file(f) ? (int)content_of(f->inode)->seals : -EINVAL;
}

const struct file_ops tmpfs_file_ops = {
    .read = file_read,
    .write = file_write,
    .seek = file_seek,
    .mmap_fd = file_mmap_fd,
    .fallocate = file_fallocate,
};
