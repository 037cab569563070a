/* SPDX-License-Identifier: Apache-2.0 */
/* --strace: the names of values: flags, commands, signals, modes, terminals' requests. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "abi/caps.h"
#include "abi/mman.h"
#include "abi/prctl.h"
#include "abi/tty.h"
#include "syscalls/argkinds.h"
#include "syscalls/strace.h"

struct name {
	uint64_t value;
	const char *name;
};

/* A set of names. For bits, wider masks come before those they contain. */
struct name_set {
	const struct name *names;
	uint16_t count;
	bool bits;
	const char *unknown; /* of an enumeration: shown beside a value without a name */
	const char *zero;    /* of bits: no bit is set; NULL: "0" */
};

/* clang-format off */
#define N(x)  {ABI_##x, #x}
#define BITS(array)		   {array, array_count(array), true, NULL, NULL}
#define BITS_ZERO(array, zero)	   {array, array_count(array), true, NULL, zero}
#define ENUM(array, prefix)	   {array, array_count(array), false, prefix "_???", NULL}

static const struct name open_names[] = {
	N(O_TMPFILE), N(O_SYNC), N(O_CREAT), N(O_EXCL), N(O_NOCTTY), N(O_TRUNC), N(O_APPEND),
	N(O_NONBLOCK), N(O_DSYNC), N(O_ASYNC), N(O_DIRECT), N(O_LARGEFILE), N(O_DIRECTORY),
	N(O_NOFOLLOW), N(O_NOATIME), N(O_CLOEXEC), N(O_PATH),
};
static const struct name at_names[] = {
	N(AT_SYMLINK_NOFOLLOW), {0x200, "AT_REMOVEDIR"}, N(AT_SYMLINK_FOLLOW), N(AT_NO_AUTOMOUNT),
	N(AT_EMPTY_PATH), N(AT_STATX_FORCE_SYNC), N(AT_STATX_DONT_SYNC), N(AT_RECURSIVE),
};
static const struct name access_names[] = {N(R_OK), N(W_OK), N(X_OK)};
static const struct name whence_names[] = {
	N(SEEK_SET), N(SEEK_CUR), N(SEEK_END), N(SEEK_DATA), N(SEEK_HOLE),
};
static const struct name prot_names[] = {
	N(PROT_READ), N(PROT_WRITE), N(PROT_EXEC), N(PROT_SEM), N(PROT_GROWSDOWN),
	N(PROT_GROWSUP),
};
static const struct name map_names[] = {
	N(MAP_SHARED_VALIDATE), N(MAP_SHARED), N(MAP_PRIVATE), N(MAP_FIXED), N(MAP_ANONYMOUS),
	N(MAP_32BIT), N(MAP_GROWSDOWN), N(MAP_DENYWRITE), N(MAP_EXECUTABLE), N(MAP_LOCKED),
	N(MAP_NORESERVE), N(MAP_POPULATE), N(MAP_NONBLOCK), N(MAP_STACK), N(MAP_HUGETLB),
	N(MAP_SYNC), N(MAP_FIXED_NOREPLACE),
};
static const struct name mremap_names[] = {
	N(MREMAP_MAYMOVE), N(MREMAP_FIXED), N(MREMAP_DONTUNMAP),
};
static const struct name msync_names[] = {N(MS_ASYNC), N(MS_INVALIDATE), N(MS_SYNC)};
static const struct name madv_names[] = {
	N(MADV_NORMAL), N(MADV_RANDOM), N(MADV_SEQUENTIAL), N(MADV_WILLNEED), N(MADV_DONTNEED),
	N(MADV_FREE), N(MADV_REMOVE), N(MADV_DONTFORK), N(MADV_DOFORK), N(MADV_MERGEABLE),
	N(MADV_UNMERGEABLE), N(MADV_HUGEPAGE), N(MADV_NOHUGEPAGE), N(MADV_DONTDUMP),
	N(MADV_DODUMP), N(MADV_WIPEONFORK), N(MADV_KEEPONFORK), N(MADV_COLD), N(MADV_PAGEOUT),
	N(MADV_POPULATE_READ), N(MADV_POPULATE_WRITE), N(MADV_DONTNEED_LOCKED), N(MADV_COLLAPSE),
};
static const struct name mcl_names[] = {N(MCL_CURRENT), N(MCL_FUTURE), N(MCL_ONFAULT)};
static const struct name clone_names[] = {
	N(CLONE_VM), N(CLONE_FS), N(CLONE_FILES), N(CLONE_SIGHAND), N(CLONE_PIDFD),
	N(CLONE_PTRACE), N(CLONE_VFORK), N(CLONE_PARENT), N(CLONE_THREAD), N(CLONE_NEWNS),
	N(CLONE_SYSVSEM), N(CLONE_SETTLS), N(CLONE_PARENT_SETTID), N(CLONE_CHILD_CLEARTID),
	N(CLONE_DETACHED), N(CLONE_UNTRACED), N(CLONE_CHILD_SETTID), N(CLONE_NEWCGROUP),
	N(CLONE_NEWUTS), N(CLONE_NEWIPC), N(CLONE_NEWUSER), N(CLONE_NEWPID), N(CLONE_NEWNET),
	N(CLONE_IO), N(CLONE_CLEAR_SIGHAND), N(CLONE_INTO_CGROUP),
};
static const struct name wait_names[] = {
	N(WNOHANG), N(WSTOPPED), N(WEXITED), N(WCONTINUED), N(WNOWAIT),
	{ABI_WNOTHREAD, "__WNOTHREAD"}, {ABI_WALL, "__WALL"}, {ABI_WCLONE, "__WCLONE"},
};
static const struct name idtype_names[] = {N(P_ALL), N(P_PID), N(P_PGID), N(P_PIDFD)};
static const struct name futex_names[] = {
	N(FUTEX_WAIT), N(FUTEX_WAKE), N(FUTEX_FD), N(FUTEX_REQUEUE), N(FUTEX_CMP_REQUEUE),
	N(FUTEX_WAKE_OP), N(FUTEX_LOCK_PI), N(FUTEX_UNLOCK_PI), N(FUTEX_TRYLOCK_PI),
	N(FUTEX_WAIT_BITSET), N(FUTEX_WAKE_BITSET), N(FUTEX_WAIT_REQUEUE_PI),
	N(FUTEX_CMP_REQUEUE_PI), N(FUTEX_LOCK_PI2),
};
static const struct name fcntl_names[] = {
	N(F_DUPFD), N(F_GETFD), N(F_SETFD), N(F_GETFL), N(F_SETFL), N(F_GETLK), N(F_SETLK),
	N(F_SETLKW), N(F_SETOWN), N(F_GETOWN), N(F_SETSIG), N(F_GETSIG), N(F_SETOWN_EX),
	N(F_GETOWN_EX), N(F_OFD_GETLK), N(F_OFD_SETLK), N(F_OFD_SETLKW), N(F_SETLEASE),
	N(F_GETLEASE), N(F_NOTIFY), N(F_DUPFD_QUERY), N(F_DUPFD_CLOEXEC), N(F_SETPIPE_SZ), N(F_GETPIPE_SZ),
	N(F_ADD_SEALS), N(F_GET_SEALS), N(F_GET_RW_HINT), N(F_SET_RW_HINT),
};
static const struct name ioctl_names[] = {
	N(TCGETS), N(TCSETS), N(TCSETSW), N(TCSETSF), N(TCGETA), N(TCSETA), N(TCSETAW), N(TCSETAF),
	N(TCSBRK), N(TCXONC), N(TCFLSH), N(TIOCEXCL), N(TIOCNXCL), N(TIOCSCTTY), N(TIOCGPGRP),
	N(TIOCSPGRP), N(TIOCOUTQ), N(TIOCSTI), N(TIOCGWINSZ), N(TIOCSWINSZ), N(TIOCMGET),
	N(TIOCLINUX), N(TIOCCONS), N(TIOCPKT), N(TIOCNOTTY), N(TIOCSETD), N(TIOCGETD),
	N(TCSBRKP), N(TIOCGSID), N(TCGETS2), N(TCSETS2), N(TCSETSW2), N(TCSETSF2), N(TIOCGPTN),
	N(TIOCSPTLCK), N(TIOCGDEV), N(TIOCVHANGUP), N(TIOCGPKT), N(TIOCGPTLCK), N(TIOCGEXCL),
	N(TIOCGPTPEER), N(FIONREAD), N(FIONBIO), N(FIONCLEX), N(FIOCLEX), N(FIOASYNC),
	N(FIOQSIZE), N(FIBMAP), N(FIGETBSZ), N(FS_IOC_GETFLAGS), N(FS_IOC_SETFLAGS),
	N(FS_IOC_FIEMAP), N(FS_IOC_FSGETXATTR), N(FS_IOC_FSSETXATTR), N(FICLONE), N(FICLONERANGE),
	N(FIDEDUPERANGE), N(BLKGETSIZE64), N(NS_GET_USERNS), N(NS_GET_PARENT), N(NS_GET_NSTYPE),
	N(NS_GET_OWNER_UID), N(SIOCATMARK), N(SIOCGIFNAME), N(SIOCGIFCONF), N(SIOCGIFFLAGS),
	N(SIOCGIFADDR), N(SIOCGIFBRDADDR), N(SIOCGIFNETMASK), N(SIOCGIFMTU), N(SIOCGIFHWADDR),
	N(SIOCGIFINDEX), N(SIOCGIFTXQLEN),
};
static const struct name sighow_names[] = {N(SIG_BLOCK), N(SIG_UNBLOCK), N(SIG_SETMASK)};
static const struct name clock_names[] = {
	N(CLOCK_REALTIME), N(CLOCK_MONOTONIC), N(CLOCK_PROCESS_CPUTIME_ID),
	N(CLOCK_THREAD_CPUTIME_ID), N(CLOCK_MONOTONIC_RAW), N(CLOCK_REALTIME_COARSE),
	N(CLOCK_MONOTONIC_COARSE), N(CLOCK_BOOTTIME), N(CLOCK_REALTIME_ALARM),
	N(CLOCK_BOOTTIME_ALARM), N(CLOCK_TAI),
};
static const struct name timer_names[] = {N(TIMER_ABSTIME)};
static const struct name itimer_names[] = {N(ITIMER_REAL), N(ITIMER_VIRTUAL), N(ITIMER_PROF)};
static const struct name rlimit_names[] = {
	N(RLIMIT_CPU), N(RLIMIT_FSIZE), N(RLIMIT_DATA), N(RLIMIT_STACK), N(RLIMIT_CORE),
	N(RLIMIT_RSS), N(RLIMIT_NPROC), N(RLIMIT_NOFILE), N(RLIMIT_MEMLOCK), N(RLIMIT_AS),
	N(RLIMIT_LOCKS), N(RLIMIT_SIGPENDING), N(RLIMIT_MSGQUEUE), N(RLIMIT_NICE),
	N(RLIMIT_RTPRIO), N(RLIMIT_RTTIME),
};
static const struct name rusage_names[] = {
	N(RUSAGE_SELF), {(uint32_t)ABI_RUSAGE_CHILDREN, "RUSAGE_CHILDREN"}, N(RUSAGE_THREAD),
};
static const struct name prio_names[] = {N(PRIO_PROCESS), N(PRIO_PGRP), N(PRIO_USER)};
static const struct name prctl_names[] = {
	N(PR_SET_PDEATHSIG), N(PR_GET_PDEATHSIG), N(PR_GET_DUMPABLE), N(PR_SET_DUMPABLE),
	N(PR_GET_KEEPCAPS), N(PR_SET_KEEPCAPS), N(PR_GET_TIMING), N(PR_SET_TIMING), N(PR_SET_NAME),
	N(PR_GET_NAME), N(PR_GET_SECCOMP), N(PR_SET_SECCOMP), N(PR_CAPBSET_READ),
	N(PR_CAPBSET_DROP), N(PR_GET_TSC), N(PR_SET_TSC), N(PR_GET_SECUREBITS),
	N(PR_SET_SECUREBITS), N(PR_SET_TIMERSLACK), N(PR_GET_TIMERSLACK), N(PR_SET_MM),
	N(PR_SET_CHILD_SUBREAPER), N(PR_GET_CHILD_SUBREAPER), N(PR_SET_NO_NEW_PRIVS),
	N(PR_GET_NO_NEW_PRIVS), N(PR_GET_TID_ADDRESS), N(PR_SET_THP_DISABLE),
	N(PR_GET_THP_DISABLE), N(PR_CAP_AMBIENT), N(PR_GET_SPECULATION_CTRL),
	N(PR_SET_SPECULATION_CTRL), N(PR_SET_IO_FLUSHER), N(PR_GET_IO_FLUSHER),
	N(PR_SET_SYSCALL_USER_DISPATCH), N(PR_SCHED_CORE), N(PR_SET_MDWE), N(PR_GET_MDWE),
	N(PR_SET_MEMORY_MERGE), N(PR_GET_MEMORY_MERGE), N(PR_SET_VMA), N(PR_SET_PTRACER),
};
static const struct name arch_prctl_names[] = {
	N(ARCH_SET_GS), N(ARCH_SET_FS), N(ARCH_GET_FS), N(ARCH_GET_GS), N(ARCH_GET_CPUID),
	N(ARCH_SET_CPUID), N(ARCH_GET_XCOMP_SUPP), N(ARCH_GET_XCOMP_PERM), N(ARCH_REQ_XCOMP_PERM),
	N(ARCH_SHSTK_ENABLE), N(ARCH_SHSTK_STATUS),
};
static const struct name sock_family_names[] = {
	N(AF_UNSPEC), N(AF_UNIX), N(AF_INET), N(AF_INET6), N(AF_NETLINK), N(AF_PACKET), N(AF_VSOCK),
};
static const struct name sock_type_names[] = {
	N(SOCK_STREAM), N(SOCK_DGRAM), N(SOCK_RAW), N(SOCK_RDM), N(SOCK_SEQPACKET),
};
static const struct name sock_level_names[] = {
	N(SOL_IP), N(SOL_SOCKET), N(SOL_TCP), N(SOL_UDP), N(SOL_IPV6), N(SOL_NETLINK),
};
static const struct name sock_opt_names[] = {
	N(SO_DEBUG), N(SO_REUSEADDR), N(SO_TYPE), N(SO_ERROR), N(SO_DONTROUTE), N(SO_BROADCAST),
	N(SO_SNDBUF), N(SO_RCVBUF), N(SO_KEEPALIVE), N(SO_OOBINLINE), N(SO_PRIORITY),
	N(SO_LINGER), N(SO_REUSEPORT), N(SO_PASSCRED), N(SO_PEERCRED), N(SO_RCVLOWAT),
	N(SO_SNDLOWAT), N(SO_RCVTIMEO), N(SO_SNDTIMEO), N(SO_BINDTODEVICE), N(SO_ATTACH_FILTER),
	N(SO_DETACH_FILTER), N(SO_PEERNAME), N(SO_TIMESTAMP), N(SO_ACCEPTCONN), N(SO_PEERSEC),
	N(SO_SNDBUFFORCE), N(SO_RCVBUFFORCE), N(SO_PASSSEC), N(SO_TIMESTAMPNS), N(SO_MARK),
	N(SO_PROTOCOL), N(SO_DOMAIN), N(SO_PEEK_OFF), N(SO_PEERGROUPS), N(SO_PASSPIDFD),
	N(SO_PEERPIDFD),
};
static const struct name msg_names[] = {
	N(MSG_OOB), N(MSG_PEEK), N(MSG_DONTROUTE), N(MSG_CTRUNC), N(MSG_TRUNC), N(MSG_DONTWAIT),
	N(MSG_EOR), N(MSG_WAITALL), N(MSG_ERRQUEUE), N(MSG_NOSIGNAL), N(MSG_MORE),
	N(MSG_WAITFORONE), N(MSG_ZEROCOPY), N(MSG_FASTOPEN), N(MSG_CMSG_CLOEXEC),
};
static const struct name shut_names[] = {N(SHUT_RD), N(SHUT_WR), N(SHUT_RDWR)};
static const struct name epoll_op_names[] = {
	N(EPOLL_CTL_ADD), N(EPOLL_CTL_DEL), N(EPOLL_CTL_MOD),
};
static const struct name mount_names[] = {
	N(MS_RDONLY), N(MS_NOSUID), N(MS_NODEV), N(MS_NOEXEC), N(MS_SYNCHRONOUS), N(MS_REMOUNT),
	N(MS_MANDLOCK), N(MS_DIRSYNC), N(MS_NOSYMFOLLOW), N(MS_NOATIME), N(MS_NODIRATIME),
	N(MS_BIND), N(MS_MOVE), N(MS_REC), N(MS_SILENT), N(MS_POSIXACL), N(MS_UNBINDABLE),
	N(MS_PRIVATE), N(MS_SLAVE), N(MS_SHARED), N(MS_RELATIME), N(MS_I_VERSION),
	N(MS_STRICTATIME), N(MS_LAZYTIME),
};
static const struct name umount_names[] = {
	N(MNT_FORCE), N(MNT_DETACH), N(MNT_EXPIRE), N(UMOUNT_NOFOLLOW),
};
static const struct name grnd_names[] = {N(GRND_NONBLOCK), N(GRND_RANDOM), N(GRND_INSECURE)};
static const struct name flock_names[] = {N(LOCK_SH), N(LOCK_EX), N(LOCK_UN), N(LOCK_NB)};
static const struct name falloc_names[] = {
	N(FALLOC_FL_KEEP_SIZE), N(FALLOC_FL_PUNCH_HOLE), N(FALLOC_FL_COLLAPSE_RANGE),
	N(FALLOC_FL_ZERO_RANGE), N(FALLOC_FL_INSERT_RANGE), N(FALLOC_FL_UNSHARE_RANGE),
};
static const struct name fadvise_names[] = {
	N(POSIX_FADV_NORMAL), N(POSIX_FADV_RANDOM), N(POSIX_FADV_SEQUENTIAL),
	N(POSIX_FADV_WILLNEED), N(POSIX_FADV_DONTNEED), N(POSIX_FADV_NOREUSE),
};
static const struct name rename_names[] = {
	N(RENAME_NOREPLACE), N(RENAME_EXCHANGE), N(RENAME_WHITEOUT),
};
static const struct name fd_flag_names[] = {
	{1, "EFD_SEMAPHORE"}, N(O_CLOEXEC), N(O_NONBLOCK), N(O_DIRECT), N(O_EXCL),
};
static const struct name in_mask_names[] = {
	N(IN_ALL_EVENTS), N(IN_ACCESS), N(IN_MODIFY), N(IN_ATTRIB), N(IN_CLOSE_WRITE),
	N(IN_CLOSE_NOWRITE), N(IN_OPEN), N(IN_MOVED_FROM), N(IN_MOVED_TO), N(IN_CREATE),
	N(IN_DELETE), N(IN_DELETE_SELF), N(IN_MOVE_SELF), N(IN_UNMOUNT), N(IN_Q_OVERFLOW),
	N(IN_IGNORED), N(IN_ONLYDIR), N(IN_DONT_FOLLOW), N(IN_EXCL_UNLINK), N(IN_MASK_CREATE),
	N(IN_MASK_ADD), N(IN_ISDIR), N(IN_ONESHOT),
};
static const struct name splice_names[] = {
	N(SPLICE_F_MOVE), N(SPLICE_F_NONBLOCK), N(SPLICE_F_MORE), N(SPLICE_F_GIFT),
};
static const struct name mfd_names[] = {
	N(MFD_CLOEXEC), N(MFD_ALLOW_SEALING), N(MFD_HUGETLB), N(MFD_NOEXEC_SEAL), N(MFD_EXEC),
};
static const struct name close_range_names[] = {
	N(CLOSE_RANGE_UNSHARE), N(CLOSE_RANGE_CLOEXEC),
};
static const struct name statx_names[] = {
	N(STATX_BASIC_STATS), N(STATX_TYPE), N(STATX_MODE), N(STATX_NLINK), N(STATX_UID),
	N(STATX_GID), N(STATX_ATIME), N(STATX_MTIME), N(STATX_CTIME), N(STATX_INO), N(STATX_SIZE),
	N(STATX_BLOCKS), N(STATX_BTIME), N(STATX_MNT_ID), N(STATX_DIOALIGN),
	N(STATX_MNT_ID_UNIQUE), N(STATX_SUBVOL), N(STATX_WRITE_ATOMIC),
};
static const struct name statx_attr_names[] = {
	N(STATX_ATTR_COMPRESSED), N(STATX_ATTR_IMMUTABLE), N(STATX_ATTR_APPEND),
	N(STATX_ATTR_NODUMP), N(STATX_ATTR_ENCRYPTED), N(STATX_ATTR_AUTOMOUNT),
	N(STATX_ATTR_MOUNT_ROOT), N(STATX_ATTR_VERITY), N(STATX_ATTR_DAX),
};
static const struct name sched_policy_names[] = {
	N(SCHED_OTHER), N(SCHED_FIFO), N(SCHED_RR), N(SCHED_BATCH), N(SCHED_IDLE),
	N(SCHED_DEADLINE), N(SCHED_EXT),
};
static const struct name rwf_names[] = {
	N(RWF_HIPRI), N(RWF_DSYNC), N(RWF_SYNC), N(RWF_NOWAIT), N(RWF_APPEND), N(RWF_NOAPPEND),
	N(RWF_ATOMIC),
};
static const struct name membarrier_names[] = {
	N(MEMBARRIER_CMD_QUERY), N(MEMBARRIER_CMD_GLOBAL), N(MEMBARRIER_CMD_GLOBAL_EXPEDITED),
	N(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED), N(MEMBARRIER_CMD_PRIVATE_EXPEDITED),
	N(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED),
	N(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE),
	N(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE),
	N(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ),
	N(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ), N(MEMBARRIER_CMD_GET_REGISTRATIONS),
};
static const struct name seccomp_names[] = {
	N(SECCOMP_SET_MODE_STRICT), N(SECCOMP_SET_MODE_FILTER), N(SECCOMP_GET_ACTION_AVAIL),
	N(SECCOMP_GET_NOTIF_SIZES),
};
static const struct name seal_names[] = {
	N(F_SEAL_SEAL), N(F_SEAL_SHRINK), N(F_SEAL_GROW), N(F_SEAL_WRITE), N(F_SEAL_FUTURE_WRITE),
	N(F_SEAL_EXEC),
};
static const struct name poll_names[] = {
	N(POLLIN), N(POLLPRI), N(POLLOUT), N(POLLERR), N(POLLHUP), N(POLLNVAL), N(POLLRDNORM),
	N(POLLRDBAND), N(POLLWRNORM), N(POLLWRBAND), N(POLLMSG), N(POLLRDHUP),
};
static const struct name epoll_names[] = {
	{ABI_POLLIN, "EPOLLIN"}, {ABI_POLLPRI, "EPOLLPRI"}, {ABI_POLLOUT, "EPOLLOUT"},
	{ABI_POLLERR, "EPOLLERR"}, {ABI_POLLHUP, "EPOLLHUP"}, {ABI_POLLRDNORM, "EPOLLRDNORM"},
	{ABI_POLLRDBAND, "EPOLLRDBAND"}, {ABI_POLLWRNORM, "EPOLLWRNORM"},
	{ABI_POLLWRBAND, "EPOLLWRBAND"}, {ABI_POLLMSG, "EPOLLMSG"}, {ABI_POLLRDHUP, "EPOLLRDHUP"},
	N(EPOLLEXCLUSIVE), N(EPOLLWAKEUP), N(EPOLLONESHOT), N(EPOLLET),
};
static const struct name sa_names[] = {
	N(SA_NOCLDSTOP), N(SA_NOCLDWAIT), N(SA_SIGINFO), N(SA_RESTORER), N(SA_ONSTACK),
	N(SA_RESTART), N(SA_NODEFER), N(SA_RESETHAND),
};
static const struct name lock_type_names[] = {N(F_RDLCK), N(F_WRLCK), N(F_UNLCK)};
static const struct name type_names[] = {
	N(S_IFSOCK), N(S_IFLNK), N(S_IFREG), N(S_IFBLK), N(S_IFDIR), N(S_IFCHR), N(S_IFIFO),
};
static const struct name iflag_names[] = {
	N(IGNBRK), N(BRKINT), N(IGNPAR), N(PARMRK), N(INPCK), N(ISTRIP), N(INLCR), N(IGNCR),
	N(ICRNL), N(IUCLC), N(IXON), N(IXANY), N(IXOFF), N(IMAXBEL), N(IUTF8),
};
static const struct name oflag_names[] = {
	N(OPOST), N(OLCUC), N(ONLCR), N(OCRNL), N(ONOCR), N(ONLRET), N(OFILL), N(OFDEL),
	{ABI_XTABS, "TAB3"},
};
static const struct name lflag_names[] = {
	N(ISIG), N(ICANON), N(XCASE), N(ECHO), N(ECHOE), N(ECHOK), N(ECHONL), N(NOFLSH),
	N(TOSTOP), N(ECHOCTL), N(ECHOPRT), N(ECHOKE), N(FLUSHO), N(PENDIN), N(IEXTEN), N(EXTPROC),
};

