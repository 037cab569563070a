/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc/state.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "runsc/json.h"

#define STATE_FILE_MAX (4u << 20)

struct error *container_check_id(const char *id)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_+,-.";

	if (!id[0])
		return error_new("container id cannot be empty");
	if (strlen(id) > 255 || id[strspn(id, allowed)] || !strcmp(id, ".") || !strcmp(id, ".."))
		return error_new("invalid container ID format: \"%s\"", id);
	return NULL;
}

/* Every directory of path; the last one with that mode. */
static int make_directories(const char *path, mode_t mode)
{
	char *copy = xstrdup(path);
	int r = 0;

	for (char *slash = strchr(copy + 1, '/'); slash && !r; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			r = -errno;
		*slash = '/';
	}
	if (!r && mkdir(copy, mode) < 0 && errno != EEXIST)
		r = -errno;
	free(copy);
	return r;
}

static struct container *container_alloc(const struct runsc_options *o, const char *id)
{
	struct container *c = xnew(struct container);

	c->id = xstrdup(id);
	c->dir = xasprintf("%s/%s", o->root, id);
	c->dir_fd = c->lock_fd = -1;
	return c;
}

/* "2026-11-21T23:58:35.213244211Z" */
static char *timestamp(void)
{
	struct timespec now;
	struct tm tm;
	char text[40];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	return xasprintf("%s.%09ldZ", text, now.tv_nsec);
}

static struct error *open_dir(struct container *c)
{
	c->dir_fd = open(c->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (c->dir_fd < 0)
		return error_errno(errno, "state directory %s", c->dir);
	return NULL;
}

/*
 * Only who makes the directory makes the lock (create: O_CREAT): a second one beside a delete would
 * keep the directory, which is removed after its lock.
 */
static struct error *take_lock(struct container *c, int create)
{
	int r;

	c->lock_fd = openat(c->dir_fd, "lock", O_RDWR | O_NOFOLLOW | O_CLOEXEC | create, 0600);
	if (c->lock_fd < 0)
		return error_errno(errno, "%s/lock", c->dir);
	do
		r = flock(c->lock_fd, LOCK_EX);
	while (r < 0 && errno == EINTR);
	return r < 0 ? error_errno(errno, "locking %s/lock", c->dir) : NULL;
}

struct error *container_new(const struct runsc_options *o, const char *id, struct container **ret_c)
{
	struct container *c = container_alloc(o, id);
	struct error *e = NULL;
	int r = make_directories(o->root, 0711);

	if (r < 0)
		e = error_errno(-r, "state directory %s", o->root);
	else if (mkdir(c->dir, 0711) < 0) {
		int err = errno;

		e = err == EEXIST ? error_new("container with given ID already exists: %s", id)
				  : error_errno(err, "state directory %s", c->dir);
		e->errnum = err;
	}
	if (e) {
		container_close(c);
		return e;
	}
	c->creating = true;
	c->created = timestamp();
	c->owner = geteuid();
	e = open_dir(c);
	if (!e)
		e = take_lock(c, O_CREAT);
	if (e) {
		error_warn(container_remove(c), "cleaning up");
		container_close(c);
		return e;
	}
	*ret_c = c;
	return NULL;
}

static struct error *no_such_container(const char *id)
{
	struct error *e = error_new("container does not exist: %s", id);

	e->errnum = ENOENT;
	return e;
}

static void free_state(struct container *c)
{
	free(c->bundle);
	free(c->rootfs);
	free(c->created);
	json_decref(c->cgroup);
	json_decref(c->annotations);
	c->bundle = c->rootfs = c->created = NULL;
	c->cgroup = c->annotations = NULL;
}

static struct process_id read_process(const struct node *up, const char *key)
{
	struct node n = node_object(up, key), pid = node_get(&n, "pid"),
		    start = node_get(&n, "startTime");

	return (struct process_id){
	    .pid = (pid_t)node_int(&pid, 0, INT32_MAX, 0),
	    .start_time = (uint64_t)node_int(&start, 0, INT64_MAX, 0),
	};
}

static void read_state(struct container *c, const struct node *root)
{
	struct node own = node_object(root, "runsc"), cgroup = node_object(&own, "cgroup"),
		    annotations = node_object(root, "annotations");

	node_require(&own, "an object");
	free_state(c);
	c->bundle = need_string(root, "bundle");
	c->rootfs = need_string(&own, "rootfs");
	c->created = need_string(&own, "created");
	c->owner = get_u32(&own, "owner", 0);
	c->creating = get_bool(&own, "creating");
	c->sandbox = read_process(&own, "sandbox");
	c->gofer = read_process(&own, "gofer");
	c->cgroup = json_incref(cgroup.json);
	c->annotations = json_incref(annotations.json);
}

/* A directory without state.json belongs to a create that is at its very start, or died there. */
static struct error *load_state(struct container *c)
{
	struct json_reader reader = {.file = "state.json"};
	struct error *e;
	json_t *json;
	char *text;
	size_t size;
	int r = fd_read_file(c->dir_fd, "state.json", STATE_FILE_MAX, &text, &size);

