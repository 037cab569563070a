/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.json of a bundle, checked and in C. Every field that is used is type-checked when it is
 * read; what is wrong is reported with its path and what was expected:
 *
 *	config.json: process.args[0]: expected a string, found a number
 *
 * Fields that are not known are passed over, as the OCI specification asks. All of it is hostile:
 * counts and sizes are bounded here (CONFIG_*_MAX) so that nobody behind has to.
 *
 * Everything is set by config_load and never changes, so that the sandbox may use it as it is.
 */
#ifndef RUNSC_CONFIG_H
#define RUNSC_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runsc/error.h"

struct json_t;

#define CONFIG_FILE_MAX	   (16u << 20) /* bytes of config.json */
#define CONFIG_STRINGS_MAX 65536u      /* args, env */
#define CONFIG_LIST_MAX	   4096u       /* any other list */

struct oci_strings {
	char **items; /* count strings and a NULL; never NULL itself */
	size_t count;
};

enum oci_namespace_type {
	OCI_NS_PID,
	OCI_NS_NETWORK,
	OCI_NS_MOUNT,
	OCI_NS_IPC,
	OCI_NS_UTS,
	OCI_NS_USER,
	OCI_NS_CGROUP,
	OCI_NS_TIME,
	OCI_NS_COUNT,
};

struct oci_namespace {
	bool present;
	char *path; /* of the namespace to join; NULL for a new one */
};

/* struct oci_mount.flags */
#define OCI_MOUNT_RDONLY	   (1u << 0)
#define OCI_MOUNT_NOSUID	   (1u << 1)
#define OCI_MOUNT_NODEV		   (1u << 2)
#define OCI_MOUNT_NOEXEC	   (1u << 3)
#define OCI_MOUNT_SYNC		   (1u << 4)
#define OCI_MOUNT_NOATIME	   (1u << 5)
#define OCI_MOUNT_NODIRATIME	   (1u << 6)
#define OCI_MOUNT_RELATIME	   (1u << 7)
#define OCI_MOUNT_STRICTATIME	   (1u << 8)
#define OCI_MOUNT_NOSYMFOLLOW	   (1u << 9)
#define OCI_MOUNT_BIND		   (1u << 10)
#define OCI_MOUNT_BIND_RECURSIVE   (1u << 11)
#define OCI_MOUNT_RDONLY_RECURSIVE (1u << 12) /* rro */
#define OCI_MOUNT_TMPCOPYUP	   (1u << 13)
#define OCI_MOUNT_REMOUNT	   (1u << 14)

struct oci_mount {
	char *destination; /* absolute; "..", symlinks and all are the container's to resolve */
	char *type;	   /* "bind" for every bind mount; else as written, never NULL */
	char *source;	   /* absolute host path of a bind mount; else as written; never NULL */
	uint32_t flags;	   /* OCI_MOUNT_* */
	char *data; /* the other options, comma-joined ("mode=755,size=65536k"); never NULL */
	uint32_t gofer_index; /* of a bind mount: its tree in the gofer (1 and up); else 0 */
};

struct oci_rlimit {
	uint32_t resource; /* the guest's RLIMIT_* number */
	uint64_t soft, hard;
};

/* One bit for each capability number. */
struct oci_capabilities {
	bool present;
	uint64_t bounding, effective, inheritable, permitted, ambient;
};

struct oci_user {
	uint32_t uid, gid;
	uint32_t *additional_gids;
	size_t additional_gid_count;
	bool has_umask;
	uint32_t umask;
};

struct oci_process {
	struct oci_strings args, env;
	char *cwd;
	struct oci_user user;
	bool terminal;
	uint16_t console_rows, console_columns; /* 0: not given */
	struct oci_capabilities capabilities;
	struct oci_rlimit *rlimits;
	size_t rlimit_count;
	bool no_new_privileges;
	bool has_oom_score_adj;
	int32_t oom_score_adj;
	char *apparmor_profile; /* or NULL */
};

struct oci_hook {
	char *path; /* absolute */
	struct oci_strings args, env;
	uint32_t timeout_seconds; /* 0: none */
};

