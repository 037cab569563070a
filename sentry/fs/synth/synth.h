/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Synthetic file systems: trees described by tables, whose files are text made when they are read
 * (proc, sysfs, cgroup). One entry of the tree is one row:
 *
 *	SYNTH_FILE("uptime", 0444, show_uptime),
 *	SYNTH_RW("oom_score_adj", 0644, show_oom_score_adj, store_oom_score_adj),
 *	SYNTH_LINK("mounts", link_mounts),
 *	SYNTH_DIR("sys", 0555, sys_entries),
 *
 * A file's text is made afresh by each read at position 0 and kept for the reads behind it, so a
 * reader sees one state however small its buffer is, and can rewind for news.
 *
 * Directories hold the rows of their table and, with a `dynamic` part, children that are found at
 * run time (processes, descriptors). A node knows the task that it is about: it comes from the
 * nearest dynamic parent.
 *
 * Nodes are made anew for each look-up and nothing is cached by name; their inode numbers are a
 * hash of where they are, so they stay the same.
 */
#ifndef SENTRY_FS_SYNTH_SYNTH_H
#define SENTRY_FS_SYNTH_SYNTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/stat.h"

struct cred;
struct file;
struct inode;
struct kernel;
struct path;
struct strbuf;
struct super_block;
struct synth_entry;
struct task;

/* What an inode stands for; inode.private. All [I]. */
struct synth_node {
	const struct synth_entry *entry;
	struct kernel *kernel;
	struct task *task; /* a reference, or NULL */
	int64_t number;	   /* of a dynamic node: descriptor, CPU, ... */
	/* In show, borrowed: who opened the file, and that task's root (NULL: the kernel's). */
	const struct cred *viewer;
	const struct path *root;
};

/* A dynamic child. task: a reference that is handed over, or NULL for the parent's. */
struct synth_child {
	char name[24];
	const struct synth_entry *entry;
	struct task *task;
	int64_t number;
};

struct synth_dynamic {
	/* 0 with *ret filled in (but for its name), or -ENOENT. */
	int (*lookup)(const struct synth_node *dir, const char *name, struct synth_child *ret);
	/* The first child whose key is >= from: its key, with name and entry in *ret; -1: none. */
	int64_t (*next)(const struct synth_node *dir, int64_t from, struct synth_child *ret);
};

/* Whose business a node of a task is (ptrace(2), "access mode checking"). */
enum synth_guard {
	SYNTH_OPEN,    /* file modes decide */
	SYNTH_PRIVATE, /* as ptrace's PTRACE_MODE_READ_FSCREDS */
	SYNTH_MEMORY,  /* likewise; and empty once the task executes another program */
};

struct synth_entry {
	const char *name; /* NULL ends a table */
	uint32_t mode;	  /* ABI_S_IF* and permissions */
	enum synth_guard guard;
	/* Files. 0 or negative errno, which becomes read's. */
	int (*show)(const struct synth_node *n, struct strbuf *out);
	/* text has size bytes and a NUL behind. 0 (all taken) or negative errno. */
	int (*store)(const struct synth_node *n, struct task *writer, const char *text,
		     size_t size);
	/* Or a file with operations of its own: sets f->ops; called with the node in
	 * f->inode->private. program: the task's (task_program) that may be looked at. */
	int (*open)(const struct synth_node *n, struct file *f, uint64_t program);
	/* Links: the target, fresh; reader may be NULL. */
	int (*link)(const struct synth_node *n, struct task *reader, char **ret_target);
	/* Magic links: where they lead; references. */
	int (*follow)(const struct synth_node *n, struct task *reader, struct path *ret);
	/* Directories. */
	const struct synth_entry *children;
	const struct synth_dynamic *dynamic;
	/* For show functions that serve several rows. */
	const void *arg;
};

#define SYNTH_FILE(n, m, s)                                                                        \
	{                                                                                          \
		.name = n, .mode = ABI_S_IFREG | (m), .show = s                                    \
	}
#define SYNTH_RW(n, m, s, w)                                                                       \
	{                                                                                          \
		.name = n, .mode = ABI_S_IFREG | (m), .show = s, .store = w                        \
	}
#define SYNTH_LINK(n, l)                                                                           \
	{                                                                                          \
		.name = n, .mode = ABI_S_IFLNK | 0777, .link = l                                   \
	}
#define SYNTH_DIR(n, m, c)                                                                         \
	{                                                                                          \
		.name = n, .mode = ABI_S_IFDIR | (m), .children = c                                \
	}
/* A file with fixed text. */
#define SYNTH_TEXT(n, m, text)                                                                     \
	{                                                                                          \
		.name = n, .mode = ABI_S_IFREG | (m), .show = synth_show_text, .arg = text         \
	}
/* A link with a fixed target. */
#define SYNTH_ALIAS(n, target)                                                                     \
	{                                                                                          \
		.name = n, .mode = ABI_S_IFLNK | 0777, .link = synth_link_text, .arg = target      \
	}
#define SYNTH_END                                                                                  \
	{                                                                                          \
		.name = NULL                                                                       \
	}

int synth_show_text(const struct synth_node *n, struct strbuf *out);
int synth_link_text(const struct synth_node *n, struct task *reader, char **ret_target);

struct synth_fs {
	const char *type; /* "proc" */
	int64_t magic;
	const struct synth_entry *root;
	uint64_t file_size; /* what stat says of regular files: 0 in proc, a page in sysfs */
	/* Whether cred may look into a task's private parts. */
	int (*may_access)(const struct cred *c, struct task *target);
	/* Whether the task that a node is about still exists. */
	bool (*task_exists)(struct task *t);
	/* The owner of a task's nodes. */
	void (*task_owner)(struct task *t, uint32_t *ret_uid, uint32_t *ret_gid);
};

/* A new instance; fs is static. */
int synth_mount(struct kernel *k, const struct synth_fs *fs, struct super_block **ret);

/* Parses a decimal number from text that may end in blanks and newlines. 0 or -EINVAL. */
int synth_parse_int(const char *text, int64_t min, int64_t max, int64_t *ret);

#endif
