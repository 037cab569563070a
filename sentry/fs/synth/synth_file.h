/* SPDX-License-Identifier: Apache-2.0 */
/* Open text files of synthetic file systems. */
#ifndef SENTRY_FS_SYNTH_SYNTH_FILE_H
#define SENTRY_FS_SYNTH_SYNTH_FILE_H

struct file;

/* f->inode->private is the synth_node. */
void synth_file_open(struct file *f);

#endif
