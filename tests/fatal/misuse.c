/* misuse.c: a call that only goroutines may make, from a thread that is none.
 *
 *   expect: gort: gort_gosched:
 *   status: abort
 *   without: not reached
 */
#include <gort.h>

#include <stdio.h>

int main(void)
{
	gort_gosched();
	puts("not reached");
	return 0;
}