static const struct name_set sets[] = {
	[AK_OPEN - AK_FLAGS_FIRST] = BITS(open_names),
	[AK_AT - AK_FLAGS_FIRST] = BITS(at_names),
	[AK_ACCESS - AK_FLAGS_FIRST] = BITS_ZERO(access_names, "F_OK"),
	[AK_WHENCE - AK_FLAGS_FIRST] = ENUM(whence_names, "SEEK"),
	[AK_PROT - AK_FLAGS_FIRST] = BITS_ZERO(prot_names, "PROT_NONE"),
	[AK_MAP - AK_FLAGS_FIRST] = BITS(map_names),
	[AK_MREMAP - AK_FLAGS_FIRST] = BITS(mremap_names),
	[AK_MSYNC - AK_FLAGS_FIRST] = BITS(msync_names),
	[AK_MADV - AK_FLAGS_FIRST] = ENUM(madv_names, "MADV"),
	[AK_MCL - AK_FLAGS_FIRST] = BITS(mcl_names),
	[AK_CLONE - AK_FLAGS_FIRST] = BITS(clone_names),
	[AK_WAIT - AK_FLAGS_FIRST] = BITS(wait_names),
	[AK_IDTYPE - AK_FLAGS_FIRST] = ENUM(idtype_names, "P"),
	[AK_FUTEX - AK_FLAGS_FIRST] = ENUM(futex_names, "FUTEX"),
	[AK_FCNTL - AK_FLAGS_FIRST] = ENUM(fcntl_names, "F"),
	[AK_IOCTL - AK_FLAGS_FIRST] = ENUM(ioctl_names, "IOC"),
	[AK_SIGHOW - AK_FLAGS_FIRST] = ENUM(sighow_names, "SIG"),
	[AK_CLOCK - AK_FLAGS_FIRST] = ENUM(clock_names, "CLOCK"),
	[AK_TIMER - AK_FLAGS_FIRST] = BITS(timer_names),
	[AK_ITIMER - AK_FLAGS_FIRST] = ENUM(itimer_names, "ITIMER"),
	[AK_RLIMIT - AK_FLAGS_FIRST] = ENUM(rlimit_names, "RLIMIT"),
	[AK_RUSAGE - AK_FLAGS_FIRST] = ENUM(rusage_names, "RUSAGE"),
	[AK_PRIO - AK_FLAGS_FIRST] = ENUM(prio_names, "PRIO"),
	[AK_PRCTL - AK_FLAGS_FIRST] = ENUM(prctl_names, "PR"),
	[AK_ARCH_PRCTL - AK_FLAGS_FIRST] = ENUM(arch_prctl_names, "ARCH"),
	[AK_SOCK_FAMILY - AK_FLAGS_FIRST] = ENUM(sock_family_names, "AF"),
	[AK_SOCK_TYPE - AK_FLAGS_FIRST] = ENUM(sock_type_names, "SOCK"),
	[AK_SOCK_LEVEL - AK_FLAGS_FIRST] = ENUM(sock_level_names, "SOL"),
	[AK_SOCK_OPT - AK_FLAGS_FIRST] = ENUM(sock_opt_names, "SO"),
	[AK_MSG - AK_FLAGS_FIRST] = BITS(msg_names),
	[AK_SHUT - AK_FLAGS_FIRST] = ENUM(shut_names, "SHUT"),
	[AK_EPOLL_OP - AK_FLAGS_FIRST] = ENUM(epoll_op_names, "EPOLL_CTL"),
	[AK_MOUNT - AK_FLAGS_FIRST] = BITS(mount_names),
	[AK_UMOUNT - AK_FLAGS_FIRST] = BITS(umount_names),
	[AK_GRND - AK_FLAGS_FIRST] = BITS(grnd_names),
	[AK_FLOCK - AK_FLAGS_FIRST] = BITS(flock_names),
	[AK_FALLOC - AK_FLAGS_FIRST] = BITS(falloc_names),
	[AK_FADVISE - AK_FLAGS_FIRST] = ENUM(fadvise_names, "POSIX_FADV"),
	[AK_RENAME - AK_FLAGS_FIRST] = BITS(rename_names),
	[AK_FD_FLAGS - AK_FLAGS_FIRST] = BITS(fd_flag_names),
	[AK_IN_MASK - AK_FLAGS_FIRST] = BITS(in_mask_names),
	[AK_SPLICE - AK_FLAGS_FIRST] = BITS(splice_names),
	[AK_MFD - AK_FLAGS_FIRST] = BITS(mfd_names),
	[AK_CLOSE_RANGE - AK_FLAGS_FIRST] = BITS(close_range_names),
	[AK_STATX_MASK - AK_FLAGS_FIRST] = BITS(statx_names),
	[AK_SCHED_POLICY - AK_FLAGS_FIRST] = ENUM(sched_policy_names, "SCHED"),
	[AK_RWF - AK_FLAGS_FIRST] = BITS(rwf_names),
	[AK_MEMBARRIER - AK_FLAGS_FIRST] = ENUM(membarrier_names, "MEMBARRIER_CMD"),
	[AK_SECCOMP - AK_FLAGS_FIRST] = ENUM(seccomp_names, "SECCOMP"),
};
/* clang-format on */
_Static_assert(array_count(sets) == AK_FLAGS_LAST - AK_FLAGS_FIRST + 1, "a set for each kind");

