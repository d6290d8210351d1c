/* rwmutex_runlock.c: a reader's unlock of a lock that a writer has ends the program.
 *
 *   expect: fatal error: sync: RUnlock of unlocked RWMutex
 *   expect: goroutine 1 [running]:
 *   status: 2
 *   without: not reached
 */
#include <gort.h>

#include <stdio.h>

static void program(void *arg)
{
	gort_rwmutex m = GORT_INIT;

	(void)arg;
	gort_rwmutex_lock(&m);
	gort_rwmutex_runlock(&m);
	puts("not reached");
}

int main(void)
{
	return gort_main(program, NULL);
}
