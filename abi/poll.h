/* SPDX-License-Identifier: Apache-2.0 */
/* poll, select and epoll (asm-generic/poll.h, linux/eventpoll.h). */
#ifndef ABI_POLL_H
#define ABI_POLL_H

#include "abi/types.h"

#define ABI_POLLIN     0x0001
#define ABI_POLLPRI    0x0002
#define ABI_POLLOUT    0x0004
#define ABI_POLLERR    0x0008
#define ABI_POLLHUP    0x0010
#define ABI_POLLNVAL   0x0020
#define ABI_POLLRDNORM 0x0040
#define ABI_POLLRDBAND 0x0080
#define ABI_POLLWRNORM 0x0100
#define ABI_POLLWRBAND 0x0200
#define ABI_POLLMSG    0x0400
#define ABI_POLLREMOVE 0x1000
#define ABI_POLLRDHUP  0x2000

struct abi_pollfd {
	int32_t fd;
	int16_t events;
	int16_t revents;
};
ABI_SIZE(struct abi_pollfd, 8);

/* The EPOLL* events have the numbers of the POLL* ones, and */
#define ABI_EPOLLEXCLUSIVE (1u << 28)
#define ABI_EPOLLWAKEUP	   (1u << 29)
#define ABI_EPOLLONESHOT   (1u << 30)
#define ABI_EPOLLET	   (1u << 31)

#define ABI_EPOLL_CTL_ADD 1
#define ABI_EPOLL_CTL_DEL 2
#define ABI_EPOLL_CTL_MOD 3

#define ABI_EPOLL_CLOEXEC 02000000

struct abi_epoll_event {
	uint32_t events;
	uint64_t data;
} __attribute__((packed));
ABI_SIZE(struct abi_epoll_event, 12);

/* select: bit n of word n / 64. */
#define ABI_FD_SETSIZE 1024
struct abi_fd_set {
	uint64_t bits[ABI_FD_SETSIZE / 64];
};
ABI_SIZE(struct abi_fd_set, 128);

/* The sixth argument of pselect6. */
struct abi_sigset_argpack {
	uint64_t sigset; /* guest address */
	uint64_t size;
};
ABI_SIZE(struct abi_sigset_argpack, 16);

#endif
