/* gort.h: Go's runtime as a C library. The one installed header; C11 and C++11.
 *
 * Where nothing else is said an operation means what the same operation means in Go 1.23, and a
 * run-time error is a panic with Go's text.
 *
 * Who may call. [G]: a goroutine, that is a function started by gort_go and its kin, or a thread
 * between gort_attach and gort_detach. [T]: any thread, goroutines included. [S]: signal handlers
 * too. What carries no mark is [G]; called from elsewhere it prints its name and aborts.
 *
 * Results. Codes are 0 or a negative GORT_E*; an OS error is GORT_EOS - errno. Constructors store
 * the new handle in their first parameter, and NULL on failure; other results come last. Sizes are
 * bytes or elements in size_t. Times are nanoseconds; a deadline is a moment on gort_nanotime's
 * clock. The `_until` twin of a blocking call gives up with GORT_ETIMEDOUT at its deadline (one in
 * the past still tries once) and with GORT_ECANCELED when the caller's gort_group is cancelled.
 *
 * Memory. What this header calls a heap object is collected; it lives as long as the collector
 * finds a pointer to it, or into it, in a goroutine's stack or registers, in another heap object,
 * or in a root (gort_root_add, GORT_SCAN_DATA). Pointers kept elsewhere (malloc, thread-locals) do
 * not count; the arg of a goroutine, deferred call, timer or cleanup does, until that has run. Heap
 * objects and locks belong to one runtime. A const char * returned belongs to the library and lasts
 * as long as what it describes.
 */
#ifndef GORT_H
#define GORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined _WIN32 && defined GORT_BUILD
#define GORT_API __declspec(dllexport)
#elif defined _WIN32 && !defined GORT_STATIC
#define GORT_API __declspec(dllimport)
#elif defined __GNUC__ && !defined _WIN32
#define GORT_API __attribute__((visibility("default"))) GORT_NOPLT
#else
#define GORT_API
#endif

/* A call into the shared library goes straight there: some of these functions take less time than a detour. */
#ifdef __has_attribute
#if __has_attribute(noplt)
#define GORT_NOPLT __attribute__((noplt))
#endif
#endif
#ifndef GORT_NOPLT
#define GORT_NOPLT
#endif

