/* rwmutex_unlock.c: a writer's unlock of a lock that readers have ends the program.
 *
 *   expect: fatal error: sync: Unlock of unlocked RWMutex
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
	gort_rwmutex_rlock(&m);
	gort_rwmutex_unlock(&m);
	puts("not reached");
}

int main(void)
{
	return gort_main(program, NULL);
}