static const char *find_name(const struct name *names, size_t count, uint64_t value)
{
	for (size_t i = 0; i < count; i++)
		if (names[i].value == value)
			return names[i].name;
	return NULL;
}

/* Names of bits, joined by '|'; what has none in hexadecimal. first: something stands before. */
static void show_bits(struct strbuf *out, const struct name *names, size_t count, uint64_t value,
		      bool first)
{
	for (size_t i = 0; i < count; i++) {
		if (!names[i].value || (value & names[i].value) != names[i].value)
			continue;
		strbuf_addf(out, "%s%s", first ? "" : "|", names[i].name);
		first = false;
		value &= ~names[i].value;
	}
	if (value)
		strbuf_addf(out, "%s%#" PRIx64, first ? "" : "|", value);
}

static void show_bits_or(struct strbuf *out, const struct name *names, size_t count, uint64_t value,
			 const char *zero)
{
	if (value)
		show_bits(out, names, count, value, true);
	else
		strbuf_addstr(out, zero);
}

static void show_open_flags(struct strbuf *out, uint64_t flags)
{
	static const char *const modes[] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"};

	strbuf_addstr(out, modes[flags & ABI_O_ACCMODE]);
	show_bits(out, open_names, array_count(open_names), flags & ~(uint64_t)ABI_O_ACCMODE,
		  false);
}

