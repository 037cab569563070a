/* SPDX-License-Identifier: Apache-2.0 */
/* File attributes: stat, statx, statfs (asm/stat.h, linux/stat.h, asm/statfs.h). */
#ifndef ABI_STAT_H
#define ABI_STAT_H

#include "abi/types.h"

#define ABI_S_IFMT   0170000
#define ABI_S_IFSOCK 0140000
#define ABI_S_IFLNK  0120000
#define ABI_S_IFREG  0100000
#define ABI_S_IFBLK  0060000
#define ABI_S_IFDIR  0040000
#define ABI_S_IFCHR  0020000
#define ABI_S_IFIFO  0010000
#define ABI_S_ISUID  0004000
#define ABI_S_ISGID  0002000
#define ABI_S_ISVTX  0001000
#define ABI_S_IRWXU  0000700
#define ABI_S_IRUSR  0000400
#define ABI_S_IWUSR  0000200
#define ABI_S_IXUSR  0000100
#define ABI_S_IRWXG  0000070
#define ABI_S_IRGRP  0000040
#define ABI_S_IWGRP  0000020
#define ABI_S_IXGRP  0000010
#define ABI_S_IRWXO  0000007
#define ABI_S_IROTH  0000004
#define ABI_S_IWOTH  0000002
#define ABI_S_IXOTH  0000001

#define ABI_S_ISREG(m)	(((m)&ABI_S_IFMT) == ABI_S_IFREG)
#define ABI_S_ISDIR(m)	(((m)&ABI_S_IFMT) == ABI_S_IFDIR)
#define ABI_S_ISLNK(m)	(((m)&ABI_S_IFMT) == ABI_S_IFLNK)
#define ABI_S_ISCHR(m)	(((m)&ABI_S_IFMT) == ABI_S_IFCHR)
#define ABI_S_ISBLK(m)	(((m)&ABI_S_IFMT) == ABI_S_IFBLK)
#define ABI_S_ISFIFO(m) (((m)&ABI_S_IFMT) == ABI_S_IFIFO)
#define ABI_S_ISSOCK(m) (((m)&ABI_S_IFMT) == ABI_S_IFSOCK)

/* All bits that chmod may set. */
#define ABI_S_IALLUGO 07777

struct abi_stat {
	uint64_t dev;
	uint64_t ino;
	uint64_t nlink;
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	uint32_t pad0;
	uint64_t rdev;
	int64_t size;
	int64_t blksize;
	int64_t blocks; /* of 512 bytes */
	uint64_t atime;
	uint64_t atime_nsec;
	uint64_t mtime;
	uint64_t mtime_nsec;
	uint64_t ctime;
	uint64_t ctime_nsec;
	int64_t unused[3];
};
ABI_SIZE(struct abi_stat, 144);

struct abi_statx_timestamp {
	int64_t sec;
	uint32_t nsec;
	int32_t reserved;
};
ABI_SIZE(struct abi_statx_timestamp, 16);

struct abi_statx {
	uint32_t mask;
	uint32_t blksize;
	uint64_t attributes;
	uint32_t nlink;
	uint32_t uid;
	uint32_t gid;
	uint16_t mode;
	uint16_t pad0;
	uint64_t ino;
	uint64_t size;
	uint64_t blocks;
	uint64_t attributes_mask;
	struct abi_statx_timestamp atime;
	struct abi_statx_timestamp btime;
	struct abi_statx_timestamp ctime;
	struct abi_statx_timestamp mtime;
	uint32_t rdev_major;
	uint32_t rdev_minor;
	uint32_t dev_major;
	uint32_t dev_minor;
	uint64_t mnt_id;
	uint32_t dio_mem_align;
	uint32_t dio_offset_align;
	uint64_t subvol;
	uint32_t atomic_write_unit_min;
	uint32_t atomic_write_unit_max;
	uint32_t atomic_write_segments_max;
	uint32_t pad1;
	uint64_t spare[9];
};
ABI_SIZE(struct abi_statx, 256);

