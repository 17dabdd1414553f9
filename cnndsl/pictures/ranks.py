"""Ranks of a layered drawing: what stands on which line, and in which order from left to right.

The method of Sugiyama, Tagawa and Toda (1981): an edge that spans several ranks gets a place to
pass in each of them, then sweeps up and down sort every rank by where its neighbours stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

_SWEEPS = 12


@dataclass(frozen=True, slots=True)
class Item:
    """Something to place: a box with a size in px, or a port (a point on the border around all).

    A `first` port stands above everything, a `last` one below.
    """

    key: str
    width: float = 0.0
    height: float = 0.0
    first: bool = False
    last: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """A value on its way between two items.

    It leaves at `leaves` px to the right of the middle of the source, and arrives at `arrives` px
    to the right of the middle of the target. `before` counts the boxes on the longest way to its
    source, `after` those on the longest way on from its target: the main path is the longest.
    """

    source: str
    target: str
    value: str
    leaves: float = 0.0
    arrives: float = 0.0
    before: int = 0
    after: int = 0


@dataclass(frozen=True, slots=True)
class Hop:
    """A part of one or more links between neighbouring ranks; passages are no items.

    `before` and `after` are the most of these links.
    """

    above: str
    below: str
    leaves: float
    arrives: float
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Ranked:
    """Keys by rank, top down and from left to right; the hops between; each link's passages.

    `passages` maps (source, value) and a rank to the key of the place where the value passes:
    links that carry one value share it.
    """

    ranks: tuple[tuple[str, ...], ...]
    hops: tuple[Hop, ...]
    passages: Mapping[tuple[str, str, int], str]
    rank: Mapping[str, int]


def rank_items(items: Sequence[Item], links: Sequence[Link]) -> Ranked:
    """Place items on ranks and order these. Items come in an order in which links lead forward."""
    rank = _ranks(items, links)
    passages: dict[tuple[str, str, int], str] = {}
    found: dict[tuple[str, str, float, float], tuple[int, int]] = {}
    for link in links:
        course = [link.source]
        for level in range(rank[link.source] + 1, rank[link.target]):
            place = (link.source, link.value, level)
            course.append(passages.setdefault(place, f"{link.source}/{link.value}/{level}"))
        course.append(link.target)
        for above, below in pairwise(course):
            leaves = link.leaves if above == link.source else 0.0
            arrives = link.arrives if below == link.target else 0.0
            before, after = found.get((above, below, leaves, arrives), (0, 0))
            longest = max(before, link.before), max(after, link.after)
            found[above, below, leaves, arrives] = longest
    hops = tuple(Hop(*ends, *longest) for ends, longest in found.items())
    ranks: list[list[str]] = [[] for _ in range(max(rank.values(), default=-1) + 1)]
    for item in items:
        ranks[rank[item.key]].append(item.key)
    # Values that pass by start on the right, the later one the nearer: so brackets nest.
    for (_, _, level), key in reversed(passages.items()):
        ranks[level].append(key)
    order = _ordered(ranks, hops)
    known = {**rank, **{key: level for (_, _, level), key in passages.items()}}
    return Ranked(order, hops, passages, known)


def _ranks(items: Sequence[Item], links: Sequence[Link]) -> dict[str, int]:
    before: dict[str, list[str]] = {item.key: [] for item in items}
    after: dict[str, list[str]] = {item.key: [] for item in items}
    for link in links:
        before[link.target].append(link.source)
        after[link.source].append(link.target)
    rank: dict[str, int] = {}
    start = 1 if any(item.first for item in items) else 0
    for item in items:
        least = 0 if item.first else start
        rank[item.key] = max((rank[k] + 1 for k in before[item.key]), default=least)
    # What has fewer edges above than below is better near what reads it.
    for item in reversed(items):
        if item.first or not after[item.key]:
            continue
        lowest = min(rank[k] for k in after[item.key]) - 1
        if len(set(before[item.key])) < len(set(after[item.key])):
            rank[item.key] = max(rank[item.key], lowest)
    inner = [rank[i.key] for i in items if not i.last]
    for item in items:
        if item.last:
            rank[item.key] = max(inner, default=-1) + 1
    return rank


def _ordered(ranks: list[list[str]], hops: Sequence[Hop]) -> tuple[tuple[str, ...], ...]:
    """Return the ranks in the order with the fewest crossings that the sweeps come across."""
    up: dict[str, list[Hop]] = {}
    down: dict[str, list[Hop]] = {}
    for hop in hops:
        up.setdefault(hop.below, []).append(hop)
        down.setdefault(hop.above, []).append(hop)
    best = [list(rank) for rank in ranks]
    fewest = _crossings(best, down)
    current = [list(rank) for rank in ranks]
    for sweep in range(_SWEEPS):
        if fewest == 0:
            break
        if sweep % 2 == 0:
            for level in range(1, len(current)):
                places = _places(current[level - 1])
                current[level] = _sorted(
                    current[level],
                    {
                        k: [_end(h.above, h.leaves, places) for h in up.get(k, ())]
                        for k in current[level]
                    },
                )
        else:
            for level in range(len(current) - 2, -1, -1):
                places = _places(current[level + 1])
                current[level] = _sorted(
                    current[level],
                    {
                        k: [_end(h.below, h.arrives, places) for h in down.get(k, ())]
                        for k in current[level]
                    },
                )
        _swap_neighbours(current, up, down)
        crossings = _crossings(current, down)
        if crossings < fewest:
            best, fewest = [list(rank) for rank in current], crossings
    return tuple(tuple(rank) for rank in best)


def _places(rank: Iterable[str]) -> dict[str, int]:
    return {key: place for place, key in enumerate(rank)}


def _end(key: str, offset: float, places: Mapping[str, int]) -> float:
    """Return where a hop ends in a rank: the place of its item, and within it the port's."""
    return places[key] + offset / (1.0 + abs(offset)) / 2