enum oci_hook_stage {
	OCI_HOOK_PRESTART,
	OCI_HOOK_CREATE_RUNTIME,
	OCI_HOOK_CREATE_CONTAINER,
	OCI_HOOK_START_CONTAINER,
	OCI_HOOK_POSTSTART,
	OCI_HOOK_POSTSTOP,
	OCI_HOOK_STAGE_COUNT,
};

struct oci_hook_list {
	struct oci_hook *items;
	size_t count;
};

struct oci_id_mapping {
	uint32_t container_id, host_id, size;
};

struct oci_id_mappings {
	struct oci_id_mapping *items;
	size_t count;
};

struct oci_device {
	char *path;
	char type; /* 'c', 'b', 'u' or 'p' */
	uint32_t major, minor, file_mode, uid, gid;
};

struct oci_sysctl {
	char *name, *value;
};

/* A number that may be absent. */
struct oci_number {
	bool present;
	int64_t value;
};

struct oci_device_rule {
	bool allow;
	char type; /* 'a', 'b' or 'c' */
	struct oci_number major, minor;
	char access[4]; /* of "rwm" */
};

struct oci_throttle {
	int64_t major, minor;
	uint64_t rate;
};

struct oci_throttle_list {
	struct oci_throttle *items;
	size_t count;
};

struct oci_hugepage_limit {
	char *page_size; /* "2MB" */
	uint64_t limit;
};

struct oci_resources {
	struct oci_device_rule *devices;
	size_t device_count;
	struct oci_number memory_limit, memory_reservation, memory_swap, memory_kernel,
	    memory_kernel_tcp, memory_swappiness;
	bool memory_disable_oom_killer;
	struct oci_number cpu_shares, cpu_quota, cpu_burst, cpu_period, cpu_rt_runtime,
	    cpu_rt_period, cpu_idle;
	char *cpuset_cpus, *cpuset_mems; /* or NULL */
	struct oci_number pids_limit;	 /* guest tasks; 0 and less: no limit */
	struct oci_number blkio_weight, blkio_leaf_weight;
	struct oci_throttle_list blkio_read_bps, blkio_write_bps, blkio_read_iops, blkio_write_iops,
	    blkio_device_weight;
	struct oci_hugepage_limit *hugepages;
	size_t hugepage_count;
	struct oci_sysctl *unified; /* cgroup v2 files, name and value */
	size_t unified_count;
};

struct oci_spec {
	char *oci_version;
	struct oci_process process;
	char *root_path; /* absolute host path; an existing directory */
	bool root_readonly;
	char *hostname, *domainname; /* or NULL */
	struct oci_mount *mounts;
	size_t mount_count;
	struct oci_hook_list hooks[OCI_HOOK_STAGE_COUNT];
	struct oci_sysctl *annotations;
	size_t annotation_count;
	/* linux */
	struct oci_namespace namespaces[OCI_NS_COUNT];
	struct oci_id_mappings uid_mappings, gid_mappings;
	struct oci_device *devices;
	size_t device_count;
	struct oci_strings masked_paths, readonly_paths;
	struct oci_sysctl *sysctls;
	size_t sysctl_count;
	struct oci_resources resources;
	char *cgroups_path;		 /* or NULL */
	char *rootfs_propagation;	 /* or NULL */
	struct json_t *seccomp;		 /* borrowed from json, or NULL */
	struct json_t *json;		 /* the whole document */
	struct json_t *annotations_json; /* borrowed, or NULL */
};

/*
 * Reads and checks dir/name (dir is the bundle, absolute; config.json is the name). Paths of the
 * host in it are made absolute relative to `bundle`. The caller frees with config_free.
 */
struct error *config_load(const char *dir, const char *name, const char *bundle,
			  struct oci_spec **ret_spec) __must_check;
/* The same of a text in memory; for tests. */
struct error *config_parse(const char *text, size_t size, const char *bundle,
			   struct oci_spec **ret_spec) __must_check;
/* What needs the host: the root file system and the sources of bind mounts exist. */
struct error *config_check_host(const struct oci_spec *spec) __must_check;
void config_free(struct oci_spec *spec);

/* The capability's number for "CAP_KILL", or -1; and back (NULL beyond the last). */
int config_capability_number(const char *name);
const char *config_capability_name(int number);
/* The mount options that are known as flags, in a table's order; NULL beyond the last. */
const char *config_mount_option_name(size_t index);

#endif
