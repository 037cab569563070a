/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, directory entries, descriptors' commands, locks (asm-generic/fcntl.h, linux/fcntl.h). */
#ifndef ABI_FCNTL_H
#define ABI_FCNTL_H

#include "abi/types.h"

#define ABI_O_RDONLY	00000000
#define ABI_O_WRONLY	00000001
#define ABI_O_RDWR	00000002
#define ABI_O_ACCMODE	00000003
#define ABI_O_CREAT	00000100
#define ABI_O_EXCL	00000200
#define ABI_O_NOCTTY	00000400
#define ABI_O_TRUNC	00001000
#define ABI_O_APPEND	00002000
#define ABI_O_NONBLOCK	00004000
#define ABI_O_DSYNC	00010000
#define ABI_O_ASYNC	00020000
#define ABI_O_DIRECT	00040000
#define ABI_O_LARGEFILE 00100000
#define ABI_O_DIRECTORY 00200000
#define ABI_O_NOFOLLOW	00400000
#define ABI_O_NOATIME	01000000
#define ABI_O_CLOEXEC	02000000
#define ABI_O_SYNC	04010000
#define ABI_O_PATH	010000000
#define ABI_O_TMPFILE	020200000 /* with O_DIRECTORY */

#define ABI_AT_FDCWD		(-100)
#define ABI_AT_SYMLINK_NOFOLLOW 0x100
#define ABI_AT_EACCESS		0x200 /* faccessat2 */
#define ABI_AT_REMOVEDIR	0x200 /* unlinkat */
#define ABI_AT_SYMLINK_FOLLOW	0x400
#define ABI_AT_NO_AUTOMOUNT	0x800
#define ABI_AT_EMPTY_PATH	0x1000
#define ABI_AT_STATX_SYNC_TYPE	0x6000
#define ABI_AT_STATX_FORCE_SYNC 0x2000
#define ABI_AT_STATX_DONT_SYNC	0x4000
#define ABI_AT_RECURSIVE	0x8000
#define ABI_AT_HANDLE_FID	0x200
#define ABI_AT_EXECVE_CHECK	0x10000

/* access */
#define ABI_F_OK 0
#define ABI_X_OK 1
#define ABI_W_OK 2
#define ABI_R_OK 4

#define ABI_SEEK_SET  0
#define ABI_SEEK_CUR  1
#define ABI_SEEK_END  2
#define ABI_SEEK_DATA 3
#define ABI_SEEK_HOLE 4

/* fcntl */
#define ABI_F_DUPFD	    0
#define ABI_F_GETFD	    1
#define ABI_F_SETFD	    2
#define ABI_F_GETFL	    3
#define ABI_F_SETFL	    4
#define ABI_F_GETLK	    5
#define ABI_F_SETLK	    6
#define ABI_F_SETLKW	    7
#define ABI_F_SETOWN	    8
#define ABI_F_GETOWN	    9
#define ABI_F_SETSIG	    10
#define ABI_F_GETSIG	    11
#define ABI_F_SETOWN_EX	    15
#define ABI_F_GETOWN_EX	    16
#define ABI_F_GETOWNER_UIDS 17
#define ABI_F_OFD_GETLK	    36
#define ABI_F_OFD_SETLK	    37
#define ABI_F_OFD_SETLKW    38
#define ABI_F_SETLEASE	    1024
#define ABI_F_GETLEASE	    1025
#define ABI_F_NOTIFY	    1026
#define ABI_F_DUPFD_QUERY   1027
#define ABI_F_CANCELLK	    1029
#define ABI_F_DUPFD_CLOEXEC 1030
#define ABI_F_SETPIPE_SZ    1031
#define ABI_F_GETPIPE_SZ    1032
#define ABI_F_ADD_SEALS	    1033
#define ABI_F_GET_SEALS	    1034
#define ABI_F_GET_RW_HINT   1035
#define ABI_F_SET_RW_HINT   1036

#define ABI_FD_CLOEXEC 1

