/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc/doctor.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/feature.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "runsc/error.h"

#define CHILD_SECONDS 2

/* ---- the report ---- */

static const struct feature_info *find_feature(const char *name, enum feature *ret)
{
	for (int f = 0; f < FEATURE_COUNT; f++)
		if (strcmp(feature_info((enum feature)f)->name, name) == 0) {
			*ret = (enum feature)f;
			return feature_info(*ret);
		}
	return NULL;
}

static void add(struct doctor_report *r, const char *group, const char *name,
		enum doctor_state state, const char *loss, char *detail)
{
	enum feature f;
	const struct feature_info *info = find_feature(name, &f);

	if (r->count == r->capacity) {
		r->capacity = r->capacity ? r->capacity * 2 : 64;
		r->items = xrealloc(r->items, r->capacity * sizeof(*r->items));
	}
	if (info)
		loss = info->loss;
	if (info && feature_off(f)) {
		char *text = xasprintf("switched off by --without%s%s%s", *detail ? " (" : "",
				       detail, *detail ? ")" : "");

		free(detail);
		detail = text;
		state = DOCTOR_OFF;
	}
	r->items[r->count++] =
	    (struct doctor_item){group, xstrdup(name), state, loss ? loss : "", detail};
}

void doctor_add(struct doctor_report *r, const char *group, const char *name,
		enum doctor_state state, const char *loss, const char *fmt, ...)
{
	struct strbuf sb = STRBUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	strbuf_addfv(&sb, fmt, ap);
	va_end(ap);
	add(r, group, name, state, loss, strbuf_detach(&sb));
}

void doctor_add_result(struct doctor_report *r, const char *group, const char *name, int err,
		       const char *loss, const char *fmt, ...)
{
	struct strbuf sb = STRBUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	strbuf_addfv(&sb, fmt, ap);
	va_end(ap);
	if (err)
		strbuf_addf(&sb, "%s%s", sb.size ? ": " : "", errno_text(err < 0 ? -err : err));
	add(r, group, name, err ? DOCTOR_NO : DOCTOR_YES, loss, strbuf_detach(&sb));
}

void doctor_obstacle(struct doctor_report *r, const char *fmt, ...)
{
	struct strbuf sb = STRBUF_INIT;
	va_list ap;

	if (r->obstacle)
		return;
	va_start(ap, fmt);
	strbuf_addfv(&sb, fmt, ap);
	va_end(ap);
	r->obstacle = strbuf_detach(&sb);
}

bool doctor_is_loss(const struct doctor_item *i)
{
	return (i->state == DOCTOR_NO || i->state == DOCTOR_OFF) && i->loss[0];
}

const char *doctor_state_name(enum doctor_state s)
{
	static const char *const names[] = {
	    [DOCTOR_YES] = "yes", [DOCTOR_NO] = "no", [DOCTOR_OFF] = "off", [DOCTOR_NOTE] = "note"};

	return names[s];
}

void doctor_free(struct doctor_report *r)
{
	for (size_t i = 0; i < r->count; i++) {
		free(r->items[i].name);
		free(r->items[i].detail);
	}
	for (size_t i = 0; i < DOCTOR_PLATFORMS; i++)
		free(r->platforms[i].why);
	free(r->items);
	free(r->obstacle);
	free(r->chosen_why);
	free(r->ready_why);
	memset(r, 0, sizeof(*r));
}

/* ---- children ---- */

void *doctor_shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	check(p != MAP_FAILED);
	return p;
}

static void __noreturn child(void (*fn)(void *shared), void *shared)
{
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGALRM, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	alarm(CHILD_SECONDS);
	fn(shared);
	_exit(0);
}

int doctor_in_child(void (*fn)(void *shared), void *shared)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -errno;
	if (pid == 0)
		child(fn, shared);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGALRM ? -ETIMEDOUT : -ECHILD;
	return 0;
}

void doctor_drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2];

	memset(none, 0, sizeof(none));
	syscall(SYS_capset, &header, none);
	prctl(PR_SET_DUMPABLE, 1);
}

/* ---- the whole ---- */

static bool has_item(const struct doctor_report *r, const char *name)
{
	for (size_t i = 0; i < r->count; i++)
		if (strcmp(r->items[i].name, name) == 0)
			return true;
	return false;
}

/*
 * Our own fast paths need nothing but what is listed elsewhere. A host feature that no probe knows
 * is taken for there (the code that uses it finds out by itself), but can be switched off.
 */
static void remaining_features(struct doctor_report *r)
{
	for (int f = 0; f < FEATURE_COUNT; f++) {
		const struct feature_info *info = feature_info((enum feature)f);

		if (has_item(r, info->name))
			continue;
		doctor_add(r, info->kind == FEATURE_HOST ? "calls" : "speed", info->name,
			   DOCTOR_YES, NULL, "%s",
			   info->kind == FEATURE_HOST	     ? "not tried"
			   : feature_forced((enum feature)f) ? "forced by --force"
							     : "");
	}
}

void doctor_examine(const struct runsc_options *o, bool whole, struct doctor_report *ret)
{
	struct doctor_report r = {0};

	doctor_host(o, &r);
	doctor_calls(&r);
	doctor_namespaces(&r);
	remaining_features(&r);
	doctor_boot_platforms(o, &r);
	if (!r.chosen)
		doctor_obstacle(&r, "%s", r.chosen_why);
	if (whole && !r.obstacle)
		doctor_boot_sandbox(o, &r);
	r.ready = !r.obstacle;
	if (r.obstacle) {
		free(r.ready_why);
		r.ready_why = xstrdup(r.obstacle);
	}
	*ret = r;
}
