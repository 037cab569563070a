/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/net: interfaces, routes and counters of the network namespace that the sandbox lives in,
 * which is the container's, as the host tells them. Unix sockets are the sentry's own matter, and
 * those that the host knows are the sentry's: none are shown.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/strbuf.h"
#include "sentry/fs/proc/proc_internal.h"

static int show_host(const struct synth_node *n, struct strbuf *out)
{
	char path[64], *text;

	snprintf(path, sizeof(path), "self/net/%s", n->entry->name);
	if (!proc_host_read(n->kernel, path, &text))
		return 0;
	strbuf_addstr(out, text);
	free(text);
	return 0;
}

#define HOST(name) SYNTH_FILE(name, 0444, show_host)

const struct synth_entry proc_net_entries[] = {
    HOST("arp"),
    HOST("dev"),
    HOST("if_inet6"),
    HOST("igmp"),
    HOST("ipv6_route"),
    HOST("netstat"),
    HOST("raw"),
    HOST("raw6"),
    HOST("route"),
    HOST("snmp"),
    HOST("snmp6"),
    HOST("sockstat"),
    HOST("tcp"),
    HOST("tcp6"),
    HOST("udp"),
    HOST("udp6"),
    SYNTH_TEXT("unix", 0444, "Num       RefCount Protocol Flags    Type St Inode Path\n"),
    SYNTH_END,
};
