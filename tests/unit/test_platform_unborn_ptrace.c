/* SPDX-License-Identifier: Apache-2.0 */
/* The same on the ptrace platform. */
#define TEST_PLATFORM "ptrace"
#include "tests/unit/test_platform_unborn.c"
