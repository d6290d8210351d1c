/* memory.pml: weak memory for Spin, whose own memory is sequentially consistent. Included by the
 * models; they define NPROC (processes with a buffer), NLOC (shared locations) before it.
 *
 * Every process has a buffer of SB stores that others do not see yet. It reads its own newest store
 * to a location, else memory; the process `memory` moves stores from buffers to memory at any time.
 *
 *   default  TSO, as x86: a buffer drains in order. Every read-modify-write and every lock waits
 *            until its own buffer is empty.
 *   -DWEAK   closer to arm64: relaxed stores to different locations drain in any order; a release
 *            store only after all stores before it, while later ones may overtake it. Taking a
 *            lock or an acquiring CAS does not drain; unlocking is a release store in the buffer, and so
 *            are the changes made under the lock. Only RMWs that are _full or release, and fences, drain.
 *
 * Not modelled: loads executed early. Where the C needs two loads in order it has acquire, and the
 * models read in that order; where the order does not matter (rt_wakep) the model reads in both.
 * The mutants of a missing rt_fence_after_rmw swap the RMW and the load by hand. Relacy, with the
 * rules of C++11, looks at the run queue from that side.
 *
 * Location 0 is the lock of models that have one.
 */
#define SB 3
#define LOCK 0

typedef buffer {
	byte n;
	byte loc[SB];
	byte val[SB];
	bit rel[SB];
};
buffer sb[NPROC];
byte mem[NLOC];

/* What process p reads at x. */
#define LD(p, x) \
	((sb[p].n > 2 && sb[p].loc[2] == (x)) -> sb[p].val[2] : \
	((sb[p].n > 1 && sb[p].loc[1] == (x)) -> sb[p].val[1] : \
	((sb[p].n > 0 && sb[p].loc[0] == (x)) -> sb[p].val[0] : mem[x])))
#define DRAINED(p) (sb[p].n == 0)
#define ROOM(p, k) (sb[p].n + (k) <= SB)
#define FENCE(p) DRAINED(p)
#ifdef WEAK
/* No store of p's own to x is pending. */
#define OWN_GONE(p, x) \
	!((sb[p].n > 2 && sb[p].loc[2] == (x)) || (sb[p].n > 1 && sb[p].loc[1] == (x)) || \
	  (sb[p].n > 0 && sb[p].loc[0] == (x)))
#else
#define OWN_GONE(p, x) DRAINED(p)
#endif

/* The caller has made sure of ROOM. A macro: Spin refuses the parameters of an inline after a dot. */
#define push(p, x, v, release) \
	sb[p].loc[sb[p].n] = x; \
	sb[p].val[sb[p].n] = v; \
	sb[p].rel[sb[p].n] = release; \
	sb[p].n++

inline store(p, x, v, release)
{
	atomic { ROOM(p, 1) -> push(p, x, v, release) }
}

/* A short critical section is one step: LOCKED(p) -> ...; put(...); unlock(p). What it changes for readers
 * without the lock, and the lock itself, goes out through the buffer under WEAK. */
#ifdef WEAK
#define LOCKED(p) (mem[LOCK] == 0 && ROOM(p, 2))
#define put(p, x, v) push(p, x, v, 0)
inline unlock(p)
{
	mem[LOCK] = 1;
	push(p, LOCK, 0, 1)
}
#else
#define LOCKED(p) (DRAINED(p) && mem[LOCK] == 0)
#define put(p, x, v) mem[x] = v
#define unlock(p) skip
#endif

/* Drops entry i of the buffer of p; unused entries are zero so that equal states are equal. */
inline drop(p, i)
{
	if
	:: i == 0 ->
		sb[p].loc[0] = sb[p].loc[1]; sb[p].val[0] = sb[p].val[1]; sb[p].rel[0] = sb[p].rel[1]
	:: else
	fi;
	if
	:: i <= 1 ->
		sb[p].loc[1] = sb[p].loc[2]; sb[p].val[1] = sb[p].val[2]; sb[p].rel[1] = sb[p].rel[2]
	:: else
	fi;
	sb[p].loc[2] = 0; sb[p].val[2] = 0; sb[p].rel[2] = 0;
	sb[p].n--
}

inline drain(p)
{
	if
	:: sb[p].n > 0 -> mem[sb[p].loc[0]] = sb[p].val[0]; drop(p, 0)
#ifdef WEAK
	:: sb[p].n > 1 && !sb[p].rel[1] && sb[p].loc[1] != sb[p].loc[0] ->
		mem[sb[p].loc[1]] = sb[p].val[1]; drop(p, 1)
	:: sb[p].n > 2 && !sb[p].rel[2] && sb[p].loc[2] != sb[p].loc[0] &&
	   sb[p].loc[2] != sb[p].loc[1] ->
		mem[sb[p].loc[2]] = sb[p].val[2]; drop(p, 2)
#endif
	fi
}

active proctype memory()
{
end:
	do
	:: atomic { sb[0].n > 0 -> drain(0) }
#if NPROC > 1
	:: atomic { sb[1].n > 0 -> drain(1) }
#endif
#if NPROC > 2
	:: atomic { sb[2].n > 0 -> drain(2) }
#endif
#if NPROC > 3
	:: atomic { sb[3].n > 0 -> drain(3) }
#endif
#if NPROC > 4
	:: atomic { sb[4].n > 0 -> drain(4) }
#endif
#if NPROC > 5
	:: atomic { sb[5].n > 0 -> drain(5) }
#endif
	od
}
