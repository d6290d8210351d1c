"""Ctrl-C at each step of what does not block: nothing is left half done."""
import gc
import warnings

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


def test_close_knows_whether_it_is_done():
    """One that believed to be open would free what another runtime has got meanwhile."""
    rts = [gort.Runtime(procs=1)]

    def again():
        rts[0].close()
        assert rts.pop().closed
        rts.append(gort.Runtime(procs=1))
    interrupted_everywhere(lambda: rts[0].close(), again)
    rts.pop().close()


def test_a_runtime_is_made_or_not():
    """The check that nothing is left is that of all tests."""
    made = []

    def close():
        gc.collect()
        for rt in made:
            rt.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        interrupted_everywhere(lambda: made.append(gort.Runtime(procs=1)), close)


def test_attach(rt):
    """A thread that stayed attached would keep the runtime, and could not attach again."""
    def attach():
        with rt.attach():
            assert gort.goid() and gort.num_goroutine()

    def outside():
        assert gort.goid() == 0 and not rt._home.users
        with pytest.raises(gort.ArgumentError, match="outside a goroutine"):
            gort.Chan().recv()
    interrupted_everywhere(attach, outside)


def test_attach_twice(rt):
    with rt.attach():
        goid = gort.goid()

        def attach():
            with pytest.raises(gort.BusyError):
                with rt.attach():
                    pass

        def still():
            assert gort.goid() == goid and gort.Chan(int, 1).send(1) is None
        interrupted_everywhere(attach, still)
    assert gort.goid() == 0
