/* SPDX-License-Identifier: Apache-2.0 */
/* The dentry cache: what it remembers, its cap, and many threads at once. */
#include <pthread.h>

#include "tests/unit/fake_task.h"

static struct fake *F;
static struct task *T;

static int setup(void **state)
{
	(void)state;
	F = fake_new(NULL);
	T = &F->task;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_free(F);
	return 0;
}

static void absence_is_cached(void **state)
{
	struct dentry *d;

	(void)state;
	assert_int_equal(fake_lookup(T, "none", 0), -ENOENT);
	d = dcache_find(F->root.dentry, "none", 4);
	assert_non_null(d);
	assert_null(dentry_inode(d));
	fake_make(T, "none", "x");
	/* Who held the negative dentry still sees absence; lookups see the file. */
	assert_null(dentry_inode(d));
	dentry_put(d);
	assert_int_equal(fake_lookup(T, "none", 0), 0);
	assert_int_equal(vfs_unlink(T, ABI_AT_FDCWD, "none"), 0);
	d = dcache_find(F->root.dentry, "none", 4);
	assert_non_null(d);
	assert_null(dentry_inode(d));
	dentry_put(d);
}

static void invalidate_forgets(void **state)
{
	struct dentry *d;

	(void)state;
	fake_make(T, "f", "x");
	dcache_invalidate(F->root.dentry->inode, "f");
	assert_null(dcache_find(F->root.dentry, "f", 1));
	assert_int_equal(fake_lookup(T, "f", 0), 0);
	d = dcache_find(F->root.dentry, "f", 1);
	assert_non_null(d);
	dentry_put(d);
}

static void the_cap_holds(void **state)
{
	struct vfs *v = F->kernel.vfs;
	struct path held;
	char name[32];

	(void)state;
	v->dentry_cap = 256;
	assert_int_equal(vfs_mkdir(T, ABI_AT_FDCWD, "d", 0755), 0);
	assert_int_equal(vfs_mkdir(T, ABI_AT_FDCWD, "d/e", 0755), 0);
	assert_int_equal(vfs_lookup(T, ABI_AT_FDCWD, "d/e", 0, &held, NULL), 0);
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "d/absent%d", i);
		assert_int_equal(fake_lookup(T, name, 0), -ENOENT);
		assert_true(atomic_load(&v->dentry_count) <= 256);
	}
	/* What is in use stayed, and with it its way up. */
	name[0] = 0;
	{
		char *s = vfs_path_string(T, &held);

		assert_string_equal(s, "/d/e");
		free(s);
	}
	assert_ptr_equal(held.dentry, dcache_find(held.dentry->parent, "e", 1));
	dentry_put(held.dentry);
	path_put(&held);
}

static void dropped_names_come_back(void **state)
{
	char name[32];

	(void)state;
	F->kernel.vfs->dentry_cap = 64;
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		fake_make(T, name, name);
	}
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		assert_int_equal(fake_stat(T, name).size, strlen(name));
	}
}

/* Deep trees must not need deep stacks, in the cache and in tmpfs. */
static void deep_trees_end(void **state)
{
	struct path cur = F->root;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct path next;

		fs_set_cwd(T->fs, &cur);
		assert_int_equal(vfs_mkdir(T, ABI_AT_FDCWD, "d", 0755), 0);
		assert_int_equal(vfs_lookup(T, ABI_AT_FDCWD, "d", 0, &next, NULL), 0);
		if (i)
			path_put(&cur);
		cur = next;
	}
	path_put(&cur);
	fs_set_cwd(T->fs, &F->root);
}

/* ---- threads ---- */

#define THREADS 4
#define ROUNDS	400

struct worker {
	struct task task;
	struct thread_group tg;
	unsigned seed;
};

static unsigned next_random(unsigned *seed)
{
	*seed = *seed * 1103515245u + 12345u;
	return *seed >> 16;
}

static void random_name(struct worker *w, char name[32])
{
	snprintf(name, 32, "%c/%c", 'a' + next_random(&w->seed) % 3,
		 'p' + next_random(&w->seed) % 4);
}

static void *churn(void *arg)
{
	struct worker *w = arg;
	struct task *t = &w->task;
	char one[32], two[32];
	struct file *f;
	struct path p;

	for (int i = 0; i < ROUNDS; i++) {
		random_name(w, one);
		random_name(w, two);
		switch (next_random(&w->seed) % 7) {
		case 0:
			if (!vfs_open(t, ABI_AT_FDCWD, one, ABI_O_CREAT | ABI_O_RDWR, 0644, &f))
				file_put(f);
			break;
		case 1:
			vfs_unlink(t, ABI_AT_FDCWD, one);
			break;
		case 2:
			vfs_rename(t, ABI_AT_FDCWD, one, ABI_AT_FDCWD, two,
				   next_random(&w->seed) % 2 ? ABI_RENAME_EXCHANGE : 0);
			break;
		case 3:
			vfs_mkdir(t, ABI_AT_FDCWD, one, 0755);
			break;
		case 4:
			vfs_rmdir(t, ABI_AT_FDCWD, one);
			break;
		case 5:
			one[1] = 0;
			two[1] = 0;
			vfs_rename(t, ABI_AT_FDCWD, one, ABI_AT_FDCWD, two, ABI_RENAME_EXCHANGE);
			break;
		default:
			if (!vfs_lookup(t, ABI_AT_FDCWD, one, 0, &p, NULL)) {
				free(vfs_path_string(t, &p));
				path_put(&p);
			}
		}
	}
	return NULL;
}

static void many_threads(void **state)
{
	static struct worker workers[THREADS];
	pthread_t threads[THREADS];

	(void)state;
	F->kernel.vfs->dentry_cap = 16;
	for (int i = 0; i < 3; i++) {
		char name[2] = {(char)('a' + i), 0};

		assert_int_equal(vfs_mkdir(T, ABI_AT_FDCWD, name, 0755), 0);
	}
	memset(workers, 0, sizeof(workers));
	for (unsigned i = 0; i < THREADS; i++) {
		fake_task_init(F, &workers[i].task, &workers[i].tg);
		workers[i].seed = i + 1;
		pthread_create(&threads[i], NULL, churn, &workers[i]);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		fake_task_destroy(&workers[i].task);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(absence_is_cached, setup, teardown),
	    cmocka_unit_test_setup_teardown(invalidate_forgets, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_cap_holds, setup, teardown),
	    cmocka_unit_test_setup_teardown(dropped_names_come_back, setup, teardown),
	    cmocka_unit_test_setup_teardown(deep_trees_end, setup, teardown),
	    cmocka_unit_test_setup_teardown(many_threads, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
