/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "fsgofer/gofer.h"
#include "runsc/config_linux.h"
#include "runsc/json.h"

/* path itself when it is absolute, else below the bundle; a new string. */
static char *absolute(const char *bundle, const char *path)
{
	return path[0] == '/' ? xstrdup(path) : xasprintf("%s/%s", bundle, path);
}

static void parse_user(const struct node *process, struct oci_user *u)
{
	struct node n = node_object(process, "user"), gids = node_array(&n, "additionalGids"),
		    umask_node = node_get(&n, "umask");

	u->uid = get_u32(&n, "uid", 0);
	u->gid = get_u32(&n, "gid", 0);
	u->has_umask = node_is_present(&umask_node);
	u->umask = (uint32_t)node_uint(&umask_node, 0777, 022);
	u->additional_gid_count = node_count(&gids);
	u->additional_gids = xcalloc(u->additional_gid_count + 1, sizeof(uint32_t));
	for (size_t i = 0; i < u->additional_gid_count; i++) {
		struct node item = node_item(&gids, i);

		u->additional_gids[i] = (uint32_t)node_uint(&item, UINT32_MAX, 0);
	}
}

static void parse_console(const struct node *process, struct oci_process *p)
{
	struct node size = node_object(process, "consoleSize"), h = node_get(&size, "height"),
		    w = node_get(&size, "width");

	p->terminal = get_bool(process, "terminal");
	p->console_rows = (uint16_t)node_uint(&h, UINT16_MAX, 0);
	p->console_columns = (uint16_t)node_uint(&w, UINT16_MAX, 0);
}

/* What may come as an argument but means that the container can't be confined as asked. */
static void parse_labels(const struct node *process, struct oci_process *p)
{
	struct node selinux = node_get(process, "selinuxLabel");
	const char *label = node_peek(&selinux);

	if (label && label[0])
		node_error(&selinux, "SELinux labels are not supported, expected none");
	p->apparmor_profile = get_string(process, "apparmorProfile");
	if (p->apparmor_profile && p->apparmor_profile[0])
		log_info("process.apparmorProfile \"%s\" is not applied: the host kernel sees only "
			 "the sentry",
			 p->apparmor_profile);
}

static void parse_process(const struct node *root, struct oci_process *p)
{
	struct node n = node_object(root, "process"), args = node_get(&n, "args"),
		    env = node_get(&n, "env"), cwd = node_get(&n, "cwd"),
		    oom = node_get(&n, "oomScoreAdj");

	node_require(&n, "an object");
	node_require(&args, "an array");
	p->args = node_strings(&args, CONFIG_STRINGS_MAX);
	if (p->args.count == 0)
		node_error(&args, "expected at least one string, the program");
	p->env = node_strings(&env, CONFIG_STRINGS_MAX);
	node_require(&cwd, "a string");
	p->cwd = node_string(&cwd);
	if (p->cwd && p->cwd[0] != '/')
		node_error(&cwd, "expected an absolute path, found \"%s\"", p->cwd);
	parse_user(&n, &p->user);
	parse_console(&n, p);
	config_parse_capabilities(&n, &p->capabilities);
	config_parse_rlimits(&n, p);
	p->no_new_privileges = get_bool(&n, "noNewPrivileges");
	p->has_oom_score_adj = node_is_present(&oom);
	p->oom_score_adj = (int32_t)node_int(&oom, -1000, 1000, 0);
	parse_labels(&n, p);
}

