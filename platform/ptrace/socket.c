/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handing in descriptors where the host can't put them into another process by itself.
 *
 * All stub processes inherit one socket. A recvmsg on it is asked (RET_TRACE): the tracer lets
 * through only who was ordered to receive, one at a time, and sends the message just before. So
 * nobody gets what is another's, and a fork needs no socket of its own.
 *
 *	stub				tracer
 *	recvmsg				stop: is it expected, is the socket free?
 *					sendmsg; PTRACE_SYSCALL
 *	 (takes the message)
 *	end of the call			stop: takes out what is left, lets the next one in
 *
 * What a stub does with its descriptors is not asked: they carry no more rights than its guest has
 * (docs/security.md).
 */
#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/ptrace/tracer.h"

union control {
	char room[CMSG_SPACE(PLATFORM_MEMOPS_MAX * sizeof(int))];
	struct cmsghdr align;
};

static bool send_fds(struct tracer *x, const struct tracee *e)
{
	char byte = 0;
	struct iovec iov = {&byte, 1};
	union control control;
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *c;

	memset(&control, 0, sizeof(control));
	m.msg_control = &control;
	m.msg_controllen = CMSG_SPACE(e->fd_count * sizeof(int));
	c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(e->fd_count * sizeof(int));
	memcpy(CMSG_DATA(c), e->fds, e->fd_count * sizeof(int));
	return sendmsg(x->socket, &m, MSG_DONTWAIT | MSG_NOSIGNAL) == 1;
}

/* Our own reading end: without room for descriptors, they are dropped. */
static void take_out_rest(struct tracer *x)
{
	char byte;

	while (recv(x->stub_socket, &byte, 1, MSG_DONTWAIT) > 0)
		;
}

static void receive(struct tracer *x, struct tracee *e)
{
	add_stat(addfds, e->fd_count);
	if (!send_fds(x, e)) {
		tracee_punish(e, "its descriptors can't be sent");
		return;
	}
	x->receiving = e;
	e->phase = TRACEE_RECEIVE;
	tracee_resume(e, PTRACE_SYSCALL, 0);
}

void socket_ask(struct tracer *x, struct tracee *e)
{
	e->in_birth = e->phase == TRACEE_BIRTH;
	e->phase = TRACEE_SOCKET;
	if (x->receiving)
		list_add_tail(&x->at_socket, &e->link);
	else
		receive(x, e);
}

void socket_done(struct tracer *x, struct tracee *e)
{
	struct tracee *next;

	tracee_close_fds(e);
	if (x->receiving != e)
		return;
	take_out_rest(x);
	x->receiving = NULL;
	while (!x->receiving && (next = list_first_or_null(&x->at_socket, struct tracee, link))) {
		list_del(&next->link);
		receive(x, next);
	}
}
