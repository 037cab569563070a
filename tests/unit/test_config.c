/* SPDX-License-Identifier: Apache-2.0 */
/* config.json: what is read, what is refused and how that is worded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "runsc/config.h"

#define HEAD	"{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"rootfs\"}"
#define PROCESS ",\"process\":{\"args\":[\"sh\",\"-c\"],\"cwd\":\"/\"}"

static struct oci_spec *accept_text(const char *text)
{
	struct oci_spec *spec = NULL;
	struct error *e = config_parse(text, strlen(text), "/b", &spec);

	if (e)
		fail_msg("refused: %s", e->message);
	return spec;
}

static void refuse(const char *text, const char *message)
{
	struct oci_spec *spec = NULL;
	struct error *e = config_parse(text, strlen(text), "/b", &spec);

	assert_null(spec);
	assert_non_null(e);
	if (!strstr(e->message, message))
		fail_msg("want \"%s\", got \"%s\"", message, e->message);
	assert_null(strchr(e->message, '\n'));
	error_free(e);
}

static void smallest(void **state)
{
	struct oci_spec *s = accept_text(HEAD PROCESS "}");

	(void)state;
	assert_string_equal(s->root_path, "/b/rootfs");
	assert_int_equal(s->process.args.count, 2);
	assert_string_equal(s->process.args.items[1], "-c");
	assert_null(s->process.args.items[2]);
	assert_int_equal(s->process.env.count, 0);
	assert_null(s->process.env.items[0]);
	assert_false(s->process.terminal);
	assert_false(s->process.capabilities.present);
	assert_int_equal(s->mount_count, 0);
	assert_null(s->cgroups_path);
	config_free(s);
}

static void process_fields(void **state)
{
	struct oci_spec *s = accept_text(
	    HEAD
	    ",\"process\":{\"args\":[\"a\"],\"cwd\":\"/x\",\"terminal\":true,\"env\":[\"A=b\"],"
	    "\"consoleSize\":{\"height\":24,\"width\":80},"
	    "\"user\":{\"uid\":1,\"gid\":2,\"umask\":63,\"additionalGids\":[3,4]},"
	    "\"capabilities\":{\"bounding\":[\"CAP_CHOWN\",\"CAP_KILL\",\"CAP_NO_SUCH\"]},"
	    "\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"soft\":1,\"hard\":18446744073709551615}],"
	    "\"noNewPrivileges\":true,\"oomScoreAdj\":-5}}");

	(void)state;
	assert_true(s->process.terminal);
	assert_int_equal(s->process.console_rows, 24);
	assert_int_equal(s->process.console_columns, 80);
	assert_int_equal(s->process.user.uid, 1);
	assert_int_equal(s->process.user.umask, 63);
	assert_int_equal(s->process.user.additional_gid_count, 2);
	assert_int_equal(s->process.user.additional_gids[1], 4);
	assert_true(s->process.capabilities.present);
	assert_int_equal(s->process.capabilities.bounding, 1 | 1 << 5);
	assert_int_equal(s->process.rlimits[0].resource, 7);
	assert_true(s->process.rlimits[0].hard == UINT64_MAX);
	assert_int_equal(s->process.oom_score_adj, -5);
	config_free(s);
}

static void mounts(void **state)
{
	struct oci_spec *s = accept_text(
	    HEAD PROCESS ",\"mounts\":["
			 "{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
			 "{\"destination\":\"/"
			 "a\",\"source\":\"rel\",\"options\":[\"rbind\",\"ro\",\"rprivate\"]},"
			 "{\"destination\":\"/"
			 "t\",\"type\":\"tmpfs\",\"options\":[\"nosuid\",\"mode=755\",\"ro\","
			 "\"rw\",\"size=64k\"]},"
			 "{\"destination\":\"/c\",\"type\":\"bind\",\"source\":\"/"
			 "etc\",\"options\":[\"noexec\"]}]}");

	(void)state;
	assert_int_equal(s->mount_count, 4);
	assert_int_equal(s->mounts[0].gofer_index, 0);
	assert_string_equal(s->mounts[1].type, "bind");
	assert_string_equal(s->mounts[1].source, "/b/rel");
	assert_int_equal(s->mounts[1].gofer_index, 1);
	assert_int_equal(s->mounts[1].flags,
			 OCI_MOUNT_BIND | OCI_MOUNT_BIND_RECURSIVE | OCI_MOUNT_RDONLY);
	assert_string_equal(s->mounts[2].data, "mode=755,size=64k");
	assert_int_equal(s->mounts[2].flags, OCI_MOUNT_NOSUID);
	assert_int_equal(s->mounts[3].gofer_index, 2);
	assert_int_equal(s->mounts[3].flags, OCI_MOUNT_BIND | OCI_MOUNT_NOEXEC);
	config_free(s);
}

static void linux_fields(void **state)
{
	struct oci_spec *s = accept_text(
	    HEAD PROCESS
	    ",\"hostname\":\"h\",\"annotations\":{\"k\":\"v\"},"
	    "\"hooks\":{\"poststop\":[{\"path\":\"/x\",\"args\":[\"x\",\"y\"],\"timeout\":3}]},"
	    "\"linux\":{\"cgroupsPath\":\"/a/b\",\"maskedPaths\":[\"/m\"],"
	    "\"sysctl\":{\"net.x\":\"1\"},\"namespaces\":[{\"type\":\"uts\"},"
	    "{\"type\":\"network\",\"path\":\"/n\"}],"
	    "\"resources\":{\"memory\":{\"limit\":9223372036854771712},\"pids\":{\"limit\":-1},"
	    "\"devices\":[{\"allow\":false,\"access\":\"rwm\"},"
	    "{\"allow\":true,\"type\":\"c\",\"major\":1,\"minor\":3,\"access\":\"rw\"}]}}}");

	(void)state;
	assert_string_equal(s->hostname, "h");
	assert_string_equal(s->annotations[0].value, "v");
	assert_int_equal(s->hooks[OCI_HOOK_POSTSTOP].count, 1);
	assert_int_equal(s->hooks[OCI_HOOK_POSTSTOP].items[0].timeout_seconds, 3);
	assert_string_equal(s->cgroups_path, "/a/b");
	assert_string_equal(s->masked_paths.items[0], "/m");
	assert_string_equal(s->sysctls[0].name, "net.x");
	assert_true(s->namespaces[OCI_NS_UTS].present);
	assert_string_equal(s->namespaces[OCI_NS_NETWORK].path, "/n");
	assert_false(s->namespaces[OCI_NS_PID].present);
	assert_true(s->resources.memory_limit.present);
	assert_int_equal(s->resources.pids_limit.value, -1);
	assert_false(s->resources.cpu_shares.present);
	assert_int_equal(s->resources.devices[0].type, 'a');
	assert_int_equal(s->resources.devices[1].minor.value, 3);
	assert_string_equal(s->resources.devices[1].access, "rw");
	config_free(s);
}

/* An unlimited value as Go writes it doesn't fit JSON's integers: the whole text is read again. */
static void numbers_beyond_int64(void **state)
{
	struct oci_spec *s =
	    accept_text(HEAD PROCESS ",\"linux\":{\"resources\":{\"cpu\":{\"shares\":"
				     "18446744073709551615,\"period\":100000}}}}");

	(void)state;
	assert_true(s->resources.cpu_shares.value == INT64_MAX);
	assert_int_equal(s->resources.cpu_period.value, 100000);
	config_free(s);
}