	if (r == -ENOENT) {
		free_state(c);
		c->bundle = xstrdup("");
		c->rootfs = xstrdup("");
		c->created = xstrdup("");
		c->creating = true;
		return NULL;
	}
	if (r < 0)
		return error_errno(-r, "%s/state.json", c->dir);
	e = json_read("state.json", text, size, &json);
	free(text);
	if (!e) {
		struct node root = node_root(&reader, json);

		read_state(c, &root);
		json_decref(json);
		e = reader.error;
	}
	return e ? error_wrap(e, "%s", c->dir) : NULL;
}

struct error *container_open(const struct runsc_options *o, const char *id,
			     struct container **ret_c)
{
	struct error *e = container_check_id(id);
	struct container *c;

	if (e)
		return e;
	c = container_alloc(o, id);
	e = open_dir(c);
	if (e && e->errnum == ENOENT) {
		error_free(e);
		e = no_such_container(id);
	}
	if (!e)
		e = load_state(c);
	if (e) {
		container_close(c);
		return e;
	}
	*ret_c = c;
	return NULL;
}

struct error *container_lock(struct container *c)
{
	struct error *e = take_lock(c, 0);
	struct stat st;

	if (e && e->errnum == ENOENT) {
		error_free(e);
		rmdir(c->dir); /* empty: of a create that died at its very start */
		return no_such_container(c->id);
	}
	if (e)
		return e;
	if (fstat(c->lock_fd, &st) == 0 && st.st_nlink == 0)
		return no_such_container(c->id);
	return load_state(c);
}

void container_unlock(struct container *c)
{
	if (c->lock_fd >= 0)
		close(c->lock_fd);
	c->lock_fd = -1;
}

void container_close(struct container *c)
{
	if (!c)
		return;
	free_state(c);
	free(c->id);
	free(c->dir);
	container_unlock(c);
	if (c->dir_fd >= 0)
		close(c->dir_fd);
	free(c);
}

static json_t *process_json(const struct process_id *p)
{
	return json_pack("{s:i, s:I}", "pid", (int)p->pid, "startTime", (json_int_t)p->start_time);
}

static json_t *saved_json(const struct container *c)
{
	json_t *json = json_pack("{s:s, s:s, s:s, s:{s:s, s:s, s:I, s:b, s:o, s:o}}", "ociVersion",
				 RUNSC_OCI_VERSION, "id", c->id, "bundle", c->bundle, "runsc",
				 "rootfs", c->rootfs, "created", c->created, "owner",
				 (json_int_t)c->owner, "creating", (int)c->creating, "sandbox",
				 process_json(&c->sandbox), "gofer", process_json(&c->gofer));

	if (c->cgroup)
		json_object_set(json_object_get(json, "runsc"), "cgroup", c->cgroup);
	if (c->annotations)
		json_object_set(json, "annotations", c->annotations);
	return json;
}

struct error *container_save(const struct container *c)
{
	cleanup_fd int fd = openat(c->dir_fd, "state.json.new",
				   O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	json_t *json;
	char *text;
	ssize_t n;

	if (fd < 0)
		return error_errno(errno, "%s/state.json.new", c->dir);
	json = saved_json(c);
	text = json_dumps(json, JSON_INDENT(1));
	json_decref(json);
	if (!text)
		return error_new("%s/state.json: a path isn't valid UTF-8", c->dir);
	n = fd_write_all(fd, text, strlen(text));
	free(text);
	if (n < 0)
		return error_errno((int)-n, "%s/state.json.new", c->dir);
	if (renameat(c->dir_fd, "state.json.new", c->dir_fd, "state.json") < 0)
		return error_errno(errno, "%s/state.json", c->dir);
	return NULL;
}

struct error *container_mark_started(const struct container *c, bool started)
{
	cleanup_fd int fd = -1;

