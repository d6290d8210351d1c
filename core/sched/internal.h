/* internal.h: what the files of sched/ (and api/, which boots and ends them) ask of each other. */
#ifndef CORE_SCHED_INTERNAL_H
#define CORE_SCHED_INTERNAL_H

#include "backends/fault/fault.h"
#include "core/sched/sched_impl.h"
#include "core/sched/sched_inline.h"

/* switch.c: the only callers of be_context_switch. */
int rt_switch_init(rt_m *mp);      /* the calling thread's stack becomes mp's g0; -ENOMEM */
void rt_switch_fini(rt_m *mp);
int rt_switch_attach(rt_m *mp, rt_g *gp); /* ... becomes gp's; g0 gets its own */
void rt_switch_detach(rt_m *mp, rt_g *gp);
bool rt_switch_make(rt_m *mp, rt_g *gp, void (*entry)(void *)); /* gives gp a stack; false: no memory */
void rt_switch_unmake(gort_runtime *rt, rt_stackcache *cache, rt_g *gp); /* takes it away; not on it */
void rt_switch_loop(rt_m *mp);     /* on g0: goes to what rt_g0_next returns, until the M is told to leave */
/* Leaves the goroutine for g0, which calls fn(mp, gp). Returns when gp is executed again, perhaps on
 * another M. dying: it never is. */
void rt_mcall(rt_m *mp, void (*fn)(rt_m *mp, rt_g *gp));
_Noreturn void rt_mcall_dying(rt_m *mp, void (*fn)(rt_m *mp, rt_g *gp));

/* gp may be NULL or stale. */
static inline void rt_g_prefetch(const rt_g *gp)
{
	RT_PREFETCH_W(gp);
	RT_PREFETCH_W((const void *)((uintptr_t)gp + RT_CACHELINE)); /* the third is seldom touched */
}

/* runq.c */
bool rt_runq_put(rt_p *pp, rt_g *gp, bool next, gort_runtime *rt);
rt_g *rt_runq_get(rt_p *pp, bool *inherit);
void rt_runq_end_slice(gort_runtime *rt, rt_p *pp); /* owner only: what is in runnext waits for a slice of its own */
void rt_plock_choose(gort_runtime *rt); /* booting: how locks are given back */
bool rt_runq_urgent(const gort_runtime *rt, const rt_p *pp); /* the owner */
/* The same where no other P could steal. */
static inline rt_g *rt_runq_get_alone(rt_p *pp, bool *inherit)
{
	rt_g *gp = rt_loadptr_rlx(&pp->runnext);
	uint32_t head = rt_load32_rlx(&pp->runqhead);

	*inherit = gp != NULL;
	if (gp != NULL) {
		rt_storeptr_rlx(&pp->runnext, NULL);
	} else if (head != rt_load32_rlx(&pp->runqtail)) {
		gp = rt_loadptr_rlx(&pp->runq[head % RT_RUNQ_SIZE]);
		rt_store32_rel(&pp->runqhead, head + 1);
	}
	return gp;
}

bool rt_runq_empty(const rt_p *pp);
bool rt_runq_calls(const rt_p *pp);
/* Owner: only runnext is filled, and is kept. */
static inline bool rt_runq_kept(const rt_p *pp)
{
	return rt_load32_rlx(&pp->keeps) != 0 && rt_load32_rlx(&pp->runqhead) == rt_load32_rlx(&pp->runqtail);
}
uint32_t rt_runq_len(const rt_p *pp);     /* ring only, as schedtrace counts */
void rt_yielded_put_shared(rt_p *pp, rt_g *gp);

static inline void rt_yielded_put_alone(rt_p *pp, rt_g *gp)
{
	gp->schedlink = rt_loadptr_rlx(&pp->yielded);
	rt_storeptr_rel(&pp->yielded, gp);
}

/* Owner only, on g0: gp has yielded. */
static inline void rt_yielded_put(rt_p *pp, rt_g *gp)
{
	if (pp->alone)
		rt_yielded_put_alone(pp, gp);
	else
		rt_yielded_put_shared(pp, gp);
}

