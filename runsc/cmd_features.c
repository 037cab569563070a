/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>

#include "base/strbuf.h"
#include "runsc/cli.h"
#include "runsc/config.h"
#include "runsc/doctor.h"

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

/* What `runsc doctor` finds, in the one place that the specification leaves to runtimes. */
static json_t *annotations(const struct runsc_options *o)
{
	struct strbuf works = STRBUF_INIT, missing = STRBUF_INIT;
	struct doctor_report r;
	json_t *json;

	if (!o->debug && !o->log_path)
		log_setup(o->log_fd, o->log_json, LOG_ERROR, "runsc");
	doctor_examine(o, false, &r);
	for (size_t i = 0; i < DOCTOR_PLATFORMS; i++)
		if (r.platforms[i].works)
			strbuf_addf(&works, "%s%s", works.size ? "," : "", r.platforms[i].name);
	for (size_t i = 0; i < r.count; i++)
		if (doctor_is_loss(&r.items[i]))
			strbuf_addf(&missing, "%s%s", missing.size ? "," : "", r.items[i].name);
	json = json_pack("{s:s, s:s, s:s, s:s, s:s}", "io.cvisor.runsc.version", RUNSC_VERSION,
			 "io.cvisor.runsc.ready", r.ready ? "true" : "false",
			 "io.cvisor.runsc.platform", r.chosen ? r.chosen : "",
			 "io.cvisor.runsc.platforms", strbuf_str(&works), "io.cvisor.runsc.missing",
			 strbuf_str(&missing));
	strbuf_free(&works);
	strbuf_free(&missing);
	doctor_free(&r);
	return json;
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

	(void)a;
	(void)ret_status;
	json =
	    json_pack("{s:s, s:s, s:o, s:o, s:{s:o, s:o, s:{s:b, s:b, s:b, s:b}, s:{s:b}, s:{s:b}, "
		      "s:{s:b}}, s:o}",
		      "ociVersionMin", "1.0.0", "ociVersionMax", RUNSC_OCI_VERSION, "hooks",
		      strings(hooks), "mountOptions", mount_options(), "linux", "namespaces",
		      strings(namespaces), "capabilities", capabilities(), "cgroup", "v1", 1, "v2",
		      1, "systemd", 0, "systemdUser", 0, "seccomp", "enabled", 0, "apparmor",
		      "enabled", 0, "selinux", "enabled", 0, "annotations", annotations(o));
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
    .description =
	"The form is that of the OCI specification's features document. Annotations say\n"
	"what `runsc doctor` finds: platforms that work, what the host lacks.\n",
    .options = options,
    .run = run,
};