	if (started)
		fd = openat(c->dir_fd, "started", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (started ? fd < 0 : unlinkat(c->dir_fd, "started", 0) < 0)
		return error_errno(errno, "%s/started", c->dir);
	return NULL;
}

struct error *container_remove(const struct container *c)
{
	static const char *const files[] = {"state.json", "state.json.new",   STATE_CONFIG_NAME,
					    "started",	  STATE_CONTROL_NAME, "lock"};

	for (size_t i = 0; i < array_count(files); i++)
		if (c->dir_fd >= 0 && unlinkat(c->dir_fd, files[i], 0) < 0 && errno != ENOENT)
			return error_errno(errno, "removing %s/%s", c->dir, files[i]);
	if (rmdir(c->dir) < 0 && errno != ENOENT)
		return error_errno(errno, "removing %s", c->dir);
	return NULL;
}

/* Whether a command holds the lock of a container that is being created. */
static bool create_lives(const struct container *c)
{
	cleanup_fd int fd = openat(c->dir_fd, "lock", O_RDWR | O_NOFOLLOW | O_CLOEXEC);

	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

enum container_status container_status(const struct container *c)
{
	if (c->creating && (c->lock_fd >= 0 || create_lives(c)))
		return CONTAINER_CREATING;
	if (c->creating)
		return CONTAINER_STOPPED;
	if (!process_alive(&c->sandbox))
		return CONTAINER_STOPPED;
	if (faccessat(c->dir_fd, "started", F_OK, 0) == 0)
		return CONTAINER_RUNNING;
	return CONTAINER_CREATED;
}

const char *container_status_name(enum container_status s)
{
	static const char *const names[] = {"creating", "created", "running", "stopped"};

	return names[s];
}

static json_t *oci_state(const struct container *c, enum container_status s)
{
	return json_pack("{s:s, s:s, s:s, s:i, s:s}", "ociVersion", RUNSC_OCI_VERSION, "id", c->id,
			 "status", container_status_name(s), "pid",
			 s == CONTAINER_STOPPED ? 0 : (int)c->sandbox.pid, "bundle", c->bundle);
}

char *container_hook_state(const struct container *c, enum container_status s)
{
	json_t *json = oci_state(c, s);
	char *text;

	if (s == CONTAINER_STOPPED)
		json_object_del(json, "pid");
	if (c->annotations)
		json_object_set(json, "annotations", c->annotations);
	text = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	return text;
}

/* The name of a user in /etc/passwd (the libc's own look-up can't be linked statically), or NULL.
 */
static char *user_name(uid_t uid)
{
	FILE *f = fopen("/etc/passwd", "re");
	char *line = NULL, *name = NULL;
	size_t capacity = 0;

	while (f && !name && getline(&line, &capacity, f) > 0) {
		char *end = strchr(line, ':'), *second = end ? strchr(end + 1, ':') : NULL;

		if (second && isdigit((unsigned char)second[1]) &&
		    strtoul(second + 1, NULL, 10) == uid)
			name = xstrndup(line, (size_t)(end - line));
	}
	free(line);
	if (f)
		fclose(f);
	return name;
}

json_t *container_state_json(const struct container *c, bool with_owner_name)
{
	json_t *json = oci_state(c, container_status(c));
	char *owner = with_owner_name ? user_name(c->owner) : xstrdup("");

	if (!owner)
		owner = xasprintf("%u", (unsigned)c->owner);
	json_object_set_new(json, "rootfs", json_string(c->rootfs));
	json_object_set_new(json, "created", json_string(c->created));
	if (c->annotations)
		json_object_set(json, "annotations", c->annotations);
	json_object_set_new(json, "owner", json_string(owner));
	free(owner);
	return json;
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

struct error *container_list(const struct runsc_options *o, struct oci_strings *ret_ids)
{
	struct oci_strings ids = {.items = xcalloc(1, sizeof(char *))};
	DIR *dir = opendir(o->root);
	struct dirent *d;

	if (!dir && errno != ENOENT) {
		free(ids.items);
		return error_errno(errno, "state directory %s", o->root);
	}
	while (dir && (d = readdir(dir))) {
		struct error *e = container_check_id(d->d_name);

		/* Some file systems don't say what an entry is; what is no state can't be opened. */
		if (e || (d->d_type != DT_DIR && d->d_type != DT_UNKNOWN)) {
			error_free(e);
			continue;
		}
		ids.items = xrealloc(ids.items, (ids.count + 2) * sizeof(char *));
		ids.items[ids.count++] = xstrdup(d->d_name);
		ids.items[ids.count] = NULL;
	}
	if (dir)
		closedir(dir);
	qsort(ids.items, ids.count, sizeof(char *), compare_strings);
	*ret_ids = ids;
	return NULL;
}
