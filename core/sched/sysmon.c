/* sysmon.c: a thread without a P that looks after those that have one.
 *
 * Each look: Ps of goroutines in system calls that others need are taken (retake); turns that have
 * lasted a slice while somebody waits are ended, in place if the build can; Ps of threads that
 * sleep in foreign code are taken; who lost a P like that and computes now is stopped until it gets
 * one; stopped goroutines get idle Ps that have no thread.
 *
 * It sleeps 20 us between two looks; after 50 looks without a find twice as long each time, up to
 * 10 ms, but while a goroutine waits for a P not longer than an eighth of a slice, and not past the
 * end of a turn or the next timer. When all Ps are idle it sleeps until one is taken (rt_pidle_get_locked). Every
 * second it gives back pages of stacks that nobody needed. The heap's are given back at the collector's pace, by the
 * up-call gc_tick.
 *
 * While goroutines wait for descriptors it samples once a millisecond, as long as any P runs, whether the machine has a
 * CPU for one thread more: crowd.h.
 *
 * It takes no lock of libc and makes no thread: a stopped goroutine may hold what that needs.
 *
 * Rejected: signals by a timer of the system for each thread (they interrupt what needs no
 * interruption); to note the beginning of each turn (a clock read for each switch).
 */
#include "core/sched/crowd.h"
#include "core/sched/internal.h"

#include <errno.h>

#define DELAY_MIN (20 * GORT_MICROSECOND)
#define DELAY_MAX RT_SYSMON_MOST
#define DELAY_QUIET GORT_MILLISECOND /* after some looks of which each waited twice as long as the one before */
#define POLL_LOOK (10 * GORT_MILLISECOND) /* descriptors are looked at, if nobody did */
#define TURN_SEEN (100 * GORT_MICROSECOND) /* after a turn was ended the next one has begun */
#define KEPT_LOOK GORT_MILLISECOND /* between two wake-ups for a runnext that its P keeps */
#define CROWD_PATIENCE (5 * GORT_MILLISECOND) /* then somebody is woken although it is */
#define SLICE_MIN (50 * GORT_MICROSECOND)  /* of preemptall: a raw nanosleep still gets somewhere */
#define SAMPLE_MIN (100 * GORT_MICROSECOND) /* between two looks at a thread's CPU time */
enum { ROUNDS = 50, ASLEEP = 8 /* it uses less than this part of a CPU */ };

typedef struct sysmon {
	gort_runtime *rt;
	int64_t delay, slice;
	int64_t traced, cooled;
	int rounds;
	bool waits; /* somebody waits for a P */
	bool kept;  /* what nobody was woken for waits */
	int64_t keptwhen; /* when somebody was woken for such last */
	rt_crowd crowd;
	int64_t soon; /* from now: the end of a turn, or the beginning of one that was just made room for, or gc_tick's
	               * wish */
	bool hit;   /* this look found something */
	bool idle;  /* all Ps were, and nothing had run since the look before */
	uint64_t ran; /* switches of all Ps */
} sysmon;

void rt_sysmon_wake(gort_runtime *rt)
{
	if (rt_xchg32_full(&rt->sched.sysmonword, 1) == 0)
		be_thread_wake(&rt->sched.sysmonword, 1);
}

/* Is there anybody who would run instead of what runs on pp? */
static bool work_waits(gort_runtime *rt, const rt_p *pp, int64_t now)
{
	return rt_load32_rlx(&rt->sched.runqsize) > 0 || !rt_runq_empty(pp) ||
	       rt_timers_next(rt) <= now || rt_load32_rlx(&rt->gcmark) != 0;
}

static void hand_over(sysmon *s, rt_p *pp)
{
	s->hit = true;
	rt_handoffp(s->rt, pp);
}

/* ---- System calls -----------------------------------------------------------------------------
 * */

