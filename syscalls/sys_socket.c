/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets: those of unix(7). There is no network yet: no other address family. */
#include <stddef.h>
#include <string.h>

#include "abi/poll.h"
#include "abi/socket.h"
#include "abi/uio.h"
#include "sentry/kernel/timer.h"
#include "sentry/kernel/unsupported.h"
#include "sentry/net/unix.h"
#include "syscalls/socket_cmsg.h"
#include "syscalls/sysfile.h"

#define SOCK_TYPE_LAST 10 /* SOCK_MAX - 1 of Linux */

#define WAIT_IN	 (ABI_POLLIN | ABI_POLLRDNORM | ABI_POLLHUP | ABI_POLLERR | ABI_POLLRDHUP)
#define WAIT_OUT (ABI_POLLOUT | ABI_POLLWRNORM | ABI_POLLHUP | ABI_POLLERR)

/* A reference, or NULL with -EBADF or -ENOTSOCK in *ret_err. */
static struct file *get_socket(struct task *t, uint64_t fd, int64_t *ret_err)
{
	struct file *f = fd_get_io(t, abi_int(fd));

	if (f && unix_is_socket(f))
		return f;
	*ret_err = f ? -ENOTSOCK : -EBADF;
	file_put(f);
	return NULL;
}

/* A call on the socket that its first argument names. */
static int64_t with_socket(struct task *t, const struct sysargs *a,
			   int64_t (*on)(struct task *t, struct file *f, const struct sysargs *a))
{
	int64_t ret;
	struct file *f = get_socket(t, a->arg[0], &ret);

	if (!f)
		return ret;
	ret = on(t, f, a);
	file_put(f);
	return ret;
}

/* The type of a socket to make. inet_error: what the families of networks say. */
static int socket_type(struct task *t, int family, int type, int protocol, int inet_error)
{
	if (family == ABI_AF_INET || family == ABI_AF_INET6)
		return (int)unsupported(t, inet_error, "address family %d", family);
	if (family != ABI_AF_UNIX)
		return (int)unsupported(t, EAFNOSUPPORT, "address family %d", family);
	type &= ~(ABI_SOCK_CLOEXEC | ABI_SOCK_NONBLOCK);
	if (type < 0 || type > SOCK_TYPE_LAST)
		return -EINVAL;
	if (protocol && protocol != ABI_AF_UNIX)
		return -EPROTONOSUPPORT;
	if (type == ABI_SOCK_RAW)
		return ABI_SOCK_DGRAM; /* as unix_create of Linux */
	if (type != ABI_SOCK_STREAM && type != ABI_SOCK_DGRAM && type != ABI_SOCK_SEQPACKET)
		return -ESOCKTNOSUPPORT;
	return type;
}

static int64_t install_socket(struct task *t, struct file *f, bool cloexec)
{
	int fd = fd_install(t, f, 0, cloexec);

	if (fd < 0)
		file_put(f);
	return fd;
}

int64_t sys_socket(struct task *t, const struct sysargs *a)
{
	int flags = abi_int(a->arg[1]);
	int type = socket_type(t, abi_int(a->arg[0]), flags, abi_int(a->arg[2]), EAFNOSUPPORT);

	if (type < 0)
		return type;
	return install_socket(t, unix_new(t, type, flags & ABI_SOCK_NONBLOCK ? ABI_O_NONBLOCK : 0),
			      flags & ABI_SOCK_CLOEXEC);
}

int64_t sys_socketpair(struct task *t, const struct sysargs *a)
{
	int flags = abi_int(a->arg[1]);
	int type = socket_type(t, abi_int(a->arg[0]), flags, abi_int(a->arg[2]), EOPNOTSUPP);
	struct file *ends[2];

	if (type < 0)
		return type;
	unix_pair_new(t, type, flags & ABI_SOCK_NONBLOCK ? ABI_O_NONBLOCK : 0, ends);
	return sys_install_pair(t, ends, flags & ABI_SOCK_CLOEXEC, a->arg[3]);
}

/* ---- waiting ---- */

/*
 * Ends a run that must wait: with what was done if a signal or the socket's time-out comes first.
 * With a time-out a call isn't restarted (sock_intr_errno of Linux).
 */
