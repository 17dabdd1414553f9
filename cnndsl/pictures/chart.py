"""Charts of points and lines, as SVG text: what a change costs against what it saves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10
from xml.sax.saxutils import escape

from cnndsl.pictures.mark import svg_mark
from cnndsl.pictures.palette import EDGE, FAINT_TEXT, PAPER, TEXT

COLORS = ("#2f6fa7", "#c8553d", "#5b8e3e", "#8a6fb0", "#57606a")
"""Of the series, in turn; each has a contrast of at least 3 to 1 on white."""

_WIDTH, _HEIGHT = 640, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 46, 52
_TICKS = 6

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Series:
    """Points with a name; `line` joins them, `notes` are written beside them."""

    label: str
    points: tuple[Point, ...]
    line: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chart:
    """Series over two axes, both from zero on."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]


def to_svg(chart: Chart, source_name: str) -> str:
    """Return a chart as SVG: equal charts give equal text. Points that are not finite are left out.

    Lines and marks differ in more than their colour.
    """
    points = [p for s in chart.series for p in _finite(s)]
    x_ticks = _ticks(max((x for x, _ in points), default=1.0))
    y_ticks = _ticks(max((y for _, y in points), default=1.0))
    frame = _Frame(x_ticks[-1], y_ticks[-1])
    lines = [
        svg_mark(source_name),
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" role="img" '
        'font-family="DejaVu Sans, Verdana, sans-serif" font-size="12">',
        f"<title>{escape(chart.title)}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="{PAPER}"/>',
        *_axes(chart, frame, x_ticks, y_ticks),
    ]
    for place, series in enumerate(chart.series):
        lines += _drawn(series, place, frame)
    lines += _legend(chart)
    return "\n".join([*lines, "</svg>"]) + "\n"


@dataclass(frozen=True, slots=True)
class _Frame:
    x_most: float
    y_most: float

    def place(self, point: Point) -> tuple[float, float]:
        x = _LEFT + point[0] / self.x_most * (_WIDTH - _LEFT - _RIGHT)
        y = _HEIGHT - _BOTTOM - point[1] / self.y_most * (_HEIGHT - _TOP - _BOTTOM)
        return round(x, 2), round(y, 2)


def _finite(series: Series) -> list[Point]:
    return [p for p in series.points if all(isfinite(c) and c >= 0 for c in p)]


def _ticks(most: float) -> list[float]:
    """Return round numbers from zero to at least `most`, about `_TICKS` of them."""
    if most <= 0:
        most = 1.0
    rough = most / _TICKS
    scale = 10.0 ** floor(log10(rough))
    step = next(m * scale for m in (1, 2, 2.5, 5, 10) if m * scale >= rough * (1 - 1e-9))
    return [step * i for i in range(ceil(most / step * (1 - 1e-9)) + 1)]


def _axes(
    chart: Chart, frame: _Frame, x_ticks: Sequence[float], y_ticks: Sequence[float]
) -> Iterator[str]:
    (left, bottom), (right, top) = frame.place((0, 0)), frame.place((frame.x_most, frame.y_most))
    for value in y_ticks:
        _, y = frame.place((0, value))
        yield f'<path d="M{left} {y}H{right}" stroke="#e6eaef"/>'
        yield (
            f'<text x="{left - 8}" y="{y + 4}" text-anchor="end" fill="{FAINT_TEXT}">'
            f"{value:g}</text>"
        )
    for value in x_ticks:
        x, _ = frame.place((value, 0))
        yield f'<path d="M{x} {bottom}v4" stroke="{EDGE}"/>'
        yield (
            f'<text x="{x}" y="{bottom + 18}" text-anchor="middle" fill="{FAINT_TEXT}">'
            f"{value:g}</text>"
        )
    yield f'<path d="M{left} {top}V{bottom}H{right}" fill="none" stroke="{EDGE}"/>'
    middle = (left + right) / 2
    yield (
        f'<text x="{middle}" y="{_HEIGHT - 12}" text-anchor="middle" fill="{TEXT}">'
        f"{escape(chart.x_label)}</text>"
    )
    height = (top + bottom) / 2
    yield (
        f'<text x="16" y="{height}" text-anchor="middle" fill="{TEXT}" '
        f'transform="rotate(-90 16 {height})">{escape(chart.y_label)}</text>'
    )


def _drawn(series: Series, place: int, frame: _Frame) -> Iterator[str]:
    color = COLORS[place % len(COLORS)]
    placed = [frame.place(p) for p in _finite(series)]
    if series.line and placed:
        path = "M" + "L".join(f"{x} {y}" for x, y in placed)
        dash = ("", "6 3", "2 3", "8 3 2 3")[place % 4]
        yield f'<path d="{path}" fill="none" stroke="{color}" stroke-dasharray="{dash}"/>'
        return
    for x, y in placed:
        yield _mark(place, x, y, color)
    for (x, y), note in zip(placed, series.notes, strict=False):
        yield f'<text x="{x + 9}" y="{y - 7}" fill="{TEXT}">{escape(note)}</text>'


def _mark(place: int, x: float, y: float, color: str) -> str:
    match place % 3:
        case 0:
            return f'<circle cx="{x}" cy="{y}" r="4.5" fill="{color}"/>'
        case 1:
            return f'<path d="M{x} {y - 6}l6 6l-6 6l-6 -6z" fill="{color}"/>'
        case _:
            return f'<rect x="{x - 4}" y="{y - 4}" width="8" height="8" fill="{color}"/>'


def _legend(chart: Chart) -> Iterator[str]:
    yield (
        f'<text x="{_LEFT}" y="18" fill="{TEXT}" font-weight="bold">{escape(chart.title)}</text>'
    )
    x = float(_LEFT)
    for place, series in enumerate(chart.series):
        color = COLORS[place % len(COLORS)]
        if series.line:
            dash = ("", "6 3", "2 3", "8 3 2 3")[place % 4]
            yield f'<path d="M{x} 34h18" stroke="{color}" stroke-dasharray="{dash}"/>'
        else:
            yield _mark(place, x + 9, 34, color)
        yield f'<text x="{x + 24}" y="38" fill="{TEXT}">{escape(series.label)}</text>'
        x += 40 + 7 * len(series.label)
