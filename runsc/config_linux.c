/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc/config_linux.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/strbuf.h"

static const char *const capability_names[] = {
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
};

int config_capability_number(const char *name)
{
	for (size_t i = 0; i < array_count(capability_names); i++)
		if (strcmp(name, capability_names[i]) == 0)
			return (int)i;
	return -1;
}

const char *config_capability_name(int number)
{
	if (number < 0 || (size_t)number >= array_count(capability_names))
		return NULL;
	return capability_names[number];
}

/* Names that nobody knows are passed over with a warning, as runc does. */
static uint64_t parse_capability_set(const struct node *caps, const char *key)
{
	struct node array = node_array(caps, key);
	uint64_t set = 0;

	for (size_t i = 0; i < node_count(&array); i++) {
		struct node item = node_item(&array, i);
		const char *name = node_peek(&item);
		int number = name ? config_capability_number(name) : 0;

		if (!name)
			break;
		if (number < 0)
			log_warn("ignoring unknown capability %s", name);
		else
			set |= 1ull << number;
	}
	return set;
}

void config_parse_capabilities(const struct node *process, struct oci_capabilities *caps)
{
	struct node n = node_object(process, "capabilities");

	caps->present = node_is_present(&n);
	caps->bounding = parse_capability_set(&n, "bounding");
	caps->effective = parse_capability_set(&n, "effective");
	caps->inheritable = parse_capability_set(&n, "inheritable");
	caps->permitted = parse_capability_set(&n, "permitted");
	caps->ambient = parse_capability_set(&n, "ambient");
}

/* Indexed by the number that x86-64 Linux gives them. */
static const char *const rlimit_names[] = {
    "RLIMIT_CPU",      "RLIMIT_FSIZE", "RLIMIT_DATA",	"RLIMIT_STACK",
    "RLIMIT_CORE",     "RLIMIT_RSS",   "RLIMIT_NPROC",	"RLIMIT_NOFILE",
    "RLIMIT_MEMLOCK",  "RLIMIT_AS",    "RLIMIT_LOCKS",	"RLIMIT_SIGPENDING",
    "RLIMIT_MSGQUEUE", "RLIMIT_NICE",  "RLIMIT_RTPRIO", "RLIMIT_RTTIME",
};

static void parse_rlimit(const struct node *item, struct oci_rlimit *r)
{
	struct node type = node_get(item, "type"), soft = node_get(item, "soft"),
		    hard = node_get(item, "hard");
	const char *name;

	node_require(&type, "a string");
	name = node_peek(&type);
	if (!name)
		return;
	for (size_t i = 0; i < array_count(rlimit_names); i++) {
		if (strcmp(name, rlimit_names[i]) != 0)
			continue;
		r->resource = (uint32_t)i;
		node_require(&soft, "an integer");
		node_require(&hard, "an integer");
		r->soft = node_uint(&soft, UINT64_MAX, 0);
		r->hard = node_uint(&hard, UINT64_MAX, 0);
		if (r->soft > r->hard)
			node_error(item, "soft is greater than hard");
		return;
	}
	node_error(&type, "expected the name of a resource limit, found \"%s\"", name);
}

void config_parse_rlimits(const struct node *process, struct oci_process *p)
{
	struct node array = node_array(process, "rlimits");

	p->rlimit_count = node_count(&array);
	p->rlimits = xcalloc(p->rlimit_count + 1, sizeof(*p->rlimits));
	for (size_t i = 0; i < p->rlimit_count; i++) {
		struct node item = node_item(&array, i);

		parse_rlimit(&item, &p->rlimits[i]);
		for (size_t k = 0; k < i; k++)
			if (p->rlimits[k].resource == p->rlimits[i].resource)
				node_error(&item, "a resource limit that was given before");
	}
}

