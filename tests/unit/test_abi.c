/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's ABI is the host's: every struct and constant of abi/ that the host's headers have
 * too must agree with them. All checks but one are made by the compiler.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <linux/limits.h>
#include <linux/rseq.h>
#include <linux/sched.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <utime.h>

#include <asm/prctl.h>
#include <asm/ucontext.h>
#include <linux/close_range.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/membarrier.h>
#include <linux/memfd.h>
#include <linux/netlink.h>
#include <linux/openat2.h>
#include <linux/personality.h>
#include <linux/reboot.h>
#include <linux/securebits.h>
#include <linux/sockios.h>
#include <linux/xattr.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <sys/xattr.h>

#include "abi/caps.h"
#include "abi/elf.h"
#include "abi/errno.h"
#include "abi/fcntl.h"
#include "abi/futex.h"
#include "abi/ipc.h"
#include "abi/mman.h"
#include "abi/poll.h"
#include "abi/prctl.h"
#include "abi/resource.h"
#include "abi/sched.h"
#include "abi/signal.h"
#include "abi/socket.h"
#include "abi/stat.h"
#include "abi/sysinfo.h"
#include "abi/time.h"
#include "abi/tty.h"
#include "abi/types.h"
#include "abi/uio.h"
#include "abi/utsname.h"