def _sorted(rank: Sequence[str], ends: Mapping[str, Sequence[float]]) -> list[str]:
    """Sort by the mean of the neighbours' places; what has none keeps its own."""
    free = [key for key in rank if ends[key]]
    wanted = iter(sorted(free, key=lambda k: sum(ends[k]) / len(ends[k])))
    return [next(wanted) if ends[key] else key for key in rank]


def _swap_neighbours(
    ranks: list[list[str]], up: Mapping[str, list[Hop]], down: Mapping[str, list[Hop]]
) -> None:
    """Swap what stands side by side while that saves crossings."""
    for level, rank in enumerate(ranks):
        above = _places(ranks[level - 1]) if level else {}
        below = _places(ranks[level + 1]) if level + 1 < len(ranks) else {}
        ends = {
            key: (
                [_end(h.above, h.leaves, above) for h in up.get(key, ())],
                [_end(h.below, h.arrives, below) for h in down.get(key, ())],
            )
            for key in rank
        }
        swapped = True
        while swapped:
            swapped = False
            for place in range(len(rank) - 1):
                left, right = ends[rank[place]], ends[rank[place + 1]]
                now = _inversions(left[0], right[0]) + _inversions(left[1], right[1])
                then = _inversions(right[0], left[0]) + _inversions(right[1], left[1])
                if then < now:
                    rank[place], rank[place + 1] = rank[place + 1], rank[place]
                    swapped = True


def _inversions(left: Sequence[float], right: Sequence[float]) -> int:
    return sum(a > b for a in left for b in right)


def _crossings(ranks: Sequence[Sequence[str]], down: Mapping[str, list[Hop]]) -> int:
    total = 0
    for rank, following in pairwise(ranks):
        places = _places(following)
        ends: list[float] = []
        for key in rank:
            hops = sorted(down.get(key, ()), key=lambda h: h.leaves)
            new = [(h.leaves, _end(h.below, h.arrives, places)) for h in hops]
            total += sum(a > b for a in ends for _, b in new)
            total += sum(a > b for i, (x, a) in enumerate(new) for y, b in new[i + 1 :] if x < y)
            ends += [end for _, end in new]
    return total
