"""What one panel shows: a plane of the input with fields on it, or what of it is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cnndsl.ops.base import Array
from cnndsl.pictures.fields import UnitField, ValueFields

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""The palette of Okabe and Ito (2008), told apart by the colour-blind as well."""

OBJECT = "#111111"
PADDING = "#e9e9e9"
_NO_IMAGE = "#fafafa"
_UNREAD = (1.0, 1.0, 1.0, 0.9)
_HEAT = "magma"
_RING = "#b5367a"
_MOST_DOTS = 32
"""Units across a panel whose centres are drawn; more would hide the image."""
_SMALL = 1 / 12
"""A field below this part of the panel is enlarged."""
_SHOWN_PX = 72
"""Positions along each axis that the panel of what is read shows at most."""

Pair = tuple[int, int]


def plane(
    axes: Axes,
    extent: Pair,
    values: Sequence[tuple[ValueFields, str]],
    image: Array | None,
    object_px: Pair | None,
    *,
    full: bool,
) -> str:
    """Draw fields, each with its colour, on a plane of `extent` rows and columns.

    In `full` the first unit's effective field, the other units, and the grid of all units are
    drawn too, and a small field is enlarged. What lies outside the input is padding. Returns what
    is to be said about the panel.
    """
    units = [u for value, _ in values for u in (value.units if full else value.units[:1])]
    enlarged = _view(axes, extent, units, enlarge=full)
    _ground(axes, extent, image, dimmed=full and any(_has_effect(u) for u in units))
    for value, color in values:
        first = value.units[0]
        if full:
            _effective(axes, first, extent)
            _grid(axes, value, extent, color)
            for unit in value.units[1:]:
                _outline(axes, unit, color, width=1.2, dashed=True)
        _outline(axes, first, color, width=2.0)
        _centre(axes, first, color)
    if object_px is not None:
        _object(axes, extent, object_px)
    axes.tick_params(labelsize=7, length=2)
    return "enlarged" if enlarged else ""