size_t config_parse_map(const struct node *object, struct oci_sysctl **ret_items)
{
	size_t count = json_object_size(object->json), i = 0;
	struct oci_sysctl *items = xcalloc(count + 1, sizeof(*items));
	const char *key;
	json_t *value;

	if (count > CONFIG_LIST_MAX) {
		node_error(object, "expected at most %u members", CONFIG_LIST_MAX);
		count = 0;
	}
	json_object_foreach (object->json, key, value) {
		struct node n = node_get(object, key);

		if (i >= count)
			break;
		items[i].name = xstrdup(key);
		items[i].value = node_string(&n);
		if (!items[i].value)
			items[i].value = xstrdup("");
		i++;
	}
	*ret_items = items;
	return i;
}

void config_free_map(struct oci_sysctl *items, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(items[i].name);
		free(items[i].value);
	}
	free(items);
}

static const char *const namespace_names[OCI_NS_COUNT] = {
    [OCI_NS_PID] = "pid",	[OCI_NS_NETWORK] = "network", [OCI_NS_MOUNT] = "mount",
    [OCI_NS_IPC] = "ipc",	[OCI_NS_UTS] = "uts",	      [OCI_NS_USER] = "user",
    [OCI_NS_CGROUP] = "cgroup", [OCI_NS_TIME] = "time",
};

static void parse_namespace(const struct node *item, struct oci_namespace *namespaces)
{
	struct node type = node_get(item, "type"), path = node_get(item, "path");
	const char *name;

	node_require(&type, "a string");
	name = node_peek(&type);
	for (size_t i = 0; name && i < OCI_NS_COUNT; i++) {
		if (strcmp(name, namespace_names[i]) != 0)
			continue;
		if (namespaces[i].present) {
			node_error(item, "a namespace \"%s\" was given before", name);
			return;
		}
		namespaces[i].present = true;
		namespaces[i].path = node_string(&path);
		if (namespaces[i].path && !namespaces[i].path[0]) {
			free(namespaces[i].path);
			namespaces[i].path = NULL;
		}
		if (namespaces[i].path && namespaces[i].path[0] != '/')
			node_error(&path, "expected an absolute path");
		return;
	}
	if (name)
		node_error(&type, "expected the name of a namespace, found \"%s\"", name);
}

static void parse_namespaces(const struct node *linux_node, struct oci_spec *spec)
{
	struct node array = node_array(linux_node, "namespaces");

	for (size_t i = 0; i < node_count(&array); i++) {
		struct node item = node_item(&array, i);

		parse_namespace(&item, spec->namespaces);
	}
}

static void parse_id_mappings(const struct node *linux_node, const char *key,
			      struct oci_id_mappings *m)
{
	struct node array = node_array(linux_node, key);

	m->count = node_count(&array);
	m->items = xcalloc(m->count + 1, sizeof(*m->items));
	for (size_t i = 0; i < m->count; i++) {
		struct node item = node_item(&array, i);

		m->items[i].container_id = get_u32(&item, "containerID", 0);
		m->items[i].host_id = get_u32(&item, "hostID", 0);
		m->items[i].size = get_u32(&item, "size", 0);
	}
}

static void parse_device(const struct node *item, struct oci_device *d)
{
	struct node type = node_get(item, "type"), mode = node_get(item, "fileMode");
	const char *t;

	d->path = need_string(item, "path");
	if (d->path && d->path[0] != '/')
		node_error(item, "path: expected an absolute path");
	node_require(&type, "a string");
	t = node_peek(&type);
	if (t && (strlen(t) != 1 || !strchr("cbup", t[0])))
		node_error(&type, "expected one of \"c\", \"b\", \"u\", \"p\"");
	d->type = t ? t[0] : 'c';
	d->major = get_u32(item, "major", 0);
	d->minor = get_u32(item, "minor", 0);
	d->file_mode = (uint32_t)node_uint(&mode, UINT32_MAX, 0666) & 07777u;
	d->uid = get_u32(item, "uid", 0);
	d->gid = get_u32(item, "gid", 0);
}

static void parse_devices(const struct node *linux_node, struct oci_spec *spec)
{
	struct node array = node_array(linux_node, "devices");

	spec->device_count = node_count(&array);
	spec->devices = xcalloc(spec->device_count + 1, sizeof(*spec->devices));
	for (size_t i = 0; i < spec->device_count; i++) {
		struct node item = node_item(&array, i);

		parse_device(&item, &spec->devices[i]);
	}
}

