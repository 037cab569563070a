/* SPDX-License-Identifier: Apache-2.0 */
/* Open text files of synthetic file systems. */
#ifndef SENTRY_FS_SYNTH_SYNTH_FILE_H
#define SENTRY_FS_SYNTH_SYNTH_FILE_H

#include <stdint.h>

struct cred;
struct file;
struct inode;

/* f->inode->private is the synth_node; program: its task's, when it was seen who may look. */
void synth_file_open(struct file *f, uint64_t program);
/* Whether c may look into the node's task: 0 or -EACCES. */
int synth_check_guard(struct inode *i, const struct cred *c);

#endif
