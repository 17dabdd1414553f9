"""What each layer of a network could become: every scheme that applies, at ranks worth trying."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

from cnndsl.analysis.cost import Cost
from cnndsl.diagnostics import Span
from cnndsl.factorize.factors import layer_cost
from cnndsl.factorize.layer import Layer, layer_of, refusal_of_op
from cnndsl.factorize.rewrite import Key, owner
from cnndsl.factorize.scheme import Label, RankLimit, Ranks, Scheme
from cnndsl.factorize.schemes.cp import Cp3, Cp4
from cnndsl.factorize.schemes.stacked import Stacked
from cnndsl.ir.graph import Graph
from cnndsl.types.extents import Extent

T = TypeVar("T")

LANES = 16
"""Channels that a vector of AVX-512 holds: a rank that fills vectors costs no time for nothing."""

_MOST_RANKS = 24
_MOST_RANKS_EACH = 5
"""Of schemes with several ranks."""
_MOST_RANKS_ITERATED = 6
"""Of schemes that are computed by iteration, which takes seconds for a large layer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A layer in its place: all nodes that share its tensors, and the facts about each.

    `origin` is where a program has it: for all uses of a block the same.
    """

    key: Key
    uses: tuple[Layer, ...]
    origin: Span | None = None

    @property
    def label(self) -> str:
        """What the layer is called: as the first of its uses."""
        return self.uses[0].label

    @property
    def owner(self) -> str:
        """What the names of its tensors begin with."""
        return owner(self.key)

    def cost_of(self, costs: Sequence[Cost]) -> PlaceCost:
        """Return the cost of all uses; their tensors count once."""
        return PlaceCost(known(*(c.macs for c in costs)), costs[0].params)

    @property
    def dense(self) -> PlaceCost:
        return self.cost_of([layer_cost(use) for use in self.uses])


@dataclass(frozen=True, slots=True)
class PlaceCost:
    """What a layer costs with all its uses, for one sample."""

    macs: int
    params: int

    def is_lower(self, other: PlaceCost) -> bool:
        """Tell whether this costs no more of anything, and less of something."""
        return self != other and self.macs <= other.macs and self.params <= other.params


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One way to do a layer's work: a scheme at some ranks; None leaves it as it is.

    `error` is relative: of the outputs that were seen, or of the kernel; unknown (None) where the
    network would have to be trained again.
    """

    scheme: Scheme | None
    ranks: Ranks
    cost: PlaceCost
    error: float | None
    label: Label = Label.APPROXIMATE
    seconds: float | None = None

    @property
    def name(self) -> str:
        return "dense" if self.scheme is None else self.scheme.name

    def __str__(self) -> str:
        return " ".join([self.name, "x".join(map(str, self.ranks))]).rstrip()


@dataclass(frozen=True, slots=True)
class Refused:
    """A layer that a scheme does not apply to, or no scheme at all (""), and why."""

    label: str
    scheme: str
    reason: str


def places(graph: Graph, sizes: Mapping[str, int]) -> tuple[list[Place], list[Refused]]:
    """Return the layers that schemes may apply to, in order, and those with kernels that none does.

    Costs hold for `sizes`, which are those of all symbols but the batch's.
    """
    found: dict[Key, list[Layer]] = {}
    origins: dict[Key, Span | None] = {}
    refused: list[Refused] = []
    for node in graph.nodes:
        layer = layer_of(graph, node, sizes)
        if layer is not None:
            found.setdefault(node.params, []).append(layer)
            origins.setdefault(node.params, node.span)
        elif (reason := refusal_of_op(node.op)) is not None:
            refused.append(Refused(node.label, "", reason))
    layers = [Place(key=key, uses=tuple(uses), origin=origins[key]) for key, uses in found.items()]
    return layers, refused


def known(*extents: Extent) -> int:
    """Return a sum of extents, all of which are numbers."""
    numbers = [e for e in extents if isinstance(e, int)]
    assert len(numbers) == len(extents), "a size is open"
    return sum(numbers)


def chain_cost_of(place: Place, scheme: Scheme, ranks: Ranks) -> PlaceCost:
    """Return what a place costs with a scheme at some ranks."""
    return place.cost_of([scheme.cost(use, ranks) for use in place.uses])


def refusal(place: Place, scheme: Scheme) -> str | None:
    """Return why a scheme does not apply to a place; None where it does."""
    return next((r for use in place.uses if (r := scheme.refusal(use)) is not None), None)


def ranks_to_try(place: Place, scheme: Scheme) -> Iterator[Ranks]:
    """Yield ranks of a scheme that make the layer cheaper, few enough to look at all of them."""
    limits = [scheme.rank_limits(use) for use in place.uses]
    joint = [
        RankLimit(found[0].name, min(limit.maximum for limit in found))
        for found in zip(*limits, strict=True)
    ]
    dense = place.dense
    if isinstance(scheme, Cp3 | Cp4 | Stacked):
        # One number for all ranks.
        alike = [tuple(min(r, limit.maximum) for limit in joint) for r in _steps(_largest(joint))]
        cheaper = [r for r in alike if chain_cost_of(place, scheme, r).is_lower(dense)]
        yield from _thinned(cheaper, _MOST_RANKS_ITERATED)
        return
    most = _MOST_RANKS if len(joint) < 2 else _MOST_RANKS_EACH
    # The cheapest first: where all other ranks are least, one grows as long as that saves.
    axes = []
    for axis, limit in enumerate(joint):
        least = [1] * len(joint)
        below = []
        for rank in _steps(limit.maximum):
            least[axis] = rank
            if not chain_cost_of(place, scheme, tuple(least)).is_lower(dense):
                break
            below.append(rank)
        axes.append(_thinned(below, most))
    for ranks in product(*axes):
        if chain_cost_of(place, scheme, ranks).is_lower(dense):
            yield ranks


def in_whole_vectors(place: Place, scheme: Scheme, ranks: Ranks) -> Ranks:
    """Return ranks with each that is a width filled up to whole vectors, where that is free.

    The channels take the time of whole vectors in any case. It is not free beyond the rank at which
    nothing more is gained, nor where the layer would no longer be cheaper than it is.
    """
    limits = scheme.rank_limits(place.uses[0])
    for axis, limit in enumerate(limits):
        filled = -(-ranks[axis] // LANES) * LANES
        wider = (*ranks[:axis], min(filled, limit.maximum), *ranks[axis + 1 :])
        if limit.is_width and chain_cost_of(place, scheme, wider).is_lower(place.dense):
            ranks = wider
    return ranks


def _steps(maximum: int) -> list[int]:
    """Return ranks up to the largest: a few small ones, whole vectors, the largest."""
    small = [1, 2, 3, 4, 6, 8, 12]
    found = [r for r in small if r <= maximum]
    found += range(LANES, maximum + 1, LANES)
    return found if found[-1] == maximum else [*found, maximum]


def _largest(limits: Sequence[RankLimit]) -> int:
    return max(limit.maximum for limit in limits)


def _thinned(ranks: list[T], most: int) -> list[T]:
    """Return so many of the ranks at most, the largest among them, spread evenly."""
    if len(ranks) <= most:
        return ranks
    return [ranks[round(i * (len(ranks) - 1) / (most - 1))] for i in range(most)]
