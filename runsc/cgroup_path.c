/* SPDX-License-Identifier: Apache-2.0 */
/* Where the container's cgroup lies: hierarchies, own cgroup, cgroupsPath. See cgroup.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "runsc/cgroup.h"

char *cgroup_clean_path(const char *path)
{
	struct strbuf sb = STRBUF_INIT;

	while (*path) {
		size_t size = strcspn(path, "/");

		if (size == 2 && path[0] == '.' && path[1] == '.') {
			while (sb.size && sb.data[--sb.size] != '/')
				;
			if (sb.data)
				sb.data[sb.size] = '\0';
		} else if (size && !(size == 1 && path[0] == '.')) {
			strbuf_addch(&sb, '/');
			strbuf_add(&sb, path, size);
		}
		path += size + (path[size] == '/');
	}
	if (!sb.size)
		strbuf_addch(&sb, '/');
	return strbuf_detach(&sb);
}

/* "a-b.slice" lies in "a.slice": appends "/a.slice/a-b.slice"; "-.slice" is the root. */
static struct error *add_slice(struct strbuf *sb, const char *slice)
{
	size_t size = strlen(slice);

	if (size <= 6 || strcmp(slice + size - 6, ".slice") || strchr(slice, '/'))
		return error_new("cgroupsPath: expected the name of a slice, found \"%s\"", slice);
	if (strcmp(slice, "-.slice") == 0)
		return NULL;
	size -= 6;
	if (slice[0] == '-' || slice[size - 1] == '-' || strstr(slice, "--"))
		return error_new("cgroupsPath: expected the name of a slice, found \"%s\"", slice);
	for (size_t i = 1; i <= size; i++) {
		if (i < size && slice[i] != '-')
			continue;
		strbuf_addch(sb, '/');
		strbuf_add(sb, slice, i);
		strbuf_addstr(sb, ".slice");
	}
	return NULL;
}

/* slice:prefix:name */
static struct error *systemd_path(const char *cgroups_path, const char *id, char **ret_path)
{
	char *copy = xstrdup(cgroups_path ? cgroups_path : ""), *prefix, *name;
	struct strbuf sb = STRBUF_INIT;
	const char *slice = "system.slice";
	struct error *e = NULL;

	prefix = strchr(copy, ':');
	name = prefix ? strchr(prefix + 1, ':') : NULL;
	if (copy[0] && (!name || strchr(name + 1, ':') || strchr(prefix, '/') || !name[1])) {
		e = error_new("cgroupsPath: expected \"slice:prefix:name\" with --systemd-cgroup, "
			      "found \"%s\"",
			      cgroups_path);
	} else {
		if (prefix)
			*prefix++ = '\0';
		if (name)
			*name++ = '\0';
		e = add_slice(&sb, copy[0] ? copy : slice);
		if (name && strlen(name) > 6 && !strcmp(name + strlen(name) - 6, ".slice"))
			strbuf_addf(&sb, "/%s", name);
		else if (prefix && !prefix[0])
			strbuf_addf(&sb, "/%s.scope", name);
		else
			strbuf_addf(&sb, "/%s-%s.scope", prefix ? prefix : "runsc",
				    name ? name : id);
	}
	free(copy);
	if (e)
		strbuf_free(&sb);
	else
		*ret_path = strbuf_detach(&sb);
	return e;
}

struct error *cgroup_container_path(const char *cgroups_path, const char *id, bool systemd,
				    const char *own, char **ret_path)
{
	char *clean, *joined;

	if (systemd)
		return systemd_path(cgroups_path, id, ret_path);
	/* Cleaned by itself first: a relative path can't climb above where it starts. */
	clean = cgroup_clean_path(cgroups_path && cgroups_path[0] ? cgroups_path : id);
	if (cgroups_path && cgroups_path[0] == '/')
		joined = xstrdup(clean);
	else
		joined = xasprintf("%s%s", own, clean);
	free(clean);
	*ret_path = cgroup_clean_path(joined);
	free(joined);
	if (strcmp(*ret_path, "/") == 0) {
		free(*ret_path);
		return error_new("cgroupsPath: the root cgroup can't be a container's");
	}
	return NULL;
}

