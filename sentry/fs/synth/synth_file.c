/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of an open file is a counted object: a read takes a reference and copies to the guest
 * without a lock; a read at position 0 puts a new one in its place.
 */
#include "sentry/fs/synth/synth_file.h"

#include <stdlib.h>

#include "abi/errno.h"
#include "base/compiler.h"
#include "base/mem.h"
#include "base/refcount.h"
#include "base/strbuf.h"
#include "sentry/fs/synth/synth.h"
#include "sentry/kernel/lockorder.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/usermem.h"
#include "sentry/vfs/files.h"
#include "sentry/vfs/vfs.h"

#define WRITE_MAX 4095u

struct text {
	struct refcount ref;
	struct strbuf content; /* [I] */
};

struct synth_file {
	uint64_t program;  /* [I] of the node's task, when it was opened */
	struct path root;  /* [I] of who opened it, references; empty: the kernel */
	struct mutex lock; /* RANK_LEAF; guards text */
	struct text *text; /* reference; NULL before the first read */
};

static void text_put(struct text *text)
{
	if (!text || !refcount_put(&text->ref))
		return;
	strbuf_free(&text->content);
	free(text);
}

/* The task has executed another program since the file was opened. */
static int another_program(struct file *f, struct text *text)
{
	const struct synth_node *n = f->inode->private;

	if (n->entry->guard != SYNTH_MEMORY)
		return synth_check_guard(f->inode, f->cred);
	strbuf_free(&text->content);
	return 0;
}

static int make_text(struct file *f, struct text **ret)
{
	struct synth_file *sf = f->private;
	struct synth_node n = *(const struct synth_node *)f->inode->private;
	struct text *text = xnew(struct text);
	int err;

	n.viewer = f->cred;
	n.root = sf->root.mount ? &sf->root : NULL;
	refcount_init(&text->ref);
	err = n.entry->show(&n, &text->content);
	/* Afterwards, so that it is about nothing that came meanwhile. */
	if (!err && n.task && task_program(n.task) != sf->program)
		err = another_program(f, text);
	if (err) {
		text_put(text);
		return err;
	}
	*ret = text;
	return 0;
}

/* The text that a read at pos is about: a reference. */
static int get_text(struct file *f, int64_t pos, struct text **ret)
{
	struct synth_file *sf = f->private;
	struct text *fresh = NULL, *old = NULL;
	int err;

	mutex_lock(&sf->lock);
	if (pos && sf->text) {
		refcount_get(&sf->text->ref);
		*ret = sf->text;
		mutex_unlock(&sf->lock);
		return 0;
	}
	mutex_unlock(&sf->lock);
	err = make_text(f, &fresh);
	if (err)
		return err;
	refcount_get(&fresh->ref);
	mutex_lock(&sf->lock);
	old = sf->text;
	sf->text = fresh;
	mutex_unlock(&sf->lock);
	text_put(old);
	*ret = fresh;
	return 0;
}

static ssize_t text_read(struct file *f, struct uio *to, int64_t *pos)
{
	const struct synth_node *node = f->inode->private;
	struct text *text;
	ssize_t n = 0;
	int err;

	if (!node->entry->show)
		return -EINVAL;
	err = get_text(f, *pos, &text);
	if (err)
		return err;
	if ((uint64_t)*pos < text->content.size)
		n = uio_write(to, text->content.data + *pos,
			      MIN(to->left, text->content.size - (uint64_t)*pos));
	if (n > 0)
		*pos += n;
	text_put(text);
	return n;
}

static ssize_t text_write(struct file *f, struct uio *from, int64_t *pos)
{
	const struct synth_node *node = f->inode->private;
	char buf[WRITE_MAX + 1];
	ssize_t n;
	int err;

	if (!node->entry->store)
		return -EIO;
	if (from->left > WRITE_MAX)
		return -EINVAL;
	n = uio_read(from, buf, from->left);
	if (n < 0)
		return n;
	buf[n] = 0;
	err = node->entry->store(node, from->task, buf, (size_t)n);
	if (err)
		return err;
	*pos += n;
	return n;
}

static void text_release(struct file *f)
{
	struct synth_file *sf = f->private;

	text_put(sf->text);
	if (sf->root.mount)
		path_put(&sf->root);
	mutex_destroy(&sf->lock);
	free(sf);
}

static const struct file_ops text_ops = {
    .read = text_read,
    .write = text_write,
    .release = text_release,
};

void synth_file_open(struct file *f, uint64_t program)
{
	struct synth_file *sf = xnew(struct synth_file);

	sf->program = program;
	mutex_init(&sf->lock, RANK_LEAF);
	if (f->opener && f->opener->fs)
		fs_get_root(f->opener->fs, &sf->root);
	f->private = sf;
	f->ops = &text_ops;
}