static void null_is_absent(void **state)
{
	struct oci_spec *s = accept_text(
	    HEAD PROCESS ",\"hooks\":null,\"mounts\":null,\"linux\":{\"seccomp\":null}}");

	(void)state;
	assert_null(s->seccomp);
	config_free(s);
}

static void refusals(void **state)
{
	static const char *const rows[][2] = {
	    {"", "config.json: line 1"},
	    {"{", "config.json: line 1, column 1"},
	    {"[]", "config.json: expected an object"},
	    {"{}", "config.json: ociVersion: missing, expected a string"},
	    {"{\"ociVersion\":1}", "config.json: ociVersion: expected a string, found a number"},
	    {"{\"ociVersion\":\"x\"}", "config.json: ociVersion: expected a version such as"},
	    {"{\"ociVersion\":\"2.0.0\"}", "config.json: ociVersion: expected a version 1.x.y"},
	    {"{\"ociVersion\":\"1.0.0\"}", "config.json: root: missing, expected an object"},
	    {"{\"ociVersion\":\"1.0.0\",\"root\":{}}",
	     "config.json: root.path: missing, expected a string"},
	    {HEAD "}", "config.json: process: missing, expected an object"},
	    {HEAD ",\"process\":[]}", "config.json: process: expected an object, found an array"},
	    {HEAD ",\"process\":{\"cwd\":\"/\"}}", "config.json: process.args: missing"},
	    {HEAD ",\"process\":{\"cwd\":\"/\",\"args\":[]}}",
	     "config.json: process.args: expected at least one string"},
	    {HEAD ",\"process\":{\"cwd\":\"/\",\"args\":5}}",
	     "config.json: process.args: expected an array, found a number"},
	    {HEAD ",\"process\":{\"cwd\":\"/\",\"args\":[\"a\",5]}}",
	     "config.json: process.args[1]: expected a string, found a number"},
	    {HEAD ",\"process\":{\"cwd\":\"rel\",\"args\":[\"a\"]}}",
	     "config.json: process.cwd: expected an absolute path, found \"rel\""},
	    {HEAD ",\"process\":{\"cwd\":\"/\",\"args\":[\"a\"],\"terminal\":1}}",
	     "config.json: process.terminal: expected a boolean, found a number"},
	    {HEAD ",\"process\":{\"cwd\":\"/\",\"args\":[\"a\"],\"user\":{\"uid\":-1}}}",
	     "config.json: process.user.uid: expected an integer from 0 to 4294967295, found -1"},
	    {HEAD ",\"process\":{\"cwd\":\"/\",\"args\":[\"a\"],\"user\":{\"uid\":1.5}}}",
	     "config.json: process.user.uid: expected an integer, found a number"},
	    {HEAD ",\"process\":{\"cwd\":\"/\",\"args\":[\"a\"],\"selinuxLabel\":\"x\"}}",
	     "config.json: process.selinuxLabel: "},
	    {HEAD
	     ",\"process\":{\"cwd\":\"/\",\"args\":[\"a\"],\"rlimits\":[{\"type\":\"RLIMIT_X\","
	     "\"soft\":1,\"hard\":1}]}}",
	     "config.json: process.rlimits[0].type: expected the name of a resource limit"},
	    {HEAD PROCESS ",\"mounts\":[{\"type\":\"tmpfs\"}]}",
	     "config.json: mounts[0].destination: missing"},
	    {HEAD PROCESS ",\"mounts\":[{\"destination\":\"/a\",\"type\":\"bind\"}]}",
	     "config.json: mounts[0].source: missing"},
	    {HEAD PROCESS ",\"mounts\":[{\"destination\":\"/a\",\"options\":\"ro\"}]}",
	     "config.json: mounts[0].options: expected an array, found a string"},
	    {HEAD PROCESS ",\"hooks\":{\"prestart\":[{\"path\":\"x\"}]}}",
	     "config.json: hooks.prestart[0].path: expected an absolute path"},
	    {HEAD PROCESS ",\"hooks\":{\"prestart\":[{\"path\":\"/x\",\"timeout\":0}]}}",
	     "config.json: hooks.prestart[0].timeout: expected an integer from 1"},
	    {HEAD PROCESS ",\"hostname\":\"h\"}", "config.json: hostname: can't be set without"},
	    {HEAD PROCESS ",\"annotations\":{\"a\":5}}",
	     "config.json: annotations.a: expected a string, found a number"},
	    {HEAD PROCESS ",\"linux\":{\"namespaces\":[{\"type\":\"foo\"}]}}",
	     "config.json: linux.namespaces[0].type: expected the name of a namespace"},
	    {HEAD PROCESS ",\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"pid\"}]}}",
	     "config.json: linux.namespaces[1]: a namespace \"pid\" was given before"},
	    {HEAD PROCESS ",\"linux\":{\"resources\":{\"memory\":{\"limit\":\"1G\"}}}}",
	     "config.json: linux.resources.memory.limit: expected an integer, found a string"},
	    {HEAD PROCESS ",\"linux\":{\"resources\":{\"devices\":[{\"access\":\"x\"}]}}}",
	     "config.json: linux.resources.devices[0].access: expected letters"},
	    {HEAD PROCESS ",\"linux\":{\"resources\":{\"unified\":{\"../x\":\"1\"}}}}",
	     "config.json: linux.resources.unified: expected names of cgroup files"},
	    {HEAD PROCESS
	     ",\"linux\":{\"resources\":{\"hugepageLimits\":[{\"pageSize\":\"a/b\"}]}}}",
	     "config.json: linux.resources.hugepageLimits[0]: pageSize"},
	    {HEAD PROCESS ",\"linux\":{\"devices\":[{\"path\":\"/d\",\"type\":\"z\"}]}}",
	     "config.json: linux.devices[0].type: expected one of"},
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++)
		refuse(rows[i][0], rows[i][1]);
}

