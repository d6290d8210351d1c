/* seeded.h: what the scheduler's other files ask of a seeded run; see seeded.c. */
#ifndef CORE_SCHED_SEEDED_H
#define CORE_SCHED_SEEDED_H

#include "core/sched/chooser.h"
#include "core/sched/internal.h"

#define RT_SEEDED_EPOCH GORT_SECOND /* where virtual time begins */
enum { RT_SEEDED_PROCS = 4 };       /* GOMAXPROCS if nobody says */

int rt_seeded_new(gort_runtime *rt); /* if cfg.seed is not 0; booting. 0, GORT_ENOMEM */
void rt_seeded_free(gort_runtime *rt);
void rt_seeded_begin_locked(gort_runtime *rt);  /* of a run; sched.lock. After main has its place */
void rt_seeded_forget_locked(gort_runtime *rt); /* sched.lock, world stopped: every goroutine is dropped */
/* sched.lock: gp is born outside. True: it waits for the next run. */
bool rt_seeded_postpone_locked(gort_runtime *rt, rt_g *gp);
int rt_seeded_procs(gort_runtime *rt, int n);   /* GOMAXPROCS as the program sees it; sets it if n > 0 */
rt_chooser *rt_seeded_chooser(gort_runtime *rt); /* for who has the right to run */

/* The run is over, and its host has not dropped all yet: nobody is chosen any more. */
bool rt_seeded_ends(gort_runtime *rt);
/* sched.lock: gp, which was to go on, does when it can, without a choice. False: no seed, or another one does. */
bool rt_seeded_resume_locked(gort_runtime *rt, rt_g *gp);

/* On g0 with the P: the next goroutine, or NULL. */
rt_g *rt_seeded_next(rt_m *mp);
/* Nothing can run. True: time has jumped to the next timer. */
bool rt_seeded_jump(gort_runtime *rt);
/* A thread has waited for descriptors for ns. */
void rt_seeded_waited(gort_runtime *rt, int64_t ns);
/* On a goroutine, inside, at the end of a call: perhaps another one goes on. */
void rt_seeded_point(rt_m *mp);
uint64_t rt_seeded_system_goid(gort_runtime *rt);

#endif
