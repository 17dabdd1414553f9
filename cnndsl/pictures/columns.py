"""Columns of a layered drawing: the horizontal place of everything, edges as straight as can be.

The method of Brandes and Köpf (2002), with ports as by Rüegg et al. (2015): neighbours of
neighbouring ranks are aligned into vertical blocks in four ways (seen from above or below, from the
left or right), each is packed, and the mean of the middle two gives the place. What is aligned in
all four is straight in the result, and the distances that hold in each hold in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from cnndsl.pictures.ranks import Hop, Ranked


def columns(
    ranked: Ranked, half: Mapping[str, float], gap: Callable[[str, str], float]
) -> dict[str, float]:
    """Return the middle of everything: `half` its width, `gap` the least distance of two."""
    passing = set(ranked.passages.values())
    hops = _alignable(ranked, passing)
    candidates = []
    for mirrored in (False, True):
        sign = -1.0 if mirrored else 1.0
        ranks = [list(reversed(r)) if mirrored else list(r) for r in ranked.ranks]
        seen = [replace(h, leaves=sign * h.leaves, arrives=sign * h.arrives) for h in hops]
        for upward in (False, True):
            shift, root = _align(ranks, seen, upward)
            x = _pack(ranks, shift, root, half, gap)
            candidates.append({key: sign * value for key, value in x.items()})
    return _balanced(candidates, half)


def _alignable(ranked: Ranked, passing: set[str]) -> list[Hop]:
    """Return the hops that may be made straight.

    These are the ones on the longest way through both their ends, so that the main path is
    straight and others give way; and where hops cross, those of values that only pass.
    """
    before: dict[str, int] = {}
    after: dict[str, int] = {}
    for h in ranked.hops:
        before[h.below] = max(before.get(h.below, 0), h.before)
        after[h.above] = max(after.get(h.above, 0), h.after)
    kept = [h for h in ranked.hops if h.before == before[h.below] and h.after == after[h.above]]
    place = {key: i for rank in ranked.ranks for i, key in enumerate(rank)}
    inner = [h for h in kept if h.above in passing and h.below in passing]
    by_rank: dict[int, list[Hop]] = {}
    for hop in inner:
        by_rank.setdefault(ranked.rank[hop.above], []).append(hop)
    return [
        h
        for h in kept
        if (h.above in passing and h.below in passing)
        or not any(
            (place[h.above] - place[o.above]) * (place[h.below] - place[o.below]) < 0
            for o in by_rank.get(ranked.rank[h.above], ())
        )
    ]


def _align(
    ranks: Sequence[Sequence[str]], hops: Sequence[Hop], upward: bool
) -> tuple[dict[str, float], dict[str, str]]:
    """Return each item's root, and how far right of the root it stands.

    Every item is aligned with the middle one (of two, the left) of its neighbours in the rank
    before, unless that would cross an alignment further left.
    """
    neighbours: dict[str, list[tuple[str, float]]] = {}
    for hop in hops:
        key, other = (hop.above, hop.below) if upward else (hop.below, hop.above)
        offset = hop.arrives - hop.leaves if upward else hop.leaves - hop.arrives
        neighbours.setdefault(key, []).append((other, offset))
    place = {key: i for rank in ranks for i, key in enumerate(rank)}
    root = {key: key for rank in ranks for key in rank}
    shift = dict.fromkeys(root, 0.0)
    for rank in reversed(ranks) if upward else ranks:
        last = -1
        for key in rank:
            near = sorted(neighbours.get(key, ()), key=lambda n: (place[n[0]], n[1]))
            for other, offset in near[(len(near) - 1) // 2 : len(near) // 2 + 1]:
                if root[key] == key and place[other] > last:
                    root[key] = root[other]
                    shift[key] = shift[other] + offset
                    last = place[other]
    return shift, root


def _pack(
    ranks: Sequence[Sequence[str]],
    shift: Mapping[str, float],
    root: Mapping[str, str],
    half: Mapping[str, float],
    gap: Callable[[str, str], float],
) -> dict[str, float]:
    """Return places with every block as far left as possible, then as near its right neighbour."""
    right_of: dict[str, list[tuple[str, float]]] = {r: [] for r in root.values()}
    waiting = dict.fromkeys(right_of, 0)
    for rank in ranks:
        for left, right in pairwise(rank):
            distance = half[left] + gap(left, right) + half[right] + shift[left] - shift[right]
            right_of[root[left]].append((root[right], distance))
            waiting[root[right]] += 1
    x = dict.fromkeys(right_of, 0.0)
    ready = [r for r, count in waiting.items() if count == 0]
    order: list[str] = []
    while ready:
        block = ready.pop(0)
        order.append(block)
        for other, distance in right_of[block]:
            x[other] = max(x[other], x[block] + distance)
            waiting[other] -= 1
            if waiting[other] == 0:
                ready.append(other)
    assert len(order) == len(x), "alignments cross"
    for block in reversed(order):
        if right_of[block]:
            x[block] = min(x[other] - distance for other, distance in right_of[block])
    return {key: x[root[key]] + shift[key] for key in root}


def _balanced(
    candidates: Sequence[Mapping[str, float]], half: Mapping[str, float]
) -> dict[str, float]:
    """Return the mean of the middle two, all moved to where the narrowest stands."""

    def extent(x: Mapping[str, float]) -> tuple[float, float]:
        return min(x[k] - half[k] for k in x), max(x[k] + half[k] for k in x)

    if not candidates[0]:
        return {}
    extents = [extent(x) for x in candidates]
    low, high = min(extents, key=lambda e: e[1] - e[0])
    moved = []
    for number, (x, (left, right)) in enumerate(zip(candidates, extents, strict=True)):
        delta = low - left if number < 2 else high - right
        moved.append({key: value + delta for key, value in x.items()})
    found = {}
    for key in candidates[0]:
        values = sorted(x[key] for x in moved)
        found[key] = (values[1] + values[2]) / 2
    return found
