/* cond_unlock.c: waiting on a condition without holding the mutex ends the program.
 *
 *   expect: fatal error: sync: unlock of unlocked mutex
 *   expect: goroutine 1 [running]:
 *   status: 2
 *   without: not reached
 */
#include <gort.h>

#include <stdio.h>

static void program(void *arg)
{
	gort_mutex m = GORT_INIT;
	gort_cond c = GORT_INIT;

	(void)arg;
	gort_cond_wait(&c, &m);
	puts("not reached");
}

int main(void)
{
	return gort_main(program, NULL);
}
