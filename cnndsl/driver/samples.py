"""Random inputs for a network: for verification, timing and warming up."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cnndsl.analysis.sizes import required_sizes
from cnndsl.driver.memory import require_room_to_run
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array


def usual_sizes(graph: Graph, batch: int = 1) -> dict[str, int]:
    """Return a size for every symbol: the program's usual one, `batch` for the batch.

    Raises CompileError naming every symbol that has none.
    """
    sizes = {**dict.fromkeys(graph.batch_symbols, batch), **dict(graph.usual_sizes)}
    return required_sizes(graph, sizes, "make an input")


def random_inputs(graph: Graph, seed: int, sizes: Mapping[str, int]) -> dict[str, Array]:
    """Return standard normal values, and for integer inputs valid indices."""
    require_room_to_run(graph, sizes)
    rng = np.random.default_rng(seed)
    inputs: dict[str, Array] = {}
    for i in graph.inputs:
        shape, dtype = i.value.type.at(sizes), i.value.type.dtype
        if dtype.is_float:
            inputs[i.value.name] = rng.standard_normal(shape).astype(dtype.numpy)
        else:
            # An index must be valid in every table that it is looked up in.
            tables = [getattr(n.op, "entries", None) for n in graph.readers[i.value.name]]
            limit = min((t for t in tables if isinstance(t, int)), default=2)
            inputs[i.value.name] = rng.integers(0, limit, shape).astype(dtype.numpy)
    return inputs
