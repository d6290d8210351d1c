/* runq.c: run queues. A P's ring of 256 goroutines and its runnext slot, both without a lock; the
 * global queue, a list under sched.lock.
 *
 * The ring (Go's, spec/01 part 2). Indices run freely and wrap at 2^32. The owner stores tail with
 * release after the slot, a thief loads it with acquire before the slots. Head is moved by
 * compare-and-swap, by owner and thieves alike; its release half says "I have read these slots",
 * and the owner's acquire load of head before it writes a slot pairs with it. runnext is taken by
 * compare-and-swap, and filled by exchange by the owner only. Checked under weak memory in
 * tests/model/runq.pml and tests/model/runq_relacy.cc.
 *
 * Alone. With GOMAXPROCS=1 nobody steals, so the only P (`alone`, which changes with the world
 * stopped) works on its ring and runnext by plain loads and stores; who only looks (rt_runq_empty)
 * reads atomics all the same.
 *
 * Goroutines that yield go to the end of the global queue. A lock for each yield is what two Ps
 * would fight for, so they gather in the P's part of that queue first: a stack that its P pushes to
 * and anybody empties as a whole (by exchange, so there is no ABA). It joins the list when its P
 * next looks there, that is when the ring is empty or at every 61st turn, or when another P has
 * nothing to do. So a yield is at most 61 turns behind its place.
 *
 * Rejected: a Chase-Lev deque. It is LIFO for the owner, while Go's order is FIFO with one
 * exception, and its array would have to grow where ours overflows into the global queue.
 */
#include "core/sched/internal.h"

static rt_g *slot_get(const rt_p *pp, uint32_t i)
{
	return rt_loadptr_rlx(&pp->runq[i % RT_RUNQ_SIZE]);
}

static void slot_set(rt_p *pp, uint32_t i, rt_g *gp)
{
	rt_storeptr_rlx(&pp->runq[i % RT_RUNQ_SIZE], gp);
}

/* The ring is full: half of it and gp go to the global queue as one batch. False: a thief made
 * room meanwhile. */
static bool put_slow(rt_p *pp, rt_g *gp, uint32_t head, uint32_t tail, gort_runtime *rt)
{
	uint32_t n = (tail - head) / 2;
	rt_g *first = slot_get(pp, head), *last = first;

	RT_ASSERT(n == RT_RUNQ_SIZE / 2);
	rt_g *batch[RT_RUNQ_SIZE / 2];
	for (uint32_t i = 0; i < n; i++)
		batch[i] = slot_get(pp, head + i);
	if (!rt_cas32_rel(&pp->runqhead, head, head + n))
		return false;
	for (uint32_t i = 1; i < n; i++) {
		last->schedlink = batch[i];
		last = batch[i];
	}
	for (uint32_t i = 0; i + RT_AHEAD < n; i++)
		rt_storeptr_rlx(&batch[i]->ahead, batch[i + RT_AHEAD]);
	last->schedlink = gp;
	gp->schedlink = NULL;
	rt_lock(&rt->sched.lock, RT_RANK_sched);
	rt_globq_put_batch_locked(rt, first, gp, n + 1);
	rt_unlock(&rt->sched.lock, RT_RANK_sched);
	return true;
}

/* Owner only. next: gp runs next, and who waited there goes to the tail of the ring. Returns whether the ring got one:
 * by a plain store. */
bool rt_runq_put(rt_p *pp, rt_g *gp, bool next, gort_runtime *rt)
{
	if (next) {
		rt_g *kicked = rt_loadptr_rlx(&pp->runnext);

		if (pp->alone)
			rt_storeptr_rel(&pp->runnext, gp);
		else
			kicked = rt_xchgptr_full(&pp->runnext, gp);
		if (kicked == NULL)
			return false;
		gp = kicked;
	}
	for (;;) {
		uint32_t head = rt_load32_acq(&pp->runqhead); /* pairs with the thief's release */
		uint32_t tail = rt_load32_rlx(&pp->runqtail);

		if (tail - head < RT_RUNQ_SIZE) {
			slot_set(pp, tail, gp);
			rt_store32_rel(&pp->runqtail, tail + 1);
			return true;
		}
		if (put_slow(pp, gp, head, tail, rt))
			return true;
	}
}

