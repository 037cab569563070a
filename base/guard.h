/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copying from memory that may be gone: a page of a mapped file that somebody cut off raises
 * SIGBUS. The one instruction that touches such memory is known to the handler of crash.c, which
 * lets the copy end early instead of the process.
 */
#ifndef BASE_GUARD_H
#define BASE_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes copied from the start; less than size: the next byte of src isn't there. */
size_t guarded_copy(void *dst, const void *src, size_t size);

/* Of the signal handler: where to go on instead of at *ip, if it is in guarded_copy. */
bool guard_fixup(uint64_t *ip);

#endif