static void look_syscall(sysmon *s, rt_p *pp, int64_t now)
{
	rt_sched *sc = &s->rt->sched;
	uint32_t tick = rt_load32_rlx(&pp->syscalltick);

	if (pp->seensyscall != tick) {
		pp->seensyscall = tick;
		pp->seenwhen = now;
		return;
	}
	/* Left alone for a slice if nobody has anything for it to do and somebody looks out for
	 * work. */
	if (rt_runq_empty(pp) && rt_load32_rlx(&sc->runqsize) == 0 &&
	    rt_load32_rlx(&sc->npidle) + rt_load32_rlx(&sc->nmspinning) > 0 &&
	    now - pp->seenwhen < s->slice)
		return;
	/* It may be another call's by now, also another M's: as good. tests/model/syscall.pml */
	if (rt_cas32_full(&pp->status, RT_P_SYSCALL, RT_P_IDLE))
		hand_over(s, pp);
}

/* ---- Goroutines that compute, or sleep where we do not see it ----------------------------------
 * */

/* True: its P was taken. */
static bool take_sleeping(sysmon *s, rt_p *pp, rt_m *mp, int64_t now)
{
	rt_sched *sc = &s->rt->sched;
	int64_t cpu, used, passed = now - pp->seencpuwhen;
	bool taken;

	if (pp->seencpuwhen != 0 && passed < SAMPLE_MIN)
		return false;
	cpu = be_preempt_cputime(&mp->pre);
	used = cpu - pp->seencpu;
	pp->seencpu = cpu;
	passed = pp->seencpuwhen != 0 ? passed : 0;
	pp->seencpuwhen = now;
	if (passed == 0 || cpu < 0 || used >= passed / ASLEEP)
		return false;
	if (!be_preempt_sleeps(&mp->pre)) { /* another process has its CPU */
		pp->seencpuwhen = 0;
		return false;
	}
	rt_lock(&sc->lock, RT_RANK_sched);
	taken = rt_load32_rlx(&pp->schedtick) == pp->seentick && rt_stand_take_locked(s->rt, pp);
	rt_unlock(&sc->lock, RT_RANK_sched);
	if (taken)
		hand_over(s, pp);
	return taken;
}

static void end_turn(sysmon *s, rt_p *pp, rt_m *mp)
{
	rt_sched *sc = &s->rt->sched;

	bool again = rt_load32_rlx(&pp->wanttick) == pp->seentick;

	rt_store32_rlx(&pp->wanttick, pp->seentick);
	if (again)
		rt_store32_rlx(&pp->urgetick, pp->seentick);
	rt_store32_rel(&pp->preempt, 1);
	if (!sc->inplace)
		return;
	/* What stops hands its P to a spare thread: one is made in time. */
	rt_lock(&sc->lock, RT_RANK_sched);
	if (!again)
		pp->declined = 0;
	if (rt_load32_rlx(&sc->nmidle) + sc->nmake + sc->nmaking < (uint32_t)rt_gomaxprocs(s->rt))
		rt_maker_ask_locked(s->rt, false);
	rt_unlock(&sc->lock, RT_RANK_sched);
	rt_lock(&sc->preemptlock, RT_RANK_preempt);
	if (rt_loadptr_acq(&pp->m) == mp)
		rt_kick(s->rt, mp);
	rt_unlock(&sc->preemptlock, RT_RANK_preempt);
}

/* Nobody was woken for what is in its runnext: from time to time somebody is. See proc.c. */
static void look_kept(sysmon *s, const rt_p *pp)
{
	if (rt_load32_rlx(&pp->keeps) == 0 || rt_load32_rlx(&s->rt->sched.npidle) == 0)
		return;
	if (s->soon > KEPT_LOOK)
		s->soon = KEPT_LOOK;
	s->kept = s->kept || rt_loadptr_rlx(&pp->runnext) != NULL;
}

/* The same for handlers that wait in the ring of the P that polled, behind one that takes long. */
static void look_crowded(sysmon *s, const rt_p *pp, int64_t now)
{
	const rt_sched *sc = &s->rt->sched;
	int64_t left = pp->seenwhen + CROWD_PATIENCE - now;

	if (!rt_load32_rlx(&sc->crowded) || rt_load32_rlx(&sc->npidle) == 0 || rt_runq_empty(pp))
		return;
	s->kept = s->kept || left <= 0;
	if (left <= 0)
		left = KEPT_LOOK;
	if (s->soon > left)
		s->soon = left;
}