static int64_t block(struct task *t, struct file *f, bool sending, uint64_t done)
{
	uint64_t timeout = unix_timeout(f, sending);
	int64_t ret;

	if (timeout)
		task_set_deadline(t, time_monotonic_ns() + timeout);
	ret = task_block(t, done ? (int64_t)done : timeout ? -EINTR : -ERESTARTSYS);
	return ret == -ETIMEDOUT ? (done ? (int64_t)done : -EAGAIN) : ret;
}

static bool no_wait(const struct file *f, uint32_t flags)
{
	return (flags & ABI_MSG_DONTWAIT) || (f->flags & ABI_O_NONBLOCK);
}

static int copy_msghdr(struct task *t, uint64_t va, struct abi_msghdr *ret)
{
	if (copy_from_user(t, ret, uaddr(va), sizeof(*ret)))
		return -EFAULT;
	return ret->iovlen > ABI_UIO_MAXIOV ? -EMSGSIZE : 0;
}

/* ---- addresses ---- */

/* An address of the guest's, zeroed behind its end. 0, -EINVAL, -EFAULT. */
static int copy_addr_in(struct task *t, uint64_t va, int64_t size, struct abi_sockaddr_un *ret)
{
	*ret = (struct abi_sockaddr_un){0};
	if (size < 0 || size > (int64_t)sizeof(struct abi_sockaddr_storage))
		return -EINVAL;
	if (copy_from_user(t, ret, uaddr(va), (size_t)MIN(size, (int64_t)sizeof(*ret))))
		return -EFAULT;
	return size < (int64_t)sizeof(ret->family) ? -EINVAL : 0;
}

/* To a buffer whose room is at size_va, which gets the address's size. */
static int copy_addr_out(struct task *t, const struct abi_sockaddr_un *addr, uint32_t size,
			 uint64_t va, uint64_t size_va)
{
	char bytes[sizeof(*addr) + 1] = {0};
	int32_t room, real = (int32_t)size;

	if (copy_from_user(t, &room, uaddr(size_va), sizeof(room)))
		return -EFAULT;
	if (room < 0)
		return -EINVAL;
	memcpy(bytes, addr, sizeof(*addr));
	if (copy_to_user(t, uaddr(va), bytes, (size_t)MIN(room, real)) ||
	    copy_to_user(t, uaddr(size_va), &real, sizeof(real)))
		return -EFAULT;
	return 0;
}

/* A destination: a reference to the socket of that name. */
static int64_t find_dest(struct task *t, struct file *f, uint64_t va, int64_t size,
			 struct unix_sock **ret)
{
	struct abi_sockaddr_un addr;
	struct abi_sockaddr_un name;
	int err;

	if (unix_type(f) == ABI_SOCK_SEQPACKET)
		return 0;
	if (unix_type(f) == ABI_SOCK_STREAM)
		return unix_getname(f, true, &name) < 0 ? -EOPNOTSUPP : -EISCONN;
	err = copy_addr_in(t, va, size, &addr);
	return err ? err : unix_find(t, &addr, (uint32_t)size, ABI_SOCK_DGRAM, ret);
}

/* ---- sending ---- */

#define SEND_FLAGS                                                                                 \
	(ABI_MSG_DONTWAIT | ABI_MSG_NOSIGNAL | ABI_MSG_EOR | ABI_MSG_MORE | ABI_MSG_CMSG_CLOEXEC)

/* Sends until all is gone, or says why not. t->call.progress[0] counts over waits. */
static int64_t send_on(struct file *f, struct uio *u, struct unix_ctl *ctl, struct unix_sock *to,
		       uint64_t *done)
{
	int64_t ret;

	do {
		ret = unix_send(f, u, ctl, to);
		if (ret > 0)
			*done += (uint64_t)ret;
	} while (ret > 0 && u->left);
	return ret;
}

static int64_t send_wait(struct task *t, struct file *f, struct uio *u, struct unix_ctl *ctl,
			 struct unix_sock *to, uint32_t flags)
{
	uint64_t *done = &t->call.progress[0];
	int64_t ret;

