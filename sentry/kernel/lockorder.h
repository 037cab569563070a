/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sentry's lock order: a lock may be taken while locks of lower rank are held, never the other
 * way round. One table, so that it can be read at a glance.
 *
 *	RANK_FILEPOS	file.lock: position; held around read, write, readdir of whatever
 *	RANK_TASKS	kernel.tasks_lock: process tree, ids, groups, sessions
 *	  RANK_MM	mm.lock: VMAs, brk
 *	    RANK_FILES	files.lock: descriptor table
 *	    RANK_FS	fs_context.lock: cwd, root, umask
 *	      RANK_RENAME	super_block.rename_lock
 *	        RANK_INODE	inode.lock (a directory before its children; see vfs.h)
 *	          RANK_MOUNT	vfs.mount_lock
 *	          RANK_DCACHE	dentry cache: a bucket
 *	            RANK_DENTRY	a dentry's name, parent and mounts; an inode's dentries
 *	              RANK_FILEMAP	a host file's mapped chunks
 *	              RANK_EPOLL	epoll instance
 *	              RANK_EPOLL_NEST	which epoll instance watches which
 *	              RANK_EPITEMS	who watches a file through epoll
 *	              RANK_OBJECT	pipe, tty, eventfd, ...: one object's state
 *	                RANK_SIGNAL	thread_group.siglock
 *	                  RANK_FUTEX	futex bucket
 *	                    RANK_WAITQ	waitqueue.lock
 *	                      RANK_EPOLL_READY	epoll ready list (taken by a wake-up)
 *	                        RANK_TIMER	timer heap
 *	                          RANK_RUNQ	worker run queue
 *	                            RANK_LEAF	locks that take nothing else
 */
#ifndef SENTRY_KERNEL_LOCKORDER_H
#define SENTRY_KERNEL_LOCKORDER_H

#define LOCK_RANKS(X)                                                                              \
	X(FILEPOS, 5)                                                                              \
	X(TASKS, 10)                                                                               \
	X(MM, 20)                                                                                  \
	X(FILES, 25)                                                                               \
	X(FS, 26)                                                                                  \
	X(RENAME, 30)                                                                              \
	X(INODE, 35)                                                                               \
	X(MOUNT, 40)                                                                               \
	X(DCACHE, 41)                                                                              \
	X(DENTRY, 42)                                                                              \
	X(FILEMAP, 45)                                                                             \
	X(EPOLL, 50)                                                                               \
	X(EPOLL_NEST, 51)                                                                          \
	X(EPITEMS, 52)                                                                             \
	X(OBJECT, 55)                                                                              \
	X(SIGNAL, 60)                                                                              \
	X(FUTEX, 65)                                                                               \
	X(WAITQ, 70)                                                                               \
	X(EPOLL_READY, 72)                                                                         \
	X(TIMER, 75)                                                                               \
	X(RUNQ, 80)                                                                                \
	X(LEAF, 90)

enum lock_rank {
#define LOCK_RANK(name, rank) RANK_##name = rank,
	LOCK_RANKS(LOCK_RANK)
#undef LOCK_RANK
};

#endif