def read_positions(
    axes: Axes, unit: UnitField, extent: Pair, image: Array | None, color: str
) -> str:
    """Draw the positions around a field's centre, veiling those not read; return how many are."""
    assert unit.read is not None
    windows = []
    for (low, high), mask in zip(unit.intervals, unit.read, strict=True):
        length = high - low + 1
        skipped = max(0, (length - _SHOWN_PX) // 2)
        shown = min(length, _SHOWN_PX)
        windows.append((low + skipped, shown, mask[skipped : skipped + shown]))
    (top, height, by_row), (left, width, by_column) = windows
    _ground(axes, extent, image, dimmed=False)
    read = np.outer(by_row, by_column)
    cover = np.zeros((height, width, 4))
    cover[~read] = _UNREAD
    if image is None:
        cover[read] = (*_rgb(color), 1.0)
    box = (left - 0.5, left + width - 0.5, top + height - 0.5, top - 0.5)
    axes.imshow(cover, extent=box, interpolation="nearest", zorder=3)
    if max(height, width) <= 40:
        _cells(axes, left, top, read, color)
    _outline(axes, unit, color, width=1.2, cased=False)
    axes.set_xlim(left - 1.5, left + width + 0.5)
    axes.set_ylim(top + height + 0.5, top - 1.5)
    axes.set_aspect("equal")
    axes.tick_params(labelsize=7, length=2)
    part = "" if (height, width) == unit.sizes else ", the middle shown"
    return f"{100 * unit.coverage:.3g} % read{part}"


def _has_effect(unit: UnitField) -> bool:
    return unit.sigma_px is not None or unit.influence is not None


def _rgb(color: str) -> tuple[float, float, float]:
    red, green, blue = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def _view(axes: Axes, extent: Pair, units: Sequence[UnitField], *, enlarge: bool) -> bool:
    """Show the input and all that the units see, with some air; rows go down.

    With `enlarge`, show the surroundings of the first unit alone if it would be small.
    """
    rows, columns = extent
    tops, bottoms = zip(*(u.intervals[0] for u in units), strict=True)
    lefts, rights = zip(*(u.intervals[1] for u in units), strict=True)
    top, bottom = min(0, *tops), max(rows - 1, *bottoms)
    left, right = min(0, *lefts), max(columns - 1, *rights)
    across = max(bottom - top, right - left) + 1
    enlarged = enlarge and max(units[0].sizes) < _SMALL * across
    if enlarged:
        reach = max(2 * max(units[0].sizes), 8)
        (top, bottom), (left, right) = (
            ((low + high) // 2 - reach, (low + high) // 2 + reach)
            for low, high in units[0].intervals
        )
        across = 2 * reach + 1
    air = 0.03 * across + 0.5
    axes.set_xlim(left - air, right + air)
    axes.set_ylim(bottom + air, top - air)
    axes.set_aspect("equal")
    return enlarged


def _ground(axes: Axes, extent: Pair, image: Array | None, *, dimmed: bool) -> None:
    """Draw the image, or a blank sheet, on a ground that stands for padding."""
    from matplotlib.patches import Rectangle

    rows, columns = extent
    axes.set_facecolor(PADDING)
    box = (-0.5, columns - 0.5, rows - 0.5, -0.5)
    if image is None:
        sheet = Rectangle((-0.5, -0.5), columns, rows, facecolor=_NO_IMAGE, zorder=0)
        axes.add_patch(sheet)
    else:
        shown = np.clip(np.asarray(image, np.float64), 0, 1)
        if dimmed:
            shown = 0.45 + 0.55 * shown
        limits = axes.get_xlim(), axes.get_ylim()
        axes.imshow(
            shown, cmap="gray", vmin=0, vmax=1, extent=box, interpolation="nearest", zorder=1
        )
        axes.set_xlim(limits[0])
        axes.set_ylim(limits[1])
    border = Rectangle((-0.5, -0.5), columns, rows, fill=False, edgecolor="#444444", lw=1, zorder=4)
    axes.add_patch(border)


def _effective(axes: Axes, unit: UnitField, extent: Pair) -> None:
    """Lay the effective field over the image: the stronger, the more opaque."""
    from matplotlib import colormaps
    from matplotlib.patches import Ellipse

    if not _has_effect(unit):
        return
    box = (-0.5, extent[1] - 0.5, extent[0] - 0.5, -0.5)
    if unit.influence is not None:
        strength = np.asarray(unit.influence, np.float64)
        strength = np.sqrt(strength / max(float(strength.max()), np.finfo(np.float64).tiny))
    else:
        assert unit.sigma_px is not None
        (top, bottom), (left, right) = unit.intervals
        axis_y = np.linspace(top, bottom, 161)
        axis_x = np.linspace(left, right, 161)
        by_row, by_column = (
            np.exp(-((at - middle) ** 2) / (2 * max(sigma, 1e-6) ** 2))
            for at, middle, sigma in zip((axis_y, axis_x), unit.middle, unit.sigma_px, strict=True)
        )
        strength = np.outer(by_row, by_column)
        box = (left - 0.5, right + 0.5, bottom + 0.5, top - 0.5)
    heat = colormaps[_HEAT](0.25 + 0.7 * strength)
    heat[..., 3] = 0.85 * strength
    limits = axes.get_xlim(), axes.get_ylim()
    axes.imshow(heat, extent=box, interpolation="bilinear", zorder=5)
    axes.set_xlim(limits[0])
    axes.set_ylim(limits[1])
    if unit.sigma_px is not None and unit.influence is None:
        height, width = (4 * sigma for sigma in unit.sigma_px)
        y, x = unit.middle
        ring = Ellipse((x, y), width, height, fill=False, edgecolor=_RING, lw=1.2, zorder=6)
        axes.add_patch(ring)


def _grid(axes: Axes, value: ValueFields, extent: Pair, color: str) -> None:
    """Put a dot at the centre of every unit, unless these would be too many to tell apart."""
    left, right = axes.get_xlim()
    if value.whole or min(value.jump_px) * _MOST_DOTS < right - left:
        return
    points = []
    view = (sorted(axes.get_ylim()), (left, right))
    axis = zip(value.units[0].middle, value.jump_px, extent, view, strict=True)
    for middle, jump, length, (low, high) in axis:
        first = middle - jump * ((middle + 0.5) // jump)
        places = np.arange(first, length - 0.5, jump)
        points.append(places[(places >= low) & (places <= high)])
    y, x = np.meshgrid(*points, indexing="ij")
    axes.scatter(x.ravel(), y.ravel(), s=4, color="white", edgecolor=color, lw=0.5, zorder=6)


def _outline(
    axes: Axes,
    unit: UnitField,
    color: str,
    *,
    width: float,
    dashed: bool = False,
    cased: bool = True,
) -> None:
    """Draw the rectangle that a unit sees, on a white casing that stands out from any image."""
    from matplotlib.patches import Rectangle

    (top, _), (left, _) = unit.intervals
    height, across = unit.sizes
    for edge, wide, order in (("white", width + 1.6, 7), (color, width, 8)):
        if edge == "white" and not cased:
            continue
        style = (0, (4, 2)) if dashed and edge != "white" else "solid"
        axes.add_patch(
            Rectangle(
                (left - 0.5, top - 0.5),
                across,
                height,
                fill=False,
                edgecolor=edge,
                lw=wide,
                linestyle=style,
                zorder=order,
            )
        )


def _centre(axes: Axes, unit: UnitField, color: str) -> None:
    y, x = unit.middle
    size = 3 if _has_effect(unit) else 6  # the effective field shows where it is
    axes.plot([x], [y], marker="P", ms=size, mfc=color, mec="white", mew=0.5, zorder=9)


def _object(axes: Axes, extent: Pair, size: Pair) -> None:
    """Draw an object in the middle of the input."""
    from matplotlib.patches import Rectangle

    corner = ((extent[1] - size[1]) / 2 - 0.5, (extent[0] - size[0]) / 2 - 0.5)
    for edge, wide, style in (("white", 2.6, "solid"), (OBJECT, 1.4, (0, (1, 1)))):
        axes.add_patch(
            Rectangle(
                corner, size[1], size[0], fill=False, edgecolor=edge, lw=wide, ls=style, zorder=10
            )
        )


def _cells(axes: Axes, left: int, top: int, read: Array, color: str) -> None:
    """Draw the border of every position: thin, and with colour around those that are read."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    for kind, edge, wide in ((~read, "#d0d0d0", 0.3), (read, color, 1.0)):
        cells = [Rectangle((left + x - 0.5, top + y - 0.5), 1, 1) for y, x in np.argwhere(kind)]
        axes.add_collection(
            PatchCollection(cells, facecolors="none", edgecolors=edge, linewidths=wide, zorder=6)
        )