	if (flags & ABI_MSG_OOB)
		return unsupported(t, EOPNOTSUPP, "MSG_OOB");
	if (flags & ~(uint32_t)SEND_FLAGS)
		return unsupported(t, EINVAL, "flags 0x%x", flags & ~(uint32_t)SEND_FLAGS);
	if (*done) { /* they went with the first piece */
		unix_rights_free(ctl->rights);
		ctl->rights = NULL;
	}
	u->offset += *done; /* the cursor goes over full segments by itself */
	u->left -= MIN(*done, u->left);
	ret = send_on(f, u, ctl, to, done);
	if (ret == -EAGAIN && !no_wait(f, flags)) {
		file_wait(t, f, WAIT_OUT);
		ret = send_on(f, u, ctl, to, done);
		if (ret == -EAGAIN)
			return block(t, f, true, *done);
	}
	if (ret == -EPIPE && !*done && !(flags & ABI_MSG_NOSIGNAL) &&
	    unix_type(f) != ABI_SOCK_DGRAM)
		signal_send_task(t, ABI_SIGPIPE, NULL);
	return *done ? (int64_t)*done : ret;
}

static int64_t on_sendto(struct task *t, struct file *f, const struct sysargs *a)
{
	struct abi_msghdr none = {0};
	struct unix_sock *to = NULL;
	struct unix_ctl ctl;
	struct uio u;
	int64_t ret;

	uio_init_user(&u, t, uaddr(a->arg[1]), a->arg[2]);
	ret = cmsg_get(t, &none, &ctl);
	if (!ret && a->arg[4])
		ret = find_dest(t, f, a->arg[4], abi_int(a->arg[5]), &to);
	if (!ret)
		ret = send_wait(t, f, &u, &ctl, to, (uint32_t)a->arg[3]);
	unix_sock_put(to);
	unix_ctl_clear(&ctl);
	return ret;
}

int64_t sys_sendto(struct task *t, const struct sysargs *a)
{
	return with_socket(t, a, on_sendto);
}

static int64_t send_message(struct task *t, struct file *f, uint64_t va, uint32_t flags)
{
	struct unix_sock *to = NULL;
	struct abi_msghdr msg;
	struct unix_ctl ctl = {0};
	struct uio u;
	int64_t ret = copy_msghdr(t, va, &msg);

	if (!ret && msg.name && msg.namelen)
		ret = find_dest(t, f, msg.name, msg.namelen, &to);
	if (ret)
		return ret;
	ret = cmsg_get(t, &msg, &ctl);
	if (!ret)
		ret = uio_init_iovec(&u, t, uaddr(msg.iov), msg.iovlen);
	if (!ret) {
		ret = send_wait(t, f, &u, &ctl, to, flags);
		uio_free(&u);
	}
	unix_sock_put(to);
	unix_ctl_clear(&ctl);
	return ret;
}

static int64_t on_sendmsg(struct task *t, struct file *f, const struct sysargs *a)
{
	return send_message(t, f, a->arg[1], (uint32_t)a->arg[2]);
}

int64_t sys_sendmsg(struct task *t, const struct sysargs *a)
{
	return with_socket(t, a, on_sendmsg);
}

/* ---- receiving ---- */

#define RECV_FLAGS                                                                                 \
	(ABI_MSG_DONTWAIT | ABI_MSG_PEEK | ABI_MSG_TRUNC | ABI_MSG_WAITALL |                       \
	 ABI_MSG_CMSG_CLOEXEC | ABI_MSG_NOSIGNAL)

/* Whether MSG_WAITALL wants more of a stream than has come. */
static bool wants_more(const struct file *f, const struct uio *u, const struct unix_ctl *ctl,
		       uint32_t flags)
{
	return (flags & ABI_MSG_WAITALL) && !(flags & ABI_MSG_PEEK) && u->left && !ctl->rights &&
	       unix_type(f) == ABI_SOCK_STREAM;
}

static int64_t recv_try(struct file *f, struct uio *u, struct unix_ctl *ctl, uint32_t flags,
			uint64_t *done)
{
	int64_t ret = unix_recv(f, u, flags & ABI_MSG_PEEK, ctl);

	if (ret > 0)
		*done += (uint64_t)ret;
	return ret > 0 && wants_more(f, u, ctl, flags) ? -EAGAIN : ret;
}