rt_g *rt_yielded_take(rt_p *pp);
rt_g *rt_yielded_get_alone(rt_p *pp);
rt_g *rt_runq_steal(rt_p *pp, rt_p *victim, bool take_next, uint32_t *n);
void rt_gqueue_push(rt_gqueue *q, rt_g *gp);
rt_g *rt_gqueue_pop(rt_gqueue *q);
void rt_globq_put_locked(gort_runtime *rt, rt_g *gp);
void rt_globq_put_batch_locked(gort_runtime *rt, rt_g *head, rt_g *tail, uint32_t n);
rt_g *rt_stopped_get_locked(gort_runtime *rt);
void rt_stopped_remove_locked(gort_runtime *rt, rt_g *gp);
void rt_globq_join_locked(gort_runtime *rt, rt_p *pp);
enum { RT_SHARE = 0, RT_ONE = 1, RT_ONE_BRIEF = 2 };
rt_g *rt_globq_get_locked(gort_runtime *rt, rt_p *pp, uint32_t max);

/* proc.c */
be_context *rt_g0_next(rt_m *mp);
void rt_wakep(gort_runtime *rt);          /* after work was published; fences itself */
void rt_wakep_after_rmw(gort_runtime *rt); /* ... by a full read-modify-write, as rt_yielded_put's; not if alone */
/* After rt_runq_put(next) of a P that is not alone; what that returned. */
static inline void rt_wakep_after_next(gort_runtime *rt, bool stored)
{
	if (stored)
		rt_wakep(rt);
	else
		rt_wakep_after_rmw(rt);
}
bool rt_goroutines_wait(gort_runtime *rt); /* on some queue */
bool rt_anywork(gort_runtime *rt);        /* or marking */
/* rt_newproc's attr of goroutines of the runtime's own; the one of finalizers also runs code of the user */
extern const gort_go_attr rt_system_attr, rt_finalizer_attr;

/* m.c */
rt_m *rt_m_new(gort_runtime *rt);         /* NULL: no memory; counted */
void rt_m_gone(rt_m *mp);                 /* uncounts it; its thread, if it is ours, is joined later */
void rt_startm(gort_runtime *rt, rt_p *pp, bool spinning);
rt_m *rt_midle_get_locked(rt_sched *sc);
bool rt_stopm(rt_m *mp);                  /* false: leave the loop */
void rt_handoffp(gort_runtime *rt, rt_p *pp);
bool rt_stophost(rt_m *mp);
bool rt_stoplockedm(rt_m *mp);            /* false: leave the loop */
void rt_startlockedm(rt_m *mp, rt_g *gp);
void rt_m_unidle_locked(rt_m *mp);        /* takes a sleeping M off its list and wakes it */
void rt_checkdead_locked(gort_runtime *rt);
void rt_poll_look(gort_runtime *rt);
void rt_maker_ask_locked(gort_runtime *rt, bool spinning);
int rt_maker_start(gort_runtime *rt);     /* GORT_ENOMEM, OS errors */
void rt_maker_end(gort_runtime *rt);

/* attach.c */
void rt_seats_init(rt_sched *sc, rt_debugvars *debug);
void rt_seats_drop(gort_runtime *rt);     /* world stopped */

/* helpers.c: 0, GORT_ENOMEM, OS errors */
int rt_helpers_start(gort_runtime *rt);   /* booting */
int rt_helpers_need(gort_runtime *rt);    /* if they do not run; holding nothing */
void rt_helpers_end(gort_runtime *rt);    /* no goroutine is left, and none comes */

void rt_m_born_spinning(rt_m *mp);        /* proc.c */

/* syscall.c: keeps where the goroutine's stack and registers are for the collector, while it is away from the
 * runtime's eyes. frame: __builtin_frame_address(0) of a function that the goroutine called. */
void rt_regs_keep(rt_m *mp, void *frame);

/* Before gp runs: while marking, its stack is scanned first. */
static inline void rt_gc_before_run(gort_runtime *rt, rt_g *gp)
{
	uint32_t mark = rt_load32_rlx(&rt->gcmark);

	if (RT_UNLIKELY(mark != 0) && rt_load8_acq(&gp->gcscan) != mark)
		rt->up.gc_scan(gp);
}

/* gp is DEAD or as good as that, and the caller's: what the collector is to think of it from now on. A marker may have
 * claimed it before that, which shows in an odd number (gc/roots.c). Then it does not scan it any more, and neither
 * waits nor locks until it has given it back, so that this may wait for it with any lock and in a seeded run: at worst
 * until the system runs that thread again. */