static void show_clone_flags(struct strbuf *out, uint64_t flags)
{
	uint64_t signo = flags & ABI_CSIGNAL;

	show_bits_or(out, clone_names, array_count(clone_names), flags - signo, signo ? "" : "0");
	if (!signo)
		return;
	if (flags != signo)
		strbuf_addch(out, '|');
	strace_show_signal(out, signo);
}

/* A command with flags of its own beside it. */
static void show_futex_op(struct strbuf *out, uint64_t op)
{
	uint64_t cmd = op & (uint32_t)ABI_FUTEX_CMD_MASK;
	const char *name = find_name(futex_names, array_count(futex_names), cmd);

	if (name)
		strbuf_addstr(out, name);
	else
		strbuf_addf(out, "%#" PRIx64 " /* FUTEX_??? */", cmd);
	if (op & ABI_FUTEX_PRIVATE_FLAG)
		strbuf_addstr(out, name ? "_PRIVATE" : "|FUTEX_PRIVATE_FLAG");
	if (op & ABI_FUTEX_CLOCK_REALTIME)
		strbuf_addstr(out, "|FUTEX_CLOCK_REALTIME");
}

static void show_socket_type(struct strbuf *out, uint64_t type)
{
	uint64_t base = type & ABI_SOCK_TYPE_MASK;
	const char *name = find_name(sock_type_names, array_count(sock_type_names), base);

	if (name)
		strbuf_addstr(out, name);
	else
		strbuf_addf(out, "%#" PRIx64 " /* SOCK_??? */", base);
	if (type & ABI_SOCK_CLOEXEC)
		strbuf_addstr(out, "|SOCK_CLOEXEC");
	if (type & ABI_SOCK_NONBLOCK)
		strbuf_addstr(out, "|SOCK_NONBLOCK");
}

