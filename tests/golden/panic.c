/* panic.c: the C half of panic.go: the same functions under the same names. */
#include "tests/golden/golden.h"

#include <math.h>

typedef struct node {
	struct node *left, *right;
} node;
GORT_DEFINE_TYPE(node, GORT_PTR(node, left), GORT_PTR(node, right));

static void say(const char *text)
{
	puts(text);
}

F(panic_first) { gort_panics("first"); }
F(panic_second) { gort_panics("second"); }
F(panic_third) { gort_panics("third"); }
F(say_deferred) { say("deferred"); }

F(recovers)
{
	gort_eface v;

	if (gort_recover(&v)) {
		gort_string s = gort_panic_text(v);

		printf("recovered %.*s\n", (int)s.len, s.ptr);
	} else {
		puts("nothing to recover");
	}
}

F(repanics)
{
	recovers(NULL);
	gort_panics("again");
}

/* Go's recover is bound to the frame, ours to the scope: a helper must be a scope to count. */
F(helper) { gort_scope(recovers, NULL); }
F(goes_on) { gort_goexit(); }

F(panics_inside) /* a deferred call, so a scope */
{
	gort_defer(recovers, NULL);
	gort_panics("inner");
}

F(deferred_two)
{
	gort_defer(panic_third, NULL);
	gort_panics("second");
}

F(text)
{
	gort_defer(say_deferred, NULL);
	gort_panics("boom");
}

F(lines) { gort_panics("one\ntwo\n\nthree\n"); }
F(empty) { gort_panics(""); }

#define PANIC(type, v)                                                                             \
	type *p = gort_new(GORT_TYPE(type));                                                       \
	*p = (v);                                                                                  \
	gort_panic((gort_eface){ GORT_TYPE(type), p })

F(integer) { PANIC(int32_t, -42); }
F(unsigned_) { PANIC(uint64_t, UINT64_MAX); }
F(boolean)
{
	bool *p = gort_new(GORT_TYPE(bool)); /* a macro would hand on _Bool */

	*p = true;
	gort_panic((gort_eface){ GORT_TYPE(bool), p });
}
F(float_) { PANIC(double, 1.5); }
F(tiny) { PANIC(double, -3.0517578125e-05); }
F(infinite) { PANIC(double, -INFINITY); }
F(pointer) { gort_panic((gort_eface){ GORT_TYPE(node), gort_new(GORT_TYPE(node)) }); }
F(null) { gort_panic((gort_eface){ NULL, NULL }); }

F(nested)
{
	gort_defer(panic_second, NULL);
	gort_panics("first");
}

F(nested_three)
{
	gort_defer(deferred_two, NULL);
	gort_panics("first");
}

F(recovered_inside)
{
	gort_defer(panics_inside, NULL);
	gort_panics("outer");
}

F(recovered)
{
	gort_defer(say_deferred, NULL);
	gort_defer(recovers, NULL);
	gort_panics("first");
}

F(recovered_call)
{
	gort_scope(recovered, NULL);
	recovers(NULL);
	say("goes on");
}

F(not_direct)
{
	gort_defer(helper, NULL);
	gort_panics("first");
}

F(repanicked)
{
	gort_defer(repanics, NULL);
	gort_panics("first");
}

F(repanicked_twice)
{
	gort_defer(repanics, NULL);
	gort_defer(repanics, NULL);
	gort_panics("first");
}

F(replaced)
{
	gort_defer(recovers, NULL);
	gort_defer(panic_second, NULL);
	gort_panics("first");
}

F(replaced_call)
{
	gort_scope(replaced, NULL);
	say("goes on");
}

F(goexit)
{
	gort_defer(say_deferred, NULL);
	gort_defer(recovers, NULL);
	gort_goexit();
}

F(goexit_in_panic)
{
	gort_defer(say_deferred, NULL);
	gort_defer(goes_on, NULL);
	gort_panics("first");
}

F(panic_in_goexit)
{
	gort_defer(panic_first, NULL);
	gort_goexit();
}

F(recovered_in_goexit)
{
	gort_defer(say_deferred, NULL);
	gort_defer(panics_inside, NULL);
	gort_goexit();
}

F(worker) { gort_panics("in a goroutine"); }

F(other_goroutine)
{
	gort_go(worker, NULL);
	gort_chan_recv(gort_chan_make(GORT_TYPE(int), 0), NULL);
}

F(middle) { gort_go(worker, NULL); }

F(grandchild)
{
	gort_go(middle, NULL);
	gort_chan_recv(gort_chan_make(GORT_TYPE(int), 0), NULL);
}


F(send_closed)
{
	gort_chan *c = gort_chan_make(GORT_TYPE(int), 1);
	int one = 1;

	gort_chan_close(c);
	gort_chan_send(c, &one);
}

F(close_closed)
{
	gort_chan *c = gort_chan_make(GORT_TYPE(int), 0);

	gort_chan_close(c);
	gort_chan_close(c);
}

F(close_nil) { gort_chan_close(NULL); }

static gort_chan *shared;

F(sender)
{
	int one = 1;

	gort_chan_send(shared, &one);
}

F(close_under_sender)
{
	shared = gort_chan_make(GORT_TYPE(int), 0);
	gort_go(sender, NULL);
	gort_gosched();
	gort_chan_close(shared);
	gort_chan_recv(gort_chan_make(GORT_TYPE(int), 0), NULL);
}

F(recovered_close)
{
	gort_defer(recovers, NULL);
	close_closed(NULL);
}

F(recovered_error)
{
	gort_scope(recovered_close, NULL);
	say("goes on");
}

F(huge_chan) { gort_chan_make(GORT_TYPE(int), INTPTR_MAX); }

static const golden_case cases[] = {
	{ "text", text },
	{ "lines", lines },
	{ "empty", empty },
	{ "integer", integer },
	{ "unsigned", unsigned_ },
	{ "boolean", boolean },
	{ "float", float_ },
	{ "tiny", tiny },
	{ "infinite", infinite },
	{ "pointer", pointer },
	{ "null", null },
	{ "nested", nested },
	{ "nested_three", nested_three },
	{ "recovered_inside", recovered_inside },
	{ "recovered_call", recovered_call },
	{ "not_direct", not_direct },
	{ "repanicked", repanicked },
	{ "repanicked_twice", repanicked_twice },
	{ "replaced_call", replaced_call },
	{ "goexit", goexit },
	{ "goexit_in_panic", goexit_in_panic },
	{ "panic_in_goexit", panic_in_goexit },
	{ "recovered_in_goexit", recovered_in_goexit },
	{ "other_goroutine", other_goroutine },
	{ "grandchild", grandchild },
	{ "send_closed", send_closed },
	{ "close_closed", close_closed },
	{ "close_nil", close_nil },
	{ "close_under_sender", close_under_sender },
	{ "recovered_error", recovered_error },
	{ "huge_chan", huge_chan },
};

GOLDEN_MAIN(cases, NULL)
