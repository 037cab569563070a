/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The zygote's death, and its heir.
 *
 * Nothing that a guest does can end the zygote, but somebody on the host can (kill -9, the OOM
 * killer). A second one can't be made as the first was: the sentry is confined by then, and may
 * neither fork nor execute. But a spare stub process is all that a zygote is: made by it, in the
 * same state, waiting for its first reply, and no guest code ever ran there. So a spare is
 * promoted, and then the sandbox goes on. Without a spare at hand (none are kept, or they died too)
 * the platform is broken and the sandbox ends in order.
 *
 * What the dead zygote was asked to make is asked of the heir. It may have made some of it, which
 * nobody has heard of: those present a token that means nothing any more, and are killed.
 *
 *	zygote				reaper				new process
 *	asked for T, token 1
 *	clone
 *	killed				T: token 2, back in spawn
 *					a spare is the zygote
 *									HELLO 1: killed
 *	(heir) clone for T, token 2
 *									HELLO 2: T
 */
#include "platform/backend.h"
#include "platform/internal.h"

/* Both lists and tokens are as if the clones had never been ordered. */
static void take_back_clones_locked(struct platform *p, struct host_process *zygote)
{
	struct platform_thread *t, *tmp;

	list_for_each_safe (t, tmp, &p->outstanding, link) {
		if (t->creator != zygote || t->state != THREAD_ORDERED)
			continue;
		clone_taken_back_locked(t);
		t->token = random_token();
		list_del(&t->link);
		list_add_head(&p->spawn, &t->link);
	}
}

static bool promote_spare_locked(struct platform *p)
{
	struct platform_thread *heir = list_first_or_null(&p->spares, struct platform_thread, link);
	struct platform_event none;

	if (!heir)
		return false;
	list_del(&heir->link);
	heir->spare = false;
	heir->internal = true;
	p->zygote = heir;
	thread_started_locked(heir, &none);
	log_warn("the zygote was killed from outside: a spare process takes its place");
	return true;
}

bool process_gone_locked(struct platform *p, struct host_process *process)
{
	bool was_zygote = p->zygote && p->zygote->process == process;

	if (was_zygote && !atomic_load(&p->stopping))
		take_back_clones_locked(p, process);
	if (was_zygote)
		p->zygote = NULL;
	process_died_locked(p, process);
	if (!was_zygote || atomic_load(&p->stopping) || promote_spare_locked(p))
		return true;
	p->broken = true;
	atomic_store(&p->attention, true);
	return false;
}
