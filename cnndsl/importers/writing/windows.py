"""Find runs of items that occur more than once, alike in their layers and how they are wired."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from cnndsl.importers.writing.kinds import Kinds, belong_together, is_join
from cnndsl.importers.writing.model import BlockUse, Body, Item, Repeat

MAX_INPUTS = 3
MAX_RESULTS = 3


@dataclass(frozen=True, slots=True)
class Window:
    """Items `start` to `start + length` of a body, by the body's place among all."""

    body: int
    start: int


@dataclass(slots=True)
class Sight:
    """A body as the search sees it."""

    body: Body
    kinds: list[int]
    makers: dict[int, tuple[int, int]]
    """The item and the place among its results that make each value."""
    last_reads: dict[int, int]
    reads: Counter[int]
    starts: list[bool]
    """Whether a run may begin at each place."""
    ends: list[bool]
    """Whether a run may end before each place; at the end it may."""

    @staticmethod
    def of(body: Body, kinds: Kinds) -> Sight:
        items = body.items
        makers = {v: (i, r) for i, item in enumerate(items) for r, v in enumerate(item.results)}
        last = {v: i for i, item in enumerate(items) for v in item.operands}
        last |= {v: len(items) for v in body.results}
        reads = Counter(v for item in items for v in item.operands)
        reads.update(body.results)
        goes_on = [False] + [
            any(v in before.results and reads[v] == 1 for v in item.operands)
            for before, item in pairwise(items)
        ]
        ends = [
            not (on and belong_together(items[i - 1].layer, items[i].layer))
            for i, on in enumerate(goes_on[: len(items)])
        ]
        # A join does not begin what it brings together.
        starts = [
            end and not (on and is_join(item.layer))
            for end, on, item in zip(ends, goes_on, items, strict=False)
        ]
        numbers = [kinds.of(item.layer) for item in items]
        return Sight(body, numbers, makers, last, reads, starts, [*ends, True])

    def results(self, start: int, length: int) -> set[tuple[int, int]]:
        """Return what of a window's values is read behind it: (item, place), from its start."""
        end = start + length
        return {
            (i - start, place)
            for i in range(start, end)
            for place, v in enumerate(self.body.items[i].results)
            if self.last_reads.get(v, -1) >= end
        }

    def inputs(self, start: int, length: int) -> list[int]:
        """Return the values that a window reads from outside, in order."""
        made = {v for item in self.window(start, length) for v in item.results}
        found = (v for item in self.window(start, length) for v in item.operands if v not in made)
        return list(dict.fromkeys(found))

    def window(self, start: int, length: int) -> list[Item]:
        return self.body.items[start : start + length]


@dataclass(frozen=True, slots=True)
class Repetition:
    """Windows of one length that are alike and do not overlap."""

    length: int
    windows: tuple[Window, ...]


def _period(kinds: Sequence[int]) -> int:
    """Return the least distance at which a sequence repeats itself (Knuth, Morris, Pratt)."""
    borders = [0]
    for kind in kinds[1:]:
        border = borders[-1]
        while border and kind != kinds[border]:
            border = borders[border - 1]
        borders.append(border + (kind == kinds[border]))
    return len(kinds) - borders[-1]


@dataclass(slots=True)
class Effort:
    """Steps of work that may still be taken, so that any network takes some seconds at most."""

    left: int

    def spend(self, steps: int) -> bool:
        """Take steps; return whether there were any left."""
        had = self.left > 0
        self.left -= steps
        return had


@dataclass(slots=True)
class _Growing:
    """A window so far: equal codes mean equal kinds, wired alike; the values it reads, numbered."""

    window: Window
    code: int = 0
    outside: dict[int, int] = field(default_factory=dict)

    def grow(self, sight: Sight, offset: int) -> bool:
        """Add the item at an offset; return False if it then reads too much from outside."""
        start = self.window.start
        wires = [self.code, sight.kinds[start + offset]]
        for v in sight.body.items[start + offset].operands:
            made = sight.makers.get(v)
            if made is not None and made[0] >= start:
                wires.append(2 * ((made[0] - start) * MAX_RESULTS + made[1]))
            else:
                wires.append(2 * self.outside.setdefault(v, len(self.outside)) + 1)
        self.code = hash(tuple(wires))
        return len(self.outside) <= MAX_INPUTS