/* Whether the comma-separated list holds the word. */
static bool has_word(const char *list, const char *word)
{
	size_t size = strlen(word);

	for (const char *p = list; (p = strstr(p, word)); p += size)
		if ((p == list || p[-1] == ',') && (p[size] == ',' || !p[size]))
			return true;
	return false;
}

/* runsc's own cgroup in the hierarchy with these controllers ("": v2), from lines
 * "4:cpu,cpuacct:/path"; "/" if it isn't there. */
static char *own_cgroup(const char *self_cgroup, const char *controllers)
{
	for (const char *line = self_cgroup; *line;) {
		size_t size = strcspn(line, "\n");
		char *copy = xstrndup(line, size), *names = strchr(copy, ':'),
		     *path = names ? strchr(names + 1, ':') : NULL;

		line += size + (line[size] == '\n');
		if (path) {
			*path++ = '\0';
			if (strcmp(names + 1, controllers) == 0) {
				path = cgroup_clean_path(path);
				free(copy);
				return path;
			}
		}
		free(copy);
	}
	return xstrdup("/");
}

/* Undoes the octal escapes of mountinfo (\040), in place. */
static void unescape(char *s)
{
	char *out = s;

	while (*s) {
		unsigned v;

		if (s[0] == '\\' && sscanf(s + 1, "%3o", &v) == 1) {
			*out++ = (char)v;
			s += 4;
		} else {
			*out++ = *s++;
		}
	}
	*out = '\0';
}

struct mount_line {
	char *root, *point, *type, *super_options; /* in the line */
};

/* "36 35 98:0 /root /point options tags - type source super-options"; cuts the line up. */
static bool parse_mount_line(char *line, struct mount_line *m)
{
	char *dash = strstr(line, " - "), *save = NULL;
	char *fields[5];

	if (!dash)
		return false;
	*dash = '\0';
	for (size_t i = 0; i < 5; i++) {
		fields[i] = strtok_r(i ? NULL : line, " ", &save);
		if (!fields[i])
			return false;
	}
	m->root = fields[3];
	m->point = fields[4];
	m->type = strtok_r(dash + 3, " ", &save);
	strtok_r(NULL, " ", &save);
	m->super_options = strtok_r(NULL, " ", &save);
	if (!m->type || !m->super_options)
		return false;
	unescape(m->root);
	unescape(m->point);
	return true;
}

/*
 * The super options of a v1 hierarchy are "rw,cpu,cpuacct" or "rw,name=systemd": what is left
 * without the general ones is what /proc/self/cgroup calls it.
 */
static char *v1_controllers(const char *super_options)
{
	static const char *const general[] = {"rw", "ro", "noprefix", "clone_children", "xattr"};
	char *copy = xstrdup(super_options), *save = NULL;
	struct strbuf sb = STRBUF_INIT;

	for (char *o = strtok_r(copy, ",", &save); o; o = strtok_r(NULL, ",", &save)) {
		bool skip = strncmp(o, "release_agent=", 14) == 0;

		for (size_t i = 0; i < array_count(general); i++)
			skip |= strcmp(o, general[i]) == 0;
		if (!skip)
			strbuf_addf(&sb, "%s%s", sb.size ? "," : "", o);
	}
	free(copy);
	return strbuf_detach(&sb);
}

static bool has_dir(const struct cgroup *cg, const char *controllers)
{
	for (size_t i = 0; i < cg->dir_count; i++)
		if (strcmp(cg->dirs[i].controllers, controllers) == 0)
			return true;
	return false;
}

struct find {
	const char *self_cgroup, *cgroups_path, *id;
	bool systemd;
	struct cgroup *cg;
};

/*
 * A hierarchy of which only a part is mounted (in a container without a cgroup namespace) has
 * `root` other than "/": paths are then below that part.
 */
static struct error *add_hierarchy(struct find *f, const struct mount_line *m, char *controllers)
{
	char *own = own_cgroup(f->self_cgroup, controllers), *path;
	size_t root_size = strlen(m->root);
	struct cgroup_dir *d;
	struct error *e;

