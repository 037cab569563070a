/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sentry's lock order: a lock may be taken while locks of lower rank are held, never the other
 * way round. One table, so that it can be read at a glance.
 *
 *	RANK_FILEPOS	file.lock: position; held around read, write, readdir of whatever
 *	RANK_TASKS	kernel.tasks_lock: process tree, ids, groups, sessions
 *	  RANK_EXEC	thread_group.exec_lock
 *	  RANK_MM	mm.lock: VMAs, brk
 *	    RANK_FILES	files.lock: descriptor table
 *	    RANK_FS	fs_context.lock: cwd, root, umask
 *	      RANK_RENAME	super_block.rename_lock
 *	        RANK_INODE	inode.lock (a directory before its children; see vfs.h)
 *	          RANK_MOUNT	vfs.mount_lock
 *	          RANK_DCACHE	dentry cache: a bucket
 *	            RANK_DENTRY	a dentry's name, parent and mounts; an inode's dentries
 *	              RANK_EPOLL_NEST	adding an epoll instance to another
 *	              RANK_EPOLL	epoll instance
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

enum lock_rank {
	RANK_FILEPOS = 5,
	RANK_TASKS = 10,
	RANK_EXEC = 15,
	RANK_MM = 20,
	RANK_FILES = 25,
	RANK_FS = 26,
	RANK_RENAME = 30,
	RANK_INODE = 35,
	RANK_MOUNT = 40,
	RANK_DCACHE = 41,
	RANK_DENTRY = 42,
	RANK_EPOLL_NEST = 48,
	RANK_EPOLL = 50,
	RANK_EPITEMS = 52,
	RANK_OBJECT = 55,
	RANK_SIGNAL = 60,
	RANK_FUTEX = 65,
	RANK_WAITQ = 70,
	RANK_EPOLL_READY = 72,
	RANK_TIMER = 75,
	RANK_RUNQ = 80,
	RANK_LEAF = 90,
};

#endif
