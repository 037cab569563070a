/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory (usermem.h). The platform serves a range from a window of the present call or from
 * the process; here are the bounds, the strings and the cursors.
 *
 * Every access is cut at PLATFORM_GUEST_MAX first: what lies above is the stub's, and a guest that
 * passes such an address gets the fault that Linux gives for a kernel address.
 */
#include "sentry/mm/usermem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "abi/uio.h"
#include "base/compiler.h"
#include "base/feature.h"
#include "base/guard.h"
#include "base/log.h"
#include "base/mem.h"
#include "platform/platform.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/task_block.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/patch.h"

#define USER_PAGE    4096u
#define BOUNCE_MAX   (256u << 10)
#define REMOTE_PIECE (16u << 10)
#define STRDUP_PIECE 256u

static const char zeros[USER_PAGE];

/* How many of the size bytes at va a guest may name. */
static size_t bounded(uint64_t va, size_t size)
{
	if (va >= PLATFORM_GUEST_MAX)
		return 0;
	return MIN((uint64_t)size, PLATFORM_GUEST_MAX - va);
}

/* Patched text can't be read, or not as it is (patch.h). */
static size_t corrected(struct mm *mm, uint64_t va, void *dst, size_t size, size_t n)
{
	return likely(!mm || !mm_has_patches(mm, n == size)) ? n : patch_read(mm, va, dst, size, n);
}

/* Bytes copied from the start. */
static size_t task_read(struct task *t, uint64_t va, void *dst, size_t size)
{
	struct platform_mm *mm;
	size_t done = 0, n;

	size = bounded(va, size);
	if (!size || !t->pt)
		return 0;
	mm = platform_thread_mm(t->pt);
	do { /* behind patched text there may be more, that can be read */
		n = platform_read(t->pt, mm, va + done, (char *)dst + done, size - done);
		n = corrected(t->mm, va + done, (char *)dst + done, size - done, n);
		done += n;
	} while (unlikely(done < size) && n && t->mm && mm_has_patches(t->mm, false));
	return done;
}

static size_t task_write(struct task *t, uint64_t va, const void *src, size_t size)
{
	size = bounded(va, size);
	if (!size || !t->pt)
		return 0;
	return platform_write(t->pt, platform_thread_mm(t->pt), va, src, size);
}

static size_t task_write_zeros(struct task *t, uint64_t va, size_t size)
{
	size_t done = 0;

	while (done < size) {
		size_t piece = MIN(size - done, sizeof(zeros));
		size_t n = task_write(t, va + done, zeros, piece);

		done += n;
		if (n < piece)
			break;
	}
	return done;
}

int copy_from_user(struct task *t, void *dst, uaddr_t src, size_t size)
{
	return task_read(t, src.va, dst, size) == size ? 0 : -EFAULT;
}

int copy_to_user(struct task *t, uaddr_t dst, const void *src, size_t size)
{
	return task_write(t, dst.va, src, size) == size ? 0 : -EFAULT;
}

int clear_user(struct task *t, uaddr_t dst, size_t size)
{
	return task_write_zeros(t, dst.va, size) == size ? 0 : -EFAULT;
}

/* ---- strings ---- */

#define STRING_PIECE 128

/*
 * Copies the next piece of a string: what a window holds, or what is left of the page (so that a
 * string that ends before an unmapped page can be read). Bytes copied, 0 on a fault.
 */
static size_t read_string_piece(struct task *t, char *dst, uint64_t va, size_t size)
{
	size_t in_window, room = bounded(va, size);
	const void *window = NULL;

	if (!room || !t->pt)
		return 0;
	window = platform_window_rest(t->pt, va, &in_window);
	if (window) {
		/* The window goes on behind most strings' end. */
		room = MIN(MIN(room, in_window), (size_t)STRING_PIECE);
		memcpy(dst, window, room);
		return room;
	}
	return task_read(t, va, dst, MIN(room, (size_t)(USER_PAGE - va % USER_PAGE)));
}

ssize_t strncpy_from_user(struct task *t, char *dst, uaddr_t src, size_t size)
{
	size_t done = 0;

	while (done < size) {
		size_t n = read_string_piece(t, dst + done, src.va + done, size - done);
		const char *nul = n ? memchr(dst + done, 0, n) : NULL;

		if (!n)
			return -EFAULT;
		if (nul)
			return nul - dst;
		done += n;
	}
	return -ENAMETOOLONG;
}

