"""A user's own measure of whether a network is good enough, in a Python file."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias, TypeVar

from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.driver.load import read_source
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array

T = TypeVar("T")

Measure: TypeAlias = Callable[[Graph, Mapping[str, Array]], bool]

NAME = "good_enough"
"""What the function in the file is called."""


def load_measure(path: Path) -> Measure:
    """Return the function `good_enough(graph, weights)` of a user's file, which is run.

    Raises CompileError (CNN801, CNN656); so does the function for whatever goes wrong in it.
    """
    text = read_source(path).text
    names: dict[str, object] = {"__name__": path.stem, "__file__": str(path)}
    _run(path, lambda: exec(compile(text, str(path), "exec", dont_inherit=True), names))
    found = names.get(NAME)
    if not callable(found):
        raise _failed(
            f"{path} has no function {NAME}", f"define {NAME}(graph, weights) that returns a bool"
        )

    def measure(graph: Graph, weights: Mapping[str, Array]) -> bool:
        return _run(path, lambda: bool(found(graph, weights)))

    return measure


def _run(path: Path, step: Callable[[], T]) -> T:
    try:
        return step()
    except Exception as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
        line = error.lineno if isinstance(error, SyntaxError) else None
        line = frames[-1].lineno if frames else line
        raise _failed(
            f"{path}{'' if line is None else f':{line}'} raises {type(error).__name__}: {error}",
            None,
        ) from error


def _failed(message: str, help: str | None) -> CompileError:
    return CompileError(Diagnostic(code="CNN656", message=message, help=help))