static int64_t recv_wait(struct task *t, struct file *f, struct uio *u, struct unix_ctl *ctl,
			 uint32_t flags)
{
	uint64_t *done = &t->call.progress[0];
	int64_t ret;

	if (flags & ABI_MSG_OOB)
		return unsupported(t, EINVAL, "MSG_OOB");
	if (flags & ~(uint32_t)RECV_FLAGS)
		return unsupported(t, EINVAL, "flags 0x%x", flags & ~(uint32_t)RECV_FLAGS);
	u->offset += *done;
	u->left -= MIN(*done, u->left);
	ret = recv_try(f, u, ctl, flags, done);
	if (ret == -EAGAIN && !no_wait(f, flags)) {
		file_wait(t, f, WAIT_IN);
		ret = recv_try(f, u, ctl, flags, done);
		if (ret == -EAGAIN)
			return block(t, f, false, *done);
	}
	return *done ? (int64_t)*done : ret;
}

static int64_t on_recvfrom(struct task *t, struct file *f, const struct sysargs *a)
{
	uint32_t flags = (uint32_t)a->arg[3];
	struct abi_sockaddr_un from = {0};
	struct unix_ctl ctl = {0};
	struct uio u;
	int64_t ret;

	uio_init_user(&u, t, uaddr(a->arg[1]), a->arg[2]);
	ret = recv_wait(t, f, &u, &ctl, flags);
	if (ret >= 0 && (flags & ABI_MSG_TRUNC) && unix_type(f) != ABI_SOCK_STREAM)
		ret = (int64_t)ctl.size;
	if (ret >= 0 && a->arg[4] && a->arg[5]) {
		uint32_t size = ctl.from ? unix_name_copy(ctl.from, &from) : 0;
		int err = copy_addr_out(t, &from, size, a->arg[4], a->arg[5]);

		ret = err ? err : ret;
	}
	unix_ctl_clear(&ctl);
	return ret;
}

int64_t sys_recvfrom(struct task *t, const struct sysargs *a)
{
	return with_socket(t, a, on_recvfrom);
}

static int copy_name(struct task *t, struct abi_msghdr *msg, const struct unix_ctl *ctl)
{
	char bytes[sizeof(struct abi_sockaddr_un) + 1] = {0};
	struct abi_sockaddr_un from;
	uint32_t size = 0;

	if (ctl->from) {
		size = unix_name_copy(ctl->from, &from);
		memcpy(bytes, &from, sizeof(from));
	}
	if (copy_to_user(t, uaddr(msg->name), bytes, MIN((uint32_t)msg->namelen, size)))
		return -EFAULT;
	msg->namelen = (int32_t)size;
	return 0;
}

/* What the guest gets besides the bytes. ret: the count of those. */
static int64_t finish_message(struct task *t, struct file *f, uint64_t va, struct abi_msghdr *msg,
			      struct unix_ctl *ctl, uint32_t flags, int64_t ret)
{
	int err = 0;

	if (msg->name && msg->namelen >= 0)
		err = copy_name(t, msg, ctl);
	msg->flags = flags & ABI_MSG_CMSG_CLOEXEC;
	if (unix_type(f) != ABI_SOCK_STREAM && ctl->size > (uint64_t)ret) {
		msg->flags |= ABI_MSG_TRUNC;
		if (flags & ABI_MSG_TRUNC)
			ret = (int64_t)ctl->size;
	}
	if (!err)
		err = cmsg_put(t, msg, ctl, unix_passcred(f), flags & ABI_MSG_CMSG_CLOEXEC);
	if (!err)
		err = copy_to_user(t, uaddr(va), msg, sizeof(*msg));
	return err ? err : ret;
}

static int64_t recv_message(struct task *t, struct file *f, uint64_t va, uint32_t flags)
{
	struct unix_ctl ctl = {0};
	struct abi_msghdr msg;
	struct uio u;
	int64_t ret = copy_msghdr(t, va, &msg);

	if (!ret)
		ret = uio_init_iovec(&u, t, uaddr(msg.iov), msg.iovlen);
	if (ret)
		return ret;
	ret = recv_wait(t, f, &u, &ctl, flags);
	uio_free(&u);
	if (ret >= 0)
		ret = finish_message(t, f, va, &msg, &ctl, flags, ret);
	unix_ctl_clear(&ctl);
	return ret;
}

static int64_t on_recvmsg(struct task *t, struct file *f, const struct sysargs *a)
{
	return recv_message(t, f, a->arg[1], (uint32_t)a->arg[2]);
}