#ifdef __cplusplus
#define GORT_NORETURN [[noreturn]]
#define GORT_ALIGNOF(T) alignof(T)
extern "C" {
#else
#define GORT_NORETURN _Noreturn
#define GORT_ALIGNOF(T) _Alignof(T)
#endif

#define GORT_VERSION_MAJOR 0 /* a new major version may break source or binary compatibility */
#define GORT_VERSION_MINOR 1
#define GORT_VERSION_PATCH 0

/* ---- Codes, times, opaque types ------------------------------------------------------------- */

enum {
	GORT_OK = 0,
	GORT_EINVAL = -1,     /* an argument is out of range or malformed */
	GORT_ENOMEM = -2,     /* the system refused memory */
	GORT_EAGAIN = -3,     /* would block, and the caller asked not to */
	GORT_ETIMEDOUT = -4,  /* the deadline passed */
	GORT_ECLOSED = -5,    /* channel, connection or listener closed */
	GORT_ECANCELED = -6,  /* the caller's group was cancelled, or the runtime is ending */
	GORT_EBUSY = -7,      /* not now: running already, still in use, called from inside */
	GORT_ENOTSUP = -8,    /* the backend built in cannot do it */
	GORT_EDEADLOCK = -9,  /* all goroutines are asleep */
	GORT_EPANIC = -10,    /* a goroutine panicked and did not recover */
	GORT_EFATAL = -11,    /* Go's "fatal error": not recoverable, as a stack overflow */
	GORT_EFORKED = -12,   /* the runtime belongs to the process that forked this one */
	GORT_EOS = -1000      /* GORT_EOS - errno: the system's own error */
};

#define GORT_OS_ERROR(code) ((code) < GORT_EOS ? GORT_EOS - (code) : 0) /* the errno, or 0 */
#define GORT_FOREVER INT64_MAX /* no deadline */
#define GORT_MICROSECOND INT64_C(1000)
#define GORT_MILLISECOND INT64_C(1000000)
#define GORT_SECOND INT64_C(1000000000)

typedef struct gort_runtime gort_runtime; /* a scheduler, a heap, a collector, a trace */
typedef struct gort_type gort_type;       /* never freed; equal types have equal pointers */
typedef struct gort_itab gort_itab;       /* a type's methods in the order of an interface */
typedef struct gort_chan gort_chan;       /* heap object */
typedef struct gort_timer gort_timer;     /* heap object */
typedef struct gort_ticker gort_ticker;   /* heap object */
typedef struct gort_weak gort_weak;       /* heap object */
typedef struct gort_conn gort_conn;       /* heap object; closed when collected */
typedef struct gort_listener gort_listener; /* heap object; closed when collected */
typedef struct gort_poll gort_poll;       /* heap object; closed when collected */

typedef void (*gort_func)(void *arg);     /* a goroutine, a deferred call, a cleanup */
typedef void (*gort_code)(void);          /* a function of any signature; cast before the call */
typedef int (*gort_writer)(void *data, const void *bytes, size_t n); /* non-zero stops the output */

typedef struct gort_string { const char *ptr; intptr_t len; } gort_string; /* not NUL-terminated */
typedef struct gort_eface { const gort_type *type; void *data; } gort_eface; /* Go's any */
typedef struct gort_iface { const gort_itab *tab; void *data; } gort_iface;  /* has methods */

/* [S] The text of a code. */
GORT_API const char *gort_strerror(int code);
/* [S] "0.1.0" of the library that is running. */
GORT_API const char *gort_version(void);

typedef struct gort_backend { const char *slot, *name; } gort_backend;
/* [S] The slots of the build and what fills them: {"context", "asm"}, {"netpoll", "epoll"}, ... */
GORT_API const gort_backend *gort_backends(size_t *n);

/* ---- Life of a runtime ---------------------------------------------------------------------- */

enum { /* gort_config.signals: the handlers the runtime may install; it chains to those it finds */
	GORT_SIGNAL_PREEMPT = 1, /* SIGURG: others run while a goroutine computes or blocks elsewhere */
	GORT_SIGNAL_FAULT = 2    /* SIGSEGV, ...: nil dereference panics, stack overflow is named */
};
enum { /* gort_config.flags */
	GORT_EXIT_ON_FATAL = 1, /* print a fatal error and exit(2), as a Go program does */
	GORT_SCAN_DATA = 2,     /* the program's data segments are roots */
	GORT_LIBRARY = 4        /* other threads may gort_runtime_go any time: never a deadlock */
};

typedef struct gort_config {
	size_t size;           /* set by gort_config_init: lets the struct grow */
	int procs;             /* GOMAXPROCS; 0 = number of CPUs */
	int gc_percent;        /* GOGC; negative = off */
	int64_t memory_limit;  /* GOMEMLIMIT, bytes; INT64_MAX = none */
	size_t stack_size;     /* address space of one goroutine stack; 0 = 256 KiB (32-bit: 64).
	                        * GORT_ENOMEM: more than a process should reserve at once, 1 TiB or less */
	const char *collector; /* "concurrent", "stw", "none" */
	uint64_t seed;         /* 0 = production scheduler; else reproducible, in virtual time */
	unsigned signals;      /* GORT_SIGNAL_*; both by default */
	unsigned flags;        /* GORT_EXIT_ON_FATAL, ... */
	const char *debug;     /* "gctrace=1,schedtrace=1000": the switches of GODEBUG */
} gort_config;
/* [T] Sets the defaults, then what GOMAXPROCS, GOGC, GOMEMLIMIT and GODEBUG say. A macro below
 * calls it as gort_config_init(&cfg). */
GORT_API void gort_config_init_sized(gort_config *cfg, size_t size);
/* [T] Sets what options says: "procs=4,gogc=50,memlimit=64MiB,stack=64KiB,collector=stw,seed=7".
 * gogc also takes off; debug=... comes last, takes the rest and points into options.
 * GORT_EINVAL, and cfg as it was, on an unknown name or value. */
GORT_API int gort_config_parse(gort_config *cfg, const char *options);

/* [T] Makes a runtime; cfg NULL = defaults. GORT_EINVAL, GORT_ENOMEM, OS errors. */
GORT_API int gort_runtime_new(gort_runtime **out, const gort_config *cfg);
/* Runs main(arg) as the main goroutine and returns 0 when it does; as at the end of a Go program
 * all others are dropped where they stand, their deferred calls not run. May be called again;
 * the heap stays. The calling thread is a worker of rt meanwhile and main starts on it, so that
 * gort_lock_os_thread keeps main there. GORT_EDEADLOCK, GORT_EPANIC, GORT_EFATAL, GORT_ENOMEM: the
 * program failed, see gort_runtime_error; or the code given to gort_runtime_stop. GORT_EBUSY: rt is
 * running, or the caller is a goroutine. GORT_EINVAL: main is NULL. GORT_EFORKED. */
GORT_API int gort_runtime_run(gort_runtime *rt, gort_func main, void *arg);
/* [T] Starts fn(arg) as a goroutine of rt, whether or not main runs; with a seed it waits for main.
 * GORT_EINVAL, GORT_ENOMEM, GORT_EFORKED. */
GORT_API int gort_runtime_go(gort_runtime *rt, gort_func fn, void *arg);
/* [T] Ends the run in progress, which returns code; as os.Exit, no deferred call runs. Does not
 * return to a goroutine of rt. GORT_EINVAL: nothing runs. */
GORT_API int gort_runtime_stop(gort_runtime *rt, int code);
/* [T] Ends rt and gives back its memory, threads, descriptors and handlers. NULL is allowed. Every
 * heap object of rt is gone; finalizers do not run. GORT_EBUSY: it runs, a thread is attached, or a
 * dropped goroutine is still in a system call or in foreign code and did not leave it within 100 ms.
 * GORT_EINVAL: freed before. */
GORT_API int gort_runtime_free(gort_runtime *rt);
/* [T] What Go prints when a program fails as the last run did: "panic: ..." or "fatal error: ...",
 * then every goroutine's state and backtrace; "" if it did not. Lasts until another run or free. */
GORT_API const char *gort_runtime_error(gort_runtime *rt);

/* [T] Makes this thread a goroutine of rt, wired to the thread, until gort_detach; it may then do
 * all that a goroutine may, and like one it calls gort_entersyscall before it blocks elsewhere. A
 * run that ends leaves attached threads be, but from then until they detach they never block:
 * receives report closed, `_until` twins GORT_ECANCELED, sends and waits return, locks are taken.
 * GORT_EBUSY: it is a goroutine already. GORT_ENOMEM, GORT_EFORKED. */
GORT_API int gort_attach(gort_runtime *rt);
/* [T] Undoes gort_attach. GORT_EINVAL: this is no attached thread. */
GORT_API int gort_detach(void);

/* A goroutine whose thread is still to come, for who makes threads that attach: it has its number at
 * once, and counts as awake. With a seed a thread that calls gort_attach comes when the clock says; by
 * a seat the schedule is the seed's. The order, without other calls of gort in between: new; start the
 * thread, which calls attach and waits there; ready; or, if no thread could be started, free. */
typedef struct gort_seat gort_seat;
/* [T] *goid: its number (may be NULL); by a goroutine of rt: as its child. GORT_EINVAL, GORT_ENOMEM,
 * GORT_EFORKED. */
GORT_API int gort_seat_new(gort_runtime *rt, gort_seat **out, uint64_t *goid);
/* [T] It may go on from here on. Once; another goroutine may go on meanwhile. GORT_ECANCELED: the run is over.
 * GORT_EFORKED. */
GORT_API int gort_seat_ready(gort_seat *seat);
/* [T] As gort_attach, with that goroutine; the seat is gone, in any case but GORT_EBUSY. GORT_ENOMEM.
 * GORT_ECANCELED: its run was over before it was ready. GORT_EFORKED. */
GORT_API int gort_seat_attach(gort_seat *seat);
/* [T] It was not ready, and no thread comes. NULL is allowed. In the child of a fork it is only forgotten: the free
 * of its runtime, which may not come before, gives it back. */
GORT_API void gort_seat_free(gort_seat *seat);

/* A C program as a Go program: new with defaults and GORT_EXIT_ON_FATAL, run, free. Returns the
 * exit status for main: 0, or 1 if no runtime could be made. Not from a goroutine. */
GORT_API int gort_main(gort_func main, void *arg);

/* Runs main under the seeds cfg->seed (0 = 1), +1, +2, ... each in a runtime of its own. 0 if all
 * `runs` pass; else the code of the first that did not, and in *seed its seed, which makes any run
 * of the program fail in the same way; but GORT_EBUSY and GORT_ENOMEM may be the system's. Not from a
 * goroutine. */
GORT_API int gort_explore(const gort_config *cfg, gort_func main, void *arg, uint64_t runs,
                          uint64_t *seed);

/* In a seeded run each moment at which several goroutines could go on is a step; the first is 1. The
 * usual one goes on, which is the one that runs, or else the one that has waited longest; or by choice
 * the one with this goid. */
typedef struct gort_choice {
	uint64_t step, goid;
} gort_choice;
/* [T] The next run of rt makes these n choices, by rising steps, instead of its seed's, and is
 * usual at all other steps; one whose goroutine cannot go on at its step is passed over. What select
 * draws stays the seed's. choices is copied; NULL: those of the seed. From here on runs keep what
 * they choose. GORT_EINVAL: rt has no seed. GORT_EBUSY: it runs. GORT_ENOMEM, GORT_EFORKED. */
GORT_API int gort_schedule_set(gort_runtime *rt, const gort_choice *choices, size_t n);
/* [T] How many choices the last run made, and the first n of them in out; *steps, if not NULL: how many
 * steps it had. GORT_EINVAL, GORT_EBUSY, GORT_EFORKED as above. GORT_ENOMEM: there was none to keep them. */
GORT_API int64_t gort_schedule_get(gort_runtime *rt, gort_choice *out, size_t n, uint64_t *steps);

/* [T] Says that the program or shared library that holds `code` is goroutine code: a fault there is
 * a panic (GORT_SIGNAL_FAULT), and a goroutine that computes there is dropped at once when the run
 * ends; elsewhere it is when it next calls the runtime. gort_runtime_run does it for the module of
 * main. GORT_ENOTSUP: the C library is linked into the same file. */
GORT_API int gort_module_add(gort_code code);

/* fork(): the child's runtimes are dead. gort_runtime_free gives back what they hold, everything
 * else reports GORT_EFORKED or behaves as outside a goroutine. New runtimes work as usual. */

/* ---- Goroutines ----------------------------------------------------------------------------- */

typedef struct gort_go_attr {
	size_t size;       /* sizeof(gort_go_attr) */
	size_t stack_size; /* address space of its stack, below 2 GiB; 0 = the runtime's */
	const char *name;  /* copied, cut at 31 bytes; NULL = none */
} gort_go_attr;
/* go fn(arg). GORT_ENOMEM. fn NULL is the fatal error "go of nil func value".
 *
 * Threads. A goroutine that is preempted where it computes, and one that blocks outside of the
 * runtime, keeps its thread until it calls the runtime again. While 8,000 stand preempted (GODEBUG's
 * standing=N), goroutines that have not begun wait until one of these ends; those that had begun
 * and are woken go on. Calls that block are not bounded: each has its thread. */
GORT_API int gort_go(gort_func fn, void *arg);
/* The same with attributes. GORT_EINVAL, GORT_ENOMEM. */
GORT_API int gort_go_with(const gort_go_attr *attr, gort_func fn, void *arg);
/* Lets others run; this goroutine goes to the end of the global queue. */
GORT_API void gort_gosched(void);
/* Ends this goroutine after its deferred calls. In main the others go on. */
GORT_NORETURN GORT_API void gort_goexit(void);
/* [T] This goroutine's number: 1 for main in every run, else one never used before; 0 outside. */
GORT_API uint64_t gort_goid(void);
/* [T] The runtime of this goroutine; NULL outside. */
GORT_API gort_runtime *gort_self(void);
/* The number of goroutines, this one included and the runtime's own left out. */
GORT_API int gort_num_goroutine(void);
/* Sets GOMAXPROCS if n > 0; returns the value before. */
GORT_API int gort_gomaxprocs(int n);
/* [T] The CPUs this process may use. */
GORT_API int gort_num_cpu(void);
/* Wires this goroutine to its thread until as many unlocks; ending wired ends the thread, too. */
GORT_API void gort_lock_os_thread(void);
GORT_API void gort_unlock_os_thread(void);
/* Around a call that may block in the system: others run meanwhile, at once. (A call that blocks
 * without them holds others up for a slice only, if GORT_SIGNAL_PREEMPT is allowed.) Between the two
 * this goroutine calls nothing else of the runtime and loads or stores no heap pointer.
 *
 * EINTR. The handler of GORT_SIGNAL_PREEMPT asks for a restart, so most calls that are interrupted
 * go on. On Linux these do not, as after any signal: nanosleep, clock_nanosleep, usleep, sleep
 * (which returns the rest); poll, ppoll, select, pselect, epoll_wait, epoll_pwait; sem_timedwait;
 * msgrcv, msgsnd, semop, semtimedop; pause, sigsuspend, sigtimedwait, sigwaitinfo; io_getevents;
 * accept and all forms of recv with SO_RCVTIMEO; connect and all forms of send with SO_SNDTIMEO. A
 * read or write that has moved some bytes returns their number. Call again, or call them between
 * gort_entersyscall and gort_exitsyscall, where the runtime sends nothing (a signal may still be on
 * its way). Windows interrupts no call. */
GORT_API void gort_entersyscall(void);
GORT_API void gort_exitsyscall(void);
/* Between pin and unpin this goroutine is neither preempted nor moved to another thread, and must
 * not block, nor call what stops the world (statistics, lists, dumps, gort_gc, settings): for code that
 * uses thread-locals or holds the host's locks. They nest. */
GORT_API void gort_pin(void);
GORT_API void gort_unpin(void);
/* [T] The address of this thread's errno, now: compilers cache &errno across a switch. */
GORT_API int *gort_errno(void);

/* ---- Defer, panic, recover ------------------------------------------------------------------ */

/* Calls fn(arg), then what it deferred, last first: in Go terms fn is a function with defers, as is
 * a goroutine's function, that of gort_try and each deferred call. C frames that a panic leaves are
 * left as by longjmp: C++ destructors in them do not run. */
GORT_API void gort_scope(gort_func fn, void *arg);
/* defer fn(arg) in the innermost scope. */
GORT_API void gort_defer(gort_func fn, void *arg);
/* panic(v). The nil interface panics with "panic called with nil argument". */
GORT_NORETURN GORT_API void gort_panic(gort_eface v);
/* panic(string): v is a gort_string with a copy of text. */
GORT_NORETURN GORT_API void gort_panics(const char *text);
/* In a deferred call that a panic runs, outside any newer scope: stops the panic, stores its value
 * (v may be NULL) and returns true; the scope then returns normally. Else false. */
GORT_API bool gort_recover(gort_eface *v);
/* Calls fn(arg) as a scope. Returns 1 if it panicked, after its deferred calls, with the value in
 * *panicked (may be NULL); 0 if not. gort_goexit is not stopped. */
GORT_API int gort_try(gort_func fn, void *arg, gort_eface *panicked);
/* v as Go prints it after "panic: ": a string's text, "runtime error: ..." for run-time errors. */
GORT_API gort_string gort_panic_text(gort_eface v);

/* ---- Time ----------------------------------------------------------------------------------- */

/* [S] A monotonic clock. In a seeded runtime it is virtual: it stands still while a goroutine can
 * run and jumps to the next timer when none can, or all only yield; and who asks again and again, instead of waiting,
 * sees it pass: a microsecond for each call after the first 10,000. Outside its goroutines: the real one. */
GORT_API int64_t gort_nanotime(void);
/* time.Sleep: at least ns; returns at once if ns <= 0. */
GORT_API void gort_sleep(int64_t ns);
/* Sleeps until the deadline. 0, or GORT_ECANCELED. */
GORT_API int gort_sleep_until(int64_t deadline);

/* time.NewTimer: sends the time (int64_t) on its channel once, ns from now. */
GORT_API gort_timer *gort_timer_new(int64_t ns);
/* time.AfterFunc: starts fn(arg) as a goroutine, ns from now; has no channel. Ends with the run. */
GORT_API gort_timer *gort_after_func(int64_t ns, gort_func fn, void *arg);
/* The timer's channel, of int64_t; its length and capacity read 0. NULL for gort_after_func. */
GORT_API gort_chan *gort_timer_chan(gort_timer *t);
/* True if that keeps a value from being received or a function from running. No earlier value can
 * be received after it. */
GORT_API bool gort_timer_stop(gort_timer *t);
GORT_API bool gort_timer_reset(gort_timer *t, int64_t ns);
/* time.NewTicker: sends the time every ns; drops ticks for slow receivers. Panics if ns <= 0. */
GORT_API gort_ticker *gort_ticker_new(int64_t ns);
GORT_API gort_chan *gort_ticker_chan(gort_ticker *t);
GORT_API void gort_ticker_stop(gort_ticker *t);
GORT_API void gort_ticker_reset(gort_ticker *t, int64_t ns);
/* time.After: the channel of a new timer. */
GORT_API gort_chan *gort_after(int64_t ns);

/* ---- Channels and select -------------------------------------------------------------------- */

/* make(chan T, cap). Panics "makechan: size out of range". */
GORT_API gort_chan *gort_chan_make(const gort_type *elem, size_t cap);
/* c <- *elem. Panics if closed; blocks forever if c is NULL. */
GORT_API void gort_chan_send(gort_chan *c, const void *elem);
/* *elem, ok = <-c; elem NULL drops it. False: closed and empty, *elem zeroed. */
GORT_API bool gort_chan_recv(gort_chan *c, void *elem);
/* 0, GORT_ETIMEDOUT, GORT_ECANCELED; panics if closed. */
GORT_API int gort_chan_send_until(gort_chan *c, const void *elem, int64_t deadline);
/* 0, GORT_ECLOSED (*elem zeroed), GORT_ETIMEDOUT, GORT_ECANCELED. */
GORT_API int gort_chan_recv_until(gort_chan *c, void *elem, int64_t deadline);
/* Sends if that does not block; panics if closed. */
GORT_API bool gort_chan_try_send(gort_chan *c, const void *elem);
/* 0, GORT_ECLOSED (*elem zeroed), GORT_EAGAIN. */
GORT_API int gort_chan_try_recv(gort_chan *c, void *elem);
/* close(c). Panics if closed or NULL. */
GORT_API void gort_chan_close(gort_chan *c);
/* len(c), cap(c); 0 for NULL. */
GORT_API size_t gort_chan_len(gort_chan *c);
GORT_API size_t gort_chan_cap(gort_chan *c);

enum { GORT_SEND = 1, GORT_RECV = 2 };
typedef struct gort_select_case {
	gort_chan *chan; /* NULL: never ready */
	void *elem;      /* the value to send; where to put the received one, or NULL */
	int dir;         /* GORT_SEND, GORT_RECV */
	bool ok;         /* out, for the chosen receive: false if the channel was closed */
} gort_select_case;
/* select: the index of the case done, chosen uniformly among the ready. Deadline 0 is `default`:
 * GORT_EAGAIN. GORT_ETIMEDOUT, GORT_ECANCELED (deadline not GORT_FOREVER). Panics when it chooses
 * a send on a closed channel. n = 0 and GORT_FOREVER: blocks forever; GORT_ECANCELED once the run of
 * an attached thread has ended. */
GORT_API int gort_select(gort_select_case *cases, size_t n, int64_t deadline);

/* ---- sync: ready to use when zero-filled, `= GORT_INIT`; never copied after first use --------
 *
 * One that outlives a run (gort_runtime_run) in which goroutines were dropped that held it, waited
 * for it or were in its function is zeroed before the next run uses it; channels, conditions, pools
 * and groups need not be. In another run, or another runtime, a group is as new. A thread that was
 * attached to a run that is over shares no lock with a later one: nothing blocks it, so it may not
 * have what it locked. */

#define GORT_INIT { { 0 } }
/* These hold no heap pointers and may live in any memory. */
typedef struct gort_mutex { uint32_t opaque[2]; } gort_mutex;
typedef struct gort_rwmutex { uint32_t opaque[6]; } gort_rwmutex;
typedef struct gort_waitgroup { uint64_t opaque[2]; } gort_waitgroup;
typedef struct gort_once { uint32_t opaque[4]; } gort_once;
typedef struct gort_cond { uint64_t opaque[4]; } gort_cond;
typedef struct gort_sema { uint32_t opaque[1]; } gort_sema;

/* sync.Mutex. Unlocking an unlocked one is fatal: "sync: unlock of unlocked mutex". A try_lock that
 * fails says nothing about what others have done before: an unlock may be on its way. */
GORT_API void gort_mutex_lock(gort_mutex *m);
GORT_API int gort_mutex_lock_until(gort_mutex *m, int64_t deadline);
GORT_API bool gort_mutex_try_lock(gort_mutex *m);
GORT_API void gort_mutex_unlock(gort_mutex *m);

/* sync.RWMutex. A waiting writer holds back new readers. */
GORT_API void gort_rwmutex_lock(gort_rwmutex *m);
GORT_API int gort_rwmutex_lock_until(gort_rwmutex *m, int64_t deadline);
GORT_API bool gort_rwmutex_try_lock(gort_rwmutex *m);
GORT_API void gort_rwmutex_unlock(gort_rwmutex *m);
GORT_API void gort_rwmutex_rlock(gort_rwmutex *m);
GORT_API int gort_rwmutex_rlock_until(gort_rwmutex *m, int64_t deadline);
GORT_API bool gort_rwmutex_try_rlock(gort_rwmutex *m);
GORT_API void gort_rwmutex_runlock(gort_rwmutex *m);

/* sync.WaitGroup. Panics "sync: negative WaitGroup counter".
 * Once a wait has returned, wg may go away, even while the last done is on its way out. */
GORT_API void gort_waitgroup_add(gort_waitgroup *wg, int delta);
GORT_API void gort_waitgroup_done(gort_waitgroup *wg);
GORT_API void gort_waitgroup_wait(gort_waitgroup *wg);
GORT_API int gort_waitgroup_wait_until(gort_waitgroup *wg, int64_t deadline);
/* add(1), then go { fn(arg); done }. GORT_ENOMEM, and the count as it was. */
GORT_API int gort_waitgroup_go(gort_waitgroup *wg, gort_func fn, void *arg);

/* sync.Once: the first call runs fn(arg), the others wait for it; done even if fn panics. */
GORT_API void gort_once_do(gort_once *o, gort_func fn, void *arg);

/* sync.Cond; m is locked on entry and on every return. Waiters wake in the order they came. */
GORT_API void gort_cond_wait(gort_cond *c, gort_mutex *m);
GORT_API int gort_cond_wait_until(gort_cond *c, gort_mutex *m, int64_t deadline);
GORT_API void gort_cond_signal(gort_cond *c);
GORT_API void gort_cond_broadcast(gort_cond *c);

/* A counting semaphore, from 0; first come, first served. */
GORT_API void gort_sema_acquire(gort_sema *s);
GORT_API int gort_sema_acquire_until(gort_sema *s, int64_t deadline);
GORT_API bool gort_sema_try_acquire(gort_sema *s);
GORT_API void gort_sema_release(gort_sema *s);

/* These hold heap pointers: keep them where the collector looks; in a type, name them as fields. */
typedef struct gort_pool { void *opaque[4]; void *(*make)(void *arg); void *arg; } gort_pool;
typedef struct gort_group { void *opaque[8]; } gort_group;

#define GORT_POOL_INIT(make, arg) { { 0 }, (make), (arg) }

/* sync.Pool of heap objects: one survives a collection, not two. Get calls make if there is none;
 * NULL without make. Put of NULL does nothing. */
GORT_API void *gort_pool_get(gort_pool *p);
GORT_API void gort_pool_put(gort_pool *p, void *obj);

/* Structured concurrency: goroutines that end before gort_group_wait returns. A group first used
 * by a goroutine of another group is that group's child and is cancelled with it. Cancelling makes
 * every `_until` call of the group's goroutines return GORT_ECANCELED, now and later, except those
 * that can be done without blocking. */
/* Starts fn(arg) in g; blocks while the limit is reached. A non-zero result cancels g with that
 * code, a panic with GORT_EPANIC. GORT_ENOMEM. */
GORT_API int gort_group_go(gort_group *g, int (*fn)(void *arg), void *arg);
/* Waits for all; then g is as new. The first non-zero result or cancel code, or 0; a panic is
 * raised again here. */
GORT_API int gort_group_wait(gort_group *g);
/* The same; GORT_ETIMEDOUT and the caller's GORT_ECANCELED leave g as it is. */
GORT_API int gort_group_wait_until(gort_group *g, int64_t deadline);
/* Cancels g and its children with a negative code. The first code stays. */
GORT_API void gort_group_cancel(gort_group *g, int code);
/* A channel that is closed when g is cancelled, for select. */
GORT_API gort_chan *gort_group_done(gort_group *g);
/* At most n goroutines at a time; n <= 0 = any number. Set it while none runs. */
GORT_API void gort_group_limit(gort_group *g, int n);

/* ---- Memory --------------------------------------------------------------------------------- */

/* gort_alloc: holds no pointers; and, only with that, may hold what was there before, for who fills it at once */
enum { GORT_NOSCAN = 1, GORT_NOZERO = 2 };

/* new(T): zeroed. No allocation returns NULL: when memory ends, the run ends with GORT_ENOMEM. */
GORT_API void *gort_new(const gort_type *t);
/* n of them. Panics "runtime: allocation size out of range". */
GORT_API void *gort_new_array(const gort_type *t, size_t n);
/* No type: without flags zeroed, and every aligned word that looks like a pointer counts as one. */
GORT_API void *gort_alloc(size_t size, unsigned flags);
/* *slot = ptr, where slot lies in a heap object, a root or another goroutine's stack. A store into
 * one's own stack needs no barrier. A plain store elsewhere, a struct assignment, memcpy or qsort of
 * heap pointers can lose an object under the collector "concurrent"; GODEBUG=gccheckmark=1 names
 * the slot. The collectors "stw" and "none" need no barrier; nor does filling a slot that holds NULL, in an
 * object that this goroutine has made and no other knows (gccheckmark=1 may name such a store, too; =2 does not). */
GORT_API void gort_store(void *slot, const void *ptr);
/* The same, atomically; returns the pointer before. */
GORT_API void *gort_swap(void *slot, const void *ptr);
/* The same, if *slot == old; returns whether it did. */
GORT_API bool gort_cas(void *slot, const void *old, const void *ptr);
/* Copies n values, which may overlap, with the barriers they need: strings, slices, interfaces and
 * structs, too. */
GORT_API void gort_move(const gort_type *t, void *dst, const void *src, size_t n);
/* Zeroes n values, with the barriers they need. */
GORT_API void gort_clear(const gort_type *t, void *dst, size_t n);
/* [T] Scans size bytes at start as a root, conservatively, until removed. GORT_EINVAL: they overlap
 * one; to remove: no root starts there. GORT_ENOMEM. */
GORT_API int gort_root_add(gort_runtime *rt, void *start, size_t size);
GORT_API int gort_root_remove(gort_runtime *rt, void *start);

/* runtime.GC: a full collection, swept; blocks this goroutine only. */
GORT_API void gort_gc(void);
/* debug.SetGCPercent; returns the value before. Negative = off. */
GORT_API int gort_set_gc_percent(int percent);
/* debug.SetMemoryLimit; returns the value before. Negative only reads. What counts: the heap with its tables, records,
 * and stacks as far as goroutines used them when the last collection looked (what C code allocates does not). */
GORT_API int64_t gort_set_memory_limit(int64_t bytes);
/* debug.FreeOSMemory: collects and returns all it can to the system, also what parked goroutines no longer use of their
 * stacks (not on Windows). */
GORT_API void gort_free_os_memory(void);
/* fn(obj, arg) runs once, in the finalizer goroutine, after obj became unreachable and before it is
 * freed. An object comes before what it points to; in a cycle, never. fn NULL removes it.
 * GORT_EINVAL: obj is not the start of a heap object, or has a finalizer. */
GORT_API int gort_set_finalizer(void *obj, void (*fn)(void *obj, void *arg), void *arg);
/* fn(arg) runs after obj is unreachable for good; any number, in any order; arg must not reach obj.
 * GORT_EINVAL: obj is not in the heap, or fn is NULL. */
GORT_API int gort_add_cleanup(void *obj, gort_func fn, void *arg);
/* A pointer that does not keep obj alive: the same handle for the same object. NULL for NULL, and for what
 * is not in the heap. */
GORT_API gort_weak *gort_weak_make(void *obj);
/* The object, or NULL once it is unreachable: before its finalizer runs. NULL for NULL. */
GORT_API void *gort_weak_value(gort_weak *w);
/* obj is reachable up to this call. */
GORT_API void gort_keep_alive(const void *obj);
/* The start of the heap object that p points into, or NULL; its usable size (size may be NULL). Blocks of
 * less than 16 bytes without pointers share an object of 16. */
GORT_API void *gort_object(const void *p, size_t *size);

typedef struct gort_mem_stats { /* runtime.MemStats, less Lookups, EnableGC, DebugGC; bytes, ns */
	uint64_t alloc, total_alloc, sys, mallocs, frees;
	uint64_t heap_alloc, heap_sys, heap_idle, heap_inuse, heap_released, heap_objects;
	uint64_t stack_inuse, stack_sys, mspan_inuse, mspan_sys, mcache_inuse, mcache_sys;
	uint64_t buck_hash_sys, gc_sys, other_sys;
	uint64_t next_gc, last_gc, pause_total_ns, pause_ns[256], pause_end[256];
	uint32_t num_gc, num_forced_gc;
	double gc_cpu_fraction;
	struct { uint32_t size; uint64_t mallocs, frees; } by_size[61]; /* size classes 0 to 60 */
} gort_mem_stats;
/* [T] Stops the world for a moment. A macro below calls it as gort_mem_stats_read(rt, &stats). */
GORT_API void gort_mem_stats_read_sized(gort_runtime *rt, gort_mem_stats *out, size_t size);

/* ---- Types [T] ------------------------------------------------------------------------------ */

enum { /* as in Go */
	GORT_KIND_BOOL = 1, GORT_KIND_INT, GORT_KIND_INT8, GORT_KIND_INT16, GORT_KIND_INT32,
	GORT_KIND_INT64, GORT_KIND_UINT, GORT_KIND_UINT8, GORT_KIND_UINT16, GORT_KIND_UINT32,
	GORT_KIND_UINT64, GORT_KIND_UINTPTR, GORT_KIND_FLOAT32, GORT_KIND_FLOAT64,
	GORT_KIND_COMPLEX64, GORT_KIND_COMPLEX128, GORT_KIND_ARRAY, GORT_KIND_CHAN, GORT_KIND_FUNC,
	GORT_KIND_INTERFACE, GORT_KIND_MAP, GORT_KIND_POINTER, GORT_KIND_SLICE, GORT_KIND_STRING,
	GORT_KIND_STRUCT, GORT_KIND_UNSAFE_POINTER
};

/* GORT_TYPE(name) is the descriptor of one of these, a GORT_DEFINE_TYPE or a GORT_DEFINE_ALIAS.
 * In Go: int and int32_t are int32, intptr_t is int, size_t is uint, double is float64, gort_string
 * is string, gort_eface is interface {}, void_ptr is unsafe.Pointer. */
GORT_API const gort_type *gort_type_of_bool(void), *gort_type_of_int(void);
GORT_API const gort_type *gort_type_of_unsigned(void), *gort_type_of_size_t(void);
GORT_API const gort_type *gort_type_of_int8_t(void), *gort_type_of_int16_t(void);
GORT_API const gort_type *gort_type_of_int32_t(void), *gort_type_of_int64_t(void);
GORT_API const gort_type *gort_type_of_uint8_t(void), *gort_type_of_uint16_t(void);
GORT_API const gort_type *gort_type_of_uint32_t(void), *gort_type_of_uint64_t(void);
GORT_API const gort_type *gort_type_of_intptr_t(void), *gort_type_of_uintptr_t(void);
GORT_API const gort_type *gort_type_of_float(void), *gort_type_of_double(void);
GORT_API const gort_type *gort_type_of_gort_string(void), *gort_type_of_gort_eface(void);
GORT_API const gort_type *gort_type_of_gort_pool(void);
GORT_API const gort_type *gort_type_of_gort_group(void), *gort_type_of_void_ptr(void);

/* What the macros GORT_DEFINE_TYPE and GORT_DEFINE_INTERFACE fill in, once in each file. */
typedef struct gort_member {
	const char *name;
	size_t offset;                  /* of a field; of a method: 1 = only on pointers to T */
	const gort_type *(*type)(void); /* of a field; NULL for a method */
	gort_code code;                 /* of a method; NULL for a field and in an interface */
} gort_member;
typedef struct gort_type_def {
	const char *name;
	size_t size, align;             /* 0, 0: an interface; align: 8192 at most */
	const gort_member *members;
	size_t n;
	void *cache;                    /* the library's */
} gort_type_def;
/* The type that def describes: one for all definitions of the same name and layout. */
GORT_API const gort_type *gort_type_define(gort_type_def *def);

/* *T, []T, [n]T, chan T (dir: GORT_SEND | GORT_RECV), map[K]V, func(in...) (out...). NULL: no
 * memory, n too large, or K not comparable; also, here and below, if one of the types is NULL. */
GORT_API const gort_type *gort_type_pointer(const gort_type *elem);
GORT_API const gort_type *gort_type_slice(const gort_type *elem);
GORT_API const gort_type *gort_type_array(const gort_type *elem, size_t n);
GORT_API const gort_type *gort_type_chan(const gort_type *elem, int dir);
GORT_API const gort_type *gort_type_map(const gort_type *key, const gort_type *elem);
GORT_API const gort_type *gort_type_func(const gort_type *const *in, size_t nin,
                                         const gort_type *const *out, size_t nout, bool variadic);

typedef struct gort_struct_field {
	const char *name; const gort_type *type; size_t offset;
} gort_struct_field;
/* struct { fields }, laid out as by Go; the offsets are stored in fields. NULL: no memory. */
GORT_API const gort_type *gort_type_struct(gort_struct_field *fields, size_t n);

typedef struct gort_method {
	const char *name;
	const gort_type *type; /* a gort_type_func without the receiver; NULL = any */
	gort_code code;        /* its first parameter is the data word; NULL in an interface */
	bool on_pointer;       /* only in the method set of *T */
} gort_method;
/* interface { methods }; n = 0 is Go's any. NULL: no memory, or a name twice. */
GORT_API const gort_type *gort_type_interface(const gort_method *methods, size_t n);
/* type name underlying, with methods: a new type at each call. NULL: no memory, or a name twice. */
GORT_API const gort_type *gort_type_named(const char *name, const gort_type *underlying,
                                          const gort_method *methods, size_t n);

GORT_API int gort_type_kind(const gort_type *t);
GORT_API size_t gort_type_size(const gort_type *t);
GORT_API size_t gort_type_align(const gort_type *t);
/* As %T prints it: "map[string][]int32". */
GORT_API const char *gort_type_name(const gort_type *t);
/* Of an array, chan, map, pointer or slice; of a map; else NULL. */
GORT_API const gort_type *gort_type_elem(const gort_type *t);
GORT_API const gort_type *gort_type_key(const gort_type *t);
/* Elements of an array, fields of a struct, methods of an interface; else 0. */
GORT_API size_t gort_type_len(const gort_type *t);
/* Field i of a struct; false past the end. */
GORT_API bool gort_type_field(const gort_type *t, size_t i, gort_struct_field *out);
GORT_API bool gort_type_comparable(const gort_type *t);
GORT_API bool gort_type_has_pointers(const gort_type *t);
/* [G] *a == *b. Panics "runtime error: comparing uncomparable type T". */
GORT_API bool gort_type_equal(const gort_type *t, const void *a, const void *b);
/* [G] The hash for maps. Panics "runtime error: hash of unhashable type T". */
GORT_API uintptr_t gort_type_hash(const gort_type *t, const void *p, uintptr_t seed);

/* ---- Network and files: block the goroutine, not the thread ---------------------------------- */

/* Listens: "tcp", "tcp4", "tcp6" at "host:port"; "unix" at a path. TCP connections send at once
 * (no delay), as in Go. GORT_EINVAL; GORT_ENOTSUP: the backend `netpoll` is none; OS errors, ENXIO for a
 * host that nobody knows. */
GORT_API int gort_listen(gort_listener **out, const char *network, const char *address);
/* Writes "127.0.0.1:40123" to buf. GORT_EINVAL: size too small. */
GORT_API int gort_listener_address(gort_listener *l, char *buf, size_t size);
/* The next connection. GORT_ECLOSED, OS errors; GORT_ETIMEDOUT, GORT_ECANCELED. */
GORT_API int gort_accept(gort_conn **out, gort_listener *l);
GORT_API int gort_accept_until(gort_conn **out, gort_listener *l, int64_t deadline);
/* Wakes its waiters with GORT_ECLOSED. */
GORT_API int gort_listener_close(gort_listener *l);
/* Connects. GORT_EINVAL, OS errors; GORT_ETIMEDOUT, GORT_ECANCELED. To ask the system for a host's name takes as long
 * as it takes, on a thread: a deadline counts when that is over. */
GORT_API int gort_dial(gort_conn **out, const char *network, const char *address);
GORT_API int gort_dial_until(gort_conn **out, const char *network, const char *address,
                             int64_t deadline);
/* Opens a file, mode as for fopen: "r", "w", "a", "r+", "w+", "a+". GORT_EINVAL: another mode. What
 * the system cannot wait for, a file on a disk first of all, is read and written on a thread for each
 * call: deadlines are GORT_ENOTSUP there, and a close wakes nobody. */
GORT_API int gort_open(gort_conn **out, const char *path, const char *mode);
/* Takes over a descriptor or socket of the system, and makes it nonblocking if it can be waited for. On
 * failure it stays the caller's. OS errors, EBADF for what is none. */
GORT_API int gort_conn_from(gort_conn **out, intptr_t fd);
/* Up to n bytes: their number, 0 at the end, or a code (GORT_ECLOSED: closed on this side). */
GORT_API intptr_t gort_conn_read(gort_conn *c, void *buf, size_t n);
GORT_API intptr_t gort_conn_read_until(gort_conn *c, void *buf, size_t n, int64_t deadline);
/* All n bytes: n; or a code, and some may have been written. */
GORT_API intptr_t gort_conn_write(gort_conn *c, const void *buf, size_t n);
GORT_API intptr_t gort_conn_write_until(gort_conn *c, const void *buf, size_t n, int64_t deadline);
/* Ends the output: the other side reads to the end. OS errors. */
GORT_API int gort_conn_shutdown(gort_conn *c);
/* Wakes its waiters with GORT_ECLOSED. A second close: GORT_ECLOSED. */
GORT_API int gort_conn_close(gort_conn *c);

enum { GORT_READABLE = 1, GORT_WRITABLE = 2 };
/* Watches a descriptor that stays the caller's. GORT_ENOTSUP: it cannot be polled; OS errors as above. Close the handle
 * before the descriptor: afterwards the number may be another's, whose watch would end with it. */
GORT_API int gort_poll_open(gort_poll **out, intptr_t fd);
/* Waits until any of events is possible and returns those that are, or a code: what was not used up
 * is still possible next time. One waiter for each event: GORT_EBUSY. GORT_EINVAL: no events. */
GORT_API int gort_poll_wait(gort_poll *p, int events, int64_t deadline);
/* Stops watching, wakes the waiters with GORT_ECLOSED; fd stays open. */
GORT_API int gort_poll_close(gort_poll *p);

/* ---- Watching [T] --------------------------------------------------------------------------- */

enum { GORT_METRIC_UINT64 = 1, GORT_METRIC_FLOAT64 = 2, GORT_METRIC_HISTOGRAM = 3 };
typedef struct gort_metric_desc {
	const char *name;        /* of Go's runtime/metrics: "/sched/goroutines:goroutines" */
	const char *description;
	int kind;                /* GORT_METRIC_* */
	bool cumulative;
	size_t nbuckets;         /* of a histogram */
	const double *bounds;    /* nbuckets + 1 of them */
} gort_metric_desc;
/* Metric i of all; NULL past the last. */
GORT_API const gort_metric_desc *gort_metric_at(size_t i);
typedef struct gort_metric {
	const char *name;        /* in */
	int kind;                /* out; 0: no such metric */
	union { uint64_t u64; double f64; uint64_t *counts; } value; /* counts: in, room or NULL */
} gort_metric;
/* Reads n metrics by name; returns how many are known. */
GORT_API size_t gort_metrics_read(gort_runtime *rt, gort_metric *metrics, size_t n);

enum { GORT_G_RUNNABLE = 1, GORT_G_RUNNING = 2, GORT_G_SYSCALL = 3, GORT_G_WAITING = 4 };
typedef struct gort_goroutine {
	uint64_t goid, parent;   /* parent 0: started from outside */
	int status;              /* GORT_G_* */
	const char *wait_reason; /* Go's words, "chan receive", if waiting; else "" */
	int64_t since;           /* when it began to wait, to about 10 ms; 0 if it does not */
	gort_func start;         /* its function */
	void *creator;           /* the code address that started it; NULL from outside */
	size_t stack_used;       /* bytes */
	uint64_t thread;         /* the system's id while it runs or is wired; else 0 */
	bool locked;             /* wired to its thread */
	bool system;             /* the runtime's own: gort_num_goroutine leaves it out */
	char name[32];           /* gort_go_attr.name */
	const void *on;          /* the channel, mutex, ... that it waits for; NULL: several, time, a descriptor */
} gort_goroutine;
/* Stops the world for a moment. Stores up to n goroutines in order of goid; returns how many there
 * are. A macro below calls it as gort_goroutines(rt, out, n). */
GORT_API size_t gort_goroutines_sized(gort_runtime *rt, gort_goroutine *out, size_t n, size_t size);
/* The same of the moment when the last run failed; 0 if it did not. The one that failed, if one did, is RUNNING and
 * has no start. Lasts until another run or free; code addresses are good for as long as the program keeps its
 * code. A macro below calls it as gort_failed_goroutines(rt, out, n). */
GORT_API size_t gort_failed_goroutines_sized(gort_runtime *rt, gort_goroutine *out, size_t n, size_t size);
/* The same of the leaked goroutines, see gort_leak_dump: how many there are, or its codes. A macro below calls it as
 * gort_leaked_goroutines(rt, out, n). */
GORT_API int64_t gort_leaked_goroutines_sized(gort_runtime *rt, gort_goroutine *out, size_t n, size_t size);
typedef struct gort_proc_stats { /* of one P, counted since the runtime was made */
	int id;
	bool idle;
	uint32_t queued;          /* goroutines on its run queue now */
	uint64_t switches;        /* goroutines that it started or went on with */
	uint64_t steals, stolen;  /* goroutines that it took from others; that others took from it */
	uint64_t parked, readied; /* goroutines that blocked on it; that it made runnable */
	uint64_t preempted;       /* slices that were cut short */
	uint64_t handoffs;        /* times it left a thread that was blocked or stopped */
} gort_proc_stats;
/* Stores up to n Ps in order of id; returns how many there are. A macro below calls it as
 * gort_proc_stats_read(rt, out, n). */
GORT_API size_t gort_proc_stats_read_sized(gort_runtime *rt, gort_proc_stats *out, size_t n,
                                           size_t size);
/* All goroutines with their backtraces, in Go's format. What write returned, GORT_ENOMEM, or 0. */
GORT_API int gort_stack_dump(gort_runtime *rt, gort_writer write, void *data);
/* The same of the leaked goroutines, "chan receive (leaked)": they wait without a deadline, and what they
 * wait for can be reached by none but leaked goroutines. What lies on a stack or elsewhere outside of the
 * heap counts as reachable, so some may be missed; none that may go on is named, if pointers to what is in
 * the heap are where the collector looks. Stops the world for as long as a walk through the whole heap
 * takes, with every collector. Also GORT_EINVAL (freed), GORT_EFORKED. */
GORT_API int gort_leak_dump(gort_runtime *rt, gort_writer write, void *data);
/* Every heap object with its type, size and pointers, one JSON object a line. What write returned,
 * GORT_ENOMEM, or 0. */
GORT_API int gort_heap_dump(gort_runtime *rt, gort_writer write, void *data);

enum { /* gort_event.id; in brackets its group, then what args hold. goid is the goroutine that did
        * it or whose state changed. Numbers never change; new ones come at the end. */
	GORT_EV_PROCS = 1,         /* [SCHED] GOMAXPROCS */
	GORT_EV_PROC_START = 2,    /* [SCHED] a thread took p */
	GORT_EV_PROC_STOP = 3,     /* [SCHED] p is idle */
	GORT_EV_GO_CREATE = 4,     /* [SCHED] new goid, start function */
	GORT_EV_GO_START = 5,      /* [SCHED] it runs on p now: for the how-manieth time */
	GORT_EV_GO_END = 6,        /* [SCHED] */
	GORT_EV_GO_YIELD = 7,      /* [SCHED] 0 = gort_gosched, 1 = preempted, 2 = it goes on next */
	GORT_EV_GO_BLOCK = 8,      /* [SCHED] wait reason, see gort_wait_reason; on what address */
	GORT_EV_GO_UNBLOCK = 9,    /* [SCHED] the goid made runnable */
	GORT_EV_SYSCALL_BEGIN = 10, /* [SCHED] or it slept in foreign code, and its P was taken */
	GORT_EV_SYSCALL_END = 11,  /* [SCHED] 0 = it runs on p; 1 = it lost its P and is runnable */
	GORT_EV_STEAL = 12,        /* [SCHED] from which P, how many goroutines */
	GORT_EV_STW_BEGIN = 13,    /* [GC] reason */
	GORT_EV_STW_END = 14,      /* [GC] ns stopping, ns stopped */
	GORT_EV_GC_BEGIN = 15,     /* [GC] cycle, trigger: 0 heap, 1 time, 2 asked for */
	GORT_EV_GC_END = 16,       /* [GC] cycle, heap marked. Without MARK_TERM: the run ended; the cycle comes anew */
	GORT_EV_MARK_TERM = 17,    /* [GC] cycle: nothing is left to be marked */
	GORT_EV_SWEEP_BEGIN = 18,  /* [GC] until the next SWEEP_END of the same goroutine or, with goid 0, thread */
	GORT_EV_SWEEP_END = 19,    /* [GC] bytes swept, bytes freed */
	GORT_EV_ASSIST_BEGIN = 20, /* [GC] */
	GORT_EV_ASSIST_END = 21,   /* [GC] scan work done */
	GORT_EV_HEAP_LIVE = 22,    /* [HEAP] bytes marked and allocated since, with what is free in spans of Ps */
	GORT_EV_HEAP_GOAL = 23,    /* [HEAP] bytes: next_gc of gort_mem_stats */
	GORT_EV_SPAN_ALLOC = 24,   /* [HEAP] address, pages, span class */
	GORT_EV_SPAN_FREE = 25,    /* [HEAP] address, pages */
	GORT_EV_SCAVENGE = 26,     /* [HEAP] bytes returned to the system */
	GORT_EV_STACK_ALLOC = 27,  /* [HEAP] address, usable bytes; goid 0: for the scheduler of an attached thread */
	GORT_EV_STACK_FREE = 28,   /* [HEAP] the same */
	GORT_EV_CHAN_SEND = 29,    /* [SYNC] channel, length after */
	GORT_EV_CHAN_RECV = 30,    /* [SYNC] channel, length after */
	GORT_EV_CHAN_CLOSE = 31,   /* [SYNC] channel */
	GORT_EV_SELECT = 32,       /* [SYNC] index chosen, cases; after the case's own event */
	GORT_EV_TIMER = 33,        /* [TIMER] when it was due, timer */
	GORT_EV_POLL = 34,         /* [TIMER] goroutines made runnable */
	GORT_EV_USER = 35,         /* [USER] gort_trace_mark's value; text: its name */
	GORT_EV_LOCK = 36,         /* [SYNC] of seeded runs: it has a mutex or rwmutex, at which address; 1 = to read */
	GORT_EV_UNLOCK = 37        /* [SYNC] the same: it gives it back */
};
enum { /* gort_trace_listener.groups */
	GORT_TRACE_SCHED = 1, GORT_TRACE_GC = 2, GORT_TRACE_HEAP = 4, GORT_TRACE_SYNC = 8,
	GORT_TRACE_TIMER = 16, GORT_TRACE_USER = 32, GORT_TRACE_ALL = 63
};

typedef struct gort_event { /* 64 bytes, for ever */
	int64_t time;     /* gort_nanotime */
	uint64_t goid;    /* 0: none */
	uint32_t thread;  /* the runtime's number of the thread */
	int32_t p;        /* -1: without a P */
	uint32_t id;      /* GORT_EV_* */
	uint32_t unused;
	uint64_t args[3]; /* see GORT_EV_*; 0 if not mentioned */
	const char *text; /* GORT_EV_USER: lasts as long as the runtime; else NULL */
} gort_event;

/* Called by one thread of the runtime at a time, never on a goroutine; must not call the runtime
 * back. The events of a goroutine, and those of a P, come in their order, and causes before effects
 * (create and unblock before start); else by time. Members may be NULL. */
typedef struct gort_trace_listener {
	size_t size;                                          /* sizeof(gort_trace_listener) */
	unsigned groups;                                      /* GORT_TRACE_* */
	void (*event)(void *data, const gort_event *events, size_t n); /* a batch */
	void (*lost)(void *data, uint64_t n);                 /* n came too fast and are missing */
	void (*stop)(void *data);                             /* the last call */
	void *data;
} gort_trace_listener;

/* Starts to report events; *listener is copied. First come for each goroutine there is a GO_CREATE
 * and what gives its state (GO_START, GO_BLOCK), and a GC_BEGIN if a collection runs. GORT_EBUSY: a
 * trace runs. GORT_EINVAL, GORT_ENOMEM, GORT_EFORKED. */
GORT_API int gort_trace_start(gort_runtime *rt, const gort_trace_listener *listener);
/* Delivers what is left, calls stop, returns. GORT_EINVAL: no trace runs. Free does it too. */
GORT_API int gort_trace_stop(gort_runtime *rt);
/* [G] A GORT_EV_USER event. name must be a constant. Costs a branch when no trace runs. */
GORT_API void gort_trace_mark(const char *name, uint64_t value);
/* "go_block"; NULL if there is no such event. */
GORT_API const char *gort_event_name(unsigned id);
/* The words of a GORT_EV_GO_BLOCK reason: "chan receive"; NULL if there is none. */
GORT_API const char *gort_wait_reason(unsigned reason);

/* A listener that keeps events in memory: the last `max` of them, or all if max is 0. */
typedef struct gort_trace_buffer gort_trace_buffer;
enum { /* formats of gort_trace_buffer_write */
	GORT_TRACE_TEXT = 1,    /* a line each */
	GORT_TRACE_CHROME = 2,  /* JSON for Chrome and Perfetto */
	GORT_TRACE_SCHEDULE = 3 /* a line for each event of goroutines, channels and timers, without time, thread and
	                         * P, addresses numbered as they come up: of seeded runs equal if the schedules are.
	                         * Of the groups SCHED, SYNC, TIMER and USER: with others events may come too fast */
};
GORT_API int gort_trace_buffer_new(gort_trace_buffer **out, size_t max);
/* For gort_trace_start; change groups in a copy to see less. Events of runtimes that report to one buffer at the same
 * time are kept as they come: in the order of each, and mixed. */
GORT_API const gort_trace_listener *gort_trace_buffer_listener(gort_trace_buffer *b);
/* Copies up to n events, from the i-th kept one on; returns how many. */
GORT_API size_t gort_trace_buffer_read(gort_trace_buffer *b, size_t i, gort_event *out, size_t n);
/* Events kept. */
GORT_API size_t gort_trace_buffer_len(gort_trace_buffer *b);
/* Writes what is kept. What fn returned, GORT_EINVAL, GORT_ENOMEM, or 0. */
GORT_API int gort_trace_buffer_write(gort_trace_buffer *b, int format, gort_writer fn, void *data);
/* After gort_trace_stop only. NULL is allowed. */
GORT_API void gort_trace_buffer_free(gort_trace_buffer *b);

#ifdef __cplusplus
}
#endif

