/* crowd.h: whether a batch of events calls another thread for help. Sysmon asks; no other thread, no lock, no clock of
 * its own. Why that is a question: netpoll.c, "Crowds".
 *
 * While the machine has a CPU to spare (be_crowd_now, a mean of the last samples) the answer is yes. When it is full it
 * depends on who else is there. The clients of this very program get more done if it keeps to one thread, and so does
 * the program. Strangers do not: against them each thread of the program gets a share of the machine. Nothing tells the
 * two apart but trying. So what holds is measured for a while (events handled for each moment), the other way is tried
 * for as long, and the better one holds: longer each time that it proves better again, up to a second. One thread wins
 * unless several do more by an eighth: it needs less of the machine, and waits less for it. */
#ifndef CORE_CROWD_H
#define CORE_CROWD_H

#include "backends/thread/thread.h"

typedef enum rt_crowd_phase {
	RT_CROWD_NONE,    /* there is room */
	RT_CROWD_HOLDS,   /* as was found out */
	RT_CROWD_MEASURE, /* the same, and it is measured */
	RT_CROWD_TRY      /* the other way */
} rt_crowd_phase;

typedef struct rt_crowd { /* zeros at first */
	int full;         /* of the last samples, up to RT_CROWD_ALL: the machine was full */
	rt_crowd_phase phase;
	bool alone;       /* what holds: nobody is called */
	int64_t sampled;  /* when */
	int64_t since, ends; /* of this phase; ns */
	int64_t hold;     /* the next one, ns; 0: never tried */
	int64_t decided;  /* when a trial ended last */
	uint64_t events;  /* handled before it */
	double rate;      /* of what holds: events for each ns */
} rt_crowd;

enum { RT_CROWD_ALL = 1024 };
#define RT_CROWD_SAMPLE INT64_C(1000000)     /* between two samples */
#define RT_CROWD_WINDOW INT64_C(40000000)    /* of a measurement */
#define RT_CROWD_HOLD INT64_C(125000000)      /* of what was not found better yet */
#define RT_CROWD_HOLD_MOST INT64_C(1000000000)

/* full: be_crowd_now said so at `now`; events: handled ever. True: batches of events shall call nobody, until it is
 * asked again; that should be after RT_CROWD_SAMPLE. */
bool rt_crowd_step(rt_crowd *c, bool full, uint64_t events, int64_t now);

#endif
