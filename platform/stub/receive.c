/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ptrace platform's way to hand in descriptors: messages on a socket that every stub process
 * inherits. The tracer lets a recvmsg pass only for whom it has just sent a message to.
 */
#include <sys/syscall.h>

#include "platform/stub/stub.h"

struct message {
	void *name;
	uint64_t name_size;
	void *iov;
	uint64_t iov_count;
	void *control;
	uint64_t control_size;
	uint64_t flags;
};

struct control {
	uint64_t size;
	uint32_t level, type;
	int fds[PLATFORM_MEMOPS_MAX];
};

#define CONTROL_HEADER offsetof(struct control, fds)

void stub_receive_fds(int *fds, uint32_t count)
{
	struct control control = {0};
	uint64_t byte, iov[2] = {(uint64_t)&byte, 1}, got = 0;
	struct message m = {.iov = iov, .iov_count = 1, .control = &control};

	if (count > PLATFORM_MEMOPS_MAX)
		count = PLATFORM_MEMOPS_MAX;
	m.control_size = CONTROL_HEADER + count * sizeof(int);
	if (stub_syscall(SYS_recvmsg, STUB_SOCKET, &m, 0) > 0 && control.size > CONTROL_HEADER)
		got = (control.size - CONTROL_HEADER) / sizeof(int);
	for (uint32_t i = 0; i < count; i++)
		fds[i] = i < got ? control.fds[i] : -1;
}

void stub_receive_for_memops(struct channel *ch)
{
	uint32_t count = ch->rep.memop_count;
	int fds[PLATFORM_MEMOPS_MAX];

	stub_receive_fds(fds, ch->rep.fd_count);
	for (uint32_t i = 0; i < count && i < PLATFORM_MEMOPS_MAX; i++) {
		struct channel_memop *op = &ch->memops[i];

		if (op->type == MEMOP_MMAP_FD)
			op->fd_or_advice =
			    (uint32_t)op->fd_or_advice < ch->rep.fd_count
				? fds[(uint32_t)op->fd_or_advice % PLATFORM_MEMOPS_MAX]
				: -1;
	}
}