static void look_running(sysmon *s, rt_p *pp, int64_t now)
{
	uint32_t tick = rt_load32_rlx(&pp->schedtick);
	rt_m *mp = rt_loadptr_acq(&pp->m);
	int64_t left;

	look_kept(s, pp);
	if (tick != pp->seentick) {
		/* The clock again: if the system had this thread wait, the turn began after `now`, and would be ended
		 * too early. */
		pp->seentick = tick;
		pp->seenwhen = now = be_nanotime();
		pp->seencpuwhen = 0;
	}
	if (mp == NULL || !work_waits(s->rt, pp, now))
		return;
	s->waits = true;
	look_crowded(s, pp, now);
	if (s->rt->sched.inplace && take_sleeping(s, pp, mp, now))
		return;
	left = pp->seenwhen + s->slice - now;
	if (left <= 0) {
		/* What begins now is measured from when it is seen. */
		left = rt_load32_rlx(&pp->wanttick) != tick ? TURN_SEEN : INT64_MAX;
		end_turn(s, pp, mp);
	}
	if (left < s->soon)
		s->soon = left;
}

/* More than to wake and go to sleep again. One that was dropped (takenwhen is 0) is looked at once
 * in any case. */
static bool computes(rt_m *mp, int64_t now)
{
	int64_t passed = now - mp->takenwhen, cpu, used;

	if (passed < SAMPLE_MIN)
		return false;
	cpu = be_preempt_cputime(&mp->pre);
	used = cpu - mp->takencpu;
	mp->takencpu = cpu;
	passed = mp->takenwhen != 0 ? passed : 0;
	mp->takenwhen = now;
	return cpu < 0 || passed == 0 || used >= passed / ASLEEP;
}

/* Those whose P was taken and who compute now, or were dropped. */
static void look_taken(sysmon *s, int64_t now)
{
	rt_sched *sc = &s->rt->sched;
	rt_m *mp;

	rt_lock(&sc->preemptlock, RT_RANK_preempt); /* nobody leaves allm */
	rt_lock(&sc->lock, RT_RANK_sched);
	mp = sc->ntaken > 0 ? sc->allm : NULL;
	rt_unlock(&sc->lock, RT_RANK_sched);
	for (; mp != NULL; mp = mp->alllink)
		if (rt_load32_acq(&mp->taken) == RT_TAKEN && computes(mp, now)) {
			rt_kick(s->rt, mp);
			s->hit = true;
		}
	rt_unlock(&sc->preemptlock, RT_RANK_preempt);
}

/* Idle Ps without a thread to run them: what stands has its own. */
static void start_standing(sysmon *s)
{
	rt_sched *sc = &s->rt->sched;

	while (rt_load32_rlx(&sc->nstopped) > 0 && rt_load32_rlx(&sc->npidle) > 0) {
		rt_m *mp = NULL;

		rt_lock(&sc->lock, RT_RANK_sched);
		if (!rt_load32_rlx(&sc->gcwaiting) && rt_load32_rlx(&sc->nstopped) > 0) {
			rt_p *pp = rt_pidle_get_locked(s->rt);

			if (pp != NULL)
				mp = rt_stand_assign_locked(pp, rt_stopped_get_locked(s->rt));
		}
		rt_unlock(&sc->lock, RT_RANK_sched);
		if (mp == NULL)
			return;
		rt_stand_resume(mp);
		s->hit = true;
	}
}

/* Whether who polls shall call others for help: crowd.h. */
static void look_crowd(sysmon *s, int64_t now)
{
	gort_runtime *rt = s->rt;
	int64_t set = rt->debug.crowd;
	uint64_t polled = 0;

	if (s->crowd.phase != RT_CROWD_NONE && s->soon > RT_CROWD_SAMPLE)
		s->soon = RT_CROWD_SAMPLE;
	if (now - s->crowd.sampled < RT_CROWD_SAMPLE || rt_gomaxprocs(rt) == 1)
		return;
	s->crowd.sampled = now;
	for (int i = 0; i < rt_gomaxprocs(rt); i++)
		polled += rt_load64_rlx(&rt->sched.allp[i]->polled);
	if (set == 0 || set == 1)
		rt_store32_rlx(&rt->sched.crowded, (uint32_t)set);
	else
		rt_store32_rlx(&rt->sched.crowded,
		               rt_crowd_step(&s->crowd, be_crowd_now(&rt->sched.cpus) > 0, polled, now));
}

