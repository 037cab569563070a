/* SPDX-License-Identifier: Apache-2.0 */
/* Where a container's cgroup lies: paths, slices, hierarchies in mountinfo. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "runsc/cgroup.h"

static void expect_clean(const char *path, const char *want)
{
	char *got = cgroup_clean_path(path);

	assert_string_equal(got, want);
	free(got);
}

static void clean(void **state)
{
	(void)state;
	expect_clean("", "/");
	expect_clean("/", "/");
	expect_clean("a", "/a");
	expect_clean("//a/./b//", "/a/b");
	expect_clean("/a/../b", "/b");
	expect_clean("../../..", "/");
	expect_clean("/a/b/../../../c", "/c");
	expect_clean("/..a/.b", "/..a/.b");
}

static void expect_path(const char *given, bool systemd, const char *own, const char *want)
{
	char *got = NULL;
	struct error *e = cgroup_container_path(given, "id", systemd, own, &got);

	if (e) {
		if (want)
			fail_msg("%s: %s", given, e->message);
		error_free(e);
		return;
	}
	if (!want)
		fail_msg("%s: accepted as %s", given, got);
	assert_string_equal(got, want);
	free(got);
}

static void plain_paths(void **state)
{
	(void)state;
	expect_path(NULL, false, "/", "/id");
	expect_path("", false, "/user", "/user/id");
	expect_path("/a/b", false, "/user", "/a/b");
	expect_path("a/b", false, "/user", "/user/a/b");
	expect_path("../../a", false, "/user", "/user/a");
	expect_path("/foo/../../bar", false, "/", "/bar");
	expect_path("/", false, "/", NULL);
	expect_path("/..", false, "/user", NULL);
	expect_path("..", false, "/", NULL);
}

static void systemd_paths(void **state)
{
	(void)state;
	expect_path("system.slice:docker:abc", true, "/x", "/system.slice/docker-abc.scope");
	expect_path("a-b-c.slice:p:n", true, "/", "/a.slice/a-b.slice/a-b-c.slice/p-n.scope");
	expect_path("-.slice:p:n", true, "/", "/p-n.scope");
	expect_path(":p:n", true, "/", "/system.slice/p-n.scope");
	expect_path("a.slice::n", true, "/", "/a.slice/n.scope");
	expect_path("a.slice:p:n.slice", true, "/", "/a.slice/n.slice");
	expect_path(NULL, true, "/", "/system.slice/runsc-id.scope");
	expect_path("/a/b", true, "/", NULL);
	expect_path("a.slice:p", true, "/", NULL);
	expect_path("a.slice:p:n:m", true, "/", NULL);
	expect_path("a.slice:p:", true, "/", NULL);
	expect_path("a:p:n", true, "/", NULL);
	expect_path(".slice:p:n", true, "/", NULL);
	expect_path("a--b.slice:p:n", true, "/", NULL);
	expect_path("-a.slice:p:n", true, "/", NULL);
	expect_path("../a.slice:p:n", true, "/", NULL);
	expect_path("a.slice:p/..:n", true, "/", NULL);
	expect_path("a.slice:p:../../n", true, "/", NULL);
}

static struct cgroup find(const char *mountinfo, const char *self, const char *path)
{
	struct cgroup cg;
	struct error *e = cgroup_find(mountinfo, self, path, "id", false, &cg);

	assert_null(e);
	return cg;
}

static const char hybrid[] =
    "22 1 0:5 / /proc rw - proc proc rw\n"
    "30 1 0:6 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
    "31 30 0:7 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "32 30 0:8 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
    "33 30 0:9 /docker/abc /mnt/a\\040b rw - cgroup cgroup rw,memory\n"
    "34 30 0:7 / /elsewhere rw - cgroup cgroup rw,cpu,cpuacct\n"
    "35 30 0:9 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

static const char hybrid_self[] =
    "3:memory:/docker/abc/me\n2:cpu,cpuacct:/\n1:name=systemd:/s\n0::/\n";

static void version_1(void **state)
{
	struct cgroup cg = find(hybrid, hybrid_self, "rel");

	(void)state;
	assert_false(cg.unified);
	assert_int_equal(cg.dir_count, 3);
	assert_string_equal(cg.dirs[0].controllers, "cpu,cpuacct");
	assert_string_equal(cg.dirs[0].path, "/sys/fs/cgroup/cpu,cpuacct/rel");
	assert_string_equal(cg.dirs[1].controllers, "name=systemd");
	assert_string_equal(cg.dirs[1].path, "/sys/fs/cgroup/systemd/s/rel");
	assert_string_equal(cg.dirs[2].path, "/mnt/a b/me/rel");
	assert_string_equal(cg.dirs[2].root, "/mnt/a b");
	cgroup_free(&cg);
}

static void version_2(void **state)
{
	static const char mounts[] =
	    "30 1 0:6 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
	struct cgroup cg = find(mounts, "0::/user.slice/session.scope\n", NULL);

	(void)state;
	assert_true(cg.unified);
	assert_int_equal(cg.dir_count, 1);
	assert_string_equal(cg.dirs[0].path, "/sys/fs/cgroup/user.slice/id");
	cgroup_free(&cg);
	cg = find(mounts, "0::/\n", "/a/b");
	assert_string_equal(cg.dirs[0].path, "/sys/fs/cgroup/a/b");
	cgroup_free(&cg);
}

static void nothing_and_garbage(void **state)
{
	static const char *const texts[] = {
	    "", "\n\n", "a b c\n", "1 2 3 4 5 - cgroup\n", "1 2 3 / /x - cgroup\n", " - \n"};

	(void)state;
	for (size_t i = 0; i < array_count(texts); i++) {
		struct cgroup cg = find(texts[i], "garbage\n::\n", NULL);

		assert_int_equal(cg.dir_count, 0);
		cgroup_free(&cg);
	}
}

static void json_round_trip(void **state)
{
	struct cgroup cg = find(hybrid, hybrid_self, "/a"), again;
	json_t *json = cgroup_to_json(&cg);
	struct error *e = cgroup_from_json(json, &again);

	(void)state;
	assert_null(e);
	assert_int_equal(again.dir_count, cg.dir_count);
	assert_string_equal(again.dirs[1].path, cg.dirs[1].path);
	cgroup_free(&cg);
	cgroup_free(&again);
	json_decref(json);
	json = json_loads("{\"dirs\":[{\"path\":5}]}", 0, NULL);
	e = cgroup_from_json(json, &again);
	assert_non_null(e);
	error_free(e);
	json_decref(json);
}

static void weights(void **state)
{
	(void)state;
	assert_int_equal(cgroup_weight_of_shares(0), 1);
	assert_int_equal(cgroup_weight_of_shares(2), 1);
	assert_int_equal(cgroup_weight_of_shares(1024), 39);
	assert_int_equal(cgroup_weight_of_shares(262144), 10000);
	assert_int_equal(cgroup_weight_of_shares(UINT64_MAX), 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(clean),	       cmocka_unit_test(plain_paths),
	    cmocka_unit_test(systemd_paths),   cmocka_unit_test(version_1),
	    cmocka_unit_test(version_2),       cmocka_unit_test(nothing_and_garbage),
	    cmocka_unit_test(json_round_trip), cmocka_unit_test(weights),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