void strace_show_flags(struct strbuf *out, uint8_t kind, uint64_t value)
{
	const struct name_set *set = &sets[kind - AK_FLAGS_FIRST];
	const char *name;

	/* Only these are wider than an int. */
	if (kind != AK_CLONE && kind != AK_OPEN)
		value = (uint32_t)value;
	switch (kind) {
	case AK_OPEN:
		show_open_flags(out, value);
		return;
	case AK_CLONE:
		show_clone_flags(out, value);
		return;
	case AK_FUTEX:
		show_futex_op(out, value);
		return;
	case AK_SOCK_TYPE:
		show_socket_type(out, value);
		return;
	default:
		break;
	}
	if (set->bits) {
		show_bits_or(out, set->names, set->count, value, set->zero ? set->zero : "0");
		return;
	}
	name = find_name(set->names, set->count, value);
	if (name)
		strbuf_addstr(out, name);
	else
		strbuf_addf(out, "%#" PRIx64 " /* %s */", value, set->unknown);
}

#define SHOW_BITS(out, names, value) show_bits_or(out, names, array_count(names), value, "0")

void strace_show_poll_events(struct strbuf *out, uint32_t events, bool epoll)
{
	if (epoll)
		SHOW_BITS(out, epoll_names, events);
	else
		SHOW_BITS(out, poll_names, events);
}

