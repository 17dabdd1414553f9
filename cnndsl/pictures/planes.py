"""Pictures of fields on images and volumes: panels side by side, with a legend below."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from cnndsl.ops.base import Array
from cnndsl.pictures.fields import FieldPicture, ValueFields
from cnndsl.pictures.panels import COLORS, OBJECT, PADDING, Pair, plane, read_positions
from cnndsl.pictures.text import shortened, shortened_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANEL = 3.9
"""Width that a panel takes with what stands around it, in inches."""
_SIDE = 3.2
"""Width of the panel itself; it is as high as its view is, at most so much."""
_LEFT, _BELOW = 0.55, 0.5
"""Room for the numbers and names of the axes, in inches."""
_LINE = 0.18
"""Height of a line of a title, in inches."""
_ROW = 0.168
"""Height of a line of the legend, in inches."""
_HEAD = 0.4
_MOST_COLUMNS = 3
_LONGEST = 44
"""Characters of a panel's title."""


_Side: TypeAlias = tuple[Pair, str, str]
"""Two axes of a volume, and what they are called."""

_SIDES: tuple[_Side, ...] = (
    ((1, 2), "height", "width"),
    ((0, 1), "depth", "height"),
    ((0, 2), "depth", "width"),
)
_ALIKE = (_SIDES[0], ((0, 1), "depth", "height or width"))


@dataclass(frozen=True, slots=True)
class _Panel:
    title: str
    names: tuple[str, str]
    draw: Callable[[Axes], str]


def planes(picture: FieldPicture) -> Figure:
    """Return the figure of fields on an image, or on the planes of a volume."""
    from matplotlib.figure import Figure

    panels, columns = _panels(picture)
    figure = Figure(facecolor="white")
    drawn = [_draw(figure, number, panel) for number, panel in enumerate(panels)]
    rows = [drawn[i : i + columns] for i in range(0, len(drawn), columns)]
    handles = _handles(picture)
    foot = _ROW * len(handles) + 0.12
    heights = [max(map(_height, row)) for row in rows]
    titles = [_LINE * max(a.get_title().count("\n") + 1 for a in row) for row in rows]
    width = max(columns * _PANEL, 6.4)
    height = _HEAD + sum(heights) + sum(titles) + len(rows) * _BELOW + foot
    figure.set_size_inches(width, height)
    bottom = height - _HEAD
    for row, side, title in zip(rows, heights, titles, strict=True):
        bottom -= title + side
        for number, axes in enumerate(row):
            left = (width - columns * _PANEL) / 2 + number * _PANEL + _LEFT
            axes.set_position((left / width, bottom / height, _SIDE / width, side / height))
        bottom -= _BELOW
    extents = " × ".join(str(n) for n in picture.input_px)
    figure.suptitle(
        f"{shortened(picture.network, 60)}: what its units see of {extents} px",
        y=1 - 0.12 / height,
        va="top",
        fontsize=11,
        fontweight="bold",
    )
    figure.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0.01, 0.0),
        frameon=False,
        fontsize=8.5,
        labelspacing=0.35,
    )
    return figure


def _draw(figure: Figure, number: int, panel: _Panel) -> Axes:
    """Draw a panel, to be put into its place."""
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0), label=str(number))
    said = panel.draw(axes)
    axes.set_title(panel.title + (f"\n{said}" if said else ""))
    axes.set_ylabel(f"{panel.names[0]} (px)", fontsize=8, labelpad=2)
    axes.set_xlabel(f"{panel.names[1]} (px)", fontsize=8, labelpad=2)
    return axes


