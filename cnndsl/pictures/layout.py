"""Where everything in a diagram stands: blocks are laid out from the innermost out.

Every level of nesting is a layered drawing of its own (`ranks`, `columns`). A value that enters or
leaves a block passes through a port on its border, where the outer level takes it up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from cnndsl.pictures.columns import columns
from cnndsl.pictures.content import Ink, Line, lines_of, size_of
from cnndsl.pictures.diagram import Box, Diagram, Edge
from cnndsl.pictures.ranks import Item, Link, Ranked, rank_items

HEAD = 22.0
"""Height of a block's line of title."""

_MARGIN = 12.0
_FOOT = 8.0
_BETWEEN_BOXES = 18.0
_BESIDE_PASSAGE = 13.0
_LEAST_GAP = 20.0
_MOST_GAP = 52.0
_BEND = 0.1
"""Px of gap between ranks for each px that an edge moves to the side."""
_CLEAR = 6.0
"""Px between a title and an edge beside it."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A box and its rectangle; the text starts at `text_x` in open blocks, else it is centred."""

    box: Box
    level: int
    x: float
    y: float
    width: float
    height: float
    lines: tuple[Line, ...]
    text_x: float = 0.0

    def moved(self, x: float, y: float) -> Placed:
        return replace(self, x=self.x + x, y=self.y + y, text_x=self.text_x + x)


@dataclass(frozen=True, slots=True)
class Station:
    """A vertical piece of an edge."""

    x: float
    top: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Route:
    """A drawn part of an edge: stations from the top down, joined by curves.

    It ends in an arrow at a box without children. A `side` way goes by other boxes, while the main
    path takes the same value through them.
    """

    value: str
    stations: tuple[Station, ...]
    arrow: bool
    side: bool

    def moved(self, x: float, y: float) -> Route:
        stations = tuple(Station(s.x + x, s.top + y, s.bottom + y) for s in self.stations)
        return replace(self, stations=stations)


@dataclass(frozen=True, slots=True)
class Layout:
    """Boxes (outer ones first) and routes, within a rectangle that starts at (0, 0)."""

    width: float
    height: float
    boxes: tuple[Placed, ...]
    routes: tuple[Route, ...]


@dataclass(frozen=True, slots=True)
class _Level:
    """A laid out level, and where the values that cross its border do so."""

    layout: Layout
    entries: Mapping[str, float]
    exits: Mapping[str, float]
    title_x: float = 0.0


def lay_out(diagram: Diagram, ink: Ink) -> Layout:
    """Place the boxes of a diagram and lead its edges."""
    layout = _Placer(diagram, ink).level(diagram.boxes, diagram.edges, 0, None).layout
    return replace(layout, routes=_continued(layout.routes))


