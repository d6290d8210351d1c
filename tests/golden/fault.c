/* fault.c: the C half of fault.go. What is divided is hidden from the compiler, for which it would be
 * undefined; CPUs that do not trap give a number for it, and their halves lack the case (status 77). */
#include "tests/golden/golden.h"

typedef struct node {
	struct node *left, *right;
	int32_t key;
} node;

static node *volatile root;
static volatile int32_t zero, total;

F(recovers)
{
	gort_eface v;

	if (gort_recover(&v)) {
		gort_string s = gort_panic_text(v);

		printf("recovered %.*s\n", (int)s.len, s.ptr);
	}
}

F(panic_again) { gort_panics("again"); }

GOLDEN_APART static void store(volatile node *n) { n->key = 1; }
GOLDEN_APART static int32_t load(volatile node *n) { return ((volatile node *)n->left)->key; }

F(store_nil) { store(root); }
F(load_nil) { total = load(root); }
F(field_of_nil) { total = ((volatile node *)root)->key; }

F(load_twice)
{
	static node n;

	root = &n;
	total = load(root);
}

F(recovered)
{
	gort_defer(recovers, NULL);
	store(root);
}

F(recovered_call)
{
	gort_scope(recovered, NULL);
	gort_scope(recovered, NULL);
	puts("goes on");
}

F(drop_it) { gort_recover(NULL); }

F(quiet)
{
	gort_defer(drop_it, NULL);
	store(root);
}

F(recovered_many)
{
	for (int i = 0; i < 1000; i++)
		gort_scope(quiet, NULL);
	puts("goes on");
}

F(then_another)
{
	gort_scope(quiet, NULL);
	gort_panics("another");
}

F(panic_in_deferred)
{
	gort_defer(panic_again, NULL);
	store(root);
}

F(deferred_store) { store(root); }

F(fault_in_deferred)
{
	gort_defer(deferred_store, NULL);
	gort_panics("first");
}

F(fault_in_fault)
{
	gort_defer(deferred_store, NULL);
	store(root);
}

F(worker) { store(root); }

F(in_goroutine)
{
	gort_go(worker, NULL);
	gort_chan_recv(gort_chan_make(GORT_TYPE(int), 0), NULL);
}

#ifdef __x86_64__
GOLDEN_APART static int32_t divide(int32_t by)
{
	int32_t quotient = 7, rest = 0;

	__asm__ volatile("idivl %2" : "+a"(quotient), "+d"(rest) : "r"(by));
	return quotient;
}

F(divide_by_zero) { total = divide(zero); }

F(recovered_division)
{
	gort_defer(recovers, NULL);
	total = divide(zero);
}
#endif

static void (*volatile code)(void);

F(call_nil)
{
	code();
	__asm__ volatile("" : : : "memory");
}

static const golden_case cases[] = {
	{ "store_nil", store_nil },
	{ "load_nil", load_nil },
	{ "field_of_nil", field_of_nil },
	{ "load_twice", load_twice },
	{ "recovered_call", recovered_call },
	{ "recovered_many", recovered_many },
	{ "then_another", then_another },
	{ "panic_in_deferred", panic_in_deferred },
	{ "fault_in_deferred", fault_in_deferred },
	{ "fault_in_fault", fault_in_fault },
	{ "in_goroutine", in_goroutine },
#ifdef __x86_64__
	{ "divide_by_zero", divide_by_zero },
	{ "recovered_division", recovered_division },
#endif
	{ "call_nil", call_nil },
};

GOLDEN_MAIN(cases, NULL)