int64_t sys_recvmsg(struct task *t, const struct sysargs *a)
{
	return with_socket(t, a, on_recvmsg);
}

/* ---- many messages at once ---- */

#define MMSG_MAX ((uint32_t)ABI_UIO_MAXIOV)

/* One of an array at va: sends or receives it and writes its length back. */
static int64_t one_of_many(struct task *t, struct file *f, uint64_t va, uint32_t flags,
			   bool sending)
{
	int64_t ret = sending ? send_message(t, f, va, flags) : recv_message(t, f, va, flags);
	uint32_t size = (uint32_t)ret;

	if (ret < 0)
		return ret;
	return copy_to_user(t, uaddr(va + offsetof(struct abi_mmsghdr, len)), &size, sizeof(size));
}

/*
 * t->call.progress[1] counts the messages that are done, over waits; [0] is that of the message in
 * hand. An error behind the first message is not told.
 */
static int64_t do_many(struct task *t, struct file *f, const struct sysargs *a, bool sending)
{
	uint64_t *count = &t->call.progress[1], max = MIN((uint32_t)a->arg[2], MMSG_MAX);
	uint32_t flags = (uint32_t)a->arg[3] & ~(uint32_t)ABI_MSG_WAITFORONE;
	bool for_one = !sending && (a->arg[3] & ABI_MSG_WAITFORONE);
	int64_t ret = 0;

	while (*count < max) {
		ret = one_of_many(t, f, a->arg[1] + *count * sizeof(struct abi_mmsghdr),
				  flags | (for_one && *count ? ABI_MSG_DONTWAIT : 0), sending);
		if (ret < 0)
			break;
		++*count;
		t->call.progress[0] = 0;
		if (task_deadline_passed(t))
			break;
	}
	if (ret == SYS_BLOCKED)
		return ret;
	return *count ? (int64_t)*count : ret;
}

static int64_t on_sendmmsg(struct task *t, struct file *f, const struct sysargs *a)
{
	return do_many(t, f, a, true);
}

int64_t sys_sendmmsg(struct task *t, const struct sysargs *a)
{
	return with_socket(t, a, on_sendmmsg);
}

static int64_t on_recvmmsg(struct task *t, struct file *f, const struct sysargs *a)
{
	bool no_time = false;
	int64_t ret = a->arg[4] ? task_deadline_from_timespec(t, a->arg[4], &no_time) : 0;

	return ret ? ret : do_many(t, f, a, false);
}

int64_t sys_recvmmsg(struct task *t, const struct sysargs *a)
{
	return with_socket(t, a, on_recvmmsg);
}

/* ---- the rest ---- */

static int64_t on_shutdown(struct task *t, struct file *f, const struct sysargs *a)
{
	(void)t;
	return unix_shutdown(f, abi_int(a->arg[1]));
}

int64_t sys_shutdown(struct task *t, const struct sysargs *a)
{
	return with_socket(t, a, on_shutdown);
}

static int64_t copy_name_out(struct task *t, struct file *f, const struct sysargs *a, bool peer)
{
	struct abi_sockaddr_un addr;
	int64_t ret = unix_getname(f, peer, &addr);

	return ret < 0 ? ret : copy_addr_out(t, &addr, (uint32_t)ret, a->arg[1], a->arg[2]);
}

static int64_t on_getsockname(struct task *t, struct file *f, const struct sysargs *a)
{
	return copy_name_out(t, f, a, false);
}

static int64_t on_getpeername(struct task *t, struct file *f, const struct sysargs *a)
{
	return copy_name_out(t, f, a, true);
}

int64_t sys_getsockname(struct task *t, const struct sysargs *a)
{
	return with_socket(t, a, on_getsockname);
}

int64_t sys_getpeername(struct task *t, const struct sysargs *a)
{
	return with_socket(t, a, on_getpeername);
}

static int64_t on_bind(struct task *t, struct file *f, const struct sysargs *a)
{
	struct abi_sockaddr_un addr;
	int64_t ret = copy_addr_in(t, a->arg[1], abi_int(a->arg[2]), &addr);

	return ret ? ret : unix_bind(t, f, &addr, (uint32_t)a->arg[2]);
}

