/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of proc share. A show function gets the node; node->task is the process's leader
 * below /proc/PID and the thread itself below /proc/PID/task/TID (node->number is 1 there).
 */
#ifndef SENTRY_FS_PROC_PROC_INTERNAL_H
#define SENTRY_FS_PROC_PROC_INTERNAL_H

#include <sys/types.h>

#include "sentry/fs/proc/procfs.h"
#include "sentry/fs/synth/synth.h"

struct strbuf;
struct thread_group;

#define NODE_THREAD 1 /* node->number below task/TID */

/* ---- rows, by file ---- */
extern const struct synth_entry proc_pid_entry, proc_tid_entry;		/* proc_pid.c */
extern const struct synth_dynamic proc_fd_dynamic, proc_fdinfo_dynamic; /* proc_fd.c */
extern const struct synth_entry proc_ns_entries[];			/* proc_fd.c */
extern const struct synth_entry proc_sys_entries[];			/* proc_sys.c */
extern const struct synth_entry proc_net_entries[];			/* proc_net.c */

int proc_show_maps(const struct synth_node *n, struct strbuf *out); /* proc_maps.c */
int proc_show_smaps(const struct synth_node *n, struct strbuf *out);
int proc_show_smaps_rollup(const struct synth_node *n, struct strbuf *out);
int proc_show_stat(const struct synth_node *n, struct strbuf *out); /* proc_stat.c */
int proc_show_statm(const struct synth_node *n, struct strbuf *out);
int proc_show_status(const struct synth_node *n, struct strbuf *out);
int proc_open_mem(const struct synth_node *n, struct file *f, uint64_t program); /* proc_mem.c */
int proc_show_cmdline(const struct synth_node *n, struct strbuf *out);
int proc_show_environ(const struct synth_node *n, struct strbuf *out);
int proc_show_auxv(const struct synth_node *n, struct strbuf *out);
int proc_show_mounts(const struct synth_node *n, struct strbuf *out); /* proc_mounts.c */
int proc_show_mountinfo(const struct synth_node *n, struct strbuf *out);

/* proc_host.c: rows of /proc itself that come from the host's */
int proc_show_cpuinfo(const struct synth_node *n, struct strbuf *out);
int proc_show_meminfo(const struct synth_node *n, struct strbuf *out);
int proc_show_loadavg(const struct synth_node *n, struct strbuf *out);
int proc_show_kernel_stat(const struct synth_node *n, struct strbuf *out);
int proc_show_vmstat(const struct synth_node *n, struct strbuf *out);

/* ---- helpers ---- */

bool proc_task_exists(struct task *t);
void proc_task_owner(struct task *t, uint32_t *ret_uid, uint32_t *ret_gid);
/* 'R', 'S', 'T', 'Z'. */
char proc_task_state(struct task *t);
/* Under tasks_lock, so that they don't change: the numbers of processes. */
uint32_t proc_running_count(struct kernel *k, uint32_t *ret_total);

/* A file of the host's proc, as a fresh string; false where there is none. */
bool proc_host_read(struct kernel *k, const char *path, char **ret_text);
/* The number behind "name:" at the beginning of a line; 0 if there is none. */
uint64_t proc_host_field(const char *text, const char *name);
/* The host process behind a task, or 0. */
pid_t proc_host_pid(struct task *t);
/* A file of its directory there ("status"), as a fresh string, never NULL. */
char *proc_host_task_file(struct task *t, const char *name);
/* Bytes resident and shared of it. */
void proc_host_resident(struct task *t, uint64_t *ret_resident, uint64_t *ret_shared);

#endif