static void parse_device_rule(const struct node *item, struct oci_device_rule *r)
{
	struct node type = node_get(item, "type"), access = node_get(item, "access");
	const char *t = node_peek(&type), *a = node_peek(&access);

	r->allow = get_bool(item, "allow");
	if (t && t[0] && (strlen(t) != 1 || !strchr("acbup", t[0])))
		node_error(&type, "expected one of \"a\", \"b\", \"c\"");
	r->type = t && t[0] ? (t[0] == 'u' ? 'c' : t[0]) : 'a';
	if (a && (strlen(a) > 3 || strspn(a, "rwm") != strlen(a))) {
		node_error(&access, "expected letters of \"rwm\"");
		a = NULL;
	}
	strcpy(r->access, a && a[0] ? a : "rwm");
	r->major = get_number(item, "major");
	r->minor = get_number(item, "minor");
}

static void parse_device_rules(const struct node *res, struct oci_resources *r)
{
	struct node array = node_array(res, "devices");

	r->device_count = node_count(&array);
	r->devices = xcalloc(r->device_count + 1, sizeof(*r->devices));
	for (size_t i = 0; i < r->device_count; i++) {
		struct node item = node_item(&array, i);

		parse_device_rule(&item, &r->devices[i]);
	}
}

static void parse_memory(const struct node *res, struct oci_resources *r)
{
	struct node n = node_object(res, "memory");
	struct node swappiness = node_get(&n, "swappiness");

	r->memory_limit = get_number(&n, "limit");
	r->memory_reservation = get_number(&n, "reservation");
	r->memory_swap = get_number(&n, "swap");
	r->memory_kernel = get_number(&n, "kernel");
	r->memory_kernel_tcp = get_number(&n, "kernelTCP");
	r->memory_swappiness = node_number(&swappiness, 0, 200);
	r->memory_disable_oom_killer = get_bool(&n, "disableOOMKiller");
}

static void parse_cpu(const struct node *res, struct oci_resources *r)
{
	struct node n = node_object(res, "cpu");

	r->cpu_shares = get_number(&n, "shares");
	r->cpu_quota = get_number(&n, "quota");
	r->cpu_burst = get_number(&n, "burst");
	r->cpu_period = get_number(&n, "period");
	r->cpu_rt_runtime = get_number(&n, "realtimeRuntime");
	r->cpu_rt_period = get_number(&n, "realtimePeriod");
	r->cpu_idle = get_number(&n, "idle");
	r->cpuset_cpus = get_string(&n, "cpus");
	r->cpuset_mems = get_string(&n, "mems");
}

static void parse_throttles(const struct node *blkio, const char *key, const char *value_key,
			    struct oci_throttle_list *list)
{
	struct node array = node_array(blkio, key);

	list->count = node_count(&array);
	list->items = xcalloc(list->count + 1, sizeof(*list->items));
	for (size_t i = 0; i < list->count; i++) {
		struct node item = node_item(&array, i), major = node_get(&item, "major"),
			    minor = node_get(&item, "minor"), rate = node_get(&item, value_key);

		list->items[i].major = node_int(&major, 0, UINT32_MAX, 0);
		list->items[i].minor = node_int(&minor, 0, UINT32_MAX, 0);
		list->items[i].rate = node_uint(&rate, UINT64_MAX, 0);
	}
}

static void parse_blkio(const struct node *res, struct oci_resources *r)
{
	struct node n = node_object(res, "blockIO");
	struct node weight = node_get(&n, "weight"), leaf = node_get(&n, "leafWeight");

	r->blkio_weight = node_number(&weight, 0, 1000);
	r->blkio_leaf_weight = node_number(&leaf, 0, 1000);
	parse_throttles(&n, "weightDevice", "weight", &r->blkio_device_weight);
	parse_throttles(&n, "throttleReadBpsDevice", "rate", &r->blkio_read_bps);
	parse_throttles(&n, "throttleWriteBpsDevice", "rate", &r->blkio_write_bps);
	parse_throttles(&n, "throttleReadIOPSDevice", "rate", &r->blkio_read_iops);
	parse_throttles(&n, "throttleWriteIOPSDevice", "rate", &r->blkio_write_iops);
}

