"""What the whole network takes before and after: by the plan, and by the clock side by side."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

from cnndsl.diagnostics import CompileError, Source
from cnndsl.driver.bench import pinned
from cnndsl.driver.load import Loaded
from cnndsl.driver.prepare import Prepared
from cnndsl.driver.profile import loaded
from cnndsl.driver.racing import step_seconds
from cnndsl.driver.samples import random_inputs, usual_sizes
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array
from cnndsl.passes.pipeline import optimize
from cnndsl.weights.initialize import initialize

_UNTIMED = 3
_TURN = 5
_SECONDS = 20.0
"""After which no further turn begins."""


def predicted_s(graph: Graph) -> float | None:
    """Return the seconds of one sample as the plan has it; None where it cannot be planned."""
    try:
        return sum(step_seconds(optimize(graph).graph, usual_sizes(graph, 1)).values())
    except CompileError:
        return None


def measured_s(
    networks: Sequence[tuple[Graph, Mapping[str, Array]]],
    *,
    threads: int | None = None,
    runs: int = 50,
    notify: Callable[[str], None] = lambda _: None,
) -> tuple[float, ...]:
    """Return the median seconds of networks for one sample, timed in turns on this machine.

    All have the same inputs; one to be trained has random weights meanwhile. Raises CompileError
    for what numba-cpu does not support.
    """
    first = networks[0][0]
    inputs = random_inputs(first, 0, usual_sizes(first, 1))
    arrays = [inputs[i.value.name] for i in first.inputs]
    times: list[list[float]] = [[] for _ in networks]
    with pinned(threads) as count, tempfile.TemporaryDirectory(prefix="cnndsl-") as folder:
        runners = []
        for number, (graph, weights) in enumerate(networks, start=1):
            notify(f"compiling network {number} of {len(networks)}")
            missing = any(p.value.name not in weights for p in graph.parameters)
            known = initialize(graph, 0) if missing else weights
            prepared = Prepared(Loaded(graph, (), Source("race", "")), optimize(graph), known)
            runners.append(loaded(prepared, Path(folder), count)[1])
        start = perf_counter()
        while len(times[0]) < runs and (not times[0] or perf_counter() - start < _SECONDS):
            notify(f"timing the networks, run {len(times[0])} of {runs}")
            for network, taken in zip(runners, times, strict=True):
                for _ in range(_UNTIMED):
                    network(*arrays)
                for _ in range(_TURN):
                    began = perf_counter()
                    network(*arrays)
                    taken.append(perf_counter() - began)
    return tuple(map(median, times))
