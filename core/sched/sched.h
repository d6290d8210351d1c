/* sched.h: what the rooms above may ask of the scheduler.
 *
 * Every public function that needs a goroutine starts with RT_ENTER() and ends with rt_leave().
 * Between the two m->locks is not 0: the goroutine is inside the runtime and is not preempted.
 * Code of the user (deferred calls, methods) runs with m->locks as it was at the entry, that is 0:
 * bracket it with rt_user_begin() and rt_user_end(). After anything that can park, the M may be
 * another one: read rt_self() again; rt_leave() does.
 */
#ifndef CORE_SCHED_H
#define CORE_SCHED_H

#include "core/base/atomic.h"
#include "core/base/attrs.h"
#include "core/base/check.h"
#include "core/base/self.h"
#include "core/base/types.h"
#include "core/include/gort.h"

#include <stdbool.h>
#include <stdint.h>

/* With a seed the runtime's own goroutines have numbers from here on: the others' do not depend on them. */
#define RT_SYSTEM_GOID (UINT64_C(1) << 40)

/* Why a goroutine waits; the texts are Go's. */
typedef enum rt_waitreason {
#define WAIT_REASON(name, text) RT_WAIT_##name,
#include "core/sched/waitreason.def"
#undef WAIT_REASON
	RT_NWAIT
} rt_waitreason;
const char *rt_waitreason_text(unsigned reason); /* NULL: no such reason */

/* RT_ENTER() and rt_leave() are in sched_inline.h, which upper rooms include for them. */


gort_runtime *rt_runtime_of(rt_g *gp);

/* Parks the calling goroutine. On g0, with the state WAITING, commit(gp, arg) is called: it releases the lock
 * under which the goroutine was recorded where its waker finds it. If commit returns false the
 * goroutine goes on at once. Returns when somebody has called rt_goready. */
void rt_gopark(bool (*commit)(rt_g *gp, void *arg), void *arg, rt_waitreason why, const void *on);
/* Makes a parked goroutine runnable, next on this thread's P. Exactly one caller for each park. May be called
 * on a goroutine or on g0, with locks of rank below `sched` held. */
void rt_goready(rt_g *gp);
bool rt_goready_outside(gort_runtime *rt, rt_g *(*pick)(void *arg), void *arg);
/* Lets others run: to the end of the global queue. */
void rt_gosched(void);
/* Hands the processor to the goroutine made runnable last; the caller goes to the end of the local queue. */
void rt_goyield(void);
/* Whether waiting actively for another goroutine pays: other Ps run, and nothing waits to run here. */
bool rt_can_spin(void);
/* Ends the calling goroutine; never returns. Deferred calls are the caller's business. */
_Noreturn void rt_goexit(void);
/* The same for one whose function has returned: main's return ends the run. */
_Noreturn void rt_goroutine_done(rt_g *gp);

/* A timer that lies in the frame of who waits. fn runs on g0 under the lock of the timer's heap
 * and returns the goroutine to be made runnable after that, or NULL. */
typedef struct rt_timer {
	int64_t when;
	rt_g *(*fn)(struct rt_timer *t);
	rt_atomicptr p; /* rt_p *: whose heap; written under that heap's lock */
	int index;      /* in the heap, -1 = in none; guarded by that heap's lock */
} rt_timer;
/* In a commit function, on g0, so that it cannot fire before the goroutine is parked. */
void rt_timer_arm(rt_timer *t, int64_t when, rt_g *(*fn)(rt_timer *));
/* Takes it out if it is still armed; after that fn does not run and has run to its end. */
void rt_timer_disarm(rt_timer *t);

/* A timer in a heap object, all zero at first. It only reminds: at or after the moment set the up-call
 * alarm runs once on g0, holding nothing; or for no reason; or just after rt_alarm_cancel. So that takes the
 * lock that guards the object and looks at the clock. Who calls set and cancel holds that lock;
 * its rank is below `timers`. */
typedef struct rt_alarm {
	rt_atomicptr p;    /* rt_p *: whose heap it is in, or was; see timer.c */
	rt_atomic32 state; /* see timer.c */
	uint32_t hint;     /* where its slot was put; it may have moved. Guarded by that heap's lock */
	int64_t when;      /* of the slot that counts; the same */
} rt_alarm;
bool rt_alarm_set(rt_alarm *a, int64_t when); /* in place of the moment set before. False: no memory */
void rt_alarm_cancel(rt_alarm *a);

/* A goroutine that the scheduler starts, from g0. 0 or GORT_ENOMEM. */
int rt_go_from_g0(gort_func fn, void *arg, void *creator);
/* Memory has ended on g0: ends the run with GORT_ENOMEM. False: none is in progress. */
bool rt_run_out_of_memory(gort_runtime *rt, const char *text);

/* ---- Waiting: wait.c ---------------------------------------------------------------------- */

