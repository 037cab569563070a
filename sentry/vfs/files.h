/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptor tables and the file-system context (cwd, root, umask) of tasks. */
#ifndef SENTRY_VFS_FILES_H
#define SENTRY_VFS_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "sentry/vfs/vfs.h"

struct files;
struct fs_context;

struct files *files_new(void);
struct files *files_dup(struct files *old); /* fork: same files, same flags */
struct files *files_get(struct files *f);
/* For who is in a handler of a task whose table it is: whether only that task has it. */
bool files_unshared(struct files *f);
void files_put(struct files *f); /* the last one closes all */
void files_close_on_exec(struct task *t);
/* The task gets a table of its own if it shares one (unshare(2), close_range(2), exec). */
void files_unshare(struct task *t);

/* A new reference or NULL (EBADF). O_PATH files count too: see fd_get_io. */
struct file *fd_get(struct task *t, int fd);
/* The same for operations that O_PATH descriptors refuse. */
struct file *fd_get_io(struct task *t, int fd);
/*
 * The same without a reference where nobody else can close the descriptor: in a handler of the task
 * itself, when it shares the table with nobody. fd_return ends it.
 */
struct fd_io {
	struct file *file; /* NULL: EBADF */
	bool owned;
};
struct fd_io fd_borrow(struct task *t, int fd);
struct fd_io fd_borrow_io(struct task *t, int fd);
static inline void fd_return(const struct fd_io *io)
{
	if (io->owned)
		file_put(io->file);
}
/* The lowest free descriptor >= from gets f (the reference is taken over on success). -EMFILE. */
int fd_install(struct task *t, struct file *f, int from, bool cloexec);
/* dup2: replaces what is there. Takes the reference over. */
int fd_install_at(struct task *t, struct file *f, int fd, bool cloexec);
int fd_close(struct task *t, int fd);
/* For boot: puts f (reference taken over on success) at fd of a table that no task has yet. */
int files_install_at(struct files *fs, struct file *f, int fd);
int fd_get_cloexec(struct task *t, int fd, bool *ret);
int fd_set_cloexec(struct task *t, int fd, bool cloexec);
/* The lowest descriptor >= from that is open, or -1; with a file reference. For /proc, close_range.
 */
int files_next(struct files *fs, int from, struct file **ret_file);

/* Descriptors the table has room for, as Linux counts: 64, or more by powers of two. */
uint32_t files_size(struct files *fs);

struct fs_context *fs_context_new(const struct path *root, const struct path *cwd);
struct fs_context *fs_context_dup(struct fs_context *old);
struct fs_context *fs_context_get(struct fs_context *f);
void fs_context_put(struct fs_context *f);
void fs_context_unshare(struct task *t);
/* References. */
void fs_get_root(struct fs_context *f, struct path *ret);
void fs_get_cwd(struct fs_context *f, struct path *ret);
/*
 * For the task whose fs_context it is, in its own handler. True: references, as above. False: it
 * shares the context with nobody, so what *ret names stays until the task itself changes it.
 */
bool fs_borrow_root(struct fs_context *f, struct path *ret);
bool fs_borrow_cwd(struct fs_context *f, struct path *ret);
void fs_set_root(struct fs_context *f, const struct path *p);
void fs_set_cwd(struct fs_context *f, const struct path *p);
uint32_t fs_umask(struct fs_context *f);
uint32_t fs_set_umask(struct fs_context *f, uint32_t mask);

#endif
