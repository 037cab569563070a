/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory: the only way in and out. Only usermem.c looks inside a uaddr_t. A range is served
 * from a window of the present call when one covers it, from the process otherwise; callers never
 * know which. Copy once, check the copy.
 */
#ifndef SENTRY_MM_USERMEM_H
#define SENTRY_MM_USERMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi/types.h"

struct task;
struct iovec;

static inline uaddr_t uaddr(uint64_t va)
{
	return (uaddr_t){va};
}

static inline bool uaddr_null(uaddr_t a)
{
	return a.va == 0;
}

static inline uaddr_t uaddr_add(uaddr_t a, uint64_t bytes)
{
	return (uaddr_t){a.va + bytes};
}

/* All of size bytes: 0 or -EFAULT. For the task in hand (its owner). */
int copy_from_user(struct task *t, void *dst, uaddr_t src, size_t size);
int copy_to_user(struct task *t, uaddr_t dst, const void *src, size_t size);
int clear_user(struct task *t, uaddr_t dst, size_t size);
/*
 * A NUL-terminated string: its length without NUL; -EFAULT, or -ENAMETOOLONG if there is no NUL in
 * size bytes. dst is always terminated on success.
 */
ssize_t strncpy_from_user(struct task *t, char *dst, uaddr_t src, size_t size);
/* The same into fresh memory of at most max bytes with NUL; the caller frees. */
ssize_t strdup_from_user(struct task *t, uaddr_t src, size_t max, char **ret_s);

/*
 * Another task's memory (/proc/PID/mem, process_vm_readv): count of bytes, or -EFAULT if none. The
 * caller holds a reference to the task, which may be running, and says which program of the task's
 * it means: what task_program said before it was seen whether the caller may look. Once another one
 * has taken its place, or is about to, there are no bytes.
 */
uint64_t task_program(struct task *t);
ssize_t read_task_memory(struct task *t, uint64_t program, uaddr_t src, void *dst, size_t size);
ssize_t write_task_memory(struct task *t, uint64_t program, uaddr_t dst, const void *src,
			  size_t size);

/*
 * A cursor over one or more buffers of the guest's (or one of the sentry's): the data of read,
 * write, readv, ... A source is read from, a sink is written to.
 */
#define UIO_SEGMENTS_MAX 1024	       /* UIO_MAXIOV */
#define UIO_BYTES_MAX	 0x7ffff000ull /* MAX_RW_COUNT */
#define UIO_LONG	 (1ull << 20)  /* more takes so long that another worker shall lead */

struct uio_segment {
	uint64_t va, size;
};

struct uio {
	struct task *task;	/* NULL: kernel buffer */
	char *kernel;		/* with task NULL */
	struct task *writer;	/* with task NULL: for limits and set-id bits; or NULL */
	struct uio_segment one; /* of the common case; segments points at it */
	struct uio_segment *segments;
	uint32_t segment_count, index;
	uint64_t offset; /* in segments[index] */
	uint64_t left;	 /* bytes not yet done, in all */
	bool owns_segments;
};

/* size is cut to UIO_BYTES_MAX. Both user ones pass the lead if it is more than UIO_LONG. */
void uio_init_user(struct uio *u, struct task *t, uaddr_t va, uint64_t size);
void uio_init_kernel(struct uio *u, void *buf, uint64_t size);
/* From an iovec array of the guest's: 0, -EINVAL (count, lengths), -EFAULT. uio_free afterwards. */
int uio_init_iovec(struct uio *u, struct task *t, uaddr_t iov, uint64_t count);
void uio_free(struct uio *u);

/* Move the cursor by what they copied. Bytes copied, or -EFAULT if the first byte faults (and size
 * > 0). */
ssize_t uio_write(struct uio *u, const void *src, size_t size); /* into the guest's buffers */
ssize_t uio_read(struct uio *u, void *dst, size_t size);	/* out of them */
ssize_t uio_write_zeros(struct uio *u, size_t size);
/*
 * As uio_write, from memory that may be gone (base/guard.h). Bytes, perhaps 0.
 */
size_t uio_write_guarded(struct uio *u, const void *src, size_t size);

/*
 * Transfer between the cursor and a host descriptor at *offset (or its own position if offset is
 * NULL), at most `size` bytes: directly to or from a window where one covers the segment, through a
 * bounce buffer otherwise. Bytes, 0 at the end of the file, or the host's negative errno if none
 * was moved. The lead must have been passed (worker_going_long) if the descriptor can be slow.
 */
ssize_t uio_pread_fd(struct uio *u, int fd, int64_t *offset, size_t size);
/* Only what is in the host's page cache (RWF_NOWAIT). -EAGAIN: nothing; -EOPNOTSUPP. */
ssize_t uio_pread_fd_nowait(struct uio *u, int fd, int64_t *offset, size_t size);
ssize_t uio_pwrite_fd(struct uio *u, int fd, int64_t *offset, size_t size);

#endif