/* The deadline of a call without `_until`: no timer, and no group cancels it. */
#define RT_UNTIMED INT64_C(-1)
/* The deadline that a user gave. */
static inline int64_t rt_deadline(int64_t deadline)
{
	return deadline < 0 ? 0 : deadline;
}

/* A place in a wait list (channel, semaphore). It lies in the frame of the goroutine that waits,
 * so the collector sees its pointers as part of that stack. g->waiting names it while it is
 * to be found by others, so that the end of a run can take it out (unlink). What `timed` guards is told in wait.c. */
typedef struct rt_waiter {
	/* what who wakes it looks at; it is in nobody's cache */
	struct rt_waiter *next, *prev;
	rt_g *g;
	void *elem;                /* what is sent, or where to receive; user's stack or heap */
	uint32_t ticket;           /* sync/chan.c: woken by close; sync/sema.c: priority in the tree */
	bool timed;                /* several may wake it: the waker must win rt_waiter_claim first */
	bool success;              /* a partner came; false: closed, timed out, cancelled or dropped */
	bool cancelable;           /* one of the wakers is rt_g_cancel */
	bool armed;                /* one of them is the timer */
	void *on;                  /* the channel or address; NULL: a moment */
	void (*unlink)(struct rt_waiter *w); /* world stopped: take it out of its list */
	struct rt_waiter *link;    /* free for who enqueues it */
	/* the rest */
	struct rt_waiter *up, *left, *right; /* sync/sema.c: tree of the addresses of a bucket */
	rt_timer timer;            /* of a wait with a deadline */
	bool parked;               /* sync/cond.c: there is a goroutine to be made runnable */
} rt_waiter;

/* Whether the caller may block until deadline: 0; GORT_ECANCELED: it is cancelled, or its run has ended
 * under an attached thread; GORT_ETIMEDOUT: the moment has passed. */
int rt_wait_refused(rt_g *gp, int64_t deadline);
/* The slow halves of rt_waiter_begin, _open, _claim, _end in sched_inline.h. */
void rt_waiter_begin_timed(rt_g *gp);
void rt_waiter_open_timed(rt_waiter *w);
/* rt_waiter_open where partners hold no lock, and so may have found w, and claimed its wait, already. */
void rt_waiter_open_unlocked(rt_waiter *w);
bool rt_waiter_claim_timed(rt_waiter *w);
bool rt_waiter_may_claim_timed(const rt_waiter *w); /* by a partner, at this moment */
/* For who knows a timed wait by its number: below 2^27, of gp's present one. */
uint32_t rt_g_wait_number(const rt_g *gp);
bool rt_g_claim_wait(rt_g *gp, uint32_t number);
int rt_waiter_failed(rt_g *gp, const rt_waiter *w);

/* ---- Descriptors: netpoll.c ----------------------------------------------------------------- */

typedef struct rt_pd rt_pd;

/* Inside the runtime, with a P. what: 1 << 0 reading, 1 << 1 writing; d is the bit's number. */
/* owner: whose line is asked for when an event comes, or NULL; its memory is never unmapped while the runtime lives.
 * 0; GORT_ENOTSUP: this one cannot be waited for, or none can; GORT_ENOMEM, OS errors. */
int rt_pd_open(gort_runtime *rt, intptr_t fd, void *owner, rt_pd **out);
/* What came before the next try does not count. By who has the right to try, before each try. */
void rt_pd_reset(rt_pd *pd, int d);
/* No event came since the last reset or wait, and what is to come will bring one: also the end. */
bool rt_pd_quiet(const rt_pd *pd, int d);
/* Between them the record may be dropped: hold is called before that can happen, then wait, once for each hold. */
void rt_pd_hold(rt_pd *pd);
/* After a try that would have blocked: parks until it is worth another. Which of `what`, or GORT_ECLOSED,
 * GORT_ETIMEDOUT, GORT_ECANCELED; GORT_EBUSY: another goroutine waits for the same; GORT_ENOMEM, OS errors. */
int rt_pd_wait(rt_pd *pd, unsigned what, int64_t deadline);
/* Its waits end with GORT_ECLOSED, those to come as well. Once, before the descriptor is closed in the system. */
void rt_pd_close(rt_pd *pd);
/* After that, once, when nobody will hold it any more. Those who do keep it; then another descriptor gets it. */
void rt_pd_drop(rt_pd *pd);

/* Every cancellable wait of gp gives up, the present one and all to come, until rt_g_uncancel. The
 * caller holds a lock without which gp does not end and does not uncancel. */
void rt_g_cancel(rt_g *gp);
void rt_g_uncancel(rt_g *gp); /* by gp itself */
bool rt_g_canceled(rt_g *gp);

/* Around code of the user called from inside the runtime. */
void rt_user_begin(void);
void rt_user_end(void);

uint64_t rt_g_goid(rt_g *gp);

/* Ends the run in progress of the calling goroutine's runtime with code (GORT_EPANIC, GORT_EFATAL, GORT_ENOMEM);
 * text is copied into what gort_runtime_error returns, followed by the goroutine's frames. Does not
 * return: the goroutine is dropped. GORT_EXIT_ON_FATAL prints and exits(2). */
