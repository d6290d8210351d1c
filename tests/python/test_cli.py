"""python -m gort, in a process of its own: output, files, exit status."""
import json
import os
import signal
import subprocess
import sys

import pytest


def gort_cli(*args):
    return subprocess.run([sys.executable, "-m", "gort", *args], capture_output=True, text=True,
                          timeout=120)


def test_run_prints_the_value_and_a_row_for_each_p():
    done = gort_cli("run", "sieve", "n=20", "--procs", "2")
    assert done.returncode == 0 and done.stderr == ""
    assert "the n-th prime: 71" in done.stdout
    rows = done.stdout.splitlines()
    head = next(i for i, row in enumerate(rows) if row.split()[:2] == ["P", "switches"])
    assert [row.split()[0] for row in rows[head + 1:]] == ["0", "1"]


def test_options_may_come_first():
    done = gort_cli("run", "--procs", "1", "ring", "n=0x3", "rounds=1_0")
    assert done.returncode == 0 and "n * rounds: 30" in done.stdout
    done = gort_cli("run", "ring", "--procs", "1", "n=3", "rounds=2")
    assert done.returncode == 0 and "n * rounds: 6" in done.stdout


def test_json_is_one_object_and_nothing_else():
    done = gort_cli("run", "skynet", "n=100", "--procs", "3", "--json")
    assert done.returncode == 0
    data = json.loads(done.stdout)
    assert data["value"] == 4950 and data["workload"] == "skynet" and data["params"] == {"n": 100}
    assert [p["id"] for p in data["procs"]] == [0, 1, 2] and data["trace"] is None


def test_trace_files(tmp_path):
    html, chrome = tmp_path / "t.html", tmp_path / "t.json"
    done = gort_cli("run", "pingpong", "rounds=20", "--trace", str(html))
    assert done.returncode == 0 and "events" in done.stdout
    assert "gort: pingpong rounds=20" in html.read_text()
    done = gort_cli("run", "pingpong", "rounds=20", "--trace", str(chrome), "--json")
    assert json.loads(done.stdout)["trace"]["events"] > 50
    json.loads(chrome.read_text())


def test_sweep():
    done = gort_cli("sweep", "sieve", "n=5,10", "procs=1", "--repeat", "3", "--json")
    assert done.returncode == 0 and done.stderr == ""
    data = json.loads(done.stdout)
    assert data["workload"] == "sieve" and data["varied"] == ["n", "procs"]
    assert [r["value"] for r in data["rows"]] == 3 * [11, 29]
    done = gort_cli("sweep", "gc_churn", "--repeat", "2", "gogc=50,off", "live=1", "churn=4")
    head, *rows = done.stdout.splitlines()[1:]
    assert done.returncode == 0 and head.split()[:3] == ["gogc", "live", "churn"]
    assert [row.split()[0] for row in rows] == ["50", "off"]
    assert gort_cli("sweep", "seive").returncode == 1
    assert gort_cli("sweep", "panic", "procs=1,2").returncode == 1


