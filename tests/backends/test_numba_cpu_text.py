"""How generated modules read: formatted as a person would leave them."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from conformance.cases import cases, vector_cases
from conformance.modules import HEADER, graph_of_cases

from cnndsl.backends.numba_cpu.emit import emit
from cnndsl.driver.load import load
from cnndsl.ir.graph import Graph
from cnndsl.passes.pipeline import optimize

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.cnn"))
WIDTH = 100

CALLED = {"tile": "tile", "conv": "conv", "clear": "clear_halo", "fill": "fill_", "drain": "drain_"}
"""How the kernels' names begin whose addresses `invoke` gets, by the name of the argument."""


def graphs() -> list[Graph]:
    """Return the examples, and networks that between them hold every op on every rank."""
    grids = [graph_of_cases(cases(rank) if rank else vector_cases()) for rank in range(4)]
    return [*(optimize(load(path).graph).graph for path in EXAMPLES), *grids]


GRAPHS = graphs()


@pytest.fixture(scope="module", params=range(len(GRAPHS)), ids=lambda i: f"{GRAPHS[i].name}-{i}")
def text(request: pytest.FixtureRequest) -> str:
    return emit(GRAPHS[request.param], "net", header=HEADER)


def test_lines_are_short_and_end_in_no_space(text: str) -> None:
    for number, line in enumerate(text.splitlines(), 1):
        assert len(line) <= WIDTH, f"line {number}: {line}"
        assert line == line.rstrip(), f"line {number} ends in space"
        assert "\t" not in line, f"line {number} holds a tab"
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_two_blank_lines_part_definitions(text: str) -> None:
    for found in re.finditer(r"(\n*)\n(?=(?:def|class|@)[^\n]*)", text):
        before = text[: found.start()].rpartition("\n")[2]
        if not before.startswith("@"):
            assert found[1] == "\n\n", text[found.start() : found.end() + 80]
    assert "\n\n\n\n" not in text


@pytest.mark.skipif(find_spec("ruff") is None and not shutil.which("ruff"), reason="needs ruff")
def test_a_formatter_finds_nothing_to_change(text: str) -> None:
    ruff = [sys.executable, "-m", "ruff"] if find_spec("ruff") else ["ruff"]
    done = subprocess.run(
        [*ruff, "format", "--isolated", "--diff", f"--line-length={WIDTH}", "-"],
        input=text,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_what_is_called_by_its_address_gets_the_arguments_that_it_takes(text: str) -> None:
    """Nothing else would notice: who calls an address knows no signature."""
    tree = ast.parse(text)
    takes = {
        f.name: [a.arg for a in f.args.args]
        for f in tree.body
        if isinstance(f, ast.FunctionDef) and "kernel" in map(ast.unparse, f.decorator_list)
    }
    calls = [
        call.args
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "invoke"
    ]
    assert calls or "def invoke" not in text
    for address, *given in calls:
        assert isinstance(address, ast.Name)
        # A stage of a band is `conv` for its only chunk or, for each block, `grouped`.
        stage = "conv" if isinstance(given[0], ast.Constant) else "grouped"
        begin = CALLED.get(address.id, stage)
        meant = [names for name, names in takes.items() if name.startswith(begin)]
        for names in meant:
            assert len(names) == len(given), ast.unparse(ast.Call(address, given, []))
            assert _in_their_places(given, names), ast.unparse(ast.Call(address, given, []))
        # A network may have no groups, but whatever else is called is there.
        assert meant or begin == "grouped"


def _in_their_places(given: list[ast.expr], names: list[str]) -> bool:
    """Say whether arguments that are called as parameters are, are what these get."""
    variables = [value.id if isinstance(value, ast.Name) else None for value in given]
    placed = {name for variable, name in zip(variables, names, strict=True) if variable == name}
    return {variable for variable in variables if variable in names} <= placed