static inline void rt_gcscan_set(rt_g *gp, uint8_t to)
{
	uint8_t was;

	while ((was = rt_load8_acq(&gp->gcscan)) != to) {
		if (RT_UNLIKELY((was & 1) != 0))
			be_thread_nap(GORT_MICROSECOND);
		else if (rt_cas8_full(&gp->gcscan, was, to))
			return;
	}
}

/* preempt.c */
int rt_preempt_acquire(void);             /* of the process */
void rt_preempt_release(void);
void rt_preempt_attach(rt_m *mp);
void rt_preempt_detach(rt_m *mp);
void rt_kick_all(gort_runtime *rt);       /* stops who runs on a P; holding no lock */
void rt_kick(gort_runtime *rt, rt_m *mp);
rt_m *rt_stand_assign_locked(rt_p *pp, rt_g *gp); /* gp goes on where it stands; then rt_stand_resume */
void rt_stand_resume(rt_m *mp);
void rt_stand_start(rt_m *mp, rt_g *gp);  /* mp gives its P to where gp stands, and idles */
void rt_stopped_unp_locked(gort_runtime *rt, rt_p *pp); /* world stopped: pp goes away */
bool rt_stand_take_locked(gort_runtime *rt, rt_p *pp); /* sysmon: takes the P of a thread that sleeps */
void rt_stand_drop(gort_runtime *rt, rt_g *gp); /* world stopped: the run ends */
void rt_host_free_locked(gort_runtime *rt); /* the run ends: the host's M comes to its loop */
void rt_landed0(rt_m *mp, rt_g *gp);
void rt_landed_wait(gort_runtime *rt);
bool rt_dropped_wait(gort_runtime *rt, int64_t ns);
rt_g *rt_stand_instead(rt_m *mp, rt_g *gp);
void rt_stand_no_thread_locked(rt_sched *sc);

/* sysmon.c: sleeps no longer while a P is taken */
#define RT_SYSMON_MOST (10 * GORT_MILLISECOND)
int rt_sysmon_start(gort_runtime *rt);
void rt_sysmon_end(gort_runtime *rt);
void rt_sysmon_wake(gort_runtime *rt);

/* schedtrace.c */
void rt_schedtrace(gort_runtime *rt, int64_t now);

/* p.c */
int rt_procresize(gort_runtime *rt, int n); /* world stopped, or booting; GORT_ENOMEM */
void rt_acquirep(rt_m *mp, rt_p *pp);
rt_p *rt_releasep(rt_m *mp);
void rt_pidle_put_locked(gort_runtime *rt, rt_p *pp);
rt_p *rt_pidle_get_locked(gort_runtime *rt);
void rt_p_free_all(gort_runtime *rt);

/* g.c */
rt_g *rt_g_new(gort_runtime *rt, rt_p *pp); /* DEAD, clean; NULL: no memory */
void rt_g_free(gort_runtime *rt, rt_p *pp, rt_g *gp);
int rt_newproc(gort_runtime *rt, rt_m *mp, const gort_go_attr *attr, gort_func fn, void *arg,
               void *creator);
uint64_t rt_goid_next(gort_runtime *rt, rt_p *pp);
int64_t rt_g_count(gort_runtime *rt);
void rt_goroutine_entry(void *arg);
_Noreturn void rt_goroutine_done(rt_g *gp); /* its function returned; on its stack */
void rt_goexit0(rt_m *mp, rt_g *gp);
void rt_gfree_flush(gort_runtime *rt, rt_p *pp);

/* timer.c */
void rt_timerheap_init(rt_timerheap *h);
void rt_timerheap_fini(rt_timerheap *h);
void rt_timers_run(rt_p *pp, int64_t now); /* those that are due, of any P */
int64_t rt_timers_next(gort_runtime *rt);  /* the earliest of all Ps; INT64_MAX */
int64_t rt_real_moment(gort_runtime *rt, int64_t when); /* proc.c */
bool rt_timers_reserve(gort_runtime *rt, rt_p *pp, uint32_t more); /* world stopped. False: no memory */
void rt_timers_move(rt_p *from, rt_p *to); /* world stopped; room was reserved */
void rt_timers_drop(gort_runtime *rt);     /* the end of a run, world stopped */

/* wait.c */
void rt_claim_reset(rt_g *gp); /* no waker is left: gp is dead, or the world is stopped */