	if (root_size > 1 && strncmp(own, m->root, root_size) == 0)
		memmove(own, own + root_size, strlen(own + root_size) + 1);
	/* In v2 only a cgroup without processes can have children with controllers, and runsc is in
	 * its own: beside it, then. */
	if (f->cg->unified && strrchr(own, '/'))
		*strrchr(own, '/') = '\0';
	e = cgroup_container_path(f->cgroups_path, f->id, f->systemd, own, &path);
	free(own);
	if (e) {
		free(controllers);
		return e;
	}
	f->cg->dirs = xrealloc(f->cg->dirs, (f->cg->dir_count + 1) * sizeof(*f->cg->dirs));
	d = &f->cg->dirs[f->cg->dir_count++];
	d->controllers = controllers;
	d->root = xstrdup(m->point);
	d->path = xasprintf("%s%s", m->point, path);
	free(path);
	return NULL;
}

/* One pass over the mounts for hierarchies of that type. */
static struct error *find_type(struct find *f, const char *mountinfo, const char *type)
{
	char *copy = xstrdup(mountinfo), *save = NULL;
	struct error *e = NULL;

	for (char *line = strtok_r(copy, "\n", &save); line && !e;
	     line = strtok_r(NULL, "\n", &save)) {
		struct mount_line m;
		char *controllers;

		if (!parse_mount_line(line, &m) || strcmp(m.type, type))
			continue;
		controllers = f->cg->unified ? xstrdup("") : v1_controllers(m.super_options);
		if (has_dir(f->cg, controllers) || has_word(controllers, "none"))
			free(controllers);
		else
			e = add_hierarchy(f, &m, controllers);
	}
	free(copy);
	return e;
}

struct error *cgroup_find(const char *mountinfo, const char *self_cgroup, const char *cgroups_path,
			  const char *id, bool systemd, struct cgroup *ret)
{
	struct cgroup cg = {0};
	struct find f = {self_cgroup, cgroups_path, id, systemd, &cg};
	struct error *e = find_type(&f, mountinfo, "cgroup");

	if (!e && cg.dir_count == 0) {
		cg.unified = true;
		e = find_type(&f, mountinfo, "cgroup2");
	}
	if (e) {
		cgroup_free(&cg);
		return e;
	}
	*ret = cg;
	return NULL;
}

void cgroup_free(struct cgroup *cg)
{
	for (size_t i = 0; i < cg->dir_count; i++) {
		free(cg->dirs[i].controllers);
		free(cg->dirs[i].root);
		free(cg->dirs[i].path);
	}
	free(cg->dirs);
	*cg = (struct cgroup){0};
}

json_t *cgroup_to_json(const struct cgroup *cg)
{
	json_t *dirs = json_array();

	for (size_t i = 0; i < cg->dir_count; i++)
		json_array_append_new(dirs, json_pack("{s:s, s:s, s:s}", "controllers",
						      cg->dirs[i].controllers, "root",
						      cg->dirs[i].root, "path", cg->dirs[i].path));
	return json_pack("{s:b, s:o}", "unified", (int)cg->unified, "dirs", dirs);
}

struct error *cgroup_from_json(json_t *json, struct cgroup *ret)
{
	struct cgroup cg = {.unified = json_is_true(json_object_get(json, "unified"))};
	json_t *dirs = json_object_get(json, "dirs"), *d;
	size_t i;

	cg.dirs = xcalloc(json_array_size(dirs) + 1, sizeof(*cg.dirs));
	json_array_foreach (dirs, i, d) {
		const char *controllers, *root, *path;

		if (json_unpack(d, "{s:s, s:s, s:s}", "controllers", &controllers, "root", &root,
				"path", &path) < 0) {
			cgroup_free(&cg);
			return error_new("state.json: runsc.cgroup.dirs[%zu]: malformed", i);
		}
		cg.dirs[cg.dir_count++] = (struct cgroup_dir){
		    .controllers = xstrdup(controllers),
		    .root = xstrdup(root),
		    .path = xstrdup(path),
		};
	}
	*ret = cg;
	return NULL;
}