/* ---- Macros --------------------------------------------------------------------------------- */

/* Structs that the library fills are passed with their size, so that they can grow. */
#define gort_config_init(cfg) gort_config_init_sized((cfg), sizeof *(cfg))
#define gort_mem_stats_read(rt, out) gort_mem_stats_read_sized((rt), (out), sizeof *(out))
#define gort_goroutines(rt, out, n) gort_goroutines_sized((rt), (out), (n), sizeof *(out))
#define gort_failed_goroutines(rt, out, n) gort_failed_goroutines_sized((rt), (out), (n), sizeof *(out))
#define gort_leaked_goroutines(rt, out, n) gort_leaked_goroutines_sized((rt), (out), (n), sizeof *(out))
#define gort_proc_stats_read(rt, out, n)                                                           \
	gort_proc_stats_read_sized((rt), (out), (n), sizeof *(out))

/* The gort_string of a literal: GORT_STR("text"). */
#ifdef __cplusplus
#define GORT_STR(literal) (gort_string{ "" literal, (intptr_t)sizeof(literal) - 1 })
#else
#define GORT_STR(literal) ((gort_string){ "" literal, (intptr_t)sizeof(literal) - 1 })
#endif

/* The descriptor of a type by its name, one word. */
#define GORT_TYPE(T) gort_type_of_##T()

