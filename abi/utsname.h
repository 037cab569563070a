/* SPDX-License-Identifier: Apache-2.0 */
/* uname (linux/utsname.h). */
#ifndef ABI_UTSNAME_H
#define ABI_UTSNAME_H

#include "abi/types.h"

#define ABI_UTS_LEN 64 /* without the NUL */

struct abi_utsname {
	char sysname[ABI_UTS_LEN + 1];
	char nodename[ABI_UTS_LEN + 1];
	char release[ABI_UTS_LEN + 1];
	char version[ABI_UTS_LEN + 1];
	char machine[ABI_UTS_LEN + 1];
	char domainname[ABI_UTS_LEN + 1];
};
ABI_SIZE(struct abi_utsname, 390);

#endif
