/* loop.c: be_context_loop and be_context_back by be_context_switch, for implementations without better ones. */
#include "backends/context/context.h"

void be_context_loop(be_context *g0, be_context *(*next)(void *arg), void *arg)
{
	be_context *c;

	while ((c = next(arg)) != NULL)
		be_context_switch(g0, c);
}

void be_context_back(be_context *from, be_context *g0)
{
	be_context_switch(from, g0);
}