/* Who waits for descriptors and timers may have left for what became ready. */
static void look_polls(sysmon *s, int64_t now)
{
	gort_runtime *rt = s->rt;
	rt_sched *sc = &rt->sched;
	be_pollevent events[RT_POLLEVENTS];
	bool waits = rt_load32_rlx(&sc->pollwaiters) > 0;

	if (waits)
		look_crowd(s, now);
	if (rt_load32_rlx(&sc->polling) || rt_load32_rlx(&sc->gcwaiting))
		return;
	if (rt_load32_rlx(&sc->npidle) > 0) {
		waits = waits || rt_timers_next(rt) != INT64_MAX;
		if (waits && s->soon > KEPT_LOOK)
			s->soon = KEPT_LOOK;
		s->kept = s->kept || (waits && (!rt_load32_rlx(&sc->crowded) ||
		                                now - (int64_t)rt_load64_rlx(&sc->lastpoll) >= CROWD_PATIENCE));
		return;
	}
	if (!waits || now - (int64_t)rt_load64_rlx(&sc->lastpoll) < POLL_LOOK)
		return;
	rt_store64_rlx(&sc->lastpoll, (uint64_t)now);
	rt_poll_outside(rt, NULL, events, be_netpoll_wait(&sc->poll, events, RT_POLLEVENTS, 0));
}

static void look(sysmon *s, int64_t now)
{
	gort_runtime *rt = s->rt;
	rt_sched *sc = &rt->sched;

	s->waits = s->hit = s->kept = false;
	s->soon = INT64_MAX;
	for (int i = 0; i < rt_gomaxprocs(rt); i++) {
		rt_p *pp = sc->allp[i];
		uint32_t status = rt_load32_acq(&pp->status);

		if (status == RT_P_SYSCALL)
			look_syscall(s, pp, now);
		else if (status == RT_P_RUNNING)
			look_running(s, pp, now);
	}
	look_polls(s, now);
	if (s->kept && now - s->keptwhen >= KEPT_LOOK) {
		s->keptwhen = now;
		rt_wakep(rt);
	}
	if (!sc->inplace)
		return;
	look_taken(s, now);
	start_standing(s);
}

/* ---- How long to sleep ------------------------------------------------------------------------
 * */

static void set_delay(sysmon *s, int64_t now)
{
	int64_t most = s->waits ? s->slice / 8 : DELAY_MAX, timer;

	if (s->hit)
		s->rounds = 0;
	else if (s->idle)
		s->rounds = ROUNDS; /* nobody's turn has begun */
	s->delay = s->rounds < ROUNDS ? DELAY_MIN : 2 * s->delay;
	if (s->rounds < ROUNDS)
		s->rounds++;
	if (s->delay > most)
		s->delay = most;
	if (s->delay > s->soon)
		s->delay = s->soon;
	timer = rt_timers_next(s->rt);
	if (timer > now && timer - now < s->delay)
		s->delay = timer - now;
	if (s->delay < DELAY_MIN)
		s->delay = DELAY_MIN;
}

static void wait_for(gort_runtime *rt, int64_t ns)
{
	rt_sched *sc = &rt->sched;

	if (rt_load32_acq(&sc->sysmonword) == 0)
		(void)be_thread_park(&sc->sysmonword, 0, ns);
	if (rt_load32_rlx(&sc->sysmonword) != 0)
		rt_xchg32_full(&sc->sysmonword, 0);
}

/* All Ps have been idle since the last look. A program that wakes all the time, for each message that comes, shall not
 * wake this thread each time, too. */
static bool all_quiet(sysmon *s)
{
	uint64_t ran = 0;
	bool same;

	for (int i = 0; i < rt_gomaxprocs(s->rt); i++)
		ran += rt_load64_rlx(&s->rt->sched.allp[i]->switches);
	same = ran == s->ran;
	s->ran = ran;
	s->idle = same && rt_load32_rlx(&s->rt->sched.npidle) == (uint32_t)rt_gomaxprocs(s->rt);
	return s->idle && s->delay >= DELAY_QUIET;
}

