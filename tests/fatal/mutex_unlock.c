/* mutex_unlock.c: unlocking an unlocked mutex ends the program; no deferred call runs, nothing recovers.
 *
 *   expect: fatal error: sync: unlock of unlocked mutex
 *   expect: goroutine 1 [running]:
 *   status: 2
 *   without: deferred
 */
#include <gort.h>

#include <stdio.h>

static void deferred(void *arg)
{
	(void)arg;
	puts("deferred");
	(void)gort_recover(NULL);
}

static void unlock(void *arg)
{
	gort_defer(deferred, NULL);
	gort_mutex_unlock(arg);
}

static void program(void *arg)
{
	gort_mutex m = GORT_INIT;

	(void)arg;
	(void)gort_try(unlock, &m, NULL);
	puts("deferred");
}

int main(void)
{
	return gort_main(program, NULL);
}
