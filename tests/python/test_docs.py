"""The examples in the documents run as they stand."""
import re
import runpy

import gort
import pytest
from conftest import ROOT

BLOCK = re.compile(r"^```python\n(.*?)^```", re.M | re.S)


def examples():
    for path in [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]:
        for i, found in enumerate(BLOCK.finditer(path.read_text(encoding="utf-8")), 1):
            yield pytest.param(found[1], id=f"{path.relative_to(ROOT)}-{i}")


@pytest.mark.parametrize("code", examples())
def test_document(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        exec(compile(code, "example", "exec"), {"__name__": "__main__"})
    except ModuleNotFoundError as e:
        if e.name not in ("numpy", "pandas"):
            raise
        pytest.skip(f"the example has frames, and {e.name} is not installed: an extra of the package")


@pytest.mark.parametrize("path", [pytest.param(p, id=p.stem) for p in sorted(ROOT.glob("docs/notebooks/*.py"))])
def test_notebook(path, tmp_path, monkeypatch, capsys, pyplot):
    """It is also a plain script."""
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(path), run_name="__main__")
    said = capsys.readouterr().out
    if path.stem == "deadlock":
        assert said.count("again: fatal error: all goroutines are asleep") == 3
        assert said.count("money: 200") >= 2 and said.count("cycle: goroutine") == 2 and "right way: None" in said
        assert {f.name for f in tmp_path.iterdir()} == {"timeline.png", "graph.png"}


def test_package_docstring(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = re.search(r"(?:^    .*\n|^\n)+", gort.__doc__, re.M)[0]
    exec("\n".join(line[4:] for line in code.splitlines()), {})
    assert (tmp_path / "sieve.html").exists() and "7919" in capsys.readouterr().out


def test_what_is_exported_exists_and_is_documented():
    for name in gort.__all__:
        assert getattr(gort, name).__doc__, name