/* All Ps are idle: until one is taken, but for what must be done all the same. */
static bool deep_sleep(sysmon *s)
{
	rt_sched *sc = &s->rt->sched;
	int64_t ns;
	bool idle;

	if (!all_quiet(s))
		return false;
	rt_lock(&sc->lock, RT_RANK_sched);
	idle = rt_load32_rlx(&sc->npidle) == (uint32_t)rt_gomaxprocs(s->rt) && sc->ntaken == 0;
	if (idle)
		rt_store32_rlx(&sc->sysmonsleeps, 1);
	rt_unlock(&sc->lock, RT_RANK_sched);
	if (!idle)
		return false;
	/* Asked now: the last collection may have ended since the last look. Who is woken by that takes a P, and
	 * wakes us. */
	ns = s->rt->up.gc_tick(s->rt, be_nanotime());
	if (rt_stackpool_idle(s->rt->stacks) && (ns < 0 || ns > GORT_SECOND))
		ns = GORT_SECOND;
	if (ns >= 0 && ns < DELAY_MIN)
		ns = DELAY_MIN;
	wait_for(s->rt, ns);
	rt_store32_rlx(&sc->sysmonsleeps, 0);
	s->rounds = 0;
	s->delay = DELAY_MIN;
	return true;
}

/* Of a seeded runtime it only takes the baton from a system call in which a goroutine seems to wait for the others: see
 * seeded.c. What it finds out about turns would be the clock's. */
static void watch_strays(gort_runtime *rt)
{
	int64_t patience = rt->debug.stray * GORT_MILLISECOND;
	sysmon s = { .rt = rt };
	rt_p *pp = rt->sched.allp[0];

	while (!rt_load32_acq(&rt->sched.ending)) {
		int64_t now = be_nanotime();
		uint32_t tick = rt_load32_rlx(&pp->syscalltick);

		if (rt_load32_rlx(&pp->status) != RT_P_SYSCALL || pp->seensyscall != tick) {
			pp->seensyscall = tick;
			pp->seenwhen = now;
		} else if (now - pp->seenwhen >= patience &&
		           (work_waits(rt, pp, INT64_MAX - 1) || rt_load32_rlx(&rt->sched.pollwaiters) > 0) &&
		           rt_cas32_full(&pp->status, RT_P_SYSCALL, RT_P_IDLE)) {
			hand_over(&s, pp);
		}
		wait_for(rt, patience / 4 > DELAY_MIN ? patience / 4 : DELAY_MIN);
	}
}

static void run(void *arg)
{
	sysmon s = { .rt = arg, .delay = DELAY_MIN };
	gort_runtime *rt = arg;
	int64_t traced = 0, cooled = be_nanotime();
	int64_t trace = rt->debug.schedtrace * GORT_MILLISECOND;

	if (rt->seeded != NULL) {
		watch_strays(rt);
		return;
	}
	s.slice = rt->debug.preemptall ? SLICE_MIN : rt->debug.slice * GORT_MICROSECOND;
	if (s.slice < SLICE_MIN)
		s.slice = SLICE_MIN;
	while (!rt_load32_acq(&rt->sched.ending)) {
		int64_t now, ns;

		if (trace > 0 && s.delay > trace)
			s.delay = trace;
		if (trace > 0 || !deep_sleep(&s))
			wait_for(rt, s.delay);
		now = be_nanotime();
		rt_store64_rlx(&rt->sched.coarse, (uint64_t)now);
		look(&s, now);
		ns = rt->up.gc_tick(rt, now);
		if (ns >= 0 && ns < s.soon)
			s.soon = ns;
		set_delay(&s, now);
		if (now - cooled >= GORT_SECOND) {
			cooled = now;
			rt_stackpool_tick(rt->stacks);
		}
		if (trace > 0 && now - traced >= trace) {
			traced = now;
			rt_schedtrace(rt, now);
		}
	}
}

int rt_sysmon_start(gort_runtime *rt)
{
	int r = rt_fail_now(&rt->debug, "sysmon") ? -EAGAIN
	                                          : be_thread_start(&rt->sched.sysmon, run, rt, 0);

	return r == 0 ? 0 : r == -ENOMEM ? GORT_ENOMEM : GORT_EOS + r;
}

/* `ending` is set. */
void rt_sysmon_end(gort_runtime *rt)
{
	rt_xchg32_full(&rt->sched.sysmonword, 1);
	be_thread_wake(&rt->sched.sysmonword, 1);
	be_thread_join(&rt->sched.sysmon);
}
