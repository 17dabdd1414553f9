"""Roll up what repeats exactly, one behind the other: f -> f -> f is f ** 3."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from cnndsl.importers.writing.kinds import Kinds, is_follower, layer_cost
from cnndsl.importers.writing.model import (
    BlockUse,
    Body,
    Item,
    Layer,
    Literal,
    Parameter,
    Repeat,
    Scale,
)

LONGEST_PERIOD = 64
_STEPS = 100_000


@dataclass(frozen=True, slots=True)
class Chain:
    """Items `start` on: `length` layers, `times` times one behind the other."""

    body: int
    start: int
    length: int
    times: int


def roll_single(body: Body) -> None:
    """Roll up single layers that repeat."""
    for start, length, times in reversed(_chains(body, [1])):
        roll(body, start, length, times)


def best_chains(
    bodies: Sequence[Body], kinds: Kinds, blocks: Sequence[Sequence[Parameter]]
) -> tuple[int, list[Chain]]:
    """Return the repeated chains of one kind that save the most words, and how many."""
    found: dict[object, list[Chain]] = defaultdict(list)
    saved: Counter[object] = Counter()
    for place, body in enumerate(bodies):
        longest = min(LONGEST_PERIOD, len(body.items) // 2, _STEPS // (len(body.items) + 1))
        for start, length, times in _chains(body, range(2, longest + 1)):
            base = [item.layer for item in body.items[start : start + length]]
            kind = tuple(kinds.of(layer) for layer in base)
            found[kind].append(Chain(place, start, length, times))
            saved[kind] += (times - 1) * sum(layer_cost(one, blocks) for one in base) - 2
    if not saved:
        return 0, []
    best, words = saved.most_common(1)[0]
    apart: list[Chain] = []
    for chain in found[best]:
        if apart and apart[-1].body == chain.body:
            last = apart[-1]
            if chain.start < last.start + last.length * last.times:
                continue
        apart.append(chain)
    return words, apart


def roll(body: Body, start: int, length: int, times: int) -> None:
    """Make one item of a chain that repeats."""
    items = body.items[start : start + length * times]
    base: list[Layer] = []
    for item in items[:length]:
        layer = item.layer
        # What was written as repeated once, for the sake of its likes, is itself again.
        once = isinstance(layer, Repeat) and layer.times == Literal.of(1)
        base += layer.base if once and isinstance(layer, Repeat) else (layer,)
    labels = items[0].labels[0], items[-1].labels[1]
    made = Item(
        Repeat(tuple(base), Literal.of(times)), items[0].operands, items[-1].results, labels
    )
    body.items[start : start + length * times] = [made]


def as_repeats(bodies: Sequence[Body]) -> None:
    """Write uses of blocks that are repeated elsewhere as repeated once, so that they are alike."""
    repeated = {
        inner.block
        for body in bodies
        for item in body.items
        if isinstance(item.layer, Repeat) and len(item.layer.base) == 1
        for inner in item.layer.base
        if isinstance(inner, BlockUse)
    }
    for body in bodies:
        for i, item in enumerate(body.items):
            if isinstance(item.layer, BlockUse) and item.layer.block in repeated:
                layer = Repeat((item.layer,), Literal.of(1))
                body.items[i] = Item(layer, item.operands, item.results, item.labels)


def _chains(body: Body, periods: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return (start, length, times) of chains that repeat, for periods in rising order."""
    items = body.items
    numbers: dict[Layer, int] = {}
    layers = [numbers.setdefault(item.layer, len(numbers)) for item in items]
    reads = Counter(v for item in items for v in item.operands)
    reads.update(body.results)
    # Whether an item reads the one before it, all of it, and nothing else does; arithmetic with
    # numbers is no link of a chain.
    linked = [False] + [
        b.operands == a.results
        and all(reads[v] == 1 for v in a.results)
        and not isinstance(a.layer, Scale)
        and not isinstance(b.layer, Scale)
        for a, b in pairwise(items)
    ]
    found: list[tuple[int, int, int]] = []
    for period in periods:
        same = 0
        for i in range(len(items) - period + 1):
            at = i + period
            if at < len(items) and linked[at] and layers[i] == layers[at]:
                same += 1
                continue
            # The run that ends here holds whole periods, and some items to choose the first among.
            times = same // period + 1
            for start in range(i - same, i - same + same % period + 1) if times > 1 else ():
                whole = all(linked[start + 1 : start + period])
                if whole and _is_clean(items, start, layers, period):
                    found.append((start, period, times))
                    break
            same = 0
    return found


def _is_clean(items: Sequence[Item], start: int, layers: list[int], period: int) -> bool:
    """Tell whether a period begins where a person would begin, and does not repeat itself."""
    if period > 1 and is_follower(items[start].layer) and start > 0:
        return False
    base = layers[start : start + period]
    return not any(period % p == 0 and base == base[:p] * (period // p) for p in range(1, period))
