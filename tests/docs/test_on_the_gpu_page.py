"""The page about GPUs: what can be run without one is run, the rest is held against the module."""

from __future__ import annotations

import doctest
import importlib
import inspect
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from docs.test_documents import ROOT, blocks, comparable

from benchmarks.gpu.__main__ import main
from benchmarks.gpu.cases import BATCHES, PAIRS_IN_A_ROW, PRECISIONS, TOLERANCE
from benchmarks.gpu.race import Pace
from cnndsl.backends.numba_cuda.options import LEAST_CAPABILITY

PAGE = (ROOT / "docs" / "on_the_gpu.md").read_text(encoding="utf-8")
SESSIONS = [b for b in blocks(PAGE, "python") if b.startswith(">>>")]
ON_A_DEVICE = [b for b in blocks(PAGE, "python") if not b.startswith(">>>")]


def run(line: str, folder: Path) -> str:
    """Run a command as a shell does, variables before it included."""
    words = shlex.split(line)
    variables = dict(w.split("=", 1) for w in words if re.match(r"[A-Z_]+=", w))
    name, *arguments = words[len(variables) :]
    start = {"cnndsl": ["-m", "cnndsl"], "python": []}[name]
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, *start, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in paths if p), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the page's commands were run, up to the simulator."""
    folder = tmp_path_factory.mktemp("gpu")
    (program,) = blocks(PAGE, "cnn")
    (folder / "net.cnn").write_text(program, encoding="utf-8")
    return folder


def test_commands_print_what_the_page_shows(folder: Path) -> None:
    pytest.importorskip("numba_cuda")
    steps = [
        step
        for session in blocks(PAGE, "console")
        for step in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", session, re.MULTILINE)
    ]
    assert len(steps) == 3
    for command, expected in steps:
        shown = run(command, folder)
        if expected:
            assert comparable(shown) == comparable(expected), command
    assert (folder / "fast.py").read_text().count('PRECISION = "tf32"') == 1


def test_the_session_runs_in_the_simulator(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba_cuda")
    if not (folder / "net.py").exists():
        run("cnndsl compile net.cnn --target numba-cuda", folder)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    (session,) = SESSIONS
    test = doctest.DocTestParser().get_doctest(session, {}, "page", None, None)
    runner = doctest.DocTestRunner()
    runner.run(test)
    assert runner.summarize().failed == 0
    check_facts(importlib.import_module("net"))
    sys.modules.pop("net", None)


def check_facts(module: Any) -> None:
    """Hold what the page says of the module against it."""
    for name in re.findall(r"`(\w*Error)`", PAGE):
        assert name in ("TypeError", "ValueError") or issubclass(getattr(module, name), Exception)
    parameters = inspect.signature(module.load).parameters
    used = set(re.findall(r"load\((\w+)=", PAGE))
    assert used == {"device", "graphs", "check", "tuning"}
    assert used < parameters.keys()
    assert {"net", "file"} < inspect.signature(module.tune).parameters.keys()
    for method in set(re.findall(r"model\.(\w+)\(", PAGE)):
        assert callable(getattr(module.Network, method))
    assert f"last {module.MAX_PLANS} of them" in PAGE
    assert f"last {module.MAX_STREAMS} streams" in PAGE


def test_what_needs_a_device_is_python_that_pytorch_knows() -> None:
    torch = pytest.importorskip("torch")
    assert len(ON_A_DEVICE) == 4
    for text in ON_A_DEVICE:
        compile(text, "page", "exec")
    for name in re.findall(r"torch\.([\w.]+)\(", "".join(ON_A_DEVICE)):
        found: Any = torch
        for part in name.split("."):
            found = getattr(found, part)
        assert callable(found)
    assert "cuda_stream" in inspect.getsource(torch.cuda.Stream)


def test_figures_of_the_page_are_those_of_the_code() -> None:
    from gpu.test_device import NETWORK, OPS

    assert LEAST_CAPABILITY["fp32"] == (7, 5)
    assert {LEAST_CAPABILITY[p] for p in ("tf32", "bf16", "fp16")} == {(8, 0)}
    assert "capability 7.5 (Turing" in PAGE
    assert "`fp16`, 8.0 (Ampere)" in PAGE

    def figure(value: float) -> str:
        return f"{value:.0e}".replace("e-0", "e-")

    text = " ".join(PAGE.split())
    of_networks = [figure(NETWORK[p]) for p in ("fp32", "tf32", "bf16")]
    assert "{} of its largest value in `fp32`, {} in `tf32` and".format(*of_networks[:2]) in text
    assert f"`fp16`, {of_networks[2]} in `bf16`" in text
    of_ops = [figure(OPS[p]) for p in ("fp32", "tf32", "bf16")]
    assert "of a single op, by {}, {} and {}.".format(*of_ops) in text
    assert (NETWORK["fp16"], OPS["fp16"]) == (NETWORK["tf32"], OPS["tf32"])
    assert {p: NETWORK[p] for p in PRECISIONS} == TOLERANCE
    assert (
        f"than {figure(TOLERANCE['fp32'])} (`tf32` {of_networks[1]}, `bf16` {of_networks[2]})"
        in (text)
    )
    assert Pace() == Pace(untimed=3, timed=10, runs=100, seconds=30.0)
    assert "three runs that are not timed and ten that are" in text
    assert "a hundred runs, or of what fits into half a minute" in text
    assert f"{PAIRS_IN_A_ROW} depthwise 3x3 and pointwise pairs in a row" in text
    assert "batch {}, {} and {}".format(*BATCHES) in text


def test_targets_and_options_of_the_benchmarks_exist() -> None:
    targets = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"^    make ([\w-]+)", PAGE, re.MULTILINE)):
        assert re.search(rf"^{target}:", targets, re.MULTILINE), target
    given = re.findall(r'make bench-gpu BENCH="(.*)"', PAGE)
    assert len(given) == 5
    for text in given:
        main.make_context("benchmarks.gpu", shlex.split(text))
