/* SPDX-License-Identifier: Apache-2.0 */
/* On which CPU guests go on: see place.c. */
#ifndef PLATFORM_NOTIFY_PLACE_H
#define PLATFORM_NOTIFY_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/platform.h"

#define PLACE_PATIENCE_US 6

struct places;
struct platform_thread;

/* Never fails. */
struct places *places_new(const struct platform *p, const struct platform_config *config);
void places_free(struct places *p);
/* How many ticks of the time stamp counter PLACE_PATIENCE_US are; nothing is taken before. */
void places_calibrate(struct places *p, uint64_t patience);

/*
 * t is about to be replied to by a thread of ours on `cpu` (negative: unknown), at `now`, in ticks.
 * True: another one and it would be in each other's way there, so it had better go on where the host
 * thinks that there is room. Caller holds t->lock.
 */
bool place_is_taken(struct places *p, struct platform_thread *t, int cpu, uint64_t now);
/* t has rung, and says for how long it ran, in ticks. Caller holds t->lock. */
void place_heard(const struct places *p, struct platform_thread *t, uint32_t ran);
/* It is dead. */
void place_leave(struct places *p, struct platform_thread *t);

#endif
