"""The plot of what was measured on a device: SVG, with equal bytes from equal results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.gpu.cases import BATCHES, PARTS, TORCH
from benchmarks.gpu.race import ratio
from benchmarks.plot import save, styled
from benchmarks.results import Results


def draw(found: Mapping[str, Results], folder: Path) -> list[Path]:
    """Write the plot of the zoo at fp32; none without results, or without Matplotlib."""
    if "zoo" not in found:
        return []
    ratios = {
        (case.program, case.batch): value
        for case in PARTS["zoo"].cases().values()
        if case.precision == "fp32"
        and (value := ratio(found["zoo"].entries.get(case.key, {}), TORCH)) is not None
    }
    if not ratios or not styled():
        return []
    return [save(_bars(ratios, found["zoo"].machine["device"]), folder / "speed.svg")]


def _bars(ratios: Mapping[tuple[str, int], float], device: str) -> Any:
    """Return bars of the ratios: one group for each network, one bar for each batch."""
    from matplotlib import pyplot

    names = [name for name in PARTS["zoo"].programs if any(n == name for n, _ in ratios)]
    height = 0.8 / len(BATCHES)
    figure, axes = pyplot.subplots(figsize=(7, 0.7 + 0.4 * len(names)))
    for place, batch in enumerate(BATCHES):
        there = [row for row, name in enumerate(names) if (name, batch) in ratios]
        axes.barh(
            [row - 0.4 + height * (place + 0.5) for row in there],
            [ratios[names[row], batch] for row in there],
            height,
            label=f"batch {batch}",
        )
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel(f"time of PyTorch's fastest way / ours, fp32, {device}")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(BATCHES), frameon=False)
    return figure