class _Placer:
    def __init__(self, diagram: Diagram, ink: Ink) -> None:
        self._diagram = diagram
        self._ink = ink
        self._before = _longest_ways([(e.source, e.target) for e in diagram.edges])
        self._after = _longest_ways([(e.target, e.source) for e in reversed(diagram.edges)])

    def level(
        self, boxes: Sequence[Box], edges: Sequence[Edge], depth: int, around: Box | None
    ) -> _Level:
        """Lay out the content of a block (or the whole); `edges` are all that touch it."""
        inside = {leaf.key: box.key for box in boxes for leaf in box.leaves}
        inner: dict[str, _Level] = {}
        for box in boxes:
            if box.children:
                own = [e for e in edges if box.key in (inside.get(e.source), inside.get(e.target))]
                inner[box.key] = self.level(box.children, own, depth + 1, box)
        lines = {box.key: lines_of(box, self._diagram, self._ink) for box in boxes}
        items = [_item(box, inner.get(box.key), lines[box.key]) for box in boxes]
        links = self._links(edges, inside, inner, {item.key: item for item in items})
        entries = dict.fromkeys(k.source for k in links if k.source not in lines)
        exits = dict.fromkeys(k.target for k in links if k.target not in lines)
        height = 0.0 if around is None else HEAD
        items[:0] = [Item(key, height=height, first=True) for key in entries]
        items += [Item(key, height=_FOOT, last=True) for key in exits]
        ranked = rank_items(items, links)
        sizes = {item.key: item for item in items}
        x = columns(ranked, _halves(ranked, sizes), lambda a, b: _gap(a, b, sizes))
        level = _Drawing(ranked, sizes, x, headless=not entries and around is not None)
        return self._finished(level, boxes, inner, lines, links, depth, around)

    def _links(
        self,
        edges: Sequence[Edge],
        inside: Mapping[str, str],
        inner: Mapping[str, _Level],
        items: Mapping[str, Item],
    ) -> list[Link]:
        """Return the edges as this level sees them: between its boxes, from and to its border."""
        found: dict[tuple[str, str, str], Link] = {}
        for edge in edges:
            source, target = inside.get(edge.source), inside.get(edge.target)
            if source == target:
                continue
            leaves = arrives = 0.0
            if source is not None and source in inner:
                leaves = inner[source].exits[edge.value] - items[source].width / 2
            if target is not None and target in inner:
                arrives = inner[target].entries[edge.value] - items[target].width / 2
            link = Link(
                source or f"in/{edge.value}",
                target or f"out/{edge.value}",
                edge.value,
                leaves,
                arrives,
                self._before.get(edge.source, 0),
                self._after.get(edge.target, 0),
            )
            ends = (link.source, link.target, link.value)
            after = max(link.after, found[ends].after if ends in found else 0)
            found[ends] = replace(link, after=after)
        return list(found.values())

    def _finished(
        self,
        drawing: _Drawing,
        boxes: Sequence[Box],
        inner: Mapping[str, _Level],
        lines: Mapping[str, tuple[Line, ...]],
        links: Sequence[Link],
        depth: int,
        around: Box | None,
    ) -> _Level:
        """Gather what is placed, the rectangles of inner levels moved to their places."""
        placed: list[Placed] = []
        routes = [*drawing.routes(links, {b.key for b in boxes if not b.children})]
        for box in boxes:
            left, top, width, height = drawing.rectangle(box.key)
            within = inner.get(box.key)
            placed.append(
                Placed(
                    box,
                    depth,
                    left,
                    top,
                    width,
                    height,
                    lines[box.key],
                    left + (within.title_x if within else 0.0),
                )
            )
            if within:
                placed += [b.moved(left, top) for b in within.layout.boxes]
                routes += [r.moved(left, top) for r in within.layout.routes]
        entries, exits = drawing.ports(links, set(lines))
        width, title_x = drawing.width, 0.0
        if around is not None:
            (title,) = lines_of(around, self._diagram, self._ink)
            title_x, width = _title_place(title.width, width, entries.values())
        layout = Layout(width, drawing.height, tuple(placed), tuple(routes))
        return _Level(layout, entries, exits, title_x)