_Noreturn void rt_run_fail(int code, const char *text);
/* Go's fatal error: rt_run_fail(GORT_EFATAL, "fatal error: ...") */
_Noreturn void rt_fatal(const char *text);

/* Stops every P; any thread may call it, a goroutine or not. Not reentrant. reason is one of
 * rt_stwreason. */
typedef enum rt_stwreason {
	RT_STW_GOMAXPROCS = 1, RT_STW_END_OF_RUN, RT_STW_TRACE, RT_STW_WATCH, RT_STW_GC_BEGIN, RT_STW_GC_END,
	RT_STW_GC_SETTINGS
} rt_stwreason;
void rt_stop_world(gort_runtime *rt, rt_stwreason why);
int64_t rt_start_world(gort_runtime *rt); /* when it went on */
/* Around both, by a public function that any thread may call: a goroutine is inside the runtime, whichever it belongs
 * to, and may come out on another thread. One of another runtime is in a system call of its own meanwhile, or two
 * that look at each other's would each hold a P that the other one waits for. Fatal between pin and unpin: who
 * comes second has to wait. Returns what rt_look_leave wants. */
bool rt_look_enter(gort_runtime *rt, const char *function);
void rt_look_leave(bool aside);
/* The same check for a function that stops the world of the goroutine which has entered it. */
void rt_unpinned(const rt_m *mp, const char *function);
/* In between, by who stopped it: up to n threads that have nothing to do, now or until rt_team_end, call fn(arg) on
 * their g0, without a P. It blocks on nothing but locks that only the team takes, and allocates nothing. */
void rt_team_begin(gort_runtime *rt, uint32_t n, void (*fn)(void *arg), void *arg);
void rt_team_end(gort_runtime *rt); /* none comes any more; returns when all have returned */

/* What the rooms above put below: registered once by api/runtime.c for each runtime. */
typedef struct rt_upcalls {
	void (*goroutine_main)(rt_g *gp, gort_func fn, void *arg); /* builtin: fn as a scope */
	void (*scope)(rt_g *gp, gort_func fn, void *arg); /* builtin: fn as a scope, on gp, inside but for fn */
	void (*goroutine_drop)(rt_g *gp); /* builtin, sync: forget its deferred calls, leave its group;
	                                   * on gp, or world stopped */
	void (*alarm)(rt_alarm *a);             /* sync: see rt_alarm */
	void (*run_failed)(gort_runtime *rt);   /* watch: goroutines are about to be dropped; world stopped */
	void (*run_dropped)(gort_runtime *rt, bool all); /* watch: they are dropped, and none is in foreign code */
	void (*pool_cleanup)(gort_runtime *rt); /* sync: a collection begins; world stopped */
	/* builtin, sync: words off the heap that may hold heap pointers. gp does not run; the world is stopped */
	void (*panic_roots)(rt_g *gp, void (*visit)(void *data, void **slot), void *data);
	void (*pool_roots)(gort_runtime *rt, void (*visit)(void *data, void **slot), void *data);
	/* sync: the channels of a select, whose goroutine waits by w; world stopped */
	void (*select_objects)(const rt_waiter *w, void (*visit)(void *data, const void *object), void *data);
	/* gc. p_new: what a new P needs; false: no memory. p_flush: it dies, world stopped. p_free: tear-down */
	bool (*p_new)(gort_runtime *rt, rt_p *pp);
	void (*p_flush)(gort_runtime *rt, rt_p *pp);
	void (*p_free)(gort_runtime *rt, rt_p *pp);
	/* gc, while marking: gp is about to run, here or where it stands; its stack must be scanned
	 * before. Any thread, holding no lock of a rank from `timers` on */
	void (*gc_scan)(rt_g *gp);
	void (*gc_born)(rt_g *gp);    /* gp is new, by a caller with a P */
	void (*gc_shade)(void *obj);  /* a pointer goes where the collector has been; the caller has a P */
	bool (*gc_work)(rt_m *mp, bool idle); /* on g0 with a P: marks for a while. idle: marks or sweeps until there is
	                                       * something else to do. True: it did something */
	bool (*gc_any)(gort_runtime *rt); /* there is something for a P without work */
	void (*gc_gone)(rt_g *gp);    /* gp, of the runtime's own, has ended by itself: only the address counts. On g0
	                               * with a P, holding nothing */
	void (*gc_drop)(gort_runtime *rt); /* the run ends, all goroutines are gone; world stopped */
	int64_t (*gc_tick)(gort_runtime *rt, int64_t now); /* sysmon, at each look; takes less than 300 us; ns until it
	                                                    * wants another, -1: at any time */
	void (*goroutine_fault)(rt_g *gp, const char *error, const struct rt_faulted *fault); /* builtin: raises the
	                                   * run-time error of a fault; does not return */
} rt_upcalls;


#endif
