"""Pictures of fields on images and volumes: panels side by side, with a legend below."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from cnndsl.ops.base import Array
from cnndsl.pictures.fields import FieldPicture, ValueFields
from cnndsl.pictures.panels import COLORS, OBJECT, PADDING, Pair, plane, read_positions
from cnndsl.pictures.text import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANEL = 3.9
"""Width of a panel, in inches."""
_ROW = 0.22
"""Height of a line of the legend, in inches."""
_HEAD = 0.55
_MOST_COLUMNS = 3
_AXIS_NAMES = {2: ("height", "width"), 3: ("depth", "height", "width")}


@dataclass(frozen=True, slots=True)
class _Panel:
    title: str
    names: tuple[str, str]
    draw: Callable[[Axes], str]


def planes(picture: FieldPicture) -> Figure:
    """Return the figure of fields on an image, or on the three planes of a volume."""
    from matplotlib.figure import Figure

    panels = _panels(picture)
    columns = 2 if len(panels) == 4 else min(len(panels), _MOST_COLUMNS)
    rows = ceil(len(panels) / columns)
    handles = _handles(picture)
    foot = _ROW * (len(handles) + 1)
    size = (max(columns * _PANEL, 6.4), _HEAD + rows * _PANEL + foot)
    figure = Figure(figsize=size, facecolor="white")
    extents = " × ".join(str(n) for n in picture.input_px)
    figure.suptitle(
        f"{shortened(picture.network, 60)}: what its units see of {extents} px",
        y=1 - 0.12 / size[1],
        va="top",
        fontsize=11,
        fontweight="bold",
    )
    grid = figure.add_gridspec(
        rows,
        columns,
        left=0.55 / size[0],
        right=1 - 0.2 / size[0],
        top=1 - (_HEAD + 0.25) / size[1],
        bottom=(foot + 0.45) / size[1],
        wspace=0.18,
        hspace=0.28,
    )
    for number, panel in enumerate(panels):
        axes = figure.add_subplot(grid[divmod(number, columns)])
        said = panel.draw(axes)
        axes.set_title(shortened(panel.title, 44) + (f"\n{said}" if said else ""))
        axes.set_ylabel(f"{panel.names[0]} (px)", fontsize=8, labelpad=2)
        axes.set_xlabel(f"{panel.names[1]} (px)", fontsize=8, labelpad=2)
    figure.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0.01, 0.0),
        frameon=False,
        fontsize=8.5,
        labelspacing=0.35,
    )
    return figure


def _panels(picture: FieldPicture) -> list[_Panel]:
    """Return all values together, if there are several; then each; then those with holes."""
    colored = list(zip(picture.values, _colors(picture), strict=True))
    if len(picture.input_px) == 3:
        return [panel for value, color in colored for panel in _volume(picture, value, color)]
    names = ("height", "width")
    found = []
    if len(colored) > 1:
        found.append(_Panel("together", names, _drawing(picture, colored, (0, 1), full=False)))
    for value, color in colored:
        drawn = _drawing(picture, [(value, color)], (0, 1), full=True)
        found.append(_Panel(value.name, names, drawn))
    for value, color in colored:
        if value.units[0].coverage < 1:
            title = f"{value.name}: holes"
            found.append(_Panel(title, names, _holes(picture, value, color, (0, 1))))
    return found


def _volume(picture: FieldPicture, value: ValueFields, color: str) -> list[_Panel]:
    names = _AXIS_NAMES[3]
    return [
        _Panel(
            f"{value.name}: {names[a]} by {names[b]}",
            (names[a], names[b]),
            _drawing(picture, [(value, color)], (a, b), full=True),
        )
        for a, b in ((1, 2), (0, 1), (0, 2))
    ]


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
    name = shortened(value.name, 40)
    if value.whole:
        return f"{name}: sees the whole input"
    size = " × ".join(str(n) for n in value.size_px)
    jumps = value.jump_px if len(set(value.jump_px)) > 1 else value.jump_px[:1]
    text = f"{name}: {size} {unit}, jump {' × '.join(f'{j:g}' for j in jumps)}"
    sigma = value.units[0].sigma_px
    if sigma is not None:
        spread = sigma if len(set(sigma)) > 1 else sigma[:1]
        text += f", effective σ {' × '.join(f'{s:.3g}' for s in spread)}"
    if value.units[0].coverage < 1:
        text += f", {100 * value.units[0].coverage:.3g} % read"
    return text