#define ABI_F_SEAL_SEAL		0x1
#define ABI_F_SEAL_SHRINK	0x2
#define ABI_F_SEAL_GROW		0x4
#define ABI_F_SEAL_WRITE	0x8
#define ABI_F_SEAL_FUTURE_WRITE 0x10
#define ABI_F_SEAL_EXEC		0x20

#define ABI_F_RDLCK 0
#define ABI_F_WRLCK 1
#define ABI_F_UNLCK 2

#define ABI_F_OWNER_TID	 0
#define ABI_F_OWNER_PID	 1
#define ABI_F_OWNER_PGRP 2

struct abi_flock {
	int16_t type;
	int16_t whence;
	int64_t start;
	int64_t len;
	int32_t pid;
};
ABI_SIZE(struct abi_flock, 32);

struct abi_f_owner_ex {
	int32_t type;
	int32_t pid;
};
ABI_SIZE(struct abi_f_owner_ex, 8);

/* flock */
#define ABI_LOCK_SH 1
#define ABI_LOCK_EX 2
#define ABI_LOCK_NB 4
#define ABI_LOCK_UN 8

/* One entry of getdents64: the name with its NUL follows, reclen is a multiple of 8. */
struct abi_dirent64 {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
} __attribute__((packed, aligned(8)));
ABI_SIZE(struct abi_dirent64, 24);
#define ABI_DIRENT64_NAME 19 /* where the name begins */

/* One entry of the older getdents: the type is the last byte of the record. */
struct abi_dirent {
	uint64_t ino;
	uint64_t off;
	uint16_t reclen;
	char name[];
} __attribute__((packed, aligned(8)));
#define ABI_DIRENT_NAME 18

#define ABI_DT_UNKNOWN 0
#define ABI_DT_FIFO    1
#define ABI_DT_CHR     2
#define ABI_DT_DIR     4
#define ABI_DT_BLK     6
#define ABI_DT_REG     8
#define ABI_DT_LNK     10
#define ABI_DT_SOCK    12
#define ABI_DT_WHT     14

/* openat2 */
struct abi_open_how {
	uint64_t flags;
	uint64_t mode;
	uint64_t resolve;
};
ABI_SIZE(struct abi_open_how, 24);

#define ABI_RESOLVE_NO_XDEV	  0x1
#define ABI_RESOLVE_NO_MAGICLINKS 0x2
#define ABI_RESOLVE_NO_SYMLINKS	  0x4
#define ABI_RESOLVE_BENEATH	  0x8
#define ABI_RESOLVE_IN_ROOT	  0x10
#define ABI_RESOLVE_CACHED	  0x20

/* renameat2 */
#define ABI_RENAME_NOREPLACE 1
#define ABI_RENAME_EXCHANGE  2
#define ABI_RENAME_WHITEOUT  4

/* fallocate */
#define ABI_FALLOC_FL_KEEP_SIZE	     0x1
#define ABI_FALLOC_FL_PUNCH_HOLE     0x2
#define ABI_FALLOC_FL_COLLAPSE_RANGE 0x8
#define ABI_FALLOC_FL_ZERO_RANGE     0x10
#define ABI_FALLOC_FL_INSERT_RANGE   0x20
#define ABI_FALLOC_FL_UNSHARE_RANGE  0x40

/* fadvise64 */
#define ABI_POSIX_FADV_NORMAL	  0
#define ABI_POSIX_FADV_RANDOM	  1
#define ABI_POSIX_FADV_SEQUENTIAL 2
#define ABI_POSIX_FADV_WILLNEED	  3
#define ABI_POSIX_FADV_DONTNEED	  4
#define ABI_POSIX_FADV_NOREUSE	  5

/* sync_file_range */
#define ABI_SYNC_FILE_RANGE_WAIT_BEFORE 1
#define ABI_SYNC_FILE_RANGE_WRITE	2
#define ABI_SYNC_FILE_RANGE_WAIT_AFTER	4

/* close_range */
#define ABI_CLOSE_RANGE_UNSHARE 2
#define ABI_CLOSE_RANGE_CLOEXEC 4