int64_t sys_bind(struct task *t, const struct sysargs *a)
{
	return with_socket(t, a, on_bind);
}

static int64_t on_listen(struct task *t, struct file *f, const struct sysargs *a)
{
	return unix_listen(t, f, abi_int(a->arg[1]));
}

int64_t sys_listen(struct task *t, const struct sysargs *a)
{
	return with_socket(t, a, on_listen);
}

static int64_t connect_wait(struct task *t, struct file *f, const struct abi_sockaddr_un *addr,
			    uint32_t size)
{
	int64_t ret = unix_connect(t, f, addr, size);

	if (ret != -EAGAIN || no_wait(f, 0))
		return ret;
	file_wait(t, f, WAIT_OUT);
	ret = unix_connect(t, f, addr, size);
	return ret == -EAGAIN ? block(t, f, true, 0) : ret;
}

static int64_t on_connect(struct task *t, struct file *f, const struct sysargs *a)
{
	struct abi_sockaddr_un addr;
	int64_t ret = copy_addr_in(t, a->arg[1], abi_int(a->arg[2]), &addr);

	return ret ? ret : connect_wait(t, f, &addr, (uint32_t)a->arg[2]);
}

int64_t sys_connect(struct task *t, const struct sysargs *a)
{
	return with_socket(t, a, on_connect);
}

static int64_t accept_wait(struct task *t, struct file *f, uint32_t flags, struct file **ret_file)
{
	int64_t ret = unix_accept(t, f, flags, ret_file);

	if (ret != -EAGAIN || no_wait(f, 0))
		return ret;
	file_wait(t, f, WAIT_IN);
	ret = unix_accept(t, f, flags, ret_file);
	return ret == -EAGAIN ? block(t, f, false, 0) : ret;
}

/* Gives the new socket to the guest, and who it is. */
static int64_t finish_accept(struct task *t, struct file *f, const struct sysargs *a, bool cloexec)
{
	struct abi_sockaddr_un addr;
	int size;

	if (a->arg[1]) {
		size = unix_getname(f, true, &addr);
		if (size >= 0)
			size = copy_addr_out(t, &addr, (uint32_t)size, a->arg[1], a->arg[2]);
		if (size < 0) {
			file_put(f);
			return size == -ENOTCONN ? -ECONNABORTED : size;
		}
	}
	return install_socket(t, f, cloexec);
}

static int64_t do_accept(struct task *t, const struct sysargs *a, int flags)
{
	struct file *made;
	int64_t ret;
	struct file *f;

	if (flags & ~(ABI_SOCK_CLOEXEC | ABI_SOCK_NONBLOCK))
		return -EINVAL;
	f = get_socket(t, a->arg[0], &ret);
	if (!f)
		return ret;
	ret = accept_wait(t, f, flags & ABI_SOCK_NONBLOCK ? ABI_O_NONBLOCK : 0, &made);
	file_put(f);
	return ret ? ret : finish_accept(t, made, a, flags & ABI_SOCK_CLOEXEC);
}

int64_t sys_accept(struct task *t, const struct sysargs *a)
{
	return do_accept(t, a, 0);
}

int64_t sys_accept4(struct task *t, const struct sysargs *a)
{
	return do_accept(t, a, abi_int(a->arg[3]));
}

/* An option that is an int: 0, or -ENOPROTOOPT. */
static int int_option(struct task *t, struct file *f, int option, int32_t *ret)
{
	switch (option) {
	case ABI_SO_TYPE:
		*ret = unix_type(f);
		return 0;
	case ABI_SO_DOMAIN:
		*ret = ABI_AF_UNIX;
		return 0;
	case ABI_SO_ERROR:
		*ret = unix_take_error(f);
		return 0;
	case ABI_SO_ACCEPTCONN:
		*ret = unix_listening(f);
		return 0;
	case ABI_SO_PASSCRED:
		*ret = unix_passcred(f);
		return 0;
	case ABI_SO_SNDBUF:
	case ABI_SO_RCVBUF:
		*ret = UNIX_BUFFER;
		return 0;
	case ABI_SO_RCVLOWAT:
		*ret = 1;
		return 0;
	case ABI_SO_PROTOCOL:
	case ABI_SO_BROADCAST:
	case ABI_SO_KEEPALIVE:
	case ABI_SO_REUSEADDR:
		*ret = 0;
		return 0;
	default:
		return (int)unsupported(t, ENOPROTOOPT, "SOL_SOCKET option %d", option);
	}
}

