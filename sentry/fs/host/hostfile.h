/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that stand for host descriptors that the sandbox was started with: the container's standard
 * streams. Opening one again (/dev/stdout, /proc/self/fd/1) gives another file on the same host
 * descriptor.
 */
#ifndef SENTRY_FS_HOST_HOSTFILE_H
#define SENTRY_FS_HOST_HOSTFILE_H

struct cred;
struct file;
struct kernel;

/*
 * Wraps host_fd, which is taken over on success (closed when the last file is gone). Two
 * descriptors of one host file may be wrapped separately. The access mode is the descriptor's. 0
 * or negative errno.
 */
int hostfile_new(struct kernel *k, int host_fd, const struct cred *cred, struct file **ret_file);

#endif
