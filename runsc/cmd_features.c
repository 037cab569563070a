/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>

#include "runsc/cli.h"
#include "runsc/config.h"

static json_t *strings(const char *const *list)
{
	json_t *array = json_array();

	for (; *list; list++)
		json_array_append_new(array, json_string(*list));
	return array;
}

static json_t *mount_options(void)
{
	json_t *array = json_array();
	const char *name;

	for (size_t i = 0; (name = config_mount_option_name(i)); i++)
		json_array_append_new(array, json_string(name));
	return array;
}

static json_t *capabilities(void)
{
	json_t *array = json_array();
	const char *name;

	for (int i = 0; (name = config_capability_name(i)); i++)
		json_array_append_new(array, json_string(name));
	return array;
}

static struct error *run(const struct runsc_options *o, const struct cli_args *a, int *ret_status)
{
	static const char *const hooks[] = {"prestart",
					    "createRuntime",
					    "createContainer",
					    "startContainer",
					    "poststart",
					    "poststop",
					    NULL};
	static const char *const namespaces[] = {"cgroup", "ipc",  "mount", "network",
						 "pid",	   "user", "uts",   NULL};
	json_t *json;

	(void)o;
	(void)a;
	(void)ret_status;
	json = json_pack(
	    "{s:s, s:s, s:o, s:o, s:{s:o, s:o, s:{s:b, s:b, s:b, s:b}, s:{s:b}, s:{s:b}, "
	    "s:{s:b}}, s:{s:s}}",
	    "ociVersionMin", "1.0.0", "ociVersionMax", RUNSC_OCI_VERSION, "hooks", strings(hooks),
	    "mountOptions", mount_options(), "linux", "namespaces", strings(namespaces),
	    "capabilities", capabilities(), "cgroup", "v1", 1, "v2", 1, "systemd", 0, "systemdUser",
	    0, "seccomp", "enabled", 0, "apparmor", "enabled", 0, "selinux", "enabled", 0,
	    "annotations", "io.cvisor.runsc.version", RUNSC_VERSION);
	json_dumpf(json, stdout, JSON_INDENT(4));
	putchar('\n');
	json_decref(json);
	return NULL;
}

static const struct cli_option options[] = {{NULL, 0, NULL, NULL}};

const struct command cmd_features = {
    .name = "features",
    .synopsis = "",
    .summary = "print what this runtime can do as JSON",
    .description = "The form is that of the OCI specification's features document.\n",
    .options = options,
    .run = run,
};
