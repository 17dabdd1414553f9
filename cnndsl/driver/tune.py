"""Measure which algorithm each convolution is fastest with, on this machine."""

from __future__ import annotations

import collections
import copy
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numba
import numpy as np

from cnndsl.driver.bench import pinned, processor
from cnndsl.driver.prepare import Prepared
from cnndsl.driver.profile import loaded
from cnndsl.driver.samples import random_inputs, usual_sizes
from cnndsl.driver.tuning import TunedLayer, Tuning, convolutions, shape_of
from cnndsl.ops.base import Array

SETTINGS = {
    "direct": ("off", "off"),
    "f2": ("f2", "off"),
    "f4": ("f4", "off"),
    "strassen": ("off", "on"),
}
"""Algorithms, and WINOGRAD and STRASSEN of a generated module that uses each wherever it can."""

GAIN = 1.03
"""How much faster than direct an algorithm must be: times vary, and F(4x4, 3x3) rounds more."""

_TURN = 5
"""Timed runs with one algorithm before the next has its turn."""


def tune(
    prepared: Prepared,
    *,
    threads: int | None = None,
    runs: int = 30,
    batch: int = 1,
    seed: int = 0,
    notify: Callable[[str], None] = lambda _: None,
) -> Tuning:
    """Run the whole network with one algorithm wherever it can be used, then another, in turns.

    So every layer is timed between its neighbours, with the caches as they leave them. Raises
    CompileError.
    """
    graph = prepared.optimized.graph
    sizes = usual_sizes(prepared.graph, batch)
    inputs = random_inputs(prepared.graph, seed, sizes)
    arrays = [inputs[i.value.name] for i in prepared.graph.inputs]
    known = convolutions(graph)
    with pinned(threads) as count, tempfile.TemporaryDirectory(prefix="cnndsl-") as folder:
        notify("compiling")
        module, net = loaded(prepared, Path(folder), count)
        variants = {name: variant(module, net, name, arrays) for name in SETTINGS}
        taken: dict[str, dict[str, list[Array]]] = {name: {} for name in variants}
        used: dict[str, dict[str, str]] = {name: {} for name in variants}
        for first in range(0, runs, _TURN):
            notify(f"run {first} of {runs}")
            for name, network in variants.items():
                records = module.profile(network, *arrays, runs=min(_TURN, runs - first))
                for label, seconds in by_label(records).items():
                    taken[name].setdefault(label, []).append(seconds)
                used[name] |= {r.label: r.algorithm for r in records if r.macs}
        machine = {
            "processor": processor(),
            "lanes": module.LANES,
            "threads": count,
            "numba": numba.__version__,
        }
    layers = {}
    for label, node in known.items():
        # An algorithm that a layer cannot use leaves it direct, as the others do.
        possible = ["direct"]
        possible += [n for n in SETTINGS if used[n].get(label) != used["direct"].get(label)]
        if len(possible) > 1:
            times = {n: float(np.median(np.concatenate(taken[n][label]))) for n in possible}
            layers[label] = TunedLayer(shape_of(graph, node), fastest(times), times)
    return Tuning(
        network=prepared.graph.name,
        program_sha256=prepared.source_sha256,
        machine=machine,
        sizes=sizes,
        layers=layers,
    )


def variant(module: Any, net: Any, algorithm: str, arrays: Sequence[Array]) -> Any:
    """Return the network with a plan of its own, made with one algorithm wherever it fits."""
    before = module.WINOGRAD, module.STRASSEN, module.FUSE
    changed = copy.copy(net)
    changed._plans = collections.OrderedDict()
    try:
        (module.WINOGRAD, module.STRASSEN), module.FUSE = SETTINGS[algorithm], "off"
        changed(*arrays)
    finally:
        module.WINOGRAD, module.STRASSEN, module.FUSE = before
    return changed


def by_label(records: Sequence[Any]) -> dict[str, Array]:
    """Return the seconds of each layer, its steps together, in each run; none share a step."""
    found: dict[str, Array] = {}
    for record in records:
        assert not record.parts, f"{record.label} is not timed apart"
        found[record.label] = found.get(record.label, 0.0) + record.seconds
    return found


def fastest(seconds: Mapping[str, float]) -> str:
    """Return the algorithm to use."""
    best = min(seconds, key=lambda name: seconds[name])
    return best if seconds["direct"] >= GAIN * seconds[best] else "direct"
