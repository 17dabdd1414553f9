"""Programs to draw, and what must hold of every layout."""

from __future__ import annotations

from functools import cache
from itertools import combinations, pairwise
from pathlib import Path

from PIL import ImageFont

from cnndsl.driver.load import load
from cnndsl.ir.graph import Graph
from cnndsl.pictures.content import PADDING_X, Ink
from cnndsl.pictures.diagram import Diagram
from cnndsl.pictures.layout import HEAD, Layout, Placed, Route, Station, lay_out

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.cnn"))
GOLDEN = ROOT / "tests" / "golden" / "pictures"
FONTS = "/usr/share/fonts/truetype/dejavu"

_NEAR = 0.15
"""Coordinates are rounded to a tenth of a px."""


@cache
def example(path: Path) -> Graph:
    """Return the graph of an example, elaborated once."""
    return load(path).graph


def graph_of(text: str, folder: Path) -> Graph:
    """Return the graph of a program's text."""
    path = folder / "program.cnn"
    path.write_text(text, encoding="utf-8")
    return load(path).graph


def inside(inner: Placed, outer: Placed) -> bool:
    return (
        outer.x - _NEAR <= inner.x
        and outer.y - _NEAR <= inner.y
        and inner.x + inner.width <= outer.x + outer.width + _NEAR
        and inner.y + inner.height <= outer.y + outer.height + _NEAR
    )


def apart(a: Placed, b: Placed) -> bool:
    return (
        a.x + a.width <= b.x
        or b.x + b.width <= a.x
        or a.y + a.height <= b.y
        or b.y + b.height <= a.y
    )


def check(diagram: Diagram, ink: Ink = Ink.MACS) -> Layout:
    """Hold a layout to what any must be."""
    layout = lay_out(diagram, ink)
    placed = {p.box.key: p for p in layout.boxes}
    assert list(placed) == [box.key for box in diagram.walk()]
    sheet = Placed(diagram.boxes[0], 0, 0, 0, layout.width, layout.height, ())
    families = [(sheet, diagram.boxes)]
    families += [(placed[box.key], box.children) for box in diagram.walk() if box.children]
    for parent, children in families:
        for child in children:
            assert inside(placed[child.key], parent), f"{child.title} leaves {parent.box.title}"
            assert placed[child.key].x - parent.x >= 4
            assert parent.x + parent.width - placed[child.key].x - placed[child.key].width >= 4
            assert parent is sheet or placed[child.key].y >= parent.y + HEAD - _NEAR
        for a, b in combinations(children, 2):
            assert apart(placed[a.key], placed[b.key]), f"{a.title} overlaps {b.title}"
    for p in layout.boxes:
        check_text(p)
    for edge in diagram.edges:
        above, below = placed[edge.source], placed[edge.target]
        assert above.y + above.height < below.y, f"{edge.value} goes up"
    for route in layout.routes:
        check_route(route, layout)
    passages = [(r.value, s) for r in layout.routes for s in r.stations[1:-1]]
    assert len(set(passages)) == len(passages), "what several links share is drawn once"
    check_connected(diagram, layout)
    return layout


def check_text(p: Placed) -> None:
    """Check that lines fit their box, by the estimate."""
    room = p.width - (p.text_x - p.x) if p.box.children else p.width - 2 * PADDING_X
    assert all(line.width <= room + _NEAR for line in p.lines), p.box.title
    height = sum(line.height for line in p.lines)
    assert height <= (HEAD if p.box.children else p.height), p.box.title


def check_route(route: Route, layout: Layout) -> None:
    """Check that a route goes down, and through no box, nor through a block's title."""
    for station in route.stations:
        assert station.top <= station.bottom + _NEAR
    for before, after in pairwise(route.stations):
        assert before.bottom <= after.top + _NEAR, f"{route.value} goes up"
    for p in layout.boxes:
        if p.box.children:
            (line,) = p.lines
            x, y = p.text_x, p.y
            forbidden = (x, y + 4, x + line.width, y + HEAD - 4)
        else:
            forbidden = (p.x, p.y, p.x + p.width, p.y + p.height)
        for part in covered(route):
            assert clear(part, forbidden), f"{route.value} runs through {p.box.title}"


Rectangle = tuple[float, float, float, float]


def covered(route: Route) -> list[Rectangle]:
    """Return rectangles that the route stays in: vertical lines, and the hulls of bends."""
    lines = [(s.x, s.top, s.x, s.bottom) for s in route.stations]
    bends = []
    for a, b in pairwise(route.stations):
        bends.append((min(a.x, b.x), a.bottom, max(a.x, b.x), b.top))
    return lines + bends


def clear(part: Rectangle, forbidden: Rectangle) -> bool:
    return (
        part[2] <= forbidden[0] + _NEAR
        or forbidden[2] <= part[0] + _NEAR
        or part[3] <= forbidden[1] + _NEAR
        or forbidden[3] <= part[1] + _NEAR
    )


def check_connected(diagram: Diagram, layout: Layout) -> None:
    """Check that the drawn parts of a value join the box that makes it with all that read it."""
    placed = {p.box.key: p for p in layout.boxes}
    for edge in diagram.edges:
        routes = [r for r in layout.routes if r.value == edge.value]
        source, target = placed[edge.source], placed[edge.target]
        start = (source.x + source.width / 2, source.y + source.height)
        seen: set[tuple[float, float]] = set()
        reached = [start]
        while reached:
            x, y = reached.pop()
            for route in routes:
                if any(touches(s, x, y) for s in route.stations):
                    for s in route.stations:
                        for end in ((s.x, s.top), (s.x, s.bottom)):
                            if end not in seen:
                                seen.add(end)
                                reached.append(end)
        end = (target.x + target.width / 2, target.y)
        assert any(abs(x - end[0]) < 1 and abs(y - end[1]) < 1 for x, y in seen), edge


def touches(station: Station, x: float, y: float) -> bool:
    return abs(station.x - x) < 0.5 and station.top - 0.5 <= y <= station.bottom + 0.5


def real_width(text: str, size: float, *, bold: bool) -> float:
    """Return a text's width in DejaVu Sans, as Pillow measures it."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(f"{FONTS}/{name}", 1000).getlength(text) * size / 1000
