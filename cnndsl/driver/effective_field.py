"""Measure an effective receptive field: where the gradient of a unit by the input has its energy.

Gradients are taken for random inputs and squared, so what is averaged is how strongly each position
of the input moves the unit, whatever the sign. All channels of a unit are measured at once: their
gradients are summed with random signs, which makes the products of different channels cancel on
average and leaves the sum of the squares. Summed with equal signs they would cancel each other
instead, as channels of random weights do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod, sqrt
from typing import Any

import numpy as np

from cnndsl.backends.reference.gradient import gradient
from cnndsl.backends.reference.statistics import with_statistics
from cnndsl.driver.memory import require_room_for_gradients
from cnndsl.driver.samples import random_inputs, usual_sizes
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array
from cnndsl.ops.norm import BatchNorm
from cnndsl.weights.initialize import initialize


@dataclass(frozen=True, eq=False)
class Measured:
    """The energy of a unit's gradient over the input's positions.

    `energy` has the input's spatial axes: squares summed over the input's channels, averaged over
    `samples` random inputs. Positions are the input's; beyond its borders nothing is measured.
    """

    value: str
    unit: tuple[int, ...]
    input: str
    energy: Array
    samples: int

    @property
    def silent(self) -> bool:
        """Whether no gradient arrived at all: dead units, or a path that no input opens."""
        return not self.energy.any()

    @property
    def centre_px(self) -> tuple[float, ...]:
        """The mean position, per axis; raises ValueError if silent."""
        return tuple(float(p @ np.arange(p.size)) for p in self.marginals)

    @property
    def sigma_px(self) -> tuple[float, ...]:
        """The standard deviation, per axis; raises ValueError if silent."""
        found = []
        for share, centre in zip(self.marginals, self.centre_px, strict=True):
            found.append(sqrt(float(share @ (np.arange(share.size) - centre) ** 2)))
        return tuple(found)

    @cached_property
    def marginals(self) -> tuple[Array, ...]:
        """The share of the energy at each position of an axis, per axis."""
        if self.silent:
            raise ValueError(f"no gradient of {self.value} arrives at {self.input}")
        share = self.energy / self.energy.sum()
        axes = range(share.ndim)
        return tuple(share.sum(axis=tuple(a for a in axes if a != axis)) for axis in axes)

    def extent_px(self, share: float = 0.95) -> tuple[int, ...]:
        """Return, per axis, over how many positions around the middle a share of it lies."""
        found = []
        for marginal in self.marginals:
            below = np.cumsum(marginal)
            # The sums round: what is asked for is short of one by as much.
            first = int(np.searchsorted(below, (1 - share) / 2 + 1e-12, side="right"))
            last = int(np.searchsorted(below, (1 + share) / 2 - 1e-12))
            found.append(last - first + 1)
        return tuple(found)


def measured(
    graph: Graph,
    weights: Mapping[str, Array],
    sizes: Mapping[str, int],
    value: str,
    samples: int = 8,
    seed: int = 0,
    progress: Callable[[str], None] = lambda _: None,
    *,
    unit: Sequence[int] | None = None,
    input: str | None = None,
) -> Measured:
    """Measure the effective field of a unit (the map's centre) in one input (the first).

    `sizes` go before the program's usual ones; the batch is 1. Positions of an input of whole
    numbers are measured at the vectors looked up for them. Raises CompileError where a size is
    missing, or memory for the gradients.
    """
    sizes = _all_sizes(graph, sizes)
    require_room_for_gradients(graph, sizes)
    source = next(i.value for i in graph.inputs if input is None or i.value.name == input)
    if source.type.dtype.is_float:
        wanted = [source.name]
    else:
        wanted = [node.output.name for node in graph.readers[source.name]]
    shape = graph.types[value].at(sizes)
    place = tuple(n // 2 for n in shape[2:]) if unit is None else tuple(unit)
    channels: tuple[Any, ...] = (slice(None), slice(None), *place)
    energy = np.zeros(graph.types[wanted[0]].at(sizes)[2:])
    rng = np.random.default_rng(seed)
    for number in range(samples):
        progress(f"gradient {number + 1} of {samples}")
        inputs = random_inputs(graph, seed + number, sizes)
        signs: Array = np.zeros(shape)
        signs[channels] = rng.choice((-1.0, 1.0), shape[:2])
        for part in gradient(graph, inputs, weights, value, signs, at=wanted).values():
            energy += (part**2).sum(axis=(0, 1)) / (samples * prod(shape[:2]))
    return Measured(value, place, source.name, energy, samples)


def normalized_weights(
    graph: Graph,
    sizes: Mapping[str, int],
    seed: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Array]:
    """Return random weights under which batch norms normalise, as those of a trained network do.

    Their statistics are those of one random input. Raises as `measured` does.
    """
    weights = initialize(graph, seed)
    if not any(isinstance(node.op, BatchNorm) for node in graph.nodes):
        return weights
    progress("statistics of the batch norms")
    inputs = random_inputs(graph, seed, _all_sizes(graph, sizes))
    return with_statistics(graph, inputs, weights)


def _all_sizes(graph: Graph, sizes: Mapping[str, int]) -> dict[str, int]:
    """Return a size for every symbol: those given, then the usual ones, 1 for the batch."""
    given = {**dict(graph.usual_sizes), **sizes}
    return usual_sizes(replace(graph, usual_sizes=tuple(given.items())))