#define SIZE(ours, theirs)  _Static_assert(sizeof(ours) == sizeof(theirs), "size of " #ours)
#define EQUAL(ours, theirs) _Static_assert((long long)(ours) == (long long)(theirs), #ours)
/* Some are int in one and unsigned in the other. */
#define SAME(name)                                                                                 \
	_Static_assert((long long)(ABI_##name) == (long long)(name) ||                             \
			   (unsigned int)(ABI_##name) == (unsigned int)(name),                     \
		       #name)
#define FIELD(ours, f, theirs, g)                                                                  \
	_Static_assert(offsetof(ours, f) == offsetof(theirs, g), "offset of " #f);                 \
	_Static_assert(sizeof(((ours *)0)->f) == sizeof(((theirs *)0)->g), "size of " #f)

SIZE(struct abi_stat, struct stat);
FIELD(struct abi_stat, nlink, struct stat, st_nlink);
FIELD(struct abi_stat, mode, struct stat, st_mode);
FIELD(struct abi_stat, rdev, struct stat, st_rdev);
FIELD(struct abi_stat, size, struct stat, st_size);
FIELD(struct abi_stat, blocks, struct stat, st_blocks);
FIELD(struct abi_stat, atime, struct stat, st_atim.tv_sec);
FIELD(struct abi_stat, ctime_nsec, struct stat, st_ctim.tv_nsec);
SIZE(struct abi_statx, struct statx);
FIELD(struct abi_statx, attributes_mask, struct statx, stx_attributes_mask);
FIELD(struct abi_statx, mtime, struct statx, stx_mtime);
FIELD(struct abi_statx, mnt_id, struct statx, stx_mnt_id);
SIZE(struct abi_statfs, struct statfs);
FIELD(struct abi_statfs, namelen, struct statfs, f_namelen);
FIELD(struct abi_statfs, flags, struct statfs, f_flags);

SIZE(struct abi_flock, struct flock);
FIELD(struct abi_flock, pid, struct flock, l_pid);
SIZE(struct abi_open_how, uint64_t[3]);
SIZE(struct abi_inotify_event, struct inotify_event);
SIZE(struct abi_timespec, struct timespec);
SIZE(struct abi_timeval, struct timeval);
SIZE(struct abi_itimerspec, struct itimerspec);
SIZE(struct abi_itimerval, struct itimerval);
SIZE(struct abi_utimbuf, struct utimbuf);
SIZE(struct abi_tms, struct tms);
SIZE(struct abi_rusage, struct rusage);
FIELD(struct abi_rusage, nivcsw, struct rusage, ru_nivcsw);
SIZE(struct abi_timex, struct timex);
FIELD(struct abi_timex, tai, struct timex, tai);
SIZE(struct abi_pollfd, struct pollfd);
SIZE(struct abi_epoll_event, struct epoll_event);
SIZE(struct abi_fd_set, fd_set);
SIZE(struct abi_clone_args, struct clone_args);
FIELD(struct abi_clone_args, cgroup, struct clone_args, cgroup);
SIZE(struct abi_rseq, struct rseq);
SIZE(struct abi_robust_list_head, struct robust_list_head);
SIZE(struct abi_futex_waitv, struct futex_waitv);
SIZE(struct abi_winsize, struct winsize);
SIZE(struct abi_rlimit, struct rlimit);
SIZE(struct abi_iovec, struct iovec);
SIZE(struct abi_utsname, struct utsname);
SIZE(struct abi_sysinfo, struct sysinfo);
FIELD(struct abi_sysinfo, mem_unit, struct sysinfo, mem_unit);
SIZE(struct abi_cap_header, struct __user_cap_header_struct);
SIZE(struct abi_cap_data, struct __user_cap_data_struct);

SIZE(struct abi_siginfo, siginfo_t);
FIELD(struct abi_siginfo, err, siginfo_t, si_errno);
FIELD(struct abi_siginfo, code, siginfo_t, si_code);
FIELD(struct abi_siginfo, kill.uid, siginfo_t, si_uid);
FIELD(struct abi_siginfo, timer.overrun, siginfo_t, si_overrun);
FIELD(struct abi_siginfo, timer.value, siginfo_t, si_ptr);
FIELD(struct abi_siginfo, rt.value, siginfo_t, si_ptr);
FIELD(struct abi_siginfo, chld.status, siginfo_t, si_status);
FIELD(struct abi_siginfo, chld.stime, siginfo_t, si_stime);
FIELD(struct abi_siginfo, fault.addr, siginfo_t, si_addr);
FIELD(struct abi_siginfo, fault.lower, siginfo_t, si_lower);
FIELD(struct abi_siginfo, poll.fd, siginfo_t, si_fd);
FIELD(struct abi_siginfo, sys.arch, siginfo_t, si_arch);
SIZE(struct abi_stack, stack_t);
FIELD(struct abi_stack, size, stack_t, ss_size);
SIZE(struct abi_sigcontext, mcontext_t);
FIELD(struct abi_ucontext, mcontext, ucontext_t, uc_mcontext);
FIELD(struct abi_ucontext, sigmask, ucontext_t, uc_sigmask.__val[0]);
FIELD(struct abi_sigcontext, cr2, mcontext_t, gregs[REG_CR2]);
FIELD(struct abi_sigcontext, ip, mcontext_t, gregs[REG_RIP]);
FIELD(struct abi_sigcontext, sp, mcontext_t, gregs[REG_RSP]);
FIELD(struct abi_sigcontext, fpstate, mcontext_t, fpregs);
SIZE(struct abi_sigevent, struct sigevent);
FIELD(struct abi_sigevent, tid, struct sigevent, _sigev_un._tid);
SIZE(struct abi_signalfd_siginfo, struct signalfd_siginfo);
FIELD(struct abi_signalfd_siginfo, addr, struct signalfd_siginfo, ssi_addr);
FIELD(struct abi_signalfd_siginfo, arch, struct signalfd_siginfo, ssi_arch);

SIZE(struct abi_elf64_ehdr, Elf64_Ehdr);
FIELD(struct abi_elf64_ehdr, phnum, Elf64_Ehdr, e_phnum);
SIZE(struct abi_elf64_phdr, Elf64_Phdr);
FIELD(struct abi_elf64_phdr, memsz, Elf64_Phdr, p_memsz);
SIZE(struct abi_elf64_shdr, Elf64_Shdr);
SIZE(struct abi_elf64_sym, Elf64_Sym);
SIZE(struct abi_auxv, Elf64_auxv_t);

SIZE(struct abi_sockaddr_un, struct sockaddr_un);
SIZE(struct abi_sockaddr_in, struct sockaddr_in);
SIZE(struct abi_sockaddr_in6, struct sockaddr_in6);
SIZE(struct abi_sockaddr_nl, struct sockaddr_nl);
SIZE(struct abi_sockaddr_storage, struct sockaddr_storage);
SIZE(struct abi_msghdr, struct msghdr);
FIELD(struct abi_msghdr, flags, struct msghdr, msg_flags);
SIZE(struct abi_mmsghdr, struct mmsghdr);
SIZE(struct abi_cmsghdr, struct cmsghdr);
SIZE(struct abi_ucred, struct ucred);
SIZE(struct abi_linger, struct linger);

SIZE(struct abi_ipc_perm, struct ipc_perm);
SIZE(struct abi_shmid_ds, struct shmid_ds);
FIELD(struct abi_shmid_ds, nattch, struct shmid_ds, shm_nattch);
SIZE(struct abi_semid_ds, struct semid_ds);
FIELD(struct abi_semid_ds, nsems, struct semid_ds, sem_nsems);
SIZE(struct abi_sembuf, struct sembuf);
SIZE(struct abi_msqid_ds, struct msqid_ds);
FIELD(struct abi_msqid_ds, lrpid, struct msqid_ds, msg_lrpid);
SIZE(struct abi_mq_attr, struct mq_attr);

/* The C library's own: it keeps two signals for itself, and asks for the size of a frame. */
#undef SIGRTMIN
#undef NSIG
#undef MINSIGSTKSZ
#undef O_LARGEFILE /* 0 where all files are */
#undef SIGRTMAX
#undef SIG_DFL /* pointers */
#undef SIG_IGN
#undef SIG_ERR
#include "abi_names.h"

EQUAL(ABI_O_LARGEFILE, 0100000);
EQUAL(ABI_WALL, __WALL);
EQUAL(ABI_WCLONE, (unsigned int)__WCLONE);
EQUAL(ABI_WNOTHREAD, __WNOTHREAD);
EQUAL(ABI_RLIMIT_COUNT, RLIM_NLIMITS);
EQUAL(ABI_SIGRTMIN, __SIGRTMIN);
EQUAL(ABI_SEM_SETALL, SETALL);

static void device_numbers(void **state)
{
	static const unsigned int majors[] = {0, 1, 136, 4095, 4096, 0xfffff};

	(void)state;
	for (size_t i = 0; i < sizeof(majors) / sizeof(majors[0]); i++)
		for (unsigned int minor_nr = 0; minor_nr < 0x100000; minor_nr += 257) {
			uint64_t dev = abi_makedev(majors[i], minor_nr);

			assert_int_equal(dev, makedev(majors[i], minor_nr));
			assert_int_equal(abi_major(dev), majors[i]);
			assert_int_equal(abi_minor(dev), minor_nr);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(device_numbers),
	};

	return cmocka_run_group_tests_name("abi", tests, NULL, NULL);
}
