# %% [markdown]
# # A deadlock, found and understood
#
# Two goroutines move money between two accounts; each account has a lock. Whoever moves takes both, first that of the
# account which pays. Most of the time that works. When one of them has taken the first lock, and the other one comes in
# between and takes its first, each waits for the other for ever.
#
# Run it as a script (`python docs/notebooks/deadlock.py` writes two pictures), or cell by cell where `# %%` is
# understood.

# %%
import gort


def transfers():
    """Ann pays Bob while Bob pays Ann."""
    ann, bob, done = gort.Mutex(), gort.Mutex(), gort.WaitGroup()
    balance = {"ann": 100, "bob": 100}

    def pay(payer, payee, mine, theirs):
        with mine:
            with theirs:
                balance[payer] -= 10
                balance[payee] += 10

    done.go(pay, "ann", "bob", ann, bob)
    done.go(pay, "bob", "ann", bob, ann)
    done.wait()
    return sum(balance.values())


# %% [markdown]
# One run says little: the schedule is what it happens to be.

# %%
with gort.Runtime(procs=2) as rt:
    try:
        print("money:", rt.run(transfers).value)
    except gort.DeadlockError:
        print("a deadlock, by chance")

# %% [markdown]
# ## Seeds until one fails
#
# With a seed the schedule is a function of that number: who goes on is drawn at each call of gort, and time is
# virtual. `explore` takes one seed after the other, each in a runtime of its own, until a run fails.

# %%
found = gort.explore(transfers)
print("seed", found.seed, "fails, after", found.runs, "runs:", found.error)

# %% [markdown]
# The seed alone makes the program fail in the same way, on each run and machine.

# %%
for _ in range(3):
    with gort.Runtime(seed=found.seed) as rt:
        try:
            rt.run(transfers)
        except gort.DeadlockError as error:
            print("again:", error)

# %% [markdown]
# ## What it takes
#
# A schedule is the list of steps at which not the usual goroutine went on, which is the one that runs, or else the one
# that has waited longest. Most of what the seed chose has nothing to do with the failure. `explore` has left out what
# can be left out: with one of these choices less the program ends well.

# %%
print(len(found.full), "choices of the seed, of which", len(found.schedule), "matter:", found.schedule)
for i in range(len(found.schedule)):
    fewer = found.schedule[:i] + found.schedule[i + 1:]
    print("without", tuple(found.schedule[i]), "money:", found.replay(fewer).value)

# %% [markdown]
# ## The run, event by event
#
# A lane for each goroutine: dark where it runs, light where it waits. `+mutex 1` says that it has it from there on. The
# red lines are the choices. Goroutine 1 is the library's: it waits for goroutine 2, our function.

# %%
picture = found.schedule.plot()
picture.figure.savefig("timeline.png", dpi=120)

# %% [markdown]
# ## Who waits for whom
#
# The error knows all goroutines of the moment of failure, what each waits for, and, since the run had a trace, who has
# that.

# %%
graph = found.error.graph()
print(graph)

# %%
graph.plot().figure.savefig("graph.png", dpi=120)

# %% [markdown]
# ## The same in C
#
# The dining philosophers are a workload of C; each run takes a tenth of a millisecond or two, so ten thousand seeds are
# a matter of seconds. With `left_first=1` all take the left fork first; without, the last one takes the right one, and
# no seed fails.

# %%
dinner = gort.explore("philosophers", n=4, left_first=1)
print(dinner)
print(dinner.error.graph())
print("and the right way:", gort.explore("philosophers", n=4, runs=2000))
