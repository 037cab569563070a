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

/* Memory of somebody else's. end: it is not needed any more; must take no locks. */
struct pipe_loan {
	void (*end)(struct pipe_loan *l);
};

/* Bytes that change hands: data[from, from + used) of an allocation of `size` bytes. */
struct pipe_block {
	char *data; /* of malloc, or lent, and then not to be written; NULL: none */
	uint32_t size, from, used;
	struct pipe_loan *loan; /* NULL: none */
};

void pipe_block_free(struct pipe_block *b);
/* A copy in the place of lent memory. What can't be read of that any more is zeros. */
void pipe_block_own(struct pipe_block *b);

/*
 * For splice and tee. peek: copies up to size bytes from offset bytes behind the read position,
 * leaves them; -EAGAIN: empty, and there is a writer. unread: puts bytes that were read, and could
 * not be used, back in front. room: bytes that a write takes now. size is at most
 * PIPE_SIZE_DEFAULT.
 *
 * give: appends all, even if others took the room meanwhile; -EPIPE. An empty pipe takes the block
 * itself (data is NULL then). take: up to max bytes, as many as there are; the block is the pipe's
 * own memory if that is all that there was in it. 0: no writer; -EAGAIN. The caller frees the block.
 */
ssize_t pipe_peek(struct pipe *p, size_t offset, void *buf, size_t size);
void pipe_unread(struct pipe *p, const void *buf, size_t size);
int pipe_give(struct pipe *p, struct pipe_block *b);
ssize_t pipe_take(struct pipe *p, size_t max, struct pipe_block *ret);
size_t pipe_room(struct pipe *p);
bool pipe_broken(struct pipe *p); /* no reader */

#endif