def _height(axes: Axes) -> float:
    """Return the height of a panel whose positions are squares, in inches."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    return _SIDE * min(1.0, abs(high - low) / abs(right - left))


def _panels(picture: FieldPicture) -> tuple[list[_Panel], int]:
    """Return what is drawn, and in how many columns.

    All values together, if there are several; then each; then those with holes. Of a volume, each
    value's planes.
    """
    colored = list(zip(picture.values, _colors(picture), strict=True))
    if len(picture.input_px) == 3:
        sides = _ALIKE if _sides_alike(picture) else _SIDES
        panels = [p for value, color in colored for p in _volume(picture, value, color, sides)]
        return panels, len(sides) * (2 if sides is _ALIKE and len(colored) > 2 else 1)
    names = ("height", "width")
    found = []
    if len(colored) > 1:
        found.append(_Panel("together", names, _drawing(picture, colored, (0, 1), full=False)))
    for value, color in colored:
        drawn = _drawing(picture, [(value, color)], (0, 1), full=True)
        found.append(_Panel(shortened_label(value.name, _LONGEST), names, drawn))
    for value, color in colored:
        if value.units[0].coverage < 1:
            title = f"{shortened_label(value.name, _LONGEST - 7)}: holes"
            found.append(_Panel(title, names, _holes(picture, value, color, (0, 1))))
    return found, 2 if len(found) == 4 else min(len(found), _MOST_COLUMNS)


def _volume(
    picture: FieldPicture, value: ValueFields, color: str, sides: Sequence[_Side]
) -> list[_Panel]:
    name = shortened_label(value.name, _LONGEST - 23)
    return [
        _Panel(
            f"{name}: {rows} by {columns}",
            (rows, columns),
            _drawing(picture, [(value, color)], pair, full=True),
        )
        for pair, rows, columns in sides
    ]


def _sides_alike(picture: FieldPicture) -> bool:
    """Return whether a volume looks the same over its height as over its width."""
    units = [unit for value in picture.values for unit in value.units]
    thing = picture.object_px
    return (
        picture.input_px[1] == picture.input_px[2]
        and (thing is None or thing[1] == thing[2])
        and all(value.jump_px[1] == value.jump_px[2] for value in picture.values)
        and all(unit.on((0, 1)).looks_like(unit.on((0, 2))) for unit in units)
    )


def _drawing(
    picture: FieldPicture, colored: list[tuple[ValueFields, str]], pair: Pair, *, full: bool
) -> Callable[[Axes], str]:
    values = [(value.on(pair), color) for value, color in colored]

    def draw(axes: Axes) -> str:
        thing = picture.object_px
        size = None if thing is None else (thing[pair[0]], thing[pair[1]])
        extent, image = _extent(picture, pair), _image(picture, pair)
        return plane(axes, extent, values, image, size, full=full)

    return draw


def _holes(
    picture: FieldPicture, value: ValueFields, color: str, pair: Pair
) -> Callable[[Axes], str]:
    unit = value.units[0].on(pair)

    def draw(axes: Axes) -> str:
        return read_positions(axes, unit, _extent(picture, pair), _image(picture, pair), color)

    return draw


def _extent(picture: FieldPicture, pair: Pair) -> Pair:
    return picture.input_px[pair[0]], picture.input_px[pair[1]]


def _image(picture: FieldPicture, pair: Pair) -> Array | None:
    """Return the image, which lies on the last two axes."""
    rank = len(picture.input_px)
    return picture.image if pair == (rank - 2, rank - 1) else None


def _colors(picture: FieldPicture) -> list[str]:
    return [COLORS[i % len(COLORS)] for i in range(len(picture.values))]


def _handles(picture: FieldPicture) -> list[Any]:
    """Return the legend: each colour's sizes and jumps, and how lines and shades are meant."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Line2D([], [], color=color, lw=2, label=described(value, "px"))
        for value, color in zip(picture.values, _colors(picture), strict=True)
    ]
    if picture.object_px is not None:
        size = " × ".join(str(n) for n in picture.object_px)
        style = (0, (1, 1))
        handles.append(Line2D([], [], color=OBJECT, lw=1.4, ls=style, label=f"object: {size} px"))
    firsts = [value.units[0] for value in picture.values]
    for said, shown in (
        ("root of the measured influence", any(u.influence is not None for u in firsts)),
        (
            "normal, in closed form; ring at 2 σ",
            any(u.influence is None and u.sigma_px for u in firsts),
        ),
    ):
        if shown:
            label = f"effective field ({said})"
            handles.append(Patch(color="#b5367a", alpha=0.8, label=label))
    if any(len(value.units) > 1 for value in picture.values):
        style = (0, (4, 2))
        handles.append(Line2D([], [], color="#555555", lw=1.2, ls=style, label="other units"))
    handles.append(Patch(color=PADDING, label="beyond the input: padding"))
    return handles


def described(value: ValueFields, unit: str) -> str:
    """Return a value's line in the legend, extents in `unit`."""
    name = shortened_label(value.name, 40)
    if value.whole:
        return f"{name}: sees the whole input"
    size = " × ".join(str(n) for n in value.size_px)
    jumps = value.jump_px if len(set(value.jump_px)) > 1 else value.jump_px[:1]
    drawn = value.units[0].sizes
    if drawn != value.size_px:
        unit += f" over all phases (drawn: {' × '.join(str(n) for n in drawn)})"
    text = f"{name}: {size} {unit}, jump {' × '.join(f'{j:g}' for j in jumps)}"
    sigma = value.units[0].sigma_px
    if sigma is not None:
        spread = sigma if len(set(sigma)) > 1 else sigma[:1]
        text += f", effective σ {' × '.join(f'{s:.3g}' for s in spread)}"
    if value.units[0].coverage < 1:
        text += f", {100 * value.units[0].coverage:.3g} % read"
    return text
