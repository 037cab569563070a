/* SPDX-License-Identifier: Apache-2.0 */
/* Prints docs/compatibility.md (make docs). */
#include <stdio.h>

#include "syscalls/syscalls.h"

int main(void)
{
	syscalls_print_markdown(stdout);
	return fflush(stdout) == 0 ? 0 : 1;
}