#define ABI_STATX_TYPE		0x1u
#define ABI_STATX_MODE		0x2u
#define ABI_STATX_NLINK		0x4u
#define ABI_STATX_UID		0x8u
#define ABI_STATX_GID		0x10u
#define ABI_STATX_ATIME		0x20u
#define ABI_STATX_MTIME		0x40u
#define ABI_STATX_CTIME		0x80u
#define ABI_STATX_INO		0x100u
#define ABI_STATX_SIZE		0x200u
#define ABI_STATX_BLOCKS	0x400u
#define ABI_STATX_BASIC_STATS	0x7ffu
#define ABI_STATX_BTIME		0x800u
#define ABI_STATX_MNT_ID	0x1000u
#define ABI_STATX_DIOALIGN	0x2000u
#define ABI_STATX_MNT_ID_UNIQUE 0x4000u
#define ABI_STATX_SUBVOL	0x8000u
#define ABI_STATX_WRITE_ATOMIC	0x10000u
#define ABI_STATX_RESERVED	0x80000000u

#define ABI_STATX_ATTR_COMPRESSED 0x4u
#define ABI_STATX_ATTR_IMMUTABLE  0x10u
#define ABI_STATX_ATTR_APPEND	  0x20u
#define ABI_STATX_ATTR_NODUMP	  0x40u
#define ABI_STATX_ATTR_ENCRYPTED  0x800u
#define ABI_STATX_ATTR_AUTOMOUNT  0x1000u
#define ABI_STATX_ATTR_MOUNT_ROOT 0x2000u
#define ABI_STATX_ATTR_VERITY	  0x100000u
#define ABI_STATX_ATTR_DAX	  0x200000u

struct abi_statfs {
	int64_t type;
	int64_t bsize;
	int64_t blocks;
	int64_t bfree;
	int64_t bavail;
	int64_t files;
	int64_t ffree;
	int32_t fsid[2];
	int64_t namelen;
	int64_t frsize;
	int64_t flags;
	int64_t spare[4];
};
ABI_SIZE(struct abi_statfs, 120);

/* The type field of statfs, linux/magic.h. */
#define ABI_TMPFS_MAGIC	     0x01021994
#define ABI_RAMFS_MAGIC	     0x858458f6
#define ABI_PROC_MAGIC	     0x9fa0
#define ABI_SYSFS_MAGIC	     0x62656572
#define ABI_DEVPTS_MAGIC     0x1cd1
#define ABI_MQUEUE_MAGIC     0x19800202
#define ABI_PIPEFS_MAGIC     0x50495045
#define ABI_SOCKFS_MAGIC     0x534f434b
#define ABI_ANON_INODE_MAGIC 0x09041934
#define ABI_NSFS_MAGIC	     0x6e736673
#define ABI_PIDFS_MAGIC	     0x50494446
#define ABI_CGROUP2_MAGIC    0x63677270
#define ABI_CGROUP_MAGIC     0x27e0eb
#define ABI_OVERLAYFS_MAGIC  0x794c7630
#define ABI_EXT4_MAGIC	     0xef53

/* The flags field of statfs. */
#define ABI_ST_RDONLY	   0x1
#define ABI_ST_NOSUID	   0x2
#define ABI_ST_NODEV	   0x4
#define ABI_ST_NOEXEC	   0x8
#define ABI_ST_SYNCHRONOUS 0x10
#define ABI_ST_VALID	   0x20
#define ABI_ST_NOATIME	   0x400
#define ABI_ST_NODIRATIME  0x800
#define ABI_ST_RELATIME	   0x1000
#define ABI_ST_NOSYMFOLLOW 0x2000

/* setxattr */
#define ABI_XATTR_CREATE   1
#define ABI_XATTR_REPLACE  2
#define ABI_XATTR_NAME_MAX 255
#define ABI_XATTR_SIZE_MAX 65536
#define ABI_XATTR_LIST_MAX 65536

struct abi_ustat {
	int32_t tfree;
	uint32_t pad;
	uint64_t tinode;
	char fname[6];
	char fpack[6];
};

#endif