/* Options of mounts that are flags; "clear" takes the bit away. 0: known, without effect here. */
static const struct {
	const char *name;
	uint32_t flag;
	bool clear;
} mount_options[] = {
    {"ro", OCI_MOUNT_RDONLY, false},
    {"rw", OCI_MOUNT_RDONLY, true},
    {"rro", OCI_MOUNT_RDONLY | OCI_MOUNT_RDONLY_RECURSIVE, false},
    {"rrw", OCI_MOUNT_RDONLY | OCI_MOUNT_RDONLY_RECURSIVE, true},
    {"nosuid", OCI_MOUNT_NOSUID, false},
    {"suid", OCI_MOUNT_NOSUID, true},
    {"rnosuid", OCI_MOUNT_NOSUID, false},
    {"rsuid", OCI_MOUNT_NOSUID, true},
    {"nodev", OCI_MOUNT_NODEV, false},
    {"dev", OCI_MOUNT_NODEV, true},
    {"rnodev", OCI_MOUNT_NODEV, false},
    {"rdev", OCI_MOUNT_NODEV, true},
    {"noexec", OCI_MOUNT_NOEXEC, false},
    {"exec", OCI_MOUNT_NOEXEC, true},
    {"rnoexec", OCI_MOUNT_NOEXEC, false},
    {"rexec", OCI_MOUNT_NOEXEC, true},
    {"sync", OCI_MOUNT_SYNC, false},
    {"async", OCI_MOUNT_SYNC, true},
    {"noatime", OCI_MOUNT_NOATIME, false},
    {"atime", OCI_MOUNT_NOATIME, true},
    {"rnoatime", OCI_MOUNT_NOATIME, false},
    {"ratime", OCI_MOUNT_NOATIME, true},
    {"nodiratime", OCI_MOUNT_NODIRATIME, false},
    {"diratime", OCI_MOUNT_NODIRATIME, true},
    {"rnodiratime", OCI_MOUNT_NODIRATIME, false},
    {"rdiratime", OCI_MOUNT_NODIRATIME, true},
    {"relatime", OCI_MOUNT_RELATIME, false},
    {"norelatime", OCI_MOUNT_RELATIME, true},
    {"rrelatime", OCI_MOUNT_RELATIME, false},
    {"rnorelatime", OCI_MOUNT_RELATIME, true},
    {"strictatime", OCI_MOUNT_STRICTATIME, false},
    {"nostrictatime", OCI_MOUNT_STRICTATIME, true},
    {"rstrictatime", OCI_MOUNT_STRICTATIME, false},
    {"rnostrictatime", OCI_MOUNT_STRICTATIME, true},
    {"nosymfollow", OCI_MOUNT_NOSYMFOLLOW, false},
    {"symfollow", OCI_MOUNT_NOSYMFOLLOW, true},
    {"rnosymfollow", OCI_MOUNT_NOSYMFOLLOW, false},
    {"rsymfollow", OCI_MOUNT_NOSYMFOLLOW, true},
    {"bind", OCI_MOUNT_BIND, false},
    {"rbind", OCI_MOUNT_BIND | OCI_MOUNT_BIND_RECURSIVE, false},
    {"tmpcopyup", OCI_MOUNT_TMPCOPYUP, false},
    {"remount", OCI_MOUNT_REMOUNT, false},
    /* Propagation has no meaning: the host's later mounts are never the container's. */
    {"private", 0, false},
    {"rprivate", 0, false},
    {"shared", 0, false},
    {"rshared", 0, false},
    {"slave", 0, false},
    {"rslave", 0, false},
    {"unbindable", 0, false},
    {"runbindable", 0, false},
    {"defaults", 0, false},
    {"acl", 0, false},
    {"noacl", 0, false},
    {"dirsync", 0, false},
    {"iversion", 0, false},
    {"noiversion", 0, false},
    {"lazytime", 0, false},
    {"nolazytime", 0, false},
    {"loud", 0, false},
    {"silent", 0, false},
    {"mand", 0, false},
    {"nomand", 0, false},
};

const char *config_mount_option_name(size_t index)
{
	return index < array_count(mount_options) ? mount_options[index].name : NULL;
}

static void apply_mount_option(const char *option, uint32_t *flags, struct strbuf *data)
{
	for (size_t i = 0; i < array_count(mount_options); i++) {
		if (strcmp(option, mount_options[i].name) != 0)
			continue;
		if (mount_options[i].clear)
			*flags &= ~mount_options[i].flag;
		else
			*flags |= mount_options[i].flag;
		return;
	}
	strbuf_addf(data, "%s%s", data->size ? "," : "", option);
}

static void parse_mount_options(const struct node *item, struct oci_mount *m)
{
	struct node options = node_array(item, "options");
	struct strbuf data = STRBUF_INIT;

	for (size_t i = 0; i < node_count(&options); i++) {
		struct node o = node_item(&options, i);
		const char *s = node_peek(&o);

		if (s)
			apply_mount_option(s, &m->flags, &data);
	}
	m->data = strbuf_detach(&data);
}

static void parse_mount(const struct node *item, const char *bundle, struct oci_mount *m)
{
	struct node destination = node_get(item, "destination"), source = node_get(item, "source");

	node_require(&destination, "a string");
	m->destination = node_string(&destination);
	m->type = get_string(item, "type");
	m->source = node_string(&source);
	parse_mount_options(item, m);
	if (m->destination && m->destination[0] != '/') {
		char *fixed = xasprintf("/%s", m->destination);

		log_warn("mount destination %s is not absolute", m->destination);
		free(m->destination);
		m->destination = fixed;
	}
	if ((m->type && strcmp(m->type, "bind") == 0) || (m->flags & OCI_MOUNT_BIND)) {
		char *path = m->source ? absolute(bundle, m->source) : NULL;

		node_require(&source, "a string, the host path to bind");
		free(m->source);
		free(m->type);
		m->source = path;
		m->type = xstrdup("bind");
		m->flags |= OCI_MOUNT_BIND;
	}
	if (!m->type)
		m->type = xstrdup("none");
	if (!m->source)
		m->source = xstrdup("none");
}

