/* SPDX-License-Identifier: Apache-2.0 */
/* The options that stand before the command, as every command and the sandbox see them. */
#ifndef RUNSC_OPTIONS_H
#define RUNSC_OPTIONS_H

#include <stdbool.h>

#include "base/log.h"

#define RUNSC_VERSION	  "0.1.0"
#define RUNSC_OCI_VERSION "1.2.0" /* of the OCI runtime specification */

enum rootless_mode { ROOTLESS_AUTO, ROOTLESS_TRUE, ROOTLESS_FALSE };
enum network_mode { NETWORK_NONE, NETWORK_HOST, NETWORK_SANDBOX };

struct runsc_options {
	char *root;	      /* directory of the state directories; absolute */
	const char *log_path; /* --log, or NULL for standard error */
	int log_fd;	      /* where log lines go; a copy of standard error without --log */
	bool log_json;
	bool debug;
	enum log_level log_level; /* what the sandbox and the gofer log */
	bool systemd_cgroup;
	enum rootless_mode rootless;
	const char *platform; /* "auto", or a platform's name */
	enum network_mode network;
	/* Others than this sandbox change the root file system as well: it is revalidated. */
	bool root_shared;
	bool strace; /* one line for each guest call, to the log */
	bool strict; /* an unsupported call or flag ends the sandbox */
};

/* Whether errors of cgroups may be passed over: --rootless=true, or auto and not root. */
bool options_rootless(const struct runsc_options *o);

#endif
