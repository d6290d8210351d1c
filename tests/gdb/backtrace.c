/* A made context some calls deep, for backtrace.sh to look at. */
#include "backends/context/context.h"
#include "core/base/attrs.h"

#include <stdlib.h>

enum { STACK = 64 << 10, ROUNDS = 3 };

static be_context *home, *away;

/* The debugger stops here. */
RT_NOINLINE void stop_here(void);
RT_NOINLINE void stop_here(void)
{
	__asm__ volatile("" : : : "memory");
}

static RT_NOINLINE void deep(int n)
{
	if (n > 0) {
		deep(n - 1);
	} else {
		stop_here();
		be_context_switch(away, home);
	}
	__asm__ volatile("" : : : "memory"); /* no tail call */
}

static void goroutine(void *arg)
{
	(void)arg;
	for (;;)
		deep(3);
}

int main(void)
{
	char *stack = malloc(STACK);
	void *record = malloc(be_context_size);

	if (stack == NULL || record == NULL)
		return 1;
	home = be_context_adopt(record);
	away = be_context_make(stack, STACK, goroutine, NULL);
	for (int i = 0; i < ROUNDS; i++)
		be_context_switch(home, away);
	be_context_drop(away);
	be_context_unadopt(home);
	free(record);
	free(stack);
	return 0;
}
