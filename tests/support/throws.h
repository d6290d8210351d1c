/* throws.h: "this must throw", for cmocka tests: THROWS("double wakeup", rt_note_wakeup(&n)).
 *
 * The hook leaves the throw by longjmp, so the statement must not hold anything that it would have
 * to give back. One thread at a time. */
#ifndef TESTS_SUPPORT_THROWS_H
#define TESTS_SUPPORT_THROWS_H

#include "core/base/check.h"

#include <setjmp.h>
#include <string.h>

static jmp_buf throws_back;
static char throws_said[160];

RT_UNUSED static void throws_hook(const char *what)
{
	strncpy(throws_said, what, sizeof throws_said - 1);
	longjmp(throws_back, 1);
}

#define THROWS(text, statement)                                                                    \
	do {                                                                                       \
		throws_said[0] = '\0';                                                             \
		rt_throw_hook = throws_hook;                                                       \
		if (setjmp(throws_back) == 0) {                                                    \
			statement;                                                                 \
		}                                                                                  \
		rt_throw_hook = NULL;                                                              \
		assert_string_equal(throws_said, text);                                            \
	} while (0)

#endif
