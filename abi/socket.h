/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets (linux/socket.h, linux/un.h, linux/in.h, linux/in6.h, linux/tcp.h). */
#ifndef ABI_SOCKET_H
#define ABI_SOCKET_H

#include "abi/types.h"

#define ABI_AF_UNSPEC  0
#define ABI_AF_UNIX    1
#define ABI_AF_INET    2
#define ABI_AF_INET6   10
#define ABI_AF_NETLINK 16
#define ABI_AF_PACKET  17
#define ABI_AF_VSOCK   40

#define ABI_SOCK_STREAM	   1
#define ABI_SOCK_DGRAM	   2
#define ABI_SOCK_RAW	   3
#define ABI_SOCK_RDM	   4
#define ABI_SOCK_SEQPACKET 5
#define ABI_SOCK_TYPE_MASK 0xf
#define ABI_SOCK_NONBLOCK  04000
#define ABI_SOCK_CLOEXEC   02000000

#define ABI_SOL_IP	0
#define ABI_SOL_SOCKET	1
#define ABI_SOL_TCP	6
#define ABI_SOL_UDP	17
#define ABI_SOL_IPV6	41
#define ABI_SOL_NETLINK 270

#define ABI_IPPROTO_IP	   0
#define ABI_IPPROTO_ICMP   1
#define ABI_IPPROTO_TCP	   6
#define ABI_IPPROTO_UDP	   17
#define ABI_IPPROTO_IPV6   41
#define ABI_IPPROTO_ICMPV6 58

#define ABI_SO_DEBUG	     1
#define ABI_SO_REUSEADDR     2
#define ABI_SO_TYPE	     3
#define ABI_SO_ERROR	     4
#define ABI_SO_DONTROUTE     5
#define ABI_SO_BROADCAST     6
#define ABI_SO_SNDBUF	     7
#define ABI_SO_RCVBUF	     8
#define ABI_SO_KEEPALIVE     9
#define ABI_SO_OOBINLINE     10
#define ABI_SO_PRIORITY	     12
#define ABI_SO_LINGER	     13
#define ABI_SO_REUSEPORT     15
#define ABI_SO_PASSCRED	     16
#define ABI_SO_PEERCRED	     17
#define ABI_SO_RCVLOWAT	     18
#define ABI_SO_SNDLOWAT	     19
#define ABI_SO_RCVTIMEO	     20
#define ABI_SO_SNDTIMEO	     21
#define ABI_SO_BINDTODEVICE  25
#define ABI_SO_ATTACH_FILTER 26
#define ABI_SO_DETACH_FILTER 27
#define ABI_SO_PEERNAME	     28
#define ABI_SO_TIMESTAMP     29
#define ABI_SO_ACCEPTCONN    30
#define ABI_SO_PEERSEC	     31
#define ABI_SO_SNDBUFFORCE   32
#define ABI_SO_RCVBUFFORCE   33
#define ABI_SO_PASSSEC	     34
#define ABI_SO_TIMESTAMPNS   35
#define ABI_SO_MARK	     36
#define ABI_SO_PROTOCOL	     38
#define ABI_SO_DOMAIN	     39
#define ABI_SO_PEEK_OFF	     42
#define ABI_SO_PEERGROUPS    59
#define ABI_SO_PASSPIDFD     76
#define ABI_SO_PEERPIDFD     77

#define ABI_SHUT_RD   0
#define ABI_SHUT_WR   1
#define ABI_SHUT_RDWR 2

#define ABI_MSG_OOB	     0x1
#define ABI_MSG_PEEK	     0x2
#define ABI_MSG_DONTROUTE    0x4
#define ABI_MSG_CTRUNC	     0x8
#define ABI_MSG_TRUNC	     0x20
#define ABI_MSG_DONTWAIT     0x40
#define ABI_MSG_EOR	     0x80
#define ABI_MSG_WAITALL	     0x100
#define ABI_MSG_ERRQUEUE     0x2000
#define ABI_MSG_NOSIGNAL     0x4000
#define ABI_MSG_MORE	     0x8000
#define ABI_MSG_WAITFORONE   0x10000
#define ABI_MSG_ZEROCOPY     0x4000000
#define ABI_MSG_FASTOPEN     0x20000000
#define ABI_MSG_CMSG_CLOEXEC 0x40000000

#define ABI_SCM_RIGHTS	    1
#define ABI_SCM_CREDENTIALS 2
#define ABI_SCM_PIDFD	    4
#define ABI_SCM_MAX_FD	    253

#define ABI_SOMAXCONN  4096
#define ABI_UIO_MAXIOV 1024

struct abi_sockaddr_un {
	uint16_t family;
	char path[108];
};
ABI_SIZE(struct abi_sockaddr_un, 110);

struct abi_sockaddr_in {
	uint16_t family;
	uint16_t port; /* network order, as are addresses */
	uint32_t addr;
	uint8_t zero[8];
};
ABI_SIZE(struct abi_sockaddr_in, 16);

struct abi_sockaddr_in6 {
	uint16_t family;
	uint16_t port;
	uint32_t flowinfo;
	uint8_t addr[16];
	uint32_t scope_id;
};
ABI_SIZE(struct abi_sockaddr_in6, 28);

struct abi_sockaddr_nl {
	uint16_t family;
	uint16_t pad;
	uint32_t pid;
	uint32_t groups;
};
ABI_SIZE(struct abi_sockaddr_nl, 12);

struct abi_sockaddr_storage {
	uint16_t family;
	char data[126];
};
ABI_SIZE(struct abi_sockaddr_storage, 128);

struct abi_msghdr {
	uint64_t name;
	int32_t namelen;
	int32_t pad0;
	uint64_t iov;
	uint64_t iovlen;
	uint64_t control;
	uint64_t controllen;
	uint32_t flags;
	int32_t pad1;
};
ABI_SIZE(struct abi_msghdr, 56);

struct abi_mmsghdr {
	struct abi_msghdr hdr;
	uint32_t len;
	uint32_t pad;
};
ABI_SIZE(struct abi_mmsghdr, 64);

struct abi_cmsghdr {
	uint64_t len; /* with this header */
	int32_t level;
	int32_t type;
};
ABI_SIZE(struct abi_cmsghdr, 16);
#define ABI_CMSG_ALIGN(size) (((size) + 7) & ~7ul)

struct abi_ucred {
	int32_t pid;
	uint32_t uid;
	uint32_t gid;
};
ABI_SIZE(struct abi_ucred, 12);

struct abi_linger {
	int32_t onoff;
	int32_t linger;
};
ABI_SIZE(struct abi_linger, 8);

/* ioctls of sockets that programs use on any machine (linux/sockios.h) */
#define ABI_SIOCINQ	   0x541bu
#define ABI_SIOCOUTQ	   0x5411u
#define ABI_SIOCATMARK	   0x8905u
#define ABI_SIOCGIFNAME	   0x8910u
#define ABI_SIOCGIFCONF	   0x8912u
#define ABI_SIOCGIFFLAGS   0x8913u
#define ABI_SIOCGIFADDR	   0x8915u
#define ABI_SIOCGIFBRDADDR 0x8919u
#define ABI_SIOCGIFNETMASK 0x891bu
#define ABI_SIOCGIFMTU	   0x8921u
#define ABI_SIOCGIFHWADDR  0x8927u
#define ABI_SIOCGIFINDEX   0x8933u
#define ABI_SIOCGIFTXQLEN  0x8942u

#endif
