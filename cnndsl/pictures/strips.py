"""Pictures of fields over time: a strip for every value, with the positions that it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cnndsl.ops.base import Array
from cnndsl.pictures.fields import FieldPicture, UnitField
from cnndsl.pictures.panels import COLORS, OBJECT, PADDING
from cnndsl.pictures.planes import described
from cnndsl.pictures.text import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH = 9.0
_STRIP = 0.62
"""Height of a value's strip, in inches."""
_MOST_TAPS = 4096
"""Runs of positions that are drawn one by one."""


def strips(picture: FieldPicture) -> Figure:
    """Return the figure of fields along one axis."""
    from matplotlib.figure import Figure
    from matplotlib.patheffects import withStroke

    signal = picture.image is not None
    lines = len(picture.values) + signal
    height = 1.12 + _STRIP * 1.35 * lines
    figure = Figure(figsize=(_WIDTH, height), facecolor="white")
    axes = figure.add_axes((0.03, 0.48 / height, 0.94, 1 - 0.92 / height))
    (length,) = picture.input_px
    low = min(0, *(u.intervals[0][0] for v in picture.values for u in v.units))
    high = max(length - 1, *(u.intervals[0][1] for v in picture.values for u in v.units))
    sized = [u.intervals[0] for v in picture.values for u in v.units]
    seen = max(b for _, b in sized) - min(a for a, _ in sized) + 1
    if seen < (high - low) / 4 and not signal:
        # Far less than the input is seen: show where it is.
        middle = (min(a for a, _ in sized) + max(b for _, b in sized)) / 2
        low, high = round(middle - 0.7 * seen), round(middle + 0.7 * seen)
    air = 0.01 * (high - low) + 0.5
    axes.set_xlim(low - air, high + air)
    axes.set_ylim(lines, -0.15 if picture.object_px is None else -0.45)
    axes.axvspan(-0.5, length - 0.5, color="#fafafa", zorder=0)
    axes.set_facecolor(PADDING)
    for edge in (-0.5, length - 0.5):
        axes.axvline(edge, color="#444444", lw=1, zorder=1)
    if signal:
        _signal(axes, np.asarray(picture.image, np.float64).ravel())
    for row, value in enumerate(picture.values, start=int(signal)):
        color = COLORS[(row - signal) % len(COLORS)]
        for unit in reversed(value.units):
            _strip(axes, unit, row, color, faint=unit is not value.units[0])
        _curve(axes, value.units[0], row, color)
        axes.text(
            low - air / 2,
            row + 0.2,
            described(value, "positions"),
            color=color,
            fontsize=8.5,
            va="bottom",
            fontweight="bold",
            path_effects=[withStroke(linewidth=2.5, foreground="white")],  # crosses the borders
            zorder=9,
        )
    if picture.object_px is not None:
        (size,) = picture.object_px
        start = (length - size) / 2 - 0.5
        axes.axvspan(start, start + size, fill=False, ec=OBJECT, ls=(0, (1, 1)), lw=1.4, zorder=8)
        label = f" object: {size} positions"
        axes.text(start, -0.1, label, fontsize=8, va="bottom", clip_on=True)
    axes.set_yticks([])
    axes.set_xlabel("position in the input (grey: padding)", fontsize=8)
    axes.tick_params(labelsize=7)
    figure.suptitle(
        f"{shortened(picture.network, 60)}: what its units see of {length} positions",
        y=1 - 0.1 / height,
        va="top",
        fontsize=11,
        fontweight="bold",
    )
    return figure


def _strip(axes: Axes, unit: UnitField, row: int, color: str, *, faint: bool) -> None:
    """Draw a bar from the first to the last position, and what is read as full pieces."""
    ((low, high),) = unit.intervals
    top, height = row + 0.55, 0.3
    if faint:
        axes.broken_barh(
            [(low - 0.5, high - low + 1)], (top + height + 0.02, 0.07), facecolors=color, alpha=0.5
        )
        return
    axes.broken_barh(
        [(low - 0.5, high - low + 1)],
        (top, height),
        facecolors="white",
        edgecolors=color,
        lw=1.0,
        zorder=3,
    )
    read = np.ones(high - low + 1, bool) if unit.read is None else unit.read[0]
    edges = np.flatnonzero(np.diff(np.concatenate([[0], read.astype(np.int8), [0]])))
    runs = list(zip(edges[::2], edges[1::2] - edges[::2], strict=True))
    if len(runs) > _MOST_TAPS:
        runs = [(0, high - low + 1)]
    pieces = [(low - 0.5 + float(start), float(length)) for start, length in runs]
    axes.broken_barh(pieces, (top, height), facecolors=color, lw=0, zorder=4)


def _curve(axes: Axes, unit: UnitField, row: int, color: str) -> None:
    """Draw the effective field as a curve on the strip."""
    ((low, high),) = unit.intervals
    if unit.influence is not None:
        strength = np.asarray(unit.influence, np.float64).ravel()
        x = np.arange(len(strength), dtype=np.float64)
    elif unit.sigma_px is not None:
        x = np.linspace(low, high, 400)
        sigma = max(unit.sigma_px[0], 1e-6)
        strength = np.exp(-((x - unit.middle[0]) ** 2) / (2 * sigma**2))
    else:
        return
    peak = max(float(strength.max()), np.finfo(np.float64).tiny)
    y = row + 0.55 - 0.32 * strength / peak
    axes.fill_between(x, y, row + 0.55, color=color, alpha=0.3, lw=0, zorder=2)
    axes.plot(x, y, color=color, lw=1.0, zorder=5)


def _signal(axes: Axes, signal: Array) -> None:
    peak = max(float(np.abs(signal).max()), np.finfo(np.float64).tiny)
    axes.plot(np.arange(len(signal)), 0.5 - 0.4 * signal / peak, color="#555555", lw=0.6, zorder=2)
