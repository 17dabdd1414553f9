"""What the demonstration shows: pictures of inputs and answers, as PNG and in the terminal."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cnndsl.ops.base import Array
from cnndsl.pictures.mark import mark

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Map = NDArray[np.int64]
"""The class of every answer, rows before columns."""

SHADES = " .:-=+*#%@"
"""From no ink to all of it."""

COLOURS = ("#0072b2", "#009e73", "#e69f00", "#cc79a7", "#d55e00", "#f0e442")
"""Of classes; told apart by the colour-blind too (Okabe and Ito)."""

CHARACTERS = "#/o-%*"
"""Of classes, in the terminal."""


def digits_as_text(pictures: Array, captions: Sequence[str]) -> str:
    """Return pictures [count, height, width] in 0..1 beside each other, each above its caption."""
    levels = np.rint(pictures * (len(SHADES) - 1)).astype(int)
    width = 2 * pictures.shape[2]
    rows = [
        "   ".join("".join(2 * SHADES[level] for level in row) for row in across)
        for across in levels.swapaxes(0, 1)
    ]
    rows.append("   ".join(caption[:width].center(width) for caption in captions))
    return "\n".join(row.rstrip() for row in rows)


def map_as_text(classes: Map, names: Sequence[str], step: int) -> str:
    """Return every so many answers of a map as characters of their classes, and what these mean."""
    # Characters are about twice as high as wide.
    rows = np.array(list(CHARACTERS))[classes[:: 2 * step, ::step]]
    legend = "   ".join(f"{character} {name}" for character, name in zip(CHARACTERS, names))
    return "\n".join("".join(row) for row in rows) + f"\n\n{legend}"


def draw_digits(pictures: Array, captions: Sequence[str], right: Sequence[bool]) -> bytes:
    """Return a PNG of pictures [count, height, width] in rows of eight, wrong captions in red."""
    from matplotlib.figure import Figure

    rows = -(-len(pictures) // 8)
    figure = Figure(figsize=(9, 1.45 * rows), dpi=100, layout="constrained")
    grid = figure.subplots(rows, 8, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, picture, caption, good in zip(grid.flat, pictures, captions, right):
        axes.imshow(picture, cmap="gray_r", vmin=0, vmax=1)
        axes.set_title(caption, fontsize=9, color="black" if good else "#c00000")
    return _png(figure, "digits.cnn")


def draw_textures(
    photographs: Array, maps: Sequence[Map], names: Sequence[str], seam: int, mosaic: Array,
    mosaic_map: Map, reach: int, jump: int,
) -> bytes:  # fmt: skip
    """Return a PNG: photographs above, each under its map of answers, then the mosaic and its map.

    Answer i of a map stands for the pixels from `jump` i on, `reach` of them. Training saw the
    photographs up to the column `seam`.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    figure = Figure(figsize=(11, 7), dpi=80, layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=(1, 1.9))
    above, below = parts
    for axes, photograph, answers, name in zip(
        above.subplots(1, len(names)), photographs, maps, names
    ):
        _tinted(axes, photograph, answers, reach, jump)
        axes.axvline(seam - 0.5, color="white", linestyle="--", linewidth=1.5)
        axes.set_title(name, fontsize=9)
    left, right = below.subplots(1, 2)
    left.imshow(mosaic, cmap="gray", vmin=0, vmax=1)
    left.set_title("mosaic of what training never saw", fontsize=9)
    left.set_axis_off()
    _tinted(right, mosaic, mosaic_map, reach, jump)
    right.set_title(f"an answer for every {jump} pixels, each seeing {reach}x{reach}", fontsize=9)
    handles = [Patch(color=colour, label=name) for colour, name in zip(COLOURS, names)]
    below.legend(handles=handles, loc="outside lower center", ncols=len(names), fontsize=9)
    above.suptitle("whole photographs; right of the line is held out", fontsize=9)
    return _png(figure, "textures.cnn")


def _tinted(axes: Axes, picture: Array, answers: Map, reach: int, jump: int) -> None:
    """Draw a picture and, over the middle of what each answer sees, the colour of its class."""
    from matplotlib.colors import ListedColormap

    axes.imshow(picture, cmap="gray", vmin=0, vmax=1)
    height, width = answers.shape
    start = (reach - jump) / 2 - 0.5
    extent = (start, start + jump * width, start + jump * height, start)
    colours = ListedColormap(COLOURS)
    axes.imshow(
        answers, cmap=colours, vmin=-0.5, vmax=len(COLOURS) - 0.5, alpha=0.55, extent=extent,
        interpolation="nearest",
    )  # fmt: skip
    axes.set_xlim(-0.5, picture.shape[1] - 0.5)
    axes.set_ylim(picture.shape[0] - 0.5, -0.5)
    axes.set_axis_off()


def _png(figure: Figure, source_name: str) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": mark(source_name)})
    return file.getvalue()
