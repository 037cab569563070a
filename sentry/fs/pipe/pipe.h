/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes and named fifos (pipe(7), fifo(7)). */
#ifndef SENTRY_FS_PIPE_PIPE_H
#define SENTRY_FS_PIPE_PIPE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct file;
struct inode;
struct task;

#define PIPE_ATOMIC	  4096 /* PIPE_BUF */
#define PIPE_SIZE_DEFAULT 65536
#define PIPE_SIZE_MAX	  (1u << 20) /* fs.pipe-max-size */

/* flags: ABI_O_NONBLOCK. ret[0] is for reading. */
int pipe_new(struct task *t, uint32_t flags, struct file *ret[2]);
/* inode_ops.open of a fifo. Never waits: see pipe_wait_open. */
int pipe_open_fifo(struct inode *i, struct file *f);
/* After the open of a fifo: 0 when the other side is there (or needn't be), else a verdict. */
int64_t pipe_wait_open(struct task *t, struct file *f);

/* Not a pipe: NULL. */
struct pipe *pipe_of(struct file *f);
uint32_t pipe_size(struct pipe *p);
/* The new size, or -EINVAL, -EBUSY, -EPERM. */
int64_t pipe_set_size(struct pipe *p, uint32_t size);

/*
 * For splice and tee. peek: copies up to size bytes from offset bytes behind the read position,
 * leaves them; -EAGAIN: empty, and there is a writer. unread: puts bytes that were read, and could
 * not be used, back in front. push: appends all, even if others took the room meanwhile; -EPIPE.
 * room: bytes that a write takes now. size is at most PIPE_SIZE_DEFAULT.
 */
ssize_t pipe_peek(struct pipe *p, size_t offset, void *buf, size_t size);
void pipe_unread(struct pipe *p, const void *buf, size_t size);
int pipe_push(struct pipe *p, const void *buf, size_t size);
size_t pipe_room(struct pipe *p);
bool pipe_broken(struct pipe *p); /* no reader */

#endif