void strace_show_sa_flags(struct strbuf *out, uint64_t flags)
{
	SHOW_BITS(out, sa_names, flags);
}

void strace_show_statx_attributes(struct strbuf *out, uint64_t attributes)
{
	SHOW_BITS(out, statx_attr_names, attributes);
}

void strace_show_seals(struct strbuf *out, uint64_t seals)
{
	SHOW_BITS(out, seal_names, seals);
}

void strace_show_lock_type(struct strbuf *out, int type)
{
	const char *name = find_name(lock_type_names, array_count(lock_type_names), (uint64_t)type);

	if (name)
		strbuf_addstr(out, name);
	else
		strbuf_addf(out, "%d", type);
}

void strace_show_mode(struct strbuf *out, uint32_t mode)
{
	const char *type = find_name(type_names, array_count(type_names), mode & ABI_S_IFMT);

	if (type)
		strbuf_addf(out, "%s|", type);
	else if (mode & ABI_S_IFMT)
		strbuf_addf(out, "%#o|", mode & ABI_S_IFMT);
	if (mode & ABI_S_ISUID)
		strbuf_addstr(out, "S_ISUID|");
	if (mode & ABI_S_ISGID)
		strbuf_addstr(out, "S_ISGID|");
	if (mode & ABI_S_ISVTX)
		strbuf_addstr(out, "S_ISVTX|");
	strbuf_addf(out, "0%03o", mode & 0777);
}

