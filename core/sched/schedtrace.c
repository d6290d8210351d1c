/* schedtrace.c: GODEBUG=schedtrace=N and scheddetail=1: lines about the scheduler on stderr, in Go's format. Written
 * by sysmon, with sched.lock for a moment; the figures of Ps that run are what they were a moment ago. */
#include "core/sched/internal.h"

#include <stdio.h>

static const char *boolean(bool b)
{
	return b ? "true" : "false";
}

/* A number, or "nil" for -1. */
static const char *number(char *buf, size_t size, int64_t n)
{
	if (n < 0)
		return "nil";
	snprintf(buf, size, "%lld", (long long)n);
	return buf;
}

static void print_ps(gort_runtime *rt)
{
	char m[24];

	for (int i = 0; i < rt_gomaxprocs(rt); i++) {
		const rt_p *pp = rt->sched.allp[i];
		const rt_m *mp = rt_loadptr_acq(&pp->m);

		rt_print("  P%d: status=%u schedtick=%u syscalltick=%u m=%s runqsize=%u gfreecnt=%d timerslen=%d\n",
		         i, rt_load32_rlx(&pp->status), rt_load32_rlx(&pp->schedtick),
		         rt_load32_rlx(&pp->syscalltick), number(m, sizeof m, mp != NULL ? (int64_t)mp->id : -1),
		         rt_runq_len(pp), pp->ngfree + (pp->gspare != NULL ? RT_GFREE_BATCH : 0),
		         (int)rt_load32_rlx(&pp->timers.n));
	}
}

static void print_ms_locked(gort_runtime *rt)
{
	char p[24], g[24], l[24];

	for (const rt_m *mp = rt->sched.allm; mp != NULL; mp = mp->alllink) {
		const rt_p *pp = mp->p;
		const rt_g *gp = mp->curg, *lg = rt_loadptr_rlx(&mp->lockedg);

		rt_print("  M%u: p=%s curg=%s mallocing=0 throwing=0 preemptoff= locks=%d dying=0 spinning=%s "
		         "blocked=%s lockedg=%s\n",
		         mp->id, number(p, sizeof p, pp != NULL ? pp->id : -1),
		         number(g, sizeof g, gp != NULL ? (int64_t)gp->goid : -1), (int)mp->locks,
		         boolean(mp->spinning), boolean(mp->idle || mp->standing),
		         number(l, sizeof l, lg != NULL ? (int64_t)lg->goid : -1));
	}
}

static void print_gs(gort_runtime *rt)
{
	rt_sched *sc = &rt->sched;
	char m[24], l[24];
	rt_g *gp;

	rt_lock(&sc->allglock, RT_RANK_allg);
	gp = sc->allg;
	rt_unlock(&sc->allglock, RT_RANK_allg);
	for (; gp != NULL; gp = gp->alllink) {
		uint32_t status = rt_load32_acq(&gp->status);
		const rt_m *mp = gp->m, *lm = gp->lockedm;

		rt_print("  G%llu: status=%u(%s) m=%s lockedm=%s\n", (unsigned long long)gp->goid, status,
		         status == RT_G_WAITING ? rt_waitreason_text(gp->waitreason) : "",
		         number(m, sizeof m, mp != NULL ? (int64_t)mp->id : -1),
		         number(l, sizeof l, lm != NULL ? (int64_t)lm->id : -1));
	}
}

/* The lengths of all Ps' rings, as many as fit on the line. */
static void lengths(gort_runtime *rt, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	for (int i = 0; i < rt_gomaxprocs(rt) && n + 16 < size; i++)
		n += (size_t)snprintf(buf + n, size - n, i == 0 ? "%u" : " %u",
		                      rt_runq_len(rt->sched.allp[i]));
}

void rt_schedtrace(gort_runtime *rt, int64_t now)
{
	rt_sched *sc = &rt->sched;
	bool detail = rt->debug.scheddetail != 0;
	char rings[700];

	lengths(rt, rings, sizeof rings);
	rt_lock(&sc->lock, RT_RANK_sched);
	rt_print("SCHED %llums: gomaxprocs=%d idleprocs=%u threads=%u spinningthreads=%u needspinning=0 "
	         "idlethreads=%u runqueue=%u",
	         (unsigned long long)((now - rt->born) / GORT_MILLISECOND), rt_gomaxprocs(rt),
	         rt_load32_rlx(&sc->npidle), sc->mcount, rt_load32_rlx(&sc->nmspinning), rt_load32_rlx(&sc->nmidle),
	         rt_load32_rlx(&sc->runqsize));
	if (!detail) {
		rt_print(" [%s]\n", rings);
	} else {
		rt_print(" gcwaiting=%s nmidlelocked=%u stopwait=%u sysmonwait=%s\n",
		         boolean(rt_load32_rlx(&sc->gcwaiting)), sc->nmidlelocked, sc->stopwait,
		         boolean(rt_load32_rlx(&sc->sysmonsleeps)));
		print_ps(rt);
		print_ms_locked(rt);
	}
	rt_unlock(&sc->lock, RT_RANK_sched);
	if (detail)
		print_gs(rt);
}