def test_explore():
    done = gort_cli("explore", "philosophers", "--runs", "1000", "left_first=1")
    assert done.returncode == 1 and done.stderr == ""
    assert all(t in done.stdout for t in ("deadlock", "choices make it fail: step ", "cycle: goroutine"))
    command = done.stdout.splitlines()[-1].split("python -m gort ")[1].split()
    again = gort_cli(*command)
    assert command[:3] == ["run", "philosophers", "left_first=1"]
    assert again.returncode == 1 and "deadlock" in again.stderr
    done = gort_cli("explore", "philosophers", "left_first=1", "--json")
    data = json.loads(done.stdout)
    assert done.returncode == 1 and data["found"] == data["seed"] and data["params"] == {"left_first": 1}
    assert data["kind"] == "DeadlockError" and 0 < len(data["schedule"]) <= data["choices"]
    assert f"--seed {data['seed']}" in " ".join(command)
    once = gort_cli("explore", "philosophers", "left_first=1", "--seed", str(data["seed"]), "--runs", "1")
    assert once.returncode == 1
    done = gort_cli("explore", "philosophers", "n=2", "--runs", "50")
    assert done.returncode == 0 and "none fails" in done.stdout
    done = gort_cli("explore", "philosophers", "--runs", "5", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["found"] is None
    done = gort_cli("explore", "philosopher")
    assert done.returncode == 1 and "did you mean" in done.stderr


@pytest.mark.parametrize("name, text", [
    ("deadlock", "all goroutines are asleep"), ("panic", "panic: this workload panics"),
    ("fatal", "unlock of unlocked mutex")])
def test_failing_programs(name, text, tmp_path):
    trace = tmp_path / "t.html"
    done = gort_cli("run", name, "--json", "--trace", str(trace))
    assert done.returncode == 1 and text in done.stderr and "goroutine" in done.stderr
    error = json.loads(done.stdout)
    assert text in error["error"] and error["code"] < 0 and error["kind"].endswith("Error")
    assert trace.exists(), "the trace of a failure is worth most"
    assert "Traceback" not in done.stderr


def test_unknown_workload():
    done = gort_cli("run", "seive")
    assert done.returncode == 1 and done.stdout == ""
    assert "did you mean 'sieve'" in done.stderr and "Traceback" not in done.stderr
    done = gort_cli("run", "seive", "--json")
    assert done.returncode == 1 and "seive" in json.loads(done.stdout)["error"]


@pytest.mark.parametrize("args", [
    (), ("fly",), ("run",), ("run", "sieve", "n"), ("run", "sieve", "=3"),
    ("run", "sieve", "n=many"), ("run", "sieve", "n=1", "n=2"), ("run", "sieve", "m=3"),
    ("run", "sieve", "n=-4"), ("run", "sieve", "--procs", "x"), ("run", "sieve", "--procs", "-1"),
    ("run", "sieve", "--seed", "-1"), ("run", "sieve", "--trace", "t.txt"),
    ("explore",), ("explore", "sieve", "n"), ("explore", "sieve", "m=1"), ("explore", "sieve", "--runs", "-1"),
    ("explore", "sieve", "--seed", "x"), ("explore", "sieve", "--procs", "-1"), ("explore", "sieve", "--frobnicate"),
    ("sweep",), ("sweep", "sieve", "n"), ("sweep", "sieve", "n=1,"), ("sweep", "sieve", "m=1"), ("sweep", "sieve", "n=x"),
    ("sweep", "sieve", "n=1", "--repeat", "0"), ("sweep", "sieve", "collector=best"),
    ("run", "sieve", "--frobnicate"), ("list", "extra"), ("backends", "--procs", "3")])
def test_bad_usage(args):
    done = gort_cli(*args)
    assert done.returncode == 2 and done.stdout == "" and "usage:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_trace_that_cannot_be_written(tmp_path):
    done = gort_cli("run", "pingpong", "rounds=3", "--trace", str(tmp_path / "no" / "t.html"))
    assert done.returncode == 1 and "Traceback" not in done.stderr


def test_list_and_backends():
    done = gort_cli("list")
    assert done.returncode == 0 and "sieve" in done.stdout and "n=500" in done.stdout
    listed = json.loads(gort_cli("list", "--json").stdout)
    assert listed["sieve"]["parameters"][0]["name"] == "n"
    done = gort_cli("backends")
    assert done.returncode == 0 and "context" in done.stdout
    assert "context" in json.loads(gort_cli("backends", "--json").stdout)


@pytest.mark.skipif(os.name != "posix", reason="signals as in POSIX")
def test_interrupt():
    """The bar on stderr shows that the run is under way; then comes Ctrl-C."""
    pytest.importorskip("tqdm")
    command = [sys.executable, "-m", "gort", "run", "pingpong", "rounds=1000000000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stderr.read(1), "the bar"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130 and out == b""
    assert b"interrupted" in err and b"Traceback" not in err