/* ---- signals ---- */

const char *strace_signal_name(int signo, char *room, size_t size)
{
	static const char *const names[] = {
	    "0",	"SIGHUP",  "SIGINT",	"SIGQUIT", "SIGILL",   "SIGTRAP",   "SIGABRT",
	    "SIGBUS",	"SIGFPE",  "SIGKILL",	"SIGUSR1", "SIGSEGV",  "SIGUSR2",   "SIGPIPE",
	    "SIGALRM",	"SIGTERM", "SIGSTKFLT", "SIGCHLD", "SIGCONT",  "SIGSTOP",   "SIGTSTP",
	    "SIGTTIN",	"SIGTTOU", "SIGURG",	"SIGXCPU", "SIGXFSZ",  "SIGVTALRM", "SIGPROF",
	    "SIGWINCH", "SIGIO",   "SIGPWR",	"SIGSYS",  "SIGRTMIN",
	};

	if (signo >= 0 && (size_t)signo < array_count(names))
		return names[signo];
	if (signo > ABI_SIGRTMIN && signo <= ABI_SIGRTMAX)
		snprintf(room, size, "SIGRT_%d", signo - ABI_SIGRTMIN);
	else
		snprintf(room, size, "%d", signo);
	return room;
}

void strace_show_signal(struct strbuf *out, uint64_t signo)
{
	char room[24];

	strbuf_addstr(out, strace_signal_name((int)signo, room, sizeof(room)));
}

