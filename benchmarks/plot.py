"""Plots of the results: SVG, with equal bytes from equal results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.factorization import plot as factorization
from benchmarks.networks import NETWORKS, NEVER_BELOW
from benchmarks.report import NAMES, SPEED_PARTS
from benchmarks.results import Results
from benchmarks.tables import sound
from cnndsl.driver.bench import OURS


def draw(found: Mapping[str, Results], folder: Path) -> list[Path]:
    """Write the plots that the results suffice for; none without Matplotlib."""
    if not styled():
        return []
    written = []
    if "batch1" in found and sound(found["batch1"]):
        written.append(save(_speed(found), folder / "speed.svg"))
    scaling = [n for n in ("size", "batch", "threads") if n in found and sound(found[n])]
    if scaling:
        written.append(save(_scaling({n: found[n] for n in scaling}), folder / "scaling.svg"))
    for name, figure in factorization.figures(found):
        written.append(save(figure, folder / f"{name}.svg"))
    return written


def styled() -> bool:
    """Let Matplotlib write SVG of equal bytes, if it is there; return whether it is."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "cnndsl", "font.size": 9, "axes.grid": True})
    matplotlib.rcParams.update({"axes.axisbelow": True, "grid.alpha": 0.3})
    return True


def save(figure: Any, path: Path) -> Path:
    """Write a figure, and forget it."""
    from matplotlib import pyplot

    figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")
    pyplot.close(figure)
    return path


def _speed(found: Mapping[str, Results]) -> Any:
    """Return bars of the ratios: one group for each network, a tick at what is wanted."""
    from matplotlib import pyplot

    names = list(sound(found["batch1"]))
    shown = [part for part in SPEED_PARTS if part in found]
    height = 0.8 / len(shown)
    figure, axes = pyplot.subplots(figsize=(7, 0.7 + 0.4 * len(names)))
    for place, part in enumerate(shown):
        entries = sound(found[part])
        there = [row for row, name in enumerate(names) if name in entries]
        axes.barh(
            [row - 0.4 + height * (place + 0.5) for row in there],
            [entries[names[row]]["ratio"] for row in there],
            height,
            label=SPEED_PARTS[part],
        )
    wanted = [NETWORKS[name].wanted for name in names]
    rows = range(len(names))
    axes.plot(wanted, rows, "k|", markersize=14, markeredgewidth=1.5, label="wanted at batch 1")
    axes.axvline(NEVER_BELOW, color="black", linewidth=0.8)
    axes.set_yticks(rows, names)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("time of the faster peer / ours")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(shown) + 1, frameon=False)
    return figure


def _scaling(found: Mapping[str, Results]) -> Any:
    """Return a panel for each part: the peers' times over ours, against what was varied."""
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(
        1, len(found), figsize=(3 * len(found), 2.8), squeeze=False, sharey=True
    )
    labels = {"size": "height and width, px", "batch": "batch", "threads": "threads"}
    for axes, (part, results) in zip(panels[0], found.items(), strict=True):
        entries = sound(results)
        for engine in ("onnxruntime", "openvino"):
            points = {
                int(key): entry["milliseconds"][engine]["median"]
                / entry["milliseconds"][OURS]["median"]
                for key, entry in entries.items()
                if engine in entry["milliseconds"]
            }
            axes.plot(points.keys(), points.values(), "o-", markersize=3, label=NAMES[engine])
        axes.axhline(NEVER_BELOW, color="black", linewidth=0.8)
        axes.set_xscale("log", base=2)
        axes.set_xticks([int(key) for key in entries], list(entries))
        axes.minorticks_off()
        axes.set_ylim(bottom=0)
        axes.set_xlabel(labels[part])
    network = next(e["network"] for r in found.values() for e in sound(r).values())
    panels[0][0].set_ylabel(f"{network}: time / ours")
    panels[0][0].legend(frameon=False, loc="lower left")
    return figure