ssize_t strdup_from_user(struct task *t, uaddr_t src, size_t max, char **ret_s)
{
	size_t capacity = MIN(max, (size_t)STRDUP_PIECE), done = 0;
	char *s = xmalloc(capacity);
	ssize_t n;

	for (;;) {
		n = strncpy_from_user(t, s + done, uaddr_add(src, done), capacity - done);
		if (n != -ENAMETOOLONG || capacity == max)
			break;
		done = capacity;
		capacity = MIN(capacity * 4, max);
		s = xrealloc(s, capacity);
	}
	if (n < 0) {
		free(s);
		return n;
	}
	*ret_s = s;
	return (ssize_t)done + n;
}

/* ---- other tasks ---- */

/*
 * t->pt changes in exec and goes away in exit under siglock; holding that keeps the platform's
 * objects. So the pieces are small.
 */
static size_t remote_piece(struct task *t, uint64_t program, uint64_t va, void *buf, size_t size,
			   bool write)
{
	struct mm *mm;
	size_t n = 0;

	size = MIN(bounded(va, size), (size_t)REMOTE_PIECE);
	if (!size)
		return 0;
	mutex_lock(&t->tg->siglock);
	if (t->program != program || program % 2)
		size = 0;
	else if (t->pt && write)
		n = platform_write(NULL, platform_thread_mm(t->pt), va, buf, size);
	else if (t->pt)
		n = platform_read(NULL, platform_thread_mm(t->pt), va, buf, size);
	mutex_unlock(&t->tg->siglock);
	if (size && !write && (mm = task_mm_get(t))) {
		n = corrected(mm, va, buf, size, n);
		mm_put(mm);
	}
	return n;
}

static ssize_t remote_copy(struct task *t, uint64_t program, uint64_t va, char *buf, size_t size,
			   bool write)
{
	size_t done = 0;

	while (done < size) {
		size_t n = remote_piece(t, program, va + done, buf + done, size - done, write);

		if (!n)
			break;
		done += n;
	}
	return done || !size ? (ssize_t)done : -EFAULT;
}

uint64_t task_program(struct task *t)
{
	uint64_t program;

	mutex_lock(&t->tg->siglock);
	program = t->program;
	mutex_unlock(&t->tg->siglock);
	return program;
}

ssize_t read_task_memory(struct task *t, uint64_t program, uaddr_t src, void *dst, size_t size)
{
	return remote_copy(t, program, src.va, dst, size, false);
}

ssize_t write_task_memory(struct task *t, uint64_t program, uaddr_t dst, const void *src,
			  size_t size)
{
	return remote_copy(t, program, dst.va, (char *)src, size, true);
}

/* ---- cursors ---- */

void uio_init_user(struct uio *u, struct task *t, uaddr_t va, uint64_t size)
{
	size = MIN(size, UIO_BYTES_MAX);
	*u = (struct uio){.task = t, .one = {va.va, size}, .segment_count = 1, .left = size};
	u->segments = &u->one;
	if (size > UIO_LONG)
		worker_going_long();
}

void uio_init_kernel(struct uio *u, void *buf, uint64_t size)
{
	size = MIN(size, UIO_BYTES_MAX);
	*u = (struct uio){.kernel = buf, .one = {0, size}, .segment_count = 1, .left = size};
	u->segments = &u->one;
}

/* Checks one element of the guest's array and puts it behind the others (import_iovec of Linux). */
static int add_segment(struct uio *u, const struct abi_iovec *v)
{
	uint64_t size = v->len;

	if ((int64_t)size < 0)
		return -EINVAL;
	if (size && bounded(v->base, size) != size)
		return -EFAULT;
	size = MIN(size, UIO_BYTES_MAX - u->left);
	u->segments[u->segment_count++] = (struct uio_segment){v->base, size};
	u->left += size;
	return 0;
}

int uio_init_iovec(struct uio *u, struct task *t, uaddr_t iov, uint64_t count)
{
	struct abi_iovec few[8] = {0}, *vec = few;
	int err = 0;

	if (count > UIO_SEGMENTS_MAX)
		return -EINVAL;
	*u = (struct uio){.task = t, .segments = &u->one};
	if (count > array_count(few))
		vec = xcalloc(count, sizeof(*vec));
	if (count > 1) {
		u->segments = xcalloc(count, sizeof(*u->segments));
		u->owns_segments = true;
	}
	if (count)
		err = copy_from_user(t, vec, iov, count * sizeof(*vec));
	for (uint64_t i = 0; i < count && !err; i++)
		err = add_segment(u, &vec[i]);
	if (vec != few)
		free(vec);
	if (err)
		uio_free(u);
	else if (u->left > UIO_LONG)
		worker_going_long();
	return err;
}