def wiring(sight: Sight, start: int, length: int) -> int | None:
    """Return a number that is equal for windows of equal kinds, wired alike.

    None for a window that reads too much from outside.
    """
    growing = _Growing(Window(0, start))
    for offset in range(length):
        if not growing.grow(sight, offset):
            return None
    return growing.code


class Search:
    """Looks through bodies for windows of up to `longest` items that occur more than once."""

    def __init__(self, sights: Sequence[Sight], longest: int, effort: Effort) -> None:
        self.sights = sights
        self._found: dict[tuple[int, int], list[Window]] = {}
        self._look(longest, effort)
        self._square_ends = self._squares()

    def repetitions(self) -> Iterator[Repetition]:
        for (length, _), windows in self._found.items():
            apart: list[Window] = []
            for w in windows:  # in the order of bodies and starts
                if not apart or apart[-1].body != w.body or w.start >= apart[-1].start + length:
                    apart.append(w)
            if len(apart) > 1:
                yield Repetition(length, tuple(apart))

    def holds_square(self, repetition: Repetition) -> bool:
        """Tell whether such a window holds two runs in a row that are alike, or most of two."""
        first, length = repetition.windows[0], repetition.length
        if self._square_ends[first.body][first.start] <= first.start + length:
            return True
        sight = self.sights[first.body]
        if all(isinstance(i.layer, BlockUse | Repeat) for i in sight.window(first.start, length)):
            return False
        return 3 * _period(sight.kinds[first.start : first.start + length]) <= 2 * length

    def _look(self, longest: int, effort: Effort) -> None:
        """Let windows grow, item by item, as long as there are others like them."""
        growing = [
            _Growing(Window(place, start))
            for place, sight in enumerate(self.sights)
            for start, may_start in enumerate(sight.starts)
            if may_start
        ]
        for length in range(1, longest + 1):
            if not effort.spend(len(growing)):
                break
            alike: dict[int, list[_Growing]] = defaultdict(list)
            for one in growing:
                w = one.window
                sight = self.sights[w.body]
                if w.start + length <= len(sight.kinds) and one.grow(sight, length - 1):
                    alike[one.code].append(one)
            growing = [one for group in alike.values() if len(group) > 1 for one in group]
            if length == 1:
                continue
            for one in growing:
                w = one.window
                if self.sights[w.body].ends[w.start + length]:
                    self._found.setdefault((length, one.code), []).append(w)
        self._found = {k: w for k, w in self._found.items() if len(w) > 1}

    def _is_square(self, sight: Sight, start: int, length: int) -> bool:
        """Tell whether the second of two windows in a row reads the first.

        Uses of blocks alone do not count: of those, what is worth it is rolled up already.
        """
        window = sight.window(start, length)
        if all(isinstance(item.layer, BlockUse | Repeat) for item in window):
            return False
        made = {v for item in window for v in item.results}
        return any(v in made for v in sight.inputs(start + length, length))

    def _squares(self) -> list[list[int]]:
        """Return, for each place of each body, where the first square from there on ends.

        A square is two windows in a row that are alike, the second of which reads the first.
        """
        ends = [[len(s.body.items) + 1] * (len(s.body.items) + 1) for s in self.sights]
        for (length, _), windows in self._found.items():
            starts = [(w.body, w.start) for w in windows]
            for body, start in starts:
                at = bisect_left(starts, (body, start + length))
                if at < len(starts) and starts[at] == (body, start + length):
                    sight = self.sights[body]
                    if self._is_square(sight, start, length):
                        ends[body][start] = min(ends[body][start], start + 2 * length)
        for found in ends:
            for i in range(len(found) - 2, -1, -1):
                found[i] = min(found[i], found[i + 1])
        return ends