/* Deep nesting and long lists end with an error, not with the stack or the memory. */
static void bounds(void **state)
{
	size_t depth = 100000;
	char *text = xmalloc(depth * 2 + 1024), *at = text;

	(void)state;
	memset(text, '[', depth);
	text[depth] = '\0';
	refuse(text, "config.json: line 1");

	at += sprintf(at, HEAD PROCESS ",\"mounts\":[");
	for (size_t i = 0; i < CONFIG_LIST_MAX + 1; i++)
		at += sprintf(at, "%s{}", i ? "," : "");
	sprintf(at, "]}");
	refuse(text, "config.json: mounts: expected at most 4096 elements, found 4097");
	free(text);
}

static void capability_names(void **state)
{
	(void)state;
	assert_int_equal(config_capability_number("CAP_CHECKPOINT_RESTORE"), 40);
	assert_int_equal(config_capability_number("CAP_SYS_ADMIN"), 21);
	assert_int_equal(config_capability_number("SYS_ADMIN"), -1);
	assert_string_equal(config_capability_name(38), "CAP_PERFMON");
	assert_null(config_capability_name(41));
	assert_null(config_capability_name(-1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(smallest),
	    cmocka_unit_test(process_fields),
	    cmocka_unit_test(mounts),
	    cmocka_unit_test(linux_fields),
	    cmocka_unit_test(numbers_beyond_int64),
	    cmocka_unit_test(null_is_absent),
	    cmocka_unit_test(refusals),
	    cmocka_unit_test(bounds),
	    cmocka_unit_test(capability_names),
	};

	log_setup(2, false, LOG_ERROR, "test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