void uio_free(struct uio *u)
{
	if (u->owns_segments)
		free(u->segments);
	u->owns_segments = false;
	u->segments = NULL;
	u->segment_count = 0;
	u->left = 0;
}

static void uio_advance(struct uio *u, size_t bytes)
{
	debug_check(bytes <= u->left);
	u->offset += bytes;
	u->left -= bytes;
	while (u->index < u->segment_count && u->offset >= u->segments[u->index].size) {
		u->offset -= u->segments[u->index].size;
		u->index++;
	}
}

/* The address of the next byte and how many follow it in its segment, at most max. */
static size_t uio_next(struct uio *u, size_t max, uint64_t *ret_va)
{
	uio_advance(u, 0); /* over empty segments */
	max = MIN((uint64_t)max, u->left);
	if (!max)
		return 0;
	*ret_va = u->segments[u->index].va + u->offset;
	return MIN((uint64_t)max, u->segments[u->index].size - u->offset);
}

enum uio_kind { UIO_TO_GUEST, UIO_FROM_GUEST, UIO_ZEROS };

/* One piece within one segment; bytes done. */
static size_t copy_piece(struct uio *u, uint64_t va, char *buf, size_t size, enum uio_kind kind)
{
	if (u->task) {
		if (kind == UIO_ZEROS)
			return task_write_zeros(u->task, va, size);
		return kind == UIO_TO_GUEST ? task_write(u->task, va, buf, size)
					    : task_read(u->task, va, buf, size);
	}
	if (kind == UIO_ZEROS)
		memset(u->kernel + va, 0, size);
	else if (kind == UIO_TO_GUEST)
		memcpy(u->kernel + va, buf, size);
	else
		memcpy(buf, u->kernel + va, size);
	return size;
}

static ssize_t uio_copy(struct uio *u, char *buf, size_t size, enum uio_kind kind)
{
	size_t done = 0, piece;
	uint64_t va;

	while ((piece = uio_next(u, size - done, &va)) > 0) {
		size_t n = copy_piece(u, va, buf ? buf + done : NULL, piece, kind);

		uio_advance(u, n);
		done += n;
		if (n < piece)
			return done ? (ssize_t)done : -EFAULT;
	}
	return (ssize_t)done;
}

ssize_t uio_write(struct uio *u, const void *src, size_t size)
{
	return uio_copy(u, (char *)src, size, UIO_TO_GUEST);
}

ssize_t uio_read(struct uio *u, void *dst, size_t size)
{
	return uio_copy(u, dst, size, UIO_FROM_GUEST);
}

ssize_t uio_write_zeros(struct uio *u, size_t size)
{
	return uio_copy(u, NULL, size, UIO_ZEROS);
}

/* ---- host descriptors ---- */

enum transfer_kind { INTO_GUEST, INTO_GUEST_NOWAIT, FROM_GUEST };

static ssize_t read_nowait(int fd, void *buf, size_t size, int64_t offset)
{
	struct iovec iov = {buf, size};

	return preadv2(fd, &iov, 1, offset, RWF_NOWAIT);
}

static ssize_t host_read(int fd, void *buf, size_t size, const int64_t *offset,
			 enum transfer_kind kind)
{
	ssize_t n;

