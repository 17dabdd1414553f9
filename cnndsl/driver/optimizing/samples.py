"""Calibration data: which samples layers are fitted to, and which tell the error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from cnndsl.backends.reference.run import check_inputs
from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.driver.calibration import Inputs, batches, expand
from cnndsl.driver.optimizing.enough import BATCH, samples_wanted
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array

_FEW = 8
_HELD = 4
"""Of so many samples the last one is held out."""


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
    taken, wanted = 0, 0
    for inputs in batches(graph, files, lambda _: BATCH):
        if any(not finite(array) for array in inputs.values()):
            raise not_finite(next(n for n, a in inputs.items() if not finite(a)))
        wanted = wanted or samples_wanted(graph, check_inputs(graph, inputs))
        yield inputs
        taken += count([inputs])
        if taken >= wanted:
            return


def _wrong(graph: Graph, file: Path) -> Iterator[Diagnostic]:
    try:
        for inputs in batches(graph, [file], lambda _: BATCH):
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


def array_data(graph: Graph, name: str, array: Array) -> tuple[Inputs, ...]:
    """Return the samples of an array for an input, a few at a time. Raises CompileError."""
    wanted = samples_wanted(graph, check_inputs(graph, {name: array}))
    if not finite(array):
        raise not_finite(name)
    if not graph.batch_symbols:
        return ({name: array},)
    samples = array[:wanted]
    return tuple({name: samples[i : i + BATCH]} for i in range(0, len(samples), BATCH))


def fitted_to(graph: Graph, data: Sequence[Inputs]) -> list[Inputs]:
    """Return the samples that layers are fitted to: of each four the first three."""
    return _split(graph, data, held=False)


def held_out(graph: Graph, data: Sequence[Inputs]) -> list[Inputs]:
    """Return the samples that tell the error: of each four the last one; all if there are few."""
    if count(data) < _FEW:
        return list(data)
    return _split(graph, data, held=True) or list(data)


def count(data: Sequence[Inputs]) -> int:
    """Return how many samples there are."""
    return sum(len(next(iter(inputs.values()))) for inputs in data)


def _split(graph: Graph, data: Sequence[Inputs], held: bool) -> list[Inputs]:
    """Return a part of the samples; batches of a size that the network states are left whole."""
    found, before = [], 0
    for number, inputs in enumerate(data):
        samples = count([inputs])
        places = np.arange(before, before + samples)
        if not graph.batch_symbols:
            places = np.full(samples, number)
        chosen = (places % _HELD == _HELD - 1) == held
        if chosen.any():
            found.append({name: array[chosen] for name, array in inputs.items()})
        before += samples
    return found
