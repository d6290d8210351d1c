/* switch_cost.c: nanoseconds of one be_context_switch, by the slot alone: two contexts that hand over to each
 * other. The best of a few rounds: what else runs on the machine only adds. */
#include "backends/context/context.h"

#include <gort.h>

#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 7, SWITCHES = 20000, STACK = 64 << 10 };

static be_context *home, *other;

static void bounce(void *arg)
{
	(void)arg;
	for (;;)
		be_context_switch(other, home);
}

static double round_ns(void)
{
	int64_t start = gort_nanotime();

	for (int i = 0; i < SWITCHES; i++)
		be_context_switch(home, other);
	return (double)(gort_nanotime() - start) / (2.0 * SWITCHES);
}

int main(void)
{
	void *stack = malloc(STACK), *record = calloc(1, be_context_size + 16);
	double best = 1e18;

	if (stack == NULL || record == NULL)
		return 1;
	home = be_context_adopt((void *)(((uintptr_t)record + 15) & ~(uintptr_t)15));
	other = be_context_make(stack, STACK, bounce, NULL);
	if (home == NULL || other == NULL)
		return 1;
	for (int i = 0; i < ROUNDS; i++) {
		double ns = round_ns();

		best = ns < best ? ns : best;
	}
	be_context_drop(other);
	be_context_unadopt(home);
	free(record);
	free(stack);
	printf("%s %.1f ns\n", be_context_name, best);
	return 0;
}
