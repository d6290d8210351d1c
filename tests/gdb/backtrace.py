"""Runs inside gdb, for backtrace.sh. Looks at whole backtraces, frame by frame."""
import gdb

GOROUTINE = ["deep", "deep", "deep", "deep", "goroutine"]


def names():
    """Function names from the innermost frame out, as far as gdb gets, and why it ended there."""
    frame, found = gdb.newest_frame(), []
    while frame is not None:
        found.append(frame.name())
        last, frame = frame, frame.older()
    reason = last.unwind_stop_reason()
    # Told that there is none further out, or that this one is the outermost: both are clean.
    clean = reason in (gdb.FRAME_UNWIND_NO_REASON, gdb.FRAME_UNWIND_OUTERMOST)
    return found, clean, gdb.frame_stop_reason_string(reason)


def expect(true, what):
    if not true:
        raise gdb.GdbError(f"FAILED: {what}: {names()} at {gdb.execute('x/i $pc', to_string=True)}")


def in_goroutine(found):
    """Its frames, then nothing but the entry (ucontext: our entry, libc's, and a zero)."""
    at = next((i for i, name in enumerate(found) if name == "deep"), None)
    if at is None or "main" in found:
        return False
    return found[at : at + 5] == GOROUTINE and len(found) <= at + 8


gdb.execute("set pagination off")
gdb.execute("set disable-randomization on")
gdb.Breakpoint("stop_here", internal=True)
gdb.execute("run", to_string=True)

print(gdb.execute("bt", to_string=True))
found, clean, reason = names()
expect(found[0] == "stop_here" and in_goroutine(found), "frames of the goroutine")
expect(clean, f"ends for a reason: {reason}")

# Through the switch to main and back, one instruction at a time.
gdb.execute("finish", to_string=True)
steps, stacks = 0, set()
if "asm" in gdb.execute("output (char *)&be_context_name", to_string=True):
    inside = gdb.Breakpoint("*be_context_switch", internal=True)
    for direction in ("out", "in"):
        gdb.execute("continue", to_string=True)
        while gdb.newest_frame().name() == "be_context_switch":
            found, clean, reason = names()
            expect(in_goroutine(found) or "main" in found, "frames in the switch")
            expect(clean, f"in the switch, ends for a reason: {reason}")
            stacks.add(in_goroutine(found))
            steps += 1
            gdb.execute("stepi", to_string=True)
    expect(steps > 30 and stacks == {True, False}, f"{steps} instructions seen on both stacks")
    inside.delete()
gdb.execute("continue", to_string=True)
found, clean, reason = names()
expect(found[0] == "stop_here" and in_goroutine(found) and clean, "the same on the next turn")
print(f"backtraces: ok ({steps} instructions of switches)")
gdb.execute("kill")