/* Owner only. *inherit: it was in runnext, and shares the slice of who ran before. */
rt_g *rt_runq_get(rt_p *pp, bool *inherit)
{
	rt_g *gp;

	if (pp->alone)
		return rt_runq_get_alone(pp, inherit);
	gp = rt_loadptr_rlx(&pp->runnext);

	/* Only the owner fills runnext, so a failed swap means that a thief emptied it. */
	if (gp != NULL && rt_casptr_acq(&pp->runnext, gp, NULL)) {
		*inherit = true;
		return gp;
	}
	*inherit = false;
	for (;;) {
		uint32_t head = rt_load32_acq(&pp->runqhead);
		uint32_t tail = rt_load32_rlx(&pp->runqtail);

		if (head == tail)
			return NULL;
		gp = slot_get(pp, head);
		if (rt_cas32_rel(&pp->runqhead, head, head + 1))
			return gp;
	}
}

/* The controller of a collection is next: no turn of the global queue and no end of a slice comes before it.
 * While it waits for somebody who computes the heap grows by what the others allocate meanwhile, which was as
 * much again as it should have become. Its own turn is short, and while it has none to do it is parked. */
bool rt_runq_urgent(const gort_runtime *rt, const rt_p *pp)
{
	const rt_g *gp = rt_loadptr_rlx(&pp->runnext);

	return gp != NULL && gp == rt_loadptr_rlx(&rt->sched.urgent);
}

/* Two that wake one another share a slice by runnext, and may be in the runtime whenever it is asked back. If that was
 * in vain twice, its end is here, or those who wait never get a turn. As who is preempted, it goes behind all others.
 * Rejected: at the first time. Who was woken just before the end of a slice would often lose its place. */
void rt_runq_end_slice(gort_runtime *rt, rt_p *pp)
{
	rt_g *gp = rt_loadptr_rlx(&pp->runnext);

	if (gp == NULL || rt_runq_urgent(rt, pp) || !rt_casptr_acq(&pp->runnext, gp, NULL))
		return;
	rt_yielded_put(pp, gp);
	/* Nobody was called for it if the P kept it; and who looked in between did not see it. */
	if (!pp->alone)
		rt_wakep_after_rmw(rt);
}

/* Any thread: nothing in ring, runnext and part. Head, tail and runnext cannot be read at once:
 * runq_put moves what it kicks out of runnext to the ring, so an unchanged tail around the other
 * two reads proves that nothing hid between. */
bool rt_runq_empty(const rt_p *pp)
{
	for (;;) {
		uint32_t head = rt_load32_acq(&pp->runqhead);
		uint32_t tail = rt_load32_acq(&pp->runqtail);
		rt_g *next = rt_loadptr_acq(&pp->runnext);

		if (tail == rt_load32_acq(&pp->runqtail))
			return head == tail && next == NULL && rt_loadptr_acq(&pp->yielded) == NULL;
	}
}

/* Any thread: something in ring or part, or a runnext that somebody should come for. */
bool rt_runq_calls(const rt_p *pp)
{
	uint32_t tail = rt_load32_acq(&pp->runqtail);

	if (rt_load32_rlx(&pp->keeps) == 0)
		return !rt_runq_empty(pp);
	return tail != rt_load32_acq(&pp->runqhead) || rt_loadptr_acq(&pp->yielded) != NULL;
}

uint32_t rt_runq_len(const rt_p *pp)
{
	uint32_t head = rt_load32_acq(&pp->runqhead);
	uint32_t n = rt_load32_acq(&pp->runqtail) - head;

	return n <= RT_RUNQ_SIZE ? n : 0; /* a torn pair of reads */
}

/* See proc.c, "Who keeps its runnext". */
static bool steal_next(rt_p *victim, rt_g **out)
{
	uint64_t switches = rt_load64_rlx(&victim->switches);
	rt_g *gp = rt_loadptr_acq(&victim->runnext);

	if (gp == NULL)
		return false;
	/* The victim is running and most often about to block: it would run gp at once, with its
	 * caches warm. Give it the time to. If it has run anybody meanwhile, gp has had its turn, and is
	 * there again: two that wake each other all the time stay where they are. */
	if (rt_load32_rlx(&victim->status) == RT_P_RUNNING) {
		be_thread_nap(3000);
		if (rt_load64_rlx(&victim->switches) != switches) {
			if (rt_load32_rlx(&victim->keeps) == 0)
				rt_store32_rlx(&victim->keeps, 1);
			return false;
		}
	}
	if (!rt_casptr_acq(&victim->runnext, gp, NULL))
		return false;
	rt_store32_rlx(&victim->keeps, 0);
	*out = gp;
	return true;
}

/* Moves half of victim's ring, rounded up, to pp's, which is empty, and returns the last of them to
 * run. *n: how many were taken. */
