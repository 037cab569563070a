/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers for host descriptors. All return negative errno on failure. */
#ifndef BASE_FD_H
#define BASE_FD_H

#include <stddef.h>
#include <sys/types.h>

#include "base/compiler.h"

/* Closes *fd unless it is negative; for __cleanup. Leaves errno alone. */
void fd_closep(const int *fd);
#define cleanup_fd __cleanup(fd_closep)

/* Until all is done, the end of the file, or an error; return the count of bytes done. */
ssize_t fd_read_all(int fd, void *buf, size_t size);
ssize_t fd_write_all(int fd, const void *buf, size_t size);

/* A whole file as a NUL-terminated string of at most max bytes (-EFBIG beyond); caller frees. */
int fd_read_file(int dirfd, const char *path, size_t max, char **ret_text, size_t *ret_size);

/*
 * One message with descriptors over a unix socket. send: fd_count <= FD_PASS_MAX. recv: descriptors
 * arrive close-on-exec; *ret_fd_count says how many (the rest of fds is -1); a message with more
 * than fd_max descriptors or one that was cut is -EBADMSG, with all received descriptors closed;
 * -EMFILE if there was no room for a descriptor (the message is lost then).
 */
#define FD_PASS_MAX 16
ssize_t fd_send(int sock, const void *buf, size_t size, const int *fds, size_t fd_count);
ssize_t fd_recv(int sock, void *buf, size_t size, int *fds, size_t fd_max, size_t *ret_fd_count);

/*
 * Raises RLIMIT_NOFILE to its hard limit, and has the kernel make room for `prepared` descriptors:
 * growing the table once threads share it waits for an RCU period, milliseconds each time. Returns
 * the limit.
 */
unsigned fd_raise_limit(unsigned prepared);

/* A memfd with this content that can be executed, sealed against every change where the host has
 * seals. */
int fd_sealed_memfd(const char *name, const void *bytes, size_t size);

/* The same as a file, of which the name is gone afterwards, in a directory that nobody else sees.
 */
int fd_program_file(int dir_fd, const char *name, const void *bytes, size_t size);

#endif