	do
		n = kind == INTO_GUEST_NOWAIT ? read_nowait(fd, buf, size, *offset)
		    : offset		      ? pread(fd, buf, size, *offset)
					      : read(fd, buf, size);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static ssize_t host_write(int fd, const void *buf, size_t size, const int64_t *offset)
{
	ssize_t n;

	do
		n = offset ? pwrite(fd, buf, size, *offset) : write(fd, buf, size);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* Where the host may transfer directly: the sentry's own buffer, or a window that covers all. */
static void *direct_buffer(struct uio *u, uint64_t va, size_t size, bool for_write)
{
	if (!u->task)
		return u->kernel + va;
	if (!u->task->pt || bounded(va, size) != size)
		return NULL;
	return platform_window(u->task->pt, va, size, for_write);
}

static ssize_t read_direct(struct uio *u, uint64_t va, void *to, size_t size, int fd,
			   int64_t *offset, enum transfer_kind kind)
{
	ssize_t n = host_read(fd, to, size, offset, kind);

	if (n <= 0)
		return n;
	if (u->task)
		platform_window_written(u->task->pt, va, (size_t)n);
	uio_advance(u, (size_t)n);
	return n;
}

/*
 * Where no window covers all of it the host copies, from the source to the guest's memory at once:
 * what is gone is a short count for it.
 */
static size_t guarded_piece(struct uio *u, uint64_t va, const void *src, size_t size)
{
	void *to = direct_buffer(u, va, size, true);
	size_t n;

	if (!to)
		return bounded(va, size) == size ? task_write(u->task, va, src, size) : 0;
	n = guarded_copy(to, src, size);
	if (n && u->task)
		platform_window_written(u->task->pt, va, n);
	return n;
}

size_t uio_write_guarded(struct uio *u, const void *src, size_t size)
{
	size_t done = 0, piece;
	uint64_t va;

	while ((piece = uio_next(u, size - done, &va)) > 0) {
		size_t n = guarded_piece(u, va, (const char *)src + done, piece);

		uio_advance(u, n);
		done += n;
		if (n < piece)
			break;
	}
	return done;
}

/* The bounce buffer of one transfer, made when it is first needed. */
struct bounce {
	char *data;
	size_t size;
};

static char *bounce_get(struct bounce *b, const struct uio *u, size_t size)
{
	if (!b->data) {
		b->size = MIN((uint64_t)MIN(size, (size_t)BOUNCE_MAX), u->left);
		b->data = xmalloc(b->size);
	}
	return b->data;
}

static ssize_t read_bounced(struct uio *u, struct bounce *b, size_t size, int fd, int64_t *offset,
			    enum transfer_kind kind)
{
	char *buf = bounce_get(b, u, size);
	ssize_t n = host_read(fd, buf, MIN(size, b->size), offset, kind);

	return n > 0 ? uio_write(u, buf, (size_t)n) : n;
}

static ssize_t write_bounced(struct uio *u, struct bounce *b, size_t size, int fd, int64_t *offset)
{
	char *buf = bounce_get(b, u, size);
	struct uio at = *u;
	ssize_t got, n;

	if (u->segments == &u->one)
		at.segments = &at.one;
	got = uio_read(&at, buf, MIN(size, b->size));
	if (got <= 0)
		return got;
	n = host_write(fd, buf, (size_t)got, offset);
	if (n > 0)
		uio_advance(u, (size_t)n);
	return n;
}

/* One host call's worth; *ret_asked is how much it tried, so that the caller sees a short one. */
static ssize_t transfer_piece(struct uio *u, struct bounce *b, size_t size, int fd, int64_t *offset,
			      enum transfer_kind kind, size_t *ret_asked)
{
	uint64_t va = 0;
	size_t piece = uio_next(u, size, &va);
	void *direct = direct_buffer(u, va, piece, kind != FROM_GUEST);
	ssize_t n;

	if (direct) {
		*ret_asked = piece;
		if (kind != FROM_GUEST)
			return read_direct(u, va, direct, piece, fd, offset, kind);
		n = host_write(fd, direct, piece, offset);
		if (n > 0)
			uio_advance(u, (size_t)n);
		return n;
	}
	bounce_get(b, u, size);
	*ret_asked = MIN(MIN(size, b->size), u->left);
	return kind == FROM_GUEST ? write_bounced(u, b, *ret_asked, fd, offset)
				  : read_bounced(u, b, *ret_asked, fd, offset, kind);
}

static ssize_t transfer(struct uio *u, int fd, int64_t *offset, size_t size,
			enum transfer_kind kind)
{
	struct bounce bounce = {NULL, 0};
	ssize_t done = 0, n = 0;
	size_t asked = 0;

	while ((size_t)done < size && u->left) {
		n = transfer_piece(u, &bounce, size - (size_t)done, fd, offset, kind, &asked);
		if (n <= 0)
			break;
		done += n;
		if (offset)
			*offset += n;
		if ((size_t)n < asked)
			break;
	}
	free(bounce.data);
	return done ? done : n;
}

ssize_t uio_pread_fd(struct uio *u, int fd, int64_t *offset, size_t size)
{
	return transfer(u, fd, offset, size, INTO_GUEST);
}

ssize_t uio_pread_fd_nowait(struct uio *u, int fd, int64_t *offset, size_t size)
{
	if (feature_off(FEATURE_RWF_NOWAIT))
		return -EOPNOTSUPP;
	return transfer(u, fd, offset, size, INTO_GUEST_NOWAIT);
}

ssize_t uio_pwrite_fd(struct uio *u, int fd, int64_t *offset, size_t size)
{
	return transfer(u, fd, offset, size, FROM_GUEST);
}
