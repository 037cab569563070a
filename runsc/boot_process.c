/* SPDX-License-Identifier: Apache-2.0 */
/* The container's first process, as config.json describes it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/fcntl.h"
#include "abi/resource.h"
#include "base/log.h"
#include "base/mem.h"
#include "runsc/boot.h"
#include "sentry/fs/host/hostfile.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/process.h"
#include "sentry/kernel/task.h"
#include "sentry/tty/tty.h"
#include "sentry/vfs/files.h"
#include "sentry/vfs/vfs.h"

static int compare_ids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void set_groups(struct cred *c, const struct oci_user *user)
{
	if (!user->additional_gid_count)
		return;
	c->group_count = (uint32_t)user->additional_gid_count;
	c->groups = xcalloc(c->group_count, sizeof(uint32_t));
	memcpy(c->groups, user->additional_gids, c->group_count * sizeof(uint32_t));
	qsort(c->groups, c->group_count, sizeof(uint32_t), compare_ids);
}

struct cred *boot_make_cred(const struct oci_process *p)
{
	struct cred *c = cred_new();

	c->uid = c->euid = c->suid = c->fsuid = p->user.uid;
	c->gid = c->egid = c->sgid = c->fsgid = p->user.gid;
	set_groups(c, &p->user);
	c->no_new_privs = p->no_new_privileges;
	if (p->capabilities.present) {
		c->cap_bounding = p->capabilities.bounding;
		c->cap_effective = p->capabilities.effective;
		c->cap_inheritable = p->capabilities.inheritable;
		c->cap_permitted = p->capabilities.permitted;
		c->cap_ambient = p->capabilities.ambient;
	}
	return c;
}

/* Linux' limits for the first process, then the config's. */
void boot_make_rlimits(const struct oci_process *p, struct abi_rlimit *rl)
{
	for (uint32_t i = 0; i < 16; i++)
		rl[i] = (struct abi_rlimit){ABI_RLIM_INFINITY, ABI_RLIM_INFINITY};
	rl[ABI_RLIMIT_STACK].cur = 8u << 20;
	rl[ABI_RLIMIT_CORE].cur = 0;
	rl[ABI_RLIMIT_NOFILE] = (struct abi_rlimit){1024, 1048576};
	rl[ABI_RLIMIT_MEMLOCK] = (struct abi_rlimit){8u << 20, 8u << 20};
	rl[ABI_RLIMIT_SIGPENDING] = (struct abi_rlimit){32768, 32768};
	rl[ABI_RLIMIT_MSGQUEUE] = (struct abi_rlimit){819200, 819200};
	rl[ABI_RLIMIT_NICE] = (struct abi_rlimit){0, 0};
	rl[ABI_RLIMIT_RTPRIO] = (struct abi_rlimit){0, 0};
	for (size_t i = 0; i < p->rlimit_count; i++)
		if (p->rlimits[i].resource < 16)
			rl[p->rlimits[i].resource] =
			    (struct abi_rlimit){p->rlimits[i].soft, p->rlimits[i].hard};
}

static struct file *open_console(struct boot *b, const struct cred *cred)
{
	struct file *f;
	int err = console_file_new(b->kernel, &b->root, cred, &f);

	if (err)
		boot_fail(b, SANDBOX_ERROR_OTHER, err, "opening the terminal");
	return f;
}

static struct file *open_stdio(struct boot *b, int index, const struct cred *cred)
{
	struct file *f;
	int err = hostfile_new(b->kernel, b->args->stdio[index], cred, &f);

	if (err)
		boot_fail(b, SANDBOX_ERROR_OTHER, err, "standard stream %d", index);
	return f;
}

static void make_stdio(struct boot *b, const struct cred *cred, struct files *files)
{
	struct file *console = b->console ? open_console(b, cred) : NULL;

	for (int i = 0; i < 3; i++) {
		struct file *f = console ? file_get(console) : open_stdio(b, i, cred);
		int err = files_install_at(files, f, i);

		if (err < 0)
			boot_fail(b, SANDBOX_ERROR_OTHER, err, "standard stream %d", i);
	}
	if (console)
		file_put(console);
}

static struct fs_context *make_fs(struct boot *b)
{
	const char *cwd = b->spec->process.cwd;
	struct fs_context *fs;
	struct path where;
	int err = vfs_lookup_at_root(b->kernel, &b->root, cwd, true, &where);

	if (err)
		boot_fail(b, SANDBOX_ERROR_CWD, err, "%s", cwd);
	fs = fs_context_new(&b->root, &where);
	path_put(&where);
	fs_set_umask(fs, b->spec->process.user.has_umask ? b->spec->process.user.umask : 0022);
	return fs;
}

static const char *env_value(const struct oci_strings *env, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < env->count; i++)
		if (!strncmp(env->items[i], name, n) && env->items[i][n] == '=')
			return env->items[i] + n + 1;
	return NULL;
}

/* One try: 0 with b->init, or negative errno. */
static int try_program(struct boot *b, struct init_config *config, const char *path)
{
	config->path = path;
	return task_create_init(b->kernel, config, &b->init);
}

/* A name without '/': each directory of the config's PATH, as execvp(3). */
static void search_program(struct boot *b, struct init_config *config, const char *name)
{
	const char *path = env_value(&b->spec->process.env, "PATH");
	int worst = -ENOENT;

	if (!path)
		path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	for (const char *end; path; path = *end ? end + 1 : NULL) {
		char *full;
		int err;

		end = strchrnul(path, ':');
		full = xasprintf("%.*s/%s", (int)(end - path), path, name);
		err = try_program(b, config, end == path ? name : full);
		if (!err) {
			free(full);
			return;
		}
		if (err != -ENOENT && err != -ENOTDIR && err != -EACCES)
			boot_fail(b, SANDBOX_ERROR_EXEC, err, "%s", full);
		if (err == -EACCES)
			worst = err;
		free(full);
	}
	if (worst == -EACCES)
		boot_fail(b, SANDBOX_ERROR_EXEC, worst, "%s", name);
	boot_fail(b, SANDBOX_ERROR_PATH_SEARCH, -ENOENT, "%s", name);
}

void boot_init_process(struct boot *b)
{
	const struct oci_process *p = &b->spec->process;
	const char *program = p->args.items[0];
	struct abi_rlimit rlimits[16];
	struct cred *cred = boot_make_cred(p);
	struct files *files = files_new();
	struct fs_context *fs = make_fs(b);
	struct init_config config = {
	    .argv = p->args.items,
	    .envp = p->env.items,
	    .cred = cred,
	    .files = files,
	    .fs = fs,
	    .rlimits = rlimits,
	    .oom_score_adj = p->has_oom_score_adj ? p->oom_score_adj : 0,
	};

	boot_make_rlimits(p, rlimits);
	make_stdio(b, cred, files);
	if (strchr(program, '/')) {
		int err = try_program(b, &config, program);

		if (err)
			boot_fail(b, SANDBOX_ERROR_EXEC, err, "%s", program);
	} else {
		search_program(b, &config, program);
	}
	if (b->console)
		tty_set_controlling(b->console, b->init, false);
	files_put(files);
	fs_context_put(fs);
	cred_put(cred);
}
