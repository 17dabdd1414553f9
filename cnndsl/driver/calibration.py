"""Read many inputs for a network, a batch at a time: arrays, archives, pictures, folders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from cnndsl.backends.reference.run import check_inputs
from cnndsl.diagnostics import CompileError
from cnndsl.driver import image
from cnndsl.driver.inputs import check_dtype, read_input, unusable
from cnndsl.driver.memory import require_room_to_run
from cnndsl.files import require_plain, unreadable
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array
from cnndsl.types.extents import Dim
from cnndsl.weights import npz
from cnndsl.weights.errors import WeightsFormatError

Inputs: TypeAlias = dict[str, Array]

SUFFIXES = (".npy", ".npz", *image.SUFFIXES)


def expand(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Replace each folder by the files in it that hold inputs, by name.

    Raises CompileError (CNN801, CNN803) for a folder that cannot be read or has none.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        try:
            inside = sorted(
                p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file()
            )
        except OSError as error:
            raise CompileError(unreadable(path, error)) from None
        if not inside:
            raise unusable(path, "the folder holds no inputs", f"they end in {', '.join(SUFFIXES)}")
        found += inside
    return tuple(found)


def batches(
    graph: Graph, paths: Sequence[Path], most: Callable[[Mapping[str, int]], int]
) -> Iterator[Inputs]:
    """Yield the inputs of the files, in order, as arrays by name that fit the network.

    An .npz archive holds an array for each input of the network by its name; an .npy file or
    picture is for a network of one input. Where the batch is a symbol, files of one shape are put
    together and large ones taken apart: `most(sizes)` is how many samples a batch may hold.
    Raises CompileError (CNN204, CNN401, CNN801, CNN803).
    """
    waiting: list[Inputs] = []
    for path in paths:
        arrays = _read(graph, path)
        sizes = _fitting(graph, arrays, path)
        symbol = _batch_symbol(graph)
        if symbol is None:
            require_room_to_run(graph, sizes)
            yield arrays
            continue
        room = max(most({**sizes, symbol: 1}), 1)
        require_room_to_run(graph, {**sizes, symbol: min(room, sizes[symbol])})
        for start in range(0, sizes[symbol], room):
            part = {name: array[start : start + room] for name, array in arrays.items()}
            if waiting and (not _alike(waiting[0], part) or _count([*waiting, part]) > room):
                yield _joined(waiting)
                waiting = []
            waiting.append(part)
    if waiting:
        yield _joined(waiting)


def _read(graph: Graph, path: Path) -> Inputs:
    usual = dict(graph.usual_sizes)
    if path.suffix.lower() == ".npz":
        return _read_archive(graph, path)
    if len(graph.inputs) > 1:
        names = ", ".join(i.value.name for i in graph.inputs)
        raise unusable(
            path,
            f"the network has the inputs {names}",
            "give .npz files that hold an array for each, by its name",
        )
    (i,) = graph.inputs
    return {i.value.name: read_input(i, path, usual)}


def _read_archive(graph: Graph, path: Path) -> Inputs:
    require_plain(path)
    try:
        arrays = {t.name: t.read() for t in npz.scan(path)}
    except WeightsFormatError as error:
        raise unusable(path, str(error), error.help) from None
    except OSError as error:
        raise unusable(path, error.strerror or str(error), None) from None
    for i in graph.inputs:
        if i.value.name in arrays:
            check_dtype(i, arrays[i.value.name], path)
    return arrays


def _fitting(graph: Graph, arrays: Inputs, path: Path) -> dict[str, int]:
    """Return the sizes of the symbols; raise CompileError naming the file that does not fit."""
    try:
        return check_inputs(graph, arrays)
    except CompileError as error:
        first = error.diagnostics[0]
        raise CompileError(
            replace(first, message=f"{path} cannot be used: {first.message}")
        ) from None


def _batch_symbol(graph: Graph) -> str | None:
    """Return the symbol that is the batch of every input, if there is one."""
    extents = {i.value.type.batch for i in graph.inputs}
    if len(extents) != 1:
        return None
    (extent,) = extents
    return next((s for s in graph.symbols if extent == Dim.symbol(s)), None)


def _alike(a: Inputs, b: Inputs) -> bool:
    return all(a[name].shape[1:] == b[name].shape[1:] for name in a)


def _count(parts: Sequence[Inputs]) -> int:
    return sum(len(next(iter(part.values()))) for part in parts)


def _joined(parts: Sequence[Inputs]) -> Inputs:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