/* netpoll.c; sched.h has the rest */
void rt_pds_fini(gort_runtime *rt);
/* On g0 with a P: how many goroutines were made runnable. look: without waiting. */
int rt_poll_ready(rt_m *mp, const be_pollevent *events, int n);
int rt_poll_now(rt_m *mp);
/* By a thread without a P, holding nothing; mp NULL: sysmon. While the world is stopped it waits, until it is told to
 * end: then they are lost. */
void rt_poll_outside(gort_runtime *rt, const rt_m *mp, const be_pollevent *events, int n);
void rt_poll_late(gort_runtime *rt); /* the world runs, or `exiting` or `ending` is set: those look again */

/* stw.c */
void rt_preemptall(gort_runtime *rt);        /* raises the flags of all Ps; see rt_kick_all */
void rt_gcstopm(rt_m *mp);
void rt_syscall_gcstop(gort_runtime *rt, rt_p *pp);
void rt_team_join_locked(rt_sched *sc);      /* there is one, and it wants somebody; lets go of sched.lock meanwhile */

/* api/runtime.c: 0, GORT_EINVAL (freed before), GORT_EFORKED */
int rt_runtime_alive(gort_runtime *rt);
/* Another number in the child of each fork. */
uint64_t rt_forks(void);

/* run.c */
bool rt_run_claim(gort_runtime *rt, int code); /* true: the caller ends the run; then rt_run_wake */
void rt_run_wake(gort_runtime *rt);
void rt_run_wake_locked(gort_runtime *rt);
int rt_run_main(gort_runtime *rt, gort_func fn, void *arg);
void rt_drop_all(gort_runtime *rt);        /* world stopped */
void rt_lock_comer(gort_runtime *rt);      /* sched.lock, for what is queued without a P */
void rt_error_set(gort_runtime *rt, const char *text);

/* traceback.c */
void *rt_pages_new(size_t *bytes);         /* rounded up, zeroed; NULL: no memory */
void rt_pages_free(void *p, size_t bytes); /* as rounded */
void rt_text_add(rt_text *t, const char *s);
void rt_text_clear(rt_text *t);
void rt_text_free(rt_text *t);
void rt_traceback_init(gort_runtime *rt, const char *level);
void rt_g_walk(const rt_g *gp, be_fault_trace *t);      /* gp->ctx is Saved */
typedef struct rt_glist { /* live goroutines by goid */
	rt_g **g;
	size_t n, bytes;
} rt_glist;
bool rt_glist_make(gort_runtime *rt, rt_glist *l); /* world stopped; false: no memory */
void rt_glist_free(rt_glist *l);
typedef struct rt_report rt_report;
rt_report *rt_report_new(rt_text *to, int level); /* NULL: no memory */
void rt_report_free(rt_report *r);
void rt_report_g(rt_report *r, rt_g *gp, int64_t now);
void rt_report_note(rt_report *r, const char *note); /* " (leaked)": behind the state of those reported from now on */
void rt_report_all(gort_runtime *rt, rt_report *r, const rt_g *but); /* world stopped */
void rt_failure_begin(gort_runtime *rt, const rt_g *gp, bool fatal); /* then its frames */
void rt_failure_report(gort_runtime *rt);  /* to rt->error, which has the message; world stopped */
/* At once, to descriptor 2: outside a run. On g0; gp has left its stack. */
void rt_failure_print(gort_runtime *rt, const rt_g *gp, const char *message);

/* fault.c */
bool rt_user_code(const gort_runtime *rt, uintptr_t pc); /* goroutine code, by gort_module_add */
/* The same, and who is stopped there may be dropped there: it cannot have malloc's lock. */
bool rt_droppable_code(const gort_runtime *rt, uintptr_t pc);
void *rt_landing_top(rt_g *gp);           /* from where a goroutine's stack may be used anew */
void rt_fault_module(gort_runtime *rt, gort_func main); /* what is goroutine code in this run */
int rt_fault_acquire(void);
void rt_fault_release(void);

/* Somebody wanted the present turn of pp to end. */
static inline bool rt_turn_is_over(const rt_p *pp)
{
	return rt_load32_rlx(&pp->wanttick) == rt_load32_rlx(&pp->schedtick);
}

/* This M leaves its loop now: it was told to, or it is the host's and the run ends. */
static inline bool rt_run_leaving(rt_m *mp)
{
	return RT_UNLIKELY(rt_load32_acq(&mp->exiting)) ||
	       (mp->host && rt_load32_acq(&mp->rt->runstate) == RT_RUN_ENDING);
}

#endif