union option {
	int32_t value;
	struct abi_ucred cred;
	struct abi_timeval time;
};

/* The value's size, or -errno. */
static int read_option(struct task *t, struct file *f, int option, union option *ret)
{
	uint64_t ns;
	int err;

	switch (option) {
	case ABI_SO_PEERCRED:
		unix_peer_cred(f, &ret->cred);
		return sizeof(ret->cred);
	case ABI_SO_RCVTIMEO:
	case ABI_SO_SNDTIMEO:
		ns = unix_timeout(f, option == ABI_SO_SNDTIMEO);
		ret->time = (struct abi_timeval){(int64_t)(ns / (uint64_t)ABI_NSEC_PER_SEC),
						 (int64_t)(ns % (uint64_t)ABI_NSEC_PER_SEC / 1000)};
		return sizeof(ret->time);
	default:
		err = int_option(t, f, option, &ret->value);
		return err ? err : (int)sizeof(ret->value);
	}
}

static int64_t get_option(struct task *t, struct file *f, const struct sysargs *a)
{
	union option option;
	int32_t room;
	int size;

	if (abi_int(a->arg[1]) != ABI_SOL_SOCKET)
		return -EOPNOTSUPP;
	if (copy_from_user(t, &room, uaddr(a->arg[4]), sizeof(room)))
		return -EFAULT;
	if (room < 0)
		return -EINVAL;
	size = read_option(t, f, abi_int(a->arg[2]), &option);
	if (size < 0)
		return size;
	size = MIN(size, room);
	if (copy_to_user(t, uaddr(a->arg[3]), &option, (size_t)size) ||
	    copy_to_user(t, uaddr(a->arg[4]), &size, sizeof(size)))
		return -EFAULT;
	return 0;
}

int64_t sys_getsockopt(struct task *t, const struct sysargs *a)
{
	return with_socket(t, a, get_option);
}

/* Sizes of buffers are hints, and the others change nothing for a pair of unix sockets. */
static int64_t set_timeout(struct task *t, struct file *f, const struct sysargs *a)
{
	struct abi_timeval time;
	uint64_t ns = 0;

	if (abi_int(a->arg[4]) < (int)sizeof(time))
		return -EINVAL;
	if (copy_from_user(t, &time, uaddr(a->arg[3]), sizeof(time)))
		return -EFAULT;
	if (time.usec < 0 || time.usec >= 1000000)
		return -EDOM;
	if (time.sec < 0)
		ns = 1; /* Linux: no waiting at all */
	else if (time.sec < INT32_MAX)
		ns = (uint64_t)time.sec * (uint64_t)ABI_NSEC_PER_SEC + (uint64_t)time.usec * 1000;
	unix_set_timeout(f, abi_int(a->arg[2]) == ABI_SO_SNDTIMEO, ns);
	return 0;
}

static int64_t set_option(struct task *t, struct file *f, const struct sysargs *a)
{
	int32_t value;

	if (abi_int(a->arg[1]) != ABI_SOL_SOCKET)
		return -EOPNOTSUPP;
	if (abi_int(a->arg[4]) < (int)sizeof(value))
		return -EINVAL;
	if (copy_from_user(t, &value, uaddr(a->arg[3]), sizeof(value)))
		return -EFAULT;
	switch (abi_int(a->arg[2])) {
	case ABI_SO_PASSCRED:
		unix_set_passcred(f, value);
		return 0;
	case ABI_SO_RCVTIMEO:
	case ABI_SO_SNDTIMEO:
		return set_timeout(t, f, a);
	case ABI_SO_SNDBUF:
	case ABI_SO_RCVBUF:
	case ABI_SO_REUSEADDR:
	case ABI_SO_KEEPALIVE:
	case ABI_SO_BROADCAST:
	case ABI_SO_LINGER:
		return 0;
	default:
		return unsupported(t, ENOPROTOOPT, "SOL_SOCKET option %d", abi_int(a->arg[2]));
	}
}

int64_t sys_setsockopt(struct task *t, const struct sysargs *a)
{
	return with_socket(t, a, set_option);
}
