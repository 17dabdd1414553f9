"""Write a diagram as SVG: plain shapes and text, equal bytes for equal programs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from xml.sax.saxutils import escape, quoteattr

from cnndsl.pictures import palette
from cnndsl.pictures.content import PADDING_Y, Ink, Piece
from cnndsl.pictures.diagram import Diagram, Kind
from cnndsl.pictures.layout import HEAD, Layout, Placed, Route, lay_out
from cnndsl.pictures.mark import svg_mark
from cnndsl.pictures.text import quantity, text_width

_EDGE = 16.0
"""Px of paper around everything."""
_HEADING = 15.0
_SMALL = 10.5
_SWATCH = 12.0
_FONT = "'DejaVu Sans', 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"


def to_svg(diagram: Diagram, ink: Ink, source_name: str) -> str:
    """Return the picture of a diagram, boxes coloured by their share of what `ink` says."""
    layout = lay_out(diagram, ink)
    heading = _Heading(diagram, ink)
    width = max(layout.width, heading.width) + 2 * _EDGE
    height = layout.height + heading.height + 2 * _EDGE
    left = _EDGE + max(0.0, heading.width - layout.width) / 2
    top = _EDGE + heading.height
    summary = f"The network {diagram.network}: {diagram.total.layers} layers, {heading.figures}"
    parts = [
        svg_mark(source_name),
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_n(width)}" height="{_n(height)}"'
        f' viewBox="0 0 {_n(width)} {_n(height)}" role="img" aria-labelledby="title desc"'
        f" font-family={quoteattr(_FONT)}>",
        f'<title id="title">{escape(diagram.network)}</title>',
        f'<desc id="desc">{escape(summary)}</desc>',
        *_styles(),
        f'<rect class="paper" width="{_n(width)}" height="{_n(height)}"/>',
        *heading.draw(_EDGE, _EDGE),
        f'<g transform="translate({_n(left)} {_n(top)})">',
        *_drawing(layout, diagram, ink),
        "</g>",
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _styles() -> list[str]:
    head = palette.EDGE, palette.PASSING_EDGE
    markers = [
        f'<marker id="{name}" viewBox="0 0 8 8" refX="7.2" refY="4" markerWidth="7"'
        f' markerHeight="7" orient="auto"><path d="M0 0.8L8 4L0 7.2z" fill="{color}"/></marker>'
        for name, color in zip(("arrow", "passing-arrow"), head, strict=True)
    ]
    return [
        "<style>",
        f".paper {{ fill: {palette.PAPER}; }}",
        f"text {{ fill: {palette.TEXT}; white-space: pre; }}",
        ".title { font-size: 12px; font-weight: bold; }",
        ".note { font-size: 12px; }",
        f".figure {{ font-size: 10.5px; fill: {palette.FAINT_TEXT}; }}",
        f".heading {{ font-size: {_n(_HEADING)}px; font-weight: bold; }}",
        f".box {{ stroke: {palette.BORDER}; }}",
        f".block {{ stroke: {palette.BLOCK_BORDER}; }}",
        f".edge {{ fill: none; stroke: {palette.EDGE}; stroke-width: 1.3; }}",
        f".passing {{ stroke: {palette.PASSING_EDGE}; }}",
        "</style>",
        f"<defs>{''.join(markers)}</defs>",
    ]


def _drawing(layout: Layout, diagram: Diagram, ink: Ink) -> Iterator[str]:
    """Yield blocks, then edges over them, then boxes."""
    types = {edge.value: edge.type for edge in diagram.edges}
    for placed in layout.boxes:
        if placed.box.kind is Kind.BLOCK:
            fill = palette.BLOCK_FILLS[min(placed.level, len(palette.BLOCK_FILLS) - 1)]
            yield from _box(placed, fill, "block", 6.0)
    for route in sorted(layout.routes, key=lambda r: not r.side):  # the main path on top
        yield _edge(route, types[route.value])
    for placed in layout.boxes:
        if placed.box.kind is not Kind.BLOCK:
            yield from _box(
                placed, palette.fill_of(placed.box, diagram, ink), "box", _radius(placed)
            )


def _radius(placed: Placed) -> float:
    round_ = placed.box.kind in (Kind.INPUT, Kind.OUTPUT, Kind.JOIN)
    return placed.height / 2 if round_ else 4.0


def _box(placed: Placed, fill: str, name: str, radius: float) -> Iterator[str]:
    yield "<g>"
    yield f"<title>{escape(chr(10).join(placed.box.details))}</title>"
    yield (
        f'<rect class="{name}" x="{_n(placed.x)}" y="{_n(placed.y)}" width="{_n(placed.width)}"'
        f' height="{_n(placed.height)}" rx="{_n(radius)}" fill="{fill}"/>'
    )
    if placed.box.kind is Kind.FOLDED:
        # A second line within says that there is more inside.
        yield (
            f'<rect class="block" x="{_n(placed.x + 2.5)}" y="{_n(placed.y + 2.5)}"'
            f' width="{_n(placed.width - 5)}" height="{_n(placed.height - 5)}" rx="2.5"'
            ' fill="none"/>'
        )
    if placed.box.kind is Kind.BLOCK:
        (line,) = placed.lines
        yield _text(line.pieces, placed.text_x, placed.y + HEAD / 2 + 4, "start")
    else:
        y = placed.y + PADDING_Y
        for line in placed.lines:
            y += line.height
            yield _text(line.pieces, placed.x + placed.width / 2, y - 3.8, "middle")
    yield "</g>"


def _text(pieces: tuple[Piece, ...], x: float, y: float, anchor: str) -> str:
    spans = "".join(
        f'<tspan class="{piece.style.name.lower()}">{escape(piece.text)}</tspan>'
        for piece in pieces
    )
    return f'<text x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}">{spans}</text>'


def _edge(route: Route, type_: str) -> str:
    """Return a part of an edge: vertical where boxes stand, an S between ranks."""
    first = route.stations[0]
    path = [f"M{_n(first.x)} {_n(first.top)}"]
    if first.bottom > first.top:
        path.append(f"V{_n(first.bottom)}")
    for before, after in pairwise(route.stations):
        if before.x == after.x:
            path.append(f"V{_n(after.top)}")
        else:
            middle = (before.bottom + after.top) / 2
            path.append(
                f"C{_n(before.x)} {_n(middle)} {_n(after.x)} {_n(middle)}"
                f" {_n(after.x)} {_n(after.top)}"
            )
        if after.bottom > after.top:
            path.append(f"V{_n(after.bottom)}")
    name = "edge passing" if route.side else "edge"
    arrow = f' marker-end="url(#{"passing-arrow" if route.side else "arrow"})"'
    return (
        f'<path class="{name}" d="{"".join(path)}"{arrow if route.arrow else ""}>'
        f"<title>{escape(f'{route.value}: {type_}')}</title></path>"
    )


class _Heading:
    """The network's name and totals, and what the colours mean."""

    def __init__(self, diagram: Diagram, ink: Ink) -> None:
        total = diagram.total
        macs = f"{quantity(total.macs)} MACs" if isinstance(total.macs, int) else "MACs by formula"
        self.figures = f"{quantity(total.params)} parameters, {macs}"
        if diagram.sizes:
            self.figures += " at " + ", ".join(f"{name} = {n}" for name, n in diagram.sizes)
        if diagram.batch_text:
            self.figures += f" for {diagram.batch_text}"
        self._name = diagram.network
        self._note = ""
        self._steps: tuple[palette.Step, ...] = palette.STEPS
        word = "MACs" if ink is Ink.MACS else "parameters"
        self._legend = f"share of {word}"
        if ink is Ink.NONE or ink.share(total, total) is None:
            self._steps = ()
            self._legend = ""
        if ink is Ink.MACS and diagram.missing_sizes:
            names = ", ".join(diagram.missing_sizes)
            self._note = f"no colours: MACs depend on {names}; give sizes with --set"
        self.height = _HEADING + _SMALL + 10 + (22.0 if self._steps or self._note else 0.0) + 10
        self.width = max(
            text_width(self._name, _HEADING, bold=True),
            text_width(self.figures, _SMALL),
            text_width(self._note, _SMALL),
            self._legend_width(),
        )

    def _legend_width(self) -> float:
        steps = sum(_SWATCH + 4 + text_width(s.label, _SMALL) + 10 for s in self._steps)
        return text_width(self._legend, _SMALL) + 10 + steps

    def draw(self, x: float, y: float) -> Iterator[str]:
        y += _HEADING
        yield (f'<text class="heading" x="{_n(x)}" y="{_n(y - 2)}">{escape(self._name)}</text>')
        y += _SMALL + 6
        yield _plain(self.figures, x, y)
        y += 20
        if self._note:
            yield _plain(self._note, x, y)
        if not self._steps:
            return
        yield _plain(self._legend, x, y)
        x += text_width(self._legend, _SMALL) + 10
        for step in reversed(self._steps):
            yield (
                f'<rect class="box" x="{_n(x)}" y="{_n(y - _SWATCH + 2)}" width="{_n(_SWATCH)}"'
                f' height="{_n(_SWATCH)}" rx="2" fill="{step.fill}"/>'
            )
            yield _plain(step.label, x + _SWATCH + 4, y)
            x += _SWATCH + 4 + text_width(step.label, _SMALL) + 10


def _plain(text: str, x: float, y: float) -> str:
    return f'<text class="figure" x="{_n(x)}" y="{_n(y)}">{escape(text)}</text>'


def _n(value: float) -> str:
    """Return a coordinate with at most one decimal, as short as it goes."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text
