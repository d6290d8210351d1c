/* crowd.c: see crowd.h. */
#include "core/sched/crowd.h"

enum { FULL = RT_CROWD_ALL / 4 * 3, ROOM = RT_CROWD_ALL / 2, SAMPLES = 16 };
enum { BETTER = 8 /* several threads, by this part at least */ };

static void begin(rt_crowd *c, rt_crowd_phase phase, int64_t ns, uint64_t events, int64_t now)
{
	c->phase = phase;
	c->since = now;
	c->ends = now + ns;
	c->events = events;
}

static double rate(const rt_crowd *c, uint64_t events, int64_t now)
{
	return (double)(events - c->events) / (double)(now - c->since);
}

/* Of the trial that ends now. */
static void decide(rt_crowd *c, double tried, int64_t now)
{
	double one = c->alone ? c->rate : tried, several = c->alone ? tried : c->rate;
	bool alone = several <= one + one / BETTER;

	if (alone != c->alone)
		c->hold = RT_CROWD_HOLD;
	else if (c->hold < RT_CROWD_HOLD_MOST)
		c->hold *= 2;
	c->alone = alone;
	c->decided = now;
}

static void next_phase(rt_crowd *c, uint64_t events, int64_t now)
{
	switch (c->phase) {
	case RT_CROWD_NONE:
		if (c->hold > 0 && now - c->decided < RT_CROWD_HOLD_MOST) { /* it was full just before */
			begin(c, RT_CROWD_HOLDS, c->hold, events, now);
			break;
		}
		c->alone = false;
		c->hold = RT_CROWD_HOLD;
		/* fallthrough */
	case RT_CROWD_HOLDS:
		begin(c, RT_CROWD_MEASURE, RT_CROWD_WINDOW, events, now);
		break;
	case RT_CROWD_MEASURE:
		c->rate = rate(c, events, now);
		begin(c, RT_CROWD_TRY, RT_CROWD_WINDOW, events, now);
		break;
	case RT_CROWD_TRY:
		decide(c, rate(c, events, now), now);
		begin(c, RT_CROWD_HOLDS, c->hold, events, now);
		break;
	}
}

bool rt_crowd_step(rt_crowd *c, bool full, uint64_t events, int64_t now)
{
	c->full += ((full ? RT_CROWD_ALL : 0) - c->full) / SAMPLES;
	if (c->full < (c->phase == RT_CROWD_NONE ? FULL : ROOM))
		c->phase = RT_CROWD_NONE;
	else if (c->phase == RT_CROWD_NONE || now >= c->ends)
		next_phase(c, events, now);
	return c->phase != RT_CROWD_NONE && c->alone != (c->phase == RT_CROWD_TRY);
}
