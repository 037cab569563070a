/* SPDX-License-Identifier: Apache-2.0 */
/* System V and POSIX interprocess communication (linux/ipc.h, sem.h, shm.h, msg.h, mqueue.h). */
#ifndef ABI_IPC_H
#define ABI_IPC_H

#include "abi/types.h"

#define ABI_IPC_PRIVATE 0
#define ABI_IPC_CREAT	01000
#define ABI_IPC_EXCL	02000
#define ABI_IPC_NOWAIT	04000

#define ABI_IPC_RMID 0
#define ABI_IPC_SET  1
#define ABI_IPC_STAT 2
#define ABI_IPC_INFO 3

struct abi_ipc_perm {
	int32_t key;
	uint32_t uid;
	uint32_t gid;
	uint32_t cuid;
	uint32_t cgid;
	uint32_t mode;
	uint16_t seq;
	uint16_t pad2;
	uint32_t pad3;
	uint64_t unused[2];
};
ABI_SIZE(struct abi_ipc_perm, 48);

struct abi_shmid_ds {
	struct abi_ipc_perm perm;
	uint64_t segsz;
	int64_t atime;
	int64_t dtime;
	int64_t ctime;
	int32_t cpid;
	int32_t lpid;
	uint64_t nattch;
	uint64_t unused[2];
};
ABI_SIZE(struct abi_shmid_ds, 112);

#define ABI_SHM_RDONLY	  010000
#define ABI_SHM_RND	  020000
#define ABI_SHM_REMAP	  040000
#define ABI_SHM_EXEC	  0100000
#define ABI_SHM_HUGETLB	  04000
#define ABI_SHM_NORESERVE 010000
#define ABI_SHM_DEST	  01000
#define ABI_SHM_LOCKED	  02000
#define ABI_SHM_LOCK	  11
#define ABI_SHM_UNLOCK	  12
#define ABI_SHM_STAT	  13
#define ABI_SHM_INFO	  14
#define ABI_SHM_STAT_ANY  15

struct abi_semid_ds {
	struct abi_ipc_perm perm;
	int64_t otime;
	uint64_t unused1;
	int64_t ctime;
	uint64_t unused2;
	uint64_t nsems;
	uint64_t unused3[2];
};
ABI_SIZE(struct abi_semid_ds, 104);

struct abi_sembuf {
	uint16_t num;
	int16_t op;
	int16_t flg;
};
ABI_SIZE(struct abi_sembuf, 6);
#define ABI_SEM_UNDO 0x1000
#define ABI_SEMOPM   500

#define ABI_SEM_GETPID	 11
#define ABI_SEM_GETVAL	 12
#define ABI_SEM_GETALL	 13
#define ABI_SEM_GETNCNT	 14
#define ABI_SEM_GETZCNT	 15
#define ABI_SEM_SETVAL	 16
#define ABI_SEM_SETALL	 17
#define ABI_SEM_STAT	 18
#define ABI_SEM_INFO	 19
#define ABI_SEM_STAT_ANY 20

struct abi_msqid_ds {
	struct abi_ipc_perm perm;
	int64_t stime;
	int64_t rtime;
	int64_t ctime;
	uint64_t cbytes;
	uint64_t qnum;
	uint64_t qbytes;
	int32_t lspid;
	int32_t lrpid;
	uint64_t unused[2];
};
ABI_SIZE(struct abi_msqid_ds, 120);

#define ABI_MSG_NOERROR	 010000
#define ABI_MSG_EXCEPT	 020000
#define ABI_MSG_COPY	 040000
#define ABI_MSG_STAT	 11
#define ABI_MSG_INFO	 12
#define ABI_MSG_STAT_ANY 13

struct abi_mq_attr {
	int64_t flags;
	int64_t maxmsg;
	int64_t msgsize;
	int64_t curmsgs;
	int64_t reserved[4];
};
ABI_SIZE(struct abi_mq_attr, 64);

#endif
