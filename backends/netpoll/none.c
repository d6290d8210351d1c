/* none.c: no descriptors; waiting is parking on the word that a break sets.
 *
 * word is 0 or 1 (a break is pending). The waiter takes the 1 by an exchange, the breaker puts it
 * there by one and wakes only when it was the first, so that a hundred breaks cost one system call.
 *
 * A break is never lost: the park returns at once if the word is 1 already, and a wake after the
 * word was changed reaches whoever parks on it (contract of be_thread_park). A woken waiter may
 * find 0 only if it woke for no reason; it returns, which the contract allows.
 */
#include "backends/netpoll/netpoll.h"

#include "backends/thread/thread.h"

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

int be_netpoll_wait(be_netpoll *np, int64_t ns)
{
	if (ns != 0 && rt_load32_acq(&np->word) == 0)
		(void)be_thread_park(&np->word, 0, ns); /* woken or out of time: the same to us */
	if (rt_load32_rlx(&np->word) != 0)
		rt_xchg32_full(&np->word, 0); /* acquire: pairs with the release of the breaker */
	return 0;
}

void be_netpoll_break(be_netpoll *np)
{
	if (rt_xchg32_full(&np->word, 1) == 0)
		be_thread_wake(&np->word, 1);
}
