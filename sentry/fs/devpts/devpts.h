/* SPDX-License-Identifier: Apache-2.0 */
/*
 * devpts: the directory of pseudo-terminals (Documentation/filesystems/devpts.rst). Each mount is
 * an instance of its own. Options: uid=, gid=, mode=, ptmxmode=, max=; newinstance is accepted and
 * means nothing, as on Linux.
 *
 * The container's console, if there is one, is pair number 0 of the first instance: a terminal
 * without a master in the sandbox.
 */
#ifndef SENTRY_FS_DEVPTS_DEVPTS_H
#define SENTRY_FS_DEVPTS_DEVPTS_H

#include <stdint.h>

struct file;
struct fs_type;
struct kernel;

extern const struct fs_type devpts_fs_type;

/* open of a ptmx node outside of any devpts: a pair of the first instance. */
int devpts_open_ptmx(struct kernel *k, struct file *f);
/* open of a node 136:index outside: that pair's slave. */
int devpts_open_slave(struct kernel *k, uint32_t index, struct file *f);

#endif
