/* golden.h: the frame of a golden program's C half. PROGRAM CASE runs one case as the main goroutine, as
 * gort_main does, so that the process ends as a Go program. Functions are not inlined and have a
 * name that Go's half has, too (a trailing _ where C reserves it, and for what is a literal scope). */
#ifndef TESTS_GOLDEN_H
#define TESTS_GOLDEN_H

#include <gort.h>

#include <stdio.h>
#include <string.h>

/* A function of a goroutine. noclone: gcc would rename it. The barrier of volatile keeps its frame. */
#if defined __clang__
#define GOLDEN_APART __attribute__((noinline, disable_tail_calls))
#else
#define GOLDEN_APART __attribute__((noinline, noclone, no_icf, optimize("no-optimize-sibling-calls")))
#endif
#define F(name) GOLDEN_APART static void name(void *arg GORT_UNUSED)

typedef struct golden_case {
	const char *name;
	gort_func fn;
} golden_case;

static const golden_case *golden_chosen;
static void (*golden_prepare)(void);

/* In backtraces it stands for main. golden_prepare is what Go's main does first. */
F(golden_main)
{
	if (golden_prepare != NULL)
		golden_prepare();
	golden_chosen->fn(NULL);
}

GORT_UNUSED static int golden_run(const golden_case *cases, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(cases[i].name, name) == 0) {
			golden_chosen = &cases[i];
			return gort_main(golden_main, NULL);
		}
	return 77; /* not on this CPU */
}

#define GOLDEN_MAIN(cases, prepare)                                                                \
	int main(int argc, char **argv)                                                            \
	{                                                                                          \
		golden_prepare = (prepare);                                                        \
		return golden_run(cases, sizeof cases / sizeof *cases, argc > 1 ? argv[1] : "");   \
	}

#endif