/* Describes a C struct, once in each file that uses GORT_TYPE(T); panics name it by the bare T:
 *   typedef struct node { struct node *left, *right; int key; } node;
 *   GORT_DEFINE_TYPE(node, GORT_PTR(node, left), GORT_PTR(node, right), GORT_FIELD(node, key, int));
 * Name every field that may hold a heap pointer. Equality and hashing look at the named fields in
 * order, as in Go; what is not named is like a blank field. A type that names none, by
 * GORT_NO_FIELDS, holds no pointers and is not comparable. One aligned to more than 8192 bytes, as no
 * heap object is, is refused with a message, as are fields that do not fit. */
#define GORT_DEFINE_TYPE(T, ...) GORT_DEFINE_(T, sizeof(T), GORT_ALIGNOF(T), __VA_ARGS__)
#define GORT_FIELD(T, f, type) { #f, offsetof(T, f), gort_type_of_##type, NULL }
#define GORT_PTR(T, f) { #f, offsetof(T, f), gort_type_of_void_ptr, NULL }
#define GORT_NO_FIELDS { NULL, 0, NULL, NULL }
/* A method of T and *T, or of *T only: a C function whose first parameter is a T *. */
#define GORT_METHOD(name, function) { #name, 0, NULL, (gort_code)(function) }
#define GORT_PTR_METHOD(name, function) { #name, 1, NULL, (gort_code)(function) }

