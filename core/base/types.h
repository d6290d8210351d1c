/* types.h: the runtime's nouns, declared once so that headers need not include each other. */
#ifndef CORE_BASE_TYPES_H
#define CORE_BASE_TYPES_H

typedef struct gort_runtime gort_runtime;
typedef struct rt_g rt_g;           /* goroutine: core/sched/sched_impl.h */
typedef struct rt_m rt_m;           /* thread */
typedef struct rt_p rt_p;           /* processor: the right to run goroutines */
struct rt_faulted;                  /* a fault that became a panic: core/sched/sched_impl.h */
typedef struct rt_seeded rt_seeded; /* a runtime whose schedule is a function of a number: core/sched/seeded.c */
typedef struct rt_stack rt_stack;   /* core/stack/stack.h */

#endif
