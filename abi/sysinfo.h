/* SPDX-License-Identifier: Apache-2.0 */
/* sysinfo, getrandom, syslog (linux/sysinfo.h, linux/random.h). */
#ifndef ABI_SYSINFO_H
#define ABI_SYSINFO_H

#include "abi/types.h"

struct abi_sysinfo {
	int64_t uptime;
	uint64_t loads[3]; /* 1, 5, 15 minutes, in 1/65536 */
	uint64_t totalram;
	uint64_t freeram;
	uint64_t sharedram;
	uint64_t bufferram;
	uint64_t totalswap;
	uint64_t freeswap;
	uint16_t procs;
	uint16_t pad;
	uint32_t pad1;
	uint64_t totalhigh;
	uint64_t freehigh;
	uint32_t mem_unit;
	uint32_t pad2;
};
ABI_SIZE(struct abi_sysinfo, 112);

#define ABI_GRND_NONBLOCK 1
#define ABI_GRND_RANDOM	  2
#define ABI_GRND_INSECURE 4

#define ABI_SYSLOG_ACTION_CLOSE		0
#define ABI_SYSLOG_ACTION_OPEN		1
#define ABI_SYSLOG_ACTION_READ		2
#define ABI_SYSLOG_ACTION_READ_ALL	3
#define ABI_SYSLOG_ACTION_READ_CLEAR	4
#define ABI_SYSLOG_ACTION_CLEAR		5
#define ABI_SYSLOG_ACTION_CONSOLE_OFF	6
#define ABI_SYSLOG_ACTION_CONSOLE_ON	7
#define ABI_SYSLOG_ACTION_CONSOLE_LEVEL 8
#define ABI_SYSLOG_ACTION_SIZE_UNREAD	9
#define ABI_SYSLOG_ACTION_SIZE_BUFFER	10

#endif
