"""How much data a layer must see before it is fitted to them, and how much is read for that."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, prod

from cnndsl.factorize.candidates import places
from cnndsl.factorize.collect import refusal_to_collect
from cnndsl.factorize.layer import Layer
from cnndsl.ir.graph import Graph

FEWEST_SAMPLES = 128
"""Samples that are looked at; what a layer's inputs have in common shows in fewer."""

MOST_SAMPLES = 2048
"""Samples that are looked at where maps are so small that fewer show too little of a layer."""

BATCH = 8
"""Samples that are taken at once; of each four the last one is held out."""

_FITTED_OF_BATCH = 6
_MOST_BYTES = 4 << 30
"""What the values of both networks at one of their nodes may take, for all samples."""

_POSITIONS = 256
"""Output positions looked at in a sample, at most."""

_ROWS = 24_576
"""Rows looked at in all: those of the fewest samples. More of them take time and tell no more."""

_ROWS_EACH = 2
"""Rows that must be seen for each of the numbers that an output sees. A kernel that is fitted to
fewer than there are weights for each output answers for these rows, and for nothing else."""


def samples_wanted(graph: Graph, sizes: Mapping[str, int]) -> int:
    """Return how many samples of these sizes to look at, so that layers can be fitted to them.

    A layer that would need more than the most asks for none; nor are there more than memory holds.
    """
    one = {**sizes, **dict.fromkeys(graph.batch_symbols, 1)}
    wanted = FEWEST_SAMPLES
    for place in places(graph, one)[0]:
        needed = samples_needed(place.uses[0], one)
        if needed is not None and needed <= MOST_SAMPLES:
            wanted = max(wanted, needed)
    return max(min(wanted, _MOST_BYTES // _bytes_of_sample(graph, one)), 1)


def samples_needed(layer: Layer, sizes: Mapping[str, int]) -> int | None:
    """Return how many samples a layer must see to be fitted; None for one that never is."""
    if refusal_to_collect(layer) is not None:
        return None
    places = prod(layer.output.at({**dict(layer.sizes), **sizes})[2:])
    fitted = ceil(rows_needed(layer) / min(places, _POSITIONS))
    return BATCH * ceil(fitted / _FITTED_OF_BATCH)


def rows_needed(layer: Layer) -> int:
    """Return how many rows a layer must see to be fitted to them."""
    return _ROWS_EACH * layer.patch


def positions(samples: int) -> int:
    """Return how many output positions to look at in each of so many samples."""
    return min(_POSITIONS, ceil(_ROWS / max(samples, 1)))


def _bytes_of_sample(graph: Graph, sizes: Mapping[str, int]) -> int:
    """Return what is alive at most while a sample goes through both networks, node by node."""
    last = {name: node for node in graph.nodes for name in node.inputs}
    alive = {i.value.name: 4 * prod(i.value.type.at(sizes)) for i in graph.inputs}
    most = sum(alive.values())
    for node in graph.nodes:
        alive[node.output.name] = 4 * prod(node.output.type.at(sizes))
        most = max(most, sum(alive.values()))
        for name in node.inputs:
            if last[name] is node and name not in graph.output_values:
                alive.pop(name, None)
    return max(2 * most, 1)
