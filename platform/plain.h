/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In debug builds the platform's own files define these operations under other names, and facade.c,
 * which checks how they are used, takes their place. Included by platform.h for files that are
 * built with PLATFORM_IMPLEMENTATION: those in this folder.
 */
#ifndef PLATFORM_PLAIN_H
#define PLATFORM_PLAIN_H

#define platform_new		plain_platform_new
#define platform_start		plain_platform_start
#define platform_destroy	plain_platform_destroy
#define platform_next		plain_platform_next
#define platform_regs		plain_platform_regs
#define platform_mm_new		plain_platform_mm_new
#define platform_can_clear	plain_platform_can_clear
#define platform_thread_mm	plain_platform_thread_mm
#define platform_clone_prepare	plain_platform_clone_prepare
#define platform_child_is_early plain_platform_child_is_early
#define platform_can_lend	plain_platform_can_lend
#define platform_lend		plain_platform_lend
#define platform_reply		plain_platform_reply
#define platform_answers_set	plain_platform_answers_set
#define platform_own_set	plain_platform_own_set
#define platform_own_get	plain_platform_own_get
#define platform_own_ask	plain_platform_own_ask
#define platform_own_ask_memory plain_platform_own_ask_memory
#define platform_lease_set	plain_platform_lease_set
#define platform_lease_set_pos	plain_platform_lease_set_pos
#define platform_lease_allow	plain_platform_lease_allow
#define platform_lease_revoke	plain_platform_lease_revoke
#define platform_lease_allowed	plain_platform_lease_allowed
#define platform_lease_pos	plain_platform_lease_pos
#define platform_lease_used	plain_platform_lease_used
#define platform_lease_head	plain_platform_lease_head
#define platform_kick		plain_platform_kick
#define platform_kill		plain_platform_kill
#define platform_kill_soon	plain_platform_kill_soon
#define platform_thread_put	plain_platform_thread_put
#define platform_read		plain_platform_read
#define platform_write		plain_platform_write
#define platform_window		plain_platform_window
#define platform_window_written plain_platform_window_written
#define platform_window_rest	plain_platform_window_rest

#endif