static void parse_mounts(const struct node *root, const char *bundle, struct oci_spec *spec)
{
	struct node array = node_array(root, "mounts");
	uint32_t trees = 1;

	spec->mount_count = node_count(&array);
	spec->mounts = xcalloc(spec->mount_count + 1, sizeof(*spec->mounts));
	for (size_t i = 0; i < spec->mount_count; i++) {
		struct node item = node_item(&array, i);

		parse_mount(&item, bundle, &spec->mounts[i]);
		if (spec->mounts[i].flags & OCI_MOUNT_BIND)
			spec->mounts[i].gofer_index = trees++;
	}
	if (trees > GOFER_MOUNT_MAX)
		node_error(&array, "expected at most %d bind mounts", GOFER_MOUNT_MAX - 1);
}

static const char *const stage_names[OCI_HOOK_STAGE_COUNT] = {
    [OCI_HOOK_PRESTART] = "prestart",
    [OCI_HOOK_CREATE_RUNTIME] = "createRuntime",
    [OCI_HOOK_CREATE_CONTAINER] = "createContainer",
    [OCI_HOOK_START_CONTAINER] = "startContainer",
    [OCI_HOOK_POSTSTART] = "poststart",
    [OCI_HOOK_POSTSTOP] = "poststop",
};

static void parse_hook(const struct node *item, struct oci_hook *h)
{
	struct node path = node_get(item, "path"), args = node_get(item, "args"),
		    env = node_get(item, "env"), timeout = node_get(item, "timeout");

	node_require(&path, "a string");
	h->path = node_string(&path);
	if (h->path && h->path[0] != '/')
		node_error(&path, "expected an absolute path, found \"%s\"", h->path);
	h->args = node_strings(&args, CONFIG_STRINGS_MAX);
	h->env = node_strings(&env, CONFIG_STRINGS_MAX);
	h->timeout_seconds = (uint32_t)node_int(&timeout, 1, INT32_MAX / 1000, 0);
}

static void parse_hooks(const struct node *root, struct oci_spec *spec)
{
	struct node hooks = node_object(root, "hooks");

	for (size_t s = 0; s < OCI_HOOK_STAGE_COUNT; s++) {
		struct node array = node_array(&hooks, stage_names[s]);
		struct oci_hook_list *list = &spec->hooks[s];

		list->count = node_count(&array);
		list->items = xcalloc(list->count + 1, sizeof(*list->items));
		for (size_t i = 0; i < list->count; i++) {
			struct node item = node_item(&array, i);

			parse_hook(&item, &list->items[i]);
		}
	}
}

static void parse_root(const struct node *root, const char *bundle, struct oci_spec *spec)
{
	struct node n = node_object(root, "root"), path = node_get(&n, "path");
	const char *p;

	node_require(&n, "an object");
	node_require(&path, "a string");
	p = node_peek(&path);
	if (p && !p[0])
		node_error(&path, "expected a path, found an empty string");
	spec->root_path = absolute(bundle, p ? p : "");
	spec->root_readonly = get_bool(&n, "readonly");
}

static void parse_version(const struct node *root, struct oci_spec *spec)
{
	struct node n = node_get(root, "ociVersion");
	unsigned major, minor, patch;
	int end = 0;

	node_require(&n, "a string");
	spec->oci_version = node_string(&n);
	if (!spec->oci_version)
		return;
	if (sscanf(spec->oci_version, "%u.%u.%u%n", &major, &minor, &patch, &end) != 3 ||
	    (spec->oci_version[end] && !strchr("-+", spec->oci_version[end])))
		node_error(&n, "expected a version such as \"1.0.2\", found \"%s\"",
			   spec->oci_version);
	else if (major != 1)
		node_error(&n, "expected a version 1.x.y, found \"%s\"", spec->oci_version);
}