rt_g *rt_runq_steal(rt_p *pp, rt_p *victim, bool take_next, uint32_t *n)
{
	uint32_t tail = rt_load32_rlx(&pp->runqtail);

	/* Also: whoever stole from pp before has read its slots. */
	if (tail != rt_load32_acq(&pp->runqhead))
		rt_throw("steal into a run queue that is not empty");
	for (;;) {
		uint32_t h = rt_load32_acq(&victim->runqhead);
		uint32_t t = rt_load32_acq(&victim->runqtail);
		uint32_t k = t - h;
		rt_g *gp;

		k -= k / 2;
		*n = 1;
		if (k == 0)
			return take_next && steal_next(victim, &gp) ? gp : NULL;
		if (k > RT_RUNQ_SIZE / 2)
			continue; /* h is older than t */
		for (uint32_t i = 0; i < k; i++)
			slot_set(pp, tail + i, slot_get(victim, h + i));
		if (!rt_cas32_full(&victim->runqhead, h, h + k))
			continue;
		if (rt_load32_rlx(&victim->keeps) != 0)
			rt_store32_rlx(&victim->keeps, 0);
		*n = k;
		gp = slot_get(pp, tail + k - 1);
		if (k > 1)
			rt_store32_rel(&pp->runqtail, tail + k - 1);
		return gp;
	}
}

void rt_gqueue_push(rt_gqueue *q, rt_g *gp)
{
	rt_g **slot = &q->last[q->pushed++ % RT_AHEAD];

	if (*slot != NULL)
		rt_storeptr_rlx(&(*slot)->ahead, gp);
	*slot = gp;
	gp->schedlink = NULL;
	if (q->tail != NULL)
		q->tail->schedlink = gp;
	else
		q->head = gp;
	q->tail = gp;
}

/* The records of a long queue are in nobody's cache, and each link must be read before the next
 * record is known: a miss for each goroutine. So a record names one further on, whose lines are
 * asked for now. Records are never unmapped while the runtime lives: a stale name costs a prefetch.
 * */
rt_g *rt_gqueue_pop(rt_gqueue *q)
{
	rt_g *gp = q->head;

	if (gp != NULL) {
		rt_g_prefetch(rt_loadptr_rlx(&gp->ahead));
		q->head = gp->schedlink;
		if (q->head == NULL)
			q->tail = NULL;
	}
	return gp;
}

static void runqsize_add(gort_runtime *rt, uint32_t d)
{
	rt_store32_rlx(&rt->sched.runqsize, rt_load32_rlx(&rt->sched.runqsize) + d);
}

/* One that stands on its thread goes to a queue of its own. */
void rt_globq_put_locked(gort_runtime *rt, rt_g *gp)
{
	rt_lockrank_assert_held(RT_RANK_sched, &rt->sched.lock);
	if (gp->m != NULL) {
		gp->m->standticket = rt->sched.runq.pushed;
		rt_gqueue_push(&rt->sched.stopped, gp);
		rt_store32_rlx(&rt->sched.nstopped, rt_load32_rlx(&rt->sched.nstopped) + 1);
	} else {
		rt_gqueue_push(&rt->sched.runq, gp);
	}
	runqsize_add(rt, 1);
}

/* The first that stands on its thread; NULL: none. */
rt_g *rt_stopped_get_locked(gort_runtime *rt)
{
	rt_g *gp = rt_gqueue_pop(&rt->sched.stopped);

	rt_lockrank_assert_held(RT_RANK_sched, &rt->sched.lock);
	if (gp != NULL) {
		rt_store32_rlx(&rt->sched.nstopped, rt_load32_rlx(&rt->sched.nstopped) - 1);
		runqsize_add(rt, (uint32_t)-1);
	}
	return gp;
}

/* Takes gp out from wherever it is in that queue. */
void rt_stopped_remove_locked(gort_runtime *rt, rt_g *gp)
{
	rt_gqueue all = rt->sched.stopped;
	rt_g *at, *next;

	rt->sched.stopped = (rt_gqueue){ 0 };
	for (at = all.head; at != NULL; at = next) {
		next = at->schedlink;
		if (at != gp)
			rt_gqueue_push(&rt->sched.stopped, at);
	}
	rt_store32_rlx(&rt->sched.nstopped, rt_load32_rlx(&rt->sched.nstopped) - 1);
	runqsize_add(rt, (uint32_t)-1);
}

void rt_globq_put_batch_locked(gort_runtime *rt, rt_g *head, rt_g *tail, uint32_t n)
{
	rt_gqueue *q = &rt->sched.runq;

	rt_lockrank_assert_held(RT_RANK_sched, &rt->sched.lock);
	if (q->tail != NULL)
		q->tail->schedlink = head;
	else
		q->head = head;
	q->tail = tail;
	q->pushed += n;
	runqsize_add(rt, n);
}

