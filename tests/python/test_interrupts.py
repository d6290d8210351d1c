"""Ctrl-C at each step of what does not block: nothing is left half done."""
import gort
import pytest
from conftest import interrupted_everywhere


@pytest.mark.parametrize("call", [
    gort.Runtime.goroutines, gort.Runtime.procs, gort.Runtime.mem_stats, gort.Runtime.stack_dump, gort.Runtime.stop,
    gort.Runtime.gc, gort.Runtime.__enter__, lambda rt: rt.gogc])
def test_a_call_leaves_the_runtime_unused(call):
    rts = [gort.Runtime(procs=1)]

    def close():
        rts.pop().close()  # BusyError: it is in use
        rts.append(gort.Runtime(procs=1))
    interrupted_everywhere(lambda: call(rts[0]), close)
    rts.pop().close()