static void parse_hostname(const struct node *root, struct oci_spec *spec)
{
	struct node hostname = node_get(root, "hostname"), domain = node_get(root, "domainname");

	spec->hostname = node_string(&hostname);
	spec->domainname = node_string(&domain);
	if (spec->hostname && strlen(spec->hostname) > 64)
		node_error(&hostname, "expected at most 64 bytes");
	if (spec->domainname && strlen(spec->domainname) > 64)
		node_error(&domain, "expected at most 64 bytes");
	if (!spec->namespaces[OCI_NS_UTS].present && spec->hostname && spec->hostname[0])
		node_error(&hostname, "can't be set without a namespace of type \"uts\"");
}

static void parse_spec(const struct node *root, const char *bundle, struct oci_spec *spec)
{
	struct node annotations = node_object(root, "annotations"),
		    linux_node = node_object(root, "linux");

	parse_version(root, spec);
	parse_root(root, bundle, spec);
	parse_process(root, &spec->process);
	parse_mounts(root, bundle, spec);
	parse_hooks(root, spec);
	spec->annotations_json = annotations.json;
	spec->annotation_count = config_parse_map(&annotations, &spec->annotations);
	config_parse_linux(&linux_node, spec);
	parse_hostname(root, spec);
}

struct error *config_parse(const char *text, size_t size, const char *bundle,
			   struct oci_spec **ret_spec)
{
	struct json_reader reader = {.file = "config.json"};
	struct oci_spec *spec = xnew(struct oci_spec);
	struct error *e = json_read("config.json", text, size, &spec->json);
	struct node root;

	if (e) {
		free(spec);
		return e;
	}
	root = node_root(&reader, spec->json);
	if (!json_is_object(spec->json))
		node_error(&root, "expected an object");
	parse_spec(&root, bundle, spec);
	if (reader.error) {
		config_free(spec);
		return reader.error;
	}
	*ret_spec = spec;
	return NULL;
}

struct error *config_load(const char *dir, const char *name, const char *bundle,
			  struct oci_spec **ret_spec)
{
	cleanup_fd int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct error *e;
	char *text;
	size_t size;
	int r;

	if (dirfd < 0)
		return error_errno(errno, "bundle %s", dir);
	r = fd_read_file(dirfd, name, CONFIG_FILE_MAX, &text, &size);
	if (r == -EFBIG)
		return error_new("%s/%s: larger than %u bytes", dir, name, CONFIG_FILE_MAX);
	if (r < 0)
		return error_errno(-r, "%s/%s", dir, name);
	e = config_parse(text, size, bundle, ret_spec);
	free(text);
	return e ? error_wrap(e, "%s", dir) : NULL;
}

struct error *config_check_host(const struct oci_spec *spec)
{
	struct stat st;

	if (stat(spec->root_path, &st) < 0)
		return error_errno(errno, "config.json: root.path: %s", spec->root_path);
	if (!S_ISDIR(st.st_mode))
		return error_errno(ENOTDIR, "config.json: root.path: %s", spec->root_path);
	for (size_t i = 0; i < spec->mount_count; i++) {
		const struct oci_mount *m = &spec->mounts[i];

		if ((m->flags & OCI_MOUNT_BIND) && stat(m->source, &st) < 0)
			return error_errno(errno, "config.json: mounts[%zu].source: %s", i,
					   m->source);
	}
	return NULL;
}

static void free_strings(struct oci_strings *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->items[i]);
	free(s->items);
}

static void free_hooks(struct oci_hook_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i].path);
		free_strings(&list->items[i].args);
		free_strings(&list->items[i].env);
	}
	free(list->items);
}

static void free_process(struct oci_process *p)
{
	free_strings(&p->args);
	free_strings(&p->env);
	free(p->cwd);
	free(p->user.additional_gids);
	free(p->rlimits);
	free(p->apparmor_profile);
}

void config_free(struct oci_spec *spec)
{
	if (!spec)
		return;
	free(spec->oci_version);
	free_process(&spec->process);
	free(spec->root_path);
	free(spec->hostname);
	free(spec->domainname);
	for (size_t i = 0; i < spec->mount_count; i++) {
		free(spec->mounts[i].destination);
		free(spec->mounts[i].type);
		free(spec->mounts[i].source);
		free(spec->mounts[i].data);
	}
	free(spec->mounts);
	for (size_t s = 0; s < OCI_HOOK_STAGE_COUNT; s++)
		free_hooks(&spec->hooks[s]);
	config_free_map(spec->annotations, spec->annotation_count);
	free_strings(&spec->masked_paths);
	free_strings(&spec->readonly_paths);
	config_free_linux(spec);
	json_decref(spec->json);
	free(spec);
}
