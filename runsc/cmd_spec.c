/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "runsc/cli.h"

/* In two halves, between which --rootless leaves out what needs rights. */
static const char spec_head[] =
    "{\n"
    "\t\"ociVersion\": \"1.0.2\",\n"
    "\t\"process\": {\n"
    "\t\t\"terminal\": true,\n"
    "\t\t\"user\": {\n"
    "\t\t\t\"uid\": 0,\n"
    "\t\t\t\"gid\": 0\n"
    "\t\t},\n"
    "\t\t\"args\": [\n"
    "\t\t\t\"sh\"\n"
    "\t\t],\n"
    "\t\t\"env\": [\n"
    "\t\t\t\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\",\n"
    "\t\t\t\"TERM=xterm\"\n"
    "\t\t],\n"
    "\t\t\"cwd\": \"/\",\n"
    "\t\t\"capabilities\": {\n"
    "\t\t\t\"bounding\": [\n"
    "\t\t\t\t\"CAP_AUDIT_WRITE\",\n"
    "\t\t\t\t\"CAP_KILL\",\n"
    "\t\t\t\t\"CAP_NET_BIND_SERVICE\"\n"
    "\t\t\t],\n"
    "\t\t\t\"effective\": [\n"
    "\t\t\t\t\"CAP_AUDIT_WRITE\",\n"
    "\t\t\t\t\"CAP_KILL\",\n"
    "\t\t\t\t\"CAP_NET_BIND_SERVICE\"\n"
    "\t\t\t],\n"
    "\t\t\t\"permitted\": [\n"
    "\t\t\t\t\"CAP_AUDIT_WRITE\",\n"
    "\t\t\t\t\"CAP_KILL\",\n"
    "\t\t\t\t\"CAP_NET_BIND_SERVICE\"\n"
    "\t\t\t]\n"
    "\t\t},\n"
    "\t\t\"rlimits\": [\n"
    "\t\t\t{\n"
    "\t\t\t\t\"type\": \"RLIMIT_NOFILE\",\n"
    "\t\t\t\t\"hard\": 1024,\n"
    "\t\t\t\t\"soft\": 1024\n"
    "\t\t\t}\n"
    "\t\t],\n"
    "\t\t\"noNewPrivileges\": true\n"
    "\t},\n"
    "\t\"root\": {\n"
    "\t\t\"path\": \"rootfs\",\n"
    "\t\t\"readonly\": true\n"
    "\t},\n"
    "\t\"hostname\": \"runsc\",\n"
    "\t\"mounts\": [\n"
    "\t\t{\n"
    "\t\t\t\"destination\": \"/proc\",\n"
    "\t\t\t\"type\": \"proc\",\n"
    "\t\t\t\"source\": \"proc\"\n"
    "\t\t},\n"
    "\t\t{\n"
    "\t\t\t\"destination\": \"/dev\",\n"
    "\t\t\t\"type\": \"tmpfs\",\n"
    "\t\t\t\"source\": \"tmpfs\",\n"
    "\t\t\t\"options\": [\"nosuid\", \"strictatime\", \"mode=755\", \"size=65536k\"]\n"
    "\t\t},\n"
    "\t\t{\n"
    "\t\t\t\"destination\": \"/dev/pts\",\n"
    "\t\t\t\"type\": \"devpts\",\n"
    "\t\t\t\"source\": \"devpts\",\n"
    "\t\t\t\"options\": [\"nosuid\", \"noexec\", \"newinstance\", \"ptmxmode=0666\", "
    "\"mode=0620\"";

