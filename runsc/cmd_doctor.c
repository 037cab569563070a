/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/feature.h"
#include "base/mem.h"
#include "runsc/cli.h"
#include "runsc/doctor.h"

/* ---- text: one line an item ---- */

static void print_line(const char *group, const char *state, const char *name, const char *text)
{
	printf(text[0] ? "%-10s  %-4s  %-28s  %s\n" : "%-10s  %-4s  %s\n", group, state, name,
	       text);
}

static void print_item(const struct doctor_item *i, bool verbose)
{
	const char *loss = doctor_is_loss(i) ? i->loss : "";
	bool detail = i->detail[0] && (verbose || i->state != DOCTOR_YES);
	char *text = detail && loss[0] ? xasprintf("%s (%s)", loss, i->detail)
				       : xstrdup(detail ? i->detail : loss);

	print_line(i->group, doctor_state_name(i->state), i->name, text);
	free(text);
}

static void print_platform(const struct doctor_platform *p, bool verbose)
{
	char text[48] = "";

	if (p->works && verbose)
		snprintf(text, sizeof(text), "a call takes %.1f us", p->call_us);
	print_line("platforms", p->works ? "yes" : "no", p->name, p->works ? text : p->why);
}

static void print_text(const struct doctor_report *r, bool verbose)
{
	for (size_t i = 0; i < r->count; i++)
		print_item(&r->items[i], verbose);
	for (size_t i = 0; i < DOCTOR_PLATFORMS; i++)
		print_platform(&r->platforms[i], verbose);
	print_line("verdict", r->chosen ? "yes" : "no", r->chosen ? r->chosen : "platform",
		   r->chosen_why);
	print_line("verdict", r->ready ? "yes" : "no", "ready", r->ready_why);
}

/* ---- JSON ---- */

/* {"kind": "speed", "text": "..."} of "speed: ...", or null. */
static json_t *json_loss(const struct doctor_item *i)
{
	const char *colon = strchr(i->loss, ':');

	if (!doctor_is_loss(i) || !colon)
		return json_null();
	return json_pack("{s:s%, s:s}", "kind", i->loss, (size_t)(colon - i->loss), "text",
			 colon + 1 + (colon[1] == ' '));
}

static json_t *json_items(const struct doctor_report *r)
{
	json_t *array = json_array();

	for (size_t i = 0; i < r->count; i++) {
		const struct doctor_item *item = &r->items[i];

		json_array_append_new(array, json_pack("{s:s, s:s, s:s, s:s, s:o}", "group",
						       item->group, "name", item->name, "state",
						       doctor_state_name(item->state), "detail",
						       item->detail, "loss", json_loss(item)));
	}
	return array;
}

static json_t *json_platforms(const struct doctor_report *r)
{
	json_t *array = json_array();

	for (size_t i = 0; i < DOCTOR_PLATFORMS; i++) {
		const struct doctor_platform *p = &r->platforms[i];
		json_t *o =
		    json_pack("{s:s, s:b, s:s}", "name", p->name, "works", p->works, "why", p->why);

		if (p->works)
			json_object_set_new(o, "callMicroseconds", json_real(p->call_us));
		json_array_append_new(array, o);
	}
	return array;
}

/* The switches that --without and --force know. */
static json_t *json_features(void)
{
	json_t *array = json_array();

	for (int f = 0; f < FEATURE_COUNT; f++) {
		const struct feature_info *info = feature_info((enum feature)f);

		json_array_append_new(
		    array, json_pack("{s:s, s:s, s:s, s:b, s:b}", "name", info->name, "kind",
				     info->kind == FEATURE_HOST ? "host" : "speed", "loss",
				     info->loss, "off", feature_off((enum feature)f), "forced",
				     feature_forced((enum feature)f)));
	}
	return array;
}

static void print_json(const struct doctor_report *r)
{
	json_t *json = json_pack(
	    "{s:s, s:b, s:s, s:s?, s:s, s:o, s:o, s:o}", "version", RUNSC_VERSION, "ready",
	    r->ready, "readyWhy", r->ready_why, "platform", r->chosen, "platformWhy", r->chosen_why,
	    "platforms", json_platforms(r), "items", json_items(r), "features", json_features());

	json_dumpf(json, stdout, JSON_INDENT(4) | JSON_REAL_PRECISION(4));
	putchar('\n');
	json_decref(json);
}

static struct error *run(const struct runsc_options *o, const struct cli_args *a, int *ret_status)
{
	const char *format = cli_string(a, "format");
	bool json = format && strcmp(format, "json") == 0;
	struct doctor_report r;

	if (format && !json && strcmp(format, "text") != 0)
		return error_new("invalid format: %s", format);
	if (!o->debug && !o->log_path) /* the report says it, once */
		log_setup(o->log_fd, o->log_json, LOG_ERROR, "runsc");
	doctor_examine(o, true, &r);
	if (json)
		print_json(&r);
	else
		print_text(&r, cli_flag(a, "verbose"));
	*ret_status = r.ready ? 0 : 1;
	doctor_free(&r);
	return NULL;
}

static const struct cli_option options[] = {
    {"format", 'f', "value", "text (default) or json"},
    {"verbose", 0, NULL, "say what was seen where nothing is wrong, too"},
    {NULL, 0, NULL, NULL},
};

const struct command cmd_doctor = {
    .name = "doctor",
    .synopsis = "[command options]",
    .summary = "try what this host can do for containers, and say what is lost where it can't",
    .description =
	"Each line: group, whether it is there, its name, and what is lost without it: speed,\n"
	"isolation or function. \"off\" was switched off by --without; \"note\" is neither good\n"
	"nor bad. The last lines say which platform a container would get and whether one could\n"
	"run, for which a sandbox is really started. The exit status is 0 only if it could.\n",
    .options = options,
    .run = run,
};