/* An interface type: GORT_DEFINE_INTERFACE(shape, GORT_NEEDS(Area), GORT_NEEDS(Scale)); */
#define GORT_DEFINE_INTERFACE(T, ...) GORT_DEFINE_(T, 0, 0, __VA_ARGS__)
#define GORT_NEEDS(name) { #name, 0, NULL, NULL }

/* A one-word name for a type: GORT_DEFINE_ALIAS(ints, gort_type_slice(GORT_TYPE(int))); */
#define GORT_DEFINE_ALIAS(name, type)                                                              \
	GORT_UNUSED static const gort_type *gort_type_of_##name(void) { return (type); }           \
	GORT_UNUSED static const gort_type *gort_type_of_##name(void)

#define GORT_DEFINE_(T, size, align, ...)                                                          \
	GORT_UNUSED static const gort_type *gort_type_of_##T(void)                                 \
	{                                                                                          \
		static const gort_member members[] = { __VA_ARGS__ };                              \
		static gort_type_def def = { #T, (size), (align), members,                         \
			sizeof members / sizeof *members, NULL };                                  \
		const void *known = GORT_KNOWN_(&def);                                             \
		return known != NULL ? (const gort_type *)known : gort_type_define(&def);          \
	}                                                                                          \
	GORT_UNUSED static const gort_type *gort_type_of_##T(void)
#ifdef __GNUC__ /* without a call */
#define GORT_KNOWN_(def) __atomic_load_n(&(def)->cache, __ATOMIC_ACQUIRE)
#else
#define GORT_KNOWN_(def) NULL
#endif

#ifdef __GNUC__
#define GORT_UNUSED __attribute__((unused))
#else
#define GORT_UNUSED
#endif

#endif /* GORT_H */