/* eventfd2, timerfd_create, signalfd4, inotify_init1: O_CLOEXEC and O_NONBLOCK, and */
#define ABI_EFD_SEMAPHORE	    1
#define ABI_TFD_TIMER_ABSTIME	    1
#define ABI_TFD_TIMER_CANCEL_ON_SET 2

/* splice, tee, vmsplice */
#define ABI_SPLICE_F_MOVE     1
#define ABI_SPLICE_F_NONBLOCK 2
#define ABI_SPLICE_F_MORE     4
#define ABI_SPLICE_F_GIFT     8

#define ABI_O_NOTIFICATION_PIPE ABI_O_EXCL

/* memfd_create */
#define ABI_MFD_CLOEXEC	      0x1
#define ABI_MFD_ALLOW_SEALING 0x2
#define ABI_MFD_HUGETLB	      0x4
#define ABI_MFD_NOEXEC_SEAL   0x8
#define ABI_MFD_EXEC	      0x10

/* inotify */
struct abi_inotify_event {
	int32_t wd;
	uint32_t mask;
	uint32_t cookie;
	uint32_t len; /* of the name that follows, NULs to alignment included */
	char name[];
};
ABI_SIZE(struct abi_inotify_event, 16);

#define ABI_IN_ACCESS	     0x1
#define ABI_IN_MODIFY	     0x2
#define ABI_IN_ATTRIB	     0x4
#define ABI_IN_CLOSE_WRITE   0x8
#define ABI_IN_CLOSE_NOWRITE 0x10
#define ABI_IN_OPEN	     0x20
#define ABI_IN_MOVED_FROM    0x40
#define ABI_IN_MOVED_TO	     0x80
#define ABI_IN_CREATE	     0x100
#define ABI_IN_DELETE	     0x200
#define ABI_IN_DELETE_SELF   0x400
#define ABI_IN_MOVE_SELF     0x800
#define ABI_IN_ALL_EVENTS    0xfff
#define ABI_IN_UNMOUNT	     0x2000
#define ABI_IN_Q_OVERFLOW    0x4000
#define ABI_IN_IGNORED	     0x8000
#define ABI_IN_ONLYDIR	     0x01000000
#define ABI_IN_DONT_FOLLOW   0x02000000
#define ABI_IN_EXCL_UNLINK   0x04000000
#define ABI_IN_MASK_CREATE   0x10000000
#define ABI_IN_MASK_ADD	     0x20000000
#define ABI_IN_ISDIR	     0x40000000
#define ABI_IN_ONESHOT	     0x80000000u

/* mount */
#define ABI_MS_RDONLY	   0x1
#define ABI_MS_NOSUID	   0x2
#define ABI_MS_NODEV	   0x4
#define ABI_MS_NOEXEC	   0x8
#define ABI_MS_SYNCHRONOUS 0x10
#define ABI_MS_REMOUNT	   0x20
#define ABI_MS_MANDLOCK	   0x40
#define ABI_MS_DIRSYNC	   0x80
#define ABI_MS_NOSYMFOLLOW 0x100
#define ABI_MS_NOATIME	   0x400
#define ABI_MS_NODIRATIME  0x800
#define ABI_MS_BIND	   0x1000
#define ABI_MS_MOVE	   0x2000
#define ABI_MS_REC	   0x4000
#define ABI_MS_SILENT	   0x8000
#define ABI_MS_POSIXACL	   0x10000
#define ABI_MS_UNBINDABLE  0x20000
#define ABI_MS_PRIVATE	   0x40000
#define ABI_MS_SLAVE	   0x80000
#define ABI_MS_SHARED	   0x100000
#define ABI_MS_RELATIME	   0x200000
#define ABI_MS_I_VERSION   0x800000
#define ABI_MS_STRICTATIME 0x1000000
#define ABI_MS_LAZYTIME	   0x2000000
#define ABI_MS_MGC_VAL	   0xc0ed0000u
#define ABI_MS_MGC_MSK	   0xffff0000u

#define ABI_MNT_FORCE	    1
#define ABI_MNT_DETACH	    2
#define ABI_MNT_EXPIRE	    4
#define ABI_UMOUNT_NOFOLLOW 8

#endif