static const char spec_tail[] =
    "]\n"
    "\t\t},\n"
    "\t\t{\n"
    "\t\t\t\"destination\": \"/dev/shm\",\n"
    "\t\t\t\"type\": \"tmpfs\",\n"
    "\t\t\t\"source\": \"shm\",\n"
    "\t\t\t\"options\": [\"nosuid\", \"noexec\", \"nodev\", \"mode=1777\", \"size=65536k\"]\n"
    "\t\t},\n"
    "\t\t{\n"
    "\t\t\t\"destination\": \"/dev/mqueue\",\n"
    "\t\t\t\"type\": \"mqueue\",\n"
    "\t\t\t\"source\": \"mqueue\",\n"
    "\t\t\t\"options\": [\"nosuid\", \"noexec\", \"nodev\"]\n"
    "\t\t},\n"
    "\t\t{\n"
    "\t\t\t\"destination\": \"/sys\",\n"
    "\t\t\t\"type\": \"sysfs\",\n"
    "\t\t\t\"source\": \"sysfs\",\n"
    "\t\t\t\"options\": [\"nosuid\", \"noexec\", \"nodev\", \"ro\"]\n"
    "\t\t},\n"
    "\t\t{\n"
    "\t\t\t\"destination\": \"/sys/fs/cgroup\",\n"
    "\t\t\t\"type\": \"cgroup\",\n"
    "\t\t\t\"source\": \"cgroup\",\n"
    "\t\t\t\"options\": [\"nosuid\", \"noexec\", \"nodev\", \"relatime\", \"ro\"]\n"
    "\t\t}\n"
    "\t],\n"
    "\t\"linux\": {\n";

static const char spec_resources[] = "\t\t\"resources\": {\n"
				     "\t\t\t\"devices\": [\n"
				     "\t\t\t\t{\n"
				     "\t\t\t\t\t\"allow\": false,\n"
				     "\t\t\t\t\t\"access\": \"rwm\"\n"
				     "\t\t\t\t}\n"
				     "\t\t\t]\n"
				     "\t\t},\n";

static const char spec_end[] = "\t\t\"namespaces\": [\n"
			       "\t\t\t{ \"type\": \"pid\" },\n"
			       "\t\t\t{ \"type\": \"network\" },\n"
			       "\t\t\t{ \"type\": \"ipc\" },\n"
			       "\t\t\t{ \"type\": \"uts\" },\n"
			       "\t\t\t{ \"type\": \"mount\" }\n"
			       "\t\t],\n"
			       "\t\t\"maskedPaths\": [\n"
			       "\t\t\t\"/proc/acpi\",\n"
			       "\t\t\t\"/proc/asound\",\n"
			       "\t\t\t\"/proc/kcore\",\n"
			       "\t\t\t\"/proc/keys\",\n"
			       "\t\t\t\"/proc/latency_stats\",\n"
			       "\t\t\t\"/proc/timer_list\",\n"
			       "\t\t\t\"/proc/timer_stats\",\n"
			       "\t\t\t\"/proc/sched_debug\",\n"
			       "\t\t\t\"/sys/firmware\",\n"
			       "\t\t\t\"/proc/scsi\"\n"
			       "\t\t],\n"
			       "\t\t\"readonlyPaths\": [\n"
			       "\t\t\t\"/proc/bus\",\n"
			       "\t\t\t\"/proc/fs\",\n"
			       "\t\t\t\"/proc/irq\",\n"
			       "\t\t\t\"/proc/sys\",\n"
			       "\t\t\t\"/proc/sysrq-trigger\"\n"
			       "\t\t]\n"
			       "\t}\n"
			       "}\n";

static int write_spec(int fd, bool rootless)
{
	const char *parts[] = {spec_head, rootless ? "" : ", \"gid=5\"", spec_tail,
			       rootless ? "" : spec_resources, spec_end};
	ssize_t n = 0;

	for (size_t i = 0; n >= 0 && i < array_count(parts); i++)
		n = fd_write_all(fd, parts[i], strlen(parts[i]));
	return n < 0 ? (int)n : 0;
}

static struct error *run(const struct runsc_options *o, const struct cli_args *a, int *ret_status)
{
	const char *bundle = cli_string(a, "bundle");
	cleanup_fd int dir = open(bundle ? bundle : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int fd = -1;
	int r;

	(void)o;
	(void)ret_status;
	if (dir < 0)
		return error_errno(errno, "bundle %s", bundle ? bundle : ".");
	fd = openat(dir, "config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0 && errno == EEXIST)
		return error_new("File config.json exists. Remove it first");
	r = fd < 0 ? -errno : write_spec(fd, cli_flag(a, "rootless"));
	return r < 0 ? error_errno(-r, "writing config.json") : NULL;
}

static const struct cli_option options[] = {
    {"bundle", 'b', "value", "path to the bundle's directory"},
    {"rootless", 0, NULL, "leave out what only root can have: resources, the tty group"},
    {NULL, 0, NULL, NULL},
};

const struct command cmd_spec = {
    .name = "spec",
    .synopsis = "[command options]",
    .summary = "write a config.json to start from",
    .options = options,
    .run = run,
};