class _Drawing:
    """Vertical places added to a ranked level whose horizontal places are known."""

    def __init__(
        self, ranked: Ranked, sizes: Mapping[str, Item], x: Mapping[str, float], headless: bool
    ) -> None:
        self._ranked = ranked
        self._sizes = sizes
        half = _halves(ranked, sizes)
        left = min((x[k] - half[k] for k in x), default=0.0)
        right = max((x[k] + half[k] for k in x), default=0.0)
        self._x = {key: round(value - left + _MARGIN, 1) for key, value in x.items()}
        self.width = float(round(right - left + 2 * _MARGIN))
        bends = [0.0] * len(ranked.ranks)
        for hop in ranked.hops:
            bend = abs(self._x[hop.above] + hop.leaves - self._x[hop.below] - hop.arrives)
            level = ranked.rank[hop.above]
            bends[level] = max(bends[level], bend)
        self._tops: list[float] = []
        self._bottoms: list[float] = []
        y = HEAD if headless else 0.0
        for level, rank in enumerate(ranked.ranks):
            height = max((sizes[k].height for k in rank if k in sizes), default=0.0)
            self._tops.append(y)
            self._bottoms.append(y + height)
            port = any(k in sizes and (sizes[k].first or sizes[k].last) for k in rank)
            following = ranked.ranks[level + 1] if level + 1 < len(ranked.ranks) else ()
            foot = any(k in sizes and sizes[k].last for k in following)
            least = 4.0 if port or foot else _LEAST_GAP
            y += height + min(_MOST_GAP, max(least, _BEND * bends[level] + least))
        last = any(item.last for item in sizes.values())
        self.height = (self._bottoms[-1] if self._bottoms else y) + (0.0 if last else _FOOT)

    def rectangle(self, key: str) -> tuple[float, float, float, float]:
        """Return left, top, width and height; a box stands in the middle of its rank."""
        item, level = self._sizes[key], self._ranked.rank[key]
        top = (self._tops[level] + self._bottoms[level] - item.height) / 2
        return self._x[key] - item.width / 2, round(top, 1), item.width, item.height

    def ports(
        self, links: Sequence[Link], boxes: set[str]
    ) -> tuple[dict[str, float], dict[str, float]]:
        """Return where values enter and leave, by value."""
        entries = {k.value: self._x[k.source] for k in links if k.source not in boxes}
        exits = {k.value: self._x[k.target] for k in links if k.target not in boxes}
        return entries, exits

    def routes(self, links: Sequence[Link], leaves: set[str]) -> list[Route]:
        """Return the course of each link; one that shares passages starts at the last of them."""
        drawn: set[str] = set()
        longest: dict[tuple[str, str], int] = {}
        for link in links:
            fork = link.source, link.value
            longest[fork] = max(longest.get(fork, 0), link.after)
        found = []
        for link in links:
            first, last = self._ranked.rank[link.source], self._ranked.rank[link.target]
            _, top, _, height = self.rectangle(link.source)
            bottom = top + height
            if self._sizes[link.source].first:
                top = bottom = 0.0
            stations = [Station(self._x[link.source] + link.leaves, bottom, self._bottoms[first])]
            for level in range(first + 1, last):
                key = self._ranked.passages[link.source, link.value, level]
                station = Station(self._x[key], self._tops[level], self._bottoms[level])
                if key in drawn:
                    stations = [Station(station.x, station.bottom, station.bottom)]
                else:
                    drawn.add(key)
                    stations.append(station)
            _, top, _, height = self.rectangle(link.target)
            if self._sizes[link.target].last:
                top = self.height
            stations.append(Station(self._x[link.target] + link.arrives, self._tops[last], top))
            side = last > first + 1 and link.after < longest[link.source, link.value]
            found.append(Route(link.value, tuple(stations), link.target in leaves, side))
        return found


def _continued(routes: Sequence[Route]) -> tuple[Route, ...]:
    """Return the routes, those within blocks a side way if they go on from one."""
    ends: set[tuple[str, float, float]] = set()
    found = []
    for route in sorted(routes, key=lambda r: r.stations[0].top):
        first, last = route.stations[0], route.stations[-1]
        side = route.side or (route.value, round(first.x), round(first.top)) in ends
        if side:
            ends.add((route.value, round(last.x), round(last.bottom)))
        found.append(replace(route, side=side))
    return tuple(found)


def _item(box: Box, level: _Level | None, lines: tuple[Line, ...]) -> Item:
    if level is not None:
        return Item(box.key, level.layout.width, level.layout.height)
    width, height = size_of(lines)
    return Item(box.key, width, height)


def _longest_ways(edges: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Return for each box the boxes on the longest way to it.

    The edges come in an order in which all that lead to a box precede those that leave it.
    """
    found: dict[str, int] = {}
    for source, target in edges:
        found[target] = max(found.get(target, 0), found.get(source, 0) + 1)
    return found


def _halves(ranked: Ranked, sizes: Mapping[str, Item]) -> dict[str, float]:
    keys = (key for rank in ranked.ranks for key in rank)
    return {key: sizes[key].width / 2 if key in sizes else 0.0 for key in keys}


def _gap(left: str, right: str, sizes: Mapping[str, Item]) -> float:
    boxes = sum(key in sizes and sizes[key].width > 0 for key in (left, right))
    return _BETWEEN_BOXES if boxes == 2 else _BESIDE_PASSAGE


def _title_place(title: float, width: float, ports: Iterable[float]) -> tuple[float, float]:
    """Return where a title starts so that no edge crosses it, and the width of the block then."""
    left = _CLEAR
    for port in sorted(ports):
        if port - _CLEAR - left >= title:
            return left, width
        left = port + _CLEAR
    return left, max(width, float(-(-(left + title + _CLEAR) // 2) * 2))