/* A yield where others may empty the part. */
void rt_yielded_put_shared(rt_p *pp, rt_g *gp)
{
	rt_g *top;

	do {
		top = rt_loadptr_rlx(&pp->yielded);
		gp->schedlink = top;
	} while (!rt_casptr_full(&pp->yielded, top, gp));
}

/* All that yielded on pp; the owner's or, unless it is alone, anybody's. Newest first. */
rt_g *rt_yielded_take(rt_p *pp)
{
	rt_g *top = rt_loadptr_rlx(&pp->yielded);

	if (top == NULL)
		return NULL;
	if (!pp->alone)
		return rt_xchgptr_acq(&pp->yielded, NULL);
	rt_storeptr_rlx(&pp->yielded, NULL);
	return top;
}

/* Owner only, alone, ring empty: the part goes to the ring without the detour, and its oldest is
 * returned. NULL: it is empty, or longer than the ring takes. */
rt_g *rt_yielded_get_alone(rt_p *pp)
{
	rt_g *gp = rt_loadptr_rlx(&pp->yielded), *older;
	uint32_t head = rt_load32_rlx(&pp->runqhead), n = 0;

	if (gp != NULL && gp->schedlink == NULL) {
		rt_storeptr_rlx(&pp->yielded, NULL);
		return gp;
	}
	for (older = gp; older != NULL && n <= RT_RUNQ_SIZE; older = older->schedlink)
		n++;
	if (n == 0 || n > RT_RUNQ_SIZE)
		return NULL;
	RT_ASSERT(pp->alone && head == rt_load32_rlx(&pp->runqtail));
	rt_storeptr_rlx(&pp->yielded, NULL);
	for (uint32_t i = n - 1; i > 0; i--, gp = gp->schedlink)
		slot_set(pp, head + i - 1, gp);
	rt_store32_rel(&pp->runqtail, head + n - 1);
	return gp;
}

/* pp's part joins the list, oldest first. */
void rt_globq_join_locked(gort_runtime *rt, rt_p *pp)
{
	rt_g *gp = rt_yielded_take(pp), *first = NULL, *newer;
	uint32_t n = 0;

	rt_lockrank_assert_held(RT_RANK_sched, &rt->sched.lock);
	for (; gp != NULL; gp = newer) {
		newer = gp->schedlink;
		gp->schedlink = first;
		first = gp;
	}
	for (; first != NULL; first = newer, n++) {
		newer = first->schedlink;
		rt_gqueue_push(&rt->sched.runq, first);
	}
	if (n > 0)
		runqsize_add(rt, n);
}

/* max RT_SHARE: a fair share for pp, whose ring is empty then; the first is returned, the rest lies
 * in the ring. RT_ONE: one. RT_ONE_BRIEF: one that does not stand on its thread. */
rt_g *rt_globq_get_locked(gort_runtime *rt, rt_p *pp, uint32_t max)
{
	uint32_t size = rt_load32_rlx(&rt->sched.runqsize) - rt_load32_rlx(&rt->sched.nstopped);
	uint32_t n = size / (uint32_t)rt_gomaxprocs(rt) + 1;

	rt_lockrank_assert_held(RT_RANK_sched, &rt->sched.lock);
	/* Whoever came first, as if both queues were one: what was there when it came has left. */
	if (rt_load32_rlx(&rt->sched.nstopped) > 0 && max != RT_ONE_BRIEF &&
	    (int32_t)(rt->sched.runq.pushed - size - rt->sched.stopped.head->m->standticket) >= 0)
		return rt_stopped_get_locked(rt);
	if (size == 0)
		return NULL;
	if (n > size)
		n = size;
	if (n > RT_RUNQ_SIZE / 2)
		n = RT_RUNQ_SIZE / 2;
	if (max > 0)
		n = 1;
	runqsize_add(rt, (uint32_t)-n);

	rt_g *gp = rt_gqueue_pop(&rt->sched.runq);
	uint32_t tail = rt_load32_rlx(&pp->runqtail);

	RT_ASSERT(n == 1 || tail - rt_load32_acq(&pp->runqhead) + n - 1 <= RT_RUNQ_SIZE);
	for (uint32_t i = 1; i < n; i++) {
		rt_g *more = rt_gqueue_pop(&rt->sched.runq);

		RT_PREFETCH_R(more->ctx != NULL ? (const void *)more->ctx : more->arg);
		slot_set(pp, tail++, more);
	}
	if (n > 1)
		rt_store32_rel(&pp->runqtail, tail); /* one release for the whole batch */
	return gp;
}
