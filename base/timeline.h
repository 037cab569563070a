/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the time of a command goes (`runsc --timeline`): stages with a time stamp each, of all
 * processes that the command forks, in memory that they share. Switched off, a mark costs a load
 * and a branch that is never taken.
 *
 * The memory is written by the sentry too, so what is printed from it is bounded and cleaned.
 */
#ifndef BASE_TIMELINE_H
#define BASE_TIMELINE_H

#include <stdint.h>
#include <stdio.h>

#include "base/compiler.h"

struct timeline;

/* NULL: off. Set once, before the first fork. */
extern struct timeline *timeline_shared;

/* Begins one, at now. Where the host has no memory for it, it stays off. */
void timeline_start(void);
/* What this process is called from now on. */
void timeline_process(const char *name);
void timeline_note(const char *stage);
/* In the order of time: microseconds since timeline_start, since the line before, process, stage.
 */
void timeline_print(FILE *out);

/* `stage` has been reached. Any process, any thread. */
static inline void timeline_mark(const char *stage)
{
	if (unlikely(timeline_shared))
		timeline_note(stage);
}

#endif
