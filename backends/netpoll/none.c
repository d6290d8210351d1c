/* none.c: no descriptors; waiting is parking (park.h). */
#include "backends/netpoll/netpoll.h"

#include "backends/netpoll/park.h"

#include <errno.h>

const char be_netpoll_name[] = "none";

int be_netpoll_init(be_netpoll *np)
{
	*np = (be_netpoll){0};
	return 0;
}

void be_netpoll_fini(be_netpoll *np)
{
	(void)np;
}

int be_netpoll_start(be_netpoll *np)
{
	(void)np;
	return -ENOTSUP;
}

int be_netpoll_open(be_netpoll *np, be_pollfd *d)
{
	(void)np, (void)d;
	return -ENOTSUP;
}

void be_netpoll_close(be_netpoll *np, be_pollfd *d)
{
	(void)np, (void)d;
}

int be_netpoll_arm(be_netpoll *np, be_pollfd *d, unsigned what)
{
	(void)np, (void)d, (void)what;
	return -ENOTSUP;
}

int be_netpoll_wait(be_netpoll *np, be_pollevent *events, int max, int64_t ns)
{
	(void)events, (void)max;
	if (ns != 0)
		park_wait(np, ns);
	return 0;
}

void be_netpoll_break(be_netpoll *np)
{
	(void)park_break(np);
}