/* clang-format off */
#define S(x) {(uint64_t)(int64_t)ABI_##x, #x}
static const struct name si_names[] = {
	S(SI_USER), S(SI_KERNEL), S(SI_QUEUE), S(SI_TIMER), S(SI_MESGQ), S(SI_ASYNCIO), S(SI_SIGIO),
	S(SI_TKILL),
};
static const struct name si_segv_names[] = {
	S(SEGV_MAPERR), S(SEGV_ACCERR), S(SEGV_BNDERR), S(SEGV_PKUERR),
};
static const struct name si_bus_names[] = {S(BUS_ADRALN), S(BUS_ADRERR), S(BUS_OBJERR)};
static const struct name si_fpe_names[] = {
	S(FPE_INTDIV), S(FPE_INTOVF), S(FPE_FLTDIV), S(FPE_FLTOVF), S(FPE_FLTUND), S(FPE_FLTRES),
	S(FPE_FLTINV),
};
static const struct name si_trap_names[] = {S(TRAP_BRKPT), S(TRAP_TRACE), S(TRAP_HWBKPT)};
static const struct name si_ill_names[] = {S(ILL_ILLOPC), S(ILL_ILLOPN)};
static const struct name si_cld_names[] = {
	S(CLD_EXITED), S(CLD_KILLED), S(CLD_DUMPED), S(CLD_TRAPPED), S(CLD_STOPPED),
	S(CLD_CONTINUED),
};
/* clang-format on */

#define FIND(names, code) find_name(names, array_count(names), (uint64_t)(int64_t)(code))

const char *strace_si_code_name(int signo, int code)
{
	if (code <= 0 || code == ABI_SI_KERNEL)
		return FIND(si_names, code);
	switch (signo) {
	case ABI_SIGSEGV:
		return FIND(si_segv_names, code);
	case ABI_SIGBUS:
		return FIND(si_bus_names, code);
	case ABI_SIGFPE:
		return FIND(si_fpe_names, code);
	case ABI_SIGTRAP:
		return FIND(si_trap_names, code);
	case ABI_SIGILL:
		return FIND(si_ill_names, code);
	case ABI_SIGCHLD:
		return FIND(si_cld_names, code);
	default:
		return NULL;
	}
}

/* ---- terminals and other ioctls ---- */

bool strace_ioctl_is_getter(uint32_t cmd)
{
	switch (cmd) {
	case ABI_TCGETS:
	case ABI_TCGETS2:
	case ABI_TIOCGWINSZ:
	case ABI_TIOCGPGRP:
	case ABI_TIOCGSID:
	case ABI_TIOCGPTN:
	case ABI_TIOCGPTLCK:
	case ABI_TIOCGETD:
	case ABI_TIOCOUTQ:
	case ABI_FIONREAD:
	case ABI_FIGETBSZ:
		return true;
	default:
		return false;
	}
}

void strace_show_termios(struct strbuf *out, const void *termios)
{
	struct abi_termios t;

	memcpy(&t, termios, sizeof(t));
	strbuf_addstr(out, "{c_iflag=");
	SHOW_BITS(out, iflag_names, t.iflag);
	strbuf_addstr(out, ", c_oflag=");
	SHOW_BITS(out, oflag_names, t.oflag);
	strbuf_addf(out, ", c_cflag=%#" PRIx32 ", c_lflag=", t.cflag);
	SHOW_BITS(out, lflag_names, t.lflag);
	strbuf_addstr(out, ", ...}");
}

static void show_winsize(struct strbuf *out, const struct abi_winsize *w)
{
	strbuf_addf(out, "{ws_row=%u, ws_col=%u, ws_xpixel=%u, ws_ypixel=%u}", w->row, w->col,
		    w->xpixel, w->ypixel);
}

/* Shows the argument from the guest's bytes; false if they can't be read. */
static bool show_ioctl_struct(struct strace_call *c, uint32_t cmd, uint64_t va)
{
	union {
		int32_t number;
		struct abi_winsize winsize;
		struct abi_termios termios;
	} arg;

	switch (cmd) {
	case ABI_TCGETS:
	case ABI_TCGETS2:
	case ABI_TCSETS:
	case ABI_TCSETSW:
	case ABI_TCSETSF:
	case ABI_TCSETS2:
	case ABI_TCSETSW2:
	case ABI_TCSETSF2:
		if (!strace_read(c, &arg.termios, va, sizeof(arg.termios)))
			return false;
		strace_show_termios(c->out, &arg.termios);
		return true;
	case ABI_TIOCGWINSZ:
	case ABI_TIOCSWINSZ:
		if (!strace_read(c, &arg.winsize, va, sizeof(arg.winsize)))
			return false;
		show_winsize(c->out, &arg.winsize);
		return true;
	case ABI_TIOCSPGRP:
	case ABI_TIOCSPTLCK:
	case ABI_TIOCPKT:
	case ABI_FIONBIO:
	case ABI_FIOASYNC:
		break;
	default:
		if (!strace_ioctl_is_getter(cmd))
			return false;
	}
	if (!strace_read(c, &arg.number, va, sizeof(arg.number)))
		return false;
	strbuf_addf(c->out, "[%" PRId32 "]", arg.number);
	return true;
}

void strace_show_ioctl_arg(struct strace_call *c, uint32_t cmd, uint64_t va)
{
	switch (cmd) {
	case ABI_TCFLSH:
	case ABI_TCXONC:
	case ABI_TCSBRK:
	case ABI_TIOCSCTTY:
	case ABI_TIOCGPTPEER:
		strbuf_addf(c->out, "%d", (int)va);
		return;
	default:
		break;
	}
	if ((c->exiting && c->ret < 0) || !show_ioctl_struct(c, cmd, va))
		strace_show_address(c->out, va);
}
