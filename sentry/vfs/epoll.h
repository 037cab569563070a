/* SPDX-License-Identifier: Apache-2.0 */
/* epoll(7) instances. */
#ifndef SENTRY_VFS_EPOLL_H
#define SENTRY_VFS_EPOLL_H

#include "abi/poll.h"
#include "sentry/vfs/vfs.h"

int epoll_new(struct task *t, uint32_t flags, struct file **ret);
bool is_epoll(const struct file *f);
/* op: ABI_EPOLL_CTL_*. target is what fd names; both borrowed. */
int epoll_ctl_file(struct file *ep, int op, int fd, struct file *target,
		   const struct abi_epoll_event *event);
/* Takes up to max ready events; their count. */
int epoll_collect(struct file *ep, struct abi_epoll_event *out, int max);
/* Woken when something becomes ready. */
struct waitqueue *epoll_queue(struct file *ep);

#endif