/* These become part of a file's name below the cgroup. */
static bool is_plain_name(const char *s)
{
	return s[0] && s[0] != '.' && !strchr(s, '/');
}

static void parse_hugepages(const struct node *res, struct oci_resources *r)
{
	struct node array = node_array(res, "hugepageLimits");

	r->hugepage_count = node_count(&array);
	r->hugepages = xcalloc(r->hugepage_count + 1, sizeof(*r->hugepages));
	for (size_t i = 0; i < r->hugepage_count; i++) {
		struct node item = node_item(&array, i), limit = node_get(&item, "limit");

		r->hugepages[i].page_size = need_string(&item, "pageSize");
		if (r->hugepages[i].page_size && !is_plain_name(r->hugepages[i].page_size))
			node_error(&item, "pageSize: expected a size such as \"2MB\"");
		r->hugepages[i].limit = node_uint(&limit, UINT64_MAX, 0);
	}
}

static void parse_resources(const struct node *linux_node, struct oci_resources *r)
{
	struct node n = node_object(linux_node, "resources"), pids = node_object(&n, "pids"),
		    unified = node_object(&n, "unified");

	parse_device_rules(&n, r);
	parse_memory(&n, r);
	parse_cpu(&n, r);
	r->pids_limit = get_number(&pids, "limit");
	parse_blkio(&n, r);
	parse_hugepages(&n, r);
	r->unified_count = config_parse_map(&unified, &r->unified);
	for (size_t i = 0; i < r->unified_count; i++)
		if (!is_plain_name(r->unified[i].name))
			node_error(&unified, "expected names of cgroup files, found \"%s\"",
				   r->unified[i].name);
}

void config_parse_linux(const struct node *linux_node, struct oci_spec *spec)
{
	struct node sysctl = node_object(linux_node, "sysctl"),
		    seccomp = node_object(linux_node, "seccomp"),
		    masked = node_get(linux_node, "maskedPaths"),
		    readonly = node_get(linux_node, "readonlyPaths");

	parse_namespaces(linux_node, spec);
	parse_id_mappings(linux_node, "uidMappings", &spec->uid_mappings);
	parse_id_mappings(linux_node, "gidMappings", &spec->gid_mappings);
	parse_devices(linux_node, spec);
	spec->masked_paths = node_strings(&masked, CONFIG_LIST_MAX);
	spec->readonly_paths = node_strings(&readonly, CONFIG_LIST_MAX);
	spec->sysctl_count = config_parse_map(&sysctl, &spec->sysctls);
	parse_resources(linux_node, &spec->resources);
	spec->cgroups_path = get_string(linux_node, "cgroupsPath");
	spec->rootfs_propagation = get_string(linux_node, "rootfsPropagation");
	spec->seccomp = seccomp.json;
}

static void free_resources(struct oci_resources *r)
{
	free(r->devices);
	free(r->cpuset_cpus);
	free(r->cpuset_mems);
	free(r->blkio_read_bps.items);
	free(r->blkio_write_bps.items);
	free(r->blkio_read_iops.items);
	free(r->blkio_write_iops.items);
	free(r->blkio_device_weight.items);
	for (size_t i = 0; i < r->hugepage_count; i++)
		free(r->hugepages[i].page_size);
	free(r->hugepages);
	config_free_map(r->unified, r->unified_count);
}

void config_free_linux(struct oci_spec *spec)
{
	for (size_t i = 0; i < OCI_NS_COUNT; i++)
		free(spec->namespaces[i].path);
	free(spec->uid_mappings.items);
	free(spec->gid_mappings.items);
	for (size_t i = 0; i < spec->device_count; i++)
		free(spec->devices[i].path);
	free(spec->devices);
	config_free_map(spec->sysctls, spec->sysctl_count);
	free_resources(&spec->resources);
	free(spec->cgroups_path);
	free(spec->rootfs_propagation);
}
