"""Calibration data: which samples layers are fitted to, and which tell the error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.driver.calibration import Inputs, batches, expand
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array

MOST_SAMPLES = 128
"""Samples that are looked at; what a layer's inputs have in common shows in fewer."""

_BATCH = 8
_FEW = 8


def read_calibration(graph: Graph, paths: Sequence[Path]) -> tuple[Inputs, ...]:
    """Return the inputs of files and folders, a few samples at a time.

    Raises CompileError (CNN204, CNN801, CNN803) with what is wrong in any of the files: shapes that
    do not fit, numbers that are NaN or infinite.
    """
    files = expand(paths)
    try:
        return tuple(_some(graph, files))
    except CompileError:
        # The first file that is wrong ended it; say all of them.
        raise CompileError([d for file in files for d in _wrong(graph, file)]) from None


def _some(graph: Graph, files: Sequence[Path]) -> Iterator[Inputs]:
    taken = 0
    for inputs in batches(graph, files, lambda _: _BATCH):
        if any(not finite(array) for array in inputs.values()):
            raise not_finite(next(n for n, a in inputs.items() if not finite(a)))
        part = {name: array[: MOST_SAMPLES - taken] for name, array in inputs.items()}
        yield part
        taken += count([part])
        if taken >= MOST_SAMPLES:
            return


def _wrong(graph: Graph, file: Path) -> Iterator[Diagnostic]:
    try:
        for inputs in batches(graph, [file], lambda _: _BATCH):
            for name, array in inputs.items():
                if not finite(array):
                    yield from not_finite(name, file).diagnostics
                    return
    except CompileError as error:
        yield from error.diagnostics


def finite(array: Array) -> bool:
    """Tell whether an array holds numbers only."""
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def not_finite(name: str, file: Path | None = None) -> CompileError:
    """Return what to raise for data that hold other things than numbers."""
    place = "" if file is None else f"{file}: "
    return CompileError(
        Diagnostic(
            code="CNN803",
            message=f"{place}the calibration data for {name} hold NaN or infinities",
            help="leave out the samples that have them",
        )
    )


def fitted_to(data: Sequence[Inputs]) -> list[Inputs]:
    """Return the samples that layers are fitted to: of each four the first three."""
    return [{n: a[np.arange(len(a)) % 4 != 3] for n, a in inputs.items()} for inputs in data]


def held_out(data: Sequence[Inputs]) -> list[Inputs]:
    """Return the samples that tell the error: of each four the last one; all if there are few."""
    if count(data) < _FEW:
        return list(data)
    held = [{n: a[3::4] for n, a in inputs.items()} for inputs in data]
    return [inputs for inputs in held if count([inputs])]


def count(data: Sequence[Inputs]) -> int:
    """Return how many samples there are."""
    return sum(len(next(iter(inputs.values()))) for inputs in data)
