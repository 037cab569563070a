/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_STRESS_CALLS_H
#define TESTS_STRESS_CALLS_H

/* Every common call with buffers, n times. Ends the program if one of them fails. */
void common_calls(long n);
/* A program rewrites its code n times under its threads (rewrites.c). */
void rewrites(long n);
/* n vforks while parents and children are killed (vforks.c). */
void vforks_disturbed(long n);

#endif
